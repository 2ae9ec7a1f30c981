/* SPDX-License-Identifier: Apache-2.0 */
#include "drive.h"
#include "dmt/regs.h"
#include "tb/csr.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE    20000 /* clocks that count as a hang */
#define FIRST_FRAME 0x1000

/* ---------------------------------------------------------------- making one */

struct drive *drive_new_config(enum drive_engine engine, const char *config, unsigned latency)
{
    struct drive *d = calloc(1, sizeof *d);
    const struct dut_ops *rtl = dut_rtl_find(config);

    must(d && rtl, "no RTL configuration \"%s\"", config);
    d->engine = engine;
    d->config = rtl->config;
    d->mem = dmt_mem_new();
    d->pool = (struct dmt_pool){.mem = d->mem, .next = FIRST_FRAME, .limit = 1 << 20};
    d->latency = latency;
    d->idle_noise = true;
    rng_seed(&d->rng, latency, engine);
    dmt_state_reset(&d->state, d->config.pa_w);
    if (engine != DRIVE_ARCH) {
        struct dmt_in in = {0};

        d->ops = engine == DRIVE_RTL ? rtl : &dut_cycle;
        d->dut = d->ops->create(&d->config);
        must(d->dut);
        d->ops->edge(d->dut, &in, true);
    }
    return d;
}

struct drive *drive_new(enum drive_engine engine, unsigned latency)
{
    return drive_new_config(engine, "default", latency);
}

void drive_free(struct drive *d)
{
    if (d->dut)
        d->ops->destroy(d->dut);
    dmt_mem_free(d->mem);
    free(d);
}

static bool csr_idle_now(const struct drive *d)
{
    return d->csr_done == d->csrs;
}

static bool port_idle(const struct drive *d)
{
    return !d->reads && !d->r.valid && !d->aws && !d->ws && !d->writes && !d->b.valid;
}

void drive_clear(struct drive *d)
{
    must(d->answered == d->walks && csr_idle_now(d) && port_idle(d), "cleared under way");
    d->order += d->walks;
    d->walks = d->taken = d->ended = d->answered = 0;
    d->events = 0;
    d->csrs = d->aw_sent = d->w_sent = d->csr_done = 0;
}

/* ---------------------------------------------------------------- tables and registers */

struct dmt_table drive_table(struct drive *d, unsigned levels)
{
    struct dmt_frames frames = {&d->pool, dmt_pool_alloc};
    struct dmt_table t;

    must(dmt_table_new(&t, d->mem, levels, &frames));
    return t;
}

struct dmt_lookup drive_map(struct drive *d, struct dmt_table *t, uint64_t va, uint64_t pa, unsigned sz,
                            uint64_t flags)
{
    struct dmt_frames frames = {&d->pool, dmt_pool_alloc};
    struct dmt_lookup l;

    must(dmt_table_map(t, va, pa, sz, flags, &frames) == DMT_MAP_OK, "cannot map %" PRIx64, va);
    dmt_table_lookup(t, va, &l);
    must(l.present && l.sz == sz);
    return l;
}

struct dmt_state drive_native(const struct drive *d, const struct dmt_table *t)
{
    struct dmt_state s;

    dmt_state_reset(&s, d->config.pa_w);
    s.mode = DMT_MODE_NATIVE;
    s.level[0].cr3 = t->root << 12;
    s.level[0].cr4 = t->levels == 5 ? DMT_LEVEL_CR4_LA57_MASK : 0;
    s.level[0].efer = DMT_LEVEL_EFER_NXE_MASK;
    return s;
}

struct dmt_tea drive_cover(uint64_t va, uint64_t pages, unsigned sz, uint64_t entry_pa)
{
    uint64_t first = (va >> 12) >> 9 * sz, before = (entry_pa & 0xfff) / 8;

    return (struct dmt_tea){
        .base_vpn = (first - before) << 9 * sz,
        .pages = (before << 9 * sz) + pages,
        .base_pfn = entry_pa >> 12,
        .sz = (uint8_t)sz,
        .allow = 7,
        .valid = true,
    };
}

