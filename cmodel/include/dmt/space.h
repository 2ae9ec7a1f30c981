/* SPDX-License-Identifier: Apache-2.0
 * One address space in software's hands: a radix table of any format whose
 * leaf tables are kept in TEAs, and the TEA manager (docs/software.md). A
 * process has one in IA-32e, a virtual machine one in EPT or NPT.
 *
 * Two protocols keep translations right while walkers run, and every function
 * here is built of them (docs/software.md, "Two protocols"):
 *   entry    to withdraw a mapping, its own leaf entry is cleared, then flushed;
 *            upper entries never stand in for that, since DMT does not read them;
 *   table    a leaf table is removed, moved or reused only after P=0 in every
 *            register that reaches it, drain, unlinking, flush. */
#ifndef DMT_SPACE_H
#define DMT_SPACE_H

#include "dmt/api.h"
#include "dmt/arch.h"
#include "dmt/platform.h"
#include "dmt/tea.h"

DMT_API_BEGIN

struct dmt_space;

enum dmt_space_format { DMT_SPACE_IA32E, DMT_SPACE_EPT, DMT_SPACE_NPT };

/** Policy of the TEA manager; dmt_tea_policy_default() has the paper's values. */
struct dmt_tea_policy {
    bool enabled;            /**< false: no TEAs at all */
    unsigned registers;      /**< 1..DMT_TEA_MAX that it may use (16) */
    unsigned bubble_percent; /**< clusters are joined while bubbles are at most this, 0..100 (2) */
    unsigned present_percent; /**< 1..100: a register of a size below its cluster's largest covers only the longest
                                   run of its TEA's blocks that have a table, joined while at least so many per
                                   cent have one, and none while there is none; 0: all of the TEA (0, as the paper) */
    uint64_t min_pages;      /**< areas smaller than this get no TEA of their own (0; the artifact: 16384) */
    unsigned growth;         /**< a TEA that must move for growing gets so many times its size, 1..16 (2) */
    unsigned halvings;       /**< how often a range is halved when no run is free, 0..16 (8) */
    unsigned background;     /**< leaf tables moved a dmt_space_work(); 0: all at once, in the foreground (32) */
};

struct dmt_tea_policy dmt_tea_policy_default(void);
/** NULL, or which field is out of range and what was expected. */
const char *dmt_tea_policy_check(const struct dmt_tea_policy *p);

/** States of a TEA. P is 1 in LIVE only. */
enum dmt_tea_state {
    DMT_TEA_ABSENT,    /**< a free slot of the manager's table */
    DMT_TEA_BUILDING,  /**< allocated; leaf tables of its range are being moved in */
    DMT_TEA_LIVE,      /**< its register may be loaded */
    DMT_TEA_MIGRATING, /**< another TEA takes its tables over */
    DMT_TEA_RETIRED    /**< in no register; frames go back as soon as no table is left in them */
};

/** One TEA, for reports and checkers. */
struct dmt_tea_view {
    enum dmt_tea_state state;
    unsigned size;           /**< DMT_SIZE_* */
    uint64_t first, blocks;  /**< leaf tables: address block `first` (VPN >> 9 * (size + 1)) and following */
    struct dmt_grant grant;  /**< frame grant.pfn + i holds block first + i */
    int index;               /**< register, or -1 */
    uint64_t used;           /**< slots that are linked into the radix table */
};

/** What the owner of a space does for it. */
struct dmt_space_port {
    void *user;
    /** The first area that ends above vpn (an area is what software maps there
     * or will), in address order. False: none. sizes: bit s is set when leaves of size s may occur in it. */
    bool (*next_area)(void *user, uint64_t vpn, struct dmt_vma *area, unsigned *sizes);
    /** Register `index` of the space's set becomes *tea (valid = P) wherever the
     * set is loaded, and in every saved copy. Returns when no walk uses the old one. */
    void (*set_register)(void *user, unsigned index, const struct dmt_tea *tea);
    /** Drop what is cached of [vpn, vpn + pages) wherever the space may be
     * loaded; with `tables` also from threads that only keep it lazily. Returns when done. */
    void (*flush)(void *user, uint64_t vpn, uint64_t pages, bool tables);
};

