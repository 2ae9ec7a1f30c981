/* SPDX-License-Identifier: Apache-2.0 */
#include "csv.h"

#include "dmt/regs.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 64u

enum column { C_VA, C_ACCESS, C_CPL, C_AC, C_IMPLICIT, C_NONSPEC, C_POKE, C_KNOWN, C_STATE = C_KNOWN };

static const char *const known[C_KNOWN] = {"va", "access", "cpl", "ac", "implicit", "nonspec", "poke"};

struct requests {
    char *name;
    const struct full_state *base;
    enum column column[COLUMNS];
    char *key[COLUMNS]; /* C_STATE: the state file's key */
    unsigned columns;
    char **text; /* lines */
    uint64_t *number;
    size_t n, room;
    struct request_line line;
    struct full_state state; /* of the current line */
};

static void add_line(struct requests *r, const char *text, uint64_t number)
{
    if (r->n == r->room) {
        r->room = r->room == 0 ? 1024 : r->room * 2;
        r->text = need(realloc(r->text, r->room * sizeof *r->text));
        r->number = need(realloc(r->number, r->room * sizeof *r->number));
    }
    r->text[r->n] = need(strdup(text));
    r->number[r->n++] = number;
}

/* Split at commas in place, blanks around fields dropped. Fields beyond max are counted only. */
static unsigned split(char *text, char **field, unsigned max)
{
    unsigned n = 0;

    for (char *p = text;; n++) {
        char *end = strchr(p, ',');
        char *stop = end != NULL ? end : p + strlen(p);
        while (isspace((unsigned char)*p) && p < stop) {
            p++;
        }
        while (stop > p && isspace((unsigned char)stop[-1])) {
            stop--;
        }
        *stop = '\0';
        if (n < max) {
            field[n] = p;
        }
        if (end == NULL) {
            return n + 1;
        }
        p = end + 1;
    }
}

static bool header(struct requests *r, const struct in *in, char *text)
{
    char *field[COLUMNS];
    unsigned n = split(text, field, COLUMNS), seen = 0;

    if (n > COLUMNS) {
        in_say(in, "%u columns, at most %u", n, COLUMNS);
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned c = 0;
        while (c < C_KNOWN && strcmp(field[i], known[c]) != 0) {
            c++;
        }
        if (c == C_STATE && !state_key(field[i])) {
            in_say(
                in,
                "unknown column '%.40s', expected va, access, cpl, ac, implicit, nonspec, poke or a key of "
                "state files",
                field[i]);
            return false;
        }
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(field[i], r->column[k] == C_STATE ? r->key[k] : known[r->column[k]]) == 0) {
                in_say(in, "column '%.40s' appears twice", field[i]);
                return false;
            }
        }
        r->column[i] = (enum column)c;
        r->key[i] = need(strdup(field[i]));
        r->columns = i + 1;
        seen |= 1u << c;
    }
    for (unsigned c = C_VA; c <= C_CPL; c++) {
        if ((seen & 1u << c) == 0) {
            in_say(in, "column '%s' is missing (the first line must be a header with va,access,cpl)",
                   known[c]);
            return false;
        }
    }
    return true;
}

static char why[320];

#define WRONG(...) (snprintf(why, sizeof why, __VA_ARGS__), why)

static const char *flag(const char *name, const char *text, bool fallback, bool *to)
{
    uint64_t v = fallback;

    if (*text != '\0' && !parse_decimal(text, 1, &v)) {
        return WRONG("%s: '%.40s' is not 0 or 1", name, text);
    }
    *to = v != 0;
    return NULL;
}

static const char *pokes(struct request_line *l, char *text, const struct dmt_mem *mem)
{
    char *save = NULL;

    for (char *p = strtok_r(text, ";", &save); p != NULL; p = strtok_r(NULL, ";", &save)) {
        char *value = strchr(p, '=');
        struct store s;
        if (value == NULL) {
            return WRONG("poke: '%.40s' is not addr=value", p);
        }
        *value++ = '\0';
        if (!parse_hex(p, (UINT64_C(1) << 52) - 1, &s.addr) || (s.addr & 7) != 0) {
            return WRONG("poke: address '%.40s' is not a hex multiple of 8 below 2^52", p);
        }
        if (!parse_hex(value, UINT64_MAX, &s.value)) {
            return WRONG("poke: value '%.40s' is not a 64-bit hex number", value);
        }
        if (mem != NULL && dmt_mem_frame(mem, s.addr >> 12) == NULL) {
            return WRONG("poke: address 0x%llx is not in the memory file", (unsigned long long)s.addr);
        }
        l->poke = need(realloc(l->poke, (l->poke_n + 1) * sizeof *l->poke));
        l->poke[l->poke_n++] = s;
    }
    return NULL;
}

