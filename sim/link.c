/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include "board_defs.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

_Static_assert(LINK_FRAME_MAX == DMT_LINK_HEAD + DMT_LINK_LEN_MAX + 4, "frame size");

enum {
    RTO_FIRST = 400, RTO_MIN = 200, RTO_MAX = 2000, /* ms until something is sent again */
    STALE = 180,                                  /* ms after which half a frame is not going to end */
    IN_MAX = 4 * LINK_FRAME_MAX
};

struct buffer {
    uint8_t *at;
    size_t first, n, room; /* at[first..first+n) */
};

struct link {
    enum link_state state;
    struct link_stats stats;
    uint16_t session;
    unsigned patience, frame_ms;

    struct buffer out;             /* the stream to the board from position una on */
    uint64_t una, snd, top;        /* positions: unacknowledged, next to send, never sent */
    size_t window;
    struct buffer in;              /* the stream from the board, not yet taken */
    uint64_t expect;               /* position that is waited for */
    bool owes;

    uint8_t epoch;                 /* of frames sent now */
    uint8_t back_epoch, again_epoch; /* when the streams to, from the board last went back */
    uint8_t echoed;
    bool hello_due, ack_due, nak_due, flush_due;
    bool probing;                  /* since a timeout the board has said nothing that it could say after it */

    uint64_t heard;                /* when an intact frame came last */
    uint64_t moved;                /* when something was sent or came that the timer runs from */
    uint64_t fed;
    unsigned rto, srtt;
    uint64_t timed, timed_at;      /* position whose acknowledgement is timed; 0: none */

    uint8_t raw[IN_MAX];           /* bytes that are no whole frame yet */
    size_t raw_n;
};

/* ---------------------------------------------------------------- frames */

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

size_t link_encode(const struct link_frame *f, uint8_t *to)
{
    size_t n = DMT_LINK_HEAD;

    to[0] = DMT_LINK_SYNC;
    to[1] = f->control;
    put16(to + 2, f->session);
    put16(to + 4, f->seq);
    put16(to + 6, f->ack);
    to[8] = f->len;
    if (f->len > 0) {
        memcpy(to + n, f->payload, f->len);
    }
    n += f->len;
    uint32_t crc = (uint32_t)crc32(0, to + 1, (uInt)(n - 1));
    put16(to + n, (uint16_t)crc);
    put16(to + n + 2, (uint16_t)(crc >> 16));
    return n + 4;
}

int link_decode(const uint8_t *at, size_t n, struct link_frame *f)
{
    if (n > 0 && at[0] != DMT_LINK_SYNC) {
        return 0;
    }
    if (n > 1 && (at[1] & 1) != 0) {
        return 0;
    }
    if (n < DMT_LINK_HEAD) {
        return -1;
    }
    size_t size = (size_t)DMT_LINK_HEAD + at[8] + 4;
    if (n < size) {
        return -1;
    }
    uint32_t crc = (uint32_t)crc32(0, at + 1, (uInt)(size - 5));
    if (crc != (get16(at + size - 4) | (uint32_t)get16(at + size - 2) << 16)) {
        return 0;
    }
    *f = (struct link_frame){.control = at[1],
                             .session = get16(at + 2),
                             .seq = get16(at + 4),
                             .ack = get16(at + 6),
                             .len = at[8],
                             .payload = at + DMT_LINK_HEAD};
    return (int)size;
}

/* ---------------------------------------------------------------- buffers */

static bool append(struct buffer *b, const void *from, size_t n)
{
    if (n == 0) {
        return true;
    }
    if (b->first + b->n + n > b->room && b->first > 0) {
        memmove(b->at, b->at + b->first, b->n);
        b->first = 0;
    }
    if (b->n + n > b->room) {
        size_t room = 2 * (b->n + n);
        uint8_t *at = realloc(b->at, room);
        if (at == NULL) {
            return false;
        }
        b->at = at;
        b->room = room;
    }
    memcpy(b->at + b->first + b->n, from, n);
    b->n += n;
    return true;
}

static void drop(struct buffer *b, size_t n)
{
    b->first += n;
    b->n -= n;
    if (b->n == 0) {
        b->first = 0;
    }
}

/* ---------------------------------------------------------------- the link */

/* Milliseconds until something is sent again: so few that what is silent has been asked at least once. */
static unsigned rto(const struct link *l, unsigned ms)
{
    unsigned most = l->patience / 2 < RTO_MAX ? l->patience / 2 : RTO_MAX;

    ms = ms < RTO_MIN + 2 * l->frame_ms ? RTO_MIN + 2 * l->frame_ms : ms;
    return ms < most ? ms : most;
}

struct link *link_new(uint16_t session, uint64_t now, unsigned patience, unsigned frame_ms)
{
    struct link *l = calloc(1, sizeof *l);

    if (l != NULL) {
        l->session = session;
        l->patience = patience;
        l->frame_ms = frame_ms;
        l->window = 512;
        l->rto = rto(l, RTO_FIRST);
        l->heard = l->moved = l->fed = now;
        l->hello_due = l->flush_due = true;
    }
    return l;
}

