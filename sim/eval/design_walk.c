/* SPDX-License-Identifier: Apache-2.0
 * The x86 walk and DMT, in one or more stages: one recursion, as in hardware.
 * host(k, a) takes an address of level k to host memory: a TEA register of set k
 * says where its leaf is, or the radix table of stage k is walked; an entry that
 * lies in memory of the level below is first taken to the host itself. */
#include "eval/design.h"

#include "dmt/regs.h"
#include "io.h"
#include <stdlib.h>
#include <string.h>

#define STAGES 3
#define FINAL  20 /* slot of the final host walk */

/* Registers that are valid, as they are matched. */
struct reg {
    uint64_t base, pages; /* VPN, 4 KiB pages */
    uint64_t at;          /* address of the TEA, of the level below or, when direct, in host memory */
    uint8_t size;
    bool direct;
    uint64_t table; /* gTEA: host address of its table entry */
};

/* Paging-structure caches of one kind of stage: [l] holds entries of level l. */
struct pwc {
    struct eval_assoc *of[5];
    uint64_t last[5];
};

struct walker {
    const struct eval_config *config;
    struct eval_system *system;
    const struct dmt_state *state;
    unsigned entry; /* stage that requests enter at */
    bool tea, full;
    struct mirror *mirror[STAGES + 1]; /* [EVAL_SHADOW] */
    struct pwc pwc[STAGES + 1];        /* of each stage's walks; the entering one's first */
    bool cached[STAGES + 1];
    struct eval_assoc *ntlb[STAGES];
    uint64_t generation;
    struct reg reg[STAGES][DMT_TEA_MAX];
    unsigned regs[STAGES];
    uint64_t by_tea[STAGES], by_radix[STAGES + 1], restarts, gtea_reads, pwc_hits[5];
};

/* One walk under way. */
struct walk {
    struct walker *d;
    struct eval_caches *c;
    struct eval_walk *w;
    uint64_t now;
    unsigned size; /* smallest leaf so far */
    /* Reads of each stage that nobody waits for any more; the clock of the last answer, and how many it had. */
    struct {
        uint64_t due[2];
        unsigned n;
    } surplus[STAGES];
    uint64_t taken;
    unsigned taken_now;
};

/* ---------------------------------------------------------------- set-up */

static void load_registers(struct walker *d)
{
    d->generation = eval_system_generation(d->system);
    for (unsigned k = 0; k <= d->entry; k++) {
        d->mirror[k] = eval_system_stage(d->system, k);
        d->regs[k] = 0;
        for (unsigned i = 0; d->tea && i < DMT_TEA_MAX; i++) {
            const struct dmt_tea *t = &d->state->tea[k][i];
            if (!t->valid || (t->kind == DMT_KIND_GTEA && t->resolution != DMT_RESOLUTION_OK)) {
                continue;
            }
            bool gtea = t->kind == DMT_KIND_GTEA;
            d->reg[k][d->regs[k]++] = (struct reg){
                .base = t->base_vpn,
                .pages = t->pages,
                .at = (gtea ? t->gtea_base + t->base_pfn : t->base_pfn) << 12,
                .size = t->sz,
                .direct = gtea || k == 0,
                .table = gtea ? d->state->gtea[k].table + 16 * (uint64_t)t->gtea : 0,
            };
        }
    }
    d->mirror[EVAL_SHADOW] = d->entry == 2 && !d->full ? eval_system_stage(d->system, EVAL_SHADOW) : NULL;
}

static void *make(const struct eval_config *c, struct eval_system *s, bool tea)
{
    struct walker *d = calloc(1, sizeof *d);

    if (d == NULL) {
        say("out of memory");
        return NULL;
    }
    d->config = c;
    d->system = s;
    d->state = eval_system_state(s);
    d->entry = d->state->mode == DMT_MODE_NESTED ? 2 : d->state->mode == DMT_MODE_VIRT ? 1 : 0;
    d->tea = tea;
    d->full = d->state->full;
    /* The entering stage has its own; all second stages' walks share the others, as in the RTL. */
    for (unsigned k = 0; k <= STAGES; k++) {
        d->cached[k] = k == d->entry || c->npwc;
        if (k == d->entry || k == 0) {
            d->pwc[k].of[4] = eval_assoc_new(c->pwc4_entries, c->pwc4_ways, c->pwc_policy);
            d->pwc[k].of[3] = eval_assoc_new(c->pwc3_entries, c->pwc3_ways, c->pwc_policy);
            d->pwc[k].of[2] = eval_assoc_new(c->pwc2_entries, c->pwc2_ways, c->pwc_policy);
        }
        if (k < STAGES) {
            d->ntlb[k] = eval_assoc_new(c->ntlb_entries, c->ntlb_ways, EVAL_LRU);
        }
    }
    load_registers(d);
    return d;
}

