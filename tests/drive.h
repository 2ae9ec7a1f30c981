/* SPDX-License-Identifier: Apache-2.0
 * A scripted driver for directed tests: one engine (the architectural model,
 * the cycle model or the verilated RTL) with a memory whose latency, order and
 * answers a test controls, and CSR writes, stores and requests at exact
 * clocks. On every clock it asserts what must hold whatever the test does
 * (drive_step). Failures are Criterion assertions. */
#ifndef DRIVE_H
#define DRIVE_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "dmt/mem.h"
#include "dmt/table.h"
#include "tb/dut.h"
#include "tb/rng.h"
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

enum drive_engine { DRIVE_ARCH, DRIVE_CYCLE, DRIVE_RTL };

/** Tests cycle/name and rtl/name, which call name(engine). */
#define ON_PINS(name)                                                                                        \
    static void name(enum drive_engine engine);                                                              \
    Test(cycle, name)                                                                                        \
    {                                                                                                        \
        name(DRIVE_CYCLE);                                                                                   \
    }                                                                                                        \
    Test(rtl, name)                                                                                          \
    {                                                                                                        \
        name(DRIVE_RTL);                                                                                     \
    }                                                                                                        \
    static void name(enum drive_engine engine)

/** The same with test arch/name besides. */
#define ON_EVERY_ENGINE(name)                                                                                \
    static void name(enum drive_engine engine);                                                              \
    Test(arch, name)                                                                                         \
    {                                                                                                        \
        name(DRIVE_ARCH);                                                                                    \
    }                                                                                                        \
    ON_PINS(name)

/** Fail the test unless the condition holds; a message may follow. Criterion's own assertions report every
 * success to the runner, which is too slow for what is checked millions of times. */
#define must(condition, ...)                                                                                 \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            cr_assert_fail(#condition " does not hold. " __VA_ARGS__);                                       \
    } while (0)

/** Kinds of port accesses, one bit each. */
enum { DRIVE_READ = 1, DRIVE_EXREAD = 2, DRIVE_WRITE = 4, DRIVE_ALL = 7 };

#define DRIVE_ANY UINT64_MAX

/** An answer of the memory that a test dictates. */
struct drive_fault {
    uint64_t addr;  /**< of the entry, or DRIVE_ANY */
    unsigned kinds; /**< accesses it applies to */
    unsigned skip;  /**< so many of them are answered properly first */
    unsigned times; /**< then so many get this answer */
    uint8_t resp;   /**< enum dmt_resp; OKAY: not exclusive (EXREAD), lost (WRITE) */
    uint64_t data;  /**< on the bus beside it */
};

/** One access on the PTE port, surplus reads included, in the order of the answers. */
struct drive_event {
    uint64_t clock; /**< in which the memory acted (first clock of the answer) */
    uint64_t addr, data;
    uint8_t kind;   /**< DRIVE_READ, _EXREAD or _WRITE */
    uint8_t resp;
    uint8_t id;
};

/** One request and what became of it. */
struct drive_walk {
    struct dmt_request request;
    uint16_t tag;
    bool is_taken, is_ended, is_answered;
    uint64_t taken, answered; /**< clocks of the two handshakes */
    uint64_t first_ref;       /**< address of its first read, DRIVE_ANY when there was none */
    struct dmt_result result; /**< multi_hit and refs are not on the pins */
};

/** One CSR write. */
struct drive_csr {
    uint16_t addr;
    uint8_t strb, resp;
    uint64_t data;
    uint64_t aw_from, w_from; /* clocks from which address and data are offered */
    bool is_answered;
    uint64_t answered;        /**< clock in which its answer was first seen */
};

#define DRIVE_FAULTS 4
#define DRIVE_LOG 4096
#define DRIVE_OUTSTANDING 1024
#define DRIVE_IDS 256
#define DRIVE_CACHE 64

/** Members without a comment mark are the driver's own. */
struct drive {
    enum drive_engine engine;  /**< fixed by drive_new */
    struct dmt_config config;  /**< fixed by drive_new */
    struct dmt_mem *mem;       /**< free to use; drive_poke also ends reservations */
    struct dmt_pool pool;      /**< where drive_map gets tables from */
    struct dmt_state state;    /**< registers in force */
    uint64_t now;              /**< clocks since reset */

    unsigned latency;          /**< clocks from an address to its answer, from 1 */
    bool in_order;             /**< answers of different IDs keep the order of their addresses */
    bool last_first;           /**< else: of the answers that are due the youngest goes first */
    unsigned spread;           /**< up to so many clocks more, at random */
    bool hold_answers;         /**< resp_ready low */
    bool hold_csr;             /**< s_bready low */
    bool hold_port;            /**< AR, AW and W not taken */
    bool idle_noise;           /**< random values on inputs whose valid is low (set by drive_new) */
    int csr_skew;              /**< W after AW by so many clocks, negative: AW after W */
    struct drive_fault fault[DRIVE_FAULTS];
    unsigned faults;
    struct rng rng;

    struct drive_walk walk[DRIVE_LOG]; /**< since drive_clear, in the order of drive_ask */
    unsigned walks, taken, ended, answered;
    struct drive_event event[DRIVE_LOG]; /**< since drive_clear */
    unsigned events;
    struct drive_csr csr[DRIVE_LOG];   /**< since drive_clear */
    unsigned csrs;

