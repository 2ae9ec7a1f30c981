/* SPDX-License-Identifier: Apache-2.0
 * ASAP: tables of the two lowest levels lie sorted and contiguous, area by
 * area, so that range registers name both entries of an address at once. They
 * are prefetched while the ordinary walk comes down to them. */
#include "eval/tables.h"

#include "io.h"
#include <stdlib.h>
#include <string.h>

/* An area, and where its tables of level 1 and 2 lie. */
struct range {
    uint64_t first, end; /* addresses */
    uint64_t at[3];      /* [l]: first table of level l, in memory of the stage's tables; 0: anywhere */
    uint64_t hpa[3];     /* the same for its register, in host memory; 0: none is loaded */
    bool moved[3];       /* guest: the hypervisor has put them there */
};

struct asap_stage {
    struct asap *asap;
    unsigned number;
    struct flat table;
    struct mirror *mirror;
    struct tables_stage stage;
    struct range *range; /* in address order */
    size_t ranges;
    uint64_t frames, issued, used, scattered;
};

struct asap {
    const struct eval_config *config;
    struct eval_system *system;
    unsigned stages;
    struct asap_stage at[2]; /* [0] is the host's, or the only one */
};

static uint64_t shift_of(unsigned level)
{
    return 12 + 9 * level; /* of the addresses that one table serves */
}

