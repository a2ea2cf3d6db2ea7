#include "gzip.h"

#include "data/warc.h"

/* What came out: "name (type): bytes" a line, and what was left out: "name -: why". */
struct catch
{
    struct ml_buffer text;
    int stop_at, members; /* stops with 7 at this member */
};

static int catch_member(void *arg, const struct ml_member *member, struct ml_error *err)
{
    struct catch *c = arg;
    if (++c->members == c->stop_at)
        return 7;
    return ml_buffer_printf(&c->text, err, "%s (%s)%s%s: %.*s\n", member->name,
                            member->type ? member->type : "-", member->consent ? " " : "",
                            member->consent ? member->consent : "", (int)member->size,
                            member->bytes);
}

static void catch_left_out(void *arg, const char *what, const char *why)
{
    struct catch *c = arg;
    assert_int_equal(ml_buffer_printf(&c->text, NULL, "%s -: %s\n", what, why), 0);
}

static int read_with(struct catch *c, const char *bytes, size_t n,
                     const struct ml_reader_limits *limits, struct ml_error *err)
{
    const struct ml_reader_input input = {.uri = "x.warc", .bytes = bytes, .size = n};
    const struct ml_reader_sink sink = {
        .member = catch_member, .left_out = catch_left_out, .arg = c};
    static const struct ml_reader_limits defaults;
    c->text.size = 0;
    c->members = 0;
    return ml_reader_warc.read(&input, limits ? limits : &defaults, &sink, err);
}

static void gives(const struct ml_buffer *warc, const char *want)
{
    struct catch c = {0};
    struct ml_error err = {0};
    assert_ok(read_with(&c, warc->data, warc->size, NULL, &err), err);
    assert_string_equal(c.text.size ? c.text.data : "", want);
    ml_buffer_clear(&c.text);
}

/* ---- writing ---- */

static void record(struct ml_buffer *out, const char *headers, const char *bytes, size_t n)
{
    struct ml_error err = {0};
    assert_ok(ml_buffer_printf(out, &err, "WARC/1.1\r\n%sContent-Length: %zu\r\n\r\n", headers, n),
              err);
    assert_ok(ml_buffer_put(out, bytes, n, &err), err);
    assert_ok(ml_buffer_put(out, "\r\n\r\n", 4, &err), err);
}

#define RESPONSE "WARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"

static void answer(struct ml_buffer *out, const char *uri, const char *http, const char *body,
                   size_t n)
{
    struct ml_buffer whole = {0};
    struct ml_error err = {0};
    char headers[512];
    snprintf(headers, sizeof headers, RESPONSE "WARC-Target-URI: %s\r\n", uri);
    assert_ok(ml_buffer_put(&whole, http, strlen(http), &err), err);
    assert_ok(ml_buffer_put(&whole, body, n, &err), err);
    record(out, headers, whole.data, whole.size);
    ml_buffer_clear(&whole);
}

static void page(struct ml_buffer *out, const char *uri, const char *body)
{
    answer(out, uri, "HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=utf-8\r\n\r\n", body,
           strlen(body));
}

/* ---- cases ---- */

