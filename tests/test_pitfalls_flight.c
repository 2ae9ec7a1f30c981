/* SPDX-License-Identifier: Apache-2.0
 * Bugs that shipped page walkers had, as tests of what happens while walks are
 * in flight: register writes, invalidations, stores and other requests at
 * every clock. The number leads to the public reports, which docs/pitfalls.md
 * lists. */
#include "dmt/regs.h"
#include "drive.h"
#include <inttypes.h>
#include <string.h>

#define P  DMT_PTE_P
#define W  DMT_PTE_W
#define U  DMT_PTE_U
#define A  DMT_PTE_A
#define D  DMT_PTE_D
#define PS DMT_PTE_PS
#define XD DMT_PTE_XD

#define INV(kind) ((uint64_t)DMT_INV_##kind << DMT_LEVEL_INV_KIND_LSB)

/* ---------------------------------------------------------------- a scene with a request of each kind */

/* Requests by what becomes of them when they are alone. */
enum kind {
    SIZES,    /* registers of all three sizes, the 2M one decides; its 1G register starts with it */
    WALK,     /* four references */
    BIG,      /* a 2M page, three references */
    FETCH,    /* a TEA register's 4K leaf */
    RESTARTS, /* a register whose entry is absent, then a walk */
    UPDATES,  /* a walk that sets A of two entries and D */
    FETCH_UPDATES,
    ABSENT,     /* page fault at the leaf */
    BROKEN,     /* page fault: reserved bit in the PDE */
    DENIED,     /* page fault: a user on a supervisor page */
    NO_BUS,     /* bus error: the page table is not in memory */
    NO_CANON,   /* GP */
    SPECULATES, /* RETRY */
    KINDS
};

struct scene {
    struct dmt_table t;
    struct dmt_state state;
    struct dmt_request request[KINDS];
    struct dmt_result want[KINDS]; /* of each alone */
    struct dmt_lookup way[KINDS];  /* entries as they were laid */
};

static struct dmt_request ask(uint64_t va, unsigned access)
{
    return (struct dmt_request){.va = va, .access = (uint8_t)access, .nonspec = true};
}

/* A private 1 GiB of addresses for each kind: ways share the root and the PDPT only. */
static uint64_t va_of(enum kind k)
{
    return 0x128000000000 + ((uint64_t)k << 30) + (0x155000 << (k & 1)) + 0xabc;
}

/* Store the entries of a kind's way as they were laid. */
static void lay_again(struct drive *d, const struct scene *s, enum kind k)
{
    const struct dmt_lookup *l = &s->way[k];

    for (unsigned level = l->level; level && level <= s->t.levels; level++)
        drive_poke(d, l->addr[level], l->entry[level]);
}

static void change(struct drive *d, struct dmt_lookup *l, unsigned level, uint64_t clear, uint64_t set)
{
    l->entry[level] = (l->entry[level] & ~clear) | set;
    drive_poke(d, l->addr[level], l->entry[level]);
}

/* Small instances have four registers: the last kinds of fetches are then walks. */
static void make_scene(struct drive *d, struct scene *s)
{
    static const uint8_t status[KINDS] = {
        [ABSENT] = DMT_STATUS_PF,  [BROKEN] = DMT_STATUS_PF,   [DENIED] = DMT_STATUS_PF,
        [NO_BUS] = DMT_STATUS_BUS, [NO_CANON] = DMT_STATUS_GP, [SPECULATES] = DMT_STATUS_RETRY,
    };
    bool all = d->config.tea_n >= 6;
    struct dmt_tea *tea;

    memset(s, 0, sizeof *s);
    s->t = drive_table(d, 4);
    for (unsigned k = 0; k < KINDS; k++) {
        unsigned sz = k == BIG || k == SIZES ? DMT_SIZE_2M : DMT_SIZE_4K;
        uint64_t mask = dmt_level_bytes(sz + 1) - 1;

        s->request[k] = ask(va_of(k), DMT_ACCESS_READ);
        s->way[k] =
            drive_map(d, &s->t, va_of(k) & ~mask, 0x70000000 + ((uint64_t)k << 24), sz, W | U | A | D);
    }
    s->state = drive_native(d, &s->t);
    s->state.maxpa = d->config.pa_w < 46 ? 32 : 46;
    tea = s->state.tea[0];
    tea[0] = drive_cover(va_of(FETCH) & ~0xfffull, 1, DMT_SIZE_4K, s->way[FETCH].addr[1]);
    tea[1] = drive_cover(va_of(SIZES) & ~0x3fffffffull, 1 << 18, DMT_SIZE_1G, s->way[SIZES].addr[3]);
    tea[2] = drive_cover(va_of(SIZES) & ~0x1fffffull, 512, DMT_SIZE_2M, s->way[SIZES].addr[2]);
    tea[3] = drive_cover(va_of(RESTARTS) & ~0xfffull, 1, DMT_SIZE_4K, 0x600000);
    drive_poke(d, 0x600000, 0);
    if (all) {
        tea[4] = drive_cover(va_of(SIZES) & ~0xfffull, 1, DMT_SIZE_4K, 0x600008);
        tea[5] = drive_cover(va_of(FETCH_UPDATES) & ~0xfffull, 1, DMT_SIZE_4K, s->way[FETCH_UPDATES].addr[1]);
        drive_poke(d, 0x600008, 0);
    }
    s->request[UPDATES].access = s->request[FETCH_UPDATES].access = DMT_ACCESS_WRITE;
    change(d, &s->way[UPDATES], 2, A, 0);
    change(d, &s->way[UPDATES], 1, A | D, 0);
    change(d, &s->way[FETCH_UPDATES], 1, A | D, 0);
    change(d, &s->way[ABSENT], 1, P, 0);
    change(d, &s->way[BROKEN], 2, 0, 1ull << 50);
    change(d, &s->way[DENIED], 1, U, 0);
    s->request[DENIED].cpl = 3;
    change(d, &s->way[NO_BUS], 2, DMT_PTE_FRAME, 0x3ffff000);
    s->request[NO_CANON].va |= 1ull << 63;
    change(d, &s->way[SPECULATES], 1, A, 0);
    s->request[SPECULATES].nonspec = false;

    drive_load(d, &s->state);
    for (unsigned k = 0; k < KINDS; k++) {
        s->want[k] = drive_judge(d, &s->state, &s->request[k]);
        must(s->want[k].status == status[k], "kind %u: %s", k, drive_text(&s->want[k]));
    }
    must(s->want[WALK].path[0] == DMT_PATH_RADIX && s->want[FETCH].path[0] == DMT_PATH_TEA &&
         s->want[SIZES].reads == 2 && s->want[SIZES].size == DMT_SIZE_2M &&
         s->want[RESTARTS].path[0] == DMT_PATH_RESTART && s->want[UPDATES].updates == 2 &&
         s->want[FETCH_UPDATES].updates == 1 &&
         s->want[FETCH_UPDATES].path[0] == (all ? DMT_PATH_TEA : DMT_PATH_RADIX));
}

