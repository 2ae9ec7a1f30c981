/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/result.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void die(void)
{
    say("out of memory");
    exit(EXIT_BAD_INPUT);
}

#define uthash_fatal(msg) die()
#include <uthash.h>

const char *const result_envs[EVAL_ENVS] = {"native", "virt", "nested"};

const char *result_pages(bool thp)
{
    return thp ? "thp" : "4k";
}

/* ---------------------------------------------------------------- bins */

uint64_t result_bin_clocks(unsigned bin)
{
    if (bin < 2u << RESULT_BIN_BITS) {
        return bin;
    }
    unsigned up = (bin >> RESULT_BIN_BITS) - 1;
    return (uint64_t)(bin - (up << RESULT_BIN_BITS)) << up;
}

uint64_t result_quantile(const struct result_design *d, double q)
{
    uint64_t n = 0, seen = 0;

    for (unsigned i = 0; i < RESULT_BINS; i++) {
        n += d->bin[i];
    }
    /* The walk that as many are below or at as make up the share, and the first at least. */
    uint64_t want = (uint64_t)ceil(q * (double)n);
    for (unsigned i = 0; i < RESULT_BINS; i++) {
        seen += d->bin[i];
        if (seen > 0 && seen >= want) {
            return result_bin_clocks(i);
        }
    }
    return 0;
}

void result_log2(const struct result_design *d, uint64_t log2[41])
{
    memset(log2, 0, 41 * sizeof *log2);
    for (unsigned i = 0; i < RESULT_BINS; i++) {
        uint64_t clocks = result_bin_clocks(i);
        log2[clocks == 0 ? 0 : 64 - __builtin_clzll(clocks)] += d->bin[i];
    }
}

/* ---------------------------------------------------------------- histogram of levels */

struct bucket {
    struct result_line line;
    UT_hash_handle hh;
};

struct result_histogram {
    struct bucket *bucket, *last; /* walks come in runs of the same kind */
};

void result_pack(const uint8_t slot[EVAL_SLOTS], uint64_t key[2])
{
    uint64_t w[3];

    for (unsigned i = 0; i < 3; i++) { /* eight bytes to eight nibbles, by halves */
        uint64_t x = load64(slot + 8 * i) & UINT64_C(0x0f0f0f0f0f0f0f0f);
        x = (x | x >> 4) & UINT64_C(0x00ff00ff00ff00ff);
        x = (x | x >> 8) & UINT64_C(0x0000ffff0000ffff);
        w[i] = (x | x >> 16) & UINT64_C(0xffffffff);
    }
    key[0] = w[0] | w[1] << 32;
    key[1] = w[2];
}

void result_histogram_line(struct result_histogram **h, const uint64_t key[2], uint64_t count)
{
    if (*h == NULL && (*h = calloc(1, sizeof **h)) == NULL) {
        die();
    }
    struct bucket *b = (*h)->last;
    if (b == NULL || b->line.key[0] != key[0] || b->line.key[1] != key[1]) {
        /* Both halves of the product: every digit of the key reaches the low bits, which choose the bucket. */
        unsigned __int128 x = key[0] ^ UINT64_C(0x9e3779b97f4a7c15);
        x *= key[1] ^ UINT64_C(0xbf58476d1ce4e5b9);
        uint64_t mix = (uint64_t)(x >> 64) ^ (uint64_t)x;
        unsigned hash = (unsigned)(mix ^ mix >> 32);
        HASH_FIND_BYHASHVALUE(hh, (*h)->bucket, key, sizeof b->line.key, hash, b);
        if (b == NULL) {
            if ((b = calloc(1, sizeof *b)) == NULL) {
                die();
            }
            memcpy(b->line.key, key, sizeof b->line.key);
            HASH_ADD_KEYPTR_BYHASHVALUE(hh, (*h)->bucket, b->line.key, sizeof b->line.key, hash, b);
        }
        (*h)->last = b;
    }
    b->line.count += count;
}

void result_histogram_add(struct result_histogram **h, const uint8_t slot[EVAL_SLOTS])
{
    uint64_t key[2];

    result_pack(slot, key);
    result_histogram_line(h, key, 1);
}

