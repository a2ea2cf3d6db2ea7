#include "scratch.h"

#include "data/feed.h"

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

static struct ml_feed parse(const char *text, enum ml_feed_kind kind, size_t count)
{
    struct ml_feed feed;
    struct ml_error err = {0};
    assert_ok(
        ml_feed_parse(&feed, &arena, text, strlen(text), "http://example.org/feed/x.xml", &err),
        err);
    assert_int_equal(feed.kind, kind);
    assert_int_equal(feed.count, count);
    assert_true(ml_feed_is_one(text, strlen(text)));
    return feed;
}

static void rss(void **state)
{
    static const char text[] =
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        "<rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/'"
        " xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:atom='http://www.w3.org/2005/Atom'"
        " xmlns:media='http://search.yahoo.com/mrss/'"
        " xmlns:cc='http://backend.userland.com/creativeCommonsRssModule'><channel>"
        "<title> 诗\n刊 </title><link>http://example.org/</link><language>zh-CN</language>"
        "<atom:link rel='self' href='http://example.org/feed/x.xml'/>"
        "<cc:license>https://creativecommons.org/licenses/by/4.0/</cc:license>"
        "<image><title>not this</title><link>http://no/</link></image>"
        "<item><title>One &amp;amp; R&D</title><link>../a?x=1&amp;y=2#top</link>"
        "<media:title>not this</media:title><description>short</description>"
        "<content:encoded><![CDATA[<p>The whole <b>text</b></p>]]></content:encoded>"
        "<dc:creator>李白</dc:creator><pubDate>Mon, 01 Jan 2024 00:00:00 GMT</pubDate>"
        "<guid isPermaLink='false'>urn:1</guid></item>"
        "<item><title>Two</title><guid>http://example.org/two</guid>"
        "<description>&lt;p&gt;x&lt;/p&gt;</description><dc:rights>all mine</dc:rights></item>"
        "<item><description>no address</description><link>mailto:a@b</link></item>"
        "</channel></rss>";
    struct ml_feed feed = parse(text, ML_FEED_RSS, 3);
    assert_string_equal(feed.title, "诗 刊");
    assert_string_equal(feed.link, "http://example.org/");
    assert_string_equal(feed.language, "zh-CN");
    assert_string_equal(feed.problem, "");
    const struct ml_feed_entry *e = feed.entries;
    assert_string_equal(e[0].title, "One &amp; R&D");
    assert_string_equal(e[0].link, "http://example.org/a?x=1&y=2");
    assert_string_equal(e[0].content, "<p>The whole <b>text</b></p>");
    assert_string_equal(e[0].content_type, "text/html");
    assert_string_equal(e[0].author, "李白");
    assert_string_equal(e[0].published, "Mon, 01 Jan 2024 00:00:00 GMT");
    assert_string_equal(e[0].id, "urn:1");
    assert_string_equal(e[0].licence, "https://creativecommons.org/licenses/by/4.0/");
    assert_string_equal(e[1].link, "http://example.org/two");
    assert_string_equal(e[1].content, "<p>x</p>");
    assert_string_equal(e[1].licence, "all mine");
    assert_string_equal(e[2].link, "");
    assert_false(e[0].is_feed);
    assert_string_equal(ml_feed_kind_name(feed.kind), "RSS");
}

static void rdf(void **state)
{
    struct ml_feed feed =
        parse("<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
              " xmlns='http://purl.org/rss/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/'"
              " xmlns:cc='http://web.resource.org/cc/'>"
              "<channel rdf:about='x'><title>T</title><link>http://a/</link><items><rdf:Seq>"
              "<rdf:li rdf:resource='http://a/1'/></rdf:Seq></items></channel>"
              "<item rdf:about='http://a/1'><title>One</title><dc:date>2024-01-01</dc:date>"
              "<cc:license rdf:resource='http://cc/by'/></item>"
              "<textinput><title>no</title></textinput></rdf:RDF>",
              ML_FEED_RDF, 1);
    assert_string_equal(feed.title, "T");
    assert_string_equal(feed.entries[0].link, "http://a/1");
    assert_string_equal(feed.entries[0].title, "One");
    assert_string_equal(feed.entries[0].published, "2024-01-01");
    assert_string_equal(feed.entries[0].licence, "http://cc/by");
}

