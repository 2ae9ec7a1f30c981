/* SPDX-License-Identifier: Apache-2.0
 * Running a scenario. Software's operations are calls into the models, which
 * reach the machine through their platforms; accesses are issued between (and,
 * on live machines, answered during) them. Answers are judged when they come;
 * what they ask of software (faults) is done when no operation is under way. */
#include "tb/scenario.h"

#include "dmt/check.h"
#include "dmt/regs.h"
#include "tb/lockstep.h"
#include "tb/rng.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS  12
#define RETRIES 200 /* of one access, before it counts as not getting anywhere */
#define HOT     64
#define PENDING 4096

struct area {
    uint64_t vpn, pages;
    unsigned flags;
};

/** What the runner knows of a process: its areas, as the kernel says when asked. */
struct program {
    bool alive, stale;
    struct area *area;
    unsigned areas;
    uint64_t total; /* pages */
    uint64_t hot[HOT];
};

/** A kernel and what it runs in. */
struct layer {
    struct dmt_os *os;
    struct dmt_oracle *oracle;
    struct dmt_vm *outer; /* machine of the host; NULL: native */
    struct dmt_vm *inner; /* machine inside, of `l1`; NULL: none */
    struct dmt_host *l1;
    struct dmt_platform copy; /* of the kernel, when it shares with a hypervisor */
    struct dmt_vm *vm;        /* the one that the kernel runs in, NULL: none */
    unsigned level;
    bool hostile;
    unsigned files;
    struct program *program; /* by pid: 1 to scenario.processes */
    uint64_t *written;       /* frames of `outer` written since the host last looked, bits */
};

/** An access on its way. */
struct token {
    struct layer *layer;
    int pid;
    unsigned thread, retries;
    bool spec, busy;
    uint64_t moment;
    uint32_t next; /* free list */
};

struct pending {
    uint32_t token;
    struct machine_answer answer;
};

struct world {
    const struct scenario_options *o;
    const struct scenario *s;
    struct scenario_stats *stats;
    struct rng rng;
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct machine *machine;
    struct dmt_platform *platform;
    struct dmt_host *host;
    struct layer layer[LAYERS];
    unsigned layers;
    struct layer *on[DMT_THREADS_MAX]; /* whose kernel has the thread */
    struct token token[PENDING];
    uint32_t free_token;
    struct pending pending[PENDING];
    unsigned pending_n;
    enum scenario_op op; /* that is or was last under way */
    uint64_t written;    /* pa of the write just answered; 0: none */
    bool failed;
};

static const char *const op_names[OPS] = {
#define X(name, text) [OP_##name] = #name,
    SCENARIO_OP_LIST(X)
#undef X
};

static void fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct world *w, const char *format, ...)
{
    va_list args;

    if (w->failed) {
        return;
    }
    w->failed = true;
    w->stats->failed_at = w->stats->operations;
    w->stats->failed_in = w->op < OPS ? op_names[w->op] : "start";
    va_start(args, format);
    vsnprintf(w->stats->failure, sizeof w->stats->failure, format, args);
    va_end(args);
}

static bool percent(struct world *w, unsigned p)
{
    return rng_below(&w->rng, 100) < p;
}

static unsigned below(struct world *w, uint64_t n)
{
    return (unsigned)rng_below(&w->rng, n);
}

/* ------------------------------------------------------------ answers */

/* Where a frame of the layer's kernel is in host memory. */
static bool to_host(void *user, uint64_t pfn, uint64_t *hpfn)
{
    const struct layer *l = user;

    if (l->inner != NULL && !dmt_vm_backing(l->inner, pfn, &pfn)) {
        return false;
    }
    if (l->outer != NULL && !dmt_vm_backing(l->outer, pfn, &pfn)) {
        return false;
    }
    *hpfn = pfn;
    return true;
}

static void release_token(struct world *w, uint32_t i)
{
    w->token[i].busy = false;
    w->token[i].next = w->free_token;
    w->free_token = i;
}

static bool entering_fault(const struct dmt_result *r)
{
    return r->status == DMT_STATUS_PF || r->status == DMT_STATUS_GP;
}

/* A guest that does anything: what it gets must be its own. */
static void judge_hostile(struct world *w, const struct token *t, const struct machine_answer *a)
{
    const struct dmt_result *r = &a->result;
    uint64_t pfn;

    if (r->status != DMT_STATUS_OK || w->s->mode == DMT_MODE_NATIVE) {
        return;
    }
    w->stats->hostile_ok++;
    if (!dmt_vm_backing(t->layer->outer, r->addr >> 12, &pfn) || pfn != r->pa >> 12) {
        fail(w, "the hostile guest reached 0x%" PRIx64 " by 0x%" PRIx64 ", which is not its own", r->pa,
             a->request.va);
    }
}

static void answered(void *user, const struct machine_answer *a)
{
    struct world *w = user;
    struct token *t = &w->token[a->user];
    const struct dmt_result *r = &a->result;

    if (w->failed) {
        release_token(w, (uint32_t)a->user);
        return;
    }
    if (t->layer->hostile) {
        judge_hostile(w, t, a);
        release_token(w, (uint32_t)a->user);
        return;
    }
    if (w->o->judge && (r->status == DMT_STATUS_OK || r->status == DMT_STATUS_PF)) {
        const char *wrong =
            dmt_oracle_judge(t->layer->oracle, t->pid, t->thread, &a->request, r, t->moment, a->from_tlb);
        w->stats->judged++;
        if (wrong != NULL) {
            fail(w, "thread %u, process %d, va 0x%" PRIx64 "%s: %s", t->thread, t->pid, a->request.va,
                 a->from_tlb ? " (from the TLB)" : "", wrong);
        }
    }
    if (r->status == DMT_STATUS_OK && a->request.access == DMT_ACCESS_WRITE && !t->spec) {
        w->written = r->pa;
    }
    if (r->status == DMT_STATUS_BUS) {
        fail(w, "thread %u, va 0x%" PRIx64 ": bus error at 0x%" PRIx64, t->thread, a->request.va, r->addr);
    }
    if (r->status == DMT_STATUS_OK && a->request.access == DMT_ACCESS_WRITE && !t->spec &&
        t->layer->written != NULL && t->layer->level == 1) {
        t->layer->written[r->addr >> 18] |= UINT64_C(1) << (r->addr >> 12 & 63);
    }
    if (r->status == DMT_STATUS_OK || t->spec || w->pending_n == PENDING) {
        release_token(w, (uint32_t)a->user);
        return;
    }
    w->pending[w->pending_n++] = (struct pending){(uint32_t)a->user, *a};
}

