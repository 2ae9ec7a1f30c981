/* SPDX-License-Identifier: Apache-2.0
 * Spaces and their TEA manager (docs/software.md, sections 3 and 4), on a
 * platform of plain memory that writes down what is done to threads. */
#include "dmt/regs.h"
#include "dmt/space.h"
#include "dmt/table.h"
#include "drive.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AREAS 1100

struct area {
    uint64_t vpn, pages;
    unsigned sizes;
};

struct world {
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct dmt_platform p;
    struct dmt_space *s;
    struct area area[AREAS]; /* sorted */
    unsigned areas;
    struct dmt_tea reg[DMT_TEA_MAX];
    uint64_t sets, clears, flushes, table_flushes;
    unsigned max_ask; /* requests in one call */
    bool no_extend;
    bool broken; /* a defect has been seen: what it leaves is anything */
    /* order of events, for the protocols */
    char log[4096];
    unsigned logged;
};

static void note(struct world *w, char c)
{
    if (w->logged + 1 < sizeof w->log) {
        w->log[w->logged++] = c;
        w->log[w->logged] = '\0';
    }
}

static uint64_t load(void *user, uint64_t pa)
{
    uint64_t v = 0;

    dmt_mem_read(((struct world *)user)->mem, pa, &v);
    return v;
}

static void store(void *user, uint64_t pa, uint64_t value)
{
    must(dmt_mem_write(((struct world *)user)->mem, pa, value), "store outside memory");
}

static uint64_t exchange(void *user, uint64_t pa, uint64_t value)
{
    uint64_t old = load(user, pa);

    note(user, value == 0 ? '0' : 'x');
    store(user, pa, value);
    return old;
}

static void clear(void *user, uint64_t pfn)
{
    memset(dmt_mem_add(((struct world *)user)->mem, pfn), 0, 4096);
}

static void csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    (void)user, (void)thread, (void)offset, (void)value;
}

