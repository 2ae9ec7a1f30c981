/* SPDX-License-Identifier: Apache-2.0
 * The software under a workload (sim/eval/system.h): what its mirrors say is
 * what the architectural model finds with its registers, in every environment,
 * with and without TEAs, THP and fragmentation; faults from nothing; figures
 * against counts of the test's own. */
#include "dmt/arch.h"
#include "dmt/check.h"
#include "dmt/regs.h"
#include "dmt/table.h"
#include "drive.h"
#include "eval/system.h"
#include "eval/system_parts.h"
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>

#define RW (DMT_OS_R | DMT_OS_W)

/* 52 MB: two that one cluster holds, one alone and at no boundary, one that begins and ends in the middle of
 * a 2M page, and one that cannot be written. */
static const struct eval_area areas[] = {
    {.vpn = 0x555555555,
     .pages = 300,
     .resident = 300,
     .flags = DMT_OS_R | DMT_OS_X | DMT_OS_FILE,
     .name = "text"},
    {.vpn = 0x555555700, .pages = 700, .resident = 700, .flags = RW, .name = "data"},
    {.vpn = 0x7f0000123, .pages = 8192, .resident = 8192, .flags = RW, .name = "heap"},
    {.vpn = 0x7f8000000, .pages = 4096, .resident = 4096, .flags = RW, .name = "table"},
};
#define AREAS (sizeof areas / sizeof *areas)

enum tea { NONE, PLAIN, PV };

static struct eval_system_options options(enum eval_env env, enum tea tea, bool thp, unsigned fragment)
{
    return (struct eval_system_options){.env = env,
                                        .area = areas,
                                        .areas = AREAS,
                                        .thp = thp,
                                        .tea = tea != NONE,
                                        .pv = tea == PV,
                                        .registers = 16,
                                        .fragment = fragment,
                                        .seed = 7};
}

static struct eval_system *populated(const struct eval_system_options *o)
{
    struct eval_system *s = eval_system_new(o);

    must(s != NULL);
    must(eval_system_populate(s, NULL, NULL));
    return s;
}

/* ------------------------------------------------------------ the two ways to an address */

static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    if (!dmt_mem_read(user, ref->addr, data))
        return DMT_RESP_DECERR;
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return dmt_mem_write(user, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

static struct dmt_result translate(const struct eval_system *s, uint64_t va, unsigned access)
{
    struct dmt_request q = {.va = va, .access = (uint8_t)access, .cpl = 3, .nonspec = true};
    struct dmt_port port = {.user = eval_system_mem(s), .read = read_entry, .write = write_entry};
    struct dmt_result r;

    dmt_arch_translate(eval_system_state(s), &q, &port, &r);
    return r;
}

/* Through stages k - 1 .. 0, or the shadow table for both of them. False: not present somewhere. */
static bool below(const struct eval_system *s, unsigned k, bool shadow, uint64_t *addr)
{
    struct mirror_path p;

    if (shadow && k == 2) {
        must(mirror_walk(eval_system_stage(s, EVAL_SHADOW), *addr, &p) == p.present);
        *addr = p.to;
        return p.present;
    }
    while (k-- > 0) {
        if (!mirror_walk(eval_system_stage(s, k), *addr, &p))
            return false;
        *addr = p.to;
    }
    return true;
}

/* By the radix tables alone. The entries are where the stages below say they are, and hold what memory holds.
 */
static bool compose(const struct eval_system *s, unsigned top, bool shadow, uint64_t va, uint64_t *pa,
                    struct mirror_path *p)
{
    if (!mirror_walk(eval_system_stage(s, top), va, p))
        return false;
    for (unsigned level = p->top; level >= p->leaf; level--) {
        uint64_t at = p->step[level].at, word;

        must(below(s, top, shadow, &at), "a table of stage %u is not backed", top);
        must(at == p->step[level].hpa, "level %u of stage %u", level, top);
        must(dmt_mem_read(eval_system_mem(s), at, &word) && word == p->step[level].entry);
    }
    *pa = p->to;
    return below(s, top, shadow, pa);
}

/* Is the page in a register of its size? */
static bool in_register(const struct eval_system *s, unsigned k, uint64_t vpn, unsigned size)
{
    for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
        const struct dmt_tea *t = &eval_system_state(s)->tea[k][i];

        if (t->valid && t->sz == size && vpn >= t->base_vpn && vpn - t->base_vpn < t->pages)
            return t->kind == DMT_KIND_PA || t->resolution == DMT_RESOLUTION_OK;
    }
    return false;
}

static void expect_page(const struct eval_system *s, uint64_t va, unsigned access)
{
    unsigned top = eval_system_state(s)->mode - 1;
    struct dmt_result r = translate(s, va, access);
    struct mirror_path p;
    uint64_t pa;

    must(r.status == DMT_STATUS_OK, "0x%llx: status %u at 0x%llx", (unsigned long long)va, r.status,
         (unsigned long long)r.addr);
    must(compose(s, top, false, va, &pa, &p) && pa == r.pa, "0x%llx", (unsigned long long)va);
    must(eval_system_stage(s, EVAL_SHADOW) == NULL || (compose(s, top, true, va, &pa, &p) && pa == r.pa),
         "0x%llx by the shadow table", (unsigned long long)va);
    must((r.path[top] == DMT_PATH_TEA) == in_register(s, top, va >> 12, p.leaf - 1u), "0x%llx: path %u",
         (unsigned long long)va, r.path[top]);
}

