/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/judge.h"
#include "dmt/regs.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* IA-32e entry bits, decoded here once more so that the facts do not rest on
 * the decoder that is being judged. */
#define E_P (1ull << 0)
#define E_A (1ull << 5)
#define E_PS (1ull << 7)
#define E_XD (1ull << 63)
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
    free(j->walk);
    free(j);
}

bool judge_reset(struct judge *j, const struct dmt_config *config, struct cosim_stats *stats)
{
    struct judge_walk *walk = j->walk;
    struct cosim_source *source = j->source;
    struct shadow *keep = &j->shadow;

    if (!shadow_reset(keep, config))
        return false;
    memset((char *)j + sizeof(j->shadow), 0, sizeof(*j) - sizeof(j->shadow));
    j->walk = walk;
    j->source = source;
    j->stats = stats;
    memset(j->map, 0xff, sizeof(j->map));
    memset(j->owner, 0xff, sizeof(j->owner));
    for (unsigned i = 0; i < JUDGE_WALKS; i++)
        j->spare[i] = (int16_t)i;
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

const struct judge_walk *judge_owner(const struct judge *j, unsigned id)
{
    return id < JUDGE_IDS && j->owner[id] >= 0 ? &j->walk[j->owner[id]] : NULL;
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
    j->spare[j->spare_n++] = (int16_t)slot;
}

/* ------------------------------------------------------------ what caches may hold */

/* The set of rights that a set becomes when an entry's rights are ANDed in. */
static uint8_t and_rights(uint8_t set, unsigned rights)
{
    uint8_t out = 0;

    for (unsigned i = 0; i < 8; i++) {
        if (set >> i & 1)
            out |= (uint8_t)(1u << (i & rights));
    }
    return out;
}

/* The walk goes on from a non-leaf entry to the table it points to. */
static bool descend(struct judge *j, struct judge_walk *w, unsigned level, uint64_t e)
{
    bool nxe = j->shadow.state.level[0].efer & DMT_LEVEL_EFER_NXE_MASK;
    unsigned rights = (e >> 1 & 3) | (nxe && (e & E_XD) ? 0 : 4);

    w->rights = and_rights(w->rights, rights);
    w->alla = w->alla && (e & E_A);
    w->goes_on = true;
    w->next_level = (uint8_t)(level - 1);
    if (w->alla && level >= 2 && level <= 4 &&
        !shadow_fact(&j->shadow, w->request.va, level, e & E_FRAME, w->rights))
        return fail(j, "", 0, 0, "out of memory");
    return true;
}

static bool follow_read(struct judge *j, struct judge_walk *w, const struct judge_event *e)
{
    const struct dmt_state *state = &j->shadow.state;
    bool five = state->level[0].cr4 & DMT_LEVEL_CR4_LA57_MASK;
    bool nxe = state->level[0].efer & DMT_LEVEL_EFER_NXE_MASK;
    uint64_t reserved;

    w->updating = false;
    if (e->tea) {
        w->goes_on = false;
        return true;
    }
    if (!w->goes_on || w->next_level != e->level) {
        struct judge_start *s;

        if (w->starts == JUDGE_PASSES)
            return fail(j, "wt_ref_level", w->next_level, e->level, "the walk starts over too often");
        s = &w->start[w->starts++];
        s->event = (uint16_t)(w->n - 1);
        s->root = e->level == (five ? 5 : 4);
        s->rights = s->root ? 1 << 7
                            : shadow_may_start(&j->shadow, w->request.va, e->level + 1u, e->addr & E_FRAME);
        w->rights = s->rights;
        w->alla = true;
        j->stats->skipped += !s->root;
    }
    w->goes_on = false;
    if (e->resp >= DMT_RESP_SLVERR || (e->lock && e->resp != DMT_RESP_EXOKAY) || !(e->data & E_P))
        return true;
    if (e->level == 1 || (e->level <= 3 && (e->data & E_PS)))
        return true;
    reserved = 0x000fffffffffffffull & ~((1ull << state->maxpa) - 1);
    reserved |= (nxe ? 0 : E_XD) | (e->level >= 4 ? E_PS : 0);
    if (e->data & reserved)
        return true;
    if (e->lock && !(e->data & E_A)) {
        w->updating = true;
        return true;
    }
    return descend(j, w, e->level, e->data);
}

static bool follow_update(struct judge *j, struct judge_walk *w, const struct judge_event *e)
{
    const struct judge_event *read = w->n >= 2 ? &w->event[w->n - 2] : NULL;

    if (!read || read->write || read->tea)
        return true;
    if (e->resp == DMT_RESP_OKAY) { /* lost: the same entry is read again */
        w->goes_on = true;
        w->next_level = read->level;
        w->updating = false;
        return true;
    }
    if (e->resp == DMT_RESP_EXOKAY && w->updating) {
        w->updating = false;
        return descend(j, w, read->level, e->data);
    }
    return true;
}

/* ------------------------------------------------------------ replay through the architectural model */

struct replay {
    const struct judge_walk *walk;
    unsigned at;       /* next event */
    unsigned choice;   /* which of several possible rights each start takes: mixed-radix digits */
    bool wrong;
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
    const struct judge_event *e = &r->walk->event[r->at];

    if (r->wrong)
        return NULL;
    if (r->at >= r->walk->n) {
        differ(r, write ? "wt_upd_addr" : "wt_ref_addr", ref->addr, 0,
               write ? "an A/D write is missing" : "a read is missing");
        return NULL;
    }
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
    return r->wrong ? NULL : e;
}

static enum dmt_resp replay_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    const struct judge_event *e = pop(user, ref, false);

    *data = e ? e->data : 0;
    return e ? e->resp : DMT_RESP_DECERR; /* an error ends the replay soonest */
}

