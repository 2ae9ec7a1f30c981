/* SPDX-License-Identifier: Apache-2.0
 * The simulated machine piece by piece: machine files, small caches and their
 * policies, data caches and memory, TLBs, tables as mirrors see them, x86 and DMT
 * walks, and what a run adds up; each against what can be worked out on paper. */
#include "dmt/regs.h"
#include "dmt/table.h"
#include "eval/engine.h"
#include "eval/formula.h"
#include "eval/system_parts.h"
#include "eval_keys.h"
#include "xorshift.h"
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct eval_config defaults(void)
{
    struct eval_config c;

    eval_config_default(&c);
    return c;
}

/* ---------------------------------------------------------------- machine files */

/* The value of a key, by way of the file that is written. */
static uint32_t value_of(const struct eval_config *c, const char *key)
{
    char *text = NULL, *line, want[80];
    size_t n;
    FILE *f = open_memstream(&text, &n);

    eval_config_write(c, f);
    fclose(f);
    snprintf(want, sizeof want, "%s = ", key);
    line = strstr(text, want);
    while (line != NULL && line != text && line[-1] != '\n') {
        line = strstr(line + 1, want);
    }
    cr_assert_not_null(line, "%s is not written", key);
    uint32_t v = (uint32_t)strtoul(line + strlen(want), NULL, 10);
    free(text);
    return v;
}

Test(config, each_key_has_its_range, .init = cr_redirect_stderr)
{
    char text[120];

    for (size_t i = 0; i < KEYS; i++) {
        struct eval_config c = defaults();
        cr_assert_eq(value_of(&c, keys[i].name), keys[i].value, "%s", keys[i].name);
        for (unsigned end = 0; end < 2; end++) {
            uint32_t v = end == 0 ? keys[i].least : keys[i].most;
            snprintf(text, sizeof text, " %s\t= %u ", keys[i].name, v);
            cr_assert(eval_config_set(&c, text), "%s", text);
            cr_assert_eq(value_of(&c, keys[i].name), v);
        }
        snprintf(text, sizeof text, "%s=%llu", keys[i].name, keys[i].most + 1ull);
        cr_assert_not(eval_config_set(&c, text), "%s", text);
        if (keys[i].least > 0) {
            snprintf(text, sizeof text, "%s=%u", keys[i].name, keys[i].least - 1);
            cr_assert_not(eval_config_set(&c, text), "%s", text);
        }
        cr_assert_eq(value_of(&c, keys[i].name), keys[i].most, "what is refused changes nothing");
        snprintf(text, sizeof text, "%s=%u", keys[i].name, keys[i].value);
        cr_assert(eval_config_set(&c, text));
        struct eval_config plain = defaults();
        cr_assert(memcmp(&c, &plain, sizeof c) == 0, "%s changes another key", keys[i].name);
    }
    struct eval_config c = defaults();
    cr_assert_not(eval_config_set(&c, "pwc.clocks"));
    cr_assert_not(eval_config_set(&c, "pwc.clocks=1x"));
    cr_assert_not(eval_config_set(&c, "pwc.clocks="));
    cr_assert_not(eval_config_set(&c, "pwc.clock=1"));
}

Test(config, a_file_is_read_as_written)
{
    char path[] = "/tmp/dmt-machine-XXXXXX";
    struct eval_config c = defaults(), back = defaults();
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");

    for (size_t i = 0; i < KEYS; i++) {
        char text[120];
        snprintf(text, sizeof text, "%s=%u", keys[i].name, i % 2 == 0 ? keys[i].least : keys[i].most);
        cr_assert(eval_config_set(&c, text));
    }
    fputs("# a machine\n\n  \t# of another kind\n", f);
    eval_config_write(&c, f);
    fputs("# the last line has no end", f);
    cr_assert_eq(fclose(f), 0);
    cr_assert(eval_config_read(path, &back));
    cr_assert(memcmp(&c, &back, sizeof c) == 0);
    unlink(path);
}

/* Of two values of one key in a file one is a mistake; on the command line the later one is meant. */
Test(config, a_key_is_given_once_in_a_file, .init = cr_redirect_stderr)
{
    char path[] = "/tmp/dmt-machine-XXXXXX", line[400];
    struct eval_config c = defaults();
    FILE *f = fdopen(mkstemp(path), "w");

    fputs("pwc.clocks = 7\nntlb.entries = 16\n # pwc.clocks = 5\n\tpwc.clocks=7", f);
    cr_assert_eq(fclose(f), 0);
    cr_assert_not(eval_config_read(path, &c));
    unlink(path);
    c = defaults();
    cr_assert(eval_config_set(&c, "pwc.clocks=7") && eval_config_set(&c, "pwc.clocks=8"));
    cr_assert_eq(c.pwc_clocks, 8);
    /* Blanks are no part of a value, however many. */
    snprintf(line, sizeof line, "pwc.clocks =%300s", "29");
    cr_assert(eval_config_set(&c, line));
    cr_assert_eq(c.pwc_clocks, 29);
}

