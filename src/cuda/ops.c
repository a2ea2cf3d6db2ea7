/* The table of ops that run on the GPU, and those that are one kernel each. What is not in the
 * table (convolutions, GroupNorm, enlarging, mirrored padding) runs on the processor. */
#include <string.h>

#include "cuda/module.h"
#include "tensor/op_attr.h"
#include "tensor/walk.h"

#define NUMBERS(t) cuda_numbers(t)

static bool all_numbers(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    for (int s = 0; s < t->nsrc; s++)
        if (t->src[s] && !cuda_is_number(t->src[s]))
            return false;
    return cuda_is_number(t);
}

static bool anything(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    (void)t;
    return true;
}

/* The head of every run function here. */
#define RUN(name)                                                                                  \
    static int name(struct cuda_state *c, struct ml_tensor *t, char *scratch, struct ml_error *err)
#define UNUSED ((void)scratch, (void)err)

/* ---- each number alone ---- */

RUN(unary_run)
{
    UNUSED;
    cuda_unary(c->stream, *ml_attr(t, int), ml_count(t), NUMBERS(t), NUMBERS(t->src[0]));
    return 0;
}

RUN(unary_grad_run)
{
    UNUSED;
    cuda_unary_grad(c->stream, *ml_attr(t, int), ml_count(t), NUMBERS(t), NUMBERS(t->src[0]),
                    NUMBERS(t->src[1]));
    return 0;
}

static void broadcast_strides(const struct ml_tensor *x, const struct ml_tensor *t, int64_t *stride)
{
    int64_t step = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        int ix = i - (t->ndim - x->ndim);
        int64_t d = ix < 0 ? 1 : x->dim[ix];
        stride[i] = d == 1 ? 0 : step;
        step *= d;
    }
}

/* Neighbouring dimensions that both sides walk alike are one. */
static struct cuda_nest nest_of(const struct ml_tensor *t)
{
    int64_t sa[ML_MAX_DIMS], sb[ML_MAX_DIMS];
    struct cuda_nest n = {.ndim = 1, .dim = {1}};
    broadcast_strides(t->src[0], t, sa);
    broadcast_strides(t->src[1], t, sb);
    for (int i = 0; i < t->ndim; i++) {
        int last = n.ndim - 1;
        if (t->dim[i] == 1)
            continue;
        if (n.dim[last] == 1 ||
            (n.sa[last] == sa[i] * t->dim[i] && n.sb[last] == sb[i] * t->dim[i])) {
            n.dim[last] *= t->dim[i];
        } else {
            n.dim[++last] = t->dim[i];
            n.ndim++;
        }
        n.sa[last] = sa[i];
        n.sb[last] = sb[i];
    }
    return n;
}

RUN(binary_run)
{
    UNUSED;
    struct cuda_nest nest = nest_of(t);
    cuda_binary(c->stream, *ml_attr(t, int), ml_count(t), NUMBERS(t), NUMBERS(t->src[0]),
                NUMBERS(t->src[1]), &nest);
    return 0;
}

RUN(affine_run)
{
    UNUSED;
    const struct affine_attr *a = ml_attr(t, struct affine_attr);
    cuda_affine(c->stream, ml_count(t), NUMBERS(t), NUMBERS(t->src[0]), a->scale, a->shift);
    return 0;
}

RUN(cast_run)
{
    UNUSED;
    cuda_affine(c->stream, ml_count(t), NUMBERS(t), NUMBERS(t->src[0]), 1.0f, 0.0f);
    return 0;
}

RUN(swiglu_run)
{
    UNUSED;
    cuda_swiglu(c->stream, ml_count(t), NUMBERS(t), NUMBERS(t->src[0]), NUMBERS(t->src[1]));
    return 0;
}

RUN(swiglu_grad_run)
{
    UNUSED;
    cuda_swiglu_grad(c->stream, ml_count(t) / 2, NUMBERS(t), NUMBERS(t->src[0]), NUMBERS(t->src[1]),
                     NUMBERS(t->src[2]));
    return 0;
}

RUN(dropout_run)
{
    UNUSED;
    const struct dropout_attr *a = ml_attr(t, struct dropout_attr);
    cuda_dropout(c->stream, ml_count(t), NUMBERS(t), NUMBERS(t->src[0]), a->p, a->stream,
                 c->shared);
    return 0;
}

RUN(fill_run)
{
    UNUSED;
    cuda_fill(c->stream, ml_count(t), NUMBERS(t), ml_attr(t, struct fill_attr)->value);
    return 0;
}

