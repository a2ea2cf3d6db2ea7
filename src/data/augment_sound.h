/* Variants of sound to train on: speed (Ko et al., "Audio augmentation for speech recognition",
 * 2015), noise at a given ratio, rooms (Allen & Berkley, "Image method for efficiently simulating
 * small-room acoustics", 1979). Samples are one channel of floats. */
#ifndef ML_DATA_AUGMENT_SOUND_H
#define ML_DATA_AUGMENT_SOUND_H

#include "base/rng.h"
#include "data/augment.h"

/* ---- operations ---- */

/* Samples of the result; 0 when factor is not in [0.25, 4]. */
size_t ml_sound_speed_size(size_t n, double factor);
/* Faster by factor, and higher with it; band-limited (a sinc in a Hann window of 16 zeroes a side).
 * out has ml_sound_speed_size(n, factor) samples. */
void ml_sound_speed(float *out, const float *samples, size_t n, double factor);

/* Adds noise so that the energies of the two stand at snr_db. noise NULL: white; else it is
 * repeated from a random place. Silence stays silent. */
void ml_sound_add_noise(float *samples, size_t n, const float *noise, size_t noise_n, double snr_db,
                        struct ml_rng *rng);

struct ml_room {
    double size[3], source[3], listener[3]; /* metres; the places lie within */
    double reflect;                         /* of a wall, amplitude, in [0, 1) */
};
/* A room of 3 to 10 m a side and 2.5 to 4 m high, with walls that reflect 0.3 to 0.9. */
struct ml_room ml_room_draw(struct ml_rng *rng);
/* What the listener hears of a click, n samples from its arrival on; the direct sound has the
 * amplitude 1. ML_ERR_ARG: a place outside the room, walls that do not absorb, or no rate. */
int ml_room_response(float *out, size_t n, const struct ml_room *room, int rate,
                     struct ml_error *err);
/* The samples as heard there, as loud as before; in place, n stays. */
int ml_sound_add_room(float *samples, size_t n, const float *response, size_t response_n,
                      struct ml_error *err);

/* ---- a plan ---- */

/* Zero: not done. */
struct ml_sound_plan {
    double noise;               /* chance */
    double snr_low, snr_high;   /* dB; both 0: 5 to 20 */
    double room;                /* chance */
    const float *noise_samples; /* at the same rate; NULL: white */
    size_t noise_count;
};
/* Noise and room, in place; speed changes the length and is for the caller, by a factor from
 * ml_sound_speed_draw. ML_ERR_STATE: not the split to train on. */
struct ml_samples {
    float *samples;
    size_t count;
    int rate;
};
int ml_augment_sound(const struct ml_samples *sound, const struct ml_sound_plan *plan,
                     enum ml_augment_split split, struct ml_rng *rng, struct ml_error *err);
/* 0.9, 1 or 1.1, as in the paper; 1 for every split but the one to train on. */
double ml_sound_speed_draw(enum ml_augment_split split, struct ml_rng *rng);

#endif
