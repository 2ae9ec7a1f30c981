/* SPDX-License-Identifier: Apache-2.0
 * Every rule of docs/specification.md on the architectural model. Tests named
 * Pn_ mirror a bug that a shipped page walker had (list in docs). */
#include "dmt/arch.h"
#include "dmt/regs.h"
#include "rules.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#define E_P (1ull << 0)
#define E_W (1ull << 1)
#define E_U (1ull << 2)
#define E_A (1ull << 5)
#define E_D (1ull << 6)
#define E_PS (1ull << 7)
#define E_G (1ull << 8)
#define E_XD (1ull << 63)
#define FULL (E_P | E_W | E_U | E_A | E_D)

#define VA 0x00005a5ab6c7d8e8ull
#define MAXPA 46
#define NONE (~0u)

/* Where the tables of these tests are, index level. */
static const uint64_t table_pa[6] = { 0, 0x14000, 0x13000, 0x12000, 0x11000, 0x10000 };
static const uint64_t page_pa[4] = { 0, 0x0777000, 0x1600000, 0x80000000 };
#define TEA_PA(sz) (0x100000ull + 0x10000 * (sz))

#define WORDS 64
#define LOG 128

/* A memory of a few words that answers DECERR elsewhere, with an exclusive monitor, a log and faults. */
struct bench {
    struct dmt_state st;
    struct dmt_request rq;
    struct dmt_result r;
    struct { uint64_t pa, value; } word[WORDS];
    unsigned words;
    struct dmt_ref ref[LOG];  /* reads */
    unsigned reads;
    struct dmt_ref surplus[2]; /* named after the last read of a fetch */
    unsigned spare;
    struct dmt_ref wref[LOG]; /* writes, lost and failed ones too */
    uint64_t wdata[LOG];
    unsigned writes;
    uint64_t monitor; /* address held by the exclusive monitor, 0 for none */
    bool no_monitor;
    unsigned fail_read, fail_write; /* number of the read and write to fail, or NONE */
    enum dmt_resp fail_resp;
    uint64_t fail_data; /* on the bus beside the error */
    /* Another processor: just before read (write) number `at`, set pa to value. */
    struct { bool write; unsigned at; uint64_t pa, value; } poke[8];
    unsigned pokes;
    /* Paging-structure cache hooks. */
    bool use_start;
    uint8_t start_level, start_rights;
    uint64_t start_table;
    unsigned starts;
    struct { uint8_t level, rights; uint64_t table; } fill[LOG];
    unsigned fills;
};

static uint64_t *word_at(struct bench *b, uint64_t pa)
{
    for (unsigned i = 0; i < b->words; i++)
        if (b->word[i].pa == pa)
            return &b->word[i].value;
    return NULL;
}

static void put(struct bench *b, uint64_t pa, uint64_t value)
{
    uint64_t *w = word_at(b, pa);

    if (!w) {
        cr_assert_lt(b->words, WORDS);
        b->word[b->words].pa = pa;
        w = &b->word[b->words++].value;
    }
    *w = value;
}

static void other_processor(struct bench *b, bool write, unsigned at)
{
    for (unsigned i = 0; i < b->pokes; i++) {
        if (b->poke[i].write == write && b->poke[i].at == at) {
            put(b, b->poke[i].pa, b->poke[i].value);
            if (b->monitor == b->poke[i].pa)
                b->monitor = 0;
        }
    }
}

static enum dmt_resp do_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct bench *b = user;
    unsigned n = b->reads;

    cr_assert_lt(n, LOG);
    b->ref[b->reads++] = *ref;
    other_processor(b, false, n);
    if (n == b->fail_read) {
        *data = b->fail_data;
        return b->fail_resp;
    }
    uint64_t *w = word_at(b, ref->addr);
    *data = w ? *w : FULL;
    if (!w)
        return DMT_RESP_DECERR;
    if (ref->exclusive && !b->no_monitor) {
        b->monitor = ref->addr;
        return DMT_RESP_EXOKAY;
    }
    return DMT_RESP_OKAY;
}

static enum dmt_resp do_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct bench *b = user;
    unsigned n = b->writes;

    cr_assert_lt(n, LOG);
    b->wref[n] = *ref;
    b->wdata[n] = data;
    b->writes++;
    cr_assert_eq(memcmp(&b->ref[b->reads - 1], ref, sizeof *ref), 0, "a write follows the read of its entry");
    other_processor(b, true, n);
    if (n == b->fail_write)
        return b->fail_resp;
    if (b->monitor != ref->addr)
        return DMT_RESP_OKAY;
    b->monitor = 0;
    put(b, ref->addr, data);
    return DMT_RESP_EXOKAY;
}

static bool do_start(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table, uint8_t *rights)
{
    struct bench *b = user;

    cr_assert(stage == 0 && va == b->rq.va);
    b->starts++;
    if (b->start_level == 0)
        return false;
    *level = b->start_level;
    *table = b->start_table;
    *rights = b->start_rights;
    return true;
}

static void do_fill(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights)
{
    struct bench *b = user;

    cr_assert(stage == 0 && va == b->rq.va);
    b->fill[b->fills].level = level;
    b->fill[b->fills].table = table;
    b->fill[b->fills++].rights = rights;
}

static void do_surplus(void *user, const struct dmt_ref *ref)
{
    struct bench *b = user;

    cr_assert_lt(b->spare, 2);
    cr_assert(b->reads > 0 && ref->stage == b->ref[b->reads - 1].stage);
    b->surplus[b->spare++] = *ref;
}

/* Translate from a clean log; memory stays as it is. */
static const struct dmt_result *go(struct bench *b)
{
    struct dmt_port port = { .user = b, .read = do_read, .write = do_write, .surplus = do_surplus };

    if (b->use_start) {
        port.start = do_start;
        port.fill = do_fill;
    }
    b->reads = b->writes = b->starts = b->fills = b->spare = 0;
    b->monitor = 0;
    memset(&b->r, 0xa5, sizeof b->r);
    dmt_arch_translate(&b->st, &b->rq, &port, &b->r);
    cr_assert_eq(b->r.reads, b->reads);
    return &b->r;
}

static uint64_t entry_pa(unsigned level)
{
    return table_pa[level] + 8 * (VA >> (9 * level + 3) & 511);
}

static uint64_t *entry(struct bench *b, unsigned level)
{
    return word_at(b, entry_pa(level));
}

/* A supervisor read of VA, mapped by a leaf of `leaf` level under `levels` levels, everything allowed. */
static void setup(struct bench *b, unsigned levels, unsigned leaf)
{
    memset(b, 0, sizeof *b);
    b->fail_read = b->fail_write = NONE;
    dmt_state_reset(&b->st, MAXPA);
    b->st.mode = DMT_MODE_NATIVE;
    b->st.level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
    b->st.level[0].cr3 = table_pa[levels];
    b->st.level[0].cr4 = levels == 5 ? DMT_LEVEL_CR4_LA57_MASK : 0;
    b->st.level[0].efer = DMT_LEVEL_EFER_NXE_MASK;
    b->rq = (struct dmt_request){ .va = VA, .access = DMT_ACCESS_READ, .nonspec = true };
    for (unsigned level = levels; level > leaf; level--)
        put(b, entry_pa(level), table_pa[level - 1] | FULL);
    put(b, entry_pa(leaf), page_pa[leaf] | FULL | (leaf > 1 ? E_PS : 0));
}

static uint64_t pa_of(unsigned leaf)
{
    return page_pa[leaf] | (VA & ((1ull << (9 * leaf + 3)) - 1));
}

/* A register of size sz in set 0 over the page of VA and its two neighbours; the entry's address. */
static uint64_t cover(struct bench *b, unsigned i, unsigned sz)
{
    uint64_t page = VA >> 12 >> 9 * sz;

    b->st.tea[0][i] = (struct dmt_tea){
        .base_vpn = (page - 1) << 9 * sz, .pages = 3ull << 9 * sz, .base_pfn = TEA_PA(sz) >> 12,
        .sz = (uint8_t)sz, .kind = DMT_KIND_PA, .allow = 7, .valid = true,
    };
    return TEA_PA(sz) + 8;
}

/* cover(), and a leaf that allows everything there. */
static uint64_t *cover_leaf(struct bench *b, unsigned i, unsigned sz)
{
    uint64_t pa = cover(b, i, sz);

    put(b, pa, page_pa[sz + 1] | FULL | (sz ? E_PS : 0));
    return word_at(b, pa);
}

static void expect_ok(const struct bench *b, uint64_t pa, uint8_t size)
{
    cr_assert_eq(b->r.status, DMT_STATUS_OK, "status %u error %" PRIx64, b->r.status, b->r.error);
    cr_assert_eq(b->r.pa, pa, "pa %" PRIx64 ", expected %" PRIx64, b->r.pa, pa);
    cr_assert_eq(b->r.size, size);
    cr_assert(b->r.error == 0 && b->r.addr == 0 && b->r.stage == 0);
}

/* Fields that carry no value are zero. */
static void expect_no_answer_fields(const struct dmt_result *r)
{
    cr_assert(r->pa == 0 && r->size == 0 && r->rights == 0 && !r->global && r->pkey == 0 && r->memtype == 0
              && !r->dirty && !r->ad_needed);
}

static void expect_pf(const struct bench *b, uint32_t error)
{
    cr_assert_eq(b->r.status, DMT_STATUS_PF, "status %u", b->r.status);
    cr_assert_eq(b->r.error, error, "error %" PRIx64 ", expected %x", b->r.error, error);
    cr_assert_eq(b->r.addr, b->rq.va);
    cr_assert_eq(b->r.stage, 0);
    expect_no_answer_fields(&b->r);
}

static void expect_bus(const struct bench *b, uint64_t addr, uint32_t error)
{
    cr_assert_eq(b->r.status, DMT_STATUS_BUS, "status %u", b->r.status);
    cr_assert_eq(b->r.error, error, "error %" PRIx64 ", expected %x", b->r.error, error);
    cr_assert_eq(b->r.addr, addr, "addr %" PRIx64 ", expected %" PRIx64, b->r.addr, addr);
    cr_assert_eq(b->r.stage, 0);
    expect_no_answer_fields(&b->r);
}

static void expect_path(const struct bench *b, uint8_t path, uint8_t index, uint32_t refs, uint32_t reads,
                        uint32_t updates)
{
    cr_assert_eq(b->r.path[0], path, "path %u, expected %u", b->r.path[0], path);
    cr_assert_eq(b->r.index[0], index, "index %u, expected %u", b->r.index[0], index);
    cr_assert_eq(b->r.refs, refs, "refs %u, expected %u", b->r.refs, refs);
    cr_assert_eq(b->r.reads, reads, "reads %u, expected %u", b->r.reads, reads);
    cr_assert_eq(b->r.updates, updates, "updates %u, expected %u", b->r.updates, updates);
    for (unsigned k = 1; k < DMT_SETS_MAX; k++)
        cr_assert(b->r.path[k] == DMT_PATH_NOT_USED && b->r.index[k] == 0);
}

static void expect_ref(const struct bench *b, unsigned n, uint64_t addr, unsigned level, bool tea,
                       bool exclusive)
{
    cr_assert_lt(n, b->reads);
    const struct dmt_ref *ref = &b->ref[n];
    cr_assert(ref->addr == addr && ref->level == level && ref->tea == tea && ref->exclusive == exclusive
              && ref->stage == 0,
              "read %u: %" PRIx64 " level %u tea %d exclusive %d", n, ref->addr, ref->level, ref->tea,
              ref->exclusive);
}

static uint64_t rng_state;

static uint64_t rnd(void)
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* ---------------------------------------------------------------- section 2: requests and answers */

