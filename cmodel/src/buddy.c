/* SPDX-License-Identifier: Apache-2.0
 * Buddy allocator. Free blocks are kept as one bitmap an order, each with
 * bitmaps of its nonzero words above it, so that the lowest block is found in
 * one step a level; what is used is a bitmap of frames. All of it starts as
 * zeroes that are not touched before they are needed: four bits a frame.
 *
 * Two free buddies are always joined, so which blocks are free follows from
 * which frames are free, whatever the history.
 *
 * Inside, frames are counted from `base`, a boundary of the largest block. */
#include "dmt/buddy.h"

#include <stdlib.h>

#define ORDERS (DMT_BUDDY_ORDER_MAX + 1)
#define LEVELS 7 /* 64^7 bits: frames are fewer than 2^41, margin included */

/* Bit i % 64 of level[n + 1][i / 64] says that level[n][i] is not zero; the last level is one word. */
struct map {
    uint64_t *level[LEVELS];
    unsigned levels;
};

struct dmt_buddy {
    uint64_t base;           /* first frame rounded down to a largest block */
    uint64_t low, high;      /* the memory, from base */
    uint64_t available;      /* frames free */
    uint64_t blocks[ORDERS]; /* free blocks */
    uint32_t orders;         /* bit n: blocks[n] is not 0 */
    struct map free[ORDERS]; /* bit i: block i of the order is free, and in no larger free block */
    uint64_t *used;          /* bit i: frame i is not free; says nothing outside the memory */
    struct map pinned;       /* frames the dial holds, used as well */
    uint64_t pins;
    uint64_t successes; /* until the injected failure; UINT64_MAX: none */
    uint64_t *words;    /* of all bitmaps */
};

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static unsigned lowest(uint64_t word)
{
    return (unsigned)__builtin_ctzll(word);
}

static unsigned highest(uint64_t word)
{
    return 63 - (unsigned)__builtin_clzll(word);
}

/* ---- sets of numbers */

static uint64_t map_words(uint64_t bits)
{
    uint64_t words = 0;

    do {
        bits = (bits + 63) / 64;
        words += bits;
    } while (bits > 1);
    return words;
}

/* Lay the levels of a map into zeroed words; returns the words behind them. */
static uint64_t *map_lay(struct map *m, uint64_t bits, uint64_t *words)
{
    do {
        bits = (bits + 63) / 64;
        m->level[m->levels++] = words;
        words += bits;
    } while (bits > 1);
    return words;
}

static bool map_has(const struct map *m, uint64_t i)
{
    return m->level[0][i / 64] >> i % 64 & 1;
}

static void map_set(struct map *m, uint64_t i)
{
    for (unsigned n = 0; n < m->levels; n++, i /= 64) {
        uint64_t *word = &m->level[n][i / 64];
        uint64_t before = *word;
        *word = before | UINT64_C(1) << i % 64;
        if (before != 0) {
            return;
        }
    }
}

static void map_clear(struct map *m, uint64_t i)
{
    for (unsigned n = 0; n < m->levels; n++, i /= 64) {
        uint64_t *word = &m->level[n][i / 64];
        *word &= ~(UINT64_C(1) << i % 64);
        if (*word != 0) {
            return;
        }
    }
}

/* The lowest number below i, the index of a word of level `level`. */
static uint64_t map_down(const struct map *m, unsigned level, uint64_t i)
{
    for (;;) {
        i = i * 64 + lowest(m->level[level][i]);
        if (level == 0) {
            return i;
        }
        level--;
    }
}

/* The lowest number of a map that is not empty. */
static uint64_t map_first(const struct map *m)
{
    return map_down(m, m->levels - 1, 0);
}

