/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include "dmt/regs.h"
#include <stdlib.h>
#include <string.h>

#define CHAMPSIM_RECORD 64u
#define QUEUE           8u
#define END_MARK        0xffu

enum kind { LACKEY, CHAMPSIM, COMPACT };

struct trace {
    struct in *in;
    enum kind kind;
    struct access queue[QUEUE]; /* accesses of the record read last */
    unsigned at, n;
    uint64_t previous[3]; /* compact: by access kind */
    uint64_t records;
    bool ended;
};

const char *trace_kind(const struct trace *t)
{
    static const char *const names[] = {"lackey", "champsim", "compact"};

    return names[t->kind];
}

/* Text holds printable characters, tabs and line ends; binary records soon do not. */
static bool is_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((p[i] < 0x20 && p[i] != '\n' && p[i] != '\r' && p[i] != '\t') || p[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

struct trace *trace_open(const char *path)
{
    const uint8_t *head;
    size_t got;
    struct in *in = in_open(path);

    if (in == NULL) {
        return NULL;
    }
    struct trace *t = calloc(1, sizeof *t);
    if (t == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    t->in = in;
    if (!in_peek(in, &head, CHAMPSIM_RECORD, &got)) {
        trace_close(t);
        return NULL;
    }
    if (got == 0) {
        in_say_offset(in, 0, "the trace is empty");
        trace_close(t);
        return NULL;
    }
    if (got >= 6 && (memcmp(head,
                            "\xfd"
                            "7zXZ",
                            6) == 0 ||
                     memcmp(head, "\x1f\x8b", 2) == 0)) {
        in_say_offset(in, 0, "xz or gzip data; pipe it: xzcat FILE | dmt ... --trace -");
        trace_close(t);
        return NULL;
    }
    t->kind = is_text(head, got) ? LACKEY : CHAMPSIM;
    if (got >= 8 && memcmp(head, "DMTTRACE", 8) == 0) {
        uint8_t header[16];
        t->kind = COMPACT;
        if (!in_read(in, header, sizeof header, &got) || got < sizeof header || load64(header + 8) != 1) {
            in_say_offset(in, 8, "compact trace with a cut header or not of version 1");
            trace_close(t);
            return NULL;
        }
    }
    return t;
}

void trace_close(struct trace *t)
{
    in_close(t->in);
    free(t);
}

static void push(struct trace *t, uint64_t va, uint8_t kind, uint8_t size)
{
    t->queue[t->n++] = (struct access){va, kind, size};
}

/* "I  04001090,3", " L 1ffeffe7e,8", " S ..", " M ..". Lines that Valgrind
 * itself prints begin with "==" or "--". */
static bool next_lackey(struct trace *t)
{
    for (;;) {
        char *line, *comma;
        uint64_t va, size;
        if (!in_line(t->in, &line)) {
            return false;
        }
        if (line == NULL) {
            t->ended = true;
            return true;
        }
        if (line[0] == '\0' || strncmp(line, "==", 2) == 0 || strncmp(line, "--", 2) == 0) {
            continue;
        }
        bool fetch = strncmp(line, "I  ", 3) == 0;
        bool data = line[0] == ' ' && line[1] != '\0' && strchr("LSM", line[1]) != NULL && line[2] == ' ';
        comma = strchr(line, ',');
        if ((!fetch && !data) || comma == NULL) {
            in_say(t->in, "'%.40s' is not a lackey record (I, L, S or M address,size)", line);
            return false;
        }
        *comma = '\0';
        if (!parse_hex(line + 3, UINT64_MAX, &va) || !parse_decimal(comma + 1, 4096, &size) || size == 0) {
            in_say(t->in, "lackey record with a malformed address or size (cut file?)");
            return false;
        }
        uint8_t n = (uint8_t)(size < 64 ? size : 64);
        if (fetch) {
            push(t, va, DMT_ACCESS_EXECUTE, n);
        }
        if (line[1] == 'L' || line[1] == 'M') {
            push(t, va, DMT_ACCESS_READ, n);
        }
        if (line[1] == 'S' || line[1] == 'M') {
            push(t, va, DMT_ACCESS_WRITE, n);
        }
        return true;
    }
}

/* ChampSim's input_instr: ip, is_branch, branch_taken, 2 destination and 4
 * source registers, 2 destination and 4 source addresses (0: none). */
static bool next_champsim(struct trace *t)
{
    uint8_t r[CHAMPSIM_RECORD];
    size_t got;
    uint64_t at = in_offset(t->in);

    if (!in_read(t->in, r, sizeof r, &got)) {
        return false;
    }
    if (got == 0) {
        t->ended = true;
        return true;
    }
    if (got < sizeof r) {
        in_say_offset(t->in, at, "ChampSim record cut: %zu of 64 bytes", got);
        return false;
    }
    if (r[8] > 1 || r[9] > 1) {
        in_say_offset(t->in, at + 8,
                      "not a ChampSim record: is_branch %u, branch_taken %u, expected 0 or 1 (foreign file?)",
                      r[8], r[9]);
        return false;
    }
    push(t, load64(r), DMT_ACCESS_EXECUTE, 1);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t va = load64(r + 32 + 8 * i);
        if (va != 0) {
            push(t, va, DMT_ACCESS_READ, 1);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        uint64_t va = load64(r + 16 + 8 * i);
        if (va != 0) {
            push(t, va, DMT_ACCESS_WRITE, 1);
        }
    }
    return true;
}

static bool take_leb128(struct trace *t, uint64_t start, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;
        size_t got;
        if (!in_read(t->in, &byte, 1, &got)) {
            return false;
        }
        if (got == 0) {
            in_say_offset(t->in, start, "compact trace cut inside a record");
            return false;
        }
        if (shift == 63 && byte > 1) {
            break;
        }
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return true;
        }
    }
    in_say_offset(t->in, start, "compact trace: a number is longer than 64 bits");
    return false;
}

static bool next_compact(struct trace *t)
{
    uint64_t start = in_offset(t->in), value;
    uint8_t control;
    size_t got;

    if (!in_read(t->in, &control, 1, &got)) {
        return false;
    }
    if (got == 0) {
        in_say_offset(t->in, start, "compact trace cut: no end mark after %llu records",
                      (unsigned long long)t->records);
        return false;
    }
    if (!take_leb128(t, start, &value)) {
        return false;
    }
    if (control == END_MARK) {
        if (value != t->records) {
            in_say_offset(t->in, start, "compact trace says %llu records, has %llu",
                          (unsigned long long)value, (unsigned long long)t->records);
            return false;
        }
        t->ended = true;
        return true;
    }
    unsigned kind = control & 3;
    if (kind == 3) {
        in_say_offset(t->in, start, "compact trace: control byte 0x%02x has access kind 3", control);
        return false;
    }
    t->previous[kind] += value >> 1 ^ (~(value & 1) + 1);
    push(t, t->previous[kind], (uint8_t)kind, control >> 2 == 0 ? 64 : control >> 2);
    t->records++;
    return true;
}

bool trace_next(struct trace *t, struct access *a, bool *end)
{
    while (t->at == t->n && !t->ended) {
        t->at = t->n = 0;
        bool ok = t->kind == LACKEY     ? next_lackey(t)
                  : t->kind == CHAMPSIM ? next_champsim(t)
                                        : next_compact(t);
        if (!ok) {
            return false;
        }
    }
    *end = t->at == t->n;
    if (!*end) {
        *a = t->queue[t->at++];
    }
    return true;
}

/* ---------------------------------------------------------------- writing */

struct trace_writer {
    struct out *out;
    uint64_t previous[3], records;
    uint8_t buf[1 << 14];
    size_t n;
};

struct trace_writer *trace_create(const char *path)
{
    static const uint8_t header[16] = "DMTTRACE\1";
    struct out *out = out_open(path);

    if (out == NULL) {
        return NULL;
    }
    struct trace_writer *w = calloc(1, sizeof *w);
    if (w == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    w->out = out;
    out_write(out, header, sizeof header);
    return w;
}

static void put_record(struct trace_writer *w, uint8_t control, uint64_t value)
{
    if (w->n + 16 > sizeof w->buf) {
        out_write(w->out, w->buf, w->n);
        w->n = 0;
    }
    w->buf[w->n++] = control;
    do {
        w->buf[w->n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value != 0);
}

void trace_put(struct trace_writer *w, const struct access *a)
{
    uint64_t delta = a->va - w->previous[a->kind];

    w->previous[a->kind] = a->va;
    put_record(w, (uint8_t)(a->kind | (a->size & 63) << 2), delta << 1 ^ (~(delta >> 63) + 1));
    w->records++;
}

bool trace_commit(struct trace_writer *w)
{
    put_record(w, END_MARK, w->records);
    out_write(w->out, w->buf, w->n);
    bool ok = out_commit(w->out);
    free(w);
    return ok;
}

void trace_discard(struct trace_writer *w)
{
    out_discard(w->out);
    free(w);
}
