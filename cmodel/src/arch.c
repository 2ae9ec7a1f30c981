/* SPDX-License-Identifier: Apache-2.0
 * The architectural model: docs/specification.md, sections 3 to 12. The
 * composition of stages is the recursion of section 3, translate(). */
#include "dmt/arch.h"
#include "dmt/regs.h"
#include "rules.h"
#include <string.h>

#define RIGHTS_ALL    7  /* of the entering stage */
#define RIGHTS_S2_ALL 15 /* of a second stage */

/* What follows. */
enum next {
    GO_ON,
    NOT_COVERED, /* no register of the set covers the address */
    UNDECIDED,   /* none of the sizes fetched decides (T2) */
    NO_COUNT,    /* the TEA fetch does not count (T3, T4) */
    SECOND_PASS, /* the first pass is done, and A4 asks for a second */
    ENDED        /* the answer stands, or the port gave the translation up */
};

/* One translation under way. */
struct walk {
    const struct dmt_state *state;
    const struct dmt_request *rq;
    const struct dmt_port *port;
    const struct dmt_level *cr; /* of the entering stage */
    struct dmt_result *r;
    unsigned entering;
    bool second;    /* second pass (A4) */
    bool need;      /* an entry before lacks A or D; never in a second pass, which writes them */
    bool user_page; /* the entering stage's leaf, once there is one */
    struct {
        const struct dmt_s2 *s2;
        struct rule_entry leaf; /* its rights are those of all levels */
        uint8_t sz;
    } final[DMT_SETS_MAX]; /* leaves of the final access, from the entering stage down */
};

/* Where a table access ended, and what the second stages that took it there allow. */
struct location {
    uint64_t hpa;
    struct {
        const struct dmt_s2 *s2; /* NULL: not used */
        uint64_t addr;           /* that it translated */
        uint8_t rights;
    } stage[2];
};

/* An entry that a stage waits for. */
struct slot {
    struct dmt_ref ref;
    const struct dmt_s2 *s2; /* what its table is like; NULL: the entering stage's */
    uint64_t addr;           /* that the stage translates */
    enum rule_kind kind;
    uint8_t rights;            /* of the levels before; of a TEA fetch the allow bits */
    const struct location *by; /* NULL: not located by a second stage now */
};

static enum next translate(struct walk *w, unsigned k, uint64_t a, enum rule_kind kind, bool ask_cache,
                           struct location *out);

/* Translate where an entry lies, an address of level k. */
static enum next locate(struct walk *w, unsigned k, uint64_t addr, bool ask_cache, struct location *by)
{
    memset(by, 0, sizeof *by);
    w->r->matches += ask_cache; /* where a root's entry lies is known with the match that leads to the root */
    return translate(w, k, addr, RULE_TABLE, ask_cache, by);
}

/* Do the tables lie at host physical addresses, and their leaves yield them? */
static bool is_lowest(const struct walk *w, unsigned k, const struct dmt_s2 *s2)
{
    return k == 0 || s2 == &w->state->shadow;
}

/* ---- answers (specification 2) */

static enum next end_bus(struct walk *w, const struct dmt_ref *ref, enum dmt_resp resp, bool write)
{
    w->r->status = DMT_STATUS_BUS;
    w->r->addr = ref->addr;
    w->r->stage = ref->stage;
    if (resp == DMT_RESP_SLVERR)
        w->r->error = write ? DMT_BUS_ERROR_WRITE_SLVERR : DMT_BUS_ERROR_READ_SLVERR;
    else if (resp == DMT_RESP_DECERR)
        w->r->error = write ? DMT_BUS_ERROR_WRITE_DECERR : DMT_BUS_ERROR_READ_DECERR;
    else
        w->r->error = DMT_BUS_ERROR_NOT_EXCLUSIVE;
    return ENDED;
}

static enum next end_pf(struct walk *w, uint32_t error)
{
    w->r->status = DMT_STATUS_PF;
    w->r->addr = w->rq->va;
    w->r->error = error;
    w->r->stage = (uint8_t)w->entering;
    return ENDED;
}

static enum next end_s2(struct walk *w, unsigned k, const struct dmt_s2 *s2, uint64_t addr,
                        enum rule_kind kind, enum rule_s2_fault fault, uint8_t rights)
{
    w->r->status = rule_s2_fault(s2, kind, fault, w->rq, rights, &w->r->error);
    w->r->addr = addr;
    w->r->stage = (uint8_t)k;
    return ENDED;
}

