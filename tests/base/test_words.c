#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/words.h"

static void distances(void **state)
{
    static const struct {
        const char *a, *b;
        int distance;
    } rows[] = {
        {"", "", 0},       {"abc", "abc", 0},        {"", "abc", 3},        {"abc", "", 3},
        {"abc", "abd", 1}, {"abc", "ab", 1},         {"abc", "xabc", 1},    {"abcd", "abdc", 1},
        {"ca", "abc", 3},  {"kitten", "sitting", 3}, {"heads", "haeds", 1}, {"a", "b", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ml_word_distance(rows[i].a, rows[i].b), rows[i].distance);
        assert_int_equal(ml_word_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
}

static void very_long_words_are_only_equal_or_far(void **state)
{
    char a[300], b[300];
    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    a[299] = b[299] = '\0';
    assert_int_equal(ml_word_distance(a, b), 0);
    b[5] = 'b';
    assert_int_equal(ml_word_distance(a, b), 299);
}

static void the_nearest_word(void **state)
{
    static const char *const words[] = {"layers", "heads", "width", "learning_rate", "seed", "do"};
    assert_string_equal(ml_word_nearest("leyers", words, 6), "layers");
    assert_string_equal(ml_word_nearest("haeds", words, 6), "heads");
    assert_string_equal(ml_word_nearest("learnig_rat", words, 6), "learning_rate");
    assert_string_equal(ml_word_nearest("sede", words, 6), "seed");
    assert_string_equal(ml_word_nearest("width", words, 6), "width");
    assert_null(ml_word_nearest("temperature", words, 6));
    assert_null(ml_word_nearest("xy", words, 6)); /* shares nothing with "do" */
    assert_null(ml_word_nearest("", words, 6));
    assert_null(ml_word_nearest("heads", words, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(very_long_words_are_only_equal_or_far),
        cmocka_unit_test(the_nearest_word),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
