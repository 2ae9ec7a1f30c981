/* SPDX-License-Identifier: Apache-2.0
 * The host's end of the link to a board (docs/board.md): two reliable byte
 * streams over a line that may lose, change and repeat bytes. It knows neither
 * ports nor clocks: bytes and the time in milliseconds come from the caller. */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum link_state {
    LINK_OPENING, /**< no answer to the greeting yet */
    LINK_OPEN,
    LINK_RESET,   /**< the board knows no session: it was reset */
    LINK_TAKEN,   /**< the board is in a session with somebody else */
    LINK_ECHO,    /**< what is sent comes back: no board */
    LINK_SILENT,  /**< no answer for too long */
};

struct link_stats {
    uint64_t frames_sent, frames_repeated, bytes_sent;
    uint64_t frames_taken, frames_bad, bytes_taken; /**< frames_bad: damaged, or out of turn */
    uint64_t naks, timeouts;                         /**< naks: frames that the board missed */
};

/** One frame, as it lies in a buffer. */
struct link_frame {
    uint8_t control;
    uint16_t session, seq, ack;
    uint8_t len;
    const uint8_t *payload;
};

/** Most bytes of a frame. */
#define LINK_FRAME_MAX (9 + 255 + 4)

/** Write a frame to `to` (LINK_FRAME_MAX bytes). Its size. */
size_t link_encode(const struct link_frame *f, uint8_t *to);

/** Look at at[0..n-1], which starts with a sync byte. The size of the intact
 * frame there; 0: not one; -1: more bytes are needed to tell. */
int link_decode(const uint8_t *at, size_t n, struct link_frame *f);

struct link;

/** A new session (not 0). patience: milliseconds without any answer until LINK_SILENT; frame_ms: what the longest
 * frame takes on the line, rounded up. NULL: out of memory. */
struct link *link_new(uint16_t session, uint64_t now, unsigned patience, unsigned frame_ms);
void link_free(struct link *l);

enum link_state link_state(const struct link *l);
const struct link_stats *link_stats(const struct link *l);

/** Bytes that may be on their way, once the board has said how large its ring is (512 before). */
void link_window(struct link *l, size_t bytes);

/** Append to the stream to the board. False: out of memory. */
bool link_write(struct link *l, const void *from, size_t n);
/** Bytes of that stream which the board has not acknowledged. */
size_t link_pending(const struct link *l);

/** Bytes of the stream from the board that can be had; take some. */
size_t link_ready(const struct link *l);
size_t link_read(struct link *l, void *to, size_t n);
/** The board owes an answer: ask again when none comes. */
void link_expect(struct link *l, bool owes, uint64_t now);

/** Bytes that came from the port. */
void link_feed(struct link *l, const uint8_t *from, size_t n, uint64_t now);
/** What to send to the port now: up to `room` bytes (at least LINK_FRAME_MAX) into `to`. */
size_t link_send(struct link *l, uint8_t *to, size_t room, uint64_t now);
/** Milliseconds until link_send should be called even if nothing comes. */
unsigned link_wait(const struct link *l, uint64_t now);

#endif
