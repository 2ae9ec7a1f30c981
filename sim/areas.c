/* SPDX-License-Identifier: Apache-2.0 */
#include "areas.h"

#include "dmt/regs.h"
#include "io.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUBBLE_PERCENT 2u                /* paper, section 4.2.1 */
#define TEA_FRAMES_MAX UINT64_C(0x40000) /* 1 GiB of TEAs maps 512 GiB in 4 KiB pages: ample */

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

struct top {
    unsigned maxpa;
    uint64_t pfn; /* first frame above everything seen */
};

static bool see(void *user, unsigned level, uint64_t va, uint64_t addr, uint64_t entry)
{
    struct top *top = user;
    bool leaf = level == 1 || (level <= 3 && (entry & DMT_PTE_PS) != 0);
    uint64_t bytes = leaf ? dmt_level_bytes(level) : 4096;
    uint64_t end = ((entry & DMT_PTE_FRAME & ~(bytes - 1)) + bytes) >> 12;

    (void)va, (void)addr;
    if (end > top->pfn && end <= UINT64_C(1) << (top->maxpa - 12)) {
        top->pfn = end;
    }
    return true;
}

bool areas_layout(struct dmt_mem *mem, struct dmt_state *state, const struct areas *a, unsigned registers,
                  uint64_t tea_base, struct dmt_tea_report *report)
{
    const struct dmt_level *l = &state->level[0];
    struct dmt_table t = {mem, (l->cr3 & DMT_PTE_FRAME) >> 12,
                          (l->cr4 & DMT_LEVEL_CR4_LA57_MASK) != 0 ? 5 : 4};
    struct dmt_pool pool = {mem, tea_base, UINT64_C(1) << (state->maxpa - 12)};
    uint64_t va;
    unsigned index;

    if (tea_base == 0) {
        /* No frame that is in use: what is present, and what the root maps; a
         * kernel's direct map makes that all of its memory. */
        struct top top = {.maxpa = state->maxpa};
        size_t n = dmt_mem_count(mem);
        uint64_t *pfn = malloc((n + 1) * sizeof *pfn);
        if (pfn == NULL) {
            say("out of memory");
            return false;
        }
        dmt_mem_list(mem, pfn);
        top.pfn = n > 0 ? pfn[n - 1] + 1 : 0;
        free(pfn);
        dmt_table_each(&t, 0, UINT64_MAX, see, &top);
        pool.next = (top.pfn + 511) & ~UINT64_C(511);
    }
    if (pool.limit > pool.next + TEA_FRAMES_MAX) {
        pool.limit = pool.next + TEA_FRAMES_MAX;
    }
    struct dmt_tea_options o = {.registers = registers,
                                .bubble_percent = BUBBLE_PERCENT,
                                .maxpa = state->maxpa,
                                .nxe = (l->efer & DMT_LEVEL_EFER_NXE_MASK) != 0,
                                .frames = {&pool, dmt_pool_alloc}};
    switch (dmt_tea_layout(&t, a->vma, a->n, &o, state->tea[0], report)) {
    case DMT_TEA_OK:
        break;
    case DMT_TEA_NO_MEMORY:
        say("out of memory");
        return false;
    default:
        say("areas or number of registers (%u) out of range", registers);
        return false;
    }
    if (!dmt_tea_check(&t, state->tea[0], registers, &va, &index)) {
        say("register %u and the x86 walk disagree at 0x%" PRIx64 " (does --tea-base name frames in use?)",
            index, va);
        return false;
    }
    return true;
}
