/* SPDX-License-Identifier: Apache-2.0
 * Frame allocator: each promise of its header, then random operations against
 * an array with one byte a frame. */
#include "dmt/buddy.h"
#include "drive.h"
#include "tb/rng.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST (UINT64_C(1) << DMT_BUDDY_ORDER_MAX)

/* ---- the reference */

enum { FREE, HELD, PINNED };

struct reference {
    uint64_t first, frames;
    uint8_t *state; /* of each frame */
};

static uint64_t count(const struct reference *r, uint8_t state)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < r->frames; i++) {
        n += r->state[i] == state;
    }
    return n;
}

/* [pfn, pfn + n) exists and each frame is in this state. */
static bool all(const struct reference *r, uint64_t pfn, uint64_t n, uint8_t state)
{
    for (uint64_t i = 0; i < n; i++) {
        if (pfn + i < r->first || pfn + i >= r->first + r->frames || r->state[pfn + i - r->first] != state) {
            return false;
        }
    }
    return true;
}

/* The order of the largest block that starts at a free frame. */
static unsigned order_at(const struct reference *r, uint64_t pfn)
{
    unsigned order = 0;

    while (order < DMT_BUDDY_ORDER_MAX && pfn % (UINT64_C(2) << order) == 0 &&
           all(r, pfn + (UINT64_C(1) << order), UINT64_C(1) << order, FREE)) {
        order++;
    }
    return order;
}

/* Free blocks of each order, and the first of each. */
static void list(const struct reference *r, uint64_t *blocks, uint64_t *lowest)
{
    memset(blocks, 0, (DMT_BUDDY_ORDER_MAX + 1) * sizeof *blocks);
    for (uint64_t pfn = r->first; pfn < r->first + r->frames;) {
        if (r->state[pfn - r->first] != FREE) {
            pfn++;
            continue;
        }
        unsigned order = order_at(r, pfn);
        if (blocks[order]++ == 0) {
            lowest[order] = pfn;
        }
        pfn += UINT64_C(1) << order;
    }
}

static double unusable(const struct reference *r, unsigned order)
{
    uint64_t blocks[DMT_BUDDY_ORDER_MAX + 1], lowest[DMT_BUDDY_ORDER_MAX + 1], small = 0;
    uint64_t available = count(r, FREE);

    list(r, blocks, lowest);
    for (unsigned n = 0; n < order; n++) {
        small += blocks[n] << n;
    }
    return available == 0 ? 0 : (double)small / (double)available;
}

static bool find(const struct reference *r, unsigned order, uint64_t *pfn)
{
    uint64_t blocks[DMT_BUDDY_ORDER_MAX + 1], lowest[DMT_BUDDY_ORDER_MAX + 1];

    list(r, blocks, lowest);
    for (unsigned n = order; n <= DMT_BUDDY_ORDER_MAX; n++) {
        if (blocks[n] != 0) {
            *pfn = lowest[n];
            return true;
        }
    }
    return false;
}

static bool find_run(const struct reference *r, uint64_t n, uint64_t *pfn)
{
    uint64_t length = 0;

    for (uint64_t i = 0; i < r->frames; i++) {
        length = r->state[i] == FREE ? length + 1 : 0;
        if (length == n) {
            *pfn = r->first + i + 1 - n;
            return true;
        }
    }
    return false;
}

static void put(struct reference *r, uint64_t pfn, uint64_t n, uint8_t state)
{
    memset(r->state + (pfn - r->first), state, n);
}

