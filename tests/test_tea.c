/* SPDX-License-Identifier: Apache-2.0
 * Radix tables and the laying out of TEAs: after it, DMT and the x86 walk give
 * the same answer for every page, and read the same leaf. */
#include "dmt/arch.h"
#include "dmt/regs.h"
#include "dmt/tea.h"
#include "xorshift.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define TABLES UINT64_C(0x100)     /* frames of tables */
#define TEAS   UINT64_C(0x100000)  /* frames of TEAs */
#define PAGES  UINT64_C(0x4000000) /* frames that are mapped */
#define MAXPA  46

struct space {
    struct dmt_mem *mem;
    struct dmt_table table;
    struct dmt_pool tables, teas;
    struct dmt_frames frames;
    struct dmt_vma vma[256];
    size_t n;
    struct dmt_state state;
    struct dmt_tea_report report;
    uint64_t next; /* next frame to map */
};

static uint64_t rng_state;

static uint64_t rng(void)
{
    return xorshift(&rng_state);
}

static struct space *space_new(unsigned levels)
{
    struct space *s = calloc(1, sizeof *s);

    s->mem = dmt_mem_new();
    s->tables = (struct dmt_pool){s->mem, TABLES, TEAS};
    s->teas = (struct dmt_pool){s->mem, TEAS, TEAS + 0x10000};
    s->frames = (struct dmt_frames){&s->tables, dmt_pool_alloc};
    s->next = PAGES;
    cr_assert(dmt_table_new(&s->table, s->mem, levels, &s->frames));
    dmt_state_reset(&s->state, MAXPA);
    s->state.mode = DMT_MODE_NATIVE;
    s->state.level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
    s->state.level[0].cr3 = s->table.root << 12;
    s->state.level[0].cr4 = levels == 5 ? DMT_LEVEL_CR4_LA57_MASK : 0;
    s->state.level[0].efer = DMT_LEVEL_EFER_NXE_MASK;
    return s;
}

static void space_free(struct space *s)
{
    dmt_mem_free(s->mem);
    free(s);
}

static void area(struct space *s, uint64_t vpn, uint64_t pages)
{
    s->vma[s->n++] = (struct dmt_vma){vpn, pages};
}

/* Map one page of size sz at vpn (a multiple of its size) to fresh frames. */
static void map(struct space *s, uint64_t vpn, unsigned sz)
{
    uint64_t unit = UINT64_C(1) << 9 * sz;

    s->next = (s->next + unit - 1) / unit * unit;
    cr_assert_eq(
        dmt_table_map(&s->table, vpn << 12, s->next << 12, sz, DMT_PTE_U | DMT_PTE_W | DMT_PTE_A, &s->frames),
        DMT_MAP_OK);
    s->next += unit;
}

static void map_range(struct space *s, uint64_t vpn, uint64_t pages)
{
    area(s, vpn, pages);
    for (uint64_t i = 0; i < pages; i++) {
        map(s, vpn + i, DMT_SIZE_4K);
    }
}

static enum dmt_tea_status layout(struct space *s, unsigned registers)
{
    struct dmt_tea_options o = {.registers = registers,
                                .bubble_percent = 2,
                                .maxpa = MAXPA,
                                .nxe = (s->state.level[0].efer & DMT_LEVEL_EFER_NXE_MASK) != 0,
                                .frames = {&s->teas, dmt_pool_alloc}};

    return dmt_tea_layout(&s->table, s->vma, s->n, &o, s->state.tea[0], &s->report);
}

static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    return dmt_mem_read(user, ref->addr, data) ? (ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY)
                                               : DMT_RESP_DECERR;
}

