/* SPDX-License-Identifier: Apache-2.0
 * Bugs that shipped page walkers had, as tests of one translation at a time:
 * entries, rights, A/D bits, caches and TEA registers. The number leads to the
 * public reports, which docs/pitfalls.md lists. */
#include "dmt/regs.h"
#include "drive.h"
#include "perm_rows.h"
#include <inttypes.h>
#include <string.h>

#define P    DMT_PTE_P
#define W    DMT_PTE_W
#define U    DMT_PTE_U
#define A    DMT_PTE_A
#define D    DMT_PTE_D
#define PS   DMT_PTE_PS
#define G    DMT_PTE_G
#define XD   DMT_PTE_XD
#define FULL (P | W | U | A | D)

/* Bits of the error code. */
#define ERR_P    1u
#define ERR_W    2u
#define ERR_U    4u
#define ERR_RSVD 8u
#define ERR_ID   16u
#define ERR_PK   32u

/* ---------------------------------------------------------------- one page with tables of its own */

/* A page and the entries that map it. No two table frames differ in one bit
 * only, so an entry with one frame bit wrong leads where no memory is; and
 * none is a large page's, so PS set wrongly makes a misaligned one. */
struct path {
    unsigned levels, leaf;
    uint64_t va;
    uint64_t addr[6], entry[6]; /* index level */
    struct dmt_state state;     /* walks it; no TEA register */
};

static const uint64_t table_frame[6] = {0, 0x1010, 0x1013, 0x1015, 0x1016, 0x1019};
static const uint64_t page_pa[4] = {0, 0x2c0777000, 0x2c1600000, 0x2c0000000};

/* Store the entries as they were laid. */
static void lay_again(struct drive *d, const struct path *p)
{
    for (unsigned level = p->leaf; level <= p->levels; level++)
        drive_poke(d, p->addr[level], p->entry[level]);
}

static struct path lay(struct drive *d, unsigned levels, unsigned leaf)
{
    struct path p = {.levels = levels, .leaf = leaf, .va = levels == 5 ? 0x00ab5a5ab6c7d8e8 : 0x5a5ab6c7d8e8};
    struct dmt_table root = {d->mem, table_frame[levels], levels};

    for (unsigned level = leaf; level <= levels; level++) {
        p.addr[level] = dmt_table_entry_addr(table_frame[level], level, p.va);
        p.entry[level] = level == leaf ? page_pa[leaf] | FULL | (leaf > 1 ? PS : 0)
                                       : table_frame[level - 1] << 12 | P | W | U | A;
    }
    lay_again(d, &p);
    p.state = drive_native(d, &root);
    return p;
}

/* The register over the path's leaf table. */
static struct dmt_tea tea_of(const struct path *p)
{
    uint64_t pages = 1ull << 9 * (p->leaf - 1);

    return drive_cover(p->va & ~(pages * 4096 - 1), pages, p->leaf - 1, p->addr[p->leaf]);
}

static uint64_t pa_of(const struct path *p)
{
    return page_pa[p->leaf] | (p->va & (dmt_level_bytes(p->leaf) - 1));
}

/* What an unspoilt path answers to a supervisor read. */
static struct dmt_result ok_of(const struct path *p)
{
    return (struct dmt_result){
        .status = DMT_STATUS_OK,
        .pa = pa_of(p),
        .size = (uint8_t)(p->leaf - 1),
        .rights = 7,
        .dirty = true,
    };
}

static struct dmt_result fault(uint64_t va, unsigned error)
{
    return (struct dmt_result){.status = DMT_STATUS_PF, .addr = va, .error = error};
}

static struct dmt_result bus(uint64_t addr, unsigned error)
{
    return (struct dmt_result){.status = DMT_STATUS_BUS, .addr = addr, .error = error};
}

/* A supervisor's access that may set A/D bits. */
static struct dmt_request ask(uint64_t va, unsigned access)
{
    return (struct dmt_request){.va = va, .access = (uint8_t)access, .nonspec = true};
}

static unsigned events_of(const struct drive *d, unsigned kinds)
{
    unsigned n = 0;

    for (unsigned i = 0; i < d->events; i++)
        n += (d->event[i].kind & kinds) != 0;
    return n;
}

/* ---------------------------------------------------------------- bits and sizes */

/* The answer to a supervisor read when one bit of one entry is inverted, as
 * the SDM's tables 4-14 to 4-20 have it. */
static struct dmt_result with_bit_inverted(const struct path *p, unsigned level, unsigned bit, unsigned maxpa,
                                           bool nxe)
{
    struct dmt_result r = ok_of(p);
    bool leaf = level == p->leaf;

    if (bit == 0)
        return fault(p->va, 0);
    if (bit == 63 && !nxe)
        return fault(p->va, ERR_P | ERR_RSVD);
    if (bit >= maxpa && bit <= 51)
        return fault(p->va, ERR_P | ERR_RSVD);
    if (bit == 7 && level >= 4)
        return fault(p->va, ERR_P | ERR_RSVD);
    if (bit == 7 && level > 1 && !leaf) /* a misaligned large page */
        return fault(p->va, ERR_P | ERR_RSVD);
    if (bit == 7 && level > 1) /* a table where no memory is */
        return bus(dmt_table_entry_addr(page_pa[level] >> 12, level - 1, p->va), DMT_BUS_ERROR_READ_DECERR);
    if (leaf && level > 1 && bit > 12 && bit < 3 + 9 * level)
        return fault(p->va, ERR_P | ERR_RSVD);
    if (bit >= 12 && bit <= 51 && !leaf)
        return bus(p->addr[level - 1] ^ 1ull << bit, DMT_BUS_ERROR_READ_DECERR);
    if (bit >= 12 && bit <= 51 && (level == 1 || bit > 12)) {
        r.pa ^= 1ull << bit;
        return r;
    }
    if (bit == 1 || bit == 2)
        r.rights &= ~(1u << (bit - 1));
    if (bit == 63)
        r.rights &= 3;
    if (!leaf)
        return r;
    if (bit == 3 || bit == 4)
        r.memtype = (uint8_t)(1u << (bit - 3));
    if (bit == 7 || bit == 12)
        r.memtype = 4;
    if (bit == 6)
        r.dirty = false;
    r.global = bit == 8;
    if (bit >= 59 && bit <= 62)
        r.pkey = (uint8_t)(1u << (bit - 59));
    return r;
}

static void every_bit(struct drive *d, bool tea)
{
    static const unsigned widths[] = {52, 46, 36};
    unsigned legal = 0, broken = 0;

    for (unsigned shape = 0; shape < 6; shape++) {
        struct path p = lay(d, 4 + shape / 3, 1 + shape % 3);

        for (unsigned v = 0; v < 6; v++) {
            unsigned maxpa = widths[v / 2];
            bool nxe = v & 1;

            p.state.maxpa = (uint8_t)maxpa;
            p.state.level[0].efer = nxe ? DMT_LEVEL_EFER_NXE_MASK : 0;
            p.state.level[0].cr4 |= DMT_LEVEL_CR4_PGE_MASK;
            if (tea)
                p.state.tea[0][0] = tea_of(&p);
            drive_load(d, &p.state);
            for (unsigned level = p.leaf; level <= (tea ? p.leaf : p.levels); level++) {
                for (unsigned bit = 0; bit < 64; bit++) {
                    struct dmt_result want = with_bit_inverted(&p, level, bit, maxpa, nxe);
                    uint64_t entry = p.entry[level] ^ 1ull << bit;
                    struct dmt_request q = ask(p.va, DMT_ACCESS_READ);
                    const struct dmt_result *r;

                    drive_poke(d, p.addr[level], entry);
                    drive_invalidate(d);
                    r = drive_translate(d, &q);
                    must(drive_same(r, &want), "level %u bit %u, MAXPA %u, NXE %u: %s, expected %s", level,
                         bit, maxpa, nxe, drive_text(r), drive_text(&want));
                    must(r->updates == (bit == 5), "level %u bit %u: %s", level, bit, drive_text(r));
                    must(drive_peek(d, p.addr[level]) == (entry | (bit == 5 ? A : 0)), "level %u bit %u",
                         level, bit);
                    if (want.status == DMT_STATUS_OK)
                        legal++;
                    else
                        broken++;
                    if (tea)
                        must(r->path[0] == (want.status == DMT_STATUS_OK ? DMT_PATH_TEA : DMT_PATH_RESTART));
                    drive_poke(d, p.addr[level], p.entry[level]);
                }
            }
        }
    }
    must(legal > 500 && broken > 100, "%u legal, %u broken", legal, broken);
}

/* Walkers that let reserved bits pass in some entry (non-leaf ones above all), or that minded bits which
 * software may use: every bit of every entry alone, for every shape of walk, three widths, XD reserved and
 * not. */
ON_EVERY_ENGINE(P13_every_bit_of_every_entry)
{
    struct drive *d = drive_new(engine, 1);

    every_bit(d, false);
    drive_free(d);
}

/* The same in leaves that a TEA register fetches: what is not a good leaf is judged by the x86 walk. */
ON_EVERY_ENGINE(P13_every_bit_of_a_fetched_leaf)
{
    struct drive *d = drive_new(engine, 1);

    every_bit(d, true);
    drive_free(d);
}

/* Large pages accepted at an address that is not a multiple of their size, or found to be so after the entry
 * had been marked accessed and dirty. Bit 12 is PAT and legal. */
ON_EVERY_ENGINE(P14_misaligned_large_page)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned tea = 0; tea < 2; tea++) {
        for (unsigned leaf = 2; leaf <= 3; leaf++) {
            struct path p = lay(d, 4, leaf);

            if (tea)
                p.state.tea[0][0] = tea_of(&p);
            drive_load(d, &p.state);
            for (unsigned bit = 12; bit < 3 + 9 * leaf; bit++) {
                struct dmt_request q = ask(p.va, DMT_ACCESS_WRITE);
                struct dmt_result want = bit == 12 ? ok_of(&p) : fault(p.va, ERR_P | ERR_W | ERR_RSVD);
                uint64_t entry = (p.entry[leaf] | 1ull << bit) & ~(A | D);
                const struct dmt_result *r;

                want.memtype = bit == 12 ? 4 : 0;
                lay_again(d, &p);
                drive_poke(d, p.addr[leaf], entry);
                drive_poke(d, p.addr[4], p.entry[4] & ~A);
                drive_invalidate(d);
                r = drive_translate(d, &q);
                must(drive_same(r, &want), "bit %u: %s, expected %s", bit, drive_text(r), drive_text(&want));
                if (bit > 12) {
                    must(events_of(d, DRIVE_EXREAD | DRIVE_WRITE) == 0, "bit %u: an access for an update",
                         bit);
                    must(drive_peek(d, p.addr[4]) == (p.entry[4] & ~A));
                }
                must(drive_peek(d, p.addr[leaf]) == (entry | (bit == 12 ? A | D : 0)), "bit %u", bit);
            }
        }
    }
    drive_free(d);
}

