/* Packing, the register tile and the matrix-vector product in plain C. The tile is 4 x 16, so that
 * a compiler can keep it in sixteen 128-bit registers. */
#include "kernel/ref/ref.h"

#define MR 4
#define NR 16

static float load(const void *src, enum ml_dtype type, int64_t at)
{
    switch (type) {
    case ML_BF16:
        return ml_bf16_to_f32(((const ml_bf16 *)src)[at]);
    case ML_F16:
        return ml_f16_to_f32(((const uint16_t *)src)[at]);
    default:
        return ((const float *)src)[at];
    }
}

/* Panel layout [k][width]. */
void ml_ref_pack_f32(int width, float *panel, const void *src, enum ml_dtype type, int64_t si,
                     int64_t sp, int64_t rows, int64_t k)
{
    for (int64_t p = 0; p < k; p++)
        for (int i = 0; i < width; i++)
            *panel++ = i < rows ? load(src, type, i * si + p * sp) : 0.0f;
}

/* Panel layout [ceil(k/2)][width][2]. */
void ml_ref_pack_bf16(int width, ml_bf16 *panel, const void *src, enum ml_dtype type, int64_t si,
                      int64_t sp, int64_t rows, int64_t k)
{
    for (int64_t p = 0; p < k; p += 2)
        for (int i = 0; i < width; i++)
            for (int64_t q = p; q < p + 2; q++) {
                bool inside = i < rows && q < k;
                *panel++ = inside ? ml_f32_to_bf16(load(src, type, i * si + q * sp)) : 0;
            }
}

static void pack_a_f32(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                       int64_t rows, int64_t k)
{
    ml_ref_pack_f32(MR, panel, src, type, si, sp, rows, k);
}

static void pack_b_f32(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                       int64_t cols, int64_t k)
{
    ml_ref_pack_f32(NR, panel, src, type, si, sp, cols, k);
}

static void pack_a_bf16(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t rows, int64_t k)
{
    ml_ref_pack_bf16(MR, panel, src, type, si, sp, rows, k);
}

static void pack_b_bf16(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t cols, int64_t k)
{
    ml_ref_pack_bf16(NR, panel, src, type, si, sp, cols, k);
}

static void put(float sum[MR][NR], float *c, int64_t ldc, bool accumulate)
{
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++)
            c[i * ldc + j] = accumulate ? c[i * ldc + j] + sum[i][j] : sum[i][j];
}

static void tile_f32(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                     bool accumulate)
{
    const float *a = panel_a, *b = panel_b;
    float sum[MR][NR] = {{0}};
    for (int64_t p = 0; p < k; p++, a += MR, b += NR)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++)
                sum[i][j] += a[i] * b[j];
    put(sum, c, ldc, accumulate);
}

static void tile_bf16(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                      bool accumulate)
{
    const ml_bf16 *a = panel_a, *b = panel_b;
    float sum[MR][NR] = {{0}};
    for (int64_t p = 0; p < k; p += 2, a += 2 * MR, b += 2 * NR)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++)
                for (int q = 0; q < 2; q++)
                    sum[i][j] += ml_bf16_to_f32(a[2 * i + q]) * ml_bf16_to_f32(b[2 * j + q]);
    put(sum, c, ldc, accumulate);
}

void ml_ref_pack_bf16_row(ml_bf16 *to, const void *src, enum ml_dtype type, int64_t si, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = ml_f32_to_bf16(load(src, type, i * si));
}

/* [place][1]; see table.h. */
void ml_ref_pack_places(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        ((float *)to)[i] = load(src, type, i * si);
}

/* [place][2] */
void ml_ref_pack_place_pairs(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                             int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < 2; p++)
            ((ml_bf16 *)to)[2 * i + p] =
                p < k ? ml_f32_to_bf16(load(src, type, i * si + p * sp)) : 0;
}

static void put_rows(float sum[MR][NR], int64_t rows, float *c, int64_t ldc, bool accumulate)
{
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < NR; j++)
            c[i * ldc + j] = accumulate ? c[i * ldc + j] + sum[i][j] : sum[i][j];
}

static void tile_places_f32(int64_t rows, int64_t steps, const int32_t *at, const void *a,
                            int64_t apart, const void *panel_b, float *c, int64_t ldc,
                            bool accumulate)
{
    const float *b = panel_b;
    float sum[MR][NR] = {{0}};
    for (int64_t s = 0; s < steps; s++, b += NR)
        for (int64_t i = 0; i < rows; i++)
            for (int j = 0; j < NR; j++)
                sum[i][j] += ((const float *)a)[at[s] + i * apart] * b[j];
    put_rows(sum, rows, c, ldc, accumulate);
}