static enum next end_gtea(struct walk *w, unsigned k, uint64_t addr, unsigned index)
{
    const struct dmt_tea *t = &w->state->tea[k][index];

    w->r->status = DMT_STATUS_GTEA;
    w->r->addr = addr;
    w->r->error = t->gtea | (uint64_t)index << 12 | (uint64_t)(t->resolution != DMT_RESOLUTION_OK) << 18;
    w->r->stage = (uint8_t)k;
    w->r->index[k] = (uint8_t)index;
    w->r->refused = true;
    return ENDED;
}

/* The leaves of all stages put together. */
static void end_ok(struct walk *w, uint64_t pa)
{
    struct dmt_result *r = w->r;
    unsigned k = w->entering;
    uint8_t rights = RIGHTS_S2_ALL, x;

    rule_ok(w->rq, w->cr, &w->final[k].leaf, w->final[k].leaf.rights, w->final[k].sz, r);
    if (k == 0)
        return;
    r->addr = r->pa;
    r->pa = pa;
    do {
        k--;
        if (w->final[k].sz < r->size)
            r->size = w->final[k].sz;
        r->dirty &= w->final[k].leaf.d;
        rights &= w->final[k].leaf.rights;
    } while (!is_lowest(w, k, w->final[k].s2));
    r->memtype |= (uint8_t)(w->final[k].leaf.memtype << 3);
    /* A second stage's rights are {XU, X, R or U, W}, the answer's {NR, X, U, W}. */
    x = rights >> (w->user_page ? 3 : 2) & 1;
    r->rights &= (uint8_t)(x << 2 | 2 | (rights & 1));
    r->rights |= (uint8_t)((~rights & 2) << 2);
}

/* ---- one entry */

static bool is_error(enum dmt_resp resp)
{
    return resp == DMT_RESP_SLVERR || resp == DMT_RESP_DECERR;
}

static enum dmt_resp read_entry(struct walk *w, const struct dmt_ref *ref, uint64_t *e)
{
    w->r->reads++;
    return w->port->read(w->port->user, ref, e);
}

static void decode(const struct walk *w, const struct slot *s, uint64_t e, struct rule_entry *d)
{
    if (s->s2)
        rule_s2(e, s->ref.level, s->s2, w->state->maxpa, d);
    else
        rule_ia32e(e, s->ref.level, w->cr, w->state->maxpa, d);
}

/* The checks of an entry on its own: specification 6, steps 2 to 5, or T2 and T4. The rights of *d become
 * those of all levels so far. */
static enum next judge(struct walk *w, const struct slot *s, uint64_t e, struct rule_entry *d)
{
    enum rule_s2_fault fault;
    uint32_t error;

    decode(w, s, e, d);
    d->rights &= s->rights;
    if (!d->present || d->reserved) {
        fault = d->present ? RULE_S2_RESERVED : RULE_S2_ABSENT;
        error = rule_fault(w->rq, w->cr, d->present);
    } else if (!d->leaf) {
        return s->ref.tea ? NO_COUNT : GO_ON;
    } else if (s->s2) {
        if (rule_s2_allows(s->s2, s->kind, w->rq, w->user_page, d->rights))
            return GO_ON;
        fault = RULE_S2_RIGHTS;
        error = 0;
    } else {
        fault = RULE_S2_RIGHTS;
        error = rule_denied(w->rq, w->cr, d->rights, d->pkey);
        if (!error)
            return GO_ON;
    }
    if (s->ref.tea)
        return NO_COUNT;
    return s->s2 ? end_s2(w, s->ref.stage, s->s2, s->addr, s->kind, fault, d->rights) : end_pf(w, error);
}

/* Accessed and dirty bits that the entry lacks (specification 9). */
static uint64_t missing(const struct walk *w, const struct slot *s, const struct rule_entry *d)
{
    bool ept = s->s2 && s->s2->format == DMT_FORMAT_EPT;
    bool writes = s->s2 ? rule_s2_writes(s->s2, s->kind, w->rq) : w->rq->access == DMT_ACCESS_WRITE;
    uint64_t a = !d->a, d_too = d->leaf && writes && !d->d;

    return (a | d_too << 1) << (ept ? 8 : 5);
}