    const struct dut_ops *ops;
    void *dut;
    struct dmt_out before; /* outputs of the clock before, and which were left waiting */
    bool ar_waits, aw_waits, w_waits, resp_waits;
    uint32_t order;        /* of walk[0] */
    unsigned aw_sent, w_sent, csr_done;
    struct { uint64_t addr, due; uint8_t id; bool lock; } read[DRIVE_OUTSTANDING];
    unsigned reads;
    struct { uint64_t addr; uint8_t id; } aw[DRIVE_OUTSTANDING];
    uint64_t w[DRIVE_OUTSTANDING];
    unsigned aws, ws;
    struct { uint64_t addr, data, due; uint8_t id; } write[DRIVE_OUTSTANDING];
    unsigned writes;
    struct { bool valid; uint8_t id, resp; uint64_t data; } r, b;
    bool reserved[DRIVE_IDS];
    uint64_t reservation[DRIVE_IDS];
    uint64_t last_exclusive[DRIVE_IDS]; /* address of the last exclusive read of an ID */
    struct {
        uint64_t prefix, table;
        uint8_t stage, level, rights;
        bool valid;
    } cache[DRIVE_CACHE]; /* ARCH only */
    unsigned cache_next;
};

/** An engine in reset state with empty memory. The RTL is configuration
 * "default" and the cycle model has its parameters. */
struct drive *drive_new(enum drive_engine engine, unsigned latency);
/** The same for a named configuration of the RTL. Of it the architectural
 * model takes the address width, and whether there are caches. */
struct drive *drive_new_config(enum drive_engine engine, const char *config, unsigned latency);
void drive_free(struct drive *d);

/** Forget logged walks, events and CSR writes. Nothing may be under way. */
void drive_clear(struct drive *d);

/* ---- page tables and registers */

/** An empty table from the pool. */
struct dmt_table drive_table(struct drive *d, unsigned levels);
/** Map a page, asserting that it can be, and look it up: addr[level] and
 * entry[level] are those of its path. Upper entries get P, W, U, A. */
struct dmt_lookup drive_map(struct drive *d, struct dmt_table *t, uint64_t va, uint64_t pa, unsigned sz,
                            uint64_t flags);
/** Registers for walking t: NATIVE, NXE, A/D updates on, MAXPA of the instance. */
struct dmt_state drive_native(const struct drive *d, const struct dmt_table *t);
/** A register that covers the `pages` 4 KiB pages from va, whose first entry is at hPA entry_pa
 * (the register starts lower when that is not the first word of a frame). All rights allowed. */
struct dmt_tea drive_cover(uint64_t va, uint64_t pages, unsigned sz, uint64_t entry_pa);

/** Set what the gTEA tables in memory make of each KIND GTEA register of `state`. */
void drive_resolve(const struct drive *d, struct dmt_state *state);
/** Make the registers hold `state`; asserts that none is refused and each gTEA
 * resolved as `state` has it. Nothing may be under way. */
void drive_load(struct drive *d, const struct dmt_state *state);
/** Drop all that is cached from tables, of any stage, and await the answers. */
void drive_invalidate(struct drive *d);

/* ---- memory */

/** Create the frame of pa if need be and store a word there, as another processor would. */
void drive_poke(struct drive *d, uint64_t pa, uint64_t value);
/** The word at pa, which must be present. */
uint64_t drive_peek(const struct drive *d, uint64_t pa);
/** Dictate an answer; see struct drive_fault. */
void drive_fault(struct drive *d, struct drive_fault fault);

/* ---- one at a time, on every engine */

/** Clear the log, translate one request alone, and return its result, valid until the next call. */
const struct dmt_result *drive_translate(struct drive *d, const struct dmt_request *request);

/* ---- clock by clock, on engines with pins */

/** Put a request in line for the port. Returns its index in walk[]. */
unsigned drive_ask(struct drive *d, const struct dmt_request *request);
/** Put a CSR write in line; it is offered from the next clock on. Returns its index in csr[]. */
unsigned drive_write(struct drive *d, unsigned addr, uint64_t data);
/** Read a CSR, stepping until it is answered. */
uint64_t drive_read(struct drive *d, unsigned addr);

/** One clock. Asserts: an answer belongs to a request that is taken and not
 * answered, has a legal status and zero where the status has no field, and is
 * what the walk trace port says; valid outputs do not change until taken; at
 * most five reads of an ID are outstanding; an exclusive write follows the
 * exclusive read of that ID and address. */
void drive_step(struct drive *d);
/** Clocks until nothing is under way: all requests answered, all CSR writes
 * answered, no read or write outstanding. Asserts that this happens. */
void drive_run(struct drive *d);

/* ---- comparing */

/** Equal in everything that the pins show. */
bool drive_same(const struct dmt_result *a, const struct dmt_result *b);
/** A result as text, in one of four static buffers in turn. */
const char *drive_text(const struct dmt_result *r);

/** What the architectural model answers in these registers and this memory, without changing either. */
struct dmt_result drive_judge(const struct drive *d, const struct dmt_state *state,
                              const struct dmt_request *request);

#endif
