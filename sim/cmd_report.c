/* SPDX-License-Identifier: Apache-2.0
 * dmt report: what `dmt sim` measured, as tables, CSV and one HTML page. The
 * numbers are made here; sim/eval/report.py only draws and lays them out. */
#include "cmd.h"

#include "eval/summary.h"
#include "io.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    char *dir;
    const char *out, *csv;
};

static const char doc[] = "Bring the results of `dmt sim --out DIR` together: page-walk speedups of every "
                          "workload and design beside the "
                          "paper's on the terminal, and one self-contained HTML page with plots (needs "
                          "python3-matplotlib). Directories in "
                          "DIR that hold results, too, are variants of the machine and become its "
                          "sensitivity table; one named `default` is "
                          "what they are compared with, else DIR itself is.\v"
                          "Exit status: 0 success, 1 a walk that the RTL made otherwise, 2 bad input.\n\n"
                          "Example: dmt report build/eval --out page.html --csv results.csv";

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "The page (default DIR/report.html); \"none\": no page", 0},
    {"csv", 'c', "FILE", 0,
     "Every unit and design of DIR as a line of CSV; \"-\": to standard output, without tables", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;

    switch (key) {
    case 'o':
        o->out = arg;
        return 0;
    case 'c':
        o->csv = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->dir != NULL) {
            argp_error(a, "'%s' is one argument too many: expected one directory", arg);
        }
        o->dir = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->dir == NULL) {
            argp_error(a, "expected a directory of results");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {options, parse, "DIR", doc, NULL, NULL, NULL};

/* ---------------------------------------------------------------- page */

/* Beside the command when it is installed, else in the tree that it was built in, or that one is in. */
static bool find_script(char *to, size_t room)
{
    static const char *const place[] = {"../share/opendmt/report.py", "../sim/eval/report.py",
                                        "../../sim/eval/report.py"};
    char exe[400] = ".";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n > 0) {
        exe[n] = '\0';
        *strrchr(exe, '/') = '\0';
    }
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        snprintf(to, room, "%s/%s", exe, place[i]);
        if (access(to, R_OK) == 0) {
            return true;
        }
    }
    snprintf(to, room, "sim/eval/report.py");
    return access(to, R_OK) == 0;
}

/* Data from a file, so that neither end waits for the other; the page comes through a pipe and is put in
 * place by out. */
static bool draw(const char *script, FILE *data, struct out *page)
{
    char block[1 << 16];
    int pipes[2], status = 0;
    ssize_t n = 0;
    size_t bytes = 0;

    if (fseek(data, 0, SEEK_SET) != 0 || pipe(pipes) != 0) {
        say("cannot start the page's script: %s", strerror(errno));
        return false;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (dup2(fileno(data), 0) == 0 && lseek(0, 0, SEEK_SET) == 0 && dup2(pipes[1], 1) == 1) {
            close(pipes[0]);
            close(pipes[1]);
            execl("/usr/bin/python3", "python3", "-B", script, (char *)NULL);
        }
        _exit(127);
    }
    close(pipes[1]);
    while (child > 0 && ((n = read(pipes[0], block, sizeof block)) > 0 || (n < 0 && errno == EINTR))) {
        if (n > 0) {
            out_write(page, block, (size_t)n);
            bytes += (size_t)n;
        }
    }
    close(pipes[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child > 0 && WIFEXITED(status) && (WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 127)) {
        say("the page needs /usr/bin/python3 with Matplotlib (Debian: python3-matplotlib; --out none leaves "
            "it out)");
        return false;
    }
    if (child < 0 || n < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || bytes == 0) {
        say("%s made no page", script);
        return false;
    }
    return true;
}

static bool write_page(const char *path, const struct summary *s, const char *command)
{
    char script[512];
    FILE *data = tmpfile();
    struct out *page = NULL;
    bool ok = false;

    if (data == NULL) {
        say("cannot make a temporary file: %s", strerror(errno));
    } else if (!find_script(script, sizeof script)) {
        say("report.py is neither in share/opendmt beside the command nor in sim/eval; expected one of them");
    } else if (summary_json(s, command, data) && (page = out_open(path)) != NULL) {
        ok = draw(script, data, page);
    }
    if (data != NULL) {
        fclose(data);
    }
    if (!ok) {
        out_discard(page);
        return false;
    }
    return out_commit(page);
}

static bool write_csv(const char *path, const struct summary *s)
{
    struct out *o = out_open(path);

    if (o == NULL) {
        return false;
    }
    result_csv(o, (const struct result *const *)s->set.unit, s->set.n);
    return out_commit(o);
}

int cmd_report(int argc, char **argv)
{
    struct options o = {0};
    struct summary s;
    char page[1100], *command = NULL;
    size_t n;
    uint64_t bad;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    for (char *end = o.dir + strlen(o.dir); end > o.dir + 1 && end[-1] == '/';) {
        *--end = '\0'; /* a directory as people complete it */
    }
    if (!summary_read(o.dir, &s)) {
        summary_free(&s);
        return EXIT_BAD_INPUT;
    }
    snprintf(page, sizeof page, "%s/report.html", o.dir);
    const char *out = o.out != NULL ? o.out : page;
    bool tables = o.csv == NULL || strcmp(o.csv, "-") != 0;
    bool ok = true;
    if (tables) {
        summary_print(&s);
    }
    if (o.csv != NULL) {
        ok = write_csv(o.csv, &s);
    }
    if (ok && strcmp(out, "none") != 0) {
        FILE *f = need(open_memstream(&command, &n));
        fputs("dmt report", f);
        put_shell_word(f, o.dir);
        fputs(" --out", f);
        put_shell_word(f, out);
        ok = fclose(f) == 0;
        ok = write_page(out, &s, need(ok ? command : NULL));
        free(command);
        if (ok && tables && strcmp(out, "-") != 0) {
            printf("page: %s\n", out);
        }
    }
    summary_replayed(&s, &bad);
    summary_free(&s);
    if (fflush(stdout) != 0) {
        say("(standard output): cannot write");
        ok = false;
    }
    return !ok ? EXIT_BAD_INPUT : bad > 0 ? EXIT_CHECK : EXIT_OK;
}
