/* SPDX-License-Identifier: Apache-2.0
 * dmt_tlm in both of its timings: the same requests, register accesses and debug accesses go to a loosely
 * timed and to a cycle-accurate module, each with a memory of its own, and both are compared with each
 * other, with the architectural model and with what others have made of these tables. Prints "ok NAME" or
 * "not ok NAME" a check; run by tests/test_systemc.sh. */
#include "tb/systemc/tlm_memory.h"
#include "tb/systemc/traffic.h"
#include <cinttypes>
#include <cmath>
#include <cstdarg>
#include <cstring>
#include <functional>

extern "C" {
#include "areas.h"
#include "dmt/table.h"
#include "io.h"
#include "oracle.h"
#include "replay.h"
#include "sim/memory.h"
#include "space.h"
#include "state.h"
#include "tb/agent.h"
#include "tb/stimulus.h"
#include "tests/perm_rows.h"
}

namespace
{

using sc_core::sc_time;
using sc_core::sc_time_stamp;
using timing = dmt_tlm::timing;

const sc_time period(1, sc_core::SC_NS);
constexpr unsigned latency = 5; /* clocks */

/* Clocks of a native walk, request taken to answer valid (microarchitecture 4): it has one match. */
unsigned walk_clocks(const struct dmt_config &c, unsigned references)
{
    return c.pipe ? references * (latency + 4) + 2 : references * (latency + 1) + 1;
}
const uint64_t flags = DMT_PTE_P | DMT_PTE_W | DMT_PTE_U;

int failed;

/* ------------------------------------------------------------ checks */

char why[512];

/* Note what is wrong; the first complaint of a check is kept. */
bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool wrong(const char *format, ...)
{
    va_list args;

    if (!*why) {
        va_start(args, format);
        std::vsnprintf(why, sizeof why, format, args);
        va_end(args);
    }
    return false;
}

void check(const char *name, const std::function<bool()> &run)
{
    bool ok;

    *why = 0;
    ok = run();
    std::printf("%s %s\n", ok ? "ok" : "not ok", name);
    if (!ok) {
        std::printf("# %s\n", *why ? why : "(nothing is said)");
        failed++;
    }
    std::fflush(stdout);
}

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return wrong("line %d: expected %s", __LINE__, #condition);                                      \
    } while (0)

/* ------------------------------------------------------------ two worlds */

/* A memory that gives direct readers a copy, and so sees who uses what it has taken back. */
class moving_memory : public tlm_memory
{
  public:
    using tlm_memory::tlm_memory;
    bool copies = false;

    void move()
    {
        for (auto &c : given)
            std::memset(c.get(), 0xff, 4096);
        withdraw(0, UINT64_MAX);
        old.insert(old.end(), std::make_move_iterator(given.begin()), std::make_move_iterator(given.end()));
        given.clear();
    }

  protected:
    unsigned char *direct(uint64_t pfn) override
    {
        unsigned char *frame = tlm_memory::direct(pfn);

        if (!copies || !frame)
            return frame;
        given.push_back(std::make_unique<unsigned char[]>(4096));
        std::memcpy(given.back().get(), frame, 4096);
        return given.back().get();
    }

  private:
    std::vector<std::unique_ptr<unsigned char[]>> given, old;
};

/* Memory, MMU, an initiator, another one, and a processor's port to memory. */
class world : public sc_core::sc_module
{
  public:
    struct dmt_mem *mem = dmt_mem_new();
    moving_memory memory;
    dmt_tlm mmu;
    traffic cpu, device;
    tlm_utils::simple_initiator_socket<world, 64> store;
    sc_core::sc_signal<bool> event;

    world(const sc_core::sc_module_name &name, timing how, const char *config, sc_core::sc_clock &clock)
        : sc_module(name), memory("memory", mem, latency * period), mmu("mmu", how, config, period),
          cpu("cpu", mmu.config()), device("device", mmu.config()), store("store"), event("event")
    {
        cpu.requests.bind(mmu.requests);
        device.requests.bind(mmu.requests);
        cpu.csr.bind(mmu.csr);
        device.csr.bind(nowhere);
        mmu.memory.bind(memory.socket);
        store.bind(memory.socket);
        mmu.event(event);
        if (how == timing::cycle)
            mmu.clk(clock);
    }

    ~world() override
    {
        dmt_mem_free(mem);
    }

    /* Other content. */
    void fresh(const struct dmt_mem *from)
    {
        dmt_mem_free(mem);
        mem = from ? dmt_mem_clone(from) : dmt_mem_new();
        memory.use(mem);
    }

    uint64_t debug(tlm::tlm_command command, uint64_t addr, uint64_t value = 0)
    {
        tlm::tlm_generic_payload trans;

        trans.set_command(command);
        trans.set_address(addr);
        trans.set_data_ptr(reinterpret_cast<unsigned char *>(&value));
        trans.set_data_length(8);
        trans.set_streaming_width(8);
        store->transport_dbg(trans);
        return value;
    }
    void poke(uint64_t addr, uint64_t value)
    {
        debug(tlm::TLM_WRITE_COMMAND, addr, value);
    }
    /* A store as any processor makes it. */
    void put(uint64_t addr, uint64_t value)
    {
        tlm::tlm_generic_payload trans;
        sc_time delay;

        trans.set_command(tlm::TLM_WRITE_COMMAND);
        trans.set_address(addr);
        trans.set_data_ptr(reinterpret_cast<unsigned char *>(&value));
        trans.set_data_length(8);
        trans.set_streaming_width(8);
        store->b_transport(trans, delay);
    }
    uint64_t peek(uint64_t addr)
    {
        return debug(tlm::TLM_READ_COMMAND, addr);
    }

    /* One translation, its time gone by. */
    traffic_answer translate(const struct dmt_request &q)
    {
        sc_time delay;
        traffic_answer a = cpu.translate(q, delay);

        sc_core::wait(delay);
        return a;
    }

    tlm::tlm_response_status write(unsigned offset, uint64_t value)
    {
        sc_time delay;
        auto status = cpu.write(offset, value, delay);

        sc_core::wait(delay);
        return status;
    }

    uint64_t read(unsigned offset)
    {
        uint64_t value = 0;
        sc_time delay;

        cpu.read(offset, &value, delay);
        sc_core::wait(delay);
        return value;
    }

    /* Registers by debug transport: bytes done, and the response. */
    unsigned csr_dbg(tlm::tlm_command command, unsigned offset, uint64_t *value,
                     tlm::tlm_response_status *status = nullptr)
    {
        tlm::tlm_generic_payload trans;
        unsigned n;

        trans.set_command(command);
        trans.set_address(offset);
        trans.set_data_ptr(reinterpret_cast<unsigned char *>(value));
        trans.set_data_length(8);
        n = cpu.csr->transport_dbg(trans);
        if (status)
            *status = trans.get_response_status();
        return n;
    }

    struct dmt_result translate_dbg(const struct dmt_request &q)
    {
        tlm::tlm_generic_payload trans;
        dmt_translation x;
        uint64_t pa = 0;

        trans.set_command(tlm::TLM_READ_COMMAND);
        trans.set_address(q.va);
        trans.set_data_ptr(reinterpret_cast<unsigned char *>(&pa));
        trans.set_data_length(8);
        trans.set_streaming_width(8);
        x.access = q.access;
        x.cpl = q.cpl;
        x.ac = q.ac;
        x.implicit = q.implicit;
        x.nonspec = q.nonspec;
        trans.set_extension(&x);
        cpu.requests->transport_dbg(trans);
        trans.clear_extension(&x);
        return x.answer;
    }

    void invalidate()
    {
        write(DMT_LEVEL_INV, uint64_t(DMT_INV_ALL) << DMT_LEVEL_INV_KIND_LSB);
        if (mmu.config().sets > 1)
            write(DMT_LEVEL_INV, uint64_t(DMT_INV_S2_ALL) << DMT_LEVEL_INV_KIND_LSB);
    }

