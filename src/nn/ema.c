#include "nn/ema.h"

#include <string.h>

#include "base/fail.h"
#include "tensor/mirror.h"

#define PIECE 65536

int ml_ema_new(struct ml_ema **out, struct ml_params *params, double decay,
               struct ml_device *device, struct ml_error *err)
{
    struct ml_ema *ema = ml_mem_calloc(1, sizeof *ema);
    if (!ema)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for averaged weights");
    ml_arena_init(&ema->arena, 0);
    ema->decay = decay;
    ema->params = params;
    ema->device = device;
    ema->state.items =
        ml_arena_calloc(&ema->arena, (size_t)params->count + 1, sizeof(struct ml_state_tensor));
    int status =
        ema->state.items ? 0 : ml_fail(err, ML_ERR_MEMORY, "no memory for averaged weights");
    for (int i = 0; i < params->count && status == 0; i++) {
        struct ml_param *param = params->items[i];
        float *data = ml_state_add(&ema->state, &ema->arena, param, "ema.", err);
        if (data)
            memcpy(data, param->data, (size_t)ml_param_count(param) * sizeof(float));
        else
            status = ML_ERR_MEMORY;
        if (status == 0)
            status =
                ml_mirror_hold(device, data, (size_t)ml_param_count(param) * sizeof(float), err);
        ema->held += status == 0;
    }
    if (status < 0) {
        ml_ema_free(ema);
        return status;
    }
    *out = ema;
    return 0;
}

void ml_ema_free(struct ml_ema *ema)
{
    if (!ema)
        return;
    for (int i = 0; i < ema->held; i++)
        ml_mirror_drop(ema->device, ema->state.items[i].data);
    ml_arena_clear(&ema->arena);
    ml_mem_free(ema);
}

struct ema_run {
    float *average;
    const float *weight;
    int64_t count;
    float rate; /* 1 - d */
};

static void ema_task(void *arg, int64_t task, int worker)
{
    struct ema_run *run = arg;
    int64_t end = (task + 1) * PIECE < run->count ? (task + 1) * PIECE : run->count;
    for (int64_t i = task * PIECE; i < end; i++)
        run->average[i] += run->rate * (run->weight[i] - run->average[i]);
}

static int update_remote(struct ml_ema *ema, int i, float rate, struct ml_error *err)
{
    struct ml_device *device = ema->device;
    struct ml_param *param = ema->params->items[i];
    void *average, *weight;
    int status = ml_mirror_use(device, ema->state.items[i].data, &average, err);
    if (status == 0) /* the optimiser holds it */
        status = ml_mirror_use(device, param->data, &weight, err);
    if (status == 0)
        status = device->accelerator->mix(device->state, ml_param_count(param), average, rate,
                                          weight, 1.0f - rate, err);
    if (status == 0)
        ml_mirror_remote_changed(device, ema->state.items[i].data);
    return status;
}

int ml_ema_update(struct ml_ema *ema, struct ml_error *err)
{
    double t = (double)++ema->steps;
    double start = (1.0 + t) / (10.0 + t);
    double decay = start < ema->decay ? start : ema->decay;
    int status = 0;
    for (int i = 0; i < ema->params->count && status == 0; i++) {
        struct ml_param *param = ema->params->items[i];
        if (ema->device->accelerator) {
            status = update_remote(ema, i, (float)(1.0 - decay), err);
            continue;
        }
        struct ema_run run = {ema->state.items[i].data, param->data, ml_param_count(param),
                              (float)(1.0 - decay)};
        ml_pool_run(ema->device->pool, (run.count + PIECE - 1) / PIECE, ema_task, &run);
    }
    return status;
}
