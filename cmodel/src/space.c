/* SPDX-License-Identifier: Apache-2.0
 * The radix table of a space: a copy of what is linked is kept beside it, so
 * that software finds tables without walking, and walkers alone read entries. */
#include "space_impl.h"

#include "dmt/table.h"
#include <stdlib.h>
#include <string.h>

#define EPT_RWX UINT64_C(7)
#define EPT_A   (UINT64_C(1) << 8)

bool space_present(const struct dmt_space *s, uint64_t entry)
{
    return (entry & (s->o.format == DMT_SPACE_EPT ? EPT_RWX : DMT_PTE_P)) != 0;
}

bool space_is_leaf(const struct dmt_space *s, uint64_t entry, unsigned level)
{
    return space_present(s, entry) && (level == 1 || (level <= 3 && (entry & DMT_PTE_PS) != 0));
}

/* Flags of an entry that leads to a table (S6): everything allowed, accessed. */
static uint64_t link_flags(const struct dmt_space *s)
{
    if (s->o.format == DMT_SPACE_EPT) {
        return EPT_RWX | (s->o.ad ? EPT_A : 0);
    }
    return DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | DMT_PTE_A;
}

static uint64_t load(const struct dmt_space *s, uint64_t pa)
{
    return s->p->load(s->p->user, pa);
}

static void store(struct dmt_space *s, uint64_t pa, uint64_t value)
{
    s->stats.stores++;
    s->p->store(s->p->user, pa, value);
}

static uint64_t exchange(struct dmt_space *s, uint64_t pa, uint64_t value)
{
    s->stats.stores++;
    return s->p->exchange(s->p->user, pa, value);
}

static void flush(struct dmt_space *s, uint64_t vpn, uint64_t pages, bool tables)
{
    s->o.port.flush(s->o.port.user, vpn, pages, tables);
}

void dmt_space_flush(struct dmt_space *s, uint64_t vpn, uint64_t pages)
{
    flush(s, vpn, pages, false);
}

/* ------------------------------------------------------------ what is linked */

struct table *space_table(const struct dmt_space *s, unsigned level, uint64_t vpn)
{
    uint64_t key = level == s->o.levels ? (uint64_t)level << 56 : table_key(level, vpn);
    struct table *t;

    if (level == s->o.levels) {
        return s->root;
    }
    if (level == 1) {
        t = s->recent[vpn >> 9 & 63];
        if (t != NULL && t->key == key) {
            return t;
        }
    }
    HASH_FIND(hh, s->tables, &key, sizeof key, t);
    if (t != NULL && level == 1) {
        ((struct dmt_space *)s)->recent[vpn >> 9 & 63] = t; /* only a cache */
    }
    return t;
}

static struct table *index_table(struct dmt_space *s, unsigned level, uint64_t vpn, uint64_t pfn)
{
    struct table *t = calloc(1, sizeof *t);
    size_t before = HASH_COUNT(s->tables);

    if (t == NULL) {
        return NULL;
    }
    t->key = level == s->o.levels ? (uint64_t)level << 56 : table_key(level, vpn);
    t->pfn = pfn;
    HASH_ADD(hh, s->tables, key, sizeof t->key, t);
    if (HASH_COUNT(s->tables) == before) {
        free(t);
        return NULL;
    }
    return t;
}

static void unindex_table(struct dmt_space *s, struct table *t)
{
    if (t->key >> 56 == 1 && s->recent[t->key & 63] == t) {
        s->recent[t->key & 63] = NULL;
    }
    HASH_DEL(s->tables, t);
    free(t);
}

static unsigned table_level(const struct table *t)
{
    return (unsigned)(t->key >> 56);
}

/* First page that the table is for. */
static uint64_t table_vpn(const struct table *t)
{
    return (t->key & ~(UINT64_C(255) << 56)) << 9 * table_level(t);
}

/* ------------------------------------------------------------ frames of tables */

