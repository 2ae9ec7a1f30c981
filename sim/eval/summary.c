/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/summary.h"

#include "dmt/api.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { WORKLOADS_MAX = 64 };

/* ---------------------------------------------------------------- reading */

static int workload_order(const char *a, const char *b)
{
    int x = paper_workload(a), y = paper_workload(b);

    if (x >= 0 && y >= 0) {
        return x - y;
    }
    return x >= 0 ? -1 : y >= 0 ? 1 : strcmp(a, b);
}

static int unit_order(const struct result *a, const struct result *b)
{
    int by = workload_order(a->workload, b->workload);

    by = by != 0 ? by : (int)a->env - (int)b->env;
    return by != 0 ? by : (int)a->thp - (int)b->thp;
}

/* The radix walk that formulas are of: a baseline with a histogram. */
static const struct result_design *plain(const struct result *r)
{
    for (unsigned i = 0; i < r->designs; i++) {
        const struct result_design *d = &r->design[i];
        if (d->histogram != NULL && strcmp(d->name, d->base) == 0) {
            return d;
        }
    }
    return NULL;
}

static void take_formulas(const struct result *r, double to[2][FORMULAS])
{
    const struct result_design *d = plain(r);
    size_t n = 0;
    struct result_line *line = d != NULL ? result_histogram_lines(d->histogram, &n) : NULL;

    for (unsigned leaf = 0; leaf < 2; leaf++) {
        for (unsigned f = 0; f < FORMULAS; f++) {
            to[leaf][f] =
                formula_histogram((enum formula)f, r->env, &r->machine, (enum formula_leaf)leaf, line, n);
        }
    }
    free(line);
}

/* The key of which the machines differ, NULL: none. */
static const char *machine_differs(const struct eval_config *a, const struct eval_config *b)
{
#define X(field, key, least, most, value, what)                                                              \
    if (a->field != b->field) {                                                                              \
        return key;                                                                                          \
    }
    EVAL_KEYS(X)
#undef X
    return NULL;
}

static bool same_lengths(const struct result *a, const struct result *b)
{
    return a->scale == b->scale && a->warmup == b->warmup && a->measured == b->measured && a->seed == b->seed;
}

/* Traces end where they end; everything else of a directory is of one machine and one length. */
static bool fits(const char *file, const struct result *r, const char *first_file, const struct result *first)
{
    const char *key = machine_differs(&r->machine, &first->machine);
    bool generated = paper_workload(r->workload) >= 0 && paper_workload(first->workload) >= 0;

    if (key == NULL && r->fragment != first->fragment) {
        key = "fragmentation";
    }
    if (key == NULL && generated && !same_lengths(r, first)) {
        key = "scale, seed or number of accesses";
    }
    if (key != NULL) {
        say("%s: %s is another than in %s; expected one machine and one length a directory (variants are "
            "directories of their own)",
            file, key, first_file);
    }
    return key == NULL;
}

static bool add_unit(struct summary_set *s, const char *file)
{
    struct result *r = result_read(file);

    if (r == NULL) {
        return false;
    }
    if (s->n > 0 && !fits(file, r, s->file[0], s->unit[0])) {
        result_free(r);
        return false;
    }
    size_t at = 0;
    while (at < s->n && unit_order(s->unit[at], r) < 0) {
        at++;
    }
    if (at < s->n && unit_order(s->unit[at], r) == 0) {
        say("%s: %s, %s, %s is in %s, too", file, r->workload, result_envs[r->env], result_pages(r->thp),
            s->file[at]);
        result_free(r);
        return false;
    }
    s->unit = need(realloc(s->unit, (s->n + 1) * sizeof *s->unit));
    s->file = need(realloc(s->file, (s->n + 1) * sizeof *s->file));
    s->formula = need(realloc(s->formula, (s->n + 1) * sizeof *s->formula));
    memmove(s->unit + at + 1, s->unit + at, (s->n - at) * sizeof *s->unit);
    memmove(s->file + at + 1, s->file + at, (s->n - at) * sizeof *s->file);
    memmove(s->formula + at + 1, s->formula + at, (s->n - at) * sizeof *s->formula);
    s->unit[at] = r;
    s->file[at] = need(strdup(file));
    take_formulas(r, s->formula[at]);
    for (unsigned i = 0; i < r->designs; i++) { /* large, and needed no more */
        result_histogram_free(r->design[i].histogram);
        r->design[i].histogram = NULL;
    }
    s->n++;
    return true;
}

