/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/tlbs.h"

#include "dmt/regs.h"
#include "eval/caches.h"
#include "io.h"
#include <stdlib.h>

#define SIZES 3

struct eval_tlbs {
    const struct eval_config *config;
    struct eval_assoc *code, *data, *huge, *second; /* huge is data where they share */
    bool have[SIZES];                               /* pages of that size have been filled in */
    struct eval_tlbs_stats stats;
};

struct eval_tlbs *eval_tlbs_new(const struct eval_config *c)
{
    struct eval_tlbs *t = need(calloc(1, sizeof *t));

    t->config = c;
    t->code = eval_assoc_new(c->l1i_entries, c->l1i_ways, c->tlb_policy);
    t->data = eval_assoc_new(c->l1d_entries, c->l1d_ways, c->tlb_policy);
    t->huge = c->l1h_entries != 0 ? eval_assoc_new(c->l1h_entries, c->l1h_ways, c->tlb_policy) : t->data;
    t->second = eval_assoc_new(c->l2_entries, c->l2_ways, c->tlb_policy);
    return t;
}

struct eval_tlbs *eval_tlbs_clone(const struct eval_tlbs *t)
{
    struct eval_tlbs *n = need(malloc(sizeof *n));

    *n = *t;
    n->code = eval_assoc_clone(t->code);
    n->data = eval_assoc_clone(t->data);
    n->huge = t->huge != t->data ? eval_assoc_clone(t->huge) : n->data;
    n->second = eval_assoc_clone(t->second);
    return n;
}

void eval_tlbs_free(struct eval_tlbs *t)
{
    if (t != NULL) {
        eval_assoc_free(t->code);
        if (t->huge != t->data) {
            eval_assoc_free(t->huge);
        }
        eval_assoc_free(t->data);
        eval_assoc_free(t->second);
    }
    free(t);
}

/* The tag of a page: its number and size, never all ones. */
static uint64_t key_of(uint64_t page, unsigned size)
{
    return page << 2 | size;
}

static struct eval_assoc *first(struct eval_tlbs *t, unsigned kind, unsigned size)
{
    return kind == DMT_ACCESS_EXECUTE ? t->code : size == DMT_SIZE_4K ? t->data : t->huge;
}

static uint64_t in_page(uint64_t frame, uint64_t va, unsigned size)
{
    uint64_t offset = (UINT64_C(4096) << 9 * size) - 1;

    return frame | (va & offset);
}

bool eval_tlbs_find(struct eval_tlbs *t, uint64_t va, unsigned kind, uint64_t *pa, unsigned *clocks)
{
    uint64_t *value;

    *clocks = 0;
    for (unsigned size = 0; size < SIZES; size++) {
        uint64_t page = va >> (12 + 9 * size);
        if (t->have[size] && (value = eval_assoc_find(first(t, kind, size), page, key_of(page, size))) != NULL) {
            *pa = in_page(*value, va, size);
            t->stats.l1++;
            return true;
        }
    }
    for (unsigned size = 0; size < SIZES; size++) {
        uint64_t page = va >> (12 + 9 * size);
        if (t->have[size] && (value = eval_assoc_find(t->second, page, key_of(page, size))) != NULL) {
            *pa = in_page(*value, va, size);
            *clocks = t->config->l2_clocks;
            eval_assoc_put(first(t, kind, size), page, key_of(page, size), *value);
            t->stats.l2++;
            return true;
        }
    }
    t->stats.misses++;
    return false;
}

void eval_tlbs_fill(struct eval_tlbs *t, uint64_t va, unsigned kind, uint64_t pa, unsigned size)
{
    uint64_t page = va >> (12 + 9 * size), frame = pa & ~((UINT64_C(4096) << 9 * size) - 1);

    t->have[size] = true;
    eval_assoc_put(t->second, page, key_of(page, size), frame);
    eval_assoc_put(first(t, kind, size), page, key_of(page, size), frame);
}

void eval_tlbs_drop(struct eval_tlbs *t, uint64_t va)
{
    for (unsigned size = 0; size < SIZES; size++) {
        uint64_t page = va >> (12 + 9 * size), key = key_of(page, size);
        eval_assoc_drop(t->code, page, key);
        eval_assoc_drop(t->data, page, key);
        eval_assoc_drop(t->huge, page, key);
        eval_assoc_drop(t->second, page, key);
    }
}

void eval_tlbs_flush(struct eval_tlbs *t)
{
    eval_assoc_clear(t->code);
    eval_assoc_clear(t->data);
    eval_assoc_clear(t->huge);
    eval_assoc_clear(t->second);
}

const struct eval_tlbs_stats *eval_tlbs_stats(const struct eval_tlbs *t)
{
    return &t->stats;
}

void eval_tlbs_count(struct eval_tlbs *t)
{
    t->stats = (struct eval_tlbs_stats){0};
}
