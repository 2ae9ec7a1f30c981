/* SPDX-License-Identifier: Apache-2.0
 * The machine under a workload, and what its software is asked to do. Level 0
 * stands directly on the simulated memory; register writes are decoded as the
 * hardware decodes them (tb/shadow.h), gTEAs resolved. No time passes. */
#include "eval/system.h"

#include "dmt/regs.h"
#include "dmt/table.h"
#include "io.h"
#include "shadow.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_FRAME  UINT64_C(0x100) /* of host memory */
#define IMAGE_FRAMES 16u             /* register images of level 0 */
#define IMAGE_SIZE   2048u
#define BLOCK        UINT64_C(512)         /* pages of a 2M page */
#define USER_PAGES   (UINT64_C(1) << 35)   /* of four-level tables, half of the addresses */
#define RETRIES      64                    /* faults of one access before it counts as not getting anywhere */
#define WORK_EVERY   UINT64_C(0x4000)      /* pages populated between slices of background work */
#define TELL_EVERY   UINT64_C(0x40000)     /* pages populated between calls of progress */
#define WORK_MAX     64                    /* slices at a time */
#define STAGES       4u

struct eval_system {
    struct eval_system_options o; /* area: a copy */
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct dmt_platform platform; /* of level 0 */
    struct shadow regs;
    uint64_t image_pfn;
    struct dmt_host *l0, *l1;
    struct dmt_vm *outer, *inner; /* of l0 and of l1 */
    struct dmt_os *os;
    int pid;
    unsigned entering; /* stage of the process */
    struct mirror *stage[STAGES];
    uint64_t shadow_root; /* that stage[EVAL_SHADOW] was made for */
    struct mirror **old; /* of roots that are gone: somebody may hold them */
    size_t olds;
    uint64_t csr_writes, generation, moved;
};

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

static enum dmt_resp read_word(void *user, uint64_t addr, uint64_t *data)
{
    const struct eval_system *s = user;

    return dmt_mem_read(s->mem, addr, data) ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}

