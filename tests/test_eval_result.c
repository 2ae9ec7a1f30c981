/* SPDX-License-Identifier: Apache-2.0
 * Results of evaluations: files that come back as they were and are refused when
 * damaged, the published arithmetic against numbers worked out by hand and against
 * the paper's own figures, and the report made of them. */
#include "eval/formula.h"
#include "eval/paper.h"
#include "eval/result.h"
#include "eval/summary.h"
#include "eval_keys.h"
#include "eval_units.h"
#include "sim/cmd.h"
#include "tb/rng.h"
#include <argp.h>
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- scratch */

static char work[64];

static void scratch(void)
{
    snprintf(work, sizeof work, "/tmp/dmt-result-XXXXXX");
    cr_assert_not_null(mkdtemp(work));
}

static void tidy(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf '%s'", work);
    cr_assert_eq(system(command), 0);
}

static const char *in_work(const char *name)
{
    static char path[4][300];
    static unsigned at;

    snprintf(path[at = (at + 1) % 4], sizeof *path, "%s/%s", work, name);
    return path[at];
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    long n;

    cr_assert_not_null(f, "%s", path);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    char *text = malloc((size_t)n + 1);
    cr_assert_eq(fread(text, 1, (size_t)n, f), (size_t)n);
    text[n] = '\0';
    fclose(f);
    return text;
}

