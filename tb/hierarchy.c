/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/hierarchy.h"
#include <stdlib.h>
#include <string.h>

#define LEVELS 3
#define LINE_BITS 6
#define MEMORY_CLOCKS 200

static const struct {
    unsigned sets, ways, clocks;
} levels[LEVELS] = {
    {32 * 1024 / 64 / 8, 8, 4},
    {1024 * 1024 / 64 / 16, 16, 14},
    {22 * 1024 * 1024 / 64 / 11, 11, 54},
};

struct hierarchy {
    uint64_t *line[LEVELS]; /* by set, most recently used first; line number + 1, 0: none */
};

struct hierarchy *hierarchy_new(void)
{
    struct hierarchy *h = calloc(1, sizeof *h);

    for (unsigned i = 0; h && i < LEVELS; i++) {
        h->line[i] = calloc((size_t)levels[i].sets * levels[i].ways, sizeof *h->line[i]);
        if (!h->line[i]) {
            hierarchy_free(h);
            return NULL;
        }
    }
    return h;
}

void hierarchy_free(struct hierarchy *h)
{
    for (unsigned i = 0; h && i < LEVELS; i++)
        free(h->line[i]);
    free(h);
}

void hierarchy_reset(struct hierarchy *h)
{
    for (unsigned i = 0; i < LEVELS; i++)
        memset(h->line[i], 0, (size_t)levels[i].sets * levels[i].ways * sizeof *h->line[i]);
}

/* Bring a line to the front of its set. True: it was there. A line that leaves
 * an outer level would leave the inner ones, too; they are so much smaller
 * that it has left them before. */
static bool touch(uint64_t *set, unsigned ways, uint64_t line)
{
    unsigned i = 0;

    while (i < ways - 1 && set[i] != line)
        i++;
    bool hit = set[i] == line;
    memmove(set + 1, set, i * sizeof *set);
    set[0] = line;
    return hit;
}

unsigned hierarchy_access(struct hierarchy *h, uint64_t addr)
{
    uint64_t line = (addr >> LINE_BITS) + 1;
    unsigned clocks = MEMORY_CLOCKS;

    for (unsigned i = LEVELS; i-- > 0;)
        if (touch(h->line[i] + line % levels[i].sets * levels[i].ways, levels[i].ways, line))
            clocks = levels[i].clocks;
    return clocks;
}
