/* The numbers that tools/golden/optim.py and curve.py compute too: uniform in [-1, 1) with 24
 * bits, exact in f32: the lowbias32 hash of index and salt. */
#ifndef ML_TESTS_HASH_VALUES_H
#define ML_TESTS_HASH_VALUES_H

#include <stdint.h>

static inline float hash_value(uint32_t index, uint32_t salt)
{
    uint32_t x = index + 1000003u * salt;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    x ^= x >> 16;
    return (float)(x >> 8) / 8388608.0f - 1.0f;
}

#endif