/* Walks that did not end at the last level: PS there is PAT, and a table that is its own child at every level
 * must not lead them in circles. */
ON_EVERY_ENGINE(P15_walk_ends_at_the_last_level)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned levels = 4; levels <= 5; levels++) {
        struct path p = lay(d, levels, 1);
        struct dmt_request q = ask(p.va, DMT_ACCESS_READ);
        struct dmt_result want = ok_of(&p);
        const struct dmt_result *r;
        uint64_t loop = 0x2000;

        drive_load(d, &p.state);
        drive_poke(d, p.addr[1], p.entry[1] | PS);
        r = drive_translate(d, &q);
        want.memtype = 4;
        must(drive_same(r, &want) && r->reads == levels, "%s", drive_text(r));

        for (unsigned i = 0; i < 512; i++)
            drive_poke(d, loop << 12 | i << 3, loop << 12 | P | W | U | A);
        p.state.level[0].cr3 = loop << 12;
        drive_load(d, &p.state);
        drive_invalidate(d);
        r = drive_translate(d, &q);
        want = (struct dmt_result){.pa = loop << 12 | (p.va & 0xfff), .rights = 7};
        must(drive_same(r, &want) && r->reads == levels, "%s", drive_text(r));
    }
    drive_free(d);
}

/* Physical addresses that lost their upper bits on the way, or widths that were checked against another width
 * than the one in use: tables, pages and TEAs just below each width, and the first bit above it. */
static void every_width(struct drive *d)
{
    for (unsigned maxpa = 32; maxpa <= d->config.pa_w; maxpa++) {
        uint64_t top = 1ull << (maxpa - 1);

        for (unsigned leaf = 1; leaf <= 3; leaf++) {
            struct path p = lay(d, 4, leaf);
            struct dmt_request q = ask(p.va, DMT_ACCESS_READ);
            struct dmt_result want = ok_of(&p);
            const struct dmt_result *r;

            want.pa = top | (p.va & (dmt_level_bytes(leaf) - 1));
            p.state.maxpa = (uint8_t)maxpa;
            p.state.level[0].cr3 |= top;
            for (unsigned level = leaf; level <= 4; level++) {
                drive_poke(d, p.addr[level], 0);
                p.addr[level] |= top;
                p.entry[level] |= top;
            }
            p.entry[leaf] = top | (p.entry[leaf] & 0xfff);
            lay_again(d, &p);
            drive_load(d, &p.state);
            r = drive_translate(d, &q);
            must(drive_same(r, &want), "MAXPA %u: %s, expected %s", maxpa, drive_text(r), drive_text(&want));
            for (unsigned i = 0; i < d->events; i++)
                must(d->event[i].addr == p.addr[4 - i], "MAXPA %u: read %u at %" PRIx64, maxpa, i,
                     d->event[i].addr);

            p.state.tea[0][0] = tea_of(&p);
            drive_load(d, &p.state);
            r = drive_translate(d, &q);
            must(drive_same(r, &want) && r->path[0] == DMT_PATH_TEA && d->event[0].addr == p.addr[leaf],
                 "MAXPA %u: %s", maxpa, drive_text(r));
            p.state.tea[0][0].valid = false;
            drive_load(d, &p.state);

            for (unsigned level = leaf; level <= 4 && maxpa < 52; level++) {
                drive_poke(d, p.addr[level], p.entry[level] | top << 1);
                drive_invalidate(d);
                r = drive_translate(d, &q);
                want = fault(p.va, ERR_P | ERR_RSVD);
                must(drive_same(r, &want), "MAXPA %u, level %u: %s", maxpa, level, drive_text(r));
                lay_again(d, &p);
            }
            drive_invalidate(d);
        }
    }
}

ON_EVERY_ENGINE(P16_every_physical_address_width)
{
    struct drive *d = drive_new(engine, 1);

    every_width(d);
    drive_free(d);
}

/* An instance built narrower than an entry's frame field must see the bits that it has no wires for. */
ON_PINS(P16_instance_of_32_bits)
{
    struct drive *d = drive_new_config(engine, "smallest", 1);

    must(d->config.pa_w == 32);
    every_width(d);
    drive_free(d);
}

/* Widths where software states them: roots, TEA ends and untranslated addresses at and above the width. */
ON_PINS(P16_registers_know_the_width)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned maxpa = 32; maxpa <= 52; maxpa++) {
        struct path p = lay(d, 4, 1);
        struct dmt_request q = ask(0, DMT_ACCESS_READ);
        struct dmt_tea t = {.base_vpn = 0x777, .pages = 513, .valid = true, .allow = 7};
        uint64_t word[3], old = p.state.level[0].cr3, top = 1ull << maxpa;
        const struct dmt_result *r;

        p.state.maxpa = (uint8_t)maxpa;
        drive_load(d, &p.state);
        drive_write(d, DMT_LEVEL_CR3, top & DMT_LEVEL_CR3_ROOT_MASK ? top : 1ull << 52);
        drive_run(d);
        must(drive_read(d, DMT_LEVEL_CR3) == old, "MAXPA %u: a root beyond it was accepted", maxpa);
        drive_write(d, DMT_LEVEL_CR3, top - 4096);
        drive_run(d);
        must(drive_read(d, DMT_LEVEL_CR3) == top - 4096, "MAXPA %u: the last root was refused", maxpa);
        for (unsigned over = 0; over < 2; over++) { /* 513 entries are a frame and a word of the next */
            t.base_pfn = (top >> 12) - 2 + over;
            dmt_tea_pack(&t, word);
            for (unsigned i = 3; i-- > 0;)
                drive_write(d, DMT_LEVEL_TEA_WORD0(0) + 8 * i, word[i]);
            drive_run(d);
            must(drive_read(d, DMT_LEVEL_TEA_WORD3(0)) ==
                     (over ? (uint64_t)DMT_REFUSAL_WIDTH << DMT_TEA_WORD3_REFUSAL_LSB
                           : DMT_TEA_WORD3_VALID_MASK),
                 "MAXPA %u: TEA that ends %s it", maxpa, over ? "above" : "below");
        }
        drive_write(d, DMT_HOST_BASE + DMT_HOST_CTL, DMT_MODE_OFF | DMT_HOST_CTL_AD_UPDATE_MASK);
        drive_run(d);
        for (unsigned bit = 12; bit < 64; bit++) {
            q.va = 1ull << bit | 0x123;
            r = drive_translate(d, &q);
            must(r->status == (bit < maxpa ? DMT_STATUS_OK : DMT_STATUS_GP) &&
                     (bit >= maxpa || r->pa == q.va),
                 "MAXPA %u bit %u: %s", maxpa, bit, drive_text(r));
        }
        drive_clear(d);
        dmt_state_reset(&d->state, maxpa); /* OFF is in force; the rest is written again */
        d->state.level[0].cr3 = ~0ull;
        d->state.level[0].efer = ~0ull;
        d->state.level[0].cr4 = ~0ull;
    }
    drive_free(d);
}

/* ---------------------------------------------------------------- bus errors */

/* One way through tables and registers, for errors at each of its accesses. */
struct way {
    struct path path;
    bool update;      /* a write to entries without A and D */
    unsigned fetches; /* TEA reads that come first, surplus ones included, */
    unsigned decides; /* of which this one decides (fetches: none) */
};

/* The ways: walks of each shape; a fetch of each size; all sizes at once, decided by each; a fetch that does
 * not count and the walk after it. Each without and with an update. False: there is no such way. */
static bool make_way(struct drive *d, unsigned n, struct way *w)
{
    struct dmt_state *s;

    *w = (struct way){.update = n & 1};
    n >>= 1;
    if (n >= 16)
        return false;
    w->path = lay(d, n < 6 ? 4 + n / 3 : 4, 1 + n % 3);
    s = &w->path.state;
    if (n >= 6 && n < 9) {
        s->tea[0][3] = tea_of(&w->path);
        w->fetches = 1;
    } else if (n >= 9 && n < 12) {
        /* TEAs of the other sizes: larger ones hold table entries, smaller ones nothing good. */
        for (unsigned level = 1; level <= 3; level++) {
            uint64_t entry = w->path.addr[level];

            if (level < w->path.leaf) {
                entry = 0x500000 + 0x1000 * level;
                drive_poke(d, entry, 0x7777777777777776);
            }
            s->tea[0][3 - level] = drive_cover(w->path.va & ~0x3fffffffull, 1 << 18, level - 1, entry);
            if (level < w->path.leaf)
                s->tea[0][3 - level].base_vpn = (w->path.va >> 12) & ~((1ull << 9 * (level - 1)) - 1);
            else
                s->tea[0][3 - level] = drive_cover(w->path.va & ~(dmt_level_bytes(level) - 1),
                                                   dmt_level_bytes(level) >> 12, level - 1, entry);
        }
        w->fetches = 3;
        w->decides = 3 - w->path.leaf;
    } else if (n >= 12 && n < 15) {
        /* A register of this size whose entry is not there. */
        drive_poke(d, 0x500000, 0);
        s->tea[0][0] = drive_cover(w->path.va & ~(dmt_level_bytes(w->path.leaf) - 1),
                                   dmt_level_bytes(w->path.leaf) >> 12, w->path.leaf - 1, 0x500000);
        w->fetches = w->decides = 1;
    } else if (n == 15) {
        w->path = lay(d, 5, 1);
        s = &w->path.state;
        drive_poke(d, 0x500000, 0);
        s->tea[0][0] = drive_cover(w->path.va & ~0x1fffffull, 512, DMT_SIZE_2M, 0x500000);
        w->fetches = w->decides = 1;
    }
    if (w->update) {
        for (unsigned level = w->path.leaf; level <= w->path.levels; level++)
            w->path.entry[level] &= ~(A | D);
    }
    lay_again(d, &w->path);
    return true;
}

/* Bus errors taken for page faults, errors that lost against what happened to be on the data wires, and walks
 * that hung: an error at each access of each way, beside data that would mean something else. */
