/* SPDX-License-Identifier: Apache-2.0
 * Second stages, gTEAs and the composition of stages: docs/specification.md,
 * sections 3 to 12, on the architectural model, and every combination of
 * stages on the cycle model and the RTL besides. */
#include "cells.h"
#include "dmt/regs.h"
#include "tb/cosim.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAXPA 52
#define LOG   1024

/* Bits of entries: IA-32e and NPT, EPT. */
#define E_P    1ull
#define E_W    2ull
#define E_U    4ull
#define E_A    0x20ull
#define E_D    0x40ull
#define E_PS   0x80ull
#define E_XD   (1ull << 63)
#define EPT_R  1ull
#define EPT_W  2ull
#define EPT_X  4ull
#define EPT_A  0x100ull
#define EPT_D  0x200ull
#define EPT_XU 0x400ull

/* Bits of codes: exit qualification, EXITINFO1. */
enum {
    Q_READ = 1,
    Q_WRITE = 2,
    Q_FETCH = 4,
    Q_R = 8,
    Q_W = 16,
    Q_X = 32,
    Q_XU = 64,
    Q_LINEAR = 128,
    Q_FINAL = 256
};
#define I_P     1ull
#define I_WRITE 2ull
#define I_USER  4ull
#define I_RSV   8ull
#define I_FETCH 16ull
#define I_FINAL (1ull << 32)
#define I_TABLE (1ull << 33)

struct access {
    struct dmt_ref ref;
    bool write;
    uint64_t data;
};

struct bench {
    struct cell_world w;
    struct dmt_result r;
    struct access log[LOG];
    unsigned n, reads, writes;
    uint64_t monitor;
    unsigned stop_at; /* access that gets STOP, from 1; 0: none */
    struct {
        unsigned at;
        uint64_t pa, value;
    } poke;                 /* before access `at`, from 1 */
    bool cache, start_hits; /* give the port its callbacks; start finds: */
    uint8_t start_stage, start_level, start_rights;
    uint64_t start_table;
    struct {
        uint8_t stage, level, rights;
        uint64_t va, table;
        unsigned at;
    } fill[LOG], asked[LOG];
    unsigned fills, asks;
};

static enum dmt_resp act(struct bench *b, const struct dmt_ref *ref, bool write, uint64_t *data)
{
    uint64_t old;

    cr_assert_lt(b->n, LOG);
    b->log[b->n++] = (struct access){*ref, write, write ? *data : 0};
    if (b->poke.at == b->n)
        dmt_mem_write(b->w.mem, b->poke.pa, b->poke.value);
    if (b->stop_at)
        cr_assert_leq(b->n, b->stop_at, "called after STOP");
    if (b->n == b->stop_at)
        return DMT_RESP_STOP;
    if (!dmt_mem_read(b->w.mem, ref->addr, &old))
        return DMT_RESP_DECERR;
    if (!write) {
        *data = b->log[b->n - 1].data = old;
        b->monitor = ref->exclusive ? ref->addr : b->monitor;
        return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
    }
    cr_assert(ref->exclusive && b->monitor == ref->addr);
    dmt_mem_write(b->w.mem, ref->addr, *data);
    return DMT_RESP_EXOKAY;
}

static enum dmt_resp do_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct bench *b = user;

    b->reads++;
    return act(b, ref, false, data);
}

static enum dmt_resp do_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct bench *b = user;

    b->writes++;
    return act(b, ref, true, &data);
}

static bool do_start(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table, uint8_t *rights)
{
    struct bench *b = user;

    cr_assert_lt(b->asks, LOG);
    b->asked[b->asks].stage = stage;
    b->asked[b->asks].at = b->n;
    b->asked[b->asks++].va = va;
    if (!b->start_hits || stage != b->start_stage)
        return false;
    *level = b->start_level;
    *table = b->start_table;
    *rights = b->start_rights;
    return true;
}

static void do_fill(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights)
{
    struct bench *b = user;

    cr_assert_lt(b->fills, LOG);
    b->fill[b->fills].stage = stage;
    b->fill[b->fills].va = va;
    b->fill[b->fills].level = level;
    b->fill[b->fills].table = table;
    b->fill[b->fills].at = b->n;
    b->fill[b->fills++].rights = rights;
}

static const struct dmt_result *go(struct bench *b)
{
    struct dmt_port port = {.user = b, .read = do_read, .write = do_write};

    if (b->cache) {
        port.start = do_start;
        port.fill = do_fill;
    }
    b->n = b->reads = b->writes = b->fills = b->asks = 0;
    b->monitor = 0;
    memset(&b->r, 0xa5, sizeof b->r);
    dmt_arch_translate(&b->w.state, &b->w.request, &port, &b->r);
    if (!b->stop_at)
        cr_assert_eq(b->r.reads, b->reads);
    return &b->r;
}

static uint64_t peek(const struct bench *b, uint64_t pa)
{
    uint64_t v = 0;

    cr_assert(dmt_mem_read(b->w.mem, pa, &v), "no memory at %" PRIx64, pa);
    return v;
}

static void poke(struct bench *b, uint64_t pa, uint64_t v)
{
    dmt_mem_add(b->w.mem, pa >> 12);
    dmt_mem_write(b->w.mem, pa, v);
}

/* Clear and set bits of an entry. */
static void change(struct bench *b, uint64_t pa, uint64_t clear, uint64_t set)
{
    poke(b, pa, (peek(b, pa) & ~clear) | set);
}

static void build_at(struct bench *b, const struct cell *c, unsigned maxpa)
{
    memset(b, 0, sizeof *b);
    cr_assert(cell_build(&b->w, c, maxpa));
}

static void build(struct bench *b, const struct cell *c)
{
    build_at(b, c, MAXPA);
}

/* A cell of four-level tables and 4K pages with these covers, from stage 0 up. */
static struct cell plain(uint8_t mode, bool full, uint8_t format, const char *cover)
{
    struct cell c = {.mode = mode, .full = full, .format = format};

    for (unsigned k = 0; cover[k]; k++) {
        c.stage[k].levels = 4;
        c.stage[k].cover = cover[k] == 'w' ? CELL_WALK : cover[k] == 'p' ? CELL_PA : CELL_GTEA;
    }
    return c;
}

/* A second-stage entry with its A or D bit as the format has it. */
static uint64_t bit_a(const struct bench *b, unsigned stage)
{
    return stage < b->w.entering && b->w.cell.format == DMT_FORMAT_EPT ? EPT_A : E_A;
}

static void set_ad(struct bench *b, bool ad)
{
    b->w.state.s2[0].ad = b->w.state.s2[1].ad = b->w.state.shadow.ad = ad;
}

static void expect_same(const struct bench *b, const struct dmt_result *x)
{
    const struct dmt_result *r = &b->r;
    const char *cell = cell_text(&b->w.cell);

    cr_assert_eq(r->status, x->status, "%s: status %u, expected %u (error %" PRIx64 " addr %" PRIx64 ")",
                 cell, r->status, x->status, r->error, r->addr);
    cr_assert_eq(r->pa, x->pa, "%s: pa %" PRIx64 ", expected %" PRIx64, cell, r->pa, x->pa);
    cr_assert_eq(r->size, x->size, "%s: size %u, expected %u", cell, r->size, x->size);
    cr_assert_eq(r->rights, x->rights, "%s: rights %x, expected %x", cell, r->rights, x->rights);
    cr_assert(r->global == x->global && r->pkey == x->pkey && r->dirty == x->dirty &&
                  r->ad_needed == x->ad_needed,
              "%s", cell);
    cr_assert_eq(r->memtype, x->memtype, "%s: memtype %x, expected %x", cell, r->memtype, x->memtype);
    cr_assert_eq(r->error, x->error, "%s: error %" PRIx64 ", expected %" PRIx64, cell, r->error, x->error);
    cr_assert_eq(r->addr, x->addr, "%s: addr %" PRIx64 ", expected %" PRIx64, cell, r->addr, x->addr);
    cr_assert_eq(r->stage, x->stage, "%s: stage %u, expected %u", cell, r->stage, x->stage);
    for (unsigned k = 0; k < DMT_SETS_MAX; k++)
        cr_assert(r->path[k] == x->path[k] && r->index[k] == x->index[k],
                  "%s: stage %u path %u index %u, expected %u and %u", cell, k, r->path[k], r->index[k],
                  x->path[k], x->index[k]);
    cr_assert_eq(r->refs, x->refs, "%s: refs %u, expected %u", cell, r->refs, x->refs);
    cr_assert_eq(r->reads, x->reads, "%s: reads %u, expected %u", cell, r->reads, x->reads);
    cr_assert_eq(r->updates, x->updates, "%s: updates %u, expected %u", cell, r->updates, x->updates);
}

/* The answer is a fault with these fields, and nothing else carries a value. */
static void expect_fault(const struct bench *b, uint8_t status, unsigned stage, uint64_t addr, uint64_t error)
{
    const struct dmt_result *r = &b->r;
    const char *cell = cell_text(&b->w.cell);

    cr_assert_eq(r->status, status, "%s: status %u, expected %u", cell, r->status, status);
    cr_assert_eq(r->error, error, "%s: error %" PRIx64 ", expected %" PRIx64, cell, r->error, error);
    cr_assert_eq(r->stage, stage, "%s: stage %u, expected %u", cell, r->stage, stage);
    cr_assert_eq(r->addr, addr, "%s: addr %" PRIx64 ", expected %" PRIx64, cell, r->addr, addr);
    cr_assert(!r->pa && !r->size && !r->rights && !r->global && !r->pkey && !r->memtype && !r->dirty &&
              !r->ad_needed);
}

static void expect_ref(const struct bench *b, unsigned i, const struct cell_read *x, bool exclusive,
                       bool write)
{
    const struct access *l = &b->log[i];

    cr_assert_lt(i, b->n);
    cr_assert(l->ref.addr == x->addr && l->ref.stage == x->stage && l->ref.level == x->level &&
                  l->ref.tea == x->tea && l->ref.exclusive == exclusive && l->write == write,
              "%s: access %u is %" PRIx64 " stage %u level %u tea %d exclusive %d write %d, expected %" PRIx64
              " stage %u level %u",
              cell_text(&b->w.cell), i, l->ref.addr, l->ref.stage, l->ref.level, l->ref.tea, l->ref.exclusive,
              l->write, x->addr, x->stage, x->level);
    cr_assert_eq(l->ref.index, x->tea ? 3 : 0);
}

