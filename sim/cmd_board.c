/* SPDX-License-Identifier: Apache-2.0
 * dmt board: the walker on an FPGA board at a serial port. Every answer is
 * compared with the architectural model; the board holds only the blocks of
 * memory that the walks under way read, so captures larger than it fit. */
#include "cmd.h"

#include "board.h"
#include "dmt/regs.h"
#include "golden.h"
#include "inputs.h"
#include "io.h"
#include "tb/csr.h"
#include "tb/stimulus.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK    128 /* requests between two looks at what came back */
#define RESTARTS 20  /* of a board that is reset without getting anywhere */

struct options {
    struct inputs in;
    const char *mode, *port, *out;
    unsigned baud, patience;
    uint64_t bytes, seed, seeds, walks;
    bool clear;
};

/* ---------------------------------------------------------------- requests on a board */

/* One request: what the model says, what the board said. */
struct job {
    struct dmt_request rq;
    struct dmt_state *state; /* registers for it, gTEAs not resolved; shared by jobs that change nothing */
    bool own_state;
    struct cosim_poke *poke;
    size_t poke_n;
    uint64_t number;
    struct dmt_result want, got;
    struct store *ad; /* updates that the model made */
    size_t ad_n;
    uint64_t *touch; /* addresses that the walk, or its registers, read */
    size_t touch_n;
    struct board_update *update;
    size_t update_n;
    uint32_t clocks;
    uint64_t event[DMT_SETS_MAX + 1]; /* after its register writes */
    bool answered;
};

struct run {
    struct board *board;
    struct cosim_source *source;
    bool cold;      /* each request starts with empty caches, after the one before */
    bool resolve;   /* states come with gTEAs not resolved */
    struct golden *golden;
    struct dmt_mem *mem;    /* what the board's memory holds, or would */
    struct dmt_state *have; /* its registers */
    struct csr *csr;
    struct job job[CHUNK];
    unsigned n;
    bool stored;            /* a word of mem changed that a board without trace did not tell of */
    uint64_t done, total, differences, restarts, limit;
    unsigned tries;
    uint64_t status[16], path[4], updates, reads, clocks, words;
    /* May be NULL: each request with its answer, in order. */
    void (*answer)(void *user, const struct job *j);
    void *user;
};

static void on_result(void *user, uint64_t n, const struct board_result *r)
{
    struct run *run = user;
    struct job *j = &run->job[n];

    j->got = r->result;
    j->clocks = r->clocks;
    j->update_n = r->update_n;
    j->update = need(realloc(j->update, (r->update_n + 1) * sizeof *j->update));
    if (r->update_n > 0) {
        memcpy(j->update, r->update, r->update_n * sizeof *j->update);
    }
    j->answered = true;
}

static void touch(struct job *j, uint64_t addr)
{
    if ((j->touch_n & (j->touch_n + 1)) == 0) {
        j->touch = need(realloc(j->touch, (2 * j->touch_n + 2) * sizeof *j->touch));
    }
    j->touch[j->touch_n++] = addr & ~UINT64_C(7);
}

struct resolving {
    struct job *job;
    struct dmt_mem *mem;
};

static enum dmt_resp resolve_read(void *user, uint64_t addr, uint64_t *data)
{
    struct resolving *r = user;

    touch(r->job, addr);
    return dmt_mem_read(r->mem, addr, data) ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}

/* What the model makes of a request, and which words the board will read for it. */
static void judge(struct run *run, struct job *j)
{
    struct dmt_state *s = j->state;
    struct dmt_state resolved = *s;

    j->touch_n = j->ad_n = 0;
    for (size_t i = 0; i < j->poke_n; i++) {
        dmt_mem_write(run->golden->mem, j->poke[i].addr, j->poke[i].value);
        touch(j, j->poke[i].addr);
    }
    for (unsigned k = 1; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            if (s->tea[k][i].valid && s->tea[k][i].kind == DMT_KIND_GTEA) {
                struct resolving r = {j, run->golden->mem};
                uint64_t base, pages;
                dmt_gtea_resolve(s, k, s->tea[k][i].gtea, resolve_read, &r, &base, &pages);
            }
        }
    }
    if (run->resolve) {
        state_resolve(&resolved, run->golden->mem);
    }
    golden_translate(run->golden, &resolved, &j->rq, &j->want);
    j->ad = need(realloc(j->ad, (run->golden->n + 1) * sizeof *j->ad));
    for (unsigned i = 0; i < run->golden->n; i++) {
        const struct single_event *e = &run->golden->event[i];
        touch(j, e->ref.addr);
        if (e->write && e->resp == DMT_RESP_EXOKAY) {
            j->ad[j->ad_n++] = (struct store){e->ref.addr, e->data};
        }
    }
}

/* The next request into run->job[run->n]. */
static bool fetch_job(struct run *run)
{
    struct cosim_item item;
    struct job *j = &run->job[run->n];

    if ((run->limit > 0 && run->done + run->n >= run->limit) || !run->source->next(run->source->user, &item)) {
        return false;
    }
    j->rq = item.request;
    j->number = run->done + run->n + 1;
    j->answered = false;
    j->poke_n = item.poke_n;
    j->poke = need(realloc(j->poke, (item.poke_n + 1) * sizeof *j->poke));
    if (item.poke_n > 0) {
        memcpy(j->poke, item.poke, item.poke_n * sizeof *j->poke);
    }
    const struct dmt_state *wanted = item.state != NULL ? item.state : run->source->state;
    const struct job *before = run->n > 0 ? j - 1 : NULL;
    j->own_state = before == NULL || memcmp(wanted, before->state, sizeof *wanted) != 0;
    if (j->own_state) {
        j->state = need(malloc(sizeof *j->state));
        *j->state = *wanted;
    } else {
        j->state = before->state;
    }
    judge(run, j);
    return true;
}

