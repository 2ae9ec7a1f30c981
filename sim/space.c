/* SPDX-License-Identifier: Apache-2.0 */
#include "space.h"

#include "dmt/regs.h"
#include "dmt/table.h"
#include "io.h"
#include "state.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUBBLE_PERCENT 2u                /* paper, section 4.2.1 */
#define TEA_FRAMES_MAX UINT64_C(0x40000) /* of one layout: 1 GiB of TEAs maps 512 GiB in 4 KiB pages */

/* ---------------------------------------------------------------- one table */

/* How one stage's (or the shadow's) tables are read and made. */
struct format {
    uint64_t root; /* address of the topmost table */
    unsigned levels;
    bool ept, mbec;
    int at; /* level of addresses that tables lie at */
};

static struct format of_second(const struct dmt_s2 *s2, int at)
{
    return (struct format){s2->root, s2->five ? 5 : 4, s2->format == DMT_FORMAT_EPT, s2->mbec, at};
}

static struct format of_stage(const struct dmt_state *s, unsigned k)
{
    const struct dmt_level *l = &s->level[k];

    if (k < state_entry(s)) {
        return of_second(&s->s2[k], (int)k - 1);
    }
    return (struct format){.root = l->cr3 & DMT_PTE_FRAME,
                           .levels = (l->cr4 & DMT_LEVEL_CR4_LA57_MASK) != 0 ? 5 : 4,
                           .at = (int)k - 1};
}

static bool present(const struct space *s, const struct format *f, uint64_t e)
{
    bool some = f->ept ? (e & 7) != 0 || (f->mbec && (e >> 10 & 1) != 0) : (e & DMT_PTE_P) != 0;

    return some && (e & DMT_PTE_FRAME) >> s->state->maxpa == 0;
}

static bool is_leaf(uint64_t e, unsigned level)
{
    return level == 1 || (level <= 3 && (e & DMT_PTE_PS) != 0);
}

static struct space_walk walk(const struct space *s, const struct format *f, uint64_t addr)
{
    struct space_walk w = {0};
    uint64_t table = f->root;

    for (unsigned level = f->levels; level >= 1; level--) {
        uint64_t at, e, offset = dmt_level_bytes(level) - 1;
        if (!space_host(s, f->at, dmt_table_entry_addr(table >> 12, level, addr), &at) ||
            !dmt_mem_read(s->mem, at, &e)) {
            break;
        }
        w.level = level;
        w.at = at;
        w.entry = e;
        if (!present(s, f, e)) {
            break;
        }
        if (is_leaf(e, level)) {
            w.present = true;
            w.to = (e & DMT_PTE_FRAME & ~offset) | (addr & offset);
            break;
        }
        table = e & DMT_PTE_FRAME;
    }
    return w;
}

struct space_walk space_walk(const struct space *s, unsigned k, uint64_t addr)
{
    struct format f = of_stage(s->state, k);

    return walk(s, &f, addr);
}

bool space_host(const struct space *s, int level, uint64_t addr, uint64_t *hpa)
{
    for (; level >= 0; level--) {
        struct space_walk w = space_walk(s, (unsigned)level, addr);
        if (!w.present) {
            return false;
        }
        addr = w.to;
    }
    *hpa = addr;
    return true;
}

/* Called for each present entry of a table, parents first, with the table's level and hPA. */
typedef void visit_entry(void *user, unsigned level, uint64_t va, uint64_t entry);

struct tour {
    const struct space *s;
    const struct format *f;
    visit_entry *entry;
    void (*table)(void *user, uint64_t addr, uint64_t host);
    void *user;
    struct dmt_mem *seen; /* host frame of a table present: byte of its level is set */
};

static void tour_table(const struct tour *t, uint64_t table, unsigned level, uint64_t base)
{
    uint64_t host;

    if (!space_host(t->s, t->f->at, table, &host) || dmt_mem_frame(t->s->mem, host >> 12) == NULL) {
        return;
    }
    if (t->table != NULL) {
        uint8_t *mark = need(dmt_mem_add(t->seen, host >> 12));
        if (mark[level] != 0) {
            return; /* tables may be shared, or lead to themselves */
        }
        mark[level] = 1;
        t->table(t->user, table, host);
    }
    for (unsigned i = 0; i < 512; i++) {
        uint64_t e = 0, va = base + i * dmt_level_bytes(level);
        if (level == t->f->levels && i >= 256) {
            va |= ~UINT64_C(0) << (12 + 9 * level);
        }
        dmt_mem_read(t->s->mem, host + 8 * i, &e);
        if (!present(t->s, t->f, e)) {
            continue;
        }
        if (t->entry != NULL) {
            t->entry(t->user, level, va, e);
        }
        if (!is_leaf(e, level)) {
            tour_table(t, e & DMT_PTE_FRAME, level - 1, va);
        }
    }
}

