/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include "board_defs.h"
#include "io.h"
#include "tb/rng.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SEATS_MAX 256
#define WAYS_MAX  4
#define UPDATES   4096

/* An answer that a command will have. */
struct expect {
    uint8_t code;
    size_t bytes;   /* after the code */
    void *to;       /* CSR_READ value, FETCH words, FENCE clock; NULL: not wanted */
    uint8_t *resp;
};

/* A walk that the board has been asked for. */
struct seat {
    bool taken;
    uint64_t n;
    struct board_update *update;
    size_t update_n;
};

/* An entry of the map. */
struct entry {
    bool used, zero, dirty;
    unsigned slot;
    uint64_t block;
    uint64_t wanted; /* by which call of board_need */
};

struct board {
    const char *name;
    int fd;
    struct termios before;
    unsigned patience, frame_ms;
    const volatile sig_atomic_t *stop; /* or NULL */
    struct link *link;
    struct board_id id;
    enum board_status status;

    struct expect *expect; /* a queue: expect[first..first+n) */
    size_t expect_first, expect_n, expect_room;
    size_t owed;           /* bytes of answers under way */
    uint8_t *parse;        /* an answer that is not whole yet */
    size_t parse_n;

    struct seat seat[SEATS_MAX];
    unsigned seats, next_seat;
    size_t walks;
    void (*on_result)(void *user, uint64_t n, const struct board_result *r);
    void *on_result_user;

    struct entry *map[WAYS_MAX];
    unsigned *free_slot;
    size_t free_n;
    uint64_t call;
    struct rng rng;
};

#define PARSE_MAX (1 + 8 * 512)
#define STUCK     4
#define PORT_MS   500u /* a port is given so long to take bytes, however short the patience with a board's answer */

static uint64_t milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool stopped(const struct board *b)
{
    return b->stop != NULL && *b->stop != 0;
}

static void fail(struct board *b, enum board_status status)
{
    if (b->status == BOARD_OK) {
        b->status = status;
    }
}

/* ---------------------------------------------------------------- the port */

static const struct {
    unsigned baud;
    speed_t speed;
} speeds[] = {{9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},
              {115200, B115200},   {230400, B230400},   {460800, B460800},   {921600, B921600},
              {1000000, B1000000}, {1500000, B1500000}, {2000000, B2000000}, {3000000, B3000000},
              {4000000, B4000000}};

static const speed_t *find_speed(unsigned baud)
{
    for (unsigned i = 0; i < sizeof speeds / sizeof *speeds; i++) {
        if (speeds[i].baud == baud) {
            return &speeds[i].speed;
        }
    }
    return NULL;
}

bool board_baud(unsigned baud)
{
    return find_speed(baud) != NULL;
}

struct board *board_open(const char *port, unsigned baud, unsigned patience)
{
    struct termios t;
    struct board *b;
    int fd = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        say("%s: cannot open the port: %s", port, strerror(errno));
        return NULL;
    }
    if (!isatty(fd) || tcgetattr(fd, &t) != 0) {
        say("%s: not a serial port", port);
        close(fd);
        return NULL;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        say("%s: in use by another program", port);
        close(fd);
        return NULL;
    }
    b = calloc(1, sizeof *b);
    if (b == NULL || (b->parse = malloc(PARSE_MAX)) == NULL) {
        say("out of memory");
        free(b);
        close(fd);
        return NULL;
    }
    b->name = port;
    b->fd = fd;
    b->before = t;
    b->patience = patience;
    b->frame_ms = 1 + LINK_FRAME_MAX * 10 * 1000 / baud;
    b->status = BOARD_RESET;
    cfmakeraw(&t);
    t.c_cflag |= CLOCAL | CREAD;
    t.c_cflag &= ~(tcflag_t)CRTSCTS;
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 0;
    if (cfsetspeed(&t, *find_speed(baud)) != 0 || tcsetattr(fd, TCSANOW, &t) != 0) {
        say("%s: cannot be set to %u baud: %s", port, baud, strerror(errno));
        board_close(b);
        return NULL;
    }
    tcflush(fd, TCIOFLUSH);
    return b;
}

