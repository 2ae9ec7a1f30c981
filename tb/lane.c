/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/lane.h"
#include "dmt/regs.h"
#include "tb/lockstep.h"
#include "tb/waves.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY 8192 /* events kept for a report; a power of two */
#define SHOWN   24

const char *lockstep_compare(const struct dmt_out *want, const struct dmt_out *got, uint64_t *want_value,
                             uint64_t *got_value)
{
#define PIN_IN(name, width)
#define PIN_OUT(name, width)                                                                                 \
    if (want->name != got->name) {                                                                           \
        *want_value = want->name;                                                                            \
        *got_value = got->name;                                                                              \
        return #name;                                                                                        \
    }
#include "dmt/pins.def"
    return NULL;
}

/* What happened on the bus and the trace port, for reports. */
enum kind { K_REQUEST, K_REF, K_UPDATE, K_END, K_AR, K_R, K_AW, K_W, K_B, K_CSR_AW, K_CSR_W, K_CSR_B };

struct lane_event {
    uint64_t cycle, a, b, c;
    uint32_t order; /* or AXI ID */
    enum kind kind;
};

/* ------------------------------------------------------------ report */

static void note(struct lane *l, enum kind kind, uint64_t order, uint64_t a, uint64_t b, uint64_t c)
{
    l->event[l->events++ & (HISTORY - 1)] = (struct lane_event){
        .cycle = l->stats.cycles, .a = a, .b = b, .c = c, .order = (uint32_t)order, .kind = kind};
}

