/* SPDX-License-Identifier: Apache-2.0
 * dmt-platform: a virtual platform around dmt_tlm. Traffic, the MMU and a memory with a captured system in
 * it, twice: loosely timed and cycle-accurate. The same requests go to both. */
#include "tb/systemc/tlm_memory.h"
#include "tb/systemc/traffic.h"
#include <cinttypes>
#include <cstring>
#include <ctime>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include "areas.h"
#include "inputs.h"
#include "io.h"
#include "oracle.h"
#include "space.h"
}

namespace
{

using sc_core::sc_time;
using timing = dmt_tlm::timing;

struct options {
    std::string capture;
    const char *config = "default";
    bool loose = true, cycle = true, dmi = true;
    uint64_t requests = 1000000, cycle_requests = 20000, contexts = 4, latency = 20, quantum = 1000;
    uint64_t period = 1000, registers = UINT64_MAX;
};

enum {
    O_CAPTURE = 256,
    O_MODE,
    O_REQUESTS,
    O_CYCLE_REQUESTS,
    O_CONTEXTS,
    O_LATENCY,
    O_QUANTUM,
    O_PERIOD,
    O_REGISTERS,
    O_NO_DMI
};

const struct argp_option option_list[] = {
    {"capture", O_CAPTURE, "DIR", 0, "Captured system (default: sim/captures/gups beside the build folder)",
     0},
    {"config", 'c', "NAME", 0, "Configuration of the MMU (default: default)", 0},
    {"mode", O_MODE, "NAME", 0, "lt (loosely timed), ca (cycle-accurate) or both (default)", 0},
    {"requests", O_REQUESTS, "N", 0, "Translations, loosely timed (default 1000000)", 0},
    {"cycle-requests", O_CYCLE_REQUESTS, "N", 0, "The first so many of them, cycle-accurate (default 20000)",
     0},
    {"contexts", O_CONTEXTS, "N", 0, "Initiators that run beside each other (default 4)", 0},
    {"latency", O_LATENCY, "CLOCKS", 0, "Latency of the memory (default 20)", 0},
    {"period", O_PERIOD, "PS", 0, "Period of the clock (default 1000)", 0},
    {"quantum", O_QUANTUM, "CLOCKS", 0, "Global quantum; 0: every translation synchronizes (default 1000)",
     0},
    {"registers", O_REGISTERS, "N", 0,
     "TEA registers of each set to lay out (default: all); 0: x86 walks alone", 0},
    {"no-dmi", O_NO_DMI, nullptr, 0, "The memory grants no direct access", 0},
    {}};

error_t parse_option(int key, char *arg, struct argp_state *a)
{
    options &o = *static_cast<options *>(a->input);
    std::string mode;

    switch (key) {
    case O_CAPTURE:
        o.capture = arg;
        break;
    case 'c':
        o.config = arg;
        if (!option_config(arg))
            std::exit(EXIT_BAD_INPUT);
        break;
    case O_MODE:
        mode = arg;
        if (mode != "lt" && mode != "ca" && mode != "both")
            argp_error(a, "--mode: '%s' is not lt, ca or both", arg);
        o.loose = mode != "ca";
        o.cycle = mode != "lt";
        break;
    case O_REQUESTS:
        o.requests = option_number(arg, UINT32_MAX, "requests", a);
        break;
    case O_CYCLE_REQUESTS:
        o.cycle_requests = option_number(arg, UINT32_MAX, "cycle-requests", a);
        break;
    case O_CONTEXTS:
        o.contexts = option_number(arg, 1024, "contexts", a);
        break;
    case O_LATENCY:
        o.latency = option_number(arg, 1000, "latency", a);
        break;
    case O_PERIOD:
        o.period = option_number(arg, 1000000000, "period", a);
        break;
    case O_QUANTUM:
        o.quantum = option_number(arg, 1000000000, "quantum", a);
        break;
    case O_REGISTERS:
        o.registers = option_number(arg, DMT_TEA_MAX, "registers", a);
        break;
    case O_NO_DMI:
        o.dmi = false;
        break;
    case ARGP_KEY_ARG:
        argp_error(a, "'%s' is not an option", arg);
        break;
    case ARGP_KEY_END:
        if (!o.requests || !o.cycle_requests || !o.contexts || !o.latency || o.period < 2)
            argp_error(
                a, "--requests, --cycle-requests, --contexts, --latency: at least 1; --period: at least 2");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp parser = {
    option_list,
    parse_option,
    nullptr,
    "Translate the requests of a captured system on a SystemC platform, loosely timed and cycle-accurate, "
    "and "
    "compare.\vA captured system is a folder as dmt run reads it: state, memory.zst, oracle.csv, and of a "
    "process maps and trace.zst; without a trace, requests are made of the addresses in oracle.csv. Speeds "
    "are of processor time. Exit status: 0 success, 1 the modes disagree, 2 bad input.\n\n"
    "Example:\n  dmt-platform --capture sim/captures/nested --contexts 8",
    nullptr,
    nullptr,
    nullptr};

/* ------------------------------------------------------------ a captured system */

struct system_under_test {
    struct dmt_state state = {};
    struct dmt_mem *mem = nullptr; /* with TEAs laid out */
    std::vector<struct dmt_request> list;

    ~system_under_test()
    {
        dmt_mem_free(mem);
    }
};

std::string default_capture()
{
    char exe[400];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    std::string path(exe, n > 0 ? static_cast<size_t>(n) : 0);

    path = path.substr(0, path.rfind('/')); /* the build folder lies in the tree */
    path = path.substr(0, path.rfind('/')) + "/sim/captures/gups";
    return access(path.c_str(), R_OK) == 0 ? path : "sim/captures/gups";
}

/* TEA registers for every stage, as dmt run lays them out. */
bool lay_out(const options &o, const struct dmt_config &config, system_under_test &s)
{
    struct dmt_tea_report report[DMT_SETS_MAX];
    struct areas areas = {};
    struct space space;
    bool guest = state_entry(&s.state) > 0, ok;
    unsigned n = static_cast<unsigned>(std::min<uint64_t>(o.registers, config.tea_n));
    struct space_layout how = {guest ? nullptr : &areas, n, guest};

    std::memset(s.state.tea, 0, sizeof(s.state.tea));
    if (!n)
        return true;
    if (!guest && !maps_read((o.capture + "/maps").c_str(), 0, &areas))
        return false;
    ok = space_open(&space, &s.state, s.mem, 0) && space_layout(&space, &how, report);
    areas_free(&areas);
    return ok;
}

bool load(const options &o, const struct dmt_config &config, system_under_test &s)
{
    std::string trace = o.capture + "/trace.zst";
    uint64_t most = std::max(o.loose ? o.requests : 0, o.cycle ? o.cycle_requests : 0);
    struct oracle_row *rows = nullptr;
    struct tlb_stats stats = {};
    struct full_state full;
    struct cosim_source *source;
    struct cosim_item item;
    struct replay *replay;
    size_t rows_n = 0;

    if (!state_read((o.capture + "/state").c_str(), &full))
        return false;
    s.state = full.dmt;
    if (state_entry(&s.state) >= config.sets || s.state.maxpa > config.pa_w) {
        say("%s: its mode or its maxphyaddr is more than configuration %s has", o.capture.c_str(), o.config);
        return false;
    }
    s.mem = memory_read((o.capture + "/memory.zst").c_str(), nullptr, nullptr);
    if (!s.mem || !lay_out(o, config, s))
        return false;
    if (access(trace.c_str(), R_OK) == 0) {
        /* One access in three or so misses the TLB; more are not needed. */
        replay = replay_trace(trace.c_str(), &s.state, s.mem, true, 16 * most, &stats);
    } else {
        rows = oracle_read((o.capture + "/oracle.csv").c_str(), &rows_n);
        replay =
            rows ? replay_rows(rows, rows_n, std::min<uint64_t>(most, 100000), 1, &s.state, s.mem) : nullptr;
    }
    free(rows);
    if (!replay)
        return false;
    source = replay_source(replay, nullptr, nullptr);
    while (s.list.size() < most && source->next(source->user, &item))
        s.list.push_back(item.request);
    replay_free(replay);
    if (s.list.empty())
        say("%s: there is no request in it", o.capture.c_str());
    return !s.list.empty();
}

/* ------------------------------------------------------------ the platform */

/* A clock that can stand still, so that a part of the platform that is not in use costs nothing. */
class gated_clock : public sc_core::sc_module
{
  public:
    sc_core::sc_signal<bool> signal;

    gated_clock(const sc_core::sc_module_name &name, const sc_time &period)
        : sc_module(name), signal("signal", false), period(period), changed("changed")
    {
        sc_core::sc_spawn([this] { run(); }, "run");
    }

    void enable(bool yes)
    {
        on = yes;
        changed.notify(sc_core::SC_ZERO_TIME);
    }

  private:
    void run()
    {
        sc_time half = sc_time::from_value(period.value() / 2);

        for (;;) {
            while (!on)
                sc_core::wait(changed);
            signal.write(true);
            sc_core::wait(half);
            signal.write(false);
            sc_core::wait(period - half);
        }
    }

    sc_time period;
    bool on = false;
    sc_core::sc_event changed;
};

/* Traffic, MMU, memory. */
class platform : public sc_core::sc_module
{
  public:
    gated_clock clock;
    dmt_tlm mmu;
    tlm_memory memory;
    traffic cpu;
    bool needs_clock; /* edges cost as much as translations do */

    platform(const sc_core::sc_module_name &name, timing how, const options &o, struct dmt_mem *mem)
        : sc_module(name), clock("clock", sc_time(double(o.period), sc_core::SC_PS)),
          mmu("mmu", how, o.config, sc_time(double(o.period), sc_core::SC_PS)),
          memory("memory", mem, sc_time(double(o.period * o.latency), sc_core::SC_PS)),
          cpu("cpu", mmu.config())
    {
        cpu.requests.bind(mmu.requests);
        cpu.csr.bind(mmu.csr);
        mmu.memory.bind(memory.socket);
        if (how == timing::cycle)
            mmu.clk(clock.signal);
        needs_clock = how == timing::cycle;
        memory.offer_dmi = o.dmi;
    }
};

double processor_time()
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

struct outcome {
    std::vector<traffic_answer> answers;
    uint64_t n = 0;
    const char *missing = nullptr;
};

void measure(platform &p, const char *name, const options &o, const system_under_test &s, outcome &out)
{
    sc_time start, taken;
    double seconds;

    p.clock.enable(p.needs_clock);
    out.missing = p.cpu.program(s.state);
    if (out.missing)
        return;
    start = sc_core::sc_time_stamp();
    seconds = processor_time();
    p.cpu.run(s.list, out.n, static_cast<unsigned>(o.contexts), out.answers);
    seconds = processor_time() - seconds;
    taken = sc_core::sc_time_stamp() - start;
    p.clock.enable(false);
    std::printf("%-16s %9" PRIu64 "  %12.0f  %10.2f  %14.3f  %9" PRIu64 "  %9" PRIu64 "\n", name, out.n,
                double(out.n) / seconds, double(p.cpu.clocks) / double(out.n),
                taken.to_seconds() * 1e9 / double(out.n), p.memory.reads, p.cpu.syncs);
    std::fflush(stdout);
}

/* Is every answer the same? Whether a page is dirty already when it is read depends on which context came
 * first, so with several of them that is not compared for reads; nor is what caches have saved a walk. */
bool agree(const options &o, const system_under_test &s, const outcome &a, const outcome &b)
{
    uint64_t n = std::min(a.n, b.n), differences = 0;
    unsigned first_path = o.contexts > 1 ? state_entry(&s.state) : 0;

    for (uint64_t i = 0; i < n; i++) {
        const struct dmt_request &q = s.list[i % s.list.size()];
        struct dmt_result x = a.answers[i].result, y = b.answers[i].result;
        uint64_t of_x, of_y;

        if (o.contexts > 1 && q.access != DMT_ACCESS_WRITE)
            x.dirty = y.dirty;
        const char *field = traffic_difference(x, y, first_path, &of_x, &of_y);
        if (field && !differences++)
            say("request %" PRIu64 ": va 0x%" PRIx64 ": %s: loosely timed 0x%" PRIx64
                ", cycle-accurate 0x%" PRIx64,
                i, q.va, field, of_x, of_y);
    }
    std::printf("%" PRIu64 " answers compared, %" PRIu64 " differ\n", n, differences);
    return differences == 0;
}

} // namespace

int sc_main(int argc, char **argv)
{
    std::unique_ptr<platform> loose, cycle;
    outcome a, b;
    options o;
    int code = EXIT_OK;

    argp_err_exit_status = EXIT_BAD_INPUT;
    argp_parse(&parser, argc, argv, 0, nullptr, &o);
    if (o.capture.empty())
        o.capture = default_capture();

    system_under_test s;
    if (!load(o, dut_rtl_find(o.config)->config, s))
        return EXIT_BAD_INPUT;
    struct dmt_mem *copy = dmt_mem_clone(s.mem); /* accessed and dirty bits change */
    if (!copy) {
        say("out of memory");
        return EXIT_BAD_INPUT;
    }

    tlm::tlm_global_quantum::instance().set(sc_time(double(o.quantum * o.period), sc_core::SC_PS));
    a.n = o.requests;
    b.n = o.cycle_requests;
    if (o.loose)
        loose = std::make_unique<platform>("loose", timing::loose, o, s.mem);
    if (o.cycle)
        cycle = std::make_unique<platform>("cycle", timing::cycle, o, copy);
    if (o.loose && o.cycle) {
        a.answers.resize(std::min(a.n, b.n));
        b.answers.resize(std::min(a.n, b.n));
    }
    sc_core::sc_spawn([&] {
        std::printf("%s on configuration %s, %" PRIu64 " contexts, memory latency %" PRIu64 " clocks%s\n\n",
                    o.capture.c_str(), o.config, o.contexts, o.latency, o.dmi ? "" : ", no direct access");
        std::printf("%-16s %9s  %12s  %10s  %14s  %9s  %9s\n", "", "walks", "walks/second", "clocks/walk",
                    "ns/walk (sim.)", "mem reads", "syncs");
        if (loose)
            measure(*loose, "loosely timed", o, s, a);
        if (cycle)
            measure(*cycle, "cycle-accurate", o, s, b);
    });
    sc_core::sc_start();
    const char *missing = a.missing ? a.missing : b.missing;
    if (missing) {
        say("%s: the system asks for %s", o.capture.c_str(), missing);
        code = EXIT_BAD_INPUT;
    } else if (loose && cycle) {
        std::printf("\n");
        code = agree(o, s, a, b) ? EXIT_OK : EXIT_CHECK;
    }
    loose.reset();
    cycle.reset();
    dmt_mem_free(copy);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        say("(standard output): cannot write");
        code = EXIT_BAD_INPUT;
    }
    return code;
}

/* The library's main() with its banner on standard output is not wanted. */
int main(int argc, char **argv)
{
    setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
    return sc_core::sc_elab_and_sim(argc, argv);
}
