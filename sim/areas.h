/* SPDX-License-Identifier: Apache-2.0
 * Areas of a process (/proc/PID/maps), and giving them TEA registers. */
#ifndef SIM_AREAS_H
#define SIM_AREAS_H

#include "dmt/arch.h"
#include "dmt/mem.h"
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

/** Lay the tables of state's root into TEAs inside mem and set register set 0
 * of the state. tea_base: first frame to use, 0: above everything the memory
 * holds or maps. False after saying why. */
bool areas_layout(struct dmt_mem *mem, struct dmt_state *state, const struct areas *a, unsigned registers,
                  uint64_t tea_base, struct dmt_tea_report *report);

#endif
