/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/stimulus.h"
#include "dmt/regs.h"
#include <endian.h>
#include <string.h>

#define ALWAYS 65536

/* IA-32e entry bits. */
#define E_P (1ull << 0)
#define E_W (1ull << 1)
#define E_U (1ull << 2)
#define E_A (1ull << 5)
#define E_PS (1ull << 7)
#define E_XD (1ull << 63)

static bool odds(struct rng *r, unsigned n, unsigned of)
{
    return rng_below(r, of) < n;
}

static uint64_t mask(unsigned bits)
{
    return bits >= 64 ? ~0ull : (1ull << bits) - 1;
}

/* ------------------------------------------------------------ random page tables */

/* How willing this scenario's tables are: mostly usable, so that walks get far. */
static uint64_t random_flags(struct stimulus *s)
{
    struct rng *r = &s->rng;
    uint64_t x = rng_next(r);
    uint64_t e = x & 0x0e00000000000e18ull; /* AVL, PWT, PCD and some ignored bits as they fall */

    if (x & 0x700000)
        e &= ~0x18ull;
    e |= (x >> 24 & 31) ? E_P : 0;
    e |= (x >> 29 & 7) ? E_W : 0;
    e |= (x >> 32 & 7) ? E_U : 0;
    e |= (x >> 35 & 1) ? E_A : 0;
    e |= (x >> 36 & 1) ? 1ull << 6 : 0;
    e |= (x >> 37 & 7) ? 0 : 1ull << 8;
    if (!(x >> 40 & 3) && (s->base.level[0].efer & DMT_LEVEL_EFER_NXE_MASK))
        e |= E_XD;
    if (x >> 42 & 1)
        e |= (x >> 44 & 15) << 59;
    return e;
}

/* One time in a hundred, one bit that the level or the physical width reserves. */
static uint64_t mutate(struct stimulus *s, uint64_t e, unsigned level)
{
    struct rng *r = &s->rng;

    if (!odds(r, 1, 100))
        return e;
    switch (rng_below(r, 4)) {
    case 0:
        return s->base.maxpa < 52 ? e | 1ull << (s->base.maxpa + rng_below(r, 52 - s->base.maxpa)) : e;
    case 1:
        return e | (level >= 4 ? E_PS : level > 1 ? 1ull << (13 + rng_below(r, 9 * level - 10)) : 0);
    case 2:
        return e ^ E_XD;
    default:
        return e ^ 1ull << rng_below(r, 64);
    }
}

static uint64_t random_leaf(struct stimulus *s, unsigned level)
{
    uint64_t frames = 1ull << (s->base.maxpa - 12);
    uint64_t pfn = rng_next(&s->rng) & (frames - 1);
    uint64_t e = random_flags(s);

    pfn &= ~mask(9 * (level - 1));
    e |= level > 1 ? E_PS : 0;
    if (rng_next(&s->rng) % 8 == 0)
        e |= level > 1 ? 1ull << 12 : 1ull << 7; /* PAT */
    return mutate(s, e | pfn << 12, level);
}

static uint64_t random_pointer(struct stimulus *s, unsigned level, uint64_t pfn)
{
    uint64_t x = rng_next(&s->rng);
    uint64_t e = E_P | (x & 15 ? E_W : 0) | (x & 0xf0 ? E_U : 0) | (x & 0x300 ? E_A : 0);

    if (!(x & 0x7c00))
        e |= E_XD;
    if (!(x & 0x18000))
        e |= (x & 0x7ff0000000000000ull & ~(E_XD)) | (x >> 20 & 0x118) | (x >> 24 & 0xe00);
    if (!(x >> 20 & 127))
        e &= ~E_P;
    return mutate(s, (e & ~E_PS) | pfn << 12, level);
}

static void set_entry(struct stimulus *s, uint64_t pfn, unsigned index, uint64_t e)
{
    dmt_mem_write(s->mem, pfn << 12 | index << 3, e);
}

/* More upper entries than the largest cache holds point to the few tables of
 * a level, so that entries are replaced. */
#define ALIASES_2 96 /* PDEs */
#define ALIASES_3 24 /* PDPTEs */

/* Fill a table: the first entries point to its children (child frames are
 * consecutive), some more point to them again, the rest are leaves, holes, and
 * pointers to frames that do not exist. */
