/* SPDX-License-Identifier: Apache-2.0 */
#include "golden.h"

#include "state.h"
#include <string.h>

static void note(struct golden *g, bool write, const struct dmt_ref *ref, uint64_t data, uint8_t resp)
{
    if (g->n < SINGLE_EVENTS) {
        g->event[g->n++] = (struct single_event){write, *ref, data, resp};
    }
}

static enum dmt_resp read_entry(void *user, const struct dmt_ref *ref, uint64_t *data)
{
    struct golden *g = user;
    enum dmt_resp resp = ref->exclusive ? DMT_RESP_EXOKAY : DMT_RESP_OKAY;

    *data = 0;
    if (!dmt_mem_read(g->mem, ref->addr, data)) {
        resp = DMT_RESP_DECERR;
    }
    note(g, false, ref, *data, (uint8_t)resp);
    return resp;
}

static enum dmt_resp write_entry(void *user, const struct dmt_ref *ref, uint64_t data)
{
    struct golden *g = user;
    enum dmt_resp resp = dmt_mem_write(g->mem, ref->addr, data) ? DMT_RESP_EXOKAY : DMT_RESP_DECERR;

    note(g, true, ref, data, (uint8_t)resp);
    return resp;
}

static struct golden_cache *cache_of(struct golden *g, unsigned stage)
{
    return &g->cache[stage != g->entry];
}

static struct golden_fact *find(struct golden_cache *c, unsigned stage, uint64_t va, unsigned level)
{
    for (unsigned i = 0; i < c->n[level]; i++) {
        struct golden_fact *f = &c->fact[level][i];
        if (f->stage == stage && f->prefix == va >> (9 * level + 3)) {
            return f;
        }
    }
    return NULL;
}

static void fill_cache(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights)
{
    struct golden *g = user;
    struct golden_cache *c = cache_of(g, stage);
    struct golden_fact *f = find(c, stage, va, level);

    if (c->entries[level] == 0) {
        return;
    }
    if (f == NULL) {
        f = &c->fact[level][c->next[level]];
        c->next[level] = (c->next[level] + 1) % c->entries[level];
        c->n[level] += c->n[level] < c->entries[level];
    }
    *f = (struct golden_fact){va >> (9 * level + 3), table, stage, rights};
}

static bool start_cached(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table,
                         uint8_t *rights)
{
    struct golden *g = user;

    for (unsigned l = 2; l <= 4; l++) {
        const struct golden_fact *f = find(cache_of(g, stage), stage, va, l);
        if (f != NULL) {
            *level = (uint8_t)(l - 1);
            *table = f->table;
            *rights = f->rights;
            return true;
        }
    }
    return false;
}

static void start_cold(struct golden *g, const struct dmt_state *s)
{
    for (unsigned i = 0; i < 2; i++) {
        memset(g->cache[i].n, 0, sizeof g->cache[i].n);
        memset(g->cache[i].next, 0, sizeof g->cache[i].next);
    }
    g->entry = state_entry(s);
}

void golden_init(struct golden *g, struct dmt_mem *mem, const struct dmt_config *config)
{
    const unsigned entries[2][5] = {{0, 0, config->pwc2_n, config->pwc3_n, config->pwc4_n},
                                    {0, 0, config->npwc2_n, config->npwc3_n, config->npwc4_n}};

    memset(g->cache, 0, sizeof g->cache);
    memcpy(g->cache[0].entries, entries[0], sizeof entries[0]);
    memcpy(g->cache[1].entries, entries[1], sizeof entries[1]);
    g->mem = mem;
    g->n = 0;
}

void golden_translate(struct golden *g, const struct dmt_state *state, const struct dmt_request *rq,
                      struct dmt_result *result)
{
    struct dmt_port port = {g, read_entry, write_entry, start_cached, fill_cache, NULL};

    g->n = 0;
    start_cold(g, state);
    dmt_arch_translate(state, rq, &port, result);
}
