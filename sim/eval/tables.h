/* SPDX-License-Identifier: Apache-2.0
 * What the comparator designs share: tables of their own with frame numbers kept
 * beside (caches only ever see the addresses of entries), the way over the
 * present leaves of a system's stage, and one walk over a list of steps with
 * paging-structure caches and, for a guest's table, a second stage under it. */
#ifndef SIM_EVAL_TABLES_H
#define SIM_EVAL_TABLES_H

#include "dmt/regs.h"
#include "eval/design.h"

#define TABLES_ABSENT 3u /* in place of a DMT_SIZE_*: not present */
#define TABLES_NONE   UINT32_MAX
#define FLAT_PAGES    (UINT64_C(1) << 36) /* of a struct flat */

/* ------------------------------------------------------------ the system's mapping */

/** Call for each present leaf of a stage, in address order, addresses below 2^48; pages of 1G as 512 of 2M.
 * pfn: of the leaf's first 4K page. False from the callback ends it and is returned. ept: as in mirror_new.
 */
bool tables_each(struct mirror *m, const struct dmt_mem *mem, bool ept,
                 bool (*call)(void *user, uint64_t addr, unsigned size, uint64_t pfn), void *user);
/** The leaf at addr: its DMT_SIZE_* (1G as 2M) and the frame of its first 4K page. TABLES_ABSENT: none. */
unsigned tables_leaf(struct mirror *m, uint64_t addr, uint64_t *pfn);
/** Is the table of stage k of this system one of EPT? */
bool tables_ept(const struct eval_system *s, unsigned k);

/* ------------------------------------------------------------ a table of one's own */

/** 2 MB of addresses. */
struct flat_block {
    uint64_t l1;     /* address of the table of level 1; 0: none */
    uint32_t *small; /* frames of its 512 pages, TABLES_NONE: not present; NULL: none is */
    uint32_t big;    /* first frame of a 2M page, or TABLES_NONE */
};

/** 1 GB. */
struct flat_gig {
    uint64_t l2; /* address of the table of level 2 */
    struct flat_block block[512];
};

/** A table for 48-bit addresses. Tables come where `place` says: level 4 (the
 * root) to 1, for this address; asked once for each. False: no memory for it. */
struct flat {
    struct flat_gig **gig; /* by address >> 30 */
    uint64_t root, l3[512];
    bool (*place)(void *user, unsigned level, uint64_t addr, uint64_t *at);
    void *user;
    uint64_t pages[2]; /* present, by size */
};

/** Empty. False after saying why. */
bool flat_open(struct flat *f, bool (*place)(void *user, unsigned level, uint64_t addr, uint64_t *at),
               void *user);
void flat_close(struct flat *f);
/** Map a page (DMT_SIZE_4K, _2M) in place of whatever is there; of a 2M page, the rest stays as 4K pages.
 * False after saying why. */
bool flat_map(struct flat *f, uint64_t addr, unsigned size, uint64_t pfn);

/** The first page that is present and ends after addr: its first address, and its DMT_SIZE_*; `end` when there is none
 * before that. */
uint64_t flat_next(const struct flat *f, uint64_t addr, uint64_t end, unsigned *size);
/** Pages [vpn, vpn + pages) are not present any more, nor the rest of a 2M page of which one of them is a part.
 * Tables stay. */
void flat_forget(struct flat *f, uint64_t vpn, uint64_t pages);

/** For `place`: each table is a host frame of its own, wherever one is free. */
struct flat_frames {
    struct eval_system *system;
    uint64_t taken;
};
/** user: a struct flat_frames. */
bool flat_place(void *user, unsigned level, uint64_t addr, uint64_t *at);

/** Map what the two stages of a VIRT system come to together, pages of the smaller size of both. False after
 * saying why. */
bool flat_compose(struct flat *f, const struct eval_system *s);
/** The page at addr only. False: a stage does not map it, or after saying why. */
bool flat_compose_at(struct flat *f, const struct eval_system *s, uint64_t addr);

