/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/stimulus.h"
#include "dmt/regs.h"
#include <endian.h>
#include <string.h>

#define ALWAYS 65536

/* Entry bits: IA-32e and NPT; EPT. */
#define E_P (1ull << 0)
#define E_W (1ull << 1)
#define E_U (1ull << 2)
#define E_A (1ull << 5)
#define E_D (1ull << 6)
#define E_PS (1ull << 7)
#define E_XD (1ull << 63)
#define EPT_R (1ull << 0)
#define EPT_X (1ull << 2)
#define EPT_A (1ull << 8)
#define EPT_D (1ull << 9)
#define EPT_XU (1ull << 10)
#define EPT_WB (6ull << 3)

static bool odds(struct rng *r, unsigned n, unsigned of)
{
    return rng_below(r, of) < n;
}

static uint64_t mask(unsigned bits)
{
    return bits >= 64 ? ~0ull : (1ull << bits) - 1;
}

/* ------------------------------------------------------------ memory of every level */

static struct block *block_of(struct stimulus *s, unsigned level, uint64_t frame)
{
    for (unsigned i = 0; i < s->block_n[level]; i++) {
        if (frame - s->block[level][i].at < STIMULUS_BLOCK_FRAMES)
            return &s->block[level][i];
    }
    return NULL;
}

/* The host frame behind a frame that tables of t lie in. */
static uint64_t host_frame(struct stimulus *s, const struct tables *t, uint64_t frame)
{
    struct block *b;

    if (t->host)
        return frame;
    b = block_of(s, t->stage - 1, frame);
    return b ? b->host + (frame - b->at) : frame;
}

static void set_entry(struct stimulus *s, const struct tables *t, uint64_t frame, unsigned index, uint64_t e)
{
    dmt_mem_write(s->mem, host_frame(s, t, frame) << 12 | index << 3, e);
}

static bool new_block(struct stimulus *s, unsigned level);

/* Is none of these host frames in use? */
static bool host_free(const struct stimulus *s, uint64_t frame, unsigned n)
{
    for (unsigned i = 0; i < s->block_n[0]; i++) {
        if (frame < s->block[0][i].host + STIMULUS_BLOCK_FRAMES && s->block[0][i].host < frame + n)
            return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (dmt_mem_frame(s->mem, frame + i))
            return false;
    }
    return true;
}

static bool host_frames(struct stimulus *s, unsigned n, uint64_t *first)
{
    uint64_t top = 1ull << (s->base.maxpa - 12);

    do {
        if (s->next + n > top)
            s->next = 1;
        *first = s->next;
        s->next += n + rng_below(&s->rng, 4);
    } while (!host_free(s, *first, n));
    for (unsigned i = 0; i < n; i++) {
        if (!dmt_mem_add(s->mem, *first + i))
            return false;
    }
    return true;
}

/* n contiguous frames for tables of t. */
static bool take_frames(struct stimulus *s, const struct tables *t, unsigned n, uint64_t *first)
{
    unsigned level = t->stage - 1;
    struct block *b;

    if (t->host)
        return host_frames(s, n, first);
    b = s->block_n[level] ? &s->block[level][s->block_n[level] - 1] : NULL;
    if (!b || b->used + n > STIMULUS_BLOCK_FRAMES || (s->block_n[level] < 2 && odds(&s->rng, 1, 8))) {
        if (!new_block(s, level))
            return false;
        b = &s->block[level][s->block_n[level] - 1];
    }
    *first = b->at + b->used;
    for (unsigned i = 0; i < n; i++) {
        if (!dmt_mem_add(s->mem, b->host + b->used + i))
            return false;
    }
    b->used += n;
    if (odds(&s->rng, 1, 4) && b->used < STIMULUS_BLOCK_FRAMES - 8)
        b->used += (unsigned)rng_below(&s->rng, 4);
    return true;
}

static bool is_ept(const struct tables *t)
{
    return t->s2 && t->s2->format == DMT_FORMAT_EPT;
}

static bool new_frames(struct stimulus *s, const struct tables *t, unsigned n, uint64_t *first)
{
    if (!take_frames(s, t, n, first))
        return false;
    for (unsigned i = 0; i < n && is_ept(t) && s->ept_n < STIMULUS_EPT; i++)
        s->ept[s->ept_n++] = host_frame(s, t, *first + i);
    return true;
}

/* ------------------------------------------------------------ random entries */

/* One time in a hundred, one bit that the level or the physical width reserves. */
static uint64_t mutate(struct stimulus *s, const struct tables *t, uint64_t e, unsigned level)
{
    struct rng *r = &s->rng;

    if (!odds(r, 1, 100))
        return e;
    switch (rng_below(r, 4)) {
    case 0:
        return s->base.maxpa < 52 ? e | 1ull << (s->base.maxpa + rng_below(r, 52 - s->base.maxpa)) : e;
    case 1:
        if (is_ept(t))
            return e | 1ull << (level >= 4 || odds(r, 1, 2) ? 3 + rng_below(r, 5) : 12 + rng_below(r, 9));
        return e | (level >= 4 ? E_PS : level > 1 ? 1ull << (13 + rng_below(r, 9 * level - 10)) : 0);
    case 2:
        return e ^ (is_ept(t) ? EPT_R : E_XD);
    default:
        return e ^ 1ull << rng_below(r, 64);
    }
}

/* How willing this scenario's pages are: mostly usable, so that walks get far. */
static uint64_t leaf_flags(struct stimulus *s, const struct tables *t)
{
    struct rng *r = &s->rng;
    uint64_t x = rng_next(r);
    uint64_t e = x & 0x0e00000000000e18ull; /* AVL, PWT, PCD and some ignored bits as they fall */

    if (is_ept(t)) {
        e = (x & 0x6ff0000000000800ull) | EPT_WB;
        if (!(x & 7))
            e = (e & ~(7ull << 3)) | (x >> 3 & (x >> 6 & 15 ? 1 : 7)) << 3 | (x >> 10 & 1) << 6;
        e |= (x >> 12 & 15) ? EPT_R : 0;
        e |= (x >> 16 & 7) && ((e & EPT_R) || !(x >> 20 & 7)) ? E_W : 0;
        e |= (x >> 24 & 7) ? EPT_X : 0;
        e |= (x >> 27 & 3) ? EPT_XU : 0;
        e |= (x >> 30 & 3) ? EPT_A : 0;
        e |= (x >> 32 & 1) ? EPT_D : 0;
        return (x >> 40 & 31) ? e : 0;
    }
    if (x & 0x700000)
        e &= ~0x18ull;
    e |= (x >> 24 & 31) ? E_P : 0;
    e |= (x >> 29 & 7) ? E_W : 0;
    e |= (x >> 32 & 7) ? E_U : 0;
    e |= (x >> 35 & 1) ? E_A : 0;
    e |= (x >> 36 & 1) ? E_D : 0;
    e |= (x >> 37 & 7) ? 0 : 1ull << 8;
    if (!(x >> 40 & 3) && (t->s2 || (s->base.level[t->stage].efer & DMT_LEVEL_EFER_NXE_MASK)))
        e |= E_XD;
    if (x >> 42 & 1)
        e |= (x >> 44 & 15) << 59;
    return e;
}

