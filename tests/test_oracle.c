/* SPDX-License-Identifier: Apache-2.0
 * Captured page tables against what something else made of them: every row on
 * the architectural model, with TEA registers laid out and without, and a
 * sample on the cycle model and the RTL.
 * oracle: a Debian 6.1 guest (tests/data/native_l4) and QEMU's own translation
 * of 95 000 addresses in 18 address spaces.
 * nested: a guest under AMD nested paging (sim/captures/nested) and what the
 * processor made of 2133 of its accesses; also as the guest of a guest, and with
 * its nested table turned into EPT. */
#include "areas.h"
#include "dmt/regs.h"
#include "io.h"
#include "memory.h"
#include "oracle.h"
#include "space.h"
#include "state.h"
#include "tb/cosim.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "tests/data/native_l4/"

struct row {
    uint64_t root, va, pa;
    bool fault;
};

static struct row *rows;
static size_t rows_n;
static struct dmt_mem *mem;

static void load(void)
{
    struct in *in = in_open(DATA "oracle_gva.csv.zst");
    size_t room = 0;
    char *line;

    mem = memory_read(DATA "frames.bin.zst", &(struct memory_how){.records = true}, NULL);
    cr_assert(mem != NULL && in != NULL);
    while (in_line(in, &line) && line != NULL) {
        char root[20], va[20], pa[20];
        if (in_line_number(in) == 1) {
            continue;
        }
        if (rows_n == room) {
            room = room == 0 ? 4096 : room * 2;
            rows = realloc(rows, room * sizeof *rows);
        }
        struct row *r = &rows[rows_n++];
        *r = (struct row){0};
        cr_assert_eq(sscanf(line, "%19[^,],%19[^,],%19s", root, va, pa), 3);
        r->fault = strcmp(pa, "fault") == 0;
        cr_assert(parse_hex(root, UINT64_MAX, &r->root) && parse_hex(va, UINT64_MAX, &r->va) &&
                  (r->fault || parse_hex(pa, UINT64_MAX, &r->pa)));
    }
    in_close(in);
    cr_assert_eq(rows_n, 95377);
}

static void unload(void)
{
    dmt_mem_free(mem);
    free(rows);
}

TestSuite(oracle, .init = load, .fini = unload, .timeout = 280);

static struct dmt_state state_of(uint64_t root)
{
    struct dmt_state s;

    dmt_state_reset(&s, 52);
    s.mode = DMT_MODE_NATIVE;
    s.level[0] = (struct dmt_level){.cr0 = 0x80050033, .cr3 = root << 12, .cr4 = 0x750eb0, .efer = 0xd01};
    return s;
}

/* QEMU's monitor translates whatever the rights: read as the supervisor, with AC past SMAP. */
static struct dmt_request request_of(const struct row *r)
{
    return (struct dmt_request){
        .va = r->va, .access = DMT_ACCESS_READ, .cpl = 0, .ac = true, .nonspec = true};
}

static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    return dmt_mem_read(user, ref->addr, data) ? (ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY)
                                               : DMT_RESP_DECERR;
}

