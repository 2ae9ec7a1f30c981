/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include "dmt/regs.h"
#include "io.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char why[256];

#define WRONG(...) (snprintf(why, sizeof why, __VA_ARGS__), why)

unsigned state_entry(const struct dmt_state *s)
{
    return s->mode == DMT_MODE_NESTED ? 2 : s->mode == DMT_MODE_VIRT ? 1 : 0;
}

void state_default(struct full_state *s)
{
    *s = (struct full_state){0};
    dmt_state_reset(&s->dmt, 52);
    s->dmt.mode = DMT_MODE_NATIVE;
}

/* ---------------------------------------------------------------- values */

struct name {
    const char *text;
    unsigned value;
};

static const struct name modes[] = {{"off", DMT_MODE_OFF},
                                    {"native", DMT_MODE_NATIVE},
                                    {"virt", DMT_MODE_VIRT},
                                    {"nested", DMT_MODE_NESTED},
                                    {NULL, 0}};
static const struct name on_off[] = {{"off", 0}, {"on", 1}, {NULL, 0}};
static const struct name formats[] = {{"ept", DMT_FORMAT_EPT}, {"npt", DMT_FORMAT_NPT}, {NULL, 0}};
static const struct name fallbacks[] = {{"shadow", 0}, {"full", 1}, {NULL, 0}};
static const char *const tables[] = {"s0", "s1", "shadow"};
static const struct name sizes[] = {{"4k", DMT_SIZE_4K}, {"2m", DMT_SIZE_2M}, {"1g", DMT_SIZE_1G}, {NULL, 0}};
static const struct name kinds[] = {{"pa", DMT_KIND_PA}, {"gtea", DMT_KIND_GTEA}, {NULL, 0}};

/* One word of a list; on failure `why` names the list. */
static const char *word(const struct name *list, const char *key, const char *value, unsigned *to)
{
    int n = 0;

    for (const struct name *p = list; p->text != NULL; p++) {
        if (strcmp(p->text, value) == 0) {
            *to = p->value;
            return NULL;
        }
    }
    n = snprintf(why, sizeof why, "%s: '%.40s' is not one of", key, value);
    for (const struct name *p = list; p->text != NULL; p++) {
        n += snprintf(why + n, sizeof why - (size_t)n, " %s", p->text);
    }
    return why;
}

static const char *hex(const char *key, const char *value, uint64_t max, uint64_t *to)
{
    if (!parse_hex(value, max, to)) {
        return WRONG("%s: '%.40s' is not a hex number up to 0x%llx", key, value, (unsigned long long)max);
    }
    return NULL;
}

static const char *allow(const char *value, uint8_t *to)
{
    *to = 0;
    if (strcmp(value, "-") == 0) {
        return NULL;
    }
    for (const char *p = value; *p != '\0'; p++) {
        const char *at = strchr("wux", *p);
        unsigned bit = at != NULL ? 1u << (at - "wux") : 0;
        if (bit == 0 || (*to & bit) != 0) {
            return WRONG("allow: '%.40s' is not some of the letters w, u, x, or -", value);
        }
        *to |= (uint8_t)bit;
    }
    return *value == '\0' ? WRONG("allow: is empty, expected some of w, u, x, or -") : NULL;
}

