/* SPDX-License-Identifier: Apache-2.0
 * One design on one stream of accesses: TLBs, walks on misses, data accesses,
 * and the clock.
 *
 * Time: with walker.window 0 each access begins when the one before it is done.
 * Otherwise up to so many accesses are under way; one whose address depends on
 * the access before it waits for that, and a walk waits for a free walker. */
#ifndef SIM_EVAL_ENGINE_H
#define SIM_EVAL_ENGINE_H

#include "eval/design.h"
#include "eval/result.h"
#include "eval/tlbs.h"

/** What a run has in hand, for those who look into it. */
struct engine_view {
    const struct eval_config *config;
    struct eval_system *system;
    const struct eval_caches *caches;
    const struct eval_tlbs *tlbs;
    uint64_t now; /**< clock at which all accesses so far are done */
};

struct engine_options {
    const struct eval_config *config;
    const struct eval_design *design;
    struct eval_system *system; /**< populated */
    struct workload *workload;  /**< at its start */
    uint64_t warmup, measured;  /**< accesses; fewer when a trace ends */
    bool histogram;             /**< keep one, where the design fills slots */
    volatile uint64_t *done;    /**< accesses done are counted here, or NULL */
    /** Called `windows` times, evenly over the measured part, with the next accesses before they are run, up to
     * 8192; less often where the measured part has not so many pieces, or a trace ends early, but once at least
     * (of a trace's last piece, when that is not a whole one). Changes nothing. False: the run ends, after
     * saying why. */
    unsigned windows;
    bool (*window)(void *user, const struct engine_view *view, const struct eval_access *access, size_t n);
    void *user;
};

/** Run. Fills *to but for rtl, seconds and system. False after saying why: bad trace data, an access outside all
 * areas, out of simulated memory, or window() said so. */
bool engine_run(const struct engine_options *o, struct result_design *to);

#endif
