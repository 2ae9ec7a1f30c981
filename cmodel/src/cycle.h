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
    PWC_CACHES = 3, /* [0] entries of level 2, [1] of level 3, [2] of level 4 */
    SIZES = 3,
    ARQ_RING = 512, /* power of two that holds 5 * CTX_MAX */
    WINDOW_HOST = 3,
    WINDOWS = 4,
    FINAL = DMT_SETS_MAX, /* owner of a frame that translates a leaf's yield for the access itself */
};

/* Index of a counter; the register of counter i is at DMT_HOST_CNT_REQUEST + 8 * i. */
enum counter {
    CNT_REQUEST, CNT_TEA, CNT_RADIX, CNT_RESTART, CNT_PASS, CNT_FAULT, CNT_BUS, CNT_RETRY,
    CNT_READ, CNT_UPDATE, CNT_LOST, CNT_PWC4, CNT_PWC3, CNT_PWC2, CNT_BUSY, CNT_GTEA,
    CNT_NPWC4, CNT_NPWC3, CNT_NPWC2, COUNTERS
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

/* What one stage of a walk is about: V, S1 and S0 of the page are the frames of
 * the entering stage and of those below it. */
struct frame {
    uint64_t addr;   /* that this stage translates */
    uint8_t level;   /* of the entry it waits for */
    uint8_t rights;  /* so far: of the entries above (TEA: the allow bits), and of the leaf once used */
    uint8_t owner;   /* stage whose entry this one locates, or FINAL */
    uint8_t located; /* second stages that located the entry it waits for, a bit each */
    uint8_t index;   /* TEA register of a chain */
    bool tea;        /* the entry is a TEA's */
    bool by_size;    /* rule T1': smaller sizes are left */
    bool shadow;     /* on the shadow table */
};

/* A walk context. */
struct walk {
    struct accepted a;
    struct frame frame[DMT_SETS_MAX]; /* by stage */
    struct fetch fetch[SIZES];
    uint64_t entry;  /* the entry as last read, then the value to write */
    uint8_t reads;   /* reads of the current launch */
    uint8_t got;     /* answered so far; when one has decided or was the last, its number */
    uint8_t stage;   /* whose entry they read */
    uint8_t path[DMT_SETS_MAX], index[DMT_SETS_MAX]; /* microarchitecture 6 */
    bool second;     /* second pass */
    bool need;       /* an entry so far lacked A or D */
    bool excl;       /* the current launch is an exclusive read */
    bool writing;    /* exclusive write in the write queue or on the bus */
    struct dmt_result r; /* what the leaves yielded so far, or the refusal on its way to an answer */
};

struct answer {
    uint16_t tag;
    struct dmt_result r;
};

/* One paging-structure cache. A key is {prefix, PCID or second stage, TAG1, TAG0}. */
struct pwc {
    unsigned n, next;
    uint64_t valid; /* a bit each */
    uint64_t key[PWC_MAX];
    uint64_t table[PWC_MAX];
    uint8_t rights[PWC_MAX];
};

/* Fields of a key. */
#define KEY_TAG0 0xffull
#define KEY_TAG1 0xff00ull
#define KEY_PCID 0xfff0000ull /* virtual kind: PCID; physical kind: stage */
enum { KEY_TAG1_LSB = 8, KEY_PCID_LSB = 16, KEY_PREFIX_LSB = 28 };

/* The valid registers of one size of a set in index order, so that a match
 * looks at nothing else. */
struct tea_list {
    unsigned n;
    struct dmt_tea reg[DMT_TEA_MAX];
    uint8_t index[DMT_TEA_MAX];
};

/* An entry on its way into a paging-structure cache. */
struct fill {
    struct pwc *cache; /* NULL: none */
    uint8_t rights;
    uint64_t key, table;
};

/* What a walk step is about. */
enum thing_kind { NOTHING, REFUSAL, CHAIN, WRITTEN /* a write answer */, BEAT /* an R beat */ };

struct thing {
    uint8_t kind, ctx;
    uint8_t stage; /* BEAT: of RID */
    uint8_t resp;  /* WRITTEN, BEAT */
    uint8_t wait;  /* PIPE = 1: cycles in which it must not be executed yet */
    uint64_t data; /* BEAT */
};

/* What goes to launch: the walk's entry address, or its frame k to be matched, and
 * what the paging-structure cache of its kind said when it was compared. */
enum ahead_kind { AHEAD_EMPTY, AHEAD_ADDRESS, AHEAD_MATCH };

struct cached {
    bool hit;
    uint8_t cache; /* number in struct dmt_cycle's pwc or npwc */
    uint8_t rights;
    uint64_t table;
};

struct ahead {
    uint8_t kind, ctx, k, sizes;
    struct cached cached;
};

/* What the loader does in this cycle (microarchitecture 5). */
enum loader_phase {
    LOADER_IDLE,
    LOADER_LOOK,  /* PIPE = 1: the cycle before one of the next three */
    LOADER_SKIP,  /* not a register that is to be resolved */
    LOADER_BAD_ID,
    LOADER_ENTRY, /* reads the two words of an entry of a gTEA table */
    LOADER_IMAGE  /* reads the three words of a register's image */
};

struct dmt_cycle {
    struct dmt_config cfg;
    unsigned ctx_w; /* bits of a context's number, the low part of an AXI ID */
    struct dmt_out out;
    bool quiet;   /* nothing changes until an input becomes valid */
    uint32_t now; /* clocks since reset */
    uint32_t order;

