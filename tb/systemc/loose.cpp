/* SPDX-License-Identifier: Apache-2.0
 * dmt_tlm, loosely timed: the architectural model over registers that follow the CSR bus alone (tb/shadow.h).
 * Its paging-structure caches hold what the hardware's hold, as long as requests come one after another, so
 * the clocks it annotates are those of the hardware, with PIPE = 0 and 1, and so are its counters. */
#include "tb/systemc/engine.h"
#include <algorithm>

extern "C" {
#include "tb/shadow.h"
}

namespace
{

using sc_core::sc_time;

/* What takes how long, in cycles: docs/microarchitecture.md section 4, and nowhere else in this file. */
struct latencies {
    unsigned launch;    /* from a walk step, or the request, to the first address */
    unsigned match;     /* more where an address is matched in between */
    unsigned chain;     /* for a register of KIND PA of a set above 0, but for the match where it leads */
    unsigned refusal;   /* for an answer that no entry gives, but for its match */
    unsigned step;      /* from an answer of memory to its walk step */
    unsigned write;     /* from the step that wants an exclusive write to that of its answer, memory's time apart */
    unsigned csr_write; /* a register access, from the cycle in which it is offered to the end of that of its answer */
    unsigned csr_read;
    unsigned loader;    /* from an answer of memory to its use by the loader */
    unsigned look;      /* before the loader reads a gTEA's entry */

    /* The requester takes the answer at the end of the cycle in which it is valid. */
    static constexpr unsigned taken = 1;
};

constexpr latencies plain{1, 0, 1, 1, 0, 2, 3, 2, 0, 0};
constexpr latencies piped{3, 1, 5, 5, 1, 3, 5, 2, 3, 1};

/* The clock of one walk. */
struct walk_clock {
    const latencies &take;
    const sc_time &period;
    uint64_t now = 0;   /* cycle of the last walk step; the request is taken in cycle 0 */
    uint64_t start = 0; /* first address of the current launch */
    uint64_t latency_of[3] = {0}; /* its reads */
    unsigned launched = 0, reads = 0, looked_at = 0; /* stage; of them all, and before it was decided */
    uint64_t swallowed[2] = {0}; /* cycles of its surplus reads' answers, */
    uint64_t surplus[DMT_SETS_MAX][2] = {{0}}; /* and of those of the launches before it */
    uint32_t matches = 0, chains = 0, surplus_reads = 0;

    walk_clock(const latencies &take, const sc_time &period) : take(take), period(period)
    {
    }

    uint64_t whole(const sc_time &t) const
    {
        uint64_t n = (t.value() + period.value() - 1) / period.value();

        return n ? n : 1; /* no answer comes in the cycle of its address */
    }

    /* What the walk has come to since the last step. */
    void catch_up(const struct dmt_result &r)
    {
        now += (r.matches - matches) * take.match + (r.chains - chains) * take.chain;
        matches = r.matches;
        chains = r.chains;
    }

    /* The first cycle from t on that R has for a read of this stage: its own surplus reads go before it, and a
     * cycle in which any is swallowed is taken. */
    uint64_t turn(unsigned stage, uint64_t t) const
    {
        t = std::max({t, surplus[stage][0], surplus[stage][1]});
        for (const auto &of : surplus)
            for (uint64_t cycle : of)
                t += cycle == t;
        return t;
    }

    /* Addresses leave one a cycle; of answers one is stepped a cycle, the first when the last address leaves. */
    void settle()
    {
        uint64_t step = 0;

        for (unsigned i = 0; i < reads; i++) {
            uint64_t due = start + i + latency_of[i];

            if (take.step && i) {
                /* Looked up while the one before is stepped, and again after it, for that changed its walk. */
                due = std::max(due, step);
                step = due + take.step + (due == step);
            } else {
                step = turn(launched, std::max(due, i ? step + 1 : start + (take.step ? 0 : reads - 1))) + take.step;
            }
            if (i < looked_at)
                now = step;
            else
                swallowed[i - looked_at] = step;
        }
    }

