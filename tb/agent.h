/* SPDX-License-Identifier: Apache-2.0
 * The memory behind the PTE port: an AXI4 subordinate over a struct dmt_mem
 * with an exclusive monitor and a choice of manners.
 *
 * A cycle is: agent_drive() sets the PTE port's inputs from the agent's state
 * alone; agent_edge() sees which handshakes that made. A read samples memory
 * when its beat is first shown, an exclusive write acts when its answer is
 * first shown. Beats of one ID keep their order. */
#ifndef TB_AGENT_H
#define TB_AGENT_H

#include "dmt/cycle.h"
#include "dmt/mem.h"
#include "dmt/pins.h"
#include "tb/rng.h"
#include <stdbool.h>
#include <stdint.h>

#define AGENT_DEPTH 8 /* places for reads of one ID */

/** A set of IDs. */
struct agent_ids {
    uint64_t word[DMT_PTE_IDS / 64];
};

enum agent_latency { AGENT_FIXED, AGENT_UNIFORM, AGENT_HEAVY, AGENT_TWO };

/** Manners of the memory. Probabilities are out of 65536, per cycle or per beat. */
struct agent_profile {
    const char *name;
    enum agent_latency latency;
    unsigned lo, hi;     /**< clocks; FIXED uses lo; HEAVY is lo, one in 32 beats up to hi; TWO is lo or hi */
    bool reorder;        /**< different IDs answered in any order, else in order of arrival */
    bool starve;         /**< one channel after another is stopped for a long time */
    bool no_monitor;     /**< exclusive reads are answered OKAY */
    unsigned ar, aw, w;  /**< ready */
    unsigned r, b;       /**< an answer that is due is shown */
    unsigned slverr;     /**< a read is answered SLVERR or (one in four) DECERR; writes four times as often */
    unsigned lost;       /**< an exclusive write loses for no visible reason */
};

/** The named profiles, terminated by a NULL name. */
extern const struct agent_profile agent_profiles[];

/** Find a profile by name; "fixed-<L>" makes one of latency L (1..1000). False: unknown. */
bool agent_profile_find(const char *name, struct agent_profile *out);

enum agent_channel { AGENT_AR, AGENT_R, AGENT_AW, AGENT_W, AGENT_B, AGENT_CHANNELS };

struct agent_read {
    uint64_t addr, due, number; /* number: in order of arrival */
    bool lock;
};

struct agent_write {
    uint64_t addr, data, due;
    uint8_t id;
};

struct agent {
    struct dmt_mem *mem;             /**< not owned */
    struct agent *peer;              /**< next of a ring of agents on the same memory; NULL: alone */
    const struct dmt_mem *pristine;  /**< what the concurrent writer restores from; may be NULL */
    struct agent_profile profile;
    struct rng rng;
    uint64_t now;                    /**< cycles driven since agent_reset() */
    unsigned disturb;                /**< a cycle has a store of the concurrent writer, out of 65536 */
    unsigned heal;                   /**< that many of 32 stores put back what others have broken */
    const uint64_t *ept;             /**< frames of EPT tables, which the concurrent writer changes as such */
    unsigned ept_n;
    uint64_t max_pfn;                /**< the concurrent writer puts frames below this into entries */
    bool overtake;                   /**< in place of the order of arrival: different IDs in the order of their clocks */
    /** Latency of an access, in place of the profile's; may be NULL. */
    unsigned (*clocks)(void *user, uint64_t addr);
    void *clocks_user;
    uint64_t pokes;                  /**< words stored by others than the block */
    const char *broken;              /**< a promise that the block broke, or NULL */

    struct agent_read read[DMT_PTE_IDS][AGENT_DEPTH];
    uint8_t head[DMT_PTE_IDS], count[DMT_PTE_IDS];
    struct agent_ids waiting;        /* IDs with reads */
    uint8_t order[DMT_PTE_IDS * AGENT_DEPTH]; /* IDs in order of arrival, when they are answered in it */
    unsigned order_head, order_count;
    uint64_t reads; /* taken */
    struct {
        bool valid;
        uint8_t id, resp;
        uint64_t data;
    } r;

    struct { uint64_t addr; uint8_t id; } aw[DMT_PTE_IDS];
    uint64_t wdata[DMT_PTE_IDS];
    unsigned aw_head, aw_count, w_head, w_count;
    struct agent_write write[DMT_PTE_IDS];
    unsigned write_count;
    struct {
        bool valid;
        uint8_t id, resp;
    } b;

    struct agent_ids reserved; /* IDs that hold a reservation */
    uint64_t reservation[DMT_PTE_IDS];
    uint64_t recent[16]; /* addresses read last */
    unsigned recent_next;
    uint64_t broken_entry[16]; /* entries that the concurrent writer broke, oldest first */
    unsigned broken_n;
    int stopped; /* channel that is starved, or -1 */
    uint64_t stop_until;
};

/** Start over: nothing outstanding, cycle 0. Keeps mem, peer, pristine, disturb, heal, ept, max_pfn
 * and overtake. */
void agent_reset(struct agent *a, const struct agent_profile *profile, uint64_t seed);

/** Set the PTE port's inputs of this cycle. */
void agent_drive(struct agent *a, struct dmt_in *in);

/** See the handshakes of this cycle. */
void agent_edge(struct agent *a, const struct dmt_out *out, const struct dmt_in *in);

/** A store by another processor: kills reservations on the word. False: absent frame. */
bool agent_poke(struct agent *a, uint64_t addr, uint64_t value);

/** Clock (as `now` counts) from which the answer of a read can be shown; UINT64_MAX: there is none. Of memory that
 * does not reorder. */
uint64_t agent_due(const struct agent *a);

/** Nothing taken and unanswered, nothing shown and not taken. */
bool agent_idle(const struct agent *a);

#endif