static enum dmt_resp replay_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct replay *r = user;
    const struct judge_event *e = pop(r, ref, true);

    if (e && e->data != data)
        differ(r, "wt_upd_data", data, e->data, "wrong A/D write");
    return e && !r->wrong ? e->resp : DMT_RESP_DECERR;
}

static bool replay_start(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table,
                         uint8_t *rights)
{
    struct replay *r = user;
    const struct judge_walk *w = r->walk;
    const struct judge_start *s = NULL;
    unsigned n, pick;

    (void)stage;
    (void)va;
    for (unsigned i = 0; i < w->starts; i++) {
        if (w->start[i].event == r->at)
            s = &w->start[i];
    }
    if (!s || s->root)
        return false;
    if (!s->rights) {
        differ(r, "wt_ref_level", 0, w->event[r->at].level,
               "the walk starts below the root where no cached entry may send it");
        return false;
    }
    n = (unsigned)__builtin_popcount(s->rights);
    pick = r->choice % n;
    r->choice /= n;
    for (unsigned i = 0; i < 8; i++) {
        if (s->rights >> i & 1 && pick-- == 0)
            *rights = (uint8_t)i;
    }
    *level = w->event[r->at].level;
    *table = w->event[r->at].addr & E_FRAME;
    return true;
}

/* Pins of an answer, from a result; used for wt_end and for the response. */
#define ANSWER_FIELDS(F) \
    F(status) F(pa) F(size) F(rights) F(global) F(pkey) F(memtype) F(dirty) \
    F(ad_needed) F(error) F(addr) F(stage)

static bool compare_end(struct replay *r, const struct dmt_result *want, const struct dmt_out *out)
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
    if (r->at < r->walk->n)
        differ(r, r->walk->event[r->at].write ? "wt_upd_addr" : "wt_ref_addr", 0, r->walk->event[r->at].addr,
               "more reads or writes than the architectural model makes");
    return !r->wrong;
}

/* When a prefix was cached with different rights since the last flush, any of
 * them is legal; the walk is right when one choice explains it. */
static bool replay_walk(struct judge *j, const struct judge_walk *w, const struct dmt_out *out,
                        struct dmt_result *result)
{
    struct replay first;
    unsigned choices = 1;

