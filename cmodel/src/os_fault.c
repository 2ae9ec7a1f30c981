/* SPDX-License-Identifier: Apache-2.0
 * Memory of the kernel in model: frames and who refers to them, swap, files,
 * faults, huge pages, reclaim. Every withdrawal of a mapping here is the entry
 * protocol (S1): clear the leaf, flush, and only then use the frame otherwise. */
#include "kernel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SPREAD UINT64_C(4096) /* K4: leaves between the two hands of the clock */
#define LOOK   64u            /* leaves that a hand looks at in one step */

/* ------------------------------------------------------------ frames */

static struct chunk *chunk_of(const struct dmt_os *os, uint64_t pfn)
{
    return os->chunk[pfn >> 18][pfn >> 9 & 511];
}

static struct frame *frame_of(const struct dmt_os *os, uint64_t pfn)
{
    return &chunk_of(os, pfn)->frame[pfn & (BLOCK - 1)];
}

/* Bookkeeping for the 2M that hold the frame; kept until the kernel ends. */
static bool chunk_ready(struct dmt_os *os, uint64_t pfn)
{
    uint64_t top = pfn >> 18;

    if (top >= os->chunks) {
        size_t n = (size_t)top + 1;
        struct chunk ***more = dmt_kernel_alloc(os, n * sizeof *more);
        if (more == NULL) {
            return false;
        }
        if (os->chunks != 0) {
            memcpy(more, os->chunk, os->chunks * sizeof *more);
        }
        free(os->chunk);
        os->chunk = more;
        os->chunks = n;
    }
    if (os->chunk[top] == NULL) {
        os->chunk[top] = dmt_kernel_alloc(os, 512 * sizeof **os->chunk);
        if (os->chunk[top] == NULL) {
            return false;
        }
    }
    struct chunk **c = &os->chunk[top][pfn >> 9 & 511];
    if (*c == NULL) {
        *c = dmt_kernel_alloc(os, sizeof **c);
    }
    return *c != NULL;
}

void dmt_frames_free(struct dmt_os *os)
{
    uint32_t unused = os->swap_room == 0 ? 0 : 1;

    for (uint32_t s = os->swap_free; s != 0; s = os->slot[s].refs) {
        unused++;
    }
    assert(unused == os->swap_room); /* nobody has kept a swap slot */
    (void)unused;
    free(os->slot);
    for (size_t i = 0; i < os->chunks; i++) {
        for (unsigned j = 0; os->chunk[i] != NULL && j < 512; j++) {
            free(os->chunk[i][j]);
        }
        free(os->chunk[i]);
    }
    free(os->chunk);
}

bool dmt_frame_alloc(struct dmt_os *os, unsigned size, uint64_t *pfn)
{
    if (!dmt_buddy_alloc(os->buddy, 9 * size, pfn)) {
        return false;
    }
    if (size == DMT_SIZE_1G) {
        return true;
    }
    if (!chunk_ready(os, *pfn)) {
        dmt_buddy_release(os->buddy, *pfn, size_pages(size));
        return false;
    }
    dmt_frame_ref(os, *pfn, size);
    return true;
}

/* Data frames go back. */
static void give_back(struct dmt_os *os, uint64_t pfn, uint64_t n)
{
    if (os->o.watch.freed != NULL) {
        os->o.watch.freed(os->o.watch.user, pfn, n);
    }
    dmt_buddy_release(os->buddy, pfn, n);
}

void dmt_frame_ref(struct dmt_os *os, uint64_t pfn, unsigned size)
{
    struct chunk *c = chunk_of(os, pfn);

    if (size == DMT_SIZE_2M) {
        c->whole++;
    } else if (c->frame[pfn & (BLOCK - 1)].refs++ == 0) {
        c->used++;
    }
}

static void swap_free(struct dmt_os *os, uint32_t s)
{
    os->slot[s] = (struct slot){os->swap_free, 0};
    os->swap_free = s;
}

/* Nobody refers to the frame any more, but perhaps swap entries to its slot: then it is written. */
static void frame_forget(struct dmt_os *os, struct frame *f)
{
    if (f->slot != 0) {
        if (os->slot[f->slot].refs != 0) {
            os->slot[f->slot].pfn = 0;
            os->stats.written += f->dirty;
        } else {
            swap_free(os, f->slot);
        }
    }
    *f = (struct frame){0};
}

void dmt_frame_put(struct dmt_os *os, uint64_t pfn, unsigned size, bool dirty)
{
    if (size == DMT_SIZE_1G) {
        give_back(os, pfn, size_pages(size));
        return;
    }
    struct chunk *c = chunk_of(os, pfn);
    uint64_t first = pfn & ~(BLOCK - 1);
    if (size == DMT_SIZE_4K) {
        struct frame *f = &c->frame[pfn & (BLOCK - 1)];
        f->dirty |= dirty;
        if (--f->refs != 0) {
            return;
        }
        c->used--;
        if (c->whole == 0) {
            frame_forget(os, f);
            give_back(os, pfn, 1);
        }
        return;
    }
    if (--c->whole != 0 || c->used != 0) {
        for (unsigned i = 0; dirty && i < BLOCK; i++) { /* others go on with what was written */
            c->frame[i].dirty = 1;
        }
    }
    if (c->whole != 0) {
        return;
    }
    bool all = c->used == 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        if (c->frame[i].refs == 0) {
            frame_forget(os, &c->frame[i]);
            if (!all) {
                give_back(os, first + i, 1);
            }
        }
    }
    if (all) {
        give_back(os, first, BLOCK);
    }
}

