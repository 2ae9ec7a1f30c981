/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/judge.h"
#include "dmt/regs.h"
#include "tb/cover.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bits that every format of table has in the same place, decoded here once
 * more so that the checks do not rest on the decoder that is being judged. */
#define E_PS (1ull << 7)
#define E_FRAME 0x000ffffffffff000ull


struct judge *judge_new(void)
{
    struct judge *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->walk = calloc(JUDGE_WALKS, sizeof(*j->walk));
    if (!j->walk) {
        free(j);
        return NULL;
    }
    return j;
}

void judge_free(struct judge *j)
{
    if (!j)
        return;
    shadow_free(&j->shadow);
    for (unsigned i = 0; i < JUDGE_WALKS; i++) {
        free(j->walk[i].event);
        free(j->walk[i].start);
    }
    free(j->walk);
    free(j);
}

bool judge_reset(struct judge *j, const struct dmt_config *config, struct cosim_stats *stats)
{
    struct judge keep = { .walk = j->walk, .source = j->source, .stats = stats };

    if (!shadow_reset(&j->shadow, config))
        return false;
    keep.shadow = j->shadow;
    *j = keep;
    memset(j->map, 0xff, sizeof(j->map));
    memset(j->owner, 0xff, sizeof(j->owner));
    j->ctx_w = dmt_config_ctx_width(config);
    for (unsigned i = 0; i < JUDGE_WALKS; i++) {
        j->spare[i] = (int16_t)i;
        j->walk[i].busy = false;
    }
    j->spare_n = JUDGE_WALKS;
    return true;
}

__attribute__((format(printf, 5, 6))) static bool fail(struct judge *j, const char *signal, uint64_t expected,
                                                       uint64_t got, const char *format, ...)
{
    va_list args;

    snprintf(j->signal, sizeof(j->signal), "%s", signal);
    j->expected = expected;
    j->got = got;
    va_start(args, format);
    vsnprintf(j->text, sizeof(j->text), format, args);
    va_end(args);
    return false;
}

/* ------------------------------------------------------------ walks by order number */

static unsigned map_slot(uint32_t order)
{
    return order % (2 * JUDGE_WALKS);
}

static int find(const struct judge *j, uint32_t order)
{
    for (unsigned i = map_slot(order); j->map[i] >= 0; i = (i + 1) % (2 * JUDGE_WALKS)) {
        if (j->walk[j->map[i]].order == order)
            return j->map[i];
    }
    return -1;
}

const struct judge_walk *judge_find(const struct judge *j, uint32_t order)
{
    int slot = find(j, order);

    return slot < 0 ? NULL : &j->walk[slot];
}

/* IDs are {stage, context} (microarchitecture 1). */
static unsigned ctx_of(const struct judge *j, unsigned id)
{
    return id & ((1u << j->ctx_w) - 1);
}

static unsigned stage_of(const struct judge *j, unsigned id)
{
    return id >> j->ctx_w;
}

static unsigned id_of(const struct judge *j, unsigned stage, unsigned ctx)
{
    return stage << j->ctx_w | ctx;
}

const struct judge_walk *judge_owner(const struct judge *j, unsigned id)
{
    unsigned ctx = ctx_of(j, id);

    return id < DMT_PTE_IDS && j->owner[ctx] >= 0 ? &j->walk[j->owner[ctx]] : NULL;
}

static void insert(struct judge *j, int slot)
{
    unsigned i = map_slot(j->walk[slot].order);

    while (j->map[i] >= 0)
        i = (i + 1) % (2 * JUDGE_WALKS);
    j->map[i] = (int16_t)slot;
}

/* Remove, moving back what linear probing had pushed behind it. */
static void erase(struct judge *j, int slot)
{
    const unsigned size = 2 * JUDGE_WALKS;
    unsigned hole = map_slot(j->walk[slot].order);

    while (j->map[hole] != slot)
        hole = (hole + 1) % size;
    for (unsigned i = (hole + 1) % size; j->map[i] >= 0; i = (i + 1) % size) {
        unsigned home = map_slot(j->walk[j->map[i]].order);

        if ((i + size - home) % size >= (i + size - hole) % size) {
            j->map[hole] = j->map[i];
            hole = i;
        }
    }
    j->map[hole] = -1;
    j->walk[slot].busy = false;
    j->spare[j->spare_n++] = (int16_t)slot;
}

/* ------------------------------------------------------------ isolation
 * From the bus and the registers alone, not from the model. */

/* Is it an entry that the host wrote: of stage 0, or of the shadow table? */
static bool of_host(const struct dmt_state *state, const struct judge_event *e)
{
    return e->stage == 0 || (e->stage == 1 && !e->tea && state->mode == DMT_MODE_NESTED && !state->full);
}

/* Has an entry that the host wrote, among the first n that this walk has read, named this frame? */
static bool named_by_host(const struct judge *j, const struct judge_walk *w, unsigned n, uint64_t frame)
{
    while (n--) {
        const struct judge_event *e = &w->event[n];
        uint64_t mask = E_FRAME;

        if (e->write || e->resp >= DMT_RESP_SLVERR || !of_host(&j->shadow.state, e))
            continue;
        if (e->level == 1 || (e->level <= 3 && (e->data & E_PS)))
            mask = E_FRAME << 9 * (e->level - 1) & E_FRAME;
        if (((e->data ^ frame) & mask) == 0)
            return true;
    }
    return false;
}

/* May a fetch of register t of this stage read here? In the range of a
 * register of set 0, or inside the gTEA that a register has resolved. */
static bool tea_granted(const struct dmt_tea *t, const struct judge_event *e)
{
    if (!t->valid)
        return false;
    if (t->kind == DMT_KIND_GTEA)
        return t->resolution == DMT_RESOLUTION_OK && e->addr >> 12 >= t->gtea_base &&
               (e->addr >> 12) - t->gtea_base < t->gtea_pages;
    return e->addr >= t->base_pfn << 12 &&
           (e->addr - (t->base_pfn << 12)) / 8 <= (t->pages - 1) >> 9 * t->sz;
}

/* May the walk have made its last read? Of a TEA as its register says, when
 * it lies in host memory; else at a root of the host's, where an entry of the
 * host's led in this walk, in a table cached when the walk came here, and in
 * an exclusive read where it has read before. */
