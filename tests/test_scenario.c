/* SPDX-License-Identifier: Apache-2.0
 * Software at work: every scenario on the architectural model with all
 * invariants after every operation, a part of it on the RTL in lockstep; the
 * artifact's defects, each caught; memory that runs out at every allocation. */
#include "dmt/regs.h"
#include "drive.h"
#include "tb/scenario.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define LONG_RUN  800
#define SHORT_RUN 30
#else
#define LONG_RUN  10000
#define SHORT_RUN 150
#endif

static struct scenario_options options(struct scenario *s, const char *name, const char *config,
                                       uint64_t operations)
{
    const struct scenario_text *t = scenario_texts;
    const struct dut_ops *rtl = dut_rtl_find(config);

    while (strcmp(t->name, name) != 0) {
        t++;
        must(t->name != NULL, "no such scenario");
    }
    must(scenario_parse(t->text, t->name, s) == NULL);
    return (struct scenario_options){
        .scenario = s,
        .seed = 1,
        .operations = operations,
        .machine = {.config = &rtl->config, .tlb_sets = 64, .linger = 12, .waves_dir = ""},
        .check_every = 1,
        .judge = true,
        .fail_after = UINT64_MAX};
}

/* 10 000 operations with every answer and all invariants checked. With TEAs of smaller page sizes where so
 * many per cent of the tables are, 0: wherever they may come; what has no register then may be much. */
static void on_model(const char *name, unsigned present)
{
    struct scenario s;
    struct scenario_stats t;
    struct scenario_options o = options(&s, name, "default", LONG_RUN);

    s.os.tea.present_percent = present;
    s.fits = present > 0 ? 0 : s.fits;
    must(scenario_run(&o, &t) == COSIM_OK, "%s operation %" PRIu64 " (%s): %s", name, t.failed_at,
         t.failed_in, t.failure);
    must(t.operations == LONG_RUN && t.checked >= LONG_RUN && t.judged > 2 * LONG_RUN);
    for (unsigned i = 0; i < OPS; i++) { /* the mix is what was asked for */
        must((t.of[i] > 0) == (s.weight[i] > 0) || LONG_RUN < 10000, "%s: operation %u", name, i);
    }
    must(s.fits == 0 || 100 * t.machine.covered >= s.fits * t.machine.ok || LONG_RUN < 10000,
         "%s: TEAs serve %" PRIu64 " of %" PRIu64 " walks", name, t.machine.covered, t.machine.ok);
}

/* The RTL beside its cycle model, judged, while software changes what it walks. */
static void on_rtl(const char *name, const char *config, unsigned present)
{
    struct scenario s;
    struct scenario_stats t;
    struct scenario_options o = options(&s, name, config, SHORT_RUN);

    s.os.tea.present_percent = present;
    o.machine.dut = dut_rtl_find(config);
    o.machine.lockstep = true;
    if (s.os.tea.registers > o.machine.config->tea_n) {
        s.os.tea.registers = o.machine.config->tea_n;
    }
    must(scenario_run(&o, &t) == COSIM_OK, "%s operation %" PRIu64 " (%s): %s %s", name, t.failed_at,
         t.failed_in, t.failure, cosim_error());
    must(t.machine.cycles > 1000 && t.machine.divergences == 0 && t.machine.walks > 100);
    must(t.machine.covered > 0);
}

