/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/lockstep.h"
#include "dmt/regs.h"
#include "tb/agent.h"
#include "tb/judge.h"
#include "tb/record.h"
#include "tb/stimulus.h"
#include "tb/waves.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define HISTORY 8192 /* events kept for a report; a power of two */
#define SHOWN 24
#define WATCHDOG 20000
#define EPOCH 20000
#define AROUND 200

static char error_text[256];
static uint64_t last_hash;

const char *const cosim_profiles[] = { "zero-wait", "uniform",       "heavy-tail", "reorder",
                                       "starve",    "back-pressure", "errors",     "no-monitor", NULL };

bool cosim_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error_text, sizeof(error_text), format, args);
    va_end(args);
    return false;
}

const char *cosim_error(void)
{
    return error_text;
}

uint64_t cosim_record_hash(void)
{
    return last_hash;
}

const char *lockstep_compare(const struct dmt_out *want, const struct dmt_out *got, uint64_t *want_value,
                             uint64_t *got_value)
{
#define PIN_IN(name, width)
#define PIN_OUT(name, width) \
    if (want->name != got->name) { \
        *want_value = want->name; \
        *got_value = got->name; \
        return #name; \
    }
#include "dmt/pins.def"
    return NULL;
}

/* What happened on the bus and the trace port, for reports. */
enum kind { K_REQUEST, K_REF, K_UPDATE, K_END, K_AR, K_R, K_AW, K_W, K_B, K_CSR_AW, K_CSR_W, K_CSR_B };

struct event {
    uint64_t cycle, a, b, c;
    uint32_t order; /* or AXI ID */
    enum kind kind;
};

struct run {
    const struct cosim_options *o;
    struct dmt_config config;
    void *dut, *ref;
    struct agent agent;
    struct stimulus stimulus;
    struct judge *judge;
    struct record record;
    bool recording, waving;
    struct cosim_stats stats;
    struct dmt_in in;
    uint64_t progress_cycle; /* of the last handshake */
    uint64_t waves_first, waves_last, end_cycle;
    const char *waves;
    uint64_t diverged;       /* cycle */
    struct event *event;
    uint64_t events;
    const char *profile_name;
    unsigned watchdog;
};

/* ------------------------------------------------------------ report */

static void note(struct run *r, enum kind kind, uint64_t order, uint64_t a, uint64_t b, uint64_t c)
{
    r->event[r->events++ & (HISTORY - 1)] = (struct event){
        .cycle = r->stats.cycles, .a = a, .b = b, .c = c, .order = (uint32_t)order, .kind = kind };
}

static void history(struct run *r, const struct dmt_out *o, const struct dmt_in *in)
{
    if (o->wt_req_valid)
        note(r, K_REQUEST, o->wt_req_order, o->wt_req_va,
             o->wt_req_access | o->wt_req_cpl << 2 | o->wt_req_ac << 4 | o->wt_req_implicit << 5 |
                 o->wt_req_nonspec << 6,
             o->wt_req_tag);
    if (o->wt_ref_valid)
        note(r, K_REF, o->wt_ref_order, o->wt_ref_addr, o->wt_ref_data,
             o->wt_ref_level | o->wt_ref_tea << 3 | o->wt_ref_lock << 4 | o->wt_ref_resp << 5 |
                 o->wt_ref_index << 7 | o->wt_ref_stage << 13);
    if (o->wt_upd_valid)
        note(r, K_UPDATE, o->wt_upd_order, o->wt_upd_addr, o->wt_upd_data,
             o->wt_upd_resp | o->wt_upd_stage << 2);
    if (o->wt_end_valid)
        note(r, K_END, o->wt_end_order, o->wt_end_status | o->wt_end_stage << 4 | o->wt_end_path << 6,
             o->wt_end_status == DMT_STATUS_OK ? o->wt_end_pa : o->wt_end_addr, o->wt_end_error);
    if (o->m_arvalid && in->m_arready)
        note(r, K_AR, o->m_arid, o->m_araddr, o->m_arlock, 0);
    if (in->m_rvalid && o->m_rready)
        note(r, K_R, in->m_rid, in->m_rdata, in->m_rresp, 0);
    if (o->m_awvalid && in->m_awready)
        note(r, K_AW, o->m_awid, o->m_awaddr, 0, 0);
    if (o->m_wvalid && in->m_wready)
        note(r, K_W, 0, o->m_wdata, 0, 0);
    if (in->m_bvalid && o->m_bready)
        note(r, K_B, in->m_bid, in->m_bresp, 0, 0);
    if (in->s_awvalid && o->s_awready)
        note(r, K_CSR_AW, 0, in->s_awaddr, 0, 0);
    if (in->s_wvalid && o->s_wready)
        note(r, K_CSR_W, 0, in->s_wdata, in->s_wstrb, 0);
    if (o->s_bvalid && in->s_bready)
        note(r, K_CSR_B, 0, o->s_bresp, 0, 0);
}

