/* SPDX-License-Identifier: Apache-2.0
 * A system as designs and the engine see it: populated, faulting, walked,
 * counted. The levels below it are system_levels.c's. */
#include "dmt/regs.h"
#include "dmt/table.h"
#include "eval/system_parts.h"
#include "io.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define USER_PAGES (UINT64_C(1) << 35) /* of four-level tables, half of the addresses */
#define RETRIES    64                  /* faults of one access before it counts as not getting anywhere */
#define SLICE      UINT64_C(0x4000)    /* pages populated between slices of background work */
#define TELL       UINT64_C(0x40000)   /* pages populated between calls of progress */
#define WORK_MAX   64                  /* slices of work at a time */

/* ------------------------------------------------------------ mirrors */

static struct mirror *second_stage(const struct eval_system *s, struct dmt_vm *vm,
                                   bool (*to_host)(void *user, uint64_t pfn, uint64_t *hpfn))
{
    const struct dmt_space *space = dmt_vm_space(vm);

    return mirror_new(s->mem, dmt_space_root(space), dmt_space_levels(space), true, to_host, (void *)s);
}

static void make_mirrors(struct eval_system *s)
{
    static bool (*const to_host[])(void *, uint64_t, uint64_t *) = {NULL, levels_to_host_1, levels_to_host_2};
    unsigned k = s->entering;

    if (s->outer != NULL) {
        s->stage[0] = second_stage(s, s->outer, NULL);
    }
    if (s->inner != NULL) {
        s->stage[1] = second_stage(s, s->inner, levels_to_host_1);
    }
    s->stage[k] = mirror_new(s->mem, dmt_space_root(dmt_os_space(s->os, s->pid)), 4, false, to_host[k], s);
}

/* The shadow table may be made anew, and be given up when memory is short; whoever holds the old one's mirror
 * finds out by the generation. */
static void refresh_shadow(struct eval_system *s)
{
    const struct dmt_state *state = &s->regs.state;
    uint64_t root = state->mode == DMT_MODE_NESTED && !state->full ? state->shadow.root : 0;

    if (root == s->shadow_root) {
        return;
    }
    if (s->stage[EVAL_SHADOW] != NULL) {
        s->old = need(realloc(s->old, (s->olds + 1) * sizeof(struct mirror *)));
        s->old[s->olds++] = s->stage[EVAL_SHADOW];
    }
    s->shadow_root = root;
    s->stage[EVAL_SHADOW] = root != 0 ? mirror_new(s->mem, root >> 12, state->shadow.five ? 5 : 4,
                                                   state->shadow.format == DMT_FORMAT_EPT, NULL, NULL)
                                      : NULL;
}

/* Frames that guests had before may be backed by others now. */
static uint64_t host_moved(const struct dmt_host *h)
{
    const struct dmt_host_stats *t = h != NULL ? dmt_host_stats(h) : NULL;

    return t != NULL ? t->released + t->revoked + t->moved + t->ballooned : 0;
}

/* After everything that software does. What moves frames has flushed, too: a register write, which has counted
 * the generation up. */
static void refresh(struct eval_system *s)
{
    uint64_t moved = host_moved(s->l0) + host_moved(s->l1);

    refresh_shadow(s);
    if (moved != s->moved) {
        s->moved = moved;
        s->flush.any = s->flush.told.moved = true;
        for (unsigned k = 0; k < STAGES; k++) {
            if (s->stage[k] != NULL) {
                mirror_moved(s->stage[k]);
            }
        }
    }
}

/* ------------------------------------------------------------ making one */

