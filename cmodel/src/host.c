/* SPDX-License-Identifier: Apache-2.0
 * Virtual machines: their memory, the second stage that maps it, and what is
 * done to it while the guest runs (docs/software.md, section 6). The record of
 * which frame backs which is vm->pfn; the second stage is made from it. */
#include "host_vm.h"
#include "dmt/table.h"
#include <stdlib.h>
#include <string.h>

#define EPT_R  UINT64_C(0x1)
#define EPT_W  UINT64_C(0x2) /* as DMT_PTE_W */
#define EPT_X  UINT64_C(0x4)
#define EPT_WB (UINT64_C(6) << 3)
#define EPT_D  (UINT64_C(1) << 9)

#define PAGES_MAX (UINT64_C(1) << 36) /* what four levels reach */

/* ------------------------------------------------------------ leaves */

uint64_t vm_leaf(const struct dmt_vm *vm, uint64_t pfn, bool exec)
{
    if (vm->o.format == DMT_SPACE_EPT)
        return pfn << 12 | EPT_WB | EPT_R | EPT_W | (exec ? EPT_X : 0);
    return pfn << 12 | DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | (exec ? 0 : DMT_PTE_XD);
}

bool vm_present(const struct dmt_vm *vm, uint64_t leaf)
{
    return leaf & (vm->o.format == DMT_SPACE_EPT ? EPT_R | EPT_W | EPT_X : DMT_PTE_P);
}

/* The D bit of a leaf; 0: walkers set none, writes are seen by write protection (H7). */
static uint64_t d_bit(const struct dmt_vm *vm)
{
    if (vm->o.format == DMT_SPACE_NPT)
        return DMT_PTE_D;
    return vm->o.ad ? EPT_D : 0;
}

void vm_flush(struct dmt_vm *vm, uint64_t gfn, uint64_t pages)
{
    vm_shadow_drop_all(vm);
    dmt_space_flush(vm->space, gfn, pages);
}

/* ------------------------------------------------------------ frames' contents */

/* Nothing of what the frame held may reach its next owner. A frame that no
 * table has ever been in is absent from the memory and stays so. */
static void scrub(struct dmt_host *h, uint64_t pfn, uint64_t frames)
{
    const struct dmt_platform *p = h->p;

    for (uint64_t i = pfn; i < pfn + frames; i++) {
        if (p->blank && p->blank(p->user, i))
            continue;
        for (uint64_t pa = i << 12; pa < (i + 1) << 12; pa += 8) {
            if (p->load(p->user, pa) != 0)
                p->store(p->user, pa, 0);
        }
    }
    h->stats.zeroed += frames;
}

void vm_copy(struct dmt_host *h, uint64_t to, uint64_t from)
{
    const struct dmt_platform *p = h->p;

    p->clear(p->user, to);
    for (uint64_t i = 0; i < 4096; i += 8) {
        uint64_t value = p->load(p->user, from << 12 | i);
        if (value != 0)
            p->store(p->user, to << 12 | i, value);
    }
}

/* ------------------------------------------------------------ backing (H1) */

void vm_mark_dirty(struct dmt_vm *vm, uint64_t gfn, uint64_t frames)
{
    for (uint64_t i = gfn; vm->track && i < gfn + frames; i++)
        vm->dirty[i / 64] |= UINT64_C(1) << (i % 64);
}

/* A block of 2M, none of which is backed. Where a table is linked already (S4) the leaf takes its place. */
static bool back_block(struct dmt_vm *vm, uint64_t block)
{
    struct dmt_host *h = vm->host;
    uint64_t pfn, leaf;

    if (block + VM_BLOCK > vm->o.frames)
        return false;
    for (uint64_t i = 0; i < VM_BLOCK; i++) {
        if (vm->pfn[block + i] != VM_NONE)
            return false;
    }
    if (!dmt_buddy_alloc(h->p->buddy, 9, &pfn))
        return false;
    scrub(h, pfn, VM_BLOCK);
    leaf = vm_leaf(vm, pfn, true);
    if (!dmt_space_map(vm->space, block, DMT_SIZE_2M, leaf) &&
        !dmt_space_promote(vm->space, block, DMT_SIZE_2M, leaf)) {
        dmt_buddy_release(h->p->buddy, pfn, VM_BLOCK);
        return false;
    }
    for (uint64_t i = 0; i < VM_BLOCK; i++)
        vm->pfn[block + i] = pfn + i;
    if (d_bit(vm) == 0)
        vm_mark_dirty(vm, block, VM_BLOCK); /* mapped writable: no violation will tell */
    return true;
}