static void compare(const struct dmt_buddy *b, const struct reference *r)
{
    uint64_t blocks[DMT_BUDDY_ORDER_MAX + 1], lowest[DMT_BUDDY_ORDER_MAX + 1];

    list(r, blocks, lowest);
    for (unsigned n = 0; n <= DMT_BUDDY_ORDER_MAX; n++) {
        must(dmt_buddy_blocks(b, n) == blocks[n], "order %u: %" PRIu64 ", should be %" PRIu64, n,
             dmt_buddy_blocks(b, n), blocks[n]);
        must(dmt_buddy_unusable(b, n) == unusable(r, n), "order %u", n);
    }
    must(dmt_buddy_available(b) == count(r, FREE));
    must(dmt_buddy_pinned(b) == count(r, PINNED));
    must(dmt_buddy_frames(b) == r->frames);
    for (uint64_t i = 0; i < r->frames; i++) {
        must(dmt_buddy_is_free(b, r->first + i) == (r->state[i] == FREE), "frame %" PRIu64, i);
        must(dmt_buddy_has(b, r->first + i));
    }
    must(!dmt_buddy_is_free(b, r->first - 1) && !dmt_buddy_is_free(b, r->first + r->frames));
    must(!dmt_buddy_has(b, r->first - 1) && !dmt_buddy_has(b, r->first + r->frames));
}

/* ---- directed */

/* Allocate a block or run and say where, UINT64_MAX: nowhere. */
static uint64_t block(struct dmt_buddy *b, unsigned order)
{
    uint64_t pfn;

    return dmt_buddy_alloc(b, order, &pfn) ? pfn : UINT64_MAX;
}

static uint64_t run(struct dmt_buddy *b, uint64_t n)
{
    uint64_t pfn;

    return dmt_buddy_alloc_run(b, n, &pfn) ? pfn : UINT64_MAX;
}

/* Frames [0, n) of which only those in `map` are free, from the lowest bit on. */
static struct dmt_buddy *with(uint64_t map, unsigned n)
{
    struct dmt_buddy *b = dmt_buddy_new(0, n);

    for (unsigned i = 0; i < n; i++) {
        must((map >> i & 1) || dmt_buddy_alloc_at(b, i, 1));
    }
    return b;
}

Test(buddy, starts_free_in_the_largest_aligned_blocks)
{
    struct dmt_buddy *b = dmt_buddy_new(3, 10);

    cr_assert_eq(dmt_buddy_frames(b), 10);
    cr_assert_eq(dmt_buddy_available(b), 10);
    cr_assert_eq(dmt_buddy_blocks(b, 0), 2, "3 and 12");
    cr_assert_eq(dmt_buddy_blocks(b, 2), 2, "4 to 7, 8 to 11");
    cr_assert_eq(dmt_buddy_blocks(b, 1) + dmt_buddy_blocks(b, 3), 0);
    cr_assert(dmt_buddy_has(b, 3) && dmt_buddy_has(b, 12));
    cr_assert(dmt_buddy_is_free(b, 3) && dmt_buddy_is_free(b, 12));
    cr_assert_not(dmt_buddy_has(b, 2) || dmt_buddy_has(b, 13) || dmt_buddy_has(b, UINT64_MAX));
    cr_assert_not(dmt_buddy_is_free(b, 2) || dmt_buddy_is_free(b, 13) || dmt_buddy_is_free(b, UINT64_MAX));
    dmt_buddy_delete(b);
    dmt_buddy_delete(NULL);
}

Test(buddy, one_frame_at_the_top)
{
    uint64_t top = (UINT64_C(1) << 40) - 1;
    struct dmt_buddy *b = dmt_buddy_new(top, 1);

    cr_assert_eq(block(b, 1), UINT64_MAX);
    cr_assert_eq(block(b, 0), top);
    cr_assert_eq(block(b, 0), UINT64_MAX);
    cr_assert_eq(dmt_buddy_available(b), 0);
    cr_assert(dmt_buddy_release(b, top, 1));
    cr_assert_eq(run(b, 1), top);
    dmt_buddy_delete(b);
}

