/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/shadow.h"
#include "dmt/regs.h"
#include <stdlib.h>
#include <string.h>

#define CR4_FIELDS \
    (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_LA57_MASK | DMT_LEVEL_CR4_PCIDE_MASK | DMT_LEVEL_CR4_SMEP_MASK | \
     DMT_LEVEL_CR4_SMAP_MASK | DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK)

#define FACTS_MIN 1024u

bool shadow_reset(struct shadow *s, const struct dmt_config *config)
{
    struct fact *fact = s->fact;
    unsigned size = s->fact_size;

    if (!fact) {
        size = FACTS_MIN;
        fact = malloc(size * sizeof(*fact));
        if (!fact)
            return false;
    }
    memset(fact, 0, size * sizeof(*fact));
    memset(s, 0, sizeof(*s));
    s->fact = fact;
    s->fact_size = size;
    s->stamp = 1;
    s->config = *config;
    dmt_state_reset(&s->state, config->pa_w);
    return true;
}

void shadow_free(struct shadow *s)
{
    free(s->fact);
    s->fact = NULL;
    s->fact_size = 0;
}

/* ------------------------------------------------------------ facts */

static unsigned pcid_now(const struct shadow *s)
{
    const struct dmt_level *cr = &s->state.level[0];

    return cr->cr4 & DMT_LEVEL_CR4_PCIDE_MASK ? cr->cr3 & DMT_LEVEL_CR3_PCID_MASK : 0;
}

static uint64_t fact_key(const struct shadow *s, uint64_t va, unsigned level)
{
    uint64_t prefix = (va & 0x01ffffffffffffffull) >> (9 * level + 3);

    return prefix << 16 | pcid_now(s) << 4 | level;
}

static unsigned fact_slot(const struct shadow *s, uint64_t key, uint64_t table)
{
    uint64_t h = (key ^ table * 0x9e3779b97f4a7c15ull) * 0xd1342543de82ef95ull;

    return (unsigned)(h >> 40) & (s->fact_size - 1);
}

static bool fact_alive(const struct shadow *s, const struct fact *f)
{
    return f->stamp > s->flushed && f->stamp > s->pcid_flushed[f->key >> 4 & 0xfff];
}

/* The place of (key, table), or the free place where it belongs. */
static struct fact *fact_find(const struct shadow *s, uint64_t key, uint64_t table)
{
    unsigned i = fact_slot(s, key, table);

    while (s->fact[i].stamp && (s->fact[i].key != key || s->fact[i].table != table))
        i = (i + 1) & (s->fact_size - 1);
    return &s->fact[i];
}

/* Drop what has been flushed; double the table when the living fill a quarter. */
static bool fact_rebuild(struct shadow *s)
{
    struct fact *old = s->fact;
    unsigned size = s->fact_size, alive = 0;

    for (unsigned i = 0; i < size; i++)
        alive += old[i].stamp && fact_alive(s, &old[i]);
    if (alive > size / 4)
        s->fact_size *= 2;
    s->fact = calloc(s->fact_size, sizeof(*s->fact));
    if (!s->fact) {
        s->fact = old;
        s->fact_size = size;
        return false;
    }
    s->fact_count = alive;
    for (unsigned i = 0; i < size; i++) {
        if (old[i].stamp && fact_alive(s, &old[i]))
            *fact_find(s, old[i].key, old[i].table) = old[i];
    }
    free(old);
    return true;
}

bool shadow_fact(struct shadow *s, uint64_t va, unsigned level, uint64_t table, uint8_t rights)
{
    unsigned entries = level == 4 ? s->config.pwc4_n : level == 3 ? s->config.pwc3_n : s->config.pwc2_n;
    uint64_t key = fact_key(s, va, level);
    struct fact *f;

    if (!entries)
        return true;
    f = fact_find(s, key, table);
    if (!f->stamp) {
        if (s->fact_count >= s->fact_size / 2) {
            if (!fact_rebuild(s))
                return false;
            f = fact_find(s, key, table);
        }
        s->fact_count++;
        *f = (struct fact){ .key = key, .table = table };
    }
    if (!fact_alive(s, f))
        f->rights = 0;
    f->rights |= rights;
    f->stamp = s->stamp;
    return true;
}