void result_histogram_join(struct result_histogram **h, const struct result_histogram *from)
{
    struct bucket *b, *next;

    if (from != NULL) {
        HASH_ITER(hh, from->bucket, b, next)
        {
            result_histogram_line(h, b->line.key, b->line.count);
        }
    }
}

static int by_key(const void *a, const void *b)
{
    const struct result_line *x = a, *y = b;

    for (unsigned i = 0; i < EVAL_SLOTS; i++) {
        unsigned u = result_slot(x->key, i), v = result_slot(y->key, i);
        if (u != v) {
            return u < v ? -1 : 1;
        }
    }
    return 0;
}

struct result_line *result_histogram_lines(const struct result_histogram *h, size_t *n)
{
    *n = h != NULL ? HASH_COUNT(h->bucket) : 0;
    if (*n == 0) {
        return NULL;
    }
    struct result_line *line = malloc(*n * sizeof *line);
    struct bucket *b, *next;
    size_t i = 0;
    if (line == NULL) {
        die();
    }
    HASH_ITER(hh, h->bucket, b, next)
    {
        line[i++] = b->line;
    }
    qsort(line, *n, sizeof *line, by_key);
    return line;
}

void result_histogram_free(struct result_histogram *h)
{
    struct bucket *b, *next;

    if (h != NULL) {
        HASH_ITER(hh, h->bucket, b, next)
        {
            HASH_DEL(h->bucket, b);
            free(b);
        }
        free(h);
    }
}

/* ---------------------------------------------------------------- units */

struct result *result_new(void)
{
    struct result *r = calloc(1, sizeof *r);

    if (r == NULL || (r->design = calloc(RESULT_DESIGNS_MAX, sizeof *r->design)) == NULL) {
        die();
    }
    return r;
}

void result_free(struct result *r)
{
    if (r != NULL) {
        for (unsigned i = 0; i < RESULT_DESIGNS_MAX; i++) {
            result_histogram_free(r->design[i].histogram);
        }
        free(r->design);
        free(r);
    }
}

const struct result_design *result_design_find(const struct result *r, const char *name)
{
    for (unsigned i = 0; i < r->designs; i++) {
        if (strcmp(r->design[i].name, name) == 0) {
            return &r->design[i];
        }
    }
    return NULL;
}

const struct result_design *result_base(const struct result *r, const struct result_design *d)
{
    return result_design_find(r, d->base);
}

double result_mean(const struct result_design *d)
{
    return d->walks > 0 ? (double)d->walk_clocks / (double)d->walks : NAN;
}

double result_speedup(const struct result_design *d, const struct result_design *base)
{
    double a = base != NULL ? result_mean(base) : NAN, b = result_mean(d);

    return b > 0 ? a / b : NAN;
}

bool result_path(const char *dir, const struct result *r, char *to, size_t room)
{
    char name[RESULT_NAME_MAX];

    snprintf(name, sizeof name, "%s", r->workload);
    for (char *c = name; *c != '\0'; c++) {
        if ((*c < '0' || *c > '9') && (*c < 'a' || *c > 'z') && (*c < 'A' || *c > 'Z') && *c != '-') {
            *c = '_';
        }
    }
    int n = snprintf(to, room, "%s/%s.%s.%s.json", dir, name, result_envs[r->env], result_pages(r->thp));
    return n >= 0 && (size_t)n < room;
}

/* ---------------------------------------------------------------- fields */

/* Fields that are counts, in the order of the file. n > 1: an array. */
struct field {
    const char *name;
    size_t offset;
    unsigned n;
};

#define F(type, field)                                                                                       \
    {                                                                                                        \
#field, offsetof(type, field), sizeof((type *)0)->field / sizeof(uint64_t)                           \
    }

static const struct field design_fields[] = {
    F(struct result_design, accesses),        F(struct result_design, hits_l1),
    F(struct result_design, hits_l2),         F(struct result_design, walks),
    F(struct result_design, walk_clocks),     F(struct result_design, wait_clocks),
    F(struct result_design, clocks),
    F(struct result_design, exposed),         F(struct result_design, refs),
    F(struct result_design, reads),           F(struct result_design, fallbacks),
    F(struct result_design, fallback_clocks), F(struct result_design, faults),
    F(struct result_design, exits),           F(struct result_design, exit_clocks),
};

