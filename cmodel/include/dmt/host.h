/* SPDX-License-Identifier: Apache-2.0
 * A hypervisor in model, for virtual machines of level k + 1 on a platform of
 * level k: second-stage tables with TEAs (hTEAs), gTEA tables, the hypercall,
 * virtual CPUs, and what a hypervisor does to memory under a running guest
 * (docs/software.md, "Hypervisor"). Level 0 is L0; an L1 hypervisor inside a
 * guest is the same code on that guest's platform, and passes its guests'
 * hypercalls on (paper section 4.5.3). */
#ifndef DMT_HOST_H
#define DMT_HOST_H

#include "dmt/api.h"
#include "dmt/mem.h"
#include "dmt/platform.h"
#include "dmt/space.h"

DMT_API_BEGIN

struct dmt_host;
struct dmt_vm;

/** The hypercall's request and answer, as arrays in guest memory. */
enum dmt_call_op { DMT_CALL_ALLOC = 1, DMT_CALL_FREE = 2, DMT_CALL_EXTEND = 3 };
/** Ored into ALLOC by a hypervisor at level 1: a gTEA of the machine inside it (set 2). */
#define DMT_CALL_INNER UINT64_C(0x100)
/** Bounds of one call: elements of the arrays, frames of one element. */
#define DMT_CALL_REQUESTS_MAX 1024
#define DMT_CALL_ANSWERS_MAX  16384
#define DMT_CALL_PAGES_MAX    (UINT64_C(1) << 28)
/** One element of the request array, 24 bytes in guest memory, little-endian 64-bit words in this order. */
struct dmt_call_request {
    uint64_t op;    /**< enum dmt_call_op */
    uint64_t pages; /**< ALLOC, EXTEND: frames wanted; FREE: frames given back; 1..DMT_CALL_PAGES_MAX */
    uint64_t where; /**< FREE: first frame (of the guest's) given back; EXTEND: gTEA ID */
};
/** One element of the answer array, 40 bytes: a grant. */
#define DMT_CALL_REQUEST_BYTES 24
#define DMT_CALL_ANSWER_BYTES  40 /**< request, skip, frame, frames, ID << 48 | page inside the gTEA */

enum dmt_call_status {
    DMT_CALL_OK = 0,
    /** An array is empty (that of answers may be when nothing is to be answered),
     * too long, not aligned to 8, wraps, or is not in the guest's RAM. */
    DMT_CALL_BAD_ARRAY,
    DMT_CALL_BAD_OP,     /**< an element has an unknown op, no pages, or too many */
    DMT_CALL_NOT_YOURS,  /**< FREE or EXTEND of what this machine was not given */
    DMT_CALL_QUOTA,      /**< more than the machine may have */
    DMT_CALL_NO_MEMORY,  /**< nothing could be given */
    DMT_CALL_NO_ID,      /**< all 4096 IDs are in use */
    DMT_CALL_OFF         /**< the machine has no pvDMT */
};

/** A hypervisor and a kernel on one platform share its image area and set of
 * registers: the last image is kept empty by the hypervisor and the ones before
 * it are its machines', so the kernel is given a copy of the platform with
 * fewer images (machines beyond the images are loaded by single writes); and the
 * set is empty after an exit, so the kernel loads its own again. */
struct dmt_host_options {
    const struct dmt_platform *platform;  /**< of this hypervisor's level, 0 or 1 */
    /** Write a HOST window register on a thread (level 0 only, else NULL). Returns as platform->csr does. */
    void (*host_csr)(void *user, unsigned thread, unsigned offset, uint64_t value);
    /** Write a register of the window of a level above the hypervisor's own. */
    void (*level_csr)(void *user, unsigned thread, unsigned level, unsigned offset, uint64_t value);
    /** Level 1 only, else NULL: what a launch of, or an exit from, the machine
     * inside asks of the hypervisor below (dmt_vm_nest). */
    void (*nest)(void *user, unsigned thread, bool inside);
    /** Level 1 only: the hypercall to the hypervisor below for a TEA of set 2;
     * as platform->tea_alloc. NULL: machines cannot be pv. */
    size_t (*nested_alloc)(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant,
                           size_t room);
    void (*nested_release)(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames);
    void *user;
    struct dmt_tea_policy tea;            /**< of hTEAs */
    bool shadow;                          /**< level 0: NESTED falls back on a shadow table, else FULL */
    unsigned defects;                     /**< enum dmt_call_defect, ored */
};