static const char *known_field(struct request_line *l, enum column c, char *text, const struct dmt_mem *mem)
{
    uint64_t v;

    switch (c) {
    case C_VA:
        return parse_hex(text, UINT64_MAX, &l->rq.va) ? NULL
                                                      : WRONG("va: '%.40s' is not a 64-bit hex number", text);
    case C_ACCESS:
        if (text[0] == '\0' || text[1] != '\0' || strchr("rwx", text[0]) == NULL) {
            return WRONG("access: '%.40s' is not r, w or x", text);
        }
        l->rq.access = text[0] == 'r'   ? DMT_ACCESS_READ
                       : text[0] == 'w' ? DMT_ACCESS_WRITE
                                        : DMT_ACCESS_EXECUTE;
        return NULL;
    case C_CPL:
        if (!parse_decimal(text, 3, &v)) {
            return WRONG("cpl: '%.40s' is not 0 to 3", text);
        }
        l->rq.cpl = (uint8_t)v;
        return NULL;
    case C_AC:
        return flag("ac", text, false, &l->rq.ac);
    case C_IMPLICIT:
        return flag("implicit", text, false, &l->rq.implicit);
    case C_NONSPEC:
        return flag("nonspec", text, true, &l->rq.nonspec);
    default:
        return pokes(l, text, mem);
    }
}

/* Parse line i into r->line. NULL, or what is wrong. */
static const char *parse_line(struct requests *r, size_t i, const struct dmt_mem *mem)
{
    struct request_line *l = &r->line;
    char *field[COLUMNS], *copy = need(strdup(r->text[i]));
    unsigned n = split(copy, field, COLUMNS);
    const char *bad = NULL;

    l->rq = (struct dmt_request){.nonspec = true};
    l->poke_n = 0;
    l->overrides = false;
    l->state = r->base;
    l->number = r->number[i];
    if (n != r->columns) {
        bad = WRONG("%u fields, the header has %u columns", n, r->columns);
    }
    for (unsigned c = 0; bad == NULL && c < n; c++) {
        if (r->column[c] != C_STATE) {
            bad = known_field(l, r->column[c], field[c], mem);
        } else if (field[c][0] != '\0') {
            if (!l->overrides) {
                r->state = *r->base;
                l->state = &r->state;
                l->overrides = true;
            }
            bad = state_set(&r->state, r->key[c], field[c]);
        }
    }
    if (bad == NULL && l->overrides) {
        bad = state_check(&r->state);
    }
    free(copy);
    return bad;
}

struct requests *requests_read(const char *path, const struct full_state *state, const struct dmt_mem *mem)
{
    struct in *in = in_open(path);
    char *line;
    bool ok = true, some = false;

    if (in == NULL) {
        return NULL;
    }
    struct requests *r = need(calloc(1, sizeof *r));
    r->base = state;
    r->name = need(strdup(in_name(in)));
    while (ok && (ok = in_line(in, &line)) && line != NULL) {
        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }
        if (!some) {
            some = true;
            ok = header(r, in, line);
            continue;
        }
        add_line(r, line, in_line_number(in));
        const char *bad = parse_line(r, r->n - 1, mem);
        if (bad != NULL) {
            in_say(in, "%s", bad);
            ok = false;
        }
    }
    if (ok && !some) {
        in_say(in, "the file is empty, expected a header with va,access,cpl");
        ok = false;
    }
    in_close(in);
    if (!ok) {
        requests_free(r);
        return NULL;
    }
    return r;
}

struct requests *requests_list(char **address, size_t n, const struct full_state *state)
{
    struct requests *r = need(calloc(1, sizeof *r));

    r->base = state;
    r->name = need(strdup("(command line)"));
    r->columns = 3;
    for (unsigned c = 0; c < 3; c++) {
        r->column[c] = (enum column)c;
        r->key[c] = need(strdup(known[c]));
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t va;
        char text[32];
        if (!parse_hex(address[i], UINT64_MAX, &va)) {
            say("'%.40s' is not a 64-bit hex address", address[i]);
            requests_free(r);
            return NULL;
        }
        snprintf(text, sizeof text, "%llx,r,%c", (unsigned long long)va, va >> 63 != 0 ? '0' : '3');
        add_line(r, text, i + 1);
    }
    return r;
}