static size_t tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *g, size_t room)
{
    struct world *w = user;
    size_t got = 0;

    w->max_ask = n > w->max_ask ? (unsigned)n : w->max_ask;
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

static bool tea_extend(void *user, struct dmt_grant *g, uint64_t frames)
{
    struct world *w = user;

    if (w->no_extend || !dmt_buddy_alloc_at(w->buddy, g->pfn + g->frames, frames)) {
        return false;
    }
    for (uint64_t k = 0; k < frames; k++) {
        clear(w, g->pfn + g->frames + k);
    }
    return true;
}

static void tea_release(void *user, const struct dmt_grant *g, uint64_t skip, uint64_t frames)
{
    struct world *w = user;

    note(w, 'f');
    for (uint64_t k = 0; k < frames; k++) { /* foreign content from now on */
        memset(dmt_mem_frame(w->mem, g->pfn + skip + k), 0xff, 4096);
    }
    must(dmt_buddy_release(w->buddy, g->pfn + skip, frames) || w->broken, "a TEA frame is given back twice");
}

static bool next_area(void *user, uint64_t vpn, struct dmt_vma *area, unsigned *sizes)
{
    struct world *w = user;

    for (unsigned i = 0; i < w->areas; i++) {
        if (w->area[i].vpn + w->area[i].pages > vpn) {
            *area = (struct dmt_vma){w->area[i].vpn, w->area[i].pages};
            *sizes = w->area[i].sizes;
            return true;
        }
    }
    return false;
}

static void set_register(void *user, unsigned index, const struct dmt_tea *tea)
{
    struct world *w = user;

    w->sets += tea->valid;
    w->clears += !tea->valid;
    note(w, tea->valid ? 'P' : 'p');
    w->reg[index] = *tea;
}

static void flush(void *user, uint64_t vpn, uint64_t pages, bool tables)
{
    struct world *w = user;

    (void)vpn, (void)pages;
    w->flushes += !tables;
    w->table_flushes += tables;
    note(w, tables ? 'T' : 'F');
}

static void open_world(struct world *w, uint64_t frames, const struct dmt_tea_policy *policy,
                       unsigned defects)
{
    memset(w, 0, sizeof *w);
    w->mem = dmt_mem_new();
    w->buddy = dmt_buddy_new(0x1000, frames);
    w->p = (struct dmt_platform){.user = w,
                                 .threads = 1,
                                 .registers = 16,
                                 .maxpa = 46,
                                 .buddy = w->buddy,
                                 .load = load,
                                 .store = store,
                                 .exchange = exchange,
                                 .clear = clear,
                                 .csr = csr,
                                 .tea_alloc = tea_alloc,
                                 .tea_extend = tea_extend,
                                 .tea_release = tea_release};
    struct dmt_space_options o = {.format = DMT_SPACE_IA32E,
                                  .levels = 4,
                                  .platform = &w->p,
                                  .port = {w, next_area, set_register, flush},
                                  .policy = policy != NULL ? *policy : dmt_tea_policy_default(),
                                  .defects = defects};
    w->s = dmt_space_new(&o);
    must(w->s != NULL);
}

static void close_world(struct world *w, uint64_t frames)
{
    dmt_space_delete(w->s);
    must(dmt_buddy_available(w->buddy) == frames, "%lld frames leak",
         (long long)(frames - dmt_buddy_available(w->buddy)));
    dmt_buddy_delete(w->buddy);
    dmt_mem_free(w->mem);
}

static void add_area(struct world *w, uint64_t vpn, uint64_t pages, unsigned sizes)
{
    unsigned i = w->areas++;

    must(w->areas <= AREAS);
    for (; i > 0 && w->area[i - 1].vpn > vpn; i--) {
        w->area[i] = w->area[i - 1];
    }
    w->area[i] = (struct area){vpn, pages, sizes};
    dmt_space_areas_changed(w->s, vpn, pages);
}

static void remove_area(struct world *w, unsigned i)
{
    struct area gone = w->area[i];

    memmove(&w->area[i], &w->area[i + 1], (--w->areas - i) * sizeof *w->area);
    for (uint64_t vpn = gone.vpn; vpn < gone.vpn + gone.pages;) {
        unsigned size = 0;
        uint64_t e = dmt_space_leaf(w->s, vpn, &size);
        if (e != 0) {
            dmt_space_exchange(w->s, vpn, size, 0);
        }
        vpn += e != 0 ? UINT64_C(1) << 9 * size : 1;
    }
    dmt_space_flush(w->s, gone.vpn, gone.pages);
    dmt_space_prune(w->s, gone.vpn, gone.pages);
    dmt_space_areas_changed(w->s, gone.vpn, gone.pages);
}

/* Registers hold the radix leaves (I1 to I3), no frame that they or tables use is free (I4). NULL or what is
 * wrong. */
static const char *wrong(struct world *w)
{
    static char text[160];
    struct dmt_table t = {w->mem, dmt_space_root(w->s), 4};
    const struct dmt_tea *r = dmt_space_registers(w->s);
    uint64_t va;
    unsigned index;

    if (memcmp(r, w->reg, 16 * sizeof *r) != 0) {
        for (unsigned i = 0; i < 16; i++) {
            if (w->reg[i].valid != r[i].valid || (r[i].valid && memcmp(&r[i], &w->reg[i], sizeof *r) != 0)) {
                snprintf(text, sizeof text, "register %u is not what it should be", i);
                return text;
            }
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        if (!r[i].valid) {
            continue;
        }
        for (unsigned k = 0; k < i; k++) {
            if (r[k].valid && r[k].sz == r[i].sz && r[k].base_vpn < r[i].base_vpn + r[i].pages &&
                r[i].base_vpn < r[k].base_vpn + r[k].pages) {
                snprintf(text, sizeof text, "registers %u and %u overlap", k, i);
                return text;
            }
        }
        uint64_t slots = (r[i].pages + (UINT64_C(512) << 9 * r[i].sz) - 1) >> 9 * (r[i].sz + 1);
        for (uint64_t f = 0; f < slots; f++) {
            if (dmt_buddy_is_free(w->buddy, r[i].base_pfn + f)) {
                snprintf(text, sizeof text, "register %u reaches a free frame", i);
                return text;
            }
        }
        /* dmt_tea_check asks that each radix leaf is in its slot: true of every LIVE TEA here. */
        if (!dmt_tea_check(&t, r, 16, &va, &index)) {
            snprintf(text, sizeof text, "register %u is not the radix leaf at 0x%llx", index,
                     (unsigned long long)va);
            return text;
        }
    }
    return NULL;
}

static uint64_t leaf(uint64_t pfn)
{
    return pfn << 12 | DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | DMT_PTE_A | DMT_PTE_D;
}

#define VPN (UINT64_C(0x7f0000000000) >> 12)

Test(space, maps_and_finds)
{
    struct world w;
    unsigned size = 9, level;

    open_world(&w, 4096, NULL, 0);
    must(dmt_space_leaf(w.s, VPN, &size) == 0);
    must(dmt_space_map(w.s, VPN + 5, DMT_SIZE_4K, leaf(0x55)));
    must(dmt_space_map(w.s, VPN + 512, DMT_SIZE_2M, leaf(0x200)));
    must(dmt_space_leaf(w.s, VPN + 5, &size) == leaf(0x55) && size == DMT_SIZE_4K);
    must(dmt_space_leaf(w.s, VPN + 600, &size) == (leaf(0x200) | DMT_PTE_PS) && size == DMT_SIZE_2M);
    must(dmt_space_leaf(w.s, VPN + 6, &size) == 0);
    struct dmt_table t = {w.mem, dmt_space_root(w.s), 4};
    struct dmt_lookup at;
    dmt_table_lookup(&t, (VPN + 600) << 12, &at);
    must(at.present && at.sz == DMT_SIZE_2M && at.pa >> 12 == 0x200 + 88);
    must(dmt_space_entry_pa(w.s, VPN + 600, &level) == at.addr[2] && level == 2);
    must(!dmt_space_map(w.s, VPN + 512 + 3, DMT_SIZE_4K, leaf(1)), "a leaf is in the way");
    must(!dmt_space_map(w.s, VPN, DMT_SIZE_2M, leaf(0x400)), "a table is in the way");
    must(dmt_space_exchange(w.s, VPN + 5, DMT_SIZE_4K, 0) == leaf(0x55));
    dmt_space_exchange(w.s, VPN + 512, DMT_SIZE_2M, 0);
    uint64_t before = dmt_buddy_available(w.buddy);
    dmt_space_prune(w.s, VPN, 1024);
    must(dmt_buddy_available(w.buddy) == before + 3, "the tables of three levels go");
    must(w.table_flushes == 1, "after one flush");
    close_world(&w, 4096);
}

Test(tea, one_area_one_register)
{
    struct world w;

    open_world(&w, 4096, NULL, 0);
    add_area(&w, VPN, 1024, 1);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].base_vpn == VPN && w.reg[0].pages == 1024 && w.reg[0].allow == 7);
    for (unsigned i = 0; i < 1024; i += 7) {
        must(dmt_space_map(w.s, VPN + i, DMT_SIZE_4K, leaf(0x10000 + i)));
    }
    must(wrong(&w) == NULL, "%s", wrong(&w));
    unsigned level;
    must(dmt_space_entry_pa(w.s, VPN + 700, &level) == (w.reg[0].base_pfn << 12) + 8 * 700);
    uint64_t area, covered;
    dmt_space_coverage(w.s, &area, &covered);
    must(area == 1024 && covered == 1024);
    close_world(&w, 4096);
}

