/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/rng.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed, uint64_t salt)
{
    uint64_t x = seed;

    x = splitmix(&x) ^ (salt * 0xd1342543de82ef95u);
    for (unsigned i = 0; i < 4; i++)
        r->s[i] = splitmix(&x);
}
