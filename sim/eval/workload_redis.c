/* SPDX-License-Identifier: Apache-2.0
 * Redis as the vmitosis benchmarks run it: the server's own dictionary, filled
 * with keys 0, 1, .. and then used in the process, by a thread that looks keys
 * up and one that sets them.
 *
 * That build comments jemalloc out and so runs on glibc's malloc with Redis's
 * own 8-byte size prefix. Loading a key makes five chunks, one behind the other,
 * and the caller never gives its key object back:
 *   key object (embedded string) 64, value string 96, value object 32, key
 *   string 48, dictionary entry 48: 288 bytes.
 * 2^29 of them, the bucket array of 4 GiB, and what 30 million reads and writes
 * leave behind are the paper's 155 GB; with jemalloc's classes it would be 109. */
#include "eval/generator.h"

#define PREFIX 24 /* malloc's header and Redis's size before the data of a chunk */

enum { KEY_OBJECT = 0, VALUE = 64, OBJECT = 160, KEY = 192, ENTRY = 240, PER_KEY = 288 };
/* Left by a write: key object, value string, value object; by a read: key object. */
enum { NEW_VALUE = 64, NEW_OBJECT = 144, PER_WRITE = 176, PER_READ = 64 };

#define OPERATIONS   30e6 /* of each thread, in the paper's run: then what they leave wraps around */
#define ARENAS       29   /* of 64 MiB, from which the reader's malloc serves */
#define ARENA_BYTES  (64 * MIB)
#define ARENA_HEADER 0x8c0 /* in front of its chunks */
#define COLLISIONS   16
#define BEHIND       8192 /* operations that the writer is behind the reader */

struct redis {
    struct gen g;
    uint64_t buckets, keys, written, write_ops;
    uint64_t arena, arena_stride,
        arena_ops; /* the lowest of the reader's heaps, from one to the next, reads each */
    uint64_t reader_stack;
    unsigned bits;
    uint64_t salt;
    uint64_t reads, writes; /* operations so far, modulo *_ops */
    unsigned heap;          /* the reader's current one */
    uint32_t later[64]
                  [COLLISIONS]; /* how many keys of those inserted later share a bucket, by when a key came */
    bool write;                 /* whose turn it is */
};

/* zmalloc that takes from malloc's top: the arena's state, sizes of the chunk and of what is left, Redis's
 * own. */
static struct eval_access *take(const struct redis *w, struct eval_access *p, uint64_t arena, uint64_t chunk,
                                uint64_t size)
{
    READ(arena);
    READ(arena + 8);
    WRITE(arena + 8);
    WRITE(chunk + 8);
    WRITE(chunk + size + 8);
    WRITE(chunk + 16);
    READ(w->g.data);
    WRITE(w->g.data);
    return p;
}

/* A random key, its text on the stack, and the string object of it. */
static struct eval_access *make_key(const struct redis *w, struct eval_access *p, uint64_t stack,
                                    uint64_t chunk, uint64_t arena)
{
    for (unsigned i = 0; i < 3; i++) { /* lrand48's state, one word a 16 bits */
        READ(w->g.data + 0x180 + 8 * i);
        WRITE(w->g.data + 0x180 + 8 * i);
    }
    for (unsigned i = 0; i < 4; i++) {
        WRITE(stack + 0x900 + 8 * i);
    }
    p = take(w, p, arena, chunk, PER_READ);
    WRITE(chunk + PREFIX);     /* type, encoding, references */
    WRITE(chunk + PREFIX + 8); /* pointer to the string behind it */
    for (unsigned i = 0; i < 4; i++) {
        READ(stack + 0x900 + 8 * i);
        WRITE(chunk + PREFIX + 19 + 8 * i);
    }
    return p;
}

/* dictFind: bucket, then the chain; in front of a key are those inserted after it. */
static struct eval_access *find(const struct redis *w, struct eval_access *p, uint64_t key, uint64_t string)
{
    uint64_t db = w->g.data + 0x1400, hash = mix(key ^ w->salt);
    uint64_t keys = UINT64_C(1) << w->bits;
    unsigned before = poisson(w->later[key >> (w->bits - 6)], hash);

    READ(db + 0x60); /* table, mask, number of entries */
    READ(db + 0x70);
    READ(db + 0x78);
    for (unsigned i = 0; i < 4; i++) { /* SipHash over the key */
        READ(string + 8 * i);
    }
    READ(w->buckets + 8 * (hash >> (64 - w->bits)));
    for (unsigned i = 0; i <= before; i++) {
        uint64_t other = i == before ? key : key + below(mix2(hash, i), keys - key);
        uint64_t at = w->keys + PER_KEY * other;
        READ_AFTER(at + ENTRY + PREFIX); /* key */
        READ_AFTER(at + KEY + PREFIX);   /* length */
        READ(at + KEY + PREFIX + 1);     /* text, compared with 16 bytes at a time */
        READ(string);
        READ(at + KEY + PREFIX + 10);
        READ(string + 9);
        if (i != before) {
            READ(at + ENTRY + PREFIX + 16); /* next */
        }
    }
    return p;
}

static struct eval_access *read_op(struct redis *w, struct eval_access *p, uint64_t key)
{
    uint64_t at = w->keys + PER_KEY * key, data = w->g.data;
    uint64_t chunk = w->arena + w->arena_stride * w->heap + ARENA_HEADER + PER_READ * w->reads;

