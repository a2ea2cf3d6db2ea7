/* f32 products with NEON.
 *
 * Tile: 8 x 12, that is 24 accumulators of 4 floats, three registers of B and two of A (29 of 32).
 * A step of k is 24 fused multiply-adds by a lane of A and 5 loads. Floor: two 128-bit
 * multiply-adds a cycle on Cortex-A76 and its like (12 cycles a step), four on Apple's and Neoverse
 * V cores (6). k-adjacent f32 sources are transposed in 4 x 4 blocks; other number formats are
 * packed by ref. */
#include <arm_neon.h>
#include <string.h>

#include "kernel/arm/arm.h"
#include "kernel/ref/ref.h"

#define MR 8
#define NR 12

/* k-adjacent source: four rows into lanes [lane, lane + 4) of a panel. */
static inline __attribute__((always_inline)) void
pack_four(float *panel, int width, int lane, const float *src, int64_t si, int64_t rows, int64_t k)
{
    static const float zeros[4];
    const float *row[4];
    int64_t step[4]; /* rows that are not there stay on the zeros */
    for (int i = 0; i < 4; i++) {
        row[i] = i < rows ? src + i * si : zeros;
        step[i] = i < rows ? 1 : 0;
    }
    int64_t p = 0;
    for (; p + 4 <= k; p += 4) {
        float32x4_t r[4];
        for (int i = 0; i < 4; i++)
            r[i] = vld1q_f32(row[i] + p * step[i]);
        float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
        float *to = panel + p * width + lane;
        vst1q_f32(to, vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0])));
        vst1q_f32(to + width, vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1])));
        vst1q_f32(to + 2 * width, vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0])));
        vst1q_f32(to + 3 * width, vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1])));
    }
    for (; p < k; p++)
        for (int i = 0; i < 4; i++)
            panel[p * width + lane + i] = row[i][p * step[i]];
}

static inline __attribute__((always_inline)) void pack(int width, float *panel, const void *src,
                                                       enum ml_dtype type, int64_t si, int64_t sp,
                                                       int64_t rows, int64_t k)
{
    const float *from = src;
    if (type == ML_F32 && sp == 1) {
        for (int lane = 0; lane < width; lane += 4)
            pack_four(panel, width, lane, from + lane * si, si, rows - lane, k);
    } else if (type == ML_F32 && si == 1 && rows == width) {
        for (int64_t p = 0; p < k; p++)
            memcpy(panel + p * width, from + p * sp, (size_t)width * sizeof *panel);
    } else {
        ml_ref_pack_f32(width, panel, src, type, si, sp, rows, k);
    }
}

static void pack_a(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t rows, int64_t k)
{
    pack(MR, panel, src, type, si, sp, rows, k);
}

static void pack_b(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t cols, int64_t k)
{
    pack(NR, panel, src, type, si, sp, cols, k);
}

/* One step of k: MR rows at a, NR columns at b. */
static inline __attribute__((always_inline)) void step(float32x4_t sum[MR][3], const float *a,
                                                       const float *b)
{
    float32x4_t a0 = vld1q_f32(a), a1 = vld1q_f32(a + 4);
    float32x4_t column[3] = {vld1q_f32(b), vld1q_f32(b + 4), vld1q_f32(b + 8)};
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++) {
        sum[0][j] = vfmaq_laneq_f32(sum[0][j], column[j], a0, 0);
        sum[1][j] = vfmaq_laneq_f32(sum[1][j], column[j], a0, 1);
        sum[2][j] = vfmaq_laneq_f32(sum[2][j], column[j], a0, 2);
        sum[3][j] = vfmaq_laneq_f32(sum[3][j], column[j], a0, 3);
        sum[4][j] = vfmaq_laneq_f32(sum[4][j], column[j], a1, 0);
        sum[5][j] = vfmaq_laneq_f32(sum[5][j], column[j], a1, 1);
        sum[6][j] = vfmaq_laneq_f32(sum[6][j], column[j], a1, 2);
        sum[7][j] = vfmaq_laneq_f32(sum[7][j], column[j], a1, 3);
    }
}

/* The first `rows` rows of the sums go to c. */
static inline __attribute__((always_inline)) void put(float32x4_t sum[MR][3], int64_t rows,
                                                      float *c, int64_t ldc, bool accumulate)
{
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++, c += ldc)
#pragma GCC unroll 3
        for (int j = 0; j < 3; j++) {
            if (i >= rows)
                break;
            if (accumulate)
                sum[i][j] = vaddq_f32(sum[i][j], vld1q_f32(c + 4 * j));
            vst1q_f32(c + 4 * j, sum[i][j]);
        }
}

static void tile(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                 bool accumulate)
{
    const float *a = panel_a, *b = panel_b;
    float32x4_t sum[MR][3];
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = sum[i][2] = vdupq_n_f32(0.0f);
    for (int64_t p = 0; p < k; p += 1, a += MR, b += NR)
        step(sum, a, b);
    put(sum, MR, c, ldc, accumulate);
}

/* Rows that do not lie side by side, or of which some are missing. */
static const float *bring_rows(float few[MR], const float *from, int64_t apart, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(few + i, from + i * apart, sizeof *few);
    return few;
}

static void tile_places(int64_t rows, int64_t steps, const int32_t *at, const void *a,
                        int64_t apart, const void *panel_b, float *c, int64_t ldc, bool accumulate)
{
    const float *b = panel_b;
    bool adjacent = rows == MR && apart == 1;
    float32x4_t sum[MR][3];
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = sum[i][2] = vdupq_n_f32(0.0f);
    for (int64_t s = 0; s < steps; s++, b += NR) {
        const float *from = (const float *)a + at[s];
        float few[MR] = {0};
        step(sum, adjacent ? from : bring_rows(few, from, apart, rows), b);
    }
    put(sum, rows, c, ldc, accumulate);
}

/* 24 independent sums. The empty asm keeps them in registers and in the loop. */
static int64_t burn(int64_t steps)
{
    float32x4_t x = vdupq_n_f32(0.5f), sum[24];
#pragma GCC unroll 24
    for (int i = 0; i < 24; i++)
        sum[i] = vdupq_n_f32(0.0f);
    for (int64_t s = 0; s < steps; s++) {
#pragma GCC unroll 24
        for (int i = 0; i < 24; i++) {
            sum[i] = vfmaq_f32(sum[i], x, x);
            __asm__ volatile("" : "+w"(sum[i]));
        }
    }
    return steps * 24 * 8;
}

void ml_neon_gemm(struct ml_kernels *out)
{
    out->gemm_f32 =
        (struct ml_gemm_kernel){MR,   NR,   1,        sizeof(float),      pack_a,     pack_b,
                                tile, burn, 16 << 10, ml_ref_pack_places, tile_places};
}