static void spit(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

/* What is said on stderr from here until heard(). */
static int saved = -1;

static void listen_stderr(void)
{
    fflush(stderr);
    saved = dup(2);
    int fd = open(in_work("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, 2);
    close(fd);
}

static char *heard(void)
{
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    return slurp(in_work("stderr"));
}

static struct eval_config machine(void)
{
    struct eval_config c;

    eval_config_default(&c);
    return c;
}

static struct result *unit(enum eval_env env, bool thp)
{
    struct eval_config c = machine();

    return eval_unit_make("redis", env, thp, &c, 7);
}

/* ---------------------------------------------------------------- bins */

Test(bins, cover_every_number_of_clocks_closely)
{
    unsigned last = 0;

    for (uint64_t v = 0; v < 1 << 20; v++) {
        unsigned bin = result_bin(v);
        uint64_t least = result_bin_clocks(bin);
        cr_assert(bin == last || bin == last + 1, "bins follow each other at %" PRIu64, v);
        cr_assert(least <= v && v - least <= v / 64, "%" PRIu64 " is not %" PRIu64, v, least);
        cr_assert(v >= 128 || least == v);
        last = bin;
    }
    cr_assert_eq(result_bin(UINT64_MAX), RESULT_BINS - 1);
    cr_assert_eq(result_bin((UINT64_C(1) << 40) - 1), RESULT_BINS - 1);
    cr_assert_lt(result_bin(UINT64_C(1) << 39), RESULT_BINS - 1);
}

Test(bins, quantiles_and_powers_of_two)
{
    struct result *r = result_new();
    struct result_design *d = &r->design[0];
    uint64_t log2[41];

    cr_assert_eq(result_quantile(d, 0.5), 0);
    d->bin[result_bin(0)] = 1; /* 0, then 98 of 10, then 100 */
    d->bin[result_bin(10)] = 98;
    d->bin[result_bin(100)] = 1;
    cr_assert_eq(result_quantile(d, 0), 0);
    cr_assert_eq(result_quantile(d, 0.01), 0);
    cr_assert_eq(result_quantile(d, 0.011), 10);
    cr_assert_eq(result_quantile(d, 0.5), 10);
    cr_assert_eq(result_quantile(d, 0.99), 10);
    cr_assert_eq(result_quantile(d, 0.995), 100);
    cr_assert_eq(result_quantile(d, 1), 100);
    result_log2(d, log2);
    for (unsigned i = 0; i < 41; i++) {
        cr_assert_eq(log2[i], i == 0 ? 1 : i == 4 ? 98 : i == 7 ? 1 : 0, "%u", i);
    }
    result_free(r);
}

/* ---------------------------------------------------------------- histogram */

Test(histogram, packs_each_slot_into_its_place)
{
    struct rng r;

    rng_seed(&r, 1, 0);
    for (unsigned n = 0; n < 1000; n++) {
        uint8_t slot[EVAL_SLOTS];
        uint64_t key[2], plain[2] = {0};
        for (unsigned i = 0; i < EVAL_SLOTS; i++) {
            slot[i] = (uint8_t)(rng_next(&r) % 6);
            plain[i / 16] |= (uint64_t)slot[i] << 4 * (i % 16);
        }
        result_pack(slot, key);
        cr_assert_eq(key[0], plain[0]);
        cr_assert_eq(key[1], plain[1]);
        for (unsigned i = 0; i < EVAL_SLOTS; i++) {
            cr_assert_eq(result_slot(key, i), slot[i]);
        }
    }
}

Test(histogram, counts_and_joins)
{
    struct result_histogram *h = NULL, *other = NULL;
    uint64_t count[200] = {0};
    struct rng r;
    size_t n;

    cr_assert_null(result_histogram_lines(NULL, &n));
    cr_assert_eq(n, 0);
    rng_seed(&r, 2, 0);
    for (unsigned i = 0; i < 20000; i++) { /* slot 0 and slot 23 tell lines apart, in both words of the key */
        uint8_t slot[EVAL_SLOTS] = {0};
        unsigned which = (unsigned)(rng_next(&r) % 36);
        slot[0] = (uint8_t)(which / 6);
        slot[23] = (uint8_t)(which % 6);
        count[which]++;
        result_histogram_add(rng_next(&r) % 2 == 0 ? &h : &other, slot);
    }
    result_histogram_join(&h, other);
    result_histogram_join(&h, NULL);
    struct result_line *line = result_histogram_lines(h, &n);
    cr_assert_eq(n, 36);
    for (unsigned i = 0; i < 36; i++) {
        cr_assert_eq(result_slot(line[i].key, 0), i / 6);
        cr_assert_eq(result_slot(line[i].key, 23), i % 6);
        cr_assert_eq(line[i].count, count[i]);
    }
    free(line);
    result_histogram_free(h);
    result_histogram_free(other);
}

/* ---------------------------------------------------------------- files */

static void same_design(const struct result_design *a, const struct result_design *b)
{
    struct result_design x = *a, y = *b;
    size_t n, m;
    struct result_line *p = result_histogram_lines(a->histogram, &n),
                       *q = result_histogram_lines(b->histogram, &m);

    cr_assert_eq(n, m);
    cr_assert(n == 0 || memcmp(p, q, n * sizeof *p) == 0);
    free(p);
    free(q);
    x.histogram = y.histogram = NULL;
    cr_assert(memcmp(&x, &y, sizeof x) == 0, "%s", a->name);
}

Test(file, comes_back_as_it_was, .init = scratch, .fini = tidy)
{
    for (unsigned k = 0; k < 6; k++) {
        struct result *r = unit((enum eval_env)(k / 2), k % 2 == 1);
        r->seed = UINT64_MAX;
        r->scale = 0.1;
        r->fragment = 35;
        r->machine.pwc_span = 8;
        r->system[1].stats.migrated = 1234567890123;
        snprintf(r->command, sizeof r->command, "dmt sim --trace \"a, b\" # ü");
        snprintf(r->inputs, sizeof r->inputs, "trace cbf43926.9, maps %08x.%u", k, k);
        char path[200];
        cr_assert(result_path(work, r, path, sizeof path));
        cr_assert(result_write(path, r));
        cr_assert(result_done(path));
        struct result *back = result_read(path);
        cr_assert_not_null(back);
        cr_assert_str_eq(back->command, r->command);
        cr_assert_str_eq(back->program, r->program);
        cr_assert_str_eq(back->inputs, r->inputs);
        cr_assert_str_eq(back->workload, r->workload);
        cr_assert_eq(back->scale, r->scale);
        cr_assert_eq(back->env, r->env);
        cr_assert_eq(back->thp, r->thp);
        cr_assert_eq(back->fragment, 35);
        cr_assert_eq(back->seed, UINT64_MAX);
        cr_assert_eq(back->warmup, r->warmup);
        cr_assert_eq(back->measured, r->measured);
        cr_assert_eq(back->seconds, r->seconds);
        cr_assert_eq(back->peak, r->peak);
        cr_assert(memcmp(&back->machine, &r->machine, sizeof r->machine) == 0);
        cr_assert_eq(back->systems, r->systems);
        cr_assert(memcmp(back->system, r->system, sizeof r->system) == 0);
        cr_assert_eq(back->designs, r->designs);
        for (unsigned i = 0; i < r->designs; i++) {
            same_design(&r->design[i], &back->design[i]);
        }
        cr_assert(result_write(in_work("again"), back));
        char *a = slurp(path), *b = slurp(in_work("again"));
        cr_assert_str_eq(a, b);
        free(a);
        free(b);
        result_free(back);
        result_free(r);
    }
}

Test(file, names_what_depends_on_the_computer, .init = scratch, .fini = tidy)
{
    struct result *r = unit(EVAL_VIRT, false);
    char *text[2];

    for (unsigned i = 0; i < 2; i++) {
        cr_assert(result_write(in_work("u"), r));
        text[i] = slurp(in_work("u"));
        r->seconds += 5;
        r->peak *= 2;
        r->program[0] = 'b';
        for (unsigned k = 0; k < r->designs; k++) {
            r->design[k].seconds += 1;
        }
    }
    unsigned differ = 0;
    for (char *a = text[0], *b = text[1]; a != NULL; a = strchr(a, '\n'), b = strchr(b, '\n')) {
        a += *a == '\n';
        b += *b == '\n';
        size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
        if (n != m || memcmp(a, b, n) != 0) {
            cr_assert(strncmp(a + strspn(a, " "), "\"host_", 6) == 0, "%.*s", (int)n, a);
            differ++;
        }
        if (a[n] == '\0') {
            break;
        }
    }
    cr_assert_eq(differ, 3 + r->designs);
    free(text[0]);
    free(text[1]);
    result_free(r);
}

/* Say so in one line that names the file and holds `words`. */
static void refused(const char *path, const char *words)
{
    listen_stderr();
    struct result *r = result_read(path);
    char *said = heard();
    cr_assert_null(r, "read in spite of: %s", words);
    cr_assert(strstr(said, path) != NULL && strstr(said, words) != NULL, "'%s' has no '%s'", said, words);
    cr_assert_eq(strchr(said, '\n'), said + strlen(said) - 1, "'%s' is not one line", said);
    listen_stderr();
    cr_assert_not(result_done(path));
    free(said);
    said = heard();
    cr_assert_str_eq(said, "");
    free(said);
}

Test(file, is_refused_when_cut_short, .init = scratch, .fini = tidy)
{
    struct result *r = unit(EVAL_NATIVE, false);

    cr_assert(result_write(in_work("whole"), r));
    char *text = slurp(in_work("whole"));
    size_t n = strlen(text);
    for (unsigned i = 0; i < 20; i++) {
        spit(in_work("cut"), text, n * i / 20);
        refused(in_work("cut"), "expected the JSON of a whole unit");
    }
    spit(in_work("cut"), text, n - 2); /* but for its last brace */
    refused(in_work("cut"), "expected the JSON of a whole unit");
    refused(in_work("none"), "cannot open");
    free(text);
    result_free(r);
}

Test(file, is_refused_when_changed, .init = scratch, .fini = tidy)
{
    static const struct {
        const char *from, *to, *words;
    } change[] = {
        {"\"version\": 4", "\"version\": 1", "version: expected 4, which this dmt reads (the file has 1)"},
        {"\"version\": 4", "\"version\": \"3\"", "version: expected 4"},
        {"\"host_program\": \"", "\"host_program\": 1, \"old\": \"", "host_program: expected a text of 1 to 63"},
        {"\"inputs\": \"none\"", "\"inputs\": \"\"", "inputs: expected a text of 1 to 127 characters"},
        {"\"dmt unit\"", "\"dmt run\"", "format: expected one of dmt unit"},
        {"\"environment\": \"virt\"", "\"environment\": \"vm\"",
         "environment: expected one of native virt nested"},
        {"\"pages\": \"4k\"", "\"pages\": 4", "pages: expected one of 4k thp"},
        {"\"seed\": \"7\"", "\"seed\": \"7x\"", "seed: expected a decimal number in quotes"},
        {"\"warmup\": 1000", "\"warmup\": -1", "warmup: expected a whole number"},
        {"\"warmup\": 1000", "\"warmup\": 1000, \"warmup\": 1000", "duplicate"},
        {"\"pwc.span\": 1", "\"pwc.spam\": 1", "machine.pwc.span: expected a whole number from 1 to 64"},
        {"\"pwc.span\": 1", "\"pwc.span\": 65", "machine.pwc.span: expected a whole number from 1 to 64"},
        {"\"systems\": [", "\"systems\": [], \"old\": [", "systems: expected a list of 1 to 8 systems"},
        {"\"tea\": false", "\"tea\": 0", "systems[0].tea: expected true or false"},
        {"\"area_pages\": [", "\"area_pages\": [1,", "systems[0].area_pages: expected 3 whole numbers"},
        {"\"designs\": [", "\"designs\": [{}], \"old\": [",
         "designs[0].name: expected a text of 1 to 63 characters"},
        {"\"name\": \"hugegpt\"", "\"name\": \"nested\"",
         "designs[1].name: expected one that no other design"},
        {"\"system\": 0", "\"system\": 2", "designs[0].system: expected a whole number from 0 to 1"},
        {"\"walks\": 3000", "\"walks\": 3001",
         "designs[0].walks_by_clocks: expected counts that add up to walks"},
        {"\"slot_clocks\": [", "\"slot_clocks\": [0,", "designs[0].slot_clocks: expected 24 whole numbers"},
        {"\"slot_levels\": [", "\"slot_levels\": [0,", "designs[0].slot_levels: expected 24 lists"},
        {"\"histogram\": {", "\"histogram\": {\"000000000000000000000006\": 0,",
         "histogram: expected 24 digits"},
        {"\"histogram\": {", "\"histogram\": {\"000000000000000000000005\": 1,",
         "histogram: expected counts that add up"},
        {"\"walks_by_clocks\": {", "\"walks_by_clocks\": {\"129\": 0,",
         "walks_by_clocks: expected the least clocks"},
        {"\"counters\": {", "\"counters\": {\"x\": \"y\"}, \"old\": {",
         "counters: expected at most 48 numbers"},
    };
    struct result *r = unit(EVAL_VIRT, false);

    cr_assert(result_write(in_work("whole"), r));
    char *text = slurp(in_work("whole")), *damaged = malloc(strlen(text) + 200);
    for (unsigned i = 0; i < sizeof change / sizeof *change; i++) {
        char *at = strstr(text, change[i].from);
        cr_assert_not_null(at, "%s", change[i].from);
        sprintf(damaged, "%.*s%s%s", (int)(at - text), text, change[i].to, at + strlen(change[i].from));
        spit(in_work("changed"), damaged, strlen(damaged));
        refused(in_work("changed"), change[i].words);
    }
    free(text);
    free(damaged);
    result_free(r);
}

/* Values of the machine are held to the ranges that its keys have. */
Test(file, has_a_machine_within_its_ranges, .init = scratch, .fini = tidy)
{
    struct result *r = unit(EVAL_NATIVE, false);

    cr_assert(result_write(in_work("whole"), r));
    char *text = slurp(in_work("whole")), *changed = malloc(strlen(text) + 20);
    for (unsigned i = 0; i < KEYS; i++) {
        char from[80], words[200];
        int64_t to[] = {(int64_t)keys[i].least - 1, keys[i].least, keys[i].most, (int64_t)keys[i].most + 1};
        snprintf(from, sizeof from, "\"%s\": %u,", keys[i].name, keys[i].value);
        snprintf(words, sizeof words, "machine.%s: expected a whole number from %u to %u\n", keys[i].name,
                 keys[i].least, keys[i].most);
        char *at = strstr(text, from);
        if (at == NULL) { /* the last one */
            from[strlen(from) - 1] = '\0';
            at = strstr(text, from);
        }
        cr_assert_not_null(at, "%s", from);
        at += strlen(keys[i].name) + 4;
        for (unsigned k = 0; k < 4; k++) {
            sprintf(changed, "%.*s%" PRId64 "%s", (int)(at - text), text, to[k], at + strcspn(at, ",\n"));
            spit(in_work("changed"), changed, strlen(changed));
            if (k == 0 || k == 3) {
                refused(in_work("changed"), words);
            } else {
                cr_assert(result_done(in_work("changed")), "%s: %" PRId64, keys[i].name, to[k]);
            }
        }
    }
    free(text);
    free(changed);
    result_free(r);
}

Test(file, is_written_whole_or_not_at_all, .init = scratch, .fini = tidy)
{
    struct result *r = unit(EVAL_NATIVE, false);

    spit(in_work("u"), "old", 3);
    r->design[1].counters = 1;
    r->design[1].counter[0].value = NAN;
    snprintf(r->design[1].counter[0].name, RESULT_NAME_MAX, "c");
    listen_stderr();
    cr_assert_not(result_write(in_work("u"), r));
    r->design[1].counter[0].value = 1;
    r->design[1].exposed = (uint64_t)-5;
    cr_assert_not(result_write(in_work("u"), r));
    r->design[1].exposed = 5;
    r->system[1].stats.covered[2] = (uint64_t)-1;
    cr_assert_not(result_write(in_work("u"), r));
    r->system[1].stats.covered[2] = 0;
    r->command[0] = '\0';
    cr_assert_not(result_write(in_work("u"), r));
    strcpy(r->command, "\xff");
    cr_assert_not(result_write(in_work("u"), r));
    strcpy(r->command, "dmt sim");
    cr_assert_not(result_write(in_work("no/such/folder"), r));
    char *said = heard();
    cr_assert_not_null(strstr(said, "counter 'c' of dmt is no number"));
    cr_assert_not_null(strstr(said, "exposed of dmt is 18446744073709551611, expected a count below 2^63"));
    cr_assert_not_null(strstr(said, "covered of a system is 18446744073709551615"));
    cr_assert_not_null(strstr(said, "the command of the unit is ''"));
    cr_assert_not_null(strstr(said, "no/such/folder: cannot write"));
    free(said);
    char *text = slurp(in_work("u"));
    cr_assert_str_eq(text, "old");
    free(text);
    char command[200];
    snprintf(command, sizeof command, "test \"$(ls -A %s | sort | paste -sd' ')\" = 'stderr u'", work);
    cr_assert_eq(system(command), 0, "something half-written was left");
    result_free(r);
}

/* ---------------------------------------------------------------- arithmetic */

static void key_of(const char *digits, uint64_t key[2])
{
    uint8_t slot[EVAL_SLOTS] = {0};

    for (unsigned i = 0; digits[i] != '\0'; i++) {
        slot[i] = (uint8_t)(digits[i] - '0');
    }
    result_pack(slot, key);
}

/* Levels: 0 none, 1 PWC (1 clock), 2 L1 (4), 3 L2 (14), 4 LLC (54), 5 memory (200). */
static double line(enum formula f, enum eval_env env, enum formula_leaf leaf, const char *digits)
{
    struct eval_config c = machine();
    uint64_t key[2];

    key_of(digits, key);
    return formula_line(f, env, &c, leaf, key);
}

#define NATIVE(f, digits)  line(FORMULA_##f, EVAL_NATIVE, FORMULA_WALKED, digits)
#define DROPPED(f, digits) line(FORMULA_##f, EVAL_NATIVE, FORMULA_DROPPED, digits)
#define VIRTUAL(f, digits) line(FORMULA_##f, EVAL_VIRT, FORMULA_WALKED, digits)

Test(formula, native_by_hand)
{
    const char *full = "2345", *skip = "0015"; /* 4 14 54 200; PWC then 200 */

    cr_assert_eq(NATIVE(VANILLA, full), 272);
    cr_assert_eq(NATIVE(FPT, full), 214); /* L3 + L1 */
    cr_assert_eq(NATIVE(ECPT, full), 202);
    cr_assert_eq(NATIVE(ASAP, full), 200);   /* max(4 + 14, 54, 200) */
    cr_assert_eq(NATIVE(ASAP, "5522"), 400); /* max(200 + 200, 4, 4) */
    cr_assert_eq(NATIVE(DMT, full), 200);
    cr_assert_eq(NATIVE(VANILLA, skip), 201);
    cr_assert_eq(NATIVE(FPT, skip), 200);
    cr_assert_eq(NATIVE(DMT, skip), 200);
    cr_assert(isnan(NATIVE(AGILE, full)));
    cr_assert(isnan(NATIVE(PVDMT, full)));
    /* A 2M page's walk ends at level 2, and 4K pages' walks without their last level are the published 2M. */
    cr_assert_eq(NATIVE(VANILLA, "2340"), 72);
    cr_assert_eq(NATIVE(FPT, "2340"), 58); /* L4 + L2 */
    cr_assert_eq(NATIVE(ECPT, "2340"), 56);
    cr_assert_eq(NATIVE(ASAP, "2340"), 54); /* max(4 + 14, 54) */
    cr_assert_eq(NATIVE(DMT, "2340"), 54);
    for (unsigned f = 0; f < FORMULAS; f++) {
        double a = line((enum formula)f, EVAL_NATIVE, FORMULA_DROPPED, full);
        double b = line((enum formula)f, EVAL_NATIVE, FORMULA_WALKED, "2340");
        cr_assert(a == b || (isnan(a) && isnan(b)), "%s", formula_names[f]);
    }
    cr_assert_eq(DROPPED(DMT, skip), 1); /* the published arithmetic's leaf in the PWC */
}

Test(formula, virtual_by_hand)
{
    /* gL4..gL1 with their host walks, then the data's. */
    const char *full = "22223"
                       "22234"
                       "22345"
                       "23455"
                       "34555";
    /* The digit after each host walk is the guest's entry; the last row has only four. */
    char text[25];

    snprintf(text, sizeof text, "%.24s", full);
    double rows[4] = {16 + 14, 26 + 54, 4 + 4 + 14 + 54 + 200 - 0, 0};
    rows[1] = 4 + 4 + 4 + 14 + 54;
    rows[2] = 4 + 4 + 14 + 54 + 200;
    rows[3] = 4 + 14 + 54 + 200 + 200;
    double data = 14 + 54 + 200 + 200;
    cr_assert_eq(VIRTUAL(VANILLA, text), rows[0] + rows[1] + rows[2] + rows[3] + data);
    cr_assert_eq(VIRTUAL(FPT, text),
                 (4 + 14 + 54) + (14 + 200 + 200) + (54 + 200)); /* gL3, gL1, data: hL3 + hL1 each */
    cr_assert_eq(VIRTUAL(ECPT, text), 200 + 200 + 200 + 12);
    /* A: max(8, 4, 4) + 14; max(8, 4, 14) + 54; max(8, 14, 54) + 200; max(18, 54, 200) + 200. Data: max(68,
     * 200, 200). */
    cr_assert_eq(VIRTUAL(ASAP, text), fmax(22 + 68, fmax(254, 400)) + 200);
    cr_assert_eq(VIRTUAL(AGILE, text), 14 + 54 + 200 + 200 + data);
    cr_assert_eq(VIRTUAL(DMT, text), 600);
    cr_assert_eq(VIRTUAL(PVDMT, text), 400);
    cr_assert_eq(line(FORMULA_VANILLA, EVAL_NESTED, FORMULA_WALKED, text), VIRTUAL(VANILLA, text));
    cr_assert_eq(line(FORMULA_PVDMT, EVAL_NESTED, FORMULA_WALKED, text), 600);
    cr_assert(isnan(line(FORMULA_DMT, EVAL_NESTED, FORMULA_WALKED, text)));
    /* 2M in both: 15 references, with index up to 3. */
    const enum formula_leaf drop = FORMULA_DROPPED;
    cr_assert_eq(line(FORMULA_VANILLA, EVAL_VIRT, drop, text),
                 (12 + 14) + (12 + 54) + (22 + 200) + (14 + 54 + 200));
    cr_assert_eq(line(FORMULA_FPT, EVAL_VIRT, drop, text), (8 + 14) + (4 + 14 + 200) + (14 + 200));
    cr_assert_eq(line(FORMULA_ECPT, EVAL_VIRT, drop, text), 14 + 200 + 200 + 12);
    cr_assert_eq(line(FORMULA_ASAP, EVAL_VIRT, drop, text),
                 fmax((8 + 14) + (8 + 54), 14 + 200) + fmax(14 + 54, 200));
    cr_assert_eq(line(FORMULA_AGILE, EVAL_VIRT, drop, text), 14 + 54 + 200 + 14 + 54 + 200);
    cr_assert_eq(line(FORMULA_DMT, EVAL_VIRT, drop, text), 14 + 200 + 200);
    cr_assert_eq(line(FORMULA_PVDMT, EVAL_VIRT, drop, text), 400);
    /* A 2M guest page on 4K host pages: its leaf is gL2, the host's hL1; the guest's upper levels come from
     * the PWC. */
    const char *mixed = "00000"
                        "00001"
                        "00125"
                        "00000"
                        "0013";
    cr_assert_eq(VIRTUAL(VANILLA, mixed), 1 + (1 + 4 + 200) + (1 + 14));
    cr_assert_eq(VIRTUAL(DMT, mixed), 4 + 200 + 14);
    cr_assert_eq(VIRTUAL(PVDMT, mixed), 200 + 14);
    cr_assert_eq(VIRTUAL(FPT, mixed), (4 + 200) + 14);
}

Test(formula, mean_of_a_histogram)
{
    struct eval_config c = machine();
    struct result_line l[2] = {{.count = 3}, {.count = 1}};

    key_of("2345", l[0].key);
    key_of("0012", l[1].key);
    cr_assert_float_eq(formula_histogram(FORMULA_VANILLA, EVAL_NATIVE, &c, FORMULA_WALKED, l, 2),
                       (3 * 272.0 + 5) / 4, 1e-9);
    cr_assert_float_eq(formula_histogram(FORMULA_DMT, EVAL_NATIVE, &c, FORMULA_WALKED, l, 2),
                       (3 * 200.0 + 4) / 4, 1e-9);
    c.mem_clocks = 300; /* clocks are the machine's */
    cr_assert_float_eq(formula_histogram(FORMULA_DMT, EVAL_NATIVE, &c, FORMULA_WALKED, l, 2),
                       (3 * 300.0 + 4) / 4, 1e-9);
    cr_assert(isnan(formula_histogram(FORMULA_DMT, EVAL_NATIVE, &c, FORMULA_WALKED, l, 0)));
}

/* The paper's table of Redis yields the bars of its figure 15, under the labels of the other reading. */
Test(formula, paper_figure_16_yields_figure_15)
{
    const double *t = paper_redis[0], vanilla = formula_means(FORMULA_VANILLA, EVAL_VIRT, t, 1, 1);
    static const enum formula exact[] = {FORMULA_ECPT, FORMULA_FPT, FORMULA_AGILE, FORMULA_DMT,
                                         FORMULA_PVDMT};
    static const double expected[] = {1.307, 1.302, 1.202, 1.361, 1.532};

    cr_assert_float_eq(vanilla, 395.4, 0.15);
    for (unsigned i = 0; i < 5; i++) {
        double s = vanilla / formula_means(exact[i], EVAL_VIRT, t, 1, 1);
        cr_assert_float_eq(s, expected[i], 0.001, "%s: %f", formula_names[exact[i]], s);
        const struct paper_bars *b = paper_find(EVAL_VIRT, false, false, formula_names[exact[i]], true);
        cr_assert_float_eq(s, b->bar[0], 0.0015, "%s: %f is not the bar of '%s'", formula_names[exact[i]], s,
                           b->label);
    }
    /* ASAP's maximum of means is no less than the mean of its maxima. */
    double asap = vanilla / formula_means(FORMULA_ASAP, EVAL_VIRT, t, 1, 1);
    const struct paper_bars *b = paper_find(EVAL_VIRT, false, false, "asap", true);
    cr_assert(asap >= b->bar[0] && asap < b->bar[0] * 1.015, "%f", asap);
    cr_assert_float_eq(formula_means(FORMULA_VANILLA, EVAL_VIRT, paper_redis[1], 2, 2), 81.3, 0.5);
}

/* ---------------------------------------------------------------- the paper's numbers */

static double geomean(const double *v, unsigned n)
{
    double sum = 0;

    for (unsigned i = 0; i < n; i++) {
        sum += log(v[i]);
    }
    return exp(sum / n);
}

Test(paper, means_are_those_of_the_bars)
{
    for (size_t i = 0; i < paper_bars_n; i++) {
        const struct paper_bars *b = &paper_bars[i];
        cr_assert_float_eq(geomean(b->bar, PAPER_WORKLOADS), b->geomean, 0.0015, "%s %s %d %d",
                           result_envs[b->env], b->label, b->thp, b->app);
    }
    for (size_t i = 0; i < paper_headlines_n; i++) {
        const struct paper_headline *h = &paper_headlines[i];
        cr_assert_float_eq(paper_find(h->env, h->thp, false, h->design, false)->geomean, h->walk, 0.0075);
        cr_assert_float_eq(paper_find(h->env, h->thp, true, h->design, false)->geomean, h->app, 0.0075);
    }
    for (size_t i = 0; i < paper_table5_n; i++) { /* table 5 divides the means, by label */
        const struct paper_over *o = &paper_table5[i];
        const char *const name[] = {"fpt", "ecpt", "agile", "asap"};
        const double over[] = {o->fpt, o->ecpt, o->agile, o->asap};
        double ours =
            paper_find(o->env, o->thp, false, o->env == EVAL_NATIVE ? "dmt" : "pvdmt", false)->geomean;
        for (unsigned k = 0; k < 4; k++) {
            const struct paper_bars *b = paper_find(o->env, o->thp, false, name[k], false);
            cr_assert((b == NULL) == (over[k] == 0));
            cr_assert(b == NULL || fabs(ours / b->geomean - over[k]) < 0.0105, "%s: %f", name[k],
                      ours / b->geomean);
        }
    }
}

Test(paper, application_bars_follow_from_walks)
{
    unsigned checked = 0;

    for (size_t i = 0; i < paper_bars_n; i++) {
        const struct paper_bars *walk = &paper_bars[i];
        if (walk->app) {
            continue;
        }
        const struct paper_bars *app = paper_find(walk->env, walk->thp, true, walk->label, false);
        cr_assert_not_null(app);
        cr_assert_eq(app->formula, walk->formula);
        for (unsigned w = 0; w < PAPER_WORKLOADS; w++) {
            bool gups = walk->env == EVAL_NESTED && w == 2;
            double s = paper_app(w, walk->env, walk->thp, walk->bar[w], gups);
            if (walk->env == EVAL_NESTED && walk->thp) {
                cr_assert(isnan(s));
                continue;
            }
            /* Run times have three decimals, and their ratio is as large as 2.4. */
            cr_assert_float_eq(s, app->bar[w], 0.002, "%s %s %s: %f is not %f", result_envs[walk->env],
                               walk->label, paper_workloads[w], s, app->bar[w]);
            checked++;
        }
    }
    cr_assert_eq(checked, 7 * (4 + 4 + 6 + 6 + 1));
    /* With the ratio of the others, GUPS would be 1.352, and the mean 1.365. */
    const struct paper_bars *nested = paper_find(EVAL_NESTED, false, false, "pvdmt", false);
    double all[PAPER_WORKLOADS];
    for (unsigned w = 0; w < PAPER_WORKLOADS; w++) {
        all[w] = paper_app(w, EVAL_NESTED, false, nested->bar[w], false);
    }
    cr_assert_float_eq(all[2], 1.352, 0.002);
    cr_assert_float_eq(geomean(all, PAPER_WORKLOADS), 1.365, 0.002);
}

Test(paper, both_readings_name_all_comparators)
{
    for (size_t i = 0; i < paper_bars_n; i++) {
        const struct paper_bars *b = &paper_bars[i];
        const struct paper_bars *other = paper_find(b->env, b->thp, b->app, b->label, true);
        cr_assert_eq(paper_find(b->env, b->thp, b->app, b->label, false), b);
        bool own = strstr(b->label, "dmt") != NULL;
        cr_assert(other == NULL || own == (other == b));
    }
    cr_assert_eq(paper_workload("gups"), 2);
    cr_assert_eq(paper_workload("lackey"), -1);
}

/* ---------------------------------------------------------------- summary */

static void write_unit(const char *dir, struct result *r)
{
    char path[400];

    cr_assert(result_path(dir, r, path, sizeof path));
    cr_assert(result_write(path, r));
    result_free(r);
}

static void write_set(const char *name, const struct eval_config *c)
{
    mkdir(in_work(name), 0700);
    cr_assert(eval_units_write(in_work(name), c, 1));
}

Test(summary, factors_multiply_to_the_difference, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine();
    struct summary s;

    write_set("r", &c);
    cr_assert(summary_read(in_work("r"), &s));
    cr_assert_eq(s.set.n, 42);
    FILE *f = fopen(in_work("data"), "w+");
    cr_assert(summary_json(&s, "dmt report", f));
    fclose(f);
    /* By another reader of JSON. */
    char command[1200];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c 'import json, math, sys\n"
             "d = json.load(open(sys.argv[1]))\n"
             "assert len(d[\"headlines\"]) == 8\n"
             "for h in d[\"headlines\"]:\n"
             "    p = math.prod(v for _, v in h[\"parts\"])\n"
             "    assert abs(p * h[\"paper\"] / h[\"own\"] - 1) < 1e-9, (h, p)\n"
             "g = d[\"groups\"][2]\n"
             "m = next(x for x in g[\"designs\"] if x[\"name\"] == \"pvdmt\")\n"
             "v = m[\"values\"][\"speedup\"]\n"
             "assert len(v) == 7 and all(v)\n"
             "for u in d[\"units\"]:\n"
             "    for x in u[\"designs\"]:\n"
             "        share = [s for _, s in x[\"distribution\"]]\n"
             "        assert len(share) > 2 and share == sorted(set(share)) and share[-1] == 1, (x, share)\n"
             "assert abs(math.prod(v) ** (1 / 7) - m[\"geomean\"][\"speedup\"][0]) < 1e-9\n"
             "assert [u[\"command\"] for u in d[\"units\"]][0].startswith(\"dmt sim --workload redis\")\n"
             "' %s",
             in_work("data"));
    cr_assert_eq(system(command), 0);
    summary_free(&s);
}

Test(summary, numbers_are_those_of_the_units, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine();
    struct summary s;
    unsigned n;

    mkdir(in_work("r"), 0700);
    struct result *r = eval_unit_make("gups", EVAL_VIRT, false, &c, 1);
    struct result_design *base = &r->design[0], *d = &r->design[r->designs - 1];
    cr_assert_str_eq(d->name, "pvdmt");
    memset(d->bin, 0, sizeof d->bin);
    d->walks = 10000;
    d->bin[result_bin(100)] = 9000;
    d->bin[result_bin(64)] = 1000;
    d->walk_clocks = 964000;
    d->fallbacks = 9000;
    d->fallback_clocks = 900000;
    d->clocks = 2000000;
    base->clocks = 5000000;
    base->exposed = 2500000;
    double mean = (double)base->walk_clocks / (double)base->walks;
    write_unit(in_work("r"), r);
    write_unit(in_work("r"),
               eval_unit_make("lackey", EVAL_VIRT, false, &c, 1)); /* a trace: not in the paper's means */
    cr_assert(summary_read(in_work("r"), &s));
#define VALUE(what) summary_value(&s.set, what, "gups", EVAL_VIRT, false, "pvdmt")
    double speedup = mean / 96.4;
    cr_assert_float_eq(VALUE(SUMMARY_SPEEDUP), speedup, 1e-9);
    cr_assert_float_eq(VALUE(SUMMARY_COVERED), mean / 64, 1e-9);
    cr_assert_float_eq(VALUE(SUMMARY_MEAN), 96.4, 1e-9);
    cr_assert_float_eq(VALUE(SUMMARY_APP), 1 / (0.01 + 0.99 / speedup), 1e-9);
    cr_assert_float_eq(VALUE(SUMMARY_APP_OWN), 1 / (0.5 + 0.5 / speedup), 1e-9);
    cr_assert_float_eq(VALUE(SUMMARY_APP_CLOCKS), 2.5, 1e-9);
    cr_assert_float_eq(VALUE(SUMMARY_PAPER_LABEL), 1.461, 1e-9);
    cr_assert_float_eq(summary_value(&s.set, SUMMARY_PAPER_LABEL, "gups", EVAL_VIRT, false, "fpt"), 1.279,
                       1e-9);
    cr_assert_float_eq(summary_value(&s.set, SUMMARY_PAPER_FORMULA, "gups", EVAL_VIRT, false, "fpt"), 1.270,
                       1e-9);
    cr_assert(isnan(summary_value(&s.set, SUMMARY_SPEEDUP, "redis", EVAL_VIRT, false, "pvdmt")));
    cr_assert(isnan(summary_value(&s.set, SUMMARY_SPEEDUP, "gups", EVAL_VIRT, true, "pvdmt")));
    cr_assert_float_eq(summary_geomean(&s.set, SUMMARY_SPEEDUP, SUMMARY_WHATS, EVAL_VIRT, false, "pvdmt", &n),
                       speedup, 1e-9);
    cr_assert_eq(n, 1);
    summary_geomean(&s.set, SUMMARY_PAPER_LABEL, SUMMARY_WHATS, EVAL_VIRT, false, "pvdmt", &n);
    cr_assert_eq(n, 7);
    summary_geomean(&s.set, SUMMARY_PAPER_LABEL, SUMMARY_SPEEDUP, EVAL_VIRT, false, "pvdmt", &n);
    cr_assert_eq(n, 1);
    summary_free(&s);
}

/* A unit of few walks keeps its numbers and has no part in means, nor has the paper's bar that would stand beside it. */
Test(summary, few_walks_are_in_no_mean, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine();
    struct result *r[2] = {eval_unit_make("gups", EVAL_VIRT, false, &c, 1),
                           eval_unit_make("graph500", EVAL_VIRT, false, &c, 1)};
    struct summary s;
    unsigned n;

    mkdir(in_work("r"), 0700);
    struct result_design *d = &r[1]->design[r[1]->designs - 1];
    memset(d->bin, 0, sizeof d->bin);
    d->walks = d->bin[result_bin(100)] = SUMMARY_WALKS_LEAST - 1;
    d->walk_clocks = 100 * d->walks;
    d->fallbacks = d->fallback_clocks = 0;
    write_unit(in_work("r"), r[0]);
    write_unit(in_work("r"), r[1]);
    cr_assert(summary_read(in_work("r"), &s));
    cr_assert(!summary_scarce(&s.set, "gups", EVAL_VIRT, false) && !summary_scarce(&s.set, "redis", EVAL_VIRT, false));
    cr_assert(summary_scarce(&s.set, "graph500", EVAL_VIRT, false));
    cr_assert(!isnan(summary_value(&s.set, SUMMARY_SPEEDUP, "graph500", EVAL_VIRT, false, "pvdmt")));
    cr_assert_float_eq(summary_geomean(&s.set, SUMMARY_SPEEDUP, SUMMARY_WHATS, EVAL_VIRT, false, "pvdmt", &n),
                       summary_value(&s.set, SUMMARY_SPEEDUP, "gups", EVAL_VIRT, false, "pvdmt"), 1e-9);
    cr_assert_eq(n, 1);
    summary_geomean(&s.set, SUMMARY_PAPER_LABEL, SUMMARY_SPEEDUP, EVAL_VIRT, false, "pvdmt", &n);
    cr_assert_eq(n, 1);
    summary_geomean(&s.set, SUMMARY_PAPER_LABEL, SUMMARY_WHATS, EVAL_VIRT, false, "pvdmt", &n);
    cr_assert_eq(n, 7);
    summary_free(&s);
}

/* What the published arithmetic makes of walks of 4K pages, for huge pages, too. */
static double arithmetic(const struct result *r, const struct eval_config *c, enum formula_leaf leaf)
{
    size_t n;
    struct result_line *line = result_histogram_lines(r->design[0].histogram, &n);
    double speedup = formula_histogram(FORMULA_VANILLA, r->env, c, leaf, line, n) /
                     formula_histogram(FORMULA_PVDMT, r->env, c, leaf, line, n);

    free(line);
    return speedup;
}

Test(summary, published_arithmetic_is_done_on_4k_pages, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine();
    struct result *r[2] = {eval_unit_make("gups", EVAL_VIRT, false, &c, 1),
                           eval_unit_make("gups", EVAL_VIRT, true, &c, 1)};
    double dropped = arithmetic(r[0], &c, FORMULA_DROPPED), walked = arithmetic(r[0], &c, FORMULA_WALKED),
           huge = arithmetic(r[1], &c, FORMULA_WALKED);
    struct summary s;

    cr_assert(fabs(arithmetic(r[1], &c, FORMULA_DROPPED) - dropped) > 0.01 && fabs(huge - dropped) > 0.01);
    mkdir(in_work("r"), 0700);
    write_unit(in_work("r"), r[1]);
    cr_assert(summary_read(in_work("r"), &s));
    cr_assert(isnan(summary_value(&s.set, SUMMARY_PUBLISHED, "gups", EVAL_VIRT, true, "pvdmt")),
              "there are none");
    cr_assert_float_eq(summary_value(&s.set, SUMMARY_FORMULA, "gups", EVAL_VIRT, true, "pvdmt"), huge, 1e-9);
    summary_free(&s);
    write_unit(in_work("r"), r[0]);
    cr_assert(summary_read(in_work("r"), &s));
    cr_assert_float_eq(summary_value(&s.set, SUMMARY_PUBLISHED, "gups", EVAL_VIRT, true, "pvdmt"), dropped,
                       1e-9);
    cr_assert_float_eq(summary_value(&s.set, SUMMARY_PUBLISHED, "gups", EVAL_VIRT, false, "pvdmt"), walked,
                       1e-9);
    cr_assert_float_eq(summary_value(&s.set, SUMMARY_FORMULA, "gups", EVAL_VIRT, true, "pvdmt"), huge, 1e-9);
    summary_free(&s);
}

Test(summary, variants_are_compared_over_what_both_have, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine(), slow = machine();
    struct summary s;
    double reference;
    unsigned n;

    slow.mem_clocks = 400;
    write_set("r", &c);
    mkdir(in_work("r/slow"), 0700);
    write_unit(in_work("r/slow"), eval_unit_make("gups", EVAL_NATIVE, false, &slow, 1));
    write_unit(in_work("r/slow"), eval_unit_make("redis", EVAL_NATIVE, false, &slow, 1));
    mkdir(in_work("r/other"), 0700); /* of another seed: nothing to compare it with */
    write_unit(in_work("r/other"), eval_unit_make("gups", EVAL_NATIVE, false, &slow, 2));
    mkdir(in_work("r/notes"), 0700);
    spit(in_work("r/notes/text"), "x", 1);
    cr_assert(summary_read(in_work("r"), &s));
    cr_assert_eq(s.variants, 2);
    cr_assert_str_eq(s.variant[1].name, "slow");
    double mean =
        summary_effect(&s, &s.variant[1], SUMMARY_MEAN, EVAL_NATIVE, false, "radix", &reference, &n);
    cr_assert_eq(n, 2);
    double a = summary_value(&s.set, SUMMARY_MEAN, "gups", EVAL_NATIVE, false, "radix"),
           b = summary_value(&s.set, SUMMARY_MEAN, "redis", EVAL_NATIVE, false, "radix");
    cr_assert_float_eq(reference, sqrt(a * b), 1e-9);
    cr_assert_gt(mean, reference * 1.2);
    summary_effect(&s, &s.variant[0], SUMMARY_MEAN, EVAL_NATIVE, false, "radix", &reference, &n);
    cr_assert_eq(n, 0);
    summary_free(&s);

    mkdir(in_work("r/default"), 0700); /* now it is what variants are compared with */
    write_unit(in_work("r/default"), eval_unit_make("gups", EVAL_NATIVE, false, &c, 2));
    cr_assert(summary_read(in_work("r"), &s));
    cr_assert_eq(s.variants, 3);
    mean = summary_effect(&s, &s.variant[1], SUMMARY_MEAN, EVAL_NATIVE, false, "radix", &reference, &n);
    cr_assert_eq(n, 1);
    cr_assert_gt(mean, reference * 1.2);
    summary_free(&s);
}

/* ---------------------------------------------------------------- the command */

static int report(const char *dir, const char *out, const char *csv)
{
    char copy[3][300], name[] = "dmt report", o[] = "--out", c[] = "--csv";
    char *argv[] = {name, copy[0], o, copy[1], c, copy[2], NULL};

    snprintf(copy[0], sizeof *copy, "%s", dir);
    snprintf(copy[1], sizeof *copy, "%s", out);
    snprintf(copy[2], sizeof *copy, "%s", csv);
    return cmd_report(csv[0] != '\0' ? 6 : 4, argv);
}

static void bad_directory(const char *dir, const char *words)
{
    listen_stderr();
    int code = report(dir, in_work("page"), in_work("csv"));
    char *said = heard();
    cr_assert_eq(code, EXIT_BAD_INPUT);
    cr_assert_not_null(strstr(said, words), "'%s' has no '%s'", said, words);
    cr_assert_eq(strchr(said, '\n'), said + strlen(said) - 1, "'%s' is not one line", said);
    cr_assert_neq(access(in_work("page"), F_OK), 0);
    cr_assert_neq(access(in_work("csv"), F_OK), 0);
    free(said);
}

Test(report, refuses_what_is_no_results_directory, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine();

    bad_directory(in_work("none"),
                  "none: cannot open: No such file or directory; expected a directory of results");
    mkdir(in_work("r"), 0700);
    bad_directory(in_work("r"), "r: no unit in it; expected files of results");
    spit(in_work("r/x.json"), "{\"format\": ", 11);
    bad_directory(in_work("r"), "r/x.json:1: ");
    spit(in_work("r/x.json"), "{\"format\": \"dmt unit\", \"version\": 99}", 37);
    bad_directory(in_work("r"), "r/x.json: version: expected 4, which this dmt reads (the file has 99)");
    unlink(in_work("r/x.json"));

    write_unit(in_work("r"), eval_unit_make("gups", EVAL_NATIVE, false, &c, 1));
    struct result *r = eval_unit_make("gups", EVAL_NATIVE, false, &c, 1);
    cr_assert(result_write(in_work("r/twice.json"), r));
    bad_directory(in_work("r"), "gups, native, 4k is in ");
    unlink(in_work("r/twice.json"));
    r->thp = true;
    r->machine.pwc_span = 8;
    cr_assert(result_write(in_work("r/twice.json"), r));
    bad_directory(in_work("r"), "twice.json: pwc.span is another than in ");
    r->machine.pwc_span = 1;
    r->measured++;
    cr_assert(result_write(in_work("r/twice.json"), r));
    bad_directory(in_work("r"), "twice.json: scale, seed or number of accesses is another than in ");
    r->measured--;
    r->fragment = 1;
    cr_assert(result_write(in_work("r/twice.json"), r));
    bad_directory(in_work("r"), "twice.json: fragmentation is another than in ");
    unlink(in_work("r/twice.json"));
    mkdir(in_work("r/v"), 0700);
    spit(in_work("r/v/x.json"), "[]", 2); /* of a variant, too */
    bad_directory(in_work("r"), "r/v/x.json: format: expected one of dmt unit");
    result_free(r);
}

static void check_page(const char *page, const char *texts)
{
    char command[1200];

    snprintf(command, sizeof command, "/usr/bin/python3 -B tests/check_page.py '%s' %s", page, texts);
    cr_assert_eq(system(command), 0);
}

Test(report, page_and_table_of_all_units, .init = scratch, .fini = tidy, .timeout = 200)
{
    struct eval_config c = machine(), slow = machine();

    slow.mem_clocks = 400;
    write_set("r", &c);
    mkdir(in_work("r/slow-memory"), 0700);
    write_unit(in_work("r/slow-memory"), eval_unit_make("gups", EVAL_VIRT, false, &slow, 1));
    cr_redirect_stdout();
    cr_assert_eq(report(in_work("r"), in_work("page"), in_work("csv")), EXIT_OK);
    check_page(
        in_work("page"),
        "DMT pvDMT FPT ECPT 'nested ECPT' ASAP 'Agile Paging' HugeGPT 'three real stages' 'nested pvDMT' "
        "'nested over shadow' 'x86 radix' 'nested paging' Redis Memcached GUPS BTree Canneal XSBench "
        "Graph500 "
        "slow-memory 'memory.clocks 200 → 400' 'dmt sim --workload graph500 --env nested --pages thp --seed "
        "1' "
        "'figure 16a' 395 129.00 'gTEA lookups' 'are equal' 99.79 1.58 1.65 1.41 1.55 1.28 1.46");
    /* Every row has the header's columns, and the numbers are the units'. */
    char command[900];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c 'import csv, json, sys\n"
             "rows = list(csv.DictReader(open(sys.argv[1])))\n"
             "u = json.load(open(sys.argv[2]))\n"
             "assert len(rows) == 7 * 2 * (5 + 8 + 3), len(rows)\n"
             "assert all(None not in r and None not in r.values() for r in rows)\n"
             "p = [r for r in rows if (r[\"workload\"], r[\"environment\"], r[\"pages\"], r[\"design\"]) == "
             "(\"gups\", \"virt\", \"4k\", \"pvdmt\")]\n"
             "d = next(d for d in u[\"designs\"] if d[\"name\"] == \"pvdmt\")\n"
             "b = next(d for d in u[\"designs\"] if d[\"name\"] == \"nested\")\n"
             "assert len(p) == 1 and p[0][\"walk_clocks\"] == str(d[\"walk_clocks\"]) and p[0][\"p99\"] == "
             "str(d[\"p99\"])\n"
             "assert abs(float(p[0][\"speedup\"]) - b[\"walk_clocks\"] / d[\"walk_clocks\"]) < 1e-6\n"
             "assert p[0][\"rtl_walks\"] == \"400\" and p[0][\"command\"] == u[\"command\"]\n"
             "' %s %s",
             in_work("csv"), in_work("r/gups.virt.4k.json"));
    cr_assert_eq(system(command), 0);
}

/* Few units, one of a trace with names that need escapes, no baseline in one: shown as missing. The same
 * bytes again. */
Test(report, missing_is_shown_as_missing, .init = scratch, .fini = tidy, .timeout = 200)
{
    struct eval_config c = machine();
    struct result *r = eval_unit_make("a<b>&\"c\",d", EVAL_NATIVE, false, &c, 1);

    mkdir(in_work("r"), 0700);
    snprintf(r->command, sizeof r->command, "dmt sim --trace 'a<b>&\"c\",d'");
    cr_assert(file_mark("/proc/self/exe", r->program));
    write_unit(in_work("r"), r);
    r = eval_unit_make("canneal", EVAL_VIRT, true, &c, 1);
    result_histogram_free(r->design[0].histogram);
    memmove(&r->design[0], &r->design[1], (r->designs - 1) * sizeof *r->design);
    r->design[--r->designs].histogram = NULL;
    r->design[0].walks = r->design[0].walk_clocks = r->design[0].fallbacks =
        0; /* and one that never missed */
    memset(r->design[0].bin, 0, sizeof r->design[0].bin);
    write_unit(in_work("r"), r);
    cr_redirect_stdout();
    cr_assert_eq(report(in_work("r"), in_work("page"), in_work("csv")), EXIT_OK);
    /* Commas and quotes stay within their cells. */
    char command[500];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c 'import csv, json, sys\n"
             "rows = list(csv.DictReader(open(sys.argv[1]), strict=True))\n"
             "u = json.load(open(sys.argv[2]))\n"
             "own = [r for r in rows if r[\"workload\"] == u[\"workload\"]]\n"
             "assert len(own) == 5 and all(r[\"command\"] == u[\"command\"] for r in own), rows\n"
             "' %s %s/a*.json",
             in_work("csv"), in_work("r"));
    cr_assert_eq(system(command), 0);
    check_page(in_work("page"),
               "'a<b>&\"c\",d' Canneal 'No unit was run.' 'but 1 unit was made by another program' 'No variant was run' "
               "'Own state is not known, for want of units in which design and baseline had walks: DMT, native, 4K pages; DMT, native, ' "
               "Redis");
    char *page = slurp(in_work("page"));
    cr_assert_null(strstr(page, "no unit was run"), "said of every mean, whatever was run");
    free(page);
    char *first = slurp(in_work("page"));
    cr_assert_eq(report(in_work("r"), in_work("page"), ""), EXIT_OK);
    char *second = slurp(in_work("page"));
    cr_assert_str_eq(first, second);
    free(first);
    free(second);
}

