/* SPDX-License-Identifier: Apache-2.0
 * dmt bench: exact clocks of a walk beyond memory, throughput, and the speed
 * of simulation as ratios. Clocks are checked against docs/microarchitecture.md
 * section 4; speeds depend on the machine and are only shown. */
#include "bench.h"
#include "cmd.h"

#include "dmt/cycle.h"
#include "dmt/regs.h"
#include "dmt/table.h"
#include "io.h"
#include "tb/cosim.h"
#include "tb/rng.h"
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEGIN "<!-- bench: begin -->\n"
#define END   "<!-- bench: end -->\n"

#define LEAF_FLAGS  (DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | DMT_PTE_A | DMT_PTE_D)
#define TABLE_PAGES 512u /* entries of a table */
#define FIRST_FRAME 0x100u
#define LAST_FRAME  0x100000u /* 4 GiB, so that the smallest configuration could run it too */

#define THROUGHPUT_WALKS  100000u
#define THROUGHPUT_TABLES 64u
#define THROUGHPUT_GOAL   0.95

/* Short rounds in turn, so that a ratio within a round sees the same load from other processes. */
#define SPEED_CLOCKS 100000u
#define SPEED_ROUNDS 21

#define ARCH_TABLES 512u /* 1 GiB of 4 KiB pages */
#define ARCH_WALKS  500000u

static const unsigned latencies[] = {1, 4, 8, 16, 32};
#define LATENCIES (sizeof latencies / sizeof *latencies)

/* ------------------------------------------------------------ clocks of one walk */

/* What a measured request meets on its way. */
struct shape {
    const char *name, *formula;
    unsigned levels; /* of the radix table */
    unsigned sz;     /* of the page */
    unsigned probes; /* TEA registers of different sizes that match */
    bool hit;        /* the one of size sz decides */
    unsigned cached; /* upper entries in paging-structure caches: 1 PML4E, 2 PDPTE, 3 PDE */
    bool gp;
};

static const struct shape shapes[] = {
    {"DMT walk", "L + 2", 4, DMT_SIZE_4K, 1, true, 0, false},
    {"DMT walk, 2 sizes, the 1st decides (2M page)", "L + 2", 4, DMT_SIZE_2M, 2, true, 0, false},
    {"DMT walk, 2 sizes, the 2nd decides (4K page)", "L + 3", 4, DMT_SIZE_4K, 2, true, 0, false},
    {"DMT walk, 3 sizes, the 1st decides (1G page)", "L + 2 (L = 1: L + 3)", 4, DMT_SIZE_1G, 3, true, 0, false},
    {"DMT walk, 3 sizes, the 2nd decides (2M page)", "L + 3 (L = 1: L + 4)", 4, DMT_SIZE_2M, 3, true, 0, false},
    {"DMT walk, 3 sizes, the 3rd decides (4K page)", "L + 4 (L = 1: L + 5)", 4, DMT_SIZE_4K, 3, true, 0, false},
    {"x86 walk, 2 references (1G page)", "2(L + 1) + 1", 4, DMT_SIZE_1G, 0, false, 0, false},
    {"x86 walk, 3 references (2M page)", "3(L + 1) + 1", 4, DMT_SIZE_2M, 0, false, 0, false},
    {"x86 walk, 4 references (4K page)", "4(L + 1) + 1", 4, DMT_SIZE_4K, 0, false, 0, false},
    {"x86 walk, 5 references (5 levels)", "5(L + 1) + 1", 5, DMT_SIZE_4K, 0, false, 0, false},
    {"x86 walk from a cached PML4 entry", "3(L + 1) + 1", 4, DMT_SIZE_4K, 0, false, 1, false},
    {"x86 walk from a cached PDPT entry", "2(L + 1) + 1", 4, DMT_SIZE_4K, 0, false, 2, false},
    {"x86 walk from a cached PD entry", "(L + 1) + 1", 4, DMT_SIZE_4K, 0, false, 3, false},
    {"DMT miss, then x86 walk, 4 references", "5(L + 1) + 1", 4, DMT_SIZE_4K, 1, false, 0, false},
    {"address not canonical", "1", 4, DMT_SIZE_4K, 0, false, 0, true},
};

static unsigned references(const struct shape *s)
{
    if (s->gp)
        return 0;
    if (s->hit)
        return 1;
    return s->levels - s->sz - s->cached + (s->probes ? 1 : 0);
}