static void tile_places_bf16(int64_t rows, int64_t steps, const int32_t *at, const void *a,
                             int64_t apart, const void *panel_b, float *c, int64_t ldc,
                             bool accumulate)
{
    const ml_bf16 *b = panel_b;
    float sum[MR][NR] = {{0}};
    for (int64_t s = 0; s < steps; s++, b += 2 * NR)
        for (int64_t i = 0; i < rows; i++) {
            const ml_bf16 *x = (const ml_bf16 *)a + at[s] + i * apart;
            for (int j = 0; j < NR; j++)
                for (int q = 0; q < 2; q++)
                    sum[i][j] += ml_bf16_to_f32(x[q]) * ml_bf16_to_f32(b[2 * j + q]);
        }
    put_rows(sum, rows, c, ldc, accumulate);
}

static void gemv(int64_t rows, int64_t n, int64_t k, float *y, int64_t ldy, const void *w,
                 enum ml_dtype w_type, int64_t ldw, const float *x, int64_t ldx)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)load(w, w_type, i * ldw + p) * x[r * ldx + p];
            y[r * ldy + i] = (float)sum;
        }
}

static void mix(int64_t n, int64_t k, float *y, const void *w, enum ml_dtype w_type, int64_t ldw,
                const float *x)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t p = 0; p < k; p++)
            sum += (double)load(w, w_type, p * ldw + i) * x[p];
        y[i] = (float)sum;
    }
}

static void panels(int64_t rows, int64_t count, int64_t k, float *y, int64_t ldy, const void *w,
                   enum ml_dtype w_type, const float *x, int64_t ldx)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < count * NR; i++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)load(w, w_type, (i / NR * k + p) * NR + i % NR) * x[r * ldx + p];
            y[r * ldy + i] = (float)sum;
        }
}

static void slide(int64_t rows, int64_t n, float *y, int64_t ldy, float bias, int64_t taps,
                  const int32_t *at, const float *x, int64_t ldx, const float *w, bool add)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            float sum = add ? y[r * ldy + i] : bias;
            for (int64_t t = 0; t < taps; t++)
                sum += w[t] * x[r * ldx + at[t] + i];
            y[r * ldy + i] = sum;
        }
}

static void pad_rows(int64_t rows, float *to, int64_t pitch, const float *x, int64_t ld,
                     int64_t step, int64_t left, int64_t n)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < pitch; i++)
            to[r * pitch + i] = i < left || i >= left + n ? 0 : x[r * ld + (i - left) * step];
}

static void turn_rows(int64_t rows, int64_t channels, float *to, int64_t plane, const float *sums,
                      int64_t row, const float *bias)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < channels; c++)
            to[c * plane + r] = sums[r * row + c] + (bias ? bias[c] : 0);
}

static void slide_dw(int64_t rows, int64_t n, float *dw, int64_t taps, const int32_t *at,
                     const float *x, int64_t ldx, const float *dy, int64_t ldy)
{
    for (int64_t t = 0; t < taps; t++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < n; i++)
                sum += (double)x[r * ldx + at[t] + i] * dy[r * ldy + i];
        dw[t] += (float)sum;
    }
}

/* 64 independent sums, so that latency does not bound it. The result is used, so that the loop
 * stays. */
static int64_t burn(int64_t steps)
{
    float sum[64];
    for (int i = 0; i < 64; i++)
        sum[i] = (float)i;
    for (int64_t s = 0; s < steps; s++)
        for (int i = 0; i < 64; i++)
            sum[i] = sum[i] * 0.5f + 1.0f;
    float total = 0;
    for (int i = 0; i < 64; i++)
        total += sum[i];
    return total >= 0 ? steps * 128 : 0;
}

void ml_ref_gemm(struct ml_kernels *out)
{
    out->gemv = gemv;
    out->mix = mix;
    out->panels = panels;
    out->slide = slide;
    out->slide_dw = slide_dw;
    out->pad_rows = pad_rows;
    out->turn_rows = turn_rows;
    out->gemm_f32 = (struct ml_gemm_kernel){
        MR,       NR,   1,        sizeof(float),      pack_a_f32,     pack_b_f32,
        tile_f32, burn, 16 << 10, ml_ref_pack_places, tile_places_f32};
    out->gemm_bf16 = (struct ml_gemm_kernel){
        MR,        NR,   2,        sizeof(ml_bf16),         pack_a_bf16,     pack_b_bf16,
        tile_bf16, burn, 16 << 10, ml_ref_pack_place_pairs, tile_places_bf16};
}