static const char *name_of(unsigned value, const char *const *names, unsigned n)
{
    return value < n && names[value] ? names[value] : "?";
}

static const char *const status_names[] = {
#define X(member, value) [value] = #member,
    DMT_STATUS_LIST(X)
#undef X
};
static const char *const mode_names[] = { "mix", "native", "virt", "nested" };
static const char *const access_names[] = { "READ", "WRITE", "EXECUTE" };
static const char *const path_names[] = { "-", "TEA", "RADIX", "RESTART" };
static const char *const resp_names[] = { "OKAY", "EXOKAY", "SLVERR", "DECERR" };

static void print_event(FILE *f, const struct event *e)
{
    fprintf(f, "  %10" PRIu64 "  ", e->cycle);
    switch (e->kind) {
    case K_REQUEST:
        fprintf(f, "walk %" PRIu32 " starts: va 0x%016" PRIx64 " %s cpl %u%s%s%s tag %" PRIu64 "\n",
                e->order, e->a,
                name_of(e->b & 3, access_names, 3), (unsigned)(e->b >> 2 & 3), e->b & 16 ? " ac" : "",
                e->b & 32 ? " implicit" : "", e->b & 64 ? " nonspec" : "", e->c);
        break;
    case K_REF:
        fprintf(f, "walk %" PRIu32 " stage %u %s level %u", e->order, (unsigned)(e->c >> 13),
                e->c & 8 ? "TEA fetch" : "read", (unsigned)(e->c & 7));
        if (e->c & 8)
            fprintf(f, " register %u", (unsigned)(e->c >> 7 & 63));
        fprintf(f, "%s 0x%013" PRIx64 " = 0x%016" PRIx64 " %s\n", e->c & 16 ? " exclusive" : "", e->a, e->b,
                resp_names[e->c >> 5 & 3]);
        break;
    case K_UPDATE:
        fprintf(f, "walk %" PRIu32 " stage %u A/D write 0x%013" PRIx64 " = 0x%016" PRIx64 " %s\n", e->order,
                (unsigned)(e->c >> 2), e->a, e->b, resp_names[e->c & 3]);
        break;
    case K_END:
        fprintf(f,
                "walk %" PRIu32 " answers %s %s 0x%013" PRIx64 " error 0x%" PRIx64
                " stage %u paths %s %s %s\n",
                e->order, name_of(e->a & 15, status_names, sizeof(status_names) / sizeof(*status_names)),
                (e->a & 15) == DMT_STATUS_OK ? "pa" : "addr", e->b, e->c, (unsigned)(e->a >> 4 & 3),
                path_names[e->a >> 6 & 3], path_names[e->a >> 8 & 3], path_names[e->a >> 10 & 3]);
        break;
    case K_AR:
        fprintf(f, "AR id %" PRIu32 " 0x%013" PRIx64 "%s\n", e->order, e->a, e->b ? " exclusive" : "");
        break;
    case K_R:
        fprintf(f, "R  id %" PRIu32 " 0x%016" PRIx64 " %s\n", e->order, e->a, resp_names[e->b & 3]);
        break;
    case K_AW:
        fprintf(f, "AW id %" PRIu32 " 0x%013" PRIx64 "\n", e->order, e->a);
        break;
    case K_W:
        fprintf(f, "W  0x%016" PRIx64 "\n", e->a);
        break;
    case K_B:
        fprintf(f, "B  id %" PRIu32 " %s\n", e->order, resp_names[e->a & 3]);
        break;
    case K_CSR_AW:
        fprintf(f, "CSR write offset 0x%04" PRIx64 "\n", e->a);
        break;
    case K_CSR_W:
        fprintf(f, "CSR write data 0x%016" PRIx64 " strobes 0x%02" PRIx64 "\n", e->a, e->b);
        break;
    case K_CSR_B:
        fprintf(f, "CSR write answered %s\n", resp_names[e->a & 3]);
        break;
    }
}

