/* SPDX-License-Identifier: Apache-2.0
 * Canneal (PARSEC): simulated annealing of a netlist. A move takes a random
 * element and the one of the move before, sums the distances to all elements
 * that they are connected with, and exchanges their places when that is better.
 *
 * struct netlist_elem is 88 bytes: two std::vector of pointers (fan-in, fan-out),
 * pointer to its place, name; places are pairs of 32-bit numbers. Elements and
 * places are arrays. The netlist is a file of n lines, each a name and five
 * random names as its fan-in; elements are numbered as they are first mentioned.
 * At line x n (x from 0 to 1) a random name is new with (1 - x) exp(-5x), and
 * n (1 - (1 - x) exp(-5x)) are numbered. So the new names of a line are
 * neighbours in the array, all others are anywhere; and the lists, on the heap
 * where they were when the line was read, are not in the order of numbers. */
#include "eval/generator.h"
#include <math.h>

#define ELEMENTS 198e6
#define FAN_IN   5
#define FAN_OUT  16 /* most; the mean is that of fan-in */
#define ELEMENT  88
#define PLACE    8
#define PER_HEAP                                                                                             \
    240 /* bytes of the heap an element: 80 of the map of names, two vectors, what their growth left */
#define SWAPS 32768 /* of 65536: at the start temperature of 2000 moves are accepted when they are good */

/* struct netlist_elem: vectors fan-in and fan-out (begin, end, capacity), place, name */
enum { E_IN = 0, E_OUT = 24, E_PLACE = 48 };

#define STEPS 1024 /* of the tables over the file */

struct canneal {
    struct gen g;
    uint64_t n, elements, places, heap;
    uint64_t salt, last; /* last: element of the move before */
    uint32_t fan_out[FAN_OUT];
    /* By number of an element: the line that mentioned it first. By line: numbers given before it; of 65536,
     * how often a name in it is new, and how often its own is. Lines and numbers as parts of 2^32. */
    uint32_t mentioned[STEPS + 1], numbered[STEPS + 1], is_new[STEPS + 1], own_new[STEPS + 1];
};

/* Between two entries of a table, at a part of 2^32. */
static uint64_t between(const uint32_t *table, uint32_t at)
{
    uint32_t i = at / (UINT32_MAX / STEPS + 1), rest = at % (UINT32_MAX / STEPS + 1);

    return table[i] + ((int64_t)table[i + 1] - table[i]) * rest / (UINT32_MAX / STEPS + 1);
}

/* Distances to one element of a list: the pointer, the element's place, its x and y. */
static struct eval_access *distance(const struct canneal *w, struct eval_access *p, uint64_t vector,
                                    uint64_t at, uint64_t e)
{
    e = e < w->n ? e : w->n - 1;
    READ(vector + 8); /* size() and [] in each round: the compiler cannot know that nothing changes */
    READ(vector);
    READ_AFTER(at);
    READ_AFTER(w->elements + ELEMENT * e + E_PLACE);
    READ_AFTER(w->places + PLACE * e);
    READ(w->places + PLACE * e + 4);
    return p;
}

static struct eval_access *cost(const struct canneal *w, struct eval_access *p, uint64_t e)
{
    uint64_t at = w->elements + ELEMENT * e, salt = mix(e ^ w->salt), random = mix2(salt, 0);
    uint32_t first = (uint32_t)between(w->mentioned, (uint32_t)(((e << 32) | 1) / w->n)), line = first;
    /* Was it its own line that mentioned it first, or another one's list? */
    bool own = (random & 0xffff) * (w->own_new[first >> 22] + FAN_IN * w->is_new[first >> 22]) <
               (uint64_t)w->own_new[first >> 22] << 16;
    if (!own) {
        line += (uint32_t)below(mix2(salt, 1), UINT32_MAX - first);
    }
    uint64_t numbered = below(between(w->numbered, line) << 32, w->n);
    uint64_t list = w->heap + PER_HEAP * below((uint64_t)line << 32 | (random >> 32), w->n) + 96;
    unsigned fresh = own; /* of this line: itself, when it was new */
    for (unsigned i = 0; i < FAN_IN; i++) {
        uint64_t r = mix2(salt, 2 + i);
        bool new = (r & 0xffff) < w->is_new[line >> 22];
        p = distance(w, p, at + E_IN, list + 8 * i,
                     new ? (own ? e : numbered) + fresh : below(r, numbered + 1));
        fresh += new;
    }
    READ(at + E_IN + 8);
    READ(at + E_IN);
    list = w->heap + PER_HEAP * below(mix2(salt, 20), w->n) + 16;
    unsigned out = poisson(w->fan_out, random >> 16);
    for (unsigned i = 0; i < out; i++) {
        uint64_t r = mix2(salt, 21 + i);
        /* Who mentioned it first is its neighbour, when it was new as well. */
        bool near = i == 0 && !own && (r & 0xffff) < w->own_new[first >> 22];
        p = distance(w, p, at + E_OUT, list + 8 * i, near ? e - (e != 0) : below(r, w->n));
    }
    READ(at + E_OUT + 8);
    READ(at + E_OUT);
    return p;
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
    for (unsigned i = 0, j = 0; i <= STEPS; i++) {
        double x = (double)i / STEPS, new = exp(-FAN_IN * x);
        w->own_new[i] = (uint32_t)(65535 * new);
        w->is_new[i] = (uint32_t)(65535 * (1 - x) * new);
        w->numbered[i] = (uint32_t)(UINT32_MAX * (1 - (1 - x) * new));
        for (; j <= STEPS && (double)j / STEPS <= 1 - (1 - x) * new; j++) { /* its inverse, to the step */
            w->mentioned[j] = (uint32_t)(UINT32_MAX * x);
        }
    }
    uint64_t places = (w->n * PLACE + 4 * KIB) & ~UINT64_C(0xfff);
    w->places = layout_mmap(&w->g, "places and elements", places + w->n * ELEMENT + 4 * KIB) + MALLOC_HEADER;
    w->elements = w->places + places;
    w->heap = layout_heap(&w->g, w->n * PER_HEAP + 4 * KIB) + MALLOC_HEADER;
    layout_finish(&w->g, 116);
    return &w->g.w;
}