static unsigned access_of(const struct eval_area *a)
{
    return a->flags & DMT_OS_W   ? DMT_ACCESS_WRITE
           : a->flags & DMT_OS_X ? DMT_ACCESS_EXECUTE
                                 : DMT_ACCESS_READ;
}

/* ------------------------------------------------------------ every system */

static const struct {
    enum eval_env env;
    bool full;
    unsigned radix, refs[3]; /* references of 4K on 4K without TEAs; with: none, plain, pv */
} envs[] = {
    {EVAL_NATIVE, false, 4, {0, 1, 1}},
    {EVAL_VIRT, false, 24, {0, 3, 2}},
    {EVAL_NESTED, false, 24, {0, 7, 3}},
    {EVAL_NESTED, true, 124, {0, 7, 3}},
};

/* All pages of the process: how many the model finds by a register of the process's set. */
static uint64_t expect_all(const struct eval_system *s, unsigned e, enum tea tea, bool thp, unsigned fragment)
{
    unsigned top = eval_system_state(s)->mode - 1;
    uint64_t by_tea = 0;

    for (unsigned i = 0; i < AREAS; i++) {
        for (uint64_t p = 0; p < areas[i].pages; p++) {
            uint64_t va = (areas[i].vpn + p) << 12 | (p * 8 & 0xff8);
            struct dmt_result r = translate(s, va, access_of(&areas[i]));

            must(r.status == DMT_STATUS_OK);
            by_tea += r.path[top] == DMT_PATH_TEA;
            if (fragment == 0 && tea == PLAIN &&
                thp) /* each size that a register has is fetched by a chain */
                must(r.path[top] == DMT_PATH_TEA && r.refs >= envs[e].refs[tea] && r.refs < envs[e].radix);
            else if (fragment == 0 && tea != NONE)
                must(r.refs == envs[e].refs[tea], "env %u, tea %u, thp %u: %u references", e, tea, thp,
                     r.refs);
            if (tea == NONE && !thp)
                must(r.refs == envs[e].radix, "env %u: %u references", e, r.refs);
            if (p % 7 == 0)
                expect_page(s, va, access_of(&areas[i]));
        }
    }
    return by_tea;
}

/* A stage's figures, page by page, of [vpn, vpn + pages) that are all mapped. */
static uint64_t covered(const struct eval_system *s, unsigned k, uint64_t vpn, uint64_t pages)
{
    struct mirror_path p;
    uint64_t n = 0;

    for (uint64_t i = vpn; i < vpn + pages; i++) {
        must(mirror_walk(eval_system_stage(s, k), i << 12, &p));
        n += in_register(s, k, i, p.leaf - 1u);
    }
    return n;
}

/* Tables from the one at this address of the level below stage k on. */
static uint64_t tables_from(const struct eval_system *s, unsigned k, bool shadow, uint64_t at, unsigned level)
{
    uint64_t n = 1, entry;

    must(below(s, shadow ? 0 : k, false, &at));
    for (unsigned i = 0; i < 512 && level > 1; i++) {
        must(dmt_mem_read(eval_system_mem(s), at + 8 * i, &entry));
        if (entry != 0 && !(entry & DMT_PTE_PS))
            n += tables_from(s, k, shadow, entry & DMT_PTE_FRAME, level - 1);
    }
    return n;
}

/* Entries that are in use from the table at this address of the level below stage k on. */
static uint64_t entries_from(const struct eval_system *s, unsigned k, uint64_t at, unsigned level)
{
    uint64_t n = 0, entry;

    must(below(s, k, false, &at));
    for (unsigned i = 0; i < 512; i++) {
        must(dmt_mem_read(eval_system_mem(s), at + 8 * i, &entry));
        n += entry != 0;
        if (level > 1 && entry != 0 && !(entry & DMT_PTE_PS))
            n += entries_from(s, k, entry & DMT_PTE_FRAME, level - 1);
    }
    return n;
}

/* Of all tables that guests store to: those of processes, and those of a hypervisor inside. */
static uint64_t guest_entries(const struct eval_system *s)
{
    const struct dmt_state *state = eval_system_state(s);
    unsigned top = state->mode - 1;
    uint64_t n = top > 0 ? entries_from(s, top, state->level[top].cr3 & DMT_PTE_FRAME, 4) : 0;

    for (unsigned k = 1; k < top; k++)
        n += entries_from(s, k, state->s2[k].root, 4);
    return n;
}

static uint64_t all_tables(const struct eval_system *s)
{
    const struct dmt_state *state = eval_system_state(s);
    unsigned top = state->mode - 1;
    uint64_t n = tables_from(s, top, false, state->level[top].cr3 & DMT_PTE_FRAME, 4);

    for (unsigned k = 0; k < top; k++)
        n += tables_from(s, k, false, state->s2[k].root, 4);
    return n + (top == 2 && !state->full ? tables_from(s, 2, true, state->shadow.root, 4) : 0);
}