static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return dmt_mem_write(user, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

static bool agrees(const struct row *r, const struct dmt_result *x)
{
    return r->fault ? x->status == DMT_STATUS_PF || x->status == DMT_STATUS_GP
                    : x->status == DMT_STATUS_OK && x->pa == r->pa;
}

static struct dmt_result arch(const struct dmt_state *s, const struct row *r)
{
    struct dmt_port port = {.user = mem, .read = read_entry, .write = write_entry};
    struct dmt_request rq = request_of(r);
    struct dmt_result x;

    dmt_arch_translate(s, &rq, &port, &x);
    return x;
}

Test(oracle, every_row_on_the_architectural_model)
{
    struct dmt_state s = state_of(0);
    size_t ok = 0;

    for (size_t i = 0; i < rows_n; i++) {
        if (i == 0 || rows[i].root != rows[i - 1].root) {
            s = state_of(rows[i].root);
        }
        struct dmt_result x = arch(&s, &rows[i]);
        cr_assert(agrees(&rows[i], &x), "root %llx va %llx: status %u pa %llx, expected %llx",
                  (unsigned long long)rows[i].root, (unsigned long long)rows[i].va, x.status,
                  (unsigned long long)x.pa, (unsigned long long)rows[i].pa);
        ok += !rows[i].fault;
    }
    cr_assert_gt(ok, rows_n / 2, "most rows are mapped, so this test sees translations");
}

/* Processes of roots.csv with their pid in maps.txt. */
static const struct {
    uint64_t root, pid;
} processes[] = {{0x43b2, 96}, {0x43c8, 99}, {0x43ce, 100}, {0x43dc, 133}, {0x43cc, 97}, {0x43ca, 98}};

/* State with registers for one process; its tables move inside mem. */
static struct dmt_state lay_out(unsigned process, struct dmt_tea_report *report)
{
    struct dmt_state s = state_of(processes[process].root);
    struct dmt_tea_report reports[DMT_SETS_MAX];
    struct areas areas;
    struct space space;

    cr_assert(maps_read(DATA "maps.txt.zst", processes[process].pid, &areas));
    cr_assert(space_open(&space, &s, mem, 0x100000 * (process + 1)));
    cr_assert(space_layout(&space, &(struct space_layout){.areas = &areas, .registers = 16}, reports));
    areas_free(&areas);
    *report = reports[0];
    return s;
}

Test(oracle, every_row_with_tea_registers)
{
    for (unsigned p = 0; p < sizeof processes / sizeof *processes; p++) {
        struct dmt_tea_report report;
        struct dmt_state s = lay_out(p, &report);
        size_t seen = 0, by_tea = 0;
        for (size_t i = 0; i < rows_n; i++) {
            if (rows[i].root != processes[p].root) {
                continue;
            }
            struct dmt_result x = arch(&s, &rows[i]);
            cr_assert(agrees(&rows[i], &x), "root %llx va %llx: status %u pa %llx, expected %llx",
                      (unsigned long long)rows[i].root, (unsigned long long)rows[i].va, x.status,
                      (unsigned long long)x.pa, (unsigned long long)rows[i].pa);
            seen++;
            by_tea += x.path[0] == DMT_PATH_TEA;
        }
        cr_assert_gt(seen, 1000);
        cr_assert_gt(by_tea, 100, "process %u: only %zu rows went by a TEA register", p, by_tea);
        cr_assert_gt(report.covered_pages * 10, report.mapped_pages * 8);
    }
}

static void sample(const struct dut_ops *dut, const struct dmt_config *config)
{
    struct dmt_tea_report report;
    struct dmt_state s = lay_out(1, &report);
    struct single *single = single_new(dut, config, mem, 5, true);
    size_t seen = 0, by_tea = 0;

    cr_assert_not_null(single, "%s", cosim_error());
    cr_assert(single_load(single, &s), "%s", cosim_error());
    for (size_t i = 0; i < rows_n; i++) {
        struct dmt_result x;
        struct dmt_request rq = request_of(&rows[i]);
        if (rows[i].root != processes[1].root || i % 3 != 0) {
            continue;
        }
        cr_assert(single_translate(single, &rq, &x, NULL), "%s", cosim_error());
        cr_assert(agrees(&rows[i], &x), "va %llx: status %u pa %llx, expected %llx",
                  (unsigned long long)rows[i].va, x.status, (unsigned long long)x.pa,
                  (unsigned long long)rows[i].pa);
        seen++;
        by_tea += x.path[0] == DMT_PATH_TEA;
    }
    cr_assert_gt(seen, 500);
    cr_assert_gt(by_tea, 50);
    single_free(single);
}

Test(oracle, a_sample_on_the_cycle_model)
{
    sample(&dut_cycle, &dut_rtl_find("default")->config);
}

Test(oracle, a_sample_on_the_rtl)
{
    sample(dut_rtl_find("default"), NULL);
}

/* ---------------------------------------------------------------- nested */

#define NESTED "sim/captures/nested/"

static struct oracle_row *accesses;
static size_t accesses_n;
static struct dmt_state captured;

static void load_nested(void)
{
    struct full_state s;

    cr_assert(state_read(NESTED "state", &s));
    captured = s.dmt;
    mem = memory_read(NESTED "memory.zst", NULL, NULL);
    accesses = oracle_read(NESTED "oracle.csv", &accesses_n);
    cr_assert(mem != NULL && accesses != NULL);
    cr_assert_eq(accesses_n, 2133);
}

static void unload_nested(void)
{
    dmt_mem_free(mem);
    free(accesses);
}

TestSuite(nested, .init = load_nested, .fini = unload_nested, .timeout = 280);

/* Every access on the architectural model, in order; results to x when not NULL. */
static void all_accesses(const struct dmt_state *s, struct dmt_mem *m, struct dmt_result *x)
{
    struct dmt_port port = {.user = m, .read = read_entry, .write = write_entry};
    size_t outcome[3] = {0};

    for (size_t i = 0; i < accesses_n; i++) {
        const struct oracle_row *row = &accesses[i];
        struct dmt_result r;
        dmt_arch_translate(s, &row->request, &port, &r);
        cr_assert(oracle_agrees(row, &r),
                  "va %llx: status %u pa %llx addr %llx error %llx, expected outcome %d",
                  (unsigned long long)row->request.va, r.status, (unsigned long long)r.pa,
                  (unsigned long long)r.addr, (unsigned long long)r.error, row->outcome);
        outcome[row->outcome]++;
        if (x != NULL) {
            x[i] = r;
        }
    }
    cr_assert(outcome[ORACLE_OK] == 1861 && outcome[ORACLE_FAULT] == 228 && outcome[ORACLE_SECOND] == 44);
}

/* The state with registers of every stage over a memory of its own; full: NESTED with FULL. */
static struct dmt_state with_teas(bool nest, bool full, bool gtea, struct dmt_mem **m)
{
    struct dmt_state s = captured;
    struct dmt_tea_report report[DMT_SETS_MAX];
    struct space space;

    *m = dmt_mem_clone(mem);
    cr_assert(space_open(&space, &s, *m, 0));
    cr_assert(!nest || space_nest(&space));
    s.full = full;
    cr_assert(space_layout(&space, &(struct space_layout){.registers = 16, .gtea = gtea}, report));
    for (unsigned k = 0; k < state_entry(&s); k++) {
        cr_assert_eq(report[k].covered_pages, report[k].mapped_pages, "stage %u", k);
    }
    cr_assert_gt(report[state_entry(&s)].covered_pages * 100, report[state_entry(&s)].mapped_pages * 99);
    return s;
}

static unsigned worst_path(const struct dmt_result *r)
{
    unsigned worst = 0;

    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        worst = r->path[k] > worst ? r->path[k] : worst;
    }
    return worst;
}

