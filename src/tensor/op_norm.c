/* Normalisations and softmax. Rows are independent; gradients of the weights are summed over rows
 * in fixed chunks, whose partial sums are added in order, so that threads do not change a bit. */
#include "tensor/fuse.h"
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/op_packed.h"
#include "tensor/ops.h"

#define ROW_GRAIN  16384 /* elements a task takes, about: 64 KiB */
#define MAX_CHUNKS 64    /* partial sums of a weight's gradient */
#define MIN_CHUNK  16    /* rows that share one partial sum, at least */

static int64_t row_grain(int64_t width)
{
    return width >= ROW_GRAIN || width <= 0 ? 1 : ROW_GRAIN / width;
}

static int64_t chunk_rows(int64_t rows)
{
    int64_t chunk = (rows + MAX_CHUNKS - 1) / MAX_CHUNKS;
    return chunk < MIN_CHUNK ? MIN_CHUNK : chunk;
}

static int64_t chunk_count(int64_t rows)
{
    return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

static void take_shape(struct ml_tensor *t, const struct ml_tensor *x)
{
    t->dtype = x->dtype;
    t->ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++)
        t->dim[i] = x->dim[i];
}

static int check_float(struct ml_graph *g, struct ml_tensor *t, const struct ml_tensor *x)
{
    if (x->dtype != ML_F32 && x->dtype != ML_BF16)
        return ml_shape_fail(g, t, "the input must be f32 or bf16");
    return 0;
}

/* w is NULL or n numbers in f32. */
static int check_weight(struct ml_graph *g, struct ml_tensor *t, const struct ml_tensor *w,
                        int64_t n, const char *what)
{
    if (w && (w->dtype != ML_F32 || w->ndim != 1 || w->dim[0] != n))
        return ml_shape_fail(g, t, "the %s must be [%lld] f32", what, (long long)n);
    return 0;
}

static const float *numbers(const struct ml_tensor *t)
{
    return t ? t->data : NULL;
}

/* Adds `count` partial sums of n numbers each, in order. */
static void add_partials(const struct ml_kernels *k, float *out, const float *partial,
                         int64_t count, int64_t n)
{
    k->fill(n, out, 0.0f);
    for (int64_t i = 0; i < count; i++)
        k->axpy(n, out, 1.0f, partial + i * n);
}

static int64_t flops_rows(const struct ml_tensor *t)
{
    return 5 * ml_count(t->src[0]);
}

/* The sources of a gradient op are {t, x, w, dt}. */
static int64_t flops_norm_grad(const struct ml_tensor *t)
{
    return 10 * ml_count(t->src[1]);
}

static int shape_norm_grad(struct ml_graph *g, struct ml_tensor *t)
{
    const struct norm_attr *attr = ml_attr(t, struct norm_attr);
    const struct ml_tensor *x = t->src[1];
    int64_t weights = t->src[0]->op == ML_OP_GROUPNORM ? x->dim[1] : ml_width(x);
    t->dtype = ML_F32;
    t->ndim = 1;
    t->dim[0] = ml_count(x) + (attr->want_w ? weights : 0) + (attr->want_b ? weights : 0);
    return 0;
}

/* Appends the packed gradient op and takes it apart: [dx | dw | db]. */
static void norm_backward(struct ml_graph *g, int op, struct ml_tensor *t, struct ml_tensor *dt,
                          struct ml_tensor **dsrc)
{
    struct norm_attr attr = *ml_attr(t, struct norm_attr);
    struct ml_tensor *x = t->src[0], *w = t->src[1], *b = t->nsrc > 2 ? t->src[2] : NULL;
    attr.want_w = ml_wants_grad(w);
    attr.want_b = ml_wants_grad(b);
    struct ml_tensor *src[4] = {t, x, w, dt};
    struct ml_tensor *packed = ml_node(g, op, src, 4, &attr, sizeof attr);
    int64_t at = ml_count(x);
    if (ml_wants_grad(x))
        dsrc[0] = ml_packed_part(g, packed, 0, x);
    if (attr.want_w) {
        dsrc[1] = ml_packed_part(g, packed, at, w);
        at += ml_count(w);
    }
    if (attr.want_b)
        dsrc[2] = ml_packed_part(g, packed, at, b);
}

/* What the loops over rows share. */
struct rows_job {
    const struct ml_run *run;
    struct ml_tensor *t;
    int64_t rows, width, chunk;
    float *buffer;        /* per worker */
    size_t buffer_floats; /* of one worker */
    float *partial_w;     /* [chunks, width] or NULL */
    float *partial_b;
};

