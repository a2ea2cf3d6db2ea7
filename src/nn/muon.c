/* Muon's step on one hidden matrix (optim.h has the formulas). The Newton-Schulz iteration is a
 * planned graph of products, one for each distinct shape. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "nn/optim_impl.h"
#include "tensor/mirror.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

#define ROWS_A_TASK 32 /* rows that one task moves between a matrix and the iteration's input */

/* Keller Jordan's quintic: drives singular values into about [0.7, 1.2] in five steps. */
static const float quintic[3] = {3.4445f, -4.7750f, 2.0315f};

struct newton_schulz {
    int64_t rows, cols;      /* of the parameter */
    bool tall;               /* worked on transposed */
    struct ml_graph *graph;  /* kept: the plan points into it */
    struct ml_tensor *x, *y; /* input (leaf) and result, [min, max] */
    struct ml_plan *plan;
    bool held; /* x has a mirror */
};

struct ml_muon {
    struct newton_schulz *shapes;
    int count;
    double *partial; /* one sum of squares a task, added in order */
};

bool ml_muon_takes(const struct ml_param *param)
{
    return param->kind == ML_PARAM_MATRIX && param->ndim >= 2;
}

/* A matrix of more than two dimensions (a convolution's) counts as [out, the rest]. */
static void flat_shape(const struct ml_param *param, int64_t *rows, int64_t *cols)
{
    *rows = param->dim[0];
    *cols = ml_param_count(param) / param->dim[0];
}

static int plan_shape(struct ml_optim *optim, struct newton_schulz *s, struct ml_error *err)
{
    int64_t dims[2] = {s->tall ? s->cols : s->rows, s->tall ? s->rows : s->cols};
    float *input = ml_arena_alloc(&optim->arena, (size_t)(dims[0] * dims[1]) * sizeof(float));
    s->graph = ml_arena_calloc(&optim->arena, 1, sizeof *s->graph);
    if (!input || !s->graph)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for Muon on a %lld x %lld matrix",
                       (long long)s->rows, (long long)s->cols);
    struct ml_graph *g = s->graph;
    ml_graph_init(g, &optim->arena);
    /* As a parameter is: an accelerator writes it where it is and does not ask the host. */
    s->x = ml_leaf_param(g, "muon.x", ML_F32, 2, dims, input);
    struct ml_tensor *x = ml_cast(g, s->x, optim->options.bf16 ? ML_BF16 : ML_F32);
    for (int i = 0; i < optim->options.iterations; i++) {
        struct ml_tensor *a = ml_matmul(g, x, x, false, true);
        struct ml_tensor *b = ml_add(g, ml_affine(g, a, quintic[1], 0),
                                     ml_affine(g, ml_matmul(g, a, a, false, false), quintic[2], 0));
        x = ml_add(g, ml_affine(g, x, quintic[0], 0), ml_matmul(g, b, x, false, false));
    }
    s->y = ml_cast(g, x, ML_F32);
    int status = ml_plan_new(&s->plan, g, &s->y, 1, optim->device, err);
    if (status == 0)
        ml_plan_keep_outputs(s->plan, true);
    if (status == 0)
        status = ml_mirror_hold(optim->device, input, ml_bytes(s->x), err);
    s->held = status == 0;
    return status;
}

static int shape_index(struct ml_optim *optim, int64_t rows, int64_t cols, struct ml_error *err)
{
    struct ml_muon *muon = optim->muon;
    for (int i = 0; i < muon->count; i++)
        if (muon->shapes[i].rows == rows && muon->shapes[i].cols == cols)
            return i;
    struct newton_schulz *s = &muon->shapes[muon->count];
    s->rows = rows;
    s->cols = cols;
    s->tall = rows > cols;
    muon->count++;
    int status = plan_shape(optim, s, err);
    return status < 0 ? status : muon->count - 1;
}

int ml_muon_new(struct ml_optim *optim, struct ml_error *err)
{
    struct ml_muon *muon = ml_arena_calloc(&optim->arena, 1, sizeof *muon);
    if (!muon)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for Muon");
    muon->shapes = ml_arena_calloc(&optim->arena, (size_t)optim->params->count + 1,
                                   sizeof(struct newton_schulz));
    if (!muon->shapes)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for Muon");
    optim->muon = muon;
    int64_t most = 1;
    for (int i = 0; i < optim->params->count; i++) {
        if (!optim->slots[i].momentum)
            continue;
        int64_t rows, cols;
        flat_shape(optim->params->items[i], &rows, &cols);
        int index = shape_index(optim, rows, cols, err);
        if (index < 0)
            return index;
        optim->slots[i].shape = index;
        most = rows > most ? rows : most;
    }
    muon->partial =
        ml_arena_calloc(&optim->arena, (size_t)(most / ROWS_A_TASK + 1), sizeof(double));
    return muon->partial ? 0 : ml_fail(err, ML_ERR_MEMORY, "no memory for Muon");
}

void ml_muon_free(struct ml_optim *optim)
{
    struct ml_muon *muon = optim->muon;
    for (int i = 0; muon && i < muon->count; i++) {
        ml_plan_free(muon->shapes[i].plan);
        if (muon->shapes[i].held)
            ml_mirror_drop(optim->device, muon->shapes[i].x->data);
    }
}

