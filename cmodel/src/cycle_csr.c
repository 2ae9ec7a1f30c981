/* SPDX-License-Identifier: Apache-2.0
 * The CSR port of the cycle model (docs/microarchitecture.md section 5). */
#include "cycle.h"
#include "dmt/regs.h"

enum {
    WINDOW = DMT_LEVEL_BASE(1),
    TEA_STRIDE = DMT_LEVEL_TEA_STRIDE,
    TEA_END = DMT_LEVEL_TEA_WORD0(DMT_TEA_MAX),
    TEA_STATE_WORD = 3,
};

#define CR4_MASK \
    (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_LA57_MASK | DMT_LEVEL_CR4_PCIDE_MASK | DMT_LEVEL_CR4_SMEP_MASK \
     | DMT_LEVEL_CR4_SMAP_MASK | DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK)

/* Bits of CR3 that refuse a write whatever MAXPA is. */
#define CR3_RESERVED (0x7ffull << 52)

/* Event registers' bits, which are also their masks' bits. */
#define LEVEL_EVENTS (DMT_LEVEL_EVENT_MULTI_HIT_MASK | DMT_LEVEL_EVENT_REFUSED_MASK)
#define HOST_EVENTS \
    (DMT_HOST_EVENT_BUS_MASK | DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK | DMT_HOST_EVENT_REFUSED_MASK)

#define FIELD(reg, value) (((value) & reg##_MASK) >> reg##_LSB)
#define PLACE(reg, value) ((uint64_t)(value) << reg##_LSB)

static void list_registers(struct dmt_cycle *m)
{
    for (unsigned sz = 0; sz < SIZES; sz++)
        m->list[sz].n = 0;
    for (unsigned i = 0; i < m->cfg.tea_n; i++) {
        const struct dmt_tea *t = &m->state.tea[0][i];

        if (t->valid) {
            struct tea_list *l = &m->list[t->sz];

            l->reg[l->n] = *t;
            l->index[l->n++] = (uint8_t)i;
        }
    }
}

static bool read_tea(const struct dmt_cycle *m, unsigned k, unsigned off, uint64_t *v)
{
    unsigned i = off / TEA_STRIDE, w = off % TEA_STRIDE / 8;
    const struct dmt_tea *t = &m->state.tea[k][i];
    uint64_t word[3];

    if (i >= m->cfg.tea_n)
        return false;
    dmt_tea_pack(t, word);
    if (w < TEA_STATE_WORD)
        *v = word[w];
    else
        *v = PLACE(DMT_TEA_WORD3_REFUSAL, m->refusal[k][i]) | PLACE(DMT_TEA_WORD3_VALID, t->valid);
    return true;
}

static bool read_level(const struct dmt_cycle *m, unsigned k, unsigned off, uint64_t *v)
{
    const struct dmt_level *l = &m->state.level[k];

    if (off < TEA_END)
        return read_tea(m, k, off, v);
    switch (off) {
    case DMT_LEVEL_CR0: *v = l->cr0; return true;
    case DMT_LEVEL_CR3: *v = l->cr3; return true;
    case DMT_LEVEL_CR4: *v = l->cr4; return true;
    case DMT_LEVEL_EFER: *v = l->efer; return true;
    case DMT_LEVEL_PKRU: *v = l->pkru; return true;
    case DMT_LEVEL_PKRS: *v = l->pkrs; return true;
    case DMT_LEVEL_EVENT: *v = m->event[k]; return true;
    case DMT_LEVEL_EVENT_MASK: *v = m->mask[k]; return true;
    case DMT_LEVEL_INV: *v = 0; return true;
    default: return false;
    }
}

