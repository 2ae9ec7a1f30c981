/* SPDX-License-Identifier: Apache-2.0
 * The cycle model against docs/microarchitecture.md: exact latencies,
 * throughput, bus rules, the CSR port, draining, the loader, set load, caches,
 * events, counters; one stage first, then several.
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

enum { FRAMES = 512, BEATS = 1024, IDS = 256, ROOT = 1, DEADLINE = 1000000 };

static const struct dmt_config standard = {
    .pa_w = 52, .ctx_n = 8, .tea_n = 16, .sets = 3, .pwc4_n = 2, .pwc3_n = 4, .pwc2_n = 32, .npwc4_n = 2,
    .npwc3_n = 4, .npwc2_n = 32, .tag_w = 8, .cnt_w = 48,
};

static struct dmt_config with_pipe(unsigned pipe)
{
    struct dmt_config cfg = standard;

    cfg.pipe = pipe;
    return cfg;
}

/* Two tests, NAME with PIPE = 0 and NAME_pipe with PIPE = 1, of the configuration `cfg`. */
#define BOTH(name, ...) \
    static void name##_with(struct dmt_config cfg); \
    Test(cycle, name, ##__VA_ARGS__) { name##_with(with_pipe(0)); } \
    Test(cycle, name##_pipe, ##__VA_ARGS__) { name##_with(with_pipe(1)); } \
    static void name##_with(struct dmt_config cfg)

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
    uint64_t monitor[IDS]; /* address | 1 that the ID reserves */
    unsigned lose;        /* exclusive writes to lose yet */
    bool no_monitor;
    bool small;           /* addresses beyond the memory are answered DECERR */
    uint64_t bad_addr;    /* a read or write here is answered bad_resp, if set */
    unsigned bad_resp, bad_write;
    unsigned pressure;    /* of 100: how often a ready pin is low */
    unsigned jitter;      /* reads take up to so many cycles more, and IDs overtake each other */
    bool late[FRAMES];    /* reads of these frames, and what follows them in their ID, are not answered for now */
    uint64_t ar_limit;    /* addresses of reads that are taken, if set */
    uint64_t seed;
    uint64_t noise; /* seed of what is above the pins' widths, which is used up in every clock */
    struct dmt_out last; /* outputs and ready inputs of the cycle before */
    struct dmt_in last_in;
    uint64_t beats_r;    /* read beats handed over */
    uint64_t addresses;  /* of reads taken */
    uint8_t reads[IDS];  /* taken and not answered, of each ID */
    unsigned most_of_id, most_of_context; /* so far */
};

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t rnd(struct bench *t)
{
    return next_random(&t->seed);
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

/* An AXI ID is {stage, context} (microarchitecture 1). */
static unsigned ctx_width(const struct bench *t)
{
    unsigned w = 1;

    while (1u << w < t->cfg.ctx_n)
        w++;
    return w;
}

static unsigned id_ctx(const struct bench *t, uint64_t id)
{
    return (unsigned)(id & ((1u << ctx_width(t)) - 1));
}

static unsigned id_stage(const struct bench *t, uint64_t id)
{
    return (unsigned)(id >> ctx_width(t));
}

static unsigned make_id(const struct bench *t, unsigned stage, unsigned ctx)
{
    return stage << ctx_width(t) | ctx;
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
    if (o->m_arvalid)
        cr_assert(id_ctx(t, o->m_arid) < t->cfg.ctx_n && id_stage(t, o->m_arid) < t->cfg.sets);
    if (o->m_awvalid)
        cr_assert(id_ctx(t, o->m_awid) < t->cfg.ctx_n && id_stage(t, o->m_awid) < t->cfg.sets);
}

static bool ready(struct bench *t)
{
    return !t->pressure || rnd(t) % 100 >= t->pressure;
}

static unsigned answer_read(struct bench *t, uint64_t addr, unsigned id, bool lock, uint64_t *data)
{
    *data = 0;
    if (t->small && addr / 8 >= FRAMES * 512)
        return DMT_RESP_DECERR;
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
    for (unsigned i = 0; i < IDS; i++)
        if (t->monitor[i] == (addr | 1))
            t->monitor[i] = 0;
    t->word[addr / 8] = data;
    return DMT_RESP_EXOKAY;
}

/* The first read that is not held back to the head, for good once it is on the pins. */
static bool choose_read(struct bench *t)
{
    struct beat *head = &t->r.q[t->r.head], b;
    bool held[IDS] = { false };
    unsigned i;

    if (t->last_in.m_rvalid && !t->last.m_rready)
        return true;
    for (i = 0; i < t->r.n; i++) {
        b = t->r.q[(t->r.head + i) % BEATS];
        held[b.id] |= b.addr >> 12 < FRAMES && t->late[b.addr >> 12];
        if (!held[b.id])
            break;
    }
    if (i == t->r.n || b.due > t->now)
        return false;
    for (; i > 0; i--)
        t->r.q[(t->r.head + i) % BEATS] = t->r.q[(t->r.head + i - 1) % BEATS];
    *head = b;
    return true;
}

/* Drive the memory's pins of this cycle. */
static void drive_memory(struct bench *t)
{
    struct dmt_in *in = &t->in;
    const struct beat *r = &t->r.q[t->r.head], *b = &t->b.q[t->b.head];

    in->m_rvalid = choose_read(t);
    in->m_rid = in->m_rvalid ? r->id : 0;
    in->m_rdata = in->m_rvalid ? r->data : 0;
    in->m_rresp = in->m_rvalid ? r->resp : 0;
    in->m_rlast = in->m_rvalid;
    in->m_bvalid = t->b.n && b->due <= t->now;
    in->m_bid = in->m_bvalid ? b->id : 0;
    in->m_bresp = in->m_bvalid ? b->resp : 0;
    in->m_arready = ready(t) && (!t->ar_limit || t->addresses < t->ar_limit);
    in->m_awready = ready(t);
    in->m_wready = ready(t);
}

/* A place for a read's beat at random behind the one on the pins and those of its ID. */
static struct beat *overtake(struct bench *t, unsigned id)
{
    unsigned at = t->r.n, first = at;

    push(&t->r);
    while (first > 1 && t->r.q[(t->r.head + first - 1) % BEATS].id != id)
        first--;
    for (first += (unsigned)(rnd(t) % (at - first + 1)); at > first; at--)
        t->r.q[(t->r.head + at) % BEATS] = t->r.q[(t->r.head + at - 1) % BEATS];
    return &t->r.q[(t->r.head + at) % BEATS];
}

/* Section 7: what may be outstanding. */
static void count_read(struct bench *t, unsigned id)
{
    unsigned of_context = 0;

    t->addresses++;
    cr_assert_leq(++t->reads[id], 5);
    for (unsigned k = 0; k < t->cfg.sets; k++)
        of_context += t->reads[make_id(t, k, id_ctx(t, id))];
    cr_assert_leq(of_context, 2 * t->cfg.sets + 3);
    t->most_of_id = t->reads[id] > t->most_of_id ? t->reads[id] : t->most_of_id;
    t->most_of_context = of_context > t->most_of_context ? of_context : t->most_of_context;
}

/* Take what the bus hands over in this cycle. */
static void serve_memory(struct bench *t)
{
    const struct dmt_out *o = t->o;
    struct beat *b;

    if (t->in.m_rvalid && o->m_rready) {
        t->reads[t->in.m_rid]--;
        pop(&t->r);
        t->beats_r++;
    }
    if (t->in.m_bvalid)
        pop(&t->b);
    if (o->m_arvalid && t->in.m_arready) {
        b = t->jitter ? overtake(t, (unsigned)o->m_arid) : push(&t->r);
        b->addr = o->m_araddr;
        b->due = t->now + t->latency + (t->jitter ? rnd(t) % t->jitter : 0);
        b->id = (uint8_t)o->m_arid;
        b->resp = (uint8_t)answer_read(t, o->m_araddr, b->id, o->m_arlock, &b->data);
        count_read(t, b->id);
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
    uint64_t noise = next_random(&t->noise);
    unsigned id_w = dmt_config_id_width(&t->cfg);

#define PIN_IN(name, width) in.name |= (width) < 64 ? noise << (width) % 64 : 0;
#define PIN_OUT(name, width)
#include "dmt/pins.def"
    in.req_tag |= noise << t->cfg.tag_w;
    in.m_rid |= noise << id_w;
    in.m_bid |= noise << id_w;
    return in;
}

/* Another run of random numbers, unlike that of the next seed (splitmix64). */
static void diversify(struct bench *t, uint64_t seed)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    t->seed = z ^ z >> 31;
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
    tick(t); /* the last clock of settle */
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
    t->seed = t->noise = 0x9e3779b97f4a7c15ull;
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

/* Section 4, and what it follows from. With PIPE = 1 (3.10) each place on the way costs a clock: first (for
 * what is matched), second, emitted, lq (for refusals and chains) and step. */

/* From the step that sends an address to the step of its beat. */
static unsigned reference(const struct dmt_config *cfg, unsigned L)
{
    return L + 1 + (cfg->pipe ? 3 : 0); /* second, emitted, step */
}

/* From a request to its answer: n references with m matches among them (which only PIPE = 1 counts). */
static unsigned walk_clocks(const struct dmt_config *cfg, unsigned L, unsigned n, unsigned m)
{
    return n * reference(cfg, L) + (cfg->pipe ? m : 0) + 1;
}

static unsigned clocks_of(const struct bench *t, unsigned n, unsigned m)
{
    return walk_clocks(&t->cfg, (unsigned)t->latency, n, m);
}

/* What a chain adds, besides the match of where it leads. */
static unsigned chain_clocks(const struct dmt_config *cfg)
{
    return 1 + (cfg->pipe ? 4 : 0); /* second, emitted, lq, step */
}

/* From a request to the refusal at its first match. */
static unsigned refusal_clocks(const struct dmt_config *cfg)
{
    return 2 + (cfg->pipe ? 5 : 0); /* first, second, emitted, lq, step */
}

/* From the step that finds out that an entry is to be written to the step of the answer, which comes a
 * clock after address and data. */
static unsigned update_clocks(const struct dmt_config *cfg)
{
    return 1 + 2 + (cfg->pipe ? 1 : 0); /* step */
}

/* From both halves of a write on the pins to BVALID: held for so many clocks, then executed. */
static unsigned csr_clocks(const struct dmt_config *cfg)
{
    return 1 + (cfg->pipe ? 3 : 1);
}

/* From the loader's first address to the clock in which its n-th beat is used: they come one a clock, but
 * with PIPE = 1 each waits two clocks in step before, and the next is not taken meanwhile. */
static unsigned loader_beat(const struct dmt_config *cfg, unsigned L, unsigned n)
{
    return cfg->pipe ? L + 3 * n : L + n - 1;
}

/* Cycles in which the loader has looked at a register before the one that counts (3.10). */
static unsigned look_ahead(const struct dmt_config *cfg)
{
    return cfg->pipe ? 1 : 0;
}

/* What a register costs in the loader: its image, and its entry of the gTEA table. */
static unsigned image_clocks(const struct bench *t)
{
    return loader_beat(&t->cfg, (unsigned)t->latency, 3) + 1;
}

static unsigned pass_clocks(const struct dmt_config *cfg) /* that is passed over */
{
    return look_ahead(cfg) + 1;
}

static unsigned entry_clocks(const struct bench *t)
{
    return look_ahead(&t->cfg) + loader_beat(&t->cfg, (unsigned)t->latency, 2) + 1;
}

/* What a fetch of k sizes adds that the j-th decides. With PIPE = 0 beats are taken while at most one address
 * waits to be emitted (3.1), so with three reads and memory that answers in the next clock the first one waits. */
static unsigned decided_by(const struct bench *t, unsigned k, unsigned j)
{
    return t->cfg.pipe ? 2 * (j - 1) : j - 1 + (t->latency == 1 && k == 3);
}

/* The same when the last or none of them decides. */
static unsigned more_sizes(const struct bench *t, unsigned k)
{
    return decided_by(t, k, k);
}

/* What the first reference of a restart waits for the surplus beats of such a fetch: with PIPE = 0 and memory
 * that answers in the next clock the second of two is in its way. */
static unsigned behind_surplus(const struct bench *t, unsigned k, unsigned j)
{
    return !t->cfg.pipe && t->latency == 1 && k - j == 2;
}

/* From the step of an answer to the first clock in which its context is free, when n surplus beats of its last
 * fetch follow: a step a clock; with PIPE = 1 each waits one for the one before it (3.10). */
static unsigned until_free(const struct dmt_config *cfg, unsigned n)
{
    return 1 + n * (cfg->pipe ? 2 : 1);
}

/* Until nothing is under way, and the counters show it. */
static void finish_reads(struct bench *t)
{
    while (t->r.n || t->o->m_arvalid)
        tick(t);
    ticks(t, 5);
}

/* ------------------------------------------------------------ latency (section 4) */

BOTH(tea_hit)
{
    EACH_LATENCY(L) {
        struct bench *t = new_bench(&cfg, L);
        unsigned f = add_tea(t, 3, 0x400000, 512, DMT_SIZE_4K);

        t->word[f * 512 + 5] = 0x77000 | E_LEAF;
        cr_assert_eq(hit(t, 0x405123, 0x77123, DMT_PATH_TEA), clocks_of(t, 1, 1));
        cr_assert_eq(t->last.wt_end_index, 3);
        cr_assert_eq(get(t, HOST(CNT_TEA)), 1);
        free_bench(t);
    }
}

/* All sets of sizes, each of which decides once (T2): nothing waits for the smaller ones, whatever they hold,
 * and all are counted as reads. */
BOTH(tea_sizes)
{
    const uint64_t va = 0x40000000;

    EACH_LATENCY(L)
        for (unsigned i = 0; i < 8 * 3 * 2; i++) {
            unsigned sizes = i % 8, sz = i / 8 % 3, k = 0, j = 0;
            bool smaller = i / 24; /* would decide, too */
            struct bench *t;

            if (!(sizes >> sz & 1))
                continue;
            t = new_bench(&cfg, L);
            for (unsigned s = 3; s-- > 0;)
                if (sizes >> s & 1) {
                    unsigned f = add_tea(t, 4 + s, va, 1 << 18, s);

                    t->word[f * 512] = s == sz                ? 0x80000000 | E_LEAF | (s ? E_PS : 0)
                                       : s < sz && smaller ? 0xc0000000 | E_LEAF | (s ? E_PS : 0)
                                                              : 0;
                    k++;
                    j += s >= sz;
                }
            cr_assert_eq(hit(t, va + 0x321, 0x80000321, DMT_PATH_TEA),
                         clocks_of(t, 1, 1) + decided_by(t, k, j), "sizes %u, decided by %u", sizes, sz);
            cr_assert_eq(t->last.wt_end_index, 4 + sz);
            finish_reads(t);
            cr_assert_eq(get(t, HOST(CNT_READ)), k);
            free_bench(t);
        }
}

BOTH(x86_walk)
{
    for (unsigned levels = 4; levels <= 5; levels++)
        for (unsigned leaf = 1; leaf <= 3; leaf++)
            EACH_LATENCY(L) {
                struct bench *t = new_bench(&cfg, L);
                unsigned n = levels - leaf + 1;
                uint64_t va = levels == 5 ? 0x00ff123456789abc : 0x0000123456789abc;
                uint64_t offset = va & ((1ull << (9 * leaf + 3)) - 1);

                if (levels == 5)
                    set(t, DMT_LEVEL_CR4, DMT_LEVEL_CR4_LA57_MASK);
                map(t, va, levels, leaf, 0x40000000 | E_LEAF | (leaf > 1 ? E_PS : 0));
                cr_assert_eq(hit(t, va, 0x40000000 | offset, DMT_PATH_RADIX), clocks_of(t, n, 1));
                cr_assert_eq(get(t, HOST(CNT_READ)), n);
                free_bench(t);
            }
}

/* A walk that starts in each of the caches. */
BOTH(x86_from_cache)
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
            struct bench *t = new_bench(&cfg, L);
            const uint64_t va = 0x7000000000;

            map(t, va, 4, 1, 0x10000 | E_LEAF);
            map(t, va + c[i].step, 4, 1, 0x20000 | E_LEAF);
            hit(t, va, 0x10000, DMT_PATH_RADIX);
            cr_assert_eq(hit(t, va + c[i].step, 0x20000, DMT_PATH_RADIX), clocks_of(t, c[i].refs, 1));
            for (unsigned reg = HOST(CNT_PWC4); reg <= HOST(CNT_PWC2); reg += 8)
                cr_assert_eq(get(t, reg), reg == c[i].counter);
            free_bench(t);
        }
}

/* After a fetch of k sizes none of which decides (j = 0), or whose j-th decides and is denied. */
BOTH(restart)
{
    const uint64_t va = 0x40000000;

    EACH_LATENCY(L)
        for (unsigned k = 1; k <= 3; k++)
            for (unsigned j = 0; j <= k; j++) {
                struct bench *t = new_bench(&cfg, L);

                for (unsigned s = 0; s < k; s++) {
                    unsigned f = add_tea(t, s, va, 1 << 18, s);

                    if (k - s >= j && j)
                        t->word[f * 512] = k - s > j ? 0x80000000 | E_LEAF | (s ? E_PS : 0)
                                                     : 0x80000000 | (E_LEAF & ~E_U) | (s ? E_PS : 0);
                }
                map(t, va, 4, 1, 0x10000 | E_LEAF);
                cr_assert_eq(hit(t, va, 0x10000, DMT_PATH_RESTART),
                             clocks_of(t, 1 + 4, 2)
                                 + (j ? decided_by(t, k, j) + behind_surplus(t, k, j) : more_sizes(t, k)),
                             "%u sizes, decided by %u", k, j);
                cr_assert_eq(get(t, HOST(CNT_RESTART)), 1);
                cr_assert_eq(get(t, HOST(CNT_TEA)), 0);
                cr_assert_eq(get(t, HOST(CNT_READ)), k + 4);
                free_bench(t);
            }
}

BOTH(answered_at_once)
{
    struct bench *t = new_bench(&cfg, 8);
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

/* Read, exclusive read, exclusive write with the answer a clock after it. */
BOTH(update_latency)
{
    EACH_LATENCY(L) {
        struct bench *t = new_bench(&cfg, L);
        unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
        struct dmt_request q = user_write(0x400000);
        unsigned clocks = clocks_of(t, 2, 1) + update_clocks(&cfg);

        t->word[f * 512] = 0x77000 | E_TABLE;
        cr_assert_eq(translate(t, &q), clocks);
        cr_assert(t->o->resp_status == DMT_STATUS_OK && t->o->resp_dirty == 1);
        cr_assert_eq(t->word[f * 512], 0x77000 | E_LEAF);
        take(t);
        t->word[f * 512] &= ~E_D;
        t->lose = 2;
        clocks += 2 * (reference(&cfg, L) + update_clocks(&cfg));
        cr_assert_eq(translate(t, &q), clocks, "two writes lost");
        take(t);
        cr_assert_eq(get(t, HOST(CNT_LOST)), 2);
        cr_assert_eq(get(t, HOST(CNT_UPDATE)), 2);
        free_bench(t);
    }
}

/* ------------------------------------------------------------ throughput */

/* Clocks that n TEA hits take from the first request to the last answer, back to back. */
static uint64_t burst(struct dmt_config cfg, unsigned L, unsigned ctx_n, unsigned n)
{
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

BOTH(throughput)
{
    EACH_LATENCY(L) {
        unsigned n = walk_clocks(&cfg, L, 1, 1);

        cr_assert_eq(burst(cfg, L, n, 600), 600 + n, "one a clock");
        cr_assert_gt(burst(cfg, L, n - 1, 600), 600 + 600 / (n + 1), "a context less is not enough");
    }
}

/* ------------------------------------------------------------ the front */

BOTH(skid_and_full)
{
    struct bench *t;
    struct dmt_request q = user_read(0x400000);
    unsigned f, clocks;

    cfg.ctx_n = 1;
    t = new_bench(&cfg, 10);
    clocks = clocks_of(t, 1, 1);
    f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    t->word[f * 512] = E_LEAF;
    drive_request(t, &q, 1);
    tick(t);
    cr_assert_eq(t->o->req_ready, 1, "the context took the first request");
    drive_request(t, &q, 2);
    tick(t);
    cr_assert_eq(t->o->req_ready, 0, "the second one waits in the skid");
    t->in.req_valid = 0;
    /* Taken at 0; with its answer valid, the second request leaves. */
    ticks(t, clocks - 2);
    cr_assert_eq(t->o->req_ready, 0);
    cr_assert_eq(t->o->resp_valid, 1);
    tick(t);
    cr_assert_eq(t->o->req_ready, 1);
    cr_assert_eq(t->o->wt_req_tag, 2);
    cr_assert_eq(t->o->wt_req_order, 1);
    ticks(t, clocks - 1);
    cr_assert_eq(t->o->resp_tag, 2);
    cr_assert_eq(t->o->wt_end_clocks, 2 * clocks - 1);
    free_bench(t);
}

/* Answers not taken stop the R channel after two (and one that waits to be stepped); nothing is lost. */
BOTH(responses_held)
{
    struct bench *t = new_bench(&cfg, 4);
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
    cr_assert_eq(t->beats_r, 2 + cfg.pipe);
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
BOTH(step_has_the_response_queue)
{
    struct bench *t = new_bench(&cfg, 4);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_read(0x400000), gp = user_read(1ull << 63);

    t->word[f * 512] = E_LEAF;
    drive_request(t, &q, 1);
    tick(t);
    t->in.req_valid = 0;
    ticks(t, clocks_of(t, 1, 1) - 2);
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

BOTH(update_switch_and_retry)
{
    struct bench *t = new_bench(&cfg, 4);
    uint64_t va = 0x1000;
    struct dmt_request q = user_write(va);

    map(t, va, 4, 1, 0x10000 | E_TABLE);
    q.nonspec = false;
    cr_assert_eq(translate(t, &q), clocks_of(t, 4, 1));
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
BOTH(update_upper_entries)
{
    struct bench *t = new_bench(&cfg, 4);
    uint64_t va = 0x7fffdeadb000;
    struct dmt_request q = user_read(va);

    q.nonspec = true;
    map(t, va, 4, 1, 0x10000 | (E_TABLE & ~E_A));
    for (unsigned level = 2; level <= 4; level++)
        *entry_of(t, va, 4, level) &= ~E_A;
    cr_assert_eq(translate(t, &q), clocks_of(t, 4 + 2 * 4, 2) + 4 * update_clocks(&cfg));
    cr_assert_eq(t->o->resp_status, DMT_STATUS_OK);
    take(t);
    cr_assert_eq(*entry_of(t, va, 4, 1), 0x10000 | E_TABLE, "a read sets A, not D");
    for (unsigned level = 2; level <= 4; level++)
        cr_assert(*entry_of(t, va, 4, level) & E_A);
    cr_assert_eq(get(t, HOST(CNT_UPDATE)), 4);
    cr_assert_eq(get(t, HOST(CNT_READ)), 4 + 2 * 4, "a pass, and one in which each entry is read again");
    cr_assert_eq(hit(t, va, 0x10000, DMT_PATH_RADIX), clocks_of(t, 1, 1),
                 "the second pass filled the caches");
    free_bench(t);
}

/* Rule A6: the entry goes away between the passes; the x86 walk starts with a
 * first pass, whose reads are not exclusive. */
BOTH(update_restarts)
{
    struct bench *t = new_bench(&cfg, 4);
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

BOTH(bus_errors)
{
    struct bench *t = new_bench(&cfg, 4);
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
BOTH(bus_error_of_one_size)
{
    struct bench *t = new_bench(&cfg, 4);
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
        { HOST(SHADOW_CTL), 0, true },
        { HOST(SHADOW_ROOT), 0, true },
        { HOST(SHADOW_ROOT), 1ull << 52, false },
        { HOST(GTEA_TABLE1), 0, false },
        { DMT_LEVEL_S2CTL, 0, false },
        { DMT_LEVEL_S2ROOT, 0, false },
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

    cr_assert_eq(get(t, HOST(ID)), 0x4f444d5400000002);
    cr_assert_eq(get(t, HOST(CAPS)), 0x3020040203100834);
    cr_assert_eq(get(t, HOST(CAPS2)), 0x200402);
    cr_assert_eq(get(t, HOST(MAXPA)), 52);
    free_bench(t);

    t = new_bench(&small, 1);
    cr_assert_eq(get(t, HOST(CAPS)), 1 << 24 | 4 << 16 | 1 << 8 | 32);
    set(t, HOST(MAXPA), 33);
    cr_assert_eq(get(t, HOST(MAXPA)), 32);
    cr_assert_eq(get(t, HOST(EVENT)), DMT_HOST_EVENT_REFUSED_MASK);
    cr_assert_eq(get(t, HOST(CAPS2)), 0);
    for (unsigned reg = HOST(CNT_REQUEST); reg <= HOST(CNT_NPWC2); reg += 8)
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
        { DMT_LEVEL_EVENT, 0 },         { DMT_LEVEL_EVENT_MASK, 7 },
        { DMT_LEVEL_INV, 0 },           { DMT_LEVEL_S2CTL, 15 },
        { DMT_LEVEL_S2ROOT, 0 /* refused */ }, { DMT_LEVEL_LOAD, 0 /* refused */ },
    };
    static const uint64_t host_ones[] = { /* from CTL: what all ones leave behind */
        15, 52, 0, 15, 0, 0, 15, 0 /* refused */, 0, 0, 0, 0, 0, 0,
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
                if (level[i].off == off
                    && (addr < DMT_LEVEL_BASE(2) || (off != DMT_LEVEL_S2CTL && off != DMT_LEVEL_S2ROOT))) {
                    mapped = true;
                    expect = level[i].implemented;
                }
            if (addr == DMT_LEVEL_CR3)
                expect = ROOT << 12;
        } else {
            bool image = off >= 0xa0 && off <= 0xc8; /* refused */

            mapped = off % 8 == 0 && (off <= 0x80 || image || (off >= 0x100 && off <= 0x190));
            fixed = off < 0x10 || off == 0x30 || (off >= 0x78 && !image);
            expect = fixed || image ? 0 : host_ones[(off - 0x10) / 8];
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

BOTH(csr_timing)
{
    struct bench *t = new_bench(&cfg, 4);
    unsigned clocks;

    csr_write(t, HOST(EVENT_MASK), 5, 0xff, &clocks);
    cr_assert_eq(clocks, csr_clocks(&cfg), "taken, executed");
    csr_write(t, DMT_LEVEL_CR0, 0, 0xff, &clocks);
    cr_assert_eq(clocks, csr_clocks(&cfg), "nothing to drain");
    csr_write(t, 0x3ff8, 0, 0xff, &clocks);
    cr_assert_eq(clocks, csr_clocks(&cfg));

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
    for (unsigned n = 1; n < csr_clocks(&cfg); n++) {
        cr_assert(!t->o->s_awready && !t->o->s_bvalid);
        tick(t);
    }
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
    cr_assert_eq(get(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD3(0)), DMT_RESOLUTION_BAD_ID << 5 | 1);
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

    set(t, DMT_LEVEL_INV, 15ull << 60);
    cr_assert_eq(get(t, DMT_LEVEL_EVENT), DMT_LEVEL_EVENT_REFUSED_MASK);
    free_bench(t);
}

/* What each number of register sets has. */
Test(cycle, csr_sets)
{
    static const struct {
        unsigned addr, sets;
    } c[] = {
        { DMT_LEVEL_S2CTL, 2 },
        { DMT_LEVEL_S2ROOT, 2 },
        { DMT_LEVEL_BASE(1) + DMT_LEVEL_CR3, 2 },
        { DMT_LEVEL_BASE(1) + DMT_LEVEL_S2CTL, 3 },
        { DMT_LEVEL_BASE(1) + DMT_LEVEL_S2ROOT, 3 },
        { DMT_LEVEL_BASE(2) + DMT_LEVEL_CR3, 3 },
        { DMT_LEVEL_BASE(2) + DMT_LEVEL_S2CTL, 4 },
        { DMT_LEVEL_BASE(2) + DMT_LEVEL_S2ROOT, 4 },
        { HOST(SHADOW_CTL), 3 },
        { HOST(SHADOW_ROOT), 3 },
        { HOST(GTEA_TABLE1), 2 },
        { HOST(GTEA_ENTRIES1), 2 },
        { HOST(GTEA_TABLE2), 3 },
        { HOST(GTEA_ENTRIES2), 3 },
        { HOST(GTEA_CMD), 2 },
        { HOST(GTEA_FAULT), 2 },
        { HOST(IMAGE_BASE0), 2 },
        { HOST(IMAGE_COUNT0), 2 },
        { HOST(IMAGE_BASE1), 2 },
        { HOST(IMAGE_COUNT1), 2 },
        { HOST(IMAGE_BASE2), 3 },
        { HOST(IMAGE_COUNT2), 3 },
        { DMT_LEVEL_LOAD, 2 },
        { DMT_LEVEL_BASE(1) + DMT_LEVEL_LOAD, 2 },
        { DMT_LEVEL_BASE(2) + DMT_LEVEL_LOAD, 3 },
        { HOST(CAPS2), 1 },
    };

    for (unsigned sets = 1; sets <= 3; sets++) {
        struct dmt_config cfg = standard;
        struct bench *t;
        unsigned resp;

        cfg.sets = sets;
        t = new_bench(&cfg, 1);
        for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
            unsigned expect = c[i].sets <= sets ? DMT_RESP_OKAY : DMT_RESP_SLVERR;

            cr_assert(csr_read(t, c[i].addr, &resp) == 0 || c[i].addr == HOST(CAPS2));
            cr_assert_eq(resp, expect, "%#x with %u sets", c[i].addr, sets);
            cr_assert_eq(csr_write(t, c[i].addr, 0, 0xff, NULL), expect);
        }
        for (unsigned k = 0; k < sets; k++) {
            cr_assert_eq(get(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT),
                         sets > 1 ? DMT_LEVEL_EVENT_REFUSED_MASK : 0, "there is no image 0");
            set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT, DMT_LEVEL_EVENT_REFUSED_MASK);
        }
        /* settle: two clocks more without requests. */
        cr_assert_eq(csr_write(t, DMT_LEVEL_CR0, 0, 0xff, NULL), DMT_RESP_OKAY);
        cr_assert_eq(t->o->req_ready, sets == 1);
        tick(t);
        cr_assert_eq(t->o->req_ready, 1);
        set(t, HOST(EVENT), 15);
        /* The last of these writes leaves the mode that the level's commands below are for. */
        for (unsigned mode = DMT_MODE_OFF; mode <= DMT_MODE_NESTED; mode++) {
            set(t, HOST(CTL), mode);
            cr_assert_eq(get(t, HOST(CTL)), mode <= sets ? mode : sets);
            cr_assert_eq(get(t, HOST(EVENT)), mode <= sets ? 0 : DMT_HOST_EVENT_REFUSED_MASK);
            set(t, HOST(EVENT), 15);
        }
        for (unsigned k = 0; k < sets; k++)
            for (uint64_t kind = DMT_INV_S2_CONTEXT; kind <= DMT_INV_S2_ALL; kind++) {
                set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_INV, kind << 60);
                cr_assert_eq(get(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT),
                             k + 1 < sets ? 0 : DMT_LEVEL_EVENT_REFUSED_MASK);
            }
        for (uint64_t k = 0; sets > 1 && k < 4; k++) {
            set(t, HOST(GTEA_CMD), k << 12 | (uint64_t)DMT_GTEA_OP_REVOKE_ALL << 62);
            cr_assert_eq(get(t, HOST(EVENT)), k > 0 && k < sets ? 0 : DMT_HOST_EVENT_REFUSED_MASK);
            set(t, HOST(EVENT), 15);
        }
        free_bench(t);
    }
}

/* Values that second-stage registers refuse and hold. */
Test(cycle, csr_second_stages)
{
    static const struct {
        unsigned addr;
        uint64_t refused[5], accepted, reads;
    } c[] = {
        { DMT_LEVEL_S2ROOT, { 1ull << 52, 1ull << 62, 1 << 8, 1 << 11, 1ull << 40 },
          1ull << 63 | 0x123456f0ab, 0x123456f0ab & ~0xf00ull },
        { DMT_LEVEL_BASE(1) + DMT_LEVEL_S2ROOT, { 1ull << 52, 1ull << 62, 1 << 8, 1 << 11, 1ull << 40 },
          1ull << 39 | 0xff, 1ull << 39 | 0xff },
        { HOST(SHADOW_ROOT), { 1ull << 52, 1ull << 63, 1ull << 40, 1ull << 51, 1ull << 62 }, 0x5fff, 0x5000 },
        { HOST(GTEA_TABLE1), { 1ull << 52, 1ull << 63, 1ull << 40, 1ull << 51, 1ull << 62 }, 0x6fff, 0x6000 },
        { HOST(GTEA_TABLE2), { 1ull << 52, 1ull << 63, 1ull << 40, 1ull << 51, 1ull << 62 }, 0x7fff, 0x7000 },
        { HOST(GTEA_ENTRIES1), { 4097, 0x1fff, 1 << 13, 1ull << 63, 1ull << 32 }, 4096, 4096 },
        { HOST(GTEA_ENTRIES2), { 4097, 0x1fff, 1 << 13, 1ull << 63, 1ull << 32 }, 4096, 4096 },
        { HOST(IMAGE_BASE0), { 1ull << 52, 1ull << 63, 1ull << 40, 1ull << 51, 1ull << 62 },
          0xffffff8fff, 0xffffff8000 },
        { HOST(IMAGE_BASE1), { 1ull << 52, 1ull << 63, 1ull << 40, 1ull << 51, 1ull << 62 },
          0xffffff9fff, 0xffffff9000 },
        { HOST(IMAGE_BASE2), { 1ull << 52, 1ull << 63, 1ull << 40, 1ull << 51, 1ull << 62 },
          0xffffffafff, 0xffffffa000 },
        { HOST(IMAGE_COUNT0), { 4097, 0x1fff, 1 << 13, 1ull << 63, 1ull << 32 }, 4096, 4096 },
        { HOST(IMAGE_COUNT1), { 4097, 0x1fff, 1 << 13, 1ull << 63, 1ull << 32 }, 255, 255 },
        { HOST(IMAGE_COUNT2), { 4097, 0x1fff, 1 << 13, 1ull << 63, 1ull << 32 }, 1, 1 },
    };
    struct bench *t = new_bench(&standard, 1);

    set(t, HOST(MAXPA), 40);
    for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
        unsigned window = c[i].addr / 0x1000;
        unsigned event = window == 3 ? HOST(EVENT) : DMT_LEVEL_BASE(window) + DMT_LEVEL_EVENT;
        uint64_t bit = window == 3 ? DMT_HOST_EVENT_REFUSED_MASK : DMT_LEVEL_EVENT_REFUSED_MASK;

        set(t, c[i].addr, c[i].accepted & ~0xf00ull);
        for (unsigned n = 0; n < 5; n++) {
            cr_assert_eq(get(t, event), 0, "case %u", i);
            set(t, c[i].addr, c[i].refused[n]);
            cr_assert_eq(get(t, event), bit, "case %u, value %u", i, n);
            cr_assert_eq(get(t, c[i].addr), c[i].reads, "case %u", i);
            set(t, event, bit);
        }
    }
    /* A write of MAXPA clears roots and shadow, but neither gTEA tables nor image areas nor what the
     * tables are like. */
    set(t, DMT_LEVEL_S2CTL, ~0ull);
    set(t, HOST(MAXPA), 38);
    for (unsigned i = 0; i < sizeof c / sizeof *c; i++)
        cr_assert_eq(get(t, c[i].addr), i < 3 ? 0 : c[i].reads);
    cr_assert_eq(get(t, DMT_LEVEL_S2CTL), 15);
    free_bench(t);
}

/* A draining write waits for the walk and for its answer to be taken; others do not. */
BOTH(csr_drain)
{
    static const unsigned draining[] = {
        DMT_LEVEL_TEA_WORD0(9), DMT_LEVEL_TEA_WORD1(9), DMT_LEVEL_TEA_WORD2(9), DMT_LEVEL_CR0, DMT_LEVEL_CR3,
        DMT_LEVEL_CR4, DMT_LEVEL_EFER, DMT_LEVEL_PKRU, DMT_LEVEL_PKRS, DMT_LEVEL_INV,
        DMT_LEVEL_BASE(2) + DMT_LEVEL_TEA_WORD0(0), DMT_LEVEL_BASE(1) + DMT_LEVEL_CR3, HOST(CTL), HOST(MAXPA),
        DMT_LEVEL_S2CTL, DMT_LEVEL_BASE(1) + DMT_LEVEL_S2ROOT, HOST(SHADOW_CTL), HOST(SHADOW_ROOT),
        HOST(GTEA_TABLE1), HOST(GTEA_ENTRIES1), HOST(GTEA_TABLE2), HOST(GTEA_ENTRIES2), HOST(GTEA_CMD),
        DMT_LEVEL_LOAD, DMT_LEVEL_BASE(2) + DMT_LEVEL_LOAD,
    };
    static const unsigned other[] = {
        DMT_LEVEL_TEA_WORD3(9), DMT_LEVEL_EVENT, DMT_LEVEL_EVENT_MASK, HOST(ID), HOST(EVENT),
        HOST(EVENT_MASK), HOST(BUS_ADDR), HOST(CNT_CLEAR), HOST(CNT_TEA), DMT_LEVEL_TEA_WORD0(16),
        HOST(CTL) + 4, 0x3ff8, DMT_LEVEL_BASE(2) + DMT_LEVEL_S2CTL, HOST(GTEA_FAULT), HOST(CAPS2),
        HOST(IMAGE_BASE0), HOST(IMAGE_COUNT0), HOST(IMAGE_BASE2), HOST(IMAGE_COUNT2),
    };
    const unsigned n = sizeof draining / sizeof *draining, all = n + sizeof other / sizeof *other;

    for (unsigned i = 0; i < all + 1; i++) {
        struct bench *t = new_bench(&cfg, 6);
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
        for (unsigned n = 1; n < csr_clocks(&cfg); n++) {
            cr_assert_eq(t->o->req_ready, !drain, "case %u", i);
            cr_assert_eq(t->o->s_bvalid, 0, "case %u, clock %u", i, n);
            tick(t);
        }
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
        cr_assert(t->o->s_bvalid, "executed");
        cr_assert_eq(t->o->req_ready, !drain, "case %u", i);
        tick(t);
        cr_assert_eq(t->o->req_ready, !drain, "the second clock of settle");
        tick(t);
        cr_assert_eq(t->o->req_ready, 1);
        free_bench(t);
    }
}

/* A request behind a draining write sees the new value only. */
BOTH(drain_orders_requests)
{
    struct bench *t = new_bench(&cfg, 6);
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

BOTH(multi_hit)
{
    struct bench *t = new_bench(&cfg, 4);
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

/* The pin rises a clock after the match (with PIPE = 1 when it leaves second), and a clear in the cycle of
 * the cause loses. */
BOTH(event_set_wins)
{
    for (unsigned offset = 0; offset < 6; offset++) {
        struct bench *t = new_bench(&cfg, 8);
        struct dmt_request q = user_read(0x400000);
        unsigned taken = 3, matched = taken + (cfg.pipe ? 2 : 0), executed = offset + csr_clocks(&cfg) - 1;

        add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
        add_tea(t, 1, 0x400000, 512, DMT_SIZE_4K);
        set(t, DMT_LEVEL_EVENT_MASK, 1);
        t->in.s_bready = 1;
        t->in.s_awaddr = DMT_LEVEL_EVENT;
        t->in.s_wdata = 1;
        t->in.s_wstrb = 0xff;
        drive_request(t, &q, 0);
        for (unsigned c = 0; c < 12; c++) {
            bool set_before = matched < c, cleared = executed < c && executed > matched;

            cr_assert_eq(t->o->event, set_before && !cleared, "clear executed in %u, clock %u", executed, c);
            t->in.s_awvalid = t->in.s_wvalid = c == offset;
            t->in.req_valid = c == taken;
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
BOTH(busy_counter)
{
    struct bench *t = new_bench(&cfg, 10);
    unsigned f = add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K);
    struct dmt_request q = user_read(0x400000);

    t->word[f * 512] = E_LEAF;
    drive_request(t, &q, 0);
    ticks(t, 3); /* taken in 0, 1, 2; busy from 1 to the last one's step */
    t->in.req_valid = 0;
    cr_assert_eq(get(t, HOST(CNT_BUSY)), 1, "read in 3, what there was up to 1");
    ticks(t, 40);
    cr_assert_eq(get(t, HOST(CNT_BUSY)), 2 + clocks_of(t, 1, 1) - 1);
    free_bench(t);
}

/* ------------------------------------------------------------ random traffic */

/* Arithmetic of the memory that the architectural model reads. */
static enum dmt_resp plain_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct bench *t = user;
    bool there = ref->addr / 8 < FRAMES * 512;

    *data = there ? t->word[ref->addr / 8] : 0;
    return !there ? DMT_RESP_DECERR : ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
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
    } e[1024];
    unsigned n;
};

static void log_beat(struct log *l, const struct dmt_ref *ref, uint64_t data, bool write)
{
    cr_assert_lt(l->n, 1024);
    l->e[l->n].ref = *ref;
    l->e[l->n].data = data;
    l->e[l->n++].write = write;
}

static enum dmt_resp log_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct log *l = user;
    bool there = ref->addr / 8 < FRAMES * 512;

    *data = there ? l->t->word[ref->addr / 8] : 0;
    log_beat(l, ref, *data, false);
    return !there ? DMT_RESP_DECERR : ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
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
    cr_assert_eq(o->wt_ref_resp, ref->addr / 8 >= FRAMES * 512 ? DMT_RESP_DECERR
                                 : ref->exclusive              ? DMT_RESP_EXOKAY
                                                               : DMT_RESP_OKAY);
    cr_assert_eq(o->wt_ref_stage, ref->stage);
}

/* One walk at a time: the answer and what is left in memory are the architectural
 * model's, and with `beats` reads, writes and paths, too, record for record. Returns the updates. */
static unsigned judged(struct bench *t, const struct dmt_state *s, const struct dmt_request *q, unsigned n,
                       bool beats, struct dmt_result *e)
{
    static uint64_t before[FRAMES * 512], after[FRAMES * 512];
    static struct log l;
    struct dmt_port port = { .user = &l, .read = log_read, .write = log_write };
    const struct dmt_out *o = t->o;
    unsigned i = 0;

    l.t = t;
    l.n = 0;
    memcpy(before, t->word, sizeof t->word);
    dmt_arch_translate(s, q, &port, e);
    memcpy(after, t->word, sizeof t->word);
    memcpy(t->word, before, sizeof t->word);
    drive_request(t, q, n & 0xff);
    tick(t);
    t->in.req_valid = 0;
    /* With PIPE = 1 what is answered at once waits for the step of a surplus read. */
    while (!o->wt_req_valid)
        tick(t);
    cr_assert(o->wt_req_order == n && o->wt_req_va == q->va);
    cr_assert(o->wt_req_access == q->access && o->wt_req_cpl == q->cpl && o->wt_req_ac == q->ac);
    cr_assert(o->wt_req_implicit == q->implicit && o->wt_req_nonspec == q->nonspec);
    for (;;) {
        if (beats && (o->wt_ref_valid || o->wt_upd_valid))
            check_record(&l, i++, o);
        if (o->wt_end_valid)
            break;
        tick(t);
    }
    cr_assert(!beats || i == l.n, "%u beats of %u", i, l.n);
    cr_assert(o->wt_end_order == n && o->wt_end_tag == (n & 0xff));
    cr_assert_eq(o->wt_end_status, e->status, "status %lu, expected %u", o->wt_end_status, e->status);
    cr_assert(o->wt_end_pa == e->pa && o->wt_end_size == e->size && o->wt_end_rights == e->rights,
              "pa %#lx %#lx size %lu %u rights %lu %u", o->wt_end_pa, e->pa, o->wt_end_size, e->size,
              o->wt_end_rights, e->rights);
    cr_assert(o->wt_end_global == e->global && o->wt_end_pkey == e->pkey);
    cr_assert_eq(o->wt_end_dirty, e->dirty);
    cr_assert_eq(o->wt_end_memtype, e->memtype, "%lu, expected %u", o->wt_end_memtype, e->memtype);
    cr_assert_eq(o->wt_end_ad_needed, e->ad_needed);
    cr_assert_eq(o->wt_end_error, e->error, "error %#lx, expected %#lx", o->wt_end_error, e->error);
    cr_assert_eq(o->wt_end_addr, e->addr, "addr %#lx, expected %#lx", o->wt_end_addr, e->addr);
    cr_assert_eq(o->wt_end_stage, e->stage);
    for (unsigned k = 0; beats && k < 3; k++) {
        cr_assert_eq(o->wt_end_path >> 2 * k & 3, e->path[k], "paths %#lx, expected %u of stage %u",
                     o->wt_end_path, e->path[k], k);
        cr_assert_eq(o->wt_end_index >> 6 * k & 63, e->index[k], "registers %#lx, expected %u of stage %u",
                     o->wt_end_index, e->index[k], k);
    }
    cr_assert_eq(memcmp(t->word, after, sizeof t->word), 0, "memory");
    tick(t);
    return e->updates;
}

static struct dmt_request random_request(struct bench *t)
{
    uint64_t r = rnd(t);

    return (struct dmt_request){ .va = random_va(t), .access = r % 3, .cpl = r >> 8 & 3, .ac = r >> 10 & 1,
                                 .implicit = r >> 11 & 1, .nonspec = (r >> 12) % 4 != 0 };
}

BOTH(trace_port, .timeout = 120)
{
    struct bench *t;
    struct dmt_state s;
    unsigned written = 0, left = 0;

    cfg.pa_w = 46;
    cfg.pwc4_n = cfg.pwc3_n = cfg.pwc2_n = 0; /* they skip reads */
    t = new_bench(&cfg, 3);
    random_state(t, &s, true);
    t->in.resp_ready = 1;
    for (unsigned n = 0; n < 400; n++) {
        struct dmt_request q = random_request(t);
        struct dmt_result e;

        written += judged(t, &s, &q, n, true, &e);
        left += e.reads == 0;
    }
    cr_assert(written > 20 && left < 40);
    free_bench(t);
}

/* ------------------------------------------------------------ several stages */

/* Where frame 0 of the memory lies in the addresses of each level: hPA, level 1, level 2. */
static const uint64_t space[] = { 0, 0x400, 0xa00 };

enum { EPT_A = 0x100, EPT_D = 0x200, EPT_XU = 0x400, EPT_WB = 6 << 3 };

/* Tables of one stage, which lie in `space` of the level below. */
struct tables {
    uint64_t root; /* address */
    unsigned levels, below;
    bool ept;
};

static uint64_t table_flags(bool ept)
{
    return ept ? 7 | EPT_A | EPT_XU : E_TABLE;
}

static uint64_t leaf_flags(bool ept, unsigned level)
{
    return (ept ? 7 | EPT_A | EPT_D | EPT_XU | EPT_WB : E_LEAF) | (level > 1 ? E_PS : 0);
}

static struct tables new_tables(struct bench *t, unsigned below, unsigned levels, bool ept)
{
    struct tables b = { .below = below, .levels = levels, .ept = ept };

    b.root = (space[below] + t->frames++) << 12;
    return b;
}

/* The entry of an address at a level or of the large page above it, its upper tables made on the way. */
static uint64_t *entry_in(struct bench *t, const struct tables *b, uint64_t va, unsigned level)
{
    uint64_t table = (b->root >> 12) - space[b->below];

    for (unsigned n = b->levels;; n--) {
        uint64_t *e = &t->word[table * 512 + (va >> (9 * n + 3) & 511)];

        if (n == level || (n <= 3 && *e & E_PS))
            return e;
        if (!*e) {
            *e = (space[b->below] + t->frames++) << 12 | table_flags(b->ept);
            cr_assert_lt(t->frames, FRAMES);
        }
        table = (*e >> 12 & 0xffffffffff) - space[b->below];
    }
}

/* Frame of the memory that holds the table with this entry. */
static uint64_t frame_of(const struct bench *t, const uint64_t *e)
{
    return (uint64_t)(e - t->word) / 512;
}

/* Map all of memory as level `from` sees it to where it lies at level `to`. */
static void map_memory(struct bench *t, const struct tables *b, unsigned from, unsigned to, unsigned level)
{
    for (uint64_t i = 0; i < FRAMES; i += level == 2 ? FRAMES : 1)
        *entry_in(t, b, (space[from] + i) << 12, level) = (space[to] + i) << 12 | leaf_flags(b->ept, level);
}

/* A machine in VIRT or NESTED: registers and the tables they lead to. */
struct machine {
    struct dmt_state s;
    struct tables v, s1, s0, shadow;
};

static uint64_t s2_control(const struct dmt_s2 *s)
{
    return (uint64_t)s->format | (uint64_t)s->five << 1 | (uint64_t)s->ad << 2 | (uint64_t)s->mbec << 3;
}

/* Write register i of set k as it is in the state, and take over what it resolves to. */
static void load_tea(struct bench *t, struct machine *m, unsigned k, unsigned i)
{
    struct dmt_tea *r = &m->s.tea[k][i];
    unsigned base = DMT_LEVEL_BASE(k);
    uint64_t word[3], state;

    r->valid = true;
    dmt_tea_pack(r, word);
    set(t, base + DMT_LEVEL_TEA_WORD1(i), word[1]);
    set(t, base + DMT_LEVEL_TEA_WORD2(i), word[2]);
    set(t, base + DMT_LEVEL_TEA_WORD0(i), word[0]);
    state = get(t, base + DMT_LEVEL_TEA_WORD3(i));
    cr_assert_eq(state & 31, 1, "refused: %#lx", state);
    r->resolution = state >> 5 & 7;
    if (r->resolution == DMT_RESOLUTION_OK) {
        const uint64_t *e = &t->word[(m->s.gtea[k].table + 16ull * r->gtea) / 8];

        r->gtea_base = e[0] >> 12 & 0xffffffffff;
        r->gtea_pages = e[1] & 0xfffffffffffff;
    }
}

/* Everything but TEA registers. */
static void load_machine(struct bench *t, const struct machine *m)
{
    const struct dmt_state *s = &m->s;

    set(t, HOST(CTL), s->mode | s->ad_update << 2 | s->full << 3);
    for (unsigned k = 0; k < t->cfg.sets; k++) {
        set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_CR0, s->level[k].cr0);
        set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_CR4, s->level[k].cr4);
        set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_CR3, s->level[k].cr3);
        set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_EFER, s->level[k].efer);
        set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_PKRU, s->level[k].pkru);
    }
    for (unsigned k = 0; k + 1 < t->cfg.sets; k++) {
        set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2CTL, s2_control(&s->s2[k]));
        set(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2ROOT, s->s2[k].root | s->s2[k].tag);
    }
    if (t->cfg.sets > 1) {
        set(t, HOST(GTEA_TABLE1), s->gtea[1].table);
        set(t, HOST(GTEA_ENTRIES1), s->gtea[1].entries);
    }
    if (t->cfg.sets < 3)
        return;
    set(t, HOST(SHADOW_CTL), s2_control(&s->shadow));
    set(t, HOST(SHADOW_ROOT), s->shadow.root);
    set(t, HOST(GTEA_TABLE2), s->gtea[2].table);
    set(t, HOST(GTEA_ENTRIES2), s->gtea[2].entries);
}