/* What a leaf of t yields: of a guest's, mostly an address that the stage
 * below maps, at times that of a table. */
static uint64_t random_yield(struct stimulus *s, const struct tables *t)
{
    struct rng *r = &s->rng;
    uint64_t any = rng_next(r) & mask(s->base.maxpa - 12);
    const struct tables *below;
    const struct region *g;
    unsigned pick;

    if (t->host)
        return any;
    below = &s->tables[t->stage - 1];
    g = &below->region[rng_below(r, below->region_n)];
    pick = (unsigned)rng_below(r, 32);
    if (pick == 0)
        return any;
    if (pick == 1 && s->block_n[t->stage - 1]) {
        const struct block *b = &s->block[t->stage - 1][rng_below(r, s->block_n[t->stage - 1])];

        return b->at + rng_below(r, STIMULUS_BLOCK_FRAMES);
    }
    if (pick < (s->huge ? 24 : 8))
        return (g->va >> 12) + rng_next(r) % ((uint64_t)g->l2_n << 18);
    if (pick < 12)
        return ((g->va >> 12) + (rng_next(r) & mask(27))) & mask(s->base.maxpa - 12);
    return (g->va >> 12) + rng_below(r, (uint64_t)g->l1_n << 9);
}

static uint64_t random_leaf(struct stimulus *s, const struct tables *t, unsigned level)
{
    uint64_t e = leaf_flags(s, t), pfn = random_yield(s, t) & ~mask(9 * (level - 1));

    e |= level > 1 ? E_PS : 0;
    if (rng_next(&s->rng) % 8 == 0 && !is_ept(t))
        e |= level > 1 ? 1ull << 12 : 1ull << 7; /* PAT */
    return mutate(s, t, e | pfn << 12, level);
}

/* An entry that lets everything pass, but for one thing now and then. */
static uint64_t sure_flags(struct stimulus *s, const struct tables *t, bool leaf)
{
    struct rng *r = &s->rng;
    uint64_t x = rng_next(r), lost = 0;
    unsigned rare = 16 * s->gentle;
    bool page = leaf && odds(r, 1, 64);
    uint64_t e = is_ept(t) ? EPT_R | E_W | EPT_X | EPT_XU | (leaf ? EPT_WB : 0) : E_P | E_W | E_U;

    if (page || odds(r, 1, rare))
        lost = E_W;
    else if (odds(r, 1, rare))
        lost = is_ept(t) ? EPT_X : E_U;
    else if (odds(r, 1, rare) && !is_ept(t))
        e |= E_XD;
    else if (odds(r, 1, 8 * rare))
        lost = E_P | E_W;
    if (x & 3)
        e |= is_ept(t) ? EPT_A : E_A;
    if (leaf && (x & 12))
        e |= is_ept(t) ? EPT_D : E_D;
    return e & ~lost;
}

static uint64_t random_pointer(struct stimulus *s, const struct tables *t, unsigned level, uint64_t pfn)
{
    uint64_t x = rng_next(&s->rng);
    uint64_t e = E_P | (x & 15 ? E_W : 0) | (x & 0xf0 ? E_U : 0) | (x & 0x300 ? E_A : 0);

    if (t->s2)
        return mutate(s, t, sure_flags(s, t, false) | pfn << 12, level);
    if (!(x & 0x7c00))
        e |= E_XD;
    if (!(x & 0x18000))
        e |= (x & 0x7ff0000000000000ull & ~(E_XD)) | (x >> 20 & 0x118) | (x >> 24 & 0xe00);
    if (!(x >> 20 & 127))
        e &= ~E_P;
    return mutate(s, t, (e & ~E_PS) | pfn << 12, level);
}

/* ------------------------------------------------------------ random page tables */

/* More upper entries than the largest cache holds point to the few tables of
 * a level, so that entries are replaced. */
#define ALIASES_2 96 /* PDEs */
#define ALIASES_3 24 /* PDPTEs */

/* Fill a table: the first entries point to its children (child frames are
 * consecutive), some more point to them again, the rest are leaves, holes, and
 * pointers to frames that do not exist. */
static bool fill_table(struct stimulus *s, const struct tables *t, uint64_t pfn, unsigned level,
                       uint64_t child, unsigned child_n)
{
    unsigned aliases = !child_n ? 0 : level == 2 ? ALIASES_2 : ALIASES_3;
    uint8_t *frame = dmt_mem_add(s->mem, host_frame(s, t, pfn));
    uint64_t e[512];

    if (!frame)
        return false;
    for (unsigned i = 0; i < 512; i++) {
        unsigned kind = (unsigned)rng_next(&s->rng) & 15;

        if (i < child_n)
            e[i] = kind < 14 ? random_pointer(s, t, level, child + i) : random_leaf(s, t, level);
        else if (i < aliases && kind < 12)
            e[i] = random_pointer(s, t, level, child + i % child_n);
        else if (level == 1 || kind < 14)
            e[i] = random_leaf(s, t, level);
        else if (kind < 15)
            e[i] = random_pointer(s, t, level, rng_next(&s->rng) & mask(s->base.maxpa - 12));
        else
            e[i] = 0;
        e[i] = htole64(e[i]);
    }
    memcpy(frame, e, sizeof(e));
    return true;
}

/* Mostly anywhere, sometimes beside a border of the canonical ranges. */
static unsigned random_index(struct rng *r)
{
    static const unsigned border[] = { 0, 255, 256, 511 };

    return odds(r, 1, 6) ? border[rng_below(r, 4)] : (unsigned)rng_below(r, 512);
}

/* Put a region at indices of the two topmost levels; false: there is one
 * already (of a second stage, whose memory must stay where it is). */
static bool place_region(struct stimulus *s, struct tables *t, struct region *g, unsigned index,
                         unsigned index5)
{
    unsigned unused = t->five ? 7 : 16; /* bits that repeat the highest one */

    g->va = (uint64_t)index << 39 | (t->five ? (uint64_t)index5 << 48 : 0);
    if (t->s2) {
        for (const struct region *other = t->region; other < g; other++) {
            if (other->va == g->va)
                return false;
        }
    } else {
        g->va = (uint64_t)((int64_t)(g->va << unused) >> unused);
    }
    set_entry(s, t, g->l4, index, random_pointer(s, t, 4, g->l3));
    return true;
}

