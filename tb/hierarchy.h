/* SPDX-License-Identifier: Apache-2.0
 * Caches between the PTE port and memory, for latency alone: three levels,
 * least recently used, 64-byte lines, inclusive, sizes and latencies of the
 * paper's table 3 (L1D 32 KiB 8-way 4 clocks, L2 1 MiB 16-way 14, LLC 22 MiB
 * 11-way 54, memory 200; round trip). */
#ifndef TB_HIERARCHY_H
#define TB_HIERARCHY_H

#include <stdbool.h>
#include <stdint.h>

struct hierarchy;

/** Empty caches, or NULL: out of memory. */
struct hierarchy *hierarchy_new(void);
void hierarchy_free(struct hierarchy *h);

/** Forget all lines. */
void hierarchy_reset(struct hierarchy *h);

/** Clocks until the word at this hPA is here; its line is then in every level. */
unsigned hierarchy_access(struct hierarchy *h, uint64_t addr);

#endif
