/* SPDX-License-Identifier: Apache-2.0
 * The cycle model against docs/microarchitecture.md: exact latencies,
 * throughput, bus rules, the CSR port, draining, caches, events, counters.
 * Every clock of every test also checks the rules that always hold: zero
 * payload while valid is low, stable payload until it is taken, pin widths. */
#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "dmt/regs.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define E_P 1ull
#define E_W 2ull
#define E_U 4ull
#define E_A 0x20ull
#define E_D 0x40ull
#define E_PS 0x80ull
#define E_TABLE (E_P | E_W | E_U | E_A)
#define E_LEAF (E_TABLE | E_D)
#define HOST(r) (DMT_HOST_BASE + DMT_HOST_##r)
#define TEA_FLAGS(sz) (7ull << 5 | (uint64_t)(sz) << 1 | 1)

enum { FRAMES = 512, BEATS = 1024, ROOT = 1, DEADLINE = 1000000 };

static const struct dmt_config standard = {
    .pa_w = 52, .ctx_n = 8, .tea_n = 16, .sets = 3, .pwc4_n = 2, .pwc3_n = 4, .pwc2_n = 32, .tag_w = 8,
    .cnt_w = 48,
};

/* ------------------------------------------------------------ bench */

struct beat {
    uint64_t due, addr, data;
    uint8_t id, resp;
};

struct fifo {
    struct beat q[BEATS];
    unsigned head, n;
};

/* A model with memory that answers `latency` cycles after it took an address. */
struct bench {
    struct dmt_config cfg;
    struct dmt_cycle *m;
    const struct dmt_out *o;
    struct dmt_in in;
    uint64_t now, latency;
    uint64_t word[FRAMES * 512];
    unsigned frames; /* used so far */
    struct fifo r, b;
    struct fifo aw, w;
    uint64_t monitor[64]; /* address | 1 that the ID reserves */
    unsigned lose;        /* exclusive writes to lose yet */
    bool no_monitor;
    uint64_t bad_addr;    /* a read or write here is answered bad_resp, if set */
    unsigned bad_resp, bad_write;
    unsigned pressure;    /* of 100: how often a ready pin is low */
    uint64_t seed;
    struct dmt_out last; /* outputs and ready inputs of the cycle before */
    struct dmt_in last_in;
    uint64_t beats_r;    /* read beats handed over */
};

static uint64_t rnd(struct bench *t)
{
    t->seed ^= t->seed << 13;
    t->seed ^= t->seed >> 7;
    t->seed ^= t->seed << 17;
    return t->seed;
}

static struct beat *push(struct fifo *f)
{
    cr_assert_lt(f->n, BEATS);
    return &f->q[(f->head + f->n++) % BEATS];
}

static void pop(struct fifo *f)
{
    f->head = (f->head + 1) % BEATS;
    f->n--;
}

/* Pins whose payload follows a valid: zero without it, and held while ready is low. */
struct pin {
    const char *name;
    size_t at;
    unsigned width;
};

static const struct pin out_pin[] = {
#define PIN_IN(name, width)
#define PIN_OUT(name, width) { #name, offsetof(struct dmt_out, name), width },
#include "dmt/pins.def"
};

struct group {
    const char *valid, *payload; /* payload: names, a space around each */
    size_t valid_at;
    ptrdiff_t ready_at; /* in struct dmt_in, -1 for none */
};

#define OUT_GROUP(v, names, ready) \
    { #v, names, offsetof(struct dmt_out, v), (ptrdiff_t)offsetof(struct dmt_in, ready) }
#define TRACE_GROUP(v, names) { #v, names, offsetof(struct dmt_out, v), -1 }

static const struct group group[] = {
    OUT_GROUP(resp_valid,
              " resp_tag resp_status resp_pa resp_size resp_rights resp_global resp_pkey resp_memtype"
              " resp_dirty resp_ad_needed resp_error resp_addr resp_stage ",
              resp_ready),
    OUT_GROUP(m_arvalid, " m_arid m_araddr m_arlock ", m_arready),
    OUT_GROUP(m_awvalid, " m_awid m_awaddr ", m_awready),
    OUT_GROUP(m_wvalid, " m_wdata ", m_wready),
    OUT_GROUP(s_bvalid, " s_bresp ", s_bready),
    OUT_GROUP(s_rvalid, " s_rdata s_rresp ", s_rready),
    TRACE_GROUP(wt_req_valid, "wt_req_"),
    TRACE_GROUP(wt_ref_valid, "wt_ref_"),
    TRACE_GROUP(wt_upd_valid, "wt_upd_"),
    TRACE_GROUP(wt_end_valid, "wt_end_"),
};

static uint64_t pin_value(const struct dmt_out *o, size_t at)
{
    uint64_t v;

    memcpy(&v, (const char *)o + at, sizeof v);
    return v;
}

enum { GROUPS = sizeof group / sizeof *group, OUT_PINS = sizeof out_pin / sizeof *out_pin };

/* The payload pins of each group, by number. */
static unsigned member[GROUPS][OUT_PINS], members[GROUPS];

static void find_members(void)
{
    for (unsigned g = 0; g < GROUPS; g++) {
        members[g] = 0;
        for (unsigned i = 0; i < OUT_PINS; i++) {
            const char *name = out_pin[i].name, *list = group[g].payload;
            char padded[40];

            snprintf(padded, sizeof padded, " %s ", name);
            if (group[g].ready_at < 0 ? !strncmp(name, list, strlen(list)) && strcmp(name, group[g].valid)
                                      : strstr(list, padded) != NULL)
                member[g][members[g]++] = i;
        }
        cr_assert_gt(members[g], 0);
    }
}

static void check_group(const struct bench *t, unsigned n)
{
    const struct group *g = &group[n];
    bool valid = pin_value(t->o, g->valid_at), held = pin_value(&t->last, g->valid_at);
    uint64_t ready = 1;

    if (g->ready_at >= 0)
        memcpy(&ready, (const char *)&t->last_in + g->ready_at, sizeof ready);
    held = held && !ready;
    cr_assert(!held || valid, "%s dropped before it was taken", g->valid);
    if (valid && !held)
        return;
    for (unsigned i = 0; i < members[n]; i++) {
        const struct pin *p = &out_pin[member[n][i]];
        uint64_t v = pin_value(t->o, p->at), before = pin_value(&t->last, p->at);

        if (v != (valid ? before : 0))
            cr_assert(false, "%s = %#lx, %s", p->name, v,
                      valid ? "changed before it was taken" : "and not valid");
    }
}

/* What holds in every cycle. */
static void check_always(const struct bench *t)
{
    const struct dmt_out *o = t->o;

    for (unsigned i = 0; i < GROUPS; i++)
        check_group(t, i);
    for (unsigned i = 0; i < OUT_PINS; i++)
        if (out_pin[i].width < 64 && pin_value(o, out_pin[i].at) >> out_pin[i].width)
            cr_assert(false, "%s is too wide", out_pin[i].name);
    cr_assert_eq((o->m_araddr | o->m_awaddr | o->resp_pa | o->wt_ref_addr) >> t->cfg.pa_w, 0);
    cr_assert_eq((o->resp_tag | o->wt_req_tag | o->wt_end_tag) >> t->cfg.tag_w, 0);
    cr_assert(o->m_arlen == 0 && o->m_awlen == 0 && o->m_arsize == 3 && o->m_awsize == 3 && o->m_wlast == 1);
    cr_assert(o->m_arburst == 1 && o->m_awburst == 1 && o->m_arcache == 3 && o->m_awcache == 3);
    cr_assert(o->m_arprot == 1 && o->m_awprot == 1 && o->m_awlock == 1 && o->m_wstrb == 0xff);
    cr_assert(o->m_bready == 1);
    cr_assert(!o->m_arvalid || o->m_arid < t->cfg.ctx_n);
}

static bool ready(struct bench *t)
{
    return !t->pressure || rnd(t) % 100 >= t->pressure;
}

static unsigned answer_read(struct bench *t, uint64_t addr, unsigned id, bool lock, uint64_t *data)
{
    cr_assert_lt(addr / 8, FRAMES * 512);
    *data = t->word[addr / 8];
    if (t->bad_addr == addr && t->bad_resp)
        return t->bad_resp;
    if (!lock || t->no_monitor)
        return DMT_RESP_OKAY;
    t->monitor[id] = addr | 1;
    return DMT_RESP_EXOKAY;
}

static unsigned answer_write(struct bench *t, uint64_t addr, unsigned id, uint64_t data)
{
    bool reserved = t->monitor[id] == (addr | 1);

    cr_assert_lt(addr / 8, FRAMES * 512);
    if (t->bad_addr == addr && t->bad_write)
        return t->bad_write;
    if (t->lose || !reserved) {
        t->lose -= t->lose > 0;
        return DMT_RESP_OKAY;
    }
    for (unsigned i = 0; i < 64; i++)
        if (t->monitor[i] == (addr | 1))
            t->monitor[i] = 0;
    t->word[addr / 8] = data;
    return DMT_RESP_EXOKAY;
}

/* Drive the memory's pins of this cycle. */
static void drive_memory(struct bench *t)
{
    struct dmt_in *in = &t->in;
    const struct beat *r = &t->r.q[t->r.head], *b = &t->b.q[t->b.head];

    in->m_rvalid = t->r.n && r->due <= t->now;
    in->m_rid = in->m_rvalid ? r->id : 0;
    in->m_rdata = in->m_rvalid ? r->data : 0;
    in->m_rresp = in->m_rvalid ? r->resp : 0;
    in->m_rlast = in->m_rvalid;
    in->m_bvalid = t->b.n && b->due <= t->now;
    in->m_bid = in->m_bvalid ? b->id : 0;
    in->m_bresp = in->m_bvalid ? b->resp : 0;
    in->m_arready = ready(t);
    in->m_awready = ready(t);
    in->m_wready = ready(t);
}

/* Take what the bus hands over in this cycle. */
static void serve_memory(struct bench *t)
{
    const struct dmt_out *o = t->o;
    struct beat *b;

    if (t->in.m_rvalid && o->m_rready) {
        pop(&t->r);
        t->beats_r++;
    }
    if (t->in.m_bvalid)
        pop(&t->b);
    if (o->m_arvalid && t->in.m_arready) {
        b = push(&t->r);
        b->due = t->now + t->latency;
        b->id = (uint8_t)o->m_arid;
        b->resp = (uint8_t)answer_read(t, o->m_araddr, b->id, o->m_arlock, &b->data);
    }
    if (o->m_awvalid && t->in.m_awready) {
        b = push(&t->aw);
        b->id = (uint8_t)o->m_awid;
        b->addr = o->m_awaddr;
    }
    if (o->m_wvalid && t->in.m_wready)
        push(&t->w)->data = o->m_wdata;
    if (t->aw.n && t->w.n) {
        const struct beat *a = &t->aw.q[t->aw.head];

        b = push(&t->b);
        b->due = t->now + 1;
        b->id = a->id;
        b->resp = (uint8_t)answer_write(t, a->addr, a->id, t->w.q[t->w.head].data);
        pop(&t->aw);
        pop(&t->w);
    }
}

/* The inputs with noise above every pin's width in this configuration. */
static struct dmt_in noisy(struct bench *t)
{
    struct dmt_in in = t->in;
    uint64_t noise = rnd(t);
    unsigned id_w = 1;

    while (1u << id_w < t->cfg.ctx_n)
        id_w++;
#define PIN_IN(name, width) in.name |= (width) < 64 ? noise << (width) % 64 : 0;
#define PIN_OUT(name, width)
#include "dmt/pins.def"
    in.req_tag |= noise << t->cfg.tag_w;
    in.m_rid |= noise << id_w;
    in.m_bid |= noise << id_w;
    return in;
}

/* One clock. The request, response and CSR inputs are the caller's. */
static void tick(struct bench *t)
{
    struct dmt_in in;

    drive_memory(t);
    check_always(t);
    serve_memory(t);
    t->last = *t->o;
    t->last_in = t->in;
    in = noisy(t);
    dmt_cycle_edge(t->m, &in, false);
    cr_assert_lt(++t->now, DEADLINE, "the test does not end");
}

static void ticks(struct bench *t, unsigned n)
{
    while (n--)
        tick(t);
}

static uint64_t csr_read(struct bench *t, unsigned addr, unsigned *resp)
{
    uint64_t v;

    t->in.s_arvalid = 1;
    t->in.s_araddr = addr;
    cr_assert(t->o->s_arready);
    tick(t);
    t->in.s_arvalid = 0;
    cr_assert(t->o->s_rvalid && !t->o->s_arready, "read data comes a clock after the address");
    v = t->o->s_rdata;
    *resp = (unsigned)t->o->s_rresp;
    t->in.s_rready = 1;
    tick(t);
    t->in.s_rready = 0;
    cr_assert(!t->o->s_rvalid && t->o->s_arready);
    return v;
}

static uint64_t get(struct bench *t, unsigned addr)
{
    unsigned resp;
    uint64_t v = csr_read(t, addr, &resp);

    cr_assert_eq(resp, DMT_RESP_OKAY, "read of %#x answered %u", addr, resp);
    return v;
}

/* Write and wait for the answer; *clocks from both halves on the pins to BVALID. */
static unsigned csr_write(struct bench *t, unsigned addr, uint64_t v, unsigned strb, unsigned *clocks)
{
    unsigned resp, n = 0;

    t->in.s_awvalid = t->in.s_wvalid = 1;
    t->in.s_awaddr = addr;
    t->in.s_wdata = v;
    t->in.s_wstrb = strb;
    cr_assert(t->o->s_awready && t->o->s_wready);
    do {
        tick(t);
        t->in.s_awvalid = t->in.s_wvalid = 0;
        n++;
    } while (!t->o->s_bvalid);
    resp = (unsigned)t->o->s_bresp;
    t->in.s_bready = 1;
    tick(t);
    t->in.s_bready = 0;
    if (clocks)
        *clocks = n;
    return resp;
}

static void set(struct bench *t, unsigned addr, uint64_t v)
{
    cr_assert_eq(csr_write(t, addr, v, 0xff, NULL), DMT_RESP_OKAY, "write of %#x", addr);
}

static void free_bench(struct bench *t)
{
    dmt_cycle_free(t->m);
    free(t);
}

/* A model in mode NATIVE with an empty root table. */
static struct bench *new_bench(const struct dmt_config *cfg, unsigned latency)
{
    struct bench *t = calloc(1, sizeof *t);

    cr_assert_not_null(t);
    find_members();
    t->cfg = *cfg;
    t->m = dmt_cycle_new(cfg);
    cr_assert_not_null(t->m);
    t->o = dmt_cycle_out(t->m);
    t->latency = latency;
    t->seed = 0x9e3779b97f4a7c15ull;
    t->frames = ROOT + 1;
    t->in.resp_ready = 1;
    t->last_in.resp_ready = 1;
    set(t, HOST(CTL), DMT_MODE_NATIVE | 4);
    set(t, DMT_LEVEL_CR3, ROOT << 12);
    return t;
}

/* The table entry of va at a level, its upper tables made on the way. */
static uint64_t *entry_of(struct bench *t, uint64_t va, unsigned levels, unsigned level)
{
    uint64_t table = ROOT;

    for (unsigned n = levels;; n--) {
        uint64_t *e = &t->word[table * 512 + (va >> (9 * n + 3) & 511)];

        if (n == level)
            return e;
        if (!*e)
            *e = (uint64_t)t->frames++ << 12 | E_TABLE;
        cr_assert_lt(t->frames, FRAMES);
        table = *e >> 12 & 0xffffffffff;
    }
}

static void map(struct bench *t, uint64_t va, unsigned levels, unsigned level, uint64_t e)
{
    *entry_of(t, va, levels, level) = e;
}

/* A register over `pages` pages from va's, whose TEA is a fresh frame; returns the frame. */
static unsigned add_tea(struct bench *t, unsigned i, uint64_t va, uint64_t pages, unsigned sz)
{
    unsigned frame = t->frames++;

    set(t, DMT_LEVEL_TEA_WORD1(i), (uint64_t)frame << 12);
    set(t, DMT_LEVEL_TEA_WORD2(i), pages);
    set(t, DMT_LEVEL_TEA_WORD0(i), (va & ~0xfffull) | TEA_FLAGS(sz));
    cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(i)), DMT_TEA_WORD3_VALID_MASK);
    return frame;
}

