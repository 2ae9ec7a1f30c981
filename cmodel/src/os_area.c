/* SPDX-License-Identifier: Apache-2.0
 * Areas of the kernel in model: a red-black tree by address whose nodes know
 * the largest gap below them, and mmap, munmap, mprotect, mremap on it. */
#include "kernel.h"

#include <stdlib.h>

#define LOWEST UINT64_C(16) /* as mmap_min_addr: 64 KiB */
#define LIKE   (BLOCK - 1)  /* places that matter for a huge page: the address within its block */

/* ------------------------------------------------------------ the tree */

void dmt_area_augment(struct area *a)
{
    const struct area *l = RB_LEFT(a, link), *r = RB_RIGHT(a, link);

    a->max_gap = a->gap;
    if (l != NULL && l->max_gap > a->max_gap) {
        a->max_gap = l->max_gap;
    }
    if (r != NULL && r->max_gap > a->max_gap) {
        a->max_gap = r->max_gap;
    }
}

static int by_vpn(const struct area *a, const struct area *b)
{
    return (a->vpn > b->vpn) - (a->vpn < b->vpn);
}

RB_GENERATE_INTERNAL(areas, area, link, by_vpn, static __attribute__((unused)))

static uint64_t end_of(const struct area *a)
{
    return a->vpn + a->pages;
}

struct area *dmt_area_next(struct area *a)
{
    return RB_NEXT(areas, NULL, a);
}

struct area *dmt_area_find(struct proc *p, uint64_t vpn)
{
    struct area *a = p->hint, *best = NULL;

    if (a != NULL && a->vpn <= vpn && vpn < end_of(a)) {
        return a;
    }
    a = RB_ROOT(&p->areas);
    while (a != NULL) {
        if (end_of(a) <= vpn) {
            a = RB_RIGHT(a, link);
            continue;
        }
        best = a;
        if (a->vpn <= vpn) {
            break;
        }
        a = RB_LEFT(a, link);
    }
    if (best != NULL) {
        p->hint = best;
    }
    return best;
}

/* A node's gap has changed, or what hangs below it: bring its ancestors up to date. */
static void spread(struct area *a)
{
    for (; a != NULL; a = RB_PARENT(a, link)) {
        dmt_area_augment(a);
    }
}

static void set_gap(struct area *a)
{
    const struct area *before = RB_PREV(areas, NULL, a);

    a->gap = before != NULL ? a->vpn - end_of(before) : a->vpn > LOWEST ? a->vpn - LOWEST : 0;
    spread(a);
}

static void set_gap_after(struct area *a)
{
    struct area *after = RB_NEXT(areas, NULL, a);

    if (after != NULL && after->gap != after->vpn - end_of(a)) {
        after->gap = after->vpn - end_of(a);
        spread(after);
    }
}

static void insert(struct proc *p, struct area *a)
{
    RB_INSERT(areas, &p->areas, a);
    set_gap(a);
    set_gap_after(a);
    p->os->stats.areas++;
}

static void resize(struct area *a, uint64_t pages)
{
    a->pages = pages;
    set_gap_after(a);
}

/* Areas in reserve: an operation that may split takes what it may need before it changes anything (K8). */
static bool reserve(struct dmt_os *os, unsigned n)
{
    while (os->spares < n) {
        struct area *a = dmt_kernel_alloc(os, sizeof *a);
        if (a == NULL) {
            return false;
        }
        a->free = os->spare;
        os->spare = a;
        os->spares++;
    }
    return true;
}

static struct area *spare_take(struct dmt_os *os)
{
    struct area *a = os->spare;

    os->spare = a->free;
    os->spares--;
    return a;
}

static void spare_put(struct dmt_os *os, struct area *a)
{
    a->free = os->spare;
    os->spare = a;
    os->spares++;
}

void dmt_area_free_spares(struct dmt_os *os)
{
    while (os->spares != 0) {
        free(spare_take(os));
    }
}