    for (unsigned i = 0; i < w->starts; i++)
        choices *= w->start[i].rights ? (unsigned)__builtin_popcount(w->start[i].rights) : 1;
    for (unsigned choice = 0; choice < choices; choice++) {
        struct replay r = { .walk = w, .choice = choice };
        struct dmt_port port = { .user = &r, .read = replay_read, .write = replay_write,
                                 .start = replay_start };

        dmt_arch_translate(&j->shadow.state, &w->request, &port, result);
        if (compare_end(&r, result, out))
            return true;
        if (choice == 0)
            first = r;
    }
    return fail(j, first.signal, first.expected, first.got, "%s", first.text);
}

/* ------------------------------------------------------------ coverage */

const char *const cosim_cover_text[COSIM_COVERS] = {
#define X(name, text) text,
    COSIM_COVER_LIST(X)
#undef X
};

static void cover_events(uint64_t *cover, const struct judge_walk *w)
{
    bool locked_tea = false;
    unsigned sizes = 0;

    for (unsigned i = 0; i < w->n; i++) {
        const struct judge_event *e = &w->event[i], *before = i ? &w->event[i - 1] : e;

        if (e->write) {
            bool tea = before->tea;
            bool leaf = before->level == 1 || (before->level <= 3 && (before->data & E_PS));

            if (e->resp == DMT_RESP_EXOKAY)
                cover[tea ? COVER_TEA_UPDATE : leaf ? COVER_UPDATE_LEAF : COVER_UPDATE_UPPER]++;
            else if (e->resp == DMT_RESP_OKAY)
                cover[tea ? COVER_TEA_LOST : COVER_UPDATE_LOST]++;
            continue;
        }
        sizes += e->tea && !e->lock;
        locked_tea = locked_tea || (e->tea && e->lock);
        cover[COVER_RESTART_LATE] += locked_tea && !e->tea && before->tea;
        cover[COVER_FIVE] += e->level == 5;
    }
    cover[COVER_TEA_TWO] += sizes == 2;
    cover[COVER_TEA_THREE] += sizes == 3;
    for (unsigned i = 0; i < w->starts; i++) {
        unsigned level = w->event[w->start[i].event].level;

        if (!w->start[i].root)
            cover[level == 1 ? COVER_START_PDE : level == 2 ? COVER_START_PDPTE : COVER_START_PML4E]++;
    }
}

static void cover_answer(uint64_t *cover, const struct judge_walk *w, const struct dmt_result *r)
{
    bool tea = r->path[0] == DMT_PATH_TEA;

    cover_events(cover, w);
    cover[COVER_TEA_MULTI] += r->multi_hit;
    switch (r->status) {
    case DMT_STATUS_OK:
        if (r->path[0] == DMT_PATH_NOT_USED)
            cover[COVER_PASS]++;
        else
            cover[(tea ? COVER_TEA_4K : COVER_X86_4K) + r->size]++;
        cover[COVER_RESTART_OK] += r->path[0] == DMT_PATH_RESTART;
        cover[COVER_AD_NEEDED] += r->ad_needed;
        break;
    case DMT_STATUS_GP:
        cover[COVER_GP]++;
        break;
    case DMT_STATUS_PF: /* error code bits: 0 present, 3 reserved, 5 key */
        cover[!(r->error & 1) ? COVER_PF_ABSENT
              : r->error & 8  ? COVER_PF_RSVD
              : r->error & 32 ? COVER_PF_KEY
                              : COVER_PF_RIGHTS]++;
        break;
    case DMT_STATUS_BUS:
        cover[COVER_TEA_BUS] += tea;
        cover[r->error == DMT_BUS_ERROR_NOT_EXCLUSIVE  ? COVER_BUS_NOT_EXCLUSIVE
              : r->error == DMT_BUS_ERROR_READ_SLVERR  ? COVER_BUS_READ_SLVERR
              : r->error == DMT_BUS_ERROR_READ_DECERR  ? COVER_BUS_READ_DECERR
              : r->error == DMT_BUS_ERROR_WRITE_SLVERR ? COVER_BUS_WRITE_SLVERR
                                                       : COVER_BUS_WRITE_DECERR]++;
        break;
    default:
        cover[COVER_RETRY]++;
        break;
    }
}

