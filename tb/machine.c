/* SPDX-License-Identifier: Apache-2.0
 * What both kinds of machine share, and the architectural model. */
#include "tb/machine_parts.h"
#include "dmt/regs.h"
#include "tb/lockstep.h"
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------ making */

static bool is_power_of_two(unsigned n)
{
    return n && !(n & (n - 1));
}

static bool choose_config(struct machine *m)
{
    const struct machine_options *o = &m->o;

    m->config = o->config ? *o->config : o->dut ? o->dut->config : dut_rtl_find("default")->config;
    for (const struct dut_ops *const *d = dut_rtl; *d; d++) {
        if (*d == o->dut && memcmp(&m->config, &o->dut->config, sizeof(m->config)) != 0)
            return cosim_fail("%s: cannot be made with these parameters", o->dut->name);
    }
    return true;
}

static bool prepare(struct machine *m)
{
    const struct machine_options *o = &m->o;

    if (o->threads < 1 || o->threads > DMT_THREADS_MAX)
        return cosim_fail("a machine has 1 to %u threads", DMT_THREADS_MAX);
    if (o->tlb_sets && !is_power_of_two(o->tlb_sets))
        return cosim_fail("the TLB has %u entries a page size: not a power of two", o->tlb_sets);
    if (!choose_config(m))
        return false;
    for (unsigned i = 0; i < o->threads && o->tlb_sets; i++) {
        if (!(m->tlb[i] = machine_tlb_new(o->tlb_sets)))
            return cosim_fail("out of memory");
    }
    if (o->dut)
        return live_new(m);
    for (unsigned i = 0; i < o->threads; i++) {
        if (!shadow_reset(&m->shadow[i], &m->config))
            return cosim_fail("out of memory");
    }
    return true;
}

struct machine *machine_new(const struct machine_options *o, struct dmt_mem *mem)
{
    struct machine *m = calloc(1, sizeof(*m));

    if (!m) {
        cosim_fail("out of memory");
        return NULL;
    }
    m->o = *o;
    m->mem = mem;
    m->ok = true;
    if (!prepare(m)) {
        machine_free(m);
        return NULL;
    }
    return m;
}

void machine_free(struct machine *m)
{
    if (!m)
        return;
    live_free(m);
    for (unsigned i = 0; i < DMT_THREADS_MAX; i++) {
        machine_tlb_free(m->tlb[i]);
        shadow_free(&m->shadow[i]);
    }
    free(m);
}

unsigned machine_threads(const struct machine *m)
{
    return m->o.threads;
}

const struct dmt_config *machine_config(const struct machine *m)
{
    return &m->config;
}

const struct machine_stats *machine_stats(const struct machine *m)
{
    return &m->stats;
}

bool machine_ok(const struct machine *m)
{
    return m->ok;
}

const struct dmt_state *machine_state(const struct machine *m, unsigned thread)
{
    return m->live ? live_state(m, thread) : &m->shadow[thread].state;
}

/* ------------------------------------------------------------ stores */

bool machine_exchange(struct machine *m, uint64_t pa, uint64_t value, uint64_t *old)
{
    unsigned after = m->live ? live_linger(m) : 0;

    if (!dmt_mem_read(m->mem, pa, old))
        return false;
    m->stats.stores++;
    if (!m->live)
        return dmt_mem_write(m->mem, pa, value);
    live_poke(m, pa, value);
    live_idle(m, after);
    return true;
}

bool machine_store(struct machine *m, uint64_t pa, uint64_t value)
{
    uint64_t old;

    return machine_exchange(m, pa, value, &old);
}

/* ------------------------------------------------------------ registers */

static enum dmt_resp read_word(void *user, uint64_t addr, uint64_t *data)
{
    const struct machine *m = user;

    return dmt_mem_read(m->mem, addr, data) ? DMT_RESP_OKAY : DMT_RESP_DECERR;
}

static bool model_csr(struct machine *m, unsigned thread, unsigned offset, uint64_t value)
{
    struct shadow *s = &m->shadow[thread];

    return shadow_write_from(s, offset, value, read_word, m) == DMT_RESP_OKAY &&
           s->refused_by == REFUSED_NONE;
}

/* Of what the shadow leaves to the cycle model there are the events of levels here, but for MULTI_HIT,
 * which no kernel here looks at. */
