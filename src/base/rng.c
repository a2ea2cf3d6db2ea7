#include "base/rng.h"

#include <math.h>

__extension__ typedef unsigned __int128 wide; /* ISO C has no 128-bit type; gcc and clang do */

/* Philox4x32-10: ten rounds of two 32x32 -> 64 bit products; the constants are the paper's. */
void ml_rng_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        key0 += 0x9E3779B9u; /* golden ratio */
        key1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void ml_rng_init(struct ml_rng *rng, uint64_t seed, uint64_t stream)
{
    *rng = (struct ml_rng){.seed = seed, .stream = stream};
}

/* The next n <= 4 numbers; computes a block twice at most where they straddle two. */
static void take(struct ml_rng *rng, uint32_t *out, int n)
{
    uint32_t block[4];
    for (int i = 0; i < n; i++, rng->counter++) {
        if (i == 0 || rng->counter % 4 == 0)
            ml_rng_block(rng->seed, rng->stream, rng->counter / 4, block);
        out[i] = block[rng->counter % 4];
    }
}

uint32_t ml_rng_u32(struct ml_rng *rng)
{
    uint32_t out;
    take(rng, &out, 1);
    return out;
}

uint64_t ml_rng_u64(struct ml_rng *rng)
{
    uint32_t out[2];
    take(rng, out, 2);
    return out[0] | (uint64_t)out[1] << 32;
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high half of a product is
 * uniform once the few low halves that would favour some values are thrown away. */
uint64_t ml_rng_below(struct ml_rng *rng, uint64_t n)
{
    wide product = (wide)ml_rng_u64(rng) * n;
    if ((uint64_t)product < n)
        for (uint64_t uneven = -n % n; (uint64_t)product < uneven;)
            product = (wide)ml_rng_u64(rng) * n;
    return (uint64_t)(product >> 64);
}

double ml_rng_double(struct ml_rng *rng)
{
    return (double)(ml_rng_u64(rng) >> 11) * 0x1p-53;
}

/* Box-Muller without its second number, so that the state stays three integers. Both uniforms lie
 * inside (0, 1); |z| stays below 6.8. */
float ml_rng_normal(struct ml_rng *rng)
{
    static const double tau = 6.283185307179586;
    uint32_t out[2];
    take(rng, out, 2);
    double radius = sqrt(-2.0 * log((out[0] + 0.5) * 0x1p-32));
    return (float)(radius * cos(tau * (out[1] + 0.5) * 0x1p-32));
}

void ml_rng_shuffle(struct ml_rng *rng, uint32_t *items, size_t n)
{
    for (size_t left = n; left > 1; left--) {
        size_t pick = (size_t)ml_rng_below(rng, left);
        uint32_t held = items[pick];
        items[pick] = items[left - 1];
        items[left - 1] = held;
    }
}
