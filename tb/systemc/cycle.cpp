/* SPDX-License-Identifier: Apache-2.0
 * dmt_tlm, cycle-accurate: the verilated RTL, one clock a rising edge, with its cycle model beside it. What
 * comes in from threads waits here for the next cycle; what the RTL asks of memory becomes transactions,
 * as many at a time as the RTL has in flight. The cycle model checks every output and knows what the pins
 * do not say without time: registers for debuggers.
 *
 * At the edge that ends cycle c, outputs of c are looked at and its inputs are decided. A request, a
 * register access or an answer of memory that came before that edge is in c; one that comes at the instant
 * of the edge or later is in c+1. */
#include "tb/systemc/engine.h"
#include <algorithm>
#include <cstring>
#include <deque>

extern "C" {
#include "tb/csr.h"
#include "tb/lockstep.h"
}

namespace
{

using sc_core::sc_time;
using sc_core::sc_time_stamp;

constexpr unsigned patience = 100000; /* clocks of a debug access without an answer */
constexpr unsigned rest = 16;         /* clocks without anything to do after which the RTL is at rest */

/* A request, from a thread. Its number is its tag. */
struct flight {
    struct dmt_request request;
    struct dmt_result result;
    uint32_t clocks;
    sc_time came;
    bool done;
    sc_core::sc_event answered;
};

/* A register access, from a thread. */
struct csr_access {
    bool is_write;
    unsigned offset, strobes;
    uint64_t data;
    enum dmt_resp resp;
    sc_time came;
    bool done = false;
    sc_core::sc_event answered;
};

/* A beat of the PTE port that the memory answers. */
struct beat {
    unsigned id;
    bool lock, write;
    uint64_t addr, data;
    enum dmt_resp resp = DMT_RESP_OKAY;
    bool done = false;
    sc_time due; /* the answer is on the pins in the first cycle that ends at this time or later */

    beat(unsigned id, bool lock, bool write, uint64_t addr, uint64_t data)
        : id(id), lock(lock), write(write), addr(addr), data(data)
    {
    }
};

class cycle : public dmt_engine
{
  public:
    cycle(dmt_tlm &top, const struct dut_ops &rtl);
    ~cycle() override;

    void translate(const struct dmt_request &request, dmt_translation &to, sc_time &delay) override;
    enum dmt_resp write(unsigned offset, uint64_t data, unsigned strobes, sc_time &delay) override;
    enum dmt_resp read(unsigned offset, uint64_t *data, sc_time &delay) override;
    bool write_dbg(unsigned offset, uint64_t data, enum dmt_resp *resp) override;
    bool read_dbg(unsigned offset, uint64_t *data, enum dmt_resp *resp) override;
    const struct dmt_state &state() const override;
    bool event() const override;
    void end_of_elaboration() override;

  private:
    void clock();
    void drive_requests();
    void drive_csr();
    void drive_memory();
    void take_answers(const struct dmt_out &out);
    void take_csr(const struct dmt_out &out);
    void take_memory(const struct dmt_out &out);
    void edge(bool reset);
    void submit(const std::shared_ptr<beat> &b);
    void work();
    bool at_rest() const;
    enum dmt_resp access(csr_access &a, sc_time &delay);

    void *dut, *twin;
    struct dmt_in in = {};

    std::vector<std::unique_ptr<flight>> flights; /* by tag */
    std::vector<unsigned> tags;                   /* free ones */
    std::deque<unsigned> offered;                 /* tags not yet taken from the port */
    sc_core::sc_event tag_free{"tag_free"};

    struct csr csr_port;
    std::deque<csr_access *> accesses;  /* not yet given to csr_port */
    std::deque<csr_access *> on_csr[2]; /* [is_write]: given to it */

    std::vector<std::deque<std::shared_ptr<beat>>> reads; /* by ID, oldest first */
    std::shared_ptr<beat> shown_r, shown_b;               /* on the pins until taken */
    std::deque<std::pair<unsigned, uint64_t>> aw;         /* ID, address */
    std::deque<uint64_t> w;
    std::deque<std::shared_ptr<beat>> writes, todo; /* all of them; those no thread has taken up */
    unsigned idle_threads = 0;
    sc_core::sc_event todo_event{"todo"}, wake{"wake"};

