/* SPDX-License-Identifier: Apache-2.0
 * The architectural model: docs/specification.md, sections 3 to 9, in the
 * order in which that page states them. */
#include "dmt/arch.h"
#include "dmt/regs.h"
#include "rules.h"
#include <stdlib.h>
#include <string.h>

#define E_A (1ull << 5)
#define E_D (1ull << 6)
#define RIGHTS_ALL 7

/* One translation under way in one stage. */
struct walk {
    const struct dmt_state *state;
    const struct dmt_request *rq;
    const struct dmt_port *port;
    const struct dmt_level *cr;
    struct dmt_result *r;
    uint8_t stage;
};

static void end_bus(struct walk *w, uint64_t addr, enum dmt_resp resp, bool write)
{
    w->r->status = DMT_STATUS_BUS;
    w->r->addr = addr;
    w->r->stage = w->stage;
    if (resp == DMT_RESP_SLVERR)
        w->r->error = write ? DMT_BUS_ERROR_WRITE_SLVERR : DMT_BUS_ERROR_READ_SLVERR;
    else if (resp == DMT_RESP_DECERR)
        w->r->error = write ? DMT_BUS_ERROR_WRITE_DECERR : DMT_BUS_ERROR_READ_DECERR;
    else
        w->r->error = DMT_BUS_ERROR_NOT_EXCLUSIVE;
}

static bool is_error(enum dmt_resp resp)
{
    return resp == DMT_RESP_SLVERR || resp == DMT_RESP_DECERR;
}

static void end_fault(struct walk *w, uint32_t error)
{
    w->r->status = DMT_STATUS_PF;
    w->r->addr = w->rq->va;
    w->r->error = error;
    w->r->stage = w->stage;
}

/* Read one entry. False: the answer was no use and the translation has ended with BUS. */
static bool read_entry(struct walk *w, const struct dmt_ref *ref, uint64_t *e)
{
    enum dmt_resp resp = w->port->read(w->port->user, ref, e);

    w->r->reads++;
    if (!is_error(resp) && (!ref->exclusive || resp == DMT_RESP_EXOKAY))
        return true;
    end_bus(w, ref->addr, resp, false);
    return false;
}

/* Exclusive write (A5). EXOKAY: done; OKAY: lost; else the translation has ended with BUS. */
static enum dmt_resp write_entry(struct walk *w, const struct dmt_ref *ref, uint64_t e)
{
    enum dmt_resp resp = w->port->write(w->port->user, ref, e);

    if (resp == DMT_RESP_EXOKAY)
        w->r->updates++;
    else if (is_error(resp))
        end_bus(w, ref->addr, resp, true);
    return resp;
}

/* Accessed and dirty bits that this access needs and the entry lacks. */
static uint64_t missing(const struct walk *w, const struct rule_entry *d)
{
    bool dirty = d->leaf && w->rq->access == DMT_ACCESS_WRITE;

    return (d->a ? 0 : E_A) | (dirty && !d->d ? E_D : 0);
}

/* End a first pass whose checks have all passed (A2, A3). True: a second pass is due. */
static bool end_first_pass(struct walk *w, const struct rule_entry *leaf, uint8_t rights, unsigned sz,
                           bool need)
{
    if (need && w->state->ad_update) {
        if (w->rq->nonspec)
            return true;
        w->r->status = DMT_STATUS_RETRY;
        return false;
    }
    rule_ok(w->rq, w->cr, leaf, rights, sz, w->r);
    w->r->ad_needed = need;
    return false;
}

/* ---- TEA fetch (specification 5) */

static struct dmt_ref tea_ref(const struct walk *w, unsigned sz, int index, bool exclusive)
{
    return (struct dmt_ref){
        .addr = rule_tea_entry(&w->state->tea[w->stage][index], w->rq->va),
        .stage = w->stage,
        .level = (uint8_t)(sz + 1),
        .tea = true,
        .index = (uint8_t)index,
        .exclusive = exclusive,
    };
}

/* T2: does the value map the page with this size? */
static bool tea_decides(const struct walk *w, uint64_t e, unsigned sz, struct rule_entry *d)
{
    rule_ia32e(e, sz + 1, w->cr, w->state->maxpa, d);
    return d->present && d->leaf;
}

/* T4: may the deciding leaf be used for this access? */
static bool tea_permits(const struct walk *w, const struct rule_entry *d, uint8_t rights)
{
    return !d->reserved && !rule_denied(w->rq, w->cr, rights, d->pkey);
}

