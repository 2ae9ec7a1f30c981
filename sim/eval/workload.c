/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/workload.h"

#include "areas.h"
#include "eval/generator.h"
#include "io.h"
#include "trace.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SCALE (1.0 / (1 << 20))

/* Working sets: table 4 of the DMT paper; what it calls GB is 2^30 (GUPS has 2^34 words of 8 bytes). */
const struct workload_kind workload_kinds[] = {
    {"redis",
     "2^29 keys of 25 bytes with values of 64, half reads, half writes",
     155 * GIB,
     0,
     redis_new},
    {"memcached",
     "100 million records of 1 KB, uniform reads",
     95 * GIB,
     0,
     memcached_new},
    {"gups",
     "random updates of 2^34 words, 128 streams",
     128 * GIB,
     0,
     gups_new},
    {"btree",
     "lookups in a B+ tree of order 16 with 1.5 billion keys",
     125 * GIB,
     0,
     btree_new},
    {"canneal",
     "simulated annealing of a netlist of 198 million elements",
     62 * GIB,
     0,
     canneal_new},
    {"xsbench",
     "cross sections: unionized grid, 355 isotopes with 170000 points",
     84 * GIB,
     0,
     xsbench_new},
    {"graph500",
     "breadth-first search, Kronecker graph of scale 27, edge factor 32",
     123 * GIB,
     40000000, /* before, the search has met few vertices and finds most of what it asks for in TLBs */
     graph500_new},
    {0},
};

const struct workload_kind *workload_find(const char *name)
{
    for (const struct workload_kind *k = workload_kinds; k->name != NULL; k++) {
        if (strcmp(k->name, name) == 0) {
            return k;
        }
    }
    return NULL;
}

struct workload *workload_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    if (!(scale >= LEAST_SCALE && scale <= 1)) { /* also what is no number */
        say("workload %s: scale %g, expected 2^-20 to 1", kind->name, scale);
        return NULL;
    }
    struct workload *w = kind->make(kind, scale, seed);
    if (w != NULL) {
        workload_rewind(w);
    }
    return w;
}

void workload_free(struct workload *w)
{
    if (w != NULL) {
        if (w->close != NULL) {
            w->close(w);
        }
        free(w->area);
        free(w);
    }
}

const char *workload_name(const struct workload *w)
{
    return w->name;
}

size_t workload_areas(const struct workload *w, const struct eval_area **area)
{
    *area = w->area;
    return w->areas;
}

size_t workload_next(struct workload *w, struct eval_access *a, size_t n, bool *ok)
{
    *ok = true;
    return w->next(w, a, n, ok);
}

void workload_skip_lead(struct workload *w)
{
    struct eval_access a[4096];
    bool ok = true;

    for (uint64_t left = w->kind != NULL ? (uint64_t)((double)w->kind->lead * w->scale) : 0; left > 0;) {
        left -= workload_next(w, a, left < 4096 ? (size_t)left : 4096, &ok);
    }
}

void workload_rewind(struct workload *w)
{
    w->rewind(w);
}

static int by_address(const void *a, const void *b)
{
    const struct eval_area *x = a, *y = b;

    return x->vpn < y->vpn ? -1 : x->vpn > y->vpn;
}

