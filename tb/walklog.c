/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/walklog.h"
#include "dmt/arch.h"
#include "dmt/regs.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEEP 256 /* reads or writes of one ID, walks, beats, CSR writes under way; a power of two */

/* ---------------------------------------------------------------- queues */

struct item {
    uint64_t from, addr, data, at;
    uint8_t id, resp;
    bool lock, known;
    bool load; /* of the loader: a gTEA table or an image */
};

/* A ring. Overflow forgets the oldest: only an input that breaks the bus rules has so many. */
struct queue {
    struct item item[DEEP];
    unsigned head, count;
};

static struct item *push(struct queue *q)
{
    if (q->count == DEEP) {
        q->head = (q->head + 1) % DEEP;
        q->count--;
    }
    return memset(&q->item[(q->head + q->count++) % DEEP], 0, sizeof(struct item));
}

static struct item *first(struct queue *q)
{
    return q->count ? &q->item[q->head] : NULL;
}

static void drop(struct queue *q)
{
    q->head = (q->head + 1) % DEEP;
    q->count--;
}

struct walklog_state {
    uint64_t start; /* first clock of the log */
    uint64_t ar_since, aw_since, csr_aw_since;
    bool ar_waits, aw_waits, csr_aw_waits; /* offered in the clock before and not taken */
    bool ar_valid, ar_load;                /* in the clock before: an address was offered; of the loader */
    struct queue ar[DMT_PTE_IDS];                  /* addresses taken, not answered */
    struct queue aw[DMT_PTE_IDS];
    struct queue r, b; /* answers taken, not yet on the walk trace port */
    struct {
        uint32_t walk;
        uint8_t context, stage, lane;
        bool known;
    } fetch[DMT_PTE_IDS]; /* what was last read with an ID: its surplus reads are of the same walk */
    struct queue csr_aw, csr_w;
    uint32_t open[DEEP]; /* walks without an answer */
    unsigned opens;
    uint32_t ended[DEEP]; /* walks whose answer is not taken, in order */
    unsigned endeds;
    size_t csr_answered; /* writes below this have been answered */
    bool csr_shown;      /* BVALID was high in the clock before, and stays with the same write */
    size_t walk_room, ref_room, csr_room;
};

static void *grow(struct walklog *l, void *array, size_t n, size_t *room, size_t size)
{
    size_t want = *room ? 2 * *room : 256;
    void *more;

    if (n < *room)
        return array;
    more = realloc(array, want * size);
    if (!more) {
        l->failed = true;
        return array;
    }
    *room = want;
    return more;
}

bool walklog_init(struct walklog *l, uint64_t clock)
{
    memset(l, 0, sizeof(*l));
    l->clock = clock;
    l->state = calloc(1, sizeof(*l->state));
    if (l->state)
        l->state->start = clock;
    return l->state != NULL;
}

void walklog_free(struct walklog *l)
{
    free(l->walk);
    free(l->ref);
    free(l->csr);
    free(l->state);
    memset(l, 0, sizeof(*l));
}

/* ---------------------------------------------------------------- walks */

/* A new walk, or NULL: out of memory. */
static struct walklog_walk *new_walk(struct walklog *l, uint32_t order)
{
    struct walklog_state *s = l->state;
    struct walklog_walk *w;

    l->walk = grow(l, l->walk, l->walks, &s->walk_room, sizeof(*l->walk));
    if (l->failed)
        return NULL;
    if (s->opens == DEEP) {
        memmove(s->open, s->open + 1, (DEEP - 1) * sizeof(*s->open));
        s->opens--;
    }
    s->open[s->opens++] = (uint32_t)l->walks;
    w = &l->walk[l->walks++];
    *w = (struct walklog_walk){.order = order,
                               .began = WALKLOG_NEVER,
                               .taken = WALKLOG_NEVER,
                               .ended = WALKLOG_NEVER,
                               .answered = WALKLOG_NEVER,
                               .context = -1};
    return w;
}

/* The open walk of this number; one that began before the log is made now. */
static struct walklog_walk *open_walk(struct walklog *l, uint32_t order)
{
    struct walklog_state *s = l->state;

    for (unsigned i = 0; i < s->opens; i++) {
        if (l->walk[s->open[i]].order == order)
            return &l->walk[s->open[i]];
    }
    return new_walk(l, order);
}

