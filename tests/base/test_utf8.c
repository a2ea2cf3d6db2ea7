#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

static void characters_of_each_length(void **state)
{
    static const struct {
        const char *text;
        uint32_t codepoint;
    } rows[] = {
        {"A", 'A'},
        {"\x7f", 0x7f},
        {"\xc2\x80", 0x80},
        {"\u07ff", 0x7ff},
        {"\u0800", 0x800},
        {"画", 0x753b},
        {"\ud7ff", 0xd7ff},
        {"\ue000", 0xe000},
        {"\uffff", 0xffff},
        {"\U00010000", 0x10000},
        {"\U0001f58c", 0x1f58c},
        {"\U0010ffff", 0x10ffff},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t codepoint = 0;
        size_t n = strlen(rows[i].text);
        char back[4];
        assert_int_equal(ml_utf8_decode(rows[i].text, n, &codepoint), n);
        assert_int_equal(codepoint, rows[i].codepoint);
        assert_int_equal(ml_utf8_encode(codepoint, back), n);
        assert_memory_equal(back, rows[i].text, n);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(ml_utf8_decode(rows[i].text, cut, &codepoint), 0);
    }
    uint32_t codepoint = 1;
    assert_int_equal(ml_utf8_decode("\0", 1, &codepoint), 1);
    assert_int_equal(codepoint, 0);
}

static void malformed_bytes_are_refused(void **state)
{
    static const char *const rows[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3(",
        "\xe0\x9f\xbf",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe4\xbd(",
        "\xf0\x8f\xbf",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80",
        "\xff",
        "\xfe",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t codepoint = 77;
        assert_int_equal(ml_utf8_decode(rows[i], strlen(rows[i]), &codepoint), 0);
        assert_int_equal(codepoint, 77);
        assert_false(ml_utf8_valid(rows[i], strlen(rows[i])));
    }
    char out[4];
    assert_int_equal(ml_utf8_encode(0xd800, out), 0);
    assert_int_equal(ml_utf8_encode(0xdfff, out), 0);
    assert_int_equal(ml_utf8_encode(0x110000, out), 0);
}

static void every_codepoint_goes_round(void **state)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        uint32_t back = 0;
        size_t n = ml_utf8_encode(c, text);
        if ((c >= 0xd800 && c < 0xe000) != (n == 0))
            fail_msg("U+%04X: %zu bytes", c, n);
        if (n && (ml_utf8_decode(text, n, &back) != n || back != c))
            fail_msg("U+%04X came back as U+%04X", c, back);
    }
}

static void counting(void **state)
{
    assert_int_equal(ml_utf8_count("", 0), 0);
    assert_int_equal(ml_utf8_count("a画🖌", 8), 3);
    assert_int_equal(ml_utf8_count("a\xff\xe7\x94z", 5), 5);
    assert_true(ml_utf8_valid("a画🖌", 8));
    assert_true(ml_utf8_valid("", 0));
}

/* Whatever way a text is cut into pieces, what is ready never ends inside a character. */
static void a_stream_shows_whole_characters(void **state)
{
    static const char text[] = "马良 paints 🖌️ ü";
    for (size_t n = 0; n < sizeof text; n++) {
        size_t ready = ml_utf8_ready(text, n);
        assert_true(ready <= n && n - ready < 4);
        assert_true(ml_utf8_valid(text, ready));
        if (ml_utf8_valid(text, n))
            assert_int_equal(ready, n);
    }
}

static void what_can_never_be_completed_is_not_held_back(void **state)
{
    assert_int_equal(ml_utf8_ready("a\xff", 2), 2);
    assert_int_equal(ml_utf8_ready("a\x80", 2), 2);
    assert_int_equal(ml_utf8_ready("\x80\x80\x80\x80", 4), 4);
    assert_int_equal(ml_utf8_ready("\xe0\x80", 2), 2);     /* overlong already */
    assert_int_equal(ml_utf8_ready("\xed\xa0", 2), 2);     /* a surrogate already */
    assert_int_equal(ml_utf8_ready("\xf4\x90\x80", 3), 3); /* above U+10FFFF already */
    assert_int_equal(ml_utf8_ready("\xe7\xe7\x94", 3), 1);
    assert_int_equal(ml_utf8_ready("\xf0\x9f\x96", 3), 0);
}

static void columns_on_a_terminal(void **state)
{
    assert_int_equal(ml_utf8_width('a'), 1);
    assert_int_equal(ml_utf8_width(0x00e9), 1);
    assert_int_equal(ml_utf8_width(0x00ad), 1); /* soft hyphen is drawn */
    assert_int_equal(ml_utf8_width(0x0301), 0); /* combining acute */
    assert_int_equal(ml_utf8_width(0x200b), 0); /* zero width space */
    assert_int_equal(ml_utf8_width(0xfe0f), 0); /* variation selector */
    assert_int_equal(ml_utf8_width(0x753b), 2);
    assert_int_equal(ml_utf8_width(0xff0c), 2); /* fullwidth comma */
    assert_int_equal(ml_utf8_width(0xff71), 1); /* halfwidth katakana */
    assert_int_equal(ml_utf8_width(0xac00), 2);
    assert_int_equal(ml_utf8_width(0x1f600), 2);
    assert_int_equal(ml_utf8_width(0x20000), 2);
    assert_int_equal(ml_utf8_width(0x30000), 2);
    assert_int_equal(ml_utf8_width('\n'), 0);
    assert_int_equal(ml_utf8_width(0x10ffff), 1);
    assert_int_equal(ml_utf8_columns("马良 x", strlen("马良 x")), 6);
    assert_int_equal(ml_utf8_columns("e\u0301", 3), 1);
    assert_int_equal(ml_utf8_columns("\xff\xff", 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_each_length),
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(every_codepoint_goes_round),
        cmocka_unit_test(counting),
        cmocka_unit_test(a_stream_shows_whole_characters),
        cmocka_unit_test(what_can_never_be_completed_is_not_held_back),
        cmocka_unit_test(columns_on_a_terminal),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
