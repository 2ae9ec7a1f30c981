/* SPDX-License-Identifier: Apache-2.0
 * The RTL in the loop (sim/eval/rtl.h): every design that it has agrees with the
 * simulator walk by walk, in runs and on registers that cover only parts; what
 * is made to differ is found, and said. */
#include "dmt/regs.h"
#include "drive.h"
#include "eval/rtl.h"
#include "eval/system.h"
#include "eval/workload.h"
#include "tb/rng.h"
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RW       (DMT_OS_R | DMT_OS_W)
#define ACCESSES 4096
#define WALKS    800 /* of a window at most */

/* One that begins and ends in the middle of a 2M page, one of which half is not there yet, one that cannot be
 * written; and one of more leaf tables than are cached. */
static const struct eval_area small[] = {
    {.vpn = 0x555555555,
     .pages = 300,
     .resident = 300,
     .flags = DMT_OS_R | DMT_OS_X | DMT_OS_FILE,
     .name = "text"},
    {.vpn = 0x7f0000123, .pages = 8192, .resident = 8192, .flags = RW, .name = "heap"},
    {.vpn = 0x7f8000000, .pages = 4096, .resident = 2048, .flags = RW, .name = "table"},
};
static const struct eval_area wide[] = {
    {.vpn = 0x555555555,
     .pages = 10,
     .resident = 10,
     .flags = DMT_OS_R | DMT_OS_X | DMT_OS_FILE,
     .name = "text"},
    {.vpn = 0x7f0000123, .pages = 40960, .resident = 40960, .flags = RW, .name = "heap"},
    {.vpn = 0x7f8000000, .pages = 100, .resident = 100, .flags = RW, .name = "table"},
};
#define AREAS 3
static const struct eval_area *areas = small;

/* TLBs so small that huge pages miss, too; caches so small that entries come from everywhere. */
static struct eval_config machine(void)
{
    struct eval_config c;

    eval_config_default(&c);
    c.l1d_entries = 8;
    c.l1h_entries = 4;
    c.l2_entries = 24;
    c.d1_bytes = 4096;
    c.d2_bytes = 32768;
    c.d3_bytes = 11 * 16384;
    must(eval_config_check(&c));
    return c;
}

static struct eval_system *system_of(const struct eval_design *d, bool thp, unsigned fragment,
                                     unsigned registers)
{
    struct eval_system_options o = eval_design_system(d);

    o.area = areas;
    o.areas = AREAS;
    o.thp = thp;
    o.registers = registers;
    o.fragment = fragment;
    o.seed = 5;
    struct eval_system *s = eval_system_new(&o);
    must(s != NULL);
    must(eval_system_populate(s, NULL, NULL));
    return s;
}

/* Accesses of every kind, also to pages that are not there, and writes that are not allowed. */
static void accesses(struct eval_access *a, size_t n, uint64_t seed)
{
    struct rng r;

    rng_seed(&r, seed, 0x771);
    for (size_t i = 0; i < n; i++) {
        const struct eval_area *in = &areas[rng_below(&r, 8) == 0 ? 0 : 1 + rng_below(&r, AREAS - 1)];
        uint64_t pages = rng_below(&r, 16) == 0 ? in->pages : in->resident;
        a[i] = (struct eval_access){.va = (in->vpn + rng_below(&r, pages)) << 12 | rng_below(&r, 512) << 3,
                                    .kind = rng_below(&r, 3) == 0 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ};
        if (in->flags & DMT_OS_X && rng_below(&r, 2) == 0) {
            a[i].kind = DMT_ACCESS_EXECUTE;
        }
    }
}

