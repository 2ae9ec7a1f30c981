/* SPDX-License-Identifier: Apache-2.0
 * The kernel in model (docs/software.md, section 5), on a platform of plain
 * memory. Threads are the architectural model with a TLB that forgets nothing
 * unless it is told to; what the kernel says through its watch hooks is kept
 * in a plain record, and every access, flush and drop is held against that. */
#include "dmt/os.h"
#include "dmt/regs.h"
#include "dmt/table.h"
#include "drive.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define R      ((unsigned)DMT_OS_R)
#define RW     ((unsigned)(DMT_OS_R | DMT_OS_W))
#define RX     ((unsigned)(DMT_OS_R | DMT_OS_X))
#define SMALL  ((unsigned)DMT_OS_NOHUGE)
#define SHARED ((unsigned)DMT_OS_SHARED)
#define FILED  ((unsigned)DMT_OS_FILE)
#define HUGE2M ((unsigned)DMT_OS_HUGETLB_2M)
#define HUGE1G ((unsigned)DMT_OS_HUGETLB_1G)

#define THREADS 3
#define FRAMES  (UINT64_C(1) << 16)
#define PIDS    32

/* One page as the kernel has told of it. */
struct page {
    struct {
        uint64_t pid, vpn;
    } key;
    uint64_t pfn;
    unsigned rights;
    bool mapped;
    UT_hash_handle hh;
};

struct tlb {
    struct {
        uint64_t thread, pcid, vpn;
    } key;
    uint64_t life; /* of the process: pids are used again */
    int pid;
    uint64_t pfn;
    bool w, x, d;
    UT_hash_handle hh;
};

struct world {
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct dmt_platform p;
    struct dmt_os_options o;
    struct dmt_os *os;
    struct dmt_state state[THREADS];
    uint64_t word[THREADS][DMT_TEA_MAX][3];
    int running[THREADS]; /* as told */
    struct page *pages;
    struct tlb *tlb;
    uint64_t life[PIDS], lives;
    uint64_t csrs, loads, cr3s, noflush, invs, contexts;
    uint64_t flushed; /* hooks */
    uint64_t cleaned, dropped;
    uint64_t available; /* frames before the kernel */
    bool *written;      /* by frame: since the kernel last took it for clean */
    uint64_t image;
    bool race; /* every exchange finds that a walker has set A and D just before */
};

/* ------------------------------------------------------------ platform */

static uint64_t load(void *user, uint64_t pa)
{
    uint64_t v = 0;

    dmt_mem_read(((struct world *)user)->mem, pa, &v);
    return v;
}

static void store(void *user, uint64_t pa, uint64_t value)
{
    struct world *w = user;

    dmt_mem_add(w->mem, pa >> 12);
    dmt_mem_write(w->mem, pa, value);
}

static uint64_t exchange(void *user, uint64_t pa, uint64_t value)
{
    const struct world *w = user;
    uint64_t old = load(user, pa);

    if (w->race && (old & (DMT_PTE_P | DMT_PTE_W)) == (DMT_PTE_P | DMT_PTE_W)) {
        old |= DMT_PTE_A | DMT_PTE_D; /* a walker was faster by a moment */
    }
    store(user, pa, value);
    return old;
}

static void clear(void *user, uint64_t pfn)
{
    memset(dmt_mem_add(((struct world *)user)->mem, pfn), 0, 4096);
}

static void tlb_drop(struct world *w, unsigned thread, uint64_t pcid, uint64_t vpn)
{
    struct tlb *e, *next;

    HASH_ITER(hh, w->tlb, e, next)
    {
        if (e->key.thread == thread && e->key.pcid == pcid && (vpn == UINT64_MAX || e->key.vpn == vpn)) {
            HASH_DEL(w->tlb, e);
            free(e);
        }
    }
}

static void tea_write(struct world *w, unsigned thread, unsigned i, unsigned word, uint64_t value)
{
    struct dmt_tea *t = &w->state[thread].tea[w->p.level][i];
    uint64_t *v = w->word[thread][i];

    v[word] = value;
    t->valid = false;
    if (word != 0) {
        return;
    }
    *t = (struct dmt_tea){.base_vpn = v[0] >> 12,
                          .pages = v[2],
                          .base_pfn = v[1] >> 12,
                          .gtea = v[1] & 0xfff,
                          .sz = v[0] >> 1 & 3,
                          .kind = v[0] >> 3 & 3,
                          .allow = (v[0] >> 7 & 1) | (v[0] >> 6 & 1) << 1 | (v[0] >> 5 & 1) << 2};
    if ((value & 1) != 0) {
        must(dmt_tea_refusal(t, 0, false, w->p.maxpa) == DMT_REFUSAL_NONE);
        t->valid = true;
    }
}

static void csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    struct world *w = user;
    struct dmt_level *l = &w->state[thread].level[0];

    must(thread < THREADS);
    w->csrs++;
    if (offset < 0x800) {
        tea_write(w, thread, offset / 32, offset / 8 % 4, value);
    } else if (offset == DMT_LEVEL_CR0) {
        l->cr0 = value;
    } else if (offset == DMT_LEVEL_CR4) {
        l->cr4 = value;
    } else if (offset == DMT_LEVEL_EFER) {
        l->efer = value;
    } else if (offset == DMT_LEVEL_CR3) {
        bool keep = (value & DMT_LEVEL_CR3_NOFLUSH_MASK) != 0;
        w->cr3s++;
        w->noflush += keep;
        must((l->cr4 & DMT_LEVEL_CR4_PCIDE_MASK) != 0 || (!keep && (value & 0xfff) == 0));
        l->cr3 = value & ~DMT_LEVEL_CR3_NOFLUSH_MASK;
        if (!keep) {
            tlb_drop(w, thread, value & 0xfff, UINT64_MAX);
        }
    } else if (offset == DMT_LEVEL_INV) {
        uint64_t pcid = value >> DMT_LEVEL_INV_PCID_LSB & 0xfff;
        unsigned kind = value >> DMT_LEVEL_INV_KIND_LSB;
        w->invs++;
        w->contexts += kind == DMT_INV_CONTEXT;
        must(kind == DMT_INV_ADDRESS || kind == DMT_INV_CONTEXT);
        tlb_drop(w, thread, pcid, kind == DMT_INV_CONTEXT ? UINT64_MAX : value & DMT_LEVEL_INV_VPN_MASK);
    } else if (offset == DMT_LEVEL_LOAD) {
        w->loads++;
        must(value < w->p.images);
        for (unsigned i = 0; i < w->p.registers; i++) {
            uint64_t pa = w->p.image_pa + 2048 * value + 32 * i;
            tea_write(w, thread, i, 1, load(w, pa + 8));
            tea_write(w, thread, i, 2, load(w, pa + 16));
            tea_write(w, thread, i, 0, load(w, pa));
        }
    } else {
        must(false, "unexpected CSR");
    }
}

static size_t tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *g, size_t room)
{
    struct world *w = user;
    size_t got = 0;

    for (size_t i = 0; i < n && got < room; i++) {
        if (dmt_buddy_alloc_run(w->buddy, frames[i], &g[got].pfn)) {
            g[got].request = i;
            g[got].frames = frames[i];
            for (uint64_t k = 0; k < frames[i]; k++) {
                clear(w, g[got].pfn + k);
            }
            got++;
        }
    }
    return got;
}

static void tea_release(void *user, const struct dmt_grant *g, uint64_t skip, uint64_t frames)
{
    struct world *w = user;

    for (uint64_t k = 0; k < frames; k++) { /* foreign content from now on */
        memset(dmt_mem_frame(w->mem, g->pfn + skip + k), 0xff, 4096);
    }
    must(dmt_buddy_release(w->buddy, g->pfn + skip, frames));
}

/* ------------------------------------------------------------ watch */

static struct tlb *tlb_at(struct world *w, unsigned thread, uint64_t vpn, bool make)
{
    struct tlb *e, key;

    memset(&key, 0, sizeof key);
    key.key.thread = thread;
    key.key.pcid = w->state[thread].level[0].cr3 & 0xfff;
    key.key.vpn = vpn;
    HASH_FIND(hh, w->tlb, &key.key, sizeof key.key, e);
    if (e == NULL && make) {
        e = calloc(1, sizeof *e);
        e->key = key.key;
        HASH_ADD(hh, w->tlb, key, sizeof e->key, e);
    }
    return e;
}

static struct page *page(struct world *w, int pid, uint64_t vpn, bool make)
{
    struct page *p, key;

    memset(&key, 0, sizeof key);
    key.key.pid = (uint64_t)pid;
    key.key.vpn = vpn;
    HASH_FIND(hh, w->pages, &key.key, sizeof key.key, p);
    if (p == NULL && make) {
        p = calloc(1, sizeof *p);
        p->key = key.key;
        HASH_ADD(hh, w->pages, key, sizeof p->key, p);
    }
    return p;
}

static void on_spawned(void *user, int pid, const struct dmt_space *space)
{
    struct world *w = user;

    must(space != NULL && pid >= 1 && pid < PIDS && w->life[pid] == 0);
    w->life[pid] = ++w->lives;
}

static void on_exited(void *user, int pid)
{
    struct world *w = user;
    struct page *p, *next;

    must(w->life[pid] != 0);
    w->life[pid] = 0;
    HASH_ITER(hh, w->pages, p, next)
    {
        if (p->key.pid == (uint64_t)pid) {
            must(!p->mapped, "a process ends with pages");
            HASH_DEL(w->pages, p);
            free(p);
        }
    }
}

/* S1: no running thread can still use what was there before. */
static void expect_flushed(struct world *w, int pid, uint64_t vpn, uint64_t pfn)
{
    for (unsigned t = 0; t < THREADS; t++) {
        if (w->running[t] == pid) {
            const struct tlb *e = tlb_at(w, t, vpn, false);
            must(e == NULL || e->pfn == pfn, "S1: a new entry before the old one is flushed");
        }
    }
}

static void on_mapped(void *user, int pid, uint64_t vpn, uint64_t n, uint64_t pfn, unsigned rights)
{
    struct world *w = user;

    must(w->life[pid] != 0 && n != 0);
    for (uint64_t i = 0; i < n; i++) {
        struct page *p = page(w, pid, vpn + i, true);
        must(!p->mapped || p->pfn == pfn + i, "another frame without unmapping");
        must(!dmt_buddy_is_free(w->buddy, pfn + i), "a free frame is mapped");
        expect_flushed(w, pid, vpn + i, pfn + i);
        p->mapped = true;
        p->pfn = pfn + i;
        p->rights = rights;
    }
}

static void on_unmapped(void *user, int pid, uint64_t vpn, uint64_t n)
{
    struct world *w = user;

    for (uint64_t i = 0; i < n; i++) {
        struct page *p = page(w, pid, vpn + i, false);
        must(p != NULL, "never mapped");
        p->mapped = false;
    }
}

/* What the TLB of the thread still has of these pages must be current. */
static void on_flushed(void *user, int pid, unsigned thread, uint64_t vpn, uint64_t n)
{
    struct world *w = user;
    struct tlb *e, *next;

    w->flushed++;
    HASH_ITER(hh, w->tlb, e, next)
    {
        if (e->key.thread == thread && e->life == w->life[pid] && e->key.vpn >= vpn && e->key.vpn - vpn < n) {
            const struct page *p = page(w, pid, e->key.vpn, false);
            must(p != NULL && p->mapped && p->pfn == e->pfn && (!e->w || (p->rights & DMT_OS_W) != 0),
                 "told of a flush that has not taken place");
        }
    }
}

static void on_cleaned(void *user, int pid, uint64_t vpn, uint64_t n, bool dropped)
{
    struct world *w = user;

    w->cleaned += n;
    w->dropped += dropped ? n : 0;
    for (uint64_t i = 0; i < n; i++) {
        struct page *p = page(w, pid, vpn + i, true);
        must(!dropped || !w->written[p->pfn], "K4: a page that was written is dropped as clean");
        w->written[p->pfn] = false;
    }
}

static void on_freed(void *user, uint64_t pfn, uint64_t n)
{
    struct world *w = user;

    memset(w->written + pfn, 0, n * sizeof *w->written);
}

static void on_switched(void *user, unsigned thread, int pid)
{
    ((struct world *)user)->running[thread] = pid;
}

/* ------------------------------------------------------------ a world */

static struct world *world_with(uint64_t frames)
{
    struct world *w = calloc(1, sizeof *w);

    w->mem = dmt_mem_new();
    w->buddy = dmt_buddy_new(0, frames);
    w->written = calloc(frames, sizeof *w->written);
    w->image = 64;
    must(dmt_buddy_alloc_at(w->buddy, w->image, 16));
    w->p = (struct dmt_platform){.user = w,
                                 .threads = THREADS,
                                 .registers = 16,
                                 .maxpa = 46,
                                 .buddy = w->buddy,
                                 .load = load,
                                 .store = store,
                                 .exchange = exchange,
                                 .clear = clear,
                                 .csr = csr,
                                 .tea_alloc = tea_alloc,
                                 .tea_release = tea_release,
                                 .image_pa = w->image << 12,
                                 .images = 32};
    for (unsigned i = 0; i < 16; i++) {
        memset(dmt_mem_add(w->mem, w->image + i), 0xff, 4096);
    }
    w->o = dmt_os_options_default();
    w->o.platform = &w->p;
    w->o.processes = PIDS - 1;
    w->o.watch = (struct dmt_os_watch){w,          on_spawned, on_exited, on_mapped,  on_unmapped,
                                       on_flushed, on_cleaned, on_freed,  on_switched};
    w->available = dmt_buddy_available(w->buddy);
    for (unsigned t = 0; t < THREADS; t++) {
        dmt_state_reset(&w->state[t], 46);
        w->state[t].mode = DMT_MODE_NATIVE;
        w->running[t] = -1;
        w->state[t].tea[0][3].valid = true; /* left over from before */
    }
    return w;
}

