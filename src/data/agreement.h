/* How far annotators agree beyond chance. Pure arithmetic on their answers; label_agreement.h takes
 * these from a queue. */
#ifndef ML_DATA_AGREEMENT_H
#define ML_DATA_AGREEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

/* How much a disagreement between categories i and j counts. */
enum ml_kappa_weights {
    ML_KAPPA_PLAIN,    /* all the same */
    ML_KAPPA_LINEAR,   /* |i - j| */
    ML_KAPPA_QUADRATIC /* (i - j)^2 */
};

/* Two annotators on n items each: a[i] and b[i] in [0, categories).
 * kappa: Cohen, "A coefficient of agreement for nominal scales", 1960; weighted: Cohen 1968. 1 is
 * agreement, 0 what chance gives; NaN where chance alone agrees on all (both used one category). */
struct ml_kappa {
    double kappa;
    double observed; /* share of equal answers, unweighted */
};
int ml_agreement_kappa(const int *a, const int *b, size_t n, int categories,
                       enum ml_kappa_weights weights, struct ml_kappa *out, struct ml_error *err);

enum ml_agreement_scale {
    ML_SCALE_NOMINAL,  /* values are equal or not */
    ML_SCALE_ORDINAL,  /* ranks */
    ML_SCALE_INTERVAL, /* differences count, squared */
};

/* One answer: missing ones are simply not there. Any number of annotators. */
struct ml_rating {
    int64_t unit; /* what was rated */
    double value; /* finite; nominal: a number that stands for the category */
};

/* Krippendorff, "Computing Krippendorff's alpha-reliability", 2011. Sorts the ratings. Units with
 * one answer say nothing and are left out; NaN where all answers that remain are equal. */
struct ml_alpha {
    double alpha;
    size_t units, ratings; /* that counted */
};
int ml_agreement_alpha(struct ml_rating *ratings, size_t n, enum ml_agreement_scale scale,
                       struct ml_alpha *out, struct ml_error *err);

#endif
