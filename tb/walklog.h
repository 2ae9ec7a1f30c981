/* SPDX-License-Identifier: Apache-2.0
 * What the pins tell of each walk: requests, references, A/D writes and
 * answers put together from the request, response, PTE, CSR and walk trace
 * ports, clock by clock. Lines of text beside waveforms and pictures are made
 * of it. A log may begin and end in the middle of everything.
 *
 * Only the pins are looked at, so a log is the same whatever is inside the
 * block, as long as reads are stepped in the order in which they are answered. */
#ifndef TB_WALKLOG_H
#define TB_WALKLOG_H

#include "dmt/cycle.h"
#include "dmt/pins.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WALKLOG_NEVER UINT64_MAX

enum walklog_kind { WALKLOG_READ, WALKLOG_WRITE, WALKLOG_SURPLUS };

/** A read of a table entry, an A/D write, or a surplus read: one that its fetch was decided without, which the walk
 * trace port does not show. */
struct walklog_ref {
    uint64_t
        from;    /**< clock in which its address was first on the pins; of the log's start when before that */
    uint64_t to; /**< clock in which its answer was taken; WALKLOG_NEVER: not in the log */
    uint64_t addr, data;
    uint32_t walk;   /**< index in walklog.walk */
    uint32_t number; /**< reference, from 1; parallel reads share one. 0: made for an A/D update, so it counts
                        as none */
    enum walklog_kind kind;
    uint8_t context;
    uint8_t stage, level; /**< level is 0 for writes and surplus reads */
    uint8_t index;        /**< TEA register of a TEA fetch */
    uint8_t resp;         /**< enum dmt_resp */
    uint8_t lane;         /**< 0, or 1, 2 for the second, third of parallel reads; surplus reads of a fetch 0, 1 */
    bool tea, lock;
};

/** A request and what became of it. */
struct walklog_walk {
    uint32_t order;
    uint64_t began; /**< clock in which it left the front; WALKLOG_NEVER: before the log's start */
    uint64_t
        taken; /**< clock of the request's handshake; known from the start, or from `ended` on, else NEVER */
    uint64_t ended;    /**< clock in which its answer was pushed to the response queue, or NEVER */
    uint64_t answered; /**< clock in which the answer was taken, or NEVER */
    uint64_t va;
    uint32_t clocks; /**< request taken to answer, as the block says */
    int context;     /**< -1: none, as far as the pins show */
    uint16_t tag;
    uint8_t access, cpl;
    bool ac, implicit, nonspec;
    uint8_t status, size, rights, stage, path, pkey;
    bool ad_needed, dirty;
    uint64_t pa, addr, error;
    uint32_t index;
    uint32_t refs;    /**< references, as the specification counts them */
    uint32_t reads;   /**< all reads that are not surplus */
    uint32_t surplus; /**< surplus reads */
    uint32_t updates; /**< A/D writes that took effect */
    uint32_t writes;  /**< A/D writes, lost ones too */
    bool reset;       /**< cut off by a reset */
};

/** A register write. */
struct walklog_csr {
    uint64_t from;     /**< first clock in which its address was offered */
    uint64_t held;     /**< clock from which address and data were both held */
    uint64_t answered; /**< clock in which the answer was first seen, or NEVER */
    uint64_t data;
    uint16_t addr;
    uint8_t resp;
};

struct walklog_state; /* what is under way */

struct walklog {
    uint64_t clock; /**< of the next call */
    struct walklog_walk *walk;
    struct walklog_ref *ref; /**< in the order of their answers; those never answered last */
    struct walklog_csr *csr;
    size_t walks, refs, csrs;
    bool failed; /**< out of memory: the log is not complete */
    struct walklog_state *state;
};

/** An empty log whose first clock has this number. False: out of memory. */
bool walklog_init(struct walklog *l, uint64_t clock);
void walklog_free(struct walklog *l);

/** One clock: the pins as they are before its rising edge. */
void walklog_clock(struct walklog *l, const struct dmt_out *out, const struct dmt_in *in, bool rst);

/** After the last clock: number the references. The pins do not say when a second
 * pass begins; it is told by reads that cannot follow in a first one. Where a cache
 * entry came or went between the passes of a walk of several stages, the reads that
 * locate the first entry of the second may be counted: about one walk in ten thousand
 * of random stimuli. */
void walklog_finish(struct walklog *l);

/* ---------------------------------------------------------------- text
 * Each writes at most n bytes, NUL included. */

/** The request: "#3 READ 00007f0000123456 cpl 3 tag 3". */
void walklog_request(const struct walklog_walk *w, char *text, size_t n);
/** The answer: "#3 OK 0000012345456 4K, TEA/TEA, 2 references, 11 clocks". */
void walklog_outcome(const struct walklog_walk *w, char *text, size_t n);
/** A read or write: "1: s1 TEA[0] 4K", "3: s0 L2 PDE", "A/D read ..", "A/D write", "surplus s0". */
void walklog_reference(const struct walklog_ref *r, char *text, size_t n);
/** A register's name: "LEVEL[1].TEA[3].WORD0", "HOST.CTL"; an unmapped offset as a number. */
void walklog_register(unsigned addr, char *text, size_t n);

extern const char *const walklog_statuses[16],
    *const walklog_accesses[4],
        *const walklog_sizes[4], *const walklog_paths[4], *const walklog_resps[4], *const walklog_levels[8];

#ifdef __cplusplus
}
#endif

#endif
