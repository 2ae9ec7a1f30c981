/* SPDX-License-Identifier: Apache-2.0
 * Memory files: sparse frames, raw images, ELF cores of a machine. */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "dmt/arch.h"
#include "dmt/mem.h"
#include <stdbool.h>
#include <stdint.h>

/** What besides memory an ELF core said. */
struct core_info {
    bool qemu; /**< it has a QEMU CPU-state note: level holds CR0, CR3, CR4 */
    struct dmt_level level;
};

/** How to read. */
struct memory_how {
    bool raw;      /**< an image without a header is raw memory that starts at base */
    uint64_t base; /**< hPA, multiple of 4096 */
    bool records;  /**< an image without a header is a list of frame records (frame number, 4096 bytes) */
};

/** Read a memory file, compressed or not; kind told by content. NULL after
 * saying why. core may be NULL; it is cleared for other kinds. */
struct dmt_mem *memory_read(const char *path, const struct memory_how *how, struct core_info *core);

/** Write frames pfn[0..n-1] (ascending) of m as a sparse frames file. False after saying why. */
bool memory_write(const char *path, const struct dmt_mem *m, const uint64_t *pfn, size_t n);

#endif
