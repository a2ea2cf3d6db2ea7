#include "gzip.h"

#include "data/inflate.h"
#include "data/sitemap.h"

static struct ml_arena arena;

static int set_up(void **state)
{
    ml_arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    ml_arena_clear(&arena);
    return 0;
}

static struct ml_sitemap parse(const char *bytes, size_t n, size_t count)
{
    struct ml_sitemap map;
    struct ml_error err = {0};
    assert_ok(ml_sitemap_parse(&map, &arena, bytes, n, "http://a/maps/sitemap.xml", &err), err);
    assert_int_equal(map.count, count);
    return map;
}

static const char urls[] =
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    "<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'"
    " xmlns:image='http://www.google.com/schemas/sitemap-image/1.1'>"
    "<url><loc> http://A/1?x=1&amp;y=2 </loc><lastmod>2024-01-01</lastmod><priority>1</priority>"
    "<image:image><image:loc>http://a/p.png</image:loc></image:image></url>"
    "<url><loc>http://a/静夜思</loc></url>"
    "<url><loc>ftp://a/</loc></url><url><lastmod>x</lastmod></url>"
    "<url><loc>http://a/3?x&y</loc></url></urlset>";

static void xml(void **state)
{
    struct ml_sitemap map = parse(urls, strlen(urls), 3);
    assert_false(map.is_index);
    assert_int_equal(map.bad, 2);
    assert_string_equal(map.entries[0].url, "http://a/1?x=1&y=2");
    assert_string_equal(map.entries[0].modified, "2024-01-01");
    assert_string_equal(map.entries[1].url, "http://a/%E9%9D%99%E5%A4%9C%E6%80%9D");
    assert_string_equal(map.entries[1].modified, "");
    assert_string_equal(map.entries[2].url, "http://a/3?x&y");
    assert_string_equal(map.problem, "");
    assert_true(ml_sitemap_is_one(urls, strlen(urls)));
}

static void index_file(void **state)
{
    static const char text[] = "<sitemapindex><sitemap><loc>/1.xml.gz</loc>"
                               "<lastmod>2024</lastmod></sitemap><sitemap><loc>2.xml</loc>"
                               "</sitemap><url><loc>http://no/</loc></url></sitemapindex>";
    struct ml_sitemap map = parse(text, strlen(text), 2);
    assert_true(map.is_index);
    assert_string_equal(map.entries[0].url, "http://a/1.xml.gz");
    assert_string_equal(map.entries[1].url, "http://a/maps/2.xml");
    assert_true(ml_sitemap_is_one(text, strlen(text)));
}

static void text_file(void **state)
{
    static const char text[] = "http://a/1\r\n\n  http://a/2  \nnot one\nhttp://a/3";
    struct ml_sitemap map = parse(text, strlen(text), 3);
    assert_int_equal(map.bad, 1);
    assert_string_equal(map.entries[1].url, "http://a/2");
    assert_string_equal(map.entries[2].url, "http://a/3");
    assert_false(ml_sitemap_is_one(text, strlen(text)));
}

static void packed(void **state)
{
    struct ml_buffer gz = {0};
    pack(&gz, urls, strlen(urls));
    parse(gz.data, gz.size, 3);
    assert_true(ml_sitemap_is_one(gz.data, gz.size));
    struct ml_sitemap map;
    struct ml_error err = {0};
    assert_fails(ml_sitemap_parse(&map, &arena, gz.data, gz.size / 2, NULL, &err), ML_ERR_FORMAT,
                 "cut off", err);
    gz.data[gz.size - 6] ^= 1;
    assert_fails(ml_sitemap_parse(&map, &arena, gz.data, gz.size, NULL, &err), ML_ERR_FORMAT,
                 "damaged", err);
    ml_buffer_clear(&gz);
}

static void bomb(void **state)
{
    struct ml_buffer zeros = {0}, gz = {0};
    struct ml_error err = {0};
    struct ml_sitemap map;
    assert_ok(ml_buffer_reserve(&zeros, ML_SITEMAP_MAX_BYTES + 9, &err), err);
    memset(zeros.data, ' ', ML_SITEMAP_MAX_BYTES + 9);
    pack(&gz, zeros.data, ML_SITEMAP_MAX_BYTES + 9);
    ml_buffer_clear(&zeros);
    assert_fails(ml_sitemap_parse(&map, &arena, gz.data, gz.size, NULL, &err), ML_ERR_LIMIT,
                 "unpacks to more", err);
    ml_buffer_clear(&gz);
}

