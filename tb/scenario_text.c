/* SPDX-License-Identifier: Apache-2.0
 * Scenario texts: the built-in ones, and reading them. */
#include "tb/scenario.h"

#include "dmt/regs.h"
#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------ keys */

enum kind { NUMBER, FLAG, WORD };

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
    unsigned lo, hi;
    const char *const *words; /* WORD: the value is the position + lo */
    const char *what;
};

static const char *const modes[] = {"native", "virt", "nested", NULL};
static const char *const formats[] = {"ept", "npt", NULL};
static const char *const thps[] = {"never", "always", NULL};

#define AT(member) offsetof(struct scenario, member)
static const struct key keys[] = {
    {"mode", WORD, AT(mode), DMT_MODE_NATIVE, 0, modes,
     "where programs run: on the host, in guests, in a guest's guest"},
    {"threads", NUMBER, AT(threads), 1, DMT_THREADS_MAX, NULL, "hardware threads, each with an MMU"},
    {"frames", NUMBER, AT(frames), 1024, 1u << 26, NULL, "host memory, in frames of 4 KiB"},
    {"fragment", NUMBER, AT(fragment), 0, 100, NULL,
     "per cent of free host memory that is of no use for 2 MiB pages"},
    {"guests", NUMBER, AT(guests), 1, 8, NULL, "machines (virt)"},
    {"hostile", NUMBER, AT(hostile), 0, 1, NULL, "one more machine, that does anything it can"},
    {"guest_frames", NUMBER, AT(guest_frames), 1024, 1u << 24, NULL, "RAM of each machine"},
    {"inner_frames", NUMBER, AT(inner_frames), 1024, 1u << 24, NULL, "RAM of the machine inside (nested)"},
    {"format", WORD, AT(format), DMT_SPACE_EPT, 0, formats, "second-stage tables"},
    {"guest_levels", NUMBER, AT(guest_levels), 4, 5, NULL, "their levels"},
    {"ept_ad", FLAG, AT(ept_ad), 0, 1, NULL, "EPT accessed and dirty flags"},
    {"guest_huge", FLAG, AT(guest_huge), 0, 1, NULL, "back machines with 2 MiB pages where possible"},
    {"pv", FLAG, AT(pv), 0, 1, NULL, "guest TEAs in host memory (pvDMT)"},
    {"shadow", FLAG, AT(shadow), 0, 1, NULL, "nested: fall back on a shadow table"},
    {"levels", NUMBER, AT(os.levels), 4, 5, NULL, "of page tables"},
    {"pcid", FLAG, AT(os.pcid), 0, 1, NULL, "process-context identifiers"},
    {"set_load", FLAG, AT(os.set_load), 0, 1, NULL, "registers loaded as a set"},
    {"thp", WORD, AT(os.thp), DMT_THP_NEVER, 0, thps, "transparent huge pages"},
    {"promote_percent", NUMBER, AT(os.promote_percent), 1, 100, NULL, "khugepaged: least part mapped"},
    {"tea", FLAG, AT(os.tea.enabled), 0, 1, NULL, "TEAs at all"},
    {"tea.registers", NUMBER, AT(os.tea.registers), 1, DMT_TEA_MAX, NULL, "TEA registers used"},
    {"tea.bubble_percent", NUMBER, AT(os.tea.bubble_percent), 0, 100, NULL, "clusters: most bubbles"},
    {"tea.present_percent", NUMBER, AT(os.tea.present_percent), 0, 100, NULL,
     "TEAs of smaller page sizes where so many tables are, 0: wherever they may come"},
    {"tea.growth", NUMBER, AT(os.tea.growth), 1, 16, NULL,
     "a TEA that moves for growing becomes so much larger"},
    {"tea.halvings", NUMBER, AT(os.tea.halvings), 0, 16, NULL, "splits when memory is not contiguous"},
    {"tea.background", NUMBER, AT(os.tea.background), 0, 65536, NULL, "leaf tables moved a step, 0: all"},
    {"processes", NUMBER, AT(processes), 1, 64, NULL, "of a kernel, at most"},
    {"areas", NUMBER, AT(areas), 1, 4096, NULL, "of a process, at most"},
    {"area_min", NUMBER, AT(area_min), 1, 1u << 24, NULL, "pages of a new area, from"},
    {"area_max", NUMBER, AT(area_max), 1, 1u << 24, NULL, "to"},
    {"files", NUMBER, AT(files), 0, 100, NULL, "per cent of areas that map files"},
    {"shared", NUMBER, AT(shared), 0, 100, NULL, "per cent of areas that are shared"},
    {"hugetlb", NUMBER, AT(hugetlb), 0, 100, NULL, "per cent of areas of reserved 2 MiB pages"},
    {"accesses", NUMBER, AT(accesses), 0, 10000, NULL, "between two operations"},
    {"writes", NUMBER, AT(writes), 0, 100, NULL, "per cent of accesses"},
    {"fetches", NUMBER, AT(fetches), 0, 100, NULL, "per cent of accesses"},
    {"stray", NUMBER, AT(stray), 0, 100, NULL, "per cent of accesses, outside of areas"},
    {"hot", NUMBER, AT(hot), 0, 100, NULL, "per cent of accesses, to 64 pages of a process"},
    {"fits", NUMBER, AT(fits), 0, 100, NULL, "per cent of walks that TEAs must serve in every stage, 0: any"},
#define X(name, text) {"mix." #name, NUMBER, AT(weight[OP_##name]), 0, 1000, NULL, "weight: " text},
    SCENARIO_OP_LIST(X)
#undef X
};
#define KEYS (sizeof keys / sizeof *keys)

