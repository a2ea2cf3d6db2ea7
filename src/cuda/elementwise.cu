/* Ops that treat each number alone: one thread a number, grid-stride loops. Bound by memory: 4 to
 * 12 bytes a number at some 3 TB/s on an H100. */
#include "cuda/device.cuh"
#include "kernel/table.h"

#define GELU_C       0.7978845608028654f /* sqrt(2/pi) */
#define GELU_CUBIC   0.044715f
#define GELU_MAX     12.0f /* beyond it the gate is 0 or 1; the cubic must not overflow */
#define SQRT_HALF    0.7071067811865476f
#define INV_SQRT_2PI 0.3989422804014327f
#define LEAKY        0.1f

static __device__ float sigmoid(float x)
{
    float z = expf(-fabsf(x));
    return (x < 0 ? z : 1.0f) / (1.0f + z);
}

static __device__ float sigmoid_slope(float x)
{
    float z = expf(-fabsf(x)), d = 1.0f + z;
    return z / (d * d);
}

static __device__ float gelu_clamp(float x)
{
    return x > GELU_MAX ? GELU_MAX : x < -GELU_MAX ? -GELU_MAX : x;
}

static __device__ float gelu_gate(float x)
{
    float c = gelu_clamp(x);
    return 2 * GELU_C * c * (1.0f + GELU_CUBIC * c * c);
}

static __device__ float gelu_slope(float x)
{
    float c = gelu_clamp(x), v = gelu_gate(x);
    return sigmoid(v) + x * sigmoid_slope(v) * 2 * GELU_C * (1.0f + 3 * GELU_CUBIC * c * c);
}

static __device__ float silu_slope(float x)
{
    return sigmoid(x) + x * sigmoid_slope(x);
}

static __device__ float relu(float x)
{
    return x < 0 ? 0.0f : x;
}

/* A step function's derivative that still passes NaN on. */
static __device__ float gate(float dy, float x, float above, float below)
{
    if (isnan(x) || isnan(dy))
        return x + dy;
    float slope = x > 0 ? above : below;
    return slope == 0 ? 0.0f : dy * slope;
}

static __device__ float unary(int kind, float x)
{
    switch (kind) {
    case ML_UNARY_NEG: return -x;
    case ML_UNARY_ABS: return fabsf(x);
    case ML_UNARY_SQUARE: return x * x;
    case ML_UNARY_SQRT: return sqrtf(x);
    case ML_UNARY_EXP: return expf(x);
    case ML_UNARY_LOG: return logf(x);
    case ML_UNARY_SIN: return sinf(x);
    case ML_UNARY_COS: return cosf(x);
    case ML_UNARY_TANH: return tanhf(x);
    case ML_UNARY_SIGMOID: return sigmoid(x);
    case ML_UNARY_RELU: return relu(x);
    case ML_UNARY_RELU2: return relu(x) * relu(x);
    case ML_UNARY_LEAKY_RELU: return x < 0 ? LEAKY * x : x;
    case ML_UNARY_GELU: return x * sigmoid(gelu_gate(x));
    case ML_UNARY_GELU_ERF: return 0.5f * x * erfcf(-x * SQRT_HALF);
    default: return x * sigmoid(x); /* SiLU */
    }
}