/* Forget the first q jobs; those behind them move up. */
static void forget_jobs(struct run *run, unsigned q)
{
    for (unsigned i = q; i-- > 0;) {
        if (!run->job[i].own_state) {
            continue;
        }
        if (q < run->n && run->job[q].state == run->job[i].state) {
            run->job[q].own_state = true; /* shared with one that stays */
        } else {
            free(run->job[i].state);
        }
        run->job[i].own_state = false;
    }
    run->n -= q;
    for (unsigned i = 0; i < run->n; i++) { /* swapped, since each has buffers */
        struct job t = run->job[i];
        run->job[i] = run->job[q + i];
        run->job[q + i] = t;
    }
}

/* The registers that a request wants. NULL, or what the board lacks. */
static const char *program(struct run *run, struct job *j)
{
    const struct board_id *id = board_id(run->board);
    struct csr *c = run->csr;

    csr_reset(c, 0);
    if (j->poke_n > 0) {
        csr_invalidate(c, &id->config);
    }
    const char *missing = csr_program(c, &id->config, run->have, j->state);
    if (missing != NULL) {
        return missing;
    }
    for (uint64_t set = 1; j->poke_n > 0 && set < id->config.sets; set++) {
        csr_push(c, DMT_HOST_BASE + DMT_HOST_GTEA_CMD,
                 (uint64_t)DMT_GTEA_OP_RESOLVE_ALL << DMT_HOST_GTEA_CMD_OP_LSB | set << DMT_HOST_GTEA_CMD_SET_LSB);
    }
    bool changed = c->writes > 0;
    if (run->cold) {
        csr_invalidate(c, &id->config);
    }
    for (uint64_t i = 0; i < c->writes; i++) {
        board_csr_write(run->board, c->write[i % CSR_DEPTH].addr, c->write[i % CSR_DEPTH].data, NULL);
    }
    memset(j->event, 0, sizeof j->event);
    for (unsigned k = 0; changed && k < id->config.sets; k++) {
        board_csr_read(run->board, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT, &j->event[k], NULL);
    }
    if (changed) {
        board_csr_read(run->board, DMT_HOST_BASE + DMT_HOST_EVENT, &j->event[DMT_SETS_MAX], NULL);
    }
    return NULL;
}

/* A difference between what was expected and what the board did. */
static void differ(struct run *run, const struct job *j, const char *field, uint64_t want, uint64_t got)
{
    if (run->differences++ < 10) {
        say("request %" PRIu64 ": va 0x%" PRIx64 ": %s: expected 0x%" PRIx64 ", the board has 0x%" PRIx64, j->number,
            j->rq.va, field, want, got);
    }
}

static void compare(struct run *run, const struct job *j)
{
    const struct dmt_result *x = &j->want, *y = &j->got;
    bool trace = board_id(run->board)->trace;

#define COMPARE(f)                                                                                           \
    if (x->f != y->f) {                                                                                      \
        differ(run, j, #f, (uint64_t)x->f, (uint64_t)y->f);                                                  \
        return;                                                                                              \
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
        /* A walk that starts from a cached entry asks less of the stages below. */
        if (!run->cold && k < state_entry(j->state) && y->path[k] < x->path[k]) {
            continue;
        }
        COMPARE(path[k])
        COMPARE(index[k])
    }
    if (trace) {
        COMPARE(updates)
        if (run->cold) {
            COMPARE(reads)
        }
    }
#undef COMPARE
    for (size_t i = 0, k = 0; trace && i < j->update_n; i++) {
        const struct board_update *u = &j->update[i];
        if (u->resp != DMT_RESP_EXOKAY) {
            continue;
        }
        if (u->addr != j->ad[k].addr || u->data != j->ad[k].value) {
            differ(run, j, "an A/D update (address)", j->ad[k].addr, u->addr);
            return;
        }
        k++;
    }
    for (unsigned k = 0; k <= DMT_SETS_MAX; k++) {
        uint64_t refused = k < DMT_SETS_MAX ? DMT_LEVEL_EVENT_REFUSED_MASK : DMT_HOST_EVENT_REFUSED_MASK;
        if ((j->event[k] & refused) != 0) {
            differ(run, j, "REFUSED event after register writes", 0, 1);
            return;
        }
    }
}

struct readback {
    struct run *run;
    uint64_t words;
};

static bool same_word(void *user, uint64_t addr, uint64_t value)
{
    struct readback *r = user;
    uint64_t want = 0;

    dmt_mem_read(r->run->mem, addr, &want);
    r->words++;
    if (want != value && r->run->differences++ < 10) {
        say("memory at 0x%" PRIx64 ": expected 0x%" PRIx64 ", the board has 0x%" PRIx64, addr, want, value);
    }
    return true;
}

/* Is the board's memory what it should be? False: could not be read. */
static bool verify(struct run *run)
{
    struct readback r = {.run = run};
    enum board_status s = board_compare(run->board, same_word, &r);

    run->stored = false;
    run->words += r.words;
    return s == BOARD_OK;
}

/* Wait for the first q requests, which are queued; judge and hand on what came, forget them. False: give up. */
static bool commit(struct run *run, unsigned q)
{
    bool trace = board_id(run->board)->trace;

    if (board_flush(run->board) != BOARD_OK) {
        return false;
    }
    run->tries = 0;
    for (unsigned i = 0; i < q; i++) {
        struct job *j = &run->job[i];
        unsigned worst = 0;
        compare(run, j);
        for (size_t k = 0; k < j->ad_n; k++) {
            dmt_mem_write(run->mem, j->ad[k].addr, j->ad[k].value);
            run->stored = run->stored || !trace;
        }
        j->got.refs = j->want.refs;
        if (!trace) {
            j->got.reads = j->want.reads;
        }
        for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
            worst = j->got.path[k] > worst ? j->got.path[k] : worst;
        }
        run->status[j->got.status & 15]++;
        run->path[worst]++;
        run->updates += j->ad_n;
        run->reads += j->got.reads;
        run->clocks += j->clocks;
        if (run->answer != NULL) {
            run->answer(run->user, j);
        }
    }
    run->done += q;
    forget_jobs(run, q);
    progress_show("board", run->done, run->total);
    return true;
}