static void discard(struct proc *p, struct area *a)
{
    struct area *before = RB_PREV(areas, NULL, a), *after = RB_NEXT(areas, NULL, a);

    RB_REMOVE(areas, &p->areas, a);
    if (p->hint == a) {
        p->hint = NULL;
    }
    spread(before);
    if (after != NULL) {
        set_gap(after);
    }
    if (a->object != NULL) {
        dmt_object_put(p->os, a->object);
    }
    p->os->stats.areas--;
    spare_put(p->os, a);
}

static uint64_t offset_at(const struct area *a, uint64_t vpn)
{
    return a->object != NULL ? a->offset + (vpn - a->vpn) : 0;
}

/* A new area like `a`, for other pages; not in the tree. */
static struct area *alike(struct dmt_os *os, const struct area *a, uint64_t vpn, uint64_t pages,
                          uint64_t offset)
{
    struct area *n = spare_take(os);

    *n = (struct area){.vpn = vpn, .pages = pages, .flags = a->flags, .object = a->object, .offset = offset};
    if (n->object != NULL) {
        n->object->users++;
    }
    return n;
}

/* Let an area begin at vpn, when one holds it. A spare is at hand. */
static void cut(struct proc *p, uint64_t vpn)
{
    struct area *a = dmt_area_find(p, vpn);

    if (a == NULL || a->vpn >= vpn) {
        return;
    }
    struct area *high = alike(p->os, a, vpn, end_of(a) - vpn, offset_at(a, vpn));
    a->pages = vpn - a->vpn;
    insert(p, high);
    p->hint = high; /* the next cut is above this one */
}

static bool mergeable(const struct area *a, const struct area *b)
{
    return end_of(a) == b->vpn && a->flags == b->flags && a->object == b->object &&
           (a->object == NULL || a->offset + a->pages == b->offset);
}

/* Join the area with its neighbours when they are alike; returns the whole. */
static struct area *merge(struct proc *p, struct area *a)
{
    struct area *before = RB_PREV(areas, NULL, a), *after = RB_NEXT(areas, NULL, a);

    if (after != NULL && mergeable(a, after)) {
        uint64_t pages = after->pages;
        discard(p, after);
        resize(a, a->pages + pages);
    }
    if (before != NULL && mergeable(before, a)) {
        uint64_t pages = a->pages;
        discard(p, a);
        resize(before, before->pages + pages);
        a = before;
    }
    return a;
}

bool dmt_area_copy(struct proc *p, const struct area *a)
{
    if (!reserve(p->os, 1)) {
        return false;
    }
    insert(p, alike(p->os, a, a->vpn, a->pages, a->offset));
    return true;
}

bool dmt_area_huge(const struct dmt_os *os, const struct area *a)
{
    return os->o.thp == DMT_THP_ALWAYS && a->object == NULL && (a->flags & (DMT_OS_NOHUGE | HUGETLB)) == 0;
}

/* ------------------------------------------------------------ free places */

/* Highest gap of the subtree that has so many pages below limit; *end: where it ends there. */
static bool gap_below(const struct area *a, uint64_t pages, uint64_t limit, uint64_t *end)
{
    if (a == NULL || a->max_gap < pages) {
        return false;
    }
    if (end_of(a) + pages <= limit && gap_below(RB_RIGHT(a, link), pages, limit, end)) {
        return true;
    }
    uint64_t top = a->vpn < limit ? a->vpn : limit;
    if (a->gap >= pages && a->vpn - a->gap + pages <= top) {
        *end = top;
        return true;
    }
    return gap_below(RB_LEFT(a, link), pages, limit, end);
}

/* The highest free place below limit whose first page is `phase` modulo align. 0: none. */
static uint64_t place_below(struct proc *p, uint64_t pages, uint64_t align, uint64_t phase, uint64_t limit)
{
    const struct area *last = RB_MAX(areas, &p->areas);
    uint64_t above = last != NULL ? end_of(last) : LOWEST, end, room = pages + align - 1;

    if (above + room <= limit) {
        end = limit;
    } else if (!gap_below(RB_ROOT(&p->areas), room, limit, &end)) {
        return 0;
    }
    return end - pages - ((end - pages - phase) & (align - 1));
}

