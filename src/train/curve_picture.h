/* A loss curve as a PNG of 960 x 540 pixels. Needs cairo; a build without it says so. */
#ifndef ML_TRAIN_CURVE_PICTURE_H
#define ML_TRAIN_CURVE_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "maliang/error.h"

/* Points whose value is not finite are left out. */
struct ml_curve_point {
    double step, value;
};

struct ml_curve {
    const char *title;   /* UTF-8; cut with an ellipsis where it is too long. NULL: none */
    const char *y_label; /* NULL: "loss" */
    const char *x_label; /* NULL: "step" */
    const struct ml_curve_point *train; /* by rising step */
    int64_t train_count;
    const struct ml_curve_point *validation;
    int64_t validation_count;
};

bool ml_curve_picture_available(void); /* built with cairo? */

/* Training loss thin, smoothed on top; validation as points on a line; the lowest validation (or
 * smoothed training) value marked. A range of more than a factor of six is drawn logarithmically.
 * The file is written whole or not at all. cairo's memory is its own (not ml_mem_*). */
int ml_curve_picture_write(const char *path, const struct ml_curve *curve, struct ml_error *err);

#endif
