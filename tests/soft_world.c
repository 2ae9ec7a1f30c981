/* SPDX-License-Identifier: Apache-2.0 */
#include "soft_world.h"
#include "dmt/table.h"
#include <stdlib.h>
#include <string.h>

#define MAXPA 46u

/* ------------------------------------------------------------ memory */

static uint64_t load(void *user, uint64_t pa)
{
    uint64_t v = 0;

    dmt_mem_read(((struct world *)user)->mem, pa, &v);
    return v;
}

static void store(void *user, uint64_t pa, uint64_t value)
{
    struct world *w = user;

    must(dmt_buddy_has(w->buddy, pa >> 12), "store outside memory");
    must(dmt_mem_add(w->mem, pa >> 12), "out of memory");
    dmt_mem_write(w->mem, pa, value);
}

static uint64_t exchange(void *user, uint64_t pa, uint64_t value)
{
    uint64_t old = load(user, pa);

    store(user, pa, value);
    return old;
}

static void clear(void *user, uint64_t pfn)
{
    memset(dmt_mem_add(((struct world *)user)->mem, pfn), 0, 4096);
}

static size_t tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *g, size_t room)
{
    struct world *w = user;
    size_t got = 0;

    for (size_t i = 0; i < n && got < room; i++) {
        uint64_t pfn;

        if (!dmt_buddy_alloc_run(w->buddy, frames[i], &pfn))
            continue;
        for (uint64_t k = 0; k < frames[i]; k++)
            clear(w, pfn + k);
        g[got++] = (struct dmt_grant){.request = i, .pfn = pfn, .frames = frames[i]};
    }
    return got;
}

static void tea_release(void *user, const struct dmt_grant *g, uint64_t skip, uint64_t frames)
{
    must(dmt_buddy_release(((struct world *)user)->buddy, g->pfn + skip, frames), "freed twice");
}

/* ------------------------------------------------------------ registers */

static enum dmt_resp read_word(void *user, uint64_t addr, uint64_t *data)
{
    return dmt_mem_read(((struct world *)user)->mem, addr, data) ? DMT_RESP_OKAY : DMT_RESP_SLVERR;
}

static void resolve(struct world *w, unsigned thread, unsigned set, struct dmt_tea *t)
{
    t->resolution = dmt_gtea_resolve(&w->state[thread], set, t->gtea, read_word, w, &t->gtea_base, &t->gtea_pages);
}

static void write_tea(struct world *w, unsigned thread, unsigned set, unsigned i, unsigned n, uint64_t value)
{
    uint64_t *word = w->word[thread][set][i];
    struct dmt_tea *t = &w->state[thread].tea[set][i];

    word[n] = value;
    if (n != 0 || !(value & DMT_TEA_WORD0_P_MASK)) {
        word[0] &= ~DMT_TEA_WORD0_P_MASK;
        t->valid = false;
        return;
    }
    *t = (struct dmt_tea){.base_vpn = word[0] >> 12,
                          .pages = word[2],
                          .base_pfn = word[1] >> 12,
                          .gtea = word[1] & 0xfff,
                          .sz = word[0] >> 1 & 3,
                          .kind = word[0] >> 3 & 3,
                          .allow = (uint8_t)((word[0] >> 7 & 1) | (word[0] >> 5 & 2) | (word[0] >> 3 & 4))};
    if (dmt_tea_refusal(t, set, word[0] >> 8 & 0xf, MAXPA) != DMT_REFUSAL_NONE) {
        w->refused++;
        return;
    }
    t->valid = true;
    if (t->kind == DMT_KIND_GTEA)
        resolve(w, thread, set, t);
}

