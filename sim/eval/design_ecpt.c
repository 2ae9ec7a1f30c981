/* SPDX-License-Identifier: Apache-2.0
 * Elastic cuckoo page tables, native (one step) and nested (three). A line of
 * eight entries is in one of d ways of its page size's table; cuckoo walk tables
 * say which sizes there are, and cuckoo walk caches (CWCs) keep lines of those. */
#include "eval/elastic.h"
#include "eval/tables.h"

#include "io.h"
#include <stdlib.h>
#include <string.h>

#define CHUNK      65536 /* lines of entries allocated at a time */
#define CHUNKS     (ELASTIC_VALUES / CHUNK)
#define CWT_WAYS   2
#define CWT_LINES  256
#define CWT_FULL   40 /* per cent: two ways hold no more than half */
#define PROBES_MAX (2 * ELASTIC_WAYS_MAX)

enum { PTE, PMD, PUD, CWTS }; /* cuckoo walk tables: a header each 32 KB, 16 MB, 8 GB, a line of 64 of them */
enum { HAS_4K = 1, HAS_2M = 2 };

static const unsigned header_bits[CWTS] = {15, 24, 33};

/* Tables of one stage. */
struct side {
    struct ecpt *ecpt;
    unsigned number;
    struct mirror *mirror;
    struct elastic *page[2];     /* by DMT_SIZE_* */
    uint32_t (*line[CHUNKS])[8]; /* frames of their lines; TABLES_NONE: not present */
    uint32_t lines;
    struct elastic *cwt[CWTS]; /* [PTE] of a host's only */
    uint8_t (*header)[64];     /* of lines of cwt[PMD] and cwt[PUD] */
    uint32_t headers, room;
    uint64_t last_key[2]; /* + 1, and its line: pages come in order */
    uint32_t last[2];
};

struct cwc {
    struct eval_assoc *of[CWTS];
    uint64_t looks[CWTS], hits[CWTS];
};

struct ecpt {
    const struct eval_config *config;
    struct eval_system *system;
    unsigned sides;
    struct side side[2];     /* [0] is the host's, or the only one */
    struct cwc cwc[2];       /* of the same */
    struct eval_assoc *data; /* nested: as cwc[0].of[PTE], of data pages */
    struct eval_assoc *stc;
    bool data_on;
    uint64_t window, window_pte, window_pmd; /* looks and hits since the last decision */
    uint64_t walks, probes[3], refills, data_looks, data_hits, stc_looks, stc_hits, switches;
};

/* ---------------------------------------------------------------- tables */

static bool frames(void *user, uint64_t n, uint64_t *pfn)
{
    struct side *t = user;

    return t->number == 0 ? eval_system_frames(t->ecpt->system, n, false, pfn)
                          : eval_system_guest_frames(t->ecpt->system, n, pfn);
}

static uint64_t key_of(uint64_t addr, unsigned size)
{
    return addr >> (15 + 9 * size);
}

static uint32_t *entry_of(const struct side *t, uint32_t line, uint64_t addr, unsigned size)
{
    return &t->line[line / CHUNK][line % CHUNK][addr >> (12 + 9 * size) & 7];
}

/* The header byte of an address, or NULL. */
static uint8_t *header_of(const struct side *t, unsigned k, uint64_t addr)
{
    uint32_t line;

    if (!elastic_get(t->cwt[k], addr >> (header_bits[k] + 6), &line, NULL)) {
        return NULL;
    }
    return &t->header[line][addr >> header_bits[k] & 63];
}

static bool add_header(struct side *t, unsigned k, uint64_t addr, unsigned has)
{
    uint8_t *h = header_of(t, k, addr);

    if (h == NULL) {
        if (t->headers == t->room) {
            uint32_t room = t->room == 0 ? 64 : 2 * t->room;
            uint8_t(*more)[64] = realloc(t->header, room * sizeof *more);
            if (more == NULL) {
                say("out of memory");
                return false;
            }
            t->header = more;
            t->room = room;
        }
        memset(t->header[t->headers], 0, 64);
        if (!elastic_put(t->cwt[k], addr >> (header_bits[k] + 6), t->headers++)) {
            return false;
        }
        h = header_of(t, k, addr);
    }
    *h |= (uint8_t)has;
    return true;
}

/* Pages are added, and keep their size: no kernel of these systems promotes or splits while a workload runs.
 */
