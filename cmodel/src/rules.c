/* SPDX-License-Identifier: Apache-2.0
 * The rules of docs/specification.md, sections 2 to 8, 11 and 12, as pure functions. */
#include "rules.h"
#include "dmt/regs.h"

/* IA-32e entry bits (SDM tables 4-14 to 4-20). */
#define E_P  (1ull << 0)
#define E_A  (1ull << 5)
#define E_D  (1ull << 6)
#define E_PS (1ull << 7)
#define E_G  (1ull << 8)
#define E_XD (1ull << 63)

/* EPT entry bits (SDM tables 29-1 to 29-6). */
#define EPT_R  (1ull << 0)
#define EPT_W  (1ull << 1)
#define EPT_X  (1ull << 2)
#define EPT_A  (1ull << 8)
#define EPT_D  (1ull << 9)
#define EPT_XU (1ull << 10)

/* Page-fault error code bits (SDM 4.7). */
enum { PF_P = 1, PF_WRITE = 2, PF_USER = 4, PF_RSVD = 8, PF_FETCH = 16, PF_KEY = 32 };

/* Exit qualification of an EPT violation (SDM table 28-7). */
enum {
    EQ_READ = 1,
    EQ_WRITE = 2,
    EQ_FETCH = 4,
    EQ_R = 8,
    EQ_W = 16,
    EQ_X = 32,
    EQ_XU = 64,
    EQ_LINEAR = 128,
    EQ_FINAL = 256
};

/* EXITINFO1 of a nested page fault (APM volume 2, 15.25.6). */
#define NPF_P     (1ull << 0)
#define NPF_WRITE (1ull << 1)
#define NPF_USER  (1ull << 2)
#define NPF_RSV   (1ull << 3)
#define NPF_FETCH (1ull << 4)
#define NPF_FINAL (1ull << 32)
#define NPF_TABLE (1ull << 33)

enum { RIGHT_W = 1, RIGHT_U = 2, RIGHT_X = 4 };
/* Of second stages. */
enum { RIGHT_R = 2, RIGHT_XU = 8 };

/* Bits hi..lo set; hi < lo gives none. */
static uint64_t bits(unsigned hi, unsigned lo)
{
    return hi < lo ? 0 : (~0ull >> (63 - hi)) & (~0ull << lo);
}

/* IA-32e and NPT, which has NXE on. */
static void ia32e(uint64_t e, unsigned level, bool nxe, unsigned maxpa, struct rule_entry *out)
{
    bool leaf = level == 1 || (level <= 3 && (e & E_PS));
    unsigned page = leaf ? 9 * level + 3 : 12; /* lowest bit of the frame */
    uint64_t reserved = bits(51, maxpa) | (nxe ? 0 : E_XD);

    if (level >= 4)
        reserved |= E_PS;
    else if (leaf && level > 1)
        reserved |= bits(page - 1, 13);

    out->present = e & E_P;
    out->leaf = leaf;
    out->reserved = (e & E_P) && (e & reserved);
    out->frame = e & bits(51, page);
    out->rights = (e >> 1 & (RIGHT_W | RIGHT_U)) | (nxe && (e & E_XD) ? 0 : RIGHT_X);
    out->a = e & E_A;
    out->d = e & E_D;
    out->global = e & E_G;
    out->pkey = e >> 59 & 15;
    out->memtype = (e >> 3 & 3) | (e >> (level == 1 ? 7 : 12) & 1) << 2;
}

static void ept(uint64_t e, unsigned level, const struct dmt_s2 *s2, unsigned maxpa, struct rule_entry *out)
{
    bool leaf = level == 1 || (level <= 3 && (e & E_PS));
    unsigned page = leaf ? 9 * level + 3 : 12, type = e >> 3 & 7;
    uint64_t reserved = bits(51, maxpa);
    bool wrong;

    if (level >= 4)
        reserved |= bits(7, 3);
    else if (!leaf)
        reserved |= bits(6, 3);
    else if (level > 1)
        reserved |= bits(page - 1, 12);
    wrong =
        (e & reserved) || (e & (EPT_W | EPT_R)) == EPT_W || (leaf && (type == 2 || type == 3 || type == 7));

    out->present = e & (EPT_R | EPT_W | EPT_X | (s2->mbec ? EPT_XU : 0));
    out->leaf = leaf;
    out->reserved = out->present && wrong;
    out->frame = e & bits(51, page);
    out->rights = (e & EPT_W ? RIGHT_W : 0) | (e & EPT_R ? RIGHT_R : 0) | (e & EPT_X ? RIGHT_X : 0) |
                  (e & (s2->mbec ? EPT_XU : EPT_X) ? RIGHT_XU : 0);
    out->a = !s2->ad || (e & EPT_A);
    out->d = !s2->ad || (e & EPT_D);
    out->global = false;
    out->pkey = 0;
    out->memtype = (uint8_t)(type | (e >> 6 & 1) << 3);
}

