/* What the optimisers do outside of graphs: one thread a number, bound by memory. */
#include "cuda/device.cuh"

static __global__ void adamw_kernel(int64_t n, float *w, float *m, float *v, const float *g,
                                    struct cuda_adamw s)
{
    float keep = 1.0f - s.lr * s.weight_decay, rate = s.lr / s.correction1;
    float root = 1.0f / sqrtf(s.correction2);
    EACH(i, n) {
        float grad = g[i] * s.grad_scale;
        float first = s.beta1 * m[i] + (1.0f - s.beta1) * grad;
        float second = s.beta2 * v[i] + (1.0f - s.beta2) * grad * grad;
        m[i] = first;
        v[i] = second;
        w[i] = w[i] * keep - rate * first / (sqrtf(second) * root + s.eps);
    }
}

void cuda_adamw(cudaStream_t s, int64_t n, float *w, float *m, float *v, const float *g,
                const struct cuda_adamw *step)
{
    adamw_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, w, m, v, g, *step);
}

static __global__ void mix_kernel(int64_t n, float *y, float a, const float *x, float b)
{
    EACH(i, n)
        y[i] = b != 0.0f ? a * x[i] + b * y[i] : a * x[i];
}

void cuda_mix(cudaStream_t s, int64_t n, float *y, float a, const float *x, float b)
{
    mix_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, y, a, x, b);
}

/* Where element (r, c) of the parameter is in the iteration's matrix. */
static __device__ int64_t inside(int64_t rows, int64_t cols, bool tall, int64_t i)
{
    int64_t r = i / cols, c = i - r * cols;
    return tall ? c * rows + r : i;
}

static __global__ void muon_momentum_kernel(int64_t rows, int64_t cols, bool tall, float *x,
                                            float *momentum, const float *grad, float mu,
                                            float scale)
{
    EACH(i, rows * cols) {
        float g = grad[i] * scale, m = mu * momentum[i] + g;
        momentum[i] = m;
        x[inside(rows, cols, tall, i)] = g + mu * m;
    }
}

void cuda_muon_momentum(cudaStream_t s, int64_t rows, int64_t cols, bool tall, float *x,
                        float *momentum, const float *grad, float mu, float grad_scale)
{
    muon_momentum_kernel<<<blocks_for(rows * cols), BLOCK, 0, s>>>(rows, cols, tall, x, momentum,
                                                                   grad, mu, grad_scale);
}

static __global__ void muon_normalise_kernel(int64_t n, float *x, const double *square)
{
    float scale = (float)(1.0 / (sqrt(*square) + 1e-7));
    EACH(i, n)
        x[i] *= scale;
}

void cuda_muon_normalise(cudaStream_t s, int64_t n, float *x, const double *square)
{
    muon_normalise_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, x, square);
}

static __global__ void muon_apply_kernel(int64_t rows, int64_t cols, bool tall, float *weight,
                                         const float *y, float keep, float step)
{
    EACH(i, rows * cols)
        weight[i] = weight[i] * keep - step * y[inside(rows, cols, tall, i)];
}

void cuda_muon_apply(cudaStream_t s, int64_t rows, int64_t cols, bool tall, float *weight,
                     const float *y, float keep, float step)
{
    muon_apply_kernel<<<blocks_for(rows * cols), BLOCK, 0, s>>>(rows, cols, tall, weight, y, keep,
                                                                step);
}