/* Indices at which a second stage's addresses end below MAXPA: 2^n of them. */
static unsigned below_maxpa(const struct stimulus *s, unsigned lsb)
{
    unsigned bits = s->base.maxpa > lsb ? s->base.maxpa - lsb : 0;

    return 1u << (bits > 9 ? 9 : bits);
}

/* like: regions at the addresses of another's, or NULL. */
static bool build_tables(struct stimulus *s, struct tables *t, const struct tables *like)
{
    struct rng *r = &s->rng;
    unsigned range = t->s2 ? below_maxpa(s, 39) : 512, own = 1 + (unsigned)rng_below(r, STIMULUS_REGIONS / 3);
    unsigned index5 = (unsigned)rng_below(r, below_maxpa(s, 48)), aliases;
    uint64_t l4;

    if (!new_frames(s, t, 1, &t->root))
        return false;
    l4 = t->root;
    if (like) {
        own = like->own_n;
        index5 = like->region[0].va >> 48 & 511;
    } else if (t->s2) {
        own = range == 1 ? 1 : 1 + (unsigned)rng_below(r, 2);
        if (range > 4 && odds(r, 1, 2))
            range = 4;
    }
    if (t->five && t->s2) {
        if (!new_frames(s, t, 1, &l4))
            return false;
        set_entry(s, t, t->root, index5, random_pointer(s, t, 5, l4));
    }
    while (t->region_n < own) {
        struct region *g = &t->region[t->region_n];

        g->l4 = l4;
        if (!t->s2) {
            index5 = random_index(r);
            if (t->five) {
                if (!new_frames(s, t, 1, &g->l4))
                    return false;
                set_entry(s, t, t->root, index5, random_pointer(s, t, 5, g->l4));
            }
        }
        g->l2_n = like ? like->region[t->region_n].l2_n : 1 + s->huge + (unsigned)rng_below(r, s->huge ? 2 : 3);
        g->l1_n = like ? like->region[t->region_n].l1_n : 1 + (unsigned)rng_below(r, 4);
        if (!new_frames(s, t, 1, &g->l3) || !new_frames(s, t, g->l2_n, &g->l2) ||
            !new_frames(s, t, g->l1_n, &g->l1))
            return false;
        while (!place_region(s, t, g,
                             like     ? like->region[t->region_n].va >> 39 & 511
                             : t->s2 ? (unsigned)rng_below(r, range)
                                     : random_index(r),
                             index5))
            continue;
        t->region_n++;
        if (!fill_table(s, t, g->l3, 3, g->l2, g->l2_n))
            return false;
        for (unsigned i = 0; i < g->l2_n; i++) {
            if (!fill_table(s, t, g->l2 + i, 2, g->l1, i ? 0 : g->l1_n))
                return false;
        }
        for (unsigned i = 0; i < g->l1_n; i++) {
            if (!fill_table(s, t, g->l1 + i, 1, 0, 0))
                return false;
        }
    }
    t->own_n = t->region_n;
    /* The same tables at more addresses. */
    aliases = t->s2 ? range > 8 && !like ? (unsigned)rng_below(r, 3) : 0
                    : (unsigned)rng_below(r, STIMULUS_REGIONS - t->region_n + 1);
    for (; aliases; aliases--) {
        struct region *g = &t->region[t->region_n];

        *g = t->region[rng_below(r, t->own_n)];
        if (place_region(s, t, g, t->s2 ? (unsigned)rng_below(r, range) : random_index(r),
                         (unsigned)(g->va >> 48) & 511))
            t->region_n++;
    }
    return true;
}

/* Make t map STIMULUS_BLOCK_FRAMES frames of region n at `at` to those at `to`
 * with pages of this size, which the region's tables have there. */
static bool map_block(struct stimulus *s, struct tables *t, unsigned n, unsigned sz, uint64_t at, uint64_t to)
{
    struct region *g = &t->region[n];
    unsigned i4 = at >> 27 & 511, i3 = at >> 18 & 511, i2 = at >> 9 & 511;
    uint64_t l2 = g->l2;

    if (t->five)
        set_entry(s, t, t->root, at >> 36 & 511, sure_flags(s, t, false) | g->l4 << 12);
    set_entry(s, t, g->l4, i4, sure_flags(s, t, false) | g->l3 << 12);
    if (sz == DMT_SIZE_1G && ((at ^ to) & mask(18)) == 0) {
        set_entry(s, t, g->l3, i3, sure_flags(s, t, true) | E_PS | (to & ~mask(18)) << 12);
        return true;
    }
    if (sz == DMT_SIZE_1G && !new_frames(s, t, 1, &l2)) /* the same address by a smaller page */
        return false;
    set_entry(s, t, g->l3, i3, sure_flags(s, t, false) | l2 << 12);
    if (sz != DMT_SIZE_4K) {
        set_entry(s, t, l2, i2, sure_flags(s, t, true) | E_PS | to << 12);
        return true;
    }
    set_entry(s, t, l2, i2, sure_flags(s, t, false) | (g->l1 + i2) << 12);
    for (unsigned i = 0; i < STIMULUS_BLOCK_FRAMES; i++)
        set_entry(s, t, g->l1 + i2, i, sure_flags(s, t, true) | (to + i) << 12);
    return true;
}

/* Is there a block at this frame, or under the same 1 GiB page when it is to have one? */
static bool block_taken(struct stimulus *s, unsigned level, uint64_t at, unsigned sz)
{
    unsigned shift = sz == DMT_SIZE_1G ? 18 : 9;

    for (unsigned i = 0; i < s->block_n[level]; i++) {
        if (s->block[level][i].at >> shift == at >> shift)
            return true;
    }
    return false;
}