/* A window on cold caches. */
static struct result_rtl look(const struct eval_config *c, const struct eval_design *d, struct eval_system *s,
                              void (*spoil)(struct eval_config *c), bool every_clock, uint64_t seed)
{
    static struct eval_access a[ACCESSES];
    struct result_rtl r = {0};
    struct rtl_window_sink sink = {.design = d,
                                   .rtl = &r,
                                   .command = "dmt sim --workload test",
                                   .spoil = spoil,
                                   .walks = WALKS,
                                   .every_clock = every_clock};
    struct eval_caches *caches = eval_caches_new(c);
    struct eval_tlbs *tlbs = eval_tlbs_new(c);
    struct engine_view view = {.config = c, .system = s, .caches = caches, .tlbs = tlbs, .now = 1000};

    accesses(a, ACCESSES, seed);
    cr_assert(rtl_window(&sink, &view, a, ACCESSES), "%s could not be replayed", d->name);
    eval_caches_free(caches);
    eval_tlbs_free(tlbs);
    cr_assert_eq(r.windows, 1);
    return r;
}

static void agree(const struct eval_config *c, const struct eval_design *d, struct eval_system *s,
                  uint64_t seed)
{
    struct result_rtl r = look(c, d, s, NULL, false, seed);

    cr_expect_eq(r.mismatches, 0, "%s, environment %d: walk %lu of the window differs", d->title, d->env,
                 (unsigned long)r.walks);
    cr_expect(r.walks > 100 && r.walks <= WALKS, "%lu walks", (unsigned long)r.walks);
    cr_expect_eq(r.clocks_equal, r.walks);
    cr_expect(r.references >= r.walks);
}

/* ------------------------------------------------------------ agreement */

/* Runs: windows with caches and TLBs as the run has left them, after faults. */
static void run(const char *workload, enum eval_env env, bool thp, uint32_t remap)
{
    struct eval_config c = machine();
    struct workload *w = workload_new(workload_find(workload), 1.0 / 4096, 3);
    unsigned designs = 0;

    must(w != NULL);
    c.os_remap = remap;
    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        if ((*d)->env != env || !(*d)->rtl) {
            continue;
        }
        struct eval_system_options o = eval_design_system(*d);
        o.thp = thp;
        o.registers = 16;
        o.fragment = 40;
        o.seed = 3;
        struct result_design *result = calloc(1, sizeof *result);
        struct rtl_window_sink sink = {.design = *d, .rtl = &result->rtl, .walks = WALKS};
        struct engine_options e = {.config = &c,
                                   .design = *d,
                                   .workload = w,
                                   .warmup = 8192,
                                   .measured = 32768,
                                   .windows = 2,
                                   .window = rtl_window,
                                   .user = &sink};
        o.areas = workload_areas(w, &o.area);
        e.system = eval_system_new(&o);
        must(e.system != NULL && eval_system_populate(e.system, NULL, NULL));
        workload_rewind(w);
        cr_assert(engine_run(&e, result));
        cr_expect_eq(result->rtl.windows, 2);
        cr_expect_eq(result->rtl.mismatches, 0, "%s", (*d)->title);
        cr_expect(result->rtl.walks > 100, "%s: only %lu walks", (*d)->title,
                  (unsigned long)result->rtl.walks);
        cr_expect_eq(result->rtl.clocks_equal, result->rtl.walks);
        eval_system_free(e.system);
        free(result);
        designs++;
    }
    cr_expect(designs >= (env == EVAL_NATIVE ? 2u : env == EVAL_VIRT ? 4u : 3u));
    workload_free(w);
}

/* Pages that come and go between the windows, and what TLBs have of them. */
Test(run, remapped)
{
    run("gups", EVAL_NATIVE, false, 50);
    run("memcached", EVAL_VIRT, true, 200);
    run("gups", EVAL_NESTED, false, 300);
}

Test(run, native)
{
    run("gups", EVAL_NATIVE, false, 0);
    run("memcached", EVAL_NATIVE, true, 0);
}

Test(run, virtualized)
{
    run("gups", EVAL_VIRT, false, 0);
    run("memcached", EVAL_VIRT, true, 0);
}

Test(run, nested)
{
    run("gups", EVAL_NESTED, false, 0);
    run("memcached", EVAL_NESTED, true, 0);
}

static unsigned random_below(struct rng *r, unsigned n)
{
    return (unsigned)rng_below(r, n);
}

