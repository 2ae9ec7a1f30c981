/* SPDX-License-Identifier: Apache-2.0 */
#include "tlb.h"

#include "dmt/regs.h"
#include <stdlib.h>

#define L1I_SETS 16u
#define L1I_WAYS 8u
#define L1D_SETS 16u
#define L1D_WAYS 4u
#define L2_SETS  128u
#define L2_WAYS  12u

struct entry {
    uint64_t page; /* va >> shift of its size */
    uint64_t used; /* time of the last hit */
    uint8_t size, rights;
    bool valid, dirty;
};

struct array {
    unsigned sets, ways;
    struct entry *entry;
};

struct tlb {
    struct dmt_state state;
    struct dmt_mem *mem;
    struct entry l1i[L1I_SETS * L1I_WAYS], l1d[L1D_SETS * L1D_WAYS], l2[L2_SETS * L2_WAYS];
    uint64_t time;
    struct tlb_stats stats;
};

static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct tlb *t = user;

    if (!dmt_mem_read(t->mem, ref->addr, data)) {
        return DMT_RESP_DECERR;
    }
    return ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
}

static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct tlb *t = user;

    return dmt_mem_write(t->mem, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
}

struct tlb *tlb_new(const struct dmt_state *state, const struct dmt_mem *mem)
{
    struct tlb *t = calloc(1, sizeof *t);

    if (t == NULL || (t->mem = dmt_mem_clone(mem)) == NULL) {
        free(t);
        return NULL;
    }
    t->state = *state;
    return t;
}

void tlb_free(struct tlb *t)
{
    if (t != NULL) {
        dmt_mem_free(t->mem);
        free(t);
    }
}

const struct tlb_stats *tlb_stats(const struct tlb *t)
{
    return &t->stats;
}

static uint64_t page_of(uint64_t va, unsigned size)
{
    return va >> (12 + 9 * size);
}

/* A user access that this entry can serve without asking the walker again: a
 * write to a clean page, or one the rights forbid, goes to the walker. */
static bool serves(const struct entry *e, unsigned kind)
{
    if ((e->rights & 2) == 0) {
        return false;
    }
    if (kind == DMT_ACCESS_WRITE) {
        return (e->rights & 1) != 0 && e->dirty;
    }
    return kind == DMT_ACCESS_EXECUTE ? (e->rights & 4) != 0 : (e->rights & 8) == 0;
}

static struct entry *lookup(const struct array *a, uint64_t va, unsigned kind)
{
    for (unsigned size = 0; size < 3; size++) {
        uint64_t page = page_of(va, size);
        struct entry *set = &a->entry[(page % a->sets) * a->ways];
        for (unsigned w = 0; w < a->ways; w++) {
            if (set[w].valid && set[w].page == page && set[w].size == size && serves(&set[w], kind)) {
                return &set[w];
            }
        }
    }
    return NULL;
}

static void fill(const struct array *a, const struct entry *from, uint64_t time)
{
    struct entry *set = &a->entry[(from->page % a->sets) * a->ways], *victim = set;

    for (unsigned w = 0; w < a->ways; w++) {
        if (set[w].valid && set[w].page == from->page && set[w].size == from->size) {
            victim = &set[w]; /* the same page, with rights or D that did not suffice */
            break;
        }
        if (victim->valid && (!set[w].valid || set[w].used < victim->used)) {
            victim = &set[w];
        }
    }
    *victim = *from;
    victim->used = time;
}

/* True: the walker is asked. */
static bool one_page(struct tlb *t, uint64_t va, unsigned kind, struct dmt_request *rq)
{
    bool code = kind == DMT_ACCESS_EXECUTE;
    struct array l1 =
        code ? (struct array){L1I_SETS, L1I_WAYS, t->l1i} : (struct array){L1D_SETS, L1D_WAYS, t->l1d};
    struct array l2 = {L2_SETS, L2_WAYS, t->l2};
    struct dmt_port port = {.user = t, .read = read_entry, .write = write_entry};
    struct dmt_result r;
    struct entry *e;

    t->time++;
    if ((e = lookup(&l1, va, kind)) != NULL) {
        e->used = t->time;
        t->stats.l1_hits++;
        return false;
    }
    if ((e = lookup(&l2, va, kind)) != NULL) {
        e->used = t->time;
        t->stats.l2_hits++;
        fill(&l1, e, t->time);
        return false;
    }
    *rq = (struct dmt_request){.va = va, .access = (uint8_t)kind, .cpl = 3, .nonspec = true};
    dmt_arch_translate(&t->state, rq, &port, &r);
    t->stats.walks++;
    if (r.status != DMT_STATUS_OK) {
        t->stats.faults++;
        return true;
    }
    struct entry n = {
        .page = page_of(va, r.size), .size = r.size, .rights = r.rights, .valid = true, .dirty = r.dirty};
    fill(&l2, &n, t->time);
    fill(&l1, &n, t->time);
    return true;
}

unsigned tlb_access(struct tlb *t, const struct access *a, struct dmt_request rq[2])
{
    uint64_t last = a->va + (a->size - 1u);
    unsigned n = 0;

    t->stats.accesses++;
    n += one_page(t, a->va, a->kind, &rq[n]);
    if (last >> 12 != a->va >> 12) {
        n += one_page(t, last & ~UINT64_C(0xfff), a->kind, &rq[n]);
    }
    return n;
}
