/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/shadow.h"
#include "dmt/regs.h"
#include <stdlib.h>
#include <string.h>

#define CR4_FIELDS \
    (DMT_LEVEL_CR4_PGE_MASK | DMT_LEVEL_CR4_LA57_MASK | DMT_LEVEL_CR4_PCIDE_MASK | DMT_LEVEL_CR4_SMEP_MASK | \
     DMT_LEVEL_CR4_SMAP_MASK | DMT_LEVEL_CR4_PKE_MASK | DMT_LEVEL_CR4_PKS_MASK)
#define FRAMES DMT_LEVEL_CR3_ROOT_MASK /* bits 51:12 of every register that names a frame */

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

/* fact.where: level in bits 2:0, stage in 4:3, virtual in 5, then PCID and the
 * tags (microarchitecture 3.9). */
#define WHERE_STAGE(where) ((where) >> 3 & 3)
#define WHERE_VIRTUAL 0x20u
#define WHERE_PCID_LSB 6
#define WHERE_TAG1_LSB 18

/* The tag of stage 0 does not fit: it is in the prefix, above 36 bits of address. */
#define PREFIX_TAG0_LSB 40

static unsigned pcid_now(const struct dmt_level *cr)
{
    return cr->cr4 & DMT_LEVEL_CR4_PCIDE_MASK ? cr->cr3 & DMT_LEVEL_CR3_PCID_MASK : 0;
}

static struct fact fact_key(const struct shadow *s, unsigned stage, uint64_t va, unsigned level)
{
    unsigned entering = s->state.mode - 1u;
    bool second = stage != entering;
    uint32_t where = level | stage << 3;
    uint64_t prefix = (va & 0x01ffffffffffffffull) >> (9 * level + 3);

    if (!second)
        where |= WHERE_VIRTUAL | pcid_now(&s->state.level[stage]) << WHERE_PCID_LSB;
    if (stage == 2 || (stage == 1 && second))
        where |= (uint32_t)s->state.s2[1].tag << WHERE_TAG1_LSB;
    if (entering)
        prefix |= (uint64_t)s->state.s2[0].tag << PREFIX_TAG0_LSB;
    return (struct fact){ .prefix = prefix, .where = where };
}

/* The place of a key, or the free place where it belongs. */
static struct fact *fact_find(const struct shadow *s, const struct fact *key)
{
    uint64_t h = (key->prefix ^ (uint64_t)key->where << 32) * 0xd1342543de82ef95ull;
    unsigned i = (unsigned)(h >> 40) & (s->fact_size - 1);

    while (s->fact[i].used && (s->fact[i].prefix != key->prefix || s->fact[i].where != key->where))
        i = (i + 1) & (s->fact_size - 1);
    return &s->fact[i];
}

/* Drop what has been flushed; double the table when the living fill a quarter. */
static bool fact_rebuild(struct shadow *s)
{
    struct fact *old = s->fact;
    unsigned size = s->fact_size, alive = 0;

    for (unsigned i = 0; i < size; i++)
        alive += old[i].n != 0;
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
        if (old[i].n)
            *fact_find(s, &old[i]) = old[i];
    }
    free(old);
    return true;
}

static bool has_cache(const struct shadow *s, unsigned stage, unsigned level)
{
    const struct dmt_config *c = &s->config;
    const unsigned entries[2][3] = { { c->pwc2_n, c->pwc3_n, c->pwc4_n },
                                     { c->npwc2_n, c->npwc3_n, c->npwc4_n } };

    return level >= 2 && level <= 4 && entries[stage + 1u != s->state.mode][level - 2];
}

