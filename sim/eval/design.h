/* SPDX-License-Identifier: Apache-2.0
 * Translation designs: each with tables of its own in simulated memory, caches
 * of its own, and its own traffic in the data caches. */
#ifndef SIM_EVAL_DESIGN_H
#define SIM_EVAL_DESIGN_H

#include "eval/caches.h"
#include "eval/system.h"

#define EVAL_SLOTS    24
#define EVAL_REFS_MAX 160
#define EVAL_FRAMES   UINT64_MAX /* in place of a frame's number: all */

/** One read of a walk, for replay and for people. */
struct eval_ref {
    uint64_t hpa;
    uint32_t clocks; /**< of memory: until its answer was due */
    uint8_t level;   /**< enum eval_level */
    bool beside;     /**< at the same time as the one before it */
};

/** What a walk came to. The caller zeroes it but for log. */
struct eval_walk {
    uint64_t pa;      /**< of the access itself */
    uint8_t size;     /**< DMT_SIZE_*: smallest page of all stages, what a TLB may keep */
    uint64_t done;    /**< clock when the translation is there */
    unsigned refs;    /**< references one after the other; those beside another count once */
    unsigned reads;   /**< all */
    bool fallback;    /**< DMT: a stage that registers did not serve */
    /** Radix designs in NATIVE (slots 0..3: level 4 to 1), VIRT, and NESTED over a shadow table: what served each reference, in the order
     * gL4's hL4..hL1, gL4, .., gL1, data's hL4..hL1; for the formulas and the breakdown. Others leave it zero. */
    uint8_t slot[EVAL_SLOTS];
    struct eval_ref *log; /**< EVAL_REFS_MAX of them, or NULL: nobody asks */
    unsigned logged;
};

/** A figure of a design's own: guesses missed, exits, bytes of tables. */
struct eval_counter {
    const char *name;
    double value;
    bool running; /**< counts up: reported is its growth since the warm-up */
};

struct eval_design {
    const char *name;      /**< "pvdmt"; unique within an environment */
    const char *title;     /**< "pvDMT" */
    enum eval_env env;
    const char *base;      /**< name of the design that speedups are over */
    bool tea, pv, host_huge, full; /**< the system it runs on (struct eval_system_options) */
    bool rtl;              /**< the RTL does this: windows can be replayed */
    bool slots;            /**< its walks fill struct eval_walk's slots */
    /** Set up tables and caches over a populated system. NULL after saying why. */
    void *(*make)(const struct eval_config *c, struct eval_system *s);
    /** Walk for an access at clock `now`. False: something is not present; nothing is changed but caches. */
    bool (*walk)(void *d, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now, struct eval_walk *w);
    /** An access that comes soon, and may need a walk (`next`: is next but a few): a chance for the computer that
     * simulates to fetch ahead. May be NULL; changes nothing. */
    void (*hint)(void *d, uint64_t va, bool next);
    /** Forget what is cached of translations: of the process's addresses and, host, of what second stages map. */
    void (*flush)(void *d, bool host);
    /** The process's pages [vpn, vpn + pages) are mapped otherwise now, or not any more. NULL: the design has no
     * tables of its own. flush is called besides. */
    void (*changed)(void *d, uint64_t vpn, uint64_t pages);
    /** Frame gfn of the machine, page vpn of the process, has moved in host memory; gfn EVAL_FRAMES: any may have.
     * NULL as before. False after saying why. */
    bool (*moved)(void *d, uint64_t vpn, uint64_t gfn);
    /** Its figures into counter[0..room-1]; how many. May be NULL. */
    size_t (*counters)(void *d, struct eval_counter *counter, size_t room);
    void (*free)(void *d);
};

/** Every design, by environment; NULL-terminated. */
extern const struct eval_design *const eval_designs[];
const struct eval_design *eval_design_find(enum eval_env env, const char *name);
/** The system it runs on: environment, TEAs and host's backing; all else is left to the caller. */
struct eval_system_options eval_design_system(const struct eval_design *d);

/** What struct eval_design.counters does with the n it has: the first of them to `to`. How many. */
size_t eval_counters_give(const struct eval_counter *all, size_t n, struct eval_counter *to, size_t room);

/** Append to w->log, when there is one, and count. */
void eval_walk_note(struct eval_walk *w, uint64_t hpa, uint64_t clocks, enum eval_level level, bool beside);

#endif