/* ---------------------------------------------------------------- every combination */

/* NATIVE: 2 covers * 2 levels * 3 sizes. VIRT: times 18 of stage 1, two formats. NESTED FULL: times 18 of
 * stage 2; SHADOW: stage 0 does not vary below the six shadow tables of the 18. */
#define CELLS (12 + 2 * 12 * 18 + 2 * (12 * 18 * 18 + (12 * 12 + 6) * 18))

Test(cells, reads_and_answers_of_every_combination)
{
    static struct bench b;
    struct cell_read x[CELL_READS_MAX];
    struct dmt_result answer;
    unsigned count = 0, most = 0;
    struct cell c;

    cell_first(&c);
    do {
        build(&b, &c);
        unsigned n = cell_reads(&b.w, x);

        cr_assert_eq(n, cell_refs(&c), "%s", cell_text(&c));
        answer = cell_answer(&b.w);
        go(&b);
        expect_same(&b, &answer);
        cr_assert_eq(b.n, n);
        for (unsigned i = 0; i < n; i++)
            expect_ref(&b, i, &x[i], false, false);
        most = n > most ? n : most;
        cell_unbuild(&b.w);
        count++;
    } while (cell_next(&c));
    cr_assert_eq(count, CELLS, "%u cells", count);
    cr_assert_eq(most, 215, "five levels thrice");
}

/* The same on pins, without caches: the same answers and reads, and the latency that microarchitecture 4
 * states: n (L + 1) + 1 clocks, one more for each KIND PA register of a set above 0. Every `stride`th cell.
 */
static void cells_on_pins(const struct dut_ops *ops, const struct dmt_config *config)
{
    static struct cell_world w;
    static struct single_log log;
    struct cell_read x[CELL_READS_MAX];
    unsigned count = 0, n, located;
    struct dmt_result answer;
    static struct bench b;
    struct cell c;

    cell_first(&c);
    do {
        unsigned latency = 1 + count++ % 3;
        struct single *s;

        cr_assert(cell_build(&w, &c, config->pa_w));
        s = single_new(ops, config, w.mem, latency, true);
        cr_assert(s && single_load(s, &w.state), "%s: %s", cell_text(&c), cosim_error());
        cr_assert(single_translate(s, &w.request, &b.r, &log), "%s: %s", cell_text(&c), cosim_error());
        b.w = w;
        answer = cell_answer(&w);
        expect_same(&b, &answer);
        n = cell_reads(&w, x);
        cr_assert_eq(log.n, n);
        located = 0;
        for (unsigned i = 0; i < n; i++) {
            const struct single_event *e = &log.event[i];

            cr_assert(!e->write && e->ref.addr == x[i].addr && e->ref.stage == x[i].stage &&
                          e->ref.level == x[i].level && e->ref.tea == x[i].tea && !e->ref.exclusive,
                      "%s: read %u", cell_text(&c), i);
            located += x[i].tea && x[i].stage > 0 && c.stage[x[i].stage].cover == CELL_PA;
        }
        cr_assert_eq(log.clocks, n * (latency + 1) + 1 + located, "%s: %u clocks", cell_text(&c), log.clocks);
        single_free(s);
        cell_unbuild(&w);
    } while (cell_next(&c));
    cr_assert_eq(count, CELLS);
}

Test(cells, on_the_cycle_model)
{
    cells_on_pins(&dut_cycle, &dut_rtl_find("uncached")->config);
}

Test(cells, on_the_rtl)
{
    const struct dut_ops *rtl = dut_rtl_find("uncached");

    cells_on_pins(rtl, &rtl->config);
}

/* The table of section 3. */
Test(cells, figures_of_the_specification)
{
    static const struct {
        uint8_t mode;
        bool full;
        const char *cover;
        unsigned refs;
    } row[] = {
        {DMT_MODE_NATIVE, false, "p", 1},    {DMT_MODE_NATIVE, false, "w", 4},
        {DMT_MODE_VIRT, false, "pp", 3},     {DMT_MODE_VIRT, false, "pg", 2},
        {DMT_MODE_VIRT, false, "ww", 24},    {DMT_MODE_NESTED, false, "pgg", 3},
        {DMT_MODE_NESTED, false, "www", 24}, {DMT_MODE_NESTED, true, "www", 124},
    };
    static struct bench b;

    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct cell c = plain(row[i].mode, row[i].full, DMT_FORMAT_EPT, row[i].cover);

        build(&b, &c);
        go(&b);
        cr_assert_eq(b.r.refs, row[i].refs, "row %u: %u", i, b.r.refs);
        cell_unbuild(&b.w);
    }
}

/* Nothing accessed, nothing dirty: a first pass that writes nothing, then the same again with each entry read
 * exclusively and written the first time it is met; afterwards nothing is missing. */
Test(cells, second_pass_of_every_combination)
{
    static struct bench b;
    struct cell_read x[CELL_READS_MAX];
    struct cell c;

    cell_first(&c);
    do {
        build(&b, &c);
        unsigned n = cell_reads(&b.w, x), at, distinct = 0;
        bool first[CELL_READS_MAX];

        b.w.request.access = DMT_ACCESS_WRITE;
        for (unsigned i = 0; i < n; i++) {
            uint64_t a = bit_a(&b, x[i].stage);

            first[i] = true;
            for (unsigned j = 0; j < i; j++)
                first[i] &= x[j].addr != x[i].addr;
            distinct += first[i];
            change(&b, x[i].addr, a | a << 1, 0);
        }
        go(&b);
        cr_assert_eq(b.r.status, DMT_STATUS_OK);
        cr_assert(b.r.dirty && !b.r.ad_needed && b.r.refs == n);
        cr_assert_eq(b.r.updates, distinct);
        for (at = 0; at < n; at++)
            expect_ref(&b, at, &x[at], false, false);
        for (unsigned i = 0; i < n; i++) {
            uint64_t a = bit_a(&b, x[i].stage);

            if (n > 1)
                expect_ref(&b, at++, &x[i], false, false);
            cr_assert_eq(peek(&b, x[i].addr) & (a | a << 1), x[i].leaf ? a | a << 1 : a, "%s: %u",
                         cell_text(&c), i);
            if (!first[i])
                continue;
            expect_ref(&b, at++, &x[i], true, false);
            expect_ref(&b, at++, &x[i], true, true);
        }
        cr_assert_eq(b.n, at);
        go(&b);
        cr_assert(b.writes == 0 && b.reads == n);
        cell_unbuild(&b.w);
    } while (cell_next(&c));
}

/* ---------------------------------------------------------------- faults of each stage at each read */

enum harm { ABSENT, RESERVED, DENIED, HARMS };

/* A value of the entry at x that ends the translation there. EPT DENIED: neither read nor write, or no fetch.
 */
static uint64_t harmed(const struct bench *b, const struct cell_read *x, enum harm harm, uint64_t e)
{
    bool ept = x->stage < b->w.entering && b->w.cell.format == DMT_FORMAT_EPT;
    bool fetch = x->final && b->w.request.access == DMT_ACCESS_EXECUTE;

    switch (harm) {
    case ABSENT:
        return ept ? e & ~(EPT_R | EPT_W | EPT_X) : e & ~E_P;
    case RESERVED:
        return e | 1ull << 51;
    default:
        return !ept ? e & ~E_U : fetch ? e & ~(EPT_W | EPT_X) : e & ~(EPT_R | EPT_W);
    }
}

/* What the specification's sections 8 and 11 say of it. */
static void expect_harm(const struct bench *b, const struct cell_read *x, enum harm harm, bool ad)
{
    uint8_t access = b->w.request.access;
    bool write = x->final ? access == DMT_ACCESS_WRITE : ad;
    bool fetch = x->final && access == DMT_ACCESS_EXECUTE;
    uint64_t code;

    if (x->stage == b->w.entering) {
        code = (harm == ABSENT ? 0 : 1) | (access == DMT_ACCESS_WRITE ? 2 : 0) | 4 |
               (harm == RESERVED ? 8 : 0) | (access == DMT_ACCESS_EXECUTE ? 16 : 0);
        expect_fault(b, DMT_STATUS_PF, x->stage, b->w.request.va, code);
    } else if (b->w.cell.format == DMT_FORMAT_NPT) {
        code = (harm == ABSENT ? 0 : I_P) | (write ? I_WRITE : 0) | I_USER | (harm == RESERVED ? I_RSV : 0) |
               (fetch ? I_FETCH : 0) | (x->final ? I_FINAL : I_TABLE);
        expect_fault(b, DMT_STATUS_NPT_FAULT, x->stage, x->a, code);
    } else if (harm == RESERVED) {
        expect_fault(b, DMT_STATUS_EPT_MISCONFIG, x->stage, x->a, 0);
    } else {
        code = (!x->final || access == DMT_ACCESS_READ ? Q_READ : 0) | (write ? Q_WRITE : 0) |
               (fetch ? Q_FETCH : 0) | Q_LINEAR | (x->final ? Q_FINAL : 0);
        if (harm == DENIED)
            code |= fetch ? Q_R : Q_X;
        expect_fault(b, DMT_STATUS_EPT_VIOLATION, x->stage, x->a, code);
    }
}

/* With nothing accessed or dirty: whatever is missing before, a translation that faults writes nothing (A1).
 */
static void fault_at_each_read(const struct cell *c, bool ad)
{
    static struct bench b;
    struct cell_read x[CELL_READS_MAX];
    unsigned n;

    build(&b, c);
    b.w.state.maxpa = 51; /* bit 51 is reserved */
    b.w.request.cpl = 3;
    if (c->format == DMT_FORMAT_EPT)
        set_ad(&b, ad);
    n = cell_reads(&b.w, x);
    for (unsigned i = 0; i < n; i++)
        change(&b, x[i].addr, bit_a(&b, x[i].stage) * 3, 0);
    for (unsigned i = 0; i < n; i++) {
        uint64_t e = peek(&b, x[i].addr);
        bool met = false;

        for (unsigned j = 0; j < i; j++)
            met |= x[j].addr == x[i].addr; /* the fault would come there */
        if (met || x[i].tea)
            continue;
        for (unsigned harm = 0; harm < (x[i].leaf ? HARMS : DENIED); harm++) {
            for (uint8_t access = DMT_ACCESS_READ; access <= DMT_ACCESS_EXECUTE; access++) {
                b.w.request.access = access;
                poke(&b, x[i].addr, harmed(&b, &x[i], (enum harm)harm, e));
                go(&b);
                expect_harm(&b, &x[i], (enum harm)harm, ad);
                cr_assert(b.r.refs == i + 1 && b.reads == i + 1 && b.writes == 0, "%s: read %u: %u",
                          cell_text(c), i, b.reads);
            }
        }
        poke(&b, x[i].addr, e);
    }
    cell_unbuild(&b.w);
}