bool shadow_fill(struct shadow *s, unsigned stage, uint64_t va, unsigned level, uint64_t table,
                 uint8_t rights, uint64_t now)
{
    struct fact key, *f;

    if (!has_cache(s, stage, level))
        return true;
    key = fact_key(s, stage, va, level);
    f = fact_find(s, &key);
    if (!f->used) {
        if (s->fact_count >= s->fact_size / 2) {
            if (!fact_rebuild(s))
                return false;
            f = fact_find(s, &key);
        }
        s->fact_count++;
        *f = key;
        f->used = true;
    }
    for (unsigned i = 0; i < f->n && f->version[i].at == now; i++) {
        if (f->version[i].table == table && f->version[i].rights == rights)
            return true;
    }
    memmove(&f->version[1], &f->version[0], (FACT_VERSIONS - 1) * sizeof(f->version[0]));
    f->version[0] = (struct fact_version){ .table = table, .at = now, .rights = rights };
    f->n += f->n < FACT_VERSIONS;
    return true;
}

unsigned shadow_cached(const struct shadow *s, unsigned stage, uint64_t va, unsigned level, uint64_t now,
                       struct fact_version version[FACT_VERSIONS])
{
    const struct fact *f;
    struct fact key;
    unsigned n = 0;

    if (!has_cache(s, stage, level))
        return 0;
    key = fact_key(s, stage, va, level);
    f = fact_find(s, &key);
    /* A match sees what was filled two clocks before. Of one clock are one fill's, when it is not known which. */
    for (unsigned i = 0; i < f->n; i++) {
        if (f->version[i].at + 2 > now)
            continue;
        if (n && f->version[i].at != version[0].at)
            break;
        version[n++] = f->version[i];
    }
    for (unsigned i = f->n; i--;) {
        if (f->version[i].at + 2 > now)
            version[n++] = f->version[i];
    }
    return n;
}

/* What a flush drops, specification 10: a set of kinds, and in them PCID and tags when not negative. */
#define V(k) (1u << (k))
#define P(k) (8u << (k))
#define EVERYTHING 63u

static void flush(struct shadow *s, unsigned kinds, int pcid, int tag1, int tag0)
{
    if (s->flushed)
        s->flushed(s->flushed_user, kinds, pcid, tag1, tag0);
    if (!s->fact_count)
        return;
    for (unsigned i = 0; i < s->fact_size; i++) {
        struct fact *f = &s->fact[i];
        unsigned stage = WHERE_STAGE(f->where);

        if (f->n && (kinds & (f->where & WHERE_VIRTUAL ? V(stage) : P(stage))) &&
            (pcid < 0 || (int)(f->where >> WHERE_PCID_LSB & 0xfff) == pcid) &&
            (tag1 < 0 || (int)(f->where >> WHERE_TAG1_LSB) == tag1) &&
            (tag0 < 0 || (int)(f->prefix >> PREFIX_TAG0_LSB) == tag0))
            f->n = 0;
    }
}

/* V(k) of a PCID (all when negative), with the tags of the stages below as they are now. */
static void flush_virtual(struct shadow *s, unsigned k, int pcid)
{
    flush(s, V(k), pcid, k == 2 ? s->state.s2[1].tag : -1, k ? s->state.s2[0].tag : -1);
}

/* INV S2_CONTEXT (tag) or S2_ALL (negative) of stage 0 or 1. */
static void flush_second(struct shadow *s, unsigned k, int tag)
{
    if (k == 0)
        flush(s, V(1) | V(2) | P(0) | P(1), -1, -1, tag);
    else
        flush(s, V(2) | P(1), -1, tag, s->state.s2[0].tag);
}

/* ------------------------------------------------------------ registers */

/* What an offset names. */
enum target { T_NONE, T_TEA, T_LEVEL, T_HOST };

/* The set that a register of an image area is of. */
static unsigned image_set(unsigned offset)
{
    return (offset - DMT_HOST_IMAGE_BASE0) / (DMT_HOST_IMAGE_BASE1 - DMT_HOST_IMAGE_BASE0);
}

static bool host_mapped(const struct shadow *s, unsigned offset)
{
    if (offset <= DMT_HOST_CNT_CLEAR || offset == DMT_HOST_CAPS2)
        return true;
    if (offset >= DMT_HOST_IMAGE_BASE0 && offset <= DMT_HOST_IMAGE_COUNT2)
        return s->config.sets > 1 && image_set(offset) < s->config.sets;
    if (offset == DMT_HOST_SHADOW_CTL || offset == DMT_HOST_SHADOW_ROOT || offset == DMT_HOST_GTEA_TABLE2 ||
        offset == DMT_HOST_GTEA_ENTRIES2)
        return s->config.sets == 3;
    if (offset < DMT_HOST_CAPS2)
        return s->config.sets > 1;
    return offset >= DMT_HOST_CNT_REQUEST && offset <= DMT_HOST_CNT_NPWC2;
}