/* Queue request i. *full: room must be made first. False: impossible. */
static bool submit(struct run *run, unsigned i, bool evict, bool *full)
{
    struct job *j = &run->job[i];
    const struct board_id *id = board_id(run->board);

    for (size_t k = 0; k < j->poke_n; k++) {
        dmt_mem_write(run->mem, j->poke[k].addr, j->poke[k].value);
        board_forget(run->board, j->poke[k].addr);
    }
    switch (board_need(run->board, run->mem, j->touch, j->touch_n, evict)) {
    case BOARD_THERE:
        break;
    case BOARD_EVICTS:
        *full = true;
        return true;
    case BOARD_FULL:
        say("request %" PRIu64 ": its walk needs more of memory at once than the board has (%u blocks of %u bytes)",
            j->number, id->slots, 1u << id->block_w);
        return false;
    }
    /* Walks at the same time may see each other's updates, or not: so not those. */
    bool alone = !run->cold && (j->want.updates > 0 || j->want.status == DMT_STATUS_RETRY);
    if (alone) {
        board_fence(run->board, NULL);
    }
    const char *missing = program(run, j);
    if (missing != NULL) {
        say("request %" PRIu64 ": the state asks for %s (it has SETS = %u, TEA_N = %u, PA_W = %u)", j->number,
            missing, id->config.sets, id->config.tea_n, id->config.pa_w);
        return false;
    }
    board_translate(run->board, &j->rq, i);
    if (alone) {
        board_fence(run->board, NULL);
    }
    return true;
}

static bool restart(struct run *run)
{
    enum board_status s = BOARD_RESET;

    if (run->restarts++ == 0) {
        say("the board was reset: starting again from request %" PRIu64, run->done + 1);
    }
    while (s == BOARD_RESET && run->tries++ < RESTARTS) {
        s = board_start(run->board, true);
    }
    if (s == BOARD_RESET) {
        say("the board is reset again and again: giving up");
    }
    dmt_state_reset(run->have, board_id(run->board)->config.pa_w);
    return s == BOARD_OK;
}

/* Every job of the chunk answered, starting again as often as the board is reset. */
static bool carry_out(struct run *run)
{
    bool evict = false;

    while (run->n > 0) {
        bool full = false;
        unsigned q = 0;
        /* Stores of software come first, so that starting again begins with them. */
        unsigned most = run->tries < 7 ? CHUNK >> run->tries : 1; /* less at a time, to get on at all */
        while (q < run->n && q < most && (q == 0 || run->job[q].poke_n == 0) && board_status(run->board) == BOARD_OK) {
            if (!submit(run, q, evict && q == 0, &full)) {
                return false;
            }
            if (full) {
                break;
            }
            q++;
        }
        if (board_status(run->board) == BOARD_OK && commit(run, q)) {
            evict = full;
            if (!evict || !run->stored || verify(run)) {
                continue;
            }
        }
        if (board_status(run->board) != BOARD_RESET || !restart(run)) {
            return false;
        }
        evict = false;
    }
    return true;
}

/* All of memory read back at the end. A board that is reset then has lost it. */
static bool finish(struct run *run)
{
    while (!verify(run)) {
        if (board_status(run->board) == BOARD_STOPPED) {
            say("stopped: the board's memory was not read back to its end");
            return true;
        }
        if (board_status(run->board) != BOARD_RESET || !restart(run)) {
            return false;
        }
    }
    return true;
}

/* The whole source, or what is done of it when the user stops it. An exit code. */
static int run_source(struct run *run)
{
    bool more = true;

    board_on_result(run->board, on_result, run);
    while (more) {
        while (run->n < CHUNK && (more = fetch_job(run))) {
            run->n++;
        }
        if (!carry_out(run)) {
            return board_status(run->board) == BOARD_STOPPED ? EXIT_OK : EXIT_BAD_INPUT;
        }
        if (run->differences > 0) {
            break;
        }
    }
    return EXIT_OK;
}

/* What a failed board means for the exit code, said. */
static int failed(struct board *b)
{
    if (board_status(b) == BOARD_RESET) {
        say("the board was reset: start again");
    }
    return EXIT_BAD_INPUT;
}

