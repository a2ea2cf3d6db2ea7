/* Enlarging pictures by whole factors, and the gradient. x [N,C,H,W]; planes are independent.
 * Bilinear as PyTorch does with align_corners false: place o of a side enlarged s times stands at
 * (o + 0.5) / s - 0.5 of the original, which is cut off below 0; beyond the last number the last
 * number counts. */
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/ops.h"

#define TASK 16384 /* numbers of the larger side that a task takes, about */

struct sample_job {
    const struct ml_run *run;
    const struct ml_tensor *small, *large; /* small is the result of the gradient */
    int64_t h, w, sh, sw;                  /* of small; scales */
    size_t scratch_floats;                 /* per worker */
};

static int check(struct ml_graph *g, struct ml_tensor *t)
{
    const struct upsample_attr *a = ml_attr(t, struct upsample_attr);
    if (t->src[0]->ndim != 4)
        return ml_shape_fail(g, t, "[N,C,H,W] is needed");
    if (t->src[0]->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers are not enlarged");
    for (int d = 0; d < 2; d++)
        if (a->scale[d] < 1 || a->scale[d] > 1 << 20)
            return ml_shape_fail(g, t, "scale %d makes no sense", a->scale[d]);
    if (a->kind != ML_UPSAMPLE_NEAREST && a->kind != ML_UPSAMPLE_BILINEAR)
        return ml_shape_fail(g, t, "no kind of enlarging has number %d", a->kind);
    return 0;
}

static void job_init(struct sample_job *job, const struct ml_tensor *small,
                     const struct ml_tensor *large, const struct upsample_attr *a)
{
    memset(job, 0, sizeof *job);
    job->small = small;
    job->large = large;
    job->h = small->dim[2];
    job->w = small->dim[3];
    job->sh = a->scale[0];
    job->sw = a->scale[1];
    /* a row of each side, one more of the small, rounded to cache lines */
    job->scratch_floats = ((size_t)(2 * job->w + job->w * job->sw) + 31) / 16 * 16;
}

static size_t sample_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct sample_job job;
    bool grad = t->op == ML_OP_UPSAMPLE_GRAD;
    job_init(&job, grad ? t : t->src[0], grad ? t->src[0] : t, ml_attr(t, struct upsample_attr));
    return (size_t)threads * job.scratch_floats * sizeof(float);
}

/* Along one side of n numbers enlarged s times: block i, place r of it, lies between numbers
 * *left and *right, at the returned share of the way. */
static float between(int64_t i, int64_t r, int64_t s, int64_t n, int64_t *left, int64_t *right)
{
    int64_t twice = 2 * r + 1 - s; /* (r + 0.5) / s - 0.5 in units of 1 / 2s */
    *left = twice < 0 ? i - 1 : i;
    *right = *left + 1;
    if (*left < 0)
        *left = 0;
    if (*right >= n)
        *right = n - 1;
    return (float)(twice < 0 ? twice + 2 * s : twice) / (float)(2 * s);
}

/* ---- forward ---- */

static void nearest_row(const struct sample_job *job, char *out, const char *row)
{
    if (ml_dtype_size(job->small->dtype) == 4) {
        for (int64_t j = 0; j < job->w; j++)
            for (int64_t r = 0; r < job->sw; r++, out += 4)
                memcpy(out, row + 4 * j, 4);
    } else {
        for (int64_t j = 0; j < job->w; j++)
            for (int64_t r = 0; r < job->sw; r++, out += 2)
                memcpy(out, row + 2 * j, 2);
    }
}

static void bilinear_row(const struct sample_job *job, float *out, const float *row)
{
    for (int64_t r = 0; r < job->sw; r++) {
        int64_t left, right;
        float share = between(1, r, job->sw, 3, &left, &right); /* inside: neighbours exist */
        int64_t from = left - 1;
        for (int64_t j = 0; j < job->w; j++) {
            int64_t a = j + from < 0 ? 0 : j + from, b = j + from + 1;
            b = b < job->w ? b : job->w - 1;
            out[j * job->sw + r] = (1 - share) * row[a] + share * row[b];
        }
    }
}