/* Tables of a mode: memory mapped by 4 KiB pages in the second stages, nothing in the entering one. */
static void new_machine(struct bench *t, struct machine *m, unsigned mode, bool full, struct dmt_s2 s2_0,
                        struct dmt_s2 s2_1, struct dmt_s2 shadow, unsigned level)
{
    unsigned e = mode - DMT_MODE_NATIVE;

    memset(m, 0, sizeof *m);
    dmt_state_reset(&m->s, t->cfg.pa_w);
    m->s.mode = (uint8_t)mode;
    m->s.full = full;
    m->s.s2[0] = s2_0;
    m->s.s2[1] = s2_1;
    m->s.shadow = shadow;
    m->s0 = new_tables(t, 0, s2_0.five ? 5 : 4, s2_0.format == DMT_FORMAT_EPT);
    m->s1 = new_tables(t, 1, s2_1.five ? 5 : 4, s2_1.format == DMT_FORMAT_EPT);
    m->shadow = new_tables(t, 0, shadow.five ? 5 : 4, shadow.format == DMT_FORMAT_EPT);
    m->v = new_tables(t, e, 4, false);
    map_memory(t, &m->s0, 1, 0, level);
    if (e == 2) {
        map_memory(t, &m->s1, 2, 1, level);
        map_memory(t, &m->shadow, 2, 0, level);
    }
    m->s.s2[0].root = m->s0.root;
    m->s.s2[1].root = m->s1.root;
    m->s.shadow.root = m->shadow.root;
    m->s.level[e].cr3 = m->v.root;
    m->s.level[e].efer = DMT_LEVEL_EFER_NXE_MASK;
    for (unsigned k = 1; k < 3; k++)
        m->s.gtea[k] = (struct dmt_gtea){ .table = (uint64_t)t->frames++ << 12, .entries = 200 };
}

