/* SPDX-License-Identifier: Apache-2.0
 * The machine inside a machine, as L0 sees it (docs/software.md, H8): mode
 * NESTED, and the shadow table from L2 physical straight to host physical. It
 * is made at violations, of leaves of 4K and, where both levels have one of 2M,
 * of 2M, from the tables of the hypervisor at level 1 and L0's own record, and is
 * like those tables in everything (S2CTL), so that faults which are not L0's are
 * reported as that hypervisor expects them. */
#include "host_vm.h"
#include "dmt/table.h"

#define EPT_RWX UINT64_C(7)
#define EPT_XU  (UINT64_C(1) << 10)
#define EPT_WB  (UINT64_C(6) << 3)
#define EPT_A   (UINT64_C(1) << 8)
#define EPT_D   (UINT64_C(1) << 9)

/* ------------------------------------------------------------ the table itself */

/* Has no areas, hence no TEAs, and tables that hold nothing may go. */
static bool no_area(void *user, uint64_t vpn, struct dmt_vma *area, unsigned *sizes)
{
    (void)user, (void)vpn, (void)area, (void)sizes;
    return false;
}

static void no_register(void *user, unsigned index, const struct dmt_tea *tea)
{
    (void)user, (void)index, (void)tea;
}

/* A write of SHADOW_ROOT drops everything cached from the table (specification
 * 10); a vCPU that is not entered makes it at its entry. */
static void flush_shadow(void *user, uint64_t vpn, uint64_t pages, bool tables)
{
    struct vm_cpu *c = user;

    (void)vpn, (void)pages, (void)tables;
    c->shadow_cold = true;
    if (c->entered && c->nested)
        vm_write_shadow(c->vm, (unsigned)(c - c->vm->cpu));
}

static bool clear_leaf(void *user, uint64_t vpn, unsigned size, uint64_t pa, uint64_t entry)
{
    (void)pa, (void)entry;
    dmt_space_exchange(user, vpn, size, 0);
    return true;
}

void vm_shadow_drop(struct dmt_vm *vm, unsigned vcpu)
{
    struct vm_cpu *c = &vm->cpu[vcpu];
    uint64_t all;

    if (!c->shadow || !c->shadow_used)
        return;
    all = UINT64_C(1) << 9 * dmt_space_levels(c->shadow);
    dmt_space_each(c->shadow, 0, all, clear_leaf, c->shadow);
    dmt_space_prune(c->shadow, 0, all); /* flushes: every leaf's table goes */
    c->shadow_used = false;
    vm->host->stats.shadow_drops++;
}

void vm_shadow_drop_all(struct dmt_vm *vm)
{
    for (unsigned i = 0; i < vm->o.vcpus; i++)
        vm_shadow_drop(vm, i);
}

void vm_shadow_delete(struct dmt_vm *vm, unsigned vcpu)
{
    dmt_space_delete(vm->cpu[vcpu].shadow);
    vm->cpu[vcpu].shadow = NULL;
}

bool vm_shadow_ready(struct dmt_vm *vm, unsigned vcpu)
{
    struct vm_cpu *c = &vm->cpu[vcpu];
    uint64_t root = c->above[0].reg[VM_REG(DMT_LEVEL_S2ROOT)];
    uint64_t ctl = c->above[0].reg[VM_REG(DMT_LEVEL_S2CTL)];

    if (!vm->host->o.shadow || c->full)
        return false;
    if (c->shadow && c->shadow_ctl != ctl)
        vm_shadow_delete(vm, vcpu);
    else if (c->shadow && c->shadow_root != root)
        vm_shadow_drop(vm, vcpu);
    if (!c->shadow) {
        struct dmt_space_options o = {
            .format = ctl & DMT_LEVEL_S2CTL_FORMAT_MASK ? DMT_SPACE_NPT : DMT_SPACE_EPT,
            .levels = ctl & DMT_LEVEL_S2CTL_FIVE_MASK ? 5 : 4,
            .ad = ctl & DMT_LEVEL_S2CTL_AD_MASK,
            .platform = vm->host->p,
            .port = {c, no_area, no_register, flush_shadow},
            .policy = {.enabled = false, .registers = 1},
        };
        c->shadow = dmt_space_new(&o);
        c->shadow_cold = true;
        c->shadow_used = false;
    }
    c->shadow_root = root;
    c->shadow_ctl = ctl;
    c->full = c->shadow == NULL;
    return !c->full;
}

/* ------------------------------------------------------------ filling */

/* A walk of the inner hypervisor's table by software. */
struct inner_walk {
    uint64_t pa[6], entry[6]; /* by level: where it lies in its memory, and what it is */
    unsigned top, leaf;
    uint64_t rights; /* bits as in an entry of the format, ANDed; XD is inverted */
    uint64_t gfn;
};