static bool get_frame(struct dmt_space *s, uint64_t *pfn)
{
    if (s->ahead == 0 && s->o.table_run > 1 && dmt_buddy_alloc_run(s->p->buddy, s->o.table_run, &s->next)) {
        s->ahead = s->o.table_run;
    }
    if (s->ahead != 0) {
        *pfn = s->next++;
        s->ahead--;
    } else if (!dmt_buddy_alloc(s->p->buddy, 0, pfn)) {
        return false;
    }
    s->p->clear(s->p->user, *pfn);
    s->stats.tables++;
    return true;
}

void space_release_table(struct dmt_space *s, uint64_t pfn)
{
    struct tea *t = tea_of_frame(s, pfn);

    if (t == NULL) {
        s->stats.tables--;
        dmt_buddy_release(s->p->buddy, pfn, 1);
    } else if (t->state == DMT_TEA_RETIRED || t->state == DMT_TEA_MIGRATING) {
        tea_slot_gone(s, t, pfn - t->grant.pfn);
    } else if ((s->o.defects & DMT_DEFECT_FREE_UNDER_REGISTER) != 0) {
        s->p->tea_release(s->p->user, &t->grant, pfn - t->grant.pfn, 1);
        tea_slot_set(t, pfn - t->grant.pfn, SLOT_GONE);
    } else {
        tea_slot_set(t, pfn - t->grant.pfn, SLOT_EMPTY);
    }
}

static struct deposit *find_deposit(struct dmt_space *s, unsigned level, uint64_t vpn)
{
    uint64_t key = table_key(level, vpn);
    struct deposit *d;

    HASH_FIND(hh, s->deposits, &key, sizeof key, d);
    return d;
}

uint64_t space_take_deposit(struct dmt_space *s, unsigned level, uint64_t vpn)
{
    struct deposit *d = find_deposit(s, level, vpn);
    uint64_t pfn = 0;

    if (d != NULL) {
        pfn = d->pfn;
        HASH_DEL(s->deposits, d);
        free(d);
    }
    return pfn;
}

bool space_put_deposit(struct dmt_space *s, unsigned level, uint64_t vpn, uint64_t pfn)
{
    struct deposit *d = calloc(1, sizeof *d);
    size_t before = HASH_COUNT(s->deposits);

    if (d == NULL) {
        return false;
    }
    d->key = table_key(level, vpn);
    d->pfn = pfn;
    HASH_ADD(hh, s->deposits, key, sizeof d->key, d);
    if (HASH_COUNT(s->deposits) == before) {
        free(d);
        return false;
    }
    return true;
}

/* A frame for the table of `level` for vpn, all zero: its slot, its deposit, or a new one. */
static bool table_frame(struct dmt_space *s, unsigned level, uint64_t vpn, uint64_t *pfn)
{
    struct tea *home = level <= SIZES ? tea_home(s, level - 1, vpn >> 9 * level) : NULL;

    if (home != NULL && (s->o.defects & DMT_DEFECT_LOST_RACE) == 0) {
        uint64_t slot = (vpn >> 9 * level) - home->first;
        *pfn = home->grant.pfn + slot;
        tea_slot_set(home, slot, SLOT_LINKED);
        return true;
    }
    *pfn = space_take_deposit(s, level, vpn);
    return *pfn != 0 || get_frame(s, pfn);
}

/* Entry of `level` for vpn in its table: write it, counting. */
static uint64_t put(struct dmt_space *s, struct table *t, uint64_t vpn, uint64_t entry)
{
    uint64_t old = exchange(s, entry_pa(t->pfn, table_level(t), vpn), entry);

    t->live += (entry != 0) - (old != 0);
    return old;
}

/* The table of `level` for vpn; missing ones down to it are made. NULL: out of memory or a leaf in the way.
 */
static struct table *get_table(struct dmt_space *s, unsigned level, uint64_t vpn)
{
    struct table *t = space_table(s, level, vpn), *up;
    uint64_t pfn;

