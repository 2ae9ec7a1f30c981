/* SPDX-License-Identifier: Apache-2.0
 * The walker of the cycle model: docs/microarchitecture.md sections 2, 3 and 6.
 * Decisions come from rules.h. */
#include "cycle.h"
#include "dmt/regs.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* IA-32e entry bits that the walker writes. */
#define ENTRY_A (1ull << 5)
#define ENTRY_D (1ull << 6)

#define ALL_RIGHTS 7
#define ALL_SIZES 7u

#define AXI_BURST_INCR 1
#define AXI_SIZE_8 3
#define AXI_CACHE 3
#define AXI_PROT 1

/* What a walk step comes to (microarchitecture 3.2). */
enum outcome { NO_STEP, WAIT, FETCH, AGAIN, START, UPDATE, RESULT };

/* Zero the outputs from one pin up to, not including, another. */
#define CLEAR(o, first, end) \
    memset((char *)(o) + offsetof(struct dmt_out, first), 0, \
           offsetof(struct dmt_out, end) - offsetof(struct dmt_out, first))

static const struct dmt_level *level0(const struct dmt_cycle *m)
{
    return &m->state.level[0];
}

static bool open_launch(const struct dmt_cycle *m)
{
    return m->launch.n - m->launch.pos <= 1;
}

/* ------------------------------------------------------------ paging-structure caches */

void cycle_flush(struct dmt_cycle *m, int pcid)
{
    for (unsigned c = 0; c < PWC_CACHES; c++) {
        struct pwc *p = &m->pwc[c];

        for (unsigned i = 0; i < p->n; i++)
            if (pcid < 0 || (int)(p->key[i] >> 1 & 0xfff) == pcid)
                p->key[i] = 0;
    }
}

/* The key of va in cache c: address bits 56:21, 56:30 or 56:39, the PCID, and a valid bit. */
static uint64_t pwc_key(const struct dmt_cycle *m, unsigned c, uint64_t va)
{
    const struct dmt_level *cr = level0(m);
    uint64_t pcid = cr->cr4 & DMT_LEVEL_CR4_PCIDE_MASK ? cr->cr3 & DMT_LEVEL_CR3_PCID_MASK : 0;

    return (va & ((1ull << 57) - 1)) >> (21 + 9 * c) << 13 | pcid << 1 | 1;
}

static int pwc_find(const struct pwc *p, uint64_t key)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->key[i] == key)
            return (int)i;
    return -1;
}

static void pwc_write(struct dmt_cycle *m, const struct fill *f)
{
    struct pwc *p = &m->pwc[f->cache];
    int i = pwc_find(p, f->key);

    if (i < 0) {
        i = (int)p->next;
        p->next = p->next + 1 == p->n ? 0 : p->next + 1;
    }
    p->key[i] = f->key;
    p->table[i] = f->table;
    p->rights[i] = f->rights;
}

/* ------------------------------------------------------------ match and launch */

static void launch(struct dmt_cycle *m, unsigned ctx, unsigned reads)
{
    m->walk[ctx].reads = (uint8_t)reads;
    m->walk[ctx].got = 0;
    m->walk[ctx].decided = false;
    m->launch.ctx = (uint8_t)ctx;
    m->launch.pos = 0;
    m->launch.n = (uint8_t)reads;
}

/* Load the launch with the TEA entries of these sizes (a bit each). */
static bool match_tea(struct dmt_cycle *m, unsigned ctx, unsigned sizes)
{
    struct walk *w = &m->walk[ctx];
    bool multi = false;
    unsigned reads = 0;

    for (unsigned sz = SIZES; sz-- > 0;) {
        const struct tea_list *l = &m->list[sz];
        int i = -1;

        if (sizes >> sz & 1 && l->n)
            i = rule_match(l->reg, l->n, sz, w->a.rq.va, &multi);
        if (i >= 0) {
            w->fetch[reads].addr = rule_tea_entry(&l->reg[i], w->a.rq.va);
            w->fetch[reads].level = (uint8_t)(sz + 1);
            w->fetch[reads++].index = l->index[i];
        }
    }
    if (multi)
        m->event[0] |= DMT_LEVEL_EVENT_MULTI_HIT_MASK;
    if (!reads)
        return false;
    w->tea = true;
    w->need = false;
    w->rights = ALL_RIGHTS;
    launch(m, ctx, reads);
    return true;
}