static uint64_t caps(const struct dmt_config *c)
{
    return PLACE(DMT_HOST_CAPS_PA_W, c->pa_w) | PLACE(DMT_HOST_CAPS_CTX_N, c->ctx_n)
           | PLACE(DMT_HOST_CAPS_TEA_N, c->tea_n) | PLACE(DMT_HOST_CAPS_SETS, c->sets)
           | PLACE(DMT_HOST_CAPS_PWC4_N, c->pwc4_n) | PLACE(DMT_HOST_CAPS_PWC3_N, c->pwc3_n)
           | PLACE(DMT_HOST_CAPS_PWC2_N, c->pwc2_n) | PLACE(DMT_HOST_CAPS_CNT_W, c->cnt_w);
}

static bool read_host(const struct dmt_cycle *m, unsigned off, uint64_t *v)
{
    if (off >= DMT_HOST_CNT_REQUEST && off <= DMT_HOST_CNT_BUSY) {
        *v = m->count[(off - DMT_HOST_CNT_REQUEST) / 8] & ((1ull << m->cfg.cnt_w) - 1);
        return true;
    }
    switch (off) {
    case DMT_HOST_ID: *v = DMT_HOST_ID_RESET; return true;
    case DMT_HOST_CAPS: *v = caps(&m->cfg); return true;
    case DMT_HOST_CTL:
        *v = PLACE(DMT_HOST_CTL_MODE, m->state.mode) | PLACE(DMT_HOST_CTL_AD_UPDATE, m->state.ad_update);
        return true;
    case DMT_HOST_MAXPA: *v = m->state.maxpa; return true;
    case DMT_HOST_EVENT: *v = m->event[WINDOW_HOST]; return true;
    case DMT_HOST_EVENT_MASK: *v = m->mask[WINDOW_HOST]; return true;
    case DMT_HOST_BUS_ADDR: *v = m->bus_addr; return true;
    case DMT_HOST_CNT_CLEAR: *v = 0; return true;
    default: return false;
    }
}

/* The register at an address of the port; false when there is none. */
static bool read_register(const struct dmt_cycle *m, unsigned addr, uint64_t *v)
{
    unsigned k = addr / WINDOW, off = addr % WINDOW;

    if (addr & 7)
        return false;
    if (k == WINDOW_HOST)
        return read_host(m, off, v);
    return k < m->cfg.sets && read_level(m, k, off, v);
}

/* Is this mapped register one that translation depends on? */
static bool drains(unsigned addr)
{
    unsigned off = addr % WINDOW;

    if (addr / WINDOW == WINDOW_HOST)
        return off == DMT_HOST_CTL || off == DMT_HOST_MAXPA;
    if (off < TEA_END)
        return off % TEA_STRIDE / 8 != TEA_STATE_WORD;
    return off != DMT_LEVEL_EVENT && off != DMT_LEVEL_EVENT_MASK;
}

static void write_tea(struct dmt_cycle *m, unsigned k, unsigned off, uint64_t v)
{
    unsigned i = off / TEA_STRIDE;
    struct dmt_tea *t = &m->state.tea[k][i];
    bool reserved;

    switch (off % TEA_STRIDE / 8) {
    case 0:
        reserved = v & DMT_TEA_WORD0_RSVD_MASK;
        t->base_vpn = FIELD(DMT_TEA_WORD0_BASE_VPN, v);
        t->allow = (uint8_t)(FIELD(DMT_TEA_WORD0_ALLOW_W, v) | FIELD(DMT_TEA_WORD0_ALLOW_U, v) << 1
                             | FIELD(DMT_TEA_WORD0_ALLOW_X, v) << 2);
        t->kind = (uint8_t)FIELD(DMT_TEA_WORD0_KIND, v);
        t->sz = (uint8_t)FIELD(DMT_TEA_WORD0_SZ, v);
        m->refusal[k][i] = DMT_REFUSAL_NONE;
        if (v & DMT_TEA_WORD0_P_MASK)
            m->refusal[k][i] = dmt_tea_refusal(t, k, reserved, m->state.maxpa);
        if (m->refusal[k][i] != DMT_REFUSAL_NONE)
            m->event[k] |= DMT_LEVEL_EVENT_REFUSED_MASK;
        t->valid = (v & DMT_TEA_WORD0_P_MASK) && m->refusal[k][i] == DMT_REFUSAL_NONE;
        break;
    case 1:
        t->base_pfn = FIELD(DMT_TEA_WORD1_BASE_PFN, v);
        t->gtea = (uint16_t)FIELD(DMT_TEA_WORD1_GTEA_ID, v);
        t->valid = false;
        break;
    case 2:
        t->pages = v;
        t->valid = false;
        break;
    default: /* word 3 is read-only */
        return;
    }
    if (k == 0)
        list_registers(m);
}