static void forget_session(struct board *b)
{
    link_free(b->link);
    b->link = NULL;
    b->expect_first = b->expect_n = b->owed = b->parse_n = b->walks = 0;
    for (unsigned i = 0; i < SEATS_MAX; i++) {
        b->seat[i].taken = false;
    }
    for (unsigned w = 0; w < WAYS_MAX; w++) {
        free(b->map[w]);
        b->map[w] = NULL;
    }
    free(b->free_slot);
    b->free_slot = NULL;
    b->free_n = 0;
}

void board_close(struct board *b)
{
    if (b == NULL) {
        return;
    }
    forget_session(b);
    for (unsigned i = 0; i < SEATS_MAX; i++) {
        free(b->seat[i].update);
    }
    tcsetattr(b->fd, TCSANOW, &b->before);
    close(b->fd);
    free(b->expect);
    free(b->parse);
    free(b);
}

void board_stop_on(struct board *b, const volatile sig_atomic_t *stop)
{
    b->stop = stop;
}

const struct board_id *board_id(const struct board *b)
{
    return &b->id;
}

const struct link_stats *board_link_stats(const struct board *b)
{
    return link_stats(b->link);
}

enum board_status board_status(const struct board *b)
{
    return b->status;
}

void board_on_result(struct board *b, void (*call)(void *, uint64_t, const struct board_result *), void *user)
{
    b->on_result = call;
    b->on_result_user = user;
}

/* ---------------------------------------------------------------- answers */

static void odd(struct board *b, const char *what, unsigned code)
{
    if (b->status == BOARD_OK) {
        say("%s: the board answers %s (code %02x): not a board of this version, or defective", b->name, what, code);
    }
    fail(b, BOARD_FAILED);
}

static uint64_t load_n(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n-- > 0) {
        v = v << 8 | p[n];
    }
    return v;
}

static struct seat *seat_of(struct board *b, uint8_t n)
{
    if (n >= b->seats || !b->seat[n].taken) {
        odd(b, "a translation that it was not asked for", n);
        return NULL;
    }
    return &b->seat[n];
}

static void update(struct board *b, const uint8_t *p)
{
    struct seat *s = seat_of(b, p[1]);

    if (s == NULL) {
        return;
    }
    if (s->update_n == UPDATES) {
        odd(b, "updates without end", p[0]);
        return;
    }
    if ((s->update_n & (s->update_n - 1)) == 0) {
        struct board_update *to = realloc(s->update, (2 * s->update_n + 1) * sizeof *to);
        if (to == NULL) {
            say("out of memory");
            fail(b, BOARD_FAILED);
            return;
        }
        s->update = to;
    }
    s->update[s->update_n++] = (struct board_update){load_n(p + 3, 7), load_n(p + 10, 8), p[2] & 3};
}

static void result(struct board *b, const uint8_t *p)
{
    struct seat *s = seat_of(b, p[1]);
    struct board_result r = {0};
    struct dmt_result *t = &r.result;

    if (s == NULL) {
        return;
    }
    t->status = p[2] & 15;
    t->size = p[2] >> 4 & 3;
    t->stage = p[2] >> 6;
    t->rights = p[3] & 15;
    t->pkey = p[3] >> 4;
    t->memtype = p[4] & 127;
    t->dirty = p[4] >> 7;
    t->global = p[5] & 1;
    t->ad_needed = p[5] >> 1 & 1;
    t->pa = load_n(p + 6, 7);
    t->addr = load_n(p + 13, 8);
    t->error = load_n(p + 21, 5);
    uint64_t index = load_n(p + 27, 3);
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        t->path[k] = p[26] >> 2 * k & 3;
        t->index[k] = index >> 6 * k & 63;
    }
    t->reads = (uint32_t)load_n(p + 30, 2);
    r.clocks = (uint32_t)load_n(p + 32, 4);
    r.update = s->update;
    r.update_n = s->update_n;
    for (size_t i = 0; i < s->update_n; i++) {
        t->updates += s->update[i].resp == DMT_RESP_EXOKAY;
    }
    s->taken = false;
    b->walks--;
    b->on_result(b->on_result_user, s->n, &r);
}

/* Bytes of the answer that starts with this code, code included; 0: none does. */
static size_t answer_size(const struct board *b, uint8_t code)
{
    switch (code) {
    case DMT_ANS_RESULT:
        return 1 + DMT_RESULT_BYTES;
    case DMT_ANS_UPDATE:
        return 1 + DMT_UPDATE_BYTES;
    case DMT_ANS_UNKNOWN:
        return 2;
    default:
        if (b->expect_n > 0 && b->expect[b->expect_first].code == code) {
            return 1 + b->expect[b->expect_first].bytes;
        }
        return 0;
    }
}

