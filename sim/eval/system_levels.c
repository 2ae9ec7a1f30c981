/* SPDX-License-Identifier: Apache-2.0
 * The levels of a system. Level 0 stands directly on the simulated memory;
 * register writes are decoded as the hardware decodes them (tb/shadow.h), gTEAs
 * resolved, and no time passes. On it a kernel, or a hypervisor with a guest's
 * kernel, or a hypervisor in a guest with a guest of its own. */
#include "dmt/regs.h"
#include "eval/system_parts.h"
#include "io.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_FRAME  UINT64_C(0x100) /* of host memory */
#define IMAGE_FRAMES 16u             /* register images of level 0 */
#define IMAGE_SIZE   2048u
#define TABLE_RUN    2048u            /* frames: four pageblocks; Linux keeps tables apart from pages by claiming whole ones */
#define ROOM         32768u           /* frames of every level, for small workloads; fewer where the dial is to be felt */
#define HUGE_1G      (BLOCK * BLOCK) /* pages */

/* ------------------------------------------------------------ memory and registers of level 0 */

static uint8_t *add(struct eval_system *s, uint64_t pfn)
{
    uint8_t *frame = dmt_mem_add(s->mem, pfn);

    if (frame == NULL) {
        say("out of memory: the simulated machine has %zu frames of tables", dmt_mem_count(s->mem));
        exit(EXIT_BAD_INPUT);
    }
    return frame;
}

static uint64_t platform_load(void *user, uint64_t pa)
{
    const struct eval_system *s = user;
    uint64_t value = 0;

    dmt_mem_read(s->mem, pa, &value);
    return value;
}

static uint64_t platform_exchange(void *user, uint64_t pa, uint64_t value)
{
    struct eval_system *s = user;
    uint64_t old = 0;

    if (!dmt_mem_read(s->mem, pa, &old)) {
        if (!dmt_buddy_has(s->buddy, pa >> 12)) {
            return 0;
        }
        add(s, pa >> 12);
    }
    dmt_mem_write(s->mem, pa, value);
    return old;
}

static void platform_store(void *user, uint64_t pa, uint64_t value)
{
    platform_exchange(user, pa, value);
}

static bool platform_blank(void *user, uint64_t pfn)
{
    const struct eval_system *s = user;

    return dmt_mem_frame(s->mem, pfn) == NULL;
}

static void platform_clear(void *user, uint64_t pfn)
{
    struct eval_system *s = user;

    if (platform_blank(s, pfn)) {
        add(s, pfn);
    } else {
        memset(add(s, pfn), 0, 4096);
    }
}

void levels_clear(struct eval_system *s, uint64_t pfn)
{
    platform_clear(s, pfn);
}

static enum dmt_resp read_word(void *user, uint64_t addr, uint64_t *data)
{
    const struct eval_system *s = user;

    return dmt_mem_read(s->mem, addr, data) ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}

/* What the hardware drops, as tb/shadow.h has it: bit k of kinds for virtual entries of stage k, bits from 3 on for
 * physical ones. */
static void csr_flushed(void *user, unsigned kinds, int pcid, int tag1, int tag0)
{
    struct eval_system *s = user;

    (void)pcid, (void)tag1, (void)tag0; /* there is one process in one machine */
    if (s->flush.quiet) {
        return;
    }
    s->flush.any = true;
    s->flush.told.process = s->flush.told.process || (kinds >> s->entering & 1) != 0;
    s->flush.told.host = s->flush.told.host || kinds >> DMT_SETS_MAX != 0;
}

static void flush_page(struct eval_system *s, uint64_t vpn)
{
    struct eval_flush *f = &s->flush.told;

    s->flush.any = true;
    if (f->pages == FLUSH_PAGES) {
        f->process = true;
    } else {
        s->flush.page[f->pages++] = vpn;
    }
}

static void write_csr(struct eval_system *s, unsigned offset, uint64_t value)
{
    bool page = offset == DMT_LEVEL_BASE(s->entering) + DMT_LEVEL_INV &&
                value >> DMT_LEVEL_INV_KIND_LSB == DMT_INV_ADDRESS;

    s->csr_writes++;
    s->generation++;
    /* Exits and entries change the mode, at which this hardware drops everything; caches that tell machines apart
     * need not. */
    s->flush.quiet = page || offset == DMT_HOST_BASE + DMT_HOST_CTL;
    shadow_write_from(&s->regs, offset, value, read_word, s);
    if (page) {
        flush_page(s, value & DMT_LEVEL_INV_VPN_MASK);
    }
}

