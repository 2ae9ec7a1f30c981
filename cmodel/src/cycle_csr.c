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

/* Bits that refuse a write whatever MAXPA is. */
#define CR3_RESERVED (0x7ffull << 52)
#define S2ROOT_RESERVED (0x7ffull << 52 | 0xfull << 8)
#define TABLE_RESERVED (0xfffull << 52)

#define GTEA_ENTRIES_MAX 4096
#define IMAGES_MAX 4096
#define IMAGE_SIZE 2048
#define GTEA_ENTRY_SIZE 16
#define TABLE_FRAME 0x000ffffffffff000ull /* word 0 of an entry of a gTEA table */
#define GTEA_SIZE 0x000fffffffffffffull   /* word 1 */
#define SETTLE 2

/* Event registers' bits, which are also their masks' bits. */
#define LEVEL_EVENTS \
    (DMT_LEVEL_EVENT_MULTI_HIT_MASK | DMT_LEVEL_EVENT_REFUSED_MASK | DMT_LEVEL_EVENT_LOAD_FAILED_MASK)
#define HOST_EVENTS \
    (DMT_HOST_EVENT_BUS_MASK | DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK | DMT_HOST_EVENT_REFUSED_MASK \
     | DMT_HOST_EVENT_GTEA_MASK)

#define FIELD(reg, value) (((value) & reg##_MASK) >> reg##_LSB)
#define PLACE(reg, value) ((uint64_t)(value) << reg##_LSB)

/* ------------------------------------------------------------ what the walker derives */

static void list_registers(struct dmt_cycle *m, unsigned k)
{
    for (unsigned sz = 0; sz < SIZES; sz++)
        m->list[k][sz].n = 0;
    for (unsigned i = 0; i < m->cfg.tea_n; i++) {
        const struct dmt_tea *t = &m->state.tea[k][i];

        if (t->valid) {
            struct tea_list *l = &m->list[k][t->sz];

            l->reg[l->n] = *t;
            l->index[l->n++] = (uint8_t)i;
        }
    }
}

/* Entering stage, and what entries of each stage are kept with (microarchitecture 3.9). */
static void derive(struct dmt_cycle *m)
{
    const struct dmt_state *s = &m->state;
    const struct dmt_level *l;

    m->entering = s->mode == DMT_MODE_OFF ? 0 : s->mode - DMT_MODE_NATIVE;
    l = &s->level[m->entering];
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        uint64_t pcid = l->cr4 & DMT_LEVEL_CR4_PCIDE_MASK ? l->cr3 & DMT_LEVEL_CR3_PCID_MASK : 0;

        m->key[k] = (k == m->entering ? pcid : k) << KEY_PCID_LSB;
        if (m->entering == 2 && k > 0)
            m->key[k] |= (uint64_t)s->s2[1].tag << KEY_TAG1_LSB;
        if (m->entering > 0)
            m->key[k] |= s->s2[0].tag;
    }
}

/* Drop the entries whose keys are `key` where mask has bits. */
static void flush(struct pwc *caches, uint64_t mask, uint64_t key)
{
    for (unsigned c = 0; c < PWC_CACHES; c++) {
        struct pwc *p = &caches[c];

        for (unsigned i = 0; i < p->n; i++)
            if (((p->key[i] ^ key) & mask) == 0)
                p->valid &= ~(1ull << i);
    }
}

static void flush_all(struct dmt_cycle *m)
{
    flush(m->pwc, 0, 0);
    flush(m->npwc, 0, 0);
}

/* V(k), own, of one PCID, or of all when pcid is negative. A change of mode
 * flushes, so the virtual kind holds entries of the entering stage only. */
static void flush_own(struct dmt_cycle *m, unsigned k, int pcid)
{
    uint64_t mask = KEY_TAG0 | KEY_TAG1, key = m->key[k] & mask;

    if (k != m->entering)
        return;
    if (pcid >= 0) {
        mask |= KEY_PCID;
        key |= (uint64_t)pcid << KEY_PCID_LSB;
    }
    flush(m->pwc, mask, key);
}