static void expect_stats(struct eval_system *s, enum tea tea, bool thp, unsigned fragment, uint64_t by_tea)
{
    unsigned top = eval_system_state(s)->mode - 1;
    struct eval_system_stats t;
    uint64_t pages = 0, linked, stores;

    eval_system_stats(s, &t);
    for (unsigned i = 0; i < AREAS; i++)
        pages += areas[i].pages;
    must(t.pages == pages, "%u pages resident", (unsigned)t.pages);
    must(t.area_pages[top] == pages);
    must(t.covered[top] == by_tea, "%u covered, %u walked by TEA", (unsigned)t.covered[top],
         (unsigned)by_tea);
    for (unsigned k = 0; k < top; k++) {
        uint64_t ram = covered(s, k, 0, s->frames[k + 1]), rest = t.area_pages[k] - s->frames[k + 1];

        must(t.covered[k] >= ram && t.covered[k] <= ram + rest, "stage %u: %u covered, of RAM %u", k,
             (unsigned)t.covered[k], (unsigned)ram);
        must(fragment > 0 || tea == NONE || t.covered[k] == t.area_pages[k]);
    }
    for (unsigned k = top + 1; k < 3; k++)
        must(t.area_pages[k] == 0 && t.covered[k] == 0 && t.registers[k] == 0);
    for (unsigned k = 0; k <= top; k++) {
        unsigned valid = 0;

        for (unsigned i = 0; i < DMT_TEA_MAX; i++)
            valid += eval_system_state(s)->tea[k][i].valid;
        must(valid == t.registers[k] && (valid > 0) == (tea != NONE), "%u registers of set %u", valid, k);
    }
    must((t.tea_frames > 0) == (tea != NONE));
    must(t.tea_used <= t.tea_frames);
    must(t.tables + t.tea_frames <= dmt_mem_count(eval_system_mem(s)));
    /* Besides those that are linked only what is set aside under a 2M leaf. */
    linked = all_tables(s);
    must(thp ? t.tables + t.tea_used > linked : t.tables + t.tea_used == linked,
         "%u tables, %u in TEAs, %u linked", (unsigned)t.tables, (unsigned)t.tea_used, (unsigned)linked);
    stores = guest_entries(s); /* at least one each, and no more where no table moves and no page is split */
    must(tea == NONE && !thp && fragment == 0 ? t.guest_stores == stores : t.guest_stores >= stores,
         "%u stores of guests, %u entries", (unsigned)t.guest_stores, (unsigned)stores);
    must((t.hypercalls > 0) == (top > 0 && tea == PV));
    must(t.faults > 0 && t.csr_writes > 0 && t.zeroed >= pages - areas[0].pages);
}

/* Blocks of the two large areas. With fragmentation the first that are touched get what 2M there are. */
static void expect_sizes(const struct eval_system *s, bool thp, unsigned fragment)
{
    unsigned top = eval_system_state(s)->mode - 1, huge[4] = {0}, n = 0;
    struct mirror_path p;

    for (unsigned a = 2; a < AREAS; a++) {
        uint64_t first = (areas[a].vpn + 511) & ~UINT64_C(511);

        for (uint64_t vpn = first; vpn + 512 <= areas[a].vpn + areas[a].pages; vpn += 512, n++) {
            uint64_t at = vpn << 12;
            bool all = true;

            for (unsigned k = top + 1; k-- > 0; at = p.to) {
                must(mirror_walk(eval_system_stage(s, k), at, &p));
                huge[k] += p.leaf == 2;
                all &= k == 2 || p.leaf == 2;
            }
            if (eval_system_stage(s, EVAL_SHADOW) == NULL)
                continue;
            must(mirror_walk(eval_system_stage(s, 2), vpn << 12, &p));
            must(mirror_walk(eval_system_stage(s, EVAL_SHADOW), p.to, &p) && (p.leaf == 2) == all,
                 "a shadow leaf of level %u", p.leaf);
            huge[3] += p.leaf == 2;
        }
    }
    for (unsigned k = 0; k <= top; k++) {
        must(thp || huge[k] == 0);
        must(!thp || (huge[k] > 0 && (huge[k] == n) == (fragment == 0)), "stage %u: %u of %u are 2M", k,
             huge[k], n);
    }
}

/* I1 to I5 of docs/software.md, with the registers that are loaded. */
static void expect_invariants(const struct eval_system *s)
{
    unsigned top = eval_system_state(s)->mode - 1;
    const struct dmt_space *space[] = {s->outer ? dmt_vm_space(s->outer) : NULL,
                                       s->inner ? dmt_vm_space(s->inner) : NULL, NULL};
    struct dmt_vm *around[] = {NULL, s->outer, s->inner};

    space[top] = dmt_os_space(s->os, s->pid);
    for (unsigned k = 0; k <= top; k++) {
        const struct dmt_tea *loaded[DMT_THREADS_MAX] = {eval_system_state(s)->tea[k]};
        const char *wrong = dmt_check_space(space[k], NULL, 0, around[k], loaded, 1);

        must(wrong == NULL, "stage %u: %s", k, wrong);
    }
}

static void every(unsigned e, enum tea tea)
{
    for (unsigned i = 0; i < 4; i++) {
        bool thp = i % 2;
        unsigned fragment = i / 2 * 60;
        struct eval_system_options o = options(envs[e].env, tea, thp, fragment);
        struct eval_system *s;

        o.full = envs[e].full;
        s = populated(&o);
        must(eval_system_state(s)->mode == envs[e].env + 1u && eval_system_state(s)->full == envs[e].full);
        must((eval_system_stage(s, EVAL_SHADOW) != NULL) == (e == 2));
        expect_stats(s, tea, thp, fragment, expect_all(s, e, tea, thp, fragment));
        expect_sizes(s, thp, fragment);
        expect_invariants(s);
        eval_system_free(s);
    }
}

