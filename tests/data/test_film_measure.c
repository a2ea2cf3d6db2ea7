/* Measures of films (data/film_measure.h), and films decoded by ffmpeg (data/media_decode.h). */
#include "data/film_measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "data/media_decode.h"
#include "data_check.h"

enum { W = 160, H = 90, RATE = 10, MOST = 400 };
static uint8_t film[MOST][H][W];

/* A scene of waves that drifts by `speed` pixels a frame, from frame `from` on. */
static void scene(int from, int count, int which, double speed)
{
    for (int i = 0; i < count; i++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                film[from + i][y][x] =
                    (uint8_t)(110 + 25 * which % 90 +
                              50 * sin((x + speed * i) / (7.0 + 6 * which) + which) *
                                  cos(y / (9.0 + 4 * which)));
}

static struct ml_film_facts measure(int count)
{
    const struct ml_film_frames frames = {&film[0][0][0], (size_t)count, W, H, RATE};
    struct ml_film_facts f;
    struct ml_error err = {0};
    if (ml_film_measure(&f, &frames, &err))
        fail_msg("%s", err.message);
    return f;
}

static void cuts(void **state)
{
    for (int i = 0; i < 8; i++)
        scene(50 * i, 50, i % 4, 1);
    struct ml_film_facts f = measure(400);
    assert_int_equal(f.cuts, 7);
    assert_int_equal(f.first_cut, 50);
    assert_true(f.motion > 0.005 && f.frozen == 0 && f.black == 0 && fabs(f.seconds - 40) < 1e-9);
}

/* A flash, and a fade to another scene: no cut. A fast scene alone: none either. */
static void no_cuts(void **state)
{
    scene(0, 200, 1, 1);
    memset(film[100], 255, sizeof film[100]);
    assert_int_equal(measure(200).cuts, 0);
    scene(0, 100, 1, 0);
    scene(100, 100, 3, 0);
    for (int i = 0; i < 40; i++) /* from frame 80 to 120 */
        for (int k = 0; k < W * H; k++)
            ((uint8_t *)film[80 + i])[k] =
                (uint8_t)((((uint8_t *)film[0])[k] * (40 - i) + ((uint8_t *)film[199])[k] * i) /
                          40);
    assert_int_equal(measure(200).cuts, 0);
    scene(0, 200, 1, 25);
    assert_int_equal(measure(200).cuts, 0);
}

static void black_and_still(void **state)
{
    scene(0, 100, 2, 0);
    memset(film[60], 5, 40 * sizeof film[0]);
    struct ml_film_facts f = measure(100);
    assert_true(fabs(f.black - 0.4) < 1e-9);
    assert_true(fabs(f.frozen - 1) < 0.03);
    assert_int_equal(f.cuts, 1);
    const struct ml_film_frames none = {&film[0][0][0], 0, W, H, RATE};
    const struct ml_film_frames tiny = {&film[0][0][0], 1, 4, 4, RATE};
    assert_int_equal(ml_film_measure(&f, &none, NULL), ML_ERR_ARG);
    assert_int_equal(ml_film_measure(&f, &tiny, NULL), ML_ERR_ARG);
    assert_true(measure(1).frozen == 0);
}

/* Written as frames of luma between marks, which ffmpeg reads, too. */
static void decoded(void **state)
{
    struct ml_buffer bytes = {0};
    struct ml_decoded_film got = {.frames = {.count = 0}};
    struct ml_film_facts f;
    struct ml_error err = {0};
    if (!ml_media_can_decode())
        return;
    scene(0, 30, 1, 1);
    scene(30, 30, 2, 1);
    assert_int_equal(
        ml_buffer_printf(&bytes, NULL, "YUV4MPEG2 W%d H%d F10:1 Ip A1:1 Cmono\n", W, H), 0);
    for (int i = 0; i < 60; i++) {
        ml_buffer_put(&bytes, "FRAME\n", 6, NULL);
        ml_buffer_put(&bytes, film[i], sizeof film[i], NULL);
    }
    if (ml_media_film(&got, bytes.data, bytes.size, &err))
        fail_msg("%s", err.message);
    assert_int_equal(got.frames.width, W);
    assert_int_equal(got.frames.height, H);
    assert_in_range(got.frames.count, 59, 61);
    assert_int_equal(ml_film_measure(&f, &got.frames, &err), 0);
    assert_int_equal(f.cuts, 1);
    ml_decoded_film_clear(&got);
    assert_int_equal(ml_media_film(&got, bytes.data, 30, &err), ML_ERR_FORMAT);
    ml_buffer_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cuts), cmocka_unit_test(no_cuts),
                                       cmocka_unit_test(black_and_still),
                                       cmocka_unit_test(decoded)};
    return cmocka_run_group_tests_name("film_measure", tests, NULL, NULL);
}