static bool fill_table(struct stimulus *s, uint64_t pfn, unsigned level, uint64_t child, unsigned child_n)
{
    unsigned aliases = !child_n ? 0 : level == 2 ? ALIASES_2 : ALIASES_3;
    uint8_t *frame = dmt_mem_add(s->mem, pfn);
    uint64_t t[512];

    if (!frame)
        return false;
    for (unsigned i = 0; i < 512; i++) {
        unsigned kind = (unsigned)rng_next(&s->rng) & 15;

        if (i < child_n)
            t[i] = kind < 14 ? random_pointer(s, level, child + i) : random_leaf(s, level);
        else if (i < aliases && kind < 12)
            t[i] = random_pointer(s, level, child + i % child_n);
        else if (level == 1 || kind < 14)
            t[i] = random_leaf(s, level);
        else if (kind < 15)
            t[i] = random_pointer(s, level, rng_next(&s->rng) & mask(s->base.maxpa - 12));
        else
            t[i] = 0;
        t[i] = htole64(t[i]);
    }
    memcpy(frame, t, sizeof(t));
    return true;
}

/* Mostly anywhere, sometimes beside a border of the canonical ranges. */
static unsigned random_index(struct rng *r)
{
    static const unsigned border[] = { 0, 255, 256, 511 };

    return odds(r, 1, 6) ? border[rng_below(r, 4)] : (unsigned)rng_below(r, 512);
}

static void place_region(struct stimulus *s, struct region *g, unsigned index, bool five, unsigned index5)
{
    unsigned unused = five ? 7 : 16; /* bits that repeat the highest one */

    set_entry(s, g->l4, index, random_pointer(s, 4, g->l3));
    g->va = (uint64_t)index << 39 | (five ? (uint64_t)index5 << 48 : 0);
    g->va = (uint64_t)((int64_t)(g->va << unused) >> unused);
}

static bool build_tables(struct stimulus *s)
{
    struct rng *r = &s->rng;
    bool five = s->base.level[0].cr4 & DMT_LEVEL_CR4_LA57_MASK;
    uint64_t top = 1ull << (s->base.maxpa - 12);
    uint64_t next = odds(r, 1, 4) ? top - 512 : 1 + rng_next(r) % (top - 600);
    uint64_t root = next++;

    if (!dmt_mem_add(s->mem, root))
        return false;
    s->base.level[0].cr3 = root << 12;
    s->region_n = 1 + (unsigned)rng_below(r, STIMULUS_REGIONS / 3);
    for (unsigned n = 0; n < s->region_n; n++) {
        struct region *g = &s->region[n];
        unsigned index5 = random_index(r);

        g->l4 = root;
        if (five) {
            g->l4 = next++;
            if (!dmt_mem_add(s->mem, g->l4))
                return false;
            set_entry(s, root, index5, random_pointer(s, 5, g->l4));
        }
        next += rng_below(r, 4);
        g->l3 = next++;
        next += rng_below(r, 4);
        g->l2 = next;
        g->l2_n = 1 + (unsigned)rng_below(r, 3);
        next += g->l2_n + rng_below(r, 4);
        g->l1 = next;
        g->l1_n = 1 + (unsigned)rng_below(r, 4);
        next += g->l1_n;
        place_region(s, g, random_index(r), five, index5);
        if (!fill_table(s, g->l3, 3, g->l2, g->l2_n))
            return false;
        for (unsigned i = 0; i < g->l2_n; i++) {
            if (!fill_table(s, g->l2 + i, 2, g->l1, i ? 0 : g->l1_n))
                return false;
        }
        for (unsigned i = 0; i < g->l1_n; i++) {
            if (!fill_table(s, g->l1 + i, 1, 0, 0))
                return false;
        }
    }
    /* The same tables at more addresses. */
    for (unsigned n = (unsigned)rng_below(r, STIMULUS_REGIONS - s->region_n + 1); n; n--) {
        struct region *g = &s->region[s->region_n];

        *g = s->region[rng_below(r, s->region_n)];
        s->region_n++;
        place_region(s, g, random_index(r), five, (unsigned)(g->va >> 48) & 511);
    }
    return true;
}

/* ------------------------------------------------------------ random TEA registers */

