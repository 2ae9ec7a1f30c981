/* SPDX-License-Identifier: Apache-2.0
 * dmt waves: short directed scenarios on RTL and cycle model in lockstep, for
 * people to look at, and walks read back out of waveforms. What each scenario
 * must show, references and clocks of every walk, is asserted. */
#include "cmd.h"

#include "dmt/regs.h"
#include "dmt/table.h"
#include "inputs.h"
#include "io.h"
#include "tb/csr.h"
#include "tb/lane.h"
#include "tb/walklog.h"
#include "tb/waves.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE 5000 /* clocks without an end that count as a hang */
#define MARGIN   2    /* clocks shown before the first request and after the last answer */
#define WALKS    10
#define ACTS     12

/* ---------------------------------------------------------------- memory and registers
 * Frames: tables of guests come from 0x100 on, at the same address on every
 * level; those of the host from 0x80000 on; data is at 0x4000000 (guest) and
 * 0x4c000000 (host), so that the two can be told apart. */

#define VA          UINT64_C(0x7f0000200000) /* the first page of its 2M */
#define DATA        UINT64_C(0x4c000000)
#define GUEST_DATA  UINT64_C(0x4000000)
#define GUEST_FIRST UINT64_C(0x100)
#define HOST_FIRST  UINT64_C(0x80000)
#define GTEA_TABLE  UINT64_C(0x70000) /* + 0x10 * set: frames of the gTEA tables */
#define PAGES       8                 /* of 4K, mapped in a row from VA on */
#define LEAF        (DMT_PTE_W | DMT_PTE_U | DMT_PTE_A | DMT_PTE_D)
#define GTEA_ID     5

struct world {
    struct dmt_mem *mem;
    struct dmt_pool guest_pool, host_pool;
    struct dmt_state state;
    struct dmt_table table[DMT_SETS_MAX]; /* of each stage */
    uint64_t leaf;                        /* hPA of the entering stage's leaf entry of VA */
};

static bool new_table(struct world *w, unsigned stage, struct dmt_pool *pool)
{
    struct dmt_frames frames = {pool, dmt_pool_alloc};

    return dmt_table_new(&w->table[stage], w->mem, 4, &frames);
}

static bool map(struct world *w, unsigned stage, struct dmt_pool *pool, uint64_t from, uint64_t to,
                unsigned sz, uint64_t flags)
{
    struct dmt_frames frames = {pool, dmt_pool_alloc};

    return dmt_table_map(&w->table[stage], from, to, sz, flags, &frames) == DMT_MAP_OK;
}

/* A register of a stage over what one table of the given level maps: the table is the TEA. */
static struct dmt_tea tea_over(const struct world *w, unsigned stage, uint64_t addr, unsigned sz)
{
    struct dmt_lookup l;
    uint64_t span = dmt_level_bytes(sz + 2);

    dmt_table_lookup(&w->table[stage], addr, &l);
    return (struct dmt_tea){.base_vpn = (addr & ~(span - 1)) >> 12,
                            .pages = span >> 12,
                            .base_pfn = l.addr[sz + 1] >> 12,
                            .sz = (uint8_t)sz,
                            .allow = 7,
                            .valid = true};
}

static void enter(struct world *w, unsigned mode, unsigned level)
{
    w->state.mode = (uint8_t)mode;
    w->state.level[level].cr0 = DMT_LEVEL_CR0_WP_MASK;
    w->state.level[level].efer = DMT_LEVEL_EFER_NXE_MASK;
    w->state.level[level].cr3 = w->table[level].root << 12;
}

/* One process: PAGES pages from VA on. */
static bool process(struct world *w, unsigned stage, struct dmt_pool *pool, uint64_t data, uint64_t flags)
{
    struct dmt_lookup l;

    if (!new_table(w, stage, pool))
        return false;
    for (uint64_t i = 0; i < PAGES; i++)
        if (!map(w, stage, pool, VA + (i << 12), data + (i << 12), DMT_SIZE_4K, flags))
            return false;
    dmt_table_lookup(&w->table[stage], VA, &l);
    w->leaf = l.addr[1];
    return true;
}

static bool native(struct world *w)
{
    if (!process(w, 0, &w->host_pool, DATA, LEAF))
        return false;
    enter(w, DMT_MODE_NATIVE, 0);
    w->state.tea[0][0] = tea_over(w, 0, VA, DMT_SIZE_4K);
    return true;
}

static bool native_clean(struct world *w)
{
    if (!process(w, 0, &w->host_pool, DATA, LEAF & ~DMT_PTE_D))
        return false;
    enter(w, DMT_MODE_NATIVE, 0);
    w->state.tea[0][0] = tea_over(w, 0, VA, DMT_SIZE_4K);
    return true;
}

