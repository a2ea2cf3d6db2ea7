/* Training a model by a recipe. */
#ifndef MALIANG_TRAIN_H
#define MALIANG_TRAIN_H

#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ml_train_progress {
    const char *stage; /* "tokenizer", "data", "train", "evaluate", "save" */
    int64_t step, steps;
    double loss, validation_loss; /* nats a token; NaN when not known */
    double learning_rate, gradient_norm;
    double tokens_per_second;
    double peak_share; /* arithmetic done against what this processor can do at best, 0..1 */
    double seconds_left;
    double epoch;
};

struct ml_train_request {
    const char *workspace;
    const char *recipe;           /* path of a YAML file */
    const char *const *overrides; /* "section.key=value" */
    int override_count;
    const char *name; /* name of the run and the model; NULL: the recipe's */
    const char *out;  /* folder of the run; NULL: WORKSPACE/runs/NAME */
    int restart;      /* throw an existing run away instead of resuming it */
    ml_cancel *cancel;
    void (*progress)(void *arg, const struct ml_train_progress *progress); /* may be NULL */
    void *arg;
};

struct ml_train_result {
    char run[1024];   /* folder of the run */
    char model[1024]; /* folder of the model */
    int64_t steps, resumed_from, parameters, tokens;
    double train_loss, validation_loss, best_validation_loss; /* nats a token */
    double bits_per_character;                                /* of the validation text */
    double seconds, tokens_per_second;
    int stopped_early; /* patience ran out before the last step */
};

/* Resumes exactly where the run stopped when its folder has checkpoints. */
int ml_engine_train(struct ml_engine *engine, const struct ml_train_request *request,
                    struct ml_train_result *out, struct ml_error *err);

/* The recipe with every value that it leaves out filled in and explained, as YAML; path NULL gives
 * the defaults alone. Free with ml_string_free. */
int ml_recipe_explain(const char *path, const char *const *overrides, int override_count,
                      char **out, struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