#define EVERY(name, e)                                                                                       \
    Test(populated, name##_without_tea)                                                                      \
    {                                                                                                        \
        every(e, NONE);                                                                                      \
    }                                                                                                        \
    Test(populated, name##_tea)                                                                              \
    {                                                                                                        \
        every(e, PLAIN);                                                                                     \
    }                                                                                                        \
    Test(populated, name##_pv)                                                                               \
    {                                                                                                        \
        every(e, PV);                                                                                        \
    }
EVERY(native, 0)
EVERY(virt, 1)
EVERY(nested_shadow, 2)
EVERY(nested_full, 3)

/* Blocks in registers of 4K pages, of all stages: what is mapped there by 2M, and by 4K. */
static void small_registers(const struct eval_system *s, unsigned *huge, unsigned *small)
{
    struct mirror_path p;

    *huge = *small = 0;
    for (unsigned k = 0; k < eval_system_state(s)->mode; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            const struct dmt_tea *r = &eval_system_state(s)->tea[k][i];

            for (uint64_t n = 0; r->valid && r->sz == DMT_SIZE_4K && n < r->pages; n += 512) {
                mirror_walk(eval_system_stage(s, k), (r->base_vpn + n) << 12, &p);
                *huge += p.leaf == 2 && p.present;
                *small += p.leaf == 1;
            }
        }
    }
}

/* Registers of 4K pages only where such pages are: pages of 2M cost no second read or chain, and what is
 * walked by the radix tables is no more than a block of 4K pages at one end of an area. */
Test(populated, narrowed)
{
    for (unsigned e = 0; e < 4; e++) {
        for (unsigned pv = 0; pv < 2; pv++) {
            struct eval_system_options o = options(envs[e].env, pv ? PV : PLAIN, true, 0);
            unsigned refs = envs[e].refs[pv ? PV : PLAIN], top = envs[e].env, huge, small, without = 0;
            struct eval_system *s;

            o.full = envs[e].full;
            s = populated(&o);
            small_registers(s, &huge, &small);
            must(huge > 0, "the others cover pages of 2M, too");
            eval_system_free(s);
            o.present = 100;
            s = populated(&o);
            small_registers(s, &huge, &small);
            must(huge == 0 && small > 0, "%u blocks of 2M, %u of 4K", huge, small);
            for (unsigned i = 0; i < AREAS; i++) {
                for (uint64_t p = 0; p < areas[i].pages; p++) {
                    uint64_t va = (areas[i].vpn + p) << 12;
                    struct dmt_result r = translate(s, va, access_of(&areas[i]));

                    struct mirror_path m;
                    bool all = true;

                    for (unsigned k = 0; k <= top; k++)
                        all = all && r.path[k] == DMT_PATH_TEA;
                    must(r.status == DMT_STATUS_OK);
                    must(mirror_walk(eval_system_stage(s, top), va, &m));
                    if (pv || m.leaf == 2) /* of a 4K page both chains are gone through */
                        must(all == (r.refs == refs), "env %u, 0x%lx: %u references", e, (unsigned long)va,
                             r.refs);
                    without += !all;
                    if (p % 7 == 0)
                        expect_page(s, va, access_of(&areas[i]));
                }
            }
            must(without < 512, "%u pages of the heap's other end", without);
            expect_invariants(s);
            eval_system_free(s);
        }
    }
}

/* 2M pages of the host alone (HugeGPT). */
Test(populated, host_huge)
{
    struct eval_system_options o = options(EVAL_VIRT, PV, false, 0);
    struct eval_system *s;
    struct mirror_path p;

    o.host_huge = true;
    s = populated(&o);
    for (unsigned i = 0; i < AREAS; i++) {
        uint64_t va = areas[i].vpn << 12;

        expect_page(s, va, access_of(&areas[i]));
        must(mirror_walk(eval_system_stage(s, 1), va, &p) && p.leaf == 1);
        must(mirror_walk(eval_system_stage(s, 0), p.to, &p) && p.leaf == 2);
        must(translate(s, va, access_of(&areas[i])).refs == 2);
    }
    eval_system_free(s);
}

/* Areas of one kind that touch are one to the kernel: the huge page that the first access to the second one
 * brings begins in the first, which is not touched. */
Test(populated, a_huge_page_across_two_areas)
{
    static const struct eval_area touching[] = {
        {.vpn = 0x1000, .pages = 300, .resident = 0, .flags = RW, .name = "before"},
        {.vpn = 0x112c, .pages = 1000, .resident = 1000, .flags = RW, .name = "behind"},
    };

    for (unsigned e = 0; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, true, 0);
        struct eval_system *s;
        struct mirror_path p;

        o.area = touching;
        o.areas = 2;
        o.full = envs[e].full;
        s = populated(&o);
        must(mirror_walk(eval_system_stage(s, envs[e].env), touching[0].vpn << 12, &p) && p.leaf == 2);
        for (uint64_t i = 0; i < touching[1].pages; i++) {
            uint64_t vpn = touching[1].vpn + i;

            must(mirror_walk(eval_system_stage(s, envs[e].env), vpn << 12, &p), "page %u", (unsigned)i);
            must(p.leaf == (vpn < 0x1400 ? 2 : 1));
            expect_page(s, vpn << 12, DMT_ACCESS_WRITE);
        }
        eval_system_free(s);
    }
}

/* ------------------------------------------------------------ TEAs that find no run */

Test(fragmented, teas_are_split_or_fail)
{
    static const struct eval_area wide[] = {
        {.vpn = 0x7e0000200, .pages = 1 << 23, .resident = 12000, .flags = RW, .name = "arena"},
        {.vpn = 0x7f0000123, .pages = 8192, .resident = 8192, .flags = RW, .name = "heap"},
    };

    uint64_t splits = 0;

    for (unsigned e = 0; e < 4; e++) {
        for (unsigned pv = 0; pv < 2; pv++) {
            struct eval_system_options o = options(envs[e].env, pv ? PV : PLAIN, e % 2, 90);
            unsigned top = envs[e].env;
            struct eval_system_stats t;
            struct eval_system *s;
            uint64_t lost = 0;

            o.area = wide;
            o.areas = 2;
            o.registers = 4;
            o.full = envs[e].full;
            s = populated(&o);
            eval_system_stats(s, &t);
            must(t.registers[top] > 2, "%u registers", (unsigned)t.registers[top]);
            splits += t.alloc_failed;
            must(t.covered[top] > 0 && t.covered[top] < t.area_pages[top], "%u, pv %u: %u pages of %u", e, pv,
                 (unsigned)t.covered[top], (unsigned)t.area_pages[top]);
            must(t.area_pages[top] == wide[0].pages + wide[1].pages);
            for (unsigned i = 0; i < 2; i++) {
                for (uint64_t p = 0; p < wide[i].resident; p++) {
                    uint64_t va = (wide[i].vpn + p) << 12;
                    struct mirror_path path;

                    if (p % 11 == 0)
                        expect_page(s, va, DMT_ACCESS_WRITE);
                    mirror_walk(eval_system_stage(s, top), va, &path);
                    lost += !in_register(s, top, va >> 12, path.leaf - 1u);
                }
            }
            must(lost > 0, "every resident page is covered");
            expect_invariants(s);
            eval_system_free(s);
        }
    }
    must(splits > 0);
}

/* ------------------------------------------------------------ from nothing */

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

Test(demand, from_an_empty_system)
{
    for (unsigned e = 0; e < 4; e++) {
        for (unsigned k = 0; k < 12; k++) {
            struct eval_system_options o = options(envs[e].env, (enum tea)(k % 3), k / 3 % 2, k / 6 * 60);
            struct eval_system *s;
            struct eval_system_stats t, before;
            uint64_t seed = k, missing = 0;

            o.full = envs[e].full;
            s = eval_system_new(&o);
            must(s != NULL);
            eval_system_stats(s, &before);
            must(before.pages == 0 && before.faults == 0);
            for (unsigned i = 0; i < 700; i++) {
                const struct eval_area *a = &areas[i % AREAS];
                uint64_t va = (a->vpn + draw(&seed) % a->pages) << 12 | (draw(&seed) & 0xff8);
                unsigned access = i % 2 ? access_of(a) : DMT_ACCESS_READ;
                bool there = translate(s, va, access).status == DMT_STATUS_OK;

                missing += !there;
                must(eval_system_fault(s, va, access));
                expect_page(s, va, access);
                if (i % 16 == 0)
                    eval_system_work(s);
            }
            eval_system_stats(s, &t);
            must(missing > 0 && t.pages > 0 && t.faults > 0 && t.faults <= 700);
            must((t.violations > before.violations && t.exits > before.exits) ==
                 (envs[e].env != EVAL_NATIVE));
            /* What the program does not use nobody maps. */
            must(o.thp || t.pages <= 700, "%u pages", (unsigned)t.pages);
            expect_invariants(s);
            /* Initialisation finds some of its pages there. */
            must(eval_system_populate(s, NULL, NULL));
            for (unsigned i = 0; i < AREAS; i++) {
                for (uint64_t p = 0; p < areas[i].pages; p += 5)
                    expect_page(s, (areas[i].vpn + p) << 12, access_of(&areas[i]));
            }
            eval_system_free(s);
        }
    }
}

/* A private page of a file is the page cache's until it is written. */
Test(demand, writes_to_clean_shared_pages)
{
    static const struct eval_area file[] = {
        {.vpn = 0x1000, .pages = 512, .resident = 512, .flags = RW | DMT_OS_FILE, .name = "file"},
    };

    for (unsigned e = 0; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, false, 0);
        struct eval_system *s;
        struct eval_system_stats t;

        o.area = file;
        o.areas = 1;
        o.full = envs[e].full;
        s = eval_system_new(&o);
        must(s != NULL);
        for (uint64_t vpn = 0x1000; vpn < 0x1200; vpn += 3) {
            uint64_t clean;

            must(eval_system_fault(s, vpn << 12, DMT_ACCESS_READ));
            clean = translate(s, vpn << 12, DMT_ACCESS_READ).pa;
            must(translate(s, vpn << 12, DMT_ACCESS_WRITE).status == DMT_STATUS_PF);
            must(eval_system_fault(s, vpn << 12, DMT_ACCESS_WRITE));
            expect_page(s, vpn << 12, DMT_ACCESS_WRITE);
            must(translate(s, vpn << 12, DMT_ACCESS_WRITE).pa != clean, "the page cache's frame is written");
        }
        eval_system_stats(s, &t);
        must(t.copied >= 171);
        eval_system_free(s);
    }
}