Test(faults, at_each_read_of_every_stack)
{
    static const char kinds[] = "wpg";

    for (uint8_t mode = DMT_MODE_VIRT; mode <= DMT_MODE_NESTED; mode++)
        for (unsigned full = 0; full <= (mode == DMT_MODE_NESTED); full++)
            for (unsigned ad = 0; ad < 2; ad++)
                for (unsigned i = 0; i < 2 * 3 * 3; i++) {
                    char cover[4] = {kinds[i % 2], kinds[i / 2 % 3], kinds[i / 6], 0};
                    struct cell ept, npt;

                    if (mode == DMT_MODE_VIRT)
                        cover[2] = 0;
                    ept = plain(mode, full, DMT_FORMAT_EPT, cover);
                    fault_at_each_read(&ept, ad);
                    npt = plain(mode, full, DMT_FORMAT_NPT, cover);
                    fault_at_each_read(&npt, true);
                }
}

/* An error at each read, ordinary or exclusive, ends with BUS and the entry's own stage. */
Test(faults, bus_error_at_each_read)
{
    static const struct {
        uint8_t mode;
        bool full;
        const char *cover;
    } stack[] = {
        {DMT_MODE_VIRT, false, "ww"},   {DMT_MODE_NESTED, true, "www"}, {DMT_MODE_NESTED, false, "www"},
        {DMT_MODE_NESTED, true, "ppp"}, {DMT_MODE_NESTED, true, "pgg"},
    };
    static struct bench b;
    struct cell_read x[CELL_READS_MAX];

    for (unsigned s = 0; s < sizeof stack / sizeof *stack; s++) {
        struct cell c = plain(stack[s].mode, stack[s].full, DMT_FORMAT_NPT, stack[s].cover);

        build(&b, &c);
        unsigned n = cell_reads(&b.w, x);
        for (unsigned i = 0; i < n; i++) {
            struct dmt_mem *whole = b.w.mem;
            bool met = false;

            /* The frame of the entry is gone; no other entry of a four-level 4K stack shares it. */
            for (unsigned j = 0; j < i; j++)
                met |= x[j].addr >> 12 == x[i].addr >> 12;
            if (met)
                continue;
            b.w.mem = dmt_mem_new();
            for (unsigned j = 0; j < n; j++) {
                if (x[j].addr >> 12 == x[i].addr >> 12)
                    continue;
                uint64_t v = 0;
                dmt_mem_read(whole, x[j].addr, &v);
                poke(&b, x[j].addr, v);
            }
            go(&b);
            expect_fault(&b, DMT_STATUS_BUS, x[i].stage, x[i].addr, DMT_BUS_ERROR_READ_DECERR);
            cr_assert_eq(b.reads, i + 1);
            cr_assert_eq(b.r.index[x[i].stage], x[i].tea ? 3 : 0);
            dmt_mem_free(b.w.mem);
            b.w.mem = whole;
        }
        cell_unbuild(&b.w);
    }
}

/* ---------------------------------------------------------------- rights of second stages */

/* Every leaf under every upper entry, final accesses, against the tables of sections 7, 8 and 11. */
Test(rights, ept_full_cross)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "wg");
    static const uint64_t bit[4] = {EPT_R, EPT_W, EPT_X, EPT_XU};
    unsigned seen[16] = {0};

    build(&b, &c);
    uint64_t gpa = cell_final(&b.w, 0), upper = cell_entry_hpa(&b.w, 0, 2, gpa),
             leaf = cell_entry_hpa(&b.w, 0, 1, gpa);
    uint64_t guest = cell_entry_hpa(&b.w, 1, 1, b.w.request.va);
    for (unsigned i = 0; i < 16 * 16 * 2 * 2 * 3 * 2; i++) {
        unsigned u = i % 16, l = i / 16 % 16, mbec = i / 256 % 2, ad = i / 512 % 2, access = i / 1024 % 3;
        bool user_page = i / 3072, allowed;
        unsigned both[2] = {u, l}, rights = 15, status = DMT_STATUS_OK;
        uint64_t code = Q_LINEAR | Q_FINAL | (access == 0 ? Q_READ : access == 1 ? Q_WRITE : Q_FETCH);

        for (unsigned j = 0; j < 4; j++) {
            change(&b, upper, bit[j], u >> j & 1 ? bit[j] : 0);
            change(&b, leaf, bit[j], l >> j & 1 ? bit[j] : 0);
        }
        change(&b, guest, E_U, user_page ? E_U : 0);
        b.w.state.s2[0].mbec = mbec;
        set_ad(&b, ad);
        b.w.request.access = (uint8_t)access;

        for (unsigned j = 0; j < 2 && status == DMT_STATUS_OK; j++) {
            if (!(both[j] & (mbec ? 15 : 7)))
                status = DMT_STATUS_EPT_VIOLATION;
            else if ((both[j] & 3) == 2)
                status = DMT_STATUS_EPT_MISCONFIG;
            rights &= both[j];
        }
        if (!mbec)
            rights = (rights & 7) | (rights & 4) << 1;
        if (status == DMT_STATUS_OK) {
            allowed = access == 0   ? rights & 1
                      : access == 1 ? rights & 2
                      : user_page   ? rights & 8
                                    : rights & 4;
            if (!allowed) {
                status = DMT_STATUS_EPT_VIOLATION;
                code |= (rights & 7) << 3 | (mbec && rights & 8 ? Q_XU : 0);
            }
        }
        go(&b);
        seen[status]++;
        if (status == DMT_STATUS_OK) {
            unsigned x = user_page ? rights >> 3 & 1 : rights >> 2 & 1;

            cr_assert_eq(b.r.status, status, "case %u", i);
            cr_assert_eq(b.r.rights, (rights >> 1 & 1) | (user_page ? 2 : 0) | x << 2 | (rights & 1 ? 0 : 8),
                         "case %u: %x", i, b.r.rights);
        } else {
            expect_fault(&b, (uint8_t)status, 0, gpa, status == DMT_STATUS_EPT_MISCONFIG ? 0 : code);
        }
    }
    cr_assert(seen[DMT_STATUS_OK] > 300 && seen[DMT_STATUS_EPT_VIOLATION] > 300 &&
              seen[DMT_STATUS_EPT_MISCONFIG] > 300);
    cell_unbuild(&b.w);
}

Test(rights, npt_full_cross)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_NPT, "wg");

    build(&b, &c);
    uint64_t gpa = cell_final(&b.w, 0), upper = cell_entry_hpa(&b.w, 0, 3, gpa),
             leaf = cell_entry_hpa(&b.w, 0, 1, gpa);
    for (unsigned i = 0; i < 8 * 8 * 3 * 2; i++) {
        unsigned u = i % 8, l = i / 8 % 8, access = i / 64 % 3, rights = u & l; /* W, U, X */
        bool user = i / 192;

        b.w.request.access = (uint8_t)access;
        b.w.request.cpl = user ? 3 : 0; /* every access is a user access to the second stage */
        change(&b, upper, E_W | E_U | E_XD, (u & 1 ? E_W : 0) | (u & 2 ? E_U : 0) | (u & 4 ? 0 : E_XD));
        change(&b, leaf, E_W | E_U | E_XD, (l & 1 ? E_W : 0) | (l & 2 ? E_U : 0) | (l & 4 ? 0 : E_XD));
        go(&b);
        if ((rights & 2) && (access == 0 || rights & (access == 1 ? 1 : 4))) {
            cr_assert_eq(b.r.status, DMT_STATUS_OK, "case %u", i);
            cr_assert_eq(b.r.rights, rights, "case %u: %x", i, b.r.rights);
        } else {
            expect_fault(&b, DMT_STATUS_NPT_FAULT, 0, gpa,
                         I_P | I_USER | I_FINAL | (access == 1 ? I_WRITE : 0) | (access == 2 ? I_FETCH : 0));
        }
    }
    cell_unbuild(&b.w);
}

/* The host's mapping of each table of a guest: what the walk may read and, for A bits, write (A5). */
Test(rights, host_mapping_of_guest_tables)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "ww");
    struct cell_read x[CELL_READS_MAX];
    unsigned table_write = 0;

    build(&b, &c);
    cell_reads(&b.w, x);
    for (unsigned i = 0; i < 4 * 8 * 2 * 2 * 3; i++) {
        unsigned level = 1 + i % 4, bits = i / 4 % 8, ad = i / 32 % 2, lacks = i / 64 % 2, how = i / 128;
        uint64_t where = cell_entry(&b.w, 1, level, b.w.request.va);
        uint64_t entry = cell_entry_hpa(&b.w, 1, level, b.w.request.va);
        uint64_t host = cell_entry_hpa(&b.w, 0, 1, where);
        unsigned met = 5 * (4 - level) + 3; /* number of the read of `host` */
        uint64_t code = Q_READ | Q_LINEAR;

        change(&b, host, 7, bits);
        change(&b, entry, E_A, lacks ? 0 : E_A);
        set_ad(&b, ad);
        b.w.request.nonspec = how != 1;
        b.w.state.ad_update = how != 2;
        go(&b);
        if ((bits & 3) == 2) {
            expect_fault(&b, DMT_STATUS_EPT_MISCONFIG, 0, where, 0);
            cr_assert_eq(b.reads, met + 1);
        } else if (!(bits & (ad ? EPT_W : EPT_R))) {
            expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, where, code | (ad ? Q_WRITE : 0) | bits << 3);
            cr_assert_eq(b.reads, met + 1);
        } else if (lacks && how == 1) {
            cr_assert_eq(b.r.status, DMT_STATUS_RETRY);
        } else if (lacks && how == 0 && !(bits & EPT_W)) {
            expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, where, code | Q_WRITE | bits << 3);
            cr_assert_eq(b.reads, 24 + met + 2,
                         "after the ordinary read of the entry, before the exclusive one");
            cr_assert_eq(b.r.refs, 24);
            table_write++;
        } else {
            cr_assert_eq(b.r.status, DMT_STATUS_OK, "case %u", i);
            cr_assert_eq(b.r.ad_needed, lacks && how == 2);
            cr_assert_eq(b.writes, lacks && how == 0);
        }
        cr_assert(b.writes == 0 || b.r.status == DMT_STATUS_OK);
        change(&b, host, 7, 7);
        change(&b, entry, 0, E_A);
    }
    cr_assert_eq(table_write, 4 * 2 + 0, "R and RX, at each level: %u", table_write);
    cell_unbuild(&b.w);
}

