/* SPDX-License-Identifier: Apache-2.0
 * The subcommands of dmt. Each takes its own argument vector (argv[0] is
 * "dmt NAME") and returns the exit code. */
#ifndef SIM_CMD_H
#define SIM_CMD_H

int cmd_translate(int argc, char **argv);
int cmd_cosim(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_waves(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_board(int argc, char **argv);

#endif
