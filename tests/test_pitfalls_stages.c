/* SPDX-License-Identifier: Apache-2.0
 * Bugs that shipped page walkers had with two stages of translation, and those
 * that gTEAs make possible, as tests. The number leads to the public reports,
 * which docs/pitfalls.md lists. */
#include "cells.h"
#include "dmt/regs.h"
#include "drive.h"
#include <inttypes.h>
#include <string.h>

/* Entries: IA-32e and NPT, EPT. */
#define P     DMT_PTE_P
#define W     DMT_PTE_W
#define U     DMT_PTE_U
#define A     DMT_PTE_A
#define D     DMT_PTE_D
#define PS    DMT_PTE_PS
#define XD    DMT_PTE_XD
#define FRAME DMT_PTE_FRAME
#define ER    1ull
#define EW    2ull
#define EX    4ull
#define EA    0x100ull
#define ED    0x200ull
#define EXU   0x400ull

/* Exit qualification and EXITINFO1. */
enum { Q_READ = 1, Q_WRITE = 2, Q_FETCH = 4, Q_LINEAR = 128, Q_FINAL = 256 };
#define I_P     1ull
#define I_WRITE 2ull
#define I_USER  4ull
#define I_RSV   8ull
#define I_FETCH 16ull
#define I_FINAL (1ull << 32)
#define I_TABLE (1ull << 33)

#define INV(kind) ((uint64_t)DMT_INV_##kind << DMT_LEVEL_INV_KIND_LSB)
#define MAXPA     51 /* bit 51 is reserved, 48 to 50 are addresses that four levels do not reach */

/* For what is said of every reference: caches leave some out. */
static const char *const configs[] = {"default", "uncached"};

static unsigned maxpa_of(const struct drive *d)
{
    return d->config.pa_w < MAXPA ? d->config.pa_w : MAXPA;
}

static unsigned events_of(const struct drive *d, unsigned kinds)
{
    unsigned n = 0;

    for (unsigned i = 0; i < d->events; i++)
        n += (d->event[i].kind & kinds) != 0;
    return n;
}

static unsigned times_read(const struct drive *d, uint64_t addr)
{
    unsigned n = 0;

    for (unsigned i = 0; i < d->events; i++)
        n += d->event[i].addr == addr;
    return n;
}

/* ---------------------------------------------------------------- one page under any stack of stages */

/* A cell (cells.h) in a driver's memory, and its reads in order. */
struct scene {
    struct cell_world w;
    struct cell_read read[CELL_READS_MAX];
    uint64_t entry[CELL_READS_MAX]; /* as it was built */
    unsigned reads;
};

/* Cells of four levels and 4K pages, covers from stage 0 up: w walk, p KIND PA, g KIND GTEA. */
static struct cell plain(uint8_t mode, bool full, uint8_t format, const char *cover)
{
    struct cell c = {.mode = mode, .full = full, .format = format};

    for (unsigned k = 0; cover[k]; k++) {
        c.stage[k].levels = 4;
        c.stage[k].cover = cover[k] == 'w' ? CELL_WALK : cover[k] == 'p' ? CELL_PA : CELL_GTEA;
    }
    return c;
}

static bool is_ept(const struct scene *s, unsigned stage)
{
    return stage < s->w.entering && s->w.cell.format == DMT_FORMAT_EPT;
}

static uint64_t bit_a(const struct scene *s, unsigned stage)
{
    return is_ept(s, stage) ? EA : A;
}

/* Has the stage A/D bits? */
static bool has_ad(const struct scene *s, unsigned stage)
{
    return !is_ept(s, stage) || s->w.state.s2[0].ad;
}

/* Load the scene's registers as they are now; nothing is cached afterwards. */
static void load(struct drive *d, const struct scene *s)
{
    drive_load(d, &s->w.state);
    drive_invalidate(d);
}

/* Build the cell and make it the driver's memory. ad: of EPT. */
static void enter(struct drive *d, struct scene *s, const struct cell *c, bool ad)
{
    must(cell_build(&s->w, c, maxpa_of(d)));
    dmt_mem_free(d->mem);
    d->mem = d->pool.mem = s->w.mem;
    s->w.mem = NULL;
    d->faults = 0;
    if (c->format == DMT_FORMAT_EPT)
        s->w.state.s2[0].ad = s->w.state.s2[1].ad = s->w.state.shadow.ad = ad;
    s->reads = cell_reads(&s->w, s->read);
    for (unsigned i = 0; i < s->reads; i++)
        s->entry[i] = drive_peek(d, s->read[i].addr);
    load(d, s);
}

static void restore(struct drive *d, const struct scene *s)
{
    for (unsigned i = 0; i < s->reads; i++)
        drive_poke(d, s->read[i].addr, s->entry[i]);
}

/* Store the scene's entries with A and D clear, from now on. */
static void clear_ad(struct drive *d, struct scene *s)
{
    for (unsigned i = 0; i < s->reads; i++)
        s->entry[i] &= ~(3 * bit_a(s, s->read[i].stage));
    restore(d, s);
}

/* Is read i the first of its entry? */
static bool is_first(const struct scene *s, unsigned i)
{
    for (unsigned j = 0; j < i; j++)
        if (s->read[j].addr == s->read[i].addr)
            return false;
    return true;
}

/* One request alone, nothing cached. */
static const struct dmt_result *cold(struct drive *d, const struct dmt_request *q)
{
    drive_invalidate(d);
    return drive_translate(d, q);
}

/* The addresses on the bus are those of the first n reads of the rule, all ordinary. Caches may have left
 * some out, but not the last one. */
static void expect_reads(const struct drive *d, const struct scene *s, unsigned n)
{
    const char *cell = cell_text(&s->w.cell);
    unsigned at = 0;

    must(d->config.pwc2_n ? d->events <= n && !d->events == !n : d->events == n,
         "%s: %u accesses, expected %u", cell, d->events, n);
    for (unsigned i = 0; i < d->events; i++) {
        while (at < n && s->read[at].addr != d->event[i].addr)
            at++;
        must(at++ < n && d->event[i].kind == DRIVE_READ, "%s: access %u at %" PRIx64, cell, i,
             d->event[i].addr);
    }
    must(n == 0 || d->event[d->events - 1].addr == s->read[n - 1].addr, "%s: the last read is at %" PRIx64,
         cell, d->event[d->events - 1].addr);
}

enum why { ABSENT, RESERVED, DENIED, WHYS };

/* The answer of a fault at a read: specification 8 and 11. rights {X, W, R} of EPT that are left. */
static struct dmt_result fault_of(const struct scene *s, const struct cell_read *x, enum why why,
                                  const struct dmt_request *q, unsigned rights)
{
    struct dmt_result r = {.stage = x->stage, .addr = x->a};
    bool user = q->cpl == 3 && !q->implicit;
    bool write = x->final ? q->access == DMT_ACCESS_WRITE : has_ad(s, x->stage);
    bool fetch = x->final && q->access == DMT_ACCESS_EXECUTE;

    if (x->stage == s->w.entering) {
        r.status = DMT_STATUS_PF;
        r.addr = q->va;
        r.error = (why == ABSENT ? 0 : 1) | (q->access == DMT_ACCESS_WRITE ? 2 : 0) | (user ? 4 : 0) |
                  (why == RESERVED ? 8 : 0) | (q->access == DMT_ACCESS_EXECUTE ? 16 : 0);
    } else if (!is_ept(s, x->stage)) {
        r.status = DMT_STATUS_NPT_FAULT;
        r.error = (why == ABSENT ? 0 : I_P) | (write ? I_WRITE : 0) | I_USER | (why == RESERVED ? I_RSV : 0) |
                  (fetch ? I_FETCH : 0) | (x->final ? I_FINAL : I_TABLE);
    } else if (why == RESERVED) {
        r.status = DMT_STATUS_EPT_MISCONFIG;
    } else {
        r.status = DMT_STATUS_EPT_VIOLATION;
        r.error = (!x->final || q->access == DMT_ACCESS_READ ? Q_READ : 0) | (write ? Q_WRITE : 0) |
                  (fetch ? Q_FETCH : 0) | Q_LINEAR | (x->final ? Q_FINAL : 0) |
                  (why == DENIED ? rights << 3 : 0);
    }
    return r;
}

static struct dmt_result fault_at(const struct scene *s, unsigned i, enum why why,
                                  const struct dmt_request *q, unsigned rights)
{
    return fault_of(s, &s->read[i], why, q, rights);
}

/* A value of the entry at read i that ends the translation there, for a user's access. */
static uint64_t spoilt(const struct scene *s, unsigned i, enum why why, const struct dmt_request *q,
                       unsigned *rights)
{
    const struct cell_read *x = &s->read[i];
    uint64_t e = s->entry[i];
    bool ept = is_ept(s, x->stage), fetch = x->final && q->access == DMT_ACCESS_EXECUTE;

    *rights = fetch ? ER : EX;
    switch (why) {
    case ABSENT:
        return ept ? e & ~(ER | EW | EX) : e & ~P;
    case RESERVED:
        return e | 1ull << 51;
    default:
        return !ept ? e & ~U : fetch ? e & ~(EW | EX) : e & ~(ER | EW);
    }
}

static struct dmt_result bus(uint64_t addr, unsigned error, unsigned stage)
{
    return (struct dmt_result){
        .status = DMT_STATUS_BUS, .addr = addr, .error = error, .stage = (uint8_t)stage};
}

static unsigned stage_of(const struct scene *s, uint64_t addr)
{
    for (unsigned i = 0; i < s->reads; i++)
        if (s->read[i].addr == addr)
            return s->read[i].stage;
    cr_assert_fail("%s: an access at %" PRIx64 ", where no entry of the way is", cell_text(&s->w.cell), addr);
    return 0;
}

/* Stacks that tests go through, and whether EPT has A/D flags. */
struct shape {
    uint8_t mode;
    bool full;
    uint8_t format;
    bool ad;
    const char *cover;
};

#define VIRT(format, ad, cover)                                                                              \
    {                                                                                                        \
        DMT_MODE_VIRT, false, DMT_FORMAT_##format, ad, cover                                                 \
    }
#define NESTED(full, format, ad, cover)                                                                      \
    {                                                                                                        \
        DMT_MODE_NESTED, full, DMT_FORMAT_##format, ad, cover                                                \
    }

/* Walked everywhere. */
static const struct shape walked[] = {
    VIRT(EPT, false, "ww"),          VIRT(EPT, true, "ww"),           VIRT(NPT, true, "ww"),
    NESTED(true, EPT, false, "www"), NESTED(true, EPT, true, "www"),  NESTED(true, NPT, true, "www"),
    NESTED(false, EPT, true, "www"), NESTED(false, NPT, true, "www"),
};

/* With registers of every kind at every stage. */
static const struct shape covered[] = {
    VIRT(EPT, true, "wp"),           VIRT(NPT, true, "wg"),           VIRT(EPT, false, "pw"),
    VIRT(EPT, true, "pp"),           VIRT(NPT, true, "pg"),           NESTED(true, EPT, true, "wpw"),
    NESTED(true, NPT, true, "wgp"),  NESTED(true, EPT, true, "pwg"),  NESTED(true, EPT, false, "ppp"),
    NESTED(true, NPT, true, "pgg"),  NESTED(true, EPT, true, "pgw"),  NESTED(false, EPT, true, "wgw"),
    NESTED(false, NPT, true, "ppw"), NESTED(false, EPT, true, "wwg"),
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static void enter_shape(struct drive *d, struct scene *s, const struct shape *h)
{
    struct cell c = plain(h->mode, h->full, h->format, h->cover);

    enter(d, s, &c, h->ad);
}

static const struct shape *shape_of(unsigned i)
{
    return i < LENGTH(walked)                     ? &walked[i]
           : i < LENGTH(walked) + LENGTH(covered) ? &covered[i - LENGTH(walked)]
                                                  : NULL;
}

/* ---------------------------------------------------------------- bus errors */

/* Bus errors taken for faults of a stage, hidden by a walk, or that hang: an error at each access of each
 * stack (each of the 24 references of VIRT, each of the 124 of NESTED, each fetch through a register, each
 * exclusive read and each A/D write), beside data that would mean something else. */
static void bus_errors(enum drive_engine engine, const char *config)
{
    static struct drive_event clean[DRIVE_LOG];
    static struct scene s;
    struct drive *d = drive_new_config(engine, config, 1);
    const struct shape *h;
    unsigned injected = 0;

    for (unsigned n = 0; (h = shape_of(n / 2)); n++) {
        struct dmt_result ok;
        unsigned count;

        enter_shape(d, &s, h);
        if (n & 1) {
            clear_ad(d, &s);
            s.w.request.access = DMT_ACCESS_WRITE;
        }
        ok = *cold(d, &s.w.request);
        must(ok.status == DMT_STATUS_OK && (ok.updates > 0) == (n & 1), "%s: %s", cell_text(&s.w.cell),
             drive_text(&ok));
        count = d->events;
        memcpy(clean, d->event, count * sizeof clean[0]);
        for (unsigned at = 0; at < count; at++) {
            uint64_t poison[] = {0, ~0ull, 1ull << 51 | 7, s.entry[s.reads - 1] | 0x360};
            unsigned resp = (at + n / 2) & 1 ? DMT_RESP_DECERR : DMT_RESP_SLVERR;
            bool write = clean[at].kind == DRIVE_WRITE;
            struct dmt_result want =
                bus(clean[at].addr, resp + (write ? 4 : 0), stage_of(&s, clean[at].addr));
            const struct dmt_result *r;

            restore(d, &s);
            drive_invalidate(d);
            d->faults = 0;
            drive_fault(d, (struct drive_fault){DRIVE_ANY, DRIVE_ALL, at, 1, (uint8_t)resp,
                                                poison[(at + n) / 2 & 3]});
            r = drive_translate(d, &s.w.request);
            must(drive_same(r, &want), "%s access %u: %s, expected %s", cell_text(&s.w.cell), at,
                 drive_text(r), drive_text(&want));
            must(d->events == at + 1, "%s access %u: %u accesses", cell_text(&s.w.cell), at, d->events);
            if (engine != DRIVE_ARCH) {
                must(drive_read(d, DMT_HOST_BASE + DMT_HOST_BUS_ADDR) == clean[at].addr);
                must(drive_read(d, DMT_HOST_BASE + DMT_HOST_EVENT) == DMT_HOST_EVENT_BUS_MASK);
                drive_write(d, DMT_HOST_BASE + DMT_HOST_EVENT, ~0ull);
                drive_run(d);
            }
            /* Nothing of it stays. */
            d->faults = 0;
            restore(d, &s);
            r = drive_translate(d, &s.w.request);
            must(drive_same(r, &ok), "%s after an error at %u: %s", cell_text(&s.w.cell), at, drive_text(r));
            injected++;
        }
    }
    must(injected > 1400, "%u", injected);
    drive_free(d);
}

ON_EVERY_ENGINE(P17_P23_bus_error_at_every_access)
{
    for (unsigned i = 0; i < LENGTH(configs); i++)
        bus_errors(engine, configs[i]);
}

/* ---------------------------------------------------------------- checks of table reads */

/* Table reads checked as if they were the access that caused them, or the reverse: a request that reads, with
 * one bit of one leaf of a second stage taken away. For a table access that counts as a write (EPT with A/D
 * flags, NPT) W must be there and D is set; for one that counts as a read (EPT without) R must be there. The
 * page of the access itself is read, and its D stays clear. */
ON_EVERY_ENGINE(P21_host_mapping_of_guest_tables)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned dirtied = 0, denied = 0;

    for (unsigned n = 0; n < LENGTH(walked); n++) {
        enter_shape(d, &s, &walked[n]);
        for (unsigned i = 0; i < s.reads; i++) {
            const struct cell_read *x = &s.read[i];
            bool ept = is_ept(&s, x->stage), counts = !x->final && has_ad(&s, x->stage);
            uint64_t dirty = 2 * bit_a(&s, x->stage);
            const struct dmt_result *r;
            struct dmt_result want;

            if (x->stage == s.w.entering || !x->leaf || !is_first(&s, i))
                continue;

            drive_poke(d, x->addr, s.entry[i] & ~dirty);
            r = cold(d, &s.w.request);
            must(r->status == DMT_STATUS_OK && r->updates == counts &&
                     r->dirty == (!x->final || !has_ad(&s, x->stage)),
                 "%s read %u: %s", cell_text(&s.w.cell), i, drive_text(r));
            for (unsigned j = 0; j < s.reads; j++)
                must(drive_peek(d, s.read[j].addr) ==
                         (s.read[j].addr == x->addr && !counts ? s.entry[i] & ~dirty : s.entry[j]),
                     "%s, without D at read %u: entry %u became %" PRIx64, cell_text(&s.w.cell), i, j,
                     drive_peek(d, s.read[j].addr));
            dirtied += counts;

            for (unsigned v = 0; v < 3; v++) { /* W; R (EPT) or U; no fetch */
                uint64_t without = v == 0 ? W : v == 2 ? ept ? EX | EXU : 0 : ept ? ER | EW : U;
                bool bad = v == 0 ? counts : v == 1;

                drive_poke(d, x->addr, (s.entry[i] & ~without) | (v == 2 && !ept ? XD : 0));
                want = fault_at(&s, i, DENIED, &s.w.request, 7 & ~without);
                r = cold(d, &s.w.request);
                if (bad)
                    must(drive_same(r, &want) && d->event[d->events - 1].addr == x->addr,
                         "%s read %u without %u: %s, expected %s", cell_text(&s.w.cell), i, v, drive_text(r),
                         drive_text(&want));
                else
                    must(r->status == DMT_STATUS_OK && events_of(d, DRIVE_EXREAD | DRIVE_WRITE) == 0,
                         "%s read %u without %u: %s", cell_text(&s.w.cell), i, v, drive_text(r));
                denied += bad;
            }
            restore(d, &s);
        }
    }
    must(dirtied > 30 && denied > 60, "%u, %u", dirtied, denied);
    drive_free(d);
}

