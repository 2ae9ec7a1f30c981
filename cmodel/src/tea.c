/* SPDX-License-Identifier: Apache-2.0
 * Choosing TEA registers for an address space and moving its leaf tables into
 * contiguous frames. A *block* of size s is what one leaf table of that size
 * maps: 512 entries, so 2 MiB, 1 GiB, 512 GiB for 4K, 2M, 1G. */
#include "dmt/tea.h"

#include "cluster.h"
#include "dmt/regs.h"
#include <stdlib.h>
#include <string.h>

#define SIZES   3u
#define VPN_END (UINT64_C(1) << 52)

/* Shift from VPN to block of size s. */
static unsigned block_shift(unsigned s)
{
    return 9 * (s + 1);
}

/* ---------------------------------------------------------------- areas and clusters */

static int by_vpn(const void *a, const void *b)
{
    uint64_t x = ((const struct dmt_vma *)a)->vpn, y = ((const struct dmt_vma *)b)->vpn;

    return (x > y) - (x < y);
}

/* Clusters of sorted areas; c has room for n. */
static size_t make_clusters(const struct dmt_vma *vma, size_t n, unsigned bubble_percent, struct cluster *c)
{
    size_t top = 0;

    for (size_t i = 0; i < n; i++) {
        top = cluster_add(c, top, &vma[i], 0, bubble_percent);
    }
    return top;
}

/* 4 KiB pages of all areas inside [first, end) VPNs. */
static uint64_t area_pages(const struct dmt_vma *vma, size_t n, uint64_t first, uint64_t end)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t a = vma[i].vpn > first ? vma[i].vpn : first;
        uint64_t b = vma[i].vpn + vma[i].pages < end ? vma[i].vpn + vma[i].pages : end;
        sum += a < b ? b - a : 0;
    }
    return sum;
}

/* ---------------------------------------------------------------- leaf tables found */

struct block {
    uint64_t index;  /* VPN >> block_shift(size) */
    uint64_t table;  /* frame of the leaf table */
    uint64_t leaves; /* present leaves of the size in it */
    uint8_t allow;   /* rights of the entries above: bit 0 W, 1 U, 2 X */
    bool fixed;      /* must stay where it is and must not be bypassed */
};

struct blocks {
    struct block *b;
    size_t n, room;
};

struct survey {
    unsigned levels, maxpa;
    bool nxe, ept, mbec, no_memory;
    uint8_t allow[6]; /* [level]: rights of the entry of that level and all above */
    bool bad[6];      /* [level]: some entry from there up has a reserved bit */
    struct blocks size[SIZES];
};

static bool push_block(struct blocks *l, const struct block *b)
{
    if (l->n == l->room) {
        size_t room = l->room == 0 ? 64 : l->room * 2;
        struct block *p = realloc(l->b, room * sizeof *p);
        if (p == NULL) {
            return false;
        }
        l->b = p;
        l->room = room;
    }
    l->b[l->n++] = *b;
    return true;
}

static bool survey_entry(void *user, unsigned level, uint64_t va, uint64_t addr, uint64_t entry)
{
    struct survey *s = user;
    bool leaf = level == 1 || (level <= 3 && (entry & DMT_PTE_PS) != 0);

    (void)addr;
    if (leaf) {
        struct blocks *l = &s->size[level - 1];
        uint64_t index = va >> 12 >> block_shift(level - 1);
        if (l->n > 0 && l->b[l->n - 1].index == index) {
            l->b[l->n - 1].leaves++;
        }
        return true;
    }
    uint8_t allow;
    bool bad = (entry & DMT_PTE_FRAME) >> s->maxpa != 0;
    if (s->ept) { /* readable, or it would not be visited; X (bit 2) and XU (bit 10) share one allow bit */
        allow = (uint8_t)((entry >> 1 & 1) | 2 | (entry & 4));
        bad = bad || (entry & (level >= 4 ? 0xf8 : 0x78)) != 0 ||
              (s->mbec && (entry >> 10 & 1) != (entry >> 2 & 1));
    } else {
        allow = (uint8_t)(((entry & DMT_PTE_W) != 0) | ((entry & DMT_PTE_U) != 0) << 1 |
                          ((entry & DMT_PTE_XD) == 0 || !s->nxe) << 2);
        bad = bad || ((entry & DMT_PTE_XD) != 0 && !s->nxe) || (level >= 4 && (entry & DMT_PTE_PS) != 0);
    }
    if (level < s->levels) {
        allow &= s->allow[level + 1];
        bad = bad || s->bad[level + 1];
    }
    s->allow[level] = allow;
    s->bad[level] = bad;
    if (level <= 4) { /* points to a leaf table of size level - 2 */
        struct block b = {.index = va >> 12 >> block_shift(level - 2),
                          .table = (entry & DMT_PTE_FRAME) >> 12,
                          .allow = allow,
                          .fixed = bad};
        if (!push_block(&s->size[level - 2], &b)) {
            s->no_memory = true;
            return false;
        }
    }
    return true;
}