Test(mode_off, passes_through_below_maxpa)
{
    static struct bench b;

    for (unsigned maxpa = 32; maxpa <= 52; maxpa++) {
        setup(&b, 4, 1);
        cover_leaf(&b, 0, DMT_SIZE_4K);
        b.st.mode = DMT_MODE_OFF;
        b.st.maxpa = (uint8_t)maxpa;
        b.rq.va = (1ull << maxpa) - 1;
        go(&b);
        expect_ok(&b, b.rq.va, DMT_SIZE_4K);
        cr_assert(b.r.rights == 7 && b.r.dirty && !b.r.global && !b.r.pkey && !b.r.memtype && !b.r.ad_needed);
        expect_path(&b, DMT_PATH_NOT_USED, 0, 0, 0, 0);
        for (unsigned bit = maxpa; bit < 64; bit++) {
            b.rq.va = 1ull << bit;
            go(&b);
            cr_assert_eq(b.r.status, DMT_STATUS_GP);
            cr_assert_eq(b.r.addr, b.rq.va);
            cr_assert_eq(b.r.error, 0);
            expect_no_answer_fields(&b.r);
            expect_path(&b, DMT_PATH_NOT_USED, 0, 0, 0, 0);
        }
    }
}

Test(answer, fields_of_ok)
{
    static struct bench b;

    for (unsigned leaf = 1; leaf <= 3; leaf++) {
        unsigned pat = leaf == 1 ? 7 : 12;

        for (unsigned n = 0; n < 8; n++) {
            setup(&b, 4, leaf);
            *entry(&b, leaf) |= (uint64_t)(n & 3) << 3 | (uint64_t)(n >> 2) << pat;
            go(&b);
            expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
            cr_assert_eq(b.r.memtype, n, "leaf level %u: memtype %u, expected %u", leaf, b.r.memtype, n);
        }
        for (unsigned key = 0; key < 16; key++) {
            setup(&b, 4, leaf);
            *entry(&b, leaf) |= (uint64_t)key << 59;
            go(&b);
            expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
            cr_assert_eq(b.r.pkey, key);
        }
        for (unsigned n = 0; n < 4; n++) {
            setup(&b, 4, leaf);
            *entry(&b, leaf) |= n & 1 ? E_G : 0;
            b.st.level[0].cr4 |= n & 2 ? DMT_LEVEL_CR4_PGE_MASK : 0;
            go(&b);
            cr_assert_eq(b.r.global, n == 3);
        }
        setup(&b, 4, leaf);
        *entry(&b, 4) |= E_G | 15ull << 59 | 3 << 3;
        b.st.level[0].cr4 |= DMT_LEVEL_CR4_PGE_MASK;
        go(&b);
        expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
        cr_assert(!b.r.global && !b.r.pkey && !b.r.memtype, "only the leaf's count");
        *entry(&b, leaf) &= ~E_D;
        go(&b);
        cr_assert(!b.r.dirty);
    }
}

Test(answer, rights_are_anded_over_all_levels)
{
    static struct bench b;
    static const uint64_t bit[3] = { E_W, E_U, E_XD };

    for (unsigned level = 1; level <= 5; level++) {
        for (unsigned i = 0; i < 3; i++) {
            setup(&b, 5, 1);
            *entry(&b, level) ^= bit[i];
            go(&b);
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            cr_assert_eq(b.r.rights, 7 & ~(1 << i), "level %u right %u", level, i);
        }
    }
    setup(&b, 4, 1);
    b.st.level[0].efer = 0;
    go(&b);
    cr_assert_eq(b.r.rights, 7, "without NXE everything may be executed");
}

/* ---------------------------------------------------------------- section 3: order */

Test(canonical, four_and_five_levels)
{
    static struct bench b;

    for (unsigned levels = 4; levels <= 5; levels++) {
        unsigned low = levels == 4 ? 47 : 56;

        for (unsigned high_half = 0; high_half <= 1; high_half++) {
            uint64_t good = high_half ? VA | ~0ull << low : VA;

            setup(&b, levels, 1);
            b.rq.va = good;
            go(&b);
            cr_assert_neq(b.r.status, DMT_STATUS_GP);
            for (unsigned bit = low; bit < 64; bit++) {
                b.rq.va = good ^ 1ull << bit;
                go(&b);
                cr_assert_eq(b.r.status, DMT_STATUS_GP, "levels %u bit %u", levels, bit);
                cr_assert_eq(b.r.addr, b.rq.va);
                cr_assert(b.r.error == 0 && b.r.stage == 0);
                expect_no_answer_fields(&b.r);
                expect_path(&b, DMT_PATH_NOT_USED, 0, 0, 0, 0);
            }
            b.rq.va = good ^ 1ull << (low - 1);
            go(&b);
            cr_assert_neq(b.r.status, DMT_STATUS_GP, "bit %u is free", low - 1);
        }
    }
}

Test(canonical, decided_before_any_register)
{
    static struct bench b;

    setup(&b, 4, 1);
    b.rq.va = VA | 1ull << 60;
    cover_leaf(&b, 0, DMT_SIZE_4K);
    b.st.tea[0][0].base_vpn = b.rq.va >> 12;
    b.st.tea[0][1] = b.st.tea[0][0];
    go(&b);
    cr_assert_eq(b.r.status, DMT_STATUS_GP);
    cr_assert(!b.r.multi_hit);
    expect_path(&b, DMT_PATH_NOT_USED, 0, 0, 0, 0);
}

/* ---------------------------------------------------------------- section 4: match */

Test(match, first_and_last_byte)
{
    static struct bench b;
    static const uint64_t first[] = { 0, 1, VA >> 12, 0x12345, (VA >> 12 & ~511ull) + 7 };
    static const uint64_t count[] = { 1, 2, 511, 512, 513, 262144, 262145 };

    for (unsigned sz = 0; sz < 3; sz++) {
        for (unsigned i = 0; i < sizeof first / sizeof *first; i++) {
            for (unsigned j = 0; j < sizeof count / sizeof *count; j++) {
                struct dmt_tea t = {
                    .base_vpn = first[i], .pages = count[j], .sz = (uint8_t)sz, .valid = true,
                };
                uint64_t begin = first[i] << 12, end = (first[i] + count[j]) << 12;
                bool multi = false;

                cr_assert_eq(rule_match(&t, 1, sz, begin, &multi), 0);
                cr_assert_eq(rule_match(&t, 1, sz, begin + 4095, &multi), 0);
                cr_assert_eq(rule_match(&t, 1, sz, end - 1, &multi), 0);
                cr_assert_eq(rule_match(&t, 1, sz, end, &multi), -1);
                cr_assert_eq(rule_match(&t, 1, sz, begin - 1, &multi), -1);
                cr_assert_eq(rule_match(&t, 1, (sz + 1) % 3, begin, &multi), -1, "other size");
                cr_assert(!multi);
            }
        }
    }
    /* The same through a translation. */
    setup(&b, 4, 1);
    cover_leaf(&b, 0, DMT_SIZE_4K);
    b.st.tea[0][0].base_vpn = VA >> 12;
    b.st.tea[0][0].pages = 1;
    put(&b, TEA_PA(0), page_pa[1] | FULL);
    for (unsigned i = 0; i < 2; i++) {
        b.rq.va = i ? VA | 0xfff : VA & ~0xfffull;
        go(&b);
        expect_ok(&b, page_pa[1] | (i ? 0xfff : 0), DMT_SIZE_4K);
        expect_path(&b, DMT_PATH_TEA, 0, 1, 1, 0);
        b.rq.va += i ? 1 : -1ull;
        go(&b);
        cr_assert_eq(b.r.path[0], DMT_PATH_RADIX);
    }
}

/* The last page of the address space and the whole of it. */
Test(match, ends_of_the_address_space)
{
    struct dmt_tea t = { .base_vpn = (1ull << 52) - 1, .pages = 1, .valid = true };
    bool multi = false;

    cr_assert_eq(rule_match(&t, 1, 0, ~0ull, &multi), 0);
    cr_assert_eq(rule_match(&t, 1, 0, ~0xfffull - 1, &multi), -1);
    cr_assert_eq(rule_match(&t, 1, 0, 0, &multi), -1, "no wrap");
    t.base_vpn = 0;
    t.pages = 1ull << 52;
    cr_assert_eq(rule_match(&t, 1, 0, ~0ull, &multi), 0);
    cr_assert_eq(rule_match(&t, 1, 0, 0, &multi), 0);
}

/* All 52 bits are compared: flipping any one leaves a register of one page. */
Test(match, no_aliasing)
{
    struct dmt_tea t = { .base_vpn = VA >> 12, .pages = 1, .valid = true };
    bool multi = false;

    cr_assert_eq(rule_match(&t, 1, 0, VA, &multi), 0);
    for (unsigned bit = 12; bit < 64; bit++)
        cr_assert_eq(rule_match(&t, 1, 0, VA ^ 1ull << bit, &multi), -1, "bit %u", bit);
}

Test(match, entry_address_of_unaligned_base)
{
    static struct bench b;

    /* 2 MiB entries of an area that begins 7 pages into its first 2 MiB: entries begin there too. */
    setup(&b, 4, 2);
    cover(&b, 0, DMT_SIZE_2M);
    struct dmt_tea *t = &b.st.tea[0][0];
    t->base_vpn = 0x5a5ab0007;
    t->pages = 0x100000;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t vpn = t->base_vpn + (uint64_t[]){ 511, 512, 0x6c00 }[i];

        b.rq.va = vpn << 12;
        put(&b, TEA_PA(1) + 8 * (uint64_t[]){ 0, 1, 0x36 }[i], page_pa[2] | FULL | E_PS);
        go(&b);
        expect_ok(&b, page_pa[2] | (b.rq.va & 0x1fffff), DMT_SIZE_2M);
        expect_ref(&b, 0, TEA_PA(1) + 8 * (uint64_t[]){ 0, 1, 0x36 }[i], 2, true, false);
    }
}

Test(match, P19_entry_addresses_are_exact)
{
    rng_state = 19;
    for (unsigned i = 0; i < 100000; i++) {
        unsigned sz = (unsigned)(rnd() % 3), level = 1 + (unsigned)(rnd() % 5);
        uint64_t base_vpn = rnd() >> 12, base_pfn = rnd() >> 24;
        struct dmt_tea t = { .base_vpn = base_vpn >> rnd() % 52, .base_pfn = base_pfn, .sz = (uint8_t)sz };
        uint64_t va = (t.base_vpn << 12) + (rnd() >> (1 + rnd() % 60)), table = rnd() & 0xffffffffff000;
        static const uint64_t page[3] = { 0x1000, 0x200000, 0x40000000 };
        static const uint64_t span[6] = { 0, 0x1000, 0x200000, 0x40000000, 0x8000000000, 0x1000000000000 };

        if (va >> 12 < t.base_vpn)
            continue;
        cr_assert_eq(rule_tea_entry(&t, va),
                     t.base_pfn * 4096 + (va / 4096 - t.base_vpn) / (page[sz] / 4096) * 8);
        cr_assert_eq(rule_entry_addr(table, level, va), table + va / span[level] % 512 * 8);
    }
}

Test(match, lowest_index_wins_and_multi_hit_is_raised)
{
    static struct bench b;

    setup(&b, 4, 1);
    for (unsigned i = 0; i < 2; i++) {
        unsigned index = i ? 3 : 63;

        cover_leaf(&b, index, DMT_SIZE_4K);
        b.st.tea[0][index].base_pfn += i;
        put(&b, TEA_PA(0) + 0x1000 * i + 8, (page_pa[1] + 0x1000 * i) | FULL);
    }
    go(&b);
    expect_ok(&b, pa_of(1) + 0x1000, DMT_SIZE_4K);
    expect_path(&b, DMT_PATH_TEA, 3, 1, 1, 0);
    cr_assert(b.r.multi_hit);

    b.st.tea[0][3].valid = false;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    expect_path(&b, DMT_PATH_TEA, 63, 1, 1, 0);
    cr_assert(!b.r.multi_hit, "a register without P does not match");
}