static void match_x86(struct dmt_cycle *m, unsigned ctx)
{
    static const uint8_t counter[PWC_CACHES] = { CNT_PWC2, CNT_PWC3, CNT_PWC4 };
    const struct dmt_level *cr = level0(m);
    struct walk *w = &m->walk[ctx];
    uint64_t table = cr->cr3 & DMT_LEVEL_CR3_ROOT_MASK;
    unsigned level = cr->cr4 & DMT_LEVEL_CR4_LA57_MASK ? 5 : 4;

    w->tea = false;
    w->alla = true;
    w->need = false;
    w->rights = ALL_RIGHTS;
    for (unsigned c = 0; c < PWC_CACHES; c++) {
        const struct pwc *p = &m->pwc[c];
        int i = p->n ? pwc_find(p, pwc_key(m, c, w->a.rq.va)) : -1;

        if (i >= 0) {
            level = c + 1;
            table = p->table[i];
            w->rights = p->rights[i];
            m->count[counter[c]]++;
            break;
        }
    }
    w->fetch[0].addr = rule_entry_addr(table, level, w->a.rq.va);
    w->fetch[0].level = (uint8_t)level;
    w->fetch[0].index = 0;
    launch(m, ctx, 1);
}

/* The launch emits an address, and the bus may take one (microarchitecture 3.5). */
static void emit(struct dmt_cycle *m, bool taken)
{
    bool queued = m->arq_n;

    if (m->launch.n) {
        const struct walk *w = &m->walk[m->launch.ctx];

        if (queued || !taken) {
            unsigned i = (m->arq_head + m->arq_n++) % ARQ_RING;

            m->arq[i].addr = w->fetch[m->launch.pos].addr;
            m->arq[i].id = m->launch.ctx;
            m->arq[i].lock = w->excl;
        }
        if (++m->launch.pos == m->launch.n)
            m->launch.n = m->launch.pos = 0;
    }
    if (queued && taken) {
        m->arq_head = (m->arq_head + 1) % ARQ_RING;
        m->arq_n--;
    }
}

/* ------------------------------------------------------------ answers */

static void count_answer(struct dmt_cycle *m, const struct dmt_result *r)
{
    static const uint8_t by_path[] = {
        [DMT_PATH_NOT_USED] = CNT_PASS,
        [DMT_PATH_TEA] = CNT_TEA,
        [DMT_PATH_RADIX] = CNT_RADIX,
        [DMT_PATH_RESTART] = CNT_RESTART,
    };

    switch (r->status) {
    case DMT_STATUS_OK:
        m->count[by_path[r->path[0]]]++;
        break;
    case DMT_STATUS_BUS:
        m->count[CNT_BUS]++;
        m->event[WINDOW_HOST] |= r->error == DMT_BUS_ERROR_NOT_EXCLUSIVE ? DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK
                                                                         : DMT_HOST_EVENT_BUS_MASK;
        m->bus_addr = r->addr;
        break;
    case DMT_STATUS_RETRY:
        m->count[CNT_RETRY]++;
        break;
    default:
        m->count[CNT_FAULT]++;
        break;
    }
}

