/* Loss curves: axes, smoothing, and the picture (when the build draws). */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/files.h"
#include "train/curve_picture.h"
#include "train/curve_scale.h"

static char folder[256], path[320];

static int setup(void **state)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/maliang-curve-XXXXXX", root ? root : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/loss.png", folder);
    return 0;
}

static int teardown(void **state)
{
    return ml_dir_remove(folder, NULL);
}

static void ticks_are_round(void **state)
{
    static const struct {
        double low, high;
        int wanted, count;
        const char *first, *last;
    } cases[] = {
        {0, 2000, 8, 5, "0", "2,000"},
        {1.4, 4.6, 7, 7, "1.5", "4.5"},
        {0, 1e6, 8, 6, "0", "1,000,000"},
        {-1, 1, 4, 5, "-1.0", "1.0"},
        {0.012, 0.0131, 6, 6, "0.0120", "0.0130"},
        {0, 1, 2, 3, "0.0", "1.0"},
        {123456, 123460, 4, 5, "123,456", "123,460"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_curve_axis axis;
        char label[32];
        ml_curve_axis_init(&axis, cases[i].low, cases[i].high, cases[i].wanted, false);
        assert_int_equal(axis.tick_count, cases[i].count);
        ml_curve_axis_label(&axis, axis.ticks[0], label);
        assert_string_equal(label, cases[i].first);
        ml_curve_axis_label(&axis, axis.ticks[axis.tick_count - 1], label);
        assert_string_equal(label, cases[i].last);
    }
}

/* Whatever the range: some ticks, rising, inside. */
static void any_range_has_an_axis(void **state)
{
    static const double ends[] = {-1e300, -5, -1e-9, 0, 1e-300, 1e-9, 0.3, 1, 7, 1234, 1e9, 1e300};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (size_t j = 0; j < sizeof ends / sizeof *ends; j++)
            for (int logarithmic = 0; logarithmic < 2; logarithmic++) {
                struct ml_curve_axis axis;
                char label[32];
                ml_curve_axis_init(&axis, ends[i], ends[j], 7, logarithmic);
                assert_true(axis.low < axis.high);
                assert_true(fabs(ml_curve_axis_place(&axis, axis.low)) < 1e-9);
                assert_true(fabs(ml_curve_axis_place(&axis, axis.high) - 1) < 1e-9);
                assert_in_range(axis.tick_count, 1, ML_CURVE_MAX_TICKS);
                for (int t = 0; t < axis.tick_count; t++) {
                    double at = ml_curve_axis_place(&axis, axis.ticks[t]);
                    assert_true(at > -1e-6 && at < 1 + 1e-6);
                    assert_true(t == 0 || axis.ticks[t] > axis.ticks[t - 1]);
                    ml_curve_axis_label(&axis, axis.ticks[t], label);
                    assert_true(label[0] != '\0');
                }
            }
}

static void logarithmic_axis(void **state)
{
    struct ml_curve_axis axis;
    ml_curve_axis_init(&axis, 0.5, 50, 7, true);
    assert_true(axis.logarithmic);
    assert_true(fabs(ml_curve_axis_place(&axis, 5) - 0.5) < 1e-12);
    assert_true(ml_curve_axis_place(&axis, 0) < 0); /* nothing to take the logarithm of */
    assert_true(axis.tick_count >= 4);
    ml_curve_axis_init(&axis, -1, 50, 7, true);
    assert_false(axis.logarithmic);
}

static void counts_have_commas(void **state)
{
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {-123, "-123"},
                 {-1234567, "-1,234,567"},
                 {INT64_MAX, "9,223,372,036,854,775,807"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char label[32];
        ml_curve_count_label(cases[i].value, label);
        assert_string_equal(label, cases[i].text);
    }
}

static void smoothing(void **state)
{
    enum { N = 400 };
    static double x[N], y[N], scratch[N + 1];
    double before = 0, after = 0;
    for (int i = 0; i < N; i++)
        x[i] = 3 - 0.005 * i; /* a straight line stays one */
    ml_curve_smooth(y, x, N, 5, scratch);
    for (int i = 20; i < N - 20; i++)
        assert_true(fabs(y[i] - x[i]) < 1e-9);
    assert_true(y[0] == x[0]);
    for (int i = 0; i < N; i++)
        x[i] = 2 + (i % 2 ? 0.5 : -0.5);
    ml_curve_smooth(y, x, N, 8, scratch);
    for (int i = 30; i < N - 30; i++) {
        before = fmax(before, fabs(x[i] - 2));
        after = fmax(after, fabs(y[i] - 2));
    }
    assert_true(after < before / 50);
    ml_curve_smooth(x, x, N, 8, scratch); /* in place */
    assert_memory_equal(x, y, sizeof x);
    ml_curve_smooth(y, x, 0, 8, scratch);
}

static struct ml_curve_point train[3000], valid[30];
static struct ml_curve curve = {.title = "题目 title",
                                .train = train,
                                .train_count = 3000,
                                .validation = valid,
                                .validation_count = 30};

static void fill(void)
{
    for (int i = 0; i < 3000; i++)
        train[i] = (struct ml_curve_point){i + 1, 2 + exp(-i / 300.0) + (i * 37 % 100) * 1e-3};
    for (int i = 0; i < 30; i++)
        valid[i] = (struct ml_curve_point){(i + 1) * 100, 2.2 + exp(-i / 3.0)};
    train[17].value = NAN;
    valid[3].value = INFINITY;
}

/* The picture's size is in its IHDR chunk: big-endian at bytes 16 and 20 (PNG, 11.2.2). */
static void check_png(void)
{
    static const uint8_t head[8] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
    struct ml_file_map map;
    assert_int_equal(ml_file_map_open(&map, path, NULL), 0);
    assert_true(map.size > 1000);
    assert_memory_equal(map.data, head, 8);
    assert_int_equal(map.data[18] * 256 + map.data[19], 960);
    assert_int_equal(map.data[22] * 256 + map.data[23], 540);
    assert_memory_equal(map.data + map.size - 8, "IEND", 4);
    ml_file_map_close(&map);
    remove(path);
}

static void draws(void **state)
{
    struct ml_error err = {0};
    char title[2000];
    fill();
    if (!ml_curve_picture_available()) {
        assert_int_equal(ml_curve_picture_write(path, &curve, &err), ML_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "libcairo2-dev"));
        return;
    }
    for (int kind = 0; kind < 6; kind++) {
        struct ml_curve c = curve;
        if (kind == 1)
            c.train_count = 1;
        if (kind == 2)
            c.validation_count = 0;
        if (kind == 3)
            c.train_count = 0;
        if (kind == 4)
            c.validation = train + 100, c.validation_count = 1, c.title = NULL;
        if (kind == 5) { /* longer than any line, in three-byte characters */
            for (int i = 0; i < 600; i++)
                memcpy(title + 3 * i, "马", 4);
            c.title = title;
        }
        if (ml_curve_picture_write(path, &c, &err) != 0)
            fail_msg("%s", err.message);
        check_png();
    }
}

