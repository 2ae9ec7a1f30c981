/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/cover.h"
#include "dmt/regs.h"

#define E_PS (1ull << 7)

const char *const cosim_cover_text[COSIM_COVERS] = {
#define X(name, text) text,
    COSIM_COVER_LIST(X)
#undef X
};

/* A walk and what is asked of it all the time. */
struct view {
    const struct dmt_state *state;
    const struct judge_walk *w;
    const struct dmt_result *r;
    unsigned entering;
    bool second; /* there are second stages */
};

static const struct dmt_tea *tea_of(const struct view *v, const struct judge_event *e)
{
    return &v->state->tea[e->stage][e->index];
}

static bool is_leaf(const struct judge_event *e)
{
    return e->level == 1 || (e->level <= 3 && (e->data & E_PS));
}

static bool is_shadow(const struct view *v, unsigned stage)
{
    return stage == 1 && v->state->mode == DMT_MODE_NESTED && !v->state->full;
}

/* Was this entry, no gTEA's, located by a second stage? */
static bool is_located(const struct view *v, const struct judge_event *e)
{
    if (!e->stage || (e->tea && tea_of(v, e)->kind == DMT_KIND_GTEA))
        return false;
    return e->tea || !is_shadow(v, e->stage);
}

static void cover_update(uint64_t *cover, const struct view *v, const struct judge_event *e,
                         const struct judge_event *read)
{
    if (e->resp == DMT_RESP_EXOKAY) {
        cover[read->tea ? COVER_TEA_UPDATE : is_leaf(read) ? COVER_UPDATE_LEAF : COVER_UPDATE_UPPER]++;
        cover[COVER_UPDATE_SECOND] += e->stage < v->entering;
        cover[COVER_UPDATE_GUEST] += is_located(v, read);
        cover[COVER_UPDATE_GTEA] += e->stage && read->tea && !is_located(v, read);
    } else if (e->resp == DMT_RESP_OKAY) {
        cover[read->tea ? COVER_TEA_LOST : COVER_UPDATE_LOST]++;
    }
}

static void cover_events(uint64_t *cover, const struct view *v)
{
    const struct judge_event *last_tea[DMT_SETS_MAX] = { NULL };
    unsigned sizes = 0, chains = 0;
    bool written = false, again = false;

    for (unsigned i = 0; i < v->w->n; i++) {
        const struct judge_event *e = &v->w->event[i], *before = i ? &v->w->event[i - 1] : e;

        if (e->write) {
            cover_update(cover, v, e, before);
            written = written || e->resp == DMT_RESP_EXOKAY;
            continue;
        }
        again = again || (written && !e->lock);
        cover[COVER_RESTART_LATE] += before->tea && before->lock && !e->lock && before->stage == e->stage;
        cover[COVER_FIVE] += e->level == 5;
        if (!e->tea || e->lock) {
            sizes = 0;
            if (!e->tea)
                last_tea[e->stage] = NULL;
            continue;
        }
        /* The reads of one fetch follow each other, with falling levels. */
        sizes = sizes && before->stage == e->stage && before->level > e->level ? sizes + 1 : 1;
        cover[COVER_TEA_TWO] += sizes == 2 && !e->stage;
        cover[COVER_TEA_THREE] += sizes == 3 && !e->stage;
        cover[COVER_GTEA_SIZES] += sizes == 2 && e->stage && tea_of(v, e)->kind == DMT_KIND_GTEA;
        if (is_located(v, e)) {
            chains++;
            cover[COVER_CHAIN]++;
            cover[COVER_CHAIN_TWO] += chains == 2 && v->entering == 2 && e->stage == 2 && before->stage == 0;
            cover[COVER_NEXT_SIZE] += last_tea[e->stage] && last_tea[e->stage]->level > e->level;
        }
        last_tea[e->stage] = e;
    }
    cover[COVER_PASS_TWO] += again;
}

static void cover_starts(uint64_t *cover, const struct view *v)
{
    static const enum cosim_cover combined[] = { COVER_START_COMBINED_2, COVER_START_COMBINED_3,
                                                 COVER_START_COMBINED_4 };
    static const enum cosim_cover second[] = { COVER_START_SECOND_2, COVER_START_SECOND_3,
                                               COVER_START_SECOND_4 };
    static const enum cosim_cover native[] = { COVER_START_PDE, COVER_START_PDPTE, COVER_START_PML4E };
    bool entering = false, below = false;

    for (unsigned i = 0; i < v->w->starts; i++) {
        const struct judge_start *start = &v->w->start[i];
        unsigned level = start->level - 1u;

        if (!start->level)
            continue;
        if (!v->second) {
            cover[native[level]]++;
        } else if (start->stage == v->entering) {
            cover[combined[level]]++;
            entering = true;
        } else {
            cover[second[level]]++;
            cover[COVER_START_SHADOW] += is_shadow(v, start->stage);
            cover[COVER_START_FULL] += start->stage == 1 && !is_shadow(v, 1);
            below = true;
        }
    }
    cover[COVER_START_BOTH] += entering && below;
}

