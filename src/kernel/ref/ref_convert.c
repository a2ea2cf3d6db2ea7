/* Conversions between number formats. */
#include "kernel/ref/ref.h"

static void bf16_to_f32(int64_t n, float *y, const ml_bf16 *x)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = ml_bf16_to_f32(x[i]);
}

static void f32_to_bf16(int64_t n, ml_bf16 *y, const float *x)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = ml_f32_to_bf16(x[i]);
}

static void f16_to_f32(int64_t n, float *y, const uint16_t *x)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = ml_f16_to_f32(x[i]);
}

static void f32_to_f16(int64_t n, uint16_t *y, const float *x)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = ml_f32_to_f16(x[i]);
}

void ml_ref_convert(struct ml_kernels *out)
{
    out->bf16_to_f32 = bf16_to_f32;
    out->f32_to_bf16 = f32_to_bf16;
    out->f16_to_f32 = f16_to_f32;
    out->f32_to_f16 = f32_to_f16;
}