static const struct field stats_fields[] = {
    F(struct eval_system_stats, pages),        F(struct eval_system_stats, area_pages),
    F(struct eval_system_stats, covered),      F(struct eval_system_stats, registers),
    F(struct eval_system_stats, tables),       F(struct eval_system_stats, tea_frames),
    F(struct eval_system_stats, tea_used),     F(struct eval_system_stats, faults),
    F(struct eval_system_stats, violations),   F(struct eval_system_stats, exits),
    F(struct eval_system_stats, hypercalls),   F(struct eval_system_stats, csr_writes),
    F(struct eval_system_stats, guest_stores), F(struct eval_system_stats, zeroed),
    F(struct eval_system_stats, copied),       F(struct eval_system_stats, moved_tables),
    F(struct eval_system_stats, migrated),     F(struct eval_system_stats, alloc_failed),
};
_Static_assert(sizeof(struct eval_system_stats) == (3 * 3 + 15 + 1) * 8,
               "a new field of struct eval_system_stats belongs into stats_fields and docs/evaluation.md");

static const struct field rtl_fields[] = {
    F(struct result_rtl, windows),    F(struct result_rtl, walks),        F(struct result_rtl, references),
    F(struct result_rtl, mismatches), F(struct result_rtl, clocks_equal),
};

static const struct field cache_fields[] = {
    F(struct eval_cache_stats, walk),
    F(struct eval_cache_stats, data),
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---------------------------------------------------------------- writing */

static void put(json_t *to, const char *key, json_t *value)
{
    if (json_object_set_new(to, key, value) != 0) { /* NULL, too: text that is not UTF-8 is checked before */
        die();
    }
}

static json_t *object(void)
{
    json_t *j = json_object();

    if (j == NULL) {
        die();
    }
    return j;
}

static json_t *numbers(const uint64_t *v, unsigned n)
{
    json_t *a = json_array();

    for (unsigned i = 0; i < n; i++) {
        if (json_array_append_new(a, json_integer((json_int_t)v[i])) != 0) {
            die();
        }
    }
    return a;
}

static void put_fields(json_t *to, const void *from, const struct field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t *v = (const uint64_t *)((const char *)from + f[i].offset);
        put(to, f[i].name, f[i].n == 1 ? json_integer((json_int_t)*v) : numbers(v, f[i].n));
    }
}

static json_t *system_json(const struct result_system *s)
{
    json_t *j = object();

    put(j, "tea", json_boolean(s->tea));
    put(j, "pv", json_boolean(s->pv));
    put(j, "host_huge", json_boolean(s->host_huge));
    put(j, "full", json_boolean(s->full));
    put_fields(j, &s->stats, stats_fields, COUNT(stats_fields));
    put(j, "fragmentation", json_real(s->stats.fragmentation));
    return j;
}

static json_t *design_json(const struct result_design *d)
{
    json_t *j = object(), *k = object();
    char key[EVAL_SLOTS + 1];

    put(j, "name", json_string(d->name));
    put(j, "title", json_string(d->title));
    put(j, "base", json_string(d->base));
    put(j, "host_seconds", json_real(d->seconds));
    put(j, "system", json_integer(d->system));
    put_fields(j, d, design_fields, COUNT(design_fields));
    put(j, "p50", json_integer((json_int_t)result_quantile(d, 0.5)));
    put(j, "p99", json_integer((json_int_t)result_quantile(d, 0.99)));
    for (unsigned i = 0; i < RESULT_BINS; i++) {
        if (d->bin[i] > 0) {
            snprintf(key, sizeof key, "%" PRIu64, result_bin_clocks(i));
            put(k, key, json_integer((json_int_t)d->bin[i]));
        }
    }
    put(j, "walks_by_clocks", k);
    k = object();
    put_fields(k, &d->caches, cache_fields, COUNT(cache_fields));
    put(j, "levels", k);
    k = object();
    for (unsigned i = 0; i < d->counters; i++) {
        put(k, d->counter[i].name, json_real(d->counter[i].value));
    }
    put(j, "counters", k);
    k = object();
    put_fields(k, &d->rtl, rtl_fields, COUNT(rtl_fields));
    put(j, "rtl", k);
    if (d->slots) {
        put(j, "slot_clocks", numbers(d->slot_clocks, EVAL_SLOTS));
        put(j, "slot_levels", k = json_array());
        for (unsigned i = 0; i < EVAL_SLOTS; i++) {
            if (json_array_append_new(k, numbers(d->slot_level[i], EVAL_MEM + 1)) != 0) {
                die();
            }
        }
    }
    if (d->histogram != NULL) {
        size_t n;
        struct result_line *line = result_histogram_lines(d->histogram, &n);
        put(j, "histogram", k = object());
        for (size_t i = 0; i < n; i++) {
            for (unsigned s = 0; s < EVAL_SLOTS; s++) {
                key[s] = (char)('0' + result_slot(line[i].key, s));
            }
            key[EVAL_SLOTS] = '\0';
            put(k, key, json_integer((json_int_t)line[i].count));
        }
        free(line);
    }
    return j;
}

