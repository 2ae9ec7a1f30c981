/* SPDX-License-Identifier: Apache-2.0
 * BTree: lookups in an in-memory B+ tree of order 16 (bpt.c as the vmitosis
 * benchmarks have it). Keys 0, N-1, 2, N-3, .. are inserted, so even keys rise
 * from the left and odd ones fall from the right until they meet, and then go
 * on into each other's leaves. What tree this makes follows from the splits (16
 * keys become 8 and 8), and tests/test_workloads.c builds the real one:
 *   leaves have 8 keys; each 16 keys of a side are one leaf from before the
 *   meeting, and one that was split off it after;
 *   on the left a node above the leaves has 16 children and those above it 8;
 *   on the right 9, on the average, at every level.
 *
 * A node is 48 bytes in a slab, plus two arrays from posix_memalign: keys, and
 * pointers behind them, but every fifth time in a gap that malloc has left
 * nearby. Records (16 bytes) come from slabs as well. Slabs are 256 KiB and used
 * from the end. They are packed here, where the benchmark aligns each to 2 MiB. */
#include "eval/generator.h"

#define KEYS     1.5e9
#define NODE     48
#define PER_NODE (256 * KIB / NODE)
#define RECORD   16
#define PER_REC  (256 * KIB / RECORD)
#define ARRAYS   368 /* bytes of both arrays of a node, with what malloc loses; makes the paper's 125 GB */
#define POINTERS 192 /* from the keys of a node to its pointers */
#define LEVELS   12

/* struct node: pointers, keys, parent, is_leaf, num_keys, next */
enum { N_POINTERS = 0, N_KEYS = 8, N_IS_LEAF = 24, N_NUM_KEYS = 32 };

struct btree {
    struct gen g;
    uint64_t keys, half; /* half: leaves on each side */
    uint64_t met, nodes; /* nodes when both sides met, and in the end */
    uint64_t elements, records, slabs, arrays;
    uint64_t lrand, again;
    unsigned height; /* levels above the leaves, the root among them */
    unsigned top[2]; /* the root's children on the left, on the right */
};

/* Number of a node in the order of allocation: of the leaves, k-th pair of its side counted from the end,
 * split off after the meeting or not. 8/7 nodes a leaf before (a node for 8 leaves, ..), 17/16 after. */
static uint64_t allocated(const struct btree *w, uint64_t k, bool after, unsigned side)
{
    return after ? w->met + 2 * (w->half / 2 - 1 - k) * 17 / 16 + side : 2 * k * 8 / 7 + side;
}

static struct eval_access *node(const struct btree *w, struct eval_access *p, uint64_t number, unsigned read,
                                unsigned child)
{
    uint64_t slab = number / PER_NODE, slot = PER_NODE - 1 - number % PER_NODE;
    uint64_t n = w->slabs + slab * 256 * KIB + slot * NODE;
    uint64_t keys = w->arrays + number * ARRAYS, pointers = keys + POINTERS;
    uint64_t odd = mix(number ^ w->g.w.seed);

    if (odd % 5 == 0 && number > 32) { /* up to 8 KiB before it */
        pointers = (keys - (odd >> 32) % (8 * KIB)) & ~UINT64_C(63);
    }
    READ_AFTER(n + N_IS_LEAF);
    READ(n + N_NUM_KEYS);
    READ(n + N_KEYS);
    READ_AFTER(keys);
    for (unsigned i = 1; i < read; i++) {
        READ(keys + 8 * i);
    }
    READ(n + N_POINTERS);
    READ_AFTER(pointers + 8 * child);
    return p;
}

static struct eval_access *find(struct btree *w, struct eval_access *p, uint64_t key)
{
    uint64_t leaf = (key - (key >= w->keys / 2 + 1)) / 8;
    unsigned side = leaf >= w->half;
    uint64_t number[LEVELS];
    unsigned child[LEVELS], reads[LEVELS];

