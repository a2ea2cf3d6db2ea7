/* What the files of src/api share. */
#ifndef ML_API_API_IMPL_H
#define ML_API_API_IMPL_H

#include "base/arena.h"
#include "maliang/maliang.h"
#include "tensor/device.h"

struct ml_engine {
    struct ml_device *device;
};

/* The folder of a model, owned by the arena: a folder as it is, a name in the workspace (NULL:
 * none), or a starter's name; model NULL is the newest of the workspace. ML_ERR_NOT_FOUND says what
 * there is. */
int ml_locate_model(char **out, struct ml_arena *arena, const char *workspace, const char *model,
                    struct ml_error *err);
/* The folder with the starters that came with the program, or NULL when there is none. */
char *ml_locate_starters(struct ml_arena *arena);

#endif
