/* Lifetimes, memory and execution. Memory is placed largest first at the lowest offset that is free
 * during the whole lifetime (Pisarchyk & Lee, arXiv:2001.03288, "greedy by size"). */
#include "tensor/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/progress.h"
#include "tensor/fuse.h"
#include "tensor/op.h"
#include "tensor/remote.h"

/* A stretch of the arena that is in use during steps [birth, death]. */
struct span {
    size_t bytes, offset;
    int birth, death;
};

struct ml_plan {
    struct ml_graph *graph;
    struct ml_device *device;
    struct ml_tensor **steps; /* what runs, in order */
    int count;
    int *data_span, *aux_span; /* by step: index into spans, or -1 */
    struct span *spans;
    int span_count;
    int *step_of; /* by node id: its step, or -1 */
    bool *pinned; /* by node id: its memory is an output */
    char *memory;
    char *scratch;
    struct ml_plan_stats stats;
    struct ml_remote *remote; /* NULL: all runs on the processor */
    bool keep_outputs;
    bool timing;
    double seconds[ML_OP_COUNT];
};

void ml_plan_free(struct ml_plan *plan)
{
    if (!plan)
        return;
    ml_remote_free(plan->remote);
    ml_mem_free(plan->steps);
    ml_mem_free(plan->data_span);
    ml_mem_free(plan->aux_span);
    ml_mem_free(plan->spans);
    ml_mem_free(plan->step_of);
    ml_mem_free(plan->pinned);
    ml_mem_free(plan->memory);
    ml_mem_free(plan->scratch);
    ml_mem_free(plan);
}

/* The node that owns the memory of t. */
static struct ml_tensor *owner(struct ml_tensor *t)
{
    while (t->flags & ML_ALIAS)
        t = t->src[0];
    return t;
}

/* Marks what the outputs need, in step_of (1: needed), and lists it in order. */
static void choose_steps(struct ml_plan *plan, struct ml_tensor *const *outputs, int n)
{
    const struct ml_graph *g = plan->graph;
    bool *needed = plan->pinned; /* borrowed until the owners are pinned below */
    for (int i = 0; i < n; i++)
        needed[outputs[i]->id] = true;
    for (int id = g->count - 1; id >= 0; id--) {
        const struct ml_tensor *t = g->nodes[id];
        if (t->flags & ML_EFFECT)
            needed[id] = true;
        for (int s = 0; needed[id] && s < t->nsrc; s++)
            if (t->src[s])
                needed[t->src[s]->id] = true;
    }
    for (int id = 0; id < g->count; id++) {
        plan->step_of[id] = -1;
        if (needed[id] && !(g->nodes[id]->flags & ML_LEAF)) {
            plan->step_of[id] = plan->count;
            plan->steps[plan->count++] = g->nodes[id];
        }
        needed[id] = false;
    }
    for (int i = 0; i < n; i++)
        plan->pinned[owner(outputs[i])->id] = true;
}

/* Step `step` reads the sources of t: t is that step, or is computed in it. */
static void read_sources(const struct ml_tensor *t, int step, int *death)
{
    for (int s = 0; s < t->nsrc; s++) {
        if (!t->src[s])
            continue;
        int id = owner(t->src[s])->id;
        if (death[id] < step)
            death[id] = step;
        if (death[t->src[s]->id] < step) /* an alias keeps its own aux alive */
            death[t->src[s]->id] = step;
        if (t->src[s]->flags & ML_INSIDE)
            read_sources(t->src[s], step, death);
    }
    if (t->with)
        read_sources(t->with, step, death);
}

/* The last step that reads each owner's memory, by node id. */
static void find_deaths(const struct ml_plan *plan, int *death)
{
    for (int id = 0; id < plan->graph->count; id++)
        death[id] = plan->pinned[id] ? plan->count : plan->step_of[id];
    for (int step = 0; step < plan->count; step++)
        read_sources(plan->steps[step], step, death);
}

/* How many steps read each node's numbers, and who else holds them, by node id. */
static void count_readers(const struct ml_plan *plan, int *readers)
{
    for (int id = 0; id < plan->graph->count; id++)
        readers[id] = plan->pinned[id];
    for (int step = 0; step < plan->count; step++) {
        const struct ml_tensor *t = plan->steps[step];
        for (int s = 0; s < t->nsrc; s++)
            if (t->src[s] && ml_reads_numbers(t, s))
                readers[t->src[s]->id]++;
    }
}