static void see_request(struct walklog *l, const struct dmt_out *o)
{
    struct walklog_walk *w = new_walk(l, (uint32_t)o->wt_req_order);

    if (!w)
        return;
    w->began = l->clock ? l->clock - 1 : 0; /* the walk trace port is registered */
    w->tag = (uint16_t)o->wt_req_tag;
    w->va = o->wt_req_va;
    w->access = (uint8_t)o->wt_req_access;
    w->cpl = (uint8_t)o->wt_req_cpl;
    w->ac = o->wt_req_ac;
    w->implicit = o->wt_req_implicit;
    w->nonspec = o->wt_req_nonspec;
}

static void see_end(struct walklog *l, const struct dmt_out *o)
{
    struct walklog_state *s = l->state;
    struct walklog_walk *w = open_walk(l, (uint32_t)o->wt_end_order);
    uint32_t at;

    if (!w)
        return;
    at = (uint32_t)(w - l->walk);
    w->ended = l->clock ? l->clock - 1 : 0;
    w->clocks = (uint32_t)o->wt_end_clocks;
    if (w->ended + 1 >= w->clocks)
        w->taken = w->ended + 1 - w->clocks;
    w->tag = (uint16_t)o->wt_end_tag;
    w->status = (uint8_t)o->wt_end_status;
    w->size = (uint8_t)o->wt_end_size;
    w->rights = (uint8_t)o->wt_end_rights;
    w->stage = (uint8_t)o->wt_end_stage;
    w->path = (uint8_t)o->wt_end_path;
    w->index = (uint32_t)o->wt_end_index;
    w->pkey = (uint8_t)o->wt_end_pkey;
    w->dirty = o->wt_end_dirty;
    w->ad_needed = o->wt_end_ad_needed;
    w->pa = o->wt_end_pa;
    w->addr = o->wt_end_addr;
    w->error = o->wt_end_error;
    for (unsigned i = 0; i < s->opens; i++) {
        if (s->open[i] == at) {
            memmove(s->open + i, s->open + i + 1, (s->opens - i - 1) * sizeof(*s->open));
            s->opens--;
            break;
        }
    }
    if (s->endeds < DEEP)
        s->ended[s->endeds++] = at;
}

static void see_answer(struct walklog *l, const struct dmt_out *o)
{
    struct walklog_state *s = l->state;
    unsigned n = 0;

    /* An answer that was in the queue before the log began is nobody's here. */
    while (n < s->endeds && l->walk[s->ended[n]].tag != o->resp_tag)
        n++;
    if (n == s->endeds)
        return;
    l->walk[s->ended[n]].answered = l->clock;
    memmove(s->ended, s->ended + n + 1, (s->endeds - n - 1) * sizeof(*s->ended));
    s->endeds -= n + 1;
}

/* ---------------------------------------------------------------- references */

/* IDs are {stage, context}, and a stage above 0 has one bit set above the context. */
static uint8_t context_of(unsigned id, unsigned stage)
{
    return (uint8_t)(stage && id ? id ^ 1u << (31 - __builtin_clz(id)) : id);
}

/* An answer that the walk trace port passes over: nobody waited for it, unless it was the loader's. */
static void add_surplus(struct walklog *l, const struct item *i)
{
    struct walklog_state *s = l->state;

    if (!i->known || i->load || !s->fetch[i->id].known)
        return;
    l->ref = grow(l, l->ref, l->refs, &s->ref_room, sizeof(*l->ref));
    if (l->failed)
        return;
    l->walk[s->fetch[i->id].walk].surplus++;
    l->ref[l->refs++] = (struct walklog_ref){.kind = WALKLOG_SURPLUS,
                                             .from = i->from,
                                             .to = i->at,
                                             .addr = i->addr,
                                             .data = i->data,
                                             .walk = s->fetch[i->id].walk,
                                             .context = s->fetch[i->id].context,
                                             .stage = s->fetch[i->id].stage,
                                             .lane = s->fetch[i->id].lane++,
                                             .resp = i->resp,
                                             .tea = true};
}

/* The answer that a pulse of the walk trace port is about: answers are used in the order in which they come. */
static struct item find_beat(struct walklog *l, struct queue *q, uint64_t addr)
{
    struct item found = {.from = l->state->start, .at = l->clock ? l->clock - 1 : 0, .addr = addr};
    struct item *i;