Test(tea, tables_that_exist_move_in_by_the_table_protocol)
{
    struct world w;

    open_world(&w, 4096, NULL, 0);
    for (unsigned i = 0; i < 2048; i += 256) {
        must(dmt_space_map(w.s, VPN + i, DMT_SIZE_4K, leaf(0x10000 + i)));
    }
    add_area(&w, VPN, 2048, 1);
    w.logged = 0;
    dmt_space_settle(w.s);
    must(strcmp(w.log, "0000Txxxx"
                       "P") == 0,
         "unlink, flush, link, then P=1: %s", w.log);
    must(dmt_space_stats(w.s)->moved == 4);
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

Test(tea, background_moves_some_at_a_time_with_P_clear)
{
    struct world w;
    struct dmt_tea_policy policy = dmt_tea_policy_default();
    unsigned steps = 1;

    policy.background = 3;
    open_world(&w, 4096, &policy, 0);
    for (unsigned i = 0; i < 20; i++) {
        must(dmt_space_map(w.s, VPN + 512 * i, DMT_SIZE_4K, leaf(0x10000 + i)));
    }
    add_area(&w, VPN, 512 * 20, 1);
    while (dmt_space_work(w.s)) {
        must(!w.reg[0].valid && dmt_space_stats(w.s)->moved <= 3 * steps);
        must(dmt_space_tea(w.s, 0).state == DMT_TEA_BUILDING);
        steps++;
    }
    must(steps >= 7 && w.reg[0].valid && dmt_space_stats(w.s)->moved == 20);
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

Test(tea, neighbours_are_clustered_within_two_percent)
{
    struct world w;

    open_world(&w, 8192, NULL, 0);
    add_area(&w, VPN, 512 * 60, 1);
    add_area(&w, VPN + 512 * 61, 512 * 38, 1);  /* 1 of 99 blocks is a bubble */
    add_area(&w, VPN + 512 * 110, 512 * 10, 1); /* 11 of 120 would be */
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].pages == 512 * 99);
    must(w.reg[1].valid && w.reg[1].pages == 512 * 10 && !w.reg[2].valid);
    must(w.max_ask == 2, "one call for all");
    close_world(&w, 8192);
}

Test(tea, areas_that_share_a_block_share_a_tea)
{
    struct world w;

    open_world(&w, 4096, NULL, 0);
    add_area(&w, VPN, 700, 1);
    add_area(&w, VPN + 701, 700, 1);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && !w.reg[1].valid && w.reg[0].pages == 1536);
    close_world(&w, 4096);
}

Test(tea, each_page_size_has_its_own)
{
    struct world w;

    open_world(&w, 4096, NULL, 0);
    add_area(&w, VPN + 512 * 3, 512 * 600, 3);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].sz == DMT_SIZE_2M && w.reg[0].base_vpn == (VPN >> 18 << 18));
    must(w.reg[1].valid && w.reg[1].sz == DMT_SIZE_4K && w.reg[1].base_vpn == VPN + 512 * 3);
    must(dmt_space_map(w.s, VPN + 512 * 4, DMT_SIZE_2M, leaf(0x10000)));
    must(dmt_space_map(w.s, VPN + 512 * 5, DMT_SIZE_4K, leaf(0x20000)));
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

/* Split the huge page at vpn, whose frames begin at pfn. */
static bool split(struct world *w, uint64_t vpn, uint64_t pfn)
{
    uint64_t small[512];

    for (unsigned k = 0; k < 512; k++) {
        small[k] = leaf(pfn + k);
    }
    dmt_space_exchange(w->s, vpn, DMT_SIZE_2M, 0);
    dmt_space_flush(w->s, vpn, 512);
    return dmt_space_demote(w->s, vpn, DMT_SIZE_2M, small);
}