static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return dmt_mem_write(user, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

static void translate(const struct space *s, const struct dmt_state *state, uint64_t va, unsigned access,
                      struct dmt_result *r)
{
    struct dmt_port port = {.user = s->mem, .read = read_entry, .write = write_entry};
    struct dmt_request rq = {.va = va, .access = (uint8_t)access, .cpl = 3, .nonspec = true};

    dmt_arch_translate(state, &rq, &port, r);
}

/* Same answer with and without registers for every page of every area and its
 * neighbours; the number of OK answers that TEA registers gave. */
static size_t compare_all(const struct space *s)
{
    struct dmt_state *bare = malloc(sizeof *bare);
    size_t by_tea = 0;

    *bare = s->state;
    memset(bare->tea, 0, sizeof bare->tea);
    for (size_t i = 0; i < s->n; i++) {
        for (uint64_t vpn = s->vma[i].vpn - 2; vpn < s->vma[i].vpn + s->vma[i].pages + 2; vpn++) {
            uint64_t va = vpn << 12 | 0x123;
            unsigned access = (unsigned)(vpn % 3);
            struct dmt_result a, b;
            translate(s, &s->state, va, access, &a);
            translate(s, bare, va, access, &b);
            by_tea += a.status == DMT_STATUS_OK && a.path[0] == DMT_PATH_TEA;
            cr_assert_eq(a.status, b.status, "va %llx", (unsigned long long)va);
            cr_assert(a.pa == b.pa && a.size == b.size && a.rights == b.rights && a.error == b.error &&
                          a.dirty == b.dirty,
                      "va %llx", (unsigned long long)va);
        }
    }
    free(bare);
    return by_tea;
}

static void check(const struct space *s)
{
    uint64_t va;
    unsigned index;

    cr_assert(dmt_tea_check(&s->table, s->state.tea[0], DMT_TEA_MAX, &va, &index), "register %u at %llx",
              index, (unsigned long long)va);
    for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
        const struct dmt_tea *t = &s->state.tea[0][i];
        cr_assert(!t->valid || (dmt_tea_refusal(t, 0, false, MAXPA) == DMT_REFUSAL_NONE &&
                                t->base_vpn % (UINT64_C(512) << 9 * t->sz) == 0));
        for (unsigned k = 0; k < i && t->valid; k++) {
            const struct dmt_tea *u = &s->state.tea[0][k];
            cr_assert(!u->valid || u->sz != t->sz || t->base_vpn >= u->base_vpn + u->pages ||
                          u->base_vpn >= t->base_vpn + t->pages,
                      "registers %u and %u of one size overlap", k, i);
        }
    }
}

/* ---------------------------------------------------------------- tables */

Test(table, lookup_finds_what_was_mapped)
{
    struct space *s = space_new(5);
    struct dmt_lookup at;

    map(s, 0x123456789, DMT_SIZE_4K);
    map(s, UINT64_C(0xffff800000000) & ~UINT64_C(511), DMT_SIZE_2M);
    dmt_table_lookup(&s->table, UINT64_C(0x123456789abc), &at);
    cr_assert(at.present && at.sz == DMT_SIZE_4K && at.level == 1);
    cr_assert_eq(at.pa, PAGES << 12 | 0xabc);
    dmt_table_lookup(&s->table, UINT64_C(0xffff8000001fffff), &at);
    cr_assert(at.present && at.sz == DMT_SIZE_2M);
    cr_assert_eq(at.pa & 0x1fffff, 0x1fffff);
    dmt_table_lookup(&s->table, UINT64_C(0x123456788000), &at);
    cr_assert(!at.present && at.level == 1);
    dmt_table_lookup(&s->table, UINT64_C(0x1000), &at);
    cr_assert(!at.present && at.level == 4, "the PML5 entry is shared, the PML4 entry is not present");
    space_free(s);
}

Test(table, low_frame_bits_of_large_leaves_are_attributes)
{
    struct space *s = space_new(4);
    struct dmt_lookup at;
    uint64_t pat = UINT64_C(1) << 12;

    cr_assert_eq(dmt_table_map(&s->table, 0x200000, 0x40000000, DMT_SIZE_2M, pat, &s->frames), DMT_MAP_OK);
    dmt_table_lookup(&s->table, 0x200123, &at);
    cr_assert_eq(at.pa, 0x40000123);
    space_free(s);
}

Test(table, map_refuses_what_is_taken_or_not_aligned)
{
    struct space *s = space_new(4);

    map(s, 512, DMT_SIZE_2M);
    cr_assert_eq(dmt_table_map(&s->table, 0x200000, 0x1000, DMT_SIZE_4K, 0, &s->frames), DMT_MAP_TAKEN);
    cr_assert_eq(dmt_table_map(&s->table, 0x200000, 0x200000, DMT_SIZE_2M, 0, &s->frames), DMT_MAP_TAKEN);
    cr_assert_eq(dmt_table_map(&s->table, 0x201000, 0x200000, DMT_SIZE_2M, 0, &s->frames), DMT_MAP_ALIGN);
    cr_assert_eq(dmt_table_map(&s->table, 0x400000, 0x1000, DMT_SIZE_2M, 0, &s->frames), DMT_MAP_ALIGN);
    s->tables.limit = s->tables.next;
    cr_assert_eq(dmt_table_map(&s->table, UINT64_C(1) << 40, 0, DMT_SIZE_4K, 0, &s->frames),
                 DMT_MAP_NO_FRAME);
    space_free(s);
}

