/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/engine.h"

#include "dmt/regs.h"
#include "io.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK       8192 /* accesses taken from the workload at once */
#define TRIES       16   /* faults that one access may take: one a stage and table, as a rule */
#define WALKERS_MAX 4
#define FAR         12   /* accesses ahead at which a design may fetch, and again */
#define NEAR        6

/* A clock line: accesses in order, at most `window` under way. */
struct line {
    uint64_t *done; /* ring: when the access `window` before this one was done */
    uint64_t issued, last, most;
};

struct run {
    const struct engine_options *o;
    struct result_design *to;
    struct eval_caches *caches;
    struct eval_tlbs *tlbs;
    void *design;
    struct line real, ideal; /* ideal: as if no translation took time */
    uint64_t walker_free[WALKERS_MAX], n, start_real, start_ideal, faults;
    uint64_t slot_clocks[EVAL_MEM + 1];
    uint64_t missed; /* walks of the last chunk */
    bool measuring;
};

/* ---------------------------------------------------------------- time */

static uint64_t issue(const struct run *r, struct line *l, bool after)
{
    uint32_t window = r->o->config->window;
    uint64_t ready = l->last;

    if (window != 0) {
        ready = l->issued > l->done[r->n % window] ? l->issued : l->done[r->n % window];
        if (after && l->last > ready) {
            ready = l->last;
        }
    }
    l->issued = ready;
    return ready;
}

static void finish(const struct run *r, struct line *l, uint64_t done)
{
    uint32_t window = r->o->config->window;

    l->last = done;
    l->most = done > l->most ? done : l->most;
    if (window != 0) {
        l->done[r->n % window] = done;
    }
}

/* ---------------------------------------------------------------- one access */

static void count_walk(struct run *r, const struct eval_walk *w, uint64_t wait, uint64_t clocks)
{
    struct result_design *t = r->to;

    t->walks++;
    t->walk_clocks += clocks;
    t->wait_clocks += wait;
    t->refs += w->refs;
    t->reads += w->reads;
    t->fallbacks += w->fallback;
    t->fallback_clocks += w->fallback ? clocks : 0;
    t->bin[result_bin(clocks)]++;
    if (!t->slots) {
        return;
    }
    for (unsigned i = 0; i < EVAL_SLOTS; i++) {
        t->slot_level[i][w->slot[i]]++;
    }
    if (r->o->histogram) {
        result_histogram_add(&t->histogram, w->slot);
    }
}

/* What kernel and hypervisors have flushed since it was asked last. */
static bool obey(struct run *r)
{
    const struct eval_design *d = r->o->design;
    const struct eval_flush *f = eval_system_flushed(r->o->system);

    if (f == NULL) {
        return true;
    }
    if (f->process) {
        eval_tlbs_flush(r->tlbs);
    }
    for (size_t i = 0; i < f->pages; i++) {
        eval_tlbs_drop(r->tlbs, f->page[i] << 12);
    }
    if (f->process || f->host || f->pages != 0) {
        d->flush(r->design, f->host);
    }
    for (size_t i = 0; i < f->ranges && d->changed != NULL; i++) {
        d->changed(r->design, f->range[i].vpn, f->range[i].pages);
    }
    if (f->one && !f->moved && d->moved != NULL) {
        return d->moved(r->design, f->vpn, f->gfn);
    }
    return !f->moved || d->moved == NULL || d->moved(r->design, 0, EVAL_FRAMES);
}

static bool translate(struct run *r, const struct eval_access *a, uint64_t ready, uint64_t *pa, uint64_t *done)
{
    const struct eval_design *d = r->o->design;
    unsigned walker = 0, tries = 0;
    struct eval_walk w;

    for (unsigned i = 1; i < r->o->config->walkers; i++) {
        walker = r->walker_free[i] < r->walker_free[walker] ? i : walker;
    }
    uint64_t start = r->walker_free[walker] > ready ? r->walker_free[walker] : ready;
    for (;;) {
        memset(&w, 0, sizeof w);
        if (d->walk(r->design, r->caches, a->va, a->kind, start, &w)) {
            break;
        }
        r->faults++;
        if (++tries == TRIES) {
            say("access to 0x%" PRIx64 ": still not mapped after %u faults", a->va, tries);
            return false;
        }
        if (!eval_system_fault(r->o->system, a->va, a->kind) || !obey(r)) {
            return false;
        }
    }
    r->walker_free[walker] = w.done;
    if (r->measuring) {
        count_walk(r, &w, start - ready, w.done - start);
    }
    eval_tlbs_fill(r->tlbs, a->va, a->kind, w.pa, w.size);
    *pa = w.pa;
    *done = w.done;
    return true;
}