static void drive_request(struct bench *t, const struct dmt_request *q, unsigned tag)
{
    t->in.req_valid = 1;
    t->in.req_tag = tag;
    t->in.req_va = q->va;
    t->in.req_access = q->access;
    t->in.req_cpl = q->cpl;
    t->in.req_ac = q->ac;
    t->in.req_implicit = q->implicit;
    t->in.req_nonspec = q->nonspec;
}

/* One request through an idle block: its latency, the answer in t->o as resp_*. */
static unsigned translate(struct bench *t, const struct dmt_request *q)
{
    uint64_t taken = t->now;

    cr_assert(t->o->req_ready);
    drive_request(t, q, 0xa55a);
    t->in.resp_ready = 0;
    tick(t);
    t->in.req_valid = 0;
    cr_assert_eq(t->o->wt_req_valid, 1);
    cr_assert_eq(t->o->wt_req_va, q->va);
    while (!t->o->resp_valid)
        tick(t);
    cr_assert_eq(t->o->resp_tag, 0xa55a & ((1u << t->cfg.tag_w) - 1));
    cr_assert_eq(t->o->wt_end_valid, 1);
    cr_assert_eq(t->o->wt_end_status, t->o->resp_status);
    cr_assert_eq(t->o->wt_end_clocks, t->now - taken);
    return (unsigned)(t->now - taken);
}

/* Take the answer that translate() left on the pins. */
static void take(struct bench *t)
{
    t->in.resp_ready = 1;
    tick(t);
}

static struct dmt_request user_read(uint64_t va)
{
    return (struct dmt_request){ .va = va, .cpl = 3 };
}

static struct dmt_request user_write(uint64_t va)
{
    return (struct dmt_request){ .va = va, .cpl = 3, .access = DMT_ACCESS_WRITE, .nonspec = true };
}

/* Latency of a user read that must be answered OK with this address and path. */
static unsigned hit(struct bench *t, uint64_t va, uint64_t pa, unsigned path)
{
    struct dmt_request q = user_read(va);
    unsigned n = translate(t, &q);

    cr_assert_eq(t->o->resp_status, DMT_STATUS_OK, "status %lu of %#lx", t->o->resp_status, va);
    cr_assert_eq(t->o->resp_pa, pa);
    cr_assert_eq(t->o->wt_end_path, path, "path %lu", t->o->wt_end_path);
    take(t);
    return n;
}

static const unsigned latency[] = { 1, 4, 8, 16, 32 };
#define EACH_LATENCY(L) for (unsigned i_ = 0, L; i_ < 5 && (L = latency[i_]); i_++)

/* ------------------------------------------------------------ latency (section 4) */

Test(cycle, tea_hit)
{
    EACH_LATENCY(L) {
        struct bench *t = new_bench(&standard, L);
        unsigned f = add_tea(t, 3, 0x400000, 512, DMT_SIZE_4K);

        t->word[f * 512 + 5] = 0x77000 | E_LEAF;
        cr_assert_eq(hit(t, 0x405123, 0x77123, DMT_PATH_TEA), L + 2);
        cr_assert_eq(t->last.wt_end_index, 3);
        cr_assert_eq(get(t, HOST(CNT_TEA)), 1);
        free_bench(t);
    }
}

/* Beats are taken while at most one address waits to be emitted (3.1), so with
 * three reads and memory that answers in the next clock the first beat waits one. */
static unsigned crowded(unsigned L, unsigned k)
{
    return L == 1 && k == 3;
}

/* k sizes: each size decides once, and the latency is the same whichever does. */
Test(cycle, tea_sizes)
{
    static const struct {
        uint8_t sizes, decides;
    } c[] = { { 3, 0 }, { 3, 1 }, { 5, 2 }, { 6, 1 }, { 7, 0 }, { 7, 1 }, { 7, 2 }, { 4, 2 }, { 2, 1 } };
    const uint64_t va = 0x40000000;

    EACH_LATENCY(L)
        for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
            struct bench *t = new_bench(&standard, L);
            unsigned k = 0, sz = c[i].decides;

            for (unsigned s = 0; s < 3; s++)
                if (c[i].sizes >> s & 1) {
                    unsigned f = add_tea(t, 4 + s, va, 1 << 18, s);

                    t->word[f * 512] = s == sz ? 0x80000000 | E_LEAF | (s ? E_PS : 0) : 0;
                    k++;
                }
            cr_assert_eq(hit(t, va + 0x321, 0x80000321, DMT_PATH_TEA), L + 1 + k + crowded(L, k),
                         "case %u", i);
            cr_assert_eq(get(t, HOST(CNT_READ)), k);
            free_bench(t);
        }
}

