/* SPDX-License-Identifier: Apache-2.0
 * Sparse physical memory in 4 KiB frames. A frame that is absent answers as a
 * bus error would. */
#ifndef DMT_MEM_H
#define DMT_MEM_H

#include "dmt/api.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

DMT_API_BEGIN

struct dmt_mem;

/** Empty memory, or NULL when out of memory. */
struct dmt_mem *dmt_mem_new(void);
void dmt_mem_free(struct dmt_mem *m);
/** An independent copy, or NULL when out of memory. */
struct dmt_mem *dmt_mem_clone(const struct dmt_mem *m);

/** Read the aligned 64-bit word at hPA pa (low three bits ignored). False: absent. */
bool dmt_mem_read(const struct dmt_mem *m, uint64_t pa, uint64_t *value);
/** Write the aligned 64-bit word. False: absent (nothing is created). */
bool dmt_mem_write(struct dmt_mem *m, uint64_t pa, uint64_t value);

/** The 4096 bytes of a frame (little-endian words), or NULL when absent. */
uint8_t *dmt_mem_frame(const struct dmt_mem *m, uint64_t pfn);
/** The same, created zeroed when absent; NULL when out of memory. */
uint8_t *dmt_mem_add(struct dmt_mem *m, uint64_t pfn);

/** Number of frames present. */
size_t dmt_mem_count(const struct dmt_mem *m);
/** Frame numbers in ascending order into pfn[0..count-1]. */
void dmt_mem_list(const struct dmt_mem *m, uint64_t *pfn);

DMT_API_END

#endif