    void read(const sc_time &latency, bool beside, unsigned stage)
    {
        if (!beside) {
            finish();
            start = now + take.launch;
            launched = stage;
        }
        latency_of[reads++] = whole(latency);
        looked_at = reads;
        settle();
    }

    /* A smaller size's of the same launch, which nobody waits for. */
    void pass(const sc_time &latency)
    {
        latency_of[reads++] = whole(latency);
        surplus_reads++;
        settle();
    }

    /* The walk has ended. */
    void finish()
    {
        if (reads > looked_at)
            std::copy(swallowed, swallowed + 2, surplus[launched]);
        reads = looked_at = 0;
    }

    /* Cycles in which the finished walk's context was not free. */
    uint64_t busy(uint64_t clocks) const
    {
        uint64_t last = clocks - 1;

        for (const auto &of : surplus)
            last = std::max({last, of[0], of[1]});
        return last;
    }

    void write(const sc_time &latency)
    {
        now += whole(latency) + take.write;
    }

    /* Request taken to answer valid. */
    uint64_t answer(const struct dmt_result &r)
    {
        catch_up(r);
        return now + r.refused * take.refusal + 1;
    }
};

/* Clocks of the loader: its reads come in groups (3 words of an image, 2 of a gTEA) that are answered as a
 * whole. */
struct loader_clock {
    const walk_clock to_clocks;
    uint64_t clocks = 0, last = 0;
    unsigned in_group = 0;

    void read(uint64_t addr, const sc_time &latency)
    {
        bool follows = (in_group == 1 && addr == last + 8) || (in_group == 2 && addr == last - 16);
        bool entry = addr % 16 == 0; /* an image is read from its word 1 on */

        in_group = follows ? in_group + 1 : 1;
        clocks += follows ? std::max(1u, to_clocks.take.loader)
                          : to_clocks.whole(latency) + 1 + to_clocks.take.loader + entry * to_clocks.take.look;
        last = addr;
    }
};

/* One array of a paging-structure cache (microarchitecture 3.9): fully associative, first in, first out. */
struct array {
    struct entry {
        bool valid = false;
        uint8_t stage, rights;
        uint8_t tag1, tag0;
        uint16_t pcid;
        uint64_t prefix, table;

        bool same(const entry &o) const
        {
            return prefix == o.prefix && stage == o.stage && pcid == o.pcid && tag1 == o.tag1 &&
                   tag0 == o.tag0;
        }
    };
    std::vector<entry> entries;
    size_t next = 0;

    entry *find(const entry &key)
    {
        for (entry &e : entries) {
            if (e.valid && e.same(key))
                return &e;
        }
        return nullptr;
    }

    void fill(const entry &with)
    {
        entry *e = find(with);

        if (entries.empty())
            return;
        if (!e) {
            e = &entries[next];
            next = (next + 1) % entries.size();
        }
        *e = with;
        e->valid = true;
    }
};

constexpr unsigned deepest = 2, shallowest = 4; /* levels of cached entries */

class loose : public dmt_engine
{
  public:
    loose(dmt_tlm &top, const struct dut_ops &rtl, const sc_time &period);
    ~loose() override;

    void translate(const struct dmt_request &request, dmt_translation &to, sc_time &delay) override;
    enum dmt_resp write(unsigned offset, uint64_t data, unsigned strobes, sc_time &delay) override;
    enum dmt_resp read(unsigned offset, uint64_t *data, sc_time &delay) override;
    bool write_dbg(unsigned offset, uint64_t data, enum dmt_resp *resp) override;
    bool read_dbg(unsigned offset, uint64_t *data, enum dmt_resp *resp) override;
    const struct dmt_state &state() const override;
    bool event() const override;

  private:
    /* One translation or register write under way. Simulated time may pass in it, when the memory waits. */
    struct operation {
        loose *self;
        sc_time base; /* when it began, as its initiator sees it */
        walk_clock clock;
        loader_clock loader;
        const struct dmt_result *so_far = nullptr; /* of a walk */
        unsigned lost = 0;

        operation(loose *self, const sc_time &delay)
            : self(self), base(sc_core::sc_time_stamp() + delay), clock(self->take, self->period), loader{clock}
        {
        }