Test(cycle, x86_walk)
{
    for (unsigned levels = 4; levels <= 5; levels++)
        for (unsigned leaf = 1; leaf <= 3; leaf++)
            EACH_LATENCY(L) {
                struct bench *t = new_bench(&standard, L);
                unsigned n = levels - leaf + 1;
                uint64_t va = levels == 5 ? 0x00ff123456789abc : 0x0000123456789abc;
                uint64_t offset = va & ((1ull << (9 * leaf + 3)) - 1);

                if (levels == 5)
                    set(t, DMT_LEVEL_CR4, DMT_LEVEL_CR4_LA57_MASK);
                map(t, va, levels, leaf, 0x40000000 | E_LEAF | (leaf > 1 ? E_PS : 0));
                cr_assert_eq(hit(t, va, 0x40000000 | offset, DMT_PATH_RADIX), n * (L + 1) + 1);
                cr_assert_eq(get(t, HOST(CNT_READ)), n);
                free_bench(t);
            }
}

/* A walk that starts in each of the caches. */
Test(cycle, x86_from_cache)
{
    static const struct {
        uint64_t step; /* from the first address */
        unsigned refs, counter;
    } c[] = {
        { 0x1000, 1, HOST(CNT_PWC2) }, { 0x200000, 2, HOST(CNT_PWC3) }, { 0x40000000, 3, HOST(CNT_PWC4) },
        { 1ull << 39, 4, 0 },
    };

    EACH_LATENCY(L)
        for (unsigned i = 0; i < 4; i++) {
            struct bench *t = new_bench(&standard, L);
            const uint64_t va = 0x7000000000;

            map(t, va, 4, 1, 0x10000 | E_LEAF);
            map(t, va + c[i].step, 4, 1, 0x20000 | E_LEAF);
            hit(t, va, 0x10000, DMT_PATH_RADIX);
            cr_assert_eq(hit(t, va + c[i].step, 0x20000, DMT_PATH_RADIX), c[i].refs * (L + 1) + 1);
            for (unsigned reg = HOST(CNT_PWC4); reg <= HOST(CNT_PWC2); reg += 8)
                cr_assert_eq(get(t, reg), reg == c[i].counter);
            free_bench(t);
        }
}

Test(cycle, restart)
{
    const uint64_t va = 0x40000000;

    EACH_LATENCY(L)
        for (unsigned k = 1; k <= 3; k++) {
            struct bench *t = new_bench(&standard, L);

            for (unsigned s = 0; s < k; s++)
                add_tea(t, s, va, 1 << 18, s);
            map(t, va, 4, 1, 0x10000 | E_LEAF);
            cr_assert_eq(hit(t, va, 0x10000, DMT_PATH_RESTART),
                         (L + 1) + (k - 1) + crowded(L, k) + 4 * (L + 1) + 1);
            cr_assert_eq(get(t, HOST(CNT_RESTART)), 1);
            cr_assert_eq(get(t, HOST(CNT_TEA)), 0);
            free_bench(t);
        }
}

Test(cycle, answered_at_once)
{
    struct bench *t = new_bench(&standard, 8);
    struct dmt_request q = user_read(0x800000000000);

    cr_assert_eq(translate(t, &q), 1);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_GP);
    cr_assert_eq(t->o->resp_addr, q.va);
    cr_assert_eq(t->o->wt_end_path, DMT_PATH_NOT_USED);
    take(t);
    set(t, HOST(CTL), DMT_MODE_OFF);
    q.va = 0x000fffffffffffff;
    cr_assert_eq(translate(t, &q), 1);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_OK);
    cr_assert_eq(t->o->resp_pa, q.va);
    cr_assert(t->o->resp_rights == 7 && t->o->resp_dirty == 1 && t->o->resp_size == 0);
    take(t);
    set(t, HOST(MAXPA), 40);
    q.va = 1ull << 40;
    cr_assert_eq(translate(t, &q), 1);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_GP);
    take(t);
    cr_assert_eq(get(t, HOST(CNT_FAULT)), 2);
    cr_assert_eq(get(t, HOST(CNT_PASS)), 1);
    cr_assert_eq(get(t, HOST(CNT_BUSY)), 0);
    free_bench(t);
}

/* Not a line of section 4's table but follows from section 3: read, exclusive
 * read, exclusive write with the answer a clock after it. */
Test(cycle, update_latency)
{
    EACH_LATENCY(L) {
        struct bench *t = new_bench(&standard, L);
        unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
        struct dmt_request q = user_write(0x400000);

        t->word[f * 512] = 0x77000 | E_TABLE;
        cr_assert_eq(translate(t, &q), 2 * (L + 1) + 4);
        cr_assert(t->o->resp_status == DMT_STATUS_OK && t->o->resp_dirty == 1);
        cr_assert_eq(t->word[f * 512], 0x77000 | E_LEAF);
        take(t);
        t->word[f * 512] &= ~E_D;
        t->lose = 2;
        cr_assert_eq(translate(t, &q), 2 * (L + 1) + 4 + 2 * (L + 4), "two writes lost");
        take(t);
        cr_assert_eq(get(t, HOST(CNT_LOST)), 2);
        cr_assert_eq(get(t, HOST(CNT_UPDATE)), 2);
        free_bench(t);
    }
}

/* ------------------------------------------------------------ throughput */

/* Clocks that n TEA hits take from the first request to the last answer, back to back. */
static uint64_t burst(unsigned L, unsigned ctx_n, unsigned n)
{
    struct dmt_config cfg = standard;
    struct bench *t;
    struct dmt_request q = user_read(0x400000);
    uint64_t first, sent = 0, done = 0;
    unsigned f;

    cfg.ctx_n = ctx_n;
    t = new_bench(&cfg, L);
    f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    for (unsigned i = 0; i < 512; i++)
        t->word[f * 512 + i] = (uint64_t)i << 12 | E_LEAF;
    first = t->now;
    while (done < n) {
        q.va = 0x400000 + (sent % 512 << 12);
        t->in.req_valid = sent < n;
        if (sent < n)
            drive_request(t, &q, sent & 0xff);
        if (t->o->resp_valid) {
            cr_assert_eq(t->o->resp_pa, done % 512 << 12);
            done++;
        }
        sent += t->in.req_valid && t->o->req_ready;
        tick(t);
    }
    first = t->now - first;
    free_bench(t);
    return first;
}

Test(cycle, throughput)
{
    EACH_LATENCY(L) {
        cr_assert_eq(burst(L, L + 2, 600), 600 + L + 2, "one a clock");
        cr_assert_gt(burst(L, L + 1, 600), 600 + 600 / (L + 3), "a context less is not enough");
    }
}

/* ------------------------------------------------------------ the front */

Test(cycle, skid_and_full)
{
    struct dmt_config cfg = standard;
    struct bench *t;
    struct dmt_request q = user_read(0x400000);
    unsigned f;

    cfg.ctx_n = 1;
    t = new_bench(&cfg, 10);
    f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    t->word[f * 512] = E_LEAF;
    drive_request(t, &q, 1);
    tick(t);
    cr_assert_eq(t->o->req_ready, 1, "the context took the first request");
    drive_request(t, &q, 2);
    tick(t);
    cr_assert_eq(t->o->req_ready, 0, "the second one waits in the skid");
    t->in.req_valid = 0;
    /* Taken at 0; its beat is stepped in 11, the second request leaves in 12. */
    ticks(t, 10);
    cr_assert_eq(t->o->req_ready, 0);
    cr_assert_eq(t->o->resp_valid, 1);
    tick(t);
    cr_assert_eq(t->o->req_ready, 1);
    cr_assert_eq(t->o->wt_req_tag, 2);
    cr_assert_eq(t->o->wt_req_order, 1);
    ticks(t, 11);
    cr_assert_eq(t->o->resp_tag, 2);
    cr_assert_eq(t->o->wt_end_clocks, 23);
    free_bench(t);
}

/* Answers not taken stop the R channel after two, and nothing is lost. */
Test(cycle, responses_held)
{
    struct bench *t = new_bench(&standard, 4);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_read(0x400000);

    t->word[f * 512] = E_LEAF;
    t->in.resp_ready = 0;
    for (unsigned i = 0; i < 4; i++) {
        drive_request(t, &q, i);
        tick(t);
    }
    t->in.req_valid = 0;
    ticks(t, 30);
    cr_assert_eq(t->beats_r, 2);
    cr_assert_eq(t->o->m_rready, 0);
    t->in.resp_ready = 1;
    for (unsigned i = 0; i < 4; i++) {
        while (!t->o->resp_valid)
            tick(t);
        cr_assert_eq(t->o->resp_tag, i);
        tick(t);
    }
    cr_assert_eq(t->o->resp_valid, 0);
    free_bench(t);
}

/* A request that is answered at once waits while a step pushes an answer. */
Test(cycle, step_has_the_response_queue)
{
    struct bench *t = new_bench(&standard, 4);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_read(0x400000), gp = user_read(1ull << 63);

    t->word[f * 512] = E_LEAF;
    drive_request(t, &q, 1);
    tick(t);
    t->in.req_valid = 0;
    ticks(t, 4);
    drive_request(t, &gp, 2); /* in the cycle of the step */
    tick(t);
    t->in.req_valid = 0;
    cr_assert(t->o->resp_valid && t->o->resp_tag == 1 && !t->o->req_ready);
    tick(t);
    cr_assert(t->o->resp_valid && t->o->resp_tag == 2 && t->o->req_ready);
    cr_assert_eq(t->o->wt_end_clocks, 2);
    free_bench(t);
}

/* ------------------------------------------------------------ accessed and dirty bits */

Test(cycle, update_switch_and_retry)
{
    struct bench *t = new_bench(&standard, 4);
    uint64_t va = 0x1000;
    struct dmt_request q = user_write(va);

    map(t, va, 4, 1, 0x10000 | E_TABLE);
    q.nonspec = false;
    cr_assert_eq(translate(t, &q), 4 * 5 + 1);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_RETRY);
    take(t);
    set(t, HOST(CTL), DMT_MODE_NATIVE);
    translate(t, &q);
    cr_assert(t->o->resp_status == DMT_STATUS_OK && t->o->resp_ad_needed == 1 && t->o->resp_dirty == 0);
    take(t);
    cr_assert_eq(*entry_of(t, va, 4, 1), 0x10000 | E_TABLE);
    cr_assert_eq(get(t, HOST(CNT_RETRY)), 1);
    free_bench(t);
}

