/* SPDX-License-Identifier: Apache-2.0
 * The subcommands of dmt. Each takes its own argument vector (argv[0] is
 * "dmt NAME") and returns the exit code. */
#ifndef SIM_CMD_H
#define SIM_CMD_H

#include "dmt/arch.h"
#include "dmt/mem.h"
#include "state.h"
#include <argp.h>

int cmd_translate(int argc, char **argv);
int cmd_cosim(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_waves(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_board(int argc, char **argv);

/** A decimal option value up to max; argp's error (exit 2) when malformed. */
uint64_t option_number(const char *text, uint64_t max, const char *option, struct argp_state *a);

/** Where a raw image starts: a hex hPA, a multiple of 0x1000 below 2^52; argp's error (exit 2) otherwise. */
uint64_t option_base(const char *text, struct argp_state *a);

#endif
