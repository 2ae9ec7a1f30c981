/* SPDX-License-Identifier: Apache-2.0
 * OpenDMT as a TLM-2.0 module. Behind the same sockets, chosen when it is made:
 *
 *   loosely timed    the architectural model with the paging-structure caches of the hardware; every
 *                    transaction annotates the clocks that docs/microarchitecture.md states and none waits
 *   cycle-accurate   the verilated RTL on a clock, in lockstep with its cycle model
 *
 * How to put it into a platform, and the timing contract: docs/systemc.md. */
#ifndef DMT_TLM_H
#define DMT_TLM_H

#include <memory>
#include <systemc>
#include <tlm>
#include <tlm_utils/multi_passthrough_target_socket.h>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

extern "C" {
#include "dmt/arch.h"
#include "dmt/cycle.h"
#include "dmt/regs.h"
}

/** A translation, beside a generic payload on the socket `requests`: READ at the virtual address, 8 bytes
 * that receive the physical address. Ignorable: without it the request is a user's data read that is no
 * longer speculative, and a fault is the error response alone. */
struct dmt_translation : tlm::tlm_extension<dmt_translation> {
    /* Set by the initiator. */
    uint8_t access = DMT_ACCESS_READ; /**< DMT_ACCESS_READ, _WRITE, _EXECUTE */
    uint8_t cpl = 3;
    bool ac = false, implicit = false, nonspec = true;

    /* Set by the target. */
    bool answered = false; /**< false: the payload was malformed, and nothing below has a meaning */
    struct dmt_result answer =
        {}; /**< refs, reads, updates, multi_hit, chains, matches and refused stay zero: counters have them */
    uint32_t clocks = 0; /**< request taken to answer valid (microarchitecture 4); 0: a debug translation */

    tlm::tlm_extension_base *clone() const override;
    void copy_from(const tlm::tlm_extension_base &other) override;
};

/** Half of an exclusive pair, beside a generic payload of 8 bytes on the socket `memory`, with AXI's meaning.
 * READ: read and reserve for `id` of this initiator. WRITE: write only if the reservation still holds.
 * granted, false before, is AXI's EXOKAY. A memory that does not know the extension leaves it false on the
 * READ, and is never sent the WRITE. */
struct dmt_exclusive : tlm::tlm_extension<dmt_exclusive> {
    unsigned id = 0; /**< of concurrent pairs of one initiator, below 64 */
    bool granted = false;

    tlm::tlm_extension_base *clone() const override;
    void copy_from(const tlm::tlm_extension_base &other) override;
};

class dmt_engine;

class dmt_tlm : public sc_core::sc_module
{
  public:
    enum class timing { loose, cycle };

    /** Translation requests of any number of initiators. */
    tlm_utils::multi_passthrough_target_socket<dmt_tlm, 64> requests;
    /** Registers: 8 bytes at the offsets of docs/registers.md. */
    tlm_utils::simple_target_socket<dmt_tlm, 64> csr;
    /** Table entries, 8 bytes each at host physical addresses. */
    tlm_utils::simple_initiator_socket<dmt_tlm, 64> memory;
    /** Cycle-accurate: the clock. Loosely timed: not used, need not be bound. */
    sc_core::sc_port<sc_core::sc_signal_in_if<bool>, 1, sc_core::SC_ZERO_OR_MORE_BOUND> clk;
    /** The event line (event_o); need not be bound. */
    sc_core::sc_port<sc_core::sc_signal_write_if<bool>, 1, sc_core::SC_ZERO_OR_MORE_BOUND> event;

    /** config: a name in rtl/configs.json; an unknown one is a fatal report. period: of the clock; what
     * loosely timed annotations count in. */
    dmt_tlm(const sc_core::sc_module_name &name, timing how, const char *config,
            const sc_core::sc_time &period);
    ~dmt_tlm() override;

    const struct dmt_config &config() const;

    /** Use direct memory interfaces that the memory offers (default: yes). */
    void use_dmi(bool yes);

    /* For the engines. */
    void event_changed();

  private:
    void end_of_elaboration() override;
    void translate(int id, tlm::tlm_generic_payload &trans, sc_core::sc_time &delay);
    unsigned translate_dbg(int id, tlm::tlm_generic_payload &trans);
    bool no_dmi(int id, tlm::tlm_generic_payload &trans, tlm::tlm_dmi &dmi);
    void access(tlm::tlm_generic_payload &trans, sc_core::sc_time &delay);
    unsigned access_dbg(tlm::tlm_generic_payload &trans);
    void invalidate(sc_dt::uint64 start, sc_dt::uint64 end);
    void drive_event();

    std::unique_ptr<dmt_engine> engine;
    sc_core::sc_event event_update;
};

#endif
