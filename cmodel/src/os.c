/* SPDX-License-Identifier: Apache-2.0
 * The kernel in model: processes, hardware threads, flushes and register sets.
 * Areas are in os_area.c, faults and memory in os_fault.c. Rules S1 to S6 and K1
 * to K8 are those of docs/software.md. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

#define CR0_PE UINT64_C(0x1)
#define CR0_PG UINT64_C(0x80000000)

const char *dmt_os_status_name(enum dmt_os_status s)
{
    static const char *const name[] = {"OK", "NO_MEMORY", "BAD", "NO_AREA", "DENIED", "BUSY"};

    return s >= DMT_OS_OK && s <= DMT_OS_BUSY ? name[s] : "?";
}

struct dmt_os_options dmt_os_options_default(void)
{
    return (struct dmt_os_options){.levels = 4,
                                   .processes = 64,
                                   .pcid = true,
                                   .set_load = true,
                                   .thp = DMT_THP_ALWAYS,
                                   .promote_percent = 50,
                                   .tea = dmt_tea_policy_default()};
}

/* ------------------------------------------------------------ memory for objects */

void *dmt_kernel_alloc(struct dmt_os *os, size_t size)
{
    if (os->fail != UINT64_MAX && os->fail-- == 0) {
        os->fail = UINT64_MAX;
        return NULL;
    }
    return calloc(1, size);
}

void dmt_os_fail_after(struct dmt_os *os, uint64_t n)
{
    os->fail = n;
}

enum dmt_os_status dmt_kernel_oom(struct dmt_os *os)
{
    os->stats.out_of_memory++;
    return DMT_OS_NO_MEMORY;
}

/* ------------------------------------------------------------ the platform as spaces see it */

static uint64_t count_load(void *user, uint64_t pa)
{
    const struct dmt_os *os = user;

    return os->real->load(os->real->user, pa);
}

static void count_store(void *user, uint64_t pa, uint64_t value)
{
    struct dmt_os *os = user;

    os->stats.stores++;
    os->real->store(os->real->user, pa, value);
}

static uint64_t count_exchange(void *user, uint64_t pa, uint64_t value)
{
    struct dmt_os *os = user;

    os->stats.stores++;
    return os->real->exchange(os->real->user, pa, value);
}

static void pass_clear(void *user, uint64_t pfn)
{
    const struct dmt_os *os = user;

    os->real->clear(os->real->user, pfn);
}

static void count_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    struct dmt_os *os = user;

    os->stats.csr_writes++;
    os->real->csr(os->real->user, thread, offset, value);
}

static size_t pass_tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant,
                             size_t room)
{
    const struct dmt_os *os = user;

    return os->real->tea_alloc(os->real->user, frames, n, grant, room);
}

static bool pass_tea_extend(void *user, struct dmt_grant *grant, uint64_t frames)
{
    const struct dmt_os *os = user;

    return os->real->tea_extend(os->real->user, grant, frames);
}

static void pass_tea_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames)
{
    const struct dmt_os *os = user;

    os->real->tea_release(os->real->user, grant, skip, frames);
}

static void csr(struct dmt_os *os, unsigned thread, unsigned offset, uint64_t value)
{
    count_csr(os, thread, offset, value);
}

/* ------------------------------------------------------------ flushes (K5, K6) */

static void tell_flushed(struct proc *p, unsigned thread, uint64_t vpn, uint64_t pages)
{
    const struct dmt_os_watch *w = &p->os->o.watch;

    if (w->flushed != NULL) {
        w->flushed(w->user, p->pid, thread, vpn, pages);
    }
}

/* Is a flush of p outstanding on the thread? */
static bool stale(const struct proc *p, unsigned thread)
{
    return p->at[thread].generation != p->generation;
}

/* Everything of p on the thread has been dropped: its outstanding flushes are made up for. */
static void made_up(struct proc *p, unsigned thread)
{
    if (stale(p, thread)) {
        p->at[thread].generation = p->generation;
        tell_flushed(p, thread, 0, p->os->end);
    }
}