Test(config, sizes_that_do_not_go_together, .init = cr_redirect_stderr)
{
    static const char *const bad[] = {
        "tlb.l1i.entries=96",     "tlb.l1d.ways=3",       "tlb.l1d.huge.entries=20", "tlb.l2.entries=1530",
        "cache.l1d.bytes=49152",  "cache.l2.ways=15",     "cache.llc.ways=12",       "pwc.l4.ways=3",
        "pwc.l3.entries=6",       "pwc.l2.entries=24",    "ntlb.entries=12",         "fpt.pwc.entries=24",
        "ecpt.lines=3000",        "pwc.span=6",           "memory.banks=12",         "cache.l1d.clocks=15",
        "cache.l2.clocks=55",     "cache.llc.clocks=201", "cache.l1d.bytes=32800",   "cache.l2.bytes=1048577",
        "cache.llc.bytes=23068735",
    };
    static const char *const good[] = {
        "tlb.l1d.huge.entries=0", "tlb.l2.entries=0",   "ntlb.entries=16",        "pwc.l2.entries=0",
        "memory.banks=16",        "cache.l1d.clocks=14", "cache.llc.clocks=200", "memory.row.bytes=3000",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct eval_config c = defaults();
        cr_assert(eval_config_set(&c, bad[i]) && !eval_config_check(&c), "%s", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct eval_config c = defaults();
        cr_assert(eval_config_set(&c, good[i]) && eval_config_check(&c), "%s", good[i]);
    }
    struct eval_config c = defaults();
    c.dram_banks = 16;
    c.dram_row = 3000;
    cr_assert_not(eval_config_check(&c), "rows of banks that are there");
}

/* ---------------------------------------------------------------- small caches */

static bool has(struct eval_assoc *a, uint64_t index, uint64_t key)
{
    struct eval_assoc *copy = eval_assoc_clone(a); /* a look is a use */
    bool found = eval_assoc_find(copy, index, key) != NULL;

    eval_assoc_free(copy);
    return found;
}

Test(assoc, which_one_goes)
{
    /* Four ways get 1 to 4, of which 1 is used twice, 2 and 4 once; then come 5 and 6. */
    static const struct {
        unsigned policy, gone[2];
    } expected[] = {{EVAL_LRU, {3, 1}}, {EVAL_LFU, {3, 5}}, {EVAL_FIFO, {1, 2}}};

    for (unsigned i = 0; i < 3; i++) {
        struct eval_assoc *a = eval_assoc_new(8, 4, expected[i].policy);
        for (uint64_t k = 1; k <= 4; k++) {
            eval_assoc_put(a, 2, k, 10 * k); /* set 0 */
            eval_assoc_put(a, 3, k, 10 * k + 1);
        }
        cr_assert_eq(*eval_assoc_find(a, 0, 1), 10);
        cr_assert_not_null(eval_assoc_find(a, 0, 1));
        cr_assert_not_null(eval_assoc_find(a, 0, 2));
        cr_assert_eq(*eval_assoc_find(a, 0, 4), 40);
        for (uint64_t k = 5; k <= 6; k++) {
            eval_assoc_put(a, 0, k, 10 * k);
            cr_assert(has(a, 0, k));
            cr_assert_not(has(a, 0, expected[i].gone[k - 5]), "policy %u: %u", expected[i].policy,
                          expected[i].gone[k - 5]);
        }
        for (uint64_t k = 1; k <= 6; k++) {
            cr_assert_eq(has(a, 0, k), k != expected[i].gone[0] && k != expected[i].gone[1]);
            cr_assert_eq(has(a, 1, k), k <= 4, "the other set is another one");
        }
        eval_assoc_put(a, 1, 2, 77);
        cr_assert_eq(*eval_assoc_find(a, 1, 2), 77);
        struct eval_assoc *copy = eval_assoc_clone(a);
        eval_assoc_clear(a);
        cr_assert_not(has(a, 1, 2));
        cr_assert_eq(*eval_assoc_find(copy, 1, 2), 77);
        for (uint64_t k = 1; k <= 4; k++) { /* places that are free go first */
            eval_assoc_put(a, 0, 20 + k, k);
        }
        for (uint64_t k = 1; k <= 4; k++) {
            cr_assert(has(a, 0, 20 + k));
        }
        eval_assoc_free(a);
        eval_assoc_free(copy);
    }
    struct eval_assoc *none = eval_assoc_new(0, 4, EVAL_LRU);
    eval_assoc_put(none, 0, 1, 1);
    eval_assoc_drop(none, 0, 1);
    cr_assert_null(eval_assoc_find(none, 0, 1));
    eval_assoc_clear(none);
    eval_assoc_free(none);
}

/* One is taken out: it alone, and the next one that comes takes its place where the policy looks for free ones. */
Test(assoc, one_is_dropped)
{
    for (unsigned policy = EVAL_LRU; policy <= EVAL_FIFO; policy++) {
        for (uint64_t gone = 1; gone <= 4; gone++) {
            struct eval_assoc *a = eval_assoc_new(8, 4, policy);
            for (uint64_t k = 1; k <= 4; k++) {
                eval_assoc_put(a, 0, k, 10 * k);
                eval_assoc_put(a, 1, k, 10 * k + 1);
            }
            eval_assoc_drop(a, 0, gone);
            eval_assoc_drop(a, 0, 77);
            for (uint64_t k = 1; k <= 4; k++) {
                cr_assert_eq(has(a, 0, k), k != gone);
                cr_assert(has(a, 1, k), "another set");
            }
            if (policy != EVAL_FIFO) {
                eval_assoc_put(a, 0, 5, 50);
                for (uint64_t k = 1; k <= 5; k++) {
                    cr_assert_eq(has(a, 0, k), k != gone, "policy %u, without %lu: %lu", policy, gone, k);
                    cr_assert(k == gone || *eval_assoc_find(a, 0, k) == 10 * k);
                }
            }
            eval_assoc_free(a);
        }
    }
}

/* ---------------------------------------------------------------- data caches and memory */

enum { L1_CLOCKS = 4, L2_CLOCKS = 14, LLC_CLOCKS = 54, MEM_CLOCKS = 200 };

static uint64_t data(struct eval_caches *k, uint64_t pa)
{
    return eval_caches_data(k, pa, 1000) - 1000;
}

static uint64_t table(struct eval_caches *k, uint64_t pa)
{
    static const unsigned of[] = {0, 0, L1_CLOCKS, L2_CLOCKS, LLC_CLOCKS, MEM_CLOCKS};
    enum eval_level level;
    uint64_t clocks = eval_caches_walk(k, pa, 1000, &level) - 1000;

    cr_assert_eq(clocks, of[level]);
    return clocks;
}

Test(caches, three_levels_least_recently_used)
{
    struct eval_config c = defaults();
    uint64_t set = 32768 / 8; /* bytes from a line to the next one of the same L1D set */

    c.next_line = 0;
    struct eval_caches *k = eval_caches_new(&c);
    cr_assert_eq(data(k, 0x40), MEM_CLOCKS);
    cr_assert_eq(data(k, 0x7f), L1_CLOCKS, "the same line");
    cr_assert_eq(data(k, 0x80), MEM_CLOCKS, "the next one");
    for (uint64_t i = 1; i < 8; i++) {
        cr_assert_eq(data(k, 0x40 + i * set), MEM_CLOCKS);
    }
    cr_assert_eq(data(k, 0x40), L1_CLOCKS, "eight ways");
    data(k, 0x40 + 8 * set); /* in place of the second */
    cr_assert_eq(data(k, 0x40), L1_CLOCKS);
    for (uint64_t i = 2; i < 8; i++) {
        cr_assert_eq(data(k, 0x40 + i * set), L1_CLOCKS, "%lu", i);
    }
    cr_assert_eq(data(k, 0x40 + set), L2_CLOCKS);
    /* 17 lines of one set of L2, of which the first has gone to the LLC, which has more sets. */
    uint64_t wide = 1048576 / 16;
    for (uint64_t i = 0; i < 17; i++) {
        cr_assert_eq(data(k, 0x10000000 + i * wide), MEM_CLOCKS);
    }
    cr_assert_eq(data(k, 0x10000000), LLC_CLOCKS);
    cr_assert_eq(data(k, 0x10000000), L1_CLOCKS);
    uint64_t llc = 23068672 / 11;
    for (uint64_t i = 0; i < 12; i++) {
        cr_assert_eq(data(k, 0x20000000 + i * llc), MEM_CLOCKS);
    }
    for (uint64_t i = 12; i < 30; i++) {
        data(k, 0x20000000 + i * llc);
    }
    cr_assert_eq(data(k, 0x20000000), MEM_CLOCKS, "gone from all");
    const struct eval_cache_stats *s = eval_caches_stats(k);
    cr_assert(s->data[EVAL_L2] == 1 && s->data[EVAL_LLC] == 1 && s->walk[EVAL_MEM] == 0);
    eval_caches_count(k);
    data(k, 0x20000000);
    table(k, 0x20000000);
    cr_assert(s->data[EVAL_L1] == 1 && s->walk[EVAL_L1] == 1 && s->data[EVAL_MEM] == 0);
    eval_caches_free(k);
}

Test(caches, the_next_line_and_the_port)
{
    for (unsigned port = 1; port <= 2; port++) {
        for (unsigned next = 0; next < 2; next++) {
            struct eval_config c = defaults();
            enum eval_level level;
            c.next_line = next;
            c.walker_port = port;
            struct eval_caches *k = eval_caches_new(&c);
            cr_assert_eq(data(k, 0x1000), MEM_CLOCKS);
            cr_assert_eq(data(k, 0x1000), L1_CLOCKS);
            cr_assert_eq(data(k, 0x1040), next ? L1_CLOCKS : MEM_CLOCKS);
            cr_assert_eq(data(k, 0x1080), MEM_CLOCKS, "a hit prefetches nothing");
            cr_assert_eq(table(k, 0x2000), MEM_CLOCKS);
            cr_assert_eq(table(k, 0x2000), port == 1 ? L1_CLOCKS : L2_CLOCKS);
            cr_assert_eq(table(k, 0x2040), next && port == 1 ? L1_CLOCKS : MEM_CLOCKS);
            cr_assert_eq(data(k, 0x2000), port == 1 ? L1_CLOCKS : L2_CLOCKS);
            cr_assert_eq(table(k, 0x1000), port == 1 ? L1_CLOCKS : L2_CLOCKS, "what the program has read");
            cr_assert_eq(eval_caches_prefetch(k, 0x3000, 7, &level), 7 + MEM_CLOCKS);
            cr_assert_eq(data(k, 0x3000), L1_CLOCKS, "prefetches come into L1D");
            eval_caches_free(k);
        }
    }
}

Test(caches, what_is_asked_for_twice_in_a_row)
{
    struct eval_config c = defaults();

    c.next_line = 0;
    c.repeat_miss = 1;
    struct eval_caches *k = eval_caches_new(&c);
    data(k, 0x1000);
    cr_assert_eq(data(k, 0x1000), MEM_CLOCKS, "as published");
    data(k, 0x2000);
    cr_assert_eq(data(k, 0x1000), L1_CLOCKS);
    eval_caches_free(k);
}

/* A read that opens a row takes 200 and its bank 90 clocks; one in the open row 150, and the bank and the
 * bus 8. */
Test(caches, memory_in_banks)
{
    struct eval_config c = defaults();

    c.next_line = 0;
    c.dram_banks = 4;
    struct eval_caches *k = eval_caches_new(&c);
    cr_assert_eq(eval_caches_data(k, 0, 1000), 1200);
    cr_assert_eq(eval_caches_data(k, 64, 2000), 2150, "the row is open");
    cr_assert_eq(eval_caches_data(k, 128, 2000), 2158, "the bus is taken");
    cr_assert_eq(eval_caches_data(k, 8192, 3000), 3200, "another bank");
    cr_assert_eq(eval_caches_data(k, 192, 4000), 4150, "rows stay open");
    cr_assert_eq(eval_caches_data(k, 4 * 8192, 5000), 5200, "another row of the first bank");
    cr_assert_eq(eval_caches_data(k, 4 * 8192 + 64, 5010), 5240, "the bank is taken: until 5090");
    cr_assert_eq(eval_caches_data(k, 256, 6000), 6200, "its first row is closed");
    cr_assert_eq(eval_caches_data(k, 2 * 8192, 6000), 6208, "two banks, but one bus");
    struct eval_caches *copy = eval_caches_clone(k);
    cr_assert_eq(eval_caches_data(copy, 320, 6050), 6240);
    cr_assert_eq(eval_caches_data(k, 320, 6050), 6240, "a copy is on its own");
    cr_assert_eq(eval_caches_data(copy, 384, 7000), 7150);
    eval_caches_free(k);
    eval_caches_free(copy);
}

/* Walks that are under way together ask in the order of their accesses: who asks for a later clock first is in
 * nobody's way before it. */
Test(caches, memory_asked_out_of_order)
{
    struct eval_config c = defaults();

    c.next_line = 0;
    c.dram_banks = 4;
    struct eval_caches *k = eval_caches_new(&c);
    cr_assert_eq(eval_caches_data(k, 0, 5000), 5200, "the bank until 5090, the bus until 5008");
    cr_assert_eq(eval_caches_data(k, 4 * 8192, 1000), 1200, "another row of it");
    cr_assert_eq(eval_caches_data(k, 8192, 1000), 1208, "the bus is taken until 1008");
    cr_assert_eq(eval_caches_data(k, 2 * 8192, 995), 1216, "5 clocks, and then the bus is taken until 1016");
    cr_assert_eq(eval_caches_data(k, 8 * 8192, 4920), 5290, "until 5000 are no 90 clocks: after 5090");
    cr_assert_eq(eval_caches_data(k, 4 * 8192 + 64, 4920), 5070, "but 8, in the row that is open then");
    cr_assert_eq(eval_caches_data(k, 64, 5095), 5380, "another row until 5180, which closed this one");
    struct eval_caches *copy = eval_caches_clone(k);
    eval_caches_from(k, 5300);
    for (unsigned i = 0; i < 2; i++) {
        struct eval_caches *of = i == 0 ? k : copy;
        cr_assert_eq(eval_caches_data(of, 128, 5300), 5450, "what is forgotten has left its row");
        cr_assert_eq(eval_caches_data(of, 3 * 8192, 5305), 5508);
    }
    eval_caches_free(k);
    eval_caches_free(copy);
}

/* ---------------------------------------------------------------- TLBs */

static bool tlb(struct eval_tlbs *t, uint64_t va, unsigned kind, uint64_t pa, unsigned clocks)
{
    uint64_t got = 0;
    unsigned took = 0;
    bool hit = eval_tlbs_find(t, va, kind, &got, &took);

    cr_assert(!hit || (got == pa && took == clocks), "0x%lx is at 0x%lx, after %u clocks", va, got, took);
    return hit;
}

Test(tlbs, two_levels_and_three_sizes)
{
    struct eval_config c = defaults();
    const unsigned R = DMT_ACCESS_READ, W = DMT_ACCESS_WRITE, X = DMT_ACCESS_EXECUTE;

    c.l1d_entries = c.l1h_entries = 4;
    c.l1i_entries = 8;
    c.l2_entries = 48;
    c.l2_clocks = 7;
    c.tlb_policy = EVAL_LRU;
    struct eval_tlbs *t = eval_tlbs_new(&c);
    const struct eval_tlbs_stats *s = eval_tlbs_stats(t);
    cr_assert_not(tlb(t, 0x1234567, R, 0, 0));
    eval_tlbs_fill(t, 0x1234567, R, 0x9876567, DMT_SIZE_4K);
    cr_assert(tlb(t, 0x1234567, R, 0x9876567, 0));
    cr_assert(tlb(t, 0x1234008, W, 0x9876008, 0), "the whole page, whatever the access");
    cr_assert_not(tlb(t, 0x1235567, R, 0, 0));
    cr_assert_not(tlb(t, UINT64_C(0x100000001234567), R, 0, 0));
    cr_assert(tlb(t, 0x1234567, X, 0x9876567, 7), "code has entries of its own");
    cr_assert(tlb(t, 0x1234567, X, 0x9876567, 0), "which the second level fills");
    eval_tlbs_fill(t, 0x40212345, W, 0x80612345, DMT_SIZE_2M);
    cr_assert(tlb(t, 0x403ffff8, R, 0x807ffff8, 0));
    cr_assert_not(tlb(t, 0x40400000, R, 0, 0));
    cr_assert_not(tlb(t, 0x201008, R, 0, 0), "the 4K page of the same number");
    eval_tlbs_fill(t, 0x112345678, R, 0x212345678, DMT_SIZE_1G);
    cr_assert(tlb(t, 0x100000008, R, 0x200000008, 0));
    cr_assert_eq(s->l1 + s->l2 + s->misses, 11);
    cr_assert(s->l1 == 5 && s->l2 == 1);
    /* Four more of 4K leave the huge ones where they are. */
    eval_tlbs_count(t);
    for (uint64_t i = 0; i < 4; i++) {
        eval_tlbs_fill(t, 0x5000000 + (i << 12), R, 0x6000000 + (i << 12), DMT_SIZE_4K);
    }
    cr_assert(tlb(t, 0x40212345, R, 0x80612345, 0));
    cr_assert(tlb(t, 0x1234567, R, 0x9876567, 7), "of the second level");
    cr_assert(tlb(t, 0x1234567, R, 0x9876567, 0), "and back in the first");
    cr_assert_not(tlb(t, 0x5000000 + (4 << 12), R, 0, 0));
    cr_assert(s->l1 == 2 && s->l2 == 1 && s->misses == 1);
    struct eval_tlbs *copy = eval_tlbs_clone(t);
    eval_tlbs_flush(t);
    cr_assert_not(tlb(t, 0x1234567, R, 0, 0));
    cr_assert_not(tlb(t, 0x1234567, X, 0, 0));
    cr_assert_not(tlb(t, 0x40212345, R, 0, 0));
    cr_assert(tlb(copy, 0x1234567, R, 0x9876567, 0) && tlb(copy, 0x40212345, R, 0x80612345, 0));
    eval_tlbs_free(copy);
    eval_tlbs_free(t);
    c.l1h_entries = 0;
    t = eval_tlbs_new(&c);
    copy = eval_tlbs_clone(t);
    eval_tlbs_fill(t, 0x40212345, R, 0x80612345, DMT_SIZE_2M);
    cr_assert(tlb(t, 0x40212345, R, 0x80612345, 0));
    for (uint64_t i = 0; i < 4; i++) { /* they share: each set gives up what came first */
        eval_tlbs_fill(t, 0x5000000 + (i << 12), R, 0x6000000 + (i << 12), DMT_SIZE_4K);
    }
    cr_assert(tlb(t, 0x40212345, R, 0x80612345, 7));
    cr_assert_not(tlb(copy, 0x40212345, R, 0, 0));
    eval_tlbs_free(copy);
    eval_tlbs_free(t);
}

/* ---------------------------------------------------------------- tables as mirrors see them */

static void entry(struct dmt_mem *m, uint64_t table, unsigned index, uint64_t value)
{
    if (dmt_mem_frame(m, table) == NULL) {
        cr_assert_not_null(dmt_mem_add(m, table));
    }
    cr_assert(dmt_mem_write(m, table << 12 | (uint64_t)index << 3, value));
}

#define TO(pfn) ((uint64_t)(pfn) << 12 | DMT_PTE_P)

/* Frames are `offset` further on in the host; those from `gone` on are not backed. */
struct backing {
    uint64_t offset, gone;
};

static bool to_host(void *user, uint64_t pfn, uint64_t *hpfn)
{
    const struct backing *b = user;

    *hpfn = pfn + b->offset;
    return pfn < b->gone;
}

static const uint64_t va = UINT64_C(1) << 39 | UINT64_C(2) << 30 | 3 << 21 | 4 << 12 | 0x567;

static void tables_at(struct dmt_mem *m, uint64_t offset)
{
    entry(m, offset + 0x10, 1, TO(0x11));
    entry(m, offset + 0x11, 2, TO(0x12));
    entry(m, offset + 0x12, 3, TO(0x13));
    entry(m, offset + 0x13, 4, TO(0x777) | UINT64_C(1) << 63);
}

Test(mirror, sees_what_memory_says_now)
{
    for (unsigned stage = 0; stage < 2; stage++) {
        struct dmt_mem *mem = dmt_mem_new();
        struct backing b = {stage == 0 ? 0 : 0x1000, 0x800};
        struct mirror_path p;
        uint64_t off = b.offset;
        tables_at(mem, off);
        struct mirror *m = mirror_new(mem, 0x10, 4, false, stage == 0 ? NULL : to_host, &b);
        for (unsigned again = 0; again < 2; again++) {
            cr_assert(mirror_walk(m, va, &p) && p.present);
            cr_assert(p.top == 4 && p.leaf == 1 && p.to == 0x777567);
            for (unsigned l = 4; l >= 1; l--) {
                uint64_t at = UINT64_C(0x14000 - 0x1000) - ((uint64_t)l - 1) * 0x1000 + 8 * (5 - l);
                cr_assert(p.step[l].at == at && p.step[l].hpa == at + (off << 12), "level %u", l);
            }
            cr_assert_eq(p.step[1].entry, TO(0x777) | UINT64_C(1) << 63);
        }
        cr_assert_not(mirror_walk(m, va + 4096, &p));
        cr_assert(!p.present && p.leaf == 1 && p.step[1].hpa == (off << 12) + 0x13028);
        cr_assert_not(mirror_walk(m, va ^ UINT64_C(1) << 31, &p));
        cr_assert_eq(p.leaf, 3);
        entry(mem, off + 0x13, 4, TO(0x778)); /* the page has moved */
        cr_assert(mirror_walk(m, va, &p) && p.to == 0x778567);
        entry(mem, off + 0x14, 4, TO(0x779)); /* the table has */
        entry(mem, off + 0x12, 3, TO(0x14));
        cr_assert(mirror_walk(m, va, &p) && p.to == 0x779567);
        cr_assert_eq(p.step[1].hpa, (off << 12) + 0x14020);
        entry(mem, off + 0x12, 3, UINT64_C(0x40000083)); /* a huge page */
        cr_assert(mirror_walk(m, va, &p) && p.leaf == 2 && p.to == 0x40004567);
        entry(mem, off + 0x11, 2, UINT64_C(0x80000083));
        cr_assert(mirror_walk(m, va, &p) && p.leaf == 3 && p.to == 0x80604567);
        entry(mem, off + 0x11, 2, TO(0x15)); /* a table that is not there yet */
        cr_assert_not(mirror_walk(m, va, &p));
        cr_assert(!p.present && p.leaf == 2);
        entry(mem, off + 0x15, 3, UINT64_C(0x600000) | DMT_PTE_P | DMT_PTE_PS);
        cr_assert(mirror_walk(m, va, &p) && p.leaf == 2 && p.to == 0x604567);
        entry(mem, off + 0x15, 3, 6); /* present for a table of EPT only */
        cr_assert_not(mirror_walk(m, va, &p));
        struct mirror *ept = mirror_new(mem, 0x10, 4, true, stage == 0 ? NULL : to_host, &b);
        entry(mem, off + 0x15, 3, UINT64_C(0x600000) | 4 | DMT_PTE_PS);
        cr_assert(mirror_walk(ept, va, &p) && p.to == 0x604567);
        mirror_free(ept);
        mirror_free(m);
        dmt_mem_free(mem);
    }
}

Test(mirror, frames_move_in_the_host)
{
    struct dmt_mem *mem = dmt_mem_new();
    struct backing b = {0x1000, 0x12};
    struct mirror_path p;

    tables_at(mem, 0x1000);
    tables_at(mem, 0x2000);
    entry(mem, 0x2013, 4, TO(0x888));
    struct mirror *m = mirror_new(mem, 0x10, 4, false, to_host, &b);
    cr_assert_not(mirror_walk(m, va, &p));
    cr_assert_eq(p.leaf, 2, "level 2 is not backed");
    b.gone = 0x100;
    cr_assert(mirror_walk(m, va, &p) && p.to == 0x777567, "and then it is");
    for (unsigned i = 0; i < 3; i++) {
        b.offset = i % 2 == 0 ? 0x2000 : 0x1000;
        mirror_moved(m);
        cr_assert(mirror_walk(m, va, &p) && p.to == (i % 2 == 0 ? 0x888567 : 0x777567));
        cr_assert_eq(p.step[2].hpa, (b.offset << 12) + 0x12018);
    }
    mirror_free(m);
    m = mirror_new(mem, 0x16, 5, false, to_host, &b);
    entry(mem, b.offset + 0x16, 9, TO(0x10));
    cr_assert(mirror_walk(m, UINT64_C(9) << 48 | va, &p) && p.top == 5 && p.leaf == 1);
    cr_assert_not(mirror_walk(m, va, &p));
    cr_assert_eq(p.leaf, 5);
    mirror_free(m);
    dmt_mem_free(mem);
}

/* ---------------------------------------------------------------- walks */

#define RW (DMT_OS_R | DMT_OS_W)

/* Three 1 GB regions, one of them in another 512 GB; of `growing` most is not there yet. */
static const struct eval_area areas[] = {
    {0x400000, 1536, 1536, RW, "data"},
    {0x480200, 6000, 6000, RW, "heap"},
    {0x500000, 4096, 100, RW, "growing"},
    {0x10000000, 600, 600, RW, "far"},
};
enum { AREAS = sizeof areas / sizeof *areas, DATA = 0, HEAP, GROWING, AWAY };

static uint64_t page(unsigned area, uint64_t n)
{
    return (areas[area].vpn + n) << 12;
}

static uint64_t rng_state = 1;

static uint64_t rng(void)
{
    return xorshift_star(&rng_state);
}

static uint64_t random_address(void)
{
    unsigned a = (unsigned)(rng() % AREAS);

    return page(a, rng() % areas[a].resident) | (rng() & 0xff8);
}

static struct eval_system *system_of(const struct eval_design *d, bool thp, unsigned fragment)
{
    struct eval_system_options o = eval_design_system(d);

    o.area = areas;
    o.areas = AREAS;
    o.thp = thp;
    o.registers = 16;
    o.fragment = fragment;
    o.seed = 3;
    struct eval_system *s = eval_system_new(&o);
    cr_assert_not_null(s);
    cr_assert(eval_system_populate(s, NULL, NULL));
    return s;
}

/* Every read takes as long, wherever it is served. */
#define FLAT 100
static struct eval_config flat(void)
{
    struct eval_config c = defaults();

    c.d1_clocks = c.d2_clocks = c.d3_clocks = c.mem_clocks = FLAT;
    return c;
}

struct bed {
    const struct eval_design *design;
    struct eval_config config;
    struct eval_system *system;
    struct eval_caches *caches;
    void *d;
    struct eval_walk w; /* the last one */
    uint64_t clocks;
};

static void open_bed(struct bed *b, const struct eval_config *c, enum eval_env env, const char *name, bool thp,
                     unsigned fragment)
{
    *b = (struct bed){.design = eval_design_find(env, name), .config = *c};
    cr_assert_not_null(b->design, "%s", name);
    b->system = system_of(b->design, thp, fragment);
    b->caches = eval_caches_new(&b->config);
    b->d = b->design->make(&b->config, b->system);
    cr_assert_not_null(b->d);
}

static void close_bed(struct bed *b)
{
    b->design->free(b->d);
    eval_caches_free(b->caches);
    eval_system_free(b->system);
}

/* References of a walk. */
static unsigned walk(struct bed *b, uint64_t at)
{
    b->w = (struct eval_walk){0};
    cr_assert(b->design->walk(b->d, b->caches, at, DMT_ACCESS_READ, 1000, &b->w), "0x%lx", at);
    b->clocks = b->w.done - 1000;
    return b->w.refs;
}

Test(walk, begins_below_the_deepest_entry_that_is_cached)
{
    struct eval_config c = flat();
    struct bed b;

    open_bed(&b, &c, EVAL_NATIVE, "radix", false, 0);
    cr_assert(walk(&b, page(DATA, 0)) == 4 && b.clocks == 4 * FLAT);
    cr_assert(walk(&b, page(DATA, 511)) == 1 && b.clocks == FLAT + 1, "its PDE: a clock of the caches");
    cr_assert(walk(&b, page(DATA, 512)) == 2 && b.clocks == 2 * FLAT + 1, "its PDPTE");
    cr_assert(walk(&b, page(HEAP, 0)) == 3 && b.clocks == 3 * FLAT + 1, "its PML4E");
    cr_assert_eq(walk(&b, page(AWAY, 0)), 4, "nothing");
    cr_assert_eq(walk(&b, page(DATA, 3)), 1);
    b.design->flush(b.d, true);
    cr_assert_eq(walk(&b, page(DATA, 3)), 4);
    close_bed(&b);
    c.pwc2_entries = 0;
    c.pwc_clocks = 5;
    c.walk_first = 20;
    c.walk_next = 3;
    open_bed(&b, &c, EVAL_NATIVE, "radix", false, 0);
    cr_assert(walk(&b, page(DATA, 0)) == 4 && b.clocks == 4 * FLAT + 20 + 3 * 3);
    cr_assert(walk(&b, page(DATA, 1)) == 2 && b.clocks == 2 * FLAT + 5 + 20 + 3);
    close_bed(&b);
    c = flat();
    c.pwc_span = 2;
    open_bed(&b, &c, EVAL_NATIVE, "radix", false, 0);
    cr_assert_eq(walk(&b, page(DATA, 0)), 4);
    cr_assert_eq(walk(&b, page(DATA, 512)), 1, "a tag is of two PDEs");
    cr_assert_eq(walk(&b, page(DATA, 1024)), 2);
    close_bed(&b);
    /* A 2M page ends at level 2, whose entries are no tables. */
    c = flat();
    open_bed(&b, &c, EVAL_NATIVE, "radix", true, 0);
    cr_assert(walk(&b, page(DATA, 0)) == 3 && b.w.size == DMT_SIZE_2M);
    cr_assert(walk(&b, page(DATA, 1)) == 1 && b.clocks == FLAT + 1, "the PDE itself is read");
    close_bed(&b);
}

/* The slots say what served each reference: with the clocks of that, they are the walk. */
Test(walk, slots_add_up_to_its_clocks)
{
    static const struct {
        enum eval_env env;
        const char *name;
    } of[] = {{EVAL_NATIVE, "radix"}, {EVAL_VIRT, "nested"}, {EVAL_VIRT, "hugegpt"}, {EVAL_NESTED, "shadow"}};

    for (unsigned i = 0; i < 2 * sizeof of / sizeof *of; i++) {
        struct eval_config c = defaults();
        struct bed b;
        bool levels[EVAL_MEM + 1] = {false};
        c.d2_bytes = 65536;
        c.d3_bytes = 11 * 65536;
        open_bed(&b, &c, of[i / 2].env, of[i / 2].name, i % 2, 40);
        for (unsigned n = 0; n < 3000; n++) {
            uint64_t key[2];
            unsigned refs = walk(&b, random_address()), slots = 0;
            result_pack(b.w.slot, key);
            for (unsigned s = 0; s < EVAL_SLOTS; s++) {
                slots += b.w.slot[s] > EVAL_PWC;
                levels[b.w.slot[s]] = true;
            }
            cr_assert_eq(slots, refs, "%s: %u references, %u in slots", b.design->title, refs, slots);
            cr_assert_eq(formula_line(FORMULA_VANILLA, b.design->env, &c, FORMULA_WALKED, key), b.clocks);
            eval_caches_data(b.caches, b.w.pa, 0);
            eval_caches_data(b.caches, rng() % (UINT64_C(1) << 30), 0);
        }
        for (unsigned l = EVAL_PWC; l <= EVAL_MEM; l++) {
            cr_assert(levels[l], "%s: nothing was served by %u", b.design->title, l);
        }
        close_bed(&b);
    }
}

/* Second stages' paging-structure caches and the nested TLB, by keys of the machine. */
Test(walk, nested_by_keys)
{
    static const struct {
        const char *set;
        unsigned refs, clocks; /* of a page next to one that has just been walked; beside FLAT a reference */
    } of[] = {
        {"pwc.l2.ways=4", 3, 3},        /* host's, guest's, host's leaf entries; both stages' caches, three times */
        {"pwc.second=0", 4 + 1 + 4, 1}, /* the host's walks from the root */
        {"pwc.second.final=0", 1 + 1 + 4, 2},
        {"pwc.second.root=0", 3, 3},    /* the guest's root is not walked to */
        {"pwc.combined=1", 2, 2},       /* the guest's leaf table is known by its host address */
        {"ntlb.entries=16", 2, 3},      /* its page is known, the data's is not */
    };

    for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
        struct eval_config c = flat();
        struct bed b;
        cr_assert(eval_config_set(&c, of[i].set) && eval_config_check(&c));
        open_bed(&b, &c, EVAL_VIRT, "nested", false, 0);
        unsigned first = walk(&b, page(DATA, 0)), refs = walk(&b, page(DATA, 1));
        cr_assert_eq(refs, of[i].refs, "%s: %u references", of[i].set, refs);
        cr_assert_eq(b.clocks, refs * FLAT + of[i].clocks, "%s: %lu clocks", of[i].set, b.clocks);
        b.design->flush(b.d, true);
        cr_assert_eq(walk(&b, page(DATA, 2)), first, "%s: nothing is left after a flush", of[i].set);
        close_bed(&b);
    }
}