static void *make_radix(const struct eval_config *c, struct eval_system *s)
{
    return make(c, s, false);
}

static void *make_dmt(const struct eval_config *c, struct eval_system *s)
{
    return make(c, s, true);
}

static void flush(void *user, bool host)
{
    struct walker *d = user;

    for (unsigned k = 0; k <= STAGES; k++) {
        if (k != d->entry && !host) {
            continue;
        }
        for (unsigned l = 2; l <= 4; l++) {
            if (d->pwc[k].of[l] != NULL) {
                eval_assoc_clear(d->pwc[k].of[l]);
            }
            d->pwc[k].last[l] = 0;
        }
        if (k < STAGES) {
            eval_assoc_clear(d->ntlb[k]);
        }
    }
}

static void close(void *user)
{
    struct walker *d = user;

    for (unsigned k = 0; k <= STAGES; k++) {
        for (unsigned l = 2; l <= 4; l++) {
            eval_assoc_free(d->pwc[k].of[l]);
        }
        if (k < STAGES) {
            eval_assoc_free(d->ntlb[k]);
        }
    }
    free(d);
}

/* ---------------------------------------------------------------- reads */

/* When memory's answer that is due in clock `due` is taken: so many in a clock as there are ports. */
static uint64_t take(struct walk *x, uint64_t due)
{
    if (due > x->taken || x->taken_now == x->d->config->walker_ports) {
        x->taken = due > x->taken ? due : x->taken + 1;
        x->taken_now = 0;
    }
    x->taken_now++;
    return x->taken;
}

/* The answer of a read of stage k: those of a stage come in order, surplus ones before it; of several stages the
 * one that is due first. */
static uint64_t answered(struct walk *x, unsigned k, uint64_t due)
{
    for (;;) {
        unsigned first = k;
        uint64_t at = x->surplus[k].n != 0 ? x->surplus[k].due[0] : due;
        for (unsigned s = 0; s < STAGES; s++) {
            if (s != k && x->surplus[s].n != 0 && x->surplus[s].due[0] <= at) {
                first = s;
                at = x->surplus[s].due[0];
            }
        }
        at = take(x, at);
        if (first == k && x->surplus[k].n == 0) {
            return at;
        }
        x->surplus[first].due[0] = x->surplus[first].due[1];
        x->surplus[first].n--;
    }
}

/* One reference of stage k, after all before it. */
static enum eval_level read_entry(struct walk *x, unsigned k, uint64_t hpa)
{
    const struct eval_config *g = x->d->config;
    enum eval_level level;
    uint64_t start = x->now + (x->w->refs == 0 ? g->walk_first : g->walk_next);
    uint64_t due = eval_caches_walk(x->c, hpa, start, &level);

    eval_walk_note(x->w, hpa, due - start, level, false);
    x->now = answered(x, k, due);
    return level;
}

/* ---------------------------------------------------------------- paging-structure caches */

/* Second stages, and the shadow table in their place, use one set of caches: keys say whose an entry is. */
static struct pwc *pwc_of(struct walker *d, unsigned stage)
{
    return &d->pwc[stage == d->entry ? stage : 0];
}

static uint64_t pwc_key(const struct walker *d, unsigned stage, uint64_t addr, unsigned level)
{
    return (addr >> (3 + 9 * level)) / d->config->pwc_span << 2 | stage;
}

