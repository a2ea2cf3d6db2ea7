#include "gzip.h"
#include "web_server.h"

#include "base/fail.h"
#include "data/web.h"

/* What came of a crawl, a line each: "+ path (consent) bytes", "= path" for what has not changed,
 * "- path: why" for what was left out. */
struct setting {
    struct web_server server;
    struct web_time time;
    struct ml_web_request request;
    struct ml_web_sink sink;
    struct ml_buffer text, log;
    char prefix[64];
    int asked, stop_at; /* of the progress */
    double step;        /* seconds that pass between two addresses */
};

static const char *const local[] = {"127.0.0.1"};

/* Without scheme and host where they are the server's. */
static const char *short_url(const struct setting *s, const char *url)
{
    size_t n = strlen(s->prefix);
    return strncmp(url, s->prefix, n) == 0 ? url + n : url;
}

static int note_resource(void *arg, const struct ml_web_resource *r, struct ml_error *err)
{
    struct setting *s = arg;
    static const char *const roles[] = {"", " feed", " sitemap"};
    int status = ml_buffer_printf(&s->text, err, "+ %s", short_url(s, r->url));
    if (strcmp(r->url, r->asked) != 0 && status == 0)
        status = ml_buffer_printf(&s->text, err, " for %s", short_url(s, r->asked));
    if (status == 0 && *r->from)
        status = ml_buffer_printf(&s->text, err, " from %s", short_url(s, r->from));
    if (status == 0 && r->depth)
        status = ml_buffer_printf(&s->text, err, " depth %d", r->depth);
    if (status == 0 && (*r->consent || *r->title))
        status = ml_buffer_printf(&s->text, err, " [%s%s]", r->consent, r->title);
    const char *bytes = r->role == ML_WEB_PAGE ? r->bytes : "...";
    return status ? status
                  : ml_buffer_printf(&s->text, err, "%s: %.*s\n", roles[r->role],
                                     (int)strcspn(bytes, "\n<"), bytes);
}

static int note_unchanged(void *arg, const char *url, struct ml_error *err)
{
    struct setting *s = arg;
    return ml_buffer_printf(&s->text, err, "= %s\n", short_url(s, url));
}

/* Ports differ from run to run: they are not printed. */
static void put_without_port(struct setting *s, const char *text)
{
    char port[16];
    const char *mark;
    snprintf(port, sizeof port, ":%d", s->server.port);
    for (; (mark = strstr(text, port)) != NULL; text = mark + strlen(port))
        ml_buffer_put(&s->text, text, (size_t)(mark - text), NULL);
    ml_buffer_put(&s->text, text, strlen(text), NULL);
}

static void note_left_out(void *arg, const char *url, enum ml_web_reason reason, const char *why)
{
    struct setting *s = arg;
    assert_true(strlen(ml_web_reason_name(reason)) > 0);
    assert_null(strchr(why, '\n'));
    ml_buffer_printf(&s->text, NULL, "- %s (%d): ", short_url(s, url), (int)reason);
    put_without_port(s, why);
    ml_buffer_put(&s->text, "\n", 1, NULL);
}

static int know_one(void *arg, const char *url, struct ml_web_validators *out, struct ml_error *err)
{
    if (strstr(url, "known"))
        *out = (struct ml_web_validators){.etag = "\"1\""};
    return 0;
}

/* Every href="..." of a page. */
static int find_links(void *arg, const struct ml_web_resource *page, ml_web_found_fn *found,
                      void *found_arg, struct ml_error *err)
{
    int status = 0;
    for (const char *at = page->bytes; status == 0 && (at = strstr(at, "href=\"")) != NULL;) {
        char link[200];
        at += 6;
        snprintf(link, sizeof link, "%.*s", (int)strcspn(at, "\""), at);
        status = found(found_arg, link, err);
    }
    return status;
}

static int note_progress(void *arg, const struct ml_web_progress *progress)
{
    struct setting *s = arg;
    assert_true(progress->done <= progress->known);
    s->time.now += s->step;
    return ++s->asked == s->stop_at;
}

static void begin(struct setting *s, const struct web_page *pages, size_t count)
{
    web_start(&s->server, pages, count);
    snprintf(s->prefix, sizeof s->prefix, "http://127.0.0.1:%d", s->server.port);
    struct ml_web_request *r = &s->request;
    r->http.allowed_hosts = local;
    r->http.allowed_count = 1;
    r->http.agent = "T";
    r->http.clock = (struct ml_http_clock)WEB_CLOCK(&s->time);
    r->links = find_links;
    r->progress = note_progress;
    r->progress_arg = s;
    s->sink = (struct ml_web_sink){.resource = note_resource,
                                   .unchanged = note_unchanged,
                                   .left_out = note_left_out,
                                   .validators = know_one,
                                   .arg = s};
}