/* The last SHOWN events of one walk (walk: order) or of the bus (walk < 0). */
static void print_history(struct run *r, FILE *f, int64_t walk)
{
    uint64_t shown[SHOWN];
    unsigned n = 0;

    for (uint64_t i = r->events; n < SHOWN && i && r->events - i < HISTORY; i--) {
        const struct event *e = &r->event[(i - 1) & (HISTORY - 1)];
        bool trace = e->kind <= K_END;

        if (walk < 0 ? !trace : trace && e->order == (uint32_t)walk)
            shown[n++] = i - 1;
    }
    while (n)
        print_event(f, &r->event[shown[--n] & (HISTORY - 1)]);
}

static const char *config_name(const struct run *r)
{
    for (const struct dut_ops *const *d = dut_rtl; *d; d++) {
        if (memcmp(&(*d)->config, &r->config, sizeof(r->config)) == 0)
            return (*d)->name + strlen("rtl-");
    }
    return "unnamed";
}

static void print_command(struct run *r, FILE *f)
{
    const struct cosim_options *o = r->o;

    fputs("replay with waves: ", f);
    if (o->command) {
        fputs(o->command, f);
    } else {
        fprintf(f, "build/dmt cosim --config %s --seed %" PRIu64, config_name(r), o->seed);
        if (o->profile)
            fprintf(f, " --profile %s", o->profile);
        if (o->mode)
            fprintf(f, " --mode %s", mode_names[o->mode]);
        if (o->walks)
            fprintf(f, " --walks %" PRIu64, o->walks);
        if (o->cycles)
            fprintf(f, " --cycles %" PRIu64, o->cycles);
    }
    fprintf(f, " --waves-around %u\n", o->around ? o->around : AROUND);
}

static FILE *log_file(const struct run *r)
{
    return r->o->log ? r->o->log : stderr;
}

/* The walk that a pin is about. */
static uint32_t walk_of(struct run *r, const char *signal, const struct dmt_out *o)
{
    const struct judge_walk *w = NULL;

    if (strncmp(signal, "wt_req_", 7) == 0)
        return (uint32_t)o->wt_req_order;
    if (strncmp(signal, "wt_upd_", 7) == 0)
        return (uint32_t)o->wt_upd_order;
    if (strncmp(signal, "wt_end_", 7) == 0 || strncmp(signal, "resp_", 5) == 0)
        return (uint32_t)o->wt_end_order;
    if (r->judge && strncmp(signal, "m_ar", 4) == 0)
        w = judge_owner(r->judge, (unsigned)o->m_arid);
    if (r->judge && (strncmp(signal, "m_aw", 4) == 0 || strncmp(signal, "m_w", 3) == 0))
        w = judge_owner(r->judge, (unsigned)o->m_awid);
    if (w)
        return w->order;
    if (o->wt_ref_valid)
        return (uint32_t)o->wt_ref_order;
    for (uint64_t i = r->events; i && r->events - i < HISTORY; i--) {
        if (r->event[(i - 1) & (HISTORY - 1)].kind <= K_END)
            return r->event[(i - 1) & (HISTORY - 1)].order;
    }
    return 0;
}