/* docs/microarchitecture.md section 4. */
static unsigned expected_clocks(const struct shape *s, unsigned latency)
{
    if (s->gp)
        return 1;
    if (s->hit) /* one clock for each size larger than sz; with L = 1 and three the first answer waits for the last address */
        return latency + 1 + s->probes - s->sz + (latency == 1 && s->probes == 3);
    return references(s) * (latency + 1) + 1;
}

/* The table of `level` that the walk of va reads, as a register over all it maps. */
static struct dmt_tea register_over(const struct dmt_table *t, uint64_t va, unsigned sz)
{
    struct dmt_tea tea = {.sz = (uint8_t)sz, .kind = DMT_KIND_PA, .allow = 7, .valid = true};
    struct dmt_lookup l;

    dmt_table_lookup(t, va, &l);
    tea.pages = (uint64_t)TABLE_PAGES << 9 * sz;
    tea.base_vpn = (va >> 12) & ~(tea.pages - 1);
    tea.base_pfn = l.addr[sz + 1] >> 12;
    return tea;
}

static void native_state(struct dmt_state *state, unsigned pa_w, const struct dmt_table *t)
{
    dmt_state_reset(state, pa_w);
    state->mode = DMT_MODE_NATIVE;
    state->level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
    state->level[0].cr3 = t->root << 12;
    state->level[0].cr4 = t->levels == 5 ? DMT_LEVEL_CR4_LA57_MASK : 0;
    state->level[0].efer = DMT_LEVEL_EFER_NXE_MASK;
}

/* Address whose walk shares `cached` upper entries with that of va. */
static uint64_t neighbour(uint64_t va, unsigned cached)
{
    static const unsigned bit[] = {39, 30, 21, 12};

    return va ^ 1ull << bit[cached];
}

/* Memory, table and registers of a shape; then its clocks on the RTL. */
static bool measure(struct bench *b, const struct shape *s, unsigned latency, struct single_log *log,
                    struct dmt_result *r)
{
    const struct dut_ops *rtl = dut_rtl_find("default");
    struct dmt_mem *mem = dmt_mem_new();
    struct dmt_pool pool = {.mem = mem, .next = FIRST_FRAME, .limit = LAST_FRAME};
    struct dmt_frames frames = {&pool, dmt_pool_alloc};
    struct dmt_request q = {.va = 0x7f5a81234abcull, .access = DMT_ACCESS_READ, .cpl = 3};
    uint64_t page = q.va & ~((1ull << (12 + 9 * s->sz)) - 1), empty;
    uint64_t other = neighbour(page, s->cached);
    struct single *dut = NULL;
    struct dmt_state state;
    struct dmt_table t;
    bool ok = false;

    if (!mem || !dmt_table_new(&t, mem, s->levels, &frames) ||
        dmt_table_map(&t, page, 0x40000000, s->sz, LEAF_FLAGS & ~DMT_PTE_P, &frames) != DMT_MAP_OK ||
        dmt_table_map(&t, other, 0x80000000, s->sz, LEAF_FLAGS & ~DMT_PTE_P, &frames) != DMT_MAP_OK ||
        !dmt_pool_alloc(&pool, 1, &empty)) {
        bench_fail(b, "no memory for a page table");
        goto out;
    }
    native_state(&state, rtl->config.pa_w, &t);
    for (unsigned i = 0; i < s->probes; i++) {
        state.tea[0][i] = register_over(&t, q.va, i < s->sz ? s->sz : i);
        state.tea[0][i].sz = (uint8_t)i;
        if (!s->hit || i < s->sz) /* nothing is there */
            state.tea[0][i].base_pfn = empty;
    }
    dut = single_new(rtl, NULL, mem, latency, true);
    if (!dut || !single_load(dut, &state)) {
        bench_fail(b, cosim_error());
        goto out;
    }
    if (s->cached) {
        struct dmt_request first = q;

        first.va = other;
        if (!single_translate(dut, &first, r, log)) {
            bench_fail(b, cosim_error());
            goto out;
        }
    }
    if (s->gp)
        q.va ^= 1ull << 63;
    if (!single_translate(dut, &q, r, log)) {
        bench_fail(b, cosim_error());
        goto out;
    }
    if (r->status != (s->gp ? DMT_STATUS_GP : DMT_STATUS_OK) || r->refs != references(s)) {
        bench_fail(b, "a walk did not go the way it should have");
        goto out;
    }
    ok = true;
out:
    single_free(dut);
    dmt_mem_free(mem);
    return ok;
}

