/* SPDX-License-Identifier: Apache-2.0
 * Decoder of permission rows. */
#include "perm_rows.h"
#include "dmt/regs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

const uint64_t perm_table_pfn[PERM_LEVELS] = { 0x410, 0x40c, 0x408, 0x404, 0x400 };

/* The entries stand at the indices of this address, whatever a row probes. */
#define PROBE_VA 0x6ac8c2344358ull
#define PAGE_PA 0x2344000ull

enum column {
    ROW, LEAF, VA, ACCESS, WP, SMEP, SMAP, PKE, NXE, PKS, KEY, KEYBITS,
    PML5E, PML4E, PDPTE, PDE, PTE, EXPECT, POST_PML5E, POST_PML4E, POST_PDPTE, POST_PDE, POST_PTE,
    COLUMNS
};

static const char *const column_name[COLUMNS] = {
    "row", "leaf", "va", "access", "wp", "smep", "smap", "pke", "nxe", "pks", "key", "keybits",
    "pml5e", "pml4e", "pdpte", "pde", "pte", "expect",
    "post_pml5e", "post_pml4e", "post_pdpte", "post_pde", "post_pte",
};

#define FIELDS_MAX 64

struct perm_file {
    char *path;
    char *text, *next; /* whole file, and the line to decode next */
    unsigned line;
    unsigned fields;           /* in every line */
    unsigned at[COLUMNS];      /* field number of a column */
    char *field[FIELDS_MAX];   /* of the current line */
    bool bad;                  /* of the current line, reported */
};

/* The decompressed file as a string, or NULL after a message. */
static char *load(const char *path)
{
    FILE *in = fopen(path, "rb");
    ZSTD_DStream *z = ZSTD_createDStream();
    size_t size = 0, room = 0, left = 1;
    char chunk[65536], *text = NULL;
    const char *what = NULL;

    if (!in)
        what = strerror(errno);
    while (!what) {
        ZSTD_inBuffer src = { chunk, fread(chunk, 1, sizeof chunk, in), 0 };

        if (src.size == 0) {
            what = ferror(in) ? strerror(errno) : left ? "truncated zstd frame" : NULL;
            break;
        }
        /* A full output buffer may hide more output of the same input. */
        for (bool more = true; more && !what;) {
            if (room - size < 2 * sizeof chunk) {
                char *bigger = realloc(text, room = 2 * room + 4 * sizeof chunk);
                if (!bigger) {
                    what = "out of memory";
                    break;
                }
                text = bigger;
            }
            ZSTD_outBuffer dst = { text + size, room - size - 1, 0 };
            left = ZSTD_decompressStream(z, &dst, &src);
            if (ZSTD_isError(left))
                what = ZSTD_getErrorName(left);
            size += dst.pos;
            more = src.pos < src.size || dst.pos == dst.size;
        }
    }
    if (in)
        fclose(in);
    ZSTD_freeDStream(z);
    if (what) {
        fprintf(stderr, "%s: %s\n", path, what);
        free(text);
        return NULL;
    }
    text[size] = 0;
    return text;
}

/* Cut the next line into fields. Number of fields; 0 at the end of the file. */
static unsigned split(struct perm_file *f)
{
    char *end;
    unsigned n = 0;

    if (!*f->next)
        return 0;
    f->line++;
    end = f->next + strcspn(f->next, "\n");
    for (char *p = f->next; n < FIELDS_MAX; n++) {
        char *stop = p + strcspn(p, ",\n");
        bool last = stop >= end;

        f->field[n] = p;
        if (stop < end || *end) {
            f->next = stop + 1;
            *stop = 0;
        } else {
            f->next = end;
        }
        if (last)
            return n + 1;
        p = stop + 1;
    }
    return FIELDS_MAX + 1;
}

static void complain(struct perm_file *f, enum column c, const char *expected)
{
    if (!f->bad)
        fprintf(stderr, "%s:%u: %s \"%s\": expected %s\n", f->path, f->line, column_name[c],
                f->field[f->at[c]], expected);
    f->bad = true;
}

static uint64_t number(struct perm_file *f, enum column c, int base, uint64_t max, const char *expected)
{
    const char *s = f->field[f->at[c]];
    char *end;

    errno = 0;
    uint64_t v = strtoull(s, &end, base);
    if (!*s || strchr("+- \t", *s) || *end || errno || v > max) {
        complain(f, c, expected);
        return 0;
    }
    return v;
}

static uint64_t flag(struct perm_file *f, enum column c, uint64_t mask)
{
    return number(f, c, 10, 1, "0 or 1") ? mask : 0;
}

static uint64_t hex64(struct perm_file *f, enum column c)
{
    return number(f, c, 16, UINT64_MAX, "64 bits in hexadecimal");
}

struct perm_file *perm_open(const char *path)
{
    struct perm_file *f = calloc(1, sizeof *f);
    const char *missing = NULL;

    if (!f || !(f->path = strdup(path)) || !(f->text = load(path))) {
        if (!f || !f->path)
            fprintf(stderr, "%s: out of memory\n", path);
        perm_close(f);
        return NULL;
    }
    f->next = f->text;
    f->fields = split(f);
    for (unsigned c = 0; c < COLUMNS && !missing; c++) {
        for (f->at[c] = 0; f->at[c] < f->fields && f->at[c] < FIELDS_MAX; f->at[c]++)
            if (!strcmp(f->field[f->at[c]], column_name[c]))
                break;
        if (f->at[c] >= f->fields || f->at[c] == FIELDS_MAX)
            missing = column_name[c];
    }
    if (missing) {
        fprintf(stderr, "%s:1: expected a column \"%s\"\n", path, missing);
        perm_close(f);
        return NULL;
    }
    return f;
}