uint8_t shadow_may_start(const struct shadow *s, uint64_t va, unsigned level, uint64_t table)
{
    const struct fact *f;

    if (level < 2 || level > 4)
        return 0;
    f = fact_find(s, fact_key(s, va, level), table);
    return f->stamp && fact_alive(s, f) ? f->rights : 0;
}

static void flush_all(struct shadow *s)
{
    s->flushed = s->stamp++;
}

static void flush_pcid(struct shadow *s, unsigned pcid)
{
    s->pcid_flushed[pcid] = s->stamp++;
}

/* ------------------------------------------------------------ registers */

/* What an offset names. */
enum target { T_NONE, T_TEA, T_LEVEL, T_HOST };

static enum target decode(const struct shadow *s, unsigned addr, unsigned *set, unsigned *offset)
{
    *offset = addr & 0xfff;
    *set = addr >> 12 & 3;
    if (addr & 7)
        return T_NONE;
    if (*set == 3) {
        if (*offset <= DMT_HOST_CNT_CLEAR ||
            (*offset >= DMT_HOST_CNT_REQUEST && *offset <= DMT_HOST_CNT_BUSY))
            return T_HOST;
        return T_NONE;
    }
    if (*set >= s->config.sets)
        return T_NONE;
    if (*offset < DMT_LEVEL_CR0)
        return *offset / DMT_LEVEL_TEA_STRIDE < s->config.tea_n ? T_TEA : T_NONE;
    if (*offset <= DMT_LEVEL_PKRS || (*offset >= DMT_LEVEL_EVENT && *offset <= DMT_LEVEL_INV))
        return T_LEVEL;
    return T_NONE;
}

bool shadow_drains(const struct shadow *s, unsigned addr, unsigned strb)
{
    unsigned set, offset;

    if (strb != 0xff)
        return false;
    switch (decode(s, addr, &set, &offset)) {
    case T_TEA:
        return (offset & 0x18) != 0x18;
    case T_LEVEL:
        return offset <= DMT_LEVEL_PKRS || offset == DMT_LEVEL_INV;
    case T_HOST:
        return offset == DMT_HOST_CTL || offset == DMT_HOST_MAXPA;
    default:
        return false;
    }
}

static void refuse_level(struct shadow *s, unsigned set)
{
    s->level_event[set] |= DMT_LEVEL_EVENT_REFUSED_MASK;
    s->refused++;
}

static void refuse_host(struct shadow *s)
{
    s->host_event |= DMT_HOST_EVENT_REFUSED_MASK;
    s->refused++;
}

static void write_tea(struct shadow *s, unsigned set, unsigned offset, uint64_t data)
{
    unsigned i = offset / DMT_LEVEL_TEA_STRIDE, n = offset / 8 % 4;
    struct dmt_tea *t = &s->state.tea[set][i];
    uint64_t *word = s->word[set][i];

    if (n == 3)
        return;
    word[n] = data;
    if (n) {
        word[0] &= ~DMT_TEA_WORD0_P_MASK;
        t->valid = false;
        return;
    }
    word[0] &= ~DMT_TEA_WORD0_RSVD_MASK;
    t->base_vpn = word[0] >> 12;
    t->base_pfn = word[1] >> 12;
    t->gtea = word[1] & 0xfff;
    t->pages = word[2];
    t->sz = data >> DMT_TEA_WORD0_SZ_LSB & 3;
    t->kind = data >> DMT_TEA_WORD0_KIND_LSB & 3;
    t->allow = (data & DMT_TEA_WORD0_ALLOW_W_MASK ? 1 : 0) | (data & DMT_TEA_WORD0_ALLOW_U_MASK ? 2 : 0) |
               (data & DMT_TEA_WORD0_ALLOW_X_MASK ? 4 : 0);
    t->valid = data & DMT_TEA_WORD0_P_MASK;
    s->refusal[set][i] = DMT_REFUSAL_NONE;
    if (t->valid) {
        uint8_t why = dmt_tea_refusal(t, set, data & DMT_TEA_WORD0_RSVD_MASK, s->state.maxpa);

        if (why != DMT_REFUSAL_NONE) {
            t->valid = false;
            word[0] &= ~DMT_TEA_WORD0_P_MASK;
            s->refusal[set][i] = why;
            refuse_level(s, set);
        }
    }
}