static const struct dmt_s2 ept = { .format = DMT_FORMAT_EPT };

/* All stages with EPT, nothing covered, one page: va at the level that requests enter at to frame 7. */
static void plain_machine(struct bench *t, struct machine *m, unsigned mode, bool full, uint64_t va)
{
    new_machine(t, m, mode, full, ept, ept, ept, 1);
    *entry_in(t, &m->v, va, 1) = (space[mode - DMT_MODE_NATIVE] + 7) << 12 | E_LEAF;
    load_machine(t, m);
}

/* Register i of set k over the table that this entry is in. */
static void cover(struct bench *t, struct machine *m, unsigned k, unsigned i, unsigned kind, uint64_t first,
                  uint64_t pages, const uint64_t *entry, unsigned sz)
{
    uint64_t frame = frame_of(t, entry);
    struct dmt_tea *r = &m->s.tea[k][i];

    *r = (struct dmt_tea){ .base_vpn = first >> 12, .pages = pages, .kind = (uint8_t)kind, .allow = 7,
                           .sz = (uint8_t)sz, .base_pfn = space[k] + frame };
    if (kind == DMT_KIND_GTEA) {
        uint64_t *g;

        r->gtea = (uint16_t)(10 * k + i);
        r->base_pfn = 0;
        g = &t->word[m->s.gtea[k].table / 8 + 2 * r->gtea];
        g[0] = frame << 12 | 1;
        g[1] = 1;
    }
    load_tea(t, m, k, i);
}

/* The same over all of memory as level k + 1 sees it, in second stage k. */
static void cover_memory(struct bench *t, struct machine *m, unsigned k, unsigned i, unsigned kind)
{
    uint64_t first = space[k + 1] << 12;

    cover(t, m, k, i, kind, first, 512, entry_in(t, k ? &m->s1 : &m->s0, first, 1), 0);
}

static const struct dmt_config *uncached(unsigned pipe)
{
    static struct dmt_config cfg;

    cfg = with_pipe(pipe);
    cfg.pwc4_n = cfg.pwc3_n = cfg.pwc2_n = cfg.npwc4_n = cfg.npwc3_n = cfg.npwc2_n = 0;
    return &cfg;
}

enum { COVERED_NOT, COVERED_PA, COVERED_GTEA };

/* What translating one address of a stage comes to. */
struct cost {
    unsigned refs, chains, matches;
};

/* The cost of a stage covered like this, given that of the stage below. */
static struct cost cost(unsigned how, unsigned levels, struct cost b)
{
    if (how == COVERED_GTEA)
        return (struct cost){ 1 + b.refs, b.chains, 1 + b.matches };
    if (how == COVERED_PA)
        return (struct cost){ b.refs + 1 + b.refs, 2 * b.chains + 1, 1 + 2 * b.matches };
    /* The root is located within the first match; each other table and the page are by their own. */
    return (struct cost){ levels * (b.refs + 1) + b.refs, levels * b.chains + b.chains,
                          levels * b.matches + b.matches };
}

/* Section 4's tables for every way of covering the stages. */
static void latencies(unsigned pipe, unsigned mode, bool full, unsigned L)
{
    const uint64_t va = 0x40001000;
    bool nested = mode == DMT_MODE_NESTED;

    for (unsigned v = 0; v < 3; v++)
        for (unsigned s1 = 0; s1 < (nested ? 3 : 1); s1++)
            for (unsigned s0 = 0; s0 < 2; s0++) {
                struct bench *t = new_bench(uncached(pipe), L);
                unsigned e = mode - DMT_MODE_NATIVE;
                struct cost c = { .refs = s0 ? 1 : 4, .matches = 1 };
                struct machine m;

                plain_machine(t, &m, mode, full, va);
                if (s0)
                    cover_memory(t, &m, 0, 1, DMT_KIND_PA);
                if (s1)
                    cover_memory(t, &m, 1, 2, s1 - 1);
                if (v)
                    cover(t, &m, e, 3, v - 1, va & ~0x1fffffull, 512, entry_in(t, &m.v, va, 1), 0);
                if (nested && !full && !s1)
                    c.refs = 4;
                else if (nested)
                    c = cost(s1, 4, c);
                c = cost(v, 4, c);
                set(t, HOST(CNT_CLEAR), 0);
                cr_assert_eq(hit(t, va | 0xabc, 7 << 12 | 0xabc,
                                 (v ? DMT_PATH_TEA : DMT_PATH_RADIX) << 2 * e
                                     | (nested && !full && !s1 ? 0 : s0 ? DMT_PATH_TEA : DMT_PATH_RADIX)
                                     | (!nested ? 0 : s1 ? DMT_PATH_TEA : DMT_PATH_RADIX) << 2),
                             clocks_of(t, c.refs, c.matches) + c.chains * chain_clocks(&t->cfg),
                             "covered %u %u %u: %u references, %u chains, %u matches", v, s1, s0, c.refs,
                             c.chains, c.matches);
                cr_assert_eq(t->last.wt_end_index >> 6 * e & 63, v ? 3 : 0);
                cr_assert_eq(get(t, HOST(CNT_READ)), c.refs);
                cr_assert_eq(get(t, v && (s1 || !nested) && s0 ? HOST(CNT_TEA) : HOST(CNT_RADIX)), 1);
                free_bench(t);
            }
}

BOTH(latency_virt)
{
    EACH_LATENCY(L) latencies(cfg.pipe, DMT_MODE_VIRT, false, L);
}

BOTH(latency_nested)
{
    EACH_LATENCY(L) {
        latencies(cfg.pipe, DMT_MODE_NESTED, false, L);
        latencies(cfg.pipe, DMT_MODE_NESTED, true, L);
    }
}

/* Three direct sizes of the entering stage at once, and of KIND PA one after another (T1'). */
BOTH(sizes_of_a_guest)
{
    EACH_LATENCY(L)
        for (unsigned pa = 0; pa < 2; pa++) {
            const uint64_t va = 0x40000000;
            struct bench *t = new_bench(uncached(cfg.pipe), L);
            struct machine m;
            unsigned k = 3;

            plain_machine(t, &m, DMT_MODE_VIRT, false, va);
            cover_memory(t, &m, 0, 1, DMT_KIND_PA);
            for (unsigned sz = 0; sz < 3; sz++)
                cover(t, &m, 1, sz, pa ? DMT_KIND_PA : DMT_KIND_GTEA, va, 512, entry_in(t, &m.v, va, sz + 1),
                      sz);
            /* The smallest decides: all are read at once; or each takes a chain, its location and itself. */
            cr_assert_eq(hit(t, va, 7 << 12, DMT_PATH_TEA << 2 | DMT_PATH_TEA),
                         pa ? clocks_of(t, 2 * k + 1, 2 * k + 1) + k * chain_clocks(&cfg)
                            : clocks_of(t, 2, 2) + more_sizes(t, k));
            cr_assert_eq(get(t, HOST(CNT_READ)), pa ? 7 : 4);
            free_bench(t);
        }
}

/* A fetch that does not count costs itself, and the walk starts over. */
BOTH(restart_of_a_guest)
{
    EACH_LATENCY(L) {
        const uint64_t va = 0x40000000;
        struct bench *t = new_bench(uncached(cfg.pipe), L);
        struct machine m;
        uint64_t none = t->frames++ * 512;

        plain_machine(t, &m, DMT_MODE_VIRT, false, va);
        cover(t, &m, 1, 0, DMT_KIND_GTEA, va, 1, &t->word[none], 0);
        cr_assert_eq(hit(t, va, 7 << 12, DMT_PATH_RESTART << 2 | DMT_PATH_RADIX), clocks_of(t, 25, 2 + 4));
        cr_assert_eq(get(t, HOST(CNT_RESTART)), 1);
        free_bench(t);
    }
}

/* The port serves a read a clock: so many clocks a translation when all stages are covered. */
BOTH(throughput_of_guests)
{
    for (unsigned mode = DMT_MODE_VIRT; mode <= DMT_MODE_NESTED; mode++) {
        const uint64_t va = 0x40000000;
        struct dmt_request q = user_read(va);
        unsigned e = mode - DMT_MODE_NATIVE, done = 0;
        struct bench *t;
        struct machine m;

        cfg.ctx_n = 32;
        t = new_bench(&cfg, 8);
        plain_machine(t, &m, mode, false, va);
        cover_memory(t, &m, 0, 0, DMT_KIND_PA);
        cover(t, &m, e, 0, DMT_KIND_GTEA, va, 512, entry_in(t, &m.v, va, 1), 0);
        if (e == 2)
            cover_memory(t, &m, 1, 0, DMT_KIND_GTEA);
        t->in.resp_ready = 1;
        drive_request(t, &q, 0);
        ticks(t, 200);
        for (unsigned i = 0; i < 6000; i++) {
            done += t->o->resp_valid;
            tick(t);
        }
        /* Answers come in bursts of as many as there are contexts. */
        cr_assert_geq(done + cfg.ctx_n / 2, 6000 / (e + 1), "%u in mode %u", done, mode);
        cr_assert_leq(done, 6000 / (e + 1) + cfg.ctx_n / 2, "%u in mode %u", done, mode);
        free_bench(t);
    }
}

static void expect_gtea(struct bench *t, uint64_t addr, unsigned stage, unsigned index, unsigned id,
                        bool unresolved)
{
    cr_assert_eq(t->o->resp_status, DMT_STATUS_GTEA);
    cr_assert_eq(t->o->resp_addr, addr);
    cr_assert_eq(t->o->resp_stage, stage);
    cr_assert_eq(t->o->resp_error, id | (uint64_t)index << 12 | (uint64_t)unresolved << 18);
    cr_assert_eq(t->o->wt_end_path >> 2 * stage & 3, DMT_PATH_TEA);
    cr_assert_eq(t->o->wt_end_index >> 6 * stage & 63, index);
    take(t);
    cr_assert_eq(get(t, HOST(GTEA_FAULT)), id | (uint64_t)index << 12 | (uint64_t)stage << 18
                                               | (uint64_t)unresolved << 20);
    cr_assert_eq(get(t, HOST(EVENT)), DMT_HOST_EVENT_GTEA_MASK);
    set(t, HOST(EVENT), DMT_HOST_EVENT_GTEA_MASK);
    cr_assert_eq(get(t, HOST(EVENT)), 0);
}

BOTH(refusals)
{
    const uint64_t va = 0x40000000;
    struct bench *t = new_bench(&cfg, 8);
    struct dmt_request q = user_read(va);
    struct machine m;

    plain_machine(t, &m, DMT_MODE_VIRT, false, va);
    for (unsigned sz = 0; sz < 3; sz++)
        cover(t, &m, 1, 4 + sz, DMT_KIND_GTEA, va, 1 << 18, entry_in(t, &m.v, va, sz + 1), sz);
    set(t, HOST(CNT_CLEAR), 0);

    /* 2 MiB and 4 KiB are past the end: the larger one is named. Nothing is read. */
    q.va = va + (600ull << 21 >> 9);
    t->word[m.s.gtea[1].table / 8 + 2 * 15 + 1] = 0;
    q.va = va + (513 << 12);
    cr_assert_eq(translate(t, &q), refusal_clocks(&cfg));
    expect_gtea(t, q.va, 1, 4, 14, false);
    set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_REVOKE << 62 | 1 << 12 | 15);
    cr_assert_eq(translate(t, &q), refusal_clocks(&cfg));
    expect_gtea(t, q.va, 1, 5, 15, true);
    cr_assert_eq(get(t, HOST(CNT_GTEA)), 2);
    cr_assert_eq(get(t, HOST(CNT_READ)), 0);
    cr_assert_eq(get(t, HOST(CNT_REQUEST)), 2);

    /* A root, and where a chain leads, wider than four levels. */
    set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_REVOKE_ALL << 62 | 1 << 12);
    q.va = 1ull << 39;
    set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_CR3, 1ull << 48);
    cr_assert_eq(translate(t, &q), refusal_clocks(&cfg));
    cr_assert_eq(t->o->resp_status, DMT_STATUS_EPT_VIOLATION);
    cr_assert_eq(t->o->resp_addr, 1ull << 48 | 8);
    cr_assert_eq(t->o->resp_error, 0x81);
    cr_assert_eq(t->o->resp_stage, 0);
    cr_assert_eq(t->o->wt_end_path, DMT_PATH_RADIX << 2 | DMT_PATH_RADIX);
    take(t);
    m.s.tea[1][9] = (struct dmt_tea){
        .base_vpn = q.va >> 12, .pages = 1, .base_pfn = 1ull << 36, .allow = 7,
    };
    load_tea(t, &m, 1, 9);
    cr_assert_eq(translate(t, &q), refusal_clocks(&cfg) + chain_clocks(&cfg) + cfg.pipe);
    cr_assert_eq(t->o->resp_addr, 1ull << 48);
    cr_assert_eq(t->o->wt_end_path, DMT_PATH_TEA << 2 | DMT_PATH_RADIX);
    take(t);
    set(t, DMT_LEVEL_S2CTL, 1);
    cr_assert_eq(translate(t, &q), refusal_clocks(&cfg) + chain_clocks(&cfg) + cfg.pipe);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_NPT_FAULT);
    cr_assert_eq(t->o->resp_error, 1ull << 33 | 6);
    take(t);
    cr_assert_eq(get(t, HOST(CNT_FAULT)), 3);
    free_bench(t);
}

/* What stage 1 does not cover is as wide as the table that it is walked on: the shadow table, or its own. */
BOTH(width_of_the_table_used)
{
    for (unsigned full = 0; full < 2; full++)
        for (unsigned five = 0; five < 2; five++) {
            struct dmt_s2 used = { .format = DMT_FORMAT_EPT, .five = five };
            struct dmt_s2 other = { .format = DMT_FORMAT_EPT, .five = !five };
            struct bench *t = new_bench(uncached(cfg.pipe), 4);
            struct dmt_request q = user_read(0);
            unsigned clocks;
            struct machine m;

            new_machine(t, &m, DMT_MODE_NESTED, full, ept, full ? used : other, full ? other : used, 1);
            load_machine(t, &m);
            set(t, DMT_LEVEL_BASE(2) + DMT_LEVEL_CR3, 1ull << 48);
            set(t, HOST(CNT_CLEAR), 0);
            clocks = translate(t, &q);
            cr_assert_eq(t->o->resp_status, DMT_STATUS_EPT_VIOLATION);
            cr_assert(t->o->resp_stage == 1 && t->o->resp_addr == 1ull << 48);
            take(t);
            cr_assert(five || clocks == refusal_clocks(&cfg));
            /* Wide enough, it is walked, to an absent entry of the top level; stage 0 locates that one. */
            cr_assert_eq(get(t, HOST(CNT_READ)), !five ? 0 : full ? 5 : 1, "full %u, five %u", full, five);
            free_bench(t);
        }
}

/* A refusal needs room, and while it waits no beat is taken and nothing leaves the front. */
Test(cycle, refusal_waits_for_room)
{
    const uint64_t va = 0x40000000;
    struct bench *t = new_bench(&standard, 2);
    struct dmt_request q = user_read(va), gp = user_read(1ull << 63);
    struct machine m;

    plain_machine(t, &m, DMT_MODE_VIRT, false, va);
    m.s.tea[1][0] = (struct dmt_tea){ .base_vpn = va >> 12, .pages = 1, .allow = 7, .kind = 1, .gtea = 200 };
    load_tea(t, &m, 1, 0);
    t->in.resp_ready = 0;
    for (unsigned i = 0; i < 4; i++) {
        drive_request(t, i < 2 ? &gp : &q, i);
        tick(t);
    }
    t->in.req_valid = 0;
    cr_assert(!t->o->req_ready && !t->o->m_rready, "the fourth waits in the skid");
    ticks(t, 5);
    t->in.resp_ready = 1;
    tick(t);
    t->in.resp_ready = 0;
    cr_assert_eq(t->o->wt_end_valid, 0, "room is what the clock begins with");
    tick(t);
    cr_assert(t->o->wt_end_valid && t->o->wt_end_tag == 2);
    cr_assert_eq(t->o->wt_req_valid, 0);
    tick(t);
    cr_assert(t->o->wt_req_valid && t->o->wt_req_tag == 3);
    free_bench(t);
}

/* ------------------------------------------------------------ the loader */

static uint64_t word3(struct bench *t, unsigned k, unsigned i)
{
    return get(t, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD3(i));
}

/* Clocks of writing word 0 of a KIND GTEA register, and what it comes to. */
static unsigned resolve(struct bench *t, unsigned id, unsigned resolution)
{
    unsigned base = DMT_LEVEL_BASE(1), clocks;
    uint64_t word0 = 0x5000 | TEA_FLAGS(0) | DMT_KIND_GTEA << DMT_TEA_WORD0_KIND_LSB;

    set(t, base + DMT_LEVEL_TEA_WORD1(2), id);
    set(t, base + DMT_LEVEL_TEA_WORD2(2), 1);
    cr_assert_eq(csr_write(t, base + DMT_LEVEL_TEA_WORD0(2), word0, 0xff, &clocks), DMT_RESP_OKAY);
    cr_assert_eq(t->o->req_ready, 0, "settle");
    tick(t);
    cr_assert_eq(t->o->req_ready, 1);
    cr_assert_eq(word3(t, 1, 2), resolution << 5 | 1, "id %u", id);
    return clocks;
}

BOTH(loader)
{
    static const struct {
        uint64_t word[2];
        uint8_t resolution;
    } c[] = {
        { { 0x5000 | 1, 1 }, DMT_RESOLUTION_OK },
        { { 0xfff0000000005ffe, 1 }, DMT_RESOLUTION_ABSENT },
        { { 0xfff0000000005fff, 0xfff0000000000001 }, DMT_RESOLUTION_OK },
        { { 0x5001, 0 }, DMT_RESOLUTION_WIDTH },
        { { 0xfffffff001, 1 }, DMT_RESOLUTION_OK },
        { { 0xfffffff001, 2 }, DMT_RESOLUTION_WIDTH },
        { { 0x10000000001, 1 }, DMT_RESOLUTION_WIDTH },
        { { 0x1, 1 << 28 }, DMT_RESOLUTION_OK },
        { { 0x1, (1 << 28) + 1 }, DMT_RESOLUTION_WIDTH },
        { { 0x5001, 0xfffffffffffff }, DMT_RESOLUTION_WIDTH },
    };
    enum { N = sizeof c / sizeof *c };

    EACH_LATENCY(L) {
        struct bench *t = new_bench(&cfg, L);
        uint64_t table = (uint64_t)t->frames++ << 12;

        set(t, HOST(MAXPA), 40);
        set(t, HOST(GTEA_TABLE1), table);
        set(t, HOST(GTEA_ENTRIES1), N);
        set(t, HOST(CNT_CLEAR), 0);
        for (unsigned i = 0; i < N; i++) {
            memcpy(&t->word[table / 8 + 2 * i], c[i].word, 16);
            cr_assert_eq(resolve(t, i, c[i].resolution), csr_clocks(&cfg) + entry_clocks(t), "case %u", i);
        }
        cr_assert_eq(t->beats_r, 2 * N);
        cr_assert_eq(resolve(t, N, DMT_RESOLUTION_BAD_ID), csr_clocks(&cfg) + pass_clocks(&cfg));
        cr_assert_eq(t->beats_r, 2 * N, "nothing is read");
        t->bad_resp = DMT_RESP_SLVERR;
        for (unsigned w = 0; w < 2; w++) {
            t->bad_addr = table + 8 * w;
            cr_assert_eq(resolve(t, 0, DMT_RESOLUTION_BUS), csr_clocks(&cfg) + entry_clocks(t),
                         "both are awaited");
        }
        cr_assert_eq(t->beats_r, 2 * N + 4);
        cr_assert_eq(get(t, HOST(CNT_READ)), 0);
        cr_assert_eq(get(t, HOST(CNT_BUS)), 0);
        cr_assert_eq(get(t, HOST(EVENT)), 0);
        free_bench(t);
    }
}

