/* SPDX-License-Identifier: Apache-2.0
 * Comparator designs over systems of the kernel and hypervisor models: what they
 * translate to is what the stages' tables say, they read as often as published,
 * and with memory that always takes the same time walks take what can be
 * worked out on paper. */
#include "dmt/regs.h"
#include "eval/design.h"
#include "eval/elastic.h"
#include "eval/tables.h"
#include "xorshift.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rng_state = 1;

static uint64_t rng(void)
{
    return xorshift_star(&rng_state);
}

/* ---------------------------------------------------------------- systems */

/* Two areas that share a table of level 1, one across 1 GB, one of which the start is touched only and that
 * ends within 2 MB, one far away. */
static const struct eval_area areas[] = {
    {0x400003, 1000, 1000, DMT_OS_R | DMT_OS_W, "data"},
    {0x4003f0, 30, 30, DMT_OS_R | DMT_OS_W, "neighbour"},
    {0x555fff000, 24000, 24000, DMT_OS_R | DMT_OS_W, "heap"},
    {0x600000000, 8000, 700, DMT_OS_R | DMT_OS_W, "growing"},
    {0x7ffff0000, 64, 64, DMT_OS_R | DMT_OS_W, "stack"},
};
enum { AREAS = sizeof areas / sizeof *areas, GROWING = 3 };

static struct eval_system *fragmented(enum eval_env env, bool thp, unsigned percent)
{
    struct eval_system_options o = {.env = env,
                                    .area = areas,
                                    .areas = AREAS,
                                    .thp = thp,
                                    .registers = 16,
                                    .fragment = percent,
                                    .seed = 7};
    struct eval_system *s = eval_system_new(&o);

    cr_assert_not_null(s);
    cr_assert(eval_system_populate(s, NULL, NULL));
    return s;
}

static struct eval_system *system_of(enum eval_env env, bool thp)
{
    return fragmented(env, thp, 0);
}

static uint64_t random_address(void)
{
    uint64_t pages = 0, n;

    for (unsigned i = 0; i < AREAS; i++) {
        pages += areas[i].resident;
    }
    n = rng() % pages;
    for (unsigned i = 0;; n -= areas[i++].resident) {
        if (n < areas[i].resident) {
            return (areas[i].vpn + n) << 12 | (rng() & 0xfff);
        }
    }
}

/* By the stages' own tables. */
static bool translated(const struct eval_system *s, enum eval_env env, uint64_t va, uint64_t *pa,
                       unsigned *size)
{
    struct mirror_path p;

    *size = DMT_SIZE_1G;
    *pa = va;
    for (int k = env == EVAL_VIRT; k >= 0; k--) {
        if (!mirror_walk(eval_system_stage(s, (unsigned)k), *pa, &p)) {
            return false;
        }
        *pa = p.to;
        *size = p.leaf - 1u < *size ? p.leaf - 1u : *size;
    }
    return true;
}

/* Every read takes FLAT clocks, wherever it hits, and nothing is kept of the upper levels. */
#define FLAT 100
static struct eval_config flat(void)
{
    struct eval_config c;

    eval_config_default(&c);
    c.d1_clocks = c.d2_clocks = c.d3_clocks = c.mem_clocks = FLAT;
    c.next_line = 0;
    c.pwc4_entries = c.pwc3_entries = c.pwc2_entries = 0;
    c.fpt_entries = 0;
    c.ecpt_cwc_pud = c.ecpt_cwc_pmd = c.ecpt_hcwc_pte = c.ecpt_stc = 0;
    c.asap_residual = 1;
    return c;
}

struct bed {
    struct eval_config config;
    struct eval_system *system;
    const struct eval_design *design;
    enum eval_env env;
    void *d;
    struct eval_caches *caches;
    struct eval_ref log[EVAL_REFS_MAX];
    uint64_t now;
};

static void open_bed(struct bed *b, struct eval_system *s, const struct eval_config *c, enum eval_env env,
                     const char *name)
{
    *b = (struct bed){.config = *c, .system = s, .env = env, .now = 1000};
    b->design = eval_design_find(env, name);
    cr_assert_not_null(b->design, "%s", name);
    b->d = b->design->make(&b->config, s);
    cr_assert_not_null(b->d, "%s", name);
    b->caches = eval_caches_new(&b->config);
}

static void close_bed(struct bed *b)
{
    eval_caches_free(b->caches);
    b->design->free(b->d);
}

static bool walk_at(struct bed *b, uint64_t va, struct eval_walk *w)
{
    memset(w, 0, sizeof *w);
    w->log = b->log;
    return b->design->walk(b->d, b->caches, va, DMT_ACCESS_READ, b->now, w);
}

static struct eval_walk walk(struct bed *b, uint64_t va)
{
    struct eval_walk w;

    cr_assert(walk_at(b, va, &w), "%s: 0x%lx", b->design->name, va);
    return w;
}

static double counter(struct bed *b, const char *name)
{
    struct eval_counter c[64];
    size_t n = b->design->counters(b->d, c, 64);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(c[i].name, name) == 0) {
            return c[i].value;
        }
    }
    cr_assert_fail("%s has no counter '%s'", b->design->name, name);
    return 0;
}

static const char *const names[2][6] = {
    {"fpt", "ecpt", "asap"},
    {"fpt", "ecpt", "agile", "asap", "shadow"},
};

/* ---------------------------------------------------------------- the same answers */

/* only: this design, or NULL. */
static void same_answers_in(struct eval_system *s, enum eval_env env, bool thp, const char *only)
{
    struct eval_config c;
    unsigned sizes[3] = {0};

    eval_config_default(&c);
    c.ecpt_lines = 64; /* so that tables grow */
    for (unsigned i = 0; names[env][i] != NULL; i++) {
        struct bed b;
        if (only != NULL && strcmp(only, names[env][i]) != 0) {
            continue;
        }
        open_bed(&b, s, &c, env, names[env][i]);
        for (unsigned n = 0; n < 6000; n++) {
            uint64_t va = n % 50 == 49 ? (areas[GROWING].vpn + rng() % areas[GROWING].pages) << 12
                                       : random_address(),
                     pa;
            struct eval_walk w;
            unsigned size;
            if (!walk_at(&b, va, &w)) {
                cr_assert_not(translated(s, env, va, &pa, &size), "%s does not find 0x%lx", b.design->name,
                              va);
                cr_assert(eval_system_fault(s, va, DMT_ACCESS_WRITE));
                cr_assert(walk_at(&b, va, &w), "%s: 0x%lx after its fault", b.design->name, va);
            }
            cr_assert(translated(s, env, va, &pa, &size));
            cr_assert_eq(w.pa, pa, "%s: 0x%lx is at 0x%lx, not 0x%lx", b.design->name, va, pa, w.pa);
            cr_assert_eq(w.size, size, "%s: 0x%lx has size %u, not %u", b.design->name, va, size, w.size);
            cr_assert_eq(w.logged, w.reads);
            cr_assert(w.done >= b.now && w.refs <= w.reads);
            sizes[size]++;
            b.now = eval_caches_data(b.caches, w.pa, w.done);
            if (n == 3000) {
                b.design->flush(b.d, true);
            }
        }
        cr_assert_not(walk_at(&b, UINT64_C(0x7fff00000000), &(struct eval_walk){0}),
                      "nothing is mapped there");
        close_bed(&b);
    }
    cr_assert(sizes[DMT_SIZE_4K] > 100);
    cr_assert(thp ? sizes[DMT_SIZE_2M] > 1000 : sizes[DMT_SIZE_2M] == 0, "%u", sizes[DMT_SIZE_2M]);
    eval_system_free(s);
}