static void write_cr3(struct shadow *s, unsigned set, uint64_t data)
{
    struct dmt_level *cr = &s->state.level[set];
    unsigned pcid = data & DMT_LEVEL_CR3_PCID_MASK;

    if ((data & 0x7ff0000000000000ull) || (data & DMT_LEVEL_CR3_ROOT_MASK) >> s->state.maxpa) {
        refuse_level(s, set);
        return;
    }
    cr->cr3 = data & (DMT_LEVEL_CR3_ROOT_MASK | DMT_LEVEL_CR3_PCID_MASK);
    if (set)
        return;
    if (!(cr->cr4 & DMT_LEVEL_CR4_PCIDE_MASK))
        flush_pcid(s, 0);
    else if (!(data & DMT_LEVEL_CR3_NOFLUSH_MASK))
        flush_pcid(s, pcid);
}

static void write_inv(struct shadow *s, unsigned set, uint64_t data)
{
    unsigned kind = data >> DMT_LEVEL_INV_KIND_LSB & 15;

    if (kind > DMT_INV_ALL_BUT_GLOBAL) {
        refuse_level(s, set);
    } else if (set == 0) {
        if (kind == DMT_INV_ADDRESS || kind == DMT_INV_CONTEXT)
            flush_pcid(s, data >> DMT_LEVEL_INV_PCID_LSB & 0xfff);
        else
            flush_all(s);
    }
}

static void write_level(struct shadow *s, unsigned set, unsigned offset, uint64_t data)
{
    struct dmt_level *cr = &s->state.level[set];

    switch (offset) {
    case DMT_LEVEL_CR0:
        cr->cr0 = data & DMT_LEVEL_CR0_WP_MASK;
        break;
    case DMT_LEVEL_CR3:
        write_cr3(s, set, data);
        return;
    case DMT_LEVEL_CR4:
        cr->cr4 = data & CR4_FIELDS;
        break;
    case DMT_LEVEL_EFER:
        cr->efer = data & DMT_LEVEL_EFER_NXE_MASK;
        break;
    case DMT_LEVEL_PKRU:
        cr->pkru = (uint32_t)data;
        return;
    case DMT_LEVEL_PKRS:
        cr->pkrs = (uint32_t)data;
        return;
    case DMT_LEVEL_EVENT:
        s->level_event[set] &= ~data;
        return;
    case DMT_LEVEL_EVENT_MASK:
        s->level_mask[set] = data & 3;
        return;
    default:
        write_inv(s, set, data);
        return;
    }
    if (set == 0)
        flush_all(s);
}

static void write_host(struct shadow *s, unsigned offset, uint64_t data)
{
    unsigned mode = data & DMT_HOST_CTL_MODE_MASK, maxpa = data & DMT_HOST_MAXPA_MAXPA_MASK;

    switch (offset) {
    case DMT_HOST_CTL:
        if (mode == DMT_MODE_VIRT || mode == DMT_MODE_NESTED) {
            refuse_host(s);
            return;
        }
        s->state.mode = (uint8_t)mode;
        s->state.ad_update = data & DMT_HOST_CTL_AD_UPDATE_MASK;
        flush_all(s);
        break;
    case DMT_HOST_MAXPA:
        if (maxpa < 32 || maxpa > s->config.pa_w) {
            refuse_host(s);
            return;
        }
        s->state.maxpa = (uint8_t)maxpa;
        for (unsigned k = 0; k < s->config.sets; k++) {
            s->state.level[k].cr3 = 0;
            for (unsigned i = 0; i < s->config.tea_n; i++) {
                s->state.tea[k][i].valid = false;
                s->word[k][i][0] &= ~DMT_TEA_WORD0_P_MASK;
            }
        }
        flush_all(s);
        break;
    case DMT_HOST_EVENT:
        s->host_event &= ~data;
        break;
    case DMT_HOST_EVENT_MASK:
        s->host_mask = data & 7;
        break;
    case DMT_HOST_CNT_CLEAR:
        memset(s->counter, 0, sizeof(s->counter));
        break;
    default:
        break;
    }
}