static void push_answer(struct dmt_cycle *m, const struct accepted *a, const struct dmt_result *r)
{
    struct answer *q = &m->respq[(m->resp_head + m->resp_n++) % 2];
    struct dmt_out *o = &m->out;

    q->tag = a->tag;
    q->r = *r;
    count_answer(m, r);
    o->wt_end_valid = 1;
    o->wt_end_order = a->order;
    o->wt_end_tag = a->tag;
    o->wt_end_status = r->status;
    o->wt_end_pa = r->pa;
    o->wt_end_size = r->size;
    o->wt_end_rights = r->rights;
    o->wt_end_global = r->global;
    o->wt_end_pkey = r->pkey;
    o->wt_end_memtype = r->memtype;
    o->wt_end_dirty = r->dirty;
    o->wt_end_ad_needed = r->ad_needed;
    o->wt_end_error = r->error;
    o->wt_end_addr = r->addr;
    o->wt_end_stage = r->stage;
    o->wt_end_path = r->path[0];
    o->wt_end_index = r->index[0];
    o->wt_end_clocks = m->now + 1 - a->taken;
}

/* The walk ends with this answer; path and index are filled in here. */
static enum outcome finish(struct dmt_cycle *m, unsigned ctx, struct dmt_result *r)
{
    const struct walk *w = &m->walk[ctx];

    r->path[0] = w->path;
    if (w->tea)
        r->index[0] = w->fetch[w->slot].index;
    push_answer(m, &w->a, r);
    m->busy &= ~(1ull << ctx);
    return RESULT;
}

static enum outcome bus_error(struct dmt_cycle *m, unsigned ctx, uint64_t addr, unsigned error)
{
    struct dmt_result r = { .status = DMT_STATUS_BUS, .addr = addr, .error = error };

    return finish(m, ctx, &r);
}

static enum outcome page_fault(struct dmt_cycle *m, unsigned ctx, uint32_t error)
{
    struct dmt_result r = { .status = DMT_STATUS_PF, .addr = m->walk[ctx].a.rq.va, .error = error };

    return finish(m, ctx, &r);
}

static enum outcome translated(struct dmt_cycle *m, unsigned ctx, const struct rule_entry *e, unsigned level,
                               bool ad_needed)
{
    const struct walk *w = &m->walk[ctx];
    struct dmt_result r = { .ad_needed = ad_needed };

    rule_ok(&w->a.rq, level0(m), e, w->rights & e->rights, level - 1, &r);
    return finish(m, ctx, &r);
}

/* ------------------------------------------------------------ walk step */

static enum outcome update(struct dmt_cycle *m, unsigned ctx, uint64_t value)
{
    m->walk[ctx].entry = value;
    m->walk[ctx].writing = true;
    m->wq[(m->wq_head + m->wq_n++) % CTX_MAX] = (uint8_t)ctx;
    return UPDATE;
}

/* A leaf that maps the page and permits the access: rules A2 to A4. */
static enum outcome leaf(struct dmt_cycle *m, unsigned ctx, const struct rule_entry *e, unsigned level,
                         uint64_t data)
{
    struct walk *w = &m->walk[ctx];
    bool write = w->a.rq.access == DMT_ACCESS_WRITE;
    bool missing = !e->a || (write && !e->d);
    struct dmt_result retry = { .status = DMT_STATUS_RETRY };

    if (w->excl && missing)
        return update(m, ctx, data | ENTRY_A | (write ? ENTRY_D : 0));
    if (w->excl || (!missing && !w->need))
        return translated(m, ctx, e, level, false);
    if (!m->state.ad_update)
        return translated(m, ctx, e, level, true);
    if (!w->a.rq.nonspec)
        return finish(m, ctx, &retry);
    w->excl = true;
    if (!w->tea || !match_tea(m, ctx, 1u << (level - 1)))
        match_x86(m, ctx);
    return START;
}

/* A non-leaf entry whose A bit needs no write: to the next table. */
static enum outcome descend(struct dmt_cycle *m, unsigned ctx, const struct rule_entry *e, unsigned level)
{
    struct walk *w = &m->walk[ctx];

    w->need |= !e->a;
    w->alla &= e->a;
    w->rights &= e->rights;
    if (w->alla && level <= 4 && m->pwc[level - 2].n) {
        m->fill.valid = true;
        m->fill.cache = (uint8_t)(level - 2);
        m->fill.key = pwc_key(m, level - 2, w->a.rq.va);
        m->fill.table = e->frame;
        m->fill.rights = w->rights;
    }
    w->fetch[0].level = (uint8_t)(level - 1);
    w->fetch[0].addr = rule_entry_addr(e->frame, level - 1, w->a.rq.va);
    launch(m, ctx, 1);
    return FETCH;
}

