/* SPDX-License-Identifier: Apache-2.0
 * A board with the walker on it, at a serial port: commands and their answers
 * (docs/board.md), and which blocks of memory it holds. Commands are queued and
 * go out while answers come in; board_flush waits for all of them. After a
 * failure every call does nothing until board_start. */
#ifndef SIM_BOARD_H
#define SIM_BOARD_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "dmt/mem.h"
#include "link.h"
#include <signal.h>

/** What the board says of itself. */
struct board_id {
    unsigned version, session;
    uint32_t build;
    struct dmt_config config;
    unsigned rx_w, tx_w;              /**< log2 of its rings' bytes */
    unsigned block_w, slots;          /**< log2 of a block's bytes; blocks that have a place */
    unsigned ways, set_w;             /**< of the map of blocks */
    unsigned latency, depth, divisor; /**< of memory, in clocks; reads on their way; clocks a bit */
    unsigned clk_khz;
    bool trace; /**< results have clocks and reads, and updates are told */
};

enum board_status {
    BOARD_OK = 0,
    BOARD_RESET, /**< it was reset: start again. Said by board_start or whoever gives up */
    BOARD_STOPPED, /**< by the caller's flag (board_stop_on) */
    BOARD_FAILED /**< said what */
};

/** An A/D update, as the walker wrote it. */
struct board_update {
    uint64_t addr, data;
    uint8_t resp;
};

/** What came of a translation. reads and clocks are of boards with trace. */
struct board_result {
    struct dmt_result result;
    uint32_t clocks;
    const struct board_update *update; /**< in order, valid during the call */
    size_t update_n;
};

struct board;

/** Open a port (raw, at this speed) and keep others out. NULL after saying why. */
struct board *board_open(const char *port, unsigned baud, unsigned patience);
void board_close(struct board *b);
/** From now on nothing is waited for once *stop is not 0. */
void board_stop_on(struct board *b, const volatile sig_atomic_t *stop);
/** Is the speed one that ports can be set to? */
bool board_baud(unsigned baud);

/** Start a session, and check the version; with `reset` (which all but readers of
 * registers want) the walker is in reset state and the memory map empty. */
enum board_status board_start(struct board *b, bool reset);
const struct board_id *board_id(const struct board *b);
const struct link_stats *board_link_stats(const struct board *b);
enum board_status board_status(const struct board *b);

/** Called for each translation's answer, with the number board_translate gave it. */
void board_on_result(struct board *b, void (*call)(void *user, uint64_t n, const struct board_result *r),
                     void *user);

void board_translate(struct board *b, const struct dmt_request *rq, uint64_t n);
/** resp may be NULL; else it gets the AXI answer once flushed. */
void board_csr_write(struct board *b, unsigned offset, uint64_t value, uint8_t *resp);
void board_csr_read(struct board *b, unsigned offset, uint64_t *value, uint8_t *resp);
/** Words in slots, by word address; at least one, at most 65535. */
void board_store(struct board *b, unsigned word, const uint64_t *from, size_t n);
void board_fetch(struct board *b, unsigned word, uint64_t *to, size_t n);
/** Wait on the board until no walk is under way; clock: its 32-bit count of clocks, or NULL. */
void board_fence(struct board *b, uint32_t *clock);
/** Reset walker and memory map, once no walk is under way. */
void board_reset(struct board *b);
/** Until every answer is here. */
enum board_status board_flush(struct board *b);

/* ---------------------------------------------------------------- memory */

enum board_need {
    BOARD_THERE = 0,
    BOARD_EVICTS, /**< room must be made: flush, then call with `evict` */
    BOARD_FULL    /**< these blocks do not fit together */
};

/** Have the blocks with these addresses of words (any, repeats allowed) in the
 * board's memory with mem's contents; those absent from mem stay absent. A walk
 * may be under way when no room must be made. */
enum board_need board_need(struct board *b, const struct dmt_mem *mem, const uint64_t *addr, size_t n, bool evict);
/** The contents of the block of this address have changed in mem, or do not matter. No walk may be under way. */
void board_forget(struct board *b, uint64_t addr);
/** Fetch all words that are in slots; call with each, in no order. */
enum board_status board_compare(struct board *b, bool (*word)(void *user, uint64_t addr, uint64_t value), void *user);
/** Blocks in slots, and as zeros. */
void board_blocks(const struct board *b, size_t *slots, size_t *zeros);

#endif
