/* What a reader sees while a text grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "generate/text_stream.h"

/* A tokenizer of bytes, in the order of ids that training gives them. */
static int make_tokenizer(void **state)
{
    struct ml_tokenizer *t = NULL;
    struct ml_error err = {0};
    struct ml_tokenizer_training options = {.merges = -1};
    if (ml_tokenizer_train(&t, NULL, 0, &options, &err) != 0)
        fail_msg("%s", err.message);
    *state = t;
    return 0;
}

static int drop_tokenizer(void **state)
{
    ml_tokenizer_free(*state);
    return 0;
}

/* Feeds text byte by byte; shown gets what was handed out after each byte, "|" between. */
static bool feed(struct ml_tokenizer *t, struct ml_text_stream *s, const char *text, char *shown)
{
    struct ml_error err = {0};
    for (size_t i = 0; text[i]; i++) {
        bool stopped;
        size_t size;
        int32_t id = ml_tokenizer_find(t, text + i, 1);
        assert_int_equal(ml_text_stream_push(s, id, &stopped, &err), 0);
        const char *part = ml_text_stream_take(s, stopped, &size);
        strncat(shown, part, size);
        strcat(shown, "|");
        if (stopped)
            return true;
    }
    return false;
}

static void characters_come_whole(void **state)
{
    struct ml_text_stream s;
    struct ml_error err = {0};
    char shown[128] = "";
    assert_int_equal(ml_text_stream_open(&s, *state, NULL, 0, &err), 0);
    assert_false(feed(*state, &s, "a\xe9\xa9\xac", shown));
    assert_string_equal(shown, "a|||\xe9\xa9\xac|");
    ml_text_stream_close(&s);
}

static void unfinished_character_is_never_shown(void **state)
{
    struct ml_text_stream s;
    struct ml_error err = {0};
    char shown[128] = "";
    size_t size;
    assert_int_equal(ml_text_stream_open(&s, *state, NULL, 0, &err), 0);
    feed(*state, &s, "x\xe9\xa9", shown);
    assert_string_equal(shown, "x|||");
    ml_text_stream_take(&s, true, &size);
    assert_int_equal(size, 0);
    assert_string_equal(s.text.data, "x");
    ml_text_stream_close(&s);
}

static void beginnings_of_stops_are_held_back(void **state)
{
    const char *stops[] = {"END", "。\n"};
    struct ml_text_stream s;
    struct ml_error err = {0};
    char shown[128] = "";
    assert_int_equal(ml_text_stream_open(&s, *state, stops, 2, &err), 0);
    assert_false(feed(*state, &s, "aENx", shown));
    assert_string_equal(shown, "a|||ENx|");
    shown[0] = 0;
    assert_true(feed(*state, &s, "bEND after", shown));
    assert_string_equal(shown, "b||||");
    assert_string_equal(s.text.data, "aENxb");
    ml_text_stream_close(&s);
}

static void earliest_stop_wins(void **state)
{
    const char *stops[] = {"longer stop", "stop", ""};
    struct ml_text_stream s;
    struct ml_error err = {0};
    char shown[128] = "";
    assert_int_equal(ml_text_stream_open(&s, *state, stops, 3, &err), 0);
    assert_true(feed(*state, &s, "a longer stop", shown));
    assert_string_equal(s.text.data, "a ");
    ml_text_stream_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_come_whole),
        cmocka_unit_test(unfinished_character_is_never_shown),
        cmocka_unit_test(beginnings_of_stops_are_held_back),
        cmocka_unit_test(earliest_stop_wins),
    };
    return cmocka_run_group_tests_name("text_stream", tests, make_tokenizer, drop_tokenizer);
}
