/* The kernels' launchers: what the C side of the module calls. Everything is queued on a stream;
 * sizes are in elements, pointers are device memory. A `struct cuda_numbers` is an array with its
 * format. Each .cu file says how its kernels use the GPU. */
#ifndef ML_CUDA_LAUNCH_H
#define ML_CUDA_LAUNCH_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cuda_type { CUDA_F32, CUDA_BF16, CUDA_F16 }; /* as enum ml_dtype */

struct cuda_numbers {
    void *data;
    int type;
};

/* What ops tell the host, and what changes from run to run; in device memory. A report is
 * place << 32 | value of the first bad number; all ones: none. */
enum { CUDA_BAD_ID, CUDA_BAD_TARGET, CUDA_BAD_POSITION, CUDA_REPORTS };
struct cuda_shared {
    unsigned long long report[CUDA_REPORTS];
    unsigned long long seed;
};

/* ---- elementwise.cu ---- */
struct cuda_nest { /* both sides of a broadcast, outermost first; strides in elements */
    int ndim;
    int64_t dim[6], sa[6], sb[6];
};
void cuda_unary(cudaStream_t s, int kind, int64_t n, struct cuda_numbers y, struct cuda_numbers x);
void cuda_unary_grad(cudaStream_t s, int kind, int64_t n, struct cuda_numbers dx,
                     struct cuda_numbers dy, struct cuda_numbers x);
void cuda_binary(cudaStream_t s, int kind, int64_t n, struct cuda_numbers y, struct cuda_numbers a,
                 struct cuda_numbers b, const struct cuda_nest *nest);
void cuda_affine(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers x,
                 float scale, float shift); /* also: conversion of formats */
void cuda_swiglu(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers gate,
                 struct cuda_numbers up);
void cuda_swiglu_grad(cudaStream_t s, int64_t n, struct cuda_numbers both, struct cuda_numbers dy,
                      struct cuda_numbers gate, struct cuda_numbers up);
void cuda_dropout(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers x, float p,
                  uint32_t stream, const struct cuda_shared *shared);
void cuda_fill(cudaStream_t s, int64_t n, struct cuda_numbers y, float value);
void cuda_mse_grad(cudaStream_t s, int64_t n, struct cuda_numbers y, struct cuda_numbers a,
                   struct cuda_numbers b, const float *dt);
/* y[rows, width] = act(y + bias); unary is the activation's, below 0: none; bias NULL: none */
void cuda_bias_act(cudaStream_t s, int64_t rows, int64_t width, struct cuda_numbers y,
                   const float *bias, int unary);

/* ---- move.cu: elements of 2 or 4 bytes ---- */
struct cuda_walk {
    int ndim;
    int64_t dim[6], stride[6]; /* of the result; strides in the source */
};
void cuda_gather(cudaStream_t s, int64_t n, void *y, const void *x, size_t size,
                 const struct cuda_walk *walk);
/* rows of `width` elements between two pitches */
void cuda_copy_rows(cudaStream_t s, int64_t rows, int64_t width, void *y, int64_t y_pitch,
                    const void *x, int64_t x_pitch, size_t size);

/* ---- rows.cu: norms and softmax over the last dimension ---- */
void cuda_rmsnorm(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers y, float *inv,
                  struct cuda_numbers x, const float *w, float eps);
void cuda_layernorm(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers y, float *stats,
                    struct cuda_numbers x, const float *w, const float *b, float eps);
/* dx in f32, dw and db NULL where not wanted; partial: cuda_norm_partial floats for each of them.
 * mean: stats are {mean, inv} pairs (LayerNorm), else inv alone (RMSNorm). */
int64_t cuda_norm_partial(int64_t rows, int64_t d);
void cuda_norm_grad(cudaStream_t s, int64_t rows, int64_t d, float *dx, float *dw, float *db,
                    struct cuda_numbers dy, struct cuda_numbers x, const float *w,
                    const float *stats, bool mean, float *partial);
void cuda_softmax(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers y,
                  struct cuda_numbers x, float scale);
void cuda_softmax_grad(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers dx,
                       struct cuda_numbers y, struct cuda_numbers dy, float scale);

/* ---- reduce.cu ---- */
struct cuda_fold {
    struct cuda_walk kept, reduced; /* of x; the innermost of both walks last */
    int64_t results, count;         /* count: numbers folded into one result */
    bool inner_kept;
    int64_t parts; /* partial results, cuda_fold_parts */
};
int64_t cuda_fold_parts(const struct cuda_fold *f);
void cuda_reduce(cudaStream_t s, const struct cuda_fold *f, bool max, float scale,
                 struct cuda_numbers y, struct cuda_numbers x, float *partial);