/* Memory of a level for tables of the stage above: 2 MiB aligned, so that every size can map it. */
static bool new_block(struct stimulus *s, unsigned level)
{
    struct rng *r = &s->rng;
    struct tables *t = &s->tables[level];
    uint64_t top = 1ull << (s->base.maxpa - 12), to, host;
    unsigned n = (unsigned)rng_below(r, t->own_n), sz;
    const struct region *g = &t->region[n];
    struct block *b;

    if (level) {
        if (s->block_n[0] == STIMULUS_BLOCKS || !new_block(s, 0))
            return false;
        to = s->block[0][s->block_n[0] - 1].at;
        host = s->block[0][s->block_n[0] - 1].host;
        s->block[0][s->block_n[0] - 1].used = STIMULUS_BLOCK_FRAMES;
    } else {
        do
            host = (rng_next(r) & (top - 1)) & ~mask(9);
        while (!host_free(s, host, STIMULUS_BLOCK_FRAMES));
        to = host;
    }
    if (s->block_n[level] == STIMULUS_BLOCKS)
        return false;
    b = &s->block[level][s->block_n[level]];
    do {
        static const uint8_t sizes[] = { DMT_SIZE_4K, DMT_SIZE_4K, DMT_SIZE_4K, DMT_SIZE_2M, DMT_SIZE_1G };
        uint64_t room = s->base.maxpa >= 39 ? 512 : 1ull << (s->base.maxpa - 30);

        sz = sizes[rng_below(r, 5)];
        if (sz == DMT_SIZE_4K)
            b->at = rng_below(r, g->l1_n) << 9;
        else if (sz == DMT_SIZE_2M)
            b->at = (g->l1_n + rng_below(r, 512 - g->l1_n)) << 9;
        else
            b->at = (g->l2_n + rng_below(r, room - g->l2_n)) << 18 | (to & mask(18));
        b->at += g->va >> 12;
    } while (block_taken(s, level, b->at, sz));
    b->host = host;
    b->used = 0;
    s->block_n[level]++;
    if (!map_block(s, t, n, sz, b->at, to))
        return false;
    return !level || !s->shadow.region_n || map_block(s, &s->shadow, n, sz, b->at, host);
}

/* ------------------------------------------------------------ random gTEAs */

/* Each block is a gTEA of the stage above; most other IDs are not. */
static uint64_t random_gtea_word(struct stimulus *s, unsigned word)
{
    struct rng *r = &s->rng;
    uint64_t x = rng_next(r);

    if (word == 0)
        return (x & 0x0ff0000000000ffeull) | odds(r, 1, 2) | (x & mask(s->base.maxpa - 12)) << 12;
    switch (rng_below(r, 4)) {
    case 0:
        return x & 7;
    case 1: /* up to the end of memory, or one page beyond, when the base is the last page */
        return 1 + (x & 1);
    case 2:
        return x;
    default:
        return 1 + (x & 0xffff);
    }
}

static bool build_gteas(struct stimulus *s, unsigned set)
{
    struct rng *r = &s->rng;
    unsigned entries = odds(r, 1, 8) ? 4096 : 16 + (unsigned)rng_below(r, 48);
    unsigned last = (1u << (s->base.maxpa - 12 > 31 ? 31 : s->base.maxpa - 12)) - 1;
    struct dmt_gtea *g = &s->base.gtea[set];
    uint64_t frame;

    if (!host_frames(s, (entries * 16 + 4095) / 4096, &frame))
        return false;
    g->table = frame << 12;
    g->entries = (uint16_t)entries;
    for (unsigned i = 0; i < entries; i++) {
        dmt_mem_write(s->mem, g->table + 16 * i, random_gtea_word(s, 0));
        dmt_mem_write(s->mem, g->table + 16 * i + 8, random_gtea_word(s, 1));
    }
    dmt_mem_write(s->mem, g->table, (uint64_t)last << 12 | 1);
    for (unsigned i = 0; i < s->block_n[set - 1]; i++) {
        struct block *b = &s->block[set - 1][i];

        b->id = 1 + i + STIMULUS_BLOCKS * (unsigned)rng_below(r, (entries - 1) / STIMULUS_BLOCKS);
        dmt_mem_write(s->mem, g->table + 16 * b->id, b->host << 12 | 1);
        dmt_mem_write(s->mem, g->table + 16 * b->id + 8,
                      odds(r, 7, 8) ? STIMULUS_BLOCK_FRAMES : 1 + rng_below(r, STIMULUS_BLOCK_FRAMES));
    }
    return true;
}

/* ------------------------------------------------------------ random TEA registers */

/* Entries of a smaller size where the tables mostly have larger pages, as software leaves them that has put huge pages
 * in place of small ones: whatever they hold, a larger size's register decides first. */
static void place_below_leaves(struct stimulus *s, const struct tables *tables, const struct region *g,
                               struct dmt_tea *t)
{
    struct rng *r = &s->rng;
    const struct block *b;
    unsigned sz = g->l2_n > 1 && odds(r, 3, 4) ? DMT_SIZE_4K : DMT_SIZE_2M;
    unsigned first = sz == DMT_SIZE_4K ? 1 + (unsigned)rng_below(r, g->l2_n - 1) /* GiB */
                                       : ALIASES_3 + (unsigned)rng_below(r, 512 - ALIASES_3);
    unsigned last = sz == DMT_SIZE_4K ? g->l2_n : first + 1 + (unsigned)rng_below(r, 512 - first);
    uint64_t room;

    t->sz = (uint8_t)sz;
    t->base_vpn = ((g->va >> 12) + ((uint64_t)first << 18)) & mask(52);
    t->base_pfn = sz == DMT_SIZE_4K ? g->l1 : g->l2;
    t->pages = (uint64_t)(last - first) << 18;
    b = tables->host ? NULL : block_of(s, tables->stage - 1, t->base_pfn);
    if (!b)
        return;
    room = (uint64_t)(STIMULUS_BLOCK_FRAMES - (t->base_pfn - b->at)) << (9 * sz + 9); /* of the gTEA */
    t->base_vpn += odds(r, 1, 2) ? rng_below(r, 512) << 9 : 0;
    t->pages = t->pages < room ? t->pages : room;
}

static void random_tea(struct stimulus *s, unsigned set, struct dmt_tea *t)
{
    struct rng *r = &s->rng;
    const struct tables *tables = &s->tables[set <= s->entering ? set : s->entering];
    const struct region *g = &tables->region[rng_below(r, tables->region_n)];
    unsigned sz = (unsigned)rng_below(r, 3);
    unsigned count = sz == 0 ? g->l1_n : sz == 1 ? g->l2_n : 1;
    unsigned first = (unsigned)rng_below(r, count);
    uint64_t base = sz == 0 ? g->l1 : sz == 1 ? g->l2 : g->l3;
    const struct block *b;
    bool below;

    memset(t, 0, sizeof(*t));
    t->sz = (uint8_t)sz;
    t->base_vpn = ((g->va >> 12) + ((uint64_t)first << (9 * sz + 9))) & mask(52);
    t->base_pfn = base + first;
    t->pages = (uint64_t)(count - first) << (9 * sz + 9);
    t->allow = odds(r, 3, 4) ? 7 : (uint8_t)rng_below(r, 8);
    t->valid = true;
    below = s->huge ? odds(r, 1, 2) : odds(r, 1, 8);
    if (below)
        place_below_leaves(s, tables, g, t);
    b = tables->host ? NULL : block_of(s, tables->stage - 1, t->base_pfn);
    if (b && (s->kinds == 0 || (s->kinds > 1 && odds(r, 1, 2)))) {
        t->kind = DMT_KIND_GTEA;
        t->base_pfn -= b->at;
        t->gtea = (uint16_t)b->id;
    }
    if (t->base_vpn + t->pages > 1ull << 52) /* the last region of the address space */
        t->pages = (1ull << 52) - t->base_vpn;
    if (!below && odds(r, 1, s->huge ? 12 : 3))
        t->pages = 1 + rng_next(r) % t->pages;
    /* Every translation rests on the lower sets, so these are mostly sound. */
    switch (rng_below(r, set < s->entering ? 400 : 48)) {
    case 0: /* the first page is not on a table boundary */
        t->base_vpn += rng_below(r, 512);
        break;
    case 1: /* a table of another level, or something that is no table at all */
        t->base_pfn = (t->kind == DMT_KIND_GTEA ? 0 : g->l3) + rng_below(r, 8);
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
    case 7: /* another gTEA, or one that nobody granted */
        t->gtea = (uint16_t)rng_below(r, odds(r, 1, 2) ? 64 : 4096);
        break;
    case 8: /* as far as numbers go */
        t->base_pfn = mask(52) - rng_below(r, 2);
        t->pages = 1ull << (20 + rng_below(r, 20));
        break;
    default:
        break;
    }
}

