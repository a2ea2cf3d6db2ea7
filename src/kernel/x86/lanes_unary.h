/* Unary functions, their derivatives and SwiGLU over lanes; the rules for NaN and infinity are
 * those of ref. */
#ifndef ML_KERNEL_LANES_UNARY_H
#define ML_KERNEL_LANES_UNARY_H

#include "kernel/table.h"
#include "kernel/x86/lanes_math.h"

#define UNARY(name, value, grad)                                                                   \
    static void name(int64_t n, float *y, const float *src)                                        \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES) {                                                       \
            vf x = v_load(src + i);                                                                \
            v_store(y + i, value);                                                                 \
        }                                                                                          \
        if (i < n) {                                                                               \
            vf x = v_load_n(src + i, n - i);                                                       \
            v_store_n(y + i, value, n - i);                                                        \
        }                                                                                          \
    }                                                                                              \
    static void name##_grad(int64_t n, float *dx, const float *upstream, const float *src)         \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES) {                                                       \
            vf x = v_load(src + i), dy = v_load(upstream + i);                                     \
            v_store(dx + i, grad);                                                                 \
        }                                                                                          \
        if (i < n) {                                                                               \
            vf x = v_load_n(src + i, n - i), dy = v_load_n(upstream + i, n - i);                   \
            v_store_n(dx + i, grad, n - i);                                                        \
        }                                                                                          \
    }

/* NaN on either side stays, whatever `y` is. */
static inline vf keep_nan(vf dy, vf x, vf y)
{
    return v_if_nan(dy, x, v_add(dy, x), y);
}

static inline vf relu(vf x)
{
    return v_max(v_zero(), x);
}

static inline vf step_grad(vf dy, vf x, float below)
{
    vf no = below == 0.0f ? v_zero() : v_mul(dy, v_set(below));
    return keep_nan(dy, x, v_if_less(v_zero(), x, dy, no));
}

static inline vf abs_grad(vf dy, vf x)
{
    vf y = v_if_less(x, v_zero(), v_neg(dy), v_if_equal(x, v_zero(), v_zero(), dy));
    return keep_nan(dy, x, y);
}

static inline vf tanh_slope(vf x)
{
    vf t = v_tanh(x);
    return v_fnma(t, t, v_set(1.0f));
}

static inline vf sigmoid_slope(vf x)
{
    vf slope;
    v_sigmoid_slope(x, &slope);
    return slope;
}

static inline vf silu_slope(vf x)
{
    vf slope, gate = v_sigmoid_slope(x, &slope);
    return v_fma(x, slope, gate);
}

static inline vf gelu_erf(vf x)
{
    vf bell;
    return v_mul(x, v_normal(x, &bell));
}

static inline vf gelu_erf_slope(vf x)
{
    vf bell, p = v_normal(x, &bell);
    return v_fma(v_mul(x, v_set(0.3989422804f)), bell, p); /* 1/sqrt(2 pi) */
}

UNARY(op_neg, v_neg(x), keep_nan(dy, x, v_neg(dy)))
UNARY(op_abs, v_abs(x), abs_grad(dy, x))
UNARY(op_square, v_mul(x, x), v_mul(v_mul(dy, v_set(2.0f)), x))
UNARY(op_sqrt, v_sqrt(x), v_div(v_mul(dy, v_set(0.5f)), v_sqrt(x)))
UNARY(op_exp, v_exp(x), v_mul(dy, v_exp(x)))
UNARY(op_log, v_log(x), v_div(dy, x))
UNARY(op_tanh, v_tanh(x), v_mul(dy, tanh_slope(x)))
UNARY(op_sigmoid, v_sigmoid(x), v_mul(dy, sigmoid_slope(x)))
UNARY(op_relu, relu(x), step_grad(dy, x, 0.0f))
UNARY(op_relu2, v_mul(relu(x), relu(x)), v_mul(v_mul(dy, v_set(2.0f)), relu(x)))
UNARY(op_leaky_relu, v_if_less(x, v_zero(), v_mul(x, v_set(0.1f)), x), step_grad(dy, x, 0.1f))
UNARY(op_gelu, v_gelu(x), v_mul(dy, v_gelu_slope(x)))
UNARY(op_gelu_erf, gelu_erf(x), v_mul(dy, gelu_erf_slope(x)))
UNARY(op_silu, v_mul(x, v_sigmoid(x)), v_mul(dy, silu_slope(x)))

