/* SPDX-License-Identifier: Apache-2.0
 * A unit of the evaluation: one workload, one environment, one page-size
 * setting; every design of the environment on the same accesses, each in a
 * process of its own over a copy-on-write view of the populated system. */
#ifndef SIM_EVAL_UNIT_H
#define SIM_EVAL_UNIT_H

#include "eval/engine.h"
#include <signal.h>

struct unit_options {
    const struct eval_config *config;
    const struct workload_kind *kind;  /**< NULL: the recorded trace */
    const char *trace, *maps;
    enum eval_env env;
    bool thp;
    double scale;
    uint64_t seed, warmup, measured;
    unsigned fragment;
    const char *designs;               /**< names with commas; NULL: every one of the environment */
    unsigned windows;                  /**< of each design that the RTL does, replayed into it */
    unsigned jobs;                     /**< processes at once */
    const char *out;                   /**< folder of result files; it exists */
    const char *command;               /**< that makes the unit again */
    const char *program, *inputs;      /**< of struct result */
    const volatile sig_atomic_t *stop; /**< ends the run; what is done stays */
};

/** Run it, or what of it has not been run, and write its result file. A unit
 * that is there, of the same command, inputs and program, is only read. NULL after
 * saying why, or when stopped. */
struct result *unit_run(const struct unit_options *o);
/** Is a unit of this command there, or a part of one, that cannot be kept: of other inputs or another program, or
 * in a format that this one does not read? */
bool unit_stale(const struct unit_options *o);

#endif