static bool back(struct dmt_vm *vm, uint64_t gfn)
{
    struct dmt_host *h = vm->host;
    uint64_t pfn;

    if (vm->o.huge && back_block(vm, gfn & ~(uint64_t)(VM_BLOCK - 1)))
        return true;
    if (!dmt_buddy_alloc(h->p->buddy, 0, &pfn))
        return false;
    scrub(h, pfn, 1);
    if (!dmt_space_map(vm->space, gfn, DMT_SIZE_4K, vm_leaf(vm, pfn, true))) {
        dmt_buddy_release(h->p->buddy, pfn, 1);
        return false;
    }
    vm->pfn[gfn] = pfn;
    if (d_bit(vm) == 0)
        vm_mark_dirty(vm, gfn, 1);
    return true;
}

/* A write to what tracking has write-protected. More rights need no flush (S1). */
static void unprotect(struct dmt_vm *vm, uint64_t gfn)
{
    unsigned size;
    uint64_t leaf = dmt_space_leaf(vm->space, gfn, &size), pages, first;

    if (!vm_present(vm, leaf) || leaf & DMT_PTE_W)
        return;
    pages = UINT64_C(1) << 9 * size;
    first = gfn & ~(pages - 1);
    vm_mark_dirty(vm, first, pages);
    dmt_space_exchange(vm->space, first, size, leaf | DMT_PTE_W);
}

bool vm_ready(struct dmt_vm *vm, uint64_t gfn, bool write, bool fetch)
{
    if (gfn >= vm->end)
        return false;
    if (gfn >= vm->o.frames)
        return vm->pfn[gfn] != VM_NONE && !fetch;
    if (vm->pfn[gfn] == VM_NONE)
        return back(vm, gfn);
    if (write && vm->track && d_bit(vm) == 0)
        unprotect(vm, gfn);
    return true;
}

/* No walk can have cached that nothing was there, so that no flush is due (S1). */
uint64_t dmt_vm_populate(struct dmt_vm *vm, uint64_t gfn, uint64_t frames)
{
    uint64_t i = gfn;

    while (i < vm->o.frames && i - gfn < frames && (vm->pfn[i] != VM_NONE || back(vm, i)))
        i++;
    return i - gfn;
}

bool dmt_vm_fault(struct dmt_vm *vm, unsigned vcpu, const struct dmt_result *fault)
{
    struct dmt_host *h = vm->host;
    bool npt = fault->status == DMT_STATUS_NPT_FAULT, write, fetch, left, done = false;

    if (vcpu >= vm->o.vcpus || (!npt && fault->status != DMT_STATUS_EPT_VIOLATION))
        return false;
    write = fault->error & 2;
    fetch = fault->error & (npt ? 1u << 4 : 1u << 2);
    left = vm_leave(vm, vcpu);
    if (fault->stage == h->p->level) {
        h->stats.violations++;
        done = vm_ready(vm, fault->addr >> 12, write, fetch);
    } else if (fault->stage == h->p->level + 1 && vm->cpu[vcpu].nested) {
        done = vm_shadow_fill(vm, vcpu, fault);
    }
    vm_resume(vm, vcpu, left);
    return done;
}

/* ------------------------------------------------------------ the guest's platform */

uint64_t vm_load(struct dmt_vm *vm, uint64_t pa)
{
    const struct dmt_platform *p = vm->host->p;
    uint64_t gfn = pa >> 12;

    if (gfn >= vm->end || vm->pfn[gfn] == VM_NONE)
        return 0; /* what it will hold when it is backed */
    return p->load(p->user, vm->pfn[gfn] << 12 | (pa & 0xff8));
}

/* A store by the guest's software, which the model does not translate: violations and D bits as if it had
 * been. */
static bool touch(struct dmt_vm *vm, uint64_t gfn)
{
    struct dmt_host *h = vm->host;

    if (gfn < vm->o.frames && vm->pfn[gfn] == VM_NONE) {
        unsigned vcpu = vm_running(vm);
        bool left = vm_leave(vm, vcpu);

        h->stats.violations++;
        h->stats.lost += !vm_ready(vm, gfn, true, false);
        vm_resume(vm, vcpu, left);
    }
    if (gfn >= vm->end || vm->pfn[gfn] == VM_NONE)
        return false;
    vm_mark_dirty(vm, gfn, 1);
    return true;
}

