/* SPDX-License-Identifier: Apache-2.0
 * The hypervisor model (docs/software.md, H1 to H8): second stages, gTEAs and
 * the hypercall with hostile arguments, entry and exit, memory management under
 * a running guest, nesting, and each of the artifact's hypercall defects seen. */
#include "dmt/regs.h"
#include "dmt/table.h"
#include "soft_world.h"
#include "xorshift.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES UINT64_C(0x10000) /* of the host */
#define RAM    UINT64_C(4096)    /* of a machine */
#define VPN    UINT64_C(0x7f0000000)
#define QUOTA  UINT64_C(512)

/* ------------------------------------------------------------ set-up */

static struct dmt_vm_options vm_options(void)
{
    return (struct dmt_vm_options){.format = DMT_SPACE_EPT,
                                   .levels = 4,
                                   .ad = true,
                                   .frames = RAM,
                                   .pv = true,
                                   .quota = QUOTA,
                                   .vcpus = WORLD_THREADS};
}

static struct world *world_with(unsigned images, unsigned defects, bool shadow)
{
    struct world *w = world_new(FRAMES, images, 16);
    struct dmt_host_options o = world_options(w);

    o.defects = defects;
    o.shadow = shadow;
    w->host = dmt_host_new(&o);
    must(w->host);
    return w;
}

static struct dmt_vm *machine(struct world *w)
{
    struct dmt_vm_options o = vm_options();
    struct dmt_vm *vm = dmt_vm_new(w->host, &o);

    must(vm);
    return vm;
}

/* What the processor and hypervisors do with an access until it is done. False: the guest's own fault. */
static bool run(struct world *w, struct dmt_vm *vm, struct dmt_vm *inner, unsigned thread, uint64_t va,
                unsigned access, struct dmt_result *r)
{
    for (unsigned i = 0; i < 200; i++) {
        world_access(w, thread, va, access, r);
        if (r->status != DMT_STATUS_EPT_VIOLATION && r->status != DMT_STATUS_NPT_FAULT)
            return r->status == DMT_STATUS_OK;
        if (!dmt_vm_fault(vm, thread, r) && (!inner || r->stage != 1 || !dmt_vm_fault(inner, thread, r)))
            return false;
    }
    cr_assert_fail("an access that never ends");
    return false;
}

/* Where frame gfn of a machine, or of one inside it, is in host memory. */
static uint64_t host_frame(struct dmt_vm *vm, struct dmt_vm *inner, uint64_t gfn)
{
    uint64_t pfn = gfn;

    if (inner)
        must(dmt_vm_backing(inner, pfn, &pfn), "not backed at level 1");
    must(dmt_vm_backing(vm, pfn, &pfn), "not backed");
    return pfn;
}

static void expect_page(struct world *w, struct dmt_vm *vm, struct dmt_vm *inner, const struct guest *g,
                        unsigned thread, uint64_t i, unsigned access)
{
    struct dmt_result r;

    must(run(w, vm, inner, thread, (g->vpn + i) << 12 | 0x123, access, &r), "page %u: status %u", (unsigned)i,
         r.status);
    must(r.pa == (host_frame(vm, inner, g->frame[i]) << 12 | 0x123), "page %u", (unsigned)i);
}

/* The second stage is what the record says, frame by frame. */
static void expect_record(struct dmt_vm *vm, uint64_t end)
{
    unsigned size;
    uint64_t pfn;

    for (uint64_t gfn = 0; gfn < end; gfn++) {
        uint64_t leaf = dmt_space_leaf(dmt_vm_space(vm), gfn, &size);

        must((leaf != 0) == dmt_vm_backing(vm, gfn, &pfn), "frame %llx", (unsigned long long)gfn);
        must(leaf == 0 || (leaf >> 12 & 0xffffffffff) + (gfn & ((1u << 9 * size) - 1)) == pfn, "frame %llx",
             (unsigned long long)gfn);
    }
}

static struct guest *kernel(struct dmt_vm *vm, uint64_t pages)
{
    struct guest *g = guest_new(dmt_vm_platform(vm), VPN, pages);

    must(g);
    guest_settle(g);
    for (uint64_t i = 0; i < pages; i++)
        must(guest_map(g, i));
    return g;
}

/* Isolation: what tables and registers name are frames granted to the machine, none of them free. */
static const char *check_isolation(struct world *w, struct dmt_vm *const *vm, unsigned n)
{
    static char text[200];
    uint8_t *of = calloc(FRAMES, 1);

    for (unsigned t = 0; t < WORLD_THREADS; t++) {
        for (unsigned i = 0; i < w->p.registers; i++) {
            const struct dmt_tea *tea = &w->state[t].tea[1][i];
            uint64_t pfn, frames;
            bool found = false;

            if (!tea->valid || tea->kind != DMT_KIND_GTEA || tea->resolution != DMT_RESOLUTION_OK)
                continue;
            for (unsigned k = 0; k < n; k++)
                found |= dmt_vm_gtea(vm[k], tea->gtea, &pfn, &frames) && pfn == tea->gtea_base &&
                         frames == tea->gtea_pages && dmt_vm_entered(vm[k], t);
            for (uint64_t f = 0; f < tea->gtea_pages; f++)
                found &= !dmt_buddy_is_free(w->buddy, tea->gtea_base + f);
            if (!found) {
                snprintf(text, sizeof text, "thread %u register %u reaches gTEA %u beyond its owner", t, i,
                         tea->gtea);
                free(of);
                return text;
            }
        }
    }
    for (unsigned k = 0; k < n; k++) {
        for (unsigned id = 0; id < 4096; id++) {
            uint64_t pfn, frames;

            if (!dmt_vm_gtea(vm[k], id, &pfn, &frames))
                continue;
            for (uint64_t f = pfn; f < pfn + frames; f++) {
                if (of[f] || dmt_buddy_is_free(w->buddy, f)) {
                    snprintf(text, sizeof text, "frame %llx of gTEA %u is free or another's",
                             (unsigned long long)f, id);
                    free(of);
                    return text;
                }
                of[f] = 1;
            }
        }
    }
    free(of);
    return NULL;
}

/* The table that the hardware reads against what the machine owns. */
static void expect_table(struct world *w, struct dmt_vm *vm, unsigned thread)
{
    for (unsigned id = 0; id < 4096; id++) {
        uint64_t word[2] = {0, 0}, pfn, frames, at = w->state[thread].gtea[1].table + 16 * id;
        bool own = dmt_vm_gtea(vm, id, &pfn, &frames);

        dmt_mem_read(w->mem, at, &word[0]);
        dmt_mem_read(w->mem, at + 8, &word[1]);
        must((word[0] & 1) == own, "ID %u", id);
        must(!own || (word[0] == (pfn << 12 | 1) && word[1] == frames), "ID %u", id);
    }
}

/* ------------------------------------------------------------ hypercalls by hand */

#define REQUESTS (UINT64_C(16) << 12)
#define ANSWERS  (UINT64_C(32) << 12)

struct made {
    enum dmt_call_status status;
    uint64_t answers;
    struct dmt_grant g[256];
};

static struct made call(struct dmt_vm *vm, const struct dmt_call_request *rq, size_t n, uint64_t room)
{
    const struct dmt_platform *p = dmt_vm_platform(vm);
    struct made m = {0};

    for (size_t i = 0; i < n; i++) {
        p->store(p->user, REQUESTS + 24 * i, rq[i].op);
        p->store(p->user, REQUESTS + 24 * i + 8, rq[i].pages);
        p->store(p->user, REQUESTS + 24 * i + 16, rq[i].where);
    }
    m.answers = 999;
    m.status = dmt_vm_call(vm, 0, REQUESTS, n, ANSWERS, room, &m.answers);
    for (uint64_t i = 0; i < m.answers && i < 256; i++) {
        uint64_t at = ANSWERS + 40 * i, id = p->load(p->user, at + 32);

        m.g[i] = (struct dmt_grant){.request = p->load(p->user, at),
                                    .skip = p->load(p->user, at + 8),
                                    .pfn = p->load(p->user, at + 16),
                                    .frames = p->load(p->user, at + 24),
                                    .id = (uint16_t)(id >> 48),
                                    .inside = id & ((UINT64_C(1) << 48) - 1)};
    }
    return m;
}

static struct made call1(struct dmt_vm *vm, uint64_t op, uint64_t pages, uint64_t where)
{
    struct dmt_call_request rq = {op, pages, where};

    return call(vm, &rq, 1, 64);
}

/* ------------------------------------------------------------ second stage */

static const struct {
    const char *name;
    enum dmt_space_format format;
    unsigned levels;
    bool ad, huge, pv;
    unsigned images;
} stages[] = {
    {"EPT", DMT_SPACE_EPT, 4, true, false, true, 32},
    {"EPT without A/D", DMT_SPACE_EPT, 4, false, false, true, 0},
    {"EPT, 5 levels", DMT_SPACE_EPT, 5, true, true, true, 32},
    {"EPT, 2M", DMT_SPACE_EPT, 4, true, true, true, 0},
    {"NPT", DMT_SPACE_NPT, 4, false, false, true, 32},
    {"NPT, 5 levels, 2M", DMT_SPACE_NPT, 5, false, true, true, 32},
    {"EPT without A/D, 2M", DMT_SPACE_EPT, 4, false, true, true, 32},
    {"EPT, no pvDMT", DMT_SPACE_EPT, 4, true, false, false, 32},
    {"NPT, no pvDMT, 2M", DMT_SPACE_NPT, 4, false, true, false, 32},
};

Test(stage, every_page_is_where_the_record_says)
{
    for (unsigned k = 0; k < sizeof stages / sizeof *stages; k++) {
        struct world *w = world_with(stages[k].images, 0, false);
        struct dmt_vm_options o = vm_options();
        struct dmt_vm *vm;
        struct guest *g;
        struct dmt_result r;

        o.format = stages[k].format;
        o.levels = stages[k].levels;
        o.ad = stages[k].ad;
        o.huge = stages[k].huge;
        o.pv = stages[k].pv;
        vm = dmt_vm_new(w->host, &o);
        must(vm, "%s", stages[k].name);
        g = kernel(vm, 1500);
        dmt_vm_enter(vm, 0);
        for (uint64_t i = 0; i < g->pages; i++)
            expect_page(w, vm, NULL, g, 0, i, i % 2 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        /* With hTEAs: as few references as section 3 of the specification promises. */
        dmt_space_settle(dmt_vm_space(vm));
        for (uint64_t i = 0; i < g->pages; i++) {
            expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_READ);
            world_translate(w, 0, (VPN + i) << 12, DMT_ACCESS_READ, &r);
            must(r.refs == (o.pv ? 2 : 3), "%s: %u references", stages[k].name, r.refs);
            must(r.path[0] == DMT_PATH_TEA && r.path[1] == DMT_PATH_TEA);
        }
        must(w->refused == 0);
        expect_record(vm, RAM + 16 + 2 * QUOTA);
        /* Beyond RAM and window, and execution of the window: the guest's own doing. */
        r = (struct dmt_result){.status = DMT_STATUS_EPT_VIOLATION, .addr = (RAM + 100000) << 12, .error = 1};
        must(!dmt_vm_fault(vm, 0, &r));
        r.addr = UINT64_C(1) << 50;
        must(!dmt_vm_fault(vm, 0, &r));
        r = (struct dmt_result){.status = DMT_STATUS_EPT_VIOLATION, .addr = RAM << 12, .error = 4};
        must(!dmt_vm_fault(vm, 0, &r));
        r.error = 2;
        must(dmt_vm_fault(vm, 0, &r), "changed meanwhile: to be tried again");
        r = (struct dmt_result){.status = DMT_STATUS_GTEA, .addr = 0};
        must(!dmt_vm_fault(vm, 0, &r));
        must(!dmt_vm_fault(vm, WORLD_THREADS, &r));
        guest_delete(g);
        world_free(w);
    }
}

/* A machine that is started with its memory: no violation, no exit, the same record. */
Test(stage, backed_ahead)
{
    for (unsigned k = 0; k < sizeof stages / sizeof *stages; k++) {
        struct world *w = world_with(stages[k].images, 0, false);
        const struct dmt_host_stats *stats = dmt_host_stats(w->host);
        struct dmt_vm_options o = vm_options();
        uint64_t exits, violations, pfn;
        struct dmt_vm *vm;
        struct guest *g;

        o.format = stages[k].format;
        o.levels = stages[k].levels;
        o.ad = stages[k].ad;
        o.huge = stages[k].huge;
        o.pv = stages[k].pv;
        vm = dmt_vm_new(w->host, &o);
        must(vm, "%s", stages[k].name);
        g = kernel(vm, 1500);
        dmt_vm_enter(vm, 0);
        exits = stats->exits;
        violations = stats->violations;
        must(dmt_vm_populate(vm, 100, 3) == 3 && dmt_vm_backing(vm, 102, &pfn));
        must(o.huge || !dmt_vm_backing(vm, RAM - 1, &pfn));
        must(dmt_vm_populate(vm, 0, RAM) == RAM);
        must(dmt_vm_populate(vm, 0, UINT64_MAX) == RAM && dmt_vm_populate(vm, RAM - 1, 2) == 1);
        must(dmt_vm_populate(vm, RAM, 1) == 0 && dmt_vm_populate(vm, UINT64_MAX, 2) == 0);
        for (uint64_t i = 0; i < g->pages; i++)
            expect_page(w, vm, NULL, g, 0, i, i % 2 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        must(stats->exits == exits && stats->violations == violations, "%s", stages[k].name);
        expect_record(vm, RAM + 16 + 2 * QUOTA);
        guest_delete(g);
        world_free(w);
    }
}

/* As far as there are frames; what was others' is zero. */
Test(stage, backed_ahead_until_memory_is_out)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    uint64_t before, pfn, run, n;

    must(dmt_buddy_alloc_run(w->buddy, 300, &run));
    for (uint64_t i = 0; i < 300; i++) {
        w->p.clear(w->p.user, run + i);
        w->p.store(w->p.user, (run + i) << 12 | 8, 0x4711);
    }
    dmt_buddy_release(w->buddy, run, 300);
    before = dmt_buddy_available(w->buddy);
    dmt_buddy_fail_after(w->buddy, 200);
    n = dmt_vm_populate(vm, 0, RAM);
    must(n > 150 && n < 200, "%u backed", (unsigned)n);
    must(dmt_vm_backing(vm, n - 1, &pfn) && !dmt_vm_backing(vm, n, &pfn));
    must(dmt_buddy_available(w->buddy) == before - 200);
    must(dmt_vm_populate(vm, 0, 1000) == 1000);
    for (uint64_t i = 0; i < 1000; i++) {
        must(dmt_vm_backing(vm, i, &pfn));
        must(w->p.load(w->p.user, pfn << 12 | 8) == 0, "frame %u", (unsigned)i);
    }
    expect_record(vm, RAM);
    world_free(w);
}