    if (t != NULL) {
        return t;
    }
    up = get_table(s, level + 1, vpn);
    if (up == NULL || load(s, entry_pa(up->pfn, level + 1, vpn)) != 0 || !table_frame(s, level, vpn, &pfn)) {
        return NULL;
    }
    t = index_table(s, level, vpn, pfn);
    if (t == NULL) {
        space_release_table(s, pfn);
        return NULL;
    }
    put(s, up, vpn, pfn << 12 | link_flags(s));
    return t;
}

/* ------------------------------------------------------------ a space */

struct dmt_space *dmt_space_new(const struct dmt_space_options *o)
{
    struct dmt_space *s = calloc(1, sizeof *s);
    uint64_t pfn;

    if (s == NULL) {
        return NULL;
    }
    s->o = *o;
    s->p = o->platform;
    if (s->o.policy.registers > s->p->registers) {
        s->o.policy.registers = s->p->registers;
    }
    if (!get_frame(s, &pfn)) {
        free(s);
        return NULL;
    }
    s->root = index_table(s, o->levels, 0, pfn);
    if (s->root == NULL) {
        dmt_buddy_release(s->p->buddy, pfn, 1 + s->ahead); /* those taken ahead follow it */
        free(s);
        return NULL;
    }
    return s;
}

void dmt_space_delete(struct dmt_space *s)
{
    struct table *t, *next;
    struct deposit *d, *following;

    if (s == NULL) {
        return;
    }
    HASH_ITER(hh, s->tables, t, next)
    {
        if (tea_of_frame(s, t->pfn) == NULL) {
            dmt_buddy_release(s->p->buddy, t->pfn, 1);
        }
        unindex_table(s, t);
    }
    HASH_ITER(hh, s->deposits, d, following)
    {
        if (tea_of_frame(s, d->pfn) == NULL) {
            dmt_buddy_release(s->p->buddy, d->pfn, 1);
        }
        HASH_DEL(s->deposits, d);
        free(d);
    }
    if (s->ahead != 0) {
        dmt_buddy_release(s->p->buddy, s->next, s->ahead);
    }
    tea_delete_all(s);
    free(s);
}

uint64_t dmt_space_root(const struct dmt_space *s)
{
    return s->root->pfn;
}

unsigned dmt_space_levels(const struct dmt_space *s)
{
    return s->o.levels;
}

enum dmt_space_format dmt_space_format(const struct dmt_space *s)
{
    return s->o.format;
}

const struct dmt_platform *dmt_space_platform(const struct dmt_space *s)
{
    return s->p;
}

const struct dmt_space_stats *dmt_space_stats(const struct dmt_space *s)
{
    struct dmt_space_stats *stats = &((struct dmt_space *)s)->stats;

    stats->tea_frames = stats->tea_used = 0;
    for (size_t i = 0; i < s->teas; i++) {
        stats->tea_frames += s->tea[i]->blocks - s->tea[i]->gone;
        stats->tea_used += s->tea[i]->used;
    }
    return stats;
}

/* ------------------------------------------------------------ leaves */

/* The lowest linked table on the way to vpn. */
static const struct table *lowest(const struct dmt_space *s, uint64_t vpn)
{
    const struct table *t;

    for (unsigned level = 1; level < s->o.levels; level++) {
        t = space_table(s, level, vpn);
        if (t != NULL) {
            return t;
        }
    }
    return s->root;
}

uint64_t dmt_space_leaf(const struct dmt_space *s, uint64_t vpn, unsigned *size)
{
    const struct table *t = lowest(s, vpn);
    unsigned level = table_level(t);
    uint64_t entry = load(s, entry_pa(t->pfn, level, vpn));

    if (entry == 0 || level > SIZES) {
        return 0;
    }
    *size = level - 1;
    return entry;
}