static void free_set(struct summary_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        result_free(s->unit[i]);
        free(s->file[i]);
    }
    free(s->unit);
    free(s->file);
    free(s->formula);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static bool is_unit(const char *name)
{
    size_t n = strlen(name);

    return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

/* The units of a directory and, when asked for, the names of directories in it. */
static bool read_set(const char *dir, struct summary_set *s, struct summary *with_variants)
{
    struct dirent **entry;
    int n = scandir(dir, &entry, visible, alphasort);
    bool ok = true;

    if (n < 0) {
        say("%s: cannot open: %s; expected a directory of results (dmt sim --out)", dir, strerror(errno));
        return false;
    }
    snprintf(s->path, sizeof s->path, "%s", dir);
    for (int i = 0; i < n; i++) {
        char path[1400];
        struct stat st;
        snprintf(path, sizeof path, "%s/%.300s", dir, entry[i]->d_name);
        if (ok && is_unit(entry[i]->d_name)) {
            ok = add_unit(s, path);
        } else if (ok && with_variants != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            struct summary *all = with_variants;
            struct summary_set v = {0};
            ok = read_set(path, &v, NULL);
            snprintf(v.name, sizeof v.name, "%.63s", entry[i]->d_name);
            if (!ok || v.n == 0) { /* a directory of something else is nobody's business here */
                free_set(&v);
            } else {
                all->variant = need(realloc(all->variant, (all->variants + 1) * sizeof *all->variant));
                all->variant[all->variants++] = v;
            }
        }
        free(entry[i]);
    }
    free(entry);
    return ok;
}

bool summary_read(const char *dir, struct summary *s)
{
    memset(s, 0, sizeof *s);
    if (strlen(dir) >= sizeof s->set.path - 320) {
        say("%.40s..: expected a path of less than 700 characters", dir);
        return false;
    }
    if (!read_set(dir, &s->set, s)) {
        return false;
    }
    if (s->set.n == 0) {
        say("%s: no unit in it; expected files of results, as `dmt sim --out %s` writes them", dir, dir);
        return false;
    }
    return true;
}

void summary_free(struct summary *s)
{
    free_set(&s->set);
    for (size_t i = 0; i < s->variants; i++) {
        free_set(&s->variant[i]);
    }
    free(s->variant);
}

/* ---------------------------------------------------------------- finding */

static size_t index_of(const struct summary_set *s, const char *workload, enum eval_env env, bool thp)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct result *r = s->unit[i];
        if (r->env == env && r->thp == thp && strcmp(r->workload, workload) == 0) {
            return i;
        }
    }
    return s->n;
}

const struct result *summary_unit(const struct summary_set *s, const char *workload, enum eval_env env,
                                  bool thp)
{
    size_t i = index_of(s, workload, env, thp);

    return i < s->n ? s->unit[i] : NULL;
}

static bool add_name(const char **name, size_t *n, size_t room, const char *what)
{
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(name[i], what) == 0) {
            return false;
        }
    }
    if (*n < room) {
        name[(*n)++] = what;
    }
    return true;
}

size_t summary_workloads(const struct summary_set *s, const char **name, size_t room)
{
    size_t n = 0;

    for (unsigned i = 0; i < PAPER_WORKLOADS; i++) {
        add_name(name, &n, room, paper_workloads[i]);
    }
    for (size_t i = 0; i < s->n; i++) {
        add_name(name, &n, room, s->unit[i]->workload);
    }
    return n;
}

size_t summary_designs(const struct summary_set *s, enum eval_env env, bool thp, const char **name,
                       size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        for (unsigned k = 0; s->unit[i]->env == env && s->unit[i]->thp == thp && k < s->unit[i]->designs;
             k++) {
            add_name(name, &n, room, s->unit[i]->design[k].name);
        }
    }
    return n;
}

