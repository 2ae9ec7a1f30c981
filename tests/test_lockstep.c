/* SPDX-License-Identifier: Apache-2.0
 * The harness: RTL and cycle model in lockstep under every kind of memory, and
 * the checkers themselves, each shown to see the fault it is there for. */
#include "dmt/regs.h"
#include "tb/agent.h"
#include "tb/cosim.h"
#include "tb/lockstep.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------ helpers */

static struct cosim_options options(const struct dut_ops *dut, const struct dut_ops *reference,
                                    const char *config)
{
    return (struct cosim_options){ .dut = dut,
                                   .reference = reference,
                                   .config = &dut_rtl_find(config)->config,
                                   .judge = true,
                                   .changes = true,
                                   .seed = 1,
                                   .waves_dir = "" };
}

/* Run with the report kept as text. */
static enum cosim_result run(struct cosim_options *o, struct cosim_stats *s, char *text, size_t size)
{
    char *log = NULL;
    size_t n = 0;
    enum cosim_result result;

    o->log = open_memstream(&log, &n);
    cr_assert_not_null(o->log);
    result = cosim_run(o, s);
    fclose(o->log);
    if (text)
        snprintf(text, size, "%s", log);
    if (result == COSIM_BAD)
        cr_log_error("%s", cosim_error());
    else if (result == COSIM_DIVERGENCE && !text)
        cr_log_error("%s", log);
    free(log);
    return result;
}

/* ------------------------------------------------------------ lockstep */

static void every_profile(const char *config, unsigned seeds, uint64_t cycles)
{
    for (const char *const *p = cosim_profiles; *p; p++) {
        for (unsigned seed = 1; seed <= seeds; seed++) {
            struct cosim_options o = options(dut_rtl_find(config), &dut_cycle, config);
            struct cosim_stats s;

            o.seed = seed * 1000 + (unsigned)(p - cosim_profiles);
            o.profile = *p;
            o.cycles = cycles;
            o.epoch_cycles = cycles / 2;
            cr_assert_eq(run(&o, &s, NULL, 0), COSIM_OK, "%s %s seed %" PRIu64, config, *p, o.seed);
            cr_assert_geq(s.cycles, cycles);
            cr_assert_gt(s.walks, 0);
        }
    }
}

Test(lockstep, smallest)
{
    every_profile("smallest", 3, 8000);
}

Test(lockstep, default_configuration)
{
    every_profile("default", 3, 8000);
}

Test(lockstep, pipelined)
{
    every_profile("pipelined", 3, 8000);
}

Test(lockstep, tiny)
{
    every_profile("tiny", 1, 8000);
}

Test(lockstep, uncached)
{
    every_profile("uncached", 2, 8000);
}

Test(lockstep, largest)
{
    every_profile("largest", 1, 6000);
}

Test(lockstep, every_mode)
{
    for (uint8_t mode = DMT_MODE_NATIVE; mode <= DMT_MODE_NESTED; mode++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct cosim_options o = options(dut_rtl_find("default"), &dut_cycle, "default");
            struct cosim_stats s;

            o.mode = mode;
            o.seed = seed;
            o.cycles = 20000;
            o.epoch_cycles = 5000;
            cr_assert_eq(run(&o, &s, NULL, 0), COSIM_OK, "mode %u seed %" PRIu64, mode, seed);
            cr_assert_gt(s.walks, 0);
        }
    }
}

Test(lockstep, mode_that_is_not_there)
{
    struct cosim_options o = options(&dut_cycle, NULL, "smallest");

    o.mode = DMT_MODE_NESTED;
    cr_assert_eq(cosim_run(&o, NULL), COSIM_BAD);
    cr_assert_str_eq(cosim_error(), "mode nested needs more register sets than the configuration has");
    o.cycles = 5000;
    o.mode = 0; /* what there is */
    cr_assert_eq(run(&o, NULL, NULL, 0), COSIM_OK);
}

Test(lockstep, mixed_memories)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct cosim_options o = options(dut_rtl_find("default"), &dut_cycle, "default");

        o.seed = seed;
        o.cycles = 60000;
        o.epoch_cycles = 5000;
        cr_assert_eq(run(&o, NULL, NULL, 0), COSIM_OK, "seed %" PRIu64, seed);
    }
}

Test(lockstep, without_changes)
{
    struct cosim_options o = options(dut_rtl_find("default"), &dut_cycle, "default");
    struct cosim_stats s;

    o.changes = false;
    o.walks = 3000;
    cr_assert_eq(run(&o, &s, NULL, 0), COSIM_OK);
    cr_assert_geq(s.walks, 3000);
    cr_assert_eq(s.pokes, 0);
    cr_assert_eq(s.requests, s.walks);
}

/* The judged stimuli reach every situation they are made for. */
Test(lockstep, coverage)
{
    static const char *const configs[] = { "default", "smallest" };
    uint64_t cover[COSIM_COVERS] = { 0 };

    for (unsigned c = 0; c < 2; c++) {
        for (uint64_t seed = 1; seed <= (c ? 1 : 10); seed++) {
            struct cosim_options o = options(&dut_cycle, NULL, configs[c]);
            struct cosim_stats s;

            o.seed = seed;
            o.cycles = 600000;
            cr_assert_eq(run(&o, &s, NULL, 0), COSIM_OK, "%s seed %" PRIu64, configs[c], seed);
            for (unsigned i = 0; i < COSIM_COVERS; i++)
                cover[i] += s.cover[i];
        }
    }
    for (unsigned i = 0; i < COSIM_COVERS; i++)
        cr_expect_gt(cover[i], 0, "never met: %s", cosim_cover_text[i]);
}

/* A run is a pure function of its seed. */
Test(lockstep, repeatable)
{
    struct cosim_options o = options(&dut_cycle, NULL, "default");
    struct cosim_stats s[3];
    uint64_t hash[3];
    char path[64];

    snprintf(path, sizeof(path), "/tmp/dmt-repeatable-%d", (int)getpid());
    o.record = path;
    o.cycles = 30000;
    for (unsigned i = 0; i < 3; i++) {
        o.seed = i < 2 ? 11 : 12;
        cr_assert_eq(run(&o, &s[i], NULL, 0), COSIM_OK);
        s[i].seconds = 0;
        hash[i] = cosim_record_hash();
    }
    unlink(path);
    strcat(path, ".vh");
    unlink(path);
    cr_assert_eq(hash[0], hash[1]);
    cr_assert_eq(memcmp(&s[0], &s[1], sizeof(s[0])), 0);
    cr_assert_neq(hash[0], hash[2]);
}

Test(lockstep, stops_when_asked)
{
    static volatile sig_atomic_t stop = 1;
    struct cosim_options o = options(&dut_cycle, NULL, "default");

    o.stop = &stop;
    cr_assert_eq(run(&o, NULL, NULL, 0), COSIM_STOPPED);
}

Test(lockstep, unknown_profile)
{
    struct cosim_options o = options(&dut_cycle, NULL, "default");

    o.profile = "fixed-0";
    cr_assert_eq(cosim_run(&o, NULL), COSIM_BAD);
    cr_assert_str_eq(cosim_error(), "fixed-0: no such memory profile");
}

/* ------------------------------------------------------------ faulty devices */

