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

#define ALL_SIZES 7u

/* Rights: W is bit 0 in every stage. */
enum { RIGHT_W = 1, RIGHT_U = 2, RIGHT_X = 4, RIGHT_NR = 8, S2_R = 2, S2_X = 4, S2_XU = 8 };
enum { ALL_RIGHTS = 7, ALL_S2_RIGHTS = 15 };

#define AXI_BURST_INCR 1
#define AXI_SIZE_8 3
#define AXI_CACHE 3
#define AXI_PROT 1

/* What a walk step comes to (microarchitecture 3.2). */
enum outcome { NO_STEP, SURPLUS, WAIT, READ, AGAIN, MATCH, UPDATE, RESULT };

/* What the rules ask of the start of a cycle, before the queues move on. */
struct start {
    bool room, open, accept;
    uint64_t free_ctx; /* a bit each */
};

/* Zero the outputs from one pin up to, not including, another. */
#define CLEAR(o, first, end) \
    memset((char *)(o) + offsetof(struct dmt_out, first), 0, \
           offsetof(struct dmt_out, end) - offsetof(struct dmt_out, first))

static bool has_room(const struct dmt_cycle *m)
{
    return m->resp_n < 2;
}

/* Can launch be loaded in this cycle? With PIPE = 1 it gives up refusals and chains by itself. */
static bool open_launch(const struct dmt_cycle *m)
{
    return (m->cfg.pipe || m->launch.kind == NOTHING) && m->launch.n - m->launch.pos <= 1;
}

/* Is there a place for what a step or the front sends towards launch? */
static bool accepts(const struct dmt_cycle *m)
{
    return open_launch(m)
           || (m->cfg.pipe && (m->first.kind == AHEAD_EMPTY || m->second.kind == AHEAD_EMPTY));
}

/* PIPE = 1: is what has been looked up executed in this cycle? */
static bool executes(const struct dmt_cycle *m)
{
    return m->step.kind != NOTHING && !m->step.wait
           && (m->loader.phase != LOADER_IDLE || (has_room(m) && accepts(m)));
}

/* Control registers of the level of software that requests enter at. */
static const struct dmt_level *entering_level(const struct dmt_cycle *m)
{
    return &m->state.level[m->entering];
}

/* Is what this stage does not cover walked on the shadow table? */
static bool falls_to_shadow(const struct dmt_cycle *m, unsigned k)
{
    return k == 1 && m->entering == 2 && !m->state.full;
}

/* The tables of a second stage in this walk. */
static const struct dmt_s2 *tables(const struct dmt_cycle *m, const struct walk *w, unsigned k)
{
    return w->frame[k].shadow ? &m->state.shadow : &m->state.s2[k];
}

static enum rule_kind kind_of(const struct frame *f)
{
    return f->owner == FINAL ? RULE_FINAL : RULE_TABLE;
}

/* Are the table entries of this frame at host physical addresses? */
static bool is_direct(const struct frame *f, unsigned k)
{
    return k == 0 || f->shadow;
}

/* ------------------------------------------------------------ paging-structure caches */

/* The key of an address in cache c: bits 56:21, 56:30 or 56:39 and what else it is kept with. */
static uint64_t cache_key(const struct dmt_cycle *m, unsigned k, unsigned c, uint64_t addr)
{
    return (addr & ((1ull << 57) - 1)) >> (21 + 9 * c) << KEY_PREFIX_LSB | m->key[k];
}

static int pwc_find(const struct pwc *p, uint64_t key)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->key[i] == key && p->valid >> i & 1)
            return (int)i;
    return -1;
}

static void pwc_write(const struct fill *f)
{
    struct pwc *p = f->cache;
    int i = pwc_find(p, f->key);

    if (i < 0) {
        i = (int)p->next;
        p->next = p->next + 1 == p->n ? 0 : p->next + 1;
    }
    p->valid |= 1ull << i;
    p->key[i] = f->key;
    p->table[i] = f->table;
    p->rights[i] = f->rights;
}

/* The entry of `level` for the address of frame k leads to this table (3.9). */
static void fill(struct dmt_cycle *m, const struct walk *w, unsigned k, unsigned level, uint64_t table)
{
    const struct frame *f = &w->frame[k];
    struct pwc *p = k == m->entering ? m->pwc : m->npwc;

    if (w->need || level > 4 || !p[level - 2].n)
        return;
    m->fill.cache = &p[level - 2];
    m->fill.key = cache_key(m, k, level - 2, f->addr);
    m->fill.table = table;
    m->fill.rights = f->rights;
}

/* ------------------------------------------------------------ match and launch */

/* The walk reads `reads` addresses of its fetch, for an entry of stage k. */
static void fetch(struct walk *w, unsigned k, unsigned reads, bool excl)
{
    w->stage = (uint8_t)k;
    w->reads = (uint8_t)reads;
    w->got = 0;
    w->excl = excl;
}

static void fetch_one(struct walk *w, unsigned k, uint64_t addr, unsigned index)
{
    w->fetch[0].addr = addr;
    w->fetch[0].level = w->frame[k].level;
    w->fetch[0].index = (uint8_t)index;
    fetch(w, k, 1, false);
}

/* The addresses of the walk's fetch into launch. */
static void launch(struct dmt_cycle *m, unsigned ctx)
{
    m->launch.ctx = (uint8_t)ctx;
    m->launch.pos = 0;
    m->launch.n = m->walk[ctx].reads;
}

static void launch_other(struct dmt_cycle *m, unsigned ctx, unsigned k, enum thing_kind kind)
{
    m->walk[ctx].stage = (uint8_t)k;
    m->launch.kind = (uint8_t)kind;
    m->launch.ctx = (uint8_t)ctx;
    m->launch.pos = m->launch.n = 0;
}

static void note_path(struct walk *w, unsigned k, uint8_t path)
{
    if (w->path[k] < path)
        w->path[k] = path;
}

/* The address of stage k that locates an entry of stage `owner`, or is a leaf's yield. */
static void open_frame(struct walk *w, unsigned k, uint64_t addr, unsigned owner)
{
    w->frame[k].addr = addr;
    w->frame[k].owner = (uint8_t)owner;
}

