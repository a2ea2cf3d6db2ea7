/* Learning the weights of a classifier: softmax regression by AdaGrad, one example a step. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "text/classifier_impl.h"

/* All examples as rows, found once. */
struct lesson {
    struct ml_feature_plan plan;
    const struct ml_classifier_example *examples;
    size_t count;
    uint32_t *rows;
    size_t *begin; /* [count + 1] */
    uint32_t *order;
    int labels, stride;
    float *weights; /* [2^bits][stride] */
    float *squares; /* sums of squared gradients, the same shape */
    float *bias, *bias_squares, *gradient;
    double rate, decay;
};

static struct ml_classifier_options with_defaults(const struct ml_classifier_options *options)
{
    struct ml_classifier_options o = options ? *options : (struct ml_classifier_options){0};
    bool words = o.features == ML_FEATURES_WORDS;
    o.word_n = o.word_n ? o.word_n : 2;
    o.char_min = o.char_min ? o.char_min : words ? 3 : 1;
    o.char_max = o.char_max ? o.char_max : words ? -1 : 4;
    o.bits = o.bits ? o.bits : 18;
    o.epochs = o.epochs ? o.epochs : 10;
    o.rate = o.rate > 0 ? o.rate : 0.3;
    o.decay = o.decay < 0 ? 0 : o.decay > 0 ? o.decay : 1e-4;
    return o;
}

static int check(const struct ml_classifier_options *o, const struct ml_classifier_example *ex,
                 size_t count, const char *const *labels, int label_count, struct ml_error *err)
{
    size_t seen[ML_CLASSIFIER_MAX_LABELS] = {0};
    if (label_count < 2 || label_count > ML_CLASSIFIER_MAX_LABELS)
        return ml_fail(err, ML_ERR_ARG, "a classifier has 2 to %d labels, not %d",
                       ML_CLASSIFIER_MAX_LABELS, label_count);
    if (o->bits < 8 || o->bits > 22 || o->word_n < 1 || o->word_n > 5 || o->char_max > 8 ||
        (o->char_max > 0 && (o->char_min < 1 || o->char_min > o->char_max)) || o->epochs < 1 ||
        (o->features == ML_FEATURES_CHARS && o->char_max < 1))
        return ml_fail(err, ML_ERR_ARG, "options of a classifier are out of their limits");
    for (size_t i = 0; i < count; i++) {
        if (ex[i].label < 0 || ex[i].label >= label_count)
            return ml_fail(err, ML_ERR_ARG, "example %zu has label %d of %d", i, ex[i].label,
                           label_count);
        if (!ml_utf8_valid(ex[i].text, ex[i].size))
            return ml_fail(err, ML_ERR_ARG, "example %zu is not UTF-8", i);
        seen[ex[i].label]++;
    }
    for (int i = 0; i < label_count; i++) {
        if (strlen(labels[i]) >= ML_CLASSIFIER_LABEL_BYTES)
            return ml_fail(err, ML_ERR_ARG, "label \"%.40s...\" is longer than %d bytes", labels[i],
                           ML_CLASSIFIER_LABEL_BYTES - 1);
        if (!seen[i])
            return ml_fail(err, ML_ERR_ARG, "no example has the label \"%s\"", labels[i]);
    }
    return 0;
}

/* ---- preparing ---- */

static int find_all(struct lesson *l, struct ml_error *err)
{
    struct ml_classifier_work work = {0};
    size_t used = 0, capacity = 0;
    int status = 0;
    for (size_t i = 0; status == 0 && i < l->count; i++) {
        status = ml_features_find(&work, &l->plan, l->examples[i].text, l->examples[i].size, err);
        if (status == 0 && used + work.count > capacity) {
            capacity = 2 * (used + work.count) + 1024;
            uint32_t *grown = ml_mem_realloc(l->rows, capacity * sizeof *grown);
            if (grown)
                l->rows = grown;
            else
                status = ml_fail(err, ML_ERR_MEMORY, "out of memory for %zu examples", l->count);
        }
        if (status == 0) {
            if (work.count)
                memcpy(l->rows + used, work.rows, work.count * sizeof *work.rows);
            used += work.count;
            l->begin[i + 1] = used;
        }
    }
    ml_classifier_work_clear(&work);
    return status;
}

static int prepare(struct lesson *l, struct ml_error *err)
{
    size_t rows = (size_t)1 << l->plan.bits, stride = (size_t)l->stride;
    l->begin = ml_mem_calloc(l->count + 1, sizeof *l->begin);
    l->order = ml_mem_calloc(l->count + 1, sizeof *l->order);
    l->weights = ml_mem_calloc(rows * stride, sizeof *l->weights);
    l->squares = ml_mem_calloc(rows * stride, sizeof *l->squares);
    l->bias = ml_mem_calloc(stride * 3, sizeof *l->bias);
    if (!l->begin || !l->order || !l->weights || !l->squares || !l->bias)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory to train a classifier");
    l->bias_squares = l->bias + stride;
    l->gradient = l->bias_squares + stride;
    for (size_t i = 0; i < l->count; i++)
        l->order[i] = (uint32_t)i;
    return find_all(l, err);
}