static void report(struct run *r, const char *signal, const char *text, uint64_t want, uint64_t got,
                   uint32_t walk)
{
    FILE *f = log_file(r);

    r->stats.divergences = 1;
    r->diverged = r->stats.cycles;
    fprintf(f,
            "divergence: seed %" PRIu64 " configuration %s profile %s cycle %" PRIu64 " epoch %" PRIu64 "\n",
            r->o->seed, config_name(r), r->profile_name, r->stats.cycles, r->stats.epochs);
    fprintf(f, "  signal %s: expected 0x%" PRIx64 " got 0x%" PRIx64 " (%s)\n", signal, want, got, text);
    fprintf(f, "last events of walk %" PRIu32 ":\n", walk);
    print_history(r, f, walk);
    fputs("last events of the bus:\n", f);
    print_history(r, f, -1);
    if (r->o->reference == &dut_cycle) {
        char line[256];

        fputs("contexts (cycle model):\n", f);
        for (unsigned i = 0; i < r->config.ctx_n; i++) {
            if (dmt_cycle_describe(r->ref, i, line, sizeof(line)) > 0)
                fprintf(f, "  %2u  %s\n", i, line);
        }
    }
    print_command(r, f);
    fflush(f);
}

/* ------------------------------------------------------------ one clock */

static bool waves_step(struct run *r)
{
    if (!r->waves)
        return true;
    if (!r->waving && r->stats.cycles >= r->waves_first && r->stats.cycles <= r->waves_last) {
        if (!r->o->dut->trace_open(r->dut, r->waves))
            return cosim_fail("%s: cannot write waves%s", r->waves,
                              r->o->dut == &dut_cycle ? ": the cycle model has none" : "");
        r->waving = true;
    } else if (r->waving && r->stats.cycles > r->waves_last) {
        r->o->dut->trace_close(r->dut);
        r->waving = false;
        r->waves = NULL;
    }
    return true;
}

static void edge(struct run *r, const struct dmt_out *out, bool rst)
{
    if (r->recording)
        record_cycle(&r->record, out, &r->in, rst);
    r->o->dut->edge(r->dut, &r->in, rst);
    if (r->ref)
        r->o->reference->edge(r->ref, &r->in, rst);
    r->stats.cycles++;
}

enum step { STEP_OK, STEP_DIVERGED, STEP_BAD };

static enum step compare(struct run *r, const struct dmt_out *out)
{
    const struct dmt_out *want = r->ref ? r->o->reference->out(r->ref) : out;
    uint64_t a = 0, b = 0;
    const char *signal;

    if (memcmp(out, want, sizeof(*out)) == 0)
        return STEP_OK;
    signal = lockstep_compare(want, out, &a, &b);
    report(r, signal, "the two models differ", a, b, walk_of(r, signal, out));
    return STEP_DIVERGED;
}

/* Statistics of a run that is not judged. */
static void count(struct run *r, const struct dmt_out *o, const struct dmt_in *in)
{
    struct cosim_stats *s = &r->stats;
    uint64_t path = 0; /* the highest of all stages */

    s->requests += in->req_valid && o->req_ready;
    s->reads += o->wt_ref_valid;
    s->csr_reads += in->s_arvalid && o->s_arready;
    s->csr_writes += o->s_bvalid && in->s_bready;
    if (o->wt_upd_valid) {
        s->updates += o->wt_upd_resp == DMT_RESP_EXOKAY;
        s->lost += o->wt_upd_resp == DMT_RESP_OKAY;
    }
    if (o->wt_end_valid) {
        s->walks++;
        s->status[o->wt_end_status & 15]++;
        for (unsigned k = 0; k < DMT_SETS_MAX; k++)
            path = (o->wt_end_path >> 2 * k & 3) > path ? o->wt_end_path >> 2 * k & 3 : path;
        s->path[path]++;
        s->path_clocks[path] += o->wt_end_clocks;
    }
}