/* The walk's answer is what it is when the request is alone. */
static void expect_alone(const struct drive *d, unsigned walk, const struct scene *s, enum kind k)
{
    must(drive_same(&d->walk[walk].result, &s->want[k]), "kind %u: %s, alone %s", k,
         drive_text(&d->walk[walk].result), drive_text(&s->want[k]));
}

/* A write that drains is answered after every answer to a request taken before it, and before the request
 * that it holds up is taken (specification 10). */
static void expect_order(const struct drive *d)
{
    for (unsigned c = 0; c < d->csrs; c++)
        for (unsigned i = 0; i < d->walks; i++)
            must(d->walk[i].taken >= d->csr[c].answered || d->walk[i].answered < d->csr[c].answered,
                 "write %u answered in clock %" PRIu64 ", request %u taken in %" PRIu64
                 " and answered in %" PRIu64,
                 c, d->csr[c].answered, i, d->walk[i].taken, d->walk[i].answered);
}

static void steps(struct drive *d, unsigned n)
{
    while (n--)
        drive_step(d);
}

/* Clocks that the kind takes alone, from port to answer. */
static unsigned clocks_of(struct drive *d, const struct scene *s, enum kind k)
{
    lay_again(d, s, k);
    drive_invalidate(d);
    drive_translate(d, &s->request[k]);
    expect_alone(d, 0, s, k);
    lay_again(d, s, k);
    return (unsigned)(d->walk[0].answered - d->walk[0].taken);
}

/* ---------------------------------------------------------------- P1 to P8: changes while walks are in
 * flight */

/* A flush between the read and its answer: the walker went idle, and the stale answer was taken for the next
 * walk's. A flush at every clock of every kind of translation, for several latencies; one, or three back to
 * back; its answer taken at once or late. drive_run() asserts that accesses and answers balance. */
ON_PINS(P1_flush_at_every_clock)
{
    static const unsigned latencies[] = {1, 2, 7};
    struct drive *d = drive_new(engine, 1);
    struct scene s;

    make_scene(d, &s);
    for (unsigned v = 0; v < 18; v++) {
        const uint64_t root = s.state.level[0].cr3;
        unsigned addr[] = {DMT_LEVEL_INV, DMT_LEVEL_CR3, DMT_LEVEL_CR0};
        uint64_t data[] = {INV(ALL), root, s.state.level[0].cr0};

        d->latency = latencies[v % 3];
        for (unsigned k = 0; k < KINDS; k++) {
            unsigned end = clocks_of(d, &s, k) + 3;

            for (unsigned at = 0; at < end; at++) {
                unsigned next = (k + at) % NO_BUS; /* any kind after it */

                drive_clear(d);
                lay_again(d, &s, k);
                lay_again(d, &s, next);
                drive_ask(d, &s.request[k]);
                steps(d, at);
                for (unsigned i = 0; i < (v / 9 ? 3u : 1u); i++)
                    drive_write(d, addr[v / 3 % 3], data[v / 3 % 3]);
                drive_ask(d, &s.request[next]);
                d->hold_csr = at & 1;
                d->hold_answers = at & 2;
                steps(d, at & 3 ? end : 0);
                d->hold_csr = d->hold_answers = false;
                drive_run(d);
                expect_alone(d, 0, &s, k);
                if (next != k || (k != UPDATES && k != FETCH_UPDATES))
                    expect_alone(d, 1, &s, next);
                expect_order(d);
            }
            lay_again(d, &s, k);
        }
    }
    drive_free(d);
}

/* A walk aborted while a read is outstanding that ends in a bus error, and whose successor starts in the
 * middle of the tables: an error at each reference, a flush at every clock, and the next walk must start at
 * the root, twice. */
ON_PINS(P2_error_under_a_flush_then_start_at_the_root)
{
    struct drive *d = drive_new(engine, 1);
    struct scene s;
    uint64_t root;
    static const unsigned latencies[] = {1, 3, 8};

    make_scene(d, &s);
    root = s.way[WALK].addr[4];
    for (unsigned v = 0; v < 6; v++) {
        d->latency = latencies[v % 3];
        for (unsigned level = 1; level <= 4; level++) {
            uint64_t bad = s.way[WALK].addr[level];
            unsigned end = clocks_of(d, &s, WALK) + 3;

            for (unsigned at = 0; at < end; at++) {
                struct dmt_result want = {.status = DMT_STATUS_BUS,
                                          .addr = bad,
                                          .error =
                                              at & 1 ? DMT_BUS_ERROR_READ_SLVERR : DMT_BUS_ERROR_READ_DECERR};

                drive_invalidate(d);
                d->faults = 0;
                drive_fault(d, (struct drive_fault){bad, DRIVE_READ, 0, 1,
                                                    at & 1 ? DMT_RESP_SLVERR : DMT_RESP_DECERR,
                                                    s.way[WALK].entry[level]});
                drive_ask(d, &s.request[WALK]);
                steps(d, at);
                if (v / 3)
                    drive_write(d, DMT_LEVEL_CR3, s.state.level[0].cr3);
                else
                    drive_write(d, DMT_LEVEL_INV, INV(ALL));
                steps(d, 3); /* the write is held, so what follows waits for it */
                drive_ask(d, &s.request[WALK]);
                drive_ask(d, &s.request[BIG]);
                drive_run(d);
                expect_order(d);
                if (d->walk[0].taken < d->csr[0].answered)
                    must(drive_same(&d->walk[0].result, &want), "level %u at %u: %s", level, at,
                         drive_text(&d->walk[0].result));
                must(d->walk[1].taken >= d->csr[0].answered);
                expect_alone(d, 1, &s, WALK);
                expect_alone(d, 2, &s, BIG);
                must(d->walk[1].first_ref == root && d->walk[1].result.reads == 4,
                     "level %u at %u: started at %" PRIx64, level, at, d->walk[1].first_ref);
                must(d->walk[2].first_ref == root || d->walk[2].taken > d->walk[1].taken + 2);
            }
        }
    }
    drive_free(d);
}

/* Invalidation during a walk, which then fills a cache with the old entry, in the same clock at worst.
 * Software changes an entry of one level and invalidates, at every clock of a stream of walks; no request
 * that is taken after the invalidation is answered may see the old entry. */
