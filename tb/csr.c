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

static bool same_tea(const struct dmt_tea *a, const struct dmt_tea *b)
{
    return a->base_vpn == b->base_vpn && a->pages == b->pages && a->base_pfn == b->base_pfn &&
           a->gtea == b->gtea && a->sz == b->sz && a->kind == b->kind && a->allow == b->allow &&
           a->valid == b->valid;
}

const char *csr_program(struct csr *c, const struct dmt_config *config, struct dmt_state *have,
                        const struct dmt_state *want)
{
    static const struct dmt_tea empty;

    if (want->maxpa < 32 || want->maxpa > config->pa_w)
        return "a MAXPA outside 32 to the instance's PA_W";
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
    }
    for (unsigned k = 0; k < config->sets; k++) {
        program_level(c, k, &have->level[k], &want->level[k]);
        for (unsigned i = 0; i < config->tea_n; i++) {
            struct dmt_tea *h = &have->tea[k][i];
            const struct dmt_tea *w = &want->tea[k][i];
            uint64_t word[3];

            if (same_tea(h, w) || (!h->valid && !w->valid))
                continue;
            if (!w->valid)
                w = &empty;
            dmt_tea_pack(w, word);
            csr_push(c, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD2(i), word[2]);
            csr_push(c, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD1(i), word[1]);
            csr_push(c, DMT_LEVEL_BASE(k) + DMT_LEVEL_TEA_WORD0(i), word[0]);
            *h = *w;
        }
    }
    if (have->mode != want->mode || have->ad_update != want->ad_update) {
        csr_push(c, DMT_HOST_BASE + DMT_HOST_CTL,
                 want->mode | (want->ad_update ? DMT_HOST_CTL_AD_UPDATE_MASK : 0));
        have->mode = want->mode;
        have->ad_update = want->ad_update;
    }
    return NULL;
}