/* The cycle model with something wrong on its pins from cycle `from` on. */
enum fault {
    F_PIN,            /* bits of one pin, for one cycle */
    F_PIN_WHILE,      /* bits of one pin while another is high, `length` cycles long */
    F_LOST_RESPONSE,
    F_DOUBLE_RESPONSE,
    F_MISREAD,        /* uses other data than was on the bus, and shows the bus data on the trace port */
    F_NO_WRITE,       /* A/D writes never reach the bus, yet it goes on as if they had */
    F_WRONG_WRITE,    /* A/D writes change another bit as well */
    F_REGISTER,       /* stores a TEA base that is one page off */
    F_NO_INVALIDATE,  /* INV has no effect */
    F_NO_S2_INVALIDATE, /* INV of second stages has no effect */
    F_FALLBACK,       /* takes the other fallback of NESTED */
    F_OTHER_ID,       /* resolves the gTEA next to the one that software named */
    F_MISLOAD,        /* takes other words from gTEA tables and images than were on the bus */
    F_LOAD_ADDRESS,   /* reads other words of gTEA tables and images */
    F_LOAD_ON,        /* takes bus errors there for answers */
    F_OTHER_IMAGE,    /* loads the image next to the one that software named */
    F_SURPLUS_ADDRESS, /* reads something else in place of a smaller size's entry that nobody waits for */
    F_SURPLUS_LOST,   /* does not read it */
    F_SURPLUS_FREE,   /* does not wait for it when its context is used again or a register written */
    F_NO_REQUEST,     /* takes a request and forgets it */
    F_HANG,           /* takes no beat any more */
};

static struct {
    enum fault kind;
    unsigned pin, while_pin; /* index into struct dmt_out */
    uint64_t mask, from, length;
} fault;

struct faulty {
    struct dmt_cycle *model;
    struct dmt_out out, last_answer;
    uint64_t now;
    bool done, misread;
    uint64_t true_data;
    uint64_t swallowed_id[64];
    unsigned swallowed, aw_swallowed;
    uint64_t in_flight;
    uint16_t aw[64]; /* addresses of CSR writes, by number */
    unsigned aws, ws;
    unsigned open[256]; /* by ID: reads on the bus of requests in flight, or that were */
    unsigned owed[256]; /* by ID: of these, those that the model believes answered */
    unsigned fake[256]; /* by ID: reads that never were on the bus and are to be answered */
    bool since;         /* an address has been on the pins without a pause since requests were in flight */
    bool waits;         /* the address on the pins was not taken in the cycle before */
    bool hidden;        /* the model's address, in this cycle */
};

enum { OUT_PINS = sizeof(struct dmt_out) / sizeof(uint64_t) };

static const struct {
    const char *name;
    unsigned width;
} out_pins[] = {
#define PIN_IN(name, width)
#define PIN_OUT(name, width) { #name, width },
#include "dmt/pins.def"
};

static unsigned pin_index(const char *name)
{
    for (unsigned i = 0; i < OUT_PINS; i++) {
        if (strcmp(out_pins[i].name, name) == 0)
            return i;
    }
    cr_assert(false, "no pin %s", name);
    return 0;
}

static void flip(struct dmt_out *out, unsigned pin, uint64_t mask)
{
    uint64_t word[OUT_PINS];

    memcpy(word, out, sizeof(word));
    word[pin] ^= mask;
    memcpy(out, word, sizeof(word));
}

static uint64_t pin_value(const struct dmt_out *out, unsigned pin)
{
    uint64_t word[OUT_PINS];

    memcpy(word, out, sizeof(word));
    return word[pin];
}

static void *faulty_create(const struct dmt_config *config)
{
    struct faulty *f = calloc(1, sizeof(*f));

    f->model = dmt_cycle_new(config);
    f->out = *dmt_cycle_out(f->model);
    return f;
}

static void faulty_destroy(void *self)
{
    struct faulty *f = self;

    dmt_cycle_free(f->model);
    free(f);
}

static const struct dmt_out *faulty_out(void *self)
{
    return &((struct faulty *)self)->out;
}