static void start(struct world *w)
{
    const char *why = NULL;

    w->os = dmt_os_new(&w->o, &why);
    must(w->os != NULL);
}

static struct world *world_new(void)
{
    struct world *w = world_with(FRAMES);

    start(w);
    return w;
}

static void world_free(struct world *w)
{
    struct page *p, *next;
    struct tlb *e, *following;

    dmt_os_delete(w->os);
    must(dmt_buddy_available(w->buddy) == w->available, "frames are lost");
    HASH_ITER(hh, w->pages, p, next)
    {
        HASH_DEL(w->pages, p);
        free(p);
    }
    HASH_ITER(hh, w->tlb, e, following)
    {
        HASH_DEL(w->tlb, e);
        free(e);
    }
    free(w->written);
    dmt_buddy_delete(w->buddy);
    dmt_mem_free(w->mem);
    free(w);
}

static int spawn(struct world *w)
{
    int pid = 0;

    must(dmt_os_spawn(w->os, &pid) == DMT_OS_OK);
    return pid;
}

static int fork_of(struct world *w, int pid)
{
    int child = 0;

    must(dmt_os_fork(w->os, pid, &child) == DMT_OS_OK);
    return child;
}

static uint64_t map(struct world *w, int pid, uint64_t pages, unsigned flags)
{
    uint64_t vpn = 0;

    must(dmt_os_map(w->os, pid, pages, flags, 7, 0, &vpn) == DMT_OS_OK);
    return vpn;
}

static void map_at(struct world *w, int pid, uint64_t vpn, uint64_t pages, unsigned flags, uint64_t offset)
{
    must(dmt_os_map(w->os, pid, pages, flags, 7, offset, &vpn) == DMT_OS_OK);
}

static void fault(struct world *w, int pid, uint64_t vpn, unsigned access)
{
    must(dmt_os_fault(w->os, pid, vpn << 12, access) == DMT_OS_OK);
}

static void expect_unmapped(struct world *w, int pid, uint64_t vpn, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        const struct page *p = page(w, pid, vpn + i, false);
        must(p == NULL || !p->mapped, "still mapped");
    }
}

static void unmap(struct world *w, int pid, uint64_t vpn, uint64_t pages)
{
    must(dmt_os_unmap(w->os, pid, vpn, pages) == DMT_OS_OK);
    expect_unmapped(w, pid, vpn, pages);
}

static uint64_t leaf(struct world *w, int pid, uint64_t vpn, unsigned *size)
{
    unsigned s = 0;
    uint64_t e = dmt_space_leaf(dmt_os_space(w->os, pid), vpn, &s);

    if (size != NULL) {
        *size = s;
    }
    return e;
}

static uint64_t frame_at(struct world *w, int pid, uint64_t vpn)
{
    const struct page *p = page(w, pid, vpn, false);

    return p != NULL && p->mapped ? p->pfn : 0;
}

/* ------------------------------------------------------------ programs */

static enum dmt_resp port_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    return !dmt_mem_read(user, ref->addr, data) ? DMT_RESP_DECERR
           : ref->exclusive                     ? DMT_RESP_EXOKAY
                                                : DMT_RESP_OKAY;
}

static enum dmt_resp port_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return dmt_mem_write(user, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

/* A walk by the thread, as its registers are; an answer goes into the TLB. */
static unsigned walk(struct world *w, unsigned thread, uint64_t vpn, unsigned access, bool nonspec)
{
    const struct dmt_port port = {.user = w->mem, .read = port_read, .write = port_write};
    const struct dmt_request q = {.va = vpn << 12, .access = (uint8_t)access, .cpl = 3, .nonspec = nonspec};
    struct dmt_result r;
    int pid = dmt_os_loaded(w->os, thread);

    dmt_arch_translate(&w->state[thread], &q, &port, &r);
    must(r.status == DMT_STATUS_OK || r.status == DMT_STATUS_PF ||
         (r.status == DMT_STATUS_RETRY && !nonspec));
    if (r.status != DMT_STATUS_OK) {
        return r.status;
    }
    const struct page *p = page(w, pid, vpn, false);
    must(p != NULL && p->mapped, "a translation of what is not mapped");
    must(r.pa >> 12 == p->pfn, "a wrong frame");
    must(((r.rights & 1) != 0) == ((p->rights & DMT_OS_W) != 0) &&
             ((r.rights & 4) != 0) == ((p->rights & DMT_OS_X) != 0),
         "wrong rights");
    struct tlb *e = tlb_at(w, thread, vpn, true);
    e->pid = pid;
    e->life = w->life[pid];
    e->pfn = r.pa >> 12;
    e->w = (r.rights & 1) != 0;
    e->x = (r.rights & 4) != 0;
    e->d = r.dirty;
    return DMT_STATUS_OK;
}

/* An access of the program that the thread runs: the status of its fault, or OK. */
static enum dmt_os_status touch(struct world *w, unsigned thread, uint64_t vpn, unsigned access)
{
    int pid = dmt_os_running(w->os, thread);

    must(pid >= 0 && w->running[thread] == pid);
    for (unsigned tries = 0; tries < 4; tries++) {
        struct tlb *e = tlb_at(w, thread, vpn, false);
        if (e != NULL) {
            const struct page *p = page(w, pid, vpn, false);
            must(e->life == w->life[pid], "an entry of another process is hit");
            must(p != NULL && p->mapped && p->pfn == e->pfn, "a stale entry is hit");
            must(!e->w || (p->rights & DMT_OS_W) != 0, "a stale entry lets a store through");
            must(!e->x || (p->rights & DMT_OS_X) != 0, "a stale entry lets a fetch through");
            must(!dmt_buddy_is_free(w->buddy, e->pfn));
            if (access == DMT_ACCESS_READ || (access == DMT_ACCESS_WRITE && e->w && e->d) ||
                (access == DMT_ACCESS_EXECUTE && e->x)) {
                if (access == DMT_ACCESS_WRITE) {
                    w->written[e->pfn] = true;
                }
                return DMT_OS_OK;
            }
            HASH_DEL(w->tlb, e); /* as a fault or a missing D bit makes hardware walk again */
            free(e);
        }
        if (walk(w, thread, vpn, access, true) == DMT_STATUS_PF) {
            enum dmt_os_status s = dmt_os_fault(w->os, pid, vpn << 12 | 0x123, access);
            if (s != DMT_OS_OK) {
                return s;
            }
        }
    }
    must(false, "faults without end");
    return DMT_OS_OK;
}

/* ------------------------------------------------------------ audit */

struct audit {
    struct world *w;
    int pid;
    uint64_t present, frames;
};

static bool audit_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct audit *a = user;
    uint64_t n = UINT64_C(1) << 9 * size;

    (void)pa;
    a->frames += (entry & (1 | 1 << 10)) != 1 << 10 ? n : 0;
    if ((entry & DMT_PTE_P) == 0) {
        return true;
    }
    must((entry & DMT_PTE_U) != 0 && (entry & DMT_PTE_G) == 0 && ((entry & DMT_PTE_PS) != 0) == (size > 0));
    a->present += n;
    for (uint64_t i = 0; i < n; i++) {
        const struct page *p = page(a->w, a->pid, vpn + i, false);
        must(p != NULL && p->mapped && p->pfn == ((entry & DMT_PTE_FRAME) >> 12) + i, "not as told");
        must(p->rights == (R | ((entry & DMT_PTE_W) != 0 ? (unsigned)DMT_OS_W : 0) |
                           ((entry & DMT_PTE_XD) == 0 ? (unsigned)DMT_OS_X : 0)),
             "rights not as told");
        must(!dmt_buddy_is_free(a->w->buddy, p->pfn));
    }
    return true;
}

/* Everything there is agrees with everything that was told; images and sets with the spaces. */
static void audit(struct world *w)
{
    const struct dmt_os_stats *st = dmt_os_stats(w->os);
    uint64_t mapped = 0, present = 0, frames = 0, areas = 0;
    struct page *p, *next;

    HASH_ITER(hh, w->pages, p, next)
    {
        mapped += p->mapped;
    }
    for (int pid = 1; pid < PIDS; pid++) {
        struct dmt_space *s = dmt_os_space(w->os, pid);
        struct audit a = {w, pid, 0, 0};
        must((s != NULL) == (w->life[pid] != 0));
        if (s == NULL) {
            continue;
        }
        dmt_space_each(s, 0, UINT64_C(1) << 44, audit_leaf, &a);
        present += a.present;
        frames += a.frames;
        struct dmt_vma v = {0, 0};
        unsigned flags;
        for (uint64_t at = 0; dmt_os_area(w->os, pid, at, &v, &flags); at = v.vpn + v.pages, areas++) {
            must(v.pages != 0 && v.vpn >= at);
        }
        const struct dmt_tea *reg = dmt_space_registers(s);
        for (unsigned i = 0; i < w->o.tea.registers; i++) {
            uint64_t word[3] = {0, 0, 0};
            if (reg[i].valid) {
                dmt_tea_pack(&reg[i], word);
            }
            for (unsigned t = 0; t < THREADS; t++) {
                if (dmt_os_loaded(w->os, t) == pid) {
                    must(w->state[t].tea[0][i].valid == reg[i].valid);
                    must(!reg[i].valid || memcmp(w->word[t][i], word, sizeof word) == 0);
                }
            }
            if (w->o.set_load && (unsigned)pid <= w->p.images) { /* K7 */
                uint64_t pa = w->p.image_pa + 2048 * (uint64_t)(pid - 1) + 32 * i;
                must((load(w, pa) & 1) == (word[0] & 1));
                must((word[0] & 1) == 0 ||
                     (load(w, pa) == word[0] && load(w, pa + 8) == word[1] && load(w, pa + 16) == word[2]));
            }
        }
    }
    must(present == mapped, "told of pages that are not there");
    must(frames == st->resident);
    must(areas == st->areas);
    for (unsigned t = 0; t < THREADS; t++) {
        int pid = dmt_os_loaded(w->os, t);
        must(dmt_os_running(w->os, t) == w->running[t]);
        if (pid >= 0) {
            must((w->state[t].level[0].cr3 & DMT_PTE_FRAME) >> 12 ==
                 dmt_space_root(dmt_os_space(w->os, pid)));
        } else {
            for (unsigned i = 0; i < w->p.registers; i++) {
                must(!w->state[t].tea[0][i].valid, "a register matches though no space is loaded");
            }
        }
    }
}

static void done(struct world *w)
{
    audit(w);
    world_free(w);
}

/* ------------------------------------------------------------ the kernel */

Test(os, options_out_of_range_are_refused_by_name)
{
    struct world *w = world_with(FRAMES);
    const char *why = NULL;
    struct dmt_os_options o = w->o;

    o.levels = 3;
    must(dmt_os_new(&o, &why) == NULL && strstr(why, "levels") != NULL);
    o = w->o;
    o.processes = 0;
    must(dmt_os_new(&o, &why) == NULL && strstr(why, "processes") != NULL);
    o = w->o;
    o.promote_percent = 101;
    must(dmt_os_new(&o, &why) == NULL && strstr(why, "promote_percent") != NULL);
    o = w->o;
    o.tea.registers = 17;
    must(dmt_os_new(&o, &why) == NULL && strstr(why, "registers") != NULL);
    o = w->o;
    o.tea.present_percent = 101;
    must(dmt_os_new(&o, &why) == NULL && strstr(why, "present_percent: 101 is not 0 to 100") != NULL);
    o = w->o;
    o.tea.growth = 17;
    must(dmt_os_new(&o, &why) == NULL && strstr(why, "growth") != NULL);
    o = w->o;
    o.platform = NULL;
    must(dmt_os_new(&o, &why) == NULL && strstr(why, "platform") != NULL);
    w->p.threads = 9;
    must(dmt_os_new(&w->o, NULL) == NULL);
    w->p.threads = THREADS;
    for (unsigned i = 0; i < 2; i++) { /* frame 0, the root of idle threads */
        dmt_buddy_fail_after(w->buddy, i);
        must(dmt_os_new(&w->o, &why) == NULL && strstr(why, "memory") != NULL);
        must(dmt_buddy_available(w->buddy) == w->available);
    }
    must(strcmp(dmt_os_status_name(DMT_OS_BUSY), "BUSY") == 0);
    must(strcmp(dmt_os_status_name((enum dmt_os_status)99), "?") == 0);
    world_free(w); /* dmt_os_delete(NULL) */
}

Test(os, threads_start_with_paging_on_and_nothing_matching)
{
    struct world *w = world_new();

    for (unsigned t = 0; t < THREADS; t++) {
        must((w->state[t].level[0].cr0 & DMT_LEVEL_CR0_WP_MASK) != 0);
        must((w->state[t].level[0].cr4 & DMT_LEVEL_CR4_PCIDE_MASK) != 0);
        must((w->state[t].level[0].cr4 & DMT_LEVEL_CR4_LA57_MASK) == 0);
        must((w->state[t].level[0].efer & DMT_LEVEL_EFER_NXE_MASK) != 0);
        must(walk(w, t, 0x1234, DMT_ACCESS_READ, true) == DMT_STATUS_PF);
        must(dmt_os_running(w->os, t) == -1 && dmt_os_loaded(w->os, t) == -1);
    }
    must(dmt_os_switch(w->os, THREADS, -1) == DMT_OS_BAD && dmt_os_switch(w->os, 0, 5) == DMT_OS_BAD);
    must(dmt_os_space(w->os, 0) == NULL && dmt_os_space(w->os, 1) == NULL &&
         dmt_os_exit(w->os, 1) == DMT_OS_BAD);
    must(dmt_os_running(w->os, 99) == -1 && dmt_os_loaded(w->os, 99) == -1);
    done(w);
}