static uint64_t random_tea_word(struct stimulus *s, unsigned set, unsigned word)
{
    struct rng *r = &s->rng;
    struct dmt_tea t;
    uint64_t w[3];

    random_tea(s, set, &t);
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

/* ------------------------------------------------------------ images of register sets */

#define IMAGE_SIZE 2048
#define IMAGE_STRIDE 32

/* Words of register i as software would have it in an image that is sound, or in a hostile one. */
static void image_words(struct stimulus *s, unsigned set, unsigned i, bool sound, uint64_t word[3])
{
    struct rng *r = &s->rng;
    struct dmt_tea t = s->base.tea[set][i];

    if (!sound && odds(r, 1, 2)) {
        for (unsigned w = 0; w < 3; w++)
            word[w] = odds(r, 1, 4) ? rng_next(r) : random_tea_word(s, set, w);
        return;
    }
    if (!sound && t.valid && t.kind == DMT_KIND_GTEA) /* one that others were granted, or nobody */
        t.gtea = (uint16_t)rng_below(r, odds(r, 1, 2) ? 64 : 4096);
    else if (!sound)
        random_tea(s, set, &t);
    dmt_tea_pack(&t, word);
}

static uint64_t image_addr(const struct stimulus *s, unsigned set, unsigned n, unsigned i, unsigned word)
{
    return s->image[set].base + IMAGE_SIZE * n + IMAGE_STRIDE * i + 8 * word;
}

/* Every level has images: the first is the scenario's register set, some are
 * near it, some are anything. Registers that the instance lacks have words,
 * too, and each register one that is ignored. */
static bool build_images(struct stimulus *s)
{
    struct rng *r = &s->rng;

    for (unsigned set = 0; set < s->config.sets; set++) {
        unsigned n = 2 + 2 * (unsigned)rng_below(r, 3);
        uint64_t frame;

        if (!host_frames(s, n * IMAGE_SIZE / 4096, &frame))
            return false;
        s->image[set].base = frame << 12;
        s->image[set].n = n;
        for (unsigned k = 0; k < n; k++) {
            unsigned hostile = k ? (unsigned)rng_below(r, 4) : 0; /* registers, out of 3 */

            for (unsigned i = 0; i < IMAGE_SIZE / IMAGE_STRIDE; i++) {
                uint64_t word[4] = { 0, 0, 0, rng_next(r) };

                if (i < s->config.tea_n)
                    image_words(s, set, i, !odds(r, hostile, 3), word);
                else
                    word[0] = word[1] = word[2] = word[3];
                for (unsigned w = 0; w < 4; w++)
                    dmt_mem_write(s->mem, image_addr(s, set, k, i, w), word[w]);
            }
        }
    }
    return true;
}

/* ------------------------------------------------------------ random addresses */

static uint64_t random_va(struct stimulus *s)
{
    struct rng *r = &s->rng;
    const struct tables *tables = &s->tables[s->entering];
    const struct region *g = &tables->region[rng_below(r, tables->region_n)];
    const struct dmt_tea *t;

    if (s->huge && odds(r, 1, 2)) /* beyond the tables of small pages */
        return g->va + (1ull << 30) + rng_next(r) % ((uint64_t)(g->l2_n - 1) << 30);
    switch (rng_below(r, 24)) {
    case 0:
        return rng_next(r);
    case 1:
        return g->va ^ 1ull << (47 + rng_below(r, 17));
    case 2:
        return (uint64_t)((int64_t)(rng_next(r) << 16) >> 16);
    case 3: /* first and last byte of a TEA register, and their neighbours */
    case 4:
        t = &s->base.tea[s->entering][rng_below(r, s->config.tea_n)];
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
        t = &s->base.tea[s->entering][rng_below(r, s->config.tea_n)];
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

/* Write everything again, as after MAXPA has cleared it. There must be room. */
static void reprogram(struct stimulus *s)
{
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
        return DMT_LEVEL_BASE((unsigned)rng_below(r, 3)) + 0x800 + 8 * (unsigned)rng_below(r, 16);
    case 4:
        return DMT_HOST_BASE + 0x100 + 8 * (unsigned)rng_below(r, 20);
    default:
        return DMT_HOST_BASE + 8 * (unsigned)rng_below(r, 27);
    }
}

static uint64_t ctl_of(const struct dmt_state *b)
{
    return b->mode | (b->ad_update ? DMT_HOST_CTL_AD_UPDATE_MASK : 0) |
           (b->full ? DMT_HOST_CTL_FALLBACK_MASK : 0);
}

static uint64_t s2ctl_of(const struct dmt_s2 *t)
{
    return (uint64_t)t->format << DMT_LEVEL_S2CTL_FORMAT_LSB | (t->five ? DMT_LEVEL_S2CTL_FIVE_MASK : 0) |
           (t->ad ? DMT_LEVEL_S2CTL_AD_MASK : 0) | (t->mbec ? DMT_LEVEL_S2CTL_MBEC_MASK : 0);
}

/* A value of a control register of the entering level: mostly what the
 * scenario wants with an unimportant bit changed, sometimes anything. */
static void random_control(struct stimulus *s)
{
    static const unsigned char toggles[] = {
        DMT_LEVEL_CR4_PGE_LSB, DMT_LEVEL_CR4_SMEP_LSB, DMT_LEVEL_CR4_SMAP_LSB,  DMT_LEVEL_CR4_PKE_LSB,
        DMT_LEVEL_CR4_PKS_LSB, DMT_LEVEL_CR4_PCIDE_LSB, DMT_LEVEL_CR4_LA57_LSB,
    };
    struct rng *r = &s->rng;
    const struct dmt_level *b = &s->base.level[s->entering];
    unsigned home = DMT_LEVEL_BASE(s->entering);
    unsigned base = odds(r, 7, 8) ? home : DMT_LEVEL_BASE((unsigned)rng_below(r, 3));
    bool wild = odds(r, 1, 12);

    switch (rng_below(r, 8)) {
    case 0:
        csr_push(&s->csr, base + DMT_LEVEL_CR0, wild ? rng_next(r) : b->cr0 ^ (odds(r, 1, 2) ? 0x10000 : 0));
        break;
    case 1: /* LA57 makes every address mean something else, so it soon goes back */
        csr_push(&s->csr, base + DMT_LEVEL_CR4,
                 b->cr4 ^ 1ull << toggles[rng_below(r, wild ? sizeof(toggles) : sizeof(toggles) - 1)]);
        if (wild)
            csr_push(&s->csr, home + DMT_LEVEL_CR4, b->cr4);
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
            csr_push(&s->csr, home + DMT_LEVEL_CR3, b->cr3);
            break;
        }
        /* fall through */
    default:
        csr_push(&s->csr, base + DMT_LEVEL_CR3,
                 (b->cr3 & ~0xfffull) | rng_below(r, 3) | (odds(r, 1, 2) ? DMT_LEVEL_CR3_NOFLUSH_MASK : 0));
        break;
    }
}

static void push_gtea(struct stimulus *s, unsigned op, unsigned set, unsigned id)
{
    csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_GTEA_CMD,
             (uint64_t)op << DMT_HOST_GTEA_CMD_OP_LSB | (uint64_t)set << DMT_HOST_GTEA_CMD_SET_LSB | id);
}

