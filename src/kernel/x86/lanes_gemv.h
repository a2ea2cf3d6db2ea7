/* The matrix-vector product over lanes: four rows of W at a time with two registers of sums each
 * (8 independent chains hide the latency of a multiply-add), so x is loaded once for four rows.
 * Floor: reading W. A row's sums are formed alike whether it comes in a four or alone. */
#ifndef ML_KERNEL_LANES_GEMV_H
#define ML_KERNEL_LANES_GEMV_H

#include "kernel/table.h"
#include "kernel/x86/lanes_math.h"

static inline __attribute__((always_inline)) vf weight(const void *w, enum ml_dtype type, int64_t i)
{
    return type == ML_F32    ? v_load((const float *)w + i)
           : type == ML_BF16 ? v_load_bf16((const ml_bf16 *)w + i)
                             : v_load_f16((const uint16_t *)w + i);
}

static inline __attribute__((always_inline)) vf weight_n(const void *w, enum ml_dtype type,
                                                         int64_t i, int64_t n)
{
    return type == ML_F32    ? v_load_n((const float *)w + i, n)
           : type == ML_BF16 ? v_load_bf16_n((const ml_bf16 *)w + i, n)
                             : v_load_f16_n((const uint16_t *)w + i, n);
}

static inline __attribute__((always_inline)) void gemv_rows(int rows, int64_t k, float *y,
                                                            const void *w, enum ml_dtype type,
                                                            int64_t start, int64_t ldw,
                                                            const float *x)
{
    vf even[4], odd[4];
    for (int j = 0; j < rows; j++)
        even[j] = odd[j] = v_zero();
    int64_t p = 0;
    for (; p + 2 * LANES <= k; p += 2 * LANES) {
        vf a = v_load(x + p), b = v_load(x + p + LANES);
        for (int j = 0; j < rows; j++) {
            even[j] = v_fma(weight(w, type, start + j * ldw + p), a, even[j]);
            odd[j] = v_fma(weight(w, type, start + j * ldw + p + LANES), b, odd[j]);
        }
    }
    for (; p < k; p += LANES) {
        int64_t r = k - p;
        for (int j = 0; j < rows; j++)
            even[j] =
                r >= LANES
                    ? v_fma(weight(w, type, start + j * ldw + p), v_load(x + p), even[j])
                    : v_fma(weight_n(w, type, start + j * ldw + p, r), v_load_n(x + p, r), even[j]);
    }
    for (int j = 0; j < rows; j++)
        y[j] = v_sum(v_add(even[j], odd[j]));
}

static inline __attribute__((always_inline)) void gemv_type(int64_t n, int64_t k, float *y,
                                                            const void *w, enum ml_dtype type,
                                                            int64_t ldw, const float *x)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        gemv_rows(4, k, y + i, w, type, i * ldw, ldw, x);
    for (; i < n; i++)
        gemv_rows(1, k, y + i, w, type, i * ldw, ldw, x);
}

static void gemv(int64_t n, int64_t k, float *y, const void *w, enum ml_dtype w_type, int64_t ldw,
                 const float *x)
{
    if (w_type == ML_F32)
        gemv_type(n, k, y, w, ML_F32, ldw, x);
    else if (w_type == ML_BF16)
        gemv_type(n, k, y, w, ML_BF16, ldw, x);
    else
        gemv_type(n, k, y, w, ML_F16, ldw, x);
}

#endif