/* The fields of a tea.<set>.<index> line. */
static const char *tea(struct dmt_tea *t, const char *text)
{
    enum { BASE_VPN, PAGES, SZ, KIND, BASE_PFN, GTEA, ALLOW, FIELDS };
    static const char *const names[FIELDS] = {"base_vpn", "pages", "sz", "kind", "base_pfn", "gtea", "allow"};
    unsigned seen = 0;
    char copy[256], *save = NULL;

    if (strlen(text) >= sizeof copy) {
        return WRONG("too long a line");
    }
    strcpy(copy, text);
    *t = (struct dmt_tea){.kind = DMT_KIND_PA, .allow = 7};
    for (char *field = strtok_r(copy, " \t", &save); field != NULL; field = strtok_r(NULL, " \t", &save)) {
        char *value = strchr(field, '=');
        unsigned f = 0, v = 0;
        uint64_t x = 0;
        const char *bad = NULL;
        if (value == NULL) {
            return WRONG("'%.40s' is not field=value", field);
        }
        *value++ = '\0';
        while (f < FIELDS && strcmp(field, names[f]) != 0) {
            f++;
        }
        if (f == FIELDS) {
            return WRONG("unknown field '%.40s', expected base_vpn pages sz kind base_pfn gtea allow", field);
        }
        if ((seen & 1u << f) != 0) {
            return WRONG("%s is given twice", field);
        }
        seen |= 1u << f;
        switch (f) {
        case BASE_VPN:
            bad = hex(field, value, (UINT64_C(1) << 52) - 1, &t->base_vpn);
            break;
        case PAGES:
            bad = hex(field, value, UINT64_MAX, &t->pages);
            break;
        case SZ:
            bad = word(sizes, field, value, &v);
            t->sz = (uint8_t)v;
            break;
        case KIND:
            bad = word(kinds, field, value, &v);
            t->kind = (uint8_t)v;
            break;
        case BASE_PFN:
            bad = hex(field, value, (UINT64_C(1) << 52) - 1, &t->base_pfn);
            break;
        case GTEA:
            bad = hex(field, value, 0xfff, &x);
            t->gtea = (uint16_t)x;
            break;
        case ALLOW:
            bad = allow(value, &t->allow);
            break;
        }
        if (bad != NULL) {
            return bad;
        }
    }
    if (seen == 0) {
        return NULL; /* an empty value: the register does not match */
    }
    for (unsigned f = 0; f <= SZ; f++) {
        if ((seen & 1u << f) == 0) {
            return WRONG("%s is missing", names[f]);
        }
    }
    if ((seen & 1u << BASE_PFN) == 0 && t->kind == DMT_KIND_PA) {
        return WRONG("base_pfn is missing");
    }
    t->valid = true;
    return NULL;
}

/* ---------------------------------------------------------------- keys */

/* "<prefix><number><rest>": the number if it is below max, else -1. */
static int numbered(const char *key, const char *prefix, unsigned max, const char **rest)
{
    size_t n = strlen(prefix);
    unsigned value = 0, digits = 0;

    if (strncmp(key, prefix, n) != 0) {
        return -1;
    }
    for (key += n; isdigit((unsigned char)*key) && digits < 4; key++, digits++) {
        value = value * 10 + (unsigned)(*key - '0');
    }
    *rest = key;
    return digits > 0 && value < max ? (int)value : -1;
}

static const char *page_address(const char *key, const char *value, uint64_t *to)
{
    const char *bad = hex(key, value, (UINT64_C(1) << 52) - 1, to);

    if (bad == NULL && (*to & 0xfff) != 0) {
        bad = WRONG("%s: 0x%llx is not a multiple of 0x1000", key, (unsigned long long)*to);
    }
    return bad;
}

static const char *switched(const char *key, const char *value, bool *to)
{
    unsigned v = *to;
    const char *bad = word(on_off, key, value, &v);

    *to = v != 0;
    return bad;
}

static const char unknown[] = "unknown key";

/* A field of the tables of stage `index`, or of the shadow table (SHADOW). */
static const char *second(struct full_state *s, unsigned index, const char *key, const char *field,
                          const char *value)
{
    struct dmt_s2 *s2 = index == SHADOW ? &s->dmt.shadow : &s->dmt.s2[index];
    unsigned v = s2->format;
    uint64_t x;
    const char *bad = NULL;

    if (strcmp(field, "root") == 0) {
        bad = page_address(key, value, &s2->root);
        s->root_given[index] = true;
    } else if (strcmp(field, "format") == 0) {
        bad = word(formats, key, value, &v);
        s2->format = (uint8_t)v;
        s->format_given[index] = true;
    } else if (strcmp(field, "levels") == 0) {
        if (!parse_decimal(value, 5, &x) || x < 4) {
            return WRONG("%s: '%.40s' is not 4 or 5", key, value);
        }
        s2->five = x == 5;
    } else if (strcmp(field, "ad") == 0) {
        bad = switched(key, value, &s2->ad);
    } else if (strcmp(field, "mbec") == 0) {
        bad = switched(key, value, &s2->mbec);
    } else if (strcmp(field, "tag") == 0 && index != SHADOW) {
        x = s2->tag;
        bad = hex(key, value, 0xff, &x);
        s2->tag = (uint8_t)x;
    } else {
        bad = unknown;
    }
    return bad;
}

