/* SPDX-License-Identifier: Apache-2.0
 * Oracle and invariants of the software side, written from docs/software.md
 * and the headers alone.
 *
 * The oracle keeps, per process, disjoint intervals of pages: what the record
 * says now, and the states before it that some thread may still hold. Moments
 * are numbers of events; a state that ended at moment e is legal for an access
 * issued at m < e.
 *
 * Absence needs a rule of its own. Both protocols leave a page without entry
 * for a while without the record changing (tables on the move, leaves changing
 * size), and the kernel says that it has decided, not that the tables say so.
 * So from a change or a flush of a page until dmt_check_space has next found
 * the table right, absence is a legal answer; and a fault on a mapped page
 * without either of them waits until then: a flush of the page that follows
 * explains it (the first step of S1 or the third of S2 was under way), else
 * dmt_check_space reports it. */
#include "dmt/check.h"

#include "dmt/regs.h"
#include "dmt/table.h"
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A judge that has lost something must not go on: it would acquit or accuse at random. */
static _Noreturn void die(void)
{
    fputs("oracle: out of memory\n", stderr);
    abort();
}
#define uthash_fatal(msg) die()
#include <uthash.h>

#define RIGHTS (DMT_OS_R | DMT_OS_W | DMT_OS_X)
#define OPEN   UINT64_MAX          /* a moment that has not come yet */
#define WIDE   (UINT64_C(1) << 30) /* pages: flushes from here on are of the space as a whole */
#define TEXT   512u

static char text[TEXT]; /* what is returned */

static const char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return text;
}

static void *get(size_t n)
{
    void *p = calloc(1, n);

    if (p == NULL) {
        die();
    }
    return p;
}

/* ---------------------------------------------------------------- the record */

/* Until when something that was replaced may still be seen, by thread. */
struct ending {
    uint8_t pending; /* threads whose flush has not completed */
    uint64_t end[DMT_THREADS_MAX];
};

struct past {
    struct past *next;
    uint64_t pfn;
    unsigned rights;
    struct ending ending;
};

/* Pages [vpn, vpn + n) that always were treated alike. */
struct seg {
    RB_ENTRY(seg) tree;
    TAILQ_ENTRY(seg) link; /* while hot */
    uint64_t vpn, n;
    uint64_t pfn; /* of the first page, when present */
    unsigned rights;
    bool present;
    bool hot;          /* has a past, or absence is or was legal: to be looked at by forget */
    uint64_t gone;     /* until when absence is legal beside the state; 0: not */
    struct past *past; /* latest first, each state once */
};

static int by_vpn(const struct seg *a, const struct seg *b)
{
    return (a->vpn > b->vpn) - (a->vpn < b->vpn);
}
RB_HEAD(segs, seg);
/* Not all of its functions are used. */
RB_GENERATE_INTERNAL(segs, seg, tree, by_vpn, static __attribute__((unused)))
TAILQ_HEAD(seg_list, seg);

struct process {
    int pid;
    struct segs segs;
    struct seg_list hot;
    size_t hots, floor; /* hot ones now, and after the last look over them */
    uint64_t gone;      /* as of a segment, for all pages */
    uint8_t ran;        /* threads that have run it and may hold what they saw */
    UT_hash_handle hh;
};

/* A mapping through which a frame was written. */
struct writer {
    struct writer *next;
    int pid;
    uint64_t vpn;
};

/* A frame written through a translation that the kernel has not accounted for yet. */
struct written {
    uint64_t pfn;
    struct writer *writer;
    UT_hash_handle hh;
};
/* Host frames where a frame of the kernel once was. */
struct old_host {
    struct old_host *next;
    uint64_t hpfn;
    struct ending ending;
};

struct moved {
    uint64_t pfn;
    struct old_host *old;
    UT_hash_handle hh;
};

/* A fault that only a flush to come can explain. */
struct doubt {
    struct doubt *next;
    int pid;
    unsigned thread;
    uint64_t va;
    uint8_t access;
};

struct dmt_oracle {
    unsigned threads;
    uint64_t clock;   /* moment of the last event */
    uint64_t horizon; /* nothing issued before this is in flight */
    uint64_t pages;
    struct process *process;
    struct written *written;
    struct moved *moved;
    struct doubt *doubt;
    dmt_to_host to_host;
    void *below;
    char wrong[TEXT]; /* found inside a hook, to be reported at the next chance */
};

static uint8_t everyone(const struct dmt_oracle *o)
{
    return (uint8_t)((1u << o->threads) - 1);
}

/* It is replaced now; the threads in `pending` may still hold it. */
static void ending_start(struct ending *e, uint8_t pending, uint64_t now)
{
    for (unsigned i = 0; i < DMT_THREADS_MAX; i++) {
        e->end[i] = now;
    }
    e->pending = pending;
}

static void ending_flushed(struct ending *e, unsigned thread, uint64_t now)
{
    if ((e->pending >> thread & 1) != 0) {
        e->pending &= (uint8_t) ~(1u << thread);
        e->end[thread] = now;
    }
}

static bool ending_legal(const struct ending *e, unsigned thread, uint64_t issued)
{
    return (e->pending >> thread & 1) != 0 || e->end[thread] > issued;
}

/* Can no access in flight have met it? */
static bool ending_over(const struct ending *e, uint64_t horizon)
{
    for (unsigned i = 0; i < DMT_THREADS_MAX; i++) {
        if (e->end[i] > horizon) {
            return false;
        }
    }
    return e->pending == 0;
}

static struct process *process(const struct dmt_oracle *o, int pid)
{
    struct process *p;

    HASH_FIND_INT(o->process, &pid, p);
    return p;
}

/* The last segment that begins at or below vpn. */
static struct seg *below(struct process *p, uint64_t vpn)
{
    struct seg *s = RB_ROOT(&p->segs), *best = NULL;

    while (s != NULL) {
        if (s->vpn <= vpn) {
            best = s;
            s = RB_RIGHT(s, tree);
        } else {
            s = RB_LEFT(s, tree);
        }
    }
    return best;
}

static struct seg *holding(struct process *p, uint64_t vpn)
{
    struct seg *s = below(p, vpn);

    return s != NULL && vpn - s->vpn < s->n ? s : NULL;
}

/* The first segment that ends above vpn. */
static struct seg *from(struct process *p, uint64_t vpn)
{
    struct seg *s = below(p, vpn);