static bool bench_clocks(struct bench *b)
{
    fprintf(
        b->text,
        "### Clocks from request taken to answer\n\n"
        "Measured on the RTL (configuration default), one request at a time. L is the memory's latency.\n\n"
        "| walk | clocks |");
    for (unsigned i = 0; i < LATENCIES; i++)
        fprintf(b->text, " L = %u |", latencies[i]);
    fprintf(b->text, " beyond memory |\n|---|---|");
    for (unsigned i = 0; i < LATENCIES; i++)
        fprintf(b->text, "---:|");
    fprintf(b->text, "---:|\n");
    for (const struct shape *s = shapes; s < shapes + sizeof shapes / sizeof *shapes; s++) {
        unsigned least = UINT32_MAX, most = 0;

        fprintf(b->text, "| %s | %s |", s->name, s->formula);
        for (unsigned i = 0; i < LATENCIES; i++) {
            unsigned want = expected_clocks(s, latencies[i]), beyond;
            struct single_log log;
            struct dmt_result r;

            if (!measure(b, s, latencies[i], &log, &r))
                return false;
            beyond = log.clocks - references(s) * latencies[i];
            if (s->hit && s->probes == 1 && beyond > b->dmt_beyond)
                b->dmt_beyond = beyond;
            if (!s->hit && !s->gp && beyond - references(s) > b->x86_beyond)
                b->x86_beyond = beyond - references(s);
            least = beyond < least ? beyond : least;
            most = beyond > most ? beyond : most;
            fprintf(b->text, " %" PRIu32, log.clocks);
            if (log.clocks != want) {
                fprintf(b->text, " (**expected %u**)", want);
                b->wrong++;
            }
            fprintf(b->text, " |");
        }
        if (least == most)
            fprintf(b->text, " %u |\n", least);
        else
            fprintf(b->text, " %u to %u |\n", least, most);
    }
    fprintf(b->text, "\n");
    return true;
}

/* ------------------------------------------------------------ throughput */

/* Endless reads of random pages under one TEA register. */
struct pages {
    struct rng rng;
    struct dmt_request request;
};

static bool next_page(void *user, struct cosim_item *item)
{
    struct pages *p = user;

    p->request.va = rng_below(&p->rng, THROUGHPUT_TABLES * TABLE_PAGES) << 12;
    *item = (struct cosim_item){.request = p->request};
    return true;
}

static void rewind_pages(void *user)
{
    rng_seed(&((struct pages *)user)->rng, 1, 0);
}

static bool run_throughput(struct bench *b, const struct dut_ops *rtl, struct cosim_source *source,
                           unsigned latency)
{
    struct cosim_options o = {.dut = rtl, .source = source, .walks = THROUGHPUT_WALKS, .waves_dir = ""};
    struct cosim_stats stats;
    bool enough = rtl->config.ctx_n >= bench_contexts(&rtl->config, latency);
    char profile[32];
    double rate;

    snprintf(profile, sizeof profile, "fixed-%u", latency);
    o.profile = profile;
    source->rewind(source->user);
    if (cosim_run(&o, &stats) != COSIM_OK)
        return bench_fail(b, cosim_error());
    if (stats.path[DMT_PATH_TEA] != stats.walks)
        return bench_fail(b, "a walk did not go the way it should have");
    rate = (double)stats.walks / (double)stats.cycles;
    if (enough && rate < THROUGHPUT_GOAL)
        b->wrong++;
    if (enough && (b->rate <= 0 || rate < b->rate))
        b->rate = rate;
    fprintf(b->text, "| %s | %u | %u | %.3f | %s |\n", rtl->name + strlen("rtl-"), rtl->config.ctx_n, latency,
            rate,
            !enough                   ? "too few contexts"
            : rate >= THROUGHPUT_GOAL ? "at least 0.95"
                                      : "**below 0.95**");
    return true;
}