static bool granted(const struct judge *j, const struct judge_walk *w)
{
    const struct dmt_state *state = &j->shadow.state;
    const struct judge_event *e = &w->event[w->n - 1];
    const struct dmt_tea *t = &state->tea[e->stage][e->index];
    uint64_t frame = e->addr & E_FRAME;

    if (e->tea && (!e->stage || t->kind == DMT_KIND_GTEA))
        return tea_granted(t, e);
    if (!e->tea && of_host(state, e) &&
        frame == (e->stage                         ? state->shadow.root
                  : state->mode == DMT_MODE_NATIVE ? state->level[0].cr3 & E_FRAME
                                                   : state->s2[0].root))
        return true;
    for (unsigned i = 0; i < w->n - 1 && e->lock; i++) {
        if (!w->event[i].write && w->event[i].addr == e->addr)
            return true;
    }
    for (unsigned i = 0; i < w->matches[1] && !e->tea && e->level <= 3; i++) {
        const struct judge_match *m = &w->match[1][i];

        for (unsigned k = 0; k < m->n[e->level - 1]; k++) {
            if (m->stage == e->stage && m->version[e->level - 1][k].table == frame)
                return true;
        }
    }
    return named_by_host(j, w, w->n - 1, frame);
}

/* ------------------------------------------------------------ replay through the architectural model */

struct replay {
    struct judge *j;
    struct judge_walk *walk;
    unsigned at;     /* next event */
    unsigned starts; /* met so far */
    bool so_far;     /* the walk has not ended: stop after its last event */
    bool also;       /* replayed before with other rights: what is looked for is known */
    uint64_t surplus[2]; /* addresses of the fetch that the last event met has decided, */
    unsigned surplus_n;  /* and how many */
    bool wrong, memory; /* something differs; out of memory */
    char text[120];
    uint64_t expected, got;
    const char *signal;
};

static void differ(struct replay *r, const char *signal, uint64_t expected, uint64_t got, const char *text)
{
    if (r->wrong)
        return;
    r->wrong = true;
    r->signal = signal;
    r->expected = expected;
    r->got = got;
    snprintf(r->text, sizeof(r->text), "%s (event %u of the walk)", text, r->at);
}

static const struct judge_event *pop(struct replay *r, const struct dmt_ref *ref, bool write)
{
    const struct judge_event *e;

    if (r->wrong || (r->so_far && r->at >= r->walk->n))
        return NULL;
    if (r->at >= r->walk->n) {
        differ(r, write ? "wt_upd_addr" : "wt_ref_addr", ref->addr, 0,
               write ? "an A/D write is missing" : "a read is missing");
        return NULL;
    }
    e = &r->walk->event[r->at];
    if (e->write != write) {
        differ(r, write ? "wt_upd_addr" : "wt_ref_addr", ref->addr, e->addr,
               write ? "a read where an A/D write is due" : "an A/D write where a read is due");
        return NULL;
    }
    if (e->addr != ref->addr)
        differ(r, write ? "wt_upd_addr" : "wt_ref_addr", ref->addr, e->addr, "wrong address");
    else if (e->stage != ref->stage)
        differ(r, write ? "wt_upd_stage" : "wt_ref_stage", ref->stage, e->stage, "wrong stage");
    else if (!write && e->level != ref->level)
        differ(r, "wt_ref_level", ref->level, e->level, "wrong level");
    else if (!write && e->tea != ref->tea)
        differ(r, "wt_ref_tea", ref->tea, e->tea, "TEA fetch or x86 read");
    else if (!write && e->index != ref->index)
        differ(r, "wt_ref_index", ref->index, e->index, "wrong TEA register");
    else if (!write && e->lock != ref->exclusive)
        differ(r, "wt_ref_lock", ref->exclusive, e->lock, "wrong exclusivity");
    r->at++;
    r->surplus_n = 0;
    return r->wrong ? NULL : e;
}

static enum dmt_resp replay_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    const struct judge_event *e = pop(user, ref, false);

    *data = e ? e->data : 0;
    return e ? e->resp : DMT_RESP_STOP;
}

static enum dmt_resp replay_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct replay *r = user;
    const struct judge_event *e = pop(r, ref, true);

    if (e && e->data != data)
        differ(r, "wt_upd_data", data, e->data, "wrong A/D write");
    return e && !r->wrong ? e->resp : DMT_RESP_STOP;
}

/* The array of n structures, grown when there is no room for one more; NULL: out of memory, and the array
 * is as it was. */
static void *grow(void *array, unsigned *room, unsigned n, size_t size)
{
    unsigned more = *room ? 2 * *room : 64;
    void *bigger;

    if (n < *room)
        return array;
    bigger = realloc(array, more * size);
    if (bigger)
        *room = more;
    return bigger;
}

/* What caches held at the time of the match and, where that may have been later, have got since. */
static void ask_caches(const struct judge *j, struct judge_match *m)
{
    for (unsigned level = 1; level <= 3; level++)
        m->n[level - 1] =
            (uint8_t)shadow_cached(&j->shadow, m->stage, m->va, level + 1, m->at, m->version[level - 1]);
}

/* What caches hold, while it does not show yet where the walk begins. */
static void note_match(struct replay *r, uint8_t stage, uint64_t va)
{
    struct judge_walk *w = r->walk;
    struct judge_match *m = &w->match[1][w->matches[1]];

    if (w->matches[1] == JUDGE_MATCHES)
        return;
    w->matches[1]++;
    m->va = va;
    m->stage = stage;
    m->at = r->j->now;
    ask_caches(r->j, m);
}

/* Whether the walk began at a cached table shows in the next read: of this
 * stage, where one from the root would first be of a stage below or of the
 * topmost level. */
static bool find_start(struct replay *r, uint8_t stage, uint64_t va, struct judge_start *s)
{
    const struct judge_event *e = &r->walk->event[r->at];
    const struct judge_match *m = NULL;
    bool found = false;

    *s = (struct judge_start){ .stage = stage };
    if (e->write || e->tea || e->stage != stage || e->level < 1 || e->level > 3)
        return true;
    for (unsigned i = 0; i < r->walk->matches[0]; i++) {
        if (r->walk->match[0][i].stage == stage && r->walk->match[0][i].va == va)
            m = &r->walk->match[0][i];
    }
    s->level = e->level;
    s->table = e->addr & E_FRAME;
    for (unsigned i = 0; m && i < m->n[s->level - 1]; i++) {
        const struct fact_version *v = &m->version[s->level - 1][i];

        if (v->table != s->table)
            continue;
        s->rights = found ? s->rights : v->rights;
        s->may |= (uint16_t)(1u << v->rights);
        found = true;
    }
    return found;
}

