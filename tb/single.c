/* SPDX-License-Identifier: Apache-2.0
 * One translation at a time on one device. */
#include "dmt/regs.h"
#include "tb/agent.h"
#include "tb/csr.h"
#include "tb/judge.h"
#include "tb/lockstep.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE 100000 /* clocks without an answer that count as a hang */
#define QUIET    4      /* clocks without a handshake after which only an answer of memory can change anything */

struct single {
    const struct dut_ops *ops;
    struct dmt_config config;
    void *dut;
    struct agent agent;
    struct csr csr;
    struct dmt_state have;
    struct dmt_in in;
    struct judge *judge;
    struct cosim_stats stats;      /* the judge wants some */
    struct cosim_source source;    /* the judge gives its answers to this */
    struct dmt_result *result;     /* of the translation under way */
    bool guilty;
    unsigned (*clocks)(void *user, uint64_t addr, uint32_t clock);
    void *clocks_user;
    bool idle;                     /* clocks without work are left out */
    uint64_t taken, left_out;      /* of the translation under way: agent's clock of the request, clocks left out */
};

/* What the pins do not say, from the judge. */
static void judged(void *user, uint64_t n, const struct dmt_request *request, const struct dmt_result *result,
                   uint32_t clocks)
{
    struct single *s = user;

    (void)n;
    (void)request;
    (void)clocks;
    if (s->result) {
        s->result->refs = result->refs;
        s->result->multi_hit = result->multi_hit;
        s->result->chains = result->chains;
        s->result->refused = result->refused;
    }
}

static void edge(struct single *s, const struct dmt_out *out)
{
    if (!s->guilty && !judge_cycle(s->judge, out, &s->in)) {
        s->guilty = true;
        cosim_fail("%s: %s: %s: expected 0x%" PRIx64 ", got 0x%" PRIx64, s->ops->name, s->judge->signal,
                   s->judge->text, s->judge->expected, s->judge->got);
    }
    agent_edge(&s->agent, out, &s->in);
    csr_edge(&s->csr, out, &s->in);
    s->ops->edge(s->dut, &s->in, false);
}

static const struct dmt_out *drive(struct single *s)
{
    agent_drive(&s->agent, &s->in);
    csr_drive(&s->csr, &s->in);
    return s->ops->out(s->dut);
}

static bool settle(struct single *s)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (csr_idle(&s->csr) || s->guilty)
            return !s->guilty;
        edge(s, drive(s));
    }
    return cosim_fail("%s: a register access is not answered", s->ops->name);
}

void single_free(struct single *s)
{
    if (!s)
        return;
    judge_free(s->judge);
    s->ops->destroy(s->dut);
    free(s);
}

struct single *single_new(const struct dut_ops *dut, const struct dmt_config *config, struct dmt_mem *mem,
                          unsigned latency, bool monitor)
{
    struct single *s = calloc(1, sizeof(*s));
    struct agent_profile profile = agent_profiles[0];

    if (!s) {
        cosim_fail("out of memory");
        return NULL;
    }
    s->ops = dut;
    s->config = config ? *config : dut->config;
    s->dut = dut->create(&s->config);
    if (!s->dut) {
        cosim_fail("%s: cannot be made with these parameters", dut->name);
        free(s);
        return NULL;
    }
    s->source.user = s;
    s->source.answer = judged;
    s->judge = judge_new();
    if (s->judge)
        s->judge->source = &s->source;
    if (!s->judge || !judge_reset(s->judge, &s->config, &s->stats)) {
        cosim_fail("out of memory");
        single_free(s);
        return NULL;
    }
    profile.lo = latency ? latency : 1;
    profile.no_monitor = !monitor;
    s->agent.mem = mem;
    s->agent.overtake = true;
    agent_reset(&s->agent, &profile, 0);
    csr_reset(&s->csr, 0);
    dmt_state_reset(&s->have, s->config.pa_w);
    s->ops->edge(s->dut, &s->in, true);
    s->in.resp_ready = 1;
    return s;
}

static unsigned ask_clocks(void *user, uint64_t addr)
{
    const struct single *s = user;

    return s->clocks(s->clocks_user, addr, (uint32_t)(s->agent.now - s->taken));
}

