/* Web pages: main text, what a page says about itself, links, encodings, hostile pages
 * (data/html_*.h). */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "data/html_charset.h"
#include "data/html_facts.h"
#include "data/html_read.h"
#include "data_check.h"

struct got {
    struct ml_buffer text;
    char title[200], meta[2000], left_out[300];
    int documents;
    char consent[64], licence[32];
};

static int take(void *arg, const struct ml_document *d, struct ml_error *err)
{
    struct got *g = arg;
    g->documents++;
    g->text.size = 0;
    assert_true(ml_utf8_valid(d->bytes, d->size));
    snprintf(g->title, sizeof g->title, "%s", d->title ? d->title : "");
    snprintf(g->meta, sizeof g->meta, "%s", d->meta ? d->meta : "");
    snprintf(g->consent, sizeof g->consent, "%s", d->consent ? d->consent : "");
    snprintf(g->licence, sizeof g->licence, "%s", d->licence ? d->licence : "");
    return ml_buffer_put(&g->text, d->bytes, d->size, err);
}

static void leave(void *arg, const char *what, const char *why)
{
    snprintf(((struct got *)arg)->left_out, sizeof((struct got *)arg)->left_out, "%s", why);
}

static int read_n(struct got *g, const char *page, size_t n, struct ml_error *err)
{
    static const struct ml_reader_limits limits;
    const struct ml_reader_input input = {.uri = "http://h/p.html", .bytes = page, .size = n};
    const struct ml_reader_sink sink = {.document = take, .left_out = leave, .arg = g};
    return ml_reader_html.read(&input, &limits, &sink, err);
}

static struct got read_page(const char *page)
{
    struct got g = {0};
    struct ml_error err = {0};
    if (read_n(&g, page, strlen(page), &err))
        fail_msg("%s", err.message);
    return g;
}

#define STORY                                                                                      \
    "<p>The painter had a brush that could bring to life whatever he drew with it, and he drew "   \
    "a bird, which flew away.</p><p>People came from far away to see what he would paint next, "   \
    "and he painted oxen &amp; ploughs for those that had none.</p>"

static void test_main_text(void **state)
{
    struct got g = read_page(
        "<!DOCTYPE html><html lang=en><head><title>The brush - Site</title></head><body>"
        "<nav><ul><li><a href=/>Home</a><li><a href=/a>About us</a></ul></nav>"
        "<div class='cookie-banner'><p>We use cookies, and you should accept all of them, now.</p>"
        "</div><article><h1>The brush</h1>" STORY
        "<ul class=share><li><a href=x>Share this</a></ul></article>"
        "<div id=comments><p>I liked it, really, it was a story as good as any other one.</p></div>"
        "<aside><p>Other stories that you may like, and much more besides that.</p></aside>"
        "<footer><p>Copyright, all rights reserved, and so on and so on.</p></footer></body>");
    assert_string_equal(
        g.text.data, "The brush\n\nThe painter had a brush that could bring to life whatever he "
                     "drew with it, and he drew a bird, which flew away.\n\nPeople came from far "
                     "away to see what he would paint next, and he painted oxen & ploughs for "
                     "those that had none.\n");
    assert_string_equal(g.title, "The brush - Site");
    assert_non_null(strstr(g.meta, "\"lang\":\"en\""));
    ml_buffer_clear(&g.text);
}

static void test_chinese(void **state)
{
    struct got g =
        read_page("<html><body><div class=nav><a href=/>首页</a></div><div id=content>"
                  "<p>从前有个孩子叫马良，他很喜欢画画，\n可是家里太穷了，连一支笔也没有。"
                  "</p><p>他到山上打柴的时候，就用树枝在沙地上学着画天上的鸟。</p></div>");
    assert_string_equal(g.text.data,
                        "从前有个孩子叫马良，他很喜欢画画，可是家里太穷了，连一支笔也没有。"
                        "\n\n他到山上打柴的时候，就用树枝在沙地上学着画天上的鸟。\n");
    ml_buffer_clear(&g.text);
}