/* ------------------------------------------------------------ trace port */

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
    j->shadow.counter[CNT_REQUEST]++;
    if (out->wt_req_tag != w->tag)
        return fail(j, "wt_req_tag", w->tag, out->wt_req_tag, "not the request taken from the port");
#define F(name) \
    if (out->wt_req_##name != w->request.name) \
        return fail(j, "wt_req_" #name, w->request.name, out->wt_req_##name, \
                    "not the request taken from the port");
    F(va) F(access) F(cpl) F(ac) F(implicit) F(nonspec)
#undef F
    return true;
}

static struct judge_walk *event_walk(struct judge *j, uint64_t order, const char *signal)
{
    int slot = find(j, (uint32_t)order);

    j->order = (uint32_t)order;
    if (slot < 0 || !j->walk[slot].left) {
        fail(j, signal, 0, order, "no such walk is in flight");
        return NULL;
    }
    if (j->walk[slot].n == JUDGE_EVENTS) {
        fail(j, signal, JUDGE_EVENTS, JUDGE_EVENTS + 1, "the walk does not come to an end");
        return NULL;
    }
    return &j->walk[slot];
}

static bool trace_ref(struct judge *j, const struct dmt_out *out)
{
    struct judge_walk *w;
    struct judge_event *e;

    j->order = (uint32_t)out->wt_ref_order;
    if (!j->beat.valid)
        return fail(j, "wt_ref_valid", 0, 1, "no R beat was taken in the cycle before");
    if (out->wt_ref_addr != j->beat.addr)
        return fail(j, "wt_ref_addr", j->beat.addr, out->wt_ref_addr, "not the address read on the bus");
    if (out->wt_ref_data != j->beat.data)
        return fail(j, "wt_ref_data", j->beat.data, out->wt_ref_data, "not the beat on the bus");
    if (out->wt_ref_resp != j->beat.resp)
        return fail(j, "wt_ref_resp", j->beat.resp, out->wt_ref_resp, "not the beat on the bus");
    if (out->wt_ref_lock != j->beat.lock)
        return fail(j, "wt_ref_lock", j->beat.lock, out->wt_ref_lock, "not the read on the bus");
    w = event_walk(j, out->wt_ref_order, "wt_ref_order");
    if (!w)
        return false;
    if (w->id < 0 && j->owner[j->beat.id] < 0) {
        w->id = j->beat.id;
        j->owner[w->id] = (int16_t)(w - j->walk);
    }
    if (w->id != j->beat.id)
        return fail(j, "m_rid", (uint64_t)w->id, j->beat.id, "a walk uses the ID of another");
    e = &w->event[w->n++];
    *e = (struct judge_event){ .addr = out->wt_ref_addr,
                               .data = out->wt_ref_data,
                               .resp = (uint8_t)out->wt_ref_resp,
                               .stage = (uint8_t)out->wt_ref_stage,
                               .level = (uint8_t)out->wt_ref_level,
                               .tea = (uint8_t)out->wt_ref_tea,
                               .index = (uint8_t)out->wt_ref_index,
                               .lock = (uint8_t)out->wt_ref_lock };
    j->shadow.counter[CNT_READ]++;
    j->stats->reads++;
    return follow_read(j, w, e);
}