/* Upper entries without A are written in order, and cached once A is set. */
Test(cycle, update_upper_entries)
{
    struct bench *t = new_bench(&standard, 4);
    uint64_t va = 0x7fffdeadb000;
    struct dmt_request q = user_read(va);

    q.nonspec = true;
    map(t, va, 4, 1, 0x10000 | (E_TABLE & ~E_A));
    for (unsigned level = 2; level <= 4; level++)
        *entry_of(t, va, 4, level) &= ~E_A;
    translate(t, &q);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_OK);
    take(t);
    cr_assert_eq(*entry_of(t, va, 4, 1), 0x10000 | E_TABLE, "a read sets A, not D");
    for (unsigned level = 2; level <= 4; level++)
        cr_assert(*entry_of(t, va, 4, level) & E_A);
    cr_assert_eq(get(t, HOST(CNT_UPDATE)), 4);
    cr_assert_eq(get(t, HOST(CNT_READ)), 8);
    cr_assert_eq(hit(t, va, 0x10000, DMT_PATH_RADIX), 1 * 5 + 1, "the second pass filled the caches");
    free_bench(t);
}

/* Rule A6: the entry goes away between the passes; the x86 walk starts with a
 * first pass, whose reads are not exclusive. */
Test(cycle, update_restarts)
{
    struct bench *t = new_bench(&standard, 4);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K), ordinary = 0, exclusive = 0;
    struct dmt_request q = user_write(0x400000);

    t->word[f * 512] = 0x77000 | E_TABLE;
    map(t, 0x400000, 4, 1, 0x88000 | E_TABLE);
    drive_request(t, &q, 1);
    tick(t);
    t->in.req_valid = 0;
    while (!t->o->resp_valid) {
        ordinary += t->o->wt_ref_valid && !t->o->wt_ref_lock;
        exclusive += t->o->wt_ref_valid && t->o->wt_ref_lock;
        if (t->o->wt_ref_valid)
            t->word[f * 512] = 0;
        tick(t);
    }
    cr_assert_eq(t->o->resp_pa, 0x88000);
    cr_assert_eq(t->o->wt_end_path, DMT_PATH_RESTART);
    /* One TEA read and four x86 reads; one TEA read, then the PD entry's cache leaves one. */
    cr_assert_eq(ordinary, 5);
    cr_assert_eq(exclusive, 2);
    free_bench(t);
}

/* An entry below one that lacks A is not cached in a first pass. */
Test(cycle, no_fill_below_missing_a)
{
    struct bench *t = new_bench(&standard, 4);
    uint64_t va = 0x7fffdeadb000;

    map(t, va, 4, 1, 0x10000 | E_LEAF);
    *entry_of(t, va, 4, 3) &= ~E_A;
    set(t, HOST(CTL), DMT_MODE_NATIVE);
    hit(t, va, 0x10000, DMT_PATH_RADIX);
    cr_assert_eq(hit(t, va, 0x10000, DMT_PATH_RADIX), 3 * 5 + 1, "only the PML4 entry is cached");
    free_bench(t);
}

/* ------------------------------------------------------------ bus errors */

static void expect_bus(struct bench *t, const struct dmt_request *q, uint64_t addr, unsigned error)
{
    translate(t, q);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_BUS);
    cr_assert_eq(t->o->resp_addr, addr);
    cr_assert_eq(t->o->resp_error, error);
    take(t);
    cr_assert_eq(get(t, HOST(BUS_ADDR)), addr);
    cr_assert_eq(get(t, HOST(EVENT)),
                 error == DMT_BUS_ERROR_NOT_EXCLUSIVE ? DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK
                                                      : DMT_HOST_EVENT_BUS_MASK);
    set(t, HOST(EVENT), 7);
    cr_assert_eq(get(t, HOST(EVENT)), 0);
}

Test(cycle, bus_errors)
{
    struct bench *t = new_bench(&standard, 4);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_write(0x400000);
    uint64_t addr = (uint64_t)f << 12;

    t->word[f * 512] = 0x77000 | E_TABLE;
    t->bad_addr = addr;
    t->bad_resp = DMT_RESP_SLVERR;
    expect_bus(t, &q, addr, DMT_BUS_ERROR_READ_SLVERR);
    t->bad_resp = DMT_RESP_DECERR;
    expect_bus(t, &q, addr, DMT_BUS_ERROR_READ_DECERR);
    t->bad_resp = 0;
    t->bad_write = DMT_RESP_SLVERR;
    expect_bus(t, &q, addr, DMT_BUS_ERROR_WRITE_SLVERR);
    t->bad_write = DMT_RESP_DECERR;
    expect_bus(t, &q, addr, DMT_BUS_ERROR_WRITE_DECERR);
    t->bad_write = 0;
    t->no_monitor = true;
    expect_bus(t, &q, addr, DMT_BUS_ERROR_NOT_EXCLUSIVE);
    cr_assert_eq(get(t, HOST(CNT_BUS)), 5);
    cr_assert_eq(t->word[f * 512], 0x77000 | E_TABLE);
    free_bench(t);
}

/* A smaller size's bus error does not matter once a larger leaf decides; a larger one's does. */
Test(cycle, bus_error_of_one_size)
{
    struct bench *t = new_bench(&standard, 4);
    unsigned small = add_tea(t, 0, 0x40000000, 512, DMT_SIZE_4K);
    unsigned large = add_tea(t, 1, 0x40000000, 512, DMT_SIZE_2M);
    struct dmt_request q = user_read(0x40000000);

    t->word[small * 512] = 0x77000 | E_LEAF;
    t->word[large * 512] = 0x200000 | E_LEAF | E_PS;
    t->bad_resp = DMT_RESP_SLVERR;
    t->bad_addr = (uint64_t)small << 12;
    hit(t, 0x40000000, 0x200000, DMT_PATH_TEA);
    t->bad_addr = (uint64_t)large << 12;
    expect_bus(t, &q, t->bad_addr, DMT_BUS_ERROR_READ_SLVERR);
    free_bench(t);
}

/* ------------------------------------------------------------ paging-structure caches */

/* Three PML4 entries in a cache of two: round robin, a hit does not move the pointer. */
Test(cycle, pwc_replacement)
{
    struct dmt_config cfg = standard;
    struct bench *t;
    const uint64_t page = 1ull << 39;

    cfg.pwc3_n = cfg.pwc2_n = 0;
    t = new_bench(&cfg, 4);
    for (unsigned i = 0; i < 3; i++)
        map(t, i * page, 4, 1, (uint64_t)(i + 1) << 12 | E_LEAF);
    /* Clocks tell a hit (3 references) from a miss (4). */
    cr_assert_eq(hit(t, 0 * page, 0x1000, DMT_PATH_RADIX), 21, "0 goes to entry 0");
    cr_assert_eq(hit(t, 1 * page, 0x2000, DMT_PATH_RADIX), 21, "1 goes to entry 1");
    cr_assert_eq(hit(t, 0 * page, 0x1000, DMT_PATH_RADIX), 16);
    cr_assert_eq(hit(t, 2 * page, 0x3000, DMT_PATH_RADIX), 21, "2 replaces 0, though 0 was used last");
    cr_assert_eq(hit(t, 1 * page, 0x2000, DMT_PATH_RADIX), 16);
    cr_assert_eq(hit(t, 0 * page, 0x1000, DMT_PATH_RADIX), 21, "0 replaces 1");
    cr_assert_eq(hit(t, 2 * page, 0x3000, DMT_PATH_RADIX), 16);
    cr_assert_eq(hit(t, 1 * page, 0x2000, DMT_PATH_RADIX), 21);
    cr_assert_eq(get(t, HOST(CNT_PWC4)), 3);
    free_bench(t);
}

/* A fill made by the step in c is seen by a match in c+2, not in c+1. */
Test(cycle, pwc_fill_is_seen_two_clocks_later)
{
    for (unsigned delay = 0; delay < 8; delay++) {
        struct dmt_config cfg = standard;
        struct bench *t;
        struct dmt_request q = user_read(0x1000);

        cfg.pwc3_n = cfg.pwc2_n = 0;
        t = new_bench(&cfg, 4);
        map(t, 0x1000, 4, 1, 0x10000 | E_LEAF);
        drive_request(t, &q, 1);
        tick(t);
        t->in.req_valid = 0;
        ticks(t, delay);
        drive_request(t, &q, 2);
        tick(t);
        t->in.req_valid = 0;
        ticks(t, 60);
        /* Taken in 0, the step is in 5: it launches, so a request of that
         * cycle waits and matches in 6, before the fill can be seen. */
        cr_assert_eq(get(t, HOST(CNT_PWC4)), 1 + delay >= 7, "second request %u clocks later", 1 + delay);
        free_bench(t);
    }
}

/* A fill of a prefix that is there already writes over its entry and leaves the pointer. */
Test(cycle, pwc_same_prefix)
{
    struct dmt_config cfg = standard;
    struct bench *t;
    struct dmt_request q = user_read(0);
    const uint64_t page = 1ull << 39;

    cfg.pwc3_n = cfg.pwc2_n = 0;
    t = new_bench(&cfg, 8);
    for (unsigned i = 0; i < 3; i++)
        map(t, i * page, 4, 1, 0x10000 | E_LEAF);
    /* Walks of prefixes 0, 1, 0 at once: all miss, and fill in that order. */
    for (unsigned i = 0; i < 3; i++) {
        q.va = i % 2 * page;
        drive_request(t, &q, i);
        tick(t);
    }
    t->in.req_valid = 0;
    ticks(t, 60);
    cr_assert_eq(hit(t, 2 * page, 0x10000, DMT_PATH_RADIX), 4 * 9 + 1);
    cr_assert_eq(hit(t, 1 * page, 0x10000, DMT_PATH_RADIX), 3 * 9 + 1, "2 replaced 0");
    cr_assert_eq(hit(t, 0 * page, 0x10000, DMT_PATH_RADIX), 4 * 9 + 1);
    free_bench(t);
}