/* A5: do the second stages that located the entry let it be written? */
static enum next check_table_write(struct walk *w, const struct slot *s)
{
    for (unsigned k = 2; s->by && k-- > 0;) {
        const struct dmt_s2 *s2 = s->by->stage[k].s2;
        uint8_t rights = s->by->stage[k].rights;

        if (s2 && !(rights & 1))
            return end_s2(w, k, s2, s->by->stage[k].addr, RULE_TABLE_WRITE, RULE_S2_RIGHTS, rights);
    }
    return GO_ON;
}

/* Judge the entry as it was read, and settle its accessed and dirty bits (A1 to A7). */
static enum next settle(struct walk *w, struct slot *s, uint64_t e, struct rule_entry *d)
{
    for (;;) {
        enum next next = judge(w, s, e, d);
        enum dmt_resp resp;
        uint64_t set;

        if (next != GO_ON)
            return next;
        set = missing(w, s, d);
        if (!w->second) {
            if (!d->leaf || s->kind != RULE_FINAL || !is_lowest(w, s->ref.stage, s->s2)) {
                w->need |= set != 0;
                return GO_ON;
            }
            if (!set && !w->need)
                return GO_ON;
            if (!w->state->ad_update) {
                w->r->ad_needed = true;
                return GO_ON;
            }
            if (!w->rq->nonspec) {
                w->r->status = DMT_STATUS_RETRY;
                return ENDED;
            }
            if (w->need)
                return SECOND_PASS;
        } else if (!set) {
            return GO_ON;
        }

        if (!s->ref.exclusive) {
            next = check_table_write(w, s);
            if (next != GO_ON)
                return next;
            s->ref.exclusive = true;
        } else {
            resp = w->port->write(w->port->user, &s->ref, e | set);
            if (resp == DMT_RESP_STOP)
                return ENDED;
            if (is_error(resp))
                return end_bus(w, &s->ref, resp, true);
            if (resp == DMT_RESP_EXOKAY) {
                w->r->updates++;
                return judge(w, s, e | set, d);
            }
        }
        resp = read_entry(w, &s->ref, &e);
        if (resp == DMT_RESP_STOP)
            return ENDED;
        if (resp != DMT_RESP_EXOKAY)
            return end_bus(w, &s->ref, resp, false);
    }
}

/* ---- TEA fetch (specification 4 and 5) */

static void took_path(struct walk *w, unsigned k, uint8_t path)
{
    if (w->r->path[k] < path)
        w->r->path[k] = path;
}

/* Sizes (bit each) that may have a match; rule_match() decides. One sweep of the set, where asking for
 * each size takes three: nearly every address meets no or one register. */
static unsigned sizes_to_ask(const struct dmt_tea *set, uint64_t a)
{
    uint64_t vpn = a >> 12;
    unsigned sizes = 0;

    for (unsigned i = 0; i < DMT_TEA_MAX; i++)
        if (vpn - set[i].base_vpn < set[i].pages)
            sizes |= 1u << set[i].sz;
    return sizes & 7;
}

/* Which of `sizes` are fetched next, and their registers: all that match (T1), or the largest alone when
 * the location of one has to be translated first (T1'). *chain: it is that one's. */
static unsigned match(struct walk *w, unsigned k, uint64_t a, unsigned sizes, unsigned index[3], bool *chain)
{
    const struct dmt_tea *set = w->state->tea[k];
    unsigned found = 0, use, largest = 0;
    bool multi[3] = {false}, any_located = false;

    for (unsigned sz = 3; sz-- > 0;) {
        int i = sizes >> sz & 1 ? rule_match(set, DMT_TEA_MAX, sz, a, &multi[sz]) : -1;

        if (i < 0)
            continue;
        if (!found)
            largest = sz;
        found |= 1u << sz;
        index[sz] = (unsigned)i;
        any_located |= k > 0 && set[i].kind == DMT_KIND_PA;
    }
    use = any_located ? 1u << largest : found;
    for (unsigned sz = 0; sz < 3; sz++)
        w->r->multi_hit |= (uint8_t)((multi[sz] && (use >> sz & 1)) << k);
    *chain = any_located && set[index[largest]].kind == DMT_KIND_PA;
    return use;
}

