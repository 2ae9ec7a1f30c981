/* SPDX-License-Identifier: Apache-2.0
 * What the CSR bus says the registers must hold, tracked from handshakes
 * alone, independent of RTL and cycle model; and the set of facts that the
 * paging-structure caches may hold. */
#ifndef TB_SHADOW_H
#define TB_SHADOW_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include <stdbool.h>
#include <stdint.h>

/** Counters that follow from answers and beats; indices into shadow.counter,
 * in the order of the CSR map from CNT_REQUEST on. */
enum shadow_counter {
    CNT_REQUEST, CNT_TEA, CNT_RADIX, CNT_RESTART, CNT_PASS, CNT_FAULT, CNT_BUS, CNT_RETRY, CNT_READ,
    CNT_UPDATE, CNT_LOST, CNT_PWC4, CNT_PWC3, CNT_PWC2, CNT_BUSY, SHADOW_COUNTERS
};

/** One entry that may be cached: the table that `level` entry of a prefix points to. */
struct fact {
    uint64_t key;   /* level, PCID and prefix */
    uint64_t table;
    uint64_t stamp; /* when it was last seen; 0: free */
    uint8_t rights; /* set of values 0..7 of the ANDed rights, one bit each */
};

struct shadow {
    struct dmt_config config;
    struct dmt_state state;
    uint64_t word[DMT_SETS_MAX][DMT_TEA_MAX][3]; /* as read back */
    uint8_t refusal[DMT_SETS_MAX][DMT_TEA_MAX];
    uint64_t level_event[DMT_SETS_MAX], level_mask[DMT_SETS_MAX];
    uint64_t host_event, host_mask, bus_addr;
    uint64_t counter[SHADOW_COUNTERS];
    uint64_t refused; /* writes with a refused value, for statistics */

    struct fact *fact;
    unsigned fact_size, fact_count; /* size is a power of two; count includes dead ones */
    uint64_t stamp, flushed;
    uint64_t pcid_flushed[4096];
};

/** Reset state. shadow must be zero or have been reset before. False: out of memory. */
bool shadow_reset(struct shadow *s, const struct dmt_config *config);
void shadow_free(struct shadow *s);

/** Does this write wait until the walker is idle (microarchitecture 5)? */
bool shadow_drains(const struct shadow *s, unsigned addr, unsigned strb);

/** A write takes effect. Returns the AXI response due. */
enum dmt_resp shadow_write(struct shadow *s, unsigned addr, uint64_t data, unsigned strb);

/** What a read must answer. False: the value is known to the cycle model alone
 * (MULTI_HIT, cache and busy counters); then only *resp is set. */
bool shadow_read(const struct shadow *s, unsigned addr, uint64_t *data, enum dmt_resp *resp);

/** Remember that the entry of `level` (4..2) for va points to table with one
 * of these rights, and may be cached. False: out of memory. */
bool shadow_fact(struct shadow *s, uint64_t va, unsigned level, uint64_t table, uint8_t rights);

/** Rights with which a cache of `level` may send va to table; 0: it may not. */
uint8_t shadow_may_start(const struct shadow *s, uint64_t va, unsigned level, uint64_t table);

#endif