static unsigned invalidate_around_fills(enum drive_engine engine, bool invalidate)
{
    struct drive *d = drive_new(engine, 1);
    struct dmt_table t = drive_table(d, 4);
    struct dmt_state state = drive_native(d, &t);
    struct dmt_request q = ask(0x5a5ab6c7d8e8, DMT_ACCESS_READ);
    uint64_t page = q.va & ~0xfffull;
    struct dmt_lookup old = drive_map(d, &t, page, 0x11111000, DMT_SIZE_4K, W | U | A | D), now;
    struct dmt_table other = drive_table(d, 4);
    unsigned stale = 0;

    now = drive_map(d, &other, page, 0x22222000, DMT_SIZE_4K, W | U | A | D);
    drive_load(d, &state);
    for (unsigned latency = 1; latency <= 4; latency++) {
        d->latency = latency;
        for (unsigned level = 2; level <= 4; level++) {
            for (unsigned at = 0; at < 8 * (latency + 1); at++) {
                for (unsigned lead = 0; lead < 3; lead++) { /* clocks from the store to the invalidation */
                    unsigned after = 0;

                    for (unsigned l = 1; l <= 4; l++)
                        drive_poke(d, old.addr[l], old.entry[l]);
                    drive_invalidate(d);
                    for (unsigned i = 0; i < 12; i++)
                        drive_ask(d, &q);
                    steps(d, at);
                    drive_poke(d, old.addr[level], now.entry[level]);
                    steps(d, lead);
                    drive_write(d, DMT_LEVEL_INV, invalidate ? INV(ADDRESS) | page >> 12 : 15ull << 60);
                    steps(d, 1);
                    for (unsigned i = 0; i < 3; i++)
                        drive_ask(d, &q);
                    drive_run(d);
                    expect_order(d);
                    for (unsigned i = 0; i < d->walks; i++) {
                        const struct dmt_result *r = &d->walk[i].result;

                        must(r->status == DMT_STATUS_OK && (r->pa == 0x111118e8 || r->pa == 0x222228e8), "%s",
                             drive_text(r));
                        if (d->walk[i].taken < d->csr[0].answered)
                            continue;
                        after++;
                        if (r->pa != 0x222228e8)
                            stale++;
                        must(!invalidate || r->pa == 0x222228e8,
                             "latency %u level %u: store at %u, invalidated %u later, request %u sees the "
                             "old entry",
                             latency, level, at, lead, i);
                    }
                    must(after >= 3);
                }
            }
        }
    }
    drive_free(d);
    return stale;
}

ON_PINS(P3_nothing_stale_after_an_invalidation)
{
    invalidate_around_fills(engine, true);
    must(invalidate_around_fills(engine, false) > 100, "nothing is cached: the test above cannot fail");
}

/* A root or control register that changes under a walk, noticed by some parts of the walker and not by
 * others: for each register that a translation depends on, a write at every clock of a stream of requests.
 * Each answer is that of the old registers or of the new ones, and which is decided by the write's answer
 * alone. */
struct change {
    const char *name;
    unsigned addr;
    uint64_t data;
    struct dmt_state before, after;
    struct dmt_request request;
};

enum { CHANGES = 16 };

static void make_changes(struct drive *d, struct change *c)
{
    struct dmt_table t[2] = {drive_table(d, 4), drive_table(d, 4)};
    struct dmt_lookup l[2][6];
    struct dmt_tea tea;
    struct dmt_state s;
    uint64_t word[3];
    unsigned n = 0;
    static const uint64_t flags[6] = {
        W | U | A | D,          A | D, U | A | D, W | U | A | D | XD, W | U | A | D | 5ull << 59,
        W | A | D | 5ull << 59,
    };

    /* Each page in both tables, at two places. Read as five levels, the first leads into the second. */
    for (unsigned i = 0; i < 2; i++)
        for (unsigned p = 0; p < 6; p++)
            l[i][p] = drive_map(d, &t[i], 0x7f8040201000 + ((uint64_t)p << 21),
                                0x10000000 * (i + 1) + (p << 12), DMT_SIZE_4K, flags[p]);
    drive_poke(d, t[0].root << 12, t[1].root << 12 | P | W | U | A);
    s = drive_native(d, &t[0]);
    s.level[0].cr4 |= DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK;
    tea = drive_cover(0x7f8040201000, 1, DMT_SIZE_4K, l[1][0].addr[1]);
    dmt_tea_pack(&tea, word);

#define CHANGE(text, page, access_, cpl_, offset, value)                                                     \
    c[n] = (struct change){.name = text, .addr = offset, .data = value, .before = s, .after = s};            \
    c[n].request = (struct dmt_request){                                                                     \
        .va = 0x7f8040201123 + ((uint64_t)(page) << 21), .access = access_, .cpl = cpl_}

    CHANGE("CR3", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_CR3, t[1].root << 12);
    c[n++].after.level[0].cr3 = t[1].root << 12;
    CHANGE("CR0.WP", 2, DMT_ACCESS_WRITE, 0, DMT_LEVEL_CR0, DMT_LEVEL_CR0_WP_MASK);
    c[n++].after.level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
    CHANGE("CR4.SMAP", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_CR4, s.level[0].cr4 | DMT_LEVEL_CR4_SMAP_MASK);
    c[n].after.level[0].cr4 = c[n].data;
    n++;
    CHANGE("CR4.SMEP", 0, DMT_ACCESS_EXECUTE, 0, DMT_LEVEL_CR4, s.level[0].cr4 | DMT_LEVEL_CR4_SMEP_MASK);
    c[n].after.level[0].cr4 = c[n].data;
    n++;
    CHANGE("CR4.LA57", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_CR4, s.level[0].cr4 | DMT_LEVEL_CR4_LA57_MASK);
    c[n].after.level[0].cr4 = c[n].data;
    n++;
    CHANGE("EFER.NXE", 3, DMT_ACCESS_READ, 0, DMT_LEVEL_EFER, 0);
    c[n++].after.level[0].efer = 0;
    CHANGE("PKRU", 4, DMT_ACCESS_READ, 3, DMT_LEVEL_PKRU, 1u << 10);
    c[n++].after.level[0].pkru = 1u << 10;
    CHANGE("PKRS", 5, DMT_ACCESS_READ, 0, DMT_LEVEL_PKRS, 1u << 10);
    c[n++].after.level[0].pkrs = 1u << 10;
    CHANGE("CTL.MODE", 0, DMT_ACCESS_READ, 0, DMT_HOST_BASE + DMT_HOST_CTL, DMT_HOST_CTL_AD_UPDATE_MASK);
    c[n++].after.mode = DMT_MODE_OFF;
    CHANGE("CTL.AD_UPDATE", 0, DMT_ACCESS_WRITE, 0, DMT_HOST_BASE + DMT_HOST_CTL, DMT_MODE_NATIVE);
    c[n].request.va += 6ull << 21;
    l[0][0] = drive_map(d, &t[0], 0x7f8040201000 + (6ull << 21), 0x33333000, DMT_SIZE_4K, W | U);
    c[n++].after.ad_update = false;
    CHANGE("MAXPA", 0, DMT_ACCESS_READ, 0, DMT_HOST_BASE + DMT_HOST_MAXPA, 46);
    c[n].after.maxpa = 46;
    c[n++].after.level[0].cr3 = 0;
    CHANGE("TEA word 0, P=1", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_TEA_WORD0(2), word[0]);
    c[n].before.tea[0][2] = c[n].after.tea[0][2] = tea;
    c[n++].before.tea[0][2].valid = false;
    CHANGE("TEA word 0, P=0", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_TEA_WORD0(2), word[0] & ~1ull);
    c[n++].before.tea[0][2] = tea;
    CHANGE("TEA word 1", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_TEA_WORD1(2), word[1]);
    c[n++].before.tea[0][2] = tea;
    CHANGE("TEA word 2", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_TEA_WORD2(2), word[2]);
    c[n++].before.tea[0][2] = tea;
    CHANGE("TEA word 0, refused", 0, DMT_ACCESS_READ, 0, DMT_LEVEL_TEA_WORD0(2), word[0] | 0x100);
    c[n++].before.tea[0][2] = tea;
#undef CHANGE
    must(n == CHANGES);
}