        /* It waited for others before it could begin. */
        void begin()
        {
            base = std::max(base, sc_core::sc_time_stamp());
        }

        /* The delay that is left to annotate when n clocks have gone by. */
        sc_time left(uint64_t n) const
        {
            sc_time then = base + self->clocks(n), now = sc_core::sc_time_stamp();

            return then > now ? then - now : sc_core::SC_ZERO_TIME;
        }

        enum dmt_resp transact(tlm::tlm_command command, uint64_t addr, uint64_t *data, uint64_t after,
                               dmt_exclusive *with, sc_time *latency)
        {
            sc_time delay = left(after), before = sc_core::sc_time_stamp() + delay;
            enum dmt_resp resp = self->port.transact(command, addr, data, delay, with);

            *latency = sc_core::sc_time_stamp() + delay - before;
            return resp;
        }
    };

    static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data);
    static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data);
    static void surplus_entry(void *user, const struct dmt_ref *ref);
    static bool start_cached(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table,
                             uint8_t *rights);
    static void fill_cache(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table,
                           uint8_t rights);
    static void flushed(void *user, unsigned kinds, int pcid, int tag1, int tag0);
    static enum dmt_resp load_word(void *user, uint64_t addr, uint64_t *data);
    static enum dmt_resp peek_word(void *user, uint64_t addr, uint64_t *data);

    sc_time clocks(uint64_t n) const
    {
        return sc_time::from_value(n * period.value());
    }
    bool is_second(unsigned stage) const
    {
        return stage + 1u != shadow.state.mode;
    }
    array::entry key(unsigned stage, uint64_t va, unsigned level) const;
    void count(const struct dmt_result &r, const operation &walk, uint64_t clocks);
    enum dmt_resp peek_register(unsigned offset, uint64_t *data) const;
    void event_line();

    const sc_time period;
    const latencies &take;
    struct shadow shadow = {};
    array cache[2][shallowest + 1]; /* [virtual, physical][level] */
    std::vector<sc_time> late; /* cycles in which surplus reads are swallowed after their walk's answer */
    unsigned walking = 0;
    bool writing = false, draining = false, line = false;
    sc_core::sc_event freed{"freed"};
};

loose::loose(dmt_tlm &top, const struct dut_ops &rtl, const sc_time &period)
    : dmt_engine(top, rtl), period(period), take(rtl.config.pipe ? piped : plain)
{
    const struct dmt_config &c = rtl.config;
    const unsigned sizes[2][3] = {{c.pwc2_n, c.pwc3_n, c.pwc4_n}, {c.npwc2_n, c.npwc3_n, c.npwc4_n}};

    if (!shadow_reset(&shadow, &c))
        SC_REPORT_FATAL("dmt_tlm", "out of memory");
    shadow.flushed = flushed;
    shadow.flushed_user = this;
    for (unsigned kind = 0; kind < 2; kind++) {
        for (unsigned level = deepest; level <= shallowest; level++)
            cache[kind][level].entries.resize(sizes[kind][level - deepest]);
    }
}

loose::~loose()
{
    shadow_free(&shadow);
}

/* ------------------------------------------------------------ a walk */

enum dmt_resp loose::read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    operation &w = *static_cast<operation *>(user);
    enum dmt_resp resp = DMT_RESP_OKAY;
    dmt_exclusive exclusive;
    sc_time latency;

    w.clock.catch_up(*w.so_far);
    if (ref->exclusive || !w.self->port.direct(ref->addr, data, &latency))
        resp = w.transact(tlm::TLM_READ_COMMAND, ref->addr, data, w.clock.now,
                          ref->exclusive ? &exclusive : nullptr, &latency);
    w.clock.read(latency, ref->beside && !ref->exclusive, ref->stage);
    return resp;
}

void loose::surplus_entry(void *user, const struct dmt_ref *ref)
{
    operation &w = *static_cast<operation *>(user);
    uint64_t data;
    sc_time latency;

    if (!w.self->port.direct(ref->addr, &data, &latency))
        w.transact(tlm::TLM_READ_COMMAND, ref->addr, &data, w.clock.now, nullptr, &latency);
    w.clock.pass(latency);
}

