/* NEON of ARMv8-A (64 bits): four f32 lanes. See lanes_math.inc for the vocabulary. */
#ifndef ML_KERNEL_NEON_LANES_H
#define ML_KERNEL_NEON_LANES_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "kernel/dtype.h"

#define LANES         4
#define REGISTERS     32
#define PANEL_VECTORS 3 /* of packed weights: as wide as the register tile */
#define PANEL_ROWS    8
typedef float32x4_t vf;

static inline vf v_set(float x)
{
    return vdupq_n_f32(x);
}

/* x in a register: a compiler would rather load it again for each use. */
static inline vf v_keep(vf x)
{
    __asm__("" : "+w"(x));
    return x;
}

static inline vf v_load(const float *p)
{
    return vld1q_f32(p);
}

/* There is no masked access: tails go through a buffer. */
static inline vf v_load_n(const float *p, int64_t n)
{
    float buffer[LANES] = {0};
    memcpy(buffer, p, (size_t)n * sizeof *p);
    return vld1q_f32(buffer);
}

static inline void v_store(float *p, vf x)
{
    vst1q_f32(p, x);
}

static inline void v_store_n(float *p, vf x, int64_t n)
{
    float buffer[LANES];
    vst1q_f32(buffer, x);
    memcpy(p, buffer, (size_t)n * sizeof *p);
}

static inline uint16x4_t v_half_n(const uint16_t *p, int64_t n)
{
    uint16_t buffer[LANES] = {0};
    memcpy(buffer, p, (size_t)n * sizeof *p);
    return vld1_u16(buffer);
}

static inline void v_half_store_n(uint16_t *p, uint16x4_t x, int64_t n)
{
    uint16_t buffer[LANES];
    vst1_u16(buffer, x);
    memcpy(p, buffer, (size_t)n * sizeof *p);
}

static inline vf v_widen_bf16(uint16x4_t x)
{
    return vreinterpretq_f32_u32(vshll_n_u16(x, 16));
}

static inline vf v_load_bf16(const ml_bf16 *p)
{
    return v_widen_bf16(vld1_u16(p));
}

static inline vf v_load_bf16_n(const ml_bf16 *p, int64_t n)
{
    return v_widen_bf16(v_half_n(p, n));
}

static inline vf v_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline vf v_load_f16_n(const uint16_t *p, int64_t n)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(v_half_n(p, n)));
}

/* Rounded as ml_f32_to_bf16 does it. */
static inline uint16x4_t v_narrow_bf16(vf x)
{
    uint32x4_t bits = vreinterpretq_u32_f32(x), high = vshrq_n_u32(bits, 16);
    uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
    uint32x4_t round = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    uint32x4_t quiet = vorrq_u32(high, vdupq_n_u32(0x40));
    return vmovn_u32(vbslq_u32(vceqq_f32(x, x), vshrq_n_u32(round, 16), quiet));
}

static inline void v_store_bf16(ml_bf16 *p, vf x)
{
    vst1_u16(p, v_narrow_bf16(x));
}

static inline void v_store_bf16_n(ml_bf16 *p, vf x, int64_t n)
{
    v_half_store_n(p, v_narrow_bf16(x), n);
}

static inline void v_store_f16(uint16_t *p, vf x)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

static inline void v_store_f16_n(uint16_t *p, vf x, int64_t n)
{
    v_half_store_n(p, vreinterpret_u16_f16(vcvt_f16_f32(x)), n);
}

static inline vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}

static inline vf v_fnma(vf a, vf b, vf c)
{
    return vfmsq_f32(c, a, b);
}

/* NEON's own maximum gives NaN where either is NaN; the vocabulary wants the second operand. */
static inline vf v_max(vf a, vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vf v_min(vf a, vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline vf v_sqrt(vf x)
{
    return vsqrtq_f32(x);
}

static inline vf v_abs(vf x)
{
    return vabsq_f32(x);
}

static inline vf v_neg(vf x)
{
    return vnegq_f32(x);
}

static inline vf v_copysign(vf size, vf sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, size);
}

static inline vf v_round(vf x)
{
    return vrndnq_f32(x);
}

static inline vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return vbslq_f32(vcltq_f32(a, b), yes, no);
}

static inline vf v_if_equal(vf a, vf b, vf yes, vf no)
{
    return vbslq_f32(vceqq_f32(a, b), yes, no);
}

static inline vf v_if_nan(vf a, vf b, vf yes, vf no)
{
    uint32x4_t numbers = vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b));
    return vbslq_f32(numbers, no, yes);
}

static inline int v_any_above(vf a, vf b)
{
    return vmaxvq_u32(vcgtq_f32(a, b)) != 0;
}

static inline vf v_pick_bit(vf whole, int bit, vf set, vf clear)
{
    int32x4_t b = vdupq_n_s32(bit);
    return vbslq_f32(vceqq_s32(vandq_s32(vcvtnq_s32_f32(whole), b), b), set, clear);
}

static inline vf v_power2(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* In two steps, because 2^n itself may not be a float: |n| up to 252. */
static inline vf v_scale2(vf x, vf n)
{
    int32x4_t whole = vcvtnq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    return vmulq_f32(vmulq_f32(x, v_power2(half)), v_power2(vsubq_s32(whole, half)));
}

/* See avx2_lanes.h. */
static inline vf v_split(vf x, vf *exponent)
{
    const vf smallest = vdupq_n_f32(0x1p-126f);
    vf scaled = v_if_less(x, smallest, vmulq_f32(x, vdupq_n_f32(0x1p24f)), x);
    vf extra = v_if_less(x, smallest, vdupq_n_f32(-24.0f), vdupq_n_f32(0.0f));
    int32x4_t bits = vreinterpretq_s32_f32(scaled);
    int32x4_t e = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(0x3f400000)), 23);
    *exponent = vaddq_f32(vcvtq_f32_s32(e), extra);
    return vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(e, 23)));
}

static inline float v_sum(vf x)
{
    float32x2_t b = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}

/* The sums of four registers, each formed as v_sum forms it. */
static inline void v_sum4(float to[4], const vf x[4])
{
    for (int i = 0; i < 4; i++)
        to[i] = v_sum(x[i]);
}

static inline float v_top(vf x)
{
    vf b = v_max(x, vextq_f32(x, x, 2));
    b = v_max(b, vextq_f32(b, b, 1));
    return vgetq_lane_f32(b, 0);
}

/* x = a0 b0 a1 b1: swaps within pairs, and spreads two numbers over pairs. */
static inline vf v_swap_pairs(vf x)
{
    return vrev64q_f32(x);
}

static inline vf v_load_pairs(const float *p)
{
    float32x2_t x = vld1_f32(p);
    return vcombine_f32(vdup_lane_f32(x, 0), vdup_lane_f32(x, 1));
}

/* a*b - c in even lanes, a*b + c in odd lanes. */
static inline vf v_fmaddsub(vf a, vf b, vf c)
{
    const uint32x4_t even = {0x80000000u, 0, 0x80000000u, 0};
    vf signed_c = vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(c), even));
    return vfmaq_f32(signed_c, a, b);
}

/* Every other of the 8 numbers of a and b, from the first (second) on. */
static inline vf v_even(vf a, vf b)
{
    return vuzp1q_f32(a, b);
}

static inline vf v_odd(vf a, vf b)
{
    return vuzp2q_f32(a, b);
}

static inline void v_transpose(vf r[LANES])
{
    float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

#endif