ON_EVERY_ENGINE(P17_P23_bus_error_at_every_access)
{
    struct drive *d = drive_new(engine, 2);
    struct way w;
    unsigned injected = 0;

    for (unsigned n = 0; make_way(d, n, &w); n++) {
        struct path *p = &w.path;
        struct dmt_request q = ask(p->va, w.update ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        uint64_t poison[] = {0, ~0ull, p->entry[p->leaf] | A | D, P | 1ull << 51};
        struct drive_event clean[64];
        struct dmt_result ok;
        unsigned count;

        drive_load(d, &p->state);
        drive_invalidate(d);
        ok = *drive_translate(d, &q);
        must(ok.status == DMT_STATUS_OK && (ok.updates > 0) == w.update, "way %u: %s", n, drive_text(&ok));
        must((w.fetches ? w.decides < w.fetches ? DMT_PATH_TEA : DMT_PATH_RESTART : DMT_PATH_RADIX) ==
             ok.path[0]);
        count = d->events;
        memcpy(clean, d->event, count * sizeof clean[0]);

        for (unsigned at = 0; at < count; at++) {
            for (unsigned v = 0; v < 8; v++) {
                unsigned resp = v & 1 ? DMT_RESP_DECERR : DMT_RESP_SLVERR;
                bool write = clean[at].kind == DRIVE_WRITE;
                /* Surplus reads are on the port only. */
                bool ignored = engine != DRIVE_ARCH && at < w.fetches && w.decides < at && w.decides < w.fetches;
                struct dmt_result want = bus(clean[at].addr, resp + (write ? 4 : 0));
                const struct dmt_result *r;

                lay_again(d, p);
                drive_invalidate(d);
                d->faults = 0;
                drive_fault(d,
                            (struct drive_fault){DRIVE_ANY, DRIVE_ALL, at, 1, (uint8_t)resp, poison[v / 2]});
                r = drive_translate(d, &q);
                must(drive_same(r, ignored ? &ok : &want), "way %u access %u: %s, expected %s", n, at,
                     drive_text(r), drive_text(ignored ? &ok : &want));
                injected++;
                if (!ignored) {
                    /* Reads of one fetch are all under way; after the error's nothing else is. */
                    must(d->events == (engine != DRIVE_ARCH && at < w.fetches ? w.fetches : at + 1), "way %u access %u: %u accesses",
                         n, at, d->events);
                    if (engine != DRIVE_ARCH && v < 2) {
                        must(drive_read(d, DMT_HOST_BASE + DMT_HOST_BUS_ADDR) == clean[at].addr);
                        must(drive_read(d, DMT_HOST_BASE + DMT_HOST_EVENT) == DMT_HOST_EVENT_BUS_MASK);
                        drive_write(d, DMT_HOST_BASE + DMT_HOST_EVENT, ~0ull);
                        drive_run(d);
                    }
                }
                /* Nothing of it stays. */
                d->faults = 0;
                lay_again(d, p);
                drive_invalidate(d);
                r = drive_translate(d, &q);
                must(drive_same(r, &ok), "way %u after an error at %u: %s", n, at, drive_text(r));
            }
        }
    }
    must(injected > 1000);
    drive_free(d);
}

/* Several things wrong at once, reported as a cause that none of them is: every combination of what can be
 * wrong with one leaf, with the order of the SDM. */
ON_EVERY_ENGINE(P18_every_combination_of_causes)
{
    enum {
        BUS = 1,
        ABSENT = 2,
        RESERVED = 4,
        NO_U = 8,
        NO_W = 16,
        NO_KEY = 32,
        NO_A = 64,
        NO_D = 128,
        SPEC = 256
    };
    struct drive *d = drive_new(engine, 1);
    unsigned status[16] = {0};

    for (unsigned tea = 0; tea < 2; tea++) {
        struct path p = lay(d, 4, 1);

        p.state.maxpa = 46;
        p.state.level[0].cr4 = DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK;
        p.state.level[0].pkru = p.state.level[0].pkrs = 3u << 2 * 9;
        if (tea)
            p.state.tea[0][0] = tea_of(&p);
        drive_load(d, &p.state);
        for (unsigned c = 0; c < 512; c++) {
            struct dmt_request q = {.va = p.va, .access = DMT_ACCESS_WRITE, .cpl = 3, .nonspec = !(c & SPEC)};
            struct dmt_result want = ok_of(&p);
            const struct dmt_result *r;
            uint64_t e = p.entry[1];

            e &= ~((c & ABSENT ? P : 0) | (c & NO_U ? U : 0) | (c & NO_W ? W : 0) | (c & NO_A ? A : 0) |
                   (c & NO_D ? D : 0));
            e |= (c & RESERVED ? 1ull << 46 : 0) | (c & NO_KEY ? 9ull << 59 : 0);
            drive_poke(d, p.addr[1], e);
            d->faults = 0;
            if (c & BUS)
                drive_fault(d, (struct drive_fault){p.addr[1], DRIVE_ALL, 0, 9, DMT_RESP_SLVERR, e});
            if (c & BUS)
                want = bus(p.addr[1], DMT_BUS_ERROR_READ_SLVERR);
            else if (c & ABSENT)
                want = fault(p.va, ERR_W | ERR_U);
            else if (c & RESERVED)
                want = fault(p.va, ERR_P | ERR_W | ERR_U | ERR_RSVD);
            else if (c & (NO_U | NO_W | NO_KEY))
                want = fault(p.va, ERR_P | ERR_W | ERR_U | (c & NO_KEY ? ERR_PK : 0));
            else if (c & (NO_A | NO_D) && c & SPEC)
                want = (struct dmt_result){.status = DMT_STATUS_RETRY};
            r = drive_translate(d, &q);
            must(drive_same(r, &want), "combination %x: %s, expected %s", c, drive_text(r),
                 drive_text(&want));
            status[r->status]++;
        }
    }
    must(status[DMT_STATUS_OK] == 10 && status[DMT_STATUS_RETRY] == 6 && status[DMT_STATUS_BUS] == 512);
    drive_free(d);
}

/* Faults at two depths: the upper one is the one that happens. */
ON_EVERY_ENGINE(P18_upper_fault_hides_lower)
{
    struct drive *d = drive_new(engine, 1);
    struct path p = lay(d, 5, 1);
    struct dmt_request q = ask(p.va, DMT_ACCESS_EXECUTE);

    p.state.maxpa = 46;
    drive_load(d, &p.state);
    for (unsigned upper = 5; upper > 1; upper--) {
        for (unsigned lower = upper - 1; lower >= 1; lower--) {
            for (unsigned kinds = 0; kinds < 9; kinds++) {
                struct dmt_result want;
                const struct dmt_result *r;

                d->faults = 0;
                lay_again(d, &p);
                for (unsigned i = 0; i < 2; i++) {
                    unsigned level = i ? upper : lower, kind = i ? kinds / 3 : kinds % 3;

                    if (kind == 0)
                        drive_poke(d, p.addr[level], p.entry[level] & ~P);
                    else if (kind == 1)
                        drive_poke(d, p.addr[level], p.entry[level] | 1ull << 50);
                    else
                        drive_fault(d,
                                    (struct drive_fault){p.addr[level], DRIVE_ALL, 0, 1, DMT_RESP_DECERR, 0});
                    want = kind == 0   ? fault(p.va, ERR_ID)
                           : kind == 1 ? fault(p.va, ERR_ID | ERR_P | ERR_RSVD)
                                       : bus(p.addr[level], DMT_BUS_ERROR_READ_DECERR);
                }
                drive_invalidate(d);
                r = drive_translate(d, &q);
                must(drive_same(r, &want), "levels %u and %u: %s, expected %s", upper, lower, drive_text(r),
                     drive_text(&want));
                must(r->reads == 5 - upper + 1);
            }
        }
    }
    drive_free(d);
}

/* ---------------------------------------------------------------- address arithmetic */

/* Table indices and page offsets cut from the wrong bits: every address bit alone, in every shape of walk. */
ON_EVERY_ENGINE(P19_entry_and_page_addresses)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned shape = 0; shape < 6; shape++) {
        unsigned levels = 4 + shape / 3, leaf = 1 + shape % 3, top = 12 + 9 * levels;

        for (unsigned bit = 0; bit < top; bit++) {
            uint64_t va = 1ull << bit | (bit == top - 1 ? ~0ull << bit : 0);
            struct dmt_table t = {d->mem, table_frame[levels], levels};
            struct dmt_state s = drive_native(d, &t);
            struct dmt_request q = ask(va, DMT_ACCESS_READ);
            uint64_t offset = va & (dmt_level_bytes(leaf) - 1);
            const struct dmt_result *r;

            for (unsigned level = levels; level >= leaf; level--) {
                memset(dmt_mem_add(d->mem, table_frame[level]), 0, 4096);
                drive_poke(d, table_frame[level] << 12 | (va >> (9 * level + 3) & 511) << 3,
                           level > leaf ? table_frame[level - 1] << 12 | FULL
                                        : page_pa[leaf] | FULL | (leaf > 1 ? PS : 0));
            }
            drive_load(d, &s);
            drive_invalidate(d);
            r = drive_translate(d, &q);
            must(r->status == DMT_STATUS_OK && r->pa == (page_pa[leaf] | offset) &&
                     r->reads == levels - leaf + 1,
                 "%u levels, leaf %u, bit %u: %s", levels, leaf, bit, drive_text(r));
        }
    }
    drive_free(d);
}

/* A cache tag that lost a bit answers for an address that differs in just that bit. Every bit of the address,
 * and of the PCID, apart from an address whose way is in all caches. */
ON_PINS(P19_every_bit_of_a_cache_tag)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned levels = 4; levels <= 5; levels++) {
        unsigned top = 12 + 9 * levels;

        for (unsigned bit = 12; bit < top; bit++) {
            struct dmt_table t = drive_table(d, levels);
            struct dmt_state s = drive_native(d, &t);
            uint64_t va = 0x005a5ab6c7d8e8, other = va ^ 1ull << bit;
            struct dmt_request q, q2;
            const struct dmt_result *r;

            if (bit == top - 1)
                other |= ~0ull << bit;
            drive_map(d, &t, va & ~0xfffull, 0x11111000, DMT_SIZE_4K, W | U | A | D);
            drive_map(d, &t, other & ~0xfffull, 0x22222000, DMT_SIZE_4K, W | U | A | D);
            drive_load(d, &s);
            drive_invalidate(d);
            q = ask(va, DMT_ACCESS_READ);
            q2 = ask(other, DMT_ACCESS_READ);
            drive_translate(d, &q);
            r = drive_translate(d, &q);
            must(r->reads == 1, "the way was not cached");
            r = drive_translate(d, &q2);
            must(r->pa == (0x22222000 | (other & 0xfff)), "bit %u: %s", bit, drive_text(r));
            r = drive_translate(d, &q);
            must(r->pa == (0x11111000 | (va & 0xfff)), "bit %u: %s", bit, drive_text(r));
        }
    }
    for (unsigned bit = 0; bit < 12; bit++) {
        struct dmt_table t[2] = {drive_table(d, 4), drive_table(d, 4)};
        struct dmt_state s = drive_native(d, &t[0]);
        struct dmt_request q = ask(0x5a5ab6c7d8e8, DMT_ACCESS_READ);

        s.level[0].cr4 |= DMT_LEVEL_CR4_PCIDE_MASK;
        for (unsigned i = 0; i < 2; i++)
            drive_map(d, &t[i], q.va & ~0xfffull, i ? 0x22222000 : 0x11111000, DMT_SIZE_4K, W | U | A | D);
        s.level[0].cr3 |= 0xa5a;
        drive_load(d, &s);
        drive_translate(d, &q);
        must(drive_translate(d, &q)->reads == 1, "the way was not cached");
        drive_write(d, DMT_LEVEL_CR3, DMT_LEVEL_CR3_NOFLUSH_MASK | t[1].root << 12 | (0xa5a ^ 1u << bit));
        drive_run(d);
        d->state.level[0].cr3 = ~0ull;
        must(drive_translate(d, &q)->pa == (0x22222000 | (q.va & 0xfff)), "PCID bit %u", bit);
    }
    drive_free(d);
}