enum dmt_resp loose::write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    operation &w = *static_cast<operation *>(user);
    dmt_exclusive exclusive;
    sc_time latency;
    enum dmt_resp resp =
        w.transact(tlm::TLM_WRITE_COMMAND, ref->addr, &data, w.clock.now, &exclusive, &latency);

    w.clock.write(latency);
    w.lost += resp == DMT_RESP_OKAY;
    return resp;
}

array::entry loose::key(unsigned stage, uint64_t va, unsigned level) const
{
    const struct dmt_state &s = shadow.state;
    const struct dmt_level &l = s.level[stage];
    bool second = is_second(stage);
    array::entry e = {};

    e.prefix = (va & ((uint64_t(1) << 57) - 1)) >> (9 * level + 3);
    e.stage = static_cast<uint8_t>(stage);
    if (!second && (l.cr4 & DMT_LEVEL_CR4_PCIDE_MASK))
        e.pcid = l.cr3 & DMT_LEVEL_CR3_PCID_MASK;
    if (stage == 2 || (stage == 1 && second))
        e.tag1 = s.s2[1].tag;
    if (s.mode > DMT_MODE_NATIVE)
        e.tag0 = s.s2[0].tag;
    return e;
}

bool loose::start_cached(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table,
                         uint8_t *rights)
{
    loose &self = *static_cast<operation *>(user)->self;
    bool second = self.is_second(stage);

    for (unsigned l = deepest; l <= shallowest; l++) {
        array &a = self.cache[second][l];
        const array::entry *e = a.entries.empty() ? nullptr : a.find(self.key(stage, va, l));

        if (e) {
            *level = static_cast<uint8_t>(l - 1);
            *table = e->table;
            *rights = e->rights;
            self.shadow.counter[(second ? CNT_NPWC4 : CNT_PWC4) + shallowest - l]++;
            return true;
        }
    }
    return false;
}

void loose::fill_cache(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights)
{
    loose &self = *static_cast<operation *>(user)->self;
    array::entry e = self.key(stage, va, level);

    e.table = table;
    e.rights = rights;
    self.cache[self.is_second(stage)][level].fill(e);
}

/* PCIDs and tags that an entry does not depend on are zero in it and negative here. */
void loose::flushed(void *user, unsigned kinds, int pcid, int tag1, int tag0)
{
    loose &self = *static_cast<loose *>(user);

    for (unsigned kind = 0; kind < 2; kind++) {
        for (unsigned level = deepest; level <= shallowest; level++) {
            for (array::entry &e : self.cache[kind][level].entries) {
                if ((kinds >> (3 * kind + e.stage) & 1) && (pcid < 0 || e.pcid == pcid) &&
                    (tag1 < 0 || e.tag1 == tag1) && (tag0 < 0 || e.tag0 == tag0))
                    e.valid = false;
            }
        }
    }
}

void loose::count(const struct dmt_result &r, const operation &walk, uint64_t clocks)
{
    shadow.counter[CNT_REQUEST]++;
    shadow.counter[CNT_READ] += r.reads + walk.clock.surplus_reads;
    shadow.counter[CNT_UPDATE] += r.updates;
    shadow.counter[CNT_LOST] += walk.lost;
    shadow.counter[CNT_BUSY] += walk.clock.busy(clocks);
    shadow_count_end(shadow.counter, &r);
    shadow_end_events(&shadow, &r);
    for (unsigned k = 0; r.multi_hit >> k; k++)
        shadow.level_event[k] |= r.multi_hit >> k & 1 ? DMT_LEVEL_EVENT_MULTI_HIT_MASK : 0;
}