Test(os, as_many_processes_as_asked_for)
{
    struct world *w = world_with(FRAMES);
    int pid;

    w->o.processes = 2;
    start(w);
    must(spawn(w) == 1 && spawn(w) == 2);
    must(dmt_os_spawn(w->os, &pid) == DMT_OS_NO_MEMORY && dmt_os_fork(w->os, 1, &pid) == DMT_OS_NO_MEMORY);
    must(dmt_os_exit(w->os, 1) == DMT_OS_OK && spawn(w) == 1);
    must(dmt_os_fork(w->os, 3, &pid) == DMT_OS_BAD);
    done(w);
}

/* ------------------------------------------------------------ faults */

Test(fault, entries_are_as_the_access_would_have_them)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 8, RW | SMALL), x = map(w, pid, 8, RX | SMALL), e;
    const uint64_t ad = DMT_PTE_A | DMT_PTE_D;

    fault(w, pid, a, DMT_ACCESS_READ);
    e = leaf(w, pid, a, NULL);
    must((e & 0xfff) == (DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | DMT_PTE_A) && (e & DMT_PTE_XD) != 0);
    fault(w, pid, a + 1, DMT_ACCESS_WRITE);
    e = leaf(w, pid, a + 1, NULL);
    must((e & ad) == ad);
    fault(w, pid, x, DMT_ACCESS_EXECUTE);
    e = leaf(w, pid, x, NULL);
    must((e & (0xfff | DMT_PTE_XD)) == (DMT_PTE_P | DMT_PTE_U | DMT_PTE_A));
    must(dmt_os_fault(w->os, pid, x << 12, DMT_ACCESS_WRITE) == DMT_OS_DENIED);
    must(dmt_os_fault(w->os, pid, a << 12, DMT_ACCESS_EXECUTE) == DMT_OS_DENIED);
    must(dmt_os_fault(w->os, pid, (a - 100) << 12, DMT_ACCESS_READ) == DMT_OS_NO_AREA);
    must(dmt_os_fault(w->os, pid, UINT64_MAX, DMT_ACCESS_READ) == DMT_OS_NO_AREA);
    must(dmt_os_fault(w->os, pid, a << 12, 3) == DMT_OS_BAD);
    must(dmt_os_fault(w->os, 9, a << 12, DMT_ACCESS_READ) == DMT_OS_BAD);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);
    must(st->faults == 3 && st->anon == 3 && st->zeroed == 3 && st->spurious == 0 && st->resident == 3);
    fault(w, pid, a, DMT_ACCESS_WRITE);
    must(st->faults == 3 && st->spurious == 1);
    done(w);
}

Test(fault, five_levels)
{
    struct world *w = world_with(FRAMES);

    w->o.levels = 5;
    start(w);
    int pid = spawn(w);
    must((w->state[0].level[0].cr4 & DMT_LEVEL_CR4_LA57_MASK) != 0);
    uint64_t a = map(w, pid, 8, RW), high = (UINT64_C(1) << 44) - 4;
    must(a > UINT64_C(1) << 36);
    map_at(w, pid, high, 4, RW, 0);
    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    must(touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK &&
         touch(w, 0, high + 3, DMT_ACCESS_READ) == DMT_OS_OK);
    dmt_os_settle(w->os);
    must(touch(w, 0, high + 2, DMT_ACCESS_READ) == DMT_OS_OK);
    unmap(w, pid, high, 4);
    must(touch(w, 0, high + 3, DMT_ACCESS_READ) == DMT_OS_NO_AREA);
    done(w);
}

Test(fault, no_rights_means_no_access_and_the_frame_is_kept)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 4, RW | SMALL), none = map(w, pid, 4, SMALL);

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    must(touch(w, 0, none, DMT_ACCESS_READ) == DMT_OS_DENIED);
    must(touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK);
    uint64_t pfn = frame_at(w, pid, a);
    must(dmt_os_protect(w->os, pid, a, 4, 0) == DMT_OS_OK);
    must(frame_at(w, pid, a) == 0 && (leaf(w, pid, a, NULL) & DMT_PTE_P) == 0 && leaf(w, pid, a, NULL) != 0);
    must(!dmt_buddy_is_free(w->buddy, pfn) && dmt_os_stats(w->os)->resident == 1);
    must(touch(w, 0, a, DMT_ACCESS_READ) == DMT_OS_DENIED);
    must(dmt_os_protect(w->os, pid, a, 4, RW) == DMT_OS_OK);
    must(frame_at(w, pid, a) == pfn &&
         (leaf(w, pid, a, NULL) & (DMT_PTE_D | DMT_PTE_W)) == (DMT_PTE_D | DMT_PTE_W));
    must(touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_protect(w->os, pid, a, 4, 0) == DMT_OS_OK);
    unmap(w, pid, a, 4);
    must(dmt_buddy_is_free(w->buddy, pfn));
    done(w);
}

Test(fault, two_at_once_in_both_orders_and_both_too_late)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 8, RW | SMALL), before = dmt_buddy_available(w->buddy);
    struct dmt_os_ticket t, u;

    for (unsigned order = 0; order < 2; order++) {
        uint64_t vpn = a + order;
        dmt_os_fault_begin(w->os, pid, vpn << 12, DMT_ACCESS_WRITE, &t);
        dmt_os_fault_begin(w->os, pid, vpn << 12, DMT_ACCESS_WRITE, &u);
        must(t.status == DMT_OS_OK && t.frame != 0 && u.frame != 0 && t.frame != u.frame);
        must(t.table != 0 && t.table == u.table);
        struct dmt_os_ticket *first = order ? &u : &t, *second = order ? &t : &u;
        uint64_t winner = first->frame, loser = second->frame;
        must(dmt_os_fault_end(w->os, first) == DMT_OS_OK && dmt_os_fault_end(w->os, second) == DMT_OS_OK);
        must(frame_at(w, pid, vpn) == winner && dmt_buddy_is_free(w->buddy, loser));
        must(dmt_os_stats(w->os)->spurious == order + 1);
    }
    /* a third was faster than both */
    dmt_os_fault_begin(w->os, pid, (a + 2) << 12, DMT_ACCESS_READ, &t);
    dmt_os_fault_begin(w->os, pid, (a + 2) << 12, DMT_ACCESS_READ, &u);
    fault(w, pid, a + 2, DMT_ACCESS_READ);
    uint64_t pfn = frame_at(w, pid, a + 2);
    must(dmt_os_fault_end(w->os, &u) == DMT_OS_OK && dmt_os_fault_end(w->os, &t) == DMT_OS_OK);
    must(frame_at(w, pid, a + 2) == pfn);
    /* the area goes in between; so does the process */
    dmt_os_fault_begin(w->os, pid, (a + 3) << 12, DMT_ACCESS_READ, &t);
    dmt_os_fault_begin(w->os, pid, (a + 4) << 12, DMT_ACCESS_READ, &u);
    unmap(w, pid, a, 8);
    must(dmt_os_fault_end(w->os, &t) == DMT_OS_NO_AREA);
    must(dmt_os_exit(w->os, pid) == DMT_OS_OK);
    must(dmt_os_fault_end(w->os, &u) == DMT_OS_BAD);
    must(dmt_buddy_available(w->buddy) >= before);
    dmt_os_fault_begin(w->os, pid, a << 12, DMT_ACCESS_READ, &t);
    must(t.status == DMT_OS_BAD && dmt_os_fault_end(w->os, &t) == DMT_OS_BAD);
    done(w);
}

Test(fault, a_ticket_for_a_page_serves_when_a_block_was_wanted_and_the_reverse)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 512, RW);
    struct dmt_os_ticket t, u;

    dmt_os_fault_begin(w->os, pid, (a + 5) << 12, DMT_ACCESS_WRITE, &t); /* a block */
    must(t.size == DMT_SIZE_2M);
    dmt_buddy_fail_after(w->buddy, 0);
    dmt_os_fault_begin(w->os, pid, (a + 6) << 12, DMT_ACCESS_WRITE, &u); /* none free: a page */
    must(u.size == DMT_SIZE_4K && u.status == DMT_OS_OK);
    dmt_buddy_fail_after(w->buddy, 0);
    must(dmt_os_fault_end(w->os, &u) == DMT_OS_OK); /* still none */
    unsigned size;
    must(leaf(w, pid, a + 6, &size) != 0 && size == DMT_SIZE_4K);
    must(dmt_os_fault_end(w->os, &t) == DMT_OS_OK);
    must(leaf(w, pid, a + 5, &size) != 0 && size == DMT_SIZE_4K);
    done(w);
}

/* ------------------------------------------------------------ areas */

static unsigned areas_of(struct world *w, int pid)
{
    struct dmt_vma v = {0, 0};
    unsigned flags, n = 0;

    for (uint64_t at = 0; dmt_os_area(w->os, pid, at, &v, &flags); at = v.vpn + v.pages) {
        n++;
    }
    return n;
}

static void expect_area(struct world *w, int pid, uint64_t at, uint64_t vpn, uint64_t pages, unsigned flags)
{
    struct dmt_vma v;
    unsigned f;

    must(dmt_os_area(w->os, pid, at, &v, &f));
    must(v.vpn == vpn && v.pages == pages && f == flags);
}

Test(area, arguments_are_checked)
{
    struct world *w = world_new();
    int pid = spawn(w);
    const uint64_t end = UINT64_C(1) << 35;
    const struct {
        uint64_t vpn, pages;
        unsigned flags;
        uint64_t offset;
    } bad[] = {{0, 0, RW, 0},
               {end, 1, RW, 0},
               {end - 1, 2, RW, 0},
               {0, UINT64_MAX, RW, 0},
               {1, UINT64_MAX, RW, 0},
               {0, 1, 1 << 8, 0},
               {0, 1, R | FILED, UINT64_C(1) << 52},
               {0, 511, RW | HUGE2M, 0},
               {0, 512, RW | HUGE1G, 0},
               {1, 512, RW | HUGE2M, 0},
               {0, 512, RW | HUGE2M | HUGE1G, 0},
               {0, 512, RW | HUGE2M | FILED, 0},
               {0, 512, RW | HUGE2M | SHARED, 0}};

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t vpn = bad[i].vpn;
        must(dmt_os_map(w->os, pid, bad[i].pages, bad[i].flags, 0, bad[i].offset, &vpn) == DMT_OS_BAD);
        must(vpn == bad[i].vpn);
    }
    uint64_t vpn = 0;
    must(dmt_os_map(w->os, 9, 1, RW, 0, 0, &vpn) == DMT_OS_BAD);
    must(dmt_os_map(w->os, pid, end, RW, 0, 0, &vpn) == DMT_OS_NO_MEMORY);
    must(dmt_os_unmap(w->os, pid, 1, 0) == DMT_OS_BAD && dmt_os_unmap(w->os, pid, end, 1) == DMT_OS_BAD);
    must(dmt_os_unmap(w->os, 9, 1, 1) == DMT_OS_BAD && dmt_os_protect(w->os, 9, 1, 1, R) == DMT_OS_BAD);
    must(dmt_os_protect(w->os, pid, 1, 1, SHARED) == DMT_OS_BAD);
    must(dmt_os_protect(w->os, pid, 1, 1, R) == DMT_OS_NO_AREA);
    must(dmt_os_unmap(w->os, pid, 1, 1) == DMT_OS_OK);
    vpn = 0;
    must(dmt_os_remap(w->os, pid, 1, 1, 0, true, &vpn) == DMT_OS_BAD);
    must(dmt_os_remap(w->os, pid, 1, 1, 1, true, &vpn) == DMT_OS_NO_AREA);
    must(dmt_os_remap(w->os, 9, 1, 1, 1, true, &vpn) == DMT_OS_BAD);
    must(dmt_os_stats(w->os)->operations == 1 && areas_of(w, pid) == 0);
    struct dmt_vma v;
    unsigned f;
    must(!dmt_os_area(w->os, pid, 0, &v, &f) && !dmt_os_area(w->os, 9, 0, &v, &f));
    done(w);
}