const char *scenario_keys(void)
{
    static char text[8192];
    size_t n = 0;

    for (size_t i = 0; i < KEYS && n < sizeof text; i++) {
        const struct key *k = &keys[i];
        char range[64] = "on, off";
        if (k->kind == NUMBER) {
            snprintf(range, sizeof range, "%u to %u", k->lo, k->hi);
        } else if (k->kind == WORD) {
            int m = 0;
            for (const char *const *w = k->words; *w != NULL; w++) {
                m += snprintf(range + m, sizeof range - (size_t)m, "%s%s", m > 0 ? ", " : "", *w);
            }
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "  %-20s %s (%s)\n", k->name, k->what, range);
    }
    return text;
}

/* One value. NULL or what is wrong. */
static const char *set(struct scenario *s, const struct key *k, const char *value)
{
    static char why[192];
    void *to = (char *)s + k->offset;
    char *end;

    if (k->kind == FLAG) {
        bool on = strcmp(value, "on") == 0;
        if (!on && strcmp(value, "off") != 0) {
            snprintf(why, sizeof why, "%s: '%.40s' is not on or off", k->name, value);
            return why;
        }
        *(bool *)to = on;
        return NULL;
    }
    if (k->kind == WORD) {
        int n = snprintf(why, sizeof why, "%s: '%.40s' is not one of", k->name, value);
        for (unsigned i = 0; k->words[i] != NULL; i++) {
            if (strcmp(k->words[i], value) == 0) {
                *(unsigned *)to = k->lo + i;
                return NULL;
            }
            n += snprintf(why + n, sizeof why - (size_t)n, " %s", k->words[i]);
        }
        return why;
    }
    unsigned long number = isdigit((unsigned char)*value) ? strtoul(value, &end, 10) : ULONG_MAX;
    if (!isdigit((unsigned char)*value) || *end != '\0' || number < k->lo || number > k->hi) {
        snprintf(why, sizeof why, "%s: '%.40s' is not a number from %u to %u", k->name, value, k->lo, k->hi);
        return why;
    }
    *(unsigned *)to = (unsigned)number;
    return NULL;
}

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

