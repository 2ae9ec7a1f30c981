/* SPDX-License-Identifier: Apache-2.0
 * gTEAs and the hypercall (docs/software.md, H2 to H4; paper section 4.5). At
 * level 0 frames come from the host's memory and the gTEA table is ours; at
 * level 1 both are asked for below, and what is granted is mapped on. */
#include "host_vm.h"
#include <stdlib.h>
#include <string.h>

#define PIECES 16u /* a request is split into no smaller parts than this */

/* A part of a request, to lie in one gTEA with others. */
struct part {
    uint64_t request, skip, pages;
};

struct answer {
    uint64_t request, skip, gfn, frames, id, inside;
};

/* One call, as copied from the guest's memory: it may change its arrays meanwhile. */
struct call {
    struct dmt_vm *vm;
    struct dmt_call_request *rq;
    struct dmt_vm **freed; /* of a FREE that has been marked: whose frames; else NULL */
    uint64_t n;
    struct answer *answer;
    size_t answers, room;
    bool no_id;
};

/* ------------------------------------------------------------ cells of the window */

static struct vm_cell *cell(const struct dmt_vm *vm, uint64_t gfn)
{
    return gfn >= vm->gteas && gfn < vm->end ? &vm->cell[gfn - vm->gteas] : NULL;
}

static bool is_given(const struct dmt_vm *vm, uint64_t gfn, uint64_t frames)
{
    if (frames > vm->end || gfn > vm->end - frames || gfn < vm->gteas)
        return false;
    for (uint64_t i = 0; i < frames; i++) {
        if (!cell(vm, gfn + i)->given)
            return false;
    }
    return true;
}

static void set_given(struct dmt_vm *vm, uint64_t gfn, uint64_t frames, bool given)
{
    for (uint64_t i = 0; i < frames; i++)
        cell(vm, gfn + i)->given = given;
}

/* ------------------------------------------------------------ gTEA table (specification 12) */

static void write_entry(struct dmt_vm *vm, unsigned set, unsigned id, unsigned word, uint64_t value)
{
    const struct dmt_platform *p = vm->host->p;

    p->store(p->user, (vm->table[set] << 12) + 16u * id + 8u * word, value);
}

/* Size before P: a register that is resolved meanwhile gets all or nothing. */
static void name_gtea(struct dmt_vm *vm, struct vm_run *run)
{
    write_entry(vm, run->set, (unsigned)run->id, 1, run->frames);
    write_entry(vm, run->set, (unsigned)run->id, 0, run->pfn << 12 | 1);
    vm->by_id[run->set][run->id] = run;
}

/* After the command no register reaches beyond the new size, and without a moment in which it is not resolved. */
static void resize_gtea(struct dmt_vm *vm, const struct vm_run *run, uint64_t frames)
{
    write_entry(vm, run->set, (unsigned)run->id, 1, frames);
    vm_gtea_command(vm, DMT_GTEA_OP_RESOLVE, run->set, (unsigned)run->id);
}

/* The entry goes first, so that nothing resolves again what has been revoked (H4). */
static void unname_gtea(struct dmt_vm *vm, unsigned set, unsigned id)
{
    write_entry(vm, set, id, 0, 0);
    write_entry(vm, set, id, 1, 0);
    vm_gtea_command(vm, DMT_GTEA_OP_REVOKE, set, id);
}

static int free_id(const struct dmt_vm *vm, unsigned set)
{
    for (unsigned i = 0; i < VM_IDS; i++) {
        if (!vm->by_id[set][i])
            return (int)i;
    }
    return -1;
}

/* Set 2's table is made when it is first asked for. */
static bool have_table(struct dmt_vm *vm, unsigned set)
{
    struct dmt_host *h = vm->host;

    if (vm->table[set] != VM_NONE)
        return true;
    if (!dmt_buddy_alloc_run(h->p->buddy, VM_TABLE, &vm->table[set])) {
        vm->table[set] = VM_NONE;
        return false;
    }
    for (uint64_t i = 0; i < VM_TABLE; i++)
        h->p->clear(h->p->user, vm->table[set] + i);
    vm_start_nesting(vm);
    vm_gtea_table(vm, set);
    return true;
}