Test(area, split_protect_merge)
{
    struct world *w = world_new();
    int pid = spawn(w);
    const uint64_t a = 0x10000;

    map_at(w, pid, a, 100, RW | SMALL, 0);
    uint64_t vpn = a + 99;
    must(dmt_os_map(w->os, pid, 1, RW, 0, 0, &vpn) == DMT_OS_BAD); /* replaces nothing */
    map_at(w, pid, a + 100, 20, RW | SMALL, 0);
    must(areas_of(w, pid) == 1); /* neighbours alike are one */
    map_at(w, pid, a - 10, 10, RW | SMALL, 0);
    expect_area(w, pid, a, a - 10, 130, RW | SMALL);
    must(dmt_os_protect(w->os, pid, a, 10, R) == DMT_OS_OK);
    must(areas_of(w, pid) == 3);
    expect_area(w, pid, a, a, 10, R | SMALL);
    must(dmt_os_protect(w->os, pid, a + 5, 20, 0) == DMT_OS_OK);
    expect_area(w, pid, a + 5, a + 5, 20, SMALL);
    expect_area(w, pid, a, a, 5, R | SMALL);
    must(dmt_os_protect(w->os, pid, a - 10, 60, RW) == DMT_OS_OK);
    must(areas_of(w, pid) == 1);
    unmap(w, pid, a + 20, 10);
    must(areas_of(w, pid) == 2);
    must(dmt_os_protect(w->os, pid, a + 10, 30, R) == DMT_OS_NO_AREA);
    expect_area(w, pid, a, a - 10, 30, RW | SMALL); /* and nothing has changed */
    must(dmt_os_protect(w->os, pid, a + 100, 21, R) == DMT_OS_NO_AREA);
    map_at(w, pid, a + 20, 10, RW | SMALL, 0);
    must(areas_of(w, pid) == 1);
    unmap(w, pid, a - 1000, 5000); /* holes are fine */
    must(areas_of(w, pid) == 0);
    /* files are one only where the file goes on */
    map_at(w, pid, a, 4, R | FILED, 10);
    map_at(w, pid, a + 4, 4, R | FILED, 14);
    must(areas_of(w, pid) == 1);
    map_at(w, pid, a + 8, 4, R | FILED, 19);
    must(areas_of(w, pid) == 2);
    unmap(w, pid, a + 2, 1);
    map_at(w, pid, a + 2, 1, R | FILED, 12);
    must(areas_of(w, pid) == 2);
    /* shared anonymous memory is an object of its own each time */
    map_at(w, pid, a + 100, 4, RW | SHARED, 0);
    map_at(w, pid, a + 104, 4, RW | SHARED, 0);
    must(areas_of(w, pid) == 4);
    must(dmt_os_protect(w->os, pid, a + 101, 1, R) == DMT_OS_OK && areas_of(w, pid) == 6);
    must(dmt_os_protect(w->os, pid, a + 101, 1, RW) == DMT_OS_OK && areas_of(w, pid) == 4);
    must(dmt_os_protect(w->os, pid, a + 100, 4, RW) == DMT_OS_OK && areas_of(w, pid) == 4);
    map_at(w, pid, a + 200, 8, RW | SHARED, 0);
    unmap(w, pid, a + 200, 4);
    map_at(w, pid, a + 200, 4, RW | SHARED, 0); /* goes on where the other begins, but is another's */
    must(areas_of(w, pid) == 6);
    done(w);
}

/* The kernel's choice against a search through all areas: the highest gap below its top, and else the
 * highest. */
Test(area, free_places_are_found_from_the_top)
{
    struct world *w = world_new();
    int pid = spawn(w);
    struct rng rng;
    uint64_t top = map(w, pid, 1, R | SMALL) + 1;

    rng_seed(&rng, 1, 0);
    for (unsigned round = 0; round < 3000; round++) {
        uint64_t pages = 1 + rng_below(&rng, 40), vpn = 0, want = 0, above = top;
        if (round % 3 == 2) {
            uint64_t from = top - 1 - rng_below(&rng, 4000);
            unmap(w, pid, from, 1 + rng_below(&rng, 60));
            continue;
        }
        uint64_t end_before[4000];
        uint64_t start_of[4000];
        unsigned n = 0, flags;
        struct dmt_vma v;
        for (uint64_t at = 0; dmt_os_area(w->os, pid, at, &v, &flags); at = v.vpn + v.pages) {
            start_of[n] = v.vpn;
            end_before[n++] = v.vpn + v.pages;
        }
        while (n > 0 && end_before[n - 1] > top) {
            n--;
        }
        for (;; n--) {
            uint64_t low = n > 0 ? end_before[n - 1] : 16;
            if (low + pages <= above) {
                want = above - pages;
                break;
            }
            above = start_of[n - 1];
        }
        must(dmt_os_map(w->os, pid, pages, (round % 2 ? R : RW) | SMALL, 0, 0, &vpn) == DMT_OS_OK);
        must(vpn == want, "not the highest free place");
    }
    must(map(w, pid, 1024, RW) % 512 == 0 && map(w, pid, 1024, RW | HUGE2M) % 512 == 0);
    must(map(w, pid, UINT64_C(1) << 18, RW | HUGE1G) % (UINT64_C(1) << 18) == 0);
    must(map(w, pid, UINT64_C(1) << 34, R | SMALL) != 0);
    done(w);
}

Test(area, remap)
{
    struct world *w = world_new();
    int pid = spawn(w);
    const uint64_t a = 0x10000;
    uint64_t to = 0;

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    map_at(w, pid, a, 20, RW | SMALL, 0);
    for (unsigned i = 0; i < 20; i++) {
        must(touch(w, 0, a + i, DMT_ACCESS_WRITE) == DMT_OS_OK);
    }
    uint64_t pfn = frame_at(w, pid, a + 4);
    must(dmt_os_remap(w->os, pid, a, 20, 30, false, &to) == DMT_OS_OK && to == a); /* in place */
    expect_area(w, pid, a, a, 30, RW | SMALL);
    to = 0;
    must(dmt_os_remap(w->os, pid, a, 30, 10, false, &to) == DMT_OS_OK && to == a);
    expect_area(w, pid, a, a, 10, RW | SMALL);
    must(touch(w, 0, a + 10, DMT_ACCESS_READ) == DMT_OS_NO_AREA);
    map_at(w, pid, a + 11, 5, RX, 0);
    to = 0;
    must(dmt_os_remap(w->os, pid, a, 10, 12, false, &to) == DMT_OS_NO_MEMORY && to == 0);
    must(dmt_os_remap(w->os, pid, a, 12, 14, true, &to) == DMT_OS_NO_AREA);
    must(dmt_os_remap(w->os, pid, a, 10, 12, true, &to) == DMT_OS_OK && to > a + 16);
    expect_area(w, pid, to, to, 12, RW | SMALL);
    must(frame_at(w, pid, a + 4) == 0 && frame_at(w, pid, to + 4) == pfn);
    must((leaf(w, pid, to + 4, NULL) & (DMT_PTE_D | DMT_PTE_W)) == (DMT_PTE_D | DMT_PTE_W));
    must(touch(w, 0, a + 4, DMT_ACCESS_READ) == DMT_OS_NO_AREA);
    must(touch(w, 0, to + 4, DMT_ACCESS_WRITE) == DMT_OS_OK);
    /* a part, to a place of the caller's, larger and smaller */
    uint64_t from = to;
    to = a + 14;
    must(dmt_os_remap(w->os, pid, from + 2, 4, 8, true, &to) == DMT_OS_BAD); /* taken */
    to = 0x20000;
    must(dmt_os_remap(w->os, pid, from + 2, 4, 8, false, &to) == DMT_OS_OK && to == 0x20000);
    must(frame_at(w, pid, to + 2) == pfn);
    expect_area(w, pid, from, from, 2, RW | SMALL);
    expect_area(w, pid, from + 2, from + 6, 6, RW | SMALL);
    expect_area(w, pid, to, to, 8, RW | SMALL);
    uint64_t back = from + 2;
    must(dmt_os_remap(w->os, pid, to, 8, 4, false, &back) == DMT_OS_OK && back == from + 2);
    expect_area(w, pid, from, from, 12, RW | SMALL); /* one again */
    must(frame_at(w, pid, from + 4) == pfn);
    done(w);
}

Test(area, remap_keeps_huge_pages_whole_where_it_can)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 1024, RW), to = 0;
    unsigned size;

    map_at(w, pid, a + 1024, 1, RX, 0); /* cannot grow there */
    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    dmt_os_settle(w->os);
    must(touch(w, 0, a + 3, DMT_ACCESS_WRITE) == DMT_OS_OK &&
         touch(w, 0, a + 600, DMT_ACCESS_READ) == DMT_OS_OK);
    uint64_t pfn = frame_at(w, pid, a + 3);
    must(dmt_os_remap(w->os, pid, a, 1024, 2048, true, &to) == DMT_OS_OK);
    must(leaf(w, pid, to + 3, &size) != 0 && size == DMT_SIZE_2M && frame_at(w, pid, to + 3) == pfn);
    must(touch(w, 0, to + 3, DMT_ACCESS_WRITE) == DMT_OS_OK);
    dmt_buddy_fail_after(w->buddy, 0);
    must(dmt_os_demote(w->os, pid, to) == DMT_OS_OK); /* a table is set aside for the new address */
    uint64_t none;
    must(!dmt_buddy_alloc(w->buddy, 0, &none));
    audit(w);
    uint64_t at = 0x100007; /* not the same place within its block */
    must(dmt_os_remap(w->os, pid, to, 1024, 1024, true, &at) == DMT_OS_OK && at == 0x100007);
    must(leaf(w, pid, at + 600, &size) != 0 && size == DMT_SIZE_4K && frame_at(w, pid, at + 3) == pfn);
    must(touch(w, 0, at + 600, DMT_ACCESS_READ) == DMT_OS_OK);
    done(w);
}

Test(area, hugetlb_pages_are_whole)
{
    struct world *w = world_with(UINT64_C(1) << 20);
    unsigned size;

    start(w);
    int pid = spawn(w);
    uint64_t a = map(w, pid, 2048, RW | HUGE2M), g = map(w, pid, UINT64_C(1) << 18, RW | HUGE1G), to = 0;
    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    must(touch(w, 0, a + 700, DMT_ACCESS_WRITE) == DMT_OS_OK &&
         touch(w, 0, g + 70000, DMT_ACCESS_READ) == DMT_OS_OK);
    must(leaf(w, pid, a + 700, &size) != 0 && size == DMT_SIZE_2M);
    must(leaf(w, pid, g + 70000, &size) != 0 && size == DMT_SIZE_1G);
    must(dmt_os_stats(w->os)->huge_faults == 2);
    must(dmt_os_unmap(w->os, pid, a + 100, 512) == DMT_OS_BAD &&
         dmt_os_unmap(w->os, pid, a, 100) == DMT_OS_BAD);
    must(dmt_os_protect(w->os, pid, a + 512, 1, R) == DMT_OS_BAD);
    must(dmt_os_remap(w->os, pid, a, 512, 513, true, &to) == DMT_OS_BAD);
    must(dmt_os_remap(w->os, pid, a + 1, 512, 512, true, &to) == DMT_OS_BAD);
    must(dmt_os_demote(w->os, pid, a + 700) == DMT_OS_BAD && dmt_os_promote(w->os, pid, a) == DMT_OS_BAD);
    must(dmt_os_reclaim(w->os, 1000) == 0); /* neither split nor reclaimed */
    must(dmt_os_protect(w->os, pid, a + 512, 512, R) == DMT_OS_OK &&
         dmt_os_protect(w->os, pid, g, 1u << 18, 0) == DMT_OS_OK);
    must(touch(w, 0, a + 700, DMT_ACCESS_WRITE) == DMT_OS_DENIED &&
         touch(w, 0, g, DMT_ACCESS_READ) == DMT_OS_DENIED);
    must(dmt_os_protect(w->os, pid, a + 512, 512, RW) == DMT_OS_OK &&
         dmt_os_protect(w->os, pid, g, 1u << 18, RW) == DMT_OS_OK);
    must(touch(w, 0, g + 5, DMT_ACCESS_WRITE) == DMT_OS_OK);
    uint64_t pfn = frame_at(w, pid, a + 700);
    must(dmt_os_remap(w->os, pid, a + 512, 512, 1024, true, &to) == DMT_OS_OK && to % 512 == 0);
    must(frame_at(w, pid, to + 188) == pfn);
    unmap(w, pid, to, 1024);
    must(dmt_buddy_is_free(w->buddy, pfn));
    /* fork copies at once */
    must(touch(w, 0, a + 5, DMT_ACCESS_WRITE) == DMT_OS_OK);
    uint64_t copied = dmt_os_stats(w->os)->copied;
    int child;
    must(dmt_os_fork(w->os, pid, &child) == DMT_OS_OK);
    must(dmt_os_stats(w->os)->copied == copied + 512 + (1 << 18));
    must(frame_at(w, child, a + 5) != 0 && frame_at(w, child, a + 5) != frame_at(w, pid, a + 5));
    must((page(w, child, g + 5, false)->rights & RW) == RW &&
         (page(w, pid, g + 5, false)->rights & RW) == RW);
    must(dmt_os_fork(w->os, pid, &child) == DMT_OS_OK);
    must(dmt_os_fork(w->os, pid, &child) == DMT_OS_NO_MEMORY); /* the fourth GiB has no place */
    done(w);
}

/* ------------------------------------------------------------ copy-on-write, files */

Test(fork, private_pages_are_shared_until_they_are_written)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 8, RW | SMALL);

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK && dmt_os_switch(w->os, 1, pid) == DMT_OS_OK);
    for (unsigned i = 0; i < 4; i++) {
        must(touch(w, i % 2, a + i, DMT_ACCESS_WRITE) == DMT_OS_OK);
    }
    uint64_t pfn = frame_at(w, pid, a);
    int child = fork_of(w, pid);
    must(page(w, pid, a, false)->rights == R && page(w, child, a, false)->rights == R);
    must(frame_at(w, child, a) == pfn && frame_at(w, pid, a) == pfn);
    must(touch(w, 0, a, DMT_ACCESS_READ) == DMT_OS_OK && frame_at(w, pid, a) == pfn);
    must(touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK && frame_at(w, pid, a) != pfn);
    must(dmt_os_stats(w->os)->cow_copied == 1 && dmt_os_stats(w->os)->cow_reused == 0);
    must(dmt_os_switch(w->os, 2, child) == DMT_OS_OK);
    must(touch(w, 2, a, DMT_ACCESS_WRITE) == DMT_OS_OK &&
         frame_at(w, child, a) == pfn); /* nobody else has it */
    must(dmt_os_stats(w->os)->cow_reused == 1);
    must(touch(w, 1, a, DMT_ACCESS_READ) == DMT_OS_OK); /* the other thread has seen the new frame */
    /* protect does not give W to what is shared */
    must(dmt_os_protect(w->os, pid, a, 8, R) == DMT_OS_OK &&
         dmt_os_protect(w->os, pid, a, 8, RW) == DMT_OS_OK);
    must(page(w, pid, a + 1, false)->rights == R && page(w, pid, a, false)->rights == RW);
    must(dmt_os_protect(w->os, pid, a, 8, 0) == DMT_OS_OK);
    int third = fork_of(w, pid);
    must(dmt_os_protect(w->os, pid, a, 8, RW) == DMT_OS_OK &&
         dmt_os_protect(w->os, third, a, 8, RW) == DMT_OS_OK);
    must(page(w, pid, a, false)->rights == R && frame_at(w, third, a) == frame_at(w, pid, a));
    must(dmt_os_switch(w->os, 2, -1) == DMT_OS_OK && dmt_os_exit(w->os, child) == DMT_OS_OK);
    must(dmt_os_exit(w->os, third) == DMT_OS_OK);
    uint64_t copied = dmt_os_stats(w->os)->cow_copied;
    must(touch(w, 0, a + 1, DMT_ACCESS_WRITE) == DMT_OS_OK && dmt_os_stats(w->os)->cow_copied == copied);
    done(w);
}