  private:
    /* The second initiator has requests only. */
    struct stub : tlm::tlm_fw_transport_if<> {
        void b_transport(tlm::tlm_generic_payload &, sc_time &) override
        {
        }
        tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload &, tlm::tlm_phase &, sc_time &) override
        {
            return tlm::TLM_COMPLETED;
        }
        bool get_direct_mem_ptr(tlm::tlm_generic_payload &, tlm::tlm_dmi &) override
        {
            return false;
        }
        unsigned transport_dbg(tlm::tlm_generic_payload &) override
        {
            return 0;
        }
    } stubbed;
    struct stub_socket : tlm::tlm_target_socket<64> {
        explicit stub_socket(stub &s) : tlm::tlm_target_socket<64>("nowhere")
        {
            bind(s);
        }
    } nowhere{stubbed};
};

/* The two timings of one configuration. */
struct pair {
    world loose, cycle;

    pair(const std::string &name, const char *config, sc_core::sc_clock &clock)
        : loose((name + "_loose").c_str(), timing::loose, config, clock),
          cycle((name + "_cycle").c_str(), timing::cycle, config, clock)
    {
    }

    template <typename F> bool each(F f)
    {
        return f(loose) && f(cycle);
    }
};

/* ------------------------------------------------------------ comparing */

bool same(const char *what, const struct dmt_request &q, const struct dmt_result &want,
          const struct dmt_result &got, unsigned first_path = 0)
{
    uint64_t expected, is;
    const char *field = traffic_difference(want, got, first_path, &expected, &is);

    return !field || wrong("%s: va %" PRIx64 ": %s: expected %" PRIx64 ", got %" PRIx64, what, q.va, field,
                           expected, is);
}

/* One request to both; answers and clocks must be the same. */
bool both(pair &p, const struct dmt_request &q, struct dmt_result *answer)
{
    traffic_answer a = p.loose.translate(q), b = p.cycle.translate(q);

    /* The next request of each comes after the surplus reads of this one, whoever was first. */
    sc_core::wait(8 * period);
    *answer = b.result;
    if (!same("loosely timed against cycle-accurate", q, b.result, a.result))
        return false;
    if (a.clocks != b.clocks)
        return wrong("va %" PRIx64 ": %u clocks loosely timed, %u cycle-accurate", q.va, a.clocks, b.clocks);
    return true;
}

/* Every register, mapped or not, on both, by transport and by debug transport. */
bool same_registers(pair &p)
{
    for (unsigned offset = 0; offset < 0x4000; offset += 8) {
        uint64_t a = 1, b = 2, a_dbg = 3, b_dbg = 4;
        tlm::tlm_response_status as, bs, as_dbg, bs_dbg;
        unsigned an, bn;
        sc_time delay;

        an = p.loose.csr_dbg(tlm::TLM_READ_COMMAND, offset, &a_dbg, &as_dbg);
        bn = p.cycle.csr_dbg(tlm::TLM_READ_COMMAND, offset, &b_dbg, &bs_dbg);
        as = p.loose.cpu.read(offset, &a, delay);
        bs = p.cycle.cpu.read(offset, &b, delay);
        if (as != bs || as_dbg != bs || bs_dbg != bs || an != bn || (an == 8) != (as == tlm::TLM_OK_RESPONSE))
            return wrong("register %x: responses %d %d, debug %d %d", offset, as, bs, as_dbg, bs_dbg);
        if (as != tlm::TLM_OK_RESPONSE)
            continue;
        if (a != b || a_dbg != b || b_dbg != b)
            return wrong("register %x: loosely timed %" PRIx64 " (debug %" PRIx64 "), cycle-accurate %" PRIx64
                         " (debug %" PRIx64 ")",
                         offset, a, a_dbg, b, b_dbg);
    }
    return true;
}

bool same_memory(pair &p)
{
    size_t n = dmt_mem_count(p.loose.mem);
    std::vector<uint64_t> pfn(n);

    EXPECT(dmt_mem_count(p.cycle.mem) == n);
    dmt_mem_list(p.loose.mem, pfn.data());
    for (uint64_t f : pfn) {
        if (std::memcmp(dmt_mem_frame(p.loose.mem, f), dmt_mem_frame(p.cycle.mem, f), 4096) != 0)
            return wrong("frame %" PRIx64 " differs", f);
    }
    return true;
}

/* ------------------------------------------------------------ the architectural model */

enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    return dmt_mem_read(static_cast<struct dmt_mem *>(user), ref->addr, data)
               ? ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY
               : DMT_RESP_DECERR;
}

enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return dmt_mem_write(static_cast<struct dmt_mem *>(user), ref->addr, data) ? DMT_RESP_EXOKAY
                                                                               : DMT_RESP_DECERR;
}

struct dmt_result model(const struct dmt_state &s, struct dmt_mem *mem, const struct dmt_request &q)
{
    const struct dmt_port port = {mem, read_entry, write_entry, nullptr, nullptr, nullptr};
    struct dmt_result r;

    dmt_arch_translate(&s, &q, &port, &r);
    return r;
}

/* ------------------------------------------------------------ captured systems */

enum variant { plain, nest_shadow, nest_full };

/* A captured system with TEA registers in every stage, or with none. */
bool captured(const char *name, enum variant v, bool registers, struct dmt_state *state, struct dmt_mem **mem)
{
    std::string dir = std::string("sim/captures/") + name;
    struct dmt_tea_report report[DMT_SETS_MAX];
    struct full_state full;
    struct areas areas = {};
    struct space space;
    bool guest;

    if (!state_read((dir + "/state").c_str(), &full) ||
        !(*mem = memory_read((dir + "/memory.zst").c_str(), nullptr, nullptr)))
        return wrong("%s cannot be read", dir.c_str());
    *state = full.dmt;
    guest = state_entry(state) > 0;
    if (!guest && !maps_read((dir + "/maps").c_str(), 0, &areas))
        return wrong("%s/maps cannot be read", dir.c_str());
    struct space_layout how = {guest ? nullptr : &areas, 16, guest};
    bool ok = space_open(&space, state, *mem, 0) && (v == plain || space_nest(&space));
    state->full = v == nest_full;
    ok = ok && space_layout(&space, &how, report);
    areas_free(&areas);
    if (!registers)
        std::memset(state->tea, 0, sizeof(state->tea));
    return ok || wrong("%s cannot be laid out", dir.c_str());
}

/* The requests of a capture: its trace behind a TLB, or its accesses with what became of them. */
bool run_capture(pair &p, const char *name, enum variant v, bool registers, unsigned every)
{
    std::vector<struct dmt_request> list;
    std::vector<struct oracle_row> rows;
    struct dmt_state state;
    struct dmt_mem *mem = nullptr, *of_model;
    size_t tea = 0;
    bool ok = captured(name, v, registers, &state, &mem);

    if (ok && state_entry(&state) == 0) {
        struct tlb_stats stats = {};
        struct replay *r = replay_trace((std::string("sim/captures/") + name + "/trace.zst").c_str(), &state,
                                        mem, true, 40000, &stats);
        struct cosim_source *s = r ? replay_source(r, nullptr, nullptr) : nullptr;
        struct cosim_item item;

        while (s && s->next(s->user, &item) && list.size() < 4000)
            list.push_back(item.request);
        replay_free(r);
    } else if (ok) {
        size_t n = 0;
        struct oracle_row *r = oracle_read((std::string("sim/captures/") + name + "/oracle.csv").c_str(), &n);

        rows.assign(r, r + n);
        free(r);
        for (const auto &row : rows)
            list.push_back(row.request);
    }
    ok = ok && (list.size() > 1000 || wrong("there are only %zu requests", list.size()));
    of_model = ok ? dmt_mem_clone(mem) : nullptr;
    if (ok) {
        p.each([&](world &w) {
            const char *missing;

            w.fresh(mem);
            w.cpu.forget();
            missing = w.cpu.program(state);
            w.invalidate();
            ok = ok && (!missing || wrong("%s", missing));
            return ok;
        });
    }
    for (size_t i = 0; ok && i < list.size(); i += every) {
        struct dmt_result want = model(state, of_model, list[i]), got, before;

        before = p.loose.translate_dbg(list[i]);
        ok = both(p, list[i], &got) && same("architectural model", list[i], want, got, state_entry(&state)) &&
             same("debug translation, loosely timed", list[i], want, before) &&
             same("debug translation, cycle-accurate, afterwards", list[i], want,
                  p.cycle.translate_dbg(list[i]));
        if (ok && !rows.empty())
            ok = oracle_agrees(&rows[i], &got) || wrong("row %zu of oracle.csv: status %u", i, got.status);
        tea += got.path[state_entry(&state)] == DMT_PATH_TEA;
    }
    ok = ok && (registers == (tea > list.size() / every / 3) || wrong("%zu of them by a TEA register", tea));
    ok = ok && same_registers(p) && same_memory(p);
    dmt_mem_free(mem);
    dmt_mem_free(of_model);
    return ok;
}