static int collect(struct setting *s, const char *const *seeds, size_t count, struct ml_error *err)
{
    char *own[16] = {NULL};
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++) {
        char url[512];
        snprintf(url, sizeof url, "%s%s", seeds[i][0] == '/' ? s->prefix : "", seeds[i]);
        own[i] = ml_mem_strdup(url);
        assert_non_null(own[i]);
    }
    s->request.seeds = (const char *const *)own;
    s->request.seed_count = count;
    s->text.size = 0;
    int status = ml_web_collect(&s->request, &s->sink, err);
    for (size_t i = 0; i < count; i++)
        ml_mem_free(own[i]);
    return status;
}

/* The paths that were asked for, in order, of the log. */
static void paths_asked(struct setting *s)
{
    s->log.size = 0;
    assert_int_equal(ml_buffer_reserve(&s->log, s->server.log.size, NULL), 0);
    for (const char *at = s->server.log.data; at && *at; at = strchr(at, '\n') + 1)
        if (strncmp(at, "GET ", 4) == 0)
            assert_int_equal(
                ml_buffer_printf(&s->log, NULL, "%.*s ", (int)strcspn(at + 4, "\n"), at + 4), 0);
}

static void finish(struct setting *s)
{
    web_stop(&s->server);
    ml_buffer_clear(&s->server.log);
    ml_buffer_clear(&s->text);
    ml_buffer_clear(&s->log);
}

static void crawl(struct setting *s, const struct web_page *pages, size_t count,
                  const char *const *seeds, size_t seed_count)
{
    struct ml_error err = {0};
    begin(s, pages, count);
    int status = collect(s, seeds, seed_count, &err);
    if (status == ML_ERR_UNSUPPORTED) {
        print_message("%s\n", err.message);
        finish(s);
        skip();
    }
    assert_ok(status, err);
}

/* Runs the table with these seeds, and compares what came of it. */
#define CRAWL(s, pages, want, ...)                                                                 \
    do {                                                                                           \
        const char *const seeds_[] = {__VA_ARGS__};                                                \
        crawl(&(s), pages, sizeof(pages) / sizeof(pages)[0], seeds_,                               \
              sizeof seeds_ / sizeof seeds_[0]);                                                   \
        assert_string_equal((s).text.size ? (s).text.data : "", want);                             \
    } while (0)

/* ---- cases ---- */