const struct result_design *summary_design(const struct summary_set *s, enum eval_env env, bool thp,
                                           const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct result *r = s->unit[i];
        const struct result_design *d = r->env == env && r->thp == thp ? result_design_find(r, name) : NULL;
        if (d != NULL) {
            return d;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- numbers */

static double bar_of(enum eval_env env, bool thp, bool app, const char *design, bool by_formula, int workload)
{
    const struct paper_bars *b = paper_find(env, thp, app, design, by_formula);

    return b != NULL && workload >= 0 ? b->bar[workload] : NAN;
}

static double by_formula(const struct summary_set *s, const char *workload, enum eval_env env, bool thp,
                         const char *design, enum formula_leaf leaf)
{
    size_t i = index_of(s, workload, env, thp);
    enum formula f = formula_find(design);

    return i < s->n && f < FORMULAS ? s->formula[i][leaf][FORMULA_VANILLA] / s->formula[i][leaf][f] : NAN;
}

static double covered(const struct result_design *d, const struct result_design *base)
{
    uint64_t walks = d->walks - d->fallbacks, clocks = d->walk_clocks - d->fallback_clocks;

    return walks > 0 && clocks > 0 && base != NULL ? result_mean(base) / ((double)clocks / (double)walks)
                                                   : NAN;
}

static double exposed(const struct result_design *d)
{
    return d != NULL && d->clocks > 0 ? (double)d->exposed / (double)d->clocks : NAN;
}

double summary_value(const struct summary_set *s, enum summary_what what, const char *workload,
                     enum eval_env env, bool thp, const char *design)
{
    int paper = paper_workload(workload);

    switch (what) { /* those that need no unit, or another one */
    case SUMMARY_FORMULA:
        return by_formula(s, workload, env, thp, design, FORMULA_WALKED);
    case SUMMARY_PUBLISHED:
        return by_formula(s, workload, env, false, design, thp ? FORMULA_DROPPED : FORMULA_WALKED);
    case SUMMARY_PAPER_LABEL:
    case SUMMARY_PAPER_FORMULA:
        return bar_of(env, thp, false, design, what == SUMMARY_PAPER_FORMULA, paper);
    case SUMMARY_PAPER_APP_LABEL:
    case SUMMARY_PAPER_APP_FORMULA:
        return bar_of(env, thp, true, design, what == SUMMARY_PAPER_APP_FORMULA, paper);
    default:
        break;
    }
    const struct result *r = summary_unit(s, workload, env, thp);
    const struct result_design *d = r != NULL ? result_design_find(r, design) : NULL;
    if (d == NULL) {
        return NAN;
    }
    const struct result_design *base = result_base(r, d);
    double speedup = result_speedup(d, base);
    switch (what) {
    case SUMMARY_SPEEDUP:
        return speedup;
    case SUMMARY_COVERED:
        return covered(d, base);
    case SUMMARY_APP:
    case SUMMARY_APP_NESTED:
        return paper >= 0 ? paper_app((unsigned)paper, env, thp, speedup, what == SUMMARY_APP_NESTED) : NAN;
    case SUMMARY_APP_OWN:
        return formula_app(exposed(base), speedup);
    case SUMMARY_APP_CLOCKS:
        return base != NULL && d->clocks > 0 ? (double)base->clocks / (double)d->clocks : NAN;
    case SUMMARY_MEAN:
        return result_mean(d);
    default:
        return NAN;
    }
}

bool summary_scarce(const struct summary_set *s, const char *workload, enum eval_env env, bool thp)
{
    const struct result *r = summary_unit(s, workload, env, thp);

    for (unsigned k = 0; r != NULL && k < r->designs; k++) {
        if (r->design[k].walks < SUMMARY_WALKS_LEAST) {
            return true;
        }
    }
    return false;
}

static bool of_units(enum summary_what what)
{
    return what < SUMMARY_PAPER_LABEL;
}

double summary_geomean(const struct summary_set *s, enum summary_what what, enum summary_what also,
                       enum eval_env env, bool thp, const char *design, unsigned *n)
{
    const char *name[WORKLOADS_MAX];
    size_t names = summary_workloads(s, name, WORKLOADS_MAX);
    double sum = 0;

    *n = 0;
    for (size_t i = 0; i < names; i++) {
        double v = summary_value(s, what, name[i], env, thp, design);
        bool both = also == SUMMARY_WHATS || !isnan(summary_value(s, also, name[i], env, thp, design));
        if ((of_units(what) || of_units(also)) && summary_scarce(s, name[i], env, thp)) {
            continue;
        }
        /* What is not of the paper has no place in a mean that stands beside the paper's. */
        if (paper_workload(name[i]) >= 0 && both && !isnan(v)) {
            sum += log(v);
            ++*n;
        }
    }
    return *n > 0 ? exp(sum / *n) : NAN;
}

static const struct summary_set *reference_of(const struct summary *s, const struct summary_set *variant)
{
    for (size_t i = 0; i < s->variants; i++) {
        if (strcmp(s->variant[i].name, "default") == 0 && &s->variant[i] != variant) {
            return &s->variant[i];
        }
    }
    return &s->set;
}

double summary_effect(const struct summary *s, const struct summary_set *variant, enum summary_what what,
                      enum eval_env env, bool thp, const char *design, double *reference, unsigned *n)
{
    const struct summary_set *to = reference_of(s, variant);
    const char *name[WORKLOADS_MAX];
    size_t names = summary_workloads(variant, name, WORKLOADS_MAX);
    double sum = 0, base = 0;

    *n = 0;
    for (size_t i = 0; i < names; i++) {
        const struct result *a = summary_unit(variant, name[i], env, thp),
                            *b = summary_unit(to, name[i], env, thp);
        if (a == NULL || b == NULL || !same_lengths(a, b) || summary_scarce(variant, name[i], env, thp) ||
            summary_scarce(to, name[i], env, thp)) {
            continue;
        }
        double v = summary_value(variant, what, name[i], env, thp, design);
        double w = summary_value(to, what, name[i], env, thp, design);
        if (!isnan(v) && !isnan(w)) {
            sum += log(v);
            base += log(w);
            ++*n;
        }
    }
    *reference = *n > 0 ? exp(base / *n) : NAN;
    return *n > 0 ? exp(sum / *n) : NAN;
}

uint64_t summary_replayed(const struct summary *s, uint64_t *mismatches)
{
    uint64_t walks = 0;

    *mismatches = 0;
    for (size_t i = 0; i <= s->variants; i++) {
        const struct summary_set *set = i == 0 ? &s->set : &s->variant[i - 1];
        for (size_t u = 0; u < set->n; u++) {
            for (unsigned k = 0; k < set->unit[u]->designs; k++) {
                const struct result_rtl *r = &set->unit[u]->design[k].rtl;
                walks += r->walks;
                *mismatches += r->mismatches;
            }
        }
    }
    return walks;
}

size_t summary_others(const struct summary *s)
{
    char own[FILE_MARK] = "";
    size_t n = 0;

    file_mark("/proc/self/exe", own); /* unreadable, it is none of those that made units */
    for (size_t i = 0; i <= s->variants; i++) {
        const struct summary_set *set = i == 0 ? &s->set : &s->variant[i - 1];
        for (size_t u = 0; u < set->n; u++) {
            n += strcmp(set->unit[u]->program, own) != 0;
        }
    }
    return n;
}

/* ---------------------------------------------------------------- causes */

/* A difference from the paper in factors, the product of which is own / paper; NAN: not known. */
struct parts {
    double paper, own;
    unsigned n;
    double workloads; /* the paper's mean over those workloads that there are units of / over all seven */
    double walk;      /* the published arithmetic on our walks / the paper's bars */
    double pages; /* the same arithmetic on walks of real huge pages / on walks of 4K pages without their last
                     level */
    double state; /* walks that registers served, simulated with the design's own state / arithmetic */
    double fallback; /* all walks / those that registers served */
};

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static struct parts parts_of(const struct summary_set *s, const struct paper_headline *h)
{
    enum summary_what own = SUMMARY_SPEEDUP;
    unsigned n;
    struct parts p = {.paper = h->walk};
#define MEAN(what) summary_geomean(s, what, own, h->env, h->thp, h->design, &n)
    double bars = MEAN(SUMMARY_PAPER_LABEL), published = MEAN(SUMMARY_PUBLISHED),
           formula = MEAN(SUMMARY_FORMULA), served = MEAN(SUMMARY_COVERED);
    p.own = MEAN(own);
    p.n = n;
#undef MEAN
    p.workloads = ratio(bars, p.paper);
    p.walk = ratio(published, bars);
    p.pages = ratio(formula, published);
    p.state = ratio(served, formula);
    p.fallback = ratio(p.own, served);
    return p;
}

/* ---------------------------------------------------------------- JSON */

static json_t *num(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *whole(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static void put(json_t *to, const char *key, json_t *value)
{
    if (json_object_set_new(to, key, value) != 0) {
        need(NULL);
    }
}

static void add(json_t *to, json_t *value)
{
    if (json_array_append_new(to, value) != 0) {
        need(NULL);
    }
}

static json_t *nums(const double *v, size_t n)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++) {
        add(a, num(v[i]));
    }
    return a;
}

static json_t *wholes(const uint64_t *v, size_t n)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++) {
        add(a, whole(v[i]));
    }
    return a;
}