/* ------------------------------------------------------------ permission rows */

bool run_perm_rows(pair &p)
{
    struct perm_file *f = perm_open_sample();
    struct perm_row row;
    unsigned rows = 0, exact = 0;
    bool ok = true;
    int more;

    EXPECT(f != nullptr);
    p.each([&](world &w) {
        w.fresh(nullptr);
        for (unsigned i = 0; i < PERM_LEVELS; i++)
            dmt_mem_add(w.mem, perm_table_pfn[i]);
        return true;
    });
    while ((more = perm_next(f, &row)) > 0 && ok) {
        auto one = [&](world &w) {
            for (const struct perm_word &x : row.word) {
                if (x.pa)
                    w.poke(x.pa, x.value);
            }
            w.cpu.program(row.state);
            w.invalidate();
            traffic_answer a = w.translate(row.request);
            if (a.result.status != row.status || a.result.error != row.error || a.result.pa != row.pa)
                return wrong("row %u: status %u error %" PRIx64 " pa %" PRIx64 ", expected %u %x %" PRIx64,
                             row.id, a.result.status, a.result.error, a.result.pa, row.status, row.error,
                             row.pa);
            for (const struct perm_word &x : row.word) {
                if (x.pa && w.peek(x.pa) != x.post)
                    return wrong("row %u: the entry at %" PRIx64 " is %" PRIx64 ", expected %" PRIx64, row.id,
                                 x.pa, w.peek(x.pa), x.post);
            }
            return true;
        };
        ok = one(p.loose);
        /* The RTL sees a sample: it is some hundred times slower. */
        if (ok && rows++ % 16 == 0) {
            ok = one(p.cycle);
            exact++;
        }
    }
    perm_close(f);
    return ok && (more == 0 || wrong("a row cannot be read")) &&
           (rows > 20000 || wrong("only %u rows", rows)) &&
           (exact > 1000 || wrong("only %u rows on the RTL", exact));
}

/* ------------------------------------------------------------ random scenarios */

/* Requests, and register writes and reads, as the harness makes them for lockstep: random tables of every
 * stage, TEA registers over them, live register changes, offsets that do not exist, partial strobes, set
 * loads and gTEA commands. One after the other, to both. */
struct random_run {
    pair &p;
    struct agent agent = {};
    std::unique_ptr<struct stimulus> s = std::make_unique<struct stimulus>();
    struct dmt_mem *reference = nullptr;
    uint64_t requests = 0, writes = 0, reads = 0, refused = 0, ok_answers = 0;

    explicit random_run(pair &p) : p(p)
    {
    }

    ~random_run()
    {
        stimulus_clear(s.get());
    }

    /* Stores of software into the images of TEA registers, which both must see. */
    void copy_images()
    {
        for (unsigned k = 0; k < s->config.sets; k++) {
            for (uint64_t at = 0; at < 2048 * uint64_t(s->image[k].n + 1); at += 8) {
                uint64_t v;

                if (dmt_mem_read(s->mem, s->image[k].base + at, &v)) {
                    p.loose.poke(s->image[k].base + at, v);
                    p.cycle.poke(s->image[k].base + at, v);
                }
            }
        }
    }

    bool csr(tlm::tlm_command command, unsigned offset, uint64_t value, unsigned strobes)
    {
        tlm::tlm_response_status status[2];
        uint64_t data[2] = {value, value};
        unsigned char enable[8];
        unsigned i = 0;

        for (unsigned b = 0; b < 8; b++)
            enable[b] = strobes >> b & 1 ? TLM_BYTE_ENABLED : TLM_BYTE_DISABLED;
        p.each([&](world &w) {
            tlm::tlm_generic_payload trans;
            sc_time delay;

            trans.set_command(command);
            trans.set_address(offset);
            trans.set_data_ptr(reinterpret_cast<unsigned char *>(&data[i]));
            trans.set_data_length(8);
            trans.set_streaming_width(8);
            if (strobes != 0xff) {
                trans.set_byte_enable_ptr(enable);
                trans.set_byte_enable_length(8);
            }
            w.cpu.csr->b_transport(trans, delay);
            sc_core::wait(delay);
            status[i++] = trans.get_response_status();
            return true;
        });
        refused += status[0] != tlm::TLM_OK_RESPONSE;
        if (status[0] != status[1] || data[0] != data[1])
            return wrong("access %d of register %x: response %d and %" PRIx64
                         " loosely timed, %d and %" PRIx64 " cycle-accurate",
                         command, offset, status[0], data[0], status[1], data[1]);
        return true;
    }

    bool run(uint64_t seed, bool live, uint64_t n)
    {
        struct dmt_out out = {};
        struct dmt_in in = {};
        std::vector<std::pair<uint64_t, unsigned>>
            data; /* value, strobes; address and data come independently */
        std::vector<unsigned> addr;
        uint64_t pokes = 0;
        bool ok = true;

        s->agent = &agent;
        EXPECT(stimulus_random(s.get(), &p.loose.mmu.config(), seed, 0, live));
        if (live) /* one access of registers for about ten requests */
            s->changes = 6000;
        agent.mem = s->mem;
        agent.pokes = 0;
        p.loose.fresh(s->mem);
        p.cycle.fresh(s->mem);
        for (uint64_t i = 0; ok && requests < n; i++) {
            EXPECT(i < 1000 * n);
            in = {};
            out = {};
            stimulus_drive(s.get(), &in);
            if (agent.pokes != pokes) {
                pokes = agent.pokes;
                copy_images();
            }
            out.req_ready = out.s_awready = out.s_wready = out.s_arready = 1;
            out.resp_valid = s->taken != s->answered;
            out.s_bvalid = s->csr.b_done < std::min(s->csr.aw_sent, s->csr.w_sent);
            out.s_rvalid = s->csr.r_done < s->csr.ar_sent;
            if (in.s_awvalid)
                addr.push_back(in.s_awaddr);
            if (in.s_wvalid)
                data.emplace_back(in.s_wdata, in.s_wstrb);
            if (!addr.empty() && !data.empty()) {
                ok = csr(tlm::TLM_WRITE_COMMAND, addr.front(), data.front().first, data.front().second);
                addr.erase(addr.begin());
                data.erase(data.begin());
                writes++;
            }
            if (ok && in.s_arvalid) {
                ok = csr(tlm::TLM_READ_COMMAND, in.s_araddr, 0, 0xff);
                reads++;
            }
            if (ok && in.req_valid) {
                struct dmt_request q = {};
                struct dmt_result r;

                q.va = in.req_va;
                q.access = static_cast<uint8_t>(in.req_access);
                q.cpl = static_cast<uint8_t>(in.req_cpl);
                q.ac = in.req_ac;
                q.implicit = in.req_implicit;
                q.nonspec = in.req_nonspec;
                ok = both(p, q, &r);
                requests++;
                ok_answers += r.status == DMT_STATUS_OK;
                if (p.loose.event.read() != p.cycle.event.read())
                    ok = wrong("the event lines differ");
            }
            stimulus_edge(s.get(), &out, &in);
        }
        ok = ok && same_registers(p) && same_memory(p);
        if (!ok) {
            char before[sizeof why];

            std::strcpy(before, why);
            *why = 0;
            wrong("seed %" PRIu64 "%s, request %" PRIu64 ": %.400s", seed, live ? ", live" : "", requests,
                  before);
        }
        return ok;
    }
};