    unsigned quiet = 0; /* clocks at rest */
    bool asleep = false, line = false;
};

cycle::cycle(dmt_tlm &top, const struct dut_ops &rtl)
    : dmt_engine(top, rtl), dut(rtl.create(&rtl.config)), twin(dut_cycle.create(&rtl.config)),
      reads(std::size_t{1} << dmt_config_id_width(&rtl.config))
{
    /* Tags enough to keep every context, the skid buffer and the answers in flight. */
    unsigned n = std::min(1u << rtl.config.tag_w, rtl.config.ctx_n + 4);

    if (!dut || !twin)
        SC_REPORT_FATAL("dmt_tlm", "out of memory");
    for (unsigned i = 0; i < n; i++) {
        flights.push_back(std::make_unique<flight>());
        tags.push_back(n - 1 - i);
    }
    csr_reset(&csr_port, 0);
    edge(true);
}

cycle::~cycle()
{
    rtl.destroy(dut);
    dut_cycle.destroy(twin);
}

void cycle::end_of_elaboration()
{
    sc_core::sc_spawn_options options;

    if (!top.clk.size())
        SC_REPORT_FATAL("dmt_tlm", "clk is not bound: a cycle-accurate module needs a clock");
    options.spawn_method();
    options.dont_initialize();
    options.set_sensitivity(&top.clk->posedge_event());
    sc_core::sc_spawn([this] { clock(); }, sc_core::sc_gen_unique_name("clock"), &options);
}

/* ------------------------------------------------------------ from threads */

/* Time that the initiator is ahead has to pass first: the pins are where the clock is. */
static void catch_up(sc_time &delay)
{
    if (delay != sc_core::SC_ZERO_TIME)
        sc_core::wait(delay);
    delay = sc_core::SC_ZERO_TIME;
}

void cycle::translate(const struct dmt_request &request, dmt_translation &to, sc_time &delay)
{
    catch_up(delay);
    while (tags.empty())
        sc_core::wait(tag_free);
    unsigned tag = tags.back();
    flight &f = *flights[tag];

    tags.pop_back();
    f.request = request;
    f.result = {};
    f.came = sc_time_stamp();
    f.done = false;
    offered.push_back(tag);
    wake.notify();
    while (!f.done)
        sc_core::wait(f.answered);
    to.answer = f.result;
    to.clocks = f.clocks;
    tags.push_back(tag);
    tag_free.notify();
}

enum dmt_resp cycle::access(csr_access &a, sc_time &delay)
{
    catch_up(delay);
    a.came = sc_time_stamp();
    accesses.push_back(&a);
    wake.notify();
    while (!a.done)
        sc_core::wait(a.answered);
    return a.resp;
}

enum dmt_resp cycle::write(unsigned offset, uint64_t data, unsigned strobes, sc_time &delay)
{
    csr_access a = {true, offset, strobes, data, DMT_RESP_OKAY, {}, false, {}};

    return access(a, delay);
}

enum dmt_resp cycle::read(unsigned offset, uint64_t *data, sc_time &delay)
{
    csr_access a = {false, offset, 0xff, 0, DMT_RESP_OKAY, {}, false, {}};
    enum dmt_resp resp = access(a, delay);

    *data = a.data;
    return resp;
}

/* ------------------------------------------------------------ one clock */

void cycle::clock()
{
    const struct dmt_out &out = *rtl.out(dut);

    /* At rest nothing changes, not even a counter, so clocks need not be made. Woken between two edges, it
     * goes on at the next. */
    if (asleep) {
        asleep = false;
        quiet = 0;
        return;
    }
    quiet = at_rest() ? quiet + 1 : 0;
    if (quiet > rest) {
        asleep = true;
        sc_core::next_trigger(wake);
        return;
    }
    in = {};
    in.resp_ready = 1;
    drive_requests();
    drive_csr();
    drive_memory();
    take_answers(out);
    take_csr(out);
    take_memory(out);
    edge(false);
}

bool cycle::at_rest() const
{
    if (!offered.empty() || tags.size() != flights.size() || !accesses.empty() || !csr_idle(&csr_port) ||
        !writes.empty())
        return false;
    for (const auto &q : reads) {
        if (!q.empty())
            return false;
    }
    return true;
}

void cycle::edge(bool reset)
{
    const struct dmt_out *want, *got;
    uint64_t expected, is;

    rtl.edge(dut, &in, reset);
    dut_cycle.edge(twin, &in, reset);
    want = dut_cycle.out(twin);
    got = rtl.out(dut);
    if (std::memcmp(want, got, sizeof(*want)) != 0) {
        const char *pin = lockstep_compare(want, got, &expected, &is);

        if (pin)
            SC_REPORT_FATAL("dmt_tlm", (std::string("RTL and cycle model differ: ") + pin + ": expected " +
                                        std::to_string(expected) + ", got " + std::to_string(is))
                                           .c_str());
    }
    if (line != (got->event != 0)) {
        line = !line;
        top.event_changed();
    }
}

void cycle::drive_requests()
{
    if (offered.empty() || flights[offered.front()]->came >= sc_time_stamp())
        return;
    const struct dmt_request &q = flights[offered.front()]->request;

    in.req_valid = 1;
    in.req_tag = offered.front();
    in.req_va = q.va;
    in.req_access = q.access;
    in.req_cpl = q.cpl;
    in.req_ac = q.ac;
    in.req_implicit = q.implicit;
    in.req_nonspec = q.nonspec;
}

void cycle::take_answers(const struct dmt_out &o)
{
    if (in.req_valid && o.req_ready)
        offered.pop_front();
    if (o.wt_end_valid) {
        flight &f = *flights[o.wt_end_tag];

        f.clocks = static_cast<uint32_t>(o.wt_end_clocks);
        for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
            f.result.path[k] = o.wt_end_path >> 2 * k & 3;
            f.result.index[k] = o.wt_end_index >> 6 * k & 63;
        }
    }
    if (!o.resp_valid)
        return;
    flight &f = *flights[o.resp_tag];