static void same_answers(enum eval_env env, bool thp)
{
    same_answers_in(system_of(env, thp), env, thp, NULL);
}

Test(designs, native_4k_answers)
{
    same_answers(EVAL_NATIVE, false);
}

Test(designs, native_thp_answers)
{
    same_answers(EVAL_NATIVE, true);
}

Test(designs, virtual_4k_answers)
{
    same_answers(EVAL_VIRT, false);
}

Test(designs, virtual_thp_answers)
{
    same_answers(EVAL_VIRT, true);
}

/* No run of 2 MB is free: tables are in pieces, or as they were before. */
Test(designs, fragmented_memory)
{
    struct eval_system *s = fragmented(EVAL_NATIVE, false, 100);
    struct eval_config c = flat();
    struct bed b;

    uint64_t pfn;
    while (eval_system_frames(s, 512, false, &pfn)) {
    }
    open_bed(&b, s, &c, EVAL_NATIVE, "fpt");
    cr_assert_eq(counter(&b, "merged nodes of 2 MB"), 0);
    for (unsigned n = 0; n < 1000; n++) {
        unsigned refs = walk(&b, random_address()).refs;
        cr_assert_eq(refs, 4, "%u", refs);
    }
    close_bed(&b);
    same_answers_in(s, EVAL_NATIVE, false, NULL);
}

/* The host has 4K pages for some of the guest's 2M pages. */
Test(designs, fragmented_host_answers)
{
    same_answers_in(fragmented(EVAL_VIRT, true, 60), EVAL_VIRT, true, "shadow");
    same_answers_in(fragmented(EVAL_VIRT, true, 60), EVAL_VIRT, true, "ecpt");
}

static bool place_anywhere(void *user, unsigned level, uint64_t addr, uint64_t *at)
{
    uint64_t *next = user;

    (void)level;
    (void)addr;
    *at = *next += 4096;
    return true;
}

Test(tables, pages_are_split_and_joined)
{
    uint64_t next = 0x100000, to;
    struct flat f;

    cr_assert(flat_open(&f, place_anywhere, &next));
    cr_assert(flat_map(&f, 0x40000000, DMT_SIZE_2M, 0x800));
    cr_assert_eq(flat_find(&f, 0x40005123, &to), DMT_SIZE_2M);
    cr_assert_eq(to, 0x805123);
    cr_assert(flat_map(&f, 0x40005000, DMT_SIZE_4K, 0x9999));
    cr_assert_eq(flat_find(&f, 0x40005123, &to), DMT_SIZE_4K);
    cr_assert_eq(to, 0x9999123);
    cr_assert_eq(flat_find(&f, 0x401ff008, &to), DMT_SIZE_4K);
    cr_assert_eq(to, 0x9ff008);
    cr_assert(f.pages[0] == 512 && f.pages[1] == 0);
    cr_assert(flat_map(&f, 0x40000000, DMT_SIZE_2M, 0xa00));
    cr_assert_eq(flat_find(&f, 0x40005123, &to), DMT_SIZE_2M);
    cr_assert(f.pages[0] == 0 && f.pages[1] == 1);
    cr_assert_eq(flat_find(&f, 0x40200000, &to), TABLES_ABSENT);
    cr_assert_eq(flat_find(&f, 0x140000000, &to), TABLES_ABSENT);
    cr_assert_not(flat_map(&f, UINT64_C(1) << 48, DMT_SIZE_4K, 1));
    cr_assert_not(flat_map(&f, 0, DMT_SIZE_4K, UINT32_MAX));
    flat_close(&f);
}

/* Page by page what was composed in one go. */
Test(tables, two_stages_in_one)
{
    struct eval_system *s = fragmented(EVAL_VIRT, true, 60);
    uint64_t next = 0x100000, pa, to, pfn;
    unsigned mixed = 0, size;
    struct flat f, g;

    cr_assert(flat_open(&f, place_anywhere, &next) && flat_open(&g, place_anywhere, &next));
    cr_assert(flat_compose(&g, s));
    for (unsigned n = 0; n < 5000; n++) {
        uint64_t va = random_address();
        cr_assert(translated(s, EVAL_VIRT, va, &pa, &size));
        mixed += tables_leaf(eval_system_stage(s, 1), va, &pfn) > size;
        cr_assert(flat_compose_at(&f, s, va));
        cr_assert_eq(flat_find(&f, va, &to), size);
        cr_assert_eq(to, pa);
        cr_assert_eq(flat_find(&g, va, &to), size);
        cr_assert_eq(to, pa);
    }
    cr_assert(mixed > 50, "2M pages of the guest on 4K pages of the host: %u", mixed);
    cr_assert_not(flat_compose_at(&f, s, 0x1000));
    flat_close(&f);
    flat_close(&g);
    eval_system_free(s);
}

/* One entry a page, each at an address of its own, neighbours 8 bytes apart. */
struct seen {
    uint64_t hpa, page;
};

static int by_hpa(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    return x->hpa != y->hpa ? (x->hpa > y->hpa) - (x->hpa < y->hpa)
                            : (x->page > y->page) - (x->page < y->page);
}

static void own_entries(enum eval_env env, bool thp, const char *name, unsigned ref)
{
    enum { N = 3000 };
    static struct seen seen[N];
    struct eval_system *s = system_of(env, thp);
    struct eval_config c = flat();
    struct bed b;

    c.asap_registers = 3; /* some areas' tables lie anywhere */
    c.asap_residual = 0;  /* what was prefetched is not read again, so that the prefetches tell where it is */
    open_bed(&b, s, &c, env, name);
    for (unsigned i = 0; i < N; i++) {
        uint64_t va = i < 1000 ? (areas[0].vpn + i) << 12 : random_address();
        struct eval_walk w = walk(&b, va);
        unsigned leaf = 0, size = w.size;
        if (strcmp(name, "asap") != 0) {
            leaf = ref != 0 ? ref : w.logged - 1;
        } else if (w.refs == w.reads) {
            leaf = w.logged - 1;
        } else {
            leaf = size == DMT_SIZE_2M && w.reads == w.refs + 2;
        }
        seen[i] = (struct seen){b.log[leaf].hpa, va >> 12 >> 9 * size};
        if (i > 0 && i < 1000 && size == DMT_SIZE_4K && va >> 21 == (va - 4096) >> 21) {
            cr_assert_eq(seen[i].hpa, seen[i - 1].hpa + 8, "%s: page %u", name, i);
        }
    }
    qsort(seen, N, sizeof *seen, by_hpa);
    for (unsigned i = 1; i < N; i++) {
        cr_assert((seen[i].hpa == seen[i - 1].hpa) == (seen[i].page == seen[i - 1].page),
                  "%s: pages 0x%lx, 0x%lx at 0x%lx, 0x%lx", name, seen[i - 1].page, seen[i].page,
                  seen[i - 1].hpa, seen[i].hpa);
    }
    close_bed(&b);
    eval_system_free(s);
}