/* The lowest number from i on, which is in the range of the map. False: none. */
static bool map_next(const struct map *m, uint64_t i, uint64_t *found)
{
    uint64_t mask = UINT64_MAX << i % 64;

    for (unsigned n = 0; n < m->levels; n++) {
        uint64_t word = m->level[n][i / 64] & mask;
        if (word != 0) {
            i = i / 64 * 64 + lowest(word);
            *found = n == 0 ? i : map_down(m, n - 1, i);
            return true;
        }
        i /= 64;
        mask = UINT64_MAX << i % 64 << 1 /* behind i, where there is nothing */;
    }
    return false;
}

/* ---- used frames */

static void mark(struct dmt_buddy *b, uint64_t lo, uint64_t hi, bool used)
{
    while (lo < hi) {
        uint64_t end = min(hi, (lo / 64 + 1) * 64);
        uint64_t mask = UINT64_MAX >> (64 - (end - lo)) << lo % 64;
        if (used) {
            b->used[lo / 64] |= mask;
        } else {
            b->used[lo / 64] &= ~mask;
        }
        lo = end;
    }
}

/* The highest used frame of [lo, hi). False: none. */
static bool last_used(const struct dmt_buddy *b, uint64_t lo, uint64_t hi, uint64_t *at)
{
    while (lo < hi) {
        uint64_t i = (hi - 1) / 64;
        uint64_t word = b->used[i] & UINT64_MAX >> (63 - (hi - 1) % 64);
        if (word != 0) {
            *at = i * 64 + highest(word);
            return *at >= lo;
        }
        hi = i * 64;
    }
    return false;
}

/* The lowest free frame of [lo, hi), or hi. */
static uint64_t next_free(const struct dmt_buddy *b, uint64_t lo, uint64_t hi)
{
    while (lo < hi) {
        uint64_t word = ~b->used[lo / 64] & UINT64_MAX << lo % 64;
        if (word != 0) {
            return min(hi, lo / 64 * 64 + lowest(word));
        }
        lo = (lo / 64 + 1) * 64;
    }
    return hi;
}

/* ---- free blocks */

static void block_add(struct dmt_buddy *b, unsigned order, uint64_t i)
{
    map_set(&b->free[order], i);
    b->blocks[order]++;
    b->orders |= UINT32_C(1) << order;
}

static void block_remove(struct dmt_buddy *b, unsigned order, uint64_t i)
{
    map_clear(&b->free[order], i);
    if (--b->blocks[order] == 0) {
        b->orders &= ~(UINT32_C(1) << order);
    }
}

/* Make blocks of [lo, hi), joining them with their buddies. */
static void blocks_give(struct dmt_buddy *b, uint64_t lo, uint64_t hi)
{
    while (lo < hi) {
        unsigned order = (unsigned)min(lowest(lo | UINT64_C(1) << DMT_BUDDY_ORDER_MAX), highest(hi - lo));
        uint64_t i = lo >> order;
        lo += UINT64_C(1) << order;
        while (order < DMT_BUDDY_ORDER_MAX && map_has(&b->free[order], i ^ 1)) {
            block_remove(b, order, i ^ 1);
            order++;
            i /= 2;
        }
        block_add(b, order, i);
    }
}

/* Cut [lo, hi), all of it free, out of the blocks. */
static void blocks_take(struct dmt_buddy *b, uint64_t lo, uint64_t hi)
{
    while (lo < hi) {
        unsigned order = 0;
        while (!map_has(&b->free[order], lo >> order)) {
            order++;
        }
        uint64_t from = lo >> order << order, to = from + (UINT64_C(1) << order);
        block_remove(b, order, lo >> order);
        blocks_give(b, from, lo);
        blocks_give(b, hi, to); /* nothing when hi is behind */
        lo = to;
    }
}

/* The block of at least an order that is or contains the lowest frame from `at` on that is in such a block.
 * False: none. */
