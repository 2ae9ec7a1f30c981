/* SPDX-License-Identifier: Apache-2.0
 * What `dmt run` found, as a table on a terminal and as an HTML page. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "dmt/tea.h"
#include "io.h"
#include "tb/cosim.h"
#include "tlb.h"

/** One lockstep run. */
struct report_run {
    struct cosim_stats stats;
    bool done;
};

/** One captured system in one mode. */
struct report_system {
    char name[64];
    const char *mode;                        /**< "native", "virt", .. */
    unsigned stages;                         /**< 1 to 3 */
    struct dmt_state state;                  /**< with TEA registers */
    struct dmt_tea_report tea[DMT_SETS_MAX]; /**< of each stage */
    struct tlb_stats tlb;
    uint64_t oracle, oracle_bad; /**< addresses compared with QEMU's translation, and how many differ */
    struct report_run dmt, x86;  /**< with registers; with registers cleared */
    char waves[512];
};

/** Means over all walks of a run. */
double report_references(const struct cosim_stats *s);
double report_clocks(const struct cosim_stats *s);
/** The same over the walks that TEA registers of every stage completed; 0 without any. */
double report_references_covered(const struct cosim_stats *s);
double report_clocks_covered(const struct cosim_stats *s);
/** Share of walks that TEA registers completed, 0 to 1. */
double report_coverage(const struct cosim_stats *s);

/** The table, to standard output. */
void report_table(const struct report_system *s, size_t n);

/** The page; one self-contained file. False after saying why. */
bool report_html(const char *path, const struct report_system *s, size_t n, unsigned latency);

#endif
