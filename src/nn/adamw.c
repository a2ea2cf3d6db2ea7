/* The optimiser's frame and AdamW over the kernel table. muon.c has the matrices under Muon. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "nn/optim_impl.h"
#include "tensor/mirror.h"

static bool by_muon(const struct ml_optim *optim, const struct ml_param *param)
{
    return optim->options.kind == ML_OPTIM_MUON && ml_muon_takes(param);
}

static int add_state(struct ml_optim *optim, struct ml_error *err)
{
    int n = optim->params->count;
    optim->state.items =
        ml_arena_calloc(&optim->arena, 2 * (size_t)n, sizeof(struct ml_state_tensor));
    optim->slots = ml_arena_calloc(&optim->arena, (size_t)n, sizeof(struct ml_optim_slot));
    if (!optim->state.items || !optim->slots)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for the optimiser's state");
    for (int i = 0; i < n; i++) {
        const struct ml_param *param = optim->params->items[i];
        struct ml_optim_slot *slot = &optim->slots[i];
        if (by_muon(optim, param)) {
            slot->momentum =
                ml_state_add(&optim->state, &optim->arena, param, "optim.momentum.", err);
            if (!slot->momentum)
                return ML_ERR_MEMORY;
            continue;
        }
        slot->m = ml_state_add(&optim->state, &optim->arena, param, "optim.m.", err);
        slot->v =
            slot->m ? ml_state_add(&optim->state, &optim->arena, param, "optim.v.", err) : NULL;
        if (!slot->v)
            return ML_ERR_MEMORY;
    }
    return 0;
}

static int cut_tasks(struct ml_optim *optim, struct ml_error *err)
{
    for (int pass = 0; pass < 2; pass++) {
        int count = 0;
        for (int i = 0; i < optim->params->count; i++) {
            if (!optim->slots[i].m)
                continue;
            int64_t total = ml_param_count(optim->params->items[i]);
            for (int64_t begin = 0; begin < total; begin += ML_OPTIM_PIECE, count++) {
                int64_t left = total - begin;
                if (pass == 1)
                    optim->tasks[count] = (struct ml_optim_task){
                        i, begin, left < ML_OPTIM_PIECE ? left : ML_OPTIM_PIECE};
            }
        }
        optim->task_count = count;
        if (pass == 0)
            optim->tasks =
                ml_arena_calloc(&optim->arena, (size_t)count + 1, sizeof(struct ml_optim_task));
        if (!optim->tasks)
            return ml_fail(err, ML_ERR_MEMORY, "no memory for the optimiser's %d tasks", count);
    }
    return 0;
}

static int check_params(const struct ml_params *params, struct ml_error *err)
{
    for (int i = 0; i < params->count; i++) {
        const struct ml_param *param = params->items[i];
        if (!param->data || param->dtype != ML_F32)
            return ml_fail(err, ML_ERR_STATE,
                           "parameter %s cannot be trained: its memory must be f32 (allocate it "
                           "before the optimiser)",
                           param->name);
    }
    return 0;
}

/* Parameters and state stay on the device from the first step on. */
static int hold_memory(struct ml_optim *optim, struct ml_error *err)
{
    int status = 0;
    for (int i = 0; i < optim->params->count && status == 0; i++) {
        const struct ml_param *param = optim->params->items[i];
        struct ml_optim_slot *slot = &optim->slots[i];
        float *all[4] = {param->data, slot->m, slot->v, slot->momentum};
        for (; optim->held < 4 * (i + 1) && status == 0; optim->held += status == 0)
            if (all[optim->held % 4])
                status = ml_mirror_hold(optim->device, all[optim->held % 4],
                                        (size_t)ml_param_count(param) * sizeof(float), err);
    }
    return status;
}

static void drop_memory(struct ml_optim *optim)
{
    for (int at = 0; at < optim->held; at++) {
        struct ml_optim_slot *slot = &optim->slots[at / 4];
        float *all[4] = {optim->params->items[at / 4]->data, slot->m, slot->v, slot->momentum};
        if (all[at % 4])
            ml_mirror_drop(optim->device, all[at % 4]);
    }
}