static const struct cuda_op unary = {all_numbers, NULL, unary_run};
static const struct cuda_op unary_grad = {all_numbers, NULL, unary_grad_run};
static const struct cuda_op binary = {all_numbers, NULL, binary_run};
static const struct cuda_op affine = {all_numbers, NULL, affine_run};
static const struct cuda_op cast = {all_numbers, NULL, cast_run};
static const struct cuda_op swiglu = {all_numbers, NULL, swiglu_run};
static const struct cuda_op swiglu_grad = {all_numbers, NULL, swiglu_grad_run};
static const struct cuda_op dropout = {all_numbers, NULL, dropout_run};
static const struct cuda_op fill = {all_numbers, NULL, fill_run};

/* ---- moves ---- */

static void gather(struct cuda_state *c, const struct ml_tensor *t, const struct ml_walk *w)
{
    struct cuda_walk walk = {.ndim = w->ndim};
    memcpy(walk.dim, w->dim, sizeof walk.dim);
    memcpy(walk.stride, w->stride, sizeof walk.stride);
    cuda_gather(c->stream, ml_count(t), t->remote, t->src[0]->remote, ml_dtype_size(t->dtype),
                &walk);
}

RUN(permute_run)
{
    UNUSED;
    const struct ml_tensor *x = t->src[0];
    const int *order = ml_attr(t, struct permute_attr)->order;
    int64_t stride[ML_MAX_DIMS], total = 1;
    struct ml_walk w = {0};
    for (int i = x->ndim - 1; i >= 0; i--) {
        stride[i] = total;
        total *= x->dim[i];
    }
    for (int i = 0; i < t->ndim; i++)
        ml_walk_push(&w, t->dim[i], stride[order[i]]);
    gather(c, t, &w);
    return 0;
}

RUN(broadcast_run)
{
    UNUSED;
    int64_t stride[ML_MAX_DIMS];
    struct ml_walk w = {0};
    broadcast_strides(t->src[0], t, stride);
    for (int i = 0; i < t->ndim; i++)
        ml_walk_push(&w, t->dim[i], stride[i]);
    gather(c, t, &w);
    return 0;
}

static int64_t product_of_dims(const struct ml_tensor *t, int begin, int end)
{
    int64_t count = 1;
    for (int i = begin; i < end; i++)
        count *= t->dim[i];
    return count;
}

/* Copies what lies along `axis` at place `to` of y and `from` of x. */
static void copy_along(struct cuda_state *c, const struct ml_tensor *y, int64_t to,
                       const struct ml_tensor *x, int64_t from, int64_t length, int axis)
{
    int64_t inner = product_of_dims(y, axis + 1, y->ndim);
    size_t size = ml_dtype_size(y->dtype);
    if (length > 0)
        cuda_copy_rows(c->stream, product_of_dims(y, 0, axis), length * inner,
                       (char *)y->remote + (size_t)(to * inner) * size, y->dim[axis] * inner,
                       (const char *)x->remote + (size_t)(from * inner) * size,
                       x->dim[axis] * inner, size);
}

RUN(concat_run)
{
    UNUSED;
    int axis = ml_attr(t, struct slice_attr)->axis;
    int64_t at = 0;
    for (int i = 0; i < t->nsrc; i++) {
        copy_along(c, t, at, t->src[i], 0, t->src[i]->dim[axis], axis);
        at += t->src[i]->dim[axis];
    }
    return 0;
}

RUN(slice_run)
{
    UNUSED;
    const struct slice_attr *a = ml_attr(t, struct slice_attr);
    copy_along(c, t, 0, t->src[0], a->start, a->length, a->axis);
    return 0;
}

static bool pad_supports(const struct cuda_state *c, const struct ml_tensor *t)
{
    return ml_attr((struct ml_tensor *)t, struct pad_attr)->mode == ML_PAD_ZERO;
}

RUN(pad_run)
{
    (void)scratch;
    const struct pad_attr *a = ml_attr(t, struct pad_attr);
    int status = cuda_check(cudaMemsetAsync(t->remote, 0, ml_bytes(t), c->stream), "pad", err);
    copy_along(c, t, a->before, t->src[0], 0, t->src[0]->dim[a->axis], a->axis);
    return status;
}

RUN(pad_grad_run)
{
    UNUSED;
    const struct pad_attr *a = ml_attr(t, struct pad_attr);
    copy_along(c, t, 0, t->src[0], a->before, t->dim[a->axis], a->axis);
    return 0;
}

static const struct cuda_op permute = {anything, NULL, permute_run};
static const struct cuda_op broadcast = {anything, NULL, broadcast_run};
static const struct cuda_op concat = {anything, NULL, concat_run};
static const struct cuda_op slice = {anything, NULL, slice_run};
static const struct cuda_op pad = {pad_supports, NULL, pad_run};
static const struct cuda_op pad_grad = {pad_supports, NULL, pad_grad_run};

