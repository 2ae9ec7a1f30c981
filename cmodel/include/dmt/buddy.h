/* SPDX-License-Identifier: Apache-2.0
 * Physical memory of one level of software, handed out in frames of 4 KiB: a
 * binary buddy allocator (Knuth, TAOCP 1, 2.5; as in Linux mm/page_alloc.c)
 * that can also hand out contiguous runs of any length and at any frame, as
 * alloc_contig_range does, with a dial for fragmentation. No memory content is
 * kept here. Which blocks are free depends on which frames are free alone, not
 * on the order of calls. Half a byte a frame at most, touched as it is used.
 *
 * n, a number of frames, is at least 1: for 0 the answer is false. */
#ifndef DMT_BUDDY_H
#define DMT_BUDDY_H

#include "dmt/api.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

DMT_API_BEGIN

#define DMT_BUDDY_ORDER_MAX 18 /**< largest block: 2^18 frames, 1 GiB */

struct dmt_buddy;

/** All of frames [first, first + frames) free. first and frames are below 2^40,
 * frames at least 1. Blocks of order n lie at multiples of 2^n frames. NULL: out of memory. */
struct dmt_buddy *dmt_buddy_new(uint64_t first, uint64_t frames);
void dmt_buddy_delete(struct dmt_buddy *b);

/** A block of 2^order frames (order up to DMT_BUDDY_ORDER_MAX), of the lowest
 * address among the smallest free blocks that serve. False: none, or injected. */
bool dmt_buddy_alloc(struct dmt_buddy *b, unsigned order, uint64_t *pfn);

/** n contiguous frames, n at least 1, at no particular boundary: the lowest
 * place where they are free. False: none, or injected. */
bool dmt_buddy_alloc_run(struct dmt_buddy *b, uint64_t n, uint64_t *pfn);

/** Exactly frames [pfn, pfn + n). False: not all of them exist and are free, or injected. */
bool dmt_buddy_alloc_at(struct dmt_buddy *b, uint64_t pfn, uint64_t n);

/** Give frames back, in any portions, whatever they were allocated by. Every
 * one must be allocated: false (nothing is freed) when one is not, a double
 * free, or does not exist, or is pinned by the dial. */
bool dmt_buddy_release(struct dmt_buddy *b, uint64_t pfn, uint64_t n);

/** Is the frame free? False outside the memory. */
bool dmt_buddy_is_free(const struct dmt_buddy *b, uint64_t pfn);
/** Does the frame belong to this memory? */
bool dmt_buddy_has(const struct dmt_buddy *b, uint64_t pfn);
/** Frames in all, frames free, free blocks of one order. */
uint64_t dmt_buddy_frames(const struct dmt_buddy *b);
uint64_t dmt_buddy_available(const struct dmt_buddy *b);
uint64_t dmt_buddy_blocks(const struct dmt_buddy *b, unsigned order);

/** Free-memory fragmentation index for blocks of an order, 0 to 1: the part of
 * the free memory that is of no use for such a block (Gorman and Whitcroft,
 * "Measuring the impact of the Linux memory manager", 2005: unusable free space
 * index). 0 when nothing is free. */
double dmt_buddy_unusable(const struct dmt_buddy *b, unsigned order);

/** The dial: pin single frames here and there until dmt_buddy_unusable(order)
 * is at least `target` (0 to 1), at most half of the free memory. Which is a
 * pure function of the frames that are free, and the seed. Pins are not
 * allocations: none is injected a failure. False when the target was not
 * reached (what was pinned stays pinned): for order 0, or when nothing is free. */
bool dmt_buddy_fragment(struct dmt_buddy *b, unsigned order, double target, uint64_t seed);
/** Frames pinned by the dial; release them all. */
uint64_t dmt_buddy_pinned(const struct dmt_buddy *b);
void dmt_buddy_unpin(struct dmt_buddy *b);

/** Failure injection: after n more successful allocations, one allocation of
 * any kind fails (n = 0: the next one, even if it would fail anyway) and
 * changes nothing. UINT64_MAX: none. Afterwards injection is off. */
void dmt_buddy_fail_after(struct dmt_buddy *b, uint64_t n);

DMT_API_END

#endif
