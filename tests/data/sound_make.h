/* Sounds for tests: noise that sounds like nothing else, and changes to it. */
#ifndef SOUND_MAKE_H
#define SOUND_MAKE_H

#include <math.h>
#include <stddef.h>

#include "base/rng.h"

/* Syllables of 0.12 s: 24 tones of 250 to 2250 Hz that swell and fade, other ones each time. The
 * moment is in seconds, so that a sound is the same at any rate. */
static inline float babble(uint64_t seed, double seconds)
{
    double sum = 0, part = seconds / 0.12;
    uint64_t syllable = (uint64_t)part;
    for (uint64_t block = 0; block < 6; block++) {
        uint32_t draw[4];
        ml_rng_block(seed, block, syllable, draw);
        for (int i = 0; i < 4; i++)
            sum += sin(6.283185307179586 * (250 + draw[i] % 2000) * seconds + draw[i] % 7);
    }
    return (float)(sum / 16 * sin(3.141592653589793 * (part - (double)syllable)));
}

static inline void make_babble(float *out, size_t frames, int rate, uint64_t seed)
{
    for (size_t i = 0; i < frames; i++)
        out[i] = babble(seed, (double)i / rate);
}

#endif