    if (leaf >= 2 * w->half) {
        leaf = 2 * w->half - 1;
    }
    uint64_t x = side == 0 ? leaf : 2 * w->half - 1 - leaf, span = 1;
    number[0] = allocated(w, x / 2, x % 2 != 0, side);
    for (unsigned l = 1; l <= w->height; l++) {
        uint64_t up;
        unsigned below_root = (unsigned)x;
        if (side == 0) {
            unsigned fan = l == 1 ? 16 : 8;
            up = x / fan;
            child[l] = (unsigned)(x - up * fan);
            reads[l] = child[l] + 1 < fan ? child[l] + 1 : fan - 1;
            span *= fan;
        } else {
            up = x / 9;
            child[l] = 8 - (unsigned)(x - up * 9);
            reads[l] = child[l] + 1 < 9 ? child[l] + 1 : 8;
            span *= 9;
        }
        x = up;
        /* When its first leaf was, one later for each level; on the right every other one was split off
         * later. */
        uint64_t k = x * span / 2;
        number[l] =
            allocated(w, k < w->half / 2 ? k : w->half / 2 - 1, side == 1 && x % 2 != 0, side) + 2 * l;
        if (l == w->height) { /* both sides have one root, which is made last */
            unsigned all = w->top[0] + w->top[1];
            number[l] = w->met - 1;
            child[l] = side == 0 ? below_root : all - 1 - below_root;
            reads[l] = child[l] + 1 < all ? child[l] + 1 : all - 1;
        }
    }
    for (unsigned l = w->height; l > 0; l--) {
        p = node(w, p, number[l], reads[l], child[l]);
    }
    unsigned place = (unsigned)((key - (key >= w->keys / 2 + 1)) % 8);
    p = node(w, p, number[0], place + 1, place);
    /* Its record, made when the key came, and the element that it names. */
    uint64_t mirrored = w->keys - 1 - key, pair = key % 2 == 0 ? key : mirrored;
    uint64_t record = pair + key % 2;
    READ_AFTER(w->records + record / PER_REC * 256 * KIB + (PER_REC - 1 - record % PER_REC) * RECORD);
    READ_AFTER(w->elements + (key % 2 == 0 ? 0 : w->keys / 2 * 16) + pair / 2 * 16);
    return p;
}

/* One lookup; the second one of an iteration is of a key made from the first one's number. */
static struct eval_access *btree_op(struct gen *g, struct eval_access *p)
{
    struct btree *w = (struct btree *)g;
    uint64_t number;

    FETCH(g->code);
    if (w->again != 0) {
        number = w->again << 2;
        w->again = 0;
    } else { /* lrand48 */
        w->lrand = (w->lrand * UINT64_C(0x5deece66d) + 0xb) & UINT64_C(0xffffffffffff);
        number = w->lrand >> 17;
        w->again = number + 1;
        for (unsigned i = 0; i < 3; i++) {
            READ(g->data + 0x40 + 8 * i);
            WRITE(g->data + 0x40 + 8 * i);
        }
    }
    READ(g->data + 0x80); /* root */
    return find(w, p, number % w->keys);
}

static void btree_start(struct gen *g)
{
    struct btree *w = (struct btree *)g;
    uint32_t seed = g->w.seed == 0 ? 0xcafebabe : (uint32_t)mix(g->w.seed);

    w->lrand = (uint64_t)seed << 16 | 0x330e;
    w->again = 0;
}

struct workload *btree_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    struct btree *w = gen_new(kind, scale, seed, sizeof *w, btree_op, btree_start, NULL);

    if (w == NULL) {
        return NULL;
    }
    w->keys = gen_scaled(KEYS, scale, 4096) & ~UINT64_C(31);
    w->half = w->keys / 16;
    w->met = w->half * 8 / 7;
    w->nodes = w->met + w->half * 17 / 16 + 64;
    /* Levels until both sides' nodes are children of one. */
    uint64_t left = (w->half + 15) / 16, right = (w->half + 8) / 9;
    for (w->height = 2; left + right > 16; w->height++) {
        left = (left + 7) / 8;
        right = (right + 8) / 9;
    }
    w->top[0] = (unsigned)left;
    w->top[1] = (unsigned)right;
    uint64_t elements = w->keys * 16 + 4 * KIB, records = (w->keys / PER_REC + 1) * 256 * KIB;
    uint64_t slabs = (w->nodes / PER_NODE + 1) * 256 * KIB;
    uint64_t base = layout_mmap(&w->g, "slabs and elements", elements + records + slabs);
    w->slabs = base;
    w->records = base + slabs;
    w->elements = base + slabs + records;
    w->arrays = layout_heap(&w->g, w->nodes * ARRAYS + 4 * KIB) + 64;
    layout_finish(&w->g, 109);
    return &w->g.w;
}