/* Control registers of the entering level; false: the key is not one. */
static bool control(struct dmt_level *l, const char *key, const char *value, const char **bad)
{
    uint64_t x = 0;

    if (strcmp(key, "cr0") == 0) {
        *bad = hex(key, value, UINT64_MAX, &l->cr0);
    } else if (strcmp(key, "cr3") == 0) {
        *bad = hex(key, value, UINT64_MAX, &l->cr3);
    } else if (strcmp(key, "cr4") == 0) {
        *bad = hex(key, value, UINT64_MAX, &l->cr4);
    } else if (strcmp(key, "efer") == 0) {
        *bad = hex(key, value, UINT64_MAX, &l->efer);
    } else if (strcmp(key, "pkru") == 0) {
        *bad = hex(key, value, UINT32_MAX, &x);
        l->pkru = *bad == NULL ? (uint32_t)x : l->pkru;
    } else if (strcmp(key, "pkrs") == 0) {
        *bad = hex(key, value, UINT32_MAX, &x);
        l->pkrs = *bad == NULL ? (uint32_t)x : l->pkrs;
    } else {
        return false;
    }
    return true;
}

static const char *set(struct full_state *s, const char *key, const char *value)
{
    const char *bad = NULL, *rest;
    unsigned v = 0;
    uint64_t x;
    int k;

    if (control(&s->dmt.level[state_entry(&s->dmt)], key, value, &bad)) {
        return bad;
    }
    if (strcmp(key, "mode") == 0) {
        bad = word(modes, key, value, &v);
        if (bad == NULL && state_entry(&(struct dmt_state){.mode = (uint8_t)v}) != state_entry(&s->dmt)) {
            unsigned from = state_entry(&s->dmt);
            s->dmt.mode = (uint8_t)v;
            s->dmt.level[state_entry(&s->dmt)] = s->dmt.level[from];
            s->dmt.level[from] = (struct dmt_level){0};
        }
        s->dmt.mode = bad == NULL ? (uint8_t)v : s->dmt.mode;
        return bad;
    }
    if (strcmp(key, "maxphyaddr") == 0) {
        if (!parse_decimal(value, 52, &x) || x < 32) {
            return WRONG("maxphyaddr: '%.40s' is not a decimal number from 32 to 52", value);
        }
        s->dmt.maxpa = (uint8_t)x;
        return NULL;
    }
    if (strcmp(key, "ad_update") == 0) {
        return switched(key, value, &s->dmt.ad_update);
    }
    if (strcmp(key, "fallback") == 0) {
        v = s->dmt.full;
        bad = word(fallbacks, key, value, &v);
        s->dmt.full = v != 0;
        return bad;
    }
    if (strncmp(key, "shadow.", 7) == 0) {
        return second(s, SHADOW, key, key + 7, value);
    }
    if ((k = numbered(key, "gtea.", DMT_SETS_MAX, &rest)) > 0) { /* set 0 has no gTEAs */
        if (strcmp(rest, ".table") == 0) {
            return page_address(key, value, &s->dmt.gtea[k].table);
        }
        if (strcmp(rest, ".entries") != 0) {
            return unknown;
        }
        x = s->dmt.gtea[k].entries;
        bad = hex(key, value, 4096, &x);
        s->dmt.gtea[k].entries = (uint16_t)x;
        return bad;
    }
    if ((k = numbered(key, "tea.", DMT_SETS_MAX, &rest)) >= 0) {
        int i = numbered(rest, ".", DMT_TEA_MAX, &rest);
        return i >= 0 && *rest == '\0' ? tea(&s->dmt.tea[k][i], value) : unknown;
    }
    if ((k = numbered(key, "s", 2, &rest)) >= 0 && *rest == '.') {
        return second(s, (unsigned)k, key, rest + 1, value);
    }
    return unknown;
}

const char *state_set(struct full_state *s, const char *key, const char *value)
{
    const char *bad = set(s, key, value);

    return bad == unknown ? WRONG("unknown key '%.40s'", key) : bad;
}

bool state_key(const char *key)
{
    struct full_state scratch;

    state_default(&scratch);
    return set(&scratch, key, "") != unknown;
}

