#include "text/classifier.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "text/classifier_impl.h"

int ml_classifier_new(struct ml_classifier **out, const struct ml_feature_plan *plan, int labels,
                      struct ml_error *err)
{
    struct ml_classifier *made = ml_mem_calloc(1, sizeof *made);
    size_t stride = ((size_t)labels + 15) / 16 * 16, rows = (size_t)1 << plan->bits;
    if (made) {
        made->plan = *plan;
        made->labels = labels;
        made->stride = (int)stride;
        made->names = ml_mem_calloc((size_t)labels, sizeof *made->names);
        made->weights = ml_mem_calloc(rows, stride);
        made->scale = ml_mem_calloc(stride, sizeof *made->scale);
        made->bias = ml_mem_calloc(stride, sizeof *made->bias);
    }
    if (!made || !made->names || !made->weights || !made->scale || !made->bias) {
        ml_classifier_free(made);
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a classifier of %d labels", labels);
    }
    *out = made;
    return 0;
}

void ml_classifier_free(struct ml_classifier *c)
{
    if (!c)
        return;
    ml_mem_free(c->names);
    ml_mem_free(c->weights);
    ml_mem_free(c->scale);
    ml_mem_free(c->bias);
    ml_mem_free(c);
}

int ml_classifier_labels(const struct ml_classifier *c)
{
    return c->labels;
}

const char *ml_classifier_label(const struct ml_classifier *c, int label)
{
    return c->names[label];
}

void ml_classifier_work_clear(struct ml_classifier_work *work)
{
    if (!work)
        return;
    ml_word_scan_clear(&work->scan);
    ml_mem_free(work->rows);
    *work = (struct ml_classifier_work){0};
}

void ml_softmax_row(float *values, int n)
{
    float most = values[0], sum = 0;
    for (int i = 1; i < n; i++)
        most = values[i] > most ? values[i] : most;
    for (int i = 0; i < n; i++)
        sum += values[i] = expf(values[i] - most);
    for (int i = 0; i < n; i++)
        values[i] /= sum;
}

/* 16 labels at a time: their sums stay in registers over all features. */
static void add_rows(const struct ml_classifier *c, const struct ml_classifier_work *work,
                     int first, int32_t sums[16])
{
    const int8_t *weights = c->weights + first;
    size_t stride = (size_t)c->stride;
    int32_t total[16] = {0};
    for (size_t i = 0; i < work->count;) {
        int16_t part[16] = {0};
        size_t end = work->count - i > 256 ? i + 256 : work->count; /* 256 * 127 fits 16 bits */
        for (; i < end; i++) {
            const int8_t *row = weights + work->rows[i] * stride;
            for (int k = 0; k < 16; k++)
                part[k] = (int16_t)(part[k] + row[k]);
        }
        for (int k = 0; k < 16; k++)
            total[k] += part[k];
    }
    memcpy(sums, total, sizeof total);
}

int ml_classifier_apply(const struct ml_classifier *c, struct ml_classifier_work *work,
                        const char *text, size_t size, float *probabilities, struct ml_error *err)
{
    int status = ml_features_find(work, &c->plan, text, size, err), best = 0;
    if (status)
        return status;
    float weight = ml_features_weight(&c->plan, work->count);
    for (int first = 0; first < c->labels; first += 16) {
        int32_t sums[16];
        add_rows(c, work, first, sums);
        for (int k = 0; k < 16 && first + k < c->labels; k++)
            probabilities[first + k] =
                c->bias[first + k] + weight * c->scale[first + k] * (float)sums[k];
    }
    for (int i = 1; i < c->labels; i++)
        best = probabilities[i] > probabilities[best] ? i : best;
    ml_softmax_row(probabilities, c->labels);
    return best;
}
