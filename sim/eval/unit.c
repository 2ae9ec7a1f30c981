/* SPDX-License-Identifier: Apache-2.0
 * Designs that share a kind of system are run over it: a process populates it,
 * and each design's process inherits it from that one. Two systems are populated
 * and run at a time, on as many places as there may be processes. A design that is
 * done leaves a part file beside the unit's, so that an interrupted run goes on
 * where it was. */
#include "eval/unit.h"

#include "eval/rtl.h"
#include "io.h"
#include "replay.h"
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_MAX_HERE 1200
#define SYSTEMS 2u /* at a time, however many places there are, for their memory's sake */

struct job {
    const struct eval_design *design;
    char part[PATH_MAX_HERE];
    pid_t pid; /* of the design's process, or for the parent of all of its system's; 0: none */
};

/* What the processes of a unit have in common. */
struct shared {
    sem_t places;                               /* how many more may compute */
    volatile uint64_t done[RESULT_DESIGNS_MAX]; /* accesses of each job */
    volatile bool ended[RESULT_DESIGNS_MAX];    /* its part is there */
    volatile bool failed;                       /* nothing new is started */
};

struct unit {
    const struct unit_options *o;
    struct result *result;
    struct job job[RESULT_DESIGNS_MAX];
    unsigned jobs, running;
    struct shared *shared;
    struct eval_system *system;
    struct workload *workload; /* at its start: a process that runs a design has a copy */
    char label[64];
    bool ok;
};

static double seconds_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool stopped(const struct unit *u)
{
    return u->o->stop != NULL && *u->o->stop != 0;
}

/* ---------------------------------------------------------------- which designs */

static bool choose(struct unit *u)
{
    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        if ((*d)->env == u->o->env && (u->o->designs == NULL || in_list(u->o->designs, (*d)->name)) &&
            u->jobs < RESULT_DESIGNS_MAX) {
            u->job[u->jobs++].design = *d;
        }
    }
    return u->jobs != 0;
}

static bool same_system(const struct eval_design *a, const struct eval_design *b)
{
    return a->tea == b->tea && a->pv == b->pv && a->host_huge == b->host_huge && a->full == b->full;
}

/* ---------------------------------------------------------------- part files */

/* What was asked for, which the files that it names and the program may have changed since. */
static bool same_command(const struct result *a, const struct result *b)
{
    return strcmp(a->command, b->command) == 0 && memcmp(&a->machine, &b->machine, sizeof a->machine) == 0;
}

static bool same_run(const struct result *a, const struct result *b)
{
    return same_command(a, b) && strcmp(a->inputs, b->inputs) == 0 && strcmp(a->program, b->program) == 0;
}

static bool part_ready(const struct unit *u, const struct job *j)
{
    struct result *r = result_done(j->part) ? result_read(j->part) : NULL;
    bool ready = r != NULL && same_run(u->result, r) && r->designs == 1;

    result_free(r);
    return ready;
}

static bool part_path(char part[PATH_MAX_HERE], const char *path, const struct eval_design *d)
{
    int n = snprintf(part, PATH_MAX_HERE, "%s.%s.part", path, d->name);

    return n >= 0 && n < PATH_MAX_HERE;
}

/* A part's design and its system become the unit's. */
static bool join(struct unit *u, const struct job *j)
{
    struct result *r = result_read(j->part), *to = u->result;
    unsigned system = 0;

    if (r == NULL) {
        return false;
    }
    const struct result_system *from = &r->system[0];
    while (system < to->systems &&
           (to->system[system].tea != from->tea || to->system[system].pv != from->pv ||
            to->system[system].host_huge != from->host_huge || to->system[system].full != from->full)) {
        system++;
    }
    if (system == to->systems) {
        to->system[to->systems++] = *from;
    }
    to->design[to->designs] = r->design[0];
    to->design[to->designs++].system = system;
    r->design[0].histogram = NULL; /* it has moved */
    to->measured = r->measured;
    to->peak = r->peak > to->peak ? r->peak : to->peak;
    result_free(r);
    return true;
}

/* ---------------------------------------------------------------- one design, in its process */

