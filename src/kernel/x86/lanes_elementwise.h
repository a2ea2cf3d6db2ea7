/* Two-operand loops, updates, AdamW and conversions over lanes: bound by memory beyond L1. */
#ifndef ML_KERNEL_LANES_ELEMENTWISE_H
#define ML_KERNEL_LANES_ELEMENTWISE_H

#include "kernel/table.h"
#include "kernel/x86/lanes_math.h"

#define BINARY(name, value)                                                                        \
    static void name(int64_t n, float *y, const float *left, const float *right)                   \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES) {                                                       \
            vf a = v_load(left + i), b = v_load(right + i);                                        \
            v_store(y + i, value);                                                                 \
        }                                                                                          \
        if (i < n) {                                                                               \
            vf a = v_load_n(left + i, n - i), b = v_load_n(right + i, n - i);                      \
            v_store_n(y + i, value, n - i);                                                        \
        }                                                                                          \
    }                                                                                              \
    static void name##_scalar(int64_t n, float *y, const float *left, float right)                 \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        vf b = v_set(right);                                                                       \
        for (; i + LANES <= n; i += LANES) {                                                       \
            vf a = v_load(left + i);                                                               \
            v_store(y + i, value);                                                                 \
        }                                                                                          \
        if (i < n) {                                                                               \
            vf a = v_load_n(left + i, n - i);                                                      \
            v_store_n(y + i, value, n - i);                                                        \
        }                                                                                          \
    }

BINARY(op_add, v_add(a, b))
BINARY(op_sub, v_sub(a, b))
BINARY(op_mul, v_mul(a, b))
BINARY(op_div, v_div(a, b))
BINARY(op_max, v_if_nan(a, a, a, v_max(a, b))) /* v_max gives b where b is NaN */
BINARY(op_min, v_if_nan(a, a, a, v_min(a, b)))

static void affine(int64_t n, float *y, const float *x, float scale, float shift)
{
    int64_t i = 0;
    vf a = v_set(scale), b = v_set(shift);
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_fma(v_load(x + i), a, b));
    if (i < n)
        v_store_n(y + i, v_fma(v_load_n(x + i, n - i), a, b), n - i);
}

static void axpy(int64_t n, float *y, float scale, const float *x)
{
    int64_t i = 0;
    vf a = v_set(scale);
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_fma(a, v_load(x + i), v_load(y + i)));
    if (i < n)
        v_store_n(y + i, v_fma(a, v_load_n(x + i, n - i), v_load_n(y + i, n - i)), n - i);
}

static void mul_add(int64_t n, float *y, const float *a, const float *b)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_fma(v_load(a + i), v_load(b + i), v_load(y + i)));
    if (i < n) {
        int64_t r = n - i;
        v_store_n(y + i, v_fma(v_load_n(a + i, r), v_load_n(b + i, r), v_load_n(y + i, r)), r);
    }
}

static void fill(int64_t n, float *y, float value)
{
    int64_t i = 0;
    vf x = v_set(value);
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, x);
    if (i < n)
        v_store_n(y + i, x, n - i);
}

/* The step's factors, each in all lanes. */
struct adamw_lanes {
    vf scale, beta1, beta2, rest1, rest2, keep, rate, root, eps;
};

static inline void adamw_one(const struct adamw_lanes *a, vf *w, vf *m, vf *v, vf grad)
{
    vf g = v_mul(grad, a->scale);
    *m = v_fma(a->beta1, *m, v_mul(a->rest1, g));
    *v = v_fma(a->beta2, *v, v_mul(v_mul(a->rest2, g), g));
    vf step = v_div(v_mul(a->rate, *m), v_fma(v_sqrt(*v), a->root, a->eps));
    *w = v_sub(v_mul(*w, a->keep), step);
}

static void adamw(int64_t n, float *w, float *m, float *v, const float *g,
                  const struct ml_adamw_step *s)
{
    const struct adamw_lanes a = {
        .scale = v_set(s->grad_scale),
        .beta1 = v_set(s->beta1),
        .beta2 = v_set(s->beta2),
        .rest1 = v_set(1.0f - s->beta1),
        .rest2 = v_set(1.0f - s->beta2),
        .keep = v_set(1.0f - s->lr * s->weight_decay),
        .rate = v_set(s->lr / s->correction1),
        .root = v_set(1.0f / sqrtf(s->correction2)),
        .eps = v_set(s->eps),
    };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf p = v_load(w + i), q = v_load(m + i), r = v_load(v + i);
        adamw_one(&a, &p, &q, &r, v_load(g + i));
        v_store(w + i, p);
        v_store(m + i, q);
        v_store(v + i, r);
    }
    if (i < n) {
        int64_t k = n - i;
        vf p = v_load_n(w + i, k), q = v_load_n(m + i, k), r = v_load_n(v + i, k);
        adamw_one(&a, &p, &q, &r, v_load_n(g + i, k));
        v_store_n(w + i, p, k);
        v_store_n(m + i, q, k);
        v_store_n(v + i, r, k);
    }
}

#define CONVERT(name, to, from, load, store)                                                       \
    static void name(int64_t n, to *y, const from *x)                                              \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                         \
            store(y + i, load(x + i));                                                             \
        if (i < n)                                                                                 \
            store##_n(y + i, load##_n(x + i, n - i), n - i);                                       \
    }

CONVERT(bf16_to_f32, float, ml_bf16, v_load_bf16, v_store)
CONVERT(f32_to_bf16, ml_bf16, float, v_load, v_store_bf16)
CONVERT(f16_to_f32, float, uint16_t, v_load_f16, v_store)
CONVERT(f32_to_f16, uint16_t, float, v_load, v_store_f16)

#define BINARY_SLOT(index, name)                                                                   \
    out->binary[index] = name;                                                                     \
    out->binary_scalar[index] = name##_scalar

static void lanes_elementwise(struct ml_kernels *out)
{
    BINARY_SLOT(ML_BINARY_ADD, op_add);
    BINARY_SLOT(ML_BINARY_SUB, op_sub);
    BINARY_SLOT(ML_BINARY_MUL, op_mul);
    BINARY_SLOT(ML_BINARY_DIV, op_div);
    BINARY_SLOT(ML_BINARY_MAX, op_max);
    BINARY_SLOT(ML_BINARY_MIN, op_min);
    out->affine = affine;
    out->axpy = axpy;
    out->mul_add = mul_add;
    out->fill = fill;
    out->adamw = adamw;
    out->bf16_to_f32 = bf16_to_f32;
    out->f32_to_bf16 = f32_to_bf16;
    out->f16_to_f32 = f16_to_f32;
    out->f32_to_f16 = f32_to_f16;
}

#endif