static enum target decode(const struct shadow *s, unsigned addr, unsigned *set, unsigned *offset)
{
    *offset = addr & 0xfff;
    *set = addr >> 12 & 3;
    if (addr & 7)
        return T_NONE;
    if (*set == 3)
        return host_mapped(s, *offset) ? T_HOST : T_NONE;
    if (*set >= s->config.sets)
        return T_NONE;
    if (*offset < DMT_LEVEL_CR0)
        return *offset / DMT_LEVEL_TEA_STRIDE < s->config.tea_n ? T_TEA : T_NONE;
    if (*offset == DMT_LEVEL_S2CTL || *offset == DMT_LEVEL_S2ROOT)
        return *set + 1 < s->config.sets ? T_LEVEL : T_NONE;
    if (*offset == DMT_LEVEL_LOAD)
        return s->config.sets > 1 ? T_LEVEL : T_NONE;
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
        return offset != DMT_LEVEL_EVENT && offset != DMT_LEVEL_EVENT_MASK;
    case T_HOST:
        return offset == DMT_HOST_CTL || offset == DMT_HOST_MAXPA ||
               (offset >= DMT_HOST_SHADOW_CTL && offset < DMT_HOST_GTEA_FAULT);
    default:
        return false;
    }
}

static void refuse(struct shadow *s, enum shadow_refusal what)
{
    s->refused++;
    s->refused_by = what;
}

static void refuse_level(struct shadow *s, unsigned set, enum shadow_refusal what)
{
    s->level_event[set] |= DMT_LEVEL_EVENT_REFUSED_MASK;
    refuse(s, what);
}

static void refuse_host(struct shadow *s, enum shadow_refusal what)
{
    s->host_event |= DMT_HOST_EVENT_REFUSED_MASK;
    refuse(s, what);
}

/* ---- gTEAs and set loads (specification 12) */

/* Bytes of an image, and of a register in it. */
#define IMAGE_SIZE 2048
#define IMAGE_STRIDE 32

/* The reads that a write caused, consumed as the registers that it loads and resolves are met; or whom to
 * ask for them. */
struct loads {
    const struct shadow_load *load;
    unsigned n;
    bool wrong;
    shadow_read_word *read;
    void *user;
};

static uint64_t wrap(const struct shadow *s, uint64_t addr)
{
    return addr & ((1ull << s->config.pa_w) - 1);
}

static bool load_word(struct loads *l, uint64_t addr, uint64_t *data)
{
    const struct shadow_load *r = l->load;

    if (l->read)
        return l->read(l->user, addr, data) < DMT_RESP_SLVERR;
    if (!l->n || r->addr != addr) {
        l->wrong = true;
        return false;
    }
    l->load++;
    l->n--;
    *data = r->data;
    return r->resp < DMT_RESP_SLVERR;
}

static uint8_t resolve(const struct shadow *s, unsigned set, struct dmt_tea *t, struct loads *l)
{
    uint64_t word[2] = { 0, 0 }, addr = wrap(s, s->state.gtea[set].table + 16 * (uint64_t)t->gtea);
    bool read[2];

    t->gtea_base = t->gtea_pages = 0;
    if (t->gtea >= s->state.gtea[set].entries)
        return DMT_RESOLUTION_BAD_ID;
    read[0] = load_word(l, addr, &word[0]);
    read[1] = load_word(l, addr + 8, &word[1]);
    if (!read[0] || !read[1])
        return DMT_RESOLUTION_BUS;
    if (!(word[0] & 1))
        return DMT_RESOLUTION_ABSENT;
    word[0] = (word[0] & FRAMES) >> 12;
    word[1] &= (1ull << 52) - 1;
    if (!word[1] || word[0] + word[1] > 1ull << (s->state.maxpa - 12))
        return DMT_RESOLUTION_WIDTH;
    t->gtea_base = word[0];
    t->gtea_pages = word[1];
    return DMT_RESOLUTION_OK;
}

