/* SPDX-License-Identifier: Apache-2.0
 * The host's end of the board link against a board written anew for the test from
 * docs/board.md, over lines that lose, change and repeat bytes; and fuzzed input.
 * tests/test_board.sh has it against the RTL. */
#include "board_defs.h"
#include "link.h"
#include "tb/rng.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- frames */

/* CRC-32 of "123456789" is cbf43926 for zlib and Ethernet. A frame with no payload whose CRC
 * covers known bytes is checked by hand. */
Test(link, frame_is_laid_out_as_documented)
{
    uint8_t to[LINK_FRAME_MAX];
    struct link_frame f = {.control = 0x52, .session = 0x1234, .seq = 0xabcd, .ack = 0x00ff, .len = 3,
                           .payload = (const uint8_t *)"abc"};
    static const uint8_t expected[] = {0xd3, 0x52, 0x34, 0x12, 0xcd, 0xab, 0xff, 0x00, 3, 'a', 'b', 'c'};

    cr_assert_eq(link_encode(&f, to), sizeof expected + 4);
    cr_assert_arr_eq(to, expected, sizeof expected);
    uint32_t crc = 0xffffffff; /* bit by bit, as the hardware does */
    for (size_t i = 1; i < sizeof expected; i++) {
        for (unsigned b = 0; b < 8; b++) {
            crc = crc >> 1 ^ (((crc ^ expected[i] >> b) & 1) != 0 ? 0xedb88320u : 0);
        }
    }
    crc = ~crc;
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(to[sizeof expected + i], (uint8_t)(crc >> 8 * i));
    }
}

Test(link, frame_comes_back)
{
    struct rng r;

    rng_seed(&r, 1, 0);
    for (unsigned n = 0; n < 2000; n++) {
        uint8_t payload[255], to[LINK_FRAME_MAX];
        struct link_frame f = {.control = (uint8_t)(rng_next(&r) & 0xfe), .session = (uint16_t)rng_next(&r),
                               .seq = (uint16_t)rng_next(&r), .ack = (uint16_t)rng_next(&r),
                               .len = (uint8_t)rng_next(&r), .payload = payload}, got;
        for (unsigned i = 0; i < sizeof payload; i++) {
            payload[i] = (uint8_t)rng_next(&r);
        }
        size_t size = link_encode(&f, to);
        for (size_t k = 0; k < size; k++) {
            cr_assert_eq(link_decode(to, k, &got), -1, "%zu of %zu bytes are no whole frame", k, size);
        }
        cr_assert_eq(link_decode(to, size, &got), (int)size);
        cr_assert_eq(got.control, f.control);
        cr_assert_eq(got.session, f.session);
        cr_assert_eq(got.seq, f.seq);
        cr_assert_eq(got.ack, f.ack);
        cr_assert_eq(got.len, f.len);
        cr_assert_arr_eq(got.payload, payload, f.len);
        /* any one bit changed: not this frame */
        size_t at = rng_below(&r, size);
        to[at] ^= (uint8_t)(1u << rng_below(&r, 8));
        cr_assert_leq(link_decode(to, size, &got), 0);
    }
}

/* ---------------------------------------------------------------- a board */

#define RING 4096

struct peer {
    uint16_t session, expect, una, snd, put;
    uint8_t epoch;
    bool say, nak;
    uint8_t taken[1 << 20]; /* everything that the host sent, in order */
    size_t taken_n;
    uint8_t ring[65536]; /* of the stream to the host, by position */
    uint8_t raw[1024];
    size_t raw_n;
    unsigned greeted;
};

static void peer_take(struct peer *p, const struct link_frame *f)
{
    p->say = true;
    p->nak = false;
    if ((f->control & DMT_LINK_HELLO) != 0) {
        if (f->session != p->session) {
            p->session = f->session;
            p->expect = p->una = p->snd = p->put = 0;
            p->greeted++;
        }
        p->epoch = f->control >> 4;
        return;
    }
    if (f->session != p->session || p->session == 0) {
        return;
    }
    p->epoch = f->control >> 4;
    uint16_t n = (uint16_t)(f->ack - p->una);
    if (n <= (uint16_t)(p->put - p->una)) {
        if ((uint16_t)(p->snd - p->una) < n || (f->control & DMT_LINK_NAK) != 0) {
            p->snd = f->ack;
        }
        p->una = f->ack;
    }
    if (f->len == 0) {
        p->say = (f->control & DMT_LINK_NAK) != 0;
        return;
    }
    if (f->seq != p->expect) {
        p->nak = (int16_t)(uint16_t)(f->seq - p->expect) > 0;
        return;
    }
    cr_assert_lt(p->taken_n + f->len, sizeof p->taken);
    memcpy(p->taken + p->taken_n, f->payload, f->len);
    p->taken_n += f->len;
    p->expect = (uint16_t)(p->expect + f->len);
}