/* A contiguous mapping whose size, base or offset is right in most of its bits: each field of a TEA register
 * alone, bit by bit, and the address on the bus. */
ON_EVERY_ENGINE(P20_every_bit_of_a_tea_register)
{
    struct drive *d = drive_new(engine, 1);
    struct dmt_table t = drive_table(d, 5);
    unsigned hits = 0;

    for (unsigned sz = DMT_SIZE_4K; sz <= DMT_SIZE_1G; sz++) {
        uint64_t va = 0x00aa5cb6c7d8e8, pages = 1ull << 9 * sz, vpn = (va >> 12) & ~(pages - 1);
        struct dmt_request q = ask(va, DMT_ACCESS_READ);
        struct dmt_state s = drive_native(d, &t);
        struct dmt_tea *tea = &s.tea[0][d->config.tea_n - 1];
        const struct dmt_result *r;

        drive_poke(d, 0x500000, page_pa[sz + 1] | FULL | (sz ? PS : 0));
        *tea = (struct dmt_tea){
            .base_vpn = vpn, .pages = pages, .base_pfn = 0x500, .sz = (uint8_t)sz, .allow = 7, .valid = true};
        drive_load(d, &s);
        r = drive_translate(d, &q);
        must(r->path[0] == DMT_PATH_TEA && r->index[0] == d->config.tea_n - 1 &&
             d->event[0].addr == 0x500000);

        /* BASE_VPN: any bit wrong and the register does not cover the address, unless the base is below it.
         */
        for (unsigned bit = 9 * sz; bit < 52; bit++) {
            tea->base_vpn = vpn ^ 1ull << bit;
            if (tea->base_vpn + pages > 1ull << 52)
                continue;
            drive_load(d, &s);
            must(drive_translate(d, &q)->path[0] == DMT_PATH_RADIX, "size %u base bit %u", sz, bit);
        }
        /* PAGES: the register starts 2^bit units below, so the address is just inside, or just outside. */
        for (unsigned bit = 0; 9 * sz + bit < 44; bit++) {
            uint64_t back = 1ull << (9 * sz + bit), entry;

            if (vpn < back)
                break;
            tea->base_vpn = vpn - back;
            tea->pages = back;
            tea->base_pfn = 0x500;
            drive_load(d, &s);
            must(drive_translate(d, &q)->path[0] == DMT_PATH_RADIX, "size %u pages bit %u", sz, bit);
            tea->pages = back + ((va >> 12) - vpn) + 1;
            entry = 0x500000 + (8ull << bit);
            drive_poke(d, entry, page_pa[sz + 1] | FULL | (sz ? PS : 0));
            drive_load(d, &s);
            r = drive_translate(d, &q);
            must(r->path[0] == DMT_PATH_TEA && d->event[0].addr == entry &&
                     r->pa == (page_pa[sz + 1] | (va & (dmt_level_bytes(sz + 1) - 1))),
                 "size %u pages bit %u: %s", sz, bit, drive_text(r));
            hits++;
        }
        /* BASE_PFN. */
        tea->base_vpn = vpn;
        tea->pages = pages;
        for (unsigned bit = 0; bit < 40; bit++) {
            tea->base_pfn = 0x500 ^ 1ull << bit;
            drive_poke(d, tea->base_pfn << 12, page_pa[sz + 1] | FULL | (sz ? PS : 0));
            drive_load(d, &s);
            r = drive_translate(d, &q);
            must(r->path[0] == DMT_PATH_TEA && d->event[0].addr == tea->base_pfn << 12,
                 "size %u frame bit %u", sz, bit);
        }
        tea->base_pfn = 0x500;
        drive_poke(d, 0x500000, page_pa[sz + 1] | FULL | (sz ? PS : 0));
        /* The size alone: the entry is another one, and no leaf of the other size. */
        for (unsigned other = DMT_SIZE_4K; other <= DMT_SIZE_1G; other++) {
            uint64_t entry = 0x500000 + 8 * (((va >> 12) - vpn) >> 9 * other);

            tea->sz = (uint8_t)other;
            drive_load(d, &s);
            for (unsigned i = 0; i < 64; i++)
                drive_poke(d, (entry & ~0xfffull) + 8 * i, 0);
            drive_poke(d, entry, page_pa[3] | FULL | (other ? PS : 0));
            r = drive_translate(d, &q);
            must(r->path[0] == DMT_PATH_TEA && r->size == other && d->event[0].addr == entry,
                 "size %u as %u: %s", sz, other, drive_text(r));
        }
        tea->sz = (uint8_t)sz;
        drive_poke(d, 0x500000, page_pa[sz + 1] | FULL | (sz ? PS : 0));
        /* Allow bits, each alone. */
        for (unsigned allow = 0; allow < 8; allow++) {
            tea->allow = (uint8_t)allow;
            drive_load(d, &s);
            r = drive_translate(d, &q);
            must(r->path[0] == DMT_PATH_TEA && r->rights == allow, "allow %u: %s", allow, drive_text(r));
        }
    }
    must(hits > 60);
    drive_free(d);
}

/* ---------------------------------------------------------------- rights, A and D */

/* Table reads made with the type of the access that caused the walk: they are data reads of the supervisor,
 * also when a user fetches an instruction or writes. */
ON_PINS(P21_table_reads_are_data_reads)
{
    struct drive *d = drive_new(engine, 3);
    struct path p = lay(d, 4, 1);
    unsigned seen = 0;

    for (unsigned tea = 0; tea < 2; tea++) {
        if (tea)
            p.state.tea[0][0] = tea_of(&p);
        drive_load(d, &p.state);
        for (unsigned v = 0; v < 6; v++) {
            struct dmt_request q = ask(p.va, v % 3);

            q.cpl = v < 3 ? 0 : 3;
            drive_poke(d, p.addr[1], p.entry[1] & ~(A | D));
            drive_clear(d);
            drive_ask(d, &q);
            while (d->answered == 0) {
                const struct dmt_out *o = d->ops->out(d->dut);

                must(!o->m_arvalid ||
                     (o->m_arprot == 1 && o->m_arcache == 3 && o->m_arlen == 0 && o->m_arsize == 3));
                must(!o->m_awvalid ||
                     (o->m_awprot == 1 && o->m_awcache == 3 && o->m_awlen == 0 && o->m_awsize == 3));
                seen += o->m_arvalid + o->m_awvalid;
                drive_step(d);
            }
            drive_run(d);
            must(d->walk[0].result.status == DMT_STATUS_OK);
        }
    }
    must(seen > 25);
    drive_free(d);
}

/* Faults met on a table read and reported as reads, or as the supervisor's: the error code tells of the
 * access, whatever the level, and reading stops there. */
ON_EVERY_ENGINE(P22_error_code_tells_of_the_access)
{
    struct drive *d = drive_new(engine, 1);
    struct path p = lay(d, 5, 1);

    p.state.maxpa = 46;
    for (unsigned v = 0; v < 8; v++) {
        p.state.level[0].efer = v & 1 ? DMT_LEVEL_EFER_NXE_MASK : 0;
        p.state.level[0].cr4 = DMT_LEVEL_CR4_LA57_MASK | (v & 2 ? DMT_LEVEL_CR4_SMEP_MASK : 0);
        p.state.tea[0][0] = v & 4 ? tea_of(&p) : (struct dmt_tea){0};
        drive_load(d, &p.state);
        for (unsigned kind = 0; kind < 2; kind++) {
            for (unsigned level = 1; level <= 5; level++) {
                lay_again(d, &p);
                drive_poke(d, p.addr[level], kind ? p.entry[level] | 1ull << 47 : 0);
                for (unsigned a = 0; a < 12; a++) {
                    struct dmt_request q = {.va = p.va,
                                            .access = a % 3,
                                            .cpl = a % 6 < 3 ? 0 : 3,
                                            .implicit = a >= 6,
                                            .nonspec = true};
                    struct dmt_result want = fault(p.va, kind ? ERR_P | ERR_RSVD : 0);
                    const struct dmt_result *r;

                    want.error |= q.access == DMT_ACCESS_WRITE ? ERR_W : 0;
                    want.error |= q.cpl == 3 && !q.implicit ? ERR_U : 0;
                    want.error |= q.access == DMT_ACCESS_EXECUTE && v & 3 ? ERR_ID : 0;
                    /* A leaf table above which something is missing breaks the contract of its register. */
                    if (v & 4 && level > 1)
                        continue;
                    drive_invalidate(d);
                    r = drive_translate(d, &q);
                    must(drive_same(r, &want), "level %u: %s, expected %s", level, drive_text(r),
                         drive_text(&want));
                    must(r->reads == 6 - level + (v >> 2), "level %u: %u reads", level, r->reads);
                }
            }
        }
    }
    drive_free(d);
}

