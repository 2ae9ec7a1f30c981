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
RB_GENERATE_STATIC(segs, seg, tree, by_vpn)
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
    bool loose; /* a mapping of it went: it may be freed, and then what was written is of no interest */
    TAILQ_ENTRY(written) link; /* while loose */
    UT_hash_handle hh;
};
TAILQ_HEAD(written_list, written);

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
    struct written_list loose;
    struct moved *moved;
    struct doubt *doubt;
    const struct dmt_buddy *buddy; /* of the kernel, while it has processes */
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
        e->pending &= (uint8_t)~(1u << thread);
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
    return a != NULL && b != NULL && !a->hot && !b->hot && a->present && b->present && a->vpn + a->n == b->vpn &&
           a->pfn + a->n == b->pfn && a->rights == b->rights;
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
        HASH_ITER(hh, o->written, w, next) {
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

static void tighten(struct dmt_oracle *o, struct written *w, void *user)
{
    (void)user;
    if (w->loose) {
        w->loose = false;
        TAILQ_REMOVE(&o->loose, w, link);
    }
}

static void loosen(struct dmt_oracle *o, struct written *w, void *user)
{
    (void)user;
    if (!w->loose) {
        w->loose = true;
        TAILQ_INSERT_TAIL(&o->loose, w, link);
    }
}

static void written_free(struct dmt_oracle *o, struct written *w)
{
    tighten(o, w, NULL);
    for (struct writer *r = w->writer, *next; r != NULL; r = next) {
        next = r->next;
        free(r);
    }
    HASH_DEL(o->written, w);
    free(w);
}

/* What was written into frames that have been freed is lost rightly. */
static void sweep(struct dmt_oracle *o)
{
    struct written *w, *next;

    if (o->buddy == NULL) {
        return;
    }
    TAILQ_FOREACH_SAFE(w, &o->loose, link, next) {
        if (dmt_buddy_is_free(o->buddy, w->pfn)) {
            written_free(o, w);
        }
    }
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
    loosen(o, w, NULL);
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
static void assign(struct dmt_oracle *o, struct process *p, uint64_t vpn, uint64_t n, bool present, uint64_t pfn,
                   unsigned rights)
{
    uint64_t end = vpn + n;

    split(p, vpn);
    split(p, end);
    for (struct seg *s = from(p, vpn); s != NULL && s->vpn < end; s = RB_NEXT(segs, &p->segs, s)) {
        uint64_t to = pfn + (s->vpn - vpn);
        if (s->present) {
            if (!present) {
                each_written(o, s->pfn, s->n, loosen, NULL);
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

    RB_FOREACH_SAFE(s, segs, &p->segs, next) {
        if (s->present) {
            each_written(o, s->pfn, s->n, loosen, NULL);
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
    struct dmt_oracle *o = user;
    struct process *p = get(sizeof *p);

    o->clock++;
    p->pid = pid;
    p->floor = 16;
    RB_INIT(&p->segs);
    TAILQ_INIT(&p->hot);
    HASH_ADD_INT(o->process, pid, p);
    o->buddy = space == NULL ? NULL : dmt_space_platform(space)->buddy;
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
    if (o->process == NULL) {
        o->buddy = NULL; /* the kernel may be about to go, and its memory with it */
    }
}

static void hook_mapped(void *user, int pid, uint64_t vpn, uint64_t n, uint64_t pfn, unsigned rights)
{
    struct dmt_oracle *o = user;
    struct process *p = process(o, pid);

    o->clock++;
    if (p != NULL) {
        assign(o, p, vpn, n, true, pfn, rights & RIGHTS);
        each_written(o, pfn, n, tighten, NULL);
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
        TAILQ_FOREACH(s, &p->hot, link) {
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
        TAILQ_INIT(&o->loose);
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
    HASH_ITER(hh, o->process, p, next_p) {
        explain(o, p->pid, 0, UINT64_MAX);
        process_free(o, p);
    }
    HASH_ITER(hh, o->written, w, next_w) {
        written_free(o, w);
    }
    HASH_ITER(hh, o->moved, m, next_m) {
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
    sweep(o);
    HASH_ITER(hh, o->process, p, next_p) {
        if (p->hots < p->floor) { /* each look over them is paid for by what came since the last */
            continue;
        }
        TAILQ_FOREACH_SAFE(s, &p->hot, link, next_s) {
            tidy(o, p, s);
        }
        p->floor = 2 * p->hots + 16;
    }
    HASH_ITER(hh, o->moved, m, next_m) {
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

/* What a present entry with these rights gives: x86 has no page that cannot be read but written or executed. */
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
    unsigned may = given(rights), told = ((t->r->rights & 1) != 0 ? DMT_OS_W : 0) |
                                         ((t->r->rights & 4) != 0 ? DMT_OS_X : 0);

    return (may & needed(t->q->access)) != 0 && (told & ~may) == 0 &&
           ((t->r->pa ^ t->q->va) & 0xfff) == 0 && backed_by(t->o, pfn, t->r->pa >> 12, t->thread, t->issued);
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