uint64_t dmt_space_entry_pa(const struct dmt_space *s, uint64_t vpn, unsigned *level)
{
    const struct table *t = lowest(s, vpn);

    *level = table_level(t);
    return entry_pa(t->pfn, *level, vpn);
}

bool dmt_space_prepare(struct dmt_space *s, uint64_t vpn, unsigned size)
{
    return get_table(s, size + 1, vpn) != NULL;
}

bool dmt_space_map(struct dmt_space *s, uint64_t vpn, unsigned size, uint64_t entry)
{
    unsigned level = size + 1;
    bool made = space_table(s, level, vpn) == NULL;
    struct table *t = get_table(s, level, vpn);

    if (t == NULL || (level > 1 && space_table(s, level - 1, vpn) != NULL)) {
        return false;
    }
    entry |= size != DMT_SIZE_4K ? DMT_PTE_PS : 0;
    if (made && (s->o.defects & DMT_DEFECT_LOST_RACE) != 0) {
        const struct tea *home = tea_home(s, size, vpn >> block_shift(size));
        if (home != NULL) { /* the loser had written its entry before it looked */
            store(s, entry_pa(home->grant.pfn + (vpn >> block_shift(size)) - home->first, level, vpn), entry);
        }
    }
    put(s, t, vpn, entry);
    return true;
}

uint64_t dmt_space_exchange(struct dmt_space *s, uint64_t vpn, unsigned size, uint64_t entry)
{
    struct table *t = space_table(s, size + 1, vpn);
    uint64_t old;

    if (entry != 0 && size != DMT_SIZE_4K) {
        entry |= DMT_PTE_PS;
    }
    old = put(s, t, vpn, entry);
    if (entry == 0 && (s->o.defects & DMT_DEFECT_STALE_SLOT) != 0) {
        if (s->last_block != vpn >> 9) {
            memset(s->last_cleared, 0, sizeof s->last_cleared);
            s->last_block = vpn >> 9;
        }
        s->last_cleared[vpn & 511] = old;
    }
    return old;
}

/* ------------------------------------------------------------ sizes change (S4) */

bool dmt_space_deposit(struct dmt_space *s, uint64_t vpn, unsigned size)
{
    uint64_t pfn;
    struct tea *home = tea_home(s, size - 1, vpn >> 9 * size);

    if (home != NULL) {
        uint64_t slot = (vpn >> 9 * size) - home->first;
        if (home->slot[slot] == SLOT_EMPTY) {
            tea_slot_set(home, slot, SLOT_DEPOSIT);
        }
        return true;
    }
    if (find_deposit(s, size, vpn) != NULL) {
        return true;
    }
    if (!get_frame(s, &pfn)) {
        return false;
    }
    if (!space_put_deposit(s, size, vpn, pfn)) {
        space_release_table(s, pfn);
        return false;
    }
    return true;
}

/* An unlinked, empty table stays for its block. */
static void set_aside(struct dmt_space *s, unsigned level, uint64_t vpn, uint64_t pfn)
{
    struct tea *t = tea_of_frame(s, pfn);

    if (t != NULL && t == tea_home(s, level - 1, vpn >> 9 * level)) {
        tea_slot_set(t, pfn - t->grant.pfn, SLOT_DEPOSIT);
    } else if (tea_home(s, level - 1, vpn >> 9 * level) != NULL || !space_put_deposit(s, level, vpn, pfn)) {
        space_release_table(s, pfn); /* its slot is as good */
    }
    if ((s->o.defects & DMT_DEFECT_DEPOSIT_ORDER) != 0 && s->last_deposits < 64) {
        s->last_deposit[s->last_deposits++] = pfn;
    }
}