static void atom(void **state)
{
    struct ml_feed feed = parse(
        "<feed xmlns='http://www.w3.org/2005/Atom' xml:base='http://b.example/x/' xml:lang='en'>"
        "<title type='text'>T</title><link rel='self' href='self'/><link href='home'/>"
        "<rights>CC BY 4.0</rights>"
        "<entry><title type='html'>A &lt;b&gt;</title><id>urn:a</id>"
        "<link rel='edit' href='e'/><link rel='alternate' type='application/json' href='j'/>"
        "<link rel='alternate' type='text/html' href='a.html'/>"
        "<link rel='license' href='http://cc/by'/>"
        "<summary>short one</summary><content type='html'>&lt;p&gt;long enough&lt;/p&gt;</content>"
        "<author><name>N</name><email>n@x</email></author>"
        "<published>2024-01-01T00:00:00Z</published><updated>2024-02-01T00:00:00Z</updated></entry>"
        "<entry xml:base='../y/'><link href='b'/><content type='xhtml'>"
        "<div xmlns='http://www.w3.org/1999/xhtml'>x <i>y</i></div></content></entry>"
        "<entry><link href='http://c/'/><content type='image/png'>QUJD</content>"
        "<summary>plain &lt; text</summary></entry>"
        "<entry><link href='d'/><content src='elsewhere'/></entry></feed>",
        ML_FEED_ATOM, 4);
    const struct ml_feed_entry *e = feed.entries;
    assert_string_equal(feed.link, "http://b.example/x/home");
    assert_string_equal(feed.language, "en");
    assert_string_equal(e[0].link, "http://b.example/x/a.html");
    assert_string_equal(e[0].title, "A <b>");
    assert_string_equal(e[0].content, "<p>long enough</p>");
    assert_string_equal(e[0].author, "N");
    assert_string_equal(e[0].licence, "http://cc/by");
    assert_string_equal(e[0].updated, "2024-02-01T00:00:00Z");
    assert_string_equal(e[1].link, "http://b.example/y/b");
    assert_string_equal(e[1].content, "<div xmlns='http://www.w3.org/1999/xhtml'>x <i>y</i></div>");
    assert_string_equal(e[1].licence, "CC BY 4.0");
    assert_string_equal(e[2].content, "plain < text");
    assert_string_equal(e[2].content_type, "text/plain");
    assert_string_equal(e[3].content, "");
}

static void json(void **state)
{
    struct ml_feed feed =
        parse("\xEF\xBB\xBF {\"version\": \"https://jsonfeed.org/version/1.1\", \"title\": \"T\","
              "\"home_page_url\": \"/\", \"language\": \"zh\", \"items\": ["
              "{\"id\": 5, \"url\": \"../a\", \"title\": \"一\", \"content_html\": \"<p>x</p>\","
              " \"content_text\": \"x\", \"authors\": [{\"name\": \"N\"}],"
              " \"date_published\": \"2024-01-01\", \"date_modified\": \"2024-02-01\"},"
              "{\"id\": \"b\", \"external_url\": \"http://e/\", \"content_text\": \"t\","
              " \"author\": {\"name\": \"M\"}}, 7]}",
              ML_FEED_JSON, 3);
    const struct ml_feed_entry *e = feed.entries;
    assert_string_equal(feed.link, "http://example.org/");
    assert_string_equal(e[0].id, "5");
    assert_string_equal(e[0].link, "http://example.org/a");
    assert_string_equal(e[0].content, "<p>x</p>");
    assert_string_equal(e[0].author, "N");
    assert_string_equal(e[1].link, "http://e/");
    assert_string_equal(e[1].content_type, "text/plain");
    assert_string_equal(e[1].author, "M");
    assert_string_equal(e[2].link, "");
}

static void opml(void **state)
{
    struct ml_feed feed =
        parse("<opml version='2.0'><head><title>List</title></head><body>"
              "<outline text='Group'><outline type='rss' text='A' xmlUrl='http://a/rss'"
              " htmlUrl='http://a/'/><outline text='no feed'/></outline>"
              "<outline text='B' title='Bee' xmlUrl='b.xml'/>"
              "<outline type='link' text='P' url='http://p/'/>"
              "<outline type='include' text='I' url='http://i/list.opml'/></body></opml>",
              ML_FEED_OPML, 4);
    const struct ml_feed_entry *e = feed.entries;
    assert_string_equal(feed.title, "List");
    assert_string_equal(e[0].link, "http://a/rss");
    assert_true(e[0].is_feed);
    assert_string_equal(e[1].link, "http://example.org/feed/b.xml");
    assert_string_equal(e[1].title, "Bee");
    assert_string_equal(e[2].link, "http://p/");
    assert_false(e[2].is_feed);
    assert_string_equal(e[3].link, "http://i/list.opml");
    assert_true(e[3].is_feed);
}

