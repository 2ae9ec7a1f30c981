/* SPDX-License-Identifier: Apache-2.0
 * The rules of docs/specification.md as functions without state, shared by
 * the architectural and the cycle model. Not installed. */
#ifndef DMT_RULES_H
#define DMT_RULES_H

#include "dmt/arch.h"

/** An IA-32e entry, decoded (specification 6 and 7; SDM tables 4-14 to 4-20). */
struct rule_entry {
    bool present, leaf, reserved;
    uint64_t frame;  /**< hPA of the next table or of the page (aligned to its size) */
    uint8_t rights;  /**< bit 0 W, 1 U, 2 X (X is 1 when NXE = 0) */
    bool a, d, global;
    uint8_t pkey, memtype;
};

/** Decode entry value `e` read at `level` (1..5). */
void rule_ia32e(uint64_t e, unsigned level, const struct dmt_level *cr, unsigned maxpa, struct rule_entry *out);

/** Is the address canonical (specification 3.1)? */
bool rule_canonical(uint64_t va, const struct dmt_level *cr);

/** Does the request act with user rights (specification 2)? */
bool rule_user(const struct dmt_request *rq);

/** Error code bits of a fault on a present, not reserved leaf, or 0 when the
 * access is permitted (specification 8). rights are those of all levels. */
uint32_t rule_denied(const struct dmt_request *rq, const struct dmt_level *cr, uint8_t rights, uint8_t pkey);

/** Error code of a not-present (reserved=false) or reserved-bit fault. */
uint32_t rule_fault(const struct dmt_request *rq, const struct dmt_level *cr, bool reserved);

/** Index of the lowest valid register of size sz that covers va, or -1. Sets
 * *multi when a second one does (otherwise leaves it alone). n registers. */
int rule_match(const struct dmt_tea *set, unsigned n, unsigned sz, uint64_t va, bool *multi);

/** hPA of the entry that register t holds for va. */
uint64_t rule_tea_entry(const struct dmt_tea *t, uint64_t va);

/** hPA of the entry for va in a table at `table` of `level`. */
uint64_t rule_entry_addr(uint64_t table, unsigned level, uint64_t va);

/** Fill an OK result from a deciding leaf; rights are those of all levels. */
void rule_ok(const struct dmt_request *rq, const struct dmt_level *cr, const struct rule_entry *leaf,
             uint8_t rights, unsigned sz, struct dmt_result *r);

#endif
