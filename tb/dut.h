/* SPDX-License-Identifier: Apache-2.0
 * A device under test behind one C interface: the verilated RTL of any named
 * configuration, or the cycle model. Outputs are functions of registers, so a
 * cycle is: read out(), choose inputs, edge(). */
#ifndef TB_DUT_H
#define TB_DUT_H

#include "dmt/cycle.h"
#include "dmt/pins.h"

struct dut;

/** Operations of one back end; one constant table each. */
struct dut_ops {
    const char *name;         /**< "rtl-default", "cycle", .. */
    struct dmt_config config; /**< parameters it was built with */
    void *(*create)(const struct dmt_config *config);
    void (*destroy)(void *self);
    /** Outputs of the current cycle; valid until the next edge. */
    const struct dmt_out *(*out)(void *self);
    /** One rising edge with these inputs. */
    void (*edge)(void *self, const struct dmt_in *in, bool rst);
    /** Start writing an FST; false when this back end has no waves or the file cannot be written. */
    bool (*trace_open)(void *self, const char *path);
    void (*trace_close)(void *self);
};

/** The cycle model as a back end; its config member is ignored by create. */
extern const struct dut_ops dut_cycle;

/** The verilated RTL back ends, one per named configuration, NULL-terminated. */
extern const struct dut_ops *const dut_rtl[];

/** The RTL back end of a configuration name ("default", ..) or NULL. */
const struct dut_ops *dut_rtl_find(const char *config_name);

#endif