/* Has nobody else the frame (K1)? A swap entry to its slot is somebody. */
static bool exclusive(const struct dmt_os *os, uint64_t pfn, unsigned size)
{
    const struct chunk *c = chunk_of(os, pfn);
    const struct frame *f = &c->frame[pfn & (BLOCK - 1)];

    if (size == DMT_SIZE_2M) {
        return c->whole == 1 && c->used == 0;
    }
    return c->whole + f->refs == 1 && (f->slot == 0 || os->slot[f->slot].refs == 0);
}

/* ------------------------------------------------------------ swap */

/* A slot without swap entries. 0: out of memory. */
static uint32_t swap_new(struct dmt_os *os)
{
    if (os->swap_free == 0) {
        uint32_t room = os->swap_room == 0 ? 64 : os->swap_room * 2;
        struct slot *more = dmt_kernel_alloc(os, room * sizeof *more);
        if (more == NULL) {
            return 0;
        }
        if (os->swap_room != 0) {
            memcpy(more, os->slot, os->swap_room * sizeof *more);
        }
        free(os->slot);
        os->slot = more;
        for (uint32_t s = room - 1; s >= (os->swap_room == 0 ? 1 : os->swap_room); s--) {
            swap_free(os, s);
        }
        os->swap_room = room;
    }
    uint32_t s = os->swap_free;
    os->swap_free = os->slot[s].refs;
    os->slot[s] = (struct slot){0, 0};
    return s;
}

static uint32_t swap_slot(uint64_t entry)
{
    return (uint32_t)((entry & DMT_PTE_FRAME) >> 12);
}

void dmt_swap_ref(struct dmt_os *os, uint64_t entry)
{
    os->slot[swap_slot(entry)].refs++;
}

void dmt_swap_put(struct dmt_os *os, uint64_t entry)
{
    struct slot *s = &os->slot[swap_slot(entry)];

    if (--s->refs == 0 && s->pfn == 0) {
        swap_free(os, swap_slot(entry));
    }
}

/* ------------------------------------------------------------ files and shared memory */

struct object *dmt_object_get(struct dmt_os *os, bool is_file, uint64_t file)
{
    struct object *o = NULL;

    if (is_file) {
        HASH_FIND(hh, os->files, &file, sizeof file, o);
        if (o != NULL) {
            return o;
        }
    }
    o = dmt_kernel_alloc(os, sizeof *o);
    if (o == NULL) {
        return NULL;
    }
    o->is_file = is_file;
    o->file = file;
    if (is_file) {
        HASH_ADD(hh, os->files, file, sizeof o->file, o);
        if (o->hh.tbl == NULL) {
            free(o);
            return NULL;
        }
    }
    o->next = os->objects;
    if (o->next != NULL) {
        o->next->prev = o;
    }
    os->objects = o;
    return o;
}

static void page_drop(struct dmt_os *os, struct object *o, struct cached *c)
{
    if (c->pfn != 0) {
        dmt_frame_put(os, c->pfn, DMT_SIZE_4K, false);
    }
    HASH_DEL(o->pages, c);
    free(c);
}

static void object_free(struct dmt_os *os, struct object *o)
{
    struct cached *c, *next;

    HASH_ITER(hh, o->pages, c, next)
    {
        page_drop(os, o, c);
    }
    if (o->is_file) {
        HASH_DEL(os->files, o);
    }
    if (o->prev != NULL) {
        o->prev->next = o->next;
    } else {
        os->objects = o->next;
    }
    if (o->next != NULL) {
        o->next->prev = o->prev;
    }
    free(o);
}

/* A file's pages stay cached when no area is left; shared anonymous memory goes with its last area. */
static void object_idle(struct dmt_os *os, struct object *o)
{
    if (o->users == 0 && (!o->is_file || o->pages == NULL)) {
        object_free(os, o);
    }
}

void dmt_object_put(struct dmt_os *os, struct object *o)
{
    o->users--;
    object_idle(os, o);
}

void dmt_objects_free(struct dmt_os *os)
{
    while (os->objects != NULL) {
        object_free(os, os->objects);
    }
}

/* The page of an object, read or made when it is not in memory. NULL: out of memory. */
static struct cached *page_get(struct dmt_os *os, struct object *o, uint64_t offset)
{
    struct cached *c;
    uint64_t pfn;

    HASH_FIND(hh, o->pages, &offset, sizeof offset, c);
    if (c != NULL && c->pfn != 0) {
        return c;
    }
    if (!dmt_frame_alloc(os, DMT_SIZE_4K, &pfn)) {
        return NULL;
    }
    if (c == NULL) {
        c = dmt_kernel_alloc(os, sizeof *c);
        if (c != NULL) {
            c->offset = offset;
            HASH_ADD(hh, o->pages, offset, sizeof c->offset, c);
            if (c->hh.tbl == NULL) {
                free(c);
                c = NULL;
            }
        }
        if (c == NULL) {
            dmt_frame_put(os, pfn, DMT_SIZE_4K, false);
            return NULL;
        }
        os->stats.zeroed += !o->is_file;
    } else {
        os->stats.swapped_in++;
    }
    c->pfn = pfn;
    return c;
}

/* Give up the frame of an object's page that nothing maps (K4). What shared
 * anonymous memory holds is remembered unless it was never written. */
static void page_reclaim(struct dmt_os *os, struct object *o, struct cached *c)
{
    bool dirty = frame_of(os, c->pfn)->dirty;

    os->stats.written += dirty;
    os->stats.reclaimed++;
    if (o->is_file || !dirty) {
        page_drop(os, o, c);
        return;
    }
    dmt_frame_put(os, c->pfn, DMT_SIZE_4K, false);
    c->pfn = 0;
}

/* ------------------------------------------------------------ entries */

