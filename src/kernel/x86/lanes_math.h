/* Functions of lanes, written once over the vocabulary that avx2_lanes.h and avx512_lanes.h define:
 *
 *   vf, LANES                one register of f32 and how many it holds
 *   v_load, v_load_n         all lanes, or the first n < LANES (zeros above); v_store likewise
 *   v_fma, v_fnma            a*b + c, c - a*b, rounded once
 *   v_max, v_min             the SECOND operand where either is NaN
 *   v_if_less, _equal, _nan  lane-wise choice; _less and _equal are false for NaN
 *   v_scale2                 x * 2^n for whole n, right down to denormals
 *   v_split                  mantissa in [0.75, 1.5) and exponent of a positive number
 *
 * Polynomials are our own minimax fits (Lawson's iteration on 800 Chebyshev nodes). Relative errors
 * against the truth, measured: exp, sigmoid, tanh <= 2.5e-7, log <= 1.5e-7. */
#ifndef ML_KERNEL_LANES_MATH_H
#define ML_KERNEL_LANES_MATH_H

#include <math.h>

static inline vf v_zero(void)
{
    return v_set(0.0f);
}

/* exp(x + low) for |low| << 1: x = n ln2 + r with ln2 in two parts, |r| <= ln2/2, degree 6.
 * Clamped where the result is 0 or infinity anyway; NaN passes both clamps (second operand). */
static inline vf v_exp_sum(vf x, vf low)
{
    x = v_min(v_set(90.0f), v_max(v_set(-106.0f), x));
    vf n = v_round(v_mul(x, v_set(1.44269504f)));
    vf r = v_fnma(n, v_set(0.693145752f), x);
    r = v_add(v_fnma(n, v_set(1.42860677e-6f), r), low);
    vf p = v_fma(v_set(1.381459356e-3f), r, v_set(8.368719276e-3f));
    p = v_fma(p, r, v_set(4.166838828e-2f));
    p = v_fma(p, r, v_set(0.16666520612f));
    p = v_fma(p, r, v_set(0.499999934465f));
    p = v_fma(v_mul(r, r), p, r);
    return v_scale2(v_add(p, v_set(1.0f)), n);
}

static inline vf v_exp(vf x)
{
    return v_exp_sum(x, v_zero());
}

/* log x = e ln2 + log(1+f), 1+f = mantissa; with s = f/(2+f), log(1+f) = f - (f^2/2 - s(f^2/2 + R))
 * and R = z(2/3 + z(2/5 + z(2/7 + ...))), z = s^2 <= 0.04 (the form of fdlibm). */
static inline vf v_log(vf x)
{
    vf e, f = v_sub(v_split(x, &e), v_set(1.0f));
    vf s = v_div(f, v_add(f, v_set(2.0f))), z = v_mul(s, s);
    vf r = v_fma(v_set(2.0f / 11), z, v_set(2.0f / 9));
    r = v_fma(r, z, v_set(2.0f / 7));
    r = v_fma(r, z, v_set(2.0f / 5));
    r = v_mul(v_fma(r, z, v_set(2.0f / 3)), z);
    vf half = v_mul(v_set(0.5f), v_mul(f, f));
    vf low = v_fma(s, v_add(half, r), v_mul(e, v_set(1.42860677e-6f)));
    vf y = v_fma(e, v_set(0.693145752f), v_sub(f, v_sub(half, low)));
    vf infinity = v_set(INFINITY);
    y = v_if_equal(x, infinity, infinity, y);
    y = v_if_equal(x, v_zero(), v_set(-INFINITY), y);
    y = v_if_less(x, v_zero(), v_set(NAN), y);
    return v_if_nan(x, x, x, y);
}

/* 1/(1+exp(-x)) without overflow, and with small relative error on both sides. */
static inline vf v_sigmoid(vf x)
{
    vf one = v_set(1.0f), z = v_exp(v_neg(v_abs(x)));
    return v_div(v_if_less(x, v_zero(), z, one), v_add(one, z));
}

/* sigmoid and its derivative z/(1+z)^2. */
static inline vf v_sigmoid_slope(vf x, vf *slope)
{
    vf one = v_set(1.0f), z = v_exp(v_neg(v_abs(x)));
    vf inv = v_div(one, v_add(one, z));
    *slope = v_mul(v_mul(z, inv), inv);
    return v_mul(v_if_less(x, v_zero(), z, one), inv);
}