struct perm_file *perm_open_sample(void)
{
    const char *root = getenv("DMT_ROOT");
    char path[4096];

    snprintf(path, sizeof path, "%s/tests/data/perm4_sample.csv.zst", root && *root ? root : ".");
    return perm_open(path);
}

void perm_close(struct perm_file *f)
{
    if (f) {
        free(f->path);
        free(f->text);
    }
    free(f);
}

/* "ok", "GP", or "PF" with the error code in hexadecimal. */
static void decode_expect(struct perm_file *f, struct perm_row *row)
{
    char *s = f->field[f->at[EXPECT]], *end = s;

    if (!strcmp(s, "ok")) {
        row->status = DMT_STATUS_OK;
        row->pa = PAGE_PA | (row->request.va & 0xfff);
    } else if (!strcmp(s, "GP")) {
        row->status = DMT_STATUS_GP;
    } else {
        row->status = DMT_STATUS_PF;
        if (!strncmp(s, "PF", 2) && strlen(s) == 4)
            row->error = (uint32_t)strtoul(s + 2, &end, 16);
        if (end != s + 4)
            complain(f, EXPECT, "ok, GP or PF and two hexadecimal digits");
    }
}

/* Side and kind of the access, with `a` when EFLAGS.AC is set. */
static void decode_access(struct perm_file *f, struct dmt_request *rq)
{
    const char *s = f->field[f->at[ACCESS]], *kind;
    static const char kinds[] = "RWX";
    static const uint8_t code[] = { DMT_ACCESS_READ, DMT_ACCESS_WRITE, DMT_ACCESS_EXECUTE };
    size_t n = strlen(s);

    if (n < 2 || n > 3 || !strchr("SU", s[0]) || !(kind = strchr(kinds, s[1])) || (n == 3 && s[2] != 'a')) {
        complain(f, ACCESS, "S or U, then R, W or X, then nothing or a");
        return;
    }
    rq->cpl = s[0] == 'U' ? 3 : 0;
    rq->access = code[kind - kinds];
    rq->ac = n == 3;
}

int perm_next(struct perm_file *f, struct perm_row *row)
{
    unsigned n = split(f);

    if (n == 0)
        return 0;
    if (n != f->fields) {
        fprintf(stderr, "%s:%u: expected %u fields, not %u\n", f->path, f->line, f->fields, n);
        return -1;
    }
    f->bad = false;
    memset(row, 0, sizeof *row);
    row->line = f->line;
    row->id = (unsigned)number(f, ROW, 10, UINT32_MAX, "a row number");
    row->level = (unsigned)number(f, LEAF, 10, 3, "1, 2 or 3");
    if (row->level == 0)
        complain(f, LEAF, "1, 2 or 3");
    row->five = *f->field[f->at[PML5E]];
    row->request.va = hex64(f, VA);
    row->request.nonspec = true;
    decode_access(f, &row->request);
    decode_expect(f, row);

    dmt_state_reset(&row->state, 51);
    row->state.mode = DMT_MODE_NATIVE;
    struct dmt_level *cr = &row->state.level[0];
    cr->cr0 = flag(f, WP, DMT_LEVEL_CR0_WP_MASK);
    cr->cr3 = perm_table_pfn[row->five ? 4 : 3] << 12;
    cr->cr4 = flag(f, SMEP, DMT_LEVEL_CR4_SMEP_MASK) | flag(f, SMAP, DMT_LEVEL_CR4_SMAP_MASK)
            | flag(f, PKE, DMT_LEVEL_CR4_PKE_MASK) | flag(f, PKS, DMT_LEVEL_CR4_PKS_MASK)
            | (row->five ? DMT_LEVEL_CR4_LA57_MASK : 0);
    cr->efer = flag(f, NXE, DMT_LEVEL_EFER_NXE_MASK);

    /* Every key denies everything, but key 5 nothing, and the tested one what the row says. */
    unsigned key = (unsigned)number(f, KEY, 10, 15, "0 to 15");
    uint32_t keybits = (uint32_t)number(f, KEYBITS, 10, 3, "0 to 3");
    cr->pkru = ~(3u << 2 * 5) & ~(3u << 2 * key);
    cr->pkru |= keybits << 2 * key;
    cr->pkrs = cr->pkru;

    for (unsigned level = 1; level <= (row->five ? 5u : 4u); level++) {
        struct perm_word *w = &row->word[level - 1];
        enum column pre = (enum column)(PTE - (level - 1)), post = (enum column)(POST_PTE - (level - 1));

        w->pa = perm_table_pfn[level - 1] * 4096 + 8 * (PROBE_VA >> (9 * level + 3) & 511);
        w->value = hex64(f, pre);
        w->post = row->status == DMT_STATUS_OK ? hex64(f, post) : w->value;
    }
    return f->bad ? -1 : 1;
}

bool perm_read(const struct perm_row *row, uint64_t pa, uint64_t *value)
{
    for (unsigned i = 0; i < PERM_LEVELS; i++) {
        if (pa >> 12 == perm_table_pfn[i]) {
            *value = pa == row->word[i].pa ? row->word[i].value : 0;
            return true;
        }
    }
    return false;
}
