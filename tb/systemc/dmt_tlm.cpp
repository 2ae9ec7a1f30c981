/* SPDX-License-Identifier: Apache-2.0
 * Sockets of dmt_tlm: payloads are checked and taken apart here, for both engines alike; and the way to
 * memory. */
#include "tb/systemc/engine.h"
#include <cstring>
#include <iterator>

/* Payloads carry words in host order and memory keeps little-endian bytes: one and the same here. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "TLM words are copied as bytes");

namespace
{

constexpr unsigned word = 8;
constexpr unsigned frame_shift = 12, frame_size = 1u << frame_shift;
constexpr uint64_t csr_size = DMT_HOST_BASE + 0x1000; /* four windows of 4 KiB */

/* Is the payload one whole word? Otherwise its response says what is wrong. */
bool whole_word(tlm::tlm_generic_payload &trans)
{
    if (trans.get_data_ptr() && trans.get_data_length() == word && trans.get_streaming_width() >= word)
        return true;
    trans.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
    return false;
}

/* Byte enables as strobes; without any, all are set. */
unsigned strobes(const tlm::tlm_generic_payload &trans)
{
    const unsigned char *enable = trans.get_byte_enable_ptr();
    unsigned length = trans.get_byte_enable_length(), set = 0;

    if (!enable || !length)
        return enable ? 0 : 0xff;
    for (unsigned i = 0; i < word; i++)
        set |= (enable[i % length] == TLM_BYTE_ENABLED) << i;
    return set;
}

tlm::tlm_response_status status_of(enum dmt_resp resp)
{
    return resp == DMT_RESP_OKAY ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE;
}

/* The request in a payload. False: malformed, and the response says how. */
bool request_of(tlm::tlm_generic_payload &trans, const dmt_translation &x, struct dmt_request *request)
{
    if (!trans.is_read()) {
        trans.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
        return false;
    }
    if (!whole_word(trans))
        return false;
    if (strobes(trans) != 0xff) {
        trans.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
        return false;
    }
    if (x.access > DMT_ACCESS_EXECUTE || x.cpl > 3) {
        trans.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE);
        return false;
    }
    *request = {};
    request->va = trans.get_address();
    request->access = x.access;
    request->cpl = x.cpl;
    request->ac = x.ac;
    request->implicit = x.implicit;
    request->nonspec = x.nonspec;
    return true;
}

