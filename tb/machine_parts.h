/* SPDX-License-Identifier: Apache-2.0
 * Inside of a machine: what its two kinds have in common, and the live kind.
 * The interface is tb/machine.h. */
#ifndef TB_MACHINE_PARTS_H
#define TB_MACHINE_PARTS_H

#include "tb/machine.h"
#include "tb/machine_tlb.h"
#include "tb/shadow.h"

struct live;

struct machine {
    struct machine_options o;
    struct dmt_config config;
    struct dmt_mem *mem; /* not owned */
    struct machine_stats stats;
    bool ok;
    struct machine_tlb *tlb[DMT_THREADS_MAX]; /* NULL: none */
    struct shadow shadow[DMT_THREADS_MAX];    /* registers of the architectural model */
    struct live *live;                        /* NULL: architectural model */
};

/** A walk has ended: TLB, statistics, options.answer. */
void machine_walked(struct machine *m, const struct machine_answer *a, const struct machine_leaf *leaf);

/** False: cosim_error(). Sets m->live. */
bool live_new(struct machine *m);
void live_free(struct machine *m);
const struct dmt_state *live_state(const struct machine *m, unsigned thread);
void live_access(struct machine *m, unsigned thread, const struct dmt_request *q, uint64_t user);
unsigned live_in_flight(const struct machine *m, unsigned thread);
/** False: not accepted (refused, SLVERR), or the machine is not ok. */
bool live_csr(struct machine *m, unsigned thread, unsigned offset, uint64_t value);
uint64_t live_csr_read(struct machine *m, unsigned thread, unsigned offset);
void live_idle(struct machine *m, unsigned clocks);
void live_drain(struct machine *m);
/** The clocks before a store pass; returns how many are to pass after it. */
unsigned live_linger(struct machine *m);
/** Store. False: absent frame. */
bool live_poke(struct machine *m, uint64_t pa, uint64_t value);

#endif
