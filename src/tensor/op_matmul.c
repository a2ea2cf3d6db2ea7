/* Products. Everything is a GEMM on two-dimensional slices; transposes are strides. */
#include "tensor/fuse.h"
#include "tensor/ops.h"

/* Rows and columns of the last two dimensions as the product sees them. */
static void sizes(const struct ml_tensor *t, bool transposed, int64_t *rows, int64_t *cols)
{
    int64_t r = t->dim[t->ndim - 2], c = t->dim[t->ndim - 1];
    *rows = transposed ? c : r;
    *cols = transposed ? r : c;
}

static int shape_matmul(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_matmul_attr *attr = ml_attr(t, struct ml_matmul_attr);
    const struct ml_tensor *a = t->src[0], *b = t->src[1];
    if (a->ndim < 2 || b->ndim < 2)
        return ml_shape_fail(g, t, "both sides need two dimensions or more");
    if (b->ndim != 2 && b->ndim != a->ndim)
        return ml_shape_fail(g, t, "batch dimensions must be equal, or absent on the right");
    for (int i = 0; b->ndim > 2 && i + 2 < a->ndim; i++)
        if (a->dim[i] != b->dim[i])
            return ml_shape_fail(g, t, "batch dimension %d differs", i);
    if (b->ndim == 2 && a->ndim > 2 && attr->ta)
        return ml_shape_fail(g, t, "a batch on the left alone cannot be transposed");
    if ((a->flags | (attr->tb ? 0 : b->flags)) & ML_PANELS)
        return ml_shape_fail(g, t, "packed weights can only stand transposed on the right");
    int64_t m, k, k2, n;
    sizes(a, attr->ta, &m, &k);
    sizes(b, attr->tb, &k2, &n);
    if (k != k2)
        return ml_shape_fail(g, t, "inner dimensions %lld and %lld differ", (long long)k,
                             (long long)k2);
    t->dtype = attr->out;
    t->ndim = a->ndim;
    for (int i = 0; i + 2 < a->ndim; i++)
        t->dim[i] = a->dim[i];
    t->dim[t->ndim - 2] = m;
    t->dim[t->ndim - 1] = n;
    return 0;
}

static struct ml_matrix matrix(const struct ml_tensor *t, bool transposed, int64_t cols)
{
    return (struct ml_matrix){.data = t->data,
                              .dtype = t->dtype,
                              .row = transposed ? 1 : cols,
                              .col = transposed ? cols : 1};
}

/* The product of one batch (data pointers of batch 0); *batches counts them. A left batch without a
 * right one is one taller product. */
static struct ml_gemm describe(const struct ml_tensor *t, int64_t *batches)
{
    const struct ml_matmul_attr *attr = ml_attr((struct ml_tensor *)t, struct ml_matmul_attr);
    const struct ml_tensor *a = t->src[0], *b = t->src[1];
    int64_t m, k, n, unused;
    sizes(a, attr->ta, &m, &k);
    sizes(b, attr->tb, &unused, &n);
    *batches = 1;
    for (int i = 0; i + 2 < t->ndim; i++)
        *batches *= t->dim[i];
    if (b->ndim == 2) {
        m *= *batches;
        *batches = 1;
    }
    return (struct ml_gemm){
        .m = m,
        .n = n,
        .k = k,
        .a = matrix(a, attr->ta, ml_width(a)),
        .b = matrix(b, attr->tb, ml_width(b)),
        .c = t->data,
        .c_dtype = t->dtype,
        .c_row = n,
        .alpha = attr->alpha,
        .bf16 = attr->bf16,
        .panels = b->flags & ML_PANELS,
    };
}

struct batch_job {
    const struct ml_kernels *k;
    struct ml_gemm gemm;
    size_t a_step, b_step, c_step; /* bytes from one batch to the next */
    char *scratch;
    size_t scratch_step;
};

static void run_batch(void *arg, int64_t task, int worker)
{
    const struct batch_job *job = arg;
    struct ml_gemm gemm = job->gemm;
    gemm.a.data = (const char *)gemm.a.data + (size_t)task * job->a_step;
    gemm.b.data = (const char *)gemm.b.data + (size_t)task * job->b_step;
    gemm.c = (char *)gemm.c + (size_t)task * job->c_step;
    ml_gemm_run(job->k, &gemm, NULL, job->scratch + (size_t)worker * job->scratch_step);
}

static size_t one_thread_scratch(const struct ml_kernels *k, const struct ml_gemm *gemm)
{
    return (ml_gemm_scratch(k, gemm, 1) + ML_ALIGN - 1) / ML_ALIGN * ML_ALIGN;
}

