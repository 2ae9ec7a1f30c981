/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/agent.h"
#include "dmt/arch.h"
#include <stdlib.h>
#include <string.h>

#define ALWAYS 65536

const struct agent_profile agent_profiles[] = {
    { .name = "zero-wait", .latency = AGENT_FIXED, .lo = 1, .ar = ALWAYS, .aw = ALWAYS, .w = ALWAYS,
      .r = ALWAYS, .b = ALWAYS },
    { .name = "uniform", .latency = AGENT_UNIFORM, .lo = 1, .hi = 24, .ar = 58000, .aw = 50000, .w = 50000,
      .r = 60000, .b = 50000, .lost = 2000 },
    { .name = "heavy-tail", .latency = AGENT_HEAVY, .lo = 3, .hi = 300, .reorder = true, .ar = ALWAYS,
      .aw = ALWAYS, .w = ALWAYS, .r = ALWAYS, .b = ALWAYS, .lost = 500 },
    { .name = "hit-miss", .latency = AGENT_TWO, .lo = 2, .hi = 60, .reorder = true, .ar = ALWAYS,
      .aw = ALWAYS, .w = ALWAYS, .r = ALWAYS, .b = ALWAYS, .lost = 500 },
    { .name = "reorder", .latency = AGENT_UNIFORM, .lo = 1, .hi = 40, .reorder = true, .ar = ALWAYS,
      .aw = 40000, .w = 30000, .r = 50000, .b = 40000, .lost = 4000 },
    { .name = "starve", .latency = AGENT_UNIFORM, .lo = 1, .hi = 8, .reorder = true, .starve = true,
      .ar = 60000, .aw = 60000, .w = 60000, .r = 60000, .b = 60000, .lost = 2000 },
    { .name = "back-pressure", .latency = AGENT_UNIFORM, .lo = 1, .hi = 4, .ar = 9000, .aw = 7000, .w = 7000,
      .r = 30000, .b = 20000, .lost = 8000 },
    { .name = "errors", .latency = AGENT_UNIFORM, .lo = 1, .hi = 12, .reorder = true, .ar = 50000,
      .aw = 50000, .w = 50000, .r = 50000, .b = 50000, .slverr = 3000, .lost = 6000 },
    { .name = "no-monitor", .latency = AGENT_UNIFORM, .lo = 1, .hi = 6, .no_monitor = true, .ar = ALWAYS,
      .aw = ALWAYS, .w = ALWAYS, .r = ALWAYS, .b = ALWAYS },
    { .name = NULL },
};

bool agent_profile_find(const char *name, struct agent_profile *out)
{
    for (const struct agent_profile *p = agent_profiles; p->name; p++) {
        if (strcmp(p->name, name) == 0) {
            *out = *p;
            return true;
        }
    }
    if (strncmp(name, "fixed-", 6) == 0) {
        char *end;
        unsigned long clocks = strtoul(name + 6, &end, 10);

        if (name[6] >= '0' && name[6] <= '9' && !*end && clocks >= 1 && clocks <= 1000) {
            *out = agent_profiles[0];
            out->name = "fixed";
            out->lo = (unsigned)clocks;
            return true;
        }
    }
    return false;
}

void agent_reset(struct agent *a, const struct agent_profile *profile, uint64_t seed)
{
    struct dmt_mem *mem = a->mem;
    struct agent *peer = a->peer;
    const struct dmt_mem *pristine = a->pristine;
    const uint64_t *ept = a->ept;
    unsigned disturb = a->disturb, heal = a->heal, ept_n = a->ept_n;
    uint64_t max_pfn = a->max_pfn, pokes = a->pokes;
    bool overtake = a->overtake;

    memset(a, 0, sizeof(*a));
    a->mem = mem;
    a->peer = peer;
    a->pristine = pristine;
    a->disturb = disturb;
    a->heal = heal;
    a->ept = ept;
    a->ept_n = ept_n;
    a->max_pfn = max_pfn;
    a->pokes = pokes;
    a->overtake = overtake;
    a->profile = *profile;
    a->stopped = -1;
    rng_seed(&a->rng, seed, 0xa9e);
}