/* 1 - 2/(exp(2|x|) + 1) away from zero, x + x z P(z), z = x^2, near it. */
static inline vf v_tanh(vf x)
{
    vf size = v_abs(x), one = v_set(1.0f), z = v_mul(x, x);
    vf p = v_fma(v_set(2.147539966e-3f), z, v_set(-8.182677518e-3f));
    p = v_fma(p, z, v_set(2.1702968723e-2f));
    p = v_fma(p, z, v_set(-5.3947204598e-2f));
    p = v_fma(p, z, v_set(0.133332097668f));
    p = v_fma(p, z, v_set(-0.333333309068f));
    vf near = v_fma(v_mul(x, z), p, x);
    vf e = v_exp(v_add(size, size));
    vf far = v_sub(one, v_div(v_set(2.0f), v_add(e, one)));
    return v_if_less(size, v_set(0.625f), near, v_copysign(far, x));
}

/* The gate of GELU's tanh form: sigmoid of 2 sqrt(2/pi) (x + 0.044715 x^3), x clamped to where the
 * gate is 0 or 1 in f32 (12), so that the cube stays finite. */
#define GELU_A 1.5957691216057308f /* 2 sqrt(2/pi) */
#define GELU_B 0.044715f

static inline vf v_gelu_clamp(vf x)
{
    return v_min(v_set(12.0f), v_max(v_set(-12.0f), x));
}

static inline vf v_gelu_arg(vf c)
{
    return v_mul(v_mul(v_set(GELU_A), c), v_fma(v_mul(v_set(GELU_B), c), c, v_set(1.0f)));
}

static inline vf v_gelu(vf x)
{
    return v_mul(x, v_sigmoid(v_gelu_arg(v_gelu_clamp(x))));
}

static inline vf v_gelu_slope(vf x)
{
    vf slope, c = v_gelu_clamp(x), gate = v_sigmoid_slope(v_gelu_arg(c), &slope);
    vf inner = v_fma(v_mul(v_set(3 * GELU_B * GELU_A), c), c, v_set(GELU_A));
    return v_fma(x, v_mul(slope, inner), gate);
}

/* The normal distribution function 0.5 erfc(-x/sqrt2), by erfc(u) = exp(-u^2) t P(t) for u >= 0,
 * t = 1/(1 + 0.4u) (the form of Hastings; own fit, 1.3e-8). *bell gets exp(-x^2/2), whose
 * argument is squared exactly in two parts. */
static inline vf v_normal(vf x, vf *bell)
{
    vf size = v_min(v_set(15.0f), v_abs(x)); /* both tails are 0 in f32 beyond */
    vf square = v_mul(size, size), low = v_fma(size, size, v_neg(square));
    vf minus_half = v_set(-0.5f), one = v_set(1.0f);
    vf e = v_exp_sum(v_mul(minus_half, square), v_mul(minus_half, low));
    vf t = v_div(one, v_fma(v_set(0.4f * 0.70710678f), size, one));
    vf p = v_fma(v_set(-0.026026366f), t, v_set(0.178826974f));
    p = v_fma(p, t, v_set(-0.454202305f));
    p = v_fma(p, t, v_set(0.488709313f));
    p = v_fma(p, t, v_set(-0.236241768f));
    p = v_fma(p, t, v_set(0.246669531f));
    p = v_fma(p, t, v_set(0.138289959f));
    p = v_fma(p, t, v_set(0.213114582f));
    p = v_fma(p, t, v_set(0.225163770f));
    p = v_fma(p, t, v_set(0.225696322f));
    vf tail = v_mul(v_mul(v_set(0.5f), e), v_mul(p, t));
    *bell = v_if_nan(x, x, x, e);
    return v_if_nan(x, x, x, v_if_less(x, v_zero(), tail, v_sub(one, tail)));
}

/* sin and cos of |x| <= TRIG_MAX: quadrant by pi/2 in three parts, |r| <= pi/4. */
#define TRIG_MAX 30000.0f

static inline vf v_trig(vf x, float quarter_turns)
{
    vf q = v_round(v_mul(x, v_set(0.636619772f)));
    vf r = v_fnma(q, v_set(1.57079637f), x);
    r = v_fnma(q, v_set(-4.371139e-8f), r);
    r = v_fnma(q, v_set(-1.7151245e-15f), r);
    vf z = v_mul(r, r);
    vf s = v_fma(v_set(2.718237285e-6f), z, v_set(-1.983932714e-4f));
    s = v_fma(s, z, v_set(8.333329362e-3f));
    s = v_fma(s, z, v_set(-0.1666666664143f));
    s = v_fma(v_mul(r, z), s, r);
    vf c = v_fma(v_set(2.443772971e-5f), z, v_set(-1.388736145e-3f));
    c = v_fma(c, z, v_set(4.166664675e-2f));
    c = v_fma(c, z, v_set(-0.5f));
    c = v_fma(c, z, v_set(1.0f));
    q = v_add(q, v_set(quarter_turns));
    vf y = v_pick_bit(q, 1, c, s);
    return v_pick_bit(q, 2, v_neg(y), y);
}

#endif
