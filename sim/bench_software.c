/* SPDX-License-Identifier: Apache-2.0
 * What software costs and what its TEAs serve: the scenarios on the
 * architectural model, context switches, and the speed of the kernel model. */
#include "bench.h"

#include "dmt/regs.h"
#include "tb/rng.h"
#include "tb/scenario.h"
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define OPERATIONS 4000
#define SPEED_OPS  400000

static double ratio(uint64_t a, uint64_t b)
{
    return b > 0 ? (double)a / (double)b : 0;
}

/* One scenario; tea: with TEAs, or with the x86 walker alone. */
static bool run(struct bench *b, const struct scenario_text *text, bool tea, struct scenario_stats *t,
                struct scenario *s)
{
    const struct dut_ops *rtl = dut_rtl_find("default");
    struct scenario_options o = {
        .scenario = s, .seed = 1, .operations = OPERATIONS, .judge = true, .fail_after = UINT64_MAX};

    if (scenario_parse(text->text, text->name, s) != NULL || rtl == NULL) {
        return bench_fail(b, "a built-in scenario cannot be read");
    }
    s->os.tea.enabled = tea;
    o.machine = (struct machine_options){.config = &rtl->config, .tlb_sets = 256};
    if (scenario_run(&o, t) != COSIM_OK) {
        static char why[600];
        snprintf(why, sizeof why, "scenario %s: operation %" PRIu64 ": %s", text->name, t->failed_at,
                 t->failure);
        return bench_fail(b, why);
    }
    return true;
}

