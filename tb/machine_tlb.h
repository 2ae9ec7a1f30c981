/* SPDX-License-Identifier: Apache-2.0
 * The TLB of a machine's thread: hashed entries of each page size, tagged with
 * entering level, PCID and the tags of the second stages below, obeying the
 * CSR writes that the MMU gets (specification 10, SDM 4.10). It drops what
 * these writes drop and, room permitting, nothing else. */
#ifndef TB_MACHINE_TLB_H
#define TB_MACHINE_TLB_H

#include "dmt/arch.h"
#include <stdbool.h>
#include <stdint.h>

/** Size of the entering stage's leaf, which the pins of an answer do not say,
 * from the reads of its walk. Zero-initialise. */
struct machine_leaf {
    uint8_t level;     /* of the leaf so far */
    uint8_t tea_level; /* of the last read of a TEA fetch */
    bool decided;      /* the TEA fetch under way */
};

/** A read of the entering stage's tables was answered with this entry. */
static inline void machine_leaf_read(struct machine_leaf *l, unsigned level, bool tea, uint64_t entry)
{
    if (!tea) {
        l->level = (uint8_t)level;
        return;
    }
    if (level >= l->tea_level) /* sizes of one fetch come largest first */
        l->decided = false;
    l->tea_level = (uint8_t)level;
    if (!l->decided && (entry & 1) && (level == 1 || (entry & 0x80))) {
        l->decided = true;
        l->level = (uint8_t)level;
    }
}

struct machine_tlb;

/** sets: entries a page size, a power of two. NULL: out of memory. */
struct machine_tlb *machine_tlb_new(unsigned sets);
void machine_tlb_free(struct machine_tlb *t);

/** Does an entry serve this request under these registers? *r is then its
 * answer, as of a walk without reads. False too when an entry is there and does not permit the access,
 * or the access is a write and it is not known that D is set: a walk is due. */
bool machine_tlb_lookup(struct machine_tlb *t, const struct dmt_state *state, const struct dmt_request *q,
                        struct dmt_result *r);

/** A walk has been answered under these registers: an OK answer is kept, a
 * fault drops the entries of its page (SDM 4.10.4.1, 29.4.3.1). */
void machine_tlb_walked(struct machine_tlb *t, const struct dmt_state *state, const struct dmt_request *q,
                        const struct dmt_result *r, const struct machine_leaf *leaf);

/** The CSR write of data at offset was accepted, and has led to these
 * registers. was_full: CTL.FALLBACK before it. */
void machine_tlb_written(struct machine_tlb *t, bool was_full, const struct dmt_state *state, unsigned offset,
                         uint64_t data);

#endif