    if (s == NULL) {
        return RB_MIN(segs, &p->segs);
    }
    return vpn - s->vpn < s->n ? s : RB_NEXT(segs, &p->segs, s);
}

static void heat(struct process *p, struct seg *s)
{
    if (!s->hot) {
        s->hot = true;
        TAILQ_INSERT_TAIL(&p->hot, s, link);
        p->hots++;
    }
}

static void cool(struct process *p, struct seg *s)
{
    if (s->hot) {
        s->hot = false;
        TAILQ_REMOVE(&p->hot, s, link);
        p->hots--;
    }
}

static void seg_free(struct process *p, struct seg *s)
{
    for (struct past *q = s->past, *next; q != NULL; q = next) {
        next = q->next;
        free(q);
    }
    cool(p, s);
    RB_REMOVE(segs, &p->segs, s);
    free(s);
}

/* Let a segment begin at vpn, if vpn is inside one. */
static void split(struct process *p, uint64_t vpn)
{
    struct seg *s = holding(p, vpn);

    if (s == NULL || s->vpn == vpn) {
        return;
    }
    uint64_t skip = vpn - s->vpn;
    struct seg *t = get(sizeof *t);
    struct past **tail = &t->past;
    t->vpn = vpn;
    t->n = s->n - skip;
    t->pfn = s->pfn + skip;
    t->rights = s->rights;
    t->present = s->present;
    t->gone = s->gone;
    for (const struct past *q = s->past; q != NULL; q = q->next) {
        *tail = get(sizeof **tail);
        **tail = *q;
        (*tail)->pfn += skip;
        (*tail)->next = NULL;
        tail = &(*tail)->next;
    }
    s->n = skip;
    RB_INSERT(segs, &p->segs, t);
    if (s->hot) {
        heat(p, t);
    }
}

/* The state of the segment becomes the latest of its past. */
static void retire(struct dmt_oracle *o, struct process *p, struct seg *s)
{
    struct past **at = &s->past, *q;

    while (*at != NULL && ((*at)->pfn != s->pfn || (*at)->rights != s->rights)) {
        at = &(*at)->next;
    }
    q = *at;
    if (q != NULL) {
        *at = q->next;
    } else {
        q = get(sizeof *q);
        q->pfn = s->pfn;
        q->rights = s->rights;
    }
    ending_start(&q->ending, p->ran, o->clock);
    q->next = s->past;
    s->past = q;
}

static bool cold_neighbours(const struct seg *a, const struct seg *b)
{
    return a != NULL && b != NULL && !a->hot && !b->hot && a->present && b->present &&
           a->vpn + a->n == b->vpn && a->pfn + a->n == b->pfn && a->rights == b->rights;
}

/* Forget of one hot segment what no access can meet any more. May free or merge it. */
static void tidy(const struct dmt_oracle *o, struct process *p, struct seg *s)
{
    struct past **at = &s->past;

    if (s->gone != OPEN && s->gone <= o->horizon) {
        s->gone = 0;
    }
    if (!s->present && s->gone == OPEN && *at != NULL) {
        at = &(*at)->next; /* the kernel may still tell by its page that this frame is clean */
    }
    while (*at != NULL) {
        struct past *q = *at;
        if (ending_over(&q->ending, o->horizon)) {
            *at = q->next;
            free(q);
        } else {
            at = &q->next;
        }
    }
    if (s->past != NULL || s->gone != 0) {
        return;
    }
    cool(p, s);
    if (!s->present) {
        seg_free(p, s);
        return;
    }
    struct seg *a = RB_PREV(segs, &p->segs, s), *b = RB_NEXT(segs, &p->segs, s);
    if (cold_neighbours(s, b)) {
        s->n += b->n;
        seg_free(p, b);
    }
    if (cold_neighbours(a, s)) {
        a->n += s->n;
        seg_free(p, s);
    }
}

/* ---------------------------------------------------------------- frames written */

typedef void (*written_call)(struct dmt_oracle *o, struct written *w, void *user);

/* Call for each written frame of [pfn, pfn + n); the call may remove it. */
static void each_written(struct dmt_oracle *o, uint64_t pfn, uint64_t n, written_call call, void *user)
{
    struct written *w, *next;

    if (n > HASH_COUNT(o->written)) {
        HASH_ITER(hh, o->written, w, next)
        {
            if (w->pfn >= pfn && w->pfn - pfn < n) {
                call(o, w, user);
            }
        }
        return;
    }
    for (uint64_t i = pfn; i < pfn + n; i++) {
        HASH_FIND(hh, o->written, &i, sizeof i, w);
        if (w != NULL) {
            call(o, w, user);
        }
    }
}

static bool wrote(const struct written *w, int pid, uint64_t vpn)
{
    const struct writer *r = w->writer;

    while (r != NULL && (r->pid != pid || r->vpn != vpn)) {
        r = r->next;
    }
    return r != NULL;
}

static void write_frame(struct dmt_oracle *o, uint64_t pfn, int pid, uint64_t vpn)
{
    struct written *w;

    HASH_FIND(hh, o->written, &pfn, sizeof pfn, w);
    if (w == NULL) {
        w = get(sizeof *w);
        w->pfn = pfn;
        HASH_ADD(hh, o->written, pfn, sizeof w->pfn, w);
    }
    if (!wrote(w, pid, vpn)) {
        struct writer *r = get(sizeof *r);
        *r = (struct writer){w->writer, pid, vpn};
        w->writer = r;
    }
}

static void written_free(struct dmt_oracle *o, struct written *w)
{
    for (struct writer *r = w->writer, *next; r != NULL; r = next) {
        next = r->next;
        free(r);
    }
    HASH_DEL(o->written, w);
    free(w);
}

/* A page whose frame changes while it stays mapped is copied: what its own
 * mapping wrote is in the new frame, and nowhere else. */
struct copy {
    int pid;
    uint64_t vpn, from, to; /* first page, first frames */
};

static void copy_written(struct dmt_oracle *o, struct written *w, void *user)
{
    const struct copy *c = user;
    uint64_t i = w->pfn - c->from;

    if (wrote(w, c->pid, c->vpn + i)) {
        write_frame(o, c->to + i, c->pid, c->vpn + i);
    }
}

/* The pages are given up or taken for clean. */
struct clean {
    int pid;
    uint64_t vpn, pfn; /* first page, its frame */
    bool dropped;
};

