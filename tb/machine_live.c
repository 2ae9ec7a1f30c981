/* SPDX-License-Identifier: Apache-2.0
 * The live machine: threads of device, reference, agent and judge on one
 * memory, clocked while software acts. */
#include "tb/csr.h"
#include "tb/lane.h"
#include "tb/lockstep.h"
#include "tb/machine_parts.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS 65536
#define QUEUE  MACHINE_WINDOW
#define SLOTS  128 /* requests taken and not answered; the judge has room for so many */

/* A request in the block. */
struct flight {
    struct machine_answer answer;
    struct machine_leaf leaf;
};

struct thread {
    struct machine *m;
    struct lane lane;
    struct csr csr;
    struct cosim_source source; /* the judge gives its results to this */
    struct rng rng;
    bool steady;          /* answers are taken at once and requests made at once */
    unsigned issue, take; /* a request is made, an answer taken in a cycle, out of 65536 */
    uint64_t phase_until;

    struct {
        struct dmt_request request;
        uint64_t user;
    } queue[QUEUE];
    unsigned head, queued;
    bool valid;                  /* the head of the queue is on the pins */
    struct flight flight[SLOTS]; /* by number */
    uint64_t taken, answered;
    uint64_t ended[SLOTS]; /* numbers of requests, in the order of their answers */
    uint64_t ends;
};

struct live {
    struct rng rng;
    struct agent_profile profile;
    struct thread thread[DMT_THREADS_MAX];
};

/* ------------------------------------------------------------ making */

/* A memory without moods is there to measure with: then the requester has none either. */
static bool is_steady(const struct agent_profile *p)
{
    return p->latency == AGENT_FIXED && p->ar >= ALWAYS && p->r >= ALWAYS && p->aw >= ALWAYS &&
           p->w >= ALWAYS && p->b >= ALWAYS && !p->slverr && !p->lost && !p->starve;
}

static void ended(void *user, uint64_t n, const struct dmt_request *request, const struct dmt_result *result,
                  uint32_t clocks)
{
    struct thread *t = user;
    struct machine_answer *a = &t->flight[n % SLOTS].answer;

    (void)request;
    a->result = *result;
    a->clocks = clocks;
    t->ended[t->ends++ % SLOTS] = n;
}

/* The line of a report that repeats the run with waves around what it is about. */
static void print_command(const void *owner, FILE *f)
{
    const struct thread *t = owner;
    const struct machine_options *o = &t->m->o;
    const char *dir = o->waves_dir ? o->waves_dir : "build/waves";
    uint64_t at = t->lane.diverged;

    if (!o->command)
        return;
    fprintf(f, "replay with waves: %s", o->command);
    if (*dir && !o->waves)
        fprintf(f, " --waves %s/%s-%" PRIu64 ".fst --waves-from %" PRIu64 " --waves-to %" PRIu64, dir,
                lane_config_name(&t->lane), o->seed, at > LANE_AROUND ? at - LANE_AROUND : 0,
                at + LANE_AROUND);
    fputc('\n', f);
}

static bool make_thread(struct machine *m, unsigned i)
{
    const struct machine_options *o = &m->o;
    struct live *v = m->live;
    struct thread *t = &v->thread[i];
    struct lane *l = &t->lane;

    t->m = m;
    l->ops = o->dut;
    l->ref_ops = o->lockstep ? &dut_cycle : NULL;
    l->config = m->config;
    if (!lane_make(l, true))
        return false;
    l->profile_name = v->profile.name;
    l->thread = (int)i;
    l->log = o->log;
    l->seed = o->seed;
    l->command = print_command;
    l->owner = t;
    if (!i && o->waves) {
        l->waves = o->waves;
        l->waves_first = o->waves_first;
        if (o->waves_last)
            l->waves_last = o->waves_last;
    }
    l->agent.mem = m->mem;
    l->agent.peer = o->threads > 1 ? &v->thread[(i + 1) % o->threads].lane.agent : NULL;
    agent_reset(&l->agent, &v->profile, rng_next(&v->rng));
    csr_reset(&t->csr, rng_next(&v->rng));
    rng_seed(&t->rng, rng_next(&v->rng), i);
    t->steady = is_steady(&v->profile);
    t->issue = t->take = ALWAYS;
    t->source.user = t;
    t->source.answer = ended;
    l->judge->source = &t->source;
    return judge_reset(l->judge, &l->config, &l->stats) || cosim_fail("out of memory");
}