/* present_percent: a huge area with 4K tables at its ends only. */
Test(tea, smaller_sizes_can_be_narrowed_to_where_they_are)
{
    struct world w;
    struct dmt_tea_policy policy = dmt_tea_policy_default();

    policy.present_percent = 50;
    open_world(&w, 4096, &policy, 0);
    add_area(&w, VPN + 512 * 3 + 100, 512 * 600, 3);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].sz == DMT_SIZE_2M && !w.reg[1].valid, "nothing is mapped by 4K yet");
    must(dmt_space_stats(w.s)->tea_frames == 2 + 601 && w.sets == 1, "its slots are there all the same");

    must(dmt_space_map(w.s, VPN + 512 * 4, DMT_SIZE_2M, leaf(0x10000)));
    must(dmt_space_map(w.s, VPN + 512 * 602, DMT_SIZE_4K, leaf(0x20000)));
    must(dmt_space_map(w.s, VPN + 512 * 603, DMT_SIZE_4K, leaf(0x30000)));
    must(dmt_space_map(w.s, VPN + 512 * 3 + 100, DMT_SIZE_4K, leaf(0x40000)));
    while (dmt_space_work(w.s)) { /* without a change of areas, or a plan */
    }
    must(w.reg[1].valid && w.reg[1].sz == DMT_SIZE_4K && w.reg[1].base_vpn == VPN + 512 * 602 &&
             w.reg[1].pages == 1024,
         "the last two blocks: [0x%llx, +%llu)", (unsigned long long)w.reg[1].base_vpn,
         (unsigned long long)w.reg[1].pages);
    must(w.reg[1].base_pfn == dmt_space_tea(w.s, 0).grant.pfn + 599 ||
         w.reg[1].base_pfn == dmt_space_tea(w.s, 1).grant.pfn + 599);
    must(w.reg[0].pages >= 512 * 601, "2M pages are covered throughout");
    must(dmt_space_stats(w.s)->plans == 1 && dmt_space_stats(w.s)->moved == 0);
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

