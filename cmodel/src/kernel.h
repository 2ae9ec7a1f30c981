/* SPDX-License-Identifier: Apache-2.0
 * What os.c, os_area.c and os_fault.c share: the kernel's own objects. Rule
 * names are those of docs/software.md. */
#ifndef DMT_KERNEL_H
#define DMT_KERNEL_H

#include "dmt/os.h"
#include "dmt/regs.h"
#include "dmt/table.h"

/* An area's tree keeps the largest gap below each node, so that a free place is found in O(log n). */
#define RB_AUGMENT(a) dmt_area_augment(a)
#include <bsd/sys/tree.h>

#define HASH_NONFATAL_OOM   1
#define uthash_malloc(size) dmt_kernel_alloc(os, size)
#include <uthash.h>

#define BLOCK     UINT64_C(512) /* pages of 4 KiB in a 2M page, and entries of a table */
#define SLOTS     6u            /* K6: address spaces that a thread keeps in its TLB */
#define FLUSH_MAX 32u           /* pages flushed one by one; more: the whole context */
#define BATCH     512u          /* frames that wait for one flush */
#define HUGETLB   (DMT_OS_HUGETLB_2M | DMT_OS_HUGETLB_1G)
#define RIGHTS    (DMT_OS_R | DMT_OS_W | DMT_OS_X)
#define AD        (DMT_PTE_A | DMT_PTE_D)
#define NO_IMAGE  UINT64_MAX

/* Leaves that are not present. A page of an area without rights keeps its
 * frame and its flags in the entry; a page that was swapped out has its slot
 * in place of the frame. */
#define SOFT_NONE (UINT64_C(1) << 9)
#define SOFT_SWAP (UINT64_C(1) << 10)

static inline bool entry_present(uint64_t e)
{
    return (e & DMT_PTE_P) != 0;
}
static inline bool entry_swap(uint64_t e)
{
    return (e & (DMT_PTE_P | SOFT_SWAP)) == SOFT_SWAP;
}
/* Does the entry hold a frame, present or kept? */
static inline bool entry_frame(uint64_t e)
{
    return (e & DMT_PTE_P) != 0 || (e & (SOFT_NONE | SOFT_SWAP)) == SOFT_NONE;
}
static inline uint64_t entry_pfn(uint64_t e, unsigned size)
{
    return (e & DMT_PTE_FRAME) >> 12 & ~((UINT64_C(1) << 9 * size) - 1);
}
static inline uint64_t size_pages(unsigned size)
{
    return UINT64_C(1) << 9 * size;
}

/* ------------------------------------------------------------ objects */

/* One frame. References are mappings, the page cache, and who has just got it. */
struct frame {
    uint32_t refs;
    uint32_t slot : 31; /* swap slot that holds, or is to hold, the same; 0: none */
    uint32_t dirty : 1; /* its content is nowhere else (apart from what D bits say) */
};

/* 2M of frames. A transparent huge page is counted once, in `whole`. */
struct chunk {
    uint32_t whole; /* huge leaves that map all of it */
    uint32_t used;  /* frames with refs of their own */
    struct frame frame[512];
};

struct slot {
    uint32_t refs; /* swap entries; next free slot while it is free */
    uint64_t pfn;  /* frame with the same content; 0: none */
};

/* A page of a file or of shared anonymous memory. */
struct cached {
    uint64_t offset;
    uint64_t pfn; /* 0: swapped out (shared anonymous memory only) */
    UT_hash_handle hh;
};

struct object {
    uint64_t file; /* number, of a file */
    bool is_file;
    uint64_t users; /* areas */
    struct cached *pages;
    struct object *prev, *next; /* of all */
    UT_hash_handle hh;          /* files by number */
};

struct area {
    RB_ENTRY(area) link;
    uint64_t vpn, pages;
    uint64_t gap;     /* free pages below it */
    uint64_t max_gap; /* largest gap in its subtree */
    unsigned flags;
    struct object *object; /* NULL: private anonymous memory */
    uint64_t offset;       /* page of the object at vpn */
    struct area *free;     /* next of the spare ones */
};
RB_HEAD(areas, area);

struct proc {
    struct dmt_os *os;
    struct dmt_space *space;
    struct areas areas;
    struct area *hint; /* found last */
    int pid;
    uint64_t image;      /* its image, or NO_IMAGE */
    uint64_t top;        /* areas are placed below this page */
    uint64_t generation; /* flushes so far */
    struct {
        int slot;            /* PCID slot there, or -1 */
        uint64_t generation; /* flushes that it has seen */
    } at[DMT_THREADS_MAX];
    uint64_t word[DMT_TEA_MAX][3]; /* registers as they are to be loaded */
};

struct thread {
    struct proc *loaded; /* whose space and registers it has */
    bool running;        /* else idle, or lazy */
    struct {
        struct proc *proc;
        uint64_t used; /* moment of the last switch to it */
    } slot[SLOTS];
    uint64_t word[DMT_TEA_MAX][3]; /* registers as they are loaded */
};

/* A place in the order of all pages: of processes, then of addresses. */
struct hand {
    unsigned index; /* into dmt_os.proc */
    uint64_t vpn;
    uint64_t turns; /* processes passed */
};

