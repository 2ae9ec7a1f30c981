/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/formula.h"

#include <math.h>
#include <string.h>

const char *const formula_names[FORMULAS] = {"vanilla", "fpt", "ecpt", "asap", "agile", "dmt", "pvdmt"};

/* Constants of the published arithmetic that are no machine's. */
#define ECPT_NATIVE  2   /* walk cache and hash */
#define ECPT_VIRTUAL 12  /* the same in each of three steps */
#define NESTED       1.5 /* a third reference, as dear as the mean of the two */

enum formula formula_find(const char *design)
{
    unsigned f = 0;

    while (f < FORMULAS && strcmp(formula_names[f], design) != 0) {
        f++;
    }
    return (enum formula)f;
}

bool formula_exists(enum formula f, enum eval_env env)
{
    switch (env) {
    case EVAL_NATIVE:
        return f != FORMULA_AGILE && f != FORMULA_PVDMT && f < FORMULAS;
    case EVAL_VIRT:
        return f < FORMULAS;
    case EVAL_NESTED:
        return f == FORMULA_VANILLA || f == FORMULA_PVDMT;
    default:
        return false;
    }
}

/* One dimension of a walk: clocks of its levels (4..1 at [0]..[3]) and the level of its leaf. */
struct row {
    const double *clocks;
    unsigned leaf;
};

static double at(const struct row *r, unsigned level)
{
    return level < r->leaf ? 0 : r->clocks[4 - level];
}

static double all(const struct row *r)
{
    return at(r, 4) + at(r, 3) + at(r, 2) + at(r, 1);
}

/* Two levels are one node, counted from the leaf. */
static bool flat(const struct row *r, unsigned level)
{
    return level >= r->leaf && (level - r->leaf) % 2 == 0;
}

static double fpt(const struct row *r)
{
    double sum = 0;

    for (unsigned l = 1; l <= 4; l++) {
        sum += flat(r, l) ? at(r, l) : 0;
    }
    return sum;
}

/* The two deepest levels are prefetched while the upper ones are walked. */
static double asap(const double clocks[4])
{
    return fmax(clocks[0] + clocks[1], fmax(clocks[2], clocks[3]));
}

static double asap_row(const struct row *r)
{
    double c[4] = {at(r, 4), at(r, 3), at(r, 2), at(r, 1)};

    return asap(c);
}

/* A walk: guest (or the only) dimension; host walks of the guest's entries (by guest level, 4..1 at
 * [0]..[3]); of the data. */
struct walk {
    struct row guest, host[4], data;
};

static double native(enum formula f, const struct row *r)
{
    switch (f) {
    case FORMULA_VANILLA:
        return all(r);
    case FORMULA_FPT:
        return fpt(r);
    case FORMULA_ECPT:
        return at(r, r->leaf) + ECPT_NATIVE;
    case FORMULA_ASAP:
        return asap_row(r);
    case FORMULA_DMT:
        return at(r, r->leaf);
    default:
        return NAN;
    }
}

static double virtual(enum formula f, const struct walk *w)
{
    const struct row *g = &w->guest, *last = &w->host[4 - g->leaf];
    double leaf = at(g, g->leaf), data = at(&w->data, w->data.leaf), sum = 0, step[4];

    switch (f) {
    case FORMULA_VANILLA:
        for (unsigned l = 4; l >= g->leaf; l--) {
            sum += all(&w->host[4 - l]) + at(g, l);
        }
        return sum + all(&w->data);
    case FORMULA_FPT:
        for (unsigned l = 4; l >= g->leaf; l--) {
            sum += flat(g, l) ? fpt(&w->host[4 - l]) + at(g, l) : 0;
        }
        return sum + fpt(&w->data);
    case FORMULA_ECPT:
        return at(last, last->leaf) + leaf + data + ECPT_VIRTUAL;
    case FORMULA_ASAP:
        for (unsigned l = 4; l >= 1; l--) {
            step[4 - l] = l >= g->leaf ? asap_row(&w->host[4 - l]) + at(g, l) : 0;
        }
        return asap(step) + asap_row(&w->data);
    case FORMULA_AGILE:
        return all(g) + all(&w->data);
    case FORMULA_DMT:
        return at(last, last->leaf) + leaf + data;
    case FORMULA_PVDMT:
        return leaf + data;
    default:
        return NAN;
    }
}

static double clocks_of(enum formula f, enum eval_env env, const struct walk *w)
{
    if (!formula_exists(f, env)) {
        return NAN;
    }
    if (env == EVAL_NATIVE) {
        return native(f, &w->guest);
    }
    return env == EVAL_NESTED && f == FORMULA_PVDMT ? NESTED * virtual(f, w) : virtual(f, w);
}

/* The deepest level that served anything. A dimension that was skipped has none and costs nothing whatever is
 * said. */
static unsigned deepest(const unsigned level[4])
{
    unsigned leaf = 4;

    for (unsigned i = 0; i < 4; i++) {
        leaf = level[i] != EVAL_NONE ? 4 - i : leaf;
    }
    return leaf;
}

double formula_line(enum formula f, enum eval_env env, const struct eval_config *c, enum formula_leaf how,
                    const uint64_t key[2])
{
    const double clocks[EVAL_MEM + 1] = {
        [EVAL_PWC] = c->pwc_clocks, [EVAL_L1] = c->d1_clocks,   [EVAL_L2] = c->d2_clocks,
        [EVAL_LLC] = c->d3_clocks,  [EVAL_MEM] = c->mem_clocks,
    };
    double slot[6][4]; /* host walks of guest levels 4..1, of the data, the guest's own */
    struct row row[6];

    for (unsigned r = 0; r < 6; r++) {
        unsigned level[4];
        for (unsigned i = 0; i < 4; i++) {
            unsigned s = env == EVAL_NATIVE ? i : r == 5 ? 5 * i + 4 : 5 * r + i;
            level[i] = env == EVAL_NATIVE && r < 5 ? EVAL_NONE : result_slot(key, s);
            if (level[i] > EVAL_MEM) {
                return NAN;
            }
            slot[r][i] = clocks[level[i]];
        }
        unsigned leaf = deepest(level);
        row[r] = (struct row){slot[r], how == FORMULA_DROPPED && leaf == 1 ? 2 : leaf};
    }
    struct walk w = {.guest = row[5], .host = {row[0], row[1], row[2], row[3]}, .data = row[4]};
    return clocks_of(f, env, &w);
}

double formula_histogram(enum formula f, enum eval_env env, const struct eval_config *c,
                         enum formula_leaf leaf, const struct result_line *line, size_t n)
{
    double sum = 0, walks = 0;

    for (size_t i = 0; i < n; i++) {
        sum += formula_line(f, env, c, leaf, line[i].key) * (double)line[i].count;
        walks += (double)line[i].count;
    }
    return walks > 0 ? sum / walks : NAN;
}

double formula_means(enum formula f, enum eval_env env, const double slot[EVAL_SLOTS], unsigned guest,
                     unsigned host)
{
    double own[4];

    if (env == EVAL_NATIVE) {
        return clocks_of(f, env, &(struct walk){.guest = {slot, guest}});
    }
    for (unsigned i = 0; i < 4; i++) {
        own[i] = slot[5 * i + 4];
    }
    return clocks_of(
        f, env,
        &(struct walk){.guest = {own, guest},
                       .host = {{slot, host}, {slot + 5, host}, {slot + 10, host}, {slot + 15, host}},
                       .data = {slot + 20, host}});
}

double formula_app(double f, double s)
{
    return 1 / ((1 - f) + f / s);
}
