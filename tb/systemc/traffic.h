/* SPDX-License-Identifier: Apache-2.0
 * An initiator for platforms: software that programs the registers, and contexts that translate, each a
 * thread with a quantum of its own. */
#ifndef DMT_TLM_TRAFFIC_H
#define DMT_TLM_TRAFFIC_H

#include "tb/systemc/dmt_tlm.h"
#include <vector>

/** One translation, as its initiator got it. */
struct traffic_answer {
    struct dmt_result result;
    uint32_t clocks; /**< as dmt_translation has it */
};

/** The first field in which two answers differ, with the values, or NULL. The path and index of stages below
 * first_path are not compared: of walks that may have started in a cache only the entering stage's are the
 * same. */
const char *traffic_difference(const struct dmt_result &a, const struct dmt_result &b, unsigned first_path,
                               uint64_t *of_a, uint64_t *of_b);

class traffic : public sc_core::sc_module
{
  public:
    tlm_utils::simple_initiator_socket<traffic, 64> requests;
    tlm_utils::simple_initiator_socket<traffic, 64> csr;

    traffic(const sc_core::sc_module_name &name, const struct dmt_config &config);

    /* All of these from a thread. */

    /** One register access; delay is added to. */
    tlm::tlm_response_status write(unsigned offset, uint64_t value, sc_core::sc_time &delay);
    tlm::tlm_response_status read(unsigned offset, uint64_t *value, sc_core::sc_time &delay);
    /** The register writes that lead from those in force to these. NULL, or what the instance does not have.
     */
    const char *program(const struct dmt_state &want);
    /** Others have written registers: program() writes every one next time. */
    void forget();

    /** One translation; delay is added to. */
    traffic_answer translate(const struct dmt_request &request, sc_core::sc_time &delay);

    /** Translate request i of n in context i % contexts, in order, each context under its own quantum keeper
     * (IEEE 1666, tlm_utils::tlm_quantumkeeper); requests are list[i % size]. Answers 0 to keep-1 go to
     * kept. Returns when all are done. */
    void run(const std::vector<struct dmt_request> &list, uint64_t n, unsigned contexts,
             std::vector<traffic_answer> &kept);

    uint64_t syncs = 0;  /**< of all quantum keepers */
    uint64_t clocks = 0; /**< sum over the translations of run() */
    uint64_t status[9] = {};

  private:
    void context(const std::vector<struct dmt_request> &list, uint64_t first, uint64_t n, unsigned step,
                 std::vector<traffic_answer> &kept);

    const struct dmt_config config;
    struct dmt_state have;
};

#endif