Test(fork, huge_pages_are_shared_and_split_when_they_are_written)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 512, RW);
    unsigned size;

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK && touch(w, 0, a + 9, DMT_ACCESS_WRITE) == DMT_OS_OK);
    uint64_t pfn = frame_at(w, pid, a);
    int child = fork_of(w, pid);
    must(dmt_os_switch(w->os, 1, child) == DMT_OS_OK);
    must(leaf(w, child, a, &size) != 0 && size == DMT_SIZE_2M && frame_at(w, child, a) == pfn);
    must(touch(w, 0, a + 9, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(leaf(w, pid, a, &size) != 0 && size == DMT_SIZE_4K && frame_at(w, pid, a + 9) != pfn + 9);
    must(frame_at(w, pid, a + 10) == pfn + 10 && leaf(w, child, a, &size) != 0 && size == DMT_SIZE_2M);
    must(dmt_os_stats(w->os)->demoted == 1 && dmt_os_stats(w->os)->copied == 1);
    /* frame 9 is the child's alone, the others are not: its huge page cannot be reused as one */
    must(touch(w, 1, a + 9, DMT_ACCESS_WRITE) == DMT_OS_OK && frame_at(w, child, a + 9) == pfn + 9);
    must(dmt_os_stats(w->os)->cow_reused == 1 && dmt_os_stats(w->os)->demoted == 2);
    must(touch(w, 1, a + 10, DMT_ACCESS_WRITE) == DMT_OS_OK && frame_at(w, child, a + 10) != pfn + 10);
    audit(w);
    unmap(w, pid, a, 512);
    must(!dmt_buddy_is_free(w->buddy, pfn + 9) && dmt_buddy_is_free(w->buddy, pfn + 10) &&
         !dmt_buddy_is_free(w->buddy, pfn));
    /* a huge page that is alone again is writable as one */
    uint64_t b = map(w, pid, 512, RW);
    must(touch(w, 0, b, DMT_ACCESS_WRITE) == DMT_OS_OK);
    int other = fork_of(w, pid);
    must(dmt_os_exit(w->os, other) == DMT_OS_OK);
    must(touch(w, 0, b + 1, DMT_ACCESS_WRITE) == DMT_OS_OK && leaf(w, pid, b, &size) != 0 &&
         size == DMT_SIZE_2M);
    /* a child can split what it got whatever memory is left (S4) */
    other = fork_of(w, pid);
    dmt_buddy_fail_after(w->buddy, 0);
    must(dmt_os_demote(w->os, other, b) == DMT_OS_OK && dmt_os_demote(w->os, pid, b) == DMT_OS_OK);
    must(!dmt_buddy_alloc(w->buddy, 0, &pfn));
    must(dmt_os_exit(w->os, other) == DMT_OS_OK && dmt_os_promote(w->os, pid, b) == DMT_OS_OK);
    /* shared huge pages whose other owner goes away after a split */
    other = fork_of(w, pid);
    must(touch(w, 0, b + 1, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_exit(w->os, other) == DMT_OS_OK);
    must(touch(w, 0, b + 2, DMT_ACCESS_WRITE) == DMT_OS_OK);
    done(w);
}

Test(file, cached_pages_are_shared_and_private_ones_copied_when_written)
{
    struct world *w = world_new();
    int pid = spawn(w), other = spawn(w);
    uint64_t s = map(w, pid, 8, RW | SHARED | FILED), p = map(w, other, 8, RW | FILED),
             r = map(w, other, 8, RX | FILED);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK && dmt_os_switch(w->os, 1, other) == DMT_OS_OK);
    must(touch(w, 0, s + 1, DMT_ACCESS_WRITE) == DMT_OS_OK &&
         touch(w, 1, p + 1, DMT_ACCESS_READ) == DMT_OS_OK);
    must(touch(w, 1, r + 1, DMT_ACCESS_EXECUTE) == DMT_OS_OK);
    uint64_t pfn = frame_at(w, pid, s + 1);
    must(frame_at(w, other, p + 1) == pfn && frame_at(w, other, r + 1) == pfn &&
         page(w, other, p + 1, false)->rights == R);
    must(st->minor_file == 3 && st->zeroed == 0 && st->anon == 0);
    must(touch(w, 1, p + 1, DMT_ACCESS_WRITE) == DMT_OS_OK && frame_at(w, other, p + 1) != pfn);
    must(touch(w, 1, p + 2, DMT_ACCESS_WRITE) == DMT_OS_OK &&
         st->cow_copied == 2); /* at once, from the cache */
    must(touch(w, 0, s + 2, DMT_ACCESS_READ) == DMT_OS_OK &&
         frame_at(w, pid, s + 2) != frame_at(w, other, p + 2));
    must(touch(w, 1, r + 1, DMT_ACCESS_READ) == DMT_OS_OK && frame_at(w, other, r + 1) == pfn);
    unmap(w, pid, s, 8);
    unmap(w, other, r, 8);
    must(!dmt_buddy_is_free(w->buddy, pfn)); /* cached */
    uint64_t again = map(w, pid, 8, R | FILED);
    must(touch(w, 0, again + 1, DMT_ACCESS_READ) == DMT_OS_OK && frame_at(w, pid, again + 1) == pfn);
    unmap(w, pid, again, 8);
    uint64_t written = st->written;
    must(dmt_os_reclaim(w->os, 2) == 2 && dmt_buddy_is_free(w->buddy, pfn)); /* nobody maps them */
    must(st->written == written + 1); /* s + 1 was written, s + 2 only read */
    done(w);
}

Test(file, shared_anonymous_memory_is_seen_by_children_and_survives_reclaim)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t s = map(w, pid, 600, RW | SHARED), late = s + 500;
    const struct dmt_os_stats *st = dmt_os_stats(w->os);
    unsigned size;

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    must(touch(w, 0, s, DMT_ACCESS_WRITE) == DMT_OS_OK && leaf(w, pid, s, &size) != 0 && size == DMT_SIZE_4K);
    must(touch(w, 0, s + 1, DMT_ACCESS_READ) == DMT_OS_OK);
    int child = fork_of(w, pid);
    must(dmt_os_switch(w->os, 1, child) == DMT_OS_OK);
    must(touch(w, 1, s, DMT_ACCESS_WRITE) == DMT_OS_OK && frame_at(w, child, s) == frame_at(w, pid, s));
    must(touch(w, 1, late, DMT_ACCESS_WRITE) == DMT_OS_OK && touch(w, 0, late, DMT_ACCESS_READ) == DMT_OS_OK);
    must(frame_at(w, child, late) == frame_at(w, pid, late) && page(w, pid, late, false)->rights == RW);
    must(dmt_os_reclaim(w->os, 100) == 3);
    must(st->written == 2 && st->resident == 0);
    uint64_t in = st->swapped_in;
    must(touch(w, 0, late, DMT_ACCESS_READ) == DMT_OS_OK && touch(w, 1, late, DMT_ACCESS_READ) == DMT_OS_OK);
    must(frame_at(w, child, late) == frame_at(w, pid, late) && st->swapped_in == in + 1);
    must(dmt_os_switch(w->os, 1, -1) == DMT_OS_OK && dmt_os_exit(w->os, child) == DMT_OS_OK);
    uint64_t pfn = frame_at(w, pid, late);
    unmap(w, pid, s, 600);
    must(dmt_buddy_is_free(w->buddy, pfn)); /* it goes with its last area */
    done(w);
}

/* ------------------------------------------------------------ huge pages */

Test(huge, at_a_fault_where_nothing_is_and_a_block_is_free)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 2000, RW);
    unsigned size;

    must(a % 512 == 0);
    fault(w, pid, a + 700, DMT_ACCESS_WRITE);
    uint64_t e = leaf(w, pid, a + 512, &size);
    must(size == DMT_SIZE_2M &&
         (e & (DMT_PTE_PS | DMT_PTE_A | DMT_PTE_D)) == (DMT_PTE_PS | DMT_PTE_A | DMT_PTE_D));
    must(dmt_os_stats(w->os)->huge_faults == 1 && dmt_os_stats(w->os)->zeroed == 512 &&
         dmt_os_stats(w->os)->resident == 512);
    fault(w, pid, a + 1700, DMT_ACCESS_READ); /* the area ends within its block */
    must(leaf(w, pid, a + 1700, &size) != 0 && size == DMT_SIZE_4K);
    dmt_buddy_fail_after(w->buddy, 0);
    fault(w, pid, a + 3, DMT_ACCESS_READ); /* no block */
    must(leaf(w, pid, a + 3, &size) != 0 && size == DMT_SIZE_4K);
    fault(w, pid, a + 4, DMT_ACCESS_READ); /* something is mapped there */
    must(leaf(w, pid, a + 4, &size) != 0 && size == DMT_SIZE_4K);
    must(dmt_os_reclaim(w->os, 2) == 2); /* the table of block 0 is empty now, perhaps others' pages went */
    uint64_t b = map(w, pid, 512, RW | SMALL), f = map(w, pid, 512, RW | FILED);
    fault(w, pid, b, DMT_ACCESS_READ);
    fault(w, pid, f, DMT_ACCESS_READ);
    must(leaf(w, pid, b, &size) != 0 && size == DMT_SIZE_4K && leaf(w, pid, f, &size) != 0 &&
         size == DMT_SIZE_4K);
    done(w);
}

Test(huge, a_table_that_has_become_empty_gives_way)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 512, RW);
    unsigned size;

    dmt_buddy_fail_after(w->buddy, 0);
    fault(w, pid, a + 3, DMT_ACCESS_READ);
    must(dmt_os_reclaim(w->os, 1) == 1 && leaf(w, pid, a + 3, NULL) == 0);
    fault(w, pid, a + 3, DMT_ACCESS_WRITE);
    must(leaf(w, pid, a, &size) != 0 && size == DMT_SIZE_2M);
    must(dmt_os_demote(w->os, pid, a + 5) == DMT_OS_OK && leaf(w, pid, a + 511, &size) != 0 &&
         size == DMT_SIZE_4K);
    done(w);
}

Test(huge, partial_operations_split_first)
{
    struct world *w = world_new();
    int pid = spawn(w);
    unsigned size;

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    for (unsigned settle = 0; settle < 2; settle++) {
        uint64_t a = map(w, pid, 1024, RW);
        if (settle) {
            dmt_os_settle(w->os);
        }
        must(touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK &&
             touch(w, 0, a + 512, DMT_ACCESS_READ) == DMT_OS_OK);
        uint64_t pfn = frame_at(w, pid, a);
        for (unsigned i = 0; i < 512; i += 100) {
            must(touch(w, 0, a + i, DMT_ACCESS_READ) == DMT_OS_OK);
        }
        unmap(w, pid, a + 100, 10);
        must(leaf(w, pid, a, &size) != 0 && size == DMT_SIZE_4K &&
             (leaf(w, pid, a + 5, NULL) & DMT_PTE_D) != 0);
        must(dmt_buddy_is_free(w->buddy, pfn + 100) && !dmt_buddy_is_free(w->buddy, pfn + 99));
        must(touch(w, 0, a + 100, DMT_ACCESS_READ) == DMT_OS_NO_AREA &&
             touch(w, 0, a + 300, DMT_ACCESS_WRITE) == DMT_OS_OK);
        must(leaf(w, pid, a + 512, &size) != 0 && size == DMT_SIZE_2M);
        must(dmt_os_protect(w->os, pid, a + 1000, 24, R) == DMT_OS_OK); /* one edge of the second */
        must(leaf(w, pid, a + 512, &size) != 0 && size == DMT_SIZE_4K);
        must(touch(w, 0, a + 1001, DMT_ACCESS_WRITE) == DMT_OS_DENIED &&
             touch(w, 0, a + 999, DMT_ACCESS_WRITE) == DMT_OS_OK);
        audit(w);
        unmap(w, pid, a, 1024);
        must(dmt_buddy_is_free(w->buddy, pfn));
    }
    /* whole huge pages are protected whole, no rights included, and split in that state too */
    uint64_t a = map(w, pid, 512, RW);
    must(touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK && dmt_os_protect(w->os, pid, a, 512, 0) == DMT_OS_OK);
    must(leaf(w, pid, a, &size) != 0 && size == DMT_SIZE_2M &&
         touch(w, 0, a, DMT_ACCESS_READ) == DMT_OS_DENIED);
    must(dmt_os_protect(w->os, pid, a, 10, R) == DMT_OS_OK && leaf(w, pid, a + 10, &size) != 0 &&
         size == DMT_SIZE_4K);
    must(touch(w, 0, a + 9, DMT_ACCESS_READ) == DMT_OS_OK &&
         touch(w, 0, a + 10, DMT_ACCESS_READ) == DMT_OS_DENIED);
    done(w);
}

