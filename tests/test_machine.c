/* SPDX-License-Identifier: Apache-2.0
 * Machines: what the TLB keeps and drops, software that acts while walks are
 * under way, threads that share memory, and both kinds giving the same answers. */
#include "dmt/buddy.h"
#include "dmt/regs.h"
#include "tb/machine.h"
#include "tb/rng.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define P       1ull
#define W       2ull
#define U       4ull
#define A       0x20ull
#define D       0x40ull
#define PS      0x80ull
#define G       0x100ull
#define XD      (1ull << 63)
#define EPT_RWX 7ull

#define UPPER  (P | W | U | A)
#define LEAF   (P | W | U | A)
#define FRAMES 0x000ffffffffff000ull

/* Fail unless the condition holds: Criterion's own assertions tell the runner
 * of every success, which is too slow in loops. */
#define must(condition, ...)                                                                                 \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            cr_assert_fail(#condition " does not hold. " __VA_ARGS__);                                       \
    } while (0)

/* ------------------------------------------------------------ rig */

#define ANSWERS 65536

struct rig {
    struct machine_options o;
    struct dmt_mem *mem;
    struct machine *m;
    uint64_t next;  /* frame for a table */
    uint64_t asked; /* number of the next access */
    uint64_t answered;
    struct machine_answer answer[ANSWERS]; /* by number of the access */
    bool done[ANSWERS];
    char *log;
    size_t log_size;
};

static void note(void *user, const struct machine_answer *a)
{
    struct rig *r = user;

    must(a->user < r->asked && a->user + ANSWERS >= r->asked && !r->done[a->user % ANSWERS],
         "an answer to nothing that was asked");
    r->answer[a->user % ANSWERS] = *a;
    r->done[a->user % ANSWERS] = true;
    r->answered++;
}

enum kind { MODEL, CYCLE, LIVE, KINDS };

/* One thread, TLB of 64 entries a page size. */
static struct machine_options options_of(enum kind kind)
{
    struct machine_options o = {.threads = 1,
                                .lockstep = true,
                                .seed = 1,
                                .tlb_sets = 64,
                                .linger = 4,
                                .command = "build/dmt sys --seed 1"};

    o.config = &dut_rtl_find("default")->config;
    o.dut = kind == MODEL ? NULL : kind == CYCLE ? &dut_cycle : dut_rtl_find("default");
    return o;
}

static struct rig *rig_new(const struct machine_options *o)
{
    struct rig *r = calloc(1, sizeof(*r));

    r->o = *o;
    r->o.answer = note;
    r->o.user = r;
    r->o.log = open_memstream(&r->log, &r->log_size);
    r->mem = dmt_mem_new();
    r->next = 0x1000;
    r->m = machine_new(&r->o, r->mem);
    cr_assert_not_null(r->m, "%s", cosim_error());
    return r;
}

static void rig_free(struct rig *r)
{
    machine_drain(r->m);
    fflush(r->o.log);
    cr_assert(machine_ok(r->m), "%s", r->log);
    cr_assert_eq(r->asked, r->answered);
    cr_assert_eq(machine_stats(r->m)->divergences, 0);
    cr_assert_eq(machine_stats(r->m)->accesses, r->asked);
    cr_assert_eq(machine_stats(r->m)->tlb_hits + machine_stats(r->m)->walks, r->asked);
    machine_free(r->m);
    dmt_mem_free(r->mem);
    fclose(r->o.log);
    free(r->log);
    free(r);
}

/* Tests model/name, cycle/name and live/name. */
#define ON_EVERY_KIND(name)                                                                                  \
    static void name(enum kind kind);                                                                        \
    Test(model, name)                                                                                        \
    {                                                                                                        \
        name(MODEL);                                                                                         \
    }                                                                                                        \
    Test(cycle, name)                                                                                        \
    {                                                                                                        \
        name(CYCLE);                                                                                         \
    }                                                                                                        \
    Test(live, name)                                                                                         \
    {                                                                                                        \
        name(LIVE);                                                                                          \
    }                                                                                                        \
    static void name(enum kind kind)

static uint64_t frame(struct rig *r)
{
    cr_assert_not_null(dmt_mem_add(r->mem, r->next));
    return r->next++ << 12;
}

static uint64_t word(const struct rig *r, uint64_t pa)
{
    uint64_t value;

    must(dmt_mem_read(r->mem, pa, &value));
    return value;
}

/* Where the leaf of this size for va lies in the tables under root, which are made: of whatever format,
 * as frames are at their own addresses in every stage here. */
static uint64_t leaf_at(struct rig *r, uint64_t root, uint64_t va, unsigned size, uint64_t upper)
{
    uint64_t table = root;

    for (unsigned level = 4; level > size + 1; level--) {
        uint64_t at = table + (va >> (9 * level + 3) & 511) * 8, e = word(r, at);

        if (!(e & 1)) {
            e = frame(r) | upper;
            dmt_mem_write(r->mem, at, e);
        }
        table = e & FRAMES;
    }
    return table + (va >> (9 * size + 12) & 511) * 8;
}

/* Put a leaf; returns where. */
static uint64_t map(struct rig *r, uint64_t root, uint64_t va, unsigned size, uint64_t entry)
{
    uint64_t at = leaf_at(r, root, va, size, UPPER);

    dmt_mem_write(r->mem, at, entry | (size ? PS : 0));
    return at;
}

static uint64_t map_ept(struct rig *r, uint64_t root, uint64_t pa, unsigned size, uint64_t entry)
{
    uint64_t at = leaf_at(r, root, pa, size, EPT_RWX);

    dmt_mem_write(r->mem, at, entry | 6 << 3 | (size ? PS : 0));
    return at;
}

static void csr(struct rig *r, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    machine_csr(r->m, thread, DMT_LEVEL_BASE(level) + offset, value);
}

static void host(struct rig *r, unsigned thread, unsigned offset, uint64_t value)
{
    machine_csr(r->m, thread, DMT_HOST_BASE + offset, value);
}

static void inv(struct rig *r, unsigned level, unsigned kind, unsigned pcid, uint64_t va)
{
    csr(r, 0, level, DMT_LEVEL_INV,
        (uint64_t)kind << DMT_LEVEL_INV_KIND_LSB | (uint64_t)pcid << DMT_LEVEL_INV_PCID_LSB |
            (va >> 12 & DMT_LEVEL_INV_VPN_MASK));
}

#define CR4_BASIC (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_PCIDE_MASK)

/* NATIVE on these tables, with PCIDs and global pages. */
static void native(struct rig *r, unsigned thread, uint64_t root)
{
    csr(r, thread, 0, DMT_LEVEL_CR4, CR4_BASIC);
    csr(r, thread, 0, DMT_LEVEL_EFER, DMT_LEVEL_EFER_NXE_MASK);
    csr(r, thread, 0, DMT_LEVEL_CR0, DMT_LEVEL_CR0_WP_MASK);
    csr(r, thread, 0, DMT_LEVEL_CR3, root | 1);
    host(r, thread, DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
}

static uint64_t ask_as(struct rig *r, unsigned thread, const struct dmt_request *q)
{
    r->done[r->asked % ANSWERS] = false;
    machine_access(r->m, thread, q, r->asked++);
    return r->asked - 1;
}

static uint64_t ask(struct rig *r, unsigned thread, uint64_t va, unsigned access)
{
    struct dmt_request q = {.va = va, .access = (uint8_t)access, .cpl = 3, .nonspec = true};

    return ask_as(r, thread, &q);
}

/* Ask and wait. */
static const struct machine_answer *get(struct rig *r, uint64_t va, unsigned access)
{
    uint64_t n = ask(r, 0, va, access);

    machine_drain(r->m);
    must(r->done[n % ANSWERS]);
    return &r->answer[n % ANSWERS];
}

static const struct machine_answer *get_read(struct rig *r, uint64_t va)
{
    return get(r, va, DMT_ACCESS_READ);
}

/* Was it in the TLB? It is afterwards. */
static bool cached(struct rig *r, uint64_t va)
{
    const struct machine_answer *a = get_read(r, va);

    must(a->result.status == DMT_STATUS_OK, "va 0x%" PRIx64 " status %u", va, a->result.status);
    return a->from_tlb;
}

/* ------------------------------------------------------------ TLB: use */

ON_EVERY_KIND(tlb_answers_what_the_walk_did)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t root = frame(r), at = map(r, root, 0x400000, 0, 0x5000 | LEAF);
    struct dmt_result first;
    const struct machine_answer *a;

    native(r, 0, root);
    a = get_read(r, 0x400123);
    cr_assert(!a->from_tlb);
    cr_assert_eq(a->result.pa, 0x5123);
    cr_assert_eq(a->result.reads, 4);
    first = a->result;
    a = get_read(r, 0x400123);
    cr_assert(a->from_tlb);
    cr_assert_eq(a->result.reads, 0);
    cr_assert_eq(a->clocks, 0);
    cr_assert_eq(a->result.pa, first.pa);
    cr_assert_eq(a->result.rights, first.rights);
    /* What is not flushed goes on. */
    machine_store(r->m, at, 0x6000 | LEAF);
    cr_assert_eq(get_read(r, 0x400ff8)->result.pa, 0x5ff8);
    inv(r, 0, DMT_INV_ADDRESS, 1, 0x400000);
    cr_assert_eq(get_read(r, 0x400ff8)->result.pa, 0x6ff8);
    rig_free(r);
}

