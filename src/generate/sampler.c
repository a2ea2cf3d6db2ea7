#include "generate/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/rng.h"

struct candidate {
    float logit;
    int32_t id;
    double p;
};

struct ml_sampler {
    struct ml_sampling sampling;
    int vocab;
    struct candidate *candidates; /* [vocab] */
};

static int out_of_range(struct ml_error *err, const char *name, float value, const char *limits)
{
    return ml_fail(err, ML_ERR_ARG, "%s is %g, but must be %s", name, (double)value, limits);
}

int ml_sampling_check(const struct ml_sampling *s, struct ml_error *err)
{
    if (!(s->temperature <= 100))
        return out_of_range(err, "temperature", s->temperature, "at most 100");
    if (s->top_k < 0)
        return out_of_range(err, "top-k", (float)s->top_k, "0 (all) or more");
    if (!(s->top_p >= 0 && s->top_p <= 1))
        return out_of_range(err, "top-p", s->top_p, "from 0 to 1");
    if (!(s->min_p >= 0 && s->min_p <= 1))
        return out_of_range(err, "min-p", s->min_p, "from 0 to 1");
    if (!(s->repetition_penalty >= 0 && s->repetition_penalty <= 10))
        return out_of_range(err, "repetition penalty", s->repetition_penalty, "from 0 to 10");
    if (s->repetition_window < 0)
        return out_of_range(err, "repetition window", (float)s->repetition_window, "0 or more");
    return 0;
}

int ml_sampler_new(struct ml_sampler **out, const struct ml_sampling *sampling, int vocab,
                   struct ml_error *err)
{
    int status = ml_sampling_check(sampling, err);
    if (status != 0)
        return status;
    struct ml_sampler *sampler = ml_mem_calloc(1, sizeof *sampler);
    struct candidate *candidates = ml_mem_calloc((size_t)vocab, sizeof *candidates);
    if (!sampler || !candidates) {
        ml_mem_free(sampler);
        ml_mem_free(candidates);
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for sampling from %d tokens", vocab);
    }
    sampler->sampling = *sampling;
    sampler->vocab = vocab;
    sampler->candidates = candidates;
    if (sampler->sampling.temperature == 0)
        sampler->sampling.temperature = 0.8f;
    if (sampler->sampling.repetition_window == 0)
        sampler->sampling.repetition_window = 64;
    *out = sampler;
    return 0;
}

void ml_sampler_free(struct ml_sampler *sampler)
{
    if (!sampler)
        return;
    ml_mem_free(sampler->candidates);
    ml_mem_free(sampler);
}

/* Each token of the window is punished once, however often it occurred. */
static void penalise(const struct ml_sampler *sampler, float *logits, const int32_t *history,
                     int count)
{
    float penalty = sampler->sampling.repetition_penalty;
    if (penalty == 0 || penalty == 1)
        return;
    int window = sampler->sampling.repetition_window;
    int first = count > window ? count - window : 0;
    for (int i = first; i < count; i++) {
        int32_t id = history[i];
        int seen = id < 0 || id >= sampler->vocab;
        for (int j = first; j < i && !seen; j++)
            seen = history[j] == id;
        if (!seen)
            logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
    }
}

/* Most likely first; equal logits by id, so that the order is always the same. */
static int compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Moves the k best to the front, in no order (quickselect with a middle pivot). */
static void select_best(struct candidate *c, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        struct candidate pivot = c[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (compare(&c[i], &pivot) < 0)
                i++;
            while (compare(&c[j], &pivot) > 0)
                j--;
            if (i <= j) {
                struct candidate swap = c[i];
                c[i++] = c[j];
                c[j--] = swap;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

static int gather(struct ml_sampler *sampler, const float *logits, float *best)
{
    int n = 0;
    *best = -INFINITY;
    for (int id = 0; id < sampler->vocab; id++) {
        if (!(logits[id] > -INFINITY)) /* NaN too */
            continue;
        sampler->candidates[n++] = (struct candidate){logits[id], id, 0};
        if (logits[id] > *best)
            *best = logits[id];
    }
    return n;
}

/* Keeps the smallest leading set whose probability reaches top_p, and what reaches min_p of the
 * most likely. Candidates are sorted; p is not normalised: its sum is `total`. */
static int cut_tail(const struct ml_sampling *s, const struct candidate *c, int n, double total)
{
    int keep = n;
    if (s->top_p > 0 && s->top_p < 1) {
        double sum = 0;
        for (keep = 0; keep < n && sum < (double)s->top_p * total; keep++)
            sum += c[keep].p;
    }
    while (keep > 1 && s->min_p > 0 && c[keep - 1].p < (double)s->min_p * c[0].p)
        keep--;
    return keep > 0 ? keep : 1;
}

int ml_sampler_pick(struct ml_sampler *sampler, float *logits, const int32_t *history, int count,
                    uint64_t stream, uint64_t step, int32_t *out, struct ml_error *err)
{
    const struct ml_sampling *s = &sampler->sampling;
    struct candidate *c = sampler->candidates;
    float best;
    penalise(sampler, logits, history, count);
    int n = gather(sampler, logits, &best);
    if (n == 0 || isinf(best))
        return ml_fail(err, ML_ERR_NUMERIC,
                       "the model gave no usable number for any token; its weights may be damaged");
    if (s->temperature < 0) {
        for (int i = 0; i < n; i++)
            if (c[i].logit == best) {
                *out = c[i].id;
                return 0;
            }
    }
    if (s->top_k > 0 && s->top_k < n) {
        select_best(c, n, s->top_k);
        n = s->top_k;
    }
    bool sorted = (s->top_p > 0 && s->top_p < 1) || s->min_p > 0 || (s->top_k > 0);
    if (sorted)
        qsort(c, (size_t)n, sizeof *c, compare);
    double total = 0;
    for (int i = 0; i < n; i++)
        total += c[i].p = exp(((double)c[i].logit - (double)best) / (double)s->temperature);
    if (sorted) {
        n = cut_tail(s, c, n, total);
        total = 0;
        for (int i = 0; i < n; i++)
            total += c[i].p;
    }
    uint32_t draw[4];
    ml_rng_block(s->seed, stream, step, draw);
    double at = ((double)draw[0] + (double)draw[1] / 4294967296.0) / 4294967296.0 * total;
    int i = 0;
    for (; i + 1 < n && at >= c[i].p; i++)
        at -= c[i].p;
    *out = c[i].id;
    return 0;
}