/* A register that is KIND GTEA and cannot be used for the address: launch its refusal. */
static bool refuse_gtea(struct dmt_cycle *m, unsigned ctx, unsigned k, const struct dmt_tea *t,
                        unsigned index)
{
    struct walk *w = &m->walk[ctx];
    uint64_t addr = w->frame[k].addr;
    bool unresolved = t->resolution != DMT_RESOLUTION_OK;

    if (t->kind != DMT_KIND_GTEA || (!unresolved && rule_gtea_within(t, addr)))
        return false;
    w->index[k] = (uint8_t)index;
    w->r = (struct dmt_result){
        .status = DMT_STATUS_GTEA,
        .addr = addr,
        .stage = (uint8_t)k,
        .error = t->gtea | (uint64_t)index << 12 | (uint64_t)unresolved << 18,
    };
    launch_other(m, ctx, k, REFUSAL);
    return true;
}

/* TEA match of frame k with these sizes (a bit each). False: no register covers the address. */
static bool match_tea(struct dmt_cycle *m, unsigned ctx, unsigned k, unsigned sizes)
{
    struct walk *w = &m->walk[ctx];
    struct frame *f = &w->frame[k];
    const struct dmt_tea *t[SIZES];
    uint8_t index[SIZES];
    unsigned n = 0;
    bool by_size = false, multi[SIZES] = { false };

    for (unsigned sz = SIZES; sz-- > 0;) {
        const struct tea_list *l = &m->list[k][sz];
        int i = sizes >> sz & 1 && l->n ? rule_match(l->reg, l->n, sz, f->addr, &multi[n]) : -1;

        if (i < 0)
            continue;
        t[n] = &l->reg[i];
        index[n++] = l->index[i];
        by_size |= k > 0 && l->reg[i].kind == DMT_KIND_PA;
    }
    if (!n)
        return false;
    if (by_size)
        n = 1;
    note_path(w, k, DMT_PATH_TEA);
    if (multi[0] || (n > 1 && multi[1]) || (n > 2 && multi[2]))
        m->event[k] |= DMT_LEVEL_EVENT_MULTI_HIT_MASK;
    f->tea = true;
    f->by_size = by_size;
    f->shadow = false;
    f->located = 0;
    f->level = (uint8_t)(t[0]->sz + 1);
    f->index = index[0];
    if (k > 0 && t[0]->kind == DMT_KIND_PA) {
        launch_other(m, ctx, k, CHAIN);
        return true;
    }
    for (unsigned i = 0; i < n; i++) {
        if (refuse_gtea(m, ctx, k, t[i], index[i]))
            return true;
        w->fetch[i].addr = rule_tea_entry(t[i], f->addr);
        w->fetch[i].level = (uint8_t)(t[i]->sz + 1);
        w->fetch[i].index = index[i];
    }
    fetch(w, k, n, false);
    launch(m, ctx);
    return true;
}

/* The deepest cached entry for frame k's address. */
static struct cached ask_cache(const struct dmt_cycle *m, unsigned ctx, unsigned k)
{
    const struct pwc *cache = k == m->entering ? m->pwc : m->npwc;
    uint64_t addr = m->walk[ctx].frame[k].addr;

    for (unsigned c = 0; c < PWC_CACHES; c++) {
        const struct pwc *p = &cache[c];
        int i = p->valid ? pwc_find(p, cache_key(m, k, c, addr)) : -1;

        if (i >= 0)
            return (struct cached){ true, (uint8_t)c, p->rights[i], p->table[i] };
    }
    return (struct cached){ .hit = false };
}

/* Start the walk of frame k from a paging-structure cache. */
static void use_cache(struct dmt_cycle *m, unsigned ctx, unsigned k, const struct cached *e)
{
    static const uint8_t counter[2][PWC_CACHES] = { { CNT_NPWC2, CNT_NPWC3, CNT_NPWC4 },
                                                    { CNT_PWC2, CNT_PWC3, CNT_PWC4 } };
    struct walk *w = &m->walk[ctx];
    struct frame *f = &w->frame[k];

    f->level = (uint8_t)(e->cache + 1);
    f->rights = e->rights;
    m->caused[counter[k == m->entering][e->cache]]++;
    fetch_one(w, k, rule_entry_addr(e->table, f->level, f->addr), 0);
    launch(m, ctx);
}

/* Match of frame k (microarchitecture 3.4), and of the roots below it. What a
 * match of a root yields is looked up here when it is used: settle and drained
 * writes see to it that `roots` holds the same. */
static void match(struct dmt_cycle *m, unsigned ctx, unsigned k, unsigned sizes, const struct cached *cached)
{
    struct walk *w = &m->walk[ctx];
    bool root = false;

    for (;;) {
        struct frame *f = &w->frame[k];
        bool entering = k == m->entering, shadow = falls_to_shadow(m, k), five;
        const struct dmt_s2 *s2 = shadow ? &m->state.shadow : &m->state.s2[k];
        uint64_t table;

        if (!entering && rule_s2_wide(f->addr, s2)) {
            note_path(w, k, DMT_PATH_RADIX);
            w->r = (struct dmt_result){ .addr = f->addr, .stage = (uint8_t)k };
            w->r.status = rule_s2_fault(s2, kind_of(f), RULE_S2_ABSENT, &w->a.rq, 0, &w->r.error);
            launch_other(m, ctx, k, REFUSAL);
            return;
        }
        if (sizes && match_tea(m, ctx, k, sizes))
            return;
        note_path(w, k, sizes == ALL_SIZES ? DMT_PATH_RADIX : DMT_PATH_RESTART);
        f->tea = f->by_size = false;
        f->shadow = shadow;
        f->located = 0;
        if (!root && cached->hit) {
            use_cache(m, ctx, k, cached);
            return;
        }
        if (entering) {
            f->rights = ALL_RIGHTS;
            table = entering_level(m)->cr3 & DMT_LEVEL_CR3_ROOT_MASK;
            five = entering_level(m)->cr4 & DMT_LEVEL_CR4_LA57_MASK;
        } else {
            f->rights = ALL_S2_RIGHTS;
            table = s2->root;
            five = s2->five;
        }
        f->level = five ? 5 : 4;
        table = rule_entry_addr(table, f->level, f->addr);
        if (is_direct(f, k)) {
            fetch_one(w, k, table, 0);
            launch(m, ctx);
            return;
        }
        open_frame(w, k - 1, table, k);
        k--;
        sizes = ALL_SIZES;
        root = true;
    }
}