static struct run *run_new(struct board *b, const struct dmt_mem *mem)
{
    struct run *run = need(calloc(1, sizeof *run));

    run->board = b;
    run->golden = need(calloc(1, sizeof *run->golden));
    run->mem = need(dmt_mem_clone(mem));
    golden_init(run->golden, need(dmt_mem_clone(mem)), &board_id(b)->config);
    run->have = need(calloc(1, sizeof *run->have));
    dmt_state_reset(run->have, board_id(b)->config.pa_w);
    run->csr = need(calloc(1, sizeof *run->csr));
    return run;
}

static void run_free(struct run *run)
{
    forget_jobs(run, run->n);
    for (unsigned i = 0; i < CHUNK; i++) {
        struct job *j = &run->job[i];
        free(j->poke);
        free(j->ad);
        free(j->touch);
        free(j->update);
    }
    dmt_mem_free(run->mem);
    dmt_mem_free(run->golden->mem);
    free(run->golden);
    free(run->have);
    free(run->csr);
    free(run);
}

/* ---------------------------------------------------------------- modes */

static const char *config_name(const struct dmt_config *c)
{
    static const struct {
        const char *name;
        struct dmt_config config;
    } known[] = {
#define DMT_CONFIG(name, ...) {#name, {__VA_ARGS__}},
#include "configs.h"
#undef DMT_CONFIG
    };

    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        if (memcmp(c, &known[i].config, sizeof *c) == 0) {
            return known[i].name;
        }
    }
    return "none of rtl/configs.json";
}

static int identify(struct board *b)
{
    const struct board_id *id = board_id(b);
    const struct dmt_config *c = &id->config;

    printf("version:       %u\nbuild:         %08" PRIx32 "\nsession:       %04x\n", id->version, id->build, id->session);
    printf("configuration: %s\n", config_name(c));
    printf("  PA_W=%u CTX_N=%u TEA_N=%u SETS=%u PWC4_N=%u PWC3_N=%u PWC2_N=%u NPWC4_N=%u NPWC3_N=%u NPWC2_N=%u "
           "TAG_W=%u CNT_W=%u PIPE=%u\n",
           c->pa_w, c->ctx_n, c->tea_n, c->sets, c->pwc4_n, c->pwc3_n, c->pwc2_n, c->npwc4_n, c->npwc3_n, c->npwc2_n,
           c->tag_w, c->cnt_w, c->pipe);
    printf("memory:        %u blocks of %u bytes, mapped in %u tables of %u; latency %u clocks, reads at once: %u\n",
           id->slots, 1u << id->block_w, id->ways, 1u << id->set_w, id->latency, id->depth);
    printf("link:          %u baud, rings of %u bytes in and %u out\n", id->clk_khz * 1000 / id->divisor, 1u << id->rx_w,
           1u << id->tx_w);
    printf("clock:         %.1f MHz\ntrace:         %s\n", id->clk_khz / 1000.0, id->trace ? "yes" : "no");
    return EXIT_OK;
}

static int counters(struct board *b, bool clear)
{
    static const struct {
        const char *name;
        unsigned offset;
    } list[] = {{"request", DMT_HOST_CNT_REQUEST}, {"tea", DMT_HOST_CNT_TEA},         {"radix", DMT_HOST_CNT_RADIX},
                {"restart", DMT_HOST_CNT_RESTART}, {"pass", DMT_HOST_CNT_PASS},       {"fault", DMT_HOST_CNT_FAULT},
                {"bus", DMT_HOST_CNT_BUS},         {"retry", DMT_HOST_CNT_RETRY},     {"gtea", DMT_HOST_CNT_GTEA},
                {"read", DMT_HOST_CNT_READ},       {"update", DMT_HOST_CNT_UPDATE},   {"lost", DMT_HOST_CNT_LOST},
                {"pwc4", DMT_HOST_CNT_PWC4},       {"pwc3", DMT_HOST_CNT_PWC3},       {"pwc2", DMT_HOST_CNT_PWC2},
                {"npwc4", DMT_HOST_CNT_NPWC4},     {"npwc3", DMT_HOST_CNT_NPWC3},     {"npwc2", DMT_HOST_CNT_NPWC2},
                {"busy", DMT_HOST_CNT_BUSY}};
    enum { N = sizeof list / sizeof *list };
    uint64_t value[N];

    if (board_id(b)->config.cnt_w == 0) {
        say("this board's configuration has no counters (CNT_W = 0)");
        return EXIT_BAD_INPUT;
    }
    for (unsigned i = 0; i < N; i++) {
        board_csr_read(b, DMT_HOST_BASE + list[i].offset, &value[i], NULL);
    }
    if (clear) {
        board_csr_write(b, DMT_HOST_BASE + DMT_HOST_CNT_CLEAR, 1, NULL);
    }
    if (board_flush(b) != BOARD_OK) {
        return EXIT_BAD_INPUT;
    }
    for (unsigned i = 0; i < N; i++) {
        printf("%-8s %" PRIu64 "\n", list[i].name, value[i]);
    }
    return EXIT_OK;
}

/* ------------------------------------------------ load */