/* sin, cos: a register with a large argument (or infinity) goes to libm's exact reduction. */
static inline vf trig(vf x, int cosine)
{
    if (!v_any_above(v_abs(x), v_set(TRIG_MAX)))
        return v_trig(x, cosine ? 1.0f : 0.0f);
    float lanes[LANES];
    v_store(lanes, x);
    for (int i = 0; i < LANES; i++)
        lanes[i] = cosine ? cosf(lanes[i]) : sinf(lanes[i]);
    return v_load(lanes);
}

UNARY(op_sin, trig(x, 0), v_mul(dy, trig(x, 1)))
UNARY(op_cos, trig(x, 1), v_neg(v_mul(dy, trig(x, 0))))

static void swiglu(int64_t n, float *y, const float *gate, const float *up)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf g = v_load(gate + i);
        v_store(y + i, v_mul(v_mul(g, v_sigmoid(g)), v_load(up + i)));
    }
    if (i < n) {
        vf g = v_load_n(gate + i, n - i);
        v_store_n(y + i, v_mul(v_mul(g, v_sigmoid(g)), v_load_n(up + i, n - i)), n - i);
    }
}

static inline vf swiglu_slopes(vf d, vf g, vf u, vf *dup)
{
    vf slope, gate = v_sigmoid_slope(g, &slope);
    *dup = v_mul(v_mul(d, g), gate);
    return v_mul(v_mul(d, u), v_fma(g, slope, gate));
}

static void swiglu_grad(int64_t n, float *dgate, float *dup, const float *dy, const float *gate,
                        const float *up)
{
    int64_t i = 0;
    vf du;
    for (; i + LANES <= n; i += LANES) {
        vf dg = swiglu_slopes(v_load(dy + i), v_load(gate + i), v_load(up + i), &du);
        v_store(dgate + i, dg);
        v_store(dup + i, du);
    }
    if (i < n) {
        int64_t r = n - i;
        vf dg = swiglu_slopes(v_load_n(dy + i, r), v_load_n(gate + i, r), v_load_n(up + i, r), &du);
        v_store_n(dgate + i, dg, r);
        v_store_n(dup + i, du, r);
    }
}

#define UNARY_SLOT(index, name)                                                                    \
    out->unary[index] = name;                                                                      \
    out->unary_grad[index] = name##_grad

static void lanes_unary(struct ml_kernels *out)
{
    UNARY_SLOT(ML_UNARY_NEG, op_neg);
    UNARY_SLOT(ML_UNARY_ABS, op_abs);
    UNARY_SLOT(ML_UNARY_SQUARE, op_square);
    UNARY_SLOT(ML_UNARY_SQRT, op_sqrt);
    UNARY_SLOT(ML_UNARY_EXP, op_exp);
    UNARY_SLOT(ML_UNARY_LOG, op_log);
    UNARY_SLOT(ML_UNARY_SIN, op_sin);
    UNARY_SLOT(ML_UNARY_COS, op_cos);
    UNARY_SLOT(ML_UNARY_TANH, op_tanh);
    UNARY_SLOT(ML_UNARY_SIGMOID, op_sigmoid);
    UNARY_SLOT(ML_UNARY_RELU, op_relu);
    UNARY_SLOT(ML_UNARY_RELU2, op_relu2);
    UNARY_SLOT(ML_UNARY_LEAKY_RELU, op_leaky_relu);
    UNARY_SLOT(ML_UNARY_GELU, op_gelu);
    UNARY_SLOT(ML_UNARY_GELU_ERF, op_gelu_erf);
    UNARY_SLOT(ML_UNARY_SILU, op_silu);
    out->swiglu = swiglu;
    out->swiglu_grad = swiglu_grad;
}

#endif
