/* Picks the next token from logits. Order of the steps: repetition penalty, temperature, top-k,
 * top-p, min-p, one draw. */
#ifndef ML_GENERATE_SAMPLER_H
#define ML_GENERATE_SAMPLER_H

#include <stdint.h>

#include "maliang/error.h"

struct ml_sampling {
    float temperature;        /* 0 is taken as 0.8; below 0: always the most likely token */
    int top_k;                /* keep the k most likely; 0: all */
    float top_p;              /* keep the smallest set with this probability (nucleus,
                                 arXiv:1904.09751); 0 or 1: all */
    float min_p;              /* drop what is below min_p times the most likely
                                 (arXiv:2407.01082); 0: none */
    float repetition_penalty; /* divides (or multiplies, below 0) logits of tokens seen in the
                                 window (CTRL, arXiv:1909.05858); 0 or 1: off */
    int repetition_window;    /* how many of the last tokens count as seen; 0 is taken as 64 */
    uint64_t seed;
};

/* One message for a value out of its range, 0 when all is well. */
int ml_sampling_check(const struct ml_sampling *sampling, struct ml_error *err);

struct ml_sampler; /* scratch for one vocabulary */

int ml_sampler_new(struct ml_sampler **out, const struct ml_sampling *sampling, int vocab,
                   struct ml_error *err);
void ml_sampler_free(struct ml_sampler *sampler);

/* The next token of sample `stream` at `step`: a pure function of its arguments and the seed.
 * logits [vocab] is overwritten. history holds the last tokens, oldest first. ML_ERR_NUMERIC when
 * no logit is a number. */
int ml_sampler_pick(struct ml_sampler *sampler, float *logits, const int32_t *history, int count,
                    uint64_t stream, uint64_t step, int32_t *out, struct ml_error *err);

#endif