/* The walk's one address, or its frame k to be matched with these sizes, is to go to launch. */
static enum outcome go_read(struct dmt_cycle *m, unsigned ctx, enum outcome outcome)
{
    m->ahead.kind = AHEAD_ADDRESS;
    m->ahead.ctx = (uint8_t)ctx;
    return outcome;
}

static enum outcome go_match(struct dmt_cycle *m, unsigned ctx, unsigned k, unsigned sizes)
{
    m->ahead.kind = AHEAD_MATCH;
    m->ahead.ctx = (uint8_t)ctx;
    m->ahead.k = (uint8_t)k;
    m->ahead.sizes = (uint8_t)sizes;
    return MATCH;
}

static void compare(const struct dmt_cycle *m, struct ahead *a)
{
    if (a->kind == AHEAD_MATCH)
        a->cached = ask_cache(m, a->ctx, a->k);
}

static void route(struct dmt_cycle *m, struct ahead *a)
{
    if (a->kind == AHEAD_ADDRESS)
        launch(m, a->ctx);
    else
        match(m, a->ctx, a->k, a->sizes, &a->cached);
    a->kind = AHEAD_EMPTY;
}

/* PIPE = 1: what waits moves on. */
static void move_ahead(struct dmt_cycle *m, bool open)
{
    if (m->second.kind != AHEAD_EMPTY && open)
        route(m, &m->second);
    if (m->first.kind != AHEAD_EMPTY && m->second.kind == AHEAD_EMPTY) {
        compare(m, &m->first);
        m->second = m->first;
        m->first.kind = AHEAD_EMPTY;
    }
}

/* What this cycle's step or front sends goes to launch, or with PIPE = 1 to one of the places before it. */
static void send_ahead(struct dmt_cycle *m, bool past_first)
{
    if (m->ahead.kind == AHEAD_EMPTY)
        return;
    if (!m->cfg.pipe) {
        compare(m, &m->ahead);
        route(m, &m->ahead);
    } else if (m->ahead.kind == AHEAD_ADDRESS && past_first) {
        m->second = m->ahead;
    } else {
        m->first = m->ahead;
    }
    m->ahead.kind = AHEAD_EMPTY;
}

/* The AXI ID of what a context's walk reads and writes now (microarchitecture 1). */
static uint8_t axi_id(const struct dmt_cycle *m, unsigned ctx)
{
    return (uint8_t)((unsigned)m->walk[ctx].stage << m->ctx_w | ctx);
}

/* The context and the stage of an ID on the pins, whatever is above its width. */
static unsigned id_ctx(const struct dmt_cycle *m, uint64_t id)
{
    return (unsigned)(id & ((1u << m->ctx_w) - 1));
}

static unsigned id_stage(const struct dmt_cycle *m, uint64_t id)
{
    return (unsigned)(id >> m->ctx_w & ((1u << (m->cfg.sets - 1)) - 1));
}

/* What emits an address in this cycle: launch, with PIPE = 1 a cycle later, or, active since before it, the
 * loader. */
static bool emission(const struct dmt_cycle *m, bool loading, uint64_t *addr, uint8_t *id, bool *lock)
{
    if (m->emitted.full) {
        *addr = m->emitted.addr;
        *id = m->emitted.id;
        *lock = m->emitted.lock;
        return true;
    }
    if (m->launch.n && !m->cfg.pipe) {
        const struct walk *w = &m->walk[m->launch.ctx];

        *addr = w->fetch[m->launch.pos].addr;
        *id = axi_id(m, m->launch.ctx);
        *lock = w->excl;
        return true;
    }
    *addr = m->loader.addr;
    *id = 0;
    *lock = false;
    return loading && m->loader.sent < m->loader.words;
}

/* PIPE = 1: what launch holds passes a register; a refusal or a chain goes on to lq. */
static void emit_later(struct dmt_cycle *m)
{
    if (m->emitted.kind != NOTHING)
        m->lq[(m->lq_head + m->lq_n++) % CTX_MAX] = (struct thing){ .kind = m->emitted.kind, .ctx = m->emitted.ctx };
    m->emitted.kind = m->launch.kind;
    m->emitted.ctx = m->launch.ctx;
    m->emitted.full = m->launch.n != 0;
    if (m->emitted.full) {
        const struct walk *w = &m->walk[m->launch.ctx];

        m->emitted.id = axi_id(m, m->launch.ctx);
        m->emitted.addr = w->fetch[m->launch.pos].addr;
        m->emitted.lock = w->excl;
    }
    m->launch.kind = NOTHING;
}

