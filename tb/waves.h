/* SPDX-License-Identifier: Apache-2.0
 * Waveforms for people: walks read back from the pins in an FST, lines of text
 * beside the signals, and prepared GTKWave views. The RTL back end's files are
 * meant, but any FST of a simulation of dmt_mmu will do. */
#ifndef TB_WAVES_H
#define TB_WAVES_H

#include "tb/walklog.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Clock cycles to time units of the FST. */
#define WAVES_PERIOD 10

/** Clock c of a log begins at time c * period + phase of its FST. */
struct waves_time {
    uint64_t period, phase;
};

/** Read the first dmt_mmu of an FST into an empty log, finished. Clock numbers
 * are times divided by the clock period: those of the run, for files of the RTL
 * back end. False, with *error set: cannot be read, or has no such block. */
bool waves_log(const char *fst, struct walklog *log, struct waves_time *time, const char **error);

/** Copy an FST, adding lines of text in a scope "walks": for each context the
 * walk it holds and how it ended, and its reads; and the register writes. Lines
 * of an earlier copy are replaced. `to` may be `from`. False, with *error set:
 * nothing was written. */
bool waves_annotate(const char *from, const char *to, const struct walklog *log, const struct waves_time *time,
                    const char **error);

/** Write `view` (.gtkw) for the FST: its lines of text, the pins in groups per
 * room, then every room inside the block that the FST holds, with text for codes from
 * translation files put beside the view, and a marker at cycle `marker`
 * (UINT64_MAX: none). False, with *error set, when a file cannot be read or written. */
bool waves_view(const char *fst, const char *view, uint64_t marker, const char **error);

#ifdef __cplusplus
}
#endif

#endif