static void load_set(struct world *w, unsigned thread, unsigned set, uint64_t index)
{
    uint64_t pa = w->image[thread][set].base + 2048 * index;

    if (index >= w->image[thread][set].count) {
        w->refused++;
        return;
    }
    for (unsigned i = 0; i < w->p.registers; i++)
        write_tea(w, thread, set, i, 0, 0);
    for (unsigned i = 0; i < w->p.registers; i++, pa += 32) {
        write_tea(w, thread, set, i, 1, load(w, pa + 8));
        write_tea(w, thread, set, i, 2, load(w, pa + 16));
        write_tea(w, thread, set, i, 0, load(w, pa));
    }
}

static void revoke(struct world *w, unsigned thread, unsigned set, int id)
{
    for (unsigned i = 0; i < w->p.registers; i++) {
        struct dmt_tea *t = &w->state[thread].tea[set][i];

        if (t->valid && t->kind == DMT_KIND_GTEA && (id < 0 || t->gtea == id)) {
            t->resolution = DMT_RESOLUTION_REVOKED;
            t->gtea_base = t->gtea_pages = 0;
        }
    }
}

static void set_s2ctl(struct dmt_s2 *s, uint64_t value)
{
    s->format = value & 1;
    s->five = value >> 1 & 1;
    s->ad = value >> 2 & 1;
    s->mbec = value >> 3 & 1;
}

static void write_level(struct world *w, unsigned thread, unsigned k, unsigned offset, uint64_t value)
{
    struct dmt_state *s = &w->state[thread];

    if (offset < DMT_LEVEL_CR0) {
        write_tea(w, thread, k, offset / 32, offset / 8 % 4, value);
        return;
    }
    switch (offset) {
    case DMT_LEVEL_CR0:
        s->level[k].cr0 = value;
        break;
    case DMT_LEVEL_CR3:
        s->level[k].cr3 = value & ~DMT_LEVEL_CR3_NOFLUSH_MASK;
        break;
    case DMT_LEVEL_CR4:
        s->level[k].cr4 = value;
        break;
    case DMT_LEVEL_EFER:
        s->level[k].efer = value;
        break;
    case DMT_LEVEL_PKRU:
        s->level[k].pkru = (uint32_t)value;
        break;
    case DMT_LEVEL_PKRS:
        s->level[k].pkrs = (uint32_t)value;
        break;
    case DMT_LEVEL_S2CTL:
        must(k < 2);
        set_s2ctl(&s->s2[k], value);
        break;
    case DMT_LEVEL_S2ROOT:
        must(k < 2);
        s->s2[k].root = value & DMT_PTE_FRAME;
        s->s2[k].tag = (uint8_t)value;
        break;
    case DMT_LEVEL_LOAD:
        load_set(w, thread, k, value);
        break;
    default:
        break;
    }
}

static void gtea_command(struct world *w, unsigned thread, uint64_t value)
{
    unsigned set = value >> DMT_HOST_GTEA_CMD_SET_LSB & 3, id = value & 0xfff;

    if (value >> DMT_HOST_GTEA_CMD_OP_LSB == DMT_GTEA_OP_REVOKE) {
        revoke(w, thread, set, (int)id);
        return;
    }
    for (unsigned i = 0; i < w->p.registers; i++) {
        struct dmt_tea *t = &w->state[thread].tea[set][i];

        if (t->valid && t->kind == DMT_KIND_GTEA && t->gtea == id)
            resolve(w, thread, set, t);
    }
}