/* The launch emits an address, and the bus may take one (microarchitecture 3.5). */
static void emit(struct dmt_cycle *m, bool loading, bool taken)
{
    bool queued = m->arq_n, lock;
    uint64_t addr;
    uint8_t id;

    if (emission(m, loading, &addr, &id, &lock)) {
        if (queued || !taken) {
            unsigned i = (m->arq_head + m->arq_n++) % ARQ_RING;

            m->arq[i].addr = addr;
            m->arq[i].id = id;
            m->arq[i].lock = lock;
        }
    }
    if (m->cfg.pipe)
        emit_later(m);
    if (m->launch.n && ++m->launch.pos == m->launch.n)
        m->launch.n = m->launch.pos = 0;
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
    unsigned path = 0;

    switch (r->status) {
    case DMT_STATUS_OK:
        for (unsigned k = 0; k < DMT_SETS_MAX; k++)
            path = r->path[k] > path ? r->path[k] : path;
        m->caused[by_path[path]]++;
        break;
    case DMT_STATUS_BUS:
        m->caused[CNT_BUS]++;
        m->event[WINDOW_HOST] |= r->error == DMT_BUS_ERROR_NOT_EXCLUSIVE ? DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK
                                                                         : DMT_HOST_EVENT_BUS_MASK;
        m->bus_addr = r->addr;
        break;
    case DMT_STATUS_GTEA:
        m->caused[CNT_GTEA]++;
        m->event[WINDOW_HOST] |= DMT_HOST_EVENT_GTEA_MASK;
        /* ID and register are where the error code has them. */
        m->gtea_fault = (uint32_t)((r->error & (DMT_HOST_GTEA_FAULT_ID_MASK | DMT_HOST_GTEA_FAULT_INDEX_MASK))
                                   | (uint64_t)r->stage << DMT_HOST_GTEA_FAULT_SET_LSB
                                   | (r->error >> 18 & 1) << DMT_HOST_GTEA_FAULT_UNRESOLVED_LSB);
        break;
    case DMT_STATUS_RETRY:
        m->caused[CNT_RETRY]++;
        break;
    default:
        m->caused[CNT_FAULT]++;
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
    o->wt_end_path = r->path[0] | (unsigned)r->path[1] << 2 | (unsigned)r->path[2] << 4;
    o->wt_end_index = r->index[0] | (unsigned)r->index[1] << 6 | (unsigned)r->index[2] << 12;
    o->wt_end_clocks = m->now + 1 - a->taken;
}

/* The walk ends with this answer; path and index are filled in here. */
static enum outcome finish(struct dmt_cycle *m, unsigned ctx, struct dmt_result *r)
{
    const struct walk *w = &m->walk[ctx];

    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        r->path[k] = w->path[k];
        r->index[k] = w->path[k] == DMT_PATH_TEA ? w->index[k] : 0;
    }
    push_answer(m, &w->a, r);
    m->busy &= ~(1ull << ctx);
    return RESULT;
}

static enum outcome bus_error(struct dmt_cycle *m, unsigned ctx, uint64_t addr, unsigned error)
{
    struct dmt_result r = {
        .status = DMT_STATUS_BUS, .addr = addr, .error = error, .stage = m->walk[ctx].stage
    };

    return finish(m, ctx, &r);
}

static enum outcome page_fault(struct dmt_cycle *m, unsigned ctx, uint32_t error)
{
    struct dmt_result r = {
        .status = DMT_STATUS_PF, .addr = m->walk[ctx].a.rq.va, .error = error, .stage = m->entering
    };

    return finish(m, ctx, &r);
}

/* A fault of second stage k. */
static enum outcome s2_fault(struct dmt_cycle *m, unsigned ctx, unsigned k, enum rule_kind kind,
                             enum rule_s2_fault fault, uint8_t rights)
{
    const struct walk *w = &m->walk[ctx];
    struct dmt_result r = { .addr = w->frame[k].addr, .stage = (uint8_t)k };

    r.status = rule_s2_fault(tables(m, w, k), kind, fault, &w->a.rq, rights, &r.error);
    return finish(m, ctx, &r);
}

/* ------------------------------------------------------------ walk step */

static void decode(const struct dmt_cycle *m, const struct walk *w, unsigned k, uint64_t data, unsigned level,
                   struct rule_entry *e)
{
    if (k == m->entering)
        rule_ia32e(data, level, entering_level(m), m->state.maxpa, e);
    else
        rule_s2(data, level, tables(m, w, k), m->state.maxpa, e);
}

/* Error code of a page fault on this leaf of the entering stage, else whether the second stage
 * denies the access; 0: permitted. */
static uint32_t denied(const struct dmt_cycle *m, const struct walk *w, unsigned k,
                       const struct rule_entry *e, uint8_t rights)
{
    if (k == m->entering)
        return rule_denied(&w->a.rq, entering_level(m), rights, e->pkey);
    return !rule_s2_allows(tables(m, w, k), kind_of(&w->frame[k]), &w->a.rq, w->r.rights & RIGHT_U, rights);
}

/* The bits of section 9 that the entry lacks, where they are in it. */
static uint64_t missing(const struct dmt_cycle *m, const struct walk *w, unsigned k,
                        const struct rule_entry *e)
{
    const struct dmt_s2 *s2 = k == m->entering ? NULL : tables(m, w, k);
    unsigned a = s2 && s2->format == DMT_FORMAT_EPT ? 8 : 5;
    bool dirty = false;

    if (e->leaf && !e->d)
        dirty = s2 ? rule_s2_writes(s2, kind_of(&w->frame[k]), &w->a.rq) : w->a.rq.access == DMT_ACCESS_WRITE;
    return (uint64_t)!e->a << a | (uint64_t)dirty << (a + 1);
}

/* Write the entry that was read exclusively, with these bits set besides, or
 * read it so first. */
static enum outcome update(struct dmt_cycle *m, unsigned ctx, uint64_t bits)
{
    struct walk *w = &m->walk[ctx];
    unsigned located = w->frame[w->stage].located;

    if (w->excl) {
        w->entry |= bits;
        w->writing = true;
        m->wq[(m->wq_head + m->wq_n++) % CTX_MAX] = (uint8_t)ctx;
        return UPDATE;
    }
    for (unsigned k = w->stage; k-- > 0;)
        if (located >> k & 1 && !(w->frame[k].rights & RIGHT_W))
            return s2_fault(m, ctx, k, RULE_TABLE_WRITE, RULE_S2_RIGHTS, w->frame[k].rights);
    w->fetch[0] = w->fetch[w->got];
    fetch(w, w->stage, 1, true);
    return go_read(m, ctx, AGAIN);
}

/* What the final second-stage leaves make of the entering stage's yield (specification 2). */
static void combine(struct walk *w, const struct rule_entry *e, uint8_t rights, unsigned sz)
{
    struct dmt_result *r = &w->r;

    if (!(rights & (r->rights & RIGHT_U ? S2_XU : S2_X)))
        r->rights &= (uint8_t)~RIGHT_X;
    if (!(rights & RIGHT_W))
        r->rights &= (uint8_t)~RIGHT_W;
    if (!(rights & S2_R))
        r->rights |= RIGHT_NR;
    if (sz < r->size)
        r->size = (uint8_t)sz;
    r->dirty &= e->d;
    r->memtype = (uint8_t)((r->memtype & 7) | e->memtype << 3);
}

/* Read the entry of frame `owner` that frame k has located at pa. */
static enum outcome read_located(struct dmt_cycle *m, unsigned ctx, unsigned k, unsigned owner, uint64_t pa)
{
    struct walk *w = &m->walk[ctx];
    struct frame *o = &w->frame[owner];
    uint8_t writable = RIGHT_W;