/* Registers of every stage, and what else a walk by them takes. */
Test(walk, by_registers)
{
    static const struct {
        enum eval_env env;
        const char *name;
        unsigned refs, gteas; /* gteas: stages whose TEA the table of gTEAs tells */
    } of[] = {{EVAL_NATIVE, "dmt", 1, 0}, {EVAL_VIRT, "dmt", 3, 0}, {EVAL_VIRT, "pvdmt", 2, 1},
              {EVAL_NESTED, "pvdmt", 3, 2}};

    for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
        for (unsigned cached = 0; cached < 2; cached++) {
            struct eval_config c = flat();
            struct bed b;
            c.dmt_gtea_cached = cached;
            c.walk_chain = 7;
            open_bed(&b, &c, of[i].env, of[i].name, false, 0);
            for (unsigned n = 0; n < 200; n++) {
                unsigned refs = walk(&b, random_address());
                cr_assert_eq(refs, of[i].refs + (cached ? 0 : of[i].gteas), "%s: %u", b.design->title, refs);
                cr_assert_eq(b.clocks, refs * FLAT + (of[i].gteas == 0 && of[i].env == EVAL_VIRT ? 7 : 0));
                cr_assert_eq(b.w.reads, refs);
                cr_assert_not(b.w.fallback);
            }
            close_bed(&b);
        }
    }
}