static const char *const what_names[SUMMARY_WHATS] = {
    "speedup",       "covered",         "formula",           "published", "app",
    "app_nested",    "app_own",         "app_clocks",        "mean_walk", "paper_label",
    "paper_formula", "paper_app_label", "paper_app_formula",
};

static json_t *design_values(const struct summary_set *s, enum eval_env env, bool thp, const char *design,
                             const char *const *workload, size_t workloads)
{
    const struct result_design *d = summary_design(s, env, thp, design);
    json_t *j = json_object(), *values = json_object(), *means = json_object(), *published = json_object();
    unsigned n;

    put(j, "name", json_string(design));
    put(j, "title", json_string(d != NULL ? d->title : design));
    put(j, "base", json_string(d != NULL ? d->base : ""));
    put(j, "simulated", json_boolean(d != NULL));
    for (unsigned w = 0; w < SUMMARY_WHATS; w++) {
        json_t *a = json_array();
        for (size_t i = 0; i < workloads; i++) {
            add(a, num(summary_value(s, w, workload[i], env, thp, design)));
        }
        put(values, what_names[w], a);
        double mean = summary_geomean(s, w, SUMMARY_WHATS, env, thp, design, &n);
        put(means, what_names[w], json_pack("[o,i]", num(mean), (int)n));
    }
    put(j, "values", values);
    put(j, "geomean", means);
    for (unsigned app = 0; app < 2; app++) {
        for (unsigned form = 0; form < 2; form++) {
            const struct paper_bars *b = paper_find(env, thp, app, design, form);
            if (b != NULL) {
                put(published, what_names[SUMMARY_PAPER_LABEL + 2 * app + form],
                    json_pack("{s:o,s:s,s:s}", "geomean", num(b->geomean), "label", b->label, "source",
                              b->source));
            }
        }
    }
    put(j, "paper", published);
    return j;
}