/* The entry of a size's register is looked at next. */
static void point_at(struct slot *s, unsigned sz, const struct dmt_tea *t, unsigned index)
{
    s->ref.addr = s->by ? s->by->hpa : rule_tea_entry(t, s->addr);
    s->ref.level = (uint8_t)(sz + 1);
    s->ref.index = (uint8_t)index;
}

/* Of the fetch that the entry of *s has decided. */
static void name_surplus(struct walk *w, const struct slot *s, unsigned use, const unsigned index[3])
{
    const struct dmt_tea *set = w->state->tea[s->ref.stage];
    struct slot other = *s;

    other.ref.beside = true;
    for (unsigned sz = s->ref.level - 1u; sz-- > 0 && w->port->surplus;) {
        if (use >> sz & 1) {
            point_at(&other, sz, &set[index[sz]], index[sz]);
            w->port->surplus(w->port->user, &other.ref);
        }
    }
}

/* Fetch what match() chose (T1, T2): the entries up to the one that decides are read; those after it are
 * surplus, which nobody looks at. GO_ON: *s and *d are the entry that maps the page. */
static enum next fetch_sizes(struct walk *w, struct slot *s, unsigned use, const unsigned index[3],
                             struct rule_entry *d)
{
    const struct dmt_tea *set = w->state->tea[s->ref.stage];
    bool first = true;

    w->r->refs += !w->second;
    for (unsigned sz = 3; sz-- > 0;) {
        const struct dmt_tea *t = &set[index[sz]];
        enum dmt_resp resp;
        uint64_t e;

        if (!(use >> sz & 1))
            continue;
        point_at(s, sz, t, index[sz]);
        s->ref.beside = !first;
        first = false;
        resp = read_entry(w, &s->ref, &e);
        if (resp == DMT_RESP_STOP)
            return ENDED;
        if (is_error(resp)) {
            w->r->index[s->ref.stage] = s->ref.index;
            name_surplus(w, s, use, index);
            return end_bus(w, &s->ref, resp, false);
        }
        s->rights = s->s2 ? rule_s2_allow_bits(t->allow) : t->allow;
        decode(w, s, e, d);
        if (d->present && d->leaf) {
            w->r->index[s->ref.stage] = s->ref.index;
            name_surplus(w, s, use, index);
            return settle(w, s, e, d);
        }
    }
    return UNDECIDED;
}

/* NOT_COVERED, NO_COUNT (then the stage is to walk), or as fetch_sizes(). */
static enum next fetch(struct walk *w, struct slot *s, struct location *by, struct rule_entry *d)
{
    unsigned k = s->ref.stage, sizes = sizes_to_ask(w->state->tea[k], s->addr), use, index[3] = {0};
    const struct dmt_tea *set = w->state->tea[k];
    enum next next = NOT_COVERED;
    bool chain;

    while (sizes && (use = match(w, k, s->addr, sizes, index, &chain)) != 0) {
        w->r->matches += next == NO_COUNT; /* T1': a smaller size */
        took_path(w, k, DMT_PATH_TEA);
        for (unsigned sz = 3; sz-- > 0;) {
            const struct dmt_tea *t = &set[index[sz]];

            if ((use >> sz & 1) && t->kind == DMT_KIND_GTEA &&
                (t->resolution != DMT_RESOLUTION_OK || !rule_gtea_within(t, s->addr)))
                return end_gtea(w, k, s->addr, index[sz]);
        }
        s->by = NULL;
        w->r->chains += chain;
        if (chain) {
            /* One bit of use is set: 1, 2, 4 for sizes 0, 1, 2. */
            next = locate(w, k - 1, rule_tea_entry(&set[index[use >> 1]], s->addr), true, by);
            if (next != GO_ON)
                return next;
            s->by = by;
        }
        next = fetch_sizes(w, s, use, index, d);
        if (next != UNDECIDED)
            return next;
        next = NO_COUNT;
        sizes &= (use & -use) - 1; /* the smaller ones */
    }
    return next;
}

/* ---- walk (specification 6) */