/* ------------------------------------------------------------ runs */

/* Frames that are to be reached by a walker exist in memory, whatever a defect leaves in them. */
static void clean(struct dmt_host *h, uint64_t pfn, uint64_t frames)
{
    const struct dmt_platform *p = h->p;

    for (uint64_t i = pfn; i < pfn + frames; i++) {
        if (h->o.defects & DMT_CALL_DEFECT_NOT_ZEROED) {
            p->store(p->user, i << 12, p->load(p->user, i << 12));
        } else {
            p->clear(p->user, i);
            h->stats.zeroed++;
        }
    }
}

/* Frames [from, from + n) of a run leave the second stage; their frames are not free yet. */
static void unmap(struct dmt_vm *vm, const struct vm_run *run, uint64_t from, uint64_t n)
{
    for (uint64_t i = run->gfn + from; i < run->gfn + from + n; i++) {
        dmt_space_exchange(vm->space, i, DMT_SIZE_4K, 0);
        vm->pfn[i] = VM_NONE;
        vm->dirty[i / 64] &= ~(UINT64_C(1) << (i % 64));
        *cell(vm, i) = (struct vm_cell){0};
    }
    vm_flush(vm, run->gfn + from, n);
    dmt_buddy_release(vm->free_window, run->gfn + from, n);
    vm->held -= n;
}

/* Tables first, so that it is done or nothing is mapped. */
static bool map(struct dmt_vm *vm, struct vm_run *run, uint64_t from, uint64_t n)
{
    uint64_t first = run->gfn + from, end = first + n;

    for (uint64_t i = first; i < end; i = (i | (VM_BLOCK - 1)) + 1) {
        if (!dmt_space_prepare(vm->space, i, DMT_SIZE_4K))
            return false;
    }
    for (uint64_t i = first; i < end; i++) {
        uint64_t pfn = run->pfn + (i - run->gfn);

        dmt_space_exchange(vm->space, i, DMT_SIZE_4K, vm_leaf(vm, pfn, false));
        vm->pfn[i] = pfn;
        *cell(vm, i) = (struct vm_cell){run, true};
    }
    vm->held += n;
    return true;
}

static void forget(struct vm_run *run)
{
    LIST_REMOVE(run, link);
    free(run);
}

/* The hypervisor's frames behind [from, from + n) of a run go back. */
static void give_up(struct dmt_vm *vm, const struct vm_run *run, uint64_t from, uint64_t n)
{
    struct dmt_host *h = vm->host;

    if (h->p->level == 0 || run->id < 0) {
        dmt_buddy_release(h->p->buddy, run->pfn + from, n);
    } else {
        struct dmt_grant g = {.pfn = run->pfn,
                              .frames = run->frames,
                              .gtea = true,
                              .id = (uint16_t)run->id,
                              .inside = run->inside};

        h->o.nested_release(h->o.user, &g, from, n);
    }
}

/* A run shrinks from its end by what the guest has freed, and goes when nothing is left (H3). */
static void trim(struct dmt_vm *vm, struct vm_run *run)
{
    uint64_t keep = run->frames, n;
    bool named = vm->host->p->level == 0 && run->id >= 0 && !run->taken;
    bool told = !(vm->host->o.defects & DMT_CALL_DEFECT_NO_REVOKE);

    while (keep > 0 && !cell(vm, run->gfn + keep - 1)->given)
        keep--;
    n = run->frames - keep;
    if (n == 0)
        return;
    if (named && keep > 0 && told)
        resize_gtea(vm, run, keep);
    else if (named && told)
        unname_gtea(vm, run->set, (unsigned)run->id);
    if (named && keep == 0)
        vm->by_id[run->set][run->id] = NULL;
    unmap(vm, run, keep, n);
    vm->host->stats.released += n;
    if (run->taken) { /* all of its frames go back together */
        run->frames = keep;
        return;
    }
    give_up(vm, run, keep, n);
    run->frames = keep;
    if (keep == 0)
        forget(run);
}

/* A run object and its guest frames. NULL: none. */
static struct vm_run *new_run(struct dmt_vm *vm, unsigned set, uint64_t frames)
{
    struct vm_run *run = calloc(1, sizeof *run);