/* Resolve or revoke the gTEA registers of a set with this ID (all: any). */
static void for_gteas(struct shadow *s, unsigned set, bool all, unsigned id, bool revoke, struct loads *l)
{
    for (unsigned i = 0; i < s->config.tea_n; i++) {
        struct dmt_tea *t = &s->state.tea[set][i];

        if (!t->valid || t->kind != DMT_KIND_GTEA || (!all && t->gtea != id))
            continue;
        if (revoke) {
            t->resolution = DMT_RESOLUTION_REVOKED;
            t->gtea_base = t->gtea_pages = 0;
        } else {
            t->resolution = resolve(s, set, t, l);
        }
        s->resolutions |= 1u << t->resolution;
    }
}

unsigned shadow_loads(const struct shadow *s, unsigned addr, unsigned strb, uint64_t data,
                      struct shadow_grant grant[SHADOW_GRANTS])
{
    unsigned set, offset, n = 0;
    enum target target = strb == 0xff ? decode(s, addr, &set, &offset) : T_NONE;

    if (target == T_LEVEL && offset == DMT_LEVEL_LOAD && data < s->image[set].count)
        grant[n++] = (struct shadow_grant){ .low = s->image[set].base + IMAGE_SIZE * data,
                                            .size = IMAGE_STRIDE * s->config.tea_n };
    else if (target == T_HOST && offset == DMT_HOST_GTEA_CMD)
        set = data >> DMT_HOST_GTEA_CMD_SET_LSB & 3;
    else if (target != T_TEA || (offset & 0x18) || !(data & DMT_TEA_WORD0_P_MASK))
        return 0;
    if (set && set < s->config.sets)
        grant[n++] = (struct shadow_grant){ .low = s->state.gtea[set].table,
                                            .size = 16 * (uint64_t)s->state.gtea[set].entries };
    return n;
}

static void write_tea(struct shadow *s, unsigned set, unsigned offset, uint64_t data, struct loads *l)
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
    t->resolution = DMT_RESOLUTION_NOT_TRIED;
    t->gtea_base = t->gtea_pages = 0;
    s->refusal[set][i] = DMT_REFUSAL_NONE;
    if (t->valid) {
        uint8_t why = dmt_tea_refusal(t, set, data & DMT_TEA_WORD0_RSVD_MASK, s->state.maxpa);

        if (why != DMT_REFUSAL_NONE) {
            t->valid = false;
            word[0] &= ~DMT_TEA_WORD0_P_MASK;
            s->refusal[set][i] = why;
            refuse_level(s, set, REFUSED_TEA);
        } else if (t->kind == DMT_KIND_GTEA) {
            t->resolution = resolve(s, set, t, l);
            s->resolutions |= 1u << t->resolution;
        }
    }
}

/* Every register from an image: words 1, 2 and 0, as written on the CSR bus. */
static void write_load(struct shadow *s, unsigned set, uint64_t index, struct loads *l)
{
    static const unsigned order[] = { 1, 2, 0 };

    if (index >= s->image[set].count) { /* 4096 at most: no bit above INDEX passes */
        refuse_level(s, set, REFUSED_LOAD);
        return;
    }
    for (unsigned i = 0; i < s->config.tea_n; i++) {
        s->state.tea[set][i].valid = false;
        s->word[set][i][0] &= ~DMT_TEA_WORD0_P_MASK;
    }
    for (unsigned i = 0; i < s->config.tea_n; i++) {
        uint64_t image = s->image[set].base + IMAGE_SIZE * index + IMAGE_STRIDE * i, word[3];
        bool read[3];

        for (unsigned n = 0; n < 3; n++)
            read[n] = load_word(l, wrap(s, image + 8 * order[n]), &word[n]);
        for (unsigned n = 0; n < 3; n++) {
            if (!read[n]) {
                s->level_event[set] |= DMT_LEVEL_EVENT_LOAD_FAILED_MASK;
                s->set_load = SET_LOAD_BUS;
                return;
            }
            write_tea(s, set, DMT_LEVEL_TEA_WORD0(i) + 8 * order[n], word[n], l);
        }
    }
    s->set_load = SET_LOAD_DONE;
}