Test(stage, memory_comes_back)
{
    struct world *w = world_with(32, 0, false);
    uint64_t before = dmt_buddy_available(w->buddy);
    struct dmt_vm *vm = machine(w);
    struct guest *g = kernel(vm, 700);

    dmt_vm_enter(vm, 1);
    dmt_space_settle(dmt_vm_space(vm));
    guest_delete(g);
    cr_assert_eq(dmt_host_stats(w->host)->granted, dmt_host_stats(w->host)->released);
    cr_assert(dmt_buddy_available(dmt_vm_platform(vm)->buddy) == RAM - 4);
    dmt_vm_delete(vm);
    cr_assert_eq(dmt_buddy_available(w->buddy), before);
    world_free(w);
}

Test(stage, new_frames_are_zero)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm_options o = vm_options();
    const struct dmt_platform *p;
    struct dmt_vm *vm;

    for (uint64_t i = 64; i < FRAMES; i += 7) {
        if (dmt_buddy_is_free(w->buddy, i))
            memset(dmt_mem_add(w->mem, i), 0x5a, 4096);
    }
    for (unsigned huge = 0; huge < 2; huge++) {
        o.huge = huge;
        vm = dmt_vm_new(w->host, &o);
        p = dmt_vm_platform(vm);
        for (uint64_t gfn = 0; gfn < RAM; gfn++) {
            cr_assert_eq(p->load(p->user, gfn << 12), 0); /* not backed yet */
            p->store(p->user, gfn << 12 | 8, 7);
            for (unsigned i = 0; i < 4096; i += 8)
                must(p->load(p->user, gfn << 12 | i) == (i == 8 ? 7 : 0));
            must(p->exchange(p->user, gfn << 12 | 8, 9) == 7);
        }
        cr_assert_eq(p->load(p->user, (RAM + 5000) << 12), 0);
        p->store(p->user, (RAM + 5000) << 12, 1);
        cr_assert_eq(dmt_host_stats(w->host)->lost, 0);
    }
    world_free(w);
}

Test(stage, options_out_of_range)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm_options o[8];
    struct dmt_host_options h = world_options(w);

    for (unsigned i = 0; i < 8; i++)
        o[i] = vm_options();
    o[0].format = DMT_SPACE_IA32E;
    o[1].levels = 3;
    o[2].frames = 1023;
    o[3].vcpus = 0;
    o[4].vcpus = WORLD_THREADS + 1;
    o[5].frames = UINT64_C(1) << 34;
    o[6].frames = UINT64_MAX;
    o[7].quota = UINT64_MAX;
    for (unsigned i = 0; i < 8; i++)
        cr_assert_null(dmt_vm_new(w->host, &o[i]), "%u", i);
    h.level_csr = NULL;
    cr_assert_null(dmt_host_new(&h));
    world_free(w);
}

Test(stage, tags_run_out)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm_options o = vm_options();
    struct dmt_vm *vm[256];

    o.pv = false;
    o.frames = 1024;
    for (unsigned i = 0; i < 255; i++) {
        vm[i] = dmt_vm_new(w->host, &o);
        cr_assert(vm[i], "%u", i);
    }
    cr_assert_null(dmt_vm_new(w->host, &o));
    dmt_vm_delete(vm[7]);
    cr_assert(dmt_vm_new(w->host, &o));
    world_free(w);
}

/* ------------------------------------------------------------ the hypercall */

Test(call, hostile_arrays)
{
    static const struct {
        uint64_t requests, n, answers, room;
    } bad[] = {
        {REQUESTS, 0, ANSWERS, 1},
        {REQUESTS, DMT_CALL_REQUESTS_MAX + 1, ANSWERS, 1},
        {REQUESTS, UINT64_C(1) << 61, ANSWERS, 1},
        {REQUESTS, UINT64_MAX, ANSWERS, 1},
        {REQUESTS + 1, 1, ANSWERS, 1},
        {REQUESTS + 4, 1, ANSWERS, 1},
        {REQUESTS, 1, ANSWERS + 4, 1},
        {REQUESTS, 1, ANSWERS, 0},
        {REQUESTS, 1, ANSWERS, DMT_CALL_ANSWERS_MAX + 1},
        {REQUESTS, 1, ANSWERS, UINT64_MAX / 40 + 1},
        {(RAM << 12) - 16, 1, ANSWERS, 1},
        {RAM << 12, 1, ANSWERS, 1},
        {REQUESTS, 1, (RAM << 12) - 32, 1},
        {REQUESTS, 1, RAM << 12, 1},
        {UINT64_MAX - 7, 1, ANSWERS, 1},
        {UINT64_MAX - 23, 1, ANSWERS, 1},
        {REQUESTS, 1, UINT64_MAX - 7, 1},
        {REQUESTS, 1, UINT64_MAX - 39, 1},
        {UINT64_C(1) << 52, 1, ANSWERS, 1},
        {REQUESTS, 1, UINT64_C(1) << 52, 1},
    };
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    const struct dmt_platform *p = dmt_vm_platform(vm);
    uint64_t before, answers;

    p->store(p->user, REQUESTS, DMT_CALL_ALLOC);
    p->store(p->user, REQUESTS + 8, 4);
    p->store(p->user, ANSWERS, 0);
    before = dmt_buddy_available(w->buddy);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        answers = 77;
        cr_assert_eq(dmt_vm_call(vm, 0, bad[i].requests, bad[i].n, bad[i].answers, bad[i].room, &answers),
                     DMT_CALL_BAD_ARRAY, "%u", i);
        cr_assert_eq(answers, 0);
        cr_assert_eq(dmt_buddy_available(w->buddy), before);
        cr_assert_eq(dmt_host_stats(w->host)->refused, i + 1);
    }
    /* The last elements that fit, on both ends of RAM. */
    p->store(p->user, (RAM << 12) - 24, DMT_CALL_ALLOC);
    p->store(p->user, (RAM << 12) - 16, 3);
    cr_assert_eq(dmt_vm_call(vm, 0, (RAM << 12) - 24, 1, 0, 1, &answers), DMT_CALL_OK);
    cr_assert_eq(answers, 1);
    cr_assert_eq(p->load(p->user, 24), 3);
    cr_assert_eq(dmt_host_stats(w->host)->granted, 3);
    world_free(w);
}

Test(call, hostile_elements)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    struct made m = call1(vm, DMT_CALL_ALLOC, 16, 0);
    uint64_t mine = m.g[0].pfn, id = m.g[0].id, available, granted;
    struct {
        struct dmt_call_request rq;
        enum dmt_call_status status;
    } bad[] = {
        {{0, 1, 0}, DMT_CALL_BAD_OP},
        {{4, 1, 0}, DMT_CALL_BAD_OP},
        {{UINT64_MAX, 1, 0}, DMT_CALL_BAD_OP},
        {{DMT_CALL_ALLOC | UINT64_C(1) << 32, 1, 0}, DMT_CALL_BAD_OP},
        {{DMT_CALL_FREE | DMT_CALL_INNER, 1, mine}, DMT_CALL_BAD_OP},
        {{DMT_CALL_ALLOC, 0, 0}, DMT_CALL_BAD_OP},
        {{DMT_CALL_ALLOC, UINT64_MAX, 0}, DMT_CALL_BAD_OP},
        {{DMT_CALL_ALLOC, DMT_CALL_PAGES_MAX + 1, 0}, DMT_CALL_BAD_OP},
        {{DMT_CALL_FREE, 0, mine}, DMT_CALL_BAD_OP},
        {{DMT_CALL_EXTEND, 0, id}, DMT_CALL_BAD_OP},
        {{DMT_CALL_ALLOC, DMT_CALL_PAGES_MAX, 0}, DMT_CALL_QUOTA},
        {{DMT_CALL_ALLOC, QUOTA - 15, 0}, DMT_CALL_QUOTA},
        {{DMT_CALL_EXTEND, QUOTA - 15, id}, DMT_CALL_QUOTA},
        {{DMT_CALL_FREE, 17, mine}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_FREE, 1, mine - 1}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_FREE, 2, mine - 1}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_FREE, 1, mine + 16}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_FREE, 1, 0}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_FREE, 1, RAM}, DMT_CALL_NOT_YOURS}, /* the image area */
        {{DMT_CALL_FREE, 1, UINT64_MAX}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_FREE, DMT_CALL_PAGES_MAX, UINT64_MAX - 5}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_EXTEND, 1, id + 1}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_EXTEND, 1, 4096}, DMT_CALL_NOT_YOURS},
        {{DMT_CALL_EXTEND, 1, UINT64_MAX}, DMT_CALL_NOT_YOURS},
    };

    cr_assert_eq(m.status, DMT_CALL_OK);
    available = dmt_buddy_available(w->buddy);
    granted = dmt_host_stats(w->host)->granted;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        /* Alone, and at each place among good ones, of which none is then done. */
        for (unsigned at = 0; at < 4; at++) {
            struct dmt_call_request rq[4] = {{DMT_CALL_ALLOC, 2, 0},
                                             {DMT_CALL_FREE, 8, mine + 8},
                                             {DMT_CALL_EXTEND, 1, id},
                                             {DMT_CALL_ALLOC, 3, 0}};

            rq[at] = bad[i].rq;
            m = at == 3 ? call(vm, &rq[3], 1, 64) : call(vm, rq, 3, 64);
            if (at == 1 || at == 3 || bad[i].rq.op != DMT_CALL_FREE || bad[i].rq.pages != 17)
                cr_assert_eq(m.status, bad[i].status, "%u at %u: %u", i, at, m.status);
            cr_assert_neq(m.status, DMT_CALL_OK);
            cr_assert_eq(m.answers, 0);
            cr_assert_eq(dmt_buddy_available(w->buddy), available);
            cr_assert_eq(dmt_host_stats(w->host)->granted, granted);
            cr_assert_eq(dmt_host_stats(w->host)->released, 0);
        }
    }
    /* The same frames twice in one array. */
    m = call(vm, (struct dmt_call_request[]){{DMT_CALL_FREE, 4, mine}, {DMT_CALL_FREE, 2, mine + 3}}, 2, 0);
    cr_assert_eq(m.status, DMT_CALL_NOT_YOURS);
    m = call1(vm, DMT_CALL_FREE, 16, mine);
    cr_assert_eq(m.status, DMT_CALL_OK, "marks of refused calls have been taken back");
    cr_assert_eq(dmt_host_stats(w->host)->released, 16);
    m = call1(vm, DMT_CALL_FREE, 16, mine);
    cr_assert_eq(m.status, DMT_CALL_NOT_YOURS);
    world_free(w);
}

Test(call, machine_without_pv)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm_options o = vm_options();
    uint64_t answers;

    o.pv = false;
    cr_assert_eq(dmt_vm_call(dmt_vm_new(w->host, &o), 0, REQUESTS, 1, ANSWERS, 1, &answers), DMT_CALL_OFF);
    world_free(w);
}

Test(call, requests_of_one_call_share_a_gtea)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    struct made m;
    uint64_t pfn, frames;

    dmt_vm_enter(vm, 0);
    m = call(
        vm,
        (struct dmt_call_request[]){{DMT_CALL_ALLOC, 5, 0}, {DMT_CALL_ALLOC, 7, 0}, {DMT_CALL_ALLOC, 1, 0}},
        3, 64);
    cr_assert_eq(m.answers, 3);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(m.g[i].request, i);
        cr_assert_eq(m.g[i].id, m.g[0].id);
        cr_assert_eq(m.g[i].inside, i == 0 ? 0 : i == 1 ? 5 : 12);
        cr_assert_eq(m.g[i].pfn, m.g[0].pfn + m.g[i].inside);
    }
    cr_assert(dmt_vm_gtea(vm, m.g[0].id, &pfn, &frames));
    cr_assert_eq(frames, 13);
    for (uint64_t i = 0; i < 13; i++)
        cr_assert_eq(host_frame(vm, NULL, m.g[0].pfn + i), pfn + i);
    expect_table(w, vm, 0);
    /* Freed in the middle nothing is given back; at the end, all that is free there (H3). */
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 7, m.g[1].pfn).status, DMT_CALL_OK);
    cr_assert_eq(dmt_host_stats(w->host)->released, 0);
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 1, m.g[2].pfn).status, DMT_CALL_OK);
    cr_assert_eq(dmt_host_stats(w->host)->released, 8);
    expect_table(w, vm, 0);
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 2, m.g[0].pfn).status, DMT_CALL_OK);
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 3, m.g[0].pfn + 2).status, DMT_CALL_OK);
    cr_assert_eq(dmt_host_stats(w->host)->released, 13);
    cr_assert_not(dmt_vm_gtea(vm, m.g[0].id, &pfn, &frames));
    expect_table(w, vm, 0);
    world_free(w);
}

Test(call, requests_are_split_when_no_run_is_free)
{
    for (unsigned seed = 1; seed <= 4; seed++) {
        struct world *w = world_with(32, 0, false);
        struct dmt_vm *vm = machine(w);
        struct made m;
        uint64_t done[2] = {0, 0}, sizes[2] = {160, 33}, pfn, least = 0;

        /* Runs of up to 40 frames are left. */
        dmt_vm_enter(vm, 0);
        call1(vm, DMT_CALL_ALLOC, 1, 0);
        for (uint64_t i = 0; i < FRAMES; i++) {
            if (i % 41 == seed)
                dmt_buddy_alloc_at(w->buddy, i, 1);
        }
        m = call(vm,
                 (struct dmt_call_request[]){{DMT_CALL_ALLOC, sizes[0], 0}, {DMT_CALL_ALLOC, sizes[1], 0}}, 2,
                 64);
        cr_assert_eq(m.status, DMT_CALL_OK);
        cr_assert_gt(m.answers, 2);
        for (uint64_t i = 0; i < m.answers; i++) {
            uint64_t r = m.g[i].request;

            cr_assert_eq(m.g[i].skip, done[r], "in order, without holes");
            done[r] += m.g[i].frames;
            cr_assert_leq(m.g[i].frames, 40);
            cr_assert(done[r] == sizes[r] || m.g[i].frames >= sizes[r] / 16);
            pfn = host_frame(vm, NULL, m.g[i].pfn);
            for (uint64_t k = 0; k < m.g[i].frames; k++)
                cr_assert_eq(host_frame(vm, NULL, m.g[i].pfn + k), pfn + k);
            least += m.g[i].frames;
        }
        cr_assert_eq(least, sizes[0] + sizes[1]);
        /* With single frames only, less than a sixteenth cannot be had: nothing is done. */
        cr_assert(dmt_buddy_available(w->buddy) > 100);
        for (uint64_t i = 0; i < FRAMES; i += 2)
            dmt_buddy_alloc_at(w->buddy, i, 1);
        m = call1(vm, DMT_CALL_ALLOC, 100, 0);
        cr_assert_eq(m.status, DMT_CALL_NO_MEMORY);
        m = call1(vm, DMT_CALL_ALLOC, 16, 0);
        cr_assert_eq(m.answers, 16);
        expect_table(w, vm, 0);
        world_free(w);
    }
}

