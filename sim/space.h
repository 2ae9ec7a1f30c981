/* SPDX-License-Identifier: Apache-2.0
 * The address spaces behind a state, all stages of it: where tables lie, what
 * maps what, room for new tables, and TEAs for every stage. Nothing here judges
 * rights; entries with a frame beyond MAXPHYADDR count as absent. A *level* is
 * the specification's: addresses of level k are what stage k translates;
 * level -1 are host physical addresses. */
#ifndef SIM_SPACE_H
#define SIM_SPACE_H

#include "areas.h"
#include "dmt/arch.h"
#include "dmt/mem.h"
#include "dmt/tea.h"

struct space {
    struct dmt_state *state;
    struct dmt_mem *mem;
    uint64_t next[DMT_SETS_MAX]; /**< [k]: first frame of level k-1 that nothing uses */
};

/** Look over an address space: state and mem are kept by reference. host_base:
 * first host frame for new tables, 0: above everything present or mapped.
 * False after saying why. */
bool space_open(struct space *s, struct dmt_state *state, struct dmt_mem *mem, uint64_t host_base);

/** One walk of one stage, as read from memory. */
struct space_walk {
    bool present;   /**< a leaf was reached */
    unsigned level; /**< of the last entry read; 0: none could be */
    uint64_t at;    /**< hPA of that entry */
    uint64_t entry;
    uint64_t to; /**< address of the level below, when present */
};

/** Walk the tables of stage k for an address of level k. */
struct space_walk space_walk(const struct space *s, unsigned k, uint64_t addr);

/** The hPA behind an address of `level` (-1 to 2) through all stages. False: not mapped. */
bool space_host(const struct space *s, int level, uint64_t addr, uint64_t *hpa);

/** n fresh frames, contiguous in host memory and at every level up to `level`,
 * mapped by every second stage between: first frame number at the level to
 * *pfn, in host memory to *host. False: no room. */
bool space_alloc(struct space *s, int level, uint64_t n, uint64_t *pfn, uint64_t *host);

/** Host frame numbers, ascending, of every table that a translation can read:
 * of all stages and the shadow table, TEAs, and gTEA tables. *pfn is the
 * caller's to free. Number of frames; exits when out of memory. */
size_t space_tables(const struct space *s, uint64_t **pfn);

/** How space_layout lays out. */
struct space_layout {
    const struct areas *areas; /**< of the entering stage; NULL: what its tables map */
    unsigned registers;        /**< of each set, 1 to 64 */
    bool gtea;                 /**< registers of sets above 0 are of KIND GTEA, else PA */
};

/** Give every stage TEA registers: leaf tables of the entering stage move to
 * contiguous frames and the entries above are re-pointed, then those of the
 * stage below, down to stage 0, so that every register and the walk read the
 * same word; each entry is checked. report[k]: what happened to stage k. False
 * after saying why. */
bool space_layout(struct space *s, const struct space_layout *how,
                  struct dmt_tea_report report[DMT_SETS_MAX]);

/** Make a NESTED system of a VIRT one (NPT or EPT): its guest enters at stage 2,
 * its second-stage table stays stage 0, and between them comes a new stage 1,
 * in the same format, that maps every address that stage 0 maps to itself in pages of the
 * same size; a shadow table holds both. TEA registers are cleared. False after
 * saying why. */
bool space_nest(struct space *s);

#endif