static __device__ float unary_grad(int kind, float dy, float x)
{
    switch (kind) {
    case ML_UNARY_NEG: return isnan(x) ? x : -dy;
    case ML_UNARY_ABS: return x == 0 && !isnan(dy) ? 0.0f : gate(dy, x, 1.0f, -1.0f);
    case ML_UNARY_SQUARE: return dy * 2 * x;
    case ML_UNARY_SQRT: return dy * 0.5f / sqrtf(x);
    case ML_UNARY_EXP: return dy * expf(x);
    case ML_UNARY_LOG: return dy / x;
    case ML_UNARY_SIN: return dy * cosf(x);
    case ML_UNARY_COS: return -dy * sinf(x);
    case ML_UNARY_TANH: return dy * (1.0f - tanhf(x) * tanhf(x));
    case ML_UNARY_SIGMOID: return dy * sigmoid_slope(x);
    case ML_UNARY_RELU: return gate(dy, x, 1.0f, 0.0f);
    case ML_UNARY_RELU2: return dy * 2 * relu(x);
    case ML_UNARY_LEAKY_RELU: return gate(dy, x, 1.0f, LEAKY);
    case ML_UNARY_GELU: return dy * gelu_slope(x);
    case ML_UNARY_GELU_ERF:
        return dy * (0.5f * erfcf(-x * SQRT_HALF) + x * INV_SQRT_2PI * expf(-0.5f * x * x));
    default: return dy * silu_slope(x);
    }
}

static __device__ float binary(int kind, float a, float b)
{
    switch (kind) {
    case ML_BINARY_ADD: return a + b;
    case ML_BINARY_SUB: return a - b;
    case ML_BINARY_MUL: return a * b;
    case ML_BINARY_DIV: return a / b;
    case ML_BINARY_MAX: return max_nan(a, b);
    default: return a < b || isnan(a) ? a : b;
    }
}

static __global__ void unary_kernel(int kind, int64_t n, struct cuda_numbers y,
                                    struct cuda_numbers x)
{
    EACH(i, n)
        put(y, i, unary(kind, get(x, i)));
}

void cuda_unary(cudaStream_t s, int kind, int64_t n, struct cuda_numbers y, struct cuda_numbers x)
{
    unary_kernel<<<blocks_for(n), BLOCK, 0, s>>>(kind, n, y, x);
}

static __global__ void unary_grad_kernel(int kind, int64_t n, struct cuda_numbers dx,
                                         struct cuda_numbers dy, struct cuda_numbers x)
{
    EACH(i, n)
        put(dx, i, unary_grad(kind, get(dy, i), get(x, i)));
}

void cuda_unary_grad(cudaStream_t s, int kind, int64_t n, struct cuda_numbers dx,
                     struct cuda_numbers dy, struct cuda_numbers x)
{
    unary_grad_kernel<<<blocks_for(n), BLOCK, 0, s>>>(kind, n, dx, dy, x);
}

static __global__ void binary_same_kernel(int kind, int64_t n, struct cuda_numbers y,
                                          struct cuda_numbers a, struct cuda_numbers b)
{
    EACH(i, n)
        put(y, i, binary(kind, get(a, i), get(b, i)));
}

static __global__ void binary_kernel(int kind, int64_t n, struct cuda_numbers y,
                                     struct cuda_numbers a, struct cuda_numbers b,
                                     struct cuda_nest nest)
{
    EACH(i, n) {
        int64_t rest = i, ia = 0, ib = 0;
        for (int k = nest.ndim - 1; k >= 0; k--) {
            int64_t at = rest % nest.dim[k];
            rest /= nest.dim[k];
            ia += at * nest.sa[k];
            ib += at * nest.sb[k];
        }
        put(y, i, binary(kind, get(a, ia), get(b, ib)));
    }
}

void cuda_binary(cudaStream_t s, int kind, int64_t n, struct cuda_numbers y, struct cuda_numbers a,
                 struct cuda_numbers b, const struct cuda_nest *nest)
{
    if (nest->ndim == 1 && nest->sa[0] == 1 && nest->sb[0] == 1)
        binary_same_kernel<<<blocks_for(n), BLOCK, 0, s>>>(kind, n, y, a, b);
    else
        binary_kernel<<<blocks_for(n), BLOCK, 0, s>>>(kind, n, y, a, b, *nest);
}

static __global__ void affine_kernel(int64_t n, struct cuda_numbers y, struct cuda_numbers x,
                                     float scale, float shift)
{
    EACH(i, n)
        put(y, i, __fadd_rn(__fmul_rn(get(x, i), scale), shift));
}