static bool map(void *user, uint64_t addr, unsigned size, uint64_t pfn)
{
    struct side *t = user;
    uint64_t key = key_of(addr, size);
    uint32_t line = t->last[size], ignored;

    if (pfn >= TABLES_NONE) {
        say("frame 0x%llx: expected less than 2^32 - 1", (unsigned long long)pfn);
        return false;
    }
    if (t->last_key[size] != key + 1 && !elastic_get(t->page[size], key, &line, NULL)) {
        if (t->lines == ELASTIC_VALUES) {
            say("more than 2^24 lines of cuckoo page tables");
            return false;
        }
        line = t->lines++;
        if (t->line[line / CHUNK] == NULL) {
            t->line[line / CHUNK] = malloc(CHUNK * sizeof *t->line[0]);
            if (t->line[line / CHUNK] == NULL) {
                say("out of memory");
                return false;
            }
            memset(t->line[line / CHUNK], 0xff, CHUNK * sizeof *t->line[0]);
        }
        if (!elastic_put(t->page[size], key, line) ||
            !add_header(t, PMD, addr, size == DMT_SIZE_4K ? HAS_4K : HAS_2M) ||
            !add_header(t, PUD, addr, size == DMT_SIZE_4K ? HAS_4K : HAS_2M)) {
            return false;
        }
        if (size == DMT_SIZE_4K && t->cwt[PTE] != NULL &&
            !elastic_get(t->cwt[PTE], addr >> (header_bits[PTE] + 6), &ignored, NULL) &&
            !elastic_put(t->cwt[PTE], addr >> (header_bits[PTE] + 6), 0)) {
            return false;
        }
    }
    t->last_key[size] = key + 1;
    t->last[size] = line;
    *entry_of(t, line, addr, size) = (uint32_t)pfn;
    return true;
}

/* Where a page is: its size, the way that holds its line, the address below. */
static bool look_up(const struct side *t, uint64_t addr, unsigned *size, unsigned *way, uint64_t *to)
{
    uint32_t line;

    for (*size = DMT_SIZE_4K; *size <= DMT_SIZE_2M; ++*size) {
        if (elastic_get(t->page[*size], key_of(addr, *size), &line, way)) {
            uint32_t pfn = *entry_of(t, line, addr, *size);
            if (pfn != TABLES_NONE) {
                *to = ((uint64_t)pfn << 12) + (addr & ((UINT64_C(4096) << 9 * *size) - 1));
                return true;
            }
        }
    }
    return false;
}

/* The same; what the system has mapped since is taken in. */
static bool find(struct side *t, uint64_t addr, unsigned *size, unsigned *way, uint64_t *to)
{
    uint64_t pfn;

    if (look_up(t, addr, size, way, to)) {
        return true;
    }
    *size = tables_leaf(t->mirror, addr, &pfn);
    return *size != TABLES_ABSENT && map(t, addr, *size, pfn) && look_up(t, addr, size, way, to);
}

/* ---------------------------------------------------------------- what to probe */

struct plan {
    struct {
        uint8_t size, way;
    } probe[PROBES_MAX];
    unsigned n;
    bool missed[CWTS];
};

static bool cwc_find(struct cwc *c, struct eval_assoc *a, unsigned k, uint64_t addr)
{
    uint64_t key = addr >> (header_bits[k] + 6);
    bool hit = eval_assoc_find(a, key, key) != NULL;

    c->looks[k]++;
    c->hits[k] += hit;
    return hit;
}

static void all_ways(const struct side *t, struct plan *p, unsigned size)
{
    for (unsigned w = 0; w < t->ecpt->config->ecpt_ways; w++) {
        p->probe[p->n].size = (uint8_t)size;
        p->probe[p->n++].way = (uint8_t)w;
    }
}

static void one_way(const struct side *t, struct plan *p, uint64_t addr, unsigned size)
{
    uint32_t line;
    unsigned way;

    if (elastic_get(t->page[size], key_of(addr, size), &line, &way)) {
        p->probe[p->n].size = (uint8_t)size;
        p->probe[p->n++].way = (uint8_t)way;
    }
}

/* What is left to probe by what the CWCs know, all looked at together. pte: the one of 4K pages to use, or
 * NULL. Headers are kept right in them by software, so that what they say is what the tables say now. */