    if (!run || !dmt_buddy_alloc_run(vm->free_window, frames, &run->gfn)) {
        free(run);
        return NULL;
    }
    run->set = set;
    run->frames = frames;
    LIST_INSERT_HEAD(&vm->runs, run, link);
    return run;
}

static void undo_run(struct dmt_vm *vm, struct vm_run *run)
{
    dmt_buddy_release(vm->free_window, run->gfn, run->frames);
    forget(run);
}

static void say(struct call *c, const struct part *part, const struct vm_run *run, uint64_t from)
{
    c->answer[c->answers++] = (struct answer){.request = part->request,
                                              .skip = part->skip,
                                              .gfn = run->gfn + from,
                                              .frames = part->pages,
                                              .id = (uint64_t)run->id,
                                              .inside = run->inside + from};
    c->vm->host->stats.granted += part->pages;
}

/* ------------------------------------------------------------ ALLOC */

/* One gTEA of all these parts, at level 0. */
static bool give(struct call *c, unsigned set, const struct part *part, size_t n)
{
    struct dmt_vm *vm = c->vm;
    struct dmt_host *h = vm->host;
    struct vm_run *run;
    uint64_t total = 0, from = 0;
    int id = free_id(vm, set);

    for (size_t i = 0; i < n; i++)
        total += part[i].pages;
    c->no_id |= id < 0;
    if (id < 0 || c->room - c->answers < n)
        return false;
    run = new_run(vm, set, total);
    if (!run)
        return false;
    if (!dmt_buddy_alloc_run(h->p->buddy, total, &run->pfn)) {
        undo_run(vm, run);
        return false;
    }
    clean(h, run->pfn, total);
    if (!map(vm, run, 0, total)) {
        dmt_buddy_release(h->p->buddy, run->pfn, total);
        undo_run(vm, run);
        return false;
    }
    run->id = id;
    name_gtea(vm, run);
    for (size_t i = 0; i < n; i++) {
        say(c, &part[i], run, from);
        from += part[i].pages;
    }
    return true;
}

/* Merged as far as there are runs, then each request in as few pieces as can be had (H3). */
static void serve(struct call *c, unsigned set, const struct part *part, size_t n)
{
    uint64_t chunk, least, done = 0;

    if (n == 0 || give(c, set, part, n))
        return;
    if (n > 1) {
        serve(c, set, part, n / 2);
        serve(c, set, part + n / 2, n - n / 2);
        return;
    }
    chunk = part->pages;
    least = (chunk + PIECES - 1) / PIECES;
    while (done < part->pages) {
        struct part piece = {part->request, part->skip + done, part->pages - done};

        if (piece.pages > chunk)
            piece.pages = chunk;
        if (give(c, set, &piece, 1))
            done += piece.pages;
        else if (chunk == least || c->no_id || c->answers == c->room)
            return;
        else
            chunk = chunk / 2 < least ? least : (chunk + 1) / 2;
    }
}

/* What L0 grants to the hypervisor at level 1 goes on to its guest. */
static void pass_on(struct call *c, const struct part *part, size_t n)
{
    struct dmt_vm *vm = c->vm;
    struct dmt_host *h = vm->host;
    size_t room = c->room - c->answers, got;
    struct dmt_grant *grant = calloc(room + 1, sizeof *grant);
    uint64_t *frames = calloc(n + 1, sizeof *frames);

    for (size_t i = 0; frames && i < n; i++)
        frames[i] = part[i].pages;
    got = grant && frames && n > 0 ? h->o.nested_alloc(h->o.user, frames, n, grant, room) : 0;
    for (size_t i = 0; i < got; i++) {
        const struct dmt_grant *g = &grant[i];
        struct part piece = {part[g->request].request, g->skip, g->frames};
        struct vm_run *run = new_run(vm, 0, g->frames);

        if (run) {
            run->pfn = g->pfn;
            run->id = g->id;
            run->inside = g->inside;
        }
        if (run && map(vm, run, 0, g->frames)) {
            say(c, &piece, run, 0);
            continue;
        }
        if (run)
            undo_run(vm, run);
        h->o.nested_release(h->o.user, g, 0, g->frames);
    }
    free(frames);
    free(grant);
}

