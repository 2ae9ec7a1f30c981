/* SPDX-License-Identifier: Apache-2.0
 * Input and output of the dmt command: streams that are zstd-compressed or
 * not, outputs that appear whole or not at all, errors, and signals. */
#ifndef SIM_IO_H
#define SIM_IO_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit codes of every command. */
enum { EXIT_OK = 0, EXIT_CHECK = 1, EXIT_BAD_INPUT = 2 };

/** One line on stderr: the program's name and the text. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** p, or the end of the program with "out of memory" when it is NULL. */
void *need(void *p);

/* ------------------------------------------------------------ signals */

/** Remove unfinished outputs when SIGINT, SIGTERM, SIGHUP or SIGPIPE ends the
 * process, which keeps the usual signal status. */
void signals_install(void);
/** From now on the first SIGINT or SIGTERM only raises the returned flag, so
 * that a long run can end by itself; a second one ends the process. */
const volatile sig_atomic_t *signals_graceful(void);
/** For a process that was forked from one with signals_graceful: the first signal ends it again, and so does
 * the end of its parent, however that comes. Unfinished outputs are removed. */
void signals_worker(pid_t parent);
/** End by the signal that raised the flag, if one did. */
void signals_finish(void);

/* ------------------------------------------------------------ input */

struct in;

/** Open a file, "-" for standard input; zstd-compressed data is told by its
 * first bytes. NULL after saying why. */
struct in *in_open(const char *path);
void in_close(struct in *in);
const char *in_name(const struct in *in);
/** Bytes taken so far, of the data as decompressed. */
uint64_t in_offset(const struct in *in);
/** Read up to n bytes; fewer only at the end. False after saying why on a
 * read error or damaged compression. */
bool in_read(struct in *in, void *to, size_t n, size_t *got);
/** The next bytes without taking them, at most n and at most 4096. */
bool in_peek(struct in *in, const uint8_t **at, size_t n, size_t *got);
/** Next line without its line end, NUL-terminated, valid until the next call;
 * *line NULL at the end of the data. A NUL byte inside is an error. */
bool in_line(struct in *in, char **line);
/** Number of the line that in_line gave last, from 1. */
uint64_t in_line_number(const struct in *in);
/** "file:line: text" on stderr. */
void in_say(const struct in *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** "file: offset N: text" on stderr. */
void in_say_offset(const struct in *in, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ------------------------------------------------------------ output */

struct out;

/** Open for writing; "-" is standard output. A regular file is written under a
 * temporary name beside it and renamed by out_commit. Compressed when the name
 * ends in ".zst". NULL after saying why. */
struct out *out_open(const char *path);
void out_write(struct out *out, const void *from, size_t n);
void out_printf(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Finish: everything is written and in place. False after saying why; the
 * file is then as it was before. Frees out. */
bool out_commit(struct out *out);
/** Give up: nothing stays. Frees out; NULL is allowed. */
void out_discard(struct out *out);
enum { FILE_MARK = 32 }; /**< bytes of a mark, with its NUL */
/** What a regular file holds, as its CRC-32 and its length in bytes: "cbf43926.9". False after saying why. */
bool file_mark(const char *path, char mark[FILE_MARK]);
/** Make a folder, unless it is there. False after saying why. */
bool make_folder(const char *path);

/* ------------------------------------------------------------ text */

/** A word of a command as a shell reads it, quoted where it must be, with a blank before it. */
void put_shell_word(FILE *to, const char *word);
/** Is the name in a list of names with commas between? */
bool in_list(const char *list, const char *name);
/** A number in hex, 0x optional, at most `max`. False: not one. */
bool parse_hex(const char *text, uint64_t max, uint64_t *value);
/** A decimal number, at most `max`. */
bool parse_decimal(const char *text, uint64_t max, uint64_t *value);
/** Little-endian 64-bit word. */
uint64_t load64(const uint8_t *p);
void store64(uint8_t *p, uint64_t v);

#endif
