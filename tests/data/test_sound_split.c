/* Splitting on silence (data/sound_split.h). */
#include "data/sound_split.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "data_check.h"
#include "sound_make.h"

#define RATE 8000
#define MOST (200 * RATE)

static float samples[2 * MOST]; /* room for two channels */

/* Speech and silence by turns, in tenths of seconds, speech first; ends with 0. */
static size_t make(const int *tenths)
{
    size_t at = 0;
    for (int i = 0; tenths[i] || i == 0; i++) {
        size_t n = (size_t)tenths[i] * RATE / 10;
        assert_true(at + n <= MOST);
        for (size_t k = 0; k < n; k++, at++) /* a steady tone, so that it is known where it ends */
            samples[at] =
                i % 2 ? 0 : 0.3f * (float)sin(6.283185307179586 * 440 * (double)at / RATE);
    }
    return at;
}

static struct ml_sound_pieces split(size_t frames, int channels,
                                    const struct ml_sound_split_options *options)
{
    struct ml_sound_pieces pieces = {0};
    struct ml_error err = {0};
    struct ml_sound_span span = {samples, frames, channels, RATE};
    if (ml_sound_split(&pieces, &span, options, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < pieces.count; i++) {
        assert_true(pieces.items[i].start < pieces.items[i].end && pieces.items[i].end <= frames);
        assert_true(i == 0 || pieces.items[i - 1].end <= pieces.items[i].start);
    }
    return pieces;
}

/* Borders in tenths of seconds, to 10 ms. */
static void expect(const int *tenths, const struct ml_sound_split_options *options,
                   const double *borders, size_t pieces)
{
    struct ml_sound_pieces got = split(make(tenths), 1, options);
    assert_int_equal(got.count, pieces);
    for (size_t i = 0; i < pieces; i++) {
        assert_true(fabs((double)got.items[i].start / RATE - borders[2 * i] / 10) < 0.011);
        assert_true(fabs((double)got.items[i].end / RATE - borders[2 * i + 1] / 10) < 0.011);
    }
    ml_sound_pieces_clear(&got);
}

static void cuts_in_the_middle_of_silence(void **state)
{
    expect((const int[]){50, 6, 40, 0}, NULL, (const double[]){0, 53, 53, 96}, 2);
    expect((const int[]){50, 10, 40, 0}, NULL, (const double[]){0, 55, 55, 100}, 2);
}

static void long_silence_is_left_out(void **state)
{
    /* each side keeps half a second; so at the end */
    expect((const int[]){50, 60, 40, 30, 0}, NULL, (const double[]){0, 55, 105, 155}, 2);
    expect((const int[]){50, 2, 40, 0}, NULL, (const double[]){0, 92}, 1); /* too short a silence */
    expect((const int[]){50, 2, 40, 0}, &(struct ml_sound_split_options){.least_silence = 0.1},
           (const double[]){0, 51, 51, 92}, 2);
}

static void short_pieces_are_joined(void **state)
{
    /* the word in the middle goes to the nearer neighbour */
    expect((const int[]){50, 8, 10, 4, 40, 0}, NULL, (const double[]){0, 54, 54, 112}, 2);
    /* where that would be too long, to the other */
    expect((const int[]){50, 8, 10, 4, 290, 0}, NULL, (const double[]){0, 70, 70, 362}, 2);
    /* nowhere to: dropped */
    expect((const int[]){295, 8, 10, 8, 295, 0}, NULL, (const double[]){0, 299, 317, 616}, 2);
    /* many short words become one piece after another */
    expect((const int[]){8, 4, 8, 4, 8, 4, 8, 4, 8, 0}, NULL, (const double[]){0, 56}, 1);
    expect((const int[]){10, 0}, NULL, NULL, 0);
}

static void long_pieces_are_cut_where_it_is_quietest(void **state)
{
    size_t n = make((const int[]){500, 0}), at = 28 * RATE + RATE / 2;
    for (size_t i = at - RATE / 20; i < at + RATE / 20; i++) /* 0.1 s: no silence, but quiet */
        samples[i] *= 0.02f;
    struct ml_sound_pieces got = split(n, 1, NULL);
    assert_int_equal(got.count, 2);
    assert_true(fabs((double)got.items[0].end / RATE - 28.5) < 0.06);
    assert_int_equal(got.items[1].start, got.items[0].end);
    assert_int_equal(got.items[1].end, n);
    ml_sound_pieces_clear(&got);
    /* steady: as long as may be, but never too little left */
    n = make((const int[]){610, 0});
    got = split(n, 1, NULL);
    assert_int_equal(got.count, 3);
    for (size_t i = 0; i < got.count; i++) {
        size_t length = got.items[i].end - got.items[i].start;
        assert_true(length >= 3 * RATE && length <= 30 * RATE);
    }
    assert_int_equal(got.items[2].end, n);
    ml_sound_pieces_clear(&got);
}

static void channels_and_noise(void **state)
{
    struct ml_rng rng;
    size_t n = make((const int[]){50, 10, 40, 0});
    ml_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < n; i++) /* 30 dB under the speech: no digital silence */
        samples[i] += 0.0067f * ml_rng_normal(&rng);
    struct ml_sound_pieces one = split(n, 1, NULL);
    assert_int_equal(one.count, 2);
    for (size_t i = n; i-- > 0;)
        samples[2 * i] = samples[2 * i + 1] = samples[i];
    struct ml_sound_pieces two = split(n, 2, NULL);
    assert_int_equal(two.count, 2);
    assert_memory_equal(one.items, two.items, 2 * sizeof *one.items);
    ml_sound_pieces_clear(&one);
    ml_sound_pieces_clear(&two);
    struct ml_sound_pieces none = split(n, 2, &(struct ml_sound_split_options){.silence_db = -3});
    assert_int_equal(none.count, 0); /* all of it is silence then */
    ml_sound_pieces_clear(&none);
}