/* Of three sizes the two smaller ones are. */
Test(tea, huge_pages_can_be_the_smaller_ones)
{
    struct world w;
    struct dmt_tea_policy policy = dmt_tea_policy_default();
    uint64_t first = (UINT64_C(5) << 18) + 512 * 100, end = (UINT64_C(8) << 18) + 512 * 200;

    policy.present_percent = 100;
    open_world(&w, 4096, &policy, 0);
    add_area(&w, first, end - first, 7);
    must(dmt_space_map(w.s, UINT64_C(6) << 18, DMT_SIZE_1G, leaf(0x40000)));
    must(dmt_space_map(w.s, UINT64_C(7) << 18, DMT_SIZE_2M, leaf(0x10000)));
    must(dmt_space_map(w.s, end - 512, DMT_SIZE_2M, leaf(0x20000)));
    dmt_space_settle(w.s);
    must(w.reg[0].sz == DMT_SIZE_1G && w.reg[0].valid && w.reg[0].pages >= end - (UINT64_C(5) << 18));
    must(w.reg[1].sz == DMT_SIZE_2M && w.reg[1].base_vpn == UINT64_C(7) << 18 &&
             w.reg[1].pages == (UINT64_C(1) << 18) + 512 * 200,
         "[0x%llx, +0x%llx)", (unsigned long long)w.reg[1].base_vpn, (unsigned long long)w.reg[1].pages);
    must(!w.reg[2].valid, "no table of 4K pages is there");
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

/* 4K tables in [from, to) of every `step`th block: what the register of 4K pages then covers, in blocks from
 * VPN. */
static void narrowed(struct world *w, unsigned present, unsigned from, unsigned to, unsigned step,
                     unsigned first, unsigned blocks)
{
    struct dmt_tea_policy policy = dmt_tea_policy_default();

    policy.present_percent = present;
    open_world(w, 4096, &policy, 0);
    add_area(w, VPN, 512 * 400, 3);
    for (unsigned i = from; i < to; i += step) {
        must(dmt_space_map(w->s, VPN + 512 * i, DMT_SIZE_4K, leaf(0x10000 + i)));
    }
    dmt_space_settle(w->s);
    must(w->reg[1].valid && w->reg[1].sz == DMT_SIZE_4K && w->reg[1].base_vpn == VPN + 512 * first &&
             w->reg[1].pages == 512 * blocks,
         "%u %%, every %uth: [0x%llx, +%llu)", present, step, (unsigned long long)w->reg[1].base_vpn,
         (unsigned long long)w->reg[1].pages);
    must(wrong(w) == NULL, "%s", wrong(w));
}

Test(tea, tables_are_joined_while_enough_are_present)
{
    struct world w;

    narrowed(&w, 0, 10, 90, 1, 0, 400); /* the paper's: all of it */
    close_world(&w, 4096);
    narrowed(&w, 100, 10, 90, 1, 10, 80);
    close_world(&w, 4096);
    narrowed(&w, 50, 10, 90, 2, 10, 79); /* 40 of 79 are there */
    close_world(&w, 4096);
    narrowed(&w, 70, 10, 90, 2, 10, 1); /* 2 of 3 are too few */
    close_world(&w, 4096);
    narrowed(&w, 100, 399, 400, 1, 399, 1);
    close_world(&w, 4096);
}

Test(tea, a_register_follows_promotion_and_splits)
{
    struct world w;

    narrowed(&w, 50, 0, 400, 1, 0, 400);
    unsigned before = w.sets;
    for (unsigned i = 0; i < 400 - 20; i++) { /* khugepaged, with the kernel's other work */
        uint64_t vpn = VPN + 512 * i;
        dmt_space_exchange(w.s, vpn, DMT_SIZE_4K, 0);
        dmt_space_flush(w.s, vpn, 512);
        must(dmt_space_promote(w.s, vpn, DMT_SIZE_2M, leaf(0x40000 + 512 * i)));
        dmt_space_work(w.s);
    }
    must(w.sets - before < 60, "%u registers were written", w.sets - before);
    while (dmt_space_work(w.s)) {
    }
    must(w.reg[1].valid && w.reg[1].base_vpn == VPN + 512 * 380 && w.reg[1].pages == 512 * 20);
    for (unsigned n = 0; n < 30; n++) {
        must(split(&w, VPN + 512 * n, 0x40000 + 512 * n));
    }
    while (dmt_space_work(w.s)) {
    }
    must(w.reg[1].valid && w.reg[1].base_vpn == VPN && w.reg[1].pages == 512 * 30, "the longer run now");
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

/* The areas of a cluster change so that nothing larger occurs in it any more, and back. */
Test(tea, a_size_is_narrowed_below_larger_ones_only)
{
    struct world w;
    struct dmt_tea_policy policy = dmt_tea_policy_default();

    policy.present_percent = 50;
    open_world(&w, 4096, &policy, 0);
    add_area(&w, VPN, 512 * 100, 1);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].pages == 512 * 100, "the only size");
    for (unsigned n = 0; n < 3; n++) {
        w.area[0].sizes = n % 2 == 0 ? 3 : 1; /* as madvise does */
        dmt_space_areas_changed(w.s, VPN, 512 * 100);
        dmt_space_settle(w.s);
        must(w.reg[0].valid == (n % 2 != 0) && (n % 2 == 0 || w.reg[0].pages == 512 * 100));
    }
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

/* A huge page can be split when memory is short, also when the TEA that kept its table has gone. */
Test(tea, tables_set_aside_outlive_their_tea)
{
    struct world w;
    struct dmt_tea_policy policy = dmt_tea_policy_default();

    policy.registers = 2;
    open_world(&w, 4096, &policy, 0);
    add_area(&w, VPN, 512 * 4, 3);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[1].valid);
    for (unsigned i = 0; i < 2; i++) { /* one by promotion, one at once */
        uint64_t vpn = VPN + 512 * i;
        if (i == 0) {
            must(dmt_space_map(w.s, vpn, DMT_SIZE_4K, leaf(0x10000)));
            dmt_space_exchange(w.s, vpn, DMT_SIZE_4K, 0);
            dmt_space_flush(w.s, vpn, 512);
            must(dmt_space_promote(w.s, vpn, DMT_SIZE_2M, leaf(0x20000)));
        } else {
            must(dmt_space_deposit(w.s, vpn, DMT_SIZE_2M));
            must(dmt_space_map(w.s, vpn, DMT_SIZE_2M, leaf(0x20000 + 512)));
        }
    }
    add_area(&w, VPN + 512 * 2048, 512 * 40, 1);
    dmt_space_settle(w.s);
    must(w.reg[0].sz + w.reg[1].sz == DMT_SIZE_2M && w.reg[0].valid && w.reg[1].valid,
         "the small area has a register of 2M only");
    dmt_buddy_fail_after(w.buddy, 0);
    for (unsigned i = 0; i < 2; i++) {
        must(split(&w, VPN + 512 * i, 0x20000 + 512 * i), "no table for block %u", i);
    }
    dmt_buddy_fail_after(w.buddy, UINT64_MAX);
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

Test(tea, larger_areas_take_registers_over)
{
    struct world w;

    open_world(&w, 65536, NULL, 0);
    for (unsigned i = 0; i < 16; i++) {
        add_area(&w, VPN + 512 * 100 * i, 512 * 2, 1);
        must(dmt_space_map(w.s, VPN + 512 * 100 * i, DMT_SIZE_4K, leaf(0x10000 + i)));
    }
    dmt_space_settle(w.s);
    must(dmt_space_stats(w.s)->created == 16);
    add_area(&w, VPN + 512 * 5000, 512 * 40, 1);
    dmt_space_settle(w.s);
    unsigned valid = 0, large = 0;
    for (unsigned i = 0; i < 16; i++) {
        valid += w.reg[i].valid;
        large += w.reg[i].valid && w.reg[i].pages == 512 * 40;
    }
    must(valid == 16 && large == 1 && dmt_space_stats(w.s)->retired == 1);
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 65536);
}