static struct workload *open_workload(const struct unit_options *o)
{
    return o->kind != NULL ? workload_new(o->kind, o->scale, o->seed) : workload_trace(o->trace, o->maps);
}

static struct result *describe(const struct unit_options *o)
{
    struct result *r = result_new();

    snprintf(r->command, sizeof r->command, "%s", o->command);
    snprintf(r->program, sizeof r->program, "%s", o->program);
    snprintf(r->inputs, sizeof r->inputs, "%s", o->inputs);
    r->scale = o->scale;
    r->env = o->env;
    r->thp = o->thp;
    r->fragment = o->fragment;
    r->seed = o->seed;
    r->warmup = o->warmup;
    r->measured = o->measured;
    r->machine = *o->config;
    return r;
}

static int run_design(struct unit *u, unsigned index)
{
    const struct unit_options *o = u->o;
    const struct job *j = &u->job[index];
    struct result *r = describe(o);
    /* A trace's file would be read by all processes from one place; a generator is this process's own. */
    struct workload *w = o->kind != NULL ? u->workload : open_workload(o);
    struct rtl_window_sink sink = {.design = j->design, .rtl = &r->design[0].rtl, .command = o->command};
    double start = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    struct rusage usage;
    struct engine_options e = {
        .config = o->config,
        .design = j->design,
        .system = u->system,
        .workload = w,
        .warmup = o->warmup,
        .measured = o->measured,
        .histogram = strcmp(j->design->name, j->design->base) == 0,
        .done = &u->shared->done[index],
        .windows = j->design->rtl ? o->windows : 0,
        .window = rtl_window,
        .user = &sink,
    };
    bool ok = w != NULL;

    if (ok) {
        snprintf(r->workload, sizeof r->workload, "%s", workload_name(w));
        r->system[0] = (struct result_system){.tea = j->design->tea,
                                              .pv = j->design->pv,
                                              .host_huge = j->design->host_huge,
                                              .full = j->design->full};
        ok = engine_run(&e, &r->design[0]);
    }
    if (ok) {
        eval_system_stats(u->system, &r->system[0].stats);
        r->systems = r->designs = 1;
        r->measured = r->design[0].accesses;
        r->design[0].seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start;
        getrusage(RUSAGE_SELF, &usage);
        r->peak = (uint64_t)usage.ru_maxrss * 1024;
        ok = result_write(j->part, r);
    }
    /* The process ends here: what it holds goes with it. */
    return ok ? EXIT_OK : EXIT_BAD_INPUT;
}

/* ---------------------------------------------------------------- processes */

/* Take one of the places of processes that compute. */
static bool take_place(struct unit *u)
{
    return sem_trywait(&u->shared->places) == 0;
}

static void give_place(struct unit *u)
{
    sem_post(&u->shared->places);
}

static bool going_on(const struct unit *u)
{
    return !u->shared->failed && !stopped(u);
}

/* A process that does `run` for a design. False after saying why: nothing more is started. */
static bool start(struct unit *u, int (*run)(struct unit *, unsigned), unsigned index)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();

    if (pid < 0) {
        say("cannot start a process: %s", strerror(errno));
        u->shared->failed = true;
        return false;
    }
    if (pid == 0) {
        signals_worker(parent);
        int code = run(u, index);
        fflush(NULL);
        _exit(code);
    }
    u->job[index].pid = pid;
    u->running++;
    return true;
}

/* All processes are told to end when the run is. True: one has ended; else a moment has passed. */
static bool reap(struct unit *u)
{
    int status;
    unsigned index = 0;
    pid_t pid = u->running > 0 ? waitpid(-1, &status, WNOHANG) : 0;

    for (unsigned i = 0; i < u->jobs; i++) {
        if (stopped(u) && u->job[i].pid != 0) {
            kill(u->job[i].pid, SIGTERM);
        }
    }
    if (pid <= 0) {
        if (pid < 0 && errno != EINTR) {
            u->running = 0;
            u->shared->failed = true;
        } else {
            nanosleep(&(struct timespec){0, 20000000}, NULL);
        }
        return false;
    }
    while (index < u->jobs && u->job[index].pid != pid) {
        index++;
    }
    if (index == u->jobs) {
        return false;
    }
    u->job[index].pid = 0;
    u->running--;
    if (WIFSIGNALED(status) && !stopped(u)) {
        say("%s: the process was ended by signal %d", u->label, WTERMSIG(status));
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_OK) {
        u->shared->failed = true;
    } else {
        u->shared->ended[index] = true;
    }
    return true;
}

