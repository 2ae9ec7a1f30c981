/* SPDX-License-Identifier: Apache-2.0
 * Translations that something else than this project has made: oracle.csv of
 * a captured system. */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "dmt/arch.h"
#include <stddef.h>

/** One translation. */
struct oracle_row {
    struct dmt_request request;
    enum {
        ORACLE_OK,
        ORACLE_FAULT /**< of the entering stage */,
        ORACLE_SECOND /**< of a second stage */
    } outcome;
    uint64_t pa;    /**< OK: hPA */
    uint64_t gpa;   /**< guest-physical address of OK and SECOND, when has_gpa */
    uint64_t error; /**< FAULT: page-fault error code, when has_error */
    bool has_gpa, has_error;
};

/** Read a file with the columns gva,pa (hex address or "fault"; user reads) or
 * gva,access,outcome,gpa,hpa,error_code (supervisor accesses r or w; outcome
 * ok, guest_pf or npf). NULL after saying why; *n rows otherwise, the caller's to free. */
struct oracle_row *oracle_read(const char *path, size_t *n);

/** Is this answer what the row says? */
bool oracle_agrees(const struct oracle_row *row, const struct dmt_result *result);

#endif
