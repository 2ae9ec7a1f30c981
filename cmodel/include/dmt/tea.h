/* SPDX-License-Identifier: Apache-2.0
 * The operating-system side of native DMT: give an existing address space
 * translation entry areas (paper, sections 3 and 4.2). Leaf tables are copied
 * into contiguous frames and the entries above them re-pointed, so the TEA
 * *is* the radix leaf: both walks read the same word. */
#ifndef DMT_TEA_H
#define DMT_TEA_H

#include "dmt/api.h"
#include "dmt/arch.h"
#include "dmt/table.h"

DMT_API_BEGIN

/** One area of an address space. */
struct dmt_vma {
    uint64_t vpn;   /**< first page, VA bits 63:12 */
    uint64_t pages; /**< 4 KiB pages; vpn + pages <= 2^52 */
};

/** How to lay out. */
struct dmt_tea_options {
    unsigned registers; /**< registers available, 1..DMT_TEA_MAX */
    unsigned
        bubble_percent; /**< areas are clustered while at most so much of the TEA serves no area (paper: 2) */
    unsigned maxpa;     /**< MAXPHYADDR in bits, as in dmt_state */
    bool nxe;           /**< EFER.NXE; true for NPT */
    bool ept, mbec;     /**< the table is EPT, with mode-based execute control */
    struct dmt_frames frames; /**< where TEAs come from */
};

/** What was laid out. */
struct dmt_tea_report {
    unsigned registers;     /**< used */
    size_t clusters;        /**< areas after clustering */
    uint64_t area_pages;    /**< 4 KiB pages of all areas */
    uint64_t mapped_pages;  /**< of them mapped by a present leaf */
    uint64_t covered_pages; /**< of them with a register of the leaf's size */
    uint64_t frames;        /**< frames of all TEAs */
    uint64_t tables;        /**< leaf tables moved into them */
};

enum dmt_tea_status {
    DMT_TEA_OK = 0,
    DMT_TEA_BAD_AREA,   /**< an area is empty or wraps */
    DMT_TEA_BAD_OPTION, /**< number of registers or MAXPHYADDR out of range */
    DMT_TEA_NO_MEMORY
};

/** Lay the leaf tables of the areas into TEAs. The table may be a second
 * stage: areas are then ranges of the addresses it translates. In EPT, entries
 * that cannot be read (execute-only) count as absent.
 *
 * Areas are taken in units of leaf tables (2 MiB), joined while bubbles allow,
 * and served largest first; each gets a register for every page size that has
 * a leaf in it, until registers run out. When no contiguous run is free the
 * range is halved (paper 4.2.2). Bases lie on a boundary of 512 entries of
 * their size, so whole tables move: a table shared by two areas stays shared.
 * Not covered: what lies under an upper entry with a reserved bit, and tables
 * that are reached from two places. Ranges are split where the rights of
 * the bypassed entries change; each register's allow bits state them.
 *
 * tea[0..o->registers-1] is filled, unused ones are zero. The old leaf tables
 * stay in memory, unreachable. On NO_MEMORY and BAD_* nothing has moved. */
enum dmt_tea_status dmt_tea_layout(struct dmt_table *t, const struct dmt_vma *vma, size_t n,
                                   const struct dmt_tea_options *o, struct dmt_tea *tea,
                                   struct dmt_tea_report *report);

/** Does every entry of every valid register hold exactly the radix leaf? True:
 * for each page of each register the radix walk reads the very word the
 * register names, or neither finds a leaf of that size. On false *va is the
 * first address where they differ and *index the register. */
bool dmt_tea_check(const struct dmt_table *t, const struct dmt_tea *tea, unsigned registers, uint64_t *va,
                   unsigned *index);

DMT_API_END

#endif
