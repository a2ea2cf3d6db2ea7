/* Reductions over any axes: sum, mean, max; the gradient of max; the sum that undoes a broadcast.
 *
 * Neighbouring axes that are treated alike are one. What remains alternates between kept and
 * reduced axes; the innermost is handled by kernels along memory, the others are walked:
 *   innermost reduced: result[o] = fold over outer reduced r of fold(x[o, r, :])
 *   innermost kept:    result[o, :] = fold over outer reduced r of x[o, r, :]
 * Where the results are too few to occupy the threads, the steps are cut into `parts`, each summed
 * on its own, and the parts are summed in order. All cuts depend on the shape alone. */
#include <math.h>

#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/ops.h"
#include "tensor/walk.h"

#define PIECE      4096  /* numbers that one call of a kernel folds */
#define BLOCK_ROWS 128   /* rows summed before their sum is added */
#define TASK       32768 /* numbers that one task folds, at least */
#define MIN_UNITS  32    /* independent pieces of work that are wanted */

struct fold {
    struct ml_walk kept, reduced; /* outer axes */
    int64_t inner;                /* length of the innermost */
    bool inner_kept;
    int64_t outer;            /* places of `kept` */
    int64_t results;          /* all results */
    int64_t pieces;           /* of at most PIECE in the innermost axis */
    int64_t steps, per_part;  /* of one result (or row of results), and of one part of it */
    int64_t parts, units;     /* units: tasks before grouping */
    int64_t unit_work, count; /* numbers folded by a unit; numbers folded into one result */
};

/* Splits x's shape by the set of reduced axes. */
static void fold_axes(struct fold *f, const struct ml_tensor *x, unsigned axes)
{
    int64_t dim[ML_MAX_DIMS], stride[ML_MAX_DIMS], total = 1;
    bool kept[ML_MAX_DIMS];
    int n = 0;
    memset(f, 0, sizeof *f);
    f->count = 1;
    for (int i = 0; i < x->ndim; i++) {
        bool keep = !(axes >> i & 1u);
        f->count *= keep ? 1 : x->dim[i];
        if (x->dim[i] == 1)
            continue;
        if (n > 0 && kept[n - 1] == keep) {
            dim[n - 1] *= x->dim[i];
            continue;
        }
        dim[n] = x->dim[i];
        kept[n++] = keep;
    }
    for (int i = n - 1; i >= 0; i--) {
        stride[i] = total;
        total *= dim[i];
    }
    f->inner = n > 0 ? dim[n - 1] : 1;
    f->inner_kept = n > 0 && kept[n - 1];
    for (int i = 0; i < n - 1; i++)
        ml_walk_push(kept[i] ? &f->kept : &f->reduced, dim[i], stride[i]);
    f->outer = ml_walk_count(&f->kept);
    f->results = f->outer * (f->inner_kept ? f->inner : 1);
    f->pieces = (f->inner + PIECE - 1) / PIECE;
}

static void fold_cut(struct fold *f)
{
    int64_t rows = ml_walk_count(&f->reduced);
    f->steps = f->inner_kept ? rows : rows * f->pieces;
    f->units = f->inner_kept ? f->outer * f->pieces : f->outer;
    int64_t work = f->results * f->count;
    f->parts = 1;
    if (f->units > 0 && f->units < MIN_UNITS && work >= 2 * TASK) {
        int64_t want = (MIN_UNITS + f->units - 1) / f->units;
        want = want < work / TASK ? want : work / TASK;
        f->parts = want < f->steps ? want : f->steps;
    }
    f->parts = f->parts > 0 ? f->parts : 1;
    f->per_part = (f->steps + f->parts - 1) / f->parts;
    f->units *= f->parts;
    f->unit_work = f->units > 0 ? work / f->units : 0;
}

static void fold_init(struct fold *f, const struct ml_tensor *t)
{
    fold_axes(f, t->src[0], ml_attr(t, struct reduce_attr)->axes);
    fold_cut(f);
}