/* A/D bits written for an access that then faults. */
ON_EVERY_ENGINE(P24_fault_writes_nothing)
{
    struct drive *d = drive_new(engine, 1);
    unsigned faults = 0;

    for (unsigned v = 0; v < 6; v++) {
        struct path p = lay(d, 4, 1 + v % 3);
        struct dmt_request q = {.va = p.va, .access = DMT_ACCESS_WRITE, .cpl = 3, .nonspec = true};

        for (unsigned level = p.leaf; level <= 4; level++)
            p.entry[level] &= ~(A | D);
        p.state.maxpa = 46;
        p.state.level[0].cr4 = DMT_LEVEL_CR4_PKE_MASK;
        p.state.level[0].pkru = 2u << 2 * 5;
        if (v >= 3)
            p.state.tea[0][0] = tea_of(&p);
        drive_load(d, &p.state);
        for (unsigned level = p.leaf; level <= (v < 3 ? 4 : p.leaf); level++) {
            for (unsigned kind = 0; kind < 5; kind++) {
                uint64_t e = p.entry[level],
                         spoilt[5] = {e & ~P, e | 1ull << 51, e & ~W, e & ~U, e | 5ull << 59};

                if (kind == 4 && level > p.leaf)
                    continue;
                lay_again(d, &p);
                drive_poke(d, p.addr[level], spoilt[kind]);
                drive_invalidate(d);
                must(drive_translate(d, &q)->status == DMT_STATUS_PF, "level %u kind %u", level, kind);
                must(events_of(d, DRIVE_EXREAD | DRIVE_WRITE) == 0, "level %u kind %u: access for an update",
                     level, kind);
                for (unsigned i = p.leaf; i <= 4; i++)
                    must(drive_peek(d, p.addr[i]) == (i == level ? spoilt[kind] : p.entry[i]));
                faults++;
            }
        }
    }
    must(faults > 50);
    drive_free(d);
}

/* A translation used although the write of its A or D bit had failed: a failed write is a bus error, nothing
 * is cached from that entry, and the next walk tries again. */
ON_EVERY_ENGINE(P24_failed_write_is_no_translation)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned leaf = 1; leaf <= 3; leaf++) {
        struct path p = lay(d, 4, leaf);
        struct dmt_request q = ask(p.va, DMT_ACCESS_WRITE);
        struct dmt_result ok = ok_of(&p), want;
        const struct dmt_result *r;

        drive_load(d, &p.state);
        for (unsigned level = leaf; level <= 4; level++) {
            for (unsigned resp = DMT_RESP_SLVERR; resp <= DMT_RESP_DECERR; resp++) {
                lay_again(d, &p);
                drive_poke(d, p.addr[level], p.entry[level] & ~(A | D));
                drive_invalidate(d);
                d->faults = 0;
                drive_fault(d, (struct drive_fault){DRIVE_ANY, DRIVE_WRITE, 0, 1, (uint8_t)resp, 0});
                r = drive_translate(d, &q);
                want = bus(p.addr[level], resp + 4);
                must(drive_same(r, &want), "level %u: %s", level, drive_text(r));
                must(drive_peek(d, p.addr[level]) == (p.entry[level] & ~(A | D)));
                r = drive_translate(d, &q);
                must(drive_same(r, &ok) && r->updates == 1, "level %u, next: %s", level, drive_text(r));
                must(drive_peek(d, p.addr[level]) == p.entry[level]);
                /* Not deeper than the entry whose update had failed. */
                must(d->walk[0].first_ref == p.addr[4] || level < 4, "level %u: started at %" PRIx64, level,
                     d->walk[0].first_ref);
                for (unsigned below = leaf; below < level; below++)
                    must(d->walk[0].first_ref != p.addr[below], "level %u: started below", level);
            }
        }
    }
    drive_free(d);
}

/* D left clear by a write that came after a read had set A: the answer to the read says that the page is
 * clean, and the walk for the write sets D, from whatever cache it starts. */
ON_EVERY_ENGINE(P26_dirty_after_accessed)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned v = 0; v < 12; v++) {
        struct path p = lay(d, 4, 1 + v % 3);
        struct dmt_request q = ask(p.va, v & 1 ? DMT_ACCESS_EXECUTE : DMT_ACCESS_READ);
        uint64_t clean = p.entry[p.leaf] & ~D;
        const struct dmt_result *r;

        if (v >= 6)
            p.state.tea[0][0] = tea_of(&p);
        drive_load(d, &p.state);
        drive_invalidate(d);
        drive_poke(d, p.addr[p.leaf], clean & ~A);
        r = drive_translate(d, &q);
        must(r->status == DMT_STATUS_OK && !r->dirty && r->updates == 1, "%s", drive_text(r));
        must(drive_peek(d, p.addr[p.leaf]) == clean);
        r = drive_translate(d, &q);
        must(r->status == DMT_STATUS_OK && !r->dirty && r->updates == 0, "%s", drive_text(r));
        q.access = DMT_ACCESS_WRITE;
        r = drive_translate(d, &q);
        must(r->status == DMT_STATUS_OK && r->dirty && r->updates == 1, "%s", drive_text(r));
        must(drive_peek(d, p.addr[p.leaf]) == (clean | D));
        r = drive_translate(d, &q);
        must(r->dirty && r->updates == 0, "%s", drive_text(r));
    }
    drive_free(d);
}

/* A/D bits set by a walk that older work then cancelled: a speculative request that would need one is sent
 * back and writes nothing; only the repeated request does. With updates off nobody writes. */
ON_EVERY_ENGINE(P27_speculation_writes_nothing)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned v = 0; v < 12; v++) {
        struct path p = lay(d, 4, 1 + v % 3);

        if (v >= 6)
            p.state.tea[0][0] = tea_of(&p);
        p.state.ad_update = !(v / 3 & 1);
        drive_load(d, &p.state);
        for (unsigned level = p.leaf; level <= (v >= 6 ? p.leaf : 4); level++) {
            struct dmt_request q = {.va = p.va, .access = DMT_ACCESS_WRITE};
            uint64_t lacking = p.entry[level] & ~(level == p.leaf ? D : A);
            const struct dmt_result *r;

            lay_again(d, &p);
            drive_poke(d, p.addr[level], lacking);
            drive_invalidate(d);
            r = drive_translate(d, &q);
            must(events_of(d, DRIVE_EXREAD | DRIVE_WRITE) == 0 && drive_peek(d, p.addr[level]) == lacking);
            must(p.state.ad_update ? r->status == DMT_STATUS_RETRY
                                   : r->status == DMT_STATUS_OK && r->ad_needed,
                 "level %u: %s", level, drive_text(r));
            q.nonspec = true;
            r = drive_translate(d, &q);
            must(r->status == DMT_STATUS_OK && r->ad_needed == !p.state.ad_update, "level %u: %s", level,
                 drive_text(r));
            must(drive_peek(d, p.addr[level]) == (p.state.ad_update ? p.entry[level] : lacking));
        }
    }
    drive_free(d);
}

/* Does the SDM's section 4.6 permit the access? rights {X, U, W} of all levels; key {WD, AD} of the page's
 * key. */
static bool permitted(const struct dmt_request *q, const struct dmt_level *cr, unsigned rights, unsigned key)
{
    bool w = rights & 1, u = rights & 2, x = rights & 4, user = q->cpl == 3 && !q->implicit;
    bool wp = cr->cr0 & DMT_LEVEL_CR0_WP_MASK, ac = q->ac && !q->implicit;
    bool key_read = !(key & 1), key_write = key_read && !(key & 2 && (user || wp));

    if (q->access == DMT_ACCESS_EXECUTE)
        return x && (user ? u : !(u && cr->cr4 & DMT_LEVEL_CR4_SMEP_MASK));
    if (user && !u)
        return false;
    if (!user && u && cr->cr4 & DMT_LEVEL_CR4_SMAP_MASK && !ac)
        return false;
    if (q->access == DMT_ACCESS_READ)
        return key_read;
    return key_write && (w || (!user && !wp));
}

/* Rights checked with a term missing, too much, or of the wrong level: the full cross of what rights depend
 * on, each right taken away in the leaf or above it, by a walk and through a register. */
ON_EVERY_ENGINE(P28_full_cross)
{
    struct drive *d = drive_new(engine, 1);
    struct path p = lay(d, 4, 1);
    unsigned granted = 0, denied = 0;

    for (unsigned v = 0; v < 256; v++) {
        struct dmt_level *cr = &p.state.level[0];
        unsigned key = v >> 4 & 3, where = v >> 6 & 1;
        bool tea = v >> 7;

        cr->cr0 = v & 1 ? DMT_LEVEL_CR0_WP_MASK : 0;
        cr->cr4 = (v & 2 ? DMT_LEVEL_CR4_SMEP_MASK : 0) | (v & 4 ? DMT_LEVEL_CR4_SMAP_MASK : 0) |
                  DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK;
        cr->efer = v & 8 ? DMT_LEVEL_EFER_NXE_MASK : 0;
        cr->pkru = cr->pkrs = key << 2 * 11;
        for (unsigned rights = 0; rights < 8; rights++) {
            unsigned level = where ? 2 + rights % 3 : 1;
            uint64_t without = (rights & 1 ? 0 : W) | (rights & 2 ? 0 : U);
            struct path spoilt = p;

            if (!(rights & 4) && !(v & 8))
                continue; /* XD would be reserved */
            spoilt.entry[1] |= 11ull << 59;
            spoilt.entry[level] = (spoilt.entry[level] & ~without) | (rights & 4 ? 0 : XD);
            lay_again(d, &spoilt);
            p.state.tea[0][0] = tea ? tea_of(&p) : (struct dmt_tea){0};
            if (where)
                p.state.tea[0][0].allow = (uint8_t)rights;
            drive_load(d, &p.state);
            drive_invalidate(d);
            for (unsigned a = 0; a < 24; a++) {
                struct dmt_request q = {.va = p.va,
                                        .access = (uint8_t)(a % 3),
                                        .cpl = a / 3 & 1 ? 3 : 0,
                                        .ac = a / 6 & 1,
                                        .implicit = a / 12};
                const struct dmt_result *r = drive_translate(d, &q);
                bool ok = permitted(&q, cr, rights, key);

                must(r->status == (ok ? DMT_STATUS_OK : DMT_STATUS_PF) && (!ok || r->rights == rights),
                     "rights %u at level %u, access %u of CPL %u (AC %u, implicit %u), CR0 %" PRIx64
                     " CR4 %" PRIx64 ", key %u: %s",
                     rights, level, q.access, q.cpl, q.ac, q.implicit, cr->cr0, cr->cr4, key, drive_text(r));
                must(!tea || r->path[0] == (ok ? DMT_PATH_TEA : DMT_PATH_RESTART), "%s", drive_text(r));
                granted += ok;
                denied += !ok;
            }
        }
    }
    lay_again(d, &p);
    must(granted > 10000 && denied > 10000, "%u granted, %u denied", granted, denied);
    drive_free(d);
}

/* Does the row keep the contract of a register over its leaf table, and which rights do the bypassed entries
 * leave? */
static bool upper_rights(const struct perm_row *row, uint8_t *allow)
{
    bool nxe = row->state.level[0].efer & DMT_LEVEL_EFER_NXE_MASK;

    *allow = 7;
    for (unsigned level = row->five ? 5 : 4; level > row->level; level--) {
        uint64_t e = row->word[level - 1].value;

        if (!(e & P) || e & PS || e & 1ull << 51 || (e & XD && !nxe))
            return false;
        *allow &= (uint8_t)((e >> 1 & 3) | (e & XD ? 0 : 4));
    }
    return true;
}