static json_t *machine_json(const struct eval_config *c)
{
    json_t *j = object();

#define X(field, key, least, most, value, what) put(j, key, json_integer(c->field));
    EVAL_KEYS(X)
#undef X
    return j;
}

static bool text_ok(const char *path, const char *what, const char *text)
{
    json_t *j = json_string(text);

    if (j == NULL || text[0] == '\0') {
        say("%s: %s of the unit is '%.60s', expected UTF-8 text", path, what, text);
    }
    json_decref(j);
    return j != NULL && text[0] != '\0';
}

/* Counts as JSON's integers are: a difference that went below zero ends here, not in a report. */
static bool fields_ok(const char *path, const char *whose, const void *from, const struct field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t *v = (const uint64_t *)((const char *)from + f[i].offset);
        for (unsigned k = 0; k < f[i].n; k++) {
            if (v[k] > INT64_MAX) {
                say("%s: %s of %s is %" PRIu64 ", expected a count below 2^63", path, f[i].name, whose, v[k]);
                return false;
            }
        }
    }
    return true;
}

/* What would make a file that cannot be read again. */
static bool writable(const char *path, const struct result *r)
{
    bool ok = text_ok(path, "the command", r->command) && text_ok(path, "the workload", r->workload) &&
              text_ok(path, "the program", r->program) && text_ok(path, "the inputs", r->inputs);

    for (unsigned i = 0; ok && i < r->systems; i++) {
        ok = fields_ok(path, "a system", &r->system[i].stats, stats_fields, COUNT(stats_fields));
        if (ok && !isfinite(r->system[i].stats.fragmentation)) {
            say("%s: fragmentation of system %u is no number", path, i);
            ok = false;
        }
    }
    for (unsigned i = 0; ok && i < r->designs; i++) {
        const struct result_design *d = &r->design[i];
        ok = text_ok(path, "a design's name", d->name) && text_ok(path, "a design's title", d->title) &&
             text_ok(path, "a design's base", d->base) &&
             fields_ok(path, d->name, d, design_fields, COUNT(design_fields)) &&
             fields_ok(path, d->name, &d->caches, cache_fields, COUNT(cache_fields)) &&
             fields_ok(path, d->name, &d->rtl, rtl_fields, COUNT(rtl_fields));
        for (unsigned k = 0; ok && k < d->counters; k++) {
            if (!isfinite(d->counter[k].value)) {
                say("%s: counter '%s' of %s is no number", path, d->counter[k].name, d->name);
                ok = false;
            }
            ok = ok && text_ok(path, "a counter's name", d->counter[k].name);
        }
    }
    return ok;
}

