#include "scratch.h"

#include "data/text_pieces.h"

/* All pieces, each as "line:text|". */
static void check(enum ml_piece_kind kind, const char *text, const char *expected)
{
    struct ml_pieces pieces;
    struct ml_piece piece;
    char got[512] = "";
    size_t at = 0;
    ml_pieces_init(&pieces, kind, text, strlen(text));
    while (ml_pieces_next(&pieces, &piece))
        at += (size_t)snprintf(got + at, sizeof got - at, "%lld:%.*s|", (long long)piece.line,
                               (int)piece.size, text + piece.start);
    assert_string_equal(got, expected);
}

static void fortunes(void **state)
{
    check(ML_PIECE_FORTUNE, "one\n%\ntwo\nlines\n%\n", "1:one|3:two\nlines|");
    check(ML_PIECE_FORTUNE, "one\n%\ntwo", "1:one|3:two|");
    check(ML_PIECE_FORTUNE, "%\n%\n\n%\n", "");
    check(ML_PIECE_FORTUNE, "%\n\n\n\tindented\n\n%\nnext\n%", "4:\tindented|7:next|");
    check(ML_PIECE_FORTUNE, "100%\n%  \n% no end\n", "1:100%|3:% no end|");
    check(ML_PIECE_FORTUNE, "", "");
}

static void lines(void **state)
{
    check(ML_PIECE_LINE, "{1}\n\n \t\n{2}\n{3}", "1:{1}|4:{2}|5:{3}|");
    check(ML_PIECE_LINE, "\n\n", "");
    check(ML_PIECE_LINE, "x", "1:x|");
}

static void whole(void **state)
{
    check(ML_PIECE_WHOLE, "a\n%\nb\n", "1:a\n%\nb\n|");
    check(ML_PIECE_WHOLE, "", "");
}

static bool is_fortune(const char *text)
{
    return ml_is_fortune_file(text, strlen(text));
}

static void which_files(void **state)
{
    assert_true(is_fortune("a\n%\nb\n%\nc\n"));
    assert_true(is_fortune("a\n%\nb\n%\n"));
    assert_true(is_fortune("only one\n%\n"));
    assert_false(is_fortune("a\n%\nb\n")); /* one % within is no pattern yet */
    assert_false(is_fortune("no such line, only 100%\n"));
    assert_false(is_fortune(""));
    /* TeX: lines that begin with % otherwise. */
    assert_false(is_fortune("% a comment\n%\n\\section{x}\n%\n% more\n"));
    /* A novel that has two such lines at its beginning. */
    size_t n = 400000;
    char *novel = malloc(n);
    memset(novel, 'x', n);
    memcpy(novel, "a\n%\nb\n%\n", 8);
    assert_false(ml_is_fortune_file(novel, n));
    assert_true(ml_is_fortune_file(novel, 60000)); /* one long saying */
    free(novel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fortunes),
        cmocka_unit_test(lines),
        cmocka_unit_test(whole),
        cmocka_unit_test(which_files),
    };
    return cmocka_run_group_tests_name("text_pieces", tests, NULL, NULL);
}