/* A second register of a size that does not decide is a multi-hit too; the event stays after a restart. */
Test(match, multi_hit_of_any_fetched_size)
{
    static struct bench b;

    setup(&b, 4, 1);
    put(&b, cover(&b, 0, DMT_SIZE_2M), 0);
    cover(&b, 1, DMT_SIZE_2M);
    cover_leaf(&b, 2, DMT_SIZE_4K);
    go(&b);
    expect_path(&b, DMT_PATH_TEA, 2, 1, 2, 0);
    cr_assert(b.r.multi_hit);
    *word_at(&b, TEA_PA(0) + 8) = 0;
    go(&b);
    expect_path(&b, DMT_PATH_RESTART, 0, 5, 6, 0);
    cr_assert(b.r.multi_hit);
}

Test(match, different_sizes_may_overlap)
{
    static struct bench b;

    setup(&b, 4, 1);
    cover_leaf(&b, 0, DMT_SIZE_4K);
    cover_leaf(&b, 1, DMT_SIZE_2M);
    cover_leaf(&b, 2, DMT_SIZE_1G);
    go(&b);
    cr_assert(!b.r.multi_hit);
}

Test(match, other_sets_are_not_looked_at)
{
    static struct bench b;

    setup(&b, 4, 1);
    cover_leaf(&b, 0, DMT_SIZE_4K);
    b.st.tea[1][0] = b.st.tea[2][0] = b.st.tea[0][0];
    b.st.tea[0][0].valid = false;
    go(&b);
    expect_path(&b, DMT_PATH_RADIX, 0, 4, 4, 0);
}

/* ---------------------------------------------------------------- section 4: refusal */

Test(refusal, reasons)
{
    const struct dmt_tea good = { .base_vpn = 5, .pages = 8, .base_pfn = 1, .allow = 7, .valid = true };
    struct dmt_tea t = good;

    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_NONE);
    cr_assert_eq(dmt_tea_refusal(&t, 0, true, MAXPA), DMT_REFUSAL_RESERVED);
    t.sz = 3;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_SZ);
    t = good;
    for (unsigned set = 0; set < 3; set++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            bool fine = kind == DMT_KIND_PA || (kind == DMT_KIND_GTEA && set > 0);

            t.kind = (uint8_t)kind;
            cr_assert_eq(dmt_tea_refusal(&t, set, false, MAXPA), fine ? DMT_REFUSAL_NONE : DMT_REFUSAL_KIND);
        }
    }
    t = good;
    t.pages = 0;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_EMPTY);
}

/* Each reason wins over all that are tested after it. */
Test(refusal, first_reason_in_order)
{
    /* Beyond 2^52, and the TEA beyond MAXPA; with no pages at all neither is asked. */
    const uint64_t last = (1ull << 52) - 1;
    struct dmt_tea t = { .base_vpn = last, .pages = 0, .base_pfn = last, .sz = 3, .kind = 2 };

    cr_assert_eq(dmt_tea_refusal(&t, 0, true, MAXPA), DMT_REFUSAL_RESERVED);
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_SZ);
    t.sz = 0;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_KIND);
    t.kind = DMT_KIND_GTEA;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_KIND);
    t.kind = DMT_KIND_PA;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_EMPTY);
    t.pages = 2;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_WRAP);
    t.pages = 1;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_WIDTH);
    t.base_pfn = 0;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, MAXPA), DMT_REFUSAL_NONE);
}

Test(refusal, wrap_boundary)
{
    /* With 1 GiB entries even the whole space needs only 2^37 bytes. */
    struct dmt_tea t = { .base_vpn = 0, .pages = 1ull << 52, .sz = DMT_SIZE_1G };

    cr_assert_eq(dmt_tea_refusal(&t, 0, false, 52), DMT_REFUSAL_NONE);
    t.base_vpn = 1;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, 52), DMT_REFUSAL_WRAP);
    for (unsigned bit = 53; bit < 64; bit++) {
        t.base_vpn = 0;
        t.pages = 1ull << bit;
        cr_assert_eq(dmt_tea_refusal(&t, 0, false, 52), DMT_REFUSAL_WRAP, "pages 2^%u", bit);
    }
    t.base_vpn = (1ull << 52) - 1;
    t.pages = ~0ull;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, 52), DMT_REFUSAL_WRAP, "the sum passes 2^64");
}

Test(refusal, width_boundary)
{
    for (unsigned maxpa = 32; maxpa <= 52; maxpa++) {
        uint64_t frames = 1ull << (maxpa - 12);

        for (unsigned sz = 0; sz < 3; sz++) {
            uint64_t page = 1ull << 9 * sz;
            /* One frame of entries, ending exactly at 2^MAXPA; one entry more; one frame higher. */
            struct dmt_tea t = { .pages = 512 * page, .base_pfn = frames - 1, .sz = (uint8_t)sz };

            cr_assert_eq(dmt_tea_refusal(&t, 0, false, maxpa), DMT_REFUSAL_NONE);
            t.pages += 1;
            cr_assert_eq(dmt_tea_refusal(&t, 0, false, maxpa), DMT_REFUSAL_WIDTH);
            t.pages = 1;
            cr_assert_eq(dmt_tea_refusal(&t, 0, false, maxpa), DMT_REFUSAL_NONE);
            t.base_pfn = frames;
            cr_assert_eq(dmt_tea_refusal(&t, 0, false, maxpa), DMT_REFUSAL_WIDTH);
            t.base_pfn = (1ull << 52) - 1;
            cr_assert_eq(dmt_tea_refusal(&t, 0, false, maxpa), DMT_REFUSAL_WIDTH, "no overflow of 64 bits");
            t.kind = DMT_KIND_GTEA;
            cr_assert_eq(dmt_tea_refusal(&t, 1, false, maxpa), DMT_REFUSAL_NONE, "not asked of a gTEA");
        }
    }
    /* The largest area with the largest entries' number: 2^52 * 8 bytes pass every width. */
    struct dmt_tea t = { .pages = 1ull << 52 };
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, 52), DMT_REFUSAL_WIDTH);
    t.pages = 1ull << 49;
    cr_assert_eq(dmt_tea_refusal(&t, 0, false, 52), DMT_REFUSAL_NONE);
}

Test(registers, pack)
{
    struct dmt_tea t = { .base_vpn = 0xabcdef0123456, .pages = 0x123456789, .base_pfn = 0x1fedcba987654,
                         .gtea = 0xabc, .sz = DMT_SIZE_1G, .kind = DMT_KIND_GTEA, .allow = 1, .valid = true };
    uint64_t word[3];

    dmt_tea_pack(&t, word);
    cr_assert_eq(word[0], 0xabcdef0123456000 | 1 << 7 | 1 << 3 | 2 << 1 | 1);
    cr_assert_eq(word[1], 0x1fedcba987654abc);
    cr_assert_eq(word[2], 0x123456789);
    t.allow = 6;
    t.valid = false;
    t.sz = 3;
    t.kind = 3;
    dmt_tea_pack(&t, word);
    cr_assert_eq(word[0], 0xabcdef0123456000 | 1 << 6 | 1 << 5 | 3 << 3 | 3 << 1);
}

Test(registers, reset)
{
    struct dmt_state st, zero;

    memset(&st, 0xff, sizeof st);
    memset(&zero, 0, sizeof zero);
    dmt_state_reset(&st, 44);
    cr_assert(st.mode == DMT_MODE_OFF && st.maxpa == 44 && st.ad_update);
    cr_assert_eq(memcmp(st.level, zero.level, sizeof zero.level), 0);
    cr_assert_eq(memcmp(st.tea, zero.tea, sizeof zero.tea), 0);
}

/* ---------------------------------------------------------------- section 5: TEA fetch */

Test(tea, one_reference_for_each_size)
{
    static struct bench b;

    for (unsigned sz = 0; sz < 3; sz++) {
        setup(&b, 4, 1);
        cover_leaf(&b, 9, sz);
        *entry(&b, 4) = 0;
        go(&b);
        expect_ok(&b, pa_of(sz + 1), (uint8_t)sz);
        expect_path(&b, DMT_PATH_TEA, 9, 1, 1, 0);
        expect_ref(&b, 0, TEA_PA(sz) + 8, sz + 1, true, false);
        cr_assert_eq(b.ref[0].index, 9);
        cr_assert_eq(b.r.rights, 7);
    }
}

/* T1, T2: looked at are the matching sizes from the largest down to the one that decides, as one reference;
 * the smaller ones, which would decide as well, are not. */
Test(tea, T1_matching_sizes_are_looked_at_largest_first)
{
    static struct bench b;

    for (unsigned sizes = 1; sizes < 8; sizes++) {
        for (unsigned decider = 0; decider < 3; decider++) {
            unsigned n = 0;

            if (!(sizes >> decider & 1))
                continue;
            setup(&b, 4, 1);
            for (unsigned sz = 0; sz < 3; sz++)
                if (sizes >> sz & 1)
                    *cover_leaf(&b, 10 + sz, sz) &= sz > decider ? ~E_P : ~0ull;
            go(&b);
            expect_ok(&b, pa_of(decider + 1), (uint8_t)decider);
            for (unsigned sz = 3; sz-- > decider;) {
                if (sizes >> sz & 1) {
                    expect_ref(&b, n, TEA_PA(sz) + 8, sz + 1, true, false);
                    cr_assert_eq(b.ref[n].beside, n > 0);
                    cr_assert_eq(b.ref[n++].index, 10 + sz);
                }
            }
            expect_path(&b, DMT_PATH_TEA, (uint8_t)(10 + decider), 1, n, 0);
            n = 0;
            for (unsigned sz = decider; sz-- > 0;) {
                if (sizes >> sz & 1) {
                    cr_assert_lt(n, b.spare);
                    cr_assert_eq(b.surplus[n].addr, TEA_PA(sz) + 8);
                    cr_assert(b.surplus[n].tea && b.surplus[n].beside && !b.surplus[n].exclusive);
                    cr_assert_eq(b.surplus[n].level, sz + 1);
                    cr_assert_eq(b.surplus[n++].index, 10 + sz);
                }
            }
            cr_assert_eq(b.spare, n);
        }
    }
}

/* What one size holds, and whether it decides. */
enum holds { LEAF, ABSENT, NO_PS, SLVERR, DECERR, RESERVED, DENIED, HOLDS };

