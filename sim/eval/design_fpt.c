/* SPDX-License-Identifier: Apache-2.0
 * Flattened page tables: two levels of radix merged into one node of 2 MB, in
 * both stages when virtualized. A node for which no 2 MB run is free stays two
 * levels of 4K tables; the entry above says which. */
#include "eval/tables.h"

#include "io.h"
#include <stdlib.h>
#include <string.h>

#define NODE_FRAMES 512

enum layout {
    EDGES = 1, /* L4+L3 and L2+L1: 4K pages only; a 2M page takes 512 entries */
    MIDDLE     /* L3+L2, and L4 and L1 as ever: what the authors' kernel has for huge pages */
};

/* One stage's table. */
struct fpt_stage {
    struct fpt *fpt;
    unsigned number; /* of the stage */
    enum layout layout;
    struct flat table;
    struct mirror *mirror;
    struct tables_stage stage;
    uint8_t *merged;  /* EDGES: by address >> 30, MIDDLE: by address >> 39 */
    bool root_merged; /* EDGES */
    uint64_t nodes, apart, frames;
};

struct fpt {
    const struct eval_config *config;
    struct eval_system *system;
    unsigned stages;
    struct fpt_stage at[2]; /* [0] is the host's, or the only one */
};

/* ---------------------------------------------------------------- where tables lie */

static bool frames(struct fpt_stage *t, uint64_t n, uint64_t *at)
{
    struct eval_system *s = t->fpt->system;
    uint64_t pfn;

    if (t->number == 0 ? !eval_system_frames(s, n, false, &pfn) : !eval_system_guest_frames(s, n, &pfn)) {
        return false;
    }
    t->frames += n;
    *at = pfn << 12;
    return true;
}

static bool node(struct fpt_stage *t, uint64_t *at)
{
    if (frames(t, NODE_FRAMES, at)) {
        t->nodes++;
        return true;
    }
    t->apart++;
    return false;
}

/* Tables inside a node are its pages, so that entry i of a table of them is where the merged index says. */
static bool place(void *user, unsigned level, uint64_t addr, uint64_t *at)
{
    struct fpt_stage *t = user;
    uint8_t *merged = &t->merged[t->layout == EDGES ? addr >> 30 : addr >> 39];

    if (t->layout == EDGES) {
        switch (level) {
        case 4:
            t->root_merged = node(t, at);
            return t->root_merged || frames(t, 1, at);
        case 3:
            *at = t->table.root + 4096 * (addr >> 39);
            return t->root_merged || frames(t, 1, at);
        case 2:
            *merged = node(t, at);
            return *merged || frames(t, 1, at);
        default:
            *at = t->table.gig[addr >> 30]->l2 + 4096 * (addr >> 21 & 511);
            return *merged || frames(t, 1, at);
        }
    }
    switch (level) {
    case 3:
        *merged = node(t, at);
        return *merged || frames(t, 1, at);
    case 2:
        *at = t->table.l3[addr >> 39] + 4096 * (addr >> 30 & 511);
        return *merged || frames(t, 1, at);
    default:
        return frames(t, 1, at);
    }
}

/* ---------------------------------------------------------------- the walk */

static bool take(struct fpt_stage *t, uint64_t addr)
{
    uint64_t pfn;
    unsigned size = tables_leaf(t->mirror, addr, &pfn);

    return size != TABLES_ABSENT && flat_map(&t->table, addr, size, pfn);
}

/* Of the radix path, the entries that are left. */
static bool path(void *user, uint64_t addr, struct tables_path *p)
{
    struct fpt_stage *t = user;
    struct tables_step all[4];
    unsigned size;

    if (!flat_path(&t->table, addr, p) && !(take(t, addr) && flat_path(&t->table, addr, p))) {
        return false;
    }
    size = p->size;
    memcpy(all, p->step, sizeof all);
    p->steps = 0;
    if (t->layout == EDGES) {
        if (!t->root_merged) {
            p->step[p->steps++] = all[0];
        }
        p->step[p->steps++] = all[1];
        if (t->merged[addr >> 30]) {
            /* Of the 512 copies of a 2M page's entry, the one of this 4K page. */
            p->step[p->steps++] = (struct tables_step){
                .at = t->table.gig[addr >> 30]->l2 + 8 * (addr >> 12 & 0x3ffff), .level = 1};
            return true;
        }
    } else {
        p->step[p->steps++] = all[0];
        if (!t->merged[addr >> 39]) {
            p->step[p->steps++] = all[1];
        }
    }
    p->step[p->steps++] = all[2];
    if (size == DMT_SIZE_4K) {
        p->step[p->steps++] = all[3];
    }
    return true;
}

static bool walk(void *user, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now,
                 struct eval_walk *w)
{
    struct fpt *d = user;
    struct tables_walk x = {d->config, c, w, now};
    unsigned size = DMT_SIZE_1G;
    uint64_t to;