/* DMT_TLM_SEEDS in the environment: so many times as many seeds, for a campaign. */
bool run_random(pair &p, uint64_t seeds, uint64_t n)
{
    static const double latencies[] = {5, 1, 0, 2.5, 13}; /* clocks */
    const char *times = std::getenv("DMT_TLM_SEEDS");

    uint64_t translated = 0, requests = 0, refused = 0, writes = 0;

    seeds *= times ? std::strtoul(times, nullptr, 10) : 1;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        random_run r(p);

        p.each([&](world &w) {
            w.memory.latency = latencies[seed % 5] * period;
            return true;
        });

        if (!r.run(seed, seed % 4 != 1, n))
            return false;
        translated += r.ok_answers;
        requests += r.requests;
        refused += r.refused;
        writes += r.writes;
    }
    p.each([&](world &w) {
        w.memory.latency = latency * period;
        return true;
    });
    EXPECT(translated > requests / 20);
    if (writes < 20 * seeds || !refused)
        return wrong("only %" PRIu64 " register writes, %" PRIu64 " accesses refused", writes, refused);
    return true;
}

/* ------------------------------------------------------------ a small system */

/* Two address spaces: pages of 4K from va on, which lie at pa_a in the one and pa_b in the other. */
struct small {
    static constexpr uint64_t va = 0x400000, pa_a = 0x10000000, pa_b = 0x20000000;
    static constexpr unsigned pages = 64;
    struct dmt_mem *mem = dmt_mem_new();
    struct dmt_pool pool = {mem, 0x100, 0x1000};
    struct dmt_table a, b;
    struct dmt_state state;

    explicit small(uint64_t more = DMT_PTE_A | DMT_PTE_D)
    {
        const struct dmt_frames frames = {&pool, dmt_pool_alloc};

        dmt_table_new(&a, mem, 4, &frames);
        dmt_table_new(&b, mem, 4, &frames);
        for (unsigned i = 0; i < pages; i++) {
            dmt_table_map(&a, va + 4096 * i, pa_a + 4096 * i, DMT_SIZE_4K, flags | more, &frames);
            dmt_table_map(&b, va + 4096 * i, pa_b + 4096 * i, DMT_SIZE_4K, flags | more, &frames);
        }
        dmt_state_reset(&state, 52);
        state.mode = DMT_MODE_NATIVE;
        state.level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
        state.level[0].cr3 = a.root << 12;
    }

    ~small()
    {
        dmt_mem_free(mem);
    }

    uint64_t leaf(unsigned page) const
    {
        struct dmt_lookup l;

        dmt_table_lookup(&a, va + 4096 * page, &l);
        return l.addr[1];
    }

    void load(world &w) const
    {
        w.fresh(mem);
        w.cpu.forget();
        struct dmt_state here = state;
        here.maxpa = static_cast<uint8_t>(w.mmu.config().pa_w);
        w.cpu.program(here);
        w.write(DMT_LEVEL_CR3, state.level[0].cr3); /* as it was, whatever a check has done to it */
        w.invalidate();
    }

    static struct dmt_request request(unsigned page, uint8_t access = DMT_ACCESS_READ)
    {
        struct dmt_request q = {};

        q.va = va + 4096 * page + 8 * page;
        q.access = access;
        q.cpl = 3;
        q.nonspec = true;
        return q;
    }
};

unsigned held_back;

/* Registers of three sizes over one page; of the sizes from `first` on (0: 1G) all have a leaf. A fetch takes the
 * clocks of microarchitecture 4, all three are read, and so behind it: what is answered at once, another walk.
 * denies: that register does not allow the access, so that a walk follows, whose answers meet the surplus ones. */
bool surplus_of(pair &p, unsigned first, unsigned clocks, bool denies)
{
    const struct dmt_config &c = p.loose.mmu.config();
    small s;
    uint64_t frame[2] = {0x800, 0x801}, before[2], after[2];
    unsigned fetch[2], at_once[2], walk[2];
    struct dmt_request gp = small::request(0);
    world *worlds[2] = {&p.loose, &p.cycle};

    gp.va = UINT64_C(1) << 62;
    for (unsigned i = 0; i < 2; i++) {
        dmt_mem_add(s.mem, frame[i]);
        if (i >= first)
            dmt_mem_write(s.mem, frame[i] << 12 | (i ? small::va >> 21 << 3 : 0),
                          small::pa_b * (i ? 1 : 4) | flags | DMT_PTE_PS | DMT_PTE_A);
        s.state.tea[0][i] = {0, UINT64_C(1) << 18, frame[i], 0, uint8_t(DMT_SIZE_1G - i), DMT_KIND_PA, 7, true, 0, 0, 0};
    }
    s.state.tea[0][2] = {small::va >> 12, small::pages, s.leaf(0) >> 12, 0, DMT_SIZE_4K, DMT_KIND_PA, 7, true, 0, 0, 0};
    s.state.tea[0][first].allow = denies ? 0 : 7;
    for (unsigned i = 0; i < 2; i++) {
        world &w = *worlds[i];
        sc_time delay;
        traffic_answer a;

        w.memory.latency = clocks * period;
        s.load(w);
        w.csr_dbg(tlm::TLM_READ_COMMAND, unsigned(DMT_HOST_BASE + DMT_HOST_CNT_READ), &before[i]);
        a = w.cpu.translate(small::request(1), delay);
        fetch[i] = a.clocks;
        EXPECT(a.result.status == DMT_STATUS_OK && a.result.size == (denies ? unsigned{DMT_SIZE_4K} : DMT_SIZE_1G - first));
        if (!denies)
            EXPECT(a.clocks == (c.pipe ? clocks + 6 + 2 * first : clocks + 2 + first + (clocks == 1)));
        at_once[i] = w.cpu.translate(gp, delay).clocks;
        walk[i] = w.cpu.translate(small::request(2), delay).clocks;
        sc_core::wait(delay + 20 * period);
        w.csr_dbg(tlm::TLM_READ_COMMAND, unsigned(DMT_HOST_BASE + DMT_HOST_CNT_READ), &after[i]);
        EXPECT(denies || after[i] - before[i] == 6);
        w.memory.latency = latency * period;
    }
    EXPECT(fetch[0] == fetch[1]);
    EXPECT(after[0] - before[0] == after[1] - before[1]);
    EXPECT(at_once[0] == at_once[1]);
    EXPECT(walk[0] == walk[1]);
    held_back += at_once[0] > 1;
    return true;
}

bool surplus(pair &p)
{
    held_back = 0;
    for (unsigned first = 0; first < 3; first++)
        for (unsigned clocks = 1; clocks < 7; clocks++)
            for (bool denies : {false, true})
                if (!surplus_of(p, first, clocks, denies))
                    return wrong("size %u decides, latency %u, denies %d", first, clocks, denies);
    /* Otherwise nothing was tried: with PIPE = 1 an answer at once meets a surplus read. */
    EXPECT((held_back > 0) == (p.loose.mmu.config().pipe > 0));
    return true;
}

const uint64_t counters[] = {DMT_HOST_CNT_REQUEST, DMT_HOST_CNT_READ, DMT_HOST_CNT_UPDATE,
                             DMT_HOST_CNT_RADIX};