void drive_load(struct drive *d, const struct dmt_state *state)
{
    static struct csr queue;
    const char *missing;

    d->cache_next = 0;
    memset(d->cache, 0, sizeof d->cache);
    if (d->engine == DRIVE_ARCH) {
        d->state = *state;
        return;
    }
    drive_clear(d);
    csr_reset(&queue, 0);
    missing = csr_program(&queue, &d->config, &d->state, state);
    must(!missing, "%s", missing);
    for (unsigned i = 0; i < queue.writes; i++)
        drive_write(d, queue.write[i].addr, queue.write[i].data);
    drive_run(d);
    for (unsigned i = 0; i < d->csrs; i++)
        must(d->csr[i].resp == DMT_RESP_OKAY, "register %x", d->csr[i].addr);
    for (unsigned k = 0; k < d->config.sets; k++)
        for (unsigned i = 0; i < d->config.tea_n; i++)
            if (state->tea[k][i].valid)
                must(drive_read(d, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD3(i)) ==
                         (DMT_TEA_WORD3_VALID_MASK |
                          (uint64_t)state->tea[k][i].resolution << DMT_TEA_WORD3_RESOLUTION_LSB),
                     "register %u of set %u was refused, or resolved otherwise", i, k);
    drive_clear(d);
}

void drive_invalidate(struct drive *d)
{
    memset(d->cache, 0, sizeof d->cache);
    if (d->engine == DRIVE_ARCH)
        return;
    drive_write(d, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
    if (d->config.sets > 1)
        drive_write(d, DMT_LEVEL_INV, (uint64_t)DMT_INV_S2_ALL << DMT_LEVEL_INV_KIND_LSB);
    drive_run(d);
    drive_clear(d);
}

static enum dmt_resp table_read(void *user, uint64_t addr, uint64_t *data)
{
    return dmt_mem_read(user, addr, data) ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}

void drive_resolve(const struct drive *d, struct dmt_state *state)
{
    for (unsigned k = 1; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            struct dmt_tea *t = &state->tea[k][i];

            if (t->valid && t->kind == DMT_KIND_GTEA)
                t->resolution = dmt_gtea_resolve(state, k, t->gtea, table_read, d->mem, &t->gtea_base,
                                                 &t->gtea_pages);
        }
    }
}

/* ---------------------------------------------------------------- memory */

void drive_poke(struct drive *d, uint64_t pa, uint64_t value)
{
    must(dmt_mem_add(d->mem, pa >> 12));
    dmt_mem_write(d->mem, pa, value);
    for (unsigned i = 0; i < DRIVE_IDS; i++)
        if (d->reservation[i] == pa)
            d->reserved[i] = false;
}

uint64_t drive_peek(const struct drive *d, uint64_t pa)
{
    uint64_t v = 0;

    must(dmt_mem_read(d->mem, pa, &v), "no memory at %" PRIx64, pa);
    return v;
}

void drive_fault(struct drive *d, struct drive_fault fault)
{
    must(d->faults < DRIVE_FAULTS, "too many faults");
    d->fault[d->faults++] = fault;
}

/* The memory reads or writes the word: the one place for all engines. */
static enum dmt_resp memory_acts(struct drive *d, unsigned kind, unsigned id, uint64_t addr, uint64_t *data)
{
    enum dmt_resp resp = kind == DRIVE_READ ? DMT_RESP_OKAY : DMT_RESP_EXOKAY;
    uint64_t old;
    bool dictated = false;

    for (unsigned i = 0; i < d->faults && !dictated; i++) {
        struct drive_fault *f = &d->fault[i];

        if (!(f->kinds & kind) || (f->addr != DRIVE_ANY && f->addr != addr) || !f->times)
            continue;
        if (f->skip) {
            f->skip--;
            continue;
        }
        f->times--;
        resp = f->resp;
        if (kind != DRIVE_WRITE)
            *data = f->data;
        dictated = true;
    }
    if (!dictated) {
        if (!dmt_mem_read(d->mem, addr, &old))
            resp = DMT_RESP_DECERR;
        else if (kind == DRIVE_WRITE && (!d->reserved[id] || d->reservation[id] != addr))
            resp = DMT_RESP_OKAY;
        else if (kind == DRIVE_WRITE)
            drive_poke(d, addr, *data);
        else
            *data = old;
        if (kind == DRIVE_EXREAD && resp == DMT_RESP_EXOKAY) {
            d->reserved[id] = true;
            d->reservation[id] = addr;
        }
    }
    if (kind == DRIVE_WRITE)
        d->reserved[id] = false;
    must(d->events < DRIVE_LOG);
    d->event[d->events++] = (struct drive_event){
        .clock = d->now,
        .addr = addr,
        .data = *data,
        .kind = (uint8_t)kind,
        .resp = (uint8_t)resp,
        .id = (uint8_t)id,
    };
    return resp;
}

