/* SPDX-License-Identifier: Apache-2.0
 * A kernel in model: processes with areas, demand faults, transparent huge
 * pages, copy-on-write, files, reclaim, hardware threads with lazy TLB and
 * PCIDs, and TEAs under all of it (docs/software.md). The same code is a host
 * (level 0), a guest (1) or a guest's guest (2), as its platform says.
 *
 * Page contents are not modelled, only where they are: moving or zeroing a
 * page is counted. Everything is a pure function of the calls made. */
#ifndef DMT_OS_H
#define DMT_OS_H

#include "dmt/api.h"
#include "dmt/platform.h"
#include "dmt/space.h"
#include <stdbool.h>
#include <stdint.h>

DMT_API_BEGIN

struct dmt_os;

enum dmt_os_status {
    DMT_OS_OK = 0,
    DMT_OS_NO_MEMORY, /**< frames or bookkeeping; nothing has changed that could be seen */
    DMT_OS_BAD,       /**< an argument is out of range: nothing has changed */
    DMT_OS_NO_AREA,   /**< no area there (SIGSEGV, ENOMEM of mremap) */
    DMT_OS_DENIED,    /**< the area does not allow it (SIGSEGV) */
    DMT_OS_BUSY       /**< that thread or object is in use */
};
const char *dmt_os_status_name(enum dmt_os_status s);

/** Rights and kind of an area. */
enum {
    DMT_OS_R = 1 << 0, DMT_OS_W = 1 << 1, DMT_OS_X = 1 << 2,
    DMT_OS_SHARED = 1 << 3,  /**< stores go to the file or are seen by children; else private, copy-on-write */
    DMT_OS_FILE = 1 << 4,    /**< of a file, else anonymous */
    DMT_OS_NOHUGE = 1 << 5,  /**< never transparent huge pages (as MADV_NOHUGEPAGE) */
    DMT_OS_HUGETLB_2M = 1 << 6, DMT_OS_HUGETLB_1G = 1 << 7 /**< reserved huge pages, anonymous only */
};

enum dmt_os_thp { DMT_THP_NEVER, DMT_THP_ALWAYS };

/** What is told of the plain record that the kernel keeps beside its tables:
 * which page is which frame with which rights. Pages are of 4 KiB whatever the
 * leaf's size. All may be NULL. */
struct dmt_os_watch {
    void *user;
    void (*spawned)(void *user, int pid, const struct dmt_space *space);
    void (*exited)(void *user, int pid);
    /** Pages [vpn, vpn + n) of the process are frames pfn.. with these rights
     * (DMT_OS_R, W, X: what the next access finds, W only when a store needs no
     * fault). Called when the kernel decides, before the tables say so. */
    void (*mapped)(void *user, int pid, uint64_t vpn, uint64_t n, uint64_t pfn, unsigned rights);
    /** They are not mapped any more, or without any right (PROT_NONE), or swapped out. */
    void (*unmapped)(void *user, int pid, uint64_t vpn, uint64_t n);
    /** A flush of these pages has completed on a thread. One that was made up for
     * later names all pages of user space. */
    void (*flushed)(void *user, int pid, unsigned thread, uint64_t vpn, uint64_t n);
    /** The kernel takes the page for clean: it has seen what was written or, with
     * `dropped`, gives up the last mapping of its frame on the word of the D bits, that nothing was. */
    void (*cleaned)(void *user, int pid, uint64_t vpn, uint64_t n, bool dropped);
    /** Frames go back to where they came from: what was written in them is of no interest any more. */
    void (*freed)(void *user, uint64_t pfn, uint64_t n);
    /** The thread runs pid from here on (-1: nothing), its registers are loaded. */
    void (*switched)(void *user, unsigned thread, int pid);
};

struct dmt_os_options {
    const struct dmt_platform *platform; /**< must outlive the kernel */
    unsigned levels;            /**< of page tables: 4, 5 */
    unsigned processes;         /**< at most so many at once, 1..4096 */
    bool pcid;                  /**< keep TLB entries of other processes (CR4.PCIDE) */
    bool set_load;              /**< registers of a process by one LEVEL.LOAD write, where the platform has images */
    enum dmt_os_thp thp;
    unsigned promote_percent;   /**< khugepaged: promote when so much of 2M is mapped, 1..100 (50) */
    struct dmt_tea_policy tea;
    unsigned table_run;         /**< as dmt_space_options: 512 keeps tables apart from pages, as Linux' pageblocks of unmovable memory do (0) */
    unsigned defects;           /**< enum dmt_defect */
    struct dmt_os_watch watch;
    uint64_t seed;              /**< of address-space layout */
};

/** Defaults: 4 levels, 64 processes, PCID, set load, THP always, the paper's TEA policy. platform is left NULL. */
struct dmt_os_options dmt_os_options_default(void);

struct dmt_os_stats {
    uint64_t operations;          /**< calls of this interface that changed areas */
    uint64_t faults, spurious;    /**< handled; found nothing to do */
    uint64_t minor_file, anon, cow_copied, cow_reused, swapped_in; /**< kinds of handled faults */
    uint64_t huge_faults;         /**< a 2M or 1G page at once */
    uint64_t promoted, demoted;   /**< 2M pages */
    uint64_t reclaimed, written;  /**< 4K pages taken back; of them dirty */
    uint64_t zeroed, copied;      /**< pages zeroed, pages copied (4K each) */
    uint64_t switches, lazy;      /**< context switches; of them to nothing, keeping the old space */
    uint64_t flushes, ipis;       /**< flushes asked for; threads interrupted for them */
    uint64_t deferred;            /**< flushes that a lazy thread makes up for later */
    uint64_t csr_writes;          /**< all */
    uint64_t csr_switch;          /**< of them for context switches */
    uint64_t stores;              /**< table words written */
    uint64_t out_of_memory;       /**< operations refused for want of it */
    /* now */
    uint64_t processes, areas, resident; /**< resident: 4K pages mapped */
};