/* A write needs D; a walk finds it. */
ON_EVERY_KIND(tlb_write_to_a_clean_page_walks)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t root = frame(r), at = map(r, root, 0x400000, 0, 0x5000 | LEAF);

    native(r, 0, root);
    cr_assert(!get_read(r, 0x400000)->from_tlb);
    cr_assert(!get(r, 0x400000, DMT_ACCESS_WRITE)->from_tlb);
    cr_assert(word(r, at) & D);
    cr_assert(get(r, 0x400000, DMT_ACCESS_WRITE)->from_tlb);
    cr_assert(get_read(r, 0x400000)->from_tlb);
    cr_assert_eq(machine_stats(r->m)->updates, 1);
    rig_free(r);
}

/* Where the entry does not permit, a walk decides: more rights need no flush, a fault drops the entry. */
ON_EVERY_KIND(tlb_refusal_walks)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t root = frame(r), at = map(r, root, 0x400000, 0, 0x5000 | (LEAF & ~W) | D);

    native(r, 0, root);
    get_read(r, 0x400000);
    machine_store(r->m, at, 0x5000 | LEAF | D);
    cr_assert_eq(get(r, 0x400000, DMT_ACCESS_WRITE)->result.status, DMT_STATUS_OK);
    cr_assert(get(r, 0x400000, DMT_ACCESS_WRITE)->from_tlb);
    machine_store(r->m, at, 0x7000 | LEAF | XD);
    cr_assert_eq(get_read(r, 0x400000)->result.pa, 0x5000);
    cr_assert_eq(get(r, 0x400000, DMT_ACCESS_EXECUTE)->result.status, DMT_STATUS_OK); /* stale, permitted */
    inv(r, 0, DMT_INV_ADDRESS, 1, 0x400000);
    cr_assert_eq(get_read(r, 0x400000)->result.pa, 0x7000);
    machine_store(r->m, at, 0x8000 | LEAF | XD);
    cr_assert_eq(get(r, 0x400000, DMT_ACCESS_EXECUTE)->result.status, DMT_STATUS_PF);
    cr_assert_eq(get_read(r, 0x400000)->result.pa, 0x8000);
    rig_free(r);
}

/* Entries whose A bit nobody has set are not kept. */
ON_EVERY_KIND(tlb_without_updates)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t root = frame(r);

    map(r, root, 0x400000, 0, 0x5000 | (LEAF & ~A));
    native(r, 0, root);
    host(r, 0, DMT_HOST_CTL, DMT_MODE_NATIVE);
    cr_assert(get_read(r, 0x400000)->result.ad_needed);
    cr_assert(!cached(r, 0x400000));
    host(r, 0, DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
    cr_assert(!cached(r, 0x400000));
    cr_assert(cached(r, 0x400000));
    host(r, 0, DMT_HOST_CTL, DMT_MODE_OFF | DMT_HOST_CTL_AD_UPDATE_MASK);
    cr_assert_eq(get_read(r, 0x400000)->result.pa, 0x400000);
    rig_free(r);
}

/* ------------------------------------------------------------ TLB: flushes */

/* Pages of all sizes, one of them global, of the tables under root. */
#define VA_4K      0x400000ull
#define VA_4K_NEXT 0x401000ull
#define VA_2M      0x40000000ull
#define VA_1G      0x80000000ull
#define VA_G       0xffff800000000000ull

static uint64_t all_sizes(struct rig *r)
{
    uint64_t root = frame(r);

    map(r, root, VA_4K, 0, 0x5000 | LEAF);
    map(r, root, VA_4K_NEXT, 0, 0x6000 | LEAF);
    map(r, root, VA_2M, 1, 0x200000 | LEAF);
    map(r, root, VA_1G, 2, 0x40000000 | LEAF);
    map(r, root, VA_G, 0, 0x7000 | LEAF | G);
    return root;
}

static void fill(struct rig *r)
{
    static const uint64_t vas[] = {VA_4K, VA_4K_NEXT, VA_2M, VA_1G, VA_G};

    for (unsigned i = 0; i < 5; i++)
        get_read(r, vas[i]);
    for (unsigned i = 0; i < 5; i++)
        must(cached(r, vas[i]), "va 0x%" PRIx64, vas[i]);
}

/* Which pages are cached: 4K, the next 4K, 2M, 1G, global. */
static void holds(struct rig *r, unsigned line, const char *want)
{
    static const uint64_t vas[] = {VA_4K, VA_4K_NEXT, VA_2M, VA_1G, VA_G};

    for (unsigned i = 0; i < 5; i++)
        must(cached(r, vas[i]) == (want[i] == '1'), "line %u: va 0x%" PRIx64 " expected %c", line, vas[i],
             want[i]);
}
#define holds(want) holds(r, __LINE__, want)

ON_EVERY_KIND(tlb_invalidations)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t root = all_sizes(r);

    native(r, 0, root);
    fill(r);
    inv(r, 0, DMT_INV_ADDRESS, 1, VA_4K + 0x123);
    holds("01111");
    inv(r, 0, DMT_INV_ADDRESS, 1, VA_2M + 0x155000);
    holds("11011");
    inv(r, 0, DMT_INV_ADDRESS, 1, VA_1G + 0x3fffffff);
    holds("11101");
    inv(r, 0, DMT_INV_ADDRESS, 2, VA_4K); /* another PCID */
    holds("11111");
    inv(r, 0, DMT_INV_ADDRESS, 2, VA_G); /* global: of every PCID */
    holds("11110");
    inv(r, 0, DMT_INV_CONTEXT, 1, 0);
    holds("00001");
    inv(r, 0, DMT_INV_CONTEXT, 2, 0);
    holds("11111");
    inv(r, 0, DMT_INV_ALL_BUT_GLOBAL, 0, 0);
    holds("00001");
    inv(r, 0, DMT_INV_ALL, 0, 0);
    holds("00000");
    inv(r, 1, DMT_INV_ALL, 0, 0); /* other levels */
    inv(r, 0, DMT_INV_S2_ALL, 0, 0);
    inv(r, 2, DMT_INV_S2_ALL, 0, 0); /* refused */
    holds("11111");
    csr(r, 0, 0, DMT_LEVEL_PKRU, 0);
    csr(r, 0, 1, DMT_LEVEL_CR3, 0);
    csr(r, 0, 0, DMT_LEVEL_TEA_WORD0(0), 0);
    holds("11111");
    rig_free(r);
}