static void answer(struct board *b, const uint8_t *p)
{
    if (p[0] == DMT_ANS_RESULT) {
        b->owed -= 1 + DMT_RESULT_BYTES;
        result(b, p);
        return;
    }
    if (p[0] == DMT_ANS_UPDATE) {
        update(b, p);
        return;
    }
    if (p[0] == DMT_ANS_UNKNOWN) {
        odd(b, "that it does not know a command", p[1]);
        return;
    }
    struct expect e = b->expect[b->expect_first++];
    b->expect_n--;
    b->owed -= 1 + e.bytes;
    switch (e.code) {
    case DMT_CMD_IDENTIFY:
        memcpy(e.to, p + 1, e.bytes);
        break;
    case DMT_CMD_FETCH:
        for (size_t i = 0; i < e.bytes / 8; i++) {
            ((uint64_t *)e.to)[i] = load64(p + 1 + 8 * i);
        }
        break;
    case DMT_CMD_CSR_WRITE:
    case DMT_CMD_CSR_READ:
        if (e.resp != NULL) {
            *e.resp = p[1] & 3;
        }
        if (e.code == DMT_CMD_CSR_READ) {
            *(uint64_t *)e.to = load64(p + 2);
        }
        break;
    default: /* FENCE, RESET */
        if (e.to != NULL) {
            *(uint32_t *)e.to = (uint32_t)load_n(p + 1, 4);
        }
    }
}

static void answers(struct board *b)
{
    while (b->status == BOARD_OK && link_ready(b->link) > 0) {
        if (b->parse_n == 0) {
            b->parse_n = link_read(b->link, b->parse, 1);
        }
        size_t size = answer_size(b, b->parse[0]);
        if (size == 0 || size > PARSE_MAX) {
            odd(b, "something that was not asked", b->parse[0]);
            return;
        }
        b->parse_n += link_read(b->link, b->parse + b->parse_n, size - b->parse_n);
        if (b->parse_n == size) {
            b->parse_n = 0;
            answer(b, b->parse);
        }
    }
}

/* ---------------------------------------------------------------- moving bytes */

static void check_link(struct board *b)
{
    switch (link_state(b->link)) {
    case LINK_OPENING:
    case LINK_OPEN:
        break;
    case LINK_RESET:
        fail(b, BOARD_RESET);
        break;
    case LINK_TAKEN:
        say("%s: the board is now in a session with another program", b->name);
        fail(b, BOARD_FAILED);
        break;
    case LINK_ECHO:
        say("%s: what is sent comes back: this is no board", b->name);
        fail(b, BOARD_FAILED);
        break;
    case LINK_SILENT:
        say("%s: no answer from a board within %u ms (wrong port or speed, or no such bitstream?)", b->name,
            b->patience);
        fail(b, BOARD_FAILED);
        break;
    }
}

/* Read what there is and send what may go; then wait, when asked to. */
static void pump(struct board *b, bool wait)
{
    uint8_t buf[16384];
    ssize_t n;
    bool moved = false;

    if (b->status != BOARD_OK) {
        return;
    }
    while ((n = read(b->fd, buf, sizeof buf)) > 0) {
        link_feed(b->link, buf, (size_t)n, milliseconds());
        moved = true;
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        say("%s: cannot read: %s (unplugged?)", b->name, strerror(errno));
        fail(b, BOARD_FAILED);
        return;
    }
    answers(b);
    link_expect(b->link, b->owed > 0 || link_state(b->link) == LINK_OPENING, milliseconds());
    size_t size = link_send(b->link, buf, 2048, milliseconds());
    for (size_t at = 0; at < size;) {
        n = write(b->fd, buf + at, size - at);
        if (n > 0) {
            at += (size_t)n;
            moved = true;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {b->fd, POLLOUT, 0};
            int ready = poll(&p, 1, (int)(b->patience > PORT_MS ? b->patience : PORT_MS));
            if (stopped(b)) {
                fail(b, BOARD_STOPPED);
                return;
            }
            if (ready == 0) {
                say("%s: the port takes no bytes", b->name);
                fail(b, BOARD_FAILED);
                return;
            }
        } else if (n < 0 && errno != EINTR) {
            say("%s: cannot write: %s (unplugged?)", b->name, strerror(errno));
            fail(b, BOARD_FAILED);
            return;
        }
    }
    check_link(b);
    if (wait && !moved && b->status == BOARD_OK) {
        struct pollfd p = {b->fd, POLLIN, 0};
        poll(&p, 1, (int)link_wait(b->link, milliseconds()));
    }
}

