/* SPDX-License-Identifier: Apache-2.0
 * One device on its memory: device under test, reference beside it, agent,
 * judge, and what has happened lately for the report of a divergence. What
 * drives the request, response and CSR ports is the owner's: cosim_run()
 * (tb/lockstep.c), or a thread of a machine (tb/machine_live.c).
 *
 * A clock is: lane_begin(), agent_drive() and the owner set lane.in, lane_check(),
 * the owner sees the handshakes between lane_out() and lane.in, lane_end(). */
#ifndef TB_LANE_H
#define TB_LANE_H

#include "tb/agent.h"
#include "tb/cosim.h"
#include "tb/judge.h"

#define LANE_AROUND   200   /* clocks of waves before and after a divergence */
#define LANE_WATCHDOG 20000 /* clocks without a handshake that count as a hang */

enum lane_step { LANE_OK, LANE_DIVERGED, LANE_BAD };

struct lane_event;

struct lane {
    const struct dut_ops *ops, *ref_ops; /* ref_ops NULL: alone */
    struct dmt_config config;
    void *dut, *ref;
    struct agent agent;
    struct judge *judge; /* NULL: counted, not judged */
    struct cosim_stats stats;
    struct dmt_in in;
    uint64_t progress_cycle; /* of the last handshake */
    uint64_t diverged;       /* cycle */

    const char *waves; /* FST of clocks waves_first..waves_last, or NULL */
    uint64_t waves_first, waves_last;
    bool waving;

    struct lane_event *event; /* NULL: none are kept */
    uint64_t events;

    /* of the report */
    FILE *log; /* NULL: stderr */
    uint64_t seed;
    const char *profile_name;
    int thread;                                  /* of a machine; negative: there is one, with epochs */
    void (*command)(const void *owner, FILE *f); /* what repeats the run with waves: a line */
    const void *owner;
};

/** Make devices, judge and history of a zeroed lane whose ops, ref_ops and
 * config are set. False: cosim_error(). lane_free() in any case. */
bool lane_make(struct lane *l, bool judge);
void lane_free(struct lane *l);

/** Outputs of the current cycle. */
const struct dmt_out *lane_out(const struct lane *l);

/** Waves, comparison with the reference. BAD: cosim_error(). */
enum lane_step lane_begin(struct lane *l);
/** All inputs are set: history, judge or statistics, the memory's side of the handshakes. */
enum lane_step lane_check(struct lane *l);
/** The edge. */
enum lane_step lane_end(struct lane *l);
/** The edge alone, as in a clock of reset: lane_begin(), inputs, lane_edge(l, true). */
void lane_edge(struct lane *l, bool rst);

/** Report a divergence of the walk with this order number. */
void lane_report(struct lane *l, const char *signal, const char *text, uint64_t want, uint64_t got,
                 uint32_t walk);
/** Report what the judge has against it. */
void lane_report_judge(struct lane *l);
/** Report that nothing moves although something is outstanding. */
void lane_report_hang(struct lane *l, uint64_t taken, uint64_t answered);

/** Name of the configuration, as a report has it. */
const char *lane_config_name(const struct lane *l);
/** Where reports go. */
FILE *lane_log(const struct lane *l);

/** Stop writing waves. */
void lane_end_waves(struct lane *l);
/** Write the view beside an FST: x.gtkw of x.fst. marker: cycle, UINT64_MAX: none. False: cosim_error(). */
bool lane_write_view(const char *fst, uint64_t marker);

#endif
