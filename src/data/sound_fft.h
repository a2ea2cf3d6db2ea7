/* The Fourier transform of frames of sound. */
#ifndef ML_DATA_SOUND_FFT_H
#define ML_DATA_SOUND_FFT_H

#include "maliang/error.h"

/* For one length. Zero-initialise, then init. */
struct ml_fft {
    int length;   /* a power of two, 4..65536 */
    float *turns; /* [length] exp(-2 pi i k / length), real and imaginary, k < length / 2 */
    int *places;  /* [length / 2], bits reversed */
    float *work;  /* [length] */
};
int ml_fft_init(struct ml_fft *fft, int length, struct ml_error *err);
void ml_fft_clear(struct ml_fft *fft); /* accepts NULL */

/* power[k] = |sum over n of frame[n] exp(-2 pi i k n / length)|^2, k = 0..length / 2 inclusive. */
void ml_fft_power(const struct ml_fft *fft, float *power, const float *frame);

#endif