#define SCENARIO(id, name)                                                                                   \
    Test(model, id)                                                                                          \
    {                                                                                                        \
        on_model(name, 0);                                                                                   \
    }                                                                                                        \
    Test(rtl, id)                                                                                            \
    {                                                                                                        \
        on_rtl(name, "default", 0);                                                                          \
    }                                                                                                        \
    Test(rtl, id##_pipelined)                                                                                \
    {                                                                                                        \
        on_rtl(name, "pipelined", 0);                                                                        \
    }

SCENARIO(database, "database")
SCENARIO(fork_server, "fork-server")
SCENARIO(mapped_files, "mapped-files")
SCENARIO(thp_churn, "thp-churn")
SCENARIO(fragmented_host, "fragmented-host")
SCENARIO(nested_tenants, "nested-tenants")
SCENARIO(live_migration, "live-migration")

#define NARROWED(id, name)                                                                                   \
    Test(model, id##_narrowed)                                                                               \
    {                                                                                                        \
        on_model(name, 60);                                                                                  \
    }                                                                                                        \
    Test(rtl, id##_narrowed)                                                                                 \
    {                                                                                                        \
        on_rtl(name, "default", 60);                                                                         \
    }

NARROWED(thp_churn, "thp-churn")
NARROWED(fragmented_host, "fragmented-host")

Test(model, a_run_follows_from_its_seed)
{
    struct scenario s;
    struct scenario_stats a, b, c;
    struct scenario_options o = options(&s, "fragmented-host", "default", 300);

    must(scenario_run(&o, &a) == COSIM_OK && scenario_run(&o, &b) == COSIM_OK);
    must(memcmp(&a.machine, &b.machine, sizeof a.machine) == 0 && memcmp(&a.os, &b.os, sizeof a.os) == 0);
    o.seed = 2;
    must(scenario_run(&o, &c) == COSIM_OK && memcmp(&a.os, &c.os, sizeof a.os) != 0);
}

Test(model, every_second_stage_format_and_depth)
{
    static const struct {
        unsigned format, guest_levels, levels;
        bool ad, pv, shadow, pcid, set_load;
    } ways[] = {{DMT_SPACE_EPT, 4, 4, false, true, true, true, true},
                {DMT_SPACE_EPT, 5, 5, true, true, false, false, true},
                {DMT_SPACE_NPT, 4, 5, false, false, true, true, false},
                {DMT_SPACE_NPT, 5, 4, true, true, false, false, false},
                {DMT_SPACE_EPT, 4, 4, true, false, true, true, true}};
    static const char *const names[] = {"live-migration", "nested-tenants"};

    for (unsigned n = 0; n < 2; n++) {
        for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
            struct scenario s;
            struct scenario_stats t;
            struct scenario_options o = options(&s, names[n], "default", 400);
            s.format = ways[i].format;
            s.guest_levels = ways[i].guest_levels;
            s.os.levels = ways[i].levels;
            s.ept_ad = ways[i].ad;
            s.pv = ways[i].pv;
            s.shadow = ways[i].shadow;
            s.os.pcid = ways[i].pcid;
            s.os.set_load = ways[i].set_load;
            must(scenario_run(&o, &t) == COSIM_OK, "%s way %u operation %" PRIu64 " (%s): %s", names[n], i,
                 t.failed_at, t.failed_in, t.failure);
            must(t.machine.covered > 0, "%s way %u: nothing is covered", names[n], i);
        }
    }
}

/* ------------------------------------------------------------ defects */

/* One run with a defect, in a process of its own: a kernel whose tables are somebody else's frames may also
 * simply crash or hang. False: nothing was noticed. */
static bool objects(const char *name, uint64_t seed, unsigned defect, bool check, char by[512])
{
    int pipes[2], status;
    pid_t child;

    must(pipe(pipes) == 0);
    child = fork();
    must(child >= 0);
    if (child == 0) {
        struct scenario s;
        struct scenario_stats t;
        struct scenario_options o = options(&s, name, "default", 500);
        o.seed = seed;
        o.defects = defect;
        o.check_every = check;
        alarm(20); /* or it may go round and round */
        if (freopen("/dev/null", "w", stderr) == NULL || scenario_run(&o, &t) != COSIM_DIVERGENCE) {
            _exit(0);
        }
        _exit(write(pipes[1], t.failure, sizeof t.failure) == sizeof t.failure ? 1 : 2);
    }
    close(pipes[1]);
    by[0] = '\0';
    ssize_t got = read(pipes[0], by, 512);
    close(pipes[0]);
    must(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return false;
    }
    if (got != 512) {
        strcpy(by, "expected a kernel that goes on, it crashed");
    }
    return true;
}

/* Does a run of some scenario and seed object, in the words wanted? check: invariants; else translations, a
 * kernel that goes on, and in the end frames that nobody has. */
static bool caught(unsigned defect, bool check, const char *wanted, char by[512])
{
    static const char *const names[] = {"thp-churn", "fork-server", "database"};

    for (uint64_t seed = 1; seed <= 8; seed++) {
        for (unsigned n = 0; n < 3; n++) {
            if (objects(names[n], seed, defect, check, by) && strstr(by, wanted) != NULL) {
                return true;
            }
        }
    }
    return false;
}

/* By the invariants; and with these off by a wrong translation, a kernel that trips over its tables, or
 * frames that are lost. */
#define DEFECT(id, bit)                                                                                      \
    Test(defects, id)                                                                                        \
    {                                                                                                        \
        char by[512];                                                                                        \
        must(caught(bit, true, ": I", by), "the invariants hold: %s", by);                                   \
        must(caught(bit, false, "", by), "translations are right and nothing is lost");                      \
    }

DEFECT(lost_race, DMT_DEFECT_LOST_RACE)
DEFECT(deposit_order, DMT_DEFECT_DEPOSIT_ORDER)
DEFECT(zap_deposit, DMT_DEFECT_ZAP_DEPOSIT)
DEFECT(move_tables, DMT_DEFECT_MOVE_TABLES)
DEFECT(boundary, DMT_DEFECT_BOUNDARY)
DEFECT(second_tea, DMT_DEFECT_SECOND_TEA)
DEFECT(stale_slot, DMT_DEFECT_STALE_SLOT)
DEFECT(free_under_register, DMT_DEFECT_FREE_UNDER_REGISTER)
DEFECT(front_growth, DMT_DEFECT_FRONT_GROWTH)

/* ------------------------------------------------------------ memory that runs out */

/* Each allocation of host memory fails in turn: operations are refused, everything else goes on, nothing
 * leaks. */
static void run_out(const char *name, unsigned operations)
{
    unsigned failed = 0, refused = 0;

    for (uint64_t n = 0;; n += n < 64 ? 1 : 1 + n / 16) {
        struct scenario s;
        struct scenario_stats t;
        struct scenario_options o = options(&s, name, "default", operations);
        enum cosim_result r;
        s.accesses = 6;
        o.fail_after = n;
        r = scenario_run(&o, &t);
        must(r != COSIM_DIVERGENCE, "%s, allocation %" PRIu64 ", operation %" PRIu64 " (%s): %s", name, n,
             t.failed_at, t.failed_in, t.failure);
        failed += r == COSIM_BAD;
        refused += t.os.out_of_memory > 0 || t.space.alloc_failed > 0 || t.host.lost > 0;
        if (n > 1500) {
            break;
        }
    }
    must(failed < 100 && refused > 0, "%s: %u worlds could not be made, %u were refused something", name,
         failed, refused);
}

Test(memory, runs_out_native)
{
    run_out("fork-server", 60);
}

Test(memory, runs_out_with_large_pages)
{
    run_out("thp-churn", 60);
}

Test(memory, runs_out_under_guests)
{
    run_out("live-migration", 40);
}

Test(memory, runs_out_under_nested_guests)
{
    run_out("nested-tenants", 40);
}

/* ------------------------------------------------------------ texts */

Test(text, what_is_wrong_is_said_with_its_line)
{
    static const struct {
        const char *text, *said;
    } bad[] = {{"mix.map = 1\nthreads 2\n", "line 2: expected key = value"},
               {"color = red\n", "line 1: unknown key 'color'"},
               {"threads = 2\nthreads = 3\n", "line 2: threads is given twice"},
               {"threads = 0\n", "line 1: threads: '0' is not a number from 1 to 8"},
               {"threads = 9\n", "line 1: threads: '9'"},
               {"threads = -1\n", "line 1: threads: '-1'"},
               {"threads = 2x\n", "line 1: threads: '2x'"},
               {"threads = 99999999999999999999\n", "line 1: threads:"},
               {"mode = bare\n", "line 1: mode: 'bare' is not one of native virt nested"},
               {"pv = yes\n", "line 1: pv: 'yes' is not on or off"},
               {"tea.registers = 65\n", "line 1: tea.registers: '65'"},
               {"tea.present_percent = 101\n", "line 1: tea.present_percent: '101'"},
               {"tea.growth = 0\n", "line 1: tea.growth: '0'"},
               {"fragment = 101\n", "line 1: fragment: '101'"},
               {"threads = 2 # but no operations\n", "no mix.* has a weight"},
               {"mix.map = 1\narea_min = 9\narea_max = 8\n", "area_min is above area_max"},
               {"mix.map = 1\nwrites = 60\nfetches = 60\n", "writes and fetches"},
               {"mix.map = 1\nstray = 60\nhot = 60\n", "stray and hot"},
               {"mix.map = 1\nhostile = 1\n", "hostile: expected mode virt or nested"},
               {"mix.map = 1\nmode = virt\nguests = 8\n", "guest_frames of all guests"},
               {"mix.map = 1\nmode = nested\ninner_frames = 4000\n", "inner_frames is more than"}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct scenario s;
        const char *said = scenario_parse(bad[i].text, "t", &s);
        must(said != NULL && strncmp(said, bad[i].said, strlen(bad[i].said)) == 0, "%s: %s", bad[i].text,
             said != NULL ? said : "accepted");
    }
    for (const struct scenario_text *t = scenario_texts; t->name != NULL; t++) {
        struct scenario s;
        must(scenario_parse(t->text, t->name, &s) == NULL, "%s", t->name);
    }
}
