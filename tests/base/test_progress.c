#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/utf8.h"

/* Draws into a file that stands for stderr and returns what arrived there. */
static const char *drawn(struct ml_progress *progress, const char *label, double done, double total,
                         const char *detail)
{
    static char text[4096];
    fflush(stderr);
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_true(file && saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    ml_progress_draw(progress, label, done, total, detail);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void a_plain_line_says_it_all(void **state)
{
    struct ml_progress progress = {.columns = 80, .last_drawn = -INFINITY};
    progress.started = ml_time() - 30;
    assert_string_equal(drawn(&progress, "train", 25, 100, "loss 1.50"),
                        "train [########......................]  25% loss 1.50  1m30s left\n");
    assert_string_equal(drawn(&progress, "train", 26, 100, "loss 1.49"), ""); /* too soon */
    const char *end = drawn(&progress, "train", 100, 100, NULL);
    assert_non_null(strstr(end, "100%"));
    assert_null(strstr(end, "left"));
    assert_null(strchr(end, '\033'));
}

static void a_terminal_line_fits_the_width(void **state)
{
    for (int columns = 1; columns < 100; columns++) {
        struct ml_progress progress = {.terminal = true,
                                       .columns = columns,
                                       .started = ml_time() - 9,
                                       .last_drawn = -INFINITY};
        const char *line = drawn(&progress, "训练 training", 40, 100, "损失 1.50 \n 12.3k tok/s");
        assert_int_equal(line[0], '\r');
        char *end = strstr(line, "\033[K");
        assert_non_null(end);
        assert_null(strchr(line, '\n'));
        size_t n = (size_t)(end - line) - 1;
        assert_true(ml_utf8_valid(line + 1, n));
        assert_true(ml_utf8_columns(line + 1, n) < (size_t)columns || n == 0);
    }
}

static void strange_shares_are_drawn(void **state)
{
    static const double rows[][2] = {{0, 0},    {5, 0},   {-1, 10},     {20, 10},
                                     {NAN, 10}, {1, NAN}, {1, INFINITY}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ml_progress progress = {
            .columns = 80, .last_drawn = -INFINITY, .started = ml_time()};
        assert_non_null(strchr(drawn(&progress, NULL, rows[i][0], rows[i][1], NULL), '%'));
    }
}

static void init_looks_at_the_terminal(void **state)
{
    struct ml_progress progress;
    setenv("NO_COLOR", "1", 1);
    ml_progress_init(&progress);
    assert_false(progress.terminal);
    assert_true(progress.columns > 0);
    ml_progress_end(&progress);
    assert_true(ml_time() >= progress.started);
}

static void seconds_bytes_and_counts(void **state)
{
    char b[16];
    assert_string_equal(ml_format_seconds(b, sizeof b, 0), "0s");
    assert_string_equal(ml_format_seconds(b, sizeof b, 12.4), "12s");
    assert_string_equal(ml_format_seconds(b, sizeof b, 59.7), "1m00s");
    assert_string_equal(ml_format_seconds(b, sizeof b, 65), "1m05s");
    assert_string_equal(ml_format_seconds(b, sizeof b, 7380), "2h03m");
    assert_string_equal(ml_format_seconds(b, sizeof b, 90000), "1d01h");
    assert_string_equal(ml_format_seconds(b, sizeof b, -1), "?");
    assert_string_equal(ml_format_seconds(b, sizeof b, NAN), "?");
    assert_string_equal(ml_format_seconds(b, sizeof b, INFINITY), "?");
    assert_string_equal(ml_format_bytes(b, sizeof b, 12), "12 B");
    assert_string_equal(ml_format_bytes(b, sizeof b, 12.3e6), "12.3 MB");
    assert_string_equal(ml_format_bytes(b, sizeof b, 999999), "1.0 MB");
    assert_string_equal(ml_format_count(b, sizeof b, 999), "999");
    assert_string_equal(ml_format_count(b, sizeof b, 12300), "12.3k");
    assert_string_equal(ml_format_count(b, sizeof b, 10.7e6), "10.7M");
    assert_string_equal(ml_format_count(b, sizeof b, 124e6), "124M");
    char tiny[3];
    assert_string_equal(ml_format_seconds(tiny, sizeof tiny, 65), "1m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_line_says_it_all),
        cmocka_unit_test(a_terminal_line_fits_the_width),
        cmocka_unit_test(strange_shares_are_drawn),
        cmocka_unit_test(init_looks_at_the_terminal),
        cmocka_unit_test(seconds_bytes_and_counts),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
