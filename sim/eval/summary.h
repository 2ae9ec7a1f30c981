/* SPDX-License-Identifier: Apache-2.0
 * Units of a results directory brought together: speedups by workload and
 * design, geometric means, formulas and the paper's numbers beside them,
 * variants of the machine, and measured causes of differences. */
#ifndef SIM_EVAL_SUMMARY_H
#define SIM_EVAL_SUMMARY_H

#include "eval/paper.h"

/** The units of one directory, all of one machine. */
struct summary_set {
    char name[RESULT_NAME_MAX]; /**< of a variant: its directory's; empty: the results themselves */
    char path[1024];
    size_t n;
    struct result **unit; /**< by workload, environment, pages; workloads in the paper's order, others after them */
    char **file;          /**< where each came from */
    /** Mean clocks by each formula on each unit's radix walk, for both ways to take a leaf; NAN: none. */
    double (*formula)[2][FORMULAS];
};

struct summary {
    struct summary_set set;      /**< DIR/(*).json */
    struct summary_set *variant; /**< DIR/NAME/(*).json, by name */
    size_t variants;
};

/** Read a results directory. False after saying why: none, no unit in it, damaged ones, two of the same, units of
 * one directory that differ in machine, scale, length, seed or fragmentation. */
bool summary_read(const char *dir, struct summary *s);
void summary_free(struct summary *s);

/** A unit of a set; NULL: missing. */
const struct result *summary_unit(const struct summary_set *s, const char *workload, enum eval_env env, bool thp);
/** Names of all workloads of the set, and of the paper whether or not there are units of them. Up to room; how many. */
size_t summary_workloads(const struct summary_set *s, const char **name, size_t room);
/** The design of that name in any unit of the environment and pages, for its title; NULL: none has it. */
const struct result_design *summary_design(const struct summary_set *s, enum eval_env env, bool thp, const char *name);
/** Names of all designs of an environment with these pages, in the order of units. Up to room; how many. */
size_t summary_designs(const struct summary_set *s, enum eval_env env, bool thp, const char **name, size_t room);

/** A number of every workload and design. */
enum summary_what {
    SUMMARY_SPEEDUP,         /**< of page walks, as simulated */
    SUMMARY_COVERED,         /**< the same, of walks without fallback */
    SUMMARY_FORMULA,         /**< of page walks, by formula on the unit's own radix walk */
    SUMMARY_PUBLISHED,       /**< by formula in the published way: THP from walks of 4K pages */
    SUMMARY_APP,             /**< application, from SPEEDUP and the paper's share of time in walks */
    SUMMARY_APP_NESTED,      /**< the same with the run times' other ratio (paper_app's all_nested) */
    SUMMARY_APP_OWN,         /**< application, from SPEEDUP and our share of time in walks */
    SUMMARY_APP_CLOCKS,      /**< clocks of the whole run over those of base */
    SUMMARY_MEAN,            /**< clocks of a walk */
    SUMMARY_PAPER_LABEL,     /**< the paper's bar of page walks, by label */
    SUMMARY_PAPER_FORMULA,   /**< by formula */
    SUMMARY_PAPER_APP_LABEL, /**< the paper's bar of the application */
    SUMMARY_PAPER_APP_FORMULA,
    SUMMARY_WHATS
};
/** NAN: not known. */
double summary_value(const struct summary_set *s, enum summary_what what, const char *workload, enum eval_env env,
                     bool thp, const char *design);
/** Walks that a design needs for its mean to say something. */
#define SUMMARY_WALKS_LEAST 1000
/** Has a design of the unit fewer? Such a unit has its numbers but no part in means. False when there is no unit. */
bool summary_scarce(const struct summary_set *s, const char *workload, enum eval_env env, bool thp);
/** Geometric mean over the workloads of which both `what` and (unless SUMMARY_WHATS) `also` are known; *n of them. */
double summary_geomean(const struct summary_set *s, enum summary_what what, enum summary_what also, enum eval_env env,
                       bool thp, const char *design, unsigned *n);
/** The same of a variant, and of the units it is to be compared with: of the variant "default" where there is one,
 * else of the results. Only workloads that both have with as many accesses, scale and seed. */
double summary_effect(const struct summary *s, const struct summary_set *variant, enum summary_what what,
                      enum eval_env env, bool thp, const char *design, double *reference, unsigned *n);

/** Everything as JSON, for the page. */
bool summary_json(const struct summary *s, const char *command, FILE *to);
/** Tables on the terminal. */
void summary_print(const struct summary *s);
/** Walks that were replayed into the RTL, and how many of them differ. */
uint64_t summary_replayed(const struct summary *s, uint64_t *mismatches);
/** Units, of variants too, that another program made than the one that runs. */
size_t summary_others(const struct summary *s);

#endif