static bool pwc_probe(struct walker *d, unsigned stage, uint64_t addr, unsigned level)
{
    struct pwc *p = pwc_of(d, stage);
    uint64_t key = pwc_key(d, stage, addr, level);
    bool again = d->config->repeat_miss != 0 && p->last[level] == key + 1;
    bool hit = eval_assoc_find(p->of[level], key >> 2, key) != NULL;

    p->last[level] = key + 1;
    if (!hit && d->config->repeat_miss != 0) {
        eval_assoc_put(p->of[level], key >> 2, key, 0);
    }
    return hit && !again;
}

/* The level at which a walk starts: below the deepest entry that is cached. All levels are looked at. */
static unsigned pwc_start(struct walker *d, unsigned stage, uint64_t addr, unsigned top)
{
    unsigned start = top;

    for (unsigned level = top < 4 ? top : 4; level >= 2; level--) {
        if (pwc_probe(d, stage, addr, level)) {
            start = level - 1;
        }
    }
    return start;
}

static void pwc_fill(struct walker *d, unsigned stage, uint64_t addr, unsigned level)
{
    if (level >= 2 && level <= 4 && d->config->repeat_miss == 0) {
        uint64_t key = pwc_key(d, stage, addr, level);
        eval_assoc_put(pwc_of(d, stage)->of[level], key >> 2, key, 0);
    }
}

/* ---------------------------------------------------------------- the walk */

static bool host(struct walk *x, int k, uint64_t addr, int slot, bool root, uint64_t *hpa);

/* Where the entry of a table lies in host memory. Its page counts for nothing else. */
static bool locate(struct walk *x, int k, uint64_t at, int slot, bool root, uint64_t *hpa)
{
    unsigned size = x->size;
    bool ok = host(x, k, at, slot, root, hpa);

    x->size = size;
    return ok;
}

/* slot: of the level-4 entry of this walk. A guest's entry comes after its host walk's four. */
static void note_slot(struct walk *x, unsigned stage, int slot, unsigned level, enum eval_level served)
{
    if (slot >= 0 && level <= 4) {
        bool guest = stage == x->d->entry && stage != 0;
        x->w->slot[guest ? 5 * (4 - level) + 4 : (unsigned)slot + 4 - level] = (uint8_t)served;
    }
}

/* The radix table of a stage. slot: of the level-4 reference of this walk, or -1. */
static bool radix(struct walk *x, unsigned stage, uint64_t addr, int slot, bool root, uint64_t *to)
{
    struct walker *d = x->d;
    const struct eval_config *g = d->config;
    bool second = stage != d->entry, direct = stage == 0 || stage == EVAL_SHADOW;
    bool cached = d->cached[stage] && !(second && root && !g->npwc_root) &&
                  !(second && slot == FINAL && !g->npwc_final);
    struct mirror_path p;
    unsigned start;

    mirror_walk(d->mirror[stage], addr, &p);
    d->by_radix[stage]++;
    start = cached ? pwc_start(d, stage, addr, p.top) : p.top;
    if (start < p.leaf) {
        start = p.leaf; /* an entry above it was cached, when that led to a table */
    }
    if (start != p.top) {
        x->now += g->pwc_clocks;
        d->pwc_hits[start + 1]++;
        note_slot(x, stage, slot, start + 1, EVAL_PWC);
    }
    for (unsigned level = start;; level--) {
        const struct mirror_step *s = &p.step[level];
        uint64_t hpa = s->hpa;
        if (!direct && !(g->pwc_combined && level == start && start != p.top)) {
            if (!locate(x, (int)stage - 1, s->at, slot >= 0 && level <= 4 ? 5 * (4 - (int)level) : -1,
                        level == p.top, &hpa)) {
                return false;
            }
            /* An entry that leads to a host address is kept when that is known: after the walks that told. */
            if (g->pwc_combined && level != p.top) {
                pwc_fill(d, stage, addr, level + 1);
            }
        }
        note_slot(x, stage, slot, level, read_entry(x, stage == EVAL_SHADOW ? 1 : stage, hpa));
        if (level == p.leaf) {
            break;
        }
        if (direct || !g->pwc_combined) {
            pwc_fill(d, stage, addr, level);
        }
    }
    if (!p.present) {
        return false;
    }
    if (p.leaf - 1u < x->size) {
        x->size = p.leaf - 1u;
    }
    *to = p.to;
    return true;
}