int ml_optim_new(struct ml_optim **out, struct ml_params *params,
                 const struct ml_optim_options *options, struct ml_device *device,
                 struct ml_error *err)
{
    int status = check_params(params, err);
    if (status < 0)
        return status;
    struct ml_optim *optim = ml_mem_calloc(1, sizeof *optim);
    if (!optim)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for an optimiser");
    ml_arena_init(&optim->arena, 0);
    optim->params = params;
    optim->device = device;
    optim->options = *options;
    struct ml_optim_options *o = &optim->options;
    o->beta1 = o->beta1 > 0 ? o->beta1 : 0.9f;
    o->beta2 = o->beta2 > 0 ? o->beta2 : 0.95f;
    o->eps = o->eps > 0 ? o->eps : 1e-8f;
    o->momentum = o->momentum > 0 ? o->momentum : 0.95f;
    o->iterations = o->iterations > 0 ? o->iterations : 5;
    status = add_state(optim, err);
    if (status == 0)
        status = cut_tasks(optim, err);
    if (status == 0)
        status = hold_memory(optim, err);
    if (status == 0 && o->kind == ML_OPTIM_MUON)
        status = ml_muon_new(optim, err);
    if (status < 0) {
        ml_optim_free(optim);
        return status;
    }
    *out = optim;
    return 0;
}

void ml_optim_free(struct ml_optim *optim)
{
    if (!optim)
        return;
    ml_muon_free(optim);
    drop_memory(optim);
    ml_arena_clear(&optim->arena);
    ml_mem_free(optim);
}

struct adamw_run {
    struct ml_optim *optim;
    const float *const *grads;
    struct ml_adamw_step step;
};

static void adamw_task(void *arg, int64_t task, int worker)
{
    struct adamw_run *run = arg;
    const struct ml_optim_task *t = &run->optim->tasks[task];
    const struct ml_param *param = run->optim->params->items[t->param];
    const struct ml_optim_slot *slot = &run->optim->slots[t->param];
    struct ml_adamw_step step = run->step;
    if (param->kind == ML_PARAM_VECTOR)
        step.weight_decay = 0;
    run->optim->device->kernels.adamw(t->count, (float *)param->data + t->begin, slot->m + t->begin,
                                      slot->v + t->begin, run->grads[t->param] + t->begin, &step);
}

/* The same on an accelerator; gradients lie there already. */
static int adamw_remote(struct ml_optim *optim, int i, const float *grad,
                        const struct ml_adamw_step *all, struct ml_error *err)
{
    struct ml_device *device = optim->device;
    const struct ml_param *param = optim->params->items[i];
    const struct ml_optim_slot *slot = &optim->slots[i];
    struct ml_adamw_step step = *all;
    float *host[3] = {param->data, slot->m, slot->v};
    void *memory[3];
    if (param->kind == ML_PARAM_VECTOR)
        step.weight_decay = 0;
    for (int k = 0; k < 3; k++) {
        int status = ml_mirror_use(device, host[k], &memory[k], err);
        if (status != 0)
            return status;
    }
    int status = device->accelerator->adamw(device->state, ml_param_count(param), memory[0],
                                            memory[1], memory[2], grad, &step, err);
    for (int k = 0; k < 3 && status == 0; k++)
        ml_mirror_remote_changed(device, host[k]);
    return status;
}

static int adamw_all(struct ml_optim *optim, struct adamw_run *run, struct ml_error *err)
{
    int status = 0;
    if (!optim->device->accelerator)
        ml_pool_run(optim->device->pool, optim->task_count, adamw_task, run);
    for (int i = 0; optim->device->accelerator && i < optim->params->count && status == 0; i++)
        if (optim->slots[i].m)
            status = adamw_remote(optim, i, run->grads[i], &run->step, err);
    return status;
}

int ml_optim_step(struct ml_optim *optim, const float *const *grads,
                  const struct ml_optim_rates *rates, struct ml_error *err)
{
    const struct ml_optim_options *o = &optim->options;
    double t = (double)(optim->steps + 1);
    struct adamw_run run = {.optim = optim, .grads = grads};
    run.step = (struct ml_adamw_step){
        .lr = rates->lr,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->eps,
        .weight_decay = o->weight_decay,
        .grad_scale = rates->grad_scale,
        .correction1 = (float)(1.0 - pow((double)o->beta1, t)),
        .correction2 = (float)(1.0 - pow((double)o->beta2, t)),
    };
    if (o->kind == ML_OPTIM_MUON)
        for (int i = 0; i < optim->params->count; i++) {
            if (!optim->slots[i].momentum)
                continue;
            int status = ml_muon_step(optim, i, grads[i], rates, err);
            if (status < 0)
                return status;
        }
    int status = adamw_all(optim, &run, err);
    if (status == 0)
        optim->steps++;
    return status;
}
