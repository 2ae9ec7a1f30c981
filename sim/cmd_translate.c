/* SPDX-License-Identifier: Apache-2.0
 * dmt translate: a list of requests on one or all engines, each request a cold
 * walk (nothing cached from the one before, A/D bits kept). */
#include "cmd.h"

#include "dmt/regs.h"
#include "golden.h"
#include "inputs.h"
#include "io.h"
#include "tb/cosim.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- engines */

#define EVENTS SINGLE_EVENTS

/* What one engine said about one request. */
struct answer {
    struct dmt_result result;
    int64_t cycles; /* -1: not known */
    unsigned n;
    struct single_event event[EVENTS];
};

struct engine {
    const char *name;
    struct dmt_mem *mem;   /* its own copy: A/D bits change */
    struct single *single; /* NULL: the architectural model */
    const struct dmt_config *config;
    struct golden golden;
    struct answer answer;
};

/* The registers as the hardware has them: gTEA tables that the stores of this line changed are read again. */
static bool load_hardware(struct engine *e, const struct request_line *line)
{
    const struct dmt_state *s = &line->state->dmt;

    if (!single_load(e->single, s)) {
        return false;
    }
    for (uint64_t set = 1; line->poke_n > 0 && set < e->config->sets; set++) {
        if (single_write(e->single, DMT_HOST_BASE + DMT_HOST_GTEA_CMD,
                         (uint64_t)DMT_GTEA_OP_RESOLVE_ALL << DMT_HOST_GTEA_CMD_OP_LSB |
                             set << DMT_HOST_GTEA_CMD_SET_LSB) != DMT_RESP_OKAY) {
            return false;
        }
    }
    single_invalidate(e->single);
    return true;
}

static bool translate(struct engine *e, const struct request_line *line)
{
    struct answer *a = &e->answer;

    a->n = 0;
    a->cycles = -1;
    for (size_t i = 0; i < line->poke_n; i++) {
        dmt_mem_write(e->mem, line->poke[i].addr, line->poke[i].value);
    }
    if (e->single == NULL) {
        struct dmt_state state = line->state->dmt;
        state_resolve(&state, e->mem);
        golden_translate(&e->golden, &state, &line->rq, &a->result);
        a->n = e->golden.n;
        memcpy(a->event, e->golden.event, a->n * sizeof *a->event);
        return true;
    }
    struct single_log log;
    if (!load_hardware(e, line) || !single_translate(e->single, &line->rq, &a->result, &log)) {
        say("line %" PRIu64 ": engine %s: %s", line->number, e->name, cosim_error());
        return false;
    }
    a->cycles = log.clocks;
    a->n = log.n;
    memcpy(a->event, log.event, log.n * sizeof *log.event);
    return true;
}

static size_t ad_writes(const struct answer *a, struct store *to)
{
    size_t n = 0;

    for (unsigned i = 0; i < a->n; i++) {
        if (a->event[i].write && a->event[i].resp == DMT_RESP_EXOKAY) {
            to[n++] = (struct store){a->event[i].ref.addr, a->event[i].data};
        }
    }
    return n;
}

/* ---------------------------------------------------------------- comparing */

static bool differs(const struct engine *a, const struct engine *b, const struct request_line *line)
{
    const struct dmt_result *x = &a->answer.result, *y = &b->answer.result;
    const char *field = NULL;
    uint64_t got = 0, expected = 0;

#define COMPARE(f)                                                                                           \
    if (field == NULL && x->f != y->f) {                                                                     \
        field = #f;                                                                                          \
        expected = (uint64_t)x->f;                                                                           \
        got = (uint64_t)y->f;                                                                                \
    }
    COMPARE(status)
    COMPARE(pa)
    COMPARE(size)
    COMPARE(rights)
    COMPARE(global)
    COMPARE(pkey)
    COMPARE(memtype)
    COMPARE(dirty)
    COMPARE(ad_needed)
    COMPARE(error)
    COMPARE(addr)
    COMPARE(stage)
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        COMPARE(path[k])
        COMPARE(index[k])
    }
    COMPARE(refs)
    COMPARE(reads)
    COMPARE(updates)
#undef COMPARE
    if (field == NULL && a->answer.n != b->answer.n) {
        field = "number of reads and writes";
        expected = a->answer.n;
        got = b->answer.n;
    }
    for (unsigned i = 0; field == NULL && i < a->answer.n; i++) {
        const struct single_event *p = &a->answer.event[i], *q = &b->answer.event[i];
        if (p->write != q->write || p->ref.addr != q->ref.addr || p->resp != q->resp ||
            (p->resp < DMT_RESP_SLVERR && p->data != q->data)) {
            field = "address, data or answer of a read or write";
            expected = p->ref.addr;
            got = q->ref.addr;
        }
    }
    if (field == NULL && a->answer.cycles >= 0 && b->answer.cycles >= 0 &&
        a->answer.cycles != b->answer.cycles) {
        field = "cycles";
        expected = (uint64_t)a->answer.cycles;
        got = (uint64_t)b->answer.cycles;
    }
    if (field != NULL) {
        say("line %" PRIu64 ": va 0x%" PRIx64 ": %s: %s has 0x%" PRIx64 ", %s has 0x%" PRIx64, line->number,
            line->rq.va, field, a->name, expected, b->name, got);
    }
    return field != NULL;
}

/* ---------------------------------------------------------------- the command */

struct options {
    struct inputs in;
    const char *out, *engine, *config;
    unsigned latency;
};