static void write_cr3(struct shadow *s, unsigned set, uint64_t data)
{
    struct dmt_level *cr = &s->state.level[set];

    if ((data & 0x7ff0000000000000ull) || (data & FRAMES) >> s->state.maxpa) {
        refuse_level(s, set, REFUSED_CR3);
        return;
    }
    cr->cr3 = data & (FRAMES | DMT_LEVEL_CR3_PCID_MASK);
    if (!(cr->cr4 & DMT_LEVEL_CR4_PCIDE_MASK))
        flush_virtual(s, set, 0);
    else if (!(data & DMT_LEVEL_CR3_NOFLUSH_MASK))
        flush_virtual(s, set, (int)(data & DMT_LEVEL_CR3_PCID_MASK));
}

static void write_s2root(struct shadow *s, unsigned set, uint64_t data)
{
    if ((data & 0x7ff0000000000f00ull) || (data & FRAMES) >> s->state.maxpa) {
        refuse_level(s, set, REFUSED_S2ROOT);
        return;
    }
    s->state.s2[set].root = data & FRAMES;
    s->state.s2[set].tag = data & DMT_LEVEL_S2ROOT_TAG_MASK;
    if (!(data & DMT_LEVEL_S2ROOT_NOFLUSH_MASK))
        flush_second(s, set, s->state.s2[set].tag);
}

static void write_inv(struct shadow *s, unsigned set, uint64_t data)
{
    unsigned kind = data >> DMT_LEVEL_INV_KIND_LSB & 15;
    unsigned pcid = data >> DMT_LEVEL_INV_PCID_LSB & 0xfff;

    if (kind > (set + 1 < s->config.sets ? DMT_INV_S2_ALL : DMT_INV_ALL_BUT_GLOBAL))
        refuse_level(s, set, REFUSED_INV);
    else if (kind == DMT_INV_S2_CONTEXT)
        flush_second(s, set, pcid & 0xff);
    else if (kind == DMT_INV_S2_ALL)
        flush_second(s, set, -1);
    else
        flush_virtual(s, set, kind == DMT_INV_ADDRESS || kind == DMT_INV_CONTEXT ? (int)pcid : -1);
}

static void set_s2ctl(struct dmt_s2 *s2, uint64_t data)
{
    s2->format = data >> DMT_LEVEL_S2CTL_FORMAT_LSB & 1;
    s2->five = data & DMT_LEVEL_S2CTL_FIVE_MASK;
    s2->ad = data & DMT_LEVEL_S2CTL_AD_MASK;
    s2->mbec = data & DMT_LEVEL_S2CTL_MBEC_MASK;
}

static uint64_t get_s2ctl(const struct dmt_s2 *s2)
{
    return (uint64_t)s2->format << DMT_LEVEL_S2CTL_FORMAT_LSB | (s2->five ? DMT_LEVEL_S2CTL_FIVE_MASK : 0) |
           (s2->ad ? DMT_LEVEL_S2CTL_AD_MASK : 0) | (s2->mbec ? DMT_LEVEL_S2CTL_MBEC_MASK : 0);
}

static void write_level(struct shadow *s, unsigned set, unsigned offset, uint64_t data, struct loads *l)
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
        s->level_mask[set] = data & 7;
        return;
    case DMT_LEVEL_S2CTL:
        set_s2ctl(&s->state.s2[set], data);
        flush_second(s, set, -1);
        return;
    case DMT_LEVEL_S2ROOT:
        write_s2root(s, set, data);
        return;
    case DMT_LEVEL_LOAD:
        write_load(s, set, data, l);
        return;
    default:
        write_inv(s, set, data);
        return;
    }
    flush(s, V(set), -1, -1, -1);
}

