/* Everything a model can say. Shapes are written [slow,...,fast]. Results have the dtype of their
 * first source unless said otherwise; arithmetic inside an op is f32. Binary ops broadcast as NumPy
 * does. Mistakes stick to the graph (graph.h). */
#ifndef ML_TENSOR_OPS_H
#define ML_TENSOR_OPS_H

#include "kernel/gemm.h"
#include "tensor/graph.h"

/* ---- shape (op_shape.c). reshape and view share memory; the others copy. ---- */
struct ml_tensor *ml_reshape(struct ml_graph *g, struct ml_tensor *x, int ndim,
                             const int64_t *dims); /* one dim may be -1 */
/* Part of x's memory as a tensor of its own: `offset` elements in. */
struct ml_tensor *ml_view(struct ml_graph *g, struct ml_tensor *x, int64_t offset, int ndim,
                          const int64_t *dims);
struct ml_tensor *ml_cast(struct ml_graph *g, struct ml_tensor *x,
                          enum ml_dtype dtype); /* x itself if it has it */
struct ml_tensor *ml_permute(struct ml_graph *g, struct ml_tensor *x,
                             const int *order); /* out.dim[i] = x.dim[order[i]] */
struct ml_tensor *ml_transpose(struct ml_graph *g, struct ml_tensor *x, int a, int b);
struct ml_tensor *ml_concat(struct ml_graph *g, struct ml_tensor *const *parts, int n,
                            int axis); /* n <= ML_MAX_SRC */
struct ml_tensor *ml_slice(struct ml_graph *g, struct ml_tensor *x, int axis, int64_t start,
                           int64_t length);
enum ml_pad_mode { ML_PAD_ZERO, ML_PAD_REFLECT, ML_PAD_REPLICATE };
struct ml_tensor *ml_pad(struct ml_graph *g, struct ml_tensor *x, int axis, int64_t before,
                         int64_t after, enum ml_pad_mode mode);
struct ml_tensor *ml_broadcast(struct ml_graph *g, struct ml_tensor *x, int ndim,
                               const int64_t *dims);

/* ---- elementwise (op_elementwise.c) ---- */
struct ml_tensor *ml_unary(struct ml_graph *g, enum ml_unary kind, struct ml_tensor *x);
struct ml_tensor *ml_add(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b);
struct ml_tensor *ml_sub(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b);
struct ml_tensor *ml_mul(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b);
struct ml_tensor *ml_div(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b);
struct ml_tensor *ml_max2(struct ml_graph *g, struct ml_tensor *a,
                          struct ml_tensor *b); /* no gradient */
struct ml_tensor *ml_min2(struct ml_graph *g, struct ml_tensor *a,
                          struct ml_tensor *b); /* no gradient */
struct ml_tensor *ml_affine(struct ml_graph *g, struct ml_tensor *x, float scale,
                            float shift); /* x*scale + shift */
struct ml_tensor *ml_swiglu(struct ml_graph *g, struct ml_tensor *gate,
                            struct ml_tensor *up); /* silu(gate)*up */
struct ml_tensor *ml_dropout(struct ml_graph *g, struct ml_tensor *x,
                             float p); /* x itself unless training and p > 0 */
struct ml_tensor *ml_fill(struct ml_graph *g, enum ml_dtype dtype, int ndim, const int64_t *dims,
                          float value);

/* ---- reductions (op_reduce.c). A reduced axis stays with length 1. ---- */
enum ml_reduce { ML_REDUCE_SUM, ML_REDUCE_MEAN, ML_REDUCE_MAX };
struct ml_tensor *ml_reduce(struct ml_graph *g, enum ml_reduce kind, struct ml_tensor *x,
                            unsigned axes);                             /* bit i: axis i */
struct ml_tensor *ml_sum_all(struct ml_graph *g, struct ml_tensor *x);  /* scalar [1], f32 */
struct ml_tensor *ml_mean_all(struct ml_graph *g, struct ml_tensor *x); /* scalar [1], f32 */
/* Sums over the axes along which `like`'s shape was broadcast to x: the gradient of a broadcast.
 * Result has like's shape and dtype. */
struct ml_tensor *ml_sum_to(struct ml_graph *g, struct ml_tensor *x, const struct ml_tensor *like);

/* ---- products (op_matmul.c) ---- */
struct ml_matmul_attr {
    bool ta, tb;       /* use the transpose of a's / b's last two dimensions */
    float alpha;       /* 0 is taken as 1 */
    enum ml_dtype out; /* set by ml_matmul: dtype of the result */
    bool bf16;         /* set by ml_matmul: arithmetic */
};
/* a [...,m,k] x b [...,k,n] -> [...,m,n]; batch dimensions equal or absent in b. Arithmetic is bf16
 * when a or b is bf16. */
struct ml_tensor *ml_matmul(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b, bool ta,
                            bool tb);
struct ml_tensor *ml_matmul_to(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b,
                               struct ml_matmul_attr attr);
/* x [...,k], w [n,k] (as PyTorch stores it; f32 or bf16), bias [n] f32 or NULL -> act(x w' + bias)
 * [...,n]. Arithmetic is bf16 when x is bf16. */
struct ml_tensor *ml_linear(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                            struct ml_tensor *bias, enum ml_act act);

/* ---- norms (op_norm.c): over the last dimension; weights [d] f32, may be NULL ---- */
struct ml_tensor *ml_rmsnorm(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                             float eps);
struct ml_tensor *ml_layernorm(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                               struct ml_tensor *b, float eps);
/* x [N,C,...]: over groups of channels and all that follows (Wu & He, arXiv:1803.08494); w, b [C].
 */
