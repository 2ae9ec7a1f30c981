/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/csr.h"
#include "dmt/regs.h"
#include <string.h>

#define ALWAYS 65536

void csr_reset(struct csr *c, uint64_t seed)
{
    memset(c, 0, sizeof(*c));
    rng_seed(&c->rng, seed, 0xc54);
    c->issue = c->take = ALWAYS;
}

static bool chance(struct csr *c, unsigned p)
{
    return p >= ALWAYS || rng_chance(&c->rng, p);
}

bool csr_room(const struct csr *c, unsigned n)
{
    return c->writes - c->b_done + n <= CSR_DEPTH;
}

void csr_push_strobed(struct csr *c, unsigned addr, uint64_t data, unsigned strb)
{
    c->write[c->writes++ % CSR_DEPTH] =
        (struct csr_write){ .data = data, .addr = (uint16_t)addr, .strb = (uint8_t)strb };
}

void csr_push(struct csr *c, unsigned addr, uint64_t data)
{
    csr_push_strobed(c, addr, data, 0xff);
}

void csr_push_read(struct csr *c, unsigned addr)
{
    if (c->reads - c->r_done < CSR_DEPTH)
        c->read[c->reads++ % CSR_DEPTH] = (uint16_t)addr;
}

bool csr_idle(const struct csr *c)
{
    return c->b_done == c->writes && c->r_done == c->reads;
}

void csr_drive(struct csr *c, struct dmt_in *in)
{
    const struct csr_write *aw = &c->write[c->aw_sent % CSR_DEPTH], *w = &c->write[c->w_sent % CSR_DEPTH];

    if (c->aw_sent < c->writes && !c->awvalid)
        c->awvalid = chance(c, c->issue);
    if (c->w_sent < c->writes && !c->wvalid)
        c->wvalid = chance(c, c->issue);
    if (c->ar_sent < c->reads && !c->arvalid)
        c->arvalid = chance(c, c->issue);
    in->s_awvalid = c->awvalid;
    in->s_awaddr = c->awvalid ? aw->addr : 0;
    in->s_wvalid = c->wvalid;
    in->s_wdata = c->wvalid ? w->data : 0;
    in->s_wstrb = c->wvalid ? w->strb : 0;
    in->s_arvalid = c->arvalid;
    in->s_araddr = c->arvalid ? c->read[c->ar_sent % CSR_DEPTH] : 0;
    in->s_bready = c->b_done < c->writes && chance(c, c->take);
    in->s_rready = c->r_done < c->reads && chance(c, c->take);
}

void csr_edge(struct csr *c, const struct dmt_out *out, const struct dmt_in *in)
{
    if (in->s_awvalid && out->s_awready) {
        c->awvalid = false;
        c->aw_sent++;
    }
    if (in->s_wvalid && out->s_wready) {
        c->wvalid = false;
        c->w_sent++;
    }
    if (in->s_arvalid && out->s_arready) {
        c->arvalid = false;
        c->ar_sent++;
    }
    if (out->s_bvalid && in->s_bready) {
        c->bresp = (uint8_t)out->s_bresp;
        c->b_done++;
    }
    if (out->s_rvalid && in->s_rready) {
        c->rresp = (uint8_t)out->s_rresp;
        c->rdata = out->s_rdata;
        c->r_done++;
    }
}

static void program_level(struct csr *c, unsigned k, struct dmt_level *have, const struct dmt_level *want)
{
    unsigned base = DMT_LEVEL_BASE(k);

    if (have->cr4 != want->cr4)
        csr_push(c, base + DMT_LEVEL_CR4, want->cr4);
    if (have->cr0 != want->cr0)
        csr_push(c, base + DMT_LEVEL_CR0, want->cr0);
    if (have->efer != want->efer)
        csr_push(c, base + DMT_LEVEL_EFER, want->efer);
    if (have->pkru != want->pkru)
        csr_push(c, base + DMT_LEVEL_PKRU, want->pkru);
    if (have->pkrs != want->pkrs)
        csr_push(c, base + DMT_LEVEL_PKRS, want->pkrs);
    if (have->cr3 != want->cr3)
        csr_push(c, base + DMT_LEVEL_CR3, want->cr3);
    *have = *want;
}

static uint64_t s2ctl(const struct dmt_s2 *t)
{
    return (uint64_t)t->format << DMT_LEVEL_S2CTL_FORMAT_LSB | (t->five ? DMT_LEVEL_S2CTL_FIVE_MASK : 0) |
           (t->ad ? DMT_LEVEL_S2CTL_AD_MASK : 0) | (t->mbec ? DMT_LEVEL_S2CTL_MBEC_MASK : 0);
}

static void program_s2(struct csr *c, unsigned ctl, unsigned root, struct dmt_s2 *have,
                       const struct dmt_s2 *want)
{
    if (s2ctl(have) != s2ctl(want))
        csr_push(c, ctl, s2ctl(want));
    if (have->root != want->root || have->tag != want->tag)
        csr_push(c, root, want->root | want->tag);
    *have = *want;
}

static bool same_tea(const struct dmt_tea *a, const struct dmt_tea *b)
{
    return a->base_vpn == b->base_vpn && a->pages == b->pages && a->base_pfn == b->base_pfn &&
           a->gtea == b->gtea && a->sz == b->sz && a->kind == b->kind && a->allow == b->allow &&
           a->valid == b->valid;
}

static bool same_resolution(const struct dmt_tea *a, const struct dmt_tea *b)
{
    return a->resolution == b->resolution &&
           (a->resolution != DMT_RESOLUTION_OK ||
            (a->gtea_base == b->gtea_base && a->gtea_pages == b->gtea_pages));
}

