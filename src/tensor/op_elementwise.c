/* Ops that treat each number alone: unary, binary (broadcasting), affine, SwiGLU, dropout, fill.
 * All are bound by memory: 4 to 12 bytes an element against one or a few flops. */
#include "base/fail.h"
#include "base/rng.h"
#include "tensor/fuse.h"
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/ops.h"

#define GRAIN (16 * ML_CHUNK) /* elements a task takes: 64 KiB of f32 a tensor */

static int shape_like_first(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    if (x->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers have no arithmetic here");
    t->dtype = x->dtype;
    t->ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++)
        t->dim[i] = x->dim[i];
    for (int s = 1; s < t->nsrc; s++)
        if (!ml_same_shape(x, t->src[s]))
            return ml_shape_fail(g, t, "shapes differ");
    return 0;
}

/* One chunk of a same-shape op: inputs as f32, output written to y. */
struct job {
    const struct ml_run *run;
    struct ml_tensor *t;
    void (*chunk)(const struct job *job, int64_t at, int64_t n, float *y, const float *const *in);
};

static void run_chunks(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    float buffer[4][ML_CHUNK];
    const float *in[3] = {NULL};
    for (int64_t at = begin; at < end; at += ML_CHUNK) {
        int64_t n = end - at < ML_CHUNK ? end - at : ML_CHUNK;
        for (int s = 0; s < t->nsrc; s++)
            in[s] = ml_load(k, t->src[s], at, n, buffer[s]);
        float *y = ml_store_begin(t, at, buffer[3]);
        job->chunk(job, at, n, y, in);
        ml_store_end(k, t, at, n, y);
    }
}

static void each_chunk(struct ml_run *run, struct ml_tensor *t,
                       void (*chunk)(const struct job *, int64_t, int64_t, float *,
                                     const float *const *))
{
    struct job job = {run, t, chunk};
    ml_parallel(run, ml_count(t), GRAIN, run_chunks, &job);
}

/* ---- unary ---- */

static int64_t flops_unary(const struct ml_tensor *t)
{
    return 8 * ml_count(t); /* a short polynomial, on average */
}

static void chunk_unary(const struct job *job, int64_t at, int64_t n, float *y,
                        const float *const *in)
{
    (void)at;
    job->run->k->unary[*ml_attr(job->t, int)](n, y, in[0]);
}

static void forward_unary(struct ml_run *run, struct ml_tensor *t)
{
    each_chunk(run, t, chunk_unary);
}

static void backward_unary(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                           struct ml_tensor **dsrc)
{
    struct ml_tensor *src[2] = {dt, t->src[0]};
    dsrc[0] = ml_node(g, ML_OP_UNARY_GRAD, src, 2, t->attr, sizeof(int));
}

const struct ml_op ml_op_unary = {
    .name = "unary",
    .what = "a function of each number",
    .min_src = 1,
    .max_src = 1,
    .shape = shape_like_first,
    .forward = forward_unary,
    .backward = backward_unary,
    .flops = flops_unary,
    .in_place = 1,
};

static void chunk_unary_grad(const struct job *job, int64_t at, int64_t n, float *y,
                             const float *const *in)
{
    (void)at;
    job->run->k->unary_grad[*ml_attr(job->t, int)](n, y, in[0], in[1]);
}

static void forward_unary_grad(struct ml_run *run, struct ml_tensor *t)
{
    each_chunk(run, t, chunk_unary_grad);
}

const struct ml_op ml_op_unary_grad = {
    .name = "unary_grad",
    .what = "dy * f'(x)",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_like_first,
    .forward = forward_unary_grad,
    .flops = flops_unary,
    .in_place = 1,
};

struct ml_tensor *ml_unary(struct ml_graph *g, enum ml_unary kind, struct ml_tensor *x)
{
    int attr = (int)kind;
    return ml_node(g, ML_OP_UNARY, &x, 1, &attr, sizeof attr);
}

/* ---- binary, with NumPy's broadcasting ---- */