static uint64_t pcid(const struct proc *p, unsigned thread)
{
    return p->os->o.pcid ? (uint64_t)p->at[thread].slot + 1 : 0;
}

static void invalidate(struct proc *p, unsigned thread, unsigned kind, uint64_t vpn)
{
    csr(p->os, thread, DMT_LEVEL_INV,
        (uint64_t)kind << DMT_LEVEL_INV_KIND_LSB | pcid(p, thread) << DMT_LEVEL_INV_PCID_LSB | vpn);
}

void dmt_kernel_flush(struct proc *p, uint64_t vpn, uint64_t pages, bool tables)
{
    struct dmt_os *os = p->os;

    p->generation++;
    os->stats.flushes++;
    for (unsigned t = 0; t < os->real->threads; t++) {
        if (p->at[t].slot < 0) { /* nothing of it can be cached there */
            p->at[t].generation = p->generation;
            tell_flushed(p, t, vpn, pages);
            continue;
        }
        if (os->thread[t].loaded != p) {
            continue; /* its PCID slot is stale from here on */
        }
        if (!os->thread[t].running && !tables) {
            os->stats.deferred++;
            continue;
        }
        os->stats.ipis++;
        if (p->at[t].generation + 1 != p->generation) { /* lazy, and behind already */
            invalidate(p, t, DMT_INV_CONTEXT, 0);
            made_up(p, t);
            continue;
        }
        if (pages > FLUSH_MAX) {
            invalidate(p, t, DMT_INV_CONTEXT, 0);
        } else {
            for (uint64_t i = 0; i < pages; i++) {
                invalidate(p, t, DMT_INV_ADDRESS, vpn + i);
            }
        }
        p->at[t].generation = p->generation;
        tell_flushed(p, t, vpn, pages);
    }
}

/* ------------------------------------------------------------ register sets (K5, K7) */

static bool same_words(const uint64_t a[3], const uint64_t b[3])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static bool valid(const uint64_t word[3])
{
    return (word[0] & DMT_TEA_WORD0_P_MASK) != 0;
}

static void register_clear(struct dmt_os *os, unsigned thread, unsigned i)
{
    os->thread[thread].word[i][0] = 0;
    csr(os, thread, DMT_LEVEL_TEA_WORD0(i), 0);
}

/* Words 1 and 2 clear P, word 0 sets it: there is never a register of old and new parts. */
static void register_write(struct dmt_os *os, unsigned thread, unsigned i, const uint64_t word[3])
{
    csr(os, thread, DMT_LEVEL_TEA_WORD1(i), word[1]);
    csr(os, thread, DMT_LEVEL_TEA_WORD2(i), word[2]);
    csr(os, thread, DMT_LEVEL_TEA_WORD0(i), word[0]);
    memcpy(os->thread[thread].word[i], word, 3 * sizeof word[0]);
}

static void image_write(struct proc *p, unsigned i)
{
    const struct dmt_platform *real = p->os->real;
    uint64_t pa = real->image_pa + 2048 * p->image + 32 * i;

    if (valid(p->word[i])) {
        real->store(real->user, pa, 0);
        real->store(real->user, pa + 8, p->word[i][1]);
        real->store(real->user, pa + 16, p->word[i][2]);
    }
    real->store(real->user, pa, p->word[i][0]);
}

/* Port of the space. Every copy that a LOAD or a walk can reach changes (S2, K7). */
static void set_register(void *user, unsigned index, const struct dmt_tea *tea)
{
    struct proc *p = user;
    struct dmt_os *os = p->os;

    memset(p->word[index], 0, sizeof p->word[index]);
    if (tea->valid) {
        dmt_tea_pack(tea, p->word[index]);
    }
    if (p->image != NO_IMAGE) {
        image_write(p, index);
    }
    for (unsigned t = 0; t < os->real->threads; t++) {
        if (os->thread[t].loaded != p) {
            continue;
        }
        if (tea->valid) {
            register_write(os, t, index, p->word[index]);
        } else {
            register_clear(os, t, index);
        }
    }
}

