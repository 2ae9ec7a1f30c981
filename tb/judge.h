/* SPDX-License-Identifier: Apache-2.0
 * The judge of what is right, from the pins of one device alone:
 * every walk is put together from the walk trace port and, when its answer
 * comes, replayed whole through the architectural model against the data that
 * was on the bus at each beat; the answer, the list of reads and the A/D
 * writes must be the model's. Reads of gTEA tables and images must be those
 * that a register write causes, and no address may leave what the host granted. The
 * trace port must agree with the AXI pins, every request must be answered
 * once, and the AXI channels must obey their rules. Reads that the trace port
 * does not show must be surplus (specification, T2): which these are, and in
 * which order they come, follows from the entry that decided a fetch. */
#ifndef TB_JUDGE_H
#define TB_JUDGE_H

#include "dmt/arch.h"
#include "dmt/pins.h"
#include "tb/cosim.h"
#include "tb/shadow.h"

#define JUDGE_WALKS 128
#define JUDGE_EVENTS 16384 /* of one walk */
#define JUDGE_CTXS 64
#define JUDGE_DEPTH 8 /* places for reads of one ID */

/** A read answered or an exclusive write answered, as the trace port said. */
struct judge_event {
    uint64_t addr, data;
    uint8_t write, resp, stage, level, tea, index, lock;
};

/** Where a walk of one stage began, in the order in which the stages began theirs. */
struct judge_start {
    uint64_t table;
    uint8_t stage, level;  /* of the first entry read; level 0: at the root */
    uint8_t rights;
    uint16_t may; /* rights that were cached, a bit each: one, unless a fill came meanwhile */
};

/** What caches held when a stage's walk may have begun, before it shows where it did. */
struct judge_match {
    uint64_t va, at;
    uint8_t stage, n[3]; /* level of the table: 1, 2, 3 */
    struct fact_version version[3][FACT_VERSIONS];
};

#define JUDGE_MATCHES 4 /* of one clock: each stage's, should those above begin at their roots */

struct judge_walk {
    uint32_t order;
    bool busy, left; /* in flight; it has left the front */
    int16_t ctx; /* context, as its AXI IDs say; -1 until the first read */
    uint16_t tag;
    uint64_t accepted;
    uint64_t read_at; /* clock in which the trace port showed its last read */
    struct dmt_request request;
    unsigned n, room;
    struct judge_event *event; /* kept from walk to walk */
    unsigned starts, start_room;
    struct judge_start *start;
    unsigned matches[2];       /* before the last event and after it */
    struct judge_match match[2][JUDGE_MATCHES];
};

struct judge {
    struct shadow shadow;
    uint64_t now;
    struct cosim_stats *stats;
    struct cosim_source *source; /* gets the answers; may be NULL */

    /* what failed first */
    char signal[32];
    char text[160];
    uint64_t expected, got;
    uint32_t order;              /* walk concerned */

    struct judge_walk *walk;     /* JUDGE_WALKS of them */
    int16_t map[2 * JUDGE_WALKS];
    int16_t spare[JUDGE_WALKS];
    unsigned spare_n;
    uint32_t next_order, front_order;
    uint64_t taken, answered;

    struct { uint16_t tag; struct dmt_result result; } answer[4];
    unsigned answer_head, answer_n;

    struct { uint64_t addr; bool lock, load; } read[DMT_PTE_IDS][JUDGE_DEPTH];
    uint8_t read_head[DMT_PTE_IDS], read_n[DMT_PTE_IDS];
    unsigned ctx_w; /* bits of an ID that are the context */
    unsigned reads_out, ctx_reads[JUDGE_CTXS]; /* addresses taken, not answered: of all IDs; of a context's */
    int16_t owner[JUDGE_CTXS];   /* slot of the walk that uses the context */
    /* R beats that were taken and not traced: of the last cycle, with PIPE one more. */
    struct { bool lock; uint8_t id, resp; uint64_t addr, data; } beat[2];
    unsigned beats;
    /* Surplus reads of an ID whose answers have not come, in their order, wherever they are. */
    struct { uint64_t addr[2]; uint8_t n; } surplus[DMT_PTE_IDS];
    unsigned surplus_out;
    /* With PIPE: a surplus answer may not have been stepped yet, and in the cycle before; a clear of the counters met one, so
     * that the counter READ may be off by one. */
    bool step_unsure, step_was_unsure, reads_unknown;
    uint64_t caused[SHADOW_COUNTERS]; /* what the counters show in the next cycle only */

    struct { uint64_t addr; uint8_t id; } aw[DMT_PTE_IDS];
    uint64_t w[DMT_PTE_IDS];
    unsigned aw_head, aw_n, w_head, w_n;
    struct { uint64_t addr, data; bool valid; } sent[DMT_PTE_IDS];
    struct { uint64_t addr, data; uint8_t id, resp; } done[DMT_PTE_IDS];
    unsigned done_head, done_n;

    struct { uint16_t addr; } csr_aw[2];
    struct { uint64_t data; uint8_t strb; } csr_w[2];
    unsigned csr_aw_n, csr_w_n;
    struct shadow_load load[SHADOW_LOADS]; /* reads for the write that is due */
    unsigned load_n, load_done;
    struct { bool valid, known; uint64_t data; uint8_t resp; } csr_read;
    uint8_t csr_bresp;

    struct dmt_out last;         /* pins of the last cycle */
    struct dmt_in last_in;
    bool have_last;
};

/** Allocate. NULL: out of memory. */
struct judge *judge_new(void);
void judge_free(struct judge *j);

/** Start over after reset. stats is counted into and must stay. False: out of memory. */
bool judge_reset(struct judge *j, const struct dmt_config *config, struct cosim_stats *stats);

/** Look at one cycle. False: something is wrong; signal, text, expected and got say what. */
bool judge_cycle(struct judge *j, const struct dmt_out *out, const struct dmt_in *in);

/** At the end of a run that was let to come to rest: nothing may be left over. */
bool judge_finish(struct judge *j);

/** The walk with this order number that has not ended, or NULL. */
const struct judge_walk *judge_find(const struct judge *j, uint32_t order);

/** The walk that uses an AXI ID, or NULL. */
const struct judge_walk *judge_owner(const struct judge *j, unsigned id);

#endif
