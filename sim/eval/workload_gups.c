/* SPDX-License-Identifier: Apache-2.0
 * GUPS: HPC Challenge RandomAccess as the vmitosis benchmarks have it: 128
 * streams of the random sequence in turn; each step updates the word that the
 * low bits select, and the one as far from the table's end. */
#include "eval/generator.h"

#define STREAMS 128
#define UPDATES (UINT64_C(1) << 30) /* of the whole run: what part of the sequence a stream has */
#define POLY    7u
#define PERIOD  INT64_C(1317624576693539401)
#define BATCH   32

struct gups {
    struct gen g;
    uint64_t table, mask, state; /* addresses of T[0] and of the streams' states; words - 1 */
    uint64_t first[STREAMS], ran[STREAMS];
    unsigned stream;
};

static uint64_t step(uint64_t x)
{
    return x << 1 ^ ((int64_t)x < 0 ? POLY : 0);
}

/* Element n of the sequence, as HPCC_starts: 2^n in GF(2)[x] modulo the polynomial. */
static uint64_t element(uint64_t n)
{
    uint64_t square[64], x = 1;
    int i = 62;

    if (n == 0) {
        return 1;
    }
    for (unsigned b = 0; b < 64; b++) {
        square[b] = x;
        x = step(step(x));
    }
    while ((n >> i & 1) == 0) {
        i--;
    }
    for (x = 2; i > 0;) {
        uint64_t y = 0;
        for (unsigned b = 0; b < 64; b++) {
            y ^= x >> b & 1 ? square[b] : 0;
        }
        x = n >> --i & 1 ? step(y) : y;
    }
    return x;
}

static struct eval_access *gups_op(struct gen *g, struct eval_access *p)
{
    struct gups *w = (struct gups *)g;
    uint64_t table = w->table, mask = w->mask;
    unsigned s = w->stream;

    FETCH(g->code);
    for (unsigned i = 0; i < BATCH; i++, s++) {
        uint64_t ran = w->ran[s] = step(w->ran[s]);
        uint64_t low = table + 8 * (ran & mask), high = table + 8 * (mask + 1 - (ran & mask));
        READ(w->state + 8 * s);
        WRITE(w->state + 8 * s);
        READ(low);
        WRITE(low);
        READ(high);
        WRITE(high);
    }
    w->stream = s % STREAMS;
    return p;
}

static void gups_start(struct gen *g)
{
    struct gups *w = (struct gups *)g;

    for (unsigned s = 0; s < STREAMS; s++) {
        w->ran[s] = w->first[s];
    }
    w->stream = 0;
}

struct workload *gups_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    struct gups *w = gen_new(kind, scale, seed, sizeof *w, gups_op, gups_start, NULL);

    if (w == NULL) {
        return NULL;
    }
    uint64_t words = UINT64_C(1) << gen_scaled_log2((double)(UINT64_C(1) << 34), scale, 12);
    /* The program starts at element 0; a seed, elsewhere in the sequence. */
    uint64_t from = seed == 0 ? 0 : mix(seed) % (uint64_t)PERIOD / 2;
    for (unsigned s = 0; s < STREAMS; s++) {
        w->first[s] = element(from + UPDATES / STREAMS * s);
    }
    w->mask = words - 1;
    w->table = layout_mmap(&w->g, "table", 8 * words + MALLOC_HEADER + 16) + MALLOC_HEADER;
    w->state = layout_heap(&w->g, 132 * KIB) + 0x2a0; /* calloc, behind what stdio took */
    layout_finish(&w->g, 103);
    return &w->g.w;
}