static void write_host(struct world *w, unsigned thread, unsigned offset, uint64_t value)
{
    struct dmt_state *s = &w->state[thread];
    unsigned set = offset >= DMT_HOST_IMAGE_BASE0 ? (offset - DMT_HOST_IMAGE_BASE0) / 16
                                                  : (offset - DMT_HOST_GTEA_TABLE1) / 16 + 1;

    switch (offset) {
    case DMT_HOST_CTL:
        s->mode = value & 3;
        s->ad_update = value >> DMT_HOST_CTL_AD_UPDATE_LSB & 1;
        s->full = value >> DMT_HOST_CTL_FALLBACK_LSB & 1;
        break;
    case DMT_HOST_SHADOW_CTL:
        set_s2ctl(&s->shadow, value);
        break;
    case DMT_HOST_SHADOW_ROOT:
        s->shadow.root = value;
        break;
    case DMT_HOST_GTEA_TABLE1:
    case DMT_HOST_GTEA_TABLE2:
        s->gtea[set].table = value;
        revoke(w, thread, set, -1);
        break;
    case DMT_HOST_GTEA_ENTRIES1:
    case DMT_HOST_GTEA_ENTRIES2:
        s->gtea[set].entries = (uint16_t)value;
        revoke(w, thread, set, -1);
        break;
    case DMT_HOST_GTEA_CMD:
        gtea_command(w, thread, value);
        break;
    default:
        must(offset >= DMT_HOST_IMAGE_BASE0 && set < DMT_SETS_MAX, "register that nobody should write");
        if (offset % 16 == 0)
            w->image[thread][set].base = value;
        else
            w->image[thread][set].count = value;
        break;
    }
}

/* ------------------------------------------------------------ TLB */

enum drop { DROP_NOTHING, DROP_ALL, DROP_TAG0, DROP_TAG1 };

/* What a write drops. No PCIDs are used here, so that CR3 drops all of the levels' entries. */
static enum drop drops(unsigned window, unsigned offset, uint64_t value)
{
    uint64_t kind = value >> DMT_LEVEL_INV_KIND_LSB;
    enum drop tag = window == 0 ? DROP_TAG0 : DROP_TAG1;

    if (window == WORLD_HOST)
        return offset == DMT_HOST_CTL || offset == DMT_HOST_SHADOW_CTL || offset == DMT_HOST_SHADOW_ROOT ? DROP_ALL
                                                                                                      : DROP_NOTHING;
    switch (offset) {
    case DMT_LEVEL_CR0:
    case DMT_LEVEL_CR3:
    case DMT_LEVEL_CR4:
    case DMT_LEVEL_EFER:
    case DMT_LEVEL_S2CTL:
        return DROP_ALL;
    case DMT_LEVEL_INV:
        return kind == DMT_INV_S2_CONTEXT ? tag : DROP_ALL;
    case DMT_LEVEL_S2ROOT:
        return value & DMT_LEVEL_S2ROOT_NOFLUSH_MASK ? DROP_NOTHING : tag;
    default:
        return DROP_NOTHING;
    }
}

static void drop(struct world *w, unsigned thread, unsigned window, unsigned offset, uint64_t value)
{
    enum drop what = drops(window, offset, value);
    uint8_t tag = (uint8_t)(offset == DMT_LEVEL_INV ? value >> DMT_LEVEL_INV_PCID_LSB : value);

    for (unsigned i = 0; what != DROP_NOTHING && i < WORLD_TLB; i++) {
        struct world_tlb *e = &w->tlb[thread][i];

        if (what == DROP_ALL || (what == DROP_TAG0 && e->tag[0] == tag) || (what == DROP_TAG1 && e->tag[1] == tag))
            e->valid = false;
    }
}

static bool tlb_allows(const struct dmt_result *r, unsigned access)
{
    return access == DMT_ACCESS_WRITE ? (r->rights & 1) && r->dirty
                                      : access == DMT_ACCESS_READ || (r->rights & 4) != 0;
}

void world_access(struct world *w, unsigned thread, uint64_t va, unsigned access, struct dmt_result *r)
{
    const struct dmt_state *s = &w->state[thread];
    struct world_tlb *e = &w->tlb[thread][(va >> 12) % WORLD_TLB];

    if (e->valid && e->vpn == va >> 12 && e->mode == s->mode && e->tag[0] == s->s2[0].tag &&
        (s->mode != DMT_MODE_NESTED || e->tag[1] == s->s2[1].tag) && tlb_allows(&e->r, access)) {
        *r = e->r;
        r->pa = (e->r.pa & ~UINT64_C(0xfff)) | (va & 0xfff);
        w->tlb_hits++;
        return;
    }
    world_translate(w, thread, va, access, r);
    if (r->status == DMT_STATUS_OK)
        *e = (struct world_tlb){true, va >> 12, s->mode, {s->s2[0].tag, s->s2[1].tag}, *r};
}