/* A/D bits of guest tables are stores: where table reads count as reads, a guest entry that lacks A is found
 * through a mapping without W, and the store is what is refused, before it is made (rule A5). */
ON_EVERY_ENGINE(P21_update_of_a_guest_table_is_a_store)
{
    static const struct shape stacks[] = {VIRT(EPT, false, "ww"), NESTED(true, EPT, false, "www")};
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned refused = 0;

    for (unsigned n = 0; n < LENGTH(stacks); n++) {
        enter_shape(d, &s, &stacks[n]);
        for (unsigned i = 0; i < s.reads; i++) {
            unsigned leaf = i - 1;
            struct dmt_result want;
            const struct dmt_result *r;

            /* Read i is located by the leaf just before it. */
            if (s.read[i].stage != s.w.entering)
                continue;
            must(s.read[leaf].leaf && s.read[leaf].stage == 0);
            /* Nothing lacking; then A, found from what that has left in caches; and cold. */
            for (unsigned v = 0; v < 3; v++) {
                drive_poke(d, s.read[leaf].addr, s.entry[leaf] & ~EW);
                drive_poke(d, s.read[i].addr, s.entry[i] & ~(v ? A : 0));
                r = v == 1 ? drive_translate(d, &s.w.request) : cold(d, &s.w.request);
                /* A walk from a table deeper than the entry does not meet it. */
                if (v == 0 || (v == 1 && !times_read(d, s.read[i].addr))) {
                    must(r->status == DMT_STATUS_OK, "%s", drive_text(r));
                    drive_poke(d, s.read[i].addr, s.entry[i]);
                    continue;
                }
                want = fault_at(&s, leaf, DENIED, &s.w.request, ER | EX);
                want.error |= Q_WRITE;
                must(drive_same(r, &want), "%s read %u: %s, expected %s", cell_text(&s.w.cell), i,
                     drive_text(r), drive_text(&want));
                must(events_of(d, DRIVE_EXREAD | DRIVE_WRITE) == 0 &&
                     drive_peek(d, s.read[i].addr) == (s.entry[i] & ~A));
                refused++;
            }
            restore(d, &s);
        }
    }
    must(refused >= 10);
    drive_free(d);
}

/* Two second stages refuse the same store, and the wrong one is told of: stage 1 comes first, for its own
 * address of the entry, and stage 0 answers only where stage 1 lets the store pass. */
ON_EVERY_ENGINE(P21_store_that_two_stages_refuse)
{
    static const struct shape stacks[] = {
        NESTED(true, EPT, false, "www"), NESTED(true, EPT, false, "pww"), NESTED(true, EPT, false, "wpw"),
        NESTED(true, EPT, false, "wgw"), NESTED(true, EPT, false, "wwp"), NESTED(true, EPT, false, "ppp"),
    };
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned refused = 0;

    for (unsigned n = 0; n < LENGTH(stacks); n++) {
        enter_shape(d, &s, &stacks[n]);
        for (unsigned i = 0; i < s.reads; i++) {
            unsigned leaf[2] = {i - 1, i};

            if (s.read[i].stage != s.w.entering)
                continue;
            /* Read i is located by the leaf of stage 0 just before it, that by the last one of stage 1. */
            while (s.read[leaf[1]].stage != 1)
                leaf[1]--;
            must(s.read[leaf[0]].leaf && s.read[leaf[0]].stage == 0 && s.read[leaf[1]].leaf);
            for (unsigned refuses = 1; refuses <= 3; refuses++) {
                const struct dmt_result *r;
                struct dmt_result want = fault_at(&s, leaf[refuses >> 1], DENIED, &s.w.request, ER | EX);

                want.error |= Q_WRITE;
                for (unsigned k = 0; k < 2; k++)
                    if (refuses >> k & 1)
                        drive_poke(d, s.read[leaf[k]].addr, s.entry[leaf[k]] & ~EW);
                drive_poke(d, s.read[i].addr, s.entry[i] & ~A);
                r = cold(d, &s.w.request);
                must(drive_same(r, &want), "%s read %u, refused by %u: %s, expected %s", cell_text(&s.w.cell),
                     i, refuses, drive_text(r), drive_text(&want));
                must(events_of(d, DRIVE_EXREAD | DRIVE_WRITE) == 0);
                restore(d, &s);
                refused++;
            }
        }
    }
    must(refused == (4 + 4 + 4 + 4 + 1 + 1) * 3, "%u", refused);
    drive_free(d);
}

/* A fault met on a table read that carries the type of the access, or the reverse; the guest-physical address
 * of the page instead of the entry's, or of an earlier fault; the other stage's fault; reads that go on: each
 * way to fail at each reference of each stack, for each access. The code, the exact address, the stage, the
 * table or final bit, and the list of addresses on the bus. */
static void faults_everywhere(enum drive_engine engine, const char *config)
{
    static struct scene s;
    struct drive *d = drive_new_config(engine, config, 1);
    const struct shape *h;
    unsigned faults[3] = {0};

    for (unsigned n = 0; (h = shape_of(n)); n++) {
        enter_shape(d, &s, h);
        s.w.request.cpl = 3;
        for (unsigned i = 0; i < s.reads; i++) {
            if (s.read[i].tea || !is_first(&s, i))
                continue;
            for (unsigned why = 0; why < (s.read[i].leaf ? WHYS : DENIED); why++) {
                for (unsigned access = DMT_ACCESS_READ; access <= DMT_ACCESS_EXECUTE; access++) {
                    struct dmt_result want;
                    const struct dmt_result *r;
                    unsigned rights;

                    s.w.request.access = (uint8_t)access;
                    drive_poke(d, s.read[i].addr, spoilt(&s, i, why, &s.w.request, &rights));
                    want = fault_at(&s, i, why, &s.w.request, rights);
                    r = cold(d, &s.w.request);
                    must(drive_same(r, &want), "%s read %u why %u access %u: %s, expected %s",
                         cell_text(&s.w.cell), i, why, access, drive_text(r), drive_text(&want));
                    expect_reads(d, &s, i + 1);
                    faults[s.read[i].stage]++;
                }
            }
            drive_poke(d, s.read[i].addr, s.entry[i]);
        }
    }
    must(faults[0] > 600 && faults[1] > 400 && faults[2] > 200, "%u %u %u", faults[0], faults[1], faults[2]);
    drive_free(d);
}

ON_EVERY_ENGINE(P22_P31_P32_P34_fault_at_every_reference)
{
    for (unsigned i = 0; i < LENGTH(configs); i++)
        faults_everywhere(engine, configs[i]);
}

/* Two faults on one way: the one that comes first happens, whatever stage the other is of. */
ON_EVERY_ENGINE(P18_first_fault_of_all_stages)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    struct rng rng;

    rng_seed(&rng, 18, 2);
    for (unsigned n = 0; n < LENGTH(walked); n++) {
        enter_shape(d, &s, &walked[n]);
        s.w.request.cpl = 3;
        for (unsigned v = 0; v < 60; v++) {
            struct dmt_result want[2];
            unsigned at[2], rights, first;
            const struct dmt_result *r;

            for (unsigned i = 0; i < 2; i++) {
                do
                    at[i] = (unsigned)rng_below(&rng, s.reads);
                while (!is_first(&s, at[i]));
                unsigned why = (unsigned)rng_below(&rng, s.read[at[i]].leaf ? WHYS : DENIED);

                drive_poke(d, s.read[at[i]].addr, spoilt(&s, at[i], why, &s.w.request, &rights));
                want[i] = fault_at(&s, at[i], why, &s.w.request, rights);
            }
            first = at[0] < at[1] ? 0 : 1;
            r = cold(d, &s.w.request);
            must(drive_same(r, &want[first]), "%s reads %u and %u: %s, expected %s", cell_text(&s.w.cell),
                 at[0], at[1], drive_text(r), drive_text(&want[first]));
            expect_reads(d, &s, at[first] + 1);
            restore(d, &s);
        }
    }
    drive_free(d);
}

/* Registers of stages that are not in use hold nonsense, and nobody looks at them or is blamed: each mode
 * with the tables, roots and registers of the other modes spoilt, and a fault of each stage that is. */
ON_EVERY_ENGINE(P34_stages_not_in_use)
{
    static const struct shape stacks[] = {
        {DMT_MODE_NATIVE, false, DMT_FORMAT_EPT, true, "w"},
        VIRT(EPT, true, "ww"),
        VIRT(NPT, true, "ww"),
        NESTED(true, EPT, true, "www"),
        NESTED(false, NPT, true, "www"),
    };
    static struct scene s;
    struct drive *d = drive_new(engine, 1);

    for (unsigned n = 0; n < LENGTH(stacks); n++) {
        struct dmt_state *st;
        struct dmt_result want;
        unsigned rights;

        enter_shape(d, &s, &stacks[n]);
        s.w.request.cpl = 3;
        st = &s.w.state;
        for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
            struct dmt_s2 junk = {.root = 0x7f0000000000 + (k << 12),
                                  .format = !stacks[n].format,
                                  .five = true,
                                  .ad = true,
                                  .mbec = true,
                                  .tag = k < 2 ? 0x77 : 0};

            if (k != s.w.entering)
                st->level[k] = (struct dmt_level){.cr3 = 0x7e0000000000,
                                                  .cr4 = DMT_LEVEL_CR4_LA57_MASK | DMT_LEVEL_CR4_SMAP_MASK |
                                                         DMT_LEVEL_CR4_PKE_MASK,
                                                  .pkru = ~0u};
            if (k >= s.w.entering && k < 2)
                st->s2[k] = junk;
            if (k > s.w.entering)
                for (unsigned i = 0; i < 3; i++)
                    st->tea[k][i] = (struct dmt_tea){
                        .pages = 1ull << 52, .base_pfn = 0x7d0000000, .sz = 2, .valid = true};
            if (k == 2 && !s.w.shadow)
                st->shadow = junk;
        }
        /* With SHADOW the tables of stages 1 and 0 have no part. */
        if (s.w.shadow)
            st->s2[0].root = st->s2[1].root = 0x7c0000000000;
        load(d, &s);
        want = cell_answer(&s.w);
        must(drive_same(cold(d, &s.w.request), &want), "%s: %s, expected %s", cell_text(&s.w.cell),
             drive_text(&d->walk[0].result), drive_text(&want));
        for (unsigned i = 0; i < s.reads; i++) {
            if (!is_first(&s, i))
                continue;
            for (unsigned why = 0; why < DENIED; why++) {
                drive_poke(d, s.read[i].addr, spoilt(&s, i, why, &s.w.request, &rights));
                want = fault_at(&s, i, why, &s.w.request, rights);
                must(drive_same(cold(d, &s.w.request), &want), "%s read %u: %s, expected %s",
                     cell_text(&s.w.cell), i, drive_text(&d->walk[0].result), drive_text(&want));
            }
            drive_poke(d, s.read[i].addr, s.entry[i]);
        }
    }
    drive_free(d);
}

/* A fetch's right to execute asked of the pages that hold tables: each leaf of each second stage without each
 * right to execute, with and without mode-based control; it matters to the page that is fetched from alone.
 */
ON_EVERY_ENGINE(P35_tables_need_no_execute_right)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned ok = 0, denied = 0;

    for (unsigned n = 0; n < 2 * LENGTH(walked); n++) {
        enter_shape(d, &s, &walked[n / 2]);
        s.w.state.s2[0].mbec = s.w.state.s2[1].mbec = s.w.state.shadow.mbec = n & 1;
        load(d, &s);
        s.w.request.access = DMT_ACCESS_EXECUTE;
        for (unsigned i = 0; i < s.reads; i++) {
            bool ept = is_ept(&s, s.read[i].stage);

            if (s.read[i].stage == s.w.entering || !s.read[i].leaf || !is_first(&s, i))
                continue;
            for (unsigned v = 1; v < (ept ? 4 : 2); v++) { /* X, XU, both; XD */
                uint64_t without = ept ? (v & 1 ? EX : 0) | (v & 2 ? EXU : 0) : 0;
                /* It is a user page, so with mode-based control XU decides. */
                bool bad = s.read[i].final && (!ept || without & (n & 1 ? EXU : EX));
                struct dmt_result want = fault_at(&s, i, DENIED, &s.w.request, 7 & ~without);
                const struct dmt_result *r;

                want.error |= ept && n & 1 && !(without & EXU) ? 64 : 0;
                drive_poke(d, s.read[i].addr, (s.entry[i] & ~without) | (ept ? 0 : XD));
                r = cold(d, &s.w.request);
                must(bad ? drive_same(r, &want) : r->status == DMT_STATUS_OK, "%s read %u: %s",
                     cell_text(&s.w.cell), i, drive_text(r));
                must(bad || !s.read[i].final || !ept || (r->rights & 4), "%s", drive_text(r));
                ok += !bad;
                denied += bad;
            }
            drive_poke(d, s.read[i].addr, s.entry[i]);
        }
    }
    must(ok > 100 && denied > 10, "%u, %u", ok, denied);
    drive_free(d);
}

/* A term missing in the check of second-stage rights: every set of rights of a leaf under every one of the
 * entry above it, every access, user pages and others, A/D flags and mode-based execute on and off. */
ON_EVERY_ENGINE(P28_second_stage_rights)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned granted = 0, denied = 0;

    for (unsigned n = 0; n < 8; n++) {
        bool ept = n < 4, mbec = ept && n & 1, user_page = n & 2;
        struct shape h = VIRT(EPT, false, "wg");
        uint64_t gpa, upper, leaf, guest;

        h.format = ept ? DMT_FORMAT_EPT : DMT_FORMAT_NPT;
        if (!ept && n & 1)
            continue; /* NPT has no mode-based control */
        enter_shape(d, &s, &h);
        s.w.state.s2[0].mbec = mbec;
        load(d, &s);
        gpa = cell_final(&s.w, 0);
        upper = cell_entry_hpa(&s.w, 0, 3, gpa);
        leaf = cell_entry_hpa(&s.w, 0, 1, gpa);
        guest = cell_entry_hpa(&s.w, 1, 1, s.w.request.va);
        drive_poke(d, guest, (drive_peek(d, guest) & ~U) | (user_page ? U : 0));
        for (unsigned v = 0; v < 256 * 3; v++) { /* R or U, W, X, XU */
            unsigned both[2] = {v & 15, v >> 4 & 15}, rights = 15, access = v >> 8, asked;
            uint64_t at[2] = {upper, leaf};
            uint8_t status = DMT_STATUS_OK;
            const struct dmt_result *r;

            if (!ept && ((both[0] ^ both[0] >> 1) | (both[1] ^ both[1] >> 1)) & 4)
                continue; /* NPT has one right to execute */
            for (unsigned i = 0; i < 2; i++) {
                uint64_t e = drive_peek(d, at[i]);

                if (ept)
                    e = (e & ~(ER | EW | EX | EXU)) | (both[i] & 7) | (both[i] & 8 ? EXU : 0);
                else
                    e = (e & ~(U | W | XD)) | (both[i] & 1 ? U : 0) | (both[i] & 2 ? W : 0) |
                        (both[i] & 4 ? 0 : XD);
                drive_poke(d, at[i], e);
                if (status == DMT_STATUS_OK && ept && !(both[i] & (mbec ? 15 : 7)))
                    status = DMT_STATUS_EPT_VIOLATION;
                if (status == DMT_STATUS_OK && ept && (both[i] & 3) == 2)
                    status = DMT_STATUS_EPT_MISCONFIG;
                rights &= both[i];
            }
            if (!mbec)
                rights = (rights & 7) | (rights & 4) << 1;
            asked = access == DMT_ACCESS_READ ? 1 : access == DMT_ACCESS_WRITE ? 2 : user_page ? 8 : 4;
            if (!ept)
                asked |= 1;
            if (status == DMT_STATUS_OK && (rights & asked) != asked)
                status = ept ? DMT_STATUS_EPT_VIOLATION : DMT_STATUS_NPT_FAULT;
            s.w.request.access = (uint8_t)access;
            r = cold(d, &s.w.request);
            must(r->status == status, "case %u %u: %s, expected %u", n, v, drive_text(r), status);
            if (status == DMT_STATUS_OK)
                must(r->rights == ((rights >> 1 & 1) | (user_page ? 2 : 0) |
                                   (rights >> (user_page ? 3 : 2) & 1) << 2 | (rights & 1 ? 0 : 8)),
                     "case %u %u: %s", n, v, drive_text(r));
            else
                must(r->addr == gpa && r->stage == 0, "case %u %u: %s", n, v, drive_text(r));
            granted += status == DMT_STATUS_OK;
            denied += status != DMT_STATUS_OK;
        }
    }
    must(granted > 300 && denied > 2000, "%u, %u", granted, denied);
    drive_free(d);
}