/* Rights checked with a term missing, too much, or of the wrong level: every permission row of the tree,
 * which three other implementations executed, walked, and once more through a register over the leaf table:
 * the same answer; the same leaf afterwards; entries above the leaf untouched unless the walk decided. */
ON_EVERY_ENGINE(P28_permission_rows)
{
    struct drive *d = drive_new(engine, 1);
    struct perm_file *f = perm_open_sample();
    struct perm_row row;
    unsigned rows = 0, hit = 0, restart = 0;
    int more;

    must(f);
    for (unsigned i = 0; i < PERM_LEVELS; i++)
        must(dmt_mem_add(d->mem, perm_table_pfn[i]));
    while ((more = perm_next(f, &row)) == 1) {
        struct dmt_state s = row.state;
        struct dmt_result walk;
        const struct dmt_result *r;
        uint8_t allow;

        for (unsigned tea = 0; tea < 2; tea++) {
            if (tea && (row.status == DMT_STATUS_GP || !upper_rights(&row, &allow)))
                break;
            for (unsigned i = row.level; i <= (row.five ? 5u : 4u); i++)
                drive_poke(d, row.word[i - 1].pa, row.word[i - 1].value);
            if (tea) {
                s.tea[0][0] =
                    drive_cover(row.request.va & ~(dmt_level_bytes(row.level) - 1),
                                dmt_level_bytes(row.level) >> 12, row.level - 1, row.word[row.level - 1].pa);
                s.tea[0][0].allow = allow;
            }
            drive_load(d, &s);
            drive_invalidate(d);
            r = drive_translate(d, &row.request);
            must(r->status == row.status && r->error == row.error && r->pa == row.pa, "line %u: %s", row.line,
                 drive_text(r));
            if (!tea)
                walk = *r;
            must(drive_same(r, &walk), "line %u: walk %s, register %s", row.line, drive_text(&walk),
                 drive_text(r));
            if (tea)
                must(r->path[0] == (r->status == DMT_STATUS_OK ? DMT_PATH_TEA : DMT_PATH_RESTART),
                     "line %u: %s", row.line, drive_text(r));
            for (unsigned i = row.level; i <= (row.five ? 5u : 4u); i++) {
                const struct perm_word *w = &row.word[i - 1];
                bool bypassed = r->path[0] == DMT_PATH_TEA && i > row.level;

                must(drive_peek(d, w->pa) == (bypassed ? w->value : w->post),
                     "line %u: level %u became %" PRIx64, row.line, i, drive_peek(d, w->pa));
            }
            hit += tea && r->path[0] == DMT_PATH_TEA;
            restart += tea && r->path[0] == DMT_PATH_RESTART;
        }
        rows++;
    }
    perm_close(f);
    must(more == 0 && rows == 24000 && hit > 8000 && restart > 5000, "%u rows, %u hits, %u restarts", rows,
         hit, restart);
    drive_free(d);
}

/* ---------------------------------------------------------------- the central property */

/* A random table whose leaf tables of each size are contiguous: one PML4 entry, PDS page directories behind
 * the first PDPT entries, PTS page tables behind the first entries of each. */
#define PDS 3
#define PTS 2
struct world {
    uint64_t va;
    struct dmt_table t;
    uint64_t l3, l2, l1;    /* first frames */
    struct dmt_state state; /* without registers */
    struct dmt_tea tea[3];  /* index size */
};

static uint64_t random_leaf(struct rng *r, unsigned level)
{
    uint64_t x = rng_next(r), e;

    e = (x & (W | U | A | D | G | 0x18 | 7ull << 9 | 15ull << 59 | XD)) | P;
    e |= (rng_next(r) & 0xfffffffffull) << 12 & DMT_PTE_FRAME & ((1ull << 46) - 1);
    if (level > 1)
        e = (e & ~((1ull << (3 + 9 * level)) - 1 - 0x1fff)) | PS;
    else if (rng_chance(r, 0x4000))
        e |= PS;
    if (rng_chance(r, 0x2000))
        e |= U | W;
    if (rng_chance(r, 0xc000))
        e &= ~XD;
    if (rng_chance(r, 0x1800))
        e &= ~P;
    if (rng_chance(r, 0x0800))
        e |= 1ull << (46 + rng_below(r, 6));
    if (level > 1 && rng_chance(r, 0x0800))
        e |= 1ull << (13 + rng_below(r, 9 * level - 10));
    return e;
}

/* A non-leaf entry with these rights. */
static uint64_t table_entry(uint64_t frame, unsigned rights)
{
    return frame << 12 | P | A | (uint64_t)(rights & 3) << 1 | (rights & 4 ? 0 : XD);
}

static void random_registers(struct rng *r, struct dmt_state *s)
{
    struct dmt_level *cr = &s->level[0];

    s->maxpa = 46;
    s->ad_update = !rng_chance(r, 0x2000);
    cr->cr0 = rng_chance(r, 0x8000) ? DMT_LEVEL_CR0_WP_MASK : 0;
    cr->cr4 |= rng_next(r) & (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_SMEP_MASK | DMT_LEVEL_CR4_SMAP_MASK |
                              DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK);
    cr->efer = rng_chance(r, 0xe000) ? DMT_LEVEL_EFER_NXE_MASK : 0;
    cr->pkru = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
    cr->pkrs = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
}

static void random_world(struct drive *d, struct rng *r, struct world *w, unsigned levels)
{
    static const uint8_t some[] = {7, 7, 7, 6, 5, 3, 2, 4};
    struct dmt_frames frames = {&d->pool, dmt_pool_alloc};
    unsigned rights[6], allow = 7;
    uint64_t l4;

    d->pool.next = 0x1000; /* the frames of the world before */
    w->t = drive_table(d, levels);
    must(frames.alloc(frames.user, 1, &l4) && frames.alloc(frames.user, 1, &w->l3) &&
         frames.alloc(frames.user, PDS, &w->l2) && frames.alloc(frames.user, PDS * PTS, &w->l1));
    memset(dmt_mem_frame(d->mem, w->t.root), 0, 4096);
    memset(dmt_mem_frame(d->mem, l4), 0, 4096);
    memset(dmt_mem_frame(d->mem, w->l3), 0, 4096);
    w->va = rng_below(r, 1u << (9 * levels - 28)) << 39;
    w->state = drive_native(d, &w->t);
    random_registers(r, &w->state);
    /* Without NXE, XD would be reserved, and bypassed reserved bits break the contract of the registers. */
    for (unsigned level = 2; level <= 5; level++)
        rights[level] = some[rng_below(r, 8)] | (w->state.level[0].efer ? 0 : 4);

    if (levels == 5) {
        drive_poke(d, dmt_table_entry_addr(w->t.root, 5, w->va), table_entry(l4, rights[5]));
        allow = rights[5];
    } else {
        l4 = w->t.root;
    }
    drive_poke(d, dmt_table_entry_addr(l4, 4, w->va), table_entry(w->l3, rights[4]));
    for (unsigned i = 0; i < 8; i++)
        drive_poke(d, (w->l3 << 12) + 8 * i, i < PDS ? table_entry(w->l2 + i, rights[3]) : random_leaf(r, 3));
    for (unsigned i = 0; i < 512 * PDS; i++)
        drive_poke(d, (w->l2 << 12) + 8 * i,
                   i % 512 < PTS ? table_entry(w->l1 + i / 512 * PTS + i % 512, rights[2])
                                 : random_leaf(r, 2));
    for (unsigned i = 0; i < 512 * PDS * PTS; i++)
        drive_poke(d, (w->l1 << 12) + 8 * i, random_leaf(r, 1));

    w->tea[DMT_SIZE_1G] = drive_cover(w->va, 512ull << 18, DMT_SIZE_1G, w->l3 << 12);
    w->tea[DMT_SIZE_2M] = drive_cover(w->va, PDS << 18, DMT_SIZE_2M, w->l2 << 12);
    /* The page tables of the first directory only: va jumps to those of the others. */
    w->tea[DMT_SIZE_4K] = drive_cover(w->va, PTS << 9, DMT_SIZE_4K, w->l1 << 12);
    for (unsigned sz = 3; sz-- > 0;)
        w->tea[sz].allow = (uint8_t)(allow &= rights[sz + 2]);
}

static struct dmt_request random_request(struct rng *r, const struct world *w)
{
    uint64_t gigabyte = rng_below(r, 10), offset = rng_next(r) & 0x3fffffff;

    if (rng_chance(r, 0x8000)) /* most pages are small */
        offset &= (PTS << 21) - 1;
    if (rng_chance(r, 0x8000))
        gigabyte = 0;
    return (struct dmt_request){
        .va = (w->va + (gigabyte << 30) + offset) | (rng_chance(r, 0x400) ? 1ull << 60 : 0),
        .access = (uint8_t)rng_below(r, 3),
        .cpl = rng_chance(r, 0x8000) ? 3 : 0,
        .ac = rng_chance(r, 0x8000),
        .implicit = rng_chance(r, 0x2000),
        .nonspec = rng_chance(r, 0xc000),
    };
}

/* Answers that depend on what the walker happened to have cached, the class that hides best: one access cold,
 * with warm caches, through a register of the page's size, and after registers of other sizes that do not
 * count, must have one outcome, and leave one leaf behind. */