static json_t *groups(const struct summary_set *s, const char *const *workload, size_t workloads)
{
    json_t *all = json_array();

    for (unsigned env = 0; env < EVAL_ENVS; env++) {
        for (unsigned thp = 0; thp < 2; thp++) {
            const char *name[RESULT_DESIGNS_MAX + FORMULAS];
            size_t n = summary_designs(s, env, thp, name, RESULT_DESIGNS_MAX);
            json_t *designs = json_array(), *g = json_object();
            for (unsigned f = FORMULA_VANILLA + 1; f < FORMULAS; f++) { /* shown, though perhaps as missing */
                if (formula_exists(f, env)) {
                    add_name(name, &n, COUNT(name), formula_names[f]);
                }
            }
            for (size_t i = 0; i < n; i++) {
                add(designs, design_values(s, env, thp, name[i], workload, workloads));
            }
            put(g, "environment", json_string(result_envs[env]));
            put(g, "pages", json_string(result_pages(thp)));
            put(g, "designs", designs);
            add(all, g);
        }
    }
    return all;
}

static json_t *headlines(const struct summary *s)
{
    json_t *all = json_array();

    for (size_t i = 0; i < paper_headlines_n; i++) {
        const struct paper_headline *h = &paper_headlines[i];
        struct parts p = parts_of(&s->set, h);
        json_t *j = json_object(), *parts = json_array(), *effects = json_array();
        unsigned n;
        put(j, "environment", json_string(result_envs[h->env]));
        put(j, "pages", json_string(result_pages(h->thp)));
        put(j, "design", json_string(h->design));
        put(j, "paper", num(p.paper));
        put(j, "paper_app", num(h->app));
        put(j, "own", num(p.own));
        put(j, "workloads", whole(p.n));
        put(j, "formula",
            num(summary_geomean(&s->set, SUMMARY_FORMULA, SUMMARY_WHATS, h->env, h->thp, h->design, &n)));
        put(j, "published",
            num(summary_geomean(&s->set, SUMMARY_PUBLISHED, SUMMARY_WHATS, h->env, h->thp, h->design, &n)));
        put(j, "published_workloads", whole(n));
        struct {
            const char *name;
            double v;
        } part[] = {{"workloads", p.workloads},
                    {"walk", p.walk},
                    {"pages", p.pages},
                    {"state", p.state},
                    {"fallback", p.fallback}};
        for (size_t k = 0; k < COUNT(part); k++) {
            add(parts, json_pack("[s,o]", part[k].name, num(part[k].v)));
        }
        put(j, "parts", parts);
        for (size_t v = 0; v < s->variants; v++) {
            double ref,
                got = summary_effect(s, &s->variant[v], SUMMARY_SPEEDUP, h->env, h->thp, h->design, &ref, &n);
            if (n > 0) {
                add(effects, json_pack("{s:s,s:o,s:o,s:i}", "variant", s->variant[v].name, "speedup",
                                       num(got), "reference", num(ref), "workloads", (int)n));
            }
        }
        put(j, "effects", effects);
        add(all, j);
    }
    return all;
}

static json_t *system_json(const struct result_system *s)
{
    const struct eval_system_stats *t = &s->stats;
    json_t *j = json_object();

    put(j, "tea", json_boolean(s->tea));
    put(j, "pv", json_boolean(s->pv));
    put(j, "host_huge", json_boolean(s->host_huge));
    put(j, "full", json_boolean(s->full));
    put(j, "area_pages", wholes(t->area_pages, 3));
    put(j, "covered", wholes(t->covered, 3));
    put(j, "registers", wholes(t->registers, 3));
#define W(field) put(j, #field, whole(t->field))
    W(pages), W(tables), W(tea_frames), W(tea_used), W(faults), W(violations), W(exits), W(hypercalls),
        W(csr_writes);
    W(guest_stores), W(zeroed), W(copied), W(moved_tables), W(migrated), W(alloc_failed);
#undef W
    put(j, "fragmentation", num(t->fragmentation));
    return j;
}