static size_t scratch_matmul(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    int64_t batches;
    struct ml_gemm gemm = describe(t, &batches);
    return batches == 1 ? ml_gemm_scratch(k, &gemm, threads)
                        : (size_t)threads * one_thread_scratch(k, &gemm);
}

static void forward_matmul(struct ml_run *run, struct ml_tensor *t)
{
    int64_t batches;
    struct ml_gemm gemm = describe(t, &batches);
    if (batches == 1) {
        ml_gemm_run(run->k, &gemm, run->pool, run->scratch);
        return;
    }
    struct batch_job job = {
        .k = run->k,
        .gemm = gemm,
        .a_step = (size_t)(gemm.m * gemm.k) * ml_dtype_size(gemm.a.dtype),
        .b_step = (size_t)(gemm.n * gemm.k) * ml_dtype_size(gemm.b.dtype),
        .c_step = (size_t)(gemm.m * gemm.n) * ml_dtype_size(gemm.c_dtype),
        .scratch = run->scratch,
        .scratch_step = one_thread_scratch(run->k, &gemm),
    };
    ml_pool_run(run->pool, batches, run_batch, &job);
}

/* With C = alpha op(A) op(B): dA = alpha dC op(B)', dB = alpha op(A)' dC, each transposed where its
 * operand was. */
static void backward_matmul(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    const struct ml_matmul_attr *attr = ml_attr(t, struct ml_matmul_attr);
    struct ml_tensor *a = t->src[0], *b = t->src[1];
    struct ml_matmul_attr d = {.alpha = attr->alpha};
    if (ml_wants_grad(a)) {
        d.ta = attr->ta && attr->tb;
        d.tb = attr->ta ? true : !attr->tb;
        d.out = a->dtype;
        dsrc[0] = attr->ta ? ml_matmul_to(g, b, dt, d) : ml_matmul_to(g, dt, b, d);
    }
    if (ml_wants_grad(b)) {
        if (b->ndim == 2 && a->ndim > 2) { /* the batch becomes rows, which the product sums over */
            a = ml_reshape(g, a, 2, (int64_t[]){ml_rows(a), ml_width(a)});
            dt = ml_reshape(g, dt, 2, (int64_t[]){ml_rows(dt), ml_width(dt)});
        }
        d.ta = attr->tb ? true : !attr->ta;
        d.tb = attr->tb && attr->ta;
        d.out = b->dtype;
        dsrc[1] = attr->tb ? ml_matmul_to(g, dt, a, d) : ml_matmul_to(g, a, dt, d);
    }
}

static int64_t flops_matmul(const struct ml_tensor *t)
{
    int64_t batches;
    struct ml_gemm gemm = describe(t, &batches);
    return 2 * batches * gemm.m * gemm.n * gemm.k;
}

const struct ml_op ml_op_matmul = {
    .name = "matmul",
    .what = "matrix product, batched, either side transposed",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_matmul,
    .forward = forward_matmul,
    .backward = backward_matmul,
    .flops = flops_matmul,
    .scratch = scratch_matmul,
};

struct ml_tensor *ml_matmul_to(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b,
                               struct ml_matmul_attr attr)
{
    attr.bf16 = a->dtype == ML_BF16 || b->dtype == ML_BF16;
    struct ml_tensor *src[2] = {a, b};
    return ml_node(g, ML_OP_MATMUL, src, 2, &attr, sizeof attr);
}

struct ml_tensor *ml_matmul(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b, bool ta,
                            bool tb)
{
    return ml_matmul_to(g, a, b, (struct ml_matmul_attr){.ta = ta, .tb = tb, .out = a->dtype});
}

/* ---- linear: x w' + bias, then an activation ---- */

static int shape_linear(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0], *w = t->src[1], *bias = t->src[2];
    if (x->ndim < 1 || w->ndim != 2)
        return ml_shape_fail(g, t, "the weight must be a matrix");
    if (ml_width(x) != w->dim[1])
        return ml_shape_fail(g, t, "the input has %lld features, the weight takes %lld",
                             (long long)ml_width(x), (long long)w->dim[1]);
    if (bias && (bias->dtype != ML_F32 || ml_count(bias) != w->dim[0]))
        return ml_shape_fail(g, t, "the bias must be %lld numbers in f32", (long long)w->dim[0]);
    t->dtype = x->dtype;
    t->ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++)
        t->dim[i] = x->dim[i];
    t->dim[t->ndim - 1] = w->dim[0];
    return 0;
}