/* ---------------------------------------------------------------- the architectural model */

static enum dmt_resp arch_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct drive *d = user;

    *data = 0;
    return memory_acts(d, ref->exclusive ? DRIVE_EXREAD : DRIVE_READ, 0, ref->addr, data);
}

static enum dmt_resp arch_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return memory_acts(user, DRIVE_WRITE, 0, ref->addr, &data);
}

/* A paging-structure cache as the specification's section 6 allows it. */
static bool arch_start(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table,
                       uint8_t *rights)
{
    struct drive *d = user;
    bool found = false;

    for (unsigned i = 0; i < DRIVE_CACHE; i++) {
        if (!d->cache[i].valid || d->cache[i].stage != stage ||
            d->cache[i].prefix != (va << 7) >> (9 * d->cache[i].level + 10) ||
            (found && d->cache[i].level - 1 >= *level))
            continue;
        *level = d->cache[i].level - 1;
        *table = d->cache[i].table;
        *rights = d->cache[i].rights;
        found = true;
    }
    return found;
}

static void arch_fill(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights)
{
    struct drive *d = user;
    uint64_t prefix = (va << 7) >> (9 * level + 10);
    unsigned at = d->cache_next;

    for (unsigned i = 0; i < DRIVE_CACHE; i++)
        if (d->cache[i].valid && d->cache[i].stage == stage && d->cache[i].level == level &&
            d->cache[i].prefix == prefix)
            at = i;
    if (at == d->cache_next)
        d->cache_next = (d->cache_next + 1) % DRIVE_CACHE;
    d->cache[at].prefix = prefix;
    d->cache[at].table = table;
    d->cache[at].stage = stage;
    d->cache[at].level = level;
    d->cache[at].rights = rights;
    d->cache[at].valid = true;
}

struct dmt_result drive_judge(const struct drive *d, const struct dmt_state *state,
                              const struct dmt_request *request)
{
    struct drive *scratch = calloc(1, sizeof *scratch);
    struct dmt_port port = {.user = scratch, .read = arch_read, .write = arch_write};
    struct dmt_result r;

    must(scratch);
    scratch->mem = dmt_mem_clone(d->mem);
    dmt_arch_translate(state, request, &port, &r);
    dmt_mem_free(scratch->mem);
    free(scratch);
    return r;
}

/* ---------------------------------------------------------------- answers */

bool drive_same(const struct dmt_result *a, const struct dmt_result *b)
{
    return a->status == b->status && a->pa == b->pa && a->size == b->size && a->rights == b->rights &&
           a->global == b->global && a->pkey == b->pkey && a->memtype == b->memtype && a->dirty == b->dirty &&
           a->ad_needed == b->ad_needed && a->error == b->error && a->addr == b->addr && a->stage == b->stage;
}

const char *drive_text(const struct dmt_result *r)
{
    static const char *const status[] = {"OK",   "GP",  "PF",   "EPT_VIOLATION", "EPT_MISCONFIG", "NPT_FAULT",
                                         "GTEA", "BUS", "RETRY"};
    static char text[4][320];
    static unsigned next;
    char *t = text[next++ & 3];

    snprintf(t, sizeof text[0],
             "%s pa=%" PRIx64 " size=%u rights=%u g=%u key=%u mt=%u d=%u adn=%u err=%" PRIx64
             " addr=%" PRIx64 " stage=%u (path %u %u %u, %u reads, %u updates)",
             r->status <= DMT_STATUS_RETRY ? status[r->status] : "?", r->pa, r->size, r->rights, r->global,
             r->pkey, r->memtype, r->dirty, r->ad_needed, r->error, r->addr, r->stage, r->path[0], r->path[1],
             r->path[2], r->reads, r->updates);
    return t;
}

