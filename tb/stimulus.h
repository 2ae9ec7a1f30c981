/* SPDX-License-Identifier: Apache-2.0
 * What requester and software do to the block: random scenarios (page tables
 * of every stage in the address spaces below, TEA registers laid over them,
 * images of such registers, gTEAs, requests with locality, live register changes) or a replayed list of
 * requests with software's stores and register changes in between. Drives the
 * request, response and CSR ports.
 */
#ifndef TB_STIMULUS_H
#define TB_STIMULUS_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "dmt/mem.h"
#include "tb/agent.h"
#include "tb/cosim.h"
#include "tb/csr.h"
#include "tb/rng.h"

#define STIMULUS_HOT 64
#define STIMULUS_REGIONS 12
#define STIMULUS_BLOCKS 8
#define STIMULUS_EPT 128

/** 512 GiB of addresses under one level-3 table, with level-2 and level-1
 * tables under its start that are contiguous in memory, so that TEA registers
 * of all three sizes can be laid over them. */
struct region {
    uint64_t va;               /**< canonical, multiple of 512 GiB */
    uint64_t l3, l2, l1;       /**< first frames of the tables of each level */
    unsigned l2_n, l1_n;       /**< number of level-2 and level-1 tables */
    uint64_t l4;               /**< frame of the PML4 */
};

/** The tables of a stage, or the shadow table. Frames of tables are of the
 * address space below: stage k's are addresses of level k-1. */
struct tables {
    unsigned stage;
    bool host;                 /**< they lie at host physical addresses and yield such */
    const struct dmt_s2 *s2;   /**< NULL: IA-32e */
    bool five;
    uint64_t root;
    struct region region[STIMULUS_REGIONS];
    unsigned region_n, own_n;  /**< regions with tables of their own come first */
};

/** Memory of a level that exists: frames that a stage maps, and that are
 * contiguous in host memory, too. Tables of the stage above lie in it; it is
 * a gTEA of theirs. */
struct block {
    uint64_t at, host;         /**< first frame, of the level and of the host */
    unsigned used, id;         /**< frames; gTEA ID */
};
#define STIMULUS_BLOCK_FRAMES 64

struct stimulus {
    struct dmt_config config;
    struct rng rng;
    struct dmt_mem *mem;       /**< owned; the agent's memory */
    struct dmt_mem *pristine;  /**< owned; random scenarios only */
    struct dmt_state base;     /**< what software mostly wants */
    struct dmt_state have;     /**< what the queued writes lead to (replay) */
    struct csr csr;
    struct agent *agent;       /**< pokes go through it, so that reservations see them */

    /* requester */
    struct dmt_in request;     /* the request pins held until taken */
    bool valid;
    uint64_t taken, answered;  /* requests since reset */
    unsigned issue, take;      /* out of 65536 */
    uint64_t phase_until, now;
    bool hold;                 /* no requests until the program is done */

    /* random */
    unsigned entering;         /* stage */
    unsigned gentle;           /* how much rarer unusable entries are on the way to others */
    unsigned kinds;            /* of TEA registers: 0 GTEA, 1 PA, else both */
    bool huge;                 /* most pages are huge, and most areas have registers of smaller sizes besides */
    struct tables tables[DMT_SETS_MAX], shadow;
    struct block block[2][STIMULUS_BLOCKS]; /* of levels 0 and 1 */
    unsigned block_n[2];
    struct { uint64_t base; unsigned n; } image[DMT_SETS_MAX]; /* image areas: address, images that exist */
    uint64_t next;             /* host frame for a table */
    uint64_t ept[STIMULUS_EPT]; /* host frames of EPT tables */
    unsigned ept_n;
    uint64_t hot[STIMULUS_HOT];
    unsigned look;             /* 1 + set: just loaded, to be read back */
    unsigned changes;          /* a CSR operation is queued in a cycle, out of 65536 */
    bool live;
    bool steady;               /* no phases of idleness and back-pressure */
    bool closed;               /* nothing new is started */

    /* replay */
    struct cosim_source *source;
    unsigned outstanding;
    struct cosim_item item;
    bool have_item, prepared, ended;
    const char *broken;        /* what the source asked and nobody can do, or NULL */
};

/** Build the scenario of one epoch; a pure function of its arguments. mode:
 * DMT_MODE_NATIVE to _NESTED, or 0: one of those that the sets allow. live:
 * CSR traffic and concurrent stores besides requests. False: out of memory. */
bool stimulus_random(struct stimulus *s, const struct dmt_config *config, uint64_t seed, unsigned mode,
                     bool live);

/** Start replaying a source from its first item. False: out of memory, or
 * the state asks for what the instance does not have (s->broken). */
bool stimulus_replay(struct stimulus *s, const struct dmt_config *config, struct cosim_source *source,
                     unsigned outstanding);

/** Free the memories. */
void stimulus_clear(struct stimulus *s);

void stimulus_drive(struct stimulus *s, struct dmt_in *in);
void stimulus_edge(struct stimulus *s, const struct dmt_out *out, const struct dmt_in *in);

/** Nothing outstanding on the ports it drives. */
bool stimulus_idle(const struct stimulus *s);

/** From now on start nothing new; take answers at once. */
void stimulus_finish(struct stimulus *s);

#endif