/* NPT: a table access is a user write, always. */
Test(rights, npt_table_accesses_are_user_writes)
{
    static struct bench b;

    for (unsigned level = 1; level <= 4; level++) {
        for (unsigned bits = 0; bits < 8; bits++) { /* W, U, XD */
            struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_NPT, "ww");

            build(&b, &c);
            uint64_t where = cell_entry(&b.w, 1, level, b.w.request.va);
            change(&b, cell_entry_hpa(&b.w, 0, 1, where), E_W | E_U,
                   (bits & 1 ? E_W : 0) | (bits & 2 ? E_U : 0) | (bits & 4 ? E_XD : 0));
            b.w.request.access = DMT_ACCESS_EXECUTE;
            go(&b);
            if ((bits & 3) == 3)
                cr_assert_eq(b.r.status, DMT_STATUS_OK, "no fetch is made from a table");
            else
                expect_fault(&b, DMT_STATUS_NPT_FAULT, 0, where, I_P | I_WRITE | I_USER | I_TABLE);
            cell_unbuild(&b.w);
        }
    }
}

/* A5 with two second stages: stage 1 is looked at first; an entry of stage 1 has stage 0 alone above it; the
 * shadow table is reported as stage 1. A KIND PA register's entry is located like any other. */
Test(rights, table_writes_through_two_stages)
{
    static struct bench b;

    for (unsigned i = 0; i < 2 * 2 * 2; i++) {
        bool tea = i & 1, deny1 = i & 2, shadow = i & 4;
        struct cell c = plain(DMT_MODE_NESTED, !shadow, DMT_FORMAT_EPT, tea ? "wwp" : "www");

        build(&b, &c);
        set_ad(&b, false);
        uint64_t a1 = cell_entry(&b.w, 2, 1, b.w.request.va), a0 = a1 - b.w.base[2] + b.w.base[1];
        uint64_t entry = cell_entry_hpa(&b.w, 2, 1, b.w.request.va);
        uint64_t leaf1 = cell_entry_hpa(&b.w, shadow ? CELL_SHADOW : 1, 1, a1),
                 leaf0 = cell_entry_hpa(&b.w, 0, 1, a0);

        change(&b, entry, E_A, 0);
        change(&b, leaf0, EPT_W, 0);
        if (deny1)
            change(&b, leaf1, EPT_W | EPT_X, 0);
        go(&b);
        if (deny1)
            expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 1, a1, Q_READ | Q_WRITE | Q_R | Q_LINEAR);
        else if (!shadow)
            expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, a0, Q_READ | Q_WRITE | Q_R | Q_X | Q_LINEAR);
        else
            cr_assert(b.r.status == DMT_STATUS_OK && b.r.updates == 1, "stage 0 is not used");
        cr_assert_eq(b.writes, b.r.status == DMT_STATUS_OK);
        cell_unbuild(&b.w);
    }

    /* Stage 1 with A/D flags in tables that stage 0 lets nobody write. */
    struct cell c = plain(DMT_MODE_VIRT, true, DMT_FORMAT_EPT, "wg");
    c.mode = DMT_MODE_NESTED;
    c.stage[2] = c.stage[1];
    c.stage[1].cover = CELL_WALK;
    build(&b, &c);
    b.w.state.s2[0].ad = false;
    uint64_t a1 = cell_final(&b.w, 1), where = cell_entry(&b.w, 1, 2, a1);
    change(&b, cell_entry_hpa(&b.w, 0, 1, where), EPT_W, 0);
    go(&b);
    cr_assert_eq(b.r.status, DMT_STATUS_OK);
    change(&b, cell_entry_hpa(&b.w, 1, 2, a1), EPT_A, 0);
    go(&b);
    expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, where, Q_READ | Q_WRITE | Q_R | Q_X | Q_LINEAR);
    cr_assert_eq(b.writes, 0);
    cell_unbuild(&b.w);
}

/* Each bit of each entry of a second stage alone, at each kind of entry. */
static void each_bit(uint8_t format, unsigned level, bool leaf)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, format, "wg");
    bool ept = format == DMT_FORMAT_EPT;

    c.stage[0].levels = 5;
    if (leaf)
        c.stage[0].size = (uint8_t)(level - 1);
    build_at(&b, &c, 46);
    uint64_t gpa = cell_final(&b.w, 0), pa = cell_entry_hpa(&b.w, 0, level, gpa), e = peek(&b, pa);

    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t v = e ^ 1ull << bit, reserved = 0x000fc00000000000ull;
        bool wrong;

        if (ept) {
            unsigned type = v >> 3 & 7;

            if (level >= 4)
                reserved |= 0xf8;
            else if (!leaf)
                reserved |= 0x78;
            else if (level > 1)
                reserved |= level == 3 ? 0x3ffff000 : 0x1ff000;
            wrong = (v & reserved) || (v & 3) == 2 || (leaf && (type == 2 || type == 3 || type == 7));
        } else {
            if (level >= 4)
                reserved |= E_PS;
            else if (leaf && level > 1)
                reserved |= level == 3 ? 0x3fffe000 : 0x1fe000;
            wrong = (v & 1) && (v & reserved);
        }
        if (bit == 7 && level <= 3 && level > 1)
            continue; /* leaf or not: with sense of its own */
        poke(&b, pa, v);
        go(&b);
        bool found = ept ? b.r.status == DMT_STATUS_EPT_MISCONFIG
                         : b.r.status == DMT_STATUS_NPT_FAULT && (b.r.error & I_RSV);
        found &= b.reads == 1 + 5 - level + 1; /* at this entry, not in a table it now leads to */
        cr_assert_eq(found, wrong, "format %u level %u leaf %d bit %u: status %u", format, level, leaf, bit,
                     b.r.status);
        if (wrong)
            cr_assert(b.r.addr == gpa && b.r.stage == 0 &&
                      (ept || b.r.error == (I_P | I_USER | I_RSV | I_FINAL)));
    }
    cell_unbuild(&b.w);
}

Test(rights, P13_every_bit_of_every_second_stage_entry)
{
    for (uint8_t format = 0; format < 2; format++)
        for (unsigned level = 1; level <= 5; level++) {
            if (level <= 3)
                each_bit(format, level, true);
            if (level > 1)
                each_bit(format, level, false);
        }
}

/* ---------------------------------------------------------------- width check */

/* A pointer of every kind to 2^48, which four levels do not reach and five do; no register is looked at. */
Test(width, at_every_pointer)
{
    static struct bench b;
    const uint64_t far = 1ull << 48;

    for (unsigned kind = 0; kind < 6; kind++) { /* CR3, entries of levels 4 to 1, KIND PA register */
        for (unsigned i = 0; i < 2 * 2 * 2; i++) {
            bool five = i & 1, npt = i & 2, covered = i & 4, final = kind == 4, tea = kind == 5;
            struct cell c = plain(DMT_MODE_VIRT, false, npt, tea ? "wp" : "ww");
            uint64_t va, where, root = 0x7000000000;

            build(&b, &c);
            va = b.w.request.va;
            if (kind == 0) {
                b.w.state.level[1].cr3 = far;
                where = far + 8 * (va >> 39 & 511);
            } else if (tea) {
                b.w.state.tea[1][3].base_pfn = far >> 12;
                where = far + 8 * (va >> 12 & 511);
            } else {
                change(&b, cell_entry_hpa(&b.w, 1, 5 - kind, va), 0x000ffffffffff000, far);
                where = final ? far | (va & 0xfff) : far + 8 * (va >> (9 * (4 - kind) + 3) & 511);
            }
            if (five) {
                /* The four-level root below a new one, which has nothing at the far index. */
                b.w.state.s2[0].five = true;
                poke(&b, root, b.w.state.s2[0].root | (npt ? 0x67 : 0x507));
                b.w.state.s2[0].root = root;
            }
            if (covered)
                b.w.state.tea[0][0] = (struct dmt_tea){
                    .base_vpn = far >> 12,
                    .pages = 512,
                    .base_pfn = 1,
                    .allow = 7,
                    .valid = true,
                };
            go(&b);
            if (!five) {
                if (npt)
                    expect_fault(&b, DMT_STATUS_NPT_FAULT, 0, where,
                                 I_USER | (final ? I_FINAL : I_TABLE | I_WRITE));
                else
                    expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, where,
                                 Q_READ | Q_LINEAR | (final ? Q_FINAL : Q_WRITE));
                cr_assert_eq(b.r.path[0], DMT_PATH_RADIX);
                cr_assert_eq(b.reads, kind == 0 || tea ? 0 : 5 * kind);
            } else {
                cr_assert_eq(b.log[b.n - 1].ref.level, covered ? 1 : 5, "the stage did look");
                cr_assert_eq(b.log[b.n - 1].ref.tea, covered);
            }
            cell_unbuild(&b.w);
        }
    }
}

/* Of stage 1 with SHADOW it is the shadow table's levels that count, and its format; 2^48 - 1 passes. */
Test(width, shadow_table_decides)
{
    static struct bench b;

    for (unsigned i = 0; i < 8; i++) {
        bool full = i & 1, five1 = i & 2, five_shadow = i & 4, wide = full ? !five1 : !five_shadow;
        struct cell c = plain(DMT_MODE_NESTED, full, DMT_FORMAT_EPT, "wwg");

        build(&b, &c);
        b.w.state.s2[1].five = five1;
        b.w.state.shadow.five = five_shadow;
        b.w.state.shadow.format = DMT_FORMAT_NPT;
        change(&b, cell_entry_hpa(&b.w, 2, 1, b.w.request.va), 0x000ffffffffff000, 1ull << 48);
        go(&b);
        if (!wide)
            cr_assert(b.reads > 1);
        else if (full)
            expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 1, 1ull << 48 | (b.w.request.va & 0xfff),
                         Q_READ | Q_LINEAR | Q_FINAL);
        else
            expect_fault(&b, DMT_STATUS_NPT_FAULT, 1, 1ull << 48 | (b.w.request.va & 0xfff),
                         I_USER | I_FINAL);
        if (wide)
            cr_assert(b.reads == 1 && b.r.path[1] == DMT_PATH_RADIX && b.r.path[0] == DMT_PATH_NOT_USED);
        change(&b, cell_entry_hpa(&b.w, 2, 1, b.w.request.va), 0x000ffffffffff000, 0xfffffffff000);
        go(&b);
        cr_assert_gt(b.reads, 1, "the last address of four levels is none too many");
        cell_unbuild(&b.w);
    }
}