/* No register: the x86 walk, which is counted as such. And pages of two sizes: their entries come in one
 * step, the larger one's first. */
Test(walk, registers_that_do_not_decide)
{
    struct eval_config c = flat();
    unsigned beside = 0, one = 0;
    struct bed b;

    c.walker_ports = 1;
    open_bed(&b, &c, EVAL_NATIVE, "dmt", true, 60);
    for (unsigned n = 0; n < 2000; n++) {
        walk(&b, random_address());
        if (b.w.fallback) {
            continue;
        }
        cr_assert_eq(b.w.refs, 1);
        cr_assert_eq(b.clocks, FLAT + (b.w.reads > 1 && b.w.size == DMT_SIZE_4K), "%lu clocks for %u reads of %u",
                     b.clocks, b.w.reads, b.w.size);
        beside += b.w.reads > 1;
        one += b.w.reads == 1;
    }
    cr_assert(beside > 500, "%u, %u", beside, one);
    struct dmt_state *state = (struct dmt_state *)eval_system_state(b.system);
    for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
        state->tea[0][i].valid = false;
    }
    void *again = b.design->make(&b.config, b.system); /* registers are read anew */
    b.design->free(b.d);
    b.d = again;
    cr_assert_geq(walk(&b, page(HEAP, 5)), 3);
    cr_assert(b.w.fallback);
    close_bed(&b);
}