static bool npt(const struct vm_cpu *c)
{
    return c->shadow_ctl & DMT_LEVEL_S2CTL_FORMAT_MASK;
}

/* The bits of an entry that give rights, all of them giving when set. */
static uint64_t rights_of(const struct vm_cpu *c, uint64_t entry)
{
    if (npt(c))
        return (entry & (DMT_PTE_P | DMT_PTE_W | DMT_PTE_U)) | (~entry & DMT_PTE_XD);
    return entry & (c->shadow_ctl & DMT_LEVEL_S2CTL_MBEC_MASK ? EPT_RWX | EPT_XU : EPT_RWX);
}

/* False: not present, or a misconfiguration, in the entry of level `leaf`. */
static bool walk_inner(struct dmt_vm *vm, const struct vm_cpu *c, uint64_t addr, struct inner_walk *w)
{
    uint64_t table = c->shadow_root & DMT_PTE_FRAME, e;

    w->top = c->shadow_ctl & DMT_LEVEL_S2CTL_FIVE_MASK ? 5 : 4;
    w->rights = UINT64_MAX;
    for (unsigned level = w->top;; level--) {
        w->leaf = level;
        w->pa[level] = dmt_table_entry_addr(table >> 12, level, addr);
        w->entry[level] = e = vm_load(vm, w->pa[level]);
        w->rights &= rights_of(c, e);
        if (npt(c) ? !(e & DMT_PTE_P) : rights_of(c, e) == 0 || (e & 3) == 2)
            return false;
        table = e & DMT_PTE_FRAME;
        if (level == 1 || (level <= 3 && e & DMT_PTE_PS)) {
            w->gfn = (table + (addr & (dmt_level_bytes(level) - 1))) >> 12;
            return true;
        }
    }
}

/* What the hardware would have set in the tables of stage 1, which it does not walk. */
static void set_accessed(struct dmt_vm *vm, const struct vm_cpu *c, const struct inner_walk *w, bool write)
{
    uint64_t a = npt(c) ? DMT_PTE_A : EPT_A, d = npt(c) ? DMT_PTE_D : EPT_D, bits;

    if (!npt(c) && !(c->shadow_ctl & DMT_LEVEL_S2CTL_AD_MASK))
        return;
    for (unsigned level = w->top; level >= w->leaf; level--) {
        bits = a | (write && level == w->leaf ? d : 0);
        if ((w->entry[level] & bits) != bits)
            vm_store(vm, w->pa[level], w->entry[level] | bits);
    }
}

/* Can a write go on unseen: is D set in stage 1 already, and does L0 not ask either? */
static bool write_unseen(const struct dmt_vm *vm, const struct vm_cpu *c, const struct inner_walk *w)
{
    if (vm->track)
        return false;
    if (npt(c))
        return w->entry[w->leaf] & DMT_PTE_D;
    return !(c->shadow_ctl & DMT_LEVEL_S2CTL_AD_MASK) || w->entry[w->leaf] & EPT_D;
}

/* One leaf for 2M: where level 1 and L0 have one, too, and nobody asks which of its pages are written. */
static unsigned shadow_size(const struct dmt_vm *vm, const struct inner_walk *w)
{
    unsigned size = DMT_SIZE_4K;

    if (w->leaf > 1 && !vm->track)
        dmt_space_leaf(vm->space, w->gfn, &size);
    return size == DMT_SIZE_4K ? DMT_SIZE_4K : DMT_SIZE_2M;
}

/* The leaf's own A and D tell nothing, and are there from the start: walkers need not set them. */
static uint64_t shadow_leaf(const struct dmt_vm *vm, const struct vm_cpu *c, const struct inner_walk *w,
                            bool write, unsigned size)
{
    uint64_t rights = w->rights, exec = npt(c) ? DMT_PTE_XD : UINT64_C(4) | EPT_XU;

    if (!write && !write_unseen(vm, c, w))
        rights &= ~DMT_PTE_W;
    if (w->gfn >= vm->o.frames) /* the window has no X */
        rights &= ~exec;
    if (npt(c))
        rights = (rights ^ DMT_PTE_XD) | DMT_PTE_A | (rights & DMT_PTE_W ? DMT_PTE_D : 0);
    else
        rights |= EPT_WB | EPT_A | (rights & DMT_PTE_W ? EPT_D : 0);
    return rights | vm->pfn[size == DMT_SIZE_4K ? w->gfn : w->gfn & ~(uint64_t)(VM_BLOCK - 1)] << 12;
}

