/* SPDX-License-Identifier: Apache-2.0
 * The numbers that the paper published (Zhang et al., Direct Memory Translation,
 * ASPLOS 2024), for comparison. Bars are heights in the paper's vector figures
 * over that of the baseline's bar, +-0.001. */
#ifndef SIM_EVAL_PAPER_H
#define SIM_EVAL_PAPER_H

#include "eval/formula.h"

enum { PAPER_WORKLOADS = 7 };
/** In the paper's order, as workload kinds are named. */
extern const char *const paper_workloads[PAPER_WORKLOADS];

/** A series of bars: speedups over radix walks of the environment. */
struct paper_bars {
    enum eval_env env;
    bool thp, app;         /**< application speedups, else page walks' */
    const char *label;     /**< design as the figure labels it, as designs are named here */
    /** The formula that its bars are of, by the per-reference figure and by order and gaps. For comparators it is
     * another one than the label says; which of the two is a mistake is not known, so both readings are shown. */
    enum formula formula;
    double bar[PAPER_WORKLOADS], geomean;
    const char *source;
};
extern const struct paper_bars paper_bars[];
extern const size_t paper_bars_n;

/** What to compare a design with: by label, or by formula. NULL: nothing published. */
const struct paper_bars *paper_find(enum eval_env env, bool thp, bool app, const char *design, bool by_formula);

/** Geometric means that the paper's text gives, where DMT and pvDMT are compared. */
struct paper_headline {
    enum eval_env env;
    bool thp;
    const char *design;
    double walk, app;
};
extern const struct paper_headline paper_headlines[];
extern const size_t paper_headlines_n;

/** Table 5: page-walk speedup of DMT (native) and pvDMT (VIRT) over a comparator, geometric means; 0: none. */
struct paper_over {
    enum eval_env env;
    bool thp;
    double fpt, ecpt, agile, asap;
};
extern const struct paper_over paper_table5[];
extern const size_t paper_table5_n;

/** Figure 16: mean clocks of each slot of Redis's walks in VIRT. [0]: 4K, [1]: THP. */
extern const double paper_redis[2][EVAL_SLOTS];

/** Shares of time in walks and run times, of measurements on the paper's machine (figures 4, 14, 15, 17). */
struct paper_times {
    double f[EVAL_ENVS][2]; /**< [environment][thp], solved from pairs of bars; 0: not published */
    double f_shadow;        /**< VIRT, 4K, shadow paging */
    double virt, shadow, nested; /**< run time under nested paging, shadow paging, nested virtualization over native */
};
extern const struct paper_times paper_times[PAPER_WORKLOADS];

/** What TEAs cost (section 6.3), by levels of hypervisors where it says EVAL_ENVS: a hypercall in us; page tables of Redis in MB
 * without TEAs and with; all management of Redis' TEAs in fragmented memory, in ms; a MB more of TEAs that are asked for at once, in ms
 * (from allocations of 50 and of 200 MB; 0: not published). */
extern const double paper_hypercall[EVAL_ENVS], paper_tables[2], paper_managing[EVAL_ENVS], paper_tea_mb[EVAL_ENVS];

/** -1: not one of them. */
int paper_workload(const char *name);
/** The paper's application speedup for walks s times as fast (NESTED: with the run times' ratio, below). NAN
 * where no share of time is published. all_nested: the paper's bar of GUPS under nesting follows from the ratio
 * T(nested)/T(nested paging) where the others' follow from T(shadow)/T(nested paging). */
double paper_app(unsigned workload, enum eval_env env, bool thp, double s, bool all_nested);

#endif
