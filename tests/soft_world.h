/* SPDX-License-Identifier: Apache-2.0
 * A level-0 platform of plain memory for tests of the hypervisor model:
 * hardware threads are the state that CSR writes have led to (specification 4,
 * 10, 12), translated by the architectural model; and a kernel that is no more
 * than one space with a register set on a guest's platform. */
#ifndef SOFT_WORLD_H
#define SOFT_WORLD_H

#include "dmt/arch.h"
#include "dmt/host.h"
#include "dmt/mem.h"
#include "dmt/regs.h"
#include "dmt/space.h"
#include "drive.h"

#define WORLD_THREADS 2u
#define WORLD_HOST    3u /* window */

struct world_csr {
    unsigned thread, window, offset;
    uint64_t value;
};

/** What a TLB keeps of one page, with the tags it was made under. */
struct world_tlb {
    bool valid;
    uint64_t vpn;
    uint8_t mode, tag[2];
    struct dmt_result r;
};
#define WORLD_TLB 4096u

struct world {
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct dmt_platform p;
    struct dmt_host *host;
    struct dmt_state state[WORLD_THREADS];
    uint64_t word[WORLD_THREADS][DMT_SETS_MAX][DMT_TEA_MAX][3];
    struct {
        uint64_t base, count;
    } image[WORLD_THREADS][DMT_SETS_MAX];
    uint64_t refused; /* loads beyond the images, refused registers */
    struct world_csr log[1 << 16];
    unsigned logged;
    /** Called before a CSR write takes effect; may be NULL. */
    void (*probe)(void *user, const struct world_csr *csr);
    void *probe_user;
    struct world_tlb tlb[WORLD_THREADS][WORLD_TLB];
    uint64_t tlb_hits;
};

struct world *world_new(uint64_t frames, unsigned images, unsigned registers);
/** Host options on it, with the paper's TEA policy at once. */
struct dmt_host_options world_options(struct world *w);
void world_free(struct world *w);
/** An access: by the TLB, which keeps what CSR writes do not drop (specification 10), or a walk. */
void world_access(struct world *w, unsigned thread, uint64_t va, unsigned access, struct dmt_result *r);
/** A walk, with A/D updates done. */
void world_translate(struct world *w, unsigned thread, uint64_t va, unsigned access, struct dmt_result *r);
/** CSR writes since `from` that match; WORLD_ANY matches all. */
#define WORLD_ANY UINT32_MAX
unsigned world_count(const struct world *w, unsigned from, unsigned thread, unsigned window, unsigned offset);

/** A guest's kernel. */
struct guest {
    const struct dmt_platform *p;
    struct dmt_space *s;
    uint64_t vpn, pages; /* its area */
    uint64_t frame[4096]; /* of each page; 0: none */
};

/** A kernel with an area of `pages` pages at vpn and its CRs set on every thread. NULL: out of memory. */
struct guest *guest_new(const struct dmt_platform *p, uint64_t vpn, uint64_t pages);
/** Map page i to a fresh frame of the guest's. */
bool guest_map(struct guest *g, uint64_t i);
/** TEAs for it, now. */
void guest_settle(struct guest *g);
void guest_delete(struct guest *g);

#endif