static void put_rate(struct board *b, unsigned per_mille)
{
    const struct link_stats *l = board_link_stats(b);

    if (per_mille > 0) {
        printf("rate:      %u.%u %% of the line's\n", per_mille / 10, per_mille % 10);
    }
    printf("line:      %" PRIu64 " frames sent, %" PRIu64 " of them again; %" PRIu64 " taken, %" PRIu64
           " bad or out of turn; %" PRIu64 " timeouts\n",
           l->frames_sent, l->frames_repeated, l->frames_taken, l->frames_bad, l->timeouts);
}

/* The rate of stores alone, by the board's own clock: in per mille of the bits that
 * the line carries meanwhile, start and stop bits among what is lost. */
static unsigned store_rate(struct board *b, const uint64_t *from, size_t words, size_t bytes)
{
    uint32_t start = 0, end = 0;
    size_t stored = 0;

    board_fence(b, &start); /* alone: a frame with stores in it would have come by then */
    board_flush(b);
    for (; stored < bytes; stored += words * 8) {
        board_store(b, 0, from, words);
    }
    board_fence(b, &end);
    board_flush(b);
    return end == start ? 0 : (unsigned)(10000 * (uint64_t)stored * board_id(b)->divisor / (uint32_t)(end - start));
}

/* Write random words over and over, half of memory while the other half is read back. */
static int load_random(struct board *b, const struct options *o)
{
    const struct board_id *id = board_id(b);
    size_t words = (size_t)id->slots << (id->block_w - 3), half = words / 2;
    uint64_t *want = need(malloc(words * sizeof *want)), *got = need(malloc(words * sizeof *got));
    uint64_t written = 0, compared = 0, wrong = 0, target = o->bytes;
    unsigned rate = 0, restarts = 0;
    struct rng r;

    rng_seed(&r, o->seed, 7);
    for (size_t i = 0; i < words; i++) {
        want[i] = rng_next(&r);
    }
    rate = store_rate(b, want, words, o->bytes < 65536 ? o->bytes : 65536);
    for (unsigned k = 0; compared < target; k = 1 - k) {
        uint64_t *w = want + k * half, *g = got + (1 - k) * half;
        bool write = written < target, read = written > compared;
        if (board_status(b) == BOARD_RESET) { /* what was written may be half there */
            if (restarts == 0) {
                say("the board was reset: starting again");
            }
            if (++restarts > RESTARTS || board_start(b, true) == BOARD_FAILED) {
                break;
            }
            written = compared;
            continue;
        }
        for (size_t i = 0; write && i < half; i++) {
            w[i] = rng_next(&r);
        }
        for (size_t i = 0, n = 32; i < half; i += n) { /* in turns: both lines are busy */
            n = half - i < n ? half - i : n;
            if (read) {
                board_fetch(b, (unsigned)((1 - k) * half + i), g + i, n);
            }
            if (write) {
                board_store(b, (unsigned)(k * half + i), w + i, n);
            }
        }
        if (board_flush(b) == BOARD_FAILED) {
            break;
        }
        if (board_status(b) == BOARD_RESET) {
            continue;
        }
        for (size_t i = 0; read && i < half; i++) {
            if (g[i] != want[(1 - k) * half + i] && wrong++ < 10) {
                say("word %zu of the board's memory: wrote %016" PRIx64 ", read %016" PRIx64, (1 - k) * half + i,
                    want[(1 - k) * half + i], g[i]);
            }
        }
        compared += read ? half * 8 : 0;
        written += write ? half * 8 : 0;
        progress_show("board", compared, target);
    }
    progress_end();
    free(want);
    free(got);
    if (board_status(b) != BOARD_OK) {
        return failed(b);
    }
    printf("written:   %" PRIu64 " bytes, read back: %" PRIu64 ", wrong words: %" PRIu64 ", restarts: %u\n", written,
           compared, wrong, restarts);
    put_rate(b, rate);
    return wrong > 0 ? EXIT_CHECK : EXIT_OK;
}

struct loaded {
    const struct dmt_mem *mem;
    uint64_t words, wrong;
};

static bool loaded_word(void *user, uint64_t addr, uint64_t value)
{
    struct loaded *l = user;
    uint64_t want = 0;

    dmt_mem_read(l->mem, addr, &want);
    l->words++;
    if (want != value && l->wrong++ < 10) {
        say("memory at 0x%" PRIx64 ": expected 0x%" PRIx64 ", the board has 0x%" PRIx64, addr, want, value);
    }
    return true;
}