static bool replay_start(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table,
                         uint8_t *rights)
{
    struct replay *r = user;
    struct judge_walk *w = r->walk;
    const struct judge_start *s;

    if (r->wrong)
        return false;
    if (r->starts == w->starts) {
        struct judge_start start, *all;

        if (r->at >= w->n) {
            if (r->so_far && !r->also)
                note_match(r, stage, va);
            return false;
        }
        if (!find_start(r, stage, va, &start)) {
            differ(r, "wt_ref_level", 0, w->event[r->at].level,
                   "the walk starts below the root where no cached entry may send it");
            return false;
        }
        all = grow(w->start, &w->start_room, w->starts, sizeof(*all));
        if (!all) {
            r->memory = true;
            return false;
        }
        w->start = all;
        w->start[w->starts++] = start;
    }
    s = &w->start[r->starts++];
    *level = s->level;
    *table = s->table;
    *rights = s->rights;
    return s->level != 0;
}

/* The walk so far was replayed before, and what it filled is known: but for the last event. */
static void replay_fill(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights)
{
    struct replay *r = user;

    if (r->wrong || !r->so_far || r->at != r->walk->n)
        return;
    if (!named_by_host(r->j, r->walk, r->at, table & E_FRAME))
        differ(r, "m_araddr", 0, table, "a table to be cached lies in memory that the host has not granted");
    else if (!shadow_fill(&r->j->shadow, stage, va, level, table & E_FRAME, rights, r->j->now))
        r->memory = true;
}

static void replay_surplus(void *user, const struct dmt_ref *ref)
{
    struct replay *r = user;

    r->surplus[r->surplus_n++] = ref->addr;
}

static void translate(struct replay *r, struct dmt_result *result)
{
    struct dmt_port port = { .user = r, .read = replay_read, .write = replay_write, .start = replay_start,
                             .fill = replay_fill, .surplus = replay_surplus };

    dmt_arch_translate(&r->j->shadow.state, &r->walk->request, &port, result);
}

/* Pins of an answer, from a result; used for wt_end and for the response. */
#define ANSWER_FIELDS(F) \
    F(status) F(pa) F(size) F(rights) F(global) F(pkey) F(memtype) F(dirty) \
    F(ad_needed) F(error) F(addr) F(stage)

static void compare_end(struct replay *r, const struct dmt_result *want, const struct dmt_out *out)
{
    uint64_t path = 0, index = 0;

#define F(name) \
    if (!r->wrong && out->wt_end_##name != (uint64_t)want->name) \
        differ(r, "wt_end_" #name, (uint64_t)want->name, out->wt_end_##name, \
               "not what the architectural model says");
    ANSWER_FIELDS(F)
#undef F
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        path |= (uint64_t)want->path[k] << 2 * k;
        index |= (uint64_t)want->index[k] << 6 * k;
    }
    if (out->wt_end_path != path)
        differ(r, "wt_end_path", path, out->wt_end_path, "not what the architectural model says");
    if (out->wt_end_index != index)
        differ(r, "wt_end_index", index, out->wt_end_index, "not what the architectural model says");
}

/* Is all that the walk did what the model does? out: the answer, NULL when there is none yet. */
static bool fits(struct replay *r, const struct dmt_result *want, const struct dmt_out *out)
{
    if (out)
        compare_end(r, want, out);
    if (r->at < r->walk->n)
        differ(r, r->walk->event[r->at].write ? "wt_upd_addr" : "wt_ref_addr", 0, r->walk->event[r->at].addr,
               "more reads or writes than the architectural model makes");
    return !r->wrong;
}

/* ------------------------------------------------------------ surplus reads */

/* What the last event of the walk has made surplus is on its way. */
static bool note_surplus(struct judge *j, const struct judge_walk *w, const struct replay *r)
{
    unsigned id = id_of(j, w->event[w->n - 1].stage, (unsigned)w->ctx), stages = 0;

    if (!r->surplus_n)
        return true;
    if (j->surplus[id].n)
        return fail(j, "m_rid", 0, id, "a read was answered before the surplus ones of its ID");
    memcpy(j->surplus[id].addr, r->surplus, sizeof(r->surplus));
    j->surplus[id].n = (uint8_t)r->surplus_n;
    j->surplus_out += r->surplus_n;
    for (unsigned k = 0; k < j->shadow.config.sets; k++)
        stages += j->surplus[id_of(j, k, (unsigned)w->ctx)].n != 0;
    j->stats->cover[COVER_SURPLUS]++;
    j->stats->cover[COVER_SURPLUS_STAGES] += stages > 1;
    return true;
}

/* Surplus reads of a context that have not been answered. */
static unsigned surplus_of(const struct judge *j, unsigned ctx)
{
    unsigned n = 0;

    for (unsigned k = 0; k < j->shadow.config.sets; k++)
        n += j->surplus[id_of(j, k, ctx)].n;
    return n;
}

/* R beats that were taken and are not known to be anything, of an ID. */
static unsigned beats_of(const struct judge *j, unsigned id)
{
    unsigned n = 0;

    for (unsigned i = 0; i < j->beats; i++)
        n += j->beat[i].id == id;
    return n;
}

/* The oldest beat leaves. */
static void drop_beat(struct judge *j)
{
    j->beats--;
    memmove(&j->beat[0], &j->beat[1], j->beats * sizeof(j->beat[0]));
}

/* Beats that are surplus are steps that the trace port does not show. */
static bool drop_surplus(struct judge *j)
{
    while (j->beats && j->surplus[j->beat[0].id].n) {
        unsigned id = j->beat[0].id;

        if (j->beat[0].addr != j->surplus[id].addr[0] || j->beat[0].lock)
            return fail(j, "m_araddr", j->surplus[id].addr[0], j->beat[0].addr,
                        "not the next smaller size of the fetch that was decided");
        j->surplus[id].addr[0] = j->surplus[id].addr[1];
        j->surplus[id].n--;
        j->surplus_out--;
        j->caused[CNT_READ]++;
        j->stats->reads++;
        j->stats->surplus++;
        j->stats->cover[COVER_SURPLUS_LATE] += j->owner[ctx_of(j, id)] < 0;
        j->step_unsure = j->shadow.config.pipe;
        drop_beat(j);
    }
    return true;
}

/* May one of the starts have had other rights? */
static bool uncertain(const struct judge_walk *w)
{
    for (unsigned i = 0; i < w->starts; i++) {
        if (w->start[i].may & (w->start[i].may - 1))
            return true;
    }
    return false;
}

/* Replay the walk, with the rights as noted or, when that does not fit, with others that one of the starts may have
 * had; those that fit stay. out: the answer, NULL when the walk has not ended. False: *r is the first try. */
static bool replay(struct judge *j, struct judge_walk *w, const struct dmt_out *out, struct replay *r,
                   struct dmt_result *result)
{
    struct replay first = { .j = j, .walk = w, .so_far = !out };
    bool good;

