/* SPDX-License-Identifier: Apache-2.0
 * The platform of level 0: memory and threads of a machine, frames of a buddy. */
#include "dmt/regs.h"
#include "tb/machine_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_FRAMES 16
#define IMAGE_SIZE   2048

struct platform {
    struct dmt_platform base; /* first: what the caller has is this */
    struct machine *m;
    uint64_t image_pfn;
    bool has_images;
};

static uint64_t platform_load(void *user, uint64_t pa)
{
    const struct platform *p = user;
    uint64_t value = 0;

    dmt_mem_read(p->m->mem, pa, &value);
    return value;
}

/* Make the frame present, when it is the buddy's. A machine whose host is out
 * of memory is not ok any more: no call that software makes could say so. */
static bool add(struct platform *p, uint64_t pfn)
{
    if (dmt_mem_frame(p->m->mem, pfn))
        return true;
    if (!dmt_buddy_has(p->base.buddy, pfn))
        return false;
    if (dmt_mem_add(p->m->mem, pfn))
        return true;
    fputs("machine: out of memory\n", p->m->o.log ? p->m->o.log : stderr);
    p->m->ok = false;
    return false;
}

static uint64_t platform_exchange(void *user, uint64_t pa, uint64_t value)
{
    struct platform *p = user;
    uint64_t old = 0;

    if (add(p, pa >> 12))
        machine_exchange(p->m, pa, value, &old);
    return old;
}

static void platform_store(void *user, uint64_t pa, uint64_t value)
{
    platform_exchange(user, pa, value);
}

/* At one moment: nobody may rely on what a frame holds while it is cleared. */
static void clear_now(struct platform *p, uint64_t pfn)
{
    bool fresh = !dmt_mem_frame(p->m->mem, pfn);
    uint64_t value;

    if (!add(p, pfn) || fresh)
        return;
    for (uint64_t pa = pfn << 12; pa < (pfn + 1) << 12; pa += 8) {
        if (!dmt_mem_read(p->m->mem, pa, &value) || !value)
            continue;
        if (p->m->live)
            live_poke(p->m, pa, 0);
        else
            dmt_mem_write(p->m->mem, pa, 0);
    }
}

/* Frames of one clear pass as one store does: the time of software is not modelled word by word. */
static void clear_run(struct platform *p, uint64_t pfn, uint64_t n)
{
    unsigned after = p->m->live ? live_linger(p->m) : 0;

    for (uint64_t i = 0; i < n; i++)
        clear_now(p, pfn + i);
    machine_idle(p->m, after);
}

static void platform_clear(void *user, uint64_t pfn)
{
    clear_run(user, pfn, 1);
}

static void platform_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    struct platform *p = user;

    machine_csr(p->m, thread, DMT_LEVEL_BASE(0) + offset, value);
}

static size_t platform_tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant,
                                 size_t room)
{
    struct platform *p = user;
    size_t grants = 0;
    uint64_t pfn;

    for (size_t i = 0; i < n && grants < room; i++) {
        if (!frames[i] || !dmt_buddy_alloc_run(p->base.buddy, frames[i], &pfn))
            continue;
        clear_run(p, pfn, frames[i]);
        grant[grants++] = (struct dmt_grant){.request = i, .pfn = pfn, .frames = frames[i]};
    }
    return grants;
}

static bool platform_tea_extend(void *user, struct dmt_grant *grant, uint64_t frames)
{
    struct platform *p = user;
    uint64_t end = grant->pfn + grant->frames;

    if (!dmt_buddy_alloc_at(p->base.buddy, end, frames))
        return false;
    clear_run(p, end, frames);
    grant->frames += frames;
    return true;
}

static void platform_tea_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames)
{
    struct platform *p = user;

    dmt_buddy_release(p->base.buddy, grant->pfn + skip, frames);
}

/* Images of set 0 for every thread; none where the instance has no set load, or there are no frames. */
static void grant_images(struct platform *p)
{
    struct machine *m = p->m;

    if (m->config.sets < 2 || !dmt_buddy_alloc_run(p->base.buddy, IMAGE_FRAMES, &p->image_pfn))
        return;
    p->has_images = true;
    clear_run(p, p->image_pfn, IMAGE_FRAMES);
    p->base.image_pa = p->image_pfn << 12;
    p->base.images = IMAGE_FRAMES * 4096 / IMAGE_SIZE;
    for (unsigned i = 0; i < m->o.threads; i++) {
        machine_csr(m, i, DMT_HOST_BASE + DMT_HOST_IMAGE_BASE0, p->base.image_pa);
        machine_csr(m, i, DMT_HOST_BASE + DMT_HOST_IMAGE_COUNT0, p->base.images);
    }
}

struct dmt_platform *machine_platform_new(struct machine *m, struct dmt_buddy *buddy)
{
    struct platform *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->m = m;
    p->base = (struct dmt_platform){.user = p,
                                    .level = 0,
                                    .threads = m->o.threads,
                                    .registers = m->config.tea_n,
                                    .maxpa = machine_state(m, 0)->maxpa,
                                    .buddy = buddy,
                                    .load = platform_load,
                                    .store = platform_store,
                                    .exchange = platform_exchange,
                                    .clear = platform_clear,
                                    .csr = platform_csr,
                                    .tea_alloc = platform_tea_alloc,
                                    .tea_extend = platform_tea_extend,
                                    .tea_release = platform_tea_release};
    grant_images(p);
    for (unsigned i = 0; i < m->o.threads; i++)
        machine_csr(m, i, DMT_HOST_BASE + DMT_HOST_CTL, DMT_MODE_NATIVE | DMT_HOST_CTL_AD_UPDATE_MASK);
    return &p->base;
}

void machine_platform_free(struct dmt_platform *platform)
{
    struct platform *p = (struct platform *)platform;

    if (!p)
        return;
    if (p->has_images)
        dmt_buddy_release(p->base.buddy, p->image_pfn, IMAGE_FRAMES);
    free(p);
}
