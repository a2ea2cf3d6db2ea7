/* Tokens: rows of a table by id, and rotary positions. */
#include <math.h>

#include "base/fail.h"
#include "tensor/fuse.h"
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/op_packed.h"
#include "tensor/ops.h"

#define ROW_GRAIN    16384 /* elements a task takes, about */
#define GRAD_COLUMNS 256   /* features that one task of an embedding's gradient takes */
#define GRAD_IDS     64    /* table rows that it takes, at least */

static bool is_number(enum ml_dtype dtype)
{
    return dtype == ML_F32 || dtype == ML_BF16 || dtype == ML_F16;
}

/* ---- embedding ---- */

static int shape_embedding(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *ids = t->src[0], *table = t->src[1];
    if (ids->dtype != ML_I32)
        return ml_shape_fail(g, t, "token ids must be i32");
    if (table->ndim != 2 || !is_number(table->dtype))
        return ml_shape_fail(g, t, "the table must be [V,D] in f32, bf16 or f16");
    if (ids->ndim >= ML_MAX_DIMS)
        return ml_shape_fail(g, t, "the ids have too many dimensions");
    t->dtype = g->compute;
    t->ndim = ids->ndim + 1;
    for (int i = 0; i < ids->ndim; i++)
        t->dim[i] = ids->dim[i];
    t->dim[ids->ndim] = table->dim[1];
    return 0;
}

/* Before anything is written: an id outside the table is the caller's mistake. */
static int check_ids(struct ml_run *run, const struct ml_tensor *ids, int64_t vocabulary)
{
    const int32_t *id = ids->data;
    for (int64_t i = 0, n = ml_count(ids); i < n; i++)
        if (id[i] < 0 || id[i] >= vocabulary)
            return ml_fail(run->err, ML_ERR_ARG,
                           "embedding: token id %d at place %lld is outside the table's %lld rows; "
                           "do tokenizer and model belong together?",
                           (int)id[i], (long long)i, (long long)vocabulary);
    return 0;
}

struct embedding_job {
    const struct ml_run *run;
    struct ml_tensor *t;
    const int32_t *first, *order; /* gradient: places of id v are order[first[v] .. first[v+1]) */
    int64_t columns;              /* tasks along the features */
    int64_t rows_per_task;
};

/* Numbers [c, c + n) of row id of the table, as f32; n is at most ML_CHUNK. */
static const float *table_row(const struct ml_kernels *k, const struct ml_tensor *table, int32_t id,
                              int64_t c, int64_t n, float *buffer)
{
    int64_t d = table->dim[1];
    if (!(table->flags & ML_PANELS))
        return ml_load(k, table, id * d + c, n, buffer);
    float row[ML_CHUNK]; /* of any type */
    ml_gemm_panels_part(k, row, table->data, table->dtype, table->dim[0], d, id, c, n);
    const struct ml_tensor part = {.dtype = table->dtype, .data = row};
    const float *numbers = ml_load(k, &part, 0, n, buffer);
    return numbers == row ? memcpy(buffer, row, (size_t)n * sizeof *row) : numbers;
}

static void embedding_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct embedding_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    const struct ml_tensor *table = t->src[1];
    const int32_t *id = t->src[0]->data;
    int64_t d = table->dim[1];
    float buffer[ML_CHUNK];
    for (int64_t i = begin; i < end; i++) {
        for (int64_t c = 0; c < d; c += ML_CHUNK) {
            int64_t n = d - c < ML_CHUNK ? d - c : ML_CHUNK;
            const float *row = table_row(k, table, id[i], c, n, buffer);
            if (t->dtype == ML_F32)
                memcpy((float *)t->data + i * d + c, row, (size_t)n * sizeof *row);
            else
                ml_store_end(k, t, i * d + c, n, row);
        }
    }
}

static void forward_embedding(struct ml_run *run, struct ml_tensor *t)
{
    if (check_ids(run, t->src[0], t->src[1]->dim[0]) != 0)
        return;
    struct embedding_job job = {.run = run, .t = t};
    int64_t d = t->src[1]->dim[1], grain = d > 0 && d < ROW_GRAIN ? ROW_GRAIN / d : 1;
    ml_parallel(run, ml_count(t->src[0]), grain, embedding_range, &job);
}

static void backward_embedding(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                               struct ml_tensor **dsrc)
{
    struct ml_tensor *table = t->src[1];
    if (!ml_wants_grad(table))
        return;
    struct ml_tensor *src[3] = {t->src[0], table, dt};
    dsrc[1] = ml_cast(g, ml_node(g, ML_OP_EMBEDDING_GRAD, src, 3, NULL, 0), table->dtype);
}

static int64_t flops_none(const struct ml_tensor *t)
{
    (void)t;
    return 0;
}