/* ---------------------------------------------------------------- gTEAs */

/* A resolved register of KIND GTEA and this size over the page of address a, `before` entries into it. */
static struct dmt_tea gtea_over(uint64_t a, unsigned sz, uint64_t before)
{
    return (struct dmt_tea){
        .base_vpn = ((a >> 12 >> 9 * sz) - before) << 9 * sz,
        .pages = (before + 1) << 9 * sz,
        .sz = (uint8_t)sz,
        .kind = DMT_KIND_GTEA,
        .gtea = 0xabc,
        .allow = 7,
        .valid = true,
        .resolution = DMT_RESOLUTION_OK,
        .gtea_base = 0x900,
        .gtea_pages = 4,
    };
}

/* Of the level that the set is entered at: NESTED for both, and each level's address is named. */
static uint64_t gtea_setup(struct bench *b, unsigned set)
{
    struct cell c = plain(DMT_MODE_NESTED, true, DMT_FORMAT_EPT, set == 2 ? "www" : "wwg");

    build(b, &c);
    return cell_final(&b->w, (int)set);
}

Test(gtea, bound_is_exact)
{
    static const struct {
        uint64_t pfn, pages, before;
        bool within;
    } row[] = {
        {0, 1, 0, true},
        {0, 1, 511, true},
        {0, 1, 512, false},
        {3, 4, 511, true},
        {3, 4, 512, false},
        {4, 4, 0, false},
        {2, 4, 1023, true},
        {2, 4, 1024, false},
        {(1ull << 52) - 1, 4, 0, false},
        {(1ull << 52) - 1, (1ull << 52) - 1, 0, false},
        {(1ull << 43) - 1, 1, 511, false},
        {(1ull << 51) - 1, 1ull << 51, 511, true},
    };
    static struct bench b;

    for (unsigned set = 1; set <= 2; set++) {
        for (unsigned sz = 0; sz < 3; sz++) {
            for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
                uint64_t a = gtea_setup(&b, set);
                struct dmt_tea t = gtea_over(a, sz, row[i].before);

                t.base_pfn = row[i].pfn;
                t.gtea_pages = row[i].pages;
                b.w.state.tea[set][9] = t;
                go(&b);
                if (row[i].within) {
                    expect_fault(&b, DMT_STATUS_BUS, set, ((0x900 + t.base_pfn) << 12) + 8 * row[i].before,
                                 DMT_BUS_ERROR_READ_DECERR);
                } else {
                    expect_fault(&b, DMT_STATUS_GTEA, set, a, 0xabc | 9 << 12);
                    cr_assert_eq(b.reads, set == 2 ? 0 : 1, "no request leaves for it");
                }
                cr_assert(b.r.path[set] == DMT_PATH_TEA && b.r.index[set] == 9);
                cell_unbuild(&b.w);
            }
        }
    }
}

Test(gtea, unresolved_ends_the_translation)
{
    static struct bench b;

    for (uint8_t resolution = 0; resolution <= DMT_RESOLUTION_REVOKED; resolution++) {
        uint64_t va = gtea_setup(&b, 2);

        b.w.state.tea[2][63] = gtea_over(va, DMT_SIZE_2M, 0);
        b.w.state.tea[2][63].resolution = resolution;
        go(&b);
        if (resolution == DMT_RESOLUTION_OK)
            cr_assert_eq(b.r.status, DMT_STATUS_BUS);
        else
            expect_fault(&b, DMT_STATUS_GTEA, 2, va, 0xabc | 63 << 12 | 1 << 18);
        cr_assert_eq(b.r.refs, resolution == DMT_RESOLUTION_OK);
        /* Neither faults nor answers of the guest's come first, but the canonical check does. */
        b.w.request.va |= 1ull << 63;
        go(&b);
        cr_assert_eq(b.r.status, DMT_STATUS_GP);
        cell_unbuild(&b.w);
    }
}

/* One register of three that cannot be used: nothing is fetched, and of several the largest is named. */
Test(gtea, largest_unusable_size_is_named)
{
    static struct bench b;

    for (unsigned bad = 1; bad < 8; bad++) {
        for (unsigned past = 0; past < 2; past++) {
            uint64_t va = gtea_setup(&b, 2);
            unsigned named = bad & 4 ? 2 : bad & 2 ? 1 : 0;

            for (unsigned sz = 0; sz < 3; sz++) {
                struct dmt_tea *t = &b.w.state.tea[2][10 + sz];

                *t = gtea_over(va, sz, 0);
                t->gtea = (uint16_t)(100 + sz);
                poke(&b, t->gtea_base << 12, 0);
                if (bad >> sz & 1 && past)
                    t->gtea_pages = 0;
                else if (bad >> sz & 1)
                    t->resolution = DMT_RESOLUTION_REVOKED;
            }
            go(&b);
            expect_fault(&b, DMT_STATUS_GTEA, 2, va, (100 + named) | (10 + named) << 12 | !past << 18);
            cr_assert(b.reads == 0 && b.r.refs == 0);
            cell_unbuild(&b.w);
        }
    }
}

static struct bench *resolving;
static unsigned resolve_fail; /* number of the read to fail, from 1 */

static enum dmt_resp resolve_read(void *user, uint64_t addr, uint64_t *data)
{
    struct bench *b = user;

    cr_assert_eq(b, resolving);
    cr_assert_eq(addr, 0xabc000 + 16 * 5 + 8 * b->n, "word 0 first");
    b->n++;
    *data = peek(b, addr);
    return b->n == resolve_fail ? DMT_RESP_SLVERR : DMT_RESP_OKAY;
}

Test(gtea, resolution)
{
    static const struct {
        uint64_t word0, word1;
        unsigned maxpa;
        uint8_t resolution;
    } row[] = {
        {0x123001, 1, 52, DMT_RESOLUTION_OK},
        {0xfff0000000123ffe, 1, 52, DMT_RESOLUTION_ABSENT},
        {0xfff0000000123fff, 0xfff0000000000001, 52, DMT_RESOLUTION_OK},
        {0x123001, 0, 52, DMT_RESOLUTION_WIDTH},
        {0x123000, 0, 52, DMT_RESOLUTION_ABSENT},
        {0xfffff001, 1, 32, DMT_RESOLUTION_OK},
        {0xfffff001, 2, 32, DMT_RESOLUTION_WIDTH},
        {0x100000001, 1, 32, DMT_RESOLUTION_WIDTH},
        {1, 1 << 20, 32, DMT_RESOLUTION_OK},
        {1, (1 << 20) + 1, 32, DMT_RESOLUTION_WIDTH},
        {0x000ffffffffff001, 1, 52, DMT_RESOLUTION_OK},
        {0x000ffffffffff001, (1ull << 52) - 1, 52, DMT_RESOLUTION_WIDTH},
    };
    static struct bench b;
    struct cell c = plain(DMT_MODE_NESTED, true, DMT_FORMAT_EPT, "www");
    uint64_t base, pages;

    build(&b, &c);
    resolving = &b;
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        for (unsigned set = 1; set <= 2; set++) {
            for (resolve_fail = 0; resolve_fail <= 2; resolve_fail++) {
                uint8_t expected = resolve_fail ? DMT_RESOLUTION_BUS : row[i].resolution;
                bool ok = expected == DMT_RESOLUTION_OK;

                b.w.state.maxpa = (uint8_t)row[i].maxpa;
                b.w.state.gtea[set] = (struct dmt_gtea){.table = 0xabc000, .entries = 6};
                b.w.state.gtea[3 - set] = (struct dmt_gtea){0};
                poke(&b, 0xabc000 + 16 * 5, row[i].word0);
                poke(&b, 0xabc000 + 16 * 5 + 8, row[i].word1);
                b.n = 0;
                base = pages = 77;
                cr_assert_eq(dmt_gtea_resolve(&b.w.state, set, 5, resolve_read, &b, &base, &pages), expected,
                             "row %u", i);
                cr_assert_eq(base, ok ? (row[i].word0 & 0x000fffffffffffff) >> 12 : 0);
                cr_assert_eq(pages, ok ? row[i].word1 & 0x000fffffffffffff : 0);
                b.n = 0;
                cr_assert_eq(dmt_gtea_resolve(&b.w.state, set, 6, resolve_read, &b, &base, &pages),
                             DMT_RESOLUTION_BAD_ID);
                cr_assert_eq(b.n, 0, "nothing is read");
            }
        }
    }
    cell_unbuild(&b.w);
}

/* ---------------------------------------------------------------- TEA fetches above stage 0 */

/* VIRT with 4 KiB pages; registers of set 1 by size at 20 + size, whose entries stand alone in page 12 + size
 * of the guest's memory, not present. */
static void sizes_setup(struct bench *b, const char *kinds)
{
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "ww");

    build(b, &c);
    for (unsigned sz = 0; sz < 3; sz++) {
        struct dmt_tea *t = &b->w.state.tea[1][20 + sz];

        poke(b, b->w.base[0] + 4096 * (12 + sz), 0);
        if (kinds[sz] == '-')
            continue;
        *t = gtea_over(b->w.request.va, sz, 0);
        t->gtea_base = b->w.base[0] / 4096 + 12 + sz;
        if (kinds[sz] == 'p') {
            t->kind = DMT_KIND_PA;
            t->base_pfn = b->w.base[1] / 4096 + 12 + sz;
        }
    }
}

static void set_leaf(struct bench *b, unsigned sz, uint64_t flags)
{
    uint64_t in_page = (1ull << (9 * sz + 12)) - 1;

    poke(b, b->w.base[0] + 4096 * (12 + sz), (cell_final(&b->w, 0) & ~in_page) | (sz ? E_PS : 0) | flags);
}

/* The accesses as text: stage and level of each, t before a TEA's, * after an exclusive read, ! after a
 * write. */
