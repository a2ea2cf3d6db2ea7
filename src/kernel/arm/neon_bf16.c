/* bf16 products with BFDOT (ARMv8.6-A, or the bf16 extension before it), f32 accumulation.
 *
 * Tile: 8 x 12 as in neon_gemm.c; a step takes two elements of k: 24 BFDOT by a pair of A, three
 * loads of four pairs of B and two of A. Floor: that of f32 with twice the flops. The instruction
 * rounds to odd and takes denormals as zero. A panel holds pairs of k side by side, as VDPBF16PS's
 * (x86/avx512_pairs.h). */
#include <arm_neon.h>
#include <string.h>

#include "kernel/arm/arm.h"
#include "kernel/ref/ref.h"

#define MR 8
#define NR 12

/* k-adjacent bf16 is copied pair by pair; all else is packed by ref. */
static void pack(int width, void *panel, const void *src, enum ml_dtype type, int64_t si,
                 int64_t sp, int64_t rows, int64_t k)
{
    if (type != ML_BF16 || sp != 1 || rows < width || k % 2 != 0) {
        ml_ref_pack_bf16(width, panel, src, type, si, sp, rows, k);
        return;
    }
    for (int i = 0; i < width; i++) {
        const ml_bf16 *row = (const ml_bf16 *)src + i * si;
        ml_bf16 *to = (ml_bf16 *)panel + 2 * i;
        for (int64_t p = 0; p < k; p += 2, to += 2 * width)
            memcpy(to, row + p, 2 * sizeof *to);
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

static inline bfloat16x8_t load_pairs(const ml_bf16 *p)
{
    return vreinterpretq_bf16_u16(vld1q_u16(p));
}

/* One step of k: MR rows at a, NR columns at b. */
static inline __attribute__((always_inline)) void step(float32x4_t sum[MR][3], const ml_bf16 *a,
                                                       const ml_bf16 *b)
{
    bfloat16x8_t a0 = load_pairs(a), a1 = load_pairs(a + 8);
    bfloat16x8_t column[3] = {load_pairs(b), load_pairs(b + 8), load_pairs(b + 16)};
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++) {
        sum[0][j] = vbfdotq_laneq_f32(sum[0][j], column[j], a0, 0);
        sum[1][j] = vbfdotq_laneq_f32(sum[1][j], column[j], a0, 1);
        sum[2][j] = vbfdotq_laneq_f32(sum[2][j], column[j], a0, 2);
        sum[3][j] = vbfdotq_laneq_f32(sum[3][j], column[j], a0, 3);
        sum[4][j] = vbfdotq_laneq_f32(sum[4][j], column[j], a1, 0);
        sum[5][j] = vbfdotq_laneq_f32(sum[5][j], column[j], a1, 1);
        sum[6][j] = vbfdotq_laneq_f32(sum[6][j], column[j], a1, 2);
        sum[7][j] = vbfdotq_laneq_f32(sum[7][j], column[j], a1, 3);
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
    const ml_bf16 *a = panel_a, *b = panel_b;
    float32x4_t sum[MR][3];
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = sum[i][2] = vdupq_n_f32(0.0f);
    for (int64_t p = 0; p < k; p += 2, a += 2 * MR, b += 2 * NR)
        step(sum, a, b);
    put(sum, MR, c, ldc, accumulate);
}

/* Rows that do not lie side by side, or of which some are missing. */
static const ml_bf16 *bring_rows(ml_bf16 few[2 * MR], const ml_bf16 *from, int64_t apart,
                                 int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(few + 2 * i, from + i * apart, 2 * sizeof *few);
    return few;
}

static void tile_places(int64_t rows, int64_t steps, const int32_t *at, const void *a,
                        int64_t apart, const void *panel_b, float *c, int64_t ldc, bool accumulate)
{
    const ml_bf16 *b = panel_b;
    bool adjacent = rows == MR && apart == 2;
    float32x4_t sum[MR][3];
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = sum[i][2] = vdupq_n_f32(0.0f);
    for (int64_t s = 0; s < steps; s++, b += 2 * NR) {
        const ml_bf16 *from = (const ml_bf16 *)a + at[s];
        ml_bf16 few[2 * MR] = {0};
        step(sum, adjacent ? from : bring_rows(few, from, apart, rows), b);
    }
    put(sum, rows, c, ldc, accumulate);
}

/* 24 independent sums. The empty asm keeps them in registers and in the loop. */
static int64_t burn(int64_t steps)
{
    bfloat16x8_t x = vreinterpretq_bf16_u16(vdupq_n_u16(0x3f00));
    float32x4_t sum[24];
#pragma GCC unroll 24
    for (int i = 0; i < 24; i++)
        sum[i] = vdupq_n_f32(0.0f);
    for (int64_t s = 0; s < steps; s++) {
#pragma GCC unroll 24
        for (int i = 0; i < 24; i++) {
            sum[i] = vbfdotq_f32(sum[i], x, x);
            __asm__ volatile("" : "+w"(sum[i]));
        }
    }
    return steps * 24 * 16;
}

void ml_neon_bf16(struct ml_kernels *out)
{
    out->gemm_bf16 =
        (struct ml_gemm_kernel){MR,   NR,   2,        sizeof(ml_bf16),         pack_a,     pack_b,
                                tile, burn, 16 << 10, ml_ref_pack_place_pairs, tile_places};
}
