/* SPDX-License-Identifier: Apache-2.0
 * What generators of workloads share: the areas of a process, randomness, and
 * the cutting of operations into the pieces that workload_next is asked for. */
#ifndef SIM_EVAL_GENERATOR_H
#define SIM_EVAL_GENERATOR_H

#include "dmt/os.h"
#include "dmt/regs.h"
#include "eval/workload.h"

#define KIB UINT64_C(1024)
#define MIB (KIB << 10)
#define GIB (MIB << 10)

/** Most accesses that one call of gen->op may give. */
#define GEN_OP 512

struct gen {
    struct workload w;
    /** The next accesses of the program, 1 to GEN_OP, to p on. Where they end. */
    struct eval_access *(*op)(struct gen *g, struct eval_access *p);
    /** To the state after initialisation; g->rng is seeded anew. */
    void (*start)(struct gen *g);
    uint64_t rng;
    uint64_t code, data, stack; /**< pages of text, of variables, of the stack; see layout_finish */
    struct eval_access carry[GEN_OP];
    unsigned at, n; /**< [at, n) of carry are still to be given */
};

/** A generator in `size` zeroed bytes that begin with struct gen. NULL after saying why. */
void *gen_new(const struct workload_kind *kind, double scale, uint64_t seed, size_t size,
              struct eval_access *(*op)(struct gen *g, struct eval_access *p), void (*start)(struct gen *g),
              void (*close)(struct workload *w));

/** n at this scale, at least `least`. */
uint64_t gen_scaled(double n, double scale, uint64_t least);
/** The largest power of two up to n at this scale: its logarithm, at least `least`. */
unsigned gen_scaled_log2(double n, double scale, unsigned least);

static inline struct eval_access *gen_put(struct eval_access *p, uint64_t va, unsigned kind, unsigned after)
{
    *p = (struct eval_access){va, (uint8_t)kind, (uint8_t)after};
    return p + 1;
}
#define READ(va)       (p = gen_put(p, (va), DMT_ACCESS_READ, 0))
#define READ_AFTER(va) (p = gen_put(p, (va), DMT_ACCESS_READ, 1))
#define WRITE(va)      (p = gen_put(p, (va), DMT_ACCESS_WRITE, 0))
#define FETCH(va)      (p = gen_put(p, (va), DMT_ACCESS_EXECUTE, 0))

/* ------------------------------------------------------------ randomness */

/** A bijection of 64-bit words, close to random (finaliser of splitmix64, Steele et al.). */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/** Word number i of the random words that belong to x. */
static inline uint64_t mix2(uint64_t x, uint64_t i)
{
    return mix(x + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t gen_random(struct gen *g)
{
    return mix(g->rng += UINT64_C(0x9e3779b97f4a7c15));
}

/** What it gave `n` calls ago; before the first, words as random. */
static inline uint64_t gen_random_before(const struct gen *g, uint64_t n)
{
    return mix(g->rng - n * UINT64_C(0x9e3779b97f4a7c15));
}

/** A random word as a number below n. */
static inline uint64_t below(uint64_t random, uint64_t n)
{
    return (uint64_t)((unsigned __int128)random * n >> 64);
}

/** A permutation of 0..2^bits-1, 4 to 32 bits, and its inverse. Every step can be undone: products with odd
 * numbers, and x ^ x >> half, which is its own inverse as half the bits or more go. */
struct permutation {
    uint32_t mask, factor[3], inverse[3];
    unsigned half;
};
void permutation_init(struct permutation *p, unsigned bits, uint64_t seed);
static inline uint32_t permute(const struct permutation *p, uint32_t x)
{
    x = x * p->factor[0] & p->mask;
    x ^= x >> p->half;
    x = x * p->factor[1] & p->mask;
    x ^= x >> p->half;
    return x * p->factor[2] & p->mask;
}
static inline uint32_t permute_back(const struct permutation *p, uint32_t x)
{
    x = x * p->inverse[2] & p->mask;
    x ^= x >> p->half;
    x = x * p->inverse[1] & p->mask;
    x ^= x >> p->half;
    return x * p->inverse[0] & p->mask;
}

/** 65536 * P(X <= i) of a Poisson variable of this mean, i = 0..n-1; rises to 65536. */
void poisson_table(double mean, uint32_t *table, unsigned n);
/** How many entries of the table a random word is not below. */
static inline unsigned poisson(const uint32_t *table, uint64_t random)
{
    unsigned i = 0;

    while ((random & 0xffff) >= table[i]) {
        i++;
    }
    return i;
}

/* ------------------------------------------------------------ areas */

/** What malloc puts before a chunk, and so before the data of an area that it got by mmap. */
#define MALLOC_HEADER 16

/** An area where mmap would put it: below those before it, on a 2 MiB boundary when it has 1 GiB or more
 * (what transparent huge pages want, and Linux does since 6.7). Its first address. */
uint64_t layout_mmap(struct gen *g, const char *name, uint64_t bytes);
/** The heap that brk grows, above the program. Its first address. */
uint64_t layout_heap(struct gen *g, uint64_t bytes);
/** Any other area. */
void layout_area(struct gen *g, const char *name, uint64_t va, uint64_t bytes, unsigned flags);
/** What every process has besides: program, libraries, stack, in as many areas as make `areas` in all.
 * Sorts, and sets g->code, data, stack: the first of CODE_PAGES, DATA_PAGES, STACK_PAGES pages. */
#define CODE_PAGES  64
#define DATA_PAGES  32
#define STACK_PAGES 8
void layout_finish(struct gen *g, size_t areas);

/* ------------------------------------------------------------ the generators */

struct workload *redis_new(const struct workload_kind *kind, double scale, uint64_t seed);
struct workload *memcached_new(const struct workload_kind *kind, double scale, uint64_t seed);
struct workload *gups_new(const struct workload_kind *kind, double scale, uint64_t seed);
struct workload *btree_new(const struct workload_kind *kind, double scale, uint64_t seed);
struct workload *canneal_new(const struct workload_kind *kind, double scale, uint64_t seed);
struct workload *xsbench_new(const struct workload_kind *kind, double scale, uint64_t seed);
struct workload *graph500_new(const struct workload_kind *kind, double scale, uint64_t seed);

#endif