/* The entry of level n that is about to be read was located by second stages: cache that table. */
static void fill_located(struct walk *w, const struct slot *s, unsigned n)
{
    for (unsigned k = 0; k < 2; k++)
        if (s->by->stage[k].s2 && !(s->by->stage[k].rights & 1))
            return;
    if (w->port->fill && !w->need && n + 1 <= 4)
        w->port->fill(w->port->user, s->ref.stage, s->addr, (uint8_t)(n + 1), s->by->hpa & ~0xfffull,
                      s->rights);
}

/* GO_ON: *s and *d are the leaf. s->s2, addr, kind and ref.stage are given. */
static enum next walk(struct walk *w, struct slot *s, bool ask_cache, struct location *by,
                      struct rule_entry *d)
{
    const struct dmt_port *port = w->port;
    uint8_t stage = s->ref.stage, level;
    bool lowest = is_lowest(w, stage, s->s2), at_root = false, direct = true;
    uint64_t table;

    if (!ask_cache || !port->start || !port->start(port->user, stage, s->addr, &level, &table, &s->rights)) {
        at_root = true;
        direct = lowest;
        if (s->s2) {
            table = s->s2->root;
            level = s->s2->five ? 5 : 4;
            s->rights = RIGHTS_S2_ALL;
        } else {
            table = w->cr->cr3 & DMT_LEVEL_CR3_ROOT_MASK;
            level = w->cr->cr4 & DMT_LEVEL_CR4_LA57_MASK ? 5 : 4;
            s->rights = RIGHTS_ALL;
        }
    }

    for (;; level--) {
        uint64_t addr = rule_entry_addr(table, level, s->addr), e;
        enum dmt_resp resp;
        enum next next;

        s->by = NULL;
        if (!direct) {
            next = locate(w, stage - 1u, addr, !at_root, by);
            if (next != GO_ON)
                return next;
            addr = by->hpa;
            s->by = by;
            if (!at_root)
                fill_located(w, s, level);
        }
        s->ref = (struct dmt_ref){.addr = addr, .stage = stage, .level = level};
        w->r->refs += !w->second;
        resp = read_entry(w, &s->ref, &e);
        if (resp == DMT_RESP_STOP)
            return ENDED;
        if (is_error(resp))
            return end_bus(w, &s->ref, resp, false);
        next = settle(w, s, e, d);
        if (next != GO_ON || d->leaf)
            return next;
        s->rights = d->rights;
        table = d->frame;
        at_root = false;
        direct = lowest;
        if (lowest && port->fill && !w->need && level <= 4)
            port->fill(port->user, stage, s->addr, level, table, s->rights);
    }
}

/* ---- composition (specification 3) */

/* Translate address a of level k down to the hPA. ask_cache: a walk may start from a cached table; not so
 * at the root of the stage above. */
static enum next translate(struct walk *w, unsigned k, uint64_t a, enum rule_kind kind, bool ask_cache,
                           struct location *out)
{
    const struct dmt_state *state = w->state;
    bool second_stage = k < w->entering, shadow = second_stage && k == 1 && !state->full;
    const struct dmt_s2 *tables = !second_stage ? NULL : shadow ? &state->shadow : &state->s2[k];
    struct slot s = {
        .ref = {.stage = (uint8_t)k, .tea = true},
        .s2 = second_stage ? &state->s2[k] : NULL,
        .addr = a,
        .kind = kind,
    };
    struct location by;
    struct rule_entry d;
    enum next next;
    uint64_t yield;

    if (tables && rule_s2_wide(a, tables)) {
        took_path(w, k, DMT_PATH_RADIX);
        w->r->refused = true;
        return end_s2(w, k, tables, a, kind, RULE_S2_ABSENT, 0);
    }
    next = fetch(w, &s, &by, &d);
    if (next == NOT_COVERED || next == NO_COUNT) {
        took_path(w, k, next == NO_COUNT ? DMT_PATH_RESTART : DMT_PATH_RADIX);
        w->r->matches += next == NO_COUNT;
        s.ref = (struct dmt_ref){.stage = (uint8_t)k};
        s.s2 = tables;
        next = walk(w, &s, ask_cache || next == NO_COUNT, &by, &d);
    }
    if (next != GO_ON)
        return next;

