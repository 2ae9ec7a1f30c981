/* SPDX-License-Identifier: Apache-2.0
 * The RTL in the loop: windows of a run, replayed. At a window the simulator's
 * caches and TLBs are copied twice; the design, as the RTL is built (its
 * paging-structure caches, its clocks), walks the window on one copy, and the RTL
 * walks it with the other as its memory. Address, list of references and clocks
 * of every walk must be equal. */
#ifndef SIM_EVAL_RTL_H
#define SIM_EVAL_RTL_H

#include "eval/engine.h"

struct rtl_window_sink {
    const struct eval_design *design;
    struct result_rtl *rtl; /**< counted up */
};

/** engine_options.window; user: a struct rtl_window_sink. False after saying
 * which walk differs and how, with the command that repeats the run. */
bool rtl_window(void *user, const struct engine_view *view, const struct eval_access *access, size_t n);

#endif