/* Second pass (A4, A5). False: the fetch does not count. */
static bool tea_update(struct walk *w, unsigned sz, int index)
{
    uint8_t allow = w->state->tea[w->stage][index].allow;
    struct dmt_ref ref = tea_ref(w, sz, index, true);
    enum dmt_resp resp = DMT_RESP_OKAY;
    struct rule_entry d;
    uint64_t e, set;

    do {
        if (!read_entry(w, &ref, &e))
            return true;
        if (!tea_decides(w, e, sz, &d) || !tea_permits(w, &d, d.rights & allow))
            return false;
        set = missing(w, &d);
        if (!set)
            break;
        resp = write_entry(w, &ref, e | set);
    } while (resp == DMT_RESP_OKAY);

    if (!set || resp == DMT_RESP_EXOKAY) {
        rule_ia32e(e | set, sz + 1, w->cr, w->state->maxpa, &d);
        rule_ok(w->rq, w->cr, &d, d.rights & allow, sz, w->r);
    }
    return true;
}

/* Sizes (bit each) that may have a match; rule_match() decides. One sweep of the set, where asking for
 * each size takes three: nearly every address meets no or one register. */
static unsigned sizes_to_ask(const struct dmt_tea *set, uint64_t va)
{
    uint64_t vpn = va >> 12;
    unsigned sizes = 0;

    for (unsigned i = 0; i < DMT_TEA_MAX; i++)
        if (vpn - set[i].base_vpn < set[i].pages)
            sizes |= 1u << set[i].sz;
    return sizes;
}

/* Both passes. False: no register matches, or the fetch does not count. */
static bool tea_translate(struct walk *w)
{
    const struct dmt_tea *set = w->state->tea[w->stage];
    int index[3], sz, decider = -1;
    enum dmt_resp resp[3];
    uint64_t e[3];
    struct rule_entry d;
    uint8_t rights;
    unsigned sizes;

    w->r->path[w->stage] = DMT_PATH_RADIX;
    sizes = sizes_to_ask(set, w->rq->va);
    for (sz = DMT_SIZE_1G; sz >= DMT_SIZE_4K; sz--) {
        index[sz] = -1;
        if (sizes >> sz & 1)
            index[sz] = rule_match(set, DMT_TEA_MAX, (unsigned)sz, w->rq->va, &w->r->multi_hit);
        if (index[sz] >= 0)
            w->r->path[w->stage] = DMT_PATH_TEA;
    }
    if (w->r->path[w->stage] == DMT_PATH_RADIX)
        return false;

    /* T1: every size is read before any answer is looked at. */
    w->r->refs++;
    for (sz = DMT_SIZE_1G; sz >= DMT_SIZE_4K; sz--) {
        if (index[sz] < 0)
            continue;
        struct dmt_ref ref = tea_ref(w, (unsigned)sz, index[sz], false);
        resp[sz] = w->port->read(w->port->user, &ref, &e[sz]);
        w->r->reads++;
    }

    for (sz = DMT_SIZE_1G; sz >= DMT_SIZE_4K && decider < 0; sz--) {
        if (index[sz] < 0)
            continue;
        w->r->index[w->stage] = (uint8_t)index[sz];
        if (is_error(resp[sz])) {
            end_bus(w, rule_tea_entry(&set[index[sz]], w->rq->va), resp[sz], false);
            return true;
        }
        if (tea_decides(w, e[sz], (unsigned)sz, &d))
            decider = sz;
    }

    if (decider >= 0) {
        rights = d.rights & set[index[decider]].allow;
        if (tea_permits(w, &d, rights)
            && (!end_first_pass(w, &d, rights, (unsigned)decider, missing(w, &d))
                || tea_update(w, (unsigned)decider, index[decider])))
            return true;
    }
    w->r->path[w->stage] = DMT_PATH_RESTART;
    w->r->index[w->stage] = 0;
    return false;
}

/* ---- x86 walk (specification 6) */

/* One pass from the root or a cached table. True: a second pass is due. */
static bool radix_pass(struct walk *w, bool exclusive)
{
    const struct dmt_port *port = w->port;
    bool need = false, all_accessed = true;
    uint64_t table;
    uint8_t level, rights;

    if (!port->start || !port->start(port->user, w->stage, w->rq->va, &level, &table, &rights)) {
        table = w->cr->cr3 & DMT_LEVEL_CR3_ROOT_MASK;
        level = w->cr->cr4 & DMT_LEVEL_CR4_LA57_MASK ? 5 : 4;
        rights = RIGHTS_ALL;
    }

    for (;; level--) {
        struct dmt_ref ref = {
            .addr = rule_entry_addr(table, level, w->rq->va),
            .stage = w->stage,
            .level = level,
            .exclusive = exclusive,
        };
        struct rule_entry d;
        uint64_t e, set;
        uint32_t denied;

        if (!exclusive)
            w->r->refs++;
        for (;;) {
            if (!read_entry(w, &ref, &e))
                return false;
            rule_ia32e(e, level, w->cr, w->state->maxpa, &d);
            if (!d.present || d.reserved) {
                end_fault(w, rule_fault(w->rq, w->cr, d.reserved));
                return false;
            }
            denied = d.leaf ? rule_denied(w->rq, w->cr, rights & d.rights, d.pkey) : 0;
            if (denied) {
                end_fault(w, denied);
                return false;
            }
            set = missing(w, &d);
            if (!exclusive || !set)
                break;
            enum dmt_resp resp = write_entry(w, &ref, e | set);
            if (resp == DMT_RESP_EXOKAY) {
                rule_ia32e(e | set, level, w->cr, w->state->maxpa, &d);
                break;
            }
            if (is_error(resp))
                return false;
        }

        rights &= d.rights;
        if (d.leaf) {
            if (!exclusive)
                return end_first_pass(w, &d, rights, level - 1u, need || set);
            rule_ok(w->rq, w->cr, &d, rights, level - 1u, w->r);
            return false;
        }
        need |= !d.a;
        all_accessed &= d.a;
        table = d.frame;
        if (port->fill && all_accessed && level <= 4)
            port->fill(port->user, w->stage, w->rq->va, level, table, rights);
    }
}