static enum step cycle(struct run *r)
{
    const struct dmt_out *out = r->o->dut->out(r->dut);
    struct dmt_in *in = &r->in;
    enum step step;

    if (!waves_step(r))
        return STEP_BAD;
    step = compare(r, out);
    if (step != STEP_OK)
        return step;
    agent_drive(&r->agent, in);
    stimulus_drive(&r->stimulus, in);
    if (r->event)
        history(r, out, in);
    if (r->judge) {
        if (!judge_cycle(r->judge, out, in)) {
            report(r, r->judge->signal, r->judge->text, r->judge->expected, r->judge->got, r->judge->order);
            return STEP_DIVERGED;
        }
    } else {
        count(r, out, in);
    }
    if ((out->resp_valid && in->resp_ready) || (in->m_rvalid && out->m_rready) ||
        (out->s_bvalid && in->s_bready) ||
        (out->s_rvalid && in->s_rready) || (in->m_bvalid && out->m_bready))
        r->progress_cycle = r->stats.cycles;
    agent_edge(&r->agent, out, in);
    stimulus_edge(&r->stimulus, out, in);
    edge(r, out, false);
    if (r->agent.broken) {
        report(r, "m_arvalid", r->agent.broken, 3, 4, walk_of(r, "m_arvalid", out));
        return STEP_DIVERGED;
    }
    if (r->stimulus.broken) {
        cosim_fail("%s", r->stimulus.broken);
        return STEP_BAD;
    }
    return STEP_OK;
}

static enum step watchdog(struct run *r)
{
    if (r->stats.cycles - r->progress_cycle < r->watchdog ||
        (stimulus_idle(&r->stimulus) && agent_idle(&r->agent)))
        return STEP_OK;
    report(r, "resp_valid", "nothing moves while something is outstanding", r->stimulus.taken,
           r->stimulus.answered,
           walk_of(r, "", r->o->dut->out(r->dut)));
    return STEP_DIVERGED;
}

/* Reset, in half of the random epochs with pins that move: nothing that
 * happens in reset may leave a trace. */
static enum step reset(struct run *r, struct rng *rng)
{
    unsigned cycles = 1 + (unsigned)rng_below(rng, 3);
    bool noisy = !r->o->source && rng_below(rng, 2);

    for (unsigned i = 0; i < cycles; i++) {
        const struct dmt_out *out = r->o->dut->out(r->dut);

        if (!waves_step(r))
            return STEP_BAD;
        if (r->stats.cycles && compare(r, out) != STEP_OK)
            return STEP_DIVERGED;
        memset(&r->in, 0, sizeof(r->in));
        if (noisy) {
            uint64_t x = rng_next(rng);

            r->in.req_valid = x & 1;
            r->in.req_va = rng_next(rng);
            r->in.resp_ready = x >> 1 & 1;
            r->in.m_arready = x >> 2 & 1;
            r->in.s_awvalid = x >> 3 & 1;
            r->in.s_wvalid = x >> 4 & 1;
            r->in.s_awaddr = x >> 16 & 0x3ff8;
            r->in.s_wdata = rng_next(rng);
            r->in.s_wstrb = 0xff;
            r->in.s_arvalid = x >> 5 & 1;
            r->in.s_araddr = x >> 32 & 0x3ff8;
            r->in.s_bready = x >> 6 & 1;
        }
        edge(r, out, true);
    }
    memset(&r->in, 0, sizeof(r->in));
    r->progress_cycle = r->stats.cycles;
    return STEP_OK;
}