static void finish(struct lesson *l)
{
    ml_mem_free(l->rows);
    ml_mem_free(l->begin);
    ml_mem_free(l->order);
    ml_mem_free(l->weights);
    ml_mem_free(l->squares);
    ml_mem_free(l->bias);
}

/* ---- learning ---- */

static void learn(struct lesson *l, size_t example)
{
    size_t n = l->begin[example + 1] - l->begin[example], stride = (size_t)l->stride;
    const uint32_t *rows = l->rows + l->begin[example];
    float weight = ml_features_weight(&l->plan, n), *g = l->gradient;
    float rate = (float)l->rate, keep = 1 - (float)l->decay;
    memcpy(g, l->bias, stride * sizeof *g);
    for (size_t i = 0; i < n; i++) {
        const float *row = l->weights + rows[i] * stride;
        for (size_t k = 0; k < stride; k++)
            g[k] += weight * row[k];
    }
    ml_softmax_row(g, l->labels);
    for (size_t k = (size_t)l->labels; k < stride; k++)
        g[k] = 0;
    g[l->examples[example].label] -= 1;
    for (size_t k = 0; k < stride; k++) {
        l->bias_squares[k] += g[k] * g[k];
        l->bias[k] -= rate * g[k] / sqrtf(l->bias_squares[k] + 1e-6f);
        g[k] *= weight;
    }
    for (size_t i = 0; i < n; i++) {
        float *row = l->weights + rows[i] * stride, *squares = l->squares + rows[i] * stride;
        for (size_t k = 0; k < stride; k++) {
            squares[k] += g[k] * g[k];
            row[k] = keep * row[k] - rate * g[k] / sqrtf(squares[k] + 1e-6f);
        }
    }
}

static int learn_all(struct lesson *l, const struct ml_classifier_options *o, struct ml_error *err)
{
    struct ml_rng rng;
    ml_rng_init(&rng, o->seed, 0);
    for (int epoch = 0; epoch < o->epochs; epoch++) {
        ml_rng_shuffle(&rng, l->order, l->count);
        /* To nothing at the end, so that the last examples do not weigh more than the first. */
        l->rate = o->rate * (1 - (double)epoch / o->epochs);
        for (size_t i = 0; i < l->count; i++) {
            if (i % 1024 == 0 && o->cancel && *o->cancel)
                return ml_fail(err, ML_ERR_CANCELLED, "stopped while training a classifier");
            learn(l, l->order[i]);
        }
    }
    return 0;
}

/* ---- to 8 bits ---- */

/* One scale a label; rows that no example had are zero and stay so. */
static void quantise(struct ml_classifier *c, const struct lesson *l)
{
    size_t rows = (size_t)1 << l->plan.bits, stride = (size_t)l->stride;
    for (size_t k = 0; k < (size_t)l->labels; k++) {
        float most = 0;
        for (size_t row = 0; row < rows; row++)
            most = fmaxf(most, fabsf(l->weights[row * stride + k]));
        c->scale[k] = most / 127;
        c->bias[k] = l->bias[k];
        for (size_t row = 0; most > 0 && row < rows; row++)
            c->weights[row * stride + k] =
                (int8_t)lrintf(l->weights[row * stride + k] / c->scale[k]);
    }
}

int ml_classifier_train(struct ml_classifier **out, const struct ml_classifier_example *examples,
                        size_t count, const char *const *labels, int label_count,
                        const struct ml_classifier_options *options, struct ml_error *err)
{
    struct ml_classifier_options o = with_defaults(options);
    struct lesson l = {.examples = examples,
                       .count = count,
                       .labels = label_count,
                       .stride = (label_count + 15) / 16 * 16,
                       .decay = o.decay,
                       .plan = {.features = o.features,
                                .word_n = o.word_n,
                                .char_min = o.char_min,
                                .char_max = o.char_max,
                                .bits = o.bits}};
    struct ml_classifier *made = NULL;
    int status = check(&o, examples, count, labels, label_count, err);
    if (status == 0)
        status = prepare(&l, err);
    if (status == 0)
        status = ml_classifier_new(&made, &l.plan, label_count, err);
    if (status == 0)
        status = learn_all(&l, &o, err);
    if (status == 0) {
        for (int i = 0; i < label_count; i++)
            snprintf(made->names[i], sizeof made->names[i], "%s", labels[i]);
        quantise(made, &l);
        *out = made;
    } else {
        ml_classifier_free(made);
    }
    finish(&l);
    return status;
}
