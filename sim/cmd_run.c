/* SPDX-License-Identifier: Apache-2.0
 * dmt run: the end-to-end demonstration on captured systems. For each: give
 * the captured process TEA registers, send its access trace through a TLB, and
 * walk what misses in lockstep, with the registers and with them cleared. A
 * captured guest with its nested tables runs once as it is and twice as the
 * guest of a guest, over a stage that is made for it. */
#include "cmd.h"

#include "areas.h"
#include "dmt/regs.h"
#include "inputs.h"
#include "io.h"
#include "oracle.h"
#include "report.h"
#include "space.h"
#include "tb/cosim.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEMS_MAX 16
#define WAVE_CLOCKS 4000  /* kept of each run: some hundred walks */
#define REQUESTS    10000 /* of a system that has no trace */

struct options {
    char captures[512], out[512];
    const char *config;
    uint64_t latency, limit, outstanding;
};

enum { O_CAPTURES = 256, O_LATENCY, O_LIMIT, O_OUTSTANDING };

static const struct argp_option option_list[] = {
    {"captures", O_CAPTURES, "DIR", 0,
     "Folder of captured systems (default: sim/captures beside the build folder)", 0},
    {"out", 'o', "DIR", 0, "Where report and waves go (default: run/ beside this program)", 0},
    {"config", 'c', "NAME", 0, "Configuration of the RTL (default: default)", 0},
    {"latency", O_LATENCY, "CLOCKS", 0, "Memory latency (default 20)", 0},
    {"limit", O_LIMIT, "N", 0, "At most N accesses of each trace, or requests where there is none", 0},
    {"outstanding", O_OUTSTANDING, "N", 0, "Requests in flight; 0: as many as the block takes (default 1)",
     0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;

    switch (key) {
    case O_CAPTURES:
        snprintf(o->captures, sizeof o->captures, "%s", arg);
        break;
    case 'o':
        snprintf(o->out, sizeof o->out, "%s", arg);
        break;
    case 'c':
        o->config = arg;
        break;
    case O_LATENCY:
        o->latency = option_number(arg, 1000, "latency", a);
        if (o->latency < 1) {
            argp_error(a, "--latency: at least 1");
        }
        break;
    case O_LIMIT:
        o->limit = option_number(arg, UINT64_MAX, "limit", a);
        break;
    case O_OUTSTANDING:
        o->outstanding = option_number(arg, 4096, "outstanding", a);
        break;
    case ARGP_KEY_ARG:
        argp_error(a, "'%s' is not an option", arg);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_list,
    parse_option,
    NULL,
    "Walk captured systems in lockstep, with TEA registers and without, and end in a table and an HTML page."
    "\vA captured system is a folder with the files memory.zst, state and oracle.csv, and maps and trace.zst "
    "when it is a process on the bare machine, as sim/capture/system.sh, sim/capture/nested.sh and dmt "
    "import "
    "make them. Where there is no trace, requests are made of the addresses in oracle.csv. A system of mode "
    "virt also runs nested, over a stage 1 that is generated: it maps every address to itself.\n\nExample:\n "
    " dmt run --limit 200000",
    NULL,
    NULL,
    NULL};

/* ---------------------------------------------------------------- one system */

/* How a captured system is run. */
enum variant { AS_CAPTURED, NEST_SHADOW, NEST_FULL, VARIANTS };

struct captured {
    char folder[640];
    struct dmt_mem *mem;   /* with TEAs laid out */
    struct dmt_state bare; /* the same tables without TEA registers */
    struct report_system *report;
    struct oracle_row *rows;
    size_t rows_n;
    bool traced;
};

static const char *file_of(const struct captured *c, const char *name, char buf[768])
{
    snprintf(buf, 768, "%s/%s", c->folder, name);
    return buf;
}

static bool lay_out(struct captured *c, enum variant variant, unsigned registers)
{
    struct report_system *r = c->report;
    struct areas areas = {0};
    struct space space;
    char buf[768];
    bool guest = state_entry(&r->state) > 0;
    struct space_layout how = {.areas = guest ? NULL : &areas, .registers = registers, .gtea = guest};

    if (!guest && !maps_read(file_of(c, "maps", buf), 0, &areas)) {
        return false;
    }
    bool ok = space_open(&space, &r->state, c->mem, 0) && (variant == AS_CAPTURED || space_nest(&space));
    r->state.full = variant == NEST_FULL;
    ok = ok && space_layout(&space, &how, r->tea);
    areas_free(&areas);
    c->bare = r->state;
    memset(c->bare.tea, 0, sizeof c->bare.tea);
    r->stages = state_entry(&r->state) + 1;
    for (unsigned k = r->stages; ok && k-- > 0;) {
        printf("  ");
        if (guest) {
            printf("stage %u: ", k);
        }
        printf("%u TEA registers cover %" PRIu64 " of %" PRIu64 " mapped pages\n", r->tea[k].registers,
               r->tea[k].covered_pages, r->tea[k].mapped_pages);
    }
    return ok;
}

/* Tables, registers and QEMU's translations of one way to run a system. False after saying why. */
static bool load(struct captured *c, enum variant variant, const struct dut_ops *rtl)
{
    struct report_system *r = c->report;
    struct full_state state;
    char buf[768];

    if (!state_read(file_of(c, "state", buf), &state)) {
        return false;
    }
    r->state = state.dmt;
    memset(r->state.tea, 0, sizeof r->state.tea);
    c->mem = memory_read(file_of(c, "memory.zst", buf), NULL, NULL);
    c->rows = c->mem != NULL ? oracle_read(file_of(c, "oracle.csv", buf), &c->rows_n) : NULL;
    if (c->rows == NULL) {
        return false;
    }
    c->traced = access(file_of(c, "trace.zst", buf), R_OK) == 0;
    if (variant != AS_CAPTURED) {
        printf(
            "  generated: a stage 1 that maps every address to itself, between the captured guest and its\n"
            "  captured nested table; where registers do not cover, %s\n",
            variant == NEST_SHADOW ? "a shadow table of both is walked" : "stages 1 and 0 are walked");
    }
    return lay_out(c, variant, rtl->config.tea_n);
}

static void unload(struct captured *c)
{
    dmt_mem_free(c->mem);
    free(c->rows);
}

/* Compare the RTL with QEMU's own translation of sampled addresses. */
static bool check_oracle(struct captured *c, const struct dut_ops *rtl, unsigned latency)
{
    struct report_system *r = c->report;
    struct dmt_mem *mem = dmt_mem_clone(c->mem);
    struct single *single = mem != NULL ? single_new(rtl, &rtl->config, mem, latency, true) : NULL;
    bool ok = single != NULL && single_load(single, &r->state);

    for (; ok && r->oracle < c->rows_n; r->oracle++) {
        const struct oracle_row *row = &c->rows[r->oracle];
        struct dmt_result result;
        ok = single_translate(single, &row->request, &result, NULL);
        r->oracle_bad += ok && !oracle_agrees(row, &result);
    }
    if (!ok) {
        say("%s", mem == NULL ? "out of memory" : cosim_error());
    }
    if (single != NULL) {
        single_free(single);
    }
    dmt_mem_free(mem);
    return ok;
}

static struct replay *requests_of(const struct options *o, struct captured *c)
{
    struct report_system *r = c->report;
    char buf[768];
    struct replay *replay;

    if (c->traced) {
        replay = replay_trace(file_of(c, "trace.zst", buf), &r->state, c->mem, true, o->limit, &r->tlb);
        if (replay != NULL) {
            printf("  trace: %" PRIu64 " accesses, %" PRIu64 " L1 hits, %" PRIu64 " L2 hits, %" PRIu64
                   " misses to walk\n",
                   r->tlb.accesses, r->tlb.l1_hits, r->tlb.l2_hits, r->tlb.walks);
        }
        return replay;
    }
    uint64_t n = o->limit != 0 && o->limit < REQUESTS ? o->limit : REQUESTS;
    replay = replay_rows(c->rows, c->rows_n, n, 1, &r->state, c->mem);
    r->tlb.accesses = r->tlb.walks = replay_count(replay);
    printf("  no trace: %" PRIu64
           " requests of the addresses in oracle.csv, in random order, no TLB before\n",
           replay_count(replay));
    return replay;
}

struct bar {
    const char *label;
    uint64_t total;
};

static void show(void *user, const struct cosim_stats *s)
{
    const struct bar *b = user;

    progress_show(b->label, s->walks, b->total);
}

/* Lockstep over all walks with these registers. Result of cosim_run. */
static enum cosim_result lockstep(const struct options *o, const struct captured *c, struct replay *replay,
                                  bool registers, const char *command, struct report_run *run)
{
    const struct dut_ops *rtl = dut_rtl_find(o->config);
    const struct dmt_state *state = registers ? &c->report->state : &c->bare;
    struct bar bar = {registers ? "with TEA registers" : "registers cleared", replay_count(replay)};
    char profile[24];
    struct cosim_options run_options = {.dut = rtl,
                                        .reference = &dut_cycle,
                                        .config = &rtl->config,
                                        .judge = true,
                                        .seed = 1,
                                        .profile = profile,
                                        .source = replay_source(replay, state, c->mem),
                                        .outstanding = (unsigned)o->outstanding,
                                        .waves = registers ? c->report->waves : NULL,
                                        .waves_last = WAVE_CLOCKS,
                                        .waves_dir = o->out,
                                        .command = command,
                                        .progress = show,
                                        .progress_user = &bar,
                                        .stop = signals_graceful()};

    snprintf(profile, sizeof profile, "fixed-%" PRIu64, o->latency);
    enum cosim_result result = cosim_run(&run_options, &run->stats);
    progress_end();
    run->done = true;
    if (result == COSIM_BAD) {
        say("%s", cosim_error());
    } else {
        printf("  %-20s %" PRIu64 " walks, %" PRIu64 " clocks compared, %" PRIu64 " divergences (%.0f s)\n",
               bar.label, run->stats.walks, run->stats.cycles, run->stats.divergences, run->stats.seconds);
        fflush(stdout);
    }
    return result;
}

static enum cosim_result run_system(const struct options *o, struct captured *c, enum variant variant)
{
    struct report_system *r = c->report;
    char command[2048];
    const struct dut_ops *rtl = dut_rtl_find(o->config);

    printf("%s, %s: %s\n", r->name, r->mode, c->folder);
    if (!load(c, variant, rtl) || !check_oracle(c, rtl, (unsigned)o->latency)) {
        return COSIM_BAD;
    }
    if (r->oracle > 0) {
        printf("  QEMU's own translations: %" PRIu64 " of %" PRIu64 " agree with the RTL\n",
               r->oracle - r->oracle_bad, r->oracle);
    } else {
        printf("  no translations of QEMU to compare with: oracle.csv has no rows (see meta.txt there)\n");
    }
    fflush(stdout);
    struct replay *replay = requests_of(o, c);
    if (replay == NULL) {
        return COSIM_BAD;
    }
    fflush(stdout);
    snprintf(r->waves, sizeof r->waves, "%.400s/%s%s%s.fst", o->out, r->name, r->stages > 1 ? "-" : "",
             r->stages > 1 ? r->mode : "");
    snprintf(command, sizeof command,
             "dmt run --captures %s --config %s --latency %" PRIu64 " --limit %" PRIu64
             " --outstanding %" PRIu64,
             o->captures, o->config, o->latency, o->limit, o->outstanding);
    enum cosim_result result = lockstep(o, c, replay, true, command, &r->dmt);
    if (result == COSIM_OK) {
        result = lockstep(o, c, replay, false, command, &r->x86);
    }
    replay_free(replay);
    return result;
}

/* ---------------------------------------------------------------- all of them */

static int by_name(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

/* Names of the folders in o->captures that hold a state file, sorted. */
static size_t list_systems(const struct options *o, char names[SYSTEMS_MAX][64])
{
    DIR *d = opendir(o->captures);
    struct dirent *e;
    size_t n = 0;
    char path[1024];

    if (d == NULL) {
        say("%s: cannot open: %s", o->captures, strerror(errno));
        return 0;
    }
    while ((e = readdir(d)) != NULL && n < SYSTEMS_MAX) {
        snprintf(path, sizeof path, "%s/%.63s/state", o->captures, e->d_name);
        if (e->d_name[0] != '.' && access(path, R_OK) == 0) {
            snprintf(names[n++], 64, "%.63s", e->d_name);
        }
    }
    closedir(d);
    qsort(names, n, sizeof names[0], by_name);
    if (n == 0) {
        say("%s: no captured system (a folder with state, memory.zst, oracle.csv)", o->captures);
    }
    return n;
}

/* Mode of the captured system in a folder; false after saying why. */
static bool guest_system(const struct options *o, const char *name, bool *guest)
{
    struct full_state state;
    char path[640];

    snprintf(path, sizeof path, "%s/%s/state", o->captures, name);
    if (!state_read(path, &state)) {
        return false;
    }
    if (state.dmt.mode != DMT_MODE_NATIVE && state.dmt.mode != DMT_MODE_VIRT) {
        say("%s: expected mode native or virt", path);
        return false;
    }
    *guest = state.dmt.mode == DMT_MODE_VIRT;
    return true;
}

static void default_folders(struct options *o)
{
    char exe[400] = ".";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n > 0) {
        exe[n] = '\0';
        char *slash = strrchr(exe, '/');
        *slash = '\0';
    }
    snprintf(o->out, sizeof o->out, "%s/run", exe);
    snprintf(o->captures, sizeof o->captures, "%s/../share/opendmt/captures", exe);
    if (access(o->captures, R_OK) == 0) { /* installed: nobody wants results beside the command */
        snprintf(o->out, sizeof o->out, "dmt-run");
        return;
    }
    char *slash = strrchr(exe, '/'); /* the build folder lies in the tree */
    snprintf(o->captures, sizeof o->captures, "%.*s/sim/captures", slash != NULL ? (int)(slash - exe) : 1, exe);
    if (access(o->captures, R_OK) != 0) {
        snprintf(o->captures, sizeof o->captures, "sim/captures");
    }
}

int cmd_run(int argc, char **argv)
{
    struct options o = {.config = "default", .latency = 20, .outstanding = 1};
    char names[SYSTEMS_MAX][64], html[600];
    enum cosim_result result = COSIM_OK;
    size_t n, done = 0;

    default_folders(&o);
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (option_config(o.config) == NULL) {
        return EXIT_BAD_INPUT;
    }
    if ((n = list_systems(&o, names)) == 0 || !make_folder(o.out)) {
        return EXIT_BAD_INPUT;
    }
    struct report_system *report = calloc(n * VARIANTS, sizeof *report);
    if (report == NULL) {
        say("out of memory");
        return EXIT_BAD_INPUT;
    }
    printf("OpenDMT: RTL (configuration %s) beside its cycle model, every pin on every clock\n", o.config);
    fflush(stdout);
    for (unsigned pass = 0; pass < 2; pass++) { /* bare machines, then guests */
        for (size_t i = 0; i < n && result == COSIM_OK; i++) {
            static const char *const modes[VARIANTS] = {"virt", "nested", "nested-full"};
            bool guest = false;
            if (!guest_system(&o, names[i], &guest)) {
                result = COSIM_BAD;
            } else if (guest != (pass == 1)) {
                continue;
            }
            for (unsigned v = 0; v < (guest ? VARIANTS : 1) && result == COSIM_OK; v++) {
                struct captured c = {.report = &report[done]};
                snprintf(c.report->name, sizeof c.report->name, "%s", names[i]);
                c.report->mode = guest ? modes[v] : "native";
                snprintf(c.folder, sizeof c.folder, "%s/%s", o.captures, names[i]);
                result = run_system(&o, &c, (enum variant)v);
                unload(&c);
                done += result != COSIM_BAD;
            }
        }
    }
    int code = result == COSIM_BAD ? EXIT_BAD_INPUT : result == COSIM_DIVERGENCE ? EXIT_CHECK : EXIT_OK;
    for (size_t i = 0; i < done; i++) {
        if (report[i].oracle_bad > 0) {
            code = code == EXIT_OK ? EXIT_CHECK : code;
        }
    }
    if (done > 0 && result != COSIM_BAD) {
        report_table(report, done);
        snprintf(html, sizeof html, "%s/report.html", o.out);
        if (report_html(html, report, done, (unsigned)o.latency)) {
            printf("page: %s\n", html);
        } else {
            code = EXIT_BAD_INPUT;
        }
    }
    free(report);
    if (fflush(stdout) != 0) {
        say("(standard output): cannot write");
        code = EXIT_BAD_INPUT;
    }
    return code;
}