Test(call, no_more_pieces_than_there_is_room_to_tell_of)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    struct dmt_call_request rq[3] = {{DMT_CALL_ALLOC, 5, 0}, {DMT_CALL_ALLOC, 5, 0}, {DMT_CALL_ALLOC, 5, 0}};
    struct made m = call(vm, rq, 3, 2);

    cr_assert_eq(m.status, DMT_CALL_OK);
    cr_assert_eq(m.answers, 2);
    cr_assert_eq(dmt_host_stats(w->host)->granted, m.g[0].frames + m.g[1].frames);
    world_free(w);
}

Test(call, answers_are_in_order_of_requests)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    struct made m = call1(vm, DMT_CALL_ALLOC, 4, 0);
    struct dmt_call_request rq[3] = {
        {DMT_CALL_ALLOC, 2, 0}, {DMT_CALL_EXTEND, 1, m.g[0].id}, {DMT_CALL_ALLOC, 3, 0}};
    unsigned size;

    m = call(vm, rq, 3, 64);
    cr_assert_eq(m.answers, 3);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(m.g[i].request, i);
        cr_assert_eq(m.g[i].frames, rq[i].pages);
        cr_assert_eq(dmt_space_leaf(dmt_vm_space(vm), m.g[i].pfn, &size) & 7, 3, "RW, no X");
    }
    world_free(w);
}

Test(call, quota)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    struct made m = call1(vm, DMT_CALL_ALLOC, QUOTA, 0);

    cr_assert_eq(m.status, DMT_CALL_OK);
    cr_assert_eq(call1(vm, DMT_CALL_ALLOC, 1, 0).status, DMT_CALL_QUOTA);
    cr_assert_eq(call1(vm, DMT_CALL_EXTEND, 1, m.g[0].id).status, DMT_CALL_QUOTA);
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 1, m.g[0].pfn + QUOTA - 1).status, DMT_CALL_OK);
    cr_assert_eq(call1(vm, DMT_CALL_ALLOC, 2, 0).status, DMT_CALL_QUOTA);
    cr_assert_eq(call1(vm, DMT_CALL_ALLOC, 1, 0).status, DMT_CALL_OK);
    world_free(w);
}

Test(call, ids_run_out)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm_options o = vm_options();
    struct dmt_vm *vm;
    struct made m;
    uint64_t first = 0;

    o.quota = 5000;
    vm = dmt_vm_new(w->host, &o);
    for (unsigned i = 0; i < 4096; i++) {
        m = call1(vm, DMT_CALL_ALLOC, 1, 0);
        must(m.status == DMT_CALL_OK && m.g[0].id == i);
        first = i == 77 ? m.g[0].pfn : first;
    }
    cr_assert_eq(call1(vm, DMT_CALL_ALLOC, 1, 0).status, DMT_CALL_NO_ID);
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 1, first).status, DMT_CALL_OK);
    m = call(vm, (struct dmt_call_request[]){{DMT_CALL_ALLOC, 2, 0}, {DMT_CALL_ALLOC, 3, 0}}, 2, 64);
    cr_assert_eq(m.answers, 2, "one ID serves both");
    cr_assert_eq(m.g[1].id, 77);
    world_free(w);
}

Test(call, memory_is_zeroed)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    const struct dmt_platform *p = dmt_vm_platform(vm);
    struct made m;

    for (uint64_t i = 64; i < FRAMES; i++) {
        if (dmt_buddy_is_free(w->buddy, i) && i % 3 == 0)
            memset(dmt_mem_add(w->mem, i), 0xa5, 4096);
    }
    m = call1(vm, DMT_CALL_ALLOC, 50, 0);
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t a = m.g[0].pfn << 12; a < (m.g[0].pfn + m.g[0].frames) << 12; a += 8) {
            must(p->load(p->user, a) == 0);
            p->store(p->user, a, a);
        }
        if (round == 0)
            m = call1(vm, DMT_CALL_EXTEND, 20, m.g[0].id);
        cr_assert_eq(m.status, DMT_CALL_OK);
    }
    world_free(w);
}

Test(call, extended_in_place_and_reached_at_once)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    const struct dmt_platform *p = dmt_vm_platform(vm);
    struct made m = call1(vm, DMT_CALL_ALLOC, 4, 0), more;
    struct dmt_tea tea = {
        .base_vpn = 0, .pages = 2048, .gtea = m.g[0].id, .kind = DMT_KIND_GTEA, .valid = true};
    uint64_t word[3], pfn, frames;

    dmt_tea_pack(&tea, word);
    dmt_vm_enter(vm, 0);
    for (unsigned i = 0; i < 3; i++)
        p->csr(p->user, 0, 8 * (2 - i), word[2 - i]);
    cr_assert_eq(w->state[0].tea[1][0].gtea_pages, 4);
    more = call1(vm, DMT_CALL_EXTEND, 3, m.g[0].id);
    cr_assert_eq(more.status, DMT_CALL_OK);
    cr_assert_eq(more.g[0].pfn, m.g[0].pfn + 4);
    cr_assert_eq(more.g[0].inside, 4);
    cr_assert_eq(w->state[0].tea[1][0].gtea_pages, 7);
    cr_assert(dmt_vm_gtea(vm, m.g[0].id, &pfn, &frames));
    cr_assert_eq(frames, 7);
    expect_table(w, vm, 0);
    /* Freed from the end: the register's bound shrinks before the frames are anybody's, and it stays
     * resolved. */
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 5, m.g[0].pfn + 2).status, DMT_CALL_OK);
    cr_assert_eq(w->state[0].tea[1][0].gtea_pages, 2);
    cr_assert_eq(w->state[0].tea[1][0].resolution, DMT_RESOLUTION_OK);
    /* Something behind it: not in place. */
    must(dmt_buddy_alloc_at(w->buddy, pfn + 2, 1));
    cr_assert_eq(call1(vm, DMT_CALL_EXTEND, 1, m.g[0].id).status, DMT_CALL_NO_MEMORY);
    world_free(w);
}

Test(call, kernel_grows_its_teas_in_place)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    const struct dmt_platform *p = dmt_vm_platform(vm);
    struct dmt_grant g[2];

    cr_assert_eq(p->tea_alloc(p->user, (uint64_t[]){3, 4}, 2, g, 2), 2);
    cr_assert_not(p->tea_extend(p->user, &g[0], 2), "the other one lies behind it");
    cr_assert(p->tea_extend(p->user, &g[1], 2));
    g[1].frames += 2;
    cr_assert(p->tea_extend(p->user, &g[1], 1));
    p->tea_release(p->user, &g[0], 0, 3);
    g[1].frames++;
    p->tea_release(p->user, &g[1], 0, 7);
    cr_assert_eq(dmt_host_stats(w->host)->granted, dmt_host_stats(w->host)->released);
    world_free(w);
}

Test(call, free_revokes_registers_before_frames_are_free)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm[2] = {machine(w), machine(w)};
    struct guest *g = kernel(vm[0], 1100);
    struct made m;

    dmt_vm_enter(vm[0], 0);
    dmt_vm_enter(vm[0], 1);
    m = call1(vm[0], DMT_CALL_ALLOC, 3, 0);
    cr_assert_eq(m.status, DMT_CALL_OK);
    cr_assert_null(check_isolation(w, vm, 2));
    /* A guest that frees what its registers still name. */
    for (size_t i = 0; i < dmt_space_teas(g->s); i++) {
        struct dmt_tea_view t = dmt_space_tea(g->s, i);

        cr_assert_eq(call1(vm[0], DMT_CALL_FREE, t.grant.frames, t.grant.pfn).status, DMT_CALL_OK);
    }
    cr_assert_null(check_isolation(w, vm, 2));
    /* Its own accesses end in faults of its own from then on. */
    struct dmt_result r;
    cr_assert_not(run(w, vm[0], NULL, 0, VPN << 12, DMT_ACCESS_READ, &r));
    cr_assert_eq(r.status, DMT_STATUS_GTEA);
    guest_delete(g);
    world_free(w);
}

/* At each command the table is as it will be, and at each flush the frames are unmapped but not free. */
struct taking_back {
    struct world *w;
    struct dmt_vm *vm;
    uint64_t gfn, pfn, frames;
    unsigned commands, flushes;
    bool keep; /* of frames, one stays */
};

static void probe_taking_back(void *user, const struct world_csr *c)
{
    struct taking_back *t = user;
    uint64_t word[2] = {0, 0};
    unsigned size;

    dmt_mem_read(t->w->mem, t->w->state[0].gtea[1].table, &word[0]);
    dmt_mem_read(t->w->mem, t->w->state[0].gtea[1].table + 8, &word[1]);
    if (c->window == WORLD_HOST && c->offset == DMT_HOST_GTEA_CMD) {
        t->commands++;
        must(t->keep ? (word[0] & 1) && word[1] == 1 : !(word[0] & 1), "entry first");
        must(dmt_space_leaf(dmt_vm_space(t->vm), t->gfn + 1, &size) != 0,
             "registers before the second stage");
    }
    if (c->window != 0 || c->offset != DMT_LEVEL_INV)
        return;
    t->flushes++;
    for (uint64_t i = t->keep; i < t->frames; i++) {
        must(dmt_space_leaf(dmt_vm_space(t->vm), t->gfn + i, &size) == 0, "unmapped before the flush");
        must(!dmt_buddy_is_free(t->w->buddy, t->pfn + i), "flushed before it is free");
    }
}

Test(call, frames_are_taken_back_in_order)
{
    for (unsigned kind = 0; kind < 3; kind++) { /* FREE of all, of all but one, revocation */
        struct world *w = world_with(32, 0, false);
        struct dmt_vm *vm = machine(w);
        struct made m = call1(vm, DMT_CALL_ALLOC, 9, 0);
        struct taking_back t = {.w = w, .vm = vm, .gfn = m.g[0].pfn, .frames = 9, .keep = kind == 1};
        const struct dmt_platform *p = dmt_vm_platform(vm);

        cr_assert_eq(m.g[0].id, 0);
        dmt_vm_enter(vm, 0);
        dmt_vm_enter(vm, 1);
        t.pfn = host_frame(vm, NULL, t.gfn);
        p->store(p->user, (t.gfn << 12) + 0x18, 77);
        w->probe = probe_taking_back;
        w->probe_user = &t;
        if (kind == 2)
            cr_assert(dmt_vm_revoke(vm, 0));
        else
            cr_assert_eq(call1(vm, DMT_CALL_FREE, 9 - t.keep, t.gfn + t.keep).status, DMT_CALL_OK);
        w->probe = NULL;
        cr_assert_eq(t.commands, 2, "on both threads");
        cr_assert_eq(t.flushes, kind == 2 ? 2 : 1, "the calling vCPU makes up for it at its entry");
        for (uint64_t i = t.keep; i < 9; i++)
            cr_assert(dmt_buddy_is_free(w->buddy, t.pfn + i));
        cr_assert_eq(p->load(p->user, (t.gfn << 12) + 0x18), kind == 0 ? 0 : 77);
        world_free(w);
    }
}

/* The guest cannot lose an answer: their memory is there before anything is done. */
Test(call, answers_that_cannot_be_backed)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    uint64_t answers, available;

    call1(vm, DMT_CALL_ALLOC, 1, 0);
    dmt_buddy_fail_after(w->buddy, 0);
    available = dmt_buddy_available(w->buddy);
    cr_assert_eq(dmt_vm_call(vm, 0, REQUESTS, 1, UINT64_C(900) << 12, 4, &answers), DMT_CALL_NO_MEMORY);
    cr_assert_eq(dmt_buddy_available(w->buddy), available);
    cr_assert_eq(dmt_host_stats(w->host)->granted, 1);
    cr_assert_eq(dmt_vm_call(vm, 0, REQUESTS, 1, UINT64_C(900) << 12, 4, &answers), DMT_CALL_OK);
    world_free(w);
}

/* When nothing can be given, the frees of the same array are not done either. */
Test(call, nothing_given_nothing_done)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    struct made m = call1(vm, DMT_CALL_ALLOC, 8, 0);
    struct dmt_call_request rq[2] = {{DMT_CALL_FREE, 8, m.g[0].pfn}, {DMT_CALL_ALLOC, 64, 0}};
    uint64_t n = 0, pfn, frames;

    for (uint64_t i = 0; i < FRAMES; i++)
        n += i % 2 && dmt_buddy_alloc_at(w->buddy, i, 1);
    cr_assert_gt(n, 1000);
    cr_assert_eq(call(vm, rq, 2, 64).status, DMT_CALL_NO_MEMORY);
    cr_assert(dmt_vm_gtea(vm, m.g[0].id, &pfn, &frames));
    cr_assert_eq(frames, 8);
    rq[1].pages = 1;
    cr_assert_eq(call(vm, rq, 2, 64).status, DMT_CALL_OK);
    cr_assert_eq(dmt_host_stats(w->host)->released, 8);
    world_free(w);
}

/* ------------------------------------------------------------ isolation under random calls */

static uint64_t rng_state = 1;

static uint64_t rng(uint64_t n)
{
    return xorshift(&rng_state) % n;
}