/* Which writes flush what. */
Test(cycle, pwc_flushes)
{
    const uint64_t root = ROOT << 12, pcid = 5;
    static const struct {
        unsigned addr;
        uint64_t value;
        bool flushed; /* entries of PCID 5 with PCIDE */
    } c[] = {
        { DMT_LEVEL_CR0, 0, true },
        { DMT_LEVEL_CR4, DMT_LEVEL_CR4_PCIDE_MASK, true },
        { DMT_LEVEL_EFER, 0, true },
        { DMT_LEVEL_PKRU, 0, false },
        { DMT_LEVEL_PKRS, 0, false },
        { DMT_LEVEL_CR3, ROOT << 12 | 5, true },
        { DMT_LEVEL_CR3, ROOT << 12 | 6, false },
        { DMT_LEVEL_CR3, DMT_LEVEL_CR3_NOFLUSH_MASK | ROOT << 12 | 5, false },
        { DMT_LEVEL_CR3, 1ull << 52 | ROOT << 12 | 5, false },
        { HOST(CTL), DMT_MODE_NATIVE | 4, true },
        { HOST(CTL), DMT_MODE_VIRT, false },
        { HOST(MAXPA), 52, true },
        { HOST(MAXPA), 31, false },
        { DMT_LEVEL_INV, (uint64_t)DMT_INV_ADDRESS << 60 | 5ull << 45 | 0x123, true },
        { DMT_LEVEL_INV, (uint64_t)DMT_INV_CONTEXT << 60 | 5ull << 45, true },
        { DMT_LEVEL_INV, (uint64_t)DMT_INV_CONTEXT << 60 | 6ull << 45, false },
        { DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << 60, true },
        { DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL_BUT_GLOBAL << 60, true },
        { DMT_LEVEL_INV, 4ull << 60 | 5ull << 45, false },
        { DMT_LEVEL_BASE(1) + DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << 60, false },
        { DMT_LEVEL_BASE(2) + DMT_LEVEL_CR4, 0, false },
        { DMT_LEVEL_BASE(1) + DMT_LEVEL_CR3, 0, false },
        { DMT_LEVEL_TEA_WORD0(0), 0, false },
        { HOST(EVENT), 7, false },
    };

    for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
        struct bench *t = new_bench(&standard, 4);

        map(t, 0x1000, 4, 1, 0x10000 | E_LEAF);
        set(t, DMT_LEVEL_CR4, DMT_LEVEL_CR4_PCIDE_MASK);
        set(t, DMT_LEVEL_CR3, root | pcid);
        hit(t, 0x1000, 0x10000, DMT_PATH_RADIX);
        cr_assert_eq(hit(t, 0x1000, 0x10000, DMT_PATH_RADIX), 6);
        set(t, c[i].addr, c[i].value);
        set(t, DMT_LEVEL_CR3, DMT_LEVEL_CR3_NOFLUSH_MASK | root | pcid);
        cr_assert_eq(hit(t, 0x1000, 0x10000, DMT_PATH_RADIX), c[i].flushed ? 21 : 6, "case %u", i);
        free_bench(t);
    }
}

/* Without PCIDE, NOFLUSH does not count and entries belong to PCID 0. */
Test(cycle, pwc_without_pcide)
{
    struct bench *t = new_bench(&standard, 4);

    map(t, 0x1000, 4, 1, 0x10000 | E_LEAF);
    set(t, DMT_LEVEL_CR3, ROOT << 12 | 9);
    hit(t, 0x1000, 0x10000, DMT_PATH_RADIX);
    set(t, DMT_LEVEL_INV, (uint64_t)DMT_INV_CONTEXT << 60 | 9ull << 45);
    cr_assert_eq(hit(t, 0x1000, 0x10000, DMT_PATH_RADIX), 6);
    set(t, DMT_LEVEL_CR3, DMT_LEVEL_CR3_NOFLUSH_MASK | ROOT << 12 | 9);
    cr_assert_eq(hit(t, 0x1000, 0x10000, DMT_PATH_RADIX), 21);
    free_bench(t);
}

/* ------------------------------------------------------------ CSR port */

Test(cycle, csr_identity)
{
    static const struct dmt_config small = {
        .pa_w = 32, .ctx_n = 1, .tea_n = 4, .sets = 1, .tag_w = 4,
    };
    struct bench *t = new_bench(&standard, 1);
    unsigned resp;

    cr_assert_eq(get(t, HOST(ID)), 0x4f444d5400000001);
    cr_assert_eq(get(t, HOST(CAPS)), 0x3020040203100834);
    cr_assert_eq(get(t, HOST(MAXPA)), 52);
    free_bench(t);

    t = new_bench(&small, 1);
    cr_assert_eq(get(t, HOST(CAPS)), 1 << 24 | 4 << 16 | 1 << 8 | 32);
    set(t, HOST(MAXPA), 33);
    cr_assert_eq(get(t, HOST(MAXPA)), 32);
    cr_assert_eq(get(t, HOST(EVENT)), DMT_HOST_EVENT_REFUSED_MASK);
    for (unsigned reg = HOST(CNT_REQUEST); reg <= HOST(CNT_BUSY); reg += 8)
        cr_assert_eq(get(t, reg), 0);
    csr_read(t, DMT_LEVEL_TEA_WORD3(3), &resp);
    cr_assert_eq(resp, DMT_RESP_OKAY);
    csr_read(t, DMT_LEVEL_TEA_WORD0(4), &resp);
    cr_assert_eq(resp, DMT_RESP_SLVERR);
    csr_read(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_CR0, &resp);
    cr_assert_eq(resp, DMT_RESP_SLVERR);
    free_bench(t);
}

/* Every address of the port: mapped or not, what all ones leave behind, that
 * partial strobes and read-only registers change nothing. */
Test(cycle, csr_every_address)
{
    static const struct {
        unsigned off;
        uint64_t implemented;
    } level[] = {
        { DMT_LEVEL_CR0, 0x10000 },     { DMT_LEVEL_CR3, 0 /* refused */ },
        { DMT_LEVEL_CR4, 0x1721080 },   { DMT_LEVEL_EFER, 0x800 },
        { DMT_LEVEL_PKRU, 0xffffffff }, { DMT_LEVEL_PKRS, 0xffffffff },
        { DMT_LEVEL_EVENT, 0 },         { DMT_LEVEL_EVENT_MASK, 3 },
        { DMT_LEVEL_INV, 0 },
    };

    for (unsigned addr = 0; addr < 0x4000; addr++) {
        static struct bench *t;
        unsigned off = addr & 0xfff, resp;
        bool host = addr >= 0x3000, mapped = false, fixed = false;
        uint64_t expect = 0, before, after;

        if (addr % 0x400 == 0) {
            if (t)
                free_bench(t);
            t = new_bench(&standard, 1);
        }
        if (!host && off < 0x800) {
            mapped = off / 32 < 16 && off % 8 == 0;
            /* All ones are refused for the reserved bits, with the fields as written. */
            expect = off % 32 == 24 ? DMT_REFUSAL_RESERVED << 1 : off % 32 ? ~0ull : ~0xf01ull;
            fixed = off % 32 == 24;
        } else if (!host) {
            for (unsigned i = 0; i < sizeof level / sizeof *level; i++)
                if (level[i].off == off) {
                    mapped = true;
                    expect = level[i].implemented;
                }
            if (addr == DMT_LEVEL_CR3)
                expect = ROOT << 12;
        } else {
            mapped = off % 8 == 0 && (off < 0x40 || (off >= 0x100 && off <= 0x170));
            fixed = off < 0x10 || off == 0x30 || off >= 0x100;
            expect = off == 0x10 ? 5 : off == 0x18 ? 52 : off == 0x28 ? 7 : 0;
        }
        before = csr_read(t, addr, &resp);
        cr_assert_eq(resp, mapped ? DMT_RESP_OKAY : DMT_RESP_SLVERR, "read of %#x", addr);
        cr_assert(mapped || before == 0);
        cr_assert_eq(csr_write(t, addr, ~0ull, 0x7f, NULL), DMT_RESP_SLVERR);
        cr_assert_eq(csr_read(t, addr, &resp), before);
        cr_assert_eq(csr_write(t, addr, ~0ull, 0xff, NULL), mapped ? DMT_RESP_OKAY : DMT_RESP_SLVERR,
                     "write of %#x", addr);
        after = csr_read(t, addr, &resp);
        cr_assert_eq(after, !mapped ? 0 : fixed ? before : expect, "%#x reads %#lx", addr, after);
        if (addr == 0x3fff)
            free_bench(t);
    }
}

Test(cycle, csr_timing)
{
    struct bench *t = new_bench(&standard, 4);
    unsigned clocks;

    csr_write(t, HOST(EVENT_MASK), 5, 0xff, &clocks);
    cr_assert_eq(clocks, 2, "taken, executed");
    csr_write(t, DMT_LEVEL_CR0, 0, 0xff, &clocks);
    cr_assert_eq(clocks, 2, "nothing to drain");
    csr_write(t, 0x3ff8, 0, 0xff, &clocks);
    cr_assert_eq(clocks, 2);

    /* The halves come apart, W first; the next write waits for the answer. */
    t->in.s_wvalid = 1;
    t->in.s_wdata = 3;
    t->in.s_wstrb = 0xff;
    tick(t);
    t->in.s_wvalid = 0;
    cr_assert(t->o->s_awready && !t->o->s_wready);
    ticks(t, 3);
    t->in.s_awvalid = 1;
    t->in.s_awaddr = HOST(EVENT_MASK);
    tick(t);
    cr_assert(!t->o->s_awready && !t->o->s_bvalid);
    tick(t);
    cr_assert(t->o->s_bvalid && t->o->s_awready && t->o->s_wready);
    t->in.s_wvalid = 1;
    t->in.s_wdata = 6;
    tick(t);
    t->in.s_awvalid = t->in.s_wvalid = 0;
    ticks(t, 5);
    cr_assert_eq(get(t, HOST(EVENT_MASK)), 3, "the second write waits");
    t->in.s_bready = 1;
    tick(t);
    t->in.s_bready = 0;
    cr_assert_eq(t->o->s_bvalid, 0);
    tick(t);
    cr_assert_eq(t->o->s_bvalid, 1);
    cr_assert_eq(get(t, HOST(EVENT_MASK)), 6);
    free_bench(t);
}