static void random_tea(struct stimulus *s, struct dmt_tea *t)
{
    struct rng *r = &s->rng;
    const struct region *g = &s->region[rng_below(r, s->region_n)];
    unsigned sz = (unsigned)rng_below(r, 3);
    unsigned tables = sz == 0 ? g->l1_n : sz == 1 ? g->l2_n : 1;
    unsigned first = (unsigned)rng_below(r, tables);
    uint64_t base = sz == 0 ? g->l1 : sz == 1 ? g->l2 : g->l3;

    memset(t, 0, sizeof(*t));
    t->sz = (uint8_t)sz;
    t->base_vpn = ((g->va >> 12) + ((uint64_t)first << (9 * sz + 9))) & mask(52);
    t->base_pfn = base + first;
    t->pages = (uint64_t)(tables - first) << (9 * sz + 9);
    t->allow = odds(r, 3, 4) ? 7 : (uint8_t)rng_below(r, 8);
    t->valid = true;
    if (t->base_vpn + t->pages > 1ull << 52) /* the last region of the address space */
        t->pages = (1ull << 52) - t->base_vpn;
    if (odds(r, 1, 3))
        t->pages = 1 + rng_next(r) % t->pages;
    switch (rng_below(r, 48)) {
    case 0: /* the first page is not on a table boundary */
        t->base_vpn += rng_below(r, 512);
        break;
    case 1: /* a table of another level, or something that is no table at all */
        t->base_pfn = g->l3 + rng_below(r, 8);
        break;
    case 2:
        t->base_pfn = rng_next(r) & mask(s->base.maxpa - 12);
        break;
    case 3: /* another size over the same range */
        t->sz = (uint8_t)rng_below(r, 3);
        break;
    case 4: /* a huge range */
        t->base_vpn = (t->base_vpn >> 20) << 20;
        t->pages = 1ull << 28;
        break;
    case 5: { /* the TEA ends at the last byte of physical memory, or one entry beyond */
        uint64_t top = 1ull << (s->base.maxpa - 12), pages = 1 + rng_below(r, 4);

        t->base_pfn = top - pages;
        t->pages = (pages * 512 << (9 * t->sz)) + rng_below(r, 2);
        break;
    }
    case 6: /* it ends at the last address, or one page beyond */
        t->pages = 1 + rng_below(r, 1024);
        t->base_vpn = (1ull << 52) - t->pages + rng_below(r, 2);
        break;
    default:
        break;
    }
}

static uint64_t random_tea_word(struct stimulus *s, unsigned word)
{
    struct rng *r = &s->rng;
    struct dmt_tea t;
    uint64_t w[3];

    random_tea(s, &t);
    if (odds(r, 1, 8))
        t.valid = false;
    dmt_tea_pack(&t, w);
    if (odds(r, 1, 6)) {
        switch (rng_below(r, 5)) {
        case 0:
            w[word] ^= 1ull << rng_below(r, 64);
            break;
        case 1:
            w[word] = rng_next(r);
            break;
        case 2:
            w[word] ^= 1ull << (1 + rng_below(r, 11));
            break;
        case 3:
            w[word] = 0;
            break;
        default:
            w[word] = ~0ull << rng_below(r, 64);
            break;
        }
    }
    return w[word];
}

/* ------------------------------------------------------------ random addresses */

static uint64_t random_va(struct stimulus *s)
{
    struct rng *r = &s->rng;
    const struct region *g = &s->region[rng_below(r, s->region_n)];
    const struct dmt_tea *t;

    switch (rng_below(r, 24)) {
    case 0:
        return rng_next(r);
    case 1:
        return g->va ^ 1ull << (47 + rng_below(r, 17));
    case 2:
        return (uint64_t)((int64_t)(rng_next(r) << 16) >> 16);
    case 3: /* first and last byte of a TEA register, and their neighbours */
    case 4:
        t = &s->base.tea[0][rng_below(r, s->config.tea_n)];
        if (!t->valid)
            return g->va;
        return ((t->base_vpn + (odds(r, 1, 2) ? t->pages : 0)) << 12) - rng_below(r, 2);
    case 5:
    case 6:
        return g->va + (rng_next(r) & mask(39));
    case 9:
        return g->va + ((uint64_t)rng_below(r, ALIASES_3) << 30) + (rng_next(r) & mask(23));
    case 7:
    case 8:
        return g->va + ((rng_next(r) % ((uint64_t)g->l2_n << 30)) & ~0x1f000ull);
    case 10:
    case 11:
    case 12:
        return g->va + rng_below(r, ALIASES_2 << 9) * 4096 + rng_below(r, 4096);
    case 13:
    case 14:
    case 15:
    case 16:
    case 17:
    case 18: /* inside a TEA register, within the tables that exist */
        t = &s->base.tea[0][rng_below(r, s->config.tea_n)];
        if (t->valid)
            return ((t->base_vpn + rng_next(r) % t->pages % (2048ull << (9 * t->sz))) << 12) +
                   rng_below(r, 4096);
        /* fall through */
    default:
        return g->va + rng_next(r) % ((uint64_t)g->l1_n << 21);
    }
}

