/* SPDX-License-Identifier: Apache-2.0
 * Every permission row of the sample through the architectural model. */
#include "dmt/regs.h"
#include "perm_rows.h"
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define SAMPLE_ROWS 24000
#define BIT51 (1ull << 51)

/* The row's memory as a translation changes it. */
struct memory {
    const struct perm_row *row;
    uint64_t now[PERM_LEVELS];
    bool alias51; /* address bit 51 is not decoded */
    unsigned writes;
};

static enum dmt_resp mem_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    const struct memory *m = user;
    uint64_t pa = m->alias51 ? ref->addr & ~BIT51 : ref->addr;

    if (!perm_read(m->row, pa, data))
        return DMT_RESP_DECERR;
    for (unsigned i = 0; i < PERM_LEVELS; i++)
        if (pa == m->row->word[i].pa)
            *data = m->now[i];
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp mem_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct memory *m = user;
    uint64_t pa = m->alias51 ? ref->addr & ~BIT51 : ref->addr;

    m->writes++;
    for (unsigned i = 0; i < PERM_LEVELS; i++) {
        if (pa == m->row->word[i].pa) {
            m->now[i] = data;
            return DMT_RESP_EXOKAY;
        }
    }
    return DMT_RESP_DECERR;
}

static void run(const struct perm_row *row, struct memory *m, struct dmt_result *r)
{
    struct dmt_port port = { .user = m, .read = mem_read, .write = mem_write };

    m->row = row;
    m->writes = 0;
    for (unsigned i = 0; i < PERM_LEVELS; i++)
        m->now[i] = row->word[i].value;
    dmt_arch_translate(&row->state, &row->request, &port, r);
}

/* The answer, and unless `words` is false the entries, are as the row says. */
static void expect_row(const struct perm_row *row, const struct memory *m, const struct dmt_result *r,
                       bool words)
{
    cr_assert_eq(r->status, row->status, "line %u: status %u, expected %u (error %" PRIx64 ")", row->line,
                 r->status, row->status, r->error);
    cr_assert_eq(r->error, row->error, "line %u: error %" PRIx64 ", expected %x", row->line, r->error,
                 row->error);
    cr_assert_eq(r->pa, row->pa, "line %u: pa %" PRIx64 ", expected %" PRIx64, row->line,
                 r->pa, row->pa);
    cr_assert_eq(r->addr, row->status == DMT_STATUS_OK ? 0 : row->request.va, "line %u: address", row->line);
    for (unsigned i = 0; words && i < PERM_LEVELS; i++)
        cr_assert_eq(m->now[i], row->word[i].post, "line %u: level %u entry %" PRIx64 ", expected %" PRIx64,
                     row->line, i + 1, m->now[i], row->word[i].post);
}

/* Does a present entry on the row's way use frame bit 51? */
static bool uses_bit51(const struct perm_row *row)
{
    for (unsigned i = 0; i < PERM_LEVELS; i++)
        if (row->word[i].value & BIT51)
            return true;
    return false;
}

static void sample_at(unsigned maxpa)
{
    struct perm_file *f = perm_open_sample();
    struct perm_row row;
    struct memory m = { 0 };
    struct dmt_result r;
    unsigned rows = 0;
    int more;

    cr_assert(f);
    while ((more = perm_next(f, &row)) == 1) {
        row.state.maxpa = (uint8_t)maxpa;
        run(&row, &m, &r);
        expect_row(&row, &m, &r, true);
        rows++;
    }
    perm_close(f);
    cr_assert_eq(more, 0);
    cr_assert_eq(rows, SAMPLE_ROWS);
}

Test(perm, sample_maxphyaddr_40)
{
    sample_at(40);
}

Test(perm, sample_maxphyaddr_46)
{
    sample_at(46);
}

Test(perm, sample_maxphyaddr_51)
{
    sample_at(51);
}

/* With 52 bits nothing of 51:MAXPA is left: bit 51 is an address bit. Where
 * memory does not decode it, such a row does what the row without it does. */
Test(perm, sample_maxphyaddr_52)
{
    struct perm_file *f = perm_open_sample();
    struct perm_row row;
    struct memory m = { .alias51 = true }, plain = { 0 };
    struct dmt_result r, expected;
    unsigned with51 = 0, rows = 0, reached = 0;

    cr_assert(f);
    while (perm_next(f, &row) == 1) {
        row.state.maxpa = 52;
        run(&row, &m, &r);
        rows++;
        if (!uses_bit51(&row)) {
            expect_row(&row, &m, &r, true);
            continue;
        }
        struct perm_row without = row;
        without.state.maxpa = 51;
        for (unsigned i = 0; i < PERM_LEVELS; i++)
            without.word[i].value &= ~BIT51;
        run(&without, &plain, &expected);
        cr_assert_eq(r.status, expected.status, "line %u", row.line);
        cr_assert_eq(r.error, expected.error, "line %u", row.line);
        cr_assert_eq(r.pa & ~BIT51, expected.pa, "line %u", row.line);
        for (unsigned i = 0; i < PERM_LEVELS; i++)
            cr_assert_eq(m.now[i] & ~BIT51, plain.now[i], "line %u", row.line);
        reached += r.pa >> 51 & 1;
        with51++;
    }
    perm_close(f);
    cr_assert_eq(rows, SAMPLE_ROWS);
    cr_assert_gt(with51, 0);
    cr_assert_gt(reached, 0, "no row shows bit 51 in its physical address");
}