Test(designs, entries_of_their_own)
{
    own_entries(EVAL_NATIVE, false, "fpt", 0);
    own_entries(EVAL_NATIVE, true, "fpt", 0);
    own_entries(EVAL_NATIVE, false, "asap", 0);
    own_entries(EVAL_VIRT, false, "shadow", 0);
    own_entries(EVAL_VIRT, true, "shadow", 0);
    own_entries(EVAL_VIRT, false, "fpt", 5); /* the guest's */
}

/* Nested levels are the guest's own tables, in host memory. */
Test(designs, agile_reads_the_guests_tables)
{
    struct eval_system *s = system_of(EVAL_VIRT, false);
    struct eval_config c = flat();

    for (unsigned levels = 1; levels <= 4; levels++) {
        struct bed b;
        c.agile_levels = levels + 1;
        open_bed(&b, s, &c, EVAL_VIRT, "agile");
        for (unsigned n = 0; n < 200; n++) {
            uint64_t va = random_address();
            struct mirror_path p;
            walk(&b, va);
            cr_assert(mirror_walk(eval_system_stage(s, 1), va, &p));
            for (unsigned l = levels, i = 4 - levels; l >= 1; l--, i += 5) {
                cr_assert_eq(b.log[i].hpa, p.step[l].hpa, "level %u", l);
            }
        }
        close_bed(&b);
    }
    eval_system_free(s);
}

/* ---------------------------------------------------------------- counts and clocks */

static void counts(enum eval_env env, bool thp)
{
    struct eval_system *s = system_of(env, thp);
    struct eval_config c = flat();
    struct bed b;

    for (unsigned name = 0; names[env][name] != NULL; name++) {
        if (strcmp(names[env][name], "ecpt") == 0) {
            continue;
        }
        open_bed(&b, s, &c, env, names[env][name]);
        for (unsigned n = 0; n < 2000; n++) {
            uint64_t va = random_address(), gpa;
            unsigned leaf[2]; /* levels to read, of the stages */
            struct mirror_path p;
            mirror_walk(eval_system_stage(s, env == EVAL_VIRT), va, &p);
            gpa = p.to;
            leaf[1] = 5u - p.leaf;
            leaf[0] = leaf[1];
            if (env == EVAL_VIRT) {
                mirror_walk(eval_system_stage(s, 0), gpa, &p);
                leaf[0] = 5u - p.leaf;
            }
            struct eval_walk w = walk(&b, va);
            unsigned refs;
            if (strcmp(b.design->name, "fpt") == 0) {
                unsigned g = thp ? leaf[1] - 1 : 2, h = thp ? leaf[0] - 1 : 2;
                refs = env == EVAL_NATIVE ? g : 0;
                if (env == EVAL_VIRT) {
                    cr_assert(thp ? w.refs <= 3 * 3 + 3 + 3 : w.refs == 8, "%u", w.refs);
                    cr_assert(w.refs >= g + h * 1);
                    refs = w.refs;
                }
            } else if (strcmp(b.design->name, "asap") == 0 && env == EVAL_VIRT) {
                refs = thp ? w.refs : 24;
                cr_assert(w.refs <= 24 && w.refs >= 15);
                cr_assert(w.reads > w.refs + 5 * 1);
            } else {
                refs = leaf[0] > leaf[1] ? leaf[0] : leaf[1]; /* composed: the smaller page's */
            }
            cr_assert_eq(w.refs, refs, "%s: %u references, expected %u", b.design->name, w.refs, refs);
            cr_assert_eq(w.done - b.now, (uint64_t)refs * FLAT, "%s: %lu clocks", b.design->name,
                         w.done - b.now);
        }
        close_bed(&b);
    }
    eval_system_free(s);
}

Test(designs, native_4k_counts)
{
    counts(EVAL_NATIVE, false);
}

Test(designs, native_thp_counts)
{
    counts(EVAL_NATIVE, true);
}

Test(designs, virtual_4k_counts)
{
    counts(EVAL_VIRT, false);
}

Test(designs, virtual_thp_counts)
{
    counts(EVAL_VIRT, true);
}

Test(designs, flattened_upper_entries_are_cached)
{
    struct eval_system *s = system_of(EVAL_NATIVE, false), *v = system_of(EVAL_VIRT, false);
    struct eval_config c = flat();
    struct bed b;

    c.fpt_entries = 32;
    open_bed(&b, s, &c, EVAL_NATIVE, "fpt");
    cr_assert_eq(walk(&b, areas[0].vpn << 12).refs, 2);
    cr_assert_eq(walk(&b, (areas[0].vpn + 900) << 12).refs, 1, "the same 1 GB");
    cr_assert_eq(walk(&b, (areas[2].vpn + 2) << 12).refs, 2);
    b.design->flush(b.d, true);
    cr_assert_eq(walk(&b, areas[0].vpn << 12).refs, 2, "flushed");
    close_bed(&b);
    open_bed(&b, v, &c, EVAL_VIRT, "fpt");
    walk(&b, areas[0].vpn << 12);
    cr_assert_eq(walk(&b, (areas[0].vpn + 1) << 12).refs, 3,
                 "host's of the guest's leaf entry, that, host's of the data");
    close_bed(&b);
    /* One layout for both page sizes: 512 copies of an entry. */
    eval_system_free(s);
    s = system_of(EVAL_NATIVE, true);
    c.fpt_layout = 1;
    open_bed(&b, s, &c, EVAL_NATIVE, "fpt");
    struct eval_walk w = walk(&b, (areas[2].vpn + 4096) << 12);
    uint64_t at = b.log[w.logged - 1].hpa;
    cr_assert_eq(w.size, DMT_SIZE_2M);
    w = walk(&b, (areas[2].vpn + 4097) << 12);
    cr_assert_eq(b.log[w.logged - 1].hpa, at + 8);
    close_bed(&b);
    eval_system_free(s);
    eval_system_free(v);
}