static void add_area(struct workload *w, const struct eval_area *area)
{
    struct eval_area *grown = realloc(w->area, (w->areas + 1) * sizeof *grown);

    if (grown == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    w->area = grown;
    w->area[w->areas++] = *area;
}

/* ---------------------------------------------------------------- generators */

/* Operations are written to where they are wanted; only one that the end of the buffer cuts goes through
 * carry. */
static size_t gen_next(struct workload *w, struct eval_access *a, size_t n, bool *ok)
{
    struct gen *g = (struct gen *)w;
    size_t done = 0;

    (void)ok;
    while (done < n) {
        if (g->at == g->n) {
            if (n - done >= GEN_OP) {
                done = (size_t)(g->op(g, a + done) - a);
                continue;
            }
            g->n = (unsigned)(g->op(g, g->carry) - g->carry);
            g->at = 0;
        }
        size_t take = g->n - g->at < n - done ? g->n - g->at : n - done;
        memcpy(a + done, g->carry + g->at, take * sizeof *a);
        done += take;
        g->at += (unsigned)take;
    }
    return n;
}

static void gen_rewind(struct workload *w)
{
    struct gen *g = (struct gen *)w;

    g->rng = mix(w->seed ^ UINT64_C(0x6f70656e646d74));
    g->at = g->n = 0;
    g->start(g);
}

void *gen_new(const struct workload_kind *kind, double scale, uint64_t seed, size_t size,
              struct eval_access *(*op)(struct gen *g, struct eval_access *p), void (*start)(struct gen *g),
              void (*close)(struct workload *w))
{
    struct gen *g = calloc(1, size);

    if (g == NULL) {
        say("workload %s: out of memory", kind->name);
        return NULL;
    }
    g->w = (struct workload){
        .kind = kind, .scale = scale, .seed = seed, .next = gen_next, .rewind = gen_rewind, .close = close};
    snprintf(g->w.name, sizeof g->w.name, "%s", kind->name);
    g->op = op;
    g->start = start;
    return g;
}

uint64_t gen_scaled(double n, double scale, uint64_t least)
{
    double scaled = floor(n * scale + 0.5);

    return scaled < (double)least ? least : (uint64_t)scaled;
}

unsigned gen_scaled_log2(double n, double scale, unsigned least)
{
    uint64_t scaled = gen_scaled(n, scale, 1);
    unsigned log2 = 0;

    while (scaled >> (log2 + 1) != 0) {
        log2++;
    }
    return log2 < least ? least : log2;
}

void permutation_init(struct permutation *p, unsigned bits, uint64_t seed)
{
    p->mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    p->half = (bits + 1) / 2;
    for (unsigned i = 0; i < 3; i++) {
        uint32_t f = (uint32_t)mix2(seed, i) | 1, inverse = f;
        for (unsigned step = 0; step < 5;
             step++) { /* Newton: each step doubles the bits that are right, from 3 on */
            inverse *= 2 - f * inverse;
        }
        p->factor[i] = f & p->mask;
        p->inverse[i] = inverse & p->mask;
    }
}

void poisson_table(double mean, uint32_t *table, unsigned n)
{
    double term = exp(-mean), sum = 0;

    for (unsigned i = 0; i < n; i++) {
        sum += term;
        term *= mean / (i + 1);
        table[i] = (uint32_t)(65536 * sum + 0.5);
    }
    table[n - 1] = 65536;
}

/* ---------------------------------------------------------------- areas of a process */

/* Where Linux puts things without randomisation of addresses: program at two thirds of the lower half, heap
 * behind it, mmap from the top down, the stack above all. Libraries get a window of their own, as they come
 * first. */
#define PROGRAM UINT64_C(0x555555554000)
#define HEAP    UINT64_C(0x555555800000)
#define LIBS    UINT64_C(0x7ffff0000000)
#define LIB_TOP UINT64_C(0x7ffff7ff0000)
#define STACK   UINT64_C(0x7ffffffde000)

#define SMALL_HEAP (132 * KIB) /* what malloc asks brk for at first */

static uint64_t pages_of(uint64_t bytes)
{
    return (bytes + 0xfff) >> 12;
}

void layout_area(struct gen *g, const char *name, uint64_t va, uint64_t bytes, unsigned flags)
{
    uint64_t pages = pages_of(bytes);

    add_area(&g->w, &(struct eval_area){va >> 12, pages, pages, flags, name});
}

uint64_t layout_mmap(struct gen *g, const char *name, uint64_t bytes)
{
    uint64_t top = LIBS;

    for (size_t i = 0; i < g->w.areas; i++) {
        uint64_t va = g->w.area[i].vpn << 12;
        if (va > HEAP + (UINT64_C(1) << 40) && va < top) {
            top = va;
        }
    }
    uint64_t va = (top - 0x1000 - bytes) & ~UINT64_C(0xfff); /* a page between, so that they stay two areas */
    if (bytes >= GIB) {
        va &= ~(2 * MIB - 1);
    }
    layout_area(g, name, va, bytes, DMT_OS_R | DMT_OS_W);
    return va;
}

uint64_t layout_heap(struct gen *g, uint64_t bytes)
{
    layout_area(g, "heap", HEAP, bytes, DMT_OS_R | DMT_OS_W);
    return HEAP;
}

/* Text, constants, variables of an object, as its program headers come: pages, rights. */
static const struct {
    uint16_t pages;
    uint8_t flags;
} segment[5] = {{6, DMT_OS_R},
                {CODE_PAGES, DMT_OS_R | DMT_OS_X},
                {20, DMT_OS_R},
                {3, DMT_OS_R},
                {DATA_PAGES, DMT_OS_R | DMT_OS_W}};

void layout_finish(struct gen *g, size_t areas)
{
    bool heap = false;

    for (size_t i = 0; i < g->w.areas; i++) {
        heap = heap || g->w.area[i].vpn == HEAP >> 12;
    }
    if (!heap) {
        layout_area(g, "heap", HEAP, SMALL_HEAP, DMT_OS_R | DMT_OS_W);
    }
    uint64_t va = PROGRAM;
    for (unsigned s = 0; s < 5; s++) {
        if (s == 1) {
            g->code = va;
        } else if (s == 4) {
            g->data = va;
        }
        layout_area(g, "program", va, segment[s].pages * 4 * KIB, segment[s].flags);
        va += (segment[s].pages + 1) * 4 * KIB;
    }
    g->stack = STACK + (33 - STACK_PAGES) * 4 * KIB;
    layout_area(g, "stack", STACK, 33 * 4 * KIB, DMT_OS_R | DMT_OS_W);
    va = LIB_TOP;
    for (unsigned n = 0; g->w.areas < areas; n++) {
        unsigned s = 4 - n % 5;
        /* Their sizes matter little: some have much text (libc), most little. */
        uint64_t pages = segment[s].pages * (s == 1 || s == 2 ? 1 + n / 5 % 4 : 1);
        va -= (pages + 1) * 4 * KIB;
        layout_area(g, "library", va, pages * 4 * KIB, segment[s].flags);
    }
    qsort(g->w.area, g->w.areas, sizeof *g->w.area, by_address);
}

/* ---------------------------------------------------------------- recorded traces */

struct recorded {
    struct workload w;
    char *trace, *maps;
    struct trace *in;
    uint64_t n, outside; /* accesses so far; those in no area */
    size_t last;         /* area of the access before */
    bool failed;
};

/* Accesses outside all areas (a page of the kernel's, memory that was given back before the maps were taken)
 * are left out; where there are many, the maps are not those of the trace. */
#define OUTSIDE_PERCENT 1
#define OUTSIDE_SAMPLE  1000

static bool inside(struct recorded *r, uint64_t va)
{
    uint64_t vpn = va >> 12;
    const struct eval_area *a = &r->w.area[r->last];

    if (vpn >= a->vpn && vpn - a->vpn < a->pages) {
        return true;
    }
    size_t low = 0, high = r->w.areas; /* the first area above vpn */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->w.area[middle].vpn <= vpn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || vpn - r->w.area[low - 1].vpn >= r->w.area[low - 1].pages) {
        return false;
    }
    r->last = low - 1;
    return true;
}