static bool bench_throughput(struct bench *b)
{
    static const unsigned at[] = {1, 4, 6, 8, 16, 32, 62, 100};
    struct dmt_mem *mem = dmt_mem_new();
    struct dmt_pool pool = {.mem = mem, .next = FIRST_FRAME, .limit = LAST_FRAME};
    struct dmt_frames frames = {&pool, dmt_pool_alloc};
    struct pages pages = {.request = {.access = DMT_ACCESS_READ, .cpl = 3}};
    struct dmt_state state;
    struct cosim_source source = {
        .user = &pages, .mem = mem, .state = &state, .next = next_page, .rewind = rewind_pages};
    struct dmt_table t;
    uint64_t tea;
    bool ok = mem && dmt_table_new(&t, mem, 4, &frames) && dmt_pool_alloc(&pool, THROUGHPUT_TABLES, &tea);

    if (!ok) {
        dmt_mem_free(mem);
        return bench_fail(b, "no memory for a page table");
    }
    for (unsigned i = 0; i < THROUGHPUT_TABLES * TABLE_PAGES; i++)
        dmt_mem_write(mem, (tea << 12) + 8ull * i, (0x80000ull + i) << 12 | LEAF_FLAGS);

    fprintf(b->text,
            "### DMT translations a clock\n\n%u translations, memory that takes a request every clock and "
            "answers L clocks later; register writes at the start included. It takes L + 2 contexts, or L + 6 with "
            "PIPE = 1, to hide L.\n\n"
            "| configuration | contexts | L | translations a clock | |\n|---|---:|---:|---:|---|\n",
            THROUGHPUT_WALKS);
    for (const struct dut_ops *const *d = dut_rtl; ok && *d; d++) {
        native_state(&state, (*d)->config.pa_w, &t);
        state.tea[0][0] = (struct dmt_tea){
            .pages = THROUGHPUT_TABLES * TABLE_PAGES, .base_pfn = tea, .allow = 7, .valid = true};
        /* Up to the first latency that the contexts do not hide. */
        for (unsigned i = 0; ok && i < sizeof at / sizeof *at; i++) {
            ok = run_throughput(b, *d, &source, at[i]);
            if (bench_contexts(&(*d)->config, at[i]) > (*d)->config.ctx_n)
                break;
        }
    }
    dmt_mem_free(mem);
    fprintf(b->text, "\n");
    return ok;
}

/* ------------------------------------------------------------ speed of simulation */

/* Processor time, so that other processes do not count. */
static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The inputs of every clock of a run, to drive engines without a harness. */
static struct tape {
    const struct dut_ops *rtl;
    struct dmt_in *in;
    bool *rst;
    size_t n;
} tape;

static void *tape_create(const struct dmt_config *config)
{
    return tape.rtl->create(config);
}

static void tape_destroy(void *self)
{
    tape.rtl->destroy(self);
}

static const struct dmt_out *tape_out(void *self)
{
    return tape.rtl->out(self);
}

static void tape_edge(void *self, const struct dmt_in *in, bool rst)
{
    if (tape.n < SPEED_CLOCKS) {
        tape.in[tape.n] = *in;
        tape.rst[tape.n++] = rst;
    }
    tape.rtl->edge(self, in, rst);
}

static bool tape_trace_open(void *self, const char *path)
{
    (void)self;
    (void)path;
    return false;
}

static void tape_trace_close(void *self)
{
    (void)self;
}

static double replay_tape(struct bench *b, const struct dut_ops *ops)
{
    void *dut = ops->create(&tape.rtl->config);
    double start;

    if (!dut) {
        bench_fail(b, "out of memory");
        return 0;
    }
    start = seconds();
    for (size_t i = 0; i < tape.n; i++)
        ops->edge(dut, &tape.in[i], tape.rst[i]);
    start = seconds() - start;
    ops->destroy(dut);
    return start;
}

