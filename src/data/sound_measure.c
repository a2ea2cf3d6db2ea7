#include "data/sound_measure.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fail.h"

#define FRAME_SECONDS 0.025
#define FLAT          (1.0f / 16384) /* samples of a flat run differ by less */
#define BREAK         (1.0f / 1024)  /* and at its end the curve goes away by more */

double ml_sound_db(double power)
{
    double db = power > 0 ? 10 * log10(power) : ML_SOUND_FLOOR_DB;
    return db > ML_SOUND_FLOOR_DB ? db : ML_SOUND_FLOOR_DB;
}

int ml_sound_check(const float *samples, size_t frames, int channels, int rate,
                   struct ml_error *err)
{
    if (channels < 1 || channels > ML_SOUND_CHANNELS || rate < 1 || rate > ML_SOUND_RATE)
        return ml_fail(err, ML_ERR_ARG, "a sound of %d channels at %d Hz: 1 to %d and 1 to %d",
                       channels, rate, ML_SOUND_CHANNELS, ML_SOUND_RATE);
    size_t n = frames * (size_t)channels;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(samples[i]))
            return ml_fail(err, ML_ERR_NUMERIC, "a sound: sample %zu is not a number", i);
    return 0;
}

int ml_sound_powers(float *out, const float *samples, size_t frames, int channels, size_t step,
                    struct ml_error *err)
{
    if (step == 0)
        return ml_fail(err, ML_ERR_ARG, "frames of a sound have at least one sample");
    for (size_t at = 0; at < frames; at += step) {
        size_t n = (frames - at < step ? frames - at : step) * (size_t)channels;
        const float *from = samples + at * (size_t)channels;
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)from[i] * from[i];
        out[at / step] = (float)(sum / (double)n);
    }
    return 0;
}

/* ---- percentiles ---- */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static float *sorted(const float *powers, size_t count, struct ml_error *err)
{
    float *copy = ml_mem_alloc(count * sizeof *copy);
    if (!copy) {
        ml_fail(err, ML_ERR_MEMORY, "out of memory measuring a sound");
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        copy[i] = powers[i];
    qsort(copy, count, sizeof *copy, by_value);
    return copy;
}

int ml_sound_silence(float *out, const float *powers, size_t count, struct ml_error *err)
{
    const float least = 1e-5f; /* -50 dB */
    if (count == 0) {
        *out = least;
        return 0;
    }
    float *list = sorted(powers, count, err);
    if (!list)
        return ML_ERR_MEMORY;
    float quiet = 4 * list[(count - 1) / 10], loud = list[(count - 1) * 95 / 100] / 100;
    float both = quiet < loud ? quiet : loud;
    *out = both > least ? both : least;
    ml_mem_free(list);
    return 0;
}

/* ---- clipping ---- */

struct clipping {
    const float *samples; /* of one channel: every `channels`-th */
    size_t frames, step;
    float extreme;
};

static float at(const struct clipping *c, size_t i)
{
    return c->samples[i * c->step];
}

/* The flat run that begins at `first`, in samples. */
static size_t run_from(const struct clipping *c, size_t first)
{
    float v = at(c, first);
    size_t n = 1;
    while (fabsf(v) >= c->extreme && first + n < c->frames && fabsf(at(c, first + n) - v) < FLAT)
        n++;
    return fabsf(v) >= c->extreme ? n : 1;
}

static bool breaks_off(const struct clipping *c, size_t first, size_t n)
{
    size_t last = first + n - 1;
    return (first > 0 && fabsf(at(c, first - 1) - at(c, first)) > BREAK) ||
           (last + 1 < c->frames && fabsf(at(c, last + 1) - at(c, last)) > BREAK);
}

static size_t count_clipped(const struct clipping *c)
{
    size_t clipped = 0;
    for (size_t i = 0; i < c->frames;) {
        size_t n = run_from(c, i);
        if (n >= 3 && breaks_off(c, i, n))
            clipped += n;
        i += n;
    }
    return clipped;
}

/* ---- all of it ---- */

static void measure_samples(struct ml_sound_facts *f, const float *samples, size_t frames)
{
    size_t n = frames * (size_t)f->channels, clipped = 0;
    float peak = 0;
    for (size_t i = 0; i < n; i++)
        peak = fabsf(samples[i]) > peak ? fabsf(samples[i]) : peak;
    f->peak_db = ml_sound_db((double)peak * peak);
    if (peak <= 0.1f)
        return;
    for (int c = 0; c < f->channels; c++) {
        const struct clipping one = {samples + c, frames, (size_t)f->channels,
                                     peak >= 0.99f ? 0.99f : peak - FLAT};
        clipped += count_clipped(&one);
    }
    f->clipped_share = (double)clipped / (double)n;
}

static int measure_frames(struct ml_sound_facts *f, const float *powers, size_t count,
                          struct ml_error *err)
{
    float silence;
    double loud = 0, all = 0;
    size_t silent = 0;
    int status = ml_sound_silence(&silence, powers, count, err);
    float *list = status == 0 ? sorted(powers, count, err) : NULL;
    if (!list)
        return status ? status : ML_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        all += powers[i];
        loud += powers[i] < silence ? 0 : powers[i];
        silent += powers[i] < silence;
    }
    f->level_db =
        ml_sound_db(silent < count ? loud / (double)(count - silent) : all / (double)count);
    f->noise_db = ml_sound_db(list[(count - 1) / 10]);
    f->snr_db = f->level_db - f->noise_db;
    f->silence_share = (double)silent / (double)count;
    ml_mem_free(list);
    return 0;
}

int ml_sound_measure(struct ml_sound_facts *out, const float *samples, size_t frames, int channels,
                     int rate, struct ml_error *err)
{
    struct ml_sound_facts facts = {.level_db = ML_SOUND_FLOOR_DB,
                                   .peak_db = ML_SOUND_FLOOR_DB,
                                   .noise_db = ML_SOUND_FLOOR_DB,
                                   .silence_share = 1,
                                   .rate = rate,
                                   .channels = channels};
    int status = ml_sound_check(samples, frames, channels, rate, err);
    if (status)
        return status;
    size_t step = (size_t)(rate * FRAME_SECONDS), count;
    step = step ? step : 1;
    count = (frames + step - 1) / step;
    facts.seconds = (double)frames / rate;
    if (frames > 0) {
        float *powers = ml_mem_alloc(count * sizeof *powers);
        if (!powers)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory measuring a sound");
        status = ml_sound_powers(powers, samples, frames, channels, step, err);
        if (status == 0)
            status = measure_frames(&facts, powers, count, err);
        ml_mem_free(powers);
        measure_samples(&facts, samples, frames);
    }
    if (status == 0)
        *out = facts;
    return status;
}
