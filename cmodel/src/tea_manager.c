/* SPDX-License-Identifier: Apache-2.0
 * Which areas get TEAs, and the life of a TEA (docs/software.md, section 4). */
#include "space_impl.h"

#include "cluster.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dmt_tea_policy dmt_tea_policy_default(void)
{
    return (struct dmt_tea_policy){.enabled = true,
                                   .registers = 16,
                                   .bubble_percent = 2,
                                   .present_percent = 0,
                                   .min_pages = 0,
                                   .growth = 2,
                                   .halvings = 8,
                                   .background = 32};
}

const char *dmt_tea_policy_check(const struct dmt_tea_policy *p)
{
    static char why[96];

    if (p->registers < 1 || p->registers > DMT_TEA_MAX) {
        snprintf(why, sizeof why, "registers: %u is not 1 to %d", p->registers, DMT_TEA_MAX);
    } else if (p->bubble_percent > 100) {
        snprintf(why, sizeof why, "bubble_percent: %u is not 0 to 100", p->bubble_percent);
    } else if (p->present_percent > 100) {
        snprintf(why, sizeof why, "present_percent: %u is not 0 to 100", p->present_percent);
    } else if (p->growth < 1 || p->growth > 16) {
        snprintf(why, sizeof why, "growth: %u is not 1 to 16", p->growth);
    } else if (p->halvings > 16) {
        snprintf(why, sizeof why, "halvings: %u is not 0 to 16", p->halvings);
    } else {
        return NULL;
    }
    return why;
}

/* ------------------------------------------------------------ the table of TEAs */

static bool is_home(const struct tea *t)
{
    return t->state == DMT_TEA_BUILDING || t->state == DMT_TEA_LIVE;
}

struct tea *tea_home(const struct dmt_space *s, unsigned size, uint64_t block)
{
    for (size_t i = s->teas; i-- > 0;) { /* the newest first: with defects there may be two */
        struct tea *t = s->tea[i];
        if (t->size == size && is_home(t) && block >= t->first && block - t->first < t->blocks) {
            return t;
        }
    }
    return NULL;
}

struct tea *tea_of_frame(const struct dmt_space *s, uint64_t pfn)
{
    for (size_t i = 0; i < s->teas; i++) {
        struct tea *t = s->tea[i];
        if (pfn >= t->grant.pfn && pfn - t->grant.pfn < t->blocks &&
            t->slot[pfn - t->grant.pfn] != SLOT_GONE) {
            return t;
        }
    }
    return NULL;
}

void tea_slot_set(struct tea *t, uint64_t slot, enum slot use)
{
    bool was = t->slot[slot] == SLOT_LINKED || t->slot[slot] == SLOT_DEPOSIT;
    bool is = use == SLOT_LINKED || use == SLOT_DEPOSIT;

    t->gone += (use == SLOT_GONE) - (t->slot[slot] == SLOT_GONE);
    t->used += is;
    t->used -= was;
    t->changes += (use == SLOT_LINKED) != (t->slot[slot] == SLOT_LINKED);
    t->linked += (use == SLOT_LINKED) - (t->slot[slot] == SLOT_LINKED);
    t->slot[slot] = (uint8_t)use;
}

static void remove_tea(struct dmt_space *s, struct tea *t)
{
    for (size_t i = 0; i < s->teas; i++) {
        if (s->tea[i] == t) {
            memmove(&s->tea[i], &s->tea[i + 1], (--s->teas - i) * sizeof *s->tea);
            break;
        }
    }
    free(t->slot);
    free(t);
}

/* Give back the frames [from, to) that are still there, in runs. */
static void release_slots(struct dmt_space *s, struct tea *t, uint64_t from, uint64_t to, bool empty_only)
{
    for (uint64_t i = from; i < to;) {
        uint64_t n = 0;
        while (i + n < to && t->slot[i + n] != SLOT_GONE && (!empty_only || t->slot[i + n] == SLOT_EMPTY)) {
            n++;
        }
        if (n > 0) {
            s->p->tea_release(s->p->user, &t->grant, i, n);
            for (uint64_t k = 0; k < n; k++) {
                tea_slot_set(t, i + k, SLOT_GONE);
            }
        }
        i += n > 0 ? n : 1;
    }
}