/* The rows below a fifth level that allows everything: same answers. */
Test(perm, sample_under_five_levels)
{
    struct perm_file *f = perm_open_sample();
    struct perm_row row;
    struct memory m = { 0 };
    struct dmt_result r;
    unsigned rows = 0;

    cr_assert(f);
    while (perm_next(f, &row) == 1) {
        if (row.status == DMT_STATUS_GP || row.five)
            continue;
        row.state.level[0].cr3 = perm_table_pfn[4] << 12;
        row.state.level[0].cr4 |= DMT_LEVEL_CR4_LA57_MASK;
        row.word[4].pa = perm_table_pfn[4] << 12;
        row.word[4].value = perm_table_pfn[3] << 12 | 0x27;
        row.word[4].post = row.word[4].value;
        run(&row, &m, &r);
        expect_row(&row, &m, &r, true);
        cr_assert(r.status != DMT_STATUS_OK || r.refs == 6 - row.level, "line %u", row.line);
        rows++;
    }
    perm_close(f);
    cr_assert_gt(rows, 20000);
}

/* A row given a leaf table register with the rights of its upper levels. False: it breaks the software
 * contract (an upper entry is not present or has a reserved bit). */
static bool give_register(struct perm_row *row)
{
    struct dmt_tea *t = &row->state.tea[0][0];
    unsigned sz = row->level - 1;
    unsigned allow = 7;

    for (unsigned level = 4; level > row->level; level--) {
        uint64_t e = row->word[level - 1].value;
        bool nxe = row->state.level[0].efer & DMT_LEVEL_EFER_NXE_MASK;
        bool ps = e >> 7 & 1;

        if (!(e & 1) || ps || e & BIT51 || (e >> 63 && !nxe))
            return false;
        allow &= (unsigned)(e >> 1 & 3) | (e >> 63 ? 0 : 4);
    }
    /* The register starts at the page and the TEA at the frame, so the entry is the first one. */
    *t = (struct dmt_tea){
        .base_vpn = row->request.va >> 12,
        .pages = 1,
        .base_pfn = row->word[row->level - 1].pa >> 12,
        .sz = (uint8_t)sz,
        .allow = (uint8_t)allow,
        .valid = true,
    };
    /* Entries stand inside their table: begin as many pages before as there are entries before. */
    uint64_t before = (row->word[row->level - 1].pa & 0xfff) / 8;
    t->base_vpn = ((t->base_vpn >> 9 * sz) - before) << 9 * sz;
    t->pages = (before + 1) << 9 * sz;
    return true;
}

/* P29: the outcome does not depend on whether a register covers the address; only the A bits of upper
 * entries stay as they were (rule T5). */
Test(perm, P29_register_does_not_change_outcome)
{
    struct perm_file *f = perm_open_sample();
    struct perm_row row;
    struct memory m = { 0 };
    struct dmt_result r, walk;
    unsigned hit = 0, restart = 0;

    cr_assert(f);
    while (perm_next(f, &row) == 1) {
        if (row.status == DMT_STATUS_GP)
            continue;
        run(&row, &m, &walk);
        if (!give_register(&row))
            continue;
        run(&row, &m, &r);
        expect_row(&row, &m, &r, r.path[0] == DMT_PATH_RESTART);
        if (r.status == DMT_STATUS_OK) {
            cr_assert_eq(r.path[0], DMT_PATH_TEA, "line %u", row.line);
            cr_assert_eq(m.now[row.level - 1], row.word[row.level - 1].post, "line %u", row.line);
            cr_assert(r.rights == walk.rights && r.pkey == walk.pkey && r.memtype == walk.memtype
                      && r.size == walk.size && r.dirty == walk.dirty && r.global == walk.global,
                      "line %u", row.line);
            cr_assert_eq(r.refs, 1);
            hit++;
        } else {
            cr_assert_eq(r.path[0], DMT_PATH_RESTART, "line %u", row.line);
            restart++;
        }
    }
    perm_close(f);
    cr_assert_gt(hit, 8000);
    cr_assert_gt(restart, 5000);
}

/* ---- bad files */

static const char good_header[] =
    "row,leaf,va,access,wp,smep,smap,pke,nxe,pks,key,keybits,pml5e,pml4e,pdpte,pde,pte,expect,"
    "post_pml5e,post_pml4e,post_pdpte,post_pde,post_pte\n";

/* Compress text (the first `keep` bytes of the result), open and read it all. */
static int read_text(const char *text, size_t cut)
{
    char packed[8192], path[] = "/tmp/perm_rows.XXXXXX";
    size_t n = ZSTD_compress(packed, sizeof packed, text, strlen(text), 1);
    int fd = mkstemp(path), more = -2;
    struct perm_row row;

    cr_assert(!ZSTD_isError(n) && n > cut && fd >= 0);
    cr_assert_eq(write(fd, packed, n - cut), (ssize_t)(n - cut));
    close(fd);
    struct perm_file *f = perm_open(path);
    unlink(path);
    if (f)
        while ((more = perm_next(f, &row)) == 1)
            ;
    perm_close(f);
    return more;
}

