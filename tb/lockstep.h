/* SPDX-License-Identifier: Apache-2.0
 * Inside of cosim_run(): the clock loop, the comparison of two devices, the
 * report of a divergence. The interface is tb/cosim.h. */
#ifndef TB_LOCKSTEP_H
#define TB_LOCKSTEP_H

#include "tb/cosim.h"

/** Set the line that cosim_error() returns. Returns false for convenience. */
bool cosim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Name of the first output pin that differs, or NULL; values through want and got. */
const char *lockstep_compare(const struct dmt_out *want, const struct dmt_out *got, uint64_t *want_value,
                             uint64_t *got_value);

#endif