const char *state_check(const struct full_state *s)
{
    static const char *const reasons[] = {"",
                                          "a reserved bit is set",
                                          "sz is reserved",
                                          "kind gtea is not possible in this set",
                                          "pages is zero",
                                          "base_vpn plus pages passes 2^52",
                                          "the TEA ends beyond maxphyaddr"};
    unsigned entry = state_entry(&s->dmt);
    uint64_t cr3 = s->dmt.level[entry].cr3;

    if ((cr3 & 0x7ff0000000000000) != 0 || (cr3 & 0x000ffffffffff000) >> s->dmt.maxpa != 0) {
        return WRONG("cr3 0x%llx has bits set above maxphyaddr %u", (unsigned long long)cr3, s->dmt.maxpa);
    }
    for (unsigned set_ = 0; set_ < DMT_SETS_MAX; set_++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            const struct dmt_tea *t = &s->dmt.tea[set_][i];
            uint8_t reason = t->valid ? dmt_tea_refusal(t, set_, false, s->dmt.maxpa) : 0;
            if (reason != 0) {
                return WRONG("tea.%u.%u: refused: %s", set_, i, reasons[reason]);
            }
        }
    }
    for (unsigned k = 0; k <= SHADOW; k++) {
        const struct dmt_s2 *s2 = k == SHADOW ? &s->dmt.shadow : &s->dmt.s2[k];
        bool needed = k == SHADOW ? entry == 2 && !s->dmt.full : k < entry;
        if (needed && (!s->root_given[k] || !s->format_given[k])) {
            return WRONG("mode %s needs %s.root and %s.format%s", modes[s->dmt.mode].text, tables[k],
                         tables[k], k == SHADOW ? ", or fallback = full" : "");
        }
        if (s2->root >> s->dmt.maxpa != 0) {
            return WRONG("%s.root: 0x%llx is above maxphyaddr %u", tables[k], (unsigned long long)s2->root,
                         s->dmt.maxpa);
        }
    }
    for (unsigned k = 1; k < DMT_SETS_MAX; k++) {
        if (s->dmt.gtea[k].table >> s->dmt.maxpa != 0) {
            return WRONG("gtea.%u.table: 0x%llx is above maxphyaddr %u", k,
                         (unsigned long long)s->dmt.gtea[k].table, s->dmt.maxpa);
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- gTEAs */

static enum dmt_resp read_word(void *user, uint64_t addr, uint64_t *data)
{
    return dmt_mem_read(user, addr, data) ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}

void state_resolve(struct dmt_state *s, struct dmt_mem *mem)
{
    for (unsigned k = 1; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            struct dmt_tea *t = &s->tea[k][i];
            if (t->valid && t->kind == DMT_KIND_GTEA) {
                t->resolution =
                    dmt_gtea_resolve(s, k, t->gtea, read_word, mem, &t->gtea_base, &t->gtea_pages);
            }
        }
    }
}

/* ---------------------------------------------------------------- files */

static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (end > text && isspace((unsigned char)end[-1])) {
        *--end = '\0';
    }
    while (isspace((unsigned char)*text)) {
        text++;
    }
    return text;
}

struct seen_key {
    char *text;
    uint64_t line;
};

bool state_read(const char *path, struct full_state *s)
{
    struct in *in = in_open(path);
    struct seen_key *seen = NULL;
    size_t n = 0;
    const char *bad = NULL;
    char *line;
    bool ok = true;

    if (in == NULL) {
        return false;
    }
    state_default(s);
    while (ok && (ok = in_line(in, &line)) && line != NULL) {
        char *hash = strchr(line, '#');
        if (hash != NULL) {
            *hash = '\0';
        }
        line = trim(line);
        if (*line == '\0') {
            continue;
        }
        char *value = strchr(line, '=');
        if (value == NULL) {
            in_say(in, "expected key = value");
            ok = false;
            break;
        }
        *value++ = '\0';
        char *key = trim(line);
        for (size_t i = 0; i < n; i++) {
            if (strcmp(seen[i].text, key) == 0) {
                in_say(in, "%.40s is given twice, first in line %llu", key, (unsigned long long)seen[i].line);
                ok = false;
            }
        }
        if (!ok) {
            break;
        }
        seen = realloc(seen, (n + 1) * sizeof *seen);
        if (seen == NULL || (seen[n].text = strdup(key)) == NULL) {
            say("out of memory");
            exit(EXIT_BAD_INPUT);
        }
        seen[n++].line = in_line_number(in);
        bad = state_set(s, key, trim(value));
        if (bad != NULL) {
            in_say(in, "%s", bad);
            ok = false;
        }
    }
    if (ok && (bad = state_check(s)) != NULL) {
        uint64_t at = in_line_number(in);
        for (size_t i = 0; i < n; i++) { /* blame the line whose key the text begins with */
            size_t k = strlen(seen[i].text);
            if (strncmp(bad, seen[i].text, k) == 0 && (bad[k] == ' ' || bad[k] == ':')) {
                at = seen[i].line;
            }
        }
        say("%s:%llu: %s", in_name(in), (unsigned long long)at, bad);
        ok = false;
    }
    for (size_t i = 0; i < n; i++) {
        free(seen[i].text);
    }
    free(seen);
    in_close(in);
    return ok;
}