static uint64_t model_csr_read(struct machine *m, unsigned thread, unsigned offset)
{
    const struct shadow *s = &m->shadow[thread];
    enum dmt_resp resp;
    uint64_t value;

    if (!shadow_read(s, offset, &value, &resp) && offset < DMT_HOST_BASE)
        value = s->level_event[offset >> 12];
    return value;
}

void machine_csr(struct machine *m, unsigned thread, unsigned offset, uint64_t value)
{
    bool was_full = machine_state(m, thread)->full, accepted;

    m->stats.csr_writes++;
    accepted = m->live ? live_csr(m, thread, offset, value) : model_csr(m, thread, offset, value);
    if (accepted && m->tlb[thread])
        machine_tlb_written(m->tlb[thread], was_full, machine_state(m, thread), offset, value);
}

uint64_t machine_csr_read(struct machine *m, unsigned thread, unsigned offset)
{
    return m->live ? live_csr_read(m, thread, offset) : model_csr_read(m, thread, offset);
}

/* ------------------------------------------------------------ accesses */

static void count_walk(struct machine_stats *s, const struct machine_answer *a)
{
    const struct dmt_result *r = &a->result;
    unsigned used = 0, tea = 0;

    s->walks++;
    if (r->status != DMT_STATUS_OK)
        return;
    s->ok++;
    s->refs += r->refs;
    s->reads += r->reads;
    s->updates += r->updates;
    s->clocks += a->clocks;
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        used += r->path[k] != DMT_PATH_NOT_USED;
        tea += r->path[k] == DMT_PATH_TEA;
        s->stage_ok[k] += r->path[k] != DMT_PATH_NOT_USED;
        s->stage_tea[k] += r->path[k] == DMT_PATH_TEA;
    }
    s->covered += used && used == tea;
}

void machine_walked(struct machine *m, const struct machine_answer *a, const struct machine_leaf *leaf)
{
    count_walk(&m->stats, a);
    if (m->tlb[a->thread])
        machine_tlb_walked(m->tlb[a->thread], machine_state(m, a->thread), &a->request, &a->result, leaf);
    if (m->o.answer)
        m->o.answer(m->o.user, a);
}

/* A translation by the architectural model. */
struct access {
    struct machine *m;
    unsigned entering;
    struct machine_leaf leaf;
};

static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct access *a = user;

    if (!dmt_mem_read(a->m->mem, ref->addr, data))
        return DMT_RESP_DECERR;
    if (ref->stage == a->entering)
        machine_leaf_read(&a->leaf, ref->level, ref->tea, *data);
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    const struct access *a = user;

    return dmt_mem_write(a->m->mem, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

static void model_access(struct machine *m, struct machine_answer *answer)
{
    struct shadow *s = &m->shadow[answer->thread];
    struct access a = {.m = m, .entering = s->state.mode - 1u};
    struct dmt_port port = {.user = &a, .read = read_entry, .write = write_entry};

    dmt_arch_translate(&s->state, &answer->request, &port, &answer->result);
    s->counter[CNT_REQUEST]++;
    s->counter[CNT_READ] += answer->result.reads;
    s->counter[CNT_UPDATE] += answer->result.updates;
    shadow_count_end(s->counter, &answer->result);
    shadow_end_events(s, &answer->result);
    machine_walked(m, answer, &a.leaf);
}

void machine_access(struct machine *m, unsigned thread, const struct dmt_request *q, uint64_t user)
{
    struct machine_answer a = {.thread = thread, .request = *q, .user = user};

    m->stats.accesses++;
    if (m->tlb[thread] && machine_tlb_lookup(m->tlb[thread], machine_state(m, thread), q, &a.result)) {
        m->stats.tlb_hits++;
        a.from_tlb = true;
        if (m->o.answer)
            m->o.answer(m->o.user, &a);
    } else if (m->live) {
        live_access(m, thread, q, user);
    } else {
        model_access(m, &a);
    }
}

unsigned machine_in_flight(const struct machine *m, unsigned thread)
{
    return m->live ? live_in_flight(m, thread) : 0;
}

void machine_idle(struct machine *m, unsigned clocks)
{
    if (m->live)
        live_idle(m, clocks);
}

void machine_drain(struct machine *m)
{
    if (m->live)
        live_drain(m);
}
