/* SPDX-License-Identifier: Apache-2.0
 * Input recording for other simulators: a text file with the inputs of every
 * clock, one hex number a line, and a hash over what the outputs were.
 * tb/icarus_replay.v plays it back. */
#ifndef TB_RECORD_H
#define TB_RECORD_H

#include "dmt/pins.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct record {
    FILE *file;
    uint64_t hash;     /**< FNV-1a with 64-bit steps, over every output pin in the order of pins.def */
    uint64_t cycles;
    uint64_t answers;  /**< response handshakes */
};

/** Open `path`, and write `path`.vh, the pins as Verilog, which the bench
 * includes. False: cannot be written (errno). */
bool record_open(struct record *r, const char *path);

/** One clock. The outputs of the first one are not counted: nothing has been reset. */
void record_cycle(struct record *r, const struct dmt_out *out, const struct dmt_in *in, bool rst);

/** False: not everything could be written. */
bool record_close(struct record *r);

#endif
