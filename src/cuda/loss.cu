/* Cross-entropy on tiles of logits: a block a row, threads along the words. A negative target is
 * left out. */
#include "cuda/device.cuh"

#define LOSS_BLOCK 512

static __global__ void count_kernel(int64_t n, int64_t words, const int32_t *targets, float *valid,
                                    struct cuda_shared *shared)
{
    __shared__ float sums[32];
    float sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        sum += targets[i] >= 0 ? 1.0f : 0.0f; /* exact below 2^24 a thread */
        if (targets[i] >= words)
            atomicMin(&shared->report[CUDA_BAD_TARGET],
                      (unsigned long long)i << 32 | (uint32_t)targets[i]);
    }
    sum = block_sum(sum, sums);
    if (threadIdx.x == 0)
        *valid = sum;
}

void cuda_count_targets(cudaStream_t s, int64_t n, int64_t words, const int32_t *targets,
                        float *valid, struct cuda_shared *shared)
{
    count_kernel<<<1, 1024, 0, s>>>(n, words, targets, valid, shared);
}

static __global__ void loss_rows_kernel(int64_t words, const float *logits, const int32_t *targets,
                                        float smoothing, float *lse, float *loss)
{
    __shared__ float shared[32];
    int64_t row = blockIdx.x;
    const float *z = logits + row * words;
    int32_t target = targets[row];
    if (target < 0 || target >= words) {
        if (threadIdx.x == 0)
            lse[row] = loss[row] = 0.0f;
        return;
    }
    float best = NEGATIVE_INFINITY, sum = 0, flat = 0;
    for (int64_t i = threadIdx.x; i < words; i += blockDim.x)
        best = max_nan(best, z[i]);
    best = block_max(best, shared);
    for (int64_t i = threadIdx.x; i < words && best != NEGATIVE_INFINITY; i += blockDim.x) {
        sum += expf(z[i] - best);
        flat += z[i];
    }
    sum = block_sum(sum, shared);
    if (smoothing > 0)
        flat = block_sum(flat, shared);
    if (threadIdx.x != 0)
        return;
    float own = best == NEGATIVE_INFINITY ? NEGATIVE_INFINITY : best + logf(sum);
    float out = own - (1.0f - smoothing) * z[target];
    if (smoothing > 0)
        out -= smoothing * flat / (float)words;
    lse[row] = own;
    loss[row] = out;
}

void cuda_loss_rows(cudaStream_t s, int64_t rows, int64_t words, const float *logits,
                    const int32_t *targets, float smoothing, float *lse, float *loss)
{
    loss_rows_kernel<<<(unsigned)rows, LOSS_BLOCK, 0, s>>>(words, logits, targets, smoothing, lse,
                                                           loss);
}

static __global__ void loss_mean_kernel(int64_t n, const float *loss, const float *valid, float *y)
{
    __shared__ double shared[32];
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        sum += (double)loss[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0)
        *y = *valid > 0 ? (float)(sum / (double)*valid) : 0.0f;
}

void cuda_loss_mean(cudaStream_t s, int64_t n, const float *loss, const float *valid, float *y)
{
    loss_mean_kernel<<<1, 1024, 0, s>>>(n, loss, valid, y);
}

static __global__ void loss_grad_kernel(int64_t words, struct cuda_numbers y, const float *logits,
                                        const int32_t *targets, float smoothing, const float *lse,
                                        const float *dt, const float *valid)
{
    int64_t row = blockIdx.x;
    int32_t target = targets[row];
    bool counts = target >= 0 && target < words;
    float scale = *valid > 0 ? *dt / *valid : 0.0f, shift = lse[row];
    for (int64_t i = threadIdx.x; i < words; i += blockDim.x) {
        float p = 0.0f;
        if (counts) {
            float z = logits[row * words + i];
            p = shift == NEGATIVE_INFINITY && !isnan(z) ? 0.0f : expf(z - shift);
            p -= smoothing / (float)words;
            p -= i == target ? 1.0f - smoothing : 0.0f;
            p *= scale;
        }
        put(y, row * words + i, p);
    }
}

void cuda_loss_grad_rows(cudaStream_t s, int64_t rows, int64_t words, struct cuda_numbers y,
                         const float *logits, const int32_t *targets, float smoothing,
                         const float *lse, const float *dt, const float *valid)
{
    loss_grad_kernel<<<(unsigned)rows, LOSS_BLOCK, 0, s>>>(words, y, logits, targets, smoothing,
                                                           lse, dt, valid);
}
