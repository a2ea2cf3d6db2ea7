/* Reductions, softmax, norms, rotation and the matrix-vector product over lanes. Sums run in four
 * registers (to hide the latency of an addition), then lanes are folded by halves: an order that
 * depends on n alone. */
#ifndef ML_KERNEL_LANES_ROWS_H
#define ML_KERNEL_LANES_ROWS_H

#include "kernel/table.h"
#include "kernel/x86/lanes_elementwise.h"
#include "kernel/x86/lanes_math.h"

/* total = fold over i of `step(acc, i)`, where TERM(acc, i) adds the register at i and TAIL the
 * rest r < LANES, whose missing lanes must add nothing. */
#define REDUCE(total, n, TERM, TAIL)                                                               \
    do {                                                                                           \
        vf acc0 = v_zero(), acc1 = v_zero(), acc2 = v_zero(), acc3 = v_zero();                     \
        int64_t at = 0;                                                                            \
        for (; at + 4 * LANES <= (n); at += 4 * LANES) {                                           \
            acc0 = TERM(acc0, at);                                                                 \
            acc1 = TERM(acc1, at + LANES);                                                         \
            acc2 = TERM(acc2, at + 2 * LANES);                                                     \
            acc3 = TERM(acc3, at + 3 * LANES);                                                     \
        }                                                                                          \
        for (; at + LANES <= (n); at += LANES)                                                     \
            acc0 = TERM(acc0, at);                                                                 \
        if (at < (n))                                                                              \
            acc1 = TAIL(acc1, at, (n)-at);                                                         \
        (total) = v_sum(v_add(v_add(acc0, acc1), v_add(acc2, acc3)));                              \
    } while (0)

static float row_sum(int64_t n, const float *x)
{
    float total;
#define TERM(acc, i)    v_add(acc, v_load(x + (i)))
#define TAIL(acc, i, r) v_add(acc, v_load_n(x + (i), r))
    REDUCE(total, n, TERM, TAIL);
#undef TERM
#undef TAIL
    return total;
}

static float row_dot(int64_t n, const float *a, const float *b)
{
    float total;
#define TERM(acc, i)    v_fma(v_load(a + (i)), v_load(b + (i)), acc)
#define TAIL(acc, i, r) v_fma(v_load_n(a + (i), r), v_load_n(b + (i), r), acc)
    REDUCE(total, n, TERM, TAIL);
#undef TERM
#undef TAIL
    return total;
}

static inline float max_nan(float best, float x)
{
    return x > best || isnan(x) ? x : best;
}

static float row_max(int64_t n, const float *x)
{
    vf a = v_set(-INFINITY), b = a;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a = v_if_nan(a, a, a, v_max(a, v_load(x + i)));
        b = v_if_nan(b, b, b, v_max(b, v_load(x + i + LANES)));
    }
    float lanes[2 * LANES], best = -INFINITY;
    v_store(lanes, a);
    v_store(lanes + LANES, b);
    for (int j = 0; j < 2 * LANES; j++)
        best = max_nan(best, lanes[j]);
    for (; i < n; i++)
        best = max_nan(best, x[i]);
    return best;
}

/* The maximum of scale*x where nothing is NaN (else anything). */
static inline float scaled_top(int64_t n, const float *x, float scale)
{
    vf s = v_set(scale), a = v_set(-INFINITY), b = a;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a = v_max(a, v_mul(s, v_load(x + i)));
        b = v_max(b, v_mul(s, v_load(x + i + LANES)));
    }
    float best = v_top(v_max(a, b));
    for (; i < n; i++)
        best = max_nan(best, scale * x[i]);
    return best;
}

/* A row whose maximum seems to be -inf: zeros, unless a NaN hid a number. */
static float softmax_empty(int64_t n, float *y, const float *x)
{
    float value = 0.0f;
    for (int64_t i = 0; i < n; i++)
        value = isnan(x[i]) ? x[i] : value;
    fill(n, y, value);
    return isnan(value) ? value : -INFINITY;
}

