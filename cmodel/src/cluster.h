/* SPDX-License-Identifier: Apache-2.0
 * Areas joined into what one TEA serves (docs/software.md T1; paper 4.2.1). */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "dmt/tea.h"

/** A run of 2 MiB blocks. */
struct cluster {
    uint64_t first, end; /**< blocks, VPN >> 9, end exclusive */
    uint64_t used;       /**< blocks that hold a part of an area */
    uint64_t pages;      /**< 4 KiB pages of its areas */
    unsigned sizes;      /**< bit s: leaves of size s may occur */
};

/** Add the next area in address order to c[0..top-1], which has room for one
 * more; joins while at most bubble_percent of the blocks serve no area. The new top. */
static inline size_t cluster_add(struct cluster *c, size_t top, const struct dmt_vma *area, unsigned sizes,
                                 unsigned bubble_percent)
{
    uint64_t first = area->vpn >> 9, end = ((area->vpn + area->pages - 1) >> 9) + 1;

    if (top > 0 && first < c[top - 1].end) { /* begins in a block that is already used */
        c[top - 1].sizes |= sizes;
        if (end <= c[top - 1].end) {
            c[top - 1].pages += area->pages;
            return top;
        }
        first = c[top - 1].end;
    }
    c[top++] = (struct cluster){first, end, end - first, area->pages, sizes};
    while (top > 1) {
        struct cluster *a = &c[top - 2], *b = &c[top - 1];
        uint64_t used = a->used + b->used, span = b->end - a->first;
        if ((span - used) * 100 > span * bubble_percent) {
            break;
        }
        a->end = b->end;
        a->used = used;
        a->pages += b->pages;
        a->sizes |= b->sizes;
        top--;
    }
    return top;
}

#endif
