/* Matrix product of 8-bit integers: what a linear layer is when its weights are quantised once and
 * its activations in each call.
 *
 *   C[m,n] = act(scale_a[m] * scale_w[n] * sum_k (A[m,k] - zero[m]) W[n,k] + bias[n])
 *
 * A is u8 with a scale and a zero point for each row, W is s8 (all of -128 ... 127) with a scale
 * for each column of C. Sums are exact 32-bit integers on every processor, so that instruction sets
 * and threads change no bit of them; only the scaling at the end rounds. */
#ifndef ML_KERNEL_GEMM_I8_H
#define ML_KERNEL_GEMM_I8_H

#include "kernel/gemm.h"

/* The longest sum that 32 bits hold whatever the numbers are: 255 * 128 * 65536 < 2^31. */
#define ML_I8_MOST_K 65536

/* Weights in the layout that one kernel table reads: made once, kept while they stay. */
struct ml_i8_weights {
    int64_t n, k;
    const float *scale;   /* [n], padded with zeros to whole panels */
    const int32_t *sum;   /* sum of each column's weights, padded likewise */
    const int8_t *panels; /* panels of nr columns: [k / kr][nr][kr], zeros where n or k end */
};

/* Bytes of memory (64-byte aligned) that weights take; 0 where k is over ML_I8_MOST_K. */
size_t ml_i8_weights_size(const struct ml_kernels *k, int64_t n, int64_t depth);
/* Packs W [n, depth], rows `row` bytes apart, and copies scale [n]. `memory` is the caller's and
 * must outlive *out. */
void ml_i8_weights_pack(const struct ml_kernels *k, struct ml_i8_weights *out, void *memory,
                        int64_t n, int64_t depth, const int8_t *w, int64_t row, const float *scale);
/* The same from real numbers, element (j, p) at w->row * j + w->col * p: scale = largest size of
 * the row / 127, numbers rounded to the nearest. A row with a NaN or infinity gets a scale of NaN.
 */
void ml_i8_weights_quantize(const struct ml_kernels *k, struct ml_i8_weights *out, void *memory,
                            int64_t n, int64_t depth, const struct ml_matrix *w);

/* Quantised activations. */
struct ml_i8_rows {
    const uint8_t *data; /* [m,k] */
    int64_t row;         /* bytes from row to row */
    const float *scale;  /* [m] */
    const int32_t *zero; /* [m], 0 ... 255 */
};

/* Quantises x [m, depth] (F32; rows x_row apart) into to->data and its scales, which are the
 * caller's memory. A row with a NaN or infinity gets a scale of NaN. */
void ml_i8_quantize_rows(const struct ml_kernels *k, struct ml_pool *pool, int64_t m, int64_t depth,
                         const float *x, int64_t x_row, const struct ml_i8_rows *to);

struct ml_gemm_i8 {
    int64_t m;
    struct ml_i8_rows a;
    const struct ml_i8_weights *w;
    void *c;               /* [m,n] */
    enum ml_dtype c_dtype; /* F32, BF16; I32: the sums themselves, nothing scaled or added */
    int64_t c_row;         /* in elements */
    const float *bias;     /* [n] or NULL */
    enum ml_act act;
};

/* Bytes of scratch (64-byte aligned) for this shape with this many threads. */
size_t ml_gemm_i8_scratch(const struct ml_kernels *k, const struct ml_gemm_i8 *g, int threads);
/* Runs on the pool (NULL: on the calling thread). The table must be the one that packed W. */
void ml_gemm_i8_run(const struct ml_kernels *k, const struct ml_gemm_i8 *g, struct ml_pool *pool,
                    void *scratch);

#endif
