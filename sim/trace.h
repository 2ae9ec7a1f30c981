/* SPDX-License-Identifier: Apache-2.0
 * Traces of memory accesses: Valgrind lackey text, ChampSim records, and the
 * compact trace of this project; kind told by content.
 *
 * Compact trace: 16-byte header "DMTTRACE", 32-bit little-endian version 1,
 * 32-bit zero; then one record an access:
 *   control byte: bits 1:0 access (0 read, 1 write, 2 fetch), bits 7:2 bytes
 *     accessed (1 to 63, 0 for 64);
 *   LEB128 number: zigzag of the address minus the previous address of the
 *     same access kind (0 before the first), modulo 2^64.
 * The end is the byte 0xff and the number of records as LEB128; a trace
 * without it has been cut. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "io.h"
#include <stdbool.h>
#include <stdint.h>

struct access {
    uint64_t va;
    uint8_t kind; /**< DMT_ACCESS_READ, _WRITE, _EXECUTE */
    uint8_t size; /**< bytes, 1 to 64 */
};

struct trace;

/** Open a trace ("-": standard input). NULL after saying why. */
struct trace *trace_open(const char *path);
void trace_close(struct trace *t);
/** "lackey", "champsim" or "compact". */
const char *trace_kind(const struct trace *t);
/** Next access; *end set at the end. False after saying what is wrong with the data. */
bool trace_next(struct trace *t, struct access *a, bool *end);

struct trace_writer;

/** Write a compact trace. NULL after saying why. */
struct trace_writer *trace_create(const char *path);
void trace_put(struct trace_writer *w, const struct access *a);
/** Finish (false after saying why) or give up. Both free w. */
bool trace_commit(struct trace_writer *w);
void trace_discard(struct trace_writer *w);

#endif
