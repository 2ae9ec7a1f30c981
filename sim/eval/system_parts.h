/* SPDX-License-Identifier: Apache-2.0
 * What the parts of a system share: system.c (what it is asked to do),
 * system_levels.c (level 0's memory and registers, and the software on it). */
#ifndef SIM_EVAL_SYSTEM_PARTS_H
#define SIM_EVAL_SYSTEM_PARTS_H

#include "eval/system.h"
#include "shadow.h"

#define BLOCK  UINT64_C(512) /* pages of a 2M page */
#define STAGES 4u            /* the shadow table's number included */
#define FLUSH_PAGES 64u      /* flushed one by one until somebody asks; more: the whole process */

struct eval_system {
    struct eval_system_options o; /* area: a copy */
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct dmt_platform platform; /* of level 0 */
    struct shadow regs;
    uint64_t image_pfn;
    struct dmt_host *l0, *l1;
    struct dmt_vm *outer, *inner; /* of l0 and of l1; NULL: none */
    uint64_t frames[3];           /* memory of each level */
    struct dmt_os *os;
    int pid;
    unsigned entering; /* stage of the process */
    struct mirror *stage[STAGES];
    uint64_t shadow_root; /* that stage[EVAL_SHADOW] was made for */
    struct mirror **old;  /* of roots that are gone: somebody may hold them */
    size_t olds;
    uint64_t csr_writes, generation;
    uint64_t moved; /* of host_moved(), when the mirrors were told */
    struct {
        bool any, quiet; /* quiet: the write under way says itself what it flushes */
        struct eval_flush told;
        uint64_t page[FLUSH_PAGES];
        struct eval_range *range;
        size_t room;
    } flush;
};

/** Memory, registers and software, the areas mapped. False after saying why; what is there then can be freed.
 */
bool levels_make(struct eval_system *s);
void levels_free(struct eval_system *s);
/** Fill a frame of host memory with zeros. Exits when out of memory. */
void levels_clear(struct eval_system *s, uint64_t pfn);
/** The host frame of a frame in the memory of the machine that stage k's tables lie in; as mirror_new wants
 * it. */
bool levels_to_host_1(void *user, uint64_t pfn, uint64_t *hpfn);
bool levels_to_host_2(void *user, uint64_t pfn, uint64_t *hpfn);

#endif