uint64_t dmt_entry_make(struct dmt_os *os, const struct area *a, uint64_t pfn, unsigned size)
{
    uint64_t e = pfn << 12 | (size != DMT_SIZE_4K ? DMT_PTE_PS : 0);

    if ((a->flags & RIGHTS) == 0) {
        return e | SOFT_NONE;
    }
    e |= DMT_PTE_P | DMT_PTE_U;
    if ((a->flags & DMT_OS_X) == 0) {
        e |= DMT_PTE_XD;
    }
    if ((a->flags & DMT_OS_W) != 0 &&
        ((a->flags & (DMT_OS_SHARED | HUGETLB)) != 0 || exclusive(os, pfn, size))) {
        e |= DMT_PTE_W;
    }
    return e;
}

void dmt_tell(struct proc *p, uint64_t vpn, unsigned size, uint64_t entry)
{
    const struct dmt_os_watch *w = &p->os->o.watch;

    if (!entry_present(entry)) {
        if (w->unmapped != NULL) {
            w->unmapped(w->user, p->pid, vpn, size_pages(size));
        }
    } else if (w->mapped != NULL) {
        w->mapped(w->user, p->pid, vpn, size_pages(size), entry_pfn(entry, size),
                  (unsigned)DMT_OS_R | ((entry & DMT_PTE_W) != 0 ? (unsigned)DMT_OS_W : 0) |
                      ((entry & DMT_PTE_XD) == 0 ? (unsigned)DMT_OS_X : 0));
    }
}

static void tell_cleaned(struct proc *p, uint64_t vpn, uint64_t pages, bool dropped)
{
    const struct dmt_os_watch *w = &p->os->o.watch;

    if (w->cleaned != NULL) {
        w->cleaned(w->user, p->pid, vpn, pages, dropped);
    }
}

uint64_t dmt_entry_change(struct proc *p, uint64_t vpn, unsigned size, uint64_t old, uint64_t clear,
                          uint64_t set)
{
    uint64_t put = (old & ~clear) | set, seen = old;

    for (;;) {
        uint64_t got = dmt_space_exchange(p->space, vpn, size, put);
        uint64_t want = put | (got & AD & ~clear);
        seen |= got & AD;
        if (want == put) {
            return seen;
        }
        put = want;
    }
}

/* Map a leaf where nothing is. */
static bool map_leaf(struct proc *p, uint64_t vpn, unsigned size, uint64_t entry)
{
    dmt_tell(p, vpn, size, entry);
    if (!dmt_space_map(p->space, vpn, size, entry)) {
        dmt_tell(p, vpn, size, 0);
        return false;
    }
    p->os->stats.resident += size_pages(size);
    return true;
}

void dmt_huge_split(struct proc *p, uint64_t vpn)
{
    struct dmt_os *os = p->os;
    struct chunk *c;
    unsigned size;
    uint64_t e = dmt_space_leaf(p->space, vpn, &size), pfn = entry_pfn(e, size);
    bool present = entry_present(e);

    if (present) {
        dmt_tell(p, vpn, DMT_SIZE_2M, 0);
    }
    e = dmt_space_exchange(p->space, vpn, DMT_SIZE_2M, 0);
    if (present) {
        dmt_kernel_flush(p, vpn, BLOCK, false);
    }
    for (unsigned i = 0; i < BLOCK; i++) {
        os->entry[i] = (e & ~DMT_PTE_PS) + ((uint64_t)i << 12);
    }
    if (present) {
        dmt_tell(p, vpn, DMT_SIZE_2M, e);
    }
    bool done = dmt_space_demote(p->space, vpn, DMT_SIZE_2M, os->entry);
    assert(done); /* its table was set aside when the huge page was made */
    (void)done;
    c = chunk_of(os, pfn);
    for (unsigned i = 0; i < BLOCK; i++) {
        dmt_frame_ref(os, pfn + i, DMT_SIZE_4K);
    }
    c->whole--;
    os->stats.demoted++;
}

/* ------------------------------------------------------------ unmapping */

void dmt_zap_begin(struct proc *p, bool quiet)
{
    struct gather *g = &p->os->gather;

    g->proc = p;
    g->quiet = quiet;
    g->lo = UINT64_MAX;
    g->hi = 0;
    g->n = 0;
}

void dmt_zap_end(struct proc *p)
{
    struct dmt_os *os = p->os;
    struct gather *g = &os->gather;

    if (g->lo < g->hi && !g->quiet) {
        dmt_kernel_flush(p, g->lo, g->hi - g->lo, false);
    }
    for (unsigned i = 0; i < g->n; i++) {
        dmt_frame_put(os, g->item[i].pfn, g->item[i].size, g->item[i].dirty);
    }
    dmt_zap_begin(p, g->quiet);
}

struct zap {
    struct proc *p;
    uint64_t next; /* where to go on */
};

static bool zap_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct zap *z = user;
    struct gather *g = &z->p->os->gather;

    (void)pa;
    z->next = vpn + size_pages(size);
    if (entry_swap(entry)) {
        dmt_space_exchange(z->p->space, vpn, size, 0);
        dmt_swap_put(z->p->os, entry);
        return true;
    }
    if (entry_present(entry)) {
        dmt_tell(z->p, vpn, size, 0);
        g->lo = g->lo < vpn ? g->lo : vpn;
        g->hi = g->hi > z->next ? g->hi : z->next;
    }
    entry = dmt_space_exchange(z->p->space, vpn, size, 0);
    g->item[g->n].pfn = entry_pfn(entry, size);
    g->item[g->n].size = (uint8_t)size;
    g->item[g->n].dirty = (entry & DMT_PTE_D) != 0;
    z->p->os->stats.resident -= size_pages(size);
    return ++g->n < BATCH;
}

void dmt_zap(struct proc *p, uint64_t vpn, uint64_t pages)
{
    struct zap z = {p, vpn};

    while (z.next < vpn + pages && !dmt_space_each(p->space, z.next, vpn + pages - z.next, zap_leaf, &z)) {
        dmt_zap_end(p);
    }
}