static int shape_binary(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *a = t->src[0], *b = t->src[1];
    if (a->dtype == ML_I32 || b->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers have no arithmetic here");
    t->dtype = a->dtype;
    t->ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int i = 0; i < t->ndim; i++) {
        int ia = i - (t->ndim - a->ndim), ib = i - (t->ndim - b->ndim);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da != db && da != 1 && db != 1)
            return ml_shape_fail(g, t, "dimension %d cannot be broadcast", i);
        t->dim[i] = da == 1 ? db : da;
    }
    return 0;
}

/* The loop nest after merging neighbouring dimensions that both sides walk alike. The innermost
 * dimension has strides 0 or 1. */
struct nest {
    int ndim;
    int64_t dim[ML_MAX_DIMS], sa[ML_MAX_DIMS], sb[ML_MAX_DIMS];
};

static void strides_of(const struct ml_tensor *x, const struct ml_tensor *t, int64_t *stride)
{
    int64_t step = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        int ix = i - (t->ndim - x->ndim);
        int64_t d = ix < 0 ? 1 : x->dim[ix];
        stride[i] = d == 1 ? 0 : step;
        step *= d;
    }
}

static void make_nest(const struct ml_tensor *t, struct nest *nest)
{
    int64_t sa[ML_MAX_DIMS], sb[ML_MAX_DIMS];
    strides_of(t->src[0], t, sa);
    strides_of(t->src[1], t, sb);
    nest->ndim = 1;
    nest->dim[0] = 1;
    nest->sa[0] = nest->sb[0] = 0;
    for (int i = 0; i < t->ndim; i++) {
        int last = nest->ndim - 1;
        if (t->dim[i] == 1)
            continue;
        if (nest->dim[last] == 1 ||
            (nest->sa[last] == sa[i] * t->dim[i] && nest->sb[last] == sb[i] * t->dim[i])) {
            nest->dim[last] *= t->dim[i];
        } else {
            nest->dim[++last] = t->dim[i];
            nest->ndim++;
        }
        nest->sa[last] = sa[i];
        nest->sb[last] = sb[i];
    }
}

struct binary_job {
    const struct ml_run *run;
    struct ml_tensor *t;
    struct nest nest;
};

/* n results from position `at` of one innermost row, whose sides start at a0 and b0. */
static void binary_piece(const struct binary_job *job, int64_t a0, int64_t b0, int64_t out,
                         int64_t n)
{
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    int kind = *ml_attr(t, int), last = job->nest.ndim - 1;
    bool wide_a = job->nest.sa[last] != 0, wide_b = job->nest.sb[last] != 0;
    float fa[ML_CHUNK], fb[ML_CHUNK], fy[ML_CHUNK];
    const float *a = ml_load(k, t->src[0], a0, wide_a ? n : 1, fa);
    const float *b = ml_load(k, t->src[1], b0, wide_b ? n : 1, fb);
    float *y = ml_store_begin(t, out, fy);
    if (wide_b || n == 1) {
        if (!wide_a && n > 1) {
            k->fill(n, fa, a[0]);
            a = fa;
        }
        k->binary[kind](n, y, a, b);
    } else {
        if (!wide_a) {
            k->fill(n, fa, a[0]);
            a = fa;
        }
        k->binary_scalar[kind](n, y, a, b[0]);
    }
    ml_store_end(k, t, out, n, y);
}

static void binary_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct binary_job *job = arg;
    const struct nest *nest = &job->nest;
    int last = nest->ndim - 1;
    for (int64_t at = begin; at < end;) {
        int64_t rest = at, column = rest % nest->dim[last];
        int64_t a = column * nest->sa[last], b = column * nest->sb[last];
        rest /= nest->dim[last];
        for (int i = last - 1; i >= 0; i--) {
            a += rest % nest->dim[i] * nest->sa[i];
            b += rest % nest->dim[i] * nest->sb[i];
            rest /= nest->dim[i];
        }
        int64_t n = nest->dim[last] - column;
        n = n < end - at ? n : end - at;
        n = n < ML_CHUNK ? n : ML_CHUNK;
        binary_piece(job, a, b, at, n);
        at += n;
    }
}