/* The span of a source that t may overwrite, or -1. */
static int in_place_span(const struct ml_plan *plan, const struct ml_tensor *t, int step,
                         const int *death)
{
    unsigned allowed = ml_op_get(t->op)->in_place;
    for (int s = 0; s < t->nsrc; s++) {
        struct ml_tensor *src = t->src[s];
        if (!(allowed >> s & 1u) || !src)
            continue;
        const struct ml_tensor *root = owner(src);
        if ((root->flags & (ML_LEAF | ML_INSIDE)) || plan->pinned[root->id] ||
            death[root->id] != step || src->dtype != t->dtype || ml_bytes(root) != ml_bytes(t) ||
            !ml_same_shape(src, t))
            continue;
        bool clash = false; /* another source in the same memory under another name */
        for (int o = 0; o < t->nsrc; o++)
            clash |=
                o != s && t->src[o] && owner(t->src[o]) == root && !ml_same_shape(t->src[o], src);
        if (!clash)
            return plan->data_span[plan->step_of[root->id]];
    }
    return -1;
}

static int add_span(struct ml_plan *plan, size_t bytes, int birth, int death)
{
    size_t rounded = (bytes + ML_ALIGN - 1) / ML_ALIGN * ML_ALIGN;
    plan->spans[plan->span_count] = (struct span){rounded, 0, birth, death};
    return plan->span_count++;
}

static void make_spans(struct ml_plan *plan, const int *death)
{
    for (int step = 0; step < plan->count; step++) {
        const struct ml_tensor *t = plan->steps[step];
        plan->data_span[step] = plan->aux_span[step] = -1;
        if (t->aux_count)
            plan->aux_span[step] =
                add_span(plan, (size_t)t->aux_count * sizeof(float), step, death[t->id]);
        if (t->flags & (ML_ALIAS | ML_INSIDE))
            continue;
        int reuse = in_place_span(plan, t, step, death);
        if (reuse >= 0)
            plan->spans[reuse].death = death[t->id];
        else
            reuse = add_span(plan, ml_bytes(t), step, death[t->id]);
        plan->data_span[step] = reuse;
    }
}