static bool settled(const struct board *b)
{
    return b->owed == 0 && link_pending(b->link) == 0;
}

/* How a wait gets on: zero at first. */
struct wait {
    uint64_t had, at; /* bytes of answers so far; when the last came, or a command was taken */
    size_t left;      /* bytes of commands not taken then */
    uint64_t damaged; /* frames then */
};

/* Frames that have been damaged so far, either way. */
static uint64_t damaged(const struct board *b)
{
    return link_stats(b->link)->frames_bad + link_stats(b->link)->naks;
}

/* Why nothing has come, as far as can be told from here. */
static void stuck(struct board *b, const struct wait *w)
{
    unsigned ms = STUCK * b->patience;
    uint64_t bad = damaged(b) - w->damaged;

    if (link_state(b->link) == LINK_OPENING) {
        say("%s: a board is there, but has not answered the greeting for %u ms (a bad line?)", b->name, ms);
    } else if (bad > 0) {
        say("%s: the board is there, but nothing has got on for %u ms, in which %" PRIu64
            " frames were damaged: a bad line, or a walker that hangs", b->name, ms, bad);
    } else {
        say("%s: the board is there, but has not answered %s for %u ms: its walker hangs (reset it)", b->name,
            b->walks > 0 ? "a translation" : "a command", ms);
    }
    fail(b, BOARD_FAILED);
}

/* Wait for answers, or for commands to be taken. A link that lives says nothing of the walker behind it: when
 * neither happens for STUCK times the patience that the link has, give up. */
static void await(struct board *b, struct wait *w)
{
    if (stopped(b)) {
        fail(b, BOARD_STOPPED);
    }
    pump(b, true);
    uint64_t had = link_stats(b->link)->bytes_taken, now = milliseconds();
    size_t left = link_pending(b->link);
    if (w->at == 0 || had != w->had || left != w->left) {
        *w = (struct wait){had, now, left, damaged(b)};
    } else if (b->status == BOARD_OK && now - w->at >= (uint64_t)STUCK * b->patience) {
        stuck(b, w);
    }
}

enum board_status board_flush(struct board *b)
{
    struct wait w = {0};

    while (b->status == BOARD_OK && !settled(b)) {
        await(b, &w);
    }
    return b->status;
}

/* ---------------------------------------------------------------- commands */

/* Room for an answer of so many bytes: the board must never have more to say
 * than its ring holds, or it stops listening. Bounds what is queued, too. */
static bool ready(struct board *b, size_t bytes)
{
    size_t ring = (size_t)1 << b->id.tx_w;
    struct wait w = {0};

    while (b->status == BOARD_OK &&
           ((b->owed > 0 && b->owed + bytes > ring - 64) || link_pending(b->link) > 65536)) {
        await(b, &w);
    }
    return b->status == BOARD_OK;
}

static bool send(struct board *b, const void *from, size_t n)
{
    if (!link_write(b->link, from, n)) {
        say("out of memory");
        fail(b, BOARD_FAILED);
        return false;
    }
    return true;
}

static bool promise(struct board *b, struct expect e)
{
    if (b->expect_first + b->expect_n == b->expect_room) {
        if (b->expect_first > b->expect_room / 2) {
            memmove(b->expect, b->expect + b->expect_first, b->expect_n * sizeof e);
        } else {
            size_t room = 2 * b->expect_room + 64;
            struct expect *to = malloc(room * sizeof e);
            if (to == NULL) {
                say("out of memory");
                fail(b, BOARD_FAILED);
                return false;
            }
            if (b->expect_n > 0) {
                memcpy(to, b->expect + b->expect_first, b->expect_n * sizeof e);
            }
            free(b->expect);
            b->expect = to;
            b->expect_room = room;
        }
        b->expect_first = 0;
    }
    b->expect[b->expect_first + b->expect_n++] = e;
    b->owed += 1 + e.bytes;
    return true;
}

