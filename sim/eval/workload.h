/* SPDX-License-Identifier: Apache-2.0
 * Workloads: programs as streams of accesses over areas of virtual memory. A
 * generator follows its algorithm's data structures at full size without
 * allocating them: what a node, bucket or row holds is a function of its number
 * and the seed. A trace of a real program is a workload, too. */
#ifndef SIM_EVAL_WORKLOAD_H
#define SIM_EVAL_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An access. */
struct eval_access {
    uint64_t va;
    uint8_t kind;   /**< DMT_ACCESS_READ, _WRITE, _EXECUTE */
    uint8_t after;  /**< 1: its address depends on what the access before it read */
};

/** An area that the workload maps, in the order of mapping; [0, resident) of its pages are touched before it starts. */
struct eval_area {
    uint64_t vpn, pages;  /**< 4 KiB pages; vpn is where it lies */
    uint64_t resident;    /**< pages, from its start, that initialisation touches; all are, as a rule */
    unsigned flags;       /**< DMT_OS_R, .. (dmt/os.h) */
    const char *name;     /**< "table", "heap", "stack", .. */
};

struct workload;

enum { WORKLOAD_NAME_MAX = 64 }; /**< with its NUL */

/** Full-size generators: name, what the paper ran, its bytes of virtual memory. NULL-terminated. */
struct workload_kind {
    const char *name, *what;
    uint64_t bytes;       /**< at scale 1 */
    uint64_t lead;        /**< accesses, at scale 1, until it works as it does for most of its time */
    struct workload *(*make)(const struct workload_kind *kind, double scale, uint64_t seed);
};
extern const struct workload_kind workload_kinds[];
const struct workload_kind *workload_find(const char *name);

/** A workload of a kind. scale (2^-20 to 1): its data by so much smaller. A pure
 * function of kind, scale and seed. NULL after saying why. */
struct workload *workload_new(const struct workload_kind *kind, double scale, uint64_t seed);
/** A recorded trace over the areas of a maps file (sim/trace.h, sim/areas.h). NULL after saying why. */
struct workload *workload_trace(const char *trace, const char *maps);
/** The name that it has: the file's, after that of its folder where the path has one ("gups/trace.zst"). */
void workload_trace_name(const char *trace, char name[WORKLOAD_NAME_MAX]);
void workload_free(struct workload *w);

const char *workload_name(const struct workload *w);
/** Areas in address order, apart from each other by at least a page. */
size_t workload_areas(const struct workload *w, const struct eval_area **area);
/** The next accesses, up to n, all inside areas. Fewer than n at a trace's end or when its data is bad (*ok
 * false, after saying what); a generator has no end. */
size_t workload_next(struct workload *w, struct eval_access *a, size_t n, bool *ok);
/** Leave its lead out: from its start to where evaluation begins. A trace has none. */
void workload_skip_lead(struct workload *w);
/** At its start again. */
void workload_rewind(struct workload *w);

/* ------------------------------------------------------------ for generators */

/** What every generator has; its own state follows in the same allocation. */
struct workload {
    const struct workload_kind *kind;
    char name[WORKLOAD_NAME_MAX];
    double scale;
    uint64_t seed;
    struct eval_area *area;
    size_t areas;
    size_t (*next)(struct workload *w, struct eval_access *a, size_t n, bool *ok);
    void (*rewind)(struct workload *w);
    void (*close)(struct workload *w); /**< frees what it holds besides area and itself; may be NULL */
};

#endif