static void history(struct lane *l, const struct dmt_out *o, const struct dmt_in *in)
{
    if (o->wt_req_valid)
        note(l, K_REQUEST, o->wt_req_order, o->wt_req_va,
             o->wt_req_access | o->wt_req_cpl << 2 | o->wt_req_ac << 4 | o->wt_req_implicit << 5 |
                 o->wt_req_nonspec << 6,
             o->wt_req_tag);
    if (o->wt_ref_valid)
        note(l, K_REF, o->wt_ref_order, o->wt_ref_addr, o->wt_ref_data,
             o->wt_ref_level | o->wt_ref_tea << 3 | o->wt_ref_lock << 4 | o->wt_ref_resp << 5 |
                 o->wt_ref_index << 7 | o->wt_ref_stage << 13);
    if (o->wt_upd_valid)
        note(l, K_UPDATE, o->wt_upd_order, o->wt_upd_addr, o->wt_upd_data,
             o->wt_upd_resp | o->wt_upd_stage << 2);
    if (o->wt_end_valid)
        note(l, K_END, o->wt_end_order, o->wt_end_status | o->wt_end_stage << 4 | o->wt_end_path << 6,
             o->wt_end_status == DMT_STATUS_OK ? o->wt_end_pa : o->wt_end_addr, o->wt_end_error);
    if (o->m_arvalid && in->m_arready)
        note(l, K_AR, o->m_arid, o->m_araddr, o->m_arlock, 0);
    if (in->m_rvalid && o->m_rready)
        note(l, K_R, in->m_rid, in->m_rdata, in->m_rresp, 0);
    if (o->m_awvalid && in->m_awready)
        note(l, K_AW, o->m_awid, o->m_awaddr, 0, 0);
    if (o->m_wvalid && in->m_wready)
        note(l, K_W, 0, o->m_wdata, 0, 0);
    if (in->m_bvalid && o->m_bready)
        note(l, K_B, in->m_bid, in->m_bresp, 0, 0);
    if (in->s_awvalid && o->s_awready)
        note(l, K_CSR_AW, 0, in->s_awaddr, 0, 0);
    if (in->s_wvalid && o->s_wready)
        note(l, K_CSR_W, 0, in->s_wdata, in->s_wstrb, 0);
    if (o->s_bvalid && in->s_bready)
        note(l, K_CSR_B, 0, o->s_bresp, 0, 0);
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
static const char *const access_names[] = {"READ", "WRITE", "EXECUTE"};
static const char *const path_names[] = {"-", "TEA", "RADIX", "RESTART"};
static const char *const resp_names[] = {"OKAY", "EXOKAY", "SLVERR", "DECERR"};

static void print_event(FILE *f, const struct lane_event *e)
{
    fprintf(f, "  %10" PRIu64 "  ", e->cycle);
    switch (e->kind) {
    case K_REQUEST:
        fprintf(f, "walk %" PRIu32 " starts: va 0x%016" PRIx64 " %s cpl %u%s%s%s tag %" PRIu64 "\n", e->order,
                e->a, name_of(e->b & 3, access_names, 3), (unsigned)(e->b >> 2 & 3), e->b & 16 ? " ac" : "",
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
static void print_history(struct lane *l, FILE *f, int64_t walk)
{
    uint64_t shown[SHOWN];
    unsigned n = 0;

    for (uint64_t i = l->events; n < SHOWN && i && l->events - i < HISTORY; i--) {
        const struct lane_event *e = &l->event[(i - 1) & (HISTORY - 1)];
        bool trace = e->kind <= K_END;

        if (walk < 0 ? !trace : trace && e->order == (uint32_t)walk)
            shown[n++] = i - 1;
    }
    while (n)
        print_event(f, &l->event[shown[--n] & (HISTORY - 1)]);
}

const char *lane_config_name(const struct lane *l)
{
    for (const struct dut_ops *const *d = dut_rtl; *d; d++) {
        if (memcmp(&(*d)->config, &l->config, sizeof(l->config)) == 0)
            return (*d)->name + strlen("rtl-");
    }
    return "unnamed";
}

FILE *lane_log(const struct lane *l)
{
    return l->log ? l->log : stderr;
}

/* The walk that a pin is about. */
static uint32_t walk_of(struct lane *l, const char *signal, const struct dmt_out *o)
{
    const struct judge_walk *w = NULL;

    if (strncmp(signal, "wt_req_", 7) == 0)
        return (uint32_t)o->wt_req_order;
    if (strncmp(signal, "wt_upd_", 7) == 0)
        return (uint32_t)o->wt_upd_order;
    if (strncmp(signal, "wt_end_", 7) == 0 || strncmp(signal, "resp_", 5) == 0)
        return (uint32_t)o->wt_end_order;
    if (l->judge && strncmp(signal, "m_ar", 4) == 0)
        w = judge_owner(l->judge, (unsigned)o->m_arid);
    if (l->judge && (strncmp(signal, "m_aw", 4) == 0 || strncmp(signal, "m_w", 3) == 0))
        w = judge_owner(l->judge, (unsigned)o->m_awid);
    if (w)
        return w->order;
    if (o->wt_ref_valid)
        return (uint32_t)o->wt_ref_order;
    for (uint64_t i = l->events; i && l->events - i < HISTORY; i--) {
        if (l->event[(i - 1) & (HISTORY - 1)].kind <= K_END)
            return l->event[(i - 1) & (HISTORY - 1)].order;
    }
    return 0;
}

void lane_report(struct lane *l, const char *signal, const char *text, uint64_t want, uint64_t got,
                 uint32_t walk)
{
    FILE *f = lane_log(l);

    l->stats.divergences = 1;
    l->diverged = l->stats.cycles;
    fprintf(f, "divergence: seed %" PRIu64 " configuration %s profile %s cycle %" PRIu64, l->seed,
            lane_config_name(l), l->profile_name, l->stats.cycles);
    if (l->thread < 0)
        fprintf(f, " epoch %" PRIu64 "\n", l->stats.epochs);
    else
        fprintf(f, " thread %d\n", l->thread);
    fprintf(f, "  signal %s: expected 0x%" PRIx64 " got 0x%" PRIx64 " (%s)\n", signal, want, got, text);
    fprintf(f, "last events of walk %" PRIu32 ":\n", walk);
    print_history(l, f, walk);
    fputs("last events of the bus:\n", f);
    print_history(l, f, -1);
    if (l->ref_ops == &dut_cycle) {
        char line[256];

        fputs("contexts (cycle model):\n", f);
        for (unsigned i = 0; i < l->config.ctx_n; i++) {
            if (dmt_cycle_describe(l->ref, i, line, sizeof(line)) > 0)
                fprintf(f, "  %2u  %s\n", i, line);
        }
    }
    l->command(l->owner, f);
    fflush(f);
}

void lane_report_judge(struct lane *l)
{
    lane_report(l, l->judge->signal, l->judge->text, l->judge->expected, l->judge->got, l->judge->order);
}

void lane_report_hang(struct lane *l, uint64_t taken, uint64_t answered)
{
    lane_report(l, "resp_valid", "nothing moves while something is outstanding", taken, answered,
                walk_of(l, "", lane_out(l)));
}

/* ------------------------------------------------------------ one clock */

const struct dmt_out *lane_out(const struct lane *l)
{
    return l->ops->out(l->dut);
}

static bool waves_step(struct lane *l)
{
    if (!l->waves)
        return true;
    if (!l->waving && l->stats.cycles >= l->waves_first && l->stats.cycles <= l->waves_last) {
        if (!l->ops->trace_open(l->dut, l->waves))
            return cosim_fail("%s: cannot write waves%s", l->waves,
                              l->ops == &dut_cycle ? ": the cycle model has none" : "");
        l->waving = true;
    } else if (l->waving && l->stats.cycles > l->waves_last) {
        lane_end_waves(l);
        l->waves = NULL;
    }
    return true;
}

void lane_end_waves(struct lane *l)
{
    if (l->waving)
        l->ops->trace_close(l->dut);
    l->waving = false;
}

static enum lane_step compare(struct lane *l, const struct dmt_out *out)
{
    const struct dmt_out *want = l->ref ? l->ref_ops->out(l->ref) : out;
    uint64_t a = 0, b = 0;
    const char *signal;

    if (memcmp(out, want, sizeof(*out)) == 0)
        return LANE_OK;
    signal = lockstep_compare(want, out, &a, &b);
    lane_report(l, signal, "the two models differ", a, b, walk_of(l, signal, out));
    return LANE_DIVERGED;
}

/* Statistics of a run that is not judged. */
static void count(struct lane *l, const struct dmt_out *o, const struct dmt_in *in)
{
    struct cosim_stats *s = &l->stats;
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

enum lane_step lane_begin(struct lane *l)
{
    if (!waves_step(l))
        return LANE_BAD;
    /* Nothing has been reset in the first cycle of a run. */
    return l->stats.cycles ? compare(l, lane_out(l)) : LANE_OK;
}

enum lane_step lane_check(struct lane *l)
{
    const struct dmt_out *out = lane_out(l);
    const struct dmt_in *in = &l->in;

    if (l->event)
        history(l, out, in);
    if (l->judge) {
        if (!judge_cycle(l->judge, out, in)) {
            lane_report_judge(l);
            return LANE_DIVERGED;
        }
    } else {
        count(l, out, in);
    }
    if ((out->resp_valid && in->resp_ready) || (in->m_rvalid && out->m_rready) ||
        (out->s_bvalid && in->s_bready) || (out->s_rvalid && in->s_rready) || (in->m_bvalid && out->m_bready))
        l->progress_cycle = l->stats.cycles;
    agent_edge(&l->agent, out, in);
    return LANE_OK;
}

void lane_edge(struct lane *l, bool rst)
{
    l->ops->edge(l->dut, &l->in, rst);
    if (l->ref)
        l->ref_ops->edge(l->ref, &l->in, rst);
    l->stats.cycles++;
}

enum lane_step lane_end(struct lane *l)
{
    lane_edge(l, false);
    if (!l->agent.broken)
        return LANE_OK;
    lane_report(l, "m_arvalid", l->agent.broken, DMT_PTE_READS, DMT_PTE_READS + 1, walk_of(l, "m_arvalid", lane_out(l)));
    return LANE_DIVERGED;
}

/* ------------------------------------------------------------ making */

static void *create(const struct dut_ops *ops, const struct dmt_config *config)
{
    void *dut = ops->create(config);

    if (!dut)
        cosim_fail("%s: cannot be made with these parameters", ops->name);
    return dut;
}

bool lane_make(struct lane *l, bool judge)
{
    l->profile_name = "";
    l->thread = -1;
    l->waves_last = UINT64_MAX;
    l->dut = create(l->ops, &l->config);
    if (!l->dut)
        return false;
    if (l->ref_ops && !(l->ref = create(l->ref_ops, &l->config)))
        return false;
    if (judge && !(l->judge = judge_new()))
        return cosim_fail("out of memory");
    if ((judge || l->ref_ops) && !(l->event = calloc(HISTORY, sizeof(*l->event))))
        return cosim_fail("out of memory");
    return true;
}

void lane_free(struct lane *l)
{
    if (l->dut) {
        lane_end_waves(l);
        l->ops->destroy(l->dut);
    }
    if (l->ref)
        l->ref_ops->destroy(l->ref);
    judge_free(l->judge);
    free(l->event);
}

bool lane_write_view(const char *fst, uint64_t marker)
{
    char view[1200];
    const char *error, *dot = strrchr(fst, '.');
    int stem = dot && strcmp(dot, ".fst") == 0 ? (int)(dot - fst) : (int)strlen(fst);
    struct walklog log;
    struct waves_time time;
    bool done;

    if (!walklog_init(&log, 0))
        return cosim_fail("out of memory");
    done = waves_log(fst, &log, &time, &error) && waves_annotate(fst, fst, &log, &time, &error);
    walklog_free(&log);
    if (!done)
        return cosim_fail("%s: %s", fst, error);
    snprintf(view, sizeof(view), "%.*s.gtkw", stem, fst);
    if (!waves_view(fst, view, marker, &error))
        return cosim_fail("%s: %s", view, error);
    return true;
}