void link_free(struct link *l)
{
    if (l != NULL) {
        free(l->out.at);
        free(l->in.at);
        free(l);
    }
}

enum link_state link_state(const struct link *l)
{
    return l->state;
}

const struct link_stats *link_stats(const struct link *l)
{
    return &l->stats;
}

void link_window(struct link *l, size_t bytes)
{
    l->window = bytes;
}

bool link_write(struct link *l, const void *from, size_t n)
{
    return append(&l->out, from, n);
}

size_t link_pending(const struct link *l)
{
    return l->out.n;
}

size_t link_ready(const struct link *l)
{
    return l->in.n;
}

size_t link_read(struct link *l, void *to, size_t n)
{
    if (n > l->in.n) {
        n = l->in.n;
    }
    if (n > 0) {
        memcpy(to, l->in.at + l->in.first, n);
        drop(&l->in, n);
    }
    return n;
}

/* Is epoch a not before b? Both are of the last sixteen. */
static bool not_before(uint8_t a, uint8_t b)
{
    return ((a - b) & 15) < 8;
}

/* Send again from what is unacknowledged. */
static void go_back(struct link *l)
{
    if (l->snd != l->una) {
        l->snd = l->una;
        l->timed = 0;
    }
    l->epoch = (l->epoch + 1) & 15;
    l->back_epoch = l->epoch;
}

/* Ask for the stream from the board again. */
static void ask_again(struct link *l)
{
    l->epoch = (l->epoch + 1) & 15;
    l->again_epoch = l->epoch;
    l->nak_due = true;
}

static void acknowledged(struct link *l, uint16_t ack, uint64_t now)
{
    uint16_t n = (uint16_t)(ack - (uint16_t)l->una);

    if (n == 0 || n > l->top - l->una) {
        return; /* old, or of nothing that was ever sent */
    }
    l->una += n;
    if (l->snd < l->una) {
        l->snd = l->una;
    }
    drop(&l->out, n);
    l->moved = now;
    if (l->timed != 0 && l->una >= l->timed) {
        unsigned rtt = (unsigned)(now - l->timed_at);
        l->srtt = l->srtt == 0 ? rtt : (7 * l->srtt + rtt) / 8;
        l->timed = 0;
        l->rto = rto(l, 4 * l->srtt);
    }
}

static void take(struct link *l, const struct link_frame *f, uint64_t now)
{
    if ((f->control & DMT_LINK_BOARD) == 0) {
        if (f->session == l->session) {
            l->state = LINK_ECHO;
        }
        return;
    }
    if (f->session != l->session) {
        /* Before the greeting is answered, what was said to others or to nobody may still come: the
         * greeting is behind it in the ports. */
        if (l->state == LINK_OPEN) {
            l->state = f->session == 0 ? LINK_RESET : LINK_TAKEN;
        }
        l->heard = l->moved = now;
        return;
    }
    l->heard = now;
    if (l->state == LINK_OPENING) {
        l->state = LINK_OPEN;
        l->hello_due = false;
        l->moved = now;
    }
    l->echoed = f->control >> 4;
    /* What was heard once stays so: the marks go along with the echo, or eight more epochs would age them. */
    bool back_heard = not_before(l->echoed, l->back_epoch), again_heard = not_before(l->echoed, l->again_epoch);
    if (back_heard) {
        l->back_epoch = l->echoed;
        l->probing = false;
    } else {
        l->moved = now; /* still busy with what was sent before: on a slow line it is long in the ports */
    }
    if (again_heard) {
        l->again_epoch = l->echoed;
    }
    acknowledged(l, f->ack, now);
    l->stats.naks += (f->control & DMT_LINK_NAK) != 0;
    if ((f->control & DMT_LINK_NAK) != 0 && back_heard && l->una < l->top) {
        go_back(l);
    }
    if (f->len == 0) {
        return;
    }
    int16_t ahead = (int16_t)(uint16_t)(f->seq - (uint16_t)l->expect);
    if (ahead == 0) {
        if (append(&l->in, f->payload, f->len)) {
            l->expect += f->len;
            l->stats.frames_taken++;
            l->stats.bytes_taken += f->len;
            l->ack_due = true;
            l->moved = now;
        }
        return;
    }
    l->stats.frames_bad++;
    if (ahead < 0) {
        l->ack_due = true;
    } else if (again_heard) {
        ask_again(l);
    }
}

/* Take whole frames off the raw bytes; what starts none is skipped byte by byte. */
static void scan(struct link *l, uint64_t now)
{
    size_t at = 0;

    while (at < l->raw_n && l->state <= LINK_OPEN) {
        struct link_frame f;
        const uint8_t *sync = memchr(l->raw + at, DMT_LINK_SYNC, l->raw_n - at);
        if (sync == NULL) {
            at = l->raw_n;
            break;
        }
        at = (size_t)(sync - l->raw);
        int size = link_decode(sync, l->raw_n - at, &f);
        if (size < 0) {
            break;
        }
        if (size == 0) {
            l->stats.frames_bad++;
            at++;
        } else {
            take(l, &f, now);
            at += (size_t)size;
        }
    }
    l->raw_n -= at;
    memmove(l->raw, l->raw + at, l->raw_n);
}

