/* Ops that move numbers: one thread an element, results written in order, so that writes are
 * adjacent; reads are where the source's inner stride is 1. */
#include "cuda/device.cuh"

template <class T>
static __global__ void gather_kernel(int64_t n, T *y, const T *x, struct cuda_walk walk)
{
    EACH(i, n) {
        int64_t rest = i, from = 0;
        for (int k = walk.ndim - 1; k >= 0; k--) {
            from += rest % walk.dim[k] * walk.stride[k];
            rest /= walk.dim[k];
        }
        y[i] = x[from];
    }
}

void cuda_gather(cudaStream_t s, int64_t n, void *y, const void *x, size_t size,
                 const struct cuda_walk *walk)
{
    if (size == 4)
        gather_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, (uint32_t *)y, (const uint32_t *)x, *walk);
    else
        gather_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, (uint16_t *)y, (const uint16_t *)x, *walk);
}

template <class T>
static __global__ void copy_rows_kernel(int64_t n, int64_t width, T *y, int64_t y_pitch, const T *x,
                                        int64_t x_pitch)
{
    EACH(i, n) {
        int64_t row = i / width, column = i - row * width;
        y[row * y_pitch + column] = x[row * x_pitch + column];
    }
}

void cuda_copy_rows(cudaStream_t s, int64_t rows, int64_t width, void *y, int64_t y_pitch,
                    const void *x, int64_t x_pitch, size_t size)
{
    int64_t n = rows * width;
    if (size == 4)
        copy_rows_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, width, (uint32_t *)y, y_pitch,
                                                         (const uint32_t *)x, x_pitch);
    else
        copy_rows_kernel<<<blocks_for(n), BLOCK, 0, s>>>(n, width, (uint16_t *)y, y_pitch,
                                                         (const uint16_t *)x, x_pitch);
}
