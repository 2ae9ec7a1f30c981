/* SPDX-License-Identifier: Apache-2.0
 * Sparse physical memory: an open-addressing hash from frame number to frame,
 * with the frame of the last hit remembered, since walks of neighbouring
 * addresses read the same tables. Frames are cut from blocks that grow with the
 * memory up to a huge page of the host: tables of hundreds of megabytes, read at
 * random, would else miss the host's TLB at every read. */
#include "dmt/mem.h"

#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define FRAME     4096u
#define SLOTS_MIN 64u
#define HUGE      512u /* frames of a huge page */
#ifdef __SANITIZE_ADDRESS__
#define BLOCK_MAX 1u /* each frame by itself, so that what runs over its end is found */
#else
#define BLOCK_MAX HUGE
#endif

/* The blocks of a memory, in a list: its head lies beside the frames, which fill theirs to the last byte. */
struct block {
    struct block *next;
    uint8_t *frames;
};

struct slot {
    uint64_t pfn;
    uint8_t *frame; /* NULL: free slot */
};

struct dmt_mem {
    struct slot *slot; /* power-of-two many, at most 3/4 full */
    size_t slots, count;
    struct slot last; /* last hit; frame NULL: none yet */
    struct block *block; /* newest first */
    size_t left;         /* frames of it that are not in use, its first ones */
};

struct dmt_mem *dmt_mem_new(void)
{
    struct dmt_mem *m = calloc(1, sizeof *m);

    if (m == NULL) {
        return NULL;
    }
    m->slots = SLOTS_MIN;
    m->slot = calloc(m->slots, sizeof *m->slot);
    if (m->slot == NULL) {
        free(m);
        return NULL;
    }
    return m;
}

void dmt_mem_free(struct dmt_mem *m)
{
    if (m == NULL) {
        return;
    }
    for (struct block *b = m->block, *next; b != NULL; b = next) {
        next = b->next;
        free(b->frames);
        free(b);
    }
    free(m->slot);
    free(m);
}

/* The slot that holds pfn, or the free one where it belongs. */
static struct slot *find(struct slot *slot, size_t slots, uint64_t pfn)
{
    uint64_t h = pfn * UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing: neighbours spread */
    size_t i = (size_t)(h >> 32) & (slots - 1);

    while (slot[i].frame != NULL && slot[i].pfn != pfn) {
        i = (i + 1) & (slots - 1);
    }
    return &slot[i];
}

uint8_t *dmt_mem_frame(const struct dmt_mem *m, uint64_t pfn)
{
    if (m->last.frame != NULL && m->last.pfn == pfn) {
        return m->last.frame;
    }
    struct slot *s = find(m->slot, m->slots, pfn);
    if (s->frame != NULL) {
        ((struct dmt_mem *)m)->last = *s; /* only a cache: what callers see stays the same */
    }
    return s->frame;
}

static bool grow(struct dmt_mem *m)
{
    size_t slots = m->slots * 2;
    struct slot *slot = calloc(slots, sizeof *slot);

    if (slot == NULL) {
        return false;
    }
    for (size_t i = 0; i < m->slots; i++) {
        if (m->slot[i].frame != NULL) {
            *find(slot, slots, m->slot[i].pfn) = m->slot[i];
        }
    }
    free(m->slot);
    m->slot = slot;
    m->slots = slots;
    return true;
}

/* A zeroed frame, of a new block when need be: as many frames as there are, to the next power of two. */
static uint8_t *cut(struct dmt_mem *m)
{
    if (m->left == 0) {
        struct block *b = malloc(sizeof *b);
        size_t frames = 1;
        while (frames < m->count && frames < BLOCK_MAX) {
            frames *= 2;
        }
        if (b == NULL || (b->frames = aligned_alloc(frames * FRAME, frames * FRAME)) == NULL) {
            free(b);
            return NULL;
        }
#ifdef MADV_HUGEPAGE
        if (frames == HUGE) {
            (void)madvise(b->frames, frames * FRAME, MADV_HUGEPAGE); /* advice: nothing depends on it */
        }
#endif
        b->next = m->block;
        m->block = b;
        m->left = frames;
    }
    return memset(m->block->frames + --m->left * FRAME, 0, FRAME);
}

uint8_t *dmt_mem_add(struct dmt_mem *m, uint64_t pfn)
{
    uint8_t *frame = dmt_mem_frame(m, pfn);

    if (frame != NULL) {
        return frame;
    }
    if ((m->count + 1) * 4 > m->slots * 3 && !grow(m)) {
        return NULL;
    }
    frame = cut(m);
    if (frame == NULL) {
        return NULL;
    }
    *find(m->slot, m->slots, pfn) = (struct slot){pfn, frame};
    m->count++;
    return frame;
}

struct dmt_mem *dmt_mem_clone(const struct dmt_mem *m)
{
    struct dmt_mem *c = dmt_mem_new();

    for (size_t i = 0; c != NULL && i < m->slots; i++) {
        if (m->slot[i].frame == NULL) {
            continue;
        }
        uint8_t *frame = dmt_mem_add(c, m->slot[i].pfn);
        if (frame == NULL) {
            dmt_mem_free(c);
            return NULL;
        }
        memcpy(frame, m->slot[i].frame, FRAME);
    }
    return c;
}

bool dmt_mem_read(const struct dmt_mem *m, uint64_t pa, uint64_t *value)
{
    const uint8_t *frame = dmt_mem_frame(m, pa >> 12);

    if (frame == NULL) {
        return false;
    }
    const uint8_t *b = frame + (pa & 0xff8);
    *value = (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 |
             (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 | (uint64_t)b[7] << 56;
    return true;
}

bool dmt_mem_write(struct dmt_mem *m, uint64_t pa, uint64_t value)
{
    uint8_t *frame = dmt_mem_frame(m, pa >> 12);

    if (frame == NULL) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        frame[(pa & 0xff8) + i] = (uint8_t)(value >> 8 * i);
    }
    return true;
}

size_t dmt_mem_count(const struct dmt_mem *m)
{
    return m->count;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

void dmt_mem_list(const struct dmt_mem *m, uint64_t *pfn)
{
    size_t n = 0;

    for (size_t i = 0; i < m->slots; i++) {
        if (m->slot[i].frame != NULL) {
            pfn[n++] = m->slot[i].pfn;
        }
    }
    if (n != 0) {
        qsort(pfn, n, sizeof *pfn, by_number);
    }
}
