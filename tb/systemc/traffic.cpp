/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/systemc/traffic.h"
#include <tlm_utils/tlm_quantumkeeper.h>

extern "C" {
#include "tb/csr.h"
}

namespace
{

/* A payload of one word, and the extension that goes with a translation. */
struct packet {
    tlm::tlm_generic_payload trans;
    uint64_t data = 0;

    packet(tlm::tlm_command command, uint64_t addr)
    {
        trans.set_command(command);
        trans.set_address(addr);
        trans.set_data_ptr(reinterpret_cast<unsigned char *>(&data));
        trans.set_data_length(sizeof(data));
        trans.set_streaming_width(sizeof(data));
    }
};

struct translation : packet {
    dmt_translation x;

    translation() : packet(tlm::TLM_READ_COMMAND, 0)
    {
        trans.set_extension(&x);
    }

    ~translation()
    {
        trans.clear_extension(&x); /* it is not the payload's to free */
    }

    void set(const struct dmt_request &q)
    {
        trans.set_address(q.va);
        trans.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
        x.access = q.access;
        x.cpl = q.cpl;
        x.ac = q.ac;
        x.implicit = q.implicit;
        x.nonspec = q.nonspec;
    }
};

} // namespace

const char *traffic_difference(const struct dmt_result &a, const struct dmt_result &b, unsigned first_path,
                               uint64_t *of_a, uint64_t *of_b)
{
#define COMPARE(field)                                                                                       \
    do {                                                                                                     \
        *of_a = a.field;                                                                                     \
        *of_b = b.field;                                                                                     \
        if (*of_a != *of_b)                                                                                  \
            return #field;                                                                                   \
    } while (0)
    COMPARE(status);
    COMPARE(pa);
    COMPARE(size);
    COMPARE(rights);
    COMPARE(global);
    COMPARE(pkey);
    COMPARE(memtype);
    COMPARE(dirty);
    COMPARE(ad_needed);
    COMPARE(error);
    COMPARE(addr);
    COMPARE(stage);
    for (unsigned k = first_path; k < DMT_SETS_MAX; k++) {
        COMPARE(path[k]);
        COMPARE(index[k]);
    }
#undef COMPARE
    return nullptr;
}

traffic::traffic(const sc_core::sc_module_name &name, const struct dmt_config &config)
    : sc_module(name), requests("requests"), csr("csr"), config(config)
{
    dmt_state_reset(&have, config.pa_w);
}

tlm::tlm_response_status traffic::write(unsigned offset, uint64_t value, sc_core::sc_time &delay)
{
    packet p(tlm::TLM_WRITE_COMMAND, offset);

    p.data = value;
    csr->b_transport(p.trans, delay);
    return p.trans.get_response_status();
}

tlm::tlm_response_status traffic::read(unsigned offset, uint64_t *value, sc_core::sc_time &delay)
{
    packet p(tlm::TLM_READ_COMMAND, offset);

    csr->b_transport(p.trans, delay);
    *value = p.data;
    return p.trans.get_response_status();
}

const char *traffic::program(const struct dmt_state &want)
{
    auto list = std::make_unique<struct csr>();
    sc_core::sc_time delay;
    const char *missing;

    csr_reset(list.get(), 0);
    missing = csr_program(list.get(), &config, &have, &want);
    if (missing)
        return missing;
    for (uint64_t i = 0; i < list->writes; i++)
        write(list->write[i].addr, list->write[i].data, delay);
    sc_core::wait(delay);
    return nullptr;
}

void traffic::forget()
{
    const uint64_t unknown = ~uint64_t(0); /* nothing that is written reads so */
    sc_core::sc_time delay;

    have.mode = have.maxpa = 0xff;
    for (unsigned k = 0; k < config.sets; k++) {
        struct dmt_level &l = have.level[k];

        l.cr0 = l.cr3 = l.cr4 = l.efer = unknown;
        have.gtea[k].table = unknown;
        have.gtea[k].entries = 0xffff;
        for (unsigned i = 0; i < config.tea_n; i++) {
            have.tea[k][i].valid = true;
            have.tea[k][i].pages = 0; /* of no valid register */
        }
        /* Every value of these is one that a state can ask for. */
        l.pkru = l.pkrs = 0;
        write(DMT_LEVEL_BASE(k) + DMT_LEVEL_PKRU, 0, delay);
        write(DMT_LEVEL_BASE(k) + DMT_LEVEL_PKRS, 0, delay);
    }
    for (struct dmt_s2 *t : {&have.s2[0], &have.s2[1], &have.shadow}) {
        t->root = unknown;
        t->format = 2;
    }
    sc_core::wait(delay);
}

traffic_answer traffic::translate(const struct dmt_request &request, sc_core::sc_time &delay)
{
    translation t;

    t.set(request);
    requests->b_transport(t.trans, delay);
    return {t.x.answer, t.x.clocks};
}

void traffic::context(const std::vector<struct dmt_request> &list, uint64_t first, uint64_t n, unsigned step,
                      std::vector<traffic_answer> &kept)
{
    tlm_utils::tlm_quantumkeeper keeper;
    translation t;

    keeper.reset();
    for (uint64_t i = first, at = first % list.size(); i < n; i += step) {
        sc_core::sc_time delay = keeper.get_local_time();

        t.set(list[at]);
        requests->b_transport(t.trans, delay);
        keeper.set(delay);
        if (keeper.need_sync()) {
            keeper.sync();
            syncs++;
        }
        clocks += t.x.clocks;
        status[t.x.answer.status]++;
        if (i < kept.size())
            kept[i] = {t.x.answer, t.x.clocks};
        for (at += step; at >= list.size();)
            at -= list.size();
    }
    keeper.sync();
}

void traffic::run(const std::vector<struct dmt_request> &list, uint64_t n, unsigned contexts,
                  std::vector<traffic_answer> &kept)
{
    std::vector<sc_core::sc_process_handle> threads;

    for (unsigned c = 0; c < contexts; c++)
        threads.push_back(
            sc_core::sc_spawn([this, &list, &kept, c, n, contexts] { context(list, c, n, contexts, kept); },
                              sc_core::sc_gen_unique_name("context")));
    for (auto &t : threads) {
        if (!t.terminated())
            sc_core::wait(t.terminated_event());
    }
}