static void plan(struct side *t, struct eval_assoc *pte, uint64_t addr, struct plan *p)
{
    struct cwc *c = &t->ecpt->cwc[t->number];
    bool hit_pte = pte != NULL && cwc_find(c, pte, PTE, addr);
    bool hit_pmd = cwc_find(c, c->of[PMD], PMD, addr), hit_pud = cwc_find(c, c->of[PUD], PUD, addr);
    const uint8_t *h = hit_pmd ? header_of(t, PMD, addr) : hit_pud ? header_of(t, PUD, addr) : NULL;

    p->n = 0;
    p->missed[PTE] = pte != NULL && !hit_pte; /* lines are fetched for what no finer one said */
    p->missed[PMD] = !hit_pte && !hit_pmd;
    p->missed[PUD] = !hit_pte && !hit_pmd && !hit_pud;
    if (hit_pte) {
        one_way(t, p, addr, DMT_SIZE_4K); /* its headers name the way */
        if (p->n != 0) {
            return;
        }
    }
    if (h == NULL || (*h & HAS_4K) != 0) {
        all_ways(t, p, DMT_SIZE_4K);
    }
    if (h == NULL || ((*h & HAS_2M) != 0 && !hit_pmd)) {
        all_ways(t, p, DMT_SIZE_2M);
    } else if ((*h & HAS_2M) != 0) {
        one_way(t, p, addr, DMT_SIZE_2M);
    }
}

/* ---------------------------------------------------------------- reads side by side */

/* A step: reads that start together, as many a clock as there are ports. */
struct step {
    struct tables_walk *x;
    uint64_t start, needed; /* needed: when the last one that the walk waits for is there */
    unsigned issued;
};

static struct step step_at(struct tables_walk *x, uint64_t start)
{
    start += x->out->refs == 0 ? x->config->walk_first : x->config->walk_next;
    return (struct step){.x = x, .start = start, .needed = start};
}

static void issue(struct step *s, uint64_t hpa, bool needed)
{
    enum eval_level level;
    uint64_t done =
        eval_caches_walk(s->x->caches, hpa, s->start + s->issued / s->x->config->walker_ports, &level);

    eval_walk_note(s->x->out, hpa, done - s->start, level, s->issued != 0);
    s->issued++;
    if ((needed || s->x->config->ecpt_late != 0) && done > s->needed) {
        s->needed = done;
    }
}

static uint64_t look_clocks(const struct eval_config *c)
{
    return c->ecpt_hash > c->ecpt_cwc ? c->ecpt_hash : c->ecpt_cwc;
}

static void probe_all(struct step *s, struct side *t, const struct plan *p, uint64_t addr, unsigned size,
                      unsigned way)
{
    for (unsigned i = 0; i < p->n; i++) {
        issue(s, elastic_line(t->page[p->probe[i].size], key_of(addr, p->probe[i].size), p->probe[i].way),
              p->probe[i].size == size && p->probe[i].way == way);
    }
}

/* Lines of walk tables that were missed come after the probes; nobody waits for them. */
static void refill_host(struct step *s, struct side *t, const struct plan *p, struct eval_assoc *pte,
                        uint64_t addr, unsigned size)
{
    struct ecpt *d = t->ecpt;
    uint64_t issued = s->issued, needed = s->needed;

    for (unsigned k = PTE; k < CWTS; k++) {
        uint64_t key = addr >> (header_bits[k] + 6);
        if (!p->missed[k] || (k == PTE && size != DMT_SIZE_4K)) {
            continue;
        }
        for (unsigned w = 0; w < CWT_WAYS; w++) {
            issue(s, elastic_line(t->cwt[k], key, w), false);
        }
        eval_assoc_put(k == PTE ? pte : d->cwc[t->number].of[k], key, key, 0);
    }
    d->refills += s->issued - issued;
    s->needed = needed;
}

/* ---------------------------------------------------------------- walks */

static bool walk_native(struct ecpt *d, struct tables_walk *x, uint64_t va)
{
    struct side *t = &d->side[0];
    unsigned size, way;
    struct plan p;

    if (!find(t, va, &size, &way, &x->out->pa)) {
        return false;
    }
    plan(t, NULL, va, &p);
    struct step s = step_at(x, x->now + look_clocks(x->config));
    probe_all(&s, t, &p, va, size, way);
    d->probes[0] += s.issued;
    refill_host(&s, t, &p, NULL, va, size);
    x->out->size = (uint8_t)size;
    x->out->done = s.needed;
    return true;
}

/* The line of the guest's tables at gpa, by the host's tables, inside a step. *p: what was probed. */
static bool probe_host(struct step *s, struct ecpt *d, uint64_t gpa, bool needed, uint64_t *hpa,
                       unsigned *size, struct plan *p)
{
    struct side *host = &d->side[0];
    unsigned way;

    if (!find(host, gpa, size, &way, hpa)) {
        return false;
    }
    plan(host, d->cwc[0].of[PTE], gpa, p);
    probe_all(s, host, p, gpa, needed ? *size : TABLES_ABSENT, way);
    return true;
}