static void issue(struct world *w, struct token *t, const struct dmt_request *q)
{
    t->moment = dmt_oracle_now(t->layer->oracle);
    machine_access(w->machine, t->thread, q, (uint64_t)(t - w->token));
}

/* The program accesses; t->layer runs pid on the thread. */
static void access_page(struct world *w, struct layer *l, unsigned thread, int pid, uint64_t va,
                        unsigned access, bool spec)
{
    struct dmt_request q = {.va = va, .access = (uint8_t)access, .cpl = 3, .nonspec = !spec};
    uint32_t i = w->free_token;

    if (i == UINT32_MAX) {
        return;
    }
    w->free_token = w->token[i].next;
    w->token[i] = (struct token){.layer = l, .pid = pid, .thread = thread, .spec = spec, .busy = true};
    w->written = 0;
    issue(w, &w->token[i], &q);
    /* Programs write what looks like an entry, so that a table that is used although its frame is theirs
     * shows. Where time passes between translation and store, the frame might have become a table rightly. */
    if (w->written != 0 && !w->failed && w->o->machine.dut == NULL) {
        machine_store(w->machine, w->written & ~UINT64_C(7), (rng_next(&w->rng) & 0xffffff) << 12 | 0x67);
    }
}

/* ------------------------------------------------------------ what answers ask for */

static bool allowed(struct layer *l, int pid, uint64_t va, unsigned access)
{
    static const unsigned need[] = {DMT_OS_R, DMT_OS_W, DMT_OS_X};
    struct dmt_vma area;
    unsigned flags;

    return dmt_os_area(l->os, pid, va >> 12, &area, &flags) && area.vpn <= va >> 12 &&
           (flags & need[access]) != 0;
}

/* True: try again. */
static bool serve_page_fault(struct world *w, struct layer *l, const struct token *t,
                             const struct machine_answer *a)
{
    enum dmt_os_status s = dmt_os_fault(l->os, t->pid, a->request.va, a->request.access);

    w->stats->faults++;
    if (s == DMT_OS_NO_MEMORY) {
        dmt_os_reclaim(l->os, 64);
        dmt_os_reclaim(l->os, 64);
        s = dmt_os_fault(l->os, t->pid, a->request.va, a->request.access);
        w->stats->refused += s == DMT_OS_NO_MEMORY;
    }
    if (s == DMT_OS_NO_AREA || s == DMT_OS_DENIED) {
        w->stats->segv++;
        if (allowed(l, t->pid, a->request.va, a->request.access)) {
            fail(w, "process %d: 0x%" PRIx64 " is refused although its area allows it", t->pid,
                 a->request.va);
        }
    }
    return s == DMT_OS_OK;
}

static bool serve_fault(struct world *w, const struct token *t, const struct machine_answer *a)
{
    struct layer *l = t->layer;

    if (entering_fault(&a->result)) {
        return a->result.status == DMT_STATUS_PF && serve_page_fault(w, l, t, a);
    }
    if (a->result.status == DMT_STATUS_GTEA) { /* taken back while the walk was under way */
        w->stats->gtea++;
        return true;
    }
    if (a->result.status == DMT_STATUS_RETRY || l->outer == NULL) {
        return false;
    }
    w->stats->violations++;
    if (dmt_vm_fault(l->outer, t->thread, &a->result) ||
        (l->inner != NULL && dmt_vm_fault(l->inner, t->thread, &a->result))) {
        return true;
    }
    fail(w, "thread %u, va 0x%" PRIx64 ": a second-stage fault at 0x%" PRIx64 " that no hypervisor serves",
         t->thread, a->request.va, a->result.addr);
    return false;
}

static void serve_pending(struct world *w)
{
    while (w->pending_n > 0 && !w->failed && machine_ok(w->machine)) {
        struct pending p = w->pending[--w->pending_n];
        struct token *t = &w->token[p.token];
        bool there = w->on[t->thread] == t->layer && dmt_os_running(t->layer->os, t->thread) == t->pid &&
                     dmt_os_space(t->layer->os, t->pid) != NULL;
        /* A process that has left the thread tries again when it is back: that is another access. */
        if (!there || !serve_fault(w, t, &p.answer)) {
            release_token(w, p.token);
            continue;
        }
        if (++t->retries > RETRIES) {
            fail(w, "thread %u, process %d, va 0x%" PRIx64 ": faults again and again (status %u)", t->thread,
                 t->pid, p.answer.request.va, p.answer.result.status);
            release_token(w, p.token);
            continue;
        }
        w->stats->retries++;
        issue(w, t, &p.answer.request);
    }
}

/* ------------------------------------------------------------ programs */

static struct program *program_of(struct layer *l, int pid)
{
    struct program *p = &l->program[pid];
    struct dmt_vma area;
    unsigned flags, room = p->areas;

    if (!p->stale) {
        return p;
    }
    p->areas = 0;
    p->total = 0;
    for (uint64_t vpn = 0; dmt_os_area(l->os, pid, vpn, &area, &flags); vpn = area.vpn + area.pages) {
        if (p->areas >= room || p->area == NULL) {
            struct area *grown = realloc(p->area, (room = room * 2 + 16) * sizeof *grown);
            if (grown == NULL) {
                break;
            }
            p->area = grown;
        }
        p->area[p->areas++] = (struct area){area.vpn, area.pages, flags};
        p->total += area.pages;
    }
    p->stale = false;
    return p;
}

static const struct area *some_area(struct world *w, struct layer *l, int pid)
{
    struct program *p = program_of(l, pid);

    return p->areas > 0 ? &p->area[below(w, p->areas)] : NULL;
}

