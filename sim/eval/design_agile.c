/* SPDX-License-Identifier: Apache-2.0
 * Agile Paging: the upper levels of a walk in a shadow table, the lower ones
 * nested, by how often the guest stores to its tables. A bit in a shadow entry
 * says that it leads to the guest's own table, by host address. */
#include "eval/tables.h"

#include "io.h"
#include <stdlib.h>
#include <string.h>

#define LEVELS 4
#define ROOT   5 /* in place of a number of nested levels: not even the guest's root is known by host address */

/* A table page of the guest, as the hypervisor sees it. */
struct region {
    uint64_t first;  /* clock of the first store that counts */
    uint64_t period; /* number of the interval of the last store, when nested */
    uint32_t stores; /* seen since first */
    bool nested;
};

struct gig {
    struct region table;      /* of level 2 */
    struct region block[512]; /* of level 1 */
};

struct agile {
    const struct eval_config *config;
    struct eval_system *system;
    struct flat table;
    struct flat_frames frames;
    struct tables_stage stage, host;
    struct gig **gig; /* by address >> 30, when stored to */
    struct region top, l3[512];
    bool final; /* the walk under way ended in a guest's entry */
    uint64_t now, exits, stores, to_nested, to_shadow, walks[ROOT + 1];
};

/* ---------------------------------------------------------------- policy */

/* Periodically, tables whose host pages have not become dirty for a whole interval are shadowed again. */
static bool is_nested(struct agile *d, struct region *r)
{
    if (r->nested && d->now / d->config->agile_interval >= r->period + 2) {
        r->nested = false;
        r->stores = 0;
        d->to_shadow++;
        tables_pwc_clear(&d->stage.pwc);
    }
    return r->nested;
}

/* The guest stores to a table of this level: an exit while that is shadowed, and with the second one in an
 * interval it is no more. above: one above it is nested, so it is, too. */
static void stored(struct agile *d, struct region *r, unsigned level, bool above)
{
    d->stores++;
    if (d->config->agile_levels != 0) { /* that many, whatever is stored */
        d->exits += level > d->config->agile_levels - 1;
        return;
    }
    if (is_nested(d, r) || above) {
        r->period = d->now / d->config->agile_interval;
        return;
    }
    d->exits++;
    if (r->stores == 0 || d->now - r->first > d->config->agile_interval) {
        r->first = d->now;
        r->stores = 0;
    }
    if (++r->stores >= d->config->agile_writes) {
        r->nested = true;
        r->period = d->now / d->config->agile_interval;
        d->to_nested++;
        tables_pwc_clear(&d->stage.pwc);
    }
}

/* How many levels of the guest's table are walked nested for this address. */
static unsigned nested_levels(struct agile *d, uint64_t addr)
{
    struct gig *g = d->gig[addr >> 30];

    if (d->config->agile_levels != 0) {
        return d->config->agile_levels - 1;
    }
    if (is_nested(d, &d->top)) {
        return 4;
    }
    if (is_nested(d, &d->l3[addr >> 39])) {
        return 3;
    }
    if (g == NULL) {
        return 0;
    }
    return is_nested(d, &g->table) ? 2 : is_nested(d, &g->block[addr >> 21 & 511]) ? 1 : 0;
}

static struct gig *gig_of(struct agile *d, uint64_t addr)
{
    struct gig **g = &d->gig[addr >> 30];

    if (*g == NULL) {
        *g = need(calloc(1, sizeof **g));
    }
    return *g;
}

/* A page that the guest has mapped since: stores to its leaf table, and to those above that got a new one. */
static bool take(struct agile *d, uint64_t addr)
{
    const struct flat_gig *f = addr >> 48 != 0 ? NULL : d->table.gig[addr >> 30];
    bool l3 = addr >> 48 == 0 && d->table.l3[addr >> 39] != 0;
    bool l2 = f != NULL, l1 = f != NULL && f->block[addr >> 21 & 511].small != NULL;
    uint64_t pfn;
    unsigned size;

    if (!flat_compose_at(&d->table, d->system, addr)) {
        return false;
    }
    struct gig *g = gig_of(d, addr);
    size = tables_leaf(eval_system_stage(d->system, 1), addr, &pfn);
    if (!l3) {
        stored(d, &d->top, 4, false);
    }
    if (!l2) {
        stored(d, &d->l3[addr >> 39], 3, is_nested(d, &d->top));
    }
    if (size == DMT_SIZE_2M || !l1) {
        stored(d, &g->table, 2, is_nested(d, &d->top) || is_nested(d, &d->l3[addr >> 39]));
    }
    if (size == DMT_SIZE_4K) {
        stored(d, &g->block[addr >> 21 & 511], 1, nested_levels(d, addr) > 1);
    }
    return true;
}

/* ---------------------------------------------------------------- the walk */

static bool path(void *user, uint64_t addr, struct tables_path *p)
{
    struct agile *d = user;
    struct mirror_path g;
    unsigned levels;

    if (!flat_path(&d->table, addr, p) && !(take(d, addr) && flat_path(&d->table, addr, p))) {
        return false;
    }
    levels = nested_levels(d, addr);
    for (unsigned i = 0; i < p->steps; i++) {
        p->step[i].direct = true;
    }
    d->final = false;
    d->walks[levels]++;
    if (levels == 0) {
        return true;
    }
    if (!mirror_walk(eval_system_stage(d->system, 1), addr, &g)) {
        return false;
    }
    if (levels < g.leaf) {
        return true; /* a 2M page of the guest has no table of level 1 */
    }
    for (unsigned l = levels < LEVELS ? levels : LEVELS; l >= g.leaf; l--) {
        bool known = l == levels;
        p->step[LEVELS - l] = (struct tables_step){
            .at = known ? g.step[l].hpa : g.step[l].at, .level = (uint8_t)l, .direct = known};
    }
    p->steps = (uint8_t)(LEVELS + 1 - g.leaf);
    p->size = g.leaf > 1 ? DMT_SIZE_2M : DMT_SIZE_4K;
    p->to = g.to;
    d->final = true;
    return true;
}