/* All of a private file read, and then written: there is room for both. */
Test(demand, a_large_file_is_there_twice)
{
    static const struct eval_area file[] = {
        {.vpn = 0x1000, .pages = 7000, .resident = 7000, .flags = RW | DMT_OS_FILE, .name = "file"},
    };

    for (unsigned e = 0; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PLAIN, false, 1);
        struct eval_system_stats t;
        struct eval_system *s;

        o.area = file;
        o.areas = 1;
        o.full = envs[e].full;
        s = eval_system_new(&o);
        must(s != NULL);
        for (unsigned write = 0; write < 2; write++) {
            for (uint64_t vpn = 0x1000; vpn < 0x1000 + file[0].pages; vpn++)
                must(eval_system_fault(s, vpn << 12, write ? DMT_ACCESS_WRITE : DMT_ACCESS_READ), "page %u",
                     (unsigned)vpn - 0x1000);
        }
        eval_system_stats(s, &t);
        must(t.copied >= file[0].pages && t.pages == file[0].pages);
        eval_system_free(s);
    }
}

Test(demand, what_no_area_allows, .init = cr_redirect_stderr)
{
    struct eval_system_options o = options(EVAL_VIRT, PV, false, 0);
    struct eval_system *s = populated(&o);

    must(!eval_system_fault(s, (areas[2].vpn + areas[2].pages) << 12, DMT_ACCESS_READ));
    must(!eval_system_fault(s, 0, DMT_ACCESS_READ));
    must(!eval_system_fault(s, UINT64_C(1) << 47, DMT_ACCESS_READ));
    must(!eval_system_fault(s, areas[0].vpn << 12, DMT_ACCESS_WRITE));
    must(!eval_system_fault(s, areas[2].vpn << 12, DMT_ACCESS_EXECUTE));
    expect_page(s, areas[2].vpn << 12, DMT_ACCESS_WRITE);
    eval_system_free(s);
}

