/* SPDX-License-Identifier: Apache-2.0
 * dmt cosim: RTL and cycle model in lockstep, each answer also judged by the
 * architectural model; random or replayed stimuli. */
#include "cmd.h"

#include "dmt/regs.h"
#include "inputs.h"
#include "io.h"
#include "scenario_cmd.h"
#include "tb/cosim.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct cosim_options run;
    struct inputs in;
    const char *config, *dut, *scenario;
    uint64_t seeds, operations, check_every;
    bool alone, walks_given, cycles_given, mode_given;
    char command[2048]; /* repeats this run */
};

enum {
    O_SEEDS = 256,
    O_CYCLES,
    O_MODE,
    O_PROFILE,
    O_NO_CHANGES,
    O_WAVES,
    O_AROUND,
    O_WAVES_FROM,
    O_WAVES_TO,
    O_WAVES_DIR,
    O_RECORD,
    O_ALONE,
    O_DUT,
    O_OUTSTANDING,
    O_SCENARIO,
    O_OPERATIONS,
    O_CHECK,
    O_EPOCH,
    O_WATCHDOG
};

static const struct argp_option option_list[] = {
    {0, 0, 0, 0, "What runs:", 1},
    {"config", 'c', "NAME", 0, "Configuration of the RTL (default: default)", 1},
    {"dut", O_DUT, "NAME", 0, "rtl (default) or cycle; with --scenario also arch: no clocks, much faster", 1},
    {"alone", O_ALONE, 0, 0, "Without the model beside it and without judging: for speed", 1},
    {"mode", O_MODE, "MODE", 0, "Random stimuli in native, virt, nested, or mix (default): all of them", 1},
    {0, 0, 0, 0, "Random stimuli (everything follows from the seed):", 2},
    {"seed", 's', "N", 0, "First seed (default 1)", 2},
    {"seeds", O_SEEDS, "N", 0, "Run so many seeds, one after the other (default 1)", 2},
    {"walks", 'w', "N", 0, "Stop each after N answers (default 10000; replays: all)", 2},
    {"cycles", O_CYCLES, "N", 0, "Stop each after N clocks", 2},
    {"epoch", O_EPOCH, "N", 0, "Clocks until reset with a new scenario", 2},
    {"no-changes", O_NO_CHANGES, 0, 0, "No register writes, invalidations or memory writes under way", 2},
    {"profile", 'p', "NAME", 0,
     "Memory behaviour, see below (default: random runs mix them, replays fixed-20)", 2},
    {"watchdog", O_WATCHDOG, "N", 0, "Clocks without progress that count as a hang", 2},
    {0, 0, 0, 0, "Replay:", 3},
    {"state", INPUT_STATE, "FILE", 0, "Registers", 3},
    {"memory", 'm', "FILE", 0, "Memory", 3},
    {"base", 'b', "ADDR", 0, "The memory file is a raw image that starts at this hex address", 3},
    {"requests", 'r', "FILE", 0, "Requests CSV", 3},
    {"trace", 't', "FILE", 0, "Access trace (lackey, ChampSim, compact); - for standard input", 3},
    {"limit", INPUT_LIMIT, "N", 0, "At most N accesses of the trace", 3},
    {"no-tlb", INPUT_NO_TLB, 0, 0, "Every access is a request, not only those that miss the TLB", 3},
    {"no-registers", INPUT_NO_REGISTERS, 0, 0, "Clear the TEA registers: the x86 walker alone", 3},
    {"outstanding", O_OUTSTANDING, "N", 0, "Requests in flight (default: as many as the block takes)", 3},
    {0, 0, 0, 0, "Software at work:", 4},
    {"scenario", O_SCENARIO, "NAME|FILE", 0, "Kernels and hypervisors of the model, see below", 4},
    {"operations", O_OPERATIONS, "N", 0, "Operations of software (default 1000)", 4},
    {"check", O_CHECK, "N", 0, "Check the invariants after every N operations (default 1; 0: never)", 4},
    {0, 0, 0, 0, "What is kept:", 5},
    {"waves", O_WAVES, "FILE", 0, "FST of the run (a name ending in .fst), and its GTKWave view", 5},
    {"waves-from", O_WAVES_FROM, "CYCLE", 0, "First clock of it", 5},
    {"waves-to", O_WAVES_TO, "CYCLE", 0, "Last clock of it", 5},
    {"waves-around", O_AROUND, "N", 0, "Clocks before and after a divergence in its own waves (default 200)",
     5},
    {"waves-dir", O_WAVES_DIR, "DIR", 0, "Where those go (default build/waves)", 5},
    {"record", O_RECORD, "FILE", 0, "Inputs of every clock, for replay in other simulators", 5},
    {0}};

