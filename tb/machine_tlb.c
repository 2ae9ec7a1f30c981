/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/machine_tlb.h"
#include "dmt/regs.h"
#include "rules.h"
#include <stdlib.h>
#include <string.h>

/* A key, so that a flush is a sweep of 32-bit compares: bit 0 valid, the
 * entering level, the PCID (of a global entry all ones in 13 bits, which is
 * none), tags of stages 1 and 0. Zero is a free place. */
#define KEY_VALID     1u
#define KEY_LEVEL_LSB 1
#define KEY_LEVEL     (3u << KEY_LEVEL_LSB)
#define KEY_PCID_LSB  3
#define KEY_PCID      (0x1fffu << KEY_PCID_LSB)
#define KEY_TAG1_LSB  16
#define KEY_TAG1      (0xffu << KEY_TAG1_LSB)
#define KEY_TAG0_LSB  24
#define KEY_TAG0      (0xffu << KEY_TAG0_LSB)
#define KEY_GLOBAL    KEY_PCID /* bit 12 of the field alone tells */
#define KEY_IS_GLOBAL (0x1000u << KEY_PCID_LSB)

#define SIZES    3
#define WAYS     4
#define VPN_BITS ((1ull << 45) - 1) /* of an address that INV names */

struct entry {
    uint64_t page, pa, addr;
    uint8_t rights, pkey, memtype;
    uint8_t span; /* size of the entering stage's page, of which this may be a part */
    bool dirty;
};

struct machine_tlb {
    unsigned sets, shift, ways, victim;
    uint32_t *key[SIZES];
    struct entry *entry[SIZES];
    unsigned count[SIZES], globals[SIZES];
    unsigned parts; /* entries smaller than their page */
};

struct machine_tlb *machine_tlb_new(unsigned sets)
{
    struct machine_tlb *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->sets = sets;
    t->ways = sets < WAYS ? sets : WAYS;
    t->shift = 64 - (unsigned)__builtin_ctz(sets / t->ways);
    t->key[0] = calloc((size_t)SIZES * sets, sizeof(*t->key[0]));
    t->entry[0] = calloc((size_t)SIZES * sets, sizeof(*t->entry[0]));
    if (!t->key[0] || !t->entry[0]) {
        machine_tlb_free(t);
        return NULL;
    }
    for (unsigned size = 1; size < SIZES; size++) {
        t->key[size] = t->key[0] + size * sets;
        t->entry[size] = t->entry[0] + size * sets;
    }
    return t;
}

void machine_tlb_free(struct machine_tlb *t)
{
    if (!t)
        return;
    free(t->key[0]);
    free(t->entry[0]);
    free(t);
}

/* First of the ways that a page may be in. */
static unsigned place(const struct machine_tlb *t, uint32_t key, uint64_t page)
{
    uint64_t h = (page ^ (uint64_t)key << 40 ^ key) * 0x9e3779b97f4a7c15ull; /* neighbours spread */

    return t->shift == 64 ? 0 : (unsigned)(h >> t->shift) * t->ways;
}

/* Where it is, or -1. */
static int find(const struct machine_tlb *t, unsigned size, uint32_t key, uint64_t page)
{
    unsigned first = place(t, key, page);

    for (unsigned i = first; i < first + t->ways; i++) {
        if (t->key[size][i] == key && t->entry[size][i].page == page)
            return (int)i;
    }
    return -1;
}

static uint64_t page_of(uint64_t va, unsigned size)
{
    return va >> (12 + 9 * size);
}

/* Tags of the stages below level k, as S2ROOT holds them. */
static uint32_t tags(const struct dmt_state *state, unsigned k)
{
    return (k > 1 ? (uint32_t)state->s2[1].tag << KEY_TAG1_LSB : 0) |
           (k > 0 ? (uint32_t)state->s2[0].tag << KEY_TAG0_LSB : 0);
}

static uint32_t key_of(const struct dmt_state *state, unsigned k, unsigned pcid)
{
    return KEY_VALID | k << KEY_LEVEL_LSB | pcid << KEY_PCID_LSB | tags(state, k);
}

static unsigned pcid_now(const struct dmt_level *cr)
{
    return cr->cr4 & DMT_LEVEL_CR4_PCIDE_MASK ? cr->cr3 & DMT_LEVEL_CR3_PCID_MASK : 0;
}

/* ------------------------------------------------------------ use */

/* rights are those of all stages together: where a second stage may have
 * withheld W, a clear CR0.WP is no reason to write. */
static bool permits(const struct entry *e, const struct dmt_state *state, unsigned k,
                    const struct dmt_request *q)
{
    if (q->access == DMT_ACCESS_WRITE && (!e->dirty || (k && !(e->rights & 1))))
        return false;
    if (q->access == DMT_ACCESS_READ && (e->rights & 8))
        return false;
    return !rule_denied(q, &state->level[k], e->rights & 7, e->pkey);
}