/* As Memcached has: 1065 areas, here so far apart that none cluster. */
Test(tea, a_thousand_areas_and_sixteen_registers)
{
    static struct world w;
    uint64_t area, covered, largest = 0;

    open_world(&w, 65536, NULL, 0);
    for (unsigned i = 0; i < 1065; i++) {
        uint64_t pages = 512 * (1 + (i * 7919u) % 97);
        add_area(&w, VPN + UINT64_C(512) * 300 * i, pages, 1);
        if (i % 50 == 0) {
            dmt_space_work(w.s);
        }
    }
    dmt_space_settle(w.s);
    for (unsigned i = 0; i < 16; i++) {
        must(w.reg[i].valid);
        largest += w.reg[i].pages >= 512 * 95;
    }
    must(largest == 16, "the largest have them");
    for (unsigned i = 0; i < 1065; i++) {
        must(dmt_space_map(w.s, w.area[i].vpn + 3, DMT_SIZE_4K, leaf(0x10000 + i)));
    }
    must(wrong(&w) == NULL, "%s", wrong(&w));
    dmt_space_coverage(w.s, &area, &covered);
    must(covered >= 16 * 512 * 95 && covered < area / 10);
    while (w.areas > 0) {
        remove_area(&w, w.areas - 1);
    }
    dmt_space_settle(w.s);
    must(dmt_space_stats(w.s)->tea_frames == 0);
    close_world(&w, 65536);
}

Test(tea, of_1G_pages)
{
    struct world w;

    open_world(&w, 4096, NULL, 0);
    must(dmt_space_map(w.s, VPN & ~UINT64_C(0x3ffff), DMT_SIZE_1G, leaf(0x40000)));
    add_area(&w, VPN & ~UINT64_C(0x3ffff), UINT64_C(0x40000) * 5, 4);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].sz == DMT_SIZE_1G && !w.reg[1].valid);
    must(w.reg[0].base_vpn == VPN >> 27 << 27 && dmt_space_stats(w.s)->moved == 1,
         "the level 3 table has moved in");
    must(dmt_space_map(w.s, (VPN & ~UINT64_C(0x3ffff)) + 0x40000, DMT_SIZE_1G, leaf(0x80000)));
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 4096);
}

Test(tea, grows_in_place_or_moves)
{
    struct world w;

    for (unsigned in_place = 0; in_place < 2; in_place++) {
        open_world(&w, 65536, NULL, 0);
        w.no_extend = !in_place;
        must(dmt_space_prepare(w.s, VPN, DMT_SIZE_2M), "so that no table comes to lie behind the TEA");
        add_area(&w, VPN, 512 * 10, 1);
        dmt_space_settle(w.s);
        uint64_t base = w.reg[0].base_pfn;
        for (unsigned i = 0; i < 10; i++) {
            must(dmt_space_map(w.s, VPN + 512 * i, DMT_SIZE_4K, leaf(0x10000 + i)));
        }
        w.area[0].pages = 512 * 14;
        dmt_space_areas_changed(w.s, VPN + 512 * 10, 512 * 4);
        dmt_space_settle(w.s);
        must(w.reg[0].valid && w.reg[0].pages == 512 * 14);
        must(in_place == (w.reg[0].base_pfn == base));
        must(dmt_space_tea(w.s, 0).blocks == (in_place ? 14 : 20), "growth by 2");
        must(dmt_space_stats(w.s)->tea_frames == (in_place ? 14 : 20), "the old one has gone");
        must(wrong(&w) == NULL, "%s", wrong(&w));
        close_world(&w, 65536);
    }
}

Test(tea, growing_to_the_front_moves)
{
    struct world w;

    open_world(&w, 65536, NULL, 0);
    add_area(&w, VPN, 512 * 4, 1);
    dmt_space_settle(w.s);
    must(dmt_space_map(w.s, VPN + 9, DMT_SIZE_4K, leaf(0x10000)));
    remove_area(&w, 0);
    must(dmt_space_map(w.s, VPN + 9, DMT_SIZE_4K, leaf(0x10000)));
    add_area(&w, VPN - 512 * 2, 512 * 6, 1);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].base_vpn == VPN - 512 * 4,
         "twice the size, the room on the side it grew to");
    must(wrong(&w) == NULL, "%s", wrong(&w));
    close_world(&w, 65536);
}

Test(tea, failure_halves)
{
    struct world w;
    uint64_t pfn, hole;

    open_world(&w, 4096, NULL, 0);
    /* Free runs of 40 frames at most. */
    while (dmt_buddy_alloc_run(w.buddy, 40, &pfn) && dmt_buddy_alloc_run(w.buddy, 1, &hole)) {
    }
    for (uint64_t f = 0x1000; f < 0x2000; f++) {
        if (!dmt_buddy_is_free(w.buddy, f) && (f - 0x1000) % 41 != 40 && f > 0x1010) {
            dmt_buddy_release(w.buddy, f, 1);
        }
    }
    add_area(&w, VPN, 512 * 100, 1);
    dmt_space_settle(w.s);
    unsigned valid = 0;
    uint64_t pages = 0;
    for (unsigned i = 0; i < 16; i++) {
        valid += w.reg[i].valid;
        pages += w.reg[i].valid ? w.reg[i].pages : 0;
    }
    must(valid == 4 && pages == 512 * 100, "four quarters");
    must(wrong(&w) == NULL, "%s", wrong(&w));
    dmt_space_delete(w.s);
    dmt_buddy_delete(w.buddy);
    dmt_mem_free(w.mem);
}