/* ---- reductions ---- */

/* x's shape split by the set of reduced axes. */
static struct cuda_fold fold_of(const struct ml_tensor *x, unsigned axes)
{
    int64_t stride[ML_MAX_DIMS], total = 1;
    struct ml_walk kept = {0}, reduced = {0};
    struct cuda_fold f = {.results = 1, .count = 1};
    for (int i = x->ndim - 1; i >= 0; i--) {
        stride[i] = total;
        total *= x->dim[i];
    }
    for (int i = 0; i < x->ndim; i++) {
        bool keep = !(axes >> i & 1u);
        *(keep ? &f.results : &f.count) *= x->dim[i];
        ml_walk_push(keep ? &kept : &reduced, x->dim[i], stride[i]);
        if (x->dim[i] > 1)
            f.inner_kept = keep;
    }
    f.kept.ndim = kept.ndim;
    f.reduced.ndim = reduced.ndim;
    memcpy(f.kept.dim, kept.dim, sizeof kept.dim);
    memcpy(f.kept.stride, kept.stride, sizeof kept.stride);
    memcpy(f.reduced.dim, reduced.dim, sizeof reduced.dim);
    memcpy(f.reduced.stride, reduced.stride, sizeof reduced.stride);
    f.parts = cuda_fold_parts(&f);
    return f;
}

static size_t reduce_scratch(const struct ml_tensor *t)
{
    struct cuda_fold f =
        fold_of(t->src[0], ml_attr((struct ml_tensor *)t, struct reduce_attr)->axes);
    return (size_t)(f.parts * f.results) * sizeof(float);
}

RUN(reduce_run)
{
    (void)err;
    const struct reduce_attr *a = ml_attr(t, struct reduce_attr);
    struct cuda_fold f = fold_of(t->src[0], a->axes);
    float scale = a->kind == ML_REDUCE_MEAN ? 1.0f / (float)f.count : 1.0f;
    cuda_reduce(c->stream, &f, a->kind == ML_REDUCE_MAX, scale, NUMBERS(t), NUMBERS(t->src[0]),
                (float *)(void *)scratch);
    return 0;
}

RUN(reduce_max_grad_run)
{
    UNUSED;
    struct cuda_fold f = fold_of(t->src[0], ml_attr(t, struct reduce_attr)->axes);
    cuda_reduce_max_grad(c->stream, &f, NUMBERS(t), NUMBERS(t->src[0]), NUMBERS(t->src[1]),
                         NUMBERS(t->src[2]));
    return 0;
}

static size_t mse_scratch(const struct ml_tensor *t)
{
    (void)t;
    return CUDA_SUM_BLOCKS * sizeof(double);
}

RUN(mse_run)
{
    (void)err;
    cuda_mse(c->stream, ml_count(t->src[0]), t->remote, NUMBERS(t->src[0]), NUMBERS(t->src[1]),
             (double *)(void *)scratch);
    return 0;
}

RUN(mse_grad_run)
{
    UNUSED;
    cuda_mse_grad(c->stream, ml_count(t), NUMBERS(t), NUMBERS(t->src[0]), NUMBERS(t->src[1]),
                  t->src[2]->remote);
    return 0;
}

static const struct cuda_op reduce = {all_numbers, reduce_scratch, reduce_run};
static const struct cuda_op reduce_max_grad = {all_numbers, NULL, reduce_max_grad_run};
static const struct cuda_op mse = {all_numbers, mse_scratch, mse_run};
static const struct cuda_op mse_grad = {all_numbers, NULL, mse_grad_run};

/* ---- norms and softmax ---- */

static const float *weight(const struct ml_tensor *t)
{
    return t ? t->remote : NULL;
}

RUN(rmsnorm_run)
{
    UNUSED;
    const struct ml_tensor *x = t->src[0];
    cuda_rmsnorm(c->stream, ml_rows(x), ml_width(x), NUMBERS(t), t->remote_aux, NUMBERS(x),
                 weight(t->src[1]), ml_attr(t, struct norm_attr)->eps);
    return 0;
}

RUN(layernorm_run)
{
    UNUSED;
    const struct ml_tensor *x = t->src[0];
    cuda_layernorm(c->stream, ml_rows(x), ml_width(x), NUMBERS(t), t->remote_aux, NUMBERS(x),
                   weight(t->src[1]), weight(t->src[2]), ml_attr(t, struct norm_attr)->eps);
    return 0;
}