static bool host_path(void *user, uint64_t addr, struct tables_path *p)
{
    struct agile *d = user;
    struct mirror_path h;

    if (!mirror_walk(eval_system_stage(d->system, 0), addr, &h)) {
        return false;
    }
    p->steps = 0;
    for (unsigned l = LEVELS; l >= h.leaf; l--) {
        p->step[p->steps++] = (struct tables_step){.at = h.step[l].hpa, .level = (uint8_t)l};
    }
    p->size = h.leaf > 1 ? DMT_SIZE_2M : DMT_SIZE_4K;
    p->to = h.to;
    return true;
}

static bool walk(void *user, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now,
                 struct eval_walk *w)
{
    struct agile *d = user;
    struct tables_walk x = {d->config, c, w, now};
    unsigned size = DMT_SIZE_1G;
    uint64_t to;

    (void)access;
    d->now = now > d->now ? now : d->now;
    if (!tables_stage_walk(&x, &d->stage, va, &to, &size)) {
        return false;
    }
    w->pa = to;
    if (d->final && !tables_host(&x, &d->host, to, TABLES_DATA, &w->pa, &size)) {
        return false;
    }
    w->size = (uint8_t)size;
    w->done = x.now;
    return true;
}

/* ---------------------------------------------------------------- set-up */

static void agile_free(void *user)
{
    struct agile *d = user;

    flat_close(&d->table);
    tables_stage_close(&d->stage);
    tables_stage_close(&d->host);
    for (size_t i = 0; d->gig != NULL && i < 1 << 18; i++) {
        free(d->gig[i]);
    }
    free(d->gig);
    free(d);
}

static void *make(const struct eval_config *c, struct eval_system *s)
{
    struct agile *d = calloc(1, sizeof *d);
    struct gig **gig = calloc(1 << 18, sizeof *gig);

    if (d == NULL || gig == NULL) {
        say("out of memory");
        free(d);
        free(gig);
        return NULL;
    }
    d->config = c;
    d->system = s;
    d->frames.system = s;
    d->gig = gig;
    d->stage.path = path;
    d->host.path = host_path;
    d->stage.user = d->host.user = d;
    d->stage.host = &d->host;
    tables_stage_open(&d->stage, c, false);
    tables_stage_open(&d->host, c, true);
    /* The process has run for long: all its tables are shadowed. */
    if (eval_system_stage(s, 0) == NULL || !flat_open(&d->table, flat_place, &d->frames) || !flat_compose(&d->table, s)) {
        agile_free(d);
        return NULL;
    }
    return d;
}

static void flush(void *user, bool host)
{
    struct agile *d = user;

    tables_stage_clear(&d->stage);
    if (host) {
        tables_stage_clear(&d->host);
    }
}

/* The guest has stored to each page's entry. What is there now is taken in by the walk that asks for it. */
static void changed(void *user, uint64_t vpn, uint64_t pages)
{
    struct agile *d = user;
    uint64_t end = (vpn + pages) << 12, addr;
    unsigned size;

    for (addr = flat_next(&d->table, vpn << 12, end, &size); addr < end;
         addr = flat_next(&d->table, addr + (UINT64_C(4096) << 9 * size), end, &size)) {
        if (size == DMT_SIZE_4K) {
            stored(d, &gig_of(d, addr)->block[addr >> 21 & 511], 1, nested_levels(d, addr) > 1);
        } else {
            stored(d, &gig_of(d, addr)->table, 2, is_nested(d, &d->top) || is_nested(d, &d->l3[addr >> 39]));
        }
        flat_forget(&d->table, addr >> 12, 1);
    }
}

static bool moved(void *user, uint64_t vpn, uint64_t gfn)
{
    struct agile *d = user;

    return flat_moved(&d->table, d->system, vpn, gfn);
}

static size_t counters(void *user, struct eval_counter *counter, size_t room)
{
    const struct agile *d = user;
    const struct eval_counter all[] = {
        {"exits", (double)d->exits, true},
        {"stores to guest tables seen", (double)d->stores, true},
        {"table pages that turned nested", (double)d->to_nested, true},
        {"table pages shadowed again", (double)d->to_shadow, true},
        {"walks in the shadow table alone", (double)d->walks[0], true},
        {"walks with 1 level nested", (double)d->walks[1], true},
        {"walks with 2 levels nested", (double)d->walks[2], true},
        {"walks with 3 levels nested", (double)d->walks[3], true},
        {"walks with 4 levels nested", (double)(d->walks[4] + d->walks[ROOT]), true},
        {"frames of the shadow table", (double)d->frames.taken, false},
    };

    return eval_counters_give(all, sizeof all / sizeof *all, counter, room);
}

const struct eval_design eval_agile = {
    .name = "agile",
    .title = "Agile Paging",
    .env = EVAL_VIRT,
    .base = "nested",
    .make = make,
    .walk = walk,
    .flush = flush,
    .changed = changed,
    .moved = moved,
    .counters = counters,
    .free = agile_free,
};