/* ------------------------------------------------------------ EXTEND */

/* In place, and at level 0 only: entry changed, then RESOLVE, so that registers reach what has been mapped. */
static void extend(struct call *c, uint64_t request)
{
    struct dmt_vm *vm = c->vm;
    struct dmt_host *h = vm->host;
    uint64_t pages = c->rq[request].pages;
    struct vm_run *run = vm->by_id[0][c->rq[request].where];
    struct part part = {request, 0, pages};

    if (h->p->level != 0 || c->answers == c->room ||
        !dmt_buddy_alloc_at(vm->free_window, run->gfn + run->frames, pages))
        return;
    if (!dmt_buddy_alloc_at(h->p->buddy, run->pfn + run->frames, pages)) {
        dmt_buddy_release(vm->free_window, run->gfn + run->frames, pages);
        return;
    }
    clean(h, run->pfn + run->frames, pages);
    if (!map(vm, run, run->frames, pages)) {
        dmt_buddy_release(vm->free_window, run->gfn + run->frames, pages);
        dmt_buddy_release(h->p->buddy, run->pfn + run->frames, pages);
        return;
    }
    resize_gtea(vm, run, run->frames + pages);
    say(c, &part, run, run->frames);
    run->frames += pages;
}

/* ------------------------------------------------------------ FREE */

/* Whose the frames are: the caller's, or nobody's. */
static struct dmt_vm *owner(const struct call *c, const struct dmt_call_request *r)
{
    struct dmt_vm *vm;

    if (!(c->vm->host->o.defects & DMT_CALL_DEFECT_NO_OWNER))
        return is_given(c->vm, r->where, r->pages) ? c->vm : NULL;
    LIST_FOREACH(vm, &c->vm->host->vms, link)
    {
        if (is_given(vm, r->where, r->pages))
            return vm;
    }
    return NULL;
}

static void release(struct dmt_vm *vm, const struct dmt_call_request *r)
{
    struct vm_run *run, *last = NULL;

    for (uint64_t i = r->where; i < r->where + r->pages; i++) {
        run = cell(vm, i)->run;
        if (run && run != last) /* the last one may be gone */
            trim(vm, run);
        last = run;
    }
}

/* ------------------------------------------------------------ the call */

static bool is_base(const struct dmt_call_request *r, enum dmt_call_op op)
{
    return (r->op & ~DMT_CALL_INNER) == op;
}

static bool good_op(const struct call *c, const struct dmt_call_request *r)
{
    if (r->pages == 0 || r->pages > DMT_CALL_PAGES_MAX)
        return false;
    if (r->op == (DMT_CALL_ALLOC | DMT_CALL_INNER))
        return c->vm->host->p->level == 0;
    return r->op == DMT_CALL_ALLOC || r->op == DMT_CALL_FREE || r->op == DMT_CALL_EXTEND;
}

/* An array in the guest's RAM. Empty ones are judged by who uses them. */
static bool good_array(const struct dmt_vm *vm, uint64_t pa, uint64_t n, uint64_t bytes, uint64_t max)
{
    uint64_t end = vm->o.frames << 12;

    return n <= max && pa % 8 == 0 && pa <= end && n * bytes <= end - pa;
}

static void read_requests(struct call *c, uint64_t pa)
{
    for (uint64_t i = 0; i < c->n; i++, pa += DMT_CALL_REQUEST_BYTES) {
        c->rq[i].op = vm_load(c->vm, pa);
        c->rq[i].pages = vm_load(c->vm, pa + 8);
        c->rq[i].where = vm_load(c->vm, pa + 16);
    }
}

/* Marks are what a second FREE of the same frames in one array is caught by. */
static void unmark(struct call *c)
{
    for (uint64_t i = 0; i < c->n; i++) {
        if (c->freed[i])
            set_given(c->freed[i], c->rq[i].where, c->rq[i].pages, true);
        c->freed[i] = NULL;
    }
}