/* The kernel has changed these pages, and nobody has them cached any more. */
static void os_flushed(void *user, int pid, unsigned thread, uint64_t vpn, uint64_t pages)
{
    struct eval_system *s = user;
    struct eval_flush *f = &s->flush.told;

    (void)pid, (void)thread;
    if (f->ranges == s->flush.room) {
        s->flush.room = s->flush.room == 0 ? 16 : 2 * s->flush.room;
        s->flush.range = need(realloc(s->flush.range, s->flush.room * sizeof *s->flush.range));
    }
    s->flush.any = true;
    s->flush.range[f->ranges++] = (struct eval_range){vpn, pages};
}

static void platform_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    (void)thread;
    write_csr(user, DMT_LEVEL_BASE(0) + offset, value);
}

static void host_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    (void)thread;
    write_csr(user, DMT_HOST_BASE + offset, value);
}

static void level_csr(void *user, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    (void)thread;
    write_csr(user, DMT_LEVEL_BASE(level) + offset, value);
}

static void clear_run(struct eval_system *s, uint64_t pfn, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        platform_clear(s, pfn + i);
    }
}

static size_t platform_tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant,
                                 size_t room)
{
    struct eval_system *s = user;
    size_t grants = 0;
    uint64_t pfn;

    for (size_t i = 0; i < n && grants < room; i++) {
        if (dmt_buddy_alloc_run(s->buddy, frames[i], &pfn)) {
            clear_run(s, pfn, frames[i]);
            grant[grants++] = (struct dmt_grant){.request = i, .pfn = pfn, .frames = frames[i]};
        }
    }
    return grants;
}

static bool platform_tea_extend(void *user, struct dmt_grant *grant, uint64_t frames)
{
    struct eval_system *s = user;
    uint64_t end = grant->pfn + grant->frames;

    if (!dmt_buddy_alloc_at(s->buddy, end, frames)) {
        return false;
    }
    clear_run(s, end, frames);
    grant->frames += frames;
    return true;
}

static void platform_tea_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames)
{
    struct eval_system *s = user;

    dmt_buddy_release(s->buddy, grant->pfn + skip, frames);
}

/* ------------------------------------------------------------ how much memory each level gets */