/* The codes of second-stage faults (specification 11). */
static void expect_legal_s2(const struct drive_walk *w, unsigned entering)
{
    const struct dmt_result *r = &w->result;
    bool write = w->request.access == DMT_ACCESS_WRITE, fetch = w->request.access == DMT_ACCESS_EXECUTE;
    bool final;

    must(r->stage < entering, "a second stage that is none: %s", drive_text(r));
    switch (r->status) {
    case DMT_STATUS_EPT_VIOLATION:
        final = r->error >> 8 & 1;
        must(r->error >> 9 == 0 && (r->error >> 7 & 1), "%s", drive_text(r));
        must(final ? (r->error & 7) == (fetch ? 4u : write ? 2u : 1u) : (r->error & 5) == 1, "%s",
             drive_text(r));
        break;
    case DMT_STATUS_EPT_MISCONFIG:
        must(r->error == 0, "%s", drive_text(r));
        break;
    default:
        final = r->error >> 32 & 1;
        must((r->error & ~0x300000000ull) < 32 && (r->error & 4) && final != (r->error >> 33 & 1), "%s",
             drive_text(r));
        must(!(r->error & 8) || (r->error & 1), "reserved without present: %s", drive_text(r));
        must((r->error >> 1 & 1) == (!final || write) && (r->error >> 4 & 1) == (final && fetch), "%s",
             drive_text(r));
    }
}

/* P18: an answer is one that exists. */
static void expect_legal(const struct drive *d, const struct drive_walk *w)
{
    const struct dmt_result *r = &w->result;
    bool write = w->request.access == DMT_ACCESS_WRITE, fetch = w->request.access == DMT_ACCESS_EXECUTE;
    bool user = w->request.cpl == 3 && !w->request.implicit;
    struct dmt_result only = {.status = r->status};
    unsigned entering = 0;

    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        if (r->path[k] != DMT_PATH_NOT_USED)
            entering = k;
        must(r->path[k] == DMT_PATH_TEA ? r->index[k] < d->config.tea_n : r->index[k] == 0, "%s",
             drive_text(r));
    }
    switch (r->status) {
    case DMT_STATUS_OK:
        only = *r;
        only.error = 0;
        only.stage = 0;
        if (entering == 0)
            only.addr = 0;
        must(r->size <= DMT_SIZE_1G && r->rights <= (entering ? 15 : 7) && r->memtype <= (entering ? 127 : 7),
             "%s", drive_text(r));
        break;
    case DMT_STATUS_GP:
        only.addr = w->request.va;
        break;
    case DMT_STATUS_PF:
        only.addr = w->request.va;
        only.error = r->error;
        only.stage = (uint8_t)entering;
        must(r->error >> 6 == 0, "%s", drive_text(r));
        must((r->error >> 1 & 1) == write, "%s", drive_text(r));
        must((r->error >> 2 & 1) == user, "%s", drive_text(r));
        must(!(r->error & 8) || (r->error & 1), "reserved without present: %s", drive_text(r));
        must(!(r->error & 16) || fetch, "%s", drive_text(r));
        must(!(r->error & 32) || (r->error & 9) == 1, "key without rights fault: %s", drive_text(r));
        must(!(r->error & 32) || !fetch, "key on a fetch: %s", drive_text(r));
        break;
    case DMT_STATUS_EPT_VIOLATION:
    case DMT_STATUS_EPT_MISCONFIG:
    case DMT_STATUS_NPT_FAULT:
        expect_legal_s2(w, entering);
        only.addr = r->addr;
        only.error = r->error;
        only.stage = r->stage;
        break;
    case DMT_STATUS_GTEA:
        only.addr = r->addr;
        only.error = r->error;
        only.stage = r->stage;
        must(r->stage > 0 && r->stage <= entering && r->error >> 19 == 0 &&
                 r->path[r->stage] == DMT_PATH_TEA && r->index[r->stage] == (r->error >> 12 & 63),
             "%s", drive_text(r));
        break;
    case DMT_STATUS_BUS:
        only.addr = r->addr;
        only.error = r->error;
        only.stage = r->stage;
        must((r->addr & 7) == 0 && r->stage <= entering &&
                 (r->error == 0 || r->error == 2 || r->error == 3 || r->error == 6 || r->error == 7),
             "%s", drive_text(r));
        break;
    default:
        must(r->status == DMT_STATUS_RETRY, "status %u", r->status);
    }
    must(drive_same(r, &only), "a field that the status does not have: %s", drive_text(r));
}