/* Points of the distribution of walks' clocks: [clocks, share of walks that take no more]. */
static json_t *distribution(const struct result_design *d)
{
    json_t *a = json_array();
    uint64_t seen = 0;

    for (unsigned i = 0; i < RESULT_BINS; i++) {
        if (d->bin[i] > 0) {
            seen += d->bin[i];
            add(a, json_pack("[I,f]", (json_int_t)result_bin_clocks(i), (double)seen / (double)d->walks));
        }
    }
    return a;
}

static json_t *unit_design(const struct result *r, const struct result_design *d)
{
    const struct result_design *base = result_base(r, d);
    json_t *j = json_object(), *counters = json_object();
    uint64_t log2[41];
    double slot[EVAL_SLOTS];

    put(j, "name", json_string(d->name));
    put(j, "title", json_string(d->title));
    put(j, "base", json_string(d->base));
    put(j, "system", whole(d->system));
#define W(field) put(j, #field, whole(d->field))
    W(accesses), W(hits_l1), W(hits_l2), W(walks), W(walk_clocks), W(wait_clocks), W(clocks), W(exposed), W(refs), W(reads);
    W(fallbacks), W(fallback_clocks), W(faults), W(exits), W(exit_clocks);
#undef W
    put(j, "mean", num(result_mean(d)));
    put(j, "speedup", num(result_speedup(d, base)));
    put(j, "exposed_share", num(exposed(d)));
    put(j, "p50", whole(result_quantile(d, 0.5)));
    put(j, "p99", whole(result_quantile(d, 0.99)));
    result_log2(d, log2);
    put(j, "log2", wholes(log2, COUNT(log2)));
    put(j, "distribution", distribution(d));
    put(j, "walk_levels", wholes(d->caches.walk, EVAL_MEM + 1));
    put(j, "data_levels", wholes(d->caches.data, EVAL_MEM + 1));
    for (unsigned i = 0; i < d->counters; i++) {
        put(counters, d->counter[i].name, num(d->counter[i].value));
    }
    put(j, "counters", counters);
    put(j, "rtl",
        json_pack("{s:I,s:I,s:I,s:I,s:I}", "windows", (json_int_t)d->rtl.windows, "walks",
                  (json_int_t)d->rtl.walks, "references", (json_int_t)d->rtl.references, "mismatches",
                  (json_int_t)d->rtl.mismatches, "clocks_equal", (json_int_t)d->rtl.clocks_equal));
    put(j, "seconds", num(d->seconds > 0 ? d->seconds : NAN));
    if (d->slots) {
        for (unsigned i = 0; i < EVAL_SLOTS; i++) {
            slot[i] = d->walks > 0 ? (double)d->slot_clocks[i] / (double)d->walks : NAN;
        }
        put(j, "slots", nums(slot, EVAL_SLOTS));
    }
    return j;
}

static json_t *units(const struct summary_set *s)
{
    json_t *all = json_array();

    for (size_t i = 0; i < s->n; i++) {
        const struct result *r = s->unit[i];
        json_t *j = json_object(), *list = json_array();
        put(j, "file", json_string(s->file[i]));
        put(j, "command", json_string(r->command));
        put(j, "workload", json_string(r->workload));
        put(j, "environment", json_string(result_envs[r->env]));
        put(j, "pages", json_string(result_pages(r->thp)));
        put(j, "scarce", json_boolean(summary_scarce(s, r->workload, r->env, r->thp)));
        put(j, "scale", num(r->scale));
        put(j, "fragment", whole(r->fragment));
        put(j, "warmup", whole(r->warmup));
        put(j, "measured", whole(r->measured));
        put(j, "seconds", num(r->seconds));
        put(j, "peak", whole(r->peak));
        for (unsigned k = 0; k < r->systems; k++) {
            add(list, system_json(&r->system[k]));
        }
        put(j, "systems", list);
        list = json_array();
        for (unsigned k = 0; k < r->designs; k++) {
            add(list, unit_design(r, &r->design[k]));
        }
        put(j, "designs", list);
        add(all, j);
    }
    return all;
}

static json_t *machine(const struct eval_config *c, const struct eval_config *other)
{
    json_t *a = json_array();

#define X(field, key, least, most, value, what)                                                              \
    if (other == NULL || c->field != other->field) {                                                         \
        add(a, json_pack("[s,I,I,s]", key, (json_int_t)(other != NULL ? other->field : value),               \
                         (json_int_t)c->field, what));                                                       \
    }
    EVAL_KEYS(X)
#undef X
    return a;
}