static bool reset(struct machine *m)
{
    for (unsigned clock = 0; clock < 2; clock++) {
        for (unsigned i = 0; i < m->o.threads; i++) {
            struct lane *l = &m->live->thread[i].lane;

            switch (lane_begin(l)) {
            case LANE_OK:
                break;
            case LANE_DIVERGED:
                return cosim_fail("%s: differs from the cycle model in reset", l->ops->name);
            case LANE_BAD:
                return false;
            }
            memset(&l->in, 0, sizeof(l->in));
            lane_edge(l, true);
        }
    }
    m->stats.cycles = m->live->thread[0].lane.stats.cycles;
    return true;
}

bool live_new(struct machine *m)
{
    const char *profile = m->o.profile ? m->o.profile : "uniform";
    struct live *v = calloc(1, sizeof(*v));

    if (!v)
        return cosim_fail("out of memory");
    m->live = v;
    if (!agent_profile_find(profile, &v->profile))
        return cosim_fail("%s: no such memory profile", profile);
    rng_seed(&v->rng, m->o.seed, 0x11fe);
    for (unsigned i = 0; i < m->o.threads; i++) {
        if (!make_thread(m, i))
            return false;
    }
    return reset(m);
}

void live_free(struct machine *m)
{
    const struct lane *first;

    if (!m->live)
        return;
    first = &m->live->thread[0].lane;
    for (unsigned i = 0; i < m->o.threads; i++)
        lane_free(&m->live->thread[i].lane);
    /* The view is made of what the file holds, so the file comes first. */
    if (m->o.waves && first->stats.cycles > first->waves_first &&
        !lane_write_view(m->o.waves, first->diverged ? first->diverged : UINT64_MAX))
        fprintf(lane_log(first), "no waves: %s\n", cosim_error());
    free(m->live);
    m->live = NULL;
}

const struct dmt_state *live_state(const struct machine *m, unsigned thread)
{
    return &m->live->thread[thread].lane.judge->shadow.state;
}

/* ------------------------------------------------------------ one clock */

static bool chance(struct thread *t, unsigned p)
{
    return p >= ALWAYS || rng_chance(&t->rng, p);
}

/* How eager requester and software are changes from time to time. */
static void next_phase(struct thread *t)
{
    static const unsigned rates[] = {ALWAYS, ALWAYS, 40000, 16000, 4000};

    t->phase_until = t->lane.stats.cycles + 64 + rng_below(&t->rng, 1000);
    t->issue = rates[rng_below(&t->rng, 4)];
    t->take = rates[rng_below(&t->rng, 5)];
    t->csr.issue = rates[rng_below(&t->rng, 4)];
    t->csr.take = rates[rng_below(&t->rng, 4)];
}

static void drive(struct thread *t)
{
    static const struct dmt_request none;
    struct dmt_in *in = &t->lane.in;
    const struct dmt_request *q;

    if (!t->steady && t->lane.stats.cycles >= t->phase_until)
        next_phase(t);
    t->valid = t->valid || (t->queued && chance(t, t->issue));
    q = t->valid ? &t->queue[t->head].request : &none;
    in->req_valid = t->valid;
    in->req_tag = t->valid ? t->taken & ((1u << t->lane.config.tag_w) - 1) : 0;
    in->req_va = q->va;
    in->req_access = q->access;
    in->req_cpl = q->cpl;
    in->req_ac = q->ac;
    in->req_implicit = q->implicit;
    in->req_nonspec = q->nonspec;
    in->resp_ready = chance(t, t->take);
    csr_drive(&t->csr, in);
}

static void took_request(struct thread *t)
{
    t->flight[t->taken++ % SLOTS] = (struct flight){.answer = {.thread = (unsigned)t->lane.thread,
                                                               .request = t->queue[t->head].request,
                                                               .user = t->queue[t->head].user}};
    t->head = (t->head + 1) % QUEUE;
    t->queued--;
    t->valid = false;
}

/* What the requester sees of a clock. Answers first: the write whose answer comes in the same clock has
 * waited for them, and the registers are theirs still. */
static void see(struct thread *t)
{
    const struct dmt_out *out = lane_out(&t->lane);
    const struct dmt_in *in = &t->lane.in;

    if (out->wt_ref_valid && out->wt_ref_stage == t->lane.judge->shadow.state.mode - 1u &&
        out->wt_ref_resp < DMT_RESP_SLVERR)
        machine_leaf_read(&t->flight[out->wt_ref_order % SLOTS].leaf, (unsigned)out->wt_ref_level,
                          out->wt_ref_tea, out->wt_ref_data);
    if (out->resp_valid && in->resp_ready) {
        const struct flight *f = &t->flight[t->ended[t->answered++ % SLOTS] % SLOTS];

        machine_walked(t->m, &f->answer, &f->leaf);
    }
    if (in->req_valid && out->req_ready)
        took_request(t);
    csr_edge(&t->csr, out, in);
}