static void each_entry(const struct space *s, const struct format *f, visit_entry *visit, void *user)
{
    struct tour t = {.s = s, .f = f, .entry = visit, .user = user};

    tour_table(&t, f->root, f->levels, 0);
}

/* Every table once per level it is used at: its address and its hPA. */
static void each_table(const struct space *s, const struct format *f,
                       void (*visit)(void *user, uint64_t addr, uint64_t host), void *user)
{
    struct tour t = {.s = s, .f = f, .table = visit, .user = user, .seen = need(dmt_mem_new())};

    tour_table(&t, f->root, f->levels, 0);
    dmt_mem_free(t.seen);
}

/* ---------------------------------------------------------------- room */

struct top {
    uint64_t from, to; /* first frame above all that is mapped; above all that is mapped to */
};

static void see(void *user, unsigned level, uint64_t va, uint64_t entry)
{
    struct top *top = user;
    uint64_t bytes = is_leaf(entry, level) ? dmt_level_bytes(level) : 4096;
    uint64_t to = ((entry & DMT_PTE_FRAME & ~(bytes - 1)) + bytes) >> 12;

    top->to = to > top->to ? to : top->to;
    if (is_leaf(entry, level) && va >> 63 == 0 && (va + bytes) >> 12 > top->from) {
        top->from = (va + bytes) >> 12;
    }
}

bool space_open(struct space *s, struct dmt_state *state, struct dmt_mem *mem, uint64_t host_base)
{
    unsigned entry = state_entry(state);
    size_t n = dmt_mem_count(mem);
    uint64_t *pfn = need(malloc((n + 1) * sizeof *pfn)), hpa;

    *s = (struct space){.state = state, .mem = mem};
    dmt_mem_list(mem, pfn);
    s->next[0] = n > 0 ? pfn[n - 1] + 1 : 0;
    free(pfn);
    for (unsigned k = 0; k <= entry; k++) {
        struct format f = of_stage(state, k);
        struct top top = {0};
        if (!space_host(s, f.at, f.root, &hpa) || dmt_mem_frame(mem, hpa >> 12) == NULL) {
            say("stage %u: the root table at 0x%" PRIx64 " is not in this memory", k, f.root);
            return false;
        }
        each_entry(s, &f, see, &top);
        s->next[k] = top.to > s->next[k] ? top.to : s->next[k];
        if (k < entry) {
            s->next[k + 1] = top.from;
        }
    }
    /* Guests' new frames stay away from what is mapped, or both would become one area. */
    const uint64_t gib = UINT64_C(1) << 18;
    s->next[0] = (s->next[0] + 511) & ~UINT64_C(511);
    for (unsigned k = 1; k <= entry; k++) {
        s->next[k] = (s->next[k] + 2 * gib - 1) & ~(gib - 1);
    }
    s->next[0] = host_base != 0 ? host_base : s->next[0];
    return true;
}

/* Map one page in the tables at f, making tables as needed. False: no room, or taken. */
static bool map(struct space *s, const struct format *f, uint64_t addr, uint64_t to, unsigned leaf,
                uint64_t flags)
{
    uint64_t table = f->root, at, e;

    for (unsigned level = f->levels;; level--) {
        if (!space_host(s, f->at, dmt_table_entry_addr(table >> 12, level, addr), &at) ||
            !dmt_mem_read(s->mem, at, &e)) {
            return false;
        }
        if (level == leaf) {
            return !present(s, f, e) && dmt_mem_write(s->mem, at, to | flags);
        }
        if (present(s, f, e) && is_leaf(e, level)) {
            return false;
        }
        if (!present(s, f, e)) {
            uint64_t pfn, host;
            if (!space_alloc(s, f->at, 1, &pfn, &host)) {
                return false;
            }
            e = pfn << 12 |
                (f->ept ? 0x107 | (f->mbec ? 0x400 : 0) : DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | DMT_PTE_A);
            dmt_mem_write(s->mem, at, e);
        }
        table = e & DMT_PTE_FRAME;
    }
}

/* Leaf of a page with every right, accessed and dirty; write-back memory. */
static uint64_t all_rights(const struct format *f)
{
    return f->ept ? 0x337 | (f->mbec ? 0x400 : 0) : DMT_PTE_P | DMT_PTE_W | DMT_PTE_U | DMT_PTE_A | DMT_PTE_D;
}