static bool is_time(const struct run *r, uint32_t often)
{
    return often != 0 && (r->n + 1) % often == 0;
}

/* Memory that comes and goes: the page that is wanted next is not there any more, or is elsewhere. */
static bool churn(struct run *r, const struct eval_access *a)
{
    if (is_time(r, r->o->config->host_move)) {
        eval_system_move(r->o->system, a->va);
        if (!obey(r)) {
            return false;
        }
    }
    return !is_time(r, r->o->config->os_remap) || (eval_system_remap(r->o->system, a->va) && obey(r));
}

static bool step(struct run *r, const struct eval_access *a)
{
    uint64_t ready = issue(r, &r->real, a->after), start = ready, done, pa;
    unsigned clocks;

    eval_caches_from(r->caches, ready); /* accesses are issued in order */
    if (eval_tlbs_find(r->tlbs, a->va, a->kind, &pa, &clocks)) {
        start += clocks;
    } else if (!translate(r, a, ready, &pa, &start)) {
        return false;
    }
    /* Fetches go to an instruction cache, which is not simulated. */
    done = a->kind == DMT_ACCESS_EXECUTE ? start + 1 : eval_caches_data(r->caches, pa, start);
    finish(r, &r->real, done);
    finish(r, &r->ideal, issue(r, &r->ideal, a->after) + (done - start));
    r->n++;
    return true;
}

/* ---------------------------------------------------------------- a run */

static size_t running(struct run *r, struct eval_counter *counter)
{
    const struct eval_design *d = r->o->design;

    return d->counters != NULL ? d->counters(r->design, counter, RESULT_COUNTERS_MAX) : 0;
}

static void begin(struct run *r)
{
    eval_caches_count(r->caches);
    eval_tlbs_count(r->tlbs);
    r->start_real = r->real.most;
    r->start_ideal = r->ideal.most;
    r->faults = 0;
    r->measuring = true;
}

static void collect(struct run *r, const struct eval_counter *before, const struct eval_counter *now, size_t counters)
{
    const struct eval_config *g = r->o->config;
    const uint64_t clocks[EVAL_MEM + 1] = {0,           g->pwc_clocks, g->d1_clocks,
                                           g->d2_clocks, g->d3_clocks,  g->mem_clocks};
    const struct eval_tlbs_stats *s = eval_tlbs_stats(r->tlbs);
    struct result_design *t = r->to;

    t->accesses = s->l1 + s->l2 + s->misses;
    t->hits_l1 = s->l1;
    t->hits_l2 = s->l2;
    t->faults = r->faults;
    t->caches = *eval_caches_stats(r->caches);
    t->counters = (unsigned)counters;
    for (size_t i = 0; i < counters; i++) {
        double value = now[i].value - (now[i].running ? before[i].value : 0);
        snprintf(t->counter[i].name, sizeof t->counter[i].name, "%s", now[i].name);
        t->counter[i].value = value;
        if (strcmp(now[i].name, "exits") == 0) {
            t->exits = (uint64_t)value;
            t->exit_clocks = t->exits * g->exit_clocks;
        }
    }
    t->clocks = r->real.most - r->start_real + t->exit_clocks;
    /* Accesses under way when measuring began may make the ideal run the longer one, by their few clocks. */
    uint64_t ideal = r->ideal.most - r->start_ideal;
    t->exposed = t->clocks > ideal ? t->clocks - ideal : 0;
    for (unsigned i = 0; i < EVAL_SLOTS; i++) {
        for (unsigned l = 0; l <= EVAL_MEM; l++) {
            t->slot_clocks[i] += t->slot_level[i][l] * clocks[l];
        }
    }
}

