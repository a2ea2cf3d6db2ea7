/* Fingerprints of sounds and their index (data/sound_print.h), the transform under them
 * (data/sound_fft.h). */
#include "data/sound_print.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "data/sound_fft.h"
#include "data_check.h"
#include "sound_make.h"

#define RATE 8000
#define N    (4 * RATE)

static float original[N], changed[3 * N];

static void transform_is_its_definition(void **state)
{
    for (int n = 4; n <= 256; n *= 2) {
        struct ml_fft fft = {0};
        struct ml_rng rng;
        float frame[256], power[129];
        ml_rng_init(&rng, 3, (uint64_t)n);
        for (int i = 0; i < n; i++)
            frame[i] = ml_rng_normal(&rng);
        assert_int_equal(ml_fft_init(&fft, n, NULL), 0);
        ml_fft_power(&fft, power, frame);
        for (int k = 0; k <= n / 2; k++) {
            double re = 0, im = 0;
            for (int i = 0; i < n; i++) {
                re += frame[i] * cos(6.283185307179586 * k * i / n);
                im += frame[i] * sin(6.283185307179586 * k * i / n);
            }
            assert_true(fabs(re * re + im * im - power[k]) < 1e-4 * n);
        }
        ml_fft_clear(&fft);
    }
    struct ml_fft none = {0};
    assert_int_equal(ml_fft_init(&none, 48, NULL), ML_ERR_ARG);
    assert_int_equal(ml_fft_init(&none, 2, NULL), ML_ERR_ARG);
    ml_fft_clear(NULL);
}

static struct ml_sound_print print_of(const float *samples, size_t frames, int channels, int rate)
{
    struct ml_sound_print print = {0};
    struct ml_sound_span span = {samples, frames, channels, rate};
    struct ml_error err = {0};
    if (ml_sound_print(&print, &span, &err))
        fail_msg("%s", err.message);
    return print;
}

static void add(struct ml_print_index *index, const float *samples, size_t frames, int64_t id)
{
    struct ml_sound_print print = print_of(samples, frames, 1, RATE);
    assert_int_equal(ml_print_index_add(index, &print, id, NULL), 0);
    ml_sound_print_clear(&print);
}

/* The id that is found, -1: none. */
static int64_t find(const struct ml_print_index *index, const struct ml_sound_print *print,
                    struct ml_print_match *match)
{
    bool found = false;
    assert_int_equal(ml_print_index_find(index, print, NULL, match, &found, NULL), 0);
    return found ? match->id : -1;
}

/* What is in `changed` is found as sound 7, with so many errors at most. */
static struct ml_print_match expect_found(const struct ml_print_index *index, size_t frames,
                                          int channels, int rate, double errors)
{
    struct ml_print_match match = {0};
    struct ml_sound_print print = print_of(changed, frames, channels, rate);
    assert_int_equal(find(index, &print, &match), 7);
    assert_true(match.errors <= errors && match.overlap >= 0.8);
    ml_sound_print_clear(&print);
    return match;
}

static void fill(struct ml_print_index *index, size_t frames)
{
    for (int i = 0; i < 12; i++) {
        make_babble(original, frames, RATE, (uint64_t)i);
        add(index, original, frames, i);
    }
    make_babble(original, frames, RATE, 7);
}

static void changed_copies_are_found(void **state)
{
    static const size_t lengths[] = {N, RATE / 2};
    for (int l = 0; l < 2; l++) {
        size_t n = lengths[l];
        struct ml_print_index index = {0};
        struct ml_rng rng;
        fill(&index, n);
        memcpy(changed, original, n * sizeof *changed);
        assert_true(expect_found(&index, n, 1, RATE, 0).offset == 0);
        for (size_t i = 0; i < n; i++)
            changed[i] = 0.1f * original[i];
        expect_found(&index, n, 1, RATE, 0.001);
        for (size_t i = 0; i < n; i++)
            changed[2 * i] = changed[2 * i + 1] = original[i];
        expect_found(&index, n, 2, RATE, 0.001);
        make_babble(changed, n * 22050 / RATE, 22050, 7);
        expect_found(&index, n * 22050 / RATE, 1, 22050, 0.03);
        make_babble(changed, n * 11025 / RATE, 11025, 7);
        expect_found(&index, n * 11025 / RATE, 1, 11025, 0.03);
        ml_rng_init(&rng, 5, 0);
        for (size_t i = 0; i < n; i++) /* 30 dB */
            changed[i] = original[i] + 0.0049f * ml_rng_normal(&rng);
        expect_found(&index, n, 1, RATE, 0.09);
        memset(changed, 0, RATE / 5 * sizeof *changed);
        memcpy(changed + RATE / 5, original, n * sizeof *changed);
        struct ml_print_match m = expect_found(&index, n + RATE / 5, 1, RATE, 0.06);
        assert_true(fabs(m.offset + 0.2) < 0.03);
        ml_print_index_clear(&index);
    }
}