static void cover_ok(uint64_t *cover, const struct view *v)
{
    const struct dmt_result *r = v->r;
    const struct judge_event *last = NULL, *own = NULL;
    bool tea = true, radix = true, gtea = true, shadowed = false, covered = false;
    unsigned stages = v->entering + 1, restarts = 0;

    for (unsigned i = 0; i < v->w->n; i++) {
        const struct judge_event *e = &v->w->event[i];

        if (e->write)
            continue;
        gtea = gtea && !(e->tea && is_located(v, e));
        shadowed = shadowed || (is_shadow(v, e->stage) && !e->tea);
        covered = covered || (is_shadow(v, e->stage) && e->tea);
        own = e->stage == v->entering && is_leaf(e) ? e : own;
        last = is_leaf(e) ? e : last;
    }
    for (unsigned k = 0; k < stages; k++) {
        tea = tea && r->path[k] == DMT_PATH_TEA;
        radix = radix && r->path[k] == (k == 0 && is_shadow(v, 1) ? DMT_PATH_NOT_USED : DMT_PATH_RADIX);
        restarts += r->path[k] == DMT_PATH_RESTART;
        cover[COVER_RESTART_SECOND] += k < v->entering && r->path[k] == DMT_PATH_RESTART;
    }
    cover[COVER_RESTART_OK] += restarts != 0;
    cover[COVER_AD_NEEDED] += r->ad_needed;
    if (!v->second) {
        cover[(tea ? COVER_TEA_4K : COVER_X86_4K) + r->size]++;
        return;
    }
    cover[COVER_AD_NEEDED_SECOND] += r->ad_needed;
    cover[COVER_RESTART_ENTERING] += r->path[v->entering] == DMT_PATH_RESTART;
    cover[COVER_EXECUTE_ONLY] += r->rights >> 3 & 1;
    cover[COVER_LEAF_4K + last->level - 1]++;
    cover[COVER_LEAF_SMALLER] += own && own->level - 1u > r->size;
    cover[(last->stage == 1 ? v->state->shadow.format : v->state->s2[0].format) == DMT_FORMAT_EPT
              ? COVER_EPT_OK
              : COVER_NPT_OK]++;
    if (v->state->mode == DMT_MODE_VIRT)
        cover[tea && r->refs == 2   ? COVER_VIRT_TEA_2
              : tea && r->refs == 3 ? COVER_VIRT_TEA_3
              : radix               ? COVER_VIRT_RADIX
                                    : COVER_VIRT_MIXED]++;
    else
        cover[tea && r->refs == 3 && gtea ? COVER_NESTED_TEA_3
              : tea && !gtea              ? COVER_NESTED_TEA_PA
              : !radix                    ? COVER_NESTED_MIXED
              : v->state->full            ? COVER_NESTED_FULL
                                          : COVER_NESTED_SHADOW]++;
    cover[COVER_NESTED_SHADOW_TEA] += shadowed && covered;
}

static void cover_second_fault(uint64_t *cover, const struct view *v)
{
    const struct dmt_result *r = v->r;
    const struct dmt_s2 *s2 = is_shadow(v, r->stage) ? &v->state->shadow : &v->state->s2[r->stage];
    bool wide = r->addr >> 48 && !s2->five;

    cover[COVER_VIOLATION_WIDTH] += wide;
    cover[COVER_VIOLATION_STAGE1] += r->stage == 1 && !is_shadow(v, 1);
    cover[COVER_VIOLATION_SHADOW] += is_shadow(v, r->stage);
    if (r->status == DMT_STATUS_NPT_FAULT) { /* EXITINFO1: 0 present, 3 reserved, 33 table access */
        cover[!(r->error & 1) ? COVER_NPT_ABSENT : r->error & 8 ? COVER_NPT_RSVD : COVER_NPT_RIGHTS]++;
        cover[COVER_NPT_TABLE] += r->error >> 33 & 1;
        return;
    }
    if (r->status == DMT_STATUS_EPT_MISCONFIG) {
        cover[COVER_MISCONFIG]++;
        return;
    }
    /* Qualification: 1 write, 6:3 rights, 8 final access. */
    cover[r->error & 0x78 ? COVER_VIOLATION_RIGHTS : COVER_VIOLATION_ABSENT]++;
    cover[COVER_VIOLATION_TABLE] += !(r->error >> 8 & 1);
    cover[COVER_VIOLATION_WRITE] += !(r->error >> 8 & 1) && (r->error & 2) && !s2->ad;
}