ON_EVERY_KIND(tlb_control_registers)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t root = all_sizes(r), other = all_sizes(r);

    native(r, 0, root);
    fill(r);
    csr(r, 0, 0, DMT_LEVEL_CR3, root | 1ull << 55); /* refused */
    holds("11111");
    csr(r, 0, 0, DMT_LEVEL_CR3, other | 2 | DMT_LEVEL_CR3_NOFLUSH_MASK);
    holds("00001"); /* global is everybody's */
    csr(r, 0, 0, DMT_LEVEL_CR3, root | 1 | DMT_LEVEL_CR3_NOFLUSH_MASK);
    holds("11111");
    csr(r, 0, 0, DMT_LEVEL_CR3, other | 2); /* drops PCID 2 alone */
    holds("00001");
    csr(r, 0, 0, DMT_LEVEL_CR3, root | 1 | DMT_LEVEL_CR3_NOFLUSH_MASK);
    holds("11111");
    csr(r, 0, 0, DMT_LEVEL_CR3, root | 1);
    holds("00001");
    csr(r, 0, 0, DMT_LEVEL_CR0, DMT_LEVEL_CR0_WP_MASK);
    holds("00000");
    csr(r, 0, 0, DMT_LEVEL_EFER, DMT_LEVEL_EFER_NXE_MASK);
    holds("00000");
    csr(r, 0, 0, DMT_LEVEL_CR4, CR4_BASIC);
    holds("00000");
    /* Without PCIDs a write of CR3 flushes, whatever NOFLUSH says. */
    csr(r, 0, 0, DMT_LEVEL_CR4, DMT_LEVEL_CR4_PGE_MASK);
    fill(r);
    csr(r, 0, 0, DMT_LEVEL_CR3, root | DMT_LEVEL_CR3_NOFLUSH_MASK);
    holds("00001");
    /* Without PGE nothing is global. */
    csr(r, 0, 0, DMT_LEVEL_CR4, 0);
    fill(r);
    csr(r, 0, 0, DMT_LEVEL_CR3, root);
    holds("00000");
    host(r, 0, DMT_HOST_SHADOW_ROOT, 0);
    holds("00000");
    host(r, 0, DMT_HOST_SHADOW_CTL, 0);
    holds("00000");
    host(r, 0, DMT_HOST_CTL, DMT_MODE_OFF);
    host(r, 0, DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
    holds("11111");
    csr(r, 0, 0, DMT_LEVEL_CR4, CR4_BASIC);
    fill(r);
    host(r, 0, DMT_HOST_MAXPA, 64); /* refused */
    holds("11111");
    host(r, 0, DMT_HOST_MAXPA, 48); /* clears CR3 */
    csr(r, 0, 0, DMT_LEVEL_CR3, root | DMT_LEVEL_CR3_NOFLUSH_MASK);
    holds("00000");
    rig_free(r);
}

/* VIRT on the guest's tables at root, under EPT at ept: the guest's frames are at their own addresses. */
static void virt(struct rig *r, unsigned thread, uint64_t root, uint64_t ept, unsigned tag)
{
    csr(r, thread, 1, DMT_LEVEL_CR4, CR4_BASIC);
    csr(r, thread, 1, DMT_LEVEL_EFER, DMT_LEVEL_EFER_NXE_MASK);
    csr(r, thread, 1, DMT_LEVEL_CR0, DMT_LEVEL_CR0_WP_MASK);
    csr(r, thread, 1, DMT_LEVEL_CR3, root | 1);
    csr(r, thread, 0, DMT_LEVEL_S2CTL, 0);
    csr(r, thread, 0, DMT_LEVEL_S2ROOT, ept | tag);
    host(r, thread, DMT_HOST_CTL, DMT_MODE_VIRT | DMT_HOST_CTL_AD_UPDATE_MASK);
}

/* EPT that maps the first GiB to itself in pages of 4K up to 64 MiB, for tables and small frames. */
static uint64_t ept_of(struct rig *r)
{
    uint64_t ept = frame(r);

    for (uint64_t pa = 0; pa < 64ull << 20; pa += 4096)
        map_ept(r, ept, pa, 0, pa | EPT_RWX);
    for (uint64_t pa = 64ull << 20; pa < 1ull << 30; pa += 2ull << 20)
        map_ept(r, ept, pa, 1, pa | EPT_RWX);
    return ept;
}

/* A guest's large page over small ones is several entries: one INV drops them all (SDM 4.10.2.3). */
ON_EVERY_KIND(tlb_parts_of_a_page)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t ept = ept_of(r), root = frame(r);
    const struct machine_answer *a;

    map(r, root, VA_2M, 1, 0x200000 | LEAF);
    map(r, root, VA_2M + 0x200000, 1, 0x400000 | LEAF);
    map(r, root, VA_4K, 0, 0x5000 | LEAF);
    virt(r, 0, root, ept, 3);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(!cached(r, VA_2M + i * 0x1000));
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(cached(r, VA_2M + i * 0x1000));
    a = get_read(r, VA_2M + 0x1008);
    cr_assert_eq(a->result.size, DMT_SIZE_4K);
    cr_assert_eq(a->result.pa, 0x201008);
    cr_assert_eq(a->result.addr, 0x201008);
    get_read(r, VA_2M + 0x200000);
    get_read(r, VA_4K);
    inv(r, 1, DMT_INV_ADDRESS, 1, VA_2M + 0x1ff000);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(!cached(r, VA_2M + i * 0x1000));
    cr_assert(cached(r, VA_2M + 0x200000));
    cr_assert(cached(r, VA_4K));
    inv(r, 1, DMT_INV_ADDRESS, 1, VA_4K);
    cr_assert(!cached(r, VA_4K));
    cr_assert(cached(r, VA_2M));
    rig_free(r);
}

/* The leaf's size when registers of several sizes are fetched: a smaller entry under a larger one that
 * decides. */
ON_EVERY_KIND(tlb_parts_of_a_page_through_tea)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t ept = ept_of(r), root = frame(r), gtea = 0x40;

    map(r, root, VA_2M, 1, 0x200000 | LEAF);
    dmt_mem_add(r->mem, gtea);
    dmt_mem_write(r->mem, gtea << 12, r->next << 12 | P);
    dmt_mem_write(r->mem, (gtea << 12) + 8, 2);
    /* In the gTEA: frame 0 with entries of 2M, frame 1 with entries of 4K. */
    dmt_mem_write(r->mem, frame(r), 0x200000 | LEAF | PS);
    for (uint64_t at = frame(r), i = 0; i < 512; i++)
        dmt_mem_write(r->mem, at + 8 * i, (0x300000 + i * 4096) | LEAF);
    virt(r, 0, root, ept, 3);
    host(r, 0, DMT_HOST_GTEA_TABLE1, gtea << 12);
    host(r, 0, DMT_HOST_GTEA_ENTRIES1, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct dmt_tea t = {.base_vpn = VA_2M >> 12,
                            .pages = 512,
                            .base_pfn = i,
                            .sz = i ? DMT_SIZE_4K : DMT_SIZE_2M,
                            .kind = DMT_KIND_GTEA,
                            .allow = 7,
                            .valid = true};
        uint64_t words[3];

        dmt_tea_pack(&t, words);
        for (unsigned n = 3; n--;)
            csr(r, 0, 1, DMT_LEVEL_TEA_WORD0(i) + 8 * n, words[n]);
    }
    cr_assert_eq(get_read(r, VA_2M)->result.path[1], DMT_PATH_TEA);
    cr_assert_eq(get_read(r, VA_2M + 0x3000)->result.pa, 0x203000);
    cr_assert(cached(r, VA_2M));
    cr_assert(cached(r, VA_2M + 0x3000));
    inv(r, 1, DMT_INV_ADDRESS, 1, VA_2M + 0x8000);
    cr_assert(!cached(r, VA_2M));
    cr_assert(!cached(r, VA_2M + 0x3000));
    rig_free(r);
}

ON_EVERY_KIND(tlb_second_stages)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t ept = ept_of(r), root = frame(r), native_root = all_sizes(r);

    map(r, root, VA_4K, 0, 0x5000 | LEAF);
    map(r, root, VA_G, 0, 0x6000 | LEAF | G);
    native(r, 0, native_root);
    fill(r);
    virt(r, 0, root, ept, 3);