/* Is the page still mapped to that frame, so that its D bit is still to be seen? */
static bool still_maps(const struct dmt_oracle *o, const struct writer *r, uint64_t pfn)
{
    struct process *p = process(o, r->pid);
    const struct seg *s = p == NULL ? NULL : holding(p, r->vpn);

    return s != NULL && s->present && s->pfn + (r->vpn - s->vpn) == pfn;
}

static void clean_written(struct dmt_oracle *o, struct written *w, void *user)
{
    const struct clean *c = user;
    uint64_t vpn = c->vpn + (w->pfn - c->pfn);
    const struct writer *r = w->writer;

    if (c->dropped) {
        /* The other mappings' D bits are looked at when they are given up. */
        while (r != NULL && (r->pid != c->pid || r->vpn != vpn) && still_maps(o, r, w->pfn)) {
            r = r->next;
        }
        if (r == NULL) {
            return;
        }
        if (o->wrong[0] == '\0') {
            snprintf(o->wrong, sizeof o->wrong,
                     "dirty page dropped: pid %d vpn 0x%" PRIx64 ": expected frame 0x%" PRIx64
                     " to be written out (written by pid %d at vpn 0x%" PRIx64 "), got: dropped as clean",
                     c->pid, vpn, w->pfn, r->pid, r->vpn);
        }
    }
    written_free(o, w);
}

/* ---------------------------------------------------------------- hooks */

/* Pages become these frames, or absent. */
static void assign(struct dmt_oracle *o, struct process *p, uint64_t vpn, uint64_t n, bool present,
                   uint64_t pfn, unsigned rights)
{
    uint64_t end = vpn + n;

    split(p, vpn);
    split(p, end);
    for (struct seg *s = from(p, vpn); s != NULL && s->vpn < end; s = RB_NEXT(segs, &p->segs, s)) {
        uint64_t to = pfn + (s->vpn - vpn);
        if (s->present) {
            if (!present) {
            } else if (s->pfn != to) {
                each_written(o, s->pfn, s->n, copy_written, &(struct copy){p->pid, s->vpn, s->pfn, to});
            }
            if (!present || s->pfn != to || s->rights != rights) {
                retire(o, p, s);
            }
            o->pages -= s->n;
        }
        o->pages += present ? s->n : 0;
        s->present = present;
        s->pfn = to;
        s->rights = rights;
        s->gone = OPEN;
        heat(p, s);
    }
    while (present && vpn < end) { /* what is between them */
        struct seg *next = from(p, vpn);
        if (next != NULL && next->vpn <= vpn) {
            pfn += next->n;
            vpn += next->n;
            continue;
        }
        struct seg *s = get(sizeof *s);
        s->vpn = vpn;
        s->n = (next != NULL && next->vpn < end ? next->vpn : end) - vpn;
        s->present = true;
        s->pfn = pfn;
        s->rights = rights;
        s->gone = OPEN;
        RB_INSERT(segs, &p->segs, s);
        heat(p, s);
        o->pages += s->n;
        pfn += s->n;
        vpn += s->n;
    }
}

static void process_free(struct dmt_oracle *o, struct process *p)
{
    struct seg *s, *next;

    RB_FOREACH_SAFE(s, segs, &p->segs, next)
    {
        if (s->present) {
            o->pages -= s->n;
        }
        seg_free(p, s);
    }
    HASH_DEL(o->process, p);
    free(p);
}

/* Doubts about pages of a process are resolved. */
static void explain(struct dmt_oracle *o, int pid, uint64_t vpn, uint64_t n)
{
    for (struct doubt **at = &o->doubt, *d; (d = *at) != NULL;) {
        if (d->pid == pid && (d->va >> 12) >= vpn && (d->va >> 12) - vpn < n) {
            *at = d->next;
            free(d);
        } else {
            at = &d->next;
        }
    }
}

static void hook_spawned(void *user, int pid, const struct dmt_space *space)
{
    (void)space;
    struct dmt_oracle *o = user;
    struct process *p = get(sizeof *p);

    o->clock++;
    p->pid = pid;
    p->floor = 16;
    RB_INIT(&p->segs);
    TAILQ_INIT(&p->hot);
    HASH_ADD_INT(o->process, pid, p);
}

static void hook_exited(void *user, int pid)
{
    struct dmt_oracle *o = user;
    struct process *p = process(o, pid);

    o->clock++;
    explain(o, pid, 0, UINT64_MAX);
    if (p != NULL) {
        process_free(o, p);
    }
}

static void hook_mapped(void *user, int pid, uint64_t vpn, uint64_t n, uint64_t pfn, unsigned rights)
{
    struct dmt_oracle *o = user;
    struct process *p = process(o, pid);

    o->clock++;
    if (p != NULL) {
        assign(o, p, vpn, n, true, pfn, rights & RIGHTS);
    }
}

static void hook_unmapped(void *user, int pid, uint64_t vpn, uint64_t n)
{
    struct dmt_oracle *o = user;
    struct process *p = process(o, pid);

    o->clock++;
    if (p != NULL) {
        assign(o, p, vpn, n, false, 0, 0);
    }
}

static void seg_flushed(struct dmt_oracle *o, struct seg *s, unsigned thread)
{
    for (struct past *q = s->past; q != NULL; q = q->next) {
        ending_flushed(&q->ending, thread, o->clock);
    }
}

static void hook_flushed(void *user, int pid, unsigned thread, uint64_t vpn, uint64_t n)
{
    struct dmt_oracle *o = user;
    struct process *p = process(o, pid);
    struct seg *s;

    o->clock++;
    if (p == NULL) {
        return;
    }
    explain(o, pid, vpn, n);
    if (n >= WIDE) { /* segments without a past are not touched */
        p->gone = OPEN;
        TAILQ_FOREACH(s, &p->hot, link)
        {
            if (s->vpn >= vpn && s->n <= n && s->vpn - vpn <= n - s->n) {
                seg_flushed(o, s, thread);
            }
        }
        return;
    }
    split(p, vpn);
    split(p, vpn + n);
    for (s = from(p, vpn); s != NULL && s->vpn < vpn + n; s = RB_NEXT(segs, &p->segs, s)) {
        seg_flushed(o, s, thread);
        s->gone = OPEN;
        heat(p, s);
    }
}

