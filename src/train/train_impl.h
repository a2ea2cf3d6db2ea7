/* Inside the trainer only. */
#ifndef ML_TRAIN_TRAIN_IMPL_H
#define ML_TRAIN_TRAIN_IMPL_H

#include "format/saved.h"
#include "model/text_model.h"
#include "nn/ema.h"
#include "nn/optim.h"
#include "store/write_lock.h"
#include "tensor/plan.h"
#include "train/batches.h"
#include "train/metrics.h"
#include "train/tokens.h"
#include "train/trainer.h"

/* Where a run stands: saved in every checkpoint, and with the tensors all that a step depends on.
 */
struct train_state {
    int64_t step;       /* optimiser steps done or skipped */
    int64_t best_step;  /* whose weights are in best/; -1: none */
    double best_loss;   /* its validation loss */
    int64_t stale;      /* measurements since then */
    int64_t bad_in_row; /* steps skipped in a row for a loss that is not finite */
    int64_t skipped;    /* in all */
    int64_t rollbacks;  /* times the run went back to a checkpoint with half the rate */
    double lr_scale;    /* 1, halved by each of them */
    int64_t tokens;     /* targets seen */
    double seconds;     /* of training, without evaluation */
    double log_loss;    /* sums since the last line of metrics */
    int64_t log_count;
    double train_loss, validation_loss; /* last ones; NaN: none */
    bool pending;                       /* what follows this step (measuring) was not done yet */
    bool stopped;                       /* patience ran out */
};

/* A planned graph and the memory of its inputs. */
struct train_graph {
    struct ml_arena arena;
    struct ml_graph graph;
    struct ml_plan *plan;
    struct ml_batch batch;
    struct ml_tensor *loss;
    struct ml_tensor **grads; /* of each parameter; NULL when only measuring */
};

struct trainer {
    const struct ml_train_job *job;
    struct ml_recipe recipe;           /* filled in */
    struct ml_arena arena;             /* recipe's texts, paths, parameters */
    char *checkpoints, *best, *result; /* folders */
    struct ml_write_lock lock;         /* of the run's folder */
    struct ml_tokenizer *tokenizer;
    int32_t end; /* token, or -1 */
    struct ml_tokens train_tokens, validation_tokens;
    struct ml_batches *train, *validation; /* validation may be NULL */
    char data_hash[65];                    /* of all token ids */
    struct ml_text_model model;
    struct ml_optim *optim;
    struct ml_ema *ema; /* NULL: none */
    bool bf16;
    struct train_graph forward, measure; /* training step; evaluation */
    const float **grads;                 /* what the optimiser reads */
    float **sums;                        /* accumulation, where the device computes; NULL: none */
    float **sum_hosts;                   /* accelerator: the addresses that they mirror */
    int sums_held;
    struct train_state state;
    struct ml_metrics metrics;
    int64_t resumed_from, saved_step;    /* -1: none */
    double step_seconds;                 /* lately; 0: not known */
    double gradient_norm, learning_rate; /* of the last step */
    double peak; /* flops that the processor reaches at best; 0: not known */
};

/* train_graph.c */
int train_graph_open(struct trainer *t, struct train_graph *g, bool training, struct ml_error *err);
void train_graph_close(struct train_graph *g);
float *trainer_measured(struct trainer *t, int i); /* memory of the weights that are measured */

/* train_step.c */
int trainer_step(struct trainer *t, struct ml_error *err);

/* evaluate.c: mean loss over up to `batches` batches of the validation text, 0: all. */
int trainer_evaluate(struct trainer *t, int64_t batches, double *loss, struct ml_error *err);

/* checkpoint.c */
int checkpoint_save(struct trainer *t, struct ml_error *err);
/* Whether there is any file of one. */
int checkpoint_any(struct trainer *t, bool *any, struct ml_error *err);
/* The newest sound one; *found false when there is none at all. */
int checkpoint_load(struct trainer *t, bool *found, struct ml_error *err);
int checkpoint_save_best(struct trainer *t, struct ml_error *err);
int checkpoint_load_best(struct trainer *t, struct ml_error *err); /* into the measured weights */

/* train_setup.c */
int trainer_open(struct trainer *t, const struct ml_train_job *job, struct ml_error *err);
void trainer_close(struct trainer *t);
/* The host's side of weights, moments and averages was written (tensor/mirror.h). */
void trainer_changed(struct trainer *t);
void trainer_report(struct trainer *t, const char *stage, double done, double total);

/* sample.c: text that the model writes now, to the job's callback */
int trainer_sample(struct trainer *t, struct ml_error *err);

/* finish.c */
int trainer_finish(struct trainer *t, struct ml_train_result *out, struct ml_error *err);

#endif