/* As Linux: downwards from the top of the layout, else wherever there is room. */
static uint64_t place(struct proc *p, uint64_t pages, uint64_t align, uint64_t phase)
{
    uint64_t vpn = place_below(p, pages, align, phase, p->top);

    return vpn != 0 ? vpn : place_below(p, pages, align, phase, p->os->end);
}

static bool in_user(const struct dmt_os *os, uint64_t vpn, uint64_t pages)
{
    return pages != 0 && vpn < os->end && pages <= os->end - vpn;
}

static bool is_free(struct proc *p, uint64_t vpn, uint64_t pages)
{
    const struct area *a = dmt_area_find(p, vpn);

    return a == NULL || a->vpn >= vpn + pages;
}

static uint64_t unit(unsigned flags)
{
    return (flags & DMT_OS_HUGETLB_1G) != 0 ? BLOCK * BLOCK : (flags & DMT_OS_HUGETLB_2M) != 0 ? BLOCK : 1;
}

/* Would cutting at vpn cut a hugetlb page? */
static bool cuts_hugetlb(struct proc *p, uint64_t vpn)
{
    const struct area *a = dmt_area_find(p, vpn);

    return a != NULL && a->vpn < vpn && (vpn & (unit(a->flags) - 1)) != 0;
}

/* ------------------------------------------------------------ mmap */

static enum dmt_os_status done(struct proc *p)
{
    p->os->stats.operations++;
    return DMT_OS_OK;
}

enum dmt_os_status dmt_os_map(struct dmt_os *os, int pid, uint64_t pages, unsigned flags, unsigned file,
                              uint64_t offset, uint64_t *vpn)
{
    struct proc *p = dmt_kernel_proc(os, pid);
    bool is_file = (flags & DMT_OS_FILE) != 0, shared = (flags & DMT_OS_SHARED) != 0;

    if (p == NULL || pages == 0 || pages > os->end || flags >= DMT_OS_HUGETLB_1G << 1 ||
        (is_file && offset >= UINT64_C(1) << 52)) {
        return DMT_OS_BAD;
    }
    uint64_t step = unit(flags), at = *vpn;
    if ((flags & HUGETLB) != 0 &&
        ((flags & HUGETLB) == HUGETLB || is_file || shared || pages % step != 0 || at % step != 0)) {
        return DMT_OS_BAD;
    }
    if (at != 0 && (!in_user(os, at, pages) || !is_free(p, at, pages))) {
        return DMT_OS_BAD;
    }
    struct area like = {.flags = flags};
    if (at == 0) {
        bool huge = pages >= BLOCK && dmt_area_huge(os, &like) && !is_file && !shared;
        at = place(p, pages, huge ? BLOCK : step, 0);
    }
    if (at == 0 || !reserve(os, 1)) {
        return dmt_kernel_oom(os);
    }
    if (is_file || shared) {
        like.object = dmt_object_get(os, is_file, file);
        if (like.object == NULL) {
            return dmt_kernel_oom(os);
        }
    }
    struct area *a = alike(os, &like, at, pages, is_file ? offset : 0);
    insert(p, a);
    merge(p, a);
    *vpn = at;
    dmt_space_areas_changed(p->space, at, pages);
    return done(p);
}

/* ------------------------------------------------------------ munmap */

/* Take the areas of a range out, whose ends are cut; their leaves first (S1), then tables. */
static void clear_range(struct proc *p, uint64_t vpn, uint64_t pages, bool quiet)
{
    struct area *a = dmt_area_find(p, vpn), *next;

    dmt_zap_begin(p, quiet);
    for (struct area *z = a; z != NULL && z->vpn < vpn + pages; z = dmt_area_next(z)) {
        dmt_zap(p, z->vpn, z->pages);
    }
    dmt_zap_end(p);
    for (; a != NULL && a->vpn < vpn + pages; a = next) {
        next = dmt_area_next(a);
        discard(p, a);
    }
}