static void hook_cleaned(void *user, int pid, uint64_t vpn, uint64_t n, bool dropped)
{
    struct dmt_oracle *o = user;
    struct process *p = process(o, pid);

    o->clock++;
    for (struct seg *s = p == NULL ? NULL : from(p, vpn); s != NULL && s->vpn < vpn + n;
         s = RB_NEXT(segs, &p->segs, s)) {
        uint64_t a = s->vpn > vpn ? s->vpn : vpn, b = s->vpn + s->n < vpn + n ? s->vpn + s->n : vpn + n;
        uint64_t pfn = s->present ? s->pfn : s->past != NULL ? s->past->pfn : 0;
        if (!s->present && s->past == NULL) {
            continue;
        }
        pfn += a - s->vpn;
        each_written(o, pfn, b - a, clean_written, &(struct clean){pid, a, pfn, dropped});
    }
}

static void freed_written(struct dmt_oracle *o, struct written *w, void *user)
{
    (void)user;
    written_free(o, w);
}

static void hook_freed(void *user, uint64_t pfn, uint64_t n)
{
    each_written(user, pfn, n, freed_written, NULL);
}

static void hook_switched(void *user, unsigned thread, int pid)
{
    struct dmt_oracle *o = user;
    struct process *p = process(o, pid);

    o->clock++;
    if (p != NULL) {
        p->ran |= (uint8_t)(1u << thread);
    }
}

struct dmt_oracle *dmt_oracle_new(unsigned threads)
{
    if (threads < 1 || threads > DMT_THREADS_MAX) {
        return NULL;
    }
    struct dmt_oracle *o = calloc(1, sizeof *o);
    if (o != NULL) {
        o->threads = threads;
    }
    return o;
}

static void moved_free(struct dmt_oracle *o, struct moved *m)
{
    for (struct old_host *h = m->old, *next; h != NULL; h = next) {
        next = h->next;
        free(h);
    }
    HASH_DEL(o->moved, m);
    free(m);
}

void dmt_oracle_delete(struct dmt_oracle *o)
{
    struct process *p, *next_p;
    struct written *w, *next_w;
    struct moved *m, *next_m;

    if (o == NULL) {
        return;
    }
    HASH_ITER(hh, o->process, p, next_p)
    {
        explain(o, p->pid, 0, UINT64_MAX);
        process_free(o, p);
    }
    HASH_ITER(hh, o->written, w, next_w)
    {
        written_free(o, w);
    }
    HASH_ITER(hh, o->moved, m, next_m)
    {
        moved_free(o, m);
    }
    free(o);
}

struct dmt_os_watch dmt_oracle_watch(struct dmt_oracle *o)
{
    return (struct dmt_os_watch){.user = o,
                                 .spawned = hook_spawned,
                                 .exited = hook_exited,
                                 .mapped = hook_mapped,
                                 .unmapped = hook_unmapped,
                                 .flushed = hook_flushed,
                                 .cleaned = hook_cleaned,
                                 .freed = hook_freed,
                                 .switched = hook_switched};
}

void dmt_oracle_below(struct dmt_oracle *o, dmt_to_host to_host, void *user)
{
    o->to_host = to_host;
    o->below = user;
}

void dmt_oracle_moved(struct dmt_oracle *o, uint64_t pfn, uint64_t old_hpfn)
{
    struct moved *m;

    o->clock++;
    HASH_FIND(hh, o->moved, &pfn, sizeof pfn, m);
    if (m == NULL) {
        m = get(sizeof *m);
        m->pfn = pfn;
        HASH_ADD(hh, o->moved, pfn, sizeof m->pfn, m);
    }
    struct old_host *h = get(sizeof *h);
    h->hpfn = old_hpfn;
    ending_start(&h->ending, everyone(o), o->clock);
    h->next = m->old;
    m->old = h;
}

void dmt_oracle_moved_flushed(struct dmt_oracle *o, uint64_t pfn, unsigned thread)
{
    struct moved *m;

    o->clock++;
    HASH_FIND(hh, o->moved, &pfn, sizeof pfn, m);
    for (struct old_host *h = m == NULL ? NULL : m->old; h != NULL; h = h->next) {
        ending_flushed(&h->ending, thread, o->clock);
    }
}

uint64_t dmt_oracle_now(const struct dmt_oracle *o)
{
    return o->clock;
}

uint64_t dmt_oracle_pages(const struct dmt_oracle *o)
{
    return o->pages;
}

void dmt_oracle_forget(struct dmt_oracle *o, uint64_t moment)
{
    struct process *p, *next_p;
    struct moved *m, *next_m;
    struct seg *s, *next_s;

    o->horizon = moment > o->horizon ? moment : o->horizon;
    HASH_ITER(hh, o->process, p, next_p)
    {
        if (p->hots < p->floor) { /* each look over them is paid for by what came since the last */
            continue;
        }
        TAILQ_FOREACH_SAFE(s, &p->hot, link, next_s)
        {
            tidy(o, p, s);
        }
        p->floor = 2 * p->hots + 16;
    }
    HASH_ITER(hh, o->moved, m, next_m)
    {
        for (struct old_host **at = &m->old, *h; (h = *at) != NULL;) {
            if (ending_over(&h->ending, o->horizon)) {
                *at = h->next;
                free(h);
            } else {
                at = &h->next;
            }
        }
        if (m->old == NULL) {
            moved_free(o, m);
        }
    }
}

/* ---------------------------------------------------------------- judging answers */

static const char *rights_name(unsigned rights)
{
    static const char *const name[8] = {"---", "R--", "-W-", "RW-", "--X", "R-X", "-WX", "RWX"};

    return name[rights & RIGHTS];
}

/* Rights without which the access must fault. */
static unsigned needed(uint8_t access)
{
    return access == DMT_ACCESS_WRITE ? DMT_OS_W : access == DMT_ACCESS_EXECUTE ? DMT_OS_X : DMT_OS_R;
}

/* What a present entry with these rights gives: x86 has no page that cannot be read but written or executed.
 */
static unsigned given(unsigned rights)
{
    return rights != 0 ? rights | DMT_OS_R : 0;
}

/* May the frame of the kernel be found at that host frame by the access? */
static bool backed_by(struct dmt_oracle *o, uint64_t pfn, uint64_t hpfn, unsigned thread, uint64_t issued)
{
    uint64_t now = pfn;
    struct moved *m;

    if (o->to_host == NULL) {
        return pfn == hpfn;
    }
    if (o->to_host(o->below, pfn, &now) && now == hpfn) {
        return true;
    }
    HASH_FIND(hh, o->moved, &pfn, sizeof pfn, m);
    for (const struct old_host *h = m == NULL ? NULL : m->old; h != NULL; h = h->next) {
        if (h->hpfn == hpfn && ending_legal(&h->ending, thread, issued)) {
            return true;
        }
    }
    return false;
}

