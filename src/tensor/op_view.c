/* Ops that look at memory in another way: reshape and view share it, cast copies it. */
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/ops.h"

static void take_dims(struct ml_tensor *t, int ndim, const int64_t *dims)
{
    t->ndim = ndim;
    for (int i = 0; i < ndim; i++)
        t->dim[i] = dims[i];
}

static int shape_reshape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct view_attr *a = ml_attr(t, struct view_attr);
    t->dtype = t->src[0]->dtype;
    t->flags |= ML_ALIAS;
    take_dims(t, a->ndim, a->dim);
    int unknown = -1;
    int64_t known = 1, total = ml_count(t->src[0]);
    for (int i = 0; i < a->ndim; i++) {
        if (a->dim[i] == -1 && unknown < 0)
            unknown = i;
        else if (a->dim[i] < 0)
            return ml_shape_fail(g, t, "dimension %d of the new shape is negative", i);
        else
            known *= a->dim[i];
    }
    if (unknown >= 0 && known > 0 && total % known == 0)
        t->dim[unknown] = total / known;
    if (known == 0 ? total != 0 || unknown >= 0 : ml_count(t) != total)
        return ml_shape_fail(g, t, "%lld numbers do not fit the new shape", (long long)total);
    return 0;
}

static void forward_reshape(struct ml_run *run, struct ml_tensor *t)
{
    (void)run;
    t->data = t->src[0]->data;
}

static void backward_reshape(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                             struct ml_tensor **dsrc)
{
    dsrc[0] = ml_reshape(g, dt, t->src[0]->ndim, t->src[0]->dim);
}

static int64_t flops_none(const struct ml_tensor *t)
{
    (void)t;
    return 0;
}

const struct ml_op ml_op_reshape = {
    .name = "reshape",
    .what = "the same numbers in another shape",
    .min_src = 1,
    .max_src = 1,
    .shape = shape_reshape,
    .forward = forward_reshape,
    .backward = backward_reshape,
    .flops = flops_none,
};

static int shape_view(struct ml_graph *g, struct ml_tensor *t)
{
    const struct view_attr *a = ml_attr(t, struct view_attr);
    t->dtype = t->src[0]->dtype;
    t->flags |= ML_ALIAS;
    take_dims(t, a->ndim, a->dim);
    if (a->offset < 0 || a->offset + ml_count(t) > ml_count(t->src[0]))
        return ml_shape_fail(g, t, "a view of %lld numbers at %lld leaves the tensor",
                             (long long)ml_count(t), (long long)a->offset);
    return 0;
}

static void forward_view(struct ml_run *run, struct ml_tensor *t)
{
    (void)run;
    const struct view_attr *a = ml_attr(t, struct view_attr);
    t->data = (char *)t->src[0]->data + (size_t)a->offset * ml_dtype_size(t->dtype);
}

const struct ml_op ml_op_view = {
    .name = "view",
    .what = "part of a tensor's memory",
    .min_src = 1,
    .max_src = 1,
    .shape = shape_view,
    .forward = forward_view,
    .flops = flops_none,
};

static struct ml_tensor *alias(struct ml_graph *g, int op, struct ml_tensor *x, int64_t offset,
                               int ndim, const int64_t *dims)
{
    struct view_attr a = {.offset = offset, .ndim = ndim};
    for (int i = 0; i < ndim && i < ML_MAX_DIMS; i++)
        a.dim[i] = dims[i];
    return ml_node(g, op, &x, 1, &a, sizeof a);
}

struct ml_tensor *ml_reshape(struct ml_graph *g, struct ml_tensor *x, int ndim, const int64_t *dims)
{
    bool same = x->ndim == ndim;
    for (int i = 0; i < ndim && same; i++)
        same = x->dim[i] == dims[i];
    return same ? x : alias(g, ML_OP_RESHAPE, x, 0, ndim, dims);
}

struct ml_tensor *ml_view(struct ml_graph *g, struct ml_tensor *x, int64_t offset, int ndim,
                          const int64_t *dims)
{
    return alias(g, ML_OP_VIEW, x, offset, ndim, dims);
}

static int shape_cast(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    t->dtype = (enum ml_dtype) * ml_attr(t, int);
    if (x->dtype == ML_I32 || t->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers are not cast");
    take_dims(t, x->ndim, x->dim);
    return 0;
}

static void cast_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    struct ml_tensor *t = ((void **)arg)[0];
    const struct ml_run *run = ((void **)arg)[1];
    float in[ML_CHUNK];
    for (int64_t at = begin; at < end; at += ML_CHUNK) {
        int64_t n = end - at < ML_CHUNK ? end - at : ML_CHUNK;
        float *direct = ml_store_begin(t, at, in);
        const float *x = ml_load(run->k, t->src[0], at, n, direct);
        ml_store_end(run->k, t, at, n, x);
    }
}

static void forward_cast(struct ml_run *run, struct ml_tensor *t)
{
    void *arg[2] = {t, run};
    ml_parallel(run, ml_count(t), 16 * ML_CHUNK, cast_range, arg);
}

static void backward_cast(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                          struct ml_tensor **dsrc)
{
    dsrc[0] = ml_cast(g, dt, t->src[0]->dtype);
}

const struct ml_op ml_op_cast = {
    .name = "cast",
    .what = "the same numbers in another format",
    .min_src = 1,
    .max_src = 1,
    .shape = shape_cast,
    .forward = forward_cast,
    .backward = backward_cast,
};

struct ml_tensor *ml_cast(struct ml_graph *g, struct ml_tensor *x, enum ml_dtype dtype)
{
    int attr = (int)dtype;
    return x->dtype == dtype ? x : ml_node(g, ML_OP_CAST, &x, 1, &attr, sizeof attr);
}