static void put_second(struct out *out, const char *name, const struct dmt_s2 *s2)
{
    out_printf(out, "%s.root = 0x%llx\n%s.format = %s\n%s.levels = %u\n", name, (unsigned long long)s2->root,
               name, formats[s2->format].text, name, s2->five ? 5 : 4);
    if (s2->ad) {
        out_printf(out, "%s.ad = on\n", name);
    }
    if (s2->mbec) {
        out_printf(out, "%s.mbec = on\n", name);
    }
    if (s2->tag != 0) {
        out_printf(out, "%s.tag = 0x%x\n", name, s2->tag);
    }
}

static void put_tea(struct out *out, unsigned set_, unsigned i, const struct dmt_tea *t)
{
    char rights[4] = "-", gtea[16] = "";

    for (unsigned b = 0, n = 0; b < 3; b++) {
        if ((t->allow >> b & 1) != 0) {
            rights[n++] = "wux"[b];
            rights[n] = '\0';
        }
    }
    if (t->kind == DMT_KIND_GTEA) {
        snprintf(gtea, sizeof gtea, " gtea=0x%x", t->gtea);
    }
    out_printf(out, "tea.%u.%u = base_vpn=0x%llx pages=0x%llx sz=%s kind=%s base_pfn=0x%llx%s allow=%s\n",
               set_, i, (unsigned long long)t->base_vpn, (unsigned long long)t->pages, sizes[t->sz].text,
               kinds[t->kind].text, (unsigned long long)t->base_pfn, gtea, rights);
}

bool state_write(const char *path, const struct dmt_state *s, const char *comment)
{
    unsigned entry = state_entry(s);
    const struct dmt_level *l = &s->level[entry];
    struct out *out = out_open(path);

    if (out == NULL) {
        return false;
    }
    out_printf(out, "# %s\n", comment);
    out_printf(out, "mode = %s\nmaxphyaddr = %u\nad_update = %s\n", modes[s->mode].text, s->maxpa,
               on_off[s->ad_update].text);
    out_printf(out, "cr0 = 0x%llx\ncr3 = 0x%llx\ncr4 = 0x%llx\nefer = 0x%llx\npkru = 0x%x\npkrs = 0x%x\n",
               (unsigned long long)l->cr0, (unsigned long long)l->cr3, (unsigned long long)l->cr4,
               (unsigned long long)l->efer, l->pkru, l->pkrs);
    for (unsigned k = 0; k < 2; k++) {
        if (k < entry || s->s2[k].root != 0) {
            put_second(out, tables[k], &s->s2[k]);
        }
    }
    if (s->full) {
        out_printf(out, "fallback = full\n");
    }
    if ((entry == 2 && !s->full) || s->shadow.root != 0) {
        put_second(out, tables[SHADOW], &s->shadow);
    }
    for (unsigned k = 1; k < DMT_SETS_MAX; k++) {
        if (s->gtea[k].entries != 0 || s->gtea[k].table != 0) {
            out_printf(out, "gtea.%u.table = 0x%llx\ngtea.%u.entries = 0x%x\n", k,
                       (unsigned long long)s->gtea[k].table, k, s->gtea[k].entries);
        }
    }
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            if (s->tea[k][i].valid) {
                put_tea(out, k, i, &s->tea[k][i]);
            }
        }
    }
    return out_commit(out);
}
