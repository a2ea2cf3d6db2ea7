/* The int8 product in plain C: a tile of 4 x 8, numbers as they are. */
#include <math.h>

#include "kernel/ref/ref.h"

#define MR 4
#define NR 8

static void pack_a(void *panel, const uint8_t *a, int64_t row, int64_t rows, int64_t k)
{
    uint8_t *to = panel;
    for (int64_t p = 0; p < k; p++)
        for (int64_t i = 0; i < MR; i++)
            to[p * MR + i] = i < rows ? a[i * row + p] : 0;
}

static void few(int64_t k, int64_t rows, const void *panel_a, const int8_t *panel_w, int32_t *c,
                bool accumulate)
{
    const uint8_t *a = panel_a;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < NR; j++) {
            int32_t sum = accumulate ? c[i * NR + j] : 0;
            for (int64_t p = 0; p < k; p++)
                sum += a[p * MR + i] * panel_w[p * NR + j];
            c[i * NR + j] = sum;
        }
}

static void tile(int64_t k, const void *panel_a, const int8_t *panel_w, int32_t *c, bool accumulate)
{
    few(k, MR, panel_a, panel_w, c, accumulate);
}

static void scale(int64_t rows, int64_t n, float *y, int64_t ldy, const struct ml_i8_sums *s)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) {
            int32_t sum = s->sums[r * s->row + j] - s->zero[r] * s->w_sum[j];
            float x = (float)sum * (s->a_scale[r] * s->w_scale[j]);
            y[r * ldy + j] = s->bias ? x + s->bias[j] : x;
        }
}

static void quantize(int64_t n, uint8_t *q, const float *x, float *scale_out, int32_t *zero)
{
    float low = 0, high = 0;
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        finite &= isfinite(x[i]) != 0;
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    struct ml_u8_scale s = ml_u8_scale(low, high, finite);
    *scale_out = s.scale;
    *zero = s.zero;
    for (int64_t i = 0; i < n; i++) {
        long v = finite ? lrintf(x[i] * s.inverse) + s.zero : 0;
        q[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

struct ml_u8_scale ml_u8_scale(float low, float high, bool finite)
{
    float range = high - low;
    if (!finite || !isfinite(range))
        return (struct ml_u8_scale){.scale = NAN};
    if (range < 1e-35f) /* its inverse might not be a number: as good as zero */
        return (struct ml_u8_scale){0};
    float inverse = 255 / range;
    return (struct ml_u8_scale){range / 255, inverse, (int32_t)lrintf(-low * inverse)};
}

void ml_ref_gemm_i8(struct ml_kernels *out)
{
    out->gemm_i8 = (struct ml_gemm_i8_kernel){
        .mr = MR,
        .nr = NR,
        .kr = 1,
        .element = 1,
        .pack_a = pack_a,
        .tile = tile,
        .few = few,
        .scale = scale,
        .quantize = quantize,
    };
}