/* With PIPE = 1, RREADY is low in the clocks in which a beat of the loader waits: n beats, whose first
 * address is emitted in x. */
static void mark_waits(bool waits[], const struct dmt_config *cfg, unsigned L, unsigned x, unsigned n)
{
    for (unsigned i = 1; cfg->pipe && i <= n; i++)
        waits[x + loader_beat(cfg, L, i) - 1] = waits[x + loader_beat(cfg, L, i) - 2] = true;
}

/* When the write that is held while the loader is active is executed, if that ends in r and the answer before
 * is taken at once. */
static unsigned behind_loader(const struct dmt_config *cfg, unsigned r)
{
    return r + (cfg->pipe ? 3 : 2);
}

/* Clock by clock: addresses, the read port, requests, another write behind. */
BOTH(loader_on_the_pins)
{
    const unsigned L = 4, x = 1 + look_ahead(&cfg), r = x + loader_beat(&cfg, L, 2), behind = behind_loader(&cfg, r);
    bool waits[64] = { false };
    struct bench *t = new_bench(&cfg, L);
    uint64_t table = (uint64_t)t->frames++ << 12;

    set(t, HOST(GTEA_TABLE1), table);
    set(t, HOST(GTEA_ENTRIES1), 8);
    t->word[table / 8 + 6] = 0x5001;
    t->word[table / 8 + 7] = 1;
    set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD1(2), 3);
    set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD2(2), 1);
    t->in.s_awvalid = t->in.s_wvalid = 1;
    t->in.s_wstrb = 0xff;
    t->in.s_awaddr = DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(2);
    t->in.s_wdata = 0x5000 | TEA_FLAGS(0) | 1 << 3;
    ticks(t, csr_clocks(&cfg) - 1);
    mark_waits(waits, &cfg, L, x, 2);
    /* The write is executed in clock 0, and the next one is on the port. */
    t->in.s_awaddr = HOST(EVENT_MASK);
    t->in.s_wdata = 5;
    for (unsigned c = 0; c < r + 12; c++) {
        bool next = c > behind && (c - behind - 1) % csr_clocks(&cfg) == 0; /* one write behind the other */

        cr_assert_eq(t->o->s_awready, c == 1 || next, "clock %u", c);
        cr_assert_eq(t->o->m_arvalid, c == x || c == x + 1);
        cr_assert_eq(t->o->m_araddr, c == x ? table + 48 : c == x + 1 ? table + 56 : 0);
        cr_assert(t->o->m_arid == 0 && t->o->m_arlock == 0);
        cr_assert_eq(t->o->m_rready, !waits[c], "clock %u", c);
        cr_assert_eq(t->o->s_bvalid, c == r + 1 || next, "clock %u", c);
        cr_assert_eq(t->o->req_ready, c >= r + 3, "clock %u", c);
        cr_assert_eq(t->o->wt_ref_valid, 0);
        t->in.s_bready = t->o->s_bvalid;
        tick(t);
    }
    free_bench(t);
}

BOTH(gtea_commands)
{
    const unsigned L = 3, base = DMT_LEVEL_BASE(1);
    struct bench *t = new_bench(&cfg, L);
    uint64_t table = (uint64_t)t->frames++ << 12;
    unsigned clocks;

    for (unsigned id = 0; id < 8; id++) {
        t->word[table / 8 + 2 * id] = 0x5001;
        t->word[table / 8 + 2 * id + 1] = 1;
    }
    set(t, HOST(GTEA_TABLE1), table);
    set(t, HOST(GTEA_ENTRIES1), 8);
    /* Registers 0 to 6: IDs 0, 1, 1, 9 (beyond the table), 1 with P=0, KIND PA, 2. */
    for (unsigned i = 0; i < 7; i++) {
        static const uint8_t id[] = { 0, 1, 1, 9, 1, 0, 2 };

        set(t, base + DMT_LEVEL_TEA_WORD1(i), id[i]);
        set(t, base + DMT_LEVEL_TEA_WORD2(i), 1);
        set(t, base + DMT_LEVEL_TEA_WORD0(i), (TEA_FLAGS(0) | (i == 5 ? 0 : 1 << 3)) & ~(i == 4 ? 1ull : 0));
    }
#define EXPECT(...) \
    for (unsigned i_ = 0; i_ < 7; i_++) { \
        static const uint8_t e_[] = { __VA_ARGS__ }; \
        cr_assert_eq(word3(t, 1, i_), (uint64_t)e_[i_] << 5 | (i_ != 4), "register %u", i_); \
    }
    EXPECT(1, 1, 1, 2, 0, 0, 1)
    set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_REVOKE << 62 | 1 << 12 | 1);
    EXPECT(1, 6, 6, 2, 0, 0, 1)
    t->word[table / 8 + 2] = 0;
    csr_write(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_RESOLVE << 62 | 1 << 12 | 1, 0xff, &clocks);
    cr_assert_eq(clocks, csr_clocks(&cfg) + 14 * pass_clocks(&cfg) + 2 * entry_clocks(t), "two of 16 registers are read for");
    tick(t);
    EXPECT(1, 3, 3, 2, 0, 0, 1)
    csr_write(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_REVOKE_ALL << 62 | 1 << 12 | 1, 0xff, &clocks);
    cr_assert_eq(clocks, csr_clocks(&cfg));
    tick(t);
    EXPECT(6, 6, 6, 6, 0, 0, 6)
    t->word[table / 8 + 2] = 0x5001;
    csr_write(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_RESOLVE_ALL << 62 | 1 << 12 | 5, 0xff, &clocks);
    cr_assert_eq(clocks, csr_clocks(&cfg) + 12 * pass_clocks(&cfg) + 4 * entry_clocks(t));
    tick(t);
    EXPECT(1, 1, 1, 2, 0, 0, 1)
    /* A refused write of the table or its length revokes nothing; one that is accepted revokes all. */
    set(t, HOST(GTEA_TABLE1), 1ull << 52);
    set(t, HOST(GTEA_ENTRIES1), 4097);
    set(t, HOST(GTEA_TABLE2), table);
    set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_REVOKE_ALL << 62 | 2 << 12);
    EXPECT(1, 1, 1, 2, 0, 0, 1)
    set(t, HOST(GTEA_TABLE1), table);
    EXPECT(6, 6, 6, 6, 0, 0, 6)
    set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_RESOLVE_ALL << 62 | 1 << 12);
    set(t, HOST(GTEA_ENTRIES1), 1);
    EXPECT(6, 6, 6, 6, 0, 0, 6)
    set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_RESOLVE_ALL << 62 | 1 << 12);
    EXPECT(1, 2, 2, 2, 0, 0, 2)
    /* Words 1 and 2 leave what became of the ID; word 0 and MAXPA do not. */
    set(t, base + DMT_LEVEL_TEA_WORD1(0), 0);
    cr_assert_eq(word3(t, 1, 0), DMT_RESOLUTION_OK << 5);
    set(t, base + DMT_LEVEL_TEA_WORD0(0), 0);
    cr_assert_eq(word3(t, 1, 0), 0);
    set(t, HOST(MAXPA), 52);
    for (unsigned i = 0; i < 7; i++)
        cr_assert_eq(word3(t, 1, i), 0);
#undef EXPECT
    free_bench(t);
}

/* ------------------------------------------------------------ set load */

#define LEVEL(k, r) (DMT_LEVEL_BASE(k) + DMT_LEVEL_##r)
#define TEA_WORD(k, i, w) (DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD0(i) + 8 * (w))

/* Order in which the words of an image come. */
static const uint8_t load_order[] = { 1, 2, 0 };

enum { GOOD_ID = 3, ABSENT_ID = 4, GTEAS = 5 };

/* All registers of the instance, words 0 to 3. */
struct registers {
    uint64_t word[DMT_SETS_MAX][DMT_TEA_MAX][4];
};

static void read_registers(struct bench *t, struct registers *r)
{
    memset(r, 0, sizeof *r);
    for (unsigned k = 0; k < t->cfg.sets; k++)
        for (unsigned i = 0; i < t->cfg.tea_n; i++)
            for (unsigned w = 0; w < 4; w++)
                r->word[k][i][w] = get(t, TEA_WORD(k, i, w));
}

/* Words 0 to 2 of a register of KIND PA that differs from every other one. */
static void plain_words(unsigned k, unsigned i, unsigned version, uint64_t word[3])
{
    word[0] = (uint64_t)(version << 16 | k << 12 | i << 4) << 12 | TEA_FLAGS(i % 3);
    word[1] = (uint64_t)(version << 8 | k << 6 | i) << 12;
    word[2] = 1 + i;
}

/* A bench in which every register is valid, each level has two images of plain
 * registers in one frame, and sets 1 and 2 have gTEAs. */
static struct bench *load_bench(const struct dmt_config *cfg, unsigned L, uint64_t image[DMT_SETS_MAX])
{
    struct bench *t = new_bench(cfg, L);
    uint64_t table = (uint64_t)t->frames++ << 12, word[3];

    t->word[table / 8 + 2 * GOOD_ID] = 0x5001;
    t->word[table / 8 + 2 * GOOD_ID + 1] = 1;
    for (unsigned k = 0; k < cfg->sets; k++) {
        image[k] = (uint64_t)t->frames++ << 12;
        set(t, HOST(IMAGE_BASE0) + 16 * k, image[k]);
        set(t, HOST(IMAGE_COUNT0) + 16 * k, 2);
        for (unsigned i = 0; i < 2 * 64; i++) {
            uint64_t *w = &t->word[image[k] / 8 + 4 * i];

            plain_words(k, i % 64, 1 + i / 64, w);
            w[3] = rnd(t);
        }
        for (unsigned i = 0; i < cfg->tea_n; i++) {
            plain_words(k, i, 9, word);
            for (unsigned n = 0; n < 3; n++)
                set(t, TEA_WORD(k, i, load_order[n]), word[load_order[n]]);
            cr_assert_eq(get(t, TEA_WORD(k, i, 3)), DMT_TEA_WORD3_VALID_MASK);
        }
    }
    set(t, HOST(GTEA_TABLE1), table);
    set(t, HOST(GTEA_ENTRIES1), GTEAS);
    if (cfg->sets > 2) {
        set(t, HOST(GTEA_TABLE2), table);
        set(t, HOST(GTEA_ENTRIES2), GTEAS);
    }
    set(t, HOST(CNT_CLEAR), 0);
    return t;
}

/* Clocks of LEVEL[k].LOAD, to the end of settle behind it. */
static unsigned load(struct bench *t, unsigned k, uint64_t index)
{
    unsigned clocks;

    cr_assert_eq(csr_write(t, LEVEL(k, LOAD), index, 0xff, &clocks), DMT_RESP_OKAY);
    cr_assert_eq(t->o->req_ready, 0, "settle");
    tick(t);
    cr_assert_eq(t->o->req_ready, 1);
    cr_assert_eq(get(t, LEVEL(k, LOAD)), 0);
    return clocks;
}

/* Make the image at `at` one with a register of every fate; set 0 refuses those of KIND GTEA. */
static void mix(struct bench *t, uint64_t at)
{
    static const struct {
        uint8_t reg, word;
        uint64_t flip;
    } c[] = {
        { 1, 0, 1 },                               /* P=0 */
        { 2, 0, 1 << DMT_TEA_WORD0_KIND_LSB },     /* a good gTEA */
        { 3, 0, 1 << 8 },                          /* reserved bit */
        { 4, 0, 1 << DMT_TEA_WORD0_KIND_LSB },     /* an ID beyond the table */
        { 5, 0, 3 << DMT_TEA_WORD0_KIND_LSB },     /* impossible KIND */
        { 6, 0, 1 << DMT_TEA_WORD0_KIND_LSB },     /* an absent gTEA */
        { 7, 2, 8 },                               /* empty */
        { 8, 0, 1 | 1 << DMT_TEA_WORD0_KIND_LSB }, /* a gTEA with P=0 */
        { 15, 0, 1 << DMT_TEA_WORD0_KIND_LSB },    /* a good gTEA, last */
    };
    static const uint8_t id[16] = {
        [2] = GOOD_ID, [4] = GTEAS, [6] = ABSENT_ID, [8] = GOOD_ID, [15] = GOOD_ID,
    };

    for (unsigned i = 0; i < sizeof c / sizeof *c; i++)
        t->word[at / 8 + 4 * c[i].reg + c[i].word] ^= c[i].flip;
    for (unsigned i = 0; i < 16; i++)
        if (id[i])
            t->word[at / 8 + 4 * i + 1] = id[i];
}

/* Every kind of register: the same as by CSR writes, in exact time; nothing else changes. */
BOTH(load, .timeout = 60)
{
    static const uint8_t fate[16] = { [2] = DMT_RESOLUTION_OK,     [4] = DMT_RESOLUTION_BAD_ID,
                                      [6] = DMT_RESOLUTION_ABSENT, [15] = DMT_RESOLUTION_OK };
    static const unsigned Ls[] = { 1, 5 };

    for (unsigned n = 0; n < 2 * 3 * 2; n++) {
        const unsigned L = Ls[n % 2], k = n / 2 % 3, pressure = n / 6 * 60;
        struct registers before, after, written;
        uint64_t image[3];
        struct bench *t = load_bench(&cfg, L, image);
        unsigned clocks, gteas = k ? 3 : 0, images = csr_clocks(&cfg) + 16 * image_clocks(t);

        mix(t, image[k] + 2048);
        set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_RESOLVE << 62 | 1 << 12 | ABSENT_ID); /* not LOAD's ID */
        read_registers(t, &before);
        cr_assert_eq(get(t, LEVEL(k, EVENT)), 0);
        t->pressure = pressure;
        clocks = load(t, k, 1);
        t->pressure = 0;
        if (!pressure)
            cr_assert_eq(clocks, images + (k ? gteas * entry_clocks(t) + pass_clocks(&cfg) : 0), "set %u", k);
        cr_assert_eq(t->beats_r, 16 * 3 + gteas * 2);
        cr_assert_eq(get(t, LEVEL(k, EVENT)), DMT_LEVEL_EVENT_REFUSED_MASK);
        cr_assert_eq(get(t, HOST(EVENT)), 0);
        cr_assert_eq(get(t, HOST(CNT_READ)), 0);
        read_registers(t, &after);
        for (unsigned i = 0; k && i < 16; i++)
            cr_assert_eq(after.word[k][i][3] >> DMT_TEA_WORD3_RESOLUTION_LSB, fate[i], "register %u", i);
        for (unsigned i = 0; i < 16; i++) {
            const uint64_t *w = &t->word[(image[k] + 2048) / 8 + 4 * i];

            for (unsigned o = 0; o < 3; o++)
                set(t, TEA_WORD(k, i, load_order[o]), w[load_order[o]]);
        }
        read_registers(t, &written);
        cr_assert_arr_eq(&after, &written, sizeof after);
        for (unsigned j = 0; j < 3; j++)
            cr_assert_eq(memcmp(after.word[j], before.word[j], sizeof after.word[j]) == 0, j != k, "set %u",
                         j);

        /* The other image, plain: not a trace of the one before. */
        set(t, LEVEL(k, EVENT), 7);
        cr_assert_eq(load(t, k, 0), images);
        cr_assert_eq(get(t, LEVEL(k, EVENT)), 0);
        read_registers(t, &after);
        for (unsigned i = 0; i < 16; i++) {
            cr_assert_arr_eq(after.word[k][i], &t->word[image[k] / 8 + 4 * i], 3 * 8);
            cr_assert_eq(after.word[k][i][3], DMT_TEA_WORD3_VALID_MASK);
        }
        /* The next command of the loader is not a LOAD. */
        csr_write(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_RESOLVE_ALL << 62 | 1 << 12, 0xff, &clocks);
        cr_assert_eq(clocks, csr_clocks(&cfg) + 16 * pass_clocks(&cfg));
        free_bench(t);
    }
}

/* Clock by clock with a gTEA first and last and a refused word between: what
 * is emitted when, the event pin, requests and another write behind. */
BOTH(load_on_the_pins)
{
    enum { CLOCKS = 128 };
    static const unsigned Ls[] = { 1, 5 };

    cfg.tea_n = 4;
    for (unsigned n = 0; n < 2; n++) {
        const unsigned L = Ls[n], k = 2;
        uint64_t image[3], emitted[CLOCKS] = { 0 }, table;
        struct bench *t = load_bench(&cfg, L, image);
        bool waits[CLOCKS] = { false };
        unsigned x = 1, y = 0, refused = 0, behind;

        table = get(t, HOST(GTEA_TABLE2));
        for (unsigned i = 0; i < 4; i++) {
            uint64_t at = image[k] + 32 * i;

            for (unsigned o = 0; o < 3; o++)
                emitted[x + o] = at + 8 * load_order[o];
            mark_waits(waits, &cfg, L, x, 3);
            y = x + loader_beat(&cfg, L, 3);
            if (i == 1) {
                t->word[at / 8] |= 1 << 8;
                refused = y;
            }
            if (i == 0 || i == 3) {
                t->word[at / 8] |= 1 << DMT_TEA_WORD0_KIND_LSB;
                t->word[at / 8 + 1] = GOOD_ID;
                y += look_ahead(&cfg);
                emitted[y + 1] = table + 16 * GOOD_ID;
                emitted[y + 2] = emitted[y + 1] + 8;
                mark_waits(waits, &cfg, L, y + 1, 2);
                y += 1 + loader_beat(&cfg, L, 2);
            }
            x = y + 1;
        }
        behind = behind_loader(&cfg, y);
        set(t, LEVEL(k, EVENT_MASK), DMT_LEVEL_EVENT_REFUSED_MASK);
        t->in.s_awvalid = t->in.s_wvalid = 1;
        t->in.s_wstrb = 0xff;
        t->in.s_awaddr = LEVEL(k, LOAD);
        t->in.s_wdata = 0;
        ticks(t, csr_clocks(&cfg) - 1);
        /* Executed in clock 0; a write that does not drain is on the port behind it. */
        t->in.s_awaddr = LEVEL(k, EVENT_MASK);
        for (unsigned c = 0; c < y + 12; c++) {
            bool next = c > behind && (c - behind - 1) % csr_clocks(&cfg) == 0;

            cr_assert_eq(t->o->m_araddr, emitted[c], "clock %u: %#lx", c, t->o->m_araddr);
            cr_assert_eq(t->o->m_arvalid, emitted[c] != 0);
            cr_assert(t->o->m_arid == 0 && t->o->m_arlock == 0);
            cr_assert_eq(t->o->m_rready, !waits[c], "clock %u", c);
            cr_assert_eq(t->o->wt_ref_valid, 0);
            cr_assert_eq(t->o->s_awready, c == 1 || next, "clock %u", c);
            cr_assert_eq(t->o->s_bvalid, c == y + 1 || next, "clock %u", c);
            cr_assert_eq(t->o->req_ready, c >= y + 3, "clock %u", c);
            /* The write behind masks the event. */
            cr_assert_eq(t->o->event, c > refused && c <= behind, "clock %u", c);
            t->in.s_bready = t->o->s_bvalid;
            tick(t);
        }
        free_bench(t);
    }
}

/* Reads of a register while its set is loaded see the words as they come. */
BOTH(load_read_meanwhile)
{
    const unsigned L = 5, k = 1, reg = 1;
    const uint64_t p = DMT_TEA_WORD0_P_MASK;

    for (unsigned n = 0; n < 2 * 4; n++) {
        const unsigned w = n / 2;
        uint64_t image[3], old[3], new[3], seen[3];
        struct bench *t = load_bench(&cfg, L, image);
        /* Clock in which the word's beat is used; the first register's three go before. */
        unsigned comes = 1 + image_clocks(t) + loader_beat(&cfg, L, w == 1 ? 1 : w == 2 ? 2 : 3), changes = 0;

        plain_words(k, reg, 9, old);
        plain_words(k, reg, 1, new);
        t->in.s_awvalid = t->in.s_wvalid = 1;
        t->in.s_wstrb = 0xff;
        t->in.s_awaddr = LEVEL(k, LOAD);
        t->in.s_wdata = 0;
        tick(t);
        t->in.s_awvalid = t->in.s_wvalid = 0;
        ticks(t, csr_clocks(&cfg) - 2); /* it is executed in clock 0 */
        if (w < 3) {
            seen[0] = old[w];
            seen[1] = w ? old[w] : old[w] & ~p;
            seen[2] = new[w];
        } else {
            seen[0] = seen[2] = DMT_TEA_WORD3_VALID_MASK;
            seen[1] = 0;
        }
        t->in.s_araddr = TEA_WORD(k, reg, w);
        t->in.s_rready = 1;
        for (unsigned c = 0; c < comes + 6; c++) {
            bool reads = c % 2 == n % 2;

            t->in.s_arvalid = reads;
            tick(t);
            if (!reads)
                continue;
            cr_assert_eq(t->o->s_rvalid, 1);
            cr_assert_eq(t->o->s_rdata, seen[c == 0 ? 0 : c <= comes ? 1 : 2], "word %u, clock %u", w, c);
            changes += c > comes;
        }
        cr_assert_geq(changes, 2);
        free_bench(t);
    }
}

/* A bus error ends the load at its register: what came before the error is written, nothing after. */
BOTH(load_bus_error, .timeout = 60)
{
    static const uint8_t regs[] = { 0, 7, 15 };

    for (unsigned n = 0; n < 3 * 3 * 2; n++) {
        const unsigned L = n % 2 ? 5 : 1, k = n % 3, bad = n / 2 % 3, reg = regs[n / 6];
        struct registers before, after;
        uint64_t image[3];
        struct bench *t = load_bench(&cfg, L, image);

        read_registers(t, &before);
        /* A word 0 that would be refused, if it were written. */
        t->word[image[k] / 8 + 4 * reg] |= 1 << 8;
        t->bad_addr = image[k] + 32 * reg + 8 * load_order[bad];
        t->bad_resp = n % 2 ? DMT_RESP_DECERR : DMT_RESP_SLVERR;
        set(t, LEVEL(k, EVENT_MASK), DMT_LEVEL_EVENT_REFUSED_MASK | DMT_LEVEL_EVENT_MULTI_HIT_MASK);
        cr_assert_eq(load(t, k, 0), csr_clocks(&cfg) + (reg + 1) * image_clocks(t), "all three are awaited");
        cr_assert_eq(t->beats_r, 3 * (reg + 1));
        cr_assert_eq(get(t, LEVEL(k, EVENT)), DMT_LEVEL_EVENT_LOAD_FAILED_MASK);
        cr_assert_eq(get(t, LEVEL((k + 1) % 3, EVENT)), 0);
        cr_assert_eq(get(t, HOST(EVENT)), 0);
        cr_assert_eq(get(t, HOST(CNT_BUS)), 0);
        cr_assert_eq(get(t, HOST(BUS_ADDR)), 0);
        cr_assert_eq(t->o->event, 0);
        set(t, LEVEL(k, EVENT_MASK), DMT_LEVEL_EVENT_LOAD_FAILED_MASK);
        cr_assert_eq(t->o->event, 1);
        set(t, LEVEL(k, EVENT), (uint64_t)~DMT_LEVEL_EVENT_LOAD_FAILED_MASK);
        cr_assert_eq(t->o->event, 1);

        read_registers(t, &after);
        for (unsigned i = 0; i < 16; i++) {
            uint64_t *b = before.word[k][i], new[3];

            plain_words(k, i, 1, new);
            if (i < reg) {
                memcpy(b, new, sizeof new);
                continue;
            }
            b[0] &= ~DMT_TEA_WORD0_P_MASK;
            b[3] = 0;
            for (unsigned o = 0; i == reg && o < bad; o++)
                b[load_order[o]] = new[load_order[o]];
        }
        cr_assert_arr_eq(&after, &before, sizeof after, "word %u of register %u", load_order[bad], reg);

        /* The event stays when the next load does not fail; it comes with the third beat. */
        t->bad_resp = 0;
        t->word[image[k] / 8 + 4 * reg] &= ~(1ull << 8);
        cr_assert_eq(load(t, k, 0), csr_clocks(&cfg) + 16 * image_clocks(t));
        cr_assert_eq(get(t, LEVEL(k, EVENT)), DMT_LEVEL_EVENT_LOAD_FAILED_MASK);
        set(t, LEVEL(k, EVENT), DMT_LEVEL_EVENT_LOAD_FAILED_MASK);
        cr_assert_eq(t->o->event, 0);
        t->bad_resp = DMT_RESP_SLVERR;
        t->in.s_awvalid = t->in.s_wvalid = 1;
        t->in.s_awaddr = LEVEL(k, LOAD);
        t->in.s_wdata = 0;
        tick(t);
        t->in.s_awvalid = t->in.s_wvalid = 0;
        for (unsigned c = 0; !t->o->s_bvalid; c++) {
            cr_assert_eq(t->o->event, 0, "clock %u", c);
            tick(t);
        }
        cr_assert_eq(t->o->event, 1);
        free_bench(t);
    }
}