static void pages_and_failures(void **state)
{
    static const struct web_page pages[] = {
        {"/a", WEB_ANSWER, NULL, "A", 0},
        {"/moved", WEB_ANSWER, "HTTP/1.1 301 M\r\nLocation: /b", NULL, 0},
        {"/b", WEB_ANSWER, NULL, "B", 0},
        {"/moved2", WEB_ANSWER, "HTTP/1.1 301 M\r\nLocation: /a", NULL, 0},
        {"/empty", WEB_ANSWER, NULL, NULL, 0},
        {"/known", WEB_ANSWER, "HTTP/1.1 304 Not Modified", NULL, 0},
        {"/304", WEB_ANSWER, "HTTP/1.1 304 Not Modified", NULL, 0},
        {"/large", WEB_ENDLESS, NULL, "0123456789", 0},
        {"/out", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://127.0.0.2:%PORT%/", NULL, 0},
        {"/silent", WEB_RAW, "", NULL, 0},
        {"/last", WEB_ANSWER, NULL, "the last", 0},
    };
    struct setting s = {.request = {.http = {.max_bytes = 1 << 20}}};
    CRAWL(s, pages,
          "- ftp://x/ (0): \"ftp://x/\" is not an address on the web; it begins with http:// or "
          "https://\n"
          "+ /a: A\n"
          "- /none (3): HTTP status 404\n"
          "+ /b for /moved: B\n"
          "- /empty (6): nothing is in it\n"
          "= /known\n"
          "- /304 (3): HTTP status 304\n"
          "- /large (4): http://127.0.0.1/large: larger than 1.0 MiB; broken off (raise the limit "
          "on size to have it)\n"
          "- /out (0): http://127.0.0.2/: the host 127.0.0.2 has a loopback address, which is not "
          "fetched from; allow the host by its name if this is meant\n"
          "- /silent (5): http://127.0.0.1/silent: Empty reply from server\n"
          "+ /last: the last\n",
          "ftp://x/", "/a", "/x/../a#top", "/none", "/moved", "/b", "/moved2", "/empty", "/known",
          "/304", "/large", "/out", "/silent", "/last");
    paths_asked(&s);
    assert_string_equal(s.log.data, "/robots.txt /a /none /moved /b /moved2 /a /empty /known /304 "
                                    "/large /out /silent /silent /silent /last ");
    assert_non_null(strstr(s.server.log.data, "If-None-Match: \"1\""));
    assert_int_equal(s.asked, 13); /* before each of them, and at the end */
    finish(&s);
}

static void robots(void **state)
{
    static const struct web_page pages[] = {
        {"/robots.txt", WEB_ANSWER, NULL,
         "User-agent: *\nDisallow: /no\nCrawl-delay: 3\nContent-Usage: /ai train-ai=n\n", 0},
        {"/yes", WEB_ANSWER, NULL, "Y", 0},
        {"/hop", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: /no/x", NULL, 0},
        {"/ai", WEB_ANSWER, NULL, "AI", 0},
    };
    struct setting s = {0};
    CRAWL(s, pages,
          "- /no (1): robots.txt does not allow it\n"
          "+ /yes: Y\n"
          "- /ai (2): denied: robots.txt train-ai=n\n"
          "- /hop (1): robots.txt does not allow it\n",
          "/no", "/yes", "/ai", "/hop");
    paths_asked(&s);
    assert_string_equal(s.log.data, "/robots.txt /yes /hop ");
    assert_true(s.time.waited == 6);
    finish(&s);
    s = (struct setting){.request = {.allow_denied = true, .seconds = 5}};
    CRAWL(s, pages, "+ /ai [denied: robots.txt train-ai=n]: AI\n", "/ai");
    assert_true(s.time.waited == 5);
    finish(&s);
}

/* What each kind of answer to robots.txt means for a page. */
static void robots_answers(void **state)
{
    static const struct {
        struct web_page robots;
        bool fetched;
        const char *why;
    } cases[] = {
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 404 N", NULL, 0}, true, NULL},
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 403 F", NULL, 0}, true, NULL},
        {{"/robots.txt", WEB_ANSWER, NULL, NULL, 0}, true, NULL},
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: /r2", NULL, 0},
         false,
         "allow it"},
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: /robots.txt", NULL, 0},
         false,
         "redirects"},
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://10.0.0.1/", NULL, 0},
         false,
         "10.0.0.1"},
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 500 Oops", NULL, 0}, false, "HTTP status 500"},
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 503 Busy", NULL, 0}, false, "HTTP status 503"},
        {{"/robots.txt", WEB_ANSWER, "HTTP/1.1 429 Slow", NULL, 0}, false, "HTTP status 429"},
        {{"/robots.txt", WEB_HANG, NULL, "User-agent: *\n", 0}, false, "timed out"},
        {{"/robots.txt", WEB_RAW, "", NULL, 0}, false, "Empty reply"},
        {{"/robots.txt", WEB_ENDLESS, NULL, "# and so on\n", 0}, true, NULL},
        {{"/robots.txt", WEB_ANSWER, NULL, "User-agent: *\nCrawl-delay: 3600\n", 0},
         false,
         "wants 3600 seconds"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct web_page pages[] = {
            cases[i].robots,
            {"/r2", WEB_ANSWER, NULL, "User-agent: maliang\nDisallow: /\n", 0},
            {"/a", WEB_ANSWER, NULL, "A", 0},
        };
        /* Only the server that never answers is waited for; the others may take their time. */
        bool hangs = cases[i].robots.manner == WEB_HANG;
        struct setting s = {.request = {.http = {.total_seconds = hangs ? 0.3 : 30}}};
        static const char *const seeds[] = {"/a"};
        crawl(&s, pages, 3, seeds, 1);
        bool right = cases[i].fetched ? strcmp(s.text.data, "+ /a: A\n") == 0
                                      : strncmp(s.text.data, "- /a (1): ", 10) == 0 &&
                                            strstr(s.text.data, cases[i].why) != NULL;
        if (!right)
            fail_msg("case %zu: %s", i, s.text.data);
        finish(&s);
    }
}