static bool window(struct run *r, const struct eval_access *a, size_t n)
{
    struct engine_view view = {r->o->config, r->o->system, r->caches, r->tlbs, r->real.most};

    return r->o->window(r->o->user, &view, a, n);
}

static bool loop(struct run *r, struct eval_counter *before, size_t *counters)
{
    const struct engine_options *o = r->o;
    uint64_t total = o->warmup + o->measured, shown = 0;
    static struct eval_access access[CHUNK + 1];
    size_t have = 0; /* one more than is wanted, where there is to be more: so the last piece of a trace is known for it */
    bool ok = true;

    while (ok && r->n < total) {
        uint64_t left = total - r->n, to_warm = r->n < o->warmup ? o->warmup - r->n : left;
        size_t want = to_warm < CHUNK ? (size_t)to_warm : CHUNK;
        have += workload_next(o->workload, access + have, want + (want < left) - have, &ok);
        size_t got = have < want ? have : want;
        bool last = have <= want;
        if (got == 0) {
            break;
        }
        ok = ok && obey(r); /* of the background work after the accesses before */
        if (r->n == o->warmup) {
            begin(r);
            *counters = running(r, before);
        }
        /* Before the accesses in which its place is, so that short runs have one, too; and a trace that ends
         * before the first one's. */
        if (ok && r->measuring && shown < o->windows &&
            (r->n - o->warmup + got > (shown * 2 + 1) * (o->measured / (2 * o->windows)) ||
             (shown == 0 && last))) {
            ok = window(r, access, got);
            shown++;
        }
        /* Where accesses miss the TLBs often enough for it to pay: one in 16 of the last chunk. */
        bool ahead = o->design->hint != NULL && r->missed * 16 > CHUNK;
        uint64_t misses = eval_tlbs_stats(r->tlbs)->misses;
        for (size_t i = 0; ok && i < got; i++) {
            if (ahead && i + FAR < got) {
                o->design->hint(r->design, access[i + FAR].va, false);
                o->design->hint(r->design, access[i + NEAR].va, true);
            }
            ok = churn(r, &access[i]) && step(r, &access[i]);
        }
        r->missed = eval_tlbs_stats(r->tlbs)->misses - misses;
        while (ok && eval_system_work(o->system)) {
        }
        if (o->done != NULL) {
            *o->done = r->n;
        }
        if (last) {
            break;
        }
        access[0] = access[got];
        have -= got;
    }
    if (ok && !r->measuring) {
        say("%s: the trace ends after %" PRIu64 " accesses, within the warm-up of %" PRIu64,
            workload_name(o->workload), r->n, o->warmup);
        ok = false;
    }
    return ok;
}

static bool open_line(struct line *l, uint32_t window)
{
    *l = (struct line){0};
    l->done = calloc(window + 1, sizeof *l->done);
    return l->done != NULL;
}

bool engine_run(const struct engine_options *o, struct result_design *to)
{
    struct eval_counter before[RESULT_COUNTERS_MAX], now[RESULT_COUNTERS_MAX];
    struct run r = {.o = o, .to = to};
    size_t counters = 0;
    bool ok;

    to->slots = o->design->slots;
    snprintf(to->name, sizeof to->name, "%s", o->design->name);
    snprintf(to->title, sizeof to->title, "%s", o->design->title);
    snprintf(to->base, sizeof to->base, "%s", o->design->base);
    r.caches = eval_caches_new(o->config);
    r.tlbs = eval_tlbs_new(o->config);
    ok = open_line(&r.real, o->config->window) && open_line(&r.ideal, o->config->window);
    if (!ok) {
        say("out of memory");
    }
    ok = ok && (r.design = o->design->make(o->config, o->system)) != NULL;
    eval_system_flushed(o->system); /* nothing is cached yet */
    ok = ok && loop(&r, before, &counters);
    if (ok) {
        counters = running(&r, now);
        collect(&r, before, now, counters);
    }
    if (r.design != NULL) {
        o->design->free(r.design);
    }
    eval_caches_free(r.caches);
    eval_tlbs_free(r.tlbs);
    free(r.real.done);
    free(r.ideal.done);
    return ok;
}