/* A page of the process: one of its hot ones, or any, by the size of areas. */
static bool some_page(struct world *w, struct layer *l, int pid, const struct area **area, uint64_t *vpn)
{
    struct program *p = program_of(l, pid);
    uint64_t *hot = &p->hot[below(w, HOT)];
    bool again = percent(w, w->s->hot);

    if (p->areas == 0) {
        return false;
    }
    uint64_t at = rng_next(&w->rng) % p->total;
    for (unsigned i = 0; i < p->areas; i++) {
        const struct area *a = &p->area[i];
        if (again && *hot >= a->vpn && *hot - a->vpn < a->pages) {
            *area = a;
            *vpn = *hot;
            return true;
        }
    }
    for (unsigned i = 0; i < p->areas; i++) {
        const struct area *a = &p->area[i];
        if (at < a->pages) {
            *area = a;
            *vpn = *hot = a->vpn + at;
            return true;
        }
        at -= a->pages;
    }
    return false;
}

/* One access by whatever runs on the thread. */
static void some_access(struct world *w, unsigned thread)
{
    struct layer *l = w->on[thread];
    int pid;
    bool spec;
    const struct area *area;
    uint64_t vpn;
    unsigned access = DMT_ACCESS_READ;

    if (l == NULL) {
        return;
    }
    if (l->hostile) {
        access_page(w, l, thread, 0, rng_next(&w->rng) & (percent(w, 50) ? 0x7fffffffffff : 0x3fffffff),
                    below(w, 3), false);
        return;
    }
    pid = dmt_os_running(l->os, thread);
    spec = pid < 0;
    if (spec) { /* an idle thread keeps space and registers, and may speculate (K5) */
        pid = dmt_os_loaded(l->os, thread);
    }
    if (pid < 0 || !some_page(w, l, pid, &area, &vpn)) {
        return;
    }
    if (percent(w, w->s->stray)) {
        vpn = area->vpn + area->pages + below(w, 3);
        access = below(w, 3);
    } else if (percent(w, w->s->writes)) {
        access = (area->flags & DMT_OS_W) != 0 ? DMT_ACCESS_WRITE : DMT_ACCESS_READ;
    } else if (percent(w, w->s->fetches) && (area->flags & DMT_OS_X) != 0) {
        access = DMT_ACCESS_EXECUTE;
    }
    if (access == DMT_ACCESS_READ && (area->flags & DMT_OS_R) == 0 && !percent(w, w->s->stray)) {
        return;
    }
    access_page(w, l, thread, pid, vpn << 12 | (rng_next(&w->rng) & 0xff8), access, spec);
}

static int some_process(struct world *w, struct layer *l)
{
    int alive[64], n = 0;

    for (int pid = 1; pid <= (int)w->s->processes; pid++) {
        if (l->program[pid].alive) {
            alive[n++] = pid;
        }
    }
    return n > 0 ? alive[below(w, (uint64_t)n)] : -1;
}

/* ------------------------------------------------------------ operations of a kernel */

static unsigned some_flags(struct world *w)
{
    unsigned flags = DMT_OS_R | (percent(w, 85) ? DMT_OS_W : 0) | (percent(w, 15) ? DMT_OS_X : 0);

    if (percent(w, w->s->hugetlb)) {
        return flags | DMT_OS_HUGETLB_2M;
    }
    return flags | (percent(w, w->s->files) ? DMT_OS_FILE : 0) |
           (percent(w, w->s->shared) ? DMT_OS_SHARED : 0);
}

static uint64_t some_length(struct world *w)
{
    uint64_t lo = w->s->area_min, hi = w->s->area_max;

    /* Small ones are more frequent. */
    return lo + rng_below(&w->rng, 1 + rng_below(&w->rng, hi - lo + 1));
}

static enum dmt_os_status op_map(struct world *w, struct layer *l, int pid)
{
    unsigned flags = some_flags(w);
    uint64_t pages = some_length(w), vpn = 0;

    if (program_of(l, pid)->areas >= w->s->areas) {
        return DMT_OS_BAD;
    }
    if ((flags & DMT_OS_HUGETLB_2M) != 0) {
        pages = (pages + 511) & ~UINT64_C(511);
    }
    return dmt_os_map(l->os, pid, pages, flags, (unsigned)below(w, 32), rng_below(&w->rng, 64), &vpn);
}

/* A part of an area; of hugetlb areas whole pages. */
static bool some_part(struct world *w, struct layer *l, int pid, uint64_t *vpn, uint64_t *pages,
                      unsigned *flags)
{
    const struct area *a = some_area(w, l, pid);

    if (a == NULL) {
        return false;
    }
    *vpn = a->vpn;
    *pages = a->pages;
    *flags = a->flags;
    if (percent(w, 70)) {
        uint64_t skip = rng_below(&w->rng, a->pages);
        *vpn += skip;
        *pages = 1 + rng_below(&w->rng, a->pages - skip);
    }
    if ((a->flags & DMT_OS_HUGETLB_2M) != 0) {
        uint64_t first = *vpn & ~UINT64_C(511), end = (*vpn + *pages + 511) & ~UINT64_C(511);
        *vpn = first;
        *pages = end - first;
    }
    return true;
}

static enum dmt_os_status op_remap(struct world *w, struct layer *l, int pid, enum scenario_op op)
{
    uint64_t vpn, pages, to = 0, length;
    unsigned flags;
    const struct area *a;

    if (op == OP_remap) {
        if (!some_part(w, l, pid, &vpn, &pages, &flags)) {
            return DMT_OS_BAD;
        }
        return dmt_os_remap(l->os, pid, vpn, pages, pages + (percent(w, 30) ? some_length(w) : 0), true, &to);
    }
    a = some_area(w, l, pid);
    if (a == NULL || (op == OP_grow && a->pages > 4 * (uint64_t)w->s->area_max)) {
        return DMT_OS_BAD;
    }
    length = op == OP_grow ? a->pages + some_length(w) : 1 + rng_below(&w->rng, a->pages);
    if ((a->flags & DMT_OS_HUGETLB_2M) != 0) {
        length = (length + 511) & ~UINT64_C(511);
    }
    return dmt_os_remap(l->os, pid, a->vpn, a->pages, length, percent(w, 10), &to);
}

/* Two threads in one block, in each order. */
static enum dmt_os_status op_race(struct world *w, struct layer *l, int pid)
{
    struct dmt_os_ticket t[2];
    const struct area *area;
    uint64_t vpn;
    enum dmt_os_status s;

