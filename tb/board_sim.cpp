// SPDX-License-Identifier: Apache-2.0
// dmt-board-sim: the board core of rtl/fpga/ under Verilator, its UART on a
// pseudo-terminal. What goes over the line is bits, clock by clock; the line may
// be made bad. Time stands still while nothing goes on, so what the board counts
// in clocks depends on neither the machine nor its load.
#include "board_defs.h"
#include "tb/board_model.h"
extern "C" {
#include "tb/rng.h"
}

#include <argp.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <string>
#include <termios.h>
#include <unistd.h>

const char *argp_program_version = nullptr;

namespace {

// Nothing on the lines for so long: whatever the board was doing has ended.
constexpr unsigned GRACE = 20000;

struct options {
    const board_kind *kind = &board_pipelined;
    unsigned flip = 0, lose = 0, twice = 0; // bytes in a million, each way
    uint64_t seed = 1, reset_at = 0, reset_every = 0;
    unsigned version = DMT_BOARD_VERSION, patience = 0;
    bool mute = false, garbage = false, glitch = false;
    const char *waves = nullptr;
} opt;

enum { FLIP = 256, LOSE, TWICE, RESET_AT, RESET_EVERY, VERSION, MUTE, GARBAGE, GLITCH, WAVES, PATIENCE };

const argp_option option_list[] = {
    {"config", 'c', "NAME", 0, "pipelined, tiny, or memory: no walker, faster", 0},
    {"seed", 's', "N", 0, "Of everything random (default 1)", 0},
    {"flip", FLIP, "PPM", 0, "Bytes in a million that lose a bit, each way", 0},
    {"lose", LOSE, "PPM", 0, "Bytes in a million that get lost", 0},
    {"twice", TWICE, "PPM", 0, "Bytes in a million that come twice", 0},
    {"reset-at", RESET_AT, "N", 0, "Reset the board after N bytes from the host, once", 0},
    {"reset-every", RESET_EVERY, "N", 0, "Reset the board after each N bytes from the host", 0},
    {"version", VERSION, "N", 0, "Claim another version of link and commands", 0},
    {"patience", PATIENCE, "MS", 0, "Wait so long for a host that pauses while the board is quiet (default 0)", 0},
    {"glitch", GLITCH, nullptr, 0, "In each byte to the board the line has one wrong clock", 0},
    {"mute", MUTE, nullptr, 0, "The board hears nothing and says nothing", 0},
    {"garbage", GARBAGE, nullptr, 0, "Send random bytes instead of the board's", 0},
    {"waves", WAVES, "FILE", 0, "FST of everything", 0},
    {nullptr, 0, nullptr, 0, nullptr, 0}};

uint64_t number(const char *text, uint64_t max, argp_state *a)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || v > max)
        argp_error(a, "'%s' is not a decimal number up to %llu", text, (unsigned long long)max);
    return v;
}