static __global__ void convert_kernel(int64_t n, struct cuda_numbers y, struct cuda_numbers x)
{
    EACH(i, n)
        put(y, i, get(x, i));
}

void cuda_affine(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers x,
                 float scale, float shift)
{
    if (scale == 1.0f && shift == 0.0f)
        convert_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, y, x);
    else
        affine_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, y, x, scale, shift);
}

static __global__ void swiglu_kernel(int64_t n, struct cuda_numbers y, struct cuda_numbers g,
                                     struct cuda_numbers u)
{
    EACH(i, n) {
        float x = get(g, i);
        put(y, i, x * sigmoid(x) * get(u, i));
    }
}

void cuda_swiglu(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers g,
                 struct cuda_numbers u)
{
    swiglu_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, y, g, u);
}

static __global__ void swiglu_grad_kernel(int64_t n, struct cuda_numbers both,
                                          struct cuda_numbers dy, struct cuda_numbers g,
                                          struct cuda_numbers u)
{
    EACH(i, n) {
        float d = get(dy, i), x = get(g, i);
        put(both, i, d * get(u, i) * silu_slope(x));
        put(both, n + i, d * x * sigmoid(x));
    }
}

void cuda_swiglu_grad(cudaStream_t s, int64_t n, struct cuda_numbers both, struct cuda_numbers dy,
                      struct cuda_numbers g, struct cuda_numbers u)
{
    swiglu_grad_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, both, dy, g, u);
}

/* Philox4x32-10, as base/rng.c. */
static __device__ void philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* A thread takes the eight numbers of one block of random bits. */
static __global__ void dropout_kernel(int64_t n, struct cuda_numbers y, struct cuda_numbers x,
                                      uint32_t threshold, float scale, uint32_t stream,
                                      const struct cuda_shared *shared)
{
    EACH(block, (n + 7) / 8) {
        uint32_t draw[4];
        philox(shared->seed, stream, (uint64_t)block, draw);
        for (int j = 0; j < 8; j++) {
            int64_t i = 8 * block + j;
            uint32_t half = draw[j / 2] >> 16 * (j % 2) & 0xffffu;
            if (i < n)
                put(y, i, half < threshold ? 0.0f : get(x, i) * scale);
        }
    }
}

void cuda_dropout(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers x, float p,
                  uint32_t stream, const struct cuda_shared *shared)
{
    uint32_t threshold = (uint32_t)((double)p * 65536.0 + 0.5);
    dropout_kernel<<<blocks_for((n + 7) / 8), BLOCK, 0, s>>>(n, y, x, threshold, 1 / (1 - p),
                                                             stream, shared);
}

static __global__ void fill_kernel(int64_t n, struct cuda_numbers y, float value)
{
    EACH(i, n)
        put(y, i, value);
}

void cuda_fill(cudaStream_t s, int64_t n, struct cuda_numbers y, float value)
{
    fill_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, y, value);
}

static __global__ void mse_grad_kernel(int64_t n, struct cuda_numbers y, struct cuda_numbers a,
                                       struct cuda_numbers b, const float *dt)
{
    float scale = 2.0f * dt[0] / (float)n;
    EACH(i, n)
        put(y, i, (get(a, i) - get(b, i)) * scale);
}

void cuda_mse_grad(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers a,
                   struct cuda_numbers b, const float *dt)
{
    mse_grad_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, y, a, b, dt);
}

static __global__ void bias_act_kernel(int64_t n, int64_t width, struct cuda_numbers y,
                                       const float *bias, int kind)
{
    EACH(i, n) {
        float x = get(y, i) + (bias ? bias[i % width] : 0.0f);
        put(y, i, kind >= 0 ? unary(kind, x) : x);
    }
}

void cuda_bias_act(cudaStream_t s, int64_t rows, int64_t width, struct cuda_numbers y,
                   const float *bias, int kind)
{
    int64_t n = rows * width;
    bias_act_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, width, y, bias, kind);
}
