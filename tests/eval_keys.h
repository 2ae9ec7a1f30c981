/* SPDX-License-Identifier: Apache-2.0
 * The keys of a machine file, for tests that go through all of them. */
#ifndef TESTS_EVAL_KEYS_H
#define TESTS_EVAL_KEYS_H

#include "eval/config.h"
#include <stdint.h>

static const struct {
    const char *name;
    uint32_t least, most, value;
} keys[] = {
#define X(field, key, least, most, value, what) {key, least, most, value},
    EVAL_KEYS(X)
#undef X
};
#define KEYS (sizeof keys / sizeof *keys)

#endif
