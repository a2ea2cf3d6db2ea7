#include "train/curve_scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The 1, 2 or 5 times a power of ten next above `rough`. */
static double nice_step(double rough)
{
    double power = pow(10, floor(log10(rough))), part = rough / power;
    return (part <= 1.0001 ? 1 : part <= 2.0001 ? 2 : part <= 5.0001 ? 5 : 10) * power;
}

static void add_tick(struct ml_curve_axis *axis, double value)
{
    double slack = 1e-9 * (axis->logarithmic ? axis->low : axis->high - axis->low);
    if (axis->tick_count < ML_CURVE_MAX_TICKS && value >= axis->low - slack &&
        value <= axis->high + slack)
        axis->ticks[axis->tick_count++] = value;
}

static void linear_ticks(struct ml_curve_axis *axis, int wanted)
{
    double step = nice_step((axis->high - axis->low) / wanted), first = ceil(axis->low / step);
    for (int i = 0; i < ML_CURVE_MAX_TICKS; i++)
        add_tick(axis, (first + i) * step + 0.0); /* + 0.0: no "-0" */
    axis->decimals = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
}

/* 1, 2, 5 of each decade, or decades alone when there are many. A range within one such gap gets
 * linear ticks: they are drawn at the right places all the same. */
static void logarithmic_ticks(struct ml_curve_axis *axis, int wanted)
{
    static const double parts[] = {1, 2, 3, 5, 7};
    int first = (int)floor(log10(axis->low)), last = (int)ceil(log10(axis->high));
    int stride = (last - first) / wanted + 1;
    bool dense = last - first <= 3;
    for (int decade = first; decade <= last; decade += stride)
        for (int i = 0; i < (dense ? 5 : 1); i++)
            add_tick(axis, parts[i] * pow(10, decade));
    if (axis->tick_count < 3) {
        axis->tick_count = 0;
        linear_ticks(axis, wanted);
        return;
    }
    axis->decimals = axis->ticks[0] < 1 ? (int)ceil(-log10(axis->ticks[0]) - 1e-9) : 0;
}

void ml_curve_axis_init(struct ml_curve_axis *axis, double low, double high, int wanted,
                        bool logarithmic)
{
    memset(axis, 0, sizeof *axis);
    wanted = wanted < 2 ? 2 : wanted > 10 ? 10 : wanted;
    if (!(high - low > 1e-12 * (fabs(low) + fabs(high)))) {
        double middle = isfinite(low) ? low : 0;
        double room = middle == 0 ? 0.5 : fabs(middle) * 0.05;
        low = middle - room;
        high = middle + room;
    }
    axis->low = low;
    axis->high = high;
    axis->logarithmic = logarithmic && low > 0;
    if (axis->logarithmic)
        logarithmic_ticks(axis, wanted);
    else
        linear_ticks(axis, wanted);
}

double ml_curve_axis_place(const struct ml_curve_axis *axis, double value)
{
    if (axis->logarithmic) {
        double lowest = axis->low * 1e-6, above = value > lowest ? value : lowest;
        return (log(above) - log(axis->low)) / (log(axis->high) - log(axis->low));
    }
    return (value - axis->low) / (axis->high - axis->low);
}

void ml_curve_count_label(int64_t value, char out[32])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)value), at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && digits[i - 1] != '-' && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void ml_curve_axis_label(const struct ml_curve_axis *axis, double value, char out[32])
{
    if (fabs(value) >= 1e15 || axis->decimals > 8)
        snprintf(out, 32, "%.3g", value);
    else if (axis->decimals == 0)
        ml_curve_count_label(llround(value), out);
    else
        snprintf(out, 32, "%.*f", axis->decimals, value);
}

static void average(double *y, const double *x, int64_t n, int64_t half, double *sums)
{
    sums[0] = 0;
    for (int64_t i = 0; i < n; i++)
        sums[i + 1] = sums[i] + x[i];
    for (int64_t i = 0; i < n; i++) {
        int64_t left = i / 2 < half ? i / 2 : half;
        int64_t right = n - 1 - i < left ? n - 1 - i : left;
        y[i] = (sums[i + right + 1] - sums[i - left]) / (double)(left + right + 1);
    }
}

void ml_curve_smooth(double *y, const double *x, int64_t n, int64_t half, double *scratch)
{
    average(y, x, n, half, scratch);
    average(y, y, n, half, scratch);
}
