/* SPDX-License-Identifier: Apache-2.0
 * The part of dmt bench on walks of two and three stages: references and
 * clocks of every way to combine covered and walked stages, translations a
 * clock, and clocks a walk behind caches of the paper's sizes. */
#include "bench.h"
#include "space.h"
#include "state.h"

#include "dmt/regs.h"
#include "dmt/table.h"
#include "tb/cosim.h"
#include "tb/hierarchy.h"
#include "tb/rng.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LEAF_FLAGS  (DMT_PTE_W | DMT_PTE_U | DMT_PTE_A | DMT_PTE_D)
#define GUEST_VA    0x7f0000000000ull
#define FIRST_FRAME 0x100ull
#define TABLES_END  0x8000ull  /* first frame of the guest's data; tables are below */
#define HOST_FIRST  0x400000ull /* first frame that the guest does not have */
#define HOST_END    0x800000ull

#define SMALL_PAGES  4096u      /* 16 MiB */
#define LARGE_PAGES  (1u << 18) /* 1 GiB: leaf tables of 2 MiB a stage */
#define RATE_WALKS   50000u
#define CACHED_WALKS 1000u
#define WARM_WALKS   300u       /* before them, on the RTL */
#define FILL_WALKS   50000u     /* before those, on the architectural model, to fill the data caches */

#define VIRT_GOAL   0.45
#define NESTED_GOAL 0.30

/* ------------------------------------------------------------ systems */

/* A guest whose memory the host maps page by page to itself, so that an
 * address is the same at every level below the guest's. */
struct system {
    struct dmt_mem *mem;
    struct dmt_state state;
    unsigned pages, mode;
    enum kind { PLAIN, GTEA } kind; /* of registers above set 0 */
};

static void system_free(struct system *s)
{
    dmt_mem_free(s->mem);
    s->mem = NULL;
}

static bool map_pages(struct dmt_table *t, uint64_t va, uint64_t pa, uint64_t n, const struct dmt_frames *frames)
{
    for (uint64_t i = 0; i < n; i++)
        if (dmt_table_map(t, va + (i << 12), pa + (i << 12), DMT_SIZE_4K, LEAF_FLAGS, frames) != DMT_MAP_OK)
            return false;
    return true;
}

/* Tables of all stages and registers over them, unless they are there. mode: where requests enter. */
static bool system_build(struct bench *b, struct system *s, unsigned mode, enum kind kind, unsigned pages)
{
    struct dmt_pool guest_pool = {.next = FIRST_FRAME, .limit = TABLES_END};
    struct dmt_pool host_pool = {.next = HOST_FIRST, .limit = HOST_END};
    struct dmt_frames guest_frames = {&guest_pool, dmt_pool_alloc}, host_frames = {&host_pool, dmt_pool_alloc};
    struct space_layout how = {.registers = 4, .gtea = kind == GTEA};
    struct dmt_tea_report report[DMT_SETS_MAX];
    struct dmt_table guest, host;
    struct space space;
    unsigned entry = mode == DMT_MODE_NATIVE ? 0 : 1;

    if (s->mem && s->mode == mode && s->kind == kind && s->pages == pages)
        return true;
    system_free(s);
    *s = (struct system){.mem = dmt_mem_new(), .pages = pages, .mode = mode, .kind = kind};
    guest_pool.mem = host_pool.mem = s->mem;
    if (!s->mem || !dmt_table_new(&guest, s->mem, 4, &guest_frames) ||
        !map_pages(&guest, GUEST_VA, TABLES_END << 12, pages, &guest_frames) ||
        !dmt_table_new(&host, s->mem, 4, &host_frames) ||
        !map_pages(&host, 0, 0, TABLES_END + pages, &host_frames))
        return bench_fail(b, "no memory for page tables");
    dmt_state_reset(&s->state, 48);
    s->state.mode = entry ? DMT_MODE_VIRT : DMT_MODE_NATIVE;
    s->state.level[entry].cr0 = DMT_LEVEL_CR0_WP_MASK;
    s->state.level[entry].efer = DMT_LEVEL_EFER_NXE_MASK;
    s->state.level[entry].cr3 = guest.root << 12;
    if (entry)
        s->state.s2[0] = (struct dmt_s2){.root = host.root << 12, .format = DMT_FORMAT_NPT};
    if (!space_open(&space, &s->state, s->mem, HOST_END) ||
        (mode == DMT_MODE_NESTED && !space_nest(&space)) || !space_layout(&space, &how, report))
        return bench_fail(b, "no TEAs for the system");
    for (unsigned k = 0; k <= mode - DMT_MODE_NATIVE; k++)
        if (report[k].covered_pages != report[k].mapped_pages)
            return bench_fail(b, "the registers do not cover the system");
    return true;
}