void dmt_area_drop_all(struct proc *p)
{
    clear_range(p, 0, p->os->end, true);
}

/* Ends are not inside hugetlb pages, and two spares are at hand. */
static void unmap(struct proc *p, uint64_t vpn, uint64_t pages)
{
    if (is_free(p, vpn, pages)) {
        return;
    }
    dmt_edge_split(p, vpn);
    dmt_edge_split(p, vpn + pages);
    cut(p, vpn);
    cut(p, vpn + pages);
    clear_range(p, vpn, pages, false);
    dmt_space_prune(p->space, vpn, pages);
    dmt_space_areas_changed(p->space, vpn, pages);
}

enum dmt_os_status dmt_os_unmap(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages)
{
    struct proc *p = dmt_kernel_proc(os, pid);

    if (p == NULL || !in_user(os, vpn, pages) || cuts_hugetlb(p, vpn) || cuts_hugetlb(p, vpn + pages)) {
        return DMT_OS_BAD;
    }
    if (!reserve(os, 2)) {
        return dmt_kernel_oom(os);
    }
    unmap(p, vpn, pages);
    return done(p);
}

/* ------------------------------------------------------------ mprotect */

struct protect {
    struct proc *p;
    const struct area *a;
    uint64_t lo, hi; /* pages that have fewer rights now */
};

static bool protect_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct protect *t = user;

    (void)pa;
    if (!entry_frame(entry)) {
        return true; /* a swap entry holds no rights */
    }
    uint64_t to = dmt_entry_make(t->p->os, t->a, entry_pfn(entry, size), size);
    uint64_t clear = entry & ~to & ~AD, set = to & ~entry;
    if ((clear | set) == 0) {
        return true;
    }
    dmt_tell(t->p, vpn, size, to);
    dmt_entry_change(t->p, vpn, size, entry, clear, set);
    /* P or W taken, or XD given */
    if (entry_present(entry) && ((clear & (DMT_PTE_P | DMT_PTE_W)) != 0 || (set & DMT_PTE_XD) != 0)) {
        t->lo = t->lo < vpn ? t->lo : vpn;
        t->hi = vpn + size_pages(size);
    }
    return true;
}

enum dmt_os_status dmt_os_protect(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages, unsigned rights)
{
    struct proc *p = dmt_kernel_proc(os, pid);

    if (p == NULL || !in_user(os, vpn, pages) || (rights & ~(unsigned)RIGHTS) != 0 || cuts_hugetlb(p, vpn) ||
        cuts_hugetlb(p, vpn + pages)) {
        return DMT_OS_BAD;
    }
    bool change = false;
    uint64_t at = vpn;
    for (struct area *a = dmt_area_find(p, vpn); at < vpn + pages; a = dmt_area_next(a)) {
        if (a == NULL || a->vpn > at) {
            return DMT_OS_NO_AREA;
        }
        change |= (a->flags & RIGHTS) != rights;
        at = end_of(a);
    }
    if (!change) {
        return done(p);
    }
    if (!reserve(os, 2)) {
        return dmt_kernel_oom(os);
    }
    dmt_edge_split(p, vpn);
    dmt_edge_split(p, vpn + pages);
    cut(p, vpn);
    cut(p, vpn + pages);
    struct protect t = {.p = p, .lo = UINT64_MAX};
    struct area *a = dmt_area_find(p, vpn);
    while (a != NULL && a->vpn < vpn + pages) {
        if ((a->flags & RIGHTS) != rights) {
            a->flags = (a->flags & ~(unsigned)RIGHTS) | rights;
            t.a = a;
            dmt_space_each(p->space, a->vpn, a->pages, protect_leaf, &t);
        }
        a = dmt_area_next(merge(p, a));
    }
    if (a != NULL) {
        merge(p, a); /* the first one behind */
    }
    if (t.lo < t.hi) {
        dmt_kernel_flush(p, t.lo, t.hi - t.lo, false);
    }
    dmt_space_areas_changed(p->space, vpn, pages);
    return done(p);
}

