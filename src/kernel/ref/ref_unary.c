/* Unary functions and their derivatives, one scalar function each. */
#include <math.h>

#include "kernel/ref/ref.h"

#define GELU_C     0.7978845608028654f /* sqrt(2/pi) */
#define GELU_CUBIC 0.044715f
/* Beyond this |x| the GELU gate is 0 or 1 in f32; the cubic must not overflow. */
#define GELU_MAX     12.0f
#define SQRT_HALF    0.7071067811865476f
#define INV_SQRT_2PI 0.3989422804014327f
#define LEAKY        0.1f

/* Loops of a function and of its derivative: dx = dy * f'(x) as `grad`. */
#define UNARY(name, value, grad)                                                                   \
    static void name(int64_t n, float *y, const float *src)                                        \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            float x = src[i];                                                                      \
            y[i] = (value);                                                                        \
        }                                                                                          \
    }                                                                                              \
    static void name##_grad(int64_t n, float *dx, const float *upstream, const float *src)         \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            float x = src[i], dy = upstream[i];                                                    \
            dx[i] = (grad);                                                                        \
        }                                                                                          \
    }

/* Equal tails on both sides: exp never overflows. */
static float sigmoid(float x)
{
    float z = expf(-fabsf(x));
    return (x < 0 ? z : 1.0f) / (1.0f + z);
}

static float sigmoid_slope(float x)
{
    float z = expf(-fabsf(x)), d = 1.0f + z;
    return z / (d * d);
}

/* Hendrycks & Gimpel, arXiv:1606.08415: x/2 (1 + tanh(u)) = x sigmoid(2u). */
static float gelu_clamp(float x)
{
    return x > GELU_MAX ? GELU_MAX : x < -GELU_MAX ? -GELU_MAX : x;
}

static float gelu_gate_arg(float x)
{
    float c = gelu_clamp(x);
    return 2 * GELU_C * c * (1.0f + GELU_CUBIC * c * c);
}

static float gelu(float x)
{
    return x * sigmoid(gelu_gate_arg(x));
}

static float gelu_slope(float x)
{
    float c = gelu_clamp(x), v = gelu_gate_arg(x);
    return sigmoid(v) + x * sigmoid_slope(v) * 2 * GELU_C * (1.0f + 3 * GELU_CUBIC * c * c);
}

static float gelu_erf_slope(float x)
{
    return 0.5f * erfcf(-x * SQRT_HALF) + x * INV_SQRT_2PI * expf(-0.5f * x * x);
}

static float silu_slope(float x)
{
    return sigmoid(x) + x * sigmoid_slope(x);
}

/* A step function's derivative that still passes NaN on, from x as from dy. */
static float gate(float dy, float x, float above, float below)
{
    if (isnan(x) || isnan(dy))
        return x + dy;
    float slope = x > 0 ? above : below;
    return slope == 0 ? 0.0f : dy * slope;
}

static float relu(float x)
{
    return x < 0 ? 0.0f : x;
}

static float abs_grad(float dy, float x)
{
    return x == 0 && !isnan(dy) ? 0.0f : gate(dy, x, 1.0f, -1.0f);
}

UNARY(op_neg, -x, isnan(x) ? x : -dy)
UNARY(op_abs, fabsf(x), abs_grad(dy, x))
UNARY(op_square, x *x, dy * 2 * x)
UNARY(op_sqrt, sqrtf(x), dy * 0.5f / sqrtf(x))
UNARY(op_exp, expf(x), dy *expf(x))
UNARY(op_log, logf(x), dy / x)
UNARY(op_sin, sinf(x), dy *cosf(x))
UNARY(op_cos, cosf(x), -dy *sinf(x))
UNARY(op_tanh, tanhf(x), dy *(1.0f - tanhf(x) * tanhf(x)))
UNARY(op_sigmoid, sigmoid(x), dy *sigmoid_slope(x))
UNARY(op_relu, relu(x), gate(dy, x, 1.0f, 0.0f))
UNARY(op_relu2, relu(x) * relu(x), dy * 2 * relu(x))
UNARY(op_leaky_relu, x < 0 ? LEAKY * x : x, gate(dy, x, 1.0f, LEAKY))
UNARY(op_gelu, gelu(x), dy *gelu_slope(x))
UNARY(op_gelu_erf, 0.5f * x * erfcf(-x * SQRT_HALF), dy *gelu_erf_slope(x))
UNARY(op_silu, x *sigmoid(x), dy *silu_slope(x))

static void swiglu(int64_t n, float *y, const float *gate_in, const float *up)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = gate_in[i] * sigmoid(gate_in[i]) * up[i];
}

static void swiglu_grad(int64_t n, float *dgate, float *dup, const float *dy, const float *gate_in,
                        const float *up)
{
    for (int64_t i = 0; i < n; i++) {
        float d = dy[i], g = gate_in[i], u = up[i];
        dgate[i] = d * u * silu_slope(g);
        dup[i] = d * g * sigmoid(g);
    }
}

#define SLOT(index, name)                                                                          \
    out->unary[index] = name;                                                                      \
    out->unary_grad[index] = name##_grad

void ml_ref_unary(struct ml_kernels *out)
{
    SLOT(ML_UNARY_NEG, op_neg);
    SLOT(ML_UNARY_ABS, op_abs);
    SLOT(ML_UNARY_SQUARE, op_square);
    SLOT(ML_UNARY_SQRT, op_sqrt);
    SLOT(ML_UNARY_EXP, op_exp);
    SLOT(ML_UNARY_LOG, op_log);
    SLOT(ML_UNARY_SIN, op_sin);
    SLOT(ML_UNARY_COS, op_cos);
    SLOT(ML_UNARY_TANH, op_tanh);
    SLOT(ML_UNARY_SIGMOID, op_sigmoid);
    SLOT(ML_UNARY_RELU, op_relu);
    SLOT(ML_UNARY_RELU2, op_relu2);
    SLOT(ML_UNARY_LEAKY_RELU, op_leaky_relu);
    SLOT(ML_UNARY_GELU, op_gelu);
    SLOT(ML_UNARY_GELU_ERF, op_gelu_erf);
    SLOT(ML_UNARY_SILU, op_silu);
    out->swiglu = swiglu;
    out->swiglu_grad = swiglu_grad;
}