Test(isolation, random_calls_of_two_machines)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm[2] = {machine(w), machine(w)};
    uint64_t before;

    dmt_vm_enter(vm[0], 0);
    dmt_vm_enter(vm[1], 1);
    for (unsigned i = 0; i < 3; i++) { /* the arrays' memory is backed */
        call1(vm[0], DMT_CALL_FREE, 1, 0);
        call1(vm[1], DMT_CALL_FREE, 1, 0);
    }
    before = dmt_buddy_available(w->buddy);
    for (unsigned step = 0; step < 3000; step++) {
        unsigned k = rng(2);
        struct dmt_call_request rq[3];
        size_t n = 1 + rng(3);

        for (size_t i = 0; i < n; i++) {
            rq[i].op = 1 + rng(3);
            rq[i].pages = 1 + rng(rq[i].op == DMT_CALL_FREE ? 4 : 12);
            rq[i].where = rq[i].op == DMT_CALL_EXTEND ? rng(6) : RAM + 16 + rng(200);
        }
        call(vm[k], rq, n, 48);
        if (rng(10) == 0)
            dmt_vm_revoke(vm[k], (unsigned)rng(6));
        /* A register that names what it likes. */
        struct dmt_tea tea = {.base_vpn = rng(4),
                              .pages = 1 + rng(9999),
                              .base_pfn = rng(8),
                              .gtea = (uint16_t)rng(8),
                              .kind = DMT_KIND_GTEA,
                              .valid = true};
        const struct dmt_platform *p = dmt_vm_platform(vm[k]);
        uint64_t word[3];
        unsigned index = (unsigned)rng(16);

        dmt_tea_pack(&tea, word);
        for (unsigned i = 0; i < 3; i++)
            p->csr(p->user, k, DMT_LEVEL_TEA_WORD0(index) + 8 * (2 - i), word[2 - i]);
        if (step % 16 == 0) {
            const char *why = check_isolation(w, vm, 2);

            must(!why, "%s", why);
            expect_table(w, vm[0], 0);
            expect_table(w, vm[1], 1);
            expect_record(vm[step / 16 % 2], RAM + 16 + 2 * QUOTA);
        }
        if (rng(40) == 0) { /* change threads' machines */
            dmt_vm_exit(vm[0], 0);
            dmt_vm_exit(vm[1], 1);
            dmt_vm_enter(vm[0], 0);
            dmt_vm_enter(vm[1], 1);
        }
    }
    /* All frees that are possible give all back. */
    for (unsigned k = 0; k < 2; k++) {
        for (uint64_t gfn = RAM; gfn < RAM + 16 + 2 * QUOTA; gfn++)
            call1(vm[k], DMT_CALL_FREE, 1, gfn);
    }
    cr_assert_eq(dmt_host_stats(w->host)->granted, dmt_host_stats(w->host)->released);
    cr_assert_geq(dmt_buddy_available(w->buddy) + 16, before, "but for tables of the window");
    world_free(w);
}

Test(isolation, machine_without_pv_has_no_table)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *a = machine(w), *b;
    struct dmt_vm_options o = vm_options();
    struct guest *g = kernel(a, 600);

    o.pv = false;
    b = dmt_vm_new(w->host, &o);
    dmt_vm_enter(a, 0);
    cr_assert_eq(w->state[0].tea[1][0].resolution, DMT_RESOLUTION_OK);
    dmt_vm_enter(b, 0); /* takes the thread */
    cr_assert_not(dmt_vm_entered(a, 0));
    cr_assert_eq(w->state[0].gtea[1].entries, 0);
    for (unsigned i = 0; i < 16; i++)
        cr_assert_not(w->state[0].tea[1][i].valid);
    dmt_vm_enter(a, 0);
    expect_page(w, a, NULL, g, 0, 5, DMT_ACCESS_READ);
    guest_delete(g);
    dmt_vm_delete(a);
    cr_assert_eq(w->state[0].gtea[1].entries, 0);
    world_free(w);
}

/* ------------------------------------------------------------ taking back (H4) */

static void on_revoke(void *user, uint16_t id)
{
    struct guest *g = user;

    dmt_space_revoked(g->s, id);
}

static void ignore_revoke(void *user, uint16_t id)
{
    (*(unsigned *)user)++;
    (void)id;
}

Test(revoke, guest_goes_on_in_ordinary_frames)
{
    for (unsigned answering = 0; answering < 2; answering++) {
        struct world *w = world_with(32, 0, false);
        struct dmt_vm *vm = machine(w);
        struct guest *g = kernel(vm, 2000);
        struct dmt_grant grant = dmt_space_tea(g->s, 0).grant;
        unsigned told = 0;
        uint64_t pfn, frames, old, before;
        struct dmt_result r;

        dmt_vm_on_revoke(vm, answering ? on_revoke : ignore_revoke, answering ? (void *)g : (void *)&told);
        dmt_vm_enter(vm, 0);
        dmt_vm_enter(vm, 1);
        for (uint64_t i = 0; i < g->pages; i++)
            expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_WRITE);
        cr_assert(dmt_vm_gtea(vm, grant.id, &old, &frames));
        before = dmt_buddy_available(w->buddy);
        cr_assert(dmt_vm_revoke(vm, grant.id));
        cr_assert_not(dmt_vm_revoke(vm, grant.id));
        cr_assert_not(dmt_vm_gtea(vm, grant.id, &pfn, &frames));
        cr_assert(answering || told == 1);
        cr_assert_null(check_isolation(w, &vm, 1));
        expect_table(w, vm, 0);
        cr_assert(!answering || dmt_buddy_available(w->buddy) >= before, "what is not in use is free");
        if (!answering) { /* registers are dead: every access through them is an event */
            cr_assert_not(run(w, vm, NULL, 1, VPN << 12, DMT_ACCESS_READ, &r));
            cr_assert_eq(r.status, DMT_STATUS_GTEA);
            dmt_space_revoked(g->s, grant.id);
        }
        for (uint64_t i = 0; i < g->pages; i++)
            expect_page(w, vm, NULL, g, 1, i, DMT_ACCESS_WRITE);
        /* The kernel asks for another one and moves its tables there. */
        guest_settle(g);
        for (uint64_t i = 0; i < g->pages; i++) {
            expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_WRITE);
            world_translate(w, 0, (VPN + i) << 12, DMT_ACCESS_READ, &r);
            cr_assert_eq(r.path[1], DMT_PATH_TEA);
        }
        guest_delete(g);
        cr_assert_eq(dmt_host_stats(w->host)->granted, dmt_host_stats(w->host)->released);
        world_free(w);
    }
}

/* A guest that has freed some frames before, and frees more when it is told. */
static void free_two(void *user, uint16_t id)
{
    uint64_t *gfn = user;
    struct dmt_vm *vm = (struct dmt_vm *)(uintptr_t)gfn[1];
    uint64_t pfn, frames;

    cr_assert_not(dmt_vm_gtea(vm, id, &pfn, &frames));
    cr_assert_eq(call1(vm, DMT_CALL_EXTEND, 1, id).status, DMT_CALL_NOT_YOURS);
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 1, gfn[0] + 9).status, DMT_CALL_OK);
    cr_assert_eq(call1(vm, DMT_CALL_FREE, 1, gfn[0] + 5).status, DMT_CALL_OK);
    cr_assert_neq(call1(vm, DMT_CALL_ALLOC, 1, 0).g[0].id, id, "not free yet");
}

Test(revoke, parts_freed_before_and_meanwhile)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    const struct dmt_platform *p = dmt_vm_platform(vm);
    struct made m;
    uint64_t user[2] = {0, (uint64_t)(uintptr_t)vm}, old, pfn, before = 0;

    dmt_vm_on_revoke(vm, free_two, user);
    dmt_vm_enter(vm, 0);
    for (unsigned round = 0; round < 600; round++) {
        m = call1(vm, DMT_CALL_ALLOC, 10, 0);
        must(m.status == DMT_CALL_OK && m.g[0].id == 0);
        before = round == 1 ? dmt_buddy_available(w->buddy) : before;
        user[0] = m.g[0].pfn;
        old = host_frame(vm, NULL, user[0]);
        for (uint64_t i = 0; i < 10; i++)
            p->store(p->user, (user[0] + i) << 12 | 0x88, i + 1);
        cr_assert_eq(call1(vm, DMT_CALL_FREE, 2, user[0] + 2).status, DMT_CALL_OK);
        must(dmt_vm_revoke(vm, 0));
        for (uint64_t i = 0; i < 10; i++) {
            bool kept = i != 2 && i != 3 && i != 5;

            if (i == 9) /* given again meanwhile, in another gTEA */
                continue;
            must(dmt_vm_backing(vm, user[0] + i, &pfn) == kept);
            must(p->load(p->user, (user[0] + i) << 12 | 0x88) == (kept ? i + 1 : 0));
            must(!kept || pfn < old || pfn > old + 9);
        }
        expect_record(vm, RAM + 16 + 2 * QUOTA);
        expect_table(w, vm, 0);
        for (uint64_t i = 0; i < 10; i++) /* each frame alone */
            must((call1(vm, DMT_CALL_FREE, 1, user[0] + i).status == DMT_CALL_OK) ==
                 (i != 2 && i != 3 && i != 5));
        for (uint64_t gfn = RAM + 16; gfn < RAM + 48; gfn++)
            call1(vm, DMT_CALL_FREE, 1, gfn); /* and what was asked for meanwhile */
        must(dmt_host_stats(w->host)->granted == dmt_host_stats(w->host)->released);
    }
    cr_assert_eq(dmt_buddy_available(w->buddy), before + 10);
    world_free(w);
}

/* ------------------------------------------------------------ moving and ballooning (S1, H5) */

/* What must be so when a flush is asked for: the entry is gone already, and the frame not yet another's. */
struct protocol {
    struct world *w;
    struct dmt_vm *vm;
    uint64_t gfn, pfn;
    unsigned flushed; /* threads, one bit each */
    unsigned flushes;
    bool entry_first, kept;
};

static void probe_protocol(void *user, const struct world_csr *c)
{
    struct protocol *p = user;
    unsigned size;

    if (c->window != 0 || c->offset != DMT_LEVEL_INV)
        return;
    must(c->value >> 60 == DMT_INV_S2_CONTEXT && (c->value >> 45 & 0xff) == p->w->state[c->thread].s2[0].tag);
    p->flushed |= 1u << c->thread;
    p->flushes++;
    p->entry_first &= dmt_space_leaf(dmt_vm_space(p->vm), p->gfn, &size) == 0;
    p->kept &= !dmt_buddy_is_free(p->w->buddy, p->pfn);
}

static void moving(bool huge, bool balloon, unsigned entered)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm_options o = vm_options();
    struct dmt_vm *vm;
    struct guest *g;
    struct protocol p = {.w = w, .entry_first = true, .kept = true};

    o.huge = huge;
    vm = dmt_vm_new(w->host, &o);
    g = kernel(vm, 700);
    for (unsigned t = 0; t < WORLD_THREADS; t++)
        dmt_vm_enter(vm, t);
    for (uint64_t i = 0; i < g->pages; i++)
        expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_WRITE);
    for (unsigned t = 0; t < WORLD_THREADS; t++) {
        if (!(entered >> t & 1))
            dmt_vm_exit(vm, t);
    }
    for (unsigned i = 0; i < 3; i++) {
        /* A page, a page of the same block, and a table of the guest's. */
        uint8_t was[4096];
        uint64_t to, gfn = i < 2 ? g->frame[10 + i] : dmt_space_root(g->s);

        p.vm = vm;
        p.gfn = gfn;
        p.pfn = host_frame(vm, NULL, gfn);
        p.flushed = p.flushes = 0;
        memcpy(was, dmt_mem_add(w->mem, p.pfn), sizeof was);
        w->probe = probe_protocol;
        w->probe_user = &p;
        cr_assert(balloon ? dmt_vm_balloon(vm, gfn) : dmt_vm_move(vm, gfn));
        w->probe = NULL;
        cr_assert_eq(p.flushed, entered, "every thread in the guest");
        cr_assert_eq(p.flushes, (unsigned)__builtin_popcount(entered) * (huge && i == 0 ? 2 : 1),
                     "and once more when the 2M page is split");
        cr_assert(p.entry_first);
        cr_assert(p.kept);
        cr_assert(dmt_buddy_is_free(w->buddy, p.pfn) || huge);
        if (balloon) {
            cr_assert_not(dmt_vm_backing(vm, gfn, &to));
            if (i == 2)
                break;
        } else {
            cr_assert_neq(host_frame(vm, NULL, gfn), p.pfn);
            cr_assert_arr_eq(dmt_mem_frame(w->mem, host_frame(vm, NULL, gfn)), was, sizeof was);
        }
        for (unsigned t = 0; t < WORLD_THREADS; t++) { /* who was outside flushes as it comes back, once */
            unsigned at = w->logged;

            if (entered >> t & 1)
                continue;
            dmt_vm_enter(vm, t);
            for (unsigned k = at; k < w->logged; k++)
                cr_assert(w->log[k].window != 0 || w->log[k].offset != DMT_LEVEL_S2ROOT ||
                          !(w->log[k].value & DMT_LEVEL_S2ROOT_NOFLUSH_MASK));
            dmt_vm_exit(vm, t);
            at = w->logged;
            dmt_vm_enter(vm, t);
            for (unsigned k = at; k < w->logged; k++)
                cr_assert(w->log[k].window != 0 || w->log[k].offset != DMT_LEVEL_S2ROOT ||
                          w->log[k].value & DMT_LEVEL_S2ROOT_NOFLUSH_MASK);
            dmt_vm_exit(vm, t);
        }
    }
    dmt_vm_enter(vm, 0);
    if (balloon) { /* the root is lost with its frame: only pages are looked at */
        struct dmt_result r;

        world_translate(w, 0, (VPN + 10) << 12, DMT_ACCESS_READ, &r);
        cr_assert_neq(r.status, DMT_STATUS_OK);
    } else {
        for (uint64_t i = 0; i < g->pages; i++)
            expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_WRITE);
    }
    /* What cannot be moved: not backed, gTEAs, images, nowhere. */
    cr_assert_not(dmt_vm_move(vm, RAM - 1));
    cr_assert_not(dmt_vm_balloon(vm, dmt_space_tea(g->s, 0).grant.pfn));
    cr_assert_not(dmt_vm_move(vm, dmt_space_tea(g->s, 0).grant.pfn));
    cr_assert_not(dmt_vm_move(vm, RAM));
    cr_assert_not(dmt_vm_balloon(vm, UINT64_MAX));
    guest_delete(g);
    world_free(w);
}

Test(memory, moved_by_the_entry_protocol)
{
    moving(false, false, 3);
    moving(false, false, 1);
    moving(true, false, 3);
    moving(true, false, 2);
    moving(true, false, 0);
}

Test(memory, ballooned_by_the_entry_protocol)
{
    moving(false, true, 3);
    moving(true, true, 3);
    moving(true, true, 2);
}

/* Frames that go from one machine to another while both run: the new owner's contents are its own. */
Test(memory, ballooned_frame_serves_another_machine)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *a = machine(w), *b;
    const struct dmt_platform *p = dmt_vm_platform(a), *q;
    uint64_t pfn, to;

    b = machine(w);
    q = dmt_vm_platform(b);
    p->store(p->user, 0x5008, 1234);
    cr_assert(dmt_vm_backing(a, 5, &pfn));
    cr_assert(dmt_vm_balloon(a, 5));
    for (uint64_t i = 0; i < RAM; i++) {
        q->store(q->user, i << 12, 1);
        cr_assert(dmt_vm_backing(b, i, &to));
        if (to == pfn)
            break;
    }
    cr_assert_eq(to, pfn);
    cr_assert_eq(dmt_mem_frame(w->mem, pfn)[8], 0);
    cr_assert_eq(p->load(p->user, 0x5008), 0);
    p->store(p->user, 0x5010, 5);
    cr_assert_eq(p->load(p->user, 0x5010), 5);
    world_free(w);
}