static const char *shape(const struct bench *b)
{
    static char text[LOG * 5];
    unsigned n = 0;

    for (unsigned i = 0; i < b->n; i++) {
        const struct access *l = &b->log[i];

        n += (unsigned)sprintf(text + n, "%s%s%u%u%s", i ? " " : "", l->ref.tea ? "t" : "", l->ref.stage,
                               l->ref.level,
                               l->write           ? "!"
                               : l->ref.exclusive ? "*"
                                                  : "");
    }
    text[n] = 0;
    return text;
}

static void expect_shape(const struct bench *b, const char *x)
{
    cr_assert_str_eq(shape(b), x, "%s: %s, expected %s", cell_text(&b->w.cell), shape(b), x);
}

#define S0         "04 03 02 01"
#define GUEST_WALK S0 " 14 " S0 " 13 " S0 " 12 " S0 " 11"

/* T1, T1' and T2: in parallel or one after another, in which order and how far, counted how. Index 0 is 4K. */
Test(tea, sizes_above_stage_0)
{
    static const struct {
        const char *kinds;
        int decider;
        const char *shape;
        unsigned refs;
    } row[] = {
        {"ggg", 2, "t13 " S0, 5},
        {"ggg", 1, "t13 t12 " S0, 5},
        {"ggg", 0, "t13 t12 t11 " S0, 5},
        {"-gg", 1, "t13 t12 " S0, 5},
        {"ppp", 2, S0 " t13 " S0, 9},
        {"ppp", 1, S0 " t13 " S0 " t12 " S0, 14},
        {"ppp", 0, S0 " t13 " S0 " t12 " S0 " t11 " S0, 19},
        {"p-p", 0, S0 " t13 " S0 " t11 " S0, 14},
        {"pgg", 2, "t13 " S0, 5}, /* a smaller one is of KIND PA: alone */
        {"pgg", 1, "t13 t12 " S0, 6},
        {"pgg", 0, "t13 t12 " S0 " t11 " S0, 11},
        {"ggp", 2, S0 " t13 " S0, 9},
        {"ggp", 1, S0 " t13 t12 " S0, 10}, /* what is left is direct: together */
        {"ggp", 0, S0 " t13 t12 t11 " S0, 10},
        {"gp-", 0, S0 " t12 t11 " S0, 10},
        {"ggg", -1, "t13 t12 t11 " GUEST_WALK " " S0, 25},
        {"ppp", -1, S0 " t13 " S0 " t12 " S0 " t11 " GUEST_WALK " " S0, 15 + 24},
    };
    static struct bench b;

    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        sizes_setup(&b, row[i].kinds);
        if (row[i].decider >= 0)
            set_leaf(&b, (unsigned)row[i].decider, 0x67);
        go(&b);
        cr_assert(b.r.status == DMT_STATUS_OK && b.r.pa == cell_final(&b.w, -1), "row %u", i);
        expect_shape(&b, row[i].shape);
        cr_assert_eq(b.r.refs, row[i].refs, "row %u: %u", i, b.r.refs);
        cr_assert_eq(b.r.path[1], row[i].decider >= 0 ? DMT_PATH_TEA : DMT_PATH_RESTART);
        cr_assert_eq(b.r.index[1], row[i].decider >= 0 ? 20 + row[i].decider : 0);
        cr_assert_eq(b.r.path[0], DMT_PATH_RADIX);
        cell_unbuild(&b.w);
    }
}

/* With KIND PA among them, a size that is not reached is not looked at; of one that is, its gTEA counts. */
Test(tea, unusable_size_after_a_located_one)
{
    static struct bench b;

    for (unsigned decides = 0; decides < 2; decides++) {
        sizes_setup(&b, "g-p");
        b.w.state.tea[1][20].resolution = DMT_RESOLUTION_ABSENT;
        b.w.state.tea[1][40] = b.w.state.tea[1][20]; /* two of the small size */
        if (decides)
            set_leaf(&b, 2, 0x67);
        go(&b);
        if (decides)
            expect_shape(&b, S0 " t13 " S0);
        else
            expect_fault(&b, DMT_STATUS_GTEA, 1, b.w.request.va, 0xabc | 20 << 12 | 1 << 18);
        cr_assert_eq(b.r.multi_hit != 0, !decides);
        cell_unbuild(&b.w);
    }
}

/* T2, T4: the first that decides ends the search, though it be denied; then the stage walks. */
Test(tea, decided_and_denied_walks)
{
    static struct bench b;

    for (unsigned i = 0; i < 4; i++) {
        sizes_setup(&b, i & 1 ? "ppp" : "ggg");
        b.w.request.access = DMT_ACCESS_WRITE;
        b.w.state.level[1].cr0 = DMT_LEVEL_CR0_WP_MASK;
        set_leaf(&b, 0, 0x67);
        set_leaf(&b, 1, i & 2 ? 0x67 : 0x65);
        if (i & 2)
            b.w.state.tea[1][21].allow = 6;
        go(&b);
        cr_assert_eq(b.r.status, DMT_STATUS_OK);
        cr_assert_eq(b.r.path[1], DMT_PATH_RESTART);
        expect_shape(&b, i & 1 ? S0 " t13 " S0 " t12 " GUEST_WALK " " S0 : "t13 t12 " GUEST_WALK " " S0);
        cell_unbuild(&b.w);
    }
}

/* Each stage restarts by itself: the others, and other addresses of the same stage, match as ever. */
Test(tea, restart_of_one_address)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "pw");
    uint64_t where;

    build(&b, &c);
    where = cell_entry(&b.w, 1, 2, b.w.request.va);
    change(&b, cell_entry_hpa(&b.w, 0, 1, where), 7, 0); /* the leaf table is the TEA: both find nothing */
    go(&b);
    expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, where, Q_READ | Q_WRITE | Q_LINEAR);
    expect_shape(&b, "t01 14 t01 13 t01 " S0);
    cr_assert_eq(b.r.path[0], DMT_PATH_RESTART);
    cr_assert_eq(b.r.index[0], 0);
    cell_unbuild(&b.w);

    /* The register denies table writes that the leaf allows: every table access walks, the final read not. */
    build(&b, &c);
    b.w.state.tea[0][3].allow = 6;
    go(&b);
    cr_assert_eq(b.r.status, DMT_STATUS_OK);
    expect_shape(&b, "t01 " S0 " 14 t01 " S0 " 13 t01 " S0 " 12 t01 " S0 " 11 t01");
    cr_assert_eq(b.r.path[0], DMT_PATH_RESTART);
    cr_assert_eq(b.r.rights, 6);
    cell_unbuild(&b.w);
}

/* Allow bits of a second stage: W, X of both kinds, and U as R of EPT and U of NPT. */
Test(tea, allow_bits_of_a_second_stage)
{
    static struct bench b;

    for (unsigned i = 0; i < 2 * 8 * 3 * 2; i++) {
        unsigned npt = i & 1, allow = i / 2 % 8, access = i / 16 % 3, mbec = i / 48;
        struct cell c = plain(DMT_MODE_VIRT, false, (uint8_t)npt, "pg");
        unsigned asked = access == 0 ? 2 : access == 1 ? 1 : 4;
        bool tea;

        if (npt)
            asked |= 2;
        build(&b, &c);
        b.w.state.s2[0].mbec = mbec;
        b.w.state.tea[0][3].allow = (uint8_t)allow;
        b.w.request.access = (uint8_t)access;
        go(&b);
        tea = (allow & asked) == asked;
        cr_assert_eq(b.r.status, DMT_STATUS_OK);
        cr_assert_eq(b.r.path[0], tea ? DMT_PATH_TEA : DMT_PATH_RESTART, "case %u", i);
        cr_assert_eq(b.r.rights,
                     !tea  ? 7
                     : npt ? allow
                           : (allow & 5) | 2 | (allow & 2 ? 0 : 8),
                     "case %u", i);
        cell_unbuild(&b.w);
    }
}

/* SHADOW: stage 1 covered goes on to stage 0, not covered to the host in one. */
Test(tea, covered_and_uncovered_under_the_shadow_table)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_NESTED, false, DMT_FORMAT_EPT, "ppp");
    uint64_t table;

    build(&b, &c);
    go(&b);
    expect_shape(&b, "t01 t11 t01 t21 t01 t11 t01");
    cell_unbuild(&b.w);

    /* The register covers the page asked for alone: the location of stage 2's entry walks. */
    build(&b, &c);
    table = cell_entry(&b.w, 2, 1, b.w.request.va);
    b.w.state.tea[1][3].pages = 1;
    b.w.state.tea[1][3].base_vpn = cell_final(&b.w, 1) >> 12;
    b.w.state.tea[1][3].base_pfn = b.w.base[1] / 4096 + 13;
    poke(&b, b.w.base[0] + 4096 * 13, peek(&b, cell_entry_hpa(&b.w, 1, 1, cell_final(&b.w, 1))));
    go(&b);
    cr_assert(b.r.status == DMT_STATUS_OK && b.r.pa == cell_final(&b.w, -1));
    expect_shape(&b, "14 13 12 11 t21 t01 t11 t01");
    cr_assert_eq(b.r.path[1], DMT_PATH_RADIX, "the highest of its translations");
    cr_assert_eq(b.r.path[0], DMT_PATH_TEA);
    cr_assert_eq(b.log[3].ref.addr, cell_entry_hpa(&b.w, CELL_SHADOW, 1, table));

    /* A fetch of stage 1 that does not count walks the shadow table. */
    poke(&b, b.w.base[0] + 4096 * 13, 0);
    go(&b);
    expect_shape(&b, "14 13 12 11 t21 t01 t11 14 13 12 11");
    cr_assert_eq(b.r.path[1], DMT_PATH_RESTART);
    cell_unbuild(&b.w);
}

/* ---------------------------------------------------------------- accessed and dirty bits */

/* One entry lacks A: whether an exclusive read of the last leaf does, or a second pass is due (A4), in any
 * stack; what is said instead when it may not be written (A3). */