static bool count_leaves(void *user, unsigned level, uint64_t va, uint64_t addr, uint64_t entry)
{
    uint64_t *sum = user;

    (void)addr;
    if (level == 1 || (level <= 3 && (entry & DMT_PTE_PS) != 0)) {
        sum[0]++;
        sum[1] = va;
    }
    return sum[0] < 3;
}

Test(table, each_visits_the_range_and_stops_when_told)
{
    struct space *s = space_new(4);
    uint64_t sum[2] = {0};

    for (uint64_t vpn = 0x1fe; vpn < 0x204; vpn++) {
        map(s, vpn, DMT_SIZE_4K);
    }
    cr_assert(dmt_table_each(&s->table, 0x1ff000, 0x200fff, count_leaves, sum));
    cr_assert_eq(sum[0], 2);
    cr_assert_eq(sum[1], 0x200000);
    sum[0] = 0;
    cr_assert_not(dmt_table_each(&s->table, 0, UINT64_MAX, count_leaves, sum));
    cr_assert_eq(sum[0], 3);
    map(s, UINT64_C(0xffffffff80000), DMT_SIZE_4K);
    sum[0] = 0;
    cr_assert(dmt_table_each(&s->table, UINT64_C(0xffff800000000000), UINT64_MAX, count_leaves, sum));
    cr_assert_eq(sum[0], 1);
    cr_assert_eq(sum[1], UINT64_C(0xffffffff80000000), "the upper half is visited with canonical addresses");
    space_free(s);
}

/* ---------------------------------------------------------------- layout */

Test(tea, one_area_takes_one_register)
{
    struct space *s = space_new(4);

    map_range(s, 0x10000 + 37, 3000);
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 1);
    cr_assert_eq(s->state.tea[0][0].base_vpn, 0x10000);
    cr_assert_eq(s->state.tea[0][0].allow, 7);
    cr_assert_eq(s->report.covered_pages, 3000);
    cr_assert_eq(s->report.mapped_pages, 3000);
    cr_assert_eq(compare_all(s), 3000);
    space_free(s);
}

Test(tea, areas_join_while_bubbles_stay_within_two_percent)
{
    struct space *s = space_new(4);

    /* 2 MiB blocks: 50 used, 2 free, 48 used (bubble 2 %), then 10 free (too many) and 20 used */
    area(s, 1 * 512, 50 * 512);
    area(s, 53 * 512, 48 * 512);
    area(s, 111 * 512, 20 * 512);
    for (unsigned b = 1; b < 131; b++) {
        if ((b < 51 || b >= 53) && !(b >= 101 && b < 111)) {
            map(s, b * 512u + 7, DMT_SIZE_4K);
        }
    }
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.clusters, 2);
    cr_assert_eq(s->report.registers, 2);
    cr_assert_eq(s->state.tea[0][0].pages, 100 * 512, "the larger cluster comes first");
    cr_assert_eq(s->state.tea[0][1].pages, 20 * 512);
    compare_all(s);
    space_free(s);
}

Test(tea, areas_that_share_a_leaf_table_share_its_register)
{
    struct space *s = space_new(4);

    map_range(s, 1000, 10); /* both in block 1 */
    map_range(s, 1015, 5);
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.clusters, 1);
    cr_assert_eq(s->report.registers, 1);
    cr_assert_eq(s->report.covered_pages, 15);
    compare_all(s);
    space_free(s);
}

Test(tea, every_page_size_that_occurs_gets_a_register)
{
    struct space *s = space_new(4);
    uint64_t base = UINT64_C(0x40000) * 3; /* 3 GiB */

    area(s, base, 3 * 0x40000);
    map(s, base, DMT_SIZE_1G);
    for (unsigned i = 0; i < 512; i++) {
        if (i % 3 != 0) {
            map(s, base + 0x40000 + i * 512u, DMT_SIZE_2M);
        } else {
            map(s, base + 0x40000 + i * 512u + 5, DMT_SIZE_4K);
        }
    }
    map(s, base + 2 * 0x40000 + 9, DMT_SIZE_4K);
    s->n = 0;
    area(s, base, 0x40100);
    s->vma[0].pages = 3 * 0x40000;
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 3);
    cr_assert_eq(s->report.covered_pages, s->report.mapped_pages);
    struct dmt_result r;
    translate(s, &s->state, base << 12, DMT_ACCESS_WRITE, &r);
    cr_assert(r.status == DMT_STATUS_OK && r.path[0] == DMT_PATH_TEA && r.size == DMT_SIZE_1G);
    translate(s, &s->state, (base + 0x40000 + 512) << 12, DMT_ACCESS_WRITE, &r);
    cr_assert(r.status == DMT_STATUS_OK && r.path[0] == DMT_PATH_TEA && r.size == DMT_SIZE_2M);
    translate(s, &s->state, (base + 0x40000 + 5) << 12, DMT_ACCESS_WRITE, &r);
    cr_assert(r.status == DMT_STATUS_OK && r.path[0] == DMT_PATH_TEA && r.size == DMT_SIZE_4K);
    cr_assert_eq(r.refs, 1);
    space_free(s);
}