static float *worker_buffer(const struct rows_job *job, int worker)
{
    return job->buffer + (size_t)worker * job->buffer_floats;
}

static size_t align_floats(int64_t n)
{
    size_t total = 0;
    ml_scratch_piece(&total, (size_t)n * sizeof(float));
    return total / sizeof(float);
}

static size_t scratch_rows(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    (void)k;
    return (size_t)threads * 2 * align_floats(ml_width(t->src[0])) * sizeof(float);
}

static struct rows_job rows_job(const struct ml_run *run, struct ml_tensor *t,
                                const struct ml_tensor *x, int buffers)
{
    return (struct rows_job){
        .run = run,
        .t = t,
        .rows = ml_rows(x),
        .width = ml_width(x),
        .chunk = chunk_rows(ml_rows(x)),
        .buffer = run->scratch,
        .buffer_floats = (size_t)buffers * align_floats(ml_width(x)),
    };
}

/* Scratch of a gradient over rows: two row buffers a worker, then the partial sums. */
static size_t scratch_norm_grad(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    (void)k;
    const struct norm_attr *attr = ml_attr((struct ml_tensor *)t, struct norm_attr);
    const struct ml_tensor *x = t->src[1];
    size_t row = align_floats(ml_width(x)), total = (size_t)threads * 2 * row * sizeof(float);
    size_t partial = (size_t)(chunk_count(ml_rows(x)) * ml_width(x)) * sizeof(float);
    if (attr->want_w)
        ml_scratch_piece(&total, partial);
    if (attr->want_b)
        ml_scratch_piece(&total, partial);
    return total;
}

/* Runs `fn` over chunks of rows and puts dw and db behind dx. */
static void norm_grad_rows(struct ml_run *run, struct ml_tensor *t, ml_range_fn *fn)
{
    const struct norm_attr *attr = ml_attr(t, struct norm_attr);
    struct rows_job job = rows_job(run, t, t->src[1], 2);
    int64_t chunks = chunk_count(job.rows);
    size_t at = (size_t)run->threads * job.buffer_floats * sizeof(float);
    size_t partial = (size_t)(chunks * job.width) * sizeof(float);
    if (attr->want_w)
        job.partial_w = (float *)run->scratch + ml_scratch_piece(&at, partial) / sizeof(float);
    if (attr->want_b)
        job.partial_b = (float *)run->scratch + ml_scratch_piece(&at, partial) / sizeof(float);
    ml_parallel(run, job.rows, job.chunk, fn, &job);
    float *out = (float *)t->data + job.rows * job.width;
    if (job.partial_w) {
        add_partials(run->k, out, job.partial_w, chunks, job.width);
        out += job.width;
    }
    if (job.partial_b)
        add_partials(run->k, out, job.partial_b, chunks, job.width);
}

/* ---- RMSNorm (Zhang & Sennrich, arXiv:1910.07467): y = x * inv * w; aux = inv per row ---- */

static int shape_rmsnorm(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    if (x->ndim < 1)
        return ml_shape_fail(g, t, "a scalar has no last dimension");
    take_shape(t, x);
    t->aux_count = ml_rows(x);
    int status = check_float(g, t, x);
    return status ? status : check_weight(g, t, t->src[1], ml_width(x), "weight");
}

static void rmsnorm_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct rows_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    float eps = ml_attr(t, struct norm_attr)->eps, *buffer = worker_buffer(job, worker);
    int64_t d = job->width;
    for (int64_t r = begin; r < end; r++) {
        const float *x = ml_load(k, t->src[0], r * d, d, buffer);
        float *y = ml_store_begin(t, r * d, buffer);
        t->aux[r] = k->rmsnorm(d, y, x, numbers(t->src[1]), eps);
        ml_store_end(k, t, r * d, d, y);
    }
}

void ml_rmsnorm_row(const struct ml_kernels *k, struct ml_tensor *norm, int64_t row, float *y,
                    const float *x)
{
    float eps = ml_attr(norm, struct norm_attr)->eps;
    norm->aux[row] = k->rmsnorm(ml_width(norm), y, x, numbers(norm->src[1]), eps);
}

static void forward_rmsnorm(struct ml_run *run, struct ml_tensor *t)
{
    struct rows_job job = rows_job(run, t, t->src[0], 1);
    ml_parallel(run, job.rows, row_grain(job.width), rmsnorm_range, &job);
}