static void write_cr3(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    struct dmt_level *l = &m->state.level[k];
    uint64_t root = v & DMT_LEVEL_CR3_ROOT_MASK, pcid = v & DMT_LEVEL_CR3_PCID_MASK;
    bool pcide = l->cr4 & DMT_LEVEL_CR4_PCIDE_MASK;

    if ((v & CR3_RESERVED) || root >> m->state.maxpa) {
        m->event[k] |= DMT_LEVEL_EVENT_REFUSED_MASK;
        return;
    }
    l->cr3 = root | pcid;
    if (k == 0 && !(pcide && (v & DMT_LEVEL_CR3_NOFLUSH_MASK)))
        cycle_flush(m, pcide ? (int)pcid : 0);
}

static void invalidate(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    int pcid = -1;

    switch (FIELD(DMT_LEVEL_INV_KIND, v)) {
    case DMT_INV_ADDRESS:
    case DMT_INV_CONTEXT:
        pcid = (int)FIELD(DMT_LEVEL_INV_PCID, v);
        break;
    case DMT_INV_ALL:
    case DMT_INV_ALL_BUT_GLOBAL:
        break;
    default:
        m->event[k] |= DMT_LEVEL_EVENT_REFUSED_MASK;
        return;
    }
    if (k == 0)
        cycle_flush(m, pcid);
}

static void write_level(struct dmt_cycle *m, unsigned k, unsigned off, uint64_t v)
{
    struct dmt_level *l = &m->state.level[k];

    if (off < TEA_END) {
        write_tea(m, k, off, v);
        return;
    }
    switch (off) {
    case DMT_LEVEL_CR0: l->cr0 = v & DMT_LEVEL_CR0_WP_MASK; break;
    case DMT_LEVEL_CR4: l->cr4 = v & CR4_MASK; break;
    case DMT_LEVEL_EFER: l->efer = v & DMT_LEVEL_EFER_NXE_MASK; break;
    case DMT_LEVEL_CR3: write_cr3(m, k, v); return;
    case DMT_LEVEL_PKRU: l->pkru = (uint32_t)v; return;
    case DMT_LEVEL_PKRS: l->pkrs = (uint32_t)v; return;
    case DMT_LEVEL_EVENT: m->event[k] &= (uint8_t)~v; return;
    case DMT_LEVEL_EVENT_MASK: m->mask[k] = v & LEVEL_EVENTS; return;
    default: invalidate(m, k, v); return;
    }
    if (k == 0)
        cycle_flush(m, -1);
}

static void write_maxpa(struct dmt_cycle *m, uint64_t v)
{
    uint64_t maxpa = FIELD(DMT_HOST_MAXPA_MAXPA, v);

    if (maxpa < 32 || maxpa > m->cfg.pa_w) {
        m->event[WINDOW_HOST] |= DMT_HOST_EVENT_REFUSED_MASK;
        return;
    }
    m->state.maxpa = (uint8_t)maxpa;
    for (unsigned k = 0; k < m->cfg.sets; k++) {
        m->state.level[k].cr3 = 0;
        for (unsigned i = 0; i < m->cfg.tea_n; i++)
            m->state.tea[k][i].valid = false;
    }
    list_registers(m);
    cycle_flush(m, -1);
}