Test(buddy, largest_blocks_do_not_join)
{
    struct dmt_buddy *b = dmt_buddy_new(4 * LARGEST - 1, 2 * LARGEST + 2);

    cr_assert_eq(dmt_buddy_blocks(b, DMT_BUDDY_ORDER_MAX), 2);
    cr_assert_eq(dmt_buddy_blocks(b, DMT_BUDDY_ORDER_MAX + 1), 0);
    cr_assert_eq(block(b, DMT_BUDDY_ORDER_MAX + 1), UINT64_MAX);
    cr_assert_eq(block(b, UINT32_MAX), UINT64_MAX);
    cr_assert_eq(block(b, DMT_BUDDY_ORDER_MAX), 4 * LARGEST);
    cr_assert_eq(block(b, DMT_BUDDY_ORDER_MAX), 5 * LARGEST);
    cr_assert_eq(block(b, DMT_BUDDY_ORDER_MAX), UINT64_MAX);
    cr_assert_eq(dmt_buddy_available(b), 2);
    cr_assert(dmt_buddy_release(b, 4 * LARGEST, 2 * LARGEST));
    cr_assert_eq(dmt_buddy_blocks(b, DMT_BUDDY_ORDER_MAX), 2);
    dmt_buddy_delete(b);
}

Test(buddy, smallest_block_that_serves_then_lowest_address)
{
    struct dmt_buddy *b = with(0x3f6f, 16); /* 0-3, 5-6, 8-13 */

    cr_assert_eq(dmt_buddy_blocks(b, 0), 2, "5, 6");
    cr_assert_eq(dmt_buddy_blocks(b, 1), 1, "12");
    cr_assert_eq(dmt_buddy_blocks(b, 2), 2, "0, 8");
    cr_assert_eq(block(b, 0), 5);
    cr_assert_eq(block(b, 0), 6);
    cr_assert_eq(block(b, 1), 12, "0 is lower but in a larger block");
    cr_assert_eq(block(b, 1), 0, "the low half of the lower block");
    cr_assert_eq(block(b, 0), 2);
    cr_assert_eq(block(b, 2), 8);
    cr_assert_eq(block(b, 1), UINT64_MAX);
    cr_assert_eq(block(b, 0), 3);
    cr_assert_eq(dmt_buddy_available(b), 0);
    dmt_buddy_delete(b);
}

Test(buddy, runs_are_the_lowest_at_no_boundary)
{
    struct dmt_buddy *b = with(0xff7eed, 24); /* 0, 2-3, 5-7, 9-14, 16-23 */

    cr_assert_eq(run(b, 0), UINT64_MAX);
    cr_assert_eq(run(b, 9), UINT64_MAX, "20 frames are free, but not 9 in a row");
    cr_assert_eq(run(b, 5), 9);
    cr_assert_eq(run(b, 2), 2);
    cr_assert_eq(run(b, 3), 5);
    cr_assert_eq(run(b, 1), 0);
    cr_assert_eq(run(b, 2), 16, "14 is alone");
    cr_assert_eq(run(b, 1), 14);
    cr_assert_eq(run(b, 6), 18);
    cr_assert_eq(run(b, 1), UINT64_MAX);
    dmt_buddy_delete(b);
}

Test(buddy, runs_longer_than_a_block)
{
    struct dmt_buddy *b = dmt_buddy_new(77, 5 * LARGEST);
    uint64_t n = 2 * LARGEST + 5;

    cr_assert_eq(run(b, 0), UINT64_MAX);
    cr_assert_eq(run(b, UINT64_MAX), UINT64_MAX);
    cr_assert_eq(run(b, 5 * LARGEST + 1), UINT64_MAX);
    cr_assert_eq(run(b, 5 * LARGEST), 77, "the whole memory");
    cr_assert(dmt_buddy_release(b, 77, 5 * LARGEST));
    cr_assert(dmt_buddy_alloc_at(b, 77 + n - 1, 1));
    cr_assert_eq(run(b, n), 77 + n);
    cr_assert_eq(run(b, n - 1), 77);
    cr_assert_eq(dmt_buddy_available(b), 5 * LARGEST - 2 * n);
    dmt_buddy_delete(b);
}