static int read_row(const char *row)
{
    char text[4096];

    snprintf(text, sizeof text, "%s%s", good_header, row);
    return read_text(text, 0);
}

Test(perm, bad_rows_are_refused, .init = cr_redirect_stderr)
{
#define HEAD "1,1,6ac8c2344358,UR,1,0,0,0,1,0,0,0,"
#define TAIL ",408027,40c027,410027,2344067,ok,,408027,40c027,410027,2344067"
    cr_assert_eq(read_row(HEAD TAIL "\n"), 0);
    cr_assert_eq(read_row(HEAD TAIL), 0, "a last line without newline is whole");
    cr_assert_eq(read_row(HEAD TAIL ",1\n"), -1, "a field too many");
    cr_assert_eq(read_row(HEAD "\n"), -1, "fields missing");
    cr_assert_eq(read_row("1,4,6ac8c2344358,UR,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "level 4 leaf");
    cr_assert_eq(read_row("1,0,6ac8c2344358,UR,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "level 0 leaf");
    cr_assert_eq(read_row("1,1,6ac8c2344358z,UR,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "not hexadecimal");
    cr_assert_eq(read_row("1,1,16ac8c2344358aaaaaaa,UR,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "over 64 bits");
    cr_assert_eq(read_row("1,1,-1,UR,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "negative");
    cr_assert_eq(read_row("1,1,,UR,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "empty");
    cr_assert_eq(read_row("1,1,6ac8c2344358,UQ,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "access");
    cr_assert_eq(read_row("1,1,6ac8c2344358,U,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "access");
    cr_assert_eq(read_row("1,1,6ac8c2344358,URb,1,0,0,0,1,0,0,0," TAIL "\n"), -1, "access");
    cr_assert_eq(read_row("1,1,6ac8c2344358,UR,2,0,0,0,1,0,0,0," TAIL "\n"), -1, "flag");
    cr_assert_eq(read_row("1,1,6ac8c2344358,UR,1,0,0,0,1,0,16,0," TAIL "\n"), -1, "key");
    cr_assert_eq(read_row("1,1,6ac8c2344358,UR,1,0,0,0,1,0,0,4," TAIL "\n"), -1, "key bits");
    cr_assert_eq(read_row(HEAD ",408027,40c027,410027,2344067,PF0z,,,,,\n"), -1, "error code");
    cr_assert_eq(read_row(HEAD ",408027,40c027,410027,2344067,PF015,,,,,\n"), -1, "error code");
    cr_assert_eq(read_row(HEAD ",408027,40c027,410027,2344067,Gp,,,,,\n"), -1, "expectation");
    cr_assert_eq(read_row(HEAD ",408027,40c027,410027,2344067,ok,,,,,\n"), -1, "no entries after success");
}

Test(perm, bad_files_are_refused, .init = cr_redirect_stderr)
{
    cr_assert_null(perm_open("/nonexistent/rows.zst"));
    cr_assert_eq(read_text(good_header, 3), -2, "truncated");
    cr_assert_eq(read_text("row,leaf\n1,2\n", 0), -2, "columns missing");
    cr_assert_eq(read_text("\n", 0), -2, "no columns");
}

/* A five-level row walks five levels. */
Test(perm, five_level_row)
{
    char packed[8192], text[4096], path[] = "/tmp/perm_rows.XXXXXX";
    struct perm_row row;
    struct memory m = { 0 };
    struct dmt_result r;
    int fd = mkstemp(path);

    snprintf(text, sizeof text, "%s%s", good_header,
             "1,1,6ac8c2344358,UW,1,0,0,0,1,0,0,0,404007,408007,40c027,410027,2344027,ok,"
             "404027,408027,40c027,410027,2344067\n"
             "2,1,16ac8c2344358,UW,1,0,0,0,1,0,0,0,404007,408027,40c027,410027,2344067,PF06,,,,,\n"
             "3,1,16ac8c2344358,UR,1,0,0,0,1,0,0,0,404007,408027,40c027,410027,2344067,PF04,,,,,\n"
             "4,1,6ac8c2344358,UR,1,0,0,0,1,0,0,0,404087,408027,40c027,410027,2344067,PF0d,,,,,\n");
    size_t n = ZSTD_compress(packed, sizeof packed, text, strlen(text), 1);
    cr_assert_eq(write(fd, packed, n), (ssize_t)n);
    close(fd);
    struct perm_file *f = perm_open(path);
    unlink(path);
    cr_assert(f);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(perm_next(f, &row), 1);
        cr_assert(row.five);
        run(&row, &m, &r);
        expect_row(&row, &m, &r, true);
        if (i == 0)
            cr_assert_eq(r.refs, 5);
    }
    cr_assert_eq(perm_next(f, &row), 0);
    perm_close(f);
}
