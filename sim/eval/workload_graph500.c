/* SPDX-License-Identifier: Apache-2.0
 * Graph500's sequential CSR breadth-first search (reference code 2.1.4, top
 * down) over a Kronecker graph with A, B, C = 0.57, 0.19, 0.19 and permuted
 * labels.
 *
 * The graph is not stored. In such a graph every bit of both ends of an edge is
 * drawn by itself, so a vertex whose number has k ones has
 *   2 M 0.76^(scale - k) 0.24^k
 * ends of edges on the average (Poisson), and a neighbour's bit is one with
 * probability 0.19/0.76 where its own is zero and 0.05/0.24 where it is one.
 * Degree and neighbours of a vertex are thus functions of its number and the
 * seed; only sums of degrees are kept, a block of vertices each. As in the
 * program, a list of neighbours is sorted and has no one twice, while offsets
 * count every end (and at least two a vertex). What is lost: that an edge found
 * from one end is found from the other as well. */
#include "eval/generator.h"
#include "io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EDGES      32 /* edges a vertex */
#define BLOCK_LOG2 6
#define LEAST      2 /* MINVECT_SIZE: room in xadj that each vertex has */
#define TABLE      160
#define SMALL_MEAN 96 /* below it degrees are drawn from a table, else from a normal distribution */
#define PACKED     12 /* bytes of an edge in the list that the graph was made from */
#define REST       (4.5 * 1024 * 1024 * 1024) /* buffers of generation and verification: the paper's 123 GB */
#define CHUNK      128

struct graph500 {
    struct gen g;
    unsigned bits; /* of a vertex */
    uint32_t vertices;
    struct permutation label; /* number in the Kronecker graph to label */
    uint64_t salt;
    uint64_t *before;       /* ends of edges in front of a block of vertices */
    uint32_t *queue;        /* vlist */
    uint64_t *reached;      /* bitmap: whose bfs_tree is not -1 */
    uint32_t *list, *other; /* neighbours of the current vertex; for sorting */
    uint32_t most;          /* their room */
    uint64_t xoff, xadj, tree, vlist;
    double mean[33];
    uint32_t cdf[33][TABLE]; /* 65536ths, of means below SMALL_MEAN */
    uint8_t guide[33][256];  /* where to start in it */
    /* search */
    uint64_t rounds;        /* searches done */
    uint32_t head, tail;    /* of the queue */
    uint32_t vertex, n, at; /* current one, its neighbours, the next of them */
    uint64_t offset;        /* of its list in xadj */
    uint32_t sweep;         /* next word of bfs_tree to be set to -1, `vertices`: done */
};

static uint32_t degree(const struct graph500 *w, uint32_t number)
{
    unsigned ones = (unsigned)__builtin_popcount(number);
    double mean = w->mean[ones];
    uint64_t random = mix(number ^ w->salt);

    if (mean < SMALL_MEAN) {
        uint32_t r = random & 0xffff, d = w->guide[ones][r >> 8];
        while (r >= w->cdf[ones][d]) {
            d++;
        }
        return d;
    }
    /* Sum of four 16-bit numbers: close enough to normal; deviation 65536 / sqrt(3) */
    double sum =
        (double)((random & 0xffff) + (random >> 16 & 0xffff) + (random >> 32 & 0xffff) + (random >> 48));
    return (uint32_t)(mean + sqrt(mean) * (sum - 131070) / 37837 + 0.5);
}

static uint32_t room(const struct graph500 *w, uint32_t label)
{
    uint32_t d = degree(w, permute_back(&w->label, label));

    return d < LEAST ? LEAST : d;
}