/* What would be read if the page's size were known: one entry, the one that decides; all where none does. */
Test(walk, sizes_foreseen)
{
    static const unsigned sizes[] = {DMT_SIZE_4K, DMT_SIZE_2M};
    unsigned of_size[2] = {0};
    struct eval_config c = flat();
    struct bed seen, blind;

    c.walker_ports = 1;
    open_bed(&blind, &c, EVAL_NATIVE, "dmt", true, 60);
    c.dmt_foresight = 1;
    open_bed(&seen, &c, EVAL_NATIVE, "dmt", true, 60);
    for (unsigned n = 0; n < 2000; n++) {
        uint64_t va = random_address();
        walk(&blind, va);
        walk(&seen, va);
        cr_assert_eq(seen.w.pa, blind.w.pa);
        cr_assert_eq(seen.w.fallback, blind.w.fallback);
        if (seen.w.fallback) {
            cr_assert_eq(seen.w.reads, blind.w.reads);
            continue;
        }
        cr_assert(seen.w.reads == 1 && seen.clocks == FLAT, "%u reads, %lu clocks", seen.w.reads, seen.clocks);
        for (unsigned i = 0; i < 2; i++) {
            of_size[i] += blind.w.reads == 2 && seen.w.size == sizes[i];
        }
    }
    cr_assert(of_size[0] > 100 && of_size[1] > 100, "%u of 4K, %u of 2M beside another", of_size[0], of_size[1]);
    close_bed(&seen);
    close_bed(&blind);
}

/* Its last page is a register's, the next one is not. */
Test(walk, registers_end_with_their_last_page)
{
    struct eval_config c = flat();
    unsigned i = 0;
    struct bed b;

    open_bed(&b, &c, EVAL_NATIVE, "dmt", false, 0);
    struct dmt_state *state = (struct dmt_state *)eval_system_state(b.system);
    for (uint64_t vpn = areas[HEAP].vpn; vpn - state->tea[0][i].base_vpn >= state->tea[0][i].pages; i++) {
        cr_assert_lt(i, DMT_TEA_MAX - 1);
    }
    cr_assert(state->tea[0][i].valid && state->tea[0][i].sz == DMT_SIZE_4K);
    state->tea[0][i].pages = areas[HEAP].vpn + 3000 - state->tea[0][i].base_vpn;
    void *again = b.design->make(&b.config, b.system); /* registers are read anew */
    b.design->free(b.d);
    b.d = again;
    cr_assert(walk(&b, page(HEAP, 3000)) == 4 && b.w.fallback);
    cr_assert(walk(&b, page(HEAP, 2999)) == 1 && !b.w.fallback);
    cr_assert(walk(&b, page(HEAP, 0)) == 1 && !b.w.fallback);
    close_bed(&b);
}

/* Reads of both sizes: the second one starts a clock later where there is one port, and takes its time. */
Test(walk, by_ports)
{
    for (unsigned ports = 1; ports <= 2; ports++) {
        struct eval_config c = defaults();
        unsigned checked = 0;
        struct bed b;
        c.next_line = 0;
        c.walker_ports = ports;
        open_bed(&b, &c, EVAL_NATIVE, "dmt", true, 60);
        for (unsigned n = 0; n + 64 < areas[HEAP].pages; n += 512) {
            walk(&b, page(HEAP, n)); /* the entry of 2M is in the line of L1D that the next walk reads */
            walk(&b, page(HEAP, n + 64));
            if (b.w.reads == 2 && b.w.size == DMT_SIZE_4K) {
                cr_assert_eq(b.clocks, MEM_CLOCKS + 2 - ports, "%u ports: %lu clocks", ports, b.clocks);
                checked++;
            }
        }
        cr_assert(checked > 3, "%u", checked);
        close_bed(&b);
    }
}