/* T2: every mixture of answers; the largest size that decides is the answer, and the last one looked at. */
Test(tea, T2_largest_that_decides)
{
    static struct bench b;

    for (unsigned mix = 0; mix < HOLDS * HOLDS * HOLDS; mix++) {
        enum holds h[3] = { mix % HOLDS, mix / HOLDS % HOLDS, mix / HOLDS / HOLDS };
        unsigned errors = 0, reads;
        int decider = -1;

        /* A PTE decides whatever bit 7 is. One error a run is enough. */
        for (unsigned sz = 0; sz < 3; sz++)
            errors += h[sz] == SLVERR || h[sz] == DECERR;
        if (errors > 1 || h[0] == NO_PS)
            continue;
        setup(&b, 4, 1);
        for (unsigned sz = 0; sz < 3; sz++) {
            uint64_t *e = cover_leaf(&b, 20 + sz, sz);

            if (h[sz] == ABSENT)
                *e &= ~E_P;
            if (h[sz] == NO_PS)
                *e &= ~E_PS;
            if (h[sz] == RESERVED)
                *e |= 1ull << MAXPA;
            if (h[sz] == DENIED)
                b.st.tea[0][20 + sz].allow = 0;
            if (h[sz] != ABSENT && h[sz] != NO_PS)
                decider = (int)sz;
        }
        b.rq.cpl = 3;
        reads = decider < 0 ? 3 : 3 - (unsigned)decider;
        /* One of a size that is not looked at would be the walk's. */
        if (decider >= 0 && (h[decider] == SLVERR || h[decider] == DECERR)) {
            b.fail_read = reads - 1;
            b.fail_resp = h[decider] == SLVERR ? DMT_RESP_SLVERR : DMT_RESP_DECERR;
        }
        go(&b);
        if (decider >= 0 && h[decider] == LEAF) {
            expect_ok(&b, pa_of((unsigned)decider + 1), (uint8_t)decider);
            expect_path(&b, DMT_PATH_TEA, (uint8_t)(20 + decider), 1, reads, 0);
        } else if (decider >= 0 && (h[decider] == SLVERR || h[decider] == DECERR)) {
            expect_bus(&b, TEA_PA(decider) + 8, h[decider] == SLVERR ? DMT_BUS_ERROR_READ_SLVERR
                                                                     : DMT_BUS_ERROR_READ_DECERR);
            expect_path(&b, DMT_PATH_TEA, (uint8_t)(20 + decider), 1, reads, 0);
        } else {
            /* T3, T4: the answer of the x86 walk. */
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            expect_path(&b, DMT_PATH_RESTART, 0, 5, reads + 4, 0);
        }
        cr_assert_eq(b.spare, 3 - reads);
        cr_assert_eq(b.writes, 0);
    }
}

Test(tea, T2_PS_at_4K_is_PAT)
{
    static struct bench b;

    setup(&b, 4, 1);
    *cover_leaf(&b, 0, DMT_SIZE_4K) |= E_PS;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    expect_path(&b, DMT_PATH_TEA, 0, 1, 1, 0);
    cr_assert_eq(b.r.memtype, 4);
}

/* T3: not present in the TEA: the x86 walk's fault or success, never the TEA's. */
Test(tea, T3_restart_decides_the_fault)
{
    static struct bench b;

    setup(&b, 4, 1);
    *cover_leaf(&b, 0, DMT_SIZE_4K) = 0;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    expect_path(&b, DMT_PATH_RESTART, 0, 5, 5, 0);
    expect_ref(&b, 1, entry_pa(4), 4, false, false);
    *entry(&b, 1) |= 1ull << 50;
    go(&b);
    expect_pf(&b, 0x9);
    expect_path(&b, DMT_PATH_RESTART, 0, 5, 5, 0);
    *entry(&b, 2) = 0;
    go(&b);
    expect_pf(&b, 0);
    expect_path(&b, DMT_PATH_RESTART, 0, 4, 4, 0);
}

Test(tea, T4_allow_bits_are_anded)
{
    static struct bench b;
    static const struct { uint8_t access, cpl, needs; } kind[] = {
        { DMT_ACCESS_READ, 0, 0 }, { DMT_ACCESS_WRITE, 0, 1 }, { DMT_ACCESS_EXECUTE, 0, 4 },
        { DMT_ACCESS_READ, 3, 2 }, { DMT_ACCESS_WRITE, 3, 3 }, { DMT_ACCESS_EXECUTE, 3, 6 },
    };

    for (unsigned i = 0; i < 6; i++) {
        for (uint8_t allow = 0; allow < 8; allow++) {
            for (uint8_t leaf = 0; leaf < 8; leaf++) {
                setup(&b, 4, 1);
                uint64_t *e = cover_leaf(&b, 0, DMT_SIZE_4K);
                *e &= ~(E_W | E_U);
                *e |= (uint64_t)(leaf & 3) << 1 | (leaf & 4 ? 0 : E_XD);
                b.st.tea[0][0].allow = allow;
                b.rq.access = kind[i].access;
                b.rq.cpl = kind[i].cpl;
                go(&b);
                expect_ok(&b, pa_of(1), DMT_SIZE_4K);
                if ((kind[i].needs & allow & leaf) == kind[i].needs) {
                    expect_path(&b, DMT_PATH_TEA, 0, 1, 1, 0);
                    cr_assert_eq(b.r.rights, allow & leaf);
                } else {
                    expect_path(&b, DMT_PATH_RESTART, 0, 5, 5, 0);
                    cr_assert_eq(b.r.rights, 7);
                }
            }
        }
    }
}

/* Reserved bits of the deciding leaf, each alone: the fetch does not count, and nothing is written. */
Test(tea, T4_reserved_bits_restart)
{
    static struct bench b;

    for (unsigned sz = 0; sz < 3; sz++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            bool high = bit >= MAXPA && bit <= 51, low = bit >= 13 && bit < 12 + 9 * sz;

            setup(&b, 4, 1);
            b.st.level[0].efer = 0;
            uint64_t *e = cover_leaf(&b, 0, sz);
            *e &= ~(E_A | E_D);
            *e |= 1ull << bit;
            go(&b);
            if (high || low || bit == 63) {
                expect_ok(&b, pa_of(1), DMT_SIZE_4K);
                expect_path(&b, DMT_PATH_RESTART, 0, 5, 5, 0);
                cr_assert_eq(b.writes, 0, "P14: no A/D write before the check");
            } else {
                cr_assert_eq(b.r.path[0], DMT_PATH_TEA, "size %u bit %u", sz, bit);
            }
        }
    }
}

/* Bits 20:13 of the 2M and 29:13 of the 1G leaf, and protection keys, through the registers. */
Test(tea, T4_protection_key_restarts)
{
    static struct bench b;

    setup(&b, 4, 1);
    *cover_leaf(&b, 0, DMT_SIZE_4K) |= 5ull << 59;
    b.st.level[0].cr4 |= DMT_LEVEL_CR4_PKE_MASK;
    b.st.level[0].pkru = 1u << 10;
    go(&b);
    expect_path(&b, DMT_PATH_RESTART, 0, 5, 5, 0);
    b.st.level[0].pkru = ~(3u << 10) & ~3u;
    go(&b);
    expect_path(&b, DMT_PATH_TEA, 0, 1, 1, 0);
    cr_assert_eq(b.r.pkey, 5);
}

Test(tea, T5_upper_accessed_bits_stay)
{
    static struct bench b;

    setup(&b, 4, 1);
    uint64_t *e = cover_leaf(&b, 0, DMT_SIZE_4K);
    for (unsigned level = 2; level <= 4; level++)
        *entry(&b, level) &= ~E_A;
    *e &= ~(E_A | E_D);
    b.rq.access = DMT_ACCESS_WRITE;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    expect_path(&b, DMT_PATH_TEA, 0, 1, 2, 1);
    cr_assert_eq(*e, page_pa[1] | FULL);
    for (unsigned level = 2; level <= 4; level++)
        cr_assert_eq(*entry(&b, level) & E_A, 0);
}

/* P29: with a register whose allow bits are the upper levels' rights, every outcome is that of the walk. */
Test(tea, P29_random_outcomes_equal_the_walk)
{
    static struct bench b, c;
    unsigned hits = 0;

    rng_state = 29;
    for (unsigned i = 0; i < 200000; i++) {
        unsigned leaf = 1 + (unsigned)(rnd() % 3);
        uint64_t noise = (rnd() & rnd() & ~(0xffffffffffull << 12)) ^ (rnd() % 8 ? 0 : 1ull << rnd() % 64);
        uint8_t allow = 7;

        setup(&b, 4, leaf);
        b.st.level[0].cr0 = rnd() & DMT_LEVEL_CR0_WP_MASK;
        b.st.level[0].cr4 = rnd() & ~DMT_LEVEL_CR4_LA57_MASK;
        b.st.level[0].pkru = (uint32_t)rnd();
        b.st.level[0].pkrs = (uint32_t)rnd();
        b.rq.access = (uint8_t)(rnd() % 3);
        b.rq.cpl = (uint8_t)(rnd() % 4);
        b.rq.ac = rnd() & 1;
        b.rq.implicit = rnd() % 4 == 0;
        b.rq.nonspec = rnd() % 4;
        b.st.ad_update = rnd() % 4;
        for (unsigned level = leaf + 1; level <= 4; level++) {
            uint64_t drop = (rnd() % 8 ? 0 : E_W) | (rnd() % 8 ? 0 : E_U), xd = rnd() % 8 ? 0 : E_XD;

            *entry(&b, level) = (*entry(&b, level) & ~drop) | xd;
            allow &= (uint8_t)~(drop >> 1 | (xd ? 4 : 0));
        }
        *entry(&b, leaf) ^= noise & ~((leaf > 1) * E_PS);
        c = b;
        cover(&c, 0, leaf - 1);
        put(&c, TEA_PA(leaf - 1) + 8, *entry(&c, leaf));
        c.st.tea[0][0].allow = allow;
        go(&b);
        go(&c);
        cr_assert_eq(b.r.status, c.r.status);
        cr_assert(b.r.pa == c.r.pa && b.r.size == c.r.size && b.r.rights == c.r.rights
                  && b.r.global == c.r.global && b.r.pkey == c.r.pkey && b.r.memtype == c.r.memtype
                  && b.r.dirty == c.r.dirty && b.r.ad_needed == c.r.ad_needed && b.r.error == c.r.error
                  && b.r.addr == c.r.addr, "case %u", i);
        if (c.r.path[0] == DMT_PATH_TEA && c.r.status == DMT_STATUS_OK) {
            cr_assert_eq(*word_at(&c, TEA_PA(leaf - 1) + 8), *entry(&b, leaf), "case %u: same A/D bits", i);
            hits++;
        }
    }
    cr_assert_gt(hits, 20000);
}

/* ---------------------------------------------------------------- section 6: x86 walk */

Test(walk, four_and_five_levels_three_sizes)
{
    static struct bench b;

    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned leaf = 1; leaf <= 3; leaf++) {
            setup(&b, levels, leaf);
            go(&b);
            expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
            expect_path(&b, DMT_PATH_RADIX, 0, levels - leaf + 1, levels - leaf + 1, 0);
            for (unsigned i = 0; i <= levels - leaf; i++)
                expect_ref(&b, i, entry_pa(levels - i), levels - i, false, false);
            cr_assert(b.r.dirty && !b.r.ad_needed && b.r.rights == 7);
        }
    }
}

Test(walk, cr3_low_and_high_bits_are_not_the_root)
{
    static struct bench b;

    setup(&b, 4, 1);
    b.st.level[0].cr3 |= 0xfff | 1ull << 63;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
}

Test(walk, other_levels_registers_do_not_matter)
{
    static struct bench b;

    setup(&b, 4, 1);
    memset(&b.st.level[1], 0xff, sizeof b.st.level[1]);
    memset(&b.st.level[2], 0xff, sizeof b.st.level[2]);
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    cr_assert_eq(b.reads, 4);
}

Test(walk, not_present_at_each_level)
{
    static struct bench b;

    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned leaf = 1; leaf <= 3; leaf++) {
            for (unsigned level = leaf; level <= levels; level++) {
                /* All other bits set, reserved ones too: P=0 is all that counts. */
                for (unsigned all = 0; all < 2; all++) {
                    setup(&b, levels, leaf);
                    *entry(&b, level) = all ? ~E_P : 0;
                    b.rq.access = DMT_ACCESS_WRITE;
                    b.rq.cpl = 3;
                    go(&b);
                    expect_pf(&b, 0x6);
                    expect_path(&b, DMT_PATH_RADIX, 0, levels - level + 1, levels - level + 1, 0);
                }
            }
        }
    }
}

/* What toggling one bit of one entry must do, from the tables of the SDM. */
enum effect { RESERVED_BIT, NOT_PRESENT, OTHER_FRAME, SIZE_BIT, IGNORED };