bool vm_store(struct dmt_vm *vm, uint64_t pa, uint64_t value)
{
    const struct dmt_platform *p = vm->host->p;

    if (!touch(vm, pa >> 12))
        return false;
    p->store(p->user, vm->pfn[pa >> 12] << 12 | (pa & 0xff8), value);
    return true;
}

static uint64_t guest_load(void *user, uint64_t pa)
{
    return vm_load(user, pa);
}

static void guest_store(void *user, uint64_t pa, uint64_t value)
{
    vm_store(user, pa, value);
}

static uint64_t guest_exchange(void *user, uint64_t pa, uint64_t value)
{
    struct dmt_vm *vm = user;
    const struct dmt_platform *p = vm->host->p;

    if (!touch(vm, pa >> 12))
        return 0;
    return p->exchange(p->user, vm->pfn[pa >> 12] << 12 | (pa & 0xff8), value);
}

static void guest_clear(void *user, uint64_t gfn)
{
    struct dmt_vm *vm = user;
    const struct dmt_platform *p = vm->host->p;

    if (touch(vm, gfn))
        p->clear(p->user, vm->pfn[gfn]);
}

static bool guest_blank(void *user, uint64_t gfn)
{
    const struct dmt_vm *vm = user;
    const struct dmt_platform *p = vm->host->p;

    return gfn >= vm->end || vm->pfn[gfn] == VM_NONE || (p->blank && p->blank(p->user, vm->pfn[gfn]));
}

static void guest_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    struct dmt_vm *vm = user;

    dmt_vm_level_csr(vm, thread, vm->platform.level, offset, value);
}

/* ------------------------------------------------------------ moving under the guest (S1, H5) */

/* 2M to 4K (S4). Which frames back the block does not change, so shadow tables stay. False: out of memory. */
static bool split(struct dmt_vm *vm, uint64_t gfn)
{
    uint64_t block = gfn & ~(uint64_t)(VM_BLOCK - 1), entry[VM_BLOCK], old;
    unsigned size;

    dmt_space_leaf(vm->space, gfn, &size);
    if (size == DMT_SIZE_4K)
        return true;
    if (!dmt_space_deposit(vm->space, block, DMT_SIZE_2M))
        return false;
    old = dmt_space_exchange(vm->space, block, DMT_SIZE_2M, 0);
    dmt_space_flush(vm->space, block, VM_BLOCK);
    for (uint64_t i = 0; i < VM_BLOCK; i++)
        entry[i] = (old & ~DMT_PTE_PS) + (i << 12);
    if (dmt_space_demote(vm->space, block, DMT_SIZE_2M, entry))
        return true;
    dmt_space_exchange(vm->space, block, DMT_SIZE_2M, old);
    return false;
}

/* The leaf of a backed RAM frame is cleared and nobody has it cached. False: it cannot be. */
static bool withdraw(struct dmt_vm *vm, uint64_t gfn, uint64_t *leaf)
{
    if (gfn >= vm->o.frames || vm->pfn[gfn] == VM_NONE || !split(vm, gfn))
        return false;
    *leaf = dmt_space_exchange(vm->space, gfn, DMT_SIZE_4K, 0);
    vm_flush(vm, gfn, 1);
    return true;
}

bool dmt_vm_move(struct dmt_vm *vm, uint64_t gfn)
{
    struct dmt_host *h = vm->host;
    uint64_t to, from, leaf;

    if (!dmt_buddy_alloc(h->p->buddy, 0, &to))
        return false;
    if (!withdraw(vm, gfn, &leaf)) {
        dmt_buddy_release(h->p->buddy, to, 1);
        return false;
    }
    from = vm->pfn[gfn];
    vm_copy(h, to, from);
    vm->pfn[gfn] = to;
    dmt_space_exchange(vm->space, gfn, DMT_SIZE_4K, (leaf & ~DMT_PTE_FRAME) | to << 12);
    dmt_buddy_release(h->p->buddy, from, 1);
    h->stats.moved++;
    return true;
}

bool dmt_vm_balloon(struct dmt_vm *vm, uint64_t gfn)
{
    uint64_t leaf;

    if (!withdraw(vm, gfn, &leaf))
        return false;
    dmt_buddy_release(vm->host->p->buddy, vm->pfn[gfn], 1);
    vm->pfn[gfn] = VM_NONE;
    vm->dirty[gfn / 64] &= ~(UINT64_C(1) << (gfn % 64));
    vm->host->stats.ballooned++;
    return true;
}