    f.result.status = static_cast<uint8_t>(o.resp_status);
    f.result.pa = o.resp_pa;
    f.result.size = static_cast<uint8_t>(o.resp_size);
    f.result.rights = static_cast<uint8_t>(o.resp_rights);
    f.result.global = o.resp_global;
    f.result.pkey = static_cast<uint8_t>(o.resp_pkey);
    f.result.memtype = static_cast<uint8_t>(o.resp_memtype);
    f.result.dirty = o.resp_dirty;
    f.result.ad_needed = o.resp_ad_needed;
    f.result.error = o.resp_error;
    f.result.addr = o.resp_addr;
    f.result.stage = static_cast<uint8_t>(o.resp_stage);
    f.done = true;
    f.answered.notify(sc_core::SC_ZERO_TIME);
}

void cycle::drive_csr()
{
    while (!accesses.empty() && accesses.front()->came < sc_time_stamp() && csr_room(&csr_port, 1)) {
        csr_access *a = accesses.front();

        accesses.pop_front();
        if (a->is_write)
            csr_push_strobed(&csr_port, a->offset, a->data, a->strobes);
        else
            csr_push_read(&csr_port, a->offset);
        on_csr[a->is_write].push_back(a);
    }
    csr_drive(&csr_port, &in);
}

void cycle::take_csr(const struct dmt_out &out)
{
    uint64_t done[2] = {csr_port.r_done, csr_port.b_done};

    csr_edge(&csr_port, &out, &in);
    for (unsigned w = 0; w < 2; w++) {
        if (done[w] == (w ? csr_port.b_done : csr_port.r_done))
            continue;
        csr_access &a = *on_csr[w].front();

        on_csr[w].pop_front();
        a.resp = static_cast<enum dmt_resp>(w ? csr_port.bresp : csr_port.rresp);
        if (!w)
            a.data = csr_port.rdata;
        a.done = true;
        a.answered.notify(sc_core::SC_ZERO_TIME);
    }
}

/* ------------------------------------------------------------ memory */

/* Answers of one ID keep their order; of several that are due the one that was due first comes first. */
void cycle::drive_memory()
{
    in.m_arready = in.m_awready = in.m_wready = 1;
    if (!shown_r) {
        for (const auto &q : reads) {
            if (!q.empty() && q.front()->done && q.front()->due <= sc_time_stamp() &&
                (!shown_r || q.front()->due < shown_r->due))
                shown_r = q.front();
        }
    }
    if (shown_r) {
        in.m_rvalid = 1;
        in.m_rid = shown_r->id;
        in.m_rdata = shown_r->resp < DMT_RESP_SLVERR ? shown_r->data : 0;
        in.m_rresp = shown_r->resp;
        in.m_rlast = 1;
    }
    if (!shown_b) {
        for (const auto &b : writes) {
            if (b->done && b->due <= sc_time_stamp() && (!shown_b || b->due < shown_b->due))
                shown_b = b;
        }
    }
    if (shown_b) {
        in.m_bvalid = 1;
        in.m_bid = shown_b->id;
        in.m_bresp = shown_b->resp;
    }
}

