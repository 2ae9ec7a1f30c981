/* SPDX-License-Identifier: Apache-2.0
 * Inside of a space, for space.c (radix table and protocols) and
 * tea_manager.c (which TEAs, when). */
#ifndef SPACE_IMPL_H
#define SPACE_IMPL_H

#include "dmt/regs.h"
#include "dmt/space.h"
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define SIZES    3u
#define TEAS_MAX (8 * DMT_TEA_MAX) /* home, migrating and retired ones together */
#define BATCH    64u               /* tables unlinked before one flush */

/** What a slot is used for. */
enum slot {
    SLOT_EMPTY,   /* all zero */
    SLOT_LINKED,  /* a table of the radix tree */
    SLOT_DEPOSIT, /* set aside under a larger leaf, all zero */
    SLOT_GONE     /* frame given back (RETIRED, or never: see DMT_DEFECT_FREE_UNDER_REGISTER) */
};

struct tea {
    enum dmt_tea_state state;
    unsigned size;
    uint64_t first, blocks;
    uint64_t end;        /* VPN up to which the register covers */
    struct dmt_grant grant;
    int index;           /* register, or -1 */
    bool smaller;        /* a larger size may occur in its range, too */
    uint64_t from, to;   /* with present_percent and `smaller`: slots that the register covers */
    uint64_t changes;    /* slots linked and unlinked since these were found */
    uint64_t seen;       /* `changes` at the dmt_space_work() before */
    uint64_t used;       /* slots not SLOT_EMPTY or SLOT_GONE */
    uint64_t linked;     /* slots SLOT_LINKED */
    uint64_t gone;       /* slots SLOT_GONE */
    uint64_t next;       /* BUILDING: slots before this are settled */
    uint64_t weight;     /* pages of its areas at the last plan */
    uint8_t *slot;       /* enum slot, blocks of them */
};

/** A linked table, found by level and block. */
struct table {
    uint64_t key; /* level << 56 | block: VPN >> 9 * level */
    uint64_t pfn;
    unsigned live; /* entries that are not zero */
    UT_hash_handle hh;
};

/** A table set aside for the block under a larger leaf, in no home TEA. */
struct deposit {
    uint64_t key; /* as of the table that it will be */
    uint64_t pfn;
    UT_hash_handle hh;
};

struct dmt_space {
    struct dmt_space_options o;
    const struct dmt_platform *p;
    struct table *tables; /* hash */
    struct deposit *deposits;
    struct table *recent[64]; /* leaf tables of 4K, by block; NULL or linked */
    struct table *root;
    uint64_t next, ahead; /* frames for tables that are taken and not used yet: `ahead` from `next` on */
    struct tea *tea[TEAS_MAX];
    size_t teas;
    struct dmt_tea reg[DMT_TEA_MAX];
    struct dmt_space_stats stats;
    uint64_t changed;     /* pages of area changes since the last plan */
    uint64_t smallest;    /* pages of the smallest served cluster at the last plan */
    bool urgent;          /* an area that no TEA serves, and registers are free */
    bool building;        /* some TEA is BUILDING or MIGRATING */
    /* what the defects need */
    uint64_t last_deposit[64];
    unsigned last_deposits;
    uint64_t last_cleared[512], last_block;
};

/* A block of size s is 2^block_shift(s) pages. */
static inline unsigned block_shift(unsigned s)
{
    return 9 * (s + 1);
}

static inline uint64_t table_key(unsigned level, uint64_t vpn)
{
    return (uint64_t)level << 56 | vpn >> 9 * level;
}

static inline uint64_t entry_pa(uint64_t pfn, unsigned level, uint64_t vpn)
{
    return pfn << 12 | (vpn >> 9 * (level - 1) & 511) << 3;
}

/* ------------------------------------------------------------ space.c */

struct table *space_table(const struct dmt_space *s, unsigned level, uint64_t vpn);
/** A present entry that maps a page (level 1, or PS at 2 and 3). */
bool space_is_leaf(const struct dmt_space *s, uint64_t entry, unsigned level);
bool space_present(const struct dmt_space *s, uint64_t entry);
/** Move linked tables (all of one level) to new frames, by the table protocol's steps 3 to 5; at most BATCH. */
void space_relocate(struct dmt_space *s, struct table *const *t, const uint64_t *to, unsigned n);
/** Give back a frame that was a table: to the buddy, or to the TEA it is a slot of. */
void space_release_table(struct dmt_space *s, uint64_t pfn);
/** The deposit of that block outside TEAs, taken out of the books; 0: none. */
uint64_t space_take_deposit(struct dmt_space *s, unsigned level, uint64_t vpn);
bool space_put_deposit(struct dmt_space *s, unsigned level, uint64_t vpn, uint64_t pfn);

/* ------------------------------------------------------------ tea_manager.c */

/** The TEA whose slots serve a block of that size (BUILDING or LIVE), or NULL. */
struct tea *tea_home(const struct dmt_space *s, unsigned size, uint64_t block);
/** The TEA that the frame belongs to, in whatever state, or NULL. */
struct tea *tea_of_frame(const struct dmt_space *s, uint64_t pfn);
/** The slot's use changes. */
void tea_slot_set(struct tea *t, uint64_t slot, enum slot use);
/** A RETIRED or MIGRATING TEA's slot holds no table any more. May free t. */
void tea_slot_gone(struct dmt_space *s, struct tea *t, uint64_t slot);
/** Give all frames back without a word to registers. */
void tea_delete_all(struct dmt_space *s);

#endif
