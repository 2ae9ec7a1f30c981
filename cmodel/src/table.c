/* SPDX-License-Identifier: Apache-2.0
 * Building and reading x86 radix page tables. */
#include "dmt/table.h"

#include "dmt/regs.h"

bool dmt_pool_alloc(void *user, uint64_t n, uint64_t *pfn)
{
    struct dmt_pool *p = user;

    if (n == 0 || p->next > p->limit || n > p->limit - p->next) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (dmt_mem_add(p->mem, p->next + i) == NULL) {
            return false;
        }
    }
    *pfn = p->next;
    p->next += n;
    return true;
}

uint64_t dmt_level_bytes(unsigned level)
{
    return UINT64_C(1) << (12 + 9 * (level - 1));
}

uint64_t dmt_table_entry_addr(uint64_t pfn, unsigned level, uint64_t va)
{
    return pfn << 12 | (va >> (12 + 9 * (level - 1)) & 511) << 3;
}

bool dmt_table_new(struct dmt_table *t, struct dmt_mem *mem, unsigned levels, const struct dmt_frames *frames)
{
    t->mem = mem;
    t->levels = levels;
    return frames->alloc(frames->user, 1, &t->root);
}

static bool is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (level <= 3 && (entry & DMT_PTE_PS) != 0);
}

enum dmt_map dmt_table_map(struct dmt_table *t, uint64_t va, uint64_t pa, unsigned sz, uint64_t flags,
                           const struct dmt_frames *frames)
{
    unsigned leaf = sz + 1;
    uint64_t table = t->root, old = 0;

    if (((va | pa) & (dmt_level_bytes(leaf) - 1)) != 0) {
        return DMT_MAP_ALIGN;
    }
    for (unsigned level = t->levels; level > leaf; level--) {
        uint64_t addr = dmt_table_entry_addr(table, level, va);
        if (!dmt_mem_read(t->mem, addr, &old)) {
            return DMT_MAP_NO_FRAME;
        }
        if ((old & DMT_PTE_P) == 0) {
            uint64_t pfn;
            if (!frames->alloc(frames->user, 1, &pfn)) {
                return DMT_MAP_NO_FRAME;
            }
            old = pfn << 12 | DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | DMT_PTE_A;
            dmt_mem_write(t->mem, addr, old);
        } else if (is_leaf(old, level)) {
            return DMT_MAP_TAKEN;
        }
        table = (old & DMT_PTE_FRAME) >> 12;
    }
    uint64_t addr = dmt_table_entry_addr(table, leaf, va);
    if (!dmt_mem_read(t->mem, addr, &old)) {
        return DMT_MAP_NO_FRAME;
    }
    if ((old & DMT_PTE_P) != 0) {
        return DMT_MAP_TAKEN;
    }
    dmt_mem_write(t->mem, addr, pa | flags | DMT_PTE_P | (sz != DMT_SIZE_4K ? DMT_PTE_PS : 0));
    return DMT_MAP_OK;
}

void dmt_table_lookup(const struct dmt_table *t, uint64_t va, struct dmt_lookup *out)
{
    uint64_t table = t->root;

    *out = (struct dmt_lookup){0};
    for (unsigned level = t->levels; level >= 1; level--) {
        uint64_t addr = dmt_table_entry_addr(table, level, va), entry;
        if (!dmt_mem_read(t->mem, addr, &entry)) {
            return;
        }
        out->level = level;
        out->addr[level] = addr;
        out->entry[level] = entry;
        if ((entry & DMT_PTE_P) == 0) {
            return;
        }
        if (is_leaf(entry, level)) {
            uint64_t offset = dmt_level_bytes(level) - 1;
            out->present = true;
            out->sz = level - 1;
            out->pa = (entry & DMT_PTE_FRAME & ~offset) | (va & offset);
            return;
        }
        table = (entry & DMT_PTE_FRAME) >> 12;
    }
}

struct visit {
    const struct dmt_table *t;
    uint64_t from, last;
    dmt_table_visit call;
    void *user;
};

static bool each(const struct visit *v, uint64_t table, unsigned level, uint64_t base)
{
    uint64_t bytes = dmt_level_bytes(level);

    if (dmt_mem_frame(v->t->mem, table) == NULL) {
        return true;
    }
    for (unsigned i = 0; i < 512; i++) {
        uint64_t va = base + i * bytes, addr = table << 12 | i << 3, entry = 0;
        if (level == v->t->levels && i >= 256) {
            va |= ~UINT64_C(0) << (12 + 9 * level); /* the upper half is the canonical negative one */
        }
        if (va > v->last || va + (bytes - 1) < v->from) {
            continue;
        }
        dmt_mem_read(v->t->mem, addr, &entry);
        if ((entry & DMT_PTE_P) == 0) {
            continue;
        }
        if (!v->call(v->user, level, va, addr, entry)) {
            return false;
        }
        if (!is_leaf(entry, level) && !each(v, (entry & DMT_PTE_FRAME) >> 12, level - 1, va)) {
            return false;
        }
    }
    return true;
}

bool dmt_table_each(const struct dmt_table *t, uint64_t from, uint64_t last, dmt_table_visit visit,
                    void *user)
{
    return each(&(struct visit){t, from, last, visit, user}, t->root, t->levels, 0);
}