/* A 2M page, and registers of every size over it: of 1G the entry is a table's, of 4K it is empty. */
static bool native_sizes(struct world *w)
{
    struct dmt_frames frames = {&w->host_pool, dmt_pool_alloc};
    uint64_t empty;

    if (!new_table(w, 0, &w->host_pool) || !map(w, 0, &w->host_pool, VA, DATA, DMT_SIZE_2M, LEAF) ||
        !frames.alloc(frames.user, 1, &empty))
        return false;
    enter(w, DMT_MODE_NATIVE, 0);
    w->state.tea[0][0] = (struct dmt_tea){
        .base_vpn = VA >> 12, .pages = 512, .base_pfn = empty, .sz = DMT_SIZE_4K, .allow = 7, .valid = true};
    w->state.tea[0][1] = tea_over(w, 0, VA, DMT_SIZE_2M);
    w->state.tea[0][2] = tea_over(w, 0, VA, DMT_SIZE_1G);
    return true;
}

/* Stage k below a guest: the guest's tables at their own addresses, data elsewhere. */
static bool second_stage(struct world *w, unsigned k, uint64_t data)
{
    struct dmt_pool *pool = k ? &w->guest_pool : &w->host_pool;

    if (!new_table(w, k, pool))
        return false;
    for (uint64_t pfn = GUEST_FIRST; pfn < GUEST_FIRST + 32; pfn++)
        if (!map(w, k, pool, pfn << 12, pfn << 12, DMT_SIZE_4K, LEAF))
            return false;
    for (uint64_t i = 0; i < PAGES; i++)
        if (!map(w, k, pool, GUEST_DATA + (i << 12), data + (i << 12), DMT_SIZE_4K, LEAF))
            return false;
    w->state.s2[k] = (struct dmt_s2){.root = w->table[k].root << 12, .format = DMT_FORMAT_NPT};
    return true;
}

/* The register of a guest names its leaf table by gTEA ID. */
static bool grant(struct world *w, unsigned set, uint64_t addr)
{
    struct dmt_tea tea = tea_over(w, set, addr, DMT_SIZE_4K);
    uint64_t frame = GTEA_TABLE + 0x10 * set, base = frame << 12;

    if (dmt_mem_add(w->mem, frame) == NULL)
        return false;
    dmt_mem_write(w->mem, base + 16 * GTEA_ID, tea.base_pfn << 12 | 1);
    dmt_mem_write(w->mem, base + 16 * GTEA_ID + 8, 1);
    w->state.gtea[set] = (struct dmt_gtea){.table = base, .entries = GTEA_ID + 1};
    tea.kind = DMT_KIND_GTEA;
    tea.gtea = GTEA_ID;
    tea.resolution = DMT_RESOLUTION_OK;
    tea.gtea_base = tea.base_pfn;
    tea.gtea_pages = 1;
    tea.base_pfn = 0;
    w->state.tea[set][0] = tea;
    return true;
}

static bool guest(struct world *w)
{
    if (!process(w, 1, &w->guest_pool, GUEST_DATA, LEAF) || !second_stage(w, 0, DATA))
        return false;
    enter(w, DMT_MODE_VIRT, 1);
    return true;
}

static bool guest_covered(struct world *w)
{
    if (!guest(w) || !grant(w, 1, VA))
        return false;
    w->state.tea[0][0] = tea_over(w, 0, GUEST_DATA, DMT_SIZE_4K);
    return true;
}

static bool nested_covered(struct world *w)
{
    if (!process(w, 2, &w->guest_pool, GUEST_DATA, LEAF) || !second_stage(w, 1, GUEST_DATA) ||
        !second_stage(w, 0, DATA))
        return false;
    enter(w, DMT_MODE_NESTED, 2);
    w->state.shadow = w->state.s2[0]; /* stage 1 changes no address of what is mapped */
    w->state.tea[0][0] = tea_over(w, 0, GUEST_DATA, DMT_SIZE_4K);
    return grant(w, 1, GUEST_DATA) && grant(w, 2, VA);
}

/* ---------------------------------------------------------------- scenarios */

enum act_kind { NOTHING, ASK, WRITE };

/* What happens at a clock, counted from the first one shown. */
struct act {
    enum act_kind kind;
    unsigned at;
    uint64_t value; /* ASK: virtual address; WRITE: data */
    unsigned what;  /* ASK: access; WRITE: offset */
};

/* What must come of each request. */
struct expected {
    unsigned refs, clocks;
};

struct scene {
    const char *name, *what;
    const char *config;
    unsigned latency; /* of the memory, in clocks */
    bool (*build)(struct world *w);
    struct act act[ACTS];
    unsigned lost; /* exclusive writes that another processor's store makes fail */
};

#define READ(at, va)                                                                                         \
    {                                                                                                        \
        ASK, at, va, DMT_ACCESS_READ                                                                         \
    }
#define STORE(at, va)                                                                                        \
    {                                                                                                        \
        ASK, at, va, DMT_ACCESS_WRITE                                                                        \
    }
#define WORD0_OF_SET_0 (DMT_LEVEL_BASE(0) + DMT_LEVEL_TEA_WORD0(0))

