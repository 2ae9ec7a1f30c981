/* SPDX-License-Identifier: Apache-2.0
 * The RTL in the loop: windows of a run, replayed. At a window the simulator's
 * caches and TLBs are copied; the design, as the RTL is built (its
 * paging-structure caches, its clocks), walks the window on one copy of the
 * caches, and the RTL walks it with another as its memory. Address, page size,
 * list of references and clocks of every walk must be equal. */
#ifndef SIM_EVAL_RTL_H
#define SIM_EVAL_RTL_H

#include "eval/engine.h"

/** Walks of a window that are repeated at most: what keeps a window under a second (0.1 ms a walk of two
 * stages, 0.2 ms of three). Random accesses miss so often that a window of 8192 ends there. */
#define RTL_WALKS 4096

struct rtl_window_sink {
    const struct eval_design *design;
    struct result_rtl *rtl; /**< counted up */
    const char *command;    /**< that makes the unit again, for the report; NULL: none is named */
    /** Tests: changes the simulator's side, which then must differ. NULL: nothing. */
    void (*spoil)(struct eval_config *c);
    unsigned walks;   /**< in place of RTL_WALKS; 0: that */
    bool every_clock; /**< simulate clocks in which the RTL only waits for memory, too */
};

/** engine_options.window; user: a struct rtl_window_sink. The first walk of a window that differs is counted
 * and ends the window; the first of a run is reported on stderr. False, after saying why, when the RTL cannot
 * be asked: it does not have what the system needs, hangs, or breaks a rule that needs no simulator. */
bool rtl_window(void *user, const struct engine_view *view, const struct eval_access *access, size_t n);

#endif
