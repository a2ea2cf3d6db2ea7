/* Variants of sound and spectrograms (data/augment_sound.h, data/augment_mel.h). */
#include "data/augment_sound.h"

#include <math.h>
#include <string.h>

#include "data/augment_mel.h"
#include "data_check.h"

#define N 16000

static void tone(float *out, size_t n, double period)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(0.5 * sin(2 * 3.14159265358979 * (double)i / period));
}

static double power(const float *samples, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)samples[i] * samples[i];
    return sum / (double)n;
}

/* A tone at another speed is a tone of another period. */
static void speed(void **state)
{
    static float in[N], out[2 * N], want[2 * N];
    static const double factors[] = {0.9, 1, 1.1, 2};
    tone(in, N, 40);
    for (size_t i = 0; i < 4; i++) {
        size_t n = ml_sound_speed_size(N, factors[i]);
        assert_int_equal(n, (size_t)(N / factors[i] + 0.5));
        ml_sound_speed(out, in, N, factors[i]);
        tone(want, n, 40 / factors[i]);
        for (size_t k = 100; k < n - 100; k++)
            assert_true(fabsf(out[k] - want[k]) < 0.002f);
    }
    tone(in, N, 2.5); /* above half the new rate it must vanish, not come back as another tone */
    size_t n = ml_sound_speed_size(N, 2);
    ml_sound_speed(out, in, N, 2);
    assert_true(power(out + 100, n - 200) < 1e-6);
    assert_int_equal(ml_sound_speed_size(N, 0.1), 0);
    assert_int_equal(ml_sound_speed_size(N, NAN), 0);
}

static void noise(void **state)
{
    static float clean[N], noisy[N];
    float hum[100];
    struct ml_rng rng;
    tone(clean, N, 40);
    tone(hum, 100, 25);
    ml_rng_init(&rng, 3, 4);
    for (int own = 0; own < 2; own++)
        for (double snr = 0; snr <= 30; snr += 10) {
            memcpy(noisy, clean, sizeof clean);
            ml_sound_add_noise(noisy, N, own ? hum : NULL, own ? 100 : 0, snr, &rng);
            for (size_t i = 0; i < N; i++)
                noisy[i] -= clean[i];
            double got = 10 * log10(power(clean, N) / power(noisy, N));
            assert_true(fabs(got - snr) < 0.01);
        }
    memset(noisy, 0, sizeof noisy);
    ml_sound_add_noise(noisy, N, NULL, 0, 10, &rng);
    assert_true(power(noisy, N) == 0);
}

/* By hand: the first reflections of a room come when and as loud as the way says. */
static void rooms(void **state)
{
    static float response[8000], sound[N];
    struct ml_error err = {0};
    struct ml_room room = {
        .size = {4, 5, 3}, .source = {1, 2.5, 1.5}, .listener = {3, 2.5, 1.5}, .reflect = 0.8};
    assert_int_equal(ml_room_response(response, 8000, &room, 8000, &err), 0);
    assert_true(fabsf(response[0] - 1) < 1e-4f);
    /* Floor and ceiling: 2 sqrt(1 + 1.5^2) = 3.606 m, both at once; 37.4 samples behind. */
    double way = 2 * sqrt(1 + 1.5 * 1.5), at = (way - 2) / 343 * 8000;
    size_t first = (size_t)at;
    double heard = response[first] + response[first + 1];
    assert_true(fabs(heard - 2 * 0.8 * 2 / way) < 1e-3);
    for (size_t i = 1; i < first; i++)
        assert_true(response[i] == 0);
    double early = power(response + 1, 1000), late = power(response + 4000, 1000);
    assert_true(late > 0 && late < early / 100);
    tone(sound, N, 40);
    double before = power(sound, N);
    assert_int_equal(ml_sound_add_room(sound, N, response, 8000, &err), 0);
    assert_true(fabs(power(sound, N) / before - 1) < 1e-3);
    room.listener[0] = 4.5;
    assert_int_equal(ml_room_response(response, 10, &room, 8000, &err), ML_ERR_ARG);
    room.listener[0] = 3;
    room.reflect = 1;
    assert_int_equal(ml_room_response(response, 10, &room, 8000, &err), ML_ERR_ARG);
}