static bool blocks_next(const struct dmt_buddy *b, unsigned order, uint64_t at, uint64_t *from,
                        unsigned *size)
{
    uint64_t i;

    *from = UINT64_MAX;
    for (uint32_t orders = b->orders >> order << order; orders != 0; orders &= orders - 1) {
        unsigned n = lowest(orders);
        if (map_next(&b->free[n], at >> n, &i) && i << n < *from) {
            *from = i << n;
            *size = n;
        }
    }
    return *from != UINT64_MAX;
}

/* ---- the interface */

struct dmt_buddy *dmt_buddy_new(uint64_t first, uint64_t frames)
{
    struct dmt_buddy *b = calloc(1, sizeof *b);

    if (b == NULL) {
        return NULL;
    }
    b->base = first >> DMT_BUDDY_ORDER_MAX << DMT_BUDDY_ORDER_MAX;
    b->low = first - b->base;
    b->high = b->low + frames;
    b->successes = UINT64_MAX;

    uint64_t used = (b->high + 63) / 64, words = used + map_words(b->high);
    for (unsigned n = 0; n < ORDERS; n++) {
        words += map_words((b->high >> n) + 1); /* the buddy of the last block has a bit, too */
    }
    b->words = calloc(words, sizeof *b->words);
    if (b->words == NULL) {
        free(b);
        return NULL;
    }
    b->used = b->words;
    uint64_t *next = map_lay(&b->pinned, b->high, b->words + used);
    for (unsigned n = 0; n < ORDERS; n++) {
        next = map_lay(&b->free[n], (b->high >> n) + 1, next);
    }
    blocks_give(b, b->low, b->high);
    b->available = frames;
    return b;
}

void dmt_buddy_delete(struct dmt_buddy *b)
{
    if (b != NULL) {
        free(b->words);
        free(b);
    }
}

/* Every allocation asks once, before it looks for anything. */
static bool injected(struct dmt_buddy *b)
{
    if (b->successes != 0) {
        return false;
    }
    b->successes = UINT64_MAX;
    return true;
}

static void succeeded(struct dmt_buddy *b, uint64_t frames)
{
    b->available -= frames;
    if (b->successes != UINT64_MAX) {
        b->successes--;
    }
}

static bool contains(const struct dmt_buddy *b, uint64_t pfn, uint64_t n)
{
    uint64_t frames = b->high - b->low, first = b->base + b->low;

    return n <= frames && pfn - first <= frames - n; /* below first, the difference wraps */
}

bool dmt_buddy_alloc(struct dmt_buddy *b, unsigned order, uint64_t *pfn)
{
    if (order > DMT_BUDDY_ORDER_MAX || injected(b) || b->orders >> order == 0) {
        return false;
    }
    unsigned n = order + lowest(b->orders >> order);
    uint64_t i = map_first(&b->free[n]);
    block_remove(b, n, i);
    while (n > order) { /* the low half is split on */
        n--;
        i *= 2;
        block_add(b, n, i + 1);
    }
    mark(b, i << order, (i + 1) << order, true);
    succeeded(b, UINT64_C(1) << order);
    *pfn = b->base + (i << order);
    return true;
}

bool dmt_buddy_alloc_run(struct dmt_buddy *b, uint64_t n, uint64_t *pfn)
{
    uint64_t at, known, used;
    unsigned size;

    if (n == 0 || injected(b) || n > b->available) {
        return false;
    }
    /* Wherever n frames start, a block of this order starts less than its size behind and ends among them. */
    unsigned order = (unsigned)min(highest(n + 1) - 1, DMT_BUDDY_ORDER_MAX);
    uint64_t before = (UINT64_C(1) << order) - 1;
    if (!blocks_next(b, order, 0, &at, &size)) {
        return false;
    }
    at = next_free(b, at > b->low + before ? at - before : b->low, b->high);
    known = at; /* [at, known) is free: nothing is looked at twice */
    while (n <= b->high - at) {
        if (!last_used(b, known, at + n, &used)) {
            mark(b, at, at + n, true);
            blocks_take(b, at, at + n);
            succeeded(b, n);
            *pfn = b->base + at;
            return true;
        }
        known = at + n;
        at = next_free(b, used + 1, b->high);
        known = known > at ? known : at;
    }
    return false;
}