/* ---------------------------------------------------------------- one system, in its process */

static bool told(void *user, uint64_t done, uint64_t of)
{
    const struct unit *u = user;

    (void)done, (void)of;
    return going_on(u);
}

static struct eval_system *populate(struct unit *u, const struct eval_design *d)
{
    const struct unit_options *o = u->o;
    struct eval_system_options s = eval_design_system(d);

    s.thp = o->thp;
    s.registers = o->config->dmt_registers;
    s.present = o->config->tea_present;
    s.fragment = o->fragment;
    s.seed = o->seed;
    s.areas = workload_areas(u->workload, &s.area);
    struct eval_system *system = eval_system_new(&s);
    if (system != NULL && !eval_system_populate(system, told, u)) {
        eval_system_free(system);
        system = NULL;
    }
    return system;
}

/* Populate the system of the design at `first`, then run over it every design that has the same and is not
 * done. The place that this process came with is the first one's. */
static int run_system(struct unit *u, unsigned first)
{
    bool placed = true;

    signals_graceful(); /* asked to end, it ends its own processes first */
    u->running = 0;
    for (unsigned i = 0; i < u->jobs; i++) {
        u->job[i].pid = 0; /* the parent's, not this one's */
    }
    u->system = populate(u, u->job[first].design);
    if (u->system == NULL && !stopped(u)) {
        u->shared->failed = true;
    }
    for (unsigned i = first; i < u->jobs && going_on(u); i++) {
        if (u->shared->ended[i] || !same_system(u->job[first].design, u->job[i].design)) {
            continue;
        }
        while (!placed && going_on(u) && !(placed = take_place(u))) {
            if (reap(u)) {
                give_place(u);
            }
        }
        if (placed && going_on(u)) {
            placed = !start(u, run_design, i);
        }
    }
    if (placed) {
        give_place(u);
    }
    while (u->running > 0) {
        if (reap(u)) {
            give_place(u);
        }
    }
    signals_finish();
    /* The system ends with the process. */
    return u->system != NULL && going_on(u) ? EXIT_OK : EXIT_BAD_INPUT;
}

/* ---------------------------------------------------------------- all systems */

static void show(const struct unit *u)
{
    uint64_t sum = 0, each = u->o->warmup + u->o->measured;

    for (unsigned i = 0; i < u->jobs; i++) {
        sum += u->shared->ended[i] ? each : u->shared->done[i];
    }
    progress_show(u->label, sum, each * u->jobs);
}

static void run_all(struct unit *u)
{
    bool taken[RESULT_DESIGNS_MAX] = {false};

    for (unsigned i = 0; i < u->jobs && going_on(u); i++) {
        if (taken[i] || u->shared->ended[i]) {
            continue;
        }
        for (unsigned k = i; k < u->jobs; k++) {
            taken[k] = taken[k] || same_system(u->job[i].design, u->job[k].design);
        }
        while (going_on(u) && (u->running >= SYSTEMS || !take_place(u))) {
            reap(u);
            show(u);
        }
        if (going_on(u)) {
            start(u, run_system, i);
        }
    }
    while (u->running > 0) {
        reap(u);
        show(u);
    }
}

/* Does a command name this trace? */
static bool names_trace(const char *command, const char *trace)
{
    char *text = NULL;
    size_t n;
    FILE *f = need(open_memstream(&text, &n));

    fputs(" --trace", f);
    put_shell_word(f, trace);
    fputs(" --maps ", f);
    bool ok = fclose(f) == 0;
    need(ok ? text : NULL);
    bool is = strstr(command, text) != NULL;
    free(text);
    return is;
}

