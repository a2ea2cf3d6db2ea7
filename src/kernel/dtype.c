#include "kernel/dtype.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[ML_DTYPE_COUNT] = {
    [ML_F32] = {"f32", 4},
    [ML_BF16] = {"bf16", 2},
    [ML_F16] = {"f16", 2},
    [ML_I32] = {"i32", 4},
};

size_t ml_dtype_size(enum ml_dtype dtype)
{
    return (unsigned)dtype < ML_DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

const char *ml_dtype_name(enum ml_dtype dtype)
{
    return (unsigned)dtype < ML_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

static float float_of(uint32_t bits)
{
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* f16: 1 sign, 5 exponent (bias 15), 10 fraction bits; f32: 1, 8 (bias 127), 23. */
float ml_f16_to_f32(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16;
    uint32_t exponent = (x >> 10) & 0x1fu, fraction = x & 0x3ffu;
    if (exponent == 31)
        return float_of(sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0));
    if (exponent)
        return float_of(sign | (exponent + 112) << 23 | fraction << 13);
    /* Subnormal: fraction * 2^-24, exact in f32. */
    float magnitude = (float)fraction * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

uint16_t ml_f32_to_f16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) /* NaN: keep the top of the payload, make it quiet */
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) { /* 2^-14 and above: normal */
        uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
        return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
    }
    /* Subnormal: adding 0.5 aligns the value to units of 2^-24, so that the f32 addition itself
     * rounds to nearest even. */
    float aligned = float_of(magnitude) + 0.5f;
    memcpy(&bits, &aligned, sizeof bits);
    return (uint16_t)(sign | (bits - 0x3f000000u));
}