/* What no single key can say. */
static const char *consistent(const struct scenario *s)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < OPS; i++) {
        sum += s->weight[i];
    }
    if (sum == 0) {
        return "no mix.* has a weight: expected at least one";
    }
    if (s->area_min > s->area_max) {
        return "area_min is above area_max";
    }
    if (s->writes + s->fetches > 100) {
        return "writes and fetches are more than 100 per cent together";
    }
    if (s->stray + s->hot > 100) {
        return "stray and hot are more than 100 per cent together";
    }
    if (s->mode == DMT_MODE_NATIVE && s->hostile > 0) {
        return "hostile: expected mode virt or nested";
    }
    if (s->mode != DMT_MODE_NATIVE &&
        (uint64_t)s->guest_frames * (s->mode == DMT_MODE_NESTED ? 1 : s->guests) > s->frames / 4 * 3) {
        return "guest_frames of all guests are more than three quarters of frames";
    }
    if (s->mode == DMT_MODE_NESTED && s->inner_frames > s->guest_frames / 4 * 3) {
        return "inner_frames is more than three quarters of guest_frames";
    }
    return NULL;
}

const char *scenario_parse(const char *text, const char *name, struct scenario *s)
{
    static char why[256];
    bool seen[KEYS] = {false};
    unsigned number = 0;
    const char *wrong = NULL;

    *s = (struct scenario){.mode = DMT_MODE_NATIVE,
                           .threads = 2,
                           .frames = 16384,
                           .guests = 1,
                           .guest_frames = 4096,
                           .inner_frames = 2048,
                           .format = DMT_SPACE_EPT,
                           .guest_levels = 4,
                           .ept_ad = true,
                           .guest_huge = true,
                           .pv = true,
                           .shadow = true,
                           .os = dmt_os_options_default(),
                           .processes = 4,
                           .areas = 12,
                           .area_min = 1,
                           .area_max = 1024,
                           .accesses = 16,
                           .writes = 30,
                           .hot = 30};
    snprintf(s->name, sizeof s->name, "%s", name);
    while (*text != '\0') {
        char line[256], *value;
        size_t n = strcspn(text, "\n");
        number++;
        if (n >= sizeof line) {
            snprintf(why, sizeof why, "line %u: longer than %zu characters", number, sizeof line - 1);
            return why;
        }
        memcpy(line, text, n);
        line[n] = '\0';
        text += n + (text[n] == '\n');
        line[strcspn(line, "#")] = '\0';
        char *key = trim(line);
        if (*key == '\0') {
            continue;
        }
        value = strchr(key, '=');
        if (value == NULL) {
            snprintf(why, sizeof why, "line %u: expected key = value", number);
            return why;
        }
        *value++ = '\0';
        key = trim(key);
        value = trim(value);
        size_t i = 0;
        while (i < KEYS && strcmp(keys[i].name, key) != 0) {
            i++;
        }
        if (i == KEYS) {
            snprintf(why, sizeof why, "line %u: unknown key '%.40s'", number, key);
            return why;
        }
        if (seen[i]) {
            snprintf(why, sizeof why, "line %u: %s is given twice", number, key);
            return why;
        }
        seen[i] = true;
        wrong = set(s, &keys[i], value);
        if (wrong != NULL) {
            snprintf(why, sizeof why, "line %u: %s", number, wrong);
            return why;
        }
    }
    return consistent(s);
}

/* ------------------------------------------------------------ built-in ones */

