/* SPDX-License-Identifier: Apache-2.0
 * Memcached with 100 million records of 1 KB, read uniformly (YCSB, workload C):
 * hash table of 2^26 buckets (it doubles at 1.5 items a bucket), items in slab
 * pages of 1 MiB that malloc puts into many areas. The value itself is copied
 * by the kernel, so the program touches an item's first line or two only. */
#include "eval/generator.h"
#include "io.h"
#include <stdlib.h>

#define RECORDS    100e6
#define ITEM       1024 /* bytes of the slab class that the records fall into */
#define PER_SLAB   (MIB / ITEM)
#define SLAB       (MIB + MALLOC_HEADER) /* from one slab page to the next */
#define BUCKETS    (UINT64_C(1) << 26)
#define AREAS      784 /* of slab pages; the paper: 778 hold 99 % of what is mapped, of 1065 areas */
#define CLUSTERS   2
#define HOLE       MIB /* what an arena's heap has left when no slab page fits any more: below 2 % of an area */
#define LOCKS      8192
#define COLLISIONS 16
#define THREADS    4

/* A connection as conn_new allocates it: struct, buffers in and out, lists of items, suffixes, pieces and
 * messages; here also the statistics of its thread. */
enum {
    C_BUFFER = 0x260,
    C_ITEMS = 0x1280,
    C_PIECES = 0x1980,
    C_MESSAGES = 0x3290,
    C_STATS = 0x34d0,
    CONN = 0x54e0
};

/* struct item: h_next, prev, next, time, exptime, nbytes, refcount, flags, class, key length; CAS, key. */
enum { IT_NEXT = 16, IT_TIME = 24, IT_EXPIRES = 28, IT_REFS = 36, IT_FLAGS = 38, IT_NKEY = 41, IT_KEY = 56 };

struct memcached {
    struct gen g;
    uint64_t records, buckets, locks, heap;
    unsigned bits; /* of the number of buckets */
    uint64_t salt;
    uint64_t *slab; /* where each slab page is */
    uint64_t stack[THREADS];
    uint32_t later[64][COLLISIONS]; /* as in Redis: items inserted after this one are in front of it */
};

static struct eval_access *memcached_op(struct gen *g, struct eval_access *p)
{
    struct memcached *w = (struct memcached *)g;
    uint64_t random = gen_random(g), record = below(random, w->records), hash = mix(record ^ w->salt);
    unsigned thread = (unsigned)random % THREADS;
    uint64_t stack = w->stack[thread], conn = w->heap + CONN * thread, data = g->data;
    uint64_t lock = w->locks + 40 * (hash % LOCKS);
    unsigned before = poisson(w->later[(unsigned)((double)record / (double)w->records * 64)], hash >> 32);
    uint64_t item = 0;