static void random_request(struct stimulus *s)
{
    struct rng *r = &s->rng;
    uint64_t x = rng_next(r);
    struct dmt_in *q = &s->request;
    uint64_t *hot = &s->hot[x & (STIMULUS_HOT - 1)];

    if ((x >> 6 & 31) == 0)
        *hot = random_va(s);
    q->req_va = (x >> 11 & 3) ? (*hot & ~0xfffull) | (x >> 13 & 0xfff) : *hot;
    q->req_access = (x >> 25 & 3) % 3;
    q->req_cpl = (x >> 27 & 1) ? 3 : (x >> 28 & 7) ? 0 : (x >> 31 & 3);
    q->req_ac = x >> 33 & 1;
    q->req_implicit = (x >> 34 & 7) == 0;
    q->req_nonspec = (x >> 37 & 7) != 0;
    q->req_tag = x >> 40 & mask(s->config.tag_w);
    s->valid = true;
}

/* ------------------------------------------------------------ random CSR traffic */

static void reprogram(struct stimulus *s)
{
    if (!csr_room(&s->csr, CSR_PROGRAM_MAX))
        return;
    dmt_state_reset(&s->have, s->config.pa_w);
    s->have.maxpa = 0; /* so that MAXPA is written, which clears the rest */
    csr_program(&s->csr, &s->config, &s->have, &s->base);
}

/* An offset that is often just beside what exists. */
static unsigned random_offset(struct stimulus *s)
{
    struct rng *r = &s->rng;

    switch (rng_below(r, 6)) {
    case 0:
        return (unsigned)rng_below(r, 0x4000);
    case 1:
        return (unsigned)rng_below(r, 0x800) * 8;
    case 2: /* around the last TEA register */
        return DMT_LEVEL_BASE((unsigned)rng_below(r, 4)) +
               ((DMT_LEVEL_TEA_WORD0(s->config.tea_n - 1) + 8 * (unsigned)rng_below(r, 8)) & 0xff8);
    case 3:
        return DMT_LEVEL_BASE((unsigned)rng_below(r, 3)) + 0x800 + 8 * (unsigned)rng_below(r, 12);
    case 4:
        return DMT_HOST_BASE + 0x100 + 8 * (unsigned)rng_below(r, 16);
    default:
        return DMT_HOST_BASE + 8 * (unsigned)rng_below(r, 9);
    }
}

/* A value of a control register of level 0: mostly what the scenario wants
 * with an unimportant bit changed, sometimes anything. */
static void random_control(struct stimulus *s)
{
    static const unsigned char toggles[] = {
        DMT_LEVEL_CR4_PGE_LSB, DMT_LEVEL_CR4_SMEP_LSB, DMT_LEVEL_CR4_SMAP_LSB,  DMT_LEVEL_CR4_PKE_LSB,
        DMT_LEVEL_CR4_PKS_LSB, DMT_LEVEL_CR4_PCIDE_LSB, DMT_LEVEL_CR4_LA57_LSB,
    };
    struct rng *r = &s->rng;
    const struct dmt_level *b = &s->base.level[0];
    unsigned base = odds(r, 7, 8) ? 0 : DMT_LEVEL_BASE((unsigned)rng_below(r, 3));
    bool wild = odds(r, 1, 12);

    switch (rng_below(r, 8)) {
    case 0:
        csr_push(&s->csr, base + DMT_LEVEL_CR0, wild ? rng_next(r) : b->cr0 ^ (odds(r, 1, 2) ? 0x10000 : 0));
        break;
    case 1: /* LA57 makes every address mean something else, so it soon goes back */
        csr_push(&s->csr, base + DMT_LEVEL_CR4,
                 b->cr4 ^ 1ull << toggles[rng_below(r, wild ? sizeof(toggles) : sizeof(toggles) - 1)]);
        if (wild)
            csr_push(&s->csr, DMT_LEVEL_CR4, b->cr4);
        break;
    case 2:
        csr_push(&s->csr, base + DMT_LEVEL_EFER, odds(r, 1, 4) ? b->efer ^ DMT_LEVEL_EFER_NXE_MASK : b->efer);
        break;
    case 3:
        csr_push(&s->csr, base + DMT_LEVEL_PKRU, rng_next(r) & rng_next(r));
        break;
    case 4:
        csr_push(&s->csr, base + DMT_LEVEL_PKRS, rng_next(r) & rng_next(r));
        break;
    case 5:
        if (wild) {
            csr_push(&s->csr, base + DMT_LEVEL_CR3, rng_next(r) >> (rng_next(r) & 31));
            csr_push(&s->csr, DMT_LEVEL_CR3, b->cr3);
            break;
        }
        /* fall through */
    default:
        csr_push(&s->csr, base + DMT_LEVEL_CR3,
                 (b->cr3 & ~0xfffull) | rng_below(r, 3) | (odds(r, 1, 2) ? DMT_LEVEL_CR3_NOFLUSH_MASK : 0));
        break;
    }
}