Test(huge, promotion)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 1024, RW);
    unsigned size;

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    for (unsigned i = 0; i < 512; i += 2) {
        dmt_buddy_fail_after(w->buddy, i == 0 ? 0 : UINT64_MAX);
        if (i == 510) { /* one too few */
            must(dmt_os_promote(w->os, pid, a) == DMT_OS_BAD);
        }
        must(touch(w, 0, a + i, i == 4 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ) == DMT_OS_OK);
    }
    must(dmt_os_promote(w->os, pid, a + 1) == DMT_OS_BAD &&
         dmt_os_promote(w->os, pid, a + 512) == DMT_OS_BAD);
    must(dmt_os_promote(w->os, 9, a) == DMT_OS_BAD);
    dmt_buddy_fail_after(w->buddy, 0);
    must(dmt_os_promote(w->os, pid, a) == DMT_OS_NO_MEMORY);
    int child = fork_of(w, pid);
    must(dmt_os_promote(w->os, pid, a) == DMT_OS_BAD); /* shared */
    must(dmt_os_exit(w->os, child) == DMT_OS_OK);
    uint64_t old = frame_at(w, pid, a + 4);
    must(dmt_os_khugepaged(w->os, 100) == 1);
    uint64_t e = leaf(w, pid, a, &size);
    must(size == DMT_SIZE_2M && (e & (DMT_PTE_W | DMT_PTE_D)) == (DMT_PTE_W | DMT_PTE_D));
    must(dmt_buddy_is_free(w->buddy, old) && dmt_os_stats(w->os)->copied == 256 &&
         dmt_os_stats(w->os)->promoted == 1);
    must(dmt_os_stats(w->os)->resident == 512);
    must(touch(w, 0, a + 4, DMT_ACCESS_READ) == DMT_OS_OK &&
         touch(w, 0, a + 5, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_promote(w->os, pid, a) == DMT_OS_BAD && dmt_os_demote(w->os, pid, a + 600) == DMT_OS_BAD);
    must(dmt_os_demote(w->os, pid, a) == DMT_OS_OK && dmt_os_demote(w->os, pid, a) == DMT_OS_BAD);
    must(dmt_os_khugepaged(w->os, 1) + dmt_os_khugepaged(w->os, 1) + dmt_os_khugepaged(w->os, 1) == 1);
    must(dmt_os_khugepaged(w->os, 1000) == 0);
    must(dmt_os_protect(w->os, pid, a, 1024, 0) == DMT_OS_OK);
    must(dmt_os_demote(w->os, pid, a) == DMT_OS_OK && dmt_os_promote(w->os, pid, a) == DMT_OS_BAD);
    done(w);
}

/* ------------------------------------------------------------ reclaim and dirty pages */

Test(reclaim, what_is_accessed_stays_and_what_is_clean_is_not_written)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 16, RW | SMALL);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK && dmt_os_switch(w->os, 1, pid) == DMT_OS_OK);
    for (unsigned i = 0; i < 8; i++) {
        must(touch(w, i % 2, a + i, i < 3 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ) == DMT_OS_OK);
    }
    must(dmt_os_reclaim(w->os, 5) == 5);
    must(w->cleaned == 5 && w->dropped == 2 && st->written == 3 && st->reclaimed == 5 && st->resident == 3);
    must(leaf(w, pid, a + 4, NULL) == 0 && (leaf(w, pid, a, NULL) & DMT_PTE_P) == 0 &&
         leaf(w, pid, a, NULL) != 0);
    must(touch(w, 0, a + 6, DMT_ACCESS_READ) == DMT_OS_OK);
    uint64_t pfn = frame_at(w, pid, a + 6);
    /* the TLB does not set A again; software cannot tell, and may take the page: a walk does set it */
    tlb_drop(w, 0, w->state[0].level[0].cr3 & 0xfff, a + 6);
    must(touch(w, 0, a + 6, DMT_ACCESS_READ) == DMT_OS_OK);
    must(dmt_os_reclaim(w->os, 2) == 2 &&
         frame_at(w, pid, a + 6) == pfn); /* accessed since: the others went */
    uint64_t in = st->swapped_in, zeroed = st->zeroed;
    must(touch(w, 1, a, DMT_ACCESS_READ) == DMT_OS_OK && st->swapped_in == in + 1);
    must(touch(w, 1, a + 4, DMT_ACCESS_READ) == DMT_OS_OK && st->zeroed == zeroed + 1);
    must(page(w, pid, a, false)->rights == RW);
    uint64_t written = st->written;
    must(dmt_os_reclaim(w->os, 16) == 3 && st->written == written); /* the slot still holds page a */
    must(touch(w, 1, a, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_reclaim(w->os, 16) == 1 && st->written == written + 1);
    must(dmt_os_reclaim(w->os, 16) == 0);
    unmap(w, pid, a, 16); /* with swap entries */
    done(w);
}

Test(reclaim, shared_frames_and_swap_entries)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 4, RW | SMALL);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK && touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK);
    int child = fork_of(w, pid), third = fork_of(w, pid);
    must(dmt_os_switch(w->os, 1, child) == DMT_OS_OK && dmt_os_switch(w->os, 2, third) == DMT_OS_OK);
    must(dmt_os_reclaim(w->os, 9) == 1 && st->written == 1); /* once for all three */
    must(touch(w, 0, a, DMT_ACCESS_READ) == DMT_OS_OK && touch(w, 1, a, DMT_ACCESS_READ) == DMT_OS_OK);
    must(frame_at(w, pid, a) == frame_at(w, child, a)); /* one frame again */
    must(page(w, pid, a, false)->rights == R && page(w, child, a, false)->rights == R);
    must(touch(w, 1, a, DMT_ACCESS_WRITE) == DMT_OS_OK && frame_at(w, pid, a) != frame_at(w, child, a));
    uint64_t copied = st->cow_copied;
    must(touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK &&
         st->cow_copied == copied + 1); /* the third's swap entry */
    int fourth = fork_of(w, third);     /* swap entries are inherited */
    must(touch(w, 2, a, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_switch(w->os, 2, fourth) == DMT_OS_OK);
    must(touch(w, 2, a, DMT_ACCESS_READ) == DMT_OS_OK);
    must(page(w, fourth, a, false)->rights == RW); /* the last one has it alone */
    must(frame_at(w, fourth, a) != frame_at(w, third, a));
    audit(w);
    must(dmt_os_reclaim(w->os, 99) == 4);
    must(dmt_os_exit(w->os, third) == DMT_OS_OK);
    done(w);
}

Test(reclaim, a_frame_that_one_lost_and_another_still_maps)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 4, RW | SMALL);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK && touch(w, 0, a, DMT_ACCESS_WRITE) == DMT_OS_OK);
    int child = fork_of(w, pid);
    must(dmt_os_switch(w->os, 1, child) == DMT_OS_OK);
    must(dmt_os_protect(w->os, child, a, 4, 0) == DMT_OS_OK); /* kept, though not present */
    uint64_t pfn = frame_at(w, pid, a);
    tlb_drop(w, 0, w->state[0].level[0].cr3 & 0xfff, UINT64_MAX);
    must(dmt_os_reclaim(w->os, 0) == 0);
    must(dmt_os_reclaim(w->os, 9) == 1 && dmt_buddy_is_free(w->buddy, pfn) && st->written == 1);
    must(dmt_os_protect(w->os, child, a, 4, R) == DMT_OS_OK && touch(w, 1, a, DMT_ACCESS_READ) == DMT_OS_OK);
    must(touch(w, 0, a, DMT_ACCESS_READ) == DMT_OS_OK && frame_at(w, pid, a) == frame_at(w, child, a));
    done(w);
}

Test(reclaim, huge_pages_are_split_and_dirt_is_not_lost)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 512, RW);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK && touch(w, 0, a + 3, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_reclaim(w->os, 10) == 10 && st->written == 10 && st->demoted == 1 && st->resident == 502);
    must(touch(w, 0, a + 3, DMT_ACCESS_READ) == DMT_OS_OK);
    uint64_t dirty = 0;
    must(dmt_os_collect_dirty(w->os, pid, a, 512, &dirty) == DMT_OS_OK && dirty == 502);
    must(dmt_os_collect_dirty(w->os, pid, a, 512, &dirty) == DMT_OS_OK && dirty == 0);
    uint64_t dropped = w->dropped, written = st->written;
    must(dmt_os_reclaim(w->os, 512) == 503);
    must(w->dropped == dropped + 1 && st->written == written + 502); /* collected is not written */
    /* what was swapped out and promoted since is nowhere else */
    for (unsigned i = 0; i < 512; i++) {
        must(touch(w, 0, a + i, DMT_ACCESS_READ) == DMT_OS_OK);
    }
    must(dmt_os_promote(w->os, pid, a) == DMT_OS_OK && (leaf(w, pid, a, NULL) & DMT_PTE_D) == 0);
    written = st->written;
    must(dmt_os_reclaim(w->os, 512) == 512 && st->written == written + 512);
    unmap(w, pid, a, 512);
    /* and what was collected and promoted since */
    map_at(w, pid, a, 512, RW, 0);
    for (unsigned i = 0; i < 512; i++) {
        dmt_buddy_fail_after(w->buddy, i == 0 ? 0 : UINT64_MAX);
        must(touch(w, 0, a + i, DMT_ACCESS_WRITE) == DMT_OS_OK);
    }
    must(dmt_os_collect_dirty(w->os, pid, a, 512, &dirty) == DMT_OS_OK && dirty == 512);
    must(dmt_os_promote(w->os, pid, a) == DMT_OS_OK && (leaf(w, pid, a, NULL) & DMT_PTE_D) == 0);
    written = st->written;
    must(dmt_os_reclaim(w->os, 512) == 512 && st->written == written + 512);
    done(w);
}

Test(reclaim, dirty_pages_are_collected_once_and_stores_after_it_are_seen)
{
    struct world *w = world_new();
    int pid = spawn(w);
    uint64_t a = map(w, pid, 2048, RW), dirty = 0;

    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    must(touch(w, 0, a + 512, DMT_ACCESS_WRITE) == DMT_OS_OK && touch(w, 0, a, DMT_ACCESS_READ) == DMT_OS_OK);
    must(dmt_os_collect_dirty(w->os, pid, a, 2048, &dirty) == DMT_OS_OK && dirty == 512 && w->cleaned == 512);
    must(touch(w, 0, a + 512, DMT_ACCESS_WRITE) == DMT_OS_OK); /* the TLB entry with D is gone */
    must((leaf(w, pid, a + 512, NULL) & DMT_PTE_D) != 0);
    must(dmt_os_collect_dirty(w->os, pid, a + 600, 10, &dirty) == DMT_OS_OK &&
         dirty == 10); /* split at the edges */
    must(dmt_os_collect_dirty(w->os, pid, a, 2048, &dirty) == DMT_OS_OK && dirty == 502);
    must(dmt_os_collect_dirty(w->os, pid, a, 0, &dirty) == DMT_OS_BAD &&
         dmt_os_collect_dirty(w->os, 9, a, 1, &dirty) == DMT_OS_BAD);
    must(dmt_os_collect_dirty(w->os, pid, UINT64_C(1) << 35, 1, &dirty) == DMT_OS_BAD);
    done(w);
}

/* Each step finds pages that were only read until the moment in which their entry changes (S1). */
Test(reclaim, a_store_at_the_last_moment_is_not_lost)
{
    struct world *w = world_new();
    int pid = spawn(w), child;
    uint64_t a = map(w, pid, 16, RW | SMALL), h = map(w, pid, 1024, RW),
             s = map(w, pid, 4, RW | SHARED | FILED);
    uint64_t to = 0, dirty = 0;
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    for (unsigned i = 0; i < 8; i++) {
        fault(w, pid, a + i, DMT_ACCESS_READ);
    }
    fault(w, pid, s, DMT_ACCESS_READ);
    fault(w, pid, h, DMT_ACCESS_READ);
    for (unsigned i = 0; i < 512; i++) {
        dmt_buddy_fail_after(w->buddy, i == 0 ? 0 : UINT64_MAX);
        fault(w, pid, h + 512 + i, DMT_ACCESS_READ);
    }
    must((leaf(w, pid, a, NULL) & DMT_PTE_D) == 0 && (leaf(w, pid, h, NULL) & DMT_PTE_D) == 0);
    w->race = true;
    must(dmt_os_protect(w->os, pid, a, 1, R) == DMT_OS_OK && (leaf(w, pid, a, NULL) & DMT_PTE_D) != 0);
    must(dmt_os_protect(w->os, pid, a + 1, 1, 0) == DMT_OS_OK &&
         (leaf(w, pid, a + 1, NULL) & DMT_PTE_D) != 0);
    must(dmt_os_remap(w->os, pid, a + 2, 1, 2, true, &to) == DMT_OS_OK &&
         (leaf(w, pid, to, NULL) & DMT_PTE_D) != 0);
    must(dmt_os_collect_dirty(w->os, pid, a + 4, 1, &dirty) == DMT_OS_OK && dirty == 0);
    must(dmt_os_demote(w->os, pid, h) == DMT_OS_OK && (leaf(w, pid, h + 5, NULL) & DMT_PTE_D) != 0);
    must(dmt_os_promote(w->os, pid, h + 512) == DMT_OS_OK && (leaf(w, pid, h + 512, NULL) & DMT_PTE_D) != 0);
    unmap(w, pid, s, 4);
    must(dmt_os_reclaim(w->os, 1) == 1 && st->written == 1);
    must(dmt_os_fork(w->os, pid, &child) == DMT_OS_OK);
    must((leaf(w, pid, a + 5, NULL) & DMT_PTE_D) != 0 && (leaf(w, child, a + 5, NULL) & DMT_PTE_D) != 0);
    must(dmt_os_exit(w->os, child) == DMT_OS_OK);
    unmap(w, pid, a, 16);
    unmap(w, pid, to, 2);
    unmap(w, pid, h, 1024);
    a = map(w, pid, 4, RW | SMALL);
    w->race = false;
    fault(w, pid, a, DMT_ACCESS_READ);
    fault(w, pid, a + 1, DMT_ACCESS_READ);
    must(dmt_os_reclaim(w->os, 1) == 1 && w->dropped == 1); /* the front hand has passed both */
    w->race = true;
    must(dmt_os_reclaim(w->os, 1) == 1 && st->written == 2 && w->dropped == 1);
    done(w);
}

