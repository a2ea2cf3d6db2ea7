#include "scratch.h"

#include "data/web_url.h"

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

static void spelt(const char *text, const char *want)
{
    struct ml_web_url url;
    struct ml_error err = {0};
    assert_ok(ml_web_url_parse(&url, &arena, text, &err), err);
    assert_string_equal(url.text, want);
    assert_ptr_equal(url.path, url.text + url.origin);
    struct ml_web_url again; /* one way only */
    assert_ok(ml_web_url_parse(&again, &arena, url.text, &err), err);
    assert_string_equal(again.text, want);
}

static void one_spelling(void **state)
{
    spelt("http://example.org", "http://example.org/");
    spelt("  HTTP://Example.ORG:80/a\n", "http://example.org/a");
    spelt("https://example.org:443?x=1#top", "https://example.org/?x=1");
    spelt("https://example.org:8443/", "https://example.org:8443/");
    spelt("https://example.org.:/", "https://example.org/");
    spelt("http://a/b/./c/../d/", "http://a/b/d/");
    spelt("http://a/../../b", "http://a/b");
    spelt("http://a/b/..", "http://a/");
    spelt("http://a/b/.", "http://a/b/");
    spelt("http://a/%7euser/%c3%a9%2fb/%2e%2e/c", "http://a/~user/c");
    spelt("http://a/x?q=../%41", "http://a/x?q=../A");
    spelt("http://a/b c\"<>|\\^`{}", "http://a/b%20c%22%3C%3E%7C%5C%5E%60%7B%7D");
    spelt("http://a/50%/%zz", "http://a/50%25/%25zz");
    spelt("http://a/%%366", "http://a/%2566"); /* not %66 */
    spelt("http://a//b///c", "http://a//b///c");
    spelt("http://a/静夜思?作者=李白",
          "http://a/%E9%9D%99%E5%A4%9C%E6%80%9D?%E4%BD%9C%E8%80%85=%E6%9D%8E%E7%99%BD");
}

static void hosts(void **state)
{
    struct ml_web_url url;
    struct ml_error err = {0};
    spelt("http://中文网。中国/a", "http://xn--fiq228c5hs.xn--fiqs8s/a");
    spelt("http://bücher.example/", "http://xn--bcher-kva.example/");
    spelt("http://他们为什么不说中文.example/", "http://xn--ihqwcrb4cv8a8dqg056pqjye.example/");
    spelt("http://[::FFFF:127.0.0.1]:8080/", "http://[::ffff:127.0.0.1]:8080/");
    spelt("http://[2001:DB8:0:0::1]/", "http://[2001:db8::1]/");
    assert_ok(ml_web_url_parse(&url, &arena, "https://[::1]:99/x?y", &err), err);
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 99);
    assert_true(url.secure);
    assert_string_equal(url.path, "/x?y");
    const char *host;
    assert_ok(ml_web_url_host(&host, &arena, "LOCALHOST.", 10, &err), err);
    assert_string_equal(host, "localhost");
    assert_ok(ml_web_url_host(&host, &arena, "::1", 3, &err), err);
    assert_string_equal(host, "::1");
}

static void refused(const char *text, const char *why)
{
    struct ml_web_url url = {0};
    struct ml_error err = {0};
    assert_fails(ml_web_url_parse(&url, &arena, text, &err), ML_ERR_ARG, why, err);
    assert_null(url.text);
}

static void bad(void **state)
{
    refused("", "not an address on the web");
    refused("example.org/a", "http://");
    refused("ftp://example.org/", "ftp://example.org/");
    refused("file:///etc/passwd", "not an address");
    refused("javascript:alert(1)", "not an address");
    refused("http://", "no host");
    refused("http:///a", "no host");
    refused("http://:80/", "no host");
    refused("http://a b/", "not the name of a host");
    refused("http://a%2eb/", "not the name of a host");
    refused("http://a..b/", "not the name of a host");
    refused("http://a\\@b/", "name or password");
    refused("http://a\\b/", "not the name of a host");
    refused("http://\xff\xfe/", "not the name of a host");
    refused("http://[::1/", "host");
    refused("http://[::1]x:80/", "between the host and its port");
    refused("http://[fe80::1%25eth0]/", "not an IPv6 address");
    refused("http://a:0/", "port");
    refused("http://a:65536/", "port");
    refused("http://a:8x/", "port");
    struct ml_web_url url;
    struct ml_error err = {0};
    assert_int_equal(ml_web_url_parse(&url, &arena, "http://me:secret@a/", &err), ML_ERR_ARG);
    assert_null(strstr(err.message, "secret"));
    err = (struct ml_error){0};
    assert_int_equal(ml_web_url_parse(&url, &arena, "me:secret@a/", &err), ML_ERR_ARG);
    char label[100] = "http://";
    memset(label + 7, 'a', 64);
    refused(label, "not the name of a host");
    char *longer = ml_arena_alloc(&arena, ML_WEB_URL_MAX + 100);
    memset(longer, 'a', ML_WEB_URL_MAX + 99);
    longer[ML_WEB_URL_MAX + 99] = '\0';
    memcpy(longer, "http://a/", 9);
    refused(longer, "more than");
    longer[ML_WEB_URL_MAX / 2] = '\0';
    memset(longer + 9, ' ', ML_WEB_URL_MAX / 2 - 10); /* thrice as long when spelt */
    refused(longer, "more than");
}

/* RFC 3986, 5.4, but for fragments, which are dropped. */
static void references(void **state)
{
    static const char *const cases[][2] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://h/i", "https://h/i"},
        {" \n/g \t", "http://a/g"},
        {"1:2", "http://a/b/c/1:2"},
    };
    struct ml_web_url base, url;
    struct ml_error err = {0};
    assert_ok(ml_web_url_parse(&base, &arena, "http://a/b/c/d;p?q", &err), err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_ok(ml_web_url_resolve(&url, &arena, &base, cases[i][0], &err), err);
        assert_string_equal(url.text, cases[i][1]);
    }
    assert_fails(ml_web_url_resolve(&url, &arena, &base, "mailto:a@b", &err), ML_ERR_ARG,
                 "not an address", err);
    assert_fails(ml_web_url_resolve(&url, &arena, NULL, "/g", &err), ML_ERR_ARG, "not an address",
                 err);
}

static void every_allocation(void **state)
{
    struct ml_mem_stats stats;
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_arena own;
        struct ml_web_url base, url;
        struct ml_error err = {0};
        ml_arena_init(&own, 1);
        ml_mem_fail_at(n);
        int status = ml_web_url_parse(&base, &own, "http://中文/a b", &err);
        if (status == 0)
            status = ml_web_url_resolve(&url, &own, &base, "../c", &err);
        ml_mem_get_stats(&stats);
        done = stats.allocations < n;
        ml_mem_fail_at(0);
        assert_int_equal(status, done ? 0 : ML_ERR_MEMORY);
        assert_int_equal(err.code, status);
        ml_arena_clear(&own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_spelling),
        cmocka_unit_test(hosts),
        cmocka_unit_test(bad),
        cmocka_unit_test(references),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("web_url", tests, set_up, tear_down);
}