static enum effect effect_of(unsigned bit, unsigned level, unsigned leaf, unsigned maxpa, bool nxe)
{
    if (bit == 0)
        return NOT_PRESENT;
    if (bit == 63)
        return nxe ? IGNORED : RESERVED_BIT;
    if (bit >= maxpa && bit <= 51)
        return RESERVED_BIT;
    if (bit == 7)
        return level >= 4 ? RESERVED_BIT : level == 1 ? IGNORED : SIZE_BIT;
    if (level == leaf && leaf == 3 && bit >= 13 && bit <= 29)
        return RESERVED_BIT;
    if (level == leaf && leaf == 2 && bit >= 13 && bit <= 20)
        return RESERVED_BIT;
    if (level == leaf && leaf > 1 && bit == 12)
        return IGNORED;
    return bit >= 12 && bit <= 51 ? OTHER_FRAME : IGNORED;
}

/* P13: every bit 0..63 of every entry toggled alone, for every depth, leaf, width and NXE. */
Test(walk, P13_every_bit_of_every_level_alone)
{
    static struct bench b;
    static const uint8_t widths[] = { 32, 33, 39, 40, 46, 51, 52 };
    unsigned seen[IGNORED + 1] = { 0 };

    for (unsigned levels = 4; levels <= 5; levels++)
        for (unsigned leaf = 1; leaf <= 3; leaf++)
            for (unsigned level = leaf; level <= levels; level++)
                for (unsigned bit = 0; bit < 64; bit++)
                    for (unsigned v = 0; v < 2 * sizeof widths; v++) {
                        unsigned maxpa = widths[v / 2];
                        enum effect effect = effect_of(bit, level, leaf, maxpa, v & 1);

                        setup(&b, levels, leaf);
                        b.st.maxpa = (uint8_t)maxpa;
                        b.st.level[0].efer = v & 1 ? DMT_LEVEL_EFER_NXE_MASK : 0;
                        *entry(&b, level) ^= 1ull << bit;
                        uint64_t before = *entry(&b, level);
                        go(&b);
                        seen[effect]++;
                        switch (effect) {
                        case RESERVED_BIT:
                            expect_pf(&b, 0x9);
                            cr_assert_eq(b.r.refs, levels - level + 1, "not at the entry's own reference");
                            break;
                        case NOT_PRESENT:
                            expect_pf(&b, 0);
                            break;
                        case OTHER_FRAME:
                            if (level == leaf)
                                expect_ok(&b, pa_of(leaf) ^ 1ull << bit, (uint8_t)(leaf - 1));
                            else
                                expect_bus(&b, entry_pa(level - 1) ^ 1ull << bit,
                                           DMT_BUS_ERROR_READ_DECERR);
                            break;
                        case SIZE_BIT: /* P15_size_bit_of_each_level */
                            break;
                        case IGNORED:
                            expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
                            break;
                        }
                        if (b.r.status != DMT_STATUS_OK)
                            cr_assert_eq(*entry(&b, level), before, "a fault wrote");
                    }
    for (unsigned i = 0; i <= IGNORED; i++)
        cr_assert_gt(seen[i], 0);
}

/* Reserved bits are only looked at in entries that are read. */
Test(walk, P13_reserved_below_a_fault_is_not_seen)
{
    static struct bench b;

    setup(&b, 4, 1);
    *entry(&b, 3) = 0;
    *entry(&b, 2) = ~0ull;
    go(&b);
    expect_pf(&b, 0);
    /* And a reserved bit beats a denied access. */
    setup(&b, 4, 1);
    *entry(&b, 1) = (*entry(&b, 1) & ~E_U) | 1ull << 51;
    b.rq.cpl = 3;
    go(&b);
    expect_pf(&b, 0xd);
}

/* P14: a misaligned large page faults as reserved before any A/D write; bit 12 is PAT. */
Test(walk, P14_misaligned_large_page)
{
    static struct bench b;

    for (unsigned leaf = 2; leaf <= 3; leaf++) {
        for (unsigned bit = 12; bit < 9 * leaf + 3; bit++) {
            setup(&b, 4, leaf);
            *entry(&b, leaf) = (*entry(&b, leaf) | 1ull << bit) & ~(E_A | E_D);
            *entry(&b, 4) &= ~E_A;
            b.rq.access = DMT_ACCESS_WRITE;
            go(&b);
            if (bit == 12) {
                expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
                cr_assert_eq(b.r.memtype, 4);
            } else {
                expect_pf(&b, 0xb);
                cr_assert_eq(b.writes, 0);
                cr_assert_eq(b.reads, 4 - leaf + 1);
            }
        }
    }
}

/* P15: PS ends the walk at levels 3 and 2, is PAT at level 1, and is reserved at 4 and 5. */
Test(walk, P15_size_bit_of_each_level)
{
    static struct bench b;

    for (unsigned level = 1; level <= 5; level++) {
        setup(&b, 5, 1);
        if (level == 2 || level == 3)
            *entry(&b, level) = page_pa[level] | FULL;
        *entry(&b, level) |= E_PS;
        go(&b);
        if (level >= 4) {
            expect_pf(&b, 0x9);
        } else {
            expect_ok(&b, pa_of(level), (uint8_t)(level - 1));
            cr_assert_eq(b.reads, 6 - level);
            cr_assert_eq(b.r.memtype, level == 1 ? 4 : 0);
        }
    }
    /* Level 2 and 3 without PS go on: never deeper than level 1. */
    setup(&b, 5, 1);
    go(&b);
    cr_assert_eq(b.reads, 5);
    cr_assert_eq(b.ref[4].level, 1);
}

/* P16: every frame bit below MAXPA reaches the bus and the physical address. */
Test(walk, P16_all_physical_address_bits)
{
    static struct bench b;

    for (unsigned maxpa = 32; maxpa <= 52; maxpa++) {
        uint64_t top = 1ull << (maxpa - 1);

        for (unsigned leaf = 1; leaf <= 3; leaf++) {
            setup(&b, 4, leaf);
            b.st.maxpa = (uint8_t)maxpa;
            *entry(&b, leaf) |= top;
            go(&b);
            expect_ok(&b, pa_of(leaf) | top, (uint8_t)(leaf - 1));
            if (maxpa < 52) {
                *entry(&b, leaf) ^= top | top << 1;
                go(&b);
                expect_pf(&b, 0x9);
            }
        }
        setup(&b, 4, 1);
        b.st.maxpa = (uint8_t)maxpa;
        b.st.level[0].cr3 |= top;
        put(&b, entry_pa(4) | top, table_pa[3] | top | FULL);
        put(&b, entry_pa(3) | top, table_pa[2] | top | FULL);
        put(&b, entry_pa(2) | top, table_pa[1] | top | FULL);
        put(&b, entry_pa(1) | top, page_pa[1] | top | FULL);
        go(&b);
        expect_ok(&b, pa_of(1) | top, DMT_SIZE_4K);
        for (unsigned i = 0; i < 4; i++)
            expect_ref(&b, i, entry_pa(4 - i) | top, 4 - i, false, false);
        cover(&b, 0, DMT_SIZE_4K);
        b.st.tea[0][0].base_pfn |= top >> 12;
        put(&b, (TEA_PA(0) + 8) | top, page_pa[1] | top | FULL);
        go(&b);
        expect_ok(&b, pa_of(1) | top, DMT_SIZE_4K);
        expect_ref(&b, 0, (TEA_PA(0) + 8) | top, 1, true, false);
    }
}

/* ---------------------------------------------------------------- section 6: paging-structure caches */

Test(caches, walk_starts_where_the_cache_says)
{
    static struct bench b;

    for (uint8_t level = 1; level <= 3; level++) {
        for (uint8_t rights = 0; rights < 8; rights++) {
            setup(&b, 5, 1);
            b.use_start = true;
            b.start_level = level;
            b.start_table = table_pa[level];
            b.start_rights = rights;
            for (unsigned upper = level + 1u; upper <= 5; upper++)
                *entry(&b, upper) = 0;
            go(&b);
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            expect_path(&b, DMT_PATH_RADIX, 0, level, level, 0);
            expect_ref(&b, 0, entry_pa(level), level, false, false);
            cr_assert_eq(b.r.rights, rights);
            cr_assert_eq(b.starts, 1);
            b.rq.access = DMT_ACCESS_WRITE;
            go(&b);
            cr_assert_eq(b.r.status, rights & 1 ? DMT_STATUS_OK : DMT_STATUS_PF);
        }
    }
}

Test(caches, miss_starts_at_the_root)
{
    static struct bench b;

    setup(&b, 5, 1);
    b.use_start = true;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    expect_path(&b, DMT_PATH_RADIX, 0, 5, 5, 0);
    cr_assert_eq(b.starts, 1);
}

/* Non-leaf entries are offered from the root down as long as every one had A=1. */
Test(caches, fill_only_under_accessed_ancestors)
{
    static struct bench b;

    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned clear = 1; clear <= levels; clear++) {
            setup(&b, levels, 1);
            b.use_start = true;
            b.st.ad_update = false;
            *entry(&b, clear) &= ~E_A;
            *entry(&b, 3) &= ~E_W;
            go(&b);
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            unsigned n = 0;
            for (unsigned level = 4; level > clear && level >= 2; level--, n++) {
                cr_assert_eq(b.fill[n].level, level);
                cr_assert_eq(b.fill[n].table, table_pa[level - 1]);
                cr_assert_eq(b.fill[n].rights, level <= 3 ? 6 : 7);
            }
            cr_assert_eq(b.fills, n, "levels %u, A clear at %u: %u fills", levels, clear, b.fills);
        }
    }
}

/* In the second pass an entry that has just been given A=1 may be kept. */
Test(caches, second_pass_starts_and_fills_again)
{
    static struct bench b;

    setup(&b, 4, 1);
    b.use_start = true;
    *entry(&b, 3) &= ~E_A;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    cr_assert_eq(b.starts, 2);
    cr_assert_eq(b.fills, 1 + 3);
    cr_assert(b.fill[0].level == 4 && b.fill[1].level == 4 && b.fill[2].level == 3 && b.fill[3].level == 2);
}

Test(caches, tea_fetch_neither_uses_nor_fills)
{
    static struct bench b;

    setup(&b, 4, 1);
    b.use_start = true;
    b.start_level = 1;
    b.start_table = table_pa[1];
    b.start_rights = 7;
    *cover_leaf(&b, 0, DMT_SIZE_4K) &= ~E_A;
    go(&b);
    expect_path(&b, DMT_PATH_TEA, 0, 1, 2, 1);
    cr_assert(b.starts == 0 && b.fills == 0);
    /* The walk of a restart does. */
    *word_at(&b, TEA_PA(0) + 8) = 0;
    go(&b);
    expect_path(&b, DMT_PATH_RESTART, 0, 2, 2, 0);
    cr_assert_eq(b.starts, 1);
}

/* ---------------------------------------------------------------- section 8: rights */

/* The table of section 8, once more, as a person reads it: rows of literal outcomes. */
static bool allowed(const struct dmt_request *rq, bool wp, bool smep, bool smap, uint8_t rights)
{
    bool w = rights & 1, u = rights & 2, x = rights & 4;
    bool ac = rq->ac && !rq->implicit;

    if (rq->cpl == 3 && !rq->implicit) {
        switch (rq->access) {
        case DMT_ACCESS_READ: return u;
        case DMT_ACCESS_WRITE: return u && w;
        default: return u && x;
        }
    }
    switch (rq->access) {
    case DMT_ACCESS_READ: return !(u && smap && !ac);
    case DMT_ACCESS_WRITE: return !(u && smap && !ac) && !(wp && !w);
    default: return x && !(u && smep);
    }
}