bool dmt_space_promote(struct dmt_space *s, uint64_t vpn, unsigned size, uint64_t entry)
{
    struct table *up = space_table(s, size + 1, vpn), *t = space_table(s, size, vpn);
    uint64_t pfn = t != NULL ? t->pfn : 0;

    if (up == NULL || (t != NULL && t->live != 0) || (t == NULL && !dmt_space_deposit(s, vpn, size))) {
        return false;
    }
    put(s, up, vpn, entry | DMT_PTE_PS);
    flush(s, vpn, UINT64_C(1) << 9 * size, true);
    if (t != NULL) {
        unindex_table(s, t);
        set_aside(s, size, vpn, pfn);
    }
    if ((s->o.defects & DMT_DEFECT_STALE_SLOT) != 0 && size == DMT_SIZE_2M && s->last_block == vpn >> 9) {
        for (unsigned i = 0; i < 512; i++) { /* as if they had never been cleared */
            store(s, pfn << 12 | i << 3, s->last_cleared[i]);
        }
    }
    return true;
}

bool dmt_space_demote(struct dmt_space *s, uint64_t vpn, unsigned size, const uint64_t entry[512])
{
    struct table *up = space_table(s, size + 1, vpn), *t;
    uint64_t pfn;

    if ((s->o.defects & DMT_DEFECT_DEPOSIT_ORDER) != 0 && s->last_deposits > 0) {
        pfn = s->last_deposit[--s->last_deposits];
        space_take_deposit(s, size, vpn);
    } else if (!table_frame(s, size, vpn, &pfn)) {
        return false;
    }
    t = index_table(s, size, vpn, pfn);
    if (t == NULL) {
        set_aside(s, size, vpn, pfn);
        return false;
    }
    for (unsigned i = 0; i < 512; i++) {
        store(s, pfn << 12 | i << 3, entry[i]);
        t->live += entry[i] != 0;
    }
    put(s, up, vpn, pfn << 12 | link_flags(s));
    return true;
}

/* ------------------------------------------------------------ tables move and go (S2) */

void space_relocate(struct dmt_space *s, struct table *const *t, const uint64_t *to, unsigned n)
{
    unsigned level = table_level(t[0]);
    uint64_t first = UINT64_MAX, end = 0, old[BATCH];

    for (unsigned i = 0; i < n; i++) {
        uint64_t vpn = table_vpn(t[i]), pages = UINT64_C(1) << 9 * level;
        exchange(s, entry_pa(space_table(s, level + 1, vpn)->pfn, level + 1, vpn), 0);
        first = vpn < first ? vpn : first;
        end = vpn + pages > end ? vpn + pages : end;
        old[i] = t[i]->pfn;
    }
    flush(s, first, end - first, true);
    for (unsigned i = 0; i < n; i++) {
        uint64_t vpn = table_vpn(t[i]);
        for (unsigned e = 0; e < 512; e++) {
            uint64_t entry = load(s, old[i] << 12 | e << 3);
            if (entry != 0) {
                store(s, to[i] << 12 | e << 3, entry);
            }
        }
        t[i]->pfn = to[i];
        exchange(s, entry_pa(space_table(s, level + 1, vpn)->pfn, level + 1, vpn),
                 to[i] << 12 | link_flags(s));
        s->stats.moved++;
        space_release_table(s, old[i]);
    }
}

/* Empty tables that have been unlinked and wait for the flush before they are freed. */
struct pruned {
    struct dmt_space *s;
    uint64_t vpn, pages; /* to flush */
    uint64_t from, end;  /* to look at */
    uint64_t pfn[BATCH];
    unsigned n;
};

static void prune_flush(struct pruned *p)
{
    if (p->n == 0) {
        return;
    }
    flush(p->s, p->vpn, p->pages, true);
    for (unsigned i = 0; i < p->n; i++) {
        space_release_table(p->s, p->pfn[i]);
    }
    p->n = 0;
}

/* Does an area reach into these pages? */
static bool has_area(const struct dmt_space *s, uint64_t vpn, uint64_t pages)
{
    struct dmt_vma area;
    unsigned sizes;

    return s->o.port.next_area(s->o.port.user, vpn, &area, &sizes) && area.vpn < vpn + pages;
}