bool result_write(const char *path, const struct result *r)
{
    char seed[24];

    if (!writable(path, r)) {
        return false;
    }
    json_t *j = object(), *systems = json_array(), *designs = json_array();
    put(j, "format", json_string("dmt unit"));
    put(j, "version", json_integer(RESULT_VERSION));
    put(j, "host_seconds", json_real(r->seconds));
    put(j, "host_peak_bytes", json_integer((json_int_t)r->peak));
    put(j, "host_program", json_string(r->program));
    put(j, "command", json_string(r->command));
    put(j, "inputs", json_string(r->inputs));
    put(j, "workload", json_string(r->workload));
    put(j, "scale", json_real(r->scale));
    put(j, "environment", json_string(result_envs[r->env]));
    put(j, "pages", json_string(result_pages(r->thp)));
    put(j, "fragment", json_integer(r->fragment));
    snprintf(seed, sizeof seed, "%" PRIu64, r->seed); /* JSON's integers end at 2^63 */
    put(j, "seed", json_string(seed));
    put(j, "warmup", json_integer((json_int_t)r->warmup));
    put(j, "measured", json_integer((json_int_t)r->measured));
    put(j, "machine", machine_json(&r->machine));
    for (unsigned i = 0; i < r->systems; i++) {
        json_array_append_new(systems, system_json(&r->system[i]));
    }
    for (unsigned i = 0; i < r->designs; i++) {
        json_array_append_new(designs, design_json(&r->design[i]));
    }
    put(j, "systems", systems);
    put(j, "designs", designs);
    char *text = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(j);
    if (text == NULL) {
        die();
    }
    struct out *o = out_open(path);
    if (o != NULL) {
        out_write(o, text, strlen(text));
        out_write(o, "\n", 1);
    }
    free(text);
    return o != NULL && out_commit(o);
}

/* ---------------------------------------------------------------- reading */

struct reader {
    const char *path;
    bool quiet, ok;
    char in[96]; /* where in the file: "designs[2]." */
};

static void expected(struct reader *f, const char *key, const char *what)
{
    if (f->ok && !f->quiet) {
        say("%s: %s%s: expected %s", f->path, f->in, key, what);
    }
    f->ok = false;
}

static uint64_t number_of(struct reader *f, const json_t *v, const char *key, uint64_t least, uint64_t most)
{
    if (!json_is_integer(v) || json_integer_value(v) < (json_int_t)least ||
        (uint64_t)json_integer_value(v) > most) {
        char what[60];
        snprintf(what, sizeof what, "a whole number from %" PRIu64 " to %" PRIu64, least, most);
        expected(f, key, most == INT64_MAX ? "a whole number" : what);
        return 0;
    }
    return (uint64_t)json_integer_value(v);
}

static uint64_t count_of(struct reader *f, const json_t *v, const char *key, uint64_t most)
{
    return number_of(f, v, key, 0, most);
}

static uint64_t get_count(struct reader *f, const json_t *j, const char *key, uint64_t most)
{
    return count_of(f, json_object_get(j, key), key, most);
}

static double get_real(struct reader *f, const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);

    if (!json_is_number(v)) {
        expected(f, key, "a number");
        return 0;
    }
    return json_number_value(v);
}

static bool get_bool(struct reader *f, const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);

    if (!json_is_boolean(v)) {
        expected(f, key, "true or false");
    }
    return json_is_true(v);
}

static void get_text(struct reader *f, const json_t *j, const char *key, char *to, size_t room)
{
    const json_t *v = json_object_get(j, key);

    if (!json_is_string(v) || json_string_length(v) == 0 || json_string_length(v) >= room) {
        char what[60];
        snprintf(what, sizeof what, "a text of 1 to %zu characters", room - 1);
        expected(f, key, what);
        return;
    }
    snprintf(to, room, "%s", json_string_value(v));
}

/* Which of the names it is. */
static unsigned get_name(struct reader *f, const json_t *j, const char *key, const char *const *name,
                         unsigned n)
{
    const json_t *v = json_object_get(j, key);
    char what[80] = "one of";

    for (unsigned i = 0; i < n; i++) {
        if (json_is_string(v) && strcmp(json_string_value(v), name[i]) == 0) {
            return i;
        }
        snprintf(what + strlen(what), sizeof what - strlen(what), " %s", name[i]);
    }
    expected(f, key, what);
    return 0;
}

static void get_numbers(struct reader *f, const json_t *v, const char *key, uint64_t *to, unsigned n)
{
    if (!json_is_array(v) || json_array_size(v) != n) {
        char what[60];
        snprintf(what, sizeof what, "%u whole numbers", n);
        expected(f, key, what);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        to[i] = count_of(f, json_array_get(v, i), key, INT64_MAX);
    }
}