static void backward_rmsnorm(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                             struct ml_tensor **dsrc)
{
    norm_backward(g, ML_OP_RMSNORM_GRAD, t, dt, dsrc);
}

const struct ml_op ml_op_rmsnorm = {
    .name = "rmsnorm",
    .what = "rows divided by their root mean square, times a weight",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_rmsnorm,
    .forward = forward_rmsnorm,
    .backward = backward_rmsnorm,
    .flops = flops_rows,
    .scratch = scratch_rows,
    .in_place = 1,
};

static void rmsnorm_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct rows_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    const struct ml_tensor *forward = job->t->src[0], *x = job->t->src[1], *dt = job->t->src[3];
    int64_t d = job->width;
    float *bx = worker_buffer(job, worker), *bdt = bx + align_floats(d);
    float *dw = job->partial_w ? job->partial_w + begin / job->chunk * d : NULL;
    if (dw)
        k->fill(d, dw, 0.0f);
    for (int64_t r = begin; r < end; r++)
        k->rmsnorm_grad(d, (float *)job->t->data + r * d, dw, ml_load(k, dt, r * d, d, bdt),
                        ml_load(k, x, r * d, d, bx), numbers(job->t->src[2]), forward->aux[r]);
}

static void forward_rmsnorm_grad(struct ml_run *run, struct ml_tensor *t)
{
    norm_grad_rows(run, t, rmsnorm_grad_range);
}

const struct ml_op ml_op_rmsnorm_grad = {
    .name = "rmsnorm_grad",
    .what = "gradient of rmsnorm: [dx | dw]",
    .min_src = 4,
    .max_src = 4,
    .shape = shape_norm_grad,
    .forward = forward_rmsnorm_grad,
    .flops = flops_norm_grad,
    .scratch = scratch_norm_grad,
};

struct ml_tensor *ml_rmsnorm(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                             float eps)
{
    struct norm_attr attr = {.eps = eps};
    struct ml_tensor *src[2] = {x, w};
    return ml_node(g, ML_OP_RMSNORM, src, 2, &attr, sizeof attr);
}

/* ---- LayerNorm (Ba et al., arXiv:1607.06450); aux = {mean, inv} per row ---- */

static int shape_layernorm(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    if (x->ndim < 1)
        return ml_shape_fail(g, t, "a scalar has no last dimension");
    take_shape(t, x);
    t->aux_count = 2 * ml_rows(x);
    int status = check_float(g, t, x);
    if (status == 0)
        status = check_weight(g, t, t->src[1], ml_width(x), "weight");
    return status ? status : check_weight(g, t, t->src[2], ml_width(x), "bias");
}

static void layernorm_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct rows_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    float eps = ml_attr(t, struct norm_attr)->eps, *buffer = worker_buffer(job, worker);
    int64_t d = job->width;
    for (int64_t r = begin; r < end; r++) {
        const float *x = ml_load(k, t->src[0], r * d, d, buffer);
        float *y = ml_store_begin(t, r * d, buffer);
        k->layernorm(d, y, x, numbers(t->src[1]), numbers(t->src[2]), eps, t->aux + 2 * r);
        ml_store_end(k, t, r * d, d, y);
    }
}

static void forward_layernorm(struct ml_run *run, struct ml_tensor *t)
{
    struct rows_job job = rows_job(run, t, t->src[0], 1);
    ml_parallel(run, job.rows, row_grain(job.width), layernorm_range, &job);
}

static void backward_layernorm(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                               struct ml_tensor **dsrc)
{
    norm_backward(g, ML_OP_LAYERNORM_GRAD, t, dt, dsrc);
}

const struct ml_op ml_op_layernorm = {
    .name = "layernorm",
    .what = "rows brought to mean 0 and variance 1, times a weight, plus a bias",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_layernorm,
    .forward = forward_layernorm,
    .backward = backward_layernorm,
    .flops = flops_rows,
    .scratch = scratch_rows,
    .in_place = 1,
};

static void layernorm_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct rows_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    const struct ml_tensor *forward = job->t->src[0], *x = job->t->src[1], *dt = job->t->src[3];
    int64_t d = job->width, chunk = begin / job->chunk;
    float *bx = worker_buffer(job, worker), *bdt = bx + align_floats(d);
    float *dw = job->partial_w ? job->partial_w + chunk * d : NULL;
    float *db = job->partial_b ? job->partial_b + chunk * d : NULL;
    if (dw)
        k->fill(d, dw, 0.0f);
    if (db)
        k->fill(d, db, 0.0f);
    for (int64_t r = begin; r < end; r++)
        k->layernorm_grad(d, (float *)job->t->data + r * d, dw, db, ml_load(k, dt, r * d, d, bdt),
                          ml_load(k, x, r * d, d, bx), numbers(job->t->src[2]),
                          forward->aux + 2 * r);
}