/* A question about one access. */
struct trial {
    struct dmt_oracle *o;
    int pid;
    unsigned thread;
    const struct dmt_request *q;
    const struct dmt_result *r;
    uint64_t issued;
    bool from_tlb;
};

/* Does this state of the page say what the OK answer says? */
static bool agrees(const struct trial *t, uint64_t pfn, unsigned rights)
{
    unsigned may = given(rights),
             told = ((t->r->rights & 1) != 0 ? DMT_OS_W : 0) | ((t->r->rights & 4) != 0 ? DMT_OS_X : 0);

    return (may & needed(t->q->access)) != 0 && (told & ~may) == 0 && ((t->r->pa ^ t->q->va) & 0xfff) == 0 &&
           backed_by(t->o, pfn, t->r->pa >> 12, t->thread, t->issued);
}

static const char *accuse(const struct trial *t, const struct seg *s)
{
    static const char *const access[4] = {"read", "write", "fetch", "?"};
    uint64_t vpn = t->q->va >> 12;
    char expected[160] = "nothing mapped", got[96];

    if (s != NULL && s->present) {
        uint64_t pfn = s->pfn + (vpn - s->vpn), hpfn = pfn;
        int n = snprintf(expected, sizeof expected, "frame 0x%" PRIx64 " %s", pfn, rights_name(s->rights));
        if (t->o->to_host != NULL && t->o->to_host(t->o->below, pfn, &hpfn)) {
            snprintf(expected + n, sizeof expected - (size_t)n, " at host frame 0x%" PRIx64, hpfn);
        }
    }
    if (t->r->status == DMT_STATUS_OK) {
        snprintf(got, sizeof got, "OK, pa 0x%" PRIx64 ", %s%s", t->r->pa, (t->r->rights & 1) != 0 ? "W" : "-",
                 (t->r->rights & 4) != 0 ? "X" : "-");
    } else {
        snprintf(got, sizeof got, "PF, error 0x%" PRIx64, t->r->error);
    }
    return say("answer: pid %d thread %u %s of va 0x%" PRIx64 " (vpn 0x%" PRIx64 "), issued at %" PRIu64
               ", judged at %" PRIu64 "%s: expected %s or a state not flushed yet, got %s",
               t->pid, t->thread, access[t->q->access & 3], t->q->va, vpn, t->issued, t->o->clock,
               t->from_tlb ? ", from the TLB" : "", expected, got);
}

static const char *judge_ok(const struct trial *t, const struct seg *s)
{
    uint64_t vpn = t->q->va >> 12, skip = s == NULL ? 0 : vpn - s->vpn;
    bool store = t->q->access == DMT_ACCESS_WRITE && t->q->nonspec;

    if (s == NULL) {
        return accuse(t, s);
    }
    if (s->present && agrees(t, s->pfn + skip, s->rights)) {
        if (store) {
            write_frame(t->o, s->pfn + skip, t->pid, vpn);
        }
        return NULL;
    }
    for (const struct past *q = s->past; q != NULL; q = q->next) {
        if (!ending_legal(&q->ending, t->thread, t->issued) || !agrees(t, q->pfn + skip, q->rights)) {
            continue;
        }
        /* Once flushed here, it was answered before that, and the D bit collected after it. */
        if (store && (q->ending.pending >> t->thread & 1) != 0) {
            write_frame(t->o, q->pfn + skip, t->pid, vpn);
        }
        return NULL;
    }
    return accuse(t, s);
}

static const char *judge_fault(const struct trial *t, const struct process *p, const struct seg *s)
{
    unsigned need = needed(t->q->access);

    if ((t->r->error & 8) != 0) { /* a reserved bit is never the kernel's doing */
        return accuse(t, s);
    }
    if (s == NULL || !s->present || (s->rights & need) == 0) {
        return NULL;
    }
    for (const struct past *q = s->past; q != NULL; q = q->next) {
        if ((q->rights & need) == 0 && ending_legal(&q->ending, t->thread, t->issued)) {
            return NULL;
        }
    }
    if ((t->r->error & 1) != 0) {
        return accuse(t, s);
    }
    if (s->gone <= t->issued && p->gone <= t->issued) {
        struct doubt *d = get(sizeof *d);
        *d = (struct doubt){t->o->doubt, t->pid, t->thread, t->q->va, t->q->access};
        t->o->doubt = d;
    }
    return NULL;
}

/* What a hook found, once. */
static const char *found_before(struct dmt_oracle *o)
{
    if (o->wrong[0] == '\0') {
        return NULL;
    }
    say("%s", o->wrong);
    o->wrong[0] = '\0';
    return text;
}

const char *dmt_oracle_judge(struct dmt_oracle *o, int pid, unsigned thread, const struct dmt_request *q,
                             const struct dmt_result *r, uint64_t moment, bool from_tlb)
{
    struct process *p = process(o, pid);
    struct seg *s = p == NULL ? NULL : holding(p, q->va >> 12);
    struct trial t = {o, pid, thread, q, r, moment, from_tlb};
    const char *wrong = NULL;

    if (r->status == DMT_STATUS_OK) {
        wrong = judge_ok(&t, s);
    } else if (r->status == DMT_STATUS_PF) {
        wrong = judge_fault(&t, p, s);
    }
    return wrong != NULL ? wrong : found_before(o);
}

/* ---------------------------------------------------------------- the table and its TEAs */

#define FIRST_LEAF_ABOVE 3u /* leaves are at levels 1 to 3 */

struct audit {
    const struct dmt_platform *platform;
    enum dmt_space_format format;
    unsigned levels;
    uint64_t root;
    const struct dmt_vm *vm;
    const struct dmt_platform *below; /* of the hypervisor of vm */
    struct dmt_tea_view *tea;         /* those that are not ABSENT */
    size_t teas;
    int pid;
    /* comparison with the oracle, in address order */
    struct process *record; /* NULL: none */
    struct seg *at;
    uint64_t pos; /* pages below are compared */
};

static uint64_t load(const struct audit *a, uint64_t pa)
{
    return a->platform->load(a->platform->user, pa);
}

static bool present(const struct audit *a, uint64_t entry)
{
    return (entry & (a->format == DMT_SPACE_EPT ? 7 : DMT_PTE_P)) != 0;
}

