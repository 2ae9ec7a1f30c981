/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

void say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void *need(void *p)
{
    if (p == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    return p;
}

/* ---------------------------------------------------------------- signals */

#define TEMPS 8

static char *temp_path[TEMPS]; /* unfinished outputs, for the handler */
static volatile sig_atomic_t stop_flag, graceful;

static void on_signal(int sig)
{
    if (graceful && stop_flag == 0 && (sig == SIGINT || sig == SIGTERM)) {
        stop_flag = sig;
        return;
    }
    for (unsigned i = 0; i < TEMPS; i++) {
        if (temp_path[i] != NULL) {
            unlink(temp_path[i]);
        }
    }
    signal(sig, SIG_DFL);
    raise(sig);
}

void signals_install(void)
{
    static const int list[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct sigaction a = {.sa_handler = on_signal};

    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        struct sigaction old;
        if (sigaction(list[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaction(list[i], &a, NULL);
        }
    }
}

const volatile sig_atomic_t *signals_graceful(void)
{
    graceful = 1;
    return &stop_flag;
}

void signals_worker(pid_t parent)
{
    struct sigaction term;
    bool ignored = sigaction(SIGTERM, NULL, &term) == 0 && term.sa_handler == SIG_IGN;
    int end = ignored ? SIGKILL : SIGTERM;

    graceful = 0;
    /* The parent may have ended, or been asked to, before this process could be told. */
    if (prctl(PR_SET_PDEATHSIG, end) != 0 || getppid() != parent || stop_flag != 0) {
        raise(end);
    }
}

void signals_finish(void)
{
    int sig = stop_flag;

    if (sig != 0) {
        fflush(stdout);
        signal(sig, SIG_DFL);
        raise(sig);
    }
}

/* Change the handler's list with signals held back, so it never sees half of it. */
static bool temp_set(char *old, char *new)
{
    sigset_t all, before;
    bool done = false;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    for (unsigned i = 0; i < TEMPS && !done; i++) {
        if (temp_path[i] == old) {
            temp_path[i] = new;
            done = true;
        }
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return done;
}

/* ---------------------------------------------------------------- input */

#define IN_RAW (1u << 17)
#define IN_BUF (1u << 18)

struct in {
    const char *name;
    int fd;
    ZSTD_DStream *z; /* NULL: not compressed */
    size_t z_need;   /* what ZSTD_decompressStream said last: 0 at the end of a frame */
    bool raw_end;
    uint8_t *raw;
    size_t raw_at, raw_n;
    uint8_t *buf; /* decompressed data not yet taken: buf[at..n) */
    size_t at, n;
    uint64_t taken;
    uint64_t line_number;
    char *line;
    size_t line_room;
};

const char *in_name(const struct in *in)
{
    return in->name;
}

uint64_t in_offset(const struct in *in)
{
    return in->taken;
}

uint64_t in_line_number(const struct in *in)
{
    return in->line_number;
}

void in_say(const struct in *in, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fprintf(stderr, "%s: %s:%llu: ", program_invocation_short_name, in->name, (unsigned long long)in->line_number);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void in_say_offset(const struct in *in, uint64_t offset, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fprintf(stderr, "%s: %s: offset %llu: ", program_invocation_short_name, in->name, (unsigned long long)offset);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
}

/* Read more of the file into raw. */
static bool fill_raw(struct in *in)
{
    if (in->raw_at < in->raw_n || in->raw_end) {
        return true;
    }
    ssize_t got;
    do {
        got = read(in->fd, in->raw, IN_RAW);
    } while (got < 0 && errno == EINTR && !stop_flag);
    if (got < 0) {
        say("%s: cannot read: %s", in->name, strerror(errno));
        return false;
    }
    in->raw_at = 0;
    in->raw_n = (size_t)got;
    in->raw_end = got == 0;
    return true;
}

/* Make buf hold at least `want` (<= 4096) bytes, or all that is left. */
static bool fill(struct in *in, size_t want)
{
    if (in->n - in->at >= want) {
        return true;
    }
    memmove(in->buf, in->buf + in->at, in->n - in->at);
    in->n -= in->at;
    in->at = 0;
    while (in->n < want) {
        if (!fill_raw(in)) {
            return false;
        }
        if (in->z == NULL) {
            size_t have = in->raw_n - in->raw_at;
            if (have == 0) {
                return true;
            }
            have = have < IN_BUF - in->n ? have : IN_BUF - in->n;
            memcpy(in->buf + in->n, in->raw + in->raw_at, have);
            in->raw_at += have;
            in->n += have;
            continue;
        }
        ZSTD_inBuffer from = {in->raw, in->raw_n, in->raw_at};
        ZSTD_outBuffer to = {in->buf, IN_BUF, in->n};
        if (in->raw_end && in->z_need == 0) {
            return true;
        }
        size_t before = in->n;
        in->z_need = ZSTD_decompressStream(in->z, &to, &from);
        in->raw_at = from.pos;
        in->n = to.pos;
        if (ZSTD_isError(in->z_need)) {
            in_say_offset(in, in->taken + in->n, "damaged zstd data: %s", ZSTD_getErrorName(in->z_need));
            return false;
        }
        if (in->raw_end && in->n == before && in->z_need != 0) {
            in_say_offset(in, in->taken + in->n, "compressed data ends early (cut file?)");
            return false;
        }
    }
    return true;
}

struct in *in_open(const char *path)
{
    bool std = strcmp(path, "-") == 0;
    int fd = std ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        say("%s: cannot open: %s", path, fd >= 0 && S_ISDIR(st.st_mode) ? "is a folder" : strerror(errno));
        if (fd >= 0 && !std) {
            close(fd);
        }
        return NULL;
    }
    struct in *in = calloc(1, sizeof *in);
    if (in == NULL || (in->raw = malloc(IN_RAW)) == NULL || (in->buf = malloc(IN_BUF)) == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    in->name = std ? "(standard input)" : path;
    in->fd = fd;
    if (!fill_raw(in)) {
        in_close(in);
        return NULL;
    }
    /* A pipe may hand over fewer than four bytes at first. */
    while (in->raw_n > 0 && in->raw_n < 4) {
        ssize_t got = read(fd, in->raw + in->raw_n, 1);
        if (got <= 0) {
            break;
        }
        in->raw_n += (size_t)got;
    }
    if (in->raw_n >= 4 && memcmp(in->raw, "\x28\xb5\x2f\xfd", 4) == 0) {
        in->z = ZSTD_createDStream();
        if (in->z == NULL) {
            say("out of memory");
            exit(EXIT_BAD_INPUT);
        }
        in->z_need = 1;
    }
    return in;
}

void in_close(struct in *in)
{
    if (in == NULL) {
        return;
    }
    if (in->fd != STDIN_FILENO) {
        close(in->fd);
    }
    ZSTD_freeDStream(in->z);
    free(in->raw);
    free(in->buf);
    free(in->line);
    free(in);
}

bool in_peek(struct in *in, const uint8_t **at, size_t n, size_t *got)
{
    if (!fill(in, n)) {
        return false;
    }
    *at = in->buf + in->at;
    *got = in->n - in->at < n ? in->n - in->at : n;
    return true;
}

bool in_read(struct in *in, void *to, size_t n, size_t *got)
{
    uint8_t *p = to;

    *got = 0;
    while (*got < n) {
        if (!fill(in, 1)) {
            return false;
        }
        size_t have = in->n - in->at;
        if (have == 0) {
            break;
        }
        have = have < n - *got ? have : n - *got;
        memcpy(p + *got, in->buf + in->at, have);
        in->at += have;
        in->taken += have;
        *got += have;
    }
    return true;
}

bool in_line(struct in *in, char **line)
{
    size_t n = 0;

    *line = NULL;
    for (;;) {
        if (!fill(in, 1)) {
            return false;
        }
        size_t have = in->n - in->at;
        const uint8_t *end = have == 0 ? NULL : memchr(in->buf + in->at, '\n', have);
        size_t take = end != NULL ? (size_t)(end - (in->buf + in->at)) : have;
        if (n + take + 1 > in->line_room) {
            in->line_room = (n + take + 1) * 2;
            in->line = realloc(in->line, in->line_room);
            if (in->line == NULL) {
                say("out of memory");
                exit(EXIT_BAD_INPUT);
            }
        }
        memcpy(in->line + n, in->buf + in->at, take);
        n += take;
        in->at += take + (end != NULL);
        in->taken += take + (end != NULL);
        if (end != NULL) {
            break;
        }
        if (have == 0) {
            if (n == 0) {
                return true;
            }
            break;
        }
    }
    in->line_number++;
    if (n > 0 && in->line[n - 1] == '\r') {
        n--;
    }
    in->line[n] = '\0';
    if (memchr(in->line, '\0', n) != NULL) {
        in_say(in, "a zero byte in a text file");
        return false;
    }
    *line = in->line;
    return true;
}

/* ---------------------------------------------------------------- output */

struct out {
    char *path, *temp; /* temp NULL: written in place (standard output, devices) */
    FILE *file;
    ZSTD_CStream *z;
    bool failed;
    int error;
};

static void out_free(struct out *out)
{
    if (out->temp != NULL) {
        temp_set(out->temp, NULL);
    }
    ZSTD_freeCStream(out->z);
    free(out->path);
    free(out->temp);
    free(out);
}

struct out *out_open(const char *path)
{
    struct out *out = calloc(1, sizeof *out);
    struct stat st;
    size_t n = strlen(path);

    if (out == NULL || (out->path = strdup(path)) == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    if (strcmp(path, "-") == 0) {
        out->file = stdout;
    } else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        out->file = fopen(path, "w"); /* a device or pipe must not be replaced by a file */
    } else {
        out->temp = malloc(n + 12);
        if (out->temp == NULL) {
            say("out of memory");
            exit(EXIT_BAD_INPUT);
        }
        snprintf(out->temp, n + 12, "%s.tmp.XXXXXX", path);
        int fd = mkstemp(out->temp);
        if (fd >= 0) {
            mode_t mask = umask(0);
            umask(mask);
            fchmod(fd, 0666 & ~mask);
            out->file = fdopen(fd, "w");
            temp_set(NULL, out->temp);
        }
    }
    if (out->file == NULL) {
        say("%s: cannot write: %s", path, strerror(errno));
        out_free(out);
        return NULL;
    }
    if (n > 4 && strcmp(path + n - 4, ".zst") == 0) {
        out->z = ZSTD_createCStream();
        if (out->z == NULL || ZSTD_isError(ZSTD_initCStream(out->z, 19))) {
            say("out of memory");
            exit(EXIT_BAD_INPUT);
        }
    }
    return out;
}

static void put(struct out *out, const void *from, size_t n)
{
    if (!out->failed && fwrite(from, 1, n, out->file) != n) {
        out->failed = true;
        out->error = errno;
    }
}

static void put_compressed(struct out *out, const void *from, size_t n, ZSTD_EndDirective end)
{
    uint8_t block[1 << 14];
    ZSTD_inBuffer src = {from, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer dst = {block, sizeof block, 0};
        left = ZSTD_compressStream2(out->z, &dst, &src, end);
        put(out, block, dst.pos);
    } while (!ZSTD_isError(left) && (src.pos < n || (end == ZSTD_e_end && left != 0)));
}

void out_write(struct out *out, const void *from, size_t n)
{
    if (out->z != NULL) {
        put_compressed(out, from, n, ZSTD_e_continue);
    } else {
        put(out, from, n);
    }
}

void out_printf(struct out *out, const char *format, ...)
{
    va_list ap;
    char small[512], *text = small;

    va_start(ap, format);
    int n = vsnprintf(small, sizeof small, format, ap);
    va_end(ap);
    if (n >= (int)sizeof small) {
        text = malloc((size_t)n + 1);
        if (text == NULL) {
            say("out of memory");
            exit(EXIT_BAD_INPUT);
        }
        va_start(ap, format);
        vsnprintf(text, (size_t)n + 1, format, ap);
        va_end(ap);
    }
    out_write(out, text, (size_t)n);
    if (text != small) {
        free(text);
    }
}

bool out_commit(struct out *out)
{
    if (out->z != NULL) {
        put_compressed(out, NULL, 0, ZSTD_e_end);
    }
    bool ok = !out->failed && fflush(out->file) == 0;
    int error = out->failed ? out->error : errno;
    if (out->file != stdout && fclose(out->file) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok && out->temp != NULL && rename(out->temp, out->path) != 0) {
        ok = false;
        error = errno;
    }
    if (!ok) {
        say("%s: cannot write: %s", strcmp(out->path, "-") == 0 ? "(standard output)" : out->path,
            strerror(error));
        if (out->temp != NULL) {
            unlink(out->temp);
        }
    }
    out_free(out);
    return ok;
}

void out_discard(struct out *out)
{
    if (out == NULL) {
        return;
    }
    if (out->file != stdout) {
        fclose(out->file);
    }
    if (out->temp != NULL) {
        unlink(out->temp);
    }
    out_free(out);
}

bool file_mark(const char *path, char mark[FILE_MARK])
{
    uint64_t bytes = 0;
    uLong crc = crc32(0, NULL, 0);
    struct stat st;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        say("%s: cannot open: %s", path, fd < 0 ? strerror(errno) : "expected a regular file, which can be read again");
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    uint8_t *block = need(malloc(IN_RAW));
    while ((got = read(fd, block, IN_RAW)) > 0 || (got < 0 && errno == EINTR && !stop_flag)) {
        if (got > 0) {
            crc = crc32(crc, block, (uInt)got);
            bytes += (uint64_t)got;
        }
    }
    if (got < 0) {
        say("%s: cannot read: %s", path, strerror(errno));
    }
    free(block);
    close(fd);
    snprintf(mark, FILE_MARK, "%08lx.%" PRIu64, crc, bytes);
    return got == 0;
}

bool make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) {
        return true;
    }
    say("%s: cannot write: %s", path, strerror(errno));
    return false;
}

/* ---------------------------------------------------------------- text */

static bool parse(const char *text, unsigned base, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        unsigned c = (unsigned char)*text, digit;
        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if ((c | 32u) >= 'a' && (c | 32u) <= 'f') {
            digit = (c | 32u) - 'a' + 10;
        } else {
            return false;
        }
        if (digit >= base || digit > max || v > (max - digit) / base) {
            return false;
        }
        v = v * base + digit;
    }
    *value = v;
    return true;
}

void put_shell_word(FILE *to, const char *word)
{
    bool plain = *word != '\0' && word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                    "0123456789%+,-./:=@_")] == '\0';

    if (plain) {
        fprintf(to, " %s", word);
        return;
    }
    fputs(" '", to);
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            fputs("'\\''", to); /* an apostrophe is outside of the quotes */
        } else {
            fputc(*word, to);
        }
    }
    fputc('\'', to);
}

bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = list; p != NULL; p = strchr(p, ',') != NULL ? strchr(p, ',') + 1 : NULL) {
        if (strncmp(p, name, n) == 0 && (p[n] == '\0' || p[n] == ',')) {
            return true;
        }
    }
    return false;
}

bool parse_hex(const char *text, uint64_t max, uint64_t *value)
{
    if (text[0] == '0' && (text[1] | 32) == 'x') {
        text += 2;
    }
    return parse(text, 16, max, value);
}

bool parse_decimal(const char *text, uint64_t max, uint64_t *value)
{
    return parse(text, 10, max, value);
}

uint64_t load64(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned i = 8; i-- > 0;) {
        v = v << 8 | p[i];
    }
    return v;
}

void store64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> 8 * i);
    }
}