static void peer_feed(struct peer *p, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct link_frame f;
        if (p->raw_n == 0 && from[i] != DMT_LINK_SYNC) {
            continue;
        }
        p->raw[p->raw_n++] = from[i];
        int size = link_decode(p->raw, p->raw_n, &f);
        if (size >= 0) {
            p->raw_n = 0;
        }
        if (size > 0) {
            peer_take(p, &f);
        } else if (size == 0) {
            p->say = p->nak = true;
        }
    }
}

static size_t peer_send(struct peer *p, uint8_t *to, size_t room)
{
    size_t n = 0;

    while (room - n >= LINK_FRAME_MAX && (p->say || p->snd != p->put)) {
        uint8_t payload[255];
        uint16_t left = (uint16_t)(p->put - p->snd);
        uint8_t len = left > 255 ? 255 : (uint8_t)left;
        for (unsigned i = 0; i < len; i++) {
            payload[i] = p->ring[(uint16_t)(p->snd + i)];
        }
        n += link_encode(&(struct link_frame){.control = (uint8_t)(p->epoch << 4 | DMT_LINK_BOARD |
                                                                    (p->nak ? DMT_LINK_NAK : 0)),
                                              .session = p->session, .seq = p->snd, .ack = p->expect,
                                              .len = len, .payload = payload}, to + n);
        p->snd = (uint16_t)(p->snd + len);
        p->say = p->nak = false;
    }
    return n;
}

/* A line: of 100 000 bytes, so many get lost, changed, repeated. With a rate, in bytes a millisecond, a port before
 * it keeps what does not pass yet. */
struct line {
    struct rng rng;
    unsigned lose, flip, twice;
    double rate, credit;
    uint8_t port[1 << 16];
    size_t kept, most;
};

static size_t pass(struct line *l, const uint8_t *from, size_t n, uint8_t *to)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        if (rng_below(&l->rng, 100000) < l->lose) {
            continue;
        }
        to[k] = from[i];
        if (rng_below(&l->rng, 100000) < l->flip) {
            to[k] ^= (uint8_t)(1u << rng_below(&l->rng, 8));
        }
        k++;
        if (rng_below(&l->rng, 100000) < l->twice) {
            to[k] = to[k - 1];
            k++;
        }
    }
    return k;
}

/* The same, through the port. */
static size_t through(struct line *l, const uint8_t *from, size_t n, uint64_t ms, uint8_t *to)
{
    if (l->rate == 0) {
        return pass(l, from, n, to);
    }
    cr_assert_leq(l->kept + n, sizeof l->port, "the port is full");
    if (n > 0) {
        memcpy(l->port + l->kept, from, n);
    }
    l->kept += n;
    l->most = l->kept > l->most ? l->kept : l->most;
    l->credit = l->kept == 0 ? 0 : l->credit + l->rate * (double)ms;
    size_t k = l->credit < (double)l->kept ? (size_t)l->credit : l->kept;
    l->credit -= (double)k;
    n = pass(l, l->port, k, to);
    l->kept -= k;
    memmove(l->port, l->port + k, l->kept);
    return n;
}

/* n bytes each way over bad lines: all arrive, in order, once. rate: see struct line. Most bytes that the host's port
 * had to keep. */