/* The host changes which memory it grants, in the table or by command; what
 * it revokes it mostly grants again soon. */
static void random_gtea(struct stimulus *s)
{
    struct rng *r = &s->rng;
    unsigned set = odds(r, 7, 8) ? 1 + (unsigned)rng_below(r, 2) : (unsigned)rng_below(r, 4);
    unsigned level = set == 2, step = level * (DMT_HOST_GTEA_TABLE2 - DMT_HOST_GTEA_TABLE1);
    const struct dmt_gtea *g = &s->base.gtea[set % 3];
    unsigned id = s->block_n[level] && odds(r, 3, 4) ? s->block[level][rng_below(r, s->block_n[level])].id
                                                     : (unsigned)rng_below(r, odds(r, 1, 2) ? 64 : 4096);
    uint64_t addr = g->table + 16 * id + 8 * rng_below(r, 2), was;

    switch (rng_below(r, 12)) {
    case 0: /* the same table again: everything is revoked */
    case 1:
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_GTEA_TABLE1 + step, g->table | (rng_next(r) & 0xfff));
        break;
    case 2:
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_GTEA_ENTRIES1 + step,
                 odds(r, 1, 2) ? rng_next(r) >> rng_below(r, 64) : 4090 + rng_below(r, 12));
        if (odds(r, 1, 2))
            push_gtea(s, DMT_GTEA_OP_RESOLVE_ALL, set, 0);
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_GTEA_ENTRIES1 + step, g->entries);
        break;
    case 3:
        /* Anything, or so near the end of memory that the table passes it. */
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_GTEA_TABLE1 + step,
                 odds(r, 1, 2) ? rng_next(r) >> rng_below(r, 40)
                               : (1ull << s->base.maxpa) - 4096 * (1 + rng_below(r, 4)));
        if (odds(r, 1, 2))
            push_gtea(s, DMT_GTEA_OP_RESOLVE, set, id);
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_GTEA_TABLE1 + step, g->table);
        break;
    case 4: /* the table's memory: seen by registers that are resolved from now on */
        if (id < g->entries)
            agent_poke(s->agent, addr, random_gtea_word(s, addr >> 3 & 1));
        break;
    case 5:
    case 6:
    case 7:
        if (id < g->entries && dmt_mem_read(s->pristine, addr & ~8ull, &was)) {
            agent_poke(s->agent, addr & ~8ull, was);
            dmt_mem_read(s->pristine, addr | 8, &was);
            agent_poke(s->agent, addr | 8, was);
        }
        push_gtea(s, DMT_GTEA_OP_RESOLVE, set, id);
        return;
    case 8:
    case 9:
        push_gtea(s, DMT_GTEA_OP_REVOKE, set, id);
        if (odds(r, 3, 4))
            push_gtea(s, DMT_GTEA_OP_RESOLVE, set, id);
        return;
    default:
        push_gtea(s, (unsigned)rng_below(r, 4), set, id);
        break;
    }
    if (odds(r, 7, 8))
        push_gtea(s, DMT_GTEA_OP_RESOLVE_ALL, set, id);
}

/* Registers of second stages and the shadow table: mostly what the scenario
 * wants, under another tag; sometimes anything, and back. */
static void random_second(struct stimulus *s)
{
    struct rng *r = &s->rng;
    unsigned k = (unsigned)rng_below(r, 2);
    const struct dmt_s2 *t = &s->base.s2[k];
    bool wild = odds(r, 1, 8);

    switch (rng_below(r, 8)) {
    case 0:
    case 1:
    case 2:
        if (wild)
            csr_push(&s->csr, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2ROOT, rng_next(r) >> (rng_next(r) & 31));
        csr_push(&s->csr, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2ROOT,
                 t->root | rng_below(r, 3) | (odds(r, 1, 2) ? DMT_LEVEL_S2ROOT_NOFLUSH_MASK : 0));
        break;
    case 3:
        if (wild)
            csr_push(&s->csr, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2CTL, rng_next(r));
        csr_push(&s->csr, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2CTL,
                 s2ctl_of(t) ^ (rng_next(r) & rng_next(r) &
                                (DMT_LEVEL_S2CTL_AD_MASK | DMT_LEVEL_S2CTL_MBEC_MASK)));
        break;
    case 4:
        if (wild)
            csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_SHADOW_ROOT, rng_next(r) >> (rng_next(r) & 31));
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_SHADOW_ROOT, s->base.shadow.root | (rng_next(r) & 0xfff));
        break;
    case 5:
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_SHADOW_CTL,
                 s2ctl_of(&s->base.shadow) ^ (odds(r, 1, 2) ? DMT_HOST_SHADOW_CTL_AD_MASK : 0));
        break;
    default:
        csr_push(&s->csr, DMT_LEVEL_BASE((unsigned)rng_below(r, 3)) + DMT_LEVEL_INV,
                 (DMT_INV_S2_CONTEXT + rng_below(r, 2)) << DMT_LEVEL_INV_KIND_LSB |
                     rng_below(r, 3) << DMT_LEVEL_INV_PCID_LSB | rng_below(r, 1ull << 32));
        break;
    }
}

