/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include "io.h"
#include "tb/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A request of a trace in 8 bytes: traces have millions. Addresses are
 * canonical, so the top two bits repeat the one below and have room for the access. */
#define ACCESS_SHIFT 62
#define VA_MASK      ((UINT64_C(1) << ACCESS_SHIFT) - 1)
#define VA_SIGN      (UINT64_C(1) << (ACCESS_SHIFT - 1))

struct replay {
    uint64_t *walk; /* trace: va | access << 62 */
    size_t n, room, at;
    uint8_t cpl; /* of all of them */
    struct requests *requests;
    struct cosim_poke *poke; /* of the current line */
    const struct dmt_state *state;
    const struct dmt_mem *mem;
    struct cosim_source source;
};

static bool next_item(void *user, struct cosim_item *item)
{
    struct replay *r = user;

    if (r->at == replay_count(r)) {
        return false;
    }
    *item = (struct cosim_item){0};
    if (r->requests == NULL) {
        uint64_t w = r->walk[r->at++];
        item->request = (struct dmt_request){.va = (w & VA_MASK) | ((w & VA_SIGN) != 0 ? ~VA_MASK : 0),
                                             .access = (uint8_t)(w >> ACCESS_SHIFT),
                                             .cpl = r->cpl,
                                             .nonspec = true};
        return true;
    }
    const struct request_line *l = requests_get(r->requests, r->at++);
    item->request = l->rq;
    item->state = &l->state->dmt;
    r->poke = realloc(r->poke, (l->poke_n + 1) * sizeof *r->poke);
    if (r->poke == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    for (size_t i = 0; i < l->poke_n; i++) {
        r->poke[i] = (struct cosim_poke){l->poke[i].addr, l->poke[i].value};
    }
    item->poke = r->poke;
    item->poke_n = l->poke_n;
    return true;
}

static void rewind_items(void *user)
{
    ((struct replay *)user)->at = 0;
}

static struct replay *make(const struct dmt_state *state, const struct dmt_mem *mem)
{
    struct replay *r = calloc(1, sizeof *r);

    if (r == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    r->cpl = 3;
    r->state = state;
    r->mem = mem;
    return r;
}

static void push(struct replay *r, const struct dmt_request *rq)
{
    if (r->n == r->room) {
        r->room = r->room == 0 ? 4096 : r->room * 2;
        r->walk = realloc(r->walk, r->room * sizeof *r->walk);
        if (r->walk == NULL) {
            say("out of memory");
            exit(EXIT_BAD_INPUT);
        }
    }
    r->walk[r->n++] = (rq->va & VA_MASK) | (uint64_t)rq->access << ACCESS_SHIFT;
}

struct replay *replay_trace(const char *path, const struct dmt_state *state, const struct dmt_mem *mem,
                            bool filter, uint64_t limit, struct tlb_stats *stats)
{
    struct trace *t = trace_open(path);
    struct tlb *tlb = t != NULL ? tlb_new(state, mem) : NULL;
    struct replay *r = make(state, mem);
    struct access a;
    bool end = false, ok = tlb != NULL;

    if (t != NULL && tlb == NULL) {
        say("out of memory");
    }
    for (uint64_t n = 0; ok && (limit == 0 || n < limit) && (ok = trace_next(t, &a, &end)) && !end; n++) {
        struct dmt_request rq[2];
        if (a.va >= VA_SIGN) {
            say("%s: access %llu: 0x%llx is not a user address", path, (unsigned long long)n,
                (unsigned long long)a.va);
            ok = false;
            break;
        }
        unsigned walks = tlb_access(tlb, &a, rq);
        if (!filter) {
            rq[0] = (struct dmt_request){.va = a.va, .access = a.kind};
            walks = 1;
        }
        for (unsigned i = 0; i < walks; i++) {
            push(r, &rq[i]);
        }
    }
    if (tlb != NULL) {
        *stats = *tlb_stats(tlb);
    }
    tlb_free(tlb);
    if (t != NULL) {
        trace_close(t);
    }
    if (!ok) {
        replay_free(r);
        return NULL;
    }
    return r;
}

struct replay *replay_rows(const struct oracle_row *rows, size_t rows_n, uint64_t n, uint64_t seed,
                           const struct dmt_state *state, const struct dmt_mem *mem)
{
    struct replay *r = make(state, mem);
    struct rng rng;
    size_t ok = 0;

    rng_seed(&rng, seed, 0);
    for (size_t i = 0; i < rows_n; i++) {
        ok += rows[i].outcome == ORACLE_OK;
    }
    r->cpl = rows_n > 0 ? rows[0].request.cpl : 3;
    while (ok > 0 && r->n < n) {
        const struct oracle_row *row = &rows[rng_below(&rng, rows_n)];
        struct dmt_request rq = row->request;
        rq.va = (rq.va & ~UINT64_C(0xfff)) | rng_below(&rng, 512) << 3;
        if (row->outcome == ORACLE_OK) {
            push(r, &rq);
        }
    }
    return r;
}

struct replay *replay_requests(struct requests *requests, const struct dmt_state *state,
                               const struct dmt_mem *mem)
{
    struct replay *r = make(state, mem);

    r->requests = requests;
    return r;
}

void replay_free(struct replay *r)
{
    if (r != NULL) {
        free(r->walk);
        free(r->poke);
        free(r);
    }
}

uint64_t replay_count(const struct replay *r)
{
    return r->requests != NULL ? requests_count(r->requests) : r->n;
}

struct cosim_source *replay_source(struct replay *r, const struct dmt_state *state, const struct dmt_mem *mem)
{
    r->at = 0;
    r->source = (struct cosim_source){.user = r,
                                      .mem = mem != NULL ? mem : r->mem,
                                      .state = state != NULL ? state : r->state,
                                      .next = next_item,
                                      .rewind = rewind_items};
    return &r->source;
}

/* ---------------------------------------------------------------- progress */

#define BAR 40

void progress_show(const char *label, uint64_t done, uint64_t total)
{
    static struct timespec last;
    struct timespec now;

    if (!isatty(STDERR_FILENO)) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec == last.tv_sec && now.tv_nsec - last.tv_nsec < 100000000 && done < total) {
        return;
    }
    last = now;
    unsigned filled = total > 0 ? (unsigned)((double)done * BAR / (double)total) : 0;
    fprintf(stderr, "\r  %-24s [", label);
    for (unsigned i = 0; i < BAR; i++) {
        fputc(i < filled ? '#' : '.', stderr);
    }
    fprintf(stderr, "] %3.0f %%", total > 0 ? (double)done * 100 / (double)total : 0.0);
    fflush(stderr);
}

void progress_end(void)
{
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