/* Registers as `before`, with the words of the register that is about to be made valid. */
static void load_before(struct drive *d, const struct change *c)
{
    struct dmt_tea waiting = c->after.tea[0][2];
    uint64_t word[3];

    drive_load(d, &c->before);
    if (!waiting.valid)
        return;
    dmt_tea_pack(&waiting, word);
    drive_write(d, DMT_LEVEL_TEA_WORD2(2), word[2]);
    drive_write(d, DMT_LEVEL_TEA_WORD1(2), word[1]);
    drive_run(d);
    drive_clear(d);
}

ON_PINS(P4_register_write_at_every_clock)
{
    static struct change c[CHANGES];
    static const unsigned latencies[] = {1, 3, 8};
    struct drive *d = drive_new(engine, 1);

    make_changes(d, c);
    for (unsigned n = 0; n < CHANGES; n++) {
        struct dmt_result old = drive_judge(d, &c[n].before, &c[n].request);
        struct dmt_result now = drive_judge(d, &c[n].after, &c[n].request);

        must(!drive_same(&old, &now), "%s makes no difference: %s", c[n].name, drive_text(&old));
        for (unsigned v = 0; v < 3; v++) {
            unsigned both = 0;

            d->latency = latencies[v];
            for (unsigned at = 0; at < 5 * (d->latency + 1); at++) {
                load_before(d, &c[n]);
                drive_invalidate(d);
                for (unsigned i = 0; i < 4 + at; i++)
                    drive_ask(d, &c[n].request);
                steps(d, at);
                drive_write(d, c[n].addr, c[n].data);
                drive_run(d);
                expect_order(d);
                for (unsigned i = 0; i < d->walks; i++) {
                    bool before = d->walk[i].taken < d->csr[0].answered;
                    const struct dmt_result *r = &d->walk[i].result, *want = before ? &old : &now;

                    must(drive_same(r, want) && r->path[0] == want->path[0],
                         "%s at clock %u, latency %u, request %u (%s the write): %s, expected %s", c[n].name,
                         at, d->latency, i, before ? "before" : "after", drive_text(r), drive_text(want));
                    both |= before ? 1 : 2;
                }
                d->state = c[n].after;
                d->state.tea[0][2].valid = false;
                if (c[n].after.tea[0][2].valid) { /* so that loading `before` clears it */
                    drive_write(d, DMT_LEVEL_TEA_WORD1(2), 0);
                    drive_run(d);
                }
            }
            must(both == 3, "%s: all requests on one side of the write", c[n].name);
        }
    }
    drive_free(d);
}

/* A flush that reaches parts of the walker in different clocks, so that requests are lost or answers belong
 * to nobody: all queues full (contexts, skid, answers, reads held at the port), then a flush, then release at
 * every distance. Afterwards all three caches are empty at once. */
ON_PINS(P5_flush_reaches_all_parts_at_once)
{
    static const uint8_t full[] = {WALK,  FETCH,    BIG,    SIZES, RESTARTS, ABSENT,
                                   FETCH, NO_CANON, BROKEN, WALK,  FETCH,    DENIED};
    struct drive *d = drive_new(engine, 2);
    struct scene s;
    struct dmt_request probe[3];
    struct dmt_lookup at[3];
    uint64_t near[] = {0x1000, 0x200000, 2ull << 30};
    uint64_t base = va_of(WALK) & ~0xfffull;
    unsigned deep = 0;

    make_scene(d, &s);
    /* Pages that share with WALK's the page table, the page directory, the PDPT. */
    near[2] = (uint64_t)(KINDS + 3) << 30;
    for (unsigned i = 0; i < 3; i++) {
        at[i] = drive_map(d, &s.t, base + near[i], 0x44000000 + (i << 12), DMT_SIZE_4K, W | U | A | D);
        probe[i] = ask(base + near[i], DMT_ACCESS_READ);
    }
    for (unsigned i = 0; i < 3; i++) { /* they do start from the caches */
        drive_invalidate(d);
        drive_translate(d, &s.request[WALK]);
        drive_translate(d, &probe[i]);
        deep += d->walk[0].first_ref == at[i].addr[i + 1];
    }
    must(deep == 3, "the caches of %u levels were used", deep);
    for (unsigned v = 0; v < 4; v++) {
        for (unsigned hold = 0; hold < 24; hold++) {
            drive_clear(d);
            d->hold_answers = v & 1;
            d->hold_port = v & 2;
            for (unsigned i = 0; i < sizeof full; i++)
                drive_ask(d, &s.request[full[i]]);
            steps(d, 24 + hold);
            drive_write(d, hold & 1 ? DMT_LEVEL_INV : DMT_LEVEL_CR3,
                        hold & 1 ? INV(ALL) : s.state.level[0].cr3);
            steps(d, 3 + hold);
            must(!v || !d->csr[0].is_answered, "a flush overtook requests");
            for (unsigned i = 0; i < 3; i++)
                drive_ask(d, &probe[i]);
            d->hold_port = false;
            steps(d, hold / 2);
            d->hold_answers = false;
            drive_run(d);
            expect_order(d);
            for (unsigned i = 0; i < sizeof full; i++)
                expect_alone(d, i, &s, full[i]);
            for (unsigned i = 0; i < 3; i++) {
                const struct drive_walk *w = &d->walk[sizeof full + i];

                must(w->result.pa == 0x44000000 + (i << 12));
                /* The first request after the flush finds empty caches. */
                must(i > 0 || d->walk[sizeof full - 1].taken >= d->csr[0].answered ||
                     w->taken < d->csr[0].answered || w->first_ref == at[0].addr[4]);
            }
            /* Each level alone, directly after a flush. */
            drive_clear(d);
            drive_translate(d, &s.request[WALK]);
            drive_clear(d);
            drive_write(d, hold & 1 ? DMT_LEVEL_INV : DMT_LEVEL_CR3,
                        hold & 1 ? INV(ALL) : s.state.level[0].cr3);
            drive_ask(d, &s.request[BIG]);
            drive_run(d);
            drive_clear(d);
            drive_write(d, hold & 1 ? DMT_LEVEL_INV : DMT_LEVEL_CR3,
                        hold & 1 ? INV(ALL) : s.state.level[0].cr3);
            drive_run(d);
            drive_translate(d, &probe[hold % 3]);
            must(d->walk[0].first_ref == at[0].addr[4], "a cache kept something: started at %" PRIx64,
                 d->walk[0].first_ref);
        }
    }
    drive_free(d);
}