/* Reserved bits and misconfigurations that pass, or bits that software may use that do not: every bit of
 * every entry of a second stage alone, EPT and NPT, leaf and not. */
ON_EVERY_ENGINE(P13_every_bit_of_a_second_stage_entry)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned broken = 0;

    for (unsigned n = 0; n < 2 * 8; n++) {
        /* Leaves of three sizes, then tables of five levels to two. */
        unsigned kind = n / 2, level = kind < 3 ? kind + 1 : 8 - (kind - 3) - 3;
        bool ept = !(n & 1), leaf = kind < 3;
        struct cell c = plain(DMT_MODE_VIRT, false, ept ? DMT_FORMAT_EPT : DMT_FORMAT_NPT, "wg");
        uint64_t gpa, pa, e;

        if (!leaf && level < 2)
            continue;
        c.stage[0].levels = 5;
        c.stage[0].size = leaf ? (uint8_t)(level - 1) : DMT_SIZE_4K;
        enter(d, &s, &c, true);
        gpa = cell_final(&s.w, 0);
        pa = cell_entry_hpa(&s.w, 0, level, gpa);
        e = drive_peek(d, pa);
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t v = e ^ 1ull << bit, reserved = 1ull << 51, sized = (1ull << (9 * level + 3)) - 0x1000;
            unsigned type = v >> 3 & 7;
            const struct dmt_result *r;
            bool wrong, found;

            if (bit == 7 && (level == 2 || level == 3))
                continue; /* leaf or not: with sense of its own */
            if (ept) {
                reserved |= level >= 4 ? 0xf8 : !leaf ? 0x78 : level > 1 ? sized : 0;
                wrong = v & reserved || (v & 3) == 2 || (leaf && (type == 2 || type == 3 || type == 7));
            } else {
                reserved |= level >= 4 ? PS : leaf && level > 1 ? sized & ~0x1000ull : 0;
                wrong = (v & 1) && v & reserved;
            }
            drive_poke(d, pa, v);
            r = cold(d, &s.w.request);
            found = ept ? r->status == DMT_STATUS_EPT_MISCONFIG
                        : r->status == DMT_STATUS_NPT_FAULT && (r->error & I_RSV);
            found &= r->reads == 1 + 5 - level + 1; /* at this entry, not below it */
            must(found == wrong, "%s level %u %s bit %u: %s", ept ? "EPT" : "NPT", level,
                 leaf ? "leaf" : "table", bit, drive_text(r));
            if (wrong)
                must(r->addr == gpa && r->stage == 0 &&
                     (ept || r->error == (I_P | I_USER | I_RSV | I_FINAL)));
            broken += wrong;
        }
    }
    must(broken > 60, "%u", broken);
    drive_free(d);
}

/* ---------------------------------------------------------------- A/D */

/* A or D written, in whatever stage, although a check of another stage fails later: nothing is accessed or
 * dirty anywhere, and something ends the translation at each reference; then a speculative request, and one
 * with updates off. In the end, all checks have been made before the first exclusive read. */
static void no_early_write(enum drive_engine engine, const char *config)
{
    static struct scene s;
    struct drive *d = drive_new_config(engine, config, 1);
    const struct shape *h;

    for (unsigned n = 0; (h = shape_of(n)); n++) {
        unsigned before = 0;
        const struct dmt_result *r;

        enter_shape(d, &s, h);
        s.w.request.cpl = 3;
        s.w.request.access = n & 1 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ;
        clear_ad(d, &s);
        for (unsigned i = 0; i < s.reads; i++) {
            if (s.read[i].tea || !is_first(&s, i))
                continue;
            for (unsigned why = 0; why < (s.read[i].leaf ? WHYS : DENIED); why++) {
                unsigned rights;
                uint64_t e = spoilt(&s, i, why, &s.w.request, &rights);
                struct dmt_result want = fault_at(&s, i, why, &s.w.request, rights);

                drive_poke(d, s.read[i].addr, e);
                r = cold(d, &s.w.request);
                must(drive_same(r, &want), "%s read %u: %s, expected %s", cell_text(&s.w.cell), i,
                     drive_text(r), drive_text(&want));
                expect_reads(d, &s, i + 1);
                for (unsigned j = 0; j < s.reads; j++)
                    must(drive_peek(d, s.read[j].addr) ==
                         (s.read[j].addr == s.read[i].addr ? e : s.entry[j]));
            }
            drive_poke(d, s.read[i].addr, s.entry[i]);
        }
        for (unsigned v = 0; v < 2; v++) {
            s.w.request.nonspec = v;
            s.w.state.ad_update = !v;
            load(d, &s);
            r = cold(d, &s.w.request);
            must(r->status == (v ? DMT_STATUS_OK : DMT_STATUS_RETRY) && r->ad_needed == v, "%s: %s",
                 cell_text(&s.w.cell), drive_text(r));
            expect_reads(d, &s, s.reads);
            for (unsigned j = 0; j < s.reads; j++)
                must(drive_peek(d, s.read[j].addr) == s.entry[j]);
        }
        s.w.state.ad_update = true;
        load(d, &s);
        r = cold(d, &s.w.request);
        must(r->status == DMT_STATUS_OK && r->updates > 0, "%s", drive_text(r));
        while (before < d->events && d->event[before].kind == DRIVE_READ &&
               d->event[before].addr != s.read[s.reads - 1].addr)
            before++;
        must(d->event[before].kind == DRIVE_READ, "%s: an update after %u of %u reads", cell_text(&s.w.cell),
             before, s.reads);
        for (unsigned j = 0; j < s.reads; j++) {
            const struct cell_read *x = &s.read[j];
            uint64_t a = bit_a(&s, x->stage);
            bool dirty =
                x->leaf && (x->final ? s.w.request.access == DMT_ACCESS_WRITE : has_ad(&s, x->stage));

            must(drive_peek(d, x->addr) ==
                     (s.entry[j] | (has_ad(&s, x->stage) ? a | (dirty ? 2 * a : 0) : 0)),
                 "%s read %u: %" PRIx64, cell_text(&s.w.cell), j, drive_peek(d, x->addr));
        }
    }
    drive_free(d);
}

ON_EVERY_ENGINE(P24_nothing_written_before_every_check)
{
    for (unsigned i = 0; i < LENGTH(configs); i++)
        no_early_write(engine, configs[i]);
}

/* Exclusive writes that lose, in whatever stage: read again and repeated; without a monitor an error. */
ON_EVERY_ENGINE(P25_lost_writes_of_every_stage)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);

    for (unsigned n = 0; n < LENGTH(walked); n++) {
        struct dmt_result ok;
        unsigned writes;

        enter_shape(d, &s, &walked[n]);
        s.w.request.access = DMT_ACCESS_WRITE;
        clear_ad(d, &s);
        ok = *cold(d, &s.w.request);
        writes = events_of(d, DRIVE_WRITE);
        must(ok.status == DMT_STATUS_OK && writes == ok.updates && writes >= 4);
        for (unsigned skip = 0; skip < writes; skip++) {
            const struct dmt_result *r;

            restore(d, &s);
            d->faults = 0;
            drive_fault(d, (struct drive_fault){DRIVE_ANY, DRIVE_WRITE, skip, 3, DMT_RESP_OKAY, 0});
            r = cold(d, &s.w.request);
            must(drive_same(r, &ok) && r->updates == writes && events_of(d, DRIVE_WRITE) == writes + 3 &&
                     events_of(d, DRIVE_EXREAD) == writes + 3,
                 "%s write %u: %s", cell_text(&s.w.cell), skip, drive_text(r));
            restore(d, &s);
            d->faults = 0;
            drive_fault(d, (struct drive_fault){DRIVE_ANY, DRIVE_EXREAD, skip, 1, DMT_RESP_OKAY, 7});
            r = cold(d, &s.w.request);
            must(r->status == DMT_STATUS_BUS && r->error == DMT_BUS_ERROR_NOT_EXCLUSIVE &&
                     r->addr == d->event[d->events - 1].addr && r->stage == stage_of(&s, r->addr) &&
                     r->updates == skip,
                 "%s", drive_text(r));
        }
    }
    drive_free(d);
}

/* D left clear, in whatever stage, by a write that comes after a read had set A: the answer to the read says
 * that a page is clean, and the write sets the D bits that are missing, from whatever cache it starts. */
ON_EVERY_ENGINE(P26_dirty_after_accessed_in_every_stage)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    const struct shape *h;

    for (unsigned n = 0; (h = shape_of(n)); n++) {
        enter_shape(d, &s, h);
        for (unsigned i = 0; i < s.reads; i++) {
            uint64_t a = bit_a(&s, s.read[i].stage), clean = s.entry[i] & ~(2 * a);
            const struct dmt_result *r;

            if (!s.read[i].leaf || !s.read[i].final || !has_ad(&s, s.read[i].stage))
                continue;
            s.w.request.access = DMT_ACCESS_READ;
            drive_poke(d, s.read[i].addr, clean & ~a);
            r = cold(d, &s.w.request);
            must(r->status == DMT_STATUS_OK && !r->dirty && r->updates == 1 &&
                     drive_peek(d, s.read[i].addr) == clean,
                 "%s read %u: %s", cell_text(&s.w.cell), i, drive_text(r));
            s.w.request.access = DMT_ACCESS_WRITE;
            r = drive_translate(d, &s.w.request);
            must(r->status == DMT_STATUS_OK && r->dirty && r->updates == 1 &&
                     drive_peek(d, s.read[i].addr) == s.entry[i],
                 "%s read %u: %s", cell_text(&s.w.cell), i, drive_text(r));
            must(drive_translate(d, &s.w.request)->updates == 0);
        }
    }
    drive_free(d);
}

/* An update that loses what another processor stored between its read and its write: a store to each entry of
 * two stages, at clocks all over both passes. Its bits survive, apart from A and D, which may be added; the
 * answer is that of the entry before or after. */
ON_PINS(P25_other_stores_survive_in_either_stage)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    const struct shape virt = VIRT(EPT, true, "ww");
    unsigned added = 0;

    enter_shape(d, &s, &virt);
    s.w.request.access = DMT_ACCESS_WRITE;
    clear_ad(d, &s);
    for (unsigned i = 0; i < s.reads; i++) {
        uint64_t pa = s.read[i].addr, e = s.entry[i], a = bit_a(&s, s.read[i].stage), ad = 3 * a;
        uint64_t store[] = {e | 1ull << 57, e & ~7ull, e | ad, e | 1ull << 51};

        if (!is_first(&s, i) || !(s.read[i].leaf || s.read[i].stage == 1))
            continue;
        for (unsigned n = 0; n < LENGTH(store); n++) {
            struct dmt_result before, after;
            unsigned end;

            restore(d, &s);
            before = *cold(d, &s.w.request);
            end = (unsigned)(d->walk[0].answered - d->walk[0].taken) + 2;
            restore(d, &s);
            drive_poke(d, pa, store[n]);
            after = drive_judge(d, &s.w.state, &s.w.request);
            for (unsigned at = (n + i) & 3; at < end; at += 4) {
                uint64_t left;

                restore(d, &s);
                drive_invalidate(d);
                drive_ask(d, &s.w.request);
                for (unsigned j = 0; j < at; j++)
                    drive_step(d);
                drive_poke(d, pa, store[n]);
                drive_run(d);
                left = drive_peek(d, pa);
                must(((left ^ store[n]) & ~ad) == 0 && (store[n] & ~left) == 0,
                     "read %u: stored %" PRIx64 " at clock %u of %u, left %" PRIx64, i, store[n], at, end,
                     left);
                must(drive_same(&d->walk[0].result, &before) || drive_same(&d->walk[0].result, &after),
                     "read %u: stored %" PRIx64 " at clock %u: %s, expected %s or %s", i, store[n], at,
                     drive_text(&d->walk[0].result), drive_text(&before), drive_text(&after));
                added += left != store[n];
            }
        }
    }
    must(added > 100, "%u", added);
    drive_free(d);
}

/* ---------------------------------------------------------------- composition */

/* Each way to stack stages: the answer, and every address on the bus in order, cold; warm, what is read is
 * part of that, in that order. All of NATIVE and VIRT, and a sample of NESTED. */
static void reads_of_every_cell(enum drive_engine engine, const char *config)
{
    static struct scene s;
    struct drive *d = drive_new_config(engine, config, 1);
    unsigned n = 0, done = 0, skipped = 0;
    struct cell c;

    cell_first(&c);
    do {
        struct dmt_result want;
        const struct dmt_result *r;

        if (c.mode == DMT_MODE_NESTED && n++ % 53)
            continue;
        enter(d, &s, &c, c.stage[0].size & 1);
        want = cell_answer(&s.w);
        r = drive_translate(d, &s.w.request);
        must(drive_same(r, &want), "%s: %s, expected %s", cell_text(&c), drive_text(r), drive_text(&want));
        for (unsigned k = 0; k < DMT_SETS_MAX; k++)
            must(r->path[k] == want.path[k] && r->index[k] == want.index[k], "%s: %s", cell_text(&c),
                 drive_text(r));
        expect_reads(d, &s, s.reads);
        r = drive_translate(d, &s.w.request);
        must(drive_same(r, &want), "%s warm: %s", cell_text(&c), drive_text(r));
        expect_reads(d, &s, s.reads);
        skipped += s.reads - d->events;
        done++;
    } while (cell_next(&c));
    must(done > 500 && (d->config.pwc2_n ? skipped > 3000 : skipped == 0), "%u, %u", done, skipped);
    drive_free(d);
}

ON_EVERY_ENGINE(P32_reads_are_those_of_the_rule)
{
    for (unsigned i = 0; i < LENGTH(configs); i++)
        reads_of_every_cell(engine, configs[i]);
}

/* PDPTEs of a guest with PAE paging are loaded with CR3, and a walker that reads them again sees changes it
 * must not. The modes that there are: tables of four and five levels in every stage, each level read in every
 * walk, and nothing read when CR3 or the mode is written; modes that the instance cannot do are refused. */
ON_PINS(P37_every_level_is_read_by_the_walk)
{
    static struct scene s;
    struct drive *d = drive_new_config(engine, "uncached", 1);

    for (unsigned n = 0; n < 32; n++) {
        bool nested = n & 8;
        struct cell c = plain(nested ? DMT_MODE_NESTED : DMT_MODE_VIRT, true, n >> 4, nested ? "www" : "ww");
        unsigned g = 0;

        for (unsigned k = 0; k <= 1u + nested; k++)
            c.stage[k].levels = n >> k & 1 ? 5 : 4;
        enter(d, &s, &c, true);
        drive_write(d, DMT_LEVEL_BASE(s.w.entering) + DMT_LEVEL_CR3, s.w.state.level[s.w.entering].cr3);
        drive_write(d, DMT_HOST_BASE + DMT_HOST_CTL,
                    c.mode | DMT_HOST_CTL_AD_UPDATE_MASK | DMT_HOST_CTL_FALLBACK_MASK);
        drive_run(d);
        must(d->events == 0, "a register write reads tables");
        /* References of translating one address by stage 0, by 1 over 0, by 2 over 1. */
        for (unsigned k = 0; k <= s.w.entering; k++)
            g = c.stage[k].levels * (1 + g) + g;
        must(drive_translate(d, &s.w.request)->reads == g && d->events == g, "%s: %u reads, expected %u",
             cell_text(&c), d->events, g);
    }
    drive_free(d);

    d = drive_new_config(engine, "smallest", 1);
    for (unsigned mode = DMT_MODE_VIRT; mode <= DMT_MODE_NESTED; mode++) {
        uint64_t old = drive_read(d, DMT_HOST_BASE + DMT_HOST_CTL);

        drive_write(d, DMT_HOST_BASE + DMT_HOST_CTL, mode);
        drive_run(d);
        must(drive_read(d, DMT_HOST_BASE + DMT_HOST_CTL) == old, "mode %u without its register set", mode);
        drive_clear(d);
    }
    drive_free(d);
}