static size_t norm_grad_scratch(const struct ml_tensor *t)
{
    const struct norm_attr *a = ml_attr((struct ml_tensor *)t, struct norm_attr);
    const struct ml_tensor *x = t->src[1];
    return (size_t)(cuda_norm_partial(ml_rows(x), ml_width(x)) * (a->want_w + a->want_b)) *
           sizeof(float);
}

/* Sources {forward, x, w, dt}; result [dx | dw | db]. */
RUN(norm_grad_run)
{
    (void)err;
    const struct norm_attr *a = ml_attr(t, struct norm_attr);
    const struct ml_tensor *x = t->src[1];
    float *dx = t->remote, *dw = a->want_w ? dx + ml_count(x) : NULL;
    float *db = a->want_b ? dx + ml_count(x) + (dw ? ml_width(x) : 0) : NULL;
    cuda_norm_grad(c->stream, ml_rows(x), ml_width(x), dx, dw, db, NUMBERS(t->src[3]), NUMBERS(x),
                   weight(t->src[2]), t->src[0]->remote_aux, t->op == ML_OP_LAYERNORM_GRAD,
                   (float *)(void *)scratch);
    return 0;
}

RUN(softmax_run)
{
    UNUSED;
    cuda_softmax(c->stream, ml_rows(t), ml_width(t), NUMBERS(t), NUMBERS(t->src[0]),
                 *ml_attr(t, float));
    return 0;
}

RUN(softmax_grad_run)
{
    UNUSED;
    cuda_softmax_grad(c->stream, ml_rows(t), ml_width(t), NUMBERS(t), NUMBERS(t->src[0]),
                      NUMBERS(t->src[1]), *ml_attr(t, float));
    return 0;
}

static const struct cuda_op rmsnorm = {all_numbers, NULL, rmsnorm_run};
static const struct cuda_op layernorm = {all_numbers, NULL, layernorm_run};
static const struct cuda_op norm_grad = {all_numbers, norm_grad_scratch, norm_grad_run};
static const struct cuda_op softmax = {all_numbers, NULL, softmax_run};
static const struct cuda_op softmax_grad = {all_numbers, NULL, softmax_grad_run};

const struct cuda_op *cuda_op_get(int op)
{
    static const struct cuda_op *const table[ML_OP_COUNT] = {
        [ML_OP_CAST] = &cast,
        [ML_OP_PERMUTE] = &permute,
        [ML_OP_CONCAT] = &concat,
        [ML_OP_SLICE] = &slice,
        [ML_OP_PAD] = &pad,
        [ML_OP_PAD_GRAD] = &pad_grad,
        [ML_OP_BROADCAST] = &broadcast,
        [ML_OP_UNARY] = &unary,
        [ML_OP_UNARY_GRAD] = &unary_grad,
        [ML_OP_BINARY] = &binary,
        [ML_OP_AFFINE] = &affine,
        [ML_OP_SWIGLU] = &swiglu,
        [ML_OP_SWIGLU_GRAD] = &swiglu_grad,
        [ML_OP_DROPOUT] = &dropout,
        [ML_OP_FILL] = &fill,
        [ML_OP_REDUCE] = &reduce,
        [ML_OP_REDUCE_MAX_GRAD] = &reduce_max_grad,
        [ML_OP_SUM_TO] = &reduce,
        [ML_OP_MATMUL] = &cuda_op_matmul,
        [ML_OP_LINEAR] = &cuda_op_linear,
        [ML_OP_RMSNORM] = &rmsnorm,
        [ML_OP_RMSNORM_GRAD] = &norm_grad,
        [ML_OP_LAYERNORM] = &layernorm,
        [ML_OP_LAYERNORM_GRAD] = &norm_grad,
        [ML_OP_SOFTMAX] = &softmax,
        [ML_OP_SOFTMAX_GRAD] = &softmax_grad,
        [ML_OP_ATTENTION] = &cuda_op_attention,
        [ML_OP_ATTENTION_GRAD] = &cuda_op_attention_grad,
        [ML_OP_CACHE_WRITE] = &cuda_op_cache_write,
        [ML_OP_EMBEDDING] = &cuda_op_embedding,
        [ML_OP_EMBEDDING_GRAD] = &cuda_op_embedding_grad,
        [ML_OP_ROPE] = &cuda_op_rope,
        [ML_OP_CROSS_ENTROPY] = &cuda_op_cross_entropy,
        [ML_OP_CROSS_ENTROPY_GRAD] = &cuda_op_cross_entropy_grad,
        [ML_OP_MSE] = &mse,
        [ML_OP_MSE_GRAD] = &mse_grad,
    };
    return op >= 0 && op < ML_OP_COUNT ? table[op] : NULL;
}
