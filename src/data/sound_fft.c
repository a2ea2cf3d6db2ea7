#include "data/sound_fft.h"

#include <math.h>

#include "base/arena.h"
#include "base/fail.h"

int ml_fft_init(struct ml_fft *fft, int length, struct ml_error *err)
{
    if (length < 4 || length > 65536 || (length & (length - 1)))
        return ml_fail(err, ML_ERR_ARG,
                       "a transform of %d samples: the length must be a power of two, 4 to 65536",
                       length);
    struct ml_fft made = {.length = length};
    int half = length / 2;
    made.turns = ml_mem_alloc((size_t)length * sizeof *made.turns);
    made.places = ml_mem_alloc((size_t)half * sizeof *made.places);
    made.work = ml_mem_alloc((size_t)length * sizeof *made.work);
    if (!made.turns || !made.places || !made.work) {
        ml_fft_clear(&made);
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a transform of %d samples", length);
    }
    for (int k = 0; k < half; k++) {
        made.turns[2 * k] = (float)cos(2 * M_PI * k / length);
        made.turns[2 * k + 1] = (float)-sin(2 * M_PI * k / length);
    }
    for (int i = 0, at = 0; i < half; i++) {
        made.places[i] = at;
        int bit = half / 2;
        for (; bit && at & bit; bit /= 2)
            at ^= bit;
        at |= bit;
    }
    *fft = made;
    return 0;
}

void ml_fft_clear(struct ml_fft *fft)
{
    if (!fft)
        return;
    ml_mem_free(fft->turns);
    ml_mem_free(fft->places);
    ml_mem_free(fft->work);
    *fft = (struct ml_fft){0};
}

/* Cooley & Tukey 1965, radix 2, in place, of length / 2 complex numbers that stand at their
 * reversed places. */
static void transform_half(const struct ml_fft *fft)
{
    float *x = fft->work;
    int n = fft->length / 2;
    for (int span = 1; span < n; span *= 2) {
        int step = n / span; /* of turns, which are for 2 n: exp(-2 pi i k / (2 span)) */
        for (int at = 0; at < n; at += 2 * span)
            for (int k = 0; k < span; k++) {
                const float *turn = fft->turns + 2 * k * step;
                float *a = x + 2 * (at + k), *b = a + 2 * span;
                float re = b[0] * turn[0] - b[1] * turn[1], im = b[0] * turn[1] + b[1] * turn[0];
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
    }
}

/* Even samples as real, odd as imaginary parts of half the length; then
 * X[k] = E[k] + turn[k] O[k], with E = (Z[k] + conj Z[n - k]) / 2, O = (Z[k] - conj Z[n - k]) / 2i.
 */
void ml_fft_power(const struct ml_fft *fft, float *power, const float *frame)
{
    int n = fft->length / 2;
    float *z = fft->work;
    for (int i = 0; i < n; i++) {
        z[2 * fft->places[i]] = frame[2 * i];
        z[2 * fft->places[i] + 1] = frame[2 * i + 1];
    }
    transform_half(fft);
    float first = z[0] + z[1], last = z[0] - z[1];
    power[0] = first * first;
    power[n] = last * last;
    for (int k = 1; k < n; k++) {
        const float *a = z + 2 * k, *b = z + 2 * (n - k), *turn = fft->turns + 2 * k;
        float even_re = (a[0] + b[0]) / 2, even_im = (a[1] - b[1]) / 2;
        float odd_re = (a[1] + b[1]) / 2, odd_im = (b[0] - a[0]) / 2;
        float re = even_re + odd_re * turn[0] - odd_im * turn[1];
        float im = even_im + odd_re * turn[1] + odd_im * turn[0];
        power[k] = re * re + im * im;
    }
}
