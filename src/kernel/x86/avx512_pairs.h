/* Panels of bf16 pairs: two steps of k side by side, as VDPBF16PS and TDPBF16PS take them. A panel
 * of pairs is a panel of 32-bit units, so packing transposes the same 16 x 16 blocks as in f32. */
#ifndef ML_KERNEL_X86_AVX512_PAIRS_H
#define ML_KERNEL_X86_AVX512_PAIRS_H

#include <immintrin.h>

#include "kernel/ref/ref.h"
#include "kernel/x86/avx512_transpose.h"

/* Elements [at, at + 32) of a k-adjacent row as 16 pairs; n of them exist. */
static inline __attribute__((always_inline)) __m512i
ml_load_pairs(const void *src, enum ml_dtype type, int64_t at, int64_t n)
{
    if (type == ML_BF16)
        return _mm512_maskz_loadu_epi16(ml_mask32(n), (const ml_bf16 *)src + at);
    __m512 low = ml_load16(src, type, at, ml_mask16(n));
    __m512 high = ml_load16(src, type, at + 16, ml_mask16(n - 16));
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* k-adjacent source; see pack_rows of avx512_gemm.c for the overlapping stores. */
static inline __attribute__((always_inline)) void ml_pack_pair_rows(uint32_t *panel, int width,
                                                                    int lane, const void *src,
                                                                    enum ml_dtype type, int64_t si,
                                                                    int64_t rows, int64_t k)
{
    __mmask16 lanes = ml_mask16(width - lane);
    for (int64_t p = 0; p < k; p += 32) {
        __m512i r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = i < rows ? ml_load_pairs(src, type, i * si + p, k - p) : _mm512_setzero_si512();
        ml_transpose16(r);
        uint32_t *to = panel + p / 2 * width + lane;
        if (p + 32 < k) {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                _mm512_storeu_si512(to + i * width, r[i]);
        } else {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (p + 2 * i < k)
                    _mm512_mask_storeu_epi32(to + i * width, lanes, r[i]);
        }
    }
}

/* Row-adjacent source: interleaves two steps of k. */
static inline __attribute__((always_inline)) void
ml_pack_pair_columns(uint32_t *panel, int width, const void *src, enum ml_dtype type, int64_t sp,
                     int64_t rows, int64_t k)
{
    /* Lane i of the result takes element i of the low half, then of the high half. */
    const __m512i interleave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (int lane = 0; lane < width; lane += 16) {
        __mmask16 mask = ml_mask16(rows - lane), lanes = ml_mask16(width - lane);
        uint32_t *to = panel + lane;
        for (int64_t p = 0; p < k; p += 2, to += width) {
            __mmask16 second = p + 1 < k ? mask : 0;
            __m512i both;
            if (type == ML_BF16) {
                const ml_bf16 *x = (const ml_bf16 *)src + p * sp + lane;
                both = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi16(mask, x)),
                                          _mm256_maskz_loadu_epi16(second, second ? x + sp : x), 1);
            } else {
                __m512 low = ml_load16(src, type, p * sp + lane, mask);
                __m512 high = second ? ml_load16(src, type, (p + 1) * sp + lane, second)
                                     : _mm512_setzero_ps();
                both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
            }
            _mm512_mask_storeu_epi32(to, lanes, _mm512_permutexvar_epi16(interleave, both));
        }
    }
}

static inline __attribute__((always_inline)) void ml_pack_pairs(int width, void *panel,
                                                                const void *src, enum ml_dtype type,
                                                                int64_t si, int64_t sp,
                                                                int64_t rows, int64_t k)
{
    int64_t bytes = type == ML_F32 ? 4 : 2;
    if (sp == 1)
        for (int lane = 0; lane < width; lane += 16)
            ml_pack_pair_rows(panel, width, lane, (const char *)src + lane * si * bytes, type, si,
                              rows - lane, k);
    else if (si == 1)
        ml_pack_pair_columns(panel, width, src, type, sp, rows, k);
    else
        ml_ref_pack_bf16(width, panel, src, type, si, sp, rows, k);
}

/* n <= 32 numbers that lie si apart, side by side. */
static inline void ml_bring_apart(ml_bf16 *to, const void *src, enum ml_dtype type, int64_t si,
                                  int64_t n)
{
    if (type == ML_BF16 && si == 2) {
        for (int64_t i = 0; i < n; i += 16) { /* the lower halves of 16 pairs */
            __m512i pairs =
                _mm512_maskz_loadu_epi16(ml_mask32(2 * (n - i) - 1), (const ml_bf16 *)src + 2 * i);
            _mm256_mask_storeu_epi16(to + i, ml_mask16(n - i), _mm512_cvtepi32_epi16(pairs));
        }
    } else if (type == ML_BF16) {
        for (int64_t i = 0; i < n; i++)
            to[i] = ((const ml_bf16 *)src)[i * si];
    } else {
        ml_ref_pack_bf16_row(to, src, type, si, n);
    }
}

/* k rows of n <= 32 places si apart, as rows of 32. */
static inline void ml_bring_places(ml_bf16 *rows, const void *src, enum ml_dtype type, int64_t si,
                                   int64_t sp, int64_t n, int64_t k)
{
    int64_t bytes = type == ML_F32 ? 4 : 2;
    for (int64_t p = 0; p < k; p++)
        ml_bring_apart(rows + p * 32, (const char *)src + p * sp * bytes, type, si, n);
}

#endif