static void write_csr(struct eval_system *s, unsigned offset, uint64_t value)
{
    s->csr_writes++;
    s->generation++;
    shadow_write_from(&s->regs, offset, value, read_word, s);
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

static size_t platform_tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant,
                                 size_t room)
{
    struct eval_system *s = user;
    size_t grants = 0;
    uint64_t pfn;

    for (size_t i = 0; i < n && grants < room; i++) {
        if (frames[i] == 0 || !dmt_buddy_alloc_run(s->buddy, frames[i], &pfn)) {
            continue;
        }
        for (uint64_t k = 0; k < frames[i]; k++) {
            platform_clear(s, pfn + k);
        }
        grant[grants++] = (struct dmt_grant){.request = i, .pfn = pfn, .frames = frames[i]};
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
    for (uint64_t k = 0; k < frames; k++) {
        platform_clear(s, end + k);
    }
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
    return pages / BLOCK + pages / (BLOCK * BLOCK) + 8;
}

/* What the process maps: the pages it will have, and their tables. */
static void process_needs(const struct eval_system_options *o, uint64_t *pages, uint64_t *tables)
{
    *pages = *tables = 0;
    for (size_t i = 0; i < o->areas; i++) {
        *pages += o->thp ? up_to(o->area[i].resident, BLOCK) : o->area[i].resident;
        *tables += table_frames(o->area[i].pages);
    }
}

/* A level's memory that is to hold these. Tables may be there twice, in a TEA and on their way into it;
 * room is for tables of a design's own, areas that grow, and what fragmentation makes useless. */
static uint64_t with_room(const struct eval_system_options *o, uint64_t pages, uint64_t tables)
{
    uint64_t n = pages + 2 * tables;

    return up_to(n + n / (o->fragment > 0 ? 6 : 24) + 4096, BLOCK);
}

/* gTEA frames of a machine: what its kernel's TEAs take while some are replaced by others. */
static uint64_t quota_of(uint64_t tables)
{
    return 2 * tables + 1024;
}

/* ------------------------------------------------------------ software */

static struct dmt_tea_policy tea_policy(const struct eval_system *s)
{
    struct dmt_tea_policy p = dmt_tea_policy_default();

    p.enabled = s->o.tea;
    p.registers = s->platform.registers;
    return p;
}

static bool make_kernel(struct eval_system *s, const struct dmt_platform *platform)
{
    struct dmt_os_options o = dmt_os_options_default();
    const char *why;

    o.platform = platform;
    o.processes = 1;
    o.thp = s->o.thp ? DMT_THP_ALWAYS : DMT_THP_NEVER;
    o.tea = tea_policy(s);
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
    for (size_t i = 0; i < s->o.areas && status == DMT_OS_OK; i++) {
        const struct eval_area *a = &s->o.area[i];
        uint64_t vpn = a->vpn;
        status = dmt_os_map(s->os, s->pid, a->pages, a->flags, (unsigned)i + 1, 0, &vpn);
        if (status != DMT_OS_OK) {
            say("area %zu (%s), %" PRIu64 " pages at 0x%" PRIx64 ", cannot be mapped: %s", i, a->name,
                a->pages, a->vpn << 12, dmt_os_status_name(status));
            return false;
        }
    }
    if (status != DMT_OS_OK) {
        say("the process cannot be made: %s", dmt_os_status_name(status));
    }
    return status == DMT_OS_OK;
}

static bool make_level0(struct eval_system *s, uint64_t frames)
{
    struct dmt_config config = {.pa_w = 52, .ctx_n = 1, .sets = 3, .tag_w = 8, .cnt_w = 48};

    config.tea_n = s->o.registers;
    s->mem = dmt_mem_new();
    s->buddy = dmt_buddy_new(FIRST_FRAME, frames);
    if (s->mem == NULL || s->buddy == NULL || !shadow_reset(&s->regs, &config)) {
        say("out of memory");
        return false;
    }
    s->platform = (struct dmt_platform){.user = s,
                                        .level = 0,
                                        .threads = 1,
                                        .registers = s->o.registers,
                                        .maxpa = 52,
                                        .buddy = s->buddy,
                                        .load = platform_load,
                                        .store = platform_store,
                                        .exchange = platform_exchange,
                                        .clear = platform_clear,
                                        .csr = platform_csr,
                                        .tea_alloc = platform_tea_alloc,
                                        .tea_extend = platform_tea_extend,
                                        .tea_release = platform_tea_release};
    if (!dmt_buddy_alloc_run(s->buddy, IMAGE_FRAMES, &s->image_pfn)) {
        say("no frames for register images");
        return false;
    }
    for (unsigned i = 0; i < IMAGE_FRAMES; i++) {
        platform_clear(s, s->image_pfn + i);
    }
    s->platform.image_pa = s->image_pfn << 12;
    s->platform.images = IMAGE_FRAMES * 4096 / IMAGE_SIZE;
    host_csr(s, 0, DMT_HOST_IMAGE_BASE0, s->platform.image_pa);
    host_csr(s, 0, DMT_HOST_IMAGE_COUNT0, s->platform.images);
    host_csr(s, 0, DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
    if (s->o.fragment > 0) {
        dmt_buddy_fragment(s->buddy, 9, s->o.fragment / 100.0, s->o.seed);
    }
    return true;
}

static bool build(struct eval_system *s)
{
    uint64_t pages, tables;

    process_needs(&s->o, &pages, &tables);
    s->entering = (unsigned)s->o.env;
    if (s->o.env != EVAL_NATIVE) {
        (void)quota_of, (void)level_csr;
        say("virtual machines are not there yet");
        return false;
    }
    return make_level0(s, with_room(&s->o, pages, tables)) && make_kernel(s, &s->platform) && map_areas(s);
}

/* ------------------------------------------------------------ mirrors */

static void make_mirrors(struct eval_system *s)
{
    s->stage[0] = mirror_new(s->mem, s->regs.state.level[0].cr3 >> 12, 4, false, NULL, NULL);
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
    if (!build(s)) {
        eval_system_free(s);
        return NULL;
    }
    while (eval_system_work(s)) {
    }
    make_mirrors(s);
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
    dmt_os_delete(s->os);
    shadow_free(&s->regs);
    dmt_buddy_delete(s->buddy);
    dmt_mem_free(s->mem);
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

bool eval_system_fault(struct eval_system *s, uint64_t va, unsigned access)
{
    return walk_through(s, &s->regs.state, va, access);
}

/* ------------------------------------------------------------ at the start */

bool eval_system_work(struct eval_system *s)
{
    return dmt_os_work(s->os);
}

static unsigned first_access(const struct eval_area *a)
{
    return (a->flags & DMT_OS_W) != 0   ? DMT_ACCESS_WRITE
           : (a->flags & DMT_OS_R) != 0 ? DMT_ACCESS_READ
                                        : DMT_ACCESS_EXECUTE;
}

bool eval_system_populate(struct eval_system *s, bool (*progress)(void *user, uint64_t done, uint64_t of), void *user)
{
    const struct dmt_os_stats *stats = dmt_os_stats(s->os);
    uint64_t of = 0, done = 0, work = WORK_EVERY, tell = TELL_EVERY;

    for (size_t i = 0; i < s->o.areas; i++) {
        of += s->o.area[i].resident;
    }
    for (size_t i = 0; i < s->o.areas; i++) {
        const struct eval_area *a = &s->o.area[i];
        unsigned access = first_access(a);
        for (uint64_t p = 0; p < a->resident;) {
            uint64_t huge = stats->huge_faults, next = p + 1;
            if (!serve_kernel(s, (a->vpn + p) << 12, access)) {
                return false;
            }
            if (stats->huge_faults != huge) {
                unsigned size = DMT_SIZE_4K;
                dmt_space_leaf(dmt_os_space(s->os, s->pid), a->vpn + p, &size);
                uint64_t pages = UINT64_C(1) << 9 * size;
                next = ((a->vpn + p) & ~(pages - 1)) + pages - a->vpn;
            }
            next = next < a->resident ? next : a->resident;
            done += next - p;
            p = next;
            if (done >= work) {
                work = done + WORK_EVERY;
                for (unsigned n = 0; n < WORK_MAX && eval_system_work(s); n++) {
                }
            }
            if (done >= tell) {
                tell = done + TELL_EVERY;
                if (progress != NULL && !progress(user, done, of)) {
                    return false;
                }
            }
        }
    }
    while (eval_system_work(s)) {
    }
    return progress == NULL || progress(user, of, of);
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
        platform_clear(s, *pfn + i);
    }
    return true;
}

bool eval_system_guest_frames(struct eval_system *s, uint64_t n, uint64_t *gfn)
{
    (void)s, (void)n, (void)gfn;
    return false;
}

/* ------------------------------------------------------------ figures */

/* Pages of [from, to) in registers of one size. Two of a size never overlap (I1). */
static uint64_t in_registers(const struct eval_system *s, unsigned k, unsigned size, uint64_t from, uint64_t to)
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
}