static int by_offset(const void *a, const void *b)
{
    const struct span *x = *(struct span *const *)a, *y = *(struct span *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int by_size(const void *a, const void *b)
{
    const struct span *x = *(struct span *const *)a, *y = *(struct span *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->birth < y->birth ? -1 : x->birth > y->birth;
}

/* Lowest offset at which `span` meets none of the placed spans (sorted by offset) that live at the
 * same time. */
static size_t find_gap(const struct span *span, struct span *const *placed, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const struct span *p = placed[i];
        if (p->death < span->birth || p->birth > span->death)
            continue;
        if (p->offset >= at + span->bytes)
            break;
        if (p->offset + p->bytes > at)
            at = p->offset + p->bytes;
    }
    return at;
}

static int place_spans(struct ml_plan *plan, struct ml_error *err)
{
    struct span **order = ml_mem_calloc((size_t)plan->span_count + 1, 2 * sizeof *order);
    if (!order)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory while planning a graph");
    struct span **placed = order + plan->span_count;
    for (int i = 0; i < plan->span_count; i++)
        order[i] = &plan->spans[i];
    qsort(order, (size_t)plan->span_count, sizeof *order, by_size);
    for (int i = 0; i < plan->span_count; i++) {
        order[i]->offset = find_gap(order[i], placed, i);
        int at = i; /* insertion keeps `placed` sorted by offset */
        for (; at > 0 && by_offset(&placed[at - 1], &order[i]) > 0; at--)
            placed[at] = placed[at - 1];
        placed[at] = order[i];
        if (order[i]->offset + order[i]->bytes > plan->stats.arena_bytes)
            plan->stats.arena_bytes = order[i]->offset + order[i]->bytes;
    }
    ml_mem_free(order);
    for (int step = 0; step <= plan->count; step++) {
        size_t live = 0;
        for (int i = 0; i < plan->span_count; i++)
            if (plan->spans[i].birth <= step && plan->spans[i].death >= step)
                live += plan->spans[i].bytes;
        if (live > plan->stats.live_bytes)
            plan->stats.live_bytes = live;
    }
    return 0;
}

static int take_memory(struct ml_plan *plan, struct ml_error *err)
{
    const struct ml_device *device = plan->device;
    int threads = ml_pool_threads(device->pool);
    for (int step = 0; step < plan->count; step++) {
        const struct ml_tensor *t = plan->steps[step];
        const struct ml_op *op = ml_op_get(t->op);
        bool inside = t->flags & ML_INSIDE;
        size_t scratch = op->scratch && !inside ? op->scratch(&device->kernels, t, threads) : 0;
        if (scratch > plan->stats.scratch_bytes)
            plan->stats.scratch_bytes = scratch;
        plan->stats.flops += op->flops ? op->flops(t) : t->flags & ML_ALIAS ? 0 : ml_count(t);
    }
    plan->stats.nodes = plan->count;
    plan->memory = ml_mem_alloc(plan->stats.arena_bytes + ML_ALIGN);
    plan->scratch = ml_mem_alloc(plan->stats.scratch_bytes + ML_ALIGN);
    if (!plan->memory || !plan->scratch) {
        char need[32];
        return ml_fail(
            err, ML_ERR_MEMORY,
            "out of memory: this step needs %s; use a smaller batch or context, or "
            "turn recompute on",
            ml_format_bytes(need, sizeof need,
                            (double)(plan->stats.arena_bytes + plan->stats.scratch_bytes)));
    }
    for (int step = 0; step < plan->count; step++) {
        struct ml_tensor *t = plan->steps[step];
        if (plan->data_span[step] >= 0)
            t->data = plan->memory + plan->spans[plan->data_span[step]].offset;
        t->aux = plan->aux_span[step] >= 0
                     ? (float *)(void *)(plan->memory + plan->spans[plan->aux_span[step]].offset)
                     : NULL;
    }
    return 0;
}

static int build(struct ml_plan *plan, struct ml_tensor *const *outputs, int n,
                 struct ml_error *err)
{
    size_t nodes = (size_t)plan->graph->count + 1;
    plan->steps = ml_mem_calloc(nodes, sizeof *plan->steps);
    plan->data_span = ml_mem_calloc(nodes, sizeof *plan->data_span);
    plan->aux_span = ml_mem_calloc(nodes, sizeof *plan->aux_span);
    plan->spans = ml_mem_calloc(2 * nodes, sizeof *plan->spans);
    plan->step_of = ml_mem_calloc(nodes, sizeof *plan->step_of);
    plan->pinned = ml_mem_calloc(nodes, sizeof *plan->pinned);
    int *death = ml_mem_calloc(nodes, sizeof *death);
    int status = 0;
    if (!plan->steps || !plan->data_span || !plan->aux_span || !plan->spans || !plan->step_of ||
        !plan->pinned || !death) {
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory while planning a graph");
    } else {
        choose_steps(plan, outputs, n);
        count_readers(plan, death);
        ml_fuse(plan->steps, plan->count, death, !plan->device->accelerator);
        find_deaths(plan, death);
        make_spans(plan, death);
        status = place_spans(plan, err);
    }
    ml_mem_free(death);
    return status == 0 ? take_memory(plan, err) : status;
}

int ml_plan_new(struct ml_plan **out, struct ml_graph *g, struct ml_tensor *const *outputs, int n,
                struct ml_device *device, struct ml_error *err)
{
    if (g->error.code)
        return ml_fail(err, g->error.code, "%s", g->error.message);
    struct ml_plan *plan = ml_mem_calloc(1, sizeof *plan);
    if (!plan)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory while planning a graph");
    plan->graph = g;
    plan->device = device;
    int status = build(plan, outputs, n, err);
    if (status == 0 && device->accelerator)
        status = ml_remote_new(&plan->remote,
                               &(struct ml_remote_plan){.device = device,
                                                        .steps = plan->steps,
                                                        .count = plan->count,
                                                        .outputs = outputs,
                                                        .output_count = n,
                                                        .memory = plan->memory,
                                                        .memory_bytes = plan->stats.arena_bytes,
                                                        .scratch = plan->scratch,
                                                        .seconds = plan->seconds},
                               err);
    if (status == 0 && plan->remote)
        ml_remote_refused(plan->remote, &plan->stats.refused_steps, &plan->stats.refused_bytes);
    if (status != 0) {
        ml_plan_free(plan);
        return status;
    }
    *out = plan;
    return 0;
}

void ml_plan_keep_outputs(struct ml_plan *plan, bool keep)
{
    plan->keep_outputs = keep;
}

int ml_plan_fetch(struct ml_plan *plan, const struct ml_tensor *output, struct ml_error *err)
{
    return plan->remote ? ml_remote_fetch(plan->remote, output, err) : 0;
}

void *ml_plan_numbers(const struct ml_plan *plan, const struct ml_tensor *output)
{
    return plan->remote ? output->remote : output->data;
}

int ml_run(struct ml_plan *plan, uint64_t seed, struct ml_error *err)
{
    if (plan->remote)
        return ml_remote_run(plan->remote, seed, !plan->keep_outputs, plan->timing, err);
    struct ml_error failure = {0};
    struct ml_run run = {
        .k = &plan->device->kernels,
        .pool = plan->device->pool,
        .threads = ml_pool_threads(plan->device->pool),
        .scratch = plan->scratch,
        .seed = seed,
        .err = &failure,
    };
    for (int step = 0; step < plan->count && !failure.code; step++) {
        struct ml_tensor *t = plan->steps[step];
        if (t->flags & ML_INSIDE)
            continue;
        double start = plan->timing ? ml_time() : 0;
        ml_op_get(t->op)->forward(&run, t);
        if (plan->timing)
            plan->seconds[ml_fused_op(t)] += ml_time() - start;
    }
    return failure.code ? ml_fail(err, failure.code, "%s", failure.message) : 0;
}

void ml_plan_get_stats(const struct ml_plan *plan, struct ml_plan_stats *out)
{
    *out = plan->stats;
}

void ml_plan_set_timing(struct ml_plan *plan, bool on)
{
    plan->timing = on;
    if (on)
        memset(plan->seconds, 0, sizeof plan->seconds);
}

static int by_seconds(const void *a, const void *b)
{
    const struct ml_plan_time *x = a, *y = b;
    return x->seconds > y->seconds ? -1 : x->seconds < y->seconds;
}

static void count_step(struct ml_plan_time *time, const struct ml_tensor *t)
{
    const struct ml_op *op = ml_op_get(t->op);
    time->op = op->name;
    time->calls++;
    time->flops += (double)(op->flops ? op->flops(t) : ml_count(t));
    time->bytes += (double)ml_bytes(t);
    for (int i = 0; i < t->nsrc; i++)
        time->bytes += t->src[i] ? (double)ml_bytes(t->src[i]) : 0;
}

int ml_plan_get_timing(const struct ml_plan *plan, struct ml_plan_time *out, int capacity)
{
    struct ml_plan_time times[ML_OP_COUNT] = {0};
    int count = 0;
    for (int step = 0; step < plan->count; step++)
        if (!(plan->steps[step]->flags & ML_ALIAS))
            count_step(&times[plan->steps[step]->op], plan->steps[step]);
    for (int op = 0; op < ML_OP_COUNT; op++)
        if (times[op].calls > 0) {
            times[op].seconds = plan->seconds[op];
            times[count++] = times[op];
        }
    qsort(times, (size_t)count, sizeof *times, by_seconds);
    count = count < capacity ? count : capacity;
    if (count > 0)
        memcpy(out, times, (size_t)count * sizeof *times);
    return count;
}

int ml_plan_print_timing(const struct ml_plan *plan, struct ml_buffer *out, struct ml_error *err)
{
    struct ml_plan_time times[ML_OP_COUNT];
    int count = ml_plan_get_timing(plan, times, ML_OP_COUNT), status = 0;
    double total = 0;
    for (int i = 0; i < count; i++)
        total += times[i].seconds;
    for (int i = 0; i < count && status == 0; i++)
        status = ml_buffer_printf(out, err, "%-22s %9.4f s %5.1f%%\n", times[i].op,
                                  times[i].seconds, 100 * times[i].seconds / total);
    return status;
}