bool space_alloc(struct space *s, int level, uint64_t n, uint64_t *pfn, uint64_t *host)
{
    uint64_t below;

    if ((s->next[level + 1] + n) >> (s->state->maxpa - 12) != 0) {
        return false;
    }
    *pfn = s->next[level + 1];
    s->next[level + 1] += n;
    if (level < 0) {
        for (uint64_t i = 0; i < n; i++) {
            need(dmt_mem_add(s->mem, *pfn + i));
        }
        *host = *pfn;
        return true;
    }
    if (!space_alloc(s, level - 1, n, &below, host)) {
        return false;
    }
    struct format f = of_stage(s->state, (unsigned)level), shadow = of_second(&s->state->shadow, -1);
    for (uint64_t i = 0; i < n; i++) {
        if (!map(s, &f, (*pfn + i) << 12, (below + i) << 12, 1, all_rights(&f)) ||
            (level == 1 && !s->state->full &&
             !map(s, &shadow, (*pfn + i) << 12, (*host + i) << 12, 1, all_rights(&shadow)))) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- what is reachable */

static void add_host(void *user, uint64_t addr, uint64_t host)
{
    (void)addr;
    need(dmt_mem_add(user, host >> 12));
}

size_t space_tables(const struct space *s, uint64_t **pfn)
{
    const struct dmt_state *st = s->state;
    struct dmt_mem *seen = need(dmt_mem_new());
    uint64_t host;

    for (unsigned k = 0; k <= state_entry(st); k++) {
        struct format f = of_stage(st, k);
        each_table(s, &f, add_host, seen);
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            const struct dmt_tea *t = &st->tea[k][i];
            uint64_t frames = t->valid ? (8 * (((t->pages - 1) >> 9 * t->sz) + 1) + 4095) / 4096 : 0;
            bool gtea = t->kind == DMT_KIND_GTEA;
            for (uint64_t j = 0; j < frames && (!gtea || t->resolution == DMT_RESOLUTION_OK); j++) {
                uint64_t at = (t->base_pfn + (gtea ? t->gtea_base : 0) + j) << 12;
                if (space_host(s, gtea ? -1 : f.at, at, &host) && dmt_mem_frame(s->mem, host >> 12) != NULL) {
                    add_host(seen, at, host);
                }
            }
        }
        for (uint64_t at = 0; at < st->gtea[k].entries * UINT64_C(16); at += 4096) {
            if (dmt_mem_frame(s->mem, (st->gtea[k].table + at) >> 12) != NULL) {
                add_host(seen, 0, st->gtea[k].table + at);
            }
        }
    }
    if (state_entry(st) == 2 && !st->full) {
        struct format f = of_second(&st->shadow, -1);
        each_table(s, &f, add_host, seen);
    }
    size_t n = dmt_mem_count(seen);
    *pfn = need(malloc((n + 1) * sizeof **pfn));
    dmt_mem_list(seen, *pfn);
    dmt_mem_free(seen);
    return n;
}

/* ---------------------------------------------------------------- TEAs */

/* The tables of one stage as the software that owns them sees them: at the
 * addresses that entries name. */
struct view {
    struct space *s;
    unsigned k;
    struct dmt_mem *mem; /* for stage 0 the host memory itself, otherwise copies */
    struct run {
        uint64_t pfn, host, n;
    } run[DMT_TEA_MAX * 4]; /* new frames, for TEAs */
    unsigned runs;
    uint64_t frames; /* of all runs */
};

static void copy_in(void *user, uint64_t addr, uint64_t host)
{
    struct view *v = user;

    memcpy(need(dmt_mem_add(v->mem, addr >> 12)), dmt_mem_frame(v->s->mem, host >> 12), 4096);
}

static bool copy_out(const struct view *v)
{
    size_t n = dmt_mem_count(v->mem);
    uint64_t *pfn = need(malloc((n + 1) * sizeof *pfn)), host;
    bool ok = true;

    dmt_mem_list(v->mem, pfn);
    for (size_t i = 0; i < n && ok; i++) {
        ok = space_host(v->s, (int)v->k - 1, pfn[i] << 12, &host);
        if (ok) {
            memcpy(dmt_mem_frame(v->s->mem, host >> 12), dmt_mem_frame(v->mem, pfn[i]), 4096);
        }
    }
    free(pfn);
    return ok;
}

static bool alloc_tea(void *user, uint64_t n, uint64_t *pfn)
{
    struct view *v = user;
    struct run *r = &v->run[v->runs];

    if (v->runs == sizeof v->run / sizeof *v->run || v->frames + n > TEA_FRAMES_MAX ||
        !space_alloc(v->s, (int)v->k - 1, n, pfn, &r->host)) {
        return false;
    }
    r->pfn = *pfn;
    r->n = n;
    v->runs++;
    v->frames += n;
    for (uint64_t i = 0; i < n; i++) {
        need(dmt_mem_add(v->mem, *pfn + i));
    }
    return true;
}

static void add_area(void *user, unsigned level, uint64_t va, uint64_t entry)
{
    struct areas *a = user;
    uint64_t vpn = va >> 12, pages = dmt_level_bytes(level) >> 12;

    if (!is_leaf(entry, level)) {
        return;
    }
    if (a->n > 0 && a->vma[a->n - 1].vpn + a->vma[a->n - 1].pages == vpn) {
        a->vma[a->n - 1].pages += pages;
        return;
    }
    if ((a->n & (a->n - 1)) == 0) {
        a->vma = need(realloc(a->vma, (a->n == 0 ? 1 : 2 * a->n) * sizeof *a->vma));
    }
    a->vma[a->n++] = (struct dmt_vma){vpn, pages};
}

static void add_second(void *user, unsigned level, uint64_t va, uint64_t entry)
{
    if (va >> 63 == 0) { /* the upper half of a second stage is not negative: leave it to the walker */
        add_area(user, level, va, entry);
    }
}

/* Registers of KIND PA over a guest's addresses become KIND GTEA: gTEA i is the TEA of register i. */
static bool name_gteas(struct view *v, unsigned registers)
{
    struct dmt_state *st = v->s->state;
    uint64_t table, host;

    if (!space_alloc(v->s, -1, 1, &table, &host)) {
        return false;
    }
    for (unsigned i = 0; i < registers && st->tea[v->k][i].valid; i++) {
        struct dmt_tea *t = &st->tea[v->k][i];
        const struct run *r = v->run;
        while (r->pfn != t->base_pfn) {
            r++;
        }
        dmt_mem_write(v->s->mem, (table << 12) + 16 * i, r->host << 12 | 1);
        dmt_mem_write(v->s->mem, (table << 12) + 16 * i + 8, r->n);
        t->kind = DMT_KIND_GTEA;
        t->gtea = (uint16_t)i;
        t->base_pfn = 0;
        st->gtea[v->k].entries = (uint16_t)(i + 1);
    }
    st->gtea[v->k].table = table << 12;
    state_resolve(st, v->s->mem);
    return true;
}

/* hPA of the word that a register names for an address it covers. */
static bool named(const struct space *s, unsigned k, const struct dmt_tea *t, uint64_t va, uint64_t *at)
{
    uint64_t index = ((va >> 12) - t->base_vpn) >> 9 * t->sz;

    if (t->kind == DMT_KIND_GTEA) {
        *at = ((t->gtea_base + t->base_pfn) << 12) + 8 * index;
        return t->resolution == DMT_RESOLUTION_OK;
    }
    return space_host(s, (int)k - 1, (t->base_pfn << 12) + 8 * index, at);
}

/* Through all stages: every leaf that a register covers is the word it names. */
struct check {
    const struct space *s;
    unsigned k;
    uint64_t wrong; /* address, or 1 */
};

static void check_leaf(void *user, unsigned level, uint64_t va, uint64_t entry)
{
    struct check *c = user;

    for (unsigned i = 0; is_leaf(entry, level) && i < DMT_TEA_MAX; i++) {
        const struct dmt_tea *t = &c->s->state->tea[c->k][i];
        uint64_t at;
        if (t->valid && t->sz == level - 1 && (va >> 12) - t->base_vpn < t->pages &&
            (!named(c->s, c->k, t, va, &at) || at != space_walk(c->s, c->k, va).at)) {
            c->wrong = va | 1;
        }
    }
}

static bool layout_stage(struct space *s, unsigned k, const struct space_layout *how,
                         struct dmt_tea_report *report)
{
    struct format f = of_stage(s->state, k);
    struct view v = {.s = s, .k = k, .mem = k == 0 ? s->mem : need(dmt_mem_new())};
    struct dmt_table t = {v.mem, f.root >> 12, f.levels};
    struct areas areas = {0};
    bool entering = k == state_entry(s->state), ok = false;
    struct dmt_tea_options o = {.registers = how->registers,
                                .bubble_percent = BUBBLE_PERCENT,
                                .maxpa = s->state->maxpa,
                                .nxe = !entering || (s->state->level[k].efer & DMT_LEVEL_EFER_NXE_MASK) != 0,
                                .ept = f.ept,
                                .mbec = f.mbec,
                                .frames = {&v, alloc_tea}};
    const struct areas *a = entering && how->areas != NULL ? how->areas : &areas;
    uint64_t va;
    unsigned index;

    if (a == &areas) {
        each_entry(s, &f, entering ? add_area : add_second, &areas);
    }
    if (k > 0) {
        each_table(s, &f, copy_in, &v);
    }
    memset(s->state->tea[k], 0, sizeof s->state->tea[k]);
    switch (dmt_tea_layout(&t, a->vma, a->n, &o, s->state->tea[k], report)) {
    case DMT_TEA_OK:
        ok = true;
        break;
    case DMT_TEA_NO_MEMORY:
        say("out of memory");
        break;
    default:
        say("areas or number of registers (%u) out of range", how->registers);
    }
    if (ok && !dmt_tea_check(&t, s->state->tea[k], how->registers, &va, &index)) {
        say("register %u of set %u and the x86 walk disagree at 0x%" PRIx64
            " (does --tea-base name frames in use?)",
            index, k, va);
        ok = false;
    }
    if (ok && k > 0 && !(copy_out(&v) && (!how->gtea || name_gteas(&v, how->registers)))) {
        say("no room for the TEAs of stage %u", k);
        ok = false;
    }
    if (k > 0) {
        dmt_mem_free(v.mem);
    }
    areas_free(&areas);
    return ok;
}

bool space_layout(struct space *s, const struct space_layout *how, struct dmt_tea_report report[DMT_SETS_MAX])
{
    bool ok = true;

    for (unsigned k = state_entry(s->state) + 1; ok && k-- > 0;) { /* each adds to the tables below it */
        ok = layout_stage(s, k, how, &report[k]);
    }
    for (unsigned k = 0; ok && k <= state_entry(s->state); k++) {
        struct format f = of_stage(s->state, k);
        struct check c = {.s = s, .k = k};
        each_entry(s, &f, check_leaf, &c);
        if (c.wrong != 0) {
            say("a register of set %u and the walk disagree at 0x%" PRIx64, k, c.wrong & ~UINT64_C(1));
            ok = false;
        }
    }
    return ok;
}

/* ---------------------------------------------------------------- a stage between */

struct nest {
    struct space *s;
    struct format stage1, shadow;
    bool ok;
};

static void add_identity(void *user, unsigned level, uint64_t va, uint64_t entry)
{
    struct nest *n = user;
    uint64_t ps = level > 1 ? DMT_PTE_PS : 0, frame = entry & DMT_PTE_FRAME & ~(dmt_level_bytes(level) - 1);

    if (is_leaf(entry, level) && va >> 63 == 0) {
        n->ok = n->ok && map(n->s, &n->stage1, va, va, level, all_rights(&n->stage1) | ps) &&
                map(n->s, &n->shadow, va, frame, level,
                    (entry & (~DMT_PTE_FRAME | (dmt_level_bytes(level) - 1))) | ps);
    }
}

bool space_nest(struct space *s)
{
    struct dmt_state *st = s->state;
    struct format stage0 = of_stage(st, 0);
    struct nest n = {.s = s, .ok = true};
    struct dmt_mem *before = need(dmt_mem_clone(s->mem));
    struct space old = {.state = st, .mem = before};
    uint64_t root, shadow, host;

    memset(st->tea, 0, sizeof st->tea);
    memset(st->gtea, 0, sizeof st->gtea);
    if (!space_alloc(s, 0, 1, &root, &host) || !space_alloc(s, -1, 1, &shadow, &host)) {
        dmt_mem_free(before);
        say("no room for more tables");
        return false;
    }
    st->s2[1] = st->s2[0];
    st->s2[1].root = root << 12;
    st->shadow = st->s2[0];
    st->shadow.root = shadow << 12;
    st->shadow.tag = 0;
    n.stage1 = of_second(&st->s2[1], 0);
    n.shadow = of_second(&st->shadow, -1);
    s->next[2] = s->next[1]; /* identity: the same addresses are taken */
    /* Stage 0 grows while stage 1 is made: go by what it was. */
    each_entry(&old, &stage0, add_identity, &n);
    dmt_mem_free(before);
    if (!n.ok) {
        say("no room for more tables");
        return false;
    }
    st->level[2] = st->level[1];
    st->level[1] = (struct dmt_level){0};
    st->mode = DMT_MODE_NESTED;
    return true;
}
