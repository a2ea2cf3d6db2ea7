#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fail.h"
#include "base/utf8.h"

static void every_status_has_a_name(void **state)
{
    for (int code = 0; code >= ML_ERR_LIMIT; code--) {
        assert_string_not_equal(ml_status_name(code), "unknown status");
        for (int other = 0; other > code; other--)
            assert_string_not_equal(ml_status_name(code), ml_status_name(other));
    }
    assert_string_equal(ml_status_name(ML_ERR_MEMORY), "out of memory");
    assert_string_equal(ml_status_name(ML_ERR_LIMIT), "over a limit");
    assert_string_equal(ml_status_name(1), "unknown status");
    assert_string_equal(ml_status_name(-1000), "unknown status");
}

static void the_first_failure_wins(void **state)
{
    struct ml_error err = {0};
    assert_int_equal(ml_fail(&err, ML_ERR_IO, "first %d", 1), ML_ERR_IO);
    assert_int_equal(ml_fail(&err, ML_ERR_ARG, "second"), ML_ERR_ARG);
    assert_int_equal(err.code, ML_ERR_IO);
    assert_string_equal(err.message, "first 1");
    assert_int_equal(ml_fail(NULL, ML_ERR_SHAPE, "nobody listens"), ML_ERR_SHAPE);
}

static void a_message_is_one_line_of_utf8(void **state)
{
    struct ml_error err = {0};
    ml_fail(&err, ML_ERR_FORMAT, "a\nb\t\xff\xe7\x94 画\x1b[2J");
    assert_string_equal(err.message, "a b ??? 画 [2J");
}

static void a_long_message_is_cut_at_a_character(void **state)
{
    for (size_t offset = 0; offset < 3; offset++) {
        struct ml_error err = {0};
        char text[1200] = "xx";
        for (size_t i = offset; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "画", 4);
        ml_fail(&err, ML_ERR_FORMAT, "%s", text);
        assert_true(strlen(err.message) >= sizeof err.message - 4);
        assert_true(ml_utf8_valid(err.message, strlen(err.message)));
        assert_null(strchr(err.message, '?'));
    }
}

static void context_goes_in_front(void **state)
{
    struct ml_error err = {0};
    ml_fail_context(&err, "nothing happened yet");
    assert_string_equal(err.message, "");
    ml_fail(&err, ML_ERR_FORMAT, "bad header");
    ml_fail_context(&err, "loading %s", "a.safetensors");
    assert_string_equal(err.message, "loading a.safetensors: bad header");
    ml_fail_context(NULL, "nobody listens");
}

static void a_long_context_keeps_the_cause(void **state)
{
    struct ml_error err = {0};
    char context[2000];
    memset(context, 'c', sizeof context - 1);
    context[sizeof context - 1] = '\0';
    ml_fail(&err, ML_ERR_FORMAT, "the cause");
    ml_fail_context(&err, "%s", context);
    assert_string_equal(err.message + strlen(err.message) - 11, ": the cause");
    struct ml_error other = {0};
    ml_fail(&other, ML_ERR_FORMAT, "%s", context);
    ml_fail_context(&other, "where");
    assert_memory_equal(other.message, "where: ccc", 10);
    assert_int_equal(strlen(other.message), sizeof other.message - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(the_first_failure_wins),
        cmocka_unit_test(a_message_is_one_line_of_utf8),
        cmocka_unit_test(a_long_message_is_cut_at_a_character),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(a_long_context_keeps_the_cause),
    };
    return cmocka_run_group_tests_name("fail", tests, NULL, NULL);
}