/* Registers that are gone, or that have lost their end or their beginning: every mixture of what is found by
 * a register, what is walked, and what a register names but does not map. */
static void thin(struct eval_system *s, uint64_t seed)
{
    struct dmt_state *state = (struct dmt_state *)eval_system_state(s);
    struct rng r;

    rng_seed(&r, seed, 0x7417);
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            struct dmt_tea *t = &state->tea[k][i];
            uint64_t table = UINT64_C(512) << 9 * t->sz; /* pages that a frame of entries maps */
            if (!t->valid) {
                continue;
            }
            switch (random_below(&r, 5)) {
            case 0:
                t->valid = false;
                break;
            case 1:
                t->pages -= rng_below(&r, t->pages);
                break;
            case 2:
                if (t->pages > 2 * table) {
                    uint64_t frames = 1 + rng_below(&r, t->pages / table - 1);
                    t->base_vpn += frames * table;
                    t->base_pfn += frames;
                    t->pages -= frames * table;
                }
                break;
            default:
                break;
            }
        }
    }
}

static void thinned(enum eval_env env, bool thp, uint64_t seeds)
{
    struct eval_config c = machine();

    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        if ((*d)->env != env || !(*d)->rtl || !(*d)->tea) {
            continue;
        }
        struct eval_system *s = system_of(*d, thp, 30, 16);
        struct dmt_state *state = (struct dmt_state *)eval_system_state(s), *whole = malloc(sizeof *whole);
        must(whole != NULL);
        *whole = *state;
        for (uint64_t seed = 1; seed <= seeds; seed++) {
            *state = *whole;
            thin(s, seed);
            agree(&c, *d, s, seed);
        }
        free(whole);
        eval_system_free(s);
    }
}

Test(thinned, native)
{
    thinned(EVAL_NATIVE, true, 4);
}

Test(thinned, virtualized)
{
    thinned(EVAL_VIRT, false, 4);
    thinned(EVAL_VIRT, true, 4);
}

Test(thinned, nested)
{
    thinned(EVAL_NESTED, false, 4);
    thinned(EVAL_NESTED, true, 4);
}

/* Shadow table and stage 0 fill the same caches. */
Test(thinned, caches_that_overflow)
{
    areas = wide;
    thinned(EVAL_NESTED, false, 6);
}

/* Of an area's TEAs one lies in the guest's memory and one, of another page size, is a gTEA: no software here
 * does that, but registers can say it. */
static bool make_gtea(struct eval_system *s, struct dmt_state *state, unsigned size)
{
    uint64_t pfn;
    unsigned n = 0;

    must(eval_system_frames(s, 1, true, &pfn));
    state->gtea[1].table = pfn << 12;
    for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
        struct dmt_tea *t = &state->tea[1][i];
        uint64_t frames = ((t->pages - 1) >> 9 * t->sz) / 512 + 1;
        struct mirror_path p;
        bool together =
            t->valid && t->sz == size && mirror_walk(eval_system_stage(s, 0), t->base_pfn << 12, &p);
        uint64_t to = p.to >> 12;
        for (uint64_t k = 1; together && k < frames; k++) {
            together =
                mirror_walk(eval_system_stage(s, 0), (t->base_pfn + k) << 12, &p) && p.to >> 12 == to + k;
        }
        if (!together) {
            continue;
        }
        must(dmt_mem_write(eval_system_mem(s), (pfn << 12) + 16 * n, to << 12 | 1));
        must(dmt_mem_write(eval_system_mem(s), (pfn << 12) + 16 * n + 8, frames));
        t->kind = DMT_KIND_GTEA;
        t->gtea = (uint16_t)n++;
        t->base_pfn = 0;
        t->gtea_base = to;
        t->gtea_pages = frames;
        t->resolution = DMT_RESOLUTION_OK;
    }
    state->gtea[1].entries = n;
    return n > 0;
}

