/* SPDX-License-Identifier: Apache-2.0
 * Data caches and memory of the simulated machine: L1D, L2, LLC (least recently
 * used, 64-byte lines, a missing line comes into every level), memory flat or
 * with banks. Loads, stores and table reads of one design share one of these. */
#ifndef SIM_EVAL_CACHES_H
#define SIM_EVAL_CACHES_H

#include "eval/config.h"

/** What served a reference; the codes of histograms. PWC: the entry came from a
 * paging-structure cache; NONE: it was not needed. */
enum eval_level { EVAL_NONE, EVAL_PWC, EVAL_L1, EVAL_L2, EVAL_LLC, EVAL_MEM };

struct eval_caches;

/** Empty caches. Exits when out of memory. */
struct eval_caches *eval_caches_new(const struct eval_config *c);
struct eval_caches *eval_caches_clone(const struct eval_caches *c);
void eval_caches_free(struct eval_caches *c);

/** A load or store by the program, at clock `now`. The clock when it is done. */
uint64_t eval_caches_data(struct eval_caches *c, uint64_t pa, uint64_t now);
/** A table read by a walker, through its port. *level: what served it. The clock when the entry is there. */
uint64_t eval_caches_walk(struct eval_caches *c, uint64_t pa, uint64_t now, enum eval_level *level);
/** A prefetch of a table line into L1D by a walker; as eval_caches_walk. */
uint64_t eval_caches_prefetch(struct eval_caches *c, uint64_t pa, uint64_t now, enum eval_level *level);
/** No call from here on is for a clock before `now`: memory forgets when its banks were taken until then. */
void eval_caches_from(struct eval_caches *c, uint64_t now);
/** From here on, lines that walkers read stay in L2 and LLC as long as there is a line of data to
 * give up in their set (FPT's priority for tables). */
void eval_caches_keep_tables(struct eval_caches *c);

/** Reads by program and by walkers, as served. */
struct eval_cache_stats {
    uint64_t data[EVAL_MEM + 1], walk[EVAL_MEM + 1];
};
const struct eval_cache_stats *eval_caches_stats(const struct eval_caches *c);
/** Start counting anew; lines stay. */
void eval_caches_count(struct eval_caches *c);

/* ------------------------------------------------------------ small caches of keys */

/** A set-associative cache of 64-bit keys with a value each: TLBs,
 * paging-structure caches, and the designs' own. */
struct eval_assoc;

/** entries 0: always misses. Exits when out of memory. */
struct eval_assoc *eval_assoc_new(unsigned entries, unsigned ways, unsigned policy);
struct eval_assoc *eval_assoc_clone(const struct eval_assoc *a);
void eval_assoc_free(struct eval_assoc *a);
/** Look up a key (any value) in the set that `index` selects modulo the number of sets;
 * a hit counts as a use. NULL: not there. The value may be changed in place, until the next call. */
uint64_t *eval_assoc_find(struct eval_assoc *a, uint64_t index, uint64_t key);
/** Put a key with its value, in place of one that is there or of the one that the policy gives up. */
void eval_assoc_put(struct eval_assoc *a, uint64_t index, uint64_t key, uint64_t value);
/** Take a key out, where it is there. */
void eval_assoc_drop(struct eval_assoc *a, uint64_t index, uint64_t key);
void eval_assoc_clear(struct eval_assoc *a);

#endif