struct muon_run {
    const struct newton_schulz *s;
    double *partial;
    float *momentum, *weight;
    const float *grad;
    float mu, grad_scale; /* on the way in */
    float normalise;      /* 1 / |D| */
    float keep, step;     /* on the way out: W <- keep W - step X */
};

/* Where element (r, c) of the parameter is in the iteration's matrix. */
static int64_t inside(const struct newton_schulz *s, int64_t r, int64_t c)
{
    return s->tall ? c * s->rows + r : r * s->cols + c;
}

static void momentum_task(void *arg, int64_t task, int worker)
{
    struct muon_run *run = arg;
    const struct newton_schulz *s = run->s;
    float *x = s->x->data;
    int64_t end = (task + 1) * ROWS_A_TASK < s->rows ? (task + 1) * ROWS_A_TASK : s->rows;
    double sum = 0;
    for (int64_t r = task * ROWS_A_TASK; r < end; r++)
        for (int64_t c = 0; c < s->cols; c++) {
            float g = run->grad[r * s->cols + c] * run->grad_scale;
            float m = run->mu * run->momentum[r * s->cols + c] + g;
            float d = g + run->mu * m;
            run->momentum[r * s->cols + c] = m;
            x[inside(s, r, c)] = d;
            sum += (double)d * (double)d;
        }
    run->partial[task] = sum;
}

static void normalise_task(void *arg, int64_t task, int worker)
{
    struct muon_run *run = arg;
    const struct newton_schulz *s = run->s;
    float *x = (float *)s->x->data + task * ROWS_A_TASK * s->cols;
    int64_t left = (s->rows - task * ROWS_A_TASK) * s->cols;
    int64_t n = left < ROWS_A_TASK * s->cols ? left : ROWS_A_TASK * s->cols;
    for (int64_t i = 0; i < n; i++)
        x[i] *= run->normalise;
}

static void apply_task(void *arg, int64_t task, int worker)
{
    struct muon_run *run = arg;
    const struct newton_schulz *s = run->s;
    const float *y = s->y->data;
    int64_t end = (task + 1) * ROWS_A_TASK < s->rows ? (task + 1) * ROWS_A_TASK : s->rows;
    for (int64_t r = task * ROWS_A_TASK; r < end; r++)
        for (int64_t c = 0; c < s->cols; c++) {
            float *w = &run->weight[r * s->cols + c];
            *w = *w * run->keep - run->step * y[inside(s, r, c)];
        }
}

static float step_scale(const struct ml_optim *optim, const struct newton_schulz *s)
{
    double rows = (double)s->rows, cols = (double)s->cols;
    if (optim->options.scale == ML_MUON_SHAPE)
        return (float)sqrt(rows > cols ? rows / cols : 1.0);
    return (float)(0.2 * sqrt(rows > cols ? rows : cols));
}

/* The whole step on an accelerator. */
static int step_remote(struct ml_optim *optim, const struct muon_run *run, struct ml_error *err)
{
    struct ml_device *device = optim->device;
    const struct newton_schulz *s = run->s;
    void *host[3] = {run->momentum, run->weight, s->x->data}, *memory[3];
    for (int i = 0; i < 3; i++) {
        int status = ml_mirror_use(device, host[i], &memory[i], err);
        if (status != 0)
            return status;
    }
    struct ml_muon_step step = {.rows = s->rows,
                                .cols = s->cols,
                                .tall = s->tall,
                                .momentum = memory[0],
                                .weight = memory[1],
                                .x = memory[2],
                                .grad = run->grad,
                                .mu = run->mu,
                                .grad_scale = run->grad_scale,
                                .keep = run->keep,
                                .step = run->step};
    int status = device->accelerator->muon_begin(device->state, &step, err);
    for (int i = 0; i < 3 && status == 0; i++)
        ml_mirror_remote_changed(device, host[i]);
    if (status == 0)
        status = ml_run(s->plan, 0, err);
    step.y = ml_plan_numbers(s->plan, s->y);
    return status == 0 ? device->accelerator->muon_end(device->state, &step, err) : status;
}

int ml_muon_step(struct ml_optim *optim, int param, const float *grad,
                 const struct ml_optim_rates *rates, struct ml_error *err)
{
    const struct newton_schulz *s = &optim->muon->shapes[optim->slots[param].shape];
    struct ml_pool *pool = optim->device->pool;
    struct muon_run run = {
        .s = s,
        .partial = optim->muon->partial,
        .momentum = optim->slots[param].momentum,
        .weight = optim->params->items[param]->data,
        .grad = grad,
        .mu = optim->options.momentum,
        .grad_scale = rates->grad_scale,
        .keep = 1.0f - rates->matrix_lr * optim->options.weight_decay,
        .step = rates->matrix_lr * step_scale(optim, s),
    };
    if (optim->device->accelerator)
        return step_remote(optim, &run, err);
    int64_t tasks = (s->rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
    ml_pool_run(pool, tasks, momentum_task, &run);
    double sum = 0;
    for (int64_t i = 0; i < tasks; i++)
        sum += run.partial[i];
    run.normalise = (float)(1.0 / (sqrt(sum) + 1e-7));
    ml_pool_run(pool, tasks, normalise_task, &run);
    int status = ml_run(s->plan, 0, err);
    if (status < 0)
        return status;
    ml_pool_run(pool, tasks, apply_task, &run);
    return 0;
}