static void write_maxpa(struct shadow *s, uint64_t data)
{
    unsigned maxpa = data & DMT_HOST_MAXPA_MAXPA_MASK;

    if (maxpa < 32 || maxpa > s->config.pa_w) {
        refuse_host(s, REFUSED_MAXPA);
        return;
    }
    s->state.maxpa = (uint8_t)maxpa;
    for (unsigned k = 0; k < s->config.sets; k++) {
        s->state.level[k].cr3 = 0;
        for (unsigned i = 0; i < s->config.tea_n; i++) {
            s->state.tea[k][i].valid = false;
            s->state.tea[k][i].resolution = DMT_RESOLUTION_NOT_TRIED;
            s->word[k][i][0] &= ~DMT_TEA_WORD0_P_MASK;
        }
    }
    for (unsigned k = 0; k < 2; k++) {
        s->state.s2[k].root = 0;
        s->state.s2[k].tag = 0;
    }
    s->state.shadow.root = 0;
    flush(s, EVERYTHING, -1, -1, -1);
}

static void write_gtea_cmd(struct shadow *s, uint64_t data, struct loads *l)
{
    unsigned op = (unsigned)(data >> DMT_HOST_GTEA_CMD_OP_LSB);
    unsigned set = data >> DMT_HOST_GTEA_CMD_SET_LSB & 3;

    if (!set || set >= s->config.sets)
        refuse_host(s, REFUSED_GTEA_CMD);
    else
        for_gteas(s, set, op == DMT_GTEA_OP_REVOKE_ALL || op == DMT_GTEA_OP_RESOLVE_ALL,
                  data & DMT_HOST_GTEA_CMD_ID_MASK, op == DMT_GTEA_OP_REVOKE || op == DMT_GTEA_OP_REVOKE_ALL,
                  l);
}

/* A frame in a host register: bits 63:52 zero, below MAXPA. */
static bool frame_refused(struct shadow *s, uint64_t data, enum shadow_refusal what)
{
    bool bad = data >> 52 || (data & FRAMES) >> s->state.maxpa;

    if (bad)
        refuse_host(s, what);
    return bad;
}

/* Of gTEAs, or images. */
static bool number_refused(struct shadow *s, uint64_t data, enum shadow_refusal what)
{
    if (data > 4096)
        refuse_host(s, what);
    return data > 4096;
}

static void write_host(struct shadow *s, unsigned offset, uint64_t data, struct loads *l)
{
    unsigned mode = data & DMT_HOST_CTL_MODE_MASK, set = offset >= DMT_HOST_GTEA_TABLE2 ? 2 : 1;

    switch (offset) {
    case DMT_HOST_CTL:
        if (mode > s->config.sets) {
            refuse_host(s, REFUSED_CTL);
            return;
        }
        s->state.mode = (uint8_t)mode;
        s->state.ad_update = data & DMT_HOST_CTL_AD_UPDATE_MASK;
        s->state.full = data & DMT_HOST_CTL_FALLBACK_MASK;
        flush(s, EVERYTHING, -1, -1, -1);
        break;
    case DMT_HOST_MAXPA:
        write_maxpa(s, data);
        break;
    case DMT_HOST_EVENT:
        s->host_event &= ~data;
        break;
    case DMT_HOST_EVENT_MASK:
        s->host_mask = data & 15;
        break;
    case DMT_HOST_CNT_CLEAR:
        memset(s->counter, 0, sizeof(s->counter));
        break;
    case DMT_HOST_SHADOW_CTL:
        set_s2ctl(&s->state.shadow, data);
        flush(s, EVERYTHING, -1, -1, -1);
        break;
    case DMT_HOST_SHADOW_ROOT:
        if (frame_refused(s, data, REFUSED_SHADOW))
            return;
        s->state.shadow.root = data & FRAMES;
        flush(s, EVERYTHING, -1, -1, -1);
        break;
    case DMT_HOST_GTEA_TABLE1:
    case DMT_HOST_GTEA_TABLE2:
        if (frame_refused(s, data, REFUSED_GTEA_TABLE))
            return;
        s->state.gtea[set].table = data & FRAMES;
        for_gteas(s, set, true, 0, true, l);
        break;
    case DMT_HOST_GTEA_ENTRIES1:
    case DMT_HOST_GTEA_ENTRIES2:
        if (number_refused(s, data, REFUSED_GTEA_ENTRIES))
            return;
        s->state.gtea[set].entries = (uint16_t)data;
        for_gteas(s, set, true, 0, true, l);
        break;
    case DMT_HOST_GTEA_CMD:
        write_gtea_cmd(s, data, l);
        break;
    case DMT_HOST_IMAGE_BASE0:
    case DMT_HOST_IMAGE_BASE1:
    case DMT_HOST_IMAGE_BASE2:
        if (!frame_refused(s, data, REFUSED_IMAGE_BASE))
            s->image[image_set(offset)].base = data & FRAMES;
        break;
    case DMT_HOST_IMAGE_COUNT0:
    case DMT_HOST_IMAGE_COUNT1:
    case DMT_HOST_IMAGE_COUNT2:
        if (!number_refused(s, data, REFUSED_IMAGE_COUNT))
            s->image[image_set(offset)].count = (uint16_t)data;
        break;
    default:
        break;
    }
}