struct reduce_job {
    const struct ml_run *run;
    const struct ml_tensor *t;
    struct fold f;
    enum ml_reduce kind;
    float *partial; /* [parts, results]; the result itself where that is f32 and parts is 1 */
};

static float fold_numbers(const struct reduce_job *job, int64_t part, int64_t o)
{
    const struct fold *f = &job->f;
    const struct ml_kernels *k = job->run->k;
    bool max = job->kind == ML_REDUCE_MAX;
    float buffer[PIECE], result = max ? -INFINITY : 0;
    int64_t begin = part * f->per_part, end = begin + f->per_part;
    end = end < f->steps ? end : f->steps;
    struct ml_walk kept = f->kept, reduced = f->reduced;
    if (begin >= end)
        return result;
    ml_walk_seek(&kept, o);
    ml_walk_seek(&reduced, begin / f->pieces);
    for (int64_t step = begin; step < end; step++) {
        int64_t piece = step % f->pieces, at = piece * PIECE;
        int64_t n = f->inner - at < PIECE ? f->inner - at : PIECE;
        const float *x = ml_load(k, job->t->src[0], kept.offset + reduced.offset + at, n, buffer);
        if (max) {
            float both[2] = {result, k->max(n, x)};
            result = k->max(2, both);
        } else {
            result += k->sum(n, x);
        }
        if (piece == f->pieces - 1)
            ml_walk_next(&reduced);
    }
    return result;
}

/* Rows of numbers folded into y [n]; `at` is the first column. Rows are summed by blocks and the
 * blocks then, so that a long sum loses less to rounding. */
static void fold_rows(const struct reduce_job *job, int64_t part, int64_t o, int64_t at, int64_t n,
                      float *y)
{
    const struct fold *f = &job->f;
    const struct ml_kernels *k = job->run->k;
    int op = job->kind == ML_REDUCE_MAX ? ML_BINARY_MAX : ML_BINARY_ADD;
    float block[PIECE], buffer[PIECE];
    int64_t begin = part * f->per_part, end = begin + f->per_part;
    end = end < f->steps ? end : f->steps;
    struct ml_walk kept = f->kept, reduced = f->reduced;
    ml_walk_seek(&kept, o);
    k->fill(n, y, op == ML_BINARY_MAX ? -INFINITY : 0);
    if (begin < end)
        ml_walk_seek(&reduced, begin);
    for (int64_t step = begin; step < end;) {
        int64_t first = step, stop = step + BLOCK_ROWS < end ? step + BLOCK_ROWS : end;
        for (; step < stop; step++, ml_walk_next(&reduced)) {
            const float *x =
                ml_load(k, job->t->src[0], kept.offset + reduced.offset + at, n, buffer);
            if (step == first)
                memcpy(block, x, (size_t)n * sizeof *block);
            else
                k->binary[op](n, block, block, x);
        }
        k->binary[op](n, y, y, block);
    }
}

static void reduce_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct reduce_job *job = arg;
    const struct fold *f = &job->f;
    for (int64_t u = begin; u < end; u++) {
        if (!f->inner_kept) {
            job->partial[u] = fold_numbers(job, u / f->outer, u % f->outer);
            continue;
        }
        int64_t at = u % f->pieces * PIECE, row = u / f->pieces;
        int64_t n = f->inner - at < PIECE ? f->inner - at : PIECE;
        fold_rows(job, row / f->outer, row % f->outer, at, n, job->partial + row * f->inner + at);
    }
}

/* Folds the parts, scales the mean, converts to the result's dtype. */
static void finish_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct reduce_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    float buffer[ML_CHUNK];
    int add = job->kind == ML_REDUCE_MAX ? ML_BINARY_MAX : ML_BINARY_ADD;
    for (int64_t at = begin; at < end; at += ML_CHUNK) {
        int64_t n = end - at < ML_CHUNK ? end - at : ML_CHUNK;
        float *y = ml_store_begin(job->t, at, buffer);
        if (y != job->partial + at)
            memcpy(y, job->partial + at, (size_t)n * sizeof *y);
        for (int64_t part = 1; part < job->f.parts; part++)
            k->binary[add](n, y, y, job->partial + part * job->f.results + at);
        if (job->kind == ML_REDUCE_MEAN)
            k->affine(n, y, y, 1.0f / (float)job->f.count, 0);
        ml_store_end(k, job->t, at, n, y);
    }
}

