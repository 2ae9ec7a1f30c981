/* SPDX-License-Identifier: Apache-2.0
 * The cycle model: the pins of dmt_mmu, one step a clock. The judge of when.
 * Timing from docs/microarchitecture.md; decisions from the rules of the
 * architectural model. */
#ifndef DMT_CYCLE_H
#define DMT_CYCLE_H

#include "dmt/api.h"
#include "dmt/pins.h"
#include <stdbool.h>

DMT_API_BEGIN

/** Parameters of an instance and their ranges (microarchitecture 1), in the order of rtl/configs.json. */
struct dmt_config {
    unsigned pa_w, ctx_n, tea_n, sets, pwc4_n, pwc3_n, pwc2_n, npwc4_n, npwc3_n, npwc2_n, tag_w, cnt_w;
    unsigned pipe; /**< 1: registers before walk step, match, launch and AR pins (3.10); 0: none */
};

/* The PTE port of any instance: AXI IDs {stage, context}, and reads of one ID that may be outstanding
 * (microarchitecture 1, 7). */
#define DMT_PTE_IDS   256
#define DMT_PTE_READS 5

/** Bits of the context's number, the low part of an AXI ID of the PTE port: 1 to 6 (microarchitecture 1). The
 * parameters are in their ranges. */
unsigned dmt_config_ctx_width(const struct dmt_config *config);

/** Bits of an AXI ID: 1 to 8. */
unsigned dmt_config_id_width(const struct dmt_config *config);

struct dmt_cycle;

/** A model in reset state, or NULL when a parameter is out of range or memory is out. */
struct dmt_cycle *dmt_cycle_new(const struct dmt_config *config);
void dmt_cycle_free(struct dmt_cycle *m);
/** An independent copy in the same cycle, or NULL when out of memory. */
struct dmt_cycle *dmt_cycle_clone(const struct dmt_cycle *m);
/** The registers as they are in the current cycle; valid until the next edge. */
const struct dmt_state *dmt_cycle_state(const struct dmt_cycle *m);

/** The outputs of the current cycle. Valid until the next edge. */
const struct dmt_out *dmt_cycle_out(const struct dmt_cycle *m);

/** One rising clock edge with these inputs. rst is the reset pin. Input bits
 * beyond a pin's width in this configuration are ignored. */
void dmt_cycle_edge(struct dmt_cycle *m, const struct dmt_in *in, bool rst);

/** Human-readable text of the walk in context i (state, level, address), for
 * divergence reports. Returns the number of characters, as snprintf does. */
int dmt_cycle_describe(const struct dmt_cycle *m, unsigned i, char *buf, unsigned size);

DMT_API_END

#endif