static size_t recorded_next(struct workload *w, struct eval_access *a, size_t n, bool *ok)
{
    struct recorded *r = (struct recorded *)w;
    size_t done = 0;
    bool end = false;

    *ok = !r->failed;
    while (*ok && done < n) {
        struct access x;
        *ok = trace_next(r->in, &x, &end);
        if (!*ok || end) {
            break;
        }
        r->n++;
        if (inside(r, x.va)) {
            a[done++] = (struct eval_access){x.va, x.kind, 0};
        } else if (++r->outside * 100 > r->n * OUTSIDE_PERCENT && r->n >= OUTSIDE_SAMPLE) {
            say("%s: %" PRIu64 " of the first %" PRIu64 " accesses (the last: %" PRIx64
                ") are in no area of %s, "
                "expected the maps of the traced process",
                r->trace, r->outside, r->n, x.va, r->maps);
            *ok = false;
        }
    }
    if (*ok && end && r->outside == r->n) {
        say("%s: no access is in an area of %s, expected the maps of the traced process", r->trace, r->maps);
        *ok = false;
    }
    r->failed = !*ok;
    return done;
}

static void recorded_rewind(struct workload *w)
{
    struct recorded *r = (struct recorded *)w;

    if (r->in != NULL) {
        trace_close(r->in);
    }
    r->in = trace_open(r->trace); /* says what is wrong when it has gone meanwhile */
    r->n = r->outside = 0;
    r->failed = r->in == NULL;
}