void link_feed(struct link *l, const uint8_t *from, size_t n, uint64_t now)
{
    l->fed = now;
    while (n > 0) {
        size_t k = n < IN_MAX - l->raw_n ? n : IN_MAX - l->raw_n;
        memcpy(l->raw + l->raw_n, from, k);
        l->raw_n += k;
        from += k;
        n -= k;
        scan(l, now);
        if (l->state > LINK_OPEN) {
            return;
        }
    }
}

/* Is there something that the board is to answer? */
static bool waiting(const struct link *l)
{
    return l->state == LINK_OPENING || l->una < l->snd || l->owes;
}

void link_expect(struct link *l, bool owes, uint64_t now)
{
    if (!waiting(l)) {
        l->heard = l->moved = now;
    }
    l->owes = owes;
}

static void timers(struct link *l, uint64_t now)
{
    if (l->raw_n > 0 && now - l->fed >= STALE) {
        /* Half a frame that does not go on: a sync byte by chance, or the rest got lost. */
        l->raw_n--;
        memmove(l->raw, l->raw + 1, l->raw_n);
        scan(l, now);
    }
    if (!waiting(l)) {
        l->heard = l->moved = now;
        return;
    }
    if (now - l->heard >= l->patience) {
        l->state = LINK_SILENT;
        return;
    }
    if (now - l->moved < l->rto) {
        return;
    }
    l->stats.timeouts++;
    l->moved = now;
    l->rto = rto(l, 2 * l->rto);
    l->flush_due = true;
    if (l->state == LINK_OPENING) {
        l->hello_due = true;
    } else {
        go_back(l);
        ask_again(l);
        l->back_epoch = l->epoch;
        l->probing = true;
    }
}

/* Make one frame. */
static size_t frame(struct link *l, uint8_t flags, size_t len, uint8_t *to)
{
    struct link_frame f = {.control = (uint8_t)(l->epoch << 4 | flags),
                           .session = l->session,
                           .seq = (uint16_t)l->snd,
                           .ack = (uint16_t)l->expect,
                           .len = (uint8_t)len,
                           .payload = len > 0 ? l->out.at + l->out.first + (l->snd - l->una) : NULL};
    size_t n = link_encode(&f, to);

    l->stats.frames_sent++;
    l->stats.bytes_sent += n;
    return n;
}

size_t link_send(struct link *l, uint8_t *to, size_t room, uint64_t now)
{
    size_t n = 0;

    timers(l, now);
    if (l->state > LINK_OPEN) {
        return 0;
    }
    if (l->flush_due && room >= 2 * LINK_FRAME_MAX) {
        /* The board may wait for the rest of a frame: whatever that was, it ends here. */
        memset(to, 0, LINK_FRAME_MAX);
        n = LINK_FRAME_MAX;
        l->flush_due = false;
    }
    if (l->state == LINK_OPENING) {
        if (l->hello_due && room - n >= LINK_FRAME_MAX) {
            n += frame(l, DMT_LINK_HELLO, 0, to + n);
            l->hello_due = false;
        }
        return n;
    }
    /* After a timeout one frame goes, until the board has seen it: a window each time would pile up in the
     * ports of a line that is slow or stands still. */
    size_t window = l->probing ? DMT_LINK_LEN_MAX : l->window;
    while (room - n >= LINK_FRAME_MAX) {
        size_t flying = (size_t)(l->snd - l->una), left = l->out.n - flying;
        size_t len = left < DMT_LINK_LEN_MAX ? left : DMT_LINK_LEN_MAX;
        if (flying + len > window) {
            len = 0; /* a short frame would waste the line */
        }
        if (len == 0 && !l->ack_due && !l->nak_due) {
            break;
        }
        if (len > 0 && flying == 0) {
            l->moved = now;
        }
        n += frame(l, l->nak_due ? DMT_LINK_NAK : 0, len, to + n);
        l->ack_due = l->nak_due = false;
        l->stats.frames_repeated += len > 0 && l->snd < l->top;
        l->snd += len;
        if (l->snd > l->top) {
            l->top = l->snd;
            if (l->timed == 0) {
                l->timed = l->snd;
                l->timed_at = now;
            }
        }
        if (len == 0) {
            break;
        }
    }
    return n;
}

unsigned link_wait(const struct link *l, uint64_t now)
{
    uint64_t until = now + 1000;

    if (l->raw_n > 0 && l->fed + STALE < until) {
        until = l->fed + STALE;
    }
    if (waiting(l)) {
        if (l->moved + l->rto < until) {
            until = l->moved + l->rto;
        }
        if (l->heard + l->patience < until) {
            until = l->heard + l->patience;
        }
    }
    return until > now ? (unsigned)(until - now) : 0;
}