Test(mixed, gtea_beside_guest_memory)
{
    struct eval_config c = machine();
    const struct eval_design *d = eval_design_find(EVAL_VIRT, "dmt");

    for (unsigned size = DMT_SIZE_4K; size <= DMT_SIZE_2M; size++) {
        struct eval_system *s = system_of(d, true, 40, 16);
        cr_assert(make_gtea(s, (struct dmt_state *)eval_system_state(s), size),
                  "no TEA of size %u is contiguous", size);
        agree(&c, d, s, 9);
        thin(s, 9);
        agree(&c, d, s, 9);
        eval_system_free(s);
    }
}

/* Banks: what a read takes depends on when it is made. Walks enter at L2. More registers than the default
 * has. */
Test(machines, banks_port_registers)
{
    struct eval_config c = machine();
    const struct eval_design *d = eval_design_find(EVAL_VIRT, "pvdmt");
    struct eval_system *s = system_of(d, true, 80, 64);

    c.dram_banks = 16;
    c.dram_busy = 700; /* longer than a read takes: the next one waits, how long depends on its clock */
    agree(&c, d, s, 1);
    c.walker_port = 2;
    c.next_line = 0;
    agree(&c, d, s, 2);
    eval_system_free(s);
    d = eval_design_find(EVAL_NESTED, "full");
    s = system_of(d, false, 0, 16);
    c.dram_banks = 4;
    agree(&c, d, s, 3);
    eval_system_free(s);
}

/* Clocks in which only memory is awaited may be left out. */
Test(clocks, left_out_or_not)
{
    struct eval_config c = machine();

    for (enum eval_env env = EVAL_NATIVE; env < EVAL_ENVS; env++) {
        const struct eval_design *d = eval_design_find(env, env == EVAL_NATIVE ? "dmt"
                                                            : env == EVAL_VIRT ? "dmt"
                                                                               : "pvdmt");
        struct eval_system *s = system_of(d, true, 50, 16);
        struct result_rtl a = look(&c, d, s, NULL, false, 4), b = look(&c, d, s, NULL, true, 4);
        cr_expect_eq(a.mismatches, 0);
        cr_expect_eq(memcmp(&a, &b, sizeof a), 0, "%s: %lu and %lu walks", d->title, (unsigned long)a.walks,
                     (unsigned long)b.walks);
        eval_system_free(s);
    }
}

/* ------------------------------------------------------------ what differs is found */

static void slower(struct eval_config *c)
{
    c->walk_next++;
}

static void first_slower(struct eval_config *c)
{
    c->walk_first--;
}

static void chain_free(struct eval_config *c)
{
    c->walk_chain = 0;
}

static void smaller(struct eval_config *c)
{
    c->pwc2_entries = c->pwc2_ways = 16;
}

static void least_recent(struct eval_config *c)
{
    c->pwc_policy = EVAL_LRU;
}

static void not_combined(struct eval_config *c)
{
    c->pwc_combined = 0;
}

static void none_for_final(struct eval_config *c)
{
    c->npwc_final = 0;
}

static void two_ports(struct eval_config *c)
{
    c->walker_ports = 2;
}

static void all_awaited(struct eval_config *c)
{
    c->dmt_wait_all = 1;
}

static void size_known(struct eval_config *c)
{
    c->dmt_foresight = 1;
}

static void differ(enum eval_env env, const char *name, bool thp, void (*spoil)(struct eval_config *c),
                   const char *what)
{
    struct eval_config c = machine();
    const struct eval_design *d = eval_design_find(env, name);
    struct eval_system *s = system_of(d, thp, 40, 16);

    cr_expect_eq(look(&c, d, s, spoil, false, 6).mismatches, 1, "%s: %s was not seen", d->title, what);
    eval_system_free(s);
}

Test(spoilt, timing)
{
    differ(EVAL_NATIVE, "radix", false, slower, "a clock more of each reference");
    differ(EVAL_NATIVE, "dmt", false, first_slower, "a clock less of the first reference");
    differ(EVAL_VIRT, "dmt", false, chain_free, "chains that take no clock");
    differ(EVAL_NATIVE, "dmt", true, two_ports, "two reads in a clock");
    differ(EVAL_NATIVE, "dmt", true, all_awaited, "sizes that nobody waits for");
    differ(EVAL_NATIVE, "dmt", true, size_known, "sizes that are not read");
}

