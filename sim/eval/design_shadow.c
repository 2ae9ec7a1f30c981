/* SPDX-License-Identifier: Apache-2.0
 * Shadow paging: the hypervisor keeps a table of both stages together, which is
 * walked as a native one; every store to a guest's table leaves the guest. */
#include "eval/tables.h"

#include "io.h"
#include <stdlib.h>
#include <string.h>

struct shadow {
    const struct eval_config *config;
    struct eval_system *system;
    struct flat table;
    struct flat_frames frames;
    struct tables_stage stage;
    uint64_t fills;
};

static bool path(void *user, uint64_t addr, struct tables_path *p)
{
    struct shadow *d = user;

    if (flat_path(&d->table, addr, p)) {
        return true;
    }
    /* A hidden fault: both stages map it, the shadow table does not yet. */
    if (!flat_compose_at(&d->table, d->system, addr)) {
        return false;
    }
    d->fills++;
    return flat_path(&d->table, addr, p);
}

static void shadow_free(void *user)
{
    struct shadow *d = user;

    flat_close(&d->table);
    tables_stage_close(&d->stage);
    free(d);
}

static void *make(const struct eval_config *c, struct eval_system *s)
{
    struct shadow *d = calloc(1, sizeof *d);

    if (d == NULL) {
        say("out of memory");
        return NULL;
    }
    d->config = c;
    d->system = s;
    d->frames.system = s;
    d->stage.path = path;
    d->stage.user = d;
    tables_stage_open(&d->stage, c, false);
    if (!flat_open(&d->table, flat_place, &d->frames) || !flat_compose(&d->table, s)) {
        shadow_free(d);
        return NULL;
    }
    return d;
}

static bool walk(void *user, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now,
                 struct eval_walk *w)
{
    struct shadow *d = user;
    struct tables_walk x = {d->config, c, w, now};
    unsigned size = DMT_SIZE_1G;

    (void)access;
    if (!tables_stage_walk(&x, &d->stage, va, &w->pa, &size)) {
        return false;
    }
    w->size = (uint8_t)size;
    w->done = x.now;
    return true;
}

static void flush(void *user, bool host)
{
    (void)host; /* one table of both stages */
    tables_stage_clear(&((struct shadow *)user)->stage);
}

static void changed(void *user, uint64_t vpn, uint64_t pages)
{
    flat_forget(&((struct shadow *)user)->table, vpn, pages);
}

static bool moved(void *user, uint64_t vpn, uint64_t gfn)
{
    struct shadow *d = user;

    return flat_moved(&d->table, d->system, vpn, gfn);
}

static size_t counters(void *user, struct eval_counter *counter, size_t room)
{
    const struct shadow *d = user;
    struct eval_system_stats t;

    eval_system_stats(d->system, &t);
    const struct eval_counter all[] = {
        {"exits", (double)(t.guest_stores + d->fills), true},
        {"exits for stores to guest tables", (double)t.guest_stores, true},
        {"exits for pages not shadowed yet", (double)d->fills, true},
        {"frames of the shadow table", (double)d->frames.taken, false},
    };
    return eval_counters_give(all, sizeof all / sizeof *all, counter, room);
}

const struct eval_design eval_shadow = {
    .name = "shadow",
    .title = "shadow paging",
    .env = EVAL_VIRT,
    .base = "nested",
    .make = make,
    .walk = walk,
    .flush = flush,
    .changed = changed,
    .moved = moved,
    .counters = counters,
    .free = shadow_free,
};
