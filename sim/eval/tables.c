/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/tables.h"

#include "dmt/table.h"
#include "io.h"
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- the system's mapping */

static bool huge(uint64_t addr, unsigned level, uint64_t to,
                 bool (*call)(void *user, uint64_t addr, unsigned size, uint64_t pfn), void *user)
{
    uint64_t bytes = UINT64_C(1) << (3 + 9 * level);

    for (uint64_t i = 0; i < bytes >> 21; i++) {
        if (!call(user, addr + (i << 21), DMT_SIZE_2M, (to >> 12) + (i << 9))) {
            return false;
        }
    }
    return true;
}

bool tables_each(struct mirror *m, const struct dmt_mem *mem, bool ept,
                 bool (*call)(void *user, uint64_t addr, unsigned size, uint64_t pfn), void *user)
{
    uint64_t present = ept ? 7 : DMT_PTE_P, bytes;

    for (uint64_t addr = 0; addr < UINT64_C(1) << 48; addr += bytes) {
        struct mirror_path p;
        const uint64_t *word;

        mirror_walk(m, addr, &p);
        bytes = UINT64_C(1) << (3 + 9 * p.leaf);
        if (p.leaf > 1) {
            if (p.present && !huge(addr, p.leaf, p.to, call, user)) {
                return false;
            }
            continue;
        }
        /* The rest of a table of level 1 is read off it: most pages are there. */
        word = (const uint64_t *)(const void *)dmt_mem_frame(mem, p.step[1].hpa >> 12);
        bytes = UINT64_C(1) << 21;
        for (unsigned i = 0; word != NULL && i < 512; i++) {
            uint64_t e = le64toh(word[i]);
            if ((e & present) != 0 &&
                !call(user, addr + ((uint64_t)i << 12), DMT_SIZE_4K, (e & DMT_PTE_FRAME) >> 12)) {
                return false;
            }
        }
    }
    return true;
}

unsigned tables_leaf(struct mirror *m, uint64_t addr, uint64_t *pfn)
{
    struct mirror_path p;

    if (!mirror_walk(m, addr, &p)) {
        return TABLES_ABSENT;
    }
    *pfn = p.leaf > 1 ? p.to >> 21 << 9 : p.to >> 12;
    return p.leaf > 1 ? DMT_SIZE_2M : DMT_SIZE_4K;
}

bool tables_ept(const struct eval_system *s, unsigned k)
{
    const struct dmt_state *t = eval_system_state(s);

    return t->mode != DMT_MODE_NATIVE && k == 0 && t->s2[0].format == DMT_FORMAT_EPT;
}

/* ---------------------------------------------------------------- a table of one's own */

bool flat_open(struct flat *f, bool (*place)(void *user, unsigned level, uint64_t addr, uint64_t *at),
               void *user)
{
    *f = (struct flat){.place = place, .user = user};
    f->gig = calloc(1 << 18, sizeof(struct flat_gig *));
    if (f->gig == NULL) {
        say("out of memory");
        return false;
    }
    return true;
}

void flat_close(struct flat *f)
{
    for (size_t i = 0; f->gig != NULL && i < 1 << 18; i++) {
        for (unsigned j = 0; f->gig[i] != NULL && j < 512; j++) {
            free(f->gig[i]->block[j].small);
        }
        free(f->gig[i]);
    }
    free(f->gig);
    f->gig = NULL;
}

bool flat_place(void *user, unsigned level, uint64_t addr, uint64_t *at)
{
    struct flat_frames *f = user;
    uint64_t pfn;

    (void)level;
    (void)addr;
    if (!eval_system_frames(f->system, 1, false, &pfn)) {
        return false;
    }
    f->taken++;
    *at = pfn << 12;
    return true;
}

static bool place(struct flat *f, unsigned level, uint64_t addr, uint64_t *at)
{
    if (*at != 0 || f->place(f->user, level, addr, at)) {
        return true;
    }
    say("no simulated memory for a table of level %u at 0x%" PRIx64, level, addr);
    return false;
}

static struct flat_gig *gig_of(struct flat *f, uint64_t addr)
{
    struct flat_gig **g = &f->gig[addr >> 30];

    if (*g != NULL) {
        return *g;
    }
    if (!place(f, 4, 0, &f->root) || !place(f, 3, addr, &f->l3[addr >> 39])) {
        return NULL;
    }
    uint64_t l2 = 0;
    if (!place(f, 2, addr, &l2)) {
        return NULL;
    }
    *g = calloc(1, sizeof **g);
    if (*g == NULL) {
        say("out of memory");
        return NULL;
    }
    (*g)->l2 = l2;
    for (unsigned i = 0; i < 512; i++) {
        (*g)->block[i].big = TABLES_NONE;
    }
    return *g;
}

