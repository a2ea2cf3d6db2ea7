#include "nn/grads.h"

#include <math.h>

#include "base/fail.h"

#define PIECE 65536 /* elements a task: fixed, so that sums do not depend on threads */
#define ROUND 256   /* pieces whose sums are kept at a time */
#define BLOCK 512   /* elements added in f32 before f64 takes over */

struct grads_run {
    const struct ml_kernels *k;
    const float *from;
    float *to;
    int64_t count;
    float weight;
    bool first;
    int64_t base;
    double partial[ROUND];
};

static void square_task(void *arg, int64_t task, int worker)
{
    struct grads_run *run = arg;
    int64_t begin = (run->base + task) * PIECE;
    int64_t end = begin + PIECE < run->count ? begin + PIECE : run->count;
    double sum = 0;
    for (int64_t i = begin; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        sum += (double)run->k->dot(n, run->from + i, run->from + i);
    }
    run->partial[task] = sum;
}

static int norm_remote(double *out, const struct ml_params *params, const float *const *grads,
                       struct ml_device *device, struct ml_error *err)
{
    int64_t *n = ml_mem_calloc((size_t)params->count + 1, sizeof *n);
    if (!n)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for the norm of the gradients");
    for (int i = 0; i < params->count; i++)
        n[i] = ml_param_count(params->items[i]);
    double sum = 0;
    int status = device->accelerator->square_sum(device->state, params->count, grads, n, &sum, err);
    ml_mem_free(n);
    *out = sqrt(sum);
    return status;
}

int ml_grads_norm(double *out, const struct ml_params *params, const float *const *grads,
                  struct ml_device *device, struct ml_error *err)
{
    if (device->accelerator)
        return norm_remote(out, params, grads, device, err);
    struct grads_run run = {.k = &device->kernels};
    double sum = 0;
    for (int i = 0; i < params->count; i++) {
        run.from = grads[i];
        run.count = ml_param_count(params->items[i]);
        int64_t pieces = (run.count + PIECE - 1) / PIECE;
        for (run.base = 0; run.base < pieces; run.base += ROUND) {
            int64_t n = pieces - run.base < ROUND ? pieces - run.base : ROUND;
            ml_pool_run(device->pool, n, square_task, &run);
            for (int64_t t = 0; t < n; t++)
                sum += run.partial[t];
        }
    }
    *out = sqrt(sum);
    return 0;
}

static void accumulate_task(void *arg, int64_t task, int worker)
{
    struct grads_run *run = arg;
    int64_t begin = task * PIECE;
    int64_t n = run->count - begin < PIECE ? run->count - begin : PIECE;
    if (run->first)
        run->k->affine(n, run->to + begin, run->from + begin, run->weight, 0.0f);
    else
        run->k->axpy(n, run->to + begin, run->weight, run->from + begin);
}

int ml_grads_accumulate(const struct ml_params *params, float *const *sum,
                        const float *const *grads, float weight, bool first,
                        struct ml_device *device, struct ml_error *err)
{
    const struct ml_accelerator *a = device->accelerator;
    int status = 0;
    for (int i = 0; a && i < params->count && status == 0; i++)
        status = a->mix(device->state, ml_param_count(params->items[i]), sum[i], weight, grads[i],
                        first ? 0.0f : 1.0f, err);
    if (a)
        return status;
    struct grads_run run = {.k = &device->kernels, .weight = weight, .first = first};
    for (int i = 0; i < params->count; i++) {
        run.from = grads[i];
        run.to = sum[i];
        run.count = ml_param_count(params->items[i]);
        ml_pool_run(device->pool, (run.count + PIECE - 1) / PIECE, accumulate_task, &run);
    }
    return 0;
}
