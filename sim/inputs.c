/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"

#include "io.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t option_number(const char *text, uint64_t max, const char *option, struct argp_state *a)
{
    uint64_t v = 0;

    if (!parse_decimal(text, max, &v)) {
        argp_error(a, "--%s: '%s' is not a decimal number up to %" PRIu64, option, text, max);
    }
    return v;
}

const char *option_fst(const char *text, const char *option, struct argp_state *a)
{
    size_t n = strlen(text);

    if (n < 5 || strcmp(text + n - 4, ".fst") != 0) {
        argp_error(a, "--%s: '%s' does not end in .fst", option, text);
    }
    return text;
}

const struct dut_ops *option_config(const char *name)
{
    const struct dut_ops *found = dut_rtl_find(name);
    char names[512] = "";
    size_t n = 0;

    for (size_t i = 0; found == NULL && dut_rtl[i] != NULL && n < sizeof names; i++) {
        n += (size_t)snprintf(names + n, sizeof names - n, " %s", dut_rtl[i]->name + strlen("rtl-"));
    }
    if (found == NULL) {
        say("--config: '%s' is not one of%s", name, names);
    }
    return found;
}

char *help_lists(char *text)
{
    enum { COLUMNS = 77 }; /* argp breaks what is longer */
    char *whole = NULL;
    size_t size;
    FILE *f = open_memstream(&whole, &size);

    if (f == NULL) {
        return text;
    }
    for (const char *line = text, *end; *line != '\0'; line = *end != '\0' ? end + 1 : end) {
        size_t name = strspn(line, " "), column = name + strcspn(line + name, " \n"), indent = 0;

        column += strspn(line + column, " ");
        end = line + strcspn(line, "\n");
        while (name == 2 && indent + (size_t)(end - line) > COLUMNS) {
            size_t at = COLUMNS - indent, first = indent > 0 ? 0 : column;
            while (at > first && line[at] != ' ') {
                at--;
            }
            if (at == first) { /* one long word */
                break;
            }
            fprintf(f, "%*s%.*s\n", (int)indent, "", (int)at, line);
            line += at + 1;
            indent = column;
        }
        fprintf(f, "%*s%.*s%s", (int)indent, "", (int)(end - line), line, *end != '\0' ? "\n" : "");
    }
    fclose(f);
    free(text);
    return whole;
}

/* ---------------------------------------------------------------- options */

error_t inputs_option(struct inputs *in, int key, char *arg, struct argp_state *a)
{
    switch (key) {
    case 's':
    case INPUT_STATE:
        in->state = arg;
        break;
    case 'm':
        in->memory = arg;
        break;
    case 'b':
        in->how.raw = true;
        if (!parse_hex(arg, (UINT64_C(1) << 52) - 1, &in->how.base) || (in->how.base & 0xfff) != 0) {
            argp_error(a, "--base: '%s' is not a hex multiple of 1000 below 2^52", arg);
        }
        break;
    case 'r':
        in->requests = arg;
        break;
    case 't':
        in->trace = arg;
        break;
    case INPUT_LIMIT:
        in->limit = option_number(arg, UINT64_MAX, "limit", a);
        break;
    case INPUT_NO_TLB:
        in->no_tlb = true;
        break;
    case INPUT_NO_REGISTERS:
        in->no_registers = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

bool inputs_replay(const struct inputs *in, struct argp_state *a)
{
    bool replay = in->trace != NULL || in->requests != NULL;

    if (replay != (in->state != NULL) || replay != (in->memory != NULL)) {
        argp_error(a, "a replay needs --state, --memory and one of --requests and --trace");
    }
    if (in->trace != NULL && in->requests != NULL) {
        argp_error(a, "give --requests or --trace, not both");
    }
    if (in->trace == NULL && (in->no_tlb || in->limit > 0)) {
        argp_error(a, "--no-tlb and --limit belong to --trace");
    }
    if (!replay && in->no_registers) {
        argp_error(a, "--no-registers belongs to a replay");
    }
    return replay;
}

/* ---------------------------------------------------------------- files */

bool inputs_read(const struct inputs *in, bool resolve, struct inputs_data *d)
{
    memset(d, 0, sizeof *d);
    if (!state_read(in->state, &d->state)) {
        return false;
    }
    if (in->no_registers) {
        memset(d->state.dmt.tea, 0, sizeof d->state.dmt.tea);
    }
    d->mem = memory_read(in->memory, &in->how, NULL);
    if (d->mem == NULL) {
        return false;
    }
    d->resolved = d->state.dmt;
    state_resolve(&d->resolved, d->mem);
    if (resolve) {
        d->state.dmt = d->resolved;
    }
    if (in->trace != NULL) {
        d->replay = replay_trace(in->trace, &d->resolved, d->mem, !in->no_tlb, in->limit, &d->tlb);
    } else {
        d->requests = in->requests != NULL ? requests_read(in->requests, &d->state, d->mem)
                                           : requests_list(in->address, in->addresses, &d->state);
        d->replay = d->requests != NULL ? replay_requests(d->requests, &d->state.dmt, d->mem) : NULL;
    }
    return d->replay != NULL;
}

void inputs_free(struct inputs_data *d)
{
    replay_free(d->replay);
    requests_free(d->requests);
    dmt_mem_free(d->mem);
}
