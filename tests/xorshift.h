/* SPDX-License-Identifier: Apache-2.0
 * Random numbers of tests (Marsaglia's xorshift64): another generator than what is under test has. */
#ifndef TESTS_XORSHIFT_H
#define TESTS_XORSHIFT_H

#include <stdint.h>

/** 64 random bits; the state is what was returned last, and never 0. */
static inline uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/** The same, multiplied, so that low bits are as random as high ones (xorshift64*). */
static inline uint64_t xorshift_star(uint64_t *state)
{
    return xorshift(state) * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