bool machine_tlb_lookup(struct machine_tlb *t, const struct dmt_state *state, const struct dmt_request *q,
                        struct dmt_result *r)
{
    unsigned k = state->mode - 1u;
    uint32_t own;

    if (state->mode == DMT_MODE_OFF)
        return false;
    own = key_of(state, k, pcid_now(&state->level[k]));
    for (unsigned size = 0; size < SIZES; size++) {
        uint64_t page = page_of(q->va, size), mask = (1ull << (12 + 9 * size)) - 1;

        for (unsigned global = 0; global < 2; global++) {
            uint32_t key = global ? own | KEY_GLOBAL : own;
            const struct entry *e;
            int i;

            if (!(global ? t->globals[size] : t->count[size]))
                continue;
            i = find(t, size, key, page);
            if (i < 0)
                continue;
            e = &t->entry[size][i];
            if (!permits(e, state, k, q))
                continue;
            *r = (struct dmt_result){.status = DMT_STATUS_OK,
                                     .pa = e->pa | (q->va & mask),
                                     .size = (uint8_t)size,
                                     .rights = e->rights,
                                     .global = global,
                                     .pkey = e->pkey,
                                     .memtype = e->memtype,
                                     .dirty = e->dirty,
                                     .addr = k ? e->addr | (q->va & mask) : 0};
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------ flushes */

static void drop(struct machine_tlb *t, unsigned size, unsigned i)
{
    t->count[size]--;
    t->globals[size] -= (t->key[size][i] & KEY_IS_GLOBAL) != 0;
    t->parts -= t->entry[size][i].span > size;
    t->key[size][i] = 0;
}

/* Entries whose key has this value under the mask. */
static void sweep(struct machine_tlb *t, uint32_t mask, uint32_t value)
{
    for (unsigned size = 0; size < SIZES; size++) {
        for (unsigned i = 0; t->count[size] && i < t->sets; i++) {
            if ((t->key[size][i] & mask) == value)
                drop(t, size, i);
        }
    }
}

static bool same_page(uint64_t a, uint64_t b, unsigned size)
{
    return !((a ^ b) << (9 * size) & VPN_BITS);
}

/* The page of level k that the VPN lies in, all parts of it, under this key: of whatever size. */
static void drop_page_of(struct machine_tlb *t, uint32_t key, uint64_t vpn)
{
    for (unsigned size = 0; size < SIZES; size++) {
        /* INV has 45 bits of the VPN: canonical addresses are signed. */
        uint64_t page =
            (uint64_t)((int64_t)(vpn << 19) >> 19) >> (9 * size) & (UINT64_MAX >> (12 + 9 * size));
        int i = find(t, size, key, page);

        if (i >= 0)
            drop(t, size, (unsigned)i);
    }
    for (unsigned size = 0; t->parts && size < SIZES - 1; size++) {
        for (unsigned i = 0; i < t->sets; i++) {
            const struct entry *e = &t->entry[size][i];

            if (t->key[size][i] == key && e->span > size &&
                same_page(e->page >> 9 * (e->span - size), vpn >> 9 * e->span, e->span))
                drop(t, size, i);
        }
    }
}

static void drop_page(struct machine_tlb *t, const struct dmt_state *state, unsigned k, unsigned pcid,
                      uint64_t vpn)
{
    uint32_t key = key_of(state, k, pcid);

    drop_page_of(t, key, vpn);
    drop_page_of(t, key | KEY_GLOBAL, vpn);
}

/* All that is not global of level k with the tags as they are: of a PCID, or of every PCID (negative). */
static void drop_level(struct machine_tlb *t, const struct dmt_state *state, unsigned k, int pcid)
{
    uint32_t mask = KEY_VALID | KEY_LEVEL | KEY_TAG1 | KEY_TAG0 | (pcid < 0 ? KEY_IS_GLOBAL : KEY_PCID);

    sweep(t, mask, key_of(state, k, 0) | (pcid < 0 ? 0 : (uint32_t)pcid << KEY_PCID_LSB));
}

/* All that rests on second-stage tables of level 0 or 1, under a tag, or any (negative). */
static void drop_second(struct machine_tlb *t, const struct dmt_state *state, unsigned k, int tag)
{
    for (unsigned level = k + 1; level < DMT_SETS_MAX; level++) {
        uint32_t mask = KEY_VALID | KEY_LEVEL, value = KEY_VALID | level << KEY_LEVEL_LSB;

        if (k == 0 && tag >= 0) {
            mask |= KEY_TAG0;
            value |= (uint32_t)tag << KEY_TAG0_LSB;
        } else if (k == 1) {
            mask |= KEY_TAG0 | (tag >= 0 ? KEY_TAG1 : 0);
            value |=
                (uint32_t)state->s2[0].tag << KEY_TAG0_LSB | (tag >= 0 ? (uint32_t)tag << KEY_TAG1_LSB : 0);
        }
        sweep(t, mask, value);
    }
}

static void inv(struct machine_tlb *t, const struct dmt_state *state, unsigned k, uint64_t data)
{
    unsigned pcid = (data & DMT_LEVEL_INV_PCID_MASK) >> DMT_LEVEL_INV_PCID_LSB;

    switch (data >> DMT_LEVEL_INV_KIND_LSB) {
    case DMT_INV_ADDRESS:
        drop_page(t, state, k, pcid, data & DMT_LEVEL_INV_VPN_MASK);
        break;
    case DMT_INV_CONTEXT:
        drop_level(t, state, k, (int)pcid);
        break;
    case DMT_INV_ALL:
        sweep(t, KEY_VALID | KEY_LEVEL | KEY_TAG1 | KEY_TAG0, key_of(state, k, 0));
        break;
    case DMT_INV_ALL_BUT_GLOBAL:
        drop_level(t, state, k, -1);
        break;
    case DMT_INV_S2_CONTEXT:
        drop_second(t, state, k, pcid & 0xff);
        break;
    default:
        drop_second(t, state, k, -1);
        break;
    }
}

static void written_level(struct machine_tlb *t, const struct dmt_state *state, unsigned k, unsigned offset,
                          uint64_t data)
{
    switch (offset) {
    case DMT_LEVEL_CR0:
    case DMT_LEVEL_CR4:
    case DMT_LEVEL_EFER:
        sweep(t, KEY_VALID | KEY_LEVEL, KEY_VALID | k << KEY_LEVEL_LSB);
        break;
    case DMT_LEVEL_CR3:
        if (!(state->level[k].cr4 & DMT_LEVEL_CR4_PCIDE_MASK) || !(data & DMT_LEVEL_CR3_NOFLUSH_MASK))
            drop_level(t, state, k, (int)pcid_now(&state->level[k]));
        break;
    case DMT_LEVEL_INV:
        inv(t, state, k, data);
        break;
    case DMT_LEVEL_S2CTL:
        drop_second(t, state, k, -1);
        break;
    case DMT_LEVEL_S2ROOT:
        if (!(data & DMT_LEVEL_S2ROOT_NOFLUSH_MASK))
            drop_second(t, state, k, state->s2[k].tag);
        break;
    default:
        break;
    }
}

void machine_tlb_written(struct machine_tlb *t, bool was_full, const struct dmt_state *state, unsigned offset,
                         uint64_t data)
{
    if (offset < DMT_HOST_BASE) {
        written_level(t, state, offset >> 12, offset & 0xfff, data);
        return;
    }
    switch (offset - DMT_HOST_BASE) {
    case DMT_HOST_CTL:
        /* The mode is part of the key; what stands in for stage 1 is not. */
        if (was_full != state->full)
            sweep(t, KEY_VALID | KEY_LEVEL, KEY_VALID | 2 << KEY_LEVEL_LSB);
        break;
    case DMT_HOST_MAXPA:
    case DMT_HOST_SHADOW_CTL:
    case DMT_HOST_SHADOW_ROOT:
        sweep(t, KEY_VALID, KEY_VALID);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------ filling */

/* Where the page goes: where it is, a free way, or each way in turn. */
static unsigned make_room(struct machine_tlb *t, unsigned size, uint32_t key, uint64_t page)
{
    unsigned first = place(t, key, page);
    int old = find(t, size, key, page);

    if (old < 0) {
        for (unsigned i = first; i < first + t->ways; i++) {
            if (!t->key[size][i])
                return i;
        }
        old = (int)(first + t->victim++ % t->ways);
    }
    drop(t, size, (unsigned)old);
    return (unsigned)old;
}

void machine_tlb_walked(struct machine_tlb *t, const struct dmt_state *state, const struct dmt_request *q,
                        const struct dmt_result *r, const struct machine_leaf *leaf)
{
    unsigned k = state->mode - 1u, i, size = r->size;
    uint64_t mask = (1ull << (12 + 9 * size)) - 1;
    struct entry e = {.page = page_of(q->va, size),
                      .pa = r->pa & ~mask,
                      .addr = r->addr & ~mask,
                      .rights = r->rights,
                      .pkey = r->pkey,
                      .memtype = r->memtype,
                      .span = leaf->level ? leaf->level - 1u : size,
                      .dirty = r->dirty};
    uint32_t key;

    if (state->mode == DMT_MODE_OFF)
        return;
    switch (r->status) {
    case DMT_STATUS_OK:
        break;
    case DMT_STATUS_PF:
    case DMT_STATUS_EPT_VIOLATION:
    case DMT_STATUS_EPT_MISCONFIG:
    case DMT_STATUS_NPT_FAULT:
        drop_page(t, state, k, pcid_now(&state->level[k]), q->va >> 12);
        return;
    default:
        return;
    }
    if (r->ad_needed) /* A is not known to be set: SDM 4.8 */
        return;
    key = key_of(state, k, pcid_now(&state->level[k]));
    key |= r->global ? KEY_GLOBAL : 0;
    i = make_room(t, size, key, e.page);
    t->key[size][i] = key;
    t->entry[size][i] = e;
    t->count[size]++;
    t->globals[size] += r->global;
    t->parts += e.span > size;
}