/* What second-stage tables of stage k have led to: under one tag, or all when tag is negative. */
static void flush_s2(struct dmt_cycle *m, unsigned k, int tag)
{
    uint64_t own = m->state.s2[0].tag, mask, key;

    if (k == 0) {
        mask = tag < 0 ? 0 : KEY_TAG0;
        key = tag < 0 ? 0 : (unsigned)tag;
        if (m->entering > 0)
            flush(m->pwc, mask, key);
        flush(m->npwc, mask, key);
        return;
    }
    mask = KEY_TAG0 | (tag < 0 ? 0 : KEY_TAG1);
    key = own | (tag < 0 ? 0 : (uint64_t)tag << KEY_TAG1_LSB);
    if (m->entering == 2)
        flush(m->pwc, mask, key);
    flush(m->npwc, mask | KEY_PCID, key | 1ull << KEY_PCID_LSB);
}

/* ------------------------------------------------------------ reads */

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
        *v = PLACE(DMT_TEA_WORD3_RESOLUTION, t->resolution) | PLACE(DMT_TEA_WORD3_REFUSAL, m->refusal[k][i])
             | PLACE(DMT_TEA_WORD3_VALID, t->valid);
    return true;
}

static uint64_t s2_control(const struct dmt_s2 *s)
{
    return PLACE(DMT_LEVEL_S2CTL_FORMAT, s->format) | PLACE(DMT_LEVEL_S2CTL_FIVE, s->five)
           | PLACE(DMT_LEVEL_S2CTL_AD, s->ad) | PLACE(DMT_LEVEL_S2CTL_MBEC, s->mbec);
}

