/* SPDX-License-Identifier: Apache-2.0
 * The table of compositions: every way in which stages can be stacked (mode,
 * fallback, format, each stage covered by a TEA or walked, table levels and
 * page size of each stage), built with real tables in a dmt_mem for any
 * engine, and what a translation then reads, derived from the rule alone. */
#ifndef CELLS_H
#define CELLS_H

#include "dmt/arch.h"
#include "dmt/mem.h"

/** How a stage is translated. */
enum cell_cover { CELL_WALK, CELL_PA, CELL_GTEA };

/** One combination. Stages above the entering one are zero. */
struct cell {
    uint8_t mode;   /**< DMT_MODE_NATIVE .. _NESTED */
    bool full;      /**< NESTED: fallback FULL, else SHADOW */
    uint8_t format; /**< of every second stage and the shadow table */
    struct {
        uint8_t cover;  /**< enum cell_cover */
        uint8_t levels; /**< 4, 5; of the shadow table when that stands in for stage 1 */
        uint8_t size;   /**< DMT_SIZE_4K .. _1G */
    } stage[DMT_SETS_MAX];
};

/** The first combination, then the next one. False: that was the last. What
 * a cell's translations cannot meet (stage 0 below a shadow table) does not vary. */
void cell_first(struct cell *c);
bool cell_next(struct cell *c);

/** Text of a cell, in a static buffer. */
const char *cell_text(const struct cell *c);

#define CELL_SHADOW    3 /**< the shadow table, where a stage is asked for */
#define CELL_READS_MAX 256

/** A cell in memory. Everything is allowed, present, accessed and dirty; EPT has A/D flags. */
struct cell_world {
    struct cell cell;
    struct dmt_mem *mem;
    struct dmt_state state;
    struct dmt_request request; /**< a supervisor's nonspeculative read */
    unsigned entering;          /**< stage */
    bool shadow;                /**< the shadow table is in use */
    uint64_t base[4]; /**< [k + 1]: where the address space of level k has its pages, k from -1 (hPA) */
};

/** Build. maxpa is 43..52; below 50 tables of five levels are used with the
 * index 0 at the top. False: out of memory. cell_unbuild() frees. */
bool cell_build(struct cell_world *w, const struct cell *c, unsigned maxpa);
void cell_unbuild(struct cell_world *w);

/** The address of level k (-1: hPA) of the page that the request ends in, offset included. */
uint64_t cell_final(const struct cell_world *w, int k);
/** Address of level stage-1 (hPA for stage 0 and CELL_SHADOW) of the entry of `level` for address a. */
uint64_t cell_entry(const struct cell_world *w, unsigned stage, unsigned level, uint64_t a);
/** The same as hPA. */
uint64_t cell_entry_hpa(const struct cell_world *w, unsigned stage, unsigned level, uint64_t a);

/** One expected read. */
struct cell_read {
    uint64_t addr; /**< hPA */
    uint64_t a;    /**< that the stage translates */
    uint8_t stage, level;
    bool tea, leaf;
    bool final; /**< for the final access, else for a table access */
};

/** The reads of a translation with nothing missing, in order. Returns their number. */
unsigned cell_reads(const struct cell_world *w, struct cell_read read[CELL_READS_MAX]);
/** The number of references, by the formula of the rule. */
unsigned cell_refs(const struct cell *c);
/** The answer: OK with pa, size, addr, rights, memtype, dirty, path, index, refs, reads. */
struct dmt_result cell_answer(const struct cell_world *w);

#endif