static bool trace_update(struct judge *j, const struct dmt_out *out)
{
    struct judge_walk *w = event_walk(j, out->wt_upd_order, "wt_upd_order");
    struct judge_event *e;

    if (!w)
        return false;
    if (!j->done_n)
        return fail(j, "wt_upd_valid", 0, 1, "no B beat is left to be used");
    if (j->done[j->done_head].id != w->id)
        return fail(j, "wt_upd_order", w->id < 0 ? 0 : (uint64_t)w->id, j->done[j->done_head].id,
                    "the write answer belongs to another walk");
    if (j->done[j->done_head].addr != out->wt_upd_addr)
        return fail(j, "wt_upd_addr", j->done[j->done_head].addr, out->wt_upd_addr,
                    "not the write on the bus");
    if (j->done[j->done_head].data != out->wt_upd_data)
        return fail(j, "wt_upd_data", j->done[j->done_head].data, out->wt_upd_data,
                    "not the write on the bus");
    if (j->done[j->done_head].resp != out->wt_upd_resp)
        return fail(j, "wt_upd_resp", j->done[j->done_head].resp, out->wt_upd_resp,
                    "not the answer on the bus");
    j->done_head = (j->done_head + 1) % JUDGE_IDS;
    j->done_n--;
    e = &w->event[w->n++];
    *e = (struct judge_event){ .write = 1,
                               .addr = out->wt_upd_addr,
                               .data = out->wt_upd_data,
                               .resp = (uint8_t)out->wt_upd_resp,
                               .stage = (uint8_t)out->wt_upd_stage };
    if (e->resp == DMT_RESP_EXOKAY) {
        j->shadow.counter[CNT_UPDATE]++;
        j->stats->updates++;
    } else if (e->resp == DMT_RESP_OKAY) {
        j->shadow.counter[CNT_LOST]++;
        j->stats->lost++;
    }
    return follow_update(j, w, e);
}