static void random_csr(struct stimulus *s)
{
    struct rng *r = &s->rng;
    unsigned set = odds(r, 3, 4) ? 0 : (unsigned)rng_below(r, 3);
    unsigned tea = DMT_LEVEL_BASE(set) + DMT_LEVEL_TEA_WORD0((unsigned)rng_below(r, s->config.tea_n));

    if (!csr_room(&s->csr, 8))
        return;
    switch (rng_below(r, 16)) {
    case 0: /* a new register, in the order software uses */
    case 1:
    case 2: {
        uint64_t keep = rng_next(r);

        csr_push(&s->csr, tea + 16, random_tea_word(s, 2));
        csr_push(&s->csr, tea + 8, random_tea_word(s, 1));
        csr_push(&s->csr, tea, random_tea_word(s, 0));
        if (keep & 1)
            csr_push_read(&s->csr, tea + 24);
        break;
    }
    case 3: /* one word alone */
        csr_push(&s->csr, tea + 8 * (unsigned)rng_below(r, 4), random_tea_word(s, (unsigned)rng_below(r, 3)));
        break;
    case 4: { /* put one of the scenario's registers back */
        unsigned i = (unsigned)rng_below(r, s->config.tea_n);
        uint64_t w[3];

        dmt_tea_pack(&s->base.tea[0][i], w);
        for (unsigned k = 3; k--;)
            csr_push(&s->csr, DMT_LEVEL_TEA_WORD0(i) + 8 * k, w[k]);
        break;
    }
    case 5:
    case 6:
    case 7:
        random_control(s);
        break;
    case 8:
    case 9:
        csr_push(&s->csr, DMT_LEVEL_BASE(odds(r, 7, 8) ? 0 : (unsigned)rng_below(r, 3)) + DMT_LEVEL_INV,
                 (odds(r, 15, 16) ? rng_below(r, 4) : rng_below(r, 16)) << DMT_LEVEL_INV_KIND_LSB |
                     rng_below(r, 3) << DMT_LEVEL_INV_PCID_LSB | rng_below(r, 1ull << 32));
        break;
    case 10: {
        uint64_t ctl = DMT_MODE_NATIVE | (odds(r, 3, 4) ? DMT_HOST_CTL_AD_UPDATE_MASK : 0);
        bool other = odds(r, 1, 3);

        if (other)
            csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_CTL, rng_next(r) & 7);
        if (!other || odds(r, 3, 4)) /* or it stays so until the next write of CTL */
            csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_CTL, ctl);
        break;
    }
    case 11: /* rare, since everything has to be loaded again */
        if (odds(r, 1, 16)) {
            csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_MAXPA, rng_below(r, 64));
            reprogram(s);
        } else {
            csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_MAXPA, rng_next(r) & 31);
        }
        break;
    case 12:
        csr_push(&s->csr, DMT_LEVEL_BASE(set) + DMT_LEVEL_EVENT + (unsigned)(rng_next(r) & 8),
                 rng_below(r, 4));
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_EVENT + (unsigned)(rng_next(r) & 8), rng_below(r, 8));
        break;
    case 13: {
        unsigned offset = random_offset(s);

        /* Anything may be written anywhere, but a stray MAXPA or CTL would end the scenario. */
        if ((offset & ~7u) == DMT_HOST_BASE + DMT_HOST_MAXPA ||
            (offset & ~7u) == DMT_HOST_BASE + DMT_HOST_CTL)
            offset = DMT_HOST_BASE + DMT_HOST_CNT_CLEAR;
        csr_push_strobed(&s->csr, offset, rng_next(r) & rng_next(r),
                         odds(r, 1, 2) ? (unsigned)rng_below(r, 256) : 0xff);
        break;
    }
    default:
        for (unsigned i = 1 + (unsigned)rng_below(r, 4); i; i--)
            csr_push_read(&s->csr, random_offset(s));
        break;
    }
}

