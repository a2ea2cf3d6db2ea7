/* Named f32 tensors that training carries from step to step (moments, averages): the list from
 * which checkpoints save and restore them. */
#ifndef ML_NN_STATE_H
#define ML_NN_STATE_H

#include "nn/param.h"

struct ml_state_tensor {
    const char *name; /* "optim.m.model.norm.weight" */
    int ndim;
    int64_t dim[ML_MAX_DIMS];
    float *data;
};

struct ml_state_list {
    struct ml_state_tensor *items;
    int count;
};

/* For the folder's own use: items[count++] = a zeroed tensor of param's shape, named prefix + its
 * name, all owned by the arena. The caller made `items` large enough. */
float *ml_state_add(struct ml_state_list *list, struct ml_arena *arena,
                    const struct ml_param *param, const char *prefix, struct ml_error *err);

#endif
