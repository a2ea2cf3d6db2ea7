/* Training a text model by a recipe: from texts to a folder with a model, in a run's folder that
 * survives being killed at any moment.
 *
 * The run's folder:
 *   recipe.yaml       the recipe with every value filled in
 *   tokenizer.json
 *   checkpoints/      step-000001000.safetensors: weights, optimiser, averages, and where it stands
 *   best/             the weights that measured best so far
 *   metrics.jsonl     one line for each point of the curve; events.* and loss.png are drawn from it
 *   model/            the result: config.json, model.safetensors, tokenizer.json, maliang.json,
 *                     README.md
 *
 * A run that was stopped (cancel, kill -9, power) goes on from its newest sound checkpoint and ends
 * with the same bytes as one that was not: what a step does follows from the checkpoint, the seed
 * and the step's number. */
#ifndef ML_TRAIN_TRAINER_H
#define ML_TRAIN_TRAINER_H

#include "base/log.h"
#include "maliang/train.h"
#include "tensor/device.h"
#include "train/recipe.h"
#include "train/tokens.h"

struct ml_train_job {
    const struct ml_recipe *recipe; /* as given; what it leaves open is filled in by the data */
    const struct ml_train_text *train, *validation;
    int64_t train_count, validation_count; /* no validation: the last weights are the result */
    const char *folder;                    /* of the run; made when it is not there */
    const char *dataset_hash;              /* for the model's card, or NULL */
    struct ml_device *device;
    bool restart;             /* throw away what the folder holds of an earlier run */
    const struct ml_log *log; /* warnings; NULL: stderr */
    ml_cancel *cancel;        /* write a checkpoint and return ML_ERR_CANCELLED */
    void (*progress)(void *arg, const struct ml_train_progress *progress); /* may be NULL */
    void (*sample)(void *arg, int64_t step, const char *text);             /* may be NULL */
    void *arg;
};

int ml_train_run(const struct ml_train_job *job, struct ml_train_result *out, struct ml_error *err);

#endif
