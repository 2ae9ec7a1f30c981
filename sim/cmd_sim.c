/* SPDX-License-Identifier: Apache-2.0
 * dmt sim: translation designs side by side on workloads and traces. */
#include "cmd.h"

#include "eval/unit.h"
#include "inputs.h"
#include "io.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETS_MAX 64

struct options {
    struct eval_config config;
    const char *machine, *set[SETS_MAX], *trace, *maps, *designs, *out;
    const char *workloads, *envs, *pages; /* names with commas, or "all" */
    unsigned sets, jobs, windows, fragment;
    double scale;
    uint64_t seed, warmup, measured;
    bool list, keys;
};

enum { O_TRACE = 256, O_MAPS, O_SET, O_SCALE, O_SEED, O_WARMUP, O_WINDOWS, O_FRAGMENT, O_LIST, O_KEYS, O_ALL };

static const struct argp_option option_list[] = {
    {"workload", 'w', "NAME,..", 0, "Generators to run, or all (--list names them)", 0},
    {"trace", O_TRACE, "FILE", 0, "A recorded trace in their place, over the areas of --maps", 0},
    {"maps", O_MAPS, "FILE", 0, "Areas of the traced process (/proc/PID/maps)", 0},
    {"env", 'e', "NAME,..", 0, "native, virt, nested, or all (default: native)", 0},
    {"pages", 'p', "NAME,..", 0, "4k, thp, or all (default: 4k)", 0},
    {"all", O_ALL, 0, 0, "Every workload, environment and page size", 0},
    {"design", 'd', "NAME,..", 0, "Designs to run (default: all of the environment)", 0},
    {"machine", 'm', "FILE", 0, "The machine, key = value a line (default: the paper's table 3)", 1},
    {"set", O_SET, "KEY=VALUE", 0, "One value of it, above the file's; may be given often, the last of a key counts", 1},
    {"accesses", 'n', "N", 0, "Accesses to measure of each design (default 20000000)", 2},
    {"warmup", O_WARMUP, "N", 0, "Accesses before them (default 10000000)", 2},
    {"scale", O_SCALE, "X", 0, "Data of generators, as part of the full size (default 1)", 2},
    {"seed", O_SEED, "N", 0, "Of workload, address-space layout and fragmentation (default 1)", 2},
    {"fragment", O_FRAGMENT, "PERCENT", 0, "Free memory that is useless for 2M blocks before the workload starts (default 0)", 2},
    {"windows", O_WINDOWS, "N", 0, "Windows of 8192 accesses whose walks the RTL repeats, of each design that it has (default 2)", 2},
    {"jobs", 'j', "N", 0, "Processes at once (default: processors)", 3},
    {"out", 'o', "DIR", 0, "Where results go, a file a unit (default: sim-results); units that are there are not run again", 3},
    {"list", O_LIST, 0, 0, "Workloads and designs", 4},
    {"keys", O_KEYS, 0, 0, "Keys of machine files", 4},
    {0}};