static void recorded_close(struct workload *w)
{
    struct recorded *r = (struct recorded *)w;

    if (r->in != NULL) {
        trace_close(r->in);
    }
    free(r->trace);
    free(r->maps);
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    return copy;
}

/* Neighbours without a page between them become one area with the rights of both: areas are apart by
 * contract, and rights decide nothing in a translation that is allowed. */
static void take_areas(struct workload *w, const struct areas *maps)
{
    for (size_t i = 0; i < maps->n; i++) {
        uint8_t rights = maps->rights[i];
        unsigned flags =
            (rights & 8 ? DMT_OS_R : 0u) | (rights & 1 ? DMT_OS_W : 0u) | (rights & 4 ? DMT_OS_X : 0u);
        uint64_t pages = maps->vma[i].pages;
        if (flags != 0) { /* guard pages and reserved space are never touched */
            add_area(w, &(struct eval_area){maps->vma[i].vpn, pages, pages, flags, "mapped"});
        }
    }
    if (w->areas == 0) {
        return;
    }
    qsort(w->area, w->areas, sizeof *w->area, by_address);
    size_t n = 0;
    for (size_t i = 1; i < w->areas; i++) {
        struct eval_area *last = &w->area[n], *a = &w->area[i];
        if (a->vpn <= last->vpn + last->pages) {
            uint64_t end = a->vpn + a->pages;
            last->pages = end > last->vpn + last->pages ? end - last->vpn : last->pages;
            last->resident = last->pages;
            last->flags |= a->flags;
        } else {
            w->area[++n] = *a;
        }
    }
    w->areas = n + 1;
}

void workload_trace_name(const char *trace, char name[WORKLOAD_NAME_MAX])
{
    size_t n = strlen(trace), file = n, folder;

    while (file > 0 && trace[file - 1] != '/') {
        file--;
    }
    for (folder = file; folder > 0 && trace[folder - 1] == '/';) {
        folder--;
    }
    size_t end = folder;
    while (folder > 0 && trace[folder - 1] != '/') {
        folder--;
    }
    /* "." and ".." say nothing of a trace. */
    size_t length = end - folder;
    bool dots = length <= 2 && strspn(trace + folder, ".") >= length;
    if (!dots && length + 1 + n - file < WORKLOAD_NAME_MAX) {
        snprintf(name, WORKLOAD_NAME_MAX, "%.*s/%s", (int)length, trace + folder, trace + file);
        return;
    }
    if (n - file >= WORKLOAD_NAME_MAX) { /* its end, which is more often its own, from a whole character on */
        for (file = n - (WORKLOAD_NAME_MAX - 1); ((unsigned char)trace[file] & 0xc0) == 0x80;) {
            file++;
        }
    }
    snprintf(name, WORKLOAD_NAME_MAX, "%s", trace + file);
}

struct workload *workload_trace(const char *trace, const char *maps)
{
    struct areas a;

    if (strcmp(trace, "-") == 0 || strcmp(maps, "-") == 0) {
        say("a workload is read more than once: expected files of trace and maps, not standard input");
        return NULL;
    }
    if (!maps_read(maps, 0, &a)) {
        return NULL;
    }
    struct recorded *r = calloc(1, sizeof *r);
    if (r == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    r->w = (struct workload){
        .scale = 1, .next = recorded_next, .rewind = recorded_rewind, .close = recorded_close};
    r->trace = copy_of(trace);
    r->maps = copy_of(maps);
    workload_trace_name(trace, r->w.name);
    take_areas(&r->w, &a);
    areas_free(&a);
    if (r->w.areas == 0) {
        say("%s: no area that a program may touch", maps);
    } else {
        recorded_rewind(&r->w);
    }
    if (r->w.areas == 0 || r->in == NULL) {
        workload_free(&r->w);
        return NULL;
    }
    return &r->w;
}