void cuda_reduce_max_grad(cudaStream_t s, const struct cuda_fold *f, struct cuda_numbers dx,
                          struct cuda_numbers x, struct cuda_numbers y, struct cuda_numbers dy);
enum { CUDA_SUM_BLOCKS = 256 };
/* *y = mean of (a - b)^2; partial: CUDA_SUM_BLOCKS doubles */
void cuda_mse(cudaStream_t s, int64_t n, float *y, struct cuda_numbers a, struct cuda_numbers b,
              double *partial);
/* partial[CUDA_SUM_BLOCKS]: sums of squares of one array, to be added by cuda_sum_doubles */
void cuda_squares(cudaStream_t s, int64_t n, const float *x, double *partial);
void cuda_sum_doubles(cudaStream_t s, int64_t n, const double *x, double *y);

/* ---- token.cu ---- */
void cuda_embedding(cudaStream_t s, int64_t n, int64_t d, int64_t words, struct cuda_numbers y,
                    const int32_t *ids, struct cuda_numbers table, struct cuda_shared *shared);
size_t cuda_embedding_grad_scratch(int64_t n, int64_t words);
void cuda_embedding_grad(cudaStream_t s, int64_t n, int64_t d, int64_t words, float *y,
                         const int32_t *ids, struct cuda_numbers dt, void *scratch,
                         struct cuda_shared *shared);
struct cuda_rope {
    int64_t rows, heads, d, pairs;
    int axes;
    bool interleaved;
    float theta, sign;
};
void cuda_rope(cudaStream_t s, const struct cuda_rope *r, struct cuda_numbers y,
               struct cuda_numbers x, const int32_t *positions);
void cuda_cache_write(cudaStream_t s, int64_t batch, int64_t rows, int64_t room, int64_t width,
                      struct cuda_numbers cache, struct cuda_numbers x, const int32_t *positions,
                      struct cuda_shared *shared);

/* ---- attention.cu ---- */
struct cuda_attention {
    int64_t batch, queries, keys, q_heads, kv_heads, features;
    bool causal;
    float scale;
    const int32_t *segments, *length, *positions; /* or NULL */
    struct cuda_numbers q, k, v;
};
enum { CUDA_ATTENTION_FEATURES = 128 }; /* at most */
cudaError_t cuda_attention(cudaStream_t s, const struct cuda_attention *a, struct cuda_numbers y,
                           float *lse);
/* along: batch * q_heads * queries floats of scratch */
cudaError_t cuda_attention_grad(cudaStream_t s, const struct cuda_attention *a, float *dq,
                                float *dk, float *dv, struct cuda_numbers out, const float *lse,
                                struct cuda_numbers dt, float *along);

/* ---- loss.cu ---- */
/* valid[0] = how many targets are >= 0 */
void cuda_count_targets(cudaStream_t s, int64_t n, int64_t words, const int32_t *targets,
                        float *valid, struct cuda_shared *shared);
/* lse and loss of `rows` rows of logits */
void cuda_loss_rows(cudaStream_t s, int64_t rows, int64_t words, const float *logits,
                    const int32_t *targets, float smoothing, float *lse, float *loss);
void cuda_loss_mean(cudaStream_t s, int64_t n, const float *loss, const float *valid, float *y);
/* dlogits = (exp(logits - lse) - smoothing/V - (1-smoothing) onehot) * dt / valid, in the format of
 * y, which may be the logits themselves */
void cuda_loss_grad_rows(cudaStream_t s, int64_t rows, int64_t words, struct cuda_numbers y,
                         const float *logits, const int32_t *targets, float smoothing,
                         const float *lse, const float *dt, const float *valid);

/* ---- optim.cu ---- */
struct cuda_adamw {
    float lr, beta1, beta2, eps, weight_decay, grad_scale, correction1, correction2;
};
void cuda_adamw(cudaStream_t s, int64_t n, float *w, float *m, float *v, const float *g,
                const struct cuda_adamw *step);
void cuda_mix(cudaStream_t s, int64_t n, float *y, float a, const float *x, float b);
void cuda_muon_momentum(cudaStream_t s, int64_t rows, int64_t cols, bool tall, float *x,
                        float *momentum, const float *grad, float mu, float grad_scale);
/* x *= 1 / (sqrt(*square) + 1e-7) */
void cuda_muon_normalise(cudaStream_t s, int64_t n, float *x, const double *square);
void cuda_muon_apply(cudaStream_t s, int64_t rows, int64_t cols, bool tall, float *weight,
                     const float *y, float keep, float step);

#ifdef __cplusplus
}
#endif
#endif
