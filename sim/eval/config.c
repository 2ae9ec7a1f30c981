/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/config.h"

#include "io.h"
#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct key {
    const char *name, *what;
    size_t at;
    uint32_t least, most, value;
} keys[] = {
#define X(field, key, least, most, value, what) {key, what, offsetof(struct eval_config, field), least, most, value},
    EVAL_KEYS(X)
#undef X
};
#define KEYS (sizeof keys / sizeof *keys)

static uint32_t *field(struct eval_config *c, const struct key *k)
{
    return (uint32_t *)((char *)c + k->at);
}

static uint32_t value(const struct eval_config *c, const struct key *k)
{
    return *(const uint32_t *)((const char *)c + k->at);
}

void eval_config_default(struct eval_config *c)
{
    for (size_t i = 0; i < KEYS; i++) {
        *field(c, &keys[i]) = keys[i].value;
    }
}

/* "key = value" with blanks anywhere around; *key becomes which of them. NULL, or what is wrong. */
static const char *assign(struct eval_config *c, char *text, size_t *key)
{
    static char why[200];
    char *at = strchr(text, '='), *end;
    uint64_t v;

    if (at == NULL) {
        snprintf(why, sizeof why, "'%.60s': expected key = value", text);
        return why;
    }
    *at++ = '\0';
    while (isspace((unsigned char)*text)) {
        text++;
    }
    for (end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);) {
        *--end = '\0';
    }
    while (isspace((unsigned char)*at)) {
        at++;
    }
    for (end = at + strlen(at); end > at && isspace((unsigned char)end[-1]);) {
        *--end = '\0';
    }
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, text) != 0) {
            continue;
        }
        if (!parse_decimal(at, keys[i].most, &v) || v < keys[i].least) {
            snprintf(why, sizeof why, "%s: '%.40s' is not a number from %u to %u", text, at, keys[i].least,
                     keys[i].most);
            return why;
        }
        *field(c, &keys[i]) = (uint32_t)v;
        *key = i;
        return NULL;
    }
    snprintf(why, sizeof why, "unknown key '%.60s' (dmt sim --keys lists them)", text);
    return why;
}

bool eval_config_read(const char *path, struct eval_config *c)
{
    struct in *in = in_open(path);
    bool ok = in != NULL;
    char *line = NULL;
    uint64_t at[KEYS] = {0}; /* line of each key, 0: not given */
    size_t key;

    while (ok && (ok = in_line(in, &line)) && line != NULL) {
        char *hash = strchr(line, '#');
        const char *why;
        if (hash != NULL) {
            *hash = '\0';
        }
        if (line[strspn(line, " \t\r")] == '\0') {
            continue;
        }
        if ((why = assign(c, line, &key)) != NULL) {
            in_say(in, "%s", why);
            ok = false;
        } else if (at[key] != 0) {
            in_say(in, "%s is in line %" PRIu64 " already, expected each key once", keys[key].name, at[key]);
            ok = false;
        } else {
            at[key] = in_line_number(in);
        }
    }
    if (in != NULL) {
        in_close(in);
    }
    return ok;
}

bool eval_config_set(struct eval_config *c, const char *assignment)
{
    char *text = need(strdup(assignment));
    size_t key;
    const char *why = assign(c, text, &key);

    free(text);
    if (why != NULL) {
        say("--set: %s", why);
    }
    return why == NULL;
}

static bool power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

bool eval_config_check(const struct eval_config *c)
{
    const struct {
        const char *name;
        uint32_t entries, ways;
    } table[] = {
        {"tlb.l1i", c->l1i_entries, c->l1i_ways},   {"tlb.l1d", c->l1d_entries, c->l1d_ways},
        {"tlb.l1d.huge", c->l1h_entries, c->l1h_ways}, {"tlb.l2", c->l2_entries, c->l2_ways},
        {"cache.l1d (lines)", c->d1_bytes / 64, c->d1_ways}, {"cache.l2 (lines)", c->d2_bytes / 64, c->d2_ways},
        {"cache.llc (lines)", c->d3_bytes / 64, c->d3_ways}, {"pwc.l4", c->pwc4_entries, c->pwc4_ways},
        {"pwc.l3", c->pwc3_entries, c->pwc3_ways},  {"pwc.l2", c->pwc2_entries, c->pwc2_ways},
        {"ntlb", c->ntlb_entries, c->ntlb_ways},    {"fpt.pwc", c->fpt_entries, c->fpt_ways},
    };

    const struct {
        const char *name;
        uint32_t bytes;
    } cache[] = {{"cache.l1d", c->d1_bytes}, {"cache.l2", c->d2_bytes}, {"cache.llc", c->d3_bytes}};

    for (size_t i = 0; i < sizeof cache / sizeof *cache; i++) {
        if (cache[i].bytes % 64 != 0) {
            say("%s.bytes: %u is no multiple of a line's 64", cache[i].name, cache[i].bytes);
            return false;
        }
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].entries != 0 &&
            (table[i].entries % table[i].ways != 0 || !power_of_two(table[i].entries / table[i].ways))) {
            say("%s: %u entries in %u ways are no power of two of sets", table[i].name, table[i].entries,
                table[i].ways);
            return false;
        }
    }
    if (!power_of_two(c->ecpt_lines)) {
        say("ecpt.lines: %u is no power of two", c->ecpt_lines);
        return false;
    }
    if (!power_of_two(c->pwc_span)) {
        say("pwc.span: %u is no power of two", c->pwc_span);
        return false;
    }
    if (c->dram_banks != 0 && (!power_of_two(c->dram_banks) || !power_of_two(c->dram_row))) {
        say("memory.banks and memory.row.bytes must be powers of two");
        return false;
    }
    if (c->d1_clocks > c->d2_clocks || c->d2_clocks > c->d3_clocks || c->d3_clocks > c->mem_clocks) {
        say("clocks of caches are cumulative: expected cache.l1d <= cache.l2 <= cache.llc <= memory");
        return false;
    }
    return true;
}

void eval_config_write(const struct eval_config *c, FILE *out)
{
    for (size_t i = 0; i < KEYS; i++) {
        fprintf(out, "%s = %u\n", keys[i].name, value(c, &keys[i]));
    }
}

void eval_config_help(FILE *out)
{
    fputs("| key | range | default | what |\n|---|---|--:|---|\n", out);
    for (size_t i = 0; i < KEYS; i++) {
        fprintf(out, "| `%s` | %u to %u | %u | %s |\n", keys[i].name, keys[i].least, keys[i].most, keys[i].value,
                keys[i].what);
    }
}
