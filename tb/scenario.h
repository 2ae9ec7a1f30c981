/* SPDX-License-Identifier: Apache-2.0
 * Software at work: kernels and hypervisors of the model doing what a scenario
 * describes on a machine, with accesses in flight, every answer judged by the
 * oracle and the invariants checked (docs/software.md).
 *
 * A scenario is text, `key = value` a line, `#` comments; scenario_keys() lists
 * the keys. Built-in ones are such texts. */
#ifndef TB_SCENARIO_H
#define TB_SCENARIO_H

#include "dmt/host.h"
#include "dmt/os.h"
#include "tb/machine.h"

/** What software does next; weights say how often. X(name, text). */
#define SCENARIO_OP_LIST(X) \
    X(map, "map an area") \
    X(unmap, "unmap a part of an area, or all of it") \
    X(grow, "grow an area") \
    X(shrink, "shrink an area") \
    X(protect, "change the rights of a part of an area") \
    X(remap, "move an area") \
    X(spawn, "start a process") \
    X(fork, "fork a process") \
    X(exit, "end a process") \
    X(switch, "run another process on a thread, or none") \
    X(race, "two threads fault in one block") \
    X(promote, "make 512 small pages a large one") \
    X(demote, "split a large page") \
    X(khugepaged, "look for pages to promote") \
    X(reclaim, "take back pages not accessed lately") \
    X(dirty, "collect and clear dirty bits of an area") \
    X(move, "the host moves frames of a guest") \
    X(balloon, "the host takes frames from a guest") \
    X(revoke, "the host takes back a gTEA") \
    X(track, "the host looks for frames that a guest has written") \
    X(tenant, "the host runs another guest on a thread") \
    X(hostile, "a guest writes its registers, tables and hypercalls at random")

enum scenario_op {
#define X(name, text) OP_##name,
    SCENARIO_OP_LIST(X)
#undef X
    OPS
};

struct scenario {
    char name[32];
    /* the machine */
    unsigned mode;            /**< DMT_MODE_NATIVE, _VIRT, _NESTED */
    unsigned threads;         /**< 1..DMT_THREADS_MAX */
    unsigned frames;          /**< host memory, in frames */
    unsigned fragment;        /**< per cent of free memory that is useless for 2M pages, at the start */
    /* virtual machines */
    unsigned guests;          /**< well-behaved ones */
    unsigned hostile;         /**< 0 or 1 more of the other kind */
    unsigned guest_frames, inner_frames;
    unsigned format;          /**< enum dmt_space_format of second stages */
    unsigned guest_levels;    /**< of second stages */
    bool ept_ad, guest_huge, pv, shadow;
    /* kernels */
    struct dmt_os_options os; /**< platform, watch and seed are not set here */
    /* programs */
    unsigned processes, areas; /**< at most, of a kernel; of a process */
    unsigned area_min, area_max; /**< pages of a new area */
    unsigned files;            /**< per cent of areas that are of files */
    unsigned shared, hugetlb;  /**< per cent of areas */
    unsigned accesses;         /**< between two operations */
    unsigned writes, fetches, stray, hot; /**< per cent of accesses; to nowhere; to few pages */
    unsigned weight[OPS];
    unsigned fits;             /**< per cent of walks that TEAs must serve in every stage, 0: no such claim */
};

/** Built-in scenarios: name, one line on it, text. NULL-terminated. */
struct scenario_text {
    const char *name, *what, *text;
};
extern const struct scenario_text scenario_texts[];

/** Read a text. NULL, or what is wrong: "line 3: ..." in a static buffer. */
const char *scenario_parse(const char *text, const char *name, struct scenario *s);
/** Keys, their ranges and what they mean, a line each. */
const char *scenario_keys(void);

struct scenario_options {
    const struct scenario *scenario;
    uint64_t seed, operations;
    struct machine_options machine; /**< dut (NULL: the architectural model), config, lockstep, profile, waves, log, command */
    unsigned check_every;           /**< operations between two checks of all invariants; 0: only the oracle is asked */
    bool judge;                     /**< ask the oracle of every answer */
    unsigned defects, call_defects; /**< enum dmt_defect, enum dmt_call_defect */
    /** Frame allocation n of the host fails; UINT64_MAX: none (dmt_buddy_fail_after). */
    uint64_t fail_after;
    void (*progress)(void *user, uint64_t done, uint64_t of);
    void *progress_user;
    const volatile sig_atomic_t *stop;
};

struct scenario_stats {
    uint64_t operations, refused;      /**< done; of them answered with an error that may come (no memory, no room) */
    uint64_t of[OPS];
    uint64_t judged, checked;          /**< answers, spaces */
    uint64_t faults, violations, segv, gtea, retries, hostile_ok;
    uint64_t events;                   /**< REFUSED, MULTI_HIT and the like, of guests that behave */
    uint64_t coverage_pages, covered_pages; /**< of areas at the end */
    uint64_t tables, tea_frames, tea_used; /**< frames at the end, all levels */
    double fragmentation;              /**< index for 2M at the end */
    struct machine_stats machine;
    struct dmt_os_stats os;            /**< sum of the kernels */
    struct dmt_host_stats host;        /**< sum of the hypervisors */
    struct dmt_space_stats space;      /**< sum of all spaces that are alive at the end */
    char failure[512];                 /**< what was wrong first, or empty */
    uint64_t failed_at;                /**< operation */
    const char *failed_in;             /**< its name */
};

/** Run. COSIM_OK, COSIM_DIVERGENCE (stats->failure or the machine's report says
 * what), COSIM_BAD (cosim_error()), COSIM_STOPPED. A pure function of scenario, seed and operations. */
enum cosim_result scenario_run(const struct scenario_options *o, struct scenario_stats *stats);

#endif