    while ((i = first(q))) {
        if (!i->known || i->addr == addr) {
            found = *i;
            drop(q);
            break;
        }
        add_surplus(l, i);
        drop(q);
    }
    return found;
}

static void add_ref(struct walklog *l, uint32_t order, enum walklog_kind kind, const struct item *beat,
                    struct walklog_ref ref)
{
    struct walklog_state *s = l->state;
    struct walklog_walk *w = open_walk(l, order);

    l->ref = grow(l, l->ref, l->refs, &s->ref_room, sizeof(*l->ref));
    if (!w || l->failed)
        return;
    ref.kind = kind;
    ref.walk = (uint32_t)(w - l->walk);
    ref.from = beat->from;
    ref.to = beat->at;
    ref.context = context_of(beat->id, ref.stage);
    w->context = ref.context;
    if (kind == WALKLOG_READ) {
        w->reads++;
        s->fetch[beat->id].known = true;
        s->fetch[beat->id].walk = ref.walk;
        s->fetch[beat->id].context = ref.context;
        s->fetch[beat->id].stage = ref.stage;
        s->fetch[beat->id].lane = 0;
    } else {
        w->writes++;
        w->updates += ref.resp == DMT_RESP_EXOKAY;
    }
    l->ref[l->refs++] = ref;
}

static void see_reference(struct walklog *l, const struct dmt_out *o)
{
    struct item beat = find_beat(l, &l->state->r, o->wt_ref_addr);

    add_ref(l, (uint32_t)o->wt_ref_order, WALKLOG_READ, &beat,
            (struct walklog_ref){.addr = o->wt_ref_addr,
                                 .data = o->wt_ref_data,
                                 .stage = (uint8_t)o->wt_ref_stage,
                                 .level = (uint8_t)o->wt_ref_level,
                                 .index = (uint8_t)o->wt_ref_index,
                                 .resp = (uint8_t)o->wt_ref_resp,
                                 .tea = o->wt_ref_tea,
                                 .lock = o->wt_ref_lock});
}

static void see_update(struct walklog *l, const struct dmt_out *o)
{
    struct item beat = find_beat(l, &l->state->b, o->wt_upd_addr);

    add_ref(l, (uint32_t)o->wt_upd_order, WALKLOG_WRITE, &beat,
            (struct walklog_ref){.addr = o->wt_upd_addr,
                                 .data = o->wt_upd_data,
                                 .stage = (uint8_t)o->wt_upd_stage,
                                 .resp = (uint8_t)o->wt_upd_resp,
                                 .lock = true});
}

/* Since when a channel shows what it shows. */
static uint64_t since(uint64_t clock, bool valid, bool ready, bool *waits, uint64_t *from)
{
    if (valid && !*waits)
        *from = clock;
    *waits = valid && !ready;
    return *from;
}

/* An answer: of the oldest address of its ID. */
static void answered(struct walklog *l, struct queue *addresses, struct queue *beats, unsigned id, uint64_t data,
                     uint8_t resp)
{
    struct item *a = first(&addresses[id]), *beat = push(beats);

    beat->from = a ? a->from : l->state->start;
    beat->addr = a ? a->addr : 0;
    beat->lock = a && a->lock;
    beat->load = a && a->load;
    beat->data = data;
    beat->known = a != NULL;
    beat->at = l->clock;
    beat->id = (uint8_t)id;
    beat->resp = resp;
    if (a)
        drop(&addresses[id]);
}

static void see_bus(struct walklog *l, const struct dmt_out *o, const struct dmt_in *in)
{
    struct walklog_state *s = l->state;
    uint64_t ar = since(l->clock, o->m_arvalid, in->m_arready, &s->ar_waits, &s->ar_since);
    uint64_t aw = since(l->clock, o->m_awvalid, in->m_awready, &s->aw_waits, &s->aw_since);

    /* The loader begins when no walk is left; what is read for one that has been answered has been offered since
     * before that without a pause. */
    s->ar_load = o->m_arvalid && (s->ar_valid ? s->ar_load : s->opens == 0);
    s->ar_valid = o->m_arvalid;
    /* Answers first: an answer in this clock is not that of an address taken in it. */
    if (in->m_rvalid && o->m_rready)
        answered(l, s->ar, &s->r, in->m_rid % DMT_PTE_IDS, in->m_rdata, (uint8_t)in->m_rresp);
    if (in->m_bvalid && o->m_bready)
        answered(l, s->aw, &s->b, in->m_bid % DMT_PTE_IDS, 0, (uint8_t)in->m_bresp);
    if (o->m_arvalid && in->m_arready) {
        struct item *i = push(&s->ar[o->m_arid % DMT_PTE_IDS]);

        i->from = ar;
        i->addr = o->m_araddr;
        i->lock = o->m_arlock;
        i->load = s->ar_load;
    }
    if (o->m_awvalid && in->m_awready) {
        struct item *i = push(&s->aw[o->m_awid % DMT_PTE_IDS]);

        i->from = aw;
        i->addr = o->m_awaddr;
    }
}