static json_t *variants(const struct summary *s)
{
    json_t *all = json_array();

    for (size_t v = 0; v < s->variants; v++) {
        const struct summary_set *set = &s->variant[v], *to = reference_of(s, set);
        json_t *j = json_object(), *rows = json_array(), *commands = json_array();
        put(j, "name", json_string(set->name));
        put(j, "reference", json_string(to == &s->set ? "" : to->name));
        put(j, "machine", machine(&set->unit[0]->machine, &to->unit[0]->machine));
        put(j, "fragment",
            json_pack("[I,I]", (json_int_t)to->unit[0]->fragment, (json_int_t)set->unit[0]->fragment));
        for (unsigned env = 0; env < EVAL_ENVS; env++) {
            for (unsigned thp = 0; thp < 2; thp++) {
                const char *name[RESULT_DESIGNS_MAX];
                size_t n = summary_designs(set, env, thp, name, RESULT_DESIGNS_MAX);
                for (size_t i = 0; i < n; i++) {
                    double mean_ref, ref, run_ref;
                    unsigned k, m;
                    double mean = summary_effect(s, set, SUMMARY_MEAN, env, thp, name[i], &mean_ref, &m);
                    double got = summary_effect(s, set, SUMMARY_SPEEDUP, env, thp, name[i], &ref, &k);
                    double run = summary_effect(s, set, SUMMARY_APP_CLOCKS, env, thp, name[i], &run_ref, &k);
                    const struct result_design *d = summary_design(set, env, thp, name[i]);
                    add(rows,
                        json_pack("{s:s,s:s,s:s,s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "environment", result_envs[env],
                                  "pages", result_pages(thp), "design", name[i], "title", d->title,
                                  "workloads", (int)m, "mean", num(mean), "mean_reference", num(mean_ref),
                                  "speedup", num(got), "speedup_reference", num(ref), "run", num(run),
                                  "run_reference", num(run_ref)));
                }
            }
        }
        put(j, "rows", rows);
        for (size_t i = 0; i < set->n; i++) {
            add(commands, json_string(set->unit[i]->command));
        }
        put(j, "commands", commands);
        add(all, j);
    }
    return all;
}

static json_t *paper_json(const char *const *workload, size_t workloads)
{
    json_t *j = json_object(), *over = json_array(), *f = json_object();

    put(j, "redis",
        json_pack("{s:o,s:o}", "4k", nums(paper_redis[0], EVAL_SLOTS), "thp",
                  nums(paper_redis[1], EVAL_SLOTS)));
    for (size_t i = 0; i < paper_table5_n; i++) {
        const struct paper_over *o = &paper_table5[i];
        add(over, json_pack("{s:s,s:s,s:f,s:f,s:f,s:f}", "environment", result_envs[o->env], "pages",
                            result_pages(o->thp), "fpt", o->fpt, "ecpt", o->ecpt, "agile", o->agile, "asap",
                            o->asap));
    }
    put(j, "table5", over);
    for (unsigned env = 0; env < EVAL_ENVS; env++) {
        for (unsigned thp = 0; thp < 2; thp++) {
            json_t *a = json_array();
            char key[16];
            for (size_t i = 0; i < workloads; i++) {
                int w = paper_workload(workload[i]);
                double v = w >= 0 ? paper_times[w].f[env][thp] : 0;
                add(a, num(v > 0 ? v : NAN));
            }
            snprintf(key, sizeof key, "%s.%s", result_envs[env], result_pages(thp));
            put(f, key, a);
        }
    }
    put(j, "f", f);
    put(j, "hypercall_us", nums(paper_hypercall, EVAL_ENVS));
    put(j, "tables_mb", nums(paper_tables, 2));
    put(j, "managing_ms", nums(paper_managing, EVAL_ENVS));
    put(j, "tea_mb_ms", nums(paper_tea_mb, EVAL_ENVS));
    return j;
}

bool summary_json(const struct summary *s, const char *command, FILE *to)
{
    const char *workload[WORKLOADS_MAX];
    size_t n = summary_workloads(&s->set, workload, WORKLOADS_MAX);
    json_t *j = json_object(), *names = json_array();

    for (size_t i = 0; i < n; i++) {
        add(names, json_string(workload[i]));
    }
    put(j, "version", json_string(dmt_version_text()));
    put(j, "others", whole(summary_others(s)));
    put(j, "directory", json_string(s->set.path));
    put(j, "command", json_string(command));
    put(j, "workloads", names);
    put(j, "machine", machine(&s->set.unit[0]->machine, NULL));
    put(j, "groups", groups(&s->set, workload, n));
    put(j, "headlines", headlines(s));
    put(j, "paper", paper_json(workload, n));
    put(j, "units", units(&s->set));
    put(j, "variants", variants(s));
    bool ok = json_dumpf(j, to, JSON_COMPACT) == 0 && fflush(to) == 0;
    json_decref(j);
    if (!ok) {
        say("cannot write the page's data: %s", strerror(errno));
    }
    return ok;
}