bool flat_map(struct flat *f, uint64_t addr, unsigned size, uint64_t pfn)
{
    struct flat_gig *g;
    struct flat_block *b;

    if (addr >> 48 != 0 || pfn >= TABLES_NONE) {
        say("page 0x%" PRIx64 " in frame 0x%" PRIx64 ", expected addresses below 2^48, frames below 2^32 - 1",
            addr, pfn);
        return false;
    }
    g = gig_of(f, addr);
    if (g == NULL) {
        return false;
    }
    b = &g->block[addr >> 21 & 511];
    if (size != DMT_SIZE_4K) {
        for (unsigned i = 0; b->small != NULL && i < 512; i++) {
            f->pages[0] -= b->small[i] != TABLES_NONE;
        }
        free(b->small);
        b->small = NULL;
        f->pages[1] += b->big == TABLES_NONE;
        b->big = (uint32_t)pfn;
        return true;
    }
    if (!place(f, 1, addr, &b->l1)) {
        return false;
    }
    if (b->small == NULL) {
        b->small = malloc(512 * sizeof *b->small);
        if (b->small == NULL) {
            say("out of memory");
            return false;
        }
        memset(b->small, 0xff, 512 * sizeof *b->small);
    }
    if (b->big != TABLES_NONE) { /* split it */
        for (unsigned i = 0; i < 512; i++) {
            b->small[i] = b->big + i;
        }
        f->pages[0] += 512;
        f->pages[1]--;
        b->big = TABLES_NONE;
    }
    f->pages[0] += b->small[addr >> 12 & 511] == TABLES_NONE;
    b->small[addr >> 12 & 511] = (uint32_t)pfn;
    return true;
}

uint64_t flat_next(const struct flat *f, uint64_t addr, uint64_t end, unsigned *size)
{
    end = end < UINT64_C(1) << 48 ? end : UINT64_C(1) << 48;
    while (addr < end) {
        uint64_t to;
        const struct flat_gig *g = f->gig[addr >> 30];
        const struct flat_block *b = g != NULL ? &g->block[addr >> 21 & 511] : NULL;
        if ((*size = flat_find(f, addr, &to)) != TABLES_ABSENT) {
            return addr & ~((UINT64_C(4096) << 9 * *size) - 1);
        }
        uint64_t step = g == NULL ? UINT64_C(1) << 30 : b->small == NULL ? UINT64_C(1) << 21 : 4096;
        addr = (addr & ~(step - 1)) + step;
    }
    return end;
}

void flat_forget(struct flat *f, uint64_t vpn, uint64_t pages)
{
    uint64_t end = (vpn + pages) << 12, addr;
    unsigned size;

    for (addr = flat_next(f, vpn << 12, end, &size); addr < end;
         addr = flat_next(f, addr + (UINT64_C(4096) << 9 * size), end, &size)) {
        struct flat_block *b = &f->gig[addr >> 30]->block[addr >> 21 & 511];
        f->pages[size == DMT_SIZE_4K ? 0 : 1]--;
        if (size == DMT_SIZE_4K) {
            b->small[addr >> 12 & 511] = TABLES_NONE;
        } else {
            b->big = TABLES_NONE;
        }
    }
}

bool flat_path(const struct flat *f, uint64_t addr, struct tables_path *p)
{
    unsigned size = flat_find(f, addr, &p->to);
    const struct flat_gig *g;

    if (size == TABLES_ABSENT) {
        return false;
    }
    g = f->gig[addr >> 30];
    p->size = (uint8_t)size;
    p->steps = size == DMT_SIZE_4K ? 4 : 3;
    p->step[0] = (struct tables_step){.at = f->root + 8 * (addr >> 39), .level = 4};
    p->step[1] = (struct tables_step){.at = f->l3[addr >> 39] + 8 * (addr >> 30 & 511), .level = 3};
    p->step[2] = (struct tables_step){.at = g->l2 + 8 * (addr >> 21 & 511), .level = 2};
    p->step[3] =
        (struct tables_step){.at = g->block[addr >> 21 & 511].l1 + 8 * (addr >> 12 & 511), .level = 1};
    return true;
}