static void reduce_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct reduce_job job = {.run = run, .t = t};
    job.kind = (enum ml_reduce)ml_attr(t, struct reduce_attr)->kind;
    fold_init(&job.f, t);
    bool direct = job.f.parts == 1 && t->dtype == ML_F32;
    job.partial = direct ? t->data : run->scratch;
    int64_t grain = job.f.unit_work >= TASK ? 1 : TASK / (job.f.unit_work + 1) + 1;
    ml_parallel(run, job.f.units, grain, reduce_range, &job);
    if (!direct || job.kind == ML_REDUCE_MEAN)
        ml_parallel(run, job.f.results, 16 * ML_CHUNK, finish_range, &job);
}

static size_t reduce_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct fold f;
    fold_init(&f, t);
    return (f.parts == 1 && t->dtype == ML_F32) ? 0 : (size_t)(f.parts * f.results) * sizeof(float);
}

static int64_t reduce_flops(const struct ml_tensor *t)
{
    return ml_count(t->src[0]);
}

static int reduce_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    const struct reduce_attr *a = ml_attr(t, struct reduce_attr);
    if (x->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers are not reduced");
    if (a->axes >> x->ndim)
        return ml_shape_fail(g, t, "axes 0x%x of %d dimensions", a->axes, x->ndim);
    if (a->kind < ML_REDUCE_SUM || a->kind > ML_REDUCE_MAX)
        return ml_shape_fail(g, t, "no reduction has number %d", a->kind);
    t->dtype = (enum ml_dtype)a->dtype;
    t->ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++)
        t->dim[i] = a->axes >> i & 1u ? 1 : x->dim[i];
    return 0;
}

static void reduce_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    struct ml_tensor *x = t->src[0];
    const struct reduce_attr *a = ml_attr(t, struct reduce_attr);
    if (a->kind == ML_REDUCE_MAX) {
        struct ml_tensor *src[3] = {x, t, dt};
        dsrc[0] = ml_node(g, ML_OP_REDUCE_MAX_GRAD, src, 3, a, sizeof *a);
        return;
    }
    if (a->kind == ML_REDUCE_MEAN) {
        struct fold f;
        fold_axes(&f, x, a->axes);
        dt = ml_affine(g, dt, 1.0f / (float)f.count, 0);
    }
    dsrc[0] = ml_broadcast(g, ml_cast(g, dt, x->dtype), x->ndim, x->dim);
}

const struct ml_op ml_op_reduce = {
    .name = "reduce",
    .what = "sum, mean or maximum over some axes",
    .min_src = 1,
    .max_src = 1,
    .shape = reduce_shape,
    .forward = reduce_forward,
    .backward = reduce_backward,
    .flops = reduce_flops,
    .scratch = reduce_scratch,
};

static struct ml_tensor *reduce_to(struct ml_graph *g, enum ml_reduce kind, struct ml_tensor *x,
                                   unsigned axes, enum ml_dtype dtype)
{
    struct reduce_attr attr = {.kind = (int)kind, .axes = axes, .dtype = (int)dtype};
    return ml_node(g, ML_OP_REDUCE, &x, 1, &attr, sizeof attr);
}

struct ml_tensor *ml_reduce(struct ml_graph *g, enum ml_reduce kind, struct ml_tensor *x,
                            unsigned axes)
{
    return reduce_to(g, kind, x, axes, x->dtype);
}

static struct ml_tensor *reduce_all(struct ml_graph *g, enum ml_reduce kind, struct ml_tensor *x)
{
    struct ml_tensor *y = reduce_to(g, kind, x, (1u << x->ndim) - 1u, ML_F32);
    return ml_reshape(g, y, 1, (int64_t[]){1});
}