/* Lines of walk tables of the guest: their host addresses come from the STC or from more probes. */
static bool refill_guest(struct step *s, struct ecpt *d, const struct plan *p, uint64_t va)
{
    uint64_t issued = s->issued, needed = s->needed, hpa;
    unsigned size;
    struct plan q;

    for (unsigned k = PMD; k < CWTS; k++) {
        uint64_t key = va >> (header_bits[k] + 6), *known;
        if (!p->missed[k]) {
            continue;
        }
        for (unsigned w = 0; w < CWT_WAYS; w++) {
            uint64_t gpa = elastic_line(d->side[1].cwt[k], key, w);
            d->stc_looks++;
            if ((known = eval_assoc_find(d->stc, gpa >> 12, gpa >> 12)) != NULL) {
                d->stc_hits++;
                hpa = *known | (gpa & 0xfff);
            } else if (probe_host(s, d, gpa, false, &hpa, &size, &q)) {
                refill_host(s, &d->side[0], &q, d->cwc[0].of[PTE], gpa, size);
                eval_assoc_put(d->stc, gpa >> 12, gpa >> 12, hpa & ~UINT64_C(0xfff));
            } else {
                return false;
            }
            issue(s, hpa, false);
        }
        eval_assoc_put(d->cwc[1].of[k], key, key, 0);
    }
    d->refills += s->issued - issued;
    s->needed = needed;
    return true;
}

/* Is the walk cache of 4K data pages worth what it reads? (adaptive PTE-hCWT caching) */
static void decide(struct ecpt *d, uint64_t pte_hits, uint64_t pmd_hits)
{
    const struct eval_config *c = d->config;

    d->window_pte += pte_hits;
    d->window_pmd += pmd_hits;
    if (++d->window < c->ecpt_hcwc_window) {
        return;
    }
    if (d->data_on ? d->window_pte * 100 < d->window * c->ecpt_hcwc_off
                   : d->window_pmd * 100 > d->window * c->ecpt_hcwc_on) {
        d->data_on = !d->data_on;
        d->switches++;
    }
    d->window = d->window_pte = d->window_pmd = 0;
}

static bool walk_nested(struct ecpt *d, struct tables_walk *x, uint64_t va)
{
    struct side *guest = &d->side[1], *host = &d->side[0];
    unsigned gsize, gway, size, way;
    uint64_t at[PROBES_MAX], line[PROBES_MAX], gpa, before;
    unsigned table[PROBES_MAX];
    struct plan p, q, of[PROBES_MAX];
    struct cwc *c = &d->cwc[0];

    if (!find(guest, va, &gsize, &gway, &gpa)) {
        return false;
    }
    /* 1: each line of the guest's that may hold the entry to host memory, all at once. */
    plan(guest, NULL, va, &p);
    struct step s = step_at(x, x->now + 2 * look_clocks(x->config));
    for (unsigned i = 0; i < p.n; i++) {
        at[i] = elastic_line(guest->page[p.probe[i].size], key_of(va, p.probe[i].size), p.probe[i].way);
        elastic_ahead(host->page[DMT_SIZE_4K], key_of(at[i], DMT_SIZE_4K));
    }
    elastic_ahead(host->page[DMT_SIZE_4K], key_of(gpa, DMT_SIZE_4K));
    for (unsigned i = 0; i < p.n; i++) {
        if (!probe_host(&s, d, at[i], true, &line[i], &table[i], &of[i])) {
            return false;
        }
    }
    d->probes[0] += s.issued;
    for (unsigned i = 0; i < p.n; i++) {
        refill_host(&s, host, &of[i], c->of[PTE], at[i], table[i]);
    }
    if (!refill_guest(&s, d, &p, va)) {
        return false;
    }
    /* 2: those lines. */
    s = step_at(x, s.needed);
    for (unsigned i = 0; i < p.n; i++) {
        issue(&s, line[i], p.probe[i].size == gsize && p.probe[i].way == gway);
    }
    d->probes[1] += s.issued;
    /* 3: the data's address. */
    if (!find(host, gpa, &size, &way, &x->out->pa)) {
        return false;
    }
    s = step_at(x, s.needed + look_clocks(x->config));
    before = c->hits[PMD];
    struct eval_assoc *pte = d->data_on ? d->data : NULL;
    plan(host, pte, gpa, &q);
    d->data_looks += pte != NULL;
    d->data_hits += pte != NULL && !q.missed[PTE];
    decide(d, pte != NULL && !q.missed[PTE], c->hits[PMD] - before);
    probe_all(&s, host, &q, gpa, size, way);
    d->probes[2] += s.issued;
    refill_host(&s, host, &q, pte, gpa, size);
    x->out->size = (uint8_t)(gsize < size ? gsize : size);
    x->out->done = s.needed;
    return true;
}