static double option_scale(const char *text, struct argp_state *a)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end != '\0' || !(v >= 1.0 / (1 << 20)) || v > 1) {
        argp_error(a, "--scale: '%s' is not a number from 2^-20 (0.00000095) to 1", text);
    }
    return v;
}

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;

    switch (key) {
    case 'w':
        o->workloads = arg;
        break;
    case O_TRACE:
        o->trace = arg;
        break;
    case O_MAPS:
        o->maps = arg;
        break;
    case 'e':
        o->envs = arg;
        break;
    case 'p':
        o->pages = arg;
        break;
    case O_ALL:
        o->workloads = o->envs = o->pages = "all";
        break;
    case 'd':
        o->designs = arg;
        break;
    case 'm':
        o->machine = arg;
        break;
    case O_SET:
        if (o->sets == SETS_MAX) {
            argp_error(a, "--set: at most %d", SETS_MAX);
        }
        o->set[o->sets++] = arg;
        break;
    case 'n':
        o->measured = option_number(arg, UINT64_C(1) << 40, "accesses", a);
        break;
    case O_WARMUP:
        o->warmup = option_number(arg, UINT64_C(1) << 40, "warmup", a);
        break;
    case O_SCALE:
        o->scale = option_scale(arg, a);
        break;
    case O_SEED:
        o->seed = option_number(arg, UINT64_MAX, "seed", a);
        break;
    case O_FRAGMENT:
        o->fragment = (unsigned)option_number(arg, 99, "fragment", a);
        break;
    case O_WINDOWS:
        o->windows = (unsigned)option_number(arg, 10000, "windows", a);
        break;
    case 'j':
        o->jobs = (unsigned)option_number(arg, 64, "jobs", a);
        break;
    case 'o':
        o->out = arg;
        break;
    case O_LIST:
        o->list = true;
        break;
    case O_KEYS:
        o->keys = true;
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
    "Run translation designs side by side on workloads: page tables and TEAs come from the kernel and hypervisor "
    "models, each design has tables, caches and traffic of its own, and windows of every run are repeated by the "
    "RTL, walk by walk."
    "\vAn interrupted run goes on where it was when it is started again. docs/evaluation.md says what is "
    "simulated and how to read the results; `dmt report DIR` makes tables and a page of them."
    "\n\nExample:\n  dmt sim --workload gups --env virt --scale 0.01",
    NULL,
    NULL,
    NULL};

/* ---------------------------------------------------------------- lists of names */

/* Is name in a list, or the list "all"? */
static bool wanted(const char *list, const char *name)
{
    return strcmp(list, "all") == 0 || in_list(list, name);
}

/* Every name of a list must be one of `known`, an empty one is none. */
static bool check_list(const char *option, const char *list, const char *const *known)
{
    const char *name = list;

    if (list == NULL || strcmp(list, "all") == 0) {
        return true;
    }
    for (;;) {
        size_t i = 0, n = strcspn(name, ",");
        while (known[i] != NULL && (strlen(known[i]) != n || memcmp(known[i], name, n) != 0)) {
            i++;
        }
        if (known[i] == NULL) {
            say("--%s: '%.*s' is not one of them (dmt sim --list)", option, n < 40 ? (int)n : 40, name);
            return false;
        }
        if (name[n] == '\0') {
            return true;
        }
        name += n + 1;
    }
}

static bool check_names(const struct options *o)
{
    static const char *const envs[] = {"native", "virt", "nested", NULL}, *const pages[] = {"4k", "thp", NULL};
    const char *workloads[64] = {NULL}, *designs[64] = {NULL};
    size_t n = 0;

    for (const struct workload_kind *k = workload_kinds; k->name != NULL && n < 63; k++) {
        workloads[n++] = k->name;
    }
    n = 0;
    for (const struct eval_design *const *d = eval_designs; *d != NULL && n < 63; d++) {
        designs[n++] = (*d)->name;
    }
    return check_list("env", o->envs, envs) && check_list("pages", o->pages, pages) &&
           check_list("workload", o->workloads, workloads) && check_list("design", o->designs, designs);
}

static void list_all(void)
{
    puts("Workloads (bytes at scale 1):");
    for (const struct workload_kind *k = workload_kinds; k->name != NULL; k++) {
        printf("  %-10s %6.1f GB  %s\n", k->name, (double)k->bytes / (UINT64_C(1) << 30), k->what);
    }
    for (unsigned e = 0; e < EVAL_ENVS; e++) {
        printf("Designs, %s:\n", result_envs[e]);
        for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
            if ((*d)->env == e) {
                printf("  %-10s %s%s\n", (*d)->name, (*d)->title, (*d)->rtl ? " (the RTL repeats windows of it)" : "");
            }
        }
    }
}

/* ---------------------------------------------------------------- a unit */