/* Register i as the scenario wants it, word by word. */
static void put_back(struct stimulus *s, unsigned set, unsigned i)
{
    uint64_t w[3];

    dmt_tea_pack(&s->base.tea[set][i], w);
    for (unsigned k = 3; k--;)
        csr_push(&s->csr, DMT_LEVEL_BASE(set) + DMT_LEVEL_TEA_WORD0(i) + 8 * k, w[k]);
}

static void push_images(struct stimulus *s, unsigned set)
{
    unsigned step = set * (DMT_HOST_IMAGE_BASE1 - DMT_HOST_IMAGE_BASE0);

    csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_IMAGE_BASE0 + step, s->image[set].base);
    csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_IMAGE_COUNT0 + step, s->image[set].n);
}

/* A level stores to one of its images, loaded just now or not; as often it puts registers back there. */
static void poke_image(struct stimulus *s)
{
    struct rng *r = &s->rng;
    unsigned set = (unsigned)rng_below(r, s->entering + 1), n = (unsigned)rng_below(r, s->image[set].n);
    bool sound = odds(r, 1, 2);

    for (unsigned k = 1 + (unsigned)rng_below(r, 4); k; k--) {
        unsigned i = (unsigned)rng_below(r, s->config.tea_n);
        uint64_t word[3];

        image_words(s, set, i, sound, word);
        for (unsigned w = 0; w < 3; w++) {
            if (odds(r, 3, 4))
                agent_poke(s->agent, image_addr(s, set, n, i, w), word[w]);
        }
    }
}

/* A level switches to another image, or the host grants other images; mostly
 * the scenario's registers come back at once. What came of it is read later. */
static void random_load(struct stimulus *s)
{
    struct rng *r = &s->rng;
    unsigned set = (unsigned)rng_below(r, odds(r, 15, 16) ? s->entering + 1 : s->config.sets);
    unsigned load = DMT_LEVEL_BASE(set) + DMT_LEVEL_LOAD;
    unsigned step = set * (DMT_HOST_IMAGE_BASE1 - DMT_HOST_IMAGE_BASE0);
    unsigned n = (unsigned)rng_below(r, s->image[set].n);

    switch (rng_below(r, 6)) {
    case 0: /* an image that was not granted, or a bit that nobody reads */
        csr_push(&s->csr, load,
                 odds(r, 1, 3)   ? s->image[set].n + rng_below(r, 3)
                 : odds(r, 1, 2) ? n | 1ull << (12 + rng_below(r, 52))
                                 : rng_next(r) >> rng_below(r, 64));
        break;
    case 1: /* more images than there is memory */
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_IMAGE_COUNT0 + step,
                 odds(r, 1, 2) ? rng_next(r) >> rng_below(r, 64) : 4090 + rng_below(r, 12));
        csr_push(&s->csr, load, odds(r, 1, 2) ? n : rng_below(r, 4096));
        push_images(s, set);
        break;
    case 2: /* anything, or so near the end of memory that the area passes it, or another level's images */
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_IMAGE_BASE0 + step,
                 odds(r, 1, 3)   ? rng_next(r) >> rng_below(r, 40)
                 : odds(r, 1, 2) ? (1ull << s->base.maxpa) - 4096 * (1 + rng_below(r, 2))
                                 : s->image[rng_below(r, s->config.sets)].base | (rng_next(r) & 0xfff));
        csr_push(&s->csr, load, n);
        push_images(s, set);
        break;
    default:
        csr_push(&s->csr, load, n);
        break;
    }
    for (unsigned i = (unsigned)rng_below(r, 4); i; i--)
        csr_push_read(&s->csr, DMT_LEVEL_BASE(set) +
                                   DMT_LEVEL_TEA_WORD0((unsigned)rng_below(r, s->config.tea_n)) +
                                   8 * (unsigned)rng_below(r, 4));
    s->look = set + 1;
    if (odds(r, 1, 3)) {
        csr_push(&s->csr, load, 0);
    } else if (odds(r, 1, 2)) {
        for (unsigned i = 0; i < s->config.tea_n; i++)
            put_back(s, set, i);
    }
}