/* *size: of the leaf that maps it now. False: out of memory. */
static bool put_leaf(struct dmt_vm *vm, unsigned vcpu, uint64_t vpn, const struct inner_walk *w, bool write,
                     unsigned *size)
{
    struct vm_cpu *c = &vm->cpu[vcpu];
    uint64_t block = vpn & ~(uint64_t)(VM_BLOCK - 1);
    unsigned had;

    *size = shadow_size(vm, w);
    if (dmt_space_leaf(c->shadow, vpn, &had) != 0) {
        if (had <= *size) { /* the next entry's write of CTL flushes */
            *size = had;
            dmt_space_exchange(c->shadow, had == DMT_SIZE_4K ? vpn : block, had,
                               shadow_leaf(vm, c, w, write, had));
            return true;
        }
        vm_shadow_drop(vm, vcpu); /* one of the leaves that it was made of is smaller now */
    }
    c->shadow_used = true;
    if (*size == DMT_SIZE_2M &&
        dmt_space_map(c->shadow, block, DMT_SIZE_2M, shadow_leaf(vm, c, w, write, DMT_SIZE_2M)))
        return true;
    *size = DMT_SIZE_4K; /* a table of 4K leaves is there */
    return dmt_space_map(c->shadow, vpn, DMT_SIZE_4K, shadow_leaf(vm, c, w, write, DMT_SIZE_4K));
}

bool vm_shadow_fill(struct dmt_vm *vm, unsigned vcpu, const struct dmt_result *fault)
{
    struct vm_cpu *c = &vm->cpu[vcpu];
    struct dmt_host_stats *stats = &vm->host->stats;
    bool write = fault->error & 2, fetch = fault->error & (npt(c) ? 1u << 4 : 1u << 2);
    struct inner_walk w;
    uint64_t need = 0;
    unsigned size;

    if (!c->shadow)
        return false;
    stats->shadow_exits++;
    if (fault->addr >> (c->shadow_ctl & DMT_LEVEL_S2CTL_FIVE_MASK ? 57 : 48) != 0 ||
        !walk_inner(vm, c, fault->addr, &w))
        return false;
    if (npt(c))
        need = DMT_PTE_U | (write ? DMT_PTE_W : 0) | (fetch ? DMT_PTE_XD : 0);
    else
        need = (fault->error & 1) | (write ? UINT64_C(2) : 0);
    if ((w.rights & need) != need || (!npt(c) && fetch && !(w.rights & (UINT64_C(4) | EPT_XU))))
        return false;
    if (!vm_ready(vm, w.gfn, write, fetch))
        return false;
    if (write)
        vm_mark_dirty(vm, w.gfn, 1);
    set_accessed(vm, c, &w, write);
    if (!put_leaf(vm, vcpu, fault->addr >> 12, &w, write, &size)) {
        vm_shadow_drop(vm, vcpu); /* its own tables are what memory is short of */
        if (!put_leaf(vm, vcpu, fault->addr >> 12, &w, write, &size)) {
            vm_shadow_delete(vm, vcpu);
            c->full = true;
            return true;
        }
    }
    stats->shadow_fills++;
    return true;
}

uint64_t dmt_vm_populate_shadow(struct dmt_vm *vm, unsigned vcpu, uint64_t gfn, uint64_t frames)
{
    struct vm_cpu *c = vcpu < vm->o.vcpus ? &vm->cpu[vcpu] : NULL;
    uint64_t end = gfn + frames, limit, next, done = 0;
    struct inner_walk w;

    if (!c || !c->nested || !c->shadow)
        return 0;
    limit = UINT64_C(1) << 9 * dmt_space_levels(c->shadow);
    end = end < gfn || end > limit ? limit : end;
    for (uint64_t i = gfn; i < end; i = next) {
        bool there = walk_inner(vm, c, i << 12, &w), write = w.rights & DMT_PTE_W;
        unsigned size;

        next = (i | ((dmt_level_bytes(w.leaf) >> 12) - 1)) + 1;
        if (!there)
            continue;
        next = i + 1;
        if (!vm_ready(vm, w.gfn, write, false))
            continue;
        if (write)
            vm_mark_dirty(vm, w.gfn, 1);
        set_accessed(vm, c, &w, write);
        if (!put_leaf(vm, vcpu, i, &w, write, &size))
            break;
        next = (i | ((UINT64_C(1) << 9 * size) - 1)) + 1;
        done += (next < end ? next : end) - i;
    }
    return done;
}

/* ------------------------------------------------------------ launch and exit of the machine inside */

void dmt_vm_nest(struct dmt_vm *vm, unsigned vcpu, bool inside)
{
    struct vm_cpu *c;
    bool left;

    if (vcpu >= vm->o.vcpus || vm->host->p->level != 0)
        return;
    vm_start_nesting(vm);
    left = vm_leave(vm, vcpu);
    c = &vm->cpu[vcpu];
    c->nested = inside;
    c->full = false;
    vm_resume(vm, vcpu, left);
}