static size_t exchange_at(double rate, uint64_t seed, unsigned lose, unsigned flip, unsigned twice, size_t n)
{
    struct peer *p = calloc(1, sizeof *p);
    struct link *l = link_new(0x77aa, 0, flip == 0 && rate > 0 ? 3000 : 60000,
                              rate > 0 ? (unsigned)(LINK_FRAME_MAX / rate) : 1);
    struct line down = {.lose = lose, .flip = flip, .twice = twice, .rate = rate}, up = down;
    uint64_t before = 0;
    uint8_t *sent = malloc(n), *said = malloc(n), *heard = malloc(n);
    size_t queued = 0, told = 0, got = 0;
    uint64_t now = 0;
    struct rng r;

    rng_seed(&r, seed, 1);
    rng_seed(&down.rng, seed, 2);
    rng_seed(&up.rng, seed, 3);
    for (size_t i = 0; i < n; i++) { /* many bytes that look like the start of a frame */
        sent[i] = rng_below(&r, 4) == 0 ? DMT_LINK_SYNC : (uint8_t)rng_next(&r);
        said[i] = rng_below(&r, 4) == 0 ? DMT_LINK_SYNC : (uint8_t)rng_next(&r);
    }
    link_window(l, RING);
    while ((got < n || p->taken_n < n) && now < 10000000) {
        uint8_t buf[4096], bad[8192];
        for (; queued < n && link_pending(l) < 2 * RING; queued++) {
            cr_assert(link_write(l, sent + queued, 1));
        }
        link_expect(l, got < n, now);
        size_t k = link_send(l, buf, sizeof buf, now);
        peer_feed(p, bad, through(&down, buf, k, now - before, bad));
        cr_assert_eq(memcmp(p->taken, sent, p->taken_n < n ? p->taken_n : n), 0);
        for (; p->greeted > 0 && told < n && (uint16_t)(p->put - p->una) < RING - 1; told++) {
            p->ring[p->put++] = said[told];
        }
        k = up.kept > 600 ? 0 : peer_send(p, buf, rng_below(&r, 2) != 0 ? sizeof buf : 600);
        k = through(&up, buf, k, now - before, bad);
        before = now;
        for (size_t at = 0; at < k;) { /* in pieces, as ports give them */
            size_t piece = 1 + rng_below(&r, 300);
            piece = piece < k - at ? piece : k - at;
            link_feed(l, bad + at, piece, now);
            at += piece;
        }
        got += link_read(l, heard + got, n - got);
        cr_assert_leq(link_state(l), LINK_OPEN, "state %d at %zu, %zu bytes", (int)link_state(l), got, p->taken_n);
        now += 1 + rng_below(&r, 3);
    }
    cr_assert_eq(got, n, "host got %zu, board %zu of %zu bytes", got, p->taken_n, n);
    cr_assert_eq(p->taken_n, n);
    cr_assert_eq(p->greeted, 1);
    cr_assert_eq(memcmp(heard, said, n), 0);
    cr_assert_eq(memcmp(p->taken, sent, n), 0);
    link_free(l);
    free(p);
    free(sent);
    free(said);
    free(heard);
    return down.most;
}

static void exchange(uint64_t seed, unsigned lose, unsigned flip, unsigned twice, size_t n)
{
    exchange_at(0, seed, lose, flip, twice, n);
}

Test(link, streams_over_a_good_line)
{
    exchange(1, 0, 0, 0, 200000);
}

Test(link, streams_over_bad_lines, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        exchange(seed, 100, 0, 0, 40000);
        exchange(seed, 0, 100, 0, 40000);
        exchange(seed, 0, 0, 100, 40000);
        exchange(seed, 50, 50, 50, 40000);
        exchange(seed, 300, 300, 300, 10000);
    }
}

/* A line so slow that the ring takes seconds to pass: what is sent again waits behind it in the port, and must not be
 * sent again because of that. 0.96 bytes a millisecond are 9600 baud. */
Test(link, streams_over_slow_lines, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        size_t most = exchange_at(0.96, seed, 0, 0, 0, 20000);
        cr_assert_leq(most, 2 * RING, "a good line: %zu bytes in the port", most);
        most = exchange_at(0.96, seed, 10, 0, 0, 20000);
        cr_assert_leq(most, 3 * RING, "one that loses: %zu bytes in the port", most);
        most = exchange_at(0.96, seed, 30, 30, 30, 20000);
        cr_assert_leq(most, 3 * RING, "a bad one: %zu bytes in the port", most);
    }
}

/* ---------------------------------------------------------------- the ends of a session */

