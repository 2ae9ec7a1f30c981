/* SPDX-License-Identifier: Apache-2.0
 * The TLB in front of the walker, as the paper sizes it (table 3): L1I 128
 * entries 8-way, L1D 64 entries 4-way, L2 1536 entries 12-way, shared by code
 * and data and by the three page sizes; least recently used goes first. It
 * turns a trace of accesses into the walks that a processor would ask for. */
#ifndef SIM_TLB_H
#define SIM_TLB_H

#include "dmt/arch.h"
#include "dmt/mem.h"
#include "trace.h"

struct tlb;

/** What went through. */
struct tlb_stats {
    uint64_t accesses; /**< of the trace; those over a page boundary count once */
    uint64_t l1_hits, l2_hits;
    uint64_t walks;
    uint64_t faults; /**< walks that did not translate; they fill nothing */
};

/** An empty TLB over an address space. Translations come from the
 * architectural model on a private copy of mem, since A/D bits change.
 * NULL when out of memory. */
struct tlb *tlb_new(const struct dmt_state *state, const struct dmt_mem *mem);
void tlb_free(struct tlb *t);

/** One access; the walks it needs, at most 2 (it may span two pages), go to rq. Number of walks. */
unsigned tlb_access(struct tlb *t, const struct access *a, struct dmt_request rq[2]);

const struct tlb_stats *tlb_stats(const struct tlb *t);

#endif