struct ml_tensor *ml_groupnorm(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                               struct ml_tensor *b, int groups, float eps);
/* silu(groupnorm(...)) in one pass; the gradient makes the norm anew, so only x is kept. */
struct ml_tensor *ml_groupnorm_silu(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                                    struct ml_tensor *b, int groups, float eps);
struct ml_tensor *ml_softmax(struct ml_graph *g, struct ml_tensor *x,
                             float scale); /* over the last dimension */

/* ---- attention (op_attention.c) ---- */
struct ml_attention {
    bool causal; /* key position <= query position */
    float scale; /* 0 is taken as 1/sqrt(D) */
    struct ml_tensor
        *segments; /* i32 [B,T]: attend only within equal ids (packed documents); self-attention */
    struct ml_tensor *kv_length; /* i32 [B]: keys at or after it are padding */
    struct ml_tensor *positions; /* i32 [B,T]: position of each query among the keys; without it
                                    query i stands at i + (S - T) */
};
/* q [B,T,Hq,D], k and v [B,S,Hkv,D], Hq a multiple of Hkv (GQA, arXiv:2305.13245) -> [B,T,Hq,D].
 * By tiles with an online softmax (FlashAttention-2, arXiv:2307.08691): never a T x S matrix. A
 * query with no key to attend to gives zeros. */
struct ml_tensor *ml_attention(struct ml_graph *g, struct ml_tensor *q, struct ml_tensor *k,
                               struct ml_tensor *v, const struct ml_attention *options);
/* Writes x [B,T,H,D] into cache [B,S,H,D] (a leaf, dtype of its own) at rows positions[b,t] (i32
 * [B,T]); the result is the cache after the write. No gradient. */
struct ml_tensor *ml_cache_write(struct ml_graph *g, struct ml_tensor *cache, struct ml_tensor *x,
                                 struct ml_tensor *positions);

/* ---- tokens (op_token.c) ---- */
/* ids i32 [...], table [V,D] -> [...,D] in g->compute. An id outside [0,V) is an error of the run.
 */
struct ml_tensor *ml_embedding(struct ml_graph *g, struct ml_tensor *ids, struct ml_tensor *table);
struct ml_rope {
    float theta;      /* base, 0 is taken as 10000 */
    int rotary;       /* leading features of D that turn, 0: all; even */
    bool interleaved; /* pairs (2i, 2i+1) as in the RoFormer paper; else NEOX halves (i, i +
                         rotary/2) */
    int axes; /* 1 (0 is taken as 1): positions [B,T]; 2: positions [B,T,2] = (row, column), the
                 first half of the pairs turns by the row, the second by the column */
};
/* x [B,T,H,D], positions i32. RoFormer, arXiv:2104.09864. */
struct ml_tensor *ml_rope_apply(struct ml_graph *g, struct ml_tensor *x,
                                struct ml_tensor *positions, const struct ml_rope *options);

/* ---- losses (op_loss.c): scalars [1] f32 ---- */
/* Mean cross-entropy (nats) of softmax(h w') against targets, over the targets that are >= 0 (a
 * negative target is left out); h [...,D], w [V,D] f32, targets i32 [...]. Logits exist one tile of
 * rows at a time. smoothing: label smoothing in [0,1). */
struct ml_tensor *ml_cross_entropy(struct ml_graph *g, struct ml_tensor *h, struct ml_tensor *w,
                                   struct ml_tensor *targets, float smoothing);
struct ml_tensor *ml_mse(struct ml_graph *g, struct ml_tensor *a,
                         struct ml_tensor *b); /* mean of squares */

/* ---- convolution (op_conv.c), channels first; weights and bias f32, bias may be NULL ---- */
struct ml_conv {
    int stride[2], padding[2], dilation[2], groups, output_padding[2];
}; /* {height, width}; 0 is taken as 1 for stride, dilation, groups */
/* x [N,C,H,W], w [O,C/groups,kh,kw], b [O] -> [N,O,Ho,Wo] (cross-correlation, as everywhere) */
struct ml_tensor *ml_conv2d(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                            struct ml_tensor *b, const struct ml_conv *options);
/* x [N,C,H,W], w [C,O/groups,kh,kw] -> [N,O,(H-1)*stride - 2*padding + dilation*(kh-1) +
 * output_padding + 1, ...] */
struct ml_tensor *ml_conv2d_transpose(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                                      struct ml_tensor *b, const struct ml_conv *options);
/* 1D: x [N,C,L], w [O,C/groups,k]; only index 1 (width) of the options is used. */
struct ml_tensor *ml_conv1d(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                            struct ml_tensor *b, const struct ml_conv *options);
struct ml_tensor *ml_conv1d_transpose(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                                      struct ml_tensor *b, const struct ml_conv *options);

/* ---- pictures (op_image.c) ---- */
enum ml_upsample {
    ML_UPSAMPLE_NEAREST,
    ML_UPSAMPLE_BILINEAR
}; /* bilinear: half-pixel centres (align_corners false) */
/* x [N,C,H,W] -> [N,C,H*scale_h,W*scale_w]; for 1D use [N,C,1,L]. */
struct ml_tensor *ml_upsample(struct ml_graph *g, struct ml_tensor *x, enum ml_upsample kind,
                              int scale_h, int scale_w);

#endif
