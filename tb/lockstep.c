/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/lockstep.h"
#include "dmt/regs.h"
#include "tb/lane.h"
#include "tb/record.h"
#include "tb/stimulus.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define EPOCH 20000

static char error_text[256];
static uint64_t last_hash;

const char *const cosim_profiles[] = { "zero-wait", "uniform",       "heavy-tail", "hit-miss", "reorder",
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

struct run {
    const struct cosim_options *o;
    struct lane lane;
    struct stimulus stimulus;
    struct record record;
    bool recording;
    uint64_t end_cycle;
    unsigned watchdog;
};

static const char *const mode_names[] = { "mix", "native", "virt", "nested" };

static void print_command(const void *owner, FILE *f)
{
    const struct run *r = owner;
    const struct cosim_options *o = r->o;

    fputs("replay with waves: ", f);
    if (o->command) {
        fputs(o->command, f);
    } else {
        fprintf(f, "build/dmt cosim --config %s --seed %" PRIu64, lane_config_name(&r->lane), o->seed);
        if (o->profile)
            fprintf(f, " --profile %s", o->profile);
        if (o->mode)
            fprintf(f, " --mode %s", mode_names[o->mode]);
        if (o->walks)
            fprintf(f, " --walks %" PRIu64, o->walks);
        if (o->cycles)
            fprintf(f, " --cycles %" PRIu64, o->cycles);
    }
    fprintf(f, " --waves-around %u\n", o->around ? o->around : LANE_AROUND);
}

/* ------------------------------------------------------------ one clock */

static void record(struct run *r, bool rst)
{
    if (r->recording)
        record_cycle(&r->record, lane_out(&r->lane), &r->lane.in, rst);
}

static enum lane_step cycle(struct run *r)
{
    struct lane *l = &r->lane;
    enum lane_step step = lane_begin(l);

    if (step != LANE_OK)
        return step;
    agent_drive(&l->agent, &l->in);
    stimulus_drive(&r->stimulus, &l->in);
    step = lane_check(l);
    if (step != LANE_OK)
        return step;
    stimulus_edge(&r->stimulus, lane_out(l), &l->in);
    record(r, false);
    step = lane_end(l);
    if (step == LANE_OK && r->stimulus.broken) {
        cosim_fail("%s", r->stimulus.broken);
        return LANE_BAD;
    }
    return step;
}

/* Nothing is under way: no answer is due that somebody waits for, and none that nobody does. */
static bool at_rest(const struct run *r)
{
    return stimulus_idle(&r->stimulus) && agent_idle(&r->lane.agent) && !lane_out(&r->lane)->m_arvalid;
}

static enum lane_step watchdog(struct run *r)
{
    struct lane *l = &r->lane;

    if (l->stats.cycles - l->progress_cycle < r->watchdog || at_rest(r))
        return LANE_OK;
    lane_report_hang(l, r->stimulus.taken, r->stimulus.answered);
    return LANE_DIVERGED;
}

/* Reset, in half of the random epochs with pins that move: nothing that
 * happens in reset may leave a trace. */
static enum lane_step reset(struct run *r, struct rng *rng)
{
    unsigned cycles = 1 + (unsigned)rng_below(rng, 3);
    struct dmt_in *in = &r->lane.in;
    bool noisy = !r->o->source && rng_below(rng, 2);

    for (unsigned i = 0; i < cycles; i++) {
        enum lane_step step = lane_begin(&r->lane);

        if (step != LANE_OK)
            return step;
        memset(in, 0, sizeof(*in));
        if (noisy) {
            uint64_t x = rng_next(rng);

            in->req_valid = x & 1;
            in->req_va = rng_next(rng);
            in->resp_ready = x >> 1 & 1;
            in->m_arready = x >> 2 & 1;
            in->s_awvalid = x >> 3 & 1;
            in->s_wvalid = x >> 4 & 1;
            in->s_awaddr = x >> 16 & 0x3ff8;
            in->s_wdata = rng_next(rng);
            in->s_wstrb = 0xff;
            in->s_arvalid = x >> 5 & 1;
            in->s_araddr = x >> 32 & 0x3ff8;
            in->s_bready = x >> 6 & 1;
        }
        record(r, true);
        lane_edge(&r->lane, true);
    }
    memset(in, 0, sizeof(*in));
    r->lane.progress_cycle = r->lane.stats.cycles;
    return LANE_OK;
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
    } else if (r->stimulus.huge && rng_below(rng, 2)) { /* surplus reads that take long beside others that do not */
        agent_profile_find("hit-miss", p);
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
    r->lane.profile_name = p->name;
    return true;
}

static bool begin_epoch(struct run *r, struct rng *rng)
{
    static const unsigned rates[] = { 0, 200, 1500, 6000 };
    const struct cosim_options *o = r->o;
    struct agent_profile profile;
    uint64_t seed = rng_next(rng);
    uint64_t pokes = r->lane.agent.pokes;

    r->stimulus.agent = &r->lane.agent;
    if (o->source) {
        if (!stimulus_replay(&r->stimulus, &r->lane.config, o->source, o->outstanding))
            return cosim_fail("%s", r->stimulus.broken ? r->stimulus.broken : "out of memory");
    } else if (!stimulus_random(&r->stimulus, &r->lane.config, seed, o->mode, o->changes)) {
        return cosim_fail("out of memory");
    }
    if (!choose_profile(r, rng, &profile))
        return false;
    r->lane.agent.mem = r->stimulus.mem;
    r->lane.agent.pristine = r->stimulus.pristine;
    r->lane.agent.max_pfn = 1ull << (r->stimulus.base.maxpa - 12);
    r->lane.agent.ept = r->stimulus.ept;
    r->lane.agent.ept_n = r->stimulus.ept_n;
    /* The more entries a translation rests on, the fewer are changed under it. */
    r->lane.agent.disturb = o->changes && !o->source ? rates[rng_below(rng, 4)] >> r->stimulus.entering : 0;
    r->lane.agent.heal = r->stimulus.entering ? 20 : 12;
    r->lane.agent.pokes = pokes;
    r->lane.agent.overtake = o->latency != NULL;
    agent_reset(&r->lane.agent, &profile, seed);
    r->lane.agent.clocks = o->latency;
    r->lane.agent.clocks_user = o->latency_user;
    if (r->lane.judge) {
        r->lane.judge->source = o->source;
        if (!judge_reset(r->lane.judge, &r->lane.config, &r->lane.stats))
            return cosim_fail("out of memory");
    }
    r->lane.stats.epochs++;
    return true;
}

static bool over(const struct run *r)
{
    return (r->o->walks && r->lane.stats.walks >= r->o->walks) ||
           (r->o->cycles && r->lane.stats.cycles >= r->o->cycles) ||
           (r->stimulus.source && r->stimulus.ended && at_rest(r));
}

static bool stopped(const struct run *r)
{
    return r->o->stop && *r->o->stop;
}

/* Run clocks until the time is up, the run is over, or everything has come to rest. */
static enum lane_step clocks(struct run *r, uint64_t until, bool draining)
{
    enum lane_step step = LANE_OK;

    while (step == LANE_OK && r->lane.stats.cycles < until && r->lane.stats.cycles < r->end_cycle) {
        step = cycle(r);
        if (step == LANE_OK && (r->lane.stats.cycles & 1023) == 0) {
            step = watchdog(r);
            if ((r->lane.stats.cycles & 65535) == 0 && r->o->progress) {
                r->lane.stats.pokes = r->lane.agent.pokes;
                r->o->progress(r->o->progress_user, &r->lane.stats);
            }
            if (stopped(r))
                break;
        }
        if (draining ? at_rest(r) : over(r))
            break;
    }
    return step;
}

/* Let everything come to rest; then nothing may be left. */
static enum lane_step finish(struct run *r)
{
    enum lane_step step;

    stimulus_finish(&r->stimulus);
    r->lane.agent.disturb = 0;
    step = clocks(r, UINT64_MAX, true);
    /* One more cycle shows what the last edge made. */
    if (step == LANE_OK && !stopped(r) && r->lane.stats.cycles < r->end_cycle)
        step = cycle(r);
    if (step == LANE_OK && r->lane.judge && !stopped(r) && r->lane.stats.cycles < r->end_cycle &&
        !judge_finish(r->lane.judge)) {
        lane_report_judge(&r->lane);
        step = LANE_DIVERGED;
    }
    return step;
}

static enum lane_step run_all(struct run *r)
{
    uint64_t length = r->o->source ? UINT64_MAX : r->o->epoch_cycles ? r->o->epoch_cycles : EPOCH;
    enum lane_step step = LANE_OK;

    for (uint64_t epoch = 0; step == LANE_OK; epoch++) {
        struct rng rng;
        uint64_t until;

        rng_seed(&rng, r->o->seed, epoch);
        if (!begin_epoch(r, &rng))
            return LANE_BAD;
        step = reset(r, &rng);
        if (step != LANE_OK)
            break;
        until = length == UINT64_MAX ? length : r->lane.stats.cycles + length;
        step = clocks(r, until, false);
        if (step != LANE_OK || stopped(r) || r->lane.stats.cycles >= r->end_cycle)
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
    lane_free(&r->lane);
    stimulus_clear(&r->stimulus);
}

static bool prepare(struct run *r, const struct cosim_options *o)
{
    struct lane *l = &r->lane;

    memset(r, 0, sizeof(*r));
    r->o = o;
    r->watchdog = o->watchdog ? o->watchdog : LANE_WATCHDOG;
    r->end_cycle = UINT64_MAX;
    l->ops = o->dut;
    l->ref_ops = o->reference;
    l->config = o->config ? *o->config : o->dut->config;
    if (o->mode > l->config.sets)
        return cosim_fail("mode %s needs more register sets than the configuration has",
                          o->mode <= DMT_MODE_NESTED ? mode_names[o->mode] : "?");
    if (!lane_make(l, o->judge))
        return false;
    l->waves = o->waves;
    l->waves_first = o->waves_first;
    if (o->waves_last)
        l->waves_last = o->waves_last;
    l->log = o->log;
    l->seed = o->seed;
    l->command = print_command;
    l->owner = r;
    return true;
}

/* The same run again on the device under test alone, with waves from some
 * clocks before the divergence to some clocks after. Same inputs, since they
 * follow from the seed and the device's own outputs. */
static void rerun_with_waves(const struct cosim_options *o, const struct run *r)
{
    const char *dir = o->waves_dir ? o->waves_dir : "build/waves";
    unsigned around = o->around ? o->around : LANE_AROUND;
    struct cosim_options again = *o;
    struct run *run;
    char fst[1100];
    FILE *f = lane_log(&r->lane);
    enum lane_step step;

    if (!*dir || o->dut == &dut_cycle)
        return;
    if (!make_directories(dir)) {
        fprintf(f, "no waves: %s\n", cosim_error());
        return;
    }
    snprintf(fst, sizeof(fst), "%s/%s-%" PRIu64 ".fst", dir, lane_config_name(&r->lane), o->seed);
    again.reference = NULL;
    again.judge = false;
    again.progress = NULL;
    again.record = NULL;
    again.waves = fst;
    again.waves_first = r->lane.diverged > around ? r->lane.diverged - around : 0;
    again.waves_last = r->lane.diverged + around;
    again.watchdog = UINT32_MAX;
    if (o->source)
        o->source->rewind(o->source->user);
    run = malloc(sizeof(*run));
    if (!run || !prepare(run, &again)) {
        fprintf(f, "no waves: %s\n", run ? cosim_error() : "out of memory");
        free(run);
        return;
    }
    run->end_cycle = r->lane.diverged + around;
    step = run_all(run);
    free_run(run);
    free(run);
    if (step == LANE_BAD || !lane_write_view(fst, r->lane.diverged))
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
    enum lane_step step;
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
    r->lane.stats.seconds = now_seconds() - start;
    r->lane.stats.pokes = r->lane.agent.pokes;
    if (stats)
        *stats = r->lane.stats;
    result = step == LANE_BAD        ? COSIM_BAD
             : step == LANE_DIVERGED ? COSIM_DIVERGENCE
             : stopped(r)            ? COSIM_STOPPED
                                     : COSIM_OK;
    if (r->recording) {
        last_hash = r->record.hash;
        if (!record_close(&r->record) && result == COSIM_OK) {
            cosim_fail("%s: not everything could be written", o->record);
            result = COSIM_BAD;
        }
    }
    lane_end_waves(&r->lane);
    if (o->waves && result != COSIM_BAD &&
        !lane_write_view(o->waves, result == COSIM_DIVERGENCE ? r->lane.diverged : UINT64_MAX))
        result = COSIM_BAD;
    if (result == COSIM_DIVERGENCE && !o->waves)
        rerun_with_waves(o, r);
    free_run(r);
    free(r);
    return result;
}