static void write_csr(struct world *w, unsigned thread, unsigned window, unsigned offset, uint64_t value)
{
    struct world_csr c = {thread, window, offset, value};

    must(thread < WORLD_THREADS);
    if (w->probe)
        w->probe(w->probe_user, &c);
    w->log[w->logged++ % (1 << 16)] = c;
    if (window == WORLD_HOST)
        write_host(w, thread, offset, value);
    else
        write_level(w, thread, window, offset, value);
    drop(w, thread, window, offset, value);
}

static void own_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    write_csr(user, thread, 0, offset, value);
}

static void level_csr(void *user, unsigned thread, unsigned level, unsigned offset, uint64_t value)
{
    write_csr(user, thread, level, offset, value);
}

static void host_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    write_csr(user, thread, WORLD_HOST, offset, value);
}

unsigned world_count(const struct world *w, unsigned from, unsigned thread, unsigned window, unsigned offset)
{
    unsigned n = 0;

    for (unsigned i = from; i < w->logged; i++) {
        const struct world_csr *c = &w->log[i % (1 << 16)];

        n += (thread == WORLD_ANY || c->thread == thread) && (window == WORLD_ANY || c->window == window) &&
             (offset == WORLD_ANY || c->offset == offset);
    }
    return n;
}

/* ------------------------------------------------------------ the world */

struct world *world_new(uint64_t frames, unsigned images, unsigned registers)
{
    struct world *w = calloc(1, sizeof *w);
    uint64_t pfn = 0;

    w->mem = dmt_mem_new();
    w->buddy = dmt_buddy_new(0, frames);
    must(dmt_buddy_alloc_at(w->buddy, 0, 16));
    if (images > 0)
        must(dmt_buddy_alloc_run(w->buddy, (images + 1) / 2, &pfn));
    for (unsigned i = 0; i < (images + 1) / 2; i++)
        memset(dmt_mem_add(w->mem, pfn + i), 0xff, 4096);
    w->p = (struct dmt_platform){.user = w,
                                 .threads = WORLD_THREADS,
                                 .registers = registers,
                                 .maxpa = MAXPA,
                                 .buddy = w->buddy,
                                 .load = load,
                                 .store = store,
                                 .exchange = exchange,
                                 .clear = clear,
                                 .csr = own_csr,
                                 .tea_alloc = tea_alloc,
                                 .tea_release = tea_release,
                                 .image_pa = pfn << 12,
                                 .images = images};
    for (unsigned i = 0; i < WORLD_THREADS; i++) {
        dmt_state_reset(&w->state[i], MAXPA);
        w->image[i][0].base = pfn << 12;
        w->image[i][0].count = images;
    }
    return w;
}

struct dmt_host_options world_options(struct world *w)
{
    struct dmt_host_options o = {.platform = &w->p,
                                 .host_csr = host_csr,
                                 .level_csr = level_csr,
                                 .user = w,
                                 .tea = dmt_tea_policy_default()};

    o.tea.background = 0;
    o.tea.registers = w->p.registers;
    return o;
}

void world_free(struct world *w)
{
    dmt_host_delete(w->host);
    dmt_buddy_delete(w->buddy);
    dmt_mem_free(w->mem);
    free(w);
}

static enum dmt_resp port_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    if (!dmt_mem_read(((struct world *)user)->mem, ref->addr, data))
        return DMT_RESP_SLVERR;
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp port_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    return dmt_mem_write(((struct world *)user)->mem, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_SLVERR;
}