static void see_csr(struct walklog *l, const struct dmt_out *o, const struct dmt_in *in)
{
    struct walklog_state *s = l->state;
    uint64_t from = since(l->clock, in->s_awvalid, o->s_awready, &s->csr_aw_waits, &s->csr_aw_since);
    struct item *aw, *w;

    if (in->s_awvalid && o->s_awready) {
        struct item *i = push(&s->csr_aw);

        i->from = from;
        i->addr = in->s_awaddr;
    }
    if (in->s_wvalid && o->s_wready) {
        struct item *i = push(&s->csr_w);

        i->data = in->s_wdata;
    }
    aw = first(&s->csr_aw);
    w = first(&s->csr_w);
    if (aw && w) {
        l->csr = grow(l, l->csr, l->csrs, &s->csr_room, sizeof(*l->csr));
        if (!l->failed)
            l->csr[l->csrs++] = (struct walklog_csr){.from = aw->from,
                                                     .held = l->clock + 1,
                                                     .answered = WALKLOG_NEVER,
                                                     .data = w->data,
                                                     .addr = (uint16_t)aw->addr};
        drop(&s->csr_aw);
        drop(&s->csr_w);
    }
    /* One answer is shown at a time, of the oldest write; when that one is not held yet, of a write of before the first
     * clock. */
    if (o->s_bvalid && !s->csr_shown && s->csr_answered < l->csrs && l->csr[s->csr_answered].held < l->clock) {
        l->csr[s->csr_answered].answered = l->clock;
        l->csr[s->csr_answered++].resp = (uint8_t)o->s_bresp;
    }
    s->csr_shown = o->s_bvalid && !in->s_bready;
}

static void see_reset(struct walklog *l)
{
    struct walklog_state *s = l->state, kept = *s;

    for (unsigned i = 0; i < s->opens; i++) {
        l->walk[s->open[i]].ended = l->clock;
        l->walk[s->open[i]].reset = true;
    }
    memset(s, 0, sizeof(*s));
    s->start = l->clock;
    s->walk_room = kept.walk_room;
    s->ref_room = kept.ref_room;
    s->csr_room = kept.csr_room;
    s->csr_answered = l->csrs;
}

void walklog_clock(struct walklog *l, const struct dmt_out *out, const struct dmt_in *in, bool rst)
{
    if (rst) {
        see_reset(l);
        l->clock++;
        return;
    }
    /* The walk trace port tells of the clock before. */
    if (out->wt_req_valid)
        see_request(l, out);
    if (out->wt_ref_valid)
        see_reference(l, out);
    if (out->wt_upd_valid)
        see_update(l, out);
    if (out->wt_end_valid)
        see_end(l, out);
    if (out->resp_valid && in->resp_ready)
        see_answer(l, out);
    see_bus(l, out, in);
    see_csr(l, out, in);
    l->clock++;
}

/* ---------------------------------------------------------------- numbering */

/* Reads of one TEA fetch leave back to back: sizes fall, and no later one waits for the first answer. */
static bool is_parallel(const struct walklog_ref *before, const struct walklog_ref *r)
{
    return before->tea && r->tea && before->stage == r->stage && r->level < before->level &&
           r->from <= before->to;
}

/* Can a first pass read this next in its stage? Levels and TEA sizes fall, and a
 * fetch that does not count is followed by a walk; a stage below starts anew for
 * each location it translates. What cannot follow begins a second pass. */
static bool follows(const struct walklog_ref *before, const struct walklog_ref *r)
{
    return !before || (before->tea && !r->tea) || (before->tea == r->tea && r->level < before->level);
}

static bool same_place(const struct walklog_ref *a, const struct walklog_ref *b)
{
    return a->addr == b->addr && a->stage == b->stage && a->level == b->level && a->tea == b->tea;
}