/* An error at the gTEA table is the register's own matter. */
BOTH(load_gtea_bus_error)
{
    const unsigned L = 5;

    for (unsigned w = 0; w < 2; w++) {
        uint64_t image[3];
        struct bench *t = load_bench(&cfg, L, image);

        mix(t, image[1]);
        t->bad_addr = get(t, HOST(GTEA_TABLE1)) + 16 * GOOD_ID + 8 * w;
        t->bad_resp = DMT_RESP_SLVERR;
        cr_assert_eq(load(t, 1, 0), csr_clocks(&cfg) + 16 * image_clocks(t) + 3 * entry_clocks(t) + pass_clocks(&cfg));
        cr_assert_eq(get(t, LEVEL(1, EVENT)), DMT_LEVEL_EVENT_REFUSED_MASK);
        for (unsigned i = 0; i < 16; i++)
            cr_assert_eq(word3(t, 1, i) >> DMT_TEA_WORD3_RESOLUTION_LSB,
                         i == 2 || i == 15 ? DMT_RESOLUTION_BUS
                         : i == 4          ? DMT_RESOLUTION_BAD_ID
                         : i == 6          ? DMT_RESOLUTION_ABSENT
                                           : DMT_RESOLUTION_NOT_TRIED);
        free_bench(t);
    }
}

/* A failed load leaves nothing to match, even when not one word came. */
BOTH(load_failed_at_once)
{
    uint64_t va = 0x400000, image;
    struct bench *t = new_bench(&cfg, 5);
    unsigned f = add_tea(t, 3, va, 512, DMT_SIZE_4K);

    image = (uint64_t)t->frames++ << 12;
    t->word[f * 512] = 0x77000 | E_LEAF;
    map(t, va, 4, 1, 0x88000 | E_LEAF);
    set(t, HOST(IMAGE_BASE0), image);
    set(t, HOST(IMAGE_COUNT0), 1);
    hit(t, va, 0x77000, DMT_PATH_TEA);
    t->bad_addr = image + 8;
    t->bad_resp = DMT_RESP_SLVERR;
    cr_assert_eq(load(t, 0, 0), csr_clocks(&cfg) + image_clocks(t));
    hit(t, va, 0x88000, DMT_PATH_RADIX);
    free_bench(t);
}

/* Images that were not granted: nothing is read, nothing changes. */
Test(cycle, load_refused)
{
    static const uint64_t index[] = { 2, 3, 4095 };
    uint64_t image[3];
    struct bench *t = load_bench(&standard, 1, image);
    struct registers before, after;

    read_registers(t, &before);
    for (unsigned k = 0; k < 3; k++) {
        set(t, HOST(IMAGE_COUNT0) + 16 * ((k + 1) % 3), 4096); /* another level's grant does not help */
        set(t, HOST(IMAGE_COUNT0) + 16 * k, 2);
        for (unsigned i = 0; i < sizeof index / sizeof *index + 1; i++) {
            bool none = i == sizeof index / sizeof *index;

            if (none)
                set(t, HOST(IMAGE_COUNT0) + 16 * k, 0);
            cr_assert_eq(load(t, k, none ? 0 : index[i]), 2);
            cr_assert_eq(get(t, LEVEL(k, EVENT)), DMT_LEVEL_EVENT_REFUSED_MASK, "case %u", i);
            set(t, LEVEL(k, EVENT), DMT_LEVEL_EVENT_REFUSED_MASK);
        }
        set(t, HOST(IMAGE_COUNT0) + 16 * k, 4096);
        for (uint64_t bit = 12; bit < 64; bit++) {
            cr_assert_eq(load(t, k, 1 | 1ull << bit), 2);
            cr_assert_eq(get(t, LEVEL(k, EVENT)), DMT_LEVEL_EVENT_REFUSED_MASK, "bit %lu", bit);
            set(t, LEVEL(k, EVENT), DMT_LEVEL_EVENT_REFUSED_MASK);
        }
    }
    cr_assert_eq(get(t, HOST(EVENT)), 0);
    cr_assert_eq(t->beats_r, 0);
    read_registers(t, &after);
    cr_assert_arr_eq(&after, &before, sizeof after);
    free_bench(t);
}

/* The largest index, and an area that runs past the end of the address space. */
BOTH(load_last_image)
{
    uint64_t image[3], word[3];
    struct bench *t;

    cfg.pa_w = 40;
    t = load_bench(&cfg, 1, image);
    t->small = true;
    set(t, HOST(IMAGE_COUNT1), 4096);
    t->in.s_awvalid = t->in.s_wvalid = 1;
    t->in.s_awaddr = LEVEL(1, LOAD);
    t->in.s_wdata = 4095;
    ticks(t, csr_clocks(&cfg));
    t->in.s_awvalid = t->in.s_wvalid = 0;
    cr_assert_eq(t->o->m_araddr, image[1] + 2048 * 4095 + 8);
    while (!t->o->s_bvalid)
        tick(t);
    t->in.s_bready = 1;
    tick(t);
    t->in.s_bready = 0;
    tick(t);
    cr_assert_eq(get(t, LEVEL(1, EVENT)), DMT_LEVEL_EVENT_LOAD_FAILED_MASK);

    for (unsigned i = 0; i < 16; i++)
        plain_words(1, i, 5, &t->word[4 * i]);
    set(t, HOST(IMAGE_BASE1), (1ull << 40) - 4096);
    load(t, 1, 2);
    for (unsigned i = 0; i < 16; i++) {
        plain_words(1, i, 5, word);
        for (unsigned w = 0; w < 3; w++)
            cr_assert_eq(get(t, TEA_WORD(1, i, w)), word[w]);
    }
    free_bench(t);
}

/* The walker uses what was loaded, and only that, once the walks before are done. */
BOTH(load_and_translate)
{
    const unsigned L = 4;
    const uint64_t va = 0x40000000;
    struct bench *t = new_bench(&cfg, L);
    uint64_t image = (uint64_t)t->frames++ << 12, word[3], old;
    struct dmt_request q = user_read(va);
    struct machine m;

    plain_machine(t, &m, DMT_MODE_VIRT, false, va);
    cover(t, &m, 1, 9, DMT_KIND_GTEA, va, 1, entry_in(t, &m.v, va, 1), 0);
    cover_memory(t, &m, 0, 5, DMT_KIND_PA);
    old = hit(t, va, 7 << 12, DMT_PATH_TEA << 2 | DMT_PATH_TEA);
    for (unsigned k = 0; k < 2; k++) {
        unsigned i = k ? 9 : 5;

        /* As they are, in other registers of the images. */
        dmt_tea_pack(&m.s.tea[k][i], word);
        memcpy(&t->word[(image + 2048 * k) / 8 + 4 * (k ? 15 : 0)], word, sizeof word);
        set(t, HOST(IMAGE_BASE0) + 16 * k, image);
        set(t, HOST(IMAGE_COUNT0) + 16 * k, 2);
        load(t, k, k);
        cr_assert_eq(word3(t, k, i), 0, "not in the image");
        cr_assert_eq(hit(t, va, 7 << 12, DMT_PATH_TEA << 2 | DMT_PATH_TEA), old);
    }
    load(t, 1, 0); /* the other level's image: a register that does not cover va */
    cr_assert_gt(hit(t, va, 7 << 12, DMT_PATH_RADIX << 2 | DMT_PATH_TEA), old);

    /* LOAD behind a request waits for its answer to be taken, and requests wait for it. */
    t->in.resp_ready = 0;
    drive_request(t, &q, 1);
    t->in.s_awvalid = t->in.s_wvalid = 1;
    t->in.s_awaddr = LEVEL(1, LOAD);
    t->in.s_wdata = 1;
    tick(t);
    t->in.s_awvalid = t->in.s_wvalid = t->in.req_valid = 0;
    ticks(t, 60);
    cr_assert_eq(t->o->resp_valid, 1);
    cr_assert_eq(t->o->s_bvalid | t->o->req_ready, 0);
    cr_assert_eq(word3(t, 1, 15) & 1, 0, "not begun");
    t->in.resp_ready = 1;
    while (!t->o->s_bvalid) {
        tick(t);
        cr_assert_eq(t->o->req_ready, 0);
    }
    t->in.s_bready = 1;
    tick(t);
    t->in.s_bready = 0;
    tick(t);
    cr_assert_eq(hit(t, va, 7 << 12, DMT_PATH_TEA << 2 | DMT_PATH_TEA), old);
    free_bench(t);
}

/* ------------------------------------------------------------ caches of second stages */

/* Level of the first read of each stage of a walk, 0 when there was none. */
static void first_levels(struct bench *t, uint64_t va, unsigned level[3])
{
    struct dmt_request q = user_read(va);

    memset(level, 0, 3 * sizeof *level);
    drive_request(t, &q, 0);
    do {
        tick(t);
        t->in.req_valid = 0;
        if (t->o->wt_ref_valid && !level[t->o->wt_ref_stage])
            level[t->o->wt_ref_stage] = (unsigned)t->o->wt_ref_level;
    } while (!t->o->wt_end_valid);
    cr_assert_eq(t->o->wt_end_status, DMT_STATUS_OK, "status %lu of %#lx", t->o->wt_end_status, va);
    tick(t);
}

/* A machine whose caches can be looked into stage by stage: requests in the
 * first page pass the stages above 0 by registers, those in the second the
 * entering stage, those of the third walk everywhere. */
enum { PAGE_S0 = 0x40000000, PAGE_S1 = 0x40001000, PAGE_V = 0x40002000 };

static void cache_machine(struct bench *t, struct machine *m, unsigned mode, bool full)
{
    unsigned e = mode - DMT_MODE_NATIVE;

    plain_machine(t, m, mode, full, PAGE_V);
    *entry_in(t, &m->v, PAGE_S0, 1) = (space[e] + 8) << 12 | E_LEAF;
    *entry_in(t, &m->v, PAGE_S1, 1) = (space[e] + 9) << 12 | E_LEAF;
    cover(t, m, e, 0, DMT_KIND_GTEA, PAGE_S0, 2, entry_in(t, &m->v, PAGE_V, 1), 0);
    if (e == 2) {
        /* Only page 8 of level 2, whose entry is the table's ninth. */
        cover(t, m, 1, 0, DMT_KIND_GTEA, space[2] << 12, 9, entry_in(t, &m->s1, space[2] << 12, 1), 0);
        set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(0), 0);
        m->s.tea[1][0].base_vpn = space[2] + 8;
        m->s.tea[1][0].pages = 1;
        t->word[t->frames * 512] = (space[1] + 8) << 12 | leaf_flags(true, 1);
        t->word[m->s.gtea[1].table / 8 + 2 * 10] = (uint64_t)t->frames++ << 12 | 1;
        load_tea(t, m, 1, 0);
    }
}

/* Which kinds are cached: bit k for P(k), bit 2 for the virtual kind. Fills what is not. */
static unsigned cached(struct bench *t, unsigned mode)
{
    unsigned e = mode - DMT_MODE_NATIVE, level[3], found = 0;

    first_levels(t, PAGE_S0, level);
    found |= level[0] == 1;
    if (e == 2) {
        first_levels(t, PAGE_S1, level);
        found |= (level[1] == 1) << 1;
    }
    first_levels(t, PAGE_V, level);
    found |= (level[e] == 1) << 2;
    return found;
}

static void write_tags(struct bench *t, const struct machine *m, unsigned tag0, unsigned tag1)
{
    set(t, DMT_LEVEL_S2ROOT, 1ull << 63 | m->s.s2[0].root | tag0);
    set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_S2ROOT, 1ull << 63 | m->s.s2[1].root | tag1);
}

/* Section 10 of the specification, row by row: what a write drops while S2ROOT holds tags 0x11 and 0x22
 * (those of the entries) or others. The virtual entries have PCID 5. */
BOTH(flush_table, .timeout = 60)
{
    enum { P0 = 1, P1 = 2, V = 4, ALL = 7, SAME = 0, OTHER0 = 1, OTHER1 = 2 };
#define INV(k) (DMT_LEVEL_BASE(k) + DMT_LEVEL_INV)
#define REG(k, r) (DMT_LEVEL_BASE(k) + DMT_LEVEL_##r)
#define KIND(kind, operand) ((uint64_t)DMT_INV_##kind << 60 | (uint64_t)(operand) << 45)
    static const struct {
        unsigned addr;
        uint64_t value;   /* roots are added */
        uint8_t tags;     /* S2ROOT holds others */
        uint8_t nested, virt; /* dropped */
    } c[] = {
        { REG(2, CR3), 5, SAME, V, 0 },
        { REG(2, CR3), 6, SAME, 0, 0 },
        { REG(2, CR3), 1ull << 63 | 5, SAME, 0, 0 },
        { REG(2, CR3), 5, OTHER0, 0, 0 },
        { REG(2, CR3), 5, OTHER1, 0, 0 },
        { REG(1, CR3), 5, SAME, 0, V },
        { REG(1, CR3), 5, OTHER0, 0, 0 },
        { REG(1, CR3), 5, OTHER1, 0, V },
        { REG(0, CR3), 5, SAME, 0, 0 },
        { REG(2, CR0), 0, OTHER0, V, 0 },
        { REG(2, CR4), DMT_LEVEL_CR4_PCIDE_MASK, OTHER1, V, 0 },
        { REG(2, EFER), 1 << 11, SAME, V, 0 },
        { REG(1, CR0), 0, OTHER0, 0, V },
        { REG(1, CR4), DMT_LEVEL_CR4_PCIDE_MASK, SAME, 0, V },
        { REG(1, EFER), 1 << 11, SAME, 0, V },
        { REG(0, EFER), 0, SAME, 0, 0 },
        { INV(2), KIND(ADDRESS, 5), SAME, V, 0 },
        { INV(2), KIND(CONTEXT, 6), SAME, 0, 0 },
        { INV(2), KIND(CONTEXT, 5), OTHER1, 0, 0 },
        { INV(2), KIND(ALL, 6), SAME, V, 0 },
        { INV(2), KIND(ALL_BUT_GLOBAL, 0), SAME, V, 0 },
        { INV(2), KIND(ALL, 0), OTHER0, 0, 0 },
        { INV(1), KIND(CONTEXT, 5), SAME, 0, V },
        { INV(1), KIND(ALL, 0), SAME, 0, V },
        { INV(1), KIND(ALL, 0), OTHER0, 0, 0 },
        { INV(0), KIND(ALL, 0), SAME, 0, 0 },
        { INV(0), KIND(S2_CONTEXT, 0x11), OTHER0 | OTHER1, ALL, V | P0 },
        { INV(0), KIND(S2_CONTEXT, 0xf11), SAME, ALL, V | P0 },
        { INV(0), KIND(S2_CONTEXT, 0x22), SAME, 0, 0 },
        { INV(1), KIND(S2_CONTEXT, 0x22), OTHER1, V | P1, 0 },
        { INV(1), KIND(S2_CONTEXT, 0x22), OTHER0, 0, 0 },
        { INV(1), KIND(S2_CONTEXT, 0x11), SAME, 0, 0 },
        { INV(0), KIND(S2_ALL, 0), OTHER0 | OTHER1, ALL, V | P0 },
        { INV(1), KIND(S2_ALL, 0), OTHER1, V | P1, 0 },
        { INV(1), KIND(S2_ALL, 0), OTHER0, 0, 0 },
        { REG(0, S2ROOT), 0x11, OTHER1, ALL, V | P0 },
        { REG(0, S2ROOT), 0x33, SAME, 0, 0 },
        { REG(0, S2ROOT), 1ull << 63 | 0x11, SAME, 0, 0 },
        { REG(0, S2ROOT), 1 << 8 | 0x11, SAME, 0, 0 },
        { REG(1, S2ROOT), 0x22, SAME, V | P1, 0 },
        { REG(1, S2ROOT), 0x22, OTHER0, 0, 0 },
        { REG(1, S2ROOT), 0x33, SAME, 0, 0 },
        { REG(1, S2ROOT), 1ull << 63 | 0x22, SAME, 0, 0 },
        { REG(0, S2CTL), 0, OTHER0 | OTHER1, ALL, V | P0 },
        { REG(1, S2CTL), 0, OTHER1, V | P1, 0 },
        { REG(1, S2CTL), 0, OTHER0, 0, 0 },
        { HOST(SHADOW_CTL), 0, OTHER0 | OTHER1, ALL, V | P0 },
        { HOST(SHADOW_ROOT), 0, OTHER0 | OTHER1, ALL, V | P0 },
        { HOST(SHADOW_ROOT), 1ull << 63, SAME, 0, 0 },
        { HOST(CTL), 0, OTHER0 | OTHER1, ALL, V | P0 },
        { HOST(GTEA_CMD), 2ull << 62, SAME, 0, 0 },
        { HOST(GTEA_CMD), 1ull << 62 | 1 << 12, SAME, 0, 0 },
        { REG(1, TEA_WORD0(7)), 0, SAME, 0, 0 },
        { REG(2, PKRU), 0, SAME, 0, 0 },
    };

    for (unsigned mode = DMT_MODE_VIRT; mode <= DMT_MODE_NESTED; mode++)
        for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
            struct bench *t = new_bench(&cfg, 2);
            unsigned e = mode - DMT_MODE_NATIVE, kinds = e == 2 ? ALL : V | P0, addr = c[i].addr, dropped;
            uint64_t value = c[i].value;
            struct machine m;

            cache_machine(t, &m, mode, true);
            set(t, REG(e, CR4), DMT_LEVEL_CR4_PCIDE_MASK);
            set(t, REG(e, CR3), m.v.root | 5);
            write_tags(t, &m, 0x11, 0x22);
            cached(t, mode);
            cr_assert_eq(cached(t, mode), kinds, "mode %u", mode);
            write_tags(t, &m, c[i].tags & OTHER0 ? 0x99 : 0x11, c[i].tags & OTHER1 ? 0x88 : 0x22);
            if (addr == REG(e, CR3))
                value |= m.v.root;
            else if (addr == REG(0, S2ROOT) || addr == REG(1, S2ROOT))
                value |= m.s.s2[addr / 0x1000].root;
            else if (addr == HOST(CTL))
                value = get(t, HOST(CTL));
            set(t, addr, value);
            write_tags(t, &m, 0x11, 0x22);
            set(t, REG(e, CR3), 1ull << 63 | m.v.root | 5);
            dropped = kinds & ~cached(t, mode);
            cr_assert_eq(dropped, e == 2 ? c[i].nested : c[i].virt, "row %u, mode %u: dropped %u", i, mode,
                         dropped);
            free_bench(t);
        }
#undef INV
#undef REG
#undef KIND
}

/* What a walk leaves in the caches, as later ones tell by their references and by the counters. */
Test(cycle, fills_of_both_kinds)
{
    const unsigned L = 4;
    static const struct {
        uint8_t mode;
        bool full;
        unsigned warm; /* references with all caches warm */
    } c[] = { { DMT_MODE_VIRT, false, 2 }, { DMT_MODE_NESTED, true, 3 }, { DMT_MODE_NESTED, false, 2 } };

    for (unsigned i = 0; i < 3; i++) {
        struct bench *t = new_bench(&standard, L);
        unsigned e = c[i].mode - DMT_MODE_NATIVE, path = DMT_PATH_RADIX << 2 * e;
        unsigned warm = c[i].warm * (L + 1) + 1;
        struct machine m;

        path |= DMT_PATH_RADIX << 2 * (e - 1) | (c[i].full ? DMT_PATH_RADIX : 0);
        plain_machine(t, &m, c[i].mode, c[i].full, PAGE_V);
        *entry_in(t, &m.v, PAGE_V + (1 << 21), 1) = (space[e] + 8) << 12 | E_LEAF;
        hit(t, PAGE_V, 7 << 12, path);
        set(t, HOST(CNT_CLEAR), 0);
        cr_assert_eq(hit(t, PAGE_V, 7 << 12, path), warm);
        cr_assert_eq(get(t, HOST(CNT_PWC2)), 1);
        cr_assert_eq(get(t, HOST(CNT_NPWC2)), c[i].warm - 1);
        /* Another PD entry: its PTE is located through the second stages, whose caches know the way. */
        cr_assert_eq(hit(t, PAGE_V + (1 << 21), 8 << 12, path), (2 * c[i].warm) * (L + 1) + 1);
        cr_assert_eq(get(t, HOST(CNT_PWC3)), 1);
        cr_assert_eq(get(t, HOST(CNT_PWC4)) + get(t, HOST(CNT_NPWC3)) + get(t, HOST(CNT_NPWC4)), 0);
        if (e == 1) {
            /* The root's location is not looked up in the caches, all others are. */
            set(t, DMT_LEVEL_BASE(1) + DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << 60);
            cr_assert_eq(hit(t, PAGE_V, 7 << 12, path), (4 + 1 + 3 * (1 + 1) + 1) * (L + 1) + 1);
        }
        /* Other tags miss, and find their own again. */
        write_tags(t, &m, 1, 0);
        cr_assert_gt(hit(t, PAGE_V, 7 << 12, path), warm);
        write_tags(t, &m, 0, 1);
        cr_assert_eq(hit(t, PAGE_V, 7 << 12, path) == warm, e == 1);
        write_tags(t, &m, 0, 0);
        cr_assert_eq(hit(t, PAGE_V, 7 << 12, path), warm);
        free_bench(t);
    }
}

/* What is cached of stage 0 does not depend on the tag of stage 1. */
Test(cycle, stage_0_has_one_tag)
{
    struct bench *t = new_bench(&standard, 4);
    struct machine m;
    unsigned level[3];

    cache_machine(t, &m, DMT_MODE_NESTED, true);
    cached(t, DMT_MODE_NESTED);
    write_tags(t, &m, 0, 0x88);
    first_levels(t, PAGE_S0, level);
    cr_assert_eq(level[0], 1);
    first_levels(t, PAGE_S1, level);
    cr_assert_eq(level[1], 4);
    write_tags(t, &m, 0x88, 0);
    first_levels(t, PAGE_S0, level);
    cr_assert_eq(level[0], 4);
    free_bench(t);
}

/* A table that the second stage does not let be written is not cached (specification 6), and nothing is
 * that was reached over a missing A. */
Test(cycle, no_fill_of_a_table_that_cannot_be_written)
{
    for (unsigned what = 0; what < 3; what++) {
        const unsigned L = 4;
        struct bench *t = new_bench(&standard, L);
        unsigned path = DMT_PATH_RADIX << 2 | DMT_PATH_RADIX;
        uint64_t frame, *pd;
        struct machine m;

        plain_machine(t, &m, DMT_MODE_VIRT, false, PAGE_V);
        pd = entry_in(t, &m.v, PAGE_V, 2);
        frame = frame_of(t, entry_in(t, &m.v, PAGE_V, 1));
        set(t, HOST(CTL), DMT_MODE_VIRT);
        if (what == 1)
            *entry_in(t, &m.s0, (space[1] + frame) << 12, 1) &= ~2ull;
        if (what == 2)
            *pd &= ~E_A;
        hit(t, PAGE_V, 7 << 12, path);
        set(t, HOST(CNT_CLEAR), 0);
        hit(t, PAGE_V, 7 << 12, path);
        cr_assert_eq(get(t, HOST(CNT_PWC2)), what == 0, "case %u", what);
        cr_assert_eq(get(t, HOST(CNT_PWC3)), what != 0);
        free_bench(t);
    }
}