ON_EVERY_ENGINE(P29_outcome_does_not_depend_on_the_way)
{
    enum { COLD, WARM, HIT, OTHER_SIZE, WAYS };
    struct drive *d = drive_new(engine, 1);
    struct rng rng;
    struct world w;
    unsigned paths[WAYS][4] = {{0}}, cached = 0, status[16] = {0};
    enum { TABLES = 40, REQUESTS = 60 };

    rng_seed(&rng, 29, 0);
    for (unsigned n = 0; n < TABLES; n++) {
        struct dmt_request q[REQUESTS];
        struct dmt_result want[REQUESTS];
        uint64_t leaf[REQUESTS];

        random_world(d, &rng, &w, 4 + (n & 1));
        for (unsigned i = 0; i < REQUESTS; i++)
            q[i] = random_request(&rng, &w);
        for (unsigned way = COLD; way < WAYS; way++) {
            struct dmt_state s = w.state;

            for (unsigned sz = 0; sz < 3; sz++) {
                /* Other sizes: 4K and 1G over 2M pages and so on, each register alone in turn. */
                if (way == HIT || (way == OTHER_SIZE && sz == n % 3))
                    s.tea[0][2 * sz + n % 5] = w.tea[sz];
            }
            drive_load(d, &s);
            drive_invalidate(d);
            for (unsigned i = 0; i < REQUESTS; i++) {
                struct dmt_lookup l;
                const struct dmt_result *r;

                dmt_table_lookup(&w.t, q[i].va, &l);
                if (way == COLD)
                    drive_invalidate(d);
                r = drive_translate(d, &q[i]);
                paths[way][r->path[0]]++;
                cached += way == WARM && r->status == DMT_STATUS_OK && r->reads == 1;
                if (way == COLD) {
                    want[i] = *r;
                    status[r->status]++;
                    leaf[i] = l.level ? drive_peek(d, l.addr[l.level]) : 0;
                }
                must(drive_same(r, &want[i]), "table %u request %u way %u: %s, cold %s", n, i, way,
                     drive_text(r), drive_text(&want[i]));
                if (l.level) {
                    must(drive_peek(d, l.addr[l.level]) == leaf[i],
                         "table %u request %u way %u: leaf %" PRIx64 " cold %" PRIx64, n, i, way,
                         drive_peek(d, l.addr[l.level]), leaf[i]);
                    drive_poke(d, l.addr[l.level], l.entry[l.level]);
                }
            }
        }
    }
    must(paths[HIT][DMT_PATH_TEA] > 300 && paths[HIT][DMT_PATH_RESTART] > 300 &&
             paths[OTHER_SIZE][DMT_PATH_RESTART] > 300,
         "%u hits, %u restarts, %u of other sizes", paths[HIT][DMT_PATH_TEA], paths[HIT][DMT_PATH_RESTART],
         paths[OTHER_SIZE][DMT_PATH_RESTART]);
    must(paths[WARM][DMT_PATH_TEA] == 0 && cached > 100, "%u walks from a cache", cached);
    must(status[DMT_STATUS_OK] > 300 && status[DMT_STATUS_PF] > 300 && status[DMT_STATUS_RETRY] > 20 &&
         status[DMT_STATUS_GP] > 5);
    drive_free(d);
}

/* The same with everything in flight at once, answers in any order: requests that may not write, so that none
 * of them changes what the others find. */
ON_PINS(P29_outcome_does_not_depend_on_the_neighbours)
{
    struct drive *d = drive_new(engine, 1);
    struct rng rng;
    struct world w;

    rng_seed(&rng, 30, 0);
    d->spread = 9;
    for (unsigned n = 0; n < 40; n++) {
        struct dmt_state s;

        random_world(d, &rng, &w, 4 + (n & 1));
        s = w.state;
        for (unsigned sz = 0; sz < 3; sz++)
            if (n >> sz & 1)
                s.tea[0][2 * sz] = w.tea[sz];
        drive_load(d, &s);
        d->last_first = n & 1;
        for (unsigned i = 0; i < 80; i++) {
            struct dmt_request q = random_request(&rng, &w);

            q.nonspec = false;
            drive_ask(d, &q);
        }
        drive_run(d);
        for (unsigned i = 0; i < d->walks; i++) {
            struct dmt_result want = drive_judge(d, &w.state, &d->walk[i].request);

            must(drive_same(&d->walk[i].result, &want), "table %u request %u: %s, alone %s", n, i,
                 drive_text(&d->walk[i].result), drive_text(&want));
        }
        drive_clear(d);
    }
    drive_free(d);
}

/* Answers that are right although the walker read more, or elsewhere, than it should: every address on the
 * bus is one that the architectural model reads, in its order. */
ON_PINS(P32_reads_are_those_of_the_model)
{
    struct drive *d = drive_new(engine, 1), *model = drive_new(DRIVE_ARCH, 1);
    struct rng rng;
    struct world w;

    rng_seed(&rng, 32, 0);
    for (unsigned n = 0; n < 20; n++) {
        struct dmt_state s;

        random_world(d, &rng, &w, 4 + (n & 1));
        s = w.state;
        for (unsigned sz = 0; sz < 3; sz++)
            if (n >> sz & 1)
                s.tea[0][2 * sz] = w.tea[sz];
        drive_load(d, &s);
        dmt_mem_free(model->mem);
        model->mem = dmt_mem_clone(d->mem);
        must(model->mem);
        for (unsigned i = 0; i < 60; i++) {
            struct dmt_request q = random_request(&rng, &w);

            drive_load(model, &s); /* cold, as the other after its INV */
            drive_invalidate(d);
            drive_translate(d, &q);
            drive_translate(model, &q);
            must(d->events == model->events, "%u accesses, the model makes %u", d->events, model->events);
            for (unsigned e = 0; e < d->events; e++)
                must(d->event[e].addr == model->event[e].addr && d->event[e].kind == model->event[e].kind &&
                         (d->event[e].kind != DRIVE_WRITE || d->event[e].data == model->event[e].data),
                     "access %u: %" PRIx64 ", the model's %" PRIx64, e, d->event[e].addr,
                     model->event[e].addr);
        }
    }
    drive_free(model);
    drive_free(d);
}

/* ---------------------------------------------------------------- what only DMT can get wrong */

/* A register covers the address, but what it fetches is not a good leaf of its size: absent, a table,
 * reserved bits, rights too few. Whatever the walk then finds is the answer. */
ON_EVERY_ENGINE(D1_fetched_entry_is_no_leaf)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned sz = DMT_SIZE_4K; sz <= DMT_SIZE_1G; sz++) {
        for (unsigned leaf = 1; leaf <= 3; leaf++) {
            struct path p = lay(d, 4, leaf);
            struct dmt_request q = {.va = p.va, .access = DMT_ACCESS_WRITE, .cpl = 3, .nonspec = true};
            struct dmt_result want = ok_of(&p);
            uint64_t good = page_pa[3] | FULL | (sz ? PS : 0);
            uint64_t bad[] = {0,
                              good & ~P,
                              good & ~W,
                              good & ~U,
                              good | 1ull << 47,
                              sz ? good & ~PS : 0,
                              sz ? good | 1ull << (11 + 9 * sz) : 0,
                              0x7ffffffffffffffe};

            p.state.maxpa = 46;
            p.state.tea[0][1] = drive_cover(p.va & ~(dmt_level_bytes(sz + 1) - 1),
                                            dmt_level_bytes(sz + 1) >> 12, sz, 0x500000);
            drive_poke(d, 0x500000, 0);
            drive_load(d, &p.state);
            for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                const struct dmt_result *r;

                drive_poke(d, 0x500000, bad[i]);
                drive_invalidate(d);
                r = drive_translate(d, &q);
                must(drive_same(r, &want) && r->path[0] == DMT_PATH_RESTART && r->index[0] == 0 &&
                         r->reads == 1 + 4 - leaf + 1,
                     "size %u entry %" PRIx64 ": %s", sz, bad[i], drive_text(r));
                must(drive_peek(d, 0x500000) == bad[i]);
            }
            drive_poke(d, 0x500000, good);
            must(drive_translate(d, &q)->path[0] == DMT_PATH_TEA);
        }
    }
    drive_free(d);
}

/* Registers of several sizes over one page: the largest size that maps it decides, also when that decision is
 * that the fetch does not count, and smaller entries are not looked at, however good. */
ON_EVERY_ENGINE(D1_largest_size_decides)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned decides = DMT_SIZE_4K; decides <= DMT_SIZE_1G; decides++) {
        for (unsigned spoilt = 0; spoilt < 2; spoilt++) {
            struct path p = lay(d, 4, decides + 1);
            struct dmt_request q = ask(p.va, DMT_ACCESS_WRITE);
            struct dmt_result want = ok_of(&p);
            const struct dmt_result *r;

            p.state.level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
            for (unsigned sz = DMT_SIZE_4K; sz <= DMT_SIZE_1G; sz++) {
                uint64_t bytes = dmt_level_bytes(sz + 1), good = 0x3c0000000 | FULL | (sz ? PS : 0);

                p.state.tea[0][sz] = drive_cover(p.va & ~(bytes - 1), bytes >> 12, sz, 0x500000 + (sz << 12));
                /* Larger: a table. This size: the page, or no right to write. Smaller: another page. */
                drive_poke(d, 0x500000 + (sz << 12),
                           sz > decides   ? good & ~PS
                           : sz < decides ? good
                           : spoilt       ? p.entry[sz + 1] & ~W
                                          : p.entry[sz + 1]);
            }
            drive_load(d, &p.state);
            drive_invalidate(d);
            r = drive_translate(d, &q);
            must(drive_same(r, &want) && r->path[0] == (spoilt ? DMT_PATH_RESTART : DMT_PATH_TEA) &&
                     r->index[0] == (spoilt ? 0 : decides),
                 "size %u: %s", decides, drive_text(r));
            for (unsigned sz = engine == DRIVE_ARCH ? decides : 0; sz <= DMT_SIZE_1G; sz++)
                must(d->event[2 - sz].addr == 0x500000 + (sz << 12));
            must(r->reads == 3 - decides + (spoilt ? p.levels - p.leaf + 1 : 0), "%u reads", r->reads);
        }
    }
    drive_free(d);
}

/* Registers that overlap: of one size the lowest index serves, and an event tells; of different sizes none is
 * told. */
ON_PINS(D2_overlapping_registers)
{
    struct drive *d = drive_new(engine, 1);
    struct path p = lay(d, 4, 1);
    struct dmt_request q = ask(p.va, DMT_ACCESS_READ);

    drive_load(d, &p.state);
    drive_write(d, DMT_LEVEL_EVENT_MASK, DMT_LEVEL_EVENT_MULTI_HIT_MASK);
    drive_run(d);
    for (unsigned low = 0; low < d->config.tea_n; low++) {
        for (unsigned high = low + 1; high < d->config.tea_n; high++) {
            const struct dmt_result *r;

            for (unsigned same = 0; same < 2; same++) {
                memset(p.state.tea[0], 0, sizeof p.state.tea[0]);
                p.state.tea[0][low] = tea_of(&p);
                p.state.tea[0][high] = drive_cover(p.va & ~0xfffull, 1, DMT_SIZE_4K, 0x500000);
                drive_poke(d, 0x500000, 0x33333000 | FULL);
                if (!same) {
                    p.state.tea[0][high].sz = DMT_SIZE_2M;
                    drive_poke(d, 0x500000, 0);
                }
                drive_load(d, &p.state);
                r = drive_translate(d, &q);
                must(r->status == DMT_STATUS_OK && r->pa == pa_of(&p) && r->path[0] == DMT_PATH_TEA &&
                         r->index[0] == low,
                     "registers %u and %u: %s", low, high, drive_text(r));
                must(r->reads == 1 + !same);
                must(drive_read(d, DMT_LEVEL_EVENT) == (same ? DMT_LEVEL_EVENT_MULTI_HIT_MASK : 0));
                must(d->ops->out(d->dut)->event == same);
                drive_write(d, DMT_LEVEL_EVENT, ~0ull);
                drive_run(d);
            }
        }
    }
    drive_free(d);
}