/* Does the answer of a read alone end the walk? */
static bool read_error(const struct walk *w, unsigned resp, unsigned *error)
{
    *error = resp == DMT_RESP_SLVERR   ? DMT_BUS_ERROR_READ_SLVERR
             : resp == DMT_RESP_DECERR ? DMT_BUS_ERROR_READ_DECERR
                                       : DMT_BUS_ERROR_NOT_EXCLUSIVE;
    return resp >= DMT_RESP_SLVERR || (w->excl && resp == DMT_RESP_OKAY);
}

static enum outcome read_x86(struct dmt_cycle *m, unsigned ctx, uint64_t data, unsigned resp)
{
    struct walk *w = &m->walk[ctx];
    const struct dmt_level *cr = level0(m);
    unsigned level = w->fetch[0].level, error;
    uint32_t denied;
    struct rule_entry e;

    if (read_error(w, resp, &error))
        return bus_error(m, ctx, w->fetch[0].addr, error);
    rule_ia32e(data, level, cr, m->state.maxpa, &e);
    if (!e.present || e.reserved)
        return page_fault(m, ctx, rule_fault(&w->a.rq, cr, e.present));
    if (!e.leaf)
        return w->excl && !e.a ? update(m, ctx, data | ENTRY_A) : descend(m, ctx, &e, level);
    denied = rule_denied(&w->a.rq, cr, w->rights & e.rights, e.pkey);
    if (denied)
        return page_fault(m, ctx, denied);
    return leaf(m, ctx, &e, level, data);
}

static enum outcome read_tea(struct dmt_cycle *m, unsigned ctx, uint64_t data, unsigned resp)
{
    struct walk *w = &m->walk[ctx];
    const struct dmt_level *cr = level0(m);
    const struct fetch *f = &w->fetch[w->got];
    unsigned error;
    struct rule_entry e;

    if (!w->decided) {
        rule_ia32e(data, f->level, cr, m->state.maxpa, &e);
        if (read_error(w, resp, &error) || (e.present && e.leaf)) {
            w->decided = true;
            w->slot = w->got;
            w->entry = data;
            w->resp = (uint8_t)resp;
        }
    }
    if (++w->got < w->reads)
        return WAIT;
    if (w->decided) {
        f = &w->fetch[w->slot];
        if (read_error(w, w->resp, &error))
            return bus_error(m, ctx, f->addr, error);
        rule_ia32e(w->entry, f->level, cr, m->state.maxpa, &e);
        w->rights = m->state.tea[0][f->index].allow;
        if (!e.reserved && !rule_denied(&w->a.rq, cr, w->rights & e.rights, e.pkey))
            return leaf(m, ctx, &e, f->level, w->entry);
    }
    w->path = DMT_PATH_RESTART;
    w->excl = false;
    match_x86(m, ctx);
    return START;
}

static enum outcome step_read(struct dmt_cycle *m, const struct dmt_in *in, unsigned ctx)
{
    struct walk *w = &m->walk[ctx];
    const struct fetch *f = &w->fetch[w->got];
    struct dmt_out *o = &m->out;
    unsigned resp = in->m_rresp & 3;

    m->count[CNT_READ]++;
    o->wt_ref_valid = 1;
    o->wt_ref_order = w->a.order;
    o->wt_ref_level = f->level;
    o->wt_ref_tea = w->tea;
    o->wt_ref_index = f->index;
    o->wt_ref_lock = w->excl;
    o->wt_ref_addr = f->addr;
    o->wt_ref_data = in->m_rdata;
    o->wt_ref_resp = resp;
    return w->tea ? read_tea(m, ctx, in->m_rdata, resp) : read_x86(m, ctx, in->m_rdata, resp);
}

