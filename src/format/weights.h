/* The weights of a model wherever they lie: one .safetensors file, or several that an index lists
 * ("model.safetensors.index.json", as Hugging Face writes large models). */
#ifndef ML_FORMAT_WEIGHTS_H
#define ML_FORMAT_WEIGHTS_H

#include "format/safetensors.h"

#define ML_WEIGHTS_MAX_SHARDS 1000

struct ml_weights {
    char *path;
    struct ml_arena arena;
    struct ml_safetensors *shards;
    int shard_count;
    int64_t tensor_count;
};

/* path is a .safetensors file, an index (.json), or a folder with model.safetensors or
 * model.safetensors.index.json in it (diffusion_pytorch_model.* as well). Shards are taken only
 * from the index's own folder. */
int ml_weights_open(struct ml_weights *out, const char *path, struct ml_error *err);
void ml_weights_close(struct ml_weights *weights); /* accepts NULL and a zeroed struct */

/* NULL when there is none. *file (may be NULL) is the shard that holds it. */
const struct ml_safetensors_entry *ml_weights_find(const struct ml_weights *weights,
                                                   const char *name,
                                                   const struct ml_safetensors **file);

/* Where a tensor goes: its shape must be the file's. */
struct ml_load_target {
    enum ml_dtype dtype;
    int ndim;
    const int64_t *dim;
    void *data;
};
/* Finds, checks the shape, converts. The message of a failure names file, tensor and both shapes.
 */
int ml_weights_load(const struct ml_weights *weights, const char *name,
                    const struct ml_load_target *target, struct ml_error *err);
int ml_weights_check_finite(const struct ml_weights *weights, struct ml_error *err);

#endif
