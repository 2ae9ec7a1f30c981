/* SPDX-License-Identifier: Apache-2.0
 * Every address space of a cell holds the same few pages at a base of its own,
 * so that an offset from the base names a page on every level of the stack:
 * pages 0.. stage 2's tables, 5 the page asked for, 8.. stage 1's tables. Host
 * memory alone has pages beyond those sixteen. */
#include "cells.h"
#include "dmt/regs.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GIB             (1ull << 30)
#define OFFSET          0x12600000ull /* of every base in its GiB: any page size maps it */
#define PAGES           16            /* in every address space */
#define PAGE_FINAL      5
#define PAGE_GTEA_TABLE 32
#define BYTE            0x128 /* in the page asked for */

#define IA32E_ALL 0x67ull  /* P W U A D */
#define EPT_ALL   0x707ull /* R W X A D XU */
#define EPT_WB    (6ull << 3)
#define PS        0x80ull

/* First page of the tables of a stage, that of level 1. */
static const unsigned table_page[] = {16, 8, 0, 24};

/* ---- all cells */

static unsigned entering(const struct cell *c)
{
    return c->mode - DMT_MODE_NATIVE;
}

static bool uses_shadow(const struct cell *c)
{
    return c->mode == DMT_MODE_NESTED && !c->full && c->stage[1].cover == CELL_WALK;
}

static void first_of_mode(struct cell *c, uint8_t mode)
{
    memset(c, 0, sizeof *c);
    c->mode = mode;
    for (unsigned k = 0; k <= entering(c); k++)
        c->stage[k].levels = 4;
}

void cell_first(struct cell *c)
{
    first_of_mode(c, DMT_MODE_NATIVE);
}

/* Count the stage's part up. False: it starts again. */
static bool next_stage(struct cell *c, unsigned k)
{
    if (++c->stage[k].size <= DMT_SIZE_1G)
        return true;
    c->stage[k].size = DMT_SIZE_4K;
    if (c->stage[k].levels++ == 4)
        return true;
    c->stage[k].levels = 4;
    if (c->stage[k].cover++ < (k ? CELL_GTEA : CELL_PA))
        return true;
    c->stage[k].cover = CELL_WALK;
    return false;
}

bool cell_next(struct cell *c)
{
    for (unsigned k = uses_shadow(c); k <= entering(c); k++)
        if (next_stage(c, k))
            return true;
    if (c->mode > DMT_MODE_NATIVE && (c->format ^= 1))
        return true;
    if (c->mode == DMT_MODE_NESTED && (c->full ^= true))
        return true;
    if (c->mode == DMT_MODE_NESTED)
        return false;
    first_of_mode(c, c->mode + 1);
    return true;
}

const char *cell_text(const struct cell *c)
{
    static const char *const cover[] = {"walk", "PA", "GTEA"}, *const size[] = {"4K", "2M", "1G"};
    static char text[160];
    int n = snprintf(text, sizeof text, "%s%s%s",
                     c->mode == DMT_MODE_NATIVE ? "NATIVE"
                     : c->mode == DMT_MODE_VIRT ? "VIRT"
                                                : "NESTED",
                     c->mode != DMT_MODE_NESTED ? ""
                     : c->full                  ? " FULL"
                                                : " SHADOW",
                     c->mode == DMT_MODE_NATIVE ? ""
                     : c->format                ? " NPT"
                                                : " EPT");

    for (unsigned k = entering(c) + 1; k-- > 0;)
        n += snprintf(text + n, sizeof text - (size_t)n, ", stage %u: %s %u levels %s", k,
                      cover[c->stage[k].cover], c->stage[k].levels, size[c->stage[k].size]);
    return text;
}

/* ---- building */

static unsigned index_of(unsigned level, uint64_t a)
{
    return a >> (9 * level + 3) & 511;
}

static uint64_t table_addr(const struct cell_world *w, unsigned stage, unsigned level)
{
    unsigned space = stage == CELL_SHADOW ? 0 : stage; /* of level stage - 1 */

    return w->base[space] + 4096ull * (table_page[stage] + level - 1);
}

uint64_t cell_entry(const struct cell_world *w, unsigned stage, unsigned level, uint64_t a)
{
    return table_addr(w, stage, level) + 8 * index_of(level, a);
}