static void clear_response(struct dmt_out *o)
{
#define PIN_IN(name, width)
#define PIN_OUT(name, width) \
    if (strncmp(#name, "resp_", 5) == 0) \
        o->name = 0;
#include "dmt/pins.def"
}

static void copy_response(struct dmt_out *o, const struct dmt_out *from)
{
#define PIN_IN(name, width)
#define PIN_OUT(name, width) \
    if (strncmp(#name, "resp_", 5) == 0) \
        o->name = from->name;
#include "dmt/pins.def"
}

/* The address of the CSR write whose data is taken now, or all ones when it comes after the data. */
static unsigned written(struct faulty *f, const struct dmt_in *in)
{
    unsigned addr = ~0u;

    if (in->s_awvalid && f->out.s_awready)
        f->aw[f->aws++ % 64] = (uint16_t)in->s_awaddr;
    if (in->s_wvalid && f->out.s_wready) {
        addr = f->ws < f->aws ? f->aw[f->ws % 64] : ~0u;
        f->ws++;
    }
    return addr;
}

/* An answer for the model that nobody gave: to a read of an ID with count[id] over but[id]. */
static void invent(struct dmt_in *in, const unsigned *count, const unsigned *but, unsigned *told)
{
    for (unsigned id = 0; id < 256 && !in->m_rvalid; id++) {
        if (count[id] <= (but ? but[id] : 0))
            continue;
        in->m_rvalid = in->m_rlast = 1;
        in->m_rid = id;
        in->m_rresp = DMT_RESP_OKAY;
        in->m_rdata = 0;
        *told = id;
    }
}

/* What the model gets to see instead of the pins. */
static void spoil_inputs(struct faulty *f, struct dmt_in *in)
{
    const struct dmt_out *shown = &f->out;
    bool active = f->now >= fault.from;
    unsigned addr = written(f, in);
    uint64_t taken = (in->req_valid && shown->req_ready) - (shown->resp_valid && in->resp_ready);
    bool r = in->m_rvalid && shown->m_rready;
    unsigned id = (unsigned)in->m_rid, told = 256;

    f->waits = shown->m_arvalid && !in->m_arready && !f->hidden;
    if (shown->m_arvalid && in->m_arready && !f->hidden)
        f->open[shown->m_arid] += f->in_flight != 0;
    if (r && f->open[id])
        f->open[id]--;
    switch (fault.kind) {
    case F_SURPLUS_LOST:
        if (f->hidden) {
            in->m_arready = 1;
            f->fake[dmt_cycle_out(f->model)->m_arid]++;
        }
        if (dmt_cycle_out(f->model)->m_rready)
            invent(in, f->fake, NULL, &told);
        if (told < 256)
            f->fake[told]--;
        break;
    case F_SURPLUS_FREE:
        if (in->m_rvalid && f->owed[id]) {
            f->owed[id] -= r;
            in->m_rvalid = 0;
        } else if (active && !f->in_flight && dmt_cycle_out(f->model)->m_rready) {
            invent(in, f->open, f->owed, &told);
            if (told < 256)
                f->owed[told]++;
        }
        break;
    case F_LOST_RESPONSE:
        if (active && !f->done && dmt_cycle_out(f->model)->resp_valid) {
            in->resp_ready = 1;
            f->done = true;
        }
        break;
    case F_DOUBLE_RESPONSE:
        if (f->misread) { /* the pins show the answer of the cycle before, not the model's */
            in->resp_ready = 0;
            f->misread = false;
            f->done = true;
        } else if (active && !f->done && shown->resp_valid && in->resp_ready) {
            f->last_answer = *shown;
            f->misread = true;
        }
        break;
    case F_MISREAD:
        f->misread = active && in->m_rvalid && shown->m_rready && in->m_rresp < 2 && (in->m_rdata & 1);
        f->true_data = in->m_rdata;
        if (f->misread)
            in->m_rdata ^= fault.mask;
        break;
    case F_NO_WRITE:
        if (!active)
            break;
        in->m_awready = in->m_wready = 1;
        if (dmt_cycle_out(f->model)->m_awvalid)
            f->swallowed_id[f->swallowed++ % 64] = dmt_cycle_out(f->model)->m_awid;
        in->m_bvalid = f->aw_swallowed < f->swallowed;
        in->m_bresp = in->m_bvalid ? DMT_RESP_EXOKAY : 0;
        in->m_bid = in->m_bvalid ? f->swallowed_id[f->aw_swallowed % 64] : 0;
        f->aw_swallowed += in->m_bvalid;
        break;
    case F_REGISTER:
        if (active && (addr & 0x7818) == DMT_LEVEL_TEA_WORD1(0))
            in->s_wdata ^= 1 << 12;
        break;
    case F_NO_INVALIDATE: /* a PCID that nobody has */
        if (active && addr == DMT_LEVEL_INV && in->s_wdata >> DMT_LEVEL_INV_KIND_LSB < DMT_INV_S2_CONTEXT)
            in->s_wdata = (uint64_t)DMT_INV_CONTEXT << DMT_LEVEL_INV_KIND_LSB | DMT_LEVEL_INV_PCID_MASK;
        break;
    case F_NO_S2_INVALIDATE: /* a tag that nobody has */
        if (active && (addr & ~0x3000u) == DMT_LEVEL_INV &&
            in->s_wdata >> DMT_LEVEL_INV_KIND_LSB >= DMT_INV_S2_CONTEXT)
            in->s_wdata = (uint64_t)DMT_INV_S2_CONTEXT << DMT_LEVEL_INV_KIND_LSB | DMT_LEVEL_INV_PCID_MASK;
        break;
    case F_FALLBACK:
        if (active && addr == DMT_HOST_BASE + DMT_HOST_CTL)
            in->s_wdata ^= DMT_HOST_CTL_FALLBACK_MASK;
        break;
    case F_OTHER_ID:
        if (active && (addr & ~0x7e0u) == DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD1(0))
            in->s_wdata ^= 1;
        break;
    case F_MISLOAD:
        if (active && !f->in_flight && in->m_rvalid && shown->m_rready)
            in->m_rdata ^= fault.mask;
        break;
    case F_LOAD_ON:
        if (active && !f->in_flight && in->m_rvalid)
            in->m_rresp = DMT_RESP_OKAY;
        break;
    case F_OTHER_IMAGE:
        if (active && (addr & ~0x3000u) == DMT_LEVEL_LOAD)
            in->s_wdata ^= 1;
        break;
    case F_NO_REQUEST:
        if (active && !f->done && in->req_valid && shown->req_ready) {
            in->req_valid = 0;
            f->done = true;
        }
        break;
    case F_HANG:
        if (active)
            in->m_rvalid = 0;
        break;
    default:
        break;
    }
    f->in_flight += taken;
}

static void spoil_outputs(struct faulty *f)
{
    struct dmt_out *o = &f->out;
    bool active = f->now >= fault.from;
    bool surplus = o->m_arvalid && !f->in_flight && f->since; /* nobody waits for what is read */

    f->since = o->m_arvalid && (f->in_flight || f->since);
    switch (fault.kind) {
    case F_PIN:
        if (f->now == fault.from)
            flip(o, fault.pin, fault.mask);
        break;
    case F_PIN_WHILE:
        if (active && f->now < fault.from + fault.length && pin_value(o, fault.while_pin))
            flip(o, fault.pin, fault.mask);
        break;
    case F_LOST_RESPONSE:
        if (active && !f->done)
            clear_response(o);
        break;
    case F_DOUBLE_RESPONSE:
        if (f->misread)
            copy_response(o, &f->last_answer);
        break;
    case F_MISREAD:
        if (f->misread)
            o->wt_ref_data = f->true_data;
        break;
    case F_NO_WRITE:
        if (active)
            o->m_awvalid = o->m_awid = o->m_awaddr = o->m_wvalid = o->m_wdata = 0;
        break;
    case F_WRONG_WRITE:
        if (active && o->m_wvalid)
            o->m_wdata ^= fault.mask;
        if (active && o->wt_upd_valid)
            o->wt_upd_data ^= fault.mask;
        break;
    case F_LOAD_ADDRESS:
        if (active && !f->in_flight && !surplus && o->m_arvalid)
            o->m_araddr ^= fault.mask;
        break;
    case F_SURPLUS_ADDRESS:
        f->done = o->m_arvalid && (f->waits ? f->done : active && surplus);
        if (f->done)
            o->m_araddr ^= fault.mask;
        break;
    case F_SURPLUS_LOST:
        f->hidden = active && surplus && !f->waits;
        if (f->hidden)
            o->m_arvalid = o->m_arid = o->m_araddr = o->m_arlock = 0;
        break;
    default:
        break;
    }
}

static void faulty_edge(void *self, const struct dmt_in *in, bool rst)
{
    struct faulty *f = self;
    struct dmt_in mine = *in;

    if (rst) {
        f->swallowed = f->aw_swallowed = f->in_flight = 0;
        f->aws = f->ws = 0;
        f->misread = f->hidden = f->since = f->waits = false;
        memset(f->open, 0, sizeof(f->open));
        memset(f->owed, 0, sizeof(f->owed));
        memset(f->fake, 0, sizeof(f->fake));
    } else {
        spoil_inputs(f, &mine);
    }
    dmt_cycle_edge(f->model, &mine, rst);
    f->now++;
    f->out = *dmt_cycle_out(f->model);
    if (!rst)
        spoil_outputs(f);
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

/* ------------------------------------------------------------ the checkers see faults */

/* Without a fault the wrapper changes nothing: what follows is caused by the faults. */
Test(checkers, quiet_without_fault)
{
    struct cosim_options o = options(&faulty, &dut_cycle, "default");

    fault.kind = F_PIN;
    fault.from = UINT64_MAX;
    o.cycles = 100000;
    cr_assert_eq(run(&o, NULL, NULL, 0), COSIM_OK);
}

/* One wrong bit on one pin in one cycle: found in that cycle, on that pin, in
 * both devices' roles. */
Test(checkers, every_pin_every_role)
{
    for (unsigned pin = 0; pin < OUT_PINS; pin++) {
        for (unsigned role = 0; role < 2; role++) {
            struct cosim_options o =
                role ? options(&dut_cycle, &faulty, "default") : options(&faulty, &dut_cycle, "default");
            struct cosim_stats s;
            char text[8192], want[64];

            fault.kind = F_PIN;
            fault.pin = pin;
            fault.from = 2345 + pin;
            fault.mask = 1ull << (pin % out_pins[pin].width);
            o.judge = false;
            o.cycles = 4000;
            cr_assert_eq(run(&o, &s, text, sizeof(text)), COSIM_DIVERGENCE, "%s not seen",
                         out_pins[pin].name);
            snprintf(want, sizeof(want), "  signal %s: expected ", out_pins[pin].name);
            cr_assert(strstr(text, want), "%s: %s", out_pins[pin].name, text);
            snprintf(want, sizeof(want), "cycle %" PRIu64 " ", fault.from);
            cr_assert(strstr(text, want), "%s: %s", out_pins[pin].name, text);
            cr_assert_eq(s.divergences, 1);
        }
    }
}

/* The pin that says when this pin means something. */
static unsigned valid_of(unsigned pin)
{
    static const char *const valids[] = { "resp_valid",   "m_arvalid",    "m_awvalid",    "m_wvalid",
                                          "s_bvalid",     "s_rvalid",     "wt_req_valid", "wt_ref_valid",
                                          "wt_upd_valid", "wt_end_valid" };

    for (unsigned i = 0; i < sizeof(valids) / sizeof(*valids); i++) {
        if (strncmp(out_pins[pin].name, valids[i], strlen(valids[i]) - strlen("valid")) == 0)
            return pin_index(valids[i]);
    }
    return OUT_PINS;
}

/* The judge alone, without a second device: every pin that carries meaning,
 * lowest and highest bit, wrong while it is valid. */
Test(checkers, judge_sees_every_payload)
{
    for (unsigned pin = 0; pin < OUT_PINS; pin++) {
        unsigned valid = valid_of(pin);

        if (valid == OUT_PINS || valid == pin || strstr(out_pins[pin].name, "ready"))
            continue;
        for (unsigned high = 0; high < 2; high++) {
            struct cosim_options o = options(&faulty, NULL, "default");

            o.config = &dut_rtl_find("largest")->config; /* every pin as wide as it gets */
            fault.kind = F_PIN_WHILE;
            fault.pin = pin;
            fault.while_pin = valid;
            fault.mask = high ? 1ull << (out_pins[pin].width - 1) : 1;
            fault.from = 3000;
            fault.length = UINT64_MAX / 2;
            o.cycles = 400000;
            o.profile = "uniform";
            cr_assert_eq(run(&o, NULL, (char[2]){ 0 }, 2), COSIM_DIVERGENCE, "%s, mask 0x%" PRIx64,
                         out_pins[pin].name, fault.mask);
        }
    }
}

/* Handshakes that the device does not mean, seen by the judge or the watchdog. */
Test(checkers, judge_sees_every_handshake)
{
    static const char *const pins[] = {
        "req_ready", "resp_valid", "m_arvalid", "m_rready",     "m_awvalid",    "m_wvalid",
        "m_bready",  "s_awready",  "s_wready",  "s_bvalid",     "s_arready",    "s_rvalid",
        "event",     "wt_req_valid", "wt_ref_valid", "wt_upd_valid", "wt_end_valid",
    };

    for (unsigned i = 0; i < sizeof(pins) / sizeof(*pins); i++) {
        struct cosim_options o = options(&faulty, NULL, "default");

        fault.kind = F_PIN_WHILE;
        fault.pin = pin_index(pins[i]);
        fault.while_pin = pin_index("m_bready"); /* always high */
        fault.mask = 1;
        fault.from = 3000;
        fault.length = 20000;
        o.cycles = 100000;
        o.profile = "zero-wait";
        o.watchdog = 3000;
        cr_assert_eq(run(&o, NULL, (char[2]){ 0 }, 2), COSIM_DIVERGENCE, "%s", pins[i]);
    }
}

/* profile: of the memory, NULL: all. or: other words that the judge may say as well, or NULL. */
static void judge_must_see_either(uint8_t mode, const char *profile, enum fault kind, uint64_t mask,
                                  const char *says, const char *or)
{
    struct cosim_options o = options(&faulty, NULL, "default");
    char text[16384];

    o.profile = profile;

    fault.kind = kind;
    fault.mask = mask;
    fault.from = 3000;
    o.mode = mode;
    o.cycles = 1000000;
    o.watchdog = 5000;
    cr_assert_eq(run(&o, NULL, text, sizeof(text)), COSIM_DIVERGENCE);
    cr_assert(strstr(text, says) || (or && strstr(text, or)), "expected \"%s\" in:\n%s", says, text);
}

static void judge_must_see_in(uint8_t mode, enum fault kind, uint64_t mask, const char *says)
{
    judge_must_see_either(mode, NULL, kind, mask, says, NULL);
}

static void judge_must_see(enum fault kind, uint64_t mask, const char *says)
{
    judge_must_see_in(0, kind, mask, says);
}

Test(checkers, lost_response)
{
    judge_must_see(F_LOST_RESPONSE, 0, "an answer on the trace port is offered at once");
}

Test(checkers, doubled_response)
{
    judge_must_see(F_DOUBLE_RESPONSE, 0, "answer");
}

Test(checkers, forgotten_request)
{
    judge_must_see(F_NO_REQUEST, 0, "not the request taken from the port");
}

Test(checkers, misread_frame)
{
    judge_must_see(F_MISREAD, 1 << 13, "expected");
}

Test(checkers, misread_present)
{
    judge_must_see(F_MISREAD, 1, "expected");
}

Test(checkers, misread_write_right)
{
    judge_must_see(F_MISREAD, 2, "expected");
}

Test(checkers, misread_no_execute)
{
    judge_must_see(F_MISREAD, 1ull << 63, "expected");
}

Test(checkers, misread_accessed)
{
    judge_must_see(F_MISREAD, 1 << 5, "expected");
}

Test(checkers, unwritten_update)
{
    judge_must_see(F_NO_WRITE, 0, "no B beat is left to be used");
}

Test(checkers, wrong_update)
{
    judge_must_see(F_WRONG_WRITE, 1 << 9, "wrong A/D write");
}

Test(checkers, wrong_register)
{
    judge_must_see(F_REGISTER, 0, "expected");
}

/* A walk that starts from what should be gone: at a table that nobody names
 * any more, or that its walk has found elsewhere. */
static void stale(uint8_t mode, enum fault kind)
{
    judge_must_see_either(mode, NULL, kind, 0, "memory that was not granted", "no cached entry may send it");
}

Test(checkers, ignored_invalidation)
{
    stale(DMT_MODE_NATIVE, F_NO_INVALIDATE);
}

Test(checkers, ignored_invalidation_of_second_stages)
{
    stale(DMT_MODE_VIRT, F_NO_S2_INVALIDATE);
    stale(DMT_MODE_NESTED, F_NO_S2_INVALIDATE);
}

Test(checkers, wrong_fallback)
{
    judge_must_see_in(DMT_MODE_NESTED, F_FALLBACK, 0, "expected");
}

Test(checkers, wrong_gtea_resolved)
{
    judge_must_see_in(DMT_MODE_NESTED, F_OTHER_ID, 0, "reads of memory are not those that the write");
}

Test(checkers, wrong_image)
{
    judge_must_see_in(DMT_MODE_VIRT, F_OTHER_IMAGE, 0, "a read outside of the gTEA table and the image");
}

/* Words of the right image, but not those that a load reads, or not in its order. */
Test(checkers, wrong_words_of_an_image)
{
    judge_must_see_in(DMT_MODE_NATIVE, F_LOAD_ADDRESS, 8, "reads of memory are not those that the write");
    judge_must_see_in(DMT_MODE_NATIVE, F_LOAD_ADDRESS, 16, "reads of memory are not those that the write");
}

Test(checkers, load_goes_on_after_a_bus_error)
{
    judge_must_see_in(DMT_MODE_NATIVE, F_LOAD_ON, 0, "reads of memory are not those that the write");
}

/* What a load wrote is what was on the bus. */
Test(checkers, misloaded_registers)
{
    judge_must_see_in(DMT_MODE_NATIVE, F_MISLOAD, 1 << 20, "expected");
}

/* Surplus reads are those that the registers give (T1, T2), they are made, and registers and contexts wait for them. */
Test(checkers, other_surplus_read)
{
    judge_must_see_either(0, "back-pressure", F_SURPLUS_ADDRESS, 8,
                          "not the next smaller size of the fetch that was decided", NULL);
}

Test(checkers, surplus_read_left_out)
{
    judge_must_see_either(0, "back-pressure", F_SURPLUS_LOST, 0, "surplus reads on their way, 0 on the bus",
                          "a context is used while surplus reads of it are on their way");
}

Test(checkers, surplus_read_not_awaited)
{
    judge_must_see_either(0, NULL, F_SURPLUS_FREE, 0, "took effect with ",
                          "a context is used while surplus reads of it are on their way");
}

/* A device with this fault is always caught, and of eight runs at least so many times for reading what the host has
 * not granted: the other times an answer or an address is wrong first. */
static void isolated(uint8_t mode, enum fault kind, uint64_t mask, unsigned least)
{
    unsigned said = 0;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct cosim_options o = options(&faulty, NULL, "default");
        char text[16384];

        fault.kind = kind;
        fault.mask = mask;
        fault.from = 3000;
        o.mode = mode;
        o.seed = seed;
        o.cycles = 1000000;
        cr_assert_eq(run(&o, NULL, text, sizeof(text)), COSIM_DIVERGENCE);
        said += strstr(text, "memory that was not granted") != NULL;
    }
    cr_assert_geq(said, least, "mode %u: %u", mode, said);
}

/* A gTEA's base and its end as the host wrote them are the limits of what may be read. */
Test(checkers, beyond_a_gtea)
{
    isolated(DMT_MODE_VIRT, F_MISLOAD, 1 << 20, 2);
    isolated(DMT_MODE_NESTED, F_MISLOAD, 1 << 20, 2);
}

/* Whatever a walk goes by, an entry of the host's must have named where it reads. */
Test(checkers, isolation)
{
    isolated(DMT_MODE_VIRT, F_MISREAD, 1 << 13, 2);
    isolated(DMT_MODE_NESTED, F_MISREAD, 1 << 13, 2);
}

Test(checkers, hang)
{
    judge_must_see(F_HANG, 0, "expected");
}

Test(checkers, hang_watchdog)
{
    struct cosim_options o = options(&faulty, &dut_cycle, "default");
    char text[16384];

    /* Both devices stand still: only the watchdog can tell. */
    fault.kind = F_HANG;
    fault.from = 3000;
    o.dut = o.reference = &faulty;
    o.judge = false;
    o.cycles = 100000;
    o.watchdog = 2000;
    cr_assert_eq(run(&o, NULL, text, sizeof(text)), COSIM_DIVERGENCE);
    cr_assert(strstr(text, "nothing moves while something is outstanding"), "%s", text);
}

/* ------------------------------------------------------------ what a divergence leaves behind */

static bool contains(const char *path, const char *what)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "r");
    size_t n;

    if (!f)
        return false;
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = 0;
    fclose(f);
    return strstr(text, what) != NULL;
}

Test(report, waves_of_a_divergence)
{
    struct cosim_options o = options(dut_rtl_find("default"), &faulty, "default");
    char dir[64], path[128], text[16384], command[256];
    static const char *const room[] = {
        "-request",  "-response",        "-PTE port: reads", "-PTE port: A/D writes",
        "-CSR port", "-walk trace port", "-inside: ",        "-walks",
        "TOP.dmt_mmu.resp_status_o[3:0]", "walks.context00_walk", "walks.context00_reads",
    };
    struct stat st;

    snprintf(dir, sizeof(dir), "/tmp/dmt-waves-%d/a", (int)getpid());
    fault.kind = F_PIN;
    fault.pin = pin_index("wt_end_status");
    fault.mask = 4;
    fault.from = 7000;
    o.cycles = 20000;
    o.waves_dir = dir;
    o.around = 50;
    cr_assert_eq(run(&o, NULL, text, sizeof(text)), COSIM_DIVERGENCE);
    cr_assert(strstr(text, "seed 1 configuration default profile "), "%s", text);
    cr_assert(strstr(text, "cycle 7000 "), "%s", text);
    cr_assert(strstr(text, "signal wt_end_status: expected "), "%s", text);
    cr_assert(strstr(text, "replay with waves: build/dmt cosim --config default --seed 1 --cycles 20000 "
                           "--waves-around 50\n"), "%s", text);
    snprintf(path, sizeof(path), "%s/default-1.fst", dir);
    cr_assert_eq(stat(path, &st), 0, "%s", text);
    cr_assert_gt(st.st_size, 1000);
    snprintf(path, sizeof(path), "%s/default-1.gtkw", dir);
    for (unsigned i = 0; i < sizeof(room) / sizeof(*room); i++)
        cr_expect(contains(path, room[i]), "%s", room[i]);
    cr_expect(contains(path, " 70000 70000 -1"), "marker at the cycle of the divergence");
    strcat(path, ".status.txt");
    cr_expect(contains(path, "7 ?red4?BUS\n"));
    snprintf(command, sizeof(command), "rm -r /tmp/dmt-waves-%d", (int)getpid());
    cr_assert_eq(system(command), 0);
}

Test(report, unwritable_waves)
{
    struct cosim_options o = options(dut_rtl_find("smallest"), NULL, "smallest");

    o.cycles = 100;
    o.waves = "/nonexistent/x.fst";
    cr_assert_eq(cosim_run(&o, NULL), COSIM_BAD);
    cr_assert(strstr(cosim_error(), "/nonexistent/x.fst"), "%s", cosim_error());
    o.waves = NULL;
    o.record = "/nonexistent/x.rec";
    cr_assert_eq(cosim_run(&o, NULL), COSIM_BAD);
    cr_assert(strstr(cosim_error(), "/nonexistent/x.rec"), "%s", cosim_error());
}

/* ------------------------------------------------------------ replay */

/* A root at frame 1 that maps 2 MiB at 0 through frames 2, 3, 4 with 4K pages. */
static struct dmt_mem *small_memory(void)
{
    struct dmt_mem *mem = dmt_mem_new();

    for (uint64_t pfn = 1; pfn <= 4; pfn++)
        dmt_mem_add(mem, pfn);
    for (uint64_t pfn = 1; pfn <= 3; pfn++)
        dmt_mem_write(mem, pfn << 12, (pfn + 1) << 12 | 0x27);
    for (uint64_t i = 0; i < 512; i++)
        dmt_mem_write(mem, 4 << 12 | i << 3, (0x1000 + i) << 12 | 0x67);
    return mem;
}

static struct dmt_state small_state(void)
{
    struct dmt_state s;

    dmt_state_reset(&s, dut_rtl_find("default")->config.pa_w);
    s.mode = DMT_MODE_NATIVE;
    s.level[0].cr3 = 1 << 12;
    s.level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
    s.level[0].efer = DMT_LEVEL_EFER_NXE_MASK;
    return s;
}

/* Three address spaces in one memory. Stage 0 (NPT) takes frame i to host
 * frame 0x1000 + i, by small_memory(), and so does the shadow table. Frames 1
 * to 4 hold IA-32e tables that take page i to frame i; frames 8 to 11 (NPT)
 * the same for stage 1. The gTEA with ID 3 is the last of the IA-32e tables,
 * ID 4 that of stage 1. */
static struct dmt_mem *layered_memory(void)
{
    struct dmt_mem *mem = small_memory();

    dmt_mem_add(mem, 6);
    for (uint64_t first = 1; first <= 8; first += 7) {
        for (uint64_t f = first; f < first + 4; f++)
            dmt_mem_add(mem, 0x1000 + f);
        for (uint64_t f = first; f < first + 3; f++)
            dmt_mem_write(mem, (0x1000 + f) << 12, (f + 1) << 12 | 0x27);
        for (uint64_t i = 0; i < 512; i++)
            dmt_mem_write(mem, (0x1003 + first) << 12 | i << 3, i << 12 | 0x67);
        dmt_mem_write(mem, 6 << 12 | (first == 1 ? 3 : 4) << 4, (0x1003 + first) << 12 | 1);
        dmt_mem_write(mem, 6 << 12 | (first == 1 ? 3 : 4) << 4 | 8, 1);
    }
    return mem;
}

static struct dmt_state layered_state(uint8_t mode, bool full, const struct dmt_config *c)
{
    const struct dmt_s2 npt = { .root = 1 << 12, .format = DMT_FORMAT_NPT };
    struct dmt_state s;

    dmt_state_reset(&s, c->pa_w);
    s.mode = mode;
    s.full = full;
    s.level[1].cr3 = s.level[2].cr3 = 1 << 12;
    s.level[1].efer = s.level[2].efer = DMT_LEVEL_EFER_NXE_MASK;
    s.level[1].cr0 = s.level[2].cr0 = DMT_LEVEL_CR0_WP_MASK;
    s.s2[0] = s.s2[1] = s.shadow = npt;
    s.s2[1].root = 8 << 12;
    s.gtea[1] = s.gtea[2] = (struct dmt_gtea){ .table = 6 << 12, .entries = 8 };
    return s;
}

/* Registers over all 512 pages: KIND GTEA in the entering stage and in stage 1 below it, stage 0's own. */
static void cover_state(struct dmt_state *s)
{
    struct dmt_tea gtea = { .pages = 512, .allow = 7, .valid = true, .kind = DMT_KIND_GTEA,
                            .resolution = DMT_RESOLUTION_OK, .gtea_pages = 1 };

    for (unsigned k = 1; k < s->mode; k++) {
        s->tea[k][1] = gtea;
        s->tea[k][1].gtea = k + 1u == s->mode ? 3 : 4;
        s->tea[k][1].gtea_base = k + 1u == s->mode ? 0x1004 : 0x100b;
    }
    s->tea[0][2] = (struct dmt_tea){ .pages = 512, .base_pfn = 4, .allow = 7, .valid = true };
}

struct list {
    uint64_t next, n, answers, seen;
    struct dmt_state state, covered;
    struct cosim_poke poke;
    bool wrong;
};

static bool next_item(void *user, struct cosim_item *item)
{
    struct list *l = user;

    if (l->next == l->n)
        return false;
    memset(item, 0, sizeof(*item));
    item->request.va = l->next % 512 << 12 | 0x123;
    item->request.access = DMT_ACCESS_READ;
    item->request.cpl = 3;
    item->request.nonspec = true;
    if (l->next == 100) { /* a TEA register over it all */
        l->covered = l->state;
        l->covered.tea[0][0] = (struct dmt_tea){ .pages = 512, .base_pfn = 4, .allow = 7, .valid = true };
        item->state = &l->covered;
    }
    if (l->next == 200) { /* software moves page 200 */
        l->poke = (struct cosim_poke){ 4 << 12 | 200 << 3, 0x7777067 };
        item->poke = &l->poke;
        item->poke_n = 1;
    }
    l->next++;
    return true;
}

static void restart_list(void *user)
{
    ((struct list *)user)->next = 0;
}

static void answer(void *user, uint64_t n, const struct dmt_request *q, const struct dmt_result *r,
                   uint32_t clocks)
{
    struct list *l = user;
    uint64_t pfn = n == 200 ? 0x7777 : 0x1000 + n % 512;

    l->answers++;
    l->seen ^= n;
    l->wrong = l->wrong || q->va != (n % 512 << 12 | 0x123) || r->status != DMT_STATUS_OK ||
               r->pa != (pfn << 12 | 0x123) || r->path[0] != (n >= 100 ? DMT_PATH_TEA : DMT_PATH_RADIX) ||
               r->refs > 4 || clocks < 21;
    if (n >= 100 && (r->refs != 1 || r->reads != 1))
        l->wrong = true;
}

Test(replay, list_with_changes)
{
    for (unsigned outstanding = 0; outstanding < 2; outstanding++) {
        struct list l = { .n = 300 };
        struct cosim_options o = options(dut_rtl_find("default"), &dut_cycle, "default");
        struct cosim_stats s;
        uint64_t all = 0;
        struct dmt_mem *mem = small_memory();

        l.state = small_state();
        o.source = &(struct cosim_source){ .user = &l,
                                           .mem = mem,
                                           .state = &l.state,
                                           .next = next_item,
                                           .rewind = restart_list,
                                           .answer = answer };
        o.outstanding = outstanding;
        cr_assert_eq(run(&o, &s, NULL, 0), COSIM_OK);
        for (uint64_t n = 0; n < l.n; n++)
            all ^= n;
        cr_assert_eq(l.answers, 300);
        cr_assert_eq(l.seen, all);
        cr_assert_not(l.wrong);
        cr_assert_eq(s.walks, 300);
        cr_assert_eq(s.pokes, 1);
        cr_assert_eq(s.path[DMT_PATH_TEA], 200);
        if (outstanding == 1) /* microarchitecture 4: L + 2 with L = 20 */
            cr_assert_eq(s.path_clocks[DMT_PATH_TEA], 200 * 22);
        dmt_mem_free(mem);
    }
}

/* The same list through two and three stages: walks, then gTEAs that the hardware resolves. */
static bool next_layered(void *user, struct cosim_item *item)
{
    struct list *l = user;

    if (!next_item(user, item))
        return false;
    if (item->state) {
        l->covered = l->state;
        cover_state(&l->covered);
    }
    if (item->poke_n)
        l->poke = (struct cosim_poke){ 0x1004 << 12 | 200 << 3, 300 << 12 | 0x67 };
    return true;
}

static void layered_answer(void *user, uint64_t n, const struct dmt_request *q, const struct dmt_result *r,
                           uint32_t clocks)
{
    struct list *l = user;
    uint64_t pfn = n == 200 ? 300 : n % 512;
    unsigned stages = l->state.mode;

    (void)clocks;
    l->answers++;
    l->wrong = l->wrong || q->va != (n % 512 << 12 | 0x123) || r->status != DMT_STATUS_OK ||
               r->pa != ((0x1000 + pfn) << 12 | 0x123) || r->addr != (pfn << 12 | 0x123) ||
               r->path[stages - 1] != (n >= 100 ? DMT_PATH_TEA : DMT_PATH_RADIX) ||
               (n >= 100 && (r->refs != stages || r->reads != stages));
}

Test(replay, stages)
{
    for (unsigned run_n = 0; run_n < 6; run_n++) {
        const struct dut_ops *rtl = dut_rtl_find("default");
        uint8_t mode = run_n < 2 ? DMT_MODE_VIRT : DMT_MODE_NESTED;
        struct list l = { .n = 300, .state = layered_state(mode, run_n >= 4, &rtl->config) };
        struct cosim_options o = options(rtl, &dut_cycle, "default");
        struct dmt_mem *mem = layered_memory();

        o.source = &(struct cosim_source){ .user = &l,
                                           .mem = mem,
                                           .state = &l.state,
                                           .next = next_layered,
                                           .rewind = restart_list,
                                           .answer = layered_answer };
        o.outstanding = run_n & 1;
        cr_assert_eq(run(&o, NULL, NULL, 0), COSIM_OK);
        cr_assert_eq(l.answers, 300);
        cr_assert_not(l.wrong, "run %u", run_n);
        dmt_mem_free(mem);
    }
}

Test(replay, what_the_instance_lacks)
{
    struct list l = { .n = 1 };
    struct cosim_options o = options(dut_rtl_find("smallest"), NULL, "smallest");
    struct dmt_mem *mem = small_memory();

    l.state = small_state(); /* MAXPA 52, the instance has 32 */
    o.source = &(struct cosim_source){
        .user = &l, .mem = mem, .state = &l.state, .next = next_item, .rewind = restart_list };
    cr_assert_eq(cosim_run(&o, NULL), COSIM_BAD);
    cr_assert(strstr(cosim_error(), "MAXPA"), "%s", cosim_error());
    dmt_mem_free(mem);
}

/* ------------------------------------------------------------ one at a time */

struct memory_port {
    struct dmt_mem *mem;
};

static enum dmt_resp port_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct memory_port *p = user;

    if (!dmt_mem_read(p->mem, ref->addr, data))
        return DMT_RESP_DECERR;
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp port_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct memory_port *p = user;

    return dmt_mem_write(p->mem, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

/* Each engine on its own copy of the same memory gives the same answers and leaves the same memory. */
Test(single, same_as_the_architectural_model)
{
    const struct dut_ops *const engine[] = { dut_rtl_find("default"), &dut_cycle };

    for (unsigned e = 0; e < 2; e++) {
        struct dmt_mem *mem = small_memory(), *theirs;
        struct dmt_state state = small_state();
        struct single_log log;
        struct single *s;

        for (uint64_t i = 0; i < 512; i += 3) /* some pages clean, some not present */
            dmt_mem_write(mem, 4 << 12 | i << 3, i % 2 ? (0x1000 + i) << 12 | 7 : 0);
        theirs = dmt_mem_clone(mem);
        s = single_new(engine[e], &dut_rtl_find("default")->config, theirs, 5, true);
        cr_assert_not_null(s);
        for (unsigned i = 0; i < 400; i++) {
            struct dmt_request q = { .va = (uint64_t)(i * 7 % 600) << 12 | i, .access = i % 3, .cpl = 3,
                                     .nonspec = true };
            struct memory_port user = { mem };
            struct dmt_port port = { .user = &user, .read = port_read, .write = port_write };
            struct dmt_result want, got;
            unsigned reads = 0;

            if (i == 200)
                state.tea[0][3] = (struct dmt_tea){ .pages = 512, .base_pfn = 4, .allow = 7, .valid = true };
            cr_assert(single_load(s, &state), "%s", cosim_error());
            single_invalidate(s);
            dmt_arch_translate(&state, &q, &port, &want);
            cr_assert(single_translate(s, &q, &got, &log), "%s", cosim_error());
            got.multi_hit = want.multi_hit; /* not on the pins */
            cr_assert_eq(want.status, got.status, "request %u", i);
            cr_assert_eq(want.pa, got.pa, "request %u", i);
            cr_assert_eq(want.error, got.error, "request %u", i);
            cr_assert_eq(want.refs, got.refs, "request %u: %u, not %u references", i, got.refs, want.refs);
            if (!got.updates) /* else the second pass may start from a cache filled in the first */
                cr_assert_eq(want.reads, got.reads, "request %u", i);
            cr_assert_eq(want.updates, got.updates, "request %u", i);
            cr_assert_eq(want.path[0], got.path[0], "request %u", i);
            cr_assert_eq(want.index[0], got.index[0], "request %u", i);
            for (unsigned k = 0; k < log.n; k++)
                reads += !log.event[k].write;
            cr_assert_eq(reads, got.reads);
            if (!got.updates && got.path[0] != DMT_PATH_RESTART) /* microarchitecture 4, L = 5 */
                cr_assert_eq(log.clocks, got.reads * 6 + 1, "request %u: %u clocks", i, log.clocks);
        }
        for (uint64_t i = 0; i < 512; i++) {
            uint64_t a, b;

            dmt_mem_read(mem, 4 << 12 | i << 3, &a);
            dmt_mem_read(theirs, 4 << 12 | i << 3, &b);
            cr_assert_eq(a, b, "entry %" PRIu64, i);
        }
        single_free(s);
        dmt_mem_free(mem);
        dmt_mem_free(theirs);
    }
}

/* Through all stages, walked and covered, with A/D updates on the way. Without caches, so that the
 * number of reads is the architectural one, too. */
static void same_through_stages(const struct dut_ops *engine, uint8_t mode, bool full)
{
    const struct dmt_config *config = &dut_rtl_find("uncached")->config;
    struct dmt_mem *mem = layered_memory(), *theirs;
    struct dmt_state state = layered_state(mode, full, config);
    struct single *s;

    for (uint64_t i = 0; i < 512; i += 3) { /* some pages clean in one stage or another, some not present */
        uint64_t table[] = { 4, 0x1004, 0x100b };

        dmt_mem_write(mem, table[i % 9 / 3] << 12 | i << 3,
                      ((i % 9 ? 0 : 0x1000) + i) << 12 | (i % 2 ? i % 4 == 1 ? 0x27 : 7 : 0));
    }
    theirs = dmt_mem_clone(mem);
    s = single_new(engine, config, theirs, 5, true);
    cr_assert_not_null(s);
    for (unsigned i = 0; i < 400; i++) {
        struct dmt_request q = { .va = (uint64_t)(i * 7 % 600) << 12 | i, .access = i % 3, .cpl = 3,
                                 .nonspec = i % 5 != 0 };
        struct memory_port user = { mem };
        struct dmt_port port = { .user = &user, .read = port_read, .write = port_write };
        struct dmt_result want, got;
        struct single_log log;

        if (i == 200)
            cover_state(&state);
        if (i == 300) { /* the host takes one back */
            state.tea[1][1].resolution = DMT_RESOLUTION_REVOKED;
            state.tea[1][1].gtea_base = state.tea[1][1].gtea_pages = 0;
        }
        cr_assert(single_load(s, &state), "%s", cosim_error());
        dmt_arch_translate(&state, &q, &port, &want);
        cr_assert(single_translate(s, &q, &got, &log), "%s", cosim_error());
        want.matches = 0; /* no pin says it */
        cr_assert_eq(memcmp(&want, &got, sizeof(want)), 0,
                     "request %u: status %u, not %u; %u references, not %u; %u reads, not %u", i, got.status,
                     want.status, got.refs, want.refs, got.reads, want.reads);
        cr_assert_eq(log.n, got.reads + got.updates);
        if (i < 200 && got.status == DMT_STATUS_OK) {
            cr_assert_eq(got.refs, mode == DMT_MODE_VIRT || !full ? 24 : 124);
            if (!got.updates) /* microarchitecture 4, L = 5 */
                cr_assert_eq(log.clocks, got.refs * 6 + 1, "request %u: %u clocks", i, log.clocks);
        }
        if (i >= 200 && i < 300 && got.status == DMT_STATUS_OK && got.path[0] == DMT_PATH_TEA &&
            got.path[1] == DMT_PATH_TEA && got.path[mode - 1] == DMT_PATH_TEA)
            cr_assert_eq(got.refs, mode);
        if (i >= 300)
            cr_assert_eq(got.status, q.va >> 12 < 512 ? DMT_STATUS_GTEA : want.status);
    }
    for (uint64_t f = 0; f < 3; f++) {
        for (uint64_t i = 0; i < 512; i++) {
            uint64_t table[] = { 4, 0x1004, 0x100b }, a, b;

            dmt_mem_read(mem, table[f] << 12 | i << 3, &a);
            dmt_mem_read(theirs, table[f] << 12 | i << 3, &b);
            cr_assert_eq(a, b, "entry %" PRIu64 " of frame 0x%" PRIx64, i, table[f]);
        }
    }
    single_free(s);
    dmt_mem_free(mem);
    dmt_mem_free(theirs);
}

Test(single, stages)
{
    const struct dut_ops *const engine[] = { dut_rtl_find("uncached"), &dut_cycle };

    for (unsigned e = 0; e < 2; e++) {
        same_through_stages(engine[e], DMT_MODE_VIRT, false);
        same_through_stages(engine[e], DMT_MODE_NESTED, false);
        same_through_stages(engine[e], DMT_MODE_NESTED, true);
    }
}

/* A device that breaks a rule is caught here, too. */
Test(single, judged)
{
    struct dmt_mem *mem = small_memory();
    struct dmt_state state = small_state();
    struct single *s = single_new(&faulty, &dut_rtl_find("default")->config, mem, 1, true);
    struct dmt_request q = { .va = 0x5000, .cpl = 3 };
    struct dmt_result r;

    fault.kind = F_MISREAD;
    fault.mask = 1 << 13;
    fault.from = 0;
    cr_assert(single_load(s, &state), "%s", cosim_error());
    cr_assert_not(single_translate(s, &q, &r, NULL));
    cr_assert(strstr(cosim_error(), "faulty: "), "%s", cosim_error());
    single_free(s);
    dmt_mem_free(mem);
}

Test(single, registers)
{
    struct dmt_mem *mem = small_memory();
    struct dmt_state state = small_state();
    struct single *s = single_new(&dut_cycle, &dut_rtl_find("default")->config, mem, 1, true);
    uint64_t value;

    cr_assert_eq(single_read(s, DMT_HOST_BASE + DMT_HOST_ID, &value), DMT_RESP_OKAY);
    cr_assert_eq(value, DMT_HOST_ID_RESET);
    cr_assert_eq(single_read(s, 0x3ff8, &value), DMT_RESP_SLVERR);
    cr_assert_eq(single_write(s, DMT_LEVEL_PKRU, 0x55), DMT_RESP_OKAY);
    cr_assert_eq(single_read(s, DMT_LEVEL_PKRU, &value), DMT_RESP_OKAY);
    cr_assert_eq(value, 0x55);
    state.tea[0][5] = (struct dmt_tea){ .base_vpn = 1, .base_pfn = 4, .valid = true }; /* no pages */
    cr_assert_not(single_load(s, &state));
    cr_assert(strstr(cosim_error(), "TEA register 5 of set 0 was refused"), "%s", cosim_error());
    single_free(s);
    dmt_mem_free(mem);
}

Test(single, no_monitor)
{
    struct dmt_mem *mem = small_memory();
    struct dmt_state state = small_state();
    struct single *s = single_new(&dut_cycle, &dut_rtl_find("default")->config, mem, 1, false);
    struct dmt_request q = { .va = 0x5000, .access = DMT_ACCESS_WRITE, .cpl = 3, .nonspec = true };
    struct dmt_result r;

    dmt_mem_write(mem, 4 << 12 | 5 << 3, 0x1005007);
    cr_assert(single_load(s, &state));
    cr_assert(single_translate(s, &q, &r, NULL));
    cr_assert_eq(r.status, DMT_STATUS_BUS);
    cr_assert_eq(r.error, DMT_BUS_ERROR_NOT_EXCLUSIVE);
    single_free(s);
    dmt_mem_free(mem);
}

/* ------------------------------------------------------------ the memory agent */

struct bench {
    struct agent agent;
    struct dmt_in in;
    struct dmt_out out;
};

static void bench_reset(struct bench *b, const char *profile)
{
    struct agent_profile p;

    memset(b, 0, sizeof(*b));
    cr_assert(agent_profile_find(profile, &p));
    b->agent.mem = small_memory();
    agent_reset(&b->agent, &p, 1);
    b->out.m_rready = b->out.m_bready = 1;
}

static void bench_clock(struct bench *b)
{
    agent_drive(&b->agent, &b->in);
    agent_edge(&b->agent, &b->out, &b->in);
}

static void bench_read(struct bench *b, unsigned id, uint64_t addr, bool lock)
{
    b->out.m_arvalid = 1;
    b->out.m_arid = id;
    b->out.m_araddr = addr;
    b->out.m_arlock = lock;
    bench_clock(b);
    while (!b->in.m_arready)
        bench_clock(b);
    b->out.m_arvalid = 0;
}

static void bench_beat(struct bench *b)
{
    do
        bench_clock(b);
    while (!b->in.m_rvalid);
}

static unsigned bench_write(struct bench *b, unsigned id, uint64_t addr, uint64_t data)
{
    b->out.m_awvalid = b->out.m_wvalid = 1;
    b->out.m_awid = id;
    b->out.m_awaddr = addr;
    b->out.m_wdata = data;
    bench_clock(b);
    b->out.m_awvalid = b->out.m_wvalid = 0;
    do
        bench_clock(b);
    while (!b->in.m_bvalid);
    cr_assert_eq(b->in.m_bid, id);
    return (unsigned)b->in.m_bresp;
}

Test(agent, fixed_latency)
{
    for (unsigned latency = 1; latency <= 30; latency += 7) {
        struct bench b;
        char name[16];
        unsigned clocks = 0;

        snprintf(name, sizeof(name), "fixed-%u", latency);
        bench_reset(&b, name);
        bench_read(&b, 3, 0x4008, false);
        do {
            bench_clock(&b);
            clocks++;
        } while (!b.in.m_rvalid);
        cr_assert_eq(clocks, latency);
        cr_assert_eq(b.in.m_rid, 3);
        cr_assert_eq(b.in.m_rdata, 0x1001067);
        cr_assert_eq(b.in.m_rresp, DMT_RESP_OKAY);
        bench_clock(&b);
        cr_assert(agent_idle(&b.agent));
        dmt_mem_free(b.agent.mem);
    }
}

Test(agent, absent_frame)
{
    struct bench b;

    bench_reset(&b, "zero-wait");
    bench_read(&b, 0, 0x9000, false);
    bench_beat(&b);
    cr_assert_eq(b.in.m_rresp, DMT_RESP_DECERR);
    cr_assert_eq(bench_write(&b, 0, 0x9000, 1), DMT_RESP_DECERR);
    dmt_mem_free(b.agent.mem);
}

Test(agent, exclusive_monitor)
{
    struct bench b;
    uint64_t value;

    bench_reset(&b, "zero-wait");
    bench_read(&b, 1, 0x4000, true);
    bench_beat(&b);
    cr_assert_eq(b.in.m_rresp, DMT_RESP_EXOKAY);
    cr_assert_eq(bench_write(&b, 1, 0x4000, 0x11), DMT_RESP_EXOKAY);
    cr_assert_eq(bench_write(&b, 1, 0x4000, 0x22), DMT_RESP_OKAY, "a reservation serves one write");
    bench_read(&b, 1, 0x4000, true);
    bench_beat(&b);
    agent_poke(&b.agent, 0x4000, 0x33);
    cr_assert_eq(bench_write(&b, 1, 0x4000, 0x44), DMT_RESP_OKAY, "another processor wrote");
    bench_read(&b, 1, 0x4000, true);
    bench_beat(&b);
    bench_read(&b, 2, 0x4000, true);
    bench_beat(&b);
    cr_assert_eq(bench_write(&b, 2, 0x4000, 0x55), DMT_RESP_EXOKAY);
    cr_assert_eq(bench_write(&b, 1, 0x4000, 0x66), DMT_RESP_OKAY, "another ID wrote");
    bench_read(&b, 1, 0x4000, true);
    bench_beat(&b);
    agent_poke(&b.agent, 0x4008, 0x77);
    cr_assert_eq(bench_write(&b, 1, 0x4000, 0x88), DMT_RESP_EXOKAY, "another word does not matter");
    cr_assert_eq(bench_write(&b, 3, 0x4000, 0x99), DMT_RESP_OKAY, "never read");
    dmt_mem_read(b.agent.mem, 0x4000, &value);
    cr_assert_eq(value, 0x88);
    dmt_mem_free(b.agent.mem);
}

Test(agent, no_monitor)
{
    struct bench b;

    bench_reset(&b, "no-monitor");
    bench_read(&b, 1, 0x4000, true);
    bench_beat(&b);
    cr_assert_eq(b.in.m_rresp, DMT_RESP_OKAY);
    dmt_mem_free(b.agent.mem);
}

/* Beats of one ID in order whatever the profile; different IDs out of order where the profile says so. */
Test(agent, order)
{
    for (const struct agent_profile *p = agent_profiles; p->name; p++) {
        struct bench b;
        uint64_t asked[8] = { 0 }, given[8] = { 0 };
        unsigned left = 0, beats = 0, overtaken = 0, last = 0;

        if (p->slverr)
            continue;
        bench_reset(&b, p->name);
        for (unsigned i = 0; beats < 2000; i++) {
            unsigned id = i % 8;

            b.out.m_arvalid = asked[id] - given[id] < 5 && left < 40;
            b.out.m_arid = id;
            b.out.m_araddr = 0x4000 + 8 * ((asked[id] * 8 + id) % 512);
            bench_clock(&b);
            if (b.out.m_arvalid && b.in.m_arready) {
                asked[id]++;
                left++;
            }
            if (b.in.m_rvalid) {
                unsigned n = (unsigned)b.in.m_rid;

                cr_assert_eq(b.in.m_rdata, (0x1000 + (given[n] * 8 + n) % 512) << 12 | 0x67, "%s", p->name);
                given[n]++;
                overtaken += given[n] * 8 + n < last;
                last = (unsigned)given[n] * 8 + n;
                left--;
                beats++;
            }
            cr_assert_null(b.agent.broken);
        }
        if (p->reorder)
            cr_assert_gt(overtaken, 100, "%s", p->name);
        dmt_mem_free(b.agent.mem);
    }
}

Test(agent, sees_too_many_reads)
{
    struct bench b;

    bench_reset(&b, "fixed-50");
    for (unsigned i = 0; i < 5; i++)
        bench_read(&b, 1, 0x4000, false);
    cr_assert_null(b.agent.broken);
    bench_read(&b, 1, 0x4000, false);
    cr_assert_not_null(b.agent.broken);
    dmt_mem_free(b.agent.mem);
}