void rule_ia32e(uint64_t e, unsigned level, const struct dmt_level *cr, unsigned maxpa,
                struct rule_entry *out)
{
    ia32e(e, level, cr->efer & DMT_LEVEL_EFER_NXE_MASK, maxpa, out);
}

void rule_s2(uint64_t e, unsigned level, const struct dmt_s2 *s2, unsigned maxpa, struct rule_entry *out)
{
    if (s2->format == DMT_FORMAT_EPT) {
        ept(e, level, s2, maxpa, out);
        return;
    }
    ia32e(e, level, true, maxpa, out);
    if (out->rights & RIGHT_X)
        out->rights |= RIGHT_XU;
}

bool rule_s2_writes(const struct dmt_s2 *s2, enum rule_kind kind, const struct dmt_request *rq)
{
    switch (kind) {
    case RULE_FINAL:
        return rq->access == DMT_ACCESS_WRITE;
    case RULE_TABLE:
        return s2->format == DMT_FORMAT_NPT || s2->ad;
    default:
        return true;
    }
}

bool rule_s2_allows(const struct dmt_s2 *s2, enum rule_kind kind, const struct dmt_request *rq,
                    bool user_page, uint8_t rights)
{
    uint8_t asked;

    if (kind == RULE_FINAL && rq->access == DMT_ACCESS_EXECUTE)
        asked = user_page ? RIGHT_XU : RIGHT_X;
    else
        asked = rule_s2_writes(s2, kind, rq) ? RIGHT_W : RIGHT_R;
    if (s2->format == DMT_FORMAT_NPT)
        asked |= RIGHT_U;
    return (rights & asked) == asked;
}

uint8_t rule_s2_fault(const struct dmt_s2 *s2, enum rule_kind kind, enum rule_s2_fault fault,
                      const struct dmt_request *rq, uint8_t rights, uint64_t *error)
{
    bool final = kind == RULE_FINAL;
    bool write = rule_s2_writes(s2, kind, rq), fetch = final && rq->access == DMT_ACCESS_EXECUTE;

    *error = 0;
    if (s2->format == DMT_FORMAT_NPT) {
        *error = NPF_USER | (fault == RULE_S2_ABSENT ? 0 : NPF_P) |
                 (fault == RULE_S2_RESERVED ? NPF_RSV : 0) | (write ? NPF_WRITE : 0) |
                 (fetch ? NPF_FETCH : 0) | (final ? NPF_FINAL : NPF_TABLE);
        return DMT_STATUS_NPT_FAULT;
    }
    if (fault == RULE_S2_RESERVED)
        return DMT_STATUS_EPT_MISCONFIG;
    if (fault == RULE_S2_RIGHTS)
        *error = (rights & RIGHT_R ? EQ_R : 0) | (rights & RIGHT_W ? EQ_W : 0) |
                 (rights & RIGHT_X ? EQ_X : 0) | (s2->mbec && (rights & RIGHT_XU) ? EQ_XU : 0);
    *error |= (!final || rq->access == DMT_ACCESS_READ ? EQ_READ : 0) | (write ? EQ_WRITE : 0) |
              (fetch ? EQ_FETCH : 0) | EQ_LINEAR | (final ? EQ_FINAL : 0);
    return DMT_STATUS_EPT_VIOLATION;
}

bool rule_s2_wide(uint64_t addr, const struct dmt_s2 *s2)
{
    return !s2->five && addr >> 48;
}

uint8_t rule_s2_allow_bits(uint8_t allow)
{
    return allow | (allow & RIGHT_X ? RIGHT_XU : 0);
}

bool rule_canonical(uint64_t va, const struct dmt_level *cr)
{
    uint64_t top = bits(63, cr->cr4 & DMT_LEVEL_CR4_LA57_MASK ? 56 : 47);

    return (va & top) == 0 || (va & top) == top;
}

bool rule_user(const struct dmt_request *rq)
{
    return rq->cpl == 3 && !rq->implicit;
}

/* The error code bits that say what the access was. */
static uint32_t access_bits(const struct dmt_request *rq, const struct dmt_level *cr)
{
    uint32_t error = rule_user(rq) ? PF_USER : 0;

    if (rq->access == DMT_ACCESS_WRITE)
        error |= PF_WRITE;
    if (rq->access == DMT_ACCESS_EXECUTE &&
        ((cr->efer & DMT_LEVEL_EFER_NXE_MASK) || (cr->cr4 & DMT_LEVEL_CR4_SMEP_MASK)))
        error |= PF_FETCH;
    return error;
}

