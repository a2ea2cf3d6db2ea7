/* Reductions over any axes, in a fixed order. Where the innermost axis is reduced a block folds one
 * result, threads along memory; where it is kept a thread folds one result, neighbours along
 * memory. Where results are few the numbers are cut into parts that are folded in order at the
 * end. */
#include "cuda/device.cuh"

#define WANTED_THREADS (132 * 1024) /* enough to hide the memory of an H100 */

static __device__ __forceinline__ int64_t place(const struct cuda_walk &w, int64_t index)
{
    int64_t at = 0;
    for (int k = w.ndim - 1; k >= 0; k--) {
        at += index % w.dim[k] * w.stride[k];
        index /= w.dim[k];
    }
    return at;
}

int64_t cuda_fold_parts(const struct cuda_fold *f)
{
    int64_t threads = f->results * (f->inner_kept ? 1 : BLOCK);
    int64_t most = f->count / (f->inner_kept ? 64 : 16 * BLOCK);
    int64_t want = threads > 0 ? WANTED_THREADS / threads : 1;
    int64_t parts = want < most ? want : most;
    return parts < 1 ? 1 : parts > 1024 ? 1024 : parts;
}

/* Partial results of part blockIdx.y. */
static __global__ void fold_kernel(struct cuda_fold f, bool max, float *partial,
                                   struct cuda_numbers x)
{
    __shared__ float shared[32];
    int64_t chunk = (f.count + f.parts - 1) / f.parts, begin = blockIdx.y * chunk;
    int64_t end = begin + chunk < f.count ? begin + chunk : f.count;
    int lanes = f.inner_kept ? 1 : (int)blockDim.x;
    int64_t first = f.inner_kept ? (int64_t)blockIdx.x * blockDim.x + threadIdx.x : blockIdx.x;
    int64_t step = f.inner_kept ? (int64_t)gridDim.x * blockDim.x : gridDim.x;
    for (int64_t o = first; o < f.results; o += step) {
        int64_t base = place(f.kept, o);
        float fold = max ? NEGATIVE_INFINITY : 0.0f;
        for (int64_t i = begin + (f.inner_kept ? 0 : threadIdx.x); i < end; i += lanes) {
            float v = get(x, base + place(f.reduced, i));
            fold = max ? max_nan(fold, v) : fold + v;
        }
        if (!f.inner_kept)
            fold = max ? block_max(fold, shared) : block_sum(fold, shared);
        if (f.inner_kept || threadIdx.x == 0)
            partial[blockIdx.y * f.results + o] = fold;
    }
}

static __global__ void fold_parts_kernel(int64_t results, int64_t parts, bool max, float scale,
                                         struct cuda_numbers y, const float *partial)
{
    EACH(o, results) {
        float fold = partial[o];
        for (int64_t p = 1; p < parts; p++)
            fold = max ? max_nan(fold, partial[p * results + o]) : fold + partial[p * results + o];
        put(y, o, fold * scale);
    }
}

static unsigned fold_blocks(const struct cuda_fold *f)
{
    int64_t blocks = f->inner_kept ? (f->results + BLOCK - 1) / BLOCK : f->results;
    return (unsigned)(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks);
}

void cuda_reduce(cudaStream_t s, const struct cuda_fold *f, bool max, float scale,
                 struct cuda_numbers y, struct cuda_numbers x, float *partial)
{
    dim3 grid(fold_blocks(f), (unsigned)f->parts);
    fold_kernel<<<grid, BLOCK, 0, s>>>(*f, max, partial, x);
    fold_parts_kernel<<<blocks_for(f->results), BLOCK, 0, s>>>(f->results, f->parts, max, scale, y,
                                                               partial);
}

/* NaN is its own maximum. */
static __device__ bool is_max(float x, float y)
{
    return x == y || (isnan(x) && isnan(y));
}

/* One result: its gradient is shared among the numbers that reach the maximum. */
static __global__ void max_grad_kernel(struct cuda_fold f, struct cuda_numbers dx,
                                       struct cuda_numbers x, struct cuda_numbers y,
                                       struct cuda_numbers dy)
{
    __shared__ float shared[32];
    for (int64_t o = blockIdx.x; o < f.results; o += gridDim.x) {
        int64_t base = place(f.kept, o);
        float top = get(y, o), hits = 0;
        for (int64_t i = threadIdx.x; i < f.count; i += blockDim.x)
            hits += is_max(get(x, base + place(f.reduced, i)), top) ? 1.0f : 0.0f;
        hits = block_sum(hits, shared);
        float share = hits > 0 ? get(dy, o) / hits : 0.0f;
        for (int64_t i = threadIdx.x; i < f.count; i += blockDim.x) {
            int64_t at = base + place(f.reduced, i);
            put(dx, at, is_max(get(x, at), top) ? share : 0.0f);
        }
    }
}

void cuda_reduce_max_grad(cudaStream_t s, const struct cuda_fold *f, struct cuda_numbers dx,
                          struct cuda_numbers x, struct cuda_numbers y, struct cuda_numbers dy)
{
    unsigned blocks = (unsigned)(f->results < 65535 ? f->results : 65535);
    max_grad_kernel<<<blocks, BLOCK, 0, s>>>(*f, dx, x, y, dy);
}

/* ---- sums of squares, in double ---- */

static __global__ void squares_kernel(int64_t n, struct cuda_numbers a, struct cuda_numbers b,
                                      double *partial)
{
    __shared__ double shared[32];
    double sum = 0;
    EACH(i, n) {
        double v = (double)(b.data ? get(a, i) - get(b, i) : get(a, i));
        sum += v * v;
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

static __global__ void sum_doubles_kernel(int64_t n, const double *x, double *y, float *mean,
                                          double count)
{
    __shared__ double shared[32];
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        sum += x[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0 && y)
        *y = sum;
    if (threadIdx.x == 0 && mean)
        *mean = (float)(sum / count);
}

void cuda_mse(cudaStream_t s, int64_t n, float *y, struct cuda_numbers a, struct cuda_numbers b,
              double *partial)
{
    squares_kernel<<<CUDA_SUM_BLOCKS, BLOCK, 0, s>>>(n, a, b, partial);
    sum_doubles_kernel<<<1, BLOCK, 0, s>>>(CUDA_SUM_BLOCKS, partial, NULL, y, (double)n);
}

void cuda_squares(cudaStream_t s, int64_t n, const float *x, double *partial)
{
    struct cuda_numbers a = {(void *)x, CUDA_F32}, none = {NULL, CUDA_F32};
    squares_kernel<<<CUDA_SUM_BLOCKS, BLOCK, 0, s>>>(n, a, none, partial);
}

void cuda_sum_doubles(cudaStream_t s, int64_t n, const double *x, double *y)
{
    sum_doubles_kernel<<<1, 1024, 0, s>>>(n, x, y, NULL, 1.0);
}