void requests_free(struct requests *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        free(r->text[i]);
    }
    for (unsigned i = 0; i < r->columns; i++) {
        free(r->key[i]);
    }
    free(r->text);
    free(r->number);
    free(r->line.poke);
    free(r->name);
    free(r);
}

size_t requests_count(const struct requests *r)
{
    return r->n;
}

const struct request_line *requests_get(struct requests *r, size_t i)
{
    parse_line(r, i, NULL); /* checked when it was read */
    return &r->line;
}

/* ---------------------------------------------------------------- results */

const char results_header[] =
    "va,access,cpl,status,pa,page,error,stage,gpa,path,refs,reads,ad_writes,cycles\n";

const char *status_name(unsigned status)
{
    switch (status) {
    case DMT_STATUS_OK:
        return "ok";
    case DMT_STATUS_GP:
        return "gp";
    case DMT_STATUS_PF:
        return "pf";
    case DMT_STATUS_EPT_VIOLATION:
        return "ept_violation";
    case DMT_STATUS_EPT_MISCONFIG:
        return "ept_misconfig";
    case DMT_STATUS_NPT_FAULT:
        return "npt_fault";
    case DMT_STATUS_GTEA:
        return "gtea";
    case DMT_STATUS_BUS:
        return "bus";
    case DMT_STATUS_RETRY:
        return "retry";
    default:
        return "?";
    }
}

/* Path of each stage, entering stage first: tea:N, radix, restart, or - . */
static void put_path(struct out *out, const struct dmt_state *state, const struct dmt_result *r)
{
    for (unsigned k = state_entry(state) + 1; k-- > 0;) {
        const char *end = k > 0 ? "/" : "";
        switch (r->path[k]) {
        case DMT_PATH_TEA:
            out_printf(out, "tea:%u%s", r->index[k], end);
            break;
        case DMT_PATH_RADIX:
            out_printf(out, "radix%s", end);
            break;
        case DMT_PATH_RESTART:
            out_printf(out, "restart%s", end);
            break;
        default:
            out_printf(out, "-%s", end);
        }
    }
}

void results_put(struct out *out, const struct dmt_request *rq, const struct dmt_state *state,
                 const struct dmt_result *r, const struct store *ad, size_t ad_n, int64_t cycles)
{
    static const char *const page[] = {"4k", "2m", "1g"};
    bool ok = r->status == DMT_STATUS_OK, bus = r->status == DMT_STATUS_BUS;
    bool fault = !ok && r->status != DMT_STATUS_GP && r->status != DMT_STATUS_RETRY;
    unsigned entry = state_entry(state);
    /* What the entering stage yielded, or what a stage below could not translate. */
    bool gpa = ok ? entry > 0 : fault && !bus && r->stage < entry;

    out_printf(out, "0x%llx,%c,%u,%s,", (unsigned long long)rq->va, "rwx"[rq->access], rq -> cpl,
               status_name(r->status));
    if (ok || bus) { /* bus: where the table entry lies */
        out_printf(out, "0x%llx", (unsigned long long)(ok ? r->pa : r->addr));
    }
    out_printf(out, ",%s,", ok ? page[r->size] : "");
    if (fault && r->status != DMT_STATUS_EPT_MISCONFIG) { /* that has no code */
        out_printf(out, "0x%llx", (unsigned long long)r->error);
    }
    out_printf(out, ",");
    if (fault) {
        out_printf(out, "%u", r->stage);
    }
    out_printf(out, ",");
    if (gpa) {
        out_printf(out, "0x%llx", (unsigned long long)r->addr);
    }
    out_printf(out, ",");
    put_path(out, state, r);
    out_printf(out, ",%u,%u,", r->refs, r->reads);
    for (size_t i = 0; i < ad_n; i++) {
        out_printf(out, "%s0x%llx=0x%llx", i > 0 ? ";" : "", (unsigned long long)ad[i].addr,
                   (unsigned long long)ad[i].value);
    }
    if (cycles >= 0) {
        out_printf(out, ",%lld\n", (long long)cycles);
    } else {
        out_printf(out, ",\n");
    }
}