static void random_csr(struct stimulus *s)
{
    struct rng *r = &s->rng;
    unsigned set = (unsigned)rng_below(r, odds(r, 15, 16) ? s->entering + 1 : 3);
    unsigned tea = DMT_LEVEL_BASE(set) + DMT_LEVEL_TEA_WORD0((unsigned)rng_below(r, s->config.tea_n));

    if (!csr_room(&s->csr, CSR_PROGRAM_MAX + 8))
        return;
    if (s->look && csr_idle(&s->csr)) {
        for (unsigned i = 0; i < 4 * s->config.tea_n; i++)
            csr_push_read(&s->csr, DMT_LEVEL_BASE(s->look - 1) + 8 * i);
        s->look = 0;
        return;
    }
    if (s->config.sets > 1 && odds(r, 1, 8)) {
        /* A load takes many clocks: one at a time, mostly, so that requests get their share. */
        if (odds(r, 1, 3))
            poke_image(s);
        else if (csr_idle(&s->csr) || odds(r, 1, 16))
            random_load(s);
        return;
    }
    if (s->config.sets > 1 && odds(r, s->entering ? 6 : 1, 20)) {
        if (odds(r, 1, 2))
            random_gtea(s);
        else
            random_second(s);
        return;
    }
    switch (rng_below(r, 16)) {
    case 0: /* a new register, in the order software uses */
    case 1:
    case 2: {
        uint64_t keep = rng_next(r);

        csr_push(&s->csr, tea + 16, random_tea_word(s, set, 2));
        csr_push(&s->csr, tea + 8, random_tea_word(s, set, 1));
        csr_push(&s->csr, tea, random_tea_word(s, set, 0));
        if (keep & 1)
            csr_push_read(&s->csr, tea + 24);
        break;
    }
    case 3: /* one word alone */
        csr_push(&s->csr, tea + 8 * (unsigned)rng_below(r, 4),
                 random_tea_word(s, set, (unsigned)rng_below(r, 3)));
        break;
    case 4: /* put some of the scenario's registers back */
        for (unsigned n = 4; n; n--)
            put_back(s, set, (unsigned)rng_below(r, s->config.tea_n));
        break;
    case 5:
    case 6:
    case 7:
        random_control(s);
        break;
    case 8:
    case 9:
        csr_push(&s->csr,
                 DMT_LEVEL_BASE(odds(r, 7, 8) ? s->entering : (unsigned)rng_below(r, 3)) + DMT_LEVEL_INV,
                 (odds(r, 15, 16) ? rng_below(r, 4) : rng_below(r, 16)) << DMT_LEVEL_INV_KIND_LSB |
                     rng_below(r, 3) << DMT_LEVEL_INV_PCID_LSB | rng_below(r, 1ull << 32));
        break;
    case 10: { /* AD_UPDATE and the fallback change as they fall, the mode soon goes back */
        uint64_t ctl = (ctl_of(&s->base) & ~DMT_HOST_CTL_AD_UPDATE_MASK) |
                       (odds(r, 3, 4) ? DMT_HOST_CTL_AD_UPDATE_MASK : 0);
        bool other = odds(r, 1, 3);

        if (odds(r, 1, 3))
            ctl ^= DMT_HOST_CTL_FALLBACK_MASK;
        if (other)
            csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_CTL, rng_next(r) & 15);
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
                 rng_below(r, 8));
        csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_EVENT + (unsigned)(rng_next(r) & 8), rng_below(r, 16));
        break;
    case 13: {
        unsigned offset = random_offset(s);

        /* Anything may be written anywhere, but a stray write of these would end the scenario. */
        switch (offset & ~7u) {
        case DMT_HOST_BASE + DMT_HOST_CTL:
        case DMT_HOST_BASE + DMT_HOST_MAXPA:
        case DMT_HOST_BASE + DMT_HOST_SHADOW_ROOT:
        case DMT_HOST_BASE + DMT_HOST_SHADOW_CTL:
        case DMT_LEVEL_S2ROOT:
        case DMT_LEVEL_S2CTL:
        case DMT_LEVEL_BASE(1) + DMT_LEVEL_S2ROOT:
        case DMT_LEVEL_BASE(1) + DMT_LEVEL_S2CTL:
            offset = DMT_HOST_BASE + DMT_HOST_CNT_CLEAR;
            break;
        default:
            break;
        }
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

static void random_level(struct stimulus *s, struct dmt_level *cr)
{
    struct rng *r = &s->rng;

    cr->cr0 = odds(r, 3, 4) ? DMT_LEVEL_CR0_WP_MASK : 0;
    cr->efer = odds(r, 7, 8) ? DMT_LEVEL_EFER_NXE_MASK : 0;
    cr->cr4 = rng_next(r) & rng_next(r) &
              (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_PCIDE_MASK | DMT_LEVEL_CR4_SMEP_MASK |
               DMT_LEVEL_CR4_SMAP_MASK | DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK);
    if (odds(r, 1, 3))
        cr->cr4 |= DMT_LEVEL_CR4_LA57_MASK;
    cr->pkru = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
    cr->pkrs = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
}

static void random_s2(struct stimulus *s, struct dmt_s2 *t)
{
    struct rng *r = &s->rng;

    t->format = odds(r, 1, 3) ? DMT_FORMAT_NPT : DMT_FORMAT_EPT;
    t->five = odds(r, 1, 4);
    t->ad = odds(r, 1, 2);
    t->mbec = odds(r, 1, 3);
}

/* The tables of every stage, from the host's up: those of a stage lie in memory that the one below maps. */
static bool build_scenario(struct stimulus *s)
{
    struct rng *r = &s->rng;
    uint64_t top = 1ull << (s->base.maxpa - 12);

    s->next = odds(r, 1, 4) ? top - 512 : 1 + rng_next(r) % (top - 600);
    for (unsigned k = 0; k <= s->entering; k++) {
        struct tables *t = &s->tables[k];

        *t = (struct tables){ .stage = k, .host = k == 0 };
        if (k < s->entering)
            t->s2 = &s->base.s2[k];
        t->five = t->s2 ? t->s2->five : (s->base.level[k].cr4 & DMT_LEVEL_CR4_LA57_MASK) != 0;
        if (!build_tables(s, t, NULL))
            return false;
        s->base.level[k].cr3 = t->root << 12 | rng_below(r, 3);
        if (t->s2) {
            s->base.s2[k].root = t->root << 12;
            s->base.s2[k].tag = (uint8_t)rng_below(r, 3);
        }
        if (k == 1 && t->s2) {
            s->shadow = (struct tables){ .stage = 1, .host = true, .s2 = &s->base.shadow,
                                         .five = s->base.shadow.five };
            if (!build_tables(s, &s->shadow, t))
                return false;
            s->base.shadow.root = s->shadow.root << 12;
        }
        if (k && !build_gteas(s, k))
            return false;
    }
    return true;
}

bool stimulus_random(struct stimulus *s, const struct dmt_config *config, uint64_t seed, unsigned mode,
                     bool live)
{
    static const unsigned rates[] = { 20, 100, 500, 3000 };
    struct rng *r = &s->rng;
    struct agent *agent = s->agent;
    unsigned density;

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
    s->base.mode = (uint8_t)(mode ? mode : DMT_MODE_NATIVE + rng_below(r, config->sets));
    s->entering = s->base.mode - DMT_MODE_NATIVE;
    s->gentle = 4u << 2 * rng_below(r, 4);
    s->kinds = (unsigned)rng_below(r, 4);
    s->huge = odds(r, 1, 5);
    if (s->huge && odds(r, 2, 3))
        s->kinds = 0;
    s->base.ad_update = odds(r, 7, 8);
    s->base.full = odds(r, 1, 2);
    if (odds(r, 1, 2))
        s->base.maxpa = (uint8_t)(32 + rng_below(r, config->pa_w - 31));
    for (unsigned k = 0; k < config->sets; k++)
        random_level(s, &s->base.level[k]);
    random_s2(s, &s->base.s2[0]);
    random_s2(s, &s->base.s2[1]);
    random_s2(s, &s->base.shadow);
    s->base.shadow.five = s->base.s2[1].five; /* both take the same addresses */
    if (!build_scenario(s))
        return false;

    density = s->huge ? 3 : (unsigned)rng_below(r, 4);
    for (unsigned k = 0; k < config->sets; k++) {
        for (unsigned i = 0; i < config->tea_n; i++) {
            if (density && odds(r, k <= s->entering ? density : 1, k <= s->entering ? 4 : 32) &&
                odds(r, 24, config->tea_n < 24 ? 24 : config->tea_n))
                random_tea(s, k, &s->base.tea[k][i]);
        }
    }
    if (config->sets > 1 && !build_images(s))
        return false;
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
    for (unsigned k = 0; k < config->sets; k++) {
        csr_push(&s->csr, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT_MASK, rng_below(r, 8));
        if (config->sets > 1)
            push_images(s, k);
    }
    csr_push(&s->csr, DMT_HOST_BASE + DMT_HOST_EVENT_MASK, rng_below(r, 16));
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
        csr_invalidate(&s->csr, &s->config);
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