/* Python that does not start, and one without Matplotlib: said so, and the page that was there stays. */
Test(report, page_is_made_whole_or_not_at_all, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine();

    mkdir(in_work("r"), 0700);
    write_unit(in_work("r"), eval_unit_make("gups", EVAL_NATIVE, false, &c, 1));
    spit(in_work("page"), "old", 3);
    cr_redirect_stdout();
    for (unsigned i = 0; i < 2; i++) {
        if (i == 0) {
            setenv("PYTHONHOME", work, 1);
        } else {
            unsetenv("PYTHONHOME");
            mkdir(in_work("py"), 0700);
            spit(in_work("py/matplotlib.py"), "raise ImportError", 17);
            setenv("PYTHONPATH", in_work("py"), 1);
        }
        listen_stderr();
        int code = report(in_work("r"), in_work("page"), "");
        char *said = heard(), *text = slurp(in_work("page"));
        cr_assert_eq(code, EXIT_BAD_INPUT);
        cr_assert_not_null(strstr(said, i == 0 ? "report.py made no page" : "(Debian: python3-matplotlib;"),
                           "%s", said);
        cr_assert_str_eq(text, "old");
        free(said);
        free(text);
    }
    unsetenv("PYTHONPATH");
    char command[300];
    snprintf(command, sizeof command, "ls %s | grep -q tmp", work);
    cr_assert_neq(system(command), 0, "something half-written was left");
}