/* ------------------------------------------------------------ faults (K1, K2) */

/* What a fault is about. */
enum kind {
    FAULT_NONE,      /* nothing to do: spurious, or another thread was faster */
    FAULT_ANON,      /* a zeroed frame */
    FAULT_HUGE,      /* a zeroed 2M block */
    FAULT_HUGETLB,   /* a zeroed page of a hugetlb area */
    FAULT_PAGE,      /* a page of an object */
    FAULT_PAGE_COPY, /* a private copy of it, at once */
    FAULT_SWAP,
    FAULT_REUSE, /* W again: nobody else has the frame */
    FAULT_COPY   /* copy-on-write */
};

struct fault {
    struct proc *p;
    struct area *a;
    uint64_t vpn;
    unsigned access;
    uint64_t leaf;
    unsigned size; /* of the leaf, or of the page that is to come */
    enum kind kind;
};

static bool stop(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    (void)user;
    (void)vpn;
    (void)size;
    (void)pa;
    (void)entry;
    return false;
}

/* Do the aligned 2M lie in the area, with nothing mapped in them? */
static bool huge_fits(const struct fault *f)
{
    uint64_t block = f->vpn & ~(BLOCK - 1);
    unsigned level;

    if (!dmt_area_huge(f->p->os, f->a) || block < f->a->vpn || block + BLOCK > f->a->vpn + f->a->pages) {
        return false;
    }
    dmt_space_entry_pa(f->p->space, block, &level);
    return level > 1 || dmt_space_each(f->p->space, block, BLOCK, stop, NULL);
}

static void classify(struct fault *f)
{
    struct proc *p = f->p;
    const struct dmt_os *os = p->os;

    f->leaf = dmt_space_leaf(p->space, f->vpn, &f->size);
    if (entry_present(f->leaf)) {
        if (f->access != DMT_ACCESS_WRITE || (f->leaf & DMT_PTE_W) != 0) {
            f->kind = FAULT_NONE;
            return;
        }
        uint64_t pfn = entry_pfn(f->leaf, f->size);
        f->kind = exclusive(os, pfn, f->size) ? FAULT_REUSE : FAULT_COPY;
        return;
    }
    if (f->leaf != 0) {
        f->kind = FAULT_SWAP;
        return;
    }
    f->size = DMT_SIZE_4K;
    if (f->a->object != NULL) {
        f->kind = f->access == DMT_ACCESS_WRITE && (f->a->flags & DMT_OS_SHARED) == 0 ? FAULT_PAGE_COPY
                                                                                      : FAULT_PAGE;
    } else if ((f->a->flags & HUGETLB) != 0) {
        f->kind = FAULT_HUGETLB;
        f->size = (f->a->flags & DMT_OS_HUGETLB_1G) != 0 ? DMT_SIZE_1G : DMT_SIZE_2M;
    } else if (huge_fits(f)) {
        f->kind = FAULT_HUGE;
        f->size = DMT_SIZE_2M;
    } else {
        f->kind = FAULT_ANON;
    }
}

static enum dmt_os_status fault_look(struct dmt_os *os, int pid, uint64_t va, unsigned access,
                                     struct fault *f)
{
    *f = (struct fault){.p = dmt_kernel_proc(os, pid), .vpn = va >> 12, .access = access};
    if (f->p == NULL || access > DMT_ACCESS_EXECUTE) {
        return DMT_OS_BAD;
    }
    f->a = f->vpn < os->end ? dmt_area_find(f->p, f->vpn) : NULL;
    if (f->a == NULL || f->a->vpn > f->vpn) {
        return DMT_OS_NO_AREA;
    }
    /* x86 has no pages that can be written or executed but not read. */
    unsigned need = access == DMT_ACCESS_WRITE ? DMT_OS_W : access == DMT_ACCESS_EXECUTE ? DMT_OS_X : RIGHTS;
    if ((f->a->flags & need) == 0) {
        return DMT_OS_DENIED;
    }
    classify(f);
    return DMT_OS_OK;
}

/* Does the fault, as it is now, take a new frame, and of which size? */
static bool fault_takes(const struct fault *f, unsigned *size)
{
    *size = f->kind == FAULT_HUGE || f->kind == FAULT_HUGETLB ? f->size : (unsigned)DMT_SIZE_4K;
    return f->kind != FAULT_NONE && f->kind != FAULT_REUSE && f->kind != FAULT_PAGE &&
           !(f->kind == FAULT_SWAP && f->p->os->slot[swap_slot(f->leaf)].pfn != 0);
}

static void ticket_empty(struct dmt_os *os, struct dmt_os_ticket *t)
{
    if (t->frame != 0) {
        dmt_frame_put(os, t->frame, t->size, false);
    }
    t->frame = 0;
}

static uint64_t object_offset(const struct fault *f)
{
    return f->a->offset + (f->vpn - f->a->vpn);
}

/* Frames for the fault, into the ticket. False: out of memory, and the ticket is empty. */
static bool fault_gather(struct fault *f, struct dmt_os_ticket *t)
{
    struct dmt_os *os = f->p->os;
    unsigned size;
    bool takes = fault_takes(f, &size);

    if (t->frame != 0 && takes && t->size == size) {
        return true;
    }
    ticket_empty(os, t);
    if ((f->kind == FAULT_PAGE || f->kind == FAULT_PAGE_COPY) &&
        page_get(os, f->a->object, object_offset(f)) == NULL) {
        return false;
    }
    if (!takes) {
        return true;
    }
    bool got = dmt_frame_alloc(os, size, &t->frame);
    if (!got && f->kind == FAULT_HUGE) { /* no block is free: a page will do (K2) */
        f->kind = FAULT_ANON;
        f->size = size = DMT_SIZE_4K;
        got = dmt_frame_alloc(os, size, &t->frame);
    }
    t->size = size;
    t->frame = got ? t->frame : 0;
    return got;
}