enum dmt_resp shadow_write(struct shadow *s, unsigned addr, uint64_t data, unsigned strb)
{
    unsigned set, offset;
    enum target target = decode(s, addr, &set, &offset);

    if (target == T_NONE || strb != 0xff)
        return DMT_RESP_SLVERR;
    if (target == T_TEA)
        write_tea(s, set, offset, data);
    else if (target == T_LEVEL)
        write_level(s, set, offset, data);
    else
        write_host(s, offset, data);
    return DMT_RESP_OKAY;
}

static uint64_t read_level(const struct shadow *s, unsigned set, unsigned offset)
{
    const struct dmt_level *cr = &s->state.level[set];

    switch (offset) {
    case DMT_LEVEL_CR0:
        return cr->cr0;
    case DMT_LEVEL_CR3:
        return cr->cr3;
    case DMT_LEVEL_CR4:
        return cr->cr4;
    case DMT_LEVEL_EFER:
        return cr->efer;
    case DMT_LEVEL_PKRU:
        return cr->pkru;
    case DMT_LEVEL_PKRS:
        return cr->pkrs;
    case DMT_LEVEL_EVENT_MASK:
        return s->level_mask[set];
    default:
        return 0;
    }
}

static uint64_t read_host(const struct shadow *s, unsigned offset)
{
    const struct dmt_config *c = &s->config;

    switch (offset) {
    case DMT_HOST_ID:
        return DMT_HOST_ID_RESET;
    case DMT_HOST_CAPS:
        return (uint64_t)c->pa_w << DMT_HOST_CAPS_PA_W_LSB | (uint64_t)c->ctx_n << DMT_HOST_CAPS_CTX_N_LSB |
               (uint64_t)c->tea_n << DMT_HOST_CAPS_TEA_N_LSB | (uint64_t)c->sets << DMT_HOST_CAPS_SETS_LSB |
               (uint64_t)c->pwc4_n << DMT_HOST_CAPS_PWC4_N_LSB |
               (uint64_t)c->pwc3_n << DMT_HOST_CAPS_PWC3_N_LSB |
               (uint64_t)c->pwc2_n << DMT_HOST_CAPS_PWC2_N_LSB |
               (uint64_t)c->cnt_w << DMT_HOST_CAPS_CNT_W_LSB;
    case DMT_HOST_CTL:
        return s->state.mode | (s->state.ad_update ? DMT_HOST_CTL_AD_UPDATE_MASK : 0);
    case DMT_HOST_MAXPA:
        return s->state.maxpa;
    case DMT_HOST_EVENT:
        return s->host_event;
    case DMT_HOST_EVENT_MASK:
        return s->host_mask;
    case DMT_HOST_BUS_ADDR:
        return s->bus_addr;
    case DMT_HOST_CNT_CLEAR:
        return 0;
    default:
        return s->counter[(offset - DMT_HOST_CNT_REQUEST) / 8] & ((1ull << c->cnt_w) - 1);
    }
}

bool shadow_read(const struct shadow *s, unsigned addr, uint64_t *data, enum dmt_resp *resp)
{
    unsigned set, offset, i;
    enum target target = decode(s, addr, &set, &offset);

    *resp = target == T_NONE ? DMT_RESP_SLVERR : DMT_RESP_OKAY;
    *data = 0;
    switch (target) {
    case T_TEA:
        i = offset / DMT_LEVEL_TEA_STRIDE;
        *data = offset / 8 % 4 < 3 ? s->word[set][i][offset / 8 % 4]
                                   : (uint64_t)s->refusal[set][i] << DMT_TEA_WORD3_REFUSAL_LSB |
                                         s->state.tea[set][i].valid;
        return true;
    case T_LEVEL:
        *data = read_level(s, set, offset);
        return offset != DMT_LEVEL_EVENT;
    case T_HOST:
        *data = read_host(s, offset);
        return offset < DMT_HOST_CNT_PWC4;
    default:
        return true;
    }
}
