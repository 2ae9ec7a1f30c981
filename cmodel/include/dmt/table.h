/* SPDX-License-Identifier: Apache-2.0
 * x86 radix page tables in a dmt_mem: build and look into them. Formats are
 * those of the SDM volume 3A, tables 4-14 to 4-20. Nothing here judges rights
 * or reserved bits; that is the architectural model's part. */
#ifndef DMT_TABLE_H
#define DMT_TABLE_H

#include "dmt/api.h"
#include "dmt/mem.h"

DMT_API_BEGIN

/* Bits of an entry that builders and readers of tables need. */
#define DMT_PTE_P     UINT64_C(0x1)
#define DMT_PTE_W     UINT64_C(0x2)
#define DMT_PTE_U     UINT64_C(0x4)
#define DMT_PTE_A     UINT64_C(0x20)
#define DMT_PTE_D     UINT64_C(0x40)
#define DMT_PTE_PS    UINT64_C(0x80)
#define DMT_PTE_G     UINT64_C(0x100)
#define DMT_PTE_XD    (UINT64_C(1) << 63)
#define DMT_PTE_FRAME UINT64_C(0x000ffffffffff000) /**< bits 51:12 */

/** Where new tables come from. */
struct dmt_frames {
    void *user;
    /** n contiguous frames, present and zeroed in the memory; first frame
     * number to *pfn. False when there is no such run. */
    bool (*alloc)(void *user, uint64_t n, uint64_t *pfn);
};

/** A frame source that counts upwards; set its members, then use
 * (struct dmt_frames){&pool, dmt_pool_alloc}. */
struct dmt_pool {
    struct dmt_mem *mem;
    uint64_t next;  /**< first frame number to give out */
    uint64_t limit; /**< first frame number not to give out */
};

/** dmt_frames.alloc for a struct dmt_pool in `user`. False at the limit or when out of memory. */
bool dmt_pool_alloc(void *user, uint64_t n, uint64_t *pfn);

/** A radix table. */
struct dmt_table {
    struct dmt_mem *mem;
    uint64_t root;   /**< frame number of the root table */
    unsigned levels; /**< 4 or 5 */
};

/** An empty table in t: takes its root from `frames`. False when there is no frame. */
bool dmt_table_new(struct dmt_table *t, struct dmt_mem *mem, unsigned levels,
                   const struct dmt_frames *frames);

enum dmt_map { DMT_MAP_OK, DMT_MAP_NO_FRAME, DMT_MAP_TAKEN, DMT_MAP_ALIGN };

/** Map the page of size sz (DMT_SIZE_4K, _2M, _1G) at va to pa with these leaf
 * flags (all bits outside the frame; P is set, and PS for 2M and 1G). Missing
 * upper entries are made present, writable, user and accessed. TAKEN: a page or table
 * is already there (tables built until then stay); ALIGN: va or pa is not a
 * multiple of the size; NO_FRAME: no frame for a table. */
enum dmt_map dmt_table_map(struct dmt_table *t, uint64_t va, uint64_t pa, unsigned sz, uint64_t flags,
                           const struct dmt_frames *frames);

/** One walk as read from memory, without any check of rights. */
struct dmt_lookup {
    unsigned level;    /**< of the last entry read (levels..1), 0 when the root is absent */
    uint64_t addr[6];  /**< [level]: hPA of the entry */
    uint64_t entry[6]; /**< [level]: its value */
    bool present;      /**< a leaf with P=1 was reached */
    uint64_t pa;       /**< translation of va when present */
    unsigned sz;       /**< size of the leaf when present */
};

/** Walk va down to its leaf, to a not-present entry, or to an absent frame
 * (level and entry are then those of the last entry that could be read). */
void dmt_table_lookup(const struct dmt_table *t, uint64_t va, struct dmt_lookup *out);

/** hPA of the entry of `level` for va in the table at frame pfn. */
uint64_t dmt_table_entry_addr(uint64_t pfn, unsigned level, uint64_t va);

/** Bytes mapped by one entry of a level (1: 4 KiB, 2: 2 MiB, ..). */
uint64_t dmt_level_bytes(unsigned level);

/** Called for every present entry, depth first in address order: its level,
 * value, hPA and the first virtual address it maps (canonical). Return false
 * to stop. */
typedef bool (*dmt_table_visit)(void *user, unsigned level, uint64_t va, uint64_t addr, uint64_t entry);

/** Visit the entries that map [from, to) (to inclusive of the last byte: give
 * the last address, so that the whole space can be named). Tables whose frame
 * is absent are not entered. False when the visitor stopped. */
bool dmt_table_each(const struct dmt_table *t, uint64_t from, uint64_t last, dmt_table_visit visit,
                    void *user);

DMT_API_END

#endif
