/* Variants of pictures (data/augment_picture.h) beside Pillow's (tools/golden/augment.py). */
#include "data/augment_picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "data_check.h"

#define WIDTH  24
#define HEIGHT 20
#define BYTES  (WIDTH * HEIGHT * 3)

static void load(const char *name, uint8_t out[BYTES])
{
    char path[400];
    snprintf(path, sizeof path, SOURCE_ROOT "/tests/golden/augment/%s.rgb", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(out, 1, BYTES, file), BYTES);
    fclose(file);
}

/* Equal to the golden one but for rounding. */
static void equals(const uint8_t *got, const char *name, int tolerance)
{
    uint8_t want[BYTES];
    load(name, want);
    for (int i = 0; i < BYTES; i++)
        if (abs(got[i] - want[i]) > tolerance)
            fail_msg("%s: byte %d (x %d, y %d) is %d, not %d", name, i, i / 3 % WIDTH,
                     i / 3 / WIDTH, got[i], want[i]);
}

static void beside_pillow(void **state)
{
    static const uint8_t black[3];
    uint8_t bytes[BYTES];
    const struct ml_pixels p = {bytes, WIDTH, HEIGHT};
    struct ml_warp shear = {1, 0.2, 0, 0, 1, 0}, shift = {1, 0, 0, 0, 1, 3.5};
    load("input", bytes);
    ml_picture_flip(&p);
    equals(bytes, "flip", 0);
    load("input", bytes);
    ml_picture_autocontrast(&p);
    equals(bytes, "autocontrast", 0);
    load("input", bytes);
    ml_picture_equalize(&p);
    equals(bytes, "equalize", 0);
    load("input", bytes);
    ml_picture_posterize(&p, 3);
    equals(bytes, "posterize3", 0);
    load("input", bytes);
    ml_picture_solarize(&p, 128);
    equals(bytes, "solarize128", 0);
    load("input", bytes);
    ml_picture_brightness(&p, 1.6f);
    equals(bytes, "brightness1.6", 0);
    load("input", bytes);
    ml_picture_colour(&p, 0.3f);
    equals(bytes, "colour0.3", 1);
    load("input", bytes);
    ml_picture_contrast(&p, 1.7f);
    equals(bytes, "contrast1.7", 1);
    load("input", bytes);
    assert_int_equal(ml_picture_sharpness(&p, 1.8f, NULL), 0);
    equals(bytes, "sharpness1.8", 1);
    load("input", bytes);
    struct ml_warp turn = ml_warp_rotate(&p, 20);
    assert_int_equal(ml_picture_warp(&p, &turn, black, NULL), 0);
    equals(bytes, "rotate20", 1);
    load("input", bytes);
    assert_int_equal(ml_picture_warp(&p, &shear, black, NULL), 0);
    equals(bytes, "shear_x", 1);
    load("input", bytes);
    assert_int_equal(ml_picture_warp(&p, &shift, black, NULL), 0);
    equals(bytes, "shift_y", 1);
}

/* A turn of the hue by nothing, and of all the circle, changes nothing but by rounding; grey stays.
 */
static void hue(void **state)
{
    uint8_t bytes[BYTES], grey[3] = {100, 100, 100};
    const struct ml_pixels p = {bytes, WIDTH, HEIGHT}, one = {grey, 1, 1};
    load("input", bytes);
    ml_picture_hue(&p, 0);
    equals(bytes, "input", 1);
    ml_picture_hue(&p, 1);
    equals(bytes, "input", 3);
    ml_picture_hue(&one, 0.37f);
    for (int i = 0; i < 3; i++)
        assert_in_range(grey[i], 99, 101);
}

static void crops(void **state)
{
    uint8_t bytes[BYTES], to[BYTES], small[4 * 3];
    const struct ml_pixels from = {bytes, WIDTH, HEIGHT}, same = {to, WIDTH, HEIGHT},
                           half = {small, 2, 2};
    const struct ml_box all = {0, 0, WIDTH, HEIGHT};
    load("input", bytes);
    ml_picture_crop(&same, &from, &all);
    equals(to, "input", 0);
    memset(bytes, 200, BYTES);
    ml_picture_crop(&half, &from, &all);
    for (int i = 0; i < 12; i++)
        assert_int_equal(small[i], 200);
}