static unsigned latency(struct agent *a, uint64_t addr)
{
    const struct agent_profile *p = &a->profile;

    if (a->clocks)
        return a->clocks(a->clocks_user, addr);
    switch (p->latency) {
    case AGENT_UNIFORM:
        return p->lo + (unsigned)rng_below(&a->rng, p->hi - p->lo + 1);
    case AGENT_HEAVY:
        return rng_below(&a->rng, 32) ? p->lo : p->lo + (unsigned)rng_below(&a->rng, p->hi - p->lo + 1);
    case AGENT_TWO:
        return rng_below(&a->rng, 2) ? p->lo : p->hi;
    default:
        return p->lo;
    }
}

/* Skip the generator for what is certain, so that a steady memory costs no time. */
static bool chance(struct agent *a, unsigned p)
{
    return p >= ALWAYS || (p && rng_chance(&a->rng, p));
}

static bool holds(const struct agent_ids *s, unsigned id)
{
    return s->word[id / 64] >> id % 64 & 1;
}

static void put(struct agent_ids *s, unsigned id, bool in)
{
    uint64_t bit = 1ull << id % 64;

    s->word[id / 64] = in ? s->word[id / 64] | bit : s->word[id / 64] & ~bit;
}

/* The first member from `id` on, or DMT_PTE_IDS. */
static unsigned from(const struct agent_ids *s, unsigned id)
{
    uint64_t rest = id < DMT_PTE_IDS ? s->word[id / 64] >> id % 64 : 0;

    if (rest)
        return id + (unsigned)__builtin_ctzll(rest);
    for (unsigned n = id / 64 + 1; n < DMT_PTE_IDS / 64; n++) {
        if (s->word[n])
            return 64 * n + (unsigned)__builtin_ctzll(s->word[n]);
    }
    return DMT_PTE_IDS;
}

#define EACH_ID(id, set) (unsigned id = from(set, 0); id < DMT_PTE_IDS; id = from(set, id + 1))

/* A store: of every monitor of this memory. */
static void kill_reservations(struct agent *a, uint64_t addr)
{
    struct agent *at = a;

    do {
        for EACH_ID (id, &at->reserved) {
            if (at->reservation[id] == addr)
                put(&at->reserved, id, false);
        }
        at = at->peer;
    } while (at && at != a);
}

bool agent_poke(struct agent *a, uint64_t addr, uint64_t value)
{
    addr &= ~7ull;
    if (!dmt_mem_write(a->mem, addr, value))
        return false;
    kill_reservations(a, addr);
    a->pokes++;
    return true;
}

static bool is_ept(const struct agent *a, uint64_t addr)
{
    for (unsigned i = 0; i < a->ept_n; i++) {
        if (a->ept[i] == addr >> 12)
            return true;
    }
    return false;
}

/* Put an entry back: the one broken first, or this one. */
static void heal(struct agent *a, uint64_t addr)
{
    uint64_t was;

    if (a->broken_n) {
        addr = a->broken_entry[0];
        a->broken_n--;
        memmove(&a->broken_entry[0], &a->broken_entry[1], a->broken_n * sizeof(addr));
    }
    if (a->pristine && dmt_mem_read(a->pristine, addr, &was))
        agent_poke(a, addr, was);
}

/* Another processor changes an entry, mostly one that a walk has just read:
 * the accessed, dirty and present bits, the rights, the frame, or back to
 * what it was so that the tables do not decay. */
static void disturb(struct agent *a)
{
    uint64_t r = rng_next(&a->rng);
    uint64_t addr = a->recent[r & 15], value;
    unsigned what = r >> 8 & 31, accessed;

    if (!addr || !dmt_mem_read(a->mem, addr, &value))
        return;
    if ((r >> 4 & 15) == 0) {
        addr = (addr & ~0xfffull) | (r >> 16 & 0xff8);
        if (!dmt_mem_read(a->mem, addr, &value))
            return;
    }
    if (what < a->heal) {
        heal(a, addr);
        return;
    }
    accessed = is_ept(a, addr) ? 8 : 5;
    what = (unsigned)rng_below(&a->rng, 20);
    if (what < 5) {
        value ^= 1ull << accessed;
    } else if (what < 9) {
        value ^= 2ull << accessed;
    } else if (what < 12) {
        value &= ~(3ull << accessed);
    } else {
        if (what < 14)
            value ^= 1;
        else if (what < 16)
            value ^= 1ull << (r >> 20 & 1 ? 1 : 2);
        else if (what < 17)
            value ^= 1ull << 7;
        else if (what < 18)
            value ^= 1ull << 63;
        else if (what < 19)
            value ^= 1ull << (r >> 20 & 63);
        else
            value = (value & ~0x000ffffffffff000ull) | rng_below(&a->rng, a->max_pfn ? a->max_pfn : 1) << 12;
        if (a->broken_n < 16)
            a->broken_entry[a->broken_n++] = addr;
    }
    agent_poke(a, addr, value);
}