/* A frame from a board to a link. */
static void say(struct link *l, uint8_t control, uint16_t session, uint16_t seq, uint16_t ack, const char *text,
                uint64_t now)
{
    uint8_t buf[LINK_FRAME_MAX];
    size_t n = link_encode(&(struct link_frame){.control = control, .session = session, .seq = seq, .ack = ack,
                                                .len = (uint8_t)strlen(text), .payload = (const uint8_t *)text}, buf);

    link_feed(l, buf, n, now);
}

static struct link *opened(void)
{
    struct link *l = link_new(5, 0, 1000, 1);
    uint8_t buf[2048];

    link_send(l, buf, sizeof buf, 0);
    cr_assert_eq(link_state(l), LINK_OPENING);
    say(l, DMT_LINK_BOARD, 5, 0, 0, "", 1);
    cr_assert_eq(link_state(l), LINK_OPEN);
    return l;
}

Test(link, a_board_that_was_reset)
{
    struct link *l = opened();

    say(l, DMT_LINK_BOARD | DMT_LINK_NAK, 0, 0, 0, "", 2);
    cr_assert_eq(link_state(l), LINK_RESET);
    link_free(l);
}

Test(link, a_board_that_another_took)
{
    struct link *l = opened();

    say(l, DMT_LINK_BOARD, 6, 0, 0, "", 2);
    cr_assert_eq(link_state(l), LINK_TAKEN);
    link_free(l);
}

Test(link, an_echo)
{
    struct link *l = link_new(5, 0, 1000, 1);
    uint8_t buf[2048];

    link_feed(l, buf, link_send(l, buf, sizeof buf, 0), 1);
    cr_assert_eq(link_state(l), LINK_ECHO);
    link_free(l);
}

/* What an earlier session left in the ports is answered first. */
Test(link, a_greeting_behind_much_else)
{
    struct link *l = link_new(5, 0, 1000, 1);
    uint8_t buf[2048];
    uint64_t now = 0;

    for (; now < 5000; now += 100) {
        link_send(l, buf, sizeof buf, now);
        cr_assert_eq(link_state(l), LINK_OPENING, "state %d at %d ms", (int)link_state(l), (int)now);
        say(l, DMT_LINK_BOARD | DMT_LINK_NAK, 0, 0, 0, "", now);
    }
    cr_assert_eq(link_stats(l)->frames_sent, 1, "the greeting is not sent again while it may be on its way");
    say(l, DMT_LINK_BOARD, 5, 0, 0, "", now);
    cr_assert_eq(link_state(l), LINK_OPEN);
    link_free(l);
}

Test(link, silence)
{
    struct link *l = link_new(5, 0, 1000, 1);
    uint8_t buf[2048];
    uint64_t now = 0;
    size_t sent = 0;

    for (;;) {
        sent += link_send(l, buf, sizeof buf, now);
        if (link_state(l) != LINK_OPENING || now > 5000) {
            break;
        }
        now += link_wait(l, now) + 1;
    }
    cr_assert_eq(link_state(l), LINK_SILENT);
    cr_assert_geq(now, 1000);
    cr_assert_leq(now, 1200);
    cr_assert_geq(sent, 2 * (LINK_FRAME_MAX + 13), "it greets more than once");
    link_free(l);
}

Test(link, what_is_taken_once_is_not_taken_again)
{
    struct link *l = opened();
    char got[32] = "";

    say(l, DMT_LINK_BOARD, 5, 0, 0, "one", 2);
    say(l, DMT_LINK_BOARD, 5, 0, 0, "one", 3);
    say(l, DMT_LINK_BOARD, 5, 6, 0, "three", 4); /* "two" is missing */
    say(l, DMT_LINK_BOARD, 5, 3, 0, "two", 5);
    say(l, DMT_LINK_BOARD, 5, 1, 0, "neo", 6); /* in the middle of what was taken */
    cr_assert_eq(link_ready(l), 6);
    link_read(l, got, sizeof got);
    cr_assert_str_eq(got, "onetwo");
    link_free(l);
}

/* What is missing in one direction alone, eight times and more, as epochs are sixteen: the other still goes back when it is asked
 * to, and once. Then the same the other way round. */