error_t parse_option(int key, char *arg, argp_state *a)
{
    switch (key) {
    case 'c':
        opt.kind = nullptr;
        for (const board_kind *k : {&board_pipelined, &board_tiny, &board_memory})
            if (!strcmp(arg, k->name))
                opt.kind = k;
        if (!opt.kind)
            argp_error(a, "--config: '%s' is not pipelined, tiny or memory", arg);
        break;
    case 's': opt.seed = number(arg, UINT64_MAX, a); break;
    case FLIP: opt.flip = (unsigned)number(arg, 1000000, a); break;
    case LOSE: opt.lose = (unsigned)number(arg, 1000000, a); break;
    case TWICE: opt.twice = (unsigned)number(arg, 1000000, a); break;
    case RESET_AT: opt.reset_at = number(arg, UINT64_MAX, a); break;
    case RESET_EVERY: opt.reset_every = number(arg, UINT64_MAX, a); break;
    case VERSION: opt.version = (unsigned)number(arg, 65535, a); break;
    case PATIENCE: opt.patience = (unsigned)number(arg, 10000, a); break;
    case GLITCH: opt.glitch = true; break;
    case MUTE: opt.mute = true; break;
    case GARBAGE: opt.garbage = true; break;
    case WAVES: opt.waves = arg; break;
    case ARGP_KEY_ARG: argp_error(a, "'%s' is not an option", arg); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const argp parser = {option_list, parse_option, nullptr,
                     "Run the board core with its UART on a pseudo-terminal, whose name is printed first.\v"
                     "Example:\n  dmt-board-sim -c tiny & dmt board identify --port /dev/pts/3",
                     nullptr, nullptr, nullptr};

volatile sig_atomic_t stop;

void on_signal(int)
{
    stop = 1;
}

// ------------------------------------------------------------ pseudo-terminal
struct terminal {
    int master = -1, slave = -1;
    bool deaf = false; // nobody reads: bytes are lost, as on a line

    bool open_pair()
    {
        master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
        if (master < 0 || grantpt(master) || unlockpt(master))
            return false;
        // Held open, so that hosts come and go.
        slave = ::open(ptsname(master), O_RDWR | O_NOCTTY);
        termios t;
        if (slave < 0 || tcgetattr(slave, &t))
            return false;
        cfmakeraw(&t);
        return tcsetattr(slave, TCSANOW, &t) == 0;
    }
    // Wait for input at most ms (-1: for ever).
    bool readable(int ms) const
    {
        pollfd p = {master, POLLIN, 0};
        return poll(&p, 1, ms) > 0 && (p.revents & POLLIN);
    }
    void take(std::deque<uint8_t> &to)
    {
        uint8_t buf[256];
        ssize_t n = read(master, buf, sizeof buf);
        for (ssize_t i = 0; i < n; i++)
            to.push_back(buf[i]);
    }
    void give(uint8_t byte)
    {
        for (unsigned tries = 0; write(master, &byte, 1) != 1; tries++) {
            if (deaf || stop || tries == 20) {
                deaf = true;
                return;
            }
            pollfd p = {master, POLLOUT, 0};
            poll(&p, 1, 100);
        }
        deaf = false;
    }
};

// --------------------------------------------------------------------- a line
// What a bad line makes of a byte: nothing, or one or two bytes.
struct bad_line {
    rng r;
    explicit bad_line(uint64_t salt) { rng_seed(&r, opt.seed, salt); }
    bool chance(unsigned ppm) { return ppm && rng_below(&r, 1000000) < ppm; }
    template <class F> void pass(uint8_t byte, F to)
    {
        if (chance(opt.lose))
            return;
        if (chance(opt.flip))
            byte ^= (uint8_t)(1u << rng_below(&r, 8));
        to(byte);
        if (chance(opt.twice))
            to(byte);
    }
};

// Bits out to the board.
struct sender {
    std::deque<uint8_t> queue;
    unsigned frame = 0, left = 0, tick = 0, wrong = 0;
    rng where{};

    bool busy() const { return left || !queue.empty(); }
    bool level(unsigned divisor)
    {
        if (!left) {
            if (queue.empty())
                return true;
            frame = queue.front() << 1 | 0x200u;
            queue.pop_front();
            left = 10;
            tick = 0;
            // In a bit of data: the edge that starts a byte is looked for clock by clock.
            wrong = opt.glitch ? divisor + (unsigned)rng_below(&where, 8 * divisor) : ~0u;
        }
        bool bit = (frame & 1) != ((10 - left) * divisor + tick == wrong);
        if (++tick == divisor) {
            tick = 0;
            frame >>= 1;
            left--;
        }
        return bit;
    }
};

// Bits from the board: each looked at in its middle.
struct receiver {
    unsigned shift = 0, bit = 0, tick = 0;
    bool active = false;

    // A whole byte, or -1.
    int clock(bool level, unsigned divisor)
    {
        if (!active) {
            if (level)
                return -1;
            active = true;
            tick = divisor / 2;
            bit = 0;
            return -1;
        }
        if (--tick)
            return -1;
        tick = divisor;
        if (bit == 9) {
            active = false;
            return level ? (int)(shift & 0xff) : -1;
        }
        if (bit)
            shift = shift >> 1 | (unsigned)level << 7;
        bit++;
        return -1;
    }
};

} // namespace

int main(int argc, char **argv)
{
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, nullptr, nullptr);
    struct sigaction act = {};
    act.sa_handler = on_signal;
    sigaction(SIGINT, &act, nullptr);
    sigaction(SIGTERM, &act, nullptr);

    terminal pty;
    if (!pty.open_pair()) {
        fprintf(stderr, "dmt-board-sim: cannot open a pseudo-terminal: %s\n", strerror(errno));
        return 2;
    }
    std::unique_ptr<board_model> board(opt.kind->make((uint16_t)opt.version, 0x51a70000));
    if (opt.waves && !board->trace(opt.waves)) {
        fprintf(stderr, "dmt-board-sim: cannot write '%s'\n", opt.waves);
        return 2;
    }
    printf("%s\n", ptsname(pty.master));
    fflush(stdout);

    bad_line to_board(1), to_host(2);
    rng noise;
    rng_seed(&noise, opt.seed, 3);
    sender out;
    rng_seed(&out.where, opt.seed, 4);
    receiver in;
    uint64_t clocks = 0, taken = 0, given = 0, resets = 0;
    uint64_t next_reset = opt.reset_at ? opt.reset_at : opt.reset_every;
    unsigned reset = 16, quiet = 0;
    bool waited = false;
    const unsigned divisor = opt.kind->divisor;

    while (!stop) {
        if (opt.mute || opt.garbage) {
            std::deque<uint8_t> ignored;
            if (pty.readable(opt.garbage ? 5 : -1))
                pty.take(ignored);
            for (unsigned i = 0; opt.garbage && i < 100; i++)
                pty.give((uint8_t)rng_next(&noise));
            continue;
        }
        if (out.queue.empty() && (clocks % 64 == 0 || !out.busy())) {
            // The end of what has come: wait for more before the clock goes on, so that a
            // host that was not scheduled does not look like one that had nothing to say.
            std::deque<uint8_t> came;
            int ms = quiet >= GRACE ? -1 : (waited || out.busy() ? 0 : (int)opt.patience);
            if (clocks % 64 == 0 || ms)
                if (pty.readable(ms))
                    pty.take(came);
            if (ms > 0)
                waited = true;
            if (!came.empty())
                waited = false;
            for (uint8_t b : came) {
                to_board.pass(b, [&](uint8_t c) { out.queue.push_back(c); });
                if (++taken == next_reset) {
                    reset = 16;
                    resets++;
                    next_reset = opt.reset_every ? next_reset + opt.reset_every : 0;
                }
            }
            if (stop)
                break;
        }
        bool level = out.level(divisor);
        int byte = in.clock(board->clock(reset > 0, level), divisor);
        clocks++;
        if (reset)
            reset--;
        quiet = out.busy() || in.active ? 0 : quiet + 1;
        if (byte >= 0)
            to_host.pass((uint8_t)byte, [&](uint8_t c) {
                pty.give(c);
                given++;
            });
    }
    fprintf(stderr, "%llu clocks, %llu bytes from the host, %llu to it, %llu resets\n", (unsigned long long)clocks,
            (unsigned long long)taken, (unsigned long long)given, (unsigned long long)resets);
    return 0;
}