const struct ml_op ml_op_embedding = {
    .name = "embedding",
    .what = "rows of a table by id",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_embedding,
    .forward = forward_embedding,
    .backward = backward_embedding,
    .flops = flops_none,
};

static int shape_embedding_grad(struct ml_graph *g, struct ml_tensor *t)
{
    (void)g;
    t->dtype = ML_F32;
    t->ndim = 2;
    t->dim[0] = t->src[1]->dim[0];
    t->dim[1] = t->src[1]->dim[1];
    return 0;
}

static size_t scratch_embedding_grad(const struct ml_kernels *k, const struct ml_tensor *t,
                                     int threads)
{
    (void)k;
    (void)threads;
    return (size_t)(ml_count(t->src[0]) + t->dim[0] + 1) * sizeof(int32_t);
}

/* Counting sort, stable: the places of each id in their order. */
static void sort_places(int32_t *first, int32_t *order, const int32_t *id, int64_t n,
                        int64_t vocabulary)
{
    memset(first, 0, (size_t)(vocabulary + 1) * sizeof *first);
    for (int64_t i = 0; i < n; i++)
        first[id[i]]++;
    int32_t sum = 0;
    for (int64_t v = 0; v < vocabulary; v++) {
        int32_t count = first[v];
        first[v] = sum;
        sum += count;
    }
    for (int64_t i = 0; i < n; i++)
        order[first[id[i]]++] = (int32_t)i;
    for (int64_t v = vocabulary; v > 0; v--) /* each start has moved to its end */
        first[v] = first[v - 1];
    first[0] = 0;
}

/* One block of table rows and features: each row is the sum of its tokens' gradients, in order. */
static void embedding_grad_task(void *arg, int64_t task, int worker)
{
    (void)worker;
    const struct embedding_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    struct ml_tensor *t = job->t;
    const struct ml_tensor *dt = t->src[2];
    int64_t d = t->dim[1], c = task % job->columns * GRAD_COLUMNS;
    int64_t n = d - c < GRAD_COLUMNS ? d - c : GRAD_COLUMNS;
    int64_t begin = task / job->columns * job->rows_per_task, end = begin + job->rows_per_task;
    float buffer[GRAD_COLUMNS];
    for (int64_t v = begin; v < end && v < t->dim[0]; v++) {
        float *out = (float *)t->data + v * d + c;
        k->fill(n, out, 0.0f);
        for (int32_t i = job->first[v]; i < job->first[v + 1]; i++)
            k->axpy(n, out, 1.0f, ml_load(k, dt, job->order[i] * d + c, n, buffer));
    }
}

static void forward_embedding_grad(struct ml_run *run, struct ml_tensor *t)
{
    const struct ml_tensor *ids = t->src[0];
    int64_t n = ml_count(ids), vocabulary = t->dim[0];
    if (check_ids(run, ids, vocabulary) != 0)
        return;
    int32_t *first = run->scratch, *order = first + vocabulary + 1;
    sort_places(first, order, ids->data, n, vocabulary);
    struct embedding_job job = {.run = run, .t = t, .first = first, .order = order};
    job.columns = (t->dim[1] + GRAD_COLUMNS - 1) / GRAD_COLUMNS;
    job.rows_per_task = vocabulary / 64 < GRAD_IDS ? GRAD_IDS : vocabulary / 64;
    int64_t blocks = (vocabulary + job.rows_per_task - 1) / job.rows_per_task;
    ml_pool_run(run->pool, blocks * job.columns, embedding_grad_task, &job);
}

static int64_t flops_embedding_grad(const struct ml_tensor *t)
{
    return ml_count(t->src[2]);
}

const struct ml_op ml_op_embedding_grad = {
    .name = "embedding_grad",
    .what = "gradient of embedding: rows summed by id",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_embedding_grad,
    .forward = forward_embedding_grad,
    .flops = flops_embedding_grad,
    .scratch = scratch_embedding_grad,
};

struct ml_tensor *ml_embedding(struct ml_graph *g, struct ml_tensor *ids, struct ml_tensor *table)
{
    struct ml_tensor *src[2] = {ids, table};
    return ml_node(g, ML_OP_EMBEDDING, src, 2, NULL, 0);
}

/* ---- rotary positions (Su et al., arXiv:2104.09864). The gradient turns the other way. ---- */