    (void)access;
    if (d->config->fpt_priority) {
        eval_caches_keep_tables(c);
    }
    if (!tables_stage_walk(&x, &d->at[d->stages - 1].stage, va, &to, &size)) {
        return false;
    }
    w->pa = to;
    if (d->stages == 2 && !tables_host(&x, &d->at[0].stage, to, TABLES_DATA, &w->pa, &size)) {
        return false;
    }
    w->size = (uint8_t)size;
    w->done = x.now;
    return true;
}

/* ---------------------------------------------------------------- set-up */

static bool first_huge(void *user, uint64_t addr, unsigned size, uint64_t pfn)
{
    (void)user;
    (void)addr;
    (void)pfn;
    return size == DMT_SIZE_4K;
}

static bool fill(void *user, uint64_t addr, unsigned size, uint64_t pfn)
{
    return flat_map(&((struct fpt_stage *)user)->table, addr, size, pfn);
}

static bool stage_make(struct fpt *d, unsigned k)
{
    struct fpt_stage *t = &d->at[k];
    const struct eval_config *c = d->config;
    struct dmt_mem *mem = eval_system_mem(d->system);
    bool ept = tables_ept(d->system, k);

    t->fpt = d;
    t->number = k;
    t->mirror = eval_system_stage(d->system, k);
    t->layout = c->fpt_layout != 0                                   ? (enum layout)c->fpt_layout
                : tables_each(t->mirror, mem, ept, first_huge, NULL) ? EDGES
                                                                     : MIDDLE;
    t->stage.path = path;
    t->stage.user = t;
    t->stage.host = k == 1 ? &d->at[0].stage : NULL;
    tables_stage_open(&t->stage, c, k + 1 < d->stages);
    /* The level whose entries lead to nodes or, MIDDLE, come from one has the design's own cache. */
    unsigned own = t->layout == EDGES ? 3 : 2;
    eval_assoc_free(t->stage.pwc.of[own]);
    t->stage.pwc.of[own] = eval_assoc_new(c->fpt_entries, c->fpt_ways, c->pwc_policy);
    t->merged = calloc(1 << 18, 1);
    if (t->merged == NULL) {
        say("out of memory");
        return false;
    }
    return flat_open(&t->table, place, t) && tables_each(t->mirror, mem, ept, fill, t);
}

static void fpt_free(void *user)
{
    struct fpt *d = user;

    for (unsigned k = 0; k < d->stages; k++) {
        if (d->at[k].fpt != NULL) {
            tables_stage_close(&d->at[k].stage);
        }
        flat_close(&d->at[k].table);
        free(d->at[k].merged);
    }
    free(d);
}

static void *make(const struct eval_config *c, struct eval_system *s)
{
    struct fpt *d = calloc(1, sizeof *d);

    if (d == NULL) {
        say("out of memory");
        return NULL;
    }
    d->config = c;
    d->system = s;
    d->stages = eval_system_state(s)->mode == DMT_MODE_VIRT ? 2 : 1;
    /* The guest's nodes come first, so that the host's table maps them, too. */
    for (unsigned k = d->stages; k-- > 0;) {
        if (!stage_make(d, k)) {
            fpt_free(d);
            return NULL;
        }
    }
    return d;
}

static void flush(void *user, bool host)
{
    struct fpt *d = user;

    for (unsigned k = host ? 0 : d->stages - 1; k < d->stages; k++) {
        tables_stage_clear(&d->at[k].stage);
    }
}

static void changed(void *user, uint64_t vpn, uint64_t pages)
{
    struct fpt *d = user;

    flat_forget(&d->at[d->stages - 1].table, vpn, pages);
}

static bool moved(void *user, uint64_t vpn, uint64_t gfn)
{
    struct fpt *d = user;

    (void)vpn;
    if (gfn != EVAL_FRAMES) {
        flat_forget(&d->at[0].table, gfn, 1);
        return true;
    }
    flat_forget(&d->at[0].table, 0, FLAT_PAGES);
    return tables_each(d->at[0].mirror, eval_system_mem(d->system), tables_ept(d->system, 0), fill, &d->at[0]);
}

static size_t counters(void *user, struct eval_counter *counter, size_t room)
{
    const struct fpt *d = user;
    double nodes = 0, apart = 0, bytes = 0;

    for (unsigned k = 0; k < d->stages; k++) {
        nodes += (double)d->at[k].nodes;
        apart += (double)d->at[k].apart;
        bytes += (double)d->at[k].frames * 4096;
    }
    const struct eval_counter all[] = {
        {"merged nodes of 2 MB", nodes, false},
        {"nodes for which no 2 MB run was free", apart, false},
        {"bytes of tables", bytes, false},
    };
    return eval_counters_give(all, sizeof all / sizeof *all, counter, room);
}

#define FPT .name = "fpt", .make = make, .walk = walk, \
    .flush = flush, .changed = changed, .moved = moved, .counters = counters, .free = fpt_free

const struct eval_design eval_fpt = {FPT, .title = "FPT", .env = EVAL_NATIVE, .base = "radix"};
const struct eval_design eval_vfpt = {FPT, .title = "FPT", .env = EVAL_VIRT, .base = "nested"};