    bool skid_valid;
    struct accepted skid;
    uint64_t busy; /* bit i: context i holds a walk */
    uint64_t owed; /* bit i: surplus reads of context i are on their way */
    uint8_t surplus[CTX_MAX][DMT_SETS_MAX]; /* how many, by stage */
    struct walk walk[CTX_MAX];
    struct {
        uint8_t kind, ctx; /* NOTHING (addresses, or empty with n = 0), REFUSAL or CHAIN */
        uint8_t pos, n;
    } launch;
    struct ahead ahead;         /* what this cycle sends; empty between cycles */
    struct ahead first, second; /* PIPE = 1: waits to be compared, to be routed */
    /* PIPE = 1: what launch held in the cycle before. */
    struct {
        uint8_t kind, ctx; /* NOTHING (an address, or empty), REFUSAL or CHAIN */
        bool full, lock;
        uint8_t id;
        uint64_t addr;
    } emitted;
    struct thing lq[CTX_MAX]; /* PIPE = 1 */
    unsigned lq_head, lq_n;
    struct thing step; /* PIPE = 1: looked up, waits to be executed */
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
        uint8_t ctx, resp;
    } bq[CTX_MAX];
    unsigned bq_head, bq_n;
    struct answer respq[2];
    unsigned resp_head, resp_n;
    struct pwc pwc[PWC_CACHES], npwc[PWC_CACHES]; /* virtual and physical kind */
    struct fill fill;

    /* CSR port and registers */
    bool aw_held, w_held;
    uint8_t held_for; /* PIPE = 1: cycles in which both were held */
    bool legal, drains; /* of the write held, once both halves are */
    uint16_t awaddr;
    uint8_t wstrb;
    uint64_t wdata;
    struct dmt_state state;
    uint8_t refusal[DMT_SETS_MAX][DMT_TEA_MAX];
    struct {
        uint64_t base;
        uint16_t count;
    } image[DMT_SETS_MAX]; /* image area of each set */
    uint8_t event[WINDOWS], mask[WINDOWS];
    uint64_t bus_addr;
    uint32_t gtea_fault;
    uint64_t count[COUNTERS];
    uint8_t caused[COUNTERS], counted[COUNTERS]; /* events of this clock, and of the one before: not in count yet */
    bool count_clear; /* CNT_CLEAR executes in this cycle */
    uint8_t settle;
    struct {
        enum loader_phase phase;
        uint8_t set, reg, last; /* register looked at, and the last one */
        bool by_id;             /* only registers of gTEA id */
        bool whole;             /* LOAD: registers are read before they are looked at */
        uint16_t id;
        uint64_t image;         /* LOAD: address of the image */
        uint64_t addr;          /* emitted while sent < words */
        uint64_t base;          /* word 0 of an entry */
        uint8_t words, sent, got;
        bool error;
    } loader;

    /* Functions of the registers above, kept because every match asks for them. */
    struct tea_list list[DMT_SETS_MAX][SIZES];
    uint8_t entering;                /* stage */
    uint64_t key[DMT_SETS_MAX];      /* of its cached entries, without prefix, per stage */
};

/* Bit i: context i is not free. */
static inline uint64_t cycle_taken(const struct dmt_cycle *m)
{
    return m->busy | m->owed;
}

/* Registers of the CSR port to their reset values. Everything is zero before. */
void cycle_csr_reset(struct dmt_cycle *m);

/* One clock of the CSR port, before anything else changes in this cycle.
 * Sets the s_* outputs; the caller sets the others. */
void cycle_csr_edge(struct dmt_cycle *m, const struct dmt_in *in);

/* One clock of the loader, active since before this cycle, with the beat that
 * it uses in this cycle, or NULL. */
void cycle_loader_edge(struct dmt_cycle *m, const struct thing *r);

#endif
