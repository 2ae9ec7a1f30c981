/* SPDX-License-Identifier: Apache-2.0
 * What was measured of one unit: one workload under one environment with one
 * page-size setting, every design of that environment on the same accesses. One
 * JSON file a unit (format in docs/evaluation.md), written whole or not at all. */
#ifndef SIM_EVAL_RESULT_H
#define SIM_EVAL_RESULT_H

#include "eval/design.h"
#include "io.h"

/** Of the file format: a program reads its own version only. */
#define RESULT_VERSION 4

enum {
    RESULT_DESIGNS_MAX = 32,
    RESULT_SYSTEMS_MAX = 8,
    RESULT_COUNTERS_MAX = 48,
    RESULT_NAME_MAX = 64, /**< with its NUL */
    RESULT_TEXT_MAX = 4096,
};

/* ------------------------------------------------------------ walks by clocks */

/* Bins are exact below 2^7 clocks, 64 to an octave from there (1.6 %), up to 2^40. */
enum { RESULT_BIN_BITS = 6, RESULT_BINS = (40 - RESULT_BIN_BITS + 1) << RESULT_BIN_BITS };

static inline unsigned result_bin(uint64_t clocks)
{
    if (clocks < 1u << RESULT_BIN_BITS) {
        return (unsigned)clocks;
    }
    unsigned up = 63 - (unsigned)__builtin_clzll(clocks) - RESULT_BIN_BITS;
    return up > 39 - RESULT_BIN_BITS ? RESULT_BINS - 1 : (unsigned)(clocks >> up) + (up << RESULT_BIN_BITS);
}
/** Least clocks of a bin. */
uint64_t result_bin_clocks(unsigned bin);

/* ------------------------------------------------------------ levels that served */

/** A line of a histogram: what served each of the EVAL_SLOTS references, four bits
 * each (enum eval_level), slot i at bit 4 (i mod 16) of key[i / 16]; and how many walks. */
struct result_line {
    uint64_t key[2], count;
};
void result_pack(const uint8_t slot[EVAL_SLOTS], uint64_t key[2]);
static inline unsigned result_slot(const uint64_t key[2], unsigned slot)
{
    return (unsigned)(key[slot / 16] >> 4 * (slot % 16)) & 15;
}

struct result_histogram;

/* ------------------------------------------------------------ a unit */

/** A system that designs of the unit run on. */
struct result_system {
    bool tea, pv, host_huge, full; /**< of struct eval_system_options */
    struct eval_system_stats stats;
};

/** Windows of a run that were replayed into the RTL. */
struct result_rtl {
    uint64_t windows, walks, references;
    uint64_t mismatches;   /**< walks of which address, list of references or clocks differ */
    uint64_t clocks_equal; /**< walks of as many clocks */
};

/** What one design came to. All counts and sums are of the measured accesses, warm-up left out. */
struct result_design {
    char name[RESULT_NAME_MAX], title[RESULT_NAME_MAX];
    char base[RESULT_NAME_MAX]; /**< speedups are over this one; its own name: it is one */
    unsigned system;            /**< index into struct result */
    uint64_t accesses, hits_l1, hits_l2, walks;
    uint64_t walk_clocks;       /**< sum over walks */
    uint64_t wait_clocks;       /**< the same, from the miss until a walker was free; not in walk_clocks */
    uint64_t clocks;            /**< of the whole run */
    uint64_t exposed;           /**< of them, those in which the program waited for walks (and exits) */
    uint64_t refs, reads;       /**< sums over walks of struct eval_walk's */
    uint64_t fallbacks, fallback_clocks; /**< walks with fallback, and their part of walk_clocks */
    uint64_t faults;
    uint64_t exits, exit_clocks;
    uint64_t bin[RESULT_BINS];  /**< walks by clocks */
    bool slots;                 /**< a radix walk: what follows is there */
    uint64_t slot_clocks[EVAL_SLOTS];          /**< sums */
    uint64_t slot_level[EVAL_SLOTS][EVAL_MEM + 1];
    struct result_histogram *histogram;        /**< NULL: none was kept */
    struct eval_cache_stats caches;
    unsigned counters;
    struct { char name[RESULT_NAME_MAX]; double value; } counter[RESULT_COUNTERS_MAX];
    struct result_rtl rtl;      /**< all zero: not checked */
    double seconds;             /**< of processor time it took to simulate; 0: not told apart */
};