static void refuses(void **state)
{
    struct ml_error err = {0};
    struct ml_curve none = {.title = "x"}, bad = curve;
    struct ml_curve_point nan_point = {1, NAN};
    struct ml_curve only_nan = {.train = &nan_point, .train_count = 1};
    if (!ml_curve_picture_available())
        skip();
    fill();
    assert_int_equal(ml_curve_picture_write(path, &none, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "without a single finite point"));
    assert_int_equal(ml_curve_picture_write(path, &only_nan, NULL), ML_ERR_ARG);
    bad.title = "\xff";
    assert_int_equal(ml_curve_picture_write(path, &bad, NULL), ML_ERR_ARG);
    assert_false(ml_path_exists(path));
    memset(&err, 0, sizeof err);
    assert_true(ml_curve_picture_write("/nowhere/at/all.png", &curve, &err) < 0);
    assert_non_null(strstr(err.message, "/nowhere/at"));
}

static void full_disk(void **state)
{
    struct ml_error err = {0};
    struct rlimit limit;
    if (!ml_curve_picture_available())
        skip();
    fill();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 5000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = ml_curve_picture_write(path, &curve, &err);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rc, ML_ERR_IO);
    assert_non_null(strstr(err.message, "loss.png"));
    assert_false(ml_path_exists(path));
}

static void allocations_fail(void **state)
{
    if (!ml_curve_picture_available())
        skip();
    fill();
    for (uint64_t n = 1; n < 100; n++) {
        struct ml_mem_stats before, after;
        struct ml_error err = {0};
        ml_mem_get_stats(&before);
        ml_mem_fail_at(n);
        int rc = ml_curve_picture_write(path, &curve, &err);
        ml_mem_get_stats(&after);
        ml_mem_fail_at(0);
        assert_int_equal(before.live_blocks, after.live_blocks);
        if (after.allocations < n) {
            assert_int_equal(rc, 0);
            assert_true(n > 4);
            return;
        }
        assert_int_equal(rc, ML_ERR_MEMORY);
        assert_true(err.message[0] != '\0');
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_round),  cmocka_unit_test(any_range_has_an_axis),
        cmocka_unit_test(logarithmic_axis), cmocka_unit_test(counts_have_commas),
        cmocka_unit_test(smoothing),        cmocka_unit_test(draws),
        cmocka_unit_test(refuses),          cmocka_unit_test(full_disk),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("curve_picture", tests, setup, teardown);
}