const struct dmt_result *drive_translate(struct drive *d, const struct dmt_request *request)
{
    bool caches = d->config.pwc2_n != 0;
    struct dmt_port port = {d, arch_read, arch_write, caches ? arch_start : NULL, caches ? arch_fill : NULL, NULL};
    struct drive_walk *w;

    drive_clear(d);
    if (d->engine != DRIVE_ARCH) {
        drive_ask(d, request);
        drive_run(d);
        return &d->walk[0].result;
    }
    w = &d->walk[0];
    memset(w, 0, sizeof *w);
    w->request = *request;
    dmt_arch_translate(&d->state, request, &port, &w->result);
    w->first_ref = d->events ? d->event[0].addr : DRIVE_ANY;
    d->walks = d->taken = d->ended = d->answered = 1;
    expect_legal(d, w);
    return &w->result;
}

/* ---------------------------------------------------------------- clock by clock */

unsigned drive_ask(struct drive *d, const struct dmt_request *request)
{
    struct drive_walk *w = &d->walk[d->walks];

    must(d->walks < DRIVE_LOG);
    memset(w, 0, sizeof *w);
    w->request = *request;
    w->tag = (uint16_t)((d->order + d->walks) & ((1u << d->config.tag_w) - 1));
    w->first_ref = DRIVE_ANY;
    return d->walks++;
}

unsigned drive_write(struct drive *d, unsigned addr, uint64_t data)
{
    must(d->csrs < DRIVE_LOG);
    d->csr[d->csrs] = (struct drive_csr){
        .addr = (uint16_t)addr,
        .data = data,
        .strb = 0xff,
        .aw_from = d->now + (d->csr_skew < 0 ? (unsigned)-d->csr_skew : 0),
        .w_from = d->now + (d->csr_skew > 0 ? (unsigned)d->csr_skew : 0),
    };
    return d->csrs++;
}

static void noise(struct drive *d, struct dmt_in *in)
{
    in->req_tag = rng_next(&d->rng);
    in->req_va = rng_next(&d->rng);
    in->req_access = rng_next(&d->rng) & 3;
    in->req_cpl = rng_next(&d->rng) & 3;
    in->req_ac = rng_next(&d->rng) & 1;
    in->req_implicit = rng_next(&d->rng) & 1;
    in->req_nonspec = rng_next(&d->rng) & 1;
    in->m_rid = rng_next(&d->rng) & 255;
    in->m_rdata = rng_next(&d->rng);
    in->m_rresp = rng_next(&d->rng) & 3;
    in->m_rlast = rng_next(&d->rng) & 1;
    in->m_bid = rng_next(&d->rng) & 255;
    in->m_bresp = rng_next(&d->rng) & 3;
    in->s_awaddr = rng_next(&d->rng) & 0x3fff;
    in->s_wdata = rng_next(&d->rng);
    in->s_wstrb = rng_next(&d->rng) & 0xff;
    in->s_araddr = rng_next(&d->rng) & 0x3fff;
}

/* The read whose answer comes next, or -1. One ID's answers keep their order. */
static int next_read(const struct drive *d)
{
    int best = -1;

    for (unsigned i = 0; i < d->reads; i++) {
        bool first = true;

        if (d->in_order && i > 0)
            break;
        for (unsigned j = 0; j < i && first; j++)
            first = d->read[j].id != d->read[i].id;
        if (!first || d->read[i].due > d->now)
            continue;
        if (best < 0 || d->last_first || d->read[i].due < d->read[best].due)
            best = (int)i;
    }
    return best;
}