Test(spoilt, caches)
{
    differ(EVAL_NATIVE, "radix", false, smaller, "a cache of half the size");
    differ(EVAL_VIRT, "nested", false, not_combined, "entries that lead to guest addresses");
    differ(EVAL_VIRT, "nested", false, none_for_final, "final walks from the root");
    areas = wide;
    differ(EVAL_VIRT, "nested", false, least_recent, "least recently used in place of first in first out");
}

/* The simulator's side of a walk with one thing changed, whatever it is. */
static const struct eval_design *true_design;
static void (*change)(struct eval_walk *w);

static bool changed_walk(void *d, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now,
                         struct eval_walk *w)
{
    bool ok = true_design->walk(d, c, va, access, now, w);

    change(w);
    return ok && w->done != 0;
}

static void nothing(struct eval_walk *w)
{
    (void)w;
}

static void another_page(struct eval_walk *w)
{
    w->pa ^= 0x1000;
}

static void another_size(struct eval_walk *w)
{
    w->size = w->size == DMT_SIZE_4K ? DMT_SIZE_2M : DMT_SIZE_4K;
}

static void late(struct eval_walk *w)
{
    w->done++;
}

static void one_more(struct eval_walk *w)
{
    w->refs++;
}

static void one_read_less(struct eval_walk *w)
{
    w->logged--;
}

static void one_read_more(struct eval_walk *w)
{
    w->log[w->logged] = w->log[w->logged - 1];
    w->logged++;
}

static void next_entry(struct eval_walk *w)
{
    w->log[w->logged - 1].hpa += 8;
}

static void slower_read(struct eval_walk *w)
{
    w->log[0].clocks++;
}

static void fault(struct eval_walk *w)
{
    w->done = 0;
}

Test(spoilt, each_thing_that_is_compared)
{
    static void (*const of[])(struct eval_walk * w) = {nothing,  another_page,  another_size,  late,        one_more,
                                                       next_entry, one_read_less, one_read_more, slower_read, fault};
    struct eval_config c = machine();

    for (unsigned thp = 0; thp < 2; thp++) {
        struct eval_design d = *eval_design_find(EVAL_VIRT, "nested");
        struct eval_system *s = system_of(&d, thp, 40, 16);
        true_design = eval_design_find(EVAL_VIRT, "nested");
        d.walk = changed_walk;
        for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
            change = of[i];
            struct result_rtl r = look(&c, &d, s, NULL, false, 8);
            cr_expect_eq(r.mismatches, i != 0, "change %u was not seen", i);
            cr_expect(i == 0 ? r.walks > 100 : r.walks == 1, "change %u: the window goes on for %lu walks", i,
                      (unsigned long)r.walks);
            cr_expect_eq(r.clocks_equal == r.walks, change != late && change != fault, "change %u", i);
        }
        eval_system_free(s);
    }
}

Test(spoilt, report, .init = cr_redirect_stderr)
{
    char text[8192];

    differ(EVAL_VIRT, "pvdmt", false, slower, "a clock more of each reference");
    fflush(stderr);
    size_t n = fread(text, 1, sizeof text - 1, cr_get_redirected_stderr());
    text[n] = '\0';
    static const char *const parts[] = {
        "dmt: RTL (configuration default) and simulator differ: pvdmt, virt, window 0, walk 0 of it, ",
        " of va 0x0000",
        "  clocks: expected ",
        ", got ",
        "  read expected: address clocks       got\n",
        "stage 1 level 1 TEA = 0x",
        "stage 0 level 1 TEA = 0x",
        "  repeat it: dmt sim --workload test --design pvdmt --out $(mktemp -d)\n",
    };
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        cr_expect(strstr(text, parts[i]) != NULL, "the report lacks '%s':\n%s", parts[i], text);
    }
    cr_expect(strstr(text, "address: expected") == NULL, "the address does not differ");
}