/** Make the kernel and set its threads' CRs (paging on, nothing runs). NULL:
 * out of memory or options out of range (*why, may be NULL, says which). */
struct dmt_os *dmt_os_new(const struct dmt_os_options *o, const char **why);
/** End every process and give all frames back. */
void dmt_os_delete(struct dmt_os *os);
const struct dmt_os_stats *dmt_os_stats(struct dmt_os *os);

/* ------------------------------------------------------------ processes and threads */

enum dmt_os_status dmt_os_spawn(struct dmt_os *os, int *pid);
/** As fork(2): private pages are shared copy-on-write, shared ones shared. */
enum dmt_os_status dmt_os_fork(struct dmt_os *os, int parent, int *child);
/** BUSY while a thread runs it; a thread that keeps it lazily is taken off it. */
enum dmt_os_status dmt_os_exit(struct dmt_os *os, int pid);
/** Run pid on a thread; -1: go idle, keeping the last space lazily. Several threads may run one process. */
enum dmt_os_status dmt_os_switch(struct dmt_os *os, unsigned thread, int pid);
int dmt_os_running(const struct dmt_os *os, unsigned thread); /**< or -1 */
int dmt_os_loaded(const struct dmt_os *os, unsigned thread);  /**< whose space and registers it has, or -1 */
struct dmt_space *dmt_os_space(struct dmt_os *os, int pid);   /**< NULL: no such process */

/* ------------------------------------------------------------ areas */

/** As mmap(2). *vpn 0: the kernel chooses (huge areas on their boundary), else
 * exactly there (replacing nothing: BAD when something is there). file and
 * offset (pages) for DMT_OS_FILE. hugetlb areas are private and anonymous. */
enum dmt_os_status dmt_os_map(struct dmt_os *os, int pid, uint64_t pages, unsigned flags, unsigned file,
                              uint64_t offset, uint64_t *vpn);
/** As munmap(2): holes are fine, areas are split. Parts of hugetlb pages: BAD. */
enum dmt_os_status dmt_os_unmap(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages);
/** As mprotect(2); rights of DMT_OS_R, W, X, none allowed. A hole: NO_AREA. Neighbours that have become alike are merged. */
enum dmt_os_status dmt_os_protect(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages, unsigned rights);
/** As mremap(2): the area part [vpn, vpn + pages) gets new_pages; where it
 * cannot grow and may_move, or *to is not 0 (MREMAP_FIXED; must be free), it moves. *to: where it is now. */
enum dmt_os_status dmt_os_remap(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages, uint64_t new_pages,
                                bool may_move, uint64_t *to);
/** The area that holds vpn, or the first above it. False: none. */
bool dmt_os_area(struct dmt_os *os, int pid, uint64_t vpn, struct dmt_vma *area, unsigned *flags);

/* ------------------------------------------------------------ faults and memory */

/** The fault of an access (DMT_ACCESS_*) by the program: OK when it may be tried again. */
enum dmt_os_status dmt_os_fault(struct dmt_os *os, int pid, uint64_t va, unsigned access);
/** The same in two halves, so that two threads can be inside at once: the first
 * gets frames and tables, the second installs or finds that another was faster and gives back. */
struct dmt_os_ticket {
    int pid;
    uint64_t va;
    unsigned access;
    uint64_t frame, table; /**< got; 0: none */
    unsigned size;         /**< of the frame, DMT_SIZE_* */
    enum dmt_os_status status;
};
void dmt_os_fault_begin(struct dmt_os *os, int pid, uint64_t va, unsigned access, struct dmt_os_ticket *t);
enum dmt_os_status dmt_os_fault_end(struct dmt_os *os, struct dmt_os_ticket *t);

/** khugepaged: make the 2M page at vpn (aligned) one leaf. BAD: not enough mapped, shared, or not alike. */
enum dmt_os_status dmt_os_promote(struct dmt_os *os, int pid, uint64_t vpn);
/** Split the huge page at vpn into 4K leaves. BAD: there is none. */
enum dmt_os_status dmt_os_demote(struct dmt_os *os, int pid, uint64_t vpn);
/** Look at so many 2M blocks, promoting; returns how many were promoted. */
unsigned dmt_os_khugepaged(struct dmt_os *os, unsigned blocks);
/** Take back up to so many frames: pages not accessed since last looked at
 * (A bit), two-handed clock; dirty ones (D bit) are written first. Returns how many. */
uint64_t dmt_os_reclaim(struct dmt_os *os, uint64_t frames);
/** Clear the D bits of a range and tell of those that were set (dirty tracking). */
enum dmt_os_status dmt_os_collect_dirty(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages, uint64_t *dirty);

/** TEA managers' background work, of the processes in turn. True: more to do. */
bool dmt_os_work(struct dmt_os *os);
/** All of it. */
void dmt_os_settle(struct dmt_os *os);
/** The host revoked gTEA `id` of this kernel's level (upcall). */
void dmt_os_revoked(struct dmt_os *os, uint16_t id);

/** Bookkeeping failure injection: as dmt_buddy_fail_after, for the kernel's own objects. */
void dmt_os_fail_after(struct dmt_os *os, uint64_t n);

DMT_API_END

#endif