/* Is there a leaf of a register's page size at hpa, in a table of stage k? */
static bool is_leaf(const struct walk *x, unsigned k, const struct reg *r, uint64_t hpa, uint64_t *entry)
{
    bool ept = k < x->d->entry;

    *entry = 0;
    dmt_mem_read(eval_system_mem(x->d->system), hpa, entry);
    return (*entry & (ept ? 7 : DMT_PTE_P)) != 0 && (r->size == DMT_SIZE_4K || (*entry & DMT_PTE_PS) != 0);
}

/* A leaf that a register named: 1 it maps the address, 0 it does not. */
static bool tea_entry(struct walk *x, unsigned k, const struct reg *r, uint64_t addr, uint64_t hpa, uint64_t *to)
{
    uint64_t entry, offset = (UINT64_C(4096) << 9 * r->size) - 1;

    if (!is_leaf(x, k, r, hpa, &entry)) {
        return false;
    }
    *to = (entry & DMT_PTE_FRAME & ~offset) | (addr & offset);
    if (r->size < x->size) {
        x->size = r->size;
    }
    return true;
}

/* What the TEA registers of a set made of an address. */
enum tea { TEA_NONE, TEA_FOUND, TEA_UNDECIDED, TEA_FAILED };

static uint64_t tea_at(const struct reg *r, uint64_t vpn)
{
    return r->at + 8 * ((vpn - r->base) >> (9 * (unsigned)r->size));
}

/* A register whose TEA lies in memory of the level below, or beside one: alone. */
static enum tea fetch_one(struct walk *x, unsigned k, const struct reg *r, uint64_t addr, uint64_t *to)
{
    uint64_t hpa = tea_at(r, addr >> 12);

    if (!r->direct) {
        x->now += x->d->config->walk_chain;
        if (!locate(x, (int)k - 1, hpa, -1, false, &hpa)) {
            return TEA_FAILED;
        }
    }
    read_entry(x, k, hpa);
    return tea_entry(x, k, r, addr, hpa, to) ? TEA_FOUND : TEA_UNDECIDED;
}

/* The page size whose register's entry maps the address, -1: none does. */
static int decider(const struct walk *x, unsigned k, const struct reg *const of[STAGES], uint64_t addr)
{
    uint64_t entry;
    int size = DMT_SIZE_1G;

    while (size >= DMT_SIZE_4K &&
           (of[size] == NULL || !is_leaf(x, k, of[size], tea_at(of[size], addr >> 12), &entry))) {
        size--;
    }
    return size;
}

/* Registers of host memory, all sizes at once: as many start in a clock as there are ports. The largest that maps
 * the address decides, and nothing waits for the smaller ones. */
static enum tea fetch_all(struct walk *x, unsigned k, const struct reg *const of[STAGES], uint64_t addr, uint64_t *to)
{
    const struct eval_config *g = x->d->config;
    const struct reg *read[STAGES];
    uint64_t start = 0, issued[STAGES], due[STAGES];
    enum eval_level level[STAGES];
    enum tea found = TEA_UNDECIDED;
    unsigned n = 0;
    int only = g->dmt_foresight ? decider(x, k, of, addr) : -1;

    for (int size = DMT_SIZE_1G; size >= DMT_SIZE_4K; size--) {
        const struct reg *r = of[size];
        if (r == NULL || (only >= 0 && size != only)) {
            continue;
        }
        if (n == 0) {
            if (r->table != 0 && !g->dmt_gtea_cached) {
                read_entry(x, k, r->table);
                x->d->gtea_reads++;
            }
            start = x->now + (x->w->refs == 0 ? g->walk_first : g->walk_next);
        }
        read[n] = r;
        issued[n] = start + n / g->walker_ports;
        due[n] = eval_caches_walk(x->c, tea_at(r, addr >> 12), issued[n], &level[n]);
        n++;
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t hpa = tea_at(read[i], addr >> 12);
        eval_walk_note(x->w, hpa, due[i] - issued[i], level[i], i != 0);
        if (found == TEA_UNDECIDED || g->dmt_wait_all) {
            x->now = answered(x, k, due[i]);
        } else {
            x->surplus[k].due[x->surplus[k].n++] = due[i];
        }
        if (found == TEA_UNDECIDED && tea_entry(x, k, read[i], addr, hpa, to)) {
            found = TEA_FOUND;
        }
    }
    return found;
}