/* Canonical first byte of a page. */
static uint64_t page_va(uint64_t vpn)
{
    return vpn << 12;
}

/* All leaf tables of the clusters, per size, each once, in address order. A
 * cluster is widened to whole blocks of 1G tables, the widest that can move. */
static bool make_survey(const struct dmt_table *t, const struct cluster *c, size_t n, struct survey *s)
{
    unsigned widest = block_shift(DMT_SIZE_1G);
    uint64_t done = 0; /* wide blocks below this are surveyed */

    for (size_t i = 0; i < n; i++) {
        uint64_t first = c[i].first << 9 >> widest, end = (((c[i].end << 9) - 1) >> widest) + 1;
        first = first < done ? done : first;
        if (first >= end) {
            continue;
        }
        dmt_table_each(t, page_va(first << widest), page_va(end << widest) - 1, survey_entry, s);
        if (s->no_memory) {
            return false;
        }
        done = end;
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* A table that is reached twice cannot be at two places of a TEA: leave it. */
static bool fix_aliases(struct survey *s, uint64_t root)
{
    size_t n = 1;

    for (unsigned z = 0; z < SIZES; z++) {
        n += s->size[z].n;
    }
    uint64_t *pfn = malloc(n * sizeof *pfn);
    if (pfn == NULL) {
        return false;
    }
    pfn[0] = root;
    n = 1;
    for (unsigned z = 0; z < SIZES; z++) {
        for (size_t i = 0; i < s->size[z].n; i++) {
            pfn[n++] = s->size[z].b[i].table;
        }
    }
    qsort(pfn, n, sizeof *pfn, by_number);
    for (unsigned z = 0; z < SIZES; z++) {
        for (size_t i = 0; i < s->size[z].n; i++) {
            struct block *b = &s->size[z].b[i];
            const uint64_t *p = bsearch(&b->table, pfn, n, sizeof *pfn, by_number);
            if ((p > pfn && p[-1] == *p) || (p + 1 < pfn + n && p[1] == *p)) {
                b->fixed = true;
            }
        }
    }
    free(pfn);
    return true;
}

/* First block of the list with index >= want. */
static size_t lower(const struct blocks *l, uint64_t want)
{
    size_t lo = 0, hi = l->n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (l->b[mid].index < want) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* ---------------------------------------------------------------- candidates */

struct piece {
    unsigned size;
    uint64_t first, end; /* blocks of the size */
    uint64_t pages;      /* of areas: the rank */
    uint64_t leaves;
    uint8_t allow;
};

struct plan {
    const struct dmt_vma *vma;
    size_t vmas;
    struct survey *survey;
    struct piece *piece;
    size_t n, room;
    bool no_memory;
};

/* Add the piece if it has leaves; count what it holds. */
static void add_piece(struct plan *p, unsigned size, uint64_t first, uint64_t end, uint8_t allow)
{
    const struct blocks *l = &p->survey->size[size];
    struct piece q = {.size = size, .first = first, .end = end, .allow = allow};

    for (size_t i = lower(l, first); i < l->n && l->b[i].index < end; i++) {
        q.leaves += l->b[i].leaves;
    }
    if (q.leaves == 0) {
        return;
    }
    q.pages = area_pages(p->vma, p->vmas, first << block_shift(size), end << block_shift(size));
    if (p->n == p->room) {
        size_t room = p->room == 0 ? 64 : p->room * 2;
        struct piece *grown = realloc(p->piece, room * sizeof *grown);
        if (grown == NULL) {
            p->no_memory = true;
            return;
        }
        p->piece = grown;
        p->room = room;
    }
    p->piece[p->n++] = q;
}

/* Split one cluster at fixed tables and where rights change. */
static void add_cluster(struct plan *p, const struct cluster *c, unsigned size)
{
    const struct blocks *l = &p->survey->size[size];
    unsigned shift = block_shift(size);
    uint64_t start = c->first << 9 >> shift, end = (((c->end << 9) - 1) >> shift) + 1;
    uint8_t allow = 0;
    bool some = false; /* a table has set `allow` */

    for (size_t i = lower(l, start); i < l->n && l->b[i].index < end; i++) {
        const struct block *b = &l->b[i];
        if (b->fixed || (some && b->allow != allow)) {
            add_piece(p, size, start, b->index, allow);
            start = b->fixed ? b->index + 1 : b->index;
            some = false;
        }
        if (!b->fixed) {
            allow = b->allow;
            some = true;
        }
    }
    add_piece(p, size, start, end, allow);
}

/* Take the best piece out of the plan: most area pages, then most mapped. */
static struct piece take_best(struct plan *p)
{
    size_t best = 0;

    for (size_t i = 1; i < p->n; i++) {
        const struct piece *a = &p->piece[i], *b = &p->piece[best];
        uint64_t x = a->leaves << 9 * a->size, y = b->leaves << 9 * b->size;
        if (a->pages > b->pages || (a->pages == b->pages && x > y)) {
            best = i;
        }
    }
    struct piece taken = p->piece[best];
    p->piece[best] = p->piece[--p->n];
    return taken;
}

/* Has an earlier register taken blocks of this piece? Then put the rest back. */
static bool overlaps(struct plan *p, const struct piece *q, const struct piece *got, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (got[i].size != q->size || got[i].end <= q->first || q->end <= got[i].first) {
            continue;
        }
        if (q->first < got[i].first) {
            add_piece(p, q->size, q->first, got[i].first, q->allow);
        }
        if (got[i].end < q->end) {
            add_piece(p, q->size, got[i].end, q->end, q->allow);
        }
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- moving */

/* Move the leaf tables of one piece to base, and re-point the entries above. */
static uint64_t move_tables(struct dmt_table *t, const struct survey *s, const struct piece *q, uint64_t base)
{
    const struct blocks *l = &s->size[q->size];
    uint64_t moved = 0;

    for (size_t i = lower(l, q->first); i < l->n && l->b[i].index < q->end; i++) {
        uint64_t target = base + (l->b[i].index - q->first), entry = 0;
        const uint8_t *from = dmt_mem_frame(t->mem, l->b[i].table);
        struct dmt_lookup at;
        if (from == NULL) {
            continue; /* the table's memory is absent: walks end in a bus error with or without us */
        }
        memcpy(dmt_mem_frame(t->mem, target), from, 4096);
        /* The entry above may itself have moved with a larger size: look it up now. */
        dmt_table_lookup(t, page_va(l->b[i].index << block_shift(q->size)), &at);
        entry = at.entry[q->size + 2];
        dmt_mem_write(t->mem, at.addr[q->size + 2], (entry & ~DMT_PTE_FRAME) | target << 12);
        moved++;
    }
    return moved;
}

/* End of the register's range: not beyond the last cluster in it, since every
 * further address would cost a fetch that decides nothing. */
static uint64_t end_vpn(const struct piece *q, const struct cluster *c, size_t n)
{
    uint64_t first = q->first << block_shift(q->size), limit = q->end << block_shift(q->size), end = first;
    uint64_t unit = UINT64_C(1) << 9 * q->size;

    for (size_t i = 0; i < n; i++) {
        uint64_t a = c[i].first << 9, b = (c[i].end << 9) + unit - 1;
        b -= b % unit;
        if (a < limit && b > first && b > end) {
            end = b;
        }
    }
    return end < limit ? end : limit;
}

struct count {
    const struct dmt_tea *tea;
    unsigned n;
    uint64_t first, end; /* VPNs of the area */
    uint64_t mapped, covered;
};

static bool count_entry(void *user, unsigned level, uint64_t va, uint64_t addr, uint64_t entry)
{
    struct count *c = user;
    uint64_t vpn = va >> 12, end = vpn + (UINT64_C(1) << 9 * (level - 1));

    (void)addr;
    if (level > 3 || (level > 1 && (entry & DMT_PTE_PS) == 0)) {
        return true;
    }
    uint64_t a = vpn > c->first ? vpn : c->first, b = end < c->end ? end : c->end;
    c->mapped += b - a;
    for (unsigned i = 0; i < c->n; i++) {
        const struct dmt_tea *r = &c->tea[i];
        if (r->valid && r->sz == level - 1 && vpn >= r->base_vpn && vpn - r->base_vpn < r->pages) {
            c->covered += b - a;
            break;
        }
    }
    return true;
}

/* Fill the registers from the plan. False: out of memory for bookkeeping. */
static bool serve(struct dmt_table *t, struct plan *p, const struct cluster *c, size_t clusters,
                  const struct dmt_tea_options *o, struct dmt_tea *tea, struct dmt_tea_report *r)
{
    struct piece got[DMT_TEA_MAX];
    uint64_t base[DMT_TEA_MAX];

    while (p->n > 0 && r->registers < o->registers && !p->no_memory) {
        struct piece q = take_best(p);
        unsigned i = r->registers;
        uint64_t frames = q.end - q.first;
        if (overlaps(p, &q, got, i)) {
            continue;
        }
        if (!o->frames.alloc(o->frames.user, frames, &base[i]) ||
            (base[i] + frames) >> (o->maxpa - 12) != 0) {
            if (frames > 1) {
                add_piece(p, q.size, q.first, q.first + frames / 2, q.allow);
                add_piece(p, q.size, q.first + frames / 2, q.end, q.allow);
            }
            continue;
        }
        got[i] = q;
        r->registers++;
        r->frames += frames;
    }
    if (p->no_memory) {
        return false;
    }
    for (unsigned i = 0; i < r->registers; i++) {
        uint64_t first = got[i].first << block_shift(got[i].size);
        r->tables += move_tables(t, p->survey, &got[i], base[i]);
        tea[i] = (struct dmt_tea){.base_vpn = first,
                                  .pages = end_vpn(&got[i], c, clusters) - first,
                                  .base_pfn = base[i],
                                  .sz = (uint8_t)got[i].size,
                                  .kind = DMT_KIND_PA,
                                  .allow = got[i].allow,
                                  .valid = true};
    }
    return true;
}

enum dmt_tea_status dmt_tea_layout(struct dmt_table *t, const struct dmt_vma *areas, size_t n,
                                   const struct dmt_tea_options *o, struct dmt_tea *tea,
                                   struct dmt_tea_report *report)
{
    struct survey survey = {
        .levels = t->levels, .maxpa = o->maxpa, .nxe = o->nxe, .ept = o->ept, .mbec = o->mbec};
    struct plan plan = {.vmas = n, .survey = &survey};
    struct cluster *c = NULL;
    enum dmt_tea_status status = DMT_TEA_NO_MEMORY;

    *report = (struct dmt_tea_report){0};
    if (o->registers < 1 || o->registers > DMT_TEA_MAX || o->maxpa < 32 || o->maxpa > 52) {
        return DMT_TEA_BAD_OPTION;
    }
    memset(tea, 0, o->registers * sizeof *tea);
    for (size_t i = 0; i < n; i++) {
        if (areas[i].pages == 0 || areas[i].vpn >= VPN_END || areas[i].pages > VPN_END - areas[i].vpn) {
            return DMT_TEA_BAD_AREA;
        }
    }
    if (n == 0) {
        return DMT_TEA_OK;
    }
    struct dmt_vma *vma = malloc(n * sizeof *vma);
    c = malloc(n * sizeof *c);
    if (vma == NULL || c == NULL) {
        goto out;
    }
    memcpy(vma, areas, n * sizeof *vma);
    qsort(vma, n, sizeof *vma, by_vpn);
    plan.vma = vma;
    report->clusters = make_clusters(vma, n, o->bubble_percent, c);
    if (!make_survey(t, c, report->clusters, &survey) || !fix_aliases(&survey, t->root)) {
        goto out;
    }
    for (unsigned z = 0; z < SIZES; z++) {
        for (size_t i = 0; i < report->clusters; i++) {
            add_cluster(&plan, &c[i], z);
        }
    }
    if (plan.no_memory || !serve(t, &plan, c, report->clusters, o, tea, report)) {
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        struct count k = {tea, report->registers, vma[i].vpn, vma[i].vpn + vma[i].pages, 0, 0};
        dmt_table_each(t, page_va(k.first), page_va(k.end) - 1, count_entry, &k);
        report->area_pages += vma[i].pages;
        report->mapped_pages += k.mapped;
        report->covered_pages += k.covered;
    }
    status = DMT_TEA_OK;
out:
    for (unsigned z = 0; z < SIZES; z++) {
        free(survey.size[z].b);
    }
    free(plan.piece);
    free(vma);
    free(c);
    return status;
}

bool dmt_tea_check(const struct dmt_table *t, const struct dmt_tea *tea, unsigned registers, uint64_t *va,
                   unsigned *index)
{
    for (unsigned i = 0; i < registers; i++) {
        uint64_t step = UINT64_C(1) << 9 * tea[i].sz;
        unsigned level = tea[i].sz + 1u;
        for (uint64_t page = 0; tea[i].valid && page < tea[i].pages; page += step) {
            uint64_t addr = (tea[i].base_pfn << 12) + 8 * (page >> 9 * tea[i].sz), entry = 0;
            struct dmt_lookup at;
            *va = page_va(tea[i].base_vpn + page);
            *index = i;
            dmt_table_lookup(t, *va, &at);
            bool absent = !dmt_mem_read(t->mem, addr, &entry);
            bool leaf = (entry & DMT_PTE_P) != 0 && (level == 1 || (entry & DMT_PTE_PS) != 0);
            bool radix = at.present && at.sz == tea[i].sz;
            if (absent || leaf != radix || (leaf && at.addr[level] != addr)) {
                return false;
            }
        }
    }
    return true;
}