    *r = first;
    translate(r, result);
    good = fits(r, result, out);
    first = *r;
    for (unsigned i = 0; i < w->starts && !good; i++) {
        struct judge_start *s = &w->start[i];
        uint8_t noted = s->rights;

        for (unsigned rights = 0; rights < 16 && !good && (s->may & (s->may - 1)); rights++) {
            if (rights == noted || !(s->may >> rights & 1))
                continue;
            s->rights = (uint8_t)rights;
            *r = (struct replay){ .j = j, .walk = w, .so_far = !out };
            translate(r, result);
            good = fits(r, result, out);
        }
        s->rights = good ? s->rights : noted;
    }
    if (!good)
        *r = first;
    return good;
}

/* The walk may as well have begun with other rights; what it fills has these, then. */
static bool fill_also(struct judge *j, struct judge_walk *w)
{
    bool memory = false;

    for (unsigned i = 0; i < w->starts; i++) {
        struct judge_start *s = &w->start[i];
        uint8_t noted = s->rights;

        for (unsigned rights = 0; rights < 16 && (s->may & (s->may - 1)); rights++) {
            struct replay r = { .j = j, .walk = w, .so_far = true, .also = true };
            struct dmt_result result;

            if (rights == noted || !(s->may >> rights & 1))
                continue;
            s->rights = (uint8_t)rights;
            translate(&r, &result);
            memory = memory || r.memory;
        }
        s->rights = noted;
    }
    return !memory;
}

/* After each event, so that what the walk fills and finds in caches is known in order of time. */
static bool replay_so_far(struct judge *j, struct judge_walk *w)
{
    struct dmt_result result;
    struct replay r;
    bool good;

    if (j->shadow.state.mode == DMT_MODE_OFF)
        return true;
    good = replay(j, w, NULL, &r, &result);
    if (r.memory)
        return fail(j, "", 0, 0, "out of memory");
    if (!good)
        return uncertain(w) || fail(j, r.signal, r.expected, r.got, "%s", r.text);
    if (!fill_also(j, w))
        return fail(j, "", 0, 0, "out of memory");
    return !w->n || w->read_at != j->now || note_surplus(j, w, &r);
}

static bool replay_walk(struct judge *j, struct judge_walk *w, const struct dmt_out *out,
                        struct dmt_result *result)
{
    struct replay r;

    if (!replay(j, w, out, &r, result))
        return fail(j, r.signal, r.expected, r.got, "%s", r.text);
    if (w->n && w->read_at == j->now && !note_surplus(j, w, &r))
        return false;
    cover_walk(j->stats->cover, &j->shadow.state, w, result);
    return true;
}

/* ------------------------------------------------------------ trace port */

/* Something happened to the walk. When its answer comes in the same clock that is replayed whole. */
static bool step(struct judge *j, struct judge_walk *w, const struct dmt_out *out)
{
    memcpy(w->match[0], w->match[1], w->matches[1] * sizeof(w->match[0][0]));
    w->matches[0] = w->matches[1];
    w->matches[1] = 0;
    return (out->wt_end_valid && out->wt_end_order == w->order) || replay_so_far(j, w);
}

