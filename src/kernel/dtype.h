/* Number formats that tensors and kernels know. */
#ifndef ML_KERNEL_DTYPE_H
#define ML_KERNEL_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum ml_dtype {
    ML_F32,
    ML_BF16, /* upper half of an f32 */
    ML_F16,  /* IEEE half: storage only */
    ML_I32,  /* token ids, positions, lengths */
    ML_DTYPE_COUNT
};

typedef uint16_t ml_bf16;

size_t ml_dtype_size(enum ml_dtype dtype);      /* bytes per element */
const char *ml_dtype_name(enum ml_dtype dtype); /* "f32", "bf16", "f16", "i32" */

static inline float ml_bf16_to_f32(ml_bf16 x)
{
    uint32_t bits = (uint32_t)x << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* Round to nearest, ties to even; NaN stays NaN (quiet). */
static inline ml_bf16 ml_f32_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (ml_bf16)((bits >> 16) | 0x40u);
    return (ml_bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* IEEE half. Round to nearest, ties to even; too large becomes infinity; NaN stays NaN (quiet). */
float ml_f16_to_f32(uint16_t x);
uint16_t ml_f32_to_f16(float x);

#endif
