/* A text classifier: hashed n-grams, one linear layer, softmax, weights in 8 bits (of the class of
 * fastText: Joulin et al. 2017, arXiv:1607.01759). Trains on thousands of examples in seconds and
 * labels some hundred thousand short texts a second.
 *
 * Features of words are n-grams of words, where a Chinese or Japanese character is a word, and
 * n-grams of the characters within longer words. Features of characters are for telling languages
 * apart: n-grams over everything, blanks and all. */
#ifndef ML_TEXT_CLASSIFIER_H
#define ML_TEXT_CLASSIFIER_H

#include <stdbool.h>

#include "text/word_scan.h"

enum { ML_CLASSIFIER_MAX_LABELS = 1024, ML_CLASSIFIER_LABEL_BYTES = 64 };

enum ml_classifier_features {
    ML_FEATURES_WORDS,
    ML_FEATURES_CHARS,
};

/* Zero means default. */
struct ml_classifier_options {
    enum ml_classifier_features features;
    int word_n;             /* longest n-gram of words: 2 */
    int char_min, char_max; /* n-grams of characters: within words none (3 to 5 help where words are
                               inflected); over all 1 to
                               4 */
    int bits;               /* 2^bits rows of weights: 18; 8 to 22 */
    int epochs;             /* 10 */
    double rate;            /* of AdaGrad (Duchi et al. 2011): 0.3 */
    double decay;           /* of weights, a step: 1e-4; -1: none */
    uint64_t seed;
    const volatile bool *cancel; /* NULL: never */
};

struct ml_classifier_example {
    const char *text; /* UTF-8 */
    size_t size;
    int label;
};

struct ml_classifier;

/* Deterministic for a seed. ML_ERR_ARG: fewer than two labels, a label that no example has, text
 * that is not UTF-8. Label names are copied. */
int ml_classifier_train(struct ml_classifier **out, const struct ml_classifier_example *examples,
                        size_t count, const char *const *labels, int label_count,
                        const struct ml_classifier_options *options, struct ml_error *err);
void ml_classifier_free(struct ml_classifier *classifier); /* accepts NULL */

int ml_classifier_labels(const struct ml_classifier *classifier);
const char *ml_classifier_label(const struct ml_classifier *classifier, int label);

/* What one thread needs. Zero-initialise. */
struct ml_classifier_work {
    struct ml_word_scan scan;
    uint32_t *rows; /* of the features */
    size_t count, capacity;
};
void ml_classifier_work_clear(struct ml_classifier_work *work); /* accepts NULL */

/* probabilities: one a label, their sum is 1. A text without a feature gives all the same. text
 * must be UTF-8; returns the best label or a negative code. */
int ml_classifier_apply(const struct ml_classifier *classifier, struct ml_classifier_work *work,
                        const char *text, size_t size, float *probabilities, struct ml_error *err);

/* One file, little-endian, every number in it checked on reading; ML_ERR_FORMAT, ML_ERR_LIMIT. */
int ml_classifier_save(const struct ml_classifier *classifier, const char *path,
                       struct ml_error *err);
int ml_classifier_parse(struct ml_classifier **out, const void *bytes, size_t size,
                        const char *name, struct ml_error *err);
int ml_classifier_open(struct ml_classifier **out, const char *path, struct ml_error *err);

#endif