static int by_address(const void *a, const void *b)
{
    uint64_t x = ((const struct eval_ref *)a)->hpa, y = ((const struct eval_ref *)b)->hpa;

    return (x > y) - (x < y);
}

/* A walk of ECPT is over when the line that holds the entry is there, or all are. */
Test(designs, cuckoo_steps)
{
    for (unsigned late = 0; late < 2; late++) {
        for (unsigned thp = 0; thp < 2; thp++) {
            struct eval_system *s = system_of(EVAL_NATIVE, thp != 0);
            struct eval_config c = flat();
            struct bed b;
            c.ecpt_late = late;
            c.walker_ports = 1;
            open_bed(&b, s, &c, EVAL_NATIVE, "ecpt");
            uint64_t seen = 0;
            for (unsigned n = 0; n < 2000; n++) {
                struct eval_walk w = walk(&b, random_address());
                uint64_t after = w.done - b.now - 4 - FLAT; /* 4: the walk caches, beside the hash */
                cr_assert_eq(w.refs, 1);
                cr_assert_eq(w.reads, 6 + 4, "three ways of two sizes, two lines of two walk tables");
                cr_assert(late ? after == 5 : after <= 5 && (after >= 3) == (w.size == DMT_SIZE_2M), "%lu",
                          after);
                seen |= UINT64_C(1) << after;
                qsort(b.log, w.logged, sizeof *b.log, by_address);
                for (unsigned i = 1; i < w.logged; i++) {
                    cr_assert_neq(b.log[i].hpa, b.log[i - 1].hpa, "each way has its own line");
                }
            }
            cr_assert_eq(seen, late ? 32u : thp ? 63u : 7u, "an entry may be in any way");
            close_bed(&b);
            /* The walk caches say which size it is, and the way of a 2M page. */
            c.ecpt_cwc_pmd = 16;
            open_bed(&b, s, &c, EVAL_NATIVE, "ecpt");
            for (unsigned n = 0; n < 300; n++) {
                walk(&b, random_address());
            }
            struct eval_walk w = walk(&b, (areas[2].vpn + 4096) << 12);
            cr_assert_eq(w.reads, thp ? 1u : 3u);
            cr_assert_eq(w.size, thp);
            close_bed(&b);
            eval_system_free(s);
        }
    }
}

Test(designs, nested_cuckoo_steps)
{
    struct eval_system *s = system_of(EVAL_VIRT, false);
    struct eval_config c = flat();
    struct bed b;

    c.walker_ports = 64;
    open_bed(&b, s, &c, EVAL_VIRT, "ecpt");
    for (unsigned n = 0; n < 500; n++) {
        struct eval_walk w = walk(&b, random_address());
        cr_assert_eq(w.refs, 3);
        /* 6 lines of the guest's, each by 6 of the host's; 6; 6; and what the walk caches want: PTE, PMD, PUD
         * lines of each look at the host's (2 each), PMD and PUD lines of the guest's by as many again. */
        cr_assert_eq(w.reads, 6 * (6 + 6) + 6 + 6 + 6 + 4 * (1 + 6 + 6));
        cr_assert_eq(w.done - b.now, 3 * 4 + 3 * FLAT);
    }
    close_bed(&b);
    eval_config_default(&c);
    open_bed(&b, s, &c, EVAL_VIRT, "ecpt");
    struct eval_walk w = walk(&b, areas[0].vpn << 12);
    w = walk(&b, areas[0].vpn << 12);
    cr_assert_eq(w.reads, 3 + 3 + 1, "every walk cache knows: a way each, the guest's has no header for it");
    cr_assert_eq(w.refs, 3);
    for (unsigned n = 0; n < 20000; n++) {
        walk(&b, random_address());
    }
    cr_assert(counter(&b, "shortcut cache hits") > 0);
    cr_assert(counter(&b, "PTE walk cache of data on or off again") > 0, "48 lines of 2 MB do not fit in 16");
    close_bed(&b);
    eval_system_free(s);
}

/* The walk cache of data pages is left alone below a share of hits, and tried again above one of the cache
 * of 1 GB. Of each window's four walks two hit in it, and all in that. */
Test(designs, cuckoo_walk_cache_of_data_is_left_alone)
{
    static const struct {
        unsigned off, on, looks[3]; /* after each window */
    } of[] = {{50, 99, {4, 8, 12}},
              {51, 99, {4, 4, 8}},
              {51, 100, {4, 4, 4}},
              {100, 0, {4, 4, 8}},
              {0, 99, {4, 8, 12}}};
    struct eval_system *s = system_of(EVAL_VIRT, false);

    for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
        struct eval_config c = flat();
        struct mirror_path p;
        uint64_t last = 0;
        struct bed b;
        c.ecpt_cwc_pmd = c.ecpt_hcwc_pte = 16;
        c.ecpt_hcwc_window = 4;
        c.ecpt_hcwc_off = of[i].off;
        c.ecpt_hcwc_on = of[i].on;
        open_bed(&b, s, &c, EVAL_VIRT, "ecpt");
        for (unsigned n = 0; n < 12; n++) {
            uint64_t vpn = areas[2].vpn + n / 2 * 2048; /* each twice, in 2 MB of its own */
            cr_assert(mirror_walk(eval_system_stage(s, 1), vpn << 12, &p));
            cr_assert((p.to >> 21 != last) == (n % 2 == 0) && p.to >> 30 == 0, "0x%lx", p.to);
            last = p.to >> 21;
            walk(&b, vpn << 12);
            if (n % 4 == 3) {
                double looks = counter(&b, "PTE walk cache looks, data");
                cr_assert_eq(looks, of[i].looks[n / 4], "%u, %u: %f of %u", of[i].off, of[i].on, looks,
                             n + 1);
                cr_assert_eq(counter(&b, "PTE walk cache hits, data"), looks / 2);
            }
        }
        close_bed(&b);
    }
    eval_system_free(s);
}