/* ------------------------------------------------------------ A and D bits of several stages */

/* A5: in the second pass an entry is written only where the second stage gives W. */
Test(cycle, table_write_is_checked)
{
    const unsigned L = 4;
    struct bench *t = new_bench(uncached(0), L);
    struct dmt_request q = user_read(PAGE_V);
    uint64_t frame, *pd;
    struct machine m;

    q.nonspec = true;
    plain_machine(t, &m, DMT_MODE_VIRT, false, PAGE_V);
    set(t, HOST(CTL), DMT_MODE_VIRT | 4);
    pd = entry_in(t, &m.v, PAGE_V, 2);
    frame = frame_of(t, pd);
    *pd &= ~E_A;
    *entry_in(t, &m.s0, (space[1] + frame) << 12, 1) &= ~2ull;
    /* 24 references find A missing; the second pass ends at the PD entry, the fifteenth. */
    cr_assert_eq(translate(t, &q), (24 + 15) * (L + 1) + 1);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_EPT_VIOLATION);
    cr_assert_eq(t->o->resp_addr, (space[1] << 12) + (uint64_t)(pd - t->word) * 8);
    cr_assert_eq(t->o->resp_error, 3 | 1 << 3 | 1 << 5 | 1 << 7);
    cr_assert_eq(t->o->resp_stage, 0);
    take(t);
    cr_assert_eq(get(t, HOST(CNT_UPDATE)), 0);
    cr_assert_eq(*pd & E_A, 0);
    *entry_in(t, &m.s0, (space[1] + frame) << 12, 1) |= 2;
    /* Exclusive read, exclusive write with its answer in the next clock. */
    cr_assert_eq(translate(t, &q), (24 + 24 + 1) * (L + 1) + 1 + 3);
    cr_assert_eq(t->o->resp_status, DMT_STATUS_OK);
    take(t);
    cr_assert_eq(*pd & E_A, E_A);
    free_bench(t);
}

/* The same with two second stages: stage 1 is looked at first. */
Test(cycle, table_write_is_checked_in_both_stages)
{
    for (unsigned denies = 1; denies <= 3; denies++) {
        struct bench *t = new_bench(uncached(0), 4);
        struct dmt_request q = user_read(PAGE_V);
        unsigned stage = denies & 2 ? 1 : 0;
        uint64_t frame, *pd;
        struct machine m;

        q.nonspec = true;
        plain_machine(t, &m, DMT_MODE_NESTED, true, PAGE_V);
        set(t, HOST(CTL), DMT_MODE_NESTED | 4 | 8);
        pd = entry_in(t, &m.v, PAGE_V, 2);
        frame = frame_of(t, pd);
        *pd &= ~E_A;
        if (denies & 1)
            *entry_in(t, &m.s0, (space[1] + frame) << 12, 1) &= ~2ull;
        if (denies & 2)
            *entry_in(t, &m.s1, (space[2] + frame) << 12, 1) &= ~2ull;
        translate(t, &q);
        cr_assert_eq(t->o->resp_status, DMT_STATUS_EPT_VIOLATION);
        cr_assert_eq(t->o->resp_stage, stage);
        cr_assert_eq(t->o->resp_addr, (space[stage + 1] << 12) + (uint64_t)(pd - t->word) * 8);
        take(t);
        free_bench(t);
    }
}

/* An entry that no second stage located in this pass (a paging-structure cache or a gTEA did) may be
 * written, whatever the second stage says of addresses met before. */
Test(cycle, table_write_of_an_entry_not_located)
{
    for (unsigned gtea = 0; gtea < 2; gtea++) {
        struct bench *t = new_bench(&standard, 4);
        struct dmt_request q = user_read(PAGE_V);
        struct machine m;
        uint64_t *pte;

        q.nonspec = true;
        plain_machine(t, &m, DMT_MODE_VIRT, false, PAGE_V);
        set(t, HOST(CTL), DMT_MODE_VIRT | 4);
        pte = entry_in(t, &m.v, PAGE_V, 1);
        *entry_in(t, &m.v, PAGE_S1, 1) = (space[1] + 9) << 12 | E_LEAF;
        hit(t, PAGE_S1, 9 << 12, DMT_PATH_RADIX << 2 | DMT_PATH_RADIX);
        *pte &= ~E_A;
        cover_memory(t, &m, 0, 0, DMT_KIND_PA);
        m.s.tea[0][0].allow = 6;
        load_tea(t, &m, 0, 0);
        if (gtea)
            cover(t, &m, 1, 0, DMT_KIND_GTEA, PAGE_V & ~0x1fffff, 512, pte, 0);
        translate(t, &q);
        cr_assert_eq(t->o->resp_status, DMT_STATUS_OK, "%lu", t->o->resp_status);
        take(t);
        cr_assert(*pte & E_A);
        free_bench(t);
    }
}

/* Memory in which an entry goes away before its exclusive read. */
static enum dmt_resp vanishing_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    if (ref->exclusive)
        ((struct bench *)user)->word[ref->addr / 8] = 0;
    return plain_read(user, ref, data);
}

/* A6: of a fetch by sizes, too, the exclusive read is of the deciding size alone; when that does not
 * count any more, the walk starts. */
BOTH(size_that_stops_to_decide)
{
    const uint64_t va = 0x40000000;
    struct bench *t = new_bench(uncached(cfg.pipe), 4);
    struct dmt_request q = user_read(va);
    struct machine m;
    uint64_t large = t->frames++ * 512;
    struct dmt_port port = { .user = t, .read = vanishing_read, .write = plain_write };
    struct dmt_result e;

    q.nonspec = true;
    plain_machine(t, &m, DMT_MODE_VIRT, false, va);
    set(t, HOST(CTL), DMT_MODE_VIRT | 4);
    cover(t, &m, 1, 0, DMT_KIND_PA, va, 512, entry_in(t, &m.v, va, 1), 0);
    cover(t, &m, 1, 1, DMT_KIND_PA, va, 512, &t->word[large], 1);
    t->word[large] = space[1] << 12 | (leaf_flags(false, 2) & ~E_A);
    dmt_arch_translate(&m.s, &q, &port, &e);
    t->word[large] = space[1] << 12 | (leaf_flags(false, 2) & ~E_A);
    drive_request(t, &q, 1);
    t->in.resp_ready = 0;
    while (!t->o->resp_valid) {
        if (t->o->m_arvalid && t->o->m_arlock)
            t->word[large] = 0;
        tick(t);
        t->in.req_valid = 0;
    }
    cr_assert_eq(t->o->resp_status, DMT_STATUS_OK);
    cr_assert_eq(t->o->resp_pa, 7 << 12);
    cr_assert_eq(t->o->wt_end_path, DMT_PATH_RESTART << 2 | DMT_PATH_RADIX);
    cr_assert(e.status == DMT_STATUS_OK && e.pa == 7 << 12 && e.path[1] == DMT_PATH_RESTART);
    free_bench(t);
}

/* MULTI_HIT tells of the sizes that are used: with rule T1' of one after another. */
BOTH(multi_hit_of_the_sizes_used)
{
    const uint64_t va = 0x40000000;

    for (unsigned chained = 0; chained < 2; chained++)
        for (unsigned twice = 0; twice < 3; twice++) {
            struct bench *t = new_bench(uncached(cfg.pipe), 4);
            unsigned event = DMT_LEVEL_BASE(1) + DMT_LEVEL_EVENT;
            unsigned kind = chained ? DMT_KIND_PA : DMT_KIND_GTEA;
            uint64_t two = t->frames++ * 512;
            struct machine m;

            plain_machine(t, &m, DMT_MODE_VIRT, false, va);
            cover(t, &m, 1, 0, kind, va, 512, entry_in(t, &m.v, va, 1), 0);
            cover(t, &m, 1, 1, kind, va, 512, &t->word[two], 1);
            cover(t, &m, 1, 2, kind, va, 512, entry_in(t, &m.v, va, 3), 2);
            cover(t, &m, 1, 3, kind, va, 512, &t->word[two], twice);
            t->word[two] = space[1] << 12 | leaf_flags(false, 2); /* decides */
            hit(t, va, 0, DMT_PATH_TEA << 2 | DMT_PATH_RADIX);
            cr_assert_eq(get(t, event), !chained || twice > 0, "chained %u, size %u", chained, twice);
            free_bench(t);
        }
}

/* Only the last leaf lacks a bit: no second pass, in whatever stage it is. */
BOTH(last_leaf_alone)
{
    EACH_LATENCY(L) {
        struct bench *t = new_bench(uncached(cfg.pipe), L);
        struct dmt_request q = user_write(PAGE_V);
        struct dmt_s2 ad = { .ad = true };
        struct machine m;
        uint64_t *e;

        new_machine(t, &m, DMT_MODE_VIRT, false, ad, ad, ad, 1);
        *entry_in(t, &m.v, PAGE_V, 1) = (space[1] + 7) << 12 | E_LEAF;
        load_machine(t, &m);
        e = entry_in(t, &m.s0, (space[1] + 7) << 12, 1);
        *e &= ~(uint64_t)EPT_D;
        set(t, HOST(CTL), DMT_MODE_VIRT | 4);
        cr_assert_eq(translate(t, &q), clocks_of(t, 24 + 1, 5) + update_clocks(&cfg));
        cr_assert(t->o->resp_status == DMT_STATUS_OK && t->o->resp_dirty);
        take(t);
        cr_assert(*e & EPT_D);
        cr_assert_eq(get(t, HOST(CNT_READ)), 25);
        free_bench(t);
    }
}

/* Registers of any kind over tables that exist, and some over what is none. */
static void random_registers(struct bench *t, struct machine *m)
{
    unsigned e = m->s.mode - DMT_MODE_NATIVE;

    for (unsigned k = 1; k <= e; k++)
        for (unsigned id = 0; id < 200; id++) {
            uint64_t *g = &t->word[m->s.gtea[k].table / 8 + 2 * id];

            g[0] = (rnd(t) % t->frames) << 12 | (rnd(t) % 8 != 0);
            g[1] = rnd(t) % 16 == 0 ? 0 : rnd(t) % 8 == 0 ? 1 : 512;
        }
    for (unsigned k = 0; k <= e; k++)
        for (unsigned i = 0; i < rnd(t) % 10; i++) {
            unsigned level = 1 + rnd(t) % 3;
            const struct tables *b = k == e ? &m->v : k == 1 ? &m->s1 : &m->s0;
            uint64_t va = k == e ? random_va(t) & 0xffffffffff : space[k + 1] << 12;
            uint64_t frame = frame_of(t, entry_in(t, b, va, level));
            struct dmt_tea *r = &m->s.tea[k][i];

            *r = (struct dmt_tea){
                .sz = (uint8_t)(level - 1), .allow = rnd(t) % 3 ? 7 : rnd(t) & 7,
                .pages = 512ull << 9 * (level - 1),
                .base_vpn = va >> (9 * level + 12) << 9 * level, .base_pfn = space[k] + frame,
                .kind = k > 0 && rnd(t) % 2,
            };
            if (rnd(t) % 4 == 0)
                r->pages = 1 + rnd(t) % r->pages;
            if (rnd(t) % 16 == 0)
                r->base_pfn = FRAMES; /* in stage 0: beyond the memory */
            if (r->kind == DMT_KIND_GTEA) {
                uint64_t *g = &t->word[m->s.gtea[k].table / 8];

                r->gtea = (uint16_t)(rnd(t) % 16 == 0 ? 200 : rnd(t) % 200);
                r->base_pfn = rnd(t) % 4;
                if (r->gtea < 200 && frame >= r->base_pfn && rnd(t) % 4)
                    g[2 * r->gtea] = (frame - r->base_pfn) << 12 | 1;
            }
        }
}

static void random_second_stage(struct bench *t, struct dmt_s2 *s)
{
    uint64_t r = rnd(t);

    *s = (struct dmt_s2){ .format = r & 1, .five = (r >> 1 & 3) == 0, .ad = r >> 3 & 1, .mbec = r >> 4 & 1,
                          .tag = r >> 8 & 0xff };
}

/* Flip one of these bits in a part of the entries. */
static void disturb(struct bench *t, unsigned first, unsigned one_in, const uint8_t *bit, unsigned bits)
{
    for (unsigned i = first * 512; i < t->frames * 512; i++)
        if (t->word[i] && rnd(t) % one_in == 0)
            t->word[i] ^= 1ull << bit[rnd(t) % bits];
}

static void random_machine(struct bench *t, struct machine *m, unsigned mode)
{
    static const uint8_t accessed[] = { 5, 6, 8, 9 };
    static const uint8_t any[] = { 0, 0, 1, 1, 1, 2, 2, 7, 10, 51, 63, 3, 4 };
    static const uint16_t often[] = { 2, 4, 20, 1000 };
    struct dmt_s2 s2[3];
    unsigned e = mode - DMT_MODE_NATIVE, first = t->frames;
    uint64_t r = rnd(t);

    for (unsigned i = 0; i < 3; i++)
        random_second_stage(t, &s2[i]);
    new_machine(t, m, mode, r & 1, s2[0], s2[1], s2[2], r >> 1 & 3 ? 1 : 2);
    if ((r >> 14 & 3) == 0) {
        m->v = new_tables(t, e, 5, false);
        m->s.level[e].cr3 = m->v.root;
        m->s.level[e].cr4 = DMT_LEVEL_CR4_LA57_MASK;
    }
    m->s.ad_update = r >> 4 & 3;
    m->s.level[e].cr0 = r >> 6 & 1 ? DMT_LEVEL_CR0_WP_MASK : 0;
    m->s.level[e].cr4 |= r >> 7 & 1 ? DMT_LEVEL_CR4_SMEP_MASK | DMT_LEVEL_CR4_PGE_MASK : 0;
    for (unsigned i = 0; i < 512; i++) {
        uint64_t n = i, va = (n >> 8 & 1) << 39 | (n >> 7 & 1) << 30 | (n >> 5 & 3) << 21 | (n & 31) << 12;
        uint64_t *pd = entry_in(t, &m->v, va, 2);
        uint64_t page = (space[e] + rnd(t) % (FRAMES + 16)) << 12, large = space[e] << 12;

        if (!*pd && rnd(t) % 4 == 0)
            *pd = large | leaf_flags(false, 2);
        if (!(*pd & E_PS))
            *entry_in(t, &m->v, va, 1) = page | leaf_flags(false, 1);
    }
    random_registers(t, m);
    disturb(t, first, often[r >> 10 & 3], accessed, sizeof accessed);
    disturb(t, first, 10 * often[r >> 12 & 3], any, sizeof any);
    load_machine(t, m);
    for (unsigned k = 0; k <= e; k++)
        for (unsigned i = 0; i < 10; i++)
            if (m->s.tea[k][i].pages)
                load_tea(t, m, k, i);
}

/* All of it against the architectural model: without caches beat for beat,
 * with caches in what they must not change. */
static void random_composition(struct dmt_config cfg, unsigned mode, bool caches, uint64_t seeds,
                               unsigned status_kinds)
{
    uint64_t status[16] = { 0 }, path[3][4] = { { 0 } };
    unsigned updates = 0, kinds = 0;

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct bench *t;
        struct machine m;

        cfg.pa_w = 46;
        if (!caches)
            cfg.pwc4_n = cfg.pwc3_n = cfg.pwc2_n = cfg.npwc4_n = cfg.npwc3_n = cfg.npwc2_n = 0;
        t = new_bench(&cfg, 1 + seed % 4);
        diversify(t, seed);
        t->small = true;
        random_machine(t, &m, mode);
        for (unsigned n = 0; n < 60; n++) {
            struct dmt_request q = random_request(t);
            struct dmt_result e;

            updates += judged(t, &m.s, &q, n, !caches, &e);
            status[e.status]++;
            for (unsigned k = 0; k < 3; k++)
                path[k][e.path[k]]++;
        }
        free_bench(t);
    }
    for (unsigned i = 0; i < 16; i++)
        kinds += status[i] > 0;
    cr_assert_eq(kinds, status_kinds, "only %u kinds of answers", kinds);
    cr_assert_gt(updates, 100);
    for (unsigned k = 0; k <= mode - DMT_MODE_NATIVE; k++)
        for (unsigned i = 1; i < 4; i++)
            cr_assert_gt(path[k][i], 20, "path %u of stage %u", i, k);
}

BOTH(virt_is_the_architecture, .timeout = 240)
{
    random_composition(cfg, DMT_MODE_VIRT, false, 60, 9);
    random_composition(cfg, DMT_MODE_VIRT, true, 60, 9);
}

BOTH(nested_is_the_architecture, .timeout = 240)
{
    random_composition(cfg, DMT_MODE_NESTED, false, 80, 9);
    random_composition(cfg, DMT_MODE_NESTED, true, 80, 9);
}

/* ------------------------------------------------------------ many at once */

/* Answers of random traffic under back-pressure against the architectural
 * model. The tables only gain A and D bits, so all but dirty is determined. */
static void random_run(const struct dmt_config *cfg, unsigned mode, uint64_t seed, unsigned L,
                       unsigned pressure, bool update, unsigned path_ok[4])
{
    enum { REQUESTS = 1500, TAGS = 16 };
    struct bench *t = new_bench(cfg, L);
    struct dmt_request sent[TAGS];
    struct machine m = { 0 };
    struct dmt_port port = { .user = t, .read = plain_read, .write = plain_write };
    unsigned done = 0, started = 0, updates = 0, lost = 0;
    uint64_t status[16] = { 0 }, path[4] = { 0 }, sum = 0;
    bool busy[TAGS] = { false };

    diversify(t, seed);
    t->small = true;
    if (mode == DMT_MODE_NATIVE) {
        random_state(t, &m.s, update);
    } else {
        random_machine(t, &m, mode);
        m.s.ad_update = update;
        set(t, HOST(CTL), mode | update << 2 | m.s.full << 3);
    }
    set(t, HOST(CNT_CLEAR), 0);
    t->beats_r = 0;
    t->pressure = pressure;
    t->jitter = seed % 2 ? 40 : 0;
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
        /* Under much pressure, answers are not taken for long at times. */
        t->in.resp_ready = ready(t) && (pressure < 50 || t->now / 200 % 3);
        if (t->o->wt_upd_valid) {
            updates += t->o->wt_upd_resp == DMT_RESP_EXOKAY;
            lost += t->o->wt_upd_resp == DMT_RESP_OKAY;
        }
        if (t->o->resp_valid && t->in.resp_ready) {
            const struct dmt_out *o = t->o;
            struct dmt_result e;

            dmt_arch_translate(&m.s, &sent[o->resp_tag], &port, &e);
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
        if (t->o->wt_end_valid && t->o->wt_end_status == DMT_STATUS_OK) {
            uint64_t p = t->o->wt_end_path, most = p & 3;

            for (unsigned k = 0; k < 3; k++) {
                most = (p >> 2 * k & 3) > most ? p >> 2 * k & 3 : most;
                path_ok[p >> 2 * k & 3]++; /* of a stage */
            }
            path[most]++;
        }
        if (t->in.req_valid && t->o->req_ready) {
            started++;
            tick(t);
            t->in.req_valid = 0;
        } else {
            tick(t);
        }
    }
    t->pressure = 0;
    finish_reads(t);
    cr_assert_eq(get(t, HOST(CNT_REQUEST)), REQUESTS);
    cr_assert_eq(get(t, HOST(CNT_TEA)), path[DMT_PATH_TEA]);
    cr_assert_eq(get(t, HOST(CNT_RADIX)), path[DMT_PATH_RADIX]);
    cr_assert_eq(get(t, HOST(CNT_RESTART)), path[DMT_PATH_RESTART]);
    cr_assert_eq(get(t, HOST(CNT_FAULT)), status[DMT_STATUS_GP] + status[DMT_STATUS_PF]
                                              + status[DMT_STATUS_EPT_VIOLATION]
                                              + status[DMT_STATUS_EPT_MISCONFIG]
                                              + status[DMT_STATUS_NPT_FAULT]);
    cr_assert_eq(get(t, HOST(CNT_BUS)), status[DMT_STATUS_BUS]);
    cr_assert_eq(get(t, HOST(CNT_GTEA)), status[DMT_STATUS_GTEA]);
    cr_assert_eq(get(t, HOST(CNT_READ)), t->beats_r);
    cr_assert_eq(get(t, HOST(CNT_UPDATE)), updates);
    cr_assert_eq(get(t, HOST(CNT_LOST)), lost);
    for (unsigned reg = HOST(CNT_TEA); reg <= HOST(CNT_RETRY); reg += 8)
        sum += get(t, reg);
    cr_assert_eq(sum + get(t, HOST(CNT_GTEA)), REQUESTS, "every request is counted by its answer once");
    cr_assert(!update || updates > 10);
    cr_assert(mode != DMT_MODE_NATIVE || status[DMT_STATUS_PF] > 50);
    free_bench(t);
}

BOTH(random_traffic, .timeout = 120)
{
    static const unsigned pressure[] = { 0, 30, 80 };

    cfg.pa_w = 46; /* below the frames that some random entries name */
    for (unsigned mode = DMT_MODE_NATIVE; mode <= DMT_MODE_NESTED; mode++) {
        unsigned path[4] = { 0 };

        for (uint64_t seed = 1; seed <= 6; seed++)
            for (unsigned p = 0; p < 3; p++) {
                cfg.ctx_n = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 8 : 64;
                cfg.pwc2_n = seed % 2 ? 32 : 1;
                cfg.npwc2_n = seed % 2 ? 1 : 32;
                /* Other walks' updates change what a guest's table writes meet, so none there. */
                random_run(&cfg, mode, 3 * seed + p, 1 + 5 * (seed % 4), pressure[p],
                           seed % 2 && mode == DMT_MODE_NATIVE, path);
            }
        for (unsigned i = 1; i < 4; i++)
            cr_assert_gt(path[i], 100, "path %u was used %u times in mode %u", i, path[i], mode);
    }
}

/* What walks wait for: contexts by the words of dmt_cycle_describe(). */
static unsigned waiting(const struct bench *t, const char *what)
{
    unsigned n = 0;
    char s[512];

    for (unsigned i = 0; i < t->cfg.ctx_n; i++) {
        dmt_cycle_describe(t->m, i, s, sizeof s);
        n += strstr(s, what) != NULL;
    }
    return n;
}

/* ------------------------------------------------------------ surplus reads (T2) */

enum { GUEST_VA = 0x40000000 };

/* All stages of a mode by TEA: each has a register for some sizes over GUEST_VA, of which one decides and
 * yields the same address again. Larger ones hold nothing, smaller ones what must not be used. */
struct guest {
    struct bench *t;
    struct machine m;
    unsigned entering;
    unsigned tea[DMT_SETS_MAX][3]; /* frame by stage and size */
};

static void new_guest(struct guest *g, const struct dmt_config *cfg, unsigned L, unsigned mode, unsigned sizes,
                      unsigned decides)
{
    struct bench *t = g->t = new_bench(cfg, L);

    g->entering = mode - DMT_MODE_NATIVE;
    new_machine(t, &g->m, mode, true, ept, ept, ept, 1);
    load_machine(t, &g->m);
    for (unsigned k = 0; k <= g->entering; k++)
        for (unsigned sz = 0; sz < 3; sz++) {
            uint64_t flags = leaf_flags(k < g->entering, sz + 1);

            if (!(sizes >> sz & 1))
                continue;
            g->tea[k][sz] = t->frames++;
            for (unsigned i = 0; i < 512; i++)
                t->word[g->tea[k][sz] * 512 + i] = sz > decides    ? 0
                                                   : sz == decides ? GUEST_VA | flags
                                                                   : 0xc0000000 | flags;
            cover(t, &g->m, k, sz, k ? DMT_KIND_GTEA : DMT_KIND_PA, GUEST_VA, 512, &t->word[g->tea[k][sz] * 512],
                  sz);
        }
    set(t, HOST(CNT_CLEAR), 0);
    t->beats_r = 0;
}