static uint64_t up_to(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Frames of tables, or of TEAs, that map an area of so many pages: leaf tables of 4K, those of 2M beside
 * them when both may occur, and the way from the root. */
static uint64_t table_frames(uint64_t pages)
{
    return pages / BLOCK + pages / HUGE_1G + 8;
}

/* The pages that a process will have in an area; a page of a private file that is written is there twice. */
static uint64_t pages_of(const struct eval_system_options *o, const struct eval_area *a)
{
    unsigned private_file = DMT_OS_FILE | DMT_OS_W;

    if ((a->flags & DMT_OS_HUGETLB_1G) != 0) {
        return up_to(a->resident, HUGE_1G);
    }
    if ((a->flags & (private_file | DMT_OS_SHARED)) == private_file) {
        return 2 * a->resident;
    }
    return o->thp || (a->flags & DMT_OS_HUGETLB_2M) != 0 ? up_to(a->resident, BLOCK) : a->resident;
}

static void process_needs(const struct eval_system_options *o, uint64_t *pages, uint64_t *tables)
{
    *pages = *tables = 0;
    for (size_t i = 0; i < o->areas; i++) {
        *pages += pages_of(o, &o->area[i]);
        *tables += table_frames(o->area[i].pages);
    }
}

/* A level's memory that is to hold these. Tables may be there twice, in a TEA and on their way into it; room
 * is for tables of a design's own, areas that grow, and what pins of the dial make useless. */
static uint64_t with_room(const struct eval_system_options *o, uint64_t pages, uint64_t tables)
{
    uint64_t n = pages + 2 * tables;

    return up_to(n + n / (o->fragment > 0 ? 6 : 24) + ROOM / (o->fragment > 0 ? 8 : 1), BLOCK);
}

/* gTEA frames of a machine: its kernel's TEAs, while some are replaced by others. */
static uint64_t quota_of(uint64_t tables)
{
    return 2 * tables + 1024;
}

/* What a second stage maps: RAM, and a window of image area and gTEAs (dmt/host.h). */
static uint64_t second_stage_tables(uint64_t frames, uint64_t quota)
{
    return table_frames(frames) + table_frames(2 * quota + BLOCK);
}

/* ------------------------------------------------------------ software */

static struct dmt_tea_policy tea_policy(const struct eval_system *s)
{
    struct dmt_tea_policy p = dmt_tea_policy_default();

    p.enabled = s->o.tea;
    p.registers = s->platform.registers;
    p.present_percent = s->o.present;
    return p;
}

static bool make_level0(struct eval_system *s)
{
    struct dmt_config config = {.pa_w = 52, .ctx_n = 1, .sets = DMT_SETS_MAX, .tag_w = 8, .cnt_w = 48};

    config.tea_n = s->o.registers;
    s->mem = dmt_mem_new();
    s->buddy = dmt_buddy_new(FIRST_FRAME, s->frames[0]);
    if (s->mem == NULL || s->buddy == NULL || !shadow_reset(&s->regs, &config)) {
        say("out of memory");
        return false;
    }
    s->regs.flushed = csr_flushed;
    s->regs.flushed_user = s;
    s->platform = (struct dmt_platform){.user = s,
                                        .level = 0,
                                        .threads = 1,
                                        .registers = s->o.registers,
                                        .maxpa = config.pa_w,
                                        .buddy = s->buddy,
                                        .load = platform_load,
                                        .store = platform_store,
                                        .exchange = platform_exchange,
                                        .clear = platform_clear,
                                        .blank = platform_blank,
                                        .csr = platform_csr,
                                        .tea_alloc = platform_tea_alloc,
                                        .tea_extend = platform_tea_extend,
                                        .tea_release = platform_tea_release};
    if (!dmt_buddy_alloc_run(s->buddy, IMAGE_FRAMES, &s->image_pfn)) {
        say("no frames for register images");
        return false;
    }
    clear_run(s, s->image_pfn, IMAGE_FRAMES);
    s->platform.image_pa = s->image_pfn << 12;
    s->platform.images = IMAGE_FRAMES * 4096 / IMAGE_SIZE;
    host_csr(s, 0, DMT_HOST_IMAGE_BASE0, s->platform.image_pa);
    host_csr(s, 0, DMT_HOST_IMAGE_COUNT0, s->platform.images);
    host_csr(s, 0, DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
    return true;
}

static void fragment(const struct eval_system *s, const struct dmt_platform *p)
{
    if (s->o.fragment > 0) { /* as far as it can be had */
        dmt_buddy_fragment(p->buddy, DMT_SIZE_2M * 9, s->o.fragment / 100.0, s->o.seed + p->level);
    }
}

static void revoked(void *user, uint16_t id)
{
    const struct eval_system *s = user;

    if (s->os != NULL) {
        dmt_os_revoked(s->os, id);
    }
}

/* The hypervisor inside keeps its own TEAs in gTEAs, too. */
static void revoked_inside(void *user, uint16_t id)
{
    const struct eval_system *s = user;

    dmt_space_revoked(dmt_vm_space(s->inner), id);
}

static struct dmt_vm *make_vm(const struct eval_system *s, struct dmt_host *host, uint64_t frames,
                              uint64_t quota)
{
    struct dmt_vm_options o = {.format = DMT_SPACE_EPT,
                               .levels = 4,
                               .ad = true,
                               .frames = frames,
                               .huge = s->o.thp || s->o.host_huge,
                               .pv = s->o.tea && s->o.pv,
                               .quota = quota,
                               .vcpus = 1};
    struct dmt_vm *vm = dmt_vm_new(host, &o);

    if (vm == NULL) {
        say("a virtual machine of %" PRIu64 " frames cannot be made", frames);
    } else {
        fragment(s, dmt_vm_platform(vm));
    }
    return vm;
}

static bool make_host(struct eval_system *s, struct dmt_host **h, struct dmt_host_options *o)
{
    o->tea = tea_policy(s);
    *h = dmt_host_new(o);
    if (*h == NULL) {
        say("the hypervisor of level %u cannot be made", o->platform->level);
    }
    return *h != NULL;
}

static bool make_kernel(struct eval_system *s, const struct dmt_platform *platform)
{
    struct dmt_os_options o = dmt_os_options_default();
    const char *why;
    uint64_t pages, tables;

    process_needs(&s->o, &pages, &tables);
    o.platform = platform;
    o.processes = 1;
    o.thp = s->o.thp ? DMT_THP_ALWAYS : DMT_THP_NEVER;
    o.tea = tea_policy(s);
    o.table_run = tables < TABLE_RUN ? (unsigned)tables : TABLE_RUN;
    o.watch = (struct dmt_os_watch){.user = s, .flushed = os_flushed};
    o.seed = s->o.seed;
    s->os = dmt_os_new(&o, &why);
    if (s->os == NULL) {
        say("the kernel cannot be made: %s", why);
    }
    return s->os != NULL;
}

static bool map_areas(struct eval_system *s)
{
    enum dmt_os_status status = dmt_os_spawn(s->os, &s->pid);

    if (status == DMT_OS_OK) {
        status = dmt_os_switch(s->os, 0, s->pid);
    }
    if (status != DMT_OS_OK) {
        say("the process cannot be made: %s", dmt_os_status_name(status));
        return false;
    }
    for (size_t i = 0; i < s->o.areas; i++) {
        const struct eval_area *a = &s->o.area[i];
        uint64_t vpn = a->vpn;
        status = dmt_os_map(s->os, s->pid, a->pages, a->flags, (unsigned)i + 1, 0, &vpn);
        if (status != DMT_OS_OK) {
            say("area %zu (%s), %" PRIu64 " pages at 0x%" PRIx64 ", cannot be mapped: %s", i, a->name,
                a->pages, a->vpn << 12, dmt_os_status_name(status));
            return false;
        }
    }
    return true;
}

static bool make_machines(struct eval_system *s, const uint64_t quota[2])
{
    struct dmt_host_options o = {.platform = &s->platform,
                                 .host_csr = host_csr,
                                 .level_csr = level_csr,
                                 .user = s,
                                 .shadow = !s->o.full};

    if (!make_host(s, &s->l0, &o)) {
        return false;
    }
    s->outer = make_vm(s, s->l0, s->frames[1], quota[0]);
    if (s->outer == NULL || s->o.env == EVAL_VIRT) {
        return s->outer != NULL;
    }
    dmt_vm_inner_options(s->outer, &o);
    if (!make_host(s, &s->l1, &o)) {
        return false;
    }
    s->inner = make_vm(s, s->l1, s->frames[2], quota[1]);
    return s->inner != NULL;
}

/* Memory of each level from the top down: what the level above takes is what it has to back. */
static void size_levels(struct eval_system *s, uint64_t quota[2])
{
    const struct eval_system_options *o = &s->o;
    uint64_t pages, tables, gteas = 0, shadow = 0;
    unsigned k = s->entering;

    process_needs(o, &pages, &tables);
    s->frames[k] = with_room(o, pages, tables);
    while (k-- > 0) {
        gteas += quota_of(tables); /* of all levels above: they come from the lowest */
        quota[k] = gteas;
        tables = second_stage_tables(s->frames[k + 1], quota[k]);
        if (k == 1) {
            shadow = tables;
        }
        s->frames[k] = with_room(o, s->frames[k + 1], tables + (k == 0 ? gteas + shadow : 0));
    }
}

bool levels_make(struct eval_system *s)
{
    struct dmt_vm *vm;
    uint64_t quota[2];

    s->entering = (unsigned)s->o.env;
    size_levels(s, quota);
    if (!make_level0(s)) {
        return false;
    }
    fragment(s, &s->platform);
    if (s->o.env == EVAL_NATIVE) {
        return make_kernel(s, &s->platform) && map_areas(s);
    }
    if (!make_machines(s, quota)) {
        return false;
    }
    vm = s->inner != NULL ? s->inner : s->outer;
    if (!make_kernel(s, dmt_vm_platform(vm))) {
        return false;
    }
    dmt_vm_on_revoke(vm, revoked, s);
    dmt_vm_enter(s->outer, 0);
    if (s->inner != NULL) {
        dmt_vm_on_revoke(s->outer, revoked_inside, s);
        dmt_vm_enter(s->inner, 0);
    }
    return map_areas(s);
}

void levels_free(struct eval_system *s)
{
    if (s->inner != NULL) {
        dmt_vm_exit(s->inner, 0);
    }
    if (s->outer != NULL) {
        dmt_vm_exit(s->outer, 0);
    }
    dmt_os_delete(s->os);
    dmt_host_delete(s->l1);
    dmt_host_delete(s->l0);
    shadow_free(&s->regs);
    dmt_buddy_delete(s->buddy);
    dmt_mem_free(s->mem);
}

bool levels_to_host_1(void *user, uint64_t pfn, uint64_t *hpfn)
{
    const struct eval_system *s = user;

    return dmt_vm_backing(s->outer, pfn, hpfn);
}

bool levels_to_host_2(void *user, uint64_t pfn, uint64_t *hpfn)
{
    const struct eval_system *s = user;

    return dmt_vm_backing(s->inner, pfn, hpfn) && dmt_vm_backing(s->outer, *hpfn, hpfn);
}