Test(buddy, exact_frames_or_none)
{
    struct dmt_buddy *b = dmt_buddy_new(100, 100);

    cr_assert_not(dmt_buddy_alloc_at(b, 99, 2));
    cr_assert_not(dmt_buddy_alloc_at(b, 199, 2));
    cr_assert_not(dmt_buddy_alloc_at(b, 100, 101));
    cr_assert_not(dmt_buddy_alloc_at(b, 150, 0));
    cr_assert_not(dmt_buddy_alloc_at(b, 150, UINT64_MAX), "the end wraps");
    cr_assert_not(dmt_buddy_alloc_at(b, UINT64_MAX, 150), "the end wraps");
    cr_assert_eq(dmt_buddy_available(b), 100);
    cr_assert(dmt_buddy_alloc_at(b, 127, 3));
    cr_assert_not(dmt_buddy_alloc_at(b, 120, 8), "the last is not free");
    cr_assert_not(dmt_buddy_alloc_at(b, 129, 8), "the first is not free");
    cr_assert_not(dmt_buddy_alloc_at(b, 120, 20), "some in the middle are not free");
    cr_assert_eq(dmt_buddy_available(b), 97);
    cr_assert(dmt_buddy_is_free(b, 126) && !dmt_buddy_is_free(b, 127));
    cr_assert(!dmt_buddy_is_free(b, 129) && dmt_buddy_is_free(b, 130));
    cr_assert(dmt_buddy_alloc_at(b, 100, 27) && dmt_buddy_alloc_at(b, 130, 70));
    cr_assert_eq(dmt_buddy_available(b), 0);
    dmt_buddy_delete(b);
}

Test(buddy, released_in_any_portions)
{
    struct dmt_buddy *b = dmt_buddy_new(0, 64);

    cr_assert_eq(block(b, 4), 0);
    cr_assert_eq(run(b, 13), 16);
    cr_assert(dmt_buddy_alloc_at(b, 29, 3));
    cr_assert(dmt_buddy_release(b, 5, 1), "out of a block");
    cr_assert(dmt_buddy_release(b, 14, 17), "of a block, a run and exact frames");
    cr_assert_eq(dmt_buddy_available(b), 32 + 18);
    cr_assert(dmt_buddy_release(b, 0, 5) && dmt_buddy_release(b, 6, 8) && dmt_buddy_release(b, 31, 1));
    cr_assert_eq(dmt_buddy_blocks(b, 6), 1, "all joined again");
    dmt_buddy_delete(b);
}

Test(buddy, double_frees_free_nothing)
{
    struct dmt_buddy *b = dmt_buddy_new(100, 100);

    cr_assert_not(dmt_buddy_release(b, 100, 1), "never allocated");
    cr_assert(dmt_buddy_alloc_at(b, 100, 100));
    cr_assert_not(dmt_buddy_release(b, 99, 1));
    cr_assert_not(dmt_buddy_release(b, 99, 2));
    cr_assert_not(dmt_buddy_release(b, 199, 2));
    cr_assert_not(dmt_buddy_release(b, 150, 0));
    cr_assert_not(dmt_buddy_release(b, 150, UINT64_MAX), "the end wraps");
    cr_assert_not(dmt_buddy_release(b, UINT64_MAX - 1, 150), "the end wraps");
    cr_assert(dmt_buddy_release(b, 128, 2));
    cr_assert_not(dmt_buddy_release(b, 128, 2), "both are free");
    cr_assert_not(dmt_buddy_release(b, 129, 8), "the first is free");
    cr_assert_not(dmt_buddy_release(b, 121, 8), "the last is free");
    cr_assert_not(dmt_buddy_release(b, 100, 100), "two in the middle are free");
    cr_assert_eq(dmt_buddy_available(b), 2);
    cr_assert_eq(dmt_buddy_blocks(b, 1), 1);
    dmt_buddy_delete(b);
}