/* ------------------------------------------------------------ epochs */

static bool choose_profile(struct run *r, struct rng *rng, struct agent_profile *p)
{
    unsigned n = sizeof(cosim_profiles) / sizeof(*cosim_profiles) - 1, pick;

    if (r->o->profile) {
        if (!agent_profile_find(r->o->profile, p))
            return cosim_fail("%s: no such memory profile", r->o->profile);
    } else if (r->o->source) {
        agent_profile_find("fixed-20", p);
    } else {
        pick = (unsigned)rng_below(rng, 2 * n);
        if (pick < n) {
            *p = agent_profiles[pick];
        } else {
            *p = agent_profiles[0];
            p->name = "fixed";
            p->lo = 1 + (unsigned)rng_below(rng, pick & 1 ? 10 : 80);
        }
    }
    r->profile_name = p->name;
    return true;
}

static bool begin_epoch(struct run *r, struct rng *rng)
{
    static const unsigned rates[] = { 0, 200, 1500, 6000 };
    const struct cosim_options *o = r->o;
    struct agent_profile profile;
    uint64_t seed = rng_next(rng);
    uint64_t pokes = r->agent.pokes;

    r->stimulus.agent = &r->agent;
    if (o->source) {
        if (!stimulus_replay(&r->stimulus, &r->config, o->source, o->outstanding))
            return cosim_fail("%s", r->stimulus.broken ? r->stimulus.broken : "out of memory");
    } else if (!stimulus_random(&r->stimulus, &r->config, seed, o->mode, o->changes)) {
        return cosim_fail("out of memory");
    }
    if (!choose_profile(r, rng, &profile))
        return false;
    r->agent.mem = r->stimulus.mem;
    r->agent.pristine = r->stimulus.pristine;
    r->agent.max_pfn = 1ull << (r->stimulus.base.maxpa - 12);
    r->agent.ept = r->stimulus.ept;
    r->agent.ept_n = r->stimulus.ept_n;
    /* The more entries a translation rests on, the fewer are changed under it. */
    r->agent.disturb = o->changes && !o->source ? rates[rng_below(rng, 4)] >> r->stimulus.entering : 0;
    r->agent.heal = r->stimulus.entering ? 20 : 12;
    r->agent.pokes = pokes;
    agent_reset(&r->agent, &profile, seed);
    r->agent.clocks = o->latency;
    r->agent.clocks_user = o->latency_user;
    if (r->judge) {
        r->judge->source = o->source;
        if (!judge_reset(r->judge, &r->config, &r->stats))
            return cosim_fail("out of memory");
    }
    r->stats.epochs++;
    return true;
}

static bool over(const struct run *r)
{
    return (r->o->walks && r->stats.walks >= r->o->walks) ||
           (r->o->cycles && r->stats.cycles >= r->o->cycles) ||
           (r->stimulus.source && r->stimulus.ended && stimulus_idle(&r->stimulus) && agent_idle(&r->agent));
}

static bool stopped(const struct run *r)
{
    return r->o->stop && *r->o->stop;
}

/* Run clocks until the time is up, the run is over, or everything has come to rest. */
static enum step clocks(struct run *r, uint64_t until, bool draining)
{
    enum step step = STEP_OK;

    while (step == STEP_OK && r->stats.cycles < until && r->stats.cycles < r->end_cycle) {
        step = cycle(r);
        if (step == STEP_OK && (r->stats.cycles & 1023) == 0) {
            step = watchdog(r);
            if ((r->stats.cycles & 65535) == 0 && r->o->progress) {
                r->stats.pokes = r->agent.pokes;
                r->o->progress(r->o->progress_user, &r->stats);
            }
            if (stopped(r))
                break;
        }
        if (draining ? stimulus_idle(&r->stimulus) && agent_idle(&r->agent) : over(r))
            break;
    }
    return step;
}