    o->located = (uint8_t)((1u << owner) - (1u << k));
    for (unsigned j = k; j < owner; j++)
        writable &= w->frame[j].rights;
    if (!o->tea && writable)
        fill(m, w, owner, o->level + 1u, pa & ~0xfffull);
    fetch_one(w, owner, pa, o->tea ? o->index : 0);
    return go_read(m, ctx, READ);
}

/* A leaf of the current stage whose checks have passed and whose bits are settled. */
static enum outcome yield(struct dmt_cycle *m, unsigned ctx, const struct rule_entry *e, bool ad_needed)
{
    struct walk *w = &m->walk[ctx];
    unsigned k = w->stage, level = w->fetch[w->got].level, owner;
    struct frame *f = &w->frame[k];
    uint64_t pa = e->frame | (f->addr & ((1ull << (9 * level + 3)) - 1));

    f->rights &= e->rights;
    owner = f->owner;
    if (k == m->entering) {
        w->r = (struct dmt_result){ .status = DMT_STATUS_OK };
        rule_ok(&w->a.rq, entering_level(m), e, f->rights, level - 1, &w->r);
        w->r.addr = k > 0 ? pa : 0;
    } else if (owner == FINAL) {
        combine(w, e, f->rights, level - 1);
    }
    if (!is_direct(f, k)) {
        open_frame(w, k - 1, pa, owner);
        return go_match(m, ctx, k - 1, ALL_SIZES);
    }
    if (owner != FINAL)
        return read_located(m, ctx, k, owner, pa);
    w->r.pa = pa;
    w->r.ad_needed = ad_needed;
    return finish(m, ctx, &w->r);
}

/* A leaf that maps the page and permits the access: rules A2 to A6. */
static enum outcome leaf(struct dmt_cycle *m, unsigned ctx, const struct rule_entry *e)
{
    struct walk *w = &m->walk[ctx];
    const struct frame *f = &w->frame[w->stage];
    uint64_t bits = missing(m, w, w->stage, e);
    bool last = is_direct(f, w->stage) && f->owner == FINAL;
    struct dmt_result retry = { .status = DMT_STATUS_RETRY };

    if (w->second)
        return bits ? update(m, ctx, bits) : yield(m, ctx, e, false);
    if (!last) {
        w->need |= bits != 0;
        return yield(m, ctx, e, false);
    }
    if (!bits && !w->need)
        return yield(m, ctx, e, false);
    if (!m->state.ad_update)
        return yield(m, ctx, e, true);
    if (!w->a.rq.nonspec)
        return finish(m, ctx, &retry);
    if (!w->need)
        return update(m, ctx, bits);
    w->second = true;
    w->need = false;
    return go_match(m, ctx, m->entering, ALL_SIZES);
}

/* A table entry whose A bit needs no write: to the next table. */
static enum outcome descend(struct dmt_cycle *m, unsigned ctx, const struct rule_entry *e)
{
    struct walk *w = &m->walk[ctx];
    unsigned k = w->stage;
    struct frame *f = &w->frame[k];
    uint64_t addr;

    f->rights &= e->rights;
    f->level--;
    addr = rule_entry_addr(e->frame, f->level, f->addr);
    if (!is_direct(f, k)) {
        open_frame(w, k - 1, addr, k);
        return go_match(m, ctx, k - 1, ALL_SIZES);
    }
    fill(m, w, k, f->level + 1u, e->frame);
    fetch_one(w, k, addr, 0);
    return go_read(m, ctx, READ);
}

/* Does the answer of a read alone end the walk? */
static bool read_error(const struct walk *w, unsigned resp, unsigned *error)
{
    *error = resp == DMT_RESP_SLVERR   ? DMT_BUS_ERROR_READ_SLVERR
             : resp == DMT_RESP_DECERR ? DMT_BUS_ERROR_READ_DECERR
                                       : DMT_BUS_ERROR_NOT_EXCLUSIVE;
    return resp >= DMT_RESP_SLVERR || (w->excl && resp == DMT_RESP_OKAY);
}

static enum outcome read_table(struct dmt_cycle *m, unsigned ctx, uint64_t data, unsigned resp)
{
    struct walk *w = &m->walk[ctx];
    unsigned k = w->stage, error;
    const struct frame *f = &w->frame[k];
    bool entering = k == m->entering;
    uint32_t code;
    struct rule_entry e;

    if (read_error(w, resp, &error))
        return bus_error(m, ctx, w->fetch[0].addr, error);
    w->entry = data;
    decode(m, w, k, data, f->level, &e);
    if (!e.present || e.reserved)
        return entering ? page_fault(m, ctx, rule_fault(&w->a.rq, entering_level(m), e.present))
                        : s2_fault(m, ctx, k, kind_of(f), e.present ? RULE_S2_RESERVED : RULE_S2_ABSENT, 0);
    if (!e.leaf) {
        if (!e.a && w->second)
            return update(m, ctx, missing(m, w, k, &e));
        w->need |= !e.a;
        return descend(m, ctx, &e);
    }
    code = denied(m, w, k, &e, f->rights & e.rights);
    if (code)
        return entering ? page_fault(m, ctx, code)
                        : s2_fault(m, ctx, k, kind_of(f), RULE_S2_RIGHTS, f->rights & e.rights);
    return leaf(m, ctx, &e);
}

static enum outcome read_tea(struct dmt_cycle *m, unsigned ctx, uint64_t data, unsigned resp)
{
    struct walk *w = &m->walk[ctx];
    unsigned k = w->stage, left = w->reads - w->got - 1u, error;
    struct frame *f = &w->frame[k];
    const struct fetch *t = &w->fetch[w->got];
    bool failed = read_error(w, resp, &error);
    uint8_t allow;
    struct rule_entry e;