Test(buddy, unusable_part_of_the_free_memory)
{
    struct dmt_buddy *b = with(0x3f6f, 16); /* blocks 0 and 8 of order 2, 12 of order 1, 5 and 6 of order 0 */

    cr_assert_eq(dmt_buddy_unusable(b, 0), 0.0);
    cr_assert_eq(dmt_buddy_unusable(b, 1), 2.0 / 12);
    cr_assert_eq(dmt_buddy_unusable(b, 2), 4.0 / 12);
    cr_assert_eq(dmt_buddy_unusable(b, 3), 1.0);
    cr_assert_eq(dmt_buddy_unusable(b, DMT_BUDDY_ORDER_MAX), 1.0);
    cr_assert_eq(dmt_buddy_unusable(b, UINT32_MAX), 1.0, "no block is that large");
    dmt_buddy_delete(b);
    b = with(0, 16);
    cr_assert_eq(dmt_buddy_unusable(b, 5), 0.0, "nothing is free");
    cr_assert_not(dmt_buddy_fragment(b, 5, 0.5, 1));
    cr_assert(dmt_buddy_fragment(b, 5, 0, 1));
    dmt_buddy_delete(b);
}

/* The dial asks for everything: half of the free memory goes, and no more, or a 512th. */
Test(buddy, dial_at_its_end)
{
    for (unsigned order = 1; order <= 9; order += 8) {
        struct dmt_buddy *b = dmt_buddy_new(1024, 8192);
        cr_assert(dmt_buddy_fragment(b, order, 1, 7));
        cr_assert_eq(dmt_buddy_pinned(b), 8192u >> order);
        cr_assert_eq(dmt_buddy_available(b), 8192 - (8192u >> order));
        cr_assert_eq(dmt_buddy_unusable(b, order), 1.0);
        cr_assert_eq(block(b, order), UINT64_MAX);
        cr_assert(dmt_buddy_fragment(b, order, 1, 8), "nothing is left to do");
        cr_assert_eq(dmt_buddy_pinned(b), 8192u >> order);
        dmt_buddy_unpin(b);
        cr_assert_eq(dmt_buddy_pinned(b), 0);
        cr_assert_eq(dmt_buddy_available(b), 8192);
        cr_assert_eq(dmt_buddy_unusable(b, 10), 0.0);
        dmt_buddy_delete(b);
    }
}

Test(buddy, dial_pins_here_and_there)
{
    struct dmt_buddy *b = dmt_buddy_new(5, 8192);
    uint64_t pins[8] = {0};

    cr_assert(dmt_buddy_fragment(b, 4, 0.5, 1));
    for (uint64_t i = 0; i < 8192; i++) {
        pins[i / 1024] += !dmt_buddy_is_free(b, 5 + i);
    }
    for (unsigned i = 0; i < 8; i++) {
        cr_assert(pins[i] >= 16 && pins[i] <= 48, "%" PRIu64 " of 64 blocks in part %u", pins[i], i);
    }
    dmt_buddy_delete(b);
}

Test(buddy, dial_cannot_spoil_single_frames)
{
    struct dmt_buddy *b = dmt_buddy_new(0, 64);

    cr_assert(dmt_buddy_fragment(b, 0, 0, 1));
    cr_assert_not(dmt_buddy_fragment(b, 0, 0.1, 1));
    cr_assert_eq(dmt_buddy_pinned(b), 0);
    dmt_buddy_delete(b);
}