static const struct scene scenes[] = {
    {"native",
     "one reference: a page that a TEA register covers",
     "default",
     4,
     native,
     {READ(0, VA + 0x123)},
     0},
    {"stream",
     "a translation a clock: eight covered pages, one request after another",
     "default",
     4,
     native,
     {READ(0, VA), READ(1, VA + 0x1000), READ(2, VA + 0x2000), READ(3, VA + 0x3000), READ(4, VA + 0x4000),
      READ(5, VA + 0x5000), READ(6, VA + 0x6000), READ(7, VA + 0x7000)},
     0},
    {"pvdmt",
     "two references: a guest whose TEA is in host memory, its host covered too",
     "default",
     4,
     guest_covered,
     {READ(0, VA + 0x123)},
     0},
    {"nested",
     "three references: a guest of a guest, every stage covered",
     "default",
     4,
     nested_covered,
     {READ(0, VA + 0x123)},
     0},
    {"radix",
     "a guest without registers or caches: 24 references",
     "uncached",
     1,
     guest,
     {READ(0, VA + 0x123)},
     0},
    {"sizes",
     "one reference, three parallel reads: TEAs of 1G, 2M and 4K; the 2M one decides",
     "default",
     4,
     native_sizes,
     {READ(0, VA + 0x12345)},
     0},
    {"drain",
     "a register write waits for the walk in flight; the next request is walked without the register",
     "default",
     8,
     native,
     {READ(0, VA + 0x123), {WRITE, 2, 0, WORD0_OF_SET_0}, READ(5, VA + 0x1123)},
     0},
    {"dirty",
     "the first store to a page sets its D bit; another processor's store makes the first attempt fail",
     "default",
     4,
     native_clean,
     {STORE(0, VA + 0x123)},
     1},
    {"bring-up",
     "from reset to a guest's first translation: every register write that it takes",
     "default",
     2,
     guest_covered,
     {READ(0, VA + 0x123)},
     0},
};
#define SCENES (sizeof scenes / sizeof *scenes)

/* References and clocks of each walk, in the order of the requests: all that is
 * asserted about time, in one place. With memory of latency L, n references one
 * after another take n(L + 1) + 1 clocks, each size beyond the first one more, each
 * exclusive read L + 1 more and each exclusive write L + 2. */
static const struct {
    const char *scene;
    struct expected walk[WALKS];
    unsigned held; /* clocks from the CSR write held to its answer; 0: not looked at */
} expectations[] = {
    {"native", {{1, 6}}, 0},
    {"stream", {{1, 6}, {1, 6}, {1, 6}, {1, 6}, {1, 6}, {1, 6}, {1, 6}, {1, 6}}, 0},
    {"pvdmt", {{2, 11}}, 0},
    {"nested", {{3, 16}}, 0},
    {"radix", {{24, 49}}, 0},
    {"sizes", {{1, 7}}, 0},
    {"drain", {{1, 10}, {4, 37}}, 9},
    {"dirty", {{1, 28}}, 0},
    {"bring-up", {{2, 7}}, 0},
};

/* ---------------------------------------------------------------- bring-up: register writes with reasons */

struct reg_write {
    unsigned offset;
    uint64_t value;
    const char *why;
};

#define WRITES 40

static size_t put(struct reg_write *to, size_t n, unsigned offset, uint64_t value, const char *why)
{
    to[n] = (struct reg_write){offset, value, why};
    return n + 1;
}

/* Words of a register in the order that makes it valid: word 0 last. */
static size_t put_tea(struct reg_write *to, size_t n, unsigned set, const struct dmt_tea *tea,
                      const char *why)
{
    uint64_t word[3];
    unsigned base = DMT_LEVEL_BASE(set);

    dmt_tea_pack(tea, word);
    n = put(to, n, base + DMT_LEVEL_TEA_WORD1(0), word[1], why);
    n = put(to, n, base + DMT_LEVEL_TEA_WORD2(0), word[2], "pages of 4K that it covers");
    return put(to, n, base + DMT_LEVEL_TEA_WORD0(0), word[0],
               "first page, all rights of the entries bypassed, P = 1: checked now, and valid");
}