static void get_fields(struct reader *f, const json_t *j, void *to, const struct field *field, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t *v = (uint64_t *)((char *)to + field[i].offset);
        if (field[i].n == 1) {
            *v = get_count(f, j, field[i].name, INT64_MAX);
        } else {
            get_numbers(f, json_object_get(j, field[i].name), field[i].name, v, field[i].n);
        }
    }
}

static json_t *get_object(struct reader *f, const json_t *j, const char *key)
{
    json_t *v = json_object_get(j, key);

    if (!json_is_object(v)) {
        expected(f, key, "an object");
    }
    return v;
}

static void read_system(struct reader *f, const json_t *j, struct result_system *s)
{
    s->tea = get_bool(f, j, "tea");
    s->pv = get_bool(f, j, "pv");
    s->host_huge = get_bool(f, j, "host_huge");
    s->full = get_bool(f, j, "full");
    get_fields(f, j, &s->stats, stats_fields, COUNT(stats_fields));
    s->stats.fragmentation = get_real(f, j, "fragmentation");
}

static void read_bins(struct reader *f, json_t *j, struct result_design *d)
{
    const char *key;
    json_t *v;
    uint64_t sum = 0, clocks;

    json_object_foreach(j, key, v)
    {
        if (!parse_decimal(key, UINT64_MAX, &clocks) || result_bin_clocks(result_bin(clocks)) != clocks) {
            expected(f, "walks_by_clocks", "the least clocks of a bin (docs/evaluation.md) as each key");
            return;
        }
        sum += d->bin[result_bin(clocks)] = count_of(f, v, "walks_by_clocks", INT64_MAX);
    }
    if (f->ok && sum != d->walks) {
        expected(f, "walks_by_clocks", "counts that add up to walks");
    }
}

static void read_histogram(struct reader *f, json_t *j, struct result_design *d)
{
    const char *text;
    json_t *v;
    uint64_t sum = 0;

    json_object_foreach(j, text, v)
    {
        uint8_t slot[EVAL_SLOTS];
        uint64_t key[2], n = count_of(f, v, "histogram", INT64_MAX);
        if (strlen(text) != EVAL_SLOTS || strspn(text, "012345") != EVAL_SLOTS) {
            expected(f, "histogram", "24 digits of levels, 0 to 5, as each key");
            return;
        }
        for (unsigned i = 0; i < EVAL_SLOTS; i++) {
            slot[i] = (uint8_t)(text[i] - '0');
        }
        result_pack(slot, key);
        result_histogram_line(&d->histogram, key, n);
        sum += n;
    }
    if (f->ok && sum != d->walks) {
        expected(f, "histogram", "counts that add up to walks");
    }
}

static void read_design(struct reader *f, const json_t *j, struct result_design *d, unsigned systems)
{
    const char *key;
    json_t *v, *k;

    get_text(f, j, "name", d->name, sizeof d->name);
    get_text(f, j, "title", d->title, sizeof d->title);
    get_text(f, j, "base", d->base, sizeof d->base);
    d->seconds = get_real(f, j, "host_seconds");
    d->system = (unsigned)get_count(f, j, "system", systems - 1);
    get_fields(f, j, d, design_fields, COUNT(design_fields));
    if ((k = get_object(f, j, "walks_by_clocks")) != NULL) {
        read_bins(f, k, d);
    }
    get_fields(f, get_object(f, j, "levels"), &d->caches, cache_fields, COUNT(cache_fields));
    get_fields(f, get_object(f, j, "rtl"), &d->rtl, rtl_fields, COUNT(rtl_fields));
    if ((k = get_object(f, j, "counters")) != NULL) {
        json_object_foreach(k, key, v)
        {
            if (d->counters == RESULT_COUNTERS_MAX || strlen(key) >= RESULT_NAME_MAX || !json_is_number(v)) {
                expected(f, "counters", "at most 48 numbers with names of at most 63 characters");
                break;
            }
            snprintf(d->counter[d->counters].name, RESULT_NAME_MAX, "%s", key);
            d->counter[d->counters++].value = json_number_value(v);
        }
    }
    if ((k = json_object_get(j, "slot_clocks")) != NULL) {
        d->slots = true;
        get_numbers(f, k, "slot_clocks", d->slot_clocks, EVAL_SLOTS);
        k = json_object_get(j, "slot_levels");
        if (json_array_size(k) != EVAL_SLOTS) {
            expected(f, "slot_levels", "24 lists");
            return;
        }
        for (unsigned i = 0; i < EVAL_SLOTS; i++) {
            get_numbers(f, json_array_get(k, i), "slot_levels", d->slot_level[i], EVAL_MEM + 1);
        }
    }
    if ((k = json_object_get(j, "histogram")) != NULL) {
        read_histogram(f, k, d);
    }
}

