/* SPDX-License-Identifier: Apache-2.0
 * Pin values of one clock cycle, one 64-bit word a pin (see pins.def). */
#ifndef DMT_PINS_H
#define DMT_PINS_H

#include <stdint.h>

/** Values driven into the block during a cycle. */
struct dmt_in {
#define PIN_IN(name, width) uint64_t name;
#define PIN_OUT(name, width)
#include "dmt/pins.def"
};

/** Values the block shows during a cycle; functions of its registers only. */
struct dmt_out {
#define PIN_IN(name, width)
#define PIN_OUT(name, width) uint64_t name;
#include "dmt/pins.def"
};

#endif
