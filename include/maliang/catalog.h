/* The models of a workspace, and the starters that come with the program. */
#ifndef MALIANG_CATALOG_H
#define MALIANG_CATALOG_H

#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ml_model_info {
    char name[128], kind[16], stage[16], origin[16]; /* origin: "workspace" or "starter" */
    char path[1024], created[32], licence[64], description[256];
    char recipe_hash[65], dataset_hash[65];
    int64_t parameters, bytes;
    int layers, width, context, vocab;
    double validation_loss, bits_per_character; /* NaN when not known */
};

/* workspace may be NULL: starters only. *out is an array of *count, freed with ml_catalog_free. */
int ml_catalog_list(const char *workspace, struct ml_model_info **out, int *count,
                    struct ml_error *err);
void ml_catalog_free(struct ml_model_info *models);
/* model: as for ml_text_session_open; NULL: the newest of the workspace. */
int ml_catalog_find(const char *workspace, const char *model, struct ml_model_info *out,
                    struct ml_error *err);

/* format: "gguf" (f32, f16 or bf16, for llama.cpp) or "safetensors". precision NULL: bf16. */
int ml_catalog_export(const char *workspace, const char *model, const char *format,
                      const char *precision, const char *path, struct ml_error *err);
/* stage: "candidate", "canary", "production", "archived". */
int ml_catalog_set_stage(const char *workspace, const char *model, const char *stage,
                         struct ml_error *err);
/* Removes the registry entry; its files too when `files` is set. */
int ml_catalog_remove(const char *workspace, const char *model, int files, struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