#define guest_holds(want) cr_assert_eq((cached(r, VA_4K) ? 2 : 0) + cached(r, VA_G), want)
    guest_holds(0);
    guest_holds(3);
    inv(r, 0, DMT_INV_ALL, 0, 0); /* of level 0: not the guest's */
    guest_holds(3);
    inv(r, 0, DMT_INV_S2_CONTEXT, 4, 0);
    guest_holds(3);
    inv(r, 0, DMT_INV_S2_CONTEXT, 3, 0);
    guest_holds(0);
    inv(r, 0, DMT_INV_S2_ALL, 0, 0);
    guest_holds(0);
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 4 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    guest_holds(0);
    guest_holds(3);
    inv(r, 1, DMT_INV_ALL, 0, 0); /* own tags alone */
    guest_holds(0);
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 3 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    guest_holds(3);
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 4); /* of the new tag */
    guest_holds(0);
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 3 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    guest_holds(3);
    csr(r, 0, 0, DMT_LEVEL_S2CTL, 0); /* of every tag */
    guest_holds(0);
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 4 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    guest_holds(0);
    /* The mode is part of the tag. */
    host(r, 0, DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
    fill(r);
    host(r, 0, DMT_HOST_CTL, DMT_MODE_VIRT | DMT_HOST_CTL_AD_UPDATE_MASK);
    guest_holds(3);
    csr(r, 0, 1, DMT_LEVEL_S2CTL, 0); /* of stage 1, which VIRT does not use */
    csr(r, 0, 1, DMT_LEVEL_S2ROOT, 0);
    guest_holds(3);
    host(r, 0, DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
    holds("11111");
    rig_free(r);
}

ON_EVERY_KIND(tlb_nested)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t ept = ept_of(r), root = frame(r), mode = DMT_MODE_NESTED | DMT_HOST_CTL_AD_UPDATE_MASK;

    map(r, root, VA_4K, 0, 0x5000 | LEAF);
    csr(r, 0, 2, DMT_LEVEL_CR4, CR4_BASIC);
    csr(r, 0, 2, DMT_LEVEL_CR3, root | 1);
    csr(r, 0, 1, DMT_LEVEL_S2ROOT, ept | 5);
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 6);
    host(r, 0, DMT_HOST_SHADOW_ROOT, ept);
    host(r, 0, DMT_HOST_CTL, mode);
    cr_assert(!cached(r, VA_4K));
    cr_assert(cached(r, VA_4K));
    host(r, 0, DMT_HOST_CTL, mode); /* nothing changes */
    cr_assert(cached(r, VA_4K));
    host(r, 0, DMT_HOST_CTL, mode | DMT_HOST_CTL_FALLBACK_MASK);
    cr_assert(!cached(r, VA_4K));
    inv(r, 1, DMT_INV_S2_CONTEXT, 6, 0);
    inv(r, 0, DMT_INV_S2_CONTEXT, 5, 0);
    cr_assert(cached(r, VA_4K));
    inv(r, 1, DMT_INV_S2_CONTEXT, 5, 0);
    cr_assert(!cached(r, VA_4K));
    inv(r, 0, DMT_INV_S2_CONTEXT, 6, 0);
    cr_assert(!cached(r, VA_4K));
    inv(r, 1, DMT_INV_S2_ALL, 0, 0);
    cr_assert(!cached(r, VA_4K));
    /* Stage 1's commands are of the tag that stage 0 has now. */
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 7 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    inv(r, 1, DMT_INV_S2_ALL, 0, 0);
    inv(r, 1, DMT_INV_S2_CONTEXT, 5, 0);
    csr(r, 0, 0, DMT_LEVEL_S2ROOT, ept | 6 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    cr_assert(cached(r, VA_4K));
    csr(r, 0, 1, DMT_LEVEL_S2ROOT, ept | 8 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    cr_assert(!cached(r, VA_4K));
    csr(r, 0, 1, DMT_LEVEL_S2ROOT, ept | 5 | DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
    cr_assert(cached(r, VA_4K));
    host(r, 0, DMT_HOST_SHADOW_ROOT, ept);
    cr_assert(!cached(r, VA_4K));
    rig_free(r);
}

/* ------------------------------------------------------------ TLB against walks */

static bool same_answer(const struct dmt_result *a, const struct dmt_result *b)
{
    return a->status == b->status && a->pa == b->pa && a->size == b->size && a->rights == b->rights &&
           a->global == b->global && a->pkey == b->pkey && a->memtype == b->memtype && a->dirty == b->dirty &&
           a->ad_needed == b->ad_needed && a->error == b->error && a->addr == b->addr && a->stage == b->stage;
}

#define RANDOM_PAGES 48

static uint64_t random_va(struct rng *rng)
{
    static const uint64_t bases[] = {0, 0x40000000, 0x80000000};
    unsigned size = (unsigned)rng_below(rng, 3);
    uint64_t va = bases[size] + (rng_below(rng, RANDOM_PAGES / 3) << (12 + 9 * size));

    return va + (rng_below(rng, 1ull << (12 + 9 * size)) & ~7ull);
}

/* Tables of pages of every size with random rights, keys and kinds; the same in both rigs. */
static void random_tables(struct rig *r, struct rng *rng, uint64_t *root, uint64_t *ept)
{
    *root = frame(r);
    *ept = frame(r);
    for (unsigned size = 0; size < 3; size++) {
        static const uint64_t bases[] = {0, 0x40000000, 0x80000000};

        for (unsigned i = 0; i < RANDOM_PAGES / 3; i++) {
            uint64_t x = rng_next(rng),
                     flags = P | A | (x & (W | U | D)) | (x & 8 ? XD : 0) | (x & 16 ? G : 0);

            if ((x >> 8 & 15) == 0)
                flags &= ~P;
            flags |= (x >> 12 & 15) << 59;
            map(r, *root, bases[size] + ((uint64_t)i << (12 + 9 * size)), size,
                ((x >> 20 & 15) << (12 + 9 * size)) | flags);
        }
    }
    /* Second stage: small pages with random rights first, then large ones. */
    for (uint64_t pa = 0; pa < 4ull << 20; pa += 4096) {
        uint64_t x = rng_next(rng);

        map_ept(r, *ept, pa, 0, pa | (x >> 8 & 3 ? 1 | (x & 6) : 4)); /* some execute-only */
    }
    for (uint64_t pa = 4ull << 20; pa < 16ull << 20; pa += 4096)
        map_ept(r, *ept, pa, 0, pa | EPT_RWX);
    for (uint64_t pa = 16ull << 20; pa < 1ull << 30; pa += 2ull << 20)
        map_ept(r, *ept, pa, 1, pa | 1 | (rng_next(rng) & 6));
    for (uint64_t pa = 1ull << 30; pa < 16ull << 30; pa += 1ull << 30)
        map_ept(r, *ept, pa, 2, pa | 1 | (rng_next(rng) & 6));
}

static struct dmt_request random_request(struct rng *rng)
{
    uint64_t x = rng_next(rng);

    return (struct dmt_request){.va = random_va(rng),
                                .access = (uint8_t)rng_below(rng, 3),
                                .cpl = x & 1 ? 3 : 0,
                                .ac = x & 2,
                                .implicit = (x & 28) == 0,
                                .nonspec = true};
}

/* A random register of the level, the same in both rigs. */
static void random_registers(struct rig *r, struct rig *q, struct rng *rng, unsigned level)
{
    uint64_t cr4 = CR4_BASIC | (rng_next(rng) & (DMT_LEVEL_CR4_SMEP_MASK | DMT_LEVEL_CR4_SMAP_MASK |
                                                 DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK));
    uint64_t keys = rng_next(rng) & rng_next(rng), wp = rng_next(rng) & DMT_LEVEL_CR0_WP_MASK;
    struct rig *rigs[] = {r, q};

    for (unsigned i = 0; i < 2; i++) {
        csr(rigs[i], 0, level, DMT_LEVEL_CR4, cr4);
        csr(rigs[i], 0, level, DMT_LEVEL_CR0, wp);
        csr(rigs[i], 0, level, DMT_LEVEL_PKRU, keys & 0xffffffff);
        csr(rigs[i], 0, level, DMT_LEVEL_PKRS, keys >> 32);
    }
}

/* One machine with a TLB and one without, of one kind each: whatever is not
 * changed is answered alike, hit or walk. */
static void compare_machines(const struct machine_options *one, const struct machine_options *two,
                             unsigned mode, unsigned rounds, unsigned each, uint64_t seed)
{
    struct rig *r = rig_new(one), *q = rig_new(two);
    struct rng rng, again;
    uint64_t root, ept;

    rng_seed(&rng, seed, mode);
    again = rng;
    random_tables(r, &rng, &root, &ept);
    random_tables(q, &again, &root, &ept);
    for (unsigned i = 0; i < 2; i++) {
        struct rig *x = i ? q : r;

        if (mode == DMT_MODE_NATIVE)
            native(x, 0, root);
        else
            virt(x, 0, root, ept, 3);
    }
    for (unsigned round = 0; round < rounds; round++) {
        random_registers(r, q, &rng, mode - 1);
        for (unsigned i = 0; i < each; i++) {
            struct dmt_request rq = random_request(&rng);
            uint64_t n = ask_as(r, 0, &rq), k = ask_as(q, 0, &rq);
            const struct machine_answer *a = &r->answer[n % ANSWERS], *b = &q->answer[k % ANSWERS];

            /* A/D bits make the order matter. */
            machine_drain(r->m);
            machine_drain(q->m);
            must(same_answer(&a->result, &b->result),
                 "mode %u round %u va 0x%" PRIx64 " access %u cpl %u: status %u and %u, pa 0x%" PRIx64
                 " and 0x%" PRIx64 ", rights %u and %u, from TLB %d",
                 mode, round, rq.va, rq.access, rq.cpl, a->result.status, b->result.status, a->result.pa,
                 b->result.pa, a->result.rights, b->result.rights, a->from_tlb);
        }
    }
    for (uint64_t pfn = 0x1000; pfn < r->next; pfn++)
        must(memcmp(dmt_mem_frame(r->mem, pfn), dmt_mem_frame(q->mem, pfn), 4096) == 0, "frame 0x%" PRIx64,
             pfn);
    rig_free(r);
    rig_free(q);
}

Test(model, tlb_hits_are_what_walks_say)
{
    struct machine_options o = options_of(MODEL), p = o;

    p.tlb_sets = 0;
    for (unsigned mode = DMT_MODE_NATIVE; mode <= DMT_MODE_VIRT; mode++)
        compare_machines(&o, &p, mode, 300, 300, 1);
}

/* Both kinds, TLB in both: also that they keep the same. */
Test(live, answers_of_both_kinds)
{
    struct machine_options o = options_of(LIVE), p = options_of(MODEL);

    for (unsigned mode = DMT_MODE_NATIVE; mode <= DMT_MODE_VIRT; mode++)
        compare_machines(&o, &p, mode, 20, 60, 2);
}

/* A small TLB forgets, and never answers for another page. */
ON_EVERY_KIND(tlb_of_one_entry)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root;

    o.tlb_sets = 1;
    r = rig_new(&o);
    root = all_sizes(r);
    native(r, 0, root);
    cr_assert(!cached(r, VA_4K));
    cr_assert(cached(r, VA_4K));
    cr_assert(!cached(r, VA_4K_NEXT));
    cr_assert(!cached(r, VA_4K));
    cr_assert(!cached(r, VA_2M));
    cr_assert(cached(r, VA_4K));
    rig_free(r);
}
#undef holds

/* ------------------------------------------------------------ software beside walks */

/* What machines of both kinds do with stores and registers. */
ON_EVERY_KIND(stores_and_registers)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t at = frame(r), old;

    cr_assert(machine_store(r->m, at, 5));
    cr_assert(machine_exchange(r->m, at, 6, &old));
    cr_assert_eq(old, 5);
    cr_assert_eq(word(r, at), 6);
    cr_assert_not(machine_store(r->m, 0x7000, 5));
    cr_assert_eq(machine_stats(r->m)->stores, 2);
    csr(r, 0, 0, DMT_LEVEL_CR3, 0x5003);
    cr_assert_eq(machine_csr_read(r->m, 0, DMT_LEVEL_CR3), 0x5003);
    cr_assert_eq(machine_state(r->m, 0)->level[0].cr3, 0x5003);
    csr(r, 0, 0, DMT_LEVEL_CR3, 1ull << 60); /* refused */
    cr_assert_eq(machine_csr_read(r->m, 0, DMT_LEVEL_CR3), 0x5003);
    cr_assert_eq(machine_csr_read(r->m, 0, DMT_LEVEL_EVENT), DMT_LEVEL_EVENT_REFUSED_MASK);
    cr_assert_eq(machine_csr_read(r->m, 0, DMT_HOST_BASE + DMT_HOST_ID), DMT_HOST_ID_RESET);
    machine_csr(r->m, 0, 0x3ff8, 1); /* nothing is there */
    cr_assert_eq(machine_csr_read(r->m, 0, 0x3ff8), 0);
    cr_assert_eq(machine_stats(r->m)->csr_writes, 3);
    /* A walk into memory that is not there. */
    native(r, 0, 0x7777000);
    cr_assert_eq(get_read(r, 0)->result.status, DMT_STATUS_BUS);
    cr_assert_eq(machine_csr_read(r->m, 0, DMT_HOST_BASE + DMT_HOST_BUS_ADDR), 0x7777000);
    cr_assert_eq(machine_csr_read(r->m, 0, DMT_HOST_BASE + DMT_HOST_EVENT), DMT_HOST_EVENT_BUS_MASK);
    cr_assert_eq(machine_csr_read(r->m, 0, DMT_HOST_BASE + DMT_HOST_CNT_BUS), 1);
    rig_free(r);
}

