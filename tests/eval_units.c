/* SPDX-License-Identifier: Apache-2.0 */
#include "eval_units.h"

#include "eval/formula.h"
#include "eval/paper.h"
#include "tb/rng.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WALKS = 3000, MEASURED = 5000 };

static unsigned pick(struct rng *r, double near)
{
    double x = (double)(rng_next(r) >> 11) / 9007199254740992.0;

    return x < near                       ? EVAL_L1
           : x < near + (1 - near) * 0.25 ? EVAL_L2
           : x < near + (1 - near) * 0.5  ? EVAL_LLC
                                          : EVAL_MEM;
}

/* Levels of one dimension, from the root at [0]: upper entries from the caches of the walker, the leaf far
 * away. */
static void dimension(struct rng *r, uint8_t *slot, unsigned leaf, double near, unsigned skip)
{
    for (unsigned level = 4; level >= leaf; level--) {
        double n = level == leaf ? near : 1 - (1 - near) / (level * level);
        slot[4 - level] = level > skip ? EVAL_NONE : (uint8_t)(level == skip ? EVAL_PWC : pick(r, n));
    }
}

static void one_walk(struct rng *r, enum eval_env env, bool thp, double near, uint8_t slot[EVAL_SLOTS])
{
    unsigned leaf = thp && rng_next(r) % 10 != 0 ? 2 : 1, skip = 2 + rng_next(r) % 3;

    memset(slot, EVAL_NONE, EVAL_SLOTS);
    skip = skip <= leaf ? leaf + 1 : skip;
    if (env == EVAL_NATIVE) {
        dimension(r, slot, leaf, near, skip);
        return;
    }
    uint8_t own[4] = {0};
    dimension(r, own, leaf, near, skip);
    for (unsigned i = 0; i < 4; i++) {
        slot[5 * i + 4] = own[i];
        if (own[i] != EVAL_NONE && own[i] != EVAL_PWC) {
            dimension(r, slot + 5 * i, leaf, 0.9, leaf + 1 + rng_next(r) % 2);
        }
    }
    dimension(r, slot + 20, leaf, near, leaf + 1 + rng_next(r) % 2);
}

static void count(struct result_design *d, uint64_t clocks)
{
    d->bin[result_bin(clocks)]++;
    d->walk_clocks += clocks;
    d->walks++;
}

static void finish(struct result_design *d, struct rng *r)
{
    d->accesses = MEASURED;
    d->hits_l2 = (MEASURED - d->walks) / 4;
    d->hits_l1 = MEASURED - d->walks - d->hits_l2;
    d->exposed = d->walk_clocks;
    d->clocks = d->walk_clocks + MEASURED * 60;
    for (unsigned l = EVAL_L1; l <= EVAL_MEM; l++) {
        d->caches.data[l] = MEASURED / 4;
        d->caches.walk[l] = d->reads / 4;
    }
    d->seconds = 1e-6 * MEASURED * (0.5 + (double)(rng_next(r) % 100) / 100);
}

static struct result_design *design(struct result *r, const char *name, const char *title, const char *base)
{
    struct result_design *d = &r->design[r->designs++];

    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->title, sizeof d->title, "%s", title);
    snprintf(d->base, sizeof d->base, "%s", base);
    return d;
}

/* Designs of an environment besides the baseline, each near to what a formula says. */
static const struct {
    enum eval_env env;
    const char *name, *title;
    enum formula like;
    double times;
} others[] = {
    {EVAL_NATIVE, "dmt", "DMT", FORMULA_DMT, 1},
    {EVAL_NATIVE, "fpt", "FPT", FORMULA_FPT, 1.02},
    {EVAL_NATIVE, "ecpt", "ECPT", FORMULA_ECPT, 1.05},
    {EVAL_NATIVE, "asap", "ASAP", FORMULA_ASAP, 1.05},
    {EVAL_VIRT, "hugegpt", "HugeGPT", FORMULA_VANILLA, 0.93},
    {EVAL_VIRT, "agile", "Agile Paging", FORMULA_AGILE, 1.03},
    {EVAL_VIRT, "fpt", "FPT", FORMULA_FPT, 1.02},
    {EVAL_VIRT, "ecpt", "nested ECPT", FORMULA_ECPT, 1.05},
    {EVAL_VIRT, "asap", "ASAP", FORMULA_ASAP, 1.05},
    {EVAL_VIRT, "dmt", "DMT", FORMULA_DMT, 1.01},
    {EVAL_VIRT, "pvdmt", "pvDMT", FORMULA_PVDMT, 1.01},
    {EVAL_NESTED, "full", "three real stages", FORMULA_VANILLA, 4},
    {EVAL_NESTED, "pvdmt", "nested pvDMT", FORMULA_PVDMT, 1.02},
};