/* ------------------------------------------------------------ kinds of walks */

struct way {
    const char *name;
    uint8_t mode;
    bool full;
    uint8_t covered; /* bit k: stage k has its registers */
    uint8_t kind;    /* of registers above set 0 */
    unsigned refs;   /* without caches */
    unsigned plain;  /* KIND PA registers above set 0 that serve it */
};

static const struct way ways[] = {
    {"native, x86", DMT_MODE_NATIVE, false, 0, GTEA, 4, 0},
    {"native, DMT", DMT_MODE_NATIVE, false, 1, GTEA, 1, 0},
    {"virtualized, x86", DMT_MODE_VIRT, false, 0, GTEA, 24, 0},
    {"virtualized, guest walked, host covered", DMT_MODE_VIRT, false, 1, GTEA, 9, 0},
    {"virtualized, guest covered (gTEA), host walked", DMT_MODE_VIRT, false, 2, GTEA, 5, 0},
    {"virtualized, pvDMT", DMT_MODE_VIRT, false, 3, GTEA, 2, 0},
    {"virtualized, guest covered (KIND PA), host walked", DMT_MODE_VIRT, false, 2, PLAIN, 9, 1},
    {"virtualized, DMT (KIND PA)", DMT_MODE_VIRT, false, 3, PLAIN, 3, 1},
    {"nested, x86 over a shadow table", DMT_MODE_NESTED, false, 0, GTEA, 24, 0},
    {"nested, x86 over two real stages", DMT_MODE_NESTED, true, 0, GTEA, 124, 0},
    {"nested, L2 covered (gTEA), shadow table", DMT_MODE_NESTED, false, 4, GTEA, 5, 0},
    {"nested, pvDMT", DMT_MODE_NESTED, false, 7, GTEA, 3, 0},
};
#define WAYS (sizeof ways / sizeof *ways)

/* Registers of a way: those of the system, without the stages that it does not cover. */
static struct dmt_state way_state(const struct system *s, const struct way *w)
{
    struct dmt_state state = s->state;

    state.full = w->full;
    for (unsigned k = 0; k < DMT_SETS_MAX; k++)
        if (!(w->covered >> k & 1))
            memset(state.tea[k], 0, sizeof state.tea[k]);
    return state;
}

/* ------------------------------------------------------------ clocks, no caches */

static bool bench_clocks(struct bench *b)
{
    static const unsigned latencies[] = {1, 8, 32};
    const struct dut_ops *rtl = dut_rtl_find("uncached");
    struct system s = {0};

    fprintf(b->text, "### References and clocks of walks of several stages\n\n"
                     "Measured on the RTL without paging-structure caches (configuration uncached), tables of 4 "
                     "levels, 4K pages. n references take n(L + 1) + 1 clocks, and one more for each KIND PA "
                     "register above set 0.\n\n| walk | references | L = 1 | L = 8 | L = 32 | beyond memory |\n"
                     "|---|---:|---:|---:|---:|---:|\n");
    for (const struct way *w = ways; w < ways + WAYS; w++) {
        struct dmt_request q = {.va = GUEST_VA + 0x123456, .access = DMT_ACCESS_READ};
        bool ok = system_build(b, &s, w->mode, w->kind, SMALL_PAGES);
        unsigned beyond = 0;

        for (unsigned i = 0; ok && i < sizeof latencies / sizeof *latencies; i++) {
            struct dmt_state state = way_state(&s, w);
            struct single *dut = single_new(rtl, NULL, s.mem, latencies[i], true);
            unsigned want = w->refs * (latencies[i] + 1) + 1 + w->plain;
            struct single_log log;
            struct dmt_result r;

            ok = dut && single_load(dut, &state) && single_translate(dut, &q, &r, &log);
            single_free(dut);
            if (!ok) {
                bench_fail(b, cosim_error());
                break;
            }
            if (r.status != DMT_STATUS_OK || r.refs != w->refs) {
                ok = bench_fail(b, "a walk of several stages did not go the way it should have");
                break;
            }
            if (i == 0)
                fprintf(b->text, "| %s | %" PRIu32 " |", w->name, r.refs);
            fprintf(b->text, " %" PRIu32, log.clocks);
            if (log.clocks != want) {
                fprintf(b->text, " (**expected %u**)", want);
                b->wrong++;
            }
            fprintf(b->text, " |");
            beyond = log.clocks - w->refs * latencies[i];
        }
        if (ok) {
            unsigned *most = w->plain ? &b->plain_beyond : &b->stages_beyond;
            fprintf(b->text, " %u |\n", beyond);
            *most = beyond - w->refs > *most ? beyond - w->refs : *most;
        }
        if (!ok) {
            system_free(&s);
            return false;
        }
    }
    system_free(&s);
    fprintf(b->text, "\n");
    return true;
}