void single_memory(struct single *s, unsigned (*clocks)(void *user, uint64_t addr, uint32_t clock), void *user,
                   bool idle)
{
    s->clocks = clocks;
    s->clocks_user = user;
    s->idle = idle;
    s->agent.clocks_user = s;
}

enum dmt_resp single_write(struct single *s, unsigned offset, uint64_t value)
{
    csr_push(&s->csr, offset, value);
    return settle(s) ? s->csr.bresp : DMT_RESP_DECERR;
}

enum dmt_resp single_read(struct single *s, unsigned offset, uint64_t *value)
{
    csr_push_read(&s->csr, offset);
    if (!settle(s))
        return DMT_RESP_DECERR;
    *value = s->csr.rdata;
    return s->csr.rresp;
}

/* Why a level's event says that something was refused. */
static bool level_refused(struct single *s, unsigned k, const struct dmt_state *state)
{
    for (unsigned i = 0; i < s->config.tea_n; i++) {
        uint64_t word3 = 0;

        single_read(s, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD3(i), &word3);
        if (state->tea[k][i].valid && !(word3 & DMT_TEA_WORD3_VALID_MASK)) {
            s->have.tea[k][i].valid = false;
            return cosim_fail("%s: TEA register %u of set %u was refused (reason %u)", s->ops->name, i, k,
                              (unsigned)((word3 & DMT_TEA_WORD3_REFUSAL_MASK) >> DMT_TEA_WORD3_REFUSAL_LSB));
        }
    }
    /* Unknown: write them again next time. */
    s->have.level[k].cr3 = ~0ull;
    if (k < 2)
        s->have.s2[k].root = ~0ull;
    return cosim_fail("%s: CR3 or S2ROOT of level %u was refused", s->ops->name, k);
}

bool single_load(struct single *s, const struct dmt_state *state)
{
    uint64_t before = s->csr.writes, event;
    const char *missing = csr_program(&s->csr, &s->config, &s->have, state);

    if (missing)
        return cosim_fail("%s: the state asks for %s", s->ops->name, missing);
    if (s->csr.writes == before)
        return true;
    if (!settle(s))
        return false;
    for (unsigned k = 0; k < s->config.sets; k++) {
        if (single_read(s, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT, &event) != DMT_RESP_OKAY)
            return cosim_fail("%s: events of level %u cannot be read", s->ops->name, k);
        if (!(event & DMT_LEVEL_EVENT_REFUSED_MASK))
            continue;
        single_write(s, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT, event);
        return level_refused(s, k, state);
    }
    if (single_read(s, DMT_HOST_BASE + DMT_HOST_EVENT, &event) == DMT_RESP_OKAY &&
        (event & DMT_HOST_EVENT_REFUSED_MASK)) {
        single_write(s, DMT_HOST_BASE + DMT_HOST_EVENT, event);
        s->have.shadow.root = s->have.gtea[1].table = s->have.gtea[2].table = ~0ull;
        return cosim_fail("%s: SHADOW_ROOT or a gTEA table was refused", s->ops->name);
    }
    return true;
}

void single_invalidate(struct single *s)
{
    csr_invalidate(&s->csr, &s->config);
    settle(s);
}

static void log_event(struct single_log *log, const struct dmt_out *o, bool write)
{
    struct single_event *e;

    if (!log || log->n == SINGLE_EVENTS)
        return;
    e = &log->event[log->n++];
    memset(e, 0, sizeof(*e));
    e->write = write;
    if (write) {
        e->ref.addr = o->wt_upd_addr;
        e->ref.stage = (uint8_t)o->wt_upd_stage;
        e->ref.exclusive = true;
        e->data = o->wt_upd_data;
        e->resp = (uint8_t)o->wt_upd_resp;
    } else {
        e->ref.addr = o->wt_ref_addr;
        e->ref.stage = (uint8_t)o->wt_ref_stage;
        e->ref.level = (uint8_t)o->wt_ref_level;
        e->ref.tea = o->wt_ref_tea;
        e->ref.index = (uint8_t)o->wt_ref_index;
        e->ref.exclusive = o->wt_ref_lock;
        e->data = o->wt_ref_data;
        e->resp = (uint8_t)o->wt_ref_resp;
    }
}