    decode(m, w, k, data, t->level, &e);
    if (!failed && !(e.present && e.leaf)) {
        if (left) {
            w->got++;
            return WAIT;
        }
        return go_match(m, ctx, k, f->by_size && !w->excl ? (1u << (t->level - 1)) - 1 : 0);
    }
    if (left) {
        m->surplus[ctx][k] = (uint8_t)left;
        m->owed |= 1ull << ctx;
    }
    w->index[k] = t->index;
    if (failed)
        return bus_error(m, ctx, t->addr, error);
    w->entry = data;
    allow = m->state.tea[k][t->index].allow;
    f->rights = k == m->entering ? allow : rule_s2_allow_bits(allow);
    if (!e.reserved && !denied(m, w, k, &e, f->rights & e.rights))
        return leaf(m, ctx, &e);
    return go_match(m, ctx, k, 0);
}

/* A read that nobody waits for has come. */
static enum outcome swallow(struct dmt_cycle *m, unsigned ctx, unsigned k)
{
    uint8_t *left = m->surplus[ctx];

    m->caused[CNT_READ]++;
    left[k]--;
    if (!(left[0] | left[1] | left[2]))
        m->owed &= ~(1ull << ctx);
    return SURPLUS;
}

static enum outcome step_read(struct dmt_cycle *m, unsigned ctx, uint64_t data, unsigned resp)
{
    struct walk *w = &m->walk[ctx];
    const struct fetch *f = &w->fetch[w->got];
    struct dmt_out *o = &m->out;
    bool tea = w->frame[w->stage].tea;

    m->caused[CNT_READ]++;
    o->wt_ref_valid = 1;
    o->wt_ref_order = w->a.order;
    o->wt_ref_stage = w->stage;
    o->wt_ref_level = f->level;
    o->wt_ref_tea = tea;
    o->wt_ref_index = f->index;
    o->wt_ref_lock = w->excl;
    o->wt_ref_addr = f->addr;
    o->wt_ref_data = data;
    o->wt_ref_resp = resp;
    return tea ? read_tea(m, ctx, data, resp) : read_table(m, ctx, data, resp);
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
    o->wt_upd_stage = w->stage;
    o->wt_upd_addr = f->addr;
    o->wt_upd_data = w->entry;
    o->wt_upd_resp = resp;
    switch (resp) {
    case DMT_RESP_EXOKAY:
        m->caused[CNT_UPDATE]++;
        decode(m, w, w->stage, w->entry, f->level, &e);
        return e.leaf ? yield(m, ctx, &e, false) : descend(m, ctx, &e);
    case DMT_RESP_OKAY:
        m->caused[CNT_LOST]++;
        fetch(w, w->stage, 1, true);
        return go_read(m, ctx, AGAIN);
    default:
        return bus_error(m, ctx, f->addr,
                         resp == DMT_RESP_SLVERR ? DMT_BUS_ERROR_WRITE_SLVERR : DMT_BUS_ERROR_WRITE_DECERR);
    }
}

/* The walk's entry in a KIND PA register above set 0 is at an address of the stage below. */
static enum outcome step_chain(struct dmt_cycle *m, unsigned ctx)
{
    struct walk *w = &m->walk[ctx];
    unsigned k = w->stage;

    open_frame(w, k - 1, rule_tea_entry(&m->state.tea[k][w->frame[k].index], w->frame[k].addr), k);
    return go_match(m, ctx, k - 1, ALL_SIZES);
}

/* Does this context's walk wait for such a beat? Others break the contract of the
 * bus and are dropped, so that they cannot corrupt the model. */
static bool expects(const struct dmt_cycle *m, unsigned ctx, bool writing)
{
    return m->busy >> ctx & 1 && m->walk[ctx].writing == writing;
}

static enum outcome step_beat(struct dmt_cycle *m, const struct thing *s)
{
    if (s->stage < DMT_SETS_MAX && m->surplus[s->ctx][s->stage])
        return swallow(m, s->ctx, s->stage);
    if (!expects(m, s->ctx, false) || m->walk[s->ctx].stage != s->stage)
        return NO_STEP;
    return step_read(m, s->ctx, s->data, s->resp);
}

static enum outcome step(struct dmt_cycle *m, const struct thing *s)
{
    switch (s->kind) {
    case REFUSAL: return finish(m, s->ctx, &m->walk[s->ctx].r);
    case CHAIN: return step_chain(m, s->ctx);
    case WRITTEN: return expects(m, s->ctx, true) ? step_write(m, s->ctx, s->resp) : NO_STEP;
    case BEAT: return step_beat(m, s);
    default: return NO_STEP;
    }
}

/* The refusal or chain that launch holds, or nothing; it leaves launch. */
static struct thing leave_launch(struct dmt_cycle *m)
{
    struct thing s = { .kind = m->launch.kind, .ctx = m->launch.ctx };

    m->launch.kind = NOTHING;
    return s;
}

/* A write answer, else the R beat on the pins, else nothing. */
static struct thing take_answer(struct dmt_cycle *m, const struct dmt_in *in)
{
    struct thing s = { .kind = NOTHING };

    if (m->bq_n) {
        s.kind = WRITTEN;
        s.ctx = m->bq[m->bq_head].ctx;
        s.resp = m->bq[m->bq_head].resp;
        m->bq_head = (m->bq_head + 1) % CTX_MAX;
        m->bq_n--;
    } else if (in->m_rvalid & 1) {
        s.kind = BEAT;
        s.ctx = (uint8_t)id_ctx(m, in->m_rid);
        s.stage = (uint8_t)id_stage(m, in->m_rid);
        s.resp = in->m_rresp & 3;
        s.data = in->m_rdata;
    }
    return s;
}

/* PIPE = 0: what this cycle's step is about. */
static struct thing steps_now(struct dmt_cycle *m, const struct dmt_in *in, bool room, bool open)
{
    if (m->launch.kind != NOTHING)
        return room || m->launch.kind == CHAIN ? leave_launch(m) : (struct thing){ .kind = NOTHING };
    return room && open ? take_answer(m, in) : (struct thing){ .kind = NOTHING };
}

/* PIPE = 1: what this cycle's step is about, looked up before; and what is
 * looked up in this cycle. */
static struct thing steps_late(struct dmt_cycle *m, const struct dmt_in *in, bool executed, bool loading)
{
    struct thing s = executed ? m->step : (struct thing){ .kind = NOTHING };

