/* Measures of sound (data/sound_measure.h). */
#include "data/sound_measure.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/rng.h"
#include "data_check.h"

#define RATE 8000
#define N    (4 * RATE)

static void tone(float *out, size_t n, double frequency, double gain)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(gain * sin(6.283185307179586 * frequency * (double)i / RATE));
}

static struct ml_sound_facts measure(const float *samples, size_t frames, int channels)
{
    struct ml_sound_facts f;
    struct ml_error err = {0};
    if (ml_sound_measure(&f, samples, frames, channels, RATE, &err))
        fail_msg("%s", err.message);
    return f;
}

static bool near(double got, double want, double by)
{
    return fabs(got - want) <= by;
}

static void levels(void **state)
{
    static float s[N];
    struct ml_sound_facts f;
    tone(s, N, 400, 1);
    f = measure(s, N, 1);
    assert_true(near(f.level_db, -3.01, 0.02) && near(f.peak_db, 0, 0.02));
    assert_true(near(f.snr_db, 0, 0.1) && f.silence_share == 0 && near(f.seconds, 4, 1e-9));
    memset(s, 0, sizeof s);
    f = measure(s, N, 1);
    assert_true(near(f.level_db, -100, 0) && f.silence_share == 1);
    f = measure(s, 0, 1);
    assert_true(f.seconds == 0 && f.silence_share == 1);
    /* Half a tone at -20 dB, half noise at -60: as with speech and its pauses. */
    struct ml_rng rng;
    ml_rng_init(&rng, 1, 1);
    tone(s, N / 2, 400, 0.1 * sqrt(2));
    for (int i = N / 2; i < N; i++)
        s[i] = 0.001f * ml_rng_normal(&rng);
    f = measure(s, N, 1);
    assert_true(near(f.level_db, -20, 0.1) && near(f.noise_db, -60, 1.5));
    assert_true(near(f.snr_db, 40, 1.5) && near(f.silence_share, 0.5, 0.02));
    f = measure(s, N / 2, 2); /* interleaved */
    assert_true(near(f.seconds, 2, 1e-9) && near(f.level_db, -20, 0.1));
}

static void clipping(void **state)
{
    static float s[N], low[N];
    struct ml_sound_facts f;
    for (double frequency = 20; frequency < 3900; frequency *= 1.3) {
        tone(s, N, frequency, 1);
        f = measure(s, N, 1);
        assert_true(f.clipped_share == 0);
        tone(s, N, 150, 1.5);
        for (int i = 0; i < N; i++) {
            s[i] = s[i] > 1 ? 1 : s[i] < -1 ? -1 : s[i];
            low[i] = 0.4f * s[i]; /* clipped, then turned down */
        }
        f = measure(s, N, 1);
        assert_true(near(f.clipped_share, 1 - 2 / 3.14159 * asin(1 / 1.5), 0.03));
        assert_true(near(measure(low, N, 1).clipped_share, f.clipped_share, 1e-9));
    }
    for (int i = 0; i < N; i++)
        s[i] = 0.05f * (i / 100 % 2 ? 1 : -1); /* steps, but too quiet to be clipping */
    assert_true(measure(s, N, 1).clipped_share == 0);
}

static void bad_input(void **state)
{
    float s[8] = {0, 0, NAN};
    struct ml_sound_facts f;
    assert_int_equal(ml_sound_measure(&f, s, 8, 1, RATE, NULL), ML_ERR_NUMERIC);
    assert_int_equal(ml_sound_measure(&f, s, 2, 0, RATE, NULL), ML_ERR_ARG);
    assert_int_equal(ml_sound_measure(&f, s, 2, 1, 0, NULL), ML_ERR_ARG);
    assert_int_equal(ml_sound_measure(&f, s, 2, 1, 1, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels), cmocka_unit_test(clipping),
                                       cmocka_unit_test(bad_input)};
    return cmocka_run_group_tests_name("sound_measure", tests, NULL, NULL);
}