static void check_options(struct options *o, struct argp_state *a)
{
    bool replay = inputs_replay(&o->in, a);

    if (o->scenario != NULL && (replay || o->walks_given || o->cycles_given || o->mode_given || o->alone ||
                                o->run.record != NULL || !o->run.changes)) {
        argp_error(a, "--scenario goes with --config, --dut, --seed, --seeds, --profile, --operations, --check and "
                      "waves only");
    }
    if (o->scenario == NULL && strcmp(o->dut, "arch") == 0) {
        argp_error(a, "--dut: arch belongs to --scenario");
    }
    if (replay && o->seeds > 1) {
        argp_error(a, "--seeds: a replay has one run");
    }
    if (replay && o->mode_given) {
        argp_error(a, "--mode: a replay runs in the state file's mode");
    }
    if (o->seeds > 1 && (o->run.waves != NULL || o->run.record != NULL)) {
        argp_error(a, "--waves and --record keep one run: leave out --seeds");
    }
    if (!replay && !o->walks_given && !o->cycles_given) {
        o->run.walks = 10000;
    }
}

/* The mode of random stimuli; 0 is all of them. */
static uint8_t option_mode(const char *text, struct argp_state *a)
{
    static const struct {
        const char *name;
        uint8_t mode;
    } modes[] = {
        {"mix", 0}, {"native", DMT_MODE_NATIVE}, {"virt", DMT_MODE_VIRT}, {"nested", DMT_MODE_NESTED}};

    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(text, modes[i].name) == 0) {
            return modes[i].mode;
        }
    }
    argp_error(a, "--mode: '%s' is not native, virt, nested or mix", text);
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;

    switch (key) {
    case 'c':
        o->config = arg;
        break;
    case O_DUT:
        o->dut = arg;
        if (strcmp(arg, "rtl") != 0 && strcmp(arg, "cycle") != 0 && strcmp(arg, "arch") != 0) {
            argp_error(a, "--dut: '%s' is not rtl, cycle or arch", arg);
        }
        break;
    case O_ALONE:
        o->alone = true;
        break;
    case O_MODE:
        o->run.mode = option_mode(arg, a);
        o->mode_given = true;
        break;
    case 's':
        o->run.seed = option_number(arg, UINT64_MAX, "seed", a);
        break;
    case O_SEEDS:
        o->seeds = option_number(arg, UINT32_MAX, "seeds", a);
        if (o->seeds == 0) {
            argp_error(a, "--seeds: at least 1");
        }
        break;
    case 'w':
        o->run.walks = option_number(arg, UINT64_MAX, "walks", a);
        o->walks_given = true;
        break;
    case O_CYCLES:
        o->run.cycles = option_number(arg, UINT64_MAX, "cycles", a);
        o->cycles_given = true;
        break;
    case O_EPOCH:
        o->run.epoch_cycles = option_number(arg, UINT32_MAX, "epoch", a);
        break;
    case O_NO_CHANGES:
        o->run.changes = false;
        break;
    case 'p':
        o->run.profile = arg;
        break;
    case O_WATCHDOG:
        o->run.watchdog = (unsigned)option_number(arg, UINT32_MAX, "watchdog", a);
        break;
    case O_SCENARIO:
        o->scenario = arg;
        break;
    case O_OPERATIONS:
        o->operations = option_number(arg, UINT64_MAX, "operations", a);
        break;
    case O_CHECK:
        o->check_every = option_number(arg, UINT32_MAX, "check", a);
        break;
    case O_OUTSTANDING:
        o->run.outstanding = (unsigned)option_number(arg, 4096, "outstanding", a);
        break;
    case O_WAVES:
        o->run.waves = option_fst(arg, "waves", a);
        break;
    case O_WAVES_FROM:
        o->run.waves_first = option_number(arg, UINT64_MAX, "waves-from", a);
        break;
    case O_WAVES_TO:
        o->run.waves_last = option_number(arg, UINT64_MAX, "waves-to", a);
        break;
    case O_AROUND:
        o->run.around = (unsigned)option_number(arg, 1000000, "waves-around", a);
        break;
    case O_WAVES_DIR:
        o->run.waves_dir = arg;
        break;
    case O_RECORD:
        o->run.record = arg;
        break;
    case ARGP_KEY_ARG:
        argp_error(a, "'%s' is not an option", arg);
        break;
    case ARGP_KEY_END:
        check_options(o, a);
        break;
    default:
        return inputs_option(&o->in, key, arg, a);
    }
    return 0;
}

