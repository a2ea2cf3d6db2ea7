/* Words, lines and characters of a text (text/word_scan.h), and the classes that they come from. */
#include <string.h>

#include "text/word_scan.h"
#include "text_check.h"

static struct ml_word_scan scan_of(const char *text)
{
    struct ml_word_scan scan = {0};
    assert_int_equal(ml_word_scan(&scan, text, strlen(text), NULL), 0);
    return scan;
}

static void expect_words(const char *text, const char *const *words, size_t count)
{
    struct ml_word_scan s = scan_of(text);
    assert_int_equal(s.word_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(s.words[i].bytes, strlen(words[i]));
        assert_memory_equal(text + s.words[i].start, words[i], strlen(words[i]));
    }
    ml_word_scan_clear(&s);
}
#define EXPECT_WORDS(text, ...)                                                                    \
    do {                                                                                           \
        const char *const list[] = {__VA_ARGS__};                                                  \
        expect_words(text, list, sizeof list / sizeof list[0]);                                    \
    } while (0)

static void test_words(void **state)
{
    EXPECT_WORDS("Don't stop, \"Anna\"!", "Don't", "stop", "Anna");
    EXPECT_WORDS("神笔马良 draws 3.14 (e.g.)", "神", "笔", "马", "良", "draws", "3.14", "e.g");
    EXPECT_WORDS("a -- b ***", "a", "--", "b", "***");
    EXPECT_WORDS("Überfluß état Ёлка", "Überfluß", "état", "Ёлка");
    EXPECT_WORDS("马良，真的。", "马", "良", "，", "真", "的", "。");
    struct ml_word_scan s = scan_of("");
    assert_int_equal(s.word_count + s.line_count, 0);
    ml_word_scan_clear(&s);
}

/* The same word is the same number, whatever its case and the punctuation beside it. */
static void test_hashes(void **state)
{
    struct ml_word_scan s = scan_of("Straße STRASSE straße, ЁЛКА ёлка ... THE (the)");
    assert_int_equal(s.word_count, 8);
    assert_true(s.words[0].hash == s.words[2].hash);
    assert_true(s.words[0].hash != s.words[1].hash);
    assert_true(s.words[3].hash == s.words[4].hash);
    assert_true(s.words[6].hash == s.words[7].hash);
    assert_true(s.words[6].hash == ml_word_hash("the", 3));
    assert_int_equal(s.words[5].flags, 0);
    ml_word_scan_clear(&s);
}

static void test_lines(void **state)
{
    struct ml_word_scan s = scan_of("one two\n  \n\n three 四五 \nsix");
    assert_int_equal(s.line_count, 3);
    assert_int_equal(s.blank_lines, 2);
    assert_int_equal(s.newlines, 4);
    assert_int_equal(s.lines[0].after_blank, 1);
    assert_int_equal(s.lines[1].after_blank, 1);
    assert_int_equal(s.lines[2].after_blank, 0);
    assert_int_equal(s.lines[1].word, 2);
    assert_int_equal(s.lines[1].words, 3);
    assert_memory_equal(s.text + s.lines[1].start, "three 四五", s.lines[1].bytes);
    assert_int_equal(s.counts[ML_CHAR_HAN], 2);
    assert_int_equal(s.counts[ML_CHAR_LETTER], 14);
    assert_int_equal(s.chars, 26);
    ml_word_scan_clear(&s);
}

static void test_classes(void **state)
{
    static const struct {
        uint32_t c;
        enum ml_char_class class;
    } rows[] = {{'a', ML_CHAR_LETTER},     {'7', ML_CHAR_DIGIT},          {' ', ML_CHAR_SPACE},
                {0x3000, ML_CHAR_SPACE},   {0x4E2D, ML_CHAR_HAN},         {0x20000, ML_CHAR_HAN},
                {0x3042, ML_CHAR_KANA},    {0x30FC, ML_CHAR_KANA},        {0xD55C, ML_CHAR_HANGUL},
                {0x301, ML_CHAR_MARK},     {0x3002, ML_CHAR_PUNCTUATION}, {'$', ML_CHAR_SYMBOL},
                {0x1F600, ML_CHAR_SYMBOL}, {0x430, ML_CHAR_LETTER},       {1, ML_CHAR_OTHER}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ml_char_class(rows[i].c), rows[i].class);
    static const uint32_t pairs[][2] = {{'Q', 'q'},       {0xC9, 0xE9},     {0x178, 0xFF},
                                        {0x141, 0x142},   {0x17D, 0x17E},   {0x3A9, 0x3C9},
                                        {0x386, 0x3AC},   {0x42F, 0x44F},   {0x401, 0x451},
                                        {0x1EA4, 0x1EA5}, {0xFF21, 0xFF41}, {0x531, 0x561}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(ml_char_lower(pairs[i][0]), pairs[i][1]);
        assert_int_equal(ml_char_lower(pairs[i][1]), pairs[i][1]);
    }
    assert_int_equal(ml_char_lower(0xD7), 0xD7);
}

static void test_out_of_memory(void **state)
{
    struct ml_word_scan s = {0};
    struct ml_error err = {0};
    ml_mem_fail_at(1);
    assert_int_equal(ml_word_scan(&s, "a b", 3, &err), ML_ERR_MEMORY);
    ml_mem_fail_at(2);
    assert_int_equal(ml_word_scan(&s, "a b", 3, &err), ML_ERR_MEMORY);
    ml_mem_fail_at(0);
    assert_int_equal(ml_word_scan(&s, "a b", 3, &err), 0);
    ml_word_scan_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),         cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_classes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