/* The product that is added as it is made, or NULL. */
static const struct ml_tensor *product_in(const struct ml_tensor *t)
{
    return t->src[1]->flags & ML_INSIDE ? t->src[1] : NULL;
}

static size_t scratch_binary(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    return product_in(t) ? ml_linear_onto_scratch(k, product_in(t), threads) : 0;
}

static void forward_binary(struct ml_run *run, struct ml_tensor *t)
{
    if (product_in(t)) {
        ml_linear_onto(run, product_in(t), t->src[0], t);
        return;
    }
    struct binary_job job = {.run = run, .t = t};
    make_nest(t, &job.nest);
    ml_parallel(run, ml_count(t), GRAIN, binary_range, &job);
}

static void backward_binary(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    struct ml_tensor *a = t->src[0], *b = t->src[1], *da = NULL, *db = NULL;
    switch (*ml_attr(t, int)) {
    case ML_BINARY_ADD:
        da = db = dt;
        break;
    case ML_BINARY_SUB:
        da = dt;
        db = ml_wants_grad(b) ? ml_affine(g, dt, -1, 0) : NULL;
        break;
    case ML_BINARY_MUL:
        da = ml_wants_grad(a) ? ml_mul(g, dt, b) : NULL;
        db = ml_wants_grad(b) ? ml_mul(g, dt, a) : NULL;
        break;
    case ML_BINARY_DIV:
        da = ml_div(g, dt, b);
        db = ml_wants_grad(b) ? ml_affine(g, ml_mul(g, da, t), -1, 0) : NULL;
        break;
    default:
        ml_fail(&g->error, ML_ERR_UNSUPPORTED, "max and min of two tensors have no gradient");
        return;
    }
    if (ml_wants_grad(a))
        dsrc[0] = ml_sum_to(g, da, a);
    if (ml_wants_grad(b))
        dsrc[1] = ml_sum_to(g, db, b);
}

const struct ml_op ml_op_binary = {
    .name = "binary",
    .what = "a + b, a - b, a * b, a / b, max, min, broadcasting",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_binary,
    .forward = forward_binary,
    .backward = backward_binary,
    .scratch = scratch_binary,
    .in_place = 3,
};

static struct ml_tensor *binary(struct ml_graph *g, enum ml_binary kind, struct ml_tensor *a,
                                struct ml_tensor *b)
{
    int attr = (int)kind;
    struct ml_tensor *src[2] = {a, b};
    return ml_node(g, ML_OP_BINARY, src, 2, &attr, sizeof attr);
}

struct ml_tensor *ml_add(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b)
{
    return binary(g, ML_BINARY_ADD, a, b);
}

struct ml_tensor *ml_sub(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b)
{
    return binary(g, ML_BINARY_SUB, a, b);
}

struct ml_tensor *ml_mul(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b)
{
    return binary(g, ML_BINARY_MUL, a, b);
}

struct ml_tensor *ml_div(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b)
{
    return binary(g, ML_BINARY_DIV, a, b);
}

struct ml_tensor *ml_max2(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b)
{
    return binary(g, ML_BINARY_MAX, a, b);
}

struct ml_tensor *ml_min2(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b)
{
    return binary(g, ML_BINARY_MIN, a, b);
}

/* ---- affine ---- */

static void chunk_affine(const struct job *job, int64_t at, int64_t n, float *y,
                         const float *const *in)
{
    (void)at;
    const struct affine_attr *a = ml_attr(job->t, struct affine_attr);
    job->run->k->affine(n, y, in[0], a->scale, a->shift);
}

static void forward_affine(struct ml_run *run, struct ml_tensor *t)
{
    each_chunk(run, t, chunk_affine);
}

static void backward_affine(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    dsrc[0] = ml_affine(g, dt, ml_attr(t, struct affine_attr)->scale, 0);
}