/* The reads of a size that does not decide are answered late, or from now on. */
static void hold(struct guest *g, unsigned stage, unsigned sz, bool late)
{
    g->t->late[g->tea[stage][sz]] = late;
}

static void expect_context(const struct bench *t, unsigned ctx, const char *what)
{
    char s[512], expected[128];

    snprintf(expected, sizeof expected, "context %u: %s", ctx, what);
    dmt_cycle_describe(t->m, ctx, s, sizeof s);
    cr_assert_str_eq(s, expected);
}

static void write_cr0(struct bench *t)
{
    t->in.s_awvalid = t->in.s_wvalid = 1;
    t->in.s_awaddr = DMT_LEVEL_CR0;
    t->in.s_wstrb = 0xff;
    t->in.s_wdata = 0;
    tick(t);
    t->in.s_awvalid = t->in.s_wvalid = 0;
}

/* From the first clock after that in which the n-th beat was taken to that after its step, when no other step
 * is before it. */
static void step_beat(struct bench *t, unsigned n)
{
    while (t->beats_r < n)
        tick(t);
    ticks(t, t->cfg.pipe);
}

/* The answer does not wait for surplus reads; they come when they come, and even a bus error in one has no
 * effect. Until then the context is not free, and what drains waits. */
BOTH(surplus_after_the_answer)
{
    cfg.ctx_n = 1;
    for (unsigned csr = 0; csr < 2; csr++)
        for (unsigned error = 0; error <= DMT_RESP_DECERR; error++) {
            struct guest g;
            struct bench *t;
            struct dmt_request q = user_read(GUEST_VA);
            unsigned references = 0;

            new_guest(&g, &cfg, 4, DMT_MODE_NATIVE, 7, 2);
            t = g.t;
            hold(&g, 0, 1, true);
            hold(&g, 0, 0, true);
            t->bad_addr = (uint64_t)g.tea[0][error & 1] << 12;
            t->bad_resp = error; /* EXOKAY counts as OKAY */
            drive_request(t, &q, 1);
            tick(t);
            /* What follows waits: a request in the skid, or a CSR write. */
            if (csr) {
                t->in.req_valid = 0;
                write_cr0(t);
            } else {
                drive_request(t, &q, 2);
                tick(t);
                t->in.req_valid = 0;
            }
            while (!t->o->resp_valid) {
                references += t->o->wt_ref_valid;
                tick(t);
            }
            cr_assert_eq(t->o->wt_end_clocks, clocks_of(t, 1, 1));
            cr_assert(t->o->resp_status == DMT_STATUS_OK && t->o->resp_pa == GUEST_VA);
            references += t->o->wt_ref_valid;
            for (unsigned n = 2; n > 0; n--) {
                /* Nothing comes, then the larger one, then the smaller one. */
                for (unsigned i = 0; i < 20; i++) {
                    tick(t);
                    references += t->o->wt_ref_valid;
                    cr_assert(!t->o->s_bvalid && !t->o->wt_req_valid && !t->o->req_ready);
                }
                cr_assert_eq(t->reads[0], n);
                expect_context(t, 0, n == 2 ? "answered, 2 surplus of stage 0" : "answered, 1 surplus of stage 0");
                cr_assert_eq(get(t, HOST(CNT_READ)), 3 - n);
                hold(&g, 0, n - 1, false);
                step_beat(t, 4 - n);
                references += t->o->wt_ref_valid;
                cr_assert(!t->o->s_bvalid && !t->o->wt_req_valid);
            }
            /* Free and idle from this clock on. */
            expect_context(t, 0, "free");
            tick(t);
            references += t->o->wt_ref_valid;
            cr_assert_eq(t->o->s_bvalid, csr);
            cr_assert_eq(t->o->wt_req_valid, !csr);
            cr_assert_eq(references, 1, "surplus reads are not on the trace port");
            cr_assert_eq(get(t, HOST(CNT_READ)), 3);
            finish_reads(t);
            cr_assert_eq(get(t, HOST(CNT_BUS)) | get(t, HOST(EVENT)) | get(t, HOST(BUS_ADDR)), 0);
            cr_assert_eq(get(t, HOST(CNT_TEA)), 2 - csr);
            free_bench(t);
        }
}

/* Surplus beats that come right behind the one that decides: when the context is free, and BUSY. */
BOTH(free_behind_surplus)
{
    cfg.ctx_n = 1;
    EACH_LATENCY(L)
        for (unsigned sizes = 1; sizes < 8; sizes++)
            for (unsigned decides = 0; decides < 3; decides++) {
                unsigned k = (sizes & 1) + (sizes >> 1 & 1) + (sizes >> 2), j = 0, free;
                struct dmt_request q = user_read(GUEST_VA);
                struct guest g;

                if (!(sizes >> decides & 1))
                    continue;
                for (unsigned sz = decides; sz < 3; sz++)
                    j += sizes >> sz & 1;
                new_guest(&g, &cfg, L, DMT_MODE_NATIVE, sizes, decides);
                /* The request is taken in clock 0, the step of its answer is one before it is valid. */
                free = clocks_of(g.t, 1, 1) + decided_by(g.t, k, j) - 1 + until_free(&cfg, k - j);
                drive_request(g.t, &q, 1);
                tick(g.t);
                drive_request(g.t, &q, 2);
                tick(g.t);
                g.t->in.req_valid = 0;
                for (unsigned c = 2; c <= free; c++) {
                    cr_assert_eq(g.t->o->wt_req_valid, 0, "clock %u of %u", c, free);
                    tick(g.t);
                }
                cr_assert_eq(g.t->o->wt_req_valid, 1, "%u reads, decided by %u", k, j);
                while (!g.t->o->resp_valid)
                    tick(g.t);
                finish_reads(g.t);
                cr_assert_eq(get(g.t, HOST(CNT_BUSY)), 2 * (free - 1));
                cr_assert_eq(get(g.t, HOST(CNT_READ)), 2 * k);
                free_bench(g.t);
            }
}

/* Beside a surplus beat's step a request that walks leaves, and one that is answered at once, except that with
 * PIPE = 1 any step is in the way of the latter. */
BOTH(front_beside_surplus)
{
    for (unsigned at_once = 0; at_once < 2; at_once++) {
        struct dmt_request q = user_read(GUEST_VA), gp = user_read(1ull << 63);
        struct guest g;
        struct bench *t;

        new_guest(&g, &cfg, 8, DMT_MODE_NATIVE, 6, 2);
        t = g.t;
        hold(&g, 0, 1, true);
        drive_request(t, &q, 1);
        tick(t);
        t->in.req_valid = 0;
        ticks(t, 40);
        cr_assert_eq(t->beats_r, 1);
        hold(&g, 0, 1, false);
        ticks(t, cfg.pipe); /* looked up */
        drive_request(t, at_once ? &gp : &q, 2);
        tick(t); /* its step */
        t->in.req_valid = 0;
        expect_context(t, 0, "free");
        cr_assert_eq(t->o->wt_req_valid, !(at_once && cfg.pipe));
        tick(t);
        cr_assert_eq(t->o->wt_req_valid, at_once && cfg.pipe);
        free_bench(t);
    }
}

/* A surplus beat is taken under the same conditions as any other: not while answers are not. */
BOTH(surplus_needs_room)
{
    struct dmt_request q = user_read(GUEST_VA);
    struct guest g;
    struct bench *t;

    new_guest(&g, &cfg, 4, DMT_MODE_NATIVE, 7, 2);
    t = g.t;
    t->in.resp_ready = 0;
    for (unsigned i = 0; i < 2; i++) {
        drive_request(t, &q, i);
        tick(t);
    }
    t->in.req_valid = 0;
    ticks(t, 40);
    /* All of one walk and the other one's answer. */
    cr_assert_eq(t->beats_r, 4 + cfg.pipe);
    cr_assert_eq(t->o->m_rready, 0);
    expect_context(t, 0, "free");
    expect_context(t, 1, "answered, 2 surplus of stage 0");
    t->in.resp_ready = 1;
    tick(t);
    finish_reads(t);
    expect_context(t, 1, "free");
    free_bench(t);
}

/* What a walk waits for never waits for surplus reads of its other stages, which may be answered long after the
 * walk has been, in any order of the stages. Two walks at once: only IDs tell their beats apart. */
BOTH(surplus_of_every_stage)
{
    static const char *const owed[] = {
        "answered, 1 surplus of stage 0", "answered, 1 surplus of stage 1, 1 surplus of stage 0",
        "answered, 1 surplus of stage 2, 1 surplus of stage 1, 1 surplus of stage 0"
    };

    for (unsigned mode = DMT_MODE_VIRT; mode <= DMT_MODE_NESTED; mode++)
        EACH_LATENCY(L)
            for (unsigned order = 0; order < 2; order++) {
                unsigned e = mode - DMT_MODE_NATIVE, n = e + 1;
                struct dmt_request q = user_read(GUEST_VA | 0x7abc), third = user_read(GUEST_VA | 0x6123);
                struct guest g;
                struct bench *t;

                new_guest(&g, uncached(cfg.pipe), L, mode, 3, 1);
                t = g.t;
                for (unsigned k = 0; k <= e; k++)
                    hold(&g, k, 0, true);
                t->bad_addr = ((uint64_t)g.tea[e][0] << 12) + 8 * 7;
                t->bad_resp = DMT_RESP_SLVERR;
                for (unsigned walk = 0; walk < 2; walk++) {
                    cr_assert_eq(hit(t, q.va, q.va, e == 2 ? 0x15 : 0x5), clocks_of(t, n, n));
                    cr_assert_eq(t->last.wt_end_index, e == 2 ? 0x1041 : 0x41);
                    expect_context(t, walk, owed[e]);
                }
                for (unsigned i = 0; i <= e; i++) {
                    unsigned k = order ? e - i : i;

                    ticks(t, 20);
                    for (unsigned ctx = 0; ctx < 2; ctx++)
                        for (unsigned s = 0; s <= e; s++)
                            cr_assert_eq(t->reads[make_id(t, s, ctx)], order ? s <= k : s >= k, "ID of stage %u", s);
                    hold(&g, k, 0, false);
                    ticks(t, 8);
                    cr_assert_eq(waiting(t, "free"), t->cfg.ctx_n - (i == e ? 0 : 2));
                }
                cr_assert_eq(get(t, HOST(CNT_READ)), 2 * 2 * n);
                cr_assert_eq(get(t, HOST(CNT_BUS)) | get(t, HOST(EVENT)), 0);
                /* When they come at once, memory that answers in the next clock has them on the pins while the next
                 * fetch is emitted, and what is waited for behind them. */
                for (unsigned k = 0; k <= e; k++)
                    hold(&g, k, 0, L == 1);
                cr_assert_eq(translate(t, &third), clocks_of(t, n, n));
                cr_assert_eq(t->o->resp_pa, third.va);
                free_bench(t);
            }
}

/* A surplus beat on the pins together with or just before what is waited for takes a clock of it; with PIPE = 1
 * the second of two beats of one context, whatever their stages, waits one more (3.10). */
BOTH(surplus_just_before)
{
    for (unsigned own = 0; own < 2; own++)
        for (unsigned before = 0; before < 4; before++) {
            struct dmt_request q = user_read(GUEST_VA);
            struct guest g;
            struct bench *t;
            unsigned clocks, due, more;

            new_guest(&g, uncached(cfg.pipe), 8, DMT_MODE_VIRT, 3, 1);
            t = g.t;
            hold(&g, 1, 0, true);
            hold(&g, 0, 0, true);
            if (!own) /* another context's is the older one */
                hit(t, q.va, q.va, 0x5);
            clocks = clocks_of(t, 2, 2);
            due = clocks - 1 - cfg.pipe; /* in which the beat of stage 0 is on the pins */
            drive_request(t, &q, 1);
            tick(t);
            t->in.req_valid = 0;
            ticks(t, due - before - 1);
            hold(&g, 1, 0, false);
            tick(t);
            hold(&g, 1, 0, true);
            while (!t->o->resp_valid)
                tick(t);
            more = before == 0 ? 1 + (own && cfg.pipe) : before == 1 && own && cfg.pipe;
            cr_assert_eq(t->o->wt_end_clocks, clocks + more, "own %u, %u before: %lu, not %u", own, before,
                         t->o->wt_end_clocks, clocks + more);
            cr_assert_eq(t->reads[make_id(t, 1, 0)], 0);
            expect_context(t, !own, own ? "answered, 1 surplus of stage 0"
                                        : "answered, 1 surplus of stage 1, 1 surplus of stage 0");
            free_bench(t);
        }
}

/* Surplus reads that have not left when the next fetch starts: their addresses go first, as they were. */
BOTH(surplus_not_yet_sent)
{
    for (unsigned mode = DMT_MODE_VIRT; mode <= DMT_MODE_NESTED; mode++) {
        unsigned e = mode - DMT_MODE_NATIVE;
        struct dmt_request q = user_read(GUEST_VA | 0x7abc);
        struct guest g;
        struct bench *t;

        new_guest(&g, uncached(cfg.pipe), 4, mode, 7, 2);
        t = g.t;
        t->ar_limit = t->addresses + 1;
        drive_request(t, &q, 1);
        tick(t);
        t->in.req_valid = 0;
        for (unsigned k = e + 1; k-- > 0;) {
            /* The first address has been taken, alone; its answer leads to the next stage. */
            ticks(t, 30);
            cr_assert_eq(waiting(t, k == 0   ? "answered, 2 surplus of stage 0"
                                    : k == 1 ? "waits for AR, 2 surplus of stage 1"
                                             : "waits for AR, 2 surplus of stage 2"), 1);
            for (unsigned sz = 2; sz-- > 0;) {
                cr_assert(t->o->m_arvalid && t->o->m_arlock == 0);
                cr_assert_eq(t->o->m_arid, make_id(t, k, 0));
                cr_assert_eq(t->o->m_araddr, ((uint64_t)g.tea[k][sz] << 12) + (sz ? 0 : 8 * 7));
                t->ar_limit++;
                ticks(t, 1);
            }
            cr_assert_eq(t->o->m_arvalid, k > 0);
            if (k > 0) {
                cr_assert_eq(t->o->m_arid, make_id(t, k - 1, 0));
                cr_assert_eq(t->o->m_araddr, (uint64_t)g.tea[k - 1][2] << 12);
                cr_assert_eq(t->o->resp_valid, 0);
                t->ar_limit++;
            }
        }
        finish_reads(t);
        expect_context(t, 0, "free");
        cr_assert_eq(get(t, HOST(CNT_READ)), 3 * (e + 1));
        cr_assert_eq(get(t, HOST(CNT_TEA)), 1);
        t->ar_limit = 0;
        hit(t, q.va, q.va, e == 2 ? 0x15 : 0x5);
        free_bench(t);
    }
}

/* Surplus reads of the stage that the walk reads for again, in its second pass, come before what it waits for:
 * five reads of one ID. The write's ID is the exclusive read's. */
BOTH(surplus_of_the_same_stage)
{
    for (unsigned late = 0; late < 2; late++) {
        struct dmt_request q = user_read(GUEST_VA);
        struct guest g;
        struct bench *t;
        uint64_t *e;

        new_guest(&g, uncached(cfg.pipe), 4, DMT_MODE_VIRT, 7, 2);
        t = g.t;
        e = &t->word[g.tea[1][2] * 512];
        *e &= ~E_A;
        q.nonspec = true;
        hold(&g, 1, 0, late);
        hold(&g, 1, 1, late);
        drive_request(t, &q, 1);
        tick(t);
        t->in.req_valid = 0;
        if (late) {
            ticks(t, 60);
            cr_assert_eq(t->reads[make_id(t, 1, 0)], 5);
            cr_assert_eq(t->reads[make_id(t, 0, 0)], 0);
            cr_assert_eq(waiting(t, "second pass, stage 1"), 1);
            cr_assert_eq(waiting(t, "waits for R, 2 surplus of stage 1"), 1);
            hold(&g, 1, 0, false);
            hold(&g, 1, 1, false);
        }
        while (!t->o->resp_valid) {
            if (t->o->m_awvalid)
                cr_assert_eq(t->o->m_awid, make_id(t, 1, 0));
            tick(t);
        }
        cr_assert(t->o->resp_status == DMT_STATUS_OK && t->o->resp_pa == GUEST_VA);
        /* Pass, pass with an exclusive read and a write. */
        if (!late)
            cr_assert_eq(t->o->wt_end_clocks, clocks_of(t, 5, 4) + update_clocks(&cfg));
        cr_assert_eq(*e & E_A, E_A);
        finish_reads(t);
        cr_assert_eq(t->most_of_id, late ? 5 : 3);
        cr_assert_eq(get(t, HOST(CNT_READ)), 4 * 3 + 1);
        expect_context(t, 0, "free");
        free_bench(t);
    }
}

/* IDs name the stage whose table holds the entry, the shadow table as stage 1, above the context. */
BOTH(ids)
{
    static const unsigned contexts[] = { 1, 2, 5, 8, 9, 64 };

    for (unsigned c = 0; c < sizeof contexts / sizeof *contexts; c++)
        for (unsigned sets = 1; sets <= 3; sets++)
            for (unsigned mode = DMT_MODE_NATIVE; mode < DMT_MODE_NATIVE + sets; mode++)
                for (unsigned full = 0; full < 2; full++) {
                    struct dmt_config own = *uncached(cfg.pipe);
                    struct dmt_request q = user_read(GUEST_VA);
                    unsigned sent = 0, used = 0, seen = 0;
                    uint64_t id[256];
                    struct bench *t;
                    struct machine m;

                    own.ctx_n = contexts[c];
                    own.sets = sets;
                    t = new_bench(&own, 3);
                    plain_machine(t, &m, mode, full, q.va);
                    drive_request(t, &q, 1);
                    while (!t->o->resp_valid) {
                        if (t->o->m_arvalid)
                            id[sent++] = t->o->m_arid;
                        if (t->o->wt_ref_valid) {
                            cr_assert_eq(id[used], t->o->wt_ref_stage << ctx_width(t), "%lu", id[used]);
                            seen |= 1u << t->o->wt_ref_stage;
                            used++;
                        }
                        tick(t);
                        t->in.req_valid = 0;
                    }
                    cr_assert_eq(t->o->resp_status, DMT_STATUS_OK);
                    cr_assert_eq(seen, mode == DMT_MODE_NATIVE ? 1 : mode == DMT_MODE_VIRT ? 3 : full ? 7 : 6);
                    free_bench(t);
                }
}

/* ------------------------------------------------------------ PIPE = 1 (3.10) */

static struct bench *piped_bench(unsigned L)
{
    struct dmt_config cfg = with_pipe(1);

    return new_bench(&cfg, L);
}

/* A beat that is taken while a step of its own context is executed is executed two clocks later, and
 * none is taken meanwhile; beats of different contexts follow one another. */
Test(cycle, again)
{
    const uint64_t va = 0x40000000;

    for (unsigned k = 1; k <= 3; k++)
        EACH_LATENCY(L) {
            struct bench *t = piped_bench(L);
            struct dmt_request q = user_read(va);
            unsigned stepped[3], n = 0;

            for (unsigned sz = 0; sz < k; sz++)
                t->word[add_tea(t, sz, va, 1 << 18, sz) * 512] = sz ? 0 : 0x77000 | E_LEAF;
            drive_request(t, &q, 1);
            for (unsigned c = 0; c < L + 14; c++) {
                unsigned first = L + 4; /* clock in which the first beat can be taken */
                bool holds = c > first && c < first + 2 * k && (c - first) % 2 == 0;

                cr_assert_eq(t->o->m_rready, !holds, "%u sizes, clock %u", k, c);
                if (t->o->wt_ref_valid)
                    stepped[n++] = c;
                cr_assert_eq(t->o->resp_valid, c == clocks_of(t, 1, 1) + more_sizes(t, k));
                tick(t);
                t->in.req_valid = 0;
            }
            cr_assert_eq(n, k);
            for (unsigned i = 0; i < k; i++)
                cr_assert_eq(stepped[i], clocks_of(t, 1, 1) + 2 * i, "%u sizes, beat %u", k, i);
            free_bench(t);
        }
}

/* That is for one clock only, even when nothing could be executed in it. */
Test(cycle, again_and_no_accept)
{
    const unsigned L = 6;
    const uint64_t va = 0x40000000;
    struct bench *t = piped_bench(L);
    struct dmt_request q = user_read(va);

    for (unsigned sz = 0; sz < 2; sz++)
        t->word[add_tea(t, sz, va, 1 << 18, sz) * 512] = sz ? 0 : 0x77000 | E_LEAF;
    for (unsigned c = 0; c < L + 10; c++) {
        /* The first beat is executed in L + 5, the second one waits in L + 6. Then the second request has two
         * addresses in launch yet, so that the third one cannot leave second, nor the fourth one first. */
        t->in.req_valid = 0;
        if (c == 0 || (c >= L + 3 && c <= L + 5))
            drive_request(t, &q, c & 0xff);
        cr_assert_eq(t->o->wt_req_valid, c == 1 || (c >= L + 4 && c <= L + 6), "clock %u", c);
        cr_assert_eq(t->o->wt_ref_valid, c == L + 6 || c == L + 8, "clock %u", c);
        tick(t);
    }
    free_bench(t);
}

Test(cycle, no_again_between_contexts)
{
    const unsigned L = 4;
    struct bench *t = piped_bench(L);
    struct dmt_request q = user_read(0x400000);

    t->word[add_tea(t, 0, 0x400000, 512, DMT_SIZE_4K) * 512] = 0x77000 | E_LEAF;
    drive_request(t, &q, 1);
    for (unsigned c = 0; c < clocks_of(t, 1, 1) + 4; c++) {
        t->in.req_valid = c < 3;
        cr_assert_eq(t->o->m_rready, 1);
        cr_assert_eq(t->o->resp_valid, c >= clocks_of(t, 1, 1) && c < clocks_of(t, 1, 1) + 3, "clock %u", c);
        tick(t);
    }
    free_bench(t);
}

/* A request that is answered at once waits for any executed step, whatever it comes to. */
BOTH(executed_step_has_the_response_queue)
{
    const unsigned L = 6;
    const uint64_t va = 0x40000000;

    for (unsigned at = 1; at < L + 12; at++) {
        struct bench *t = new_bench(&cfg, L);
        struct dmt_request q = user_read(va), gp = user_read(1ull << 63);
        unsigned last = clocks_of(t, 1, 1) + more_sizes(t, 2) - 1; /* step of the second beat */
        bool waits = at == last || (cfg.pipe && at == last - 2);

        for (unsigned sz = 0; sz < 2; sz++)
            t->word[add_tea(t, sz, va, 1 << 18, sz) * 512] = sz ? 0 : 0x77000 | E_LEAF;
        drive_request(t, &q, 1);
        tick(t);
        t->in.req_valid = 0;
        ticks(t, at - 1);
        drive_request(t, &gp, 2);
        tick(t);
        t->in.req_valid = 0;
        cr_assert_eq(t->o->wt_req_valid, !waits, "clock %u", at);
        ticks(t, waits);
        cr_assert(t->o->wt_end_valid && t->o->wt_end_tag == 2);
        cr_assert_eq(t->o->wt_end_clocks, 1 + waits);
        free_bench(t);
    }
}

/* Matches wait in both places before launch while that has more than one address left, and the next request
 * in the skid behind them. */
Test(cycle, match_waits_for_launch)
{
    struct bench *t = piped_bench(8);
    struct dmt_request big = user_read(0x40000000), q = user_read(0x400000);
    unsigned f = add_tea(t, 3, 0x400000, 512, DMT_SIZE_4K);
    uint64_t ar[12] = { 0 };

    for (unsigned sz = 0; sz < 3; sz++)
        ar[6 - sz] = (uint64_t)add_tea(t, sz, big.va, 1 << 18, sz) << 12;
    t->word[f * 512] = 0x77000 | E_LEAF;
    t->word[ar[6] / 8] = 0x77000 | E_LEAF;
    ar[7] = ar[8] = ar[9] = (uint64_t)f << 12;
    for (unsigned c = 0; c < 12; c++) {
        t->in.req_valid = 0;
        if (c < 4)
            drive_request(t, c ? &q : &big, c);
        /* Launch has three addresses in 3 and one in 5. Till then the second request is in second, the third
         * one in first and the fourth one in the skid. */
        cr_assert_eq(t->o->req_ready, c != 4 && c != 5, "clock %u", c);
        cr_assert_eq(t->o->wt_req_valid, (c >= 1 && c <= 3) || c == 6, "clock %u", c);
        cr_assert_eq(t->o->m_araddr, ar[c], "clock %u", c);
        tick(t);
    }
    free_bench(t);
}