struct ml_tensor *ml_sum_all(struct ml_graph *g, struct ml_tensor *x)
{
    return reduce_all(g, ML_REDUCE_SUM, x);
}

struct ml_tensor *ml_mean_all(struct ml_graph *g, struct ml_tensor *x)
{
    return reduce_all(g, ML_REDUCE_MEAN, x);
}

/* ---- sum_to: reduces like ML_REDUCE_SUM, the result has a shape of its own ---- */

static int sum_to_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    struct reduce_attr *a = ml_attr(t, struct reduce_attr);
    if (x->dtype == ML_I32 || a->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers are not summed");
    if (a->ndim > x->ndim)
        return ml_shape_fail(g, t, "cannot be summed to %d dimensions", a->ndim);
    a->axes = 0;
    for (int i = 0; i < x->ndim; i++) {
        int to = i - (x->ndim - a->ndim);
        int64_t length = to >= 0 ? a->dim[to] : 1;
        if (length == 1)
            a->axes |= 1u << i;
        else if (length != x->dim[i])
            return ml_shape_fail(g, t, "dimension %d has length %lld, wanted is %lld", i,
                                 (long long)x->dim[i], (long long)length);
    }
    t->dtype = (enum ml_dtype)a->dtype;
    t->ndim = a->ndim;
    memcpy(t->dim, a->dim, sizeof t->dim);
    return 0;
}

static void sum_to_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    struct ml_tensor *x = t->src[0];
    dsrc[0] = ml_broadcast(g, ml_cast(g, dt, x->dtype), x->ndim, x->dim);
}

const struct ml_op ml_op_sum_to = {
    .name = "sum_to",
    .what = "sum over the axes along which a shape was broadcast",
    .min_src = 1,
    .max_src = 1,
    .shape = sum_to_shape,
    .forward = reduce_forward,
    .backward = sum_to_backward,
    .flops = reduce_flops,
    .scratch = reduce_scratch,
};

struct ml_tensor *ml_sum_to(struct ml_graph *g, struct ml_tensor *x, const struct ml_tensor *like)
{
    if (ml_same_shape(x, like))
        return ml_cast(g, x, like->dtype);
    struct reduce_attr attr = {
        .kind = ML_REDUCE_SUM, .dtype = (int)like->dtype, .ndim = like->ndim};
    memcpy(attr.dim, like->dim, sizeof attr.dim);
    return ml_node(g, ML_OP_SUM_TO, &x, 1, &attr, sizeof attr);
}

/* ---- gradient of the maximum: shared equally among all that reach it ---- */

struct max_grad_job {
    const struct ml_run *run;
    const struct ml_tensor *t; /* sources x, y = max(x), dy */
    struct fold f;
};

/* NaN is its own maximum. */
static bool is_max(float x, float y)
{
    return x == y || (x != x && y != y);
}

/* One result: the gradient of the numbers folded into it. */
static void max_grad_numbers(const struct max_grad_job *job, int64_t o)
{
    const struct fold *f = &job->f;
    const struct ml_kernels *k = job->run->k;
    const struct ml_tensor *t = job->t;
    float in[ML_CHUNK], out[ML_CHUNK], one;
    struct ml_walk kept = f->kept, reduced = f->reduced;
    ml_walk_seek(&kept, o);
    float y = *ml_load(k, t->src[1], o, 1, &one), dy = *ml_load(k, t->src[2], o, 1, &one);
    int64_t rows = ml_walk_count(&reduced), hits = 0;
    for (int pass = 0; pass < 2; pass++) {
        float share = hits > 0 ? dy / (float)hits : 0;
        ml_walk_seek(&reduced, 0);
        for (int64_t r = 0; r < rows; r++, ml_walk_next(&reduced))
            for (int64_t c = 0; c < f->inner; c += ML_CHUNK) {
                int64_t n = f->inner - c < ML_CHUNK ? f->inner - c : ML_CHUNK;
                int64_t at = kept.offset + reduced.offset + c;
                const float *x = ml_load(k, t->src[0], at, n, in);
                if (pass == 0) {
                    for (int64_t i = 0; i < n; i++)
                        hits += is_max(x[i], y);
                    continue;
                }
                float *dx = ml_store_begin(t, at, out);
                for (int64_t i = 0; i < n; i++)
                    dx[i] = is_max(x[i], y) ? share : 0;
                ml_store_end(k, t, at, n, dx);
            }
    }
}

