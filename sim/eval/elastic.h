/* SPDX-License-Identifier: Apache-2.0
 * An elastic cuckoo hash table (Skarlatos et al., ASPLOS 2020): d ways, each key
 * in one of d slots; an insertion displaces; beyond an occupancy every way gets
 * a table of twice the size, into which a pointer a way moves slot by slot with
 * each insertion. A slot stands for a 64-byte line in simulated memory. */
#ifndef SIM_EVAL_ELASTIC_H
#define SIM_EVAL_ELASTIC_H

#include <stdbool.h>
#include <stdint.h>

#define ELASTIC_WAYS_MAX 8
#define ELASTIC_KEYS     (UINT64_C(1) << 40) /* keys are below */
#define ELASTIC_VALUES   (UINT32_C(1) << 24) /* values are below */

struct elastic;

struct elastic_options {
    unsigned ways;    /**< 2..ELASTIC_WAYS_MAX */
    uint64_t lines;   /**< a way to begin with, a power of two */
    unsigned percent; /**< of all slots: with more of them taken the ways grow, 1..99 */
    uint64_t seed;
    /** n contiguous frames for a way's table. False: none. */
    bool (*frames)(void *user, uint64_t n, uint64_t *pfn);
    void *user;
};

struct elastic_stats {
    uint64_t lines, slots; /**< taken; of all ways, those of the new tables while they grow */
    uint64_t inserted, displaced, moved, resizes;
    uint64_t frames; /**< taken for tables, old ones included (they are not given back) */
    bool growing;
};

/** An empty table. NULL after saying why. */
struct elastic *elastic_new(const struct elastic_options *o);
void elastic_free(struct elastic *e);
/** Put a key, in place of its old value when it is there. False after saying why. */
bool elastic_put(struct elastic *e, uint64_t key, uint32_t value);
/** Value and way (may be NULL) of a key. False: not there. */
bool elastic_get(const struct elastic *e, uint64_t key, uint32_t *value, unsigned *way);
/** It will be looked up soon: the simulating machine's caches are told. */
void elastic_ahead(const struct elastic *e, uint64_t key);
/** Is it in this way? */
bool elastic_in(const struct elastic *e, uint64_t key, unsigned way);
/** Give the tables their frames; until then there are no addresses, and tables that were outgrown never get
 * any. False after saying why. Tables that come later get theirs at once. */
bool elastic_settle(struct elastic *e);
/** Host or guest address of the line that this way's hash names for a key. */
uint64_t elastic_line(const struct elastic *e, uint64_t key, unsigned way);
const struct elastic_stats *elastic_stats(const struct elastic *e);

#endif