static bool at_rest(const struct thread *t)
{
    return !t->queued && t->taken == t->answered && csr_idle(&t->csr) && agent_idle(&t->lane.agent);
}

static enum lane_step watchdog(struct thread *t)
{
    struct lane *l = &t->lane;

    if (at_rest(t))
        l->progress_cycle = l->stats.cycles;
    if (l->stats.cycles - l->progress_cycle < LANE_WATCHDOG)
        return LANE_OK;
    lane_report_hang(l, t->taken, t->answered);
    return LANE_DIVERGED;
}

static enum lane_step clock_thread(struct thread *t)
{
    struct lane *l = &t->lane;
    enum lane_step step = lane_begin(l);

    if (step != LANE_OK)
        return step;
    agent_drive(&l->agent, &l->in);
    drive(t);
    step = lane_check(l);
    if (step != LANE_OK)
        return step;
    see(t);
    step = lane_end(l);
    return step == LANE_OK && (l->stats.cycles & 1023) == 0 ? watchdog(t) : step;
}

static void clock_all(struct machine *m)
{
    struct live *v = m->live;

    for (unsigned i = 0; m->ok && i < m->o.threads; i++) {
        enum lane_step step = clock_thread(&v->thread[i]);

        m->ok = step == LANE_OK;
        m->stats.divergences += step == LANE_DIVERGED;
        if (step == LANE_BAD)
            fprintf(lane_log(&v->thread[i].lane), "%s\n", cosim_error());
    }
    m->stats.cycles = v->thread[0].lane.stats.cycles;
}

/* ------------------------------------------------------------ what software does */

void live_idle(struct machine *m, unsigned clocks)
{
    while (m->ok && clocks--)
        clock_all(m);
}

unsigned live_linger(struct machine *m)
{
    unsigned all = (unsigned)rng_below(&m->live->rng, (uint64_t)m->o.linger + 1);
    unsigned before = (unsigned)rng_below(&m->live->rng, (uint64_t)all + 1);

    live_idle(m, before);
    return all - before;
}

bool live_poke(struct machine *m, uint64_t pa, uint64_t value)
{
    return agent_poke(&m->live->thread[0].lane.agent, pa, value);
}

/* The block is asked in a clock of its own, as a processor that can make one request a clock does. */
void live_access(struct machine *m, unsigned thread, const struct dmt_request *q, uint64_t user)
{
    struct thread *t = &m->live->thread[thread];
    unsigned tail;

    while (m->ok && t->queued == QUEUE)
        clock_all(m);
    if (!m->ok)
        return;
    tail = (t->head + t->queued++) % QUEUE;
    t->queue[tail].request = *q;
    t->queue[tail].user = user;
    clock_all(m);
}

unsigned live_in_flight(const struct machine *m, unsigned thread)
{
    const struct thread *t = &m->live->thread[thread];

    return t->queued + (unsigned)(t->taken - t->answered);
}

/* A thread's writes come after the accesses before them, as the instructions that make them are
 * serializing. The block orders only what it has accepted, so the rest is waited for here. */
bool live_csr(struct machine *m, unsigned thread, unsigned offset, uint64_t value)
{
    struct thread *t = &m->live->thread[thread];

    while (m->ok && t->queued)
        clock_all(m);
    csr_push(&t->csr, offset, value);
    while (m->ok && !csr_idle(&t->csr))
        clock_all(m);
    return m->ok && t->csr.bresp == DMT_RESP_OKAY && t->lane.judge->shadow.refused_by == REFUSED_NONE;
}

uint64_t live_csr_read(struct machine *m, unsigned thread, unsigned offset)
{
    struct thread *t = &m->live->thread[thread];

    csr_push_read(&t->csr, offset);
    while (m->ok && !csr_idle(&t->csr))
        clock_all(m);
    return t->csr.rdata;
}

void live_drain(struct machine *m)
{
    bool rest;

    do {
        rest = true;
        for (unsigned i = 0; i < m->o.threads; i++)
            rest = rest && at_rest(&m->live->thread[i]);
        /* The last of these clocks shows what the last edge made. */
        clock_all(m);
    } while (m->ok && !rest);
    for (unsigned i = 0; m->ok && i < m->o.threads; i++) {
        struct lane *l = &m->live->thread[i].lane;

        if (judge_finish(l->judge))
            continue;
        lane_report_judge(l);
        m->ok = false;
        m->stats.divergences = 1;
    }
}