/* ------------------------------------------------------------ entry and exit (H6) */

Test(entry, what_is_written)
{
    static const unsigned images[] = {32, 0};

    for (unsigned k = 0; k < 2; k++) {
        struct world *w = world_with(images[k], 0, false);
        struct dmt_vm *vm[2] = {machine(w), machine(w)};
        struct guest *g = kernel(vm[0], 1100), *other = kernel(vm[1], 600);
        uint64_t before, n = 0;
        unsigned valid = 0, at;

        dmt_space_settle(dmt_vm_space(vm[0]));
        for (unsigned i = 0; i < 16; i++)
            valid += dmt_space_registers(dmt_vm_space(vm[0]))[i].valid;
        cr_assert_geq(valid, 1);
        cr_assert_eq(w->state[0].level[1].cr3, 0, "what the kernel wrote waits for the entry");
        dmt_vm_enter(vm[0], 0);
        cr_assert_eq(w->state[0].level[1].cr3, dmt_space_root(g->s) << 12);
        cr_assert_eq(w->state[0].level[1].efer, DMT_LEVEL_EFER_NXE_MASK);
        cr_assert_eq(w->state[0].mode, DMT_MODE_VIRT);
        cr_assert_eq(w->refused, 0);
        for (unsigned i = 0; i < 16; i++) {
            const struct dmt_tea *have = &w->state[0].tea[0][i],
                                 *want = &dmt_space_registers(dmt_vm_space(vm[0]))[i];

            cr_assert_eq(have->valid, want->valid);
            cr_assert(!want->valid || (have->base_vpn == want->base_vpn && have->base_pfn == want->base_pfn));
        }
        /* The same machine again: tables' root, its own set, mode. */
        before = dmt_host_stats(w->host)->csr_entry;
        at = w->logged;
        dmt_vm_exit(vm[0], 0);
        cr_assert_eq(w->state[0].mode, DMT_MODE_NATIVE);
        for (unsigned i = 0; i < 16; i++)
            cr_assert_not(w->state[0].tea[0][i].valid, "hTEAs mean nothing to the host");
        dmt_vm_enter(vm[0], 0);
        n = dmt_host_stats(w->host)->csr_entry - before;
        cr_assert_eq(n, images[k] ? 6 : 2 * 16 + 3 * valid + 3);
        cr_assert_eq(w->logged - at, n);
        cr_assert_eq(dmt_host_stats(w->host)->exits, 1);
        cr_assert_eq(dmt_host_stats(w->host)->entries, 2);
        /* The guest's context switches cause neither, and come through at once. */
        at = w->logged;
        g->p->csr(g->p->user, 0, DMT_LEVEL_CR3, 0x5000 | DMT_LEVEL_CR3_NOFLUSH_MASK);
        cr_assert_eq(w->logged, at + 1);
        cr_assert_eq(w->log[at].window, 1);
        cr_assert_eq(w->log[at].value, 0x5000 | DMT_LEVEL_CR3_NOFLUSH_MASK);
        cr_assert_eq(dmt_host_stats(w->host)->exits, 1);
        /* Another machine on the thread, and back: all is as it was. */
        struct dmt_state was = w->state[0];

        dmt_vm_enter(vm[1], 0);
        cr_assert_eq(w->state[0].level[1].cr3, dmt_space_root(other->s) << 12);
        cr_assert_neq(w->state[0].s2[0].tag, was.s2[0].tag);
        at = w->logged;
        dmt_vm_enter(vm[0], 0);
        while (w->log[at].window != 1 || w->log[at].offset != DMT_LEVEL_CR3)
            at++;
        cr_assert_eq(w->log[at].value, 0x5000, "as it reads");
        cr_assert_arr_eq(&w->state[0].level, &was.level, sizeof was.level);
        for (unsigned i = 0; i < 16; i++) {
            cr_assert_eq(was.tea[1][i].valid, w->state[0].tea[1][i].valid);
            cr_assert(!was.tea[1][i].valid ||
                      !memcmp(&was.tea[1][i], &w->state[0].tea[1][i], sizeof was.tea[1][i]));
        }
        cr_assert_eq(w->state[0].s2[0].root, was.s2[0].root);
        /* S2CTL, which would flush every tag, is not written again. */
        cr_assert_eq(world_count(w, 0, 0, 0, DMT_LEVEL_S2CTL), 1);
        guest_delete(g);
        guest_delete(other);
        world_free(w);
    }
}

/* What a guest has written itself is not taken for what the hypervisor wrote last. */
Test(entry, machines_do_not_see_each_others_registers)
{
    static const unsigned regs[] = {DMT_LEVEL_CR0, DMT_LEVEL_CR4, DMT_LEVEL_EFER, DMT_LEVEL_PKRU,
                                    DMT_LEVEL_PKRS};
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm[2] = {machine(w), machine(w)};
    const struct dmt_platform *p = dmt_vm_platform(vm[0]);
    struct dmt_level own = {.cr0 = 0x10000, .cr4 = 0x1000, .efer = 0x800, .pkru = 5, .pkrs = 6};

    dmt_vm_enter(vm[0], 0);
    dmt_vm_enter(vm[1], 0);
    dmt_vm_enter(vm[0], 0);
    for (unsigned i = 0; i < 5; i++)
        p->csr(p->user, 0, regs[i], (uint64_t[]){own.cr0, own.cr4, own.efer, own.pkru, own.pkrs}[i]);
    for (unsigned round = 0; round < 2; round++) {
        cr_assert_arr_eq(&w->state[0].level[1], &own, sizeof own);
        dmt_vm_enter(vm[1], 0);
        cr_assert_arr_eq(&w->state[0].level[1], &(struct dmt_level){0}, sizeof own);
        dmt_vm_enter(vm[0], 0);
    }
    world_free(w);
}

Test(entry, writes_while_outside_are_made_up_for)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    const struct dmt_platform *p = dmt_vm_platform(vm);
    struct made m = call1(vm, DMT_CALL_ALLOC, 4, 0);
    struct dmt_tea tea = {.pages = 512, .gtea = m.g[0].id, .kind = DMT_KIND_GTEA, .valid = true};
    uint64_t word[3];
    unsigned at;

    dmt_tea_pack(&tea, word);
    dmt_vm_enter(vm, 0);
    dmt_vm_exit(vm, 0);
    at = w->logged;
    for (unsigned i = 0; i < 3; i++)
        p->csr(p->user, 0, DMT_LEVEL_TEA_WORD0(3) + 8 * (2 - i), word[2 - i]);
    p->csr(p->user, 0, DMT_LEVEL_INV, UINT64_C(1) << 60);
    cr_assert_eq(w->logged, at, "not entered: remembered");
    dmt_vm_enter(vm, 0);
    cr_assert(w->state[0].tea[1][3].valid);
    cr_assert_eq(w->state[0].tea[1][3].resolution, DMT_RESOLUTION_OK);
    cr_assert_eq(world_count(w, at, 0, 1, DMT_LEVEL_INV), 1, "an invalidation is made up for");
    /* Word 1 alone: P is gone, in the saved state, too. */
    dmt_vm_exit(vm, 0);
    p->csr(p->user, 0, DMT_LEVEL_TEA_WORD1(3), word[1]);
    dmt_vm_enter(vm, 0);
    cr_assert_not(w->state[0].tea[1][3].valid);
    /* Set load by the guest from its images, inside and outside; beyond them nothing. */
    for (unsigned i = 0; i < 3; i++)
        p->store(p->user, p->image_pa + 2048 * 5 + 32 * 7 + 8 * i, word[i]);
    for (unsigned outside = 0; outside < 2; outside++) {
        if (outside)
            dmt_vm_exit(vm, 0);
        p->csr(p->user, 0, DMT_LEVEL_LOAD, outside ? 5 : 6);
        p->csr(p->user, 0, DMT_LEVEL_LOAD, p->images);
        dmt_vm_enter(vm, 0);
        cr_assert_eq(w->state[0].tea[1][7].valid, outside);
    }
    p->csr(p->user, 0, DMT_LEVEL_LOAD, 5);
    cr_assert(w->state[0].tea[1][7].valid);
    struct dmt_vm *other = machine(w);
    dmt_vm_enter(other, 0);
    cr_assert_not(w->state[0].tea[1][7].valid);
    dmt_vm_enter(vm, 0);
    cr_assert(w->state[0].tea[1][7].valid, "saved as loaded");
    cr_assert_eq(w->image[0][1].count, p->images);
    world_free(w);
}

/* hTEAs are never valid in another mode than the guest's, nor the host's own registers in that. */
static void probe_mode(void *user, const struct world_csr *c)
{
    struct world *w = user;

    if (c->window != WORLD_HOST || c->offset != DMT_HOST_CTL)
        return;
    for (unsigned i = 0; i < 16; i++)
        must(!w->state[c->thread].tea[0][i].valid, "set 0 is not empty when the mode changes");
}

Test(entry, set_0_is_empty_whenever_the_mode_changes)
{
    static const unsigned images[] = {32, 0, 2};

    for (unsigned k = 0; k < 3; k++) {
        struct world *w = world_with(images[k], 0, false);
        struct dmt_vm *vm[2] = {machine(w), machine(w)};
        struct guest *g = kernel(vm[0], 700);

        dmt_space_settle(dmt_vm_space(vm[0]));
        dmt_space_settle(dmt_vm_space(vm[1]));
        for (unsigned i = 0; i < 3; i++) /* a kernel's own */
            w->p.csr(w, 0, DMT_LEVEL_TEA_WORD0(5) + 8 * (2 - i), (uint64_t[]){1, 0x77000, 512}[2 - i]);
        cr_assert(w->state[0].tea[0][5].valid);
        w->probe = probe_mode;
        w->probe_user = w;
        for (unsigned i = 0; i < 4; i++) {
            dmt_vm_enter(vm[i % 2], 0);
            cr_assert(w->state[0].tea[0][0].valid);
            if (i % 2 == 0)
                expect_page(w, vm[0], NULL, g, 0, 3, DMT_ACCESS_WRITE);
        }
        w->probe = NULL;
        guest_delete(g);
        world_free(w);
    }
}

Test(entry, registers_change_under_a_running_guest)
{
    static const unsigned images[] = {32, 0};

    for (unsigned k = 0; k < 2; k++) {
        struct world *w = world_with(images[k], 0, false);
        struct dmt_vm *vm = machine(w);
        struct guest *g = kernel(vm, 700);

        dmt_vm_enter(vm, 0);
        dmt_vm_enter(vm, 1);
        for (uint64_t i = 0; i < 600; i++)
            expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_WRITE);
        dmt_space_settle(dmt_vm_space(vm));
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned t = 0; t < WORLD_THREADS; t++) {
                for (unsigned i = 0; i < 16; i++) {
                    const struct dmt_tea *have = &w->state[t].tea[0][i],
                                         *want = &dmt_space_registers(dmt_vm_space(vm))[i];

                    cr_assert_eq(have->valid, want->valid);
                    cr_assert(!want->valid ||
                              (have->base_vpn == want->base_vpn && have->pages == want->pages &&
                               have->base_pfn == want->base_pfn));
                }
                cr_assert(w->state[t].tea[0][0].valid);
                dmt_vm_exit(vm, t);
                dmt_vm_enter(vm, t); /* as loaded from the image */
            }
        }
        guest_delete(g);
        world_free(w);
    }
}

Test(entry, a_tag_that_was_anothers_is_flushed)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    unsigned at;

    dmt_vm_enter(vm, 0);
    dmt_vm_delete(vm);
    cr_assert_eq(w->state[0].mode, DMT_MODE_NATIVE);
    vm = machine(w);
    for (unsigned round = 0; round < 2; round++) {
        at = w->logged;
        dmt_vm_enter(vm, 0);
        while (w->log[at].window != 0 || w->log[at].offset != DMT_LEVEL_S2ROOT)
            at++;
        cr_assert_eq(w->log[at].value & 0xff, 1);
        cr_assert_eq(w->log[at].value >> 63, round);
        dmt_vm_exit(vm, 0);
    }
    world_free(w);
}

/* ------------------------------------------------------------ dirty tracking (H7) */

/* The kernel maps a frame that it has never touched, and it is written. */
static void fresh_page(struct world *w, struct dmt_vm *vm, struct guest *g, uint64_t gfn)
{
    struct dmt_result r;
    uint64_t old = dmt_space_exchange(g->s, VPN, DMT_SIZE_4K, gfn << 12 | 7);

    dmt_space_flush(g->s, VPN, 1);
    must(run(w, vm, NULL, 0, VPN << 12, DMT_ACCESS_WRITE, &r));
    must(r.addr >> 12 == gfn);
    dmt_space_exchange(g->s, VPN, DMT_SIZE_4K, old);
    dmt_space_flush(g->s, VPN, 1);
}

Test(dirty, every_write_is_told_once)
{
    for (unsigned k = 0; k < sizeof stages / sizeof *stages; k++) {
        struct world *w = world_with(stages[k].images, 0, false);
        struct dmt_vm_options o = vm_options();
        struct dmt_vm *vm;
        struct guest *g;
        uint64_t *map = calloc(1024, sizeof *map);
        const struct dmt_platform *p;

        o.format = stages[k].format;
        o.levels = stages[k].levels;
        o.ad = stages[k].ad;
        o.huge = stages[k].huge;
        o.pv = stages[k].pv;
        vm = dmt_vm_new(w->host, &o);
        p = dmt_vm_platform(vm);
        g = kernel(vm, 1200);
        dmt_vm_enter(vm, 0);
        cr_assert_eq(dmt_vm_dirty(vm, map, 1024), 0, "not tracked");
        for (uint64_t i = 0; i < 1000; i++)
            expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_WRITE);
        dmt_space_settle(dmt_vm_space(vm));
        dmt_vm_track(vm, true);
        for (unsigned round = 0; round < 4; round++) {
            bool *written = calloc(RAM, sizeof *written);
            uint64_t n = 0;

            for (unsigned i = 0; i < 60; i++) {
                uint64_t page = rng(1200);
                bool write = rng(2);

                expect_page(w, vm, NULL, g, 0, page, write ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
                written[g->frame[page]] |= write;
            }
            p->store(p->user, (RAM - 3) << 12, round); /* by the kernel's own code */
            written[RAM - 3] = true;
            for (unsigned i = 0; i < 2;
                 i++) { /* touched for the first time, then written by a walk elsewhere in it */
                uint64_t gfn = RAM - 512 * (2 + round) + i;

                fresh_page(w, vm, g, gfn);
                written[gfn] = true;
            }
            if (round == 2) {
                uint64_t moved = g->frame[1];

                expect_page(w, vm, NULL, g, 0, 1, DMT_ACCESS_WRITE);
                written[moved] = true;
                cr_assert(dmt_vm_move(vm, moved));
            }
            dmt_vm_dirty(vm, map, 1024);
            for (uint64_t gfn = 0; gfn < RAM; gfn++) {
                must(!written[gfn] || map[gfn / 64] >> gfn % 64 & 1, "%s: frame %llx was written",
                     stages[k].name, (unsigned long long)gfn);
                n += map[gfn / 64] >> gfn % 64 & 1;
            }
            cr_assert(o.huge || n < 300, "%s: pages that nobody wrote: %llu", stages[k].name,
                      (unsigned long long)n);
            for (size_t i = 0; i < dmt_space_teas(g->s); i++) {
                struct dmt_grant t = dmt_space_tea(g->s, i).grant;

                for (uint64_t f = t.pfn; t.gtea && f < t.pfn + t.frames; f++)
                    must(map[f / 64] >> f % 64 & 1, "gTEA pages are always dirty");
            }
            free(written);
        }
        dmt_vm_track(vm, false);
        cr_assert_eq(dmt_vm_dirty(vm, map, 1024), 0);
        for (uint64_t i = 0; i < 1200; i++)
            expect_page(w, vm, NULL, g, 0, i, DMT_ACCESS_WRITE);
        free(map);
        guest_delete(g);
        world_free(w);
    }
}