static bool is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (level <= FIRST_LEAF_ABOVE && (entry & DMT_PTE_PS) != 0);
}

static uint64_t frame_of(uint64_t entry)
{
    return (entry & DMT_PTE_FRAME) >> 12;
}

/* The page of entry i of a table whose first page is base; the upper half of IA-32e is the canonical negative
 * one. */
static uint64_t entry_vpn(const struct audit *a, uint64_t base, unsigned level, unsigned i)
{
    uint64_t vpn = base + ((uint64_t)i << 9 * (level - 1));

    if (a->format == DMT_SPACE_IA32E && level == a->levels && i >= 256) {
        vpn |= (UINT64_C(1) << 52) - (UINT64_C(1) << 9 * level);
    }
    return vpn;
}

/* Is there such a page for the radix table at all? */
static bool walkable(const struct audit *a, uint64_t vpn)
{
    uint64_t upper = vpn >> (9 * a->levels - 1), ones = (UINT64_C(1) << (53 - 9 * a->levels)) - 1;

    return a->format == DMT_SPACE_IA32E ? upper == 0 || upper == ones : upper <= 1;
}

/* The table of that level which the radix walk of vpn reads. False: it ends above. */
static bool radix_table(const struct audit *a, uint64_t vpn, unsigned level, uint64_t *pfn)
{
    *pfn = a->root;
    if (!walkable(a, vpn)) {
        return false;
    }
    for (unsigned l = a->levels; l > level; l--) {
        uint64_t entry = load(a, dmt_table_entry_addr(*pfn, l, vpn << 12));
        if (!present(a, entry) || is_leaf(entry, l)) {
            return false;
        }
        *pfn = frame_of(entry);
    }
    return true;
}

/* A run of entries as a TEA or a register names it. */
struct span {
    const char *name;
    unsigned thread, index; /* thread: of a loaded register */
    unsigned size;
    uint64_t vpn, pages, pfn; /* pfn at the level of the platform */
};

static const char *span_name(const struct span *s)
{
    static char name[64];

    snprintf(name, sizeof name, s->name, s->index, s->thread);
    return name;
}

static uint64_t span_entries(const struct span *s)
{
    return ((s->pages - 1) >> 9 * s->size) + 1;
}

static uint64_t span_frames(const struct span *s)
{
    return (span_entries(s) - 1) / 512 + 1;
}

/* I2 and I3: each word is the radix walk's own, or holds no present leaf. */
static const char *check_words(const struct audit *a, const struct span *s)
{
    unsigned level = s->size + 1;
    uint64_t entries = span_entries(s), table = 0;
    bool linked = false;

    for (uint64_t e = 0; e < entries; e++) {
        uint64_t vpn = s->vpn + (e << 9 * s->size), addr = (s->pfn << 12) + 8 * e;
        unsigned i = (unsigned)(vpn >> 9 * s->size) & 511;
        if (e == 0 || i == 0) {
            linked = radix_table(a, vpn, level, &table);
        }
        uint64_t radix = table << 12 | (uint64_t)i << 3;
        if (linked && addr == radix) {
            e += 511 - i; /* so it is up to the end of the table */
            continue;
        }
        uint64_t entry = load(a, addr), leaf = linked ? load(a, radix) : 0;
        if (!present(a, entry) || !is_leaf(entry, level)) {
            continue;
        }
        if (present(a, leaf) && is_leaf(leaf, level)) {
            return say("I3: %s: vpn 0x%" PRIx64 ": expected the radix leaf in its slot at 0x%" PRIx64
                       " or nothing present there, got 0x%" PRIx64 " there and the leaf 0x%" PRIx64
                       " at 0x%" PRIx64,
                       span_name(s), vpn, addr, entry, leaf, radix);
        }
        return say("I2: %s: vpn 0x%" PRIx64 ": expected no present leaf at 0x%" PRIx64
                   ", where the radix walk finds none of that size, got 0x%" PRIx64,
                   span_name(s), vpn, addr, entry);
    }
    return NULL;
}

/* I4 of frames [pfn, pfn + n). */
static const char *check_frames(const struct dmt_buddy *buddy, const struct span *s, uint64_t pfn, uint64_t n,
                                const char *whose)
{
    for (uint64_t i = 0; i < n; i++) {
        if (dmt_buddy_is_free(buddy, pfn + i)) {
            return say("I4: %s: vpn 0x%" PRIx64 ": expected %sframe 0x%" PRIx64
                       " to be in use, got: it is free",
                       span_name(s), s->vpn + (i << 9 * (s->size + 1)), whose, pfn + i);
        }
    }
    return NULL;
}

static bool overlap(const struct span *a, const struct span *b)
{
    return a->size == b->size && a->vpn < b->vpn + b->pages && b->vpn < a->vpn + a->pages;
}

/* I1 of two of a kind. */
static const char *check_apart(const struct span *a, const struct span *b)
{
    char first[64];

    if (!overlap(a, b)) {
        return NULL;
    }
    snprintf(first, sizeof first, "%s", span_name(a));
    return say("I1: %s: vpn 0x%" PRIx64 " and 0x%" PRIx64
               " pages of size %u: expected apart from %s, got vpn 0x%" PRIx64 " and 0x%" PRIx64
               " pages there",
               first, a->vpn, a->pages, a->size, span_name(b), b->vpn, b->pages);
}

static struct span tea_span(const struct dmt_tea_view *v, size_t i)
{
    unsigned shift = 9 * (v->size + 1);

    return (struct span){"TEA %u",           0,           (unsigned)i, v->size, v->first << shift,
                         v->blocks << shift, v->grant.pfn};
}

/* Overlaps first: what they lead to is found in words, but named after its cause. */
static const char *check_teas(const struct audit *a)
{
    const char *wrong = NULL;

    for (size_t i = 0; i < a->teas && wrong == NULL; i++) {
        struct span s = tea_span(&a->tea[i], i);
        for (size_t k = 0; k < i && a->tea[i].state == DMT_TEA_LIVE && wrong == NULL; k++) {
            struct span t = tea_span(&a->tea[k], k);
            wrong = a->tea[k].state == DMT_TEA_LIVE ? check_apart(&s, &t) : NULL;
        }
    }
    for (size_t i = 0; i < a->teas && wrong == NULL; i++) {
        struct span s = tea_span(&a->tea[i], i);
        /* The frames of a RETIRED one are its own only where they are linked: those are looked at as tables.
         */
        if (a->tea[i].state != DMT_TEA_RETIRED) {
            wrong = check_frames(a->platform->buddy, &s, a->tea[i].grant.pfn, a->tea[i].blocks, "");
        }
        if (wrong == NULL && a->tea[i].state == DMT_TEA_LIVE && a->tea[i].blocks != 0) {
            wrong = check_words(a, &s);
        }
    }
    return wrong;
}

