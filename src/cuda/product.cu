/* A product for the few shapes that cuBLASLt refuses (odd sizes in bf16): tiles of 16 x 16 in
 * shared memory, one result a thread. Correct first; nothing that matters for speed comes here. */
#include "cuda/device.cuh"

#define TILE 16

static __global__ void product_kernel(int64_t m, int64_t n, int64_t k, struct cuda_numbers a,
                                      struct cuda_numbers b, struct cuda_numbers c, bool ta,
                                      bool tb, float alpha, float beta)
{
    __shared__ float left[TILE][TILE + 1], right[TILE][TILE + 1];
    int64_t batch = blockIdx.z, row = (int64_t)blockIdx.y * TILE + threadIdx.y;
    int64_t column = (int64_t)blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;
    for (int64_t p = 0; p < k; p += TILE) {
        int64_t ka = p + threadIdx.x, kb = p + threadIdx.y;
        left[threadIdx.y][threadIdx.x] =
            row < m && ka < k ? get(a, batch * m * k + (ta ? ka * m + row : row * k + ka)) : 0.0f;
        right[threadIdx.y][threadIdx.x] =
            column < n && kb < k ? get(b, batch * k * n + (tb ? column * k + kb : kb * n + column))
                                 : 0.0f;
        __syncthreads();
        for (int i = 0; i < TILE; i++)
            sum = fmaf(left[threadIdx.y][i], right[i][threadIdx.x], sum);
        __syncthreads();
    }
    if (row >= m || column >= n)
        return;
    int64_t at = (batch * m + row) * n + column;
    put(c, at, alpha * sum + (beta != 0.0f ? beta * get(c, at) : 0.0f));
}

extern "C" void cuda_plain_product(cudaStream_t s, int64_t m, int64_t n, int64_t k, int64_t batches,
                                   struct cuda_numbers a, struct cuda_numbers b,
                                   struct cuda_numbers c, bool ta, bool tb, float alpha, float beta)
{
    dim3 grid((unsigned)((n + TILE - 1) / TILE), (unsigned)((m + TILE - 1) / TILE),
              (unsigned)batches);
    product_kernel<<<grid, dim3(TILE, TILE), 0, s>>>(m, n, k, a, b, c, ta, tb, alpha, beta);
}