static bool check(const struct eval_system_options *o)
{
    uint64_t end = 0;

    if (o->registers < 1 || o->registers > DMT_TEA_MAX) {
        say("%u TEA registers: expected 1 to %d", o->registers, DMT_TEA_MAX);
        return false;
    }
    if (o->fragment > 100) {
        say("fragmentation of %u %%: expected 0 to 100", o->fragment);
        return false;
    }
    if (o->present > 100) {
        say("TEAs where %u %% of tables are: expected 0 to 100", o->present);
        return false;
    }
    if (o->areas == 0) {
        say("the workload has no area");
        return false;
    }
    for (size_t i = 0; i < o->areas; i++) {
        const struct eval_area *a = &o->area[i];
        if (a->pages == 0 || a->resident > a->pages || a->vpn < end || a->vpn == 0 || a->vpn >= USER_PAGES ||
            a->pages > USER_PAGES - a->vpn) {
            say("area %zu (%s), %" PRIu64 " pages at 0x%" PRIx64 " of which %" PRIu64
                " are touched: expected areas in address order below 0x%" PRIx64,
                i, a->name, a->pages, a->vpn << 12, a->resident, USER_PAGES << 12);
            return false;
        }
        end = a->vpn + a->pages;
    }
    return true;
}

struct eval_system *eval_system_new(const struct eval_system_options *o)
{
    struct eval_area *area;
    struct eval_system *s;

    if (!check(o)) {
        return NULL;
    }
    s = calloc(1, sizeof *s);
    area = malloc(o->areas * sizeof *area);
    if (s == NULL || area == NULL) {
        free(s);
        free(area);
        say("out of memory");
        return NULL;
    }
    memcpy(area, o->area, o->areas * sizeof *area);
    s->o = *o;
    s->o.area = area;
    if (!levels_make(s)) {
        eval_system_free(s);
        return NULL;
    }
    make_mirrors(s);
    while (eval_system_work(s)) {
    }
    return s;
}

void eval_system_free(struct eval_system *s)
{
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < STAGES; i++) {
        mirror_free(s->stage[i]);
    }
    for (size_t i = 0; i < s->olds; i++) {
        mirror_free(s->old[i]);
    }
    free(s->old);
    levels_free(s);
    free(s->flush.range);
    free((struct eval_area *)s->o.area);
    free(s);
}

/* ------------------------------------------------------------ faults */

static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    const struct eval_system *s = user;

    if (!dmt_mem_read(s->mem, ref->addr, data)) {
        return DMT_RESP_DECERR;
    }
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct eval_system *s = user;

    return dmt_mem_write(s->mem, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

static void translate(struct eval_system *s, const struct dmt_state *state, uint64_t va, unsigned access,
                      struct dmt_result *r)
{
    struct dmt_request q = {.va = va, .access = (uint8_t)access, .cpl = 3, .nonspec = true};
    struct dmt_port port = {.user = s, .read = read_entry, .write = write_entry};

    dmt_arch_translate(state, &q, &port, r);
}

static bool serve_kernel(struct eval_system *s, uint64_t va, unsigned access)
{
    enum dmt_os_status status = dmt_os_fault(s->os, s->pid, va, access);

    if (status == DMT_OS_NO_MEMORY) {
        say("out of simulated memory at 0x%" PRIx64 ", with %" PRIu64 " pages resident", va,
            dmt_os_stats(s->os)->resident);
    } else if (status != DMT_OS_OK) {
        say("an access of kind %u to 0x%" PRIx64 " that no area allows (%s)", access, va,
            dmt_os_status_name(status));
    }
    return status == DMT_OS_OK;
}

/* What a walk has reported. */
static bool serve(struct eval_system *s, uint64_t va, unsigned access, const struct dmt_result *r)
{
    if (r->status == DMT_STATUS_PF) {
        return serve_kernel(s, va, access);
    }
    if (r->status == DMT_STATUS_EPT_VIOLATION && s->outer != NULL) {
        if (dmt_vm_fault(s->outer, 0, r) || (s->inner != NULL && dmt_vm_fault(s->inner, 0, r))) {
            return true;
        }
        say("no hypervisor backs 0x%" PRIx64 " of stage %u, for 0x%" PRIx64 ": out of simulated memory",
            r->addr, r->stage, va);
        return false;
    }
    if (r->status == DMT_STATUS_GTEA) { /* of a gTEA that was taken back: its owner has other plans */
        eval_system_work(s);
        return true;
    }
    say("the walk of 0x%" PRIx64 " ends with status %u at 0x%" PRIx64, va, r->status, r->addr);
    return false;
}

static bool walk_through(struct eval_system *s, const struct dmt_state *state, uint64_t va, unsigned access)
{
    struct dmt_result r;

    for (unsigned i = 0; i < RETRIES; i++) {
        translate(s, state, va, access, &r);
        if (r.status == DMT_STATUS_OK) {
            return true;
        }
        if (!serve(s, va, access, &r)) {
            return false;
        }
    }
    say("0x%" PRIx64 " faults again and again, status %u at 0x%" PRIx64, va, r.status, r.addr);
    return false;
}

/* The same registers without a TEA. */
static bool walk_radix(struct eval_system *s, uint64_t va, unsigned access)
{
    struct dmt_state state = s->regs.state;
    bool any = false;

    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < s->o.registers; i++) {
            any = any || state.tea[k][i].valid;
            state.tea[k][i].valid = false;
        }
    }
    return !any || walk_through(s, &state, va, access);
}

