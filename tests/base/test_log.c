#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

struct seen {
    char lines[8][2100];
    enum ml_log_level levels[8];
    int count;
};

static void note(void *arg, enum ml_log_level level, const char *line)
{
    struct seen *seen = arg;
    seen->levels[seen->count] = level;
    strcpy(seen->lines[seen->count++], line);
}

static void only_what_was_asked_for_is_written(void **state)
{
    static struct seen seen;
    struct ml_log log = {.level = ML_LOG_INFO, .write = note, .arg = &seen};
    ml_log(&log, ML_LOG_ERROR, "no %s", "disk");
    ml_log(&log, ML_LOG_INFO, "epoch %d", 3);
    ml_log(&log, ML_LOG_DEBUG, "not shown");
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.lines[0], "no disk");
    assert_int_equal(seen.levels[0], ML_LOG_ERROR);
    assert_string_equal(seen.lines[1], "epoch 3");
}

static void a_zero_log_shows_warnings(void **state)
{
    static struct seen seen;
    struct ml_log log = {.write = note, .arg = &seen};
    ml_log(&log, ML_LOG_INFO, "not shown");
    ml_log(&log, ML_LOG_WARN, "shown");
    assert_int_equal(seen.count, 1);
    ml_log(NULL, ML_LOG_DEBUG, "not shown");
}

static void a_long_line_is_cut(void **state)
{
    static struct seen seen;
    struct ml_log log = {.write = note, .arg = &seen};
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ml_log(&log, ML_LOG_ERROR, "%s", text);
    assert_int_equal(strlen(seen.lines[0]), 2047);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_asked_for_is_written),
        cmocka_unit_test(a_zero_log_shows_warnings),
        cmocka_unit_test(a_long_line_is_cut),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