/* Names of files are shorter than paths: is what is there of another workload than `r`? */
static bool of_another(const struct unit_options *o, const struct result *there, const struct result *r)
{
    return strcmp(there->workload, r->workload) != 0 || (strcmp(there->inputs, "none") == 0) != (o->trace == NULL) ||
           (o->trace != NULL && strcmp(there->inputs, r->inputs) != 0 && !names_trace(there->command, o->trace));
}

/* Of this command as `r` is, but not to be kept. */
static bool stale(const char *path, const struct result *r)
{
    struct result *there = result_done(path) ? result_read(path) : NULL;
    bool is = there != NULL ? same_command(there, r) && !same_run(there, r) : access(path, F_OK) == 0;

    result_free(there);
    return is;
}

bool unit_stale(const struct unit_options *o)
{
    struct unit u = {.o = o};
    char path[PATH_MAX_HERE], part[PATH_MAX_HERE];
    bool is = false;

    u.result = describe(o);
    if (o->kind != NULL) {
        snprintf(u.result->workload, sizeof u.result->workload, "%s", o->kind->name);
    } else {
        workload_trace_name(o->trace, u.result->workload);
    }
    if (choose(&u) && result_path(o->out, u.result, path, sizeof path)) {
        is = stale(path, u.result);
        for (unsigned i = 0; i < u.jobs && !is; i++) {
            is = part_path(part, path, u.job[i].design) && stale(part, u.result);
        }
    }
    result_free(u.result);
    return is;
}

struct result *unit_run(const struct unit_options *o)
{
    struct unit u = {.o = o, .ok = true};
    struct result *before = NULL;
    char path[PATH_MAX_HERE];
    double start = seconds_of(CLOCK_MONOTONIC);

    u.result = describe(o);
    if (!choose(&u)) {
        say("no design named %s for %s (dmt sim --list names them)", o->designs, result_envs[o->env]);
    }
    if (u.jobs == 0 || (u.workload = open_workload(o)) == NULL) {
        result_free(u.result);
        return NULL;
    }
    snprintf(u.result->workload, sizeof u.result->workload, "%s", workload_name(u.workload));
    snprintf(u.label, sizeof u.label, "%.20s %s %s", workload_name(u.workload), result_envs[o->env], result_pages(o->thp));
    u.ok = result_path(o->out, u.result, path, sizeof path);
    for (unsigned i = 0; u.ok && i < u.jobs; i++) {
        u.ok = part_path(u.job[i].part, path, u.job[i].design);
    }
    if (!u.ok) {
        say("%s: name too long", o->out);
    }
    if (u.ok && result_done(path) && (before = result_read(path)) != NULL && same_run(u.result, before)) {
        workload_free(u.workload);
        result_free(u.result);
        return before;
    }
    if (before != NULL && of_another(o, before, u.result)) {
        say("%s: there are results of another trace of this name, expected another --out: %s", path, before->command);
        u.ok = false;
    }
    result_free(before);
    u.shared = mmap(NULL, sizeof *u.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (u.shared == MAP_FAILED || sem_init(&u.shared->places, 1, o->jobs) != 0) {
        say("out of memory");
        u.ok = false;
    }
    for (unsigned i = 0; u.ok && i < u.jobs; i++) {
        u.shared->ended[i] = part_ready(&u, &u.job[i]);
    }
    if (u.ok) {
        workload_skip_lead(u.workload);
        run_all(&u);
        progress_end();
    }
    workload_free(u.workload);
    for (unsigned i = 0; u.ok && i < u.jobs; i++) {
        u.ok = u.shared->ended[i] && join(&u, &u.job[i]);
    }
    u.result->seconds = seconds_of(CLOCK_MONOTONIC) - start;
    if (!u.ok || stopped(&u) || !result_write(path, u.result)) {
        result_free(u.result);
        u.result = NULL;
    }
    for (unsigned i = 0; u.result != NULL && i < u.jobs; i++) {
        unlink(u.job[i].part);
    }
    if (u.shared != MAP_FAILED) {
        munmap(u.shared, sizeof *u.shared);
    }
    return u.result;
}
