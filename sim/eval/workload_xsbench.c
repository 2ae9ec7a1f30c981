/* SPDX-License-Identifier: Apache-2.0
 * XSBench 18 (ANL), the large Hoogenboom-Martin reactor, unionized grid: a
 * random energy and material; binary search over the energies of all isotopes;
 * then, for each nuclide of the material, the index of that energy in the
 * nuclide's own grid, and the two grid points around it. */
#include "eval/generator.h"
#include <math.h>

#define ISOTOPES  355
#define POINTS    170000.0 /* grid points an isotope */
#define MATERIALS 12
#define MOST      321 /* nuclides of fuel */
#define GRID      16  /* struct GridPoint: energy, pointer to its row of indices */
#define POINT     48  /* struct NuclideGridPoint: energy, five cross sections */

static const uint16_t nuclides[MATERIALS] = {MOST, 5, 4, 4, 27, 21, 21, 21, 21, 21, 9, 9};
/* Per mille of volume; they add up to 1001, and fuel gets what the others leave. */
static const uint16_t share[MATERIALS] = {140, 52, 275, 134, 154, 64, 66, 55, 8, 15, 25, 13};
/* Fuel: these, then 68, 69, ..; others: isotopes below 68, by material. */
static const uint16_t fuel[34] = {58, 59, 60, 61, 40, 42, 43, 44, 45, 46, 1,  2,  3,  7,  8,  9,  10,
                                  29, 57, 47, 48, 0,  62, 15, 33, 34, 52, 53, 54, 55, 56, 18, 23, 41};
static const uint16_t cladding[5] = {63, 64, 65, 66, 67};
static const uint16_t vessel[27] = {19, 20, 21, 22, 35, 36, 37, 38, 39, 25, 27, 28, 29, 30,
                                    31, 32, 26, 49, 50, 51, 11, 12, 13, 14, 6,  16, 17};
static const uint16_t reflector[21] = {24, 41, 4,  5,  19, 20, 21, 22, 35, 36, 37,
                                       38, 39, 25, 49, 50, 51, 11, 12, 13, 14};
static const uint16_t assembly[9] = {24, 41, 4, 5, 63, 64, 65, 66, 67};

struct xsbench {
    struct gen g;
    uint64_t points, n;                  /* of an isotope, of all */
    uint64_t grid, index, nuclide, rows; /* arrays */
    uint64_t lists;                      /* mats, concs: on the heap */
    double spread;                       /* of an isotope's points around their mean place, in the middle */
    uint16_t isotope[MATERIALS][MOST];
    uint64_t at;             /* place of this energy in the grid */
    unsigned material, next; /* next nuclide of it */
    uint16_t width[256];     /* of that spread along the grid, 65535 in the middle */
};

static struct eval_access *search(struct xsbench *w, struct eval_access *p)
{
    uint64_t random = gen_random(&w->g), low = 0, high = w->n - 1;
    unsigned roll = (unsigned)below(gen_random(&w->g), 1000), m = 1, running = share[1];

    w->at = below(random, w->n - 1);
    while (m < MATERIALS && roll >= running) {
        running += ++m < MATERIALS ? share[m] : 0;
    }
    w->material = m == MATERIALS ? 0 : m;
    w->next = 0;
    FETCH(w->g.code);
    READ(w->g.stack + 0x100); /* seed */
    WRITE(w->g.stack + 0x100);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        READ_AFTER(w->grid + GRID * middle);
        if (middle > w->at) {
            high = middle;
        } else {
            low = middle;
        }
    }
    READ(w->lists + 4 * w->material); /* number of nuclides */
    return p;
}

/* Where the energy at `at` lies among an isotope's own: each has as many points, uniformly random, so up to
 * there it has its share give or take what a Brownian bridge is wide. The same for energies close together.
 */