static void push_gtea(struct csr *c, unsigned op, unsigned set, unsigned id)
{
    csr_push(c, DMT_HOST_BASE + DMT_HOST_GTEA_CMD,
             (uint64_t)op << DMT_HOST_GTEA_CMD_OP_LSB | (uint64_t)set << DMT_HOST_GTEA_CMD_SET_LSB | id);
}

static void program_gtea(struct csr *c, const struct dmt_config *config, unsigned set, struct dmt_state *have,
                         const struct dmt_state *want)
{
    unsigned step = (set - 1) * (DMT_HOST_GTEA_TABLE2 - DMT_HOST_GTEA_TABLE1);
    struct dmt_gtea *h = &have->gtea[set];
    const struct dmt_gtea *w = &want->gtea[set];

    if (h->table == w->table && h->entries == w->entries)
        return;
    if (h->table != w->table)
        csr_push(c, DMT_HOST_BASE + DMT_HOST_GTEA_TABLE1 + step, w->table);
    if (h->entries != w->entries)
        csr_push(c, DMT_HOST_BASE + DMT_HOST_GTEA_ENTRIES1 + step, w->entries);
    *h = *w;
    for (unsigned i = 0; i < config->tea_n; i++)
        have->tea[set][i].resolution = DMT_RESOLUTION_REVOKED;
}

/* Registers of a set. Writing one makes the hardware resolve its gTEA; what
 * was resolved otherwise, or must be revoked, takes a command of its own. */
static void program_tea(struct csr *c, const struct dmt_config *config, unsigned k, struct dmt_state *have,
                        const struct dmt_state *want)
{
    static const struct dmt_tea empty;

    for (unsigned i = 0; i < config->tea_n; i++) {
        struct dmt_tea *h = &have->tea[k][i];
        const struct dmt_tea *w = &want->tea[k][i];
        uint64_t word[3];

        if (!h->valid && !w->valid)
            continue;
        if (!same_tea(h, w)) {
            dmt_tea_pack(w->valid ? w : &empty, word);
            csr_push(c, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD2(i), word[2]);
            csr_push(c, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD1(i), word[1]);
            csr_push(c, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD0(i), word[0]);
            *h = w->valid ? *w : empty;
            if (w->resolution == DMT_RESOLUTION_REVOKED)
                h->resolution = DMT_RESOLUTION_NOT_TRIED;
        }
        if (h->valid && h->kind == DMT_KIND_GTEA && !same_resolution(h, w)) {
            push_gtea(c,
                      w->resolution == DMT_RESOLUTION_REVOKED ? DMT_GTEA_OP_REVOKE : DMT_GTEA_OP_RESOLVE,
                      k, w->gtea);
            *h = *w;
        }
    }
}

const char *csr_program(struct csr *c, const struct dmt_config *config, struct dmt_state *have,
                        const struct dmt_state *want)
{
    if (want->maxpa < 32 || want->maxpa > config->pa_w)
        return "a MAXPA outside 32 to the instance's PA_W";
    if (want->mode > config->sets)
        return "a mode that needs more register sets than the instance has";
    for (unsigned k = 0; k < DMT_SETS_MAX; k++) {
        for (unsigned i = 0; i < DMT_TEA_MAX; i++) {
            if ((k >= config->sets || i >= config->tea_n) && want->tea[k][i].valid)
                return "a TEA register that the instance does not have";
        }
    }
    if (have->maxpa != want->maxpa) {
        csr_push(c, DMT_HOST_BASE + DMT_HOST_MAXPA, want->maxpa);
        have->maxpa = want->maxpa;
        for (unsigned k = 0; k < config->sets; k++) {
            have->level[k].cr3 = 0;
            for (unsigned i = 0; i < config->tea_n; i++)
                have->tea[k][i].valid = false;
        }
        for (unsigned k = 0; k < 2; k++) {
            have->s2[k].root = 0;
            have->s2[k].tag = 0;
        }
        have->shadow.root = 0;
    }
    if (config->sets == 3)
        program_s2(c, DMT_HOST_BASE + DMT_HOST_SHADOW_CTL, DMT_HOST_BASE + DMT_HOST_SHADOW_ROOT,
                   &have->shadow, &want->shadow);
    for (unsigned k = 0; k < config->sets; k++) {
        program_level(c, k, &have->level[k], &want->level[k]);
        if (k + 1 < config->sets)
            program_s2(c, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2CTL, DMT_LEVEL_BASE(k) + DMT_LEVEL_S2ROOT,
                       &have->s2[k], &want->s2[k]);
        if (k)
            program_gtea(c, config, k, have, want);
        program_tea(c, config, k, have, want);
    }
    if (have->mode != want->mode || have->ad_update != want->ad_update || have->full != want->full) {
        csr_push(c, DMT_HOST_BASE + DMT_HOST_CTL,
                 want->mode | (want->ad_update ? DMT_HOST_CTL_AD_UPDATE_MASK : 0) |
                     (want->full ? DMT_HOST_CTL_FALLBACK_MASK : 0));
        have->mode = want->mode;
        have->ad_update = want->ad_update;
        have->full = want->full;
    }
    return NULL;
}

void csr_invalidate(struct csr *c, const struct dmt_config *config)
{
    csr_push(c, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
    if (config->sets > 1)
        csr_push(c, DMT_LEVEL_INV, (uint64_t)DMT_INV_S2_ALL << DMT_LEVEL_INV_KIND_LSB);
}