Test(designs, prefetched_entries_are_waited_for)
{
    struct eval_system *s = system_of(EVAL_NATIVE, false), *h = system_of(EVAL_NATIVE, true);
    static const unsigned delay[] = {0, 150, 1000};
    struct bed b;

    for (unsigned i = 0; i < 6; i++) {
        struct eval_config c = flat();
        c.d1_clocks = 4; /* of what was prefetched */
        c.asap_delay = delay[i / 2];
        c.asap_residual = i % 2;
        c.walker_ports = 1;
        open_bed(&b, s, &c, EVAL_NATIVE, "asap");
        struct eval_walk w = walk(&b, (areas[2].vpn + 5) << 12);
        /* Level 1 is asked for first, level 2 a clock later. */
        uint64_t t = 2 * FLAT, there = delay[i / 2] + FLAT;
        t = (t > there + 1 ? t : there + 1) + 4 * (i % 2);
        t = (t > there ? t : there) + 4 * (i % 2);
        cr_assert_eq(w.done - b.now, t, "delay %u: %lu clocks, expected %lu", delay[i / 2], w.done - b.now,
                     t);
        cr_assert_eq(w.refs, 2 + 2 * (i % 2));
        cr_assert_eq(w.reads, w.refs + 2);
        close_bed(&b);
    }
    struct eval_config c = flat();
    c.asap_registers = 1; /* of the largest area */
    open_bed(&b, s, &c, EVAL_NATIVE, "asap");
    cr_assert_eq(walk(&b, (areas[2].vpn + 7) << 12).reads, 6);
    cr_assert_eq(walk(&b, areas[0].vpn << 12).reads, 4);
    close_bed(&b);
    c.asap_registers = 16;
    open_bed(&b, s, &c, EVAL_NATIVE, "asap");
    walk(&b, (areas[0].vpn + 3) << 12);
    double used = counter(&b, "prefetches of entries that are there");
    walk(&b, areas[1].vpn << 12);
    cr_assert_eq(counter(&b, "prefetches of entries that are there"), used,
                 "its tables are the area before's");
    close_bed(&b);
    eval_system_free(s);
    eval_system_free(h);
}

/* Both entries of the guest's, by registers that name host memory, before the walk comes to them. */
Test(designs, prefetches_for_a_guest)
{
    for (unsigned i = 0; i < 4; i++) {
        bool thp = i % 2 != 0;
        struct eval_system *s = fragmented(EVAL_VIRT, thp,
                                           i < 2 ? 0
                                           : thp ? 60
                                                 : 100); /* the hypervisor moves runs */
        struct eval_config c = flat();
        unsigned checked = 0;
        struct bed b;
        c.asap_host = 0;
        open_bed(&b, s, &c, EVAL_VIRT, "asap");
        cr_assert_eq(counter(&b, "levels of areas without contiguous tables"), 0);
        for (unsigned n = 0; n < 500; n++) {
            uint64_t va = (areas[2].vpn + rng() % areas[2].pages) << 12;
            struct eval_walk w = walk(&b, va);
            if (w.refs != 24 || w.reads != 26) {
                cr_assert(thp);
                continue;
            }
            cr_assert_eq(b.log[0].hpa, b.log[2 + 19].hpa, "level 1");
            cr_assert_eq(b.log[1].hpa, b.log[2 + 14].hpa, "level 2");
            checked++;
        }
        cr_assert(thp || checked == 500);
        close_bed(&b);
        c.asap_host = 1;
        open_bed(&b, s, &c, EVAL_VIRT, "asap");
        struct eval_walk w = walk(&b, areas[2].vpn << 12);
        cr_assert(thp || w.reads == 24 + 2 + 5 * 2, "%u", w.reads);
        close_bed(&b);
        same_answers_in(s, EVAL_VIRT, thp, "asap");
    }
}

/* A shortcut leads to the same lines as the way around. */
Test(designs, shortcuts_of_walk_tables)
{
    struct eval_system *s = system_of(EVAL_VIRT, false);
    struct eval_config c = flat();
    struct bed b;

    c.ecpt_stc = 10;
    open_bed(&b, s, &c, EVAL_VIRT, "ecpt");
    for (unsigned n = 0; n < 50; n++) {
        uint64_t va = random_address();
        static struct eval_ref first[EVAL_REFS_MAX];
        b.design->flush(b.d, true);
        struct eval_walk w = walk(&b, va), again;
        cr_assert_eq(w.reads, w.logged);
        memcpy(first, b.log, sizeof first);
        qsort(first, w.logged, sizeof *first, by_address);
        again = walk(&b, va);
        cr_assert(again.reads < w.reads && again.reads >= 6 * 12 + 18 + 4);
        for (unsigned i = 0; i < again.logged; i++) {
            cr_assert_not_null(bsearch(&b.log[i], first, w.logged, sizeof *first, by_address), "0x%lx",
                               b.log[i].hpa);
        }
    }
    close_bed(&b);
    eval_system_free(s);
}

/* Which host walks the second set of paging-structure caches serves. */
Test(designs, second_stage_caches)
{
    static const unsigned refs[] = {19, 20, 20, 24}; /* all of them; not a root's; not data's; none */
    struct eval_system *s = system_of(EVAL_VIRT, false);

    for (unsigned i = 0; i < 5; i++) {
        struct eval_config c = flat();
        struct bed b;
        c.pwc4_entries = 2;
        c.npwc_root = i != 1;
        c.npwc_final = i != 2;
        c.npwc = i != 3;
        c.ntlb_entries = i == 4 ? 16 : 0;
        c.asap_registers = 0;
        open_bed(&b, s, &c, EVAL_VIRT, "asap");
        walk(&b, areas[0].vpn << 12);
        struct eval_walk w = walk(&b, areas[2].vpn << 12);
        if (i < 4) {
            cr_assert_eq(w.refs, refs[i], "%u: %u references", i, w.refs);
        } else {
            cr_assert_eq(w.refs, 4 + 4 * 3, "the nested TLB has the root's page");
        }
        close_bed(&b);
    }
    eval_system_free(s);
}

/* ---------------------------------------------------------------- stores of guests */

/* References of a host walk. */
static unsigned host_refs(const struct eval_system *s, uint64_t gpa)
{
    struct mirror_path p;

    cr_assert(mirror_walk(eval_system_stage(s, 0), gpa, &p));
    return 5u - p.leaf;
}

/* So many levels nested; a huge page of the guest ends above them, or the host's pages are smaller. */
static unsigned agile_refs(const struct eval_system *s, unsigned levels, uint64_t va)
{
    struct mirror_path g;

    cr_assert(mirror_walk(eval_system_stage(s, 1), va, &g));
    unsigned host = host_refs(s, g.to), start = levels < 4 ? levels : 4, refs = 4 - start;
    if (levels < g.leaf) {
        return host > 5u - g.leaf ? host : 5u - g.leaf;
    }
    for (unsigned l = start; l >= g.leaf; l--) {
        refs += 1 + (l < levels ? host_refs(s, g.step[l].at) : 0);
    }
    return refs + host;
}

Test(designs, agile_levels)
{
    static const unsigned refs[] = {4, 8, 12, 16, 20, 24}, huge[] = {3, 3, 6, 9, 12, 15};

    for (unsigned thp = 0; thp < 2; thp++) {
        struct eval_system *s = fragmented(EVAL_VIRT, thp != 0, thp * 60);
        struct eval_config c = flat();
        for (unsigned levels = 0; levels <= 5; levels++) {
            unsigned seen[25] = {0};
            struct bed b;
            c.agile_levels = levels + 1;
            open_bed(&b, s, &c, EVAL_VIRT, "agile");
            for (unsigned i = 0; i < 300; i++) {
                uint64_t va = random_address();
                struct eval_walk w = walk(&b, va);
                unsigned expected = agile_refs(s, levels, va);
                cr_assert_eq(w.refs, expected, "%u levels: %u, expected %u", levels, w.refs, expected);
                cr_assert_eq(w.done - b.now, (uint64_t)w.refs * FLAT);
                seen[w.refs]++;
            }
            cr_assert(thp || seen[refs[levels]] == 300);
            cr_assert(!thp || (seen[huge[levels]] > 10 && seen[huge[levels]] < 290), "%u levels: %u", levels,
                      seen[huge[levels]]);
            close_bed(&b);
        }
        eval_system_free(s);
    }
}