/** Ways in which the published artifact breaks its TEAs (docs/software.md,
 * "What goes wrong"); tests switch them on to see them caught. */
enum dmt_defect {
    DMT_DEFECT_LOST_RACE = 1 << 0,        /**< a slot handed to the loser of a race goes back while its table holds entries */
    DMT_DEFECT_DEPOSIT_ORDER = 1 << 1,    /**< demotion takes the table deposited last, whatever its address */
    DMT_DEFECT_ZAP_DEPOSIT = 1 << 2,      /**< a deposited table is freed as if it were an ordinary frame */
    DMT_DEFECT_MOVE_TABLES = 1 << 3,      /**< mremap relinks whole leaf tables under other addresses */
    DMT_DEFECT_BOUNDARY = 1 << 4,         /**< two areas' TEAs both claim the block that they share */
    DMT_DEFECT_SECOND_TEA = 1 << 5,       /**< half of a split area gets a TEA of its own over the first one */
    DMT_DEFECT_STALE_SLOT = 1 << 6,       /**< a slot is used again without being cleared */
    DMT_DEFECT_FREE_UNDER_REGISTER = 1 << 7, /**< unmapping frees single slots while the register covers them */
    DMT_DEFECT_FRONT_GROWTH = 1 << 8      /**< growing towards lower addresses keeps the old base */
};

struct dmt_space_options {
    enum dmt_space_format format;
    unsigned levels;             /**< 4, 5 */
    bool ad;                     /**< EPT accessed and dirty flags (others always have them) */
    const struct dmt_platform *platform; /**< of the level whose memory holds the tables */
    struct dmt_space_port port;
    struct dmt_tea_policy policy;
    unsigned table_run;          /**< table frames taken from the platform at once, contiguous where that can be had; 0, 1: singly */
    unsigned defects;            /**< enum dmt_defect, ored; 0 in earnest */
};

/** What the manager did and what it costs. */
struct dmt_space_stats {
    uint64_t tables;          /**< table frames outside TEAs now, the root included */
    uint64_t tea_frames;      /**< frames in TEAs now */
    uint64_t tea_used;        /**< of them linked */
    uint64_t plans, created, grown, migrated, retired, halved, merged; /**< since the start */
    uint64_t moved;           /**< leaf tables moved */
    uint64_t stores;          /**< table words written */
    uint64_t fences;          /**< table protocols run */
    uint64_t alloc_failed;    /**< TEA requests that went unserved */
};

/** An empty space; takes its root from the platform. NULL: out of memory. */
struct dmt_space *dmt_space_new(const struct dmt_space_options *o);
/** Retire everything and give all frames back. Leaves are forgotten, not freed.
 * Nothing may use the space any more: its owner has unloaded it everywhere. */
void dmt_space_delete(struct dmt_space *s);

uint64_t dmt_space_root(const struct dmt_space *s); /**< frame of the root table */
unsigned dmt_space_levels(const struct dmt_space *s);
enum dmt_space_format dmt_space_format(const struct dmt_space *s);
const struct dmt_platform *dmt_space_platform(const struct dmt_space *s);
const struct dmt_space_stats *dmt_space_stats(const struct dmt_space *s);

/** The leaf that maps vpn, and its size; 0 when there is none (a leaf that is not
 * present but not zero, such as a swap entry, is returned too; tell by its P bit).
 * EPT entries count as present when any of bits 2:0 is set. */
uint64_t dmt_space_leaf(const struct dmt_space *s, uint64_t vpn, unsigned *size);
/** Address of that leaf's entry at the level of the platform, or of the entry
 * at which the walk ended; level 1..5. */