static void test_facts(void **state)
{
    struct got g = read_page(
        "<html lang='zh-CN'><head><title>A | Paper</title><meta property='og:title' content='A'>"
        "<meta name=author content='Ma &amp; Liang'><link rel=canonical href='http://h/a'>"
        "<meta property='article:published_time' content='2026-11-27'>"
        "<meta property='og:site_name' content=Paper><meta name=description content='About A'>"
        "<link rel=license href='https://creativecommons.org/licenses/by/4.0/'>"
        "</head><body>" STORY);
    assert_string_equal(g.title, "A");
    static const char *const parts[] = {"\"author\":\"Ma & Liang\"", "\"date\":\"2026-11-27\"",
                                        "\"site\":\"Paper\"",        "\"lang\":\"zh-CN\"",
                                        "\"url\":\"http://h/a\"",    "\"description\":\"About A\"",
                                        "licenses/by/4.0/"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(g.meta, parts[i]))
            fail_msg("%s is not in %s", parts[i], g.meta);
    ml_buffer_clear(&g.text);
    g = read_page("<html><head><script type='application/ld+json'>{\"@graph\":[{\"@type\":"
                  "\"NewsArticle\",\"headline\":\"B\",\"author\":[{\"name\":\"Wu\"}],"
                  "\"datePublished\":\"2026-01-02\"}]}</script></head><body>" STORY);
    assert_string_equal(g.title, "B");
    assert_non_null(strstr(g.meta, "\"author\":\"Wu\""));
    ml_buffer_clear(&g.text);
}

static void test_consent(void **state)
{
    struct got g = read_page("<head><meta name=robots content='noai, index'></head>" STORY);
    assert_int_equal(g.documents, 1);
    assert_string_equal(g.consent, "denied: <meta name=robots> noai");
    ml_buffer_clear(&g.text);
    g = read_page("<html><body></body></html>");
    assert_int_equal(g.documents, 0);
    assert_non_null(strstr(g.left_out, "no text"));
    ml_buffer_clear(&g.text);
}