static void forward_layernorm_grad(struct ml_run *run, struct ml_tensor *t)
{
    norm_grad_rows(run, t, layernorm_grad_range);
}

const struct ml_op ml_op_layernorm_grad = {
    .name = "layernorm_grad",
    .what = "gradient of layernorm: [dx | dw | db]",
    .min_src = 4,
    .max_src = 4,
    .shape = shape_norm_grad,
    .forward = forward_layernorm_grad,
    .flops = flops_norm_grad,
    .scratch = scratch_norm_grad,
};

struct ml_tensor *ml_layernorm(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                               struct ml_tensor *b, float eps)
{
    struct norm_attr attr = {.eps = eps};
    struct ml_tensor *src[3] = {x, w, b};
    return ml_node(g, ML_OP_LAYERNORM, src, 3, &attr, sizeof attr);
}

/* ---- GroupNorm (Wu & He, arXiv:1803.08494): x [N,C,...]; aux = {mean, inv} per sample and group.
 * A group's channels and all that follows are adjacent, so a group is one long LayerNorm row whose
 * weights change from channel to channel. ---- */

struct group_sizes {
    int64_t samples, groups, channels; /* channels of one group */
    int64_t inner;                     /* numbers of one channel */
};

static struct group_sizes group_sizes(const struct ml_tensor *x, int groups)
{
    struct group_sizes s = {x->dim[0], groups, x->dim[1] / groups, 1};
    for (int i = 2; i < x->ndim; i++)
        s.inner *= x->dim[i];
    return s;
}

static int shape_groupnorm(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    int groups = ml_attr(t, struct norm_attr)->groups;
    if (x->ndim < 2)
        return ml_shape_fail(g, t, "the input must be [N,C,...]");
    if (groups < 1 || x->dim[1] % groups != 0)
        return ml_shape_fail(g, t, "%lld channels do not make %d groups", (long long)x->dim[1],
                             groups);
    take_shape(t, x);
    t->aux_count = 2 * x->dim[0] * groups;
    int status = check_float(g, t, x);
    if (status == 0)
        status = check_weight(g, t, t->src[1], x->dim[1], "weight");
    return status ? status : check_weight(g, t, t->src[2], x->dim[1], "bias");
}

struct group_job {
    const struct ml_run *run;
    struct ml_tensor *t;
    struct group_sizes size;
    size_t buffer_floats;
    float *partial; /* gradient: dw [samples, C], then db [samples, C] */
};

static void groupnorm_task(void *arg, int64_t task, int worker)
{
    const struct group_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    const struct group_sizes *s = &job->size;
    const float *w = numbers(t->src[1]), *b = numbers(t->src[2]);
    int64_t n = s->channels * s->inner, c0 = task % s->groups * s->channels;
    float *buffer = (float *)job->run->scratch + (size_t)worker * job->buffer_floats;
    const float *x = ml_load(k, t->src[0], task * n, n, buffer);
    float *y = ml_store_begin(t, task * n, buffer);
    k->layernorm(n, y, x, NULL, NULL, ml_attr(t, struct norm_attr)->eps, t->aux + 2 * task);
    bool silu = ml_attr(t, struct norm_attr)->silu;
    for (int64_t c = 0; c < s->channels && (w || b || silu); c++) {
        float *row = y + c * s->inner;
        if (w || b)
            k->affine(s->inner, row, row, w ? w[c0 + c] : 1.0f, b ? b[c0 + c] : 0.0f);
        if (silu) /* while the channel is in L1 */
            k->unary[ML_UNARY_SILU](s->inner, row, row);
    }
    ml_store_end(k, t, task * n, n, y);
}

static size_t scratch_groupnorm(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    (void)k;
    const struct ml_tensor *x = t->src[0];
    if (x->dtype == ML_F32)
        return 0;
    struct group_sizes s = group_sizes(x, ml_attr((struct ml_tensor *)t, struct norm_attr)->groups);
    return (size_t)threads * align_floats(s.channels * s.inner) * sizeof(float);
}

static void forward_groupnorm(struct ml_run *run, struct ml_tensor *t)
{
    struct group_job job = {.run = run, .t = t};
    job.size = group_sizes(t->src[0], ml_attr(t, struct norm_attr)->groups);
    job.buffer_floats = align_floats(job.size.channels * job.size.inner);
    ml_pool_run(run->pool, job.size.samples * job.size.groups, groupnorm_task, &job);
}