/* The command that makes one unit again, whatever this run was asked for besides; to be freed. */
static char *command_of(const struct options *o, const struct unit_options *u)
{
    char *text = NULL;
    size_t n;
    FILE *f = need(open_memstream(&text, &n));

    fputs("dmt sim", f);
    if (u->kind != NULL) {
        fprintf(f, " --workload %s", u->kind->name);
    } else {
        fputs(" --trace", f);
        put_shell_word(f, u->trace);
        fputs(" --maps", f);
        put_shell_word(f, u->maps);
    }
    fprintf(f, " --env %s --pages %s --accesses %" PRIu64 " --warmup %" PRIu64 " --seed %" PRIu64 " --windows %u",
            result_envs[u->env], result_pages(u->thp), u->measured, u->warmup, u->seed, u->windows);
    if (u->kind != NULL && u->scale != 1) {
        fprintf(f, " --scale %.10g", u->scale);
    }
    if (u->fragment != 0) {
        fprintf(f, " --fragment %u", u->fragment);
    }
    if (u->designs != NULL) {
        fprintf(f, " --design %s", u->designs);
    }
    if (o->machine != NULL) {
        fputs(" --machine", f);
        put_shell_word(f, o->machine);
    }
    for (unsigned i = 0; i < o->sets; i++) {
        fputs(" --set", f);
        put_shell_word(f, o->set[i]);
    }
    bool ok = fclose(f) == 0;
    need(ok ? text : NULL);
    if (n >= RESULT_TEXT_MAX) {
        say("the command of a unit has %zu characters, expected at most %d to be kept with its results", n,
            RESULT_TEXT_MAX - 1);
        free(text);
        return NULL;
    }
    return text;
}

static void print_unit(const struct result *r)
{
    printf("%s, %s, %s (%" PRIu64 " accesses after %" PRIu64 ", %.0f s)\n", r->workload, result_envs[r->env],
           result_pages(r->thp), r->measured, r->warmup, r->seconds);
    printf("  %-12s %10s %9s %7s %8s %9s %9s %8s\n", "design", "walks", "clocks", "refs", "speedup", "by TEA", "RTL walks",
           "M acc/s");
    for (unsigned i = 0; i < r->designs; i++) {
        const struct result_design *d = &r->design[i], *base = result_base(r, d);
        double walks = (double)d->walks;
        char speedup[32] = "-", tea[32] = "", rtl[32] = "";
        if (d->walks == 0) {
            printf("  %-12s %10d %9s %7s %8s %9s %9s\n", d->name, 0, "-", "-", "-", "", "");
            continue;
        }
        if (base != NULL && base != d && d->walks != 0) {
            snprintf(speedup, sizeof speedup, "%.3f", result_speedup(d, base));
        }
        if (r->system[d->system].tea) {
            snprintf(tea, sizeof tea, "%.2f %%", 100 * (1 - (double)d->fallbacks / walks));
        }
        if (d->rtl.windows != 0) {
            snprintf(rtl, sizeof rtl, "%" PRIu64 "%s", d->rtl.walks, d->rtl.mismatches != 0 ? " !" : "");
        }
        printf("  %-12s %10" PRIu64 " %9.2f %7.3f %8s %9s %9s %8.2f\n", d->name, d->walks, result_mean(d),
               (double)d->refs / walks, speedup, tea, rtl,
               d->seconds > 0 ? (double)(r->warmup + r->measured) / d->seconds * 1e-6 : 0);
    }
    fflush(stdout);
}

struct totals {
    uint64_t walks, wrong; /* that the RTL repeated */
    unsigned stale;        /* units that are there, but not of this program and these files */
};

typedef int unit_action(const struct options *o, struct unit_options *u, struct totals *t);

static int count_stale(const struct options *o, struct unit_options *u, struct totals *t)
{
    char *command = command_of(o, u);

    u->command = command;
    t->stale += command != NULL && unit_stale(u);
    free(command);
    return command != NULL ? EXIT_OK : EXIT_BAD_INPUT;
}

static int run_unit(const struct options *o, struct unit_options *u, struct totals *t)
{
    char *command = command_of(o, u);

    u->command = command;
    struct result *r = command != NULL ? unit_run(u) : NULL;
    free(command);
    if (r == NULL) {
        return EXIT_BAD_INPUT;
    }
    print_unit(r);
    for (unsigned i = 0; i < r->designs; i++) {
        t->walks += r->design[i].rtl.walks;
        t->wrong += r->design[i].rtl.mismatches;
    }
    result_free(r);
    return EXIT_OK;
}

