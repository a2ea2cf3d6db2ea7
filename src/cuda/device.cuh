/* What all kernels share: numbers of any format as f32, sums over a warp or a block. */
#ifndef ML_CUDA_DEVICE_CUH
#define ML_CUDA_DEVICE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/launch.h"

#define NEGATIVE_INFINITY __int_as_float(0xff800000)

/* The format is the same for all threads, so this branch costs little beside the access. */
static __device__ __forceinline__ float get(struct cuda_numbers x, int64_t i)
{
    if (x.type == CUDA_F32)
        return ((const float *)x.data)[i];
    if (x.type == CUDA_BF16)
        return __bfloat162float(((const __nv_bfloat16 *)x.data)[i]);
    return __half2float(((const __half *)x.data)[i]);
}

static __device__ __forceinline__ void put(struct cuda_numbers y, int64_t i, float value)
{
    if (y.type == CUDA_F32)
        ((float *)y.data)[i] = value;
    else if (y.type == CUDA_BF16)
        ((__nv_bfloat16 *)y.data)[i] = __float2bfloat16_rn(value);
    else
        ((__half *)y.data)[i] = __float2half_rn(value);
}

static __device__ __forceinline__ float max_nan(float a, float b)
{
    return a > b || isnan(a) ? a : b;
}

/* Sums in a fixed order: by halves over the lanes. All lanes get the result. */
template <class T> static __device__ __forceinline__ T warp_sum(T x)
{
    for (int lane = 16; lane > 0; lane /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, lane);
    return x;
}

static __device__ __forceinline__ float warp_max(float x)
{
    for (int lane = 16; lane > 0; lane /= 2)
        x = max_nan(x, __shfl_xor_sync(0xffffffffu, x, lane));
    return x;
}

/* Over a block of whole warps, at most 32 of them; `shared` holds 32. */
template <class T> static __device__ __forceinline__ T block_sum(T x, T *shared)
{
    int warps = (int)blockDim.x / 32;
    x = warp_sum(x);
    if (warps == 1)
        return x;
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = x;
    __syncthreads();
    T total = 0;
    for (int i = 0; i < warps; i++)
        total += shared[i];
    return total;
}

static __device__ __forceinline__ float block_max(float x, float *shared)
{
    int warps = (int)blockDim.x / 32;
    x = warp_max(x);
    if (warps == 1)
        return x;
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = x;
    __syncthreads();
    float best = shared[0];
    for (int i = 1; i < warps; i++)
        best = max_nan(best, shared[i]);
    return best;
}

/* A loop over n elements by the whole grid. */
#define EACH(i, n)                                                                                 \
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x,                               \
                 step_ = (int64_t)gridDim.x * blockDim.x;                                          \
         i < (n); i += step_)

#define BLOCK 256

static inline unsigned blocks_for(int64_t n)
{
    int64_t blocks = (n + BLOCK - 1) / BLOCK;
    return (unsigned)(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks);
}

#endif
