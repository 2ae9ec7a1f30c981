/* SPDX-License-Identifier: Apache-2.0
 * The page tables of a captured Debian 6.1 guest (tests/data/native_l4)
 * against QEMU's own translation of 95 000 addresses in 18 address spaces:
 * every row on the architectural model, with TEA registers laid out and
 * without, and a sample on the cycle model and the RTL. */
#include "areas.h"
#include "dmt/regs.h"
#include "io.h"
#include "memory.h"
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
    struct areas areas;

    cr_assert(maps_read(DATA "maps.txt.zst", processes[process].pid, &areas));
    cr_assert(areas_layout(mem, &s, &areas, 16, 0x100000 * (process + 1), report));
    areas_free(&areas);
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