static void head(uint8_t *p, uint8_t code, unsigned addr, size_t n)
{
    p[0] = code;
    p[1] = (uint8_t)addr;
    p[2] = (uint8_t)(addr >> 8);
    p[3] = (uint8_t)(addr >> 16);
    p[4] = (uint8_t)n;
    p[5] = (uint8_t)(n >> 8);
}

static void free_all_slots(struct board *b)
{
    for (b->free_n = 0; b->free_n < b->id.slots; b->free_n++) {
        b->free_slot[b->free_n] = b->id.slots - 1 - (unsigned)b->free_n;
    }
}

static void command(struct board *b, uint8_t code, const struct expect *e)
{
    if (ready(b, 1 + e->bytes) && promise(b, *e)) {
        send(b, &code, 1);
    }
}

void board_fence(struct board *b, uint32_t *clock)
{
    command(b, DMT_CMD_FENCE, &(struct expect){.code = DMT_CMD_FENCE, .bytes = 4, .to = clock});
}

void board_reset(struct board *b)
{
    command(b, DMT_CMD_RESET, &(struct expect){.code = DMT_CMD_RESET, .bytes = 4});
    if (b->status != BOARD_OK) {
        return;
    }
    b->next_seat = 0;
    for (unsigned w = 0; w < b->id.ways; w++) {
        memset(b->map[w], 0, sizeof(struct entry) << b->id.set_w);
    }
    free_all_slots(b);
}

void board_csr_write(struct board *b, unsigned offset, uint64_t value, uint8_t *resp)
{
    uint8_t p[14];

    head(p, DMT_CMD_CSR_WRITE, offset / 8, 1);
    store64(p + 6, value);
    if (ready(b, 2) && promise(b, (struct expect){.code = p[0], .bytes = 1, .resp = resp})) {
        send(b, p, 14);
    }
}

void board_csr_read(struct board *b, unsigned offset, uint64_t *value, uint8_t *resp)
{
    uint8_t p[6];

    head(p, DMT_CMD_CSR_READ, offset / 8, 1);
    if (ready(b, 10) && promise(b, (struct expect){.code = p[0], .bytes = 9, .to = value, .resp = resp})) {
        send(b, p, 6);
    }
}

void board_translate(struct board *b, const struct dmt_request *rq, uint64_t n)
{
    uint8_t p[10] = {DMT_CMD_TRANSLATE,
                     (uint8_t)(rq->access | rq->cpl << 2 | rq->ac << 4 | rq->implicit << 5 | rq->nonspec << 6)};
    struct seat *s = &b->seat[b->next_seat];
    struct wait w = {0};

    store64(p + 2, rq->va);
    while (b->status == BOARD_OK && s->taken) {
        await(b, &w);
    }
    if (!ready(b, 1 + DMT_RESULT_BYTES) || !send(b, p, sizeof p)) {
        return;
    }
    s->taken = true;
    s->n = n;
    s->update_n = 0;
    b->next_seat = (b->next_seat + 1) % b->seats;
    b->owed += 1 + DMT_RESULT_BYTES;
    b->walks++;
}

static void store_words(struct board *b, uint8_t code, unsigned at, const uint64_t *from, size_t n)
{
    uint8_t p[6 + 8 * 64];

    for (size_t k; n > 0 && ready(b, 0); n -= k, from += k, at += (unsigned)k) {
        k = n < 64 ? n : 64;
        head(p, code, at, k);
        for (size_t i = 0; i < k; i++) {
            store64(p + 6 + 8 * i, from[i]);
        }
        send(b, p, 6 + 8 * k);
    }
}

void board_store(struct board *b, unsigned word, const uint64_t *from, size_t n)
{
    store_words(b, DMT_CMD_STORE, word, from, n);
}

void board_fetch(struct board *b, unsigned word, uint64_t *to, size_t n)
{
    size_t most = ((size_t)1 << b->id.tx_w) / 16; /* two answers fill the ring */

    for (size_t k; n > 0; n -= k, to += k, word += (unsigned)k) {
        uint8_t p[6];
        k = n < most ? n : most;
        head(p, DMT_CMD_FETCH, word, k);
        if (!ready(b, 1 + 8 * k) || !promise(b, (struct expect){.code = p[0], .bytes = 8 * k, .to = to}) ||
            !send(b, p, 6)) {
            return;
        }
    }
}