Test(buddy, pinned_frames_are_not_the_callers)
{
    struct dmt_buddy *b = dmt_buddy_new(0, 1024);
    uint64_t pin = 0;

    cr_assert_eq(run(b, 512), 0);
    cr_assert(dmt_buddy_fragment(b, 9, 1, 3));
    cr_assert_eq(dmt_buddy_pinned(b), 1);
    while (pin < 512 || dmt_buddy_is_free(b, pin)) {
        pin++;
    }
    cr_assert_not(dmt_buddy_alloc_at(b, pin, 1));
    cr_assert_not(dmt_buddy_release(b, pin, 1));
    cr_assert(dmt_buddy_alloc_at(b, 512, pin - 512));
    cr_assert_not(dmt_buddy_release(b, 500, pin - 500 + 1), "the last is pinned");
    cr_assert(dmt_buddy_release(b, 500, pin - 500), "all but the pinned one");
    dmt_buddy_unpin(b);
    cr_assert(dmt_buddy_is_free(b, pin));
    cr_assert_not(dmt_buddy_release(b, pin, 1));
    dmt_buddy_delete(b);
}

/* Frames pinned, told from those allocated by asking before and after. */
static uint64_t pins(struct dmt_buddy *b, uint64_t seed, bool *is_pin, uint64_t frames)
{
    uint64_t n = dmt_buddy_pinned(b);

    for (uint64_t i = 0; i < frames; i++) {
        is_pin[i] = dmt_buddy_is_free(b, i);
    }
    must(dmt_buddy_fragment(b, 6, 0.7, seed));
    for (uint64_t i = 0; i < frames; i++) {
        is_pin[i] = is_pin[i] && !dmt_buddy_is_free(b, i);
    }
    return dmt_buddy_pinned(b) - n;
}

Test(buddy, dial_follows_free_frames_and_seed_alone)
{
    enum { FRAMES = 4000 };
    static bool is_pin[3][FRAMES];
    struct dmt_buddy *a = dmt_buddy_new(0, FRAMES), *b = dmt_buddy_new(0, FRAMES);
    uint64_t n;

    cr_assert(dmt_buddy_alloc_at(a, 1001, 1003));
    for (uint64_t i = 0; i < FRAMES; i += 2) {
        cr_assert(dmt_buddy_alloc_at(b, i, 1));
    }
    for (uint64_t i = 1; i < FRAMES; i += 2) {
        cr_assert(dmt_buddy_alloc_at(b, i, 1));
    }
    cr_assert(dmt_buddy_release(b, 2004, FRAMES - 2004) && dmt_buddy_release(b, 0, 1001));
    dmt_buddy_fail_after(b, 0);
    n = pins(a, 11, is_pin[0], FRAMES);
    cr_assert_eq(pins(b, 11, is_pin[1], FRAMES), n, "pins are not injected failures");
    cr_assert_eq(block(b, 0), UINT64_MAX);
    cr_assert_arr_eq(is_pin[0], is_pin[1], sizeof is_pin[0]);
    dmt_buddy_unpin(b);
    pins(b, 12, is_pin[2], FRAMES);
    cr_assert_arr_neq(is_pin[0], is_pin[2], sizeof is_pin[0]);
    dmt_buddy_delete(a);
    dmt_buddy_delete(b);
}

/* One allocation of a kind, at frames nothing else takes. */
static bool allocate(struct dmt_buddy *b, unsigned kind)
{
    uint64_t pfn;

    switch (kind) {
    case 0:
        return dmt_buddy_alloc(b, 3, &pfn);
    case 1:
        return dmt_buddy_alloc_run(b, 7, &pfn);
    default:
        for (pfn = 4000; !dmt_buddy_is_free(b, pfn);) {
            pfn--;
        }
        return dmt_buddy_alloc_at(b, pfn, 1);
    }
}

