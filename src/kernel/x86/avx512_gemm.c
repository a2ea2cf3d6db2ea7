/* f32 products with AVX-512.
 *
 * Tile: 14 x 32, that is 28 accumulators of 16 floats, two registers of B and one broadcast of A
 * (31 of 32). A step of k is 28 fused multiply-adds, 2 loads and 14 broadcasts. Floor: one 512-bit
 * FMA a cycle on Zen 4 (two on Intel server cores), so 28 cycles a step there; L1 and L2 have to
 * deliver 184 bytes in that time. Packing k-adjacent sources transposes 16 x 16 blocks in
 * registers. */
#include <immintrin.h>

#include "kernel/ref/ref.h"
#include "kernel/x86/avx512_transpose.h"
#include "kernel/x86/x86.h"

#define MR 14
#define NR 32

/* k-adjacent source: `rows` (<= 16) rows into lanes [lane, lane + 16) of a panel of `width`.
 * A panel narrower than 16 lanes is stored in ascending order, each store overwriting the
 * spill of the one before; the last two are masked. */
static inline __attribute__((always_inline)) void pack_rows(float *panel, int width, int lane,
                                                            const void *src, enum ml_dtype type,
                                                            int64_t si, int64_t rows, int64_t k)
{
    __mmask16 lanes = ml_mask16(width - lane);
    for (int64_t p = 0; p < k; p += 16) {
        __mmask16 mask = ml_mask16(k - p);
        __m512i r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = i < rows ? _mm512_castps_si512(ml_load16(src, type, i * si + p, mask))
                            : _mm512_setzero_si512();
        ml_transpose16(r);
        float *to = panel + p * width + lane;
        if (p + 16 < k) {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                _mm512_storeu_si512(to + i * width, r[i]);
        } else {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (p + i < k)
                    _mm512_mask_storeu_epi32(to + i * width, lanes, r[i]);
        }
    }
}

/* Row-adjacent source: each step of k is a contiguous piece. */
static inline __attribute__((always_inline)) void pack_columns(float *panel, int width,
                                                               const void *src, enum ml_dtype type,
                                                               int64_t sp, int64_t rows, int64_t k)
{
    for (int lane = 0; lane < width; lane += 16) {
        __mmask16 mask = ml_mask16(rows - lane), lanes = ml_mask16(width - lane);
        for (int64_t p = 0; p < k; p++)
            _mm512_mask_storeu_ps(panel + p * width + lane, lanes,
                                  ml_load16(src, type, p * sp + lane, mask));
    }
}

static inline __attribute__((always_inline)) void pack(int width, float *panel, const void *src,
                                                       enum ml_dtype type, int64_t si, int64_t sp,
                                                       int64_t rows, int64_t k)
{
    int64_t bytes = type == ML_F32 ? 4 : 2;
    if (sp == 1)
        for (int lane = 0; lane < width; lane += 16)
            pack_rows(panel, width, lane, (const char *)src + lane * si * bytes, type, si,
                      rows - lane, k);
    else if (si == 1)
        pack_columns(panel, width, src, type, sp, rows, k);
    else
        ml_ref_pack_f32(width, panel, src, type, si, sp, rows, k);
}

static void pack_a(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t rows, int64_t k)
{
    if (type == ML_F32)
        pack(MR, panel, src, ML_F32, si, sp, rows, k);
    else if (type == ML_BF16)
        pack(MR, panel, src, ML_BF16, si, sp, rows, k);
    else
        pack(MR, panel, src, ML_F16, si, sp, rows, k);
}

static void pack_b(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t cols, int64_t k)
{
    if (type == ML_F32)
        pack(NR, panel, src, ML_F32, si, sp, cols, k);
    else if (type == ML_BF16)
        pack(NR, panel, src, ML_BF16, si, sp, cols, k);
    else
        pack(NR, panel, src, ML_F16, si, sp, cols, k);
}

static void tile(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                 bool accumulate)
{
    const float *a = panel_a, *b = panel_b;
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
        __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 14
        for (int i = 0; i < MR; i++) {
            __m512 x = _mm512_set1_ps(a[i]);
            sum[i][0] = _mm512_fmadd_ps(x, b0, sum[i][0]);
            sum[i][1] = _mm512_fmadd_ps(x, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++, c += ldc) {
        if (accumulate) {
            sum[i][0] = _mm512_add_ps(sum[i][0], _mm512_loadu_ps(c));
            sum[i][1] = _mm512_add_ps(sum[i][1], _mm512_loadu_ps(c + 16));
        }
        _mm512_storeu_ps(c, sum[i][0]);
        _mm512_storeu_ps(c + 16, sum[i][1]);
    }
}

/* 16 independent sums: twice what latency 4 times 2 pipes needs. The empty asm keeps them in
 * registers and in the loop. */
static int64_t burn(int64_t steps)
{
    __m512 x = _mm512_set1_ps(0.5f);
    __m512 sum[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        sum[i] = _mm512_setzero_ps();
    for (int64_t s = 0; s < steps; s++) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            sum[i] = _mm512_fmadd_ps(sum[i], x, x);
            __asm__ volatile("" : "+v"(sum[i]));
        }
    }
    return steps * 16 * 32;
}

void ml_avx512_gemm(struct ml_kernels *out)
{
    out->gemm_f32 =
        (struct ml_gemm_kernel){MR, NR, 1, sizeof(float), pack_a, pack_b, tile, burn, 32 << 10};
}
