/* Padding along one axis, with zeros, mirrored or with the edge repeated, and its gradient.
 * x is seen as [outer, length, inner]. */
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/ops.h"

#define GRAIN (16 * ML_CHUNK) /* elements a task takes */

/* The shape of the longer side, in elements: rows of `inner`, `outer` times. */
struct extent {
    int64_t outer, inner, length, padded;
};

static struct extent extent_of(const struct ml_tensor *shorter, const struct ml_tensor *longer,
                               int axis)
{
    struct extent e = {1, 1, shorter->dim[axis], longer->dim[axis]};
    for (int i = 0; i < axis; i++)
        e.outer *= shorter->dim[i];
    for (int i = axis + 1; i < shorter->ndim; i++)
        e.inner *= shorter->dim[i];
    return e;
}

static int64_t grain_of(int64_t width)
{
    return width >= GRAIN ? 1 : GRAIN / (width > 0 ? width : 1);
}

static int64_t no_flops(const struct ml_tensor *t)
{
    return 0;
}

/* Checks axis, amounts and mode for an axis of `length` numbers. */
static int check(struct ml_graph *g, struct ml_tensor *t, int64_t length)
{
    const struct pad_attr *a = ml_attr(t, struct pad_attr);
    const int64_t limit = INT64_C(1) << 40;
    if (a->before < 0 || a->after < 0 || a->before > limit || a->after > limit)
        return ml_shape_fail(g, t, "cannot pad by %lld and %lld", (long long)a->before,
                             (long long)a->after);
    if (a->mode == ML_PAD_REFLECT && (a->before >= length || a->after >= length))
        return ml_shape_fail(g, t, "axis %d is too short to mirror %lld and %lld numbers", a->axis,
                             (long long)a->before, (long long)a->after);
    if (a->mode == ML_PAD_REPLICATE && length < 1)
        return ml_shape_fail(g, t, "axis %d is empty: no edge to repeat", a->axis);
    return 0;
}

static int pad_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    const struct pad_attr *a = ml_attr(t, struct pad_attr);
    if (a->axis < 0 || a->axis >= x->ndim)
        return ml_shape_fail(g, t, "axis %d of %d dimensions", a->axis, x->ndim);
    t->dtype = x->dtype;
    t->ndim = x->ndim;
    memcpy(t->dim, x->dim, sizeof t->dim);
    t->dim[a->axis] += a->before + a->after;
    return check(g, t, x->dim[a->axis]);
}

/* The place in x of padded place j, or -1 for a zero. */
static int64_t origin(const struct pad_attr *a, int64_t j, int64_t length)
{
    int64_t i = j - a->before;
    if (i >= 0 && i < length)
        return i;
    switch ((enum ml_pad_mode)a->mode) {
    case ML_PAD_REFLECT:
        return i < 0 ? -i : 2 * (length - 1) - i;
    case ML_PAD_REPLICATE:
        return i < 0 ? 0 : length - 1;
    default:
        return -1;
    }
}

struct pad_job {
    const struct ml_run *run;
    struct ml_tensor *t;
    struct extent e;
};

static void pad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct pad_job *job = arg;
    const struct pad_attr *a = ml_attr(job->t, struct pad_attr);
    const struct extent *e = &job->e;
    size_t row = (size_t)e->inner * ml_dtype_size(job->t->dtype);
    for (int64_t r = begin, n; r < end; r += n) {
        int64_t outer = r / e->padded, j = r % e->padded, i = origin(a, j, e->length);
        char *dst = (char *)job->t->data + (size_t)r * row;
        n = 1;
        if (j >= a->before && j < a->before + e->length) { /* as many as lie together */
            n = a->before + e->length - j;
            n = n < end - r ? n : end - r;
        }
        if (i < 0)
            memset(dst, 0, row);
        else
            memcpy(dst, (const char *)job->t->src[0]->data + (size_t)(outer * e->length + i) * row,
                   (size_t)n * row);
    }
}

static void pad_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct pad_job job = {run, t, extent_of(t->src[0], t, ml_attr(t, struct pad_attr)->axis)};
    if (job.e.inner > 0)
        ml_parallel(run, job.e.outer * job.e.padded, grain_of(job.e.inner), pad_range, &job);
}

static void pad_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                         struct ml_tensor **dsrc)
{
    const struct pad_attr *a = ml_attr(t, struct pad_attr);
    if (a->mode == ML_PAD_ZERO)
        dsrc[0] = ml_slice(g, dt, a->axis, a->before, t->src[0]->dim[a->axis]);
    else
        dsrc[0] = ml_node(g, ML_OP_PAD_GRAD, &dt, 1, a, sizeof *a);
}

const struct ml_op ml_op_pad = {
    .name = "pad",
    .what = "an axis made longer with zeros, mirrored or with its edge repeated",
    .min_src = 1,
    .max_src = 1,
    .shape = pad_shape,
    .forward = pad_forward,
    .backward = pad_backward,
    .flops = no_flops,
};

