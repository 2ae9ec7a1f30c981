/* SPDX-License-Identifier: Apache-2.0
 * Both sides walk access by access, so that one report has both. The RTL's
 * memory is a copy of those frames that walks of the window read, made as they are
 * needed: A and D bits are set there as walks before would have left them, and
 * the system stays as it is. */
#include "eval/rtl.h"

#include "dmt/regs.h"
#include "io.h"
#include "tb/cosim.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One side of a walk. */
struct side {
    bool ok;
    uint64_t pa, clocks;
    unsigned size, refs, n;
    struct eval_ref ref[EVAL_REFS_MAX]; /* level and beside: of the simulator's */
};

struct loop {
    const struct rtl_window_sink *sink;
    const struct engine_view *view;
    struct eval_config config; /* the run's, with the RTL's walker */
    struct eval_tlbs *tlbs;
    void *design;
    struct eval_caches *caches[2]; /* the simulator's, the RTL's */
    uint64_t now[2];
    struct single *rtl;
    const char *rtl_name;
    struct dmt_state state;
    struct dmt_mem *mem; /* frames that the RTL may read */
    struct side side[2];
    struct single_log log;
    uint64_t walk; /* of the window */
};

/* ---------------------------------------------------------------- the RTL's machine */

static unsigned registers_of(const struct dmt_state *s)
{
    unsigned n = 0;

    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            n = s->tea[k][i].valid && i >= n ? i + 1 : n;
        }
    }
    return n;
}

/* docs/microarchitecture.md, sections 3 and 4: what the walker does, as keys of a machine. */
static void as_built(struct eval_config *c, const struct dmt_config *d)
{
    c->pwc4_entries = c->pwc4_ways = d->pwc4_n;
    c->pwc3_entries = c->pwc3_ways = d->pwc3_n;
    c->pwc2_entries = c->pwc2_ways = d->pwc2_n;
    c->pwc_policy = EVAL_FIFO;
    c->pwc_clocks = 0;
    c->pwc_span = 1;
    c->pwc_combined = 1;
    c->npwc = c->npwc_final = 1;
    c->npwc_root = 0;
    c->repeat_miss = 0;
    c->ntlb_entries = 0;
    c->walker_ports = 1;
    c->walkers = 1;
    c->window = 0;
    c->walk_first = 2;
    c->walk_next = 1;
    c->walk_chain = 1;
    c->dmt_gtea_cached = 1;
    c->dmt_wait_all = 0;
    c->dmt_foresight = 0;
}

/* ---------------------------------------------------------------- the RTL's memory */

static bool copy_frame(struct loop *l, uint64_t pfn)
{
    const uint8_t *from = dmt_mem_frame(eval_system_mem(l->view->system), pfn);

    if (from == NULL || dmt_mem_frame(l->mem, pfn) != NULL) {
        return from != NULL;
    }
    memcpy(need(dmt_mem_add(l->mem, pfn)), from, 4096);
    return true;
}

/* The table that gTEAs are resolved from when registers are loaded. */
static void copy_gteas(struct loop *l)
{
    for (unsigned k = 1; k < DMT_SETS_MAX; k++) {
        uint64_t at = l->state.gtea[k].table, end = at + 16 * (uint64_t)l->state.gtea[k].entries;
        for (uint64_t pfn = at >> 12; pfn << 12 < end; pfn++) {
            copy_frame(l, pfn);
        }
    }
}

static enum dmt_resp first_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct loop *l = user;

    if (!copy_frame(l, ref->addr >> 12)) {
        return DMT_RESP_DECERR;
    }
    dmt_mem_read(l->mem, ref->addr, data);
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp first_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    const struct loop *l = user;

    dmt_mem_write(l->mem, ref->addr, data);
    return DMT_RESP_EXOKAY;
}

static bool allowed(struct loop *l, const struct dmt_request *q)
{
    struct dmt_port port = {.user = l, .read = first_read, .write = first_write};
    struct dmt_result r;

    dmt_arch_translate(&l->state, q, &port, &r);
    return r.status == DMT_STATUS_OK;
}

/* The request of an access, after a walk by the model that leaves A and D bits set. False: software is asked
 * first, for something is not present. */
static bool request_of(struct loop *l, const struct eval_access *a, struct dmt_request *q)
{
    *q = (struct dmt_request){.va = a->va, .access = a->kind, .cpl = 3, .nonspec = true};
    if (allowed(l, q)) {
        return true;
    }
    /* The simulator knows no rights: what a page does not allow yet, as before a copy on write, is asked for
     * as a read. */
    q->access = DMT_ACCESS_READ;
    return a->kind == DMT_ACCESS_WRITE && allowed(l, q);
}

/* The clock of a read's address, from the request's on; the simulator counts the clock of the answer to the
 * first reference (walker.first), so that its walk begins a clock before the request. */