void put_answer(tlm::tlm_generic_payload &trans, dmt_translation &x)
{
    /* Not on the pins. */
    x.answer.refs = x.answer.reads = x.answer.updates = x.answer.chains = x.answer.matches = 0;
    x.answer.multi_hit = 0;
    x.answer.refused = false;
    x.answered = true;
    std::memcpy(trans.get_data_ptr(), &x.answer.pa, word);
    trans.set_response_status(x.answer.status == DMT_STATUS_OK ? tlm::TLM_OK_RESPONSE
                                                               : tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

enum dmt_resp peek(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    enum dmt_resp resp = static_cast<memory_port *>(user)->read_dbg(ref->addr, data);

    return resp == DMT_RESP_OKAY && ref->exclusive ? DMT_RESP_EXOKAY : resp;
}

/* The update is taken for done: the answer is that after it, and memory stays as it is. */
enum dmt_resp no_write(void *, const struct dmt_ref *, uint64_t)
{
    return DMT_RESP_EXOKAY;
}

} // namespace

/* ------------------------------------------------------------ extensions */

tlm::tlm_extension_base *dmt_translation::clone() const
{
    return new dmt_translation(*this);
}

void dmt_translation::copy_from(const tlm::tlm_extension_base &other)
{
    *this = static_cast<const dmt_translation &>(other);
}

tlm::tlm_extension_base *dmt_exclusive::clone() const
{
    return new dmt_exclusive(*this);
}

void dmt_exclusive::copy_from(const tlm::tlm_extension_base &other)
{
    *this = static_cast<const dmt_exclusive &>(other);
}

/* ------------------------------------------------------------ the module */

dmt_tlm::dmt_tlm(const sc_core::sc_module_name &name, timing how, const char *config,
                 const sc_core::sc_time &period)
    : sc_module(name), requests("requests"), csr("csr"), memory("memory"), clk("clk"), event("event"),
      event_update("event_update")
{
    const struct dut_ops *rtl = dut_rtl_find(config);

    if (!rtl)
        SC_REPORT_FATAL("dmt_tlm",
                        (std::string("'") + config + "' is not a configuration of this build").c_str());
    if (period == sc_core::SC_ZERO_TIME)
        SC_REPORT_FATAL("dmt_tlm", "the period of the clock is zero");
    engine = how == timing::loose ? loose_engine(*this, *rtl, period) : cycle_engine(*this, *rtl);

    requests.register_b_transport(this, &dmt_tlm::translate);
    requests.register_transport_dbg(this, &dmt_tlm::translate_dbg);
    requests.register_get_direct_mem_ptr(this, &dmt_tlm::no_dmi);
    csr.register_b_transport(this, &dmt_tlm::access);
    csr.register_transport_dbg(this, &dmt_tlm::access_dbg);
    memory.register_invalidate_direct_mem_ptr(this, &dmt_tlm::invalidate);

    /* Several threads may change it; a signal has one writer. */
    sc_core::sc_spawn_options options;
    options.spawn_method();
    options.set_sensitivity(&event_update);
    sc_core::sc_spawn([this] { drive_event(); }, "drive_event", &options);
}

dmt_tlm::~dmt_tlm() = default;

const struct dmt_config &dmt_tlm::config() const
{
    return engine->config();
}

void dmt_tlm::use_dmi(bool yes)
{
    engine->port.use_dmi = yes;
    if (!yes)
        engine->port.invalidate(0, UINT64_MAX);
}

void dmt_tlm::end_of_elaboration()
{
    engine->end_of_elaboration();
}

void dmt_tlm::event_changed()
{
    event_update.notify(sc_core::SC_ZERO_TIME);
}

void dmt_tlm::drive_event()
{
    if (event.size())
        event->write(engine->event());
}

void dmt_tlm::translate(int, tlm::tlm_generic_payload &trans, sc_core::sc_time &delay)
{
    dmt_translation plain, *x = trans.get_extension<dmt_translation>();
    struct dmt_request request;

    if (!x)
        x = &plain;
    x->answered = false;
    trans.set_dmi_allowed(false);
    if (!request_of(trans, *x, &request))
        return;
    engine->translate(request, *x, delay);
    put_answer(trans, *x);
}

unsigned dmt_tlm::translate_dbg(int, tlm::tlm_generic_payload &trans)
{
    const struct dmt_port port = {&engine->port, peek, no_write, nullptr, nullptr, nullptr};
    dmt_translation plain, *x = trans.get_extension<dmt_translation>();
    struct dmt_request request;

    if (!x)
        x = &plain;
    x->answered = false;
    if (!request_of(trans, *x, &request))
        return 0;
    dmt_arch_translate(&engine->state(), &request, &port, &x->answer);
    x->clocks = 0;
    put_answer(trans, *x);
    return x->answer.status == DMT_STATUS_OK ? word : 0;
}

/* Which page a requester may use is for it to ask each time: there is no memory behind this socket. */
bool dmt_tlm::no_dmi(int, tlm::tlm_generic_payload &, tlm::tlm_dmi &dmi)
{
    dmi.allow_none();
    dmi.set_start_address(0);
    dmi.set_end_address(UINT64_MAX);
    return false;
}

void dmt_tlm::access(tlm::tlm_generic_payload &trans, sc_core::sc_time &delay)
{
    unsigned set = strobes(trans);
    enum dmt_resp resp;
    uint64_t data = 0;

    trans.set_dmi_allowed(false);
    if (trans.get_command() == tlm::TLM_IGNORE_COMMAND) {
        trans.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
        return;
    }
    if (!whole_word(trans))
        return;
    if (trans.get_address() >= csr_size) {
        trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return;
    }
    if (trans.is_write()) {
        std::memcpy(&data, trans.get_data_ptr(), word);
        resp = engine->write(static_cast<unsigned>(trans.get_address()), data, set, delay);
    } else if (set != 0xff) {
        resp = DMT_RESP_SLVERR; /* reads have no strobes on AXI */
    } else {
        resp = engine->read(static_cast<unsigned>(trans.get_address()), &data, delay);
        if (resp == DMT_RESP_OKAY)
            std::memcpy(trans.get_data_ptr(), &data, word);
    }
    trans.set_response_status(resp != DMT_RESP_OKAY && set != 0xff ? tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE
                                                                   : status_of(resp));
}

unsigned dmt_tlm::access_dbg(tlm::tlm_generic_payload &trans)
{
    enum dmt_resp resp = DMT_RESP_SLVERR;
    uint64_t data = 0;
    bool done = false;

    trans.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE);
    if (trans.get_command() == tlm::TLM_IGNORE_COMMAND || !trans.get_data_ptr() ||
        trans.get_data_length() != word || trans.get_address() >= csr_size)
        return 0;
    if (trans.is_write()) {
        std::memcpy(&data, trans.get_data_ptr(), word);
        done = engine->write_dbg(static_cast<unsigned>(trans.get_address()), data, &resp);
    } else {
        done = engine->read_dbg(static_cast<unsigned>(trans.get_address()), &data, &resp);
        if (done && resp == DMT_RESP_OKAY)
            std::memcpy(trans.get_data_ptr(), &data, word);
    }
    if (!done)
        return 0;
    trans.set_response_status(status_of(resp));
    return resp == DMT_RESP_OKAY ? word : 0;
}