bool updates(world &w)
{
    small s(0);
    struct dmt_request q = small::request(3, DMT_ACCESS_WRITE);
    uint64_t before[4], leaf = s.leaf(3), entry;
    struct dmt_result d;
    sc_time then;

    s.load(w);
    then = sc_time_stamp();
    entry = w.peek(leaf);
    for (unsigned i = 0; i < 4; i++)
        w.csr_dbg(tlm::TLM_READ_COMMAND, unsigned(DMT_HOST_BASE + counters[i]), &before[i]);
    d = w.translate_dbg(q);
    EXPECT(d.status == DMT_STATUS_OK && d.pa == small::pa_a + 0x3018 && d.dirty);
    EXPECT(w.peek(leaf) == entry);
    EXPECT(sc_time_stamp() == then);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t after;

        w.csr_dbg(tlm::TLM_READ_COMMAND, unsigned(DMT_HOST_BASE + counters[i]), &after);
        EXPECT(after == before[i]);
    }
    /* The same for one that is not answered OK: no event. */
    d = w.translate_dbg({uint64_t(1) << 40, DMT_ACCESS_READ, 3, false, false, true});
    EXPECT(d.status == DMT_STATUS_PF);
    q.nonspec = false;
    EXPECT(w.translate(q).result.status == DMT_STATUS_RETRY && w.peek(leaf) == entry);
    q.nonspec = true;
    EXPECT(w.translate(q).result.status == DMT_STATUS_OK);
    EXPECT(w.peek(leaf) == (entry | DMT_PTE_A | DMT_PTE_D));
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_CNT_UPDATE) == before[2] + 1);
    return true;
}

/* A processor that counts in ignored bits of the entry all the while: none of its stores may get lost, nor
 * may the bits. */
bool race(world &w, bool waits)
{
    constexpr uint64_t one = uint64_t(1) << 52, mask = 0x7f * one;
    constexpr unsigned rounds = 200;
    small s(0);
    uint64_t leaf = s.leaf(5), stores = 0, lost = w.memory.lost, updates;
    bool stop = false, ok = true;
    struct rng rng;

    s.load(w);
    w.memory.waits = waits;
    updates = w.read(DMT_HOST_BASE + DMT_HOST_CNT_UPDATE);
    rng_seed(&rng, 1, 0);
    auto writer = sc_core::sc_spawn([&] {
        while (!stop) {
            uint64_t e = w.peek(leaf);

            e = (e & ~mask) | ((e + one) & mask);
            if (waits)
                w.poke(leaf, e); /* a transaction would let time pass between the two */
            else
                w.put(leaf, e);
            stores++;
            sc_core::wait(double(1 + rng_below(&rng, 40)) * 0.7, sc_core::SC_NS);
        }
    });
    for (unsigned i = 0; ok && i < rounds; i++) {
        w.poke(leaf, w.peek(leaf) & ~(DMT_PTE_A | DMT_PTE_D));
        traffic_answer a = w.translate(small::request(5, DMT_ACCESS_WRITE));
        ok = (a.result.status == DMT_STATUS_OK && (w.peek(leaf) & DMT_PTE_A) && (w.peek(leaf) & DMT_PTE_D)) ||
             wrong("round %u: status %u, entry %" PRIx64, i, a.result.status, w.peek(leaf));
    }
    stop = true;
    sc_core::wait(writer.terminated_event());
    w.memory.waits = false;
    if (ok && (w.peek(leaf) & mask) != (stores * one & mask))
        ok = wrong("of %" PRIu64 " stores some were lost: %" PRIx64, stores, w.peek(leaf));
    if (!ok)
        return false;
    EXPECT(w.memory.lost - lost > rounds / 10);
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_CNT_UPDATE) - updates == rounds);
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_CNT_LOST) >= w.memory.lost - lost);
    return true;
}

bool bus_errors(world &w)
{
    small s(0);
    struct dmt_result r;

    s.load(w);
    for (unsigned k = 0; k < w.mmu.config().sets; k++)
        w.write(DMT_LEVEL_BASE(k) + DMT_LEVEL_EVENT, ~0ull);
    w.write(DMT_HOST_BASE + DMT_HOST_EVENT, ~0ull);
    w.write(DMT_HOST_BASE + DMT_HOST_EVENT_MASK, ~0ull);
    sc_core::wait(2 * period);
    EXPECT(!w.event.read());
    w.memory.monitor = false;
    r = w.translate(small::request(1, DMT_ACCESS_WRITE)).result;
    w.memory.monitor = true;
    EXPECT(r.status == DMT_STATUS_BUS && r.error == DMT_BUS_ERROR_NOT_EXCLUSIVE && r.addr == s.leaf(1));
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_EVENT) == DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK);
    sc_core::wait(2 * period);
    EXPECT(w.event.read());
    EXPECT((w.peek(s.leaf(1)) & DMT_PTE_D) == 0);
    w.write(DMT_HOST_BASE + DMT_HOST_EVENT, ~0ull);
    sc_core::wait(2 * period);
    EXPECT(!w.event.read());
    w.write(DMT_LEVEL_CR3, 0x7777000);
    r = w.translate(small::request(1)).result;
    EXPECT(r.status == DMT_STATUS_BUS && r.error == DMT_BUS_ERROR_READ_DECERR && r.addr >> 12 == 0x7777);
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_EVENT) == DMT_HOST_EVENT_BUS_MASK);
    w.write(DMT_HOST_BASE + DMT_HOST_EVENT, ~0ull);
    w.write(DMT_HOST_BASE + DMT_HOST_EVENT_MASK, 0);
    return true;
}

bool direct_access(world &w)
{
    small s;
    uint64_t grants, reads, leaf = s.leaf(7), e;

    s.load(w);
    w.memory.copies = true;
    grants = w.memory.grants;
    for (unsigned i = 0; i < small::pages; i++)
        EXPECT(w.translate(small::request(i)).result.pa == small::pa_a + 4096 * i + 8 * i);
    EXPECT(w.memory.grants == grants + 4);
    reads = w.memory.reads;
    w.invalidate();
    for (unsigned i = 0; i < small::pages; i++)
        EXPECT(w.translate(small::request(i)).result.status == DMT_STATUS_OK);
    EXPECT(w.memory.reads == reads);

    /* Another frame behind the entry: seen when what was granted is taken back, and not used again. */
    e = w.peek(leaf) + 0x1000000;
    w.poke(leaf, e);
    EXPECT(w.translate(small::request(7)).result.pa == small::pa_a + 0x7038);
    w.memory.move();
    EXPECT(w.translate(small::request(7)).result.pa == small::pa_a + 0x1007038);
    w.invalidate();
    EXPECT(w.translate(small::request(8)).result.pa == small::pa_a + 0x8040);
    EXPECT(w.memory.reads > reads);

    /* One frame of several. */
    w.memory.withdraw(leaf & ~0xfffull, leaf | 0xfff);
    reads = w.memory.reads;
    w.invalidate();
    EXPECT(w.translate(small::request(9)).result.status == DMT_STATUS_OK);
    EXPECT(w.memory.reads == reads + 1);

    w.memory.copies = false;
    w.memory.offer_dmi = false;
    w.memory.move();
    reads = w.memory.reads;
    w.invalidate();
    for (unsigned i = 0; i < 3; i++)
        EXPECT(w.translate(small::request(7)).result.pa == small::pa_a + 0x1007038);
    w.memory.offer_dmi = true;
    EXPECT(w.memory.reads - reads >= (w.mmu.config().pwc2_n ? 6 : 12));

    w.mmu.use_dmi(false);
    grants = w.memory.grants;
    EXPECT(w.translate(small::request(7)).result.status == DMT_STATUS_OK && w.memory.grants == grants);
    w.mmu.use_dmi(true);
    return true;
}