static enum dmt_call_status mark(struct call *c)
{
    for (uint64_t i = 0; i < c->n; i++) {
        const struct dmt_call_request *r = &c->rq[i];

        if (is_base(r, DMT_CALL_EXTEND)) {
            uint64_t pfn, frames;

            if (r->where >= VM_IDS || !dmt_vm_gtea(c->vm, (unsigned)r->where, &pfn, &frames))
                return DMT_CALL_NOT_YOURS;
        } else if (is_base(r, DMT_CALL_FREE)) {
            c->freed[i] = owner(c, r);
            if (!c->freed[i])
                return DMT_CALL_NOT_YOURS;
            set_given(c->freed[i], r->where, r->pages, false);
        }
    }
    return DMT_CALL_OK;
}

/* Everything is checked before anything is done. *asked: frames wanted. */
static enum dmt_call_status check(struct call *c, uint64_t *asked)
{
    enum dmt_call_status status;

    *asked = 0;
    for (uint64_t i = 0; i < c->n; i++) {
        if (!good_op(c, &c->rq[i]))
            return DMT_CALL_BAD_OP;
        *asked += is_base(&c->rq[i], DMT_CALL_FREE) ? 0 : c->rq[i].pages;
    }
    status = mark(c);
    if (status != DMT_CALL_OK)
        return status;
    if (!(c->vm->host->o.defects & DMT_CALL_DEFECT_NO_QUOTA) &&
        (c->vm->held > c->vm->o.quota || *asked > c->vm->o.quota - c->vm->held))
        return DMT_CALL_QUOTA;
    return *asked > 0 && c->room == 0 ? DMT_CALL_BAD_ARRAY : DMT_CALL_OK;
}

/* The answers' memory is backed before anything is done: they cannot be lost. */
static bool ready(struct dmt_vm *vm, uint64_t pa, uint64_t bytes)
{
    for (uint64_t gfn = pa >> 12; bytes > 0 && gfn <= (pa + bytes - 1) >> 12; gfn++) {
        if (!vm_ready(vm, gfn, true, false))
            return false;
    }
    return true;
}

static void allocate(struct call *c, struct part *part)
{
    for (unsigned set = 0; set < 2; set++) {
        uint64_t op = DMT_CALL_ALLOC | (set ? DMT_CALL_INNER : 0);
        size_t n = 0;

        for (uint64_t i = 0; i < c->n; i++) {
            if (c->rq[i].op == op)
                part[n++] = (struct part){i, 0, c->rq[i].pages};
        }
        if (n == 0)
            continue;
        if (c->vm->host->p->level != 0)
            pass_on(c, part, n);
        else if (have_table(c->vm, set))
            serve(c, set, part, n);
    }
}

static int by_request(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;

    if (x->request != y->request)
        return x->request < y->request ? -1 : 1;
    return x->skip < y->skip ? -1 : x->skip > y->skip;
}

static void write_answers(struct call *c, uint64_t pa)
{
    if (c->answers > 0)
        qsort(c->answer, c->answers, sizeof *c->answer, by_request);
    for (size_t i = 0; i < c->answers; i++, pa += DMT_CALL_ANSWER_BYTES) {
        const struct answer *a = &c->answer[i];

        vm_store(c->vm, pa, a->request);
        vm_store(c->vm, pa + 8, a->skip);
        vm_store(c->vm, pa + 16, a->gfn);
        vm_store(c->vm, pa + 24, a->frames);
        vm_store(c->vm, pa + 32, a->id << 48 | a->inside);
    }
}

static enum dmt_call_status perform(struct call *c, uint64_t requests_pa, uint64_t answers_pa)
{
    struct part *part = calloc(c->n, sizeof *part);
    enum dmt_call_status status = DMT_CALL_NO_MEMORY;
    uint64_t asked;