/* ---------------------------------------------------------------- a session */

static bool identify(struct board *b, const uint8_t *p)
{
    struct board_id *id = &b->id;
    const uint8_t *f = p + 12;

    if (memcmp(p, "DMTB", 4) != 0) {
        odd(b, "with another name", p[0]);
        return false;
    }
    id->version = (unsigned)load_n(p + 4, 2);
    id->session = (unsigned)load_n(p + 6, 2);
    id->build = (uint32_t)load_n(p + 8, 4);
    if (id->version != DMT_BOARD_VERSION) {
        say("%s: the board's bitstream speaks version %u, this program %d: rebuild the older one", b->name, id->version,
            DMT_BOARD_VERSION);
        fail(b, BOARD_FAILED);
        return false;
    }
    id->config = (struct dmt_config){.pa_w = f[0],
                                     .ctx_n = f[1],
                                     .tea_n = f[2],
                                     .sets = f[3],
                                     .pwc4_n = f[4],
                                     .pwc3_n = f[5],
                                     .pwc2_n = f[6],
                                     .npwc4_n = f[7],
                                     .npwc3_n = f[8],
                                     .npwc2_n = f[9],
                                     .tag_w = f[10],
                                     .cnt_w = f[11],
                                     .pipe = f[12]};
    id->rx_w = f[13];
    id->tx_w = f[14];
    id->block_w = f[15];
    id->ways = f[16];
    id->set_w = f[17];
    id->slots = (unsigned)load_n(f + 18, 2);
    id->latency = f[20];
    id->divisor = (unsigned)load_n(f + 21, 2);
    id->clk_khz = (unsigned)load_n(f + 23, 3);
    id->depth = f[26];
    id->trace = f[27] != 0;
    const struct dmt_config *c = &id->config;
    if (c->pa_w < 32 || c->pa_w > 52 || c->ctx_n < 1 || c->ctx_n > 64 || c->tea_n < 1 || c->tea_n > DMT_TEA_MAX ||
        c->sets < 1 || c->sets > DMT_SETS_MAX || c->pwc4_n > 64 || c->pwc3_n > 64 || c->pwc2_n > 64 ||
        c->npwc4_n > 64 || c->npwc3_n > 64 || c->npwc2_n > 64 || c->tag_w < 1 || c->tag_w > 16 || c->pipe > 1 || id->rx_w < 9 ||
        id->rx_w > 15 || id->tx_w < 9 || id->tx_w > 15 || id->block_w < 6 || id->block_w > 12 || id->ways < 1 ||
        id->ways > WAYS_MAX || id->set_w < 1 || id->set_w > 16 || id->slots < 1) {
        odd(b, "with parameters that no walker has", 0);
        return false;
    }
    return true;
}

enum board_status board_start(struct board *b, bool reset)
{
    uint8_t facts[DMT_ID_BYTES];
    uint16_t session = 0;

    forget_session(b);
    while (session == 0) {
        if (getrandom(&session, sizeof session, 0) != sizeof session) {
            session = (uint16_t)(milliseconds() ^ (uint64_t)getpid() << 8);
        }
    }
    b->status = BOARD_OK;
    tcflush(b->fd, TCOFLUSH); /* of a session that has ended */
    b->link = link_new(session, milliseconds(), b->patience, b->frame_ms);
    if (b->link == NULL) {
        say("out of memory");
        fail(b, BOARD_FAILED);
        return b->status;
    }
    b->id.tx_w = 9;
    b->next_seat = 0;
    b->seats = 0;
    command(b, DMT_CMD_IDENTIFY, &(struct expect){.code = DMT_CMD_IDENTIFY, .bytes = DMT_ID_BYTES, .to = facts});
    if (board_flush(b) != BOARD_OK || !identify(b, facts)) {
        return b->status;
    }
    const struct board_id *id = &b->id;
    unsigned width = 0;
    while ((1u << width) < id->config.ctx_n) {
        width++;
    }
    width += 2;
    b->seats = 1u << (width < id->config.tag_w ? width : id->config.tag_w);
    link_window(b->link, (size_t)1 << id->rx_w);
    rng_seed(&b->rng, 1, 1);
    b->free_slot = malloc(id->slots * sizeof *b->free_slot);
    bool ok = b->free_slot != NULL;
    if (ok) {
        free_all_slots(b);
    }
    for (unsigned w = 0; ok && w < id->ways; w++) {
        b->map[w] = calloc((size_t)1 << id->set_w, sizeof **b->map);
        ok = b->map[w] != NULL;
    }
    if (!ok) {
        say("out of memory");
        fail(b, BOARD_FAILED);
    } else if (reset) {
        board_reset(b);
    }
    return b->status;
}