static bool trace_request(struct judge *j, const struct dmt_out *out)
{
    int slot = find(j, (uint32_t)out->wt_req_order);
    struct judge_walk *w;

    j->order = (uint32_t)out->wt_req_order;
    if (slot < 0 || j->walk[slot].left || out->wt_req_order != j->front_order)
        return fail(j, "wt_req_order", j->front_order, out->wt_req_order,
                    "not the next request taken from the port");
    w = &j->walk[slot];
    w->left = true;
    j->front_order++;
    j->caused[CNT_REQUEST]++;
    if (out->wt_req_tag != w->tag)
        return fail(j, "wt_req_tag", w->tag, out->wt_req_tag, "not the request taken from the port");
#define F(name) \
    if (out->wt_req_##name != w->request.name) \
        return fail(j, "wt_req_" #name, w->request.name, out->wt_req_##name, \
                    "not the request taken from the port");
    F(va) F(access) F(cpl) F(ac) F(implicit) F(nonspec)
#undef F
    return step(j, w, out);
}

static struct judge_walk *event_walk(struct judge *j, uint64_t order, const char *signal)
{
    int slot = find(j, (uint32_t)order);
    struct judge_event *event;
    struct judge_walk *w;

    j->order = (uint32_t)order;
    if (slot < 0 || !j->walk[slot].left) {
        fail(j, signal, 0, order, "no such walk is in flight");
        return NULL;
    }
    w = &j->walk[slot];
    if (w->n == JUDGE_EVENTS) {
        fail(j, signal, JUDGE_EVENTS, JUDGE_EVENTS + 1, "the walk does not come to an end");
        return NULL;
    }
    event = grow(w->event, &w->room, w->n, sizeof(*event));
    if (!event) {
        fail(j, "", 0, 0, "out of memory");
        return NULL;
    }
    w->event = event;
    return w;
}

static bool trace_ref(struct judge *j, const struct dmt_out *out)
{
    struct judge_walk *w;
    struct judge_event *e;
    unsigned ctx, stage;

    j->order = (uint32_t)out->wt_ref_order;
    if (j->beats == 0)
        return fail(j, "wt_ref_valid", 0, 1, "no R beat was taken before");
    if (out->wt_ref_addr != j->beat[0].addr)
        return fail(j, "wt_ref_addr", j->beat[0].addr, out->wt_ref_addr, "not the address read on the bus");
    if (out->wt_ref_data != j->beat[0].data)
        return fail(j, "wt_ref_data", j->beat[0].data, out->wt_ref_data, "not the beat on the bus");
    if (out->wt_ref_resp != j->beat[0].resp)
        return fail(j, "wt_ref_resp", j->beat[0].resp, out->wt_ref_resp, "not the beat on the bus");
    if (out->wt_ref_lock != j->beat[0].lock)
        return fail(j, "wt_ref_lock", j->beat[0].lock, out->wt_ref_lock, "not the read on the bus");
    w = event_walk(j, out->wt_ref_order, "wt_ref_order");
    if (!w)
        return false;
    for (unsigned i = 0; i < w->matches[1] && j->shadow.config.pipe; i++) /* caches are asked later */
        ask_caches(j, &w->match[1][i]);
    ctx = ctx_of(j, j->beat[0].id);
    stage = stage_of(j, j->beat[0].id);
    if (w->ctx < 0 && j->owner[ctx] < 0) {
        if (surplus_of(j, ctx))
            return fail(j, "m_rid", 0, j->beat[0].id, "a context is used while surplus reads of it are on their way");
        w->ctx = (int16_t)ctx;
        j->owner[ctx] = (int16_t)(w - j->walk);
    }
    if (w->ctx != (int)ctx)
        return fail(j, "m_rid", w->ctx < 0 ? ctx : (uint64_t)w->ctx, ctx, "a walk uses the context of another");
    if (stage != out->wt_ref_stage)
        return fail(j, "m_rid", id_of(j, (unsigned)out->wt_ref_stage, ctx), j->beat[0].id,
                    "the ID does not name the stage of the entry");
    drop_beat(j);
    w->read_at = j->now;
    e = &w->event[w->n++];
    *e = (struct judge_event){ .addr = out->wt_ref_addr,
                               .data = out->wt_ref_data,
                               .resp = (uint8_t)out->wt_ref_resp,
                               .stage = (uint8_t)out->wt_ref_stage,
                               .level = (uint8_t)out->wt_ref_level,
                               .tea = (uint8_t)out->wt_ref_tea,
                               .index = (uint8_t)out->wt_ref_index,
                               .lock = (uint8_t)out->wt_ref_lock };
    j->caused[CNT_READ]++;
    j->stats->reads++;
    if (e->stage >= j->shadow.config.sets || e->level < 1 || e->level > (e->tea ? 3 : 5))
        return fail(j, "wt_ref_level", 0, e->level, "no such entry of stage %u", e->stage);
    if (!granted(j, w))
        return fail(j, "m_araddr", 0, e->addr, "a read of memory that was not granted to the walk");
    return step(j, w, out);
}

static bool trace_update(struct judge *j, const struct dmt_out *out)
{
    struct judge_walk *w = event_walk(j, out->wt_upd_order, "wt_upd_order");
    struct judge_event *e;

    if (!w)
        return false;
    if (!j->done_n)
        return fail(j, "wt_upd_valid", 0, 1, "no B beat is left to be used");
    if (w->ctx < 0 || j->done[j->done_head].id != id_of(j, (unsigned)out->wt_upd_stage, (unsigned)w->ctx))
        return fail(j, "wt_upd_order", w->ctx < 0 ? 0 : (uint64_t)w->ctx, j->done[j->done_head].id,
                    "the write answer belongs to another walk or stage");
    if (j->done[j->done_head].addr != out->wt_upd_addr)
        return fail(j, "wt_upd_addr", j->done[j->done_head].addr, out->wt_upd_addr,
                    "not the write on the bus");
    if (j->done[j->done_head].data != out->wt_upd_data)
        return fail(j, "wt_upd_data", j->done[j->done_head].data, out->wt_upd_data,
                    "not the write on the bus");
    if (j->done[j->done_head].resp != out->wt_upd_resp)
        return fail(j, "wt_upd_resp", j->done[j->done_head].resp, out->wt_upd_resp,
                    "not the answer on the bus");
    j->done_head = (j->done_head + 1) % DMT_PTE_IDS;
    j->done_n--;
    e = &w->event[w->n++];
    *e = (struct judge_event){ .write = 1,
                               .addr = out->wt_upd_addr,
                               .data = out->wt_upd_data,
                               .resp = (uint8_t)out->wt_upd_resp,
                               .stage = (uint8_t)out->wt_upd_stage };
    if (e->resp == DMT_RESP_EXOKAY) {
        j->caused[CNT_UPDATE]++;
        j->stats->updates++;
    } else if (e->resp == DMT_RESP_OKAY) {
        j->caused[CNT_LOST]++;
        j->stats->lost++;
    }
    return step(j, w, out);
}

/* The path of a walk as counters and statistics see it: the worst of its stages. */
static unsigned whole_path(const struct dmt_result *r)
{
    unsigned path = 0;

    for (unsigned k = 0; k < DMT_SETS_MAX; k++)
        path = r->path[k] > path ? r->path[k] : path;
    return path;
}

static void count_end(struct judge *j, const struct judge_walk *w, const struct dmt_result *r,
                      uint64_t clocks)
{
    struct cosim_stats *s = j->stats;
    unsigned path = whole_path(r);

    s->walks++;
    s->status[r->status & 15]++;
    s->path[path]++;
    s->path_refs[path] += r->refs;
    s->path_clocks[path] += clocks;
    for (unsigned i = 0; i < w->n; i++)
        s->path_reads[path] += !w->event[i].write;
    for (unsigned i = 0; i < w->starts; i++)
        s->skipped += w->start[i].level != 0;
    shadow_count_end(j->caused, r);
}

static bool trace_end(struct judge *j, const struct dmt_out *out)
{
    int slot = find(j, (uint32_t)out->wt_end_order);
    struct judge_walk *w;
    struct dmt_result result;
    uint32_t clocks;

    j->order = (uint32_t)out->wt_end_order;
    if (slot < 0 || !j->walk[slot].left)
        return fail(j, "wt_end_order", 0, out->wt_end_order, "no such walk is in flight");
    w = &j->walk[slot];
    if (out->wt_end_tag != w->tag)
        return fail(j, "wt_end_tag", w->tag, out->wt_end_tag, "not the tag of the request");
    clocks = (uint32_t)(j->now - w->accepted);
    if (out->wt_end_clocks != clocks)
        return fail(j, "wt_end_clocks", clocks, out->wt_end_clocks,
                    "not the clocks since the request was taken");
    if (!replay_walk(j, w, out, &result))
        return false;
    if (w->ctx >= 0) {
        for (unsigned k = 0; k < j->shadow.config.sets; k++) {
            unsigned id = id_of(j, k, (unsigned)w->ctx);

            if (j->read_n[id] + beats_of(j, id) > j->surplus[id].n)
                return fail(j, "m_arid", j->surplus[id].n, j->read_n[id] + beats_of(j, id),
                            "reads that are not surplus are outstanding after the answer, ID %u", id);
        }
        j->owner[w->ctx] = -1;
    }
    if (j->answer_n == 3)
        return fail(j, "wt_end_valid", 0, 1, "more answers wait than the response queue holds");
    j->answer[(j->answer_head + j->answer_n) % 4].tag = w->tag;
    j->answer[(j->answer_head + j->answer_n) % 4].result = result;
    j->answer_n++;
    count_end(j, w, &result, clocks);
    if (j->source && j->source->answer) {
        result.reads = 0;
        for (unsigned i = 0; i < w->n; i++)
            result.reads += !w->event[i].write;
        j->source->answer(j->source->user, j->taken - (uint32_t)((uint32_t)j->taken - w->order), &w->request,
                          &result, clocks);
    }
    erase(j, slot);
    return true;
}

/* ------------------------------------------------------------ CSR bus */

static bool csr_executed(struct judge *j)
{
    unsigned addr = j->csr_aw[0].addr, strb = j->csr_w[0].strb;
    uint64_t refused = j->shadow.refused;

    if (!j->csr_aw_n || !j->csr_w_n)
        return fail(j, "s_bvalid", 0, 1, "no write is waiting for an answer");
    if (shadow_drains(&j->shadow, addr, strb) && j->taken != j->answered)
        return fail(j, "s_bvalid", 0, 1,
                    "write of offset 0x%x took effect with %" PRIu64 " requests in flight", addr,
                    j->taken - j->answered);
    if (shadow_drains(&j->shadow, addr, strb) && (j->surplus_out || j->reads_out))
        return fail(j, "s_bvalid", 0, 1,
                    "write of offset 0x%x took effect with %u surplus reads on their way, %u on the bus", addr,
                    j->surplus_out, j->reads_out);
    if (addr == DMT_HOST_BASE + DMT_HOST_CNT_CLEAR && strb == 0xff) {
        j->reads_unknown = j->step_unsure;
        memset(j->caused, 0, sizeof j->caused);
    }
    j->csr_bresp =
        (uint8_t)shadow_write(&j->shadow, addr, j->csr_w[0].data, strb, j->load, j->load_done);
    if (j->csr_bresp == DMT_RESP_STOP || j->load_done != j->load_n)
        return fail(j, "s_bvalid", 0, 1,
                    "the %u reads of memory are not those that the write of offset 0x%x makes",
                    j->load_done, addr);
    j->load_n = j->load_done = 0;
    j->csr_aw[0] = j->csr_aw[1];
    j->csr_w[0] = j->csr_w[1];
    j->csr_aw_n--;
    j->csr_w_n--;
    j->stats->csr_writes++;
    j->stats->csr_refused += j->shadow.refused - refused;
    j->stats->csr_errors += j->csr_bresp == DMT_RESP_SLVERR;
    cover_write(j->stats->cover, &j->shadow, addr, j->csr_bresp);
    return true;
}

/* While registers are loaded and gTEAs resolved a write takes effect register
 * by register, and is answered at the end: what TEA registers read as
 * meanwhile is the cycle model's to say. */
static bool may_be_loading(const struct judge *j, unsigned addr)
{
    struct shadow_grant grant[SHADOW_GRANTS];

    return addr < DMT_HOST_BASE && j->csr_aw_n && j->csr_w_n &&
           shadow_loads(&j->shadow, j->csr_aw[0].addr, j->csr_w[0].strb, j->csr_w[0].data, grant);
}

static bool csr_cycle(struct judge *j, const struct dmt_out *out, const struct dmt_in *in)
{
    if (out->s_bvalid && out->s_bresp != j->csr_bresp)
        return fail(j, "s_bresp", j->csr_bresp, out->s_bresp, "wrong answer to a register write");
    if (out->s_rvalid != j->csr_read.valid)
        return fail(j, "s_rvalid", j->csr_read.valid, out->s_rvalid,
                    "a register read is answered in the next cycle");
    if (out->s_rvalid) {
        if (out->s_rresp != j->csr_read.resp)
            return fail(j, "s_rresp", j->csr_read.resp, out->s_rresp, "wrong answer to a register read");
        if (j->csr_read.known && out->s_rdata != j->csr_read.data)
            return fail(j, "s_rdata", j->csr_read.data, out->s_rdata, "not what was written");
        if (in->s_rready)
            j->csr_read.valid = false;
    }
    if (in->s_arvalid && out->s_arready) {
        enum dmt_resp resp;

        j->csr_read.known = shadow_read(&j->shadow, (unsigned)in->s_araddr, &j->csr_read.data, &resp) &&
                            !may_be_loading(j, (unsigned)in->s_araddr) &&
                            (in->s_araddr != DMT_HOST_BASE + DMT_HOST_CNT_READ ||
                             !(j->step_was_unsure || j->reads_unknown));
        j->csr_read.resp = (uint8_t)resp;
        j->csr_read.valid = true;
        j->stats->csr_reads++;
    }
    if (in->s_awvalid && out->s_awready) {
        if (j->csr_aw_n == 2)
            return fail(j, "s_awready", 0, 1, "more write addresses taken than can be held");
        j->csr_aw[j->csr_aw_n++].addr = (uint16_t)in->s_awaddr;
    }
    if (in->s_wvalid && out->s_wready) {
        if (j->csr_w_n == 2)
            return fail(j, "s_wready", 0, 1, "more write data taken than can be held");
        j->csr_w[j->csr_w_n].data = in->s_wdata;
        j->csr_w[j->csr_w_n++].strb = (uint8_t)in->s_wstrb;
    }
    return true;
}

/* ------------------------------------------------------------ AXI */

static bool axi_rules(struct judge *j, const struct dmt_out *out)
{
    const struct dmt_out *o = &j->last;
    const struct dmt_in *i = &j->last_in;

    /* What was offered and not taken must still be there, unchanged (AXI A3.2.1). */
#define HOLD(valid, ready, field) \
    if (o->valid && !i->ready && out->field != o->field) \
        return fail(j, #field, o->field, out->field, "changed while it waited for " #ready);
    if (o->m_arvalid && !i->m_arready) {
        HOLD(m_arvalid, m_arready, m_arvalid)
        HOLD(m_arvalid, m_arready, m_arid)
        HOLD(m_arvalid, m_arready, m_araddr)
        HOLD(m_arvalid, m_arready, m_arlock)
    }
    if (o->m_awvalid && !i->m_awready) {
        HOLD(m_awvalid, m_awready, m_awvalid)
        HOLD(m_awvalid, m_awready, m_awid)
        HOLD(m_awvalid, m_awready, m_awaddr)
    }
    if (o->m_wvalid && !i->m_wready) {
        HOLD(m_wvalid, m_wready, m_wvalid)
        HOLD(m_wvalid, m_wready, m_wdata)
    }
    if (o->resp_valid && !i->resp_ready) {
        HOLD(resp_valid, resp_ready, resp_valid)
        HOLD(resp_valid, resp_ready, resp_tag)
    }
    if (o->s_bvalid && !i->s_bready) {
        HOLD(s_bvalid, s_bready, s_bvalid)
        HOLD(s_bvalid, s_bready, s_bresp)
    }
    if (o->s_rvalid && !i->s_rready) {
        HOLD(s_rvalid, s_rready, s_rvalid)
        HOLD(s_rvalid, s_rready, s_rdata)
    }
#undef HOLD
#define CONSTANT(name, value) \
    if (out->name != (value)) \
        return fail(j, #name, value, out->name, "single 8-byte beats, normal memory, privileged data");
    if (out->m_arvalid) {
        CONSTANT(m_arlen, 0)
        CONSTANT(m_arsize, 3)
        CONSTANT(m_arburst, 1)
        CONSTANT(m_arcache, 3)
        CONSTANT(m_arprot, 1)
        if (ctx_of(j, (unsigned)out->m_arid) >= j->shadow.config.ctx_n ||
            stage_of(j, (unsigned)out->m_arid) >= j->shadow.config.sets)
            return fail(j, "m_arid", 0, out->m_arid, "no such context or stage");
        if (out->m_araddr & 7 || out->m_araddr >> j->shadow.config.pa_w)
            return fail(j, "m_araddr", out->m_araddr & ~7ull, out->m_araddr,
                        "not an entry in physical memory");
    }
    if (out->m_awvalid) {
        CONSTANT(m_awlen, 0)
        CONSTANT(m_awsize, 3)
        CONSTANT(m_awburst, 1)
        CONSTANT(m_awlock, 1)
        CONSTANT(m_awcache, 3)
        CONSTANT(m_awprot, 1)
    }
    if (out->m_wvalid) {
        CONSTANT(m_wstrb, 0xff)
        CONSTANT(m_wlast, 1)
    }
#undef CONSTANT
    return true;
}

/* A read while no request is in flight: of the gTEA table or an image, because
 * of the register write that is held; nothing else may be read by it. */
static bool load(struct judge *j, const struct dmt_out *out)
{
    uint64_t top = 1ull << j->shadow.config.pa_w;
    struct shadow_grant grant[SHADOW_GRANTS];
    unsigned n = 0;

    if (j->csr_aw_n && j->csr_w_n)
        n = shadow_loads(&j->shadow, j->csr_aw[0].addr, j->csr_w[0].strb, j->csr_w[0].data, grant);
    if (!n || out->m_arid || out->m_arlock || j->load_n == SHADOW_LOADS)
        return fail(j, "m_arvalid", 0, 1, "a read, and no request is in flight");
    for (unsigned i = 0; i < n; i++) {
        /* What ends beyond the bus's width goes on at zero. */
        if (((out->m_araddr - grant[i].low) & (top - 1)) >= grant[i].size)
            continue;
        j->load[j->load_n++].addr = out->m_araddr;
        return true;
    }
    return fail(j, "m_araddr", grant[0].low, out->m_araddr, "a read outside of the gTEA table and the image");
}

/* Does the write go to the entry that its walk has just read exclusively? */
static bool last_locked(const struct judge *j, const struct dmt_out *out)
{
    const struct judge_walk *w = judge_owner(j, (unsigned)out->m_awid);
    const struct judge_event *e = w && w->n ? &w->event[w->n - 1] : NULL;

    return e && !e->write && e->lock && e->resp == DMT_RESP_EXOKAY && e->addr == out->m_awaddr;
}

/* An address is taken: of a surplus read, of a walk, or because of a register write. */
static bool read_taken(struct judge *j, const struct dmt_out *out)
{
    unsigned id = (unsigned)out->m_arid, ctx = ctx_of(j, id), n = (j->read_head[id] + j->read_n[id]) % JUDGE_DEPTH;
    unsigned before = j->read_n[id] + beats_of(j, id); /* older reads of the ID without a step */
    bool surplus = before < j->surplus[id].n;

    if (j->read_n[id] == DMT_PTE_READS)
        return fail(j, "m_arvalid", 0, 1, "more than five reads outstanding on ID %u", id);
    if (j->ctx_reads[ctx] == 2 * j->shadow.config.sets + 3)
        return fail(j, "m_arvalid", 0, 1, "more than %u reads of context %u outstanding", j->ctx_reads[ctx], ctx);
    if (surplus && out->m_araddr != j->surplus[id].addr[before])
        return fail(j, "m_araddr", j->surplus[id].addr[before], out->m_araddr,
                    "not the next smaller size of the fetch that was decided");
    if (surplus && out->m_arlock)
        return fail(j, "m_arlock", 0, 1, "a surplus read is never exclusive");
    if (!surplus && j->owner[ctx] < 0 && surplus_of(j, ctx))
        return fail(j, "m_arvalid", 0, 1, "a context is used while surplus reads of it are on their way");
    j->read[id][n].load = !surplus && j->taken == j->answered;
    if (j->read[id][n].load && !load(j, out))
        return false;
    j->read[id][n].addr = out->m_araddr;
    j->read[id][n].lock = out->m_arlock;
    j->read_n[id]++;
    j->ctx_reads[ctx]++;
    j->reads_out++;
    return true;
}

static bool axi_handshakes(struct judge *j, const struct dmt_out *out, const struct dmt_in *in)
{
    if (in->m_rvalid && out->m_rready) {
        unsigned id = in->m_rid & (DMT_PTE_IDS - 1);

        if (j->read[id][j->read_head[id]].load) { /* no step of a walk */
            j->load[j->load_done].data = in->m_rdata;
            j->load[j->load_done++].resp = (uint8_t)in->m_rresp;
        } else {
            j->beat[j->beats].id = (uint8_t)id;
            j->beat[j->beats].data = in->m_rdata;
            j->beat[j->beats].resp = (uint8_t)in->m_rresp;
            j->beat[j->beats].addr = j->read[id][j->read_head[id]].addr;
            j->beat[j->beats++].lock = j->read[id][j->read_head[id]].lock;
        }
        j->read_head[id] = (j->read_head[id] + 1) % JUDGE_DEPTH;
        j->read_n[id]--;
        j->ctx_reads[ctx_of(j, id)]--;
        j->reads_out--;
    }
    if (in->m_bvalid && out->m_bready) {
        unsigned id = in->m_bid & (DMT_PTE_IDS - 1), n = (j->done_head + j->done_n++) % DMT_PTE_IDS;

        j->done[n].addr = j->sent[id].addr;
        j->done[n].data = j->sent[id].data;
        j->done[n].id = (uint8_t)id;
        j->done[n].resp = (uint8_t)in->m_bresp;
        j->sent[id].valid = false;
    }
    if (out->m_arvalid && in->m_arready && !read_taken(j, out))
        return false;
    if (out->m_awvalid && in->m_awready) {
        unsigned n = (j->aw_head + j->aw_n++) % DMT_PTE_IDS;

        if (!last_locked(j, out))
            return fail(j, "m_awaddr", 0, out->m_awaddr, "an exclusive write without the exclusive read");
        j->aw[n].addr = out->m_awaddr;
        j->aw[n].id = (uint8_t)(out->m_awid & (DMT_PTE_IDS - 1));
    }
    if (out->m_wvalid && in->m_wready)
        j->w[(j->w_head + j->w_n++) % DMT_PTE_IDS] = out->m_wdata;
    while (j->aw_n && j->w_n) {
        unsigned id = j->aw[j->aw_head].id;

        if (j->sent[id].valid)
            return fail(j, "m_awid", 0, id, "a second write of an ID before the first was answered");
        j->sent[id].valid = true;
        j->sent[id].addr = j->aw[j->aw_head].addr;
        j->sent[id].data = j->w[j->w_head];
        j->aw_head = (j->aw_head + 1) % DMT_PTE_IDS;
        j->w_head = (j->w_head + 1) % DMT_PTE_IDS;
        j->aw_n--;
        j->w_n--;
    }
    if (j->aw_n > 2 || j->w_n > 2)
        return fail(j, "m_awvalid", 0, 1, "write addresses and write data do not come in pairs");
    return true;
}

/* ------------------------------------------------------------ request and response */

static bool response(struct judge *j, const struct dmt_out *out)
{
    const struct dmt_result *want = &j->answer[j->answer_head].result;

    if (!j->answer_n)
        return fail(j, "resp_valid", 0, 1, "no answer is waiting");
    if (out->resp_tag != j->answer[j->answer_head].tag)
        return fail(j, "resp_tag", j->answer[j->answer_head].tag, out->resp_tag,
                    "not the tag of the answer that is due");
#define F(name) \
    if (out->resp_##name != (uint64_t)want->name) \
        return fail(j, "resp_" #name, (uint64_t)want->name, out->resp_##name, \
                    "not the answer on the trace port");
    ANSWER_FIELDS(F)
#undef F
    return true;
}

static bool request(struct judge *j, const struct dmt_in *in)
{
    struct judge_walk *w;
    int slot;

    if (!j->spare_n)
        return fail(j, "req_ready", 0, 1, "more requests taken than the block has room for");
    slot = j->spare[--j->spare_n];
    w = &j->walk[slot];
    w->order = j->next_order++;
    w->left = false;
    w->ctx = -1;
    w->n = w->starts = w->matches[1] = 0;
    w->busy = true;
    w->accepted = j->now;
    w->tag = (uint16_t)in->req_tag;
    w->request = (struct dmt_request){ .va = in->req_va,
                                       .access = (uint8_t)in->req_access,
                                       .cpl = (uint8_t)in->req_cpl,
                                       .ac = in->req_ac,
                                       .implicit = in->req_implicit,
                                       .nonspec = in->req_nonspec };
    insert(j, slot);
    j->taken++;
    j->stats->requests++;
    return true;
}

/* The event pin, as far as the bits behind it are known here. */
static bool event_pin(struct judge *j, const struct dmt_out *out)
{
    const struct shadow *s = &j->shadow;
    bool must = s->host_event & s->host_mask, may = must;

    for (unsigned k = 0; k < s->config.sets; k++) {
        must = must || (s->level_event[k] & s->level_mask[k]);
        may = may || (s->level_mask[k] & DMT_LEVEL_EVENT_MULTI_HIT_MASK);
        /* A word of a set load that is refused shows at once, not only at its end. */
        may = may || (j->load_n && j->csr_aw[0].addr == DMT_LEVEL_BASE(k) + DMT_LEVEL_LOAD &&
                      (s->level_mask[k] & DMT_LEVEL_EVENT_REFUSED_MASK));
    }
    may = may || must;
    if (out->event ? !may : must)
        return fail(j, "event", must, out->event, "not what events and masks say");
    return true;
}

bool judge_cycle(struct judge *j, const struct dmt_out *out, const struct dmt_in *in)
{
    for (unsigned i = 0; i < SHADOW_COUNTERS; i++)
        j->shadow.counter[i] += j->caused[i];
    memset(j->caused, 0, sizeof j->caused);
    /* What the trace port shows happened in the cycle before, and is in the counters in the next one. These first:
     * a clear in that cycle wins over a count, but not over an event. */
    if (out->wt_req_valid && !trace_request(j, out))
        return false;
    if (out->wt_ref_valid && !trace_ref(j, out))
        return false;
    if (!drop_surplus(j))
        return false;
    if (j->beats > j->shadow.config.pipe)
        return fail(j, "wt_ref_valid", 1, out->wt_ref_valid, "an R beat was taken, not traced");
    if (out->wt_upd_valid && !trace_update(j, out))
        return false;
    if (out->wt_end_valid && !trace_end(j, out))
        return false;
    if (out->s_bvalid && !j->last.s_bvalid && !csr_executed(j))
        return false;
    if (out->wt_end_valid)
        shadow_end_events(&j->shadow, &j->answer[(j->answer_head + j->answer_n - 1) % 4].result);

    if (j->csr_aw_n && j->csr_w_n && !out->req_ready && j->taken != j->answered)
        j->stats->cover[COVER_CSR_HELD]++;

    if (!event_pin(j, out) || !axi_rules(j, out) || !axi_handshakes(j, out, in) || !csr_cycle(j, out, in))
        return false;
    if (out->resp_valid && !response(j, out))
        return false;
    if (out->resp_valid && in->resp_ready) {
        j->answer_head = (j->answer_head + 1) % 4;
        j->answer_n--;
        j->answered++;
    } else if (out->resp_valid != (j->answer_n != 0)) {
        return fail(j, "resp_valid", j->answer_n != 0, out->resp_valid,
                    "an answer on the trace port is offered at once");
    }
    if (in->req_valid && out->req_ready && !request(j, in))
        return false;
    j->step_was_unsure = j->step_unsure;
    if (out->m_rready) /* then what waited for its step is stepped by now */
        j->step_unsure = false;
    j->last = *out;
    j->last_in = *in;
    j->now++;
    return true;
}

bool judge_finish(struct judge *j)
{
    if (j->taken != j->answered)
        return fail(j, "resp_valid", j->taken, j->answered, "requests taken, answers given");
    if (j->csr_aw_n || j->csr_w_n)
        return fail(j, "s_bvalid", 1, 0, "a register write was not answered");
    if (j->done_n)
        return fail(j, "wt_upd_valid", 1, 0, "a write answer was not used");
    for (unsigned id = 0; id < DMT_PTE_IDS; id++) {
        if (j->read_n[id])
            return fail(j, "m_arid", 0, id, "reads are outstanding and no walk is");
        if (j->surplus[id].n)
            return fail(j, "m_arid", 1, 0, "the reads of a fetch that was decided have not all been made, ID %u", id);
    }
    return true;
}