/* Are reads answered in order of arrival? */
static bool in_order(const struct agent *a)
{
    return !a->profile.reorder && !a->overtake;
}

/* The oldest read of an ID. */
static const struct agent_read *oldest(const struct agent *a, unsigned id)
{
    return &a->read[id][a->head[id]];
}

/* Without reordering: the ID whose oldest read is answered first. Some ID has one. */
static unsigned earliest(const struct agent *a)
{
    unsigned first = DMT_PTE_IDS;

    if (in_order(a))
        return a->order[a->order_head];
    for EACH_ID (id, &a->waiting) {
        const struct agent_read *r = oldest(a, id), *f = first < DMT_PTE_IDS ? oldest(a, first) : r;

        if (first == DMT_PTE_IDS || r->due < f->due || (r->due == f->due && r->number < f->number))
            first = id;
    }
    return first;
}

/* Which of the answers that are due comes next: an ID with a read, or -1. */
static int next_read(struct agent *a)
{
    uint8_t due[DMT_PTE_IDS];
    unsigned n = 0;

    if (!a->profile.reorder) {
        unsigned id = earliest(a);

        return oldest(a, id)->due <= a->now ? (int)id : -1;
    }
    for EACH_ID (id, &a->waiting) {
        if (oldest(a, id)->due <= a->now)
            due[n++] = (uint8_t)id;
    }
    return n ? due[rng_below(&a->rng, n)] : -1;
}

static void show_read(struct agent *a, unsigned id)
{
    struct agent_read *rd = &a->read[id][a->head[id]];
    uint64_t data;

    a->r.valid = true;
    a->r.id = (uint8_t)id;
    if (in_order(a)) {
        a->order_head = (a->order_head + 1) % (DMT_PTE_IDS * AGENT_DEPTH);
        a->order_count--;
    }
    if (chance(a, a->profile.slverr)) {
        uint64_t r = rng_next(&a->rng);

        a->r.resp = r & 3 ? DMT_RESP_SLVERR : DMT_RESP_DECERR;
        a->r.data = r | 1;
    } else if (!dmt_mem_read(a->mem, rd->addr, &data)) {
        a->r.resp = DMT_RESP_DECERR;
        a->r.data = 0;
    } else {
        a->r.data = data;
        a->r.resp = DMT_RESP_OKAY;
        if (rd->lock && !a->profile.no_monitor) {
            a->r.resp = DMT_RESP_EXOKAY;
            put(&a->reserved, id, true);
            a->reservation[id] = rd->addr;
        }
        a->recent[a->recent_next++ & 15] = rd->addr;
    }
    a->head[id] = (uint8_t)((a->head[id] + 1) % AGENT_DEPTH);
    if (--a->count[id] == 0)
        put(&a->waiting, id, false);
}

static void show_write(struct agent *a, unsigned n)
{
    struct agent_write w = a->write[n];
    uint64_t old;

    a->write_count--;
    memmove(&a->write[n], &a->write[n + 1], (a->write_count - n) * sizeof(w));
    a->b.valid = true;
    a->b.id = w.id;
    if (chance(a, 4 * a->profile.slverr)) {
        a->b.resp = rng_next(&a->rng) & 3 ? DMT_RESP_SLVERR : DMT_RESP_DECERR;
    } else if (!dmt_mem_read(a->mem, w.addr, &old)) {
        a->b.resp = DMT_RESP_DECERR;
    } else if (!holds(&a->reserved, w.id) || a->reservation[w.id] != w.addr || chance(a, a->profile.lost)) {
        a->b.resp = DMT_RESP_OKAY;
    } else {
        dmt_mem_write(a->mem, w.addr, w.data);
        a->b.resp = DMT_RESP_EXOKAY;
        kill_reservations(a, w.addr);
    }
    put(&a->reserved, w.id, false);
}