/* Every bad payload has its own response, and does nothing. */
bool bad_requests(world &w)
{
    small s;
    unsigned char enable = TLM_BYTE_DISABLED;
    uint64_t pa, before;

    s.load(w);
    before = w.read(DMT_HOST_BASE + DMT_HOST_CNT_REQUEST);
    auto send = [&](const std::function<void(tlm::tlm_generic_payload &, dmt_translation &)> &spoil,
                    bool extended = true) {
        tlm::tlm_generic_payload trans;
        dmt_translation x;
        sc_time delay;

        pa = 0x5a;
        trans.set_command(tlm::TLM_READ_COMMAND);
        trans.set_address(small::va + 0x1010);
        trans.set_data_ptr(reinterpret_cast<unsigned char *>(&pa));
        trans.set_data_length(8);
        trans.set_streaming_width(8);
        if (extended)
            trans.set_extension(&x);
        spoil(trans, x);
        w.cpu.requests->b_transport(trans, delay);
        sc_core::wait(delay);
        if (extended) {
            trans.clear_extension(&x);
            if (x.answered !=
                (trans.is_response_ok() || trans.get_response_status() == tlm::TLM_ADDRESS_ERROR_RESPONSE))
                return tlm::TLM_INCOMPLETE_RESPONSE;
        }
        return trans.get_response_status();
    };
    EXPECT(send([](auto &t, auto &) { t.set_write(); }) == tlm::TLM_COMMAND_ERROR_RESPONSE);
    EXPECT(send([](auto &t, auto &) { t.set_command(tlm::TLM_IGNORE_COMMAND); }) ==
           tlm::TLM_COMMAND_ERROR_RESPONSE);
    EXPECT(send([](auto &t, auto &) { t.set_data_length(4); }) == tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT(send([](auto &t, auto &) { t.set_streaming_width(4); }) == tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT(send([](auto &t, auto &) { t.set_data_ptr(nullptr); }) == tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT(send([&](auto &t, auto &) {
               t.set_byte_enable_ptr(&enable);
               t.set_byte_enable_length(1);
           }) == tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
    EXPECT(send([](auto &, auto &x) { x.access = 3; }) == tlm::TLM_GENERIC_ERROR_RESPONSE);
    EXPECT(send([](auto &, auto &x) { x.cpl = 4; }) == tlm::TLM_GENERIC_ERROR_RESPONSE);
    EXPECT(pa == 0x5a);
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_CNT_REQUEST) == before);
    EXPECT(send([](auto &, auto &) {}) == tlm::TLM_OK_RESPONSE && pa == small::pa_a + 0x1010);
    EXPECT(send([](auto &t, auto &) { t.set_address(1); }) == tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT(send([](auto &, auto &) {}, false) == tlm::TLM_OK_RESPONSE && pa == small::pa_a + 0x1010);
    EXPECT(send([](auto &t, auto &) { t.set_address(1); }, false) == tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_CNT_REQUEST) == before + 4);

    /* The other initiator of the same socket. */
    sc_time delay;
    EXPECT(w.device.translate(small::request(2), delay).result.pa == small::pa_a + 0x2010);
    sc_core::wait(delay);

    tlm::tlm_generic_payload trans;
    tlm::tlm_dmi dmi;
    EXPECT(!w.cpu.requests->get_direct_mem_ptr(trans, dmi));
    return true;
}

bool bad_accesses(world &w)
{
    constexpr unsigned reg = DMT_LEVEL_PKRU;
    uint64_t value;

    w.write(reg, 0x1234);
    auto send = [&](tlm::tlm_command command, uint64_t offset, unsigned length, unsigned strobes,
                    unsigned enables = 8) {
        tlm::tlm_generic_payload trans;
        unsigned char enable[8];
        sc_time delay;

        value = ~0ull;
        for (unsigned b = 0; b < 8; b++)
            enable[b] = strobes >> b & 1 ? TLM_BYTE_ENABLED : TLM_BYTE_DISABLED;
        trans.set_command(command);
        trans.set_address(offset);
        trans.set_data_ptr(reinterpret_cast<unsigned char *>(&value));
        trans.set_data_length(length);
        trans.set_streaming_width(length);
        if (strobes < 0x100) {
            trans.set_byte_enable_ptr(enable);
            trans.set_byte_enable_length(enables);
        }
        w.cpu.csr->b_transport(trans, delay);
        sc_core::wait(delay);
        return trans.get_response_status();
    };
    for (auto command : {tlm::TLM_READ_COMMAND, tlm::TLM_WRITE_COMMAND}) {
        EXPECT(send(command, reg, 4, 0x100) == tlm::TLM_BURST_ERROR_RESPONSE);
        EXPECT(send(command, reg, 16, 0x100) == tlm::TLM_BURST_ERROR_RESPONSE);
        EXPECT(send(command, reg, 8, 0x0f) == tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
        EXPECT(send(command, reg + 4, 8, 0x100) == tlm::TLM_ADDRESS_ERROR_RESPONSE);
        EXPECT(send(command, DMT_LEVEL_INV + 8 * 32, 8, 0x100) == tlm::TLM_ADDRESS_ERROR_RESPONSE);
        EXPECT(send(command, 0x4000 + reg, 8, 0x100) == tlm::TLM_ADDRESS_ERROR_RESPONSE);
        EXPECT(
            send(command, DMT_LEVEL_TEA_WORD0(w.mmu.config().tea_n), 8, 0x100) ==
            (w.mmu.config().tea_n == DMT_TEA_MAX ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE));
    }
    /* Byte enables that are shorter than the word are repeated. */
    EXPECT(send(tlm::TLM_WRITE_COMMAND, reg, 8, 0x1, 2) == tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
    EXPECT(send(tlm::TLM_READ_COMMAND, reg, 8, 0x3, 2) == tlm::TLM_OK_RESPONSE && value == 0x1234);
    EXPECT(send(tlm::TLM_IGNORE_COMMAND, reg, 8, 0x100) == tlm::TLM_COMMAND_ERROR_RESPONSE);
    EXPECT(w.read(reg) == 0x1234);
    EXPECT(send(tlm::TLM_READ_COMMAND, reg, 8, 0xff) == tlm::TLM_OK_RESPONSE && value == 0x1234);
    EXPECT(send(tlm::TLM_WRITE_COMMAND, reg, 8, 0xff) == tlm::TLM_OK_RESPONSE && w.read(reg) == 0xffffffff);
    w.write(reg, 0);
    return true;
}

/* Registers written by debuggers: a guest's gTEA register, which makes the hardware read memory. */
bool debug_writes(world &w)
{
    struct dmt_tea tea = {};
    uint64_t word[3], value, table = 0x900, time;
    tlm::tlm_response_status status;

    w.fresh(nullptr);
    dmt_mem_add(w.mem, table);
    dmt_mem_write(w.mem, table * 4096 + 16 * 5, 0x123000 | 1);
    dmt_mem_write(w.mem, table * 4096 + 16 * 5 + 8, 4);
    tea.base_vpn = 0x400;
    tea.pages = 512;
    tea.gtea = 5;
    tea.kind = DMT_KIND_GTEA;
    tea.allow = 7;
    tea.valid = true;
    dmt_tea_pack(&tea, word);
    time = sc_time_stamp().value();
    value = table * 4096;
    EXPECT(w.csr_dbg(tlm::TLM_WRITE_COMMAND, DMT_HOST_BASE + DMT_HOST_GTEA_TABLE1, &value) == 8);
    value = 8;
    EXPECT(w.csr_dbg(tlm::TLM_WRITE_COMMAND, DMT_HOST_BASE + DMT_HOST_GTEA_ENTRIES1, &value) == 8);
    for (unsigned i : {1, 2, 0})
        EXPECT(w.csr_dbg(tlm::TLM_WRITE_COMMAND, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(0) + 8 * i,
                         &word[i]) == 8);
    EXPECT(w.csr_dbg(tlm::TLM_WRITE_COMMAND, DMT_HOST_BASE + 0xff8, &value, &status) == 0);
    EXPECT(status == tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT(w.csr_dbg(tlm::TLM_READ_COMMAND, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD3(0), &value) == 8);
    EXPECT(value >> DMT_TEA_WORD3_RESOLUTION_LSB == DMT_RESOLUTION_OK && (value & DMT_TEA_WORD3_VALID_MASK));
    EXPECT(sc_time_stamp().value() == time);
    EXPECT(w.read(DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD3(0)) == value);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(w.read(DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(0) + 8 * i) == word[i]);
    word[0] = 0;
    EXPECT(w.csr_dbg(tlm::TLM_WRITE_COMMAND, DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(0), &word[0]) == 8);
    return true;
}

/* A debugger looks on, and tries to write, while a walk is under way. */
bool debug_in_flight(world &w)
{
    small s;
    uint64_t value = 0, cr3;
    bool looked = true, right = false;
    unsigned tried = 0;

    s.load(w);
    w.memory.waits = true;
    cr3 = s.b.root << 12;
    auto walker =
        sc_core::sc_spawn([&] { right = w.translate(small::request(9)).result.pa == small::pa_a + 0x9048; });
    sc_core::wait(2.5, sc_core::SC_NS);
    while (w.csr_dbg(tlm::TLM_WRITE_COMMAND, DMT_LEVEL_CR3, &cr3) == 0) {
        looked =
            looked && w.csr_dbg(tlm::TLM_READ_COMMAND, DMT_LEVEL_CR3, &value) == 8 && value == s.a.root << 12;
        tried++;
        sc_core::wait(period);
    }
    if (!walker.terminated())
        sc_core::wait(walker.terminated_event());
    w.memory.waits = false;
    EXPECT(looked && right && tried > 3);
    EXPECT(w.read(DMT_LEVEL_CR3) == cr3);
    return true;
}

/* The change of an address space under traffic: everything before it sees the old one, everything after it
 * the new one. */
bool live_change(world &w, bool waits)
{
    struct event {
        sc_time begin, end;
        bool old;
    };
    small s;
    std::vector<event> events;
    sc_time begin, end;
    unsigned running = 8, early = 0, late = 0, bad = 0, straddle = 0;
    sc_core::sc_event ended;

    s.load(w);
    w.memory.waits = waits;
    w.memory.offer_dmi = !waits; /* direct reads take no time */
    for (unsigned c = 0; c < 8; c++) {
        sc_core::sc_spawn([&, c] {
            sc_core::wait(3 * c * period); /* so that some walk is always at its start */
            for (unsigned i = 0; i < 40; i++) {
                unsigned page = (7 * i + c) % small::pages;
                event e;
                uint64_t pa;

                e.begin = sc_time_stamp();
                pa = w.translate(small::request(page)).result.pa;
                e.end = sc_time_stamp();
                e.old = pa == small::pa_a + 4104 * page;
                bad += !e.old && pa != small::pa_b + 4104 * page;
                events.push_back(e);
            }
            if (--running == 0)
                ended.notify();
        });
    }
    sc_core::wait(150.3, sc_core::SC_NS);
    begin = sc_time_stamp();
    w.write(DMT_LEVEL_CR3, s.b.root << 12);
    end = sc_time_stamp();
    if (running)
        sc_core::wait(ended);
    w.memory.waits = false;
    w.memory.offer_dmi = true;
    for (const event &e : events) {
        early += e.end <= begin;
        late += e.begin >= end;
        bad += (e.end <= begin && !e.old) || (e.begin >= end && e.old);
        /* The write waits for what began before it, and lets nothing begin; an answer may be annotated. */
        straddle += e.old && (e.end > end + (latency + 3) * period || e.begin > begin + 3 * period);
    }
    w.write(DMT_LEVEL_CR3, s.a.root << 12);
    EXPECT(bad == 0);
    EXPECT(straddle == 0);
    EXPECT(early > 10 && late > 10);
    return true;
}

bool annotates(world &w)
{
    small s;
    sc_time delay(500, sc_core::SC_NS), before;
    traffic_answer a;

    s.load(w);
    before = sc_time_stamp();
    a = w.cpu.translate(small::request(1), delay);
    EXPECT(sc_time_stamp() == before);
    EXPECT(a.clocks == walk_clocks(w.mmu.config(), 4));
    EXPECT(delay == sc_time(500, sc_core::SC_NS) + (a.clocks + 1) * period);
    /* Behind the cached entry of the level above. */
    a = w.cpu.translate(small::request(2), delay);
    EXPECT(a.clocks == walk_clocks(w.mmu.config(), w.mmu.config().pwc2_n ? 1 : 4));
    delay = sc_core::SC_ZERO_TIME;
    uint64_t value;
    w.cpu.read(DMT_HOST_BASE + DMT_HOST_ID, &value, delay);
    EXPECT(value == DMT_HOST_ID_RESET && sc_time_stamp() == before && delay > sc_core::SC_ZERO_TIME);
    return true;
}

bool catches_up(world &w)
{
    small s;
    sc_time delay(500, sc_core::SC_NS), before;
    traffic_answer a;

    s.load(w);
    before = sc_time_stamp();
    a = w.cpu.translate(small::request(1), delay);
    EXPECT(delay == sc_core::SC_ZERO_TIME);
    EXPECT(a.clocks == walk_clocks(w.mmu.config(), 4));
    EXPECT(sc_time_stamp() >= before + sc_time(500, sc_core::SC_NS) + a.clocks * period);
    EXPECT(sc_time_stamp() <= before + sc_time(500, sc_core::SC_NS) + (a.clocks + 3) * period);

    /* Awake at the instant of an edge before the clock is: the request is in the cycle that begins there. A
     * register access, too. */
    for (unsigned i = 0; i < 2; i++) {
        uint64_t value;

        sc_core::wait(0.5, sc_core::SC_NS);
        sc_core::wait(sc_time(std::ceil(sc_time_stamp() / period), sc_core::SC_NS) + 20 * i * period -
                      sc_time_stamp());
        before = sc_time_stamp();
        a = w.cpu.translate(small::request(10 + i), delay);
        EXPECT(sc_time_stamp() == before + (a.clocks + 1) * period);
        sc_core::wait(5 * period);
        before = sc_time_stamp();
        w.cpu.read(DMT_LEVEL_CR3, &value, delay);
        EXPECT(sc_time_stamp() == before + 2 * period);
    }
    return true;
}

/* One after another, the loosely timed module takes exactly the time that the other does, for register
 * accesses too. An image of TEA registers and a gTEA are read from memory. */
bool same_time(pair &p)
{
    constexpr uint64_t image = 0x2000, gteas = 0x2001;
    small s(0);
    std::vector<sc_time> taken[2];
    unsigned n = 0;

    dmt_mem_add(s.mem, image);
    dmt_mem_add(s.mem, gteas);
    dmt_mem_write(s.mem, gteas << 12, 0x1234001);
    dmt_mem_write(s.mem, gteas << 12 | 8, 1);
    p.each([&](world &w) {
        sc_time before;
        auto lap = [&] {
            taken[n].push_back(sc_time_stamp() - before);
            before = sc_time_stamp();
        };

        s.load(w);
        w.invalidate();
        sc_core::wait(10.5, sc_core::SC_NS);
        w.translate(small::request(0)); /* now at an edge */
        before = sc_time_stamp();
        for (unsigned i = 1; i < small::pages; i++) {
            w.translate(small::request(i, i % 3 ? DMT_ACCESS_READ : DMT_ACCESS_WRITE));
            lap();
        }
        w.read(DMT_LEVEL_CR3);
        lap();
        w.write(DMT_LEVEL_EVENT_MASK, 0);
        lap();
        w.write(DMT_LEVEL_CR0, DMT_LEVEL_CR0_WP_MASK);
        lap();
        w.write(DMT_HOST_BASE + DMT_HOST_GTEA_TABLE1, gteas << 12);
        w.write(DMT_HOST_BASE + DMT_HOST_GTEA_ENTRIES1, 1);
        w.write(DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD1(0), 0);
        w.write(DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD2(0), 1);
        lap();
        w.write(DMT_LEVEL_BASE(1) + DMT_LEVEL_TEA_WORD0(0),
                DMT_TEA_WORD0_P_MASK | uint64_t(DMT_KIND_GTEA) << DMT_TEA_WORD0_KIND_LSB);
        lap();
        w.write(DMT_HOST_BASE + DMT_HOST_IMAGE_BASE0, image << 12);
        w.write(DMT_HOST_BASE + DMT_HOST_IMAGE_COUNT0, 1);
        lap();
        w.write(DMT_LEVEL_LOAD, 0);
        lap();
        n++;
        return true;
    });
    for (size_t i = 0; i < taken[0].size(); i++) {
        if (taken[0][i] != taken[1][i])
            return wrong("step %zu: %s loosely timed, %s cycle-accurate", i, taken[0][i].to_string().c_str(),
                         taken[1][i].to_string().c_str());
    }
    return true;
}

bool quantum(world &w)
{
    small s;
    std::vector<struct dmt_request> list;
    std::vector<traffic_answer> kept(1000);
    uint64_t before, total;
    sc_time then;

    s.load(w);
    for (unsigned i = 0; i < small::pages; i++)
        list.push_back(small::request(i));
    tlm::tlm_global_quantum::instance().set(1000 * period);
    before = w.cpu.syncs;
    total = w.cpu.clocks;
    then = sc_time_stamp();
    w.cpu.run(list, 5000, 1, kept);
    total = w.cpu.clocks - total + 5000; /* the end of the last clock, each */
    EXPECT(sc_time_stamp() - then == double(total) * period);
    /* A quantum ends at a multiple of it, so one may be cut short at the start. */
    EXPECT(w.cpu.syncs - before >= total / 1100 && w.cpu.syncs - before <= total / 1000 + 1);
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(kept[i].result.pa == small::pa_a + 4104 * (i % small::pages));
    tlm::tlm_global_quantum::instance().set(sc_core::SC_ZERO_TIME);
    before = w.cpu.syncs;
    w.cpu.run(list, 100, 4, kept);
    EXPECT(w.cpu.syncs - before == 100);
    return true;
}

/* Walks in flight beside each other. */
bool outstanding(world &w)
{
    small s;
    std::vector<struct dmt_request> list;
    std::vector<traffic_answer> kept(400);
    sc_time taken[2], then;

    s.load(w);
    for (unsigned i = 0; i < small::pages; i++)
        list.push_back(small::request(i));
    for (unsigned run = 0; run < 2; run++) {
        for (bool direct : {true, false}) {
            w.memory.offer_dmi = direct;
            if (!direct)
                w.memory.withdraw(0, UINT64_MAX);
            w.invalidate();
            then = sc_time_stamp();
            w.cpu.run(list, 400, run ? 24 : 1, kept);
            taken[run] = sc_time_stamp() - then;
            for (unsigned i = 0; i < 400; i++)
                EXPECT(kept[i].result.pa == small::pa_a + 4104 * (i % small::pages));
        }
    }
    w.memory.offer_dmi = true;
    EXPECT(taken[0] > 400 * (latency + 2) * period);
    EXPECT(4 * taken[1] < taken[0]);
    return true;
}

/* Updates in flight beside each other do not disturb each other. */
bool updates_outstanding(world &w)
{
    small s(0);
    std::vector<struct dmt_request> list;
    std::vector<traffic_answer> kept(small::pages);
    uint64_t lost, updated;

    s.load(w);
    for (unsigned i = 0; i < small::pages; i++)
        list.push_back(small::request(i, DMT_ACCESS_WRITE));
    w.translate(small::request(0)); /* A bits of the upper levels */
    lost = w.read(DMT_HOST_BASE + DMT_HOST_CNT_LOST);
    updated = w.read(DMT_HOST_BASE + DMT_HOST_CNT_UPDATE);
    w.cpu.run(list, small::pages, 8, kept);
    for (unsigned i = 0; i < small::pages; i++)
        EXPECT(kept[i].result.dirty && (w.peek(s.leaf(i)) & DMT_PTE_D));
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_CNT_UPDATE) == updated + small::pages);
    EXPECT(w.read(DMT_HOST_BASE + DMT_HOST_CNT_LOST) == lost);
    return true;
}

/* ------------------------------------------------------------ all of them */

void checks(pair &p, pair &rows, pair &smallest, pair &uncached, pair &largest, pair &pipelined)
{
    auto both_timings = [&](const char *name, pair &of, const std::function<bool(world &)> &f) {
        check((std::string(name) + ", loosely timed").c_str(), [&] { return f(of.loose); });
        check((std::string(name) + ", cycle-accurate").c_str(), [&] { return f(of.cycle); });
    };

    check("registers after reset", [&] {
        return same_registers(p) && same_registers(smallest) && same_registers(uncached) &&
               same_registers(largest) && same_registers(pipelined);
    });
    check("accesses of a captured process, with TEA registers",
          [&] { return run_capture(p, "gups", plain, true, 1); });
    check("accesses of a captured process, without", [&] { return run_capture(p, "gups", plain, false, 2); });
    check("accesses of a captured guest, with TEA registers",
          [&] { return run_capture(p, "nested", plain, true, 1); });
    check("accesses of a captured guest, without", [&] { return run_capture(p, "nested", plain, false, 3); });
    check("accesses of a guest of a guest", [&] { return run_capture(p, "nested", nest_shadow, true, 3); });
    check("accesses of a guest of a guest, without a shadow",
          [&] { return run_capture(p, "nested", nest_full, false, 5); });
    check("accesses of a guest of a guest, pipelined",
          [&] { return run_capture(pipelined, "nested", nest_shadow, true, 5); });
    check("accesses of a guest of a guest, without a shadow, pipelined",
          [&] { return run_capture(pipelined, "nested", nest_full, false, 9); });
    check("permission rows", [&] { return run_perm_rows(rows); });
    check("random scenarios, default", [&] { return run_random(p, 12, 500); });
    check("random scenarios, smallest", [&] { return run_random(smallest, 4, 500); });
    check("random scenarios, uncached", [&] { return run_random(uncached, 8, 300); });
    check("random scenarios, pipelined", [&] { return run_random(pipelined, 12, 400); });
    check("random scenarios, largest", [&] { return run_random(largest, 4, 200); });
    both_timings("accessed and dirty bits, and debug translations without them", p, updates);
    both_timings("a racing writer", p, [](world &w) { return race(w, true); });
    check("a racing writer, cycle-accurate, annotated latency", [&] { return race(p.cycle, false); });
    both_timings("bus errors and the event line", p, bus_errors);
    both_timings("direct memory access and its withdrawal", p, direct_access);
    both_timings("direct memory access without caches", uncached, direct_access);
    both_timings("malformed requests", p, bad_requests);
    both_timings("malformed register accesses", p, bad_accesses);
    both_timings("malformed register accesses, largest", largest, bad_accesses);
    both_timings("registers written by debug transport", p, debug_writes);
    both_timings("debug transport during a walk", p, debug_in_flight);
    check("a register change under traffic, cycle-accurate", [&] { return live_change(p.cycle, false); });
    both_timings("a register change under traffic, memory that waits", p,
                 [](world &w) { return live_change(w, true); });
    both_timings("a register change under traffic, without caches", uncached,
                 [](world &w) { return live_change(w, true); });
    check("loosely timed calls annotate and do not wait",
          [&] { return annotates(p.loose) && annotates(uncached.loose) && annotates(pipelined.loose); });
    check("cycle-accurate calls catch up first", [&] { return catches_up(p.cycle) && catches_up(pipelined.cycle); });
    check("sizes that nobody waits for", [&] { return surplus(p) && surplus(uncached) && surplus(pipelined); });
    check("the same time in both", [&] { return same_time(p) && same_time(uncached) && same_time(pipelined); });
    check("quantum", [&] { return quantum(p.loose); });
    check("walks beside each other, cycle-accurate", [&] { return outstanding(p.cycle); });
    check("updates beside each other, cycle-accurate", [&] { return updates_outstanding(p.cycle); });
    check("registers and counters at the end",
          [&] { return same_registers(smallest) && same_registers(largest); });
}

} // namespace

int sc_main(int, char **)
{
    sc_core::sc_clock clock("clock", period);
    pair p("default", "default", clock), rows("rows", "default", clock),
        smallest("smallest", "smallest", clock), uncached("uncached", "uncached", clock),
        largest("largest", "largest", clock), pipelined("pipelined", "pipelined", clock);

    sc_core::sc_spawn([&] {
        sc_core::wait(3.5, sc_core::SC_NS);
        checks(p, rows, smallest, uncached, largest, pipelined);
        sc_core::sc_stop();
    });
    sc_core::sc_start();
    return failed != 0;
}
