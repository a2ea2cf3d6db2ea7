#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"

static uint64_t live_blocks(void)
{
    struct ml_mem_stats stats;
    ml_mem_get_stats(&stats);
    return stats.live_blocks;
}

static void a_value_goes_round(void **state)
{
    static const char text[] = "{\"name\":\"马良\",\"layers\":[1,2.5,null,true]}";
    json_t *value = NULL;
    char *back = NULL;
    struct ml_error err = {0};
    uint64_t before = live_blocks();
    assert_int_equal(ml_json_parse(&value, text, strlen(text), "test", &err), 0);
    assert_string_equal(json_string_value(json_object_get(value, "name")), "马良");
    assert_int_equal(ml_json_text(&back, value, JSON_COMPACT, &err), 0);
    assert_string_equal(back, text);
    assert_true(live_blocks() > before); /* jansson's memory is ours */
    ml_mem_free(back);
    json_decref(value);
    assert_int_equal(live_blocks(), before);
}

static void exactly_n_bytes_are_read(void **state)
{
    json_t *value = NULL;
    assert_int_equal(ml_json_parse(&value, "123456", 3, "test", NULL), 0);
    assert_int_equal(json_integer_value(value), 123);
    json_decref(value);
}

static void bad_json_is_one_message(void **state)
{
    static const char *const rows[] = {
        "",         "{",   "{\"a\":1,\"a\":2}", "[1] x", "{\"a\" 1}",  "nul", "[1,]",
        "\"\xff\"", "'a'", "[\"a\nb\"]",        "1e999", "\"\\ud800\""};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *value = NULL;
        struct ml_error err = {0};
        assert_int_equal(ml_json_parse(&value, rows[i], strlen(rows[i]), "x.json", &err),
                         ML_ERR_FORMAT);
        assert_memory_equal(err.message, "x.json: not valid JSON: line", 28);
    }
}

static void deep_nesting_is_refused(void **state)
{
    static char text[100000];
    memset(text, '[', sizeof text);
    json_t *value = NULL;
    assert_int_equal(ml_json_parse(&value, text, sizeof text, "test", NULL), ML_ERR_FORMAT);
}

static void every_allocation_may_fail(void **state)
{
    static const char text[] =
        "{\"name\":\"a longer text of some thirty bytes\",\"layers\":[1,[2,{}]]}";
    uint64_t before = live_blocks();
    for (uint64_t n = 1;; n++) {
        json_t *value = NULL;
        char *back = NULL;
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        int status = ml_json_parse(&value, text, strlen(text), "test", &err);
        if (status == 0)
            status = ml_json_text(&back, value, JSON_COMPACT, &err);
        ml_mem_fail_at(0);
        if (status == 0)
            assert_string_equal(back, text);
        ml_mem_free(back);
        json_decref(value);
        assert_int_equal(live_blocks(), before);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_non_null(strstr(err.message, "out of memory"));
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_goes_round),        cmocka_unit_test(exactly_n_bytes_are_read),
        cmocka_unit_test(bad_json_is_one_message),   cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