/* The registers change nothing but the way: same answers as with them cleared,
 * and so many references where they cover every stage. */
static void same_with_teas(bool nest, bool full, bool gtea, unsigned refs_covered, unsigned refs_radix)
{
    struct dmt_result *with = calloc(accesses_n, sizeof *with), *without = calloc(accesses_n, sizeof *with);
    struct dmt_mem *m;
    struct dmt_state s = with_teas(nest, full, gtea, &m);
    struct dmt_mem *other = dmt_mem_clone(m);
    size_t covered = 0, most = 0;

    all_accesses(&s, m, with);
    memset(s.tea, 0, sizeof s.tea);
    all_accesses(&s, other, without);
    for (size_t i = 0; i < accesses_n; i++) {
        const struct dmt_result *a = &with[i], *b = &without[i];
        bool shadowed = nest && !full && a->stage == 0 && b->stage == 1; /* it holds the faults of both */
        cr_assert((a->stage == b->stage || shadowed) && a->status == b->status && a->pa == b->pa &&
                      a->addr == b->addr && a->error == b->error && a->size == b->size &&
                      a->rights == b->rights && a->global == b->global && a->pkey == b->pkey &&
                      a->memtype == b->memtype && a->dirty == b->dirty && a->ad_needed == b->ad_needed,
                  "va %llx", (unsigned long long)accesses[i].request.va);
        if (a->status == DMT_STATUS_OK && worst_path(a) == DMT_PATH_TEA) {
            cr_assert_eq(a->refs, refs_covered, "va %llx: %u references",
                         (unsigned long long)accesses[i].request.va, a->refs);
            covered++;
        }
        cr_assert_neq(worst_path(b), DMT_PATH_TEA);
        most = b->refs > most ? b->refs : most;
    }
    cr_assert_gt(covered, 1200);
    cr_assert_eq(most, refs_radix);
    dmt_mem_free(m);
    dmt_mem_free(other);
    free(with);
    free(without);
}