    c->rq = calloc(c->n, sizeof *c->rq);
    c->freed = calloc(c->n, sizeof(struct dmt_vm *));
    if (!part || !c->rq || !c->freed)
        goto out;
    read_requests(c, requests_pa);
    status = check(c, &asked);
    if (status == DMT_CALL_OK && asked > 0) {
        if (c->room > PIECES * c->n)
            c->room = PIECES * c->n;
        c->answer = calloc(c->room, sizeof *c->answer);
        if (c->answer && ready(c->vm, answers_pa, c->room * DMT_CALL_ANSWER_BYTES)) {
            for (uint64_t i = 0; i < c->n; i++) {
                if (is_base(&c->rq[i], DMT_CALL_EXTEND))
                    extend(c, i);
            }
            allocate(c, part);
        }
        if (c->answers == 0)
            status = c->no_id ? DMT_CALL_NO_ID : DMT_CALL_NO_MEMORY;
    }
    if (status != DMT_CALL_OK) {
        unmark(c);
        goto out;
    }
    write_answers(c, answers_pa);
    for (uint64_t i = 0; i < c->n; i++) {
        if (c->freed[i])
            release(c->freed[i], &c->rq[i]);
    }
out:
    free(c->answer);
    free(c->freed);
    free(c->rq);
    free(part);
    return status;
}

enum dmt_call_status dmt_vm_call(struct dmt_vm *vm, unsigned vcpu, uint64_t requests_pa, uint64_t request_n,
                                 uint64_t answers_pa, uint64_t answer_room, uint64_t *answers)
{
    struct dmt_host_stats *stats = &vm->host->stats;
    struct call c = {.vm = vm, .n = request_n, .room = answer_room};
    enum dmt_call_status status = DMT_CALL_OFF;
    bool left = vcpu < vm->o.vcpus && vm_leave(vm, vcpu);

    stats->hypercalls++;
    if (vm->o.pv)
        status = request_n == 0 ||
                         !good_array(vm, requests_pa, request_n, DMT_CALL_REQUEST_BYTES,
                                     DMT_CALL_REQUESTS_MAX) ||
                         !good_array(vm, answers_pa, answer_room, DMT_CALL_ANSWER_BYTES, DMT_CALL_ANSWERS_MAX)
                     ? DMT_CALL_BAD_ARRAY
                     : perform(&c, requests_pa, answers_pa);
    *answers = status == DMT_CALL_OK ? c.answers : 0;
    stats->refused += status != DMT_CALL_OK;
    vm_resume(vm, vcpu, left);
    return status;
}

bool dmt_vm_gtea(const struct dmt_vm *vm, unsigned id, uint64_t *pfn, uint64_t *frames)
{
    const struct vm_run *run;
    bool found = false;

    LIST_FOREACH(run, &vm->runs, link)
    {
        /* At level 1 a gTEA is known by its pieces, at their places in it. */
        if (run->id < 0 || (unsigned)run->id != id || run->set != 0 || run->taken)
            continue;
        if (!found || run->inside + run->frames > *frames)
            *frames = run->inside + run->frames;
        *pfn = run->pfn - run->inside;
        found = true;
    }
    return found;
}

/* ------------------------------------------------------------ taking back (H4) */

/* What an uncooperative guest leaves in use goes on in ordinary frames. */
struct taking {
    struct dmt_vm *vm;
    uint16_t id;
    struct vm_run **run;  /* being taken; their sizes at the start in `frames` */
    uint64_t *frames;
    size_t runs;
    struct vm_run **spare; /* one a frame: where frames in use go */
    uint64_t spares, used;
};

static void drop_spares(struct taking *t)
{
    while (t->spares > t->used) {
        struct vm_run *run = t->spare[--t->spares];

        dmt_buddy_release(t->vm->host->p->buddy, run->pfn, 1);
        free(run);
    }
}

/* Everything that may fail. */
static bool prepare_taking(struct taking *t)
{
    struct dmt_vm *vm = t->vm;
    struct vm_run *run;
    uint64_t total = 0;

    LIST_FOREACH(run, &vm->runs, link)
    {
        if (run->id != t->id || run->set != 0)
            continue;
        t->runs++;
        total += run->frames;
    }
    t->run = calloc(t->runs + 1, sizeof(struct vm_run *));
    t->frames = calloc(t->runs + 1, sizeof *t->frames);
    t->spare = calloc(total + 1, sizeof(struct vm_run *));
    if (!t->run || !t->frames || !t->spare || t->runs == 0)
        return false;
    t->runs = 0;
    LIST_FOREACH(run, &vm->runs, link)
    {
        if (run->id != t->id || run->set != 0)
            continue;
        t->run[t->runs] = run;
        t->frames[t->runs++] = run->frames;
    }
    while (t->spares < total) {
        run = calloc(1, sizeof *run);
        if (!run || !dmt_buddy_alloc(vm->host->p->buddy, 0, &run->pfn)) {
            free(run);
            return false;
        }
        run->id = -1;
        run->frames = 1;
        t->spare[t->spares++] = run;
    }
    return true;
}