/* ------------------------------------------------------------ nesting (H8) */

struct nest {
    struct world *w;
    struct dmt_vm *l1, *l2;
    struct dmt_host *h1;
    struct guest *g;
};

/* A machine in a machine, with a kernel in it. pv, inner, ad: of the inner one; huge: of both. */
static struct nest nest_with(bool shadow, bool pv, enum dmt_space_format inner, bool ad, bool huge)
{
    struct nest n = {.w = world_with(32, 0, shadow)};
    struct dmt_vm_options o = vm_options();
    struct dmt_host_options h = world_options(n.w);

    o.frames = 16384;
    o.quota = 4096;
    o.huge = huge;
    n.l1 = dmt_vm_new(n.w->host, &o);
    must(n.l1);
    dmt_vm_inner_options(n.l1, &h);
    h.tea.registers = 16;
    n.h1 = dmt_host_new(&h);
    must(n.h1);
    o.format = inner;
    o.ad = ad;
    o.frames = RAM;
    o.quota = 2 * QUOTA;
    o.pv = pv;
    for (unsigned t = 0; t < WORLD_THREADS; t++)
        dmt_vm_enter(n.l1, t);
    n.l2 = dmt_vm_new(n.h1, &o);
    must(n.l2);
    n.g = kernel(n.l2, 1200);
    return n;
}

static struct nest nest_new(bool shadow, bool pv, enum dmt_space_format inner, bool ad)
{
    return nest_with(shadow, pv, inner, ad, false);
}

static void nest_free(struct nest *n)
{
    guest_delete(n->g);
    dmt_host_delete(n->h1);
    cr_assert_eq(dmt_host_stats(n->w->host)->granted, dmt_host_stats(n->w->host)->released);
    cr_assert_eq(dmt_buddy_available(dmt_vm_platform(n->l1)->buddy),
                 dmt_buddy_frames(dmt_vm_platform(n->l1)->buddy) -
                     (dmt_vm_platform(n->l1)->tea_extend ? 4 : 0));
    world_free(n->w);
}

static const struct {
    bool shadow, pv;
    enum dmt_space_format inner;
    bool ad;
} nests[] = {
    {false, true, DMT_SPACE_EPT, true},   {true, true, DMT_SPACE_EPT, true},
    {true, true, DMT_SPACE_EPT, false},   {true, true, DMT_SPACE_NPT, false},
    {false, false, DMT_SPACE_NPT, false}, {true, false, DMT_SPACE_EPT, true},
};

Test(nested, translations_are_those_of_the_cascade)
{
    for (unsigned k = 0; k < sizeof nests / sizeof *nests; k++) {
        struct nest n = nest_new(nests[k].shadow, nests[k].pv, nests[k].inner, nests[k].ad);
        struct dmt_result r;

        dmt_vm_enter(n.l2, 0);
        cr_assert_eq(n.w->state[0].mode, DMT_MODE_NESTED);
        cr_assert_eq(n.w->state[0].full, !nests[k].shadow);
        for (uint64_t i = 0; i < n.g->pages; i++)
            expect_page(n.w, n.l1, n.l2, n.g, 0, i, i % 2 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        cr_assert(!nests[k].shadow || dmt_host_stats(n.w->host)->shadow_fills > 0);
        /* With TEAs at every level: three references. */
        dmt_space_settle(dmt_vm_space(n.l2));
        dmt_space_settle(dmt_vm_space(n.l1));
        for (uint64_t i = 0; i < n.g->pages; i++) {
            expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
            world_translate(n.w, 0, (VPN + i) << 12, DMT_ACCESS_READ, &r);
            must(r.refs == (nests[k].pv ? 3 : 5) && r.path[2] == DMT_PATH_TEA && r.path[1] == DMT_PATH_TEA &&
                     r.path[0] == DMT_PATH_TEA,
                 "%u: %u references", k, r.refs);
        }
        dmt_vm_exit(n.l2, 0);
        cr_assert_eq(n.w->state[0].mode, DMT_MODE_VIRT);
        for (unsigned i = 0; i < 16; i++)
            cr_assert_not(n.w->state[0].tea[1][i].valid, "set 1 is the kernel's again");
        /* L0's own exits bring everything back, another machine in between. */
        dmt_vm_enter(n.l2, 0);
        struct dmt_state was = n.w->state[0];
        struct dmt_vm *other = machine(n.w);

        dmt_vm_enter(other, 0);
        dmt_vm_level_csr(other, 0, 1, DMT_LEVEL_S2CTL, DMT_LEVEL_S2CTL_MBEC_MASK);
        dmt_vm_level_csr(other, 0, 1, DMT_LEVEL_S2ROOT, 0x7000);
        dmt_vm_level_csr(other, 0, 1, DMT_LEVEL_PKRU, 7);
        dmt_vm_enter(n.l1, 0);
        cr_assert_eq(n.w->state[0].mode, DMT_MODE_NESTED);
        cr_assert_arr_eq(&was.s2, &n.w->state[0].s2, sizeof was.s2);
        cr_assert_arr_eq(&was.level, &n.w->state[0].level, sizeof was.level);
        for (unsigned i = 0; i < 16; i++) {
            for (unsigned s = 0; s < 3; s++) {
                cr_assert_eq(was.tea[s][i].valid, n.w->state[0].tea[s][i].valid);
                cr_assert(!was.tea[s][i].valid ||
                          !memcmp(&was.tea[s][i], &n.w->state[0].tea[s][i], sizeof was.tea[s][i]));
            }
        }
        for (uint64_t i = 0; i < n.g->pages; i++)
            expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_READ);
        cr_assert_eq(n.w->refused, 0);
        nest_free(&n);
    }
}

Test(nested, frames_move_at_either_level)
{
    for (unsigned k = 0; k < sizeof nests / sizeof *nests; k++) {
        struct nest n = nest_new(nests[k].shadow, nests[k].pv, nests[k].inner, nests[k].ad);
        uint64_t drops, l1_frame;

        dmt_vm_enter(n.l2, 0);
        dmt_vm_enter(n.l2, 1);
        for (uint64_t i = 0; i < n.g->pages; i++)
            expect_page(n.w, n.l1, n.l2, n.g, i % 2, i, DMT_ACCESS_WRITE);
        for (unsigned round = 0; round < 30; round++) {
            uint64_t page = rng(n.g->pages);

            drops = dmt_host_stats(n.w->host)->shadow_drops;
            if (round % 2) {
                cr_assert(dmt_vm_move(n.l2, n.g->frame[page])); /* L1 moves what it gave to L2 */
            } else {
                cr_assert(dmt_vm_backing(n.l2, n.g->frame[page], &l1_frame));
                cr_assert(dmt_vm_move(n.l1, l1_frame)); /* L0 what it gave to L1 */
            }
            cr_assert(!nests[k].shadow || dmt_host_stats(n.w->host)->shadow_drops > drops);
            for (unsigned t = 0; t < WORLD_THREADS; t++) {
                for (uint64_t i = 0; i < n.g->pages; i += 13)
                    expect_page(n.w, n.l1, n.l2, n.g, t, i, DMT_ACCESS_READ);
                expect_page(n.w, n.l1, n.l2, n.g, t, page, DMT_ACCESS_WRITE);
            }
        }
        nest_free(&n);
    }
}

Test(nested, dirty_at_both_levels)
{
    for (unsigned i = 0; i < 3 * sizeof nests / sizeof *nests; i++) {
        bool inner = i % 3 != 0, outer = i % 3 != 1; /* which levels track */
        unsigned k = i / 3;
        struct nest n = nest_new(nests[k].shadow, nests[k].pv, nests[k].inner, nests[k].ad);
        uint64_t *map = calloc(2048, sizeof *map), *map1 = calloc(2048, sizeof *map1), l1_frame;

        dmt_vm_enter(n.l2, 0);
        for (uint64_t i = 0; i < n.g->pages; i++)
            expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
        dmt_vm_track(n.l2, inner);
        dmt_vm_track(n.l1, outer);
        for (unsigned round = 0; round < 3; round++) {
            bool *written = calloc(n.g->pages, sizeof *written);
            uint64_t count = 0;

            for (unsigned i = 0; i < 40; i++) {
                uint64_t page = rng(n.g->pages);
                bool write = rng(2);

                expect_page(n.w, n.l1, n.l2, n.g, 0, page, write ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
                written[page] |= write;
            }
            dmt_vm_dirty(n.l2, map, 2048);
            dmt_vm_dirty(n.l1, map1, 2048);
            for (uint64_t i = 0; i < n.g->pages; i++) {
                uint64_t f = n.g->frame[i];

                cr_assert(dmt_vm_backing(n.l2, f, &l1_frame));
                count += map[f / 64] >> f % 64 & 1;
                must(!inner || !written[i] || (map[f / 64] >> f % 64 & 1), "%u: level 1 missed a write", k);
                must(!outer || !written[i] || (map1[l1_frame / 64] >> l1_frame % 64 & 1),
                     "%u: level 0 missed a write", k);
            }
            cr_assert_leq(count, 40);
            free(written);
        }
        free(map);
        free(map1);
        nest_free(&n);
    }
}

/* L2's writes by the shadow table set no D bit of L0's: tracking that starts finds nothing to clear, but the
 * shadow table must not let them go on unseen. */
Test(nested, tracking_starts_when_no_d_bit_is_set)
{
    struct nest n = nest_new(true, true, DMT_SPACE_EPT, true);
    uint64_t *map = calloc(2048, sizeof *map), f;

    dmt_vm_enter(n.l2, 0);
    for (unsigned round = 0; round < 3; round++) {
        expect_page(n.w, n.l1, n.l2, n.g, 0, 9, DMT_ACCESS_WRITE);
        f = 0;
        cr_assert(dmt_vm_backing(n.l2, n.g->frame[9], &f));
        dmt_vm_track(n.l1, true);
        expect_page(n.w, n.l1, n.l2, n.g, 0, 9, DMT_ACCESS_WRITE);
        dmt_vm_dirty(n.l1, map, 2048);
        cr_assert(map[f / 64] >> f % 64 & 1);
        dmt_vm_track(n.l1, false);
    }
    free(map);
    nest_free(&n);
}

static void on_revoke_inner(void *user, uint16_t id)
{
    dmt_space_revoked(dmt_vm_space(user), id);
}

/* hTEAs of level 1 lie in gTEAs of L0, which takes one back: gone from registers, and from the image. */
Test(nested, tea_of_the_inner_second_stage_is_taken_back)
{
    for (unsigned shadow = 0; shadow < 2; shadow++) {
        struct nest n = nest_new(shadow, true, DMT_SPACE_EPT, true);

        dmt_vm_on_revoke(n.l1, on_revoke_inner, n.l2);
        dmt_vm_enter(n.l2, 0);
        for (uint64_t i = 0; i < n.g->pages; i++)
            expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
        /* No run for RAM and window together: two gTEAs. */
        for (uint64_t i = 0; i < FRAMES; i += 9)
            dmt_buddy_alloc_at(n.w->buddy, i, 1);
        dmt_space_settle(dmt_vm_space(n.l2));
        cr_assert(n.w->state[0].tea[1][0].valid && n.w->state[0].tea[1][1].valid);
        cr_assert_neq(n.w->state[0].tea[1][0].gtea, n.w->state[0].tea[1][1].gtea);
        cr_assert(dmt_vm_revoke(n.l1, n.w->state[0].tea[1][shadow].gtea));
        for (unsigned again = 0; again < 2; again++) {
            cr_assert_not(n.w->state[0].tea[1][shadow].valid);
            cr_assert(n.w->state[0].tea[1][!shadow].valid);
            for (uint64_t i = 0; i < n.g->pages; i++)
                expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
            dmt_vm_exit(n.l2, 0);
            dmt_vm_enter(n.l2, 0);
        }
        nest_free(&n);
    }
}

/* What a hypervisor inside invalidates while L0 has its vCPU off the thread. */
Test(nested, invalidations_while_outside_are_made_up_for)
{
    static const uint64_t kinds[] = {DMT_INV_S2_CONTEXT, DMT_INV_S2_ALL};

    for (unsigned k = 0; k < 4; k++) {
        struct nest n = nest_new(k % 2, true, DMT_SPACE_EPT, true);
        const struct dmt_platform *p = dmt_vm_platform(n.l1);
        unsigned at;

        dmt_vm_enter(n.l2, 0);
        dmt_vm_exit(n.l1, 0);
        at = n.w->logged;
        if (k < 2)
            p->csr(p->user, 0, DMT_LEVEL_INV, kinds[k] << 60 | UINT64_C(1) << 45);
        else
            p->csr(p->user, 0, DMT_LEVEL_S2ROOT, n.w->state[0].s2[1].root | 1);
        cr_assert_eq(n.w->logged, at);
        dmt_vm_enter(n.l1, 0);
        cr_assert_eq(world_count(n.w, at, 0, 1, DMT_LEVEL_INV), 1);
        at = n.w->logged;
        dmt_vm_exit(n.l1, 0);
        dmt_vm_enter(n.l1, 0);
        cr_assert_eq(world_count(n.w, at, 0, 1, DMT_LEVEL_INV), 0);
        nest_free(&n);
    }
}

/* The table of set 2 comes later than nesting: threads that are in the machine get it at once. */
Test(nested, table_of_set_2_is_made_under_running_vcpus)
{
    struct world *w = world_with(32, 0, false);
    struct dmt_vm *vm = machine(w);
    struct made m;

    dmt_vm_enter(vm, 0);
    dmt_vm_enter(vm, 1);
    dmt_vm_level_csr(vm, 0, 2, DMT_LEVEL_PKRU, 1);
    cr_assert_eq(w->state[1].gtea[2].entries, 0);
    m = call1(vm, DMT_CALL_ALLOC | DMT_CALL_INNER, 3, 0);
    cr_assert_eq(m.status, DMT_CALL_OK);
    for (unsigned t = 0; t < WORLD_THREADS; t++)
        cr_assert_eq(w->state[t].gtea[2].entries, 4096);
    world_free(w);
}

/* A thread on which another machine nested: its set 2, table and images are not this machine's. */
Test(nested, level_2_of_another_machine_is_gone)
{
    struct nest n = nest_new(false, true, DMT_SPACE_EPT, true);
    struct dmt_vm *other = machine(n.w);

    dmt_vm_enter(n.l2, 0);
    cr_assert(n.w->state[0].tea[2][0].valid);
    cr_assert_eq(n.w->state[0].gtea[2].entries, 4096);
    dmt_vm_enter(other, 0);
    dmt_vm_level_csr(other, 0, 2, DMT_LEVEL_PKRU, 5);
    cr_assert_eq(n.w->state[0].gtea[2].entries, 0);
    cr_assert_eq(n.w->state[0].level[2].pkru, 5);
    cr_assert_eq(n.w->state[0].level[2].cr3, 0);
    for (unsigned i = 0; i < 16; i++)
        cr_assert_not(n.w->state[0].tea[2][i].valid);
    dmt_vm_enter(n.l1, 0);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_READ);
    nest_free(&n);
}