    if (!some_page(w, l, pid, &area, &vpn) || (area->flags & DMT_OS_R) == 0) {
        return DMT_OS_BAD;
    }
    uint64_t other = (vpn & ~UINT64_C(511)) + below(w, 512);
    if (other < area->vpn || other >= area->vpn + area->pages) {
        other = vpn;
    }
    unsigned first = below(w, 2);
    dmt_os_fault_begin(l->os, pid, vpn << 12, DMT_ACCESS_READ, &t[0]);
    dmt_os_fault_begin(l->os, pid, other << 12, DMT_ACCESS_READ, &t[1]);
    s = dmt_os_fault_end(l->os, &t[first]);
    enum dmt_os_status later = dmt_os_fault_end(l->os, &t[!first]);
    return s != DMT_OS_OK ? s : later;
}

static enum dmt_os_status op_block(struct world *w, struct layer *l, int pid, enum scenario_op op)
{
    const struct area *area;
    uint64_t vpn;

    if (!some_page(w, l, pid, &area, &vpn)) {
        return DMT_OS_BAD;
    }
    vpn &= ~UINT64_C(511);
    return op == OP_promote ? dmt_os_promote(l->os, pid, vpn) : dmt_os_demote(l->os, pid, vpn);
}

static enum dmt_os_status op_process(struct world *w, struct layer *l, int pid, enum scenario_op op)
{
    enum dmt_os_status s;
    int child;

    if (op == OP_exit) {
        for (unsigned t = 0; t < w->s->threads; t++) {
            if (dmt_os_running(l->os, t) == pid) {
                dmt_os_switch(l->os, t, -1);
            }
        }
        s = dmt_os_exit(l->os, pid);
        if (s == DMT_OS_OK) {
            l->program[pid].alive = false;
        }
        return s;
    }
    s = op == OP_fork && pid >= 0 ? dmt_os_fork(l->os, pid, &child) : dmt_os_spawn(l->os, &child);
    if (s == DMT_OS_OK) {
        l->program[child].alive = true;
        l->program[child].stale = true;
    }
    return s;
}

static enum dmt_os_status op_kernel(struct world *w, struct layer *l, enum scenario_op op)
{
    int pid = some_process(w, l);
    uint64_t vpn, pages, dirty;
    unsigned flags, thread = below(w, w->s->threads);

    if (op == OP_spawn || (pid < 0 && op != OP_switch)) {
        return op_process(w, l, pid, OP_spawn);
    }
    if (op == OP_switch) {
        return dmt_os_switch(l->os, thread, percent(w, 85) ? pid : -1);
    }
    l->program[pid].stale = true;
    switch (op) {
    case OP_map:
        return op_map(w, l, pid);
    case OP_unmap:
        return some_part(w, l, pid, &vpn, &pages, &flags) ? dmt_os_unmap(l->os, pid, vpn, pages) : DMT_OS_BAD;
    case OP_protect:
        if (!some_part(w, l, pid, &vpn, &pages, &flags)) {
            return DMT_OS_BAD;
        }
        return dmt_os_protect(l->os, pid, vpn, pages, below(w, 8) & (DMT_OS_R | DMT_OS_W | DMT_OS_X));
    case OP_grow:
    case OP_shrink:
    case OP_remap:
        return op_remap(w, l, pid, op);
    case OP_fork:
    case OP_exit:
        return op_process(w, l, pid, op);
    case OP_race:
        return op_race(w, l, pid);
    case OP_promote:
    case OP_demote:
        return op_block(w, l, pid, op);
    case OP_khugepaged:
        dmt_os_khugepaged(l->os, 8);
        return DMT_OS_OK;
    case OP_reclaim:
        dmt_os_reclaim(l->os, 32);
        return DMT_OS_OK;
    case OP_dirty:
        return some_part(w, l, pid, &vpn, &pages, &flags)
                   ? dmt_os_collect_dirty(l->os, pid, vpn, pages, &dirty)
                   : DMT_OS_BAD;
    default:
        return DMT_OS_BAD;
    }
}

/* ------------------------------------------------------------ operations of the host */

static void leave(struct world *w, unsigned thread)
{
    struct layer *l = w->on[thread];

    if (l == NULL || l->outer == NULL) {
        return;
    }
    if (l->inner != NULL) {
        dmt_vm_exit(l->inner, thread);
    }
    dmt_vm_exit(l->outer, thread);
    w->on[thread] = NULL;
}

static void enter(struct world *w, struct layer *l, unsigned thread)
{
    leave(w, thread);
    if (l->outer != NULL) {
        dmt_vm_enter(l->outer, thread);
    }
    if (l->inner != NULL) {
        dmt_vm_enter(l->inner, thread);
    }
    w->on[thread] = l;
}

static struct layer *some_guest(struct world *w)
{
    struct layer *l = &w->layer[below(w, w->layers)];

    return l->hostile || l->outer == NULL ? NULL : l;
}

/* Frame of the kernel that lies in frame gfn of the outer machine. */
static bool kernel_frame(const struct layer *l, uint64_t gfn, uint64_t *pfn)
{
    uint64_t at;

    if (l->inner == NULL) {
        *pfn = gfn;
        return true;
    }
    for (uint64_t i = 0; i < dmt_buddy_frames(l->os != NULL ? dmt_vm_platform(l->inner)->buddy : NULL); i++) {
        if (dmt_vm_backing(l->inner, i, &at) && at == gfn) {
            *pfn = i;
            return true;
        }
    }
    return false;
}

static enum dmt_os_status op_move(struct world *w, enum scenario_op op)
{
    struct layer *l = some_guest(w);

    if (l == NULL) {
        return DMT_OS_BAD;
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t gfn = rng_below(&w->rng, w->s->guest_frames), old, pfn;
        bool known;
        if (!dmt_vm_backing(l->outer, gfn, &old)) {
            continue;
        }
        /* A guest gives up frames that it does not use; its hypervisor moves any. */
        struct dmt_buddy *ram = dmt_vm_platform(l->outer)->buddy;
        if (op == OP_balloon && !dmt_buddy_alloc_at(ram, gfn, 1)) {
            continue;
        }
        known = kernel_frame(l, gfn, &pfn);
        if (known) {
            dmt_oracle_moved(l->oracle, pfn, old);
        }
        if (op == OP_move) {
            dmt_vm_move(l->outer, gfn);
        } else {
            dmt_vm_balloon(l->outer, gfn);
            dmt_buddy_release(ram, gfn, 1);
            if (l->written != NULL) {
                l->written[gfn >> 6] &= ~(UINT64_C(1) << (gfn & 63));
            }
        }
        for (unsigned t = 0; known && t < w->s->threads; t++) {
            dmt_oracle_moved_flushed(l->oracle, pfn, t);
        }
    }
    return DMT_OS_OK;
}

