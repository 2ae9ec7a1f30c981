/* SPDX-License-Identifier: Apache-2.0
 * Registers as the CSR bus writes them, memory of its own or the bench's, and
 * translations of the architectural model with the list of their references. */
#include "tb/dpi/dmt_dpi.h"
#include "dmt/arch.h"
#include "dmt/mem.h"
#include "dmt/regs.h"
#include "tb/shadow.h"
#include <stdio.h>
#include <stdlib.h>

struct reference {
    struct dmt_ref ref;
    uint64_t data;
    bool write;
    enum dmt_resp resp;
};

struct model {
    struct shadow shadow;
    struct dmt_config config;
    struct dmt_mem *mem;
    int memory; /* of the bench, or negative */
    struct dmt_result result;
    struct reference *reference;
    size_t n, room;
    bool failed; /* out of memory */
};

/* ---------------------------------------------------------------- memory */

static enum dmt_resp load(struct model *m, uint64_t addr, bool exclusive, uint64_t *data)
{
    unsigned long long word = 0;
    int resp;

    if (m->memory < 0) {
        if (!dmt_mem_read(m->mem, addr, data))
            return DMT_RESP_DECERR;
        return exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;
    }
    resp = dmt_dpi_memory_read(m->memory, addr, exclusive, &word);
    *data = word;
    return resp & 3;
}

static void keep(struct model *m, const struct dmt_ref *ref, bool write, uint64_t data, enum dmt_resp resp)
{
    if (m->n == m->room) {
        size_t room = m->room ? 2 * m->room : 64;
        struct reference *grown = realloc(m->reference, room * sizeof(*grown));

        if (!grown) {
            m->failed = true;
            return;
        }
        m->reference = grown;
        m->room = room;
    }
    m->reference[m->n++] = (struct reference){.ref = *ref, .data = data, .write = write, .resp = resp};
}

static enum dmt_resp port_read(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct model *m = user;
    enum dmt_resp resp;

    *data = 0;
    resp = load(m, ref->addr, ref->exclusive, data);
    keep(m, ref, false, *data, resp);
    return m->failed ? DMT_RESP_STOP : resp;
}