/* Registers of set 1 from an image, with gTEAs: the state is what the hardware has made of it. */
ON_EVERY_KIND(set_load)
{
    struct machine_options o = options_of(kind);
    struct rig *r = rig_new(&o);
    uint64_t table = frame(r), image = frame(r), words[3];
    struct dmt_tea t = {.base_vpn = 0x400,
                        .pages = 512,
                        .base_pfn = 1,
                        .gtea = 1,
                        .kind = DMT_KIND_GTEA,
                        .allow = 7,
                        .valid = true};
    const struct dmt_tea *got;

    dmt_mem_write(r->mem, table + 16, 0x9000 | P);
    dmt_mem_write(r->mem, table + 24, 7);
    for (unsigned i = 0; i < 3; i++) {
        t.gtea = (uint16_t)i;
        dmt_tea_pack(&t, words);
        for (unsigned n = 0; n < 3; n++)
            dmt_mem_write(r->mem, image + 2048 + 32 * i + 8 * n, words[n]);
    }
    host(r, 0, DMT_HOST_GTEA_TABLE1, table);
    host(r, 0, DMT_HOST_GTEA_ENTRIES1, 2);
    host(r, 0, DMT_HOST_IMAGE_BASE1, image);
    host(r, 0, DMT_HOST_IMAGE_COUNT1, 2);
    csr(r, 0, 1, DMT_LEVEL_LOAD, 1);
    got = machine_state(r->m, 0)->tea[1];
    cr_assert_eq(got[0].resolution, DMT_RESOLUTION_ABSENT);
    cr_assert_eq(got[1].resolution, DMT_RESOLUTION_OK);
    cr_assert_eq(got[1].gtea_base, 9);
    cr_assert_eq(got[1].gtea_pages, 7);
    cr_assert_eq(got[2].resolution, DMT_RESOLUTION_BAD_ID);
    cr_assert(got[1].valid);
    cr_assert_not(got[3].valid);
    host(r, 0, DMT_HOST_GTEA_CMD, (uint64_t)DMT_GTEA_OP_REVOKE_ALL << DMT_HOST_GTEA_CMD_OP_LSB | 1 << 12);
    cr_assert_eq(got[1].resolution, DMT_RESOLUTION_REVOKED);
    csr(r, 0, 1, DMT_LEVEL_LOAD, 2); /* refused */
    cr_assert(got[1].valid);
    rig_free(r);
}

/* Every answer is of a mapping that was there between the request and the answer. */
ON_EVERY_KIND(stores_during_walks)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root, at, n, value = 0x5000, seen[2] = {0};
    struct rng rng;

    o.tlb_sets = 0;
    r = rig_new(&o);
    rng_seed(&rng, 3, 3);
    root = frame(r);
    at = map(r, root, VA_4K, 0, value | LEAF);
    native(r, 0, root);
    for (unsigned i = 0; i < 300; i++) {
        uint64_t next = 0x5000 + (rng_below(&rng, 2) << 12), first = r->asked;

        n = 1 + rng_below(&rng, 6);
        for (unsigned k = 0; k < n; k++)
            ask(r, 0, VA_4K, DMT_ACCESS_READ);
        machine_store(r->m, at, next | LEAF);
        inv(r, 0, DMT_INV_ADDRESS, 1, VA_4K);
        for (uint64_t k = first; k < r->asked; k++) {
            uint64_t pa = r->answer[k % ANSWERS].result.pa;

            must(r->done[k % ANSWERS], "not answered before INV");
            must(pa == value || pa == next);
            seen[pa == next && pa != value]++;
        }
        value = next;
    }
    cr_assert_gt(seen[0], 0);
    cr_assert_eq(seen[1] != 0, kind != MODEL, "no store fell into a walk");
    rig_free(r);
}