static enum dmt_os_status op_revoke(struct world *w)
{
    struct layer *l = some_guest(w);
    uint64_t pfn, frames;

    if (l == NULL || !w->s->pv) {
        return DMT_OS_BAD;
    }
    for (unsigned i = 0, id = below(w, 64); i < 64; i++, id = (id + 1) % 64) {
        if (l->level == 1 && dmt_vm_gtea(l->outer, id, &pfn, &frames)) {
            return dmt_vm_revoke(l->outer, id) ? DMT_OS_OK : DMT_OS_NO_MEMORY;
        }
    }
    return DMT_OS_BAD;
}

/* Everything that an answer said was written must be told as dirty (H7). */
static enum dmt_os_status op_track(struct world *w)
{
    struct layer *l = some_guest(w);
    uint64_t words, *before, *dirty;

    if (l == NULL || l->written == NULL) {
        return DMT_OS_BAD;
    }
    words = ((uint64_t)w->s->guest_frames + 63) / 64;
    before = calloc(2 * words, sizeof *before);
    if (before == NULL) {
        return DMT_OS_NO_MEMORY;
    }
    dirty = before + words;
    memcpy(before, l->written, words * sizeof *before);
    dmt_vm_dirty(l->outer, dirty, words);
    for (uint64_t i = 0; i < words; i++) {
        if ((before[i] & ~dirty[i]) != 0) {
            fail(w, "guest frame 0x%" PRIx64 " was written and is not dirty",
                 i * 64 + (unsigned)__builtin_ctzll(before[i] & ~dirty[i]));
        }
        /* What was written while the host looked is told now or the next time. */
        l->written[i] &= ~(before[i] | dirty[i]);
    }
    free(before);
    return DMT_OS_OK;
}

/* A word that is more often near something that matters. */
static uint64_t some_word(struct world *w)
{
    static const uint64_t edges[] = {0,    1,   3, 0x1000, 0xfffffffffffff000, UINT64_MAX, 0x8000000000000000,
                                     0x67, 0xe1};
    uint64_t x = rng_next(&w->rng);

    switch (below(w, 4)) {
    case 0:
        return edges[below(w, sizeof edges / sizeof *edges)] ^ (x & 0xfff);
    case 1:
        return (x & 0xffffff) << 12 | (x >> 40 & 0xfff);
    case 2:
        return x >> below(w, 64);
    default:
        return x;
    }
}

/* The hostile guest on this thread does something to its registers, its memory or the host. */
static enum dmt_os_status op_hostile(struct world *w)
{
    unsigned thread = below(w, w->s->threads);
    struct layer *l = w->on[thread];
    const struct dmt_platform *p;
    uint64_t answers;

    if (l == NULL || !l->hostile) {
        for (unsigned i = 0; i < w->layers; i++) {
            if (w->layer[i].hostile && percent(w, 50)) {
                enter(w, &w->layer[i], thread);
                l = &w->layer[i];
            }
        }
        if (l == NULL || !l->hostile) {
            return DMT_OS_BAD;
        }
    }
    p = dmt_vm_platform(l->outer);
    for (unsigned n = 1 + below(w, 12); n > 0; n--) {
        switch (below(w, 6)) {
        case 0: { /* a whole register, more often a plausible one */
            unsigned i = below(w, p->registers);
            struct dmt_tea t = {.base_vpn = percent(w, 50) ? 0 : rng_next(&w->rng) >> 12,
                                .pages = percent(w, 50) ? UINT64_C(1) << below(w, 53) : some_word(w),
                                .base_pfn = percent(w, 50) ? below(w, 1u << 16) : some_word(w) >> 12,
                                .gtea = (uint16_t)(percent(w, 60) ? below(w, 16) : below(w, 4096)),
                                .sz = (uint8_t)below(w, 4),
                                .kind = (uint8_t)below(w, 3),
                                .allow = (uint8_t)below(w, 8),
                                .valid = true};
            uint64_t word[3];
            dmt_tea_pack(&t, word);
            p->csr(p->user, thread, DMT_LEVEL_TEA_WORD1(i), word[1]);
            p->csr(p->user, thread, DMT_LEVEL_TEA_WORD2(i), word[2]);
            p->csr(p->user, thread, DMT_LEVEL_TEA_WORD0(i), word[0]);
            break;
        }
        case 1: /* any register of its window */
            p->csr(p->user, thread, (unsigned)below(w, 0x200) * 8, some_word(w));
            break;
        case 2: /* its memory, tables among it */
            p->store(p->user, rng_below(&w->rng, w->s->guest_frames) << 12 | (rng_next(&w->rng) & 0xff8),
                     some_word(w) | 1);
            break;
        case 3:
            p->csr(p->user, thread, DMT_LEVEL_CR3, rng_below(&w->rng, w->s->guest_frames) << 12);
            break;
        case 4:
            p->csr(p->user, thread, DMT_LEVEL_LOAD, percent(w, 70) ? below(w, 40) : some_word(w));
            break;
        default: /* a hypercall: an array that it has written, or anything */
            if (percent(w, 60)) {
                uint64_t at = (1 + rng_below(&w->rng, w->s->guest_frames - 2)) << 12;
                p->store(p->user, at, below(w, 5));
                p->store(p->user, at + 8, percent(w, 70) ? below(w, 64) : some_word(w));
                p->store(p->user, at + 16, percent(w, 50) ? below(w, 1u << 16) : some_word(w));
                dmt_vm_call(l->outer, thread, at, percent(w, 80) ? 1 : some_word(w), at + 64,
                            percent(w, 80) ? 8 : 0, &answers);
            } else {
                dmt_vm_call(l->outer, thread, some_word(w), some_word(w), some_word(w), some_word(w),
                            &answers);
            }
        }
    }
    return DMT_OS_OK;
}

