/* SPDX-License-Identifier: Apache-2.0
 * The rules of docs/specification.md as functions without state, shared by
 * the architectural and the cycle model. Not installed. */
#ifndef DMT_RULES_H
#define DMT_RULES_H

#include "dmt/arch.h"

/** An IA-32e entry, decoded (specification 6 and 7; SDM tables 4-14 to 4-20). */
struct rule_entry {
    bool present, leaf, reserved;
    uint64_t frame;  /**< address of the next table or of the page (aligned to its size) */
    uint8_t rights;  /**< IA-32e: bit 0 W, 1 U, 2 X (X is 1 when NXE = 0). Second stage: bit 0 W,
                      *   1 R (EPT) or U (NPT), 2 X, 3 XU (= X without MBEC) */
    bool a, d, global; /* a, d are 1 in EPT without A/D flags */
    uint8_t pkey;
    uint8_t memtype; /**< IA-32e: {PAT, PCD, PWT}. Second stage: {IPAT, type[2:0]} */
};

/** Why an entry of a second stage is asked for (specification 8). */
enum rule_kind { RULE_FINAL, RULE_TABLE, RULE_TABLE_WRITE /**< A5: an A/D update is due */ };

/** Decode entry value `e` read at `level` (1..5). */
void rule_ia32e(uint64_t e, unsigned level, const struct dmt_level *cr, unsigned maxpa, struct rule_entry *out);

/** Decode an entry of a second stage (specification 7); `reserved` is a
 * misconfiguration in EPT. */
void rule_s2(uint64_t e, unsigned level, const struct dmt_s2 *s2, unsigned maxpa, struct rule_entry *out);

/** Does an access of this kind count as a write in this stage (specification 8)? */
bool rule_s2_writes(const struct dmt_s2 *s2, enum rule_kind kind, const struct dmt_request *rq);

/** Do the rights of a second stage permit the access? user_page: the entering
 * stage made it a user page (matters to final fetches with MBEC). */
bool rule_s2_allows(const struct dmt_s2 *s2, enum rule_kind kind, const struct dmt_request *rq, bool user_page,
                    uint8_t rights);

/** What a second stage's fault is (specification 11). */
enum rule_s2_fault { RULE_S2_ABSENT, RULE_S2_RESERVED, RULE_S2_RIGHTS };

/** Status (EPT_VIOLATION, EPT_MISCONFIG, NPT_FAULT) and *error of a fault.
 * rights: ANDed over the entries used, for RULE_S2_RIGHTS. The width check is RULE_S2_ABSENT. */
uint8_t rule_s2_fault(const struct dmt_s2 *s2, enum rule_kind kind, enum rule_s2_fault fault,
                      const struct dmt_request *rq, uint8_t rights, uint64_t *error);

/** Is the address too wide for a table of four levels (specification 11)? */
bool rule_s2_wide(uint64_t addr, const struct dmt_s2 *s2);

/** Allow bits of a TEA register as rights of a second stage (specification 5). */
uint8_t rule_s2_allow_bits(uint8_t allow);

/** Is the entry of this KIND GTEA register for address va within its resolved gTEA (specification 12)? */
bool rule_gtea_within(const struct dmt_tea *t, uint64_t va);

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

/** Address of the entry that register t holds for va: of the level below (KIND PA), or hPA. */
uint64_t rule_tea_entry(const struct dmt_tea *t, uint64_t va);

/** hPA of the entry for va in a table at `table` of `level`. */
uint64_t rule_entry_addr(uint64_t table, unsigned level, uint64_t va);

/** Fill an OK result from a deciding leaf; rights are those of all levels. */
void rule_ok(const struct dmt_request *rq, const struct dmt_level *cr, const struct rule_entry *leaf,
             uint8_t rights, unsigned sz, struct dmt_result *r);

#endif
