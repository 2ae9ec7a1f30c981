/* SPDX-License-Identifier: Apache-2.0 */
#include "programs.h"

#include "dmt/regs.h"
#include "xorshift.h"
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <sys/mman.h>

static void note(struct program_log *log, const volatile void *at, unsigned kind)
{
    if (log != NULL && log->n < log->room) {
        log->access[log->n++] = (struct eval_access){(uintptr_t)at, (uint8_t)kind, 0};
    }
}
#define R(at) note(log, &(at), DMT_ACCESS_READ)
#define W(at) note(log, &(at), DMT_ACCESS_WRITE)

static bool full(const struct program_log *log)
{
    return log->n == log->room;
}

static void *get(void *p)
{
    if (p == NULL) {
        perror("programs");
        abort();
    }
    return p;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random64(void)
{
    return xorshift_star(&random_state);
}

static double random_unit(void)
{
    return (double)(random64() >> 11) / 9007199254740992.0;
}

/* ---------------------------------------------------------------- gups */

static uint64_t hpcc_starts(int64_t n)
{
    uint64_t m2[64], temp = 1, ran = 2;
    int i;

    if (n == 0) {
        return 1;
    }
    for (i = 0; i < 64; i++) {
        m2[i] = temp;
        temp = temp << 1 ^ ((int64_t)temp < 0 ? 7 : 0);
        temp = temp << 1 ^ ((int64_t)temp < 0 ? 7 : 0);
    }
    for (i = 62; i >= 0 && (n >> i & 1) == 0; i--) {
    }
    while (i > 0) {
        temp = 0;
        for (int j = 0; j < 64; j++) {
            if (ran >> j & 1) {
                temp ^= m2[j];
            }
        }
        ran = temp;
        if (n >> --i & 1) {
            ran = ran << 1 ^ ((int64_t)ran < 0 ? 7 : 0);
        }
    }
    return ran;
}

void program_gups(struct program_log *log, uint64_t words)
{
    uint64_t *table = get(malloc(8 * words + 16)), *ran = get(calloc(128, 8));

    log->base = (uintptr_t)table;
    for (uint64_t i = 0; i <= words; i++) {
        table[i] = i;
    }
    for (unsigned j = 0; j < 128; j++) {
        ran[j] = hpcc_starts((INT64_C(1) << 30) / 128 * j);
    }
    while (!full(log)) {
        for (unsigned j = 0; j < 128; j++) {
            log->operations += !full(log);
            R(ran[j]);
            W(ran[j]);
            ran[j] = ran[j] << 1 ^ ((int64_t)ran[j] < 0 ? 7 : 0);
            uint64_t e = ran[j] % words;
            R(table[e]);
            W(table[e]);
            table[e] ^= ran[j];
            R(table[words - e]);
            W(table[words - e]);
            table[words - e] ^= ran[j];
        }
    }
    free(table);
    free(ran);
}

/* ---------------------------------------------------------------- btree: bpt.c of the vmitosis benchmarks */

#define ORDER 16
#define SLAB  (1u << 18)

struct bnode {
    void **pointers;
    uint64_t *keys;
    struct bnode *parent;
    bool is_leaf;
    uint64_t num_keys;
    struct bnode *next;
};
struct record {
    union {
        uint64_t value;
        struct record *next;
    };
    uint64_t flags;
};

static struct btree {
    struct bnode *root, *free_nodes;
    struct record *free_records;
    uint8_t *pool; /* of slabs, one behind the other */
    size_t used, size;
    uint64_t nodes;
} tree;

static void *slab(void)
{
    void *s = tree.pool + tree.used;

    tree.used += SLAB;
    if (tree.used > tree.size) {
        abort();
    }
    return s;
}

static void *aligned64(size_t size)
{
    void *p = get(memalign(64, size)); /* posix_memalign does the same; gcc 12 warns of its pointer to p */

    return memset(p, 0, size);
}

static struct bnode *make_node(bool leaf)
{
    if (tree.free_nodes == NULL) {
        struct bnode *n = slab();
        for (size_t i = 0; i < SLAB / sizeof *n; i++) {
            n[i].next = tree.free_nodes;
            tree.free_nodes = &n[i];
        }
    }
    struct bnode *n = tree.free_nodes;
    tree.free_nodes = n->next;
    n->keys = aligned64((ORDER - 1) * sizeof *n->keys);
    n->pointers = aligned64(ORDER * sizeof *n->pointers);
    n->is_leaf = leaf;
    n->num_keys = 0;
    n->parent = n->next = NULL;
    tree.nodes++;
    return n;
}

static struct record *make_record(uint64_t value)
{
    if (tree.free_records == NULL) {
        struct record *r = slab();
        for (size_t i = 0; i < SLAB / sizeof *r; i++) {
            r[i].next = tree.free_records;
            tree.free_records = &r[i];
        }
    }
    struct record *r = tree.free_records;
    tree.free_records = r->next;
    r->value = value;
    return r;
}

static struct bnode *find_leaf(struct program_log *log, uint64_t key)
{
    struct bnode *c = tree.root;

    R(tree.root);
    for (R(c->is_leaf); !c->is_leaf; R(c->is_leaf)) {
        uint64_t i = 0;
        R(c->num_keys);
        R(c->keys);
        for (; i < c->num_keys; i++) {
            R(c->keys[i]);
            if (key < c->keys[i]) {
                break;
            }
        }
        R(c->pointers);
        R(c->pointers[i]);
        c = c->pointers[i];
    }
    return c;
}

static void insert_into_parent(struct bnode *left, uint64_t key, struct bnode *right)
{
    struct bnode *p = left->parent, *new_node;
    uint64_t at = 0, i, j;

    if (p == NULL) {
        tree.root = make_node(false);
        tree.root->keys[0] = key;
        tree.root->pointers[0] = left;
        tree.root->pointers[1] = right;
        tree.root->num_keys = 1;
        left->parent = right->parent = tree.root;
        return;
    }
    while (p->pointers[at] != left) {
        at++;
    }
    if (p->num_keys < ORDER - 1) {
        for (i = p->num_keys; i > at; i--) {
            p->pointers[i + 1] = p->pointers[i];
            p->keys[i] = p->keys[i - 1];
        }
        p->pointers[at + 1] = right;
        p->keys[at] = key;
        p->num_keys++;
        right->parent = p;
        return;
    }
    void **pointers = aligned64((ORDER + 1) * sizeof *pointers);
    uint64_t *keys = aligned64(ORDER * sizeof *keys);
    for (i = 0, j = 0; i < p->num_keys + 1; i++, j++) {
        j += j == at + 1;
        pointers[j] = p->pointers[i];
    }
    for (i = 0, j = 0; i < p->num_keys; i++, j++) {
        j += j == at;
        keys[j] = p->keys[i];
    }
    pointers[at + 1] = right;
    keys[at] = key;
    right->parent = p;
    new_node = make_node(false);
    p->num_keys = ORDER / 2 - 1;
    memcpy(p->keys, keys, p->num_keys * sizeof *keys);
    memcpy(p->pointers, pointers, (p->num_keys + 1) * sizeof *pointers);
    new_node->num_keys = ORDER - ORDER / 2;
    memcpy(new_node->keys, keys + ORDER / 2, new_node->num_keys * sizeof *keys);
    memcpy(new_node->pointers, pointers + ORDER / 2, (new_node->num_keys + 1) * sizeof *pointers);
    uint64_t middle = keys[ORDER / 2 - 1];
    free(pointers);
    free(keys);
    new_node->parent = p->parent;
    for (i = 0; i <= new_node->num_keys; i++) {
        ((struct bnode *)new_node->pointers[i])->parent = new_node;
    }
    insert_into_parent(p, middle, new_node);
}

static void insert(uint64_t key, uint64_t value)
{
    struct record *r = make_record(value);
    uint64_t at = 0, i, j;

    if (tree.root == NULL) {
        tree.root = make_node(true);
        tree.root->keys[0] = key;
        tree.root->pointers[0] = r;
        tree.root->num_keys = 1;
        return;
    }
    struct bnode *leaf = find_leaf(NULL, key), *new_leaf;
    while (at < leaf->num_keys && leaf->keys[at] < key) {
        at++;
    }
    if (leaf->num_keys < ORDER - 1) {
        for (i = leaf->num_keys; i > at; i--) {
            leaf->keys[i] = leaf->keys[i - 1];
            leaf->pointers[i] = leaf->pointers[i - 1];
        }
        leaf->keys[at] = key;
        leaf->pointers[at] = r;
        leaf->num_keys++;
        return;
    }
    new_leaf = make_node(true);
    uint64_t *keys = aligned64((ORDER + 1) * sizeof *keys);
    void **pointers = aligned64((ORDER + 1) * sizeof *pointers);
    for (i = 0, j = 0; i < leaf->num_keys; i++, j++) {
        j += j == at;
        keys[j] = leaf->keys[i];
        pointers[j] = leaf->pointers[i];
    }
    keys[at] = key;
    pointers[at] = r;
    leaf->num_keys = new_leaf->num_keys = ORDER / 2;
    memcpy(leaf->keys, keys, 8 * leaf->num_keys);
    memcpy(leaf->pointers, pointers, 8 * leaf->num_keys);
    memcpy(new_leaf->keys, keys + ORDER / 2, 8 * new_leaf->num_keys);
    memcpy(new_leaf->pointers, pointers + ORDER / 2, 8 * new_leaf->num_keys);
    free(pointers);
    free(keys);
    new_leaf->parent = leaf->parent;
    insert_into_parent(leaf, new_leaf->keys[0], new_leaf);
}

static uint64_t *btree_build(uint64_t keys)
{
    uint64_t *elements = get(malloc(16 * keys));

    memset(elements, 0, 16 * keys);
    tree = (struct btree){.size =
                              (keys * 16 / SLAB + keys / 6 * sizeof(struct bnode) / SLAB + 4) * (size_t)SLAB};
    tree.pool = get(malloc(tree.size));
    for (uint64_t i = 0; i < keys; i += 2) {
        insert(i, (uintptr_t)&elements[i]);
        insert(keys - 1 - i, (uintptr_t)&elements[keys + i]);
    }
    return elements;
}

static void btree_free(struct bnode *n)
{
    for (uint64_t i = 0; !n->is_leaf && i <= n->num_keys; i++) {
        btree_free(n->pointers[i]);
    }
    free(n->keys);
    free(n->pointers);
}

static void btree_find(struct program_log *log, uint64_t key)
{
    struct bnode *leaf = find_leaf(log, key);
    uint64_t i = 0;

    R(leaf->num_keys);
    R(leaf->keys);
    for (;; i++) {
        R(leaf->keys[i]);
        if (leaf->keys[i] == key) {
            break;
        }
    }
    R(leaf->pointers);
    R(leaf->pointers[i]);
    struct record *r = leaf->pointers[i];
    R(r->value);
    R(*(uint64_t *)r->value);
    log->operations += !full(log);
}

void program_btree(struct program_log *log, uint64_t keys)
{
    uint64_t *elements = btree_build(keys), x = UINT64_C(0xcafebabe330e);
    static uint16_t state[12];

    while (!full(log)) {
        x = (x * UINT64_C(0x5deece66d) + 0xb) & UINT64_C(0xffffffffffff);
        for (unsigned i = 0; i < 3; i++) {
            R(state[4 * i]);
            W(state[4 * i]);
        }
        btree_find(log, (x >> 17) % keys);
        btree_find(log, (((x >> 17) + 1) << 2) % keys);
    }
    btree_free(tree.root);
    free(tree.pool);
    free(elements);
}

static void shape(const struct bnode *n, unsigned above, uint64_t middle, struct program_tree *t)
{
    unsigned level = t->height - above;

    (n->keys[0] < middle ? t->left : t->right)[level]++;
    for (uint64_t i = 0; !n->is_leaf && i <= n->num_keys; i++) {
        shape(n->pointers[i], above + 1, middle, t);
    }
}

void program_btree_shape(uint64_t keys, struct program_tree *t)
{
    uint64_t *elements = btree_build(keys);

    *t = (struct program_tree){.nodes = tree.nodes};
    for (const struct bnode *n = tree.root; !n->is_leaf; n = n->pointers[0]) {
        t->height++;
    }
    shape(tree.root, 0, keys / 2, t);
    btree_free(tree.root);
    free(tree.pool);
    free(elements);
}

/* ---------------------------------------------------------------- redis: dict.c, sds.c, object.c on malloc
 */

/* Variables of the server, of malloc (main arena and the reader's), and two stacks: a page or two each. */
static _Alignas(4096) struct {
    uint64_t used, random[3], mutex, fill1[507];
    uint64_t expires, clock, hits, dirty, fill2[508];
    uint64_t arena[2][512];
    char stack[2][4096];
} redis;
static unsigned thread; /* 0: writer, 1: reader */
static void **kept;     /* all that was allocated: the benchmark gives nothing back */
static size_t kept_n;

/* zmalloc without malloc_usable_size: the size in front. What malloc does when it takes from its top is
 * logged, too. */
static void *zmalloc(struct program_log *log, size_t size)
{
    uint64_t *p = get(malloc(size + 8));

    R(redis.arena[thread][0]);
    R(redis.arena[thread][1]);
    W(redis.arena[thread][1]);
    W(p[-1]);                        /* size of the chunk */
    W(p[malloc_usable_size(p) / 8]); /* and of what is left behind it */
    W(p[0]);
    R(redis.used);
    W(redis.used);
    *p = size;
    kept[kept_n++] = p;
    return p + 1;
}

struct robj {
    unsigned type : 4, encoding : 4, lru : 24;
    int refs;
    void *ptr;
};
struct entry {
    char *key;
    struct robj *val;
    struct entry *next;
};
static struct dict {
    struct entry **table;
    uint64_t mask, used;
} dict;

/* A string with its header of 1 or 3 bytes in front. */
static char *sds(struct program_log *log, const char *text, size_t len)
{
    size_t header = len < 32 ? 1 : 3;
    char *s = zmalloc(log, header + len + 1);

    for (size_t i = 0; i < len; i += 8) {
        R(text[i]);
        W(s[header + i]);
    }
    s[0] = (char)len;
    memcpy(s + header, text, len + 1);
    return s + header;
}

static struct robj *embedded(struct program_log *log, const char *text, size_t len)
{
    struct robj *o = zmalloc(log, sizeof *o + 3 + len + 1);
    char *s = (char *)(o + 1) + 3;

    o->refs = 1;
    o->ptr = s;
    W(o->refs);
    W(o->ptr);
    for (size_t i = 0; i < len; i += 8) {
        R(text[i]);
        W(s[i]);
    }
    memcpy(s, text, len + 1);
    return o;
}

static struct robj *raw(struct program_log *log, const char *text, size_t len)
{
    char *s = sds(log, text, len);
    struct robj *o = zmalloc(log, sizeof *o);

    o->refs = 1;
    o->ptr = s;
    W(o->refs);
    W(o->ptr);
    return o;
}

static uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

/* SipHash-1-2, as Redis has it. */
static uint64_t siphash(struct program_log *log, const char *text, size_t len)
{
    uint64_t v0 = 0x736f6d6570736575u, v1 = 0x646f72616e646f6du, v2 = 0x6c7967656e657261u,
             v3 = 0x7465646279746573u;

    for (size_t i = 0;; i += 8) {
        uint64_t m = 0;
        bool last = i + 8 > len;
        memcpy(&m, text + i, last ? len - i : 8);
        m |= last ? (uint64_t)len << 56 : 0;
        R(text[i]);
        v3 ^= m;
        for (unsigned round = 0; round < (last ? 3u : 1u); round++) {
            if (last && round == 1) {
                v0 ^= m;
                v2 ^= 0xff;
            }
            v0 += v1;
            v1 = rotate(v1, 13) ^ v0;
            v0 = rotate(v0, 32);
            v2 += v3;
            v3 = rotate(v3, 16) ^ v2;
            v0 += v3;
            v3 = rotate(v3, 21) ^ v0;
            v2 += v1;
            v1 = rotate(v1, 17) ^ v2;
            v2 = rotate(v2, 32);
        }
        v0 ^= last ? 0 : m;
        if (last) {
            return v0 ^ v1 ^ v2 ^ v3;
        }
    }
}

static struct entry *dict_find(struct program_log *log, const char *key, size_t len)
{
    R(dict.table);
    R(dict.mask);
    R(dict.used);
    struct entry **bucket = &dict.table[siphash(log, key, len) & dict.mask];
    R(*bucket);
    for (struct entry *e = *bucket; e != NULL; e = e->next) {
        R(e->key);
        R(e->key[-1]);
        R(e->key[0]); /* memcmp: two vectors of 16 bytes; keys differ in their last digits */
        R(key[0]);
        R(e->key[len - 16]);
        R(key[len - 16]);
        if (memcmp(e->key, key, len) == 0) {
            return e;
        }
        R(e->next);
    }
    return NULL;
}

static void dict_add(struct program_log *log, char *key, size_t len, struct robj *val)
{
    if (dict.used > dict.mask) { /* twice as large; here at once */
        struct entry **old = dict.table;
        uint64_t n = dict.mask + 1;
        dict.table = get(calloc(2 * n, sizeof *dict.table));
        dict.mask = 2 * n - 1;
        for (uint64_t i = 0; i < n; i++) {
            for (struct entry *e = old[i], *next; e != NULL; e = next) {
                next = e->next;
                struct entry **b = &dict.table[siphash(NULL, e->key, len) & dict.mask];
                e->next = *b;
                *b = e;
            }
        }
        free(old);
    }
    struct entry *e = zmalloc(log, sizeof *e);
    struct entry **b = &dict.table[siphash(log, key, len) & dict.mask];
    *e = (struct entry){key, val, *b};
    *b = e;
    dict.used++;
}

static void print_key(struct program_log *log, char *text, uint64_t key)
{
    for (unsigned i = 0; i < 3; i++) {
        R(redis.random[i]);
        W(redis.random[i]);
    }
    snprintf(text, 128, "my-key-0x%016lx", key);
    for (unsigned i = 0; i < 25; i += 8) {
        W(text[i]);
    }
}

#define KEY_LEN   25
#define VALUE_LEN 64
#define BEHIND    8192 /* operations that the writer is behind the reader, whose keys it takes */

void program_redis(struct program_log *log, unsigned bits)
{
    uint64_t keys = UINT64_C(1) << bits, *drawn = get(malloc(BEHIND * sizeof *drawn)), op = 0;
    char *key = redis.stack[0], *value = redis.stack[0] + 128;

    for (unsigned i = 0; i < BEHIND; i++) {
        drawn[i] = random64();
    }
    kept = get(malloc((5 * keys + log->room) * sizeof *kept));
    kept_n = 0;
    dict = (struct dict){get(calloc(4, sizeof *dict.table)), 3, 0};
    for (uint64_t i = 0; i < keys; i++) {
        snprintf(key, 128, "my-key-0x%016lx", i);
        snprintf(value, VALUE_LEN, "my-dummy-value-for-key-0x%016lx", i);
        embedded(NULL, key, KEY_LEN); /* never given back, as in the benchmark */
        struct robj *val = raw(NULL, value, VALUE_LEN);
        dict_add(NULL, sds(NULL, key, KEY_LEN), KEY_LEN, val);
    }
    while (!full(log)) {
        thread = 1;
        key = redis.stack[1];
        log->operations += !full(log);
        uint64_t now = random64();
        print_key(log, key, now & (keys - 1));
        struct robj *o = embedded(log, key, KEY_LEN);
        R(redis.mutex);
        W(redis.mutex);
        R(redis.expires);
        struct entry *e = dict_find(log, o->ptr, KEY_LEN);
        R(e->val);
        R(redis.clock);
        R(e->val->refs);
        W(e->val->refs);
        W(redis.hits);
        R(redis.mutex);
        W(redis.mutex);
        R(e->val->ptr);
        R(*(char *)e->val->ptr);
        thread = 0;
        key = redis.stack[0];
        log->operations += !full(log);
        uint64_t i = drawn[op % BEHIND] & (keys - 1);
        drawn[op++ % BEHIND] = now;
        print_key(log, key, i);
        o = embedded(log, key, KEY_LEN);
        int len = snprintf(value, 128, "my-dummy-value-for-key-0x%016lx-updated-%07u", i, 1234567);
        for (int j = 0; j < len; j += 8) {
            W(value[j]);
        }
        struct robj *val = raw(log, value, (size_t)len);
        R(redis.mutex);
        W(redis.mutex);
        R(redis.expires);
        e = dict_find(log, o->ptr, KEY_LEN);
        R(e->val);
        R(e->val->refs);
        W(e->val->refs);
        e = dict_find(log, o->ptr, KEY_LEN);
        R(e->val);
        W(e->val);
        R(e->val->refs);
        W(e->val->refs);
        e->val = val; /* the old value keeps a reference, and so its memory */
        W(val->refs);
        R(redis.expires);
        W(redis.dirty);
        R(redis.mutex);
        W(redis.mutex);
    }
    for (size_t k = 0; k < kept_n; k++) {
        free(kept[k]);
    }
    free(kept);
    free(drawn);
    free(dict.table);
}

/* ---------------------------------------------------------------- memcached: slabs.c, assoc.c, items.c */

struct item {
    struct item *next, *prev, *h_next;
    uint32_t time, exptime, nbytes;
    uint16_t refcount;
    uint8_t flags[2], clsid, nkey;
    uint64_t cas;
    char key[];
};
#define ITEM 1024

void program_memcached(struct program_log *log, uint64_t records)
{
    struct item *free_items = NULL, **table = get(calloc(64, sizeof *table));
    uint64_t size = 64, slabs = 0;
    void **slab_list = get(calloc(records / 1000 + 2, sizeof *slab_list));
    static uint8_t locks[8192][40];
    struct {
        uint64_t *state, *buffer, *answer, *item_list, *suffixes, *pieces, *messages, *stats;
    } conn[4]; /* as conn_new allocates them; statistics are the thread's */
    char key[40];

    for (unsigned t = 0; t < 4; t++) {
        conn[t].state = get(malloc(600));
        conn[t].buffer = get(malloc(2048));
        conn[t].answer = get(malloc(2048));
        conn[t].item_list = get(malloc(1600));
        conn[t].suffixes = get(malloc(160));
        conn[t].pieces = get(malloc(6400));
        conn[t].messages = get(malloc(560));
        conn[t].stats = get(malloc(8192));
    }
    for (uint64_t i = 0; i < records; i++) {
        if (free_items == NULL) {
            uint8_t *page = slab_list[slabs++] = get(malloc(1 << 20));
            memset(page, 0, 1 << 20);
            for (unsigned x = 0; x < (1 << 20) / ITEM; x++) {
                struct item *it = (struct item *)(page + x * ITEM);
                it->next = free_items;
                free_items = it;
            }
        }
        struct item *it = free_items;
        free_items = it->next;
        snprintf(it->key, sizeof key, "user%019lu", i);
        it->nkey = 23;
        if (i * 2 > size * 3) {
            struct item **grown = get(calloc(2 * size, sizeof *grown));
            for (uint64_t b = 0; b < size; b++) {
                for (struct item *x = table[b], *next; x != NULL; x = next) {
                    next = x->h_next;
                    struct item **to = &grown[siphash(NULL, x->key, x->nkey) & (2 * size - 1)];
                    x->h_next = *to;
                    *to = x;
                }
            }
            free(table);
            table = grown;
            size *= 2;
        }
        struct item **to = &table[siphash(NULL, it->key, it->nkey) & (size - 1)];
        it->h_next = *to;
        *to = it;
    }
    static uint64_t now, hash_mask;
    /* Not on the stack, which begins elsewhere in a page in each run. */
    static _Alignas(4096) char tokens[8][16];
    while (!full(log)) {
        unsigned t = (unsigned)(random64() >> 33) & 3;
        log->operations += !full(log);
        snprintf(key, sizeof key, "user%019lu", (uint64_t)(random_unit() * (double)records));
        R(conn[t].state[0]);
        R(conn[t].state[3]);
        W(conn[t].state[3]);
        R(conn[t].state[8]);
        for (unsigned i = 0; i < 4; i++) {
            R(conn[t].buffer[i]);
            W(tokens[i]);
        }
        R(tokens[1]);
        uint64_t hash = siphash(NULL, key, 23);
        for (unsigned i = 0; i < 3; i++) {
            R(conn[t].buffer[i]);
        }
        uint8_t *lock = locks[hash >> 20 & 8191];
        R(hash_mask);
        R(*lock);
        W(*lock);
        R(table);
        R(size);
        struct item *it = table[hash & (size - 1)];
        R(table[hash & (size - 1)]);
        for (;;) {
            bool same = true;
            R(it->nkey);
            /* YCSB's keys differ in their first digits, as the number in them is hashed */
            for (unsigned i = 0; same && i < 3; i++) {
                R(it->key[8 * i]);
                R(conn[t].buffer[i]);
                same = memcmp(it->key, key, 23) == 0;
            }
            if (same) {
                break;
            }
            R(it->h_next);
            it = it->h_next;
        }
        R(it->refcount);
        W(it->refcount);
        R(now);
        R(it->exptime);
        R(it->flags);
        W(it->flags);
        R(*lock);
        W(*lock);
        R(conn[t].stats[0]);
        W(conn[t].stats[1]);
        W(conn[t].stats[160]); /* of the slab class */
        R(it->key);
        W(conn[t].item_list[0]);
        W(conn[t].pieces[0]);
        W(conn[t].messages[0]);
        W(tokens[7]);
        R(it->refcount);
        W(it->refcount);
    }
    for (uint64_t i = 0; i < slabs; i++) {
        free(slab_list[i]);
    }
    for (unsigned t = 0; t < 4; t++) {
        free(conn[t].state);
        free(conn[t].buffer);
        free(conn[t].answer);
        free(conn[t].item_list);
        free(conn[t].suffixes);
        free(conn[t].pieces);
        free(conn[t].messages);
        free(conn[t].stats);
    }
    free(slab_list);
    free(table);
}

/* ---------------------------------------------------------------- canneal: netlist.cpp, netlist_elem.cpp */

struct vector {
    struct element **begin, **end, **room;
};
struct place {
    int x, y;
};
struct element {
    struct vector fanin, fanout;
    struct place *place;
    uint64_t name[4];
};

static void push_back(struct vector *v, struct element *e)
{
    if (v->end == v->room) { /* 1, 2, 4, .. */
        size_t n = (size_t)(v->end - v->begin), grown = n == 0 ? 1 : 2 * n;
        struct element **to = get(malloc(grown * sizeof *to));
        if (n != 0) {
            memcpy(to, v->begin, n * sizeof *to);
        }
        free(v->begin);
        *v = (struct vector){to, to + n, to + grown};
    }
    *v->end++ = e;
}

static double distances(struct program_log *log, struct vector *v, const struct place *from,
                        const struct place *to)
{
    double sum = 0;

    for (size_t i = 0;; i++) {
        R(v->end);
        R(v->begin);
        if (v->begin + i == v->end) {
            return sum;
        }
        R(v->begin[i]);
        R(v->begin[i]->place);
        const struct place *at = v->begin[i]->place;
        R(at->x);
        R(at->y);
        sum += abs(to->x - at->x) + abs(to->y - at->y) - abs(from->x - at->x) - abs(from->y - at->y);
    }
}

void program_canneal(struct program_log *log, uint64_t elements)
{
    uint64_t side = (uint64_t)sqrt((double)elements), n = side * side;
    struct place *places = get(malloc(n * sizeof *places));
    struct element *e = get(calloc(n, sizeof *e));
    uint64_t *number = get(malloc(n * sizeof *number)), used = 0;
    void **names = get(malloc(n * sizeof *names)); /* nodes of the map, kept to be freed */
    static uint32_t twister[624];
    static uint64_t netlist[2], index;

    for (uint64_t i = 0; i < n; i++) {
        places[i] = (struct place){(int)(i / side), (int)(i % side)};
        e[i].place = &places[i];
        number[i] = UINT64_MAX;
    }
    for (uint64_t line = 0; line < n; line++) {
        struct element *of = NULL;
        for (unsigned i = 0; i < 6; i++) {
            uint64_t name = i == 0 ? line : random64() % n;
            if (number[name] == UINT64_MAX) {
                number[name] = used;
                names[used++] = get(malloc(72));
            }
            if (i == 0) {
                of = &e[number[name]];
            } else {
                push_back(&of->fanin, &e[number[name]]);
                push_back(&e[number[name]].fanout, of);
            }
        }
    }
    struct element *a = &e[random64() % n];
    for (double t = 2000 / 1.5; !full(log);) {
        struct element *b = &e[random64() % n];
        log->operations += !full(log);
        R(index);
        W(index);
        R(twister[random64() % 512]);
        R(netlist[0]);
        R(netlist[1]);
        R(a->place);
        R(b->place);
        double delta = distances(log, &a->fanin, a->place, b->place);
        delta += distances(log, &a->fanout, a->place, b->place);
        delta += distances(log, &b->fanin, b->place, a->place);
        delta += distances(log, &b->fanout, b->place, a->place);
        bool good = delta < 0;
        if (!good) {
            R(twister[random64() % 512]);
            W(index);
            good = exp(-delta / t) > random_unit();
        }
        if (good) {
            R(a->place);
            W(a->place);
            R(b->place);
            W(b->place);
            W(a->place);
            struct place *x = a->place;
            a->place = b->place;
            b->place = x;
        }
        a = b;
    }
    for (uint64_t i = 0; i < n; i++) {
        free(e[i].fanin.begin);
        free(e[i].fanout.begin);
    }
    for (uint64_t i = 0; i < used; i++) {
        free(names[i]);
    }
    free(names);
    free(number);
    free(e);
    free(places);
}

/* ---------------------------------------------------------------- xsbench: GridInit.c, CalculateXS.c,
 * Materials.c */

#define ISOTOPES 355

struct nuclide_point {
    double energy, xs[5];
};
struct grid_point {
    double energy;
    int *index;
};

static int by_energy(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

void program_xsbench(struct program_log *log, uint64_t points)
{
    static const int counts[12] = {321, 5, 4, 4, 27, 21, 21, 21, 21, 21, 9, 9};
    static const double dist[12] = {0.140, 0.052, 0.275, 0.134, 0.154, 0.064,
                                    0.066, 0.055, 0.008, 0.015, 0.025, 0.013};
    uint64_t n = ISOTOPES * points;
    struct nuclide_point *data = get(malloc(n * sizeof *data)), **rows = get(malloc(ISOTOPES * sizeof *rows));
    struct grid_point *grid = get(malloc(n * sizeof *grid));
    int *index = get(malloc(n * ISOTOPES * sizeof *index)), *mats = get(malloc(12 * 321 * sizeof *mats));
    double *concs = get(malloc(12 * 321 * sizeof *concs));

    for (uint64_t i = 0; i < n; i++) {
        data[i].energy = random_unit();
        for (unsigned x = 0; x < 5; x++) {
            data[i].xs[x] = random_unit();
        }
        grid[i].energy = data[i].energy;
    }
    for (unsigned k = 0; k < ISOTOPES; k++) {
        rows[k] = data + k * points;
        qsort(rows[k], points, sizeof **rows, by_energy);
    }
    qsort(grid, n, sizeof *grid, by_energy);
    for (unsigned k = 0; k < ISOTOPES; k++) {
        int at = 0;
        for (uint64_t i = 0; i < n; i++) {
            while (at + 2 < (int)points && rows[k][at + 1].energy <= grid[i].energy) {
                at++;
            }
            grid[i].index = index + i * ISOTOPES;
            index[i * ISOTOPES + k] = at;
        }
    }
    /* Which nuclides a material has matters only in that they are the same each time; all but fuel are
     * below 68. */
    for (unsigned m = 0; m < 12; m++) {
        for (int j = 0; j < counts[m]; j++) {
            mats[m * 321 + j] = m == 0 ? j : (int)(m * 5 + j) % 68;
            concs[m * 321 + j] = random_unit();
        }
    }
    double sum = 0;
    static uint64_t seed;
    while (!full(log)) {
        double energy = random_unit(), roll = random_unit(), running = 0;
        int m = 0;
        log->operations += !full(log);
        R(seed);
        W(seed);
        for (int i = 1; i < 12; i++) {
            running += dist[i];
            if (roll < running) {
                m = i;
                break;
            }
        }
        int64_t low = 0, high = (int64_t)n - 1;
        while (high - low > 1) {
            int64_t middle = low + (high - low) / 2;
            R(grid[middle].energy);
            if (grid[middle].energy > energy) {
                high = middle;
            } else {
                low = middle;
            }
        }
        R(counts[m]);
        for (int j = 0; j < counts[m]; j++) {
            R(mats[m * 321 + j]);
            int k = mats[m * 321 + j];
            R(concs[m * 321 + j]);
            R(grid[low].index);
            R(grid[low].index[k]);
            R(rows[k]);
            const struct nuclide_point *l = rows[k] + grid[low].index[k], *h = l + 1;
            R(h->energy);
            R(l->energy);
            double f = (h->energy - energy) / (h->energy - l->energy);
            for (unsigned x = 0; x < 5; x++) {
                R(h->xs[x]);
                R(l->xs[x]);
                sum += (h->xs[x] - f * (h->xs[x] - l->xs[x])) * concs[m * 321 + j];
            }
        }
    }
    log->operations += isnan(sum) && sum > 0; /* sum is used */
    free(concs);
    free(mats);
    free(index);
    free(grid);
    free(rows);
    free(data);
}

/* ---------------------------------------------------------------- graph500: kronecker.c, seq-csr.c of 2.1.4
 */

static int by_label(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

void program_graph500(struct program_log *log, unsigned scale)
{
    int64_t nv = INT64_C(1) << scale, edges = 32 * nv;
    uint32_t(*edge)[2] = get(malloc((size_t)edges * sizeof *edge));
    int64_t *label = get(malloc((size_t)nv * sizeof *label)),
            *xoff = get(calloc((size_t)(2 * nv + 2), sizeof *xoff));
    int64_t *bfs_tree = get(malloc((size_t)nv * sizeof *bfs_tree)),
            *vlist = get(malloc((size_t)nv * sizeof *vlist));

    for (int64_t i = 0; i < nv; i++) {
        label[i] = i;
    }
    for (int64_t i = nv - 1; i > 0; i--) {
        int64_t j = (int64_t)(random64() % (uint64_t)(i + 1)), x = label[i];
        label[i] = label[j];
        label[j] = x;
    }
    for (int64_t k = 0; k < edges; k++) {
        int64_t ij[2] = {0, 0};
        for (unsigned bit = 0; bit < scale; bit++) {
            uint64_t r = random64() >> 44; /* of 2^20: A 0.57, B 0.19, C 0.19 */
            ij[0] = ij[0] << 1 | (r >= 796918);
            ij[1] = ij[1] << 1 | ((r >= 597688 && r < 796918) || r >= 996147);
        }
        edge[k][0] = (uint32_t)label[ij[0]];
        edge[k][1] = (uint32_t)label[ij[1]];
    }
    /* xoff[2v], xoff[2v + 1]: where the list of v begins and ends. */
    for (int64_t k = 0; k < edges; k++) {
        if (edge[k][0] != edge[k][1]) {
            xoff[2 * edge[k][0] + 1]++;
            xoff[2 * edge[k][1] + 1]++;
        }
    }
    int64_t sum = 0;
    for (int64_t v = 0; v < nv; v++) {
        int64_t room = xoff[2 * v + 1] < 2 ? 2 : xoff[2 * v + 1];
        xoff[2 * v] = xoff[2 * v + 1] = sum;
        sum += room;
    }
    int64_t *xadj = get(malloc((size_t)sum * sizeof *xadj));
    for (int64_t k = 0; k < edges; k++) {
        if (edge[k][0] != edge[k][1]) {
            xadj[xoff[2 * edge[k][0] + 1]++] = edge[k][1];
            xadj[xoff[2 * edge[k][1] + 1]++] = edge[k][0];
        }
    }
    for (int64_t v = 0; v < nv; v++) {
        int64_t from = xoff[2 * v], n = xoff[2 * v + 1] - from, kept = 0;
        qsort(xadj + from, (size_t)n, sizeof *xadj, by_label);
        for (int64_t i = 0; i < n; i++) {
            if (i == 0 || xadj[from + i] != xadj[from + i - 1]) {
                xadj[from + kept++] = xadj[from + i];
            }
        }
        xoff[2 * v + 1] = from + kept;
    }
    while (!full(log)) {
        int64_t root, k1 = 0, k2 = 1;
        do {
            root = (int64_t)(random64() % (uint64_t)nv);
        } while (xoff[2 * root] == xoff[2 * root + 1]);
        for (int64_t v = 0; v < nv; v++) {
            if (log->n != 0) { /* as the generator, which begins behind the first of these */
                W(bfs_tree[v]);
            }
            bfs_tree[v] = -1;
        }
        vlist[0] = bfs_tree[root] = root;
        while (k1 != k2 && !full(log)) {
            R(vlist[k1]);
            int64_t v = vlist[k1++];
            R(xoff[2 * v]);
            R(xoff[2 * v + 1]);
            for (int64_t vo = xoff[2 * v]; vo < xoff[2 * v + 1]; vo++) {
                R(xadj[vo]);
                int64_t j = xadj[vo];
                log->operations += !full(log);
                R(bfs_tree[j]);
                if (bfs_tree[j] == -1) {
                    bfs_tree[j] = v;
                    W(bfs_tree[j]);
                    vlist[k2] = j;
                    W(vlist[k2]);
                    k2++;
                }
            }
        }
    }
    free(edge);
    free(label);
    free(xoff);
    free(xadj);
    free(bfs_tree);
    free(vlist);
}
