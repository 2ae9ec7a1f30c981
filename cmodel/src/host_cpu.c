/* SPDX-License-Identifier: Apache-2.0
 * Virtual CPUs: what is written to a thread's registers, when, and what is
 * remembered of it (docs/software.md, H6). A thread keeps the registers of the
 * levels above after an exit, and the next entry of the same machine leaves
 * them alone: only another machine, or what changed meanwhile, is loaded. */
#include "host_vm.h"
#include <string.h>

/* HOST window: registers of one set. */
#define GTEA_TABLE(set)   (DMT_HOST_GTEA_TABLE1 + 0x10u * ((set) - 1u))
#define GTEA_ENTRIES(set) (DMT_HOST_GTEA_ENTRIES1 + 0x10u * ((set) - 1u))
#define IMAGE_BASE(set)   (DMT_HOST_IMAGE_BASE0 + 0x10u * (set))
#define IMAGE_COUNT(set)  (DMT_HOST_IMAGE_COUNT0 + 0x10u * (set))
#define IMAGE_BYTES       2048u

#define KIND(inv) ((uint64_t)(inv) << DMT_LEVEL_INV_KIND_LSB)

/* ------------------------------------------------------------ writes */

void vm_write_own(struct dmt_host *h, unsigned thread, unsigned offset, uint64_t value)
{
    h->stats.csr_writes++;
    h->p->csr(h->p->user, thread, offset, value);
}

void vm_write_host(struct dmt_host *h, unsigned thread, unsigned offset, uint64_t value)
{
    h->stats.csr_writes++;
    h->o.host_csr(h->o.user, thread, offset, value);
}

static void write_above(struct dmt_host *h, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    h->stats.csr_writes++;
    h->o.level_csr(h->o.user, thread, level, offset, value);
}

/* Is the register, of level k or above, known to hold the value? It will, when this returns false. These
 * are the ones whose writing flushes what the tags would keep, or is for nothing. */
static bool holds(struct dmt_host *h, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    struct host_thread *t = &h->thread[thread];
    unsigned i = VM_REG(offset);

    if (t->reg[level][i].known && t->reg[level][i].value == value)
        return true;
    t->reg[level][i].known = true;
    t->reg[level][i].value = value;
    return false;
}

static void set_above(struct dmt_host *h, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    if (!holds(h, thread, level, offset, value))
        write_above(h, thread, level, offset, value);
}

/* ------------------------------------------------------------ set k: hTEAs */

/* Where the image of the set lies. False: there is none, write registers. tag 0: the empty one. */
static bool image_of(const struct dmt_host *h, unsigned tag, uint64_t *pa, unsigned *index)
{
    if (tag >= h->p->images)
        return false;
    *index = h->p->images - 1 - tag;
    *pa = h->p->image_pa + (uint64_t)IMAGE_BYTES * *index;
    return true;
}

static void clear_image(struct dmt_host *h, unsigned tag)
{
    uint64_t pa;
    unsigned index;

    if (!image_of(h, tag, &pa, &index))
        return;
    for (unsigned i = 0; i < DMT_TEA_MAX; i++)
        h->p->store(h->p->user, pa + 32u * i, 0);
}

void host_clear_image(struct dmt_host *h)
{
    clear_image(h, 0);
}

void vm_clear_image(struct dmt_vm *vm)
{
    clear_image(vm->host, vm->tag);
}

static void write_tea(struct dmt_host *h, unsigned thread, unsigned index, const struct dmt_tea *tea)
{
    uint64_t word[3];

    dmt_tea_pack(tea, word);
    if (tea->valid) {
        vm_write_own(h, thread, DMT_LEVEL_TEA_WORD1(index), word[1]);
        vm_write_own(h, thread, DMT_LEVEL_TEA_WORD2(index), word[2]);
        vm_write_own(h, thread, DMT_LEVEL_TEA_WORD0(index), word[0]);
    } else {
        vm_write_own(h, thread, DMT_LEVEL_TEA_WORD0(index), 0);
    }
}

/* No register of set k is valid from here on. */
static void empty_set(struct dmt_host *h, unsigned thread)
{
    uint64_t pa;
    unsigned index;

    if (image_of(h, 0, &pa, &index)) {
        vm_write_own(h, thread, DMT_LEVEL_LOAD, index);
        return;
    }
    for (unsigned i = 0; i < h->p->registers; i++)
        vm_write_own(h, thread, DMT_LEVEL_TEA_WORD0(i), 0);
}