static void cover_bus(uint64_t *cover, const struct view *v)
{
    const struct judge_event *e = &v->w->event[v->w->n - 1];
    const struct judge_event *read = e->write ? e - 1 : e;

    cover[COVER_TEA_BUS] += read->tea;
    cover[COVER_BUS_GUEST] += is_located(v, read);
    cover[COVER_BUS_GTEA] += e->stage && read->tea && !is_located(v, read);
    cover[v->r->error == DMT_BUS_ERROR_NOT_EXCLUSIVE  ? COVER_BUS_NOT_EXCLUSIVE
          : v->r->error == DMT_BUS_ERROR_READ_SLVERR  ? COVER_BUS_READ_SLVERR
          : v->r->error == DMT_BUS_ERROR_READ_DECERR  ? COVER_BUS_READ_DECERR
          : v->r->error == DMT_BUS_ERROR_WRITE_SLVERR ? COVER_BUS_WRITE_SLVERR
                                                      : COVER_BUS_WRITE_DECERR]++;
}

void cover_walk(uint64_t *cover, const struct dmt_state *state, const struct judge_walk *w,
                const struct dmt_result *r)
{
    struct view v = { .state = state, .w = w, .r = r, .entering = state->mode - 1u,
                      .second = state->mode > DMT_MODE_NATIVE };

    if (state->mode == DMT_MODE_OFF) {
        cover[r->status == DMT_STATUS_OK ? COVER_PASS : COVER_GP]++;
        return;
    }
    cover_events(cover, &v);
    cover_starts(cover, &v);
    cover[COVER_TEA_MULTI] += r->multi_hit != 0;
    switch (r->status) {
    case DMT_STATUS_OK:
        cover_ok(cover, &v);
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
    case DMT_STATUS_GTEA: /* error bit 18: not resolved */
        cover[r->error >> 18 & 1 ? COVER_GTEA_UNRESOLVED : COVER_GTEA_BOUND]++;
        cover[r->stage == 1 ? COVER_GTEA_SET1 : COVER_GTEA_SET2]++;
        break;
    case DMT_STATUS_BUS:
        cover_bus(cover, &v);
        break;
    case DMT_STATUS_RETRY:
        cover[COVER_RETRY]++;
        cover[COVER_RETRY_SECOND] += v.second;
        break;
    default:
        cover_second_fault(cover, &v);
        break;
    }
}

void cover_write(uint64_t *cover, const struct shadow *s, unsigned addr, unsigned resp)
{
    static const enum cosim_cover resolution[] = {
        [DMT_RESOLUTION_OK] = COVER_LOAD_OK,         [DMT_RESOLUTION_BAD_ID] = COVER_LOAD_BAD_ID,
        [DMT_RESOLUTION_ABSENT] = COVER_LOAD_ABSENT, [DMT_RESOLUTION_WIDTH] = COVER_LOAD_WIDTH,
        [DMT_RESOLUTION_BUS] = COVER_LOAD_BUS,       [DMT_RESOLUTION_REVOKED] = COVER_LOAD_REVOKED,
    };

    cover[COVER_CSR_ERROR] += resp == DMT_RESP_SLVERR;
    if (s->refused_by != REFUSED_NONE) {
        cover[COVER_CSR_REFUSED]++;
        cover[COVER_REFUSED_TEA + (s->refused_by - REFUSED_TEA)]++;
    }
    if (s->set_load == SET_LOAD_DONE) {
        cover[COVER_SET_LOAD_0 + (addr >> 12)]++;
        cover[COVER_SET_LOAD_RESOLVED] += s->resolutions >> DMT_RESOLUTION_OK & 1;
        cover[COVER_SET_LOAD_REFUSED] += s->refused_by == REFUSED_TEA;
    }
    cover[COVER_SET_LOAD_BUS] += s->set_load == SET_LOAD_BUS;
    for (unsigned i = DMT_RESOLUTION_OK; i <= DMT_RESOLUTION_REVOKED; i++)
        cover[resolution[i]] += s->resolutions >> i & 1;
    cover[COVER_LOAD_COMMAND] +=
        addr == DMT_HOST_BASE + DMT_HOST_GTEA_CMD && (s->resolutions >> DMT_RESOLUTION_OK & 1);
}