void dmt_tlm::invalidate(sc_dt::uint64 start, sc_dt::uint64 end)
{
    engine->port.invalidate(start, end);
}

/* ------------------------------------------------------------ the way to memory */

const memory_port::region *memory_port::find(uint64_t addr, uint64_t *start) const
{
    auto next = regions.upper_bound(addr);

    if (next == regions.begin())
        return nullptr;
    auto at = std::prev(next);
    *start = at->first;
    return addr <= at->second.end && at->second.end - addr >= word - 1 ? &at->second : nullptr;
}

bool memory_port::direct(uint64_t addr, uint64_t *data, sc_core::sc_time *latency)
{
    frame &f = near[addr >> frame_shift & (near_size - 1)];
    uint64_t start, base = addr & ~uint64_t(frame_size - 1);
    const region *r;

    if (f.number == addr >> frame_shift) {
        std::memcpy(data, f.bytes + (addr & (frame_size - 1)), word);
        *latency = f.latency;
        return true;
    }
    if (regions.empty() || !(r = find(addr, &start)))
        return false;
    std::memcpy(data, r->bytes + (addr - start), word);
    *latency = r->latency;
    if (start <= base && r->end >= base + frame_size - 1) {
        f.number = addr >> frame_shift;
        f.bytes = r->bytes + (base - start);
        f.latency = r->latency;
    }
    return true;
}

void memory_port::ask(uint64_t addr)
{
    tlm::tlm_generic_payload trans;
    tlm::tlm_dmi dmi;

    trans.set_command(tlm::TLM_READ_COMMAND);
    trans.set_address(addr);
    if (!to->get_direct_mem_ptr(trans, dmi) || !dmi.is_read_allowed() || dmi.get_start_address() > addr ||
        dmi.get_end_address() < addr)
        return;
    /* A grant takes the place of what it overlaps. */
    invalidate(dmi.get_start_address(), dmi.get_end_address());
    regions[dmi.get_start_address()] = {dmi.get_end_address(), dmi.get_dmi_ptr(), dmi.get_read_latency()};
}

void memory_port::invalidate(uint64_t start, uint64_t end)
{
    auto at = regions.lower_bound(start);

    if (at != regions.begin() && std::prev(at)->second.end >= start)
        --at;
    while (at != regions.end() && at->first <= end)
        at = regions.erase(at);
    for (frame &f : near) {
        if (f.number <= end >> frame_shift && f.number >= start >> frame_shift)
            f.number = UINT64_MAX;
    }
}

enum dmt_resp memory_port::transact(tlm::tlm_command command, uint64_t addr, uint64_t *data,
                                    sc_core::sc_time &delay, dmt_exclusive *with)
{
    std::unique_ptr<tlm::tlm_generic_payload> trans;
    enum dmt_resp resp;
    bool offered;

    if (spare.empty()) {
        trans.reset(new tlm::tlm_generic_payload);
    } else {
        trans = std::move(spare.back());
        spare.pop_back();
    }
    trans->set_command(command);
    trans->set_address(addr);
    trans->set_data_ptr(reinterpret_cast<unsigned char *>(data));
    trans->set_data_length(word);
    trans->set_streaming_width(word);
    trans->set_byte_enable_ptr(nullptr);
    trans->set_dmi_allowed(false);
    trans->set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    if (with) {
        with->granted = false;
        trans->set_extension(with);
    }
    to->b_transport(*trans, delay);
    if (with)
        trans->clear_extension(with);
    offered = trans->is_dmi_allowed();
    resp = trans->is_response_ok()                                           ? DMT_RESP_OKAY
           : trans->get_response_status() == tlm::TLM_ADDRESS_ERROR_RESPONSE ? DMT_RESP_DECERR
                                                                             : DMT_RESP_SLVERR;
    if (resp == DMT_RESP_OKAY && with && with->granted)
        resp = DMT_RESP_EXOKAY;
    spare.push_back(std::move(trans));
    if (offered && use_dmi)
        ask(addr);
    return resp;
}

enum dmt_resp memory_port::read_dbg(uint64_t addr, uint64_t *data)
{
    tlm::tlm_generic_payload trans;

    trans.set_command(tlm::TLM_READ_COMMAND);
    trans.set_address(addr);
    trans.set_data_ptr(reinterpret_cast<unsigned char *>(data));
    trans.set_data_length(word);
    trans.set_streaming_width(word);
    return to->transport_dbg(trans) == word ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}
