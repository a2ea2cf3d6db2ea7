/* Inside the module's C files only. */
#ifndef ML_CUDA_MODULE_H
#define ML_CUDA_MODULE_H

#include <cublasLt.h>

#include "base/fail.h"
#include "cuda/launch.h"
#include "tensor/device.h"
#include "tensor/op_rows.h"
#include "tensor/tensor.h"

#define CUDA_WORKSPACE  ((size_t)32 << 20) /* for cuBLASLt */
#define CUDA_ALGORITHMS 1024               /* products whose algorithm is remembered */

struct cuda_algorithm;

struct cuda_state {
    cudaStream_t stream;
    cublasLtHandle_t lt;
    void *workspace;
    struct cuda_shared *shared; /* device memory */
    double *sums;               /* device memory for sums of squares: [square_arrays + 1][blocks] */
    int sums_arrays;
    struct cuda_algorithm *algorithms;
};

/* One op of the table. */
struct cuda_op {
    bool (*supports)(const struct cuda_state *c, const struct ml_tensor *t);
    size_t (*scratch)(const struct ml_tensor *t); /* NULL: 0 */
    int (*run)(struct cuda_state *c, struct ml_tensor *t, char *scratch, struct ml_error *err);
};
/* NULL where there is none (ops.c). */
const struct cuda_op *cuda_op_get(int op);

/* ops_token.c */
extern const struct cuda_op cuda_op_attention, cuda_op_attention_grad, cuda_op_cache_write,
    cuda_op_embedding, cuda_op_embedding_grad, cuda_op_rope;
/* ops_product.c */
extern const struct cuda_op cuda_op_matmul, cuda_op_linear, cuda_op_cross_entropy,
    cuda_op_cross_entropy_grad;

/* 0, or a message with what CUDA says. */
int cuda_check(cudaError_t status, const char *what, struct ml_error *err);

static inline struct cuda_numbers cuda_numbers(const struct ml_tensor *t)
{
    return (struct cuda_numbers){t->remote, (int)t->dtype};
}
static inline bool cuda_is_number(const struct ml_tensor *t)
{
    return t->dtype == ML_F32 || t->dtype == ML_BF16 || t->dtype == ML_F16;
}
static inline size_t cuda_align(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}
/* The next `bytes` of a piece of scratch. */
static inline void *cuda_take(char **scratch, size_t bytes)
{
    void *at = *scratch;
    *scratch += cuda_align(bytes);
    return at;
}

/* C[m,n] = alpha op(A) op(B) + beta C, row-major and dense; a is [m,k], or [k,m] with ta. A and B
 * have one format, f32 or bf16; C is f32, or bf16 where they are. */
struct cuda_product {
    int64_t m, n, k, batches;
    const void *a, *b;
    void *c;
    int type, c_type; /* enum cuda_type */
    bool ta, tb;
    float alpha, beta;
};
int cuda_product_run(struct cuda_state *c, const struct cuda_product *p, struct ml_error *err);
int cuda_product_open(struct cuda_state *c, struct ml_error *err);
void cuda_product_close(struct cuda_state *c);

#endif
