/* SPDX-License-Identifier: Apache-2.0
 * `dmt cosim --scenario`: software at work on the machine, in lockstep. */
#ifndef SIM_SCENARIO_CMD_H
#define SIM_SCENARIO_CMD_H

#include "tb/scenario.h"

/** The scenario of that name, built in, or of the file when there is one with
 * a slash or suffix in its name. False after saying what is wrong, with the line. */
bool scenario_load(const char *name, struct scenario *s);

/** Names and lines on the built-in ones, for --help. */
void scenario_list(FILE *to);

/** Run seeds options->seed.. and print. Exit code. */
int scenario_command(struct scenario_options *options, uint64_t seeds);

/** What a run found, as text. */
void scenario_report(const struct scenario *s, const struct scenario_stats *t, FILE *to);

#endif