/* More is touched than was said: some level runs out, says so, and what was there stays. */
Test(demand, too_little_memory, .init = cr_redirect_stderr)
{
    static const struct eval_area wide[] = {
        {.vpn = 0x7f0000000, .pages = 40000, .resident = 256, .flags = RW, .name = "arena"},
    };

    for (unsigned e = 0; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, e == 1, 0);
        struct eval_system *s;
        uint64_t i;

        o.area = wide;
        o.areas = 1;
        o.full = envs[e].full;
        s = populated(&o);
        for (i = 0; i < wide[0].pages && eval_system_fault(s, (wide[0].vpn + i) << 12, DMT_ACCESS_WRITE);
             i++) {
        }
        must(i > 256 && i < wide[0].pages, "%u pages could be touched", (unsigned)i);
        must(!eval_system_fault(s, (wide[0].vpn + i) << 12, DMT_ACCESS_WRITE));
        for (uint64_t k = 0; k < i; k += 7) {
            must(translate(s, (wide[0].vpn + k) << 12, DMT_ACCESS_WRITE).status == DMT_STATUS_OK);
        }
        expect_invariants(s);
        eval_system_free(s);
    }
}

/* ------------------------------------------------------------ frames for designs, the engine's view */

Test(frames, of_the_host_and_of_guests)
{
    for (unsigned e = 0; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, e % 2, 0);
        uint64_t pfn[2], gfn, host, first = 0;
        struct eval_system *s;
        struct mirror_path p;
        size_t before;

        o.full = envs[e].full;
        s = populated(&o);
        before = dmt_mem_count(eval_system_mem(s));
        must(eval_system_frames(s, 700, false, &pfn[0]));
        must(dmt_mem_count(eval_system_mem(s)) == before, "only addresses");
        must(eval_system_frames(s, 300, true, &pfn[1]));
        must(pfn[1] + 300 <= pfn[0] || pfn[0] + 700 <= pfn[1]);
        for (uint64_t i = 0; i < 300; i++) {
            const uint8_t *frame = dmt_mem_frame(eval_system_mem(s), pfn[1] + i);

            must(frame != NULL);
            for (unsigned b = 0; b < 4096; b++)
                must(frame[b] == 0);
        }
        must(!eval_system_frames(s, UINT64_C(1) << 30, false, &pfn[0]));
        must(eval_system_guest_frames(s, 600, &gfn) == (e != 0));
        for (uint64_t i = 0; i < 600 && e != 0; i++) {
            host = (gfn + i) << 12;
            must(below(s, envs[e].env, false, &host), "a guest frame is not backed");
            must(host >> 12 != first && !dmt_buddy_is_free(s->buddy, host >> 12));
            first = host >> 12;
        }
        must(e == 0 || !eval_system_guest_frames(s, UINT64_C(1) << 30, &gfn));
        /* Nothing else is there: the process's pages are elsewhere. */
        for (unsigned i = 0; i < AREAS && e != 0; i++) {
            for (uint64_t v = areas[i].vpn; v < areas[i].vpn + areas[i].pages; v += 3) {
                must(mirror_walk(eval_system_stage(s, envs[e].env), v << 12, &p));
                must(p.to >> 12 < gfn || p.to >> 12 >= gfn + 600);
            }
        }
        eval_system_free(s);
    }
}

/* Before anything else is backed. */
Test(frames, of_guests_that_have_nothing)
{
    for (unsigned e = 1; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, e % 2, 60);
        struct eval_system *s = eval_system_new(&o);
        uint64_t gfn, host, generation;

        must(s != NULL);
        generation = eval_system_generation(s);
        must(eval_system_guest_frames(s, 100, &gfn) && eval_system_generation(s) > generation);
        for (uint64_t i = 0; i < 100; i++) {
            host = (gfn + i) << 12;
            must(below(s, envs[e].env, false, &host), "a guest frame is not backed");
        }
        eval_system_free(s);
    }
}

/* ------------------------------------------------------------ what hypervisors do under the workload */

/* Tables and pages move in host memory, at either level; the shadow table is gone. Then gTEAs are taken back.
 */