/* Frames that the guest has not freed: entry protocol, at the same guest frames. */
static void move_run(struct taking *t, struct vm_run *run)
{
    struct dmt_vm *vm = t->vm;

    for (uint64_t i = 0; i < run->frames; i++)
        dmt_space_exchange(vm->space, run->gfn + i, DMT_SIZE_4K, 0);
    if (run->frames > 0)
        vm_flush(vm, run->gfn, run->frames);
    for (uint64_t i = 0; i < run->frames; i++) {
        uint64_t gfn = run->gfn + i;
        struct vm_run *to;

        if (!cell(vm, gfn)->given) {
            vm->pfn[gfn] = VM_NONE;
            *cell(vm, gfn) = (struct vm_cell){0};
            dmt_buddy_release(vm->free_window, gfn, 1);
            vm->held--;
            vm->host->stats.released++;
            continue;
        }
        to = t->spare[t->used++];
        to->gfn = gfn;
        vm_copy(vm->host, to->pfn, run->pfn + i);
        vm->pfn[gfn] = to->pfn;
        cell(vm, gfn)->run = to;
        LIST_INSERT_HEAD(&vm->runs, to, link);
        dmt_space_exchange(vm->space, gfn, DMT_SIZE_4K, vm_leaf(vm, to->pfn, false));
    }
}

bool dmt_vm_revoke(struct dmt_vm *vm, unsigned id)
{
    struct dmt_host *h = vm->host;
    struct taking t = {.vm = vm, .id = (uint16_t)id};
    bool done = id < VM_IDS && prepare_taking(&t);

    if (done) {
        if (h->p->level == 0)
            unname_gtea(vm, 0, id);
        for (size_t i = 0; i < t.runs; i++)
            t.run[i]->taken = true;
        if (vm->on_revoke)
            vm->on_revoke(vm->revoke_user, (uint16_t)id);
        for (size_t i = 0; i < t.runs; i++) {
            move_run(&t, t.run[i]);
            t.run[i]->frames = t.frames[i];
            give_up(vm, t.run[i], 0, t.frames[i]);
            forget(t.run[i]);
        }
        vm->by_id[0][id] = NULL;
        h->stats.revoked++;
    }
    drop_spares(&t);
    free(t.spare);
    free(t.frames);
    free(t.run);
    return done;
}

void vm_free_runs(struct dmt_vm *vm)
{
    while (!LIST_EMPTY(&vm->runs)) {
        struct vm_run *run = LIST_FIRST(&vm->runs);

        vm->host->stats.released += run->frames;
        give_up(vm, run, 0, run->frames);
        forget(run);
    }
}

/* ------------------------------------------------------------ the guest's side */

/* A call with n requests in the buffer, whose first frame is theirs; answers behind it. */
static enum dmt_call_status guest_call(struct dmt_vm *vm, const struct dmt_call_request *rq, size_t n,
                                       uint64_t *answers)
{
    uint64_t pa = vm->buffer << 12;

    for (size_t i = 0; i < n; i++) {
        vm_store(vm, pa + DMT_CALL_REQUEST_BYTES * i, rq[i].op);
        vm_store(vm, pa + DMT_CALL_REQUEST_BYTES * i + 8, rq[i].pages);
        vm_store(vm, pa + DMT_CALL_REQUEST_BYTES * i + 16, rq[i].where);
    }
    return dmt_vm_call(vm, vm_running(vm), pa, n, pa + 4096,
                       rq->op == DMT_CALL_FREE ? 0 : (VM_BUFFER - 1) * 4096 / DMT_CALL_ANSWER_BYTES, answers);
}

