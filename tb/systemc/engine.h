/* SPDX-License-Identifier: Apache-2.0
 * What is behind the sockets of dmt_tlm: the two engines and the memory they share the way to. */
#ifndef DMT_ENGINE_H
#define DMT_ENGINE_H

#include "tb/systemc/dmt_tlm.h"
#include <map>
#include <vector>

extern "C" {
#include "tb/dut.h"
}

/** The memory socket, with what it has granted for direct access. Calls that are not direct may wait. */
class memory_port
{
  public:
    using socket = tlm_utils::simple_initiator_socket<dmt_tlm, 64>;

    explicit memory_port(socket &to) : to(to), near(near_size)
    {
    }

    bool use_dmi = true;

    /** Read by direct access, with the latency that was granted. False: not granted. */
    bool direct(uint64_t addr, uint64_t *data, sc_core::sc_time *latency);
    /** A transaction, which adds to delay. `with`: exclusive; its result is the response. */
    enum dmt_resp transact(tlm::tlm_command command, uint64_t addr, uint64_t *data, sc_core::sc_time &delay,
                           dmt_exclusive *with = nullptr);
    /** By transport_dbg: no time, no side effect. */
    enum dmt_resp read_dbg(uint64_t addr, uint64_t *data);
    void invalidate(uint64_t start, uint64_t end);

  private:
    struct region {
        uint64_t end;
        unsigned char *bytes;
        sc_core::sc_time latency;
    };
    /* The regions once more by frame, so that a read costs no search. */
    struct frame {
        uint64_t number = UINT64_MAX;
        unsigned char *bytes = nullptr;
        sc_core::sc_time latency;
    };
    static constexpr size_t near_size = 4096; /* a power of two */

    void ask(uint64_t addr);
    const region *find(uint64_t addr, uint64_t *start) const;

    socket &to;
    std::map<uint64_t, region> regions; /* by first address, not overlapping */
    std::vector<frame> near;
    std::vector<std::unique_ptr<tlm::tlm_generic_payload>> spare;
};

class dmt_engine
{
  public:
    dmt_engine(dmt_tlm &top, const struct dut_ops &rtl) : top(top), port(top.memory), rtl(rtl)
    {
    }
    virtual ~dmt_engine() = default;

    /** From a thread; consumes delay or adds to it. */
    virtual void translate(const struct dmt_request &request, dmt_translation &to,
                           sc_core::sc_time &delay) = 0;
    virtual enum dmt_resp write(unsigned offset, uint64_t data, unsigned strobes,
                                sc_core::sc_time &delay) = 0;
    virtual enum dmt_resp read(unsigned offset, uint64_t *data, sc_core::sc_time &delay) = 0;

    /** Without time. False: not possible now. */
    virtual bool write_dbg(unsigned offset, uint64_t data, enum dmt_resp *resp) = 0;
    virtual bool read_dbg(unsigned offset, uint64_t *data, enum dmt_resp *resp) = 0;
    /** What a translation depends on, as it is now. */
    virtual const struct dmt_state &state() const = 0;
    /** The event line. */
    virtual bool event() const = 0;
    virtual void end_of_elaboration()
    {
    }

    const struct dmt_config &config() const
    {
        return rtl.config;
    }

    dmt_tlm &top;
    memory_port port;

  protected:
    const struct dut_ops &rtl;
};

std::unique_ptr<dmt_engine> loose_engine(dmt_tlm &top, const struct dut_ops &rtl,
                                         const sc_core::sc_time &period);
std::unique_ptr<dmt_engine> cycle_engine(dmt_tlm &top, const struct dut_ops &rtl);

#endif
