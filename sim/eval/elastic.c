/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/elastic.h"

#include "io.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY      UINT64_MAX
#define VALUE_BITS 24
#define KICKS_MAX  32 /* displacements in a row until the table counts as too full */
#define LINES_MAX  (UINT64_C(1) << 32)

struct table {
    uint64_t *slot; /* key << VALUE_BITS | value */
    uint64_t lines;
    uint64_t seed;
    uint64_t *base; /* frames: of pieces of `piece` frames each; NULL: not settled */
    uint64_t piece;
};

/* An entry without a slot. */
struct stray {
    uint64_t slot;
    unsigned way; /* to try first */
};

struct elastic {
    struct elastic_options o;
    struct table now[ELASTIC_WAYS_MAX], next[ELASTIC_WAYS_MAX];
    uint64_t pointer[ELASTIC_WAYS_MAX]; /* slots of `now` below it have been moved */
    bool growing, settled;
    uint64_t random, generation;
    struct stray *stray;
    size_t strays, room;
    struct elastic_stats stats;
};

/* Murmur3's finalizer: every bit of the key reaches every bit. */
static inline uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

static inline uint64_t index_in(const struct table *t, uint64_t key)
{
    return mix(key ^ t->seed) & (t->lines - 1);
}

/* Where a way has this key, or would have it. */
static inline const struct table *table_of(const struct elastic *e, uint64_t key, unsigned way,
                                           uint64_t *index)
{
    const struct table *t = &e->now[way];

    *index = index_in(t, key);
    if (e->growing && *index < e->pointer[way]) {
        t = &e->next[way];
        *index = index_in(t, key);
    }
    return t;
}

/* ---------------------------------------------------------------- tables */

static bool table_settle(struct elastic *e, struct table *t)
{
    uint64_t frames = (t->lines + 63) / 64, pieces;

    /* Contiguous, as published; where memory is too fragmented for that, in the largest pieces that there
     * are. */
    for (t->piece = frames;; t->piece = (t->piece + 1) / 2) {
        pieces = (frames + t->piece - 1) / t->piece;
        uint64_t *base = realloc(t->base, pieces * sizeof *base);
        if (base == NULL) {
            say("out of memory");
            return false;
        }
        t->base = base;
        uint64_t got = 0;
        while (got < pieces && e->o.frames(e->o.user, t->piece, &t->base[got])) {
            got++;
        }
        e->stats.frames += got * t->piece;
        if (got == pieces) {
            return true;
        }
        if (t->piece == 1) {
            say("no simulated memory for a cuckoo way of %" PRIu64 " lines", t->lines);
            return false;
        }
    }
}

static bool table_new(struct elastic *e, struct table *t, uint64_t lines)
{
    *t = (struct table){.lines = lines, .seed = mix(e->o.seed + ++e->generation)};
    if (lines > LINES_MAX || (t->slot = malloc(lines * sizeof *t->slot)) == NULL) {
        say("out of memory for a cuckoo way of %" PRIu64 " lines", lines);
        return false;
    }
    memset(t->slot, 0xff, lines * sizeof *t->slot);
    return !e->settled || table_settle(e, t);
}

static void table_free(struct table *t)
{
    free(t->slot);
    free(t->base);
    *t = (struct table){0};
}

struct elastic *elastic_new(const struct elastic_options *o)
{
    struct elastic *e;

    if (o->ways < 2 || o->ways > ELASTIC_WAYS_MAX || o->lines == 0 || (o->lines & (o->lines - 1)) != 0 ||
        o->percent < 1 || o->percent > 99) {
        say("a cuckoo table of %u ways of %" PRIu64
            " lines that grows at %u %%: expected 2 to %d ways, a power of two, "
            "1 to 99 %%",
            o->ways, o->lines, o->percent, ELASTIC_WAYS_MAX);
        return NULL;
    }
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        say("out of memory");
        return NULL;
    }
    e->o = *o;
    e->random = mix(o->seed) | 1;
    for (unsigned w = 0; w < o->ways; w++) {
        if (!table_new(e, &e->now[w], o->lines)) {
            elastic_free(e);
            return NULL;
        }
    }
    e->stats.slots = o->ways * o->lines;
    return e;
}

void elastic_free(struct elastic *e)
{
    for (unsigned w = 0; e != NULL && w < e->o.ways; w++) {
        table_free(&e->now[w]);
        table_free(&e->next[w]);
    }
    if (e != NULL) {
        free(e->stray);
    }
    free(e);
}