    FETCH(g->code + (random >> 8 & 7) * 4 * KIB);
    READ(conn); /* event loop: which connection, what state */
    READ(conn + 0x18);
    WRITE(conn + 0x18);
    READ(conn + 0x40); /* buffer of the request */
    for (unsigned i = 0; i < 4; i++) {
        READ(conn + C_BUFFER + 8 * i); /* the line's end, then its words */
        WRITE(stack + 0x100 + 16 * i);
    }
    READ(stack + 0x110);
    for (unsigned i = 0; i < 3; i++) { /* hash of the key */
        READ(conn + C_BUFFER + 8 * i);
    }
    READ(data + 0x100); /* table of locks, hash table, its mask */
    READ(lock);
    WRITE(lock);
    READ(data + 0x140);
    READ(data + 0x148);
    READ(w->buckets + 8 * (hash >> (64 - w->bits)));
    for (unsigned i = 0; i <= before; i++) {
        uint64_t other = i == before ? record : record + below(mix2(hash, i), w->records - record);
        /* A slab page's items are handed out from its end. */
        item = w->slab[other / PER_SLAB] + ITEM * (PER_SLAB - 1 - other % PER_SLAB);
        READ_AFTER(item + IT_NKEY);
        READ(item + IT_KEY);
        READ(conn + C_BUFFER);
        if (i == before) {
            READ(item + IT_KEY + 8);
            READ(conn + C_BUFFER + 8);
            READ(item + IT_KEY + 16);
            READ(conn + C_BUFFER + 16);
        } else {
            READ(item + IT_NEXT);
        }
    }
    READ(item + IT_REFS);
    WRITE(item + IT_REFS);
    READ(data + 0x180); /* time */
    READ(item + IT_EXPIRES);
    READ(item + IT_FLAGS);
    WRITE(item + IT_FLAGS); /* fetched, active: the segmented LRU moves items in the background */
    READ(lock);
    WRITE(lock);
    READ(conn + C_STATS); /* this thread's statistics, under their lock */
    WRITE(conn + C_STATS + 8);
    WRITE(conn + C_STATS + 0x500);
    READ(item + IT_KEY); /* the answer's first line; the value is only named in the vector of pieces */
    WRITE(conn + C_ITEMS);
    WRITE(conn + C_PIECES);
    WRITE(conn + C_MESSAGES);
    WRITE(stack + 0x180);
    READ(item + IT_REFS);
    WRITE(item + IT_REFS);
    return p;
}

static void memcached_start(struct gen *g)
{
    (void)g;
}

static void memcached_close(struct workload *w)
{
    free(((struct memcached *)w)->slab);
}

struct workload *memcached_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    struct memcached *w =
        gen_new(kind, scale, seed, sizeof *w, memcached_op, memcached_start, memcached_close);

    if (w == NULL) {
        return NULL;
    }
    w->records = gen_scaled(RECORDS, scale, 96);
    w->salt = mix(seed);
    /* The table doubles when it has more than 1.5 items a bucket; 2^16 at first, but less here in small
     * workloads. */
    for (w->bits = 6; w->records * 2 > UINT64_C(3) << w->bits;) {
        w->bits++;
    }
    double load = (double)w->records / (double)(UINT64_C(1) << w->bits);
    for (unsigned i = 0; i < 64; i++) {
        poisson_table(load * (1 - (i + 0.5) / 64), w->later[i], COLLISIONS);
    }
    uint64_t slabs = (w->records + PER_SLAB - 1) / PER_SLAB;
    w->slab = malloc(slabs * sizeof *w->slab);
    if (w->slab == NULL) {
        say("workload %s: out of memory", kind->name);
        workload_free(&w->g.w);
        return NULL;
    }
    w->buckets = layout_mmap(&w->g, "buckets", (UINT64_C(8) << w->bits) + MALLOC_HEADER) + MALLOC_HEADER;
    for (unsigned i = 0; i < THREADS; i++) {
        w->stack[i] = layout_mmap(&w->g, "thread", 33 * 4 * KIB) + 0x1f000;
    }
    w->heap = layout_heap(&w->g, 2 * MIB) + 0x1000;
    w->locks = w->heap + MIB;
    /* Slab pages in areas of equal size, in two clusters; what has no slab page is a page of 4 KiB. */
    uint64_t next = 0, top = UINT64_C(0x7fc000000000);
    for (unsigned a = 0; a < AREAS; a++) {
        uint64_t end = slabs * (a + 1) / AREAS, n = end - next, bytes = n == 0 ? 4 * KIB : n * SLAB + 4 * KIB;
        if (a == AREAS / CLUSTERS) {
            top -= 64 * GIB;
        }
        bytes = (bytes + 0xfff) & ~UINT64_C(0xfff);
        top -= bytes;
        layout_area(&w->g, "slabs", top, bytes, DMT_OS_R | DMT_OS_W);
        for (uint64_t i = 0; i < n; i++) {
            w->slab[next++] = top + MALLOC_HEADER + i * SLAB;
        }
        top -= HOLE;
    }
    layout_finish(&w->g, 1065);
    return &w->g.w;
}