static enum outcome step_write(struct dmt_cycle *m, unsigned ctx, unsigned resp)
{
    struct walk *w = &m->walk[ctx];
    struct dmt_out *o = &m->out;
    const struct fetch *f = &w->fetch[0];
    struct rule_entry e;

    w->writing = false;
    o->wt_upd_valid = 1;
    o->wt_upd_order = w->a.order;
    o->wt_upd_addr = f->addr;
    o->wt_upd_data = w->entry;
    o->wt_upd_resp = resp;
    switch (resp) {
    case DMT_RESP_EXOKAY:
        m->count[CNT_UPDATE]++;
        rule_ia32e(w->entry, f->level, level0(m), m->state.maxpa, &e);
        return e.leaf ? translated(m, ctx, &e, f->level, false) : descend(m, ctx, &e, f->level);
    case DMT_RESP_OKAY:
        m->count[CNT_LOST]++;
        launch(m, ctx, 1);
        return AGAIN;
    default:
        return bus_error(m, ctx, f->addr,
                         resp == DMT_RESP_SLVERR ? DMT_BUS_ERROR_WRITE_SLVERR : DMT_BUS_ERROR_WRITE_DECERR);
    }
}

/* Can this context use such a beat? Others break the contract of the bus and
 * are dropped, so that they cannot corrupt the model. */
static bool expects(const struct dmt_cycle *m, unsigned ctx, bool writing)
{
    return m->busy >> ctx & 1 && m->walk[ctx].writing == writing;
}

static enum outcome step(struct dmt_cycle *m, const struct dmt_in *in, bool step_ok)
{
    unsigned ctx;

    if (!step_ok)
        return NO_STEP;
    if (m->bq_n) {
        unsigned resp = m->bq[m->bq_head].resp;

        ctx = m->bq[m->bq_head].id;
        m->bq_head = (m->bq_head + 1) % CTX_MAX;
        m->bq_n--;
        return expects(m, ctx, true) ? step_write(m, ctx, resp) : NO_STEP;
    }
    if (!(in->m_rvalid & 1))
        return NO_STEP;
    ctx = in->m_rid & ((1u << m->id_w) - 1);
    return expects(m, ctx, false) ? step_read(m, in, ctx) : NO_STEP;
}

/* ------------------------------------------------------------ front */

static void accept(struct dmt_cycle *m, const struct dmt_in *in)
{
    struct accepted *a = &m->skid;

    a->rq.va = in->req_va;
    a->rq.access = in->req_access & 3;
    a->rq.cpl = in->req_cpl & 3;
    a->rq.ac = in->req_ac & 1;
    a->rq.implicit = in->req_implicit & 1;
    a->rq.nonspec = in->req_nonspec & 1;
    a->tag = (uint16_t)(in->req_tag & ((1u << m->cfg.tag_w) - 1));
    a->order = m->order++;
    a->taken = m->now;
    m->skid_valid = true;
}

static void leave(struct dmt_cycle *m)
{
    const struct accepted *a = &m->skid;
    struct dmt_out *o = &m->out;

    m->skid_valid = false;
    m->count[CNT_REQUEST]++;
    o->wt_req_valid = 1;
    o->wt_req_order = a->order;
    o->wt_req_tag = a->tag;
    o->wt_req_va = a->rq.va;
    o->wt_req_access = a->rq.access;
    o->wt_req_cpl = a->rq.cpl;
    o->wt_req_ac = a->rq.ac;
    o->wt_req_implicit = a->rq.implicit;
    o->wt_req_nonspec = a->rq.nonspec;
}

/* Is the request answered without a walk? */
static bool at_once(const struct dmt_cycle *m, struct dmt_result *r)
{
    uint64_t va = m->skid.rq.va;
    bool off = m->state.mode == DMT_MODE_OFF;

    if (off ? va >> m->state.maxpa : !rule_canonical(va, level0(m)))
        *r = (struct dmt_result){ .status = DMT_STATUS_GP, .addr = va };
    else if (off)
        *r = (struct dmt_result){ .status = DMT_STATUS_OK, .pa = va, .rights = ALL_RIGHTS, .dirty = true };
    else
        return false;
    return true;
}