Test(tea, largest_areas_win_when_registers_run_out)
{
    struct space *s = space_new(4);

    for (unsigned i = 0; i < 20; i++) {
        map_range(s, 0x100000 * (i + 1u), 10 + i);
    }
    cr_assert_eq(layout(s, 4), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(s->state.tea[0][i].base_vpn, 0x100000 * (20 - i));
    }
    cr_assert_eq(s->report.covered_pages, 29 + 28 + 27 + 26);
    compare_all(s);
    space_free(s);
}

/* Change bits of the entry of `level` above vpn. */
static void upper(struct space *s, uint64_t vpn, unsigned level, uint64_t clear, uint64_t set)
{
    struct dmt_lookup at;

    dmt_table_lookup(&s->table, vpn << 12, &at);
    dmt_mem_write(s->mem, at.addr[level], (at.entry[level] & ~clear) | set);
}

Test(tea, allow_bits_are_the_rights_above_and_ranges_split_where_they_change)
{
    struct space *s = space_new(4);

    map_range(s, 0x10000, 512 * 6);
    upper(s, 0x10000 + 512 * 2, 2, DMT_PTE_W, 0);
    upper(s, 0x10000 + 512 * 3, 2, DMT_PTE_W, 0);
    upper(s, 0x10000 + 512 * 5, 2, DMT_PTE_U, DMT_PTE_XD);
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 4);
    unsigned seen[8] = {0};
    for (unsigned i = 0; i < 4; i++) {
        seen[s->state.tea[0][i].allow]++;
    }
    cr_assert(seen[7] == 2 && seen[6] == 1 && seen[1] == 1);
    compare_all(s);
    space_free(s);
}

Test(tea, allow_bits_come_from_every_level_above)
{
    struct space *s = space_new(5);

    map_range(s, 0x10000, 600);
    upper(s, 0x10000, 5, DMT_PTE_U, 0);
    upper(s, 0x10000, 3, 0, DMT_PTE_XD);
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 1);
    cr_assert_eq(s->state.tea[0][0].allow, 1);
    compare_all(s);
    space_free(s);
}

Test(tea, tables_under_reserved_bits_stay_out)
{
    struct space *s = space_new(4);
    struct dmt_lookup at;

    map_range(s, 0x10000, 512 * 4);
    /* A frame beyond MAXPA, with a sound table in it: the x86 walk must fault. */
    dmt_table_lookup(&s->table, (UINT64_C(0x10000) + 512) << 12, &at);
    uint64_t beyond = (at.entry[2] & DMT_PTE_FRAME) | UINT64_C(1) << 50;
    memcpy(dmt_mem_add(s->mem, beyond >> 12), dmt_mem_frame(s->mem, (at.entry[2] & DMT_PTE_FRAME) >> 12),
           4096);
    dmt_mem_write(s->mem, at.addr[2], beyond | 7);
    s->state.level[0].efer = 0;
    upper(s, 0x10000 + 512 * 2, 2, 0, DMT_PTE_XD); /* reserved without NXE */
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 2);
    cr_assert_eq(compare_all(s), 512 * 2, "everything readable outside the two blocks");
    space_free(s);
}

Test(tea, a_table_reached_twice_stays_where_it_is)
{
    struct space *s = space_new(4);
    struct dmt_lookup at;

    map_range(s, 0x10000, 512 * 3);
    dmt_table_lookup(&s->table, UINT64_C(0x10000) << 12, &at);
    uint64_t shared = at.entry[2];
    dmt_table_lookup(&s->table, (UINT64_C(0x10000) + 1024) << 12, &at);
    dmt_mem_write(s->mem, at.addr[2], shared); /* block 2 is block 0 */
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 1);
    cr_assert_eq(s->state.tea[0][0].base_vpn, 0x10000 + 512);
    compare_all(s);
    space_free(s);
}

