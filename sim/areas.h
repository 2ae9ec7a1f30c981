/* SPDX-License-Identifier: Apache-2.0
 * Areas of a process (/proc/PID/maps). */
#ifndef SIM_AREAS_H
#define SIM_AREAS_H

#include "dmt/tea.h"

struct areas {
    struct dmt_vma *vma;
    uint8_t *rights; /**< [i]: bit 0 W, 2 X, 3 readable */
    size_t n;
};

/** Read a maps file; areas of the upper half (vsyscall) are left out. pid 0:
 * the whole file, else only the section after a line "# pid PID". False after
 * saying what is wrong, with line number. */
bool maps_read(const char *path, uint64_t pid, struct areas *a);
void areas_free(struct areas *a);

#endif
