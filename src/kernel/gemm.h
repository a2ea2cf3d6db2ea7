/* Matrix product on raw pointers, any strides, f32 or bf16 arithmetic, f32 accumulation.
 *
 *   C[m,n] = act(alpha * A[m,k] B[k,n] + bias[n])
 *   C[m,n] = act(base[m,n] + alpha * A[m,k] B[k,n] + bias[n])   with a base
 *   C[m,n] = act(C + alpha * A[m,k] B[k,n] + bias[n])           with accumulate
 *
 * Blocking, packing and threads are here; the register tile comes from the kernel table. The order
 * of additions depends on the shape alone, so results are equal for any number of threads. */
#ifndef ML_KERNEL_GEMM_H
#define ML_KERNEL_GEMM_H

#include "kernel/table.h"

enum ml_act {
    ML_ACT_NONE,
    ML_ACT_RELU,
    ML_ACT_RELU2,
    ML_ACT_GELU,
    ML_ACT_GELU_ERF,
    ML_ACT_SILU,
    ML_ACT_TANH,
    ML_ACT_SIGMOID,
    ML_ACT_COUNT
};

/* The unary kernel of an activation; ML_UNARY_COUNT for ML_ACT_NONE. */
enum ml_unary ml_act_unary(enum ml_act act);

struct ml_matrix {
    const void *data;
    enum ml_dtype dtype; /* F32, BF16 or F16 */
    int64_t row, col;    /* strides in elements */
};

struct ml_gemm {
    int64_t m, n, k;       /* k = 0 gives zeros (plus bias) */
    struct ml_matrix a, b; /* a is [m,k], b is [k,n] */
    void *c;
    enum ml_dtype c_dtype; /* F32 or BF16 */
    int64_t c_row;         /* row stride in elements; columns are adjacent */
    float alpha;           /* 0 is taken as 1 */
    bool accumulate;       /* f32 C only */
    /* F32 or BF16, columns adjacent; no data: none. C itself only in BF16. */
    struct ml_matrix base;
    bool bf16;         /* arithmetic: round inputs to bf16 where the processor is faster so */
    bool panels;       /* B is packed by ml_gemm_panels_pack: its strides do not count */
    const float *bias; /* [n] or NULL */
    enum ml_act act;
};

/* Bytes of scratch that ml_gemm_run wants for this shape with this many threads (64-byte aligned).
 */
size_t ml_gemm_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int threads);

/* Runs on the pool (NULL: on the calling thread alone, so it may be called inside a task, with
 * scratch for one thread). */
void ml_gemm_run(const struct ml_kernels *k, const struct ml_gemm *g, struct ml_pool *pool,
                 void *scratch);

/* Products of the same A (first) with packed weights (`panels`) as one: threads meet once. gated:
 * there are two, and the first C becomes silu(first) * second; the second has none. Scratch as
 * above. */
size_t ml_gemm_together_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int count,
                                bool gated, int threads);
void ml_gemm_together(const struct ml_kernels *k, const struct ml_gemm *g, int count, bool gated,
                      struct ml_pool *pool, void *scratch);
#define ML_GEMM_TOGETHER 4 /* at most */

/* Weights that stay: n rows of `depth` numbers (B = w', so n columns) become panels of gemm_f32.nr
 * columns, [depth][nr] one after the other, in the memory they have; rows behind the last full
 * panel stay. They then fit this kernel table (and all of the same processor and limit) alone.
 * scratch: that many bytes. */
size_t ml_gemm_panels_pack_scratch(const struct ml_kernels *k, int64_t depth);
void ml_gemm_panels_pack(const struct ml_kernels *k, void *w, enum ml_dtype type, int64_t n,
                         int64_t depth, void *scratch);
/* Numbers [first, first + count) of row `row`, out of packed weights: adjacent, of the same type.
 */
void ml_gemm_panels_part(const struct ml_kernels *k, void *to, const void *w, enum ml_dtype type,
                         int64_t n, int64_t depth, int64_t row, int64_t first, int64_t count);

#endif