static enum dmt_resp write_csr(struct shadow *s, unsigned addr, uint64_t data, unsigned strb, struct loads *l)
{
    unsigned set, offset;
    enum target target = decode(s, addr, &set, &offset);
    enum dmt_resp resp = DMT_RESP_OKAY;

    s->refused_by = REFUSED_NONE;
    s->set_load = SET_LOAD_NONE;
    s->resolutions = 0;
    if (target == T_NONE || strb != 0xff)
        resp = DMT_RESP_SLVERR;
    else if (target == T_TEA)
        write_tea(s, set, offset, data, l);
    else if (target == T_LEVEL)
        write_level(s, set, offset, data, l);
    else
        write_host(s, offset, data, l);
    return l->wrong || l->n ? DMT_RESP_STOP : resp;
}

enum dmt_resp shadow_write(struct shadow *s, unsigned addr, uint64_t data, unsigned strb,
                           const struct shadow_load *load, unsigned n)
{
    struct loads l = { .load = load, .n = n };

    return write_csr(s, addr, data, strb, &l);
}

enum dmt_resp shadow_write_from(struct shadow *s, unsigned addr, uint64_t data, shadow_read_word *read,
                                void *user)
{
    struct loads l = { .read = read, .user = user };

    return write_csr(s, addr, data, 0xff, &l);
}

void shadow_count_end(uint64_t counter[SHADOW_COUNTERS], const struct dmt_result *r)
{
    unsigned path = 0; /* the worst of its stages */

    switch (r->status) {
    case DMT_STATUS_OK:
        for (unsigned k = 0; k < DMT_SETS_MAX; k++)
            path = r->path[k] > path ? r->path[k] : path;
        counter[path == DMT_PATH_TEA       ? CNT_TEA
                : path == DMT_PATH_RADIX   ? CNT_RADIX
                : path == DMT_PATH_RESTART ? CNT_RESTART
                                           : CNT_PASS]++;
        break;
    case DMT_STATUS_BUS:
        counter[CNT_BUS]++;
        break;
    case DMT_STATUS_RETRY:
        counter[CNT_RETRY]++;
        break;
    case DMT_STATUS_GTEA:
        counter[CNT_GTEA]++;
        break;
    default:
        counter[CNT_FAULT]++;
        break;
    }
}