/* The next page of the growing area. */
static struct eval_walk grow(struct bed *b, uint64_t page)
{
    uint64_t va = (areas[GROWING].vpn + page) << 12;
    struct eval_walk w;

    cr_assert_not(walk_at(b, va, &w), "page %lu is not there yet", page);
    cr_assert(eval_system_fault(b->system, va, DMT_ACCESS_WRITE));
    return walk(b, va);
}

Test(designs, agile_regions_turn_nested_and_come_back)
{
    struct eval_system *s = system_of(EVAL_VIRT, false);
    struct eval_config c = flat();
    uint64_t same = areas[GROWING].vpn << 12 | 0, other = areas[0].vpn << 12, first;
    struct bed b;

    c.agile_interval = 10000;
    open_bed(&b, s, &c, EVAL_VIRT, "agile");
    first = (areas[GROWING].vpn + 600) << 12; /* same table of level 1 as pages 700.. */
    cr_assert_eq(walk(&b, first).refs, 4);
    cr_assert_eq(grow(&b, 700).refs, 4, "one store");
    cr_assert_eq(grow(&b, 701).refs, 8, "two: nested");
    cr_assert_eq(grow(&b, 702).refs, 8);
    cr_assert_eq(counter(&b, "exits"), 2);
    cr_assert_eq(walk(&b, first).refs, 8, "all of the 2 MB");
    cr_assert_eq(walk(&b, same).refs, 4, "not those before");
    cr_assert_eq(walk(&b, other).refs, 4);
    b.now = 19999;
    cr_assert_eq(walk(&b, first).refs, 8, "the interval after the stores is not over");
    b.now = 20000;
    cr_assert_eq(walk(&b, first).refs, 4, "not stored to for a whole interval");
    cr_assert_eq(counter(&b, "table pages shadowed again"), 1);
    /* Far apart in time: no rate at all. */
    cr_assert_eq(grow(&b, 703).refs, 4);
    b.now = 40000;
    cr_assert_eq(grow(&b, 704).refs, 4);
    cr_assert_eq(counter(&b, "exits"), 4);
    /* New tables of level 1 are stores to the one above: both levels become nested. */
    cr_assert_eq(grow(&b, 1024).refs, 4);
    cr_assert_eq(grow(&b, 1536).refs, 12);
    cr_assert_eq(walk(&b, same).refs, 12);
    cr_assert_eq(walk(&b, other).refs, 4);
    cr_assert_eq(counter(&b, "exits"), 7, "the last one's table of level 1 is below a nested one already");
    cr_assert_eq(grow(&b, 1025).refs, 12);
    cr_assert_eq(counter(&b, "exits"), 7);
    cr_assert_eq(counter(&b, "stores to guest tables seen"), 10);
    close_bed(&b);
    eval_system_free(s);
}

/* Entries that lead to a table are not the same before and after it turns nested, or is shadowed again. */
Test(designs, agile_forgets_what_led_to_a_table)
{
    struct eval_system *s = system_of(EVAL_VIRT, false);
    struct eval_config c = flat();
    uint64_t first = (areas[GROWING].vpn + 600) << 12;
    struct bed b;

    c.agile_interval = 10000;
    c.pwc2_entries = 32;
    c.npwc = 0;
    open_bed(&b, s, &c, EVAL_VIRT, "agile");
    cr_assert_eq(walk(&b, first).refs, 4);
    cr_assert_eq(walk(&b, first).refs, 1, "its table is known");
    cr_assert_eq(grow(&b, 700).refs, 1, "one store");
    cr_assert_eq(grow(&b, 701).refs, 8, "two: nested, from the root");
    cr_assert_eq(walk(&b, first).refs, 5, "the guest's table is known");
    b.now = 20000;
    cr_assert_eq(walk(&b, first).refs, 4, "shadowed, from the root");
    cr_assert_eq(walk(&b, first).refs, 1);
    close_bed(&b);
    eval_system_free(s);
}

/* With levels that do not change, each store to a table of one that is shadowed is an exit, however many
 * there are. */
Test(designs, agile_exits_of_fixed_levels)
{
    static const struct eval_area two[] = {
        {0x400000, 1000, 1000, DMT_OS_R | DMT_OS_W, "data"},
        {0x8000000, 1000, 0, DMT_OS_R | DMT_OS_W, "late"}, /* in another 512 GB */
    };
    static const struct {
        unsigned page, stores[5]; /* to tables of each level */
    } of[] = {{0, {0, 1, 1, 1, 1}}, {1, {0, 1}}, {2, {0, 1}}, {512, {0, 1, 1}}, {513, {0, 1}}};

    for (unsigned levels = 0; levels <= 5; levels++) {
        struct eval_system_options o = {
            .env = EVAL_VIRT, .area = two, .areas = 2, .registers = 16, .seed = 7};
        struct eval_system *s = eval_system_new(&o);
        struct eval_system_stats before, after;
        struct eval_config c = flat();
        unsigned exits = 0, stores = 0;
        struct bed b;
        cr_assert(s != NULL && eval_system_populate(s, NULL, NULL));
        eval_system_stats(s, &before);
        c.agile_levels = levels + 1;
        open_bed(&b, s, &c, EVAL_VIRT, "agile");
        for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
            uint64_t va = (two[1].vpn + of[i].page) << 12;
            cr_assert(eval_system_fault(s, va, DMT_ACCESS_WRITE));
            walk(&b, va);
            walk(&b, va);
            for (unsigned l = 1; l <= 4; l++) {
                stores += of[i].stores[l];
                exits += l > levels ? of[i].stores[l] : 0;
            }
            cr_assert_eq(counter(&b, "exits"), exits, "%u levels, page %u: %f", levels, of[i].page,
                         counter(&b, "exits"));
            cr_assert_eq(counter(&b, "stores to guest tables seen"), stores);
            eval_system_stats(s, &after);
            cr_assert_eq(after.guest_stores - before.guest_stores, stores, "%lu",
                         after.guest_stores - before.guest_stores);
        }
        cr_assert_eq(counter(&b, "table pages that turned nested"), 0);
        close_bed(&b);
        eval_system_free(s);
    }
}