/* Let everything come to rest; then nothing may be left. */
static enum step finish(struct run *r)
{
    enum step step;

    stimulus_finish(&r->stimulus);
    r->agent.disturb = 0;
    step = clocks(r, UINT64_MAX, true);
    /* One more cycle shows what the last edge made. */
    if (step == STEP_OK && !stopped(r) && r->stats.cycles < r->end_cycle)
        step = cycle(r);
    if (step == STEP_OK && r->judge && !stopped(r) && r->stats.cycles < r->end_cycle &&
        !judge_finish(r->judge)) {
        report(r, r->judge->signal, r->judge->text, r->judge->expected, r->judge->got, r->judge->order);
        step = STEP_DIVERGED;
    }
    return step;
}

static enum step run_all(struct run *r)
{
    uint64_t length = r->o->source ? UINT64_MAX : r->o->epoch_cycles ? r->o->epoch_cycles : EPOCH;
    enum step step = STEP_OK;

    for (uint64_t epoch = 0; step == STEP_OK; epoch++) {
        struct rng rng;
        uint64_t until;

        rng_seed(&rng, r->o->seed, epoch);
        if (!begin_epoch(r, &rng))
            return STEP_BAD;
        step = reset(r, &rng);
        if (step != STEP_OK)
            break;
        until = length == UINT64_MAX ? length : r->stats.cycles + length;
        step = clocks(r, until, false);
        if (step != STEP_OK || stopped(r) || r->stats.cycles >= r->end_cycle)
            break;
        if (over(r))
            return finish(r);
        /* Every second epoch ends with a reset in full flight. */
        if (rng_below(&rng, 2))
            step = finish(r);
    }
    return step;
}

/* ------------------------------------------------------------ a run */

static bool make_directories(const char *path)
{
    char part[1024];

    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return cosim_fail("%s: path too long", path);
    for (char *p = part + 1; *p; p++) {
        if (*p == '/') {
            *p = 0;
            mkdir(part, 0777);
            *p = '/';
        }
    }
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
        return cosim_fail("%s: %s", path, strerror(errno));
    return true;
}

static void free_run(struct run *r)
{
    if (r->dut) {
        if (r->waving)
            r->o->dut->trace_close(r->dut);
        r->o->dut->destroy(r->dut);
    }
    if (r->ref)
        r->o->reference->destroy(r->ref);
    judge_free(r->judge);
    stimulus_clear(&r->stimulus);
    free(r->event);
}

static bool prepare(struct run *r, const struct cosim_options *o)
{
    memset(r, 0, sizeof(*r));
    r->o = o;
    r->config = o->config ? *o->config : o->dut->config;
    r->watchdog = o->watchdog ? o->watchdog : WATCHDOG;
    r->profile_name = "";
    r->end_cycle = UINT64_MAX;
    r->waves = o->waves;
    r->waves_first = o->waves_first;
    r->waves_last = o->waves_last ? o->waves_last : UINT64_MAX;
    if (o->mode > r->config.sets)
        return cosim_fail("mode %s needs more register sets than the configuration has",
                          o->mode <= DMT_MODE_NESTED ? mode_names[o->mode] : "?");
    r->dut = o->dut->create(&r->config);
    if (!r->dut)
        return cosim_fail("%s: cannot be made with these parameters", o->dut->name);
    if (o->reference) {
        r->ref = o->reference->create(&r->config);
        if (!r->ref)
            return cosim_fail("%s: cannot be made with these parameters", o->reference->name);
    }
    if (o->judge && !(r->judge = judge_new()))
        return cosim_fail("out of memory");
    if ((o->judge || o->reference) && !(r->event = calloc(HISTORY, sizeof(*r->event))))
        return cosim_fail("out of memory");
    return true;
}