struct result *eval_unit_make(const char *workload, enum eval_env env, bool thp,
                              const struct eval_config *machine, uint64_t seed)
{
    static const char *const base_name[] = {"radix", "nested", "shadow"}, *const base_title[] = {
                                                                              "x86 radix", "nested paging",
                                                                              "nested over shadow"};
    struct result *r = result_new();
    struct rng rng;
    int at = paper_workload(workload);

    rng_seed(&rng, seed, (uint64_t)(at + 1) * 16 + env * 2 + thp);
    snprintf(r->command, sizeof r->command, "dmt sim --workload %s --env %s --pages %s --seed %" PRIu64,
             workload, result_envs[env], result_pages(thp), seed);
    snprintf(r->program, sizeof r->program, "a program");
    snprintf(r->inputs, sizeof r->inputs, "none");
    snprintf(r->workload, sizeof r->workload, "%s", workload);
    r->scale = 0.1;
    r->env = env;
    r->thp = thp;
    r->seed = seed;
    r->warmup = 1000;
    r->measured = MEASURED;
    r->machine = *machine;
    r->seconds = 0.25;
    r->peak = 123456789;
    r->systems = 2;
    r->system[1].tea = true;
    r->system[1].pv = env != EVAL_NATIVE;
    for (unsigned s = 0; s < 2; s++) {
        struct eval_system_stats *t = &r->system[s].stats;
        *t = (struct eval_system_stats){
            .pages = 1000000, .tables = 2000, .faults = 7, .exits = 20 * env, .fragmentation = 0.125};
        for (unsigned k = 0; k <= env; k++) {
            t->area_pages[k] = 1000100;
            t->covered[k] = s == 0 ? 0 : 998000;
            t->registers[k] = s == 0 ? 0 : 3;
        }
        t->tea_frames = s == 0 ? 0 : 1990;
        t->tea_used = s == 0 ? 0 : 1980;
        t->hypercalls = s == 0 ? 0 : 12 * env;
    }
    struct result_design *d = design(r, base_name[env], base_title[env], base_name[env]);
    double near = 0.1 + 0.1 * (at < 0 ? 7 : at), mean[FORMULAS] = {0};
    d->slots = true;
    for (unsigned i = 0; i < WALKS; i++) {
        const uint32_t clocks[] = {0,
                                   machine->pwc_clocks,
                                   machine->d1_clocks,
                                   machine->d2_clocks,
                                   machine->d3_clocks,
                                   machine->mem_clocks};
        uint8_t slot[EVAL_SLOTS];
        uint64_t sum = 0;
        one_walk(&rng, env, thp, near, slot);
        result_histogram_add(&d->histogram, slot);
        for (unsigned s = 0; s < EVAL_SLOTS; s++) {
            d->slot_clocks[s] += clocks[slot[s]];
            d->slot_level[s][slot[s]]++;
            sum += clocks[slot[s]];
            d->refs += slot[s] > EVAL_PWC;
        }
        count(d, sum);
    }
    d->reads = d->refs;
    finish(d, &rng);
    size_t lines;
    struct result_line *line = result_histogram_lines(d->histogram, &lines);
    for (unsigned f = 0; f < FORMULAS; f++) {
        mean[f] = formula_histogram((enum formula)f, env, machine, FORMULA_WALKED, line, lines);
    }
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i].env != env) {
            continue;
        }
        d = design(r, others[i].name, others[i].title, base_name[env]);
        bool tea = strstr(d->name, "dmt") != NULL;
        for (unsigned w = 0; w < WALKS; w++) {
            double spread = 0.5 + (double)(rng_next(&rng) % 1001) / 1000;
            uint64_t clocks = (uint64_t)lrint(mean[others[i].like] * others[i].times * spread);
            if (tea && w % 100 == 0) {
                clocks = (uint64_t)mean[FORMULA_VANILLA];
                d->fallbacks++;
                d->fallback_clocks += clocks;
            }
            count(d, clocks);
        }
        d->refs = d->reads = 2 * WALKS;
        d->system = tea;
        if (tea) {
            d->counters = 1;
            snprintf(d->counter[0].name, sizeof d->counter[0].name, "gTEA lookups");
            d->counter[0].value = 12.5;
            d->rtl = (struct result_rtl){.windows = 4, .walks = 400, .references = 800, .clocks_equal = 400};
        }
        finish(d, &rng);
    }
    free(line);
    return r;
}

bool eval_units_write(const char *dir, const struct eval_config *machine, uint64_t seed)
{
    bool ok = true;

    for (unsigned i = 0; ok && i < PAPER_WORKLOADS; i++) {
        for (unsigned k = 0; ok && k < 2 * EVAL_ENVS; k++) {
            struct result *r =
                eval_unit_make(paper_workloads[i], (enum eval_env)(k / 2), k % 2 == 1, machine, seed);
            char path[1200];
            ok = result_path(dir, r, path, sizeof path) && result_write(path, r);
            result_free(r);
        }
    }
    return ok;
}