static void load_set(struct dmt_vm *vm, unsigned thread)
{
    struct dmt_host *h = vm->host;
    const struct dmt_tea *tea = dmt_space_registers(vm->space);
    uint64_t pa;
    unsigned index;
    bool any = false;

    for (unsigned i = 0; i < h->o.tea.registers; i++)
        any |= tea[i].valid;
    if (!any)
        return;
    if (image_of(h, vm->tag, &pa, &index)) {
        vm_write_own(h, thread, DMT_LEVEL_LOAD, index);
        return;
    }
    for (unsigned i = 0; i < h->o.tea.registers; i++) {
        if (tea[i].valid)
            write_tea(h, thread, i, &tea[i]);
    }
}

/* S2: the image first loses P, so that whoever loads it meanwhile gets the old register or none. */
void vm_set_register(void *user, unsigned index, const struct dmt_tea *tea)
{
    struct dmt_vm *vm = user;
    struct dmt_host *h = vm->host;
    uint64_t pa, word[3];
    unsigned image;

    if (image_of(h, vm->tag, &pa, &image)) {
        pa += 32u * index;
        h->p->store(h->p->user, pa, 0);
        if (tea->valid) {
            dmt_tea_pack(tea, word);
            h->p->store(h->p->user, pa + 8, word[1]);
            h->p->store(h->p->user, pa + 16, word[2]);
            h->p->store(h->p->user, pa, word[0]);
        }
    }
    for (unsigned i = 0; i < vm->o.vcpus; i++) {
        if (vm->cpu[i].entered)
            write_tea(h, i, index, tea);
    }
}

/* A thread that is not in the guest cannot use what it has cached under the tag
 * before its next entry, which drops it. */
void vm_flush_port(void *user, uint64_t vpn, uint64_t pages, bool tables)
{
    struct dmt_vm *vm = user;

    (void)vpn, (void)pages, (void)tables; /* there is no smaller flush than the tag's */
    for (unsigned i = 0; i < vm->o.vcpus; i++) {
        if (vm->cpu[i].entered)
            vm_write_own(vm->host, i, DMT_LEVEL_INV,
                         KIND(DMT_INV_S2_CONTEXT) | (uint64_t)vm->tag << DMT_LEVEL_INV_PCID_LSB);
        else
            vm->cpu[i].stale = true;
    }
}

/* ------------------------------------------------------------ the levels above: as saved */

/* A set load by the guest, as the hardware does it: registers become what the image holds. */
static void remember_load(struct dmt_vm *vm, struct vm_level *l, uint64_t image)
{
    const struct dmt_platform *p = vm->host->p;

    for (unsigned i = 0; i < p->registers; i++) {
        for (unsigned w = 0; w < 3; w++)
            l->word[i][w] = p->load(p->user, (vm->images << 12) + IMAGE_BYTES * image + 32u * i + 8u * w);
    }
}