Test(moved, mirrors_and_registers_follow)
{
    for (unsigned e = 1; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, false, 0);
        struct dmt_state *was = malloc(sizeof *was);
        struct eval_system *s;
        uint64_t generation, ids = 0;

        o.full = envs[e].full;
        for (unsigned pv = 0; pv < 2; pv++) {
            o.pv = pv;
            s = populated(&o);
            for (unsigned round = 0; round < 40; round++) {
                const struct eval_area *a = &areas[1 + round % 3];
                uint64_t va = (a->vpn + (uint64_t)round * 97 % a->pages) << 12, gfn;
                struct dmt_vm *vm = round % 4 == 3 && s->inner ? s->inner : s->outer;
                struct mirror_path p;

                must(mirror_walk(eval_system_stage(s, envs[e].env), va, &p));
                gfn = (round % 2 ? p.to : p.step[1].at) >> 12;
                if (vm != s->inner)
                    must(s->inner == NULL || dmt_vm_backing(s->inner, gfn, &gfn));
                generation = eval_system_generation(s);
                /* Tables in gTEAs are pinned. */
                if (dmt_vm_move(vm, gfn))
                    must(eval_system_generation(s) > generation);
                else
                    must(pv == 1 && round % 2 == 0);
                eval_system_work(s);
                must(eval_system_fault(s, va, DMT_ACCESS_WRITE));
                expect_page(s, va, DMT_ACCESS_WRITE);
            }
            if (pv == 0)
                eval_system_free(s);
        }
        *was = *eval_system_state(s);
        generation = eval_system_generation(s);
        for (unsigned id = 0; id < 16; id++)
            ids += dmt_vm_revoke(s->outer, id);
        must(ids > 0 && eval_system_generation(s) > generation &&
             memcmp(was, eval_system_state(s), sizeof *was));
        while (eval_system_work(s)) {
        }
        for (unsigned i = 0; i < AREAS; i++) {
            for (uint64_t p = 0; p < areas[i].pages; p += 3) {
                must(eval_system_fault(s, (areas[i].vpn + p) << 12, access_of(&areas[i])));
                expect_page(s, (areas[i].vpn + p) << 12, access_of(&areas[i]));
            }
        }
        expect_invariants(s);
        free(was);
        eval_system_free(s);
    }
}

/* The kernel maps pages anew, of every kind of area: they are gone, and come back as they were. */
Test(moved, pages_that_are_mapped_anew)
{
    static const struct eval_area kinds[] = {
        {.vpn = 0x555555555,
         .pages = 300,
         .resident = 300,
         .flags = DMT_OS_R | DMT_OS_X | DMT_OS_FILE,
         .name = "text"},
        {.vpn = 0x555555700, .pages = 700, .resident = 700, .flags = RW | DMT_OS_FILE, .name = "data"},
        {.vpn = 0x7f0000123, .pages = 3000, .resident = 3000, .flags = RW, .name = "heap"},
        {.vpn = 0x7f0000123 + 3000, .pages = 3000, .resident = 3000, .flags = RW, .name = "beside"},
        {.vpn = 0x7f2000000, .pages = 2048, .resident = 2048, .flags = RW | DMT_OS_SHARED, .name = "shared"},
        {.vpn = 0x7f4000000,
         .pages = 2048,
         .resident = 2048,
         .flags = RW | DMT_OS_HUGETLB_2M,
         .name = "reserved"},
    };

    for (unsigned i = 0; i < 16; i++) {
        const unsigned e = i / 4;
        struct eval_system_options o = options(envs[e].env, i % 2 ? PV : NONE, i / 2 % 2, 0);
        struct eval_system_stats before, after;
        struct eval_system *s;
        uint64_t seed = i + 1;

        o.full = envs[e].full;
        o.area = kinds;
        o.areas = sizeof kinds / sizeof *kinds;
        s = populated(&o);
        eval_system_stats(s, &before);
        for (unsigned n = 0; n < 300; n++) {
            const struct eval_area *a = &kinds[n % o.areas];
            uint64_t va = (a->vpn + draw(&seed) % a->pages) << 12;
            unsigned access = a->flags & DMT_OS_W ? DMT_ACCESS_WRITE : DMT_ACCESS_EXECUTE;
            struct mirror_path p;

            must(mirror_walk(eval_system_stage(s, envs[e].env), va, &p));
            must(eval_system_remap(s, va));
            must(!mirror_walk(eval_system_stage(s, envs[e].env), va, &p), "%s", a->name);
            must(eval_system_remap(s, va), "nothing there: nothing to do");
            if (n % 10 == 0)
                while (eval_system_work(s)) {
                }
            must(eval_system_fault(s, va, access));
            expect_page(s, va, access);
        }
        while (eval_system_work(s)) {
        }
        for (unsigned k = 0; k < o.areas; k++) {
            for (uint64_t p = 0; p < kinds[k].pages; p++)
                must(eval_system_fault(s, (kinds[k].vpn + p) << 12,
                                       kinds[k].flags & DMT_OS_W ? DMT_ACCESS_WRITE : DMT_ACCESS_READ));
        }
        eval_system_stats(s, &after);
        must(after.pages == before.pages, "%u pages, %u before", (unsigned)after.pages,
             (unsigned)before.pages);
        must(after.covered[envs[e].env] == before.covered[envs[e].env]);
        expect_invariants(s);
        eval_system_free(s);
    }
}

static void not_listened(void *user, uint16_t id)
{
    (void)user, (void)id;
}