struct ml_tensor *ml_pad(struct ml_graph *g, struct ml_tensor *x, int axis, int64_t before,
                         int64_t after, enum ml_pad_mode mode)
{
    struct pad_attr attr = {.axis = axis, .mode = (int)mode, .before = before, .after = after};
    if (before == 0 && after == 0 && axis >= 0 && axis < x->ndim)
        return x;
    return ml_node(g, ML_OP_PAD, &x, 1, &attr, sizeof attr);
}

/* ---- gradient of the modes that repeat numbers: dx[i] = sum of dy[j] over j with origin(j) = i.
 * Each place sums what came from it, so that no two tasks write the same place. ---- */

static int pad_grad_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *dy = t->src[0];
    const struct pad_attr *a = ml_attr(t, struct pad_attr);
    if (a->axis < 0 || a->axis >= dy->ndim)
        return ml_shape_fail(g, t, "axis %d of %d dimensions", a->axis, dy->ndim);
    if (dy->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers have no gradient");
    t->dtype = dy->dtype;
    t->ndim = dy->ndim;
    memcpy(t->dim, dy->dim, sizeof t->dim);
    t->dim[a->axis] -= a->before + a->after;
    return check(g, t, t->dim[a->axis]);
}

/* The ranges of padded places beside its own that place i was copied to: at most one on each side;
 * the mirrored ones are single places. */
static void copies(const struct pad_attr *a, int64_t i, int64_t length, int64_t range[2][2])
{
    int64_t end = a->before + length;
    memset(range, 0, 2 * sizeof *range);
    if (a->mode == ML_PAD_REPLICATE) {
        if (i == 0)
            range[0][1] = a->before;
        if (i == length - 1) {
            range[1][0] = end;
            range[1][1] = end + a->after;
        }
        return;
    }
    if (i >= 1 && i <= a->before) {
        range[0][0] = a->before - i;
        range[0][1] = range[0][0] + 1;
    }
    if (i <= length - 2 && i >= length - 1 - a->after) {
        range[1][0] = end - 1 + (length - 1 - i);
        range[1][1] = range[1][0] + 1;
    }
}

/* One row of dx at flat row r of the result; base: the first row of dy of this outer index. */
static void sum_row(const struct pad_job *job, int64_t r, int64_t base, int64_t i,
                    int64_t range[2][2])
{
    const struct ml_kernels *k = job->run->k;
    const struct ml_tensor *dy = job->t->src[0];
    int64_t own = base + ml_attr(job->t, struct pad_attr)->before + i, inner = job->e.inner;
    float sum_buffer[ML_CHUNK], load_buffer[ML_CHUNK];
    for (int64_t c = 0; c < inner; c += ML_CHUNK) {
        int64_t n = inner - c < ML_CHUNK ? inner - c : ML_CHUNK;
        float *sum = ml_store_begin(job->t, r * inner + c, sum_buffer);
        const float *x = ml_load(k, dy, own * inner + c, n, load_buffer);
        memcpy(sum, x, (size_t)n * sizeof *sum);
        for (int side = 0; side < 2; side++)
            for (int64_t j = range[side][0]; j < range[side][1]; j++)
                k->binary[ML_BINARY_ADD](n, sum, sum,
                                         ml_load(k, dy, (base + j) * inner + c, n, load_buffer));
        ml_store_end(k, job->t, r * inner + c, n, sum);
    }
}

static void pad_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct pad_job *job = arg;
    const struct pad_attr *a = ml_attr(job->t, struct pad_attr);
    const struct extent *e = &job->e;
    size_t row = (size_t)e->inner * ml_dtype_size(job->t->dtype);
    for (int64_t r = begin; r < end; r++) {
        int64_t i = r % e->length, base = r / e->length * e->padded, range[2][2];
        copies(a, i, e->length, range);
        if (range[0][0] < range[0][1] || range[1][0] < range[1][1])
            sum_row(job, r, base, i, range);
        else
            memcpy((char *)job->t->data + (size_t)r * row,
                   (const char *)job->t->src[0]->data + (size_t)(base + a->before + i) * row, row);
    }
}

static void pad_grad_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct pad_job job = {run, t, extent_of(t, t->src[0], ml_attr(t, struct pad_attr)->axis)};
    if (job.e.inner > 0)
        ml_parallel(run, job.e.outer * job.e.length, grain_of(job.e.inner), pad_grad_range, &job);
}

static void pad_grad_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                              struct ml_tensor **dsrc)
{
    const struct pad_attr *a = ml_attr(t, struct pad_attr);
    dsrc[0] = ml_pad(g, dt, a->axis, a->before, a->after, (enum ml_pad_mode)a->mode);
}

const struct ml_op ml_op_pad_grad = {
    .name = "pad_grad",
    .what = "gradient of pad: each number's copies summed",
    .min_src = 1,
    .max_src = 1,
    .shape = pad_grad_shape,
    .forward = pad_grad_forward,
    .backward = pad_grad_backward,
};