/* A write that drains comes after the answers of what was asked before it. */
ON_EVERY_KIND(writes_wait_for_walks)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root, cycles;

    o.profile = "fixed-100";
    o.tlb_sets = 0;
    r = rig_new(&o);
    root = all_sizes(r);
    native(r, 0, root);
    machine_drain(r->m);
    cycles = machine_stats(r->m)->cycles;
    for (unsigned i = 0; i < 20; i++)
        ask(r, 0, VA_4K + (i & 1 ? 0x1000 : 0), DMT_ACCESS_READ);
    if (kind != MODEL)
        cr_assert_eq(machine_in_flight(r->m, 0), 20);
    csr(r, 0, 0, DMT_LEVEL_CR3, 0x9999000 | 1); /* nothing is there */
    cr_assert_eq(machine_in_flight(r->m, 0), 0);
    for (uint64_t i = 0; i < 20; i++)
        cr_assert_eq(r->answer[i].result.pa, i & 1 ? 0x6000 : 0x5000);
    if (kind != MODEL)
        cr_assert_gt(machine_stats(r->m)->cycles, cycles + 400);
    cr_assert_eq(get_read(r, VA_4K)->result.status, DMT_STATUS_BUS);
    rig_free(r);
}

/* Time passes with stores, up to linger clocks each; none when linger is 0. */
Test(cycle, linger)
{
    for (unsigned linger = 0; linger < 100; linger += 33) {
        struct machine_options o = options_of(CYCLE);
        struct rig *r;
        uint64_t at, clocks, most = 0, least = UINT64_MAX;

        o.linger = linger;
        r = rig_new(&o);
        at = frame(r);
        for (unsigned i = 0; i < 200; i++) {
            clocks = machine_stats(r->m)->cycles;
            machine_store(r->m, at, i);
            clocks = machine_stats(r->m)->cycles - clocks;
            most = clocks > most ? clocks : most;
            least = clocks < least ? clocks : least;
        }
        cr_assert_leq(most, linger);
        cr_assert(linger ? most > linger / 2 && least < linger / 2 : !most);
        clocks = machine_stats(r->m)->cycles;
        machine_idle(r->m, 17);
        cr_assert_eq(machine_stats(r->m)->cycles - clocks, 17);
        rig_free(r);
    }
}

/* A store falls anywhere into that time: a walk finds the old entry or the new one. */
Test(cycle, linger_before_and_after)
{
    struct machine_options o = options_of(CYCLE);
    struct rig *r;
    uint64_t root, at, old = 0;

    o.linger = 100;
    o.profile = "fixed-10";
    o.tlb_sets = 0;
    r = rig_new(&o);
    root = frame(r);
    at = map(r, root, VA_4K, 0, 0x5000 | LEAF);
    native(r, 0, root);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t n = ask(r, 0, VA_4K, DMT_ACCESS_READ);

        machine_store(r->m, at, 0x6000 | LEAF);
        machine_drain(r->m);
        old += r->answer[n].result.pa == 0x5000;
        machine_store(r->m, at, 0x5000 | LEAF);
    }
    cr_assert(old > 20 && old < 180, "%" PRIu64, old);
    rig_free(r);
}

/* ------------------------------------------------------------ threads */

#define SHARED 64 /* entries that threads fight over */

/* One thread sets A, others A and D, all of one entry: none of the bits is lost. */
ON_EVERY_KIND(threads_set_bits_of_one_entry)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root, at[SHARED], value;

    o.threads = 4;
    o.tlb_sets = 0;
    r = rig_new(&o);
    root = frame(r);
    for (unsigned i = 0; i < SHARED; i++)
        at[i] = map(r, root, VA_4K + 0x1000 * i, 0, 0x5000 | P | W | U);
    for (unsigned i = 0; i < o.threads; i++)
        native(r, i, root);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < SHARED; i++) {
            for (unsigned t = 0; t < o.threads; t++)
                ask(r, t, VA_4K + 0x1000 * i, t & 1 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        }
        machine_drain(r->m);
        for (unsigned i = 0; i < SHARED; i++) {
            value = word(r, at[i]);
            must(value == (0x5000 | P | W | U | A | D), "round %u entry %u: 0x%" PRIx64, round, i, value);
            machine_store(r->m, at[i], 0x5000 | P | W | U);
        }
        for (unsigned t = 0; t < o.threads; t++)
            csr(r, t, 0, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
    }
    rig_free(r);
}

/* What software stores while walkers update is not overwritten with what was there before. */
ON_EVERY_KIND(stores_between_exclusives)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root, at, old, mine = 0;

    o.threads = 2;
    o.tlb_sets = 0;
    o.linger = 40;
    r = rig_new(&o);
    root = frame(r);
    at = map(r, root, VA_4K, 0, 0x5000 | P | W | U);
    for (unsigned i = 0; i < 2; i++)
        native(r, i, root);
    for (uint64_t i = 1; i < 1500; i++) {
        uint64_t next = (i & 0x7ff) << 52; /* bits that nobody else writes */

        ask(r, i & 1, VA_4K, i & 2 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        must(machine_exchange(r->m, at, 0x5000 | P | W | U | next, &old));
        must((old & ~(A | D)) == (0x5000 | P | W | U | mine), "store %" PRIu64 ": found 0x%" PRIx64, i, old);
        mine = next;
    }
    rig_free(r);
}

/* Threads have registers, TLBs and answers of their own. */
ON_EVERY_KIND(threads_of_their_own)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root[4];

    o.threads = 4;
    r = rig_new(&o);
    cr_assert_eq(machine_threads(r->m), 4);
    for (unsigned t = 0; t < 4; t++) {
        root[t] = frame(r);
        map(r, root[t], VA_4K, 0, (0x5000 + 0x1000 * t) | LEAF | D);
        native(r, t, root[t]);
    }
    for (unsigned round = 0; round < 3; round++) {
        uint64_t first = r->asked;

        for (unsigned i = 0; i < 40; i++)
            ask(r, i & 3, VA_4K + 8 * i, DMT_ACCESS_WRITE);
        machine_drain(r->m);
        for (uint64_t i = 0; i < 40; i++) {
            const struct machine_answer *a = &r->answer[(first + i) % ANSWERS];

            cr_assert_eq(a->thread, i & 3);
            cr_assert_eq(a->result.pa, 0x5000 + 0x1000 * (i & 3) + 8 * i);
            if (round == 1 || (round && (i & 3) != 2))
                cr_assert(a->from_tlb);
            if (i == 2 && round != 1)
                cr_assert_not(a->from_tlb);
        }
        if (round == 1)
            csr(r, 2, 0, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
    }
    rig_free(r);
}

