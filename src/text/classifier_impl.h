/* What the files of the classifier share. */
#ifndef ML_TEXT_CLASSIFIER_IMPL_H
#define ML_TEXT_CLASSIFIER_IMPL_H

#include "text/classifier.h"

/* How texts become rows: part of the model, because other rows would mean other weights. */
struct ml_feature_plan {
    enum ml_classifier_features features;
    int word_n, char_min, char_max, bits;
};

struct ml_classifier {
    struct ml_feature_plan plan;
    int labels, stride; /* stride: labels rounded up to 16, so that rows are whole vectors */
    char (*names)[ML_CLASSIFIER_LABEL_BYTES];
    int8_t *weights; /* [2^bits][stride] */
    float *scale;    /* [stride]: weight = scale * number */
    float *bias;     /* [stride] */
};

/* Memory for the plan and labels; all weights zero. */
int ml_classifier_new(struct ml_classifier **out, const struct ml_feature_plan *plan, int labels,
                      struct ml_error *err);
/* Fills work->rows. */
int ml_features_find(struct ml_classifier_work *work, const struct ml_feature_plan *plan,
                     const char *text, size_t size, struct ml_error *err);
/* How much one feature of a text with so many counts. */
float ml_features_weight(const struct ml_feature_plan *plan, size_t count);
void ml_softmax_row(float *values, int n);

#endif