void cycle::take_memory(const struct dmt_out &o)
{
    if (in.m_rvalid && o.m_rready) {
        reads[shown_r->id].pop_front();
        shown_r.reset();
    }
    if (in.m_bvalid && o.m_bready) {
        for (auto b = writes.begin(); b != writes.end(); ++b) {
            if (*b == shown_b) {
                writes.erase(b);
                break;
            }
        }
        shown_b.reset();
    }
    if (o.m_arvalid) {
        auto b = std::make_shared<beat>(o.m_arid, o.m_arlock, false, o.m_araddr, 0);

        reads[b->id].push_back(b);
        submit(b);
    }
    if (o.m_awvalid)
        aw.emplace_back(static_cast<unsigned>(o.m_awid), o.m_awaddr);
    if (o.m_wvalid)
        w.push_back(o.m_wdata);
    while (!aw.empty() && !w.empty()) {
        auto b = std::make_shared<beat>(aw.front().first, true, true, aw.front().second, w.front());

        aw.pop_front();
        w.pop_front();
        writes.push_back(b);
        submit(b);
    }
}

/* A read that memory grants directly is done; all else takes a thread, since memory may wait. */
void cycle::submit(const std::shared_ptr<beat> &b)
{
    sc_time latency;

    if (!b->write && !b->lock && port.direct(b->addr, &b->data, &latency)) {
        b->due = sc_time_stamp() + latency;
        b->done = true;
        return;
    }
    todo.push_back(b);
    if (todo.size() > idle_threads)
        sc_core::sc_spawn([this] { work(); }, sc_core::sc_gen_unique_name("memory_thread"));
    else
        todo_event.notify(sc_core::SC_ZERO_TIME);
}

void cycle::work()
{
    for (;;) {
        while (todo.empty()) {
            idle_threads++;
            sc_core::wait(todo_event);
            idle_threads--;
        }
        std::shared_ptr<beat> b = todo.front();
        dmt_exclusive exclusive;
        sc_time delay;

        todo.pop_front();
        exclusive.id = b->id;
        b->resp = port.transact(b->write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND, b->addr, &b->data,
                                delay, b->lock ? &exclusive : nullptr);
        b->due = sc_time_stamp() + delay;
        b->done = true;
    }
}

/* ------------------------------------------------------------ without time */

const struct dmt_state &cycle::state() const
{
    return *dmt_cycle_state(static_cast<const struct dmt_cycle *>(twin));
}

bool cycle::event() const
{
    return rtl.out(dut)->event;
}

/* A copy of the cycle model is read over its CSR port. */
bool cycle::read_dbg(unsigned offset, uint64_t *data, enum dmt_resp *resp)
{
    struct dmt_cycle *copy = dmt_cycle_clone(static_cast<const struct dmt_cycle *>(twin));
    struct dmt_in probe = {};

    if (!copy)
        return false;
    /* An answer that waits there goes first. */
    if (dmt_cycle_out(copy)->s_rvalid) {
        probe.s_rready = 1;
        dmt_cycle_edge(copy, &probe, false);
        probe.s_rready = 0;
    }
    probe.s_arvalid = 1;
    probe.s_araddr = offset;
    dmt_cycle_edge(copy, &probe, false);
    *data = dmt_cycle_out(copy)->s_rdata;
    *resp = static_cast<enum dmt_resp>(dmt_cycle_out(copy)->s_rresp);
    dmt_cycle_free(copy);
    return true;
}

/* With nothing in flight the RTL makes clocks that take no time, and memory is read by its debug interface.
 */
bool cycle::write_dbg(unsigned offset, uint64_t data, enum dmt_resp *resp)
{
    std::deque<beat> due;

    if (!at_rest())
        return false;
    csr_push(&csr_port, offset, data);
    for (unsigned i = 0; i < patience; i++) {
        const struct dmt_out &o = *rtl.out(dut);

        if (csr_idle(&csr_port) && o.req_ready) {
            *resp = static_cast<enum dmt_resp>(csr_port.bresp);
            return true;
        }
        in = {};
        in.m_arready = 1;
        csr_drive(&csr_port, &in);
        if (!due.empty()) {
            in.m_rvalid = 1;
            in.m_rid = due.front().id;
            in.m_rdata = due.front().data;
            in.m_rresp = due.front().resp;
            in.m_rlast = 1;
            if (o.m_rready)
                due.pop_front();
        }
        if (o.m_arvalid) {
            beat b(static_cast<unsigned>(o.m_arid), false, false, o.m_araddr, 0);

            b.resp = port.read_dbg(b.addr, &b.data);
            due.push_back(b);
        }
        csr_edge(&csr_port, &o, &in);
        edge(false);
    }
    SC_REPORT_FATAL("dmt_tlm", "a register write is not answered");
    return false;
}

} // namespace

std::unique_ptr<dmt_engine> cycle_engine(dmt_tlm &top, const struct dut_ops &rtl)
{
    return std::make_unique<cycle>(top, rtl);
}