bool elastic_settle(struct elastic *e)
{
    e->settled = true;
    for (unsigned w = 0; w < e->o.ways; w++) {
        if (e->now[w].base == NULL && !table_settle(e, &e->now[w])) {
            return false;
        }
        if (e->growing && e->next[w].base == NULL && !table_settle(e, &e->next[w])) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- insertion */

/* 0..n-1: the upper bits of xorshift64 (Marsaglia 2003). */
static unsigned below(struct elastic *e, unsigned n)
{
    e->random ^= e->random << 13;
    e->random ^= e->random >> 7;
    e->random ^= e->random << 17;
    return (unsigned)((e->random >> 32) * n >> 32);
}

static bool strand(struct elastic *e, uint64_t slot, unsigned way)
{
    if (e->strays == e->room) {
        size_t room = e->room == 0 ? 16 : 2 * e->room;
        struct stray *s = realloc(e->stray, room * sizeof *s);
        if (s == NULL) {
            say("out of memory");
            return false;
        }
        e->stray = s;
        e->room = room;
    }
    e->stray[e->strays++] = (struct stray){slot, way};
    return true;
}

static bool start_growing(struct elastic *e)
{
    for (unsigned w = 0; w < e->o.ways; w++) {
        if (!table_new(e, &e->next[w], 2 * e->now[w].lines)) {
            return false;
        }
        e->pointer[w] = 0;
    }
    e->growing = true;
    e->stats.growing = true;
    e->stats.slots *= 2;
    e->stats.resizes++;
    return true;
}

/* One slot of each way goes to the new tables. */
static bool move_some(struct elastic *e)
{
    bool done = true;

    for (unsigned w = 0; w < e->o.ways; w++) {
        struct table *t = &e->now[w];
        if (e->pointer[w] < t->lines) {
            uint64_t slot = t->slot[e->pointer[w]++];
            if (slot != EMPTY) {
                e->stats.moved++;
                if (!strand(e, slot, w)) {
                    return false;
                }
            }
        }
        done = done && e->pointer[w] == t->lines;
    }
    if (done) {
        for (unsigned w = 0; w < e->o.ways; w++) {
            table_free(&e->now[w]);
            e->now[w] = e->next[w];
            e->next[w] = (struct table){0};
        }
        e->growing = false;
        e->stats.growing = false;
    }
    return true;
}

/* Everything without a slot gets one. */
static bool place_all(struct elastic *e)
{
    while (e->strays > 0) {
        struct stray s = e->stray[--e->strays];
        unsigned kicks = 0;
        for (; kicks < KICKS_MAX; kicks++) {
            uint64_t i;
            const struct table *t = table_of(e, s.slot >> VALUE_BITS, s.way, &i);
            uint64_t there = t->slot[i];
            t->slot[i] = s.slot;
            if (there == EMPTY) {
                break;
            }
            e->stats.displaced++;
            s = (struct stray){there, (s.way + 1 + below(e, e->o.ways - 1)) % e->o.ways};
        }
        if (kicks == KICKS_MAX) {
            if (!strand(e, s.slot, s.way) || !(e->growing ? move_some(e) : start_growing(e))) {
                return false;
            }
        }
    }
    return true;
}

bool elastic_get(const struct elastic *e, uint64_t key, uint32_t *value, unsigned *way)
{
    const uint64_t *slot[ELASTIC_WAYS_MAX];

    for (unsigned w = 0; w < e->o.ways; w++) {
        uint64_t i;
        const struct table *t = table_of(e, key, w, &i);
        slot[w] = &t->slot[i];
        __builtin_prefetch(slot[w]);
    }
    for (unsigned w = 0; w < e->o.ways; w++) {
        if (*slot[w] >> VALUE_BITS == key) {
            *value = (uint32_t)(*slot[w] & (ELASTIC_VALUES - 1));
            if (way != NULL) {
                *way = w;
            }
            return true;
        }
    }
    return false;
}

void elastic_ahead(const struct elastic *e, uint64_t key)
{
    for (unsigned w = 0; w < e->o.ways; w++) {
        uint64_t i;
        const struct table *t = table_of(e, key, w, &i);
        __builtin_prefetch(&t->slot[i]);
    }
}

bool elastic_in(const struct elastic *e, uint64_t key, unsigned way)
{
    uint64_t i;
    const struct table *t = table_of(e, key, way, &i);

    return t->slot[i] >> VALUE_BITS == key;
}

bool elastic_put(struct elastic *e, uint64_t key, uint32_t value)
{
    if (key >= ELASTIC_KEYS - 1 || value >= ELASTIC_VALUES) {
        say("cuckoo table: key 0x%" PRIx64 ", value %" PRIu32 ", expected less than 2^40 - 1 and 2^24", key,
            value);
        return false;
    }
    for (unsigned w = 0; w < e->o.ways; w++) {
        uint64_t i;
        const struct table *t = table_of(e, key, w, &i);
        if (t->slot[i] >> VALUE_BITS == key) {
            t->slot[i] = key << VALUE_BITS | value;
            return true;
        }
    }
    e->stats.inserted++;
    e->stats.lines++;
    if (e->growing && !move_some(e)) {
        return false;
    }
    if (!e->growing && e->stats.lines * 100 > e->stats.slots * e->o.percent && !start_growing(e)) {
        return false;
    }
    return strand(e, key << VALUE_BITS | value, below(e, e->o.ways)) && place_all(e);
}

uint64_t elastic_line(const struct elastic *e, uint64_t key, unsigned way)
{
    uint64_t i;
    const struct table *t = table_of(e, key, way, &i);
    uint64_t frame = i / 64;

    return (t->base[frame / t->piece] + frame % t->piece) << 12 | (i % 64) << 6;
}

const struct elastic_stats *elastic_stats(const struct elastic *e)
{
    return &e->stats;
}