bool dmt_buddy_alloc_at(struct dmt_buddy *b, uint64_t pfn, uint64_t n)
{
    uint64_t at = pfn - b->base, used;

    if (n == 0 || injected(b) || !contains(b, pfn, n) || last_used(b, at, at + n, &used)) {
        return false;
    }
    mark(b, at, at + n, true);
    blocks_take(b, at, at + n);
    succeeded(b, n);
    return true;
}

bool dmt_buddy_release(struct dmt_buddy *b, uint64_t pfn, uint64_t n)
{
    uint64_t at = pfn - b->base, pin;

    if (n == 0 || !contains(b, pfn, n) || next_free(b, at, at + n) != at + n ||
        (b->pins != 0 && map_next(&b->pinned, at, &pin) && pin < at + n)) {
        return false;
    }
    mark(b, at, at + n, false);
    blocks_give(b, at, at + n);
    b->available += n;
    return true;
}

bool dmt_buddy_is_free(const struct dmt_buddy *b, uint64_t pfn)
{
    uint64_t at = pfn - b->base;

    return contains(b, pfn, 1) && !(b->used[at / 64] >> at % 64 & 1);
}

bool dmt_buddy_has(const struct dmt_buddy *b, uint64_t pfn)
{
    return contains(b, pfn, 1);
}

uint64_t dmt_buddy_frames(const struct dmt_buddy *b)
{
    return b->high - b->low;
}

uint64_t dmt_buddy_available(const struct dmt_buddy *b)
{
    return b->available;
}

uint64_t dmt_buddy_blocks(const struct dmt_buddy *b, unsigned order)
{
    return order <= DMT_BUDDY_ORDER_MAX ? b->blocks[order] : 0;
}

double dmt_buddy_unusable(const struct dmt_buddy *b, unsigned order)
{
    uint64_t frames = 0; /* in blocks that are too small */

    for (unsigned n = 0; n < order && n < ORDERS; n++) {
        frames += b->blocks[n] << n;
    }
    return b->available != 0 ? (double)frames / (double)b->available : 0;
}

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

bool dmt_buddy_fragment(struct dmt_buddy *b, unsigned order, double target, uint64_t seed)
{
    uint64_t from;
    unsigned size;

    /* Only blocks that are still of use are hit, once each: of the frames that go out of use with a pin at
     * most half, a buddy pair's one, are pinned. No pin makes anything useless for single frames. */
    while (dmt_buddy_unusable(b, order) < target) {
        uint64_t at = b->low + draw(&seed) % (b->high - b->low);
        if (order == 0 || order > DMT_BUDDY_ORDER_MAX ||
            (!blocks_next(b, order, at, &from, &size) && !blocks_next(b, order, 0, &from, &size))) {
            return false;
        }
        if (at - from >= UINT64_C(1) << size) { /* outside, before (wrapping) or behind: any frame of it */
            at = from + draw(&seed) % (UINT64_C(1) << size);
        }
        mark(b, at, at + 1, true);
        blocks_take(b, at, at + 1);
        map_set(&b->pinned, at);
        b->available--;
        b->pins++;
    }
    return true;
}

uint64_t dmt_buddy_pinned(const struct dmt_buddy *b)
{
    return b->pins;
}

void dmt_buddy_unpin(struct dmt_buddy *b)
{
    for (; b->pins != 0; b->pins--) {
        uint64_t at = map_first(&b->pinned);
        map_clear(&b->pinned, at);
        mark(b, at, at + 1, false);
        blocks_give(b, at, at + 1);
        b->available++;
    }
}

void dmt_buddy_fail_after(struct dmt_buddy *b, uint64_t n)
{
    b->successes = n;
}