/* Units are rows of the small picture; each makes sh rows of the large one. */
static void upsample_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct sample_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    int64_t wide = job->w * job->sw;
    size_t size = ml_dtype_size(job->small->dtype);
    float *mixed = (float *)job->run->scratch + (size_t)worker * job->scratch_floats;
    float *other = mixed + job->w, *out = other + job->w;
    bool nearest = ml_attr(job->large, struct upsample_attr)->kind == ML_UPSAMPLE_NEAREST;
    for (int64_t u = begin; u < end; u++) {
        int64_t i = u % job->h, plane = u / job->h * job->h;
        char *first = (char *)job->large->data + (size_t)(u * job->sh * wide) * size;
        if (nearest) {
            nearest_row(job, first, (const char *)job->small->data + (size_t)(u * job->w) * size);
            for (int64_t r = 1; r < job->sh; r++)
                memcpy(first + (size_t)(r * wide) * size, first, (size_t)wide * size);
            continue;
        }
        for (int64_t r = 0; r < job->sh; r++) {
            int64_t up, down, at = (u * job->sh + r) * wide;
            float share = between(i, r, job->sh, job->h, &up, &down);
            const float *a = ml_load(k, job->small, (plane + up) * job->w, job->w, mixed);
            const float *b = ml_load(k, job->small, (plane + down) * job->w, job->w, other);
            k->affine(job->w, mixed, a, 1 - share, 0);
            k->axpy(job->w, mixed, share, b);
            float *y = ml_store_begin(job->large, at, out);
            bilinear_row(job, y, mixed);
            ml_store_end(k, job->large, at, wide, y);
        }
    }
}

static int64_t grain_of(const struct sample_job *job)
{
    int64_t row = job->w * job->sw * job->sh;
    return row >= TASK ? 1 : TASK / (row + 1) + 1;
}

static void upsample_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct sample_job job;
    job_init(&job, t->src[0], t, ml_attr(t, struct upsample_attr));
    job.run = run;
    if (ml_count(t) > 0)
        ml_parallel(run, t->dim[0] * t->dim[1] * job.h, grain_of(&job), upsample_range, &job);
}

static int upsample_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct upsample_attr *a = ml_attr(t, struct upsample_attr);
    int status = check(g, t);
    if (status != 0)
        return status;
    t->dtype = t->src[0]->dtype;
    t->ndim = 4;
    memcpy(t->dim, t->src[0]->dim, sizeof t->dim);
    t->dim[2] *= a->scale[0];
    t->dim[3] *= a->scale[1];
    return 0;
}

static void upsample_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                              struct ml_tensor **dsrc)
{
    dsrc[0] = ml_node(g, ML_OP_UPSAMPLE_GRAD, &dt, 1, ml_attr(t, struct upsample_attr),
                      sizeof(struct upsample_attr));
}

static int64_t sample_flops(const struct ml_tensor *t)
{
    int64_t large = ml_count(t->op == ML_OP_UPSAMPLE_GRAD ? t->src[0] : t);
    if (ml_attr(t, struct upsample_attr)->kind == ML_UPSAMPLE_NEAREST)
        return t->op == ML_OP_UPSAMPLE_GRAD ? large : 0;
    return 6 * large;
}

const struct ml_op ml_op_upsample = {
    .name = "upsample",
    .what = "a picture enlarged by whole factors",
    .min_src = 1,
    .max_src = 1,
    .shape = upsample_shape,
    .forward = upsample_forward,
    .backward = upsample_backward,
    .flops = sample_flops,
    .scratch = sample_scratch,
};

struct ml_tensor *ml_upsample(struct ml_graph *g, struct ml_tensor *x, enum ml_upsample kind,
                              int scale_h, int scale_w)
{
    struct upsample_attr attr = {.kind = (int)kind, .scale = {scale_h, scale_w}};
    return ml_node(g, ML_OP_UPSAMPLE, &x, 1, &attr, sizeof attr);
}

/* ---- gradient: each number of the small picture gathers the places that it reached ---- */