/* I5 of a valid register, and I4 in the hypervisor's memory. */
static const char *check_gtea(const struct audit *a, const struct span *s, const struct dmt_tea *r,
                              bool loaded)
{
    uint64_t pfn, frames, need = span_frames(s);

    if (a->vm == NULL || !dmt_vm_gtea(a->vm, r->gtea, &pfn, &frames)) {
        return say("I5: %s: vpn 0x%" PRIx64 ": expected a gTEA of its own machine, got ID %u, which is not",
                   span_name(s), s->vpn, r->gtea);
    }
    if (need > frames || r->base_pfn > frames - need) {
        return say("I5: %s: vpn 0x%" PRIx64 ": expected frames inside gTEA %u of 0x%" PRIx64
                   " frames, got 0x%" PRIx64 " from frame 0x%" PRIx64 " on",
                   span_name(s), s->vpn, r->gtea, frames, need, r->base_pfn);
    }
    if (loaded && r->resolution == DMT_RESOLUTION_OK) {
        /* Below level 0 the hypervisor's addresses are not the ones that hardware resolves to. */
        bool known = a->below->level == 0;
        if ((known && r->gtea_base != pfn) || r->gtea_pages > frames) {
            return say("I5: %s: vpn 0x%" PRIx64 ": expected gTEA %u resolved to frame 0x%" PRIx64
                       ", 0x%" PRIx64 " frames, got frame 0x%" PRIx64 ", 0x%" PRIx64 " frames",
                       span_name(s), s->vpn, r->gtea, pfn, frames, r->gtea_base, r->gtea_pages);
        }
    }
    return check_frames(a->below->buddy, s, pfn + r->base_pfn, need, "the hypervisor's ");
}

/* Where the frames of a gTEA register are for the kernel itself. The ID of a RETIRED TEA may have been taken
 * back since and be another gTEA's now. */
static const struct dmt_grant *granted(const struct audit *a, const struct dmt_tea *r, uint64_t need)
{
    for (size_t i = 0; i < a->teas; i++) {
        const struct dmt_grant *g = &a->tea[i].grant;
        if (a->tea[i].state != DMT_TEA_RETIRED && g->gtea && g->id == r->gtea && r->base_pfn >= g->inside && r->base_pfn - g->inside < g->frames &&
            need <= g->frames - (r->base_pfn - g->inside)) {
            return g;
        }
    }
    return NULL;
}

/* Has check_teas looked at these words? */
static bool checked(const struct audit *a, const struct span *s)
{
    for (size_t i = 0; i < a->teas; i++) {
        struct span t = tea_span(&a->tea[i], i);
        if (a->tea[i].state == DMT_TEA_LIVE && t.size == s->size && t.vpn == s->vpn && t.pfn == s->pfn &&
            s->pages <= t.pages) {
            return true;
        }
    }
    return false;
}

static const char *check_register(const struct audit *a, struct span *s, const struct dmt_tea *r, bool loaded)
{
    uint64_t need = span_frames(s);
    const char *wrong;

    if (r->kind == DMT_KIND_GTEA) {
        wrong = check_gtea(a, s, r, loaded);
        if (wrong != NULL) {
            return wrong;
        }
        const struct dmt_grant *g = granted(a, r, need);
        if (g == NULL) {
            return say("I4: %s: vpn 0x%" PRIx64 ": expected frames of a TEA of this space, got 0x%" PRIx64
                       " frames of gTEA %u from frame 0x%" PRIx64 " on, which no TEA has",
                       span_name(s), s->vpn, need, r->gtea, r->base_pfn);
        }
        s->pfn = g->pfn + (r->base_pfn - g->inside);
    }
    wrong = check_frames(a->platform->buddy, s, s->pfn, need, "");
    return wrong != NULL || checked(a, s) ? wrong : check_words(a, s);
}

static const char *check_registers(const struct audit *a, const struct dmt_tea *r, unsigned n,
                                   const char *name, unsigned thread, bool loaded)
{
    struct span s[DMT_TEA_MAX];
    const char *wrong = NULL;
    unsigned valid = 0;

    for (unsigned i = 0; i < n; i++) {
        if (r[i].valid) {
            s[valid++] = (struct span){name, thread, i, r[i].sz, r[i].base_vpn, r[i].pages, r[i].base_pfn};
        }
    }
    for (unsigned i = 0; i < valid && wrong == NULL; i++) {
        for (unsigned k = 0; k < i && wrong == NULL; k++) {
            wrong = check_apart(&s[i], &s[k]);
        }
        if (wrong == NULL) {
            wrong = check_register(a, &s[i], &r[s[i].index], loaded);
        }
    }
    return wrong;
}

/* ---------------------------------------------------------------- the table and the record */

/* What the record maps in [a->pos, vpn) the table lacks. */
static const char *check_gap(struct audit *a, uint64_t vpn)
{
    while (a->at != NULL && a->at->vpn < vpn) {
        uint64_t end = a->at->vpn + a->at->n, first = a->at->vpn > a->pos ? a->at->vpn : a->pos;
        if (a->at->present && first < vpn && first < end) {
            return say("oracle: pid %d vpn 0x%" PRIx64 ": expected frame 0x%" PRIx64
                       " %s, got no leaf in the table",
                       a->pid, first, a->at->pfn + (first - a->at->vpn), rights_name(a->at->rights));
        }
        if (end > vpn) {
            break;
        }
        a->at = RB_NEXT(segs, &a->record->segs, a->at);
    }
    a->pos = vpn;
    return NULL;
}