bool eval_system_fault(struct eval_system *s, uint64_t va, unsigned access)
{
    /* A design may walk tables that registers spare the hardware: they must lead there, too. */
    bool ok = walk_through(s, &s->regs.state, va, access) && walk_radix(s, va, access);

    refresh(s);
    return ok;
}

/* Areas are what they were with: in the kernel, neighbours may be one. */
static size_t area_of(const struct eval_system *s, uint64_t vpn)
{
    size_t i = 0;

    while (i < s->o.areas && vpn - s->o.area[i].vpn >= s->o.area[i].pages) {
        i++;
    }
    return i;
}

bool eval_system_remap(struct eval_system *s, uint64_t va)
{
    uint64_t vpn = va >> 12, pages;
    unsigned size, flags;
    struct dmt_vma area;

    if (dmt_space_leaf(dmt_os_space(s->os, s->pid), vpn, &size) == 0 ||
        !dmt_os_area(s->os, s->pid, vpn, &area, &flags)) {
        return true;
    }
    pages = UINT64_C(1) << 9 * size;
    vpn &= ~(pages - 1);
    size_t i = area_of(s, va >> 12);
    enum dmt_os_status status = dmt_os_unmap(s->os, s->pid, vpn, pages);
    if (status == DMT_OS_OK) {
        uint64_t offset = (flags & DMT_OS_FILE) != 0 ? vpn - s->o.area[i].vpn : 0;
        status = dmt_os_map(s->os, s->pid, pages, flags, (unsigned)i + 1, offset, &vpn);
    }
    refresh(s);
    if (status != DMT_OS_OK) {
        say("the page at 0x%" PRIx64 " cannot be mapped anew: %s", va, dmt_os_status_name(status));
    }
    return status == DMT_OS_OK;
}

void eval_system_move(struct eval_system *s, uint64_t va)
{
    struct dmt_vm *vm = s->inner != NULL ? s->inner : s->outer;
    struct eval_flush *f = &s->flush.told;
    struct mirror_path p;

    refresh(s);
    if (vm == NULL || !mirror_walk(s->stage[s->entering], va, &p) || !dmt_vm_move(vm, p.to >> 12)) {
        return;
    }
    bool others = f->moved || f->one;
    refresh(s);
    if (!others) {
        f->moved = false;
        f->one = true;
        f->vpn = va >> 12;
        f->gfn = p.to >> 12;
    }
}

const struct eval_flush *eval_system_flushed(struct eval_system *s)
{
    static struct eval_flush told; /* the system's own begins anew */

    refresh(s); /* who changes hypervisors' tables directly has not told the mirrors */
    if (!s->flush.any) {
        return NULL;
    }
    told = s->flush.told;
    told.page = s->flush.page;
    told.range = s->flush.range;
    s->flush.told = (struct eval_flush){0};
    s->flush.any = false;
    return &told;
}

/* ------------------------------------------------------------ at the start */