/* A guest's bring-up: first the host's part, then the guest's, the mode last. */
static size_t bring_up(const struct world *w, struct reg_write *to)
{
    const struct dmt_state *s = &w->state;
    size_t n = 0;

    n = put(to, n, DMT_HOST_BASE + DMT_HOST_MAXPA, s->maxpa,
            "physical address width; clears every root and register");
    n = put(to, n, DMT_LEVEL_BASE(0) + DMT_LEVEL_S2CTL, DMT_FORMAT_NPT,
            "host: second-stage tables are NPT, 4 levels");
    n = put(to, n, DMT_LEVEL_BASE(0) + DMT_LEVEL_S2ROOT, s->s2[0].root, "host: their root");
    n = put_tea(to, n, 0, &s->tea[0][0], "host: the TEA of the guest's memory, a host frame");
    n = put(to, n, DMT_HOST_BASE + DMT_HOST_GTEA_TABLE1, s->gtea[1].table, "host: which gTEAs the guest has");
    n = put(to, n, DMT_HOST_BASE + DMT_HOST_GTEA_ENTRIES1, s->gtea[1].entries, "host: how many");
    n = put(to, n, DMT_LEVEL_BASE(1) + DMT_LEVEL_CR0, s->level[1].cr0, "guest: CR0 (WP)");
    n = put(to, n, DMT_LEVEL_BASE(1) + DMT_LEVEL_CR4, s->level[1].cr4, "guest: CR4");
    n = put(to, n, DMT_LEVEL_BASE(1) + DMT_LEVEL_EFER, s->level[1].efer, "guest: EFER (NXE)");
    n = put(to, n, DMT_LEVEL_BASE(1) + DMT_LEVEL_CR3, s->level[1].cr3,
            "guest: root of its tables, a guest address");
    n = put_tea(to, n, 1, &s->tea[1][0], "guest: the TEA of its process, gTEA 5 from its first page on");
    n = put(to, n, DMT_LEVEL_BASE(1) + DMT_LEVEL_EVENT_MASK, DMT_LEVEL_EVENT_REFUSED_MASK,
            "guest: a refused write raises the event pin");
    n = put(to, n, DMT_HOST_BASE + DMT_HOST_EVENT_MASK,
            DMT_HOST_EVENT_REFUSED_MASK | DMT_HOST_EVENT_BUS_MASK | DMT_HOST_EVENT_GTEA_MASK,
            "host: and what it must know of");
    return put(to, n, DMT_HOST_BASE + DMT_HOST_CTL,
               DMT_HOST_CTL_AD_UPDATE_MASK | (uint64_t)DMT_MODE_VIRT << DMT_HOST_CTL_MODE_LSB,
               "mode VIRT, A/D bits set by hardware: requests are translated from now on");
}

/* ---------------------------------------------------------------- playing one */

#define PINS 4096 /* clocks kept for a picture */

struct play {
    const struct scene *scene;
    struct world world;
    struct lane lane;
    struct csr csr;
    struct cosim_source source;
    struct walklog log;
    struct reg_write write[WRITES];
    size_t writes;
    struct dmt_request queue[ACTS]; /* requests not yet taken */
    unsigned head, asked, answered;
    unsigned refs[WALKS]; /* as the judge counts them */
    unsigned judged;
    unsigned lost;
    uint64_t start; /* first clock shown */
    struct dmt_out out[PINS];
    struct dmt_in in[PINS];
    unsigned pins;
    bool waves;
};

static void answer(void *user, uint64_t n, const struct dmt_request *request, const struct dmt_result *result,
                   uint32_t clocks)
{
    struct play *p = user;

    (void)n;
    (void)request;
    (void)clocks;
    if (p->judged < WALKS)
        p->refs[p->judged++] = result->refs;
}

static void no_command(const void *owner, FILE *f)
{
    const struct play *p = owner;

    fprintf(f, "repeat: build/dmt waves %s\n", p->scene->name);
}

static bool world_build(struct world *w, const struct scene *s, const struct dmt_config *config)
{
    w->mem = dmt_mem_new();
    if (w->mem == NULL)
        return false;
    w->guest_pool = (struct dmt_pool){.mem = w->mem, .next = GUEST_FIRST, .limit = GUEST_FIRST + 32};
    w->host_pool = (struct dmt_pool){.mem = w->mem, .next = HOST_FIRST, .limit = HOST_FIRST + 256};
    dmt_state_reset(&w->state, config->pa_w);
    return s->build(w);
}

static bool clock_once(struct play *p, bool keep)
{
    struct lane *l = &p->lane;
    struct dmt_in *in = &l->in;
    const struct dmt_out *out;
    const struct dmt_request *q;

    if (lane_begin(l) != LANE_OK)
        return false;
    agent_drive(&l->agent, in);
    csr_drive(&p->csr, in);
    q = p->head < p->asked ? &p->queue[p->head] : NULL;
    in->req_valid = q != NULL;
    in->req_va = q ? q->va : 0;
    in->req_access = q ? q->access : 0;
    in->req_cpl = q ? q->cpl : 0;
    in->req_nonspec = q ? q->nonspec : 0;
    in->req_tag = q ? p->head : 0;
    in->resp_ready = 1;
    out = lane_out(l);
    if (keep) {
        walklog_clock(&p->log, out, in, false);
        if (p->pins < PINS) {
            p->out[p->pins] = *out;
            p->in[p->pins++] = *in;
        }
    }
    if (out->m_awvalid && in->m_awready && p->lost < p->scene->lost) {
        uint64_t entry = 0;

        /* The other processor sets the software-available bit 9 of the entry: its reservation goes. */
        dmt_mem_read(p->world.mem, out->m_awaddr, &entry);
        agent_poke(&l->agent, out->m_awaddr, entry | UINT64_C(0x200));
        p->lost++;
    }
    if (lane_check(l) != LANE_OK)
        return false;
    p->head += in->req_valid && out->req_ready;
    p->answered += out->resp_valid && in->resp_ready;
    csr_edge(&p->csr, out, in);
    return lane_end(l) == LANE_OK;
}

static bool settle(struct play *p, bool keep)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (csr_idle(&p->csr))
            return true;
        if (!clock_once(p, keep))
            return false;
    }
    say("%s: a register write is not answered", p->scene->name);
    return false;
}

