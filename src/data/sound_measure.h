/* What can be measured of one sound, to sort and filter by. Plain arrays: nothing is decoded. */
#ifndef ML_DATA_SOUND_MEASURE_H
#define ML_DATA_SOUND_MEASURE_H

#include <stddef.h>

#include "maliang/error.h"

enum { ML_SOUND_CHANNELS = 64, ML_SOUND_RATE = 768000 }; /* the most */
#define ML_SOUND_FLOOR_DB (-100.0) /* nothing is quieter: digital silence has no level */

struct ml_sound_span {
    const float *samples; /* interleaved, [frames, channels], -1..1 */
    size_t frames;
    int channels, rate; /* rate in Hz */
};

/* Levels in dB under full scale: a sine from -1 to 1 has -3.0. Frames are 25 ms, next to each
 * other; the level of a frame is that of the mean square over all channels. */
struct ml_sound_facts {
    double seconds;
    double level_db;      /* RMS of the frames that are not silent; of all, where all are */
    double peak_db;       /* the largest sample */
    double noise_db;      /* the frame at the 10th percentile from below */
    double snr_db;        /* level_db - noise_db: of speech with pauses; near 0 of steady sounds */
    double silence_share; /* of frames under the level of ml_sound_silence */
    /* Of samples in flat runs of three or more at an extreme: at 0.99 of full scale or above, or at
     * the file's own peak where that is lower (clipped, then turned down) but above 0.1. A run
     * counts only if the curve breaks off at one of its ends, as no smooth low tone does. What a
     * lossy coding made of a clipped wave is not flat any more, and is not seen. */
    double clipped_share;
    int rate, channels;
};

/* samples: interleaved, [frames, channels], -1..1. No frames at all: zero seconds, levels at the
 * floor, silence 1. NaN and infinity are ML_ERR_NUMERIC. */
int ml_sound_measure(struct ml_sound_facts *out, const float *samples, size_t frames, int channels,
                     int rate, struct ml_error *err);

/* ---- for sound_split ---- */

/* Mean squares over all channels of frames of `step` samples; the last frame may be shorter.
 * out: [(frames + step - 1) / step]. */
int ml_sound_powers(float *out, const float *samples, size_t frames, int channels, size_t step,
                    struct ml_error *err);
/* The power under which a frame is silent: -50 dB, or, in noise, 6 dB above the 10th percentile,
 * but at least 20 dB under the 95th (a steady sound is not silence). */
int ml_sound_silence(float *out, const float *powers, size_t count, struct ml_error *err);
int ml_sound_check(const float *samples, size_t frames, int channels, int rate,
                   struct ml_error *err);
double ml_sound_db(double power);

#endif
