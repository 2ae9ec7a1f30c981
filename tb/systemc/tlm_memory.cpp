/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/systemc/tlm_memory.h"
#include <algorithm>
#include <cstring>

namespace
{

constexpr uint64_t frame = 4096;
constexpr unsigned word = 8;

} // namespace

tlm_memory::tlm_memory(const sc_core::sc_module_name &name, struct dmt_mem *mem,
                       const sc_core::sc_time &latency)
    : sc_module(name), socket("socket"), latency(latency), mem(mem)
{
    socket.register_b_transport(this, &tlm_memory::transport);
    socket.register_transport_dbg(this, &tlm_memory::debug);
    socket.register_get_direct_mem_ptr(this, &tlm_memory::get_direct);
}

/* Where the bytes of a payload are; nullptr when they are not there, or not in one frame. */
unsigned char *tlm_memory::bytes(const tlm::tlm_generic_payload &trans) const
{
    uint64_t at = trans.get_address() % frame;
    unsigned char *to = dmt_mem_frame(mem, trans.get_address() / frame);

    return to && trans.get_data_length() <= frame - at ? to + at : nullptr;
}

/* A store takes every reservation on the words that it touches. */
void tlm_memory::stored(uint64_t addr, unsigned length)
{
    auto touched = [=](const reservation &r) { return r.addr < addr + length && addr < r.addr + word; };

    reservations.erase(std::remove_if(reservations.begin(), reservations.end(), touched), reservations.end());
}

std::vector<tlm_memory::reservation>::iterator tlm_memory::held(int initiator, unsigned id)
{
    return std::find_if(reservations.begin(), reservations.end(),
                        [=](const reservation &r) { return r.initiator == initiator && r.id == id; });
}

void tlm_memory::access(int initiator, tlm::tlm_generic_payload &trans)
{
    dmt_exclusive *exclusive = monitor ? trans.get_extension<dmt_exclusive>() : nullptr;
    unsigned char *at = bytes(trans);
    uint64_t addr = trans.get_address();
    unsigned length = trans.get_data_length();

    if (trans.get_byte_enable_ptr()) {
        trans.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
        return;
    }
    if (trans.get_streaming_width() < length || (exclusive && (length != word || addr % word))) {
        trans.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
        return;
    }
    if (!at) {
        trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return;
    }
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
    trans.set_dmi_allowed(offer_dmi);
    if (trans.is_read()) {
        (exclusive ? exclusive_reads : reads)++;
        std::memcpy(trans.get_data_ptr(), at, length);
        if (exclusive) {
            auto r = held(initiator, exclusive->id);

            if (r == reservations.end())
                reservations.push_back({initiator, exclusive->id, addr});
            else
                r->addr = addr;
            exclusive->granted = true;
        }
    } else if (trans.is_write()) {
        if (exclusive) {
            auto r = held(initiator, exclusive->id);

            if (r == reservations.end() || r->addr != addr) {
                lost++;
                return;
            }
            exclusive->granted = true;
        }
        (exclusive ? exclusive_writes : writes)++;
        std::memcpy(at, trans.get_data_ptr(), length);
        stored(addr, length);
    }
}

void tlm_memory::transport(int initiator, tlm::tlm_generic_payload &trans, sc_core::sc_time &delay)
{
    access(initiator, trans);
    delay += latency;
    if (waits) {
        sc_core::wait(delay);
        delay = sc_core::SC_ZERO_TIME;
    }
}

unsigned tlm_memory::debug(int, tlm::tlm_generic_payload &trans)
{
    unsigned length = trans.get_data_length();
    unsigned char *at;

    /* Up to the end of the frame. */
    length = static_cast<unsigned>(std::min<uint64_t>(length, frame - trans.get_address() % frame));
    at = dmt_mem_frame(mem, trans.get_address() / frame);
    if (!at)
        return 0;
    at += trans.get_address() % frame;
    if (trans.is_read()) {
        std::memcpy(trans.get_data_ptr(), at, length);
    } else if (trans.is_write()) {
        std::memcpy(at, trans.get_data_ptr(), length);
        stored(trans.get_address(), length);
    } else {
        return 0;
    }
    return length;
}

unsigned char *tlm_memory::direct(uint64_t pfn)
{
    return dmt_mem_frame(mem, pfn);
}

bool tlm_memory::get_direct(int, tlm::tlm_generic_payload &trans, tlm::tlm_dmi &dmi)
{
    uint64_t pfn = trans.get_address() / frame;
    unsigned char *at = offer_dmi && trans.is_read() ? direct(pfn) : nullptr;

    dmi.set_start_address(pfn * frame);
    dmi.set_end_address(pfn * frame + frame - 1);
    dmi.set_read_latency(latency);
    dmi.set_write_latency(latency);
    if (!at) {
        dmi.allow_read_write(); /* what is refused: both */
        return false;
    }
    grants++;
    dmi.set_dmi_ptr(at);
    dmi.allow_read();
    return true;
}

void tlm_memory::use(struct dmt_mem *other)
{
    mem = other;
    reservations.clear();
    withdraw(0, UINT64_MAX);
}

void tlm_memory::withdraw(uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < socket.size(); i++)
        socket[i]->invalidate_direct_mem_ptr(start, end);
}