/* Does the level have second-stage tables in this instance? */
static bool has_s2(const struct dmt_cycle *m, unsigned k)
{
    return k + 1 < m->cfg.sets;
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
    case DMT_LEVEL_S2CTL:
        *v = has_s2(m, k) ? s2_control(&m->state.s2[k]) : 0;
        return has_s2(m, k);
    case DMT_LEVEL_S2ROOT:
        *v = has_s2(m, k) ? m->state.s2[k].root | m->state.s2[k].tag : 0;
        return has_s2(m, k);
    case DMT_LEVEL_LOAD: *v = 0; return m->cfg.sets > 1;
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

static uint64_t caps2(const struct dmt_config *c)
{
    return PLACE(DMT_HOST_CAPS2_NPWC4_N, c->npwc4_n) | PLACE(DMT_HOST_CAPS2_NPWC3_N, c->npwc3_n)
           | PLACE(DMT_HOST_CAPS2_NPWC2_N, c->npwc2_n);
}

/* The set that this register of a gTEA table is for. */
static unsigned gtea_set(unsigned off)
{
    return off == DMT_HOST_GTEA_TABLE1 || off == DMT_HOST_GTEA_ENTRIES1 ? 1 : 2;
}

/* The set that this register of an image area is for. */
static unsigned image_set(unsigned off)
{
    return (off - DMT_HOST_IMAGE_BASE0) / (DMT_HOST_IMAGE_BASE1 - DMT_HOST_IMAGE_BASE0);
}

/* Registers that only instances with several sets have. */
static bool read_virtual(const struct dmt_cycle *m, unsigned off, uint64_t *v)
{
    const struct dmt_state *s = &m->state;
    unsigned sets;

    switch (off) {
    case DMT_HOST_SHADOW_CTL: *v = s2_control(&s->shadow); sets = 3; break;
    case DMT_HOST_SHADOW_ROOT: *v = s->shadow.root; sets = 3; break;
    case DMT_HOST_GTEA_TABLE1:
    case DMT_HOST_GTEA_TABLE2: *v = s->gtea[gtea_set(off)].table; sets = gtea_set(off) + 1; break;
    case DMT_HOST_GTEA_ENTRIES1:
    case DMT_HOST_GTEA_ENTRIES2: *v = s->gtea[gtea_set(off)].entries; sets = gtea_set(off) + 1; break;
    case DMT_HOST_GTEA_CMD: *v = 0; sets = 2; break;
    case DMT_HOST_GTEA_FAULT: *v = m->gtea_fault; sets = 2; break;
    case DMT_HOST_IMAGE_BASE0:
    case DMT_HOST_IMAGE_BASE1: *v = m->image[image_set(off)].base; sets = 2; break;
    case DMT_HOST_IMAGE_BASE2: *v = m->image[2].base; sets = 3; break;
    case DMT_HOST_IMAGE_COUNT0:
    case DMT_HOST_IMAGE_COUNT1: *v = m->image[image_set(off)].count; sets = 2; break;
    case DMT_HOST_IMAGE_COUNT2: *v = m->image[2].count; sets = 3; break;
    default: return false;
    }
    if (m->cfg.sets >= sets)
        return true;
    *v = 0;
    return false;
}

static bool read_host(const struct dmt_cycle *m, unsigned off, uint64_t *v)
{
    if (off >= DMT_HOST_CNT_REQUEST && off <= DMT_HOST_CNT_NPWC2) {
        *v = m->count[(off - DMT_HOST_CNT_REQUEST) / 8] & ((1ull << m->cfg.cnt_w) - 1);
        return true;
    }
    switch (off) {
    case DMT_HOST_ID: *v = DMT_HOST_ID_RESET; return true;
    case DMT_HOST_CAPS: *v = caps(&m->cfg); return true;
    case DMT_HOST_CTL:
        *v = PLACE(DMT_HOST_CTL_MODE, m->state.mode) | PLACE(DMT_HOST_CTL_AD_UPDATE, m->state.ad_update)
             | PLACE(DMT_HOST_CTL_FALLBACK, m->state.full);
        return true;
    case DMT_HOST_MAXPA: *v = m->state.maxpa; return true;
    case DMT_HOST_EVENT: *v = m->event[WINDOW_HOST]; return true;
    case DMT_HOST_EVENT_MASK: *v = m->mask[WINDOW_HOST]; return true;
    case DMT_HOST_BUS_ADDR: *v = m->bus_addr; return true;
    case DMT_HOST_CNT_CLEAR: *v = 0; return true;
    case DMT_HOST_CAPS2: *v = caps2(&m->cfg); return true;
    default: return read_virtual(m, off, v);
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

/* ------------------------------------------------------------ TEA registers */

static void refuse(struct dmt_cycle *m, unsigned window)
{
    m->event[window] |= window == WINDOW_HOST ? DMT_HOST_EVENT_REFUSED_MASK : DMT_LEVEL_EVENT_REFUSED_MASK;
}

/* Write word w of register i. True: the loader is to resolve it. */
static bool write_tea(struct dmt_cycle *m, unsigned k, unsigned i, unsigned w, uint64_t v)
{
    struct dmt_tea *t = &m->state.tea[k][i];
    bool reserved;

    switch (w) {
    case 0:
        reserved = v & DMT_TEA_WORD0_RSVD_MASK;
        t->base_vpn = FIELD(DMT_TEA_WORD0_BASE_VPN, v);
        t->allow = (uint8_t)(FIELD(DMT_TEA_WORD0_ALLOW_W, v) | FIELD(DMT_TEA_WORD0_ALLOW_U, v) << 1
                             | FIELD(DMT_TEA_WORD0_ALLOW_X, v) << 2);
        t->kind = (uint8_t)FIELD(DMT_TEA_WORD0_KIND, v);
        t->sz = (uint8_t)FIELD(DMT_TEA_WORD0_SZ, v);
        t->resolution = DMT_RESOLUTION_NOT_TRIED;
        m->refusal[k][i] = DMT_REFUSAL_NONE;
        if (v & DMT_TEA_WORD0_P_MASK)
            m->refusal[k][i] = dmt_tea_refusal(t, k, reserved, m->state.maxpa);
        if (m->refusal[k][i] != DMT_REFUSAL_NONE)
            refuse(m, k);
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
        return false;
    }
    list_registers(m, k);
    return t->valid && t->kind == DMT_KIND_GTEA;
}

/* ------------------------------------------------------------ the loader */

/* The next cycle begins this, and the reading of so many words from addr on. */
static void begin(struct dmt_cycle *m, enum loader_phase phase, unsigned words, uint64_t addr)
{
    m->loader.phase = phase;
    m->loader.words = (uint8_t)words;
    m->loader.sent = m->loader.got = 0;
    m->loader.error = false;
    m->loader.addr = addr & ((1ull << m->cfg.pa_w) - 1);
}

/* What the loader makes of the register that it looks at, in the next cycle. */
static void decide(struct dmt_cycle *m)
{
    const struct dmt_tea *t = &m->state.tea[m->loader.set][m->loader.reg];
    const struct dmt_gtea *g = &m->state.gtea[m->loader.set];

    if (!t->valid || t->kind != DMT_KIND_GTEA || (m->loader.by_id && t->gtea != m->loader.id))
        begin(m, LOADER_SKIP, 0, 0);
    else if (t->gtea >= g->entries)
        begin(m, LOADER_BAD_ID, 0, 0);
    else
        begin(m, LOADER_ENTRY, 2, g->table + (uint64_t)GTEA_ENTRY_SIZE * t->gtea);
}

/* The loader looks at a register from the next cycle on. */
static void look(struct dmt_cycle *m)
{
    if (m->cfg.pipe)
        begin(m, LOADER_LOOK, 0, 0);
    else
        decide(m);
}

/* The order in which the words of a register are read: word 0 makes it valid. */
static const uint8_t image_word[] = { 1, 2, 0 };

static uint64_t image_addr(const struct dmt_cycle *m, unsigned n)
{
    return (m->loader.image + TEA_STRIDE * m->loader.reg + 8 * image_word[n]) & ((1ull << m->cfg.pa_w) - 1);
}

static void read_image(struct dmt_cycle *m)
{
    begin(m, LOADER_IMAGE, sizeof image_word, image_addr(m, 0));
}

static void start_loader(struct dmt_cycle *m, unsigned set, unsigned first, unsigned last)
{
    m->loader.whole = false;
    m->loader.set = (uint8_t)set;
    m->loader.reg = (uint8_t)first;
    m->loader.last = (uint8_t)last;
    look(m);
}

static void resolved(struct dmt_cycle *m, unsigned k, unsigned i, uint8_t resolution, uint64_t base,
                     uint64_t pages)
{
    struct dmt_tea *t = &m->state.tea[k][i];

    t->resolution = resolution;
    t->gtea_base = base;
    t->gtea_pages = pages;
    list_registers(m, k);
}

/* What the two words of an entry of the gTEA table come to (specification 12). */
static void judge_entry(struct dmt_cycle *m, uint64_t word1)
{
    uint64_t base = (m->loader.base & TABLE_FRAME) >> 12, pages = word1 & GTEA_SIZE;
    uint8_t resolution = DMT_RESOLUTION_OK;

    if (m->loader.error)
        resolution = DMT_RESOLUTION_BUS;
    else if (!(m->loader.base & 1))
        resolution = DMT_RESOLUTION_ABSENT;
    else if (!pages || base + pages > 1ull << (m->state.maxpa - 12))
        resolution = DMT_RESOLUTION_WIDTH;
    if (resolution != DMT_RESOLUTION_OK)
        base = pages = 0;
    resolved(m, m->loader.set, m->loader.reg, resolution, base, pages);
}

static void end_loader(struct dmt_cycle *m)
{
    m->loader.phase = LOADER_IDLE;
    m->settle = SETTLE;
    m->out.s_bvalid = 1;
    m->out.s_bresp = DMT_RESP_OKAY;
}

/* The register is done. */
static void next_register(struct dmt_cycle *m)
{
    if (m->loader.reg == m->loader.last) {
        end_loader(m);
        return;
    }
    m->loader.reg++;
    if (m->loader.whole)
        read_image(m);
    else
        look(m);
}

/* Word number `got` of an entry of the gTEA table. */
static void take_entry(struct dmt_cycle *m, uint64_t data)
{
    if (m->loader.got++ == 0) {
        m->loader.base = data;
        return;
    }
    judge_entry(m, data);
    next_register(m);
}

/* The word that came as number `got` of a register's image. */
static void take_image(struct dmt_cycle *m, uint64_t data)
{
    bool resolve = false;

    if (!m->loader.error)
        resolve = write_tea(m, m->loader.set, m->loader.reg, image_word[m->loader.got], data);
    if (++m->loader.got < m->loader.words)
        return;
    if (m->loader.error) {
        m->event[m->loader.set] |= DMT_LEVEL_EVENT_LOAD_FAILED_MASK;
        end_loader(m);
    } else if (resolve) {
        look(m);
    } else {
        next_register(m);
    }
}

void cycle_loader_edge(struct dmt_cycle *m, const struct thing *r)
{
    bool beat = m->loader.got < m->loader.sent && r;

    if (m->loader.phase == LOADER_LOOK) {
        decide(m);
        return;
    }
    if (!m->loader.words) {
        if (m->loader.phase == LOADER_BAD_ID)
            resolved(m, m->loader.set, m->loader.reg, DMT_RESOLUTION_BAD_ID, 0, 0);
        next_register(m);
        return;
    }
    if (m->loader.sent < m->loader.words && ++m->loader.sent < m->loader.words) {
        if (m->loader.phase == LOADER_IMAGE)
            m->loader.addr = image_addr(m, m->loader.sent);
        else
            m->loader.addr += 8; /* entries are aligned, so this does not wrap */
    }
    if (!beat)
        return;
    m->loader.error |= r->resp >= DMT_RESP_SLVERR;
    if (m->loader.phase == LOADER_IMAGE)
        take_image(m, r->data);
    else
        take_entry(m, r->data);
}

/* ------------------------------------------------------------ writes */

/* Is this mapped register one that translation depends on? */
static bool drains(unsigned addr)
{
    unsigned off = addr % WINDOW;

    if (addr / WINDOW == WINDOW_HOST)
        return off == DMT_HOST_CTL || off == DMT_HOST_MAXPA
               || (off >= DMT_HOST_SHADOW_CTL && off <= DMT_HOST_GTEA_CMD);
    if (off < TEA_END)
        return off % TEA_STRIDE / 8 != TEA_STATE_WORD;
    return off != DMT_LEVEL_EVENT && off != DMT_LEVEL_EVENT_MASK;
}

static void write_cr3(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    struct dmt_level *l = &m->state.level[k];
    uint64_t root = v & DMT_LEVEL_CR3_ROOT_MASK, pcid = v & DMT_LEVEL_CR3_PCID_MASK;
    bool pcide = l->cr4 & DMT_LEVEL_CR4_PCIDE_MASK;

    if ((v & CR3_RESERVED) || root >> m->state.maxpa) {
        refuse(m, k);
        return;
    }
    l->cr3 = root | pcid;
    if (!(pcide && (v & DMT_LEVEL_CR3_NOFLUSH_MASK)))
        flush_own(m, k, pcide ? (int)pcid : 0);
}

static void write_s2_control(struct dmt_s2 *s, uint64_t v)
{
    s->format = (uint8_t)FIELD(DMT_LEVEL_S2CTL_FORMAT, v);
    s->five = v & DMT_LEVEL_S2CTL_FIVE_MASK;
    s->ad = v & DMT_LEVEL_S2CTL_AD_MASK;
    s->mbec = v & DMT_LEVEL_S2CTL_MBEC_MASK;
}

static void write_s2root(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    uint64_t root = v & DMT_LEVEL_S2ROOT_ROOT_MASK;
    struct dmt_s2 *s = &m->state.s2[k];

    if ((v & S2ROOT_RESERVED) || root >> m->state.maxpa) {
        refuse(m, k);
        return;
    }
    s->root = root;
    s->tag = (uint8_t)FIELD(DMT_LEVEL_S2ROOT_TAG, v);
    if (!(v & DMT_LEVEL_S2ROOT_NOFLUSH_MASK))
        flush_s2(m, k, s->tag);
}

static void invalidate(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    unsigned kind = (unsigned)FIELD(DMT_LEVEL_INV_KIND, v), pcid = (unsigned)FIELD(DMT_LEVEL_INV_PCID, v);

    if (kind > DMT_INV_S2_ALL || (kind >= DMT_INV_S2_CONTEXT && !has_s2(m, k))) {
        refuse(m, k);
        return;
    }
    if (kind >= DMT_INV_S2_CONTEXT)
        flush_s2(m, k, kind == DMT_INV_S2_CONTEXT ? (int)(pcid & 0xff) : -1);
    else
        flush_own(m, k, kind <= DMT_INV_CONTEXT ? (int)pcid : -1);
}

/* LOAD: the loader writes all registers of the set from image v. */
static void load_set(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    if (v >= m->image[k].count) { /* at most 4096, so a bit above INDEX is refused, too */
        refuse(m, k);
        return;
    }
    for (unsigned i = 0; i < m->cfg.tea_n; i++)
        m->state.tea[k][i].valid = false;
    list_registers(m, k);
    m->loader.whole = true;
    m->loader.by_id = false;
    m->loader.image = m->image[k].base + IMAGE_SIZE * v;
    m->loader.set = (uint8_t)k;
    m->loader.reg = 0;
    m->loader.last = (uint8_t)(m->cfg.tea_n - 1);
    read_image(m);
}

static void write_level(struct dmt_cycle *m, unsigned k, unsigned off, uint64_t v)
{
    struct dmt_level *l = &m->state.level[k];

    if (off < TEA_END) {
        unsigned i = off / TEA_STRIDE;

        if (write_tea(m, k, i, off % TEA_STRIDE / 8, v)) {
            m->loader.by_id = false;
            start_loader(m, k, i, i);
        }
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
    case DMT_LEVEL_S2CTL:
        write_s2_control(&m->state.s2[k], v);
        flush_s2(m, k, -1);
        return;
    case DMT_LEVEL_S2ROOT: write_s2root(m, k, v); return;
    case DMT_LEVEL_LOAD: load_set(m, k, v); return;
    default: invalidate(m, k, v); return;
    }
    if (k == m->entering)
        flush(m->pwc, 0, 0);
}

static void write_maxpa(struct dmt_cycle *m, uint64_t v)
{
    uint64_t maxpa = FIELD(DMT_HOST_MAXPA_MAXPA, v);

    if (maxpa < 32 || maxpa > m->cfg.pa_w) {
        refuse(m, WINDOW_HOST);
        return;
    }
    m->state.maxpa = (uint8_t)maxpa;
    for (unsigned k = 0; k < m->cfg.sets; k++) {
        m->state.level[k].cr3 = 0;
        for (unsigned i = 0; i < m->cfg.tea_n; i++) {
            m->state.tea[k][i].valid = false;
            m->state.tea[k][i].resolution = DMT_RESOLUTION_NOT_TRIED;
        }
        list_registers(m, k);
    }
    for (unsigned k = 0; k < 2; k++)
        m->state.s2[k].root = m->state.s2[k].tag = 0;
    m->state.shadow.root = 0;
    flush_all(m);
}

static void write_ctl(struct dmt_cycle *m, uint64_t v)
{
    unsigned mode = (unsigned)FIELD(DMT_HOST_CTL_MODE, v);

    if (mode > m->cfg.sets) {
        refuse(m, WINDOW_HOST);
        return;
    }
    m->state.mode = (uint8_t)mode;
    m->state.ad_update = v & DMT_HOST_CTL_AD_UPDATE_MASK;
    m->state.full = v & DMT_HOST_CTL_FALLBACK_MASK;
    flush_all(m);
}

/* The registers of set k lose what they have resolved: those of an ID, or all. */
static void revoke(struct dmt_cycle *m, unsigned k, bool by_id, unsigned id)
{
    for (unsigned i = 0; i < m->cfg.tea_n; i++) {
        struct dmt_tea *t = &m->state.tea[k][i];

        if (t->valid && t->kind == DMT_KIND_GTEA && (!by_id || t->gtea == id))
            t->resolution = DMT_RESOLUTION_REVOKED;
    }
    list_registers(m, k);
}

static void gtea_command(struct dmt_cycle *m, uint64_t v)
{
    unsigned op = (unsigned)FIELD(DMT_HOST_GTEA_CMD_OP, v), set = (unsigned)FIELD(DMT_HOST_GTEA_CMD_SET, v);
    unsigned id = (unsigned)FIELD(DMT_HOST_GTEA_CMD_ID, v);
    bool by_id = op == DMT_GTEA_OP_REVOKE || op == DMT_GTEA_OP_RESOLVE;

    if (set == 0 || set >= m->cfg.sets) {
        refuse(m, WINDOW_HOST);
        return;
    }
    if (op == DMT_GTEA_OP_REVOKE || op == DMT_GTEA_OP_REVOKE_ALL) {
        revoke(m, set, by_id, id);
        return;
    }
    m->loader.by_id = by_id;
    m->loader.id = (uint16_t)id;
    start_loader(m, set, 0, m->cfg.tea_n - 1);
}

static void write_gtea_table(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    uint64_t table = v & DMT_HOST_GTEA_TABLE1_BASE_MASK;

    if ((v & TABLE_RESERVED) || table >> m->state.maxpa) {
        refuse(m, WINDOW_HOST);
        return;
    }
    m->state.gtea[k].table = table;
    revoke(m, k, false, 0);
}

static void write_gtea_entries(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    if (v > GTEA_ENTRIES_MAX) {
        refuse(m, WINDOW_HOST);
        return;
    }
    m->state.gtea[k].entries = (uint16_t)v;
    revoke(m, k, false, 0);
}

static void write_image_base(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    uint64_t base = v & DMT_HOST_IMAGE_BASE0_BASE_MASK;

    if ((v & TABLE_RESERVED) || base >> m->state.maxpa)
        refuse(m, WINDOW_HOST);
    else
        m->image[k].base = base;
}

static void write_image_count(struct dmt_cycle *m, unsigned k, uint64_t v)
{
    if (v > IMAGES_MAX)
        refuse(m, WINDOW_HOST);
    else
        m->image[k].count = (uint16_t)v;
}

static void write_shadow_root(struct dmt_cycle *m, uint64_t v)
{
    uint64_t root = v & DMT_HOST_SHADOW_ROOT_ROOT_MASK;

    if ((v & TABLE_RESERVED) || root >> m->state.maxpa) {
        refuse(m, WINDOW_HOST);
        return;
    }
    m->state.shadow.root = root;
    flush_all(m);
}

static void write_host(struct dmt_cycle *m, unsigned off, uint64_t v)
{
    switch (off) {
    case DMT_HOST_CTL: write_ctl(m, v); break;
    case DMT_HOST_MAXPA: write_maxpa(m, v); break;
    case DMT_HOST_EVENT: m->event[WINDOW_HOST] &= (uint8_t)~v; break;
    case DMT_HOST_EVENT_MASK: m->mask[WINDOW_HOST] = v & HOST_EVENTS; break;
    case DMT_HOST_CNT_CLEAR: m->count_clear = true; break;
    case DMT_HOST_SHADOW_CTL:
        write_s2_control(&m->state.shadow, v);
        flush_all(m);
        break;
    case DMT_HOST_SHADOW_ROOT: write_shadow_root(m, v); break;
    case DMT_HOST_GTEA_TABLE1:
    case DMT_HOST_GTEA_TABLE2: write_gtea_table(m, gtea_set(off), v); break;
    case DMT_HOST_GTEA_ENTRIES1:
    case DMT_HOST_GTEA_ENTRIES2: write_gtea_entries(m, gtea_set(off), v); break;
    case DMT_HOST_GTEA_CMD: gtea_command(m, v); break;
    case DMT_HOST_IMAGE_BASE0:
    case DMT_HOST_IMAGE_BASE1:
    case DMT_HOST_IMAGE_BASE2: write_image_base(m, image_set(off), v); break;
    case DMT_HOST_IMAGE_COUNT0:
    case DMT_HOST_IMAGE_COUNT1:
    case DMT_HOST_IMAGE_COUNT2: write_image_count(m, image_set(off), v); break;
    default: break; /* read-only */
    }
}

static void execute(struct dmt_cycle *m)
{
    if (m->legal && m->awaddr / WINDOW == WINDOW_HOST)
        write_host(m, m->awaddr % WINDOW, m->wdata);
    else if (m->legal)
        write_level(m, m->awaddr / WINDOW, m->awaddr % WINDOW, m->wdata);
    if (m->drains)
        derive(m);
    m->aw_held = m->w_held = false;
    m->held_for = 0;
    if (m->loader.phase == LOADER_IDLE) {
        if (m->drains && m->cfg.sets > 1)
            m->settle = SETTLE;
        m->out.s_bvalid = 1;
        m->out.s_bresp = m->legal ? DMT_RESP_OKAY : DMT_RESP_SLVERR;
    }
    m->drains = false;
}

/* ------------------------------------------------------------ the port */

static void write_port(struct dmt_cycle *m, const struct dmt_in *in)
{
    struct dmt_out *o = &m->out;
    bool both = m->aw_held && m->w_held;
    bool idle = !m->skid_valid && !cycle_taken(m) && !m->resp_n && !m->fill.cache;
    bool waiting = o->s_bvalid;
    uint64_t v;

    if (waiting && (in->s_bready & 1))
        o->s_bvalid = o->s_bresp = 0;
    if (both) {
        m->held_for = m->loader.phase ? 0 : m->held_for + (m->held_for < 3);
        if (!waiting && !m->loader.phase && (idle || !m->drains) && (!m->cfg.pipe || m->held_for >= 3))
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
    derive(m);
    m->out.s_awready = m->out.s_wready = m->out.s_arready = 1;
}