Test(report, a_walk_that_differs_is_a_failed_check, .init = scratch, .fini = tidy)
{
    struct eval_config c = machine();
    struct result *r = eval_unit_make("gups", EVAL_VIRT, false, &c, 1);

    mkdir(in_work("r"), 0700);
    cr_redirect_stdout();
    r->design[r->designs - 1].rtl.mismatches = 1;
    write_unit(in_work("r"), r);
    cr_assert_eq(report(in_work("r"), "none", ""), EXIT_CHECK);
    /* In a variant's directory, too. */
    write_unit(in_work("r"), eval_unit_make("gups", EVAL_VIRT, false, &c, 1));
    cr_assert_eq(report(in_work("r"), "none", ""), EXIT_OK);
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "r/%u", i);
        mkdir(in_work(name), 0700);
        r = eval_unit_make("gups", EVAL_VIRT, false, &c, 1);
        r->design[1].rtl.mismatches = i == 2;
        write_unit(in_work(name), r);
        cr_assert_eq(report(in_work("r"), "none", ""), i == 2 ? EXIT_CHECK : EXIT_OK);
    }
}

Test(report, wants_one_directory, .exit_code = EXIT_BAD_INPUT)
{
    char *argv[] = {(char[]){"dmt report"}, NULL};

    cr_redirect_stderr();
    argp_err_exit_status = EXIT_BAD_INPUT;
    cmd_report(1, argv);
}