    if (m->step.kind != NOTHING && !executed) {
        m->step.wait -= m->step.wait != 0;
    } else if (m->lq_n) {
        m->step = m->lq[m->lq_head];
        m->lq_head = (m->lq_head + 1) % CTX_MAX;
        m->lq_n--;
    } else {
        m->step = take_answer(m, in);
        if (m->step.kind == BEAT)
            m->step.wait = loading ? 2 : executed && s.ctx == m->step.ctx;
    }
    return s;
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
    m->caused[CNT_REQUEST]++;
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

    if (off ? va >> m->state.maxpa : !rule_canonical(va, entering_level(m)))
        *r = (struct dmt_result){ .status = DMT_STATUS_GP, .addr = va };
    else if (off)
        *r = (struct dmt_result){ .status = DMT_STATUS_OK, .pa = va, .rights = ALL_RIGHTS, .dirty = true };
    else
        return false;
    return true;
}

/* The request in the skid, or that came in this cycle, leaves if it can. */
static void front(struct dmt_cycle *m, const struct start *start, bool stepped, enum outcome outcome)
{
    struct dmt_result r;
    struct walk *w;
    unsigned ctx;

    if (at_once(m, &r)) {
        /* What a step comes to is late with PIPE = 1, so that any step is in the way. */
        if (start->room && (m->cfg.pipe ? !stepped : outcome != RESULT)) {
            push_answer(m, &m->skid, &r);
            leave(m);
        }
        return;
    }
    if (!start->free_ctx || !start->accept || outcome == READ || outcome == AGAIN || outcome == MATCH)
        return;
    ctx = (unsigned)__builtin_ctzll(start->free_ctx);
    w = &m->walk[ctx];
    w->a = m->skid;
    w->second = w->need = w->writing = false;
    memset(w->path, 0, sizeof w->path);
    memset(w->index, 0, sizeof w->index);
    m->busy |= 1ull << ctx;
    open_frame(w, m->entering, w->a.rq.va, FINAL);
    go_match(m, ctx, m->entering, ALL_SIZES);
    leave(m);
}

/* ------------------------------------------------------------ outputs */

static void show_ar(struct dmt_cycle *m)
{
    struct dmt_out *o = &m->out;
    uint64_t addr;
    uint8_t id;
    bool lock;

    if (m->arq_n) {
        o->m_arvalid = 1;
        o->m_arid = m->arq[m->arq_head].id;
        o->m_araddr = m->arq[m->arq_head].addr;
        o->m_arlock = m->arq[m->arq_head].lock;
    } else if (emission(m, true, &addr, &id, &lock)) {
        o->m_arvalid = 1;
        o->m_arid = id;
        o->m_araddr = addr;
        o->m_arlock = lock;
    } else if (o->m_arvalid) {
        o->m_arvalid = o->m_arid = o->m_araddr = o->m_arlock = 0;
    }
}