/* A row of n results, from column c on. */
static void max_grad_rows(const struct max_grad_job *job, int64_t o, int64_t c, int64_t n)
{
    const struct fold *f = &job->f;
    const struct ml_kernels *k = job->run->k;
    const struct ml_tensor *t = job->t;
    float in[ML_CHUNK], out[ML_CHUNK], max[ML_CHUNK], share[ML_CHUNK], hits[ML_CHUNK] = {0};
    struct ml_walk kept = f->kept, reduced = f->reduced;
    ml_walk_seek(&kept, o);
    int64_t at = o * f->inner + c, rows = ml_walk_count(&reduced);
    const float *y = ml_load(k, t->src[1], at, n, max);
    const float *dy = ml_load(k, t->src[2], at, n, share);
    for (int pass = 0; pass < 2; pass++) {
        ml_walk_seek(&reduced, 0);
        for (int64_t r = 0; r < rows; r++, ml_walk_next(&reduced)) {
            at = kept.offset + reduced.offset + c;
            const float *x = ml_load(k, t->src[0], at, n, in);
            if (pass == 0) {
                for (int64_t i = 0; i < n; i++)
                    hits[i] += is_max(x[i], y[i]) ? 1.0f : 0.0f;
                continue;
            }
            float *dx = ml_store_begin(t, at, out);
            for (int64_t i = 0; i < n; i++)
                dx[i] = is_max(x[i], y[i]) ? dy[i] / hits[i] : 0;
            ml_store_end(k, t, at, n, dx);
        }
    }
}

static void max_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct max_grad_job *job = arg;
    int64_t chunks = (job->f.inner + ML_CHUNK - 1) / ML_CHUNK;
    for (int64_t u = begin; u < end; u++) {
        if (!job->f.inner_kept) {
            max_grad_numbers(job, u);
            continue;
        }
        int64_t c = u % chunks * ML_CHUNK, left = job->f.inner - c;
        max_grad_rows(job, u / chunks, c, left < ML_CHUNK ? left : ML_CHUNK);
    }
}

static void max_grad_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct max_grad_job job = {.run = run, .t = t};
    fold_axes(&job.f, t->src[0], ml_attr(t, struct reduce_attr)->axes);
    int64_t chunks = (job.f.inner + ML_CHUNK - 1) / ML_CHUNK;
    int64_t units = job.f.outer * (job.f.inner_kept ? chunks : 1);
    int64_t work = units > 0 ? ml_count(t) / units : 0;
    if (ml_count(t) > 0)
        ml_parallel(run, units, work >= TASK ? 1 : TASK / (work + 1) + 1, max_grad_range, &job);
}

static int max_grad_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0], *y = t->src[1], *dy = t->src[2];
    if (y->dtype != x->dtype || dy->dtype != x->dtype || !ml_same_shape(y, dy))
        return ml_shape_fail(g, t, "x, its maximum and the gradient do not fit");
    t->dtype = x->dtype;
    t->ndim = x->ndim;
    memcpy(t->dim, x->dim, sizeof t->dim);
    return 0;
}

static int64_t max_grad_flops(const struct ml_tensor *t)
{
    return 2 * ml_count(t);
}

const struct ml_op ml_op_reduce_max_grad = {
    .name = "reduce_max_grad",
    .what = "gradient of a maximum, shared among those that reach it",
    .min_src = 3,
    .max_src = 3,
    .shape = max_grad_shape,
    .forward = max_grad_forward,
    .flops = max_grad_flops,
};
