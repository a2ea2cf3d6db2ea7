#include "data/augment_mel.h"

#include <string.h>

#include "base/arena.h"

static int or_default(int value, int otherwise)
{
    return value < 0 ? 0 : value ? value : otherwise;
}

/* Frame `middle` goes to `to`, the ends stay, what is between is stretched. */
static int warp(const struct ml_mel *mel, int middle, int to, struct ml_error *err)
{
    size_t bins = (size_t)mel->bins, size = (size_t)mel->frames * bins * sizeof(float);
    float *old = ml_mem_alloc(size);
    if (!old)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory changing a spectrogram");
    memcpy(old, mel->values, size);
    for (int i = 0; i < mel->frames; i++) {
        double at = i <= to ? (double)i * middle / to
                            : middle + (double)(i - to) * (mel->frames - 1 - middle) /
                                           (mel->frames - 1 - to);
        int first = (int)at, next = first + 1 < mel->frames ? first + 1 : first;
        float part = (float)(at - first);
        for (size_t b = 0; b < bins; b++)
            mel->values[(size_t)i * bins + b] =
                old[(size_t)first * bins + b] * (1 - part) + old[(size_t)next * bins + b] * part;
    }
    ml_mem_free(old);
    return 0;
}

/* Up to `widest` of `n`, from a random place; *width of them. */
static int draw_mask(int widest, int n, int *width, struct ml_rng *rng)
{
    widest = widest < n ? widest : n;
    *width = (int)ml_rng_below(rng, (uint64_t)widest + 1);
    return (int)ml_rng_below(rng, (uint64_t)(n - *width) + 1);
}

static void hide(const struct ml_mel *mel, const struct ml_mel_plan *plan, float mean,
                 struct ml_rng *rng)
{
    size_t bins = (size_t)mel->bins;
    double most = plan->most > 0 ? plan->most : 1;
    int width, longest = or_default(plan->frames, 100);
    if (longest > most * mel->frames)
        longest = (int)(most * mel->frames);
    for (int i = or_default(plan->bin_masks, 1); i > 0; i--) {
        int first = draw_mask(or_default(plan->bins, 27), mel->bins, &width, rng);
        for (size_t f = 0; f < (size_t)mel->frames; f++)
            for (int b = first; b < first + width; b++)
                mel->values[f * bins + (size_t)b] = mean;
    }
    for (int i = or_default(plan->frame_masks, 1); i > 0; i--) {
        int first = draw_mask(longest, mel->frames, &width, rng);
        for (size_t k = (size_t)first * bins; k < (size_t)(first + width) * bins; k++)
            mel->values[k] = mean;
    }
}

int ml_augment_mel(const struct ml_mel *mel, const struct ml_mel_plan *plan,
                   enum ml_augment_split split, struct ml_rng *rng, struct ml_error *err)
{
    int status = ml_augment_check(split, err), w = or_default(plan->warp, 80);
    double sum = 0;
    if (status == 0 && (mel->frames < 1 || mel->bins < 1))
        status = ml_fail(err, ML_ERR_ARG, "a spectrogram has at least one frame and one bin");
    if (status)
        return status;
    size_t n = (size_t)mel->frames * (size_t)mel->bins;
    for (size_t i = 0; i < n; i++)
        sum += mel->values[i];
    if (w > 0 && mel->frames > 2 * w + 2) {
        int middle = w + 1 + (int)ml_rng_below(rng, (uint64_t)(mel->frames - 2 * w - 2));
        int to = middle - w + (int)ml_rng_below(rng, 2 * (uint64_t)w + 1);
        status = warp(mel, middle, to, err);
    }
    if (status == 0)
        hide(mel, plan, (float)(sum / (double)n), rng);
    return status;
}