static bool walk(void *user, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now,
                 struct eval_walk *w)
{
    struct ecpt *d = user;
    struct tables_walk x = {d->config, c, w, now};

    (void)access;
    d->walks++;
    return d->sides == 2 ? walk_nested(d, &x, va) : walk_native(d, &x, va);
}

/* ---------------------------------------------------------------- set-up */

static bool side_make(struct ecpt *d, unsigned k)
{
    const struct eval_config *c = d->config;
    struct side *t = &d->side[k];
    struct elastic_options o = {.ways = c->ecpt_ways,
                                .lines = c->ecpt_lines,
                                .percent = c->ecpt_occupancy,
                                .frames = frames,
                                .user = t};

    t->ecpt = d;
    t->number = k;
    t->mirror = eval_system_stage(d->system, k);
    for (unsigned i = 0; i < 2; i++) {
        o.seed = 16 * k + i;
        if ((t->page[i] = elastic_new(&o)) == NULL) {
            return false;
        }
    }
    o.ways = CWT_WAYS;
    o.lines = CWT_LINES;
    o.percent = CWT_FULL;
    for (unsigned i = k == 0 && d->sides == 2 ? PTE : PMD; i < CWTS; i++) {
        o.seed = 16 * k + 8 + i;
        if ((t->cwt[i] = elastic_new(&o)) == NULL) {
            return false;
        }
    }
    if (!tables_each(t->mirror, eval_system_mem(d->system), tables_ept(d->system, k), map, t)) {
        return false;
    }
    for (unsigned i = 0; i < CWTS; i++) {
        if ((i < 2 && !elastic_settle(t->page[i])) || (t->cwt[i] != NULL && !elastic_settle(t->cwt[i]))) {
            return false;
        }
    }
    return true;
}

static void ecpt_free(void *user)
{
    struct ecpt *d = user;

    for (unsigned k = 0; k < 2; k++) {
        struct side *t = &d->side[k];
        for (unsigned i = 0; i < CHUNKS; i++) {
            free(t->line[i]);
        }
        free(t->header);
        for (unsigned i = 0; i < CWTS; i++) {
            if (i < 2) {
                elastic_free(t->page[i]);
            }
            elastic_free(t->cwt[i]);
            eval_assoc_free(d->cwc[k].of[i]);
        }
    }
    eval_assoc_free(d->data);
    eval_assoc_free(d->stc);
    free(d);
}

static struct eval_assoc *full(unsigned entries)
{
    return eval_assoc_new(entries, entries != 0 ? entries : 1, EVAL_LRU);
}

static void *make(const struct eval_config *c, struct eval_system *s)
{
    struct ecpt *d = calloc(1, sizeof *d);

    if (d == NULL) {
        say("out of memory");
        return NULL;
    }
    d->config = c;
    d->system = s;
    d->sides = eval_system_state(s)->mode == DMT_MODE_VIRT ? 2 : 1;
    d->data_on = true;
    for (unsigned k = 0; k < d->sides; k++) {
        d->cwc[k].of[PTE] = full(c->ecpt_hcwc_pte);
        d->cwc[k].of[PMD] = full(c->ecpt_cwc_pmd);
        d->cwc[k].of[PUD] = full(c->ecpt_cwc_pud);
    }
    d->data = full(c->ecpt_hcwc_pte);
    d->stc = full(c->ecpt_stc);
    for (unsigned k = d->sides; k-- > 0;) {
        if (!side_make(d, k)) {
            ecpt_free(d);
            return NULL;
        }
    }
    return d;
}

static void flush(void *user, bool host)
{
    struct ecpt *d = user;

    for (unsigned k = host ? 0 : d->sides - 1; k < d->sides; k++) {
        for (unsigned i = 0; i < CWTS; i++) {
            eval_assoc_clear(d->cwc[k].of[i]);
        }
    }
    if (host) {
        eval_assoc_clear(d->data);
        eval_assoc_clear(d->stc);
    }
}