static void port_flush(void *user, uint64_t vpn, uint64_t pages, bool tables)
{
    dmt_kernel_flush(user, vpn, pages, tables);
}

static bool next_area(void *user, uint64_t vpn, struct dmt_vma *area, unsigned *sizes)
{
    struct proc *p = user;
    const struct area *a = dmt_area_find(p, vpn);

    if (a == NULL) {
        return false;
    }
    *area = (struct dmt_vma){a->vpn, a->pages};
    if ((a->flags & DMT_OS_HUGETLB_2M) != 0) {
        *sizes = 1u << DMT_SIZE_2M;
    } else if ((a->flags & DMT_OS_HUGETLB_1G) != 0) {
        *sizes = 1u << DMT_SIZE_1G;
    } else {
        bool block = (a->vpn + BLOCK - 1) / BLOCK < (a->vpn + a->pages) / BLOCK;
        *sizes = 1u << DMT_SIZE_4K | (block && dmt_area_huge(p->os, a) ? 1u << DMT_SIZE_2M : 0);
    }
    return true;
}

/* ------------------------------------------------------------ threads (K5, K6) */

static void tell_switched(struct dmt_os *os, unsigned thread, int pid)
{
    if (os->o.watch.switched != NULL) {
        os->o.watch.switched(os->o.watch.user, thread, pid);
    }
}

/* A PCID slot for p. Returns who loses it, or NULL. */
static struct proc *take_slot(struct proc *p, unsigned thread)
{
    struct dmt_os *os = p->os;
    struct thread *th = &os->thread[thread];
    unsigned best = 0;

    if (p->at[thread].slot >= 0) {
        return NULL;
    }
    for (unsigned i = 1; i < os->slots; i++) {
        if (th->slot[i].used < th->slot[best].used) {
            best = i;
        }
    }
    struct proc *old = th->slot[best].proc;
    if (old != NULL) {
        old->at[thread].slot = -1;
    }
    th->slot[best].proc = p;
    p->at[thread].slot = (int)best;
    return old;
}

static void write_cr3(struct proc *p, unsigned thread, bool keep)
{
    csr(p->os, thread, DMT_LEVEL_CR3,
        dmt_space_root(p->space) << 12 | pcid(p, thread) | (keep ? DMT_LEVEL_CR3_NOFLUSH_MASK : 0));
}

/* Give the thread the space and the set of p: with an image two writes, else
 * CR3 and three a register. Single writes leave no moment in which a register
 * of the old set matches under the new CR3: P goes first and comes last. */
static void load(struct proc *p, unsigned thread)
{
    struct dmt_os *os = p->os;
    struct thread *th = &os->thread[thread];
    unsigned n = os->o.tea.registers;
    bool keep = os->o.pcid && p->at[thread].slot >= 0 && !stale(p, thread);
    struct proc *loser = take_slot(p, thread);

    th->slot[p->at[thread].slot].used = ++os->moment;
    if (p->image != NO_IMAGE) {
        write_cr3(p, thread, keep);
        csr(os, thread, DMT_LEVEL_LOAD, p->image);
        memcpy(th->word, p->word, sizeof th->word);
    } else {
        for (unsigned i = 0; i < n; i++) {
            if (same_words(th->word[i], p->word[i])) {
                continue;
            }
            if (valid(p->word[i])) {
                csr(os, thread, DMT_LEVEL_TEA_WORD1(i), p->word[i][1]);
            } else if (valid(th->word[i])) {
                register_clear(os, thread, i);
            }
        }
        write_cr3(p, thread, keep);
        for (unsigned i = 0; i < n; i++) {
            if (valid(p->word[i]) && !same_words(th->word[i], p->word[i])) {
                csr(os, thread, DMT_LEVEL_TEA_WORD2(i), p->word[i][2]);
                csr(os, thread, DMT_LEVEL_TEA_WORD0(i), p->word[i][0]);
                memcpy(th->word[i], p->word[i], sizeof th->word[i]);
            }
        }
    }
    th->loaded = p;
    made_up(p, thread);
    if (loser != NULL) { /* the CR3 write without NOFLUSH has dropped what it had */
        made_up(loser, thread);
    }
}