/* ------------------------------------------------------------ mremap */

struct move {
    struct proc *p;
    uint64_t from, to; /* first pages */
    bool own;          /* hugetlb */
    bool failed;
    uint64_t done; /* pages up to here are at hand */
    unsigned n;
    struct {
        uint64_t vpn, pa, entry;
        unsigned size;
    } leaf[BATCH];
};

/* Entries are moved, tables never (S5): the tables that will be needed come first (K8). */
static bool move_prepare(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct move *m = user;
    uint64_t to = vpn - m->from + m->to;

    (void)pa;
    (void)entry;
    m->failed = !dmt_space_prepare(m->p->space, to, size) ||
                (size != DMT_SIZE_4K && !m->own && !dmt_space_deposit(m->p->space, to, size));
    return !m->failed;
}

static bool move_clear(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct move *m = user;

    if (entry_present(entry)) {
        dmt_tell(m->p, vpn, size, 0);
    }
    m->leaf[m->n].vpn = vpn;
    m->leaf[m->n].pa = pa;
    m->leaf[m->n].size = size;
    m->leaf[m->n].entry = dmt_space_exchange(m->p->space, vpn, size, 0);
    m->done = vpn + size_pages(size);
    return ++m->n < BATCH;
}

/* The artifact (DMT_DEFECT_MOVE_TABLES) links whole leaf tables under other
 * addresses: what they hold stays in the slots of the old ones. */
static bool stays(const struct move *m, unsigned i, uint64_t pages)
{
    uint64_t block = m->leaf[i].vpn & ~LIKE;

    return (m->p->os->o.defects & DMT_DEFECT_MOVE_TABLES) != 0 && ((m->from ^ m->to) & LIKE) == 0 &&
           m->leaf[i].size == DMT_SIZE_4K && block >= m->from && block + BLOCK <= m->from + pages;
}

/* Entry protocol (S1) for every entry: clear, flush, put it where it goes. */
static void move_entries(struct move *m, uint64_t pages)
{
    const struct dmt_platform *pl = &m->p->os->platform;
    struct dmt_space *s = m->p->space;
    bool more = true;

    m->done = m->from;
    while (more) {
        m->n = 0;
        more = !dmt_space_each(s, m->done, m->from + pages - m->done, move_clear, m) &&
               m->done < m->from + pages;
        if (m->n == 0) {
            break;
        }
        uint64_t lo = m->leaf[0].vpn;
        dmt_kernel_flush(m->p, lo, m->done - lo, false);
        for (unsigned i = 0; i < m->n; i++) {
            uint64_t to = m->leaf[i].vpn - m->from + m->to;
            if (stays(m, i, pages)) {
                pl->store(pl->user, m->leaf[i].pa, m->leaf[i].entry);
            }
            if (entry_present(m->leaf[i].entry)) {
                dmt_tell(m->p, to, m->leaf[i].size, m->leaf[i].entry);
            }
            dmt_space_map(s, to, m->leaf[i].size, m->leaf[i].entry); /* its tables are there */
        }
    }
}

/* A huge page stays one where the new address allows it; else it is split beforehand. */
static void move_split(struct proc *p, uint64_t vpn, uint64_t pages)
{
    for (uint64_t b = (vpn + LIKE) & ~LIKE; b + BLOCK <= vpn + pages; b += BLOCK) {
        unsigned size;
        if (dmt_space_leaf(p->space, b, &size) != 0 && size == DMT_SIZE_2M) {
            dmt_huge_split(p, b);
        }
    }
}

/* Move the area of exactly these pages to `to`, where nothing is and nothing is mapped; false: out of memory.
 */
static bool move(struct proc *p, struct area *a, uint64_t to)
{
    struct dmt_os *os = p->os;
    struct move m = {.p = p, .from = a->vpn, .to = to, .own = (a->flags & HUGETLB) != 0};
    uint64_t from = a->vpn, pages = a->pages;

    if (!m.own && ((from ^ to) & LIKE) != 0) {
        move_split(p, from, pages);
    }
    dmt_space_each(p->space, from, pages, move_prepare, &m);
    if (m.failed) {
        dmt_space_prune(p->space, to, pages);
        return false;
    }
    insert(p, alike(os, a, to, pages, a->offset)); /* the space shall know of it before tables come there */
    move_entries(&m, pages);
    discard(p, a);
    dmt_space_prune(p->space, from, pages);
    return true;
}