/** Defects of the artifact's hypercall (docs/software.md, "What goes wrong"). */
enum dmt_call_defect {
    DMT_CALL_DEFECT_NO_OWNER = 1 << 0,  /**< FREE does not ask whose it is */
    DMT_CALL_DEFECT_NOT_ZEROED = 1 << 1, /**< TEA frames keep what they held */
    DMT_CALL_DEFECT_NO_QUOTA = 1 << 2,
    DMT_CALL_DEFECT_NO_REVOKE = 1 << 3  /**< FREE leaves registers resolved */
};

struct dmt_vm_options {
    enum dmt_space_format format; /**< DMT_SPACE_EPT, DMT_SPACE_NPT */
    unsigned levels;              /**< 4, 5 */
    bool ad;                      /**< EPT accessed and dirty flags */
    uint64_t frames;              /**< RAM at gPA 0, in frames; at least 1024 */
    bool huge;                    /**< back RAM with 2M pages where they can be had */
    bool pv;                      /**< pvDMT: hypercall, gTEAs; else guest TEAs lie in guest RAM (KIND PA) */
    uint64_t quota;               /**< frames of gTEAs, the machine inside included, that it may have; < 2^32 */
    unsigned vcpus;               /**< 1..platform->threads; vCPU i runs on thread i */
};

struct dmt_host_stats {
    uint64_t exits, entries;       /**< of virtual CPUs */
    uint64_t violations;           /**< second-stage faults handled */
    uint64_t hypercalls, refused;
    uint64_t granted, released;    /**< frames of gTEAs; revoked ones are released when the guest frees them */
    uint64_t revoked;              /**< gTEAs taken back while a guest had them */
    uint64_t moved, ballooned;     /**< guest frames moved in host memory; taken from the guest */
    uint64_t zeroed;               /**< frames */
    uint64_t csr_writes;           /**< of the host's and second-stage registers */
    uint64_t csr_entry;            /**< of them to enter or leave guests */
    uint64_t lost;                 /**< guest stores for which there was no frame; 0 unless memory ran out */
    uint64_t shadow_fills, shadow_drops, shadow_exits;
};

struct dmt_host *dmt_host_new(const struct dmt_host_options *o);
void dmt_host_delete(struct dmt_host *h);
const struct dmt_host_stats *dmt_host_stats(const struct dmt_host *h);

/** A virtual machine. NULL: out of memory or options out of range, no tag is
 * free (255 machines), or a second pv machine at level 1 (they would share set
 * 2's table, and could name each other's gTEAs). */
struct dmt_vm *dmt_vm_new(struct dmt_host *h, const struct dmt_vm_options *o);
/** Destroy it; no vCPU may be running. Every frame and ID is free afterwards. */
void dmt_vm_delete(struct dmt_vm *vm);
/** The platform its kernel stands on; lives as long as the machine. Its csr
 * writes reach the hardware only while the vCPU is entered; before, they are kept for the entry. */
const struct dmt_platform *dmt_vm_platform(struct dmt_vm *vm);
/** Its second-stage tables. */
struct dmt_space *dmt_vm_space(struct dmt_vm *vm);
/** Upcall on revocation (may be NULL): the guest's kernel must give up the gTEA. */
void dmt_vm_on_revoke(struct dmt_vm *vm, void (*call)(void *user, uint16_t id), void *user);

/** Load the machine's state into thread = vCPU and let it run (level 0: MODE, second-stage
 * root, gTEA tables, image area, set 0; level 1: S2ROOT and set 1). */