/* Take a thread off a space that goes away: no register, then no root of it. */
static void unload(struct dmt_os *os, unsigned thread)
{
    struct thread *th = &os->thread[thread];

    for (unsigned i = 0; i < os->o.tea.registers; i++) {
        if (valid(th->word[i])) {
            register_clear(os, thread, i);
        }
    }
    csr(os, thread, DMT_LEVEL_CR3, os->root << 12);
    th->loaded = NULL;
    th->running = false;
}

enum dmt_os_status dmt_os_switch(struct dmt_os *os, unsigned thread, int pid)
{
    uint64_t before = os->stats.csr_writes;

    if (thread >= os->real->threads) {
        return DMT_OS_BAD;
    }
    struct thread *th = &os->thread[thread];
    struct proc *p = pid == -1 ? NULL : dmt_kernel_proc(os, pid);
    if (pid != -1 && p == NULL) {
        return DMT_OS_BAD;
    }
    if (p == NULL ? !th->running : th->running && th->loaded == p) {
        return DMT_OS_OK;
    }
    os->stats.switches++;
    if (p == NULL) {
        th->running = false;
        os->stats.lazy++;
    } else if (th->loaded != p) {
        load(p, thread);
        th->running = true;
    } else {
        if (stale(p, thread)) { /* made up for before the program runs again */
            invalidate(p, thread, DMT_INV_CONTEXT, 0);
            made_up(p, thread);
        }
        th->running = true;
    }
    os->stats.csr_switch += os->stats.csr_writes - before;
    tell_switched(os, thread, pid);
    return DMT_OS_OK;
}

int dmt_os_running(const struct dmt_os *os, unsigned thread)
{
    return thread < os->real->threads && os->thread[thread].running ? os->thread[thread].loaded->pid : -1;
}

int dmt_os_loaded(const struct dmt_os *os, unsigned thread)
{
    return thread < os->real->threads && os->thread[thread].loaded != NULL ? os->thread[thread].loaded->pid
                                                                           : -1;
}

/* ------------------------------------------------------------ processes */

struct proc *dmt_kernel_proc(const struct dmt_os *os, int pid)
{
    return pid >= 1 && (unsigned)pid <= os->o.processes ? os->proc[pid - 1] : NULL;
}

struct dmt_space *dmt_os_space(struct dmt_os *os, int pid)
{
    struct proc *p = dmt_kernel_proc(os, pid);

    return p == NULL ? NULL : p->space;
}

/* splitmix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014) */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static struct proc *proc_new(struct dmt_os *os, unsigned index)
{
    struct proc *p = dmt_kernel_alloc(os, sizeof *p);

    if (p == NULL) {
        return NULL;
    }
    p->os = os;
    p->pid = (int)index + 1;
    p->image = os->o.set_load && index < os->real->images ? index : NO_IMAGE;
    RB_INIT(&p->areas);
    for (unsigned t = 0; t < DMT_THREADS_MAX; t++) {
        p->at[t].slot = -1;
    }
    /* As Linux does, 2^28 places to begin at: 1 TiB. */
    p->top = os->end - BLOCK - (mix(os->o.seed ^ mix(os->spawned)) & ((UINT64_C(1) << 28) - 1));
    const struct dmt_space_options so = {.format = DMT_SPACE_IA32E,
                                         .levels = os->o.levels,
                                         .platform = &os->platform,
                                         .port = {p, next_area, set_register, port_flush},
                                         .policy = os->o.tea,
                                         .table_run = os->o.table_run,
                                         .defects = os->o.defects};
    p->space = dmt_space_new(&so);
    if (p->space == NULL) {
        free(p);
        return NULL;
    }
    if (p->image != NO_IMAGE) { /* K7; what an earlier process left in it must not be loaded */
        for (unsigned i = 0; i < os->real->registers; i++) {
            os->real->store(os->real->user, os->real->image_pa + 2048 * p->image + 32 * i, 0);
        }
    }
    os->spawned++;
    os->proc[index] = p;
    os->stats.processes++;
    if (os->o.watch.spawned != NULL) {
        os->o.watch.spawned(os->o.watch.user, p->pid, p->space);
    }
    return p;
}