static void drive_memory(struct drive *d, struct dmt_in *in)
{
    int n;

    if (!d->b.valid && d->writes && d->write[0].due <= d->now) {
        d->b.valid = true;
        d->b.id = d->write[0].id;
        d->b.resp = (uint8_t)memory_acts(d, DRIVE_WRITE, d->b.id, d->write[0].addr, &d->write[0].data);
        memmove(d->write, d->write + 1, --d->writes * sizeof d->write[0]);
    }
    if (!d->r.valid && (n = next_read(d)) >= 0) {
        d->r.valid = true;
        d->r.id = d->read[n].id;
        d->r.data = rng_next(&d->rng);
        d->r.resp = (uint8_t)memory_acts(d, d->read[n].lock ? DRIVE_EXREAD : DRIVE_READ, d->r.id,
                                         d->read[n].addr, &d->r.data);
        d->reads--;
        memmove(d->read + n, d->read + n + 1, (d->reads - (unsigned)n) * sizeof d->read[0]);
    }
    in->m_arready = in->m_awready = in->m_wready = !d->hold_port;
    in->m_rvalid = d->r.valid;
    in->m_bvalid = d->b.valid;
    if (d->r.valid) {
        in->m_rid = d->r.id;
        in->m_rdata = d->r.data;
        in->m_rresp = d->r.resp;
        in->m_rlast = 1;
    }
    if (d->b.valid) {
        in->m_bid = d->b.id;
        in->m_bresp = d->b.resp;
    }
}

static void drive_request_and_csr(struct drive *d, struct dmt_in *in)
{
    in->req_valid = d->taken < d->walks;
    if (in->req_valid) {
        const struct drive_walk *w = &d->walk[d->taken];

        in->req_tag = w->tag;
        in->req_va = w->request.va;
        in->req_access = w->request.access;
        in->req_cpl = w->request.cpl;
        in->req_ac = w->request.ac;
        in->req_implicit = w->request.implicit;
        in->req_nonspec = w->request.nonspec;
    }
    in->resp_ready = !d->hold_answers;
    in->s_bready = !d->hold_csr;
    in->s_awvalid = d->aw_sent < d->csrs && d->csr[d->aw_sent].aw_from <= d->now;
    in->s_wvalid = d->w_sent < d->csrs && d->csr[d->w_sent].w_from <= d->now;
    if (in->s_awvalid)
        in->s_awaddr = d->csr[d->aw_sent].addr;
    if (in->s_wvalid) {
        in->s_wdata = d->csr[d->w_sent].data;
        in->s_wstrb = d->csr[d->w_sent].strb;
    }
}

/* What was valid and not taken in the clock before is there, unchanged. */
static void expect_held(const struct drive *d, const struct dmt_out *o)
{
    const struct dmt_out *p = &d->before;

    must(!d->ar_waits || (o->m_arvalid && o->m_araddr == p->m_araddr && o->m_arid == p->m_arid &&
                          o->m_arlock == p->m_arlock),
         "AR changed while it waited");
    must(!d->aw_waits || (o->m_awvalid && o->m_awaddr == p->m_awaddr && o->m_awid == p->m_awid),
         "AW changed while it waited");
    must(!d->w_waits || (o->m_wvalid && o->m_wdata == p->m_wdata), "W changed while it waited");
    must(!d->resp_waits || (o->resp_valid && o->resp_tag == p->resp_tag && o->resp_pa == p->resp_pa &&
                            o->resp_status == p->resp_status && o->resp_error == p->resp_error &&
                            o->resp_addr == p->resp_addr && o->resp_stage == p->resp_stage &&
                            o->resp_rights == p->resp_rights && o->resp_memtype == p->resp_memtype),
         "an answer changed while it waited");
}

static struct drive_walk *walk_of(struct drive *d, uint32_t order)
{
    uint32_t n = order - d->order;

    must(n < d->walks && d->walk[n].is_taken && !d->walk[n].is_answered,
         "the trace shows request %" PRIu32 ", which is not under way", order);
    return &d->walk[n];
}