/* Address spaces with their own roots and the page that each maps at one address. */
#define SPACES 3
struct spaces {
    struct dmt_table t[SPACES];
    struct dmt_lookup way[SPACES];
    struct dmt_request request;
    unsigned pcid[SPACES];
};

static void move_to(struct drive *d, const struct spaces *s, unsigned i)
{
    drive_write(d, DMT_LEVEL_CR3, DMT_LEVEL_CR3_NOFLUSH_MASK | s->t[i].root << 12 | s->pcid[i]);
    drive_run(d);
    drive_clear(d);
}

/* Is the way of space i in a cache? Leaves it there. */
static bool is_cached(struct drive *d, const struct spaces *s, unsigned i)
{
    const struct dmt_result *r;

    move_to(d, s, i);
    r = drive_translate(d, &s->request);
    must(r->pa == 0x10000000u * (i + 1) + (s->request.va & 0xfff), "space %u: %s", i, drive_text(r));
    must(d->walk[0].first_ref == s->way[i].addr[1] || d->walk[0].first_ref == s->way[i].addr[4],
         "space %u: started at %" PRIx64, i, d->walk[0].first_ref);
    return d->walk[0].first_ref == s->way[i].addr[1];
}

/* All spaces cached; CR3 is that of space `in`. */
static void warm(struct drive *d, const struct spaces *s, unsigned in)
{
    for (unsigned i = 0; i < SPACES; i++) {
        is_cached(d, s, i);
        must(is_cached(d, s, i), "space %u is not cached", i);
    }
    move_to(d, s, in);
}

static void make_spaces(struct drive *d, struct spaces *s, bool pcide)
{
    static const unsigned pcid[SPACES] = {0x005, 0x805, 0xffa};
    struct dmt_state state;

    for (unsigned i = 0; i < SPACES; i++) {
        s->t[i] = drive_table(d, 4);
        s->pcid[i] = pcid[i];
        s->way[i] = drive_map(d, &s->t[i], 0x5a5ab6c7d000, 0x10000000 * (i + 1), DMT_SIZE_4K, W | U | A | D);
    }
    s->request = ask(0x5a5ab6c7d8e8, DMT_ACCESS_READ);
    state = drive_native(d, &s->t[0]);
    state.level[0].cr4 = pcide ? DMT_LEVEL_CR4_PCIDE_MASK : 0;
    drive_load(d, &state);
}

/* A flush that worked with the operand of another command: INV carries its operands; commands with different
 * PCIDs back to back, address and data apart on the bus by up to three clocks, with other values on the wires
 * between, and another PCID in CR3. */
ON_PINS(P6_operands_travel_with_the_command)
{
    struct drive *d = drive_new(engine, 1);
    struct spaces s;

    make_spaces(d, &s, true);
    for (int skew = -3; skew <= 3; skew++) {
        d->csr_skew = skew;
        for (unsigned drop = 0; drop < 8; drop++) {
            for (unsigned kind = DMT_INV_ADDRESS; kind <= DMT_INV_CONTEXT; kind++) {
                warm(d, &s, drop % SPACES);
                for (unsigned i = 0; i < SPACES; i++)
                    if (drop >> i & 1)
                        drive_write(d, DMT_LEVEL_INV,
                                    (uint64_t)kind << DMT_LEVEL_INV_KIND_LSB |
                                        (uint64_t)s.pcid[i] << DMT_LEVEL_INV_PCID_LSB | 0x12345);
                drive_run(d);
                drive_clear(d);
                for (unsigned i = 0; i < SPACES; i++)
                    must(is_cached(d, &s, i) == !(drop >> i & 1), "skew %d, dropped %x: space %u", skew, drop,
                         i);
            }
        }
    }
    drive_free(d);
}

/* A flush by address that misses because the page is larger than the address says, and flushes that keep or
 * drop the wrong address spaces: every kind, with any address inside and outside of the page. */
ON_PINS(P7_any_address_and_every_scope)
{
    static const uint64_t where[] = {0x5a5ab6c7d, 0x5a5ab6c00, 0x5a5ab6dff, 0x5a5a80000,
                                     0x5a5abffff, 0,           0x123456789, (1ull << 45) - 1};
    struct drive *d = drive_new(engine, 1);
    struct spaces s;

    make_spaces(d, &s, true);
    for (unsigned i = 0; i < sizeof where / sizeof where[0]; i++) {
        for (unsigned drop = 0; drop < SPACES; drop++) {
            warm(d, &s, i % SPACES);
            drive_write(d, DMT_LEVEL_INV,
                        INV(ADDRESS) | (uint64_t)s.pcid[drop] << DMT_LEVEL_INV_PCID_LSB | where[i]);
            drive_run(d);
            for (unsigned k = 0; k < SPACES; k++)
                must(is_cached(d, &s, k) == (k != drop), "address %" PRIx64 ": space %u", where[i], k);
        }
    }
    for (unsigned v = 0; v < 4; v++) {
        bool all = v < 2, flush = v != 3;

        warm(d, &s, 0);
        if (all)
            drive_write(d, DMT_LEVEL_INV, v ? INV(ALL) : INV(ALL_BUT_GLOBAL));
        else
            drive_write(d, DMT_LEVEL_CR3,
                        (v == 3 ? DMT_LEVEL_CR3_NOFLUSH_MASK : 0) | s.t[1].root << 12 | s.pcid[1]);
        drive_run(d);
        for (unsigned k = 0; k < SPACES; k++)
            must(is_cached(d, &s, k) == (!all && (k != 1 || !flush)), "scope %u: space %u", v, k);
    }
    drive_free(d);

    /* Without PCIDs every write of CR3 drops everything, whatever its low bits say. */
    d = drive_new(engine, 1);
    make_spaces(d, &s, false);
    for (unsigned noflush = 0; noflush < 2; noflush++) {
        for (unsigned i = 0; i < SPACES; i++) {
            drive_write(d, DMT_LEVEL_CR3,
                        (noflush ? DMT_LEVEL_CR3_NOFLUSH_MASK : 0) | s.t[i].root << 12 | s.pcid[i]);
            drive_run(d);
            drive_translate(d, &s.request);
            must(d->walk[0].first_ref == s.way[i].addr[4]);
            drive_translate(d, &s.request);
            must(d->walk[0].first_ref == s.way[i].addr[1]);
        }
    }
    drive_free(d);
}

/* The same with pages: a table that a large page replaces and the reverse, invalidated by any address inside.
 */