Test(cycle, csr_tea_register)
{
    static const struct {
        uint64_t word0, word1, word2;
        unsigned refusal;
    } c[] = {
        { 0x1000 | TEA_FLAGS(0), 0x5000, 1, DMT_REFUSAL_NONE },
        { 0x1000 | TEA_FLAGS(0) | 0x100, 0x5000, 1, DMT_REFUSAL_RESERVED },
        { 0x1000 | TEA_FLAGS(0) | 0x800, 0x5000, 1, DMT_REFUSAL_RESERVED },
        { 0x1000 | TEA_FLAGS(3), 0x5000, 1, DMT_REFUSAL_SZ },
        { 0x1000 | TEA_FLAGS(0) | 1 << 3, 0x5000, 1, DMT_REFUSAL_KIND },
        { 0x1000 | TEA_FLAGS(0) | 3 << 3, 0x5000, 1, DMT_REFUSAL_KIND },
        { 0x1000 | TEA_FLAGS(0), 0x5000, 0, DMT_REFUSAL_EMPTY },
        { 0xfffffffffffff000 | TEA_FLAGS(0), 0x5000, 2, DMT_REFUSAL_WRAP },
        { 0x1000 | TEA_FLAGS(0), 0xfffffffffffff000, 1, DMT_REFUSAL_WIDTH },
        { (0x1000 | TEA_FLAGS(0) | 0x100) & ~1ull, 0x5000, 0, DMT_REFUSAL_NONE }, /* P=0 is never refused */
    };
    struct bench *t = new_bench(&standard, 1);

    for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
        bool valid = (c[i].word0 & 1) && c[i].refusal == DMT_REFUSAL_NONE;

        set(t, DMT_LEVEL_TEA_WORD1(7), c[i].word1);
        set(t, DMT_LEVEL_TEA_WORD2(7), c[i].word2);
        set(t, DMT_LEVEL_TEA_WORD0(7), c[i].word0);
        cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD0(7)), (c[i].word0 & ~0xf01ull) | valid);
        cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD1(7)), c[i].word1);
        cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD2(7)), c[i].word2);
        cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(7)), c[i].refusal << 1 | valid, "case %u", i);
        cr_assert_eq(get(t, DMT_LEVEL_EVENT), c[i].refusal ? DMT_LEVEL_EVENT_REFUSED_MASK : 0);
        set(t, DMT_LEVEL_EVENT, 3);
    }
    /* A gTEA is refused in set 0 only. */
    set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD2(0), 1);
    set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(0), TEA_FLAGS(0) | 1 << 3);
    cr_assert_eq(get(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD3(0)), 1);
    /* Words 1 and 2 clear P and nothing else. */
    for (unsigned w = 1; w <= 2; w++) {
        set(t, DMT_LEVEL_TEA_WORD2(1), 1);
        set(t, DMT_LEVEL_TEA_WORD0(1), 0x9000 | TEA_FLAGS(0));
        cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(1)), 1);
        set(t, w == 1 ? DMT_LEVEL_TEA_WORD1(1) : DMT_LEVEL_TEA_WORD2(1), 0x4000);
        cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD0(1)), 0x9000 | (TEA_FLAGS(0) & ~1ull));
        cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(1)), 0);
    }
    /* A reason stays until word 0 is written. */
    set(t, DMT_LEVEL_TEA_WORD0(2), 0x100 | TEA_FLAGS(0));
    set(t, DMT_LEVEL_TEA_WORD1(2), 0);
    cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(2)), DMT_REFUSAL_RESERVED << 1);
    set(t, HOST(MAXPA), 40);
    cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(2)), DMT_REFUSAL_RESERVED << 1);
    set(t, DMT_LEVEL_TEA_WORD0(2), 0);
    cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(2)), 0);
    free_bench(t);
}

Test(cycle, csr_control_registers)
{
    struct bench *t = new_bench(&standard, 1);

    set(t, DMT_LEVEL_CR3, DMT_LEVEL_CR3_NOFLUSH_MASK | 0x000ffffffffff123);
    cr_assert_eq(get(t, DMT_LEVEL_CR3), 0x000ffffffffff123, "NOFLUSH reads zero");
    set(t, DMT_LEVEL_CR3, 1ull << 62);
    cr_assert_eq(get(t, DMT_LEVEL_CR3), 0x000ffffffffff123);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), DMT_LEVEL_EVENT_REFUSED_MASK);
    set(t, DMT_LEVEL_EVENT, DMT_LEVEL_EVENT_MULTI_HIT_MASK);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), DMT_LEVEL_EVENT_REFUSED_MASK, "a zero clears nothing");
    set(t, DMT_LEVEL_EVENT, DMT_LEVEL_EVENT_REFUSED_MASK);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), 0);

    /* MAXPA: what was checked against the old width goes. */
    set(t, DMT_LEVEL_BASE(2) + DMT_LEVEL_CR3, 0x5123);
    add_tea(t, 15, 0xf000400000, 1, DMT_SIZE_4K);
    set(t, HOST(MAXPA), 53);
    cr_assert_eq(get(t, HOST(MAXPA)), 52);
    cr_assert_eq(get(t, HOST(EVENT)), DMT_HOST_EVENT_REFUSED_MASK);
    cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(15)), 1);
    set(t, HOST(MAXPA), 0xffffffffffffffc0 | 36); /* bits without a field are ignored */
    cr_assert_eq(get(t, HOST(MAXPA)), 36);
    cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD3(15)), 0);
    cr_assert_eq(get(t, DMT_LEVEL_TEA_WORD0(15)) & 1, 0);
    cr_assert_eq(get(t, DMT_LEVEL_CR3), 0);
    cr_assert_eq(get(t, DMT_LEVEL_BASE(2) + DMT_LEVEL_CR3), 0);
    map(t, 0xf000400000, 4, 1, 0x88000 | E_LEAF);
    set(t, DMT_LEVEL_CR3, ROOT << 12);
    set(t, DMT_LEVEL_EVENT, 3);
    hit(t, 0xf000400000, 0x88000, DMT_PATH_RADIX);
    set(t, DMT_LEVEL_CR3, 1ull << 36);
    cr_assert_eq(get(t, DMT_LEVEL_CR3), ROOT << 12);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), DMT_LEVEL_EVENT_REFUSED_MASK);
    set(t, DMT_LEVEL_CR3, 1ull << 35);
    cr_assert_eq(get(t, DMT_LEVEL_CR3), 1ull << 35);

    set(t, HOST(EVENT), 7);
    for (unsigned mode = DMT_MODE_VIRT; mode <= DMT_MODE_NESTED; mode++) {
        set(t, HOST(CTL), mode);
        cr_assert_eq(get(t, HOST(CTL)), DMT_MODE_NATIVE | 4);
        cr_assert_eq(get(t, HOST(EVENT)), DMT_HOST_EVENT_REFUSED_MASK);
        set(t, HOST(EVENT), 7);
    }
    set(t, DMT_LEVEL_INV, 15ull << 60);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), DMT_LEVEL_EVENT_REFUSED_MASK);
    free_bench(t);
}

/* A draining write waits for the walk and for its answer to be taken; others do not. */
Test(cycle, csr_drain)
{
    static const unsigned draining[] = {
        DMT_LEVEL_TEA_WORD0(9), DMT_LEVEL_TEA_WORD1(9), DMT_LEVEL_TEA_WORD2(9), DMT_LEVEL_CR0, DMT_LEVEL_CR3,
        DMT_LEVEL_CR4, DMT_LEVEL_EFER, DMT_LEVEL_PKRU, DMT_LEVEL_PKRS, DMT_LEVEL_INV,
        DMT_LEVEL_BASE(2) + DMT_LEVEL_TEA_WORD0(0), DMT_LEVEL_BASE(1) + DMT_LEVEL_CR3, HOST(CTL), HOST(MAXPA),
    };
    static const unsigned other[] = {
        DMT_LEVEL_TEA_WORD3(9), DMT_LEVEL_EVENT, DMT_LEVEL_EVENT_MASK, HOST(ID), HOST(EVENT),
        HOST(EVENT_MASK), HOST(BUS_ADDR), HOST(CNT_CLEAR), HOST(CNT_TEA), DMT_LEVEL_TEA_WORD0(16),
        HOST(CTL) + 4, 0x3ff8,
    };
    const unsigned n = sizeof draining / sizeof *draining, all = n + sizeof other / sizeof *other;

    for (unsigned i = 0; i < all + 1; i++) {
        struct bench *t = new_bench(&standard, 6);
        unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
        struct dmt_request q = user_read(0x400000);
        bool drain = i < n;

        t->word[f * 512] = E_LEAF;
        t->in.resp_ready = 0;
        drive_request(t, &q, 1);
        t->in.s_awvalid = t->in.s_wvalid = 1;
        t->in.s_awaddr = drain ? draining[i] : i < all ? other[i - n] : DMT_LEVEL_CR0;
        t->in.s_wstrb = i < all ? 0xff : 0xfe; /* last case: partial strobes do not drain */
        t->in.s_wdata = 0;
        tick(t);
        t->in.req_valid = t->in.s_awvalid = t->in.s_wvalid = 0;
        cr_assert_eq(t->o->req_ready, !drain, "case %u", i);
        tick(t);
        cr_assert_eq(t->o->s_bvalid, !drain, "case %u", i);
        ticks(t, 20);
        cr_assert_eq(t->o->s_bvalid, !drain, "case %u", i);
        cr_assert_eq(t->o->resp_valid, 1);
        cr_assert_eq(t->o->req_ready, !drain);
        t->in.resp_ready = 1;
        tick(t);
        cr_assert_eq(t->o->resp_valid, 0);
        cr_assert_eq(t->o->s_bvalid, !drain, "idle from the next clock on");
        tick(t);
        cr_assert(t->o->s_bvalid && t->o->req_ready, "executed");
        free_bench(t);
    }
}

/* A request behind a draining write sees the new value only. */
Test(cycle, drain_orders_requests)
{
    struct bench *t = new_bench(&standard, 6);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_read(0x400000);
    unsigned seen = 0;

    t->word[f * 512] = 0x77000 | E_LEAF;
    map(t, 0x400000, 4, 1, 0x88000 | E_LEAF);
    t->in.s_awvalid = t->in.s_wvalid = 1;
    t->in.s_awaddr = DMT_LEVEL_TEA_WORD0(0);
    t->in.s_wdata = 0;
    t->in.s_wstrb = 0xff;
    t->in.s_bready = 1;
    drive_request(t, &q, 1);
    tick(t);
    t->in.s_awvalid = t->in.s_wvalid = 0;
    t->in.req_tag = 2;
    while (seen < 2) {
        if (t->o->resp_valid) {
            seen++;
            cr_assert_eq(t->o->resp_pa, seen == 1 ? 0x77000 : 0x88000);
            cr_assert_eq(t->o->resp_tag, seen);
        }
        if (t->in.req_valid && t->o->req_ready) {
            tick(t);
            t->in.req_valid = 0;
        } else {
            tick(t);
        }
    }
    free_bench(t);
}

/* ------------------------------------------------------------ events and counters */

Test(cycle, multi_hit)
{
    struct bench *t = new_bench(&standard, 4);
    unsigned f = add_tea(t, 2, 0x400000, 512, DMT_SIZE_4K);

    add_tea(t, 5, 0x401000, 511, DMT_SIZE_4K);
    for (unsigned i = 0; i < 512; i++)
        t->word[f * 512 + i] = 0x77000 | E_LEAF;
    hit(t, 0x400000, 0x77000, DMT_PATH_TEA);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), 0);
    hit(t, 0x401000, 0x77000, DMT_PATH_TEA);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), DMT_LEVEL_EVENT_MULTI_HIT_MASK);
    cr_assert_eq(t->o->event, 0);
    set(t, DMT_LEVEL_EVENT_MASK, 2);
    cr_assert_eq(t->o->event, 0);
    set(t, DMT_LEVEL_EVENT_MASK, 1);
    cr_assert_eq(t->o->event, 1);
    set(t, DMT_LEVEL_EVENT, 1);
    cr_assert_eq(t->o->event, 0);
    free_bench(t);
}