Test(buddy, injected_failures)
{
    struct dmt_buddy *b = dmt_buddy_new(0, 4096);

    for (unsigned kind = 0; kind < 3; kind++) {
        for (uint64_t n = 0; n < 5; n++) {
            dmt_buddy_fail_after(b, n);
            for (uint64_t i = 0; i < n; i++) {
                cr_assert_eq(block(b, 13), UINT64_MAX);
                cr_assert_not(dmt_buddy_release(b, 4095, 1), "this does not count, nor the failure before");
                cr_assert(allocate(b, (unsigned)(kind + i) % 3));
            }
            uint64_t available = dmt_buddy_available(b);
            cr_assert_not(allocate(b, kind));
            cr_assert_eq(dmt_buddy_available(b), available);
            for (unsigned i = 0; i < 3; i++) {
                cr_assert(allocate(b, i), "injection is off");
            }
        }
    }
    dmt_buddy_fail_after(b, 0);
    cr_assert_eq(block(b, 13), UINT64_MAX, "used up by what fails anyway");
    cr_assert(allocate(b, 0));
    dmt_buddy_fail_after(b, 0);
    dmt_buddy_fail_after(b, UINT64_MAX);
    cr_assert(allocate(b, 0), "called off");
    dmt_buddy_delete(b);
}

/* 256 GiB: bitmaps of five levels. */
Test(buddy, large_memory)
{
    uint64_t first = (UINT64_C(1) << 39) + 5, frames = UINT64_C(1) << 26, hole = first + frames / 2;
    struct dmt_buddy *b = dmt_buddy_new(first, frames);

    cr_assert_eq(block(b, 0), first);
    cr_assert(dmt_buddy_alloc_at(b, hole, 1));
    cr_assert_eq(run(b, frames / 2), UINT64_MAX);
    cr_assert_eq(run(b, frames / 2 - 1), first + 1);
    cr_assert_eq(block(b, 0), first + frames - 1, "the only block of one frame");
    cr_assert_eq(run(b, frames / 2 - 2), hole + 1);
    cr_assert_eq(dmt_buddy_available(b), 0);
    cr_assert(dmt_buddy_release(b, first + frames - 1, 1));
    cr_assert_eq(block(b, 0), first + frames - 1);
    cr_assert(dmt_buddy_release(b, first, frames));
    cr_assert_eq(dmt_buddy_blocks(b, DMT_BUDDY_ORDER_MAX), 255);
    dmt_buddy_delete(b);
}

/* ---- random */

struct pair {
    struct dmt_buddy *b;
    struct reference r;
    uint64_t successes; /* until the injected failure, UINT64_MAX: none */
    struct rng rng;
    unsigned done[2][4], dials; /* successes and failures by kind: the test is to see both */
};

/* Judge an allocation of n frames, which are due at a place if `expected`, and note it in the reference. */
static void settle(struct pair *p, unsigned kind, bool expected, uint64_t due, bool got, uint64_t pfn,
                   uint64_t n)
{
    if (p->successes == 0) {
        p->successes = UINT64_MAX;
        expected = false;
    }
    must(got == expected, "kind %u at %" PRIu64 ", %" PRIu64 " frames", kind, due, n);
    p->done[got][kind]++;
    if (got) {
        must(pfn == due, "kind %u, %" PRIu64 " frames: at %" PRIu64 ", should be %" PRIu64, kind, n, pfn,
             due);
        p->successes -= p->successes != UINT64_MAX;
        put(&p->r, pfn, n, HELD);
    }
}

/* Mostly short, sometimes long: 1 to the number of frames and a few more. */
static uint64_t length(struct pair *p)
{
    uint64_t n = rng_below(&p->rng, 8) == 0 ? p->r.frames + 3 : UINT64_C(1) << (1 + rng_below(&p->rng, 7));

    return 1 + rng_below(&p->rng, n);
}

/* A frame, sometimes one of the few outside on both sides. */
static uint64_t somewhere(struct pair *p)
{
    return p->r.first - 2 + rng_below(&p->rng, p->r.frames + 4);
}