void shadow_end_events(struct shadow *s, const struct dmt_result *r)
{
    if (r->status == DMT_STATUS_GTEA) { /* error: ID, register, whether it was not resolved */
        s->host_event |= DMT_HOST_EVENT_GTEA_MASK;
        s->gtea_fault = (r->error & 0xfff) << DMT_HOST_GTEA_FAULT_ID_LSB |
                        (r->error >> 12 & 63) << DMT_HOST_GTEA_FAULT_INDEX_LSB |
                        (uint64_t)r->stage << DMT_HOST_GTEA_FAULT_SET_LSB |
                        (r->error >> 18 & 1) << DMT_HOST_GTEA_FAULT_UNRESOLVED_LSB;
    }
    if (r->status != DMT_STATUS_BUS)
        return;
    if (r->error == DMT_BUS_ERROR_NOT_EXCLUSIVE)
        s->host_event |= DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK;
    else
        s->host_event |= DMT_HOST_EVENT_BUS_MASK;
    s->bus_addr = r->addr & 0x000fffffffffffffull;
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
    case DMT_LEVEL_S2CTL:
        return get_s2ctl(&s->state.s2[set]);
    case DMT_LEVEL_S2ROOT:
        return s->state.s2[set].root | s->state.s2[set].tag;
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
    case DMT_HOST_CAPS2:
        return (uint64_t)c->npwc4_n << DMT_HOST_CAPS2_NPWC4_N_LSB |
               (uint64_t)c->npwc3_n << DMT_HOST_CAPS2_NPWC3_N_LSB |
               (uint64_t)c->npwc2_n << DMT_HOST_CAPS2_NPWC2_N_LSB;
    case DMT_HOST_CTL:
        return s->state.mode | (s->state.ad_update ? DMT_HOST_CTL_AD_UPDATE_MASK : 0) |
               (s->state.full ? DMT_HOST_CTL_FALLBACK_MASK : 0);
    case DMT_HOST_MAXPA:
        return s->state.maxpa;
    case DMT_HOST_EVENT:
        return s->host_event;
    case DMT_HOST_EVENT_MASK:
        return s->host_mask;
    case DMT_HOST_BUS_ADDR:
        return s->bus_addr;
    case DMT_HOST_SHADOW_CTL:
        return get_s2ctl(&s->state.shadow);
    case DMT_HOST_SHADOW_ROOT:
        return s->state.shadow.root;
    case DMT_HOST_GTEA_TABLE1:
    case DMT_HOST_GTEA_TABLE2:
        return s->state.gtea[offset == DMT_HOST_GTEA_TABLE2 ? 2 : 1].table;
    case DMT_HOST_GTEA_ENTRIES1:
    case DMT_HOST_GTEA_ENTRIES2:
        return s->state.gtea[offset == DMT_HOST_GTEA_ENTRIES2 ? 2 : 1].entries;
    case DMT_HOST_GTEA_FAULT:
        return s->gtea_fault;
    case DMT_HOST_IMAGE_BASE0:
    case DMT_HOST_IMAGE_BASE1:
    case DMT_HOST_IMAGE_BASE2:
        return s->image[image_set(offset)].base;
    case DMT_HOST_IMAGE_COUNT0:
    case DMT_HOST_IMAGE_COUNT1:
    case DMT_HOST_IMAGE_COUNT2:
        return s->image[image_set(offset)].count;
    case DMT_HOST_CNT_CLEAR:
    case DMT_HOST_GTEA_CMD:
        return 0;
    default:
        return s->counter[(offset - DMT_HOST_CNT_REQUEST) / 8] & ((1ull << c->cnt_w) - 1);
    }
}

static uint64_t tea_state(const struct shadow *s, unsigned set, unsigned i)
{
    const struct dmt_tea *t = &s->state.tea[set][i];

    return (uint64_t)t->resolution << DMT_TEA_WORD3_RESOLUTION_LSB |
           (uint64_t)s->refusal[set][i] << DMT_TEA_WORD3_REFUSAL_LSB | t->valid;
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
        *data = offset / 8 % 4 < 3 ? s->word[set][i][offset / 8 % 4] : tea_state(s, set, i);
        return true;
    case T_LEVEL:
        *data = read_level(s, set, offset);
        return offset != DMT_LEVEL_EVENT;
    case T_HOST:
        *data = read_host(s, offset);
        return offset < DMT_HOST_CNT_PWC4 || offset == DMT_HOST_CNT_GTEA;
    default:
        return true;
    }
}