static int shape_rope(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0], *at = t->src[1];
    struct ml_rope *rope = &ml_attr(t, struct rope_attr)->rope;
    if (x->ndim != 4 || (x->dtype != ML_F32 && x->dtype != ML_BF16))
        return ml_shape_fail(g, t, "the input must be [B,T,H,D] in f32 or bf16");
    rope->theta = rope->theta != 0 ? rope->theta : 10000.0f;
    rope->axes = rope->axes ? rope->axes : 1;
    rope->rotary = rope->rotary ? rope->rotary : (int)x->dim[3];
    if (rope->axes != 1 && rope->axes != 2)
        return ml_shape_fail(g, t, "positions have 1 or 2 axes, not %d", rope->axes);
    if (at->dtype != ML_I32 || at->ndim != 1 + rope->axes || at->dim[0] != x->dim[0] ||
        at->dim[1] != x->dim[1] || (rope->axes == 2 && at->dim[2] != 2))
        return ml_shape_fail(g, t, "positions must be [%lld,%lld%s] i32", (long long)x->dim[0],
                             (long long)x->dim[1], rope->axes == 2 ? ",2" : "");
    if (rope->rotary < 0 || rope->rotary > x->dim[3] || rope->rotary % (2 * rope->axes) != 0)
        return ml_shape_fail(g, t, "%d of %lld features cannot turn in pairs", rope->rotary,
                             (long long)x->dim[3]);
    if (!(rope->theta > 0))
        return ml_shape_fail(g, t, "theta must be positive");
    t->dtype = x->dtype;
    t->ndim = 4;
    memcpy(t->dim, x->dim, sizeof t->dim);
    return 0;
}

/* Sine and cosine of an angle given in turns, to some 1e-7. The angle is reduced in double, so
 * positions of 1e6 lose nothing; then Taylor polynomials on an eighth of a turn. */
static void sin_cos_turns(double turns, float *sine, float *cosine)
{
    double quarter = nearbyint(turns * 4);
    double x = (turns - quarter * 0.25) * 6.28318530717958647692, xx = x * x;
    double s = x * (1 + xx * (-1.0 / 6 + xx * (1.0 / 120 + xx * (-1.0 / 5040 + xx / 362880))));
    double c = 1 + xx * (-1.0 / 2 +
                         xx * (1.0 / 24 + xx * (-1.0 / 720 + xx * (1.0 / 40320 - xx / 3628800))));
    switch ((int64_t)quarter & 3) {
    case 0:
        *sine = (float)s;
        *cosine = (float)c;
        break;
    case 1:
        *sine = (float)c;
        *cosine = (float)-s;
        break;
    case 2:
        *sine = (float)-s;
        *cosine = (float)-c;
        break;
    default:
        *sine = (float)-c;
        *cosine = (float)s;
        break;
    }
}

/* Scratch: frequencies; angles of the positions 0..T-1, which batches share; per worker one row's
 * angles and one row. */
struct rope_layout {
    size_t frequency, table, worker, worker_bytes, row, total;
    int64_t pairs, table_rows;
};

static struct rope_layout rope_layout(const struct ml_tensor *t, int threads)
{
    const struct ml_rope *rope = &ml_attr((struct ml_tensor *)t, struct rope_attr)->rope;
    struct rope_layout l = {.pairs = rope->rotary / 2};
    if (rope->axes == 1 && t->dim[0] > 1)
        l.table_rows = t->dim[1];
    size_t angles = (size_t)(2 * l.pairs) * sizeof(float);
    l.frequency = ml_scratch_piece(&l.total, (size_t)l.pairs * sizeof(double));
    l.table = ml_scratch_piece(&l.total, (size_t)l.table_rows * angles);
    ml_scratch_piece(&l.worker_bytes, angles);
    l.row = ml_scratch_piece(&l.worker_bytes, (size_t)(t->dim[2] * t->dim[3]) * sizeof(float));
    l.worker = ml_scratch_piece(&l.total, (size_t)threads * l.worker_bytes);
    return l;
}

struct rope_job {
    const struct ml_run *run;
    struct ml_tensor *t;
    struct ml_tensor *norm; /* that is made in the same pass, or NULL */
    struct rope_layout layout;
    const double *frequency; /* turns per position, by pair */
    float *table;            /* [T, 2 * pairs] */
};

static void rope_angles(const struct rope_job *job, const int32_t *at, int axes, float *cosine)
{
    int64_t pairs = job->layout.pairs;
    float *sine = cosine + pairs, sign = ml_attr(job->t, struct rope_attr)->sign;
    for (int64_t i = 0; i < pairs; i++) {
        double position = at[axes == 2 && i >= pairs / 2];
        sin_cos_turns(position * job->frequency[i], &sine[i], &cosine[i]);
        sine[i] *= sign;
    }
}

static void rope_table_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct rope_job *job = arg;
    for (int64_t p = begin; p < end; p++)
        rope_angles(job, &(int32_t){(int32_t)p}, 1, job->table + p * 2 * job->layout.pairs);
}