/* The deposit of a block that no leaf stands for any more. */
static void prune_deposit(struct dmt_space *s, unsigned level, uint64_t vpn)
{
    struct tea *home = tea_home(s, level - 1, vpn >> 9 * level);
    uint64_t pfn = space_take_deposit(s, level, vpn);

    if (pfn != 0) {
        space_release_table(s, pfn);
    }
    if (home != NULL) {
        uint64_t slot = (vpn >> 9 * level) - home->first;
        if (home->slot[slot] == SLOT_DEPOSIT) {
            tea_slot_set(home, slot, SLOT_EMPTY);
            if ((s->o.defects & DMT_DEFECT_ZAP_DEPOSIT) != 0) {
                s->p->tea_release(s->p->user, &home->grant, slot, 1);
                tea_slot_set(home, slot, SLOT_GONE);
            }
        }
    }
}

static void prune_table(struct pruned *p, struct table *t)
{
    struct dmt_space *s = p->s;
    unsigned level = table_level(t);
    uint64_t base = table_vpn(t), unit = UINT64_C(1) << 9 * (level - 1);
    uint64_t from = p->from > base ? (p->from - base) / unit : 0;
    uint64_t end = p->end < base + 512 * unit ? (p->end - base + unit - 1) / unit : 512;

    for (uint64_t i = from; i < end && level > 1; i++) {
        uint64_t vpn = base + i * unit;
        struct table *child = t->live != 0 ? space_table(s, level - 1, vpn) : NULL;
        if (child != NULL) {
            prune_table(p, child);
            if (child->live == 0 && !has_area(s, vpn, unit)) {
                if (p->n == BATCH) {
                    prune_flush(p);
                }
                p->pfn[p->n++] = child->pfn;
                put(s, t, vpn, 0);
                unindex_table(s, child);
            }
        } else if (level <= 3 && (s->deposits != NULL || s->teas > 0) &&
                   load(s, entry_pa(t->pfn, level, vpn)) == 0) {
            prune_deposit(s, level - 1, vpn);
        }
    }
}

void dmt_space_prune(struct dmt_space *s, uint64_t vpn, uint64_t pages)
{
    struct pruned p = {.s = s, .vpn = vpn, .pages = pages, .from = vpn, .end = vpn + pages};

    prune_table(&p, s->root);
    prune_flush(&p);
}

/* ------------------------------------------------------------ visiting */

struct visit {
    const struct dmt_space *s;
    uint64_t from, end;
    bool (*call)(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry);
    void *user;
};

static bool visit_table(const struct visit *v, uint64_t pfn, unsigned level, uint64_t base)
{
    uint64_t unit = UINT64_C(1) << 9 * (level - 1);
    uint64_t from = v->from > base ? (v->from - base) / unit : 0;
    uint64_t end = v->end < base + 512 * unit ? (v->end - base + unit - 1) / unit : 512;

    for (uint64_t i = from; i < end; i++) {
        uint64_t pa = pfn << 12 | i << 3, entry = load(v->s, pa);
        if (entry == 0) {
            continue;
        }
        if (space_present(v->s, entry) && !space_is_leaf(v->s, entry, level)) {
            if (!visit_table(v, (entry & DMT_PTE_FRAME) >> 12, level - 1, base + i * unit)) {
                return false;
            }
        } else if (level <= SIZES && !v->call(v->user, base + i * unit, level - 1, pa, entry)) {
            return false;
        }
    }
    return true;
}

bool dmt_space_each(const struct dmt_space *s, uint64_t vpn, uint64_t pages,
                    bool (*call)(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry),
                    void *user)
{
    uint64_t limit = UINT64_C(1) << 9 * s->o.levels, end = pages < limit - vpn ? vpn + pages : limit;

    return vpn >= limit ||
           visit_table(&(struct visit){s, vpn, end, call, user}, s->root->pfn, s->o.levels, 0);
}
