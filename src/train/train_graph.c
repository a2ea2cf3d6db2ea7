/* The graphs of a run: one that trains and one that measures, both for [batch, context]. */
#include "base/fail.h"
#include "tensor/ops.h"
#include "train/train_impl.h"

float *trainer_measured(struct trainer *t, int i)
{
    return t->ema ? t->ema->state.items[i].data : t->model.params.items[i]->data;
}

static int32_t *input(struct train_graph *g, const struct trainer *t)
{
    return ml_arena_calloc(&g->arena, (size_t)(t->recipe.train.batch * t->recipe.train.context),
                           sizeof(int32_t));
}

static int build(struct trainer *t, struct train_graph *g, bool training, struct ml_error *err)
{
    int64_t dims[2] = {t->recipe.train.batch, t->recipe.train.context};
    bool segmented = t->train->segmented || (t->validation && t->validation->segmented);
    g->batch =
        (struct ml_batch){input(g, t), input(g, t), segmented ? input(g, t) : NULL, input(g, t)};
    if (!g->batch.tokens || !g->batch.positions || !g->batch.targets ||
        (segmented && !g->batch.segments))
        return ml_fail(err, ML_ERR_MEMORY, "no memory for a batch of %lld x %lld tokens",
                       (long long)dims[0], (long long)dims[1]);
    struct ml_graph *graph = &g->graph;
    ml_graph_init(graph, &g->arena);
    graph->training = training;
    graph->compute = t->bf16 ? ML_BF16 : ML_F32;
    struct ml_text_batch batch = {
        .tokens = ml_leaf(graph, "tokens", ML_I32, 2, dims, g->batch.tokens),
        .positions = ml_leaf(graph, "positions", ML_I32, 2, dims, g->batch.positions),
        .recompute = training && t->recipe.train.recompute,
    };
    if (segmented)
        batch.segments = ml_leaf(graph, "segments", ML_I32, 2, dims, g->batch.segments);
    struct ml_tensor *targets = ml_leaf(graph, "targets", ML_I32, 2, dims, g->batch.targets);
    struct ml_tensor *hidden = ml_text_hidden(graph, &t->model, &batch);
    g->loss = ml_text_loss(graph, &t->model, hidden, targets,
                           training ? (float)t->recipe.train.label_smoothing : 0.0f);
    return 0;
}

/* Gradients of every parameter beside the loss as the plan's outputs. */
static int plan_training(struct trainer *t, struct train_graph *g, struct ml_error *err)
{
    int n = t->model.params.count;
    struct ml_tensor **leaves = ml_arena_calloc(&g->arena, (size_t)n, sizeof *leaves);
    struct ml_tensor **outputs = ml_arena_calloc(&g->arena, (size_t)n + 1, sizeof *outputs);
    if (!leaves || !outputs)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for the training graph");
    for (int i = 0; i < n; i++)
        leaves[i] = ml_use(&g->graph, t->model.params.items[i]);
    g->grads = outputs + 1;
    ml_grad(&g->graph, g->loss, leaves, n, g->grads);
    outputs[0] = g->loss;
    int status = ml_plan_new(&g->plan, &g->graph, outputs, n + 1, t->job->device, err);
    if (status == 0) /* gradients stay where the optimiser is; the loss is fetched */
        ml_plan_keep_outputs(g->plan, true);
    return status;
}

static int plan_measuring(struct trainer *t, struct train_graph *g, struct ml_error *err)
{
    /* The averaged weights are measured where there are any: the graph's leaves point there. */
    for (int i = 0; i < t->model.params.count && !g->graph.error.code; i++)
        ml_use(&g->graph, t->model.params.items[i])->data = trainer_measured(t, i);
    return ml_plan_new(&g->plan, &g->graph, &g->loss, 1, t->job->device, err);
}

int train_graph_open(struct trainer *t, struct train_graph *g, bool training, struct ml_error *err)
{
    ml_arena_init(&g->arena, 0);
    int status = build(t, g, training, err);
    if (status == 0)
        status = training ? plan_training(t, g, err) : plan_measuring(t, g, err);
    return status;
}

void train_graph_close(struct train_graph *g)
{
    ml_plan_free(g->plan);
    ml_arena_clear(&g->arena);
    *g = (struct train_graph){0};
}