/* ---------------------------------------------------------------- runs */

/* A workload that is written down. */
struct script {
    struct workload w;
    struct eval_access a[40000];
    size_t n, at;
};

static size_t script_next(struct workload *w, struct eval_access *a, size_t n, bool *ok)
{
    struct script *s = (struct script *)w;
    size_t left = s->n - s->at;

    (void)ok;
    n = n < left ? n : left;
    memcpy(a, s->a + s->at, n * sizeof *a);
    s->at += n;
    return n;
}

static void script_rewind(struct workload *w)
{
    ((struct script *)w)->at = 0;
}

static struct script *script(void)
{
    struct script *s = calloc(1, sizeof *s);

    cr_assert_not_null(s);
    s->w.next = script_next;
    s->w.rewind = script_rewind;
    snprintf(s->w.name, sizeof s->w.name, "script");
    return s;
}

static void then(struct script *s, uint64_t at, unsigned kind, unsigned after)
{
    s->a[s->n++] = (struct eval_access){at, (uint8_t)kind, (uint8_t)after};
}

static struct result_design *run(const struct eval_config *c, enum eval_env env, const char *name, bool thp,
                                 struct script *s, uint64_t warmup, uint64_t measured)
{
    struct result_design *to = calloc(1, sizeof *to);
    struct engine_options e = {.config = c,
                               .design = eval_design_find(env, name),
                               .workload = &s->w,
                               .warmup = warmup,
                               .measured = measured,
                               .histogram = true};

    cr_assert(to != NULL && e.design != NULL);
    e.system = system_of(e.design, thp, 0);
    workload_rewind(&s->w);
    cr_assert(engine_run(&e, to), "%s", name);
    eval_system_free(e.system);
    return to;
}

static void forget(struct result_design *r)
{
    result_histogram_free(r->histogram);
    free(r);
}

/* One access after the other. */
Test(run, clocks_one_after_the_other)
{
    struct eval_config c = flat();
    struct script *s = script();

    c.pwc4_entries = c.pwc3_entries = c.pwc2_entries = 0;
    c.l1d_entries = c.l1d_ways = 1;
    c.l2_clocks = 7;
    then(s, page(DATA, 0), DMT_ACCESS_READ, 0);     /* 400 + 100 */
    then(s, page(DATA, 0) + 8, DMT_ACCESS_WRITE, 1); /* 100 */
    then(s, page(HEAP, 9), DMT_ACCESS_READ, 0);     /* 500 */
    then(s, page(DATA, 0), DMT_ACCESS_READ, 0);     /* 7 + 100 */
    then(s, page(AWAY, 3), DMT_ACCESS_EXECUTE, 0);  /* 400 + 1 */
    then(s, page(AWAY, 3), DMT_ACCESS_EXECUTE, 0);  /* 1 */
    for (unsigned warm = 0; warm < 3; warm++) {
        static const uint64_t clocks[] = {1609, 1109, 1009};
        struct result_design *r = run(&c, EVAL_NATIVE, "radix", false, s, warm, 6 - warm);
        cr_assert_eq(r->accesses, 6 - warm);
        cr_assert_eq(r->clocks, clocks[warm], "%lu", r->clocks);
        cr_assert_eq(r->walks, warm == 0 ? 3 : 2);
        cr_assert(r->walk_clocks == 400 * r->walks && r->refs == 4 * r->walks && r->reads == r->refs);
        cr_assert_eq(r->exposed, r->walk_clocks + 7, "walks, and the second-level TLB");
        cr_assert(r->hits_l2 == 1 && r->hits_l1 == 6 - warm - r->walks - 1);
        cr_assert(r->bin[result_bin(400)] == r->walks && r->faults == 0 && r->exits == 0);
        forget(r);
    }
    free(s);
}

/* At most two accesses under way, one or two walks at a time. */
Test(run, clocks_side_by_side)
{
    static const struct {
        unsigned walkers, after;
        uint64_t clocks, ideal, wait;
    } of[] = {{1, 0, 1700, 200, 400 + 300 + 300}, {2, 0, 1000, 200, 0}, {2, 1, 2000, 400, 0}, {1, 1, 2000, 400, 0}};

    for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
        struct eval_config c = flat();
        struct script *s = script();
        c.pwc4_entries = c.pwc3_entries = c.pwc2_entries = 0;
        c.window = 2;
        c.walkers = of[i].walkers;
        for (unsigned n = 0; n < 4; n++) { /* a walk of 400, a read of 100 */
            then(s, page(HEAP, n), DMT_ACCESS_READ, of[i].after);
        }
        struct result_design *r = run(&c, EVAL_NATIVE, "radix", false, s, 0, 4);
        cr_assert_eq(r->clocks, of[i].clocks, "%u: %lu", i, r->clocks);
        cr_assert_eq(r->exposed, of[i].clocks - of[i].ideal, "%u: %lu", i, r->exposed);
        cr_assert_eq(r->walk_clocks, 1600, "waiting for a walker is no walk");
        cr_assert_eq(r->wait_clocks, of[i].wait, "%u: %lu", i, r->wait_clocks);
        forget(r);
        free(s);
    }
}

/* Memory that is never busy, nor faster where a row is open, is flat memory, however many walks are under way. */
Test(run, banks_that_cost_nothing)
{
    for (unsigned i = 0; i < 4; i++) {
        static const char *const name[] = {"nested", "pvdmt"};
        struct result_design *r[2];
        struct script *s = script();
        for (unsigned n = 0; n < 20000; n++) {
            then(s, random_address(), DMT_ACCESS_READ, n % 3 == 0);
        }
        for (unsigned banks = 0; banks < 2; banks++) {
            struct eval_config c = defaults();
            c.d1_bytes = c.d2_bytes = c.d3_bytes = 11 * 4096;
            c.d1_ways = c.d2_ways = c.d3_ways = 11;
            c.l1d_entries = c.l1d_ways = c.l2_entries = c.l2_ways = 4;
            c.walkers = 4;
            c.window = i / 2 == 0 ? 16 : 256;
            c.dram_banks = 1024 * banks;
            c.dram_hit = c.mem_clocks;
            c.dram_busy = c.dram_burst = 1;
            r[banks] = run(&c, EVAL_VIRT, name[i % 2], false, s, 1000, 19000);
        }
        cr_assert(r[0]->walks == r[1]->walks && r[0]->walks > 10000);
        cr_assert_float_eq(result_mean(r[1]), result_mean(r[0]), 1 + result_mean(r[0]) / 100, "%s: %f, flat %f",
                           name[i % 2], result_mean(r[1]), result_mean(r[0]));
        cr_assert_float_eq((double)r[1]->clocks, (double)r[0]->clocks, (double)r[0]->clocks / 100, "%s: %lu, flat %lu",
                           name[i % 2], r[1]->clocks, r[0]->clocks);
        forget(r[0]);
        forget(r[1]);
        free(s);
    }
}

/* What is counted in different places says the same. */
Test(run, figures_agree_with_each_other)
{
    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        for (unsigned thp = 0; thp < 2; thp++) {
            struct eval_config c = defaults();
            struct script *s = script();
            uint64_t sum = 0, fetches = 0, level = 0, walk = 0, lines = 0;
            c.l1d_entries = c.l1h_entries = 8;
            c.l2_entries = 48;
            c.l2_clocks = 7;
            c.d2_bytes = 65536;
            c.d3_bytes = 11 * 65536;
            for (unsigned n = 0; n < 20000; n++) {
                unsigned kind = (unsigned)(rng() % 3);
                then(s, random_address(), kind, 0);
                fetches += n >= 5000 && kind == DMT_ACCESS_EXECUTE;
            }
            struct result_design *r = run(&c, (*d)->env, (*d)->name, thp, s, 5000, 15000);
            cr_assert(r->accesses == 15000 && r->hits_l1 + r->hits_l2 + r->walks == 15000);
            cr_assert(r->walks > 300 && r->hits_l1 > 10 && r->hits_l2 > 10, "%lu %lu %lu", r->walks, r->hits_l1,
                      r->hits_l2);
            for (unsigned i = 0; i < RESULT_BINS; i++) {
                sum += r->bin[i];
            }
            cr_assert_eq(sum, r->walks);
            const unsigned clocks[] = {0, 0, L1_CLOCKS, L2_CLOCKS, LLC_CLOCKS, MEM_CLOCKS};
            for (unsigned l = 0; l <= EVAL_MEM; l++) {
                level += r->caches.data[l] * clocks[l];
                fetches += r->caches.data[l];
                walk += r->caches.walk[l];
            }
            cr_assert_eq(fetches, 15000, "fetches go nowhere");
            cr_assert_eq(walk, r->reads);
            cr_assert_eq(r->exposed, r->walk_clocks + 7 * r->hits_l2 + r->exit_clocks, "%s", r->title);
            sum = 0;
            for (unsigned l = 0; l <= EVAL_MEM; l++) {
                sum += r->caches.data[l];
            }
            cr_assert_eq(r->clocks - r->exposed, level + (15000 - sum));
            cr_assert_eq(r->slots, (*d)->slots);
            if (r->slots) {
                size_t n;
                struct result_line *line = result_histogram_lines(r->histogram, &n);
                double mean = formula_histogram(FORMULA_VANILLA, (*d)->env, &c, FORMULA_WALKED, line, n);
                for (sum = 0; n-- > 0; sum += line[n].count) {
                }
                for (unsigned i = 0; i < EVAL_SLOTS; i++) {
                    lines += r->slot_clocks[i];
                }
                cr_assert_eq(sum, r->walks);
                cr_assert_eq(lines, r->walk_clocks, "%s", r->title);
                cr_assert_float_eq(mean, result_mean(r), 1e-6);
                free(line);
            }
            cr_assert(r->fallbacks == 0 || (*d)->tea);
            cr_assert(r->fallbacks <= r->walks && r->fallback_clocks <= r->walk_clocks);
            forget(r);
            free(s);
        }
    }
}

