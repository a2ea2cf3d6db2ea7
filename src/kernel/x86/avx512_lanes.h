/* AVX-512: sixteen f32 lanes. See lanes_math.inc for the vocabulary. */
#ifndef ML_KERNEL_AVX512_LANES_H
#define ML_KERNEL_AVX512_LANES_H

#include <immintrin.h>
#include <stdint.h>

#include "kernel/x86/avx512_transpose.h"

#define LANES         16
#define REGISTERS     32
#define PANEL_VECTORS 2 /* of packed weights: as wide as the register tile */
#define PANEL_ROWS    12
typedef __m512 vf;

static inline __mmask16 v_mask(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vf v_set(float x)
{
    return _mm512_set1_ps(x);
}

/* x in a register: a compiler would rather load it again for each use. */
static inline vf v_keep(vf x)
{
#ifdef __AVX512F__ /* where it is not, the header is only looked at */
    __asm__("" : "+v"(x));
#endif
    return x;
}

static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline vf v_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(v_mask(n), p);
}

static inline void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

static inline void v_store_n(float *p, vf x, int64_t n)
{
    _mm512_mask_storeu_ps(p, v_mask(n), x);
}

static inline vf v_widen_bf16(__m256i x)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

static inline vf v_load_bf16(const ml_bf16 *p)
{
    return v_widen_bf16(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf v_load_bf16_n(const ml_bf16 *p, int64_t n)
{
    return v_widen_bf16(_mm256_maskz_loadu_epi16(v_mask(n), p));
}

static inline vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf v_load_f16_n(const uint16_t *p, int64_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(v_mask(n), p));
}

/* Rounded as ml_f32_to_bf16 does it. VCVTNEPS2BF16 would be shorter but takes denormals as zero. */
static inline __m256i v_narrow_bf16(vf x)
{
    __m512i bits = _mm512_castps_si512(x), high = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i round = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i out = _mm512_srli_epi32(round, 16);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    out = _mm512_mask_or_epi32(out, nan, high, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(out);
}

static inline void v_store_bf16(ml_bf16 *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, v_narrow_bf16(x));
}

static inline void v_store_bf16_n(ml_bf16 *p, vf x, int64_t n)
{
    _mm256_mask_storeu_epi16(p, v_mask(n), v_narrow_bf16(x));
}

static inline void v_store_f16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline void v_store_f16_n(uint16_t *p, vf x, int64_t n)
{
    _mm256_mask_storeu_epi16(p, v_mask(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

static inline vf v_sqrt(vf x)
{
    return _mm512_sqrt_ps(x);
}

static inline vf v_abs(vf x)
{
    return _mm512_abs_ps(x);
}

static inline vf v_neg(vf x)
{
    return _mm512_xor_ps(x, _mm512_set1_ps(-0.0f));
}

static inline vf v_copysign(vf size, vf sign)
{
    /* 0xca: bit by bit, first ? second : third */
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32((int)0x80000000u),
                                                         _mm512_castps_si512(sign),
                                                         _mm512_castps_si512(size), 0xca));
}

static inline vf v_round(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

static inline vf v_if_equal(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), no, yes);
}

static inline vf v_if_nan(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q), no, yes);
}

static inline int v_any_above(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
}

static inline vf v_pick_bit(vf whole, int bit, vf set, vf clear)
{
    __mmask16 m = _mm512_test_epi32_mask(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(bit));
    return _mm512_mask_blend_ps(m, clear, set);
}

static inline vf v_scale2(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}

static inline vf v_split(vf x, vf *exponent)
{
    /* Mantissa in [0.75, 1.5), so that x near 1 has exponent 0. */
    vf m = _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
    vf e = _mm512_getexp_ps(x), over = _mm512_getexp_ps(m); /* -1 when m < 1 */
    *exponent = _mm512_sub_ps(e, over);
    return m;
}

static inline float v_sum(vf x)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* The sums of four registers, each formed as v_sum forms it. */
static inline void v_sum4(float to[4], const vf x[4])
{
    __m128 t[4];
    for (int i = 0; i < 4; i++) {
        __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x[i]), _mm512_extractf32x8_ps(x[i], 1));
        t[i] = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    }
    _MM_TRANSPOSE4_PS(t[0], t[1], t[2], t[3]);
    _mm_storeu_ps(to, _mm_add_ps(_mm_add_ps(t[0], t[2]), _mm_add_ps(t[1], t[3])));
}

static inline float v_top(vf x)
{
    __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

/* x = a0 b0 a1 b1 ...: swaps within pairs, and spreads eight numbers over pairs. */
static inline vf v_swap_pairs(vf x)
{
    return _mm512_permute_ps(x, 0xb1);
}

static inline vf v_load_pairs(const float *p)
{
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
}

/* Every other of the 32 numbers of a and b, from the first (second) on. */
static inline vf v_even(vf a, vf b)
{
    const __m512i even =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_ps(a, even, b);
}

static inline vf v_odd(vf a, vf b)
{
    const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    return _mm512_permutex2var_ps(a, odd, b);
}

static inline __attribute__((always_inline)) void v_transpose(vf r[LANES])
{
    __m512i bits[LANES];
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        bits[i] = _mm512_castps_si512(r[i]);
    ml_transpose16(bits);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        r[i] = _mm512_castsi512_ps(bits[i]);
}

/* a*b - c in even lanes, a*b + c in odd lanes. */
static inline vf v_fmaddsub(vf a, vf b, vf c)
{
    return _mm512_fmaddsub_ps(a, b, c);
}

#endif
