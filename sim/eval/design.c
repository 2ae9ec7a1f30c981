/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/design.h"

#include <string.h>

extern const struct eval_design eval_radix, eval_dmt, eval_nested, eval_hugegpt, eval_vdmt, eval_pvdmt,
    eval_over_shadow, eval_full, eval_npvdmt, eval_fpt, eval_ecpt, eval_asap, eval_vfpt, eval_vecpt,
    eval_vasap, eval_agile, eval_shadow;

const struct eval_design *const eval_designs[] = {
    &eval_radix, &eval_dmt, &eval_fpt, &eval_ecpt, &eval_asap,
    &eval_nested, &eval_hugegpt, &eval_vdmt, &eval_pvdmt, &eval_vfpt, &eval_vecpt, &eval_agile, &eval_vasap, &eval_shadow,
    &eval_over_shadow, &eval_full, &eval_npvdmt,
    NULL,
};

const struct eval_design *eval_design_find(enum eval_env env, const char *name)
{
    for (const struct eval_design *const *d = eval_designs; *d != NULL; d++) {
        if ((*d)->env == env && strcmp((*d)->name, name) == 0) {
            return *d;
        }
    }
    return NULL;
}

struct eval_system_options eval_design_system(const struct eval_design *d)
{
    return (struct eval_system_options){
        .env = d->env, .host_huge = d->host_huge, .tea = d->tea, .pv = d->pv, .full = d->full};
}

size_t eval_counters_give(const struct eval_counter *all, size_t n, struct eval_counter *to, size_t room)
{
    n = n < room ? n : room;
    memcpy(to, all, n * sizeof *all);
    return n;
}

void eval_walk_note(struct eval_walk *w, uint64_t hpa, uint64_t clocks, enum eval_level level, bool beside)
{
    w->reads++;
    w->refs += !beside;
    if (w->log != NULL && w->logged < EVAL_REFS_MAX) {
        w->log[w->logged++] = (struct eval_ref){hpa, (uint32_t)clocks, (uint8_t)level, beside};
    }
}