/* What a step sends to launch goes past first when nothing waits there and second is free, and overtakes
 * nothing; without a place for it the step is not executed. */
Test(cycle, addresses_keep_their_order)
{
    enum { L = 8, STEP = L + 5, NONE = 99, REQUESTS = 3 };
    /* Clocks from the one in which the step could be executed: requests, the first one of so many sizes, and
     * when their addresses and that of the step are on the pins. */
    static const struct {
        unsigned sizes;
        int taken[REQUESTS], ar[REQUESTS], step_ar, executed;
    } c[] = {
        { 1, { NONE, NONE, NONE }, { NONE, NONE, NONE }, 3, 0 },
        { 1, { -3, NONE, NONE }, { 1, NONE, NONE }, 3, 0 },
        { 1, { -2, NONE, NONE }, { 2, NONE, NONE }, 3, 0 }, /* leaves second for launch */
        { 1, { -1, NONE, NONE }, { 3, NONE, NONE }, 4, 0 }, /* in first */
        { 1, { 0, NONE, NONE }, { 5, NONE, NONE }, 3, 0 },  /* a step that sends goes before the front */
        { 2, { -3, NONE, NONE }, { 1, NONE, NONE }, 3, 0 },
        { 2, { -3, -2, NONE }, { 1, 3, NONE }, 4, 0 }, /* second does not leave: to first */
        { 2, { -3, -1, NONE }, { 1, 3, NONE }, 4, 0 }, /* first moves, as second has left before */
        { 3, { -3, -2, NONE }, { 1, 4, NONE }, 5, 0 },
        { 3, { -4, -3, NONE }, { 0, 3, NONE }, 4, 0 },
        { 3, { -3, -2, -1 }, { 1, 4, 5 }, 6, 2 }, /* first does not move for two clocks */
    };
    const uint64_t walked = 1ull << 39, sized = 0x40000000, plain = 0x400000;

    for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
        struct bench *t = piped_bench(L);
        struct dmt_request q = user_read(walked);
        uint64_t addr[REQUESTS + 1];
        int ar[REQUESTS + 1] = { NONE, NONE, NONE, NONE }, executed = NONE;

        map(t, walked, 4, 1, 0x77000 | E_LEAF);
        for (unsigned sz = 0; sz < c[i].sizes; sz++)
            addr[0] = (uint64_t)add_tea(t, sz, sized, 1 << 18, sz) << 12;
        addr[1] = (uint64_t)add_tea(t, 3, plain, 512, DMT_SIZE_4K) << 12;
        addr[2] = addr[1] + 8;
        addr[3] = (uint64_t)((char *)entry_of(t, walked, 4, 3) - (char *)t->word);
        drive_request(t, &q, 0);
        for (int now = -STEP; now < 8; now++) {
            for (unsigned n = 0; n < REQUESTS; n++)
                if (now == c[i].taken[n]) {
                    q = user_read(n == 0 ? sized : plain + (n - 1) * 0x1000);
                    cr_assert(t->o->req_ready);
                    drive_request(t, &q, n);
                }
            for (unsigned n = 0; n <= REQUESTS; n++)
                if (t->o->m_arvalid && t->o->m_araddr == addr[n])
                    ar[n] = now;
            if (t->o->wt_ref_valid && executed == NONE)
                executed = now - 1;
            tick(t);
            t->in.req_valid = 0;
        }
        cr_assert_eq(executed, c[i].executed, "case %u: executed in %d", i, executed);
        cr_assert_eq(ar[REQUESTS], c[i].step_ar, "case %u: address of the step in %d", i, ar[REQUESTS]);
        for (unsigned n = 0; n < REQUESTS; n++)
            cr_assert_eq(ar[n], c[i].ar[n], "case %u: request %u in %d", i, n, ar[n]);
        free_bench(t);
    }
}

/* A match is routed by what the caches held when it moved to second, however long it waits there. */
Test(cycle, compared_on_the_way_to_second)
{
    enum { L = 8, STEP = 3 * (L + 4) + 1 }; /* the PD entry's, which is filled: seen two clocks later */
    /* Clocks from the step: a request of three sizes in the way, and the one that is compared. */
    static const struct {
        int blocker, request;
        bool hits;
    } c[] = { { 0, -1, false }, { -2, -1, false }, { -4, -3, false }, { 9, 0, true }, { -3, 0, true } };
    const uint64_t walked = 1ull << 39, sized = 0x40000000;

    for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
        struct bench *t = piped_bench(L);
        struct dmt_request q[2] = { user_read(walked), user_read(walked + 0x1000) }, big = user_read(sized);

        for (unsigned sz = 0; sz < 3; sz++)
            t->word[add_tea(t, sz, sized, 1 << 18, sz) * 512] = sz ? 0 : 0x66000 | E_LEAF;
        for (unsigned n = 0; n < 2; n++)
            map(t, q[n].va, 4, 1, 0x77000 | E_LEAF);
        drive_request(t, &q[0], 0);
        for (int now = -STEP; now < 100; now++) {
            if (now == c[i].blocker)
                drive_request(t, &big, 1);
            if (now == c[i].request)
                drive_request(t, &q[1], 2);
            cr_assert(!t->in.req_valid || t->o->req_ready);
            tick(t);
            t->in.req_valid = 0;
        }
        cr_assert_eq(get(t, HOST(CNT_PWC2)), c[i].hits, "case %u", i);
        cr_assert_eq(get(t, HOST(CNT_PWC3)), !c[i].hits, "case %u", i);
        cr_assert_eq(get(t, HOST(CNT_RADIX)), 2);
        free_bench(t);
    }
}

/* Queued refusals, chains and write answers go before beats, which are not taken meanwhile. */
Test(cycle, read_ready)
{
    const uint64_t va = 0x40000000;
    struct dmt_request q = user_read(va);

    for (unsigned chain = 0; chain < 2; chain++) {
        struct bench *t = piped_bench(20);
        struct machine m;

        plain_machine(t, &m, DMT_MODE_VIRT, false, va);
        cover_memory(t, &m, 0, 1, DMT_KIND_PA);
        cover(t, &m, 1, 0, chain ? DMT_KIND_PA : DMT_KIND_GTEA, va, 1, entry_in(t, &m.v, va, 1), 0);
        if (!chain)
            set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_REVOKE_ALL << 62 | 1 << 12);
        drive_request(t, &q, 1);
        for (unsigned c = 0; c < 14; c++) {
            /* In first in 1, second, launch, emitted, queued in 5, executed in 6; and again up to emitted.
             * The next one is a clock behind. */
            t->in.req_valid = c < 2;
            cr_assert_eq(t->o->m_rready, c != 5 && c != 6, "chain %u, clock %u", chain, c);
            cr_assert_eq(t->o->resp_valid, !chain && (c == 7 || c == 8));
            cr_assert_eq(t->o->m_arvalid, chain && (c == 6 + 4 || c == 6 + 5));
            tick(t);
        }
        free_bench(t);
    }
    for (unsigned lost = 0; lost < 2; lost++) {
        struct bench *t = piped_bench(2);
        unsigned f = add_tea(t, 0, va, 512, DMT_SIZE_4K), queued = ~0u;

        q = user_write(va);
        t->word[f * 512] = 0x77000 | E_TABLE;
        t->lose = lost;
        drive_request(t, &q, 1);
        for (unsigned c = 0; c < 24; c++) { /* not to the answer of the next write */
            cr_assert_eq(t->o->m_rready, c != queued, "lost %u, clock %u", lost, c);
            drive_memory(t);
            if (t->in.m_bvalid && queued == ~0u)
                queued = c + 1;
            cr_assert_eq(t->o->wt_upd_valid, queued != ~0u && c == queued + 2, "clock %u", c);
            tick(t);
            t->in.req_valid = 0;
        }
        cr_assert_neq(queued, ~0u);
        free_bench(t);
    }
}

/* A refusal that comes to its queue together with a write answer goes first. */
Test(cycle, refusal_before_write_answer)
{
    const uint64_t va = 0x40000000;
    unsigned together = 0;

    for (unsigned taken = 1; taken < 30; taken++) {
        struct bench *t = piped_bench(2);
        struct dmt_request refused = user_read(va), q = user_write(va + 0x200000);
        unsigned came = 0, updated = 0, ended = 0;
        struct machine m;
        uint64_t *e;

        plain_machine(t, &m, DMT_MODE_VIRT, false, va);
        set(t, HOST(CTL), DMT_MODE_VIRT | 4);
        cover_memory(t, &m, 0, 1, DMT_KIND_PA);
        e = entry_in(t, &m.v, q.va, 1);
        *e = (space[1] + 7) << 12 | E_LEAF;
        /* The last leaf lacks D, so it is written. */
        for (unsigned i = 0; i < 512; i++)
            t->word[frame_of(t, entry_in(t, &m.s0, space[1] << 12, 1)) * 512 + i] &= ~(uint64_t)EPT_D;
        m.s.s2[0].ad = true;
        set(t, DMT_LEVEL_S2CTL, s2_control(&m.s.s2[0]));
        cover(t, &m, 1, 0, DMT_KIND_GTEA, q.va, 1, e, 0);
        m.s.tea[1][2] = m.s.tea[1][0];
        m.s.tea[1][2].base_vpn = va >> 12;
        m.s.tea[1][2].gtea = 200;
        load_tea(t, &m, 1, 2);
        for (unsigned c = 0; c < 60; c++) {
            t->in.req_valid = 0;
            if (c == 0 || c == taken)
                drive_request(t, c ? &refused : &q, c);
            drive_memory(t);
            came = t->in.m_bvalid && !came ? c : came;
            updated = t->o->wt_upd_valid && !updated ? c : updated;
            ended = t->o->wt_end_valid && t->o->wt_end_status == DMT_STATUS_GTEA ? c : ended;
            tick(t);
        }
        cr_assert(came && updated && ended, "taken in %u: %u %u %u", taken, came, updated, ended);
        /* Both queued in came + 1. */
        if (taken + 5 == came + 1) {
            cr_assert(ended == came + 3 && updated == came + 4, "%u %u %u", came, updated, ended);
            together++;
        }
        free_bench(t);
    }
    cr_assert_eq(together, 1);
}

/* Answers are not taken: refusals queue up without being in the way of launch, as many as there are
 * contexts, and come out in order. */
Test(cycle, refusals_queue)
{
    const uint64_t va = 0x40000000;
    struct bench *t = piped_bench(2);
    struct dmt_request q = user_read(va), gp = user_read(1ull << 63);
    unsigned taken = 0, done = 0;
    struct machine m;

    plain_machine(t, &m, DMT_MODE_VIRT, false, va);
    m.s.tea[1][0] = (struct dmt_tea){ .base_vpn = va >> 12, .pages = 1, .allow = 7, .kind = 1, .gtea = 200 };
    load_tea(t, &m, 1, 0);
    t->in.resp_ready = 0;
    for (unsigned c = 0; c < 40; c++) {
        drive_request(t, taken < 2 ? &gp : &q, taken);
        taken += (unsigned)t->o->req_ready;
        tick(t);
    }
    t->in.req_valid = 0;
    cr_assert_eq(taken, 2 + 8 + 1, "two answered, eight contexts, one in the skid");
    cr_assert_eq(waiting(t, "waits for room for its refusal"), 8);
    cr_assert(!t->o->req_ready && !t->o->m_rready);
    t->in.resp_ready = 1;
    while (done < taken) {
        if (t->o->resp_valid) {
            cr_assert_eq(t->o->resp_tag, done);
            cr_assert_eq(t->o->resp_status, done < 2 ? DMT_STATUS_GP : DMT_STATUS_GTEA);
            done++;
        }
        tick(t);
    }
    free_bench(t);
}

/* Everything that can be full is: launch with several sizes, first and second, step, the queue of refusals
 * and chains, answers that are not taken. It all comes to its end, and to the right one. */
Test(cycle, full_of_everything, .timeout = 60)
{
    enum { REQUESTS = 2000, TAGS = 256, KINDS = 4 };
    const uint64_t va = 0x40000000;
    unsigned both = 0, most = 0, all = 0;

    for (unsigned seed = 1; seed <= 6; seed++) {
        struct dmt_config cfg = with_pipe(1);
        unsigned started = 0, done = 0;
        bool busy[TAGS] = { false };
        struct bench *t;
        struct machine m;
        uint64_t none;

        cfg.ctx_n = seed % 3 == 0 ? 64 : seed % 3 == 1 ? 16 : 5;
        cfg.tag_w = 8;
        t = new_bench(&cfg, 1 + seed % 2 * 6);
        diversify(t, seed);
        plain_machine(t, &m, DMT_MODE_VIRT, false, va);
        none = t->frames++ * 512;
        cover_memory(t, &m, 0, 1, DMT_KIND_PA);
        /* Kinds of requests, 2 MiB apart: three sizes at once, two of which are empty; a chain; a
         * refusal; a restart, whose tables are located one after another. */
        for (unsigned i = 0; i < KINDS; i++)
            *entry_in(t, &m.v, va + i * 0x200000, 1) = (space[1] + 7 + i) << 12 | E_LEAF;
        cover(t, &m, 1, 0, DMT_KIND_GTEA, va, 1, entry_in(t, &m.v, va, 1), 0);
        cover(t, &m, 1, 1, DMT_KIND_GTEA, va, 512, &t->word[none], 1);
        cover(t, &m, 1, 2, DMT_KIND_GTEA, va, 512, &t->word[none], 2);
        cover(t, &m, 1, 3, DMT_KIND_PA, va + 0x200000, 1, entry_in(t, &m.v, va + 0x200000, 1), 0);
        cover(t, &m, 1, 4, DMT_KIND_GTEA, va + 0x400000, 1, entry_in(t, &m.v, va + 0x400000, 1), 0);
        set(t, HOST(GTEA_CMD), (uint64_t)DMT_GTEA_OP_REVOKE << 62 | 1 << 12 | 14);
        cover(t, &m, 1, 5, DMT_KIND_GTEA, va + 0x600000, 1, &t->word[none], 0);
        /* The sizes 1 and 2 cover va only. */
        for (unsigned i = 1; i < 3; i++) {
            m.s.tea[1][i].pages = 1;
            load_tea(t, &m, 1, i);
        }
        t->jitter = 1 + seed % 4 * 20;
        t->pressure = seed % 2 * 40;
        while (done < REQUESTS) {
            unsigned tag = started % TAGS;

            if (!t->in.req_valid && started < REQUESTS && !busy[tag]) {
                struct dmt_request q = user_read(va + rnd(t) % KINDS * 0x200000);

                drive_request(t, &q, tag);
                busy[tag] = true;
            }
            t->in.resp_ready = t->now / 64 % 2 && ready(t);
            if (t->o->resp_valid && t->in.resp_ready) {
                bool refused = t->o->resp_status == DMT_STATUS_GTEA;

                cr_assert(busy[t->o->resp_tag]);
                busy[t->o->resp_tag] = false;
                cr_assert(refused ? t->o->resp_addr == va + 0x400000
                                  : t->o->resp_status == DMT_STATUS_OK && t->o->resp_pa >> 12 >= 7
                                        && t->o->resp_pa >> 12 < 7 + KINDS && t->o->resp_pa != 9 << 12);
                done++;
            }
            if (t->now % 16 == 0) {
                unsigned queued = waiting(t, "for chain") + waiting(t, "for room for its refusal");
                bool ahead = waiting(t, "waits for match") || waiting(t, "waits for room in launch");

                most = queued > most ? queued : most;
                both += queued && ahead;
                all += queued && ahead && waiting(t, "waits for launch") && waiting(t, "waits for step, R");
            }
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
        cr_assert_eq(waiting(t, "free"), cfg.ctx_n);
        cr_assert_eq(get(t, HOST(CNT_REQUEST)), REQUESTS);
        free_bench(t);
    }
    cr_assert(both > 50 && most > 8 && all > 10, "%u %u %u", both, most, all);
}

/* What a walk came to and what it read, in a word: the same with and without PIPE, if nothing is cached. */
static void fates(const struct dmt_config *cfg, unsigned mode, uint64_t seed, unsigned n, uint64_t fate[])
{
    struct bench *t = new_bench(cfg, 3);
    struct machine m;
    struct dmt_request q = { 0 };
    unsigned taken = 0, done = 0;
    const uint64_t first = seed * 0x1234567;

    diversify(t, seed);
    t->small = true;
    random_machine(t, &m, mode);
    set(t, HOST(CTL), mode | m.s.full << 3); /* no updates: walks do not depend on each other */
    while (done < n) {
        const struct dmt_out *o = t->o;

        t->seed = first + taken * 0x9e3779b9ull; /* the same requests whatever the clock is */
        rnd(t);
        q = random_request(t);
        drive_request(t, &q, 0);
        t->in.req_valid = taken < n;
        t->seed = first + t->now * 0x85ebca6bull;
        t->in.resp_ready = rnd(t) % 3 > 0;
        taken += t->in.req_valid && o->req_ready;
        tick(t);
#define MIX(order, value) fate[order] = (fate[order] ^ (value)) * 0x100000001b3ull
        if (o->wt_ref_valid) {
            MIX(o->wt_ref_order, o->wt_ref_addr);
            MIX(o->wt_ref_order, o->wt_ref_data ^ o->wt_ref_resp);
            MIX(o->wt_ref_order,
                o->wt_ref_stage | o->wt_ref_level << 2 | o->wt_ref_tea << 8 | o->wt_ref_index << 9);
        }
        if (o->wt_end_valid) {
            MIX(o->wt_end_order, o->wt_end_status | o->wt_end_stage << 8 | o->wt_end_size << 16);
            MIX(o->wt_end_order, o->wt_end_pa);
            MIX(o->wt_end_order, o->wt_end_addr);
            MIX(o->wt_end_order, o->wt_end_error);
            MIX(o->wt_end_order, o->wt_end_path | o->wt_end_index << 8 | o->wt_end_rights << 32);
            done++;
        }
#undef MIX
    }
    free_bench(t);
}

Test(cycle, same_walks_with_pipe)
{
    enum { WALKS = 400 };

    for (unsigned mode = DMT_MODE_NATIVE + 1; mode <= DMT_MODE_NESTED; mode++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            uint64_t fate[2][WALKS] = { { 0 } };

            for (unsigned pipe = 0; pipe < 2; pipe++) {
                struct dmt_config cfg = *uncached(pipe);

                cfg.pa_w = 46;
                fates(&cfg, mode, seed, WALKS, fate[pipe]);
            }
            for (unsigned i = 0; i < WALKS; i++)
                cr_assert_eq(fate[0][i], fate[1][i], "mode %u, seed %lu, walk %u", mode, seed, i);
        }
}

/* ------------------------------------------------------------ the rest of the interface */

/* {stage, context}: 0, 1, 2 bits and 1 to 6. */
Test(cycle, id_width)
{
    for (unsigned sets = 1; sets <= 3; sets++)
        for (unsigned ctx_n = 1; ctx_n <= 64; ctx_n++) {
            struct dmt_config cfg = standard;
            unsigned w = ctx_n > 32 ? 6 : ctx_n > 16 ? 5 : ctx_n > 8 ? 4 : ctx_n > 4 ? 3 : ctx_n > 2 ? 2 : 1;

            cfg.ctx_n = ctx_n;
            cfg.sets = sets;
            cr_assert_eq(dmt_config_id_width(&cfg), sets - 1 + w, "%u contexts, %u sets", ctx_n, sets);
        }
}

Test(cycle, parameters)
{
    static const struct {
        size_t at;
        unsigned low, high;
    } p[] = {
        { offsetof(struct dmt_config, pa_w), 32, 52 },   { offsetof(struct dmt_config, ctx_n), 1, 64 },
        { offsetof(struct dmt_config, tea_n), 2, 64 },   { offsetof(struct dmt_config, sets), 1, 3 },
        { offsetof(struct dmt_config, pwc4_n), 0, 64 },  { offsetof(struct dmt_config, pwc3_n), 0, 64 },
        { offsetof(struct dmt_config, pwc2_n), 0, 64 },  { offsetof(struct dmt_config, tag_w), 1, 16 },
        { offsetof(struct dmt_config, cnt_w), 0, 63 },   { offsetof(struct dmt_config, npwc4_n), 0, 64 },
        { offsetof(struct dmt_config, npwc3_n), 0, 64 }, { offsetof(struct dmt_config, npwc2_n), 0, 64 },
        { offsetof(struct dmt_config, pipe), 0, 1 },
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
BOTH(reset)
{
    struct bench *t = new_bench(&cfg, 8);
    struct dmt_cycle *fresh = dmt_cycle_new(&cfg);
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

BOTH(describe)
{
    struct bench *t = new_bench(&cfg, 8);
    struct dmt_request q = user_write(0x400000);
    char s[512];
    unsigned f = add_tea(t, 3, 0x400000, 512, DMT_SIZE_4K);

    t->word[f * 512] = E_TABLE;
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_str_eq(s, "context 0: free");
    drive_request(t, &q, 7);
    tick(t);
    t->in.req_valid = 0;
    for (unsigned place = 0; cfg.pipe && place < 2; place++) {
        dmt_cycle_describe(t->m, 0, s, sizeof s);
        cr_assert_not_null(strstr(s, "waits for match"), "%s", s);
        tick(t);
    }
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_not_null(strstr(s, "tag 0x7 write va 0x0000000000400000 path TEA, first pass"), "%s", s);
    cr_assert_not_null(strstr(s, "register 3"), "%s", s);
    cr_assert_not_null(strstr(s, "waits for launch"), "%s", s);
    ticks(t, 1 + cfg.pipe); /* emitted */
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_not_null(strstr(s, "waits for R"), "%s", s);
    while (t->beats_r == 0)
        tick(t);
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_not_null(strstr(s, cfg.pipe ? "waits for step, R" : "exclusive read 1 of 1"), "%s", s);
    while (!t->o->m_awvalid)
        tick(t);
    dmt_cycle_describe(t->m, 0, s, sizeof s);
    cr_assert_not_null(strstr(s, "exclusive read 1 of 1"), "%s", s);
    cr_assert_not_null(strstr(s, "waits for AW, W"), "%s", s);
    tick(t);
    cr_assert_eq((size_t)dmt_cycle_describe(t->m, 0, s, sizeof s), strlen(s));
    cr_assert_not_null(strstr(s, "waits for B"), "%s", s);
    cr_assert_null(strchr(s, '\n'));
    cr_assert_gt(dmt_cycle_describe(t->m, 0, s, 4), 4);
    free_bench(t);
}

/* Copied in any clock of two walks, the second from what the first has cached, it goes on as the model does. */
Test(cycle, a_copy_goes_on_as_the_model_does)
{
    struct dmt_request q[2] = { user_write(0x400000), user_write(0x401000) };

    for (unsigned at = 0; at < 60; at++) {
        struct bench *t = new_bench(&standard, 3);
        struct dmt_cycle *copy = NULL;
        unsigned answers = 0;

        map(t, q[0].va, 4, 1, 0x1000 | (E_LEAF & ~E_D));
        map(t, q[1].va, 4, 1, 0x2000 | (E_LEAF & ~E_D));
        for (unsigned clock = 0; clock < 100; clock++) {
            t->in.req_valid = 0;
            if (clock == 0 || clock == 40)
                drive_request(t, &q[clock / 40], clock);
            if (clock == at) {
                copy = dmt_cycle_clone(t->m);
                cr_assert(copy && dmt_cycle_state(copy)->level[0].cr3 == ROOT << 12);
            }
            if (copy)
                cr_assert_eq(memcmp(dmt_cycle_out(copy), t->o, sizeof *t->o), 0, "copied in %u: clock %u", at,
                             clock);
            answers += t->o->resp_valid;
            tick(t);
            if (copy)
                dmt_cycle_edge(copy, &t->last_in, false);
        }
        cr_assert_eq(answers, 2);
        cr_assert_eq(get(t, HOST(CNT_PWC2)), 1);
        dmt_cycle_free(copy);
        free_bench(t);
    }
}