static void backward_groupnorm(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                               struct ml_tensor **dsrc)
{
    const struct norm_attr *attr = ml_attr(t, struct norm_attr);
    if (attr->silu) { /* what silu was applied to is made anew rather than kept */
        struct ml_tensor *norm =
            ml_groupnorm(g, t->src[0], t->src[1], t->src[2], attr->groups, attr->eps);
        int silu = ML_UNARY_SILU;
        dt = ml_node(g, ML_OP_UNARY_GRAD, (struct ml_tensor *[]){dt, norm}, 2, &silu, sizeof silu);
        t = norm;
    }
    norm_backward(g, ML_OP_GROUPNORM_GRAD, t, dt, dsrc);
}

const struct ml_op ml_op_groupnorm = {
    .name = "groupnorm",
    .what = "groups of channels brought to mean 0 and variance 1, times a weight, plus a bias",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_groupnorm,
    .forward = forward_groupnorm,
    .backward = backward_groupnorm,
    .flops = flops_rows,
    .scratch = scratch_groupnorm,
    .in_place = 1,
};

/* With xh = (x - mean) * inv and a = w dy:  dx = inv * (a - mean(a) - xh * mean(a xh)),
 * dw = sum(dy xh), db = sum(dy), so that both means come from the channels' sums. */
static void groupnorm_grad_task(void *arg, int64_t task, int worker)
{
    const struct group_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    const struct ml_tensor *x = job->t->src[1], *dt = job->t->src[3];
    const struct group_sizes *s = &job->size;
    const float *w = numbers(job->t->src[2]), *stats = job->t->src[0]->aux + 2 * task;
    float mean = stats[0], inv = stats[1];
    int64_t all = s->groups * s->channels, base = task * s->channels, inner = s->inner;
    float *dw = job->partial + base, *db = job->partial + s->samples * all + base;
    float *xh = (float *)job->run->scratch + (size_t)worker * job->buffer_floats;
    float *bdt = xh + align_floats(inner);
    double mean_a = 0, mean_ax = 0;
    for (int64_t c = 0; c < s->channels; c++) {
        int64_t at = (base + c) * inner;
        const float *dy = ml_load(k, dt, at, inner, bdt);
        k->affine(inner, xh, ml_load(k, x, at, inner, xh), inv, -mean * inv);
        dw[c] = k->dot(inner, dy, xh);
        db[c] = k->sum(inner, dy);
        double scale = w ? (double)w[(base + c) % all] : 1.0;
        mean_a += scale * (double)db[c];
        mean_ax += scale * (double)dw[c];
    }
    mean_a /= (double)(s->channels * inner);
    mean_ax /= (double)(s->channels * inner);
    for (int64_t c = 0; c < s->channels; c++) {
        int64_t at = (base + c) * inner;
        float *dx = (float *)job->t->data + at;
        const float *dy = ml_load(k, dt, at, inner, bdt);
        k->affine(inner, xh, ml_load(k, x, at, inner, xh), inv, -mean * inv);
        k->affine(inner, dx, dy, inv * (w ? w[(base + c) % all] : 1.0f), (float)-mean_a * inv);
        k->axpy(inner, dx, (float)-mean_ax * inv, xh);
    }
}

static size_t scratch_groupnorm_grad(const struct ml_kernels *k, const struct ml_tensor *t,
                                     int threads)
{
    (void)k;
    const struct ml_tensor *x = t->src[1];
    struct group_sizes s = group_sizes(x, ml_attr((struct ml_tensor *)t, struct norm_attr)->groups);
    size_t total = (size_t)threads * 2 * align_floats(s.inner) * sizeof(float);
    ml_scratch_piece(&total, (size_t)(2 * x->dim[0] * x->dim[1]) * sizeof(float));
    return total;
}

static void forward_groupnorm_grad(struct ml_run *run, struct ml_tensor *t)
{
    const struct norm_attr *attr = ml_attr(t, struct norm_attr);
    const struct ml_tensor *x = t->src[1];
    struct group_job job = {.run = run, .t = t, .size = group_sizes(x, attr->groups)};
    job.buffer_floats = 2 * align_floats(job.size.inner);
    job.partial = (float *)run->scratch + (size_t)run->threads * job.buffer_floats;
    ml_pool_run(run->pool, job.size.samples * job.size.groups, groupnorm_grad_task, &job);
    float *out = (float *)t->data + ml_count(x);
    if (attr->want_w) {
        add_partials(run->k, out, job.partial, x->dim[0], x->dim[1]);
        out += x->dim[1];
    }
    if (attr->want_b)
        add_partials(run->k, out, job.partial + x->dim[0] * x->dim[1], x->dim[0], x->dim[1]);
}