static float softmax(int64_t n, float *y, const float *x, float scale)
{
    float best = scaled_top(n, x, scale);
    if (best == -INFINITY)
        return softmax_empty(n, y, x);
    vf s = v_set(scale), top = v_set(best), a = v_zero(), b = v_zero();
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        vf e = v_exp(v_sub(v_mul(s, v_load(x + i)), top));
        vf f = v_exp(v_sub(v_mul(s, v_load(x + i + LANES)), top));
        v_store(y + i, e);
        v_store(y + i + LANES, f);
        a = v_add(a, e);
        b = v_add(b, f);
    }
    for (; i < n; i += LANES) {
        int64_t r = n - i < LANES ? n - i : LANES;
        if (r == LANES) {
            v_store(y + i, v_exp(v_sub(v_mul(s, v_load(x + i)), top)));
            a = v_add(a, v_load(y + i));
        } else {
            v_store_n(y + i, v_exp(v_sub(v_mul(s, v_load_n(x + i, r)), top)), r);
            b = v_add(b, v_load_n(y + i, r));
        }
    }
    float total = v_sum(v_add(a, b));
    op_mul_scalar(n, y, y, 1.0f / total);
    return best + logf(total);
}

static void exp_shift(int64_t n, float *y, const float *x, float scale, float lse)
{
    if (lse == -INFINITY) {
        for (int64_t i = 0; i < n; i++)
            y[i] = isnan(scale * x[i]) ? scale * x[i] : 0.0f;
        return;
    }
    vf s = v_set(scale), shift = v_set(lse);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_exp(v_sub(v_mul(s, v_load(x + i)), shift)));
    if (i < n)
        v_store_n(y + i, v_exp(v_sub(v_mul(s, v_load_n(x + i, n - i)), shift)), n - i);
}

static void softmax_grad(int64_t n, float *dx, const float *dy, const float *y)
{
    vf mean = v_set(row_dot(n, dy, y));
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(dx + i, v_mul(v_load(y + i), v_sub(v_load(dy + i), mean)));
    if (i < n) {
        vf d = v_sub(v_load_n(dy + i, n - i), mean);
        v_store_n(dx + i, v_mul(v_load_n(y + i, n - i), d), n - i);
    }
}

static float rmsnorm(int64_t n, float *y, const float *x, const float *w, float eps)
{
    if (n <= 0)
        return 0.0f;
    float inv = 1.0f / sqrtf(row_dot(n, x, x) / (float)n + eps);
    if (!w) {
        op_mul_scalar(n, y, x, inv);
        return inv;
    }
    vf s = v_set(inv);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_mul(v_mul(v_load(x + i), s), v_load(w + i)));
    if (i < n)
        v_store_n(y + i, v_mul(v_mul(v_load_n(x + i, n - i), s), v_load_n(w + i, n - i)), n - i);
    return inv;
}

/* All lanes of w at i, or the first n; ones where w is NULL. */
static inline vf weight_at(const float *w, int64_t i, int64_t n)
{
    if (!w)
        return v_set(1.0f);
    return n >= LANES ? v_load(w + i) : v_load_n(w + i, n);
}

static inline vf part(const float *p, int64_t i, int64_t n)
{
    return n >= LANES ? v_load(p + i) : v_load_n(p + i, n);
}

static inline void put(float *p, int64_t i, vf x, int64_t n)
{
    if (n >= LANES)
        v_store(p + i, x);
    else
        v_store_n(p + i, x, n);
}

/* See ref: with u = dy*w, dx = inv * (u - x * inv^2 * mean(u x)). */
static void rmsnorm_grad(int64_t n, float *dx, float *dw, const float *dy, const float *x,
                         const float *w, float inv)
{
    if (n <= 0)
        return;
    float along;
#define TERM(acc, i) v_fma(v_mul(v_load(dy + (i)), weight_at(w, i, LANES)), v_load(x + (i)), acc)
#define TAIL(acc, i, r)                                                                            \
    v_fma(v_mul(v_load_n(dy + (i), r), weight_at(w, i, r)), v_load_n(x + (i), r), acc)
    REDUCE(along, n, TERM, TAIL);
#undef TERM
#undef TAIL
    vf s = v_set(inv), pull = v_set(along / (float)n * inv * inv);
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t r = n - i;
        vf d = part(dy, i, r), v = part(x, i, r);
        vf u = v_mul(d, weight_at(w, i, r));
        if (dw)
            put(dw, i, v_fma(d, v_mul(v, s), part(dw, i, r)), r);
        put(dx, i, v_mul(s, v_fnma(v, pull, u)), r);
    }
}

/* x - mean in the first n lanes, 0 in the others. */
static inline vf difference_n(const float *x, vf mean, int64_t n)
{
    float lanes[LANES];
    v_store(lanes, v_zero());
    v_store_n(lanes, v_sub(v_load_n(x, n), mean), n);
    return v_load(lanes);
}