static void bounds(void **state)
{
    static const struct ml_sound_split_options bad[] = {
        {.least = -1}, {.most = NAN}, {.silence_db = 3}, {.least = 20}, {.most = 1e300}};
    struct ml_sound_pieces pieces = {.count = 77};
    struct ml_error err;
    float few[4] = {0.5f, -0.5f, 0.5f, NAN};
    struct ml_sound_span span = {few, 3, 1, RATE};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct ml_error){0};
        assert_int_equal(ml_sound_split(&pieces, &span, &bad[i], &err), ML_ERR_ARG);
        assert_true(strlen(err.message) > 20);
    }
    span.frames = 4;
    assert_int_equal(ml_sound_split(&pieces, &span, NULL, NULL), ML_ERR_NUMERIC);
    span.frames = 3;
    span.channels = 0;
    assert_int_equal(ml_sound_split(&pieces, &span, NULL, NULL), ML_ERR_ARG);
    assert_int_equal(pieces.count, 77);
    for (int rate = 1; rate < 300000; rate = rate * 7 + 1) {
        span = (struct ml_sound_span){few, 3, 1, rate};
        assert_int_equal(ml_sound_split(&pieces, &span, NULL, NULL), 0);
        ml_sound_pieces_clear(&pieces);
    }
    span.frames = 0;
    assert_int_equal(ml_sound_split(&pieces, &span, NULL, NULL), 0);
    assert_int_equal(pieces.count, 0);
    ml_sound_pieces_clear(&pieces);
    ml_sound_pieces_clear(NULL);
}

static void no_memory(void **state)
{
    struct ml_sound_span span = {samples, make((const int[]){50, 6, 40, 6, 10, 0}), 1, RATE};
    struct ml_sound_pieces pieces = {0};
    struct ml_mem_stats before, after;
    int status = ML_ERR_MEMORY;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; status; n++) {
        ml_mem_fail_at(n);
        status = ml_sound_split(&pieces, &span, NULL, NULL);
        ml_mem_fail_at(0);
        assert_true(status == 0 || (status == ML_ERR_MEMORY && pieces.items == NULL));
        assert_true(n < 100);
    }
    ml_sound_pieces_clear(&pieces);
    ml_mem_get_stats(&after);
    assert_int_equal(before.live_blocks, after.live_blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_in_the_middle_of_silence),
        cmocka_unit_test(long_silence_is_left_out),
        cmocka_unit_test(short_pieces_are_joined),
        cmocka_unit_test(long_pieces_are_cut_where_it_is_quietest),
        cmocka_unit_test(channels_and_noise),
        cmocka_unit_test(bounds),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
