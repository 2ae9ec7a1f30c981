/* SPDX-License-Identifier: Apache-2.0
 * AXI4-Lite manager of the CSR port: a queue of writes and a queue of reads
 * that run beside each other, AW and W of a write independent. Software that
 * needs order waits for csr_idle(). */
#ifndef TB_CSR_H
#define TB_CSR_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "dmt/pins.h"
#include "tb/rng.h"
#include <stdbool.h>
#include <stdint.h>

#define CSR_DEPTH 1024 /* a whole instance can be programmed with this many writes queued */

struct csr_write {
    uint64_t data;
    uint16_t addr;
    uint8_t strb;
};

struct csr {
    struct rng rng;
    unsigned issue; /**< an address or data beat is offered in a cycle, out of 65536 */
    unsigned take;  /**< an answer is taken in a cycle, out of 65536 */
    struct csr_write write[CSR_DEPTH];
    uint16_t read[CSR_DEPTH];
    /* Numbers since reset: pushed, sent, answered. */
    uint64_t writes, aw_sent, w_sent, b_done;
    uint64_t reads, ar_sent, r_done;
    bool awvalid, wvalid, arvalid;
    uint8_t bresp, rresp; /**< of the last answers */
    uint64_t rdata;
};

/** Empty queues, always ready. */
void csr_reset(struct csr *c, uint64_t seed);

/** Room for n more writes? */
bool csr_room(const struct csr *c, unsigned n);

/** Queue a write (all strobes) or a write with strobes. There must be room. */
void csr_push(struct csr *c, unsigned addr, uint64_t data);
void csr_push_strobed(struct csr *c, unsigned addr, uint64_t data, unsigned strb);
/** Queue a read. */
void csr_push_read(struct csr *c, unsigned addr);

/** Everything queued has been answered. */
bool csr_idle(const struct csr *c);

void csr_drive(struct csr *c, struct dmt_in *in);
void csr_edge(struct csr *c, const struct dmt_out *out, const struct dmt_in *in);

/** Queue the writes that lead from registers `have` to registers `want`; have
 * becomes want. gTEAs are resolved by the hardware: a register that is to be
 * resolved otherwise than in `have` is told to resolve, one whose resolution
 * is to be REVOKED to revoke. NULL, or the name of what the instance does not
 * have. At most CSR_PROGRAM_MAX writes. */
#define CSR_PROGRAM_MAX (DMT_SETS_MAX * (4 * DMT_TEA_MAX + 10) + 4)
const char *csr_program(struct csr *c, const struct dmt_config *config, struct dmt_state *have,
                        const struct dmt_state *want);

/** Queue the writes that drop everything cached from tables. */
void csr_invalidate(struct csr *c, const struct dmt_config *config);

#endif