struct ml_gemm ml_linear_gemm(const struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0], *w = t->src[1], *bias = t->src[2];
    return (struct ml_gemm){
        .m = ml_rows(x),
        .n = w->dim[0],
        .k = w->dim[1],
        .a = matrix(x, false, ml_width(x)),
        .b = matrix(w, true, w->dim[1]),
        .c = t->data,
        .c_dtype = t->dtype,
        .c_row = w->dim[0],
        .bf16 = x->dtype == ML_BF16,
        .panels = w->flags & ML_PANELS,
        .bias = bias ? bias->data : NULL,
        .act = (enum ml_act) * ml_attr((struct ml_tensor *)t, int),
    };
}

/* t and the ops that are computed with it; how many. */
static int members_of(const struct ml_tensor *t, struct ml_tensor **members)
{
    int count = 0;
    for (struct ml_tensor *m = (struct ml_tensor *)t; m; m = m->with)
        members[count++] = m;
    return count;
}

static bool is_together(const struct ml_tensor *t)
{
    return t->with || t->src[0]->flags & ML_INSIDE;
}

static size_t scratch_linear(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct ml_tensor *members[ML_GEMM_TOGETHER];
    if (t->flags & ML_DEFERRED)
        return 0;
    if (is_together(t))
        return ml_linears_scratch(k, members, members_of(t, members), false, threads);
    struct ml_gemm gemm = ml_linear_gemm(t);
    return ml_gemm_scratch(k, &gemm, threads);
}

static void forward_linear(struct ml_run *run, struct ml_tensor *t)
{
    struct ml_tensor *members[ML_GEMM_TOGETHER];
    if (t->flags & ML_DEFERRED)
        return;
    if (is_together(t)) {
        int count = members_of(t, members);
        ml_linears_run(run, members, count, NULL);
        return;
    }
    struct ml_gemm gemm = ml_linear_gemm(t);
    ml_gemm_run(run->k, &gemm, run->pool, run->scratch);
}

size_t ml_linear_onto_scratch(const struct ml_kernels *k, const struct ml_tensor *linear,
                              int threads)
{
    struct ml_gemm gemm = ml_linear_gemm(linear);
    return ml_gemm_scratch(k, &gemm, threads);
}

void ml_linear_onto(struct ml_run *run, const struct ml_tensor *linear,
                    const struct ml_tensor *base, struct ml_tensor *out)
{
    struct ml_gemm gemm = ml_linear_gemm(linear);
    gemm.c = out->data;
    gemm.accumulate = base->data == out->data && out->dtype == ML_F32;
    if (!gemm.accumulate)
        gemm.base = (struct ml_matrix){base->data, base->dtype, gemm.n, 1};
    ml_gemm_run(run->k, &gemm, run->pool, run->scratch);
}

static void backward_linear(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    struct ml_tensor *x = t->src[0], *w = t->src[1], *bias = t->src[2];
    struct ml_tensor *rows = ml_reshape(g, dt, 2, (int64_t[]){ml_rows(dt), ml_width(dt)});
    if (ml_wants_grad(x)) {
        struct ml_tensor *dx = ml_matmul_to(g, rows, w, (struct ml_matmul_attr){.out = x->dtype});
        dsrc[0] = ml_reshape(g, dx, x->ndim, x->dim);
    }
    if (ml_wants_grad(w)) {
        struct ml_tensor *in = ml_reshape(g, x, 2, (int64_t[]){ml_rows(x), ml_width(x)});
        dsrc[1] = ml_matmul_to(g, rows, in, (struct ml_matmul_attr){.ta = true, .out = w->dtype});
    }
    if (ml_wants_grad(bias))
        dsrc[2] = ml_sum_to(g, dt, bias);
}

static int64_t flops_linear(const struct ml_tensor *t)
{
    return 2 * ml_count(t) * ml_width(t->src[0]);
}

const struct ml_op ml_op_linear = {
    .name = "linear",
    .what = "x w' + bias, then an activation",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_linear,
    .forward = forward_linear,
    .backward = backward_linear,
    .flops = flops_linear,
    .scratch = scratch_linear,
};

struct ml_tensor *ml_linear(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                            struct ml_tensor *bias, enum ml_act act)
{
    /* A gradient needs the value before the activation, so there they are two nodes. */
    bool split =
        act != ML_ACT_NONE && (ml_wants_grad(x) || ml_wants_grad(w) || ml_wants_grad(bias));
    int fused = split ? ML_ACT_NONE : (int)act;
    struct ml_tensor *src[3] = {x, w, bias};
    struct ml_tensor *t = ml_node(g, ML_OP_LINEAR, src, 3, &fused, sizeof fused);
    return split ? ml_unary(g, ml_act_unary(act), t) : t;
}