/* TEA registers of set k. */
static enum tea by_registers(struct walk *x, unsigned k, uint64_t addr, uint64_t *to)
{
    struct walker *d = x->d;
    const struct reg *of[STAGES] = {NULL};
    unsigned apart = 0; /* sizes whose TEA is in memory of the level below */
    enum tea found = TEA_NONE;

    for (unsigned i = 0; i < d->regs[k]; i++) {
        const struct reg *r = &d->reg[k][i];
        if ((addr >> 12) - r->base < r->pages && of[r->size] == NULL) {
            of[r->size] = r;
            apart += !r->direct;
            found = TEA_UNDECIDED;
        }
    }
    if (found == TEA_NONE) {
        return TEA_NONE;
    }
    /* As long as one of them must be located first: the largest size, then the next. */
    for (int size = DMT_SIZE_1G; size >= DMT_SIZE_4K && apart != 0 && found == TEA_UNDECIDED; size--) {
        if (of[size] != NULL) {
            found = fetch_one(x, k, of[size], addr, to);
            apart -= !of[size]->direct;
            of[size] = NULL;
        }
    }
    if (found == TEA_UNDECIDED && (of[0] != NULL || of[1] != NULL || of[2] != NULL)) {
        found = fetch_all(x, k, of, addr, to);
    }
    d->by_tea[k] += found == TEA_FOUND;
    d->restarts += found == TEA_UNDECIDED;
    return found;
}

/* A guest's table over one other: 24 slots. */
static bool two_tables(const struct walker *d)
{
    return d->entry == 1 || (d->entry == 2 && !d->full);
}

/* An address of level k in host memory. slot: of its first reference, or -1 (FINAL: the last walk of the lower of two tables). */
static bool host(struct walk *x, int k, uint64_t addr, int slot, bool root, uint64_t *hpa)
{
    struct walker *d = x->d;
    uint64_t to, *known;

    if (k < 0) {
        *hpa = addr;
        return true;
    }
    if ((unsigned)k < d->entry && (known = eval_assoc_find(d->ntlb[k], addr >> 12, addr >> 12)) != NULL) {
        x->now += d->config->ntlb_clocks;
        *hpa = (*known & ~UINT64_C(0xfff)) | (addr & 0xfff);
        if ((*known & 3) < x->size) {
            x->size = *known & 3;
        }
        return true;
    }
    unsigned before = x->size;
    x->size = DMT_SIZE_1G;
    enum tea tea = by_registers(x, (unsigned)k, addr, &to);
    if (tea == TEA_FAILED) {
        return false;
    }
    if (tea == TEA_FOUND) {
        if (!host(x, k - 1, to, -1, false, hpa)) {
            return false;
        }
    } else {
        bool shadow = k == 1 && d->entry == 2 && !d->full;
        x->w->fallback = x->w->fallback || d->tea;
        /* Where a root lies is not asked of the caches, but a walk that begins anew asks. */
        if (!radix(x, shadow ? EVAL_SHADOW : (unsigned)k, addr, slot, root && tea == TEA_NONE, &to)) {
            return false;
        }
        if (shadow) {
            *hpa = to;
        } else if (!host(x, k - 1, to, two_tables(d) && (unsigned)k == d->entry ? FINAL : -1, false, hpa)) {
            return false;
        }
    }
    if ((unsigned)k < d->entry) {
        eval_assoc_put(d->ntlb[k], addr >> 12, addr >> 12, (*hpa & ~UINT64_C(0xfff)) | x->size);
    }
    x->size = before < x->size ? before : x->size;
    return true;
}

