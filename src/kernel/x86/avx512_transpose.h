/* Shared by the packing of avx512_gemm.c and avx512_bf16.c. */
#ifndef ML_KERNEL_AVX512_TRANSPOSE_H
#define ML_KERNEL_AVX512_TRANSPOSE_H

#include <immintrin.h>
#include <stdint.h>

#include "kernel/dtype.h"

/* A mask of the low n of 16 (32) lanes; n <= 0 is empty. */
static inline __mmask16 ml_mask16(int64_t n)
{
    return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

static inline __mmask32 ml_mask32(int64_t n)
{
    return n >= 32 ? 0xffffffffu : n <= 0 ? 0 : (1u << n) - 1;
}

/* Up to 16 elements of any storage type as f32, zeros past the mask. */
static inline __attribute__((always_inline)) __m512 ml_load16(const void *src, enum ml_dtype type,
                                                              int64_t at, __mmask16 mask)
{
    if (type == ML_F32)
        return _mm512_maskz_loadu_ps(mask, (const float *)src + at);
    __m256i half = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)src + at);
    if (type == ML_F16)
        return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* Transposes a 16 x 16 matrix of 32-bit lanes in place: pairs, quads, then 128-bit quarters; 64
 * shuffles, one a cycle. */
static inline __attribute__((always_inline)) void ml_transpose16(__m512i r[16])
{
    __m512i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* r[4q + j] holds, in its quarter s, column 4s + j of rows 4q .. 4q+3. */
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m512i low01 = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x44);
        __m512i high01 = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xee);
        __m512i low23 = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x44);
        __m512i high23 = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xee);
        t[j] = _mm512_shuffle_i32x4(low01, low23, 0x88);
        t[4 + j] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
        t[8 + j] = _mm512_shuffle_i32x4(high01, high23, 0x88);
        t[12 + j] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        r[i] = t[i];
}

#endif
