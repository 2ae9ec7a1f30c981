/* SPDX-License-Identifier: Apache-2.0
 * The TLBs of the simulated machine: L1 for code, L1 for data with room of its
 * own for huge pages, and a second level for all. Translations are taken as
 * they are filled in; rights and A/D bits play no part. */
#ifndef SIM_EVAL_TLBS_H
#define SIM_EVAL_TLBS_H

#include "eval/config.h"

struct eval_tlbs;

/** Empty ones. Exits when out of memory. */
struct eval_tlbs *eval_tlbs_new(const struct eval_config *c);
struct eval_tlbs *eval_tlbs_clone(const struct eval_tlbs *t);
void eval_tlbs_free(struct eval_tlbs *t);

/** Look an access of this kind (DMT_ACCESS_*) up, filling the first level from the second. False: a walk is
 * needed. *clocks: what a hit costs. */
bool eval_tlbs_find(struct eval_tlbs *t, uint64_t va, unsigned kind, uint64_t *pa, unsigned *clocks);
/** What a walk found: va is at pa, in a page of this size (DMT_SIZE_*). */
void eval_tlbs_fill(struct eval_tlbs *t, uint64_t va, unsigned kind, uint64_t pa, unsigned size);
/** Drop the page of va, whatever its size. */
void eval_tlbs_drop(struct eval_tlbs *t, uint64_t va);
void eval_tlbs_flush(struct eval_tlbs *t);

struct eval_tlbs_stats {
    uint64_t l1, l2, misses;
};
const struct eval_tlbs_stats *eval_tlbs_stats(const struct eval_tlbs *t);
void eval_tlbs_count(struct eval_tlbs *t);

#endif
