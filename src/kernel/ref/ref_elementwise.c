/* Two-operand loops, updates in place, and the AdamW step. */
#include <math.h>

#include "kernel/ref/ref.h"

/* NaN on either side gives NaN (fmaxf would drop it). */
static float max_nan(float a, float b)
{
    return a > b || isnan(a) ? a : b;
}

static float min_nan(float a, float b)
{
    return a < b || isnan(a) ? a : b;
}

#define BINARY(name, value)                                                                        \
    static void name(int64_t n, float *y, const float *left, const float *right)                   \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            float a = left[i], b = right[i];                                                       \
            y[i] = (value);                                                                        \
        }                                                                                          \
    }                                                                                              \
    static void name##_scalar(int64_t n, float *y, const float *left, float b)                     \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            float a = left[i];                                                                     \
            y[i] = (value);                                                                        \
        }                                                                                          \
    }

BINARY(op_add, a + b)
BINARY(op_sub, a - b)
BINARY(op_mul, a *b)
BINARY(op_div, a / b)
BINARY(op_max, max_nan(a, b))
BINARY(op_min, min_nan(a, b))

static void affine(int64_t n, float *y, const float *x, float scale, float shift)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * scale + shift;
}

static void axpy(int64_t n, float *y, float a, const float *x)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void mul_add(int64_t n, float *y, const float *a, const float *b)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a[i] * b[i];
}

static void fill(int64_t n, float *y, float value)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = value;
}

static void adamw(int64_t n, float *w, float *m, float *v, const float *g,
                  const struct ml_adamw_step *s)
{
    float keep = 1.0f - s->lr * s->weight_decay, rate = s->lr / s->correction1;
    float root = 1.0f / sqrtf(s->correction2);
    for (int64_t i = 0; i < n; i++) {
        float grad = g[i] * s->grad_scale;
        m[i] = s->beta1 * m[i] + (1.0f - s->beta1) * grad;
        v[i] = s->beta2 * v[i] + (1.0f - s->beta2) * grad * grad;
        w[i] = w[i] * keep - rate * m[i] / (sqrtf(v[i]) * root + s->eps);
    }
}

#define SLOT(index, name)                                                                          \
    out->binary[index] = name;                                                                     \
    out->binary_scalar[index] = name##_scalar

void ml_ref_elementwise(struct ml_kernels *out)
{
    SLOT(ML_BINARY_ADD, op_add);
    SLOT(ML_BINARY_SUB, op_sub);
    SLOT(ML_BINARY_MUL, op_mul);
    SLOT(ML_BINARY_DIV, op_div);
    SLOT(ML_BINARY_MAX, op_max);
    SLOT(ML_BINARY_MIN, op_min);
    out->affine = affine;
    out->axpy = axpy;
    out->mul_add = mul_add;
    out->fill = fill;
    out->adamw = adamw;
}