/* A second pass is noticed at r[i]; so many reads before it belong to it, too: they
 * located that entry, as the walk's first ones did in the first pass. */
static size_t noticed_late(struct walklog_ref *const *r, size_t i)
{
    for (size_t n = i / 2; n > 0; n--) {
        size_t k = 0;

        while (k <= n && same_place(r[k], r[i - n + k]))
            k++;
        if (k > n)
            return n;
    }
    return 0;
}

/* The n reads and writes of a walk; those that are not exclusive come to stand first in r. */
static void number(struct walklog_walk *w, struct walklog_ref **r, size_t n)
{
    const struct walklog_ref *last[4] = {NULL};
    bool second = false;
    size_t plain = 0;
    uint32_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (!r[i]->lock && r[i]->kind == WALKLOG_READ)
            r[plain++] = r[i];
    }
    for (size_t i = 0; i < plain; i++) {
        bool parallel = i && is_parallel(r[i - 1], r[i]);
        unsigned stage = r[i]->stage & 3;

        r[i]->lane = parallel ? (uint8_t)(r[i - 1]->lane + 1) : 0;
        if (!second && !follows(last[stage], r[i])) {
            second = true;
            for (size_t k = noticed_late(r, i); k > 0; k--) {
                count -= !r[i - k]->lane;
                r[i - k]->number = 0;
            }
        }
        last[stage] = r[i];
        for (unsigned k = 0; k < stage; k++)
            last[k] = NULL;
        if (!second) {
            count += !parallel;
            r[i]->number = count;
        }
    }
    w->refs = count;
}

static int by_walk(const void *a, const void *b)
{
    const struct walklog_ref *x = *(struct walklog_ref *const *)a, *y = *(struct walklog_ref *const *)b;

    /* Same walk: they stay in the order of their answers. */
    return x->walk != y->walk ? (x->walk > y->walk) - (x->walk < y->walk) : (x > y) - (x < y);
}

void walklog_finish(struct walklog *l)
{
    struct walklog_ref **sorted;

    /* An answer taken in the last clock may be shown in the next. */
    for (struct item *i; (i = first(&l->state->r)) && i->at + 1 < l->clock; drop(&l->state->r))
        add_surplus(l, i);
    sorted = malloc((l->refs + 1) * sizeof(*sorted));
    if (!sorted) {
        l->failed = true;
        return;
    }
    for (size_t i = 0; i < l->refs; i++)
        sorted[i] = &l->ref[i];
    qsort(sorted, l->refs, sizeof(*sorted), by_walk);
    for (size_t i = 0, n; i < l->refs; i += n) {
        for (n = 1; i + n < l->refs && sorted[i + n]->walk == sorted[i]->walk; n++)
            ;
        number(&l->walk[sorted[i]->walk], sorted + i, n);
    }
    free(sorted);
}

/* ---------------------------------------------------------------- text */

const char *const walklog_statuses[16] = {
#define X(member, value) [value] = #member,
    DMT_STATUS_LIST(X)};
const char *const walklog_accesses[4] = {DMT_ACCESS_LIST(X)};
const char *const walklog_paths[4] = {DMT_PATH_LIST(X)};
const char *const walklog_sizes[4] = {DMT_SIZE_LIST(X)};
#undef X
const char *const walklog_resps[4] = {"OKAY", "EXOKAY", "SLVERR", "DECERR"};
const char *const walklog_levels[8] = {"-", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

static const char *or_unknown(const char *name)
{
    return name ? name : "?";
}

static void add(char *text, size_t n, const char *format, ...)
{
    size_t at = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + at, n - at, format, args);
    va_end(args);
}

void walklog_request(const struct walklog_walk *w, char *text, size_t n)
{
    *text = 0;
    add(text, n, "#%" PRIu32, w->order);
    if (w->began == WALKLOG_NEVER) {
        add(text, n, " began earlier");
        return;
    }
    add(text, n, " %s %" PRIx64 " cpl %u%s%s%s tag %u", or_unknown(walklog_accesses[w->access]), w->va,
        w->cpl, w->ac ? " ac" : "", w->implicit ? " implicit" : "", w->nonspec ? "" : " speculative", w->tag);
}