/* The request in the skid, or that came in this cycle, leaves if it can. */
static void front(struct dmt_cycle *m, enum outcome outcome, bool room, bool open, uint64_t free_ctx)
{
    struct dmt_result r;
    struct walk *w;
    unsigned ctx;

    if (at_once(m, &r)) {
        if (room && outcome != RESULT) {
            push_answer(m, &m->skid, &r);
            leave(m);
        }
        return;
    }
    if (!free_ctx || !open || outcome == FETCH || outcome == AGAIN || outcome == START)
        return;
    ctx = (unsigned)__builtin_ctzll(free_ctx);
    w = &m->walk[ctx];
    w->a = m->skid;
    w->excl = w->writing = false;
    w->slot = 0;
    w->path = DMT_PATH_TEA;
    m->busy |= 1ull << ctx;
    if (!match_tea(m, ctx, ALL_SIZES)) {
        w->path = DMT_PATH_RADIX;
        match_x86(m, ctx);
    }
    leave(m);
}

/* ------------------------------------------------------------ outputs */

static void show_ar(struct dmt_cycle *m)
{
    struct dmt_out *o = &m->out;

    if (m->arq_n) {
        o->m_arvalid = 1;
        o->m_arid = m->arq[m->arq_head].id;
        o->m_araddr = m->arq[m->arq_head].addr;
        o->m_arlock = m->arq[m->arq_head].lock;
    } else if (m->launch.n) {
        const struct walk *w = &m->walk[m->launch.ctx];

        o->m_arvalid = 1;
        o->m_arid = m->launch.ctx;
        o->m_araddr = w->fetch[m->launch.pos].addr;
        o->m_arlock = w->excl;
    } else if (o->m_arvalid) {
        o->m_arvalid = o->m_arid = o->m_araddr = o->m_arlock = 0;
    }
}

static void show_write(struct dmt_cycle *m)
{
    struct dmt_out *o = &m->out;
    unsigned ctx = m->wq[m->wq_head];

    o->m_awvalid = m->wq_n && !m->aw_done;
    o->m_awid = o->m_awvalid ? ctx : 0;
    o->m_awaddr = o->m_awvalid ? m->walk[ctx].fetch[0].addr : 0;
    o->m_wvalid = m->wq_n && !m->w_done;
    o->m_wdata = o->m_wvalid ? m->walk[ctx].entry : 0;
}

static void show_resp(struct dmt_cycle *m)
{
    struct dmt_out *o = &m->out;
    const struct answer *q = &m->respq[m->resp_head];

    if (!m->resp_n) {
        CLEAR(o, resp_valid, m_arvalid);
        return;
    }
    o->resp_valid = 1;
    o->resp_tag = q->tag;
    o->resp_status = q->r.status;
    o->resp_pa = q->r.pa;
    o->resp_size = q->r.size;
    o->resp_rights = q->r.rights;
    o->resp_global = q->r.global;
    o->resp_pkey = q->r.pkey;
    o->resp_memtype = q->r.memtype;
    o->resp_dirty = q->r.dirty;
    o->resp_ad_needed = q->r.ad_needed;
    o->resp_error = q->r.error;
    o->resp_addr = q->r.addr;
    o->resp_stage = q->r.stage;
}

/* Every output but the CSR port's and the trace's, which are set where they arise. */
static void show(struct dmt_cycle *m)
{
    struct dmt_out *o = &m->out;
    const uint8_t *e = m->event, *k = m->mask;

    o->req_ready = !m->skid_valid && !m->drains;
    o->m_rready = m->resp_n < 2 && open_launch(m) && !m->bq_n;
    show_ar(m);
    if (m->wq_n || o->m_awvalid || o->m_wvalid)
        show_write(m);
    o->event = ((e[0] & k[0]) | (e[1] & k[1]) | (e[2] & k[2]) | (e[3] & k[3])) != 0;
}