static void old_chinese(void **state)
{
    /* GB2312 by its declaration */
    struct ml_feed feed = parse("<?xml version=\"1.0\" encoding=\"gb2312\"?><rss><channel>"
                                "<title>\xCA\xAB\xBF\xAF</title><item><title>\xB6\xCB\xCE\xE7"
                                "</title><link>http://a/\xB6\xCB</link></item></channel></rss>",
                                ML_FEED_RSS, 1);
    assert_string_equal(feed.title, "诗刊");
    assert_string_equal(feed.entries[0].title, "端午");
    assert_string_equal(feed.entries[0].link, "http://a/%E7%AB%AF");
}

static void refused(const char *text, const char *why)
{
    struct ml_feed feed = {0};
    struct ml_error err = {0};
    assert_fails(ml_feed_parse(&feed, &arena, text, strlen(text), NULL, &err), ML_ERR_FORMAT, why,
                 err);
    assert_null(feed.title);
}

static void damaged(void **state)
{
    struct ml_feed feed = parse("<rss><channel><item><link>http://a/1</link></item>"
                                "<item><link>http://a/2</item></channel></rss>",
                                ML_FEED_RSS, 1);
    assert_non_null(strstr(feed.problem, "line 1"));
    assert_string_equal(feed.entries[0].link, "http://a/1");
    refused("", "nothing in it");
    refused("<html><body/></html>", "<html>");
    refused("<feed><entry/></feed>", "<feed>"); /* not in Atom's namespace */
    refused("<rss><channel><item>", "ends before");
    refused("{\"a\": 1}", "version");
    refused("{\"version\": \"https://jsonfeed.org/version/1\",", "JSON");
    refused("plain", "before the root");
    assert_false(ml_feed_is_one("<html/>", 7));
    assert_false(ml_feed_is_one("{\"a\": 1}", 8));
    assert_false(ml_feed_is_one("", 0));
    assert_false(ml_feed_is_one("GIF89a", 6));
}

static void too_many(void **state)
{
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    assert_ok(ml_buffer_printf(&text, &err, "<rss><channel>"), err);
    for (int i = 0; i < ML_FEED_MAX_ENTRIES + 5; i++)
        assert_ok(ml_buffer_printf(&text, &err, "<item/>"), err);
    assert_ok(ml_buffer_printf(&text, &err, "</channel></rss>"), err);
    struct ml_feed feed = parse(text.data, ML_FEED_RSS, ML_FEED_MAX_ENTRIES);
    assert_non_null(strstr(feed.problem, "more than"));
    ml_buffer_clear(&text);
}

/* Not of JSON: jansson 2.14 does not survive it while it reads a string of more than 15 bytes. */
static void every_allocation(void **state)
{
    static const char *const texts[] = {
        "<rss xmlns:c='http://purl.org/rss/1.0/modules/content/'><channel><title>T</title><item>"
        "<title>x</title><link>http://a/</link><c:encoded>y</c:encoded></item></channel></rss>",
        "<feed xmlns='http://www.w3.org/2005/Atom' xml:base='http://b/'><entry>"
        "<link href='x'/><content type='xhtml'><b/></content></entry></feed>",
    };
    struct ml_mem_stats before, stats;
    ml_mem_get_stats(&before);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bool done = false;
        for (uint64_t n = 1; !done; n++) {
            struct ml_arena own;
            struct ml_feed feed;
            struct ml_error err = {0};
            ml_arena_init(&own, 1);
            ml_mem_fail_at(n);
            int status = ml_feed_parse(&feed, &own, texts[i], strlen(texts[i]), "http://a/f", &err);
            ml_mem_get_stats(&stats);
            done = stats.allocations < n;
            ml_mem_fail_at(0);
            assert_int_equal(status, done ? 0 : ML_ERR_MEMORY);
            assert_int_equal(err.code, status);
            ml_arena_clear(&own);
            ml_mem_get_stats(&stats);
            assert_int_equal(stats.live_blocks, before.live_blocks);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rss),     cmocka_unit_test(rdf),      cmocka_unit_test(atom),
        cmocka_unit_test(json),    cmocka_unit_test(opml),     cmocka_unit_test(old_chinese),
        cmocka_unit_test(damaged), cmocka_unit_test(too_many), cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("feed", tests, set_up, tear_down);
}
