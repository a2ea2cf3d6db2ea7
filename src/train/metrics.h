/* The points of a run's curves: metrics.jsonl is the truth (one JSON object a line), TensorBoard's
 * events and the picture show the same. */
#ifndef ML_TRAIN_METRICS_H
#define ML_TRAIN_METRICS_H

#include <stdio.h>

#include "base/arena.h"
#include "train/tensorboard.h"

/* NaN: not measured at this point. */
struct ml_metrics_row {
    int64_t step;
    double time; /* Unix seconds */
    double loss, validation_loss, learning_rate, gradient_norm, tokens_per_second, epoch;
};

struct ml_metrics {
    struct ml_arena arena; /* paths */
    char *path, *folder;
    struct ml_metrics_row *rows; /* by step */
    int64_t count, capacity;
    FILE *file;
    struct ml_tensorboard board;
    double drawn; /* ml_time() of the last picture */
};

/* Reads the rows that the folder has up to `step` and drops later ones, so that a resumed run
 * writes them again. A line cut off by a crash is dropped too. */
int ml_metrics_open(struct ml_metrics *out, const char *folder, int64_t step, struct ml_error *err);
int ml_metrics_add(struct ml_metrics *metrics, const struct ml_metrics_row *row,
                   struct ml_error *err);
/* Draws loss.png, unless it was drawn less than `pause` seconds ago. A build without cairo draws
 * nothing. */
int ml_metrics_draw(struct ml_metrics *metrics, const char *title, double pause,
                    struct ml_error *err);
void ml_metrics_close(struct ml_metrics *metrics); /* accepts a zeroed struct */

#endif
