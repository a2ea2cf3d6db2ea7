#include "scratch.h"

#include "data/robots.h"

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

static struct ml_robots parse(const char *text, size_t n)
{
    struct ml_robots robots;
    struct ml_error err = {0};
    assert_ok(ml_robots_parse(&robots, &arena, text, n, "Maliang", &err), err);
    return robots;
}

static struct ml_robots_answer ask(const char *text, const char *path)
{
    struct ml_robots robots = parse(text, strlen(text));
    struct ml_robots_answer answer;
    struct ml_error err = {0};
    assert_ok(ml_robots_ask(&robots, path, &answer, &err), err);
    return answer;
}

#define allowed(text, path)   assert_true(ask(text, path).fetch)
#define forbidden(text, path) assert_false(ask(text, path).fetch)

static void groups(void **state)
{
    allowed("", "/a");
    allowed("User-agent: *\nDisallow:\n", "/a");
    forbidden("User-agent: *\nDisallow: /\n", "/a");
    allowed("User-agent: other\nDisallow: /\n", "/a");
    forbidden("User-agent: other\nUser-agent: maliang\nDisallow: /\n", "/a");
    forbidden("user-AGENT : MALIANG/2.0 \r\nDISALLOW:/a", "/a");
    allowed("User-agent: malian\nDisallow: /\n", "/a");
    allowed("User-agent: maliangbot\nDisallow: /\n", "/a");
    /* the agent's own group goes before that of "*", and groups of one name are joined */
    allowed("User-agent: *\nDisallow: /\n\nUser-agent: Maliang\nDisallow: /x\n", "/a");
    forbidden("User-agent: Maliang\nDisallow: /x\nUser-agent: *\nDisallow:\n"
              "User-agent: maliang\nDisallow: /a\n",
              "/a");
    /* an own group without rules allows everything */
    allowed("User-agent: *\nDisallow: /\nUser-agent: Maliang\n", "/a");
    /* rules before any group are no one's */
    allowed("Disallow: /\nUser-agent: *\nDisallow: /x\n", "/a");
    /* other records and empty lines do not end the list of agents */
    forbidden("User-agent: Maliang\nCrawl-delay: 5\nSitemap: http://a/\n\nUser-agent: b\n"
              "Disallow: /\n",
              "/a");
}

static void longest_match(void **state)
{
    static const char text[] = "User-agent: *\n"
                               "Allow: /p\nDisallow: /\n"
                               "Disallow: /page\nAllow: /page\n"
                               "Disallow: /folder/\nAllow: /folder/*.htm\n"
                               "Disallow: /fish*\nDisallow: /*.php$\nAllow: /$\n"
                               "Disallow: /a*b*c$\n";
    allowed(text, "/p");
    forbidden(text, "/x");
    allowed(text, "/page");
    allowed(text, "/folder/x.htm");
    forbidden(text, "/folder/x.txt");
    forbidden(text, "/fish.html");
    forbidden(text, "/page.php"); /* the longer rule, though "/page" is allowed */
    allowed(text, "/page.php?x=1");
    allowed(text, "/");
    forbidden(text, "/axxbxxc");
    allowed("User-agent: *\nDisallow: /a*b*c$\n", "/axxbxxcd");
    allowed("User-agent: *\nDisallow: /a*bc$\n", "/abcx");
    forbidden("User-agent: *\nDisallow: /a*bc$\n", "/abcbc");
    allowed("User-agent: *\nDisallow: /a*aa$\n", "/aa");
    forbidden("User-agent: *\nDisallow: *.pdf\n", "/x/y.pdf?z");
    forbidden("User-agent: *\nDisallow: /***\n", "/");
    allowed("User-agent: *\nDisallow: /\n", "/robots.txt");
    allowed("User-agent: *\nDisallow: /a # not /b\n", "/b");
    forbidden("User-agent: *\nDisallow: /a # not /b\n", "/a");
}