/* A and D as the access that faults would have them set. */
static uint64_t fresh(const struct fault *f, uint64_t entry)
{
    bool written = f->access == DMT_ACCESS_WRITE && (entry & DMT_PTE_W) != 0;

    return entry | DMT_PTE_A | (written ? DMT_PTE_D : 0);
}

/* The frame of the ticket becomes the page, at once huge with a table set aside for its splitting (S4). */
static bool install_new(struct fault *f, struct dmt_os_ticket *t)
{
    struct proc *p = f->p;
    struct dmt_os *os = p->os;
    uint64_t vpn = f->vpn & ~(size_pages(f->size) - 1);
    uint64_t entry = fresh(f, dmt_entry_make(os, f->a, t->frame, f->size));
    unsigned level;

    if (f->kind == FAULT_HUGE) {
        dmt_space_entry_pa(p->space, vpn, &level);
        if (level == 1) { /* an empty table is linked there: it is what is set aside */
            dmt_tell(p, vpn, f->size, entry);
            if (!dmt_space_promote(p->space, vpn, f->size, entry)) {
                dmt_tell(p, vpn, f->size, 0);
                return false;
            }
            os->stats.resident += BLOCK;
        } else if (!dmt_space_deposit(p->space, vpn, f->size) || !map_leaf(p, vpn, f->size, entry)) {
            return false;
        }
    } else if (!map_leaf(p, vpn, f->size, entry)) {
        return false;
    }
    t->frame = 0;
    if (f->kind == FAULT_PAGE_COPY) {
        os->stats.copied++;
        os->stats.cow_copied++;
        return true;
    }
    os->stats.zeroed += size_pages(f->size);
    os->stats.huge_faults += f->size != DMT_SIZE_4K;
    os->stats.anon += f->size == DMT_SIZE_4K;
    return true;
}

static bool install_page(struct fault *f)
{
    struct dmt_os *os = f->p->os;
    const struct cached *c = page_get(os, f->a->object, object_offset(f));

    if (c == NULL) {
        return false;
    }
    uint64_t pfn = c->pfn;
    dmt_frame_ref(os, pfn, DMT_SIZE_4K);
    if (!map_leaf(f->p, f->vpn, DMT_SIZE_4K, fresh(f, dmt_entry_make(os, f->a, pfn, DMT_SIZE_4K)))) {
        dmt_frame_put(os, pfn, DMT_SIZE_4K, false);
        return false;
    }
    os->stats.minor_file += f->a->object->is_file;
    os->stats.anon += !f->a->object->is_file;
    return true;
}

static void install_swap(struct fault *f, struct dmt_os_ticket *t)
{
    struct dmt_os *os = f->p->os;
    uint32_t s = swap_slot(f->leaf);

    if (os->slot[s].pfn != 0) {
        dmt_frame_ref(os, os->slot[s].pfn, DMT_SIZE_4K);
    } else { /* read it; the slot stays good until the page is written */
        os->slot[s].pfn = t->frame;
        frame_of(os, t->frame)->slot = s & 0x7fffffff;
        t->frame = 0;
    }
    os->slot[s].refs--;
    uint64_t entry = fresh(f, dmt_entry_make(os, f->a, os->slot[s].pfn, DMT_SIZE_4K));
    dmt_tell(f->p, f->vpn, DMT_SIZE_4K, entry);
    dmt_space_exchange(f->p->space, f->vpn, DMT_SIZE_4K, entry);
    os->stats.resident++;
    os->stats.swapped_in++;
}

/* W for a frame that nobody else has. More rights need no flush (S1). */
static void install_reuse(struct fault *f)
{
    uint64_t vpn = f->vpn & ~(size_pages(f->size) - 1);

    dmt_tell(f->p, vpn, f->size, f->leaf | DMT_PTE_W);
    dmt_entry_change(f->p, vpn, f->size, f->leaf, 0, DMT_PTE_W | AD);
    f->p->os->stats.cow_reused++;
}

static void install_copy(struct fault *f, struct dmt_os_ticket *t)
{
    struct dmt_os *os = f->p->os;

    if (f->size == DMT_SIZE_2M) { /* K2; then the page alone may turn out to be nobody else's */
        dmt_huge_split(f->p, f->vpn & ~(BLOCK - 1));
        classify(f);
        if (f->kind == FAULT_REUSE) {
            install_reuse(f);
            return;
        }
    }
    dmt_tell(f->p, f->vpn, DMT_SIZE_4K, 0);
    uint64_t old = dmt_space_exchange(f->p->space, f->vpn, DMT_SIZE_4K, 0);
    dmt_kernel_flush(f->p, f->vpn, 1, false);
    uint64_t entry = fresh(f, dmt_entry_make(os, f->a, t->frame, DMT_SIZE_4K));
    t->frame = 0;
    dmt_tell(f->p, f->vpn, DMT_SIZE_4K, entry);
    dmt_space_exchange(f->p->space, f->vpn, DMT_SIZE_4K, entry);
    dmt_frame_put(os, entry_pfn(old, DMT_SIZE_4K), DMT_SIZE_4K, (old & DMT_PTE_D) != 0);
    os->stats.copied++;
    os->stats.cow_copied++;
}

/* The ticket holds what the fault takes. False: out of memory for tables. */
static bool fault_install(struct fault *f, struct dmt_os_ticket *t)
{
    switch (f->kind) {
    case FAULT_NONE:
        f->p->os->stats.spurious++;
        return true;
    case FAULT_PAGE:
        if (!install_page(f)) {
            return false;
        }
        break;
    case FAULT_SWAP:
        install_swap(f, t);
        break;
    case FAULT_REUSE:
        install_reuse(f);
        break;
    case FAULT_COPY:
        install_copy(f, t);
        break;
    default:
        if (!install_new(f, t)) {
            return false;
        }
        break;
    }
    f->p->os->stats.faults++;
    return true;
}