/* Nothing runs it. */
static void proc_delete(struct proc *p)
{
    struct dmt_os *os = p->os;

    for (unsigned t = 0; t < os->real->threads; t++) {
        if (os->thread[t].loaded == p) {
            unload(os, t);
        }
        if (p->at[t].slot >= 0) { /* whoever gets the slot writes CR3 without NOFLUSH */
            os->thread[t].slot[p->at[t].slot].proc = NULL;
            os->thread[t].slot[p->at[t].slot].used = 0;
        }
    }
    dmt_area_drop_all(p);
    if (os->o.watch.exited != NULL) {
        os->o.watch.exited(os->o.watch.user, p->pid);
    }
    dmt_space_delete(p->space);
    dmt_hands_leave(os, (unsigned)p->pid - 1);
    os->proc[p->pid - 1] = NULL;
    os->stats.processes--;
    free(p);
}

/* NULL: all are in use, or out of memory. */
static struct proc *proc_any(struct dmt_os *os)
{
    unsigned index = 0;

    while (index < os->o.processes && os->proc[index] != NULL) {
        index++;
    }
    return index < os->o.processes ? proc_new(os, index) : NULL;
}

enum dmt_os_status dmt_os_spawn(struct dmt_os *os, int *pid)
{
    struct proc *p = proc_any(os);

    if (p == NULL) {
        return dmt_kernel_oom(os);
    }
    *pid = p->pid;
    return DMT_OS_OK;
}

enum dmt_os_status dmt_os_exit(struct dmt_os *os, int pid)
{
    struct proc *p = dmt_kernel_proc(os, pid);

    if (p == NULL) {
        return DMT_OS_BAD;
    }
    for (unsigned t = 0; t < os->real->threads; t++) {
        if (os->thread[t].running && os->thread[t].loaded == p) {
            return DMT_OS_BUSY;
        }
    }
    proc_delete(p);
    return DMT_OS_OK;
}

/* ------------------------------------------------------------ fork (K3) */

struct fork {
    struct proc *parent, *child;
    const struct area *area;
    uint64_t lo, hi; /* pages of the parent that lost W */
    bool failed;
};

/* What the child gets for a leaf of the parent. 0: out of memory. */
static uint64_t fork_entry(struct fork *f, uint64_t vpn, unsigned size, uint64_t entry)
{
    struct dmt_os *os = f->parent->os;
    uint64_t pfn;

    if (!entry_frame(entry)) {
        dmt_swap_ref(os, entry);
        return entry;
    }
    if ((f->area->flags & HUGETLB) != 0) { /* cannot be shared and split later: copied at once */
        if (!dmt_frame_alloc(os, size, &pfn)) {
            return 0;
        }
        os->stats.copied += size_pages(size);
        return (entry & ~DMT_PTE_FRAME) | pfn << 12;
    }
    if (size != DMT_SIZE_4K && !dmt_space_deposit(f->child->space, vpn, size)) {
        return 0;
    }
    if ((entry & DMT_PTE_W) != 0) {
        dmt_tell(f->parent, vpn, size, entry & ~DMT_PTE_W);
        entry = dmt_entry_change(f->parent, vpn, size, entry, DMT_PTE_W, 0) & ~DMT_PTE_W;
        f->lo = f->lo < vpn ? f->lo : vpn;
        f->hi = vpn + size_pages(size);
    }
    dmt_frame_ref(os, entry_pfn(entry, size), size);
    return entry;
}