void tea_slot_gone(struct dmt_space *s, struct tea *t, uint64_t slot)
{
    if (t->state == DMT_TEA_MIGRATING) { /* goes back whole, or with the others when it retires */
        tea_slot_set(t, slot, SLOT_EMPTY);
        return;
    }
    release_slots(s, t, slot, slot + 1, false);
    if (t->gone == t->blocks) {
        remove_tea(s, t);
    }
}

void tea_delete_all(struct dmt_space *s)
{
    while (s->teas > 0) {
        struct tea *t = s->tea[s->teas - 1];
        release_slots(s, t, 0, t->blocks, false);
        remove_tea(s, t);
    }
}

/* ------------------------------------------------------------ registers */

static bool narrowed(const struct dmt_space *s, const struct tea *t)
{
    return s->o.policy.present_percent > 0 && t->smaller;
}

static void set_register(struct dmt_space *s, const struct tea *t, bool valid)
{
    struct dmt_tea *r = &s->reg[t->index];
    uint64_t from = narrowed(s, t) ? t->from : 0, to = narrowed(s, t) ? t->to : t->blocks;
    uint64_t base = (t->first + from) << block_shift(t->size), end = (t->first + to) << block_shift(t->size);

    end = end < t->end ? end : t->end;
    valid = valid && base < end;
    if (!valid && !r->valid) {
        return;
    }
    if (!valid) {
        r->valid = false;
        s->stats.fences++;
    } else {
        *r = (struct dmt_tea){.base_vpn = base,
                              .pages = end - base,
                              .base_pfn = (t->grant.gtea ? t->grant.inside : t->grant.pfn) + from,
                              .gtea = t->grant.gtea ? t->grant.id : 0,
                              .sz = (uint8_t)t->size,
                              .kind = t->grant.gtea ? DMT_KIND_GTEA : DMT_KIND_PA,
                              .allow = 7,
                              .valid = true};
    }
    s->o.port.set_register(s->o.port.user, (unsigned)t->index, r);
}

static int free_register(const struct dmt_space *s)
{
    for (unsigned i = 0; i < s->o.policy.registers; i++) {
        bool taken = false;
        for (size_t k = 0; k < s->teas; k++) {
            taken = taken || s->tea[k]->index == (int)i;
        }
        if (!taken) {
            return (int)i;
        }
    }
    return -1;
}

/* P=0 and out of the register, for good (T8). */
static void give_up_register(struct dmt_space *s, struct tea *t)
{
    if (t->index >= 0) {
        set_register(s, t, false);
        t->index = -1;
    }
}

