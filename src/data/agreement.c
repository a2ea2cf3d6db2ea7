#include "data/agreement.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fail.h"

/* ---- kappa ---- */

static double weight(int i, int j, enum ml_kappa_weights weights)
{
    double d = fabs((double)i - j);
    return weights == ML_KAPPA_PLAIN ? d > 0 : weights == ML_KAPPA_LINEAR ? d : d * d;
}

int ml_agreement_kappa(const int *a, const int *b, size_t n, int categories,
                       enum ml_kappa_weights weights, struct ml_kappa *out, struct ml_error *err)
{
    if (n == 0 || categories < 1)
        return ml_fail(err, ML_ERR_ARG, "agreement needs items that both annotators labelled");
    for (size_t i = 0; i < n; i++)
        if (a[i] < 0 || a[i] >= categories || b[i] < 0 || b[i] >= categories)
            return ml_fail(err, ML_ERR_ARG, "item %zu has a category outside 0 to %d", i,
                           categories - 1);
    double *share = ml_mem_calloc(2 * (size_t)categories, sizeof *share);
    if (!share)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory comparing annotators");
    double observed = 0, expected = 0, equal = 0;
    double *share_a = share, *share_b = share + categories;
    for (size_t i = 0; i < n; i++) {
        observed += weight(a[i], b[i], weights) / (double)n;
        equal += a[i] == b[i];
        share_a[a[i]] += 1.0 / (double)n;
        share_b[b[i]] += 1.0 / (double)n;
    }
    for (int i = 0; i < categories; i++)
        for (int j = 0; share_a[i] > 0 && j < categories; j++)
            expected += share_a[i] * share_b[j] * weight(i, j, weights);
    ml_mem_free(share);
    *out = (struct ml_kappa){.kappa = expected > 0 ? 1 - observed / expected : NAN,
                             .observed = equal / (double)n};
    return 0;
}

/* ---- alpha ---- */

static int by_unit(const void *a, const void *b)
{
    const struct ml_rating *x = a, *y = b;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t unit_end(const struct ml_rating *r, size_t n, size_t start)
{
    size_t end = start;
    while (end < n && r[end].unit == r[start].unit)
        end++;
    return end;
}

/* Moves units with two answers or more to the front; ratings are sorted by unit. */
static size_t keep_pairable(struct ml_rating *r, size_t n, size_t *units)
{
    size_t kept = 0;
    for (size_t start = 0, end; start < n; start = end) {
        end = unit_end(r, n, start);
        if (end - start < 2)
            continue;
        for (size_t i = start; i < end; i++)
            r[kept++] = r[i];
        ++*units;
    }
    return kept;
}

/* Sum of squared differences over all ordered pairs of n values that add up to `sum`, their squares
 * to `squares`. */
static double pair_squares(double n, double sum, double squares)
{
    double d = 2 * (n * squares - sum * sum);
    return d > 0 ? d : 0;
}

/* The ordinal metric, (n_c/2 + n_(c+1) + ... + n_k/2)^2, is the squared difference of the two
 * values' middle ranks, so ranks turn the ordinal case into the interval case. `sorted` are all
 * values. */
static double middle_rank(const double *sorted, size_t n, double value)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    size_t last = low;
    high = n;
    while (last < high) {
        size_t middle = last + (high - last) / 2;
        if (sorted[middle] <= value)
            last = middle + 1;
        else
            high = middle;
    }
    return ((double)low + (double)last) / 2;
}

/* Disagreement observed within units and expected over all, in ordered pairs of values. */
static void squared(const struct ml_rating *r, size_t n, double *observed, double *expected)
{
    double sum = 0, squares = 0, mean = 0;
    for (size_t i = 0; i < n; i++) /* differences do not change, and rounding stays small */
        mean += r[i].value / (double)n;
    for (size_t start = 0, end; start < n; start = end) {
        double unit_sum = 0, unit_squares = 0;
        end = unit_end(r, n, start);
        double m = (double)(end - start);
        for (size_t i = start; i < end; i++) {
            unit_sum += r[i].value - mean;
            unit_squares += (r[i].value - mean) * (r[i].value - mean);
        }
        *observed += pair_squares(m, unit_sum, unit_squares) / (m - 1);
        sum += unit_sum;
        squares += unit_squares;
    }
    *expected = pair_squares((double)n, sum, squares) / ((double)n - 1);
}

static void nominal(const struct ml_rating *r, size_t n, const double *sorted, double *observed,
                    double *expected)
{
    double equal = 0;
    for (size_t start = 0, end; start < n; start = end) {
        end = unit_end(r, n, start);
        double m = (double)(end - start), same = 0, run = 0;
        for (size_t i = start; i < end; i++) { /* values within a unit are sorted */
            run = i > start && r[i].value == r[i - 1].value ? run + 1 : 1;
            same += 2 * (run - 1); /* ordered pairs with the equal ones before it */
        }
        *observed += (m * (m - 1) - same) / (m - 1);
    }
    double run = 0;
    for (size_t i = 0; i < n; i++) {
        run = i && sorted[i] == sorted[i - 1] ? run + 1 : 1;
        equal += 2 * (run - 1);
    }
    *expected = ((double)n * ((double)n - 1) - equal) / ((double)n - 1);
}

int ml_agreement_alpha(struct ml_rating *ratings, size_t n, enum ml_agreement_scale scale,
                       struct ml_alpha *out, struct ml_error *err)
{
    struct ml_alpha result = {.alpha = NAN};
    double observed = 0, expected = 0;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(ratings[i].value))
            return ml_fail(err, ML_ERR_NUMERIC, "a rating is not a number");
    if (n)
        qsort(ratings, n, sizeof *ratings, by_unit);
    result.ratings = keep_pairable(ratings, n, &result.units);
    if (result.ratings == 0)
        return ml_fail(err, ML_ERR_NOT_FOUND,
                       "nothing was labelled by two annotators yet, so there is no agreement to "
                       "measure");
    double *sorted = ml_mem_alloc(result.ratings * sizeof *sorted);
    if (!sorted)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory comparing annotators");
    for (size_t i = 0; i < result.ratings; i++)
        sorted[i] = ratings[i].value;
    qsort(sorted, result.ratings, sizeof *sorted, by_value);
    for (size_t i = 0; scale == ML_SCALE_ORDINAL && i < result.ratings; i++)
        ratings[i].value = middle_rank(sorted, result.ratings, ratings[i].value);
    if (scale == ML_SCALE_NOMINAL)
        nominal(ratings, result.ratings, sorted, &observed, &expected);
    else
        squared(ratings, result.ratings, &observed, &expected);
    if (sorted[0] != sorted[result.ratings - 1])
        result.alpha = 1 - observed / expected;
    ml_mem_free(sorted);
    *out = result;
    return 0;
}
