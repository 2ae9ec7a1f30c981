/* SPDX-License-Identifier: Apache-2.0
 * Canneal (PARSEC): simulated annealing of a netlist. A move takes a random
 * element and the one of the move before, sums the distances to all elements
 * that they are connected with, and exchanges their places when that is better.
 *
 * struct netlist_elem is 88 bytes: two std::vector of pointers (fan-in, fan-out),
 * pointer to its place, name; places are pairs of 32-bit numbers. Elements and
 * places are arrays. The vectors' contents are on the heap where they were when
 * the netlist was read: elements are numbered as they are first mentioned,
 * which is not the order of the lines that define them, so neither list lies
 * where its element's number would say. */
#include "eval/generator.h"

#define ELEMENTS 198e6
#define FAN_IN   5
#define FAN_OUT  16  /* most; the mean is that of fan-in */
#define ELEMENT  88
#define PLACE    8
#define PER_HEAP 240 /* bytes of the heap an element: 80 of the map of names, two vectors, what their growth left */
#define SWAPS    32768 /* of 65536: at the start temperature of 2000 moves are accepted when they are good */

/* struct netlist_elem: vectors fan-in and fan-out (begin, end, capacity), place, name */
enum { E_IN = 0, E_OUT = 24, E_PLACE = 48 };

struct canneal {
    struct gen g;
    uint64_t n, elements, places, heap;
    uint64_t salt, last; /* last: element of the move before */
    uint32_t fan_out[FAN_OUT];
};

/* Distances to the elements of one list: begin, end, then for each pointer, the element's place, its x and y. */
static struct eval_access *list(const struct canneal *w, struct eval_access *p, uint64_t vector, uint64_t at,
                                uint64_t salt, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t e = below(mix2(salt, i), w->n), place = w->places + PLACE * e;
        READ(vector + 8); /* size() and [] in each round: the compiler cannot know that nothing changes */
        READ(vector);
        READ_AFTER(at + 8 * i);
        READ_AFTER(w->elements + ELEMENT * e + E_PLACE);
        READ_AFTER(place);
        READ(place + 4);
    }
    READ(vector + 8);
    READ(vector);
    return p;
}

static struct eval_access *cost(const struct canneal *w, struct eval_access *p, uint64_t e)
{
    uint64_t at = w->elements + ELEMENT * e, salt = mix(e ^ w->salt);
    uint64_t in = w->heap + PER_HEAP * below(mix2(salt, 100), w->n) + 96;
    uint64_t out = w->heap + PER_HEAP * below(mix2(salt, 101), w->n) + 16;

    p = list(w, p, at + E_IN, in, salt, FAN_IN);
    return list(w, p, at + E_OUT, out, salt ^ 1, poisson(w->fan_out, salt));
}

static struct eval_access *canneal_op(struct gen *g, struct eval_access *p)
{
    struct canneal *w = (struct canneal *)g;
    uint64_t random = gen_random(g), a = w->last, b = below(random, w->n);
    uint64_t at_a = w->elements + ELEMENT * a + E_PLACE, at_b = w->elements + ELEMENT * b + E_PLACE;

    FETCH(g->code + (random & 3) * 4 * KIB);
    w->last = b;
    READ(g->stack + 0x200); /* state of the Mersenne twister */
    WRITE(g->stack + 0x200);
    READ(g->stack + 0x208 + 4 * (random >> 8 & 511));
    READ(g->data + 0x40); /* netlist: its elements, their number */
    READ(g->data + 0x48);
    READ(at_a);
    READ(at_b);
    p = cost(w, p, a);
    p = cost(w, p, b);
    if ((random & 0xffff) < SWAPS) { /* AtomicPtr::Swap: takes one, exchanges the other, gives the first */
        READ(at_a);
        WRITE(at_a);
        READ(at_b);
        WRITE(at_b);
        WRITE(at_a);
    } else { /* drand for the Boltzmann factor */
        READ(g->stack + 0x208 + 4 * (random >> 20 & 511));
        WRITE(g->stack + 0x200);
    }
    return p;
}

static void canneal_start(struct gen *g)
{
    struct canneal *w = (struct canneal *)g;

    w->last = below(gen_random(g), w->n);
}

struct workload *canneal_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    struct canneal *w = gen_new(kind, scale, seed, sizeof *w, canneal_op, canneal_start, NULL);

    if (w == NULL) {
        return NULL;
    }
    w->n = gen_scaled(ELEMENTS, scale, 64);
    w->salt = mix(seed);
    poisson_table(FAN_IN, w->fan_out, FAN_OUT);
    uint64_t places = (w->n * PLACE + 4 * KIB) & ~UINT64_C(0xfff);
    w->places = layout_mmap(&w->g, "places and elements", places + w->n * ELEMENT + 4 * KIB) + MALLOC_HEADER;
    w->elements = w->places + places;
    w->heap = layout_heap(&w->g, w->n * PER_HEAP + 4 * KIB) + MALLOC_HEADER;
    layout_finish(&w->g, 116);
    return &w->g.w;
}