static void show_write(struct dmt_cycle *m)
{
    struct dmt_out *o = &m->out;
    unsigned ctx = m->wq[m->wq_head];

    o->m_awvalid = m->wq_n && !m->aw_done;
    o->m_awid = o->m_awvalid ? axi_id(m, ctx) : 0;
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

    o->req_ready = !m->skid_valid && !m->drains && !m->loader.phase && !m->settle;
    /* The loader begins with nothing under way, so this is high for it, too. */
    if (m->cfg.pipe)
        o->m_rready = (m->step.kind == NOTHING || executes(m)) && !m->lq_n && !m->bq_n;
    else
        o->m_rready = has_room(m) && open_launch(m) && !m->bq_n;
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

unsigned dmt_config_ctx_width(const struct dmt_config *c)
{
    unsigned w = 1;

    while (1u << w < c->ctx_n)
        w++;
    return w;
}

unsigned dmt_config_id_width(const struct dmt_config *c)
{
    return dmt_config_ctx_width(c) + (c->sets - 1);
}

static void reset(struct dmt_cycle *m)
{
    struct dmt_config cfg = m->cfg;

    memset(m, 0, sizeof *m);
    m->cfg = cfg;
    m->ctx_w = dmt_config_ctx_width(&cfg);
    m->pwc[0].n = cfg.pwc2_n;
    m->pwc[1].n = cfg.pwc3_n;
    m->pwc[2].n = cfg.pwc4_n;
    m->npwc[0].n = cfg.npwc2_n;
    m->npwc[1].n = cfg.npwc3_n;
    m->npwc[2].n = cfg.npwc4_n;
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

    if (c->pa_w < 32 || c->pa_w > 52 || c->ctx_n < 1 || c->ctx_n > CTX_MAX || c->tea_n < 2
        || c->tea_n > DMT_TEA_MAX || c->sets < 1 || c->sets > DMT_SETS_MAX || c->pwc4_n > PWC_MAX
        || c->pwc3_n > PWC_MAX || c->pwc2_n > PWC_MAX || c->npwc4_n > PWC_MAX || c->npwc3_n > PWC_MAX
        || c->npwc2_n > PWC_MAX || c->tag_w < 1 || c->tag_w > 16 || c->cnt_w > 63
        || c->pipe > 1)
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

struct dmt_cycle *dmt_cycle_clone(const struct dmt_cycle *m)
{
    struct dmt_cycle *c = malloc(sizeof(*c));

    if (!c)
        return NULL;
    *c = *m;
    /* The one pointer into itself. */
    for (unsigned i = 0; i < PWC_CACHES; i++) {
        if (m->fill.cache == &m->pwc[i])
            c->fill.cache = &c->pwc[i];
        else if (m->fill.cache == &m->npwc[i])
            c->fill.cache = &c->npwc[i];
    }
    return c;
}

const struct dmt_state *dmt_cycle_state(const struct dmt_cycle *m)
{
    return &m->state;
}

const struct dmt_out *dmt_cycle_out(const struct dmt_cycle *m)
{
    return &m->out;
}

/* Queues, launch and bus handshakes: everything in flight moves on. */
static void advance(struct dmt_cycle *m, const struct dmt_in *in, bool loading)
{
    emit(m, loading, m->out.m_arvalid && (in->m_arready & 1));
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

/* Step, front and match of one cycle. */
static void work(struct dmt_cycle *m, const struct dmt_in *in, const struct start *start,
                 const struct thing *s)
{
    const struct fill pending = m->fill;
    bool past_first = m->first.kind == AHEAD_EMPTY && (m->second.kind == AHEAD_EMPTY || start->open);
    enum outcome outcome;

    m->fill.cache = NULL;
    move_ahead(m, start->open);
    outcome = step(m, s);
    send_ahead(m, past_first);
    if ((in->req_valid & 1) && m->out.req_ready)
        accept(m, in);
    if (m->skid_valid)
        front(m, start, s->kind != NOTHING, outcome);
    send_ahead(m, past_first);
    /* After the matches: they see the caches as they were. */
    if (pending.cache)
        pwc_write(&pending);
    if (in->m_bvalid & 1) {
        unsigned i = (m->bq_head + m->bq_n++) % CTX_MAX;

        m->bq[i].ctx = (uint8_t)id_ctx(m, in->m_bid);
        m->bq[i].resp = in->m_bresp & 3;
    }
}

/* At the end of a clock. True: the next one changes a count. */
static bool count_events(struct dmt_cycle *m)
{
    bool more = false;

    for (unsigned i = 0; i < COUNTERS; i++) {
        m->count[i] += m->counted[i];
        m->counted[i] = m->caused[i];
        m->caused[i] = 0;
        more = more || m->counted[i];
    }
    if (m->count_clear) {
        memset(m->count, 0, sizeof m->count);
        memset(m->counted, 0, sizeof m->counted);
        m->count_clear = false;
    }
    return more;
}

/* One clock in which something may happen. */
static void edge(struct dmt_cycle *m, const struct dmt_in *in)
{
    struct dmt_out *o = &m->out;
    uint64_t taken = cycle_taken(m);
    const struct start start = {
        .room = has_room(m),
        .open = open_launch(m),
        .accept = accepts(m),
        .free_ctx = ~taken & (~0ull >> (CTX_MAX - m->cfg.ctx_n)),
    };
    bool executed = executes(m);
    struct thing s;
    bool req_shown = o->wt_req_valid, ref_shown = o->wt_ref_valid;
    bool upd_shown = o->wt_upd_valid, end_shown = o->wt_end_valid;
    bool popped = o->resp_valid && (in->resp_ready & 1);
    bool loading = m->loader.phase != LOADER_IDLE;

    o->wt_req_valid = o->wt_ref_valid = o->wt_upd_valid = o->wt_end_valid = 0;
    if (m->settle)
        m->settle--;
    cycle_csr_edge(m, in);
    s = m->cfg.pipe ? steps_late(m, in, executed, loading) : steps_now(m, in, start.room, start.open);
    advance(m, in, loading);
    if (loading)
        cycle_loader_edge(m, s.kind == BEAT ? &s : NULL);
    else
        work(m, in, &start, &s);
    m->caused[CNT_BUSY] += taken != 0;
    bool uncounted = count_events(m);
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
    m->quiet = !uncounted && !cycle_taken(m) && !m->resp_n && !m->skid_valid && !(m->aw_held && m->w_held)
               && !m->settle && !m->loader.phase && m->step.kind == NOTHING
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
    const struct walk *w = &m->walk[i];
    unsigned queued = 0;

    static const char *const step[] = {
        [REFUSAL] = "room for its refusal", [CHAIN] = "chain", [WRITTEN] = "step, B", [BEAT] = "step, R"
    };

    if (m->launch.kind != NOTHING && m->launch.ctx == i)
        return step[m->launch.kind];
    for (unsigned k = 0; k < m->lq_n; k++)
        if (m->lq[(m->lq_head + k) % CTX_MAX].ctx == i)
            return step[m->lq[(m->lq_head + k) % CTX_MAX].kind];
    if (m->step.kind != NOTHING && m->step.ctx == i)
        return step[m->step.kind];
    if (m->first.kind != AHEAD_EMPTY && m->first.ctx == i)
        return m->first.kind == AHEAD_MATCH ? "match" : "room in launch";
    if (m->second.kind != AHEAD_EMPTY && m->second.ctx == i)
        return m->second.kind == AHEAD_MATCH ? "match" : "room in launch";
    if ((m->launch.n && m->launch.ctx == i) || (m->emitted.full && m->emitted.ctx == i))
        return "launch";
    if (m->emitted.kind != NOTHING && m->emitted.ctx == i)
        return step[m->emitted.kind];
    if (!w->writing) {
        /* Of the reads of this ID, those that the walk waits for are the last. */
        for (unsigned k = 0; k < m->arq_n; k++)
            queued += m->arq[(m->arq_head + k) % ARQ_RING].id == axi_id(m, i);
        return queued >= (unsigned)w->reads - w->got ? "AR" : "R";
    }
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
    const struct frame *f;
    const struct fetch *t;
    char paths[40] = "", surplus[80] = "";

    if (i >= m->cfg.ctx_n)
        return snprintf(buf, size, "context %u: not built", i);
    if (m->owed >> i & 1)
        for (unsigned k = m->cfg.sets, n = 0; k-- > 0;)
            if (m->surplus[i][k])
                n += (unsigned)snprintf(surplus + n, sizeof surplus - n, ", %u surplus of stage %u",
                                        m->surplus[i][k], k);
    if (!(m->busy >> i & 1))
        return snprintf(buf, size, "context %u: %s%s", i, *surplus ? "answered" : "free", surplus);
    w = &m->walk[i];
    f = &w->frame[w->stage];
    t = &w->fetch[w->got];
    for (unsigned k = m->entering + 1u, n = 0; k-- > 0;)
        n += (unsigned)snprintf(paths + n, sizeof paths - n, "%s%s", n ? "/" : "", path[w->path[k]]);
    return snprintf(buf, size,
                    "context %u: order %" PRIu32 " tag 0x%x %s va 0x%016" PRIx64 " path %s, %s pass,"
                    " stage %u address 0x%013" PRIx64 "%s read %u of %u: level %u at 0x%013" PRIx64
                    " register %u, rights 0x%x, waits for %s%s",
                    i, w->a.order, w->a.tag, access[w->a.rq.access], w->a.rq.va, paths,
                    w->second ? "second" : "first", w->stage, f->addr, w->excl ? " exclusive" : "",
                    w->got + 1u, w->reads, t->level, t->addr, t->index, f->rights, waits_for(m, i), surplus);
}
