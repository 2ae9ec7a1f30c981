/* SPDX-License-Identifier: Apache-2.0
 * dmt: the command. */
#include "cmd.h"

#include "dmt/api.h"
#include "io.h"
#include <argp.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"run", cmd_run, "watch DMT walk captured systems, RTL beside its model, and end in a table"},
    {"translate", cmd_translate, "translate a list of addresses on one or all engines"},
    {"cosim", cmd_cosim, "lockstep of RTL and cycle model, random or replayed"},
    {"sim", cmd_sim, "translation designs side by side on workloads and traces"},
    {"import", cmd_import, "other tools' files to memory, state and trace files"},
    {"board", cmd_board, "the walker on an FPGA board at a serial port"},
    {"bench", cmd_bench, "exact clocks of a walk, throughput, simulation speed"},
    {"report", cmd_report, "results of evaluations beside the paper's: tables, CSV, one HTML page"},
    {"waves", cmd_waves, "short scenarios to look at, and the walks in a waveform"},
};

static void usage(FILE *to)
{
    fprintf(to, "Usage: dmt COMMAND [OPTION...]\n       dmt --version\n\nCommands:\n");
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].what);
    }
    fprintf(to, "\n`dmt COMMAND --help` says more, with an example. Exit status: 0 success, 1 a check\n"
                "failed, 2 bad input.\n\n"
                "Example: dmt run\n");
}

int main(int argc, char **argv)
{
    char name[32];

    signals_install();
    argp_err_exit_status = EXIT_BAD_INPUT;
    if (argc >= 2 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
        usage(stdout);
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_BAD_INPUT;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("dmt %s\n", dmt_version_text());
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_BAD_INPUT;
    }
    for (unsigned i = 0; argc >= 2 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            snprintf(name, sizeof name, "dmt %s", commands[i].name);
            argv[1] = name;
            int code = commands[i].run(argc - 1, argv + 1);
            signals_finish();
            return code;
        }
    }
    if (argc >= 2) {
        say("'%.40s' is not a command", argv[1]);
    }
    usage(stderr);
    return EXIT_BAD_INPUT;
}
