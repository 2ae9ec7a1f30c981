/* SPDX-License-Identifier: Apache-2.0
 * Which of the situations of COSIM_COVER_LIST judged walks and register
 * writes were. */
#ifndef TB_COVER_H
#define TB_COVER_H

#include "tb/judge.h"

/** Count what a walk was. */
void cover_walk(uint64_t *cover, const struct dmt_state *state, const struct judge_walk *w,
                const struct dmt_result *r);

/** Count what a register write was that has just taken effect. */
void cover_write(uint64_t *cover, const struct shadow *s, unsigned addr, unsigned resp);

#endif
