/* How far the people of a queue agree, by the kind of its task:
 *
 *   choice   alpha (nominal), kappa
 *   multi    each label of each record is a yes or no: alpha, kappa, and alpha of each label
 *   rating   alpha (ordinal), kappa with quadratic weights
 *   span     each character has a label or none: alpha, kappa; equal: F1 of spans that are the same
 *   text     share of answers that are the same
 *   box      F1 of boxes of the same label that overlap by half (intersection over union)
 */
#ifndef ML_DATA_LABEL_AGREEMENT_H
#define ML_DATA_LABEL_AGREEMENT_H

#include "data/label_queue.h"

struct ml_agreement_pair {
    const char *a, *b;
    int64_t records; /* that both labelled */
    double kappa;    /* NaN: has no meaning here */
    double equal;    /* share of equal answers, or F1 */
};
struct ml_agreement_label {
    const char *name;
    double alpha;
};
struct ml_queue_agreement {
    int64_t records;   /* that two or more people labelled */
    int64_t labels;    /* on those */
    const char *scale; /* "nominal", "ordinal" */
    double alpha;      /* NaN: has no meaning here, or all answers are the same */
    struct ml_agreement_pair *pairs;
    size_t pair_count;
    struct ml_agreement_label *by_label; /* multi */
    size_t by_label_count;
};
/* Owned by the arena. ML_ERR_NOT_FOUND: nothing was labelled by two people. */
int ml_label_agreement(struct ml_queue_agreement *out, struct ml_workspace *workspace,
                       const struct ml_label_queue *queue, struct ml_arena *arena,
                       struct ml_error *err);

#endif