uint64_t cell_entry_hpa(const struct cell_world *w, unsigned stage, unsigned level, uint64_t a)
{
    return cell_entry(w, stage, level, a) - w->base[stage == CELL_SHADOW ? 0 : stage] + w->base[0];
}

uint64_t cell_final(const struct cell_world *w, int k)
{
    return w->base[k + 1] + 4096 * PAGE_FINAL + BYTE;
}

/* Map address a of level k (1 for the shadow table) to `to`, through the tables of a stage. */
static bool map(struct cell_world *w, unsigned stage, unsigned levels, unsigned size, uint64_t a, uint64_t to)
{
    bool ept = stage != w->entering && w->cell.format == DMT_FORMAT_EPT;
    uint64_t all = ept ? EPT_ALL : IA32E_ALL, in_page = (1ull << (9 * size + 12)) - 1;

    for (unsigned level = levels; level > size; level--) {
        bool leaf = level == size + 1;
        uint64_t pa = cell_entry_hpa(w, stage, level, a);
        uint64_t e = leaf ? (to & ~in_page) | all | (ept ? EPT_WB : 0) | (level > 1 ? PS : 0)
                          : table_addr(w, stage, level - 1) | (ept ? all & ~0x200ull : all);

        if (!dmt_mem_add(w->mem, pa >> 12))
            return false;
        dmt_mem_write(w->mem, pa, e);
    }
    return true;
}

/* The register that covers all that the stage's lowest table maps. */
static void cover(struct cell_world *w, unsigned stage)
{
    unsigned level = w->cell.stage[stage].size + 1u;
    uint64_t frame = table_addr(w, stage, level) >> 12;
    struct dmt_tea *t = &w->state.tea[stage][3];

    *t = (struct dmt_tea){
        .base_vpn = w->base[stage + 1] >> (9 * level + 12) << 9 * level,
        .pages = 1ull << 9 * level,
        .base_pfn = frame,
        .sz = w->cell.stage[stage].size,
        .allow = 7,
        .valid = true,
    };
    if (w->cell.stage[stage].cover != CELL_GTEA)
        return;
    /* gTEA 7 of the set is the table, with two frames before it. */
    t->kind = DMT_KIND_GTEA;
    t->gtea = 7;
    t->base_pfn = 2;
    t->resolution = DMT_RESOLUTION_OK;
    t->gtea_base = frame - w->base[stage] / 4096 + w->base[0] / 4096 - 2;
    t->gtea_pages = 3;
    dmt_mem_write(w->mem, w->state.gtea[stage].table + 16 * 7, t->gtea_base << 12 | 1);
    dmt_mem_write(w->mem, w->state.gtea[stage].table + 16 * 7 + 8, t->gtea_pages);
}

bool cell_build(struct cell_world *w, const struct cell *c, unsigned maxpa)
{
    struct dmt_state *s = &w->state;
    bool ok = true;

    memset(w, 0, sizeof *w);
    w->cell = *c;
    w->entering = entering(c);
    w->shadow = uses_shadow(c);
    w->mem = dmt_mem_new();
    if (!w->mem)
        return false;
    dmt_state_reset(s, maxpa);
    s->mode = c->mode;
    s->full = c->full;

    /* Bases that no two address spaces share, whose indices differ at every level. */
    w->base[0] = 5 * GIB + OFFSET;
    for (unsigned k = 0; k <= w->entering; k++) {
        bool five = c->stage[k].levels == 5, top = k == w->entering;

        w->base[k + 1] = (3 + k) * 512 * GIB + (7 + k) * GIB + OFFSET;
        if (five && (top || maxpa >= 50))
            w->base[k + 1] |= (top ? 0x5aull : 1 + k) << 48;
    }

    for (unsigned k = 0; k <= w->entering; k++) {
        unsigned levels = c->stage[k].levels, size = c->stage[k].size;

        if (k == w->entering) {
            ok &= map(w, k, levels, size, cell_final(w, (int)k), cell_final(w, (int)k - 1));
            s->level[k].cr3 = table_addr(w, k, levels);
            s->level[k].cr4 = levels == 5 ? DMT_LEVEL_CR4_LA57_MASK : 0;
            s->level[k].efer = DMT_LEVEL_EFER_NXE_MASK;
        } else {
            s->s2[k] = (struct dmt_s2){
                .root = table_addr(w, k, levels),
                .format = c->format,
                .five = levels == 5,
                .ad = c->format == DMT_FORMAT_EPT,
            };
            for (unsigned page = 0; page < PAGES; page++)
                ok &= map(w, k, levels, size, w->base[k + 1] + 4096 * page, w->base[k] + 4096 * page);
        }
        if (c->mode == DMT_MODE_NESTED && !c->full && k == 1) {
            s->shadow = s->s2[1];
            s->shadow.root = table_addr(w, CELL_SHADOW, levels);
            for (unsigned page = 0; page < PAGES; page++)
                ok &= map(w, CELL_SHADOW, levels, size, w->base[2] + 4096 * page, w->base[0] + 4096 * page);
        }
        if (k > 0) {
            uint64_t pfn = w->base[0] / 4096 + PAGE_GTEA_TABLE + k;

            ok &= dmt_mem_add(w->mem, pfn) != NULL;
            s->gtea[k] = (struct dmt_gtea){.table = pfn << 12, .entries = 8};
        }
        if (ok && c->stage[k].cover != CELL_WALK)
            cover(w, k);
    }
    w->request = (struct dmt_request){.va = cell_final(w, (int)w->entering), .nonspec = true};
    if (!ok)
        cell_unbuild(w);
    return ok;
}