/* The pin rises a clock after the match, and a clear in the cycle of the cause loses. */
Test(cycle, event_set_wins)
{
    for (unsigned offset = 0; offset < 6; offset++) {
        struct bench *t = new_bench(&standard, 8);
        struct dmt_request q = user_read(0x400000);
        unsigned matched = 3, executed = offset + 1;

        add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
        add_tea(t, 1, 0x400000, 512, DMT_SIZE_4K);
        set(t, DMT_LEVEL_EVENT_MASK, 1);
        t->in.s_bready = 1;
        t->in.s_awaddr = DMT_LEVEL_EVENT;
        t->in.s_wdata = 1;
        t->in.s_wstrb = 0xff;
        drive_request(t, &q, 0);
        for (unsigned c = 0; c < 8; c++) {
            bool set_before = matched < c, cleared = executed < c && executed > matched;

            cr_assert_eq(t->o->event, set_before && !cleared, "clear executed in %u, clock %u", executed, c);
            t->in.s_awvalid = t->in.s_wvalid = c == offset;
            t->in.req_valid = c == matched;
            tick(t);
        }
        free_bench(t);
    }
}

Test(cycle, counters_wrap_and_clear)
{
    struct dmt_config cfg = standard;
    struct bench *t;
    struct dmt_request q = user_read(1ull << 63);

    cfg.cnt_w = 3;
    t = new_bench(&cfg, 1);
    for (unsigned i = 0; i < 11; i++) {
        translate(t, &q);
        take(t);
    }
    cr_assert_eq(get(t, HOST(CNT_REQUEST)), 3);
    cr_assert_eq(get(t, HOST(CNT_FAULT)), 3);
    /* The clear executes in the cycle in which a request leaves, and wins. */
    t->in.s_awvalid = t->in.s_wvalid = 1;
    t->in.s_awaddr = HOST(CNT_CLEAR);
    t->in.s_wstrb = 0xff;
    t->in.s_bready = 1;
    tick(t);
    t->in.s_awvalid = t->in.s_wvalid = 0;
    drive_request(t, &q, 0);
    tick(t);
    cr_assert_eq(t->o->wt_req_valid, 1);
    t->in.req_valid = 0;
    cr_assert_eq(get(t, HOST(CNT_REQUEST)), 0);
    cr_assert_eq(get(t, HOST(CNT_FAULT)), 0);
    free_bench(t);
}

/* BUSY counts the clocks in which a context holds a walk, several or one. */
Test(cycle, busy_counter)
{
    struct bench *t = new_bench(&standard, 10);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_read(0x400000);

    t->word[f * 512] = E_LEAF;
    drive_request(t, &q, 0);
    ticks(t, 3); /* taken in 0, 1, 2; busy from 1 to the last step in 13 */
    t->in.req_valid = 0;
    cr_assert_eq(get(t, HOST(CNT_BUSY)), 2, "read at the start of 3");
    ticks(t, 40);
    cr_assert_eq(get(t, HOST(CNT_BUSY)), 13);
    free_bench(t);
}

/* ------------------------------------------------------------ random traffic */

/* Arithmetic of the memory that the architectural model reads. */
static enum dmt_resp plain_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct bench *t = user;

    *data = t->word[ref->addr / 8];
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp plain_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    (void)user, (void)ref, (void)data;
    return DMT_RESP_EXOKAY;
}

static uint64_t random_va(struct bench *t)
{
    uint64_t r = rnd(t);

    if (r % 50 == 0)
        return rnd(t);
    return (r >> 8 & 1) << 39 | (r >> 9 & 1) << 30 | (r >> 10 & 3) << 21 | (r >> 12 & 31) << 12
           | (r >> 20 & 0xfff);
}

static uint64_t random_leaf(struct bench *t, unsigned level)
{
    uint64_t r = rnd(t), e = (r >> 8 & 0xff) << (9 * level + 3) | (r & (E_W | E_U | 0x78));

    if (r % 16 == 0)
        e = 0;
    else if (r % 17 == 0)
        e |= E_P | 1ull << (51 - r % 3);
    else
        e |= E_P;
    return e | (level > 1 ? E_PS : 0) | (r >> 40 & 1) << 63 | (r >> 41 & 15) << 59;
}

enum { RANDOM_TEAS = 12 };

static void random_tables(struct bench *t)
{
    unsigned f;

    for (unsigned i = 0; i < 512; i++) {
        uint64_t n = i, va = (n >> 8 & 1) << 39 | (n >> 7 & 1) << 30 | (n >> 5 & 3) << 21 | (n & 31) << 12;
        uint64_t *pd = entry_of(t, va, 4, 2);

        if (!*pd && rnd(t) % 4 == 0)
            *pd = random_leaf(t, 2) | E_P;
        if (!(*pd & E_PS))
            map(t, va, 4, 1, random_leaf(t, 1));
        for (unsigned level = 2; level <= 4; level++)
            if (rnd(t) % 64 == 0)
                *entry_of(t, va, 4, level) &= ~(rnd(t) & (E_A | E_W));
    }
    for (unsigned i = 0; i < RANDOM_TEAS; i++) {
        uint64_t va = random_va(t) & 0xfffffff000;

        f = add_tea(t, i, va, 1 + rnd(t) % 256, i % 3);
        set(t, DMT_LEVEL_TEA_WORD0(i), va | (TEA_FLAGS(i % 3) & ~(rnd(t) % 4 ? 0 : rnd(t) & 7ull << 5)));
        for (unsigned k = 0; k < 512; k++)
            t->word[f * 512 + k] = random_leaf(t, 1 + i % 3);
    }
}

/* Random tables and registers, the same in the model and in *s. */
static void random_state(struct bench *t, struct dmt_state *s, bool update)
{
    random_tables(t);
    dmt_state_reset(s, t->cfg.pa_w);
    s->mode = DMT_MODE_NATIVE;
    s->ad_update = update;
    s->level[0] = (struct dmt_level){ .cr0 = 1 << 16, .cr3 = ROOT << 12, .cr4 = 1 << 22 | 1 << 21 | 1 << 20,
                                     .efer = 1 << 11, .pkru = 0x90001234 };
    set(t, HOST(CTL), DMT_MODE_NATIVE | update << 2);
    set(t, DMT_LEVEL_CR0, s->level[0].cr0);
    set(t, DMT_LEVEL_CR4, s->level[0].cr4);
    set(t, DMT_LEVEL_EFER, s->level[0].efer);
    set(t, DMT_LEVEL_PKRU, s->level[0].pkru);
    for (unsigned i = 0; i < RANDOM_TEAS; i++) {
        uint64_t w0 = get(t, DMT_LEVEL_TEA_WORD0(i));

        s->tea[0][i] = (struct dmt_tea){
            .base_vpn = w0 >> 12, .pages = get(t, DMT_LEVEL_TEA_WORD2(i)), .valid = w0 & 1, .sz = w0 >> 1 & 3,
            .base_pfn = get(t, DMT_LEVEL_TEA_WORD1(i)) >> 12,
            .allow = (w0 >> 7 & 1) | (w0 >> 6 & 1) << 1 | (w0 >> 5 & 1) << 2,
        };
    }
}

/* What the architectural model reads and writes. */
struct log {
    struct bench *t;
    struct {
        struct dmt_ref ref;
        uint64_t data;
        bool write;
    } e[64];
    unsigned n;
};

static void log_beat(struct log *l, const struct dmt_ref *ref, uint64_t data, bool write)
{
    cr_assert_lt(l->n, 64);
    l->e[l->n].ref = *ref;
    l->e[l->n].data = data;
    l->e[l->n++].write = write;
}

static enum dmt_resp log_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct log *l = user;

    *data = l->t->word[ref->addr / 8];
    log_beat(l, ref, *data, false);
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp log_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct log *l = user;

    l->t->word[ref->addr / 8] = data;
    log_beat(l, ref, data, true);
    return DMT_RESP_EXOKAY;
}

/* Compare a record on the trace port with the next beat of the log. */
static void check_record(const struct log *l, unsigned i, const struct dmt_out *o)
{
    const struct dmt_ref *ref = &l->e[i].ref;

    cr_assert_lt(i, l->n, "more beats than expected");
    cr_assert_eq(o->wt_upd_valid, l->e[i].write);
    cr_assert_eq(o->wt_ref_valid, !l->e[i].write);
    if (o->wt_upd_valid) {
        cr_assert_eq(o->wt_upd_addr, ref->addr);
        cr_assert_eq(o->wt_upd_data, l->e[i].data);
        cr_assert_eq(o->wt_upd_resp, DMT_RESP_EXOKAY);
        return;
    }
    cr_assert_eq(o->wt_ref_addr, ref->addr);
    cr_assert_eq(o->wt_ref_data, l->e[i].data);
    cr_assert_eq(o->wt_ref_level, ref->level);
    cr_assert_eq(o->wt_ref_tea, ref->tea);
    cr_assert_eq(o->wt_ref_index, ref->index);
    cr_assert_eq(o->wt_ref_lock, ref->exclusive);
    cr_assert_eq(o->wt_ref_resp, ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY);
    cr_assert_eq(o->wt_ref_stage, ref->stage);
}

/* One walk at a time: reads, writes, answer and what is left in memory are
 * the architectural model's, record for record. */
