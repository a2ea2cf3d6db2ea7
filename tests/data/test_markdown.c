#include "reader_sink.h"

static struct sunk s;

static void page(const char *text, const char *documents)
{
    struct ml_error err = {0};
    assert_ok(sunk_read(&s, "a.md", text, strlen(text), NULL, &err), err);
    assert_string_equal(sunk_text(&s.documents), documents);
    sunk_clear(&s);
}

static void front_matter(void **state)
{
    page("---\ntitle: 春晓\nauthor: 孟浩然\ntags: [诗, 唐]\nlicense: CC0-1.0\nx: {a: 1}\n---\n\n# "
         "H\n*a*\n",
         "[春晓] # H\n*a*\n "
         "{\"author\":\"孟浩然\",\"tags\":[\"诗\",\"唐\"],\"licence\":\"CC0-1.0\"}\n");
    page("---\r\ntitle: A\r\n...\r\nb", "[A] b \n");
    /* Rules and broken YAML are text. */
    page("---\nno: [end\n---\n# H #\n", "[H] ---\nno: [end\n---\n# H #\n \n");
    page("---\njust a line\n---\nx", "[] ---\njust a line\n---\nx \n");
    page("---\ntitle: never closed\n", "[] ---\ntitle: never closed\n \n");
    page("---", "[] --- \n");
    page("---\ntitle: T\n---\n", "");
}

static void headings(void **state)
{
    page("text\n\n```\n# comment\n```\n# 标题\n",
         "[标题] text\n\n```\n# comment\n```\n# 标题\n \n");
    page("## second\n", "[] ## second\n \n");
    struct ml_error err = {0};
    assert_ok(sunk_read(&s, "a.md", " \n", 2, NULL, &err), err);
    assert_int_equal(s.document_count, 0);
    assert_fails(sunk_read(&s, "a.md", "\0\1", 2, NULL, &err), ML_ERR_FORMAT, "binary", err);
    sunk_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(front_matter),
        cmocka_unit_test(headings),
    };
    return cmocka_run_group_tests_name("markdown", tests, NULL, NULL);
}