void agent_drive(struct agent *a, struct dmt_in *in)
{
    const struct agent_profile *p = &a->profile;

    if (p->starve && a->now >= a->stop_until) {
        a->stopped = (int)rng_below(&a->rng, 2 * AGENT_CHANNELS);
        a->stop_until = a->now + 16 + rng_below(&a->rng, a->stopped < AGENT_CHANNELS ? 400 : 100);
    }
    if (a->disturb && rng_chance(&a->rng, a->disturb))
        disturb(a);

    if (!a->b.valid && a->write_count && a->stopped != AGENT_B && chance(a, p->b)) {
        unsigned n = p->reorder ? (unsigned)rng_below(&a->rng, a->write_count) : 0;

        if (a->write[n].due <= a->now)
            show_write(a, n);
    }
    if (!a->r.valid && from(&a->waiting, 0) < DMT_PTE_IDS && a->stopped != AGENT_R && chance(a, p->r)) {
        int id = next_read(a);

        if (id >= 0)
            show_read(a, (unsigned)id);
    }

    in->m_arready = a->stopped != AGENT_AR && chance(a, p->ar);
    in->m_awready = a->stopped != AGENT_AW && a->aw_count < DMT_PTE_IDS && chance(a, p->aw);
    in->m_wready = a->stopped != AGENT_W && a->w_count < DMT_PTE_IDS && chance(a, p->w);
    in->m_rvalid = a->r.valid;
    in->m_rid = a->r.valid ? a->r.id : 0;
    in->m_rdata = a->r.valid ? a->r.data : 0;
    in->m_rresp = a->r.valid ? a->r.resp : 0;
    in->m_rlast = a->r.valid;
    in->m_bvalid = a->b.valid;
    in->m_bid = a->b.valid ? a->b.id : 0;
    in->m_bresp = a->b.valid ? a->b.resp : 0;
}

void agent_edge(struct agent *a, const struct dmt_out *out, const struct dmt_in *in)
{
    if (in->m_rvalid && out->m_rready)
        a->r.valid = false;
    if (in->m_bvalid && out->m_bready)
        a->b.valid = false;
    if (out->m_arvalid && in->m_arready) {
        unsigned id = out->m_arid & (DMT_PTE_IDS - 1);

        if (a->count[id] >= DMT_PTE_READS) {
            a->broken = "more than five reads outstanding on one ID";
        } else {
            struct agent_read *rd = &a->read[id][(a->head[id] + a->count[id]) % AGENT_DEPTH];

            rd->addr = out->m_araddr & ~7ull;
            rd->lock = out->m_arlock;
            rd->due = a->now + latency(a, rd->addr);
            rd->number = a->reads++;
            a->count[id]++;
            put(&a->waiting, id, true);
            if (in_order(a)) {
                a->order[(a->order_head + a->order_count) % (DMT_PTE_IDS * AGENT_DEPTH)] = (uint8_t)id;
                a->order_count++;
            }
        }
    }
    if (out->m_awvalid && in->m_awready) {
        unsigned n = (a->aw_head + a->aw_count++) % DMT_PTE_IDS;

        a->aw[n].addr = out->m_awaddr & ~7ull;
        a->aw[n].id = (uint8_t)(out->m_awid & (DMT_PTE_IDS - 1));
    }
    if (out->m_wvalid && in->m_wready)
        a->wdata[(a->w_head + a->w_count++) % DMT_PTE_IDS] = out->m_wdata;
    while (a->aw_count && a->w_count && a->write_count < DMT_PTE_IDS) {
        struct agent_write *w = &a->write[a->write_count++];

        w->addr = a->aw[a->aw_head].addr;
        w->id = a->aw[a->aw_head].id;
        w->data = a->wdata[a->w_head];
        w->due = a->now + latency(a, w->addr);
        a->aw_head = (a->aw_head + 1) % DMT_PTE_IDS;
        a->w_head = (a->w_head + 1) % DMT_PTE_IDS;
        a->aw_count--;
        a->w_count--;
    }
    a->now++;
}

uint64_t agent_due(const struct agent *a)
{
    return from(&a->waiting, 0) < DMT_PTE_IDS ? oldest(a, earliest(a))->due : UINT64_MAX;
}

bool agent_idle(const struct agent *a)
{
    return from(&a->waiting, 0) == DMT_PTE_IDS && !a->r.valid && !a->aw_count && !a->w_count && !a->write_count &&
           !a->b.valid;
}