Test(cycle, trace_port, .timeout = 120)
{
    struct dmt_config cfg = standard;
    struct bench *t;
    struct dmt_state s;
    unsigned written = 0, left = 0;
    uint64_t *before = malloc(sizeof t->word), *after = malloc(sizeof t->word);

    cfg.pa_w = 46;
    cfg.pwc4_n = cfg.pwc3_n = cfg.pwc2_n = 0; /* they skip reads */
    t = new_bench(&cfg, 3);
    cr_assert(before && after);
    random_state(t, &s, true);
    t->in.resp_ready = 1;
    for (unsigned n = 0; n < 400; n++) {
        uint64_t r = rnd(t);
        struct dmt_request q = { .va = random_va(t), .access = r % 3, .cpl = r >> 8 & 3, .ac = r >> 10 & 1,
                                 .implicit = r >> 11 & 1, .nonspec = (r >> 12) % 4 != 0 };
        struct log l = { .t = t };
        struct dmt_port port = { .user = &l, .read = log_read, .write = log_write };
        struct dmt_result e;
        unsigned i = 0;

        memcpy(before, t->word, sizeof t->word);
        dmt_arch_translate(&s, &q, &port, &e);
        memcpy(after, t->word, sizeof t->word);
        memcpy(t->word, before, sizeof t->word);
        drive_request(t, &q, n & 0xff);
        tick(t);
        t->in.req_valid = 0;
        cr_assert(t->o->wt_req_valid && t->o->wt_req_order == n && t->o->wt_req_va == q.va);
        cr_assert(t->o->wt_req_access == q.access && t->o->wt_req_cpl == q.cpl && t->o->wt_req_ac == q.ac);
        cr_assert(t->o->wt_req_implicit == q.implicit && t->o->wt_req_nonspec == q.nonspec);
        while (!t->o->wt_end_valid) {
            if (t->o->wt_ref_valid || t->o->wt_upd_valid)
                check_record(&l, i++, t->o);
            tick(t);
        }
        if (t->o->wt_ref_valid || t->o->wt_upd_valid)
            check_record(&l, i++, t->o);
        cr_assert_eq(i, l.n, "%u beats of %u", i, l.n);
        cr_assert_eq(memcmp(t->word, after, sizeof t->word), 0);
        cr_assert(t->o->wt_end_order == n && t->o->wt_end_tag == (n & 0xff));
        cr_assert_eq(t->o->wt_end_status, e.status);
        cr_assert(t->o->wt_end_pa == e.pa && t->o->wt_end_size == e.size && t->o->wt_end_rights == e.rights);
        cr_assert(t->o->wt_end_global == e.global && t->o->wt_end_pkey == e.pkey);
        cr_assert_eq(t->o->wt_end_dirty, e.dirty);
        cr_assert(t->o->wt_end_memtype == e.memtype && t->o->wt_end_ad_needed == e.ad_needed);
        cr_assert(t->o->wt_end_error == e.error && t->o->wt_end_addr == e.addr);
        cr_assert_eq(t->o->wt_end_stage, e.stage);
        cr_assert(t->o->wt_end_path == e.path[0] && t->o->wt_end_index == e.index[0]);
        written += e.updates;
        left += l.n == 0;
        tick(t);
    }
    cr_assert(written > 20 && left < 40);
    free(before);
    free(after);
    free_bench(t);
}

/* Answers of random traffic under back-pressure against the architectural
 * model. The tables only gain A and D bits, so all but dirty is determined. */
static void random_run(const struct dmt_config *cfg, uint64_t seed, unsigned L, unsigned pressure,
                       bool update)
{
    enum { REQUESTS = 1500, TAGS = 16 };
    struct bench *t = new_bench(cfg, L);
    struct dmt_request sent[TAGS];
    struct dmt_state s;
    struct dmt_port port = { .user = t, .read = plain_read, .write = plain_write };
    unsigned done = 0, started = 0, updates = 0, lost = 0;
    uint64_t status[16] = { 0 }, path[4] = { 0 }, sum = 0;
    bool busy[TAGS] = { false };

    t->seed += seed * 0x12345;
    random_state(t, &s, update);
    set(t, HOST(CNT_CLEAR), 0);
    t->beats_r = 0;
    t->pressure = pressure;
    t->lose = update ? 20 : 0;
    while (done < REQUESTS) {
        unsigned tag = started % TAGS;

        if (!t->in.req_valid && started < REQUESTS && !busy[tag] && ready(t)) {
            uint64_t r = rnd(t);

            sent[tag] = (struct dmt_request){
                .va = random_va(t), .access = r % 3, .cpl = r >> 8 & 1 ? 3 : 0, .ac = r >> 9 & 1,
                .implicit = (r >> 10) % 16 == 0, .nonspec = true,
            };
            drive_request(t, &sent[tag], tag);
            busy[tag] = true;
        }
        t->in.resp_ready = ready(t);
        if (t->o->wt_upd_valid) {
            updates += t->o->wt_upd_resp == DMT_RESP_EXOKAY;
            lost += t->o->wt_upd_resp == DMT_RESP_OKAY;
        }
        if (t->o->resp_valid && t->in.resp_ready) {
            const struct dmt_out *o = t->o;
            struct dmt_result e;

            dmt_arch_translate(&s, &sent[o->resp_tag], &port, &e);
            cr_assert_eq(o->resp_status, e.status, "va %#lx: %lu, expected %u", sent[o->resp_tag].va,
                         o->resp_status, e.status);
            cr_assert_eq(o->resp_pa, e.pa);
            cr_assert_eq(o->resp_size, e.size);
            cr_assert_eq(o->resp_rights, e.rights);
            cr_assert_eq(o->resp_pkey, e.pkey);
            cr_assert_eq(o->resp_memtype, e.memtype);
            cr_assert_eq(o->resp_error, e.error);
            cr_assert_eq(o->resp_addr, e.addr);
            cr_assert(update || (o->resp_dirty == e.dirty && o->resp_ad_needed == e.ad_needed),
                      "va %#lx dirty %lu %u need %lu %u", sent[o->resp_tag].va, o->resp_dirty, e.dirty,
                      o->resp_ad_needed, e.ad_needed);
            busy[o->resp_tag] = false;
            status[o->resp_status]++;
            done++;
        }
        if (t->o->wt_end_valid)
            path[t->o->wt_end_path] += t->o->wt_end_status == DMT_STATUS_OK;
        if (t->in.req_valid && t->o->req_ready) {
            started++;
            tick(t);
            t->in.req_valid = 0;
        } else {
            tick(t);
        }
    }
    t->pressure = 0;
    ticks(t, 3);
    cr_assert_eq(get(t, HOST(CNT_REQUEST)), REQUESTS);
    cr_assert_eq(get(t, HOST(CNT_TEA)), path[DMT_PATH_TEA]);
    cr_assert_eq(get(t, HOST(CNT_RADIX)), path[DMT_PATH_RADIX]);
    cr_assert_eq(get(t, HOST(CNT_RESTART)), path[DMT_PATH_RESTART]);
    cr_assert_eq(get(t, HOST(CNT_FAULT)), status[DMT_STATUS_GP] + status[DMT_STATUS_PF]);
    cr_assert_eq(get(t, HOST(CNT_READ)), t->beats_r);
    cr_assert_eq(get(t, HOST(CNT_UPDATE)), updates);
    cr_assert_eq(get(t, HOST(CNT_LOST)), lost);
    for (unsigned reg = HOST(CNT_TEA); reg <= HOST(CNT_RETRY); reg += 8)
        sum += get(t, reg);
    cr_assert_eq(sum, REQUESTS, "every request is counted by its answer once");
    for (unsigned i = 1; i < 4; i++)
        cr_assert_gt(path[i], 10, "path %u was used %lu times", i, path[i]);
    cr_assert(!update || updates > 10);
    cr_assert_gt(status[DMT_STATUS_PF], 50);
    free_bench(t);
}

Test(cycle, random_traffic, .timeout = 120)
{
    static const unsigned pressure[] = { 0, 30, 80 };
    struct dmt_config cfg = standard;

    cfg.pa_w = 46; /* below the frames that some random entries name */
    for (uint64_t seed = 1; seed <= 6; seed++)
        for (unsigned p = 0; p < 3; p++) {
            cfg.ctx_n = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 8 : 64;
            cfg.pwc2_n = seed % 2 ? 32 : 1;
            random_run(&cfg, seed, 1 + 5 * (seed % 4), pressure[p], seed % 2);
        }
}

/* ------------------------------------------------------------ the rest of the interface */

Test(cycle, parameters)
{
    static const struct {
        size_t at;
        unsigned low, high;
    } p[] = {
        { offsetof(struct dmt_config, pa_w), 32, 52 },   { offsetof(struct dmt_config, ctx_n), 1, 64 },
        { offsetof(struct dmt_config, tea_n), 4, 64 },   { offsetof(struct dmt_config, sets), 1, 3 },
        { offsetof(struct dmt_config, pwc4_n), 0, 64 },  { offsetof(struct dmt_config, pwc3_n), 0, 64 },
        { offsetof(struct dmt_config, pwc2_n), 0, 64 },  { offsetof(struct dmt_config, tag_w), 1, 16 },
        { offsetof(struct dmt_config, cnt_w), 0, 63 },
    };

    for (unsigned i = 0; i < sizeof p / sizeof *p; i++)
        for (unsigned v = 0; v <= 65; v++) {
            struct dmt_config cfg = standard;
            struct dmt_cycle *m;

            memcpy((char *)&cfg + p[i].at, &v, sizeof v);
            m = dmt_cycle_new(&cfg);
            cr_assert_eq(m != NULL, v >= p[i].low && v <= p[i].high, "parameter %u = %u", i, v);
            dmt_cycle_free(m);
        }
}

/* Reset in the middle of everything: as new. */
Test(cycle, reset)
{
    struct bench *t = new_bench(&standard, 8);
    struct dmt_cycle *fresh = dmt_cycle_new(&standard);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_read(0x400000);
    struct dmt_in none = { 0 };

    t->word[f * 512] = E_LEAF;
    drive_request(t, &q, 1);
    t->in.resp_ready = 0;
    ticks(t, 20);
    cr_assert_eq(t->o->resp_valid, 1);
    t->in.s_awvalid = t->in.s_wvalid = t->in.s_arvalid = 1;
    tick(t);
    dmt_cycle_edge(t->m, &t->in, true);
    cr_assert_eq(memcmp(t->o, dmt_cycle_out(fresh), sizeof *t->o), 0);
    for (unsigned i = 0; i < 50; i++) {
        dmt_cycle_edge(t->m, &none, false);
        dmt_cycle_edge(fresh, &none, false);
        cr_assert_eq(memcmp(t->o, dmt_cycle_out(fresh), sizeof *t->o), 0);
    }
    dmt_cycle_free(fresh);
    free_bench(t);
}

Test(cycle, describe)
{
    struct bench *t = new_bench(&standard, 8);
    struct dmt_request q = user_write(0x400000);
    char s[512];
    unsigned f = add_tea(t, 3, 0x400000, 512, DMT_SIZE_4K);

    t->word[f * 512] = E_TABLE;
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_str_eq(s, "context 0: free");
    drive_request(t, &q, 7);
    tick(t);
    t->in.req_valid = 0;
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_not_null(strstr(s, "tag 0x7 write va 0x0000000000400000 path TEA, first pass"), "%s", s);
    cr_assert_not_null(strstr(s, "register 3"), "%s", s);
    cr_assert_not_null(strstr(s, "waits for launch"), "%s", s);
    tick(t);
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_not_null(strstr(s, "waits for R"), "%s", s);
    while (!t->o->m_awvalid)
        tick(t);
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_not_null(strstr(s, "second pass"), "%s", s);
    cr_assert_not_null(strstr(s, "waits for AW, W"), "%s", s);
    tick(t);
    cr_assert_eq((size_t)dmt_cycle_describe(t->m, 0, s, sizeof s), strlen(s));
    cr_assert_not_null(strstr(s, "waits for B"), "%s", s);
    cr_assert_null(strchr(s, '\n'));
    cr_assert_gt(dmt_cycle_describe(t->m, 0, s, 4), 4);
    free_bench(t);
}