static double run_speed(struct bench *b, const struct dut_ops *reference, bool judge)
{
    struct cosim_options o = {.dut = tape.rtl,
                              .reference = reference,
                              .judge = judge,
                              .seed = 1,
                              .cycles = SPEED_CLOCKS,
                              .changes = true,
                              .waves_dir = ""};
    double start = seconds();

    if (cosim_run(&o, NULL) != COSIM_OK) {
        bench_fail(b, "a lockstep run did not end well");
        return 0;
    }
    return seconds() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median over the rounds: of t, or of the ratio of `to` to t. */
static double median(const double *t, const double *to)
{
    double sorted[SPEED_ROUNDS];

    for (unsigned i = 0; i < SPEED_ROUNDS; i++)
        sorted[i] = to ? to[i] / t[i] : t[i];
    qsort(sorted, SPEED_ROUNDS, sizeof *sorted, by_value);
    return sorted[SPEED_ROUNDS / 2];
}

static void speed_row(struct bench *b, const char *name, const double *t, const double *rtl)
{
    fprintf(b->text, "| %s | %.0f | %.2f |\n", name, SPEED_CLOCKS / median(t, NULL) / 1000, median(t, rtl));
}

static bool bench_speed(struct bench *b)
{
    struct dut_ops recorder = {.name = "rtl-default",
                               .create = tape_create,
                               .destroy = tape_destroy,
                               .out = tape_out,
                               .edge = tape_edge,
                               .trace_open = tape_trace_open,
                               .trace_close = tape_trace_close};
    struct cosim_options record = {
        .dut = &recorder, .seed = 1, .cycles = SPEED_CLOCKS, .changes = true, .waves_dir = ""};
    double alone[SPEED_ROUNDS], pins[SPEED_ROUNDS], judged[SPEED_ROUNDS], rtl[SPEED_ROUNDS],
        cycle[SPEED_ROUNDS];

    tape.rtl = dut_rtl_find("default");
    recorder.config = tape.rtl->config;
    tape.in = malloc(SPEED_CLOCKS * sizeof *tape.in);
    tape.rst = malloc(SPEED_CLOCKS * sizeof *tape.rst);
    if (!tape.in || !tape.rst)
        bench_fail(b, "out of memory");
    else if (cosim_run(&record, NULL) != COSIM_OK)
        bench_fail(b, cosim_error());
    for (unsigned i = 0; !b->why && i < SPEED_ROUNDS; i++) {
        alone[i] = run_speed(b, NULL, false);
        pins[i] = run_speed(b, &dut_cycle, false);
        judged[i] = run_speed(b, &dut_cycle, true);
        rtl[i] = replay_tape(b, tape.rtl);
        cycle[i] = replay_tape(b, &dut_cycle);
    }
    free(tape.in);
    free(tape.rst);
    if (b->why)
        return false;

    fprintf(
        b->text,
        "### Speed of simulation\n\n%u clocks of random traffic (seed 1, configuration default), processor "
        "time, median of %u rounds.\n\n| what runs | thousand clocks a second | to the RTL alone "
        "|\n|---|---:|---:|\n",
        SPEED_CLOCKS, SPEED_ROUNDS);
    speed_row(b, "RTL alone, driven by the harness", alone, alone);
    speed_row(b, "lockstep: RTL, cycle model, every pin compared", pins, alone);
    speed_row(b, "lockstep, and every answer and bus beat judged by the architectural model", judged, alone);
    fprintf(b->text, "\nThe same inputs out of an array, no harness:\n\n"
                     "| what runs | thousand clocks a second | to the RTL alone |\n|---|---:|---:|\n");
    speed_row(b, "RTL alone", rtl, rtl);
    speed_row(b, "cycle model alone", cycle, rtl);
    fprintf(b->text, "\n");
    b->lockstep = median(judged, alone);
    b->cycle = median(cycle, rtl);
    return true;
}

/* ------------------------------------------------------------ architectural model */

static enum dmt_resp arch_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    return !dmt_mem_read(user, ref->addr, data) ? DMT_RESP_DECERR
           : ref->exclusive                     ? DMT_RESP_EXOKAY
                                                : DMT_RESP_OKAY;
}

