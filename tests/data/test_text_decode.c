#include "scratch.h"

#include "data/text_decode.h"

static void check(const char *bytes, size_t n, const struct ml_text_decoding *how,
                  enum ml_text_verdict verdict, enum ml_text_encoding encoding,
                  const char *expected)
{
    struct ml_decoded decoded = {0};
    struct ml_error err = {0};
    assert_ok(ml_text_decode(&decoded, bytes, n, how, &err), err);
    assert_int_equal(decoded.verdict, verdict);
    if (verdict == ML_TEXT_OK) {
        assert_int_equal(decoded.encoding, encoding);
        assert_int_equal(decoded.size, strlen(expected));
        assert_memory_equal(decoded.text, expected, decoded.size);
    }
    ml_decoded_clear(&decoded);
}

#define BYTES(text) text, sizeof(text) - 1

static void utf8(void **state)
{
    check(BYTES("plain\n"), NULL, ML_TEXT_OK, ML_ENCODING_UTF8, "plain\n");
    check(BYTES("\xEF\xBB\xBF春眠"), NULL, ML_TEXT_OK, ML_ENCODING_UTF8, "春眠");
    check(BYTES("é only\n"), NULL, ML_TEXT_OK, ML_ENCODING_UTF8, "é only\n");
    /* A mark in the middle is a character like others. */
    check(BYTES("a\xEF\xBB\xBF"), NULL, ML_TEXT_OK, ML_ENCODING_UTF8, "a\xEF\xBB\xBF");
}

/* What needs no change is not copied. */
static void borrowed(void **state)
{
    struct ml_decoded decoded = {0};
    struct ml_error err = {0};
    static const char text[] = "nothing to do\n";
    assert_ok(ml_text_decode(&decoded, text, sizeof text - 1, NULL, &err), err);
    assert_ptr_equal(decoded.text, text);
    assert_null(decoded.own.data);
    ml_decoded_clear(&decoded);
    ml_decoded_clear(NULL);
}

static void line_ends(void **state)
{
    const struct ml_text_decoding keep = {.keep_cr = true};
    check(BYTES("a\r\nb\rc\n\r\n"), NULL, ML_TEXT_OK, ML_ENCODING_UTF8, "a\nb\nc\n\n");
    check(BYTES("a\r\nb\rc\n"), &keep, ML_TEXT_OK, ML_ENCODING_UTF8, "a\nb\rc\n");
    check(BYTES("a\r"), NULL, ML_TEXT_OK, ML_ENCODING_UTF8, "a\n");
}

static void utf16(void **state)
{
    check(BYTES("\xFF\xFE\x25\x66\x0D\x00\x0A\x00\x3D\xD8\x00\xDE"), NULL, ML_TEXT_OK,
          ML_ENCODING_UTF16, "春\n😀");
    check(BYTES("\xFE\xFF\x66\x25\x00\x61"), NULL, ML_TEXT_OK, ML_ENCODING_UTF16, "春a");
    check(BYTES("\xFF\xFE\x00\xD8\x61\x00"), NULL, ML_TEXT_BAD_ENCODING, 0, NULL); /* half a pair */
    check(BYTES("\xFF\xFE\x00\xDC"), NULL, ML_TEXT_BAD_ENCODING, 0, NULL);
    check(BYTES("\xFF\xFE\x61"), NULL, ML_TEXT_BAD_ENCODING, 0, NULL); /* a byte too many */
    check(BYTES("\xFF\xFE"), NULL, ML_TEXT_EMPTY, 0, NULL);
    check(BYTES("\xFF\xFE\x00\x00\x61\x00"), NULL, ML_TEXT_BINARY, 0, NULL);
}

/* 床前明月光，疑是地上霜。 and 白日依山盡 (traditional characters, which GB2312 has not). */
static const char moon[] =
    "\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2\xA3\xAC\xD2\xC9\xCA\xC7\xB5\xD8"
    "\xC9\xCF\xCB\xAA\xA1\xA3\r\n";
static const char mountain[] = "\xB0\xD7\xC8\xD5\xD2\xC0\xC9\xBD\xB1\x4D";