/* ------------------------------------------------------------ runs of random pages */

struct traffic {
    struct rng rng;
    unsigned pages;
    struct hierarchy *caches; /* of the PTE port, or NULL */
    uint64_t warm;            /* walks that are not counted */
    uint64_t walks, clocks, refs;
};

static bool next_page(void *user, struct cosim_item *item)
{
    struct traffic *t = user;

    *item = (struct cosim_item){.request = {
        .va = GUEST_VA + (rng_below(&t->rng, t->pages) << 12) + (rng_below(&t->rng, 512) << 3),
        .access = DMT_ACCESS_READ}};
    return true;
}

static void rewind_traffic(void *user)
{
    rng_seed(&((struct traffic *)user)->rng, 1, 0);
}

/* The access that asked goes to its data through the same caches. */
static void answered(void *user, uint64_t n, const struct dmt_request *request, const struct dmt_result *r,
                     uint32_t clocks)
{
    struct traffic *t = user;

    (void)request;
    if (t->caches)
        hierarchy_access(t->caches, r->pa);
    if (n >= t->warm && r->status == DMT_STATUS_OK) {
        t->walks++;
        t->clocks += clocks;
        t->refs += r->refs;
    }
}

static unsigned cache_clocks(void *user, uint64_t addr)
{
    return hierarchy_access(((struct traffic *)user)->caches, addr);
}

static bool run(struct bench *b, const struct dut_ops *rtl, const struct system *s, const struct dmt_state *state,
                struct traffic *t, struct cosim_options *o, struct cosim_stats *stats)
{
    struct cosim_source source = {.user = t, .mem = s->mem, .state = state, .next = next_page,
                                  .rewind = rewind_traffic, .answer = answered};

    t->pages = s->pages;
    o->dut = rtl;
    o->source = &source;
    o->waves_dir = "";
    rewind_traffic(t);
    return cosim_run(o, stats) == COSIM_OK || bench_fail(b, cosim_error());
}

/* ------------------------------------------------------------ translations a clock */

static bool bench_rate(struct bench *b)
{
    static const unsigned at[] = {1, 4, 6, 16, 62};
    struct system s[2] = {0};

    fprintf(b->text, "### pvDMT translations a clock\n\n%u translations, every stage covered; memory takes a "
                     "request every clock and answers L clocks later.\n\n"
                     "| configuration | contexts | L | virtualized | nested |\n|---|---:|---:|---:|---:|\n",
            RATE_WALKS);
    for (const struct dut_ops *const *d = dut_rtl; *d; d++) {
        if ((*d)->config.sets < 3)
            continue;
        for (unsigned i = 0; i < sizeof at / sizeof *at; i++) {
            double rate[2];
            if (bench_contexts(&(*d)->config, at[i]) > (*d)->config.ctx_n)
                break;
            for (unsigned nested = 0; nested < 2; nested++) {
                struct cosim_options o = {.walks = RATE_WALKS};
                struct traffic t = {.warm = 0};
                struct cosim_stats stats;
                char profile[32];
                bool ok;

                snprintf(profile, sizeof profile, "fixed-%u", at[i]);
                o.profile = profile;
                ok = system_build(b, &s[nested], nested ? DMT_MODE_NESTED : DMT_MODE_VIRT, GTEA, SMALL_PAGES) &&
                     run(b, *d, &s[nested], &s[nested].state, &t, &o, &stats);
                if (!ok) {
                    system_free(&s[0]);
                    system_free(&s[1]);
                    return false;
                }
                if (stats.path[DMT_PATH_TEA] != stats.walks)
                    bench_fail(b, "a covered walk did not go the way it should have");
                rate[nested] = (double)stats.walks / (double)stats.cycles;
            }
            if (rate[0] < VIRT_GOAL || rate[1] < NESTED_GOAL)
                b->wrong++;
            if (b->virt_rate <= 0 || rate[0] < b->virt_rate)
                b->virt_rate = rate[0];
            if (b->nested_rate <= 0 || rate[1] < b->nested_rate)
                b->nested_rate = rate[1];
            fprintf(b->text, "| %s | %u | %u | %.3f | %.3f |\n", (*d)->name + strlen("rtl-"), (*d)->config.ctx_n,
                    at[i], rate[0], rate[1]);
        }
    }
    system_free(&s[0]);
    system_free(&s[1]);
    fprintf(b->text, "\n");
    return !b->why;
}