void walklog_outcome(const struct walklog_walk *w, char *text, size_t n)
{
    bool any = false;

    *text = 0;
    add(text, n, "#%" PRIu32 " ", w->order);
    if (w->reset) {
        add(text, n, "cut off by reset");
        return;
    }
    add(text, n, "%s", or_unknown(walklog_statuses[w->status & 15]));
    if (w->status == DMT_STATUS_OK)
        add(text, n, " %" PRIx64 " %s", w->pa, or_unknown(walklog_sizes[w->size & 3]));
    else if (w->status != DMT_STATUS_RETRY)
        add(text, n, " at %" PRIx64 " error %" PRIx64 " stage %u", w->addr, w->error, w->stage);
    if (w->ad_needed)
        add(text, n, " A/D needed");
    for (unsigned k = DMT_SETS_MAX; k-- > 0;) {
        unsigned path = w->path >> 2 * k & 3;

        if (path == DMT_PATH_NOT_USED)
            continue;
        add(text, n, "%s s%u %s", any ? "," : ":", k, or_unknown(walklog_paths[path]));
        if (path == DMT_PATH_TEA)
            add(text, n, "[%u]", w->index >> 6 * k & 63);
        any = true;
    }
    add(text, n, "; %" PRIu32 " reference%s", w->refs, w->refs == 1 ? "" : "s");
    if (w->surplus)
        add(text, n, ", %" PRIu32 " surplus", w->surplus);
    if (w->writes)
        add(text, n, ", %" PRIu32 " A/D write%s (%" PRIu32 " lost)", w->writes, w->writes == 1 ? "" : "s",
            w->writes - w->updates);
    add(text, n, ", %" PRIu32 " clock%s", w->clocks, w->clocks == 1 ? "" : "s");
}

void walklog_reference(const struct walklog_ref *r, char *text, size_t n)
{
    *text = 0;
    if (r->kind == WALKLOG_WRITE) {
        add(text, n, "A/D write s%u %s", r->stage,
            r->resp == DMT_RESP_EXOKAY ? "done"
            : r->resp == DMT_RESP_OKAY ? "LOST"
                                       : walklog_resps[r->resp & 3]);
        return;
    }
    if (r->kind == WALKLOG_SURPLUS) {
        add(text, n, "surplus s%u%s%s", r->stage, r->resp >= DMT_RESP_SLVERR ? " " : "",
            r->resp >= DMT_RESP_SLVERR ? walklog_resps[r->resp & 3] : "");
        return;
    }
    if (r->number)
        add(text, n, "%" PRIu32 ": ", r->number);
    else
        add(text, n, "A/D %s", r->lock ? "read " : "pass ");
    if (r->tea)
        add(text, n, "s%u TEA[%u] %s", r->stage, r->index,
            r->level ? or_unknown(walklog_sizes[(r->level - 1) & 3]) : "?");
    else
        add(text, n, "s%u %s", r->stage, or_unknown(walklog_levels[r->level & 7]));
    if (r->resp >= DMT_RESP_SLVERR || (r->lock && r->resp == DMT_RESP_OKAY))
        add(text, n, " %s", walklog_resps[r->resp & 3]);
}

static const char *level_register(unsigned offset)
{
    switch (offset) {
#define X(name, at)                                                                                          \
    case at:                                                                                                 \
        return #name;
        DMT_LEVEL_REG_LIST(X)
    default:
        return NULL;
    }
}

static const char *host_register(unsigned offset)
{
    switch (offset) {
        DMT_HOST_REG_LIST(X)
#undef X
    default:
        return NULL;
    }
}

void walklog_register(unsigned addr, char *text, size_t n)
{
    unsigned k = addr / (DMT_LEVEL_BASE(1) - DMT_LEVEL_BASE(0)), offset = addr & 0xfff;
    const char *name = addr >= DMT_HOST_BASE ? host_register(addr - DMT_HOST_BASE) : level_register(offset);

    if (name && addr >= DMT_HOST_BASE)
        snprintf(text, n, "HOST.%s", name);
    else if (name)
        snprintf(text, n, "LEVEL[%u].%s", k, name);
    else if (addr < DMT_HOST_BASE && offset < DMT_LEVEL_TEA_STRIDE * DMT_TEA_MAX && offset % 8 == 0)
        snprintf(text, n, "LEVEL[%u].TEA[%u].WORD%u", k, offset / DMT_LEVEL_TEA_STRIDE,
                 offset % DMT_LEVEL_TEA_STRIDE / 8);
    else
        snprintf(text, n, "0x%04x", addr);
}