/* P28: the full cross of rights and modes without keys, on the leaf of the walk. */
Test(rights, P28_full_cross)
{
    static struct bench b;

    for (unsigned n = 0; n < 1u << 8; n++) {
        for (unsigned access = 0; access < 3; access++) {
            for (unsigned cpl = 0; cpl < 4; cpl++) {
                bool wp = n >> 3 & 1, smep = n >> 4 & 1, smap = n >> 5 & 1;

                setup(&b, 4, 1);
                *entry(&b, 1) = page_pa[1] | E_P | E_A | E_D | (uint64_t)(n & 3) << 1 | (n & 4 ? 0 : E_XD);
                b.st.level[0].cr0 = wp ? DMT_LEVEL_CR0_WP_MASK : 0;
                b.st.level[0].cr4 = smep ? DMT_LEVEL_CR4_SMEP_MASK : 0;
                b.st.level[0].cr4 |= smap ? DMT_LEVEL_CR4_SMAP_MASK : 0;
                b.rq.access = (uint8_t)access;
                b.rq.cpl = (uint8_t)cpl;
                b.rq.ac = n >> 6 & 1;
                b.rq.implicit = n >> 7 & 1;
                go(&b);
                if (allowed(&b.rq, wp, smep, smap, n & 7)) {
                    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
                    cr_assert_eq(b.r.rights, n & 7);
                } else {
                    bool user = cpl == 3 && !b.rq.implicit;
                    expect_pf(&b, 1u | (access == DMT_ACCESS_WRITE ? 2 : 0) | (user ? 4 : 0)
                                  | (access == DMT_ACCESS_EXECUTE ? 16 : 0));
                }
            }
        }
    }
}

/* W, U and X of each level alone, each access. */
Test(rights, P28_each_level_alone)
{
    static struct bench b;
    static const struct { uint64_t bit; uint8_t access, cpl; uint32_t error; } deny[] = {
        { E_W, DMT_ACCESS_WRITE, 3, 0x7 },     { E_W, DMT_ACCESS_WRITE, 0, 0x3 },
        { E_U, DMT_ACCESS_READ, 3, 0x5 },      { E_U, DMT_ACCESS_EXECUTE, 3, 0x15 },
        { E_XD, DMT_ACCESS_EXECUTE, 3, 0x15 }, { E_XD, DMT_ACCESS_EXECUTE, 0, 0x11 },
    };

    for (unsigned leaf = 1; leaf <= 3; leaf++) {
        for (unsigned level = leaf; level <= 5; level++) {
            for (unsigned i = 0; i < sizeof deny / sizeof *deny; i++) {
                setup(&b, 5, leaf);
                b.rq.access = deny[i].access;
                b.rq.cpl = deny[i].cpl;
                go(&b);
                expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
                *entry(&b, level) ^= deny[i].bit;
                go(&b);
                expect_pf(&b, deny[i].error);
                cr_assert_eq(b.reads, 6 - leaf, "rights are checked at the leaf only");
            }
        }
    }
}

/* A user page is one with U at every level, so one U=0 makes SMAP and SMEP let go. */
Test(rights, user_page_needs_U_at_every_level)
{
    static struct bench b;

    for (unsigned level = 1; level <= 4; level++) {
        for (unsigned access = 0; access < 3; access++) {
            setup(&b, 4, 1);
            b.st.level[0].cr4 = DMT_LEVEL_CR4_SMEP_MASK | DMT_LEVEL_CR4_SMAP_MASK;
            b.rq.access = (uint8_t)access;
            go(&b);
            cr_assert_eq(b.r.status, DMT_STATUS_PF);
            *entry(&b, level) &= ~E_U;
            go(&b);
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
        }
    }
}

/* Keys: PKRU for user pages, PKRS for supervisor pages, never for fetches. */
Test(rights, protection_keys)
{
    static struct bench b;

    for (unsigned key = 0; key < 16; key++) {
        for (unsigned n = 0; n < 1u << 10; n++) {
            bool user_page = n & 1, pke = n >> 1 & 1, pks = n >> 2 & 1, wp = n >> 3 & 1;
            bool write = n >> 4 & 1, user = n >> 5 & 1, fetch = n >> 6 & 1, implicit = n >> 7 & 1;
            uint32_t bits = n >> 8 & 3;

            setup(&b, 4, 1);
            *entry(&b, 1) |= (uint64_t)key << 59;
            if (!user_page)
                *entry(&b, 2) &= ~E_U;
            b.st.level[0].cr0 = wp ? DMT_LEVEL_CR0_WP_MASK : 0;
            b.st.level[0].cr4 = (pke ? DMT_LEVEL_CR4_PKE_MASK : 0) | (pks ? DMT_LEVEL_CR4_PKS_MASK : 0);
            /* All other keys of the register in use allow, all of the other register deny. */
            b.st.level[0].pkru = user_page ? bits << 2 * key : ~0u;
            b.st.level[0].pkrs = user_page ? ~0u : bits << 2 * key;
            b.rq.access = fetch ? DMT_ACCESS_EXECUTE : write ? DMT_ACCESS_WRITE : DMT_ACCESS_READ;
            b.rq.cpl = user ? 3 : 0;
            b.rq.implicit = implicit;
            go(&b);

            bool as_user = user && !implicit, on = user_page ? pke : pks;
            bool key_denies = on && !fetch && ((bits & 1) || ((bits & 2) && write && (as_user || wp)));
            bool page_denies = as_user && !user_page;
            if (!key_denies && !page_denies)
                expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            else
                expect_pf(&b, 1u | (b.rq.access == DMT_ACCESS_WRITE ? 2 : 0) | (as_user ? 4 : 0)
                              | (fetch ? 16 : 0) | (key_denies ? 32 : 0));
        }
    }
}

/* The PK bit is not shown beside P=0 or RSVD=1. */
Test(rights, key_bit_only_of_present_valid_leaves)
{
    static struct bench b;

    setup(&b, 4, 1);
    b.st.level[0].cr4 = DMT_LEVEL_CR4_PKE_MASK;
    b.st.level[0].pkru = ~0u;
    go(&b);
    expect_pf(&b, 0x21);
    *entry(&b, 1) |= 1ull << 51;
    go(&b);
    expect_pf(&b, 0x9);
    *entry(&b, 1) &= ~E_P;
    go(&b);
    expect_pf(&b, 0);
}

/* I/D appears with NXE or SMEP only. */
Test(rights, fetch_bit_of_the_error_code)
{
    static struct bench b;

    for (unsigned n = 0; n < 4; n++) {
        setup(&b, 4, 1);
        b.st.level[0].efer = n & 1 ? DMT_LEVEL_EFER_NXE_MASK : 0;
        b.st.level[0].cr4 = n & 2 ? DMT_LEVEL_CR4_SMEP_MASK : 0;
        b.rq.access = DMT_ACCESS_EXECUTE;
        b.rq.cpl = 3;
        *entry(&b, 1) &= ~E_U;
        go(&b);
        expect_pf(&b, n ? 0x15 : 0x5);
        *entry(&b, 1) = 0;
        go(&b);
        expect_pf(&b, n ? 0x14 : 0x4);
        *entry(&b, 2) |= 1ull << 50;
        go(&b);
        expect_pf(&b, n ? 0x1d : 0xd);
    }
}

/* ---------------------------------------------------------------- section 9: accessed and dirty bits */

/* Each set of missing bits of the path: exactly those are written, in walk order, nothing else is. */
Test(ad, A1_A4_only_missing_bits_are_written)
{
    static struct bench b;

    for (unsigned write = 0; write < 2; write++) {
        for (unsigned lacks = 0; lacks < 32; lacks++) { /* bit level-1: A; bit 4: D of the leaf */
            unsigned n = 0;

            setup(&b, 4, 1);
            b.rq.access = write ? DMT_ACCESS_WRITE : DMT_ACCESS_READ;
            for (unsigned level = 1; level <= 4; level++) {
                *entry(&b, level) &= ~E_D;
                if (lacks >> (level - 1) & 1)
                    *entry(&b, level) &= ~E_A;
            }
            if (!(lacks & 16))
                *entry(&b, 1) |= E_D;
            go(&b);
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            cr_assert(!b.r.ad_needed);
            cr_assert_eq(b.r.dirty, write || !(lacks & 16));
            for (unsigned level = 4; level >= 1; level--) {
                bool a = lacks >> (level - 1) & 1, d = level == 1 && write && (lacks & 16);

                cr_assert_eq(!(*entry(&b, level) & E_D), level > 1 || (!write && (lacks & 16)),
                             "D of level %u", level);
                cr_assert(*entry(&b, level) & E_A);
                if (a || d) {
                    cr_assert_lt(n, b.writes);
                    cr_assert(b.wref[n].addr == entry_pa(level) && b.wref[n].level == level
                              && b.wref[n].exclusive && !b.wref[n].tea);
                    cr_assert_eq(b.wdata[n], *entry(&b, level));
                    n++;
                }
            }
            cr_assert_eq(b.writes, n);
            /* Four ordinary reads; the leaf alone is read again, and anything else takes a second pass, in
             * which each lacking entry is read twice. */
            unsigned upper = lacks & 14, reads = 0;
            for (unsigned level = 4; level >= 1; level--)
                expect_ref(&b, reads++, entry_pa(level), level, false, false);
            for (unsigned level = 4; level >= 1; level--) {
                bool written = (lacks >> (level - 1) & 1) || (level == 1 && write && (lacks & 16));

                if (upper)
                    expect_ref(&b, reads++, entry_pa(level), level, false, false);
                if (written)
                    expect_ref(&b, reads++, entry_pa(level), level, false, true);
            }
            expect_path(&b, DMT_PATH_RADIX, 0, 4, reads, n);
        }
    }
}

/* P26: A was set by an earlier read; a write still sets D, of the leaf alone. */
Test(ad, P26_dirty_after_accessed)
{
    static struct bench b;

    for (unsigned leaf = 1; leaf <= 3; leaf++) {
        for (unsigned tea = 0; tea < 2; tea++) {
            setup(&b, 4, leaf);
            uint64_t *e = tea ? cover_leaf(&b, 0, leaf - 1) : entry(&b, leaf);
            *e &= ~(E_A | E_D);
            go(&b);
            expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
            cr_assert(!b.r.dirty);
            cr_assert_eq(*e & (E_A | E_D), E_A);
            b.rq.access = DMT_ACCESS_WRITE;
            go(&b);
            expect_ok(&b, pa_of(leaf), (uint8_t)(leaf - 1));
            cr_assert(b.r.dirty);
            cr_assert_eq(b.r.updates, 1);
            cr_assert_eq(*e & (E_A | E_D), E_A | E_D);
            go(&b);
            cr_assert_eq(b.writes, 0);
        }
    }
}

/* Only a WRITE sets D, and a non-leaf never gets one. */
Test(ad, fetches_and_reads_do_not_dirty)
{
    static struct bench b;

    setup(&b, 4, 1);
    for (unsigned level = 1; level <= 4; level++)
        *entry(&b, level) &= ~E_D;
    b.rq.access = DMT_ACCESS_EXECUTE;
    go(&b);
    cr_assert_eq(b.writes, 0);
    cr_assert(!b.r.dirty);
}