static bool fork_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct fork *f = user;
    struct dmt_os *os = f->parent->os;

    (void)pa;
    entry = fork_entry(f, vpn, size, entry);
    if (entry == 0) {
        f->failed = true;
        return false;
    }
    if (entry_present(entry)) {
        dmt_tell(f->child, vpn, size, entry);
    }
    if (!dmt_space_map(f->child->space, vpn, size, entry)) {
        if (entry_frame(entry)) {
            dmt_frame_put(os, entry_pfn(entry, size), size, false);
        } else {
            dmt_swap_put(os, entry);
        }
        if (entry_present(entry)) {
            dmt_tell(f->child, vpn, size, 0);
        }
        f->failed = true;
        return false;
    }
    os->stats.resident += entry_frame(entry) ? size_pages(size) : 0;
    return true;
}

enum dmt_os_status dmt_os_fork(struct dmt_os *os, int parent, int *child)
{
    struct proc *p = dmt_kernel_proc(os, parent);

    if (p == NULL) {
        return DMT_OS_BAD;
    }
    struct fork f = {.parent = p, .lo = UINT64_MAX};
    f.child = proc_any(os);
    if (f.child == NULL) {
        return dmt_kernel_oom(os);
    }
    f.child->top = p->top;
    for (struct area *a = dmt_area_find(p, 0); a != NULL && !f.failed; a = dmt_area_next(a)) {
        f.area = a;
        if (!dmt_area_copy(f.child, a)) {
            f.failed = true;
        } else if ((a->flags & DMT_OS_SHARED) == 0) { /* shared pages come by faults, from their object */
            dmt_space_each(p->space, a->vpn, a->pages, fork_leaf, &f);
        }
    }
    if (f.lo < f.hi) {
        dmt_kernel_flush(p, f.lo, f.hi - f.lo, false);
    }
    if (f.failed) {
        proc_delete(f.child);
        return dmt_kernel_oom(os);
    }
    for (struct area *a = dmt_area_find(f.child, 0); a != NULL; a = dmt_area_next(a)) {
        dmt_space_areas_changed(f.child->space, a->vpn, a->pages);
    }
    *child = f.child->pid;
    return DMT_OS_OK;
}

/* ------------------------------------------------------------ TEA managers' work */

bool dmt_os_work(struct dmt_os *os)
{
    for (unsigned i = 0; i < os->o.processes; i++) {
        struct proc *p = os->proc[os->work];
        os->work = (os->work + 1) % os->o.processes;
        if (p != NULL && dmt_space_work(p->space)) {
            return true;
        }
    }
    return false;
}

void dmt_os_settle(struct dmt_os *os)
{
    for (unsigned i = 0; i < os->o.processes; i++) {
        if (os->proc[i] != NULL) {
            dmt_space_settle(os->proc[i]->space);
        }
    }
}

void dmt_os_revoked(struct dmt_os *os, uint16_t id)
{
    for (unsigned i = 0; i < os->o.processes; i++) {
        if (os->proc[i] != NULL) {
            dmt_space_revoked(os->proc[i]->space, id);
        }
    }
}

/* ------------------------------------------------------------ the kernel */

static const char *options_check(const struct dmt_os_options *o)
{
    const struct dmt_platform *pl = o->platform;

    if (pl == NULL || pl->buddy == NULL) {
        return "platform: one with frames is needed";
    }
    if (pl->threads < 1 || pl->threads > DMT_THREADS_MAX) {
        return "platform: threads must be 1 to 8";
    }
    if (o->levels != 4 && o->levels != 5) {
        return "levels must be 4 or 5";
    }
    if (o->processes < 1 || o->processes > 4096) {
        return "processes must be 1 to 4096";
    }
    if (o->promote_percent < 1 || o->promote_percent > 100) {
        return "promote_percent must be 1 to 100";
    }
    const char *why = dmt_tea_policy_check(&o->tea);
    if (why == NULL && o->tea.registers > pl->registers) {
        why = "tea.registers must be at most the platform's";
    }
    return why;
}