static bool walk(void *user, struct eval_caches *c, uint64_t va, unsigned access, uint64_t now, struct eval_walk *w)
{
    struct walker *d = user;
    struct walk x = {.d = d, .c = c, .w = w, .now = now, .size = DMT_SIZE_1G};

    (void)access;
    if (d->generation != eval_system_generation(d->system)) {
        load_registers(d);
    }
    if (!host(&x, (int)d->entry, va, d->entry == 0 || two_tables(d) ? 0 : -1, false, &w->pa)) {
        return false;
    }
    w->size = (uint8_t)x.size;
    w->done = x.now;
    return true;
}

static void hint(void *user, uint64_t va, bool next)
{
    struct walker *d = user;
    struct mirror_path p;

    if (!next) {
        mirror_hint(d->mirror[d->entry], va);
    } else if (d->entry != 0 && mirror_walk(d->mirror[d->entry], va, &p)) {
        bool shadow = d->mirror[EVAL_SHADOW] != NULL;
        mirror_hint(d->mirror[shadow ? EVAL_SHADOW : d->entry - 1], p.to);
    }
}

static size_t counters(void *user, struct eval_counter *counter, size_t room)
{
    const struct walker *d = user;
    uint64_t lacked, flushes;

    eval_system_shadow_exits(d->system, &lacked, &flushes);
    const struct eval_counter all[] = {
        {"stage 0 by TEA", (double)d->by_tea[0], true},     {"stage 1 by TEA", (double)d->by_tea[1], true},
        {"stage 2 by TEA", (double)d->by_tea[2], true},     {"stage 0 by radix", (double)d->by_radix[0], true},
        {"stage 1 by radix", (double)d->by_radix[1], true}, {"stage 2 by radix", (double)d->by_radix[2], true},
        {"shadow by radix", (double)d->by_radix[3], true},  {"TEA fetches that did not decide", (double)d->restarts, true},
        {"gTEA table reads", (double)d->gtea_reads, true},  {"walks from a PML4E", (double)d->pwc_hits[4], true},
        {"walks from a PDPTE", (double)d->pwc_hits[3], true}, {"walks from a PDE", (double)d->pwc_hits[2], true},
        /* nested over shadow */
        {"exits", (double)(lacked + flushes), true},        {"exits for pages not shadowed yet", (double)lacked, true},
        {"exits for flushes inside", (double)flushes, true},
    };
    bool over_shadow = d->entry == 2 && !d->full && !d->tea;

    return eval_counters_give(all, sizeof all / sizeof *all - (over_shadow ? 0 : 3), counter, room);
}

#define WALKER(symbol, ...) \
    const struct eval_design symbol = { \
        __VA_ARGS__, .walk = walk, .hint = hint, .flush = flush, .counters = counters, .free = close, .rtl = true}

WALKER(eval_radix, .name = "radix", .title = "x86 radix", .env = EVAL_NATIVE, .base = "radix", .slots = true, .make = make_radix);
WALKER(eval_dmt, .name = "dmt", .title = "DMT", .env = EVAL_NATIVE, .base = "radix", .tea = true, .make = make_dmt);
WALKER(eval_nested, .name = "nested", .title = "nested paging", .env = EVAL_VIRT, .base = "nested", .slots = true,
       .make = make_radix);
WALKER(eval_hugegpt, .name = "hugegpt", .title = "HugeGPT", .env = EVAL_VIRT, .base = "nested", .slots = true, .host_huge = true,
       .make = make_radix);
WALKER(eval_vdmt, .name = "dmt", .title = "DMT", .env = EVAL_VIRT, .base = "nested", .tea = true, .make = make_dmt);
WALKER(eval_pvdmt, .name = "pvdmt", .title = "pvDMT", .env = EVAL_VIRT, .base = "nested", .tea = true, .pv = true,
       .make = make_dmt);
WALKER(eval_over_shadow, .name = "shadow", .title = "nested over shadow", .env = EVAL_NESTED, .base = "shadow",
       .slots = true,
       .make = make_radix);
WALKER(eval_full, .name = "full", .title = "three real stages", .env = EVAL_NESTED, .base = "shadow", .full = true,
       .make = make_radix);
WALKER(eval_npvdmt, .name = "pvdmt", .title = "nested pvDMT", .env = EVAL_NESTED, .base = "shadow", .tea = true,
       .pv = true, .make = make_dmt);