/* ------------------------------------------------------------ checks */

/* Registers of the process as the threads have them. */
static void check_process(struct world *w, struct layer *l, int pid)
{
    const struct dmt_tea *loaded[DMT_THREADS_MAX] = {NULL};
    struct dmt_space *space = dmt_os_space(l->os, pid);
    const char *wrong;

    if (space == NULL) {
        return;
    }
    for (unsigned t = 0; t < w->s->threads; t++) {
        if (w->on[t] == l && dmt_os_loaded(l->os, t) == pid) {
            loaded[t] = machine_state(w->machine, t)->tea[l->level];
        }
    }
    wrong = dmt_check_space(space, l->oracle, pid, l->vm, loaded, w->s->threads);
    w->stats->checked++;
    if (wrong != NULL) {
        fail(w, "level %u, process %d: %s", l->level, pid, wrong);
    }
}

static void check_second_stage(struct world *w, struct dmt_vm *vm, const struct dmt_vm *around,
                               unsigned level)
{
    const struct dmt_tea *loaded[DMT_THREADS_MAX] = {NULL};
    const char *wrong;

    for (unsigned t = 0; t < w->s->threads; t++) {
        if (dmt_vm_entered(vm, t)) {
            loaded[t] = machine_state(w->machine, t)->tea[level];
        }
    }
    wrong = dmt_check_space(dmt_vm_space(vm), NULL, 0, around, loaded, w->s->threads);
    w->stats->checked++;
    if (wrong != NULL) {
        fail(w, "second stage of level %u: %s", level, wrong);
    }
}

static void check_all(struct world *w)
{
    for (unsigned i = 0; i < w->layers && !w->failed; i++) {
        struct layer *l = &w->layer[i];
        for (int pid = 1; l->os != NULL && pid <= (int)w->s->processes && !w->failed; pid++) {
            if (l->program[pid].alive) {
                check_process(w, l, pid);
            }
        }
        if (l->outer != NULL && !w->failed) {
            check_second_stage(w, l->outer, NULL, 0);
        }
        if (l->inner != NULL && !w->failed) {
            check_second_stage(w, l->inner, l->outer, 1);
        }
    }
}

/* Oracles keep no history that nobody can ask for. */
static void forget(struct world *w)
{
    for (unsigned i = 0; i < w->layers; i++) {
        struct layer *l = &w->layer[i];
        if (l->oracle == NULL) {
            continue;
        }
        uint64_t oldest = dmt_oracle_now(l->oracle);
        for (unsigned k = 0; k < PENDING; k++) {
            const struct token *t = &w->token[k];
            if (t->busy && t->layer == l && t->moment < oldest) {
                oldest = t->moment;
            }
        }
        dmt_oracle_forget(l->oracle, oldest);
    }
}

/* ------------------------------------------------------------ building the world */

static void host_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    machine_csr(((struct world *)user)->machine, thread, DMT_HOST_BASE + offset, value);
}

static void level_csr(void *user, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    machine_csr(((struct world *)user)->machine, thread, DMT_LEVEL_BASE(level) + offset, value);
}

static void revoked(void *user, uint16_t id)
{
    struct layer *l = user;

    if (l->os != NULL) {
        dmt_os_revoked(l->os, id);
    }
}

static bool make_kernel(struct world *w, struct layer *l, const struct dmt_platform *platform)
{
    struct dmt_os_options o = w->s->os;
    const char *why;

    l->level = platform->level;
    l->program = calloc(w->s->processes + 1, sizeof *l->program);
    l->oracle = dmt_oracle_new(w->s->threads);
    if (l->program == NULL || l->oracle == NULL) {
        return cosim_fail("out of memory");
    }
    dmt_oracle_below(l->oracle, to_host, l);
    o.platform = platform;
    o.processes = w->s->processes;
    o.defects = w->o->defects;
    o.seed = rng_next(&w->rng);
    if (w->o->judge || w->o->check_every > 0) {
        o.watch = dmt_oracle_watch(l->oracle);
    }
    l->os = dmt_os_new(&o, &why);
    return l->os != NULL || cosim_fail("%s: the kernel cannot be made: %s", w->s->name, why);
}

static struct dmt_vm_options vm_options(const struct scenario *s, unsigned frames)
{
    return (struct dmt_vm_options){.format = (enum dmt_space_format)s->format,
                                   .levels = s->guest_levels,
                                   .ad = s->ept_ad,
                                   .frames = frames,
                                   .huge = s->guest_huge,
                                   .pv = s->pv,
                                   .quota = frames / 4,
                                   .vcpus = s->threads};
}

/* A guest of the host; in a nested scenario, with a hypervisor and a guest inside. */
static bool make_guest(struct world *w, bool hostile)
{
    const struct scenario *s = w->s;
    struct layer *l = &w->layer[w->layers++];
    struct dmt_vm_options v = vm_options(s, s->guest_frames);
    const struct dmt_platform *p;

    l->hostile = hostile;
    l->outer = l->vm = dmt_vm_new(w->host, &v);
    if (l->outer == NULL) {
        return cosim_fail("%s: a machine of %u frames cannot be made", s->name, s->guest_frames);
    }
    p = dmt_vm_platform(l->outer);
    if (hostile) { /* no kernel of ours: what runs there writes registers itself */
        l->level = 1;
        l->oracle = dmt_oracle_new(s->threads);
        return l->oracle != NULL || cosim_fail("out of memory");
    }
    if (s->mode == DMT_MODE_NESTED) {
        struct dmt_host_options o = {.tea = s->os.tea};
        dmt_vm_inner_options(l->outer, &o);
        l->l1 = dmt_host_new(&o);
        if (l->l1 == NULL) {
            return cosim_fail("%s: the hypervisor inside cannot be made", s->name);
        }
        v = vm_options(s, s->inner_frames);
        l->inner = l->vm = dmt_vm_new(l->l1, &v);
        if (l->inner == NULL) {
            return cosim_fail("%s: a machine of %u frames cannot be made inside", s->name, s->inner_frames);
        }
        p = dmt_vm_platform(l->inner);
    } else {
        l->written = calloc((s->guest_frames * 2 + 65536) / 64, sizeof *l->written);
        if (l->written == NULL) {
            return cosim_fail("out of memory");
        }
    }
    if (!make_kernel(w, l, p)) {
        return false;
    }
    dmt_vm_on_revoke(l->vm, revoked, l);
    if (l->written != NULL && s->weight[OP_track] > 0) {
        dmt_vm_track(l->outer, true);
    }
    return true;
}