/* They would share set 2's table, and its IDs. */
Test(nested, one_pv_machine_at_level_1)
{
    struct nest n = nest_new(false, true, DMT_SPACE_EPT, true);
    struct dmt_vm_options o = vm_options();
    struct dmt_host_options h = world_options(n.w);
    struct dmt_host *other;

    cr_assert_null(dmt_vm_new(n.h1, &o));
    o.pv = false;
    cr_assert(dmt_vm_new(n.h1, &o));
    dmt_vm_inner_options(n.l1, &h);
    h.nested_alloc = NULL;
    other = dmt_host_new(&h);
    o.pv = true;
    cr_assert_null(dmt_vm_new(other, &o), "nobody to ask for gTEAs");
    dmt_host_delete(other);
    nest_free(&n);
}

/* gTEAs of the inner machine: owned by it, named in set 2's table alone. */
Test(nested, calls_of_the_inner_machine)
{
    struct nest n = nest_new(false, true, DMT_SPACE_EPT, true);
    struct made m = call1(n.l2, DMT_CALL_ALLOC, 6, 0);
    uint64_t pfn, frames, l0, word = 0;

    dmt_vm_enter(n.l2, 0);
    cr_assert_eq(m.status, DMT_CALL_OK);
    cr_assert(dmt_vm_gtea(n.l2, m.g[0].id, &pfn, &frames));
    cr_assert_eq(frames, 6);
    l0 = host_frame(n.l1, n.l2, m.g[0].pfn);
    dmt_mem_read(n.w->mem, n.w->state[0].gtea[2].table + 16 * m.g[0].id, &word);
    cr_assert_eq(word, l0 << 12 | 1);
    for (uint64_t i = 0; i < 6; i++)
        cr_assert_eq(host_frame(n.l1, n.l2, m.g[0].pfn + i), l0 + i, "contiguous in host memory");
    cr_assert_eq(call1(n.l2, DMT_CALL_FREE, 7, m.g[0].pfn).status, DMT_CALL_NOT_YOURS);
    cr_assert_eq(call1(n.l2, DMT_CALL_ALLOC, 2 * QUOTA, 0).status, DMT_CALL_QUOTA);
    cr_assert_eq(call1(n.l2, DMT_CALL_ALLOC | DMT_CALL_INNER, 1, 0).status, DMT_CALL_BAD_OP);
    cr_assert_eq(call1(n.l2, DMT_CALL_EXTEND, 1, m.g[0].id).status, DMT_CALL_NO_MEMORY);
    cr_assert_eq(call1(n.l2, DMT_CALL_EXTEND, 1, 99).status, DMT_CALL_NOT_YOURS);
    cr_assert_eq(call1(n.l2, DMT_CALL_FREE, 2, m.g[0].pfn + 4).status, DMT_CALL_OK);
    dmt_mem_read(n.w->mem, n.w->state[0].gtea[2].table + 16 * m.g[0].id + 8, &word);
    cr_assert_eq(word, 4);
    cr_assert_eq(call1(n.l2, DMT_CALL_FREE, 4, m.g[0].pfn).status, DMT_CALL_OK);
    dmt_mem_read(n.w->mem, n.w->state[0].gtea[2].table + 16 * m.g[0].id, &word);
    cr_assert_eq(word, 0);
    cr_assert(dmt_buddy_is_free(n.w->buddy, l0));
    /* Merged below: pieces of one gTEA. */
    m = call(n.l2, (struct dmt_call_request[]){{DMT_CALL_ALLOC, 5, 0}, {DMT_CALL_ALLOC, 7, 0}}, 2, 64);
    cr_assert_eq(m.answers, 2);
    cr_assert_eq(m.g[1].id, m.g[0].id);
    cr_assert_eq(m.g[1].inside, 5);
    cr_assert_eq(host_frame(n.l1, n.l2, m.g[1].pfn), host_frame(n.l1, n.l2, m.g[0].pfn) + 5);
    cr_assert(dmt_vm_gtea(n.l2, m.g[0].id, &pfn, &frames));
    cr_assert_eq(frames, 12);
    cr_assert(dmt_vm_backing(n.l2, m.g[0].pfn, &l0));
    cr_assert_eq(pfn, l0);
    nest_free(&n);
}

/* Out of memory in the middle of a grant, at either level: nothing is left over. */
Test(memory_out, calls)
{
    for (uint64_t k = 0; k < 24; k++) {
        struct nest n = nest_new(false, true, DMT_SPACE_EPT, true);
        struct dmt_vm *vm = k % 2 ? n.l2 : n.l1;
        struct dmt_buddy *b = k % 4 < 2 ? n.w->buddy : dmt_vm_platform(n.l1)->buddy;
        uint64_t host, l1, tables;
        struct made m = call1(vm, DMT_CALL_ALLOC, 1, 0); /* the arrays' memory is backed */

        call1(vm, DMT_CALL_FREE, 1, m.g[0].pfn);
        host = dmt_buddy_available(n.w->buddy);
        l1 = dmt_buddy_available(dmt_vm_platform(n.l1)->buddy);
        tables = dmt_space_stats(dmt_vm_space(n.l1))->tables;
        dmt_buddy_fail_after(b, k / 4);
        m = call1(vm, DMT_CALL_ALLOC, 600, 0);
        dmt_buddy_fail_after(b, UINT64_MAX);
        for (uint64_t i = 0; i < m.answers; i++)
            cr_assert_eq(call1(vm, DMT_CALL_FREE, m.g[i].frames, m.g[i].pfn).status, DMT_CALL_OK);
        /* But for tables of the windows, and L1's frames that back its own. */
        tables = dmt_space_stats(dmt_vm_space(n.l1))->tables - tables;
        l1 -= dmt_buddy_available(dmt_vm_platform(n.l1)->buddy);
        cr_assert_leq(l1, 2);
        cr_assert_leq(host - dmt_buddy_available(n.w->buddy), tables + l1);
        nest_free(&n);
    }
}

/* A shadow leaf is no more than what both levels allow. */
Test(nested, shadow_gives_no_more_than_level_1)
{
    struct nest n = nest_new(true, true, DMT_SPACE_EPT, true);
    struct dmt_space *s = dmt_vm_space(n.l2);
    struct dmt_result r;
    unsigned size;
    uint64_t gfn = n.g->frame[3], leaf;

    dmt_vm_enter(n.l2, 0);
    expect_page(n.w, n.l1, n.l2, n.g, 0, 3, DMT_ACCESS_WRITE);
    leaf = dmt_space_leaf(s, gfn, &size);
    dmt_space_exchange(s, gfn, size, leaf & ~UINT64_C(6)); /* R alone */
    dmt_space_flush(s, gfn, 1);
    expect_page(n.w, n.l1, n.l2, n.g, 0, 3, DMT_ACCESS_READ);
    for (unsigned i = 0; i < 4; i++) {
        world_translate(n.w, 0, (VPN + 3) << 12, i % 2 ? DMT_ACCESS_WRITE : DMT_ACCESS_EXECUTE, &r);
        cr_assert_eq(r.status, DMT_STATUS_EPT_VIOLATION);
        cr_assert_eq(r.stage, 1);
        cr_assert_not(dmt_vm_fault(n.l1, 0, &r), "level 1's to handle");
    }
    dmt_space_exchange(s, gfn, size, 0);
    dmt_space_flush(s, gfn, 1);
    world_translate(n.w, 0, (VPN + 3) << 12, DMT_ACCESS_READ, &r);
    while (r.status == DMT_STATUS_EPT_VIOLATION && dmt_vm_fault(n.l1, 0, &r))
        world_translate(n.w, 0, (VPN + 3) << 12, DMT_ACCESS_READ, &r);
    cr_assert_eq(r.status, DMT_STATUS_EPT_VIOLATION, "gone at level 1, gone in the shadow");
    dmt_space_exchange(s, gfn, size, leaf);
    expect_page(n.w, n.l1, n.l2, n.g, 0, 3, DMT_ACCESS_WRITE);
    /* Rights of upper entries count. */
    const struct dmt_platform *p = dmt_vm_platform(n.l1);
    uint64_t at = dmt_space_root(s) << 12, upper;

    for (unsigned level = 4; level > 2; level--)
        at = (p->load(p->user, at + 8 * (gfn >> 9 * (level - 1) & 511)) & UINT64_C(0xffffffffff000));
    at += 8 * (gfn >> 9 & 511);
    upper = p->load(p->user, at);
    p->store(p->user, at, upper & ~UINT64_C(2));
    dmt_space_flush(s, gfn, 1);
    for (unsigned i = 0; i < 20; i++) {
        world_translate(n.w, 0, (VPN + 3) << 12, DMT_ACCESS_WRITE, &r);
        if (r.status != DMT_STATUS_EPT_VIOLATION || !dmt_vm_fault(n.l1, 0, &r))
            break;
    }
    cr_assert_eq(r.status, DMT_STATUS_EPT_VIOLATION);
    p->store(p->user, at, upper);
    expect_page(n.w, n.l1, n.l2, n.g, 0, 3, DMT_ACCESS_WRITE);
    /* A hypervisor that lets its guest execute its own gTEA window: L0 does not. */
    cr_assert(dmt_vm_backing(n.l2, dmt_space_tea(n.g->s, 0).grant.pfn, &at));
    dmt_space_exchange(s, gfn, size, (leaf & ~UINT64_C(0xffffffffff000)) | at << 12);
    dmt_space_flush(s, gfn, 1);
    cr_assert(run(n.w, n.l1, NULL, 0, (VPN + 3) << 12, DMT_ACCESS_READ, &r));
    cr_assert_not(run(n.w, n.l1, NULL, 0, (VPN + 3) << 12, DMT_ACCESS_EXECUTE, &r));
    dmt_space_exchange(s, gfn, size, leaf);
    dmt_space_flush(s, gfn, 1);
    /* What is dropped gives its tables back. */
    upper = dmt_buddy_available(n.w->buddy);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_READ);
    cr_assert_lt(dmt_buddy_available(n.w->buddy), upper);
    at = dmt_host_stats(n.w->host)->violations;
    dmt_space_flush(s, gfn, 1);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_READ);
    dmt_space_flush(s, gfn, 1);
    upper = dmt_buddy_available(n.w->buddy);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_READ);
    cr_assert_lt(dmt_buddy_available(n.w->buddy), upper);
    dmt_space_flush(s, gfn, 1);
    cr_assert_eq(dmt_buddy_available(n.w->buddy), upper);
    cr_assert_eq(dmt_host_stats(n.w->host)->violations, at, "level 0 had backed all");
    nest_free(&n);
}

/* An address that L1's tables of four levels do not reach is L1's to judge, whatever it aliases. */
Test(nested, shadow_of_an_address_too_wide)
{
    struct nest n = nest_new(true, true, DMT_SPACE_EPT, true);
    struct dmt_result r = {.status = DMT_STATUS_EPT_VIOLATION,
                           .stage = 1,
                           .error = 1,
                           .addr = UINT64_C(1) << 48 | n.g->frame[3] << 12};

    dmt_vm_enter(n.l2, 0);
    expect_page(n.w, n.l1, n.l2, n.g, 0, 3, DMT_ACCESS_WRITE);
    cr_assert_not(dmt_vm_fault(n.l1, 0, &r));
    r.addr &= ~(UINT64_C(1) << 48);
    cr_assert(dmt_vm_fault(n.l1, 0, &r));
    nest_free(&n);
}

/* Two machines inside by turns on a thread: neither sees what the shadow table held for the other. */
Test(nested, two_inner_machines_on_a_thread)
{
    for (unsigned k = 0; k < 4; k++) {
        struct nest n = nest_new(k % 2, true, DMT_SPACE_EPT, true);
        struct dmt_vm_options o = vm_options();
        struct dmt_vm *other;
        struct guest *g;

        o.pv = false;
        o.format = k < 2 ? DMT_SPACE_EPT : DMT_SPACE_NPT;
        o.levels = k < 2 ? 4 : 5;
        other = dmt_vm_new(n.h1, &o);
        cr_assert(other);
        g = kernel(other, 300);
        for (unsigned round = 0; round < 6; round++) {
            dmt_vm_enter(round % 2 ? other : n.l2, 0);
            cr_assert_eq(dmt_vm_entered(n.l2, 0), round % 2 == 0);
            for (uint64_t i = 0; i < 300; i++)
                expect_page(n.w, n.l1, round % 2 ? other : n.l2, round % 2 ? g : n.g, 0, i, DMT_ACCESS_WRITE);
        }
        guest_delete(g);
        nest_free(&n);
    }
}

/* L1 maps with 2M pages: leaves of the shadow table are the 4K pages in them. */
Test(nested, large_pages_at_level_1)
{
    for (unsigned shadow = 0; shadow < 2; shadow++) {
        struct nest n = nest_new(shadow, true, DMT_SPACE_EPT, true);
        struct dmt_vm_options o = vm_options();
        struct dmt_vm *vm;
        struct guest *g;

        o.pv = false;
        o.huge = true;
        vm = dmt_vm_new(n.h1, &o);
        g = kernel(vm, 1500);
        dmt_vm_enter(vm, 0);
        for (uint64_t i = 0; i < 1500; i++)
            expect_page(n.w, n.l1, vm, g, 0, i, DMT_ACCESS_WRITE);
        guest_delete(g);
        nest_free(&n);
    }
}