/* A register is changed under a stream of accesses, on one thread of two: answers switch with each write. */
ON_EVERY_KIND(register_changes_under_accesses)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root, tea[2], words[3];
    struct dmt_tea t = {.base_vpn = VA_2M >> 12, .pages = 512, .allow = 7, .valid = true};

    o.threads = 2;
    o.tlb_sets = 0;
    r = rig_new(&o);
    root = frame(r);
    map(r, root, VA_2M, 0, 0x3000 | LEAF);
    for (unsigned i = 0; i < 2; i++) {
        tea[i] = frame(r);
        dmt_mem_write(r->mem, tea[i], (0x5000 + 0x1000 * i) | LEAF);
        native(r, i, root);
    }
    for (unsigned round = 0; round < 100; round++) {
        t.base_pfn = tea[round & 1] >> 12;
        dmt_tea_pack(&t, words);
        for (unsigned step = 0; step < 3; step++) {
            /* Word 1 takes the register away, word 0 puts the new one there. */
            uint64_t was = step < 1 && round ? 0x5000 + 0x1000 * (~round & 1) : 0x3000, first = r->asked;
            uint64_t other = round ? 0x5000 : 0x3000;

            for (unsigned i = 0; i < 12; i++)
                ask(r, i & 1, VA_2M, DMT_ACCESS_READ);
            csr(r, 0, 0, DMT_LEVEL_TEA_WORD0(0) + 8 * (step < 2 ? step + 1 : 0),
                words[step < 2 ? step + 1 : 0]);
            for (uint64_t i = first; i < first + 12; i += 2) {
                must(r->done[i % ANSWERS]);
                must(r->answer[i % ANSWERS].result.pa == was, "round %u step %u: pa 0x%" PRIx64, round, step,
                     r->answer[i % ANSWERS].result.pa);
            }
            machine_drain(r->m);
            for (uint64_t i = first + 1; i < first + 12; i += 2)
                must(r->answer[i % ANSWERS].result.pa == other);
        }
        must(get_read(r, VA_2M)->result.pa == 0x5000 + 0x1000 * (round & 1));
        if (!round) { /* the other thread keeps the first one for ever */
            for (unsigned n = 3; n--;)
                csr(r, 1, 0, DMT_LEVEL_TEA_WORD0(3) + 8 * n, words[n]);
        }
    }
    cr_assert_gt(machine_stats(r->m)->covered, 0);
    cr_assert_gt(machine_stats(r->m)->stage_ok[0], machine_stats(r->m)->stage_tea[0]);
    rig_free(r);
}

/* More than a thread's line holds: the caller waits, nothing gets lost. */
ON_EVERY_KIND(long_lines)
{
    struct machine_options o = options_of(kind);
    struct rig *r;
    uint64_t root;

    o.profile = "fixed-200";
    o.tlb_sets = 0;
    r = rig_new(&o);
    root = all_sizes(r);
    native(r, 0, root);
    for (unsigned i = 0; i < 3 * MACHINE_WINDOW; i++) {
        ask(r, 0, VA_1G + 0x1000 * i, DMT_ACCESS_READ);
        cr_assert_leq(machine_in_flight(r->m, 0), MACHINE_WINDOW + 16);
    }
    machine_drain(r->m);
    for (uint64_t i = 0; i < r->asked; i++)
        cr_assert_eq(r->answer[i].result.pa, 0x40000000 + 0x1000 * i);
    cr_assert_eq(machine_in_flight(r->m, 0), 0);
    rig_free(r);
}