/* Lines stay, as they do when they are empty: tables never shrink. */
static void forget(const struct side *t, uint64_t vpn, uint64_t pages)
{
    uint32_t line;

    for (unsigned size = DMT_SIZE_4K; size <= DMT_SIZE_2M; size++) {
        uint64_t page = UINT64_C(4096) << 9 * size, addr = (vpn << 12) & ~(page - 1);
        for (; addr < (vpn + pages) << 12; addr += page) {
            if (elastic_get(t->page[size], key_of(addr, size), &line, NULL)) {
                *entry_of(t, line, addr, size) = TABLES_NONE;
            }
        }
    }
}

static void changed(void *user, uint64_t vpn, uint64_t pages)
{
    struct ecpt *d = user;

    forget(&d->side[d->sides - 1], vpn, pages);
}

static bool moved(void *user, uint64_t vpn, uint64_t gfn)
{
    struct ecpt *d = user;
    struct side *t = &d->side[0];

    (void)vpn;
    if (gfn != EVAL_FRAMES) {
        forget(t, gfn, 1);
        return true;
    }
    for (unsigned i = 0; i < CHUNKS && t->line[i] != NULL; i++) {
        memset(t->line[i], 0xff, CHUNK * sizeof *t->line[0]);
    }
    return tables_each(t->mirror, eval_system_mem(d->system), tables_ept(d->system, 0), map, t);
}

static size_t counters(void *user, struct eval_counter *counter, size_t room)
{
    const struct ecpt *d = user;
    double lines = 0, slots = 0, displaced = 0, resizes = 0, bytes = 0;
    bool nested = d->sides == 2;
    size_t n = 0;

    for (unsigned k = 0; k < d->sides; k++) {
        for (unsigned i = 0; i < 2; i++) {
            const struct elastic_stats *e = elastic_stats(d->side[k].page[i]);
            lines += (double)e->lines;
            slots += (double)e->slots;
            displaced += (double)e->displaced;
            resizes += (double)e->resizes;
            bytes += (double)e->slots * 64;
        }
        for (unsigned i = 0; i < CWTS; i++) {
            bytes += d->side[k].cwt[i] != NULL ? (double)elastic_stats(d->side[k].cwt[i])->slots * 64 : 0;
        }
    }
    const struct cwc *host = &d->cwc[0], *entry = &d->cwc[d->sides - 1];
    const struct eval_counter all[] = {
        {"walks", (double)d->walks, true},
        {nested ? "lines probed in step 1" : "lines probed", (double)d->probes[0], true},
        {"lines probed in step 2", (double)d->probes[1], true},
        {"lines probed in step 3", (double)d->probes[2], true},
        {"lines read for the walk caches", (double)d->refills, true},
        {"PUD walk cache looks", (double)entry->looks[PUD], true},
        {"PUD walk cache hits", (double)entry->hits[PUD], true},
        {"PMD walk cache looks", (double)entry->looks[PMD], true},
        {"PMD walk cache hits", (double)entry->hits[PMD], true},
        {"host's PMD walk cache looks", (double)host->looks[PMD], true},
        {"host's PMD walk cache hits", (double)host->hits[PMD], true},
        {"PTE walk cache looks, guest tables", (double)(host->looks[PTE] - d->data_looks), true},
        {"PTE walk cache hits, guest tables", (double)(host->hits[PTE] - d->data_hits), true},
        {"PTE walk cache looks, data", (double)d->data_looks, true},
        {"PTE walk cache hits, data", (double)d->data_hits, true},
        {"PTE walk cache of data on or off again", (double)d->switches, true},
        {"shortcut cache looks", (double)d->stc_looks, true},
        {"shortcut cache hits", (double)d->stc_hits, true},
        {"lines of entries", lines, false},
        {"lines there is room for", slots, false},
        {"displacements", displaced, false},
        {"resizes", resizes, false},
        {"bytes of tables", bytes, false},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all && n < room; i++) {
        if (nested || i < 2 || i == 4 || (i >= 5 && i <= 8) || i >= 18) {
            counter[n++] = all[i];
        }
    }
    return n;
}

#define ECPT .name = "ecpt", .make = make, .walk = walk, \
    .flush = flush, .changed = changed, .moved = moved, .counters = counters, .free = ecpt_free

const struct eval_design eval_ecpt = {ECPT, .title = "ECPT", .env = EVAL_NATIVE, .base = "radix"};
const struct eval_design eval_vecpt = {ECPT, .title = "nested ECPT", .env = EVAL_VIRT, .base = "nested"};