/* Does the protection key deny this read or write (SDM 4.6.2)? */
static bool key_denies(const struct dmt_request *rq, const struct dmt_level *cr, bool user_page, uint8_t pkey)
{
    uint64_t enable = user_page ? DMT_LEVEL_CR4_PKE_MASK : DMT_LEVEL_CR4_PKS_MASK;
    uint32_t key = (user_page ? cr->pkru : cr->pkrs) >> 2 * pkey;
    bool ad = key & 1, wd = key & 2;

    if (!(cr->cr4 & enable) || rq->access == DMT_ACCESS_EXECUTE)
        return false;
    return ad ||
           (wd && rq->access == DMT_ACCESS_WRITE && (rule_user(rq) || (cr->cr0 & DMT_LEVEL_CR0_WP_MASK)));
}

uint32_t rule_denied(const struct dmt_request *rq, const struct dmt_level *cr, uint8_t rights, uint8_t pkey)
{
    bool user_page = rights & RIGHT_U;
    bool key = key_denies(rq, cr, user_page, pkey);
    bool allowed = !key;

    if (rq->access == DMT_ACCESS_EXECUTE && !(rights & RIGHT_X))
        allowed = false;
    if (rule_user(rq)) {
        if (!user_page || (rq->access == DMT_ACCESS_WRITE && !(rights & RIGHT_W)))
            allowed = false;
    } else if (rq->access == DMT_ACCESS_EXECUTE) {
        if (user_page && (cr->cr4 & DMT_LEVEL_CR4_SMEP_MASK))
            allowed = false;
    } else {
        if (user_page && (cr->cr4 & DMT_LEVEL_CR4_SMAP_MASK) && !(rq->ac && !rq->implicit))
            allowed = false;
        if (rq->access == DMT_ACCESS_WRITE && !(rights & RIGHT_W) && (cr->cr0 & DMT_LEVEL_CR0_WP_MASK))
            allowed = false;
    }
    return allowed ? 0 : PF_P | access_bits(rq, cr) | (key ? PF_KEY : 0);
}

uint32_t rule_fault(const struct dmt_request *rq, const struct dmt_level *cr, bool reserved)
{
    return access_bits(rq, cr) | (reserved ? PF_P | PF_RSVD : 0);
}

int rule_match(const struct dmt_tea *set, unsigned n, unsigned sz, uint64_t va, bool *multi)
{
    uint64_t vpn = va >> 12;
    int found = -1;

    for (unsigned i = 0; i < n; i++) {
        const struct dmt_tea *t = &set[i];

        /* The range first: it alone dismisses nearly every register. */
        if (vpn - t->base_vpn >= t->pages || vpn < t->base_vpn || t->sz != sz || !t->valid)
            continue;
        if (found >= 0) {
            *multi = true;
            break;
        }
        found = (int)i;
    }
    return found;
}

/* Entries before that of va. */
static uint64_t tea_offset(const struct dmt_tea *t, uint64_t va)
{
    return ((va >> 12) - t->base_vpn) >> 9 * t->sz;
}

/* No operand reaches 2^62: nothing is lost. */
bool rule_gtea_within(const struct dmt_tea *t, uint64_t va)
{
    return t->base_pfn * 512 + tea_offset(t, va) < t->gtea_pages * 512;
}

uint64_t rule_tea_entry(const struct dmt_tea *t, uint64_t va)
{
    uint64_t base = t->kind == DMT_KIND_GTEA ? t->gtea_base + t->base_pfn : t->base_pfn;

    return base * 4096 + 8 * tea_offset(t, va);
}

uint64_t rule_entry_addr(uint64_t table, unsigned level, uint64_t va)
{
    return table + 8 * (va >> (9 * level + 3) & 511);
}

/* ad_needed and the walk's own notes (path, counts) are the caller's. */
void rule_ok(const struct dmt_request *rq, const struct dmt_level *cr, const struct rule_entry *leaf,
             uint8_t rights, unsigned sz, struct dmt_result *r)
{
    r->status = DMT_STATUS_OK;
    r->pa = leaf->frame | (rq->va & bits(9 * sz + 11, 0));
    r->size = (uint8_t)sz;
    r->rights = rights;
    r->global = leaf->global && (cr->cr4 & DMT_LEVEL_CR4_PGE_MASK);
    r->pkey = leaf->pkey;
    r->memtype = leaf->memtype;
    r->dirty = leaf->d;
}