    if (kind == RULE_FINAL) {
        w->final[k].s2 = s.s2;
        w->final[k].leaf = d;
        w->final[k].sz = s.ref.level - 1;
        if (!second_stage)
            w->user_page = d.rights & 2;
    } else {
        out->stage[k].s2 = s.s2;
        out->stage[k].addr = a;
        out->stage[k].rights = d.rights;
    }
    yield = d.frame | (a & ((1ull << (9 * s.ref.level + 3)) - 1));
    if (!is_lowest(w, k, s.s2)) {
        w->r->matches++;
        return translate(w, k - 1, yield, kind, true, out);
    }
    out->hpa = yield;
    return GO_ON;
}

void dmt_arch_translate(const struct dmt_state *state, const struct dmt_request *request,
                        const struct dmt_port *port, struct dmt_result *result)
{
    unsigned entering = state->mode == DMT_MODE_OFF ? 0 : state->mode - DMT_MODE_NATIVE;
    struct walk w = {
        .state = state,
        .rq = request,
        .port = port,
        .cr = &state->level[entering],
        .r = result,
        .entering = entering,
    };
    struct location end;
    enum next next;

    memset(result, 0, sizeof *result);
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
    result->matches = 1;
    next = translate(&w, entering, request->va, RULE_FINAL, true, &end);
    if (next == SECOND_PASS) {
        w.second = true;
        w.need = false;
        result->matches++;
        next = translate(&w, entering, request->va, RULE_FINAL, true, &end);
    }
    if (next == GO_ON)
        end_ok(&w, end.hpa);
    for (unsigned k = 0; k < DMT_SETS_MAX; k++)
        if (result->path[k] != DMT_PATH_TEA)
            result->index[k] = 0;
}

/* ---- registers (specification 4 and 12) */

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

uint8_t dmt_gtea_resolve(const struct dmt_state *state, unsigned set, unsigned id,
                         enum dmt_resp (*read)(void *user, uint64_t addr, uint64_t *data), void *user,
                         uint64_t *base, uint64_t *pages)
{
    uint64_t frames = 1ull << (state->maxpa - 12), word[2], first, size;
    bool failed = false;

    *base = *pages = 0;
    if (id >= state->gtea[set].entries)
        return DMT_RESOLUTION_BAD_ID;
    for (unsigned i = 0; i < 2; i++) {
        enum dmt_resp resp = read(user, state->gtea[set].table + 16ull * id + 8 * i, &word[i]);

        if (resp == DMT_RESP_STOP)
            return DMT_RESOLUTION_BUS;
        failed |= is_error(resp);
    }
    if (failed)
        return DMT_RESOLUTION_BUS;
    if (!(word[0] & 1))
        return DMT_RESOLUTION_ABSENT;
    first = word[0] >> 12 & ((1ull << 40) - 1);
    size = word[1] & ((1ull << 52) - 1);
    if (size == 0 || first + size > frames)
        return DMT_RESOLUTION_WIDTH;
    *base = first;
    *pages = size;
    return DMT_RESOLUTION_OK;
}

void dmt_tea_pack(const struct dmt_tea *tea, uint64_t word[3])
{
    word[0] = tea->base_vpn << DMT_TEA_WORD0_BASE_VPN_LSB |
              (uint64_t)(tea->allow & 1) << DMT_TEA_WORD0_ALLOW_W_LSB |
              (uint64_t)(tea->allow >> 1 & 1) << DMT_TEA_WORD0_ALLOW_U_LSB |
              (uint64_t)(tea->allow >> 2 & 1) << DMT_TEA_WORD0_ALLOW_X_LSB |
              ((uint64_t)tea->kind << DMT_TEA_WORD0_KIND_LSB & DMT_TEA_WORD0_KIND_MASK) |
              ((uint64_t)tea->sz << DMT_TEA_WORD0_SZ_LSB & DMT_TEA_WORD0_SZ_MASK) |
              (uint64_t)tea->valid << DMT_TEA_WORD0_P_LSB;
    word[1] = tea->base_pfn << DMT_TEA_WORD1_BASE_PFN_LSB |
              ((uint64_t)tea->gtea << DMT_TEA_WORD1_GTEA_ID_LSB & DMT_TEA_WORD1_GTEA_ID_MASK);
    word[2] = tea->pages;
}

void dmt_state_reset(struct dmt_state *state, unsigned maxpa)
{
    memset(state, 0, sizeof *state);
    state->mode = DMT_MODE_OFF;
    state->maxpa = (uint8_t)maxpa;
    state->ad_update = true;
}
