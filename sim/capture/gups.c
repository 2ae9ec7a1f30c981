/* SPDX-License-Identifier: Apache-2.0
 * Giga-updates-per-second: random read-modify-writes over a large table, with
 * the random sequence of HPC Challenge RandomAccess. Runs until it is killed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLY 7u /* primitive polynomial over GF(2) of the RandomAccess sequence */

int main(int argc, char **argv)
{
    unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    uint64_t n = (uint64_t)mib << 17; /* 8-byte words */

    if (n == 0 || (n & (n - 1)) != 0) {
        fprintf(stderr, "gups: table size must be a power of two MiB\n");
        return 2;
    }
    volatile uint64_t *table = malloc(n * sizeof *table); /* volatile: nothing reads the result */
    if (table == NULL) {
        perror("gups");
        return 2;
    }
    for (uint64_t i = 0; i < n; i += 512) { /* one word a page: map it, quickly */
        table[i] = i;
    }
    for (uint64_t x = 1;;) {
        x = x << 1 ^ ((int64_t)x < 0 ? POLY : 0);
        table[x & (n - 1)] ^= x;
    }
}
