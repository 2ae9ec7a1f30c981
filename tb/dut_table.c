/* SPDX-License-Identifier: Apache-2.0
 * The verilated configurations. configs.h is generated from rtl/configs.json:
 * one DMT_CONFIG(name, pa_w, ctx_n, tea_n, sets, pwc4_n, pwc3_n, pwc2_n, npwc4_n,
 * npwc3_n, npwc2_n, tag_w, cnt_w, pipe) a line. */
#include "tb/dut.h"
#include <string.h>

#define DMT_CONFIG(name, ...) extern const struct dut_ops dut_rtl_##name;
#include "configs.h"
#undef DMT_CONFIG

const struct dut_ops *const dut_rtl[] = {
#define DMT_CONFIG(name, ...) &dut_rtl_##name,
#include "configs.h"
#undef DMT_CONFIG
    NULL,
};

const struct dut_ops *dut_rtl_find(const char *config_name)
{
    for (const struct dut_ops *const *d = dut_rtl; *d; d++) {
        if (strcmp((*d)->name + strlen("rtl-"), config_name) == 0)
            return *d;
    }
    return NULL;
}