/* Coverage one byte too far or too near at either end of an area, aligned to the page size or not. */
ON_EVERY_ENGINE(D3_first_and_last_byte)
{
    struct drive *d = drive_new(engine, 1);
    struct dmt_table t = drive_table(d, 4);

    for (unsigned sz = DMT_SIZE_4K; sz <= DMT_SIZE_1G; sz++) {
        uint64_t base_vpn[] = {0, 1, 0x12345678, 0x12340000, (1ull << 35) - 3, (1ull << 52) - 700000};
        uint64_t pages[] = {1, 2, 511, 512, 513, 262145};

        for (unsigned i = 0; i < 6; i++) {
            for (unsigned j = 0; j < 6; j++) {
                struct dmt_state s = drive_native(d, &t);
                struct dmt_tea *tea = &s.tea[0][2];

                *tea = (struct dmt_tea){.base_vpn = base_vpn[i],
                                        .pages = pages[j],
                                        .base_pfn = 0x500,
                                        .sz = (uint8_t)sz,
                                        .allow = 7,
                                        .valid = true};
                drive_load(d, &s);
                for (unsigned k = 0; k < 4; k++) {
                    uint64_t va = (base_vpn[i] << 12) + (k < 2 ? 0 : pages[j] << 12) - (k == 0 || k == 2);
                    struct dmt_request q = ask(va, DMT_ACCESS_READ);
                    uint64_t entry = 0x500000 + 8 * (((va >> 12) - base_vpn[i]) >> 9 * sz);
                    bool inside = k == 1 || k == 2, canonical = va + (1ull << 47) < 1ull << 48;
                    const struct dmt_result *r;

                    if (inside && canonical)
                        drive_poke(d, entry, page_pa[3] | FULL | (sz ? PS : 0));
                    r = drive_translate(d, &q);
                    must(r->path[0] == (!canonical ? DMT_PATH_NOT_USED
                                        : inside   ? DMT_PATH_TEA
                                                   : DMT_PATH_RADIX),
                         "size %u base %" PRIx64 " pages %" PRIu64 " at %" PRIx64 ": %s", sz, base_vpn[i],
                         pages[j], va, drive_text(r));
                    must(!(inside && canonical) || d->event[0].addr == entry);
                    if (inside && canonical)
                        drive_poke(d, entry, 0);
                }
            }
        }
    }
    drive_free(d);
}

/* A register whose TEA lies beyond the physical address width, or that is refused for another reason, must
 * not be followed; nor one that is half written. */
ON_PINS(D4_refused_register_does_not_match)
{
    struct drive *d = drive_new(engine, 1);
    struct path p = lay(d, 4, 1);
    struct dmt_request q = ask(p.va, DMT_ACCESS_READ);
    struct dmt_tea good = tea_of(&p);
    uint64_t word[3];

    p.state.maxpa = 40;
    dmt_tea_pack(&good, word);
    for (unsigned kind = 0; kind < 8; kind++) {
        uint64_t bad[3] = {word[0], word[1], word[2]};
        unsigned reason = DMT_REFUSAL_NONE;

        p.state.tea[0][0] = good;
        drive_load(d, &p.state);
        must(drive_translate(d, &q)->path[0] == DMT_PATH_TEA);
        switch (kind) {
        case 0:
            bad[1] = word[1] | 1ull << 40;
            reason = DMT_REFUSAL_WIDTH;
            break;
        case 1:
            bad[2] = 0;
            reason = DMT_REFUSAL_EMPTY;
            break;
        case 2:
            bad[2] = ~0ull;
            reason = DMT_REFUSAL_WRAP;
            break;
        case 3:
            bad[0] |= 3u << DMT_TEA_WORD0_SZ_LSB;
            reason = DMT_REFUSAL_SZ;
            break;
        case 4:
            bad[0] |= 2u << DMT_TEA_WORD0_KIND_LSB;
            reason = DMT_REFUSAL_KIND;
            break;
        case 5:
            bad[0] |= 1u << DMT_TEA_WORD0_RSVD_LSB;
            reason = DMT_REFUSAL_RESERVED;
            break;
        default: /* only word 1, only word 2 written */
            break;
        }
        drive_clear(d);
        for (unsigned i = 3; i-- > 0;)
            if (kind < 6 || i == kind - 5)
                drive_write(d, DMT_LEVEL_TEA_WORD0(0) + 8 * i, bad[i]);
        drive_run(d);
        must(drive_translate(d, &q)->path[0] == DMT_PATH_RADIX, "kind %u: the register still matches", kind);
        must(drive_read(d, DMT_LEVEL_TEA_WORD3(0)) == reason << DMT_TEA_WORD3_REFUSAL_LSB, "kind %u", kind);
        must((drive_read(d, DMT_LEVEL_EVENT) & DMT_LEVEL_EVENT_REFUSED_MASK) ==
             (reason ? DMT_LEVEL_EVENT_REFUSED_MASK : 0));
        drive_clear(d);
        drive_write(d, DMT_LEVEL_EVENT, ~0ull);
        drive_run(d);
        d->state.tea[0][0].valid = false;
    }
    drive_free(d);
}

/* A bus error on a fetch passed over in silence by walking instead: it is reported, unless a larger page
 * decided. */
ON_EVERY_ENGINE(D5_bus_error_of_a_fetch_is_no_restart)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned leaf = 1; leaf <= 3; leaf++) {
        struct path p = lay(d, 4, leaf);
        struct dmt_request q = ask(p.va, DMT_ACCESS_READ);
        struct dmt_result want = bus(p.addr[leaf], DMT_BUS_ERROR_READ_SLVERR);
        const struct dmt_result *r;

        p.state.tea[0][0] = tea_of(&p);
        drive_load(d, &p.state);
        d->faults = 0;
        drive_fault(d, (struct drive_fault){p.addr[leaf], DRIVE_READ, 0, 1, DMT_RESP_SLVERR, p.entry[leaf]});
        r = drive_translate(d, &q);
        must(drive_same(r, &want) && r->path[0] == DMT_PATH_TEA && r->reads == 1, "%s", drive_text(r));
        r = drive_translate(d, &q);
        must(r->status == DMT_STATUS_OK && r->path[0] == DMT_PATH_TEA, "%s", drive_text(r));
    }
    drive_free(d);
}

/* A/D bits set through a register otherwise than by the walk: the leaf ends up the same for every
 * combination, and upper entries, which are not read, stay. */
ON_EVERY_ENGINE(D6_update_through_a_register)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned leaf = 1; leaf <= 3; leaf++) {
        for (unsigned c = 0; c < 24; c++) {
            struct path p = lay(d, 4, leaf);
            struct dmt_request q = ask(p.va, c % 3);
            uint64_t start = p.entry[leaf] & ~((c / 3 & 1 ? A : 0) | (c / 3 & 2 ? D : 0)), after = 0;
            struct dmt_result walk;

            if (c / 12) /* upper entries not accessed: the walk says so, the fetch cannot */
                for (unsigned level = leaf + 1; level <= 4; level++)
                    p.entry[level] &= ~A;
            for (unsigned tea = 0; tea < 2; tea++) {
                const struct dmt_result *r;

                lay_again(d, &p);
                drive_poke(d, p.addr[leaf], start);
                p.state.tea[0][0] = tea ? tea_of(&p) : (struct dmt_tea){0};
                drive_load(d, &p.state);
                drive_invalidate(d);
                r = drive_translate(d, &q);
                if (!tea) {
                    walk = *r;
                    after = drive_peek(d, p.addr[leaf]);
                    continue;
                }
                must(drive_same(r, &walk) && r->path[0] == DMT_PATH_TEA, "%s, walk %s", drive_text(r),
                     drive_text(&walk));
                must(drive_peek(d, p.addr[leaf]) == after &&
                     after == (start | A | (q.access == DMT_ACCESS_WRITE ? D : 0)));
                for (unsigned level = leaf + 1; level <= 4; level++)
                    must(drive_peek(d, p.addr[level]) == p.entry[level],
                         "an entry that was bypassed changed");
            }
        }
    }
    drive_free(d);
}

/* Statistics that count a translation twice or not at all: each answer raises exactly one of the seven
 * counters of outcomes, the right one. */
ON_PINS(D7_each_answer_is_counted_once)
{
    static const unsigned counter[] = {DMT_HOST_CNT_TEA,  DMT_HOST_CNT_RADIX, DMT_HOST_CNT_RESTART,
                                       DMT_HOST_CNT_PASS, DMT_HOST_CNT_FAULT, DMT_HOST_CNT_BUS,
                                       DMT_HOST_CNT_RETRY};
    struct drive *d = drive_new(engine, 1);
    struct rng rng;
    struct world w;
    uint64_t raised[7] = {0}, requests = 0;

    rng_seed(&rng, 7, 0);
    for (unsigned n = 0; n < 12; n++) {
        struct dmt_state s;

        random_world(d, &rng, &w, 4);
        s = w.state;
        for (unsigned sz = 0; sz < 3; sz++)
            s.tea[0][sz] = w.tea[sz];
        if (n % 4 == 1)
            s.mode = DMT_MODE_OFF;
        if (n % 4 == 2)
            memset(s.tea[0], 0, sizeof s.tea[0]);
        drive_load(d, &s);
        for (unsigned i = 0; i < 40; i++) {
            struct dmt_request q = random_request(&rng, &w);
            const struct dmt_result *r;
            unsigned expected;

            d->faults = 0;
            if (i % 8 == 5)
                drive_fault(d, (struct drive_fault){DRIVE_ANY, DRIVE_ALL, 0, 1, DMT_RESP_SLVERR, 0});
            r = drive_translate(d, &q);
            expected = r->status == DMT_STATUS_GP || r->status == DMT_STATUS_PF ? 4
                       : r->status == DMT_STATUS_BUS                            ? 5
                       : r->status == DMT_STATUS_RETRY                          ? 6
                       : s.mode == DMT_MODE_OFF                                 ? 3
                       : r->path[0] == DMT_PATH_TEA                             ? 0
                       : r->path[0] == DMT_PATH_RADIX                           ? 1
                                                                                : 2;
            raised[expected]++;
            requests++;
            for (unsigned c = 0; c < 7; c++)
                must(drive_read(d, DMT_HOST_BASE + counter[c]) == raised[c], "counter %u after %s", c,
                     drive_text(r));
            must(drive_read(d, DMT_HOST_BASE + DMT_HOST_CNT_REQUEST) == requests);
        }
    }
    for (unsigned c = 0; c < 7; c++)
        must(raised[c] > 3, "counter %u was not tested", c);
    drive_free(d);
}