static bool stirs(const struct dmt_in *in)
{
    return (in->req_valid | in->m_rvalid | in->m_bvalid | in->s_awvalid | in->s_wvalid | in->s_arvalid) & 1;
}

/* ------------------------------------------------------------ public */

static void reset(struct dmt_cycle *m)
{
    struct dmt_config cfg = m->cfg;

    memset(m, 0, sizeof *m);
    m->cfg = cfg;
    while (1u << m->id_w < cfg.ctx_n || !m->id_w)
        m->id_w++;
    m->pwc[0].n = cfg.pwc2_n;
    m->pwc[1].n = cfg.pwc3_n;
    m->pwc[2].n = cfg.pwc4_n;
    cycle_csr_reset(m);
    m->out.m_arsize = m->out.m_awsize = AXI_SIZE_8;
    m->out.m_arburst = m->out.m_awburst = AXI_BURST_INCR;
    m->out.m_arcache = m->out.m_awcache = AXI_CACHE;
    m->out.m_arprot = m->out.m_awprot = AXI_PROT;
    m->out.m_awlock = m->out.m_wlast = m->out.m_bready = 1;
    m->out.m_wstrb = 0xff;
    show(m);
}

struct dmt_cycle *dmt_cycle_new(const struct dmt_config *c)
{
    struct dmt_cycle *m;

    if (c->pa_w < 32 || c->pa_w > 52 || c->ctx_n < 1 || c->ctx_n > CTX_MAX || c->tea_n < 4
        || c->tea_n > DMT_TEA_MAX || c->sets < 1 || c->sets > DMT_SETS_MAX || c->pwc4_n > PWC_MAX
        || c->pwc3_n > PWC_MAX || c->pwc2_n > PWC_MAX || c->tag_w < 1 || c->tag_w > 16 || c->cnt_w > 63)
        return NULL;
    m = malloc(sizeof *m);
    if (!m)
        return NULL;
    m->cfg = *c;
    reset(m);
    return m;
}

void dmt_cycle_free(struct dmt_cycle *m)
{
    free(m);
}

const struct dmt_out *dmt_cycle_out(const struct dmt_cycle *m)
{
    return &m->out;
}

/* Queues, launch and bus handshakes: everything in flight moves on. */
static void advance(struct dmt_cycle *m, const struct dmt_in *in)
{
    emit(m, m->out.m_arvalid && (in->m_arready & 1));
    if (m->wq_n) {
        m->aw_done |= in->m_awready & 1;
        m->w_done |= in->m_wready & 1;
        if (m->aw_done && m->w_done) {
            m->aw_done = m->w_done = false;
            m->wq_head = (m->wq_head + 1) % CTX_MAX;
            m->wq_n--;
        }
    }
    if (m->out.resp_valid && (in->resp_ready & 1)) {
        m->resp_head ^= 1;
        m->resp_n--;
    }
}

/* Step and front of one cycle. room, open and the free contexts are those of
 * its start, before the queues moved on. */
static void work(struct dmt_cycle *m, const struct dmt_in *in, bool room, bool open, uint64_t free_ctx)
{
    struct fill fill = m->fill;
    enum outcome outcome;

    m->fill.valid = false;
    outcome = step(m, in, room && open);
    if ((in->req_valid & 1) && m->out.req_ready)
        accept(m, in);
    if (m->skid_valid)
        front(m, outcome, room, open, free_ctx);
    /* After the matches: they see the caches as they were. */
    if (fill.valid)
        pwc_write(m, &fill);
    if (in->m_bvalid & 1) {
        unsigned i = (m->bq_head + m->bq_n++) % CTX_MAX;

        m->bq[i].id = (uint8_t)(in->m_bid & ((1u << m->id_w) - 1));
        m->bq[i].resp = in->m_bresp & 3;
    }
}