static void kinds(void **state)
{
    struct ml_buffer w = {0};
    record(&w, "WARC-Type: warcinfo\r\nContent-Type: application/warc-fields\r\n", "software: x",
           11);
    record(&w, "WARC-Type: request\r\nWARC-Target-URI: http://a/\r\n", "GET / HTTP/1.1\r\n\r\n",
           18);
    page(&w, "http://a/1", "<p>一</p>");
    page(&w, "<http://a/2>", "<p>two</p>");
    answer(&w, "http://a/3", "HTTP/1.1 404 Not Found\r\n\r\n", "no", 2);
    answer(&w, "http://a/4", "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "", 0);
    answer(&w, "http://a/5", "HTTP/1.0 200 OK\n\n", "unix line ends", 14);
    answer(&w, "http://a/6", "HTTP/1.1 200 OK\r\n\r\n", "", 0);
    record(&w, "WARC-Type: metadata\r\n", "x: y", 4);
    record(&w, "WARC-Type: revisit\r\nContent-Type: application/http\r\n", "", 0);
    record(&w,
           "warc-type:resource\r\nWARC-Target-URI: http://a/7.txt\r\ncontent-type: text/plain\r\n",
           "seven", 5);
    record(
        &w,
        "WARC-Type: conversion\r\nWARC-Target-URI: http://a/8 静\r\nContent-Type: text/plain\r\n",
        "eight", 5);
    record(&w, "WARC-Type: response\r\nWARC-Target-URI: dns:a\r\nContent-Type: text/dns\r\n", "1",
           1);
    record(&w, "WARC-Type: resource\r\n", "no name", 7);
    record(&w, RESPONSE "WARC-Target-URI: http://a/9\r\n", "garbage", 7);
    record(&w, "WARC-Type: resource\r\nWARC-Segment-Number: 1\r\n", "part", 4);
    static const char want[] = "http://a/1 (text/html): <p>一</p>\n"
                               "http://a/2 (text/html): <p>two</p>\n"
                               "http://a/3 -: HTTP status 404\n"
                               "http://a/4 -: HTTP status 301\n"
                               "http://a/5 (-): unix line ends\n"
                               "http://a/6 -: empty\n"
                               "http://a/7.txt (text/plain): seven\n"
                               "http://a/8%20%E9%9D%99 (text/plain): eight\n"
                               "record 14 (-): no name\n"
                               "http://a/9 -: it holds no HTTP answer\n"
                               "record 16 -: it is one part of several\n";
    gives(&w, want);
    ml_buffer_clear(&w);
}

static void consent(void **state)
{
    struct ml_buffer w = {0};
    answer(&w, "http://a/1",
           "HTTP/1.1 200 OK\r\nX-Robots-Tag: other: noai\r\n"
           "x-robots-tag: noindex, noai\r\n\r\n",
           "x", 1);
    answer(&w, "http://a/2", "HTTP/1.1 200 OK\r\nContent-Usage: train-ai=n\r\n\r\n", "x", 1);
    answer(&w, "http://a/3", "HTTP/1.1 200 OK\r\nX-Robots-Tag: other: noai\r\n\r\n", "x", 1);
    gives(&w, "http://a/1 (-) denied: X-Robots-Tag noindex: x\n"
              "http://a/2 (-) denied: Content-Usage train-ai=n: x\n"
              "http://a/3 (-): x\n");
    ml_buffer_clear(&w);
}

static void chunks(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct ml_buffer w = {0};
    static const char good[] = "4\r\nWiki\r\n6;x=y\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n"
                               "Trailer: x\r\n\r\n";
    answer(&w, "http://a/1", head, good, strlen(good));
    answer(&w, "http://a/2", head, "joined already", 14);
    answer(&w, "http://a/3", head, "5\r\nhel", 6);
    answer(&w, "http://a/4", head, "2\r\nhi\r\nzz\r\n", 11);
    answer(&w, "http://a/5", head, "fffffffffffffffffffff\r\nx", 24);
    gives(&w, "http://a/1 (-): Wikipedia in \r\n\r\nchunks.\n"
              "http://a/2 (-): joined already\n"
              "http://a/3 -: its body ends within a chunk\n"
              "http://a/4 -: its body ends within a chunk\n"
              "http://a/5 (-): fffffffffffffffffffff\r\nx\n");
    ml_buffer_clear(&w);
}

static void codings(void **state)
{
    struct ml_buffer w = {0}, body = {0}, chunked = {0};
    struct ml_error err = {0};
    pack(&body, "packed text", 11);
    static const char gzip[] = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
    answer(&w, "http://a/1", gzip, body.data, body.size);
    answer(&w, "http://a/2", gzip, "unpacked already", 16);
    answer(&w, "http://a/3", gzip, body.data, body.size - 9);
    answer(&w, "http://a/4", "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n", "xyz", 3);
    assert_ok(ml_buffer_printf(&chunked, &err, "%zx\r\n", body.size), err);
    assert_ok(ml_buffer_put(&chunked, body.data, body.size, &err), err);
    assert_ok(ml_buffer_printf(&chunked, &err, "\r\n0\r\n\r\n"), err);
    answer(&w, "http://a/5",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: X-GZip\r\n\r\n",
           chunked.data, chunked.size);
    answer(&w, "http://a/6",
           "HTTP/1.1 200 OK\r\nContent-Encoding: identity,,gzip,identity,x\r\n\r\n", "x", 1);
    body.size = 0;
    pack_as(&body, "deflated text", 13, -15);
    answer(&w, "http://a/7", "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n", body.data,
           body.size);
    gives(&w, "http://a/1 (-): packed text\n"
              "http://a/2 (-): unpacked already\n"
              "http://a/3 -: its packed body is damaged\n"
              "http://a/4 -: packed in a way that is not read (Content-Encoding)\n"
              "http://a/5 (-): packed text\n"
              "http://a/6 -: packed in a way that is not read (Content-Encoding)\n"
              "http://a/7 (-): deflated text\n");
    ml_buffer_clear(&w);
    ml_buffer_clear(&body);
    ml_buffer_clear(&chunked);
}

/* Each record packed by itself, as crawls are kept. */
static void packed(void **state)
{
    struct ml_buffer one = {0}, w = {0}, want = {0};
    struct ml_error err = {0};
    for (int i = 0; i < 40; i++) {
        char uri[40], body[40];
        snprintf(uri, sizeof uri, "http://a/%d", i);
        snprintf(body, sizeof body, "page %d", i);
        one.size = 0;
        page(&one, uri, body);
        pack(&w, one.data, one.size);
        assert_ok(ml_buffer_printf(&want, &err, "%s (text/html): %s\n", uri, body), err);
    }
    gives(&w, want.data);
    one.size = 0; /* all in one member */
    for (int i = 0; i < 3; i++)
        page(&one, "http://a/1", "text");
    w.size = 0;
    pack(&w, one.data, one.size);
    gives(&w, "http://a/1 (text/html): text\nhttp://a/1 (text/html): text\n"
              "http://a/1 (text/html): text\n");
    ml_buffer_clear(&one);
    ml_buffer_clear(&w);
    ml_buffer_clear(&want);
}

/* Reading goes on behind a member that cannot be unpacked. */
static void damaged_member(void **state)
{
    struct ml_buffer one = {0}, w = {0};
    size_t second = 0, third = 0;
    for (int i = 1; i <= 3; i++) {
        char uri[40];
        snprintf(uri, sizeof uri, "http://a/%d", i);
        one.size = 0;
        page(&one, uri, "text");
        second = i == 2 ? w.size : second;
        third = i == 3 ? w.size : third;
        pack(&w, one.data, one.size);
    }
    w.data[(second + third) / 2] ^= 0x55;
    struct catch c = {0};
    struct ml_error err = {0};
    assert_ok(read_with(&c, w.data, w.size, NULL, &err), err);
    assert_non_null(strstr(c.text.data, "http://a/1 (text/html): text\n"));
    assert_non_null(strstr(c.text.data, "-: damaged at byte"));
    assert_non_null(strstr(c.text.data, "http://a/3 (text/html): text\n"));
    assert_ok(read_with(&c, w.data, third + 20, NULL, &err), err); /* cut off in the third */
    assert_non_null(strstr(c.text.data, "http://a/1 (text/html): text\n"));
    ml_buffer_clear(&c.text);
    ml_buffer_clear(&one);
    ml_buffer_clear(&w);
}

static void damaged_plain(void **state)
{
    struct ml_buffer w = {0};
    struct ml_error err = {0};
    page(&w, "http://a/1", "one");
    assert_ok(ml_buffer_printf(&w, &err, "WARC/1.0\r\nWARC-Type: resource\r\n\r\nno length\r\n"),
              err);
    page(&w, "http://a/2", "two");
    assert_ok(ml_buffer_printf(&w, &err,
                               "WARC/1.1\r\nWARC-Type: resource\r\nContent-Length: 99\r\n"
                               "WARC-Target-URI: http://a/3\r\n\r\nshort"),
              err);
    gives(&w, "http://a/1 (text/html): one\n"
              "record 1 -: a record has no Content-Length\n"
              "http://a/2 (text/html): two\n"
              "http://a/3 -: the file ends within it\n");
    ml_buffer_clear(&w);
}

static void cut_by_the_crawler(void **state)
{
    struct ml_buffer w = {0}, body = {0}, whole = {0};
    struct ml_error err = {0};
    char text[4000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + (i * i / 7) % 26);
    pack(&body, text, sizeof text);
    assert_ok(ml_buffer_printf(&whole, &err, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"),
              err);
    assert_ok(ml_buffer_put(&whole, body.data, body.size / 2, &err), err);
    record(&w, RESPONSE "WARC-Truncated: length\r\nWARC-Target-URI: http://a/\r\n", whole.data,
           whole.size);
    struct catch c = {0};
    assert_ok(read_with(&c, w.data, w.size, NULL, &err), err);
    assert_int_equal(strncmp(c.text.data, "http://a/ (-): abcefi", 15), 0);
    assert_true(c.text.size > 40 && c.text.size < sizeof text);
    ml_buffer_clear(&c.text);
    ml_buffer_clear(&w);
    ml_buffer_clear(&body);
    ml_buffer_clear(&whole);
}

static void not_one(void **state)
{
    struct catch c = {0};
    struct ml_error err = {0};
    struct ml_buffer w = {0};
    pack(&w, "tar or what", 11);
    assert_fails(read_with(&c, "", 0, NULL, &err), ML_ERR_FORMAT, "no record", err);
    assert_fails(read_with(&c, "plain text\n\n", 12, NULL, &err), ML_ERR_FORMAT, "WARC/1.0", err);
    assert_fails(read_with(&c, "WARC/0.9\r\n\r\n", 12, NULL, &err), ML_ERR_FORMAT, "WARC/1.0", err);
    assert_fails(read_with(&c, "WARC/1.0\r\nWARC-Type: x", 22, NULL, &err), ML_ERR_FORMAT,
                 "does not end", err);
    assert_fails(read_with(&c, "\x1f\x8b\x08xyz", 6, NULL, &err), ML_ERR_FORMAT, "", err);
    assert_fails(read_with(&c, w.data, w.size, NULL, &err), ML_ERR_FORMAT, "header", err);
    ml_buffer_clear(&w);
    ml_buffer_clear(&c.text);
}

static void limits(void **state)
{
    struct ml_buffer w = {0}, body = {0}, zeros = {0};
    struct ml_error err = {0};
    struct catch c = {.stop_at = 2};
    page(&w, "http://a/1", "one");
    page(&w, "http://a/2", "two");
    assert_int_equal(read_with(&c, w.data, w.size, NULL, &err), 7); /* the sink's own answer */
    c.stop_at = 0;
    assert_fails(read_with(&c, w.data, w.size, &(struct ml_reader_limits){.max_members = 1}, &err),
                 ML_ERR_LIMIT, "more than 1 pages", err);
    assert_ok(ml_buffer_reserve(&zeros, 1 << 20, &err), err);
    memset(zeros.data, 'x', 1 << 20);
    pack(&body, zeros.data, 1 << 20);
    w.size = 0;
    answer(&w, "http://a/", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", body.data,
           body.size);
    const struct ml_reader_limits small = {.max_out_bytes = 100000};
    assert_fails(read_with(&c, w.data, w.size, &small, &err), ML_ERR_LIMIT, "more than", err);
    w.size = 0; /* what is only passed over counts, too */
    zeros.size = 1 << 20;
    struct ml_buffer plain = {0};
    page(&plain, "http://a/1", "one");
    record(&plain, "WARC-Type: request\r\n", zeros.data, zeros.size);
    pack(&w, plain.data, plain.size);
    assert_fails(read_with(&c, w.data, w.size, &small, &err), ML_ERR_LIMIT, "more than", err);
    w.size = 0; /* a length is only a claim */
    assert_ok(ml_buffer_printf(&w, &err,
                               "WARC/1.0\r\nWARC-Type: resource\r\n"
                               "Content-Length: 999999999999\r\n\r\nx"),
              err);
    assert_ok(read_with(&c, w.data, w.size, &small, &err), err);
    assert_string_equal(c.text.data, "record 1 -: it is too large\n");
    ml_buffer_clear(&w);
    ml_buffer_clear(&plain);
    ml_buffer_clear(&body);
    ml_buffer_clear(&zeros);
    ml_buffer_clear(&c.text);
}

static void every_allocation(void **state)
{
    struct ml_buffer one = {0}, w = {0}, body = {0};
    struct ml_mem_stats before, stats;
    pack(&body, "text", 4);
    answer(&one, "<http://a/ b>",
           "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
           "X-Robots-Tag: all\r\n\r\n",
           body.data, body.size);
    pack(&w, one.data, one.size);
    ml_buffer_clear(&one);
    ml_buffer_clear(&body);
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct catch c = {0};
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        int status = read_with(&c, w.data, w.size, NULL, &err);
        ml_mem_get_stats(&stats);
        done = stats.allocations < n;
        ml_mem_fail_at(0);
        assert_int_equal(status, done ? 0 : ML_ERR_MEMORY);
        assert_int_equal(err.code, status);
        ml_buffer_clear(&c.text);
        ml_mem_get_stats(&stats);
        assert_int_equal(stats.live_blocks, before.live_blocks);
    }
    ml_buffer_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(consent),
        cmocka_unit_test(chunks),
        cmocka_unit_test(codings),
        cmocka_unit_test(packed),
        cmocka_unit_test(damaged_member),
        cmocka_unit_test(damaged_plain),
        cmocka_unit_test(cut_by_the_crawler),
        cmocka_unit_test(not_one),
        cmocka_unit_test(limits),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("warc", tests, NULL, NULL);
}