/* RFC 9309, 2.2.2. */
static void percent(void **state)
{
    forbidden("User-agent: *\nDisallow: /foo/bar?baz=quz\n", "/foo/bar?baz=quz");
    forbidden("User-agent: *\nDisallow: /foo/bar/\xE3\x83\x84\n", "/foo/bar/%E3%83%84");
    forbidden("User-agent: *\nDisallow: /foo/bar/%e3%83%84\n", "/foo/bar/\xE3\x83\x84");
    forbidden("User-agent: *\nDisallow: /foo/bar/%62%61%7A\n", "/foo/bar/baz");
    forbidden("User-agent: *\nDisallow: /foo/bar/baz\n", "/foo/bar/%62%61%7a");
    forbidden("User-agent: *\nDisallow: /诗\n", "/%E8%AF%97/静夜思");
    /* escaped specials are plain characters */
    forbidden("User-agent: *\nDisallow: /a-%2A.html\n", "/a-*.html");
    allowed("User-agent: *\nDisallow: /a-%2A.html\n", "/a-b.html");
    forbidden("User-agent: *\nDisallow: /price%24\n", "/price$");
    allowed("User-agent: *\nDisallow: /a/b\n", "/a%2Fb");
}

static void forms(void **state)
{
    forbidden("\xEF\xBB\xBFUser-agent: *\rDisallow: /\r", "/a");
    forbidden("\t User-agent \t:\t * \nDisallow: /a", "/a");
    allowed("<html><body>User-agent</body></html>", "/a");
    allowed("User-agent *\nDisallow /\n", "/a");
    struct ml_robots robots = parse("User-agent: *\0x\nDisallow: /a\n", 29);
    struct ml_robots_answer answer;
    struct ml_error err = {0};
    assert_ok(ml_robots_ask(&robots, "/a", &answer, &err), err);
    /* what stands behind 500 KiB is not read */
    struct ml_buffer large = {0};
    assert_ok(ml_buffer_printf(&large, &err, "User-agent: *\nDisallow: /first\n"), err);
    while (large.size < ML_ROBOTS_MAX_BYTES)
        assert_ok(ml_buffer_printf(&large, &err, "Disallow: /x%zu\n", large.size), err);
    assert_ok(ml_buffer_printf(&large, &err, "Disallow: /last\n"), err);
    robots = parse(large.data, large.size);
    assert_ok(ml_robots_ask(&robots, "/first", &answer, &err), err);
    assert_false(answer.fetch);
    assert_ok(ml_robots_ask(&robots, "/last", &answer, &err), err);
    assert_true(answer.fetch);
    ml_buffer_clear(&large);
}

static void delays_and_sitemaps(void **state)
{
    static const char text[] = "Sitemap: https://a/1.xml\nUser-agent: *\nCrawl-delay: 2.5\n"
                               "Disallow: /x\nUser-agent: Maliang\nSITEMAP: /2.xml\n"
                               "Crawl-delay: 7\nCrawl-delay: x\nCrawl-delay: -3\nAllow: /\n";
    struct ml_robots robots = parse(text, strlen(text));
    assert_true(robots.delay == 7);
    assert_int_equal(robots.sitemap_count, 2);
    assert_string_equal(robots.sitemaps[0], "https://a/1.xml");
    assert_string_equal(robots.sitemaps[1], "/2.xml");
    static const char any[] = "User-agent: *\nCrawl-delay: 1e99\nDisallow: /x\n";
    assert_true(parse(any, strlen(any)).delay == 86400);
    static const char none[] = "User-agent: b\nCrawl-delay: 9\nDisallow: /x\n";
    assert_true(parse(none, strlen(none)).delay == 0);
}

static void usage(void **state)
{
    static const char text[] = "User-Agent: *\nAllow: /\nDisallow: /never/\n"
                               "Content-Usage: train-ai=n, search=y\n"
                               "Content-Usage: /ai-ok/ train-ai=y\n"
                               "Content-Usage: /ai-ok/*.png$ train-ai=n\n";
    assert_true(ask(text, "/a").fetch);
    assert_string_equal(ask(text, "/a").consent, "denied: robots.txt train-ai=n");
    assert_string_equal(ask(text, "/ai-ok/a").consent, "");
    assert_string_equal(ask(text, "/ai-ok/a.png").consent, "denied: robots.txt train-ai=n");
    assert_false(ask(text, "/never/a").fetch);
    assert_string_equal(
        ask("User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /\n", "/a").consent,
        "denied: robots.txt ai-train=no");
    assert_string_equal(ask("User-agent: b\nContent-Usage: train-ai=n\n", "/a").consent, "");
    /* of two equally long ones the denial holds */
    assert_string_equal(
        ask("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: train-ai=y\n", "/a").consent,
        "denied: robots.txt train-ai=n");
}