/* Answers that depend on how a stage was translated: each stage through a register of either kind or walked,
 * cold and warm, with the leaf of each stage's final access as it should be, absent, or denying. The entry
 * that a register names is no better or worse than the same entry found by the walk. */
ON_EVERY_ENGINE(P29_outcome_does_not_depend_on_the_cover)
{
    static const char kinds[] = "wpg";
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned restarts = 0;

    for (unsigned n = 0; n < 3 * 18; n++) {
        unsigned which = n / 18;
        char cover[4] = {kinds[n % 2], kinds[n / 2 % 3], kinds[n / 6 % 3], 0};

        if (which == 0 && n >= 6)
            continue;
        if (which == 0)
            cover[2] = 0;
        for (unsigned format = 0; format < 2; format++) {
            struct cell c =
                plain(which ? DMT_MODE_NESTED : DMT_MODE_VIRT, which == 1, (uint8_t)format, cover);
            struct dmt_result ok;

            enter(d, &s, &c, true);
            s.w.request.cpl = 3;
            ok = cell_answer(&s.w);
            for (unsigned warm = 0; warm < 2; warm++) {
                must(drive_same(drive_translate(d, &s.w.request), &ok), "%s", cell_text(&c));
                for (unsigned i = 0; i < s.reads; i++) {
                    if (!s.read[i].leaf || !s.read[i].final)
                        continue;
                    for (unsigned why = 0; why < WHYS; why++) {
                        bool shadow = which == 2 && s.read[i].stage == 1 && s.read[i].tea;
                        uint64_t leaf = cell_entry_hpa(&s.w, CELL_SHADOW, 1, s.read[i].a), was = 0, e;
                        struct dmt_result want;
                        const struct dmt_result *r;
                        unsigned rights;

                        e = spoilt(&s, i, why, &s.w.request, &rights);
                        want = fault_at(&s, i, why, &s.w.request, rights);
                        if (!warm)
                            drive_invalidate(d);
                        drive_poke(d, s.read[i].addr, e);
                        /* The shadow table, which takes over from the register, has leaves of its own. */
                        if (shadow) {
                            was = drive_peek(d, leaf);
                            drive_poke(d, leaf, e);
                        }
                        r = drive_translate(d, &s.w.request);
                        must(drive_same(r, &want), "%s %s, leaf of stage %u: %s, expected %s", cell_text(&c),
                             warm ? "warm" : "cold", s.read[i].stage, drive_text(r), drive_text(&want));
                        must((r->path[s.read[i].stage] == DMT_PATH_RESTART) == s.read[i].tea, "%s",
                             drive_text(r));
                        restarts += s.read[i].tea;
                        drive_poke(d, s.read[i].addr, s.entry[i]);
                        if (shadow)
                            drive_poke(d, leaf, was);
                    }
                }
            }
        }
    }
    must(restarts > 200, "%u", restarts);
    drive_free(d);
}

/* ---------------------------------------------------------------- width */

/* A guest-physical address that is wider than the tables of the stage that is to translate it, at every
 * pointer: roots, each entry of each table, page or table, the TEA of a register. A fault of that stage, with
 * nothing read for it, and no register of its set asked; tables of five levels look. */
ON_EVERY_ENGINE(P30_too_wide_at_every_pointer)
{
    static struct scene s;
    struct drive *d = drive_new(engine, 1);
    unsigned faults = 0;

    for (unsigned n = 0; n < 2 * LENGTH(walked); n++) {
        const struct shape *h = &walked[n / 2];
        bool five = n & 1;
        struct cell c = plain(h->mode, h->full, h->format, h->cover);

        for (unsigned below = h->mode == DMT_MODE_VIRT || h->full ? 0 : 1; below + 1 < h->mode; below++) {
            const uint64_t far = five ? 1ull << 50 : 1ull << 48;
            unsigned k = below + 1;

            c.stage[0].levels = c.stage[1].levels = 4;
            c.stage[below].levels = five ? 5 : 4;
            enter(d, &s, &c, h->ad);
            if (s.w.shadow) /* is what counts, not the table that it stands for */
                s.w.state.s2[1].five = !five;
            s.w.state.tea[below][9] = drive_cover(far, far >> 12, DMT_SIZE_1G, 0x1000);
            load(d, &s);
            for (unsigned i = 0; i <= s.reads; i++) {
                unsigned at = i, level;
                struct cell_read x = {.stage = (uint8_t)below};
                struct dmt_result want;
                const struct dmt_result *r;

                if (i == s.reads) { /* the root of stage k, which its first read shows */
                    uint64_t *root = k == s.w.entering ? &s.w.state.level[k].cr3 : &s.w.state.s2[k].root;

                    for (at = 0; s.read[at].stage != k; at++) {
                    }
                    *root |= far;
                    level = s.w.cell.stage[k].levels;
                    x.a = *root + 8 * (s.read[at].a >> (9 * level + 3) & 511);
                    load(d, &s);
                } else if (s.read[i].stage != k || !is_first(&s, i)) {
                    continue;
                } else {
                    x.a = s.entry[i] & FRAME;
                    x.final = s.read[i].leaf && s.read[i].final;
                    level = s.read[i].level - 1;
                    x.a |= far | (s.read[i].leaf ? s.read[i].a & 0xfff
                                                 : 8 * (s.read[i].a >> (9 * level + 3) & 511));
                    drive_poke(d, s.read[i].addr, s.entry[i] | far);
                }
                want = fault_of(&s, &x, ABSENT, &s.w.request, 0);
                r = cold(d, &s.w.request);
                if (five) {
                    /* The register is asked, and names an entry where nothing is. */
                    x = (struct cell_read){.a = 0x1000 + 8 * ((x.a - far) >> 30)};
                    want = below ? fault_of(&s, &x, ABSENT, &s.w.request, 0)
                                 : bus(x.a, DMT_BUS_ERROR_READ_DECERR, 0);
                    must(drive_same(r, &want), "%s pointer %u: %s, expected %s", cell_text(&c), i,
                         drive_text(r), drive_text(&want));
                } else {
                    must(drive_same(r, &want) && r->path[below] == DMT_PATH_RADIX,
                         "%s pointer %u: %s, expected %s", cell_text(&c), i, drive_text(r),
                         drive_text(&want));
                    expect_reads(d, &s, i == s.reads ? 0 : i + 1);
                    faults++;
                }
                restore(d, &s);
            }
        }
    }
    must(faults > 60, "%u", faults);

    /* The TEA of a register. */
    for (unsigned n = 0; n < 2; n++) {
        static const struct shape tea[] = {VIRT(EPT, true, "wp"), NESTED(true, NPT, true, "wwp")};
        unsigned below = tea[n].mode - 2u;
        struct cell_read x = {.stage = (uint8_t)below};
        struct dmt_tea *t = &s.w.state.tea[below + 1][3];
        struct dmt_result want;
        const struct dmt_result *r;

        enter_shape(d, &s, &tea[n]);
        t->base_pfn |= 1ull << 36;
        x.a = t->base_pfn << 12 | 8 * ((s.w.request.va >> 12) - t->base_vpn);
        s.w.state.tea[below][9] = drive_cover(1ull << 48, 1ull << 36, DMT_SIZE_1G, 0x1000);
        load(d, &s);
        want = fault_of(&s, &x, ABSENT, &s.w.request, 0);
        r = cold(d, &s.w.request);
        must(drive_same(r, &want) && d->events == 0, "%s, expected %s", drive_text(r), drive_text(&want));
    }
    drive_free(d);
}

/* ---------------------------------------------------------------- tables of any shape, stage over stage */

/* Stages of tables, each of which maps the pages of the tables above it, 4K by 4K. */
struct stack {
    struct drive *d;
    struct dmt_state s;
    unsigned entering;
    bool shadow;
    uint64_t next[2], step; /* by level: where the next table of the stage above goes, and the one after it */
};

#define TABLES  0x0a5000000000ull /* of the stages above, in each level's addresses */
#define GIB     (1ull << 30)
#define PAGE_VA (0x1b3ull << 34) /* where tests put pages; any size is aligned there */

static void put(struct stack *st, unsigned k, uint64_t a, uint64_t to, unsigned size, uint64_t flags);

static bool stack_ept(const struct stack *st, unsigned k)
{
    return k < st->entering && st->s.s2[k].format == DMT_FORMAT_EPT;
}

/* Flags of a leaf without restrictions; EPT's are write-back. */
static uint64_t all_of(const struct stack *st, unsigned k)
{
    return stack_ept(st, k) ? ER | EW | EX | EXU | EA | ED | 6 << 3 : P | W | U | A | D;
}

/* Level of the addresses at which a stage's tables lie, and which its leaves yield: -1 is the host's. */
static int under(const struct stack *st, unsigned k)
{
    return st->shadow && k == 1 ? -1 : (int)k - 1;
}

static struct dmt_s2 *tables_of(struct stack *st, unsigned k)
{
    return st->shadow && k == 1 ? &st->s.shadow : &st->s.s2[k];
}

static uint64_t root_of(struct stack *st, unsigned k, unsigned *levels)
{
    if (k < st->entering) {
        *levels = tables_of(st, k)->five ? 5 : 4;
        return tables_of(st, k)->root;
    }
    *levels = st->s.level[k].cr4 & DMT_LEVEL_CR4_LA57_MASK ? 5 : 4;
    return st->s.level[k].cr3 & DMT_LEVEL_CR3_ROOT_MASK;
}

static uint64_t new_page(struct stack *st, int level)
{
    struct dmt_frames frames = {&st->d->pool, dmt_pool_alloc};
    uint64_t a;

    if (level < 0) {
        must(frames.alloc(frames.user, 1, &a));
        return a << 12;
    }
    a = st->next[level];
    st->next[level] += st->step;
    put(st, (unsigned)level, a, new_page(st, under(st, (unsigned)level)), DMT_SIZE_4K,
        all_of(st, (unsigned)level));
    return a;
}

static uint64_t hpa_of(struct stack *st, int level, uint64_t a);

/* Where the entry of `level` for address a lies, in the addresses of the level under stage k. */
static uint64_t where(struct stack *st, unsigned k, unsigned level, uint64_t a)
{
    unsigned at;
    uint64_t table = root_of(st, k, &at);

    for (; at > level; at--)
        table = drive_peek(st->d, hpa_of(st, under(st, k), table + 8 * (a >> (9 * at + 3) & 511))) & FRAME;
    return table + 8 * (a >> (9 * level + 3) & 511);
}

/* The same as hPA. */
static uint64_t entry_of(struct stack *st, unsigned k, unsigned level, uint64_t a)
{
    return hpa_of(st, under(st, k), where(st, k, level, a));
}

/* Level of the leaf that maps a, or of the entry where nothing is. */
static unsigned leaf_level(struct stack *st, unsigned k, uint64_t a)
{
    unsigned level;

    for (root_of(st, k, &level); level > 1; level--) {
        uint64_t e = drive_peek(st->d, entry_of(st, k, level, a));

        if (!e || (level < 4 && e & PS))
            break;
    }
    return level;
}

static uint64_t yield_of(struct stack *st, unsigned k, uint64_t a)
{
    unsigned level = leaf_level(st, k, a);
    uint64_t in_page = (1ull << (9 * level + 3)) - 1;

    return (drive_peek(st->d, entry_of(st, k, level, a)) & FRAME & ~in_page) | (a & in_page);
}

static uint64_t hpa_of(struct stack *st, int level, uint64_t a)
{
    while (level >= 0) {
        a = yield_of(st, (unsigned)level, a);
        level = under(st, (unsigned)level);
    }
    return a;
}

/* Map the page of a to `to` (its low bits are ignored), unless something is there. */
static void put(struct stack *st, unsigned k, uint64_t a, uint64_t to, unsigned size, uint64_t flags)
{
    uint64_t in_page = (1ull << (9 * size + 12)) - 1, table_flags = all_of(st, k) & ~(D | ED | 6 << 3);
    unsigned level;

    if (!stack_ept(st, k))
        table_flags = P | W | U | A;
    for (root_of(st, k, &level); level > size + 1; level--) {
        uint64_t at = entry_of(st, k, level, a), e = drive_peek(st->d, at);

        if (e && level < 4 && e & PS)
            return;
        if (!e)
            drive_poke(st->d, at, new_page(st, under(st, k)) | (table_flags & ~(uint64_t)D));
    }
    if (!drive_peek(st->d, entry_of(st, k, level, a)))
        drive_poke(st->d, entry_of(st, k, level, a), (to & ~in_page & FRAME) | flags | (size ? PS : 0));
}

/* Empty tables of four levels. NESTED with full or the shadow table. */
static struct stack stack_new(struct drive *d, uint8_t mode, bool full, uint8_t format)
{
    struct stack st = {.d = d, .entering = mode - 1u, .shadow = mode == DMT_MODE_NESTED && !full};

    st.next[0] = st.next[1] = TABLES;
    st.step = 0x2a5000; /* each table in another 2 MiB */
    dmt_state_reset(&st.s, maxpa_of(d));
    st.s.mode = mode;
    st.s.full = full;
    st.s.level[st.entering].efer = DMT_LEVEL_EFER_NXE_MASK;
    st.s.s2[0].format = st.s.s2[1].format = st.s.shadow.format = format;
    st.s.s2[0].ad = st.s.s2[1].ad = st.s.shadow.ad = true;
    for (unsigned k = st.shadow; k <= st.entering; k++) {
        uint64_t root = new_page(&st, under(&st, k));

        if (k < st.entering)
            tables_of(&st, k)->root = root;
        else
            st.s.level[k].cr3 = root;
    }
    return st;
}

/* The memory is empty again. */
static void wipe(struct drive *d)
{
    dmt_mem_free(d->mem);
    d->mem = d->pool.mem = dmt_mem_new();
    d->pool.next = 0x1000;
    d->faults = 0;
    must(d->mem);
}

/* The register over the table of `size` leaves that has the entry for a; KIND GTEA with an entry of its own
 * in the set's gTEA table. */
static struct dmt_tea register_over(struct stack *st, unsigned k, unsigned size, uint64_t a, bool gtea)
{
    uint64_t unit = 1ull << (9 * size + 12), at = where(st, k, size + 1, a);
    struct dmt_tea t = drive_cover(a & ~(unit - 1), unit >> 12, size, at);
    struct dmt_gtea *table = &st->s.gtea[k];

    t.pages = 512 * (unit >> 12);
    if (!gtea)
        return t;
    if (!table->table)
        table->table = new_page(st, -1);
    t.kind = DMT_KIND_GTEA;
    t.gtea = table->entries++;
    t.base_pfn = 0;
    drive_poke(st->d, table->table + 16 * t.gtea, (hpa_of(st, under(st, k), at) & ~0xfffull) | 1);
    drive_poke(st->d, table->table + 16 * t.gtea + 8, 1);
    return t;
}

static void stack_load(struct stack *st)
{
    drive_resolve(st->d, &st->s);
    drive_load(st->d, &st->s);
    drive_invalidate(st->d);
}

static struct dmt_request ask(uint64_t va, unsigned access)
{
    return (struct dmt_request){.va = va, .access = (uint8_t)access, .nonspec = true};
}

/* The guest-physical address of a fault on a table is the page's, not the entry's; or one of an earlier
 * fault: pages at random places, indices at both ends of tables, and each table of each in turn not mapped by
 * the stage under it. */