struct result {
    char command[RESULT_TEXT_MAX]; /**< the shell command that makes this file again */
    char program[RESULT_NAME_MAX]; /**< file_mark of the one that made it */
    char inputs[RESULT_NAME_MAX * 2]; /**< what the files it names held; "none" without any */
    char workload[RESULT_NAME_MAX];
    double scale;
    enum eval_env env;
    bool thp;
    unsigned fragment;             /**< of struct eval_system_options */
    uint64_t seed;
    uint64_t warmup, measured;     /**< accesses */
    struct eval_config machine;
    unsigned systems, designs;
    struct result_system system[RESULT_SYSTEMS_MAX];
    struct result_design *design;  /**< RESULT_DESIGNS_MAX of them, zeroed by result_new */
    double seconds;                /**< wall clock of the unit */
    uint64_t peak;                 /**< bytes of memory at most resident */
};

/** An empty one. Exits when out of memory. */
struct result *result_new(void);
void result_free(struct result *r);
/** The design of that name, NULL: none. */
const struct result_design *result_design_find(const struct result *r, const char *name);
/** The design that d's speedups are over; NULL when the unit lacks it. */
const struct result_design *result_base(const struct result *r, const struct result_design *d);

/** Count a walk's slots; *h NULL: begin. Exits when out of memory. */
void result_histogram_add(struct result_histogram **h, const uint8_t slot[EVAL_SLOTS]);
/** The same for a line that is there. */
void result_histogram_line(struct result_histogram **h, const uint64_t key[2], uint64_t count);
/** Add the lines of `from` (may be NULL), for runs in parts. */
void result_histogram_join(struct result_histogram **h, const struct result_histogram *from);
/** Lines in the order of their keys, to be freed by the caller; NULL when there is none. */
struct result_line *result_histogram_lines(const struct result_histogram *h, size_t *n);
void result_histogram_free(struct result_histogram *h);

/** Clocks that a share q (0 to 1) of the walks do not exceed, as the least of their bin; 0 without walks. */
uint64_t result_quantile(const struct result_design *d, double q);
/** Walks by clocks' power of two: log2[0] of 0 clocks, log2[i] of 2^(i-1) to 2^i - 1. */
void result_log2(const struct result_design *d, uint64_t log2[41]);
/** Mean clocks of a walk; NAN without any. */
double result_mean(const struct result_design *d);
/** Page-walk speedup over base; NAN when either had no walks (or took no clocks). */
double result_speedup(const struct result_design *d, const struct result_design *base);

/** "4k", "thp"; "native", "virt", "nested". */
const char *result_pages(bool thp);
extern const char *const result_envs[EVAL_ENVS];
/** The file of a unit in a directory: DIR/WORKLOAD.ENV.PAGES.json, with other characters than letters,
 * digits, '-' and '_' of the workload as '_'. False when `to` is too short. */
bool result_path(const char *dir, const struct result *r, char *to, size_t room);

/** Write a unit's file. False after saying why; then the file is as it was. Lines that hold what depends on
 * the computer (seconds, bytes, the executable) begin with "host_"; all others are a function of command, inputs and program. */
bool result_write(const char *path, const struct result *r);
/** Read one and check it. NULL after saying file and what was expected. */
struct result *result_read(const char *path);
/** Quietly: is there a whole unit of this version at `path`? For runs that go on where they were. */
bool result_done(const char *path);

/** Units as CSV, a line a design, a header first. */
void result_csv(struct out *o, const struct result *const *unit, size_t n);

#endif
