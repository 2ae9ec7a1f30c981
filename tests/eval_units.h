/* SPDX-License-Identifier: Apache-2.0
 * Made-up results of evaluations, for tests of what reads them. */
#ifndef TESTS_EVAL_UNITS_H
#define TESTS_EVAL_UNITS_H

#include "eval/result.h"

/** A unit whose numbers agree with each other as those of a run do: a histogram with its sums, designs around what
 * the formulas say of it. A pure function of its arguments; to be freed by result_free. */
struct result *eval_unit_make(const char *workload, enum eval_env env, bool thp, const struct eval_config *machine,
                              uint64_t seed);
/** Every unit of the paper's workloads into a directory that exists. False after saying why. */
bool eval_units_write(const char *dir, const struct eval_config *machine, uint64_t seed);

#endif