uint64_t dmt_space_entry_pa(const struct dmt_space *s, uint64_t vpn, unsigned *level);

/** Make the tables that a leaf of this size at vpn needs. False: out of memory;
 * tables made until then stay, empty. */
bool dmt_space_prepare(struct dmt_space *s, uint64_t vpn, unsigned size);
/** Put a leaf (complete entry; PS is added for 2M and 1G) where no present leaf
 * and no table is; tables are made. False: out of memory, nothing is mapped. No
 * flush is needed. */
bool dmt_space_map(struct dmt_space *s, uint64_t vpn, unsigned size, uint64_t entry);
/** Replace the leaf of this size at vpn by `entry` (0: clear it) and return the
 * old one with its A/D bits. There must be a table for it. The caller flushes. */
uint64_t dmt_space_exchange(struct dmt_space *s, uint64_t vpn, unsigned size, uint64_t entry);
/** Flush, by the port. */
void dmt_space_flush(struct dmt_space *s, uint64_t vpn, uint64_t pages);

/** Entry protocol for a size change. Promote: the 512 smaller leaves below have
 * been cleared and flushed; one leaf of `size` (2M; 1G over 2M) takes their
 * place, their table is kept for dmt_space_demote, by address. False (nothing
 * changed): something is still mapped there, or the upper tables do not exist. */
bool dmt_space_promote(struct dmt_space *s, uint64_t vpn, unsigned size, uint64_t entry);
/** Demote: the leaf of `size` at vpn has been cleared and flushed; the table of
 * smaller leaves takes its place, filled with entry[0..511]. False (nothing
 * changed): out of memory, which cannot happen after a promotion or
 * dmt_space_deposit of this block. */
bool dmt_space_demote(struct dmt_space *s, uint64_t vpn, unsigned size, const uint64_t entry[512]);
/** Set a table aside so that the leaf of `size` at vpn can be demoted later. False: out of memory. */
bool dmt_space_deposit(struct dmt_space *s, uint64_t vpn, unsigned size);

/** Tables of [vpn, vpn + pages) that hold nothing and serve no area are
 * unlinked, flushed once, and freed (or, in a TEA, kept for later). Deposits of
 * that range that no leaf needs are freed. */
void dmt_space_prune(struct dmt_space *s, uint64_t vpn, uint64_t pages);

/** Areas changed by so many pages in [vpn, vpn + pages): the manager decides
 * whether to plan anew at the next dmt_space_work(). */
void dmt_space_areas_changed(struct dmt_space *s, uint64_t vpn, uint64_t pages);
/** Plan when due, and move up to policy.background leaf tables. True: there is
 * more to do. Never fails: what cannot be allocated stays with the x86 walk. */
bool dmt_space_work(struct dmt_space *s);
/** Plan now whatever has changed, and work until nothing is left to do. */
void dmt_space_settle(struct dmt_space *s);

/** Registers as they should be loaded, policy.registers of them. */
const struct dmt_tea *dmt_space_registers(const struct dmt_space *s);
/** TEA i (0..dmt_space_teas()-1, ABSENT ones included). */
size_t dmt_space_teas(const struct dmt_space *s);
struct dmt_tea_view dmt_space_tea(const struct dmt_space *s, size_t i);
/** Pages of areas, and of them inside a LIVE TEA of some size that occurs in the area. */
void dmt_space_coverage(const struct dmt_space *s, uint64_t *area_pages, uint64_t *covered);
/** Call for each leaf (present or not, not zero) in address order. False from the callback ends it; returns false then. */
bool dmt_space_each(const struct dmt_space *s, uint64_t vpn, uint64_t pages,
                    bool (*call)(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry), void *user);

/** The host moved or revoked gTEA `id` of this space: every TEA in it goes
 * through P=0 and its register is given up. */
void dmt_space_revoked(struct dmt_space *s, uint16_t id);

DMT_API_END

#endif
