/* SPDX-License-Identifier: Apache-2.0
 * The cycle model behind the device interface. */
#include "tb/dut.h"

static void *create(const struct dmt_config *config)
{
    return dmt_cycle_new(config);
}

static void destroy(void *self)
{
    dmt_cycle_free(self);
}

static const struct dmt_out *out(void *self)
{
    return dmt_cycle_out(self);
}

static void edge(void *self, const struct dmt_in *in, bool rst)
{
    dmt_cycle_edge(self, in, rst);
}

static bool trace_open(void *self, const char *path)
{
    (void)self;
    (void)path;
    return false;
}

static void trace_close(void *self)
{
    (void)self;
}

const struct dut_ops dut_cycle = {
    .name = "cycle",
    .create = create,
    .destroy = destroy,
    .out = out,
    .edge = edge,
    .trace_open = trace_open,
    .trace_close = trace_close,
};
