/* SPDX-License-Identifier: Apache-2.0
 * Permission rows: what one access does under given control bits and table
 * entries, as QEMU, Bochs and Linux KVM's walker executed it
 * (tests/data/perm4_sample.csv.zst). Decoded for any engine: put `word` into
 * memory, load `state`, send `request`, compare with the expectation. */
#ifndef PERM_ROWS_H
#define PERM_ROWS_H

#include "dmt/arch.h"
#include <stddef.h>

#define PERM_LEVELS 5

/** Frames of the tables, index level - 1 (PT first). All else in them is zero. */
extern const uint64_t perm_table_pfn[PERM_LEVELS];

/** One table entry of a row. */
struct perm_word {
    uint64_t pa;    /**< hPA of the entry */
    uint64_t value; /**< before the access */
    uint64_t post;  /**< after it; equal to value when the access faults (rule A1) */
};

/** One decoded row. */
struct perm_row {
    unsigned line;              /**< line of the (decompressed) file, from 1 */
    unsigned id;                /**< column row */
    unsigned level;             /**< level of the leaf, 1..3 */
    bool five;                  /**< five-level walk */
    struct dmt_state state;     /**< NATIVE, MAXPHYADDR 51, A/D updates on, no TEA register */
    struct dmt_request request; /**< nonspec */
    struct perm_word word[PERM_LEVELS]; /**< index level - 1; the PML5E is present only when five */
    uint8_t status;             /**< DMT_STATUS_OK, _PF, _GP */
    uint32_t error;             /**< error code of PF */
    uint64_t pa;                /**< of OK */
};

struct perm_file;

/** Open a compressed row file. NULL after one line on stderr. */
struct perm_file *perm_open(const char *path);

/** Open the sample of the tree: tests/data/perm4_sample.csv.zst under the
 * directory that the environment variable DMT_ROOT names, else under the
 * current directory. NULL after one line on stderr. */
struct perm_file *perm_open_sample(void);

/** The next row. 1: decoded; 0: end of file; -1: malformed, one line on stderr. */
int perm_next(struct perm_file *f, struct perm_row *row);

void perm_close(struct perm_file *f);

/** A word of the row's memory before the access. False: outside of its tables. */
bool perm_read(const struct perm_row *row, uint64_t pa, uint64_t *value);

#endif