Test(ad, each_entry_alone)
{
    static const struct {
        uint8_t mode;
        bool full;
        const char *cover;
    } stack[] = {
        {DMT_MODE_VIRT, false, "ww"},   {DMT_MODE_VIRT, false, "pg"},    {DMT_MODE_VIRT, false, "pp"},
        {DMT_MODE_NESTED, true, "www"}, {DMT_MODE_NESTED, false, "www"}, {DMT_MODE_NESTED, false, "wpw"},
        {DMT_MODE_NESTED, true, "pgg"},
    };
    static struct bench b;
    struct cell_read x[CELL_READS_MAX];

    for (unsigned s = 0; s < 2 * sizeof stack / sizeof *stack; s++) {
        struct cell c = plain(stack[s / 2].mode, stack[s / 2].full, s & 1, stack[s / 2].cover);

        build(&b, &c);
        unsigned n = cell_reads(&b.w, x);
        for (unsigned i = 0; i < n; i++) {
            uint64_t a = bit_a(&b, x[i].stage);
            bool met = false;

            for (unsigned j = 0; j < i; j++)
                met |= x[j].addr == x[i].addr;
            if (met)
                continue;
            change(&b, x[i].addr, a, 0);
            b.w.state.ad_update = false;
            go(&b);
            cr_assert(b.r.status == DMT_STATUS_OK && b.r.ad_needed && b.reads == n && !b.writes);
            b.w.state.ad_update = true;
            b.w.request.nonspec = false;
            go(&b);
            cr_assert(b.r.status == DMT_STATUS_RETRY && b.reads == n && !b.writes && !b.r.pa && !b.r.addr);
            b.w.request.nonspec = true;
            go(&b);
            cr_assert(b.r.status == DMT_STATUS_OK && !b.r.ad_needed && b.r.updates == 1);
            cr_assert_eq(b.r.refs, n);
            cr_assert_eq(b.reads, i == n - 1 ? n + 1 : 2 * n + 1, "%s: entry %u: %u reads", cell_text(&c), i,
                         b.reads);
            cr_assert_eq(peek(&b, x[i].addr) & a, a);
        }
        cell_unbuild(&b.w);
    }
}

/* D: of the final leaves for a WRITE; of every leaf that a counting table access goes through. */
Test(ad, dirty_of_each_leaf)
{
    static struct bench b;
    struct cell_read x[CELL_READS_MAX];

    for (unsigned i = 0; i < 3 * 2; i++) {
        bool npt = i % 3 == 1, ad = i % 3 != 2, write = i / 3; /* EPT with A/D, NPT, EPT without */
        struct cell c = plain(DMT_MODE_NESTED, true, npt, "www");

        build(&b, &c);
        if (!npt)
            set_ad(&b, ad);
        unsigned n = cell_reads(&b.w, x);
        for (unsigned j = 0; j < n; j++)
            change(&b, x[j].addr, bit_a(&b, x[j].stage) << 1, 0);
        b.w.request.access = write ? DMT_ACCESS_WRITE : DMT_ACCESS_READ;
        go(&b);
        cr_assert_eq(b.r.status, DMT_STATUS_OK);
        for (unsigned j = 0; j < n; j++) {
            uint64_t d = bit_a(&b, x[j].stage) << 1;
            bool due = x[j].leaf && (x[j].stage == 2 || ad) && (x[j].final ? write : x[j].stage < 2);

            cr_assert_eq(!!(peek(&b, x[j].addr) & d), due, "case %u: read %u", i, j);
        }
        cr_assert_eq(b.r.dirty, write, "the entering stage's leaf alone suffices");
        cell_unbuild(&b.w);
    }
}

Test(answer, dirty_needs_every_final_leaf)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_NESTED, true, DMT_FORMAT_EPT, "www");

    for (unsigned stage = 0; stage < 3; stage++) {
        for (unsigned ad = 0; ad < 2; ad++) {
            build(&b, &c);
            change(&b, cell_entry_hpa(&b.w, stage, 1, cell_final(&b.w, (int)stage)), stage == 2 ? E_D : EPT_D,
                   0);
            set_ad(&b, ad);
            go(&b);
            cr_assert_eq(b.r.dirty, stage < 2 && !ad, "a stage without D counts as set");
            cr_assert(!b.r.ad_needed && b.writes == 0);
            cell_unbuild(&b.w);
        }
    }
}

/* A6: the last leaf of a stack, a TEA's, changes before its exclusive read: that stage alone walks, in the
 * first pass; what it then lacks is settled at the end. */
Test(ad, A6_last_leaf_restarts)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "pg");

    for (unsigned lacks = 0; lacks < 2; lacks++) {
        build(&b, &c);
        uint64_t gpa = cell_final(&b.w, 0), leaf = cell_entry_hpa(&b.w, 0, 1, gpa);
        uint64_t tea = b.w.base[0] + 4096 * 40, e = peek(&b, leaf);

        /* A TEA apart from the table. */
        b.w.state.tea[0][3].base_pfn = tea >> 12;
        tea += 8 * (gpa >> 12 & 511);
        poke(&b, tea, e & ~EPT_A);
        if (lacks)
            change(&b, cell_entry_hpa(&b.w, 0, 3, gpa), EPT_A, 0);
        b.poke.at = 3;
        b.poke.pa = tea;
        go(&b);
        cr_assert(b.r.status == DMT_STATUS_OK && b.r.pa == cell_final(&b.w, -1));
        expect_shape(&b, lacks ? "t11 t01 t01* " S0 " t11 t01 04 03 03* 03! 02 01" : "t11 t01 t01* " S0);
        cr_assert_eq(b.r.refs, 2 + 4);
        cell_unbuild(&b.w);
    }
}

/* A1: in a second pass what another processor took away faults; writes made before stand. */
Test(ad, A1_fault_in_the_second_pass)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "ww");

    build(&b, &c);
    uint64_t where = cell_entry(&b.w, 1, 3, b.w.request.va), host = cell_entry_hpa(&b.w, 0, 1, where);
    change(&b, cell_entry_hpa(&b.w, 1, 4, b.w.request.va), E_A, 0);
    b.poke.at = 25;
    b.poke.pa = host;
    go(&b);
    expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, where, Q_READ | Q_WRITE | Q_LINEAR);
    expect_shape(&b, GUEST_WALK " " S0 " " S0 " 14 14* 14! " S0);
    cr_assert_eq(b.r.updates, 1);
    cell_unbuild(&b.w);
}

/* ---------------------------------------------------------------- answers */

/* {IPAT, type} of the last second stage used, {PAT, PCD, PWT} of the entering stage. */
Test(answer, memtype)
{
    static const uint8_t types[] = {0, 1, 4, 5, 6};
    static struct bench b;

    for (unsigned i = 0; i < 8 * 5 * 2 * 3; i++) {
        unsigned guest = i % 8, type = types[i / 8 % 5], ipat = i / 40 % 2, mode = i / 80;
        bool nested = mode > 0, full = mode == 2;
        struct cell c =
            plain(nested ? DMT_MODE_NESTED : DMT_MODE_VIRT, full, DMT_FORMAT_EPT, nested ? "www" : "ww");

        build(&b, &c);
        unsigned top = b.w.entering, last = nested && !full ? CELL_SHADOW : 0;
        change(&b, cell_entry_hpa(&b.w, top, 1, b.w.request.va), 0x98,
               (guest & 3) << 3 | (guest & 4 ? 0x80 : 0));
        change(&b, cell_entry_hpa(&b.w, last, 1, cell_final(&b.w, last ? 1 : 0)), 0x78,
               type << 3 | ipat << 6);
        go(&b);
        cr_assert_eq(b.r.status, DMT_STATUS_OK);
        cr_assert_eq(b.r.memtype, ipat << 6 | type << 3 | guest, "case %u: %x", i, b.r.memtype);
        if (last == 0) {
            /* A memory type of stage 1 (of its final leaf) is not combined. */
            if (nested)
                change(&b, cell_entry_hpa(&b.w, 1, 1, cell_final(&b.w, 1)), 0x78, 0x40);
            go(&b);
            cr_assert_eq(b.r.memtype, ipat << 6 | type << 3 | guest);
        }
        cell_unbuild(&b.w);
    }
    for (unsigned bits = 0; bits < 8; bits++) {
        struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_NPT, "wg");

        build(&b, &c);
        change(&b, cell_entry_hpa(&b.w, 0, 1, cell_final(&b.w, 0)), 0,
               (bits & 3) << 3 | (bits & 4 ? 0x80 : 0));
        go(&b);
        cr_assert_eq(b.r.memtype, bits << 3, "NPT: PAT, PCD, PWT as type, IPAT 0");
        cell_unbuild(&b.w);
    }
}

/* W and X over all levels of all stages, U of the entering stage's alone, no reads of any second stage. */
Test(answer, rights_of_all_stages)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_NESTED, true, DMT_FORMAT_EPT, "www");

    for (unsigned stage = 0; stage < 3; stage++) {
        for (unsigned bit = 0; bit < 3; bit++) {
            static const uint64_t clear[2][3] = {
                {EPT_W, EPT_R | EPT_W, EPT_X | EPT_XU},
                {E_W, E_U, 0},
            };
            bool top = stage == 2;
            uint64_t pa;

            build(&b, &c);
            pa = cell_entry_hpa(&b.w, stage, 1, cell_final(&b.w, (int)stage));
            change(&b, pa, clear[top][bit], top && bit == 2 ? E_XD : 0);
            if (bit == 1)
                b.w.request.access = DMT_ACCESS_EXECUTE; /* execute-only pages are not read */
            go(&b);
            cr_assert_eq(b.r.status, DMT_STATUS_OK);
            cr_assert_eq(b.r.rights,
                         bit == 0   ? 6
                         : bit == 2 ? 3
                         : top      ? 5
                                    : 8 | 4 | 2,
                         "stage %u bit %u: %x", stage, bit, b.r.rights);
            cell_unbuild(&b.w);
        }
    }
}

/* global and key are the entering stage's; a guest's key denies like the host's own. */
Test(answer, global_and_key_of_the_entering_stage)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_NPT, "wg");

    build(&b, &c);
    b.w.state.level[1].cr4 = DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_PKE_MASK;
    b.w.state.level[0].pkru = ~0u;
    change(&b, cell_entry_hpa(&b.w, 0, 1, cell_final(&b.w, 0)), 0, 0x7ull << 59 | 0x100);
    go(&b);
    cr_assert(b.r.status == DMT_STATUS_OK && !b.r.global && b.r.pkey == 0);
    change(&b, cell_entry_hpa(&b.w, 1, 1, b.w.request.va), 0, 0x9ull << 59 | 0x100);
    go(&b);
    cr_assert(b.r.status == DMT_STATUS_OK && b.r.global && b.r.pkey == 9);
    b.w.state.level[1].pkru = 1u << 18;
    go(&b);
    cr_assert(b.r.path[1] == DMT_PATH_RESTART && b.r.status == DMT_STATUS_PF && b.r.error == 0x21 &&
              b.r.stage == 1);
    cell_unbuild(&b.w);
}