Test(designs, shadow_exits_are_guest_stores)
{
    struct eval_system *s = system_of(EVAL_VIRT, false);
    struct eval_system_stats t, u;
    struct eval_config c = flat();
    struct bed b;

    open_bed(&b, s, &c, EVAL_VIRT, "shadow");
    eval_system_stats(s, &t);
    cr_assert(t.guest_stores >= t.pages, "%lu stores for %lu pages", t.guest_stores, t.pages);
    cr_assert_eq(counter(&b, "exits for stores to guest tables"), (double)t.guest_stores);
    for (unsigned i = 0; i < 40; i++) {
        cr_assert_eq(grow(&b, 700 + i).refs, 4);
    }
    eval_system_stats(s, &u);
    cr_assert(u.guest_stores >= t.guest_stores + 40);
    cr_assert_eq(counter(&b, "exits for stores to guest tables"), (double)u.guest_stores);
    cr_assert_eq(counter(&b, "exits"), (double)(u.guest_stores + 40));
    close_bed(&b);
    eval_system_free(s);
}

/* ---------------------------------------------------------------- cuckoo tables */

static bool give(void *user, uint64_t n, uint64_t *pfn)
{
    uint64_t *next = user;

    *pfn = *next;
    *next += n;
    return true;
}

static bool give_little(void *user, uint64_t n, uint64_t *pfn)
{
    return n <= 3 && give(user, n, pfn);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t key_number(uint32_t i)
{
    return i % 2 == 0 ? i / 2 : (UINT64_C(1) << 39) - i; /* neighbours, and far away */
}

/* Each key in exactly one way, where nobody else is. */
static void check_table(const struct elastic *e, uint32_t keys, unsigned ways)
{
    uint64_t *line = malloc((size_t)keys * sizeof *line);

    for (uint32_t i = 0; i < keys; i++) {
        unsigned in = 0, way;
        uint32_t value;
        cr_assert(elastic_get(e, key_number(i), &value, &way), "key %u of %u", i, keys);
        cr_assert_eq(value, i);
        for (unsigned w = 0; w < ways; w++) {
            in += elastic_in(e, key_number(i), w);
        }
        cr_assert_eq(in, 1, "key %u is in %u ways", i, in);
        cr_assert(elastic_in(e, key_number(i), way));
        line[i] = elastic_line(e, key_number(i), way);
    }
    qsort(line, keys, sizeof *line, by_value);
    for (uint32_t i = 1; i < keys; i++) {
        cr_assert(line[i] >= line[i - 1] + 64, "two keys at 0x%lx", line[i]);
    }
    free(line);
}

static void fill_table(unsigned ways, unsigned percent, uint32_t keys,
                       bool (*frames)(void *, uint64_t, uint64_t *))
{
    uint64_t next = 0x1000;
    struct elastic_options o = {
        .ways = ways, .lines = 64, .percent = percent, .seed = 3, .frames = frames, .user = &next};
    struct elastic *e = elastic_new(&o);
    const struct elastic_stats *t = elastic_stats(e);
    unsigned middle = 0;

    cr_assert_not_null(e);
    cr_assert(elastic_settle(e));
    for (uint32_t i = 0; i < keys; i++) {
        bool was = t->growing;
        cr_assert(elastic_put(e, key_number(i), i));
        cr_assert_eq(t->lines, i + 1);
        cr_assert(t->lines * 100 <= t->slots * percent, "%lu of %lu", t->lines, t->slots);
        if (was && i % 61 == 0) {
            middle++;
            check_table(e, i + 1, ways);
        }
    }
    cr_assert(middle > 3, "looked at in the middle of growing %u times", middle);
    cr_assert(t->resizes >= 5);
    check_table(e, keys, ways);
    uint32_t value;
    cr_assert_not(elastic_get(e, key_number(keys), &value, NULL));
    cr_assert(elastic_put(e, key_number(5), 77) && elastic_get(e, key_number(5), &value, NULL) &&
              value == 77);
    cr_assert_eq(t->lines, keys, "replaced, not put twice");
    elastic_free(e);
}

Test(elastic, three_ways)
{
    fill_table(3, 60, 6000, give);
}

Test(elastic, two_ways_too_full)
{
    fill_table(2, 95, 6000, give);
}

Test(elastic, eight_ways_in_pieces)
{
    fill_table(8, 80, 20000, give_little);
}

Test(elastic, bad_values)
{
    uint64_t next = 1;
    struct elastic_options o = {.ways = 3, .lines = 64, .percent = 60, .frames = give, .user = &next};
    struct elastic *e = elastic_new(&o);

    cr_assert_not(elastic_put(e, ELASTIC_KEYS, 0));
    cr_assert_not(elastic_put(e, 0, ELASTIC_VALUES));
    elastic_free(e);
    struct eval_config c;
    eval_config_default(&c);
    cr_assert(eval_config_check(&c));
    cr_assert(eval_config_set(&c, "ecpt.lines=65"));
    cr_assert_not(eval_config_check(&c));
    o.lines = 65;
    cr_assert_null(elastic_new(&o));
    o.lines = 64;
    o.ways = 1;
    cr_assert_null(elastic_new(&o));
}

/* ---------------------------------------------------------------- priority of tables */

Test(designs, tables_stay_in_the_large_caches)
{
    struct eval_config c;
    enum eval_level level;
    uint64_t table = 0x40000;

    eval_config_default(&c);
    c.next_line = 0;
    for (unsigned keep = 0; keep < 2; keep++) {
        struct eval_caches *k = eval_caches_new(&c);
        if (keep) {
            eval_caches_keep_tables(k);
        }
        eval_caches_walk(k, table, 0, &level);
        cr_assert_eq(level, EVAL_MEM);
        for (uint64_t i = 1; i < 100; i++) {
            eval_caches_data(k, table + (i << 21), 0); /* the same set in each */
        }
        eval_caches_walk(k, table, 0, &level);
        cr_assert_eq(level, keep ? EVAL_L2 : EVAL_MEM);
        /* Among tables, as ever. */
        for (uint64_t i = 1; i < 100; i++) {
            eval_caches_walk(k, table + (i << 21), 0, &level);
        }
        eval_caches_walk(k, table, 0, &level);
        cr_assert_eq(level, EVAL_MEM);
        eval_caches_free(k);
    }
}

/* The key of the machine reaches the caches: what a walk has read is found again after much data. */
Test(designs, flattened_tables_have_priority)
{
    struct eval_system *s = system_of(EVAL_NATIVE, false);

    for (unsigned priority = 0; priority < 2; priority++) {
        struct eval_config c;
        struct bed b;
        eval_config_default(&c);
        c.next_line = 0;
        c.fpt_entries = 0;
        c.fpt_priority = priority;
        open_bed(&b, s, &c, EVAL_NATIVE, "fpt");
        struct eval_walk w = walk(&b, areas[0].vpn << 12);
        cr_assert_eq(w.logged, 2);
        uint64_t at[2] = {b.log[0].hpa, b.log[1].hpa};
        for (uint64_t i = 1; i < 100; i++) {
            for (unsigned r = 0; r < 2; r++) {
                eval_caches_data(b.caches, at[r] + (i << 21), 0); /* the same set in each */
            }
        }
        walk(&b, areas[0].vpn << 12);
        for (unsigned r = 0; r < 2; r++) {
            cr_assert_eq(b.log[r].level, priority ? EVAL_L2 : EVAL_MEM, "%u", b.log[r].level);
        }
        close_bed(&b);
    }
    eval_system_free(s);
}

/* A walk after a flush reads as much as the first one did. */
Test(designs, a_flush_forgets_translations)
{
    for (enum eval_env env = EVAL_NATIVE; env <= EVAL_VIRT; env++) {
        struct eval_system *s = system_of(env, false);
        for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
            struct eval_config c;
            struct bed b;
            if ((*d)->env != env || (*d)->tea || (*d)->host_huge) {
                continue;
            }
            eval_config_default(&c);
            open_bed(&b, s, &c, env, (*d)->name);
            unsigned first = walk(&b, areas[0].vpn << 12).reads, again = walk(&b, areas[0].vpn << 12).reads;
            cr_assert(again < first, "%s: %u and %u reads", (*d)->title, first, again);
            b.design->flush(b.d, true);
            cr_expect_eq(walk(&b, areas[0].vpn << 12).reads, first, "%s", (*d)->title);
            close_bed(&b);
        }
        eval_system_free(s);
    }
}