/* The weight of number i at block b (i - 1, i or i + 1), place r of it. */
static float reach(int64_t i, int64_t b, int64_t r, int64_t s, int64_t n)
{
    int64_t left, right;
    float share = between(b, r, s, n, &left, &right);
    return (left == i ? 1 - share : 0) + (right == i ? share : 0);
}

/* dx[j] from one row of the large picture, already summed over rows. */
static void gather_row(const struct sample_job *job, float *dx, const float *row, bool nearest)
{
    int64_t s = job->sw;
    for (int64_t j = 0; j < job->w; j++) {
        float sum = 0;
        int64_t first = nearest || j == 0 ? j : j - 1;
        int64_t last = nearest || j == job->w - 1 ? j : j + 1;
        if (nearest)
            sum = job->run->k->sum(s, row + j * s);
        else
            for (int64_t b = first; b <= last; b++)
                for (int64_t r = 0; r < s; r++)
                    sum += reach(j, b, r, s, job->w) * row[b * s + r];
        dx[j] = sum;
    }
}

static void upsample_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct sample_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    int64_t wide = job->w * job->sw;
    float *small = (float *)job->run->scratch + (size_t)worker * job->scratch_floats;
    float *sum = small + 2 * job->w;
    float chunk[ML_CHUNK];
    bool nearest = ml_attr(job->small, struct upsample_attr)->kind == ML_UPSAMPLE_NEAREST;
    for (int64_t u = begin; u < end; u++) {
        int64_t i = u % job->h, plane = u / job->h * job->h * job->sh;
        int64_t first = nearest || i == 0 ? i : i - 1;
        int64_t last = nearest || i == job->h - 1 ? i : i + 1;
        k->fill(wide, sum, 0);
        for (int64_t o = first * job->sh; o < (last + 1) * job->sh; o++) {
            float weight = nearest ? 1 : reach(i, o / job->sh, o % job->sh, job->sh, job->h);
            for (int64_t c = 0; weight != 0 && c < wide; c += ML_CHUNK) {
                int64_t n = wide - c < ML_CHUNK ? wide - c : ML_CHUNK;
                k->axpy(n, sum + c, weight,
                        ml_load(k, job->large, (plane + o) * wide + c, n, chunk));
            }
        }
        float *dx = ml_store_begin(job->small, u * job->w, small);
        gather_row(job, dx, sum, nearest);
        ml_store_end(k, job->small, u * job->w, job->w, dx);
    }
}

static void upsample_grad_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct sample_job job;
    job_init(&job, t, t->src[0], ml_attr(t, struct upsample_attr));
    job.run = run;
    if (ml_count(t) > 0)
        ml_parallel(run, t->dim[0] * t->dim[1] * job.h, grain_of(&job), upsample_grad_range, &job);
}

static int upsample_grad_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct upsample_attr *a = ml_attr(t, struct upsample_attr);
    int status = check(g, t);
    if (status != 0)
        return status;
    t->dtype = t->src[0]->dtype;
    t->ndim = 4;
    memcpy(t->dim, t->src[0]->dim, sizeof t->dim);
    for (int d = 0; d < 2; d++) {
        if (t->dim[2 + d] % a->scale[d] != 0)
            return ml_shape_fail(g, t, "axis %d is no multiple of %d", 2 + d, a->scale[d]);
        t->dim[2 + d] /= a->scale[d];
    }
    return 0;
}

static void upsample_grad_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                                   struct ml_tensor **dsrc)
{
    const struct upsample_attr *a = ml_attr(t, struct upsample_attr);
    dsrc[0] = ml_upsample(g, dt, (enum ml_upsample)a->kind, a->scale[0], a->scale[1]);
}

const struct ml_op ml_op_upsample_grad = {
    .name = "upsample_grad",
    .what = "gradient of upsample",
    .min_src = 1,
    .max_src = 1,
    .shape = upsample_grad_shape,
    .forward = upsample_grad_forward,
    .backward = upsample_grad_backward,
    .flops = sample_flops,
    .scratch = sample_scratch,
};