/* One row [H,D]: the same angles for all heads. */
static void rope_row(const struct rope_job *job, float *y, const float *x, const float *cosine)
{
    const struct ml_kernels *k = job->run->k;
    const struct ml_rope *rope = &ml_attr(job->t, struct rope_attr)->rope;
    int64_t heads = job->t->dim[2], d = job->t->dim[3], pairs = job->layout.pairs;
    int64_t rotary = 2 * pairs;
    for (int64_t h = 0; h < heads; h++, x += d, y += d) {
        if (rope->interleaved)
            k->rotate_pairs(pairs, y, x, cosine, cosine + pairs);
        else
            k->rotate(pairs, y, y + pairs, x, x + pairs, cosine, cosine + pairs);
        if (y != x && rotary < d)
            memcpy(y + rotary, x + rotary, (size_t)(d - rotary) * sizeof *y);
    }
}

/* Row r of the norm [H,D] that is inside. */
static const float *norm_row(const struct rope_job *job, int64_t r, float *row)
{
    const struct ml_kernels *k = job->run->k;
    int64_t heads = job->t->dim[2], d = job->t->dim[3];
    const float *x = ml_load(k, job->norm->src[0], r * heads * d, heads * d, row);
    for (int64_t h = 0; h < heads; h++)
        ml_rmsnorm_row(k, job->norm, r * heads + h, row + h * d, x + h * d);
    return row;
}

static void rope_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct rope_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    const struct rope_layout *l = &job->layout;
    struct ml_tensor *t = job->t;
    int axes = ml_attr(t, struct rope_attr)->rope.axes;
    int64_t n = t->dim[2] * t->dim[3];
    char *mine = (char *)job->run->scratch + l->worker + (size_t)worker * l->worker_bytes;
    float *own = (float *)(void *)mine, *row = (float *)(void *)(mine + l->row);
    for (int64_t r = begin; r < end; r++) {
        const int32_t *at = (const int32_t *)t->src[1]->data + r * axes;
        const float *cosine = own;
        if (l->table_rows && at[0] >= 0 && at[0] < l->table_rows)
            cosine = job->table + at[0] * 2 * l->pairs;
        else
            rope_angles(job, at, axes, own);
        const float *x = job->norm ? norm_row(job, r, row) : ml_load(k, t->src[0], r * n, n, row);
        float *y = ml_store_begin(t, r * n, row);
        rope_row(job, y, x, cosine);
        ml_store_end(k, t, r * n, n, y);
    }
}

static size_t scratch_rope(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    (void)k;
    return rope_layout(t, threads).total;
}

static void forward_rope(struct ml_run *run, struct ml_tensor *t)
{
    const struct ml_rope *rope = &ml_attr(t, struct rope_attr)->rope;
    struct rope_layout l = rope_layout(t, run->threads);
    char *scratch = run->scratch;
    double *frequency = (double *)(void *)(scratch + l.frequency);
    int64_t per_axis = l.pairs / rope->axes;
    for (int64_t i = 0; i < l.pairs; i++)
        frequency[i] = pow((double)rope->theta, -(double)(i % per_axis) / (double)per_axis) /
                       6.28318530717958647692;
    struct ml_tensor *norm = t->src[0]->flags & ML_INSIDE ? t->src[0] : NULL;
    struct rope_job job = {run, t, norm, l, frequency, (float *)(void *)(scratch + l.table)};
    int64_t n = t->dim[2] * t->dim[3], grain = n > 0 && n < ROW_GRAIN ? ROW_GRAIN / n : 1;
    ml_parallel(run, l.table_rows, 64, rope_table_range, &job);
    ml_parallel(run, t->dim[0] * t->dim[1], grain, rope_range, &job);
}

static void backward_rope(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                          struct ml_tensor **dsrc)
{
    struct rope_attr attr = *ml_attr(t, struct rope_attr);
    attr.sign = -attr.sign;
    struct ml_tensor *src[2] = {dt, t->src[1]};
    dsrc[0] = ml_node(g, ML_OP_ROPE, src, 2, &attr, sizeof attr);
}

static int64_t flops_rope(const struct ml_tensor *t)
{
    return 3 * ml_count(t);
}

const struct ml_op ml_op_rope = {
    .name = "rope",
    .what = "pairs of features turned by their position",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_rope,
    .forward = forward_rope,
    .backward = backward_rope,
    .flops = flops_rope,
    .scratch = scratch_rope,
    .in_place = 1,
};

struct ml_tensor *ml_rope_apply(struct ml_graph *g, struct ml_tensor *x,
                                struct ml_tensor *positions, const struct ml_rope *options)
{
    struct rope_attr attr = {.rope = *options, .sign = 1.0f};
    struct ml_tensor *src[2] = {x, positions};
    return ml_node(g, ML_OP_ROPE, src, 2, &attr, sizeof attr);
}