static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC) {
        return (char *)text;
    }
    char *whole = NULL;
    size_t size;
    FILE *f = open_memstream(&whole, &size);
    if (f == NULL) {
        return (char *)text;
    }
    fprintf(f, "%s\n\nProfiles:", text);
    for (const char *const *p = cosim_profiles; *p != NULL; p++) {
        fprintf(f, " %s", *p);
    }
    fprintf(f, ", and fixed-L with L from 1 to 1000.\n\nScenarios:\n");
    scenario_list(f);
    fprintf(f, "\nA scenario file has lines key = value:\n%s", scenario_keys());
    fclose(f);
    return help_lists(whole);
}

static const struct argp argp = {
    option_list,
    parse_option,
    NULL,
    "Run the RTL beside its cycle model, compare every pin on every clock, and judge every answer by the "
    "architectural model. At the first divergence: stop, report, and write waves around it."
    "\vExamples:\n  dmt cosim --seed 7 --seeds 50 --cycles 200000\n"
    "  dmt cosim --state sim/captures/gups/state \\\n"
    "      --memory sim/captures/gups/memory.zst \\\n"
    "      --trace sim/captures/gups/trace.zst --limit 100000 --waves gups.fst",
    NULL,
    help_filter,
    NULL};

/* The command line as a shell would take it. */
static void quote(struct options *o, int argc, char **argv)
{
    size_t n = 0;

    for (int i = 0; i < argc; i++) {
        const char *mark = i == 0 || strpbrk(argv[i], " '\"$&;()<>|*?#") == NULL ? "" : "'";
        int k = snprintf(o->command + n, sizeof o->command - n, "%s%s%s%s", i > 0 ? " " : "", mark, argv[i],
                         mark);
        if (k < 0 || (size_t)k >= sizeof o->command - n) {
            o->command[0] = '\0';
            return;
        }
        n += (size_t)k;
    }
}

/* ---------------------------------------------------------------- running */

struct bar {
    const struct options *o;
    uint64_t run; /* from 0 */
    uint64_t replay;
};

static void show(void *user, const struct cosim_stats *s)
{
    const struct bar *b = user;
    const struct options *o = b->o;
    uint64_t done = s->walks, total = b->replay > 0 ? b->replay : o->run.walks;

    if (total == 0 || (b->replay > 0 && o->run.walks > 0 && o->run.walks < total)) {
        total = o->run.walks;
    }
    if (total == 0) {
        done = s->cycles;
        total = o->run.cycles;
    }
    progress_show("lockstep", b->run * total + (done < total ? done : total), o->seeds * total);
}

static void add(struct cosim_stats *sum, const struct cosim_stats *s)
{
    sum->cycles += s->cycles;
    sum->walks += s->walks;
    sum->reads += s->reads;
    sum->updates += s->updates;
    sum->lost += s->lost;
    sum->csr_writes += s->csr_writes;
    sum->pokes += s->pokes;
    sum->divergences += s->divergences;
    sum->seconds += s->seconds;
    for (unsigned i = 0; i < 16; i++) {
        sum->status[i] += s->status[i];
    }
    for (unsigned i = 0; i < 4; i++) {
        sum->path[i] += s->path[i];
        sum->path_refs[i] += s->path_refs[i];
        sum->path_clocks[i] += s->path_clocks[i];
    }
}

static void summary(const struct options *o, const struct cosim_stats *s, const struct tlb_stats *tlb)
{
    static const char *const paths[] = {"none", "tea", "radix", "restart"};
    uint64_t references = 0;

    if (tlb != NULL) {
        printf("trace:       %" PRIu64 " accesses, %" PRIu64 " L1 hits, %" PRIu64 " L2 hits, %" PRIu64
               " misses\n",
               tlb->accesses, tlb->l1_hits, tlb->l2_hits, tlb->walks);
    }
    printf("clocks:      %" PRIu64 " (%.0f a second)\n", s->cycles,
           s->seconds > 0 ? (double)s->cycles / s->seconds : 0);
    for (unsigned i = 0; i < 4; i++) {
        references += s->path_refs[i];
    }
    printf("walks:       %" PRIu64 "\n", s->walks);
    if (!o->alone) {
        printf("references:  %" PRIu64 "\n", references);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (s->path[i] > 0) {
            printf("  %-10s %" PRIu64 " (%.2f clocks", paths[i], s->path[i],
                   (double)s->path_clocks[i] / (double)s->path[i]);
            if (!o->alone) {
                printf(", %.2f references", (double)s->path_refs[i] / (double)s->path[i]);
            }
            printf(" each)\n");
        }
    }
    printf("answers:    ");
    for (unsigned i = 0; i < 16; i++) {
        if (s->status[i] > 0) {
            printf(" %s %" PRIu64, status_name(i), s->status[i]);
        }
    }
    printf("\nA/D updates: %" PRIu64 ", lost races %" PRIu64 "; register writes %" PRIu64
           "; memory stores %" PRIu64 "\n",
           s->updates, s->lost, s->csr_writes, s->pokes);
    printf("divergences: %" PRIu64 "%s\n", s->divergences, o->alone ? " (not looked for)" : "");
    if (o->run.waves != NULL) {
        printf("waves:       %s\n", o->run.waves);
    }
    if (o->run.record != NULL) {
        printf("record:      %s, hash %016" PRIx64 "\n", o->run.record, cosim_record_hash());
    }
}