const struct ml_op ml_op_groupnorm_grad = {
    .name = "groupnorm_grad",
    .what = "gradient of groupnorm: [dx | dw | db]",
    .min_src = 4,
    .max_src = 4,
    .shape = shape_norm_grad,
    .forward = forward_groupnorm_grad,
    .flops = flops_norm_grad,
    .scratch = scratch_groupnorm_grad,
};

struct ml_tensor *ml_groupnorm(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                               struct ml_tensor *b, int groups, float eps)
{
    struct norm_attr attr = {.eps = eps, .groups = groups};
    struct ml_tensor *src[3] = {x, w, b};
    return ml_node(g, ML_OP_GROUPNORM, src, 3, &attr, sizeof attr);
}

struct ml_tensor *ml_groupnorm_silu(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                                    struct ml_tensor *b, int groups, float eps)
{
    struct norm_attr attr = {.eps = eps, .groups = groups, .silu = true};
    struct ml_tensor *src[3] = {x, w, b};
    return ml_node(g, ML_OP_GROUPNORM, src, 3, &attr, sizeof attr);
}

/* ---- softmax over the last dimension of scale*x ---- */

static int shape_softmax(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    if (x->ndim < 1)
        return ml_shape_fail(g, t, "a scalar has no last dimension");
    take_shape(t, x);
    return check_float(g, t, x);
}

static void softmax_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct rows_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    float scale = *ml_attr(t, float), *buffer = worker_buffer(job, worker);
    int64_t d = job->width;
    for (int64_t r = begin; r < end; r++) {
        const float *x = ml_load(k, t->src[0], r * d, d, buffer);
        float *y = ml_store_begin(t, r * d, buffer);
        k->softmax(d, y, x, scale);
        ml_store_end(k, t, r * d, d, y);
    }
}

static void forward_softmax(struct ml_run *run, struct ml_tensor *t)
{
    struct rows_job job = rows_job(run, t, t->src[0], 1);
    ml_parallel(run, job.rows, row_grain(job.width), softmax_range, &job);
}

static void backward_softmax(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                             struct ml_tensor **dsrc)
{
    struct ml_tensor *src[2] = {t, dt};
    dsrc[0] = ml_node(g, ML_OP_SOFTMAX_GRAD, src, 2, t->attr, sizeof(float));
}

const struct ml_op ml_op_softmax = {
    .name = "softmax",
    .what = "exponentials of a row over their sum",
    .min_src = 1,
    .max_src = 1,
    .shape = shape_softmax,
    .forward = forward_softmax,
    .backward = backward_softmax,
    .flops = flops_rows,
    .scratch = scratch_rows,
    .in_place = 1,
};

static void softmax_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct rows_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    float scale = *ml_attr(t, float), *by = worker_buffer(job, worker);
    int64_t d = job->width;
    float *bdt = by + align_floats(d);
    for (int64_t r = begin; r < end; r++) {
        const float *y = ml_load(k, t->src[0], r * d, d, by);
        const float *dy = ml_load(k, t->src[1], r * d, d, bdt);
        float *dx = ml_store_begin(t, r * d, bdt);
        k->softmax_grad(d, dx, dy, y);
        if (scale != 1.0f)
            k->affine(d, dx, dx, scale, 0.0f);
        ml_store_end(k, t, r * d, d, dx);
    }
}

static void forward_softmax_grad(struct ml_run *run, struct ml_tensor *t)
{
    struct rows_job job = rows_job(run, t, t->src[0], 2);
    ml_parallel(run, job.rows, row_grain(job.width), softmax_grad_range, &job);
}

const struct ml_op ml_op_softmax_grad = {
    .name = "softmax_grad",
    .what = "gradient of softmax from its output",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_softmax,
    .forward = forward_softmax_grad,
    .flops = flops_rows,
    .scratch = scratch_rows,
    .in_place = 2, /* dx over dy */
};

struct ml_tensor *ml_softmax(struct ml_graph *g, struct ml_tensor *x, float scale)
{
    return ml_node(g, ML_OP_SOFTMAX, &x, 1, &scale, sizeof scale);
}