ON_EVERY_ENGINE(P31_exact_address_of_the_entry)
{
    static const unsigned ends[] = {0, 1, 255, 510, 511};
    struct drive *d = drive_new(engine, 1);
    struct rng rng;
    unsigned low[512] = {0}, seen = 0;

    rng_seed(&rng, 31, 0);
    for (unsigned n = 0; n < 6; n++) {
        struct stack st;

        wipe(d);
        st = stack_new(d, n < 2 ? DMT_MODE_VIRT : DMT_MODE_NESTED, n < 4, n & 1);
        stack_load(&st);
        for (unsigned v = 0; v < 12; v++) {
            uint64_t a = rng_below(&rng, 256) << 39 | (rng_next(&rng) & 0xff8);
            struct dmt_request q;

            for (unsigned level = 1; level < 4; level++)
                a |= (uint64_t)(v & 1 ? rng_below(&rng, 512) : ends[rng_below(&rng, 5)]) << (9 * level + 3);
            q = ask(a, DMT_ACCESS_READ);
            for (unsigned k = st.entering; under(&st, k) >= 0; k--) {
                unsigned b = (unsigned)under(&st, k);
                uint64_t to = (b + 3ull) << 40 | (rng_next(&rng) & 0x3ffffff000);

                put(&st, k, a, to, DMT_SIZE_4K, all_of(&st, k));
                a = to | (a & 0xfff);
            }
            put(&st, st.shadow, a, 0x7000000000, DMT_SIZE_4K, all_of(&st, st.shadow));
            must(cold(d, &q)->status == DMT_STATUS_OK, "%s", drive_text(&d->walk[0].result));
            a = q.va;
            for (unsigned k = st.entering; under(&st, k) >= 0; k--) {
                unsigned b = (unsigned)under(&st, k);

                for (unsigned level = 0; level <= 4; level++) { /* 0: the page itself */
                    /* Stage 1's root is first asked where stage 2's is. */
                    uint64_t of = level == 4 && k < st.entering ? where(&st, st.entering, 4, q.va) : a;
                    uint64_t at = level ? where(&st, k, level, of) : yield_of(&st, k, a);
                    uint64_t host = entry_of(&st, b, 1, at), was = drive_peek(d, host);
                    bool table = level > 0;
                    const struct dmt_result *r;

                    drive_poke(d, host, 0);
                    r = cold(d, &q);
                    must(r->status == (n & 1 ? DMT_STATUS_NPT_FAULT : DMT_STATUS_EPT_VIOLATION) &&
                             r->addr == at && r->stage == b,
                         "stage %u level %u: %s, expected %" PRIx64 " of stage %u", k, level, drive_text(r),
                         at, b);
                    must(n & 1 ? !!(r->error & I_TABLE) == table : !(r->error & Q_FINAL) == table, "%s",
                         drive_text(r));
                    low[at >> 3 & 511] = 1;
                    drive_poke(d, host, was);
                }
                a = yield_of(&st, k, a);
            }
        }
    }
    for (unsigned i = 0; i < 512; i++)
        seen += low[i];
    must(seen > 50 && low[0] && low[511], "%u words of a page", seen);
    drive_free(d);
}

/* Where the page of a stage of this size is put, for address a: another place for each unit. */
static uint64_t place(unsigned k, unsigned size, uint64_t a)
{
    unsigned bits = 9 * size + 12;

    return (k * 5 + 3ull) << 40 | ((a >> bits) * 5 + k + 3) % 61 << bits;
}

/* Pages of different sizes in the stages, and low bits of the address from the wrong one: every combination
 * of sizes of two and of three stages, at both ends of pages, by walks, from caches and through registers. */
ON_EVERY_ENGINE(P33_every_combination_of_page_sizes)
{
    static const uint64_t offset[] = {0,        1,        0xfff,    0x1000,     0x1ff8,
                                      0x1fffff, 0x200000, 0x3ffffe, 0x3fffffff, 0x12345678};
    struct drive *d = drive_new(engine, 1);

    for (unsigned n = 0; n < 9 + 27 + 9; n++) {
        bool nested = n >= 9, full = n < 36;
        unsigned sizes = n < 9 ? n : full ? n - 9 : (n - 36) * 3;
        unsigned size[3] = {sizes % 3, sizes / 3 % 3, sizes / 9}, smallest = 2;
        struct stack st;

        wipe(d);
        st = stack_new(d, nested ? DMT_MODE_NESTED : DMT_MODE_VIRT, full, n & 1);
        for (unsigned k = st.shadow; k <= st.entering; k++)
            smallest = size[k] < smallest ? size[k] : smallest;
        for (unsigned way = 0; way < 3; way++) { /* walked, KIND PA, KIND GTEA */
            for (unsigned i = 0; i < LENGTH(offset); i++) {
                struct dmt_request q = ask(PAGE_VA + offset[i], DMT_ACCESS_READ);
                struct dmt_result want = {.size = (uint8_t)smallest, .rights = 7, .dirty = true};
                uint64_t a = q.va;
                const struct dmt_result *r;

                memset(st.s.tea, 0, sizeof st.s.tea);
                st.s.gtea[1].entries = st.s.gtea[2].entries = 0;
                for (unsigned k = st.entering + 1; k-- > st.shadow;) {
                    uint64_t in_page = (1ull << (9 * size[k] + 12)) - 1;

                    put(&st, k, a, place(k, size[k], a), size[k], all_of(&st, k));
                    /* Only the shadow table goes from stage 1 straight to the host. */
                    if (way && !(st.shadow && k == 1))
                        st.s.tea[k][4] = register_over(&st, k, size[k], a, way == 2 && k > 0);
                    a = place(k, size[k], a) | (a & in_page);
                    if (k == st.entering)
                        want.addr = a;
                }
                want.pa = a;
                want.memtype = n & 1 ? 0 : 6 << 3;
                stack_load(&st);
                for (unsigned warm = 0; warm < 2; warm++) {
                    r = drive_translate(d, &q);
                    must(drive_same(r, &want),
                         "sizes %u %u %u, offset %" PRIx64 ", way %u, %s: %s, expected %s", size[0], size[1],
                         size[2], offset[i], way, warm ? "warm" : "cold", drive_text(r), drive_text(&want));
                    must(way == 0 || r->path[st.entering] == DMT_PATH_TEA, "%s", drive_text(r));
                }
            }
        }
    }
    drive_free(d);
}

/* ---------------------------------------------------------------- the central property */

static uint64_t random_entry(struct rng *r, bool ept, unsigned size)
{
    static const uint8_t types[] = {0, 1, 4, 5, 6, 6, 6, 6};
    uint64_t x = rng_next(r), e;

    if (ept) {
        e = (x & (EW | EX | EXU | EA | ED)) | ER | (uint64_t)types[x >> 40 & 7] << 3 | (x >> 50 & 1) << 6;
        if (rng_chance(r, 0x8000))
            e |= EW | EX | EXU;
        if (rng_chance(r, 0x0800))
            e &= ~ER; /* with W a misconfiguration, else execute-only or absent */
        if (rng_chance(r, 0x1000))
            e |= 7 << 3;
    } else {
        e = (x & (W | U | A | D | 0x118 | 15ull << 59 | XD)) | P;
        if (rng_chance(r, 0xc000))
            e |= U | W;
        if (rng_chance(r, 0xe000))
            e &= ~XD;
    }
    if (rng_chance(r, 0x0800))
        e &= ~(ept ? ER | EW | EX : P);
    if (rng_chance(r, 0x0400))
        e |= 1ull << 51;
    if (size && rng_chance(r, 0x0400))
        e |= 1ull << (13 + rng_below(r, 9 * size - 1));
    return e;
}

enum { PAGES = 24, REQUESTS = 40 };

struct random_world {
    struct stack st;
    struct {
        uint64_t va;
        unsigned stages;
        uint64_t a[3];          /* address that each stage translates, from the entering one down */
        uint64_t leaf[3], e[3]; /* where its leaf is, and its value */
        unsigned level[3];
    } page[PAGES];
};

static void random_world(struct drive *d, struct rng *r, struct random_world *w, unsigned n)
{
    struct stack *st = &w->st;
    struct dmt_level *cr;

    wipe(d);
    *st = stack_new(d, n & 1 ? DMT_MODE_NESTED : DMT_MODE_VIRT, true, n >> 1 & 1);
    cr = &st->s.level[st->entering];
    cr->cr0 = rng_chance(r, 0x8000) ? DMT_LEVEL_CR0_WP_MASK : 0;
    cr->cr4 = rng_next(r) & (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_SMEP_MASK | DMT_LEVEL_CR4_SMAP_MASK |
                             DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK);
    cr->pkru = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
    cr->pkrs = (uint32_t)(rng_next(r) & rng_next(r) & rng_next(r));
    st->s.ad_update = !rng_chance(r, 0x2000);
    for (unsigned k = 0; k < 2; k++) {
        st->s.s2[k].ad = rng_chance(r, 0xa000);
        st->s.s2[k].mbec = rng_chance(r, 0x8000);
    }
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t a = PAGE_VA | (rng_next(r) & (rng_chance(r, 0x8000) ? 0x3ffffff : 0x1ffffffff));

        w->page[i].va = a;
        for (unsigned k = st->entering + 1, j = 0; k-- > 0; j++) {
            unsigned size = (unsigned)rng_below(r, 3);
            uint64_t to =
                (k * 5 + 3ull) << 40 | (rng_next(r) & (rng_chance(r, 0x8000) ? 0x7ffffff : 0x1ffffffff));

            if (k > 0 && rng_chance(r, 0x0800))
                to |= 1ull << (48 + rng_below(r, 3));
            put(st, k, a, to, size, random_entry(r, stack_ept(st, k), size));
            w->page[i].stages = j + 1;
            w->page[i].a[j] = a;
            w->page[i].level[j] = leaf_level(st, k, a);
            w->page[i].leaf[j] = entry_of(st, k, w->page[i].level[j], a);
            a = yield_of(st, k, a);
            if (a >> 48)
                break; /* the stage under it cannot map that */
        }
    }
    for (unsigned i = 0; i < PAGES; i++) /* pages may share leaves, and fill them later */
        for (unsigned j = 0; j < w->page[i].stages; j++)
            w->page[i].e[j] = drive_peek(d, w->page[i].leaf[j]);
}

enum way { COLD, WARM, ENTERING_PA, ENTERING_GTEA, HOST, ALL_PA, ALL_GTEA, OTHER_SIZE, WAYS };

static void random_cover(struct random_world *w, enum way way)
{
    struct stack *st = &w->st;
    unsigned used[3] = {0};

    memset(st->s.tea, 0, sizeof st->s.tea);
    st->s.gtea[1].entries = st->s.gtea[2].entries = 0;
    if (way <= WARM)
        return;
    for (unsigned i = 0; i < PAGES; i++) {
        for (unsigned j = 0; j < w->page[i].stages; j++) {
            unsigned k = st->entering - j, size = w->page[i].level[j] - 1;
            bool gtea = k > 0 && (way == ENTERING_GTEA || way == ALL_GTEA);
            bool is_there = false;
            struct dmt_tea t;

            if ((way == HOST && j == 0) || ((way == ENTERING_PA || way == ENTERING_GTEA) && j > 0) ||
                size > 2)
                continue;
            if (way == OTHER_SIZE && size == 2)
                continue;
            t = register_over(st, k, size + (way == OTHER_SIZE), w->page[i].a[j], gtea);
            for (unsigned n = 0; n < used[k]; n++)
                is_there |= st->s.tea[k][n].sz == t.sz && st->s.tea[k][n].base_vpn == t.base_vpn;
            if (is_there || used[k] == 8) {
                st->s.gtea[k].entries -= gtea;
                continue;
            }
            st->s.tea[k][used[k]++] = t;
        }
    }
}

/* Answers that depend on what was cached or covered: random pages under two and three stages, each request
 * cold, warm, with the entering stage through registers of either kind, the stages under it, all of them, and
 * after registers that do not count: one outcome, and the same leaves afterwards. */
ON_EVERY_ENGINE(P29_outcome_does_not_depend_on_the_way_of_any_stage)
{
    struct drive *d = drive_new(engine, 1);
    static struct random_world w;
    struct rng rng;
    unsigned status[16] = {0}, hits[3] = {0}, restarts[3] = {0}, short_cuts = 0;

    rng_seed(&rng, 29, 2);
    for (unsigned n = 0; n < 32; n++) {
        struct dmt_request q[REQUESTS];
        struct dmt_result want[REQUESTS];
        uint64_t after[REQUESTS][3];
        unsigned page[REQUESTS], reads[REQUESTS];

        random_world(d, &rng, &w, n);
        for (unsigned i = 0; i < REQUESTS; i++) {
            page[i] = (unsigned)rng_below(&rng, PAGES);
            q[i] = (struct dmt_request){
                .va = (w.page[page[i]].va & ~0xfffull) | (rng_next(&rng) & 0xfff),
                .access = (uint8_t)rng_below(&rng, 3),
                .cpl = rng_chance(&rng, 0x8000) ? 3 : 0,
                .ac = rng_chance(&rng, 0x8000),
                .nonspec = rng_chance(&rng, 0xd000),
            };
        }
        for (unsigned way = COLD; way < WAYS; way++) {
            random_cover(&w, way);
            stack_load(&w.st);
            for (unsigned i = 0; i < REQUESTS; i++) {
                unsigned p = page[i];
                const struct dmt_result *r;

                if (way == COLD)
                    drive_invalidate(d);
                r = drive_translate(d, &q[i]);
                if (way == COLD) {
                    want[i] = *r;
                    reads[i] = r->reads;
                    status[r->status]++;
                }
                must(drive_same(r, &want[i]), "world %u request %u way %u: %s, cold %s", n, i, way,
                     drive_text(r), drive_text(&want[i]));
                for (unsigned j = 0; j < w.page[p].stages; j++) {
                    uint64_t now = drive_peek(d, w.page[p].leaf[j]);

                    if (way == COLD)
                        after[i][j] = now;
                    must(now == after[i][j],
                         "world %u request %u way %u: leaf %u is %" PRIx64 ", cold %" PRIx64, n, i, way, j,
                         now, after[i][j]);
                }
                for (unsigned j = 0; j < w.page[p].stages; j++)
                    drive_poke(d, w.page[p].leaf[j], w.page[p].e[j]);
                for (unsigned k = 0; k < 3; k++) {
                    hits[k] += r->path[k] == DMT_PATH_TEA;
                    restarts[k] += r->path[k] == DMT_PATH_RESTART;
                }
                short_cuts += way == WARM && r->reads < reads[i] / 2;
            }
        }
    }
    must(status[DMT_STATUS_OK] > 150 && status[DMT_STATUS_PF] > 50 && status[DMT_STATUS_EPT_VIOLATION] > 50 &&
             status[DMT_STATUS_EPT_MISCONFIG] > 10 && status[DMT_STATUS_NPT_FAULT] > 50 &&
             status[DMT_STATUS_RETRY] > 10,
         "%u %u %u %u %u %u", status[0], status[2], status[3], status[4], status[5], status[8]);
    for (unsigned k = 0; k < 3; k++)
        must(hits[k] > 100 && restarts[k] > 100, "stage %u: %u hits, %u restarts", k, hits[k], restarts[k]);
    must(short_cuts > 100, "%u from caches", short_cuts);
    drive_free(d);
}

/* ---------------------------------------------------------------- invalidations */

#define SPACES 5

/* Address spaces of guests of two hosts' tables: each has tables of its own at the entering stage; spaces of
 * one pair of tags share the stages under it. */
struct spaces {
    struct drive *d;
    unsigned entering;
    struct stack st[SPACES];
    unsigned tag[SPACES][2], pcid[SPACES];
    struct dmt_request request;
    uint64_t pa[SPACES];
    uint64_t leaf[SPACES][3]; /* hPA of the final access' leaf of each stage */
};

static const unsigned space_tag[SPACES][2] = {{5, 3}, {5, 3}, {5, 0x83}, {0x85, 3}, {0x85, 0x83}};
static const unsigned space_pcid[SPACES] = {1, 0x801, 0x002, 1, 0x801};

static void make_spaces(struct drive *d, struct spaces *s, uint8_t mode)
{
    *s = (struct spaces){.d = d, .entering = mode - 1u};
    s->request = ask(PAGE_VA | 0x7d8e8, DMT_ACCESS_READ);
    for (unsigned i = 0; i < SPACES; i++) {
        struct stack *st = &s->st[i];
        unsigned twin = 0;
        uint64_t a = s->request.va;

        memcpy(s->tag[i], space_tag[i], sizeof s->tag[i]);
        s->pcid[i] = space_pcid[i];
        if (s->entering == 1)
            s->tag[i][1] = 0;
        while (twin < i && s->tag[twin][0] != s->tag[i][0])
            twin++;
        if (twin < i) {
            *st = s->st[twin];
            st->next[0] += i << 20;
            st->next[1] += i << 20;
            if (s->tag[twin][1] != s->tag[i][1])
                st->s.s2[1].root = new_page(st, 0);
        } else {
            *st = stack_new(d, mode, true, DMT_FORMAT_EPT);
            st->step = 0x1000; /* few regions, so that nothing is displaced */
        }
        st->s.s2[0].tag = (uint8_t)s->tag[i][0];
        st->s.s2[1].tag = (uint8_t)s->tag[i][1];
        st->s.level[s->entering].cr4 = DMT_LEVEL_CR4_PCIDE_MASK;
        st->s.level[s->entering].cr3 = new_page(st, (int)s->entering - 1);
        for (unsigned k = s->entering + 1; k-- > 0;) {
            uint64_t to = (k * 5 + 3ull) << 40 | (uint64_t)(i + 1) << 23;

            put(st, k, a, to, DMT_SIZE_4K, all_of(st, k));
            s->leaf[i][k] = entry_of(st, k, 1, a);
            a = to | (a & 0xfff);
        }
        s->pa[i] = a;
        st->s.level[s->entering].cr3 |= s->pcid[i];
    }
    drive_load(d, &s->st[0].s);
}