static struct dmt_grant read_answer(struct dmt_vm *vm, size_t i)
{
    uint64_t pa = (vm->buffer << 12) + 4096 + DMT_CALL_ANSWER_BYTES * i, id = vm_load(vm, pa + 32);

    return (struct dmt_grant){.request = (size_t)vm_load(vm, pa),
                              .skip = vm_load(vm, pa + 8),
                              .pfn = vm_load(vm, pa + 16),
                              .frames = vm_load(vm, pa + 24),
                              .gtea = true,
                              .id = (uint16_t)(id >> 48),
                              .inside = id & ((UINT64_C(1) << 48) - 1)};
}

/* As many requests a call as the buffer holds. */
static size_t alloc_by_call(struct dmt_vm *vm, uint64_t op, const uint64_t *frames, size_t n,
                            struct dmt_grant *grant, size_t room)
{
    enum { BATCH = 4096 / DMT_CALL_REQUEST_BYTES };
    struct dmt_call_request rq[BATCH];
    size_t got = 0;

    for (size_t first = 0; first < n; first += BATCH) {
        size_t count = n - first < BATCH ? n - first : BATCH;
        uint64_t answers;

        for (size_t i = 0; i < count; i++)
            rq[i] = (struct dmt_call_request){op, frames[first + i], 0};
        if (guest_call(vm, rq, count, &answers) != DMT_CALL_OK)
            continue;
        for (uint64_t i = 0; i < answers; i++) {
            struct dmt_grant g = read_answer(vm, i);

            g.request += first;
            if (got < room)
                grant[got++] = g;
            else
                vm_tea_release(vm, &g, 0, g.frames);
        }
    }
    return got;
}

size_t vm_tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant, size_t room)
{
    return alloc_by_call(user, DMT_CALL_ALLOC, frames, n, grant, room);
}

void vm_tea_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames)
{
    struct dmt_call_request rq = {DMT_CALL_FREE, frames, grant->pfn + skip};
    uint64_t answers;

    guest_call(user, &rq, 1, &answers);
}

bool vm_tea_extend(void *user, struct dmt_grant *grant, uint64_t frames)
{
    struct dmt_call_request rq = {DMT_CALL_EXTEND, frames, grant->id};
    struct dmt_grant more;
    uint64_t answers;

    if (guest_call(user, &rq, 1, &answers) != DMT_CALL_OK || answers != 1)
        return false;
    more = read_answer(user, 0);
    if (more.inside == grant->inside + grant->frames)
        return true;
    vm_tea_release(user, &more, 0, more.frames); /* another grant lies behind this one in the gTEA */
    return false;
}

/* ---- without pvDMT: TEAs in guest RAM (KIND PA) */

size_t vm_ram_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant, size_t room)
{
    struct dmt_vm *vm = user;
    size_t got = 0;

    for (size_t i = 0; i < n && got < room; i++) {
        uint64_t pfn;

        if (!dmt_buddy_alloc_run(vm->ram, frames[i], &pfn))
            continue;
        for (uint64_t k = 0; k < frames[i]; k++)
            vm->platform.clear(vm, pfn + k);
        grant[got++] = (struct dmt_grant){.request = i, .pfn = pfn, .frames = frames[i]};
    }
    return got;
}

void vm_ram_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames)
{
    struct dmt_vm *vm = user;

    dmt_buddy_release(vm->ram, grant->pfn + skip, frames);
}

/* ------------------------------------------------------------ a hypervisor inside */

static size_t inner_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant, size_t room)
{
    return alloc_by_call(user, DMT_CALL_ALLOC | DMT_CALL_INNER, frames, n, grant, room);
}

static void inner_csr(void *user, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    dmt_vm_level_csr(user, thread, level, offset, value);
}

static void inner_nest(void *user, unsigned thread, bool inside)
{
    dmt_vm_nest(user, thread, inside);
}

void dmt_vm_inner_options(struct dmt_vm *vm, struct dmt_host_options *o)
{
    o->platform = &vm->platform;
    o->host_csr = NULL;
    o->level_csr = inner_csr;
    o->nest = inner_nest;
    o->nested_alloc = vm->o.pv ? inner_alloc : NULL;
    o->nested_release = vm_tea_release;
    o->user = vm;
}