/* Paging on, with an empty table, and no register matches. */
static void threads_start(struct dmt_os *os)
{
    for (unsigned t = 0; t < os->real->threads; t++) {
        for (unsigned i = 0; i < os->real->registers; i++) {
            csr(os, t, DMT_LEVEL_TEA_WORD0(i), 0);
        }
        csr(os, t, DMT_LEVEL_CR0, CR0_PE | CR0_PG | DMT_LEVEL_CR0_WP_MASK);
        csr(os, t, DMT_LEVEL_CR4,
            (os->o.pcid ? DMT_LEVEL_CR4_PCIDE_MASK : 0) | (os->o.levels == 5 ? DMT_LEVEL_CR4_LA57_MASK : 0));
        csr(os, t, DMT_LEVEL_EFER, DMT_LEVEL_EFER_NXE_MASK);
        csr(os, t, DMT_LEVEL_CR3, os->root << 12);
    }
}

struct dmt_os *dmt_os_new(const struct dmt_os_options *o, const char **why)
{
    const char *bad = options_check(o), *none = "out of memory";

    if (bad != NULL) {
        if (why != NULL) {
            *why = bad;
        }
        return NULL;
    }
    if (why != NULL) {
        *why = none;
    }
    struct dmt_os *os = calloc(1, sizeof *os);
    if (os == NULL) {
        return NULL;
    }
    os->o = *o;
    os->real = o->platform;
    os->buddy = o->platform->buddy;
    os->fail = UINT64_MAX;
    os->end = UINT64_C(1) << (9 * o->levels - 1);
    os->slots = o->pcid ? SLOTS : 1;
    os->platform = *os->real;
    os->platform.user = os;
    os->platform.load = count_load;
    os->platform.store = count_store;
    os->platform.exchange = count_exchange;
    os->platform.clear = pass_clear;
    os->platform.csr = count_csr;
    os->platform.tea_alloc = pass_tea_alloc;
    os->platform.tea_extend = os->real->tea_extend == NULL ? NULL : pass_tea_extend;
    os->platform.tea_release = pass_tea_release;
    os->zero_kept = dmt_buddy_is_free(os->buddy, 0) && dmt_buddy_alloc_at(os->buddy, 0, 1);
    os->proc = calloc(o->processes, sizeof(struct proc *));
    if (os->proc == NULL || dmt_buddy_is_free(os->buddy, 0) || !dmt_buddy_alloc(os->buddy, 0, &os->root)) {
        dmt_os_delete(os);
        return NULL;
    }
    os->real->clear(os->real->user, os->root);
    threads_start(os);
    return os;
}

void dmt_os_delete(struct dmt_os *os)
{
    if (os == NULL) {
        return;
    }
    for (unsigned t = 0; t < DMT_THREADS_MAX; t++) {
        os->thread[t].running = false;
    }
    for (unsigned i = 0; os->proc != NULL && i < os->o.processes; i++) {
        if (os->proc[i] != NULL) {
            proc_delete(os->proc[i]);
        }
    }
    dmt_objects_free(os);
    dmt_area_free_spares(os);
    dmt_frames_free(os);
    if (os->root != 0) {
        dmt_buddy_release(os->buddy, os->root, 1);
    }
    if (os->zero_kept) {
        dmt_buddy_release(os->buddy, 0, 1);
    }
    free(os->proc);
    free(os);
}

const struct dmt_os_stats *dmt_os_stats(struct dmt_os *os)
{
    return &os->stats;
}