Test(nested, every_access_on_the_architectural_model)
{
    all_accesses(&captured, mem, NULL);
}

Test(nested, every_access_by_gteas)
{
    same_with_teas(false, false, true, 2, 24);
}

Test(nested, every_access_by_teas_in_guest_memory)
{
    same_with_teas(false, false, false, 3, 24);
}

Test(nested, every_access_of_a_guest_of_a_guest)
{
    same_with_teas(true, false, true, 3, 24);
}

Test(nested, every_access_of_a_guest_of_a_guest_without_a_shadow)
{
    same_with_teas(true, true, true, 3, 124);
}

/* A table of the host in EPT, made of the captured nested one. */
static void to_ept(uint64_t table, unsigned level)
{
    for (unsigned i = 0; i < 512; i++) {
        uint64_t e = 0, ept, at = (table << 12) + 8 * i;
        dmt_mem_read(mem, at, &e);
        if ((e & 1) == 0 || (e & DMT_PTE_FRAME) >> captured.maxpa != 0) { /* the hypervisor marks holes so */
            dmt_mem_write(mem, at, 0);
            continue;
        }
        bool leaf = level == 1 || (level < 4 && (e & DMT_PTE_PS) != 0);
        ept = (e & (DMT_PTE_FRAME | DMT_PTE_W)) | (e >> 2 & 1) | ((e & DMT_PTE_XD) == 0 ? 4 : 0) |
              (leaf ? 6 << 3 : 0) | (leaf && level > 1 ? DMT_PTE_PS : 0);
        dmt_mem_write(mem, at, ept);
        if (!leaf) {
            to_ept((e & DMT_PTE_FRAME) >> 12, level - 1);
        }
    }
}

Test(nested, every_access_through_ept)
{
    to_ept(captured.s2[0].root >> 12, 4);
    captured.s2[0].format = DMT_FORMAT_EPT;
    same_with_teas(false, false, true, 2, 24);
    captured.s2[0].ad = true;
    same_with_teas(true, false, true, 3, 24);
    captured.s2[0].mbec = true; /* no entry has XU: nothing but data accesses here, so nothing changes */
    all_accesses(&captured, mem, NULL);
}

static void sample_nested(const struct dut_ops *dut, const struct dmt_config *config)
{
    for (unsigned way = 0; way < 6; way++) {
        struct dmt_mem *m;
        struct dmt_state s = with_teas(way >= 2, way >= 4, true, &m);
        if (way % 2 != 0) {
            memset(s.tea, 0, sizeof s.tea);
        }
        struct single *single = single_new(dut, config, m, 5, true);
        size_t covered = 0;
        cr_assert_not_null(single, "%s", cosim_error());
        cr_assert(single_load(single, &s), "%s", cosim_error());
        for (size_t i = way; i < accesses_n; i += 4) {
            struct dmt_result x;
            cr_assert(single_translate(single, &accesses[i].request, &x, NULL), "%s", cosim_error());
            cr_assert(oracle_agrees(&accesses[i], &x),
                      "way %u va %llx: status %u pa %llx addr %llx error %llx", way,
                      (unsigned long long)accesses[i].request.va, x.status, (unsigned long long)x.pa,
                      (unsigned long long)x.addr, (unsigned long long)x.error);
            covered += x.status == DMT_STATUS_OK && worst_path(&x) == DMT_PATH_TEA;
        }
        cr_assert(way % 2 != 0 ? covered == 0 : covered > 250);
        single_free(single);
        dmt_mem_free(m);
    }
}

Test(nested, a_sample_on_the_cycle_model)
{
    sample_nested(&dut_cycle, &dut_rtl_find("default")->config);
}

Test(nested, a_sample_on_the_rtl)
{
    sample_nested(dut_rtl_find("default"), NULL);
}
