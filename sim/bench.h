/* SPDX-License-Identifier: Apache-2.0
 * What the parts of `dmt bench` share. */
#ifndef SIM_BENCH_H
#define SIM_BENCH_H

#include "dmt/cycle.h"
#include <stdbool.h>
#include <stdio.h>

/** Contexts that hide a memory of this latency (microarchitecture 4). */
static inline unsigned bench_contexts(const struct dmt_config *c, unsigned latency)
{
    return latency + (c->pipe ? 6 : 2);
}

struct bench {
    FILE *text;      /**< the report, as Markdown */
    unsigned wrong;  /**< numbers that are not what the documents say */
    const char *why; /**< the bench could not run */

    /* for the summary: the worst seen */
    unsigned dmt_beyond;    /**< clocks beyond memory of a native DMT walk */
    unsigned x86_beyond;    /**< of a native x86 walk, more than one a reference */
    unsigned stages_beyond; /**< of a walk of two or three stages, the same */
    unsigned plain_beyond;  /**< of one with a KIND PA register above set 0, the same */
    double rate;            /**< native DMT translations a clock with contexts that hide L */
    double virt_rate, nested_rate; /**< pvDMT translations a clock, the same */
    double lockstep, cycle, arch;
    double fits;                          /**< per cent of walks served, scenarios whose clusters fit the registers */
    unsigned switch_load, switch_single;  /**< CSR writes of a context switch, with set load and without */
    double kernel;                        /**< million operations of the kernel model a second */
};

/** Note why the bench cannot go on. Returns false. */
static inline bool bench_fail(struct bench *b, const char *why)
{
    b->why = why;
    return false;
}

/** References, clocks and throughput of walks of two and three stages, and
 * clocks behind caches. False: could not run (b->why). */
bool bench_stages(struct bench *b);

/** What software costs and what its TEAs serve. False: could not run (b->why). */
bool bench_software(struct bench *b);

#endif
