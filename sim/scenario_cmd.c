/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario_cmd.h"

#include "dmt/regs.h"
#include "io.h"
#include "replay.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536

static const struct scenario_text *built_in(const char *name)
{
    for (const struct scenario_text *t = scenario_texts; t->name != NULL; t++) {
        if (strcmp(t->name, name) == 0) {
            return t;
        }
    }
    return NULL;
}

void scenario_list(FILE *to)
{
    for (const struct scenario_text *t = scenario_texts; t->name != NULL; t++) {
        fprintf(to, "  %-16s %s\n", t->name, t->what);
    }
}

bool scenario_load(const char *name, struct scenario *s)
{
    const struct scenario_text *t = built_in(name);
    const char *wrong, *base = strrchr(name, '/');
    char *text;
    size_t n = 0;

    if (t != NULL) {
        wrong = scenario_parse(t->text, name, s);
        if (wrong != NULL) {
            say("%s: %s", name, wrong);
        }
        return wrong == NULL;
    }
    if (base == NULL && strchr(name, '.') == NULL) {
        say("--scenario: '%.40s' is not a scenario of this build; dmt cosim --help lists them; a file's "
            "name has "
            "a slash or a dot in it",
            name);
        return false;
    }
    struct in *in = in_open(name);
    if (in == NULL) {
        return false;
    }
    text = malloc(TEXT_MAX + 1);
    bool ok = text != NULL && in_read(in, text, TEXT_MAX, &n);
    in_close(in);
    if (text != NULL) {
        text[n] = '\0';
    }
    if (ok && (n == TEXT_MAX || strlen(text) != n)) {
        say("%s: expected a text of less than %d bytes", name, TEXT_MAX);
        ok = false;
    }
    if (ok && (wrong = scenario_parse(text, base != NULL ? base + 1 : name, s)) != NULL) {
        say("%s: %s", name, wrong);
        ok = false;
    }
    free(text);
    return ok;
}

/* ---------------------------------------------------------------- report */

static double ratio(uint64_t a, uint64_t b)
{
    return b > 0 ? (double)a / (double)b : 0;
}

void scenario_report(const struct scenario *s, const struct scenario_stats *t, FILE *to)
{
    const struct machine_stats *m = &t->machine;

    fprintf(to, "operations:  %" PRIu64 " (%" PRIu64 " answered with an error that may come)\n",
            t->operations, t->refused);
    fprintf(to, "accesses:    %" PRIu64 ", %.1f %% TLB hits, %" PRIu64 " walks", m->accesses,
            100 * ratio(m->tlb_hits, m->accesses), m->walks);
    if (m->cycles > 0) {
        fprintf(to, ", %" PRIu64 " clocks", m->cycles);
    }
    fprintf(to,
            "\nfaults:      %" PRIu64 " page faults, %" PRIu64 " of the second stage, %" PRIu64
            " refused by areas, %" PRIu64 " gTEA events\n",
            t->faults, t->violations, t->segv, t->gtea);
    fprintf(to, "coverage:    %.2f %% of walks by TEA in every stage (", 100 * ratio(m->covered, m->ok));
    for (unsigned k = s->mode; k-- > 0;) {
        fprintf(to, "%sstage %u %.2f %%", k + 1 < s->mode ? ", " : "", k,
                100 * ratio(m->stage_tea[k], m->stage_ok[k]));
    }
    fprintf(to, "), %.3f references a walk", ratio(m->refs, m->ok));
    if (m->cycles > 0) {
        fprintf(to, ", %.1f clocks", ratio(m->clocks, m->ok));
    }
    fprintf(to,
            "\nTEAs:        %" PRIu64 " made, %" PRIu64 " grown in place, %" PRIu64 " migrated, %" PRIu64
            " retired, %" PRIu64 " halved, %" PRIu64 " tables moved, %" PRIu64 " fences\n",
            t->space.created, t->space.grown, t->space.migrated, t->space.retired, t->space.halved,
            t->space.moved, t->space.fences);
    fprintf(to,
            "costs:       %" PRIu64 " CSR writes (%.2f a context switch, %" PRIu64 " switches), %" PRIu64
            " stores to tables\n",
            m->csr_writes, ratio(t->os.csr_switch, t->os.switches), t->os.switches, m->stores);
    fprintf(to,
            "             %" PRIu64 " pages zeroed, %" PRIu64 " copied, %" PRIu64 " flushes, %" PRIu64
            " threads interrupted for them\n",
            t->os.zeroed, t->os.copied, t->os.flushes, t->os.ipis);
    fprintf(to, "page tables: %" PRIu64 " KiB with TEAs, %" PRIu64 " KiB without\n",
            4 * (t->tables + t->tea_frames), 4 * (t->tables + t->tea_used));
    if (s->mode != DMT_MODE_NATIVE) {
        fprintf(to,
                "hypervisor:  %" PRIu64 " exits, %" PRIu64 " hypercalls (%" PRIu64 " refused), %" PRIu64
                " gTEA frames granted, %" PRIu64 " gTEAs taken back\n",
                t->host.exits, t->host.hypercalls, t->host.refused, t->host.granted, t->host.revoked);
        fprintf(to,
                "             %" PRIu64 " frames moved, %" PRIu64 " ballooned, %" PRIu64
                " zeroed, %.2f CSR writes an "
                "entry or exit\n",
                t->host.moved, t->host.ballooned, t->host.zeroed,
                ratio(t->host.csr_entry, t->host.entries + t->host.exits));
    }
    fprintf(to, "memory:      fragmentation index %.2f for 2 MiB pages at the end\n", t->fragmentation);
    fprintf(to,
            "checked:     %" PRIu64 " answers by the oracle, %" PRIu64
            " times the invariants of a space; %" PRIu64 " events of well-behaved software\n",
            t->judged, t->checked, t->events);
}