/** For a design's `moved`: page vpn, where it is present, or all (gfn EVAL_FRAMES), as they are mapped in the host now: the
 * hypervisor moves frames and keeps its table in step. False after saying why. */
bool flat_moved(struct flat *f, const struct eval_system *s, uint64_t vpn, uint64_t gfn);

/** Look up: the page's DMT_SIZE_*, or TABLES_ABSENT. */
static inline unsigned flat_find(const struct flat *f, uint64_t addr, uint64_t *to)
{
    const struct flat_gig *g = addr >> 48 != 0 ? NULL : f->gig[addr >> 30];
    const struct flat_block *b;

    if (g == NULL) {
        return TABLES_ABSENT;
    }
    b = &g->block[addr >> 21 & 511];
    if (b->big != TABLES_NONE) {
        *to = ((uint64_t)b->big << 12) + (addr & 0x1fffff);
        return DMT_SIZE_2M;
    }
    if (b->small == NULL || b->small[addr >> 12 & 511] == TABLES_NONE) {
        return TABLES_ABSENT;
    }
    *to = (uint64_t)b->small[addr >> 12 & 511] << 12 | (addr & 0xfff);
    return DMT_SIZE_4K;
}

/* ------------------------------------------------------------ walks */

struct tables_step {
    uint64_t at;    /* address of the entry, of the level below, or in host memory */
    uint64_t ready; /* not 0: it was prefetched and is in L1D at this clock */
    uint8_t level;  /* of the entry; of the lowest one when levels are merged */
    bool direct;    /* at is in host memory */
};

/** The entries that lead to a page, the leaf's last. */
struct tables_path {
    struct tables_step step[5];
    uint8_t steps, size; /* DMT_SIZE_* */
    uint64_t to;
};

/** A radix path through f. False: not present. */
bool flat_path(const struct flat *f, uint64_t addr, struct tables_path *p);

/** A walk under way. */
struct tables_walk {
    const struct eval_config *config;
    struct eval_caches *caches;
    struct eval_walk *out;
    uint64_t now;
};

/** Read an entry, after all before it. */
void tables_read(struct tables_walk *x, uint64_t hpa);

/** Paging-structure caches: of[l] holds entries of level l that lead to a table. */
struct tables_pwc {
    struct eval_assoc *of[5];
};
/** The machine's; a design may put others in place. */
void tables_pwc_open(struct tables_pwc *p, const struct eval_config *c);
void tables_pwc_close(struct tables_pwc *p);
void tables_pwc_clear(struct tables_pwc *p);

/** A stage: where its entries are, and what is under it. */
struct tables_stage {
    /** The path of an address. False: not present. */
    bool (*path)(void *user, uint64_t addr, struct tables_path *p);
    /** May be NULL. Start prefetches of p's steps, whether caches make them good or not, and set `ready`. */
    void (*ahead)(void *user, struct tables_walk *x, uint64_t addr, struct tables_path *p);
    void *user;
    struct tables_stage *host; /**< takes addresses of this stage to host memory; NULL: they are */
    struct tables_pwc pwc;
    struct eval_assoc *ntlb; /**< of a second stage */
    uint64_t walks;
};

/** Set the caches up; path, ahead, user, host are the caller's. second: it is a host's stage under a guest's.
 */
void tables_stage_open(struct tables_stage *s, const struct eval_config *c, bool second);
void tables_stage_close(struct tables_stage *s);
void tables_stage_clear(struct tables_stage *s);

/** Walk this stage's table only: addr to the level below. size becomes the smaller one of it and the page's.
 * False: not present. */
bool tables_stage_walk(struct tables_walk *x, struct tables_stage *s, uint64_t addr, uint64_t *to,
                       unsigned *size);
/** What of a guest a second stage's walk is for. */
enum tables_for { TABLES_TABLE, TABLES_ROOT, TABLES_DATA };
/** Second stage, nested TLB included: addr to host memory. */
bool tables_host(struct tables_walk *x, struct tables_stage *s, uint64_t addr, enum tables_for what,
                 uint64_t *hpa, unsigned *size);

#endif