ON_PINS(P7_page_size_changes)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned level = 2; level <= 3; level++) {
        uint64_t bytes = dmt_level_bytes(level), va = 0x5a5a80000000;
        struct dmt_table t = drive_table(d, 4);
        struct dmt_state state = drive_native(d, &t);
        struct rng r;

        rng_seed(&r, 7, level);
        drive_load(d, &state);
        for (unsigned n = 0; n < 60; n++) {
            uint64_t page = rng_below(&r, bytes >> 12) << 12, inv = rng_below(&r, bytes >> 12) << 12;
            struct dmt_request q = ask(va + page + 0x7f8, DMT_ACCESS_READ);
            struct dmt_lookup l;
            const struct dmt_result *r1;

            d->pool.next = 0x2000;
            memset(dmt_mem_frame(d->mem, t.root), 0, 4096);
            for (unsigned i = 0; i < 3; i++)
                memset(dmt_mem_add(d->mem, 0x2000 + i), 0, 4096);
            l = drive_map(d, &t, va + page, 0x11111000, DMT_SIZE_4K, W | U | A | D);
            drive_invalidate(d);
            for (unsigned large = 0; large < 4; large++) {
                drive_poke(d, l.addr[level],
                           large & 1 ? 0x40000000 | P | W | U | A | D | PS : l.entry[level]);
                drive_write(d, DMT_LEVEL_INV, INV(ADDRESS) | (va + inv) >> 12);
                drive_run(d);
                r1 = drive_translate(d, &q);
                must(r1->pa == (large & 1 ? 0x40000000 + page + 0x7f8 : 0x111117f8), "%s", drive_text(r1));
                must(r1->size == (large & 1 ? level - 1 : 0));
            }
        }
    }
    drive_free(d);
}

/* Context that is read again in mid-walk, from the port or from a register: whatever is on the request port
 * after a request was taken, it is answered as it was asked, in the same clocks. */
ON_PINS(P8_inputs_matter_only_when_valid)
{
    struct drive *quiet = drive_new(engine, 3), *noisy = drive_new(engine, 3);
    struct scene s[2];
    struct rng r;

    quiet->idle_noise = false;
    make_scene(quiet, &s[0]);
    make_scene(noisy, &s[1]);
    rng_seed(&r, 8, 0);
    for (unsigned n = 0; n < 600; n++) {
        unsigned k = (unsigned)rng_below(&r, KINDS), other = (unsigned)rng_below(&r, KINDS),
                 gap = rng_below(&r, 9);

        for (unsigned i = 0; i < 2; i++) {
            struct drive *d = i ? noisy : quiet;

            drive_clear(d);
            lay_again(d, &s[i], k);
            lay_again(d, &s[i], other);
            drive_ask(d, &s[i].request[k]);
            steps(d, gap);
            drive_ask(d, &s[i].request[other]);
            drive_run(d);
            expect_alone(d, 0, &s[i], k);
        }
        for (unsigned i = 0; i < 2; i++) {
            must(drive_same(&quiet->walk[i].result, &noisy->walk[i].result));
            must(quiet->walk[i].answered - quiet->walk[i].taken ==
                     noisy->walk[i].answered - noisy->walk[i].taken,
                 "values on idle inputs changed the timing");
        }
    }
    drive_free(quiet);
    drive_free(noisy);
}

/* ---------------------------------------------------------------- P9 to P12: several at once */

/* A fault of one request given to another, or kept and given to the next: every pair of kinds at every
 * distance, caches cold and warm. */
static void every_pair(enum drive_engine engine, const char *config, unsigned latency, bool last_first)
{
    struct drive *d = drive_new_config(engine, config, latency);
    struct scene s;

    make_scene(d, &s);
    d->last_first = last_first;
    for (unsigned first = 0; first < KINDS; first++) {
        for (unsigned second = 0; second < KINDS; second++) {
            for (unsigned gap = 0; gap < 4 * (latency + 1) + 2; gap++) {
                if (gap & 1)
                    drive_invalidate(d);
                drive_clear(d);
                lay_again(d, &s, first);
                lay_again(d, &s, second);
                drive_ask(d, &s.request[first]);
                steps(d, gap);
                drive_ask(d, &s.request[second]);
                drive_run(d);
                expect_alone(d, 0, &s, first);
                expect_alone(d, 1, &s, second);
                lay_again(d, &s, first);
                lay_again(d, &s, second);
            }
        }
    }
    drive_free(d);
}

ON_PINS(P9_fault_goes_to_the_request_that_has_it)
{
    every_pair(engine, "default", 4, true);
}

ON_PINS(P10_fault_does_not_stay_for_the_next)
{
    every_pair(engine, "default", 1, false);
}

ON_PINS(P10_one_context)
{
    every_pair(engine, "smallest", 1, false);
}

/* Deadlock or loss when there are more requests than places for them: hundreds of every kind at once, with
 * one, eight and 64 contexts, answers held back and reads not taken at times, invalidations between; each is
 * answered once (drive_step asserts it) and as if it were alone. */
static void many(enum drive_engine engine, const char *config)
{
    struct drive *d = drive_new_config(engine, config, 1);
    struct scene s;
    struct rng r;

    rng_seed(&r, 11, d->config.ctx_n);
    make_scene(d, &s);
    for (unsigned n = 0; n < 24; n++) {
        uint8_t kind[200];

        d->latency = 1 + n % 7;
        d->spread = n % 3 * 10;
        d->last_first = n & 1;
        d->in_order = n % 5 == 0;
        drive_clear(d);
        for (unsigned i = 0; i < sizeof kind; i++) {
            kind[i] = (uint8_t)rng_below(&r, KINDS);
            drive_ask(d, &s.request[kind[i]]);
        }
        for (unsigned i = 0; i < 40; i++) {
            d->hold_answers = rng_chance(&r, 0x4000);
            d->hold_port = rng_chance(&r, 0x4000);
            if (rng_chance(&r, 0x2000))
                drive_write(d, DMT_LEVEL_INV, INV(ALL));
            steps(d, (unsigned)rng_below(&r, 30));
        }
        d->hold_answers = d->hold_port = false;
        drive_run(d);
        expect_order(d);
        for (unsigned i = 0; i < sizeof kind; i++)
            expect_alone(d, i, &s, kind[i]);
        lay_again(d, &s, UPDATES);
        lay_again(d, &s, FETCH_UPDATES);
    }
    drive_free(d);
}

ON_PINS(P11_more_requests_than_contexts)
{
    many(engine, "default");
}

ON_PINS(P11_one_context)
{
    many(engine, "smallest");
}

ON_PINS(P11_sixty_four_contexts)
{
    many(engine, "largest");
}

/* Two walks for one page at once that fill the caches twice: at every distance, with the entry changed
 * between their reads, and walks that then start from each cache. Each answer is the old page or the new, no
 * mixture, and after an invalidation only the new. */
