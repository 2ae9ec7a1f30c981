/* SPDX-License-Identifier: Apache-2.0
 * Random numbers of the harness: xoshiro256** seeded by splitmix64 (Blackman
 * and Vigna). A run is a pure function of its seed, so nothing in tb/ may take
 * randomness from elsewhere. */
#ifndef TB_RNG_H
#define TB_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/** Seed from a seed and a salt; different salts give independent streams. */
void rng_seed(struct rng *r, uint64_t seed, uint64_t salt);

/** 64 random bits. */
static inline uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t x = s[1] * 5;
    uint64_t out = ((x << 7) | (x >> 57)) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return out;
}

/** Uniform in 0..n-1; n from 1 to 2^32. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return ((rng_next(r) >> 32) * n) >> 32;
}

/** True with probability p / 65536. */
static inline bool rng_chance(struct rng *r, unsigned p)
{
    return (rng_next(r) & 0xffff) < p;
}

#endif