static bool build(struct world *w)
{
    const struct scenario *s = w->s;
    struct machine_options m = w->o->machine;

    m.threads = s->threads;
    m.seed = rng_next(&w->rng);
    m.answer = answered;
    m.user = w;
    w->mem = dmt_mem_new();
    w->buddy = dmt_buddy_new(0x100, s->frames);
    if (w->mem == NULL || w->buddy == NULL) {
        return cosim_fail("out of memory");
    }
    w->machine = machine_new(&m, w->mem);
    if (w->machine == NULL) {
        return false;
    }
    if (machine_config(w->machine)->sets < s->mode) {
        return cosim_fail("%s: mode %s needs more register sets than the configuration has", s->name,
                          s->mode == DMT_MODE_VIRT ? "virt" : "nested");
    }
    w->platform = machine_platform_new(w->machine, w->buddy);
    if (w->platform == NULL) {
        return cosim_fail("out of memory");
    }
    if (s->fragment > 0) {
        dmt_buddy_fragment(w->buddy, 9, s->fragment / 100.0, rng_next(&w->rng));
    }
    if (w->o->fail_after != UINT64_MAX) {
        dmt_buddy_fail_after(w->buddy, w->o->fail_after);
    }
    if (s->mode == DMT_MODE_NATIVE) {
        struct layer *l = &w->layer[w->layers++];
        for (unsigned t = 0; t < s->threads; t++) {
            machine_csr(w->machine, t, DMT_HOST_BASE + DMT_HOST_CTL,
                        DMT_MODE_NATIVE << DMT_HOST_CTL_MODE_LSB | DMT_HOST_CTL_AD_UPDATE_MASK);
        }
        if (!make_kernel(w, l, w->platform)) {
            return false;
        }
        for (unsigned t = 0; t < s->threads; t++) {
            w->on[t] = l;
        }
        return true;
    }
    struct dmt_host_options o = {.platform = w->platform,
                                 .host_csr = host_csr,
                                 .level_csr = level_csr,
                                 .user = w,
                                 .tea = s->os.tea,
                                 .shadow = s->shadow,
                                 .defects = w->o->call_defects};
    w->host = dmt_host_new(&o);
    if (w->host == NULL) {
        return cosim_fail("%s: the hypervisor cannot be made", s->name);
    }
    unsigned guests = s->mode == DMT_MODE_NESTED ? 1 : s->guests;
    for (unsigned i = 0; i < guests; i++) {
        if (!make_guest(w, false)) {
            return false;
        }
    }
    if (s->hostile > 0 && !make_guest(w, true)) {
        return false;
    }
    for (unsigned t = 0; t < s->threads; t++) {
        enter(w, &w->layer[0], t);
    }
    return true;
}

/* ------------------------------------------------------------ a run */

static enum scenario_op some_op(struct world *w)
{
    unsigned sum = 0, at;

    for (unsigned i = 0; i < OPS; i++) {
        sum += w->s->weight[i];
    }
    at = below(w, sum);
    for (unsigned i = 0; i < OPS; i++) {
        if (at < w->s->weight[i]) {
            return (enum scenario_op)i;
        }
        at -= w->s->weight[i];
    }
    return OP_map;
}

/* The kernel that does something now: it needs a thread, unless it only looks after itself. */
static struct layer *some_kernel(struct world *w)
{
    struct layer *l = w->on[below(w, w->s->threads)];

    return l == NULL || l->os == NULL ? NULL : l;
}

/* TEA managers work beside everything else. */
static void background(struct world *w)
{
    for (unsigned i = 0; i < w->layers; i++) {
        struct layer *l = &w->layer[i];
        if (l->os != NULL) {
            dmt_os_work(l->os);
        }
        if (l->inner != NULL) {
            dmt_space_work(dmt_vm_space(l->inner));
        }
        if (l->outer != NULL) {
            dmt_space_work(dmt_vm_space(l->outer));
        }
    }
}

static void operate(struct world *w, enum scenario_op op)
{
    enum dmt_os_status s = DMT_OS_BAD;
    struct layer *l = NULL;

    w->op = op;
    switch (op) {
    case OP_move:
    case OP_balloon:
        s = op_move(w, op);
        break;
    case OP_revoke:
        s = op_revoke(w);
        break;
    case OP_track:
        s = op_track(w);
        break;
    case OP_tenant:
        enter(w, &w->layer[below(w, w->layers)], below(w, w->s->threads));
        s = DMT_OS_OK;
        break;
    case OP_hostile:
        s = op_hostile(w);
        break;
    default:
        l = some_kernel(w);
        if (l != NULL) {
            s = op_kernel(w, l, op);
        }
    }
    w->stats->of[op]++;
    w->stats->operations++;
    w->stats->refused += s != DMT_OS_OK;
    if (s == DMT_OS_NO_MEMORY && l != NULL) {
        dmt_os_reclaim(l->os, 128);
    }
}

/* Sticky events that a well-behaved guest must not have caused. */
static void check_events(struct world *w)
{
    for (unsigned t = 0; t < w->s->threads && w->s->hostile == 0; t++) {
        for (unsigned k = 0; k < w->s->mode; k++) {
            uint64_t e = machine_csr_read(w->machine, t, DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT);
            w->stats->events += (unsigned)__builtin_popcountll(e);
            if (e != 0) {
                fail(w, "thread %u, level %u: events 0x%" PRIx64 " (REFUSED, MULTI_HIT or LOAD_FAILED)", t, k,
                     e);
            }
        }
    }
}

/* Every thread runs a program that has areas, to begin with. */
static void begin(struct world *w, struct layer *l)
{
    for (unsigned t = 0; t < w->s->threads; t++) {
        if (t < w->s->processes) {
            op_process(w, l, -1, OP_spawn);
        }
        int pid = some_process(w, l);
        for (unsigned i = 0; i < 4 && pid >= 0; i++) {
            l->program[pid].stale = true;
            op_map(w, l, pid);
        }
        if (pid >= 0) {
            dmt_os_switch(l->os, t, pid);
        }
    }
}

