/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include "dmt/regs.h"
#include "io.h"
#include <stdlib.h>
#include <string.h>

#define NESTED_HEADER "gva,access,outcome,gpa,hpa,error_code"

/* Split in place; false when there are not n fields. */
static bool fields(char *line, char **field, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        field[i] = line;
        char *comma = strchr(line, ',');
        if ((comma == NULL) != (i + 1 == n)) {
            return false;
        }
        if (comma != NULL) {
            *comma = '\0';
            line = comma + 1;
        }
    }
    return true;
}

static bool monitor_row(char *line, struct oracle_row *row)
{
    char *f[2];

    if (!fields(line, f, 2) || !parse_hex(f[0], UINT64_MAX, &row->request.va)) {
        return false;
    }
    row->request.cpl = 3;
    if (strcmp(f[1], "fault") == 0) {
        row->outcome = ORACLE_FAULT;
        return true;
    }
    return parse_hex(f[1], UINT64_MAX, &row->pa);
}

static bool nested_row(char *line, struct oracle_row *row)
{
    char *f[6];

    if (!fields(line, f, 6) || !parse_hex(f[0], UINT64_MAX, &row->request.va) ||
        (strcmp(f[1], "r") != 0 && strcmp(f[1], "w") != 0)) {
        return false;
    }
    row->request.access = f[1][0] == 'w' ? DMT_ACCESS_WRITE : DMT_ACCESS_READ;
    row->has_gpa = f[3][0] != '\0';
    if (row->has_gpa && !parse_hex(f[3], UINT64_MAX, &row->gpa)) {
        return false;
    }
    if (strcmp(f[2], "ok") == 0) {
        return parse_hex(f[4], UINT64_MAX, &row->pa);
    }
    if (strcmp(f[2], "guest_pf") == 0) {
        row->outcome = ORACLE_FAULT;
        row->has_error = true;
        return parse_hex(f[5], UINT64_MAX, &row->error);
    }
    row->outcome = ORACLE_SECOND;
    return strcmp(f[2], "npf") == 0;
}

struct oracle_row *oracle_read(const char *path, size_t *n)
{
    struct in *in = in_open(path);
    struct oracle_row *rows = NULL;
    size_t room = 0;
    bool ok = in != NULL, nested = false;
    char *line;

    *n = 0;
    while (ok && (ok = in_line(in, &line)) && line != NULL) {
        if (in_line_number(in) == 1) {
            nested = strcmp(line, NESTED_HEADER) == 0;
            continue;
        }
        if (*n + 1 >= room) {
            room = room == 0 ? 1024 : room * 2;
            rows = realloc(rows, room * sizeof *rows);
            if (rows == NULL) {
                say("out of memory");
                exit(EXIT_BAD_INPUT);
            }
        }
        rows[*n] = (struct oracle_row){.request = {.access = DMT_ACCESS_READ, .nonspec = true}};
        ok = (nested ? nested_row : monitor_row)(line, &rows[*n]);
        if (!ok) {
            in_say(in, "expected %s", nested ? NESTED_HEADER : "gva,pa or gva,fault");
        }
        ++*n;
    }
    if (in != NULL) {
        in_close(in);
    }
    if (!ok) {
        free(rows);
        return NULL;
    }
    return rows != NULL ? rows : calloc(1, sizeof *rows);
}

bool oracle_agrees(const struct oracle_row *row, const struct dmt_result *r)
{
    switch (row->outcome) {
    case ORACLE_OK:
        return r->status == DMT_STATUS_OK && r->pa == row->pa && (!row->has_gpa || r->addr == row->gpa);
    case ORACLE_FAULT:
        return (r->status == DMT_STATUS_PF && (!row->has_error || r->error == row->error)) ||
               (r->status == DMT_STATUS_GP && !row->has_error);
    default:
        return (r->status == DMT_STATUS_NPT_FAULT || r->status == DMT_STATUS_EPT_VIOLATION ||
                r->status == DMT_STATUS_EPT_MISCONFIG) &&
               (!row->has_gpa || r->addr == row->gpa);
    }
}