static void test_licences(void **state)
{
    static const char *const cases[][2] = {
        {"https://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA-4.0"},
        {"http://creativecommons.org/licenses/BY/3.0/deed.zh", "CC-BY-3.0"},
        {"//creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"},
        {"https://creativecommons.org/licenses/by/3.0/de/", ""}, /* another text than CC-BY-3.0 */
        {"https://creativecommons.org/licenses/by-xx/4.0/", ""},
        {"https://creativecommons.org/licenses/by", ""},
        {"https://example.org/terms", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char page[1024];
        snprintf(page, sizeof page, "<body>" STORY "<a rel=license href='%s'>terms</a>",
                 cases[i][0]);
        struct got g = read_page(page);
        assert_string_equal(g.licence, cases[i][1]);
        ml_buffer_clear(&g.text);
    }
}

static void test_shapes(void **state)
{
    struct got g =
        read_page("<body><h2>One</h2>" STORY "<ul><li>first, of all<li>second, then</ul>"
                  "<table><tr><td>a<td>b<tr><td>c<td>d</table><pre>x\n  y</pre>"
                  "<p>line<br>line, again; and a good deal more of it to read here.</p>");
    assert_non_null(strstr(g.text.data, "- first, of all\n- second, then\n"));
    assert_non_null(strstr(g.text.data, "a | b\nc | d\n"));
    assert_non_null(strstr(g.text.data, "x\n  y\n"));
    assert_non_null(strstr(g.text.data, "line\nline, again"));
    ml_buffer_clear(&g.text);
}

static int put_link(void *arg, const char *reference, struct ml_error *err)
{
    return ml_buffer_printf(arg, err, "%s;", reference);
}

static void test_links(void **state)
{
    const char *page = "<base href='http://b/x/'><a href='a?b=1&amp;c=2'>1</a><a>no</a>"
                       "<a href='/n' rel='nofollow ugc'>2</a><area href=m><A HREF=up>3</A>";
    struct ml_html_tree tree = {0};
    struct ml_buffer out = {0};
    const char *base;
    assert_int_equal(ml_html_parse(&tree, page, strlen(page), "x", NULL), 0);
    assert_int_equal(ml_html_links(&tree, &base, put_link, &out, NULL), 0);
    assert_string_equal(base, "http://b/x/");
    assert_string_equal(out.data, "a?b=1&c=2;m;up;");
    ml_buffer_clear(&out);
    ml_html_tree_clear(&tree);
}

static void expect_served(const char *bytes, size_t n, const char *served, const char *charset,
                          const char *part)
{
    struct ml_html_decoded d = {0};
    assert_int_equal(ml_html_decode(&d, bytes, n, served, "x", NULL), 0);
    assert_string_equal(d.charset, charset);
    assert_non_null(memmem(d.text, d.size, part, strlen(part)));
    ml_html_decoded_clear(&d);
}

static void expect_decoded(const char *bytes, size_t n, const char *charset, const char *part)
{
    expect_served(bytes, n, NULL, charset, part);
}

static void test_charsets(void **state)
{
    static const char gb[] = "<meta charset=gb2312><p>\xC9\xF1\xB1\xCA";
    static const char latin[] = "<meta http-equiv=content-type content='text/html; "
                                "charset=iso-8859-1'><p>caf\xE9 \x80";
    static const char utf16[] = "\xFF\xFE<\0p\0>\0\x5e\x79";
    expect_decoded(gb, sizeof gb - 1, "GB18030", "神笔");
    expect_decoded(latin, sizeof latin - 1, "WINDOWS-1252", "café €");
    expect_decoded(utf16, sizeof utf16 - 1, "UTF-16LE", "<p>神");
    expect_decoded("<p>é", 5, "UTF-8", "é");
    /* What the server says goes before what the page says, but not before what the bytes are. */
    expect_served("<p>\xC9\xF1\xB1\xCA", 7, "gb2312", "GB18030", "神笔");
    expect_served("<meta charset=iso-8859-1><p>\xAF\xAB\xB5\xA7", 32, "big5", "BIG5-HKSCS", "神筆");
    expect_served("<p>é", 5, "big5", "UTF-8", "é");
    expect_served("<meta charset=gb2312><p>\xC9\xF1", 26, "no-such-charset", "GB18030", "神");
}

/* Pages made to be slow or deep: an answer in time, and no overflow. */
static void test_hostile(void **state)
{
    static const char *const parts[] = {
        "<div>", "<p>", "<table><tr><td>",  "<a href=x>", "</x>",
        "<!--",  "<b",  "&#x1F600;&bogus;", "<ul><li>",   "\xFF\xFE"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct ml_buffer page = {0};
        struct got g = {0};
        struct ml_error err = {0};
        for (int k = 0; k < 100000; k++)
            assert_int_equal(ml_buffer_put(&page, parts[i], strlen(parts[i]), NULL), 0);
        int status = read_n(&g, page.data, page.size, &err);
        assert_true(status == 0 || status == ML_ERR_LIMIT);
        ml_buffer_clear(&page);
        ml_buffer_clear(&g.text);
    }
}

static void test_looks(void **state)
{
    assert_true(ml_looks_like_html("\n<!-- x --> <!DOCTYPE HTML>", 26));
    assert_true(ml_looks_like_html("\xEF\xBB\xBF<html>", 9));
    assert_false(ml_looks_like_html("<?xml version='1.0'?><rss>", 26));
    assert_false(ml_looks_like_html("<!-- never ends", 15));
    assert_false(ml_looks_like_html("", 0));
}

static void test_out_of_memory(void **state)
{
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    const char *page = "<meta charset=gb2312><title>x</title><a href=y>z</a>" STORY;
    for (uint64_t n = 1;; n++) {
        struct got g = {0};
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        int status = read_n(&g, page, strlen(page), &err);
        ml_mem_get_stats(&after);
        ml_mem_fail_at(0);
        ml_buffer_clear(&g.text);
        if (after.allocations < n)
            break;
        assert_true(status == 0 || status == ML_ERR_MEMORY);
    }
    ml_mem_get_stats(&after);
    assert_int_equal(after.live_blocks, before.live_blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main_text),     cmocka_unit_test(test_chinese),
        cmocka_unit_test(test_facts),         cmocka_unit_test(test_consent),
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_links),
        cmocka_unit_test(test_charsets),      cmocka_unit_test(test_licences),
        cmocka_unit_test(test_hostile),       cmocka_unit_test(test_looks),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