/* robots.txt holds for a day. */
static void robots_grow_old(void **state)
{
    static const struct web_page pages[] = {
        {"/robots.txt", WEB_ANSWER, NULL, "User-agent: *\nDisallow: /b\n", 0},
        {"/robots.txt", WEB_ANSWER, NULL, "User-agent: *\nDisallow: /c\n", 0},
        {"/robots.txt", WEB_ANSWER, "HTTP/1.1 500 Oops", NULL, 0},
        {"/a", WEB_ANSWER, NULL, "A", 0},
        {"/b", WEB_ANSWER, NULL, "B", 0},
    };
    struct setting s = {.step = 87000};
    CRAWL(s, pages,
          "+ /a: A\n+ /b: B\n"
          "- /b?2 (1): robots.txt cannot be had, so nothing is fetched: HTTP status 500\n",
          "/a", "/b", "/b?2");
    paths_asked(&s);
    assert_string_equal(s.log.data, "/robots.txt /a /robots.txt /b /robots.txt ");
    finish(&s);
    s = (struct setting){.step = 20000, .request = {.seconds = -1}};
    CRAWL(s, pages, "+ /a: A\n- /b (1): robots.txt does not allow it\n", "/a", "/b");
    finish(&s);
}

static void consent(void **state)
{
    static const struct web_page pages[] = {
        {"/1", WEB_ANSWER, "HTTP/1.1 200 OK\r\nX-Robots-Tag: noai", "1", 0},
        {"/2", WEB_ANSWER, "HTTP/1.1 200 OK\r\nX-Robots-Tag: other: noai", "2", 0},
        {"/3", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Usage: train-ai=n", "3", 0},
    };
    struct setting s = {0};
    CRAWL(s, pages,
          "- /1 (2): denied: X-Robots-Tag noai\n+ /2: 2\n"
          "- /3 (2): denied: Content-Usage train-ai=n\n",
          "/1", "/2", "/3");
    finish(&s);
    s = (struct setting){.request = {.allow_denied = true}};
    CRAWL(s, pages,
          "+ /1 [denied: X-Robots-Tag noai]: 1\n+ /2: 2\n"
          "+ /3 [denied: Content-Usage train-ai=n]: 3\n",
          "/1", "/2", "/3");
    finish(&s);
}

/* One request a second to a host; others are asked meanwhile. */
static void turns(void **state)
{
    static const struct web_page pages[] = {
        {"/1", WEB_ANSWER, NULL, "1", 0},
        {"/2", WEB_ANSWER, NULL, "2", 0},
        {"/3", WEB_ANSWER, NULL, "3", 0},
    };
    static const char *const both[] = {"127.0.0.1", "localhost"};
    struct setting s = {0};
    struct ml_error err = {0};
    char other[64];
    begin(&s, pages, 3);
    s.request.http.allowed_hosts = both;
    s.request.http.allowed_count = 2;
    snprintf(other, sizeof other, "http://localhost:%d/3", s.server.port);
    const char *const seeds[] = {"/1", "/2", other};
    int status = collect(&s, seeds, 3, &err);
    if (status == ML_ERR_UNSUPPORTED) {
        finish(&s);
        skip();
    }
    assert_ok(status, err);
    paths_asked(&s);
    assert_string_equal(s.log.data, "/robots.txt /1 /robots.txt /3 /2 ");
    assert_true(s.time.waited == 2);
    finish(&s);
    s = (struct setting){.request = {.seconds = -1}};
    CRAWL(s, pages, "+ /1: 1\n+ /2: 2\n", "/1", "/2");
    assert_true(s.time.waited == 0);
    finish(&s);
}

/* A host that asks for an hour is left alone. */
static void rest(void **state)
{
    static const struct web_page pages[] = {
        {"/busy", WEB_ANSWER, "HTTP/1.1 503 Busy\r\nRetry-After: 3600", NULL, 0},
        {"/a", WEB_ANSWER, NULL, "A", 0},
    };
    struct setting s = {0};
    CRAWL(s, pages,
          "- /busy (3): HTTP status 503\n"
          "- /a (1): the host wants 3600 seconds before the next request, and no more than 60 are "
          "waited\n",
          "/busy", "/a");
    finish(&s);
}

static void feeds(void **state)
{
    static const struct web_page pages[] = {
        {"/list.opml", WEB_ANSWER, NULL,
         "<opml><body><outline xmlUrl='/rss'/><outline xmlUrl='/bad'/></body></opml>", 0},
        {"/rss", WEB_ANSWER, NULL,
         "<rss><channel><item><title>一</title><link>/1</link></item>"
         "<item><link>/2</link></item><item><link>/1</link></item></channel></rss>",
         0},
        {"/bad", WEB_ANSWER, NULL, "<rss><channel><item><link>/3</link></item><item>", 0},
        {"/1", WEB_ANSWER, NULL, "1", 0},
        {"/2", WEB_ANSWER, NULL, "2", 0},
        {"/3", WEB_ANSWER, NULL, "3", 0},
    };
    struct setting s = {.request = {.follow_feeds = true}};
    CRAWL(s, pages,
          "+ /list.opml feed: ...\n"
          "+ /rss from /list.opml feed: ...\n"
          "+ /bad from /list.opml feed: ...\n"
          "- /bad (7): line 1: it ends before </item>\n"
          "+ /1 from /rss [一]: 1\n"
          "+ /2 from /rss: 2\n"
          "+ /3 from /bad: 3\n",
          "/list.opml");
    finish(&s);
    s = (struct setting){0};
    CRAWL(s, pages, "+ /rss feed: ...\n", "/rss");
    finish(&s);
}

/* Lists of lists without an end. */
static void endless_lists(void **state)
{
    struct web_page pages[10];
    char paths[10][16], bodies[10][128];
    for (int i = 0; i < 10; i++) {
        snprintf(paths[i], sizeof paths[i], "/%d", i);
        snprintf(bodies[i], sizeof bodies[i], "<opml><body><outline xmlUrl='/%d'/></body></opml>",
                 i + 1);
        pages[i] = (struct web_page){paths[i], WEB_ANSWER, NULL, bodies[i], 0};
    }
    struct setting s = {.request = {.follow_feeds = true}};
    static const char *const seeds[] = {"/0"};
    crawl(&s, pages, 10, seeds, 1);
    paths_asked(&s);
    assert_string_equal(s.log.data, "/robots.txt /0 /1 /2 /3 /4 /5 ");
    finish(&s);
}

static void sitemaps(void **state)
{
    struct ml_buffer gz = {0};
    static const char map[] = "<urlset><url><loc>/1</loc></url><url><loc>/2</loc></url></urlset>";
    pack(&gz, map, strlen(map));
    const struct web_page pages[] = {
        {"/robots.txt", WEB_ANSWER, NULL, "Sitemap: /index.xml\nSitemap: /urls.txt\n", 0},
        {"/", WEB_ANSWER, NULL, "home", 0},
        {"/index.xml", WEB_ANSWER, NULL,
         "<sitemapindex><sitemap><loc>/map.xml.gz</loc></sitemap></sitemapindex>", 0},
        {"/map.xml.gz", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Type: application/gzip", gz.data,
         gz.size},
        {"/urls.txt", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Type: text/plain",
         "http://127.0.0.1:%PORT%/3\n", 0},
        {"/1", WEB_ANSWER, NULL, "1", 0},
        {"/2", WEB_ANSWER, NULL, "2", 0},
        {"/3", WEB_ANSWER, NULL, "3", 0},
    };
    struct setting s = {.request = {.follow_sitemaps = true, .robots_sitemaps = true}};
    CRAWL(s, pages,
          "+ /: home\n"
          "+ /index.xml from / sitemap: ...\n"
          "+ /urls.txt from / sitemap: ...\n"
          "+ /map.xml.gz from /index.xml sitemap: ...\n"
          "+ /3 from /urls.txt: 3\n"
          "+ /1 from /map.xml.gz: 1\n"
          "+ /2 from /map.xml.gz: 2\n",
          "/");
    finish(&s);
    s = (struct setting){.request = {.follow_sitemaps = true}};
    CRAWL(s, pages, "+ /: home\n", "/");
    finish(&s);
    ml_buffer_clear(&gz);
}

static void links(void **state)
{
    static const struct web_page pages[] = {
        {"/", WEB_ANSWER, NULL,
         "home<a href=\"known\">1</a><a href=\"/b#x\">2</a><a href=\"http://localhost/\">3</a>"
         "<a href=\"mailto:a@b\">4</a><a href=\"/away\">5</a>",
         0},
        {"/known", WEB_ANSWER, NULL, "A<a href=\"/c\">", 0},
        {"/b", WEB_ANSWER, NULL, "B<a href=\"/\">", 0},
        {"/c", WEB_ANSWER, NULL, "C<a href=\"/d\">", 0},
        {"/d", WEB_ANSWER, NULL, "D", 0},
        {"/away", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: /b", NULL, 0},
    };
    struct setting s = {.request = {.depth = 2}};
    CRAWL(s, pages,
          "+ /: home\n"
          "+ /known from / depth 1: A\n"
          "+ /b from / depth 1: B\n"
          "+ /c from /known depth 2: C\n",
          "/");
    assert_null(strstr(s.server.log.data, "If-None-Match")); /* its links are wanted */
    finish(&s);
    s = (struct setting){0};
    CRAWL(s, pages, "+ /: home\n", "/");
    finish(&s);
    s = (struct setting){.request = {.depth = 9, .max_pages = 2}};
    CRAWL(s, pages,
          "+ /: home\n"
          "+ /known from / depth 1: A\n"
          "-  (8): 3 more addresses were found than the 2 that are fetched; raise the limit of "
          "pages to have them\n",
          "/");
    finish(&s);
}

static int refuse_resource(void *arg, const struct ml_web_resource *r, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_IO, "the disk is full");
}

static void stopping(void **state)
{
    static const struct web_page pages[] = {
        {"/1", WEB_ANSWER, NULL, "1", 0},
        {"/2", WEB_ANSWER, NULL, "2", 0},
    };
    static const char *const seeds[] = {"/1", "/2"};
    struct setting s = {.stop_at = 2};
    struct ml_error err = {0};
    begin(&s, pages, 2);
    int status = collect(&s, seeds, 2, &err);
    if (status == ML_ERR_UNSUPPORTED) {
        finish(&s);
        skip();
    }
    assert_int_equal(status, ML_ERR_CANCELLED);
    assert_string_equal(s.text.data, "+ /1: 1\n");
    s.stop_at = 0;
    s.sink.resource = refuse_resource;
    assert_fails(collect(&s, seeds, 2, &err), ML_ERR_IO, "disk is full", err);
    volatile int cancel = 1;
    s.request.http.cancel = &cancel;
    assert_fails(collect(&s, seeds, 2, &err), ML_ERR_CANCELLED, "stopped", err);
    finish(&s);
}

static void every_allocation(void **state)
{
    static const struct web_page pages[] = {
        {"/robots.txt", WEB_ANSWER, NULL, "User-agent: *\nDisallow: /x\nSitemap: /map\n", 0},
        {"/rss", WEB_ANSWER, NULL, "<rss><channel><item><link>/1</link></item></channel></rss>", 0},
        {"/map", WEB_ANSWER, NULL, "<urlset><url><loc>/1</loc></url></urlset>", 0},
        {"/1", WEB_ANSWER, NULL, "<a href=\"/2\">", 0},
    };
    struct setting s = {.request = {.follow_feeds = true,
                                    .follow_sitemaps = true,
                                    .robots_sitemaps = true,
                                    .depth = 1,
                                    .http = {.tries = 1}}};
    struct ml_mem_stats stats;
    bool done = false;
    begin(&s, pages, 4);
    s.sink.unchanged = NULL;
    for (uint64_t n = 1; !done && n < 2000; n++) {
        struct ml_error err = {0};
        char url[64];
        const char *const own[] = {url};
        snprintf(url, sizeof url, "http://127.0.0.1:%d/rss", s.server.port);
        s.request.seeds = own;
        s.request.seed_count = 1;
        s.text.size = 0;
        ml_mem_fail_at(n);
        int status = ml_web_collect(&s.request, &s.sink, &err);
        ml_mem_get_stats(&stats);
        done = stats.allocations < n;
        ml_mem_fail_at(0);
        if (status == ML_ERR_UNSUPPORTED)
            break;
        /* what strikes the server's thread is a failed address, no more */
        assert_true(status == 0 || status == ML_ERR_MEMORY);
        assert_int_equal(err.code, status);
        if (done)
            assert_non_null(strstr(s.text.data, "- /2 (3)"));
    }
    finish(&s);
    ml_mem_get_stats(&stats);
    assert_int_equal(stats.live_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_and_failures),
        cmocka_unit_test(robots),
        cmocka_unit_test(robots_answers),
        cmocka_unit_test(robots_grow_old),
        cmocka_unit_test(consent),
        cmocka_unit_test(turns),
        cmocka_unit_test(rest),
        cmocka_unit_test(feeds),
        cmocka_unit_test(endless_lists),
        cmocka_unit_test(sitemaps),
        cmocka_unit_test(links),
        cmocka_unit_test(stopping),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("web", tests, NULL, NULL);
}