/* The page of every fifth walk is mapped anew: no design finds it before its fault, and each finds where it is
 * afterwards, as all pages around it. */
Test(designs, pages_that_are_mapped_anew)
{
    for (unsigned i = 0; i < 4; i++) {
        enum eval_env env = i / 2 == 0 ? EVAL_NATIVE : EVAL_VIRT;
        struct eval_system *s = fragmented(env, i % 2, 20 * i);
        struct eval_config c;
        unsigned moved = 0, sizes[3] = {0};
        eval_config_default(&c);
        c.ntlb_entries = 16;
        for (unsigned k = 0; names[env][k] != NULL; k++) {
            struct bed b;
            open_bed(&b, s, &c, env, names[env][k]);
            for (unsigned n = 0; n < 3000; n++) {
                uint64_t va = random_address(), other = random_address(), pa, before;
                struct eval_walk w;
                unsigned size;
                bool anew = n % 5 == 4 && translated(s, env, va, &before, &size);
                if (anew) {
                    cr_assert(eval_system_remap(s, va) && eval_system_remap(s, other)); /* va gets the frame of other */
                    const struct eval_flush *f = eval_system_flushed(s);
                    cr_assert(f != NULL && f->ranges >= 1 && !f->moved);
                    cr_assert(f->process || f->pages > 0);
                    b.design->flush(b.d, f->host);
                    for (size_t j = 0; j < f->ranges; j++) {
                        b.design->changed(b.d, f->range[j].vpn, f->range[j].pages);
                    }
                    cr_assert_not(walk_at(&b, va, &w), "%s has what is gone, 0x%lx", b.design->name, va);
                    cr_assert(eval_system_fault(s, va, DMT_ACCESS_WRITE));
                    sizes[size]++;
                }
                if (!walk_at(&b, va, &w)) { /* given up as another one's other */
                    cr_assert(!anew && !translated(s, env, va, &pa, &size), "%s: 0x%lx", b.design->name, va);
                    cr_assert(eval_system_fault(s, va, DMT_ACCESS_WRITE) && walk_at(&b, va, &w));
                }
                cr_assert(translated(s, env, va, &pa, &size));
                cr_assert(w.pa == pa && w.size == size, "%s: 0x%lx is at 0x%lx size %u, not 0x%lx size %u", b.design->name,
                          va, pa, size, w.pa, w.size);
                moved += anew && pa != before;
                b.now = w.done;
            }
            close_bed(&b);
        }
        cr_assert(moved > 20 && sizes[0] > 20 && (i % 2 == 0 || sizes[1] > 20), "%u moved, %u of 4K, %u of 2M", moved,
                  sizes[0], sizes[1]);
        eval_system_free(s);
    }
}

/* Stores that shadow tables see when a page is mapped anew: its entry is cleared, and set at the next fault. */
Test(designs, exits_of_pages_that_are_mapped_anew)
{
    struct eval_system *s = system_of(EVAL_VIRT, false);
    struct eval_config c = flat();
    uint64_t va = (areas[2].vpn + 5) << 12;

    for (unsigned levels = 0; levels < 3; levels++) {
        static const char *const name[] = {"shadow", "agile", "agile"};
        struct bed b;
        struct eval_walk w;
        c.agile_levels = levels == 2 ? 2 : 0; /* the lowest level nested, always */
        open_bed(&b, s, &c, EVAL_VIRT, name[levels]);
        double before = counter(&b, "exits");
        for (unsigned i = 0; i < 10; i++) {
            cr_assert(eval_system_remap(s, va));
            const struct eval_flush *f = eval_system_flushed(s);
            cr_assert(f->ranges == 1 && f->range[0].vpn == va >> 12 && f->range[0].pages == 1);
            cr_assert(f->pages == 1 && f->page[0] == va >> 12 && !f->process && !f->host);
            b.design->changed(b.d, f->range[0].vpn, f->range[0].pages);
            cr_assert_not(walk_at(&b, va, &w));
            cr_assert(eval_system_fault(s, va, DMT_ACCESS_WRITE) && walk_at(&b, va, &w));
            eval_system_flushed(s);
        }
        static const double exits[] = {30, 2, 0}; /* and the fill; two stores, then nested; none at all */
        cr_assert_eq(counter(&b, "exits") - before, exits[levels], "%s: %f", name[levels], counter(&b, "exits") - before);
        close_bed(&b);
    }
    eval_system_free(s);
}

/* Pages of the guest that are larger than the host's: a hit of the nested TLB knows the host's size, too. */
Test(designs, a_nested_tlb_keeps_sizes)
{
    struct eval_system *s = fragmented(EVAL_VIRT, true, 60);
    struct eval_config c;
    struct bed b;
    unsigned smaller = 0;

    eval_config_default(&c);
    c.ntlb_entries = c.ntlb_ways = 16;
    open_bed(&b, s, &c, EVAL_VIRT, "fpt");
    for (uint64_t i = 0; i < areas[2].pages; i += 64) {
        uint64_t va = (areas[2].vpn + i) << 12, pfn;
        unsigned size = walk(&b, va).size;
        cr_assert_eq(walk(&b, va).size, size, "0x%lx", va);
        smaller += size < (unsigned)tables_leaf(eval_system_stage(s, 1), va, &pfn);
    }
    cr_assert(smaller > 10, "%u", smaller);
    close_bed(&b);
    eval_system_free(s);
}
