#include "gzip.h"
#include "web_server.h"

#include "base/fail.h"
#include "data/http_fetch.h"

/* A server, a client that may go to 127.0.0.1, and time that passes by waiting only. */
struct setting {
    struct web_server server;
    struct web_time time;
    struct ml_http_options options;
    struct ml_http *http;
};

static const char *const local[] = {"127.0.0.1"};

static void begin(struct setting *s, const struct web_page *pages, size_t count)
{
    struct ml_error err = {0};
    s->time = (struct web_time){0};
    s->options.allowed_hosts = local;
    s->options.allowed_count = 1;
    s->options.clock = (struct ml_http_clock)WEB_CLOCK(&s->time);
    web_start(&s->server, pages, count);
    int status = ml_http_open(&s->http, &s->options, &err);
    if (status == ML_ERR_UNSUPPORTED) {
        print_message("%s\n", err.message);
        web_stop(&s->server);
        ml_buffer_clear(&s->server.log);
        skip();
    }
    assert_ok(status, err);
}

static void finish(struct setting *s)
{
    ml_http_close(s->http);
    web_stop(&s->server);
}

/* Ends the server and compares what it was asked for, one path a line. */
static void finish_asked(struct setting *s, const char *want)
{
    finish(s);
    assert_string_equal(s->server.log.data ? s->server.log.data : "", want);
    ml_buffer_clear(&s->server.log);
}

static void finish_quiet(struct setting *s)
{
    finish(s);
    ml_buffer_clear(&s->server.log);
}

static int get(struct setting *s, struct ml_http_request request, const char *path,
               struct ml_http_response *out, struct ml_error *err)
{
    char url[512];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", s->server.port, path);
    request.url = url;
    *err = (struct ml_error){0};
    return ml_http_get(s->http, &request, out, err);
}

static struct ml_http_response fetched(struct setting *s, const char *path)
{
    struct ml_http_response response;
    struct ml_error err;
    assert_ok(get(s, (struct ml_http_request){0}, path, &response, &err), err);
    return response;
}

static void fails(struct setting *s, const char *path, int code, const char *why)
{
    struct ml_http_response response = {0};
    struct ml_error err;
    assert_int_equal(get(s, (struct ml_http_request){0}, path, &response, &err), code);
    if (!strstr(err.message, why))
        fail_msg("%s: \"%s\" does not say \"%s\"", path, err.message, why);
    assert_null(strchr(err.message, '\n'));
    assert_null(response.url);
}

#define COUNT(pages) (sizeof(pages) / sizeof(pages)[0])

/* ---- cases ---- */

static void plain(void **state)
{
    static const struct web_page pages[] = {
        {"/a", WEB_ANSWER,
         "HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; Charset=\"GBK\"\r\nETag: \"x-1\"\r\n"
         "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nX-Robots-Tag: noai\r\n"
         "x-robots-tag: other: noindex\r\nContent-Usage: train-ai=n\r\nSet-Cookie: a=b",
         "body", 0},
        {"/b", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Type: nonsense\r\nETag: \x01\x02", "b", 0},
        {"/none", WEB_ANSWER, "HTTP/1.1 404 Not Found", "sorry", 0},
        {"/hint", WEB_RAW,
         "HTTP/1.1 103 Early Hints\r\nETag: \"wrong\"\r\n\r\nHTTP/1.1 200 OK\r\n"
         "ETag: \"right\"\r\nContent-Length: 2\r\n\r\nok",
         NULL, 0},
    };
    struct setting s = {0};
    begin(&s, pages, COUNT(pages));
    struct ml_http_response r = fetched(&s, "/a");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "body");
    assert_string_equal(r.type, "text/html");
    assert_string_equal(r.charset, "gbk");
    assert_string_equal(r.etag, "\"x-1\"");
    assert_string_equal(r.last_modified, "Mon, 01 Jan 2024 00:00:00 GMT");
    assert_string_equal(r.robots_tag, "noai\nother: noindex");
    assert_string_equal(r.content_usage, "train-ai=n");
    assert_int_equal(r.time, 1700000000);
    ml_http_response_clear(&r);
    r = fetched(&s, "/b");
    assert_string_equal(r.type, "");
    assert_string_equal(r.charset, "");
    assert_string_equal(r.etag, "");
    ml_http_response_clear(&r);
    r = fetched(&s, "/none");
    assert_int_equal(r.status, 404);
    assert_int_equal(r.body.size, 0);
    ml_http_response_clear(&r);
    r = fetched(&s, "/hint");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.etag, "\"right\"");
    ml_http_response_clear(&r);
    finish_asked(&s, "GET /a\n  User-Agent: Maliang/0.1 (+local)\n  Accept: */*\n"
                     "GET /b\n  User-Agent: Maliang/0.1 (+local)\n  Accept: */*\n"
                     "GET /none\n  User-Agent: Maliang/0.1 (+local)\n  Accept: */*\n"
                     "GET /hint\n  User-Agent: Maliang/0.1 (+local)\n  Accept: */*\n");
}