enum dmt_os_status dmt_os_fault(struct dmt_os *os, int pid, uint64_t va, unsigned access)
{
    struct dmt_os_ticket t = {0};
    struct fault f;
    enum dmt_os_status status = fault_look(os, pid, va, access, &f);

    if (status != DMT_OS_OK) {
        return status;
    }
    if (!fault_gather(&f, &t) || !fault_install(&f, &t)) {
        status = dmt_kernel_oom(os);
    }
    ticket_empty(os, &t);
    return status;
}

void dmt_os_fault_begin(struct dmt_os *os, int pid, uint64_t va, unsigned access, struct dmt_os_ticket *t)
{
    struct fault f;
    unsigned level;

    *t = (struct dmt_os_ticket){.pid = pid, .va = va, .access = access};
    t->status = fault_look(os, pid, va, access, &f);
    if (t->status != DMT_OS_OK) {
        return;
    }
    /* The artifact keeps its slot to itself until the end (DMT_DEFECT_LOST_RACE). */
    bool tables = (os->o.defects & DMT_DEFECT_LOST_RACE) == 0;
    if (!fault_gather(&f, t) || (tables && !dmt_space_prepare(f.p->space, f.vpn, f.size))) {
        ticket_empty(os, t);
        t->status = dmt_kernel_oom(os);
        return;
    }
    uint64_t pa = dmt_space_entry_pa(f.p->space, f.vpn, &level);
    t->table = level == f.size + 1 ? pa >> 12 : 0;
}

enum dmt_os_status dmt_os_fault_end(struct dmt_os *os, struct dmt_os_ticket *t)
{
    struct fault f;

    if (t->status != DMT_OS_OK) {
        return t->status;
    }
    t->status = fault_look(os, t->pid, t->va, t->access, &f);
    if (t->status == DMT_OS_OK && (!fault_gather(&f, t) || !fault_install(&f, t))) {
        t->status = dmt_kernel_oom(os);
    }
    ticket_empty(os, t); /* another was faster, or the area has gone */
    return t->status;
}

/* ------------------------------------------------------------ huge pages (K2, S4) */

struct collect {
    uint64_t vpn;
    uint64_t entry[512];
    unsigned n;
    const struct dmt_os *os;
};

static bool collect_small(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct collect *c = user;

    (void)pa;
    if (size != DMT_SIZE_4K || !entry_present(entry) || !exclusive(c->os, entry_pfn(entry, size), size)) {
        return false;
    }
    c->entry[vpn - c->vpn] = entry;
    c->n++;
    return true;
}

enum dmt_os_status dmt_os_promote(struct dmt_os *os, int pid, uint64_t vpn)
{
    struct proc *p = dmt_kernel_proc(os, pid);
    struct area *a = p == NULL || vpn >= os->end ? NULL : dmt_area_find(p, vpn);
    struct collect c = {.vpn = vpn, .os = os};
    uint64_t pfn, ad = 0;

    if (a == NULL || (vpn & (BLOCK - 1)) != 0 || a->vpn > vpn || a->vpn + a->pages < vpn + BLOCK ||
        !dmt_area_huge(os, a) || (a->flags & RIGHTS) == 0 ||
        !dmt_space_each(p->space, vpn, BLOCK, collect_small, &c) ||
        c.n * 100 < os->o.promote_percent * BLOCK) {
        return DMT_OS_BAD;
    }
    if (!dmt_frame_alloc(os, DMT_SIZE_2M, &pfn)) {
        return dmt_kernel_oom(os);
    }
    for (unsigned i = 0; i < BLOCK; i++) {
        if (c.entry[i] != 0) {
            dmt_tell(p, vpn + i, DMT_SIZE_4K, 0);
            c.entry[i] = dmt_space_exchange(p->space, vpn + i, DMT_SIZE_4K, 0);
            ad |= c.entry[i] & AD;
        }
    }
    dmt_kernel_flush(p, vpn, BLOCK, false);
    uint64_t entry = dmt_entry_make(os, a, pfn, DMT_SIZE_2M) | ad;
    dmt_tell(p, vpn, DMT_SIZE_2M, entry);
    bool promoted = dmt_space_promote(p->space, vpn, DMT_SIZE_2M, entry);
    assert(promoted); /* all entries are clear, and tables above them exist */
    (void)promoted;
    for (unsigned i = 0; i < BLOCK; i++) {
        if (c.entry[i] != 0) {
            uint64_t from = entry_pfn(c.entry[i], DMT_SIZE_4K);
            const struct frame *f = frame_of(os, from);
            frame_of(os, pfn + i)->dirty = f->dirty | (f->slot != 0);
            dmt_frame_put(os, from, DMT_SIZE_4K, false);
        }
    }
    os->stats.promoted++;
    os->stats.copied += c.n;
    os->stats.zeroed += BLOCK - c.n;
    os->stats.resident += BLOCK - c.n;
    return DMT_OS_OK;
}

enum dmt_os_status dmt_os_demote(struct dmt_os *os, int pid, uint64_t vpn)
{
    struct proc *p = dmt_kernel_proc(os, pid);
    const struct area *a = p == NULL || vpn >= os->end ? NULL : dmt_area_find(p, vpn);
    unsigned size;

    if (a == NULL || a->vpn > vpn || (a->flags & HUGETLB) != 0 || dmt_space_leaf(p->space, vpn, &size) == 0 ||
        size != DMT_SIZE_2M) {
        return DMT_OS_BAD;
    }
    dmt_huge_split(p, vpn & ~(BLOCK - 1));
    return DMT_OS_OK;
}