Test(tea, shrinks_and_goes)
{
    struct world w;

    open_world(&w, 4096, NULL, 0);
    add_area(&w, VPN, 512 * 40, 1);
    dmt_space_settle(w.s);
    for (unsigned i = 0; i < 40; i++) {
        must(dmt_space_map(w.s, VPN + 512 * i, DMT_SIZE_4K, leaf(0x10000 + i)));
    }
    remove_area(&w, 0);
    add_area(&w, VPN, 512 * 8, 1);
    dmt_space_settle(w.s);
    must(w.reg[0].valid && w.reg[0].pages == 512 * 8 && dmt_space_stats(w.s)->tea_frames == 8);
    remove_area(&w, 0);
    dmt_space_settle(w.s);
    must(!w.reg[0].valid && dmt_space_stats(w.s)->tea_frames == 0);
    close_world(&w, 4096);
}

Test(sizes, promote_and_demote_keep_the_table_by_address)
{
    struct world w;
    uint64_t entry[512];

    for (unsigned tea = 0; tea < 2; tea++) {
        open_world(&w, 4096, NULL, 0);
        if (tea) {
            add_area(&w, VPN, 512 * 4, 3);
            dmt_space_settle(w.s);
        }
        for (unsigned b = 0; b < 3; b++) {
            for (unsigned i = 0; i < 512; i++) {
                must(dmt_space_map(w.s, VPN + 512 * b + i, DMT_SIZE_4K, leaf(0x10000 + 512 * b + i)));
            }
        }
        for (unsigned b = 0; b < 3; b++) {
            must(!dmt_space_promote(w.s, VPN + 512 * b, DMT_SIZE_2M, leaf(0x20000 + 512 * b)),
                 "still mapped");
            for (unsigned i = 0; i < 512; i++) {
                dmt_space_exchange(w.s, VPN + 512 * b + i, DMT_SIZE_4K, 0);
            }
            dmt_space_flush(w.s, VPN + 512 * b, 512);
            must(dmt_space_promote(w.s, VPN + 512 * b, DMT_SIZE_2M, leaf(0x20000 + 512 * b)));
            must(wrong(&w) == NULL, "%s", wrong(&w));
        }
        uint64_t pfn;
        while (dmt_buddy_alloc(w.buddy, 0, &pfn)) {
        }
        for (unsigned b = 0; b < 3; b++) { /* in the order of promotion: a stack would be wrong */
            dmt_space_exchange(w.s, VPN + 512 * b, DMT_SIZE_2M, 0);
            dmt_space_flush(w.s, VPN + 512 * b, 512);
            for (unsigned i = 0; i < 512; i++) {
                entry[i] = leaf(0x20000 + 512 * b + i);
            }
            must(dmt_space_demote(w.s, VPN + 512 * b, DMT_SIZE_2M, entry), "no memory is needed");
            must(wrong(&w) == NULL, "%s", wrong(&w));
        }
        dmt_space_delete(w.s);
        dmt_buddy_delete(w.buddy);
        dmt_mem_free(w.mem);
    }
}

/* What one random step does to the world. */
static void random_step(struct world *w, struct rng *r, uint64_t span)
{
    uint64_t vpn = VPN + rng_below(r, span), pages = 1 + rng_below(r, 512 * 6);
    unsigned size;

    switch (rng_below(r, 8)) {
    case 0: { /* a new area, where there is room */
        struct dmt_vma at;
        unsigned sizes;
        bool clash = next_area(w, vpn, &at, &sizes) && at.vpn < vpn + pages;
        if (w->areas < 64 && !clash) {
            add_area(w, vpn, pages, 1u | (unsigned)rng_below(r, 2) << 1);
        }
        break;
    }
    case 1:
        if (w->areas > 0) {
            remove_area(w, (unsigned)rng_below(r, w->areas));
        }
        break;
    case 2: /* grow */
        if (w->areas > 0) {
            struct area *a = &w->area[rng_below(r, w->areas)];
            uint64_t limit = a + 1 < w->area + w->areas ? a[1].vpn : VPN + span;
            if (a->vpn + a->pages + pages <= limit) {
                a->pages += pages;
                dmt_space_areas_changed(w->s, a->vpn + a->pages - pages, pages);
            }
        }
        break;
    case 3: /* promote a full block */
    case 4: /* demote */
        if (w->areas > 0) {
            struct area *a = &w->area[rng_below(r, w->areas)];
            uint64_t block = (a->vpn + 511 + rng_below(r, a->pages)) >> 9 << 9;
            if (block + 512 > a->vpn + a->pages || (a->sizes & 2) == 0) {
                break;
            }
            if (dmt_space_leaf(w->s, block, &size) != 0 && size == DMT_SIZE_2M) {
                uint64_t entry[512], old = dmt_space_exchange(w->s, block, DMT_SIZE_2M, 0);
                dmt_space_flush(w->s, block, 512);
                for (unsigned i = 0; i < 512; i++) {
                    entry[i] = (old & ~DMT_PTE_PS) + ((uint64_t)i << 12);
                }
                if (!dmt_space_demote(w->s, block, DMT_SIZE_2M, entry)) {
                    must(false, "a demotion needs no memory");
                }
                break;
            }
            for (unsigned i = 0; i < 512; i++) {
                if (dmt_space_leaf(w->s, block + i, &size) != 0) {
                    dmt_space_exchange(w->s, block + i, DMT_SIZE_4K, 0);
                }
            }
            dmt_space_flush(w->s, block, 512);
            if (dmt_space_prepare(w->s, block, DMT_SIZE_2M) && dmt_space_deposit(w->s, block, DMT_SIZE_2M)) {
                must(dmt_space_promote(w->s, block, DMT_SIZE_2M, leaf(0x80000 + (block & 0xffe00))));
            }
        }
        break;
    default: /* touch pages */
        for (unsigned i = 0; w->areas > 0 && i < 20; i++) {
            struct area *a = &w->area[rng_below(r, w->areas)];
            uint64_t at = a->vpn + rng_below(r, a->pages);
            if (dmt_space_leaf(w->s, at, &size) == 0) {
                dmt_space_map(w->s, at, DMT_SIZE_4K, leaf(0x100000 + (at & 0xfffff)));
            }
        }
    }
}

