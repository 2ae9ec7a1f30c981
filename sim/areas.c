/* SPDX-License-Identifier: Apache-2.0 */
#include "areas.h"

#include "io.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct areas *a, uint64_t start, uint64_t end, uint8_t rights)
{
    a->vma = realloc(a->vma, (a->n + 1) * sizeof *a->vma);
    a->rights = realloc(a->rights, a->n + 1);
    if (a->vma == NULL || a->rights == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    a->vma[a->n] = (struct dmt_vma){start >> 12, (end - start) >> 12};
    a->rights[a->n++] = rights;
}

/* "start-end perms ...": false with a message when it is not. */
static bool parse_area(const struct in *in, char *line, struct areas *a)
{
    char *minus = strchr(line, '-'), *space = strchr(line, ' ');
    uint64_t start, end;

    if (minus == NULL || space == NULL || minus > space || strlen(space) < 5) {
        in_say(in, "expected start-end perms as in /proc/PID/maps");
        return false;
    }
    *minus = *space = '\0';
    if (!parse_hex(line, UINT64_MAX, &start) || !parse_hex(minus + 1, UINT64_MAX, &end) || start >= end ||
        ((start | end) & 0xfff) != 0) {
        in_say(in, "area '%.20s-%.20s' is not a range of whole pages", line, minus + 1);
        return false;
    }
    const char *perms = space + 1;
    if (strspn(perms, "rwxps-") < 4) {
        in_say(in, "'%.4s' are not permissions as in /proc/PID/maps", perms);
        return false;
    }
    if (start >> 63 == 0) {
        add(a, start, end,
            (uint8_t)((perms[1] == 'w' ? 1 : 0) | (perms[2] == 'x' ? 4 : 0) | (perms[0] == 'r' ? 8 : 0)));
    }
    return true;
}

bool maps_read(const char *path, uint64_t pid, struct areas *a)
{
    struct in *in = in_open(path);
    bool ok = true, wanted = pid == 0, found = pid == 0;
    char *line;

    *a = (struct areas){0};
    if (in == NULL) {
        return false;
    }
    while (ok && (ok = in_line(in, &line)) && line != NULL) {
        unsigned long long section;
        if (sscanf(line, "# pid %llu", &section) == 1 && pid != 0) {
            wanted = section == pid;
            found = found || wanted;
        } else if (line[0] != '#' && line[0] != '\0' && wanted) {
            ok = parse_area(in, line, a);
        }
    }
    if (ok && !found) {
        say("%s: no section '# pid %" PRIu64 "'", in_name(in), pid);
        ok = false;
    } else if (ok && a->n == 0) {
        say("%s: no areas", in_name(in));
        ok = false;
    }
    in_close(in);
    if (!ok) {
        areas_free(a);
    }
    return ok;
}

void areas_free(struct areas *a)
{
    free(a->vma);
    free(a->rights);
    *a = (struct areas){0};
}