/* ------------------------------------------------------------ dirty tracking (H7) */

struct sweep {
    struct dmt_vm *vm;
    uint64_t drop; /* bits that leaves lose */
    bool changed;
};

/* The exchange, not the load before it, says whether the page was dirty. */
static bool sweep_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct sweep *s = user;
    struct dmt_vm *vm = s->vm;
    uint64_t old;

    (void)pa;
    if (!(entry & s->drop))
        return true;
    old = dmt_space_exchange(vm->space, vpn, size, entry & ~s->drop);
    if (old & s->drop & d_bit(vm))
        vm_mark_dirty(vm, vpn, UINT64_C(1) << 9 * size);
    s->changed = true;
    return true;
}

/* Every RAM leaf loses D, or W where there is no D, and nobody has it cached with it. */
static void sweep(struct dmt_vm *vm)
{
    struct sweep s = {vm, d_bit(vm) ? d_bit(vm) : EPT_W, false};

    dmt_space_each(vm->space, 0, vm->o.frames, sweep_leaf, &s);
    if (s.changed)
        vm_flush(vm, 0, vm->o.frames);
    else
        vm_shadow_drop_all(vm); /* may let L2 write without the second stage's D */
}

static bool grant_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    struct dmt_vm *vm = user;

    (void)pa;
    if (vm_present(vm, entry) && !(entry & DMT_PTE_W))
        dmt_space_exchange(vm->space, vpn, size, entry | DMT_PTE_W);
    return true;
}

void dmt_vm_track(struct dmt_vm *vm, bool on)
{
    if (vm->track && !on && d_bit(vm) == 0)
        dmt_space_each(vm->space, 0, vm->o.frames, grant_leaf, vm);
    vm->track = on;
    if (!on)
        return;
    sweep(vm);
    memset(vm->dirty, 0, (vm->end + 63) / 64 * sizeof *vm->dirty);
}

uint64_t dmt_vm_dirty(struct dmt_vm *vm, uint64_t *dirty, uint64_t words)
{
    uint64_t n = 0;

    memset(dirty, 0, words * sizeof *dirty);
    if (!vm->track)
        return 0;
    sweep(vm);
    for (uint64_t gfn = vm->window; gfn < vm->end; gfn++) {
        if (vm->pfn[gfn] != VM_NONE) /* written by walkers and guests past the second stage */
            vm_mark_dirty(vm, gfn, 1);
    }
    for (uint64_t i = 0; i < words && i < (vm->end + 63) / 64; i++) {
        dirty[i] = vm->dirty[i];
        vm->dirty[i] = 0;
        n += (uint64_t)__builtin_popcountll(dirty[i]);
    }
    return n;
}

/* ------------------------------------------------------------ machines */

/* Areas of the second stage (H1): RAM, and the window behind it. */
static bool next_area(void *user, uint64_t vpn, struct dmt_vma *area, unsigned *sizes)
{
    const struct dmt_vm *vm = user;

    if (vpn < vm->o.frames) {
        *area = (struct dmt_vma){0, vm->o.frames};
        *sizes = 1u << DMT_SIZE_4K | (vm->o.huge ? 1u << DMT_SIZE_2M : 0);
        return true;
    }
    *area = (struct dmt_vma){vm->window, vm->end - vm->window};
    *sizes = 1u << DMT_SIZE_4K;
    return vpn < vm->end && vm->end > vm->window;
}

/* A machine of level 1 can have gTEAs only from below, and alone: set 2's table is one for all. */
static bool may_have_pv(const struct dmt_host *h)
{
    const struct dmt_vm *vm;

    if (h->p->level == 0)
        return true;
    LIST_FOREACH(vm, &h->vms, link)
    {
        if (vm->o.pv)
            return false;
    }
    return h->o.nested_alloc != NULL && h->o.nested_release != NULL;
}

/* Guest frames: where the window begins and ends. False: the addresses do not reach so far. */
static bool lay_out(struct dmt_vm *vm)
{
    const struct dmt_host *h = vm->host;
    uint64_t limit = UINT64_C(1) << (h->p->maxpa - 12), images = h->p->level == 0 ? VM_IMAGES : 0;

    limit = limit < PAGES_MAX ? limit : PAGES_MAX;
    if (vm->o.frames >= limit || vm->o.quota >> 32 != 0)
        return false;
    vm->window = (vm->o.frames + VM_BLOCK - 1) & ~(uint64_t)(VM_BLOCK - 1);
    vm->gteas = vm->window + images;
    /* Twice the quota, so that holes do not soon stand in the way of a run. */
    vm->end = vm->gteas + (vm->o.pv ? 2 * vm->o.quota : 0);
    return vm->end <= limit;
}