static uint64_t s2root(const struct spaces *s, unsigned i, unsigned k)
{
    return s->st[i].s.s2[k].root | s->tag[i][k];
}

static void move_to(struct spaces *s, unsigned i)
{
    for (unsigned k = 0; k < s->entering; k++)
        drive_write(s->d, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2ROOT,
                    DMT_LEVEL_S2ROOT_NOFLUSH_MASK | s2root(s, i, k));
    drive_write(s->d, DMT_LEVEL_BASE(s->entering) + DMT_LEVEL_CR3,
                DMT_LEVEL_CR3_NOFLUSH_MASK | s->st[i].s.level[s->entering].cr3);
    drive_run(s->d);
    drive_clear(s->d);
}

/* Which stages of space i have the way to its last table cached, a bit each. Leaves all of them cached. */
static unsigned kept(struct spaces *s, unsigned i)
{
    struct drive *d = s->d;
    const struct dmt_result *r;
    unsigned stages = 0, at = 0;

    move_to(s, i);
    r = drive_translate(d, &s->request);
    must(r->status == DMT_STATUS_OK && r->pa == s->pa[i], "space %u: %s, expected %" PRIx64, i, drive_text(r),
         s->pa[i]);
    for (unsigned k = s->entering + 1; k-- > 0;) {
        unsigned from = at;

        while (at < d->events && d->event[at].addr != s->leaf[i][k])
            at++;
        must(at < d->events);
        stages |= (at == from) << k;
        at++;
    }
    return stages;
}

/* From empty caches, which then have room for what is filled again later without displacing anything. */
static void warm_spaces(struct spaces *s, unsigned in)
{
    drive_invalidate(s->d);
    for (unsigned i = 0; i < SPACES; i++) {
        kept(s, i);
        must(kept(s, i) == (2u << s->entering) - 1, "space %u is not cached", i);
    }
    move_to(s, in);
}

enum command {
    INV_ADDRESS,
    INV_CONTEXT,
    INV_ALL,
    INV_ALL_BUT_GLOBAL,
    WRITE_CR3,
    S2_CONTEXT,
    S2_ALL,
    WRITE_S2ROOT,
    WRITE_S2CTL,
    COMMANDS
};

/* An invalidation that misses entries which came about through several stages, or drops those of others: the
 * kinds of INVEPT and INVVPID, and the register writes that imply them, for each tag and PCID, at each level,
 * from each space, with any address. Guest-virtual, combined and host entries are looked for one by one. */
static void every_scope(enum drive_engine engine, uint8_t mode)
{
    struct drive *d = drive_new(engine, 1);
    static struct spaces s;
    unsigned dropped = 0, spared = 0;

    make_spaces(d, &s, mode);
    for (unsigned n = 0; n < COMMANDS * SPACES * 3; n++) {
        enum command command = n % COMMANDS;
        unsigned of = n / COMMANDS % SPACES, k = n / COMMANDS / SPACES, in = (of * 2 + k) % SPACES,
                 e = s.entering;
        unsigned base = DMT_LEVEL_BASE(k);
        const unsigned *own = s.tag[in];

        if (command >= S2_CONTEXT && k >= e)
            continue;
        if (k > e || (k != e && command == WRITE_CR3))
            continue;
        if (command == WRITE_CR3)
            of = in; /* stays in its space */
        warm_spaces(&s, in);
        switch (command) {
        case INV_ADDRESS:
            drive_write(d, base + DMT_LEVEL_INV,
                        INV(ADDRESS) | (uint64_t)s.pcid[of] << DMT_LEVEL_INV_PCID_LSB |
                            (n & 1 ? s.request.va >> 12 : 0x123456789));
            break;
        case INV_CONTEXT:
            drive_write(d, base + DMT_LEVEL_INV,
                        INV(CONTEXT) | (uint64_t)s.pcid[of] << DMT_LEVEL_INV_PCID_LSB);
            break;
        case INV_ALL:
            drive_write(d, base + DMT_LEVEL_INV, INV(ALL));
            break;
        case INV_ALL_BUT_GLOBAL:
            drive_write(d, base + DMT_LEVEL_INV, INV(ALL_BUT_GLOBAL));
            break;
        case WRITE_CR3:
            drive_write(d, base + DMT_LEVEL_CR3, s.st[in].s.level[k].cr3);
            break;
        case S2_CONTEXT:
            drive_write(d, base + DMT_LEVEL_INV,
                        INV(S2_CONTEXT) | (uint64_t)s.tag[of][k] << DMT_LEVEL_INV_PCID_LSB);
            break;
        case S2_ALL:
            drive_write(d, base + DMT_LEVEL_INV, INV(S2_ALL));
            break;
        case WRITE_S2ROOT:
            drive_write(d, base + DMT_LEVEL_S2ROOT, s2root(&s, of, k));
            break;
        default:
            drive_write(d, base + DMT_LEVEL_S2CTL, DMT_LEVEL_S2CTL_AD_MASK);
        }
        drive_run(d);
        must(d->csr[0].resp == DMT_RESP_OKAY);
        for (unsigned i = 0; i < SPACES; i++) {
            bool same0 = s.tag[i][0] == own[0], same = same0 && s.tag[i][1] == own[1];
            unsigned gone = 0, found;

            if (command <= WRITE_CR3) {
                bool by_pcid = command <= INV_CONTEXT || command == WRITE_CR3;

                gone = k == e && same && (!by_pcid || s.pcid[i] == s.pcid[of]) ? 1u << e : 0;
            } else {
                bool by_tag = command == S2_CONTEXT || command == WRITE_S2ROOT;

                if ((k == 0 || same0) && (!by_tag || s.tag[i][k] == s.tag[of][k]))
                    gone = k == 0 ? 7 : 6;
            }
            gone &= (2u << e) - 1;
            found = kept(&s, i);
            must(found == (((2u << e) - 1) & ~gone),
                 "command %u of level %u for space %u, from %u: space %u has "
                 "%x, expected all but %x",
                 command, k, of, in, i, found, gone);
            dropped += gone != 0;
            spared += gone == 0;
        }
    }
    must(dropped > 50 && spared > 80, "%u, %u", dropped, spared);
    drive_free(d);
}

ON_PINS(P7_every_scope_of_two_stages)
{
    every_scope(engine, DMT_MODE_VIRT);
}

ON_PINS(P7_every_scope_of_three_stages)
{
    every_scope(engine, DMT_MODE_NESTED);
}

/* A copy of the table page at hPA `of`, in which the entry for index i has another frame. */
static uint64_t copy_table(struct stack *st, uint64_t of, unsigned i, uint64_t frame)
{
    uint64_t copy = new_page(st, -1);

    for (unsigned j = 0; j < 512; j++) {
        uint64_t e = drive_peek(st->d, (of & ~0xfffull) + 8 * j);

        drive_poke(st->d, copy + 8 * j, j == i ? (e & ~FRAME) | frame : e);
    }
    return copy;
}

/* Tags of cached tables that have lost a bit answer for what differs in just that bit: guest-physical
 * addresses, and the tags of host and guest tables. */
ON_PINS(P19_every_bit_of_a_second_stage_tag)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned bit = 21; bit < 51; bit++) { /* of a guest-physical address */
        uint64_t gpa = 3ull << 40 | 0x123456789000, other = gpa ^ 1ull << bit;
        struct dmt_request q[2] = {ask(PAGE_VA, DMT_ACCESS_READ), ask(PAGE_VA + GIB, DMT_ACCESS_READ)};
        struct stack st;

        wipe(d);
        st = stack_new(d, DMT_MODE_VIRT, true, DMT_FORMAT_EPT);
        if (bit >= 48) { /* the four-level root under one of five levels */
            uint64_t root = new_page(&st, -1);

            drive_poke(d, root, st.s.s2[0].root | ER | EW | EX | EXU | EA);
            st.s.s2[0].root = root;
            st.s.s2[0].five = true;
        }
        put(&st, 1, q[0].va, gpa, DMT_SIZE_4K, all_of(&st, 1));
        put(&st, 1, q[1].va, other, DMT_SIZE_4K, all_of(&st, 1));
        put(&st, 0, gpa, 0x11111000, DMT_SIZE_4K, all_of(&st, 0));
        put(&st, 0, other, 0x22222000, DMT_SIZE_4K, all_of(&st, 0));
        stack_load(&st);
        for (unsigned i = 0; i < 6; i++) {
            const struct dmt_result *r = drive_translate(d, &q[i & 1]);

            must(r->pa == (i & 1 ? 0x22222000 : 0x11111000), "bit %u: %s", bit, drive_text(r));
            must(i < 2 || r->reads == 2, "bit %u: not from the caches: %s", bit, drive_text(r));
        }
    }
    for (unsigned n = 0; n < 2 * 8; n++) { /* of the tag of each level */
        unsigned k = n / 8;
        struct dmt_request q = ask(PAGE_VA, DMT_ACCESS_READ);
        uint64_t root[2], a;
        struct stack st;

        wipe(d);
        st = stack_new(d, k ? DMT_MODE_NESTED : DMT_MODE_VIRT, true, DMT_FORMAT_EPT);
        for (unsigned j = st.entering + 1; j-- > 0;)
            put(&st, j, j == st.entering ? q.va : (j * 5 + 8ull) << 40, (j * 5 + 3ull) << 40, DMT_SIZE_4K,
                all_of(&st, j));
        a = (k * 5 + 8ull) << 40; /* that stage k translates */
        /* The same tables once more, apart from those that lead to the page. */
        root[0] = st.s.s2[k].root | 0x5a;
        root[1] = copy_table(&st, entry_of(&st, k, 4, a), a >> 39 & 511, 0);
        drive_poke(d, root[1] + 8 * (a >> 39 & 511), 0);
        if (k) { /* where its stage has its tables */
            uint64_t at = new_page(&st, 0);

            drive_poke(d, entry_of(&st, 0, 1, at), root[1] | all_of(&st, 0));
            root[1] = at;
        }
        root[1] |= 0x5a ^ 1u << n % 8;
        st.s.s2[k].tag = 0x5a;
        stack_load(&st);
        for (unsigned i = 0; i < 4; i++) {
            const struct dmt_result *r;

            drive_write(d, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2ROOT, DMT_LEVEL_S2ROOT_NOFLUSH_MASK | root[i & 1]);
            drive_run(d);
            r = drive_translate(d, &q);
            must(r->status == (i & 1 ? DMT_STATUS_EPT_VIOLATION : DMT_STATUS_OK) && (i != 2 || r->reads <= 3),
                 "bit %u of tag %u: %s", n % 8, k, drive_text(r));
        }
    }
    drive_free(d);
}

/* A table under the host's that a large page replaces and the reverse, or the guest's, invalidated by any
 * address inside (the guest) or by tag (the host). */
ON_PINS(P7_page_size_changes_in_either_stage)
{
    struct drive *d = drive_new(engine, 1);
    struct rng rng;

    rng_seed(&rng, 7, 2);
    for (unsigned n = 0; n < 40; n++) {
        unsigned k = n & 1, size = 1 + (n >> 1 & 1), level = size + 1;
        uint64_t unit = 1ull << (9 * size + 12), offset = rng_next(&rng) & (unit - 1), small, a, at, gpa;
        struct dmt_request q = ask(PAGE_VA | offset, DMT_ACCESS_READ);
        struct stack st;

        wipe(d);
        st = stack_new(d, DMT_MODE_VIRT, true, n >> 2 & 1);
        st.s.s2[0].tag = 9;
        /* The stage that changes has small pages; the other one a page of any size. */
        put(&st, 1, q.va, 3ull << 40 | offset, k ? DMT_SIZE_4K : (unsigned)rng_below(&rng, 3),
            all_of(&st, 1));
        gpa = yield_of(&st, 1, q.va);
        put(&st, 0, gpa, 5ull << 40 | 0x123ull << 30, k ? DMT_SIZE_1G : DMT_SIZE_4K, all_of(&st, 0));
        a = k ? q.va : gpa;
        at = entry_of(&st, k, level, a);
        small = drive_peek(d, at);
        stack_load(&st);
        for (unsigned large = 0; large < 4; large++) {
            uint64_t to = k ? 3ull << 40 | 0x80000000 : 7ull << 40, want;
            const struct dmt_result *r;

            drive_poke(d, at, large & 1 ? to | all_of(&st, k) | PS : small);
            if (large & 1 && k) /* the page's guest-physical addresses are there, too */
                put(&st, 0, to, 5ull << 40 | 0x155ull << 30, DMT_SIZE_1G, all_of(&st, 0));
            want = hpa_of(&st, 1, q.va);
            drive_write(d, DMT_LEVEL_BASE(k) + DMT_LEVEL_INV,
                        k ? INV(ADDRESS) | ((PAGE_VA | (rng_next(&rng) & (unit - 1))) >> 12)
                          : INV(S2_CONTEXT) | 9ull << DMT_LEVEL_INV_PCID_LSB);
            drive_run(d);
            r = drive_translate(d, &q);
            must(r->status == DMT_STATUS_OK && r->pa == want, "round %u, large %u: %s, expected %" PRIx64, n,
                 large, drive_text(r), want);
        }
    }
    drive_free(d);
}

/* An invalidation during a walk, which then fills a cache with what it has read before: the host moves a
 * guest's table, by an entry of each level of its own tables, and the guest an entry of its; at each clock of
 * a stream of walks. No request taken after the invalidation is answered may see the old way. Without it the
 * old way must be seen. */
static unsigned invalidate_around_fills(enum drive_engine engine, bool invalidate)
{
    struct drive *d = drive_new(engine, 1);
    struct stack st = stack_new(d, DMT_MODE_VIRT, true, DMT_FORMAT_EPT);
    struct dmt_request q = ask(PAGE_VA | 0x7d8e8, DMT_ACCESS_READ);
    uint64_t at[6], old[6], now[6], copy, table;
    unsigned stale = 0;

    st.s.s2[0].tag = 9;
    put(&st, 1, q.va, 3ull << 40, DMT_SIZE_4K, all_of(&st, 1));
    put(&st, 1, q.va ^ 0x1000, 3ull << 40 | 0x1000, DMT_SIZE_4K, all_of(&st, 1));
    put(&st, 0, 3ull << 40, 0x11111000, DMT_SIZE_4K, all_of(&st, 0));
    put(&st, 0, 3ull << 40 | 0x1000, 0x22222000, DMT_SIZE_4K, all_of(&st, 0));
    /* The host's entries of levels 1 to 3 for the guest's last table, which gets a copy elsewhere. */
    table = where(&st, 1, 1, q.va);
    copy = copy_table(&st, hpa_of(&st, 0, table), table >> 3 & 511, 3ull << 40 | 0x1000);
    for (unsigned level = 1; level <= 3; level++) {
        at[level - 1] = entry_of(&st, 0, level, table);
        old[level - 1] = drive_peek(d, at[level - 1]);
        now[level - 1] = (old[level - 1] & ~FRAME) | copy;
        copy = copy_table(&st, at[level - 1], at[level - 1] >> 3 & 511, copy);
    }
    /* The guest's entries of levels 2 to 4. */
    copy = new_page(&st, 0);
    drive_poke(d, hpa_of(&st, 0, copy) | (table & 0xff8), 3ull << 40 | 0x1000 | all_of(&st, 1));
    for (unsigned level = 2; level <= 4; level++) {
        at[level + 1] = entry_of(&st, 1, level, q.va);
        old[level + 1] = drive_peek(d, at[level + 1]);
        now[level + 1] = (old[level + 1] & ~FRAME) | copy;
        copy = new_page(&st, 0);
        drive_poke(d, hpa_of(&st, 0, copy) | (at[level + 1] & 0xff8), now[level + 1]);
    }
    stack_load(&st);
    for (unsigned n = 0; n < 6; n++) {
        for (unsigned v = 0; v < 2 * 60; v++) {
            unsigned lead = v & 1, after = 0; /* clocks from the store to the invalidation */

            drive_poke(d, at[n], old[n]);
            drive_invalidate(d);
            d->latency = 1 + n % 3;
            for (unsigned i = 0; i < 10; i++)
                drive_ask(d, &q);
            for (unsigned i = 0; i < v / 2; i++)
                drive_step(d);
            drive_poke(d, at[n], now[n]);
            if (lead)
                drive_step(d);
            drive_write(d, n < 3 ? DMT_LEVEL_INV : DMT_LEVEL_BASE(1) + DMT_LEVEL_INV,
                        !invalidate ? INV(S2_CONTEXT) | 8ull << DMT_LEVEL_INV_PCID_LSB
                        : n < 3     ? INV(S2_CONTEXT) | 9ull << DMT_LEVEL_INV_PCID_LSB
                                    : INV(ADDRESS) | q.va >> 12);
            drive_step(d);
            for (unsigned i = 0; i < 3; i++)
                drive_ask(d, &q);
            drive_run(d);
            for (unsigned i = 0; i < d->walks; i++) {
                const struct dmt_result *r = &d->walk[i].result;

                must(r->status == DMT_STATUS_OK && (r->pa == 0x111118e8 || r->pa == 0x222228e8), "%s",
                     drive_text(r));
                if (d->walk[i].taken < d->csr[0].answered)
                    continue;
                after++;
                stale += r->pa != 0x222228e8;
                must(!invalidate || r->pa == 0x222228e8,
                     "entry %u: store at %u, invalidated %u later, request %u sees the old way", n, v / 2,
                     lead, i);
            }
            must(after >= 3);
        }
        drive_poke(d, at[n], old[n]);
    }
    drive_free(d);
    return stale;
}