/* A whole memory file. */
static int load_file(struct board *b, const struct options *o)
{
    const struct board_id *id = board_id(b);
    struct dmt_mem *mem = memory_read(o->in.memory, &o->in.how, NULL);
    struct loaded l = {.mem = mem};
    unsigned tries = 0;
    enum board_need fits = BOARD_THERE;
    uint32_t from = 0, to = 0;

    if (mem == NULL) {
        return EXIT_BAD_INPUT;
    }
    size_t frames = dmt_mem_count(mem), per = (size_t)4096 >> id->block_w, slots = 0, zeros = 0;
    uint64_t *pfn = need(malloc((frames + 1) * sizeof *pfn)), *addr = need(malloc((frames * per + 1) * sizeof *addr));
    dmt_mem_list(mem, pfn);
    for (size_t i = 0; i < frames * per; i++) {
        addr[i] = pfn[i / per] << 12 | i % per << id->block_w;
    }
    for (;;) {
        l.words = l.wrong = 0;
        board_fence(b, &from);
        board_flush(b);
        fits = board_need(b, mem, addr, frames * per, true);
        board_fence(b, &to);
        if (fits == BOARD_FULL || (board_flush(b) == BOARD_OK && board_compare(b, loaded_word, &l) == BOARD_OK) ||
            board_status(b) != BOARD_RESET || ++tries > RESTARTS) {
            break;
        }
        say("the board was reset: loading again");
        while (board_start(b, true) == BOARD_RESET && ++tries <= RESTARTS) {
        }
    }
    free(pfn);
    free(addr);
    dmt_mem_free(mem);
    if (fits == BOARD_FULL) {
        say("%s: %zu frames do not fit into the board's %u blocks of %u bytes", o->in.memory, frames, id->slots,
            1u << id->block_w);
        return EXIT_BAD_INPUT;
    }
    if (board_status(b) != BOARD_OK) {
        return failed(b);
    }
    board_blocks(b, &slots, &zeros);
    printf("loaded:    %zu frames in %zu blocks and %zu blocks of zeros\n", frames, slots, zeros);
    printf("read back: %" PRIu64 " words, wrong: %" PRIu64 "\n", l.words, l.wrong);
    put_rate(b, (unsigned)(10000 * (uint64_t)(slots << id->block_w) * id->divisor / (uint32_t)(to - from)));
    return l.wrong > 0 ? EXIT_CHECK : EXIT_OK;
}

/* ------------------------------------------------ translate */

struct table {
    struct out *out;
    bool trace;
};

static void put_row(void *user, const struct job *j)
{
    struct table *t = user;
    struct store *ad = need(malloc((j->update_n + j->ad_n + 1) * sizeof *ad));
    size_t n = 0;

    for (size_t i = 0; t->trace && i < j->update_n; i++) {
        if (j->update[i].resp == DMT_RESP_EXOKAY) {
            ad[n++] = (struct store){j->update[i].addr, j->update[i].data};
        }
    }
    for (size_t i = 0; !t->trace && i < j->ad_n; i++) {
        ad[n++] = j->ad[i];
    }
    results_put(t->out, &j->rq, j->state, &j->got, ad, n, t->trace ? (int64_t)j->clocks : -1);
    free(ad);
}

static int translate(struct board *b, struct options *o, struct cosim_source *source, const struct dmt_mem *mem,
                     uint64_t total)
{
    struct table t = {.out = out_open(o->out), .trace = board_id(b)->trace};

    if (t.out == NULL) {
        return EXIT_BAD_INPUT;
    }
    struct run *run = run_new(b, mem);
    run->source = source;
    run->cold = run->resolve = true;
    run->total = total;
    run->answer = put_row;
    run->user = &t;
    out_printf(t.out, "%s", results_header);
    int code = run_source(run);
    if (code == EXIT_OK && !finish(run)) {
        code = EXIT_BAD_INPUT;
    }
    progress_end();
    uint64_t differences = run->differences;
    run_free(run);
    if (code != EXIT_OK) {
        out_discard(t.out);
        return code;
    }
    if (!out_commit(t.out)) {
        return EXIT_BAD_INPUT;
    }
    if (differences > 0) {
        say("%" PRIu64 " differences between board and model", differences);
        return EXIT_CHECK;
    }
    return EXIT_OK;
}

/* ------------------------------------------------ cosim */

static void summary(const struct run *run)
{
    static const char *const paths[] = {"none", "tea", "radix", "restart"};

    printf("requests:    %" PRIu64 "\nanswers:    ", run->done);
    for (unsigned i = 0; i < 16; i++) {
        if (run->status[i] > 0) {
            printf(" %s %" PRIu64, status_name(i), run->status[i]);
        }
    }
    printf("\npaths:      ");
    for (unsigned i = 0; i < 4; i++) {
        if (run->path[i] > 0) {
            printf(" %s %" PRIu64, paths[i], run->path[i]);
        }
    }
    printf("\nA/D updates: %" PRIu64 "; words of memory read back: %" PRIu64 "; restarts: %" PRIu64 "\n", run->updates,
           run->words, run->restarts);
    if (board_id(run->board)->trace && run->done > 0) {
        printf("a request:   %.2f reads, %.2f clocks\n", (double)run->reads / (double)run->done,
               (double)run->clocks / (double)run->done);
    }
    printf("divergences: %" PRIu64 "\n", run->differences);
}

static void add(struct run *sum, const struct run *r)
{
    sum->done += r->done;
    sum->updates += r->updates;
    sum->words += r->words;
    sum->reads += r->reads;
    sum->clocks += r->clocks;
    sum->restarts += r->restarts;
    sum->differences += r->differences;
    for (unsigned i = 0; i < 16; i++) {
        sum->status[i] += r->status[i];
    }
    for (unsigned i = 0; i < 4; i++) {
        sum->path[i] += r->path[i];
    }
}

/* Requests of the harness's random scenarios. */
struct random {
    struct stimulus s;
    struct cosim_source source;
};

static bool random_next(void *user, struct cosim_item *item)
{
    struct random *r = user;
    struct dmt_in in = {0};
    struct dmt_out out = {.req_ready = 1};

    while (!in.req_valid) {
        stimulus_drive(&r->s, &in);
        if (!in.req_valid) {
            stimulus_edge(&r->s, &out, &in);
        }
    }
    *item = (struct cosim_item){0};
    item->request = (struct dmt_request){.va = in.req_va,
                                         .access = (uint8_t)in.req_access,
                                         .cpl = (uint8_t)in.req_cpl,
                                         .ac = in.req_ac,
                                         .implicit = in.req_implicit,
                                         .nonspec = in.req_nonspec};
    stimulus_edge(&r->s, &out, &in);
    return true;
}