const struct ml_op ml_op_affine = {
    .name = "affine",
    .what = "x * scale + shift",
    .min_src = 1,
    .max_src = 1,
    .shape = shape_like_first,
    .forward = forward_affine,
    .backward = backward_affine,
    .in_place = 1,
};

struct ml_tensor *ml_affine(struct ml_graph *g, struct ml_tensor *x, float scale, float shift)
{
    struct affine_attr attr = {scale, shift};
    return ml_node(g, ML_OP_AFFINE, &x, 1, &attr, sizeof attr);
}

/* ---- SwiGLU (Shazeer, arXiv:2002.05202) ---- */

static void chunk_swiglu(const struct job *job, int64_t at, int64_t n, float *y,
                         const float *const *in)
{
    (void)at;
    job->run->k->swiglu(n, y, in[0], in[1]);
}

static bool has_products(const struct ml_tensor *t)
{
    return t->src[0]->flags & ML_INSIDE;
}

static size_t scratch_swiglu(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    return has_products(t) ? ml_linears_scratch(k, t->src, 2, true, threads) : 0;
}

static void forward_swiglu(struct ml_run *run, struct ml_tensor *t)
{
    if (has_products(t)) {
        ml_linears_run(run, t->src, 2, t);
        return;
    }
    each_chunk(run, t, chunk_swiglu);
}

static void backward_swiglu(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    struct ml_tensor *gate = t->src[0], *src[3] = {dt, gate, t->src[1]};
    struct ml_tensor *both = ml_node(g, ML_OP_SWIGLU_GRAD, src, 3, NULL, 0);
    int64_t half = ml_count(gate);
    dsrc[0] = ml_view(g, both, 0, gate->ndim, gate->dim);
    dsrc[1] = ml_cast(g, ml_view(g, both, half, gate->ndim, gate->dim), t->src[1]->dtype);
}

static int64_t flops_swiglu(const struct ml_tensor *t)
{
    return 12 * ml_count(t);
}

const struct ml_op ml_op_swiglu = {
    .name = "swiglu",
    .what = "silu(gate) * up",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_like_first,
    .forward = forward_swiglu,
    .backward = backward_swiglu,
    .flops = flops_swiglu,
    .scratch = scratch_swiglu,
    .in_place = 3,
};

struct ml_tensor *ml_swiglu(struct ml_graph *g, struct ml_tensor *gate, struct ml_tensor *up)
{
    struct ml_tensor *src[2] = {gate, up};
    return ml_node(g, ML_OP_SWIGLU, src, 2, NULL, 0);
}

/* Both gradients in one pass, packed [dgate | dup]. */
static int shape_swiglu_grad(struct ml_graph *g, struct ml_tensor *t)
{
    (void)g;
    t->dtype = t->src[1]->dtype;
    t->ndim = 1;
    t->dim[0] = 2 * ml_count(t->src[1]);
    return 0;
}

static void swiglu_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    int64_t half = t->dim[0] / 2;
    float buffer[5][ML_CHUNK];
    for (int64_t at = begin; at < end; at += ML_CHUNK) {
        int64_t n = end - at < ML_CHUNK ? end - at : ML_CHUNK;
        const float *dy = ml_load(k, t->src[0], at, n, buffer[0]);
        const float *gate = ml_load(k, t->src[1], at, n, buffer[1]);
        const float *up = ml_load(k, t->src[2], at, n, buffer[2]);
        float *dgate = ml_store_begin(t, at, buffer[3]);
        float *dup = ml_store_begin(t, half + at, buffer[4]);
        k->swiglu_grad(n, dgate, dup, dy, gate, up);
        ml_store_end(k, t, at, n, dgate);
        ml_store_end(k, t, half + at, n, dup);
    }
}

static void forward_swiglu_grad(struct ml_run *run, struct ml_tensor *t)
{
    struct job job = {run, t, NULL};
    ml_parallel(run, t->dim[0] / 2, GRAIN, swiglu_grad_range, &job);
}