static enum dmt_resp arch_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return dmt_mem_write(user, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

/* Seconds for translations of these pages, each from scratch; 0: one went wrong. */
static double arch_seconds(const struct dmt_state *state, struct dmt_mem *mem, uint8_t path,
                           const uint64_t *va)
{
    const struct dmt_port port = {.user = mem, .read = arch_read, .write = arch_write};
    double start = seconds();

    for (unsigned i = 0; i < ARCH_WALKS; i++) {
        struct dmt_request q = {.va = va[i], .access = DMT_ACCESS_READ, .cpl = 3};
        struct dmt_result r;

        dmt_arch_translate(state, &q, &port, &r);
        if (r.status != DMT_STATUS_OK || r.path[0] != path)
            return 0;
    }
    return seconds() - start;
}

static bool bench_arch(struct bench *b)
{
    struct dmt_mem *mem = dmt_mem_new();
    struct dmt_pool pool = {.mem = mem, .next = FIRST_FRAME, .limit = LAST_FRAME};
    struct dmt_frames frames = {&pool, dmt_pool_alloc};
    uint64_t *va = malloc(ARCH_WALKS * sizeof *va);
    double x86[SPEED_ROUNDS], dmt[SPEED_ROUNDS];
    struct dmt_state state, with_register;
    struct dmt_table t;
    struct rng rng;
    uint64_t tea;
    bool right = true,
         ok = mem && va && dmt_table_new(&t, mem, 4, &frames) && dmt_pool_alloc(&pool, ARCH_TABLES, &tea);

    for (uint64_t i = 0; ok && i < ARCH_TABLES * TABLE_PAGES; i++) {
        uint64_t entry = (0x80000 + i) << 12;

        ok = dmt_table_map(&t, i << 12, entry, DMT_SIZE_4K, LEAF_FLAGS & ~DMT_PTE_P, &frames) == DMT_MAP_OK &&
             dmt_mem_write(mem, (tea << 12) + 8 * i, entry | LEAF_FLAGS);
    }
    if (ok) {
        rng_seed(&rng, 1, 0);
        for (unsigned i = 0; i < ARCH_WALKS; i++)
            va[i] = rng_below(&rng, ARCH_TABLES * TABLE_PAGES) << 12;
        native_state(&state, 52, &t);
        with_register = state;
        with_register.tea[0][0] =
            (struct dmt_tea){.pages = ARCH_TABLES * TABLE_PAGES, .base_pfn = tea, .allow = 7, .valid = true};
        for (unsigned i = 0; i < SPEED_ROUNDS; i++) {
            x86[i] = arch_seconds(&state, mem, DMT_PATH_RADIX, va);
            dmt[i] = arch_seconds(&with_register, mem, DMT_PATH_TEA, va);
            right &= x86[i] > 0 && dmt[i] > 0;
        }
    }
    dmt_mem_free(mem);
    free(va);
    if (!ok)
        return bench_fail(b, "no memory for a page table");
    if (!right)
        return bench_fail(b, "a walk did not go the way it should have");
    fprintf(b->text,
            "### Architectural model\n\n%u random 4K pages of 1 GiB, every translation from the root, one "
            "core.\n\n"
            "| walk | million translations a second |\n|---|---:|\n"
            "| x86, 4 references | %.2f |\n| DMT, 1 reference | %.2f |\n\n",
            ARCH_WALKS, ARCH_WALKS / median(x86, NULL) / 1e6, ARCH_WALKS / median(dmt, NULL) / 1e6);
    b->arch = ARCH_WALKS / median(x86, NULL) / 1e6;
    return true;
}

/* ------------------------------------------------------------ summary */

static void summary(struct bench *b)
{
    fprintf(b->text,
            "### Asked and measured\n\n| number | asked | measured |\n|---|---:|---:|\n"
            "| clocks beyond memory, DMT walk | at most 2 | %u |\n"
            "| clocks beyond memory, x86 walk: 1 a reference and | at most 1 | %u |\n"
            "| the same, walks of two and three stages | at most 1 | %u |\n"
            "| of them with guest tables in guest memory (KIND PA) | at most 1 | %u |\n"
            "| DMT translations a clock, contexts that hide L | at least 0.95 | %.3f |\n"
            "| pvDMT translations a clock, virtualized | at least 0.45 | %.3f |\n"
            "| pvDMT translations a clock, nested | at least 0.30 | %.3f |\n"
            "| lockstep, everything judged, to the RTL alone | at least 0.40 | %.2f |\n"
            "| cycle model alone to RTL alone | at least 2.00 | %.2f |\n"
            "| architectural model, million cold translations a second | at least 2.00 | %.2f |\n"
            "| walks served by TEAs where clusters fit the registers, per cent | at least 99 | %.2f |\n"
            "| CSR writes of a context switch with set load | at most 2 | %u |\n"
            "| the same without | 48 and CR3 | %u |\n"
            "| kernel model, million operations and faults a second | at least 1.00 | %.2f |\n",
            b->dmt_beyond, b->x86_beyond, b->stages_beyond, b->plain_beyond, b->rate, b->virt_rate, b->nested_rate,
            b->lockstep, b->cycle, b->arch, b->fits, b->switch_load, b->switch_single, b->kernel);
}

/* ------------------------------------------------------------ into a document */

/* The whole file as text, or NULL after saying why. */
static char *read_text(const char *path)
{
    struct in *in = in_open(path);
    char *text = NULL;
    size_t n = 0, got = 1;

    if (!in)
        return NULL;
    while (got) {
        char *more = realloc(text, n + 4096 + 1);

        if (!more)
            abort();
        text = more;
        if (!in_read(in, text + n, 4096, &got)) {
            free(text);
            in_close(in);
            return NULL;
        }
        n += got;
    }
    text[n] = '\0';
    in_close(in);
    return text;
}

/* A document that gets the report between its markers. */
struct document {
    const char *path;
    char *text, *begin, *end;
};

/* False after saying why. */
static bool document_open(struct document *d)
{
    d->text = read_text(d->path);
    if (!d->text)
        return false;
    d->begin = strstr(d->text, BEGIN);
    d->end = d->begin ? strstr(d->begin, END) : NULL;
    if (!d->end)
        say("%s: expected a line '%.*s' and after it a line '%.*s'", d->path, (int)strlen(BEGIN) - 1, BEGIN,
            (int)strlen(END) - 1, END);
    return d->end;
}

static bool document_write(const struct document *d, const char *report)
{
    struct out *out = out_open(d->path);

    if (!out)
        return false;
    out_write(out, d->text, (size_t)(d->begin - d->text) + strlen(BEGIN));
    out_write(out, report, strlen(report));
    out_write(out, d->end, strlen(d->end));
    return out_commit(out);
}

static void machine(FILE *to)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];

    fprintf(to, "Measured on ");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) == 0 && colon) {
            fprintf(to, "one core of %.*s; ", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (f)
        fclose(f);
    fprintf(to, "compiled with gcc %s -O2.\n\n", __VERSION__);
}

/* ------------------------------------------------------------ command */

static const struct argp_option option_list[] = {
    {"docs", 'd', "FILE", 0, "Write the report between the bench markers of FILE too", 0}, {0}};

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    const char **docs = a->input;

    switch (key) {
    case 'd':
        *docs = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(a, "'%s' is not an option", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    option_list,
    parse_option,
    NULL,
    "Measure clocks of walks beyond memory and translations a clock on the RTL, and the speed of simulation. "
    "Exit status 1 when clocks are not what docs/microarchitecture.md says; speeds are only shown."
    "\vExample:\n  dmt bench --docs docs/performance.md",
    NULL,
    NULL,
    NULL};

int cmd_bench(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*run)(struct bench *b);
    } parts[] = {{"clocks of a walk", bench_clocks},
                 {"translations a clock", bench_throughput},
                 {"walks of two and three stages", bench_stages},
                 {"speed of simulation", bench_speed},
                 {"architectural model", bench_arch},
                 {"software", bench_software}};
    struct document docs = {0};
    struct bench b = {0};
    char *report = NULL;
    int code = EXIT_BAD_INPUT;
    size_t size;

    argp_parse(&argp, argc, argv, 0, NULL, &docs.path);
    if (docs.path && !document_open(&docs))
        goto out;
    b.text = open_memstream(&report, &size);
    if (!b.text) {
        say("out of memory");
        goto out;
    }
    machine(b.text);
    for (unsigned i = 0; !b.why && i < sizeof parts / sizeof *parts; i++) {
        fprintf(stderr, "bench: %s\n", parts[i].name);
        parts[i].run(&b);
    }
    summary(&b);
    if (fclose(b.text) != 0)
        b.why = "out of memory";
    if (b.why) {
        say("bench: %s", b.why);
        code = EXIT_CHECK;
        goto out;
    }
    fputs(report, stdout);
    if (b.wrong) {
        say("bench: %u results are not what docs/microarchitecture.md says", b.wrong);
        code = EXIT_CHECK;
    } else if ((!docs.path || document_write(&docs, report)) && fflush(stdout) == 0) {
        code = EXIT_OK;
    }
out:
    free(docs.text);
    free(report);
    return code;
}