static void see_trace(struct drive *d, const struct dmt_out *o)
{
    if (o->wt_ref_valid) {
        struct drive_walk *w = walk_of(d, (uint32_t)o->wt_ref_order);

        if (w->first_ref == DRIVE_ANY)
            w->first_ref = o->wt_ref_addr;
        w->result.reads++;
    }
    if (o->wt_upd_valid)
        walk_of(d, (uint32_t)o->wt_upd_order)->result.updates += o->wt_upd_resp == DMT_RESP_EXOKAY;
    if (o->wt_end_valid) {
        struct drive_walk *w = walk_of(d, (uint32_t)o->wt_end_order);
        struct dmt_result *r = &w->result;

        must(!w->is_ended, "a request ended twice");
        must(o->wt_end_tag == w->tag);
        w->is_ended = true;
        d->ended++;
        r->status = (uint8_t)o->wt_end_status;
        r->pa = o->wt_end_pa;
        r->size = (uint8_t)o->wt_end_size;
        r->rights = (uint8_t)o->wt_end_rights;
        r->global = o->wt_end_global;
        r->pkey = (uint8_t)o->wt_end_pkey;
        r->memtype = (uint8_t)o->wt_end_memtype;
        r->dirty = o->wt_end_dirty;
        r->ad_needed = o->wt_end_ad_needed;
        r->error = o->wt_end_error;
        r->addr = o->wt_end_addr;
        r->stage = (uint8_t)o->wt_end_stage;
        for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
            r->path[k] = o->wt_end_path >> 2 * k & 3;
            r->index[k] = o->wt_end_index >> 6 * k & 63;
        }
    }
}

static void see_answer(struct drive *d, const struct dmt_out *o)
{
    struct drive_walk *w = NULL;
    struct dmt_result pins = {
        .status = (uint8_t)o->resp_status,
        .pa = o->resp_pa,
        .size = (uint8_t)o->resp_size,
        .rights = (uint8_t)o->resp_rights,
        .global = o->resp_global,
        .pkey = (uint8_t)o->resp_pkey,
        .memtype = (uint8_t)o->resp_memtype,
        .dirty = o->resp_dirty,
        .ad_needed = o->resp_ad_needed,
        .error = o->resp_error,
        .addr = o->resp_addr,
        .stage = (uint8_t)o->resp_stage,
    };

    for (unsigned i = 0; i < d->taken && !w; i++)
        if (!d->walk[i].is_answered && d->walk[i].tag == o->resp_tag)
            w = &d->walk[i];
    must(w, "an answer with tag %" PRIu64 ", which nobody waits for", o->resp_tag);
    must(w->is_ended && drive_same(&pins, &w->result), "answer %s, trace %s", drive_text(&pins),
         drive_text(&w->result));
    w->is_answered = true;
    w->answered = d->now;
    d->answered++;
    expect_legal(d, w);
}

/* {stage, context}, each of which there is. */
static bool is_id(const struct drive *d, uint64_t id)
{
    unsigned ctx_w = dmt_config_ctx_width(&d->config);

    return id >> ctx_w < d->config.sets && (id & ((1u << ctx_w) - 1)) < d->config.ctx_n;
}