/* ---------------------------------------------------------------- giving up */

/* After STOP nothing more is called, at whichever access of both passes. */
Test(port, stop)
{
    static struct bench b;
    struct cell_read x[CELL_READS_MAX];
    static const char *const cover[] = {"www", "ppp", "pgg", "wpg"};

    for (unsigned s = 0; s < 4; s++) {
        struct cell c = plain(DMT_MODE_NESTED, true, DMT_FORMAT_NPT, cover[s]);
        unsigned accesses = 0;

        for (unsigned at = 0; at <= accesses; at++) {
            build(&b, &c);
            b.cache = true;
            unsigned n = cell_reads(&b.w, x);
            for (unsigned i = 0; i < n; i++)
                change(&b, x[i].addr, E_A, 0);
            b.stop_at = at;
            go(&b);
            if (at == 0)
                accesses = b.n;
            else
                cr_assert_eq(b.n, at);
            for (unsigned i = 0; at && i < b.fills; i++)
                cr_assert_lt(b.fill[i].at, at);
            for (unsigned i = 0; at && i < b.asks; i++)
                cr_assert_lt(b.asked[i].at, at);
            cell_unbuild(&b.w);
        }
        cr_assert_gt(accesses, 6);
    }
    sizes_setup(&b, "ggg");
    b.stop_at = 2;
    go(&b);
    cr_assert_eq(b.n, 2, "parallel reads end, too");
    cell_unbuild(&b.w);
}

/* ---------------------------------------------------------------- paging-structure caches */

static void expect_fill(const struct bench *b, unsigned i, unsigned at, unsigned stage, uint64_t va,
                        unsigned level, uint64_t table, unsigned rights)
{
    cr_assert_lt(i, b->fills);
    cr_assert(b->fill[i].at == at && b->fill[i].stage == stage && b->fill[i].va == va &&
                  b->fill[i].level == level && b->fill[i].table == table && b->fill[i].rights == rights,
              "fill %u after %u: stage %u va %" PRIx64 " level %u table %" PRIx64 " rights %x", i,
              b->fill[i].at, b->fill[i].stage, b->fill[i].va, b->fill[i].level, b->fill[i].table,
              b->fill[i].rights);
}

/* Every ask and every fill of a full walk of VIRT, in their order. */
Test(caches, every_step_of_a_walk)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "ww");
    uint64_t a[5];
    unsigned f = 0;

    build(&b, &c);
    b.cache = true;
    change(&b, cell_entry_hpa(&b.w, 1, 3, b.w.request.va), E_W, 0);
    go(&b);
    for (unsigned i = 0; i < 4; i++)
        a[i] = cell_entry(&b.w, 1, 4 - i, b.w.request.va);
    a[4] = cell_final(&b.w, 0);

    /* The entering stage once, then stage 0, but not for where the root lies. */
    cr_assert_eq(b.asks, 1 + 4);
    cr_assert(b.asked[0].stage == 1 && b.asked[0].va == b.w.request.va && b.asked[0].at == 0);
    for (unsigned i = 1; i < 5; i++)
        cr_assert(b.asked[i].stage == 0 && b.asked[i].va == a[i] && b.asked[i].at == 5 * i);

    for (unsigned i = 0; i < 5; i++) {
        for (unsigned level = 4; level >= 2; level--)
            expect_fill(&b, f++, 5 * i + 5 - level, 0, a[i], level,
                        cell_entry_hpa(&b.w, 0, level - 1, 0) & ~0xfffull, 15);
        if (i > 0 && i < 4) /* the table of level 4 - i is where the entry of level 5 - i leads */
            expect_fill(&b, f++, 5 * i + 4, 1, b.w.request.va, 5 - i,
                        cell_entry_hpa(&b.w, 1, 4 - i, 0) & ~0xfffull, i == 1 ? 7 : 6);
    }
    cr_assert_eq(b.fills, f);
    cell_unbuild(&b.w);
}

/* A table that a second stage does not let be written is not cached; those before and after it are. */
Test(caches, located_tables_must_be_writable)
{
    static struct bench b;

    for (unsigned i = 0; i < 3 * 3; i++) {
        unsigned level = 1 + i % 3,
                 how = i / 3; /* denied by stage 0's leaf, stage 1's, a register's allow bit */
        struct cell c = plain(DMT_MODE_NESTED, true, DMT_FORMAT_EPT, how == 2 ? "pww" : "www");
        unsigned found[5] = {0};

        build(&b, &c);
        b.cache = true;
        set_ad(&b, false);
        uint64_t a1 = cell_entry(&b.w, 2, level, b.w.request.va), a0 = a1 - b.w.base[2] + b.w.base[1];
        if (how == 2)
            b.w.state.tea[0][3].allow = 6;
        else
            change(&b, how ? cell_entry_hpa(&b.w, 1, 1, a1) : cell_entry_hpa(&b.w, 0, 1, a0), EPT_W, 0);
        go(&b);
        cr_assert_eq(b.r.status, DMT_STATUS_OK);
        for (unsigned f = 0; f < b.fills; f++) {
            if (b.fill[f].stage == 2)
                found[b.fill[f].level]++;
            cr_assert(how != 2 || b.fill[f].stage > 0, "TEA fetches do not fill");
        }
        for (unsigned l = 2; l <= 4; l++)
            cr_assert_eq(found[l], how != 2 && l != level + 1, "how %u level %u: %u of %u", how, level, l,
                         found[l]);
        /* Tables of stage 1 are located by stage 0 alone. */
        unsigned stage1 = 0;
        for (unsigned f = 0; f < b.fills; f++)
            stage1 += b.fill[f].stage == 1;
        cr_assert_eq(stage1, how == 2 ? 0 : 5 * 3);
        cell_unbuild(&b.w);
    }
}

/* Once something is missing, in any stage, a first pass fills no more; a second pass does. */
Test(caches, nothing_after_a_missing_bit)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_NESTED, false, DMT_FORMAT_NPT, "www");
    struct cell_read x[CELL_READS_MAX];
    unsigned all;

    build(&b, &c);
    b.cache = true;
    unsigned n = cell_reads(&b.w, x);
    go(&b);
    all = b.fills;
    cr_assert_eq(all, 5 * 3 + 3, "the shadow table's are filled like stage 0's");
    for (unsigned i = 0; i < n; i++) {
        bool met = false;

        for (unsigned j = 0; j < i; j++)
            met |= x[j].addr == x[i].addr;
        if (met)
            continue;
        b.w.state.ad_update = false;
        change(&b, x[i].addr, E_A, 0);
        go(&b);
        for (unsigned f = 0; f < b.fills; f++)
            cr_assert(b.fill[f].at <= i, "read %u lacks A, fill after %u", i + 1, b.fill[f].at);
        b.w.state.ad_update = true;
        unsigned first = b.fills;
        go(&b);
        cr_assert_eq(b.fills, i == n - 1 ? all : first + all, "entry %u", i);
        cr_assert_eq(b.r.updates, 1);
    }
    cell_unbuild(&b.w);
}

/* A walk starts where the cache says: rights from there, no stage above asked for the table, and a table
 * write passes (A5), as what is cached could be written. */
Test(caches, walk_starts_from_a_located_table)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "ww");

    for (unsigned level = 1; level <= 3; level++) {
        build(&b, &c);
        set_ad(&b, false);
        b.cache = b.start_hits = true;
        b.start_stage = 1;
        b.start_level = (uint8_t)level;
        b.start_rights = 6;
        b.start_table = cell_entry_hpa(&b.w, 1, level, 0) & ~0xfffull;
        change(&b, cell_entry_hpa(&b.w, 0, 1, cell_entry(&b.w, 1, level, b.w.request.va)), EPT_W, 0);
        change(&b, cell_entry_hpa(&b.w, 1, level, b.w.request.va), E_A, 0);
        go(&b);
        cr_assert(b.r.status == DMT_STATUS_OK && b.r.updates == 1 && b.r.rights == 6);
        cr_assert_eq(b.r.refs, 1 + 5 * (level - 1) + 4);
        cr_assert(b.log[0].ref.stage == 1 && b.log[0].ref.level == level);
        cr_assert_eq(b.asks, 2 * (1 + (level - 1) + 1));
        cell_unbuild(&b.w);
    }
    /* Of a second stage, with its four rights. */
    for (unsigned rights = 0; rights < 16; rights++) {
        build(&b, &c);
        b.cache = b.start_hits = true;
        b.start_level = 1;
        b.start_rights = (uint8_t)rights;
        b.start_table = cell_entry_hpa(&b.w, 0, 1, 0) & ~0xfffull;
        b.w.state.s2[0].mbec = true;
        go(&b);
        if (rights & 1)
            cr_assert(b.r.status == (rights & 2 ? DMT_STATUS_OK : DMT_STATUS_EPT_VIOLATION));
        else
            expect_fault(&b, DMT_STATUS_EPT_VIOLATION, 0, cell_entry(&b.w, 1, 3, b.w.request.va),
                         Q_READ | Q_WRITE | Q_LINEAR | (rights & 2 ? Q_R : 0) | (rights & 4 ? Q_X : 0) |
                             (rights & 8 ? Q_XU : 0));
        cell_unbuild(&b.w);
    }
}

/* The exemption of roots is that of the first look: where a register covers the root's page but does not map
 * it, the walk that follows may start from a cached table like any other. */
Test(caches, restart_at_a_root_asks)
{
    static struct bench b;
    struct cell c = plain(DMT_MODE_VIRT, false, DMT_FORMAT_EPT, "ww");
    uint64_t root;

    build(&b, &c);
    b.cache = true;
    root = cell_entry(&b.w, 1, 4, b.w.request.va);
    b.w.state.tea[0][0] = (struct dmt_tea){
        .base_vpn = root >> 12,
        .pages = 1,
        .base_pfn = b.w.base[0] / 4096 + 40,
        .allow = 7,
        .valid = true,
    };
    poke(&b, b.w.base[0] + 4096 * 40, 0);
    go(&b);
    expect_shape(&b, "t01 " GUEST_WALK " " S0);
    cr_assert_eq(b.asks, 6);
    cr_assert(b.asked[1].stage == 0 && b.asked[1].va == root && b.asked[1].at == 1);
    cell_unbuild(&b.w);
}