Test(ad, A3_reported_when_updates_are_off)
{
    static struct bench b;

    for (unsigned tea = 0; tea < 2; tea++) {
        for (unsigned nonspec = 0; nonspec < 2; nonspec++) {
            setup(&b, 4, 1);
            uint64_t *e = tea ? cover_leaf(&b, 0, DMT_SIZE_4K) : entry(&b, 1);
            b.st.ad_update = false;
            b.rq.nonspec = nonspec;
            b.rq.access = DMT_ACCESS_WRITE;
            go(&b);
            cr_assert(!b.r.ad_needed);
            *e &= ~E_D;
            go(&b);
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            cr_assert(b.r.ad_needed && !b.r.dirty);
            expect_path(&b, tea ? DMT_PATH_TEA : DMT_PATH_RADIX, 0, tea ? 1 : 4, tea ? 1 : 4, 0);
            *e = (*e | E_D) & ~E_A;
            go(&b);
            cr_assert(b.r.ad_needed && b.r.dirty);
            *e |= E_A;
            *entry(&b, 4) &= ~E_A;
            go(&b);
            cr_assert_eq(b.r.ad_needed, !tea, "a TEA fetch does not read the upper entries");
            cr_assert_eq(b.writes, 0);
        }
    }
}

/* P27: a speculative request writes nothing and asks for a retry; it needs none when nothing is missing. */
Test(ad, P27_speculative_retries)
{
    static struct bench b;

    for (unsigned tea = 0; tea < 2; tea++) {
        setup(&b, 4, 1);
        uint64_t *e = tea ? cover_leaf(&b, 6, DMT_SIZE_4K) : entry(&b, 1);
        b.rq.nonspec = false;
        go(&b);
        expect_ok(&b, pa_of(1), DMT_SIZE_4K);
        *e &= ~E_A;
        go(&b);
        cr_assert_eq(b.r.status, DMT_STATUS_RETRY);
        expect_no_answer_fields(&b.r);
        cr_assert(b.r.error == 0 && b.r.addr == 0 && b.r.stage == 0);
        cr_assert_eq(b.writes, 0);
        expect_path(&b, tea ? DMT_PATH_TEA : DMT_PATH_RADIX, tea ? 6 : 0, tea ? 1 : 4, tea ? 1 : 4, 0);
        /* A fault is a fault, speculative or not. */
        b.rq.cpl = 3;
        *e &= ~E_U;
        *entry(&b, 1) &= ~(E_U | E_A);
        go(&b);
        expect_pf(&b, 0x5);
        b.rq.cpl = 0;
        b.rq.nonspec = true;
        go(&b);
        expect_ok(&b, pa_of(1), DMT_SIZE_4K);
    }
}

/* P24: nothing is written when the access must fault, whatever is missing above. */
Test(ad, P24_fault_writes_nothing)
{
    static struct bench b;

    for (unsigned kind = 0; kind < 4; kind++) {
        for (unsigned level = 1; level <= 4; level++) {
            setup(&b, 4, 1);
            for (unsigned l = 1; l <= 4; l++)
                *entry(&b, l) &= ~(E_A | E_D);
            if (kind == 0)
                *entry(&b, level) &= ~E_P;
            if (kind == 1)
                *entry(&b, level) |= 1ull << 51;
            if (kind == 2)
                *entry(&b, level) &= ~E_W;
            if (kind == 3)
                *entry(&b, level) &= ~E_U;
            b.rq.access = DMT_ACCESS_WRITE;
            b.rq.cpl = 3;
            go(&b);
            cr_assert_eq(b.r.status, DMT_STATUS_PF);
            cr_assert_eq(b.writes, 0);
            for (unsigned i = 0; i < b.reads; i++)
                cr_assert(!b.ref[i].exclusive);
        }
    }
}

/* P24: a failed A/D write ends the translation: no later write, no OK. */
Test(ad, P24_failed_update_ends_the_translation)
{
    static struct bench b;

    for (unsigned at = 0; at < 4; at++) {
        for (enum dmt_resp resp = DMT_RESP_SLVERR; resp <= DMT_RESP_DECERR; resp++) {
            setup(&b, 4, 1);
            for (unsigned l = 1; l <= 4; l++)
                *entry(&b, l) &= ~E_A;
            b.fail_write = at;
            b.fail_resp = resp;
            go(&b);
            expect_bus(&b, entry_pa(4 - at), resp == DMT_RESP_SLVERR ? DMT_BUS_ERROR_WRITE_SLVERR
                                                                     : DMT_BUS_ERROR_WRITE_DECERR);
            expect_path(&b, DMT_PATH_RADIX, 0, 4, 4 + 2 * (at + 1), at);
            cr_assert_eq(b.writes, at + 1);
        }
    }
    for (enum dmt_resp resp = DMT_RESP_SLVERR; resp <= DMT_RESP_DECERR; resp++) {
        setup(&b, 4, 1);
        *cover_leaf(&b, 5, DMT_SIZE_4K) &= ~E_A;
        b.fail_write = 0;
        b.fail_resp = resp;
        go(&b);
        expect_bus(&b, TEA_PA(0) + 8, resp == DMT_RESP_SLVERR ? DMT_BUS_ERROR_WRITE_SLVERR
                                                              : DMT_BUS_ERROR_WRITE_DECERR);
        expect_path(&b, DMT_PATH_TEA, 5, 1, 2, 0);
    }
}

/* A6: of a TEA fetch the deciding size alone is read again. */
Test(ad, A6_tea_fetches_deciding_size_again)
{
    static struct bench b;

    for (unsigned decider = 0; decider < 3; decider++) {
        setup(&b, 4, 1);
        for (unsigned sz = 0; sz < 3; sz++) {
            uint64_t *e = cover_leaf(&b, sz, sz);

            *e &= ~(E_A | E_D);
            if (sz > decider)
                *e = 0;
        }
        b.rq.access = DMT_ACCESS_WRITE;
        go(&b);
        expect_ok(&b, pa_of(decider + 1), (uint8_t)decider);
        expect_path(&b, DMT_PATH_TEA, (uint8_t)decider, 1, 4 - decider, 1);
        expect_ref(&b, 3 - decider, TEA_PA(decider) + 8, decider + 1, true, true);
        cr_assert_eq(b.ref[3 - decider].index, decider);
        cr_assert(b.wref[0].addr == TEA_PA(decider) + 8 && b.wref[0].tea && b.wref[0].exclusive);
        for (unsigned sz = 0; sz < decider; sz++)
            cr_assert_eq(*word_at(&b, TEA_PA(sz) + 8) & (E_A | E_D), 0);
    }
}

/* A6: the entry is judged afresh: bits set by another processor in between need no write. */
Test(ad, A6_bits_set_before_the_exclusive_read)
{
    static struct bench b;

    for (unsigned upper = 0; upper < 2; upper++) { /* the leaf alone, or a second pass */
        setup(&b, 4, 1);
        *entry(&b, 1) &= ~E_A;
        if (upper)
            *entry(&b, 4) &= ~E_A;
        b.poke[0].at = upper ? 9 : 4; /* 4 + 4 ordinary, one exclusive of the PML4E */
        b.poke[0].pa = entry_pa(1);
        b.poke[0].value = page_pa[1] | FULL | 1ull << 52;
        b.pokes = 1;
        go(&b);
        expect_ok(&b, pa_of(1), DMT_SIZE_4K);
        expect_path(&b, DMT_PATH_RADIX, 0, 4, upper ? 10 : 5, upper);
        expect_ref(&b, b.reads - 1, entry_pa(1), 1, false, true);
        cr_assert_eq(*entry(&b, 1), b.poke[0].value);
    }

    setup(&b, 4, 1);
    *cover_leaf(&b, 0, DMT_SIZE_4K) &= ~E_A;
    b.poke[0].at = 1;
    b.poke[0].pa = TEA_PA(0) + 8;
    b.poke[0].value = (page_pa[1] + 0x5000) | FULL;
    b.pokes = 1;
    go(&b);
    expect_ok(&b, pa_of(1) + 0x5000, DMT_SIZE_4K);
    expect_path(&b, DMT_PATH_TEA, 0, 1, 2, 0);
}

/* A4: in a second pass an entry whose bits another processor has set is read once, ordinarily. */
Test(ad, A4_bits_set_between_the_passes)
{
    static struct bench b;

    for (unsigned level = 2; level <= 4; level++) {
        setup(&b, 4, 1);
        *entry(&b, level) &= ~E_A;
        b.poke[0].at = 4;
        b.poke[0].pa = entry_pa(level);
        b.poke[0].value = *entry(&b, level) | E_A;
        b.pokes = 1;
        go(&b);
        expect_ok(&b, pa_of(1), DMT_SIZE_4K);
        expect_path(&b, DMT_PATH_RADIX, 0, 4, 8, 0);
        for (unsigned i = 0; i < 8; i++)
            expect_ref(&b, i, entry_pa(4 - i % 4), 4 - i % 4, false, false);
    }
}

/* A6: the last leaf that is read again has become a table: on from there as in a first pass, whose end may
 * ask for an exclusive read or for a second pass. */
Test(ad, A6_leaf_becomes_a_table)
{
    static struct bench b;

    for (unsigned table_lacks = 0; table_lacks < 2; table_lacks++) {
        for (unsigned leaf_lacks = 0; leaf_lacks < 2; leaf_lacks++) {
            setup(&b, 4, 2);
            *entry(&b, 2) &= ~E_A;
            b.poke[0].at = 3;
            b.poke[0].pa = entry_pa(2);
            b.poke[0].value = (table_pa[1] | FULL) & ~(table_lacks ? E_A : 0);
            b.pokes = 1;
            put(&b, entry_pa(1), (page_pa[1] | FULL) & ~(leaf_lacks ? E_A : 0));
            go(&b);
            expect_ok(&b, pa_of(1), DMT_SIZE_4K);
            expect_ref(&b, 3, entry_pa(2), 2, false, true);
            expect_ref(&b, 4, entry_pa(1), 1, false, false);
            /* The second pass: four ordinary reads, and the PDE's exclusive one. */
            expect_path(&b, DMT_PATH_RADIX, 0, 4, 5 + (table_lacks ? 5 : 0) + leaf_lacks,
                        table_lacks + leaf_lacks);
            cr_assert((*entry(&b, 1) & E_A) && (*entry(&b, 2) & E_A));
        }
    }
}

/* A6: an entry that changes in between is written with the value just read, not the first one. */
Test(ad, P25_A6_keeps_what_it_read)
{
    static struct bench b;
    uint64_t now = (page_pa[1] + 0x3000) | E_P | E_U | E_G | 0x7ffull << 52;

    setup(&b, 4, 1);
    *entry(&b, 1) &= ~E_A;
    b.poke[0].at = 4;
    b.poke[0].pa = entry_pa(1);
    b.poke[0].value = now;
    b.pokes = 1;
    go(&b);
    expect_ok(&b, pa_of(1) + 0x3000, DMT_SIZE_4K);
    cr_assert_eq(*entry(&b, 1), now | E_A);
    cr_assert_eq(b.r.rights, 6);
    cr_assert_eq(b.r.pkey, 15);
}

/* A4: what faults in the second pass faults, and that entry is not written. */
Test(ad, A4_faults_of_the_second_pass)
{
    static struct bench b;
    static const struct { uint64_t clear, set; uint32_t error; } change[] = {
        { E_P, 0, 0x6 }, { 0, 1ull << 51, 0xf }, { E_W, 0, 0x7 }, { E_U, 0, 0x7 },
    };

    for (unsigned i = 0; i < sizeof change / sizeof *change; i++) {
        for (unsigned level = 1; level <= 4; level++) {
            setup(&b, 4, 1);
            for (unsigned l = 1; l <= 4; l++)
                *entry(&b, l) &= ~E_A;
            b.rq.access = DMT_ACCESS_WRITE;
            b.rq.cpl = 3;
            b.poke[0].at = 4;
            b.poke[0].pa = entry_pa(level);
            b.poke[0].value = (*entry(&b, level) & ~change[i].clear) | change[i].set;
            b.pokes = 1;
            go(&b);
            expect_pf(&b, change[i].error);
            /* Upper entries whose own checks passed may have been written; the leaf never. */
            unsigned stop = i < 2 ? level : 1;
            expect_path(&b, DMT_PATH_RADIX, 0, 4, 4 + 2 * (4 - stop) + 1, 4 - stop);
            for (unsigned l = 1; l <= 4; l++)
                cr_assert_eq(!(*entry(&b, l) & E_A), l <= stop, "change %u at %u: level %u", i, level, l);
        }
    }
}

