/* SPDX-License-Identifier: Apache-2.0
 * Small real programs of the kinds that sim/eval/workload_*.c generate: they
 * allocate their data, build it as the originals do, and log each load and store
 * of their main loop that the source has (locals that a compiler keeps in
 * registers are not logged). What a generator claims is compared with these. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include "eval/workload.h"
#include <stdint.h>

struct program_log {
    struct eval_access *access;
    size_t n, room;      /**< a program ends soon after the log is full */
    uint64_t base;       /**< address of the largest array (gups: its table) */
    uint64_t operations; /**< logged: updates, lookups, .. */
};

void program_gups(struct program_log *log, uint64_t words);
void program_btree(struct program_log *log, uint64_t keys);
void program_redis(struct program_log *log, unsigned bits);
void program_memcached(struct program_log *log, uint64_t records);
void program_canneal(struct program_log *log, uint64_t elements);
void program_xsbench(struct program_log *log, uint64_t points);
void program_graph500(struct program_log *log, unsigned scale);

/** The shape of program_btree's tree: nodes of each level (0: leaves) left and right of the middle key,
 * nodes in all, levels above the leaves. */
struct program_tree {
    uint64_t left[16], right[16], nodes;
    unsigned height;
};
void program_btree_shape(uint64_t keys, struct program_tree *t);

#endif
