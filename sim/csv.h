/* SPDX-License-Identifier: Apache-2.0
 * Requests and results as CSV. */
#ifndef SIM_CSV_H
#define SIM_CSV_H

#include "dmt/mem.h"
#include "io.h"
#include "state.h"

/** A 64-bit store. */
struct store {
    uint64_t addr, value;
};

/** One line of a requests file. */
struct request_line {
    struct dmt_request rq;
    const struct full_state *state; /**< with this line's overrides */
    bool overrides;                 /**< state differs from the file's */
    struct store *poke;             /**< stores made before it */
    size_t poke_n;
    uint64_t number; /**< line in the file, from 1 */
};

struct requests;

/** Read and check a whole file ("-": standard input). state: registers for
 * lines without overrides, kept by reference. mem: when not NULL, pokes must
 * fall into its frames. NULL after saying what is wrong and in which line. */
struct requests *requests_read(const char *path, const struct full_state *state, const struct dmt_mem *mem);
/** The same from addresses given on the command line: reads, with user rights
 * for the lower half of the address space and supervisor rights for the upper. */
struct requests *requests_list(char **address, size_t n, const struct full_state *state);
void requests_free(struct requests *r);
size_t requests_count(const struct requests *r);
/** Line i (from 0); valid until the next call. */
const struct request_line *requests_get(struct requests *r, size_t i);

/** Header of a results file. */
extern const char results_header[];

/** One line of a results file. cycles < 0: not known. */
void results_put(struct out *out, const struct dmt_request *rq, const struct dmt_state *state,
                 const struct dmt_result *result, const struct store *ad, size_t ad_n, int64_t cycles);

/** Name of a status as results have it ("ok", "pf", ..). */
const char *status_name(unsigned status);

#endif
