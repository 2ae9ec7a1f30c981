/* SPDX-License-Identifier: Apache-2.0
 * Prepared GTKWave views of a waveform that the RTL back end wrote. */
#ifndef TB_WAVES_H
#define TB_WAVES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Clock cycles to time units of the FST. */
#define WAVES_PERIOD 10

/** Write `view` (.gtkw) for the FST: the pins in groups per room, then every
 * room inside the block that the FST holds, with text for codes from
 * translation files put beside the view, and a marker at cycle `marker`
 * (UINT64_MAX: none). False, with *error set, when a file cannot be read or written. */
bool waves_view(const char *fst, const char *view, uint64_t marker, const char **error);

#ifdef __cplusplus
}
#endif

#endif