void dmt_vm_enter(struct dmt_vm *vm, unsigned vcpu);
/** Save it and leave. */
void dmt_vm_exit(struct dmt_vm *vm, unsigned vcpu);
bool dmt_vm_entered(const struct dmt_vm *vm, unsigned vcpu);

/** A second-stage fault of the machine on a vCPU, or of the machine inside it
 * (stage 1 of NESTED), as the walker reported it: back the page. False: it is the
 * guest's own doing, or no frame is free. Causes an exit and an entry. */
bool dmt_vm_fault(struct dmt_vm *vm, unsigned vcpu, const struct dmt_result *fault);

/** Back RAM frames [gfn, gfn + frames) ahead of time and without an exit, as
 * for a machine that is started with preallocated memory; by 2M where the
 * machine is `huge`. Returns how many of them, from gfn on, are backed now:
 * fewer when no frame is free, or at the end of RAM. */
uint64_t dmt_vm_populate(struct dmt_vm *vm, uint64_t gfn, uint64_t frames);

/** The hypercall, as the guest makes it: arrays at guest addresses. answers:
 * how many elements were written. Causes an exit and an entry. */
enum dmt_call_status dmt_vm_call(struct dmt_vm *vm, unsigned vcpu, uint64_t requests_pa, uint64_t request_n,
                                 uint64_t answers_pa, uint64_t answer_room, uint64_t *answers);

/** Where frame gfn of the machine is in the hypervisor's own memory. False: not backed (yet). */
bool dmt_vm_backing(const struct dmt_vm *vm, uint64_t gfn, uint64_t *pfn);
/** Does the machine own this gTEA (of its own set), and where is it in the
 * hypervisor's memory and how large? */
bool dmt_vm_gtea(const struct dmt_vm *vm, unsigned id, uint64_t *pfn, uint64_t *frames);

/** Live memory management under the guest, by the entry protocol. False: the
 * frame is not backed, is part of a gTEA (pinned), or no frame is free. */
bool dmt_vm_move(struct dmt_vm *vm, uint64_t gfn);
bool dmt_vm_balloon(struct dmt_vm *vm, uint64_t gfn);
/** Take a gTEA back: table entry cleared, registers revoked, guest told, frames
 * that hold tables moved to ordinary host memory at the same gPA. */
bool dmt_vm_revoke(struct dmt_vm *vm, unsigned id);
/** Live migration: write-protect or clear D over all RAM, then collect. Frames
 * in gTEAs count as always dirty. dirty[gfn / 64] bits; returns their number. */
void dmt_vm_track(struct dmt_vm *vm, bool on);
uint64_t dmt_vm_dirty(struct dmt_vm *vm, uint64_t *dirty, uint64_t words);

/* ------------------------------------------------------------ a hypervisor inside (level 0) */

/** Options of a hypervisor that runs in this machine: platform, level_csr,
 * nest, nested_alloc, nested_release and user; the rest is left as it is. */
void dmt_vm_inner_options(struct dmt_vm *vm, struct dmt_host_options *o);
/** The machine's hypervisor launches the machine inside it on this vCPU (mode
 * NESTED), or that exits (VIRT). Causes an exit and an entry. */
void dmt_vm_nest(struct dmt_vm *vm, unsigned vcpu, bool inside);
/** Fill the vCPU's shadow table for frames [gfn, gfn + frames) of the machine
 * inside ahead of time and without an exit, as a write to each would: what its
 * hypervisor maps (as KVM prefetches around a fault, but all of it). Returns how
 * many frames are in the shadow table of those; 0 when there is none. */
uint64_t dmt_vm_populate_shadow(struct dmt_vm *vm, unsigned vcpu, uint64_t gfn, uint64_t frames);
/** It writes the window of level 1 or 2; as its platform's csr. */
void dmt_vm_level_csr(struct dmt_vm *vm, unsigned vcpu, unsigned level, unsigned offset, uint64_t value);

DMT_API_END

#endif