static void plans(void **state)
{
    static float a[N], b[N], clean[N];
    const struct ml_sound_plan plan = {.noise = 0.7, .room = 0.7};
    struct ml_samples sound = {a, N, 8000};
    struct ml_rng rng;
    struct ml_error err = {0};
    int changed = 0;
    tone(clean, N, 40);
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (int again = 0; again < 2; again++) {
            sound.samples = again ? b : a;
            memcpy(sound.samples, clean, sizeof clean);
            ml_rng_init(&rng, 1, seed);
            assert_int_equal(ml_augment_sound(&sound, &plan, ML_AUGMENT_TRAIN, &rng, &err), 0);
        }
        assert_memory_equal(a, b, sizeof a);
        changed += memcmp(a, clean, sizeof a) != 0;
    }
    assert_true(changed >= 12);
    memcpy(a, clean, sizeof a);
    sound.samples = a;
    assert_int_equal(ml_augment_sound(&sound, &plan, ML_AUGMENT_TEST, &rng, &err), ML_ERR_STATE);
    assert_memory_equal(a, clean, sizeof a);
    for (int i = 0; i < 20; i++)
        assert_true(ml_sound_speed_draw(ML_AUGMENT_VALIDATION, &rng) == 1);
    double lowest = 2, highest = 0;
    for (int i = 0; i < 50; i++) {
        double f = ml_sound_speed_draw(ML_AUGMENT_TRAIN, &rng);
        lowest = f < lowest ? f : lowest;
        highest = f > highest ? f : highest;
    }
    assert_true(fabs(lowest - 0.9) < 1e-9 && fabs(highest - 1.1) < 1e-9);
}

static void spectrograms(void **state)
{
    enum { FRAMES = 300, BINS = 40 };
    static float values[FRAMES * BINS], first[FRAMES * BINS];
    const struct ml_mel mel = {values, FRAMES, BINS}, tiny = {values, 1, 1};
    const struct ml_mel_plan plan = {0}, nothing = {-1, -1, -1, -1, -1, 0},
                             few = {.warp = -1, .bin_masks = -1, .frame_masks = 2, .most = 0.1};
    struct ml_rng rng;
    struct ml_error err = {0};
    for (int i = 0; i < FRAMES * BINS; i++)
        first[i] = (float)(i / BINS);
    for (uint64_t seed = 0; seed < 100; seed++) {
        int hidden = 0;
        memcpy(values, first, sizeof first);
        ml_rng_init(&rng, 2, seed);
        assert_int_equal(ml_augment_mel(&mel, &few, ML_AUGMENT_TRAIN, &rng, &err), 0);
        for (int i = 0; i < FRAMES; i++)
            hidden += values[i * BINS] != first[i * BINS];
        assert_true(hidden <= 60); /* two masks of a tenth at most */
        memcpy(values, first, sizeof first);
        assert_int_equal(ml_augment_mel(&mel, &plan, ML_AUGMENT_TRAIN, &rng, &err), 0);
        for (int i = 0; i < FRAMES * BINS; i++)
            assert_true(values[i] >= 0 && values[i] <= FRAMES);
    }
    memcpy(values, first, sizeof first);
    assert_int_equal(ml_augment_mel(&mel, &nothing, ML_AUGMENT_TRAIN, &rng, &err), 0);
    assert_memory_equal(values, first, sizeof first);
    assert_int_equal(ml_augment_mel(&mel, &plan, ML_AUGMENT_VALIDATION, &rng, &err), ML_ERR_STATE);
    assert_int_equal(ml_augment_mel(&tiny, &plan, ML_AUGMENT_TRAIN, &rng, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speed), cmocka_unit_test(noise),        cmocka_unit_test(rooms),
        cmocka_unit_test(plans), cmocka_unit_test(spectrograms),
    };
    return cmocka_run_group_tests_name("augment_sound", tests, NULL, NULL);
}