static void run(struct world *w)
{
    const struct scenario_options *o = w->o;

    for (unsigned i = 0; i < w->layers; i++) {
        if (w->layer[i].os != NULL) {
            begin(w, &w->layer[i]);
        }
    }
    for (uint64_t n = 0; n < o->operations && !w->failed && machine_ok(w->machine); n++) {
        if (o->stop != NULL && *o->stop) {
            break;
        }
        for (unsigned i = 0; i < w->s->accesses; i++) {
            some_access(w, below(w, w->s->threads));
            if (i % 8 == 7) {
                background(w);
            }
        }
        operate(w, some_op(w));
        background(w);
        serve_pending(w);
        if (o->check_every > 0 && n % o->check_every == 0) {
            check_all(w);
        }
        if ((n & 63) == 0) {
            forget(w);
        }
        if ((n & 255) == 0 && o->progress != NULL) {
            o->progress(o->progress_user, n, o->operations);
        }
    }
    for (unsigned i = 0; i < RETRIES && !w->failed && machine_ok(w->machine); i++) {
        machine_drain(w->machine);
        if (w->pending_n == 0) {
            break;
        }
        serve_pending(w);
    }
    if (!w->failed && machine_ok(w->machine)) {
        if (o->check_every > 0) {
            check_all(w);
        }
        check_events(w);
    }
}

static void add_os(struct dmt_os_stats *sum, const struct dmt_os_stats *s)
{
    const uint64_t *from = (const uint64_t *)s;
    uint64_t *to = (uint64_t *)sum;

    for (size_t i = 0; i < sizeof *s / sizeof *from; i++) {
        to[i] += from[i];
    }
}

static void add_space(struct scenario_stats *s, const struct dmt_space *space)
{
    const struct dmt_space_stats *one = dmt_space_stats(space);
    const uint64_t *from = (const uint64_t *)one;
    uint64_t *to = (uint64_t *)&s->space, area, covered;

    for (size_t i = 0; i < sizeof *one / sizeof *from; i++) {
        to[i] += from[i];
    }
    s->tables += one->tables;
    s->tea_frames += one->tea_frames;
    s->tea_used += one->tea_used;
    dmt_space_coverage(space, &area, &covered);
    s->coverage_pages += area;
    s->covered_pages += covered;
}

static void add_host(struct scenario_stats *s, const struct dmt_host *h)
{
    const struct dmt_host_stats *one = dmt_host_stats(h);
    const uint64_t *from = (const uint64_t *)one;
    uint64_t *to = (uint64_t *)&s->host;

    for (size_t i = 0; i < sizeof *one / sizeof *from; i++) {
        to[i] += from[i];
    }
}

static void collect(struct world *w)
{
    struct scenario_stats *s = w->stats;

    s->machine = *machine_stats(w->machine);
    s->fragmentation = dmt_buddy_unusable(w->buddy, 9);
    for (unsigned i = 0; i < w->layers; i++) {
        struct layer *l = &w->layer[i];
        for (int pid = 1; l->os != NULL && pid <= (int)w->s->processes; pid++) {
            if (l->program[pid].alive) {
                add_space(s, dmt_os_space(l->os, pid));
            }
        }
        if (l->os != NULL) {
            add_os(&s->os, dmt_os_stats(l->os));
        }
        if (l->outer != NULL) {
            add_space(s, dmt_vm_space(l->outer));
        }
        if (l->inner != NULL) {
            add_space(s, dmt_vm_space(l->inner));
            add_host(s, l->l1);
        }
    }
    if (w->host != NULL) {
        add_host(s, w->host);
    }
}

/* Everything ends; every frame must be free again. */
static void tear_down(struct world *w, bool whole)
{
    for (unsigned t = 0; w->s != NULL && t < w->s->threads && w->machine != NULL; t++) {
        leave(w, t);
    }
    for (unsigned i = 0; i < w->layers; i++) {
        struct layer *l = &w->layer[i];
        dmt_os_delete(l->os);
        if (l->inner != NULL) {
            dmt_vm_delete(l->inner);
        }
        dmt_host_delete(l->l1);
        if (l->outer != NULL) {
            dmt_vm_delete(l->outer);
        }
        dmt_oracle_delete(l->oracle);
        for (unsigned pid = 1; l->program != NULL && pid <= w->s->processes; pid++) {
            free(l->program[pid].area);
        }
        free(l->program);
        free(l->written);
    }
    dmt_host_delete(w->host);
    machine_platform_free(w->platform);
    if (whole && !w->failed && dmt_buddy_available(w->buddy) + dmt_buddy_pinned(w->buddy) != w->s->frames) {
        fail(w, "%" PRIu64 " frames of the host are lost at the end",
             w->s->frames - dmt_buddy_available(w->buddy) - dmt_buddy_pinned(w->buddy));
    }
    machine_free(w->machine);
    dmt_buddy_delete(w->buddy);
    dmt_mem_free(w->mem);
}

enum cosim_result scenario_run(const struct scenario_options *o, struct scenario_stats *stats)
{
    struct world *w = calloc(1, sizeof *w);
    enum cosim_result result = COSIM_OK;

    memset(stats, 0, sizeof *stats);
    if (w == NULL) {
        cosim_fail("out of memory");
        return COSIM_BAD;
    }
    w->o = o;
    w->s = o->scenario;
    w->stats = stats;
    w->op = OPS;
    rng_seed(&w->rng, o->seed, 77);
    for (uint32_t i = 0; i < PENDING; i++) {
        w->token[i].next = i + 1 < PENDING ? i + 1 : UINT32_MAX;
    }
    if (!build(w)) {
        result = COSIM_BAD;
    } else {
        run(w);
        bool ok = machine_ok(w->machine) && !w->failed;
        collect(w);
        if (!ok) {
            result = COSIM_DIVERGENCE;
        } else if (o->stop != NULL && *o->stop) {
            result = COSIM_STOPPED;
        }
    }
    tear_down(w, result == COSIM_OK);
    if (result == COSIM_OK && w->failed) {
        result = COSIM_DIVERGENCE;
    }
    free(w);
    return result;
}