/* ---------------------------------------------------------------- memory */

static unsigned index_of(const struct board *b, uint64_t block, unsigned way)
{
    unsigned n = b->id.set_w;
    uint64_t mask = (UINT64_C(1) << n) - 1, next = block >> n & mask, back = 0;

    for (unsigned i = 0; i < n; i++) {
        back |= (next >> (n - 1 - i) & 1) << i;
    }
    return (unsigned)((block ^ ((way & 1) != 0 ? next : 0) ^ ((way & 2) != 0 ? back : 0)) & mask);
}

static struct entry *find(const struct board *b, uint64_t block)
{
    for (unsigned w = 0; w < b->id.ways; w++) {
        struct entry *e = &b->map[w][index_of(b, block, w)];
        if (e->used && e->block == block) {
            return e;
        }
    }
    return NULL;
}

static void drop(struct board *b, struct entry *e)
{
    if (e->used && !e->zero) {
        b->free_slot[b->free_n++] = e->slot;
    }
    e->used = false;
    e->dirty = true;
}

/* Words of a block, or NULL when its frame is absent. */
static const uint8_t *words(const struct board *b, const struct dmt_mem *mem, uint64_t block)
{
    uint64_t addr = block << b->id.block_w;
    const uint8_t *frame = dmt_mem_frame(mem, addr >> 12);

    return frame == NULL ? NULL : frame + (addr & 4095);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A place in the map for an entry: free, or of a block that is not wanted now, or
 * whose block has another place (and so on, along a random path). */
static bool place(struct board *b, struct entry e, bool evict)
{
    for (unsigned tries = 0; tries < 500; tries++) {
        struct entry *at[WAYS_MAX];
        for (unsigned w = 0; w < b->id.ways; w++) {
            at[w] = &b->map[w][index_of(b, e.block, w)];
            if (!at[w]->used) {
                *at[w] = e;
                return true;
            }
        }
        for (unsigned w = 0; evict && w < b->id.ways; w++) {
            if (at[w]->wanted != b->call) {
                drop(b, at[w]);
                *at[w] = e;
                return true;
            }
        }
        struct entry *victim = at[rng_below(&b->rng, b->id.ways)], moved = *victim;
        *victim = e;
        e = moved;
        e.dirty = true;
    }
    if (!e.zero) {
        b->free_slot[b->free_n++] = e.slot;
    }
    return false; /* whose place is lost now: the caller starts afresh */
}

static uint64_t map_word(const struct entry *e)
{
    if (!e->used) {
        return 0;
    }
    return UINT64_C(1) << DMT_MAP_VALID_BIT | (uint64_t)e->zero << DMT_MAP_ZERO_BIT |
           (uint64_t)e->slot << DMT_MAP_SLOT_LSB | e->block;
}

static void send_map(struct board *b)
{
    for (unsigned w = 0; w < b->id.ways; w++) {
        for (unsigned i = 0; i < 1u << b->id.set_w; i++) {
            struct entry *e = &b->map[w][i];
            if (e->dirty) {
                uint64_t word = map_word(e);
                e->dirty = false;
                store_words(b, DMT_CMD_MAP, w << b->id.set_w | i, &word, 1);
            }
        }
    }
}

/* Put blocks that are missing into the map and their words into slots. */
static bool bring(struct board *b, const struct dmt_mem *mem, const uint64_t *block, size_t n, bool evict)
{
    size_t bytes = (size_t)1 << b->id.block_w;

    for (size_t i = 0; i < n; i++) {
        struct entry e = {.used = true, .dirty = true, .block = block[i], .wanted = b->call};
        const uint8_t *p = words(b, mem, block[i]);
        if (p == NULL || find(b, block[i]) != NULL) {
            continue;
        }
        e.zero = all_zero(p, bytes);
        if (!e.zero && b->free_n == 0) {
            for (unsigned w = 0; evict && w < b->id.ways && b->free_n == 0; w++) {
                for (unsigned k = 0; k < 1u << b->id.set_w && b->free_n == 0; k++) {
                    struct entry *old = &b->map[w][k];
                    if (old->used && !old->zero && old->wanted != b->call) {
                        drop(b, old);
                    }
                }
            }
            if (b->free_n == 0) {
                return false;
            }
        }
        e.slot = e.zero ? 0 : b->free_slot[--b->free_n];
        unsigned slot = e.slot;
        if (!place(b, e, evict)) {
            return false;
        }
        if (!e.zero) {
            uint64_t word[512];
            for (size_t k = 0; k < bytes / 8; k++) {
                word[k] = load64(p + 8 * k);
            }
            board_store(b, (unsigned)(slot * (bytes / 8)), word, bytes / 8);
        }
    }
    return true;
}

enum board_need board_need(struct board *b, const struct dmt_mem *mem, const uint64_t *addr, size_t n, bool evict)
{
    uint64_t *block = malloc((n + 1) * sizeof *block);
    size_t missing = 0;
    enum board_need need = BOARD_THERE;

    if (block == NULL) {
        say("out of memory");
        fail(b, BOARD_FAILED);
    }
    if (b->status != BOARD_OK) {
        free(block);
        return BOARD_THERE;
    }
    b->call++;
    for (size_t i = 0; i < n; i++) {
        struct entry *e = find(b, addr[i] >> b->id.block_w);
        if (e != NULL) {
            e->wanted = b->call;
        } else if (addr[i] >> b->id.config.pa_w == 0 && dmt_mem_frame(mem, addr[i] >> 12) != NULL) {
            block[missing++] = addr[i] >> b->id.block_w;
        }
    }
    if (missing > 0) {
        /* Entries change their places: not under walks that may look for them. */
        board_fence(b, NULL);
        if (!bring(b, mem, block, missing, evict)) {
            need = evict ? BOARD_FULL : BOARD_EVICTS;
            for (unsigned w = 0; w < b->id.ways; w++) {
                for (unsigned i = 0; i < 1u << b->id.set_w; i++) {
                    drop(b, &b->map[w][i]);
                }
            }
            free_all_slots(b);
            if (evict) { /* what was there is out of the way now */
                for (size_t i = 0; i < n; i++) {
                    block[i] = addr[i] >> b->id.block_w;
                }
                need = bring(b, mem, block, n, true) ? BOARD_THERE : BOARD_FULL;
            }
        }
        if (need != BOARD_EVICTS) {
            send_map(b);
        }
    }
    free(block);
    return need;
}

void board_forget(struct board *b, uint64_t addr)
{
    struct entry *e = b->status == BOARD_OK ? find(b, addr >> b->id.block_w) : NULL;

    if (e != NULL) {
        drop(b, e);
    }
}

enum board_status board_compare(struct board *b, bool (*word)(void *user, uint64_t addr, uint64_t value), void *user)
{
    size_t n = ((size_t)1 << b->id.block_w) / 8;
    uint64_t got[512];

    board_fence(b, NULL);
    for (unsigned w = 0; b->status == BOARD_OK && w < b->id.ways; w++) {
        for (unsigned i = 0; b->status == BOARD_OK && i < 1u << b->id.set_w; i++) {
            const struct entry *e = &b->map[w][i];
            if (!e->used || e->zero) {
                continue;
            }
            board_fetch(b, (unsigned)(e->slot * n), got, n);
            if (board_flush(b) != BOARD_OK) {
                break;
            }
            for (size_t k = 0; k < n; k++) {
                if (!word(user, (e->block << b->id.block_w) + 8 * k, got[k])) {
                    return b->status;
                }
            }
        }
    }
    return b->status;
}

void board_blocks(const struct board *b, size_t *slots, size_t *zeros)
{
    *slots = *zeros = 0;
    for (unsigned w = 0; w < b->id.ways; w++) {
        for (unsigned i = 0; i < 1u << b->id.set_w; i++) {
            const struct entry *e = &b->map[w][i];
            *slots += e->used && !e->zero;
            *zeros += e->used && e->zero;
        }
    }
}