/* ------------------------------------------------------------ threads */

Test(thread, a_switch_is_two_writes_with_set_load)
{
    struct world *w = world_new();
    int a = spawn(w), b = spawn(w);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    for (unsigned i = 0; i < 30; i++) { /* areas for all registers */
        map_at(w, a, 0x100000 * (i + 1), 600, RW, 0);
        map_at(w, b, 0x110000 * (i + 1), 600, RW, 0);
    }
    dmt_os_settle(w->os);
    uint64_t before = st->csr_switch, csrs = w->csrs;
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->csrs == csrs + 2 && w->loads == 1);
    audit(w);
    must(w->state[0].tea[0][15].valid);
    must(dmt_os_switch(w->os, 0, b) == DMT_OS_OK && w->csrs == csrs + 4 && w->noflush == 0);
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->csrs == csrs + 6 && w->noflush == 1);
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->csrs == csrs + 6);
    must(st->csr_switch == before + 6 && st->switches == 3);
    must(dmt_os_switch(w->os, 0, -1) == DMT_OS_OK && w->csrs == csrs + 6 && st->lazy == 1);
    must(dmt_os_running(w->os, 0) == -1 && dmt_os_loaded(w->os, 0) == a && w->running[0] == -1);
    must(dmt_os_switch(w->os, 0, -1) == DMT_OS_OK && st->lazy == 1);
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->csrs == csrs + 6); /* nothing was missed */
    must(st->csr_switch == before + 6);
    done(w);
}

Test(thread, and_at_most_49_without)
{
    struct world *w = world_with(FRAMES);

    w->o.set_load = false;
    start(w);
    int a = spawn(w), b = spawn(w), empty = spawn(w);
    for (unsigned i = 0; i < 30; i++) {
        map_at(w, a, 0x100000 * (i + 1), 600, RW, 0);
        map_at(w, b, 0x110000 * (i + 1), 600, RW, 0);
    }
    dmt_os_settle(w->os);
    uint64_t csrs = w->csrs;
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->csrs == csrs + 49 && w->loads == 0);
    audit(w);
    must(dmt_os_switch(w->os, 0, b) == DMT_OS_OK && w->csrs == csrs + 98);
    audit(w);
    must(dmt_os_switch(w->os, 0, empty) == DMT_OS_OK && w->csrs == csrs + 98 + 17); /* P=0 alone */
    audit(w);
    must(dmt_os_switch(w->os, 0, b) == DMT_OS_OK);
    done(w);
}

Test(thread, processes_beyond_the_images_are_loaded_by_single_writes)
{
    struct world *w = world_with(FRAMES);

    w->p.images = 1;
    start(w);
    int a = spawn(w), b = spawn(w);
    map(w, a, 5000, RW);
    map(w, b, 5000, RW);
    dmt_os_settle(w->os);
    must(dmt_os_switch(w->os, 0, b) == DMT_OS_OK && w->loads == 0);
    audit(w);
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->loads == 1);
    audit(w);
    must(dmt_os_switch(w->os, 0, b) == DMT_OS_OK && w->loads == 1);
    done(w);
}

Test(thread, six_spaces_keep_their_entries)
{
    struct world *w = world_new();
    int pid[8];
    uint64_t vpn[8];

    for (unsigned i = 0; i < 8; i++) {
        pid[i] = spawn(w);
        vpn[i] = map(w, pid[i], 4, RW | SMALL);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 6; i++) {
            must(dmt_os_switch(w->os, 0, pid[i]) == DMT_OS_OK);
            must(touch(w, 0, vpn[i], DMT_ACCESS_WRITE) == DMT_OS_OK);
        }
    }
    must(w->noflush == 6);
    must(dmt_os_switch(w->os, 0, pid[6]) == DMT_OS_OK && w->noflush == 6); /* takes the place of 0 */
    must(touch(w, 0, vpn[6], DMT_ACCESS_READ) == DMT_OS_OK);
    must(dmt_os_switch(w->os, 0, pid[1]) == DMT_OS_OK && w->noflush == 7);
    must(dmt_os_switch(w->os, 0, pid[0]) == DMT_OS_OK && w->noflush == 7);
    must(touch(w, 0, vpn[0], DMT_ACCESS_READ) == DMT_OS_OK);
    /* a space whose pages have changed meanwhile comes back with a flush (K6) */
    uint64_t flushed = w->flushed;
    unmap(w, pid[6], vpn[6], 1);
    must(w->flushed == flushed + 2); /* not on thread 0 yet, which is stale */
    must(dmt_os_switch(w->os, 0, pid[6]) == DMT_OS_OK && w->noflush == 7 && w->flushed == flushed + 3);
    must(touch(w, 0, vpn[6], DMT_ACCESS_READ) == DMT_OS_NO_AREA);
    /* a stale slot that is given away has been flushed by that */
    unmap(w, pid[1], vpn[1], 1);
    flushed = w->flushed;
    for (unsigned i = 2; i < 8; i++) {
        must(dmt_os_switch(w->os, 0, pid[i]) == DMT_OS_OK);
    }
    must(w->flushed == flushed + 1);
    /* a process that ends leaves its slot; the next one there flushes */
    must(dmt_os_exit(w->os, pid[3]) == DMT_OS_OK);
    int other = spawn(w);
    map_at(w, other, vpn[3], 4, RW | SMALL, 0);
    must(dmt_os_switch(w->os, 0, other) == DMT_OS_OK && touch(w, 0, vpn[3], DMT_ACCESS_WRITE) == DMT_OS_OK);
    done(w);
}

Test(thread, without_pcids_every_switch_flushes)
{
    struct world *w = world_with(FRAMES);

    w->o.pcid = false;
    start(w);
    int a = spawn(w), b = spawn(w);
    uint64_t x = map(w, a, 4, RW | SMALL);
    map_at(w, b, x, 4, RW | SMALL, 0);
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && touch(w, 0, x, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_switch(w->os, 0, -1) == DMT_OS_OK);
    unmap(w, a, x + 1, 1);
    fault(w, a, x + 2, DMT_ACCESS_READ);
    must(walk(w, 0, x + 2, DMT_ACCESS_READ, false) == DMT_STATUS_OK); /* speculatively, while lazy */
    unmap(w, a, x + 2, 1);
    must(dmt_os_stats(w->os)->deferred == 1);
    uint64_t flushed = w->flushed;
    must(dmt_os_switch(w->os, 0, b) == DMT_OS_OK && w->flushed == flushed + 1);
    must(touch(w, 0, x, DMT_ACCESS_WRITE) == DMT_OS_OK && frame_at(w, a, x) != frame_at(w, b, x));
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && touch(w, 0, x, DMT_ACCESS_READ) == DMT_OS_OK);
    must(w->noflush == 0);
    done(w);
}

Test(thread, lazy_threads_make_up_for_flushes_and_never_for_tables)
{
    struct world *w = world_new();
    int a = spawn(w);
    uint64_t x = map(w, a, 64, RW | SMALL);
    const struct dmt_os_stats *st = dmt_os_stats(w->os);

    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && dmt_os_switch(w->os, 1, a) == DMT_OS_OK);
    for (unsigned i = 0; i < 64; i++) {
        must(touch(w, 0, x + i, DMT_ACCESS_WRITE) == DMT_OS_OK &&
             touch(w, 1, x + i, DMT_ACCESS_READ) == DMT_OS_OK);
    }
    must(dmt_os_switch(w->os, 0, -1) == DMT_OS_OK);
    uint64_t invs = w->invs, ipis = st->ipis, flushed = w->flushed;
    must(dmt_os_protect(w->os, a, x, 4, R) == DMT_OS_OK);
    must(w->invs == invs + 4 && st->ipis == ipis + 1 && st->deferred == 1); /* thread 1 alone */
    must(w->flushed == flushed + 2); /* and thread 2, which has nothing of it */
    must(dmt_os_protect(w->os, a, x + 10, 4, 0) == DMT_OS_OK && st->deferred == 2);
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->contexts == 1); /* once for both */
    must(w->flushed == flushed + 5);
    must(touch(w, 0, x, DMT_ACCESS_WRITE) == DMT_OS_DENIED &&
         touch(w, 0, x + 10, DMT_ACCESS_READ) == DMT_OS_DENIED);
    must(dmt_os_protect(w->os, a, x, 32, RX) == DMT_OS_OK && dmt_os_protect(w->os, a, x, 32, R) == DMT_OS_OK);
    must(w->contexts == 1);
    must(dmt_os_protect(w->os, a, x, 64, RX) == DMT_OS_OK && w->contexts == 1); /* 32 lose W */
    must(dmt_os_protect(w->os, a, x, 33, R) == DMT_OS_OK &&
         w->contexts == 3); /* the context, on two threads */
    must(dmt_os_protect(w->os, a, x, 64, R) == DMT_OS_OK && w->contexts == 3);
    /* tables go: the lazy thread is told at once, of all that it has missed */
    must(dmt_os_switch(w->os, 0, -1) == DMT_OS_OK);
    uint64_t deferred = st->deferred;
    unmap(w, a, x, 64);
    must(st->deferred == deferred + 1);
    must(HASH_COUNT(w->tlb) == 0);
    uint64_t csrs = w->csrs;
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && w->csrs == csrs);
    done(w);
}

Test(thread, a_process_that_ends_is_taken_off_lazy_threads)
{
    struct world *w = world_new();
    int a = spawn(w);
    uint64_t x = map(w, a, 5000, RW);

    dmt_os_settle(w->os);
    must(dmt_os_switch(w->os, 0, a) == DMT_OS_OK && touch(w, 0, x, DMT_ACCESS_WRITE) == DMT_OS_OK);
    must(dmt_os_switch(w->os, 1, a) == DMT_OS_OK);
    must(dmt_os_exit(w->os, a) == DMT_OS_BUSY);
    must(dmt_os_switch(w->os, 0, -1) == DMT_OS_OK && dmt_os_exit(w->os, a) == DMT_OS_BUSY);
    must(dmt_os_switch(w->os, 1, -1) == DMT_OS_OK && dmt_os_exit(w->os, a) == DMT_OS_OK);
    must(dmt_os_loaded(w->os, 0) == -1 && dmt_os_loaded(w->os, 1) == -1);
    audit(w);
    must(walk(w, 0, x, DMT_ACCESS_READ, true) == DMT_STATUS_PF);
    int b = spawn(w);
    must(b == a); /* the same number, and its image is empty */
    must(dmt_os_switch(w->os, 0, b) == DMT_OS_OK);
    audit(w);
    must(touch(w, 0, x, DMT_ACCESS_READ) == DMT_OS_NO_AREA);
    done(w);
}

/* ------------------------------------------------------------ out of memory (K8) */

/* What a program can see: areas, and which page is which frame. */
static uint64_t visible(struct world *w)
{
    uint64_t h = 0;
    struct page *p, *next;

    HASH_ITER(hh, w->pages, p, next)
    {
        if (p->mapped) { /* in any order; W is not seen: a store faults, and is done */
            h += (p->key.pid * 31 + p->key.vpn) * UINT64_C(0x9e3779b97f4a7c15) ^ p->pfn * 77 ^
                 (p->rights & RX);
        }
    }
    for (int pid = 1; pid < PIDS; pid++) {
        struct dmt_vma v;
        unsigned flags;
        for (uint64_t at = 0; dmt_os_area(w->os, pid, at, &v, &flags); at = v.vpn + v.pages) {
            h = h * 31 + v.vpn * 7 + v.pages * 5 + flags;
        }
    }
    return h;
}

static uint64_t tables_of(struct world *w, int pid)
{
    const struct dmt_space *s = dmt_os_space(w->os, pid);

    return s == NULL ? 0 : dmt_space_stats(s)->tables;
}

enum { STEPS = 22 };

/* One operation of a story that uses everything. */
static enum dmt_os_status step(struct world *w, unsigned n, int *pid, uint64_t *vpn)
{
    const uint64_t base = 0x40000;
    uint64_t at = 0, dirty;
    enum dmt_os_status s;