void dmt_edge_split(struct proc *p, uint64_t vpn)
{
    unsigned size;

    if ((vpn & (BLOCK - 1)) != 0 && vpn < p->os->end && dmt_space_leaf(p->space, vpn, &size) != 0 &&
        size == DMT_SIZE_2M) {
        dmt_huge_split(p, vpn & ~(BLOCK - 1));
    }
}

static void hand_next(struct dmt_os *os, struct hand *h)
{
    *h = (struct hand){(h->index + 1) % os->o.processes, 0, h->turns + 1};
}

void dmt_hands_leave(struct dmt_os *os, unsigned index)
{
    struct hand *hand[] = {&os->khuge, &os->front, &os->back};

    for (unsigned i = 0; i < 3; i++) {
        if (hand[i]->index == index) {
            hand[i]->vpn = 0;
        }
    }
}

unsigned dmt_os_khugepaged(struct dmt_os *os, unsigned blocks)
{
    struct hand *h = &os->khuge;
    unsigned promoted = 0, turns = 0;

    while (blocks != 0 && turns <= os->o.processes) {
        struct proc *p = os->proc[h->index];
        const struct area *a = p != NULL && h->vpn < os->end ? dmt_area_find(p, h->vpn) : NULL;
        if (a == NULL) {
            hand_next(os, h);
            turns++;
            continue;
        }
        uint64_t from = a->vpn > h->vpn ? a->vpn : h->vpn, block = (from + BLOCK - 1) & ~(BLOCK - 1);
        if (!dmt_area_huge(os, a) || block + BLOCK > a->vpn + a->pages) {
            h->vpn = a->vpn + a->pages;
            continue;
        }
        h->vpn = block + BLOCK;
        blocks--;
        promoted += dmt_os_promote(os, p->pid, block) == DMT_OS_OK;
    }
    return promoted;
}

/* ------------------------------------------------------------ reclaim (K4) */

struct look {
    struct dmt_os *os;
    struct proc *p;
    unsigned n;
    struct {
        uint64_t vpn, entry;
        unsigned size;
        uint32_t slot; /* got for it; 0: none */
    } leaf[LOOK];
};

static bool look_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct look *k = user;

    (void)pa;
    k->leaf[k->n].vpn = vpn;
    k->leaf[k->n].size = size;
    k->leaf[k->n].entry = entry;
    k->leaf[k->n].slot = 0;
    return ++k->n < LOOK;
}

/* The next leaves at the hand, below `end`; it moves on. */
static void hand_look(struct dmt_os *os, struct hand *h, uint64_t end, struct look *k)
{
    k->os = os;
    k->p = os->proc[h->index];
    k->n = 0;
    if (k->p == NULL || h->vpn >= end || dmt_space_each(k->p->space, h->vpn, end - h->vpn, look_leaf, k)) {
        h->vpn = end;
    } else {
        h->vpn = k->leaf[k->n - 1].vpn + size_pages(k->leaf[k->n - 1].size);
    }
    if (h->vpn >= os->end) {
        hand_next(os, h);
    }
}

/* The front hand goes SPREAD leaves ahead, but never past the back one: what it
 * clears again would have had no chance. False: it is far enough. */
static bool front_look(struct dmt_os *os, struct look *k)
{
    struct hand *f = &os->front;
    const struct hand *b = &os->back;

    if (b->turns > f->turns || (b->turns == f->turns && b->vpn >= f->vpn)) { /* what was between has gone */
        *f = *b;
        os->ahead = 0;
    }
    bool lap = f->turns == b->turns + os->o.processes;
    if (os->ahead >= SPREAD || (lap && f->vpn >= b->vpn)) {
        return false;
    }
    hand_look(os, f, lap ? b->vpn : os->end, k);
    os->ahead += k->n;
    return true;
}

static void front_step(struct look *k)
{
    for (unsigned i = 0; i < k->n; i++) {
        uint64_t e = k->leaf[i].entry;
        if (entry_frame(e) && (e & DMT_PTE_A) != 0) { /* no flush: an A bit too few costs a fault at most */
            dmt_entry_change(k->p, k->leaf[i].vpn, k->leaf[i].size, e, DMT_PTE_A, 0);
        }
    }
}

static struct cached *cached_at(const struct area *a, uint64_t vpn, uint64_t pfn)
{
    struct cached *c = NULL;
    uint64_t offset = a->offset + (vpn - a->vpn);

    if (a->object != NULL) {
        HASH_FIND(hh, a->object->pages, &offset, sizeof offset, c);
    }
    return c != NULL && c->pfn == pfn ? c : NULL;
}

/* The entry of leaf i is clear and flushed: let go of its frame. Returns frames that became free. */
static uint64_t take_back(struct look *k, unsigned i)
{
    struct dmt_os *os = k->os;
    struct area *a = dmt_area_find(k->p, k->leaf[i].vpn);
    uint64_t vpn = k->leaf[i].vpn, pfn = entry_pfn(k->leaf[i].entry, DMT_SIZE_4K);
    struct frame *f = frame_of(os, pfn);
    struct cached *c = cached_at(a, vpn, pfn);
    bool last = chunk_of(os, pfn)->whole + f->refs == 1;
    bool gone = last || (c != NULL && f->refs == 2); /* else others have D bits of it */

    os->stats.resident--;
    if (gone) {
        tell_cleaned(k->p, vpn, 1, !f->dirty);
    }
    if (c != NULL) { /* it comes back from its object */
        swap_free(os, k->leaf[i].slot);
        dmt_frame_put(os, pfn, DMT_SIZE_4K, false);
        if (f->refs != 1) {
            return 0;
        }
        page_reclaim(os, a->object, c);
        return 1;
    }
    if (f->slot == 0 && f->dirty) {
        f->slot = k->leaf[i].slot & 0x7fffffff;
        os->slot[f->slot].pfn = pfn;
    } else {
        swap_free(os, k->leaf[i].slot);
    }
    if (f->slot != 0) { /* else it has never been written: zeros come back by themselves */
        os->slot[f->slot].refs++;
        dmt_space_exchange(k->p->space, vpn, DMT_SIZE_4K, SOFT_SWAP | (uint64_t)f->slot << 12);
    }
    dmt_frame_put(os, pfn, DMT_SIZE_4K, false);
    os->stats.reclaimed += last;
    return last;
}

