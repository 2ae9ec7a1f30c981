/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/mirror.h"

#include "dmt/table.h"
#include "io.h"
#include <endian.h>
#include <stdlib.h>

#define ENTRIES 512

/* One table. The key is its frame and the epoch in which its host frame was
 * found, so that one comparison says whether a child still is what an entry names. */
struct node {
    uint64_t key;          /* 0: nothing known */
    const uint64_t *word;  /* its entries; NULL: not in memory */
    uint64_t hpfn;
    struct node *child;    /* ENTRIES of them, or NULL; never of level 1 */
};

struct mirror {
    const struct dmt_mem *mem;
    struct node root;
    uint64_t root_frame, present; /* bits of which one is set in a present entry */
    unsigned levels;
    uint64_t epoch;
    bool (*to_host)(void *user, uint64_t pfn, uint64_t *hpfn);
    void *user;
};

#define EPOCH_BITS 23

static uint64_t key_of(const struct mirror *m, uint64_t frame)
{
    return frame << EPOCH_BITS | m->epoch;
}

struct mirror *mirror_new(const struct dmt_mem *mem, uint64_t root, unsigned levels, bool ept,
                          bool (*to_host)(void *user, uint64_t pfn, uint64_t *hpfn), void *user)
{
    struct mirror *m = need(calloc(1, sizeof *m));

    m->mem = mem;
    m->root_frame = root;
    m->levels = levels;
    m->present = ept ? 7 : DMT_PTE_P;
    m->to_host = to_host;
    m->user = user;
    m->epoch = 1;
    return m;
}

static void drop(struct node *n)
{
    for (unsigned i = 0; n->child != NULL && i < ENTRIES; i++) {
        drop(&n->child[i]);
    }
    free(n->child);
}

void mirror_free(struct mirror *m)
{
    if (m != NULL) {
        drop(&m->root);
    }
    free(m);
}

void mirror_moved(struct mirror *m)
{
    m->epoch++;
    if (m->epoch >> EPOCH_BITS != 0) {
        drop(&m->root);
        m->root = (struct node){0};
        m->epoch = 1;
    }
}

/* Find a table's words anew. What lies below keeps its own keys. */
static void learn(struct mirror *m, struct node *n, uint64_t frame)
{
    n->key = key_of(m, frame);
    n->hpfn = frame;
    n->word = NULL;
    if (m->to_host == NULL || m->to_host(m->user, frame, &n->hpfn)) {
        n->word = (const uint64_t *)(const void *)dmt_mem_frame(m->mem, n->hpfn);
    }
    if (n->word == NULL) {
        n->key = 0; /* it may come */
    }
}

void mirror_hint(const struct mirror *m, uint64_t addr)
{
    const struct node *n = &m->root;

    for (unsigned level = m->levels; n->child != NULL && level > 1; level--) {
        n = &n->child[(addr >> (3 + 9 * level)) & (ENTRIES - 1)];
    }
    if (n->word != NULL) {
        __builtin_prefetch(&n->word[(addr >> 12) & (ENTRIES - 1)]);
    }
}

bool mirror_walk(struct mirror *m, uint64_t addr, struct mirror_path *p)
{
    struct node *n = &m->root;
    uint64_t frame = m->root_frame;

    p->present = false;
    p->top = (uint8_t)m->levels;
    p->leaf = p->top;
    for (unsigned level = m->levels; level >= 1; level--) {
        if (n->key != key_of(m, frame)) {
            learn(m, n, frame);
        }
        unsigned i = (unsigned)(addr >> (3 + 9 * level)) & (ENTRIES - 1);
        struct mirror_step *s = &p->step[level];
        p->leaf = (uint8_t)level;
        s->at = frame << 12 | i << 3;
        if (n->word == NULL) {
            s->hpa = s->entry = 0;
            return false;
        }
        s->hpa = n->hpfn << 12 | i << 3;
        s->entry = le64toh(n->word[i]);
        if ((s->entry & m->present) == 0) {
            return false;
        }
        if (level == 1 || (s->entry & DMT_PTE_PS) != 0) {
            uint64_t offset = (UINT64_C(1) << (3 + 9 * level)) - 1;
            p->to = (s->entry & DMT_PTE_FRAME & ~offset) | (addr & offset);
            p->present = true;
            return true;
        }
        frame = (s->entry & DMT_PTE_FRAME) >> 12;
        if (n->child == NULL) {
            n->child = need(calloc(ENTRIES, sizeof *n->child));
        }
        n = &n->child[i];
    }
    return false;
}