static void read_machine(struct reader *f, const json_t *j, struct eval_config *c)
{
    const char *in = "machine.";

    if (j == NULL) {
        return;
    }
    snprintf(f->in, sizeof f->in, "%s", in);
#define X(field, key, least, most, value, what)                                                              \
    c->field = (uint32_t)number_of(f, json_object_get(j, key), key, least, most);
    EVAL_KEYS(X)
#undef X
    f->in[0] = '\0';
}

static void read_unit(struct reader *f, const json_t *j, struct result *r)
{
    static const char *const formats[] = {"dmt unit"}, *const pages[] = {"4k", "thp"};
    char seed[24] = "";
    const json_t *v = json_object_get(j, "version");

    get_name(f, j, "format", formats, 1);
    if (f->ok && (!json_is_integer(v) || json_integer_value(v) != RESULT_VERSION)) {
        char what[100];
        snprintf(what, sizeof what, "%d, which this dmt reads (the file has %lld); run the unit again",
                 RESULT_VERSION, json_integer_value(v));
        expected(f, "version", what);
        return; /* nothing else of it need be as expected */
    }
    r->seconds = get_real(f, j, "host_seconds");
    r->peak = get_count(f, j, "host_peak_bytes", INT64_MAX);
    get_text(f, j, "host_program", r->program, sizeof r->program);
    get_text(f, j, "command", r->command, sizeof r->command);
    get_text(f, j, "inputs", r->inputs, sizeof r->inputs);
    get_text(f, j, "workload", r->workload, sizeof r->workload);
    r->scale = get_real(f, j, "scale");
    r->env = get_name(f, j, "environment", result_envs, EVAL_ENVS);
    r->thp = get_name(f, j, "pages", pages, 2) == 1;
    r->fragment = (unsigned)get_count(f, j, "fragment", 100);
    get_text(f, j, "seed", seed, sizeof seed);
    if (f->ok && !parse_decimal(seed, UINT64_MAX, &r->seed)) {
        expected(f, "seed", "a decimal number in quotes");
    }
    r->warmup = get_count(f, j, "warmup", INT64_MAX);
    r->measured = get_count(f, j, "measured", INT64_MAX);
    read_machine(f, get_object(f, j, "machine"), &r->machine);

    const json_t *list = json_object_get(j, "systems");
    if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > RESULT_SYSTEMS_MAX) {
        expected(f, "systems", "a list of 1 to 8 systems");
        return;
    }
    for (; r->systems < json_array_size(list); r->systems++) {
        snprintf(f->in, sizeof f->in, "systems[%u].", r->systems);
        read_system(f, json_array_get(list, r->systems), &r->system[r->systems]);
    }
    f->in[0] = '\0';
    list = json_object_get(j, "designs");
    if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > RESULT_DESIGNS_MAX) {
        expected(f, "designs", "a list of 1 to 32 designs");
        return;
    }
    while (f->ok && r->designs < json_array_size(list)) {
        struct result_design *d = &r->design[r->designs];
        snprintf(f->in, sizeof f->in, "designs[%u].", r->designs);
        read_design(f, json_array_get(list, r->designs), d, r->systems);
        if (f->ok && result_design_find(r, d->name) != NULL) {
            expected(f, "name", "one that no other design of the unit has");
        }
        r->designs++;
    }
    f->in[0] = '\0';
}