ON_PINS(P3_nothing_stale_of_two_stages)
{
    invalidate_around_fills(engine, true);
    must(invalidate_around_fills(engine, false) > 100, "nothing is cached: the test above cannot fail");
}

/* ---------------------------------------------------------------- registers and neighbours */

/* Roots, table formats, modes and gTEAs that change under a walk, noticed by parts of the walker: a write of
 * each register that only stages above the host have, at every clock of a stream of requests. Each answer is
 * that of the old registers or of the new, and the write's answer decides which; also where the root lies
 * under a register that comes or goes. */
enum change {
    S2ROOT0,
    S2CTL0_AD,
    S2CTL0_FIVE,
    CR3_1,
    ROOT_COVERED,
    ROOT_UNCOVERED,
    TEA_1,
    MODE,
    REVOKE,
    ENTRIES,
    S2ROOT1,
    ROOT_COVERED_1,
    SHADOW_ROOT,
    SHADOW_CTL,
    FALLBACK,
    CHANGES
};

static void make_change(struct drive *d, enum change c, struct dmt_state *before, struct dmt_state *after,
                        struct dmt_request *q, unsigned *addr, uint64_t *data)
{
    bool nested = c >= S2ROOT1, full = c == S2ROOT1 || c == ROOT_COVERED_1 || c == FALLBACK;
    struct stack st, other;
    uint64_t word[3], at;
    struct dmt_tea t;

    wipe(d);
    st = stack_new(d, nested ? DMT_MODE_NESTED : DMT_MODE_VIRT, full, DMT_FORMAT_EPT);
    *q = ask(PAGE_VA | 0x6e8, DMT_ACCESS_READ);
    /* The page, and in every stage under it a place beside it. */
    for (unsigned k = st.entering + 1; k-- > st.shadow;)
        for (unsigned i = 0; i < 2; i++)
            put(&st, k, k == st.entering ? q->va : ((k + 1) * 5 + 3ull) << 40 | (i << 12) | 0x6e8,
                (k * 5 + 3ull) << 40 | (i << 12), DMT_SIZE_4K, all_of(&st, k));
    other = st;
    if (c == FALLBACK) {
        other.s.full = false;
        other.shadow = true;
        other.s.shadow.root = new_page(&other, -1);
        for (unsigned i = 0; i < 2; i++) /* the tables of stage 2 as they are, the page elsewhere */
            put(&other, 1, 13ull << 40 | (i << 12) | 0x6e8, 0x33333000, DMT_SIZE_4K, all_of(&other, 1));
        for (unsigned level = 1; level <= 4; level++) {
            at = where(&st, 2, level, q->va);
            put(&other, 1, at, hpa_of(&st, 1, at), DMT_SIZE_4K, all_of(&other, 1));
        }
        st.s.shadow = other.s.shadow;
    }
    *before = *after = st.s;
    t = register_over(&st, st.entering, DMT_SIZE_4K, q->va, true);

    switch (c) {
    case S2ROOT0:
    case S2ROOT1:
    case SHADOW_ROOT: {
        /* A copy of the root without the entry that leads to the page. */
        unsigned k = c != S2ROOT0, level = 4;
        struct dmt_s2 *s2 = k ? c == S2ROOT1 ? &after->s2[1] : &after->shadow : &after->s2[0];
        uint64_t page = ((k + 1) * 5 + 3ull) << 40;

        s2->root = new_page(&st, under(&st, k));
        for (unsigned i = 0; i < 512; i++) {
            uint64_t e = drive_peek(d, entry_of(&st, k, level, (uint64_t)i << 39));

            drive_poke(d, hpa_of(&st, under(&st, k), s2->root) + 8 * i, i == page >> 39 ? 0 : e);
        }
        *addr =
            c == SHADOW_ROOT ? DMT_HOST_BASE + DMT_HOST_SHADOW_ROOT : DMT_LEVEL_BASE(k) + DMT_LEVEL_S2ROOT;
        *data = s2->root;
        break;
    }
    case S2CTL0_AD: /* a table may be read, but not written */
        at = entry_of(&st, 0, 1, where(&st, 1, 1, q->va));
        drive_poke(d, at, drive_peek(d, at) & ~EW);
        before->s2[0].ad = false;
        *addr = DMT_LEVEL_S2CTL;
        *data = DMT_LEVEL_S2CTL_AD_MASK;
        break;
    case S2CTL0_FIVE:
        after->s2[0].five = true;
        *addr = DMT_LEVEL_S2CTL;
        *data = DMT_LEVEL_S2CTL_AD_MASK | DMT_LEVEL_S2CTL_FIVE_MASK;
        break;
    case CR3_1:
        after->level[1].cr3 = other.s.level[1].cr3 = new_page(&other, 0);
        put(&other, 1, q->va, 8ull << 40 | 0x1000, DMT_SIZE_4K, all_of(&other, 1));
        *addr = DMT_LEVEL_BASE(1) + DMT_LEVEL_CR3;
        *data = after->level[1].cr3;
        break;
    case ROOT_COVERED:
    case ROOT_UNCOVERED:
    case ROOT_COVERED_1: {
        /* A register over the root's page in the set below, which leads to an empty root. */
        unsigned k = c == ROOT_COVERED_1 ? 1 : 0;
        uint64_t root = k ? before->level[2].cr3 : before->level[1].cr3, entry = new_page(&st, under(&st, k));
        struct dmt_state *covered = c == ROOT_UNCOVERED ? before : after;

        drive_poke(d, hpa_of(&st, under(&st, k), entry), new_page(&st, under(&st, k)) | all_of(&st, k));
        covered->tea[k][3] = drive_cover(root, 1, DMT_SIZE_4K, entry);
        dmt_tea_pack(&covered->tea[k][3], word);
        *addr = DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD0(3);
        *data = word[0] ^ (c == ROOT_UNCOVERED);
        break;
    }
    case TEA_1:
        before->gtea[1] = after->gtea[1] = st.s.gtea[1];
        t.base_pfn = 1; /* past its end */
        after->tea[1][3] = t;
        dmt_tea_pack(&t, word);
        *addr = DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(3);
        *data = word[0];
        break;
    case MODE:
        after->mode = DMT_MODE_NATIVE; /* with nothing at stage 0's root */
        *addr = DMT_HOST_BASE + DMT_HOST_CTL;
        *data = DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK;
        break;
    case REVOKE:
    case ENTRIES:
        before->gtea[1] = after->gtea[1] = st.s.gtea[1];
        before->tea[1][3] = after->tea[1][3] = t;
        drive_resolve(d, before);
        after->tea[1][3].resolution = DMT_RESOLUTION_REVOKED;
        if (c == ENTRIES)
            after->gtea[1].entries = 0;
        *addr = DMT_HOST_BASE + (c == ENTRIES ? DMT_HOST_GTEA_ENTRIES1 : DMT_HOST_GTEA_CMD);
        *data = c == ENTRIES ? 0
                             : (uint64_t)DMT_GTEA_OP_REVOKE << DMT_HOST_GTEA_CMD_OP_LSB |
                                   1 << DMT_HOST_GTEA_CMD_SET_LSB | t.gtea;
        break;
    case SHADOW_CTL:
        after->shadow.five = true;
        *addr = DMT_HOST_BASE + DMT_HOST_SHADOW_CTL;
        *data = DMT_LEVEL_S2CTL_AD_MASK | DMT_LEVEL_S2CTL_FIVE_MASK;
        break;
    default:
        after->full = false;
        *addr = DMT_HOST_BASE + DMT_HOST_CTL;
        *data = DMT_MODE_NESTED | DMT_HOST_CTL_AD_UPDATE_MASK;
    }
    if (c == TEA_1)
        drive_resolve(d, after);
}

/* The registers as before, with words 1 and 2 of a register that the write of word 0 is to make valid. */
static void load_before(struct drive *d, const struct dmt_state *before, const struct dmt_state *after)
{
    drive_load(d, before);
    for (unsigned k = 0; k < 2; k++) {
        uint64_t word[3];

        if (!after->tea[k][3].valid || before->tea[k][3].valid)
            continue;
        dmt_tea_pack(&after->tea[k][3], word);
        drive_write(d, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD2(3), word[2]);
        drive_write(d, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD1(3), word[1]);
        drive_run(d);
    }
    drive_invalidate(d);
}

/* Without caches, too: they would hide registers that come over a root, as caches may. */
static void changes_at_every_clock(enum drive_engine engine, const char *config)
{
    static struct dmt_state before, after;
    struct drive *d = drive_new_config(engine, config, 1);

    for (unsigned c = 0; c < CHANGES; c++) {
        struct dmt_request q;
        struct dmt_result old, now;
        unsigned addr, both = 0;
        uint64_t data;

        if (d->config.pwc2_n && (c == ROOT_COVERED || c == ROOT_UNCOVERED || c == ROOT_COVERED_1))
            continue;
        make_change(d, c, &before, &after, &q, &addr, &data);
        old = drive_judge(d, &before, &q);
        now = drive_judge(d, &after, &q);
        must(!drive_same(&old, &now), "change %u makes no difference: %s", c, drive_text(&old));
        for (unsigned v = 0; v < 120; v++) {
            d->latency = 1 + v % 3;
            load_before(d, &before, &after);
            for (unsigned i = 0; i < 12; i++)
                drive_ask(d, &q);
            for (unsigned i = 0; i < v * (c >= S2ROOT1 ? 4 : 1); i++)
                drive_step(d);
            drive_write(d, addr, data);
            while (!d->csr[0].is_answered)
                drive_step(d);
            drive_ask(d, &q);
            drive_run(d);
            for (unsigned i = 0; i < d->walks; i++) {
                bool is_old = d->walk[i].taken < d->csr[0].answered;
                const struct dmt_result *r = &d->walk[i].result, *want = is_old ? &old : &now;

                must(!is_old || d->walk[i].answered < d->csr[0].answered, "a write overtook a request");
                must(drive_same(r, want), "change %u at clock %u, request %u (%s the write): %s, expected %s",
                     c, v, i, is_old ? "before" : "after", drive_text(r), drive_text(want));
                both |= is_old ? 1 : 2;
            }
            drive_clear(d);
            d->state = after;
        }
        must(both == 3, "change %u: all requests on one side of the write", c);
    }
    drive_free(d);
}

ON_PINS(P4_second_stage_registers_at_every_clock)
{
    for (unsigned i = 0; i < LENGTH(configs); i++)
        changes_at_every_clock(engine, configs[i]);
}

/* A fault of one request that colours another, or a flush between that does: requests of each outcome in
 * pairs, at every distance, youngest answered first or in order, from caches or not. */
enum kind {
    FINE,
    LARGE,
    CHAINED,
    BY_GTEA,
    UPDATES,
    GUEST_ABSENT,
    PAGE_ABSENT,
    TABLE_ABSENT,
    BROKEN,
    WIDE,
    NO_MEMORY,
    UNRESOLVED,
    SPECULATES,
    KINDS
};

