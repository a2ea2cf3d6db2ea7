/* The arithmetic of a drawn curve: axes, ticks, smoothing. No drawing, so every build has it. */
#ifndef ML_TRAIN_CURVE_SCALE_H
#define ML_TRAIN_CURVE_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#define ML_CURVE_MAX_TICKS 16

struct ml_curve_axis {
    double low, high; /* low < high; both above 0 when logarithmic */
    bool logarithmic;
    int tick_count;
    double ticks[ML_CURVE_MAX_TICKS]; /* in [low, high], rising */
    int decimals;                     /* that labels need */
};

/* An axis that shows low..high with about `wanted` ticks (2 to 10) at 1, 2 or 5 times a power of
 * ten. low > high, or equal: a range around them. Logarithmic asks for low > 0. */
void ml_curve_axis_init(struct ml_curve_axis *axis, double low, double high, int wanted,
                        bool logarithmic);
/* 0 at low, 1 at high; outside [0,1] for what lies outside. */
double ml_curve_axis_place(const struct ml_curve_axis *axis, double value);
/* "1.25", or with thousands apart when the axis has whole numbers: "12,000". */
void ml_curve_axis_label(const struct ml_curve_axis *axis, double value, char out[32]);
void ml_curve_count_label(int64_t value, char out[32]); /* 1234567 -> "1,234,567" */

/* Twice a moving average over half a window of `half` points on either side, narrower near both
 * ends, so that a steep start is not flattened. scratch has n + 1 numbers; y and x may be equal. */
void ml_curve_smooth(double *y, const double *x, int64_t n, int64_t half, double *scratch);

#endif