static bool make(struct play *p, const char *waves)
{
    const struct dut_ops *rtl = dut_rtl_find(p->scene->config);
    struct lane *l = &p->lane;
    struct agent_profile profile = agent_profiles[0];

    if (rtl == NULL || !world_build(&p->world, p->scene, &rtl->config)) {
        say("%s: %s", p->scene->name,
            rtl ? "no memory for its page tables" : "its configuration is not in this build");
        return false;
    }
    l->ops = rtl;
    l->ref_ops = &dut_cycle;
    l->config = rtl->config;
    l->command = no_command;
    l->owner = p;
    if (!lane_make(l, true) || !judge_reset(l->judge, &l->config, &l->stats)) {
        say("%s: %s", p->scene->name, cosim_error());
        return false;
    }
    p->source.user = p;
    p->source.answer = answer;
    l->judge->source = &p->source;
    profile.lo = p->scene->latency;
    l->agent.mem = p->world.mem;
    agent_reset(&l->agent, &profile, 0);
    csr_reset(&p->csr, 0);
    l->waves = waves;
    l->waves_first = UINT64_MAX; /* until what is shown begins */
    lane_begin(l);
    lane_edge(l, true);
    return true;
}

/* Program the registers: out of sight, unless that is what is shown. */
static bool program(struct play *p)
{
    bool shown = strcmp(p->scene->name, "bring-up") == 0;
    struct dmt_state have;
    const char *missing;

    if (shown) {
        p->start = p->lane.stats.cycles;
        p->lane.waves_first = p->start;
        if (!walklog_init(&p->log, p->start))
            return false;
        p->writes = bring_up(&p->world, p->write);
        for (size_t i = 0; i < p->writes; i++)
            csr_push(&p->csr, p->write[i].offset, p->write[i].value);
        return settle(p, true);
    }
    dmt_state_reset(&have, p->lane.config.pa_w);
    missing = csr_program(&p->csr, &p->lane.config, &have, &p->world.state);
    if (missing) {
        say("%s: needs %s", p->scene->name, missing);
        return false;
    }
    return settle(p, false);
}

static bool act(struct play *p)
{
    const struct scene *s = p->scene;
    uint64_t first;
    unsigned due = 0, asks = 0, rest = 0;

    for (unsigned i = 0; i < 4; i++) /* roots settle */
        if (!clock_once(p, p->start != 0))
            return false;
    if (p->start == 0) {
        p->start = p->lane.stats.cycles;
        p->lane.waves_first = p->start;
        if (!walklog_init(&p->log, p->start))
            return false;
    }
    for (unsigned i = 0; i < MARGIN; i++)
        if (!clock_once(p, true))
            return false;
    first = p->lane.stats.cycles;
    while (due < ACTS && s->act[due].kind != NOTHING) {
        asks += s->act[due++].kind == ASK;
    }
    due = 0;
    for (unsigned i = 0; i < PATIENCE; i++) {
        for (; due < ACTS && s->act[due].kind != NOTHING && p->lane.stats.cycles - first >= s->act[due].at;
             due++) {
            const struct act *a = &s->act[due];

            if (a->kind == ASK)
                p->queue[p->asked++] = (struct dmt_request){
                    .va = a->value, .access = (uint8_t)a->what, .cpl = 3, .nonspec = true};
            else
                csr_push(&p->csr, a->what, a->value);
        }
        if (!clock_once(p, true))
            return false;
        rest = p->answered == asks && csr_idle(&p->csr) ? rest + 1 : 0;
        if (rest > MARGIN)
            return true;
    }
    say("%s: a request is not answered", s->name);
    return false;
}

/* ---------------------------------------------------------------- what must have happened */

static bool wrong(const struct scene *s, const char *what, unsigned n, uint64_t expected, uint64_t got)
{
    say("%s: %s of walk %u: expected %" PRIu64 ", got %" PRIu64, s->name, what, n, expected, got);
    return false;
}

static bool check(const struct play *p)
{
    const struct scene *s = p->scene;
    size_t e = 0;
    unsigned n = 0;

    while (strcmp(expectations[e].scene, s->name) != 0)
        e++;
    for (; n < WALKS && expectations[e].walk[n].clocks > 0; n++) {
        const struct expected *x = &expectations[e].walk[n];
        const struct walklog_walk *w = &p->log.walk[n];

        if (n >= p->log.walks)
            return wrong(s, "the number", n, n + 1, p->log.walks);
        if (w->status != DMT_STATUS_OK)
            return wrong(s, "status", n, DMT_STATUS_OK, w->status);
        if (w->refs != x->refs || p->refs[n] != x->refs)
            return wrong(s, "references", n, x->refs, w->refs != x->refs ? w->refs : p->refs[n]);
        if (w->clocks != x->clocks)
            return wrong(s, "clocks", n, x->clocks, w->clocks);
    }
    if (p->log.walks != n)
        return wrong(s, "the number", n, n, p->log.walks);
    for (size_t i = 0; i < p->log.csrs; i++) {
        if (p->log.csr[i].resp != DMT_RESP_OKAY)
            return wrong(s, "the answer to a register write", (unsigned)i, DMT_RESP_OKAY, p->log.csr[i].resp);
        if (expectations[e].held && p->log.csr[i].answered - p->log.csr[i].held != expectations[e].held)
            return wrong(s, "clocks until a register write", (unsigned)i, expectations[e].held,
                         p->log.csr[i].answered - p->log.csr[i].held);
    }
    if (p->lost != s->lost)
        return wrong(s, "lost exclusive writes", 0, s->lost, p->lost);
    if (lane_out(&p->lane)->event)
        return wrong(s, "the event pin", 0, 0, 1);
    return true;
}

