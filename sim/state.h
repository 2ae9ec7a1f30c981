/* SPDX-License-Identifier: Apache-2.0
 * State files: the registers a translation depends on, as text. */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include "dmt/arch.h"
#include "dmt/mem.h"

enum { SHADOW = 2 }; /**< index of the shadow table beside s0 and s1 */

/** Everything a state file can say. */
struct full_state {
    struct dmt_state dmt;
    bool root_given[SHADOW + 1], format_given[SHADOW + 1]; /**< s0, s1, shadow: the key was set */
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

/** Resolve every register of KIND GTEA from the gTEA tables in mem, as the
 * hardware does when the register is written (specification 12). */
void state_resolve(struct dmt_state *s, struct dmt_mem *mem);

/** Write a state file. False after saying why. */
bool state_write(const char *path, const struct dmt_state *s, const char *comment);

/** Stage that requests enter at. */
unsigned state_entry(const struct dmt_state *s);

#endif