static void wish(const char *value, enum ml_consent_wish want)
{
    char label[32];
    assert_int_equal(ml_consent_usage(value, strlen(value), label), want);
}

static void preferences(void **state)
{
    wish("train-ai=n", ML_CONSENT_NO);
    wish("search=y, Train-AI = n;reason=\"x\"", ML_CONSENT_NO);
    wish("train-ai=y", ML_CONSENT_YES);
    wish("train-ai=n, train-ai=y", ML_CONSENT_YES); /* the last of one key counts */
    wish("train-ai=?0", ML_CONSENT_SILENT);
    wish("train-ai", ML_CONSENT_SILENT);
    wish("search=n", ML_CONSENT_SILENT);
    wish("bots=n", ML_CONSENT_NO);
    wish("bots=n, train-ai=y", ML_CONSENT_YES);
    wish("train-genai=n, train-ai=y", ML_CONSENT_NO);
    wish("ai-train=no", ML_CONSENT_NO);
    wish("", ML_CONSENT_SILENT);
    wish(",,=,;,", ML_CONSENT_SILENT);
}

static void headers(const char *tag, const char *content_usage, const char *want)
{
    char verdict[ML_CONSENT_BYTES] = "";
    ml_consent_headers(verdict, tag, content_usage, "Maliang");
    assert_string_equal(verdict, want);
}

static void header_verdicts(void **state)
{
    headers(NULL, NULL, "");
    headers("noai", NULL, "denied: X-Robots-Tag noai");
    headers("nofollow, NoImageAI", NULL, "denied: X-Robots-Tag noimageai");
    headers("noindex", NULL, "denied: X-Robots-Tag noindex");
    headers("noimageindex", NULL, "denied: X-Robots-Tag noimageindex");
    headers("none", NULL, "denied: X-Robots-Tag none");
    headers("all, max-snippet:20, max-image-preview:large", NULL, "");
    headers("unavailable_after: 25 Jun 2010 15:00:00 PST, noai", NULL, "denied: X-Robots-Tag noai");
    headers("otherbot: noindex, noai", NULL, ""); /* the name holds for the whole line */
    headers("otherbot: noindex\nmaliang: noai", NULL, "denied: X-Robots-Tag noai");
    headers("otherbot: noai, Maliang: noindex", NULL, "denied: X-Robots-Tag noindex");
    headers("otherbot: noai\nnoindex", NULL, "denied: X-Robots-Tag noindex");
    headers("noaix, xnoai, no ai", NULL, "");
    headers("", "train-ai=n", "denied: Content-Usage train-ai=n");
    headers("noai", "train-ai=n", "denied: X-Robots-Tag noai");
    headers("all", "search=y\ntrain-ai=n", "denied: Content-Usage train-ai=n");
    headers("all", "train-ai=y", "");
}

static void every_allocation(void **state)
{
    static const char text[] = "User-agent: *\nDisallow: /a b\nAllow: /c\nSitemap: /s\n"
                               "Content-Usage: train-ai=n\n";
    struct ml_mem_stats before, stats;
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_arena own;
        struct ml_robots robots;
        struct ml_robots_answer answer;
        struct ml_error err = {0};
        ml_arena_init(&own, 1);
        ml_mem_fail_at(n);
        int status = ml_robots_parse(&robots, &own, text, strlen(text), "Maliang", &err);
        if (status == 0)
            status = ml_robots_ask(&robots, "/a b", &answer, &err);
        ml_mem_get_stats(&stats);
        done = stats.allocations < n;
        ml_mem_fail_at(0);
        assert_int_equal(status, done ? 0 : ML_ERR_MEMORY);
        ml_arena_clear(&own);
        ml_mem_get_stats(&stats);
        assert_int_equal(stats.live_blocks, before.live_blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups),
        cmocka_unit_test(longest_match),
        cmocka_unit_test(percent),
        cmocka_unit_test(forms),
        cmocka_unit_test(delays_and_sitemaps),
        cmocka_unit_test(usage),
        cmocka_unit_test(preferences),
        cmocka_unit_test(header_verdicts),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("robots", tests, set_up, tear_down);
}
