/* SPDX-License-Identifier: Apache-2.0
 * Sets are arrays of 32-bit tags, most recently used first: a set of the LLC is
 * then one line of the host, which is what a miss of the simulation costs. */
#include "eval/caches.h"

#include "io.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINE_BITS 6
#define LEVELS    3
#define TABLE_LINE UINT32_C(0x80000000)

/* ---------------------------------------------------------------- data caches */

struct level {
    uint32_t *tag; /* by set, most recent first; 0: none */
    uint64_t last; /* line asked for last, + 1: artifact.repeat_miss */
    uint32_t mask, ways, stride, clocks; /* a set is `stride` long: aligned */
    unsigned shift;
};

/* When a bank or the bus is taken. Reads are asked for in the order of accesses, not of clocks: walks are under
 * way at the same time, and one that was asked for before may come later. Each gets the first gap from its own
 * clock on; none that has been answered is moved. */
struct busy {
    uint64_t from, to, row; /* row: open row + 1 from then on; of the bus 0 */
};

struct calendar {
    struct busy *at; /* in order, apart from each other or of different rows */
    size_t first, end, room;
    uint64_t row; /* before the first */
};

struct eval_caches {
    const struct eval_config *config;
    bool keep; /* eval_caches_keep_tables */
    struct level level[LEVELS];
    struct calendar *bank, bus; /* bank NULL: flat memory */
    uint64_t from;              /* eval_caches_from */
    struct eval_cache_stats stats;
};

static void level_open(struct level *l, uint32_t bytes, uint32_t ways, uint32_t clocks)
{
    uint32_t sets = (bytes >> LINE_BITS) / ways;

    l->mask = sets - 1;
    l->ways = ways;
    l->clocks = clocks;
    l->shift = (unsigned)__builtin_ctz(sets);
    l->stride = ways <= 4 ? 4 : ways <= 8 ? 8 : (ways + 15) & ~15u;
    l->tag = need(aligned_alloc(64, ((size_t)sets * l->stride * sizeof *l->tag + 63) & ~(size_t)63));
    memset(l->tag, 0, (size_t)sets * l->stride * sizeof *l->tag);
}

struct eval_caches *eval_caches_new(const struct eval_config *c)
{
    struct eval_caches *n = need(calloc(1, sizeof *n));

    n->config = c;
    level_open(&n->level[0], c->d1_bytes, c->d1_ways, c->d1_clocks);
    level_open(&n->level[1], c->d2_bytes, c->d2_ways, c->d2_clocks);
    level_open(&n->level[2], c->d3_bytes, c->d3_ways, c->d3_clocks);
    if (c->dram_banks != 0) {
        n->bank = need(calloc(c->dram_banks, sizeof *n->bank));
    }
    return n;
}

static void calendar_copy(struct calendar *to, const struct calendar *from)
{
    size_t n = from->end - from->first;

    *to = (struct calendar){.end = n, .room = n, .row = from->row};
    if (n != 0) {
        to->at = need(malloc(n * sizeof *to->at));
        memcpy(to->at, from->at + from->first, n * sizeof *to->at);
    }
}

struct eval_caches *eval_caches_clone(const struct eval_caches *c)
{
    struct eval_caches *n = eval_caches_new(c->config);

    for (unsigned i = 0; i < LEVELS; i++) {
        const struct level *l = &c->level[i];
        memcpy(n->level[i].tag, l->tag, ((size_t)l->mask + 1) * l->stride * sizeof *l->tag);
        n->level[i].last = l->last;
    }
    for (uint32_t i = 0; c->bank != NULL && i < c->config->dram_banks; i++) {
        calendar_copy(&n->bank[i], &c->bank[i]);
    }
    calendar_copy(&n->bus, &c->bus);
    n->from = c->from;
    n->keep = c->keep;
    n->stats = c->stats;
    return n;
}

void eval_caches_free(struct eval_caches *c)
{
    for (unsigned i = 0; c != NULL && i < LEVELS; i++) {
        free(c->level[i].tag);
    }
    if (c != NULL) {
        for (uint32_t i = 0; c->bank != NULL && i < c->config->dram_banks; i++) {
            free(c->bank[i].at);
        }
        free(c->bank);
        free(c->bus.at);
    }
    free(c);
}

static inline uint32_t *set_of(const struct level *l, uint64_t line)
{
    return l->tag + (line & l->mask) * l->stride;
}

/* The way of a set that has this tag; `ways` or more: none. Sets are a multiple of four long, what is
 * beyond their ways stays 0, and no tag is. Most of a simulation's time is spent here and in to_back. */
