/* SPDX-License-Identifier: Apache-2.0
 * What a kernel or hypervisor of level k stands on: its physical memory, the
 * CSR windows of its hardware threads, and memory for TEAs. Level 0 is given
 * by a machine (tb/machine.h); a hypervisor gives its guest one of the next
 * level (dmt/host.h). Addresses and frames are of the level's own physical
 * memory: hPA at level 0, gPA at level 1, L2 gPA at level 2. */
#ifndef DMT_PLATFORM_H
#define DMT_PLATFORM_H

#include "dmt/api.h"
#include "dmt/arch.h"
#include "dmt/buddy.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

DMT_API_BEGIN

#define DMT_THREADS_MAX 8

/** A contiguous run of table memory, as granted. */
struct dmt_grant {
    size_t request;  /**< which request of the call this is (part of) */
    uint64_t skip;   /**< frames of that request before this piece */
    uint64_t pfn;    /**< first frame, where the grantee reads and writes it */
    uint64_t frames; /**< at least 1 */
    bool gtea;       /**< reached by the walker as a gTEA (KIND GTEA), else at pfn (KIND PA) */
    uint16_t id;     /**< its gTEA ID */
    uint64_t inside; /**< first page inside the gTEA (BASE_PFN of KIND GTEA) */
};

struct dmt_platform {
    void *user;
    unsigned level;         /**< register set and CSR window, 0..2 */
    unsigned threads;       /**< hardware threads, 1..DMT_THREADS_MAX */
    unsigned registers;     /**< TEA registers a set */
    unsigned maxpa;         /**< width of this level's physical addresses, bits */
    struct dmt_buddy *buddy; /**< its frames; not owned */

    /** Aligned 64-bit accesses, ordered, visible to walkers at once. Frames of
     * the buddy always exist; a load elsewhere reads zero, a store is lost. */
    uint64_t (*load)(void *user, uint64_t pa);
    void (*store)(void *user, uint64_t pa, uint64_t value);
    /** Store and return what was there, as one: A/D bits set by walkers are not lost. */
    uint64_t (*exchange)(void *user, uint64_t pa, uint64_t value);
    /** Fill a frame with zeros, before it becomes a table. */
    void (*clear)(void *user, uint64_t pfn);
    /** May be NULL. Is the frame known to hold nothing but zeros, because
     * nothing was ever written to it? Saves reading it before it changes hands. */
    bool (*blank)(void *user, uint64_t pfn);

    /** Write the CSR at this offset of the level's own window (DMT_LEVEL_*) on
     * a thread. Returns when the write is answered: no walk that used the old
     * value can still answer or set A/D bits (specification 10). */
    void (*csr)(void *user, unsigned thread, unsigned offset, uint64_t value);

    /** Memory for n TEAs of frames[i] frames each, zeroed. The platform may
     * serve a request in pieces and put several into one gTEA; a request may go
     * unserved, whole or in part. Pieces in order of request and skip into
     * grant[0..room-1]; returns how many. */
    size_t (*tea_alloc)(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant, size_t room);
    /** May be NULL. Grow a grant at its end by so many frames, zeroed. False: not possible in place. */
    bool (*tea_extend)(void *user, struct dmt_grant *grant, uint64_t frames);
    /** Give back frames [skip, skip + frames) of a grant (relative to grant->pfn).
     * The caller has revoked them from every register. */
    void (*tea_release)(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames);

    /** Image area for set loads (LEVEL.LOAD): where the level writes its
     * images, and how many; 0: there is none. Image i is at image_pa + 2048 i. */
    uint64_t image_pa;
    unsigned images;
};

DMT_API_END

#endif