/* A run is a function of its options and of what is called. */
Test(live, repeatable)
{
    uint64_t cycles[3], clocks[3];

    for (unsigned i = 0; i < 3; i++) {
        struct machine_options o = options_of(LIVE);
        struct rig *r;
        uint64_t root, at;

        o.threads = 2;
        o.seed = i < 2 ? 5 : 6;
        o.profile = "reorder";
        r = rig_new(&o);
        root = frame(r);
        at = map(r, root, VA_4K, 0, 0x5000 | LEAF);
        native(r, 0, root);
        native(r, 1, root);
        for (unsigned k = 0; k < 100; k++) {
            ask(r, k & 1, VA_4K, DMT_ACCESS_READ);
            machine_store(r->m, at, (0x5000 + 0x1000 * (k & 7)) | LEAF);
            csr(r, k >> 1 & 1, 0, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
        }
        machine_drain(r->m);
        cycles[i] = machine_stats(r->m)->cycles;
        clocks[i] = machine_stats(r->m)->clocks;
        rig_free(r);
    }
    cr_assert_eq(cycles[0], cycles[1]);
    cr_assert_eq(clocks[0], clocks[1]);
    cr_assert_neq(cycles[0], cycles[2]);
}

/* Every configuration and every memory, while software stores and flushes. */
Test(live, every_configuration_and_profile)
{
    for (const struct dut_ops *const *d = dut_rtl; *d; d++) {
        for (const char *const *p = cosim_profiles; *p; p++) {
            struct machine_options o = options_of(LIVE);
            struct rig *r;
            uint64_t root, at[16];

            o.dut = *d;
            o.config = NULL;
            o.threads = 2;
            o.profile = *p;
            r = rig_new(&o);
            root = frame(r);
            for (unsigned i = 0; i < 16; i++)
                at[i] = map(r, root, VA_4K + 0x1000 * i, 0, (0x5000 + 0x1000 * i) | P | W | U);
            native(r, 0, root);
            native(r, 1, root);
            for (unsigned i = 0; i < 160; i++) {
                ask(r, i & 1, VA_4K + 0x1000 * (i % 16), i & 4 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
                if (i % 8 == 0)
                    machine_store(r->m, at[i / 8 % 16], (0x5000 + 0x1000 * (i / 8 % 16)) | P | W | U);
                if (i % 8 == 4)
                    csr(r, i / 8 & 1, 0, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
            }
            machine_drain(r->m);
            for (uint64_t i = 0; i < 160; i++) {
                const struct dmt_result *x = &r->answer[i].result;

                must(x->status == DMT_STATUS_BUS || x->pa == 0x5000 + 0x1000 * (i % 16), "%s %s: %" PRIu64,
                     (*d)->name, *p, i);
            }
            rig_free(r);
        }
    }
}

/* ------------------------------------------------------------ what is wrong is reported */

/* The cycle model with bits of a pin wrong in one cycle. */
static struct {
    unsigned instance; /* which one of those made is at fault */
    unsigned made;
    uint64_t from, mask;
    bool hang;
} fault;

struct faulty {
    void *model;
    struct dmt_out out;
    uint64_t now;
    bool mine;
};

static void *faulty_create(const struct dmt_config *config)
{
    struct faulty *f = calloc(1, sizeof(*f));

    f->model = dut_cycle.create(config);
    f->mine = fault.made++ == fault.instance;
    return f;
}

static void faulty_destroy(void *self)
{
    struct faulty *f = self;

    dut_cycle.destroy(f->model);
    free(f);
}

static const struct dmt_out *faulty_out(void *self)
{
    struct faulty *f = self;

    f->out = *dut_cycle.out(f->model);
    if (f->mine && f->now >= fault.from) {
        if (f->out.resp_valid)
            f->out.resp_pa ^= fault.mask;
        if (fault.hang)
            f->out.m_rready = 0;
    }
    return &f->out;
}

static void faulty_edge(void *self, const struct dmt_in *in, bool rst)
{
    struct faulty *f = self;
    struct dmt_in mine = *in;

    if (f->mine && fault.hang && f->now >= fault.from)
        mine.m_rvalid = 0;
    dut_cycle.edge(f->model, &mine, rst);
    f->now++;
}

static bool no_waves(void *self, const char *path)
{
    (void)self;
    (void)path;
    return false;
}

static void no_close(void *self)
{
    (void)self;
}

static const struct dut_ops faulty = {
    .name = "faulty",
    .create = faulty_create,
    .destroy = faulty_destroy,
    .out = faulty_out,
    .edge = faulty_edge,
    .trace_open = no_waves,
    .trace_close = no_close,
};

static void must_be_reported(bool lockstep, const char *one, const char *two)
{
    struct machine_options o = options_of(CYCLE);
    struct rig *r;
    uint64_t root;

    o.dut = &faulty;
    o.threads = 2;
    o.lockstep = lockstep;
    o.tlb_sets = 0;
    fault.instance = 1;
    fault.made = 0;
    r = rig_new(&o);
    root = all_sizes(r);
    native(r, 0, root);
    native(r, 1, root);
    for (unsigned i = 0; i < 100; i++)
        ask(r, i & 1, VA_1G + 0x1000 * i, DMT_ACCESS_READ);
    machine_drain(r->m);
    cr_assert_not(machine_ok(r->m));
    cr_assert_eq(machine_stats(r->m)->divergences, 1);
    /* Nothing goes on after it, and nothing is waited for. */
    machine_access(r->m, 0, &(struct dmt_request){.va = 0}, 0);
    csr(r, 1, 0, DMT_LEVEL_CR3, 0);
    machine_csr_read(r->m, 0, DMT_LEVEL_CR3);
    machine_drain(r->m);
    cr_assert_eq(machine_stats(r->m)->divergences, 1);
    fflush(r->o.log);
    cr_assert(strstr(r->log, "divergence: seed 1 configuration default profile uniform cycle "), "%s",
              r->log);
    cr_assert_eq(strstr(r->log, "divergence"), r->log);
    cr_assert_null(strstr(r->log + 1, "divergence"));
    cr_assert(strstr(r->log, " thread 1\n"), "%s", r->log);
    cr_assert(strstr(r->log, one), "%s", r->log);
    cr_assert(strstr(r->log, two), "%s", r->log);
    cr_assert(strstr(r->log, "last events of the bus:"));
    cr_assert_eq(strstr(r->log, "contexts (cycle model):") != NULL, lockstep);
    cr_assert(strstr(r->log, "replay with waves: build/dmt sys --seed 1 --waves build/waves/default-1.fst"
                             " --waves-from "),
              "%s", r->log);
    machine_free(r->m);
    dmt_mem_free(r->mem);
    fclose(r->o.log);
    free(r->log);
    free(r);
}

Test(report, difference_of_the_models)
{
    fault.from = 150;
    fault.mask = 1;
    must_be_reported(true, "signal resp_pa: expected 0x", "(the two models differ)");
}

Test(report, wrong_answer_without_a_model_beside)
{
    fault.from = 150;
    fault.mask = 1 << 12;
    must_be_reported(false, "signal resp_pa: expected 0x", "(not the answer on the trace port)");
}

Test(report, hang)
{
    fault.from = 150;
    fault.hang = true;
    must_be_reported(false, "signal resp_valid: expected 0x",
                     "(nothing moves while something is outstanding)");
}

Test(report, waves)
{
    struct machine_options o = options_of(LIVE);
    char path[64], view[64];
    struct rig *r;
    struct stat st;
    uint64_t root;

    snprintf(path, sizeof(path), "/tmp/dmt-machine-%d.fst", (int)getpid());
    snprintf(view, sizeof(view), "/tmp/dmt-machine-%d.gtkw", (int)getpid());
    o.waves = path;
    o.waves_first = 10;
    o.waves_last = 60;
    r = rig_new(&o);
    root = all_sizes(r);
    native(r, 0, root);
    get_read(r, VA_4K);
    machine_idle(r->m, 100);
    rig_free(r);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_gt(st.st_size, 0);
    cr_assert_eq(stat(view, &st), 0);
    unlink(path);
    unlink(view);
}

Test(report, options_out_of_range)
{
    struct dmt_mem *mem = dmt_mem_new();
    struct machine_options o = options_of(LIVE);

    o.threads = 0;
    cr_assert_null(machine_new(&o, mem));
    cr_assert_str_eq(cosim_error(), "a machine has 1 to 8 threads");
    o.threads = 9;
    cr_assert_null(machine_new(&o, mem));
    o.threads = 2;
    o.tlb_sets = 3;
    cr_assert_null(machine_new(&o, mem));
    cr_assert_str_eq(cosim_error(), "the TLB has 3 entries a page size: not a power of two");
    o.tlb_sets = 4;
    o.profile = "fixed-0";
    cr_assert_null(machine_new(&o, mem));
    cr_assert_str_eq(cosim_error(), "fixed-0: no such memory profile");
    o.profile = NULL;
    o.config = &dut_rtl_find("smallest")->config;
    cr_assert_null(machine_new(&o, mem));
    cr_assert_str_eq(cosim_error(), "rtl-default: cannot be made with these parameters");
    o.config = NULL;
    o.waves = "/nowhere/x.fst";
    cr_assert_null(machine_new(&o, mem));
    cr_assert_str_eq(cosim_error(), "/nowhere/x.fst: cannot write waves");
    dmt_mem_free(mem);
}

/* ------------------------------------------------------------ platform */

ON_EVERY_KIND(platform)
{
    struct machine_options o = options_of(kind);
    struct dmt_buddy *b = dmt_buddy_new(0x100, 0x200);
    struct dmt_platform *p;
    struct dmt_grant g[4];
    struct rig *r;
    uint64_t frames[4] = {5, 0, 0x1000, 7}, pfn;

    o.threads = 2;
    r = rig_new(&o);
    p = machine_platform_new(r->m, b);
    cr_assert_not_null(p);
    cr_assert_eq(p->level, 0);
    cr_assert_eq(p->threads, 2);
    cr_assert_eq(p->registers, 16);
    cr_assert_eq(p->maxpa, 52);
    cr_assert_eq(p->images, 32);
    cr_assert_not(dmt_buddy_is_free(b, p->image_pa >> 12));
    cr_assert_eq(machine_csr_read(r->m, 1, DMT_HOST_BASE + DMT_HOST_IMAGE_BASE0), p->image_pa);
    cr_assert_eq(machine_state(r->m, 1)->mode, DMT_MODE_NATIVE);
    /* Frames come into being as they are written, and only the buddy's. */
    cr_assert_eq(p->load(p->user, 0x180008), 0);
    p->store(p->user, 0x180008, 5);
    cr_assert_eq(p->exchange(p->user, 0x180008, 6), 5);
    cr_assert_eq(p->load(p->user, 0x180008), 6);
    p->clear(p->user, 0x180);
    cr_assert_eq(p->load(p->user, 0x180008), 0);
    cr_assert_null(dmt_mem_frame(r->mem, 0x181));
    p->clear(p->user, 0x181);
    cr_assert_not_null(dmt_mem_frame(r->mem, 0x181));
    p->store(p->user, 0x99000, 5);
    cr_assert_eq(p->load(p->user, 0x99000), 0);
    cr_assert_eq(p->exchange(p->user, 0x99000, 5), 0);
    p->csr(p->user, 1, DMT_LEVEL_PKRU, 5);
    cr_assert_eq(machine_state(r->m, 1)->level[0].pkru, 5);
    /* Whole or not at all; pieces in order; no more than there is room for. */
    cr_assert_eq(p->tea_alloc(p->user, frames, 4, g, 4), 2);
    cr_assert_eq(g[0].request, 0);
    cr_assert_eq(g[0].frames, 5);
    cr_assert_eq(g[1].request, 3);
    cr_assert_eq(g[1].frames, 7);
    cr_assert_eq(g[1].skip, 0);
    cr_assert_not(g[1].gtea);
    for (unsigned i = 0; i < 7; i++)
        cr_assert_not_null(dmt_mem_frame(r->mem, g[1].pfn + i));
    pfn = g[1].pfn;
    p->store(p->user, (pfn + 8) << 12, 5);
    cr_assert(p->tea_extend(p->user, &g[1], 3));
    cr_assert_eq(g[1].frames, 10);
    cr_assert_eq(g[1].pfn, pfn);
    cr_assert_eq(p->load(p->user, (pfn + 8) << 12), 0);
    cr_assert_not(dmt_buddy_is_free(b, pfn + 9));
    cr_assert_not(p->tea_extend(p->user, &g[0], 3)); /* the next one is there */
    cr_assert_eq(g[0].frames, 5);
    p->tea_release(p->user, &g[1], 2, 8);
    cr_assert_not(dmt_buddy_is_free(b, pfn + 1));
    cr_assert(dmt_buddy_is_free(b, pfn + 2));
    cr_assert(dmt_buddy_is_free(b, pfn + 9));
    p->tea_release(p->user, &g[1], 0, 2);
    p->tea_release(p->user, &g[0], 0, 5);
    cr_assert_eq(p->tea_alloc(p->user, (uint64_t[]){5, 5}, 2, g, 1), 1);
    p->tea_release(p->user, &g[0], 0, 5);
    machine_platform_free(p);
    cr_assert_eq(dmt_buddy_available(b), dmt_buddy_frames(b));
    rig_free(r);
    dmt_buddy_delete(b);
}

/* A frame that is cleared is cleared for walkers' monitors, too; without set load there are no images. */
Test(model, platform_of_the_smallest)
{
    struct machine_options o = options_of(MODEL);
    struct dmt_buddy *b = dmt_buddy_new(0x100, 4);
    struct dmt_platform *p;
    struct rig *r;

    o.config = &dut_rtl_find("smallest")->config;
    r = rig_new(&o);
    p = machine_platform_new(r->m, b);
    cr_assert_eq(p->images, 0);
    cr_assert_eq(p->registers, 4);
    machine_platform_free(p);
    rig_free(r);
    dmt_buddy_delete(b);
}