void cell_unbuild(struct cell_world *w)
{
    dmt_mem_free(w->mem);
    w->mem = NULL;
}

/* ---- what is expected */

/* Of translating an address of level k down to the host's. */
static unsigned refs_of(const struct cell *c, unsigned k)
{
    unsigned below = k == 0 || (k == 1 && uses_shadow(c)) ? 0 : refs_of(c, k - 1);

    switch (c->stage[k].cover) {
    case CELL_GTEA:
        return 1 + below;
    case CELL_PA:
        return (1 + below) + below;
    default:
        return (c->stage[k].levels - c->stage[k].size) * (1u + below) + below;
    }
}

unsigned cell_refs(const struct cell *c)
{
    return refs_of(c, entering(c));
}

struct list {
    struct cell_read *read;
    unsigned n;
};

static void list_reads(const struct cell_world *w, struct list *l, unsigned k, uint64_t a, bool final)
{
    bool shadow = k == 1 && w->shadow, lowest = k == 0 || shadow;
    unsigned table = shadow ? CELL_SHADOW : k, leaf = w->cell.stage[k].size + 1u;
    uint8_t cover = w->cell.stage[k].cover;

    for (unsigned level = cover == CELL_WALK ? w->cell.stage[k].levels : leaf; level >= leaf; level--) {
        if (!lowest && cover != CELL_GTEA)
            list_reads(w, l, k - 1, cell_entry(w, table, level, a), false);
        l->read[l->n++] = (struct cell_read){
            .addr = cell_entry_hpa(w, table, level, a),
            .a = a,
            .stage = (uint8_t)k,
            .level = (uint8_t)level,
            .tea = cover != CELL_WALK,
            .leaf = level == leaf,
            .final = final,
        };
    }
    if (!lowest)
        list_reads(w, l, k - 1, a - w->base[k + 1] + w->base[k], final);
}

unsigned cell_reads(const struct cell_world *w, struct cell_read read[CELL_READS_MAX])
{
    struct list l = {read, 0};

    list_reads(w, &l, w->entering, w->request.va, true);
    return l.n;
}

struct dmt_result cell_answer(const struct cell_world *w)
{
    struct dmt_result r = {.status = DMT_STATUS_OK, .size = DMT_SIZE_1G, .rights = 7, .dirty = true};

    r.pa = cell_final(w, -1);
    if (w->entering > 0) {
        r.addr = cell_final(w, (int)w->entering - 1);
        r.memtype = w->cell.format == DMT_FORMAT_EPT ? 6 << 3 : 0;
    }
    for (unsigned k = w->shadow; k <= w->entering; k++) {
        bool tea = w->cell.stage[k].cover != CELL_WALK;

        if (w->cell.stage[k].size < r.size)
            r.size = w->cell.stage[k].size;
        r.path[k] = tea ? DMT_PATH_TEA : DMT_PATH_RADIX;
        r.index[k] = tea ? 3 : 0;
    }
    r.refs = r.reads = cell_refs(&w->cell);
    return r;
}