static uint64_t place(const struct xsbench *w, unsigned isotope)
{
    uint64_t even = w->at / ISOTOPES, bits = mix((w->at >> 12) * 512 + isotope + w->g.w.seed);
    /* Sum of four bytes: mean 510, deviation 147.8 */
    int sum = (int)((bits & 0xff) + (bits >> 8 & 0xff) + (bits >> 16 & 0xff) + (bits >> 24 & 0xff)) - 510;
    double off = sum * w->spread * w->width[(uint64_t)((double)w->at * 256 / (double)w->n)] / 65535;
    double to = (double)even + off;

    return to < 0 ? 0 : to > (double)(w->points - 2) ? w->points - 2 : (uint64_t)to;
}

static struct eval_access *nuclide(struct xsbench *w, struct eval_access *p)
{
    unsigned m = w->material, j = w->next++, isotope = w->isotope[m][j];
    uint64_t low = w->nuclide + POINT * (isotope * w->points + place(w, isotope));

    READ(w->lists + 0x100 + 1304 * m + 4 * j);  /* mats[mat][j] */
    READ(w->lists + 0x8000 + 2600 * m + 8 * j); /* concs[mat][j] */
    READ(w->grid + GRID * w->at + 8);           /* row of indices */
    READ_AFTER(w->index + 4 * (ISOTOPES * w->at + isotope));
    READ(w->rows + 8 * isotope);
    for (unsigned i = 0; i < 6; i++) { /* energy first: the factor of the interpolation */
        p = gen_put(p, low + POINT + 8 * i, DMT_ACCESS_READ, i == 0);
        READ(low + 8 * i);
    }
    return p;
}

static struct eval_access *xsbench_op(struct gen *g, struct eval_access *p)
{
    struct xsbench *w = (struct xsbench *)g;

    return w->next == nuclides[w->material] ? search(w, p) : nuclide(w, p);
}

static void xsbench_start(struct gen *g)
{
    struct xsbench *w = (struct xsbench *)g;

    w->material = 1;
    w->next = nuclides[1];
}

struct workload *xsbench_new(const struct workload_kind *kind, double scale, uint64_t seed)
{
    static const uint16_t *const list[MATERIALS] = {fuel,      cladding,  assembly,  assembly,
                                                    vessel,    reflector, reflector, reflector,
                                                    reflector, reflector, assembly,  assembly};
    struct xsbench *w = gen_new(kind, scale, seed, sizeof *w, xsbench_op, xsbench_start, NULL);

    if (w == NULL) {
        return NULL;
    }
    w->points = gen_scaled(POINTS, scale, 8);
    w->n = ISOTOPES * w->points;
    w->spread = sqrt((double)w->points) / 2 / 147.8;
    for (unsigned i = 0; i < 256; i++) {
        double x = (i + 0.5) / 256;
        w->width[i] = (uint16_t)(65535 * 2 * sqrt(x * (1 - x)));
    }
    for (unsigned m = 0; m < MATERIALS; m++) {
        for (unsigned j = 0; j < nuclides[m]; j++) {
            w->isotope[m][j] = m == 0 && j >= 34 ? (uint16_t)(68 + j - 34) : list[m][j];
        }
    }
    /* Got by mmap one after the other, so one area: nuclides' grids, then energies, then indices. */
    uint64_t nuclide = (w->n * POINT + 4 * KIB) & ~UINT64_C(0xfff),
             grid = (w->n * GRID + 4 * KIB) & ~UINT64_C(0xfff);
    uint64_t index = (w->n * ISOTOPES * 4 + 4 * KIB) & ~UINT64_C(0xfff);
    w->index = layout_mmap(&w->g, "grids", index + grid + nuclide) + MALLOC_HEADER;
    w->grid = w->index + index;
    w->nuclide = w->grid + grid;
    w->rows = layout_heap(&w->g, 132 * KIB) + 0x2a0;
    w->lists = w->rows + 4 * KIB;
    layout_finish(&w->g, 111);
    return &w->g.w;
}
