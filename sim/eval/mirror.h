/* SPDX-License-Identifier: Apache-2.0
 * A radix table as a simulator reads it: host pointers beside the entries, so
 * that a walk costs a few loads. What it says is always what the simulated
 * memory says now: an entry that changed is followed anew. */
#ifndef SIM_EVAL_MIRROR_H
#define SIM_EVAL_MIRROR_H

#include "dmt/mem.h"
#include <stdbool.h>
#include <stdint.h>

struct mirror;

struct mirror_step {
    uint64_t at;    /**< address of the entry, of the level below */
    uint64_t hpa;   /**< the same in host memory; equal at stage 0 */
    uint64_t entry;
};

/** One walk. step[l] is the entry of level l (5..1), for levels top down to `leaf`. */
struct mirror_path {
    bool present;   /**< step[leaf] maps the address; else it is the entry at which the walk ended */
    uint8_t top;    /**< level of the root table: 4, 5 */
    uint8_t leaf;   /**< 1, 2, 3 when present: 4K, 2M, 1G */
    uint64_t to;    /**< address of the level below, when present */
    struct mirror_step step[6];
};

/** A table whose root is frame `root` of the level below. to_host gives the host
 * frame of a frame of the level below (false: not backed); NULL: the level below
 * is host memory. ept: an entry is present when any of bits 2:0 is set. Exits when out of memory. */
struct mirror *mirror_new(const struct dmt_mem *mem, uint64_t root, unsigned levels, bool ept,
                          bool (*to_host)(void *user, uint64_t pfn, uint64_t *hpfn), void *user);
void mirror_free(struct mirror *m);

/** Walk. False: not present (the path up to there is filled in). */
bool mirror_walk(struct mirror *m, uint64_t addr, struct mirror_path *p);
/** addr will be walked soon: the computer may fetch what that will read. Nothing changes. */
void mirror_hint(const struct mirror *m, uint64_t addr);
/** Host frames may have moved under the tables: ask to_host again. */
void mirror_moved(struct mirror *m);

#endif
