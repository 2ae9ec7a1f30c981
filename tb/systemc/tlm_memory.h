/* SPDX-License-Identifier: Apache-2.0
 * A memory for platforms: the frames of a struct dmt_mem behind a TLM-2.0 socket, with debug access, direct
 * reads, and the exclusive monitor that dmt_tlm's accessed and dirty updates need. */
#ifndef DMT_TLM_MEMORY_H
#define DMT_TLM_MEMORY_H

#include "tb/systemc/dmt_tlm.h"
#include <vector>

extern "C" {
#include "dmt/mem.h"
}

class tlm_memory : public sc_core::sc_module
{
  public:
    /** Any number of initiators. Accesses stay within a frame of 4 KiB; absent frames are address errors. */
    tlm_utils::multi_passthrough_target_socket<tlm_memory, 64> socket;

    sc_core::sc_time latency; /**< of every access; those with direct access keep what they were told */
    bool offer_dmi = true;    /**< of whole frames, for reading: every store passes the monitor */
    bool monitor = true;      /**< false: dmt_exclusive is ignored */
    bool waits = false;       /**< the latency is waited for, not annotated */

    /* What came, for platforms and tests. */
    uint64_t reads = 0, writes = 0, exclusive_reads = 0, exclusive_writes = 0, lost = 0, grants = 0;

    /** mem is not owned. */
    tlm_memory(const sc_core::sc_module_name &name, struct dmt_mem *mem, const sc_core::sc_time &latency);

    /** Other content from now on; direct access is taken back. */
    void use(struct dmt_mem *other);
    /** Take direct access to [start, end] back from everyone. */
    void withdraw(uint64_t start, uint64_t end);

  protected:
    /** What direct readers of a frame may keep; a platform that moves frames overrides it. */
    virtual unsigned char *direct(uint64_t pfn);

  private:
    struct reservation {
        int initiator;
        unsigned id;
        uint64_t addr;
    };

    void transport(int initiator, tlm::tlm_generic_payload &trans, sc_core::sc_time &delay);
    unsigned debug(int initiator, tlm::tlm_generic_payload &trans);
    bool get_direct(int initiator, tlm::tlm_generic_payload &trans, tlm::tlm_dmi &dmi);
    void access(int initiator, tlm::tlm_generic_payload &trans);
    unsigned char *bytes(const tlm::tlm_generic_payload &trans) const;
    void stored(uint64_t addr, unsigned length);
    std::vector<reservation>::iterator held(int initiator, unsigned id);

    struct dmt_mem *mem;
    std::vector<reservation> reservations;
};

#endif
