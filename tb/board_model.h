/* SPDX-License-Identifier: Apache-2.0
 * The verilated board cores that tb/board_sim.cpp runs, one a configuration. */
#ifndef TB_BOARD_MODEL_H
#define TB_BOARD_MODEL_H

#include <cstdint>

struct board_model {
    virtual ~board_model() = default;
    /** One clock with these pins; the line from the board after it. */
    virtual bool clock(bool rst, bool rxd) = 0;
    virtual bool trace(const char *path) = 0;
};

/** A board core that can be had by name. */
struct board_kind {
    const char *name;
    unsigned divisor; /**< clocks a bit */
    board_model *(*make)(uint16_t version, uint32_t build);
};

extern const board_kind board_pipelined, board_tiny, board_memory;

#endif