static void inflating(void **state)
{
    struct ml_buffer packed = {0}, out = {0};
    struct ml_error err = {0};
    static const int bits[] = {15, -15};
    for (int i = 0; i < 2; i++) {
        packed.size = out.size = 0;
        pack_as(&packed, "deflated text, deflated text", 28, bits[i]);
        assert_ok(ml_inflate(&out, ML_INFLATE_DEFLATE, packed.data, packed.size, 28, &err), err);
        assert_string_equal(out.data, "deflated text, deflated text");
    }
    packed.size = out.size = 0;
    pack(&packed, "one ", 4);
    pack(&packed, "", 0);
    pack(&packed, "two", 3);
    assert_ok(ml_buffer_put(&packed, "\0\0\0", 3, &err), err); /* padding of tapes */
    assert_ok(ml_inflate(&out, ML_INFLATE_GZIP, packed.data, packed.size, 7, &err), err);
    assert_string_equal(out.data, "one two");
    assert_fails(ml_inflate(&out, ML_INFLATE_GZIP, packed.data, packed.size, 6, &err), ML_ERR_LIMIT,
                 "more than 6 bytes", err);
    assert_fails(ml_inflate(&out, ML_INFLATE_GZIP, "", 0, 6, &err), ML_ERR_FORMAT, "cut off", err);
    assert_fails(ml_inflate(&out, ML_INFLATE_GZIP, "plain", 5, 6, &err), ML_ERR_FORMAT, "damaged",
                 err);
    ml_buffer_clear(&packed);
    ml_buffer_clear(&out);
}

static void refused(const char *text, const char *why)
{
    struct ml_sitemap map = {0};
    struct ml_error err = {0};
    assert_fails(ml_sitemap_parse(&map, &arena, text, strlen(text), NULL, &err), ML_ERR_FORMAT, why,
                 err);
    assert_null(map.entries);
}

static void damaged(void **state)
{
    refused("", "not a sitemap");
    refused("<html/>", "<html>");
    refused("<urlset><url>", "ends before");
    refused("some text\nof another kind\n", "not addresses");
    refused("\x01\x02\x03", "not a sitemap");
    static const char cut[] = "<urlset><url><loc>http://a/1</loc></url><url><loc>http://a/2</l";
    struct ml_sitemap map = parse(cut, strlen(cut), 1);
    assert_non_null(strstr(map.problem, "line 1"));
    assert_false(ml_sitemap_is_one("<html/>", 7));
    assert_false(ml_sitemap_is_one("", 0));
    assert_false(ml_sitemap_is_one("\x1f\x8b\x08", 3));
}

static void too_many(void **state)
{
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    for (int i = 0; i < ML_SITEMAP_MAX_URLS + 5; i++)
        assert_ok(ml_buffer_printf(&text, &err, "http://a/%d\n", i), err);
    struct ml_sitemap map = parse(text.data, text.size, ML_SITEMAP_MAX_URLS);
    assert_non_null(strstr(map.problem, "more than"));
    ml_buffer_clear(&text);
}

static void every_allocation(void **state)
{
    struct ml_buffer gz = {0};
    struct ml_mem_stats before, stats;
    pack(&gz, urls, strlen(urls));
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_arena own;
        struct ml_sitemap map;
        struct ml_error err = {0};
        ml_arena_init(&own, 1);
        ml_mem_fail_at(n);
        int status = ml_sitemap_parse(&map, &own, gz.data, gz.size, "http://a/", &err);
        ml_mem_get_stats(&stats);
        done = stats.allocations < n;
        ml_mem_fail_at(0);
        assert_int_equal(status, done ? 0 : ML_ERR_MEMORY);
        assert_int_equal(err.code, status);
        ml_arena_clear(&own);
        ml_mem_get_stats(&stats);
        assert_int_equal(stats.live_blocks, before.live_blocks);
    }
    ml_buffer_clear(&gz);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xml),     cmocka_unit_test(index_file), cmocka_unit_test(text_file),
        cmocka_unit_test(packed),  cmocka_unit_test(bomb),       cmocka_unit_test(inflating),
        cmocka_unit_test(damaged), cmocka_unit_test(too_many),   cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("sitemap", tests, set_up, tear_down);
}