ON_PINS(P1_P9_fault_of_a_stage_goes_to_its_request)
{
    static const uint8_t status[KINDS] = {
        [GUEST_ABSENT] = DMT_STATUS_PF,
        [PAGE_ABSENT] = DMT_STATUS_EPT_VIOLATION,
        [TABLE_ABSENT] = DMT_STATUS_EPT_VIOLATION,
        [BROKEN] = DMT_STATUS_EPT_MISCONFIG,
        [WIDE] = DMT_STATUS_EPT_VIOLATION,
        [NO_MEMORY] = DMT_STATUS_BUS,
        [UNRESOLVED] = DMT_STATUS_GTEA,
        [SPECULATES] = DMT_STATUS_RETRY,
    };
    struct drive *d = drive_new(engine, 1);
    struct stack st;
    struct dmt_request q[KINDS];
    struct dmt_result want[KINDS];
    uint64_t lacks = 0;

    wipe(d);
    st = stack_new(d, DMT_MODE_VIRT, true, DMT_FORMAT_EPT);
    for (unsigned k = 0; k < KINDS; k++) {
        uint64_t va = PAGE_VA + ((uint64_t)k << 30) + 0x4d3abc,
                 gpa = 3ull << 40 | (uint64_t)k << 31 | 0x5d3abc, at;
        unsigned size = k == LARGE ? DMT_SIZE_2M : DMT_SIZE_4K;

        q[k] = ask(va, k == UPDATES ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        put(&st, 1, va, gpa, size, all_of(&st, 1));
        gpa = yield_of(&st, 1, va);
        put(&st, 0, gpa, 5ull << 40 | (uint64_t)k << 31, k == LARGE ? DMT_SIZE_1G : DMT_SIZE_4K,
            all_of(&st, 0));
        if (k == CHAINED || k == BY_GTEA || k == UNRESOLVED)
            st.s.tea[1][k] = register_over(&st, 1, DMT_SIZE_4K, va, k != CHAINED);
        at = k == GUEST_ABSENT || k == WIDE || k == UPDATES || k == SPECULATES ? entry_of(&st, 1, 1, va)
             : k == NO_MEMORY                                                  ? entry_of(&st, 1, 2, va)
             : k == TABLE_ABSENT               ? entry_of(&st, 0, 1, where(&st, 1, 1, va))
             : k == PAGE_ABSENT || k == BROKEN ? entry_of(&st, 0, 1, gpa)
                                               : 0;
        if (k == UPDATES)
            lacks = at;
        if (k == NO_MEMORY) { /* its table is where the host has mapped nothing that exists */
            put(&st, 0, 9ull << 40, 0x7f0000000000, DMT_SIZE_4K, all_of(&st, 0));
            drive_poke(d, at, 9ull << 40 | P | W | U | A);
        } else if (at) {
            drive_poke(d, at,
                       k == WIDE                         ? 1ull << 48 | all_of(&st, 1)
                       : k == UPDATES || k == SPECULATES ? drive_peek(d, at) & ~(A | D)
                       : k == BROKEN                     ? drive_peek(d, at) | 1ull << 51
                                                         : 0);
        }
    }
    q[SPECULATES].nonspec = false;
    drive_resolve(d, &st.s);
    st.s.tea[1][UNRESOLVED].resolution = DMT_RESOLUTION_REVOKED;
    drive_load(d, &st.s);
    for (unsigned k = 0; k < KINDS; k++) {
        want[k] = drive_judge(d, &st.s, &q[k]);
        must(want[k].status == status[k], "kind %u: %s", k, drive_text(&want[k]));
    }
    for (unsigned n = 0; n < KINDS * KINDS * 12; n++) {
        unsigned pair[2] = {n % KINDS, n / KINDS % KINDS}, gap = n / KINDS / KINDS * 5;

        d->latency = 1 + gap % 3;
        d->last_first = n & 1;
        if (gap & 1)
            drive_invalidate(d);
        drive_clear(d);
        drive_poke(d, lacks, drive_peek(d, lacks) & ~(A | D));
        drive_ask(d, &q[pair[0]]);
        for (unsigned i = 0; i < gap; i++)
            drive_step(d);
        if (n / KINDS & 1)
            drive_write(d, n & 1 ? DMT_LEVEL_INV : DMT_LEVEL_S2ROOT, n & 1 ? INV(S2_ALL) : st.s.s2[0].root);
        drive_ask(d, &q[pair[1]]);
        drive_run(d);
        for (unsigned i = 0; i < 2; i++)
            must(drive_same(&d->walk[i].result, &want[pair[i]]), "kinds %u and %u, gap %u: %s, expected %s",
                 pair[0], pair[1], gap, drive_text(&d->walk[i].result), drive_text(&want[pair[i]]));
    }
    drive_free(d);
}

/* ---------------------------------------------------------------- only DMT can get these wrong */

/* What a guest's register names is translated through a register of the host whose entry is absent, no leaf,
 * broken or denies: the host's tables decide, for the table as for the page; and a gTEA's place is asked of
 * nobody. When the host's tables do not have it either, the fault names the entry's address. */
ON_EVERY_ENGINE(D10_host_register_without_an_entry)
{
    struct drive *d = drive_new(engine, 1);

    for (unsigned n = 0; n < 2 * 2 * 3 * 5; n++) {
        bool gtea = n & 1, npt = n & 2;
        unsigned size = n / 4 % 3, bad = n / 12, asked;
        struct dmt_request q = ask(PAGE_VA | 0x155 << 12 | 0x6e8, DMT_ACCESS_READ);
        struct stack st;
        uint64_t gpa = 3ull << 40 | 0x6e8, table, page, value[5], unit = 1ull << (9 * size + 12);
        struct dmt_result want;
        const struct dmt_result *r;

        wipe(d);
        st = stack_new(d, DMT_MODE_VIRT, true, npt);
        put(&st, 1, q.va, gpa, DMT_SIZE_4K, all_of(&st, 1));
        put(&st, 0, gpa, 5ull << 40, DMT_SIZE_4K, all_of(&st, 0));
        table = where(&st, 1, 1, q.va);
        st.s.tea[1][0] = register_over(&st, 1, DMT_SIZE_4K, q.va, gtea);
        /* Set 0: registers over the table's page and over the page, with an entry of their own. */
        page = new_page(&st, -1);
        value[0] = 0;
        value[1] = all_of(&st, 0) & ~(npt ? P : 7ull);
        value[2] = (5ull << 40) | all_of(&st, 0) | (size ? PS : 0) | 1ull << 51;
        value[3] = ((5ull << 40) | all_of(&st, 0) | (size ? PS : 0)) & ~(npt ? (uint64_t)U : ER | EW);
        value[4] = size ? (5ull << 40) | (all_of(&st, 0) & ~(6ull << 3)) : 0; /* a table */
        drive_poke(d, page, value[bad]);
        drive_poke(d, page + 8, value[bad]);
        st.s.tea[0][0] = drive_cover(table & ~(unit - 1), unit >> 12, size, page);
        st.s.tea[0][1] = drive_cover(gpa & ~(unit - 1), unit >> 12, size, page);
        st.s.tea[0][1].base_pfn = st.s.tea[0][0].base_pfn;
        stack_load(&st);
        r = drive_translate(d, &q);
        must(r->status == DMT_STATUS_OK && r->pa == (5ull << 40 | 0x6e8) && r->path[0] == DMT_PATH_RESTART &&
                 r->path[1] == DMT_PATH_TEA,
             "case %u: %s", n, drive_text(r));
        asked = times_read(d, page);
        must(asked == (gtea ? 1 : 2) && (!gtea || d->event[0].addr == entry_of(&st, 1, 1, q.va)),
             "case %u: the host's register was asked %u times", n, asked);
        must(drive_peek(d, page) == value[bad]);

        drive_poke(d, entry_of(&st, 0, 1, gtea ? gpa : table), 0);
        want = (struct dmt_result){
            .status = npt ? DMT_STATUS_NPT_FAULT : DMT_STATUS_EPT_VIOLATION,
            .addr = gtea ? gpa : table,
            .error = npt ? I_USER | (gtea ? I_FINAL : I_TABLE | I_WRITE)
                         : Q_READ | Q_LINEAR | (gtea ? Q_FINAL : Q_WRITE),
        };
        r = cold(d, &q);
        must(drive_same(r, &want), "case %u: %s, expected %s", n, drive_text(r), drive_text(&want));
    }
    drive_free(d);
}

/* A guest's register that reaches outside of the gTEA it names: random registers, with bases, sizes and
 * lengths at the edges of their fields, over gTEAs of few pages. Either the entry is read that the rule
 * names, inside, or nothing is read and the answer says which register. */
ON_EVERY_ENGINE(D11_register_stays_inside_its_gtea)
{
    struct drive *d = drive_new(engine, 1);
    struct stack st;
    struct rng rng;
    unsigned inside = 0, outside = 0;

    rng_seed(&rng, 11, 2);
    wipe(d);
    st = stack_new(d, DMT_MODE_VIRT, true, DMT_FORMAT_EPT);
    st.s.gtea[1] = (struct dmt_gtea){.table = new_page(&st, -1), .entries = 9};
    st.s.level[1].cr4 = DMT_LEVEL_CR4_LA57_MASK;
    for (unsigned n = 0; n < 700; n++) {
        uint64_t first = 0x40000 + rng_below(&rng, 1000), pages = 1 + rng_below(&rng, 5), vpn, offset, index;
        struct dmt_tea *t = &st.s.tea[1][n % 16];
        unsigned id = (unsigned)rng_below(&rng, 9), size = (unsigned)rng_below(&rng, 3);
        struct dmt_request q;
        const struct dmt_result *r;

        memset(st.s.tea[1], 0, sizeof st.s.tea[1]);
        *t = (struct dmt_tea){
            .sz = (uint8_t)size, .kind = DMT_KIND_GTEA, .gtea = (uint16_t)id, .allow = 7, .valid = true};
        /* An entry near the end of the gTEA, or anywhere that 64 bits of arithmetic might wrap to. */
        index = rng_below(&rng, pages * 512 + 3);
        if (rng_chance(&rng, 0x8000))
            index = pages * 512 - 3 + rng_below(&rng, 6);
        if (rng_chance(&rng, 0x4000))
            index += 1ull << (12 + rng_below(&rng, 49));
        vpn = rng_next(&rng) >> 20; /* canonical with five levels */
        t->base_pfn = index >> 9;
        if (rng_chance(&rng, 0x6000))
            t->base_pfn -= rng_below(&rng, t->base_pfn < 8 ? t->base_pfn + 1 : 8);
        offset = (index - t->base_pfn * 512) << 9 * size;
        if (offset > vpn)
            offset = rng_below(&rng, 3) << 9 * size;
        t->base_vpn = vpn - offset;
        t->pages = offset + 1 + (rng_next(&rng) & 0xffff);
        drive_poke(d, st.s.gtea[1].table + 16 * id, first << 12 | 1 | (rng_next(&rng) & 0xffe));
        drive_poke(d, st.s.gtea[1].table + 16 * id + 8, pages | (rng_next(&rng) & 0xfff0000000000000ull));
        d->state.tea[1][n % 16].valid = true; /* so that it is written, and resolved, again */
        d->state.tea[1][n % 16].kind = DMT_KIND_PA;
        drive_resolve(d, &st.s);
        drive_load(d, &st.s);
        must(t->resolution == DMT_RESOLUTION_OK);

        index = t->base_pfn * 512 + (offset >> 9 * size); /* below 2^62 */
        q = ask(vpn << 12 | 0x123, DMT_ACCESS_READ);
        r = drive_translate(d, &q);
        if (index < pages * 512) {
            must(d->events > 0 && d->event[0].addr == (first << 12) + 8 * index &&
                     r->status != DMT_STATUS_GTEA,
                 "round %u: %s", n, drive_text(r));
            inside++;
        } else {
            struct dmt_result want = {
                .status = DMT_STATUS_GTEA, .addr = q.va, .error = id | n % 16 << 12, .stage = 1};

            must(d->events == 0 && drive_same(r, &want), "round %u: %s, expected %s", n, drive_text(r),
                 drive_text(&want));
            outside++;
            if (engine != DRIVE_ARCH) {
                must(drive_read(d, DMT_HOST_BASE + DMT_HOST_GTEA_FAULT) ==
                     (1ull << DMT_HOST_GTEA_FAULT_SET_LSB | want.error));
                must(drive_read(d, DMT_HOST_BASE + DMT_HOST_EVENT) & DMT_HOST_EVENT_GTEA_MASK);
                must(drive_read(d, DMT_HOST_BASE + DMT_HOST_CNT_GTEA) == outside);
            }
        }
    }
    must(inside > 150 && outside > 150, "%u, %u", inside, outside);
    drive_free(d);
}

/* A gTEA so large that a register cannot see its end, whose size is cut to what a register counts in: granted
 * sizes around the one at which the last entry of the longest register still lies inside, and far above. */
ON_EVERY_ENGINE(D11_gtea_larger_than_any_register)
{
    struct drive *d = drive_new(engine, 1);
    const uint64_t first = 0x40000, vpn[] = {0, 1ull << 27, (1ull << 52) - (1ull << 27), (1ull << 52) - 1};
    struct stack st;
    unsigned inside = 0, outside = 0;

    wipe(d);
    st = stack_new(d, DMT_MODE_VIRT, true, DMT_FORMAT_EPT);
    st.s.gtea[1] = (struct dmt_gtea){.table = new_page(&st, -1), .entries = 1};
    for (unsigned n = 0; n < 2 * 3 * 4 * 2; n++) {
        unsigned size = 1 + n % 2, offset = n / 2 % 3, above = n / 6 % 4;
        uint64_t edge = 1ull << (43 - 9 * size), pages = edge - 1 + offset, pfn = n / 24 * 5;
        struct dmt_tea *t = &st.s.tea[1][3];

        if (above)
            pages += edge << above;
        *t = (struct dmt_tea){.pages = 1ull << 52,
                              .base_pfn = pfn,
                              .sz = (uint8_t)size,
                              .kind = DMT_KIND_GTEA,
                              .allow = 7,
                              .valid = true};
        drive_poke(d, st.s.gtea[1].table, first << 12 | 1);
        drive_poke(d, st.s.gtea[1].table + 8, pages);
        d->state.tea[1][3] = (struct dmt_tea){0}; /* so that it is resolved again */
        drive_resolve(d, &st.s);
        drive_load(d, &st.s);
        must(t->resolution == DMT_RESOLUTION_OK);
        for (unsigned i = 0; i < LENGTH(vpn); i++) {
            struct dmt_request q = ask(vpn[i] << 12 | 0x123, DMT_ACCESS_READ);
            uint64_t index = pfn * 512 + (vpn[i] >> 9 * size);
            bool is_inside = index < pages * 512;
            struct dmt_result want = {.status = DMT_STATUS_GTEA, .addr = q.va, .error = 3 << 12, .stage = 1};
            const struct dmt_result *r = drive_translate(d, &q);

            if (is_inside) /* where nothing is */
                want = bus((first << 12) + 8 * index, DMT_BUS_ERROR_READ_DECERR, 1);
            must(drive_same(r, &want),
                 "%" PRIx64 " pages of size %u from %" PRIu64 ", page %" PRIx64 ": %s, expected %s", pages,
                 size, pfn, vpn[i], drive_text(r), drive_text(&want));
            inside += is_inside;
            outside += !is_inside;
        }
    }
    must(inside > 100 && outside >= 8, "%u, %u", inside, outside);
    drive_free(d);
}

/* A gTEA table that changes under a resolved register: the walker goes on with what it resolved, whatever the
 * table says by then, until it is told to revoke. From the answer to that command nothing reads the old gTEA;
 * resolved again, the new one is used; what cannot be resolved is not used. At every clock of a stream. */
ON_PINS(D12_gtea_table_changes_under_a_register)
{
    struct drive *d = drive_new(engine, 1);
    struct dmt_request q = ask(PAGE_VA | 0x6e8, DMT_ACCESS_READ);
    struct stack st;
    uint64_t old, moved, entry, junk[4][2];
    const uint64_t cmd = DMT_HOST_BASE + DMT_HOST_GTEA_CMD, set = 1ull << DMT_HOST_GTEA_CMD_SET_LSB;
    static const unsigned result[] = {DMT_RESOLUTION_ABSENT, DMT_RESOLUTION_WIDTH, DMT_RESOLUTION_WIDTH,
                                      DMT_RESOLUTION_BUS};

    wipe(d);
    st = stack_new(d, DMT_MODE_VIRT, true, DMT_FORMAT_EPT);
    put(&st, 1, q.va, 3ull << 40, DMT_SIZE_4K, all_of(&st, 1));
    put(&st, 0, 3ull << 40, 0x11111000, DMT_SIZE_4K, all_of(&st, 0));
    put(&st, 0, 3ull << 40 | 0x1000, 0x22222000, DMT_SIZE_4K, all_of(&st, 0));
    st.s.tea[1][2] = register_over(&st, 1, DMT_SIZE_4K, q.va, true);
    old = entry_of(&st, 1, 1, q.va);
    moved = copy_table(&st, old, old >> 3 & 511, 3ull << 40 | 0x1000) | (old & 0xfff);
    entry = st.s.gtea[1].table;
    stack_load(&st);
    for (unsigned n = 0; n < 120; n++) {
        unsigned revoke, resolve;

        d->latency = 1 + n % 3;
        drive_poke(d, entry, (old & ~0xfffull) | 1);
        drive_write(d, (unsigned)cmd, (uint64_t)DMT_GTEA_OP_RESOLVE_ALL << DMT_HOST_GTEA_CMD_OP_LSB | set);
        drive_run(d);
        drive_clear(d);
        for (unsigned i = 0; i < 30; i++)
            drive_ask(d, &q);
        for (unsigned i = 0; i < n / 2; i++)
            drive_step(d);
        drive_poke(d, entry, n & 1 ? rng_next(&d->rng) | 1 : (moved & ~0xfffull) | 1);
        revoke =
            drive_write(d, (unsigned)cmd, (uint64_t)DMT_GTEA_OP_REVOKE << DMT_HOST_GTEA_CMD_OP_LSB | set);
        while (!d->csr[revoke].is_answered)
            drive_step(d);
        must(!times_read(d, moved), "the new gTEA was used before it was resolved");
        drive_poke(d, old, ~0ull); /* used for something else */
        for (unsigned i = 0; i < 3; i++)
            drive_ask(d, &q);
        drive_run(d);
        drive_poke(d, entry, (moved & ~0xfffull) | 1);
        resolve =
            drive_write(d, (unsigned)cmd, (uint64_t)DMT_GTEA_OP_RESOLVE << DMT_HOST_GTEA_CMD_OP_LSB | set);
        while (!d->csr[resolve].is_answered)
            drive_step(d);
        for (unsigned i = 0; i < 3; i++)
            drive_ask(d, &q);
        drive_run(d);
        for (unsigned i = 0; i < d->walks; i++) {
            const struct drive_walk *w = &d->walk[i];
            struct dmt_result want = {
                .status = DMT_STATUS_GTEA, .addr = q.va, .error = 1 << 18 | 2 << 12, .stage = 1};

            if (w->taken < d->csr[revoke].answered)
                must(w->result.status == DMT_STATUS_OK && w->result.pa == 0x111116e8, "%s",
                     drive_text(&w->result));
            else if (w->taken < d->csr[resolve].answered)
                must(drive_same(&w->result, &want), "%s", drive_text(&w->result));
            else
                must(w->result.status == DMT_STATUS_OK && w->result.pa == 0x222226e8, "%s",
                     drive_text(&w->result));
        }
        for (unsigned i = 0; i < d->events; i++)
            must(d->event[i].addr != old || d->event[i].clock < d->csr[revoke].answered,
                 "the old gTEA is read after it was revoked");
        drive_clear(d);
        drive_poke(d, old, drive_peek(d, moved) ^ 0x1000);
    }

    /* Absent; empty; beyond the width; a bus error on either word. */
    memcpy(junk,
           (uint64_t[4][2]){{old & ~0xfffull, 1},
                            {(old & ~0xfffull) | 1, 0},
                            {(1ull << MAXPA) - 0xfff, 2},
                            {(old & ~0xfffull) | 1, 1}},
           sizeof junk);
    for (unsigned n = 0; n < 5; n++) {
        unsigned k = n < 3 ? n : 3;

        drive_poke(d, entry, junk[k][0]);
        drive_poke(d, entry + 8, junk[k][1]);
        d->faults = 0;
        if (n >= 3)
            drive_fault(d, (struct drive_fault){entry + 8 * (n & 1), DRIVE_READ, 0, 1, DMT_RESP_SLVERR,
                                                junk[k][n & 1]});
        drive_write(d, (unsigned)cmd, (uint64_t)DMT_GTEA_OP_RESOLVE << DMT_HOST_GTEA_CMD_OP_LSB | set);
        drive_run(d);
        must(drive_read(d, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD3(2)) ==
                 ((uint64_t)result[k] << DMT_TEA_WORD3_RESOLUTION_LSB | DMT_TEA_WORD3_VALID_MASK),
             "table entry %u", n);
        drive_translate(d, &q);
        must(d->walk[0].result.status == DMT_STATUS_GTEA && d->events == 0, "table entry %u: %s", n,
             drive_text(&d->walk[0].result));
    }
    drive_free(d);
}