/* The longest run of linked slots, joined as areas are (T2a). Out of memory: all of them. */
static void find_run(const struct dmt_space *s, struct tea *t)
{
    struct cluster *run;
    uint64_t most = 0;
    size_t n = 0;

    if (!narrowed(s, t)) {
        return;
    }
    run = malloc((t->linked + 1) * sizeof *run);
    t->from = 0;
    t->to = run != NULL ? 0 : t->blocks;
    t->changes = t->seen = 0;
    for (uint64_t i = 0; run != NULL && i < t->blocks; i++) {
        if (t->slot[i] == SLOT_LINKED) {
            struct dmt_vma slot = {i << 9, 512};
            n = cluster_add(run, n, &slot, 0, 100 - s->o.policy.present_percent);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (run[i].used > most) {
            most = run[i].used;
            t->from = run[i].first;
            t->to = run[i].end;
        }
    }
    free(run);
}

static void renew_register(struct dmt_space *s, struct tea *t)
{
    set_register(s, t, false);
    set_register(s, t, true);
}

/* Registers follow the tables in their TEAs: when these have become more or less by a sixteenth, or are what
 * they were a step ago. True: some are about to. */
static bool narrow(struct dmt_space *s, bool now)
{
    bool more = false;

    for (size_t i = 0; i < s->teas; i++) {
        struct tea *t = s->tea[i];
        if (t->state != DMT_TEA_LIVE || !narrowed(s, t) || t->changes == 0) {
            continue;
        }
        if (!now && t->changes <= t->linked / 16 && t->changes != t->seen) {
            t->seen = t->changes;
            more = true;
            continue;
        }
        uint64_t from = t->from, to = t->to;
        find_run(s, t);
        if (t->from != from || t->to != to) {
            renew_register(s, t);
        }
    }
    return more;
}

/* Is the block under a leaf of the next size, so that its table must be kept for a demotion? */
static bool under_leaf(const struct dmt_space *s, unsigned size, uint64_t block)
{
    uint64_t vpn = block << block_shift(size);
    unsigned level = size + 2;
    const struct table *up = level <= SIZES ? space_table(s, level, vpn) : NULL;

    if (up == NULL) {
        return false;
    }
    uint64_t entry = s->p->load(s->p->user, entry_pa(up->pfn, level, vpn));
    return entry != 0 && (!space_present(s, entry) || space_is_leaf(s, entry, level));
}

/* T8: linked slots go on as ordinary tables, deposits as deposits, the others go back. */
static void retire(struct dmt_space *s, struct tea *t)
{
    give_up_register(s, t);
    t->state = DMT_TEA_RETIRED;
    s->stats.retired++;
    for (uint64_t i = 0; i < t->blocks; i++) {
        uint64_t block = t->first + i, vpn = block << block_shift(t->size);
        bool aside = t->slot[i] == SLOT_DEPOSIT;
        if (aside) {
            tea_slot_set(t, i, SLOT_EMPTY);
        }
        if (t->slot[i] == SLOT_EMPTY && (aside || under_leaf(s, t->size, block)) &&
            tea_home(s, t->size, block) == NULL && space_put_deposit(s, t->size + 1, vpn, t->grant.pfn + i)) {
            tea_slot_set(t, i, SLOT_DEPOSIT);
        }
    }
    release_slots(s, t, 0, t->blocks, true);
    if (t->gone == t->blocks) {
        remove_tea(s, t);
    }
}

static struct tea *add_tea(struct dmt_space *s, unsigned size, uint64_t first, const struct dmt_grant *g)
{
    struct tea *t = s->teas < TEAS_MAX ? calloc(1, sizeof *t) : NULL;

    if (t == NULL || (t->slot = calloc(g->frames, 1)) == NULL) {
        free(t);
        return NULL;
    }
    t->state = DMT_TEA_BUILDING;
    t->size = size;
    t->first = first;
    t->blocks = g->frames;
    t->grant = *g;
    t->index = -1;
    s->tea[s->teas++] = t;
    s->stats.created++;
    return t;
}

/* ------------------------------------------------------------ building (T3) */

/* Move tables of a BUILDING TEA's range into their slots, at most *budget. True: all are in. */
static bool fill(struct dmt_space *s, struct tea *t, unsigned *budget)
{
    unsigned level = t->size + 1;

    while (t->next < t->blocks) {
        struct table *from[BATCH];
        uint64_t to[BATCH];
        unsigned n = 0;
        for (; t->next < t->blocks && n < BATCH && n < *budget; t->next++) {
            uint64_t vpn = (t->first + t->next) << block_shift(t->size), pfn = t->grant.pfn + t->next;
            uint64_t aside = space_take_deposit(s, level, vpn);
            if (aside != 0) { /* the slot is as good */
                space_release_table(s, aside);
                tea_slot_set(t, t->next, SLOT_DEPOSIT);
            }
            from[n] = space_table(s, level, vpn);
            if (from[n] != NULL && from[n]->pfn != pfn) {
                tea_slot_set(t, t->next, SLOT_LINKED);
                to[n++] = pfn;
            }
        }
        if (n > 0) {
            space_relocate(s, from, to, n);
            *budget -= n;
        } else if (t->next < t->blocks) {
            return false; /* no budget left */
        }
    }
    return true;
}

/* A donor whose takers are all done retires. */
static void release_donors(struct dmt_space *s)
{
    for (size_t i = 0; i < s->teas; i++) {
        struct tea *t = s->tea[i];
        bool wanted = false;
        for (size_t k = 0; k < s->teas; k++) {
            const struct tea *b = s->tea[k];
            wanted = wanted || (b->state == DMT_TEA_BUILDING && b->size == t->size &&
                                b->first < t->first + t->blocks && t->first < b->first + b->blocks);
        }
        if (t->state == DMT_TEA_MIGRATING && !wanted) {
            size_t before = s->teas;
            retire(s, t);
            i -= s->teas < before;
        }
    }
}

static bool build(struct dmt_space *s)
{
    unsigned budget = s->o.policy.background > 0 ? s->o.policy.background : UINT32_MAX;
    bool more = false;

    for (size_t i = 0; i < s->teas; i++) {
        struct tea *t = s->tea[i];
        if (t->state != DMT_TEA_BUILDING) {
            continue;
        }
        size_t before = s->teas;
        if (fill(s, t, &budget)) {
            t->state = DMT_TEA_LIVE;
            find_run(s, t);
            set_register(s, t, true);
        } else {
            more = true;
        }
        if (s->teas != before) { /* a retired one has gone */
            i = (size_t)-1;
        }
    }
    release_donors(s);
    s->building = more;
    return more;
}

/* ------------------------------------------------------------ planning */

/** A range that should have a TEA, and what becomes of it. */
struct want {
    unsigned size;
    uint64_t first, blocks;
    uint64_t end;    /* VPN up to which areas reach */
    uint64_t weight; /* pages of areas */
    unsigned halved;
    bool smaller; /* than the largest size of its clusters */
    bool done;
    struct tea *by; /* serves it already */
};

struct plan {
    struct dmt_space *s;
    struct want *want;
    size_t n, room;
    bool failed; /* out of memory for bookkeeping: the plan is given up */
};

static void add_want(struct plan *p, const struct want *w)
{
    if (p->n == p->room) {
        size_t room = p->room == 0 ? 64 : 2 * p->room;
        struct want *grown = realloc(p->want, room * sizeof *grown);
        if (grown == NULL) {
            p->failed = true;
            return;
        }
        p->want = grown;
        p->room = room;
    }
    p->want[p->n++] = *w;
}

static int by_rank(const void *a, const void *b)
{
    const struct want *x = a, *y = b;

    if (x->weight != y->weight) {
        return x->weight < y->weight ? 1 : -1;
    }
    if (x->first << block_shift(x->size) != y->first << block_shift(y->size)) {
        return x->first << block_shift(x->size) > y->first << block_shift(y->size) ? 1 : -1;
    }
    return (int)y->size - (int)x->size;
}

/* Clusters into wants of one size; neighbours that share a block are one. */
static void add_clusters(struct plan *p, const struct cluster *c, size_t n, unsigned size)
{
    uint64_t unit = UINT64_C(1) << 9 * size;
    struct want w = {0};
    bool open = false;

    for (size_t i = 0; i < n; i++) {
        uint64_t first = c[i].first >> 9 * size, last = (c[i].end - 1) >> 9 * size;
        uint64_t end = ((c[i].end << 9) + unit - 1) / unit * unit;
        bool smaller = c[i].sizes >> (size + 1) != 0;
        if ((c[i].sizes >> size & 1) == 0 || c[i].pages < p->s->o.policy.min_pages) {
            continue;
        }
        if (open && first < w.first + w.blocks && (p->s->o.defects & DMT_DEFECT_BOUNDARY) == 0) {
            w.blocks = last + 1 - w.first;
            w.weight += c[i].pages;
            w.end = end;
            w.smaller = w.smaller && smaller;
            continue;
        }
        if (open) {
            add_want(p, &w);
        }
        w = (struct want){.size = size,
                          .first = first,
                          .blocks = last + 1 - first,
                          .end = end,
                          .weight = c[i].pages,
                          .smaller = smaller};
        open = true;
    }
    if (open) {
        add_want(p, &w);
    }
}

/* What the areas ask for, as wants. */
static void survey(struct plan *p)
{
    struct dmt_space *s = p->s;
    struct cluster *c = NULL;
    size_t n = 0, room = 0;
    struct dmt_vma area;
    unsigned sizes;

    for (uint64_t vpn = 0; s->o.port.next_area(s->o.port.user, vpn, &area, &sizes);) {
        if (n == room) {
            struct cluster *grown = realloc(c, (room = room == 0 ? 64 : 2 * room) * sizeof *c);
            if (grown == NULL) {
                p->failed = true;
                break;
            }
            c = grown;
        }
        if ((s->o.defects & DMT_DEFECT_BOUNDARY) != 0) { /* each area for itself, rounded outwards */
            uint64_t first = area.vpn >> 9, end = ((area.vpn + area.pages - 1) >> 9) + 1;
            c[n++] = (struct cluster){first, end, end - first, area.pages, sizes};
        } else {
            n = cluster_add(c, n, &area, sizes, s->o.policy.bubble_percent);
        }
        vpn = area.vpn + area.pages;
    }
    for (unsigned size = 0; size < SIZES && !p->failed; size++) {
        add_clusters(p, c, n, size);
    }
    free(c);
}

static bool overlaps(const struct tea *t, const struct want *w)
{
    return t->size == w->size && t->first < w->first + w->blocks && w->first < t->first + t->blocks;
}

static bool contains(const struct tea *t, const struct want *w)
{
    return t->size == w->size && t->first <= w->first && w->first + w->blocks <= t->first + t->blocks;
}

/* Pages of areas in a range. */
static uint64_t pages_in(const struct dmt_space *s, uint64_t vpn, uint64_t end)
{
    uint64_t sum = 0;
    struct dmt_vma area;
    unsigned sizes;

    for (uint64_t at = vpn; at < end && s->o.port.next_area(s->o.port.user, at, &area, &sizes);) {
        uint64_t from = area.vpn > vpn ? area.vpn : vpn, to = area.vpn + area.pages;
        to = to < end ? to : end;
        sum += from < to ? to - from : 0;
        at = area.vpn + area.pages;
    }
    return sum;
}

/* A part of a want competes by itself, when there are areas in it. */
static void add_part(struct plan *p, const struct want *w, uint64_t first, uint64_t end, bool halved)
{
    unsigned shift = block_shift(w->size);
    struct want part = *w;

    if (first >= end) {
        return;
    }
    part.first = first;
    part.blocks = end - first;
    part.end = end << shift < w->end ? end << shift : w->end;
    part.halved += halved;
    part.done = false;
    part.weight = pages_in(p->s, first << shift, part.end);
    if (part.weight > 0 && part.halved <= p->s->o.policy.halvings) {
        add_want(p, &part);
    }
}

/* Nothing was free for the want: what a TEA serves already stays as it is and
 * the rest asks for itself; without one, both halves do (T6). */
static void fall_back(struct plan *p, const struct want *w, const struct tea *there)
{
    uint64_t first = w->first, end = w->first + w->blocks;

    p->s->stats.halved++;
    if (there != NULL) {
        uint64_t from = there->first > first ? there->first : first;
        uint64_t to = there->first + there->blocks < end ? there->first + there->blocks : end;
        add_part(p, w, first, from, true);
        add_part(p, w, from, to, false);
        add_part(p, w, to, end, true);
    } else if (w->blocks > 1) {
        add_part(p, w, first, first + w->blocks / 2, true);
        add_part(p, w, first + w->blocks / 2, end, true);
    }
}

/* The TEAs become donors of a taker; P=0 at once and until the move is done (paper 4.6.1). */
static void migrate_overlapping(struct dmt_space *s, const struct want *w, const struct tea *taker)
{
    for (size_t i = 0; i < s->teas; i++) {
        struct tea *t = s->tea[i];
        if (t != taker && is_home(t) && overlaps(t, w)) {
            give_up_register(s, t);
            t->state = DMT_TEA_MIGRATING;
            s->building = true;
            s->stats.migrated++;
        }
    }
}

static unsigned overlapping(const struct dmt_space *s, const struct want *w, struct tea **first)
{
    unsigned n = 0;

    *first = NULL;
    for (size_t i = 0; i < s->teas; i++) {
        struct tea *t = s->tea[i];
        if (is_home(t) && overlaps(t, w)) {
            if (*first == NULL || t->first < (*first)->first) {
                *first = t;
            }
            n++;
        }
    }
    return n;
}

/* Grow t in place so that it reaches the want's end (T4). */
static bool extend(struct dmt_space *s, struct tea *t, const struct want *w)
{
    uint64_t more = w->first + w->blocks - (t->first + t->blocks);
    uint8_t *slot;

    if (w->first < t->first || s->p->tea_extend == NULL) {
        return false;
    }
    slot = realloc(t->slot, t->blocks + more);
    if (slot == NULL) {
        return false;
    }
    t->slot = slot;
    memset(slot + t->blocks, SLOT_EMPTY, more);
    if (!s->p->tea_extend(s->p->user, &t->grant, more)) {
        return false;
    }
    if (t->state == DMT_TEA_LIVE) {
        set_register(s, t, false);
        t->state = DMT_TEA_BUILDING;
        t->next = t->blocks;
    }
    t->blocks += more;
    t->grant.frames = t->blocks;
    t->end = w->end;
    s->stats.grown++;
    return true;
}

/* The defect: more slots at the rear, range moved to the front. */
static void grow_front_wrongly(struct dmt_space *s, struct tea *t, const struct want *w)
{
    struct want rear = *w;

    rear.first = t->first;
    rear.blocks = t->blocks + (t->first - w->first);
    rear.end = t->end;
    if (extend(s, t, &rear)) {
        t->first = w->first;
        t->next = t->blocks;
        s->building = true;
    }
}

/* T7: give back what lies behind the want. */
static void trim(struct dmt_space *s, struct tea *t, uint64_t blocks, uint64_t end)
{
    while (blocks < t->blocks &&
           (t->slot[t->blocks - 1] == SLOT_EMPTY || t->slot[t->blocks - 1] == SLOT_GONE)) {
        uint64_t from = t->blocks - 1;
        while (from > blocks && (t->slot[from - 1] == SLOT_EMPTY || t->slot[from - 1] == SLOT_GONE)) {
            from--;
        }
        set_register(s, t, false);
        release_slots(s, t, from, t->blocks, false);
        t->gone -= t->blocks - from;
        t->blocks = from;
        t->grant.frames = from;
        t->next = t->next > from ? from : t->next;
    }
    uint64_t limit = (t->first + t->blocks) << block_shift(t->size);
    t->end = end < limit ? end : limit;
}

/* The register's range follows the areas, within the TEA. */
static void adjust(struct dmt_space *s, struct tea *t, uint64_t blocks, uint64_t end, bool smaller)
{
    uint64_t old = t->end;
    bool was = narrowed(s, t);

    t->smaller = smaller;
    if (2 * blocks < t->blocks) {
        trim(s, t, blocks, end);
    } else {
        t->end = end;
    }
    if (t->state == DMT_TEA_LIVE && (narrowed(s, t) != was || t->end != old || !s->reg[t->index].valid)) {
        find_run(s, t);
        renew_register(s, t);
    }
}

/* TEAs that no chosen want touches, or hardly: retired, so that registers and frames are free (T7, T8). */
static void retire_unwanted(struct plan *p, size_t chosen)
{
    struct dmt_space *s = p->s;

    for (size_t i = 0; i < s->teas;) {
        struct tea *t = s->tea[i];
        uint64_t wanted = 0;
        for (size_t k = 0; k < chosen; k++) {
            const struct want *w = &p->want[k];
            if (overlaps(t, w)) {
                uint64_t from = w->first > t->first ? w->first : t->first;
                uint64_t a = w->first + w->blocks, b = t->first + t->blocks;
                wanted += (a < b ? a : b) - from;
            }
        }
        bool kept = wanted > 0 && t->index >= 0;
        if (is_home(t) && !kept) {
            retire(s, t);
            i = 0; /* retire() may remove it */
        } else {
            i++;
        }
    }
}

/* How many of the ranked wants can have a register; each existing TEA counts once. */
static size_t choose(struct plan *p)
{
    struct dmt_space *s = p->s;
    unsigned left = s->o.policy.registers;
    const struct tea *counted[DMT_TEA_MAX];
    unsigned n = 0;
    size_t k = 0;

    for (; k < p->n; k++) {
        struct want *w = &p->want[k];
        bool shared = false;
        w->by = NULL;
        for (size_t i = 0; i < s->teas; i++) {
            if (is_home(s->tea[i]) && contains(s->tea[i], w)) {
                w->by = s->tea[i];
            }
        }
        for (unsigned i = 0; i < n && w->by != NULL; i++) {
            shared = shared || counted[i] == w->by;
        }
        if (shared) {
            continue;
        }
        if (left == 0) {
            break;
        }
        left--;
        if (w->by != NULL) {
            counted[n++] = w->by;
        }
    }
    return k;
}

/* Wants that one existing TEA serves: the range it has to cover. */
static void adjust_all(struct plan *p, size_t chosen)
{
    struct dmt_space *s = p->s;

    for (size_t i = 0; i < s->teas; i++) {
        struct tea *t = s->tea[i];
        uint64_t blocks = 0, end = 0, weight = 0;
        bool smaller = true;
        for (size_t k = 0; k < chosen; k++) {
            const struct want *w = &p->want[k];
            if (is_home(t) && w->by == t) {
                uint64_t reach = w->first + w->blocks - t->first;
                blocks = reach > blocks ? reach : blocks;
                end = w->end > end ? w->end : end;
                weight += w->weight;
                smaller = smaller && w->smaller;
            }
        }
        if (blocks > 0) {
            t->weight = weight;
            adjust(s, t, blocks, end, smaller);
        }
    }
}

/* Ask for all new TEAs at once (T3), and make them of what is granted. */
static void create(struct plan *p, const struct want *ask, const uint64_t *frames, size_t n)
{
    struct dmt_space *s = p->s;
    struct dmt_grant grant[2 * DMT_TEA_MAX];
    uint64_t served[DMT_TEA_MAX] = {0};
    size_t got;

    memset(grant, 0, sizeof grant);
    got = s->p->tea_alloc(s->p->user, frames, n, grant, 2 * DMT_TEA_MAX);
    for (size_t i = 0; i < got; i++) {
        const struct dmt_grant *g = &grant[i];
        const struct want *w = &ask[g->request];
        struct want part = {.size = w->size, .first = w->first + g->skip, .blocks = g->frames};
        uint64_t limit = (part.first + part.blocks) << block_shift(w->size);
        if ((s->o.defects & (DMT_DEFECT_SECOND_TEA | DMT_DEFECT_BOUNDARY)) == 0) {
            migrate_overlapping(s, &part, NULL);
        }
        int index = free_register(s);
        struct tea *t = index >= 0 ? add_tea(s, w->size, part.first, g) : NULL;
        if (t == NULL) {
            s->p->tea_release(s->p->user, g, 0, g->frames);
            continue;
        }
        t->index = index;
        t->end = w->end < limit ? w->end : limit;
        t->weight = w->weight;
        t->smaller = w->smaller;
        s->building = true;
        served[g->request] = g->skip + g->frames;
        add_part(p, w, part.first, part.first + part.blocks, false);
    }
    for (size_t i = 0; i < n; i++) {
        struct tea *there;
        if (served[i] == 0) {
            s->stats.alloc_failed++;
            overlapping(s, &ask[i], &there);
            fall_back(p, &ask[i], there);
        } else {
            add_part(p, &ask[i], ask[i].first + served[i], ask[i].first + ask[i].blocks, true);
        }
    }
}

/* A TEA that must move for growing gets `growth` times its size: room on the
 * side on which it grew, up to the next TEA (T4). Returns the blocks to ask for. */
static uint64_t make_room(const struct dmt_space *s, struct want *w, const struct tea *old)
{
    uint64_t limit = UINT64_C(1) << (9 * s->o.levels - block_shift(w->size));
    uint64_t from = 0, to = limit, grown = s->o.policy.growth * old->blocks, blocks = w->blocks;

    if (grown <= blocks) {
        return blocks;
    }
    for (size_t i = 0; i < s->teas; i++) {
        const struct tea *t = s->tea[i];
        if (!is_home(t) || t->size != w->size || overlaps(t, w)) {
            continue;
        }
        if (t->first < w->first && t->first + t->blocks > from) {
            from = t->first + t->blocks;
        }
        if (t->first > w->first && t->first < to) {
            to = t->first;
        }
    }
    if (w->first < old->first) {
        uint64_t room = grown - blocks < w->first - from ? grown - blocks : w->first - from;
        w->first -= room;
        w->blocks += room;
        return w->blocks;
    }
    return grown < to - w->first ? grown : to - w->first;
}

/* One round: chosen wants that nothing serves yet are extended into, or asked for. False: nothing was asked.
 */
static bool serve(struct plan *p, size_t chosen)
{
    struct dmt_space *s = p->s;
    struct want ask[DMT_TEA_MAX];
    uint64_t frames[DMT_TEA_MAX];
    size_t n = 0;

    for (size_t k = 0; k < chosen && n < DMT_TEA_MAX; k++) {
        struct want *w = &p->want[k];
        struct tea *first;
        unsigned many = overlapping(s, w, &first);
        if (w->by != NULL) {
            if ((s->o.defects & DMT_DEFECT_SECOND_TEA) == 0 || w->blocks == w->by->blocks) {
                continue;
            }
            many = 0;
        } else if (many > 0 && contains(first, w)) { /* grown a moment ago, for another */
            continue;
        }
        if (many == 1 && w->first < first->first && (s->o.defects & DMT_DEFECT_FRONT_GROWTH) != 0) {
            grow_front_wrongly(s, first, w);
            continue;
        }
        s->stats.merged += many > 1;
        if (many >= 1 && extend(s, first, w)) {
            migrate_overlapping(s, w, first);
            first->weight = w->weight;
            first->smaller = w->smaller;
            s->building = true;
            continue;
        }
        w->done = true;
        frames[n] = many > 0 ? make_room(s, w, first) : w->blocks;
        ask[n++] = *w;
    }
    if (n > 0) {
        create(p, ask, frames, n);
    }
    return n > 0;
}

static void plan(struct dmt_space *s)
{
    struct plan p = {.s = s};
    size_t chosen = 0;

    s->stats.plans++;
    s->changed = 0;
    s->urgent = false;
    survey(&p);
    for (unsigned round = 0; round <= s->o.policy.halvings + 1 && !p.failed; round++) {
        if (p.n > 0) {
            qsort(p.want, p.n, sizeof *p.want, by_rank);
        }
        size_t kept = 0;
        for (size_t i = 0; i < p.n; i++) { /* what was asked for is there by its parts */
            if (!p.want[i].done) {
                p.want[kept++] = p.want[i];
            }
        }
        p.n = kept;
        chosen = choose(&p);
        retire_unwanted(&p, chosen);
        chosen = choose(&p);
        adjust_all(&p, chosen);
        if (!serve(&p, chosen)) {
            break;
        }
    }
    s->smallest = UINT64_MAX;
    for (size_t i = 0; i < s->teas; i++) {
        if (s->tea[i]->index >= 0 && s->tea[i]->weight < s->smallest) {
            s->smallest = s->tea[i]->weight;
        }
    }
    free(p.want);
}

/* ------------------------------------------------------------ interface */

void dmt_space_areas_changed(struct dmt_space *s, uint64_t vpn, uint64_t pages)
{
    if (!s->o.policy.enabled || pages == 0) {
        return;
    }
    s->changed += pages;
    const struct tea *t = tea_home(s, DMT_SIZE_4K, vpn >> 9);
    s->urgent = s->urgent || ((t == NULL || vpn + pages > t->end) && free_register(s) >= 0) ||
                (t != NULL && vpn + pages > t->end);
}

bool dmt_space_work(struct dmt_space *s)
{
    if (!s->o.policy.enabled) {
        return false;
    }
    /* T9. While TEAs are being built, plans wait: their ranges would be judged half done. */
    if (!s->building && (s->urgent || (s->changed > 0 && s->changed > s->smallest / 16))) {
        plan(s);
    }
    bool more = s->building && build(s);
    return narrow(s, false) || more;
}

void dmt_space_settle(struct dmt_space *s)
{
    if (!s->o.policy.enabled) {
        return;
    }
    while (s->building && build(s)) {
    }
    if (s->changed > 0) {
        plan(s);
    }
    while (s->building && build(s)) {
    }
    narrow(s, true);
}

const struct dmt_tea *dmt_space_registers(const struct dmt_space *s)
{
    return s->reg;
}

size_t dmt_space_teas(const struct dmt_space *s)
{
    return s->teas;
}

struct dmt_tea_view dmt_space_tea(const struct dmt_space *s, size_t i)
{
    const struct tea *t = s->tea[i];

    return (struct dmt_tea_view){t->state, t->size, t->first, t->blocks, t->grant, t->index, t->used};
}

void dmt_space_coverage(const struct dmt_space *s, uint64_t *area_pages, uint64_t *covered)
{
    struct dmt_vma area;
    unsigned sizes;

    *area_pages = *covered = 0;
    for (uint64_t vpn = 0; s->o.port.next_area(s->o.port.user, vpn, &area, &sizes);
         vpn = area.vpn + area.pages) {
        uint64_t best = 0;
        *area_pages += area.pages;
        for (unsigned size = 0; size < SIZES; size++) {
            uint64_t sum = 0;
            for (size_t i = 0; i < s->teas; i++) {
                const struct tea *t = s->tea[i];
                uint64_t first = t->first << block_shift(t->size);
                uint64_t from = area.vpn > first ? area.vpn : first;
                uint64_t to = area.vpn + area.pages < t->end ? area.vpn + area.pages : t->end;
                if (t->state == DMT_TEA_LIVE && t->size == size && (sizes >> size & 1) != 0 && from < to) {
                    sum += to - from;
                }
            }
            best = sum > best ? sum : best;
        }
        *covered += best;
    }
}

void dmt_space_revoked(struct dmt_space *s, uint16_t id)
{
    for (size_t i = 0; i < s->teas;) {
        struct tea *t = s->tea[i];
        if (t->grant.gtea && t->grant.id == id && t->state != DMT_TEA_RETIRED) {
            retire(s, t);
            s->changed++;
            s->urgent = true;
            i = 0;
        } else {
            i++;
        }
    }
}
