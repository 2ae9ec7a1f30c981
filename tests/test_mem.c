/* SPDX-License-Identifier: Apache-2.0
 * Sparse memory against a plain array. */
#include "dmt/mem.h"
#include "xorshift.h"
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rng_state = 1;

static uint64_t rng(void)
{
    return xorshift(&rng_state);
}

Test(mem, absent_frames_answer_false)
{
    struct dmt_mem *m = dmt_mem_new();
    uint64_t v = 7;

    cr_assert_not(dmt_mem_read(m, 0, &v));
    cr_assert_not(dmt_mem_write(m, 0x1000, 1));
    cr_assert_null(dmt_mem_frame(m, 1), "a write must not create a frame");
    cr_assert_eq(dmt_mem_count(m), 0);
    cr_assert_eq(v, 7);
    dmt_mem_list(m, NULL);
    dmt_mem_free(m);
}

Test(mem, words_are_little_endian_and_aligned)
{
    struct dmt_mem *m = dmt_mem_new();
    uint8_t *frame = dmt_mem_add(m, 5);
    uint64_t v;

    cr_assert(dmt_mem_write(m, 0x5013, UINT64_C(0x1122334455667788)), "low three bits are ignored");
    cr_assert_eq(frame[0x10], 0x88);
    cr_assert_eq(frame[0x17], 0x11);
    cr_assert(dmt_mem_read(m, 0x5017, &v));
    cr_assert_eq(v, UINT64_C(0x1122334455667788));
    cr_assert_eq(dmt_mem_add(m, 5), frame, "adding again keeps the frame");
    dmt_mem_free(m);
}

/* Frame numbers that collide in small tables, far apart, and at both ends. */
static uint64_t number(unsigned i)
{
    static const uint64_t stride[] = {1, 64, UINT64_C(1) << 32, UINT64_C(1) << 39};

    return (i / 4) * stride[i % 4] + (i % 4 == 3 ? UINT64_C(0xfffffffff) : 0);
}

Test(mem, random_operations_match_an_array)
{
    enum { FRAMES = 4096, STEPS = 60000 };
    struct dmt_mem *m = dmt_mem_new();
    uint64_t *value = calloc(FRAMES, sizeof *value); /* of word 3 of each frame */
    uint64_t *pfn = calloc(FRAMES, sizeof *pfn);
    size_t count = 0;

    for (unsigned i = 0; i < FRAMES; i++) {
        pfn[i] = number(i);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)(rng() % FRAMES);
        bool present = dmt_mem_frame(m, pfn[i]) != NULL;
        uint64_t v = 0;
        switch (rng() % 3) {
        case 0:
            cr_assert_not_null(dmt_mem_add(m, pfn[i]));
            count += !present;
            break;
        case 1:
            v = rng();
            cr_assert_eq(dmt_mem_write(m, pfn[i] << 12 | 24, v), present);
            for (unsigned j = 0; present && j < FRAMES; j++) { /* numbers of different strides may coincide */
                value[j] = pfn[j] == pfn[i] ? v : value[j];
            }
            break;
        default:
            cr_assert_eq(dmt_mem_read(m, pfn[i] << 12 | 24, &v), present);
            cr_assert(!present || v == value[i], "frame %llx", (unsigned long long)pfn[i]);
        }
        cr_assert_eq(dmt_mem_count(m), count);
    }
    free(pfn);
    free(value);
    dmt_mem_free(m);
}

Test(mem, list_is_ascending_and_complete)
{
    struct dmt_mem *m = dmt_mem_new();
    uint64_t list[1000];

    for (unsigned i = 0; i < 1000; i++) {
        dmt_mem_add(m, (uint64_t)(999 - i) * 77777);
    }
    cr_assert_eq(dmt_mem_count(m), 1000);
    dmt_mem_list(m, list);
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_eq(list[i], (uint64_t)i * 77777);
    }
    dmt_mem_free(m);
}

Test(mem, clones_are_independent)
{
    struct dmt_mem *a = dmt_mem_new();
    uint64_t v;

    dmt_mem_add(a, 1);
    dmt_mem_write(a, 0x1000, 11);
    struct dmt_mem *b = dmt_mem_clone(a);
    cr_assert(dmt_mem_read(b, 0x1000, &v));
    cr_assert_eq(v, 11);
    dmt_mem_write(b, 0x1000, 22);
    dmt_mem_add(b, 2);
    cr_assert(dmt_mem_read(a, 0x1000, &v));
    cr_assert_eq(v, 11);
    cr_assert_null(dmt_mem_frame(a, 2));
    dmt_mem_free(a);
    cr_assert(dmt_mem_read(b, 0x1000, &v));
    cr_assert_eq(v, 22);
    dmt_mem_free(b);
    dmt_mem_free(NULL);
}