/* ---------------------------------------------------------------- two stages in one table */

/* Frame of the 4K page `gpfn` of the guest; size: of the host's page that it lies in. */
static bool backing(struct mirror *host, uint64_t gpfn, unsigned *size, uint64_t *pfn)
{
    *size = tables_leaf(host, gpfn << 12, pfn);
    if (*size == DMT_SIZE_2M) {
        *pfn += gpfn & 511;
    }
    return *size != TABLES_ABSENT;
}

struct compose {
    struct flat *f;
    struct mirror *host;
};

static bool compose(void *user, uint64_t addr, unsigned size, uint64_t gpfn)
{
    struct compose *c = user;
    unsigned under;
    uint64_t pfn;

    if (size == DMT_SIZE_2M && backing(c->host, gpfn, &under, &pfn) && under == DMT_SIZE_2M) {
        return flat_map(c->f, addr, DMT_SIZE_2M, pfn);
    }
    for (unsigned i = 0; i < (size == DMT_SIZE_2M ? 512 : 1); i++) {
        if (backing(c->host, gpfn + i, &under, &pfn) &&
            !flat_map(c->f, addr + ((uint64_t)i << 12), DMT_SIZE_4K, pfn)) {
            return false;
        }
    }
    return true;
}

bool flat_compose(struct flat *f, const struct eval_system *s)
{
    struct compose c = {f, eval_system_stage(s, 0)};

    return tables_each(eval_system_stage(s, 1), eval_system_mem((struct eval_system *)s), false, compose, &c);
}

bool flat_compose_at(struct flat *f, const struct eval_system *s, uint64_t addr)
{
    uint64_t gpfn, pfn;
    unsigned size = tables_leaf(eval_system_stage(s, 1), addr, &gpfn), under;

    if (size == TABLES_ABSENT) {
        return false;
    }
    gpfn += size == DMT_SIZE_2M ? addr >> 12 & 511 : 0;
    if (!backing(eval_system_stage(s, 0), gpfn, &under, &pfn)) {
        return false;
    }
    size = under < size ? under : size;
    pfn &= size == DMT_SIZE_2M ? ~UINT64_C(511) : ~UINT64_C(0);
    return flat_map(f, addr, size, pfn);
}

/* The page at addr, where one is present, as it is mapped now. */
static bool recompose(struct flat *f, const struct eval_system *s, uint64_t addr)
{
    uint64_t to, gpfn, first;
    unsigned size = flat_find(f, addr, &to);
    struct compose c = {f, eval_system_stage(s, 0)};

    if (size == TABLES_ABSENT) {
        return true;
    }
    first = addr & ~((UINT64_C(4096) << 9 * size) - 1);
    flat_forget(f, first >> 12, 1);
    unsigned guest = tables_leaf(eval_system_stage(s, 1), first, &gpfn);
    if (guest == TABLES_ABSENT) {
        return true;
    }
    gpfn += size < guest ? first >> 12 & 511 : 0;
    return compose(&c, first, size, gpfn);
}

bool flat_moved(struct flat *f, const struct eval_system *s, uint64_t vpn, uint64_t gfn)
{
    if (gfn != EVAL_FRAMES) {
        return recompose(f, s, vpn << 12);
    }
    flat_forget(f, 0, FLAT_PAGES);
    return flat_compose(f, s);
}

/* ---------------------------------------------------------------- walks */

void tables_read(struct tables_walk *x, uint64_t hpa)
{
    enum eval_level level;
    uint64_t start = x->now + (x->out->refs == 0 ? x->config->walk_first : x->config->walk_next);
    uint64_t done = eval_caches_walk(x->caches, hpa, start, &level);

    eval_walk_note(x->out, hpa, done - start, level, false);
    x->now = done;
}

void tables_pwc_open(struct tables_pwc *p, const struct eval_config *c)
{
    *p = (struct tables_pwc){{NULL}};
    p->of[4] = eval_assoc_new(c->pwc4_entries, c->pwc4_ways, c->pwc_policy);
    p->of[3] = eval_assoc_new(c->pwc3_entries, c->pwc3_ways, c->pwc_policy);
    p->of[2] = eval_assoc_new(c->pwc2_entries, c->pwc2_ways, c->pwc_policy);
}

void tables_pwc_close(struct tables_pwc *p)
{
    for (unsigned l = 2; l <= 4; l++) {
        eval_assoc_free(p->of[l]);
    }
}

