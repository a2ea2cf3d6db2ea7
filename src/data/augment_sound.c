#include "data/augment_sound.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"

#define PI     3.14159265358979323846
#define ZEROES 16 /* of the sinc, each side */

/* ---- speed ---- */

size_t ml_sound_speed_size(size_t n, double factor)
{
    return factor >= 0.25 && factor <= 4 ? (size_t)((double)n / factor + 0.5) : 0;
}

/* The ideal low pass at `cutoff` (of half the rate), x samples from its middle, in a Hann window.
 */
static double kernel(double x, double cutoff, double half)
{
    double t = PI * cutoff * x;
    double sinc = fabs(t) < 1e-9 ? 1 : sin(t) / t;
    return cutoff * sinc * (0.5 + 0.5 * cos(PI * x / half));
}

void ml_sound_speed(float *out, const float *samples, size_t n, double factor)
{
    size_t count = ml_sound_speed_size(n, factor);
    double cutoff = factor > 1 ? 0.98 / factor : 0.98, half = ZEROES / cutoff;
    for (size_t i = 0; i < count; i++) {
        double at = (double)i * factor, sum = 0, weight = 0;
        long first = (long)ceil(at - half), last = (long)floor(at + half);
        for (long k = first; k <= last; k++) {
            double w = kernel((double)k - at, cutoff, half);
            weight += w;
            if (k >= 0 && k < (long)n)
                sum += w * samples[k];
        }
        out[i] = (float)(sum / weight);
    }
}

double ml_sound_speed_draw(enum ml_augment_split split, struct ml_rng *rng)
{
    return split == ML_AUGMENT_TRAIN ? 0.9 + 0.1 * (double)ml_rng_below(rng, 3) : 1;
}

/* ---- noise ---- */

static double energy(const float *samples, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)samples[i] * samples[i];
    return sum;
}

/* Twice the same numbers: once to weigh them, once to add them. */
static double noise_pass(float *samples, size_t n, const float *noise, size_t noise_n, float gain,
                         struct ml_rng rng)
{
    double sum = 0;
    size_t at = noise ? (size_t)ml_rng_below(&rng, noise_n) : 0;
    for (size_t i = 0; i < n; i++) {
        float v = noise ? noise[at] : ml_rng_normal(&rng);
        at = noise && at + 1 < noise_n ? at + 1 : 0;
        sum += (double)v * v;
        if (gain != 0)
            samples[i] += gain * v;
    }
    return sum;
}

void ml_sound_add_noise(float *samples, size_t n, const float *noise, size_t noise_n, double snr_db,
                        struct ml_rng *rng)
{
    const struct ml_rng same = {.seed = rng->seed, .stream = ml_rng_u64(rng)};
    const float *from = noise_n ? noise : NULL;
    double signal = energy(samples, n), sound = noise_pass(samples, n, from, noise_n, 0, same);
    if (signal > 0 && sound > 0)
        noise_pass(samples, n, from, noise_n, (float)sqrt(signal / sound / pow(10, snr_db / 10)),
                   same);
}

/* ---- rooms ---- */

/* Convolution; most of a response between its first reflections is 0. */
int ml_sound_add_room(float *samples, size_t n, const float *response, size_t response_n,
                      struct ml_error *err)
{
    double before = energy(samples, n);
    float *out = ml_mem_calloc(n ? n : 1, sizeof *out);
    if (!out)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory putting sound into a room");
    for (size_t k = 0; k < response_n && k < n; k++)
        for (size_t i = k; response[k] != 0 && i < n; i++)
            out[i] += response[k] * samples[i - k];
    double after = energy(out, n), gain = after > 0 ? sqrt(before / after) : 1;
    for (size_t i = 0; i < n; i++)
        samples[i] = (float)(gain * out[i]);
    ml_mem_free(out);
    return 0;
}

static int add_some_room(const struct ml_samples *sound, struct ml_rng *rng, struct ml_error *err)
{
    const struct ml_room room = ml_room_draw(rng);
    size_t n = (size_t)sound->rate * 3 / 10; /* 0.3 s hold most of what such rooms give back */
    float *response = ml_mem_calloc(n + 1, sizeof *response);
    if (!response)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory putting sound into a room");
    int status = ml_room_response(response, n, &room, sound->rate, err);
    if (status == 0)
        status = ml_sound_add_room(sound->samples, sound->count, response, n, err);
    ml_mem_free(response);
    return status;
}

int ml_augment_sound(const struct ml_samples *sound, const struct ml_sound_plan *plan,
                     enum ml_augment_split split, struct ml_rng *rng, struct ml_error *err)
{
    bool range = plan->snr_low != 0 || plan->snr_high != 0;
    double low = range ? plan->snr_low : 5, high = range ? plan->snr_high : 20;
    int status = ml_augment_check(split, err);
    if (status == 0 && (sound->rate < 1000 || sound->rate > 384000 || low > high))
        status = ml_fail(err, ML_ERR_ARG,
                         "a plan for sound: a rate of 1,000 to 384,000 a second, and the lower "
                         "ratio to noise first");
    if (status == 0 && ml_rng_double(rng) < plan->room)
        status = add_some_room(sound, rng, err);
    if (status == 0 && ml_rng_double(rng) < plan->noise)
        ml_sound_add_noise(sound->samples, sound->count, plan->noise_samples, plan->noise_count,
                           low + (high - low) * ml_rng_double(rng), rng);
    return status;
}