static void fill_platform(struct dmt_vm *vm)
{
    const struct dmt_platform *p = vm->host->p;
    bool images = p->level == 0;

    vm->platform = (struct dmt_platform){
        .user = vm,
        .level = p->level + 1,
        .threads = vm->o.vcpus,
        .registers = p->registers,
        .maxpa = p->maxpa,
        .buddy = vm->ram,
        .load = guest_load,
        .store = guest_store,
        .exchange = guest_exchange,
        .clear = guest_clear,
        .blank = guest_blank,
        .csr = guest_csr,
        .tea_alloc = vm->o.pv ? vm_tea_alloc : vm_ram_alloc,
        .tea_extend = vm->o.pv ? vm_tea_extend : NULL,
        .tea_release = vm->o.pv ? vm_tea_release : vm_ram_release,
        .image_pa = images ? vm->window << 12 : 0,
        .images = images ? 2 * VM_IMAGES : 0,
    };
}

/* Contiguous frames that hardware reads, cleared. */
static bool take_run(struct dmt_host *h, uint64_t n, uint64_t *pfn)
{
    if (!dmt_buddy_alloc_run(h->p->buddy, n, pfn)) {
        *pfn = VM_NONE;
        return false;
    }
    for (uint64_t i = 0; i < n; i++)
        h->p->clear(h->p->user, *pfn + i);
    return true;
}

/* What only L0 has: gTEA table of the machine's set, image areas of the guest and of the saved sets. */
static bool take_granted(struct dmt_vm *vm)
{
    struct dmt_host *h = vm->host;

    if (h->p->level != 0)
        return true;
    if ((vm->o.pv && !take_run(h, VM_TABLE, &vm->table[0])) || !take_run(h, VM_IMAGES, &vm->images) ||
        !take_run(h, vm->o.vcpus, &vm->hidden))
        return false;
    for (uint64_t i = 0; i < VM_IMAGES; i++) {
        if (!dmt_space_map(vm->space, vm->window + i, DMT_SIZE_4K, vm_leaf(vm, vm->images + i, false)))
            return false;
        vm->pfn[vm->window + i] = vm->images + i;
    }
    return true;
}

static bool take_memory(struct dmt_vm *vm)
{
    struct dmt_host *h = vm->host;
    struct dmt_space_options s = {
        .format = vm->o.format,
        .levels = vm->o.levels,
        .ad = vm->o.ad,
        .platform = h->p,
        .port = {vm, next_area, vm_set_register, vm_flush_port},
        .policy = h->o.tea,
    };

    vm->pfn = malloc(vm->end * sizeof *vm->pfn);
    vm->dirty = calloc((vm->end + 63) / 64, sizeof *vm->dirty);
    vm->cell = calloc(vm->end - vm->gteas + 1, sizeof *vm->cell);
    vm->by_id[0] = calloc(VM_IDS, sizeof *vm->by_id[0]);
    vm->by_id[1] = calloc(VM_IDS, sizeof *vm->by_id[1]);
    if (!vm->pfn || !vm->dirty || !vm->cell || !vm->by_id[0] || !vm->by_id[1])
        return false;
    for (uint64_t i = 0; i < vm->end; i++)
        vm->pfn[i] = VM_NONE;
    vm->ram = dmt_buddy_new(0, vm->o.frames);
    if (vm->end > vm->gteas)
        vm->free_window = dmt_buddy_new(vm->gteas, vm->end - vm->gteas);
    vm->space = dmt_space_new(&s);
    return vm->ram && (vm->free_window || vm->end == vm->gteas) && vm->space && take_granted(vm) &&
           (!vm->o.pv || dmt_buddy_alloc_run(vm->ram, VM_BUFFER, &vm->buffer));
}

static void give_back(struct dmt_host *h, uint64_t pfn, uint64_t n)
{
    if (pfn != VM_NONE)
        dmt_buddy_release(h->p->buddy, pfn, n);
}