static int run_all(struct options *o, struct replay *replay, const struct tlb_stats *tlb)
{
    struct cosim_stats sum = {0}, s;
    struct bar bar = {.o = o, .replay = replay != NULL ? replay_count(replay) : 0};
    enum cosim_result result = COSIM_OK;

    o->run.progress = show;
    o->run.progress_user = &bar;
    o->run.stop = signals_graceful();
    for (; bar.run < o->seeds && result == COSIM_OK; bar.run++, o->run.seed++) {
        if (replay != NULL) {
            o->run.source = replay_source(replay, NULL, NULL);
        }
        memset(&s, 0, sizeof s);
        result = cosim_run(&o->run, &s);
        add(&sum, &s);
    }
    progress_end();
    if (result == COSIM_BAD) {
        say("%s", cosim_error());
        return EXIT_BAD_INPUT;
    }
    if (result == COSIM_STOPPED) {
        printf("stopped\n");
    }
    summary(o, &sum, tlb);
    if (fflush(stdout) != 0) {
        say("(standard output): cannot write");
        return EXIT_BAD_INPUT;
    }
    return result == COSIM_DIVERGENCE ? EXIT_CHECK : EXIT_OK;
}

static int replay_files(struct options *o)
{
    struct inputs_data d;
    int code = EXIT_BAD_INPUT;

    if (inputs_read(&o->in, true, &d)) {
        code = run_all(o, d.replay, o->in.trace != NULL ? &d.tlb : NULL);
    }
    inputs_free(&d);
    return code;
}

/* Software at work. */
static int scenario(struct options *o, const struct dut_ops *rtl)
{
    static const unsigned tlb = 256, linger = 12; /* entries a page size; clocks a store takes, at most */
    struct scenario s;
    struct scenario_options run = {.scenario = &s,
                                   .seed = o->run.seed,
                                   .operations = o->operations,
                                   .check_every = (unsigned)o->check_every,
                                   .judge = true,
                                   .fail_after = UINT64_MAX};

    if (!scenario_load(o->scenario, &s)) {
        return EXIT_BAD_INPUT;
    }
    run.machine = (struct machine_options){.dut = strcmp(o->dut, "arch") == 0    ? NULL
                                                  : strcmp(o->dut, "cycle") == 0 ? &dut_cycle
                                                                                 : rtl,
                                           .config = &rtl->config,
                                           .lockstep = strcmp(o->dut, "rtl") == 0,
                                           .profile = o->run.profile,
                                           .linger = linger,
                                           .tlb_sets = tlb,
                                           .waves = o->run.waves,
                                           .waves_dir = o->run.waves_dir,
                                           .waves_first = o->run.waves_first,
                                           .waves_last = o->run.waves_last,
                                           .command = o->run.command};
    return scenario_command(&run, o->seeds);
}

int cmd_cosim(int argc, char **argv)
{
    struct options o = {.config = "default", .dut = "rtl", .seeds = 1, .operations = 1000, .check_every = 1};

    o.run.seed = 1;
    o.run.changes = true;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    const struct dut_ops *rtl = option_config(o.config);
    if (rtl == NULL) {
        return EXIT_BAD_INPUT;
    }
    if (o.scenario != NULL) {
        quote(&o, argc, argv);
        o.run.command = o.command[0] != '\0' ? o.command : NULL;
        return scenario(&o, rtl);
    }
    o.run.dut = strcmp(o.dut, "rtl") == 0 ? rtl : &dut_cycle;
    o.run.config = &rtl->config;
    o.run.reference = o.alone ? NULL : &dut_cycle;
    o.run.judge = !o.alone;
    if (o.in.state != NULL) {
        quote(&o, argc, argv); /* a random run's command follows from its seed */
        o.run.command = o.command[0] != '\0' ? o.command : NULL;
        return replay_files(&o);
    }
    return run_all(&o, NULL, NULL);
}