/* Frames whose entries are cleared and that wait for the flush (S1). */
struct gather {
    struct proc *proc;
    bool quiet;      /* nothing has the space loaded: no flush is due */
    uint64_t lo, hi; /* pages to flush */
    unsigned n;
    struct {
        uint64_t pfn;
        uint8_t size;
        bool dirty;
    } item[BATCH];
};

struct dmt_os {
    struct dmt_os_options o;
    const struct dmt_platform *real;
    struct dmt_platform platform; /* what spaces are given: counts, passes on */
    struct dmt_buddy *buddy;
    uint64_t end;       /* first page above user space */
    unsigned slots;     /* PCID slots in use a thread */
    uint64_t root;      /* frame of the empty table that idle threads have */
    bool zero_kept;     /* frame 0 was taken out, so that 0 can mean none */
    uint64_t fail;      /* allocations of objects until one fails */
    uint64_t moment;    /* counts switches */
    uint64_t spawned;   /* counts processes, for the layout */
    struct proc **proc; /* [o.processes], by pid - 1 */
    unsigned work;      /* whose TEA manager is next */
    struct thread thread[DMT_THREADS_MAX];
    struct chunk ***chunk; /* [pfn >> 18][pfn >> 9 & 511] */
    size_t chunks;
    struct slot *slot; /* from 1 */
    uint32_t swap_room, swap_free;
    struct object *files; /* hash */
    struct object *objects;
    struct area *spare;
    unsigned spares;
    struct hand khuge, front, back;
    uint64_t ahead; /* leaves that the front hand has seen and the back one not */
    struct gather gather;
    uint64_t entry[512];
    struct dmt_os_stats stats;
};

/* ------------------------------------------------------------ os.c */

/* Zeroed memory for an object; failure can be injected. */
void *dmt_kernel_alloc(struct dmt_os *os, size_t size);
enum dmt_os_status dmt_kernel_oom(struct dmt_os *os);
/* NULL: no such process. */
struct proc *dmt_kernel_proc(const struct dmt_os *os, int pid);
/* K5: drop what is cached of these pages. */
void dmt_kernel_flush(struct proc *p, uint64_t vpn, uint64_t pages, bool tables);

/* ------------------------------------------------------------ os_area.c */

void dmt_area_augment(struct area *a);
/* The area that holds vpn, or the first above it; NULL: none. */
struct area *dmt_area_find(struct proc *p, uint64_t vpn);
struct area *dmt_area_next(struct area *a);
/* Copy of an area for another process; false: out of memory. */
bool dmt_area_copy(struct proc *p, const struct area *a);
/* Unmap everything of a process that nothing has loaded, and free its areas. */
void dmt_area_drop_all(struct proc *p);
bool dmt_area_huge(const struct dmt_os *os, const struct area *a);
void dmt_area_free_spares(struct dmt_os *os);

/* ------------------------------------------------------------ os_fault.c */

/* A page of this size with one reference (1G: references are not counted). False: out of memory. */
bool dmt_frame_alloc(struct dmt_os *os, unsigned size, uint64_t *pfn);
void dmt_frame_ref(struct dmt_os *os, uint64_t pfn, unsigned size);
/* A mapping, or another holder, is gone; `dirty`: it had written. */
void dmt_frame_put(struct dmt_os *os, uint64_t pfn, unsigned size, bool dirty);
/* Frees what is known of frames and of swap slots. */
void dmt_frames_free(struct dmt_os *os);
/* Leaf entry of a page of the area, neither accessed nor dirty. */
uint64_t dmt_entry_make(struct dmt_os *os, const struct area *a, uint64_t pfn, unsigned size);
/* Tell the watcher what the next access finds. */
void dmt_tell(struct proc *p, uint64_t vpn, unsigned size, uint64_t entry);
/* Change bits of a leaf; A/D bits that a walker sets meanwhile stay, and those
 * of the old entry are returned (S1). */
uint64_t dmt_entry_change(struct proc *p, uint64_t vpn, unsigned size, uint64_t old, uint64_t clear,
                          uint64_t set);
/* K2, S4: a transparent huge page becomes 4K pages. */
void dmt_huge_split(struct proc *p, uint64_t vpn);
/* The same when a boundary at vpn divides one. */
void dmt_edge_split(struct proc *p, uint64_t vpn);
/* Clear all leaves of the range and let go of what they held. */
void dmt_zap_begin(struct proc *p, bool quiet);
void dmt_zap(struct proc *p, uint64_t vpn, uint64_t pages);
void dmt_zap_end(struct proc *p);
void dmt_swap_ref(struct dmt_os *os, uint64_t entry);
void dmt_swap_put(struct dmt_os *os, uint64_t entry);
void dmt_object_put(struct dmt_os *os, struct object *o);
/* The object of a file, or a new one for shared anonymous memory; its user is
 * counted by the area. NULL: out of memory. */
struct object *dmt_object_get(struct dmt_os *os, bool is_file, uint64_t file);
void dmt_objects_free(struct dmt_os *os);
void dmt_hands_leave(struct dmt_os *os, unsigned index);

#endif