static inline unsigned way_of(const uint32_t *set, unsigned ways, uint32_t tag)
{
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi32((int)tag);
    for (unsigned i = 0; i < ways; i += 4) {
        __m128i same = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)(const void *)(set + i)), wanted);
        unsigned mask = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(same));
        if (mask != 0) {
            return i + (unsigned)__builtin_ctz(mask);
        }
    }
    return ways;
#else
    unsigned i = 0;
    while (i < ways && set[i] != tag) {
        i++;
    }
    return i;
#endif
}

/* The first n ways one back. */
static inline void to_back(uint32_t *set, unsigned n)
{
#ifdef __SSE2__
    while (n >= 4) {
        n -= 4;
        __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(set + n));
        _mm_storeu_si128((__m128i *)(void *)(set + n + 1), four);
    }
#endif
    while (n > 0) {
        set[n] = set[n - 1];
        n--;
    }
}

/* Bring a line to the front of its set. True: it was there. */
static inline bool touch(struct level *l, uint64_t line)
{
    uint64_t wide = (line >> l->shift) + 1;
    uint32_t tag = (uint32_t)wide, *set = set_of(l, line);

    assert(wide <= UINT32_MAX);
    if (set[0] == tag) {
        return true;
    }
    unsigned way = way_of(set, l->ways, tag);
    bool hit = way < l->ways;
    to_back(set, hit ? way : l->ways - 1);
    set[0] = tag;
    return hit;
}

/* The same where lines of tables (bit 31 of their tags) stay: a line of data goes first. */
static bool touch_keep(struct level *l, uint64_t line, uint32_t table)
{
    uint64_t wide = (line >> l->shift) + 1;
    uint32_t tag = (uint32_t)wide, *set = set_of(l, line);
    unsigned way = l->ways - 1;
    bool hit = false;

    assert(wide < TABLE_LINE);
    for (unsigned i = 0; i < l->ways && !hit; i++) {
        if ((set[i] & ~TABLE_LINE) == tag) {
            table |= set[i] & TABLE_LINE;
            way = i;
            hit = true;
        }
    }
    if (!hit) {
        while (way > 0 && (set[way] & TABLE_LINE) != 0) {
            way--;
        }
        if ((set[way] & TABLE_LINE) != 0) {
            way = l->ways - 1; /* nothing but tables */
        }
    }
    memmove(set + 1, set, way * sizeof *set);
    set[0] = tag | table;
    return hit;
}

/* The published simulator's cache answers "not found" when it is asked for the line it was asked for
 * last; that request then counts as memory. */
static inline bool repeats(struct eval_caches *c, struct level *l, uint64_t line)
{
    bool same = l->last == line + 1;

    l->last = line + 1;
    return same && c->config->repeat_miss != 0;
}

/* What ends before `from` is over. */
static void calendar_forget(struct calendar *k, uint64_t from)
{
    while (k->first < k->end && k->at[k->first].to <= from) {
        k->row = k->at[k->first++].row;
    }
}