/* Pages that come while it is measured: each store to a guest's table, and each page that the shadow table
 * has not got, is an exit; what happened before does not count. */
Test(run, exits_are_counted_and_cost)
{
    struct eval_config c = flat();

    c.exit_clocks = 1000;
    for (unsigned i = 0; i < 2; i++) {
        struct script *s = script();
        for (uint64_t n = 0; n < 20; n++) {
            then(s, page(GROWING, 200 + n), DMT_ACCESS_WRITE, 0); /* warm-up: with faults of its own */
        }
        for (uint64_t n = 0; n < 50; n++) {
            then(s, page(GROWING, 300 + n), DMT_ACCESS_WRITE, 0);
        }
        struct result_design *r = run(&c, EVAL_VIRT, i == 0 ? "shadow" : "nested", false, s, 20, 50);
        cr_assert_eq(r->faults, 50, "%lu", r->faults);
        if (i == 0) {
            cr_assert_eq(r->exits, 2 * 50, "a store of the kernel's, a page: %lu", r->exits);
            cr_assert(r->counter[0].value == 100 && strcmp(r->counter[0].name, "exits") == 0);
            cr_assert(r->counter[3].value > 3, "the shadow table's frames are no difference");
        } else {
            cr_assert_eq(r->exits, 0);
        }
        cr_assert_eq(r->exit_clocks, 1000 * r->exits);
        cr_assert_eq(r->clocks, r->walk_clocks + 50 * FLAT + r->exit_clocks);
        cr_assert_eq(r->exposed, r->walk_clocks + r->exit_clocks);
        forget(r);
        free(s);
    }
}

/* What TLBs have of the heap's first pages is where they are. */
struct last {
    enum eval_env env;
    unsigned pages, windows;
};

static bool see_pages(void *user, const struct engine_view *view, const struct eval_access *a, size_t n)
{
    struct last *l = user;
    struct eval_tlbs *copy = eval_tlbs_clone(view->tlbs);

    (void)a, (void)n;
    for (unsigned i = 0; i < l->pages; i++) {
        uint64_t at = page(HEAP, i), pa;
        unsigned clocks;
        struct mirror_path p;
        if (!eval_tlbs_find(copy, at, DMT_ACCESS_READ, &pa, &clocks)) {
            continue;
        }
        for (int k = (int)l->env; k >= 0; k--) {
            cr_assert(mirror_walk(eval_system_stage(view->system, (unsigned)k), at, &p));
            at = p.to;
        }
        cr_assert_eq(pa, at, "page %u is at 0x%lx, TLBs have 0x%lx", i, at, pa);
    }
    eval_tlbs_free(copy);
    l->windows++;
    return true;
}

/* A workload under which software acts: between pieces of 8192 accesses, before which the engine asks for them. */
struct acting {
    struct script s;
    struct eval_system *system;
    enum eval_env env;
    unsigned calls, acts;
    bool inside; /* the hypervisor inside acts */
};

static size_t acting_next(struct workload *w, struct eval_access *a, size_t n, bool *ok)
{
    struct acting *s = (struct acting *)w;
    struct mirror_path p;

    if (s->calls++ == 2) { /* two pieces have been run */
        for (unsigned i = 0; i < s->acts; i++) {
            uint64_t gfn;
            cr_assert(mirror_walk(eval_system_stage(s->system, s->env), page(HEAP, i), &p));
            gfn = p.to >> 12;
            if (s->inside) {
                cr_assert(dmt_vm_move(s->system->inner, gfn));
                continue;
            }
            cr_assert(s->env != EVAL_NESTED || dmt_vm_backing(s->system->inner, gfn, &gfn));
            cr_assert(dmt_vm_move(s->system->outer, gfn));
        }
    }
    return script_next(w, a, n, ok);
}

/* Frames move in host memory while it is measured: what TLBs and designs have cached is asked for anew, and
 * every access goes where its page is now. */
Test(run, migration_costs_misses)
{
    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        uint64_t misses[2];
        if ((*d)->env == EVAL_NATIVE) {
            continue;
        }
        for (unsigned acts = 0; acts < 2; acts++) {
            struct acting *s = calloc(1, sizeof *s);
            struct result_design *to = calloc(1, sizeof *to);
            struct eval_config c = defaults();
            struct last last = {.pages = 8};
            c.ntlb_entries = 16;
            struct engine_options e = {.config = &c,
                                       .design = *d,
                                       .workload = &s->s.w,
                                       .measured = 4 * 8192,
                                       .windows = 4,
                                       .window = see_pages,
                                       .user = &last};
            cr_assert(s != NULL && to != NULL);
            e.system = s->system = system_of(*d, false, 0);
            last.env = s->env = (*d)->env;
            s->acts = 2 * acts;
            s->s.w.next = acting_next;
            s->s.w.rewind = script_rewind;
            for (unsigned n = 0; n < 4 * 8192; n++) {
                then(&s->s, page(HEAP, n % 8), DMT_ACCESS_READ, 0);
            }
            cr_assert(engine_run(&e, to), "%s", (*d)->title);
            cr_assert_eq(last.windows, 4);
            misses[acts] = to->walks;
            eval_system_free(e.system);
            free(s);
            forget(to);
        }
        cr_assert_eq(misses[0], 8, "%s: %lu", (*d)->title, misses[0]);
        cr_assert_eq(misses[1], 16, "%s: %lu, all eight pages once more", (*d)->title, misses[1]);
    }
}

/* The hypervisor inside moves a frame and flushes, so that the one below gives its shadow table up: an exit, and one
 * for each page that is asked for afterwards, tables of the process among them. Who walks that hypervisor's own
 * table, or registers, sees none. */
Test(run, exits_under_a_hypervisor_inside)
{
    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        struct acting *s = calloc(1, sizeof *s);
        struct result_design *to = calloc(1, sizeof *to);
        struct eval_config c = defaults();
        struct last last = {.env = EVAL_NESTED, .pages = 8};
        struct engine_options e = {.config = &c,
                                   .design = *d,
                                   .workload = &s->s.w,
                                   .measured = 4 * 8192,
                                   .windows = 4,
                                   .window = see_pages,
                                   .user = &last};
        if ((*d)->env != EVAL_NESTED) {
            free(s);
            free(to);
            continue;
        }
        c.exit_clocks = 1000;
        e.system = s->system = system_of(*d, false, 0);
        *s = (struct acting){.s = s->s, .system = e.system, .env = EVAL_NESTED, .acts = 1, .inside = true};
        s->s.w.next = acting_next;
        s->s.w.rewind = script_rewind;
        for (unsigned n = 0; n < 4 * 8192; n++) {
            then(&s->s, page(HEAP, n % 8), DMT_ACCESS_READ, 0);
        }
        cr_assert(engine_run(&e, to), "%s", (*d)->title);
        cr_assert_eq(to->walks, 16, "%s: %lu", (*d)->title, to->walks);
        /* 8 pages of data, 4 tables */
        cr_assert_eq(to->exits, strcmp((*d)->name, "shadow") == 0 ? 1 + 12 : 0, "%s: %lu", (*d)->title, to->exits);
        cr_assert_eq(to->exit_clocks, 1000 * to->exits);
        eval_system_free(e.system);
        free(s);
        forget(to);
    }
}

/* A run over writes to seven pages in turn, with windows that see the pages: its result, and its system in *system. */
static struct result_design *seven_pages(const struct eval_design *d, bool thp, const struct eval_config *c, unsigned n,
                                         struct eval_system **system)
{
    struct script *s = script();
    struct result_design *to = calloc(1, sizeof *to);
    struct last last = {.env = d->env, .pages = 7};
    struct engine_options e = {.config = c,
                               .design = d,
                               .workload = &s->w,
                               .measured = n,
                               .windows = 4,
                               .window = see_pages,
                               .user = &last};