const struct ml_op ml_op_swiglu_grad = {
    .name = "swiglu_grad",
    .what = "gradients of SwiGLU, packed",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_swiglu_grad,
    .forward = forward_swiglu_grad,
    .flops = flops_swiglu,
};

/* ---- dropout: linear in x, so its backward is itself with the same mask. 16 random bits decide on
 * an element. ---- */

static void chunk_dropout(const struct job *job, int64_t at, int64_t n, float *y,
                          const float *const *in)
{
    const struct dropout_attr *a = ml_attr(job->t, struct dropout_attr);
    uint32_t threshold = (uint32_t)((double)a->p * 65536.0 + 0.5);
    float scale = 1 / (1 - a->p);
    for (int64_t i = 0; i < n; i += 8) { /* `at` is a multiple of ML_CHUNK, so of 8 */
        uint32_t draw[4];
        ml_rng_block(job->run->seed, a->stream, (uint64_t)((at + i) / 8), draw);
        for (int j = 0; j < 8 && i + j < n; j++) {
            uint32_t half = draw[j / 2] >> 16 * (j % 2) & 0xffffu;
            y[i + j] = half < threshold ? 0 : in[0][i + j] * scale;
        }
    }
}

static void forward_dropout(struct ml_run *run, struct ml_tensor *t)
{
    each_chunk(run, t, chunk_dropout);
}

static void backward_dropout(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                             struct ml_tensor **dsrc)
{
    dsrc[0] = ml_node(g, ML_OP_DROPOUT, &dt, 1, t->attr, sizeof(struct dropout_attr));
}

static int64_t flops_dropout(const struct ml_tensor *t)
{
    return 10 * ml_count(t); /* ten rounds of Philox for eight numbers */
}

const struct ml_op ml_op_dropout = {
    .name = "dropout",
    .what = "zeroes a share of the numbers, scales the rest",
    .min_src = 1,
    .max_src = 1,
    .shape = shape_like_first,
    .forward = forward_dropout,
    .backward = backward_dropout,
    .flops = flops_dropout,
    .in_place = 1,
};

struct ml_tensor *ml_dropout(struct ml_graph *g, struct ml_tensor *x, float p)
{
    if (!g->training || p <= 0)
        return x;
    if (!(p < 1)) {
        ml_fail(&g->error, ML_ERR_ARG, "dropout: the share must be below 1, not %g", (double)p);
        return &g->poison;
    }
    struct dropout_attr attr = {p, ++g->draws};
    return ml_node(g, ML_OP_DROPOUT, &x, 1, &attr, sizeof attr);
}

/* ---- fill ---- */

static int shape_fill(struct ml_graph *g, struct ml_tensor *t)
{
    const struct fill_attr *a = ml_attr(t, struct fill_attr);
    (void)g;
    t->dtype = (enum ml_dtype)a->dtype;
    t->ndim = a->ndim;
    for (int i = 0; i < a->ndim; i++)
        t->dim[i] = a->dim[i];
    return 0;
}

static void chunk_fill(const struct job *job, int64_t at, int64_t n, float *y,
                       const float *const *in)
{
    (void)at;
    (void)in;
    job->run->k->fill(n, y, ml_attr(job->t, struct fill_attr)->value);
}

static void forward_fill(struct ml_run *run, struct ml_tensor *t)
{
    each_chunk(run, t, chunk_fill);
}

const struct ml_op ml_op_fill = {
    .name = "fill",
    .what = "one number everywhere",
    .min_src = 0,
    .max_src = 0,
    .shape = shape_fill,
    .forward = forward_fill,
};

struct ml_tensor *ml_fill(struct ml_graph *g, enum ml_dtype dtype, int ndim, const int64_t *dims,
                          float value)
{
    struct fill_attr attr = {.dtype = (int)dtype, .ndim = ndim, .value = value};
    for (int i = 0; i < ndim && i < ML_MAX_DIMS; i++)
        attr.dim[i] = dims[i];
    return ml_node(g, ML_OP_FILL, NULL, 0, &attr, sizeof attr);
}