static void turn_dial(struct pair *p)
{
    unsigned order = (unsigned)rng_below(&p->rng, 11);
    double target = (double)rng_below(&p->rng, 11) / 10;
    uint64_t available = count(&p->r, FREE), pinned = count(&p->r, PINNED);
    bool is_due = unusable(&p->r, order) < target;
    bool reached = dmt_buddy_fragment(p->b, order, target, rng_next(&p->rng));

    for (uint64_t i = 0; i < p->r.frames; i++) {
        if (p->r.state[i] == FREE && !dmt_buddy_is_free(p->b, p->r.first + i)) {
            p->r.state[i] = PINNED;
        }
    }
    pinned = count(&p->r, PINNED) - pinned;
    must(pinned <= available / 2);
    must(is_due || pinned == 0, "there was nothing to do");
    must(reached == (unusable(&p->r, order) >= target));
    must(reached || order == 0 || available == 0, "order %u, target %f", order, target);
    p->dials += pinned != 0;
}

static void step(struct pair *p, bool fills)
{
    uint64_t pfn = 0, due = 0, n = length(p);
    unsigned order = rng_below(&p->rng, 3) == 0 ? (unsigned)rng_below(&p->rng, 10) : 0;
    bool expected, got;

    switch (rng_below(&p->rng, 16)) {
    case 0:
    case 1:
    case 2:
        expected = find(&p->r, order, &due);
        got = dmt_buddy_alloc(p->b, order, &pfn);
        settle(p, 0, expected, due, got, pfn, UINT64_C(1) << order);
        break;
    case 3:
    case 4:
        expected = find_run(&p->r, n, &due);
        got = dmt_buddy_alloc_run(p->b, n, &pfn);
        settle(p, 1, expected, due, got, pfn, n);
        break;
    case 5:
    case 6:
        pfn = somewhere(p);
        settle(p, 2, all(&p->r, pfn, n, FREE), pfn, dmt_buddy_alloc_at(p->b, pfn, n), pfn, n);
        break;
    case 7:
        if (rng_below(&p->rng, 8) == 0) {
            p->successes = rng_below(&p->rng, 5);
            dmt_buddy_fail_after(p->b, p->successes);
        }
        break;
    case 8:
        if (rng_below(&p->rng, 32) == 0) {
            turn_dial(p);
        } else if (rng_below(&p->rng, 32) == 0) {
            dmt_buddy_unpin(p->b);
            for (uint64_t i = 0; i < p->r.frames; i++) {
                p->r.state[i] = p->r.state[i] == PINNED ? FREE : p->r.state[i];
            }
        }
        break;
    default:
        pfn = somewhere(p);
        if (rng_below(&p->rng, 4) != 0) { /* else most are double frees */
            for (n = 0; n < (fills ? 8 : 64) && all(&p->r, pfn + n, 1, HELD);) {
                n++;
            }
        }
        expected = n != 0 && all(&p->r, pfn, n, HELD);
        must(dmt_buddy_release(p->b, pfn, n) == expected, "%" PRIu64 ", %" PRIu64 " frames", pfn, n);
        p->done[expected][3]++;
        if (expected) {
            put(&p->r, pfn, n, FREE);
        }
    }
}

static void against_reference(uint64_t first, uint64_t frames, unsigned steps)
{
    struct pair p = {.b = dmt_buddy_new(first, frames), .successes = UINT64_MAX};

    p.r = (struct reference){first, frames, calloc(frames, 1)};
    rng_seed(&p.rng, first, frames);
    for (unsigned i = 0; i < steps; i++) {
        step(&p, i / 512 % 2 == 0);
        if (i % 8 == 0) {
            compare(p.b, &p.r);
        }
    }
    for (unsigned kind = 0; kind < 4; kind++) {
        must(p.done[0][kind] > steps / 100 && p.done[1][kind] > steps / 200, "kind %u: %u failed, %u not",
             kind, p.done[0][kind], p.done[1][kind]);
    }
    must(p.dials > steps / 5000, "%u", p.dials);
    free(p.r.state);
    dmt_buddy_delete(p.b);
}

Test(buddy, random_operations_match_an_array)
{
    against_reference(4096, 1024, 20000);
    against_reference(777, 331, 20000);
    against_reference(LARGEST - 501, 1203, 20000);
    against_reference((UINT64_C(1) << 40) - 700, 699, 20000);
    against_reference(3, 70, 20000);
}