ON_PINS(P11_two_walks_for_one_page)
{
    /* The page, one that shares its page directory, one that shares its PDPT. */
    static const uint64_t near[] = {0, 1 << 21, 1 << 30};
    struct drive *d = drive_new(engine, 1);
    struct dmt_table t = drive_table(d, 4), other = drive_table(d, 4);
    struct dmt_state state = drive_native(d, &t);
    struct dmt_lookup old[3], now[3];

    /* No frame of one table has all bits of one of the other, so that entries that are ORed lead to neither.
     */
    for (unsigned i = 3; i-- > 0;) {
        d->pool.next = 0x1100 + 8 * i;
        old[i] = drive_map(d, &t, 0x5a5ab6c7d000 + near[i], 0x11111000, DMT_SIZE_4K, W | U | A | D);
        d->pool.next = 0x1200 + 8 * i;
        now[i] = drive_map(d, &other, 0x5a5ab6c7d000 + near[i], 0x22222000, DMT_SIZE_4K, W | U | A | D);
    }
    drive_load(d, &state);
    for (unsigned latency = 1; latency <= 2; latency++) {
        d->latency = latency;
        for (unsigned level = 2; level <= 4; level++) {
            for (unsigned gap = 0; gap < 5 * (latency + 1); gap++) {
                for (unsigned store = 0; store < 5 * (latency + 1); store++) {
                    struct dmt_request q = ask(0x5a5ab6c7d8e8, DMT_ACCESS_READ);

                    for (unsigned l = 1; l <= 4; l++)
                        drive_poke(d, old[0].addr[l], old[0].entry[l]);
                    drive_invalidate(d);
                    drive_ask(d, &q);
                    for (unsigned i = 0; i < 10 * (latency + 1); i++) {
                        if (i == gap)
                            drive_ask(d, &q);
                        if (i == store)
                            drive_poke(d, old[0].addr[level], now[0].entry[level]);
                        drive_step(d);
                    }
                    for (unsigned i = 3; i-- > 0;) {
                        q.va = 0x5a5ab6c7d8e8 + near[i];
                        drive_ask(d, &q);
                        drive_run(d);
                    }
                    for (unsigned i = 0; i < d->walks; i++) {
                        const struct dmt_result *r = &d->walk[i].result;

                        must(r->status == DMT_STATUS_OK && (r->pa == 0x111118e8 || r->pa == 0x222228e8),
                             "level %u, second walk %u later, store at %u, request %u: %s", level, gap, store,
                             i, drive_text(r));
                    }
                    drive_invalidate(d);
                    must(drive_translate(d, &q)->pa == 0x222228e8);
                    drive_clear(d);
                }
            }
        }
    }
    drive_free(d);
}

/* A walk that used a word which was not in memory when its read was answered: with a store to one entry at
 * every clock, the answer is the one that the words on the bus make. */
ON_PINS(P12_answers_come_from_the_words_on_the_bus)
{
    struct drive *d = drive_new(engine, 3);
    struct scene s;
    unsigned old = 0, fresh = 0;

    make_scene(d, &s);
    for (unsigned k = 0; k <= RESTARTS; k++) {
        unsigned end = clocks_of(d, &s, k) + 1;

        for (unsigned level = k == BIG || k == SIZES ? 2 : 1; level <= 4; level++) {
            for (unsigned at = 0; at < end; at++) {
                struct drive *bus;
                struct dmt_result want;

                lay_again(d, &s, k);
                drive_invalidate(d);
                drive_ask(d, &s.request[k]);
                steps(d, at);
                drive_poke(d, s.way[k].addr[level], s.way[k].entry[level] & ~P);
                drive_run(d);
                bus = drive_new(DRIVE_ARCH, 1);
                dmt_mem_free(bus->mem);
                bus->mem = dmt_mem_clone(d->mem);
                must(bus->mem);
                for (unsigned i = 0; i < d->events; i++)
                    drive_poke(bus, d->event[i].addr, d->event[i].data);
                want = drive_judge(bus, &s.state, &s.request[k]);
                drive_free(bus);
                must(drive_same(&d->walk[0].result, &want), "kind %u level %u at %u: %s, by the bus %s", k,
                     level, at, drive_text(&d->walk[0].result), drive_text(&want));
                old += d->walk[0].result.status == DMT_STATUS_OK;
                fresh += d->walk[0].result.status == DMT_STATUS_PF;
            }
        }
        lay_again(d, &s, k);
    }
    must(old > 50 && fresh > 50);
    drive_free(d);
}

/* ---------------------------------------------------------------- P25: A/D updates among other stores */

/* An update that reads, ORs and writes loses what another processor stored in between: a store to the entry
 * at every clock of the translation. Its bits survive, apart from A and D, which may be added; and the answer
 * is one that the entry before or after the store makes. */
ON_PINS(P25_other_stores_survive)
{
    struct drive *d = drive_new(engine, 1);
    struct scene s;
    unsigned added = 0;

    make_scene(d, &s);
    for (unsigned latency = 1; latency <= 5; latency += 2) {
        d->latency = latency;
        for (unsigned v = 0; v < 3; v++) {
            enum kind k = v == 2 ? FETCH_UPDATES : UPDATES;
            unsigned level = v == 1 ? 2 : 1, end = clocks_of(d, &s, k) + 2;
            uint64_t pa = s.way[k].addr[level], e = s.way[k].entry[level];
            uint64_t store[] = {e | 7ull << 9,  e & ~P, e ^ 0x55555000, e | A, e | A | D, e, e & ~W,
                                e | 1ull << 50, 0};

            for (unsigned i = 0; i < sizeof store / sizeof store[0]; i++) {
                for (unsigned at = 0; at < end; at++) {
                    struct dmt_result now;
                    const struct dmt_result *r;
                    uint64_t left;

                    lay_again(d, &s, k);
                    drive_poke(d, pa, store[i]);
                    now = drive_judge(d, &s.state, &s.request[k]);
                    drive_poke(d, pa, e);
                    drive_invalidate(d);
                    drive_ask(d, &s.request[k]);
                    steps(d, at);
                    drive_poke(d, pa, store[i]);
                    drive_run(d);
                    r = &d->walk[0].result;
                    left = drive_peek(d, pa);
                    must(((left ^ store[i]) & ~(A | D)) == 0 && (store[i] & ~left) == 0,
                         "stored %" PRIx64 " at clock %u of %u, left %" PRIx64, store[i], at, end, left);
                    must(drive_same(r, &s.want[k]) || drive_same(r, &now),
                         "stored %" PRIx64 " at clock %u: %s, expected %s or %s", store[i], at, drive_text(r),
                         drive_text(&s.want[k]), drive_text(&now));
                    added += left != store[i];
                }
            }
            lay_again(d, &s, k);
        }
    }
    must(added > 50);
    drive_free(d);
}

/* Exclusive writes that lose: the entry is read again and the update repeated, as often as it takes. Without
 * a monitor behind the port, no write at all, and an error that says why. */