static void see_port(struct drive *d, const struct dmt_out *o, const struct dmt_in *in)
{

    if (in->m_rvalid && o->m_rready)
        d->r.valid = false;
    if (in->m_bvalid && o->m_bready)
        d->b.valid = false;
    if (o->m_arvalid && in->m_arready) {
        unsigned same = d->r.valid && d->r.id == o->m_arid;

        for (unsigned i = 0; i < d->reads; i++)
            same += d->read[i].id == o->m_arid;
        must(same < 5, "a sixth read of ID %" PRIu64, o->m_arid);
        must(d->reads < DRIVE_OUTSTANDING && is_id(d, o->m_arid) && (o->m_araddr & 7) == 0);
        d->read[d->reads].addr = o->m_araddr;
        d->read[d->reads].id = (uint8_t)o->m_arid;
        d->read[d->reads].lock = o->m_arlock;
        d->read[d->reads++].due = d->now + d->latency + (d->spread ? rng_below(&d->rng, d->spread + 1) : 0);
        d->last_exclusive[o->m_arid] = o->m_arlock ? o->m_araddr : DRIVE_ANY;
    }
    if (o->m_awvalid && in->m_awready) {
        must(o->m_awlock && is_id(d, o->m_awid) && d->last_exclusive[o->m_awid] == o->m_awaddr,
             "a write to %" PRIx64 " without its exclusive read", o->m_awaddr);
        d->aw[d->aws].addr = o->m_awaddr;
        d->aw[d->aws++].id = (uint8_t)o->m_awid;
    }
    if (o->m_wvalid && in->m_wready)
        d->w[d->ws++] = o->m_wdata;
    must(d->aws < DRIVE_OUTSTANDING && d->ws < DRIVE_OUTSTANDING);
    if (d->aws && d->ws) {
        d->write[d->writes].addr = d->aw[0].addr;
        d->write[d->writes].id = d->aw[0].id;
        d->write[d->writes].data = d->w[0];
        d->write[d->writes++].due = d->now + d->latency;
        memmove(d->aw, d->aw + 1, --d->aws * sizeof d->aw[0]);
        memmove(d->w, d->w + 1, --d->ws * sizeof d->w[0]);
    }
}

void drive_step(struct drive *d)
{
    struct dmt_in in = {0};
    struct dmt_out o = *d->ops->out(d->dut);

    if (d->idle_noise)
        noise(d, &in);
    drive_memory(d, &in);
    drive_request_and_csr(d, &in);

    expect_held(d, &o);
    see_trace(d, &o);
    must(!o.s_bvalid || (d->csr_done < d->aw_sent && d->csr_done < d->w_sent),
         "a CSR answer nobody waits for");
    if (o.s_bvalid && !d->csr[d->csr_done].is_answered) {
        struct drive_csr *c = &d->csr[d->csr_done];

        c->is_answered = true;
        c->answered = d->now;
        c->resp = (uint8_t)o.s_bresp;
    }
    if (o.s_bvalid && in.s_bready)
        d->csr_done++;
    d->aw_sent += in.s_awvalid && o.s_awready;
    d->w_sent += in.s_wvalid && o.s_wready;
    if (o.resp_valid && in.resp_ready)
        see_answer(d, &o);
    if (in.req_valid && o.req_ready) {
        d->walk[d->taken].is_taken = true;
        d->walk[d->taken++].taken = d->now;
    }
    see_port(d, &o, &in);

    d->before = o;
    d->ar_waits = o.m_arvalid && !in.m_arready;
    d->aw_waits = o.m_awvalid && !in.m_awready;
    d->w_waits = o.m_wvalid && !in.m_wready;
    d->resp_waits = o.resp_valid && !in.resp_ready;
    d->ops->edge(d->dut, &in, false);
    d->now++;
}

void drive_run(struct drive *d)
{
    for (unsigned i = 0; d->answered < d->walks || !csr_idle_now(d) || !port_idle(d); i++) {
        must(i < PATIENCE, "hangs with %u of %u requests answered", d->answered, d->walks);
        drive_step(d);
    }
    /* An answer or access too many would show now. */
    drive_step(d);
    drive_step(d);
    must(port_idle(d), "an access after the last answer");
}

uint64_t drive_read(struct drive *d, unsigned addr)
{
    struct dmt_in in = {0};
    const struct dmt_out *o;
    uint64_t value = 0;
    bool sent = false, done = false;

    /* Reads are made between transactions: they are no subject of the tests that step. */
    must(d->answered == d->walks && csr_idle_now(d) && port_idle(d));
    in.s_rready = in.resp_ready = in.s_bready = 1;
    for (unsigned i = 0; !done; i++) {
        must(i < PATIENCE);
        in.s_arvalid = !sent;
        in.s_araddr = addr;
        o = d->ops->out(d->dut);
        sent |= o->s_arready;
        if (o->s_rvalid) {
            must(o->s_rresp == DMT_RESP_OKAY, "register %x", addr);
            value = o->s_rdata;
            done = true;
        }
        d->ops->edge(d->dut, &in, false);
        d->now++;
    }
    d->ar_waits = d->aw_waits = d->w_waits = d->resp_waits = false;
    return value;
}
