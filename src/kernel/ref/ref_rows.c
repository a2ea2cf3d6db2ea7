/* Reductions and what works on one row: softmax, norms, rotation. Sums are kept in double, so that
 * the reference is closer to the truth than any variant. */
#include <math.h>

#include "kernel/ref/ref.h"

static float op_sum(int64_t n, const float *x)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += x[i];
    return (float)total;
}

static double dot_double(int64_t n, const float *a, const float *b)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (double)a[i] * b[i];
    return total;
}

static float op_dot(int64_t n, const float *a, const float *b)
{
    return (float)dot_double(n, a, b);
}

static float op_max(int64_t n, const float *x)
{
    float best = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        best = x[i] > best || isnan(x[i]) ? x[i] : best;
    return best;
}

static float softmax(int64_t n, float *y, const float *x, float scale)
{
    float best = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        float v = scale * x[i];
        if (isnan(v)) {
            best = v;
            break;
        }
        best = v > best ? v : best;
    }
    if (best == -INFINITY) {
        for (int64_t i = 0; i < n; i++)
            y[i] = 0;
        return -INFINITY;
    }
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        y[i] = expf(scale * x[i] - best);
        total += y[i];
    }
    float inv = (float)(1.0 / total);
    for (int64_t i = 0; i < n; i++)
        y[i] *= inv;
    return best + (float)log(total);
}

static void exp_shift(int64_t n, float *y, const float *x, float scale, float lse)
{
    for (int64_t i = 0; i < n; i++) {
        float v = scale * x[i];
        y[i] = lse == -INFINITY && !isnan(v) ? 0.0f : expf(v - lse);
    }
}

static void softmax_grad(int64_t n, float *dx, const float *dy, const float *y)
{
    float mean = (float)dot_double(n, dy, y);
    for (int64_t i = 0; i < n; i++)
        dx[i] = y[i] * (dy[i] - mean);
}

static float rmsnorm(int64_t n, float *y, const float *x, const float *w, float eps)
{
    float inv = n ? (float)(1.0 / sqrt(dot_double(n, x, x) / (double)n + eps)) : 0.0f;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * inv * (w ? w[i] : 1.0f);
    return inv;
}

/* With u = dy*w: dx = inv * (u - x * inv^2 * mean(u x)). */
static void rmsnorm_grad(int64_t n, float *dx, float *dw, const float *dy, const float *x,
                         const float *w, float inv)
{
    double along = 0;
    for (int64_t i = 0; i < n; i++)
        along += (double)dy[i] * (w ? w[i] : 1.0f) * x[i];
    float pull = n ? (float)(along / (double)n * inv * inv) : 0.0f;
    for (int64_t i = 0; i < n; i++) {
        float d = dy[i], v = x[i];
        if (dw)
            dw[i] += d * v * inv;
        dx[i] = inv * (d * (w ? w[i] : 1.0f) - v * pull);
    }
}

static void layernorm(int64_t n, float *y, const float *x, const float *w, const float *b,
                      float eps, float stats[2])
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i];
    mean = n ? mean / (double)n : 0;
    for (int64_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    float m = (float)mean, inv = n ? (float)(1.0 / sqrt(square / (double)n + eps)) : 0.0f;
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - m) * inv * (w ? w[i] : 1.0f) + (b ? b[i] : 0.0f);
    stats[0] = m;
    stats[1] = inv;
}

/* With u = dy*w and h = (x-mean)*inv: dx = inv * (u - mean(u) - h * mean(u h)). */
static void layernorm_grad(int64_t n, float *dx, float *dw, float *db, const float *dy,
                           const float *x, const float *w, const float stats[2])
{
    float mean = stats[0], inv = stats[1];
    double flat = 0, along = 0;
    for (int64_t i = 0; i < n; i++) {
        double u = (double)dy[i] * (w ? w[i] : 1.0f);
        flat += u;
        along += u * (x[i] - mean) * inv;
    }
    float u_mean = n ? (float)(flat / (double)n) : 0.0f;
    float uh_mean = n ? (float)(along / (double)n) : 0.0f;
    for (int64_t i = 0; i < n; i++) {
        float d = dy[i], h = (x[i] - mean) * inv;
        if (dw)
            dw[i] += d * h;
        if (db)
            db[i] += d;
        dx[i] = inv * (d * (w ? w[i] : 1.0f) - u_mean - h * uh_mean);
    }
}

static void rotate(int64_t n, float *ya, float *yb, const float *a, const float *b,
                   const float *cosine, const float *sine)
{
    for (int64_t i = 0; i < n; i++) {
        float p = a[i], q = b[i];
        ya[i] = p * cosine[i] - q * sine[i];
        yb[i] = p * sine[i] + q * cosine[i];
    }
}

static void rotate_pairs(int64_t n, float *y, const float *x, const float *cosine,
                         const float *sine)
{
    for (int64_t i = 0; i < n; i++) {
        float p = x[2 * i], q = x[2 * i + 1];
        y[2 * i] = p * cosine[i] - q * sine[i];
        y[2 * i + 1] = p * sine[i] + q * cosine[i];
    }
}

static void op_minhash(int64_t n, int64_t k, uint32_t *least, const uint32_t *x, const uint32_t *a,
                       const uint32_t *b)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) {
            uint32_t value = a[j] * x[i] + b[j];
            least[j] = value < least[j] ? value : least[j];
        }
}

static void op_i8_dots(int64_t rows, int64_t n, int32_t *out, const int8_t *w, int64_t ldw,
                       const int8_t *x)
{
    for (int64_t r = 0; r < rows; r++) {
        out[r] = 0;
        for (int64_t i = 0; i < n; i++)
            out[r] += w[r * ldw + i] * x[i];
    }
}

void ml_ref_rows(struct ml_kernels *out)
{
    out->i8_dots = op_i8_dots;
    out->minhash = op_minhash;
    out->sum = op_sum;
    out->dot = op_dot;
    out->max = op_max;
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