/* Do it with every unit that was asked for, until one fails. */
static int each_unit(const struct options *o, struct unit_options *u, unit_action *action, struct totals *t)
{
    int code = EXIT_OK;

    for (const struct workload_kind *k = workload_kinds; code == EXIT_OK && k->name != NULL; k++) {
        if (o->trace == NULL && !wanted(o->workloads, k->name)) {
            continue;
        }
        u->kind = o->trace == NULL ? k : NULL;
        for (unsigned e = 0; e < EVAL_ENVS * 2u && code == EXIT_OK; e++) {
            u->env = (enum eval_env)(e / 2);
            u->thp = e % 2 != 0;
            if (wanted(o->envs, result_envs[u->env]) && wanted(o->pages, result_pages(u->thp))) {
                code = action(o, u, t);
            }
        }
        if (o->trace != NULL) {
            break;
        }
    }
    return code;
}

int cmd_sim(int argc, char **argv)
{
    struct options o = {.envs = "native", .pages = "4k", .scale = 1, .seed = 1, .warmup = 10000000,
                        .measured = 20000000, .windows = 2, .out = "sim-results"};
    struct totals t = {0};
    char program[FILE_MARK], trace[FILE_MARK], maps[FILE_MARK], inputs[2 * FILE_MARK + 20] = "none";

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    eval_config_default(&o.config);
    if (o.list || o.keys) {
        o.list ? list_all() : eval_config_help(stdout);
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_BAD_INPUT;
    }
    if (o.machine != NULL && !eval_config_read(o.machine, &o.config)) {
        return EXIT_BAD_INPUT;
    }
    for (unsigned i = 0; i < o.sets; i++) {
        if (!eval_config_set(&o.config, o.set[i])) {
            return EXIT_BAD_INPUT;
        }
    }
    if (!eval_config_check(&o.config) || !check_names(&o)) {
        return EXIT_BAD_INPUT;
    }
    if ((o.workloads == NULL) == (o.trace == NULL) || (o.trace == NULL) != (o.maps == NULL)) {
        say("expected --workload, or --trace with --maps (see dmt sim --help)");
        return EXIT_BAD_INPUT;
    }
    if (o.measured == 0) {
        say("--accesses: at least 1");
        return EXIT_BAD_INPUT;
    }
    if (!file_mark("/proc/self/exe", program)) {
        return EXIT_BAD_INPUT;
    }
    if (o.trace != NULL) {
        if (!file_mark(o.trace, trace) || !file_mark(o.maps, maps)) {
            return EXIT_BAD_INPUT;
        }
        snprintf(inputs, sizeof inputs, "trace %s, maps %s", trace, maps);
    }
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct unit_options u = {.config = &o.config, .trace = o.trace, .maps = o.maps, .scale = o.scale, .seed = o.seed,
                             .warmup = o.warmup, .measured = o.measured, .fragment = o.fragment, .designs = o.designs,
                             .windows = o.windows, .program = program, .inputs = inputs, .out = o.out, .stop = signals_graceful(),
                             .jobs = o.jobs != 0 ? o.jobs : processors > 0 ? (unsigned)processors : 1};
    if (each_unit(&o, &u, count_stale, &t) != EXIT_OK || !make_folder(o.out)) {
        return EXIT_BAD_INPUT;
    }
    if (t.stale != 0) {
        say("%u unit%s of another program or trace %s made anew", t.stale, t.stale == 1 ? "" : "s",
            t.stale == 1 ? "is" : "are");
    }
    int code = each_unit(&o, &u, run_unit, &t);
    if (code == EXIT_OK && o.windows != 0) {
        printf("RTL: %" PRIu64 " walks repeated, %" PRIu64 " differ\n", t.walks, t.wrong);
        code = t.wrong != 0 ? EXIT_CHECK : EXIT_OK;
    }
    return fflush(stdout) == 0 ? code : EXIT_BAD_INPUT;
}