void tables_pwc_clear(struct tables_pwc *p)
{
    for (unsigned l = 2; l <= 4; l++) {
        eval_assoc_clear(p->of[l]);
    }
}

static uint64_t key_of(const struct eval_config *c, uint64_t addr, unsigned level)
{
    return (addr >> (3 + 9 * level)) / c->pwc_span;
}

/* How many steps the caches make good. All levels are looked at, as in hardware. */
static unsigned skipped(struct tables_walk *x, struct tables_stage *s, uint64_t addr,
                        const struct tables_path *p)
{
    unsigned skip = 0;

    for (unsigned i = 0; i + 1 < p->steps; i++) {
        uint64_t key = key_of(x->config, addr, p->step[i].level);
        if (eval_assoc_find(s->pwc.of[p->step[i].level], key, key) != NULL) {
            skip = i + 1;
        }
    }
    return skip;
}

void tables_stage_open(struct tables_stage *s, const struct eval_config *c, bool second)
{
    tables_pwc_open(&s->pwc, c);
    s->ntlb = second ? eval_assoc_new(c->ntlb_entries, c->ntlb_ways, EVAL_LRU) : NULL;
}

void tables_stage_close(struct tables_stage *s)
{
    tables_pwc_close(&s->pwc);
    eval_assoc_free(s->ntlb);
}

void tables_stage_clear(struct tables_stage *s)
{
    tables_pwc_clear(&s->pwc);
    if (s->ntlb != NULL) {
        eval_assoc_clear(s->ntlb);
    }
}

static bool stage_walk(struct tables_walk *x, struct tables_stage *s, uint64_t addr, bool cached,
                       uint64_t *to, unsigned *size)
{
    struct tables_path p;
    unsigned skip;

    s->walks++;
    if (!s->path(s->user, addr, &p)) {
        return false;
    }
    skip = cached ? skipped(x, s, addr, &p) : 0;
    if (s->ahead != NULL) {
        s->ahead(s->user, x, addr, &p);
    }
    x->now += skip != 0 ? x->config->pwc_clocks : 0;
    for (unsigned i = skip; i < p.steps; i++) {
        const struct tables_step *t = &p.step[i];
        uint64_t hpa = t->at;
        if (s->host != NULL && !t->direct && !(x->config->pwc_combined && i == skip && skip != 0)) {
            unsigned table = DMT_SIZE_1G; /* its page counts for nothing else */
            if (!tables_host(x, s->host, t->at, i == 0 ? TABLES_ROOT : TABLES_TABLE, &hpa, &table)) {
                return false;
            }
        } else if (s->host != NULL && !t->direct) {
            struct tables_path q; /* the cached entry has the host address in it */
            if (!s->host->path(s->host->user, t->at, &q)) {
                return false;
            }
            hpa = q.to;
        }
        if (t->ready != 0) {
            x->now = x->now > t->ready ? x->now : t->ready;
        }
        if (t->ready == 0 || x->config->asap_residual != 0) {
            tables_read(x, hpa);
        }
        if (cached && i + 1u < p.steps) {
            uint64_t key = key_of(x->config, addr, t->level);
            eval_assoc_put(s->pwc.of[t->level], key, key, 0);
        }
    }
    *to = p.to;
    *size = p.size < *size ? p.size : *size;
    return true;
}

bool tables_stage_walk(struct tables_walk *x, struct tables_stage *s, uint64_t addr, uint64_t *to,
                       unsigned *size)
{
    return stage_walk(x, s, addr, true, to, size);
}

bool tables_host(struct tables_walk *x, struct tables_stage *s, uint64_t addr, enum tables_for what,
                 uint64_t *hpa, unsigned *size)
{
    const struct eval_config *c = x->config;
    uint64_t *known = eval_assoc_find(s->ntlb, addr >> 12, addr >> 12);
    unsigned page = DMT_SIZE_1G;

    if (known != NULL) {
        x->now += c->ntlb_clocks;
        *hpa = (*known & ~UINT64_C(0xfff)) | (addr & 0xfff);
        page = (unsigned)(*known & 3);
    } else {
        bool cached =
            c->npwc && (what != TABLES_ROOT || c->npwc_root) && (what != TABLES_DATA || c->npwc_final);
        if (!stage_walk(x, s, addr, cached, hpa, &page)) {
            return false;
        }
        eval_assoc_put(s->ntlb, addr >> 12, addr >> 12, (*hpa & ~UINT64_C(0xfff)) | page);
    }
    *size = page < *size ? page : *size;
    return true;
}