static bool scenarios(struct bench *b)
{
    static struct scenario_stats with, without;
    struct scenario s;

    fprintf(
        b->text,
        "### Software at work\n\n%d operations of each scenario (`dmt cosim --scenario NAME --dut arch`), 16 "
        "TEA "
        "registers a set, every answer judged. Walks are those of accesses that missed the TLB; without TEAs "
        "the "
        "same scenario runs on the x86 walker alone, without paging-structure caches. *fits*: the scenario's "
        "clusters fit the registers, so at least so many walks must be served in every stage.\n\n"
        "| scenario | walks served by TEA | fits | references a walk | without TEAs | CSR writes a switch | "
        "exits "
        "| hypercalls | pages zeroed | copied | tables moved | page tables, KiB | without TEAs |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        OPERATIONS);
    b->fits = 100;
    for (const struct scenario_text *text = scenario_texts; text->name != NULL; text++) {
        char fits[32] = "";
        if (!run(b, text, true, &with, &s) || !run(b, text, false, &without, &s)) {
            return false;
        }
        double covered = 100 * ratio(with.machine.covered, with.machine.ok);
        if (s.fits > 0) {
            snprintf(fits, sizeof fits, "at least %u %%", s.fits);
            b->fits = covered < b->fits ? covered : b->fits;
            b->wrong += covered < s.fits;
        }
        fprintf(b->text,
                "| %s | %.2f %% | %s | %.3f | %.3f | %.2f | %" PRIu64 " | %" PRIu64 " | %" PRIu64
                " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " |\n",
                text->name, covered, fits, ratio(with.machine.refs, with.machine.ok),
                ratio(without.machine.refs, without.machine.ok), ratio(with.os.csr_switch, with.os.switches),
                with.host.exits, with.host.hypercalls, with.os.zeroed + with.host.zeroed, with.os.copied,
                with.space.moved, 4 * (with.tables + with.tea_frames), 4 * (with.tables + with.tea_used));
    }
    fprintf(b->text, "\n");
    return true;
}

/* ------------------------------------------------------------ a kernel alone */

struct rig {
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct machine *machine;
    struct dmt_platform *platform;
    struct dmt_os *os;
};

static void ignore(void *user, const struct machine_answer *a)
{
    (void)user, (void)a;
}

static bool open_rig(struct bench *b, struct rig *r, bool set_load, enum dmt_os_thp thp)
{
    const struct dut_ops *rtl = dut_rtl_find("default");
    struct machine_options m = {.threads = 1, .config = rtl != NULL ? &rtl->config : NULL, .answer = ignore};
    struct dmt_os_options o = dmt_os_options_default();

    *r = (struct rig){0};
    r->mem = dmt_mem_new();
    r->buddy = dmt_buddy_new(0x100, 1 << 20);
    r->machine = r->mem != NULL && r->buddy != NULL ? machine_new(&m, r->mem) : NULL;
    r->platform = r->machine != NULL ? machine_platform_new(r->machine, r->buddy) : NULL;
    o.platform = r->platform;
    o.set_load = set_load;
    o.thp = thp;
    r->os = r->platform != NULL ? dmt_os_new(&o, NULL) : NULL;
    return r->os != NULL || bench_fail(b, "out of memory");
}

static void close_rig(struct rig *r)
{
    if (r->os != NULL) {
        dmt_os_delete(r->os);
    }
    machine_platform_free(r->platform);
    machine_free(r->machine);
    dmt_buddy_delete(r->buddy);
    dmt_mem_free(r->mem);
}

/* CSR writes of one switch between two processes that use all 16 registers. */
static bool switch_cost(struct bench *b, bool set_load, unsigned *most)
{
    struct rig r;
    int pid[2];
    bool ok = open_rig(b, &r, set_load, DMT_THP_NEVER);

    *most = 0;
    for (unsigned p = 0; ok && p < 2; p++) {
        ok = dmt_os_spawn(r.os, &pid[p]) == DMT_OS_OK;
        for (unsigned i = 0; ok && i < 16; i++) {
            uint64_t vpn = UINT64_C(0x100000) + i * UINT64_C(0x100000);
            ok = dmt_os_map(r.os, pid[p], 1024, DMT_OS_R | DMT_OS_W, 0, 0, &vpn) == DMT_OS_OK;
        }
        dmt_os_settle(r.os);
    }
    for (unsigned i = 0; ok && i < 8; i++) {
        uint64_t before = dmt_os_stats(r.os)->csr_writes;
        ok = dmt_os_switch(r.os, 0, pid[i & 1]) == DMT_OS_OK;
        uint64_t now = dmt_os_stats(r.os)->csr_writes - before;
        *most = now > *most ? (unsigned)now : *most;
    }
    close_rig(&r);
    return ok || bench_fail(b, "a kernel operation failed");
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Million area operations and faults a second, no oracle and no invariants. */
static bool speed(struct bench *b)
{
    struct rig r;
    struct rng rng;
    int pid = 0;
    uint64_t done = 0, base[64] = {0}, pages[64] = {0};
    bool ok = open_rig(b, &r, true, DMT_THP_NEVER);

    rng_seed(&rng, 1, 0);
    ok = ok && dmt_os_spawn(r.os, &pid) == DMT_OS_OK && dmt_os_switch(r.os, 0, pid) == DMT_OS_OK;
    double start = cpu_seconds();
    while (ok && done < SPEED_OPS) {
        unsigned i = (unsigned)rng_below(&rng, 64);
        if (pages[i] == 0) {
            pages[i] = 16 + rng_below(&rng, 1024);
            base[i] = 0;
            ok = dmt_os_map(r.os, pid, pages[i], DMT_OS_R | DMT_OS_W, 0, 0, &base[i]) == DMT_OS_OK;
        } else if (rng_below(&rng, 100) == 0) {
            ok = dmt_os_unmap(r.os, pid, base[i], pages[i]) == DMT_OS_OK;
            pages[i] = 0;
        } else {
            uint64_t va = (base[i] + rng_below(&rng, pages[i])) << 12;
            ok = dmt_os_fault(r.os, pid, va, DMT_ACCESS_WRITE) == DMT_OS_OK;
        }
        done++;
        if ((done & 63) == 0) {
            dmt_os_work(r.os);
        }
    }
    b->kernel = (double)done / (cpu_seconds() - start) / 1e6;
    close_rig(&r);
    return ok || bench_fail(b, "a kernel operation failed");
}

bool bench_software(struct bench *b)
{
    if (!scenarios(b) || !switch_cost(b, true, &b->switch_load) ||
        !switch_cost(b, false, &b->switch_single) || !speed(b)) {
        return false;
    }
    b->wrong += b->switch_load > 2;
    fprintf(
        b->text,
        "A context switch between two processes with 16 registers each writes %u CSRs with set load, %u "
        "without; "
        "in a guest neither causes an exit. The kernel model does %.2f million area operations and faults a "
        "second (64 areas of up to 1040 pages, invariants off).\n\n",
        b->switch_load, b->switch_single, b->kernel);
    return true;
}