/* Moods of the requester: flat out, sparse, silent; taking answers at once, seldom, not at all. */
static void new_phase(struct stimulus *s)
{
    static const unsigned issue[] = { ALWAYS, ALWAYS, 40000, 20000, 3000, 0 };
    static const unsigned take[] = { ALWAYS, ALWAYS, ALWAYS, 40000, 8000, 0 };
    unsigned i = (unsigned)rng_below(&s->rng, 6), t = (unsigned)rng_below(&s->rng, 6);

    s->issue = issue[i];
    s->take = take[t];
    s->phase_until = s->now + 30 + rng_below(&s->rng, issue[i] && take[t] ? 600 : 60);
    s->csr.issue = odds(&s->rng, 1, 2) ? ALWAYS : 12000;
    s->csr.take = odds(&s->rng, 2, 3) ? ALWAYS : 9000;
}

bool stimulus_random(struct stimulus *s, const struct dmt_config *config, uint64_t seed, bool live)
{
    static const unsigned rates[] = { 20, 100, 500, 3000 };
    struct rng *r = &s->rng;
    struct dmt_level *cr = &s->base.level[0];
    struct agent *agent = s->agent;

    stimulus_clear(s);
    memset(s, 0, sizeof(*s));
    s->agent = agent;
    s->config = *config;
    s->live = live;
    rng_seed(r, seed, 0x571);
    csr_reset(&s->csr, seed);
    s->mem = dmt_mem_new();
    if (!s->mem)
        return false;

    dmt_state_reset(&s->base, config->pa_w);
    s->base.mode = DMT_MODE_NATIVE;
    s->base.ad_update = odds(r, 7, 8);
    if (odds(r, 1, 2))
        s->base.maxpa = (uint8_t)(32 + rng_below(r, config->pa_w - 31));
    cr->cr0 = odds(r, 3, 4) ? DMT_LEVEL_CR0_WP_MASK : 0;
    cr->efer = odds(r, 7, 8) ? DMT_LEVEL_EFER_NXE_MASK : 0;
    cr->cr4 = rng_next(r) & rng_next(r) &
              (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_PCIDE_MASK | DMT_LEVEL_CR4_SMEP_MASK |
               DMT_LEVEL_CR4_SMAP_MASK | DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK);
    if (odds(r, 1, 3))
        cr->cr4 |= DMT_LEVEL_CR4_LA57_MASK;
    cr->pkru = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
    cr->pkrs = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
    if (!build_tables(s))
        return false;
    cr->cr3 |= rng_below(r, 3);

    unsigned density = (unsigned)rng_below(r, 4);

    for (unsigned k = 0; k < config->sets; k++) {
        for (unsigned i = 0; i < config->tea_n; i++) {
            if (density && odds(r, k ? 1 : density, k ? 16 : 4))
                random_tea(s, &s->base.tea[k][i]);
        }
    }
    for (unsigned i = 0; i < STIMULUS_HOT; i++)
        s->hot[i] = random_va(s);

    s->pristine = dmt_mem_clone(s->mem);
    if (!s->pristine)
        return false;
    s->steady = odds(r, 1, 6);
    s->issue = s->take = ALWAYS;
    s->phase_until = s->steady ? ~0ull : 500 + rng_below(r, 500);
    s->changes = live ? rates[rng_below(r, 4)] : 0;
    reprogram(s);
    csr_push(&s->csr, DMT_LEVEL_EVENT_MASK, rng_below(r, 4));
    csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_EVENT_MASK, rng_below(r, 8));
    s->hold = odds(r, 3, 4);
    return true;
}

/* ------------------------------------------------------------ replay */

static void next_item(struct stimulus *s)
{
    s->have_item = !s->ended && s->source->next(s->source->user, &s->item);
    s->ended = !s->have_item;
    s->prepared = s->have_item && !s->item.poke_n && !s->item.state;
}

