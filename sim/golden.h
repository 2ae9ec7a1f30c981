/* SPDX-License-Identifier: Apache-2.0
 * The architectural model as an engine: a memory of its own, and for each request
 * cold paging-structure caches of a configuration's sizes; what it read and wrote. */
#ifndef SIM_GOLDEN_H
#define SIM_GOLDEN_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "dmt/mem.h"
#include "tb/cosim.h"

/* A paging-structure cache as the hardware has them: per level (2..4) the last
 * `entries` facts, first in, first out. A request starts cold, so where the
 * replacement pointer stands does not matter. */
struct golden_fact {
    uint64_t prefix, table;
    uint8_t stage, rights;
};

struct golden_cache {
    struct golden_fact fact[5][64];
    unsigned entries[5], n[5], next[5];
};

struct golden {
    struct dmt_mem *mem; /**< A/D bits change; not owned */
    unsigned n;          /**< reads and writes of the last request, in order */
    struct single_event event[SINGLE_EVENTS];
    struct golden_cache cache[2]; /**< virtual, physical */
    unsigned entry;               /**< stage that the request enters at */
};

/** Caches as in config. */
void golden_init(struct golden *g, struct dmt_mem *mem, const struct dmt_config *config);

/** Translate, starting with empty caches. gTEAs of the state are resolved. */
void golden_translate(struct golden *g, const struct dmt_state *state, const struct dmt_request *rq,
                      struct dmt_result *result);

#endif