/* With the device at rest the clock stands still until the answer of memory is due. */
static void leave_out(struct single *s)
{
    uint64_t due = agent_due(&s->agent);

    if (due != UINT64_MAX && due > s->agent.now) {
        s->left_out += due - s->agent.now;
        s->agent.now = due;
    }
}

static bool at_rest(const struct single *s, const struct dmt_out *o)
{
    return !o->m_arvalid && !s->in.m_rvalid && !o->m_awvalid && !o->m_wvalid && !s->in.m_bvalid && !o->resp_valid;
}

static bool translate(struct single *s, const struct dmt_request *q, struct dmt_result *result,
                      struct single_log *log)
{
    bool sent = false, ended = false, answered = false;
    unsigned quiet = 0;

    memset(result, 0, sizeof(*result));
    s->result = result;
    s->left_out = 0;
    if (log) {
        log->n = 0;
        log->clocks = 0;
    }
    for (unsigned i = 0; i < PATIENCE; i++) {
        const struct dmt_out *o;

        s->in.req_valid = !sent;
        s->in.req_va = sent ? 0 : q->va;
        s->in.req_access = sent ? 0 : q->access;
        s->in.req_cpl = sent ? 0 : q->cpl;
        s->in.req_ac = sent ? 0 : q->ac;
        s->in.req_implicit = sent ? 0 : q->implicit;
        s->in.req_nonspec = sent ? 0 : q->nonspec;
        o = drive(s);
        if (o->wt_ref_valid) {
            result->reads++;
            log_event(log, o, false);
        }
        if (o->wt_upd_valid) {
            result->updates += o->wt_upd_resp == DMT_RESP_EXOKAY;
            log_event(log, o, true);
        }
        if (o->wt_end_valid) {
            for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
                result->path[k] = o->wt_end_path >> 2 * k & 3;
                result->index[k] = o->wt_end_index >> 6 * k & 63;
            }
            if (log)
                log->clocks = (uint32_t)(o->wt_end_clocks + s->left_out);
            ended = true;
        }
        if (o->resp_valid) {
            result->status = (uint8_t)o->resp_status;
            result->pa = o->resp_pa;
            result->size = (uint8_t)o->resp_size;
            result->rights = (uint8_t)o->resp_rights;
            result->global = o->resp_global;
            result->pkey = (uint8_t)o->resp_pkey;
            result->memtype = (uint8_t)o->resp_memtype;
            result->dirty = o->resp_dirty;
            result->ad_needed = o->resp_ad_needed;
            result->error = o->resp_error;
            result->addr = o->resp_addr;
            result->stage = (uint8_t)o->resp_stage;
            answered = true;
        }
        if (!sent && o->req_ready) {
            sent = true;
            s->taken = s->agent.now;
        }
        quiet = sent && at_rest(s, o) ? quiet + 1 : 0;
        edge(s, o);
        if (s->idle && quiet >= QUIET)
            leave_out(s);
        if ((ended && answered) || s->guilty) {
            s->in.req_valid = 0;
            s->result = NULL;
            return !s->guilty;
        }
    }
    s->in.req_valid = 0;
    s->result = NULL;
    return cosim_fail("%s: a request is not answered", s->ops->name);
}

/* Surplus reads come back before the next request: each translation finds the device as if it were the first. */
static bool drain(struct single *s)
{
    for (unsigned i = 0; i < PATIENCE && !s->guilty && !agent_idle(&s->agent); i++) {
        const struct dmt_out *o = drive(s);

        edge(s, o);
        if (s->idle && at_rest(s, o)) {
            leave_out(s);
        }
    }
    return !s->guilty && (agent_idle(&s->agent) || cosim_fail("%s: answers of memory are not taken", s->ops->name));
}

bool single_translate(struct single *s, const struct dmt_request *q, struct dmt_result *result,
                      struct single_log *log)
{
    s->agent.clocks = s->clocks ? ask_clocks : NULL;
    bool ok = translate(s, q, result, log) && drain(s);
    s->agent.clocks = NULL;
    return ok;
}
