/* Measures and hashes of pictures (data/picture_measure.h, picture_hash.h). */
#include "data/picture_measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "data/picture_hash.h"
#include "data/picture_luma.h"
#include "data/picture_ops.h"
#include "data_check.h"

/* Waves of several lengths and directions, another picture for each seed. */
static uint8_t *waves(int width, int height, uint64_t seed)
{
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    struct ml_rng rng;
    double a[8][4];
    ml_rng_init(&rng, 5, seed);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 4; i++)
            a[k][i] = ml_rng_double(&rng);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double v = 120;
            for (int k = 0; k < 8; k++)
                v += 14 * sin(6.2832 * (a[k][3] + (a[k][0] - 0.5) * 8 * x / width +
                                        (a[k][1] - 0.5) * 8 * y / height));
            for (int c = 0; c < 3; c++)
                rgb[3 * ((size_t)y * (size_t)width + (size_t)x) + (size_t)c] = (uint8_t)(v + 3 * c);
        }
    return rgb;
}

static void levels(void **state)
{
    uint8_t rgb[4 * 3] = {0, 0, 0, 255, 255, 255, 100, 100, 100, 10, 10, 10};
    struct ml_picture_facts f;
    assert_int_equal(ml_picture_measure(&f, rgb, 2, 2, NULL), 0);
    assert_true(fabs(f.dark - 0.5) < 1e-12 && fabs(f.bright - 0.25) < 1e-12);
    assert_true(fabs(f.mean - 365 / 255.0 / 4) < 1e-9);
    double mean = 91.25,
           variance =
               (mean * mean + pow(255 - mean, 2) + pow(100 - mean, 2) + pow(10 - mean, 2)) / 4;
    assert_true(fabs(f.contrast - sqrt(variance) / 255) < 1e-9);
    assert_true(f.sharpness == 0);
    assert_int_equal(ml_picture_measure(&f, rgb, 0, 2, NULL), ML_ERR_ARG);
    assert_int_equal(ml_picture_measure(&f, rgb, 65536, 1, NULL), ML_ERR_ARG);
}

/* By hand, and: blurring takes from it, enlarging does not. */
static void sharpness(void **state)
{
    uint8_t dot[3 * 3 * 3] = {0}, *small = waves(512, 256, 1), *large;
    struct ml_picture_facts f, g;
    memset(dot + 12, 10, 3);
    dot[0] = 0;
    assert_int_equal(ml_picture_measure(&f, dot, 3, 3, NULL), 0);
    assert_true(fabs(f.sharpness) < 1e-9); /* one value has no variance */
    assert_int_equal(ml_picture_measure(&f, small, 512, 256, NULL), 0);
    large = malloc(1024 * 512 * 3);
    for (int y = 0; y < 512; y++)
        for (int x = 0; x < 1024; x++)
            memcpy(large + 3 * (y * 1024 + x), small + 3 * (y / 2 * 512 + x / 2), 3);
    assert_int_equal(ml_picture_measure(&g, large, 1024, 512, NULL), 0);
    assert_true(fabs(f.sharpness / g.sharpness - 1) < 1e-3);
    struct ml_pixels p = {small, 512, 256};
    struct ml_rng rng;
    ml_rng_init(&rng, 1, 1);
    for (int i = 0; i < 512 * 256 * 3; i++)
        small[i] = (uint8_t)(small[i] + ml_rng_below(&rng, 20));
    assert_int_equal(ml_picture_measure(&f, small, 512, 256, NULL), 0);
    assert_int_equal(ml_picture_sharpness(&p, 0, NULL), 0); /* a blur */
    assert_int_equal(ml_picture_measure(&g, small, 512, 256, NULL), 0);
    assert_true(g.sharpness < f.sharpness / 3);
    free(small);
    free(large);
}

/* A mean over areas keeps the mean, whatever the sizes. */
static void scaling(void **state)
{
    uint8_t *rgb = waves(37, 23, 3);
    float out[50 * 50], whole;
    static const int sizes[][2] = {{37, 23}, {5, 7}, {50, 50}, {1, 9}};
    assert_int_equal(ml_luma_scale(&whole, 1, 1, rgb, 37, 23, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        int w = sizes[i][0], h = sizes[i][1];
        double sum = 0;
        assert_int_equal(ml_luma_scale(out, w, h, rgb, 37, 23, NULL), 0);
        for (int k = 0; k < w * h; k++)
            sum += out[k];
        assert_true(fabs(sum / (w * h) - (double)whole) < 1e-3);
    }
    free(rgb);
}

static uint64_t hash_of(const uint8_t *rgb, int width, int height)
{
    uint64_t hash = 0;
    assert_int_equal(ml_picture_hash(&hash, rgb, width, height, NULL), 0);
    return hash;
}

static void hashes(void **state)
{
    struct ml_hash_index index = {0};
    int64_t id;
    int distance, wrong = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint8_t *rgb = waves(320, 200, seed), *half = malloc(160 * 100 * 3);
        const struct ml_pixels from = {rgb, 320, 200}, to = {half, 160, 100};
        const struct ml_box all = {0, 0, 320, 200};
        uint64_t hash = hash_of(rgb, 320, 200);
        wrong += ml_hash_index_find(&index, hash, 8, &id, &distance);
        assert_int_equal(ml_hash_index_add(&index, hash, (int64_t)seed, NULL), 0);
        ml_picture_crop(&to, &from, &all); /* half as large, darker, of few colours */
        ml_picture_brightness(&to, 0.85f);
        ml_picture_posterize(&to, 5);
        assert_true(ml_hash_index_find(&index, hash_of(half, 160, 100), 8, &id, &distance));
        assert_int_equal(id, (int64_t)seed);
        ml_picture_flip(&to);
        assert_false(ml_hash_index_find(&index, hash_of(half, 160, 100), 8, &id, NULL));
        free(rgb);
        free(half);
    }
    assert_int_equal(wrong, 0);
    ml_hash_index_clear(&index);
    assert_int_equal(ml_picture_hash_distance(0, UINT64_MAX), 64);
}

static void plain_pictures(void **state)
{
    uint8_t rgb[16 * 16 * 3], one[3] = {9, 9, 9};
    uint64_t hash = 7;
    memset(rgb, 200, sizeof rgb);
    assert_int_equal(ml_picture_hash(&hash, rgb, 16, 16, NULL), ML_PICTURE_HASH_NONE);
    assert_int_equal(ml_picture_hash(&hash, one, 1, 1, NULL), ML_PICTURE_HASH_NONE);
    assert_int_equal(hash, 7);
    assert_int_equal(ml_picture_hash(&hash, one, -1, 1, NULL), ML_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels), cmocka_unit_test(sharpness),      cmocka_unit_test(scaling),
        cmocka_unit_test(hashes), cmocka_unit_test(plain_pictures),
    };
    return cmocka_run_group_tests_name("picture_measure", tests, NULL, NULL);
}