/* 11 bits a pass, least significant first. */
static void sort(struct graph500 *w, uint32_t n)
{
    if (n <= 48) {
        for (uint32_t i = 1; i < n; i++) {
            uint32_t x = w->list[i], j = i;
            for (; j > 0 && w->list[j - 1] > x; j--) {
                w->list[j] = w->list[j - 1];
            }
            w->list[j] = x;
        }
        return;
    }
    unsigned step = n < 4096 ? 8 : 11;
    for (unsigned shift = 0; shift < w->bits; shift += step) {
        uint32_t count[2048] = {0}, mask = (1u << step) - 1, sum = 0;
        for (uint32_t i = 0; i < n; i++) {
            count[w->list[i] >> shift & mask]++;
        }
        for (uint32_t i = 0; i <= mask; i++) {
            uint32_t c = count[i];
            count[i] = sum;
            sum += c;
        }
        for (uint32_t i = 0; i < n; i++) {
            w->other[count[w->list[i] >> shift & mask]++] = w->list[i];
        }
        uint32_t *swap = w->list;
        w->list = w->other;
        w->other = swap;
    }
}

/* The neighbours of a vertex: their labels, sorted, each once, itself left out. */
static void neighbours(struct graph500 *w, uint32_t label)
{
    uint32_t number = permute_back(&w->label, label), d = degree(w, number), n = 0;
    uint64_t random = mix2(w->salt, number);

    d = d < w->most ? d : w->most;
    for (uint32_t i = 0; i < d; i++) {
        /* Two words make a bit one with 1/4. Where the vertex's own bit is one, a sixth of them are taken
         * back: 21/128, from the digits of 0.0010101 binary. */
        uint64_t a = mix(random += UINT64_C(0x9e3779b97f4a7c15)), b = a * UINT64_C(0xd1342543de82ef95);
        uint32_t ones = (uint32_t)(a >> 32) & (uint32_t)(b >> 32);
        if ((ones & number) != 0) {
            uint64_t c = mix(random ^ UINT64_C(0x5851f42d4c957f2d)), e = mix(c + 1), f = mix(c + 2);
            uint32_t back = (uint32_t)c & (uint32_t)(c >> 32);
            back = (uint32_t)e & (back | (uint32_t)(e >> 32));
            back = (uint32_t)f & (uint32_t)(f >> 32) & (back | (uint32_t)a);
            ones &= ~(back & number);
        }
        uint32_t to = permute(&w->label, ones & w->label.mask);
        if (to != label) {
            w->list[n++] = to;
        }
    }
    sort(w, n);
    w->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || w->list[i] != w->list[i - 1]) {
            w->list[w->n++] = w->list[i];
        }
    }
    w->at = 0;
    uint32_t block = label >> BLOCK_LOG2;
    w->offset = w->before[block];
    for (uint32_t v = block << BLOCK_LOG2; v < label; v++) {
        w->offset += room(w, v);
    }
}

/* A search from a vertex that has an edge. */
static void search(struct graph500 *w)
{
    uint32_t root;

    memset(w->reached, 0, (w->vertices + 63) / 64 * sizeof *w->reached);
    do {
        root = (uint32_t)(gen_random(&w->g) >> 32) & w->label.mask;
    } while (degree(w, permute_back(&w->label, root)) == 0);
    w->reached[root / 64] |= UINT64_C(1) << root % 64;
    w->queue[0] = root;
    w->head = 0;
    w->tail = 1;
    w->n = w->at = 0;
}

static struct eval_access *graph500_op(struct gen *g, struct eval_access *p)
{
    struct graph500 *w = (struct graph500 *)g;

    if (w->sweep < w->vertices) { /* before a search, all of bfs_tree becomes -1 */
        uint32_t end = w->vertices - w->sweep < GEN_OP ? w->vertices : w->sweep + GEN_OP;
        for (; w->sweep < end; w->sweep++) {
            WRITE(w->tree + 8 * (uint64_t)w->sweep);
        }
        if (w->sweep == w->vertices) {
            search(w);
        }
        return p;
    }
    if (w->at == w->n) {
        if (w->head == w->tail) {
            w->sweep = 0;
            return graph500_op(g, p);
        }
        FETCH(g->code);
        w->vertex = w->queue[w->head];
        neighbours(w, w->vertex);
        READ(w->vlist + 8 * (uint64_t)w->head++);
        READ_AFTER(w->xoff + 16 * (uint64_t)w->vertex);
        READ(w->xoff + 16 * (uint64_t)w->vertex + 8);
    }
    uint32_t end = w->n - w->at < CHUNK - 1 ? w->n : w->at + CHUNK - 1;
    for (; w->at < end; w->at++) {
        uint32_t j = w->list[w->at];
        p = gen_put(p, w->xadj + 8 * (w->offset + w->at), DMT_ACCESS_READ, w->at == 0);
        READ_AFTER(w->tree + 8 * (uint64_t)j);
        if ((w->reached[j / 64] >> j % 64 & 1) == 0) {
            w->reached[j / 64] |= UINT64_C(1) << j % 64;
            WRITE(w->tree + 8 * (uint64_t)j);
            WRITE(w->vlist + 8 * (uint64_t)w->tail);
            w->queue[w->tail++] = j;
        }
    }
    return p;
}