Test(tea, random_lives)
{
    uint64_t served = 0, halved = 0, merged = 0, grown = 0, retired = 0, migrated = 0;

    for (unsigned seed = 1; seed <= 24; seed++) {
        struct world w;
        struct rng r;
        struct dmt_tea_policy policy = dmt_tea_policy_default();
        uint64_t frames = seed % 3 == 0 ? 700 : 6000;
        rng_seed(&r, seed, 0);
        policy.registers = 1 + (unsigned)rng_below(&r, 16);
        policy.background = (unsigned)rng_below(&r, 5);
        policy.growth = 1 + (unsigned)rng_below(&r, 3);
        policy.present_percent = seed % 2 == 0 ? 1 + (unsigned)rng_below(&r, 100) : 0;
        open_world(&w, frames, &policy, 0);
        w.no_extend = seed % 4 == 1;
        dmt_buddy_fragment(w.buddy, 3, seed % 2 == 0 ? 0.9 : 0, seed);
        uint64_t pinned = dmt_buddy_pinned(w.buddy);
        for (unsigned step = 0; step < 1200; step++) {
            random_step(&w, &r, 512 * 400);
            if (rng_below(&r, 3) == 0) {
                dmt_space_work(w.s);
            }
            const char *text = step % 8 == 0 ? wrong(&w) : NULL; /* it looks at every page */
            must(text == NULL, "seed %u step %u: %s", seed, step, text);
        }
        dmt_space_settle(w.s);
        must(wrong(&w) == NULL, "%s", wrong(&w));
        const struct dmt_space_stats *t = dmt_space_stats(w.s);
        served += t->created;
        halved += t->halved;
        merged += t->merged;
        grown += t->grown;
        retired += t->retired;
        migrated += t->migrated;
        close_world(&w, frames - pinned);
    }
    must(served > 100 && halved > 10 && merged > 10 && grown > 10 && retired > 10 && migrated > 10,
         "created %llu halved %llu merged %llu grown %llu retired %llu migrated %llu",
         (unsigned long long)served, (unsigned long long)halved, (unsigned long long)merged,
         (unsigned long long)grown, (unsigned long long)retired, (unsigned long long)migrated);
}

/* Each defect of the manager is seen by the same check that random lives pass. */
static bool caught(unsigned defect)
{
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct world w;
        struct rng r;
        bool seen = false;
        rng_seed(&r, seed, 1);
        open_world(&w, 6000, NULL, defect);
        for (unsigned step = 0; step < 400 && !seen; step++) {
            random_step(&w, &r, 512 * 100);
            dmt_space_work(w.s);
            seen = wrong(&w) != NULL;
        }
        if (seen) {
            w.broken = true;
            dmt_space_delete(w.s);
            dmt_buddy_delete(w.buddy);
            dmt_mem_free(w.mem);
            return true;
        }
        close_world(&w, 6000);
    }
    return false;
}

Test(defects, lost_race)
{
    must(caught(DMT_DEFECT_LOST_RACE));
}
Test(defects, boundary)
{
    must(caught(DMT_DEFECT_BOUNDARY));
}
Test(defects, stale_slot)
{
    must(caught(DMT_DEFECT_STALE_SLOT));
}
Test(defects, front_growth)
{
    must(caught(DMT_DEFECT_FRONT_GROWTH));
}
Test(defects, free_under_register)
{
    must(caught(DMT_DEFECT_FREE_UNDER_REGISTER));
}
Test(defects, zap_deposit)
{
    must(caught(DMT_DEFECT_ZAP_DEPOSIT));
}