static void gb18030(void **state)
{
    const struct ml_text_decoding strict = {.utf8_only = true};
    check(BYTES(moon), NULL, ML_TEXT_OK, ML_ENCODING_GB18030, "床前明月光，疑是地上霜。\n");
    check(BYTES(mountain), NULL, ML_TEXT_OK, ML_ENCODING_GB18030, "白日依山盡");
    /* Four bytes for a character beyond the two-byte ones (U+20000), among common ones. */
    check(BYTES("\xC3\xF7\xD4\xC2\x95\x32\x82\x36"), NULL, ML_TEXT_OK, ML_ENCODING_GB18030,
          "明月𠀀");
    check(BYTES(moon), &strict, ML_TEXT_BAD_ENCODING, 0, NULL);
    check(moon, 5, NULL, ML_TEXT_BAD_ENCODING, 0, NULL); /* cut within a character */
}

/* Text of other scripts that happens to be valid GB18030 must not become Chinese nonsense. */
static void not_chinese(void **state)
{
    check(BYTES("La fa\xE7"
                "ade du caf\xE9 o\xF9 l'\xE9l\xE8ve d\xE9j\xE0 vu\n"),
          NULL, ML_TEXT_BAD_ENCODING, 0, NULL); /* Latin-1 */
    /* "Мой дядя самых честных правил, когда не в шутку занемог" in KOI8-R. */
    check(BYTES("\xED\xCF\xCA \xC4\xD1\xC4\xD1 \xD3\xC1\xCD\xD9\xC8 \xDE\xC5\xD3\xD4\xCE\xD9\xC8 "
                "\xD0\xD2\xC1\xD7\xC9\xCC, \xCB\xCF\xC7\xC4\xC1 \xCE\xC5 \xD7 \xDB\xD5\xD4\xCB\xD5 "
                "\xDA\xC1\xCE\xC5\xCD\xCF\xC7\n"),
          NULL, ML_TEXT_BAD_ENCODING, 0, NULL);
    check(BYTES("plain but \xFF for one byte\n"), NULL, ML_TEXT_BAD_ENCODING, 0, NULL);
}

static void no_text(void **state)
{
    check("", 0, NULL, ML_TEXT_EMPTY, 0, NULL);
    check(NULL, 0, NULL, ML_TEXT_EMPTY, 0, NULL);
    check(BYTES(" \t\r\n\f\n"), NULL, ML_TEXT_EMPTY, 0, NULL);
    check(BYTES("\xEF\xBB\xBF\n"), NULL, ML_TEXT_EMPTY, 0, NULL);
    check(BYTES("text\0more"), NULL, ML_TEXT_BINARY, 0, NULL);
    check(BYTES("\x7f"
                "ELF\x02\x01\x01\0\0\0\xFE\xED"),
          NULL, ML_TEXT_BINARY, 0, NULL);
    check(BYTES("\x01\x02\x03 few letters \x04\x05"), NULL, ML_TEXT_BINARY, 0, NULL);
    /* Colours of a terminal are text: fortune-zh has them. */
    check(BYTES("\x1b[32m《春晓》\x1b[m\n"), NULL, ML_TEXT_OK, ML_ENCODING_UTF8,
          "\x1b[32m《春晓》\x1b[m\n");
}

/* Every cut of valid input, and each byte flipped, gives some verdict (and no crash). */
static void anything(void **state)
{
    static const char *const seeds[] = {"\xFF\xFE\x25\x66\x3D\xD8\x00\xDE", moon,
                                        "a\r\n春\xF0\x9F\x98\x80"};
    struct ml_error err = {0};
    for (size_t s = 0; s < 3; s++) {
        size_t n = strlen(seeds[s]);
        for (size_t cut = 0; cut <= n; cut++)
            for (int flip = 0; flip < 256; flip++) {
                char bytes[64];
                struct ml_decoded decoded = {0};
                memcpy(bytes, seeds[s], n);
                bytes[cut < n ? cut : 0] = (char)flip;
                assert_ok(ml_text_decode(&decoded, bytes, cut, NULL, &err), err);
                ml_decoded_clear(&decoded);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8),    cmocka_unit_test(borrowed), cmocka_unit_test(line_ends),
        cmocka_unit_test(utf16),   cmocka_unit_test(gb18030),  cmocka_unit_test(not_chinese),
        cmocka_unit_test(no_text), cmocka_unit_test(anything),
    };
    return cmocka_run_group_tests_name("text_decode", tests, NULL, NULL);
}