static void conditional(void **state)
{
    static const struct web_page pages[] = {
        {"/a", WEB_ANSWER, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"", NULL, 0}};
    struct setting s = {.options = {.agent = "T"}};
    struct ml_http_response r;
    struct ml_error err;
    begin(&s, pages, COUNT(pages));
    const struct ml_http_request known = {.etag = "\"1\"", .last_modified = "Mon", .accept = "x/y"};
    assert_ok(get(&s, known, "/a", &r, &err), err);
    assert_int_equal(r.status, 304);
    ml_http_response_clear(&r);
    const struct ml_http_request smuggled = {.etag = "1\r\nX-Evil: 1"};
    assert_int_equal(get(&s, smuggled, "/a", &r, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "control characters"));
    finish_asked(&s, "GET /a\n  User-Agent: T\n  Accept: x/y\n  If-None-Match: \"1\"\n"
                     "  If-Modified-Since: Mon\n");
}

static void redirects(void **state)
{
    static const struct web_page pages[] = {
        {"/1", WEB_ANSWER, "HTTP/1.1 301 Moved\r\nLocation: /x/2", "text that is dropped", 0},
        {"/x/2", WEB_ANSWER, "HTTP/1.1 302 Found\r\nLocation: 3?q=静#top", NULL, 0},
        {"/x/3?q=%E9%9D%99", WEB_ANSWER,
         "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:%PORT%/end\r\nLocation: /other", NULL, 0},
        {"/end", WEB_ANSWER, NULL, "here", 0},
        {"/loop", WEB_ANSWER, "HTTP/1.1 302 Found\r\nLocation: /loop", NULL, 0},
        {"/nowhere", WEB_ANSWER, "HTTP/1.1 302 Found", NULL, 0},
        {"/ftp", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: ftp://127.0.0.1/x", NULL, 0},
        {"/file", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: file:///etc/passwd", NULL, 0},
        {"/user", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://u:secret@127.0.0.1/", NULL, 0},
        {"/private", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://127.0.0.2:%PORT%/end", NULL,
         0},
        {"/name", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://localhost:%PORT%/end", NULL, 0},
        {"/digits", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://2130706434:%PORT%/end", NULL,
         0},
        {"/six", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://[::ffff:7f00:1]:%PORT%/", NULL, 0},
        {"/cloud", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://169.254.169.254/latest", NULL,
         0},
    };
    struct setting s = {0};
    char want[100];
    begin(&s, pages, COUNT(pages));
    struct ml_http_response r = fetched(&s, "/1");
    snprintf(want, sizeof want, "http://127.0.0.1:%d/end", s.server.port);
    assert_string_equal(r.url, want);
    assert_int_equal(r.redirects, 3);
    assert_string_equal(r.body.data, "here");
    ml_http_response_clear(&r);
    r = fetched(&s, "/nowhere");
    assert_int_equal(r.status, 302);
    ml_http_response_clear(&r);
    fails(&s, "/loop", ML_ERR_IO, "more than 5 redirects");
    fails(&s, "/ftp", ML_ERR_ARG, "ftp://");
    fails(&s, "/file", ML_ERR_ARG, "/file redirects");
    fails(&s, "/user", ML_ERR_ARG, "name or password");
    fails(&s, "/private", ML_ERR_ARG, "127.0.0.2 has a loopback address");
    fails(&s, "/name", ML_ERR_ARG, "localhost has a loopback address");
    fails(&s, "/digits", ML_ERR_ARG, "loopback");
    fails(&s, "/six", ML_ERR_ARG, "loopback");
    fails(&s, "/cloud", ML_ERR_ARG, "a cloud's metadata");
    finish(&s);
    size_t ends = 0, loops = 0;
    for (const char *at = s.server.log.data; (at = strstr(at, "GET /")) != NULL; at++) {
        ends += strncmp(at, "GET /end\n", 9) == 0;
        loops += strncmp(at, "GET /loop\n", 10) == 0;
    }
    assert_int_equal(ends, 1);
    assert_int_equal(loops, 6);
    ml_buffer_clear(&s.server.log);
}

/* A public name that means a private address: it is judged when the connection is opened. */
static void rebinding(void **state)
{
    static const struct web_page pages[] = {
        {"/a", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: http://evil.example:%PORT%/b", NULL, 0}};
    struct setting s = {0};
    char fixed[100];
    struct ml_error err = {0};
    struct ml_http *http;
    struct ml_http_response r = {0};
    begin(&s, pages, COUNT(pages));
    ml_http_close(s.http);
    snprintf(fixed, sizeof fixed, "evil.example:%d:127.0.0.1", s.server.port);
    s.options.resolve = fixed;
    assert_ok(ml_http_open(&http, &s.options, &err), err);
    s.http = http;
    fails(&s, "/a", ML_ERR_ARG, "the host evil.example has a loopback address (127.0.0.1)");
    char url[100];
    snprintf(url, sizeof url, "http://evil.example:%d/b", s.server.port);
    const struct ml_http_request request = {.url = url};
    assert_fails(ml_http_get(http, &request, &r, &err), ML_ERR_ARG, "allow the host by its name",
                 err);
    /* allowed by name, it may */
    ml_http_close(http);
    static const char *const names[] = {"127.0.0.1", "EVIL.example."};
    s.options.allowed_hosts = names;
    s.options.allowed_count = 2;
    assert_ok(ml_http_open(&s.http, &s.options, &err), err);
    assert_ok(ml_http_get(s.http, &request, &r, &err), err);
    assert_int_equal(r.status, 404);
    ml_http_response_clear(&r);
    assert_true(s.time.waited == 0); /* nothing was tried again */
    finish_quiet(&s);
}

static void sizes(void **state)
{
    static char large[300000];
    memset(large, 'x', sizeof large);
    struct ml_buffer bomb = {0}, zeros = {0};
    struct ml_error err = {0};
    assert_ok(ml_buffer_reserve(&zeros, 8 << 20, &err), err);
    memset(zeros.data, 0, 8 << 20);
    pack(&bomb, zeros.data, 8 << 20);
    ml_buffer_clear(&zeros);
    const struct web_page pages[] = {
        {"/exact", WEB_ANSWER, NULL, large, 100000},
        {"/more", WEB_ANSWER, NULL, large, 100001},
        {"/endless", WEB_ENDLESS, NULL, large, sizeof large},
        {"/claims", WEB_HANG, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824", large, sizeof large},
        {"/bomb", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip", bomb.data, bomb.size},
        {"/error", WEB_ENDLESS, "HTTP/1.1 500 Oops", large, sizeof large},
        {"/gz", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip", "not gzip at all", 0},
    };
    struct setting s = {.options = {.max_bytes = 100000}};
    begin(&s, pages, COUNT(pages));
    struct ml_http_response r = fetched(&s, "/exact");
    assert_int_equal(r.body.size, 100000);
    ml_http_response_clear(&r);
    fails(&s, "/more", ML_ERR_LIMIT, "larger than 0.1 MiB");
    fails(&s, "/endless", ML_ERR_LIMIT, "larger than 0.1 MiB");
    fails(&s, "/claims", ML_ERR_LIMIT, "larger than 0.1 MiB");
    fails(&s, "/bomb", ML_ERR_LIMIT, "larger than 0.1 MiB");
    fails(&s, "/gz", ML_ERR_IO, "/gz");
    r = fetched(&s, "/error");
    assert_int_equal(r.status, 500);
    assert_int_equal(r.body.size, 0);
    ml_http_response_clear(&r);
    const struct ml_http_request beginning = {.max_bytes = 1000, .keep_beginning = true};
    assert_ok(get(&s, beginning, "/endless", &r, &err), err);
    assert_true(r.cut);
    assert_int_equal(r.body.size, 1000);
    ml_http_response_clear(&r);
    finish_quiet(&s);
    ml_buffer_clear(&bomb);
}

static void packed(void **state)
{
    struct ml_buffer gz = {0};
    pack(&gz, "packed text", 11);
    const struct web_page pages[] = {
        {"/a", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip", gz.data, gz.size}};
    struct setting s = {0};
    begin(&s, pages, COUNT(pages));
    struct ml_http_response r = fetched(&s, "/a");
    assert_string_equal(r.body.data, "packed text");
    ml_http_response_clear(&r);
    finish_quiet(&s);
    ml_buffer_clear(&gz);
}

static void slow(void **state)
{
    static const struct web_page pages[] = {
        {"/silent", WEB_HANG, "HTTP/1.1 200 OK\r\nContent-Length: 100", "some", 0}};
    struct setting s = {.options = {.total_seconds = 0.3}};
    begin(&s, pages, COUNT(pages));
    fails(&s, "/silent", ML_ERR_IO, "timed out");
    finish_asked(&s, "GET /silent\n  User-Agent: Maliang/0.1 (+local)\n  Accept: */*\n");
}

static int cancel_now(void *arg, const struct ml_web_url *url, struct ml_error *err)
{
    *(volatile int *)arg = 1;
    return 0;
}

static void cancelled(void **state)
{
    static const struct web_page pages[] = {{"/silent", WEB_HANG, NULL, "some", 0}};
    volatile int cancel = 0;
    struct setting s = {.options = {.cancel = &cancel}};
    struct ml_http_response r;
    struct ml_error err;
    begin(&s, pages, COUNT(pages));
    const struct ml_http_request request = {.before = cancel_now, .arg = (void *)&cancel};
    assert_int_equal(get(&s, request, "/silent", &r, &err), ML_ERR_CANCELLED);
    assert_non_null(strstr(err.message, "stopped"));
    finish_quiet(&s);
}

static void bad_answers(void **state)
{
    struct ml_buffer headers = {0};
    struct ml_error err = {0};
    assert_ok(ml_buffer_printf(&headers, &err, "HTTP/1.1 200 OK\r\n"), err);
    for (int i = 0; i < 20000; i++)
        assert_ok(ml_buffer_printf(&headers, &err, "X-%d: some value\r\n", i), err);
    const struct web_page pages[] = {
        {"/old", WEB_RAW, "just text, no header\n", NULL, 0},
        {"/many", WEB_RAW, headers.data, NULL, 0},
        {"/empty", WEB_RAW, "", NULL, 0},
        {"/short", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 100", "short", 0},
        {"/length", WEB_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: -5", "short", 0},
        {"/chunk", WEB_ANSWER, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "zz\r\n", 0},
    };
    struct setting s = {.options = {.tries = 1}};
    begin(&s, pages, COUNT(pages));
    fails(&s, "/old", ML_ERR_IO, "HTTP/0.9");
    fails(&s, "/many", ML_ERR_IO, "128 KiB of headers");
    fails(&s, "/empty", ML_ERR_IO, "Empty reply");
    fails(&s, "/short", ML_ERR_IO, "remaining");
    fails(&s, "/length", ML_ERR_IO, "/length");
    fails(&s, "/chunk", ML_ERR_IO, "/chunk");
    finish_quiet(&s);
    ml_buffer_clear(&headers);
}

static void repetitions(void **state)
{
    static const struct web_page pages[] = {
        {"/busy", WEB_ANSWER, "HTTP/1.1 503 Busy", "no", 0},
        {"/busy", WEB_ANSWER, "HTTP/1.1 429 Slow\r\nRetry-After: 7", "no", 0},
        {"/busy", WEB_ANSWER, NULL, "at last", 0},
        {"/date", WEB_ANSWER, "HTTP/1.1 503 B\r\nRetry-After: Tue, 14 Nov 2023 22:13:50 GMT", NULL,
         0},
        {"/date", WEB_ANSWER, NULL, "at last", 0},
        {"/hour", WEB_ANSWER, "HTTP/1.1 503 Busy\r\nRetry-After: 3600", NULL, 0},
        {"/never", WEB_ANSWER, "HTTP/1.1 503 Busy", NULL, 0},
        {"/broken", WEB_RAW, "", NULL, 0},
        {"/broken", WEB_ANSWER, NULL, "mended", 0},
        {"/dead", WEB_RAW, "", NULL, 0},
        {"/500", WEB_ANSWER, "HTTP/1.1 500 Oops", NULL, 0},
    };
    struct setting s = {.options = {.agent = "T"}};
    begin(&s, pages, COUNT(pages));
    struct ml_http_response r = fetched(&s, "/busy");
    assert_string_equal(r.body.data, "at last");
    assert_true(s.time.waited == 1 + 7);
    ml_http_response_clear(&r);
    s.time = (struct web_time){0}; /* the Unix time is 22:13:20 then */
    r = fetched(&s, "/date");
    assert_string_equal(r.body.data, "at last");
    assert_true(s.time.waited == 30);
    ml_http_response_clear(&r);
    s.time = (struct web_time){0};
    r = fetched(&s, "/hour"); /* more than is waited */
    assert_int_equal(r.status, 503);
    assert_true(r.retry_after == 3600);
    assert_true(s.time.waited == 0);
    ml_http_response_clear(&r);
    r = fetched(&s, "/never");
    assert_int_equal(r.status, 503);
    assert_true(s.time.waited == 1 + 2);
    ml_http_response_clear(&r);
    s.time = (struct web_time){0};
    r = fetched(&s, "/broken");
    assert_string_equal(r.body.data, "mended");
    assert_true(s.time.waited == 1);
    ml_http_response_clear(&r);
    fails(&s, "/dead", ML_ERR_IO, "Empty reply");
    r = fetched(&s, "/500"); /* once */
    ml_http_response_clear(&r);
    finish(&s);
    const size_t *asked = s.server.asked;
    assert_true(asked[0] == 3 && asked[3] == 2 && asked[5] == 1 && asked[6] == 3);
    assert_true(asked[7] == 2 && asked[9] == 3 && asked[10] == 1);
    ml_buffer_clear(&s.server.log);
}

static void no_connection(void **state)
{
    struct setting s = {.options = {.tries = 2}};
    begin(&s, NULL, 0);
    web_stop(&s.server); /* nobody listens there any more */
    fails(&s, "/", ML_ERR_IO, "127.0.0.1");
    assert_true(s.time.waited == 1);
    ml_http_close(s.http);
    ml_buffer_clear(&s.server.log);
}

struct hops {
    struct ml_buffer urls;
    int refuse_at, count;
};

static int note_hop(void *arg, const struct ml_web_url *url, struct ml_error *err)
{
    struct hops *hops = arg;
    if (++hops->count == hops->refuse_at)
        return ml_fail(err, ML_ERR_STATE, "not there");
    return ml_buffer_printf(&hops->urls, err, "%s ", url->path);
}

static void before(void **state)
{
    static const struct web_page pages[] = {
        {"/1", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: /2", NULL, 0},
        {"/2", WEB_ANSWER, "HTTP/1.1 503 Busy", NULL, 0},
        {"/2", WEB_ANSWER, NULL, "ok", 0},
    };
    struct hops hops = {0};
    struct setting s = {.options = {.agent = "T"}};
    struct ml_http_response r = {0};
    struct ml_error err;
    begin(&s, pages, COUNT(pages));
    const struct ml_http_request request = {.before = note_hop, .arg = &hops};
    assert_ok(get(&s, request, "/1", &r, &err), err);
    ml_http_response_clear(&r);
    assert_string_equal(hops.urls.data, "/1 /2 /2 ");
    hops.count = 0;
    hops.refuse_at = 2;
    assert_int_equal(get(&s, request, "/1", &r, &err), ML_ERR_STATE);
    assert_string_equal(err.message, "not there");
    finish_quiet(&s);
    ml_buffer_clear(&hops.urls);
}

static void options(void **state)
{
    struct ml_http *http;
    struct ml_error err = {0};
    static const char *const bad[] = {"a b"};
    const struct ml_http_options wrong = {.allowed_hosts = bad, .allowed_count = 1};
    int status = ml_http_open(&http, &wrong, &err);
    if (status == ML_ERR_UNSUPPORTED)
        skip();
    assert_int_equal(status, ML_ERR_ARG);
    err = (struct ml_error){0};
    assert_ok(ml_http_open(&http, NULL, &err), err);
    ml_http_close(http);
    ml_http_close(NULL);
    ml_http_response_clear(NULL);
}

/* The environment's proxy is none of ours; one that is asked for is used, for public names only. */
static void proxies(void **state)
{
    static const struct web_page pages[] = {
        {"/a", WEB_ANSWER, NULL, "direct", 0},
        {"http://far.example/x", WEB_ANSWER, NULL, "by proxy", 0},
    };
    struct setting s = {.options = {.agent = "T"}};
    struct ml_error err = {0};
    char proxy[64];
    setenv("http_proxy", "http://127.0.0.9:9", 1);
    begin(&s, pages, COUNT(pages));
    struct ml_http_response r = fetched(&s, "/a");
    assert_string_equal(r.body.data, "direct");
    ml_http_response_clear(&r);
    unsetenv("http_proxy");
    ml_http_close(s.http);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", s.server.port);
    s.options.proxy = proxy;
    assert_ok(ml_http_open(&s.http, &s.options, &err), err);
    const struct ml_http_request far = {.url = "http://far.example/x"};
    assert_ok(ml_http_get(s.http, &far, &r, &err), err);
    assert_string_equal(r.body.data, "by proxy");
    ml_http_response_clear(&r);
    const struct ml_http_request near = {.url = "http://10.0.0.1/x"};
    assert_fails(ml_http_get(s.http, &near, &r, &err), ML_ERR_ARG, "10.0.0.1", err);
    finish_quiet(&s);
}

/* Every allocation of ours fails once: one message, no leak. */
static void every_allocation(void **state)
{
    static const struct web_page pages[] = {
        {"/1", WEB_ANSWER, "HTTP/1.1 302 F\r\nLocation: /2", NULL, 0},
        {"/2", WEB_ANSWER, "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Type: text/plain", "ok", 0},
    };
    struct setting s = {0};
    struct ml_mem_stats first, stats;
    begin(&s, pages, COUNT(pages));
    ml_http_close(s.http);
    s.http = NULL;
    web_stop(&s.server); /* a thread of its own would count, too */
    ml_buffer_clear(&s.server.log);
    web_start(&s.server, pages, COUNT(pages));
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/1", s.server.port);
    bool done = false;
    for (uint64_t n = 1; !done && n < 200; n++) {
        struct ml_http *http = NULL;
        struct ml_http_response r = {0};
        struct ml_error err = {0};
        const struct ml_http_request request = {.url = url};
        ml_mem_get_stats(&first);
        ml_mem_fail_at(n);
        int status = ml_http_open(&http, &s.options, &err);
        if (status == 0)
            status = ml_http_get(http, &request, &r, &err);
        ml_mem_get_stats(&stats);
        done = stats.allocations < n;
        ml_mem_fail_at(0);
        /* the failure may have struck the server's thread instead */
        assert_true(status == 0 || status == ML_ERR_MEMORY || status == ML_ERR_IO);
        assert_int_equal(err.code, status);
        ml_http_response_clear(&r);
        ml_http_close(http);
    }
    assert_true(done);
    finish_quiet(&s);
    ml_mem_get_stats(&stats);
    assert_int_equal(stats.live_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(conditional),
        cmocka_unit_test(redirects),
        cmocka_unit_test(rebinding),
        cmocka_unit_test(sizes),
        cmocka_unit_test(packed),
        cmocka_unit_test(slow),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(bad_answers),
        cmocka_unit_test(repetitions),
        cmocka_unit_test(no_connection),
        cmocka_unit_test(before),
        cmocka_unit_test(options),
        cmocka_unit_test(proxies),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("http_fetch", tests, NULL, NULL);
}