void loose::translate(const struct dmt_request &request, dmt_translation &to, sc_time &delay)
{
    operation walk(this, delay);
    const struct dmt_port port = {&walk, read_entry, write_entry, start_cached, fill_cache, surplus_entry};

    while (draining)
        sc_core::wait(freed);
    walk.begin();
    walk.so_far = &to.answer;
    walking++;
    dmt_arch_translate(&shadow.state, &request, &port, &to.answer);
    walking--;
    if (draining)
        freed.notify();
    to.clocks = static_cast<uint32_t>(walk.clock.answer(to.answer));
    walk.clock.finish();
    if (walk.clock.now == 0 && !to.answer.refused) {
        /* Answered at once, with PIPE = 1 in a cycle in which nothing is stepped. */
        while (take.step && std::count(late.begin(), late.end(), walk.base + clocks(to.clocks - 1)))
            to.clocks++;
    } else {
        late.clear();
        for (const auto &of : walk.clock.surplus)
            for (uint64_t cycle : of)
                if (cycle >= to.clocks)
                    late.push_back(walk.base + clocks(cycle));
    }
    count(to.answer, walk, to.clocks);
    delay = walk.left(to.clocks + latencies::taken);
    event_line();
}

/* ------------------------------------------------------------ registers */

enum dmt_resp loose::load_word(void *user, uint64_t addr, uint64_t *data)
{
    operation &w = *static_cast<operation *>(user);
    enum dmt_resp resp = DMT_RESP_OKAY;
    sc_time latency;

    if (!w.self->port.direct(addr, data, &latency))
        resp = w.transact(tlm::TLM_READ_COMMAND, addr, data, w.loader.clocks, nullptr, &latency);
    w.loader.read(addr, latency);
    return resp;
}

enum dmt_resp loose::peek_word(void *user, uint64_t addr, uint64_t *data)
{
    return static_cast<loose *>(user)->port.read_dbg(addr, data);
}

/* One write after the other; a draining one when no walk is in flight, and no walk begins meanwhile
 * (microarchitecture 5). Walks are in flight here only while the memory waits. */
enum dmt_resp loose::write(unsigned offset, uint64_t data, unsigned strobes, sc_time &delay)
{
    operation op(this, delay);
    enum dmt_resp resp;

    while (writing)
        sc_core::wait(freed);
    writing = true;
    draining = shadow_drains(&shadow, offset, strobes);
    while (draining && walking)
        sc_core::wait(freed);
    op.begin();
    resp = strobes == 0xff ? shadow_write_from(&shadow, offset, data, load_word, &op)
                           : shadow_write(&shadow, offset, data, strobes, nullptr, 0);
    writing = draining = false;
    freed.notify();
    delay = op.left(take.csr_write + op.loader.clocks);
    event_line();
    return resp;
}

enum dmt_resp loose::peek_register(unsigned offset, uint64_t *data) const
{
    enum dmt_resp resp;

    /* Of what the shadow leaves to others, counters are counted in its own, and events noted there. */
    if (!shadow_read(&shadow, offset, data, &resp) && offset < DMT_HOST_BASE)
        *data = shadow.level_event[offset >> 12];
    return resp;
}

enum dmt_resp loose::read(unsigned offset, uint64_t *data, sc_time &delay)
{
    delay += clocks(take.csr_read);
    return peek_register(offset, data);
}

bool loose::write_dbg(unsigned offset, uint64_t data, enum dmt_resp *resp)
{
    if (writing || walking)
        return false;
    *resp = shadow_write_from(&shadow, offset, data, peek_word, this);
    event_line();
    return true;
}

bool loose::read_dbg(unsigned offset, uint64_t *data, enum dmt_resp *resp)
{
    *resp = peek_register(offset, data);
    return true;
}

const struct dmt_state &loose::state() const
{
    return shadow.state;
}

bool loose::event() const
{
    uint64_t any = shadow.host_event & shadow.host_mask;

    for (unsigned k = 0; k < DMT_SETS_MAX; k++)
        any |= shadow.level_event[k] & shadow.level_mask[k];
    return any != 0;
}

void loose::event_line()
{
    if (event() != line) {
        line = !line;
        top.event_changed();
    }
}

} // namespace

std::unique_ptr<dmt_engine> loose_engine(dmt_tlm &top, const struct dut_ops &rtl,
                                         const sc_core::sc_time &period)
{
    return std::make_unique<loose>(top, rtl, period);
}
