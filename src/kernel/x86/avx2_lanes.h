/* AVX2, FMA and F16C: eight f32 lanes. See lanes_math.inc for the vocabulary. */
#ifndef ML_KERNEL_AVX2_LANES_H
#define ML_KERNEL_AVX2_LANES_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernel/dtype.h"

#define LANES         8
#define REGISTERS     16
#define PANEL_VECTORS 2 /* of packed weights: as wide as the register tile */
#define PANEL_ROWS    6
typedef __m256 vf;

static inline __m256i v_mask(int64_t n)
{
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index);
}

static inline vf v_set(float x)
{
    return _mm256_set1_ps(x);
}

/* x in a register: a compiler would rather load it again for each use. */
static inline vf v_keep(vf x)
{
#ifdef __AVX2__ /* where it is not, the header is only looked at */
    __asm__("" : "+x"(x));
#endif
    return x;
}

static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline vf v_load_n(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, v_mask(n));
}

static inline void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

static inline void v_store_n(float *p, vf x, int64_t n)
{
    _mm256_maskstore_ps(p, v_mask(n), x);
}

/* There is no masked access to 16-bit lanes: tails go through a buffer. */
static inline __m128i v_half_n(const uint16_t *p, int64_t n)
{
    uint16_t buffer[LANES] = {0};
    memcpy(buffer, p, (size_t)n * sizeof *p);
    return _mm_loadu_si128((const __m128i *)buffer);
}

static inline void v_half_store_n(uint16_t *p, __m128i x, int64_t n)
{
    uint16_t buffer[LANES];
    _mm_storeu_si128((__m128i *)buffer, x);
    memcpy(p, buffer, (size_t)n * sizeof *p);
}

static inline vf v_widen_bf16(__m128i x)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}

static inline vf v_load_bf16(const ml_bf16 *p)
{
    return v_widen_bf16(_mm_loadu_si128((const __m128i *)p));
}

static inline vf v_load_bf16_n(const ml_bf16 *p, int64_t n)
{
    return v_widen_bf16(v_half_n(p, n));
}

static inline vf v_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline vf v_load_f16_n(const uint16_t *p, int64_t n)
{
    return _mm256_cvtph_ps(v_half_n(p, n));
}

/* Rounded as ml_f32_to_bf16 does it. */
static inline __m128i v_narrow_bf16(vf x)
{
    __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i round = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    __m256i out = _mm256_blendv_epi8(_mm256_srli_epi32(round, 16),
                                     _mm256_or_si256(high, _mm256_set1_epi32(0x40)), nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(out), _mm256_extracti128_si256(out, 1));
}

static inline void v_store_bf16(ml_bf16 *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, v_narrow_bf16(x));
}

static inline void v_store_bf16_n(ml_bf16 *p, vf x, int64_t n)
{
    v_half_store_n(p, v_narrow_bf16(x), n);
}

static inline void v_store_f16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline void v_store_f16_n(uint16_t *p, vf x, int64_t n)
{
    v_half_store_n(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), n);
}

static inline vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

static inline vf v_sqrt(vf x)
{
    return _mm256_sqrt_ps(x);
}

static inline vf v_abs(vf x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline vf v_neg(vf x)
{
    return _mm256_xor_ps(x, _mm256_set1_ps(-0.0f));
}

static inline vf v_copysign(vf size, vf sign)
{
    const vf bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, size), _mm256_and_ps(bit, sign));
}

static inline vf v_round(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

static inline vf v_if_equal(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}

static inline vf v_if_nan(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
}

static inline int v_any_above(vf a, vf b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
}

static inline vf v_pick_bit(vf whole, int bit, vf set, vf clear)
{
    __m256i b = _mm256_set1_epi32(bit);
    __m256i is = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_cvtps_epi32(whole), b), b);
    return _mm256_blendv_ps(clear, set, _mm256_castsi256_ps(is));
}

static inline vf v_power2(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* In two steps, because 2^n itself may not be a float: |n| up to 252. */
static inline vf v_scale2(vf x, vf n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return _mm256_mul_ps(_mm256_mul_ps(x, v_power2(half)), v_power2(_mm256_sub_epi32(whole, half)));
}

static inline vf v_split(vf x, vf *exponent)
{
    /* Denormals first become normal. Mantissa in [0.75, 1.5), so that x near 1 has exponent 0:
     * subtracting the bits of 0.75 rounds the exponent at that border. */
    const vf smallest = _mm256_set1_ps(0x1p-126f);
    vf scaled = v_if_less(x, smallest, _mm256_mul_ps(x, _mm256_set1_ps(0x1p24f)), x);
    vf extra = v_if_less(x, smallest, _mm256_set1_ps(-24.0f), _mm256_setzero_ps());
    __m256i bits = _mm256_castps_si256(scaled);
    __m256i e = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f400000)), 23);
    *exponent = _mm256_add_ps(_mm256_cvtepi32_ps(e), extra);
    return _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(e, 23)));
}

static inline float v_sum(vf x)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* The sums of four registers, each formed as v_sum forms it. */
static inline void v_sum4(float to[4], const vf x[4])
{
    __m128 t[4];
    for (int i = 0; i < 4; i++)
        t[i] = _mm_add_ps(_mm256_castps256_ps128(x[i]), _mm256_extractf128_ps(x[i], 1));
    _MM_TRANSPOSE4_PS(t[0], t[1], t[2], t[3]);
    _mm_storeu_ps(to, _mm_add_ps(_mm_add_ps(t[0], t[2]), _mm_add_ps(t[1], t[3])));
}

static inline float v_top(vf x)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

/* x = a0 b0 a1 b1 ...: swaps within pairs, and spreads four numbers over pairs. */
static inline vf v_swap_pairs(vf x)
{
    return _mm256_permute_ps(x, 0xb1);
}

static inline vf v_load_pairs(const float *p)
{
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), twice);
}

/* a*b - c in even lanes, a*b + c in odd lanes. */
static inline vf v_fmaddsub(vf a, vf b, vf c)
{
    return _mm256_fmaddsub_ps(a, b, c);
}

/* Every other of the 16 numbers of a and b, from the first (second) on. */
static inline vf v_even(vf a, vf b)
{
    __m256d mixed = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(mixed, 0xd8));
}

static inline vf v_odd(vf a, vf b)
{
    __m256d mixed = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(mixed, 0xd8));
}

static inline __attribute__((always_inline)) void v_transpose(vf r[LANES])
{
    vf t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

#endif