    e.system = *system = system_of(d, thp, 0);
    for (unsigned i = 0; i < n; i++) {
        then(s, page(HEAP, i % 7), DMT_ACCESS_WRITE, 0);
    }
    cr_assert(engine_run(&e, to), "%s", d->title);
    free(s);
    return to;
}

/* By the machine's key: one frame in so many accesses moves, and all translations with it. */
Test(run, frames_that_move)
{
    enum { N = 4 * 8192, OFTEN = 1000, TIMES = N / OFTEN };

    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        for (unsigned thp = 0; thp < 2; thp++) {
            struct eval_system *system;
            struct eval_config c = defaults();
            c.host_move = OFTEN;
            c.ntlb_entries = 16;
            struct result_design *to = seven_pages(*d, thp, &c, N, &system);
            struct dmt_vm *vm = system->inner != NULL ? system->inner : system->outer;
            cr_assert(thp || to->walks == ((*d)->env == EVAL_NATIVE ? 7 : 7 * (TIMES + 1)), "%s: %lu", (*d)->title, to->walks);
            cr_assert(vm == NULL || dmt_host_stats(system->inner != NULL ? system->l1 : system->l0)->moved == TIMES);
            bool shadow = (*d)->env == EVAL_NESTED && strcmp((*d)->name, "shadow") == 0;
            cr_assert(shadow ? to->exits > 2 * TIMES : to->exits == 0, "%s: %lu exits", (*d)->title, to->exits);
            eval_system_free(system);
            forget(to);
        }
    }
}

/* The page of every 100th access is mapped anew: a fault, a walk, and exits where a shadow table follows the
 * guest's; no more, for the seven other pages stay where they are. */
Test(run, pages_that_are_mapped_anew)
{
    enum { N = 4 * 8192, OFTEN = 100, TIMES = N / OFTEN };

    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        struct eval_system *system;
        struct eval_config c = flat();
        c.os_remap = OFTEN;
        c.exit_clocks = 1000;
        struct result_design *to = seven_pages(*d, false, &c, N, &system);
        cr_assert(to->faults == TIMES && to->walks == 7 + TIMES, "%s: %lu faults, %lu walks", (*d)->title, to->faults,
                  to->walks);
        cr_assert(to->fallbacks == 0 || !(*d)->pv, "%s: registers serve them as before", (*d)->title);
        uint64_t exits = (*d)->env != EVAL_VIRT                ? 0
                         : strcmp((*d)->name, "shadow") == 0   ? 3 * TIMES
                         : strcmp((*d)->name, "agile") == 0    ? 2
                                                               : 0;
        cr_assert_eq(to->exits, exits, "%s: %lu exits", (*d)->title, to->exits);
        cr_assert_eq(to->exposed, to->walk_clocks + 1000 * exits);
        eval_system_free(system);
        forget(to);
    }
}

/* Windows, by the first access of each: numbered() tells which one it is. */
struct windows {
    uint64_t first[8];
    size_t n[8];
    unsigned calls, stop; /* stop: the call that returns false */
};

static uint64_t numbered(uint64_t i)
{
    return page(HEAP, i % 6000) + 8 * (i / 6000);
}

static bool see_window(void *user, const struct engine_view *view, const struct eval_access *a, size_t n)
{
    struct windows *w = user;
    struct eval_tlbs *copy = eval_tlbs_clone(view->tlbs);
    uint64_t first = (a[0].va >> 12) - areas[HEAP].vpn + 6000 * ((a[0].va & 0xfff) / 8), pa;
    unsigned clocks;

    cr_assert_lt(w->calls, 8);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(a[i].va, numbered(first + i));
    }
    cr_assert(first == 0 || eval_tlbs_find(copy, numbered(first - 1), 0, &pa, &clocks), "all before is done");
    cr_assert(first >= 6000 || !eval_tlbs_find(copy, a[0].va, 0, &pa, &clocks), "this one is not");
    eval_tlbs_free(copy);
    w->first[w->calls] = first;
    w->n[w->calls] = n;
    return w->calls++ != w->stop;
}

/* Evenly over what is measured, in pieces of 8192: as many as there are in a short run, and one at least. */
Test(run, windows_of_what_is_measured)
{
    enum { WARM = 100, PIECE = 8192 };
    static const struct {
        uint64_t measured, there; /* there: accesses behind the warm-up that the trace has */
        unsigned windows, calls;
        unsigned piece[4]; /* which they are */
    } of[] = {
        {1, 1, 3, 1, {0}},
        {5000, 5000, 0, 0, {0}},
        {5000, 5000, 2, 1, {0}},
        {PIECE, PIECE, 1, 1, {0}},
        {PIECE + 1, PIECE + 1, 1, 1, {0}},
        {PIECE + 1, PIECE + 1, 2, 2, {0, 1}},
        {2 * PIECE, 2 * PIECE, 1, 1, {1}},
        {4 * PIECE, 4 * PIECE, 1, 1, {2}},
        {4 * PIECE, 4 * PIECE, 2, 2, {1, 3}},
        {4 * PIECE, 4 * PIECE, 4, 4, {0, 1, 2, 3}},
        {20000, 20000, 1000, 3, {0, 1, 2}},
        {100000, 500, 2, 1, {0}}, /* it ends before the place of the first one */
        {100000, PIECE, 2, 1, {0}}, /* exactly at the end of a piece */
        {100000, PIECE + 500, 2, 1, {1}},
        {100000, 2 * PIECE, 2, 1, {1}},
        {4 * PIECE, 2 * PIECE + 500, 2, 1, {1}}, /* of the second one */
    };
    struct eval_config c = flat();
    struct script *s = script();

    for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
        struct windows w = {.stop = 8};
        struct result_design *to = calloc(1, sizeof *to);
        struct engine_options e = {.config = &c,
                                   .design = eval_design_find(EVAL_NATIVE, "radix"),
                                   .workload = &s->w,
                                   .warmup = WARM,
                                   .measured = of[i].measured,
                                   .windows = of[i].windows,
                                   .window = see_window,
                                   .user = &w};
        s->n = 0;
        while (s->n < WARM + of[i].there) {
            then(s, numbered(s->n), DMT_ACCESS_READ, 0);
        }
        e.system = system_of(e.design, false, 0);
        workload_rewind(&s->w);
        cr_assert(engine_run(&e, to));
        cr_assert_eq(w.calls, of[i].calls, "%u: %u windows", i, w.calls);
        for (unsigned k = 0; k < w.calls; k++) {
            uint64_t first = (uint64_t)of[i].piece[k] * PIECE, left = of[i].there - first;
            cr_assert_eq(w.first[k], WARM + first, "%u: window %u is of access %lu", i, k, w.first[k]);
            cr_assert_eq(w.n[k], left < PIECE ? left : PIECE, "%u: window %u has %zu", i, k, w.n[k]);
        }
        eval_system_free(e.system);
        /* Without them everything is the same; and one that fails ends the run. */
        struct result_design *plain = run(&c, EVAL_NATIVE, "radix", false, s, WARM, of[i].measured);
        cr_assert_eq(to->accesses, of[i].there);
        cr_assert(plain->clocks == to->clocks && plain->walks == to->walks &&
                  memcmp(&plain->caches, &to->caches, sizeof to->caches) == 0);
        if (w.calls > 0) {
            w = (struct windows){.stop = w.calls - 1};
            e.system = system_of(e.design, false, 0);
            workload_rewind(&s->w);
            cr_assert_not(engine_run(&e, to));
            cr_assert_eq(w.calls, w.stop + 1);
            eval_system_free(e.system);
        }
        forget(plain);
        free(to);
    }
    free(s);
}

Test(run, a_trace_ends, .init = cr_redirect_stderr)
{
    struct eval_config c = flat();
    struct script *s = script();
    struct engine_options e = {.config = &c, .design = eval_design_find(EVAL_NATIVE, "radix"), .workload = &s->w};

    for (uint64_t n = 0; n < 9000; n++) {
        then(s, page(HEAP, n % 6000), DMT_ACCESS_READ, 0);
    }
    struct result_design *r = run(&c, EVAL_NATIVE, "radix", false, s, 8500, 100000);
    cr_assert_eq(r->accesses, 500, "what there is");
    forget(r);
    r = calloc(1, sizeof *r);
    e.system = system_of(e.design, false, 0);
    e.warmup = 9001;
    e.measured = 5;
    workload_rewind(&s->w);
    cr_assert_not(engine_run(&e, r), "it ends in the warm-up");
    e.warmup = 9000;
    workload_rewind(&s->w);
    cr_assert_not(engine_run(&e, r), "it is all warm-up");
    workload_rewind(&s->w);
    then(s, page(HEAP, 6001), DMT_ACCESS_READ, 0);
    e.warmup = 8999;
    cr_assert_not(engine_run(&e, r), "an access outside all areas");
    eval_system_free(e.system);
    e.system = system_of(e.design, false, 0);
    e.warmup = 8995;
    workload_rewind(&s->w);
    cr_assert(engine_run(&e, r));
    cr_assert_eq(s->at, e.warmup + e.measured, "nothing behind what is measured is read");
    eval_system_free(e.system);
    free(r);
    free(s);
}