/* ------------------------------------------------------------ behind caches */

struct measured {
    double refs, clocks;
};

struct filler {
    struct hierarchy *caches;
    const struct dmt_mem *mem;
};

static enum dmt_resp fill_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    const struct filler *f = user;

    hierarchy_access(f->caches, ref->addr);
    return dmt_mem_read(f->mem, ref->addr, data) ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}

/* Nothing is missing in these tables. */
static enum dmt_resp fill_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    (void)user;
    (void)ref;
    (void)data;
    return DMT_RESP_DECERR;
}

/* The same traffic, on the model that needs no clocks. */
static bool fill_caches(struct bench *b, const struct system *s, const struct dmt_state *state,
                        struct hierarchy *caches)
{
    struct filler f = {caches, s->mem};
    struct dmt_port port = {.user = &f, .read = fill_read, .write = fill_write};
    struct traffic t = {.pages = s->pages};
    struct cosim_item item;

    rng_seed(&t.rng, 2, 0);
    for (unsigned i = 0; i < FILL_WALKS; i++) {
        struct dmt_result r;

        next_page(&t, &item);
        dmt_arch_translate(state, &item.request, &port, &r);
        if (r.status != DMT_STATUS_OK)
            return bench_fail(b, "a walk of several stages did not go the way it should have");
        hierarchy_access(caches, r.pa);
    }
    return true;
}

static bool cached_run(struct bench *b, struct system *s, const char *config, const struct way *w,
                       struct hierarchy *caches, struct measured *m)
{
    struct cosim_options o = {
        .walks = WARM_WALKS + CACHED_WALKS, .outstanding = 1, .latency = cache_clocks, .judge = true}; /* answers come from it */
    struct traffic t = {.caches = caches, .warm = WARM_WALKS};
    bool ok = system_build(b, s, w->mode, w->kind, LARGE_PAGES);

    if (ok) {
        struct dmt_state state = way_state(s, w), resolved = state;
        state_resolve(&resolved, s->mem);
        o.latency_user = &t;
        hierarchy_reset(caches);
        ok = fill_caches(b, s, &resolved, caches) && run(b, dut_rtl_find(config), s, &state, &t, &o, NULL);
    }
    if (ok && !t.walks)
        ok = bench_fail(b, "no walk ended well");
    if (ok)
        *m = (struct measured){(double)t.refs / (double)t.walks, (double)t.clocks / (double)t.walks};
    return ok;
}

static bool bench_cached(struct bench *b)
{
    struct hierarchy *caches = hierarchy_new();
    struct system s = {0};
    double base = 0;
    bool ok = true;

    if (!caches)
        return bench_fail(b, "out of memory");
    fprintf(b->text,
            "### Clocks a walk behind caches\n\nRandom pages of 1 GiB (4K pages in every stage), one walk at a time; "
            "entries and the data they lead to go through the paper's cache hierarchy (4, 14, 54, 200 clocks). The "
            "same RTL with and without paging-structure caches (configurations default, uncached). The ratio is to "
            "the x86 walk of the same mode with its caches (nested: over a shadow table, whose upkeep is not "
            "counted).\n\n| walk | references | clocks | ratio | no caches: references | clocks |\n"
            "|---|---:|---:|---:|---:|---:|\n");
    for (const struct way *w = ways; ok && w < ways + WAYS; w++) {
        struct measured with, without;

        ok = cached_run(b, &s, "default", w, caches, &with) &&
             cached_run(b, &s, "uncached", w, caches, &without);
        if (!ok)
            break;
        if (w->covered == 0 && !w->full)
            base = with.clocks;
        fprintf(b->text, "| %s | %.2f | %.1f | %.2f | %.2f | %.1f |\n", w->name, with.refs, with.clocks,
                base / with.clocks, without.refs, without.clocks);
    }
    system_free(&s);
    hierarchy_free(caches);
    fprintf(b->text, "\n");
    return ok;
}

bool bench_stages(struct bench *b)
{
    return bench_clocks(b) && bench_rate(b) && bench_cached(b);
}