/* Take pages that nobody has accessed since the front hand passed. False: no memory for swap slots. */
static bool back_step(struct look *k, uint64_t frames, uint64_t *got)
{
    struct dmt_os *os = k->os;
    const struct hand before = os->back;
    uint64_t lo = UINT64_MAX, hi = 0;
    unsigned n = 0, i = 0;
    bool more = true;

    hand_look(os, &os->back, os->end, k);
    for (; i < k->n && n < frames - *got; i++) {
        uint64_t e = k->leaf[i].entry, vpn = k->leaf[i].vpn;
        const struct area *a = dmt_area_find(k->p, vpn);
        if (!entry_frame(e) || (e & DMT_PTE_A) != 0 || (a->flags & HUGETLB) != 0) {
            continue;
        }
        if (k->leaf[i].size == DMT_SIZE_2M) { /* its pages are looked at next */
            dmt_huge_split(k->p, vpn);
            break;
        }
        uint32_t slot = swap_new(os); /* K8: what may be needed comes first */
        if (slot == 0) {
            more = false;
            break;
        }
        if (entry_present(e)) {
            dmt_tell(k->p, vpn, DMT_SIZE_4K, 0);
            lo = lo < vpn ? lo : vpn;
            hi = vpn + 1;
        }
        k->leaf[n].vpn = vpn;
        k->leaf[n].slot = slot;
        k->leaf[n].entry = dmt_space_exchange(k->p->space, vpn, DMT_SIZE_4K, 0);
        n++;
    }
    os->ahead -= i < os->ahead ? i : os->ahead;
    if (i < k->n) { /* not looked at: here it goes on */
        os->back = (struct hand){before.index, k->leaf[i].vpn, before.turns};
    }
    if (lo < hi) {
        dmt_kernel_flush(k->p, lo, hi - lo, false);
    }
    for (unsigned j = 0; j < n; j++) { /* of all first: several may map one frame */
        frame_of(os, entry_pfn(k->leaf[j].entry, DMT_SIZE_4K))->dirty |= (k->leaf[j].entry & DMT_PTE_D) != 0;
    }
    for (unsigned j = 0; j < n; j++) {
        *got += take_back(k, j);
    }
    return more;
}

/* Pages of files, and of shared memory, that nothing maps. */
static uint64_t reclaim_cached(struct dmt_os *os, uint64_t frames)
{
    uint64_t got = 0;

    for (struct object *o = os->objects, *next; o != NULL; o = next) {
        struct cached *c, *after;
        next = o->next;
        HASH_ITER(hh, o->pages, c, after)
        {
            if (got < frames && c->pfn != 0 && frame_of(os, c->pfn)->refs == 1) {
                page_reclaim(os, o, c);
                got++;
            }
        }
        object_idle(os, o);
    }
    return got;
}

uint64_t dmt_os_reclaim(struct dmt_os *os, uint64_t frames)
{
    uint64_t got = reclaim_cached(os, frames), turns = os->back.turns + 2 * (uint64_t)os->o.processes;
    struct look k = {.os = os};

    while (got < frames && os->back.turns <= turns) {
        if (front_look(os, &k)) {
            front_step(&k);
        } else if (!back_step(&k, frames, &got)) {
            break;
        }
    }
    return got;
}

/* ------------------------------------------------------------ dirty tracking */

static bool collect_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct look *k = user;
    (void)pa;
    if (entry_frame(entry) && (entry & DMT_PTE_D) != 0) {
        k->leaf[k->n].vpn = vpn;
        k->leaf[k->n].size = size;
        k->leaf[k->n].entry = dmt_entry_change(k->p, vpn, size, entry, DMT_PTE_D, 0);
        k->n++;
    }
    return k->n < LOOK;
}

enum dmt_os_status dmt_os_collect_dirty(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages,
                                        uint64_t *dirty)
{
    struct look k = {.os = os, .p = dmt_kernel_proc(os, pid)};
    uint64_t at = vpn, end = vpn + pages;
    bool more = true;

    *dirty = 0;
    if (k.p == NULL || pages == 0 || vpn >= os->end || pages > os->end - vpn) {
        return DMT_OS_BAD;
    }
    dmt_edge_split(k.p, vpn);
    dmt_edge_split(k.p, end);
    while (more && at < end) {
        k.n = 0;
        more = !dmt_space_each(k.p->space, at, end - at, collect_leaf, &k);
        if (k.n == 0) {
            break;
        }
        uint64_t lo = k.leaf[0].vpn;
        at = k.leaf[k.n - 1].vpn + size_pages(k.leaf[k.n - 1].size);
        dmt_kernel_flush(k.p, lo, at - lo, false); /* else a TLB entry with D would let stores by unseen */
        for (unsigned i = 0; i < k.n; i++) {
            uint64_t n = size_pages(k.leaf[i].size), pfn = entry_pfn(k.leaf[i].entry, k.leaf[i].size);
            for (uint64_t j = 0; k.leaf[i].size != DMT_SIZE_1G && j < n; j++) {
                frame_of(os, pfn + j)->dirty = 1; /* it is not on any medium yet (K4) */
            }
            *dirty += n;
            tell_cleaned(k.p, k.leaf[i].vpn, n, false);
        }
    }
    return DMT_OS_OK;
}