/* P25, A7: another store between the exclusive read and write: the entry is read again, its bits survive. */
Test(ad, P25_A7_lost_write_rereads)
{
    static struct bench b;

    for (unsigned tea = 0; tea < 2; tea++) {
        for (unsigned lost = 1; lost <= 4; lost++) {
            setup(&b, 4, 1);
            uint64_t pa = tea ? cover(&b, 0, DMT_SIZE_4K) : entry_pa(1), value = 0;
            put(&b, pa, (page_pa[1] | FULL) & ~(E_A | E_D));
            b.rq.access = DMT_ACCESS_WRITE;
            for (unsigned i = 0; i < lost; i++) {
                value = (page_pa[1] + 0x1000 * (i + 1)) | E_P | E_W | (uint64_t)(i + 1) << 52;
                b.poke[i].write = true;
                b.poke[i].at = i;
                b.poke[i].pa = pa;
                b.poke[i].value = value;
            }
            b.pokes = lost;
            go(&b);
            expect_ok(&b, pa_of(1) + 0x1000 * lost, DMT_SIZE_4K);
            expect_path(&b, tea ? DMT_PATH_TEA : DMT_PATH_RADIX, 0, tea ? 1 : 4, (tea ? 2 : 5) + lost, 1);
            cr_assert_eq(b.writes, lost + 1);
            cr_assert_eq(*word_at(&b, pa), value | E_A | E_D);
            cr_assert_eq(b.r.rights, 5, "the rights of the new value");
            for (unsigned i = 0; i <= lost; i++)
                expect_ref(&b, b.reads - 1 - i, pa, 1, tea, true);
        }
    }
}

/* A7: the winner already set the bits: no second write. */
Test(ad, A7_lost_to_another_walker)
{
    static struct bench b;

    for (unsigned tea = 0; tea < 2; tea++) {
        setup(&b, 4, 1);
        uint64_t pa = tea ? cover(&b, 0, DMT_SIZE_4K) : entry_pa(1);
        put(&b, pa, (page_pa[1] | FULL) & ~E_A);
        b.poke[0].write = true;
        b.poke[0].pa = pa;
        b.poke[0].value = page_pa[1] | FULL;
        b.pokes = 1;
        go(&b);
        expect_ok(&b, pa_of(1), DMT_SIZE_4K);
        cr_assert_eq(b.writes, 1);
        cr_assert_eq(b.r.updates, 0);
        cr_assert_eq(b.r.reads, (tea ? 2 : 5) + 1);
    }
}

/* A7: a lost non-leaf has become a leaf, gone, reserved, or points elsewhere. */
Test(ad, A7_lost_non_leaf_is_judged_afresh)
{
    static struct bench b;

    for (unsigned kind = 0; kind < 4; kind++) {
        setup(&b, 4, 1);
        *entry(&b, 2) &= ~E_A;
        b.poke[0].write = true;
        b.poke[0].pa = entry_pa(2);
        b.poke[0].value = (uint64_t[]){
            (page_pa[2] | E_PS | FULL) & ~(E_A | E_D), 0, table_pa[1] | FULL | 1ull << 51,
            (table_pa[1] + 0x10000) | E_P | E_W | E_U,
        }[kind];
        b.pokes = 1;
        put(&b, entry_pa(1) + 0x10000, (page_pa[1] + 0x9000) | E_P);
        b.rq.access = DMT_ACCESS_READ;
        go(&b);
        switch (kind) {
        case 0:
            expect_ok(&b, pa_of(2), DMT_SIZE_2M);
            cr_assert_eq(*entry(&b, 2), b.poke[0].value | E_A);
            cr_assert_eq(b.r.updates, 1);
            break;
        case 1:
            expect_pf(&b, 0);
            break;
        case 2:
            expect_pf(&b, 0x9);
            break;
        default:
            expect_ok(&b, pa_of(1) + 0x9000, DMT_SIZE_4K);
            cr_assert_eq(b.r.rights, 4);
            cr_assert_eq(b.r.updates, 2);
        }
        cr_assert_eq(b.r.refs, 4);
    }
}

/* A7: a leaf lost to one that denies the access faults, unwritten. */
Test(ad, A7_lost_leaf_denies)
{
    static struct bench b;

    setup(&b, 4, 1);
    *entry(&b, 1) &= ~E_D;
    b.rq.access = DMT_ACCESS_WRITE;
    b.poke[0].write = true;
    b.poke[0].pa = entry_pa(1);
    b.poke[0].value = page_pa[1] | E_P | E_A;
    b.pokes = 1;
    go(&b);
    expect_pf(&b, 0x3);
    cr_assert_eq(*entry(&b, 1), b.poke[0].value);
    cr_assert_eq(b.r.updates, 0);
}

/* A6: the TEA entry changes before its exclusive read so that the fetch does not count: a walk in the first
 * pass, ordinary reads and all. */
Test(ad, A6_tea_does_not_count_any_more)
{
    static struct bench b;

    for (unsigned lost = 0; lost < 2; lost++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            for (unsigned again = 0; again < 2; again++) {
                setup(&b, 4, 1);
                uint64_t pa = cover(&b, 0, DMT_SIZE_2M), good = page_pa[2] | FULL | E_PS;
                put(&b, pa, good & ~E_A);
                if (again)
                    *entry(&b, 1) &= ~E_A;
                b.poke[0].write = lost;
                b.poke[0].at = lost ? 0 : 1;
                b.poke[0].pa = pa;
                b.poke[0].value = ~E_A & (uint64_t[]){
                    good & ~E_P, good & ~E_PS, good | 1ull << 13, good & ~E_U,
                }[kind];
                b.pokes = 1;
                b.rq.cpl = 3;
                go(&b);
                expect_ok(&b, pa_of(1), DMT_SIZE_4K);
                unsigned tea_reads = 2 + lost;
                expect_path(&b, DMT_PATH_RESTART, 0, 1 + 4, tea_reads + 4 + again, again);
                for (unsigned i = 0; i < 4; i++)
                    expect_ref(&b, tea_reads + i, entry_pa(4 - i), 4 - i, false, false);
                cr_assert_eq(*word_at(&b, pa), b.poke[0].value, "the TEA entry is not written");
            }
        }
    }
}

/* ---------------------------------------------------------------- bus errors */

/* P17, P23: an error at each read of each kind of walk, in both passes and in exclusive reads, beats what the
 * data says. */
Test(bus, P17_P23_error_at_each_read)
{
    static struct bench b;
    static const uint64_t data[] = { 0, ~0ull, FULL, FULL | E_PS };

    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned leaf = 1; leaf <= 3; leaf++) {
            for (unsigned second = 0; second < 2; second++) {
                unsigned at_level[LOG], n = 0, first = levels - leaf + 1;

                for (unsigned level = levels; level >= leaf; level--)
                    at_level[n++] = level;
                for (unsigned level = levels; second && level > leaf; level--) {
                    at_level[n++] = level;
                    if (level == levels)
                        at_level[n++] = level;
                }
                if (second)
                    at_level[n++] = leaf;
                at_level[n++] = leaf;

                for (unsigned at = 0; at < n; at++) {
                    for (unsigned i = 0; i < 8; i++) {
                        enum dmt_resp resp = i & 1 ? DMT_RESP_SLVERR : DMT_RESP_DECERR;

                        setup(&b, levels, leaf);
                        *entry(&b, leaf) &= ~E_A;
                        if (second)
                            *entry(&b, levels) &= ~E_A;
                        b.fail_read = at;
                        b.fail_resp = resp;
                        b.fail_data = data[i / 2];
                        b.use_start = true;
                        go(&b);
                        expect_bus(&b, entry_pa(at_level[at]), resp == DMT_RESP_SLVERR
                                   ? DMT_BUS_ERROR_READ_SLVERR : DMT_BUS_ERROR_READ_DECERR);
                        expect_path(&b, DMT_PATH_RADIX, 0, at < first ? at + 1 : first, at + 1,
                                    second && at > first + 1);
                    }
                }
            }
        }
    }
}

Test(bus, P23_error_at_each_tea_read)
{
    static struct bench b;

    for (unsigned sz = 0; sz < 3; sz++) {
        for (unsigned at = 0; at < 2; at++) {
            for (enum dmt_resp resp = DMT_RESP_SLVERR; resp <= DMT_RESP_DECERR; resp++) {
                setup(&b, 4, 1);
                *cover_leaf(&b, 17, sz) &= ~E_A;
                b.fail_read = at;
                b.fail_resp = resp;
                go(&b);
                expect_bus(&b, TEA_PA(sz) + 8, resp == DMT_RESP_SLVERR ? DMT_BUS_ERROR_READ_SLVERR
                                                                       : DMT_BUS_ERROR_READ_DECERR);
                expect_path(&b, DMT_PATH_TEA, 17, 1, at + 1, 0);
            }
        }
    }
}

/* P23: the walk of a restart can fail too: it is the walk's error, not the TEA's. */
Test(bus, P23_error_in_the_restarted_walk)
{
    static struct bench b;

    for (unsigned at = 1; at < 5; at++) {
        setup(&b, 4, 1);
        *cover_leaf(&b, 3, DMT_SIZE_4K) = 0;
        b.fail_read = at;
        b.fail_resp = DMT_RESP_SLVERR;
        go(&b);
        expect_bus(&b, entry_pa(5 - at), DMT_BUS_ERROR_READ_SLVERR);
        expect_path(&b, DMT_PATH_RESTART, 0, at + 1, at + 1, 0);
    }
}

/* P18: an error code is one of the list, never a mixture: the exclusive read's error wins over its OKAY. */
Test(bus, not_exclusive)
{
    static struct bench b;

    setup(&b, 4, 1);
    *entry(&b, 1) &= ~E_A;
    b.no_monitor = true;
    go(&b);
    expect_bus(&b, entry_pa(1), DMT_BUS_ERROR_NOT_EXCLUSIVE);
    expect_path(&b, DMT_PATH_RADIX, 0, 4, 5, 0);

    /* In a second pass the first entry that lacks something. */
    *entry(&b, 3) &= ~E_A;
    go(&b);
    expect_bus(&b, entry_pa(3), DMT_BUS_ERROR_NOT_EXCLUSIVE);
    expect_path(&b, DMT_PATH_RADIX, 0, 4, 7, 0);

    setup(&b, 4, 1);
    *cover_leaf(&b, 1, DMT_SIZE_2M) &= ~E_A;
    b.no_monitor = true;
    go(&b);
    expect_bus(&b, TEA_PA(1) + 8, DMT_BUS_ERROR_NOT_EXCLUSIVE);
    expect_path(&b, DMT_PATH_TEA, 1, 1, 2, 0);
    cr_assert_eq(b.writes, 0);

    /* Decided before the entry is looked at: it is not present any more. */
    setup(&b, 4, 1);
    *entry(&b, 1) &= ~E_A;
    b.no_monitor = true;
    b.poke[0].at = 4;
    b.poke[0].pa = entry_pa(1);
    b.pokes = 1;
    go(&b);
    expect_bus(&b, entry_pa(1), DMT_BUS_ERROR_NOT_EXCLUSIVE);
}

/* An ordinary read does not care about exclusivity. */
Test(bus, ordinary_read_without_monitor)
{
    static struct bench b;

    setup(&b, 4, 1);
    b.no_monitor = true;
    go(&b);
    expect_ok(&b, pa_of(1), DMT_SIZE_4K);
}