const struct scenario_text scenario_texts[] = {
    {"database", "a few processes whose heaps grow, under reclaim, on two threads",
     "# A buffer pool that grows, a log that is appended to, few other areas.\n"
     "threads = 2\nframes = 32768\nprocesses = 2\nareas = 6\narea_min = 64\narea_max = 512\n"
     "accesses = 40\nwrites = 40\nhot = 40\nfits = 99\n"
     "mix.map = 4\nmix.grow = 30\nmix.shrink = 2\nmix.unmap = 2\nmix.protect = 2\nmix.switch = "
     "6\nmix.reclaim = 10\n"
     "mix.khugepaged = 4\nmix.spawn = 1\nmix.dirty = 4\n"},
    {"fork-server", "a parent that forks children which write and end",
     "threads = 3\nframes = 32768\nprocesses = 12\nareas = 8\narea_min = 16\narea_max = 1200\n"
     "accesses = 24\nwrites = 50\nhot = 30\nshared = 20\nfiles = 20\n"
     "mix.map = 6\nmix.unmap = 3\nmix.spawn = 2\nmix.fork = 20\nmix.exit = 18\nmix.switch = 40\nmix.race = "
     "8\n"
     "mix.protect = 4\nmix.remap = 2\n"},
    {"mapped-files", "a thousand areas of files, far more than registers",
     "threads = 2\nframes = 65536\nprocesses = 2\nareas = 1065\narea_min = 4\narea_max = 64\nfiles = "
     "90\nshared = 40\n"
     "accesses = 12\nwrites = 20\nhot = 10\n"
     "mix.map = 60\nmix.unmap = 12\nmix.protect = 6\nmix.remap = 6\nmix.switch = 6\nmix.reclaim = "
     "6\nmix.spawn = 1\n"
     "mix.dirty = 2\n"},
    {"thp-churn", "pages are promoted and split all the time",
     "threads = 2\nframes = 65536\nprocesses = 3\nareas = 8\narea_min = 512\narea_max = 4096\n"
     "accesses = 24\nwrites = 40\nhot = 20\npromote_percent = 5\nhugetlb = 10\nfits = 99\n"
     "mix.map = 8\nmix.unmap = 4\nmix.protect = 8\nmix.promote = 30\nmix.demote = 30\nmix.khugepaged = 10\n"
     "mix.reclaim = 6\nmix.remap = 6\nmix.fork = 2\nmix.exit = 2\nmix.switch = 8\nmix.spawn = 2\n"},
    {"fragmented-host", "guests on a host whose memory is in pieces",
     "mode = virt\nthreads = 2\nframes = 65536\nfragment = 90\nguests = 2\nguest_frames = 12288\n"
     "processes = 4\nareas = 10\narea_min = 64\narea_max = 2048\n"
     "accesses = 24\nwrites = 40\nhot = 20\n"
     "mix.map = 12\nmix.unmap = 6\nmix.grow = 12\nmix.protect = 4\nmix.remap = 4\nmix.fork = 2\nmix.exit = "
     "2\n"
     "mix.switch = 10\nmix.reclaim = 4\nmix.spawn = 2\nmix.move = 8\nmix.balloon = 4\nmix.tenant = "
     "6\nmix.promote = 4\n"
     "mix.demote = 4\n"},
    {"nested-tenants", "a guest's guest beside a hostile guest",
     "mode = nested\nthreads = 2\nframes = 65536\nguests = 1\nhostile = 1\nguest_frames = "
     "24576\ninner_frames = 12288\n"
     "processes = 3\nareas = 8\narea_min = 64\narea_max = 2048\n"
     "accesses = 24\nwrites = 40\nhot = 20\n"
     "mix.map = 12\nmix.unmap = 6\nmix.grow = 8\nmix.protect = 4\nmix.fork = 2\nmix.exit = 2\nmix.switch = "
     "10\n"
     "mix.spawn = 2\nmix.promote = 4\nmix.demote = 4\nmix.tenant = 10\nmix.hostile = 30\nmix.revoke = 1\n"},
    {"live-migration",
     "a guest whose written frames the host collects, while it moves others and takes gTEAs back",
     "mode = virt\nthreads = 2\nframes = 65536\nguests = 2\nguest_frames = 16384\nformat = npt\n"
     "processes = 3\nareas = 8\narea_min = 64\narea_max = 2048\n"
     "accesses = 32\nwrites = 60\nhot = 40\n"
     "mix.map = 10\nmix.unmap = 6\nmix.grow = 8\nmix.fork = 2\nmix.exit = 2\nmix.switch = 8\nmix.spawn = 2\n"
     "mix.track = 12\nmix.move = 12\nmix.balloon = 2\nmix.revoke = 2\nmix.tenant = 6\nmix.reclaim = 4\n"},
    {NULL, NULL, NULL}};