/* Software's stores and register writes before an item, once nothing is in flight. */
static void prepare_item(struct stimulus *s)
{
    for (size_t i = 0; i < s->item.poke_n; i++) {
        if (!agent_poke(s->agent, s->item.poke[i].addr, s->item.poke[i].value))
            s->broken = "a store goes to a frame that is absent from the memory";
    }
    if (s->item.poke_n)
        csr_push(&s->csr, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
    if (s->item.state) {
        const char *missing = csr_program(&s->csr, &s->config, &s->have, s->item.state);

        if (missing)
            s->broken = missing;
    }
    s->prepared = true;
    s->hold = !csr_idle(&s->csr);
}

bool stimulus_replay(struct stimulus *s, const struct dmt_config *config, struct cosim_source *source,
                     unsigned outstanding)
{
    struct agent *agent = s->agent;

    stimulus_clear(s);
    memset(s, 0, sizeof(*s));
    s->agent = agent;
    s->config = *config;
    s->source = source;
    s->outstanding = outstanding;
    s->steady = true;
    s->phase_until = ~0ull;
    s->issue = s->take = ALWAYS;
    csr_reset(&s->csr, 0);
    dmt_state_reset(&s->have, config->pa_w);
    s->base = *source->state;
    s->mem = dmt_mem_clone(source->mem);
    if (!s->mem)
        return false;
    s->broken = csr_program(&s->csr, config, &s->have, source->state);
    if (s->broken)
        return false;
    s->hold = true;
    next_item(s);
    return true;
}

/* ------------------------------------------------------------ common */

void stimulus_clear(struct stimulus *s)
{
    if (s->mem)
        dmt_mem_free(s->mem);
    if (s->pristine)
        dmt_mem_free(s->pristine);
    s->mem = s->pristine = NULL;
}

static void replay_request(struct stimulus *s)
{
    const struct dmt_request *q = &s->item.request;

    if (s->have_item && !s->prepared && s->taken == s->answered && csr_idle(&s->csr))
        prepare_item(s);
    if (!s->have_item || !s->prepared || s->hold ||
        (s->outstanding && s->taken - s->answered >= s->outstanding))
        return;
    s->request.req_va = q->va;
    s->request.req_access = q->access;
    s->request.req_cpl = q->cpl;
    s->request.req_ac = q->ac;
    s->request.req_implicit = q->implicit;
    s->request.req_nonspec = q->nonspec;
    s->request.req_tag = s->taken & mask(s->config.tag_w);
    s->valid = true;
}

void stimulus_drive(struct stimulus *s, struct dmt_in *in)
{
    if (s->now >= s->phase_until)
        new_phase(s);
    if (s->hold && csr_idle(&s->csr))
        s->hold = false;
    if (s->changes && !s->hold && rng_chance(&s->rng, s->changes))
        random_csr(s);
    if (!s->valid && !s->closed) {
        if (s->source)
            replay_request(s);
        else if (!s->hold && (s->issue >= ALWAYS || rng_chance(&s->rng, s->issue)))
            random_request(s);
    }
    in->req_valid = s->valid;
    in->req_tag = s->valid ? s->request.req_tag : 0;
    in->req_va = s->valid ? s->request.req_va : 0;
    in->req_access = s->valid ? s->request.req_access : 0;
    in->req_cpl = s->valid ? s->request.req_cpl : 0;
    in->req_ac = s->valid ? s->request.req_ac : 0;
    in->req_implicit = s->valid ? s->request.req_implicit : 0;
    in->req_nonspec = s->valid ? s->request.req_nonspec : 0;
    in->resp_ready = s->take >= ALWAYS || rng_chance(&s->rng, s->take);
    csr_drive(&s->csr, in);
    s->now++;
}

void stimulus_edge(struct stimulus *s, const struct dmt_out *out, const struct dmt_in *in)
{
    if (in->req_valid && out->req_ready) {
        s->valid = false;
        s->taken++;
        if (s->source)
            next_item(s);
    }
    if (out->resp_valid && in->resp_ready)
        s->answered++;
    csr_edge(&s->csr, out, in);
}

bool stimulus_idle(const struct stimulus *s)
{
    return !s->valid && s->taken == s->answered && csr_idle(&s->csr);
}

void stimulus_finish(struct stimulus *s)
{
    s->closed = true;
    s->changes = 0;
    s->take = ALWAYS;
    s->phase_until = ~0ull;
    s->csr.issue = s->csr.take = ALWAYS;
}