/* One clock in which something may happen. */
static void edge(struct dmt_cycle *m, const struct dmt_in *in)
{
    struct dmt_out *o = &m->out;
    bool room = m->resp_n < 2, open = open_launch(m);
    uint64_t busy = m->busy, free_ctx = ~busy & (~0ull >> (CTX_MAX - m->cfg.ctx_n));
    bool req_shown = o->wt_req_valid, ref_shown = o->wt_ref_valid;
    bool upd_shown = o->wt_upd_valid, end_shown = o->wt_end_valid;
    bool popped = o->resp_valid && (in->resp_ready & 1);

    o->wt_req_valid = o->wt_ref_valid = o->wt_upd_valid = o->wt_end_valid = 0;
    cycle_csr_edge(m, in);
    advance(m, in);
    work(m, in, room, open, free_ctx);
    m->count[CNT_BUSY] += busy != 0;
    if (m->count_clear) {
        memset(m->count, 0, sizeof m->count);
        m->count_clear = false;
    }
    m->now++;

    show(m);
    if (popped || (m->resp_n && !o->resp_valid))
        show_resp(m);
    if (req_shown && !o->wt_req_valid)
        CLEAR(o, wt_req_valid, wt_ref_valid);
    if (ref_shown && !o->wt_ref_valid)
        CLEAR(o, wt_ref_valid, wt_upd_valid);
    if (upd_shown && !o->wt_upd_valid)
        CLEAR(o, wt_upd_valid, wt_end_valid);
    if (end_shown && !o->wt_end_valid)
        memset(&o->wt_end_valid, 0, sizeof *o - offsetof(struct dmt_out, wt_end_valid));
    m->quiet = !m->busy && !m->resp_n && !m->skid_valid && !(m->aw_held && m->w_held)
               && !(o->s_bvalid | o->s_rvalid | o->wt_req_valid | o->wt_ref_valid | o->wt_upd_valid
                    | o->wt_end_valid);
}

void dmt_cycle_edge(struct dmt_cycle *m, const struct dmt_in *in, bool rst)
{
    if (rst)
        reset(m);
    else if (m->quiet && !stirs(in))
        m->now++;
    else
        edge(m, in);
}

/* What the walk in context i waits for. */
static const char *waits_for(const struct dmt_cycle *m, unsigned i)
{
    if (m->launch.n && m->launch.ctx == i)
        return "launch";
    for (unsigned k = 0; k < m->arq_n; k++)
        if (m->arq[(m->arq_head + k) % ARQ_RING].id == i)
            return "AR";
    if (!m->walk[i].writing)
        return "R";
    for (unsigned k = 0; k < m->wq_n; k++)
        if (m->wq[(m->wq_head + k) % CTX_MAX] == i)
            return "AW, W";
    return "B";
}

int dmt_cycle_describe(const struct dmt_cycle *m, unsigned i, char *buf, unsigned size)
{
    static const char *const path[] = { "not used", "TEA", "radix", "restart" };
    static const char *const access[] = { "read", "write", "execute", "access 3" };
    const struct walk *w;
    const struct fetch *f;

    if (i >= m->cfg.ctx_n)
        return snprintf(buf, size, "context %u: not built", i);
    if (!(m->busy >> i & 1))
        return snprintf(buf, size, "context %u: free", i);
    w = &m->walk[i];
    f = &w->fetch[w->got];
    return snprintf(buf, size,
                    "context %u: order %" PRIu32 " tag 0x%x %s va 0x%016" PRIx64 " path %s, %s pass,"
                    " read %u of %u: level %u at 0x%013" PRIx64 " register %u, rights %c%c%c, waits for %s",
                    i, w->a.order, w->a.tag, access[w->a.rq.access], w->a.rq.va, path[w->path],
                    w->excl ? "second" : "first", w->got + 1u, w->reads, f->level, f->addr, f->index,
                    w->rights & 1 ? 'W' : '-', w->rights & 2 ? 'U' : '-', w->rights & 4 ? 'X' : '-',
                    waits_for(m, i));
}