static unsigned clocks_of(void *user, uint64_t addr, uint32_t clock)
{
    struct loop *l = user;
    struct side *s = &l->side[1];
    enum eval_level level;
    uint64_t start = l->now[1] + 1 + clock;
    uint64_t clocks = eval_caches_walk(l->caches[1], addr, start, &level) - start;

    if (s->n < EVAL_REFS_MAX) {
        s->ref[s->n++] = (struct eval_ref){addr, (uint32_t)clocks, (uint8_t)level, false};
    }
    return (unsigned)clocks;
}

/* ---------------------------------------------------------------- one window */

static void close(struct loop *l)
{
    if (l->design != NULL) {
        l->sink->design->free(l->design);
    }
    single_free(l->rtl);
    dmt_mem_free(l->mem);
    eval_caches_free(l->caches[0]);
    eval_caches_free(l->caches[1]);
    eval_tlbs_free(l->tlbs);
    free(l);
}

static struct loop *open(const struct rtl_window_sink *sink, const struct engine_view *view)
{
    struct loop *l = calloc(1, sizeof *l);

    if (l == NULL || (l->mem = dmt_mem_new()) == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    l->sink = sink;
    l->view = view;
    l->state = *eval_system_state(view->system);
    l->rtl_name = registers_of(&l->state) <= dut_rtl_find("default")->config.tea_n ? "default" : "largest";
    const struct dut_ops *dut = dut_rtl_find(l->rtl_name);
    l->config = *view->config;
    as_built(&l->config, &dut->config);
    if (sink->spoil != NULL) {
        sink->spoil(&l->config);
    }
    l->caches[0] = eval_caches_clone(view->caches);
    l->caches[1] = eval_caches_clone(view->caches);
    l->tlbs = eval_tlbs_clone(view->tlbs);
    l->now[0] = l->now[1] = view->now;
    l->design = sink->design->make(&l->config, view->system);
    copy_gteas(l);
    l->rtl = l->design != NULL ? single_new(dut, NULL, l->mem, 1, true) : NULL;
    if (l->rtl == NULL || !single_load(l->rtl, &l->state)) {
        if (l->design != NULL) {
            say("the RTL of configuration %s: %s", l->rtl_name, cosim_error());
        }
        close(l);
        return NULL;
    }
    single_memory(l->rtl, clocks_of, l, !sink->every_clock);
    return l;
}

static void simulator(struct loop *l, const struct eval_access *a)
{
    struct side *s = &l->side[0];
    struct eval_walk w = {.log = s->ref};

    s->ok = l->sink->design->walk(l->design, l->caches[0], a->va, a->kind, l->now[0], &w);
    s->pa = s->ok ? w.pa : 0;
    s->size = s->ok ? w.size : 0;
    s->clocks = w.done - l->now[0];
    s->refs = w.refs;
    s->n = w.logged;
    l->now[0] = w.done;
}

static bool hardware(struct loop *l, const struct dmt_request *q)
{
    struct side *s = &l->side[1];
    struct dmt_result r;

    s->n = 0;
    if (!single_translate(l->rtl, q, &r, &l->log)) {
        say("window %" PRIu64 ", walk %" PRIu64 ", of 0x%" PRIx64 ": %s", l->sink->rtl->windows, l->walk,
            q->va, cosim_error());
        return false;
    }
    s->ok = r.status == DMT_STATUS_OK;
    s->pa = s->ok ? r.pa : 0;
    s->size = s->ok ? r.size : 0;
    s->clocks = l->log.clocks;
    s->refs = r.refs;
    l->now[1] += s->clocks;
    return true;
}

/* ---------------------------------------------------------------- comparison */

static bool same_refs(const struct side *a, const struct side *b)
{
    bool same = a->n == b->n && a->refs == b->refs;

    for (unsigned i = 0; same && i < a->n; i++) {
        same = a->ref[i].hpa == b->ref[i].hpa && a->ref[i].clocks == b->ref[i].clocks;
    }
    return same;
}

static void print_ref(FILE *f, const struct side *s, unsigned i)
{
    static const char *const name[EVAL_MEM + 1] = {"", "PWC", "L1", "L2", "LLC", "memory"};

    if (i < s->n) {
        fprintf(f, "0x%013" PRIx64 " %4u %-6s %c", s->ref[i].hpa, s->ref[i].clocks, name[s->ref[i].level],
                s->ref[i].beside ? '|' : ' ');
    } else {
        fprintf(f, "%*s", 28, "");
    }
}

static void report(const struct loop *l, const struct eval_access *a)
{
    static const char *const env[EVAL_ENVS] = {"native", "virt", "nested"};
    static const char *const kind[] = {"read", "write", "execute"};
    static const char *const size[] = {"4K", "2M", "1G"};
    const struct side *want = &l->side[0], *got = &l->side[1];
    char *text = NULL;
    size_t length;
    FILE *f = open_memstream(&text, &length);

    if (f == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    fprintf(f,
            "dmt: RTL (configuration %s) and simulator differ: %s, %s, window %" PRIu64 ", walk %" PRIu64
            " of it, %s of va 0x%016" PRIx64 "\n",
            l->rtl_name, l->sink->design->name, env[l->sink->design->env], l->sink->rtl->windows, l->walk,
            kind[a->kind], a->va);
    if (want->ok != got->ok) {
        fprintf(f, "  outcome: expected %s, got %s\n", want->ok ? "a translation" : "a fault",
                got->ok ? "a translation" : "a fault");
    } else if (want->ok && want->pa != got->pa) {
        fprintf(f, "  address: expected 0x%013" PRIx64 ", got 0x%013" PRIx64 "\n", want->pa, got->pa);
    }
    if (want->ok && got->ok && want->size != got->size) {
        fprintf(f, "  page size: expected %s, got %s\n", size[want->size], size[got->size]);
    }
    if (want->refs != got->refs) {
        fprintf(f, "  references one after the other: expected %u, got %u\n", want->refs, got->refs);
    }
    if (want->n != got->n) {
        fprintf(f, "  reads: expected %u, got %u\n", want->n, got->n);
    }
    if (want->clocks != got->clocks) {
        fprintf(f, "  clocks: expected %" PRIu64 ", got %" PRIu64 "\n", want->clocks, got->clocks);
    }
    fprintf(f, "  %-4s %-28s   %s\n", "read", "expected: address clocks", "got");
    for (unsigned i = 0; i < want->n || i < got->n; i++) {
        const struct dmt_ref *r = i < l->log.n ? &l->log.event[i].ref : NULL;
        bool same = i < want->n && i < got->n && want->ref[i].hpa == got->ref[i].hpa &&
                    want->ref[i].clocks == got->ref[i].clocks;
        fprintf(f, "  %4u ", i);
        print_ref(f, want, i);
        fprintf(f, " %c ", same ? ' ' : '*');
        print_ref(f, got, i);
        if (r != NULL) {
            fprintf(f, " stage %u level %u%s = 0x%016" PRIx64, r->stage, r->level, r->tea ? " TEA" : "",
                    l->log.event[i].data);
        }
        fprintf(f, "\n");
    }
    if (l->sink->command != NULL) {
        fprintf(f, "  repeat it: %s --design %s --out $(mktemp -d)\n", l->sink->command,
                l->sink->design->name);
    }
    if (fclose(f) == 0) {
        fputs(text, stderr);
    }
    free(text);
}

/* True: the same. */
static bool compare(const struct loop *l, const struct eval_access *a)
{
    const struct side *want = &l->side[0], *got = &l->side[1];
    struct result_rtl *r = l->sink->rtl;
    bool same = want->ok == got->ok && want->pa == got->pa && want->size == got->size &&
                want->clocks == got->clocks && same_refs(want, got);

    r->walks++;
    r->references += got->refs;
    r->clocks_equal += want->clocks == got->clocks;
    if (!same) {
        if (r->mismatches++ == 0) {
            report(l, a);
        }
    }
    return same;
}

bool rtl_window(void *user, const struct engine_view *view, const struct eval_access *access, size_t n)
{
    const struct rtl_window_sink *sink = user;
    struct loop *l = open(sink, view);
    bool ok = l != NULL, same = true;
    unsigned most = sink->walks != 0 ? sink->walks : RTL_WALKS;

    for (size_t i = 0; ok && same && i < n && l->walk < most; i++) {
        const struct eval_access *a = &access[i];
        unsigned clocks;
        uint64_t pa;
        struct dmt_request q;
        for (unsigned s = 0; s < 2; s++) {
            eval_caches_from(l->caches[s], l->now[s]);
        }
        if (eval_tlbs_find(l->tlbs, a->va, a->kind, &pa, &clocks)) {
            l->now[0] += clocks;
            l->now[1] += clocks;
        } else if (!request_of(l, a, &q)) {
            continue;
        } else {
            simulator(l, a);
            ok = hardware(l, &q);
            same = ok && compare(l, a);
            l->walk++;
            pa = l->side[0].pa;
            eval_tlbs_fill(l->tlbs, a->va, a->kind, pa, l->side[0].size);
        }
        for (unsigned s = 0; s < 2; s++) {
            l->now[s] =
                a->kind == DMT_ACCESS_EXECUTE ? l->now[s] + 1 : eval_caches_data(l->caches[s], pa, l->now[s]);
        }
    }
    if (ok) {
        sink->rtl->windows++;
    }
    if (l != NULL) {
        close(l);
    }
    return ok;
}