    if (++w->reads == w->arena_ops) {
        w->reads = 0;
        w->heap = w->heap + 1 == ARENAS ? 0 : w->heap + 1;
    }
    p = make_key(w, p, w->reader_stack, chunk, w->arena + 0x80);
    READ(data + 0x800); /* mutex */
    WRITE(data + 0x800);
    READ(data + 0x1440); /* expires: no key has a time */
    p = find(w, p, key, chunk + PREFIX + 19);
    READ(at + ENTRY + PREFIX + 8); /* value */
    READ(data + 0x1500);           /* clock */
    READ_AFTER(at + OBJECT + PREFIX);
    WRITE(at + OBJECT + PREFIX); /* when it was used last */
    WRITE(data + 0x1510);        /* hits */
    READ(data + 0x800);
    WRITE(data + 0x800);
    READ(at + OBJECT + PREFIX + 8);
    READ_AFTER(at + VALUE + PREFIX + 3);
    return p;
}

static struct eval_access *write_op(struct redis *w, struct eval_access *p, uint64_t key)
{
    uint64_t at = w->keys + PER_KEY * key, chunk = w->written + PER_WRITE * w->writes, data = w->g.data;
    uint64_t stack = w->g.stack;

    w->writes = w->writes + 1 == w->write_ops ? 0 : w->writes + 1;
    p = make_key(w, p, stack, chunk, data + 0x2000);
    for (unsigned i = 0; i < 8; i++) { /* the value's text, 58 bytes; its string; its object */
        WRITE(stack + 0xa00 + 8 * i);
    }
    p = take(w, p, data + 0x2000, chunk + NEW_VALUE, NEW_OBJECT - NEW_VALUE);
    for (unsigned i = 0; i < 8; i++) {
        READ(stack + 0xa00 + 8 * i);
        WRITE(chunk + NEW_VALUE + PREFIX + (i == 7 ? 54 : 3 + 8 * i));
    }
    p = take(w, p, data + 0x2000, chunk + NEW_OBJECT, PER_WRITE - NEW_OBJECT);
    WRITE(chunk + NEW_OBJECT + PREFIX);
    WRITE(chunk + NEW_OBJECT + PREFIX + 8);
    READ(data + 0x800);
    WRITE(data + 0x800);
    READ(data + 0x1440);
    p = find(w, p, key, chunk + PREFIX + 19); /* is it there? */
    READ(at + ENTRY + PREFIX + 8);
    READ_AFTER(at + OBJECT + PREFIX);
    WRITE(at + OBJECT + PREFIX);
    p = find(w, p, key, chunk + PREFIX + 19); /* dbOverwrite looks again */
    READ(at + ENTRY + PREFIX + 8);
    WRITE(at + ENTRY + PREFIX + 8); /* the new value; the old one loses a reference */
    READ(at + OBJECT + PREFIX + 4);
    WRITE(at + OBJECT + PREFIX + 4);
    WRITE(chunk + NEW_OBJECT + PREFIX + 4);
    READ(data + 0x1440);
    WRITE(data + 0x1520); /* changes since the last save */
    READ(data + 0x800);
    WRITE(data + 0x800);
    return p;
}

static struct eval_access *redis_op(struct gen *g, struct eval_access *p)
{
    struct redis *w = (struct redis *)g;
    uint64_t random = gen_random(g);

    FETCH(g->code + (random & 7) * 4 * KIB);
    w->write = !w->write;
    if (w->write) {
        return read_op(w, p, random >> (64 - w->bits));
    }
    return write_op(w, p, gen_random_before(g, 2 * BEHIND + 1) >> (64 - w->bits));
}

static void redis_start(struct gen *g)
{
    struct redis *w = (struct redis *)g;

    w->reads = w->writes = w->heap = 0;
    w->write = false;
}

struct workload *redis_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    struct redis *w = gen_new(kind, scale, seed, sizeof *w, redis_op, redis_start, NULL);

    if (w == NULL) {
        return NULL;
    }
    w->bits = gen_scaled_log2((double)(UINT64_C(1) << 29), scale, 8);
    uint64_t keys = UINT64_C(1) << w->bits;
    w->salt = mix(seed);
    for (unsigned i = 0; i < 64; i++) {
        poisson_table(1 - (i + 0.5) / 64, w->later[i], COLLISIONS);
    }
    scale = (double)keys / (double)(UINT64_C(1) << 29); /* what it has come to be */
    w->write_ops = gen_scaled(OPERATIONS, scale, 1024);
    w->keys = layout_heap(&w->g, keys * PER_KEY + (w->write_ops + 1) * PER_WRITE + MIB) + 0x10000;
    w->written = w->keys + keys * PER_KEY;
    w->buckets = layout_mmap(&w->g, "buckets", 8 * keys + MALLOC_HEADER) + MALLOC_HEADER;
    for (unsigned i = 0; i < 3; i++) { /* threads that close files and free memory in the background */
        layout_mmap(&w->g, "thread", 33 * 4 * KIB);
    }
    w->reader_stack = layout_mmap(&w->g, "thread", 33 * 4 * KIB) + 0x1f000;
    /* The heaps of the reader's arena would touch, and so be one area; here a page lies between, as if each
     * had kept its inaccessible rest. */
    uint64_t bytes = gen_scaled((double)ARENA_BYTES, scale, 16 * KIB) & ~UINT64_C(0xfff);
    for (unsigned i = 0; i < ARENAS; i++) {
        w->arena = layout_mmap(&w->g, "arena", bytes);
    }
    w->arena_stride = bytes + 4 * KIB;
    w->arena_ops = (bytes - ARENA_HEADER) / PER_READ - 1;
    layout_finish(&w->g, 182);
    return &w->g.w;
}