static unsigned shadow_leaf_size(const struct nest *n, uint64_t gfn)
{
    struct dmt_table t = {.mem = n->w->mem, .root = n->w->state[0].shadow.root >> 12, .levels = 4};
    struct dmt_lookup at;

    dmt_table_lookup(&t, gfn << 12, &at);
    must(at.level > 0 && at.entry[at.level] != 0, "frame %u is not in the shadow table", (unsigned)gfn);
    return at.level - 1;
}

/* 2M on 2M is 2M in the shadow table, until one of them is split; and 4K where levels write-protect. */
Test(nested, shadow_leaves_of_2m)
{
    for (unsigned k = 0; k < sizeof nests / sizeof *nests; k++) {
        struct nest n;
        const struct dmt_host_stats *stats;
        uint64_t fills, l1_frame;

        if (!nests[k].shadow)
            continue;
        n = nest_with(true, nests[k].pv, nests[k].inner, nests[k].ad, true);
        stats = dmt_host_stats(n.w->host);
        dmt_vm_enter(n.l2, 0);
        for (unsigned round = 0; round < 8; round++) {
            uint64_t page = rng(n.g->pages), exits;

            for (uint64_t i = 0; i < n.g->pages; i++)
                expect_page(n.w, n.l1, n.l2, n.g, 0, i, round % 2 ? DMT_ACCESS_READ : DMT_ACCESS_WRITE);
            fills = stats->shadow_fills;
            exits = stats->exits;
            for (uint64_t i = 0; i < n.g->pages; i++)
                expect_page(n.w, n.l1, n.l2, n.g, 0, i, round % 2 ? DMT_ACCESS_READ : DMT_ACCESS_WRITE);
            must(stats->shadow_fills == fills && stats->exits == exits);
            if (round == 0) {
                /* Nothing of the size is left over: frames 0 and 512 are of blocks that are mapped whole. */
                must(fills < 32, "%u fills", (unsigned)fills);
                must(shadow_leaf_size(&n, n.g->frame[0]) == DMT_SIZE_2M);
            } else if (round == 2) {
                must(dmt_vm_move(n.l2, n.g->frame[page])); /* L1 splits */
                expect_page(n.w, n.l1, n.l2, n.g, 0, page, DMT_ACCESS_WRITE);
                must(shadow_leaf_size(&n, n.g->frame[page]) == DMT_SIZE_4K);
            } else if (round == 4) {
                must(dmt_vm_backing(n.l2, n.g->frame[0], &l1_frame));
                must(dmt_vm_move(n.l1, l1_frame)); /* L0 splits */
                expect_page(n.w, n.l1, n.l2, n.g, 0, 0, DMT_ACCESS_WRITE);
                must(shadow_leaf_size(&n, n.g->frame[0]) == DMT_SIZE_4K);
            } else if (round == 5) {
                dmt_vm_track(n.l1, true);
                expect_page(n.w, n.l1, n.l2, n.g, 0, page, DMT_ACCESS_READ);
                must(shadow_leaf_size(&n, n.g->frame[page]) == DMT_SIZE_4K);
            } else if (round == 6) {
                dmt_vm_track(n.l1, false);
                dmt_vm_track(n.l2, true);
            }
        }
        must(n.w->refused == 0);
        nest_free(&n);
    }
}

/* Filled ahead: as far as level 1 maps, with its rights, and without an exit afterwards. */
Test(nested, shadow_filled_ahead)
{
    for (unsigned k = 0; k < 2 * sizeof nests / sizeof *nests; k++) {
        bool shadow = nests[k / 2].shadow, huge = k % 2;
        struct nest n = nest_with(shadow, nests[k / 2].pv, nests[k / 2].inner, nests[k / 2].ad, huge);
        const struct dmt_host_stats *stats = dmt_host_stats(n.w->host);
        uint64_t exits, end = UINT64_C(1) << 36, half, all;

        must(dmt_vm_populate_shadow(n.l1, 0, 0, end) == 0, "nothing runs inside");
        dmt_vm_enter(n.l2, 0);
        must(dmt_vm_populate(n.l2, 0, RAM) == RAM);
        exits = stats->exits;
        half = dmt_vm_populate_shadow(n.l1, 0, 0, RAM / 2);
        must(half == (shadow ? RAM / 2 : 0), "%u", (unsigned)half);
        must(dmt_vm_populate_shadow(n.l1, WORLD_THREADS, 0, end) == 0);
        must(dmt_vm_populate_shadow(n.l2, 0, 0, end) == 0, "level 1 has none");
        /* gTEAs are in the window; other tables in the first half of RAM, too. */
        must(!shadow || !nests[k / 2].pv || dmt_vm_populate_shadow(n.l1, 0, RAM, end) > 0);
        must(stats->exits == exits);
        for (uint64_t i = 0; i < n.g->pages && shadow; i++)
            expect_page(n.w, n.l1, n.l2, n.g, 0, i, i % 2 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ);
        must(!shadow || (stats->exits == exits && stats->shadow_exits == 0), "%u exits",
             (unsigned)(stats->exits - exits));
        /* Level 1 is not robbed of writes: its D bits are set, or it has asked for none. */
        must(!shadow || !huge || shadow_leaf_size(&n, n.g->frame[3]) == DMT_SIZE_2M);
        all = dmt_vm_populate_shadow(n.l1, 0, 0, UINT64_MAX);
        must(shadow ? all >= RAM : all == 0);
        dmt_vm_track(n.l2, true);
        if (shadow)
            must(dmt_vm_populate_shadow(n.l1, 0, 0, end) == all);
        for (uint64_t i = 0; i < n.g->pages; i++) {
            uint64_t *map = calloc(2048, sizeof *map);

            if (i % 97 == 0) {
                expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
                dmt_vm_dirty(n.l2, map, 2048);
                must(map[n.g->frame[i] / 64] >> n.g->frame[i] % 64 & 1, "%u: level 1 missed a write", k);
            }
            free(map);
        }
        nest_free(&n);
    }
}

Test(nested, revoked_at_level_1)
{
    struct nest n = nest_new(true, true, DMT_SPACE_EPT, true);
    struct dmt_grant grant = dmt_space_tea(n.g->s, 0).grant;
    uint64_t pfn, frames;

    dmt_vm_on_revoke(n.l2, on_revoke, n.g);
    dmt_vm_enter(n.l2, 0);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
    cr_assert(dmt_vm_gtea(n.l2, grant.id, &pfn, &frames));
    cr_assert(dmt_vm_revoke(n.l2, grant.id));
    cr_assert_not(dmt_vm_gtea(n.l2, grant.id, &pfn, &frames));
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
    guest_settle(n.g);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
    nest_free(&n);
}

/* ------------------------------------------------------------ out of memory, at each allocation in turn */

/* kind 1: 2M pages; 2: and window and RAM under different upper tables. */
static void busy_life(struct world *w, unsigned kind)
{
    struct dmt_vm_options o = vm_options();
    struct dmt_vm *vm;
    struct guest *g;
    struct dmt_result r;
    uint64_t *map = calloc(1024, sizeof *map);

    o.huge = kind > 0;
    o.frames = kind == 2 ? UINT64_C(1) << 18 : RAM;
    vm = dmt_vm_new(w->host, &o);
    if (vm) {
        dmt_vm_enter(vm, 0);
        g = guest_new(dmt_vm_platform(vm), VPN, 600);
        if (g) {
            guest_settle(g);
            dmt_vm_on_revoke(vm, on_revoke, g);
            for (uint64_t i = 0; i < 600; i += 3)
                guest_map(g, i);
            for (uint64_t i = 0; i < 600; i += 3)
                run(w, vm, NULL, 0, (VPN + i) << 12, DMT_ACCESS_WRITE, &r);
            dmt_space_settle(dmt_vm_space(vm));
            dmt_vm_move(vm, g->frame[30]);
            dmt_vm_balloon(vm, g->frame[33]);
            dmt_vm_track(vm, true);
            dmt_vm_dirty(vm, map, 1024);
            if (dmt_space_teas(g->s) > 0)
                dmt_vm_revoke(vm, dmt_space_tea(g->s, 0).grant.id);
            guest_settle(g);
            const char *why = check_isolation(w, &vm, 1);
            must(!why, "%s", why);
            guest_delete(g);
        }
        dmt_vm_delete(vm);
    }
    free(map);
}

Test(memory_out, everything_comes_back_whichever_allocation_fails)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct world *w = world_with(32, 0, false);
        uint64_t before = dmt_buddy_available(w->buddy), n = 0;

        busy_life(w, kind);
        must(dmt_buddy_available(w->buddy) == before);
        for (;; n++) {
            uint64_t pfn;

            dmt_buddy_fail_after(w->buddy, n);
            busy_life(w, kind);
            if (dmt_buddy_alloc(w->buddy, 0, &pfn)) { /* it did not come to the injection: did it? */
                dmt_buddy_release(w->buddy, pfn, 1);
                must(dmt_buddy_available(w->buddy) == before, "failure at %u leaks", (unsigned)n);
            } else {
                break;
            }
        }
        cr_assert_gt(n, kind ? 10 : 200);
        dmt_buddy_fail_after(w->buddy, UINT64_MAX);
        world_free(w);
    }
}

Test(memory_out, no_memory_for_a_shadow_table_means_full)
{
    struct nest n = nest_new(true, true, DMT_SPACE_EPT, true);
    struct dmt_result r;

    dmt_buddy_fail_after(n.w->buddy, 0);
    dmt_vm_enter(n.l2, 0);
    cr_assert(n.w->state[0].full);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_WRITE);
    dmt_vm_exit(n.l2, 0);
    dmt_vm_enter(n.l2, 0);
    cr_assert_not(n.w->state[0].full, "tried again at the next launch");
    for (unsigned k = 0; k < 6; k++) {
        do {
            world_translate(n.w, 0, VPN << 12, DMT_ACCESS_READ, &r);
            dmt_buddy_fail_after(n.w->buddy, k);
        } while (r.status == DMT_STATUS_EPT_VIOLATION && dmt_vm_fault(n.l1, 0, &r));
        dmt_buddy_fail_after(n.w->buddy, UINT64_MAX);
        expect_page(n.w, n.l1, n.l2, n.g, 0, 0, DMT_ACCESS_READ);
        dmt_vm_exit(n.l2, 0);
        dmt_vm_enter(n.l2, 0);
    }
    /* None at all: the table goes, and the launch goes on in FULL. */
    bool *taken = calloc(FRAMES, sizeof *taken);
    dmt_space_flush(dmt_vm_space(n.l2), 0, 1);
    for (uint64_t i = 0; i < FRAMES; i++)
        taken[i] = dmt_buddy_alloc_at(n.w->buddy, i, 1);
    for (unsigned k = 0; k < 4 && !n.w->state[0].full; k++) {
        world_translate(n.w, 0, VPN << 12, DMT_ACCESS_READ, &r);
        cr_assert(dmt_vm_fault(n.l1, 0, &r));
    }
    cr_assert(n.w->state[0].full);
    for (uint64_t i = 0; i < n.g->pages; i++)
        expect_page(n.w, n.l1, n.l2, n.g, 0, i, DMT_ACCESS_READ);
    for (uint64_t i = 0; i < FRAMES; i++) {
        if (taken[i])
            dmt_buddy_release(n.w->buddy, i, 1);
    }
    free(taken);
    nest_free(&n);
}

/* ------------------------------------------------------------ the artifact's hypercall */

Test(defects, free_of_anothers_gtea)
{
    for (unsigned on = 0; on < 2; on++) {
        struct world *w = world_with(32, on ? DMT_CALL_DEFECT_NO_OWNER : 0, false);
        struct dmt_vm *vm[2] = {machine(w), machine(w)};
        struct made m = call1(vm[0], DMT_CALL_ALLOC, 8, 0);
        uint64_t pfn, frames;

        /* Guest frames mean something to their own machine only, and it has none there. */
        cr_assert_eq(call1(vm[1], DMT_CALL_FREE, 8, m.g[0].pfn).status,
                     on ? DMT_CALL_OK : DMT_CALL_NOT_YOURS);
        cr_assert_eq(dmt_vm_gtea(vm[0], m.g[0].id, &pfn, &frames), !on);
        world_free(w);
    }
}

Test(defects, memory_not_zeroed)
{
    for (unsigned on = 0; on < 2; on++) {
        struct world *w = world_with(32, on ? DMT_CALL_DEFECT_NOT_ZEROED : 0, false);
        struct dmt_vm *vm = machine(w);
        const struct dmt_platform *p = dmt_vm_platform(vm);
        struct made m = call1(vm, DMT_CALL_ALLOC, 8, 0);
        bool stale = false;

        p->store(p->user, m.g[0].pfn << 12 | 0x40, 0x1234567);
        call1(vm, DMT_CALL_FREE, 8, m.g[0].pfn);
        m = call1(vm, DMT_CALL_ALLOC, 8, 0);
        for (uint64_t a = 0; a < 8 << 12; a += 8)
            stale |= p->load(p->user, (m.g[0].pfn << 12) + a) != 0;
        cr_assert_eq(stale, on);
        world_free(w);
    }
}

Test(defects, no_quota)
{
    for (unsigned on = 0; on < 2; on++) {
        struct world *w = world_with(32, on ? DMT_CALL_DEFECT_NO_QUOTA : 0, false);
        struct dmt_vm *vm = machine(w);

        cr_assert_eq(call1(vm, DMT_CALL_ALLOC, QUOTA + 1, 0).status, on ? DMT_CALL_OK : DMT_CALL_QUOTA);
        cr_assert_eq(dmt_host_stats(w->host)->granted > QUOTA, on);
        world_free(w);
    }
}

Test(defects, registers_left_resolved)
{
    for (unsigned on = 0; on < 2; on++) {
        struct world *w = world_with(32, on ? DMT_CALL_DEFECT_NO_REVOKE : 0, false);
        struct dmt_vm *vm = machine(w);
        struct guest *g = kernel(vm, 600);
        struct dmt_grant grant = dmt_space_tea(g->s, 0).grant;

        dmt_vm_enter(vm, 0);
        cr_assert_null(check_isolation(w, &vm, 1));
        cr_assert_eq(call1(vm, DMT_CALL_FREE, grant.frames, grant.pfn).status, DMT_CALL_OK);
        cr_assert_eq(check_isolation(w, &vm, 1) != NULL, on);
        guest_delete(g);
        world_free(w);
    }
}
