/* SPDX-License-Identifier: Apache-2.0
 * State files: the registers a translation depends on, as text. */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include "dmt/arch.h"

/** A second stage or shadow table as the state file describes it. */
struct second_stage {
    uint64_t root;  /**< hPA of its first table */
    uint8_t format; /**< 0 ept, 1 npt */
    uint8_t levels; /**< 4 or 5 */
    bool ad, mbec;  /**< EPT A/D enable, mode-based execute */
    bool given;     /**< some key of it was set */
};

/** Everything a state file can say. */
struct full_state {
    struct dmt_state dmt;
    struct second_stage second[2]; /**< s0, s1 */
    struct second_stage shadow;
    bool fallback_full; /**< fallback = full */
    struct {
        uint64_t table, entries; /**< hPA and number of entries of the gTEA table */
    } gtea[DMT_SETS_MAX];
};

/** The defaults every state file starts from: native, 52 bits, A/D updates on. */
void state_default(struct full_state *s);

/** Apply one `key = value`. NULL when done, else what is wrong, naming what
 * was expected; valid until the next call. cr0, cr3, .. go to the level that
 * requests enter at, so `mode` must be set before them. */
const char *state_set(struct full_state *s, const char *key, const char *value);

/** Is the key one that state_set knows? */
bool state_key(const char *key);

/** Check what belongs together (roots and TEAs against maxphyaddr, keys that
 * the mode needs). NULL when sound, else what is wrong. */
const char *state_check(const struct full_state *s);

/** Read a file. False after saying why, with line number. */
bool state_read(const char *path, struct full_state *s);

/** Write a native state. False after saying why. */
bool state_write(const char *path, const struct dmt_state *s, const char *comment);

/** Stage that requests enter at. */
unsigned state_entry(const struct dmt_state *s);

#endif