static void write_ctl(struct dmt_cycle *m, uint64_t v)
{
    uint64_t mode = FIELD(DMT_HOST_CTL_MODE, v);

    if (mode != DMT_MODE_OFF && mode != DMT_MODE_NATIVE) {
        m->event[WINDOW_HOST] |= DMT_HOST_EVENT_REFUSED_MASK;
        return;
    }
    m->state.mode = (uint8_t)mode;
    m->state.ad_update = v & DMT_HOST_CTL_AD_UPDATE_MASK;
    cycle_flush(m, -1);
}

static void write_host(struct dmt_cycle *m, unsigned off, uint64_t v)
{
    switch (off) {
    case DMT_HOST_CTL: write_ctl(m, v); break;
    case DMT_HOST_MAXPA: write_maxpa(m, v); break;
    case DMT_HOST_EVENT: m->event[WINDOW_HOST] &= (uint8_t)~v; break;
    case DMT_HOST_EVENT_MASK: m->mask[WINDOW_HOST] = v & HOST_EVENTS; break;
    case DMT_HOST_CNT_CLEAR: m->count_clear = true; break;
    default: break; /* read-only */
    }
}

static void execute(struct dmt_cycle *m)
{
    if (m->legal && m->awaddr / WINDOW == WINDOW_HOST)
        write_host(m, m->awaddr % WINDOW, m->wdata);
    else if (m->legal)
        write_level(m, m->awaddr / WINDOW, m->awaddr % WINDOW, m->wdata);
    m->aw_held = m->w_held = m->drains = false;
    m->out.s_bvalid = 1;
    m->out.s_bresp = m->legal ? DMT_RESP_OKAY : DMT_RESP_SLVERR;
}

static void write_port(struct dmt_cycle *m, const struct dmt_in *in)
{
    struct dmt_out *o = &m->out;
    bool both = m->aw_held && m->w_held;
    bool idle = !m->skid_valid && !m->busy && !m->resp_n && !m->fill.valid;
    bool waiting = o->s_bvalid;
    uint64_t v;

    if (waiting && (in->s_bready & 1))
        o->s_bvalid = o->s_bresp = 0;
    if (both) {
        if (!waiting && (idle || !m->drains))
            execute(m);
    } else {
        if (!m->aw_held && (in->s_awvalid & 1)) {
            m->aw_held = true;
            m->awaddr = in->s_awaddr & 0x3fff;
        }
        if (!m->w_held && (in->s_wvalid & 1)) {
            m->w_held = true;
            m->wdata = in->s_wdata;
            m->wstrb = (uint8_t)in->s_wstrb;
        }
        if (m->aw_held && m->w_held) {
            m->legal = m->wstrb == 0xff && read_register(m, m->awaddr, &v);
            m->drains = m->legal && drains(m->awaddr);
        }
    }
    o->s_awready = !m->aw_held;
    o->s_wready = !m->w_held;
}

static void read_port(struct dmt_cycle *m, const struct dmt_in *in)
{
    struct dmt_out *o = &m->out;

    if (o->s_rvalid) {
        if (in->s_rready & 1)
            o->s_rvalid = o->s_rdata = o->s_rresp = 0;
    } else if (in->s_arvalid & 1) {
        o->s_rvalid = 1;
        o->s_rresp = read_register(m, in->s_araddr & 0x3fff, &o->s_rdata) ? DMT_RESP_OKAY : DMT_RESP_SLVERR;
    }
    o->s_arready = !o->s_rvalid;
}

void cycle_csr_edge(struct dmt_cycle *m, const struct dmt_in *in)
{
    const struct dmt_out *o = &m->out;

    /* A read sees the values at the start of the cycle, so it goes first. */
    if (o->s_rvalid || (in->s_arvalid & 1))
        read_port(m, in);
    if (m->aw_held || m->w_held || o->s_bvalid || ((in->s_awvalid | in->s_wvalid) & 1))
        write_port(m, in);
}

void cycle_csr_reset(struct dmt_cycle *m)
{
    dmt_state_reset(&m->state, m->cfg.pa_w);
    m->out.s_awready = m->out.s_wready = m->out.s_arready = 1;
}