/* The range that ends after addr, or NULL. */
static const struct range *range_of(const struct asap_stage *t, uint64_t addr)
{
    size_t low = 0, high = t->ranges;

    while (low < high) {
        size_t mid = (low + high) / 2;
        if (t->range[mid].end <= addr) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < t->ranges ? &t->range[low] : NULL;
}

/* ---------------------------------------------------------------- where tables lie */

static bool frames(struct asap_stage *t, uint64_t n, uint64_t *at)
{
    struct eval_system *s = t->asap->system;
    uint64_t pfn;

    if (t->number == 0 ? !eval_system_frames(s, n, false, &pfn) : !eval_system_guest_frames(s, n, &pfn)) {
        return false;
    }
    t->frames += n;
    *at = pfn << 12;
    return true;
}

static uint64_t in_range(uint64_t base, const struct range *r, unsigned level, uint64_t addr)
{
    return base + 4096 * ((addr >> shift_of(level)) - (r->first >> shift_of(level)));
}

static bool place(void *user, unsigned level, uint64_t addr, uint64_t *at)
{
    struct asap_stage *t = user;

    if (level <= 2) {
        uint64_t block = addr >> shift_of(level);
        const struct range *r = range_of(t, block << shift_of(level));
        /* Where two areas share a table, the first one has it. */
        if (r != NULL && r->first >> shift_of(level) <= block && r->at[level] != 0) {
            *at = in_range(r->at[level], r, level, addr);
            return true;
        }
    }
    return frames(t, 1, at);
}

static uint64_t run_of(const struct range *r, unsigned level)
{
    return ((r->end - 1) >> shift_of(level)) - (r->first >> shift_of(level)) + 1;
}

/* Is a run of the guest's frames contiguous in host memory, and where? */
static bool contiguous(const struct asap *d, uint64_t at, uint64_t n, uint64_t *hpa)
{
    struct mirror *host = eval_system_stage(d->system, 0);
    struct mirror_path p;

    for (uint64_t i = 0; i < n; i++) {
        if (!mirror_walk(host, at + 4096 * i, &p) || (i != 0 && p.to != *hpa + 4096 * i)) {
            return false;
        }
        *hpa = i == 0 ? p.to : *hpa;
    }
    return true;
}

/* A run for the tables of one level. A guest's is kept contiguous in host memory, too, by the hypervisor. */
static void reserve(struct asap_stage *t, struct range *r, unsigned level)
{
    uint64_t n = run_of(r, level), pfn;

    if (!frames(t, n, &r->at[level])) {
        r->at[level] = 0;
        t->scattered++;
    } else if (t->number == 0) {
        r->hpa[level] = r->at[level];
    } else if (!contiguous(t->asap, r->at[level], n, &r->hpa[level])) {
        r->moved[level] = eval_system_frames(t->asap->system, n, false, &pfn);
        r->hpa[level] = r->moved[level] ? pfn << 12 : 0;
        t->scattered += !r->moved[level];
    }
}

/* The host's table says where the hypervisor has put the guest's runs. */
static bool map_runs(struct asap *d)
{
    for (size_t i = 0; i < d->at[1].ranges; i++) {
        const struct range *r = &d->at[1].range[i];
        for (unsigned level = 1; level <= 2; level++) {
            for (uint64_t j = 0; r->moved[level] && j < run_of(r, level); j++) {
                if (!flat_map(&d->at[0].table, r->at[level] + 4096 * j, DMT_SIZE_4K,
                              (r->hpa[level] >> 12) + j)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* ---------------------------------------------------------------- the walk */

static bool path(void *user, uint64_t addr, struct tables_path *p)
{
    struct asap_stage *t = user;
    uint64_t pfn;
    unsigned size;

    if (flat_path(&t->table, addr, p)) {
        return true;
    }
    size = tables_leaf(t->mirror, addr, &pfn);
    return size != TABLES_ABSENT && flat_map(&t->table, addr, size, pfn) && flat_path(&t->table, addr, p);
}

/* Prefetches of both entries, as soon as the address is known. */
static void ahead(void *user, struct tables_walk *x, uint64_t addr, struct tables_path *p)
{
    struct asap_stage *t = user;
    const struct range *r = range_of(t, addr);
    uint64_t start = x->now + x->config->asap_delay;
    unsigned n = 0;

    if (r == NULL || addr < r->first) {
        return;
    }
    for (unsigned level = 1; level <= 2; level++) {
        enum eval_level served;
        if (r->hpa[level] == 0) {
            continue;
        }
        uint64_t offset = 8 * (addr >> (3 + 9 * level) & 511);
        uint64_t hpa = in_range(r->hpa[level], r, level, addr) + offset;
        uint64_t done = eval_caches_prefetch(x->caches, hpa, start + n / x->config->walker_ports, &served);
        eval_walk_note(x->out, hpa, done - start, served, true);
        n++;
        t->issued++;
        /* Of use when the table is where the register says: not one shared with the area before. */
        if (4 - level < p->steps &&
            p->step[4 - level].at == in_range(r->at[level], r, level, addr) + offset) {
            p->step[4 - level].ready = done;
            t->used++;
        }
    }
}

static bool walk(void *user, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now,
                 struct eval_walk *w)
{
    struct asap *d = user;
    struct tables_walk x = {d->config, c, w, now};
    unsigned size = DMT_SIZE_1G;
    uint64_t to;

    (void)access;
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

struct survey {
    struct asap_stage *t;
    uint64_t end;   /* of the last page */
    uint8_t *small; /* ranges with pages of 4K */
};

static bool look(void *user, uint64_t addr, unsigned size, uint64_t pfn)
{
    struct survey *v = user;

    (void)pfn;
    v->end = addr + (UINT64_C(4096) << 9 * size);
    if (v->small != NULL && size == DMT_SIZE_4K) {
        const struct range *r = range_of(v->t, addr);
        if (r != NULL) {
            v->small[r - v->t->range] = 1;
        }
    }
    return true;
}

static bool fill(void *user, uint64_t addr, unsigned size, uint64_t pfn)
{
    return flat_map(&((struct asap_stage *)user)->table, addr, size, pfn);
}

static int by_size(const void *a, const void *b)
{
    const struct range *x = *(struct range *const *)a, *y = *(struct range *const *)b;
    uint64_t i = x->end - x->first, j = y->end - y->first;

    return i != j ? (i < j) - (i > j) : (x->first > y->first) - (x->first < y->first);
}

/* The guest's, or the process's, areas; of a host, the machine's memory. */
static bool find_ranges(struct asap_stage *t, struct dmt_mem *mem, bool ept)
{
    const struct asap *d = t->asap;
    struct survey v = {.t = t};
    const struct eval_area *area;
    size_t n = eval_system_areas(d->system, &area);
    struct range **order;
    bool host = d->stages == 2 && t->number == 0;

    if (host) {
        n = 1;
        tables_each(t->mirror, mem, ept, look, &v);
    }
    t->range = calloc(n, sizeof *t->range);
    v.small = calloc(n, 1);
    order = calloc(n, sizeof *order);
    if (t->range == NULL || v.small == NULL || order == NULL) {
        say("out of memory");
        free(v.small);
        free(order);
        return false;
    }
    t->ranges = n;
    for (size_t i = 0; i < n; i++) {
        t->range[i].first = host ? 0 : area[i].vpn << 12;
        t->range[i].end = host ? v.end : (area[i].vpn + area[i].pages) << 12;
        order[i] = &t->range[i];
    }
    tables_each(t->mirror, mem, ept, look, &v);
    qsort(order, n, sizeof *order, by_size);
    for (size_t i = 0; i < n && i < d->config->asap_registers; i++) {
        /* An area of 2M pages only has no base of level 1. */
        reserve(t, order[i], 2);
        if (v.small[order[i] - t->range]) {
            reserve(t, order[i], 1);
        }
    }
    free(v.small);
    free(order);
    return true;
}

static bool stage_make(struct asap *d, unsigned k)
{
    struct asap_stage *t = &d->at[k];
    struct dmt_mem *mem = eval_system_mem(d->system);
    bool ept = tables_ept(d->system, k), second = k + 1 < d->stages;

    t->asap = d;
    t->number = k;
    t->mirror = eval_system_stage(d->system, k);
    t->stage.path = path;
    t->stage.ahead = second && !d->config->asap_host ? NULL : ahead;
    t->stage.user = t;
    t->stage.host = k == 1 ? &d->at[0].stage : NULL;
    tables_stage_open(&t->stage, d->config, second);
    return flat_open(&t->table, place, t) && find_ranges(t, mem, ept) &&
           tables_each(t->mirror, mem, ept, fill, t);
}

static void asap_free(void *user)
{
    struct asap *d = user;

    for (unsigned k = 0; k < d->stages; k++) {
        if (d->at[k].asap != NULL) {
            tables_stage_close(&d->at[k].stage);
        }
        flat_close(&d->at[k].table);
        free(d->at[k].range);
    }
    free(d);
}

static void *make(const struct eval_config *c, struct eval_system *s)
{
    struct asap *d = calloc(1, sizeof *d);

    if (d == NULL) {
        say("out of memory");
        return NULL;
    }
    d->config = c;
    d->system = s;
    d->stages = eval_system_state(s)->mode == DMT_MODE_VIRT ? 2 : 1;
    for (unsigned k = d->stages; k-- > 0;) {
        if (!stage_make(d, k)) {
            asap_free(d);
            return NULL;
        }
    }
    if (!map_runs(d)) {
        asap_free(d);
        return NULL;
    }
    return d;
}

static void flush(void *user, bool host)
{
    struct asap *d = user;

    for (unsigned k = host ? 0 : d->stages - 1; k < d->stages; k++) {
        tables_stage_clear(&d->at[k].stage);
    }
}

static void changed(void *user, uint64_t vpn, uint64_t pages)
{
    struct asap *d = user;

    flat_forget(&d->at[d->stages - 1].table, vpn, pages);
}

static bool moved(void *user, uint64_t vpn, uint64_t gfn)
{
    struct asap *d = user;

    (void)vpn;
    if (gfn != EVAL_FRAMES) {
        flat_forget(&d->at[0].table, gfn, 1);
        return true;
    }
    flat_forget(&d->at[0].table, 0, FLAT_PAGES);
    return tables_each(d->at[0].mirror, eval_system_mem(d->system), tables_ept(d->system, 0), fill, &d->at[0]) &&
           map_runs(d);
}

static size_t counters(void *user, struct eval_counter *counter, size_t room)
{
    const struct asap *d = user;
    double issued = 0, used = 0, scattered = 0, bytes = 0;

    for (unsigned k = 0; k < d->stages; k++) {
        issued += (double)d->at[k].issued;
        used += (double)d->at[k].used;
        scattered += (double)d->at[k].scattered;
        bytes += (double)d->at[k].frames * 4096;
    }
    const struct eval_counter all[] = {
        {"prefetches", issued, true},
        {"prefetches of entries that are there", used, true},
        {"levels of areas without contiguous tables", scattered, false},
        {"bytes of tables", bytes, false},
    };
    return eval_counters_give(all, sizeof all / sizeof *all, counter, room);
}

#define ASAP .name = "asap", .make = make, .walk = walk, \
    .flush = flush, .changed = changed, .moved = moved, .counters = counters, .free = asap_free

const struct eval_design eval_asap = {ASAP, .title = "ASAP", .env = EVAL_NATIVE, .base = "radix"};
const struct eval_design eval_vasap = {ASAP, .title = "ASAP", .env = EVAL_VIRT, .base = "nested"};