ON_EVERY_ENGINE(P25_lost_writes_are_repeated)
{
    struct drive *d = drive_new(engine, 2);
    struct scene s;

    make_scene(d, &s);
    for (unsigned k = UPDATES; k <= FETCH_UPDATES; k++) {
        for (unsigned lost = 0; lost < 6; lost++) {
            for (unsigned skip = 0; skip < (k == UPDATES ? 2u : 1u); skip++) {
                unsigned reads = 0;

                lay_again(d, &s, k);
                drive_invalidate(d);
                d->faults = 0;
                drive_fault(d, (struct drive_fault){DRIVE_ANY, DRIVE_WRITE, skip, lost, DMT_RESP_OKAY, 0});
                drive_translate(d, &s.request[k]);
                expect_alone(d, 0, &s, k);
                must(d->walk[0].result.updates == s.want[k].updates);
                for (unsigned i = 0; i < d->events; i++)
                    reads += d->event[i].kind == DRIVE_EXREAD;
                must(reads == lost + (k == UPDATES ? 2u : 1u), "lost %u: %u exclusive reads", lost, reads);
                must(drive_peek(d, s.way[k].addr[1]) == (s.way[k].entry[1] | A | D));
            }
        }
        lay_again(d, &s, k);
        drive_invalidate(d);
        d->faults = 0;
        drive_fault(d, (struct drive_fault){DRIVE_ANY, DRIVE_EXREAD, 0, 1, DMT_RESP_OKAY, s.way[k].entry[1]});
        drive_translate(d, &s.request[k]);
        must(d->walk[0].result.status == DMT_STATUS_BUS &&
                 d->walk[0].result.error == DMT_BUS_ERROR_NOT_EXCLUSIVE &&
                 d->walk[0].result.addr == s.way[k].addr[k == UPDATES ? 2 : 1] &&
                 d->walk[0].result.updates == 0,
             "%s", drive_text(&d->walk[0].result));
        for (unsigned i = 0; i < d->events; i++)
            must(d->event[i].kind != DRIVE_WRITE, "a write without exclusivity");
        if (engine != DRIVE_ARCH) {
            must(drive_read(d, DMT_HOST_BASE + DMT_HOST_EVENT) == DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK);
            drive_clear(d);
            drive_write(d, DMT_HOST_BASE + DMT_HOST_EVENT, ~0ull);
            drive_run(d);
        }
    }
    drive_free(d);
}

/* Two of our own walks that update one entry at once are two processors to each other: a read that sets A and
 * a write that sets A and D, at every distance, either first. Both succeed and no bit is lost. */
ON_PINS(P25_two_walks_update_one_entry)
{
    struct drive *d = drive_new(engine, 1);
    struct scene s;
    unsigned lost = 0;

    make_scene(d, &s);
    for (unsigned v = 0; v < 12; v++) {
        enum kind k = v & 1 ? FETCH_UPDATES : UPDATES;
        bool write_first = v & 2;
        unsigned end;

        d->latency = 1 + v / 4 * 2;
        end = clocks_of(d, &s, k) + 1;
        for (unsigned gap = 0; gap < end; gap++) {
            struct dmt_request q[2] = {s.request[k], s.request[k]};

            q[!write_first ? 0 : 1].access = DMT_ACCESS_READ;
            lay_again(d, &s, k);
            drive_invalidate(d);
            drive_ask(d, &q[0]);
            steps(d, gap);
            drive_ask(d, &q[1]);
            drive_run(d);
            for (unsigned i = 0; i < 2; i++) {
                const struct dmt_result *r = &d->walk[i].result;

                must(r->status == DMT_STATUS_OK && r->pa == s.want[k].pa, "%s", drive_text(r));
                must(q[i].access != DMT_ACCESS_WRITE || r->dirty);
            }
            for (unsigned i = 0; i < d->events; i++)
                lost += d->event[i].kind == DRIVE_WRITE && d->event[i].resp == DMT_RESP_OKAY;
            must(drive_peek(d, s.way[k].addr[1]) == (s.way[k].entry[1] | A | D));
            must(k == FETCH_UPDATES || drive_peek(d, s.way[k].addr[2]) == (s.way[k].entry[2] | A));
        }
        lay_again(d, &s, k);
    }
    must(lost > 5, "the walks never met");
    drive_free(d);
}

/* ---------------------------------------------------------------- DMT */

/* An area's TEA is moved while requests stream: clear P, copy, point the register elsewhere. From the answer
 * to the write that clears P nothing reads the old TEA, which is then free; every answer is the same all the
 * time. */
ON_PINS(D8_tea_moves_under_a_stream)
{
    struct drive *d = drive_new(engine, 1);
    struct scene s;

    make_scene(d, &s);
    for (unsigned latency = 1; latency <= 7; latency += 3) {
        d->latency = latency;
        for (unsigned at = 0; at < 3 * (latency + 2); at++) {
            uint64_t word[3], from = s.state.tea[0][0].base_pfn, to = 0x680;
            struct dmt_tea moved = s.state.tea[0][0];
            unsigned clear, set;

            drive_load(d, &s.state);
            lay_again(d, &s, FETCH);
            moved.base_pfn = to;
            dmt_tea_pack(&moved, word);
            for (unsigned i = 0; i < 60; i++)
                drive_ask(d, &s.request[FETCH]);
            steps(d, at);
            clear = drive_write(d, DMT_LEVEL_TEA_WORD0(0), word[0] & ~1ull);
            while (!d->csr[clear].is_answered)
                drive_step(d);
            memcpy(dmt_mem_add(d->mem, to), dmt_mem_frame(d->mem, from), 4096);
            drive_poke(d, s.way[FETCH].addr[2], (s.way[FETCH].entry[2] & ~DMT_PTE_FRAME) | to << 12);
            drive_write(d, DMT_LEVEL_INV, INV(ALL));
            drive_run(d);
            /* The old frame is used for something else. */
            memset(dmt_mem_frame(d->mem, from), 0xff, 4096);
            drive_write(d, DMT_LEVEL_TEA_WORD1(0), word[1]);
            set = drive_write(d, DMT_LEVEL_TEA_WORD0(0), word[0]);
            for (unsigned i = 0; i < 20; i++)
                drive_ask(d, &s.request[FETCH]);
            drive_run(d);
            expect_order(d);
            for (unsigned i = 0; i < d->walks; i++) {
                uint64_t taken = d->walk[i].taken;

                expect_alone(d, i, &s, FETCH);
                must(d->walk[i].result.path[0] ==
                     (taken < d->csr[clear].answered || taken >= d->csr[set].answered ? DMT_PATH_TEA
                                                                                      : DMT_PATH_RADIX));
            }
            memset(dmt_mem_frame(d->mem, from), 0, 4096);
            drive_poke(d, s.way[FETCH].addr[1], s.way[FETCH].entry[1]);
            lay_again(d, &s, FETCH);
        }
    }
    drive_free(d);
}