/* ---- the whole (specification 2 and 3) */

void dmt_arch_translate(const struct dmt_state *state, const struct dmt_request *request,
                        const struct dmt_port *port, struct dmt_result *result)
{
    struct walk w = {
        .state = state, .rq = request, .port = port, .cr = &state->level[0], .r = result, .stage = 0,
    };

    memset(result, 0, sizeof *result);
    if (state->mode > DMT_MODE_NATIVE)
        abort();
    if (state->mode == DMT_MODE_OFF ? request->va >> state->maxpa != 0 : !rule_canonical(request->va, w.cr)) {
        result->status = DMT_STATUS_GP;
        result->addr = request->va;
        return;
    }
    if (state->mode == DMT_MODE_OFF) {
        result->status = DMT_STATUS_OK;
        result->pa = request->va;
        result->size = DMT_SIZE_4K;
        result->rights = RIGHTS_ALL;
        result->dirty = true;
        return;
    }
    if (!tea_translate(&w) && radix_pass(&w, false))
        radix_pass(&w, true);
}

/* ---- registers (specification 4) */

uint8_t dmt_tea_refusal(const struct dmt_tea *tea, unsigned set, bool word0_reserved, unsigned maxpa)
{
    const uint64_t vpns = 1ull << 52;

    if (word0_reserved)
        return DMT_REFUSAL_RESERVED;
    if (tea->sz > DMT_SIZE_1G)
        return DMT_REFUSAL_SZ;
    if (tea->kind > DMT_KIND_GTEA || (tea->kind == DMT_KIND_GTEA && set == 0))
        return DMT_REFUSAL_KIND;
    if (tea->pages == 0)
        return DMT_REFUSAL_EMPTY;
    if (tea->base_vpn > vpns || tea->pages > vpns - tea->base_vpn)
        return DMT_REFUSAL_WRAP;
    if (tea->kind == DMT_KIND_PA) {
        uint64_t bytes = 8 * (((tea->pages - 1) >> 9 * tea->sz) + 1);
        uint64_t limit = 1ull << maxpa;

        /* Compared without adding first: neither side can pass 2^64. */
        if (bytes > limit || tea->base_pfn > (limit - bytes) >> 12)
            return DMT_REFUSAL_WIDTH;
    }
    return DMT_REFUSAL_NONE;
}

void dmt_tea_pack(const struct dmt_tea *tea, uint64_t word[3])
{
    word[0] = tea->base_vpn << DMT_TEA_WORD0_BASE_VPN_LSB
            | (uint64_t)(tea->allow & 1) << DMT_TEA_WORD0_ALLOW_W_LSB
            | (uint64_t)(tea->allow >> 1 & 1) << DMT_TEA_WORD0_ALLOW_U_LSB
            | (uint64_t)(tea->allow >> 2 & 1) << DMT_TEA_WORD0_ALLOW_X_LSB
            | ((uint64_t)tea->kind << DMT_TEA_WORD0_KIND_LSB & DMT_TEA_WORD0_KIND_MASK)
            | ((uint64_t)tea->sz << DMT_TEA_WORD0_SZ_LSB & DMT_TEA_WORD0_SZ_MASK)
            | (uint64_t)tea->valid << DMT_TEA_WORD0_P_LSB;
    word[1] = tea->base_pfn << DMT_TEA_WORD1_BASE_PFN_LSB
            | ((uint64_t)tea->gtea << DMT_TEA_WORD1_GTEA_ID_LSB & DMT_TEA_WORD1_GTEA_ID_MASK);
    word[2] = tea->pages;
}

void dmt_state_reset(struct dmt_state *state, unsigned maxpa)
{
    memset(state, 0, sizeof *state);
    state->mode = DMT_MODE_OFF;
    state->maxpa = (uint8_t)maxpa;
    state->ad_update = true;
}