static bool random_scenario(struct random *r, const struct dmt_config *config, uint64_t seed)
{
    struct dmt_state *s = &r->s.base;

    if (!stimulus_random(&r->s, config, seed, 0, false)) {
        say("out of memory");
        return false;
    }
    /* What the hardware would refuse is for lockstep; here answers count. */
    for (unsigned k = 0; k < config->sets; k++) {
        for (unsigned i = 0; i < config->tea_n; i++) {
            if (s->tea[k][i].valid && dmt_tea_refusal(&s->tea[k][i], k, false, s->maxpa) != DMT_REFUSAL_NONE) {
                memset(&s->tea[k][i], 0, sizeof s->tea[k][i]);
            }
        }
    }
    csr_reset(&r->s.csr, 0);
    r->s.hold = false;
    state_resolve(s, r->s.mem);
    r->source = (struct cosim_source){.user = r, .mem = r->s.mem, .state = s, .next = random_next};
    return true;
}

static int cosim_random(struct board *b, const struct options *o)
{
    struct random *r = need(calloc(1, sizeof *r));
    struct run sum = {.board = b};
    int code = EXIT_OK;

    board_stop_on(b, signals_graceful());
    for (uint64_t i = 0; i < o->seeds && code == EXIT_OK && sum.differences == 0 && board_status(b) != BOARD_STOPPED; i++) {
        if (!random_scenario(r, &board_id(b)->config, o->seed + i)) {
            code = EXIT_BAD_INPUT;
            break;
        }
        struct run *run = run_new(b, r->s.mem);
        board_reset(b);
        run->source = &r->source;
        run->limit = run->total = o->walks;
        code = run_source(run);
        if (code == EXIT_OK && !finish(run)) {
            code = EXIT_BAD_INPUT;
        }
        if (run->differences > 0) {
            say("repeat with: dmt board cosim --port %s --seed %" PRIu64 " --walks %" PRIu64, o->port, o->seed + i,
                o->walks);
        }
        add(&sum, run);
        run_free(run);
    }
    progress_end();
    stimulus_clear(&r->s);
    free(r);
    if (code == EXIT_OK) {
        summary(&sum);
        code = sum.differences > 0 ? EXIT_CHECK : EXIT_OK;
    }
    return code;
}

static int cosim_replay(struct board *b, struct cosim_source *source, const struct dmt_mem *mem, uint64_t total)
{
    struct run *run = run_new(b, mem);

    run->source = source;
    run->resolve = true;
    run->total = total;
    board_stop_on(b, signals_graceful());
    int code = run_source(run);
    if (code == EXIT_OK && !finish(run)) {
        code = EXIT_BAD_INPUT;
    }
    progress_end();
    if (code == EXIT_OK) {
        summary(run);
        code = run->differences > 0 ? EXIT_CHECK : EXIT_OK;
    }
    run_free(run);
    return code;
}

/* ---------------------------------------------------------------- the command */

enum { O_BAUD = 256, O_TIMEOUT, O_BYTES, O_SEEDS, O_CLEAR };

static const struct argp_option option_list[] = {
    {"port", 'p', "DEV", 0, "Serial port of the board (required)", 0},
    {"baud", O_BAUD, "N", 0, "Its speed (default 3000000)", 0},
    {"timeout", O_TIMEOUT, "MS", 0, "Give up when the board says nothing for so long (default 3000)", 0},
    {"state", 's', "FILE", 0, "Registers", 0},
    {"memory", 'm', "FILE", 0, "Memory: frames, raw image or ELF core, zstd-compressed or not", 0},
    {"base", 'b', "ADDR", 0, "The memory file is a raw image that starts at this hex address", 0},
    {"requests", 'r', "FILE", 0, "Requests CSV, as for dmt translate; - for standard input", 0},
    {"trace", 't', "FILE", 0, "cosim: access trace (lackey, ChampSim, compact)", 0},
    {"limit", INPUT_LIMIT, "N", 0, "cosim: at most N accesses of the trace", 0},
    {"no-tlb", INPUT_NO_TLB, 0, 0, "cosim: every access is a request, not only those that miss the TLB", 0},
    {"no-registers", INPUT_NO_REGISTERS, 0, 0, "cosim: clear the TEA registers: the x86 walker alone", 0},
    {"out", 'o', "FILE", 0, "translate: results CSV (default: standard output)", 0},
    {"seed", 'S', "N", 0, "cosim, load: of random scenarios and words (default 1)", 0},
    {"seeds", O_SEEDS, "N", 0, "cosim: so many scenarios (default 4)", 0},
    {"walks", 'w', "N", 0, "cosim: requests of each random scenario (default 500)", 0},
    {"bytes", O_BYTES, "N", 0, "load: random words, so many bytes at least, in place of a file's", 0},
    {"clear", O_CLEAR, 0, 0, "counters: clear them when they have been read", 0},
    {0}};