/* A leaf against the record of its pages. */
static const char *check_leaf(struct audit *a, uint64_t vpn, unsigned level, uint64_t entry, unsigned rights)
{
    uint64_t pages = UINT64_C(1) << 9 * (level - 1), end = vpn + pages, pfn = frame_of(entry) & ~(pages - 1);
    const char *wrong = check_gap(a, vpn);

    while (wrong == NULL && a->pos < end) {
        while (a->at != NULL && a->at->vpn + a->at->n <= a->pos) {
            a->at = RB_NEXT(segs, &a->record->segs, a->at);
        }
        const struct seg *s = a->at;
        uint64_t got = pfn + (a->pos - vpn);
        if (s == NULL || s->vpn > a->pos || !s->present) {
            return say("oracle: pid %d vpn 0x%" PRIx64 ": expected nothing mapped, got frame 0x%" PRIx64
                       " %s (leaf 0x%" PRIx64 " of level %u)",
                       a->pid, a->pos, got, rights_name(rights), entry, level);
        }
        uint64_t want = s->pfn + (a->pos - s->vpn);
        if (got != want || (rights & ~given(s->rights)) != 0) {
            return say("oracle: pid %d vpn 0x%" PRIx64 ": expected frame 0x%" PRIx64
                       " and at most %s, got frame 0x%" PRIx64 " %s (leaf 0x%" PRIx64 " of level %u)",
                       a->pid, a->pos, want, rights_name(s->rights), got, rights_name(rights), entry, level);
        }
        a->pos = s->vpn + s->n < end ? s->vpn + s->n : end;
    }
    return wrong;
}

/* Rights of an entry for user accesses, as of a record. */
static unsigned entry_rights(const struct audit *a, uint64_t entry)
{
    if (a->format == DMT_SPACE_EPT) {
        return (unsigned)entry & RIGHTS; /* R, W, X are bits 0, 1, 2 there too */
    }
    return ((entry & DMT_PTE_U) != 0 ? DMT_OS_R : 0) | ((entry & DMT_PTE_W) != 0 ? DMT_OS_W : 0) |
           ((entry & DMT_PTE_XD) == 0 ? DMT_OS_X : 0);
}

/* All tables from here down: I4, and the leaves against the record. */
static const char *check_table(struct audit *a, uint64_t pfn, unsigned level, uint64_t base, unsigned rights)
{
    const char *wrong = NULL;

    if (dmt_buddy_is_free(a->platform->buddy, pfn)) {
        return say("I4: table of level %u: vpn 0x%" PRIx64 ": expected frame 0x%" PRIx64
                   " to be in use, got: it is free",
                   level, base, pfn);
    }
    for (unsigned i = 0; i < 512 && wrong == NULL; i++) {
        uint64_t entry = load(a, pfn << 12 | (uint64_t)i << 3), vpn = entry_vpn(a, base, level, i);
        if (!present(a, entry)) {
            continue;
        }
        unsigned r = rights & entry_rights(a, entry);
        if (!is_leaf(entry, level)) {
            wrong = check_table(a, frame_of(entry), level - 1, vpn, r);
        } else if (a->record != NULL) {
            wrong =
                check_leaf(a, vpn, level, entry, a->format == DMT_SPACE_EPT || (r & DMT_OS_R) != 0 ? r : 0);
        }
    }
    return wrong;
}

/* The operation is over and the tables are right: no page is absent by the way any more. */
static void settle(struct dmt_oracle *o, struct process *p)
{
    struct seg *s;

    o->clock++;
    TAILQ_FOREACH(s, &p->hot, link)
    {
        s->gone = s->gone == OPEN ? o->clock : s->gone;
    }
    p->gone = p->gone == OPEN ? o->clock : p->gone;
}

static const char *check_doubts(const struct dmt_oracle *o, int pid)
{
    for (const struct doubt *d = o->doubt; d != NULL; d = d->next) {
        if (d->pid == pid) {
            return say("answer: pid %d thread %u access %u of va 0x%" PRIx64 " (vpn 0x%" PRIx64
                       "): expected a page that has been mapped throughout, and no flush of it was under "
                       "way, got PF, "
                       "not present",
                       pid, d->thread, d->access, d->va, d->va >> 12);
        }
    }
    return NULL;
}

static const char *check_all(const struct dmt_space *s, struct dmt_oracle *o, struct audit *a,
                             const struct dmt_tea *const *loaded, unsigned threads)
{
    unsigned registers = 0;
    size_t slots = dmt_space_teas(s);
    const char *wrong;

    a->tea = get((slots + 1) * sizeof *a->tea);
    for (size_t i = 0; i < slots; i++) {
        struct dmt_tea_view v = dmt_space_tea(s, i);
        if (v.state != DMT_TEA_ABSENT) {
            a->tea[a->teas++] = v;
        }
        if (v.state != DMT_TEA_ABSENT && v.index >= 0 && (unsigned)v.index >= registers) {
            registers = (unsigned)v.index + 1; /* how many the policy allows is not told */
        }
    }
    wrong = check_teas(a);
    if (wrong == NULL) {
        wrong = check_registers(a, dmt_space_registers(s), registers, "register %u", 0, false);
    }
    for (unsigned t = 0; t < threads && loaded != NULL && wrong == NULL; t++) {
        if (loaded[t] != NULL) {
            wrong =
                check_registers(a, loaded[t], a->platform->registers, "register %u of thread %u", t, true);
        }
    }
    if (wrong == NULL) {
        wrong = check_table(a, a->root, a->levels, 0, RIGHTS);
    }
    if (wrong == NULL && a->record != NULL) {
        wrong = check_gap(a, UINT64_C(1) << 52);
    }
    if (wrong == NULL && o != NULL) {
        wrong = check_doubts(o, a->pid);
    }
    return wrong;
}

const char *dmt_check_space(const struct dmt_space *s, struct dmt_oracle *o, int pid, const struct dmt_vm *vm,
                            const struct dmt_tea *const *loaded, unsigned threads)
{
    struct audit a = {.platform = dmt_space_platform(s),
                      .format = dmt_space_format(s),
                      .levels = dmt_space_levels(s),
                      .root = dmt_space_root(s),
                      .vm = vm,
                      .pid = pid};
    const char *wrong;

    if (vm != NULL) { /* the view of its second stage is not const, but nothing is changed through it */
        a.below = dmt_space_platform(dmt_vm_space((struct dmt_vm *)(uintptr_t)vm));
    }
    if (o != NULL) {
        wrong = found_before(o);
        a.record = process(o, pid);
        if (wrong == NULL && a.record == NULL) {
            wrong = say("oracle: pid %d: expected a process that was told of, got none", pid);
        }
        if (wrong != NULL) {
            return wrong;
        }
        a.at = RB_MIN(segs, &a.record->segs);
    }
    wrong = check_all(s, o, &a, loaded, threads);
    free(a.tea);
    if (wrong == NULL && o != NULL) {
        settle(o, a.record);
    }
    return wrong;
}