/* ---------------------------------------------------------------- text */

static void show_reference(FILE *f, const struct walklog_ref *r)
{
    char text[128];

    walklog_reference(r, text, sizeof text);
    fprintf(f, "  %8" PRIu64 " to %-8" PRIu64 "  %-22s %013" PRIx64 " %s %016" PRIx64 "\n", r->from, r->to,
            text, r->addr, r->kind == WALKLOG_WRITE ? "=" : "->", r->data);
}

/* Every walk with its references, then the register writes. Order: that of the walk trace port. */
static bool show(FILE *f, const struct walklog *l)
{
    size_t *first = malloc((l->walks + 1) * sizeof *first), *next = malloc((l->refs + 1) * sizeof *next);
    uint64_t references = 0;
    size_t ended = 0;
    char text[256];

    if (first == NULL || next == NULL) {
        free(first);
        free(next);
        say("out of memory");
        return false;
    }
    for (size_t i = 0; i < l->walks; i++)
        first[i] = SIZE_MAX;
    for (size_t k = l->refs; k-- > 0;) {
        next[k] = first[l->ref[k].walk];
        first[l->ref[k].walk] = k;
    }
    for (size_t i = 0; i < l->walks; i++) {
        const struct walklog_walk *w = &l->walk[i];

        walklog_request(w, text, sizeof text);
        if (w->began == WALKLOG_NEVER)
            fprintf(f, "%s\n", text);
        else
            fprintf(f, "walk %s, from clock %" PRIu64 "%s\n", text,
                    w->taken != WALKLOG_NEVER ? w->taken : w->began, w->context < 0 ? ", no context" : "");
        for (size_t k = first[i]; k != SIZE_MAX; k = next[k])
            show_reference(f, &l->ref[k]);
        if (w->ended == WALKLOG_NEVER) {
            fprintf(f, "  not answered here\n");
            continue;
        }
        walklog_outcome(w, text, sizeof text);
        fprintf(f, "  %s\n", text);
        references += w->reset ? 0 : w->refs;
        ended += !w->reset;
    }
    for (size_t i = 0; i < l->csrs; i++) {
        const struct walklog_csr *c = &l->csr[i];

        walklog_register(c->addr, text, sizeof text);
        fprintf(f, "register write %s = %" PRIx64 ", clock %" PRIu64, text, c->data, c->from);
        if (c->answered == WALKLOG_NEVER)
            fprintf(f, ", not answered here\n");
        else
            fprintf(f, ", answered %s in %" PRIu64 " (%" PRIu64 " after it was held)\n",
                    walklog_resps[c->resp & 3], c->answered, c->answered - c->held);
    }
    fprintf(f, "%zu walk%s answered, %" PRIu64 " reference%s\n", ended, ended == 1 ? "" : "s", references,
            references == 1 ? "" : "s");
    free(first);
    free(next);
    return true;
}

/* ---------------------------------------------------------------- for pictures */