static void check_options(struct options *o, struct argp_state *a)
{
    static const char *const modes[] = {"identify", "counters", "load", "translate", "cosim"};
    bool known = false;

    for (unsigned i = 0; o->mode != NULL && i < sizeof modes / sizeof *modes; i++) {
        known = known || strcmp(o->mode, modes[i]) == 0;
    }
    if (!known) {
        argp_error(a, "%s%s%s: expected identify, counters, load, translate or cosim", o->mode != NULL ? "'" : "",
                   o->mode != NULL ? o->mode : "no mode", o->mode != NULL ? "'" : "");
    }
    if (o->port == NULL) {
        argp_error(a, "--port is required");
    }
    if (strcmp(o->mode, "translate") == 0) {
        if (o->in.state == NULL || o->in.memory == NULL) {
            argp_error(a, "translate needs --state and --memory");
        }
        if ((o->in.requests != NULL) == (o->in.addresses > 0) || o->in.trace != NULL) {
            argp_error(a, "translate: give either --requests or addresses");
        }
        return;
    }
    if (o->in.addresses > 0) {
        argp_error(a, "'%s' is not an option", o->in.address[0]);
    }
    if (strcmp(o->mode, "load") == 0 && (o->in.memory != NULL) == (o->bytes > 0)) {
        argp_error(a, "load: give either --memory or --bytes");
    }
    if (strcmp(o->mode, "cosim") == 0) {
        inputs_replay(&o->in, a);
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;

    switch (key) {
    case 'p':
        o->port = arg;
        break;
    case O_BAUD:
        o->baud = (unsigned)option_number(arg, 100000000, "baud", a);
        if (!board_baud(o->baud)) {
            argp_error(a, "--baud: %s is not a speed that ports have (9600 .. 115200, .. 3000000, 4000000)", arg);
        }
        break;
    case O_TIMEOUT:
        o->patience = (unsigned)option_number(arg, 600000, "timeout", a);
        break;
    case 'o':
        o->out = arg;
        break;
    case 'S':
        o->seed = option_number(arg, UINT64_MAX, "seed", a);
        break;
    case O_SEEDS:
        o->seeds = option_number(arg, UINT32_MAX, "seeds", a);
        break;
    case 'w':
        o->walks = option_number(arg, UINT32_MAX, "walks", a);
        if (o->walks == 0) {
            argp_error(a, "--walks: at least 1");
        }
        break;
    case O_BYTES:
        o->bytes = option_number(arg, UINT64_MAX / 2, "bytes", a);
        break;
    case O_CLEAR:
        o->clear = true;
        break;
    case ARGP_KEY_ARGS:
        o->mode = a->argv[a->next];
        o->in.address = a->argv + a->next + 1;
        o->in.addresses = (size_t)(a->argc - a->next - 1);
        break;
    case ARGP_KEY_END:
        check_options(o, a);
        break;
    default:
        return inputs_option(&o->in, key, arg, a);
    }
    return 0;
}

static const struct argp argp = {
    option_list,
    parse_option,
    "identify|counters|load|translate|cosim [ADDRESS...]",
    "The walker on an FPGA board: identify it, read its counters, load its memory, translate as dmt translate "
    "does, or compare it with the architectural model on random scenarios, requests or traces."
    "\vThe results of translate are those of `dmt translate --engine rtl` with the board's configuration and memory "
    "latency.\n\n"
    "Examples:\n  dmt board identify --port /dev/ttyUSB0\n"
    "  dmt board translate -p /dev/ttyUSB0 -s sim/captures/gups/state \\\n"
    "      -m sim/captures/gups/memory.zst 401000 4800000",
    NULL,
    NULL,
    NULL};

/* Modes that have a state and a memory. */
static int with_files(struct board *b, struct options *o)
{
    struct inputs_data d;
    int code = EXIT_BAD_INPUT;

    if (inputs_read(&o->in, false, &d)) {
        struct cosim_source *source = replay_source(d.replay, &d.state.dmt, d.mem);
        code = strcmp(o->mode, "translate") == 0 ? translate(b, o, source, d.mem, replay_count(d.replay))
                                                 : cosim_replay(b, source, d.mem, replay_count(d.replay));
    }
    inputs_free(&d);
    return code;
}

int cmd_board(int argc, char **argv)
{
    struct options o = {.out = "-", .baud = 3000000, .patience = 3000, .seed = 1, .seeds = 4, .walks = 500};
    int code = EXIT_BAD_INPUT;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct board *b = board_open(o.port, o.baud, o.patience);
    if (b == NULL) {
        return EXIT_BAD_INPUT;
    }
    bool reader = strcmp(o.mode, "identify") == 0 || strcmp(o.mode, "counters") == 0;
    enum board_status s = BOARD_RESET;
    for (unsigned tries = 0; s == BOARD_RESET && tries < RESTARTS; tries++) {
        s = board_start(b, !reader);
    }
    if (s == BOARD_RESET) {
        say("%s: the board is reset again and again: giving up", o.port);
    } else if (s == BOARD_OK) {
        if (strcmp(o.mode, "identify") == 0) {
            code = identify(b);
        } else if (strcmp(o.mode, "counters") == 0) {
            code = counters(b, o.clear);
        } else if (strcmp(o.mode, "load") == 0) {
            code = o.in.memory != NULL ? load_file(b, &o) : load_random(b, &o);
        } else {
            code = o.in.state != NULL ? with_files(b, &o) : cosim_random(b, &o);
        }
    }
    board_close(b);
    if (fflush(stdout) != 0) {
        say("(standard output): cannot write");
        code = EXIT_BAD_INPUT;
    }
    return code;
}