Test(tea, ranges_are_halved_when_no_run_is_free)
{
    struct space *s = space_new(4);

    map_range(s, 0x10000, 512 * 8);
    s->teas.limit = s->teas.next + 5; /* 8 frames do not fit, 4 do, 1 is left */
    cr_assert_eq(layout(s, 16), DMT_TEA_OK);
    check(s);
    cr_assert_eq(s->report.registers, 2);
    cr_assert_eq(s->report.frames, 5);
    cr_assert_eq(s->report.covered_pages, 512 * 5);
    compare_all(s);
    space_free(s);
}

Test(tea, impossible_areas_and_options_are_refused)
{
    struct space *s = space_new(4);

    map_range(s, 0x10000, 4);
    cr_assert_eq(layout(s, 0), DMT_TEA_BAD_OPTION);
    cr_assert_eq(layout(s, DMT_TEA_MAX + 1), DMT_TEA_BAD_OPTION);
    area(s, 5, 0);
    cr_assert_eq(layout(s, 4), DMT_TEA_BAD_AREA);
    s->vma[1] = (struct dmt_vma){(UINT64_C(1) << 52) - 1, 2};
    cr_assert_eq(layout(s, 4), DMT_TEA_BAD_AREA);
    s->n = 0;
    cr_assert_eq(layout(s, 4), DMT_TEA_OK);
    cr_assert_eq(s->report.registers, 0);
    space_free(s);
}

Test(tea, check_sees_a_wrong_leaf_and_a_leaf_elsewhere)
{
    struct space *s = space_new(4);
    struct dmt_lookup at;
    uint64_t va;
    unsigned index;

    map_range(s, 0x10000, 700);
    cr_assert_eq(layout(s, 4), DMT_TEA_OK);
    check(s);
    s->state.tea[0][0].base_pfn++;
    cr_assert_not(dmt_tea_check(&s->table, s->state.tea[0], 1, &va, &index));
    s->state.tea[0][0].base_pfn--;
    dmt_table_lookup(&s->table, UINT64_C(0x10200) << 12, &at);
    dmt_mem_write(s->mem, at.addr[2], TABLES << 12 | 7); /* the radix walk goes elsewhere */
    cr_assert_not(dmt_tea_check(&s->table, s->state.tea[0], 1, &va, &index));
    cr_assert_eq(va, UINT64_C(0x10200) << 12);
    space_free(s);
}

/* Random spaces: areas of all kinds, pages of all sizes, odd upper entries. */
static void random_space(uint64_t seed)
{
    rng_state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct space *s = space_new(seed % 3 == 0 ? 5 : 4);
    unsigned areas = 1 + (unsigned)(rng() % 30);
    uint64_t vpn = rng() % 0x100000;

    for (unsigned i = 0; i < areas; i++) {
        uint64_t pages = 1 + rng() % (rng() % 4 == 0 ? 3000 : 40);
        area(s, vpn, pages);
        for (uint64_t p = vpn; p < vpn + pages;) {
            bool large = p % 512 == 0 && p + 512 <= vpn + pages && rng() % 2 == 0;
            struct dmt_lookup at;
            dmt_table_lookup(&s->table, p << 12, &at);
            if (large && at.level > 1) {
                map(s, p, DMT_SIZE_2M);
                p += 512;
                continue;
            }
            if (rng() % 8 != 0) {
                map(s, p, DMT_SIZE_4K);
            }
            p++;
        }
        if (rng() % 10 == 0) {
            struct dmt_lookup at;
            dmt_table_lookup(&s->table, vpn << 12, &at);
            if (at.level == 1) {
                upper(s, vpn, 2, rng() % 2 ? DMT_PTE_W : DMT_PTE_U, 0);
            }
        }
        vpn += pages + (rng() % 3 == 0 ? rng() % 0x80000 : rng() % 30);
    }
    s->teas.limit = s->teas.next + 1 + rng() % 2000;
    unsigned registers = 1 + (unsigned)(rng() % 16);
    cr_assert_eq(layout(s, registers), DMT_TEA_OK);
    cr_assert_leq(s->report.registers, registers);
    check(s);
    compare_all(s);
    space_free(s);
}

Test(tea, random_spaces_translate_the_same_with_and_without_registers)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        random_space(seed);
    }
}

/* ---------------------------------------------------------------- second stages */