static void other_sounds_are_not(void **state)
{
    struct ml_print_index index = {0};
    struct ml_print_match match;
    fill(&index, N);
    for (uint64_t seed = 100; seed < 110; seed++) {
        make_babble(changed, N, RATE, seed);
        struct ml_sound_print print = print_of(changed, N, 1, RATE);
        assert_int_equal(find(&index, &print, &match), -1);
        ml_sound_print_clear(&print);
    }
    /* 60% of one and then another is neither, though fewer than 0.25 of the bits differ */
    memcpy(changed, original, N * 3 / 5 * sizeof *changed);
    make_babble(changed + N * 3 / 5, N * 2 / 5, RATE, 200);
    struct ml_sound_print print = print_of(changed, N, 1, RATE);
    assert_int_equal(find(&index, &print, &match), -1);
    ml_sound_print_clear(&print);
    /* but a part of one is all of the shorter sound */
    memcpy(changed, original + N / 3, N / 3 * sizeof *changed);
    struct ml_print_match part = expect_found(&index, N / 3, 1, RATE, 0.1);
    assert_true(fabs(part.offset - (double)N / 3 / RATE) < 0.03);
    ml_print_index_clear(&index);
}

static void the_first_of_equals(void **state)
{
    struct ml_print_index index = {0};
    struct ml_print_match match;
    make_babble(original, N, RATE, 1);
    add(&index, original, N, 42);
    add(&index, original, N, 3);
    struct ml_sound_print print = print_of(original, N, 1, RATE), again;
    assert_int_equal(find(&index, &print, &match), 42);
    again = print_of(original, N, 1, RATE);
    assert_int_equal(again.count, print.count);
    for (size_t f = 0; f < print.count; f++)
        assert_int_equal(again.frames[f].bits, print.frames[f].bits);
    ml_sound_print_clear(&print);
    ml_sound_print_clear(&again);
    ml_print_index_clear(&index);
}

/* Six minutes of hum, the same again and again: neither slow nor found as something else. */
static void what_says_nothing(void **state)
{
    struct ml_print_index index = {0};
    struct ml_print_match match;
    struct ml_sound_print print;
    memset(changed, 0, sizeof changed);
    print = print_of(changed, N, 1, RATE);
    assert_int_equal(print.loud, 0);
    assert_int_equal(ml_print_index_add(&index, &print, 1, NULL), 0);
    assert_int_equal(find(&index, &print, &match), -1);
    ml_sound_print_clear(&print);
    for (int64_t id = 0; id < 20; id++) {
        for (size_t i = 0; i < 3 * N; i++)
            changed[i] = (float)(0.3 * sin(6.283185307179586 * 440 * (double)i / RATE));
        add(&index, changed, 3 * N, id);
    }
    make_babble(original, N, RATE, 1);
    print = print_of(original, N, 1, RATE);
    assert_int_equal(find(&index, &print, &match), -1);
    ml_sound_print_clear(&print);
    ml_print_index_clear(&index);
}

static void bounds(void **state)
{
    struct ml_sound_print print = {.count = 77};
    float few[3] = {0.5f, -0.5f, INFINITY};
    struct ml_sound_span span = {few, 3, 1, RATE};
    assert_int_equal(ml_sound_print(&print, &span, NULL), ML_ERR_NUMERIC);
    span.rate = 0;
    assert_int_equal(ml_sound_print(&print, &span, NULL), ML_ERR_ARG);
    assert_int_equal(print.count, 77);
    for (int rate = 1; rate <= ML_SOUND_RATE; rate = rate * 5 + 1) {
        for (size_t n = 0; n < 3; n++) {
            print = print_of(few, n, 1, rate);
            assert_true(rate < 100 || print.loud == 0); /* under 20 ms */
            ml_sound_print_clear(&print);
        }
    }
    static float slow[ML_PRINT_SECONDS]; /* 1 Hz */
    struct ml_error err = {0};
    span = (struct ml_sound_span){slow, ML_PRINT_SECONDS, 1, 1};
    assert_int_equal(ml_sound_print(&print, &span, &err), ML_ERR_LIMIT);
    assert_non_null(strstr(err.message, "split it"));
    ml_sound_print_clear(NULL);
    ml_print_index_clear(NULL);
}

static int all_of_it(void)
{
    struct ml_sound_span span = {original, RATE, 1, RATE};
    struct ml_sound_print print = {0};
    struct ml_print_index index = {0};
    struct ml_print_match match;
    bool found = false;
    int status = ml_sound_print(&print, &span, NULL);
    if (status == 0)
        status = ml_print_index_add(&index, &print, 1, NULL);
    if (status == 0)
        status = ml_print_index_find(&index, &print, NULL, &match, &found, NULL);
    assert_true(found == (status == 0));
    ml_sound_print_clear(&print);
    ml_print_index_clear(&index);
    return status;
}

static void no_memory(void **state)
{
    struct ml_mem_stats before, after;
    int status = ML_ERR_MEMORY;
    make_babble(original, RATE, RATE, 1);
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; status; n++) {
        ml_mem_fail_at(n);
        status = all_of_it();
        ml_mem_fail_at(0);
        assert_true(status == 0 || status == ML_ERR_MEMORY);
        assert_true(n < 200);
    }
    ml_mem_get_stats(&after);
    assert_int_equal(before.live_blocks, after.live_blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transform_is_its_definition),
        cmocka_unit_test(changed_copies_are_found),
        cmocka_unit_test(other_sounds_are_not),
        cmocka_unit_test(the_first_of_equals),
        cmocka_unit_test(what_says_nothing),
        cmocka_unit_test(bounds),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