static struct result *read_file(const char *path, bool quiet)
{
    struct reader f = {.path = path, .quiet = quiet, .ok = true};
    json_error_t error;
    FILE *in = fopen(path, "r");

    if (in == NULL) {
        if (!quiet) {
            say("%s: cannot open: %s", path, strerror(errno));
        }
        return NULL;
    }
    json_t *j = json_loadf(in, JSON_REJECT_DUPLICATES, &error);
    fclose(in);
    if (j == NULL) {
        if (!quiet) {
            say("%s:%d: %s; expected the JSON of a whole unit", path, error.line, error.text);
        }
        return NULL;
    }
    struct result *r = result_new();
    read_unit(&f, j, r);
    json_decref(j);
    if (!f.ok) {
        result_free(r);
        return NULL;
    }
    return r;
}

struct result *result_read(const char *path)
{
    return read_file(path, false);
}

bool result_done(const char *path)
{
    struct result *r = read_file(path, true);

    result_free(r);
    return r != NULL;
}

/* ---------------------------------------------------------------- CSV */

/* A cell: quoted where it must be (RFC 4180). */
static void cell(struct out *o, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        out_printf(o, "%s", text);
        return;
    }
    out_printf(o, "\"");
    for (; *text != '\0'; text++) {
        out_printf(o, *text == '"' ? "\"\"" : "%c", *text);
    }
    out_printf(o, "\"");
}

void result_csv(struct out *o, const struct result *const *unit, size_t n)
{
    static const char *const level[] = {"none", "pwc", "l1", "l2", "llc", "mem"};

    out_printf(o, "workload,environment,pages,scale,fragment,seed,warmup,measured,design,base");
    for (size_t i = 0; i < COUNT(design_fields); i++) {
        out_printf(o, ",%s", design_fields[i].name);
    }
    out_printf(o, ",mean,speedup,p50,p99");
    for (size_t k = 0; k < COUNT(cache_fields); k++) {
        for (unsigned l = EVAL_PWC; l <= EVAL_MEM; l++) {
            out_printf(o, ",%s_%s", cache_fields[k].name, level[l]);
        }
    }
    for (size_t i = 0; i < COUNT(rtl_fields); i++) {
        out_printf(o, ",rtl_%s", rtl_fields[i].name);
    }
    out_printf(o, ",command\n");
    for (size_t u = 0; u < n; u++) {
        const struct result *r = unit[u];
        for (unsigned i = 0; i < r->designs; i++) {
            const struct result_design *d = &r->design[i];
            double mean = result_mean(d), speedup = result_speedup(d, result_base(r, d));
            cell(o, r->workload);
            out_printf(o, ",%s,%s,%.9g,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", result_envs[r->env],
                       result_pages(r->thp), r->scale, r->fragment, r->seed, r->warmup, r->measured);
            cell(o, d->name);
            out_printf(o, ",");
            cell(o, d->base);
            out_printf(o, ",");
            for (size_t k = 0; k < COUNT(design_fields); k++) {
                out_printf(o, "%" PRIu64 ",", *(const uint64_t *)((const char *)d + design_fields[k].offset));
            }
            if (isnan(mean)) { /* an empty cell: not known, which is not zero */
                out_printf(o, ",,,,");
            } else {
                out_printf(o, "%.6f,", mean);
                out_printf(o, isnan(speedup) ? "," : "%.6f,", speedup);
                out_printf(o, "%" PRIu64 ",%" PRIu64 ",", result_quantile(d, 0.5), result_quantile(d, 0.99));
            }
            for (size_t k = 0; k < COUNT(cache_fields); k++) {
                const uint64_t *v = (const uint64_t *)((const char *)&d->caches + cache_fields[k].offset);
                for (unsigned l = EVAL_PWC; l <= EVAL_MEM; l++) {
                    out_printf(o, "%" PRIu64 ",", v[l]);
                }
            }
            for (size_t k = 0; k < COUNT(rtl_fields); k++) {
                out_printf(o, "%" PRIu64 ",",
                           *(const uint64_t *)((const char *)&d->rtl + rtl_fields[k].offset));
            }
            cell(o, r->command);
            out_printf(o, "\n");
        }
    }
}
