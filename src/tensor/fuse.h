/* Fusion: which nodes of a plan are computed together. All rules stand in fuse.c; the ops only obey
 * the marks, so that a graph means the same with and without them (but for rounding between two
 * bf16 ops that are one).
 *
 * - loss and its gradient: the logits are made once.
 * - h + linear(x): the product adds to h as it is finished.
 * - rope(rmsnorm(x)): one pass over the rows; statistics are kept for the gradient.
 * - linear(x), linear(x), ... with packed weights: one loop over all panels. A norm that only they
 *   read goes before it.
 * - swiglu(linear(x), linear(x)) likewise: gate and up of the same columns in one task.
 */
#ifndef ML_TENSOR_FUSE_H
#define ML_TENSOR_FUSE_H

#include "tensor/op.h"

/* Marks `steps`, which are what a plan runs, in order. readers: by node id, how many steps (and
 * owners of the plan) read its numbers. An accelerator has its own forms of the ops and knows no
 * marks: only where everything runs on the processor (`here`) are there any. */
void ml_fuse(struct ml_tensor *const *steps, int count, const int *readers, bool here);

/* Whether step `t` reads the numbers of its source s, not its statistics alone. */
bool ml_reads_numbers(const struct ml_tensor *t, int s);
/* The op that most of t's time goes to. */
int ml_fused_op(const struct ml_tensor *t);

/* op_loss.c: rows of all words' logits have room for good products. */
bool ml_loss_fits_whole(const struct ml_tensor *cross_entropy);

/* op_norm.c: row `row` of a norm that is inside another step. */
void ml_rmsnorm_row(const struct ml_kernels *k, struct ml_tensor *norm, int64_t row, float *y,
                    const float *x);

/* op_matmul.c: out = base + linear. */
size_t ml_linear_onto_scratch(const struct ml_kernels *k, const struct ml_tensor *linear,
                              int threads);
void ml_linear_onto(struct ml_run *run, const struct ml_tensor *linear,
                    const struct ml_tensor *base, struct ml_tensor *out);

/* op_together.c: linear ops that read the same numbers, `members` in any order; gated: members are
 * {gate, up}, out = silu(gate) * up. Else each has its result in its own tensor. */
size_t ml_linears_scratch(const struct ml_kernels *k, struct ml_tensor *const *members, int count,
                          bool gated, int threads);
void ml_linears_run(struct ml_run *run, struct ml_tensor *const *members, int count,
                    struct ml_tensor *gated_out);
/* op_matmul.c */
struct ml_gemm ml_linear_gemm(const struct ml_tensor *linear);

#endif
