/* What the convolution files share. Three ops serve both directions, with x [N,C,H,W], weights
 * w [O,C/groups,kh,kw] and y [N,O,Ho,Wo]:
 *   conv2d     y  = x * w
 *   conv2d_dx  x  = its adjoint in x applied to y: the gradient, and the transposed convolution
 *   conv2d_dw  w  = its adjoint in w applied to x and y: the gradient of the weights
 * Each is the gradient of the others, to any order. */
#ifndef ML_TENSOR_OP_CONV_H
#define ML_TENSOR_OP_CONV_H

#include "tensor/op.h"

struct ml_conv_attr {
    int stride[2], padding[2], dilation[2], groups; /* {height, width} */
    int64_t size[2]; /* conv2d_dx: of the result; conv2d_dw: of the kernel */
};

struct ml_conv_sizes {
    int64_t n, c, o, groups;
    int64_t cg, og;                   /* channels of one group: c / groups, o / groups */
    int64_t in[2], out[2], kernel[2]; /* of x, y, w */
};

void ml_conv_sizes(struct ml_conv_sizes *z, const struct ml_tensor *t);

/* Many groups of one input channel each: handled by row kernels, not by products. */
static inline bool ml_conv_is_depthwise(const struct ml_conv_sizes *z)
{
    return z->cg == 1 && z->groups > 1;
}

/* One spatial axis seen from the side that is computed: place t of a grid takes, for each tap j,
 * the source's place t * stride + offset + j * step (nothing where that is outside [0, source)),
 * times the weight at tap + j * tap_step.
 *
 * Forward: the grid is y, the source is x, stride is the convolution's.
 * Backward: x's places fall into `stride` phases; place t * stride + phase of x gathers only the
 * taps that reach it, with a stride of 1 in y. Nothing is multiplied by inserted zeros. */
struct ml_conv_axis {
    int64_t taps, tap, tap_step;
    int64_t offset, step, stride;
    int64_t source, grid;
};

struct ml_conv_axis ml_conv_axis_forward(const struct ml_conv_attr *a,
                                         const struct ml_conv_sizes *z, int d);
struct ml_conv_axis ml_conv_axis_backward(const struct ml_conv_attr *a,
                                          const struct ml_conv_sizes *z, int d, int64_t phase);

/* conv2d and conv2d_dx (op_conv_pull.c), conv2d_dw (op_conv_dw.c): by the product's register
 * tiles. */
void ml_conv_pull_forward(struct ml_run *run, struct ml_tensor *t);
size_t ml_conv_pull_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads);
void ml_conv_dw_forward(struct ml_run *run, struct ml_tensor *t);
size_t ml_conv_dw_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads);

/* conv2d_dx with a large stride (op_conv_spread.c), where that gains. */
bool ml_conv_spread_gains(const struct ml_kernels *k, const struct ml_tensor *t);
void ml_conv_spread_forward(struct ml_run *run, struct ml_tensor *t);
size_t ml_conv_spread_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads);

/* Depthwise (op_conv_depth.c). */
void ml_conv_depth_pull(struct ml_run *run, struct ml_tensor *t);
size_t ml_conv_depth_pull_scratch(const struct ml_kernels *k, const struct ml_tensor *t,
                                  int threads);
void ml_conv_depth_dw(struct ml_run *run, struct ml_tensor *t);
size_t ml_conv_depth_dw_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads);

static inline int64_t ml_conv_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t ml_conv_at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t ml_conv_at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Numbers from one channel to the next: with many powers of two in it, the same place of all
 * channels would meet in few sets of the cache. */
static inline bool ml_conv_meets(int64_t apart, size_t element)
{
    return apart * (int64_t)element % 512 == 0;
}

static inline size_t ml_conv_align(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

#endif