/* ---------------------------------------------------------------- running */

struct bar {
    uint64_t run, runs;
};

static void show(void *user, uint64_t done, uint64_t of)
{
    const struct bar *b = user;

    progress_show("scenario", b->run * of + done, b->runs * of);
}

/* The command that comes to the same failure; with clocks, the waves before it. */
static void replay(const struct scenario_options *o, const struct scenario_stats *t)
{
    enum { BEFORE = 2000 };

    if (o->machine.command == NULL) {
        return;
    }
    printf("replay with: %s --seeds 1 --seed %" PRIu64, o->machine.command, o->seed);
    if (t->machine.cycles > 0) {
        printf(" --waves scenario.fst --waves-from %" PRIu64 " --waves-to %" PRIu64,
               t->machine.cycles > BEFORE ? t->machine.cycles - BEFORE : 0, t->machine.cycles);
    }
    printf("\n");
}

int scenario_command(struct scenario_options *o, uint64_t seeds)
{
    struct bar bar = {0, seeds};
    enum cosim_result result = COSIM_OK;
    struct scenario_stats t;

    o->progress = show;
    o->progress_user = &bar;
    o->stop = signals_graceful();
    for (; bar.run < seeds && result == COSIM_OK; bar.run++, o->seed++) {
        result = scenario_run(o, &t);
        progress_end();
        if (result == COSIM_BAD) {
            say("%s", cosim_error());
            return EXIT_BAD_INPUT;
        }
        printf("scenario:    %s, seed %" PRIu64 ", %s\n", o->scenario->name, o->seed,
               o->machine.dut != NULL ? "RTL beside its cycle model" : "architectural model");
        scenario_report(o->scenario, &t, stdout);
        if (t.failure[0] != '\0') {
            printf("FAILED:      operation %" PRIu64 " (%s): %s\n", t.failed_at, t.failed_in, t.failure);
            replay(o, &t);
        }
        double covered = 100 * ratio(t.machine.covered, t.machine.ok);
        if (result == COSIM_OK && o->scenario->fits > 0 && o->scenario->os.tea.enabled &&
            covered < o->scenario->fits) {
            printf("FAILED:      TEAs serve %.2f %% of walks, expected at least %u\n", covered,
                   o->scenario->fits);
            result = COSIM_DIVERGENCE;
        }
        printf("divergences: %" PRIu64 "\n", t.machine.divergences);
    }
    if (result == COSIM_STOPPED) {
        printf("stopped\n");
    }
    if (fflush(stdout) != 0) {
        say("(standard output): cannot write");
        return EXIT_BAD_INPUT;
    }
    return result == COSIM_DIVERGENCE ? EXIT_CHECK : EXIT_OK;
}