/* Nothing runs and no thread knows the machine. */
static void free_memory(struct dmt_vm *vm)
{
    struct dmt_host *h = vm->host;

    for (unsigned i = 0; i < vm->o.vcpus; i++)
        vm_shadow_delete(vm, i);
    dmt_space_delete(vm->space);
    if (vm->cell)
        vm_free_runs(vm);
    for (uint64_t i = 0; vm->pfn && i < vm->o.frames; i++)
        give_back(h, vm->pfn[i], 1);
    give_back(h, vm->table[0], VM_TABLE);
    give_back(h, vm->table[1], VM_TABLE);
    give_back(h, vm->images, VM_IMAGES);
    give_back(h, vm->hidden, vm->o.vcpus);
    dmt_buddy_delete(vm->free_window);
    dmt_buddy_delete(vm->ram);
    free(vm->by_id[1]);
    free(vm->by_id[0]);
    free(vm->cell);
    free(vm->dirty);
    free(vm->pfn);
    h->tag[vm->tag] = false;
    free(vm);
}

struct dmt_vm *dmt_vm_new(struct dmt_host *h, const struct dmt_vm_options *o)
{
    struct dmt_vm *vm, *last;
    unsigned tag = 1;

    while (tag < VM_TAGS && h->tag[tag])
        tag++;
    if (tag == VM_TAGS || (o->format != DMT_SPACE_EPT && o->format != DMT_SPACE_NPT) ||
        (o->levels != 4 && o->levels != 5) || o->frames < 1024 || o->vcpus < 1 || o->vcpus > h->p->threads ||
        (o->pv && !may_have_pv(h)))
        return NULL;
    vm = calloc(1, sizeof *vm);
    if (!vm)
        return NULL;
    vm->host = h;
    vm->o = *o;
    vm->tag = tag;
    vm->table[0] = vm->table[1] = vm->images = vm->hidden = VM_NONE;
    LIST_INIT(&vm->runs);
    if (!lay_out(vm)) {
        free(vm);
        return NULL;
    }
    h->tag[tag] = true;
    for (unsigned i = 0; i < o->vcpus; i++) {
        vm->cpu[i].vm = vm;
        vm->cpu[i].stale = true; /* the tag may have been another's */
    }
    vm_clear_image(vm);
    if (!take_memory(vm)) {
        free_memory(vm);
        return NULL;
    }
    fill_platform(vm);
    LIST_FOREACH(last, &h->vms, link)
    {
        if (!LIST_NEXT(last, link))
            break;
    }
    if (last)
        LIST_INSERT_AFTER(last, vm, link);
    else
        LIST_INSERT_HEAD(&h->vms, vm, link);
    dmt_space_areas_changed(vm->space, 0, vm->o.frames);
    dmt_space_areas_changed(vm->space, vm->window, vm->end - vm->window);
    return vm;
}

void dmt_vm_delete(struct dmt_vm *vm)
{
    if (!vm)
        return;
    vm_unload(vm);
    LIST_REMOVE(vm, link);
    free_memory(vm);
}

const struct dmt_platform *dmt_vm_platform(struct dmt_vm *vm)
{
    return &vm->platform;
}

struct dmt_space *dmt_vm_space(struct dmt_vm *vm)
{
    return vm->space;
}

void dmt_vm_on_revoke(struct dmt_vm *vm, void (*call)(void *user, uint16_t id), void *user)
{
    vm->on_revoke = call;
    vm->revoke_user = user;
}

bool dmt_vm_backing(const struct dmt_vm *vm, uint64_t gfn, uint64_t *pfn)
{
    if (gfn >= vm->end || vm->pfn[gfn] == VM_NONE)
        return false;
    *pfn = vm->pfn[gfn];
    return true;
}

/* ------------------------------------------------------------ a hypervisor */

struct dmt_host *dmt_host_new(const struct dmt_host_options *o)
{
    struct dmt_host *h;

    if (!o->platform || o->platform->level > 1 || o->platform->threads > DMT_THREADS_MAX || !o->level_csr ||
        (o->platform->level == 0 ? !o->host_csr : !o->nest) || dmt_tea_policy_check(&o->tea))
        return NULL;
    h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->o = *o;
    h->p = o->platform;
    if (h->o.tea.registers > h->p->registers)
        h->o.tea.registers = h->p->registers;
    LIST_INIT(&h->vms);
    host_clear_image(h);
    return h;
}

void dmt_host_delete(struct dmt_host *h)
{
    if (!h)
        return;
    while (!LIST_EMPTY(&h->vms))
        dmt_vm_delete(LIST_FIRST(&h->vms));
    free(h);
}

const struct dmt_host_stats *dmt_host_stats(const struct dmt_host *h)
{
    return &h->stats;
}