static void graph500_start(struct gen *g)
{
    struct graph500 *w = (struct graph500 *)g;

    w->sweep = w->vertices; /* the stream begins with the first search itself, its tree already cleared */
    search(w);
}

static void graph500_close(struct workload *w)
{
    struct graph500 *g = (struct graph500 *)w;

    free(g->before);
    free(g->queue);
    free(g->reached);
    free(g->list);
    free(g->other);
}

struct workload *graph500_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    struct graph500 *w = gen_new(kind, scale, seed, sizeof *w, graph500_op, graph500_start, graph500_close);

    if (w == NULL) {
        return NULL;
    }
    w->bits = gen_scaled_log2(1 << 27, scale, BLOCK_LOG2 + 1);
    w->vertices = 1u << w->bits;
    w->salt = mix(seed);
    permutation_init(&w->label, w->bits, seed);
    uint64_t edges = (uint64_t)EDGES << w->bits;
    for (unsigned k = 0; k <= w->bits; k++) {
        w->mean[k] = 2 * (double)edges * pow(0.76, w->bits - k) * pow(0.24, k);
        if (w->mean[k] < SMALL_MEAN) {
            poisson_table(w->mean[k], w->cdf[k], TABLE);
            for (unsigned i = 0, d = 0; i < 256; i++) {
                while (i << 8 >= w->cdf[k][d]) {
                    d++;
                }
                w->guide[k][i] = (uint8_t)d;
            }
        }
    }
    w->most = (uint32_t)(w->mean[0] + 8 * sqrt(w->mean[0]) + TABLE);
    uint32_t blocks = w->vertices >> BLOCK_LOG2;
    w->before = malloc((blocks + 1) * sizeof *w->before);
    w->queue = malloc(w->vertices * sizeof *w->queue);
    w->reached = calloc((w->vertices + 63) / 64, sizeof *w->reached);
    w->list = malloc(w->most * sizeof *w->list);
    w->other = malloc(w->most * sizeof *w->other);
    if (w->before == NULL || w->queue == NULL || w->reached == NULL || w->list == NULL || w->other == NULL) {
        say("workload %s: out of memory", kind->name);
        workload_free(&w->g.w);
        return NULL;
    }
    uint64_t ends = 0;
    for (uint32_t b = 0; b < blocks; b++) {
        w->before[b] = ends;
        for (uint32_t v = b << BLOCK_LOG2; v < (b + 1) << BLOCK_LOG2; v++) {
            ends += room(w, v);
        }
    }
    w->before[blocks] = ends;
    /* One area, got by mmap in pieces from the top down: edges, offsets, lists, tree, queue. */
    uint64_t v = w->vertices, page = 4 * KIB, list = (edges * PACKED + page) & ~(page - 1);
    uint64_t xoff = (16 * v + page + 16) & ~(page - 1), xadj = (8 * ends + page + 16) & ~(page - 1);
    uint64_t words = (8 * v + page) & ~(page - 1);
    uint64_t rest = (uint64_t)(REST * (double)v / (1 << 27)) & ~(page - 1);
    w->vlist = layout_mmap(&w->g, "graph", words + words + xadj + xoff + list + rest) + MALLOC_HEADER;
    w->tree = w->vlist + words;
    w->xadj = w->tree + words;
    w->xoff = w->xadj + xadj;
    layout_finish(&w->g, 105);
    return &w->g.w;
}
