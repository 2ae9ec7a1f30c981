/* SPDX-License-Identifier: Apache-2.0
 * Lists of requests to replay in co-simulation, and the progress bar. */
#ifndef SIM_REPLAY_H
#define SIM_REPLAY_H

#include "csv.h"
#include "oracle.h"
#include "tb/cosim.h"
#include "tlb.h"

struct replay;

/** The accesses of a trace as user requests: only those that miss the TLB,
 * or, without filter, all. At most `limit` accesses (0: no limit). state and
 * mem are kept by reference. NULL after saying why. */
struct replay *replay_trace(const char *path, const struct dmt_state *state, const struct dmt_mem *mem,
                            bool filter, uint64_t limit, struct tlb_stats *stats);
/** n requests made of the translations that succeed in rows[0..rows_n-1]:
 * each any of them, at any aligned word of its 4 KiB page, a function of the
 * seed alone. All act with the privilege of the first row. */
struct replay *replay_rows(const struct oracle_row *rows, size_t rows_n, uint64_t n, uint64_t seed,
                           const struct dmt_state *state, const struct dmt_mem *mem);
/** The lines of a requests file; r is kept by reference. */
struct replay *replay_requests(struct requests *r, const struct dmt_state *state, const struct dmt_mem *mem);
void replay_free(struct replay *r);
/** Number of requests. */
uint64_t replay_count(const struct replay *r);
/** The source to hand to cosim_run, at its first item. state: other registers
 * over the same memory, or NULL for those given at creation; mem likewise. */
struct cosim_source *replay_source(struct replay *r, const struct dmt_state *state,
                                   const struct dmt_mem *mem);

/** Show `done` of `total` behind a label on a terminal (stderr); nothing otherwise. */
void progress_show(const char *label, uint64_t done, uint64_t total);
/** Take the bar away. */
void progress_end(void);

#endif
