/* SPDX-License-Identifier: Apache-2.0
 * The published evaluation's arithmetic: every design as a formula over what
 * served the references of a plain radix walk, then the mean over walks. It
 * knows no state of the designs' own; docs/evaluation.md has the formulas. */
#ifndef SIM_EVAL_FORMULA_H
#define SIM_EVAL_FORMULA_H

#include "eval/result.h"

enum formula {
    FORMULA_VANILLA,
    FORMULA_FPT,
    FORMULA_ECPT,
    FORMULA_ASAP,
    FORMULA_AGILE,
    FORMULA_DMT,
    FORMULA_PVDMT,
    FORMULAS
};
/** As designs are named: "vanilla", "fpt", .. */
extern const char *const formula_names[FORMULAS];
/** The formula of a design of that name; FORMULAS: none. */
enum formula formula_find(const char *design);

/** Which reference of a line is the leaf. */
enum formula_leaf {
    FORMULA_WALKED,  /**< the last that the walk made, stage by stage: huge pages have a shorter line */
    FORMULA_DROPPED, /**< the published way to 2M pages: level 1 of a walk of 4K pages is left out */
};

/** Does it say anything about this environment? (Agile and pvDMT need a hypervisor; of NESTED there is pvDMT only.) */
bool formula_exists(enum formula f, enum eval_env env);
/** Clocks of a walk of which these levels served the references; clocks of levels are the machine's. NAN: no formula. */
double formula_line(enum formula f, enum eval_env env, const struct eval_config *c, enum formula_leaf leaf,
                    const uint64_t key[2]);
/** The mean over a histogram; NAN also without walks. */
double formula_histogram(enum formula f, enum eval_env env, const struct eval_config *c, enum formula_leaf leaf,
                         const struct result_line *line, size_t n);
/** The same on mean clocks of each slot (a table like the paper's figure 16). Exact but for ASAP, whose maxima
 * are not linear: there it is an upper bound of the speedup. guest, host: level of the leaf, 1 or 2. */
double formula_means(enum formula f, enum eval_env env, const double slot[EVAL_SLOTS], unsigned guest, unsigned host);

/** Application speedup of walks that are s times as fast and took the share f of the time before:
 * 1 / ((1 - f) + f / s), the paper's section 5. */
double formula_app(double f, double s);

#endif