/* Can the area grow at its end to hold so many pages from vpn on? */
static bool can_grow(struct proc *p, struct area *a, uint64_t vpn, uint64_t pages)
{
    const struct area *after = dmt_area_next(a);

    return in_user(p->os, vpn, pages) && (after == NULL || after->vpn >= vpn + pages);
}

enum dmt_os_status dmt_os_remap(struct dmt_os *os, int pid, uint64_t vpn, uint64_t pages, uint64_t new_pages,
                                bool may_move, uint64_t *to)
{
    struct proc *p = dmt_kernel_proc(os, pid);
    uint64_t at = *to;

    if (p == NULL || !in_user(os, vpn, pages) || new_pages == 0 || new_pages > os->end) {
        return DMT_OS_BAD;
    }
    struct area *a = dmt_area_find(p, vpn);
    if (a == NULL || a->vpn > vpn || end_of(a) < vpn + pages) {
        return DMT_OS_NO_AREA;
    }
    uint64_t step = unit(a->flags), keep = pages < new_pages ? pages : new_pages;
    if (((vpn | pages | new_pages | at) & (step - 1)) != 0 ||
        (a->object != NULL && new_pages > (UINT64_C(1) << 52) - offset_at(a, vpn)) ||
        (at != 0 && (!in_user(os, at, new_pages) || !is_free(p, at, new_pages)))) {
        return DMT_OS_BAD;
    }
    if (!reserve(os, 4)) {
        return dmt_kernel_oom(os);
    }
    bool in_place =
        at == 0 && (new_pages <= pages || (end_of(a) == vpn + pages && can_grow(p, a, vpn, new_pages)));
    if (!in_place && at == 0) {
        if (!may_move) {
            return dmt_kernel_oom(os);
        }
        bool like = step == 1 && new_pages >= BLOCK; /* so that huge pages stay whole */
        at = place(p, new_pages, like ? BLOCK : step, like ? vpn & LIKE : 0);
        if (at == 0) {
            return dmt_kernel_oom(os);
        }
    }
    if (in_place) {
        if (new_pages < pages) {
            unmap(p, vpn + new_pages, pages - new_pages);
        } else if (new_pages > pages) {
            resize(a, a->pages + (new_pages - pages));
            merge(p, a);
            dmt_space_areas_changed(p->space, vpn + pages, new_pages - pages);
        }
        *to = vpn;
        return done(p);
    }
    dmt_edge_split(p, vpn);
    dmt_edge_split(p, vpn + keep);
    dmt_edge_split(p, vpn + pages);
    cut(p, vpn);
    cut(p, vpn + keep);
    cut(p, vpn + pages);
    a = dmt_area_find(p, vpn);
    if (!move(p, a, at)) {
        merge(p, merge(p, a)); /* with what was cut off on both sides of the second cut */
        return dmt_kernel_oom(os);
    }
    if (keep < pages) {
        unmap(p, vpn + keep, pages - keep);
    }
    a = dmt_area_find(p, at);
    resize(a, new_pages);
    merge(p, a);
    dmt_space_areas_changed(p->space, vpn, pages);
    dmt_space_areas_changed(p->space, at, new_pages);
    *to = at;
    return done(p);
}

bool dmt_os_area(struct dmt_os *os, int pid, uint64_t vpn, struct dmt_vma *area, unsigned *flags)
{
    struct proc *p = dmt_kernel_proc(os, pid);
    const struct area *a = p == NULL ? NULL : dmt_area_find(p, vpn);

    if (a == NULL) {
        return false;
    }
    *area = (struct dmt_vma){a->vpn, a->pages};
    *flags = a->flags;
    return true;
}