Test(link, epochs_age_with_what_was_heard)
{
    struct link *l = opened();
    uint8_t buf[2048];
    uint16_t expected = 0;

    cr_assert(link_write(l, "abcdef", 6));
    for (uint8_t epoch = 1; epoch <= 12; epoch++) {
        say(l, (uint8_t)((epoch - 1) << 4 | DMT_LINK_BOARD), 5, (uint16_t)(expected + 1), 0, "y", 1);
        cr_assert_eq(link_send(l, buf, sizeof buf, 1) > 0, true);
        cr_assert_eq(buf[1] & 0xf2, epoch << 4 | DMT_LINK_NAK, "asks again: %02x", buf[1]);
        say(l, (uint8_t)(epoch << 4 | DMT_LINK_BOARD), 5, expected++, 0, "x", 1);
        link_send(l, buf, sizeof buf, 1);
    }
    for (uint8_t epoch = 12; epoch <= 24; epoch++) {
        uint8_t nak = (uint8_t)((epoch & 15) << 4 | DMT_LINK_BOARD | DMT_LINK_NAK);
        say(l, nak, 5, expected, 0, "", 1);
        say(l, nak, 5, expected, 0, "", 1); /* said before what was sent again had come */
        cr_assert_gt(link_send(l, buf, sizeof buf, 1), 0);
        cr_assert_eq(buf[1] >> 4, (epoch + 1) & 15, "goes back once: %02x", buf[1]);
        cr_assert_eq(link_stats(l)->frames_repeated, epoch - 11u);
    }
    say(l, (uint8_t)(9 << 4 | DMT_LINK_BOARD), 5, (uint16_t)(expected + 1), 0, "y", 1);
    link_send(l, buf, sizeof buf, 1);
    cr_assert_eq(buf[1] & 0xf2, 10 << 4 | DMT_LINK_NAK, "asks again: %02x", buf[1]);
    link_free(l);
}

Test(link, acknowledgement_of_what_was_never_sent)
{
    struct link *l = opened();
    uint8_t buf[2048];

    cr_assert(link_write(l, "abcdef", 6));
    link_send(l, buf, sizeof buf, 2);
    say(l, DMT_LINK_BOARD, 5, 0, 7, "", 3);
    cr_assert_eq(link_pending(l), 6);
    say(l, DMT_LINK_BOARD, 5, 0, 4, "", 4);
    cr_assert_eq(link_pending(l), 2);
    say(l, DMT_LINK_BOARD, 5, 0, 2, "", 5); /* an old one */
    cr_assert_eq(link_pending(l), 2);
    link_free(l);
}

/* Any bytes, and frames that are nearly right: no crash, no byte made up, no wait without end. */
Test(link, fuzzed_input, .timeout = 120)
{
    struct rng r;

    rng_seed(&r, 99, 0);
    for (unsigned run = 0; run < 200; run++) {
        struct link *l = opened();
        uint64_t now = 2;
        uint16_t seq = 0;
        size_t given = 0;
        for (unsigned i = 0; i < 200 && link_state(l) <= LINK_OPEN; i++) {
            uint8_t buf[2048];
            size_t n = 0;
            switch (rng_below(&r, 4)) {
            case 0: /* noise */
                n = rng_below(&r, 700);
                for (size_t k = 0; k < n; k++) {
                    buf[k] = rng_below(&r, 8) == 0 ? DMT_LINK_SYNC : (uint8_t)rng_next(&r);
                }
                break;
            default: { /* a frame, whole or damaged */
                uint8_t payload[255];
                struct link_frame f = {.control = DMT_LINK_BOARD | (uint8_t)(rng_next(&r) & 0xf2), .session = 5,
                                       .seq = seq, .ack = (uint16_t)rng_next(&r), .len = (uint8_t)rng_next(&r),
                                       .payload = payload};
                memset(payload, 0x5a, sizeof payload);
                n = link_encode(&f, buf);
                if (rng_below(&r, 2) == 0) {
                    buf[rng_below(&r, n)] ^= (uint8_t)(1 + rng_below(&r, 255));
                    if (rng_below(&r, 2) == 0) {
                        n = rng_below(&r, n);
                    }
                } else {
                    given += f.len;
                    seq = (uint16_t)(seq + f.len);
                }
            }
            }
            link_feed(l, buf, n, now);
            link_send(l, buf, sizeof buf, now);
            now += 1 + rng_below(&r, 100);
        }
        cr_assert_leq(link_ready(l), given);
        while (link_ready(l) > 0) {
            uint8_t b;
            link_read(l, &b, 1);
            cr_assert_eq(b, 0x5a);
        }
        link_free(l);
    }
}
