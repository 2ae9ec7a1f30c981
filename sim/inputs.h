/* SPDX-License-Identifier: Apache-2.0
 * What several subcommands take: option values, and the files of a replay
 * (registers, memory, what is to be translated); and their help. */
#ifndef SIM_INPUTS_H
#define SIM_INPUTS_H

#include "csv.h"
#include "memory.h"
#include "replay.h"
#include "state.h"
#include "tb/dut.h"
#include <argp.h>

/** A decimal option value up to max; argp's error (exit 2) when malformed. */
uint64_t option_number(const char *text, uint64_t max, const char *option, struct argp_state *a);
/** The name of a waveform to be written; argp's error (exit 2) unless it ends in .fst. */
const char *option_fst(const char *text, const char *option, struct argp_state *a);
/** The RTL of --config. NULL after saying which names there are. */
const struct dut_ops *option_config(const char *name);

/** Help with its lists ("  NAME  WORDS") broken so that words go on in their column: argp would let them go on in
 * the first. text is malloced and freed; so is what is returned, by argp. */
char *help_lists(char *text);

/** Files and their options, as given; NULL, 0 and false where not. */
struct inputs {
    const char *state, *memory, *requests, *trace;
    struct memory_how how;
    char **address; /**< on the command line, in place of requests */
    size_t addresses;
    uint64_t limit; /**< accesses of the trace; 0: all */
    bool no_tlb, no_registers;
};

/* Keys of its options. The letters are keys as well as short options, 's' unless a command takes
 * it before for something else. */
enum { INPUT_STATE = 0x1000, INPUT_LIMIT, INPUT_NO_TLB, INPUT_NO_REGISTERS };

/** Take an option: s (or INPUT_STATE), m, b (base), r, t, and those above. ARGP_ERR_UNKNOWN when it is
 * none of them; argp's error (exit 2) when malformed. */
error_t inputs_option(struct inputs *in, int key, char *arg, struct argp_state *a);
/** argp's error (exit 2) unless nothing is given or all that a replay needs. Whether it is one. */
bool inputs_replay(const struct inputs *in, struct argp_state *a);

/** What they hold. */
struct inputs_data {
    struct full_state state;
    struct dmt_state resolved; /**< registers, those of KIND GTEA as resolved from the memory */
    struct dmt_mem *mem;
    struct requests *requests; /**< NULL: a trace */
    struct replay *replay;
    struct tlb_stats tlb; /**< of a trace */
};

/** Read them. resolve: state, too, has its registers of KIND GTEA resolved. The replay keeps references into
 * data. False after saying why; inputs_free in either case. */
bool inputs_read(const struct inputs *in, bool resolve, struct inputs_data *data);
void inputs_free(struct inputs_data *data);

#endif