static void put_pins(struct out *o, const struct play *p)
{
#define PIN(side, name)                                                                                      \
    out_printf(o, "  \"" #name "\": [");                                                                     \
    for (unsigned i = 0; i < p->pins; i++)                                                                   \
        out_printf(o, "%s\"%" PRIx64 "\"", i ? "," : "", (uint64_t)p->side[i].name);                         \
    out_printf(o, "],\n");
#define PIN_IN(name, width)  PIN(in, name)
#define PIN_OUT(name, width) PIN(out, name)
#include "dmt/pins.def"
#undef PIN
}

static void put_clock(struct out *o, const struct play *p, const char *name, uint64_t clock)
{
    if (clock == WALKLOG_NEVER)
        out_printf(o, "\"%s\": null, ", name);
    else
        out_printf(o, "\"%s\": %" PRIu64 ", ", name, clock - p->start);
}

/* Pins of every clock shown, walks, references and register writes; clocks from the first one shown. */
static bool put_events(const struct play *p, const char *path)
{
    struct out *o = out_open(path);
    char text[256];

    if (o == NULL)
        return false;
    out_printf(o,
               "{\"scene\": \"%s\", \"what\": \"%s\", \"config\": \"%s\", \"latency\": %u, \"clocks\": %u,\n",
               p->scene->name, p->scene->what, p->scene->config, p->scene->latency, p->pins);
    out_printf(o, " \"pins\": {\n");
    put_pins(o, p);
    out_printf(o, "  \"\": []},\n \"walks\": [");
    for (size_t i = 0; i < p->log.walks; i++) {
        const struct walklog_walk *w = &p->log.walk[i];

        out_printf(o, "%s\n  {\"context\": %d, ", i ? "," : "", w->context);
        put_clock(o, p, "taken", w->taken);
        put_clock(o, p, "began", w->began);
        put_clock(o, p, "ended", w->ended);
        put_clock(o, p, "answered", w->answered);
        walklog_request(w, text, sizeof text);
        out_printf(o, "\"request\": \"%s\", ", text);
        walklog_outcome(w, text, sizeof text);
        out_printf(o, "\"outcome\": \"%s\", \"refs\": %" PRIu32 ", \"clocks\": %" PRIu32 "}", text, w->refs,
                   w->clocks);
    }
    out_printf(o, "],\n \"refs\": [");
    for (size_t i = 0; i < p->log.refs; i++) {
        const struct walklog_ref *r = &p->log.ref[i];

        walklog_reference(r, text, sizeof text);
        out_printf(o, "%s\n  {\"walk\": %" PRIu32 ", ", i ? "," : "", r->walk);
        put_clock(o, p, "from", r->from);
        put_clock(o, p, "to", r->to);
        out_printf(o,
                   "\"context\": %u, \"lane\": %u, \"number\": %" PRIu32
                   ", \"stage\": %u, \"tea\": %s, \"write\": %s, \"surplus\": %s, \"resp\": \"%s\", "
                   "\"text\": \"%s\"}",
                   r->context, r->lane, r->number, r->stage, r->tea ? "true" : "false",
                   r->kind == WALKLOG_WRITE ? "true" : "false", r->kind == WALKLOG_SURPLUS ? "true" : "false",
                   walklog_resps[r->resp & 3], text);
    }
    out_printf(o, "],\n \"register_writes\": [");
    for (size_t i = 0; i < p->log.csrs; i++) {
        const struct walklog_csr *c = &p->log.csr[i];

        walklog_register(c->addr, text, sizeof text);
        out_printf(o, "%s\n  {", i ? "," : "");
        put_clock(o, p, "from", c->from);
        put_clock(o, p, "held", c->held);
        put_clock(o, p, "answered", c->answered);
        out_printf(o, "\"text\": \"%s = %" PRIx64 "\"}", text, c->data);
    }
    out_printf(o, "]}\n");
    return out_commit(o);
}

static void put_word(FILE *f, const struct play *p, uint64_t addr, const char *what)
{
    uint64_t word = 0;

    dmt_mem_read(p->world.mem, addr, &word);
    fprintf(f, "| 0x%010" PRIx64 " | 0x%016" PRIx64 " | %s |\n", addr, word, what);
}

/* The register writes of a bring-up and the memory that they and the walk need, as tables for a document. */
static void put_writes(FILE *f, const struct play *p)
{
    uint64_t grant = p->world.state.gtea[1].table + 16 * GTEA_ID;
    char name[64];

    fprintf(f, "| hPA | word | |\n|---|---|---|\n");
    put_word(f, p, grant, "gTEA 5 of the guest: present, first frame");
    put_word(f, p, grant + 8, "its pages of 4K");
    for (size_t i = 0; i < p->log.refs; i++)
        put_word(f, p, p->log.ref[i].addr,
                 p->log.ref[i].stage ? "the guest's leaf entry, in the gTEA: a guest address"
                                     : "the host's leaf entry for that address");
    fprintf(f, "\n");

    fprintf(f, "| | offset | register | value | |\n|--:|---|---|---|---|\n");
    for (size_t i = 0; i < p->writes; i++) {
        const struct reg_write *w = &p->write[i];

        walklog_register(w->offset, name, sizeof name);
        fprintf(f, "| %zu | 0x%04x | %s | 0x%016" PRIx64 " | %s |\n", i + 1, w->offset, name, w->value,
                w->why);
    }
}

/* ---------------------------------------------------------------- the command */

struct options {
    const char *name, *out, *events, *from;
    bool list, table;
};

enum { O_LIST = 256, O_EVENTS, O_FROM, O_TABLE };

static const struct argp_option option_list[] = {
    {"list", O_LIST, 0, 0, "Names and subjects of the scenarios", 0},
    {"out", 'o', "FILE", 0,
     "Write waves: an FST (name ending in .fst) with lines of text, and its GTKWave view", 0},
    {"events", O_EVENTS, "FILE", 0, "Write the pins of every clock and what they tell, as JSON", 0},
    {"table", O_TABLE, 0, 0, "Print memory and register writes of bring-up as tables, in place of the walks",
     0},
    {"from", O_FROM, "FILE", 0,
     "In place of a scenario: read the walks out of this FST of a simulation of dmt_mmu. With --out, copy it "
     "with "
     "lines of text and a view",
     0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;

    switch (key) {
    case O_LIST:
        o->list = true;
        break;
    case 'o':
        o->out = option_fst(arg, "out", a);
        break;
    case O_EVENTS:
        o->events = arg;
        break;
    case O_TABLE:
        o->table = true;
        break;
    case O_FROM:
        o->from = arg;
        break;
    case ARGP_KEY_ARG:
        if (o->name != NULL)
            argp_error(a, "one scenario at a time: '%s' is the second", arg);
        o->name = arg;
        break;
    case ARGP_KEY_END:
        if ((o->name != NULL) + (o->from != NULL) + o->list != 1)
            argp_error(a, "give a scenario, --from or --list");
        if ((o->events != NULL || o->table) && o->name == NULL)
            argp_error(a, "--events and --table belong to a scenario");
        if (o->table && strcmp(o->name, "bring-up") != 0)
            argp_error(a, "--table belongs to the scenario bring-up");
        if (o->list && o->out != NULL)
            argp_error(a, "--out belongs to a scenario or --from");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static char *help_filter(int key, const char *text, void *input)
{
    char *whole = NULL;
    size_t size;
    FILE *f;

    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC || (f = open_memstream(&whole, &size)) == NULL)
        return (char *)text;
    fprintf(f, "%s\n\nScenarios:\n", text);
    for (size_t i = 0; i < SCENES; i++)
        fprintf(f, "  %-9s %s\n", scenes[i].name, scenes[i].what);
    fclose(f);
    return help_lists(whole);
}

static const struct argp argp = {
    option_list,
    parse_option,
    "[SCENARIO]",
    "Short directed scenarios, RTL beside the cycle model and judged, to look at: prints every walk with its "
    "references and clocks, which must be the expected ones, and writes waves with a prepared GTKWave view."
    "\vExample:\n  dmt waves pvdmt --out pvdmt.fst\n  gtkwave pvdmt.fst pvdmt.gtkw",
    NULL,
    help_filter,
    NULL};

static bool view(const char *fst)
{
    if (lane_write_view(fst, UINT64_MAX))
        return true;
    say("%s", cosim_error());
    return false;
}

static void play_free(struct play *p)
{
    lane_free(&p->lane);
    walklog_free(&p->log);
    dmt_mem_free(p->world.mem);
    free(p);
}

static int play(const struct options *o, const struct scene *s)
{
    struct play *p = calloc(1, sizeof *p);
    int code = EXIT_CHECK;
    bool ended;

    if (p == NULL) {
        say("out of memory");
        return EXIT_BAD_INPUT;
    }
    p->scene = s;
    if (o->out != NULL) { /* better now than after the run */
        FILE *probe = fopen(o->out, "ab");

        if (probe == NULL) {
            say("%s: %s", o->out, strerror(errno));
            play_free(p);
            return EXIT_BAD_INPUT;
        }
        fclose(probe);
    }
    ended = make(p, o->out) && program(p) && act(p);
    lane_end_waves(&p->lane);
    if (ended) {
        walklog_finish(&p->log);
        code = p->log.failed || !check(p) ? EXIT_CHECK : EXIT_OK;
        if (o->table)
            put_writes(stdout, p);
        else if (!show(stdout, &p->log))
            code = EXIT_BAD_INPUT;
        if (o->events != NULL && !put_events(p, o->events))
            code = EXIT_BAD_INPUT;
    }
    if (o->out != NULL && p->pins == 0)
        remove(o->out); /* it did not come to what is shown */
    else if (o->out != NULL && !view(o->out))
        code = EXIT_BAD_INPUT;
    play_free(p);
    return code;
}

static int read_back(const struct options *o)
{
    const char *error;
    struct walklog log;
    struct waves_time time;
    int code = EXIT_OK;

    FILE *probe = fopen(o->from, "rb"); /* the FST reader cannot say why it failed */

    if (probe == NULL) {
        say("%s: %s", o->from, strerror(errno));
        return EXIT_BAD_INPUT;
    }
    fclose(probe);
    if (!walklog_init(&log, 0)) {
        say("out of memory");
        return EXIT_BAD_INPUT;
    }
    if (!waves_log(o->from, &log, &time, &error)) {
        say("%s: %s", o->from, error);
        code = EXIT_BAD_INPUT;
    } else if (o->out != NULL && !waves_annotate(o->from, o->out, &log, &time, &error)) {
        say("%s: %s", o->out, error);
        code = EXIT_BAD_INPUT;
    } else if (o->out != NULL && !view(o->out)) {
        code = EXIT_BAD_INPUT;
    } else if (!show(stdout, &log)) {
        code = EXIT_BAD_INPUT;
    }
    walklog_free(&log);
    return code;
}

int cmd_waves(int argc, char **argv)
{
    struct options o = {0};
    int code = EXIT_BAD_INPUT;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.list) {
        for (size_t i = 0; i < SCENES; i++)
            printf("%-9s %s\n", scenes[i].name, scenes[i].what);
        code = EXIT_OK;
    } else if (o.from != NULL) {
        code = read_back(&o);
    } else {
        const struct scene *s = NULL;

        for (size_t i = 0; i < SCENES; i++)
            if (strcmp(scenes[i].name, o.name) == 0)
                s = &scenes[i];
        if (s == NULL)
            say("'%s' is not a scenario; dmt waves --list names them", o.name);
        else
            code = play(&o, s);
    }
    if (fflush(stdout) != 0) {
        say("(standard output): cannot write");
        return EXIT_BAD_INPUT;
    }
    return code;
}