bool eval_system_work(struct eval_system *s)
{
    bool more = dmt_os_work(s->os);

    more = (s->inner != NULL && dmt_space_work(dmt_vm_space(s->inner))) || more;
    more = (s->outer != NULL && dmt_space_work(dmt_vm_space(s->outer))) || more;
    refresh(s);
    return more;
}

static void work_some(struct eval_system *s)
{
    for (unsigned n = 0; n < WORK_MAX && eval_system_work(s); n++) {
    }
}

struct progress {
    bool (*call)(void *user, uint64_t done, uint64_t of);
    void *user;
    uint64_t done, of, told;
};

static bool tell(struct progress *p)
{
    p->told = p->done;
    return p->call == NULL || p->call(p->user, p->done, p->of);
}

/* Machines are started with their memory preallocated, the outer one first: its memory backs that of the
 * other. */
static bool back(struct eval_system *s, struct dmt_vm *vm, uint64_t frames, struct progress *p)
{
    for (uint64_t i = 0; vm != NULL && i < frames; i += TELL) {
        uint64_t n = frames - i < TELL ? frames - i : TELL;
        if (dmt_vm_populate(vm, i, n) != n) {
            say("out of simulated memory behind frame %" PRIu64 " of a machine of %" PRIu64, i, frames);
            return false;
        }
        s->generation++;
        work_some(s);
        if (!tell(p)) {
            return false;
        }
    }
    return true;
}

/* All that the machine inside has, so that what follows costs no exits. */
static bool fill_shadow(struct eval_system *s, struct progress *p)
{
    uint64_t area, covered;

    if (s->stage[EVAL_SHADOW] == NULL) {
        return true;
    }
    dmt_space_coverage(dmt_vm_space(s->inner), &area, &covered); /* RAM and window, without the gap between */
    for (uint64_t i = 0; i < area + BLOCK; i += TELL) {
        dmt_vm_populate_shadow(s->outer, 0, i, TELL);
        s->generation++;
        if (!tell(p)) {
            return false;
        }
    }
    refresh(s);
    return true;
}

static unsigned first_access(const struct eval_area *a)
{
    return (a->flags & DMT_OS_W) != 0   ? DMT_ACCESS_WRITE
           : (a->flags & DMT_OS_R) != 0 ? DMT_ACCESS_READ
                                        : DMT_ACCESS_EXECUTE;
}

/* Touch page p of an area. The page after all that came with it; 0 after saying why. */
static uint64_t touch(struct eval_system *s, const struct eval_area *a, uint64_t p, unsigned access)
{
    const struct dmt_os_stats *stats = dmt_os_stats(s->os);
    uint64_t huge = stats->huge_faults, vpn = a->vpn + p, pages;
    unsigned size = DMT_SIZE_4K;

    if (!serve_kernel(s, vpn << 12, access)) {
        return 0;
    }
    if (stats->huge_faults == huge) {
        return p + 1;
    }
    dmt_space_leaf(dmt_os_space(s->os, s->pid), vpn, &size);
    pages = UINT64_C(1) << 9 * size;
    p = (vpn & ~(pages - 1)) + pages - a->vpn;
    return p < a->resident ? p : a->resident;
}

static bool populate_area(struct eval_system *s, const struct eval_area *a, struct progress *p)
{
    unsigned access = first_access(a);
    uint64_t before = p->done;

    for (uint64_t i = 0, work = SLICE; i < a->resident; p->done = before + i) {
        i = touch(s, a, i, access);
        if (i == 0) {
            return false;
        }
        if (i >= work) {
            work = i + SLICE;
            work_some(s);
        }
        if (before + i >= p->told + TELL && !tell(p)) {
            return false;
        }
    }
    return true;
}