static const struct argp_option option_list[] = {
    {"state", 's', "FILE", 0, "Registers (required)", 0},
    {"memory", 'm', "FILE", 0, "Memory: frames, raw image or ELF core, zstd-compressed or not (required)", 0},
    {"base", 'b', "ADDR", 0, "The memory file is a raw image that starts at this hex address", 0},
    {"requests", 'r', "FILE", 0,
     "CSV with a header: va,access,cpl and optional columns; - for standard input", 0},
    {"engine", 'e', "NAME", 0, "arch (default), cycle, rtl, or all: any difference is an error", 0},
    {"out", 'o', "FILE", 0, "Results CSV (default: standard output)", 0},
    {"config", 'c', "NAME", 0, "Configuration of the hardware (default: default)", 0},
    {"latency", 'l', "CLOCKS", 0, "Memory latency of cycle and rtl (default: 20)", 0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;

    switch (key) {
    case 'e':
        o->engine = arg;
        if (strcmp(arg, "arch") != 0 && strcmp(arg, "cycle") != 0 && strcmp(arg, "rtl") != 0 &&
            strcmp(arg, "all") != 0) {
            argp_error(a, "--engine: '%s' is not arch, cycle, rtl or all", arg);
        }
        break;
    case 'o':
        o->out = arg;
        break;
    case 'c':
        o->config = arg;
        break;
    case 'l':
        o->latency = (unsigned)option_number(arg, 1000, "latency", a);
        break;
    case ARGP_KEY_ARGS:
        o->in.address = a->argv + a->next;
        o->in.addresses = (size_t)(a->argc - a->next);
        break;
    case ARGP_KEY_END:
        if (o->in.state == NULL || o->in.memory == NULL) {
            argp_error(a, "--state and --memory are required");
        }
        if ((o->in.requests != NULL) == (o->in.addresses > 0)) {
            argp_error(a, "give either --requests or addresses");
        }
        if (o->latency < 1) {
            argp_error(a, "--latency: at least 1");
        }
        break;
    default:
        return inputs_option(&o->in, key, arg, a);
    }
    return 0;
}

static const struct argp argp = {
    option_list,
    parse_option,
    "[ADDRESS...]",
    "Translate addresses, each a cold walk, and write what came of them as CSV."
    "\vAddresses on the command line are reads, with user rights below 2^63 and supervisor rights above.\n\n"
    "Columns of the requests: va,access,cpl are required; ac, implicit, nonspec (1 unless given), poke "
    "(addr=value;addr=value, stores made before the line) and any key of state files are optional.\n\n"
    "Example:\n  dmt translate -s sim/captures/gups/state -m sim/captures/gups/memory.zst \\\n"
    "      -e all 401000 4800000",
    NULL,
    NULL,
    NULL};

static bool make_engine(struct engine *e, const char *name, const struct options *o,
                        const struct dmt_mem *mem)
{
    const struct dut_ops *rtl = option_config(o->config);

    e->name = name;
    if (rtl == NULL) {
        return false;
    }
    e->mem = dmt_mem_clone(mem);
    if (e->mem == NULL) {
        say("out of memory");
        return false;
    }
    e->config = &rtl->config;
    golden_init(&e->golden, e->mem, e->config);
    if (strcmp(name, "arch") == 0) {
        return true;
    }
    e->single =
        single_new(strcmp(name, "rtl") == 0 ? rtl : &dut_cycle, &rtl->config, e->mem, o->latency, true);
    if (e->single == NULL) {
        say("engine %s: %s", name, cosim_error());
    }
    return e->single != NULL;
}

static int run(const struct options *o, struct requests *r, const struct dmt_mem *mem)
{
    static const char *const names[] = {"arch", "cycle", "rtl"};
    struct engine engine[3] = {0};
    unsigned n = 0;
    int code = EXIT_OK;
    size_t differences = 0;
    struct out *out = out_open(o->out);

    if (out == NULL) {
        return EXIT_BAD_INPUT;
    }
    for (unsigned i = 0; i < 3 && code == EXIT_OK; i++) {
        if (strcmp(o->engine, "all") == 0 || strcmp(o->engine, names[i]) == 0) {
            code = make_engine(&engine[n++], names[i], o, mem) ? EXIT_OK : EXIT_BAD_INPUT;
        }
    }
    out_printf(out, "%s", results_header);
    for (size_t i = 0; code == EXIT_OK && i < requests_count(r); i++) {
        const struct request_line *line = requests_get(r, i);
        struct store ad[EVENTS];
        for (unsigned k = 0; k < n && code == EXIT_OK; k++) {
            code = translate(&engine[k], line) ? EXIT_OK : EXIT_BAD_INPUT;
        }
        for (unsigned k = 1; k < n && code == EXIT_OK; k++) {
            differences += differs(&engine[k - 1], &engine[k], line);
        }
        if (code == EXIT_OK) { /* with several engines the last one's: it knows the clocks */
            const struct answer *a = &engine[n - 1].answer;
            results_put(out, &line->rq, &line->state->dmt, &a->result, ad, ad_writes(a, ad), a->cycles);
        }
    }
    for (unsigned k = 0; k < n; k++) {
        if (engine[k].single != NULL) {
            single_free(engine[k].single);
        }
        dmt_mem_free(engine[k].mem);
    }
    if (code != EXIT_OK) {
        out_discard(out);
        return code;
    }
    if (!out_commit(out)) {
        return EXIT_BAD_INPUT;
    }
    if (differences > 0) {
        say("%zu differences between engines", differences);
        return EXIT_CHECK;
    }
    return EXIT_OK;
}

int cmd_translate(int argc, char **argv)
{
    struct options o = {.out = "-", .engine = "arch", .config = "default", .latency = 20};
    struct inputs_data d;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int code = inputs_read(&o.in, false, &d) ? run(&o, d.requests, d.mem) : EXIT_BAD_INPUT;
    inputs_free(&d);
    return code;
}