static void layernorm(int64_t n, float *y, const float *x, const float *w, const float *b,
                      float eps, float stats[2])
{
    float mean = n > 0 ? row_sum(n, x) / (float)n : 0.0f, square = 0.0f;
    vf m = v_set(mean);
#define TERM(acc, i)    v_fma(v_sub(v_load(x + (i)), m), v_sub(v_load(x + (i)), m), acc)
#define TAIL(acc, i, r) v_fma(difference_n(x + (i), m, r), difference_n(x + (i), m, r), acc)
    REDUCE(square, n, TERM, TAIL);
#undef TERM
#undef TAIL
    float inv = n > 0 ? 1.0f / sqrtf(square / (float)n + eps) : 0.0f;
    vf s = v_set(inv);
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t r = n - i;
        vf h = v_mul(v_mul(v_sub(part(x, i, r), m), s), weight_at(w, i, r));
        put(y, i, b ? v_add(h, part(b, i, r)) : h, r);
    }
    stats[0] = mean;
    stats[1] = inv;
}

/* See ref: with u = dy*w and h = (x-mean)*inv, dx = inv * (u - mean(u) - h * mean(u h)). */
static void layernorm_grad(int64_t n, float *dx, float *dw, float *db, const float *dy,
                           const float *x, const float *w, const float stats[2])
{
    if (n <= 0)
        return;
    vf m = v_set(stats[0]), s = v_set(stats[1]);
    float flat, along;
#define U(i, r)         v_mul(part(dy, i, r), weight_at(w, i, r))
#define TERM(acc, i)    v_add(acc, U(i, LANES))
#define TAIL(acc, i, r) v_add(acc, v_mul(v_load_n(dy + (i), r), weight_at(w, i, r)))
    REDUCE(flat, n, TERM, TAIL);
#undef TERM
#undef TAIL
    /* A missing lane of u is 0, whatever its x. */
#define TERM(acc, i)    v_fma(U(i, LANES), v_mul(v_sub(v_load(x + (i)), m), s), acc)
#define TAIL(acc, i, r) v_fma(U(i, r), v_mul(v_sub(v_load_n(x + (i), r), m), s), acc)
    REDUCE(along, n, TERM, TAIL);
#undef TERM
#undef TAIL
    vf u_mean = v_set(flat / (float)n), uh_mean = v_set(along / (float)n);
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t r = n - i;
        vf d = part(dy, i, r), h = v_mul(v_sub(part(x, i, r), m), s);
        vf u = v_mul(d, weight_at(w, i, r));
        if (dw)
            put(dw, i, v_fma(d, h, part(dw, i, r)), r);
        if (db)
            put(db, i, v_add(d, part(db, i, r)), r);
        put(dx, i, v_mul(s, v_fnma(h, uh_mean, v_sub(u, u_mean))), r);
    }
#undef U
}

static void rotate(int64_t n, float *ya, float *yb, const float *a, const float *b,
                   const float *cosine, const float *sine)
{
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t r = n - i;
        vf p = part(a, i, r), q = part(b, i, r);
        vf c = part(cosine, i, r), s = part(sine, i, r);
        put(ya, i, v_fnma(q, s, v_mul(p, c)), r);
        put(yb, i, v_fma(p, s, v_mul(q, c)), r);
    }
}

static void rotate_pairs(int64_t n, float *y, const float *x, const float *cosine,
                         const float *sine)
{
    int64_t i = 0;
    for (; i + LANES / 2 <= n; i += LANES / 2) {
        vf p = v_load(x + 2 * i);
        vf turned = v_mul(v_swap_pairs(p), v_load_pairs(sine + i));
        v_store(y + 2 * i, v_fmaddsub(p, v_load_pairs(cosine + i), turned));
    }
    for (; i < n; i++) {
        float p = x[2 * i], q = x[2 * i + 1];
        y[2 * i] = fmaf(p, cosine[i], -(q * sine[i]));
        y[2 * i + 1] = fmaf(q, cosine[i], p * sine[i]);
    }
}

static void lanes_rows(struct ml_kernels *out)
{
    out->sum = row_sum;
    out->dot = row_dot;
    out->max = row_max;
    out->softmax = softmax;
    out->exp_shift = exp_shift;
    out->softmax_grad = softmax_grad;
    out->rmsnorm = rmsnorm;
    out->rmsnorm_grad = rmsnorm_grad;
    out->layernorm = layernorm;
    out->layernorm_grad = layernorm_grad;
    out->rotate = rotate;
    out->rotate_pairs = rotate_pairs;
}

#endif