/* The tables turned into EPT: R, W, X of what was U, W and not XD; leaves write-back. */
static void to_ept(struct space *s, uint64_t table, unsigned level)
{
    for (unsigned i = 0; i < 512; i++) {
        uint64_t e = 0, at = (table << 12) + 8 * i;
        dmt_mem_read(s->mem, at, &e);
        bool leaf = level == 1 || (level < 4 && (e & DMT_PTE_PS) != 0);
        if ((e & DMT_PTE_P) != 0) {
            dmt_mem_write(s->mem, at,
                          (e & (DMT_PTE_FRAME | DMT_PTE_W)) | (e >> 2 & 1) | ((e & DMT_PTE_XD) == 0 ? 4 : 0) |
                              (leaf ? 6 << 3 : 0) | (leaf && level > 1 ? DMT_PTE_PS : 0));
            if (!leaf) {
                to_ept(s, (e & DMT_PTE_FRAME) >> 12, level - 1);
            }
        }
    }
}

static void ept_entry(struct space *s, uint64_t vpn, unsigned level, uint64_t set, uint64_t clear)
{
    struct dmt_lookup at;

    dmt_table_lookup(&s->table, vpn << 12, &at);
    dmt_mem_write(s->mem, at.addr[level], (at.entry[level] | set) & ~clear);
}

static void layout_ept(struct space *s, bool mbec)
{
    struct dmt_tea_options o = {.registers = 16,
                                .bubble_percent = 2,
                                .maxpa = MAXPA,
                                .nxe = true,
                                .ept = true,
                                .mbec = mbec,
                                .frames = {&s->teas, dmt_pool_alloc}};

    cr_assert_eq(dmt_tea_layout(&s->table, s->vma, s->n, &o, s->state.tea[0], &s->report), DMT_TEA_OK);
    check(s);
}

static const struct dmt_tea *covering(const struct space *s, uint64_t vpn)
{
    for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
        const struct dmt_tea *t = &s->state.tea[0][i];
        if (t->valid && vpn - t->base_vpn < t->pages) {
            return t;
        }
    }
    return NULL;
}

/* Five leaf tables with one odd upper entry each, and one plain. */
static struct space *ept_space(void)
{
    struct space *s = space_new(4);

    for (uint64_t i = 0; i < 6; i++) {
        map_range(s, 0x40000 * i + 0x200, 512); /* each under a PDPT entry of its own */
    }
    to_ept(s, s->table.root, 4);
    ept_entry(s, 0x40200, 3, 0, 2);                            /* not W */
    ept_entry(s, 0x80200, 2, 0, 4);                            /* not X */
    ept_entry(s, 0xc0200, 3, 1 << 5, 0);                       /* reserved */
    ept_entry(s, 0x100200, 2, UINT64_C(1) << MAXPA, 0);        /* reserved, and leads nowhere */
    ept_entry(s, 0x140200, 2, 1 << 10 | UINT64_C(1) << 63, 0); /* XU, with MBEC; bit 63 is ignored */
    return s;
}

Test(tea, registers_over_ept_state_the_rights_of_its_upper_entries)
{
    struct space *s = ept_space();

    layout_ept(s, false);
    cr_assert_eq(covering(s, 0x200)->allow, 7);
    cr_assert_eq(covering(s, 0x40200)->allow, 6, "bit 0 is W");
    cr_assert_eq(covering(s, 0x80200)->allow, 3, "bit 2 is X");
    cr_assert_eq(covering(s, 0x140200)->allow, 7);
    cr_assert(covering(s, 0xc0200) == NULL && covering(s, 0x100200) == NULL);
    space_free(s);
}

Test(tea, registers_over_ept_with_mbec_leave_out_what_one_allow_bit_cannot_say)
{
    struct space *s = ept_space();

    for (uint64_t i = 0; i < 6; i++) { /* XU as X everywhere but in the odd ones */
        struct dmt_lookup at;
        dmt_table_lookup(&s->table, (0x40000 * i + 0x200) << 12, &at);
        for (unsigned level = 2; level <= 4 && at.entry[level] != 0; level++) {
            if (i < 4 && (at.entry[level] & 4) != 0) {
                ept_entry(s, 0x40000 * i + 0x200, level, 1 << 10, 0);
            }
        }
    }
    layout_ept(s, true);
    cr_assert_eq(covering(s, 0x200)->allow, 7);
    cr_assert_eq(covering(s, 0x40200)->allow, 6);
    cr_assert_eq(covering(s, 0x80200)->allow, 3);
    cr_assert_null(covering(s, 0x140200), "the PDPT entry has X and not XU");
    space_free(s);
}