static enum dmt_resp port_write(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct model *m = user;
    enum dmt_resp resp;

    if (m->memory >= 0)
        resp = dmt_dpi_memory_write(m->memory, ref->addr, data) & 3;
    else
        resp = dmt_mem_write(m->mem, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;
    keep(m, ref, true, data, resp);
    return m->failed ? DMT_RESP_STOP : resp;
}

static enum dmt_resp register_read(void *user, uint64_t addr, uint64_t *data)
{
    *data = 0;
    return load(user, addr, false, data);
}

/* ---------------------------------------------------------------- what the package imports */

static bool within(const char *name, int value, int low, int high)
{
    if (value >= low && value <= high)
        return true;
    fprintf(stderr, "dmt_dpi_new: %s is %d, expected %d to %d\n", name, value, low, high);
    return false;
}

void *dmt_dpi_new(int pa_w, int ctx_n, int tea_n, int sets, int cnt_w)
{
    struct model *m;

    if (!within("PA_W", pa_w, 32, 52) || !within("CTX_N", ctx_n, 1, 64) ||
        !within("TEA_N", tea_n, 2, DMT_TEA_MAX) || !within("SETS", sets, 1, DMT_SETS_MAX) ||
        !within("CNT_W", cnt_w, 0, 63))
        return NULL;
    m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->config = (struct dmt_config){.pa_w = (unsigned)pa_w,
                                    .ctx_n = (unsigned)ctx_n,
                                    .tea_n = (unsigned)tea_n,
                                    .sets = (unsigned)sets,
                                    .tag_w = 1,
                                    .cnt_w = (unsigned)cnt_w};
    m->memory = -1;
    m->mem = dmt_mem_new();
    if (!m->mem || !dmt_dpi_reset(m)) {
        dmt_dpi_free(m);
        return NULL;
    }
    return m;
}

void dmt_dpi_free(void *model)
{
    struct model *m = model;

    if (!m)
        return;
    shadow_free(&m->shadow);
    dmt_mem_free(m->mem);
    free(m->reference);
    free(m);
}

int dmt_dpi_reset(void *model)
{
    struct model *m = model;

    m->n = 0;
    return shadow_reset(&m->shadow, &m->config);
}

void dmt_dpi_attach(void *model, int memory)
{
    ((struct model *)model)->memory = memory;
}

int dmt_dpi_poke(void *model, unsigned long long addr, unsigned long long data)
{
    struct model *m = model;

    return dmt_mem_add(m->mem, addr >> 12) && dmt_mem_write(m->mem, addr, data);
}

unsigned char dmt_dpi_peek(void *model, unsigned long long addr, unsigned long long *data)
{
    uint64_t word = 0;
    bool present = dmt_mem_read(((struct model *)model)->mem, addr, &word);

    *data = word;
    return present;
}

/* An address beyond the port's pins would be another register's there: the bench's mistake. */
static bool on_port(int addr)
{
    if (addr >= 0 && addr < 1 << 14)
        return true;
    fprintf(stderr, "dmt_dpi: register address %#x, expected 0 to 0x3fff\n", (unsigned)addr);
    return false;
}

int dmt_dpi_csr_write(void *model, int addr, unsigned long long data)
{
    struct model *m = model;

    if (!on_port(addr))
        return DMT_RESP_SLVERR;
    return (int)shadow_write_from(&m->shadow, (unsigned)addr, data, register_read, m);
}

int dmt_dpi_csr_read(void *model, int addr, unsigned long long *data, unsigned char *known)
{
    enum dmt_resp resp;
    uint64_t word;

    *data = *known = 0;
    if (!on_port(addr))
        return DMT_RESP_SLVERR;
    *known = shadow_read(&((struct model *)model)->shadow, (unsigned)addr, &word, &resp);
    *data = word;
    return (int)resp;
}

int dmt_dpi_translate(void *model, unsigned long long va, int access, int cpl, unsigned char ac,
                      unsigned char implicit, unsigned char nonspec)
{
    struct model *m = model;
    const struct dmt_request request = {.va = va,
                                        .access = (uint8_t)access,
                                        .cpl = cpl & 3,
                                        .ac = ac,
                                        .implicit = implicit,
                                        .nonspec = nonspec};
    const struct dmt_port port = {.user = m, .read = port_read, .write = port_write};
    struct shadow *s = &m->shadow;

    if (access < DMT_ACCESS_READ || access > DMT_ACCESS_EXECUTE) {
        fprintf(stderr, "dmt_dpi_translate: access is %d, expected %d to %d\n", access, DMT_ACCESS_READ,
                DMT_ACCESS_EXECUTE);
        return 0;
    }
    m->n = 0;
    dmt_arch_translate(&s->state, &request, &port, &m->result);
    if (m->failed) {
        fprintf(stderr, "dmt_dpi_translate: out of memory\n");
        return 0;
    }
    s->counter[CNT_REQUEST]++;
    s->counter[CNT_READ] += m->result.reads;
    for (size_t i = 0; i < m->n; i++) {
        if (m->reference[i].write && m->reference[i].resp <= DMT_RESP_EXOKAY)
            s->counter[m->reference[i].resp == DMT_RESP_EXOKAY ? CNT_UPDATE : CNT_LOST]++;
    }
    shadow_count_end(s->counter, &m->result);
    shadow_end_events(s, &m->result);
    return 1;
}

/* Fields in the order of result_field_e. */
unsigned long long dmt_dpi_result(void *model, int field)
{
    const struct dmt_result *r = &((struct model *)model)->result;
    const uint64_t value[] = {
        r->status,
        r->pa,
        r->size,
        r->rights,
        r->global,
        r->pkey,
        r->memtype,
        r->dirty,
        r->ad_needed,
        r->error,
        r->addr,
        r->stage,
        r->path[0] | (uint64_t)r->path[1] << 2 | (uint64_t)r->path[2] << 4,
        r->index[0] | (uint64_t)r->index[1] << 6 | (uint64_t)r->index[2] << 12,
        r->refs,
        r->reads,
        r->updates,
    };

    return field >= 0 && (size_t)field < sizeof(value) / sizeof(*value) ? value[field] : 0;
}

int dmt_dpi_ref_count(void *model)
{
    return (int)((struct model *)model)->n;
}

void dmt_dpi_ref(void *model, int i, unsigned long long *addr, unsigned long long *data, int *stage,
                 int *level, int *tea, int *index, int *exclusive, int *write, int *resp)
{
    static const struct reference none;
    const struct model *m = model;
    const struct reference *r = i >= 0 && (size_t)i < m->n ? &m->reference[i] : &none;

    *addr = r->ref.addr;
    *data = r->data;
    *stage = r->ref.stage;
    *level = r->ref.level;
    *tea = r->ref.tea;
    *index = r->ref.index;
    *exclusive = r->ref.exclusive;
    *write = r->write;
    *resp = (int)r->resp;
}