/* ---------------------------------------------------------------- terminal */

static void print_number(double v, int width)
{
    if (isnan(v)) {
        printf("%*s", width, "-");
    } else {
        printf("%*.3f", width, v);
    }
}

static void print_row(const struct summary_set *s, const char *title, enum summary_what what,
                      enum eval_env env, bool thp, const char *design, const char *const *workload, size_t n)
{
    unsigned means;

    printf("%-26.26s", title);
    for (size_t i = 0; i < n; i++) {
        print_number(summary_value(s, what, workload[i], env, thp, design), 10);
    }
    print_number(summary_geomean(s, what, SUMMARY_WHATS, env, thp, design, &means), 9);
    printf(means > 0 && means < PAPER_WORKLOADS ? " (of %u)\n" : "\n", means);
}

static void print_group(const struct summary_set *s, enum eval_env env, bool thp)
{
    const char *workload[WORKLOADS_MAX], *name[RESULT_DESIGNS_MAX];
    size_t n = summary_workloads(s, workload, WORKLOADS_MAX),
           designs = summary_designs(s, env, thp, name, COUNT(name));

    if (designs == 0) {
        return;
    }
    printf("\n%s, %s pages: page-walk speedup\n%-26s", result_envs[env], thp ? "transparent huge" : "4K", "");
    for (size_t i = 0; i < n; i++) {
        printf("%10.9s", workload[i]);
    }
    printf("  geomean\n");
    for (size_t i = 0; i < designs; i++) {
        const struct result_design *d = summary_design(s, env, thp, name[i]);
        char title[80];
        if (strcmp(d->base, d->name) == 0) {
            snprintf(title, sizeof title, "%s, clocks", d->title);
            print_row(s, title, SUMMARY_MEAN, env, thp, name[i], workload, n);
            continue;
        }
        print_row(s, d->title, SUMMARY_SPEEDUP, env, thp, name[i], workload, n);
        if (formula_exists(formula_find(name[i]), env)) {
            print_row(s, "  by formula", SUMMARY_FORMULA, env, thp, name[i], workload, n);
        }
        const struct paper_bars *a = paper_find(env, thp, false, name[i], false),
                                *b = paper_find(env, thp, false, name[i], true);
        if (a != NULL) {
            print_row(s, a == b ? "  paper" : "  paper, so labelled", SUMMARY_PAPER_LABEL, env, thp, name[i],
                      workload, n);
        }
        if (b != NULL && a != b) {
            print_row(s, "  paper, of this formula", SUMMARY_PAPER_FORMULA, env, thp, name[i], workload, n);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (summary_scarce(s, workload[i], env, thp)) {
            printf("not in means: %s, of fewer than %d walks\n", workload[i], SUMMARY_WALKS_LEAST);
        }
    }
}

static void print_percent(double factor)
{
    if (isnan(factor)) {
        printf("%10s", "-");
    } else {
        printf("%+9.1f%%", 100 * (factor - 1));
    }
}

void summary_print(const struct summary *s)
{
    uint64_t bad, walks = summary_replayed(s, &bad);
    unsigned n;

    for (unsigned env = 0; env < EVAL_ENVS; env++) {
        print_group(&s->set, env, false);
        print_group(&s->set, env, true);
    }
    printf("\nGeometric means beside the paper's, and what the difference is made of (factors)\n"
           "%-16s%-7s%8s%8s%9s%8s%10s%10s%10s%10s%10s%10s\n",
           "", "", "paper", "own", "formula", "of", "own/paper", "workloads", "walks", "pages", "state",
           "fallback");
    for (size_t i = 0; i < paper_headlines_n; i++) {
        const struct paper_headline *h = &paper_headlines[i];
        struct parts p = parts_of(&s->set, h);
        printf("%-7s%-9s%-7s%8.2f", result_envs[h->env], result_pages(h->thp), h->design, h->walk);
        print_number(p.own, 8);
        print_number(
            summary_geomean(&s->set, SUMMARY_PUBLISHED, SUMMARY_WHATS, h->env, h->thp, h->design, &n), 9);
        printf("%8u", p.n);
        print_percent(ratio(p.own, p.paper));
        print_percent(p.workloads);
        print_percent(p.walk);
        print_percent(p.pages);
        print_percent(p.state);
        print_percent(p.fallback);
        printf("\n");
    }
    printf("\n%zu units, %zu variants; %" PRIu64 " walks replayed into the RTL, %" PRIu64 " differ\n",
           s->set.n, s->variants, walks, bad);
    size_t others = summary_others(s);
    if (others > 0) {
        printf("%zu unit%s, variants' included, made by another program than this one (dmt sim makes them anew)\n",
               others, others == 1 ? " was" : "s were");
    }
}