/* A write to the window of a level above. */
static void remember(struct dmt_vm *vm, struct vm_cpu *c, unsigned above, unsigned offset, uint64_t value)
{
    struct vm_level *l = &c->above[above];
    unsigned i = offset / DMT_LEVEL_TEA_STRIDE, w = offset % DMT_LEVEL_TEA_STRIDE / 8, kind;
    bool flush = false, flush_s2 = false;

    if (offset < DMT_LEVEL_CR0) {
        if (w == 3)
            return;
        if (w != 0)
            l->word[i][0] &= ~DMT_TEA_WORD0_P_MASK;
        l->word[i][w] = value;
        return;
    }
    switch (offset) {
    case DMT_LEVEL_EVENT:
        return;
    case DMT_LEVEL_LOAD:
        if (above == 0 && value < vm->platform.images)
            remember_load(vm, l, value);
        return;
    case DMT_LEVEL_INV:
        kind = value >> DMT_LEVEL_INV_KIND_LSB;
        flush = kind <= DMT_INV_ALL_BUT_GLOBAL;
        flush_s2 = !flush;
        break;
    case DMT_LEVEL_CR3:
        flush = !(value & DMT_LEVEL_CR3_NOFLUSH_MASK);
        value &= ~DMT_LEVEL_CR3_NOFLUSH_MASK;
        break;
    case DMT_LEVEL_CR0:
    case DMT_LEVEL_CR4:
    case DMT_LEVEL_EFER:
        flush = true;
        break;
    case DMT_LEVEL_S2ROOT:
        flush_s2 = !(value & DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
        value &= ~DMT_LEVEL_S2ROOT_NOFLUSH_MASK;
        break;
    case DMT_LEVEL_S2CTL:
        flush_s2 = true;
        break;
    default:
        break;
    }
    if (offset != DMT_LEVEL_INV)
        l->reg[VM_REG(offset)] = value;
    if (!c->entered) {
        l->inv |= flush;
        l->inv_s2 |= flush_s2;
    }
    if (flush_s2 && above == 0)
        vm_shadow_drop(vm, (unsigned)(c - vm->cpu)); /* H8: whatever tag it was for */
}

void dmt_vm_level_csr(struct dmt_vm *vm, unsigned vcpu, unsigned level, unsigned offset, uint64_t value)
{
    struct dmt_host *h = vm->host;
    unsigned above = level - h->p->level - 1;
    struct vm_cpu *c;

    if (vcpu >= vm->o.vcpus || above > 1 || level >= DMT_SETS_MAX || offset >= DMT_LEVEL_CR0 + 8u * VM_REGS)
        return;
    c = &vm->cpu[vcpu];
    if (above == 1)
        vm_start_nesting(vm);
    remember(vm, c, above, offset, value);
    if (!c->entered) {
        c->changed = true;
        return;
    }
    if (offset >= DMT_LEVEL_CR0)
        (void)holds(h, vcpu, level, offset, c->above[above].reg[VM_REG(offset)]);
    h->o.level_csr(h->o.user, vcpu, level, offset, value);
}

/* ------------------------------------------------------------ the levels above: loaded */

static void load_saved_set(struct dmt_vm *vm, unsigned vcpu, unsigned above)
{
    struct dmt_host *h = vm->host;
    const struct dmt_platform *p = h->p;
    unsigned level = p->level + 1 + above, index = 2 * vcpu + above;
    const struct vm_level *l = &vm->cpu[vcpu].above[above];
    uint64_t pa = (vm->hidden << 12) + (uint64_t)IMAGE_BYTES * index;

    if (vm->hidden != VM_NONE) {
        for (unsigned i = 0; i < p->registers; i++) {
            for (unsigned w = 0; w < 3; w++)
                p->store(p->user, pa + 32u * i + 8u * w, l->word[i][w]);
        }
        vm_write_host(h, vcpu, IMAGE_BASE(level), vm->hidden << 12);
        vm_write_host(h, vcpu, IMAGE_COUNT(level), 2 * vm->o.vcpus);
        write_above(h, vcpu, level, DMT_LEVEL_LOAD, index);
        return;
    }
    for (unsigned i = 0; i < p->registers; i++) {
        if (l->word[i][0] & DMT_TEA_WORD0_P_MASK) {
            write_above(h, vcpu, level, DMT_LEVEL_TEA_WORD1(i), l->word[i][1]);
            write_above(h, vcpu, level, DMT_LEVEL_TEA_WORD2(i), l->word[i][2]);
        }
        write_above(h, vcpu, level, DMT_LEVEL_TEA_WORD0(i), l->word[i][0]);
    }
}

static void write_gtea_table(struct dmt_vm *vm, unsigned thread, unsigned set)
{
    unsigned level = 1 + set;
    bool none = vm->table[set] == VM_NONE;

    vm_write_host(vm->host, thread, GTEA_TABLE(level), none ? 0 : vm->table[set] << 12);
    vm_write_host(vm->host, thread, GTEA_ENTRIES(level), none ? 0 : VM_IDS);
}

static void load_level(struct dmt_vm *vm, unsigned vcpu, unsigned above)
{
    static const unsigned state[] = {DMT_LEVEL_CR0,  DMT_LEVEL_CR4,  DMT_LEVEL_EFER,
                                     DMT_LEVEL_PKRU, DMT_LEVEL_PKRS, DMT_LEVEL_EVENT_MASK};
    struct dmt_host *h = vm->host;
    unsigned level = h->p->level + 1 + above;
    struct vm_level *l = &vm->cpu[vcpu].above[above];
    bool pcid = l->reg[VM_REG(DMT_LEVEL_CR4)] & DMT_LEVEL_CR4_PCIDE_MASK;

    if (h->p->level == 0)
        write_gtea_table(vm, vcpu, above);
    for (unsigned i = 0; i < sizeof state / sizeof *state; i++)
        set_above(h, vcpu, level, state[i], l->reg[VM_REG(state[i])]);
    write_above(h, vcpu, level, DMT_LEVEL_CR3,
                l->reg[VM_REG(DMT_LEVEL_CR3)] | (pcid ? DMT_LEVEL_CR3_NOFLUSH_MASK : 0));
    if (above == 0 && vm->nesting) {
        set_above(h, vcpu, level, DMT_LEVEL_S2CTL, l->reg[VM_REG(DMT_LEVEL_S2CTL)]);
        write_above(h, vcpu, level, DMT_LEVEL_S2ROOT,
                    l->reg[VM_REG(DMT_LEVEL_S2ROOT)] | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    }
    load_saved_set(vm, vcpu, above);
    if (h->p->level == 0) {
        vm_write_host(h, vcpu, IMAGE_BASE(level), above == 0 ? vm->images << 12 : 0);
        vm_write_host(h, vcpu, IMAGE_COUNT(level), above == 0 ? vm->platform.images : 0);
    }
    if (l->inv)
        write_above(h, vcpu, level, DMT_LEVEL_INV, KIND(DMT_INV_ALL));
    if (l->inv_s2 && vm->nesting)
        write_above(h, vcpu, level, DMT_LEVEL_INV, KIND(DMT_INV_S2_ALL));
    l->inv = l->inv_s2 = false;
}

void vm_gtea_table(struct dmt_vm *vm, unsigned set)
{
    for (unsigned i = 0; i < vm->o.vcpus; i++) {
        if (vm->host->thread[i].vm == vm)
            write_gtea_table(vm, i, set);
    }
}

void vm_gtea_command(struct dmt_vm *vm, unsigned op, unsigned set, unsigned id)
{
    uint64_t value = (uint64_t)op << DMT_HOST_GTEA_CMD_OP_LSB |
                     (uint64_t)(1 + set) << DMT_HOST_GTEA_CMD_SET_LSB | id;

    for (unsigned i = 0; i < vm->o.vcpus; i++) {
        if (vm->host->thread[i].vm == vm)
            vm_write_host(vm->host, i, DMT_HOST_GTEA_CMD, value);
    }
}

void vm_start_nesting(struct dmt_vm *vm)
{
    if (vm->nesting)
        return;
    vm->nesting = true;
    for (unsigned i = 0; i < vm->o.vcpus; i++) {
        bool left = vm_leave(vm, i);

        vm->cpu[i].changed = true;
        vm_resume(vm, i, left);
    }
}

/* ------------------------------------------------------------ entry and exit */

/* Level 0 sets the mode; level 1 asks for that. */
static void set_mode(struct dmt_vm *vm, unsigned vcpu, bool inside)
{
    struct dmt_host *h = vm->host;
    const struct vm_cpu *c = &vm->cpu[vcpu];
    uint64_t ctl = DMT_HOST_CTL_AD_UPDATE_MASK;

    if (h->p->level != 0) {
        h->o.nest(h->o.user, vcpu, inside);
        return;
    }
    if (!inside)
        ctl |= DMT_MODE_NATIVE;
    else if (!c->nested)
        ctl |= DMT_MODE_VIRT;
    else
        ctl |= DMT_MODE_NESTED |
               (uint64_t)(c->shadow ? DMT_FALLBACK_SHADOW : DMT_FALLBACK_FULL) << DMT_HOST_CTL_FALLBACK_LSB;
    vm_write_host(h, vcpu, DMT_HOST_CTL, ctl);
}

void vm_write_shadow(struct dmt_vm *vm, unsigned vcpu)
{
    struct host_thread *t = &vm->host->thread[vcpu];
    struct vm_cpu *c = &vm->cpu[vcpu];
    uint64_t root = dmt_space_root(c->shadow) << 12;
    uint64_t ctl = c->shadow_ctl;

    if (ctl & DMT_LEVEL_S2CTL_AD_MASK && dmt_space_format(c->shadow) == DMT_SPACE_EPT)
        ctl &= ~DMT_LEVEL_S2CTL_AD_MASK; /* what L1's flags must show is seen to at violations */
    if (!t->shadow_ctl.known || t->shadow_ctl.value != ctl)
        vm_write_host(vm->host, vcpu, DMT_HOST_SHADOW_CTL, ctl);
    if (c->shadow_cold || !t->shadow_root.known || t->shadow_root.value != root)
        vm_write_host(vm->host, vcpu, DMT_HOST_SHADOW_ROOT, root);
    t->shadow_ctl.known = t->shadow_root.known = true;
    t->shadow_ctl.value = ctl;
    t->shadow_root.value = root;
    c->shadow_cold = false;
}

/* The order keeps hTEAs and the host's own registers apart: set k is empty
 * whenever the mode changes, and full only in the guest's mode. */
void dmt_vm_enter(struct dmt_vm *vm, unsigned vcpu)
{
    struct dmt_host *h = vm->host;
    struct vm_cpu *c;
    struct host_thread *t;
    uint64_t before, ctl;

    if (vcpu >= vm->o.vcpus || vm->cpu[vcpu].entered)
        return;
    c = &vm->cpu[vcpu];
    t = &h->thread[vcpu];
    if (t->vm && t->vm != vm)
        dmt_vm_exit(t->vm, vcpu);
    before = h->stats.csr_writes;
    h->stats.entries++;
    ctl = (vm->o.format == DMT_SPACE_NPT ? DMT_FORMAT_NPT : DMT_FORMAT_EPT) |
          (vm->o.levels == 5 ? DMT_LEVEL_S2CTL_FIVE_MASK : 0) |
          (vm->o.ad && vm->o.format == DMT_SPACE_EPT ? DMT_LEVEL_S2CTL_AD_MASK : 0);
    if (!holds(h, vcpu, h->p->level, DMT_LEVEL_S2CTL, ctl))
        vm_write_own(h, vcpu, DMT_LEVEL_S2CTL, ctl);
    vm_write_own(h, vcpu, DMT_LEVEL_S2ROOT,
                 dmt_space_root(vm->space) << 12 | vm->tag | (c->stale ? 0 : DMT_LEVEL_S2ROOT_NOFLUSH_MASK));
    c->stale = false;
    if (t->vm != vm || c->changed) {
        for (unsigned i = 0; i < (vm->nesting ? 2u : 1u); i++)
            load_level(vm, vcpu, i);
        t->vm = vm;
        c->changed = false;
    }
    if (c->nested && vm_shadow_ready(vm, vcpu))
        vm_write_shadow(vm, vcpu);
    empty_set(h, vcpu);
    set_mode(vm, vcpu, true);
    c->entered = true;
    load_set(vm, vcpu);
    h->stats.csr_entry += h->stats.csr_writes - before;
}

/* What the guest may have changed has been remembered as it went. */
void dmt_vm_exit(struct dmt_vm *vm, unsigned vcpu)
{
    struct dmt_host *h = vm->host;
    uint64_t before = h->stats.csr_writes;

    if (vcpu >= vm->o.vcpus || !vm->cpu[vcpu].entered)
        return;
    h->stats.exits++;
    empty_set(h, vcpu);
    set_mode(vm, vcpu, false);
    vm->cpu[vcpu].entered = false;
    h->stats.csr_entry += h->stats.csr_writes - before;
}

bool dmt_vm_entered(const struct dmt_vm *vm, unsigned vcpu)
{
    return vcpu < vm->o.vcpus && vm->cpu[vcpu].entered;
}

unsigned vm_running(const struct dmt_vm *vm)
{
    for (unsigned i = 0; i < vm->o.vcpus; i++) {
        if (vm->cpu[i].entered)
            return i;
    }
    return 0;
}

bool vm_leave(struct dmt_vm *vm, unsigned vcpu)
{
    bool entered = vm->cpu[vcpu].entered;

    dmt_vm_exit(vm, vcpu);
    return entered;
}

void vm_resume(struct dmt_vm *vm, unsigned vcpu, bool left)
{
    if (left)
        dmt_vm_enter(vm, vcpu);
}

void vm_unload(struct dmt_vm *vm)
{
    struct dmt_host *h = vm->host;

    for (unsigned i = 0; i < vm->o.vcpus; i++) {
        dmt_vm_exit(vm, i);
        if (h->thread[i].vm != vm)
            continue;
        h->thread[i].vm = NULL;
        if (h->p->level != 0)
            continue;
        for (unsigned set = 1; set <= (vm->nesting ? 2u : 1u); set++) {
            vm_write_host(h, i, GTEA_ENTRIES(set), 0); /* revokes, too */
            vm_write_host(h, i, IMAGE_COUNT(set), 0);
        }
        if (h->thread[i].shadow_root.known && vm->cpu[i].shadow)
            vm_write_host(h, i, DMT_HOST_SHADOW_ROOT, 0);
        h->thread[i].shadow_root.known = false;
    }
}
