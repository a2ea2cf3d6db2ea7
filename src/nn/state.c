#include "nn/state.h"

#include <string.h>

#include "base/fail.h"

float *ml_state_add(struct ml_state_list *list, struct ml_arena *arena,
                    const struct ml_param *param, const char *prefix, struct ml_error *err)
{
    char *name = ml_arena_printf(arena, "%s%s", prefix, param->name);
    float *data = ml_arena_calloc(arena, (size_t)ml_param_count(param), sizeof(float));
    if (!name || !data) {
        ml_fail(err, ML_ERR_MEMORY, "no memory for the training state %s%s", prefix, param->name);
        return NULL;
    }
    struct ml_state_tensor *t = &list->items[list->count++];
    t->name = name;
    t->ndim = param->ndim;
    memcpy(t->dim, param->dim, sizeof t->dim);
    t->data = data;
    return data;
}