/* A guest that keeps its registers when their gTEAs are taken back: none of their pages is covered. */
Test(moved, registers_of_gteas_that_are_gone)
{
    for (unsigned e = 1; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, false, 0);
        struct eval_system_stats before, after;
        struct eval_system *s;

        o.full = envs[e].full;
        s = populated(&o);
        eval_system_stats(s, &before);
        dmt_vm_on_revoke(s->outer, not_listened, NULL);
        for (unsigned id = 0; id < 16; id++)
            dmt_vm_revoke(s->outer, id);
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            const struct dmt_tea *tea = &eval_system_state(s)->tea[1][i];

            must(!tea->valid || tea->resolution != DMT_RESOLUTION_OK);
        }
        eval_system_stats(s, &after);
        must(before.registers[1] > 0 && after.registers[1] == before.registers[1]);
        must(before.covered[1] > 0 && after.covered[1] == 0, "%u pages covered", (unsigned)after.covered[1]);
        for (unsigned k = 0; k < 3; k += 2)
            must(after.covered[k] == before.covered[k], "stage %u", k);
        eval_system_free(s);
    }
}

struct told {
    uint64_t calls, last, of, stop;
};

static bool tell(void *user, uint64_t done, uint64_t of)
{
    struct told *t = user;

    must(done >= t->last && done <= of && (t->of == 0 || of == t->of));
    t->calls++;
    t->last = done;
    t->of = of;
    return t->calls != t->stop;
}

Test(progress, is_told_and_stops)
{
    struct eval_system_options o = options(EVAL_NESTED, PV, false, 0);
    struct told t = {0};
    struct eval_system *s = eval_system_new(&o);

    must(eval_system_populate(s, tell, &t) && t.last == t.of && t.calls > 1 && t.of == 13288);
    eval_system_free(s);
    s = eval_system_new(&o);
    t = (struct told){.stop = t.calls - 1};
    must(!eval_system_populate(s, tell, &t));
    eval_system_free(s);
}

/* Whoever keeps what registers say looks at the generation alone. */
Test(generation, counts_whenever_registers_change)
{
    for (unsigned e = 0; e < 4; e++) {
        struct eval_system_options o = options(envs[e].env, PV, false, 0);
        struct eval_system *s;
        struct dmt_state *was = malloc(sizeof *was);
        uint64_t seed = 1, generation, same = 0;

        o.full = envs[e].full;
        s = eval_system_new(&o);
        for (unsigned i = 0; i < 300; i++) {
            const struct eval_area *a = &areas[1 + i % 3];

            *was = *eval_system_state(s);
            generation = eval_system_generation(s);
            must(eval_system_fault(s, (a->vpn + draw(&seed) % a->pages) << 12, DMT_ACCESS_WRITE));
            same += generation == eval_system_generation(s);
            must(generation != eval_system_generation(s) || !memcmp(was, eval_system_state(s), sizeof *was));
        }
        must(envs[e].env != EVAL_NATIVE || same == 300, "a native fault changes no register");
        free(was);
        eval_system_free(s);
    }
}

Test(determinism, seed_and_options_say_everything)
{
    struct eval_system_options o = options(EVAL_VIRT, PV, true, 60);
    struct eval_system *s[3];
    uint64_t *pfn;
    size_t n;

    for (unsigned i = 0; i < 3; i++) {
        o.seed = i / 2;
        s[i] = populated(&o);
    }
    n = dmt_mem_count(eval_system_mem(s[0]));
    must(n == dmt_mem_count(eval_system_mem(s[1])));
    pfn = calloc(n, sizeof *pfn);
    dmt_mem_list(eval_system_mem(s[0]), pfn);
    bool other = n != dmt_mem_count(eval_system_mem(s[2]));
    for (size_t i = 0; i < n; i++) {
        const uint8_t *a = dmt_mem_frame(eval_system_mem(s[0]), pfn[i]);
        const uint8_t *b = dmt_mem_frame(eval_system_mem(s[1]), pfn[i]);
        const uint8_t *c = dmt_mem_frame(eval_system_mem(s[2]), pfn[i]);

        must(b != NULL && !memcmp(a, b, 4096));
        other |= c == NULL || memcmp(a, c, 4096) != 0;
    }
    must(other, "the seed is not asked");
    free(pfn);
    for (unsigned i = 0; i < 3; i++)
        eval_system_free(s[i]);
}

Test(options, out_of_range, .init = cr_redirect_stderr)
{
    struct eval_area bad[2] = {areas[1], areas[2]};
    struct eval_system_options o = options(EVAL_NATIVE, PLAIN, false, 0), x;

#define REFUSED(change) (x = o, x.area = bad, x.areas = 2, change, eval_system_new(&x) == NULL)
    must(REFUSED(x.registers = 0));
    must(REFUSED(x.registers = 65));
    must(REFUSED(x.fragment = 101));
    must(REFUSED(x.present = 101));
    must(REFUSED(x.areas = 0));
    must(REFUSED(bad[0].resident = 701));
    bad[0] = areas[1];
    must(REFUSED(bad[0].pages = 0));
    bad[0] = areas[3];
    must(REFUSED((void)0), "areas out of order");
    bad[0] = areas[1];
    must(REFUSED(bad[1].pages = UINT64_C(1) << 35));
    must(REFUSED(bad[1].pages = UINT64_MAX));
}

Test(options, any_number_of_registers)
{
    for (unsigned registers = 1; registers <= 64; registers += 21) {
        struct eval_system_options o = options(EVAL_NESTED, PV, true, 60);
        struct eval_system *s;
        struct eval_system_stats t;

        o.registers = registers;
        s = populated(&o);
        eval_system_stats(s, &t);
        for (unsigned k = 0; k < 3; k++)
            must(t.registers[k] >= 1 && t.registers[k] <= registers);
        for (unsigned i = 0; i < AREAS; i++) {
            for (uint64_t p = 0; p < areas[i].pages; p += 17)
                expect_page(s, (areas[i].vpn + p) << 12, access_of(&areas[i]));
        }
        eval_system_free(s);
    }
}