static void plans(void **state)
{
    uint8_t bytes[BYTES], again[BYTES], input[BYTES];
    struct ml_pixels p = {bytes, WIDTH, HEIGHT}, q = {again, WIDTH, HEIGHT};
    const struct ml_picture_plan plan = {.flip = 0.5,
                                         .crop = 0.3,
                                         .brightness = 0.4,
                                         .contrast = 0.4,
                                         .colour = 0.4,
                                         .hue = 0.1,
                                         .operations = 2,
                                         .erase = 0.5};
    const struct ml_picture_plan nothing = {0}, wrong = {.flip = 1.5}, trivial = {.trivial = true};
    struct ml_rng a, b;
    struct ml_error err = {0};
    int changed = 0;
    load("input", input);
    for (uint64_t seed = 0; seed < 200; seed++) {
        const struct ml_picture_plan *one = seed % 2 ? &trivial : &plan;
        memcpy(bytes, input, BYTES);
        memcpy(again, input, BYTES);
        ml_rng_init(&a, 1, seed);
        ml_rng_init(&b, 1, seed);
        assert_int_equal(ml_augment_picture(&p, one, ML_AUGMENT_TRAIN, &a, &err), 0);
        assert_int_equal(ml_augment_picture(&q, one, ML_AUGMENT_TRAIN, &b, &err), 0);
        assert_memory_equal(bytes, again, BYTES);
        changed += memcmp(bytes, input, BYTES) != 0;
    }
    assert_true(changed > 170);
    memcpy(bytes, input, BYTES);
    assert_int_equal(ml_augment_picture(&p, &nothing, ML_AUGMENT_TRAIN, &a, &err), 0);
    assert_int_equal(ml_augment_picture(&p, &plan, ML_AUGMENT_VALIDATION, &a, &err), ML_ERR_STATE);
    assert_int_equal(ml_augment_picture(&p, &plan, ML_AUGMENT_TEST, &a, &err), ML_ERR_STATE);
    assert_int_equal(ml_augment_picture(&p, &wrong, ML_AUGMENT_TRAIN, &a, &err), ML_ERR_ARG);
    assert_memory_equal(bytes, input, BYTES);
    p.width = p.height = 1; /* every operation on the smallest picture */
    for (int i = 0; i < ML_PICTURE_OPERATIONS; i++)
        for (double s = -1; s <= 1; s += 0.5)
            assert_int_equal(ml_picture_operate(&p, i, s, &err), 0);
    assert_int_equal(ml_augment_picture(&p, &plan, ML_AUGMENT_TRAIN, &a, &err), 0);
    assert_string_equal(ml_picture_operation_name(3), "rotate");
}

static void pairs(void **state)
{
    uint8_t bytes[BYTES], other[BYTES];
    struct ml_pixels p = {bytes, WIDTH, HEIGHT}, q = {other, WIDTH, HEIGHT};
    struct ml_rng rng;
    struct ml_error err = {0};
    double share = -1, sum = 0, near = 0;
    memset(other, 255, BYTES);
    ml_rng_init(&rng, 1, 7);
    for (int i = 0; i < 1000; i++) {
        memset(bytes, 0, BYTES);
        assert_int_equal(ml_augment_mixup(&p, &q, 0.2, ML_AUGMENT_TRAIN, &rng, &share, &err), 0);
        assert_true(fabs(bytes[17] - 255 * (1 - share)) <= 0.51);
        sum += share;
        near += share < 0.1 || share > 0.9;
        memset(bytes, 0, BYTES);
        assert_int_equal(ml_augment_cutmix(&p, &q, 1, ML_AUGMENT_TRAIN, &rng, &share, &err), 0);
        int black = 0;
        for (int k = 0; k < BYTES; k += 3)
            black += bytes[k] == 0;
        assert_true(fabs(black / (BYTES / 3.0) - share) < 1e-9);
    }
    assert_true(fabs(sum / 1000 - 0.5) < 0.05);
    assert_true(near > 600); /* Beta(0.2, 0.2): P = 0.69 */
    assert_int_equal(ml_augment_mixup(&p, &q, 0.2, ML_AUGMENT_TEST, &rng, &share, &err),
                     ML_ERR_STATE);
    q.width--;
    assert_int_equal(ml_augment_mixup(&p, &q, 0.2, ML_AUGMENT_TRAIN, &rng, &share, &err),
                     ML_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_pillow), cmocka_unit_test(hue),   cmocka_unit_test(crops),
        cmocka_unit_test(plans),         cmocka_unit_test(pairs),
    };
    return cmocka_run_group_tests_name("augment_picture", tests, NULL, NULL);
}