    switch (n) {
    case 0:
        return dmt_os_spawn(w->os, pid);
    case 1:
        at = base;
        return dmt_os_map(w->os, *pid, 2048, RW, 0, 0, &at);
    case 2:
        return dmt_os_fault(w->os, *pid, base << 12, DMT_ACCESS_WRITE); /* huge */
    case 3:
        return dmt_os_fault(w->os, *pid, (base + 600) << 12, DMT_ACCESS_WRITE);
    case 4:
        return dmt_os_protect(w->os, *pid, base + 100, 10, R); /* two splits of everything */
    case 5:
        return dmt_os_unmap(w->os, *pid, base + 103, 2);
    case 6:
        return dmt_os_map(w->os, *pid, 700, RW | SHARED | FILED, 3, 5, vpn);
    case 7:
        return dmt_os_fault(w->os, *pid, (*vpn + 1) << 12, DMT_ACCESS_WRITE);
    case 8:
        return dmt_os_map(w->os, *pid, 700, RW | SHARED, 0, 0, &at);
    case 9:
        return dmt_os_fault(w->os, *pid, (*vpn - 100) << 12, DMT_ACCESS_READ);
    case 10:
        at = 0x50000;
        return dmt_os_map(w->os, *pid, 64, RW | FILED, 3, 0, &at);
    case 11:
        return dmt_os_fault(w->os, *pid, UINT64_C(0x50007) << 12, DMT_ACCESS_WRITE); /* copied at once */
    case 12:
        return dmt_os_fault(w->os, *pid, UINT64_C(0x50006) << 12, DMT_ACCESS_READ); /* from the cache */
    case 13:
        at = UINT64_C(1) << 20;
        return dmt_os_map(w->os, *pid, 512, RW | HUGE2M, 0, 0, &at);
    case 14:
        return dmt_os_fault(w->os, *pid, UINT64_C(1) << 32, DMT_ACCESS_WRITE);
    case 15:
        return dmt_os_remap(w->os, *pid, base + 200, 700, 5000, true, &at); /* entries move */
    case 16:
        s = dmt_os_fork(w->os, *pid, pid + 1);
        return s;
    case 17:
        return dmt_os_fault(w->os, pid[1], UINT64_C(0x50007) << 12, DMT_ACCESS_WRITE); /* copy-on-write */
    case 18:
        return dmt_os_reclaim(w->os, 2000) < 500 ? DMT_OS_NO_MEMORY : DMT_OS_OK;
    case 19:
        return dmt_os_fault(w->os, pid[1], UINT64_C(0x50007) << 12, DMT_ACCESS_WRITE); /* from swap */
    case 20:
        return dmt_os_collect_dirty(w->os, *pid, base, 2048, &dirty);
    default:
        return dmt_os_unmap(w->os, *pid, 1, (UINT64_C(1) << 35) - 1);
    }
}

static void out_of_memory(bool objects, bool teas)
{
    unsigned refused = 0;

    for (unsigned n = 0; n < STEPS; n++) {
        for (unsigned fail = 0; fail < 30; fail++) {
            struct world *w = world_new();
            int pid[2] = {0, 0};
            uint64_t vpn = 0;
            for (unsigned i = 0; i < n; i++) {
                must(step(w, i, pid, &vpn) == DMT_OS_OK);
                if (teas) {
                    dmt_os_settle(w->os);
                }
            }
            uint64_t before = visible(w), vpn_before = vpn, tables = tables_of(w, pid[0]);
            if (objects) {
                dmt_os_fail_after(w->os, fail);
            } else {
                dmt_buddy_fail_after(w->buddy, fail);
            }
            enum dmt_os_status s = step(w, n, pid, &vpn);
            dmt_os_fail_after(w->os, UINT64_MAX);
            dmt_buddy_fail_after(w->buddy, UINT64_MAX);
            must(s == DMT_OS_OK || s == DMT_OS_NO_MEMORY);
            if (s == DMT_OS_NO_MEMORY && n != 18) {
                refused++;
                must(visible(w) == before && vpn == vpn_before, "half done");
                must(dmt_os_stats(w->os)->out_of_memory == 1);
                must(n != 15 || tables_of(w, pid[0]) == tables, "tables for the new place are left over");
            }
            audit(w);
            if (s == DMT_OS_NO_MEMORY && n != 18) { /* a reclaim has taken what it could */
                must(step(w, n, pid, &vpn) == DMT_OS_OK);
            }
            done(w);
        }
    }
    must(refused > (objects ? 8 : 16));
}

Test(memory, every_object_in_turn_fails)
{
    out_of_memory(true, false);
}

Test(memory, every_frame_in_turn_fails)
{
    out_of_memory(false, false);
}

Test(memory, every_frame_in_turn_fails_with_teas)
{
    out_of_memory(false, true);
}

Test(memory, full_memory_is_survived)
{
    struct world *w = world_with(1024);

    start(w);
    int pid = spawn(w);
    uint64_t a = map(w, pid, 4096, RW | SMALL), i = 0;
    must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
    while (touch(w, 0, a + i, DMT_ACCESS_WRITE) == DMT_OS_OK) {
        i++;
    }
    must(i > 900);
    for (uint64_t k = 0; k < 3000; k++) {
        enum dmt_os_status s = touch(w, 0, a + k, DMT_ACCESS_WRITE);
        if (s == DMT_OS_NO_MEMORY) {
            must(dmt_os_reclaim(w->os, 32) == 32);
            must(touch(w, 0, a + k, DMT_ACCESS_WRITE) == DMT_OS_OK);
        }
    }
    done(w);
}

/* ------------------------------------------------------------ the artifact's mistakes */

/* Does the thread find a translation of the page, whatever the kernel says? */
static bool translates(struct world *w, unsigned thread, uint64_t vpn)
{
    const struct dmt_port port = {.user = w->mem, .read = port_read, .write = port_write};
    const struct dmt_request q = {.va = vpn << 12, .access = DMT_ACCESS_READ, .cpl = 3, .nonspec = true};
    struct dmt_result r;

    dmt_arch_translate(&w->state[thread], &q, &port, &r);
    return r.status == DMT_STATUS_OK;
}

Test(defect, moving_tables_leaves_the_old_address_translated)
{
    for (unsigned broken = 0; broken < 2; broken++) {
        struct world *w = world_with(FRAMES);
        w->o.defects = broken ? DMT_DEFECT_MOVE_TABLES : 0;
        start(w);
        int pid = spawn(w);
        const uint64_t a = 0x40000;
        uint64_t to = 0x80000;
        map_at(w, pid, a, 2048, RW | SMALL, 0);
        dmt_os_settle(w->os);
        must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK &&
             touch(w, 0, a + 600, DMT_ACCESS_WRITE) == DMT_OS_OK);
        must(dmt_os_remap(w->os, pid, a + 512, 512, 512, true, &to) == DMT_OS_OK);
        must(translates(w, 0, a + 600) == broken && translates(w, 0, to + 88));
        done(w);
    }
}

Test(defect, a_lost_race_leaves_entries_beside_the_radix_leaf)
{
    for (unsigned broken = 0; broken < 2; broken++) {
        struct world *w = world_with(FRAMES);
        struct dmt_os_ticket t, u;
        w->o.defects = broken ? DMT_DEFECT_LOST_RACE : 0;
        start(w);
        int pid = spawn(w);
        const uint64_t a = 0x40000;
        map_at(w, pid, a, 2048, RW | SMALL, 0);
        dmt_os_settle(w->os);
        must(dmt_os_switch(w->os, 0, pid) == DMT_OS_OK);
        dmt_os_fault_begin(w->os, pid, a << 12, DMT_ACCESS_READ, &t);
        dmt_os_fault_begin(w->os, pid, (a + 1) << 12, DMT_ACCESS_READ, &u);
        must(dmt_os_fault_end(w->os, &t) == DMT_OS_OK && dmt_os_fault_end(w->os, &u) == DMT_OS_OK);
        must(dmt_os_unmap(w->os, pid, a, 1) == DMT_OS_OK);
        must(translates(w, 0, a) == broken && translates(w, 0, a + 1));
        done(w);
    }
}

/* ------------------------------------------------------------ all of it, at random */

/* A private page with W has its frame alone. */
static void check_owners(struct world *w)
{
    struct page *p, *next, *q, *following;

    HASH_ITER(hh, w->pages, p, next)
    {
        struct dmt_vma v;
        unsigned flags = 0;
        if (!p->mapped || (p->rights & DMT_OS_W) == 0) {
            continue;
        }
        must(dmt_os_area(w->os, (int)p->key.pid, p->key.vpn, &v, &flags) && v.vpn <= p->key.vpn);
        must((flags & DMT_OS_W) != 0);
        if ((flags & SHARED) != 0 || p->key.vpn % 13 != 0) { /* some of them: it is quadratic */
            continue;
        }
        HASH_ITER(hh, w->pages, q, following)
        {
            must(q == p || !q->mapped || q->pfn != p->pfn,
                 "K1: a private page is written under another's eyes");
        }
    }
}

static uint64_t some_page(struct world *w, struct rng *rng, int pid)
{
    struct dmt_vma v;
    unsigned flags;
    uint64_t at = 0x40000 + rng_below(rng, 6000);

    if (!dmt_os_area(w->os, pid, at, &v, &flags)) {
        return at;
    }
    return rng_below(rng, 8) == 0 || at < v.vpn ? v.vpn + rng_below(rng, v.pages) : at;
}

static void random_operation(struct world *w, struct rng *rng, int pid)
{
    static const unsigned kinds[] = {RW,         RW,          RW | SMALL,  R | SMALL,           RX | FILED,
                                     RW | FILED, RW | HUGE2M, RW | SHARED, RW | SHARED | FILED, SMALL};
    uint64_t at = some_page(w, rng, pid), pages = 1 + rng_below(rng, rng_below(rng, 4) ? 40 : 1200), to = 0;
    enum dmt_os_status s;
    struct dmt_os_ticket t, u;
    unsigned access = (unsigned)rng_below(rng, 3);

    switch (rng_below(rng, 12)) {
    case 0:
    case 1: {
        unsigned flags = kinds[rng_below(rng, 10)];
        if ((flags & HUGE2M) != 0) {
            pages = 512;
            at &= ~UINT64_C(511);
        }
        to = rng_below(rng, 3) == 0 ? 0 : at;
        s = dmt_os_map(w->os, pid, pages, flags, (unsigned)rng_below(rng, 3), rng_below(rng, 50), &to);
        must(s == DMT_OS_OK || s == DMT_OS_BAD || s == DMT_OS_NO_MEMORY);
        break;
    }
    case 2:
        s = dmt_os_unmap(w->os, pid, at, pages);
        if (s == DMT_OS_OK) {
            expect_unmapped(w, pid, at, pages);
        }
        break;
    case 3:
    case 4:
        s = dmt_os_protect(w->os, pid, at, pages, (unsigned)rng_below(rng, 8));
        must(s == DMT_OS_OK || s == DMT_OS_BAD || s == DMT_OS_NO_AREA || s == DMT_OS_NO_MEMORY);
        break;
    case 5: {
        uint64_t more = 1 + rng_below(rng, 600);
        to = rng_below(rng, 2) ? 0 : 0x60000 + rng_below(rng, 3000);
        s = dmt_os_remap(w->os, pid, at, pages, more, rng_below(rng, 2), &to);
        if (s == DMT_OS_OK && to != at) {
            expect_unmapped(w, pid, at, pages);
        }
        break;
    }
    case 6:
        dmt_os_promote(w->os, pid, at & ~UINT64_C(511));
        break;
    case 7:
        dmt_os_demote(w->os, pid, at);
        dmt_os_khugepaged(w->os, 3);
        break;
    case 8:
        dmt_os_reclaim(w->os, rng_below(rng, 100));
        break;
    case 9:
        dmt_os_collect_dirty(w->os, pid, at, pages, &to);
        break;
    case 10:
        dmt_os_fault_begin(w->os, pid, at << 12, access, &t);
        dmt_os_fault_begin(w->os, pid, (at + rng_below(rng, 2)) << 12, (access + 1) % 3, &u);
        if (rng_below(rng, 3) == 0) {
            dmt_os_reclaim(w->os, 50);
        }
        dmt_os_fault_end(w->os, rng_below(rng, 2) ? &t : &u);
        dmt_os_fault_end(w->os, t.frame != 0 ? &t : &u);
        if (t.frame != 0 || u.frame != 0) {
            dmt_os_fault_end(w->os, t.frame != 0 ? &t : &u);
        }
        break;
    default:
        dmt_os_work(w->os);
        break;
    }
}

static void random_run(uint64_t seed, unsigned operations, bool pcid, bool set_load)
{
    struct world *w = world_with(8192);
    struct rng rng;
    int pid, live[6], n = 1;

    w->o.pcid = pcid;
    w->o.set_load = set_load;
    w->o.seed = seed;
    w->o.tea.background = 2;
    w->o.promote_percent = 10;
    start(w);
    rng_seed(&rng, seed, 0);
    live[0] = spawn(w);
    for (unsigned i = 0; i < operations; i++) {
        unsigned thread = (unsigned)rng_below(&rng, THREADS);
        pid = live[rng_below(&rng, (uint64_t)n)];
        switch (rng_below(&rng, 16)) {
        case 0:
            must(dmt_os_switch(w->os, thread, rng_below(&rng, 3) ? pid : -1) == DMT_OS_OK);
            break;
        case 1:
            if (n < 6 && rng_below(&rng, 4) == 0) {
                int child;
                if (dmt_os_fork(w->os, pid, &child) == DMT_OS_OK) {
                    live[n++] = child;
                }
            } else if (n > 1 && rng_below(&rng, 4) == 0 && dmt_os_exit(w->os, live[n - 1]) == DMT_OS_OK) {
                n--;
            }
            break;
        case 2:
        case 3:
        case 4:
        case 5:
            random_operation(w, &rng, pid);
            break;
        default:
            if (dmt_os_running(w->os, thread) >= 0) {
                uint64_t at = some_page(w, &rng, dmt_os_running(w->os, thread));
                for (unsigned k = 0; k < 6; k++) {
                    if (touch(w, thread, at + k, (unsigned)rng_below(&rng, 3)) == DMT_OS_NO_MEMORY) {
                        dmt_os_reclaim(w->os, 200);
                    }
                }
            } else if (dmt_os_loaded(w->os, thread) >= 0) { /* a lazy thread may walk, speculatively */
                uint64_t at = some_page(w, &rng, dmt_os_loaded(w->os, thread));
                for (unsigned k = 0; k < 6; k++) {
                    walk(w, thread, at + k, DMT_ACCESS_READ, false);
                }
            }
            break;
        }
        if (i % 500 == 0) {
            audit(w);
            check_owners(w);
        }
    }
    done(w);
}

Test(random, with_everything)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        random_run(seed, 6000, true, true);
    }
}

Test(random, without_set_load)
{
    random_run(11, 6000, true, false);
}

Test(random, without_pcids)
{
    random_run(21, 6000, false, true);
}
