/* SPDX-License-Identifier: Apache-2.0
 * The same stimuli on Icarus: the inputs of a run on the verilated RTL are
 * played into the same sources on another simulator, and a hash over every
 * output pin of every clock must be the same. */
#include "dmt/regs.h"
#include "tb/cosim.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bits of a line of a record: reset and the input pins. */
enum {
    BITS = 1
#define PIN_IN(name, width) +width
#define PIN_OUT(name, width)
#include "dmt/pins.def"
};

struct replayed {
    uint64_t hash, cycles, answers;
};

/* Build the bench for a configuration and play a record; false when Icarus says anything else. */
static bool play(const struct dmt_config *c, const char *record, struct replayed *out)
{
    char command[2048], line[512];
    bool found = false;
    FILE *f;

    snprintf(command, sizeof(command),
             "iverilog -g2005 -Wall -Wno-timescale -s bench -Irtl -DPINS='\"%s.vh\"' "
             "-Pbench.PA_W=%u -Pbench.CTX_N=%u -Pbench.TEA_N=%u -Pbench.SETS=%u "
             "-Pbench.PWC4_N=%u -Pbench.PWC3_N=%u -Pbench.PWC2_N=%u "
             "-Pbench.NPWC4_N=%u -Pbench.NPWC3_N=%u -Pbench.NPWC2_N=%u -Pbench.TAG_W=%u -Pbench.CNT_W=%u "
             "-Pbench.PIPE=%u "
             "-o %s.vvp tb/icarus_replay.v rtl/*.v 2>&1 && vvp -n %s.vvp +record=%s 2>&1",
             record, c->pa_w, c->ctx_n, c->tea_n, c->sets, c->pwc4_n, c->pwc3_n, c->pwc2_n, c->npwc4_n,
             c->npwc3_n, c->npwc2_n, c->tag_w, c->cnt_w, c->pipe, record, record, record);
    f = popen(command, "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "hash %" SCNx64 " cycles %" SCNu64 " answers %" SCNu64, &out->hash, &out->cycles,
                   &out->answers) == 3)
            found = true;
        else
            cr_log_warn("%s", line);
    }
    return pclose(f) == 0 && found;
}

static void remove_files(const char *record)
{
    static const char *const suffix[] = { "", ".vh", ".vvp" };
    char path[256];

    for (unsigned i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
        snprintf(path, sizeof(path), "%s%s", record, suffix[i]);
        unlink(path);
    }
}

/* Run on Verilator with recording, then on Icarus. spoil: reset for one clock
 * in the middle of the record, which Verilator did not see. */
static void same_hash(const char *config, uint8_t mode, uint64_t cycles, bool spoil)
{
    const struct dut_ops *rtl = dut_rtl_find(config);
    struct cosim_options o = { .dut = rtl, .judge = true, .changes = true, .mode = mode, .seed = 5,
                               .cycles = cycles, .epoch_cycles = cycles / 3, .waves_dir = "" };
    struct cosim_stats s;
    struct replayed got;
    char record[128];

    snprintf(record, sizeof(record), "/tmp/dmt-icarus-%s-%d", config, (int)getpid());
    o.record = record;
    cr_assert_eq(cosim_run(&o, &s), COSIM_OK, "%s", cosim_error());
    if (spoil) {
        FILE *f = fopen(record, "r+");
        long line = (BITS + 3) / 4 + 1;

        cr_assert_not_null(f);
        fseek(f, line * (long)(cycles / 2), SEEK_SET);
        fputc("1248"[(BITS - 1) % 4], f);
        fclose(f);
    }
    cr_assert(play(&rtl->config, record, &got));
    remove_files(record);
    cr_assert_eq(got.cycles, s.cycles);
    if (spoil) {
        cr_assert_neq(got.hash, cosim_record_hash());
    } else {
        cr_assert_eq(got.hash, cosim_record_hash(),
                     "%s: %016" PRIx64 " on Icarus, %016" PRIx64 " on Verilator", config,
                     got.hash, cosim_record_hash());
        cr_assert_gt(got.answers, 0);
        cr_assert_leq(got.answers, s.walks);
    }
}

Test(icarus, smallest)
{
    same_hash("smallest", 0, 6000, false);
}

Test(icarus, default_configuration)
{
    for (uint8_t mode = DMT_MODE_NATIVE; mode <= DMT_MODE_NESTED; mode++)
        same_hash("default", mode, 2500, false);
}

Test(icarus, uncached)
{
    same_hash("uncached", DMT_MODE_NESTED, 3000, false);
}

Test(icarus, largest)
{
    same_hash("largest", 0, 900, false);
}

Test(icarus, sees_a_difference)
{
    same_hash("smallest", 0, 2000, true);
}