/* The first one that ends after `now`. */
static size_t calendar_find(const struct calendar *k, uint64_t now)
{
    size_t low = k->first, high = k->end;

    if (low == high || k->at[high - 1].to <= now) {
        return high; /* as a rule */
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (k->at[mid].to <= now) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint64_t row_before(const struct calendar *k, size_t i)
{
    return i > k->first ? k->at[i - 1].row : k->row;
}

/* The first gap from `now` on: for `other` clocks, or for `same` where that row is open. *at: before which one. */
static uint64_t calendar_gap(const struct calendar *k, uint64_t now, uint64_t row, uint32_t same, uint32_t other,
                             size_t *at)
{
    for (size_t i = calendar_find(k, now);; now = k->at[i++].to) {
        uint32_t clocks = row_before(k, i) == row ? same : other;
        if (i == k->end || now + clocks <= k->at[i].from) {
            *at = i;
            return now;
        }
    }
}

static void calendar_take(struct calendar *k, size_t i, struct busy b)
{
    if (i > k->first && k->at[i - 1].to == b.from && k->at[i - 1].row == b.row) {
        k->at[i - 1].to = b.to;
        return;
    }
    if (k->end == k->room && k->first > k->room / 2) {
        memmove(k->at, k->at + k->first, (k->end - k->first) * sizeof *k->at);
        i -= k->first;
        k->end -= k->first;
        k->first = 0;
    }
    if (k->end == k->room) {
        k->room = k->room == 0 ? 16 : 2 * k->room;
        k->at = need(realloc(k->at, k->room * sizeof *k->at));
    }
    memmove(k->at + i + 1, k->at + i, (k->end - i) * sizeof *k->at);
    k->at[i] = b;
    k->end++;
}

static uint64_t memory_read(struct eval_caches *c, uint64_t line, uint64_t now)
{
    const struct eval_config *g = c->config;
    uint64_t start, also;
    size_t in_bank, in_bus;

    if (c->bank == NULL) {
        return now + g->mem_clocks;
    }
    uint64_t row = line / (g->dram_row >> LINE_BITS);
    /* Rows of one bank that conflict are spread over banks, as memory controllers do. */
    struct calendar *b = &c->bank[(row ^ (row >> 7) ^ (row >> 13)) & (g->dram_banks - 1)];

    calendar_forget(b, c->from);
    calendar_forget(&c->bus, c->from);
    for (start = now;; start = also) { /* where both are free */
        start = calendar_gap(b, start, row + 1, g->dram_burst, g->dram_busy, &in_bank);
        also = calendar_gap(&c->bus, start, 0, g->dram_burst, g->dram_burst, &in_bus);
        if (also == start) {
            break;
        }
    }
    bool open = row_before(b, in_bank) == row + 1;
    calendar_take(&c->bus, in_bus, (struct busy){start, start + g->dram_burst, 0});
    calendar_take(b, in_bank, (struct busy){start, start + (open ? g->dram_burst : g->dram_busy), row + 1});
    return start + (open ? g->dram_hit : g->mem_clocks);
}

void eval_caches_from(struct eval_caches *c, uint64_t now)
{
    c->from = now;
}

/* L1D has no such thing: its lines are too few to matter. */
static inline bool touch_level(struct eval_caches *c, unsigned i, uint64_t line, uint32_t table)
{
    return c->keep && i > 0 ? touch_keep(&c->level[i], line, table) : touch(&c->level[i], line);
}

/* A line comes into the caches from `first` on. table: TABLE_LINE or 0. */
static inline uint64_t reference(struct eval_caches *c, unsigned first, uint64_t line, uint64_t now, uint32_t table,
                                 enum eval_level *level)
{
    unsigned hit = LEVELS;

    __builtin_prefetch(set_of(&c->level[LEVELS - 1], line));
    __builtin_prefetch(set_of(&c->level[LEVELS - 1], line + 1));
    for (unsigned i = first; i < LEVELS; i++) {
        struct level *l = &c->level[i];
        if (repeats(c, l, line)) {
            touch_level(c, i, line, table);
            break;
        }
        if (touch_level(c, i, line, table)) {
            hit = i;
            break;
        }
    }
    *level = (enum eval_level)(EVAL_L1 + hit);
    return hit < LEVELS ? now + c->level[hit].clocks : memory_read(c, line, now);
}

/* The prefetcher: what an L1D miss at `now` brings in besides. Nobody waits for it. */
static void next_line(struct eval_caches *c, uint64_t line, uint64_t now, uint32_t table)
{
    for (unsigned i = 0; i < LEVELS; i++) {
        if (touch_level(c, i, line + 1, table)) {
            return;
        }
    }
    if (c->bank != NULL) {
        memory_read(c, line + 1, now);
    }
}

uint64_t eval_caches_data(struct eval_caches *c, uint64_t pa, uint64_t now)
{
    enum eval_level level;
    uint64_t done = reference(c, 0, pa >> LINE_BITS, now, 0, &level);

    c->stats.data[level]++;
    if (level != EVAL_L1 && c->config->next_line != 0) {
        next_line(c, pa >> LINE_BITS, now, 0);
    }
    return done;
}

uint64_t eval_caches_walk(struct eval_caches *c, uint64_t pa, uint64_t now, enum eval_level *level)
{
    unsigned first = c->config->walker_port - 1;
    uint64_t done = reference(c, first, pa >> LINE_BITS, now, TABLE_LINE, level);

    c->stats.walk[*level]++;
    if (first == 0 && *level != EVAL_L1 && c->config->next_line != 0) {
        next_line(c, pa >> LINE_BITS, now, TABLE_LINE);
    }
    return done;
}

uint64_t eval_caches_prefetch(struct eval_caches *c, uint64_t pa, uint64_t now, enum eval_level *level)
{
    uint64_t done = reference(c, 0, pa >> LINE_BITS, now, TABLE_LINE, level);

    c->stats.walk[*level]++;
    /* As a walk that would have missed: else designs with prefetches would lose what the prefetcher brings. */
    if (c->config->walker_port == 1 && *level != EVAL_L1 && c->config->next_line != 0) {
        next_line(c, pa >> LINE_BITS, now, TABLE_LINE);
    }
    return done;
}

void eval_caches_keep_tables(struct eval_caches *c)
{
    c->keep = true;
}

const struct eval_cache_stats *eval_caches_stats(const struct eval_caches *c)
{
    return &c->stats;
}

void eval_caches_count(struct eval_caches *c)
{
    c->stats = (struct eval_cache_stats){0};
}

/* ---------------------------------------------------------------- small caches of keys */

#define FREE UINT64_MAX /* no key has this value: keys are page numbers and tags below 2^63 */

struct eval_assoc {
    uint64_t *key, *value;
    uint32_t *use; /* LFU: how often; else not used */
    unsigned entries, ways, mask, policy;
    uint32_t *next; /* FIFO: a pointer a set */
};

struct eval_assoc *eval_assoc_new(unsigned entries, unsigned ways, unsigned policy)
{
    struct eval_assoc *a = need(calloc(1, sizeof *a));

    if (entries == 0) {
        return a;
    }
    ways = ways > entries ? entries : ways;
    a->entries = entries;
    a->ways = ways;
    a->mask = entries / ways - 1;
    a->policy = policy;
    a->key = need(malloc(entries * sizeof *a->key));
    a->value = need(calloc(entries, sizeof *a->value));
    a->use = need(calloc(entries, sizeof *a->use));
    a->next = need(calloc(entries / ways, sizeof *a->next));
    eval_assoc_clear(a);
    return a;
}

struct eval_assoc *eval_assoc_clone(const struct eval_assoc *a)
{
    struct eval_assoc *n = eval_assoc_new(a->entries, a->ways, a->policy);

    if (a->entries != 0) {
        memcpy(n->key, a->key, a->entries * sizeof *a->key);
        memcpy(n->value, a->value, a->entries * sizeof *a->value);
        memcpy(n->use, a->use, a->entries * sizeof *a->use);
        memcpy(n->next, a->next, a->entries / a->ways * sizeof *a->next);
    }
    return n;
}

void eval_assoc_free(struct eval_assoc *a)
{
    if (a != NULL) {
        free(a->key);
        free(a->value);
        free(a->use);
        free(a->next);
    }
    free(a);
}

void eval_assoc_clear(struct eval_assoc *a)
{
    for (unsigned i = 0; i < a->entries; i++) {
        a->key[i] = FREE;
    }
}

void eval_assoc_drop(struct eval_assoc *a, uint64_t index, uint64_t key)
{
    if (a->entries == 0) {
        return;
    }
    size_t set = (size_t)(index & a->mask) * a->ways;

    for (unsigned i = 0; i < a->ways; i++) {
        if (a->key[set + i] != key) {
            continue;
        }
        for (; a->policy == EVAL_LRU && i + 1 < a->ways; i++) { /* the last one goes first */
            a->key[set + i] = a->key[set + i + 1];
            a->value[set + i] = a->value[set + i + 1];
        }
        a->key[set + i] = FREE;
        return;
    }
}

/* Way `way` of a set goes to the front, those before it back by one. */
static void to_front(struct eval_assoc *a, size_t set, unsigned way)
{
    uint64_t key = a->key[set + way], value = a->value[set + way];

    for (unsigned i = way; i > 0; i--) {
        a->key[set + i] = a->key[set + i - 1];
        a->value[set + i] = a->value[set + i - 1];
    }
    a->key[set] = key;
    a->value[set] = value;
}

uint64_t *eval_assoc_find(struct eval_assoc *a, uint64_t index, uint64_t key)
{
    if (a->entries == 0) {
        return NULL;
    }
    size_t set = (size_t)(index & a->mask) * a->ways;

    for (unsigned i = 0; i < a->ways; i++) {
        if (a->key[set + i] != key) {
            continue;
        }
        if (a->policy == EVAL_LRU) {
            if (i != 0) {
                to_front(a, set, i);
            }
            return &a->value[set];
        }
        a->use[set + i]++;
        return &a->value[set + i];
    }
    return NULL;
}

void eval_assoc_put(struct eval_assoc *a, uint64_t index, uint64_t key, uint64_t value)
{
    if (a->entries == 0) {
        return;
    }
    size_t set = (size_t)(index & a->mask) * a->ways;
    unsigned way = a->ways;

    for (unsigned i = 0; i < a->ways && way == a->ways; i++) {
        if (a->key[set + i] == key) {
            way = i;
        }
    }
    if (way < a->ways) {
        a->value[set + way] = value;
        return;
    }
    switch (a->policy) {
    case EVAL_LRU:
        way = a->ways - 1;
        break;
    case EVAL_LFU:
        way = 0;
        for (unsigned i = 0; i < a->ways; i++) {
            if (a->key[set + i] == FREE) {
                way = i;
                break;
            }
            if (a->use[set + i] < a->use[set + way]) {
                way = i;
            }
        }
        a->use[set + way] = 1;
        break;
    default:
        way = a->next[index & a->mask];
        a->next[index & a->mask] = (way + 1) % a->ways;
        break;
    }
    a->key[set + way] = key;
    a->value[set + way] = value;
    if (a->policy == EVAL_LRU) {
        to_front(a, set, way);
    }
}
