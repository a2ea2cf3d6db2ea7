/* The registry of trained models: one row a model. The files lie where `path` says; the registry
 * never touches them. */
#ifndef ML_STORE_MODELS_H
#define ML_STORE_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "store/hash.h"
#include "store/workspace.h"

enum ml_model_stage {
    ML_STAGE_CANDIDATE,  /* trained, not judged yet */
    ML_STAGE_CANARY,     /* serves a part of the requests */
    ML_STAGE_PRODUCTION, /* the one that is used */
    ML_STAGE_ARCHIVED,   /* kept for the record */
    ML_STAGE_COUNT
};
const char *ml_model_stage_name(enum ml_model_stage stage); /* "candidate" ... */
/* ML_ERR_NOT_FOUND with the nearest. */
int ml_model_stage_parse(enum ml_model_stage *out, const char *name, struct ml_error *err);

/* For adding, NULL is "" (metrics "{}"), an empty hash is unknown, created 0 is now. */
struct ml_model_entry {
    const char *name;               /* unique */
    const char *path;               /* folder or file; relative to the workspace, or absolute */
    const char *kind;               /* "text", "image", "speech", "video" */
    int64_t run;                    /* ml_run_entry.id, 0: not trained here */
    char recipe_hash[ML_HASH_HEX];  /* SHA-256 of the recipe's text */
    char dataset_hash[ML_HASH_HEX]; /* ml_dataset.hash */
    int64_t parameters;             /* how many numbers were trained */
    const char *metrics;            /* JSON object */
    const char *licence;            /* SPDX expression */
    int64_t created;                /* Unix seconds */
    enum ml_model_stage stage;
};

/* A name that exists is ML_ERR_STATE unless replace, which overwrites the row. A path inside the
 * workspace is kept relative, so that the folder can be moved. */
int ml_models_add(struct ml_workspace *workspace, const struct ml_model_entry *model, bool replace,
                  struct ml_error *err);
/* Texts are owned by the arena. ML_ERR_NOT_FOUND names the nearest. */
int ml_models_get(struct ml_workspace *workspace, const char *name, struct ml_arena *arena,
                  struct ml_model_entry *out, struct ml_error *err);
/* All, newest first. */
int ml_models_list(struct ml_workspace *workspace, struct ml_arena *arena,
                   struct ml_model_entry **out, size_t *count, struct ml_error *err);
int ml_models_set_stage(struct ml_workspace *workspace, const char *name, enum ml_model_stage stage,
                        struct ml_error *err);
/* The row only. */
int ml_models_remove(struct ml_workspace *workspace, const char *name, struct ml_error *err);

#endif