bool eval_system_populate(struct eval_system *s, bool (*progress)(void *user, uint64_t done, uint64_t of),
                          void *user)
{
    struct progress p = {.call = progress, .user = user};

    for (size_t i = 0; i < s->o.areas; i++) {
        p.of += s->o.area[i].resident;
    }
    if (!back(s, s->outer, s->frames[1], &p) || !back(s, s->inner, s->frames[2], &p)) {
        return false;
    }
    for (size_t i = 0; i < s->o.areas; i++) {
        if (!populate_area(s, &s->o.area[i], &p)) {
            return false;
        }
    }
    while (eval_system_work(s)) {
    }
    if (!fill_shadow(s, &p)) {
        return false;
    }
    eval_system_flushed(s); /* nobody has anything cached */
    return tell(&p);
}

/* ------------------------------------------------------------ what there is */

size_t eval_system_areas(const struct eval_system *s, const struct eval_area **area)
{
    *area = s->o.area;
    return s->o.areas;
}

const struct dmt_state *eval_system_state(const struct eval_system *s)
{
    return &s->regs.state;
}

struct dmt_mem *eval_system_mem(const struct eval_system *s)
{
    return s->mem;
}

struct mirror *eval_system_stage(const struct eval_system *s, unsigned k)
{
    return k < STAGES ? s->stage[k] : NULL;
}

uint64_t eval_system_generation(const struct eval_system *s)
{
    return s->generation;
}

bool eval_system_frames(struct eval_system *s, uint64_t n, bool present, uint64_t *pfn)
{
    if (!dmt_buddy_alloc_run(s->buddy, n, pfn)) {
        return false;
    }
    for (uint64_t i = 0; i < n && present; i++) {
        levels_clear(s, *pfn + i);
    }
    return true;
}

bool eval_system_guest_frames(struct eval_system *s, uint64_t n, uint64_t *gfn)
{
    struct dmt_vm *vm = s->inner != NULL ? s->inner : s->outer;
    uint64_t pfn;

    if (vm == NULL || !dmt_buddy_alloc_run(dmt_vm_platform(vm)->buddy, n, gfn)) {
        return false;
    }
    bool backed = dmt_vm_populate(vm, *gfn, n) == n;
    for (uint64_t i = 0; i < n && backed && s->inner != NULL; i++) {
        backed = dmt_vm_backing(s->inner, *gfn + i, &pfn) && dmt_vm_populate(s->outer, pfn, 1) == 1;
    }
    s->generation++;
    if (!backed) {
        dmt_buddy_release(dmt_vm_platform(vm)->buddy, *gfn, n);
    }
    return backed;
}

/* ------------------------------------------------------------ figures */

void eval_system_shadow_exits(const struct eval_system *s, uint64_t *lacked, uint64_t *flushes)
{
    const struct dmt_host_stats *t = s->l0 != NULL ? dmt_host_stats(s->l0) : NULL;

    *lacked = t != NULL ? t->shadow_exits : 0;
    *flushes = t != NULL ? t->shadow_drops : 0;
}

/* Pages of [from, to) in registers of one size. Two of a size never overlap (I1). */
static uint64_t in_registers(const struct eval_system *s, unsigned k, unsigned size, uint64_t from,
                             uint64_t to)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->o.registers; i++) {
        const struct dmt_tea *t = &s->regs.state.tea[k][i];
        if (!t->valid || t->sz != size || (t->kind == DMT_KIND_GTEA && t->resolution != DMT_RESOLUTION_OK)) {
            continue;
        }
        uint64_t a = t->base_vpn > from ? t->base_vpn : from;
        uint64_t b = t->base_vpn + t->pages < to ? t->base_vpn + t->pages : to;
        sum += a < b ? b - a : 0;
    }
    return sum;
}

/* By 2M blocks: a page counts when a register of its own leaf's size holds it; where nothing is mapped yet,
 * when one of any size does. */