void world_translate(struct world *w, unsigned thread, uint64_t va, unsigned access, struct dmt_result *r)
{
    struct dmt_port port = {.user = w, .read = port_read, .write = port_write};
    struct dmt_request q = {.va = va, .access = (uint8_t)access, .cpl = 3, .nonspec = true};

    dmt_arch_translate(&w->state[thread], &q, &port, r);
}

/* ------------------------------------------------------------ a guest's kernel */

static bool guest_area(void *user, uint64_t vpn, struct dmt_vma *area, unsigned *sizes)
{
    const struct guest *g = user;

    *area = (struct dmt_vma){g->vpn, g->pages};
    *sizes = 1;
    return vpn < g->vpn + g->pages;
}

static void guest_register(void *user, unsigned index, const struct dmt_tea *tea)
{
    const struct guest *g = user;
    uint64_t word[3];

    dmt_tea_pack(tea, word);
    for (unsigned i = 0; i < g->p->threads; i++) {
        if (tea->valid) {
            g->p->csr(g->p->user, i, DMT_LEVEL_TEA_WORD1(index), word[1]);
            g->p->csr(g->p->user, i, DMT_LEVEL_TEA_WORD2(index), word[2]);
        }
        g->p->csr(g->p->user, i, DMT_LEVEL_TEA_WORD0(index), tea->valid ? word[0] : 0);
    }
}

static void guest_flush(void *user, uint64_t vpn, uint64_t pages, bool tables)
{
    const struct guest *g = user;

    (void)vpn, (void)pages, (void)tables;
    for (unsigned i = 0; i < g->p->threads; i++)
        g->p->csr(g->p->user, i, DMT_LEVEL_INV, (uint64_t)DMT_INV_ALL << DMT_LEVEL_INV_KIND_LSB);
}

struct guest *guest_new(const struct dmt_platform *p, uint64_t vpn, uint64_t pages)
{
    struct guest *g = calloc(1, sizeof *g);
    struct dmt_space_options o = {.format = DMT_SPACE_IA32E,
                                  .levels = 4,
                                  .platform = p,
                                  .port = {g, guest_area, guest_register, guest_flush},
                                  .policy = dmt_tea_policy_default()};

    g->p = p;
    g->vpn = vpn;
    g->pages = pages;
    o.policy.background = 0;
    g->s = dmt_space_new(&o);
    if (!g->s) {
        free(g);
        return NULL;
    }
    for (unsigned i = 0; i < p->threads; i++) {
        p->csr(p->user, i, DMT_LEVEL_CR0, DMT_LEVEL_CR0_WP_MASK);
        p->csr(p->user, i, DMT_LEVEL_EFER, DMT_LEVEL_EFER_NXE_MASK);
        p->csr(p->user, i, DMT_LEVEL_CR3, dmt_space_root(g->s) << 12);
    }
    return g;
}

bool guest_map(struct guest *g, uint64_t i)
{
    uint64_t pfn;

    if (!dmt_buddy_alloc(g->p->buddy, 0, &pfn))
        return false;
    if (!dmt_space_map(g->s, g->vpn + i, DMT_SIZE_4K,
                       pfn << 12 | DMT_PTE_P | DMT_PTE_W | DMT_PTE_U)) {
        dmt_buddy_release(g->p->buddy, pfn, 1);
        return false;
    }
    g->frame[i] = pfn;
    return true;
}

void guest_settle(struct guest *g)
{
    dmt_space_areas_changed(g->s, g->vpn, g->pages);
    dmt_space_settle(g->s);
}

void guest_delete(struct guest *g)
{
    if (!g)
        return;
    for (uint64_t i = 0; i < g->pages; i++) {
        if (g->frame[i])
            dmt_buddy_release(g->p->buddy, g->frame[i], 1);
    }
    for (unsigned k = 0; k < g->p->registers; k++)
        guest_register(g, k, &(struct dmt_tea){0});
    dmt_space_delete(g->s);
    free(g);
}