/* The view beside x.fst is x.gtkw. */
static bool write_view(const char *fst, uint64_t marker)
{
    char view[1200];
    const char *error, *dot = strrchr(fst, '.');
    int stem = dot && strcmp(dot, ".fst") == 0 ? (int)(dot - fst) : (int)strlen(fst);

    snprintf(view, sizeof(view), "%.*s.gtkw", stem, fst);
    if (!waves_view(fst, view, marker, &error))
        return cosim_fail("%s: %s", view, error);
    return true;
}

/* The same run again on the device under test alone, with waves from some
 * clocks before the divergence to some clocks after. Same inputs, since they
 * follow from the seed and the device's own outputs. */
static void rerun_with_waves(const struct cosim_options *o, const struct run *r)
{
    const char *dir = o->waves_dir ? o->waves_dir : "build/waves";
    unsigned around = o->around ? o->around : AROUND;
    struct cosim_options again = *o;
    struct run *run;
    char fst[1100];
    FILE *f = log_file(r);
    enum step step;

    if (!*dir || o->dut == &dut_cycle)
        return;
    if (!make_directories(dir)) {
        fprintf(f, "no waves: %s\n", cosim_error());
        return;
    }
    snprintf(fst, sizeof(fst), "%s/%s-%" PRIu64 ".fst", dir, config_name(r), o->seed);
    again.reference = NULL;
    again.judge = false;
    again.progress = NULL;
    again.record = NULL;
    again.waves = fst;
    again.waves_first = r->diverged > around ? r->diverged - around : 0;
    again.waves_last = r->diverged + around;
    again.watchdog = UINT32_MAX;
    if (o->source)
        o->source->rewind(o->source->user);
    run = malloc(sizeof(*run));
    if (!run || !prepare(run, &again)) {
        fprintf(f, "no waves: %s\n", run ? cosim_error() : "out of memory");
        free(run);
        return;
    }
    run->end_cycle = r->diverged + around;
    step = run_all(run);
    free_run(run);
    free(run);
    if (step == STEP_BAD || !write_view(fst, r->diverged))
        fprintf(f, "no waves: %s\n", cosim_error());
    else
        fprintf(f, "waves: %s\n  gtkwave %.*s.gtkw\n", fst, (int)(strlen(fst) - 4), fst);
}

static double now_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum cosim_result cosim_run(const struct cosim_options *o, struct cosim_stats *stats)
{
    struct run *r = malloc(sizeof(*r));
    enum cosim_result result;
    enum step step;
    double start;

    if (!r) {
        cosim_fail("out of memory");
        return COSIM_BAD;
    }
    if (!prepare(r, o)) {
        free_run(r);
        free(r);
        return COSIM_BAD;
    }
    if (o->record) {
        if (!record_open(&r->record, o->record)) {
            cosim_fail("%s: %s", o->record, strerror(errno));
            free_run(r);
            free(r);
            return COSIM_BAD;
        }
        r->recording = true;
    }
    start = now_seconds();
    step = run_all(r);
    r->stats.seconds = now_seconds() - start;
    r->stats.pokes = r->agent.pokes;
    if (stats)
        *stats = r->stats;
    result = step == STEP_BAD        ? COSIM_BAD
             : step == STEP_DIVERGED ? COSIM_DIVERGENCE
             : stopped(r)            ? COSIM_STOPPED
                                     : COSIM_OK;
    if (r->recording) {
        last_hash = r->record.hash;
        if (!record_close(&r->record) && result == COSIM_OK) {
            cosim_fail("%s: not everything could be written", o->record);
            result = COSIM_BAD;
        }
    }
    if (r->waving) {
        o->dut->trace_close(r->dut);
        r->waving = false;
    }
    if (o->waves && result != COSIM_BAD &&
        !write_view(o->waves, result == COSIM_DIVERGENCE ? r->diverged : UINT64_MAX))
        result = COSIM_BAD;
    if (result == COSIM_DIVERGENCE && !o->waves)
        rerun_with_waves(o, r);
    free_run(r);
    free(r);
    return result;
}