static void count_area(const struct eval_system *s, struct eval_system_stats *t, unsigned k,
                       const struct dmt_space *space, uint64_t vpn, uint64_t pages)
{
    uint64_t end = vpn + pages;

    t->area_pages[k] += pages;
    while (vpn < end) {
        uint64_t next = (vpn | (BLOCK - 1)) + 1, best = 0;
        unsigned level, size = DMT_SIZE_4K;
        next = next < end ? next : end;
        dmt_space_entry_pa(space, vpn, &level);
        if (level == 1 || (level <= 3 && dmt_space_leaf(space, vpn, &size) != 0)) {
            best = in_registers(s, k, size, vpn, next);
        } else {
            for (size = DMT_SIZE_4K; size <= DMT_SIZE_1G; size++) {
                uint64_t n = in_registers(s, k, size, vpn, next);
                best = n > best ? n : best;
            }
        }
        t->covered[k] += best;
        vpn = next;
    }
}

static void count_space(const struct eval_system *s, struct eval_system_stats *t, unsigned k,
                        const struct dmt_space *space)
{
    const struct dmt_space_stats *one = dmt_space_stats(space);

    for (unsigned i = 0; i < s->o.registers; i++) {
        t->registers[k] += s->regs.state.tea[k][i].valid;
    }
    t->tables += one->tables;
    t->tea_frames += one->tea_frames;
    t->tea_used += one->tea_used;
    t->moved_tables += one->moved;
    t->migrated += one->migrated;
    t->alloc_failed += one->alloc_failed;
}

/* RAM, and the window behind it, which begins at a 2M boundary. */
static void count_vm(const struct eval_system *s, struct eval_system_stats *t, unsigned k, struct dmt_vm *vm)
{
    uint64_t area, covered, ram = s->frames[k + 1];
    const struct dmt_space *space = dmt_vm_space(vm);

    count_space(s, t, k, space);
    dmt_space_coverage(space, &area, &covered);
    count_area(s, t, k, space, 0, ram);
    count_area(s, t, k, space, (ram + BLOCK - 1) / BLOCK * BLOCK, area - ram);
}

static void count_host(struct eval_system_stats *t, const struct dmt_host *h)
{
    const struct dmt_host_stats *one = dmt_host_stats(h);

    t->violations += one->violations + one->shadow_exits;
    t->exits += one->exits;
    t->hypercalls += one->hypercalls;
    t->zeroed += one->zeroed;
    t->copied += one->moved;
}

/* Table frames below the table at pfn, itself included. Hypervisors do not say of their shadow tables. */
static uint64_t count_tables(const struct eval_system *s, uint64_t pfn, unsigned level)
{
    uint64_t n = 1;

    for (unsigned i = 0; i < BLOCK && level > 1; i++) {
        uint64_t entry;
        if (dmt_mem_read(s->mem, pfn << 12 | i << 3, &entry) && entry != 0 && (entry & DMT_PTE_PS) == 0) {
            n += count_tables(s, (entry & DMT_PTE_FRAME) >> 12, level - 1);
        }
    }
    return n;
}

void eval_system_stats(struct eval_system *s, struct eval_system_stats *t)
{
    const struct dmt_os_stats *os = dmt_os_stats(s->os);
    const struct dmt_space *process = dmt_os_space(s->os, s->pid);

    memset(t, 0, sizeof *t);
    t->pages = os->resident;
    t->faults = os->faults;
    t->zeroed = os->zeroed;
    t->copied = os->copied;
    t->csr_writes = s->csr_writes;
    t->fragmentation = dmt_buddy_unusable(s->buddy, 9);
    count_space(s, t, s->entering, process);
    for (size_t i = 0; i < s->o.areas; i++) {
        count_area(s, t, s->entering, process, s->o.area[i].vpn, s->o.area[i].pages);
    }
    if (s->outer != NULL) {
        count_vm(s, t, 0, s->outer);
        count_host(t, s->l0);
        t->guest_stores = dmt_space_stats(process)->stores;
    }
    if (s->inner != NULL) {
        count_vm(s, t, 1, s->inner);
        count_host(t, s->l1);
        t->guest_stores += dmt_space_stats(dmt_vm_space(s->inner))->stores;
    }
    if (s->shadow_root != 0) {
        t->tables += count_tables(s, s->shadow_root >> 12, s->regs.state.shadow.five ? 5 : 4);
    }
}