static void count_end(struct judge *j, const struct judge_walk *w, const struct dmt_result *r,
                      uint64_t clocks)
{
    struct cosim_stats *s = j->stats;
    uint64_t *counter = j->shadow.counter;
    unsigned path = r->path[0];

    cover_answer(s->cover, w, r);
    s->walks++;
    s->status[r->status & 15]++;
    s->path[path]++;
    s->path_refs[path] += r->refs;
    s->path_clocks[path] += clocks;
    for (unsigned i = 0; i < w->n; i++)
        s->path_reads[path] += !w->event[i].write;
    if (r->status == DMT_STATUS_OK)
        counter[path == DMT_PATH_TEA     ? CNT_TEA
                : path == DMT_PATH_RADIX ? CNT_RADIX
                : path == DMT_PATH_RESTART ? CNT_RESTART
                                           : CNT_PASS]++;
    else if (r->status == DMT_STATUS_BUS)
        counter[CNT_BUS]++;
    else
        counter[r->status == DMT_STATUS_RETRY ? CNT_RETRY : CNT_FAULT]++;
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
    if (w->id >= 0) {
        if (j->read_n[w->id])
            return fail(j, "m_arid", 0, (uint64_t)w->id, "reads are outstanding after the answer");
        j->owner[w->id] = -1;
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

/* Sticky events that follow from answers: set beats a clear in the same cycle. */
static void end_events(struct judge *j, const struct dmt_out *out)
{
    if (out->wt_end_status != DMT_STATUS_BUS)
        return;
    if (out->wt_end_error == DMT_BUS_ERROR_NOT_EXCLUSIVE)
        j->shadow.host_event |= DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK;
    else
        j->shadow.host_event |= DMT_HOST_EVENT_BUS_MASK;
    j->shadow.bus_addr = out->wt_end_addr & 0x000fffffffffffffull;
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
    j->csr_bresp = (uint8_t)shadow_write(&j->shadow, addr, j->csr_w[0].data, strb);
    j->csr_aw[0] = j->csr_aw[1];
    j->csr_w[0] = j->csr_w[1];
    j->csr_aw_n--;
    j->csr_w_n--;
    j->stats->csr_writes++;
    j->stats->csr_refused += j->shadow.refused - refused;
    j->stats->csr_errors += j->csr_bresp == DMT_RESP_SLVERR;
    j->stats->cover[COVER_CSR_REFUSED] = j->stats->csr_refused;
    j->stats->cover[COVER_CSR_ERROR] = j->stats->csr_errors;
    return true;
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

        j->csr_read.known = shadow_read(&j->shadow, (unsigned)in->s_araddr, &j->csr_read.data, &resp);
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
        if (out->m_arid >= j->shadow.config.ctx_n)
            return fail(j, "m_arid", j->shadow.config.ctx_n - 1, out->m_arid, "no such context");
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

static bool axi_handshakes(struct judge *j, const struct dmt_out *out, const struct dmt_in *in)
{
    j->beat.valid = in->m_rvalid && out->m_rready;
    if (j->beat.valid) {
        unsigned id = in->m_rid & (JUDGE_IDS - 1);

        j->beat.id = (uint8_t)id;
        j->beat.data = in->m_rdata;
        j->beat.resp = (uint8_t)in->m_rresp;
        j->beat.addr = j->read[id][j->read_head[id]].addr;
        j->beat.lock = j->read[id][j->read_head[id]].lock;
        j->read_head[id] = (j->read_head[id] + 1) % 4;
        j->read_n[id]--;
    }
    if (in->m_bvalid && out->m_bready) {
        unsigned id = in->m_bid & (JUDGE_IDS - 1), n = (j->done_head + j->done_n++) % JUDGE_IDS;

        j->done[n].addr = j->sent[id].addr;
        j->done[n].data = j->sent[id].data;
        j->done[n].id = (uint8_t)id;
        j->done[n].resp = (uint8_t)in->m_bresp;
        j->sent[id].valid = false;
    }
    if (out->m_arvalid && in->m_arready) {
        unsigned id = (unsigned)out->m_arid, n = (j->read_head[id] + j->read_n[id]) % 4;

        if (j->read_n[id] == 3)
            return fail(j, "m_arvalid", 0, 1, "more than three reads outstanding on ID %u", id);
        if (j->taken == j->answered)
            return fail(j, "m_arvalid", 0, 1, "a read, and no request is in flight");
        j->read[id][n].addr = out->m_araddr;
        j->read[id][n].lock = out->m_arlock;
        j->read_n[id]++;
    }
    if (out->m_awvalid && in->m_awready) {
        unsigned n = (j->aw_head + j->aw_n++) % JUDGE_IDS;

        j->aw[n].addr = out->m_awaddr;
        j->aw[n].id = (uint8_t)(out->m_awid & (JUDGE_IDS - 1));
    }
    if (out->m_wvalid && in->m_wready)
        j->w[(j->w_head + j->w_n++) % JUDGE_IDS] = out->m_wdata;
    while (j->aw_n && j->w_n) {
        unsigned id = j->aw[j->aw_head].id;

        if (j->sent[id].valid)
            return fail(j, "m_awid", 0, id, "a second write of an ID before the first was answered");
        j->sent[id].valid = true;
        j->sent[id].addr = j->aw[j->aw_head].addr;
        j->sent[id].data = j->w[j->w_head];
        j->aw_head = (j->aw_head + 1) % JUDGE_IDS;
        j->w_head = (j->w_head + 1) % JUDGE_IDS;
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
    w->id = -1;
    w->n = 0;
    w->starts = 0;
    w->goes_on = w->updating = false;
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
    }
    may = may || must;
    if (out->event ? !may : must)
        return fail(j, "event", must, out->event, "not what events and masks say");
    return true;
}

bool judge_cycle(struct judge *j, const struct dmt_out *out, const struct dmt_in *in)
{
    /* What the trace port shows happened in the cycle before. Counters first:
     * a clear in that cycle wins over a count, but not over an event. */
    if (out->wt_req_valid && !trace_request(j, out))
        return false;
    if (out->wt_ref_valid ? !trace_ref(j, out) : j->beat.valid)
        return !out->wt_ref_valid && fail(j, "wt_ref_valid", 1, 0, "an R beat was taken, not traced");
    if (out->wt_upd_valid && !trace_update(j, out))
        return false;
    if (out->wt_end_valid && !trace_end(j, out))
        return false;
    if (out->s_bvalid && !j->last.s_bvalid && !csr_executed(j))
        return false;
    if (out->wt_end_valid)
        end_events(j, out);

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
    for (unsigned id = 0; id < JUDGE_IDS; id++) {
        if (j->read_n[id])
            return fail(j, "m_arid", 0, id, "reads are outstanding and no walk is");
    }
    return true;
}
