/* SPDX-License-Identifier: Apache-2.0
 * Registers of the cycle model, shared by the walker (cycle.c) and the CSR
 * port (cycle_csr.c). Names are those of docs/microarchitecture.md. Not
 * installed. */
#ifndef CYCLE_PRIVATE_H
#define CYCLE_PRIVATE_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "rules.h"

enum {
    CTX_MAX = 64,
    PWC_MAX = 64,
    PWC_CACHES = 3, /* [0] PD entries, [1] PDPT entries, [2] PML4 entries */
    SIZES = 3,
    ARQ_RING = 256, /* power of two that holds 3 * CTX_MAX */
    WINDOW_HOST = 3,
    WINDOWS = 4,
};

/* Index of a counter; the register of counter i is at DMT_HOST_CNT_REQUEST + 8 * i. */
enum counter {
    CNT_REQUEST, CNT_TEA, CNT_RADIX, CNT_RESTART, CNT_PASS, CNT_FAULT, CNT_BUS, CNT_RETRY,
    CNT_READ, CNT_UPDATE, CNT_LOST, CNT_PWC4, CNT_PWC3, CNT_PWC2, CNT_BUSY, COUNTERS
};

/* A request that was taken from the port. */
struct accepted {
    struct dmt_request rq;
    uint32_t order, taken; /* taken: clock count */
    uint16_t tag;
};

/* One read of a launch, in emission order. */
struct fetch {
    uint64_t addr;
    uint8_t level; /* 1..5 */
    uint8_t index; /* TEA register */
};

/* A walk context. */
struct walk {
    struct accepted a;
    struct fetch fetch[SIZES];
    uint64_t entry;  /* the entry that decided a TEA fetch, then the value to write */
    uint8_t resp;    /* its answer */
    uint8_t reads;   /* reads of the current launch */
    uint8_t got;     /* answered so far */
    uint8_t slot;    /* which of them decided */
    uint8_t rights;  /* of everything above the current entry */
    uint8_t path;    /* DMT_PATH_* */
    bool tea;        /* TEA fetch, else x86 walk */
    bool excl;       /* second pass */
    bool alla;       /* every entry so far had A=1 */
    bool need;       /* an entry so far lacked A */
    bool decided;    /* rule T2 found an entry */
    bool writing;    /* exclusive write in the write queue or on the bus */
};

struct answer {
    uint16_t tag;
    struct dmt_result r;
};

/* One paging-structure cache. key holds {prefix, PCID, valid}; 0 is invalid. */
struct pwc {
    unsigned n, next;
    uint64_t key[PWC_MAX];
    uint64_t table[PWC_MAX];
    uint8_t rights[PWC_MAX];
};

/* The valid registers of one size of stage 0's set in index order, so that a
 * match looks at nothing else. */
struct tea_list {
    unsigned n;
    struct dmt_tea reg[DMT_TEA_MAX];
    uint8_t index[DMT_TEA_MAX];
};

/* An entry on its way into a paging-structure cache. */
struct fill {
    bool valid;
    uint8_t cache, rights;
    uint64_t key, table;
};

struct dmt_cycle {
    struct dmt_config cfg;
    unsigned id_w;
    struct dmt_out out;
    bool quiet;   /* nothing changes until an input becomes valid */
    uint32_t now; /* clocks since reset */
    uint32_t order;

    bool skid_valid;
    struct accepted skid;
    uint64_t busy; /* bit i: context i holds a walk */
    struct walk walk[CTX_MAX];
    struct {
        uint8_t ctx, pos, n; /* n = 0: empty */
    } launch;
    struct {
        uint64_t addr;
        uint8_t id;
        bool lock;
    } arq[ARQ_RING];
    unsigned arq_head, arq_n;
    uint8_t wq[CTX_MAX];
    unsigned wq_head, wq_n;
    bool aw_done, w_done;
    struct {
        uint8_t id, resp;
    } bq[CTX_MAX];
    unsigned bq_head, bq_n;
    struct answer respq[2];
    unsigned resp_head, resp_n;
    struct pwc pwc[PWC_CACHES];
    struct fill fill;

    /* CSR port and registers */
    bool aw_held, w_held;
    bool legal, drains; /* of the write held, once both halves are */
    uint16_t awaddr;
    uint8_t wstrb;
    uint64_t wdata;
    struct dmt_state state;
    uint8_t refusal[DMT_SETS_MAX][DMT_TEA_MAX];
    uint8_t event[WINDOWS], mask[WINDOWS];
    uint64_t bus_addr;
    uint64_t count[COUNTERS];
    bool count_clear; /* CNT_CLEAR executes in this cycle */
    struct tea_list list[SIZES];
};

/* Registers of the CSR port to their reset values. Everything is zero before. */
void cycle_csr_reset(struct dmt_cycle *m);

/* One clock of the CSR port, before anything else changes in this cycle.
 * Sets the s_* outputs; the caller sets the others. */
void cycle_csr_edge(struct dmt_cycle *m, const struct dmt_in *in);

/* Drop paging-structure entries: of one PCID, or all when pcid is negative. */
void cycle_flush(struct dmt_cycle *m, int pcid);

#endif
