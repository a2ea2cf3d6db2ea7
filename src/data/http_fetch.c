#include "data/http_fetch.h"

#include <time.h>

#include "base/fail.h"
#include "base/progress.h"
#include "maliang_config.h"

/* ---- time ---- */

double ml_http_now(const struct ml_http_clock *clock)
{
    return clock->now ? clock->now(clock->arg) : ml_time();
}

int64_t ml_http_unix_time(const struct ml_http_clock *clock)
{
    return clock->unix_time ? clock->unix_time(clock->arg) : (int64_t)time(NULL);
}

static void sleep_seconds(double seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds};
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    nanosleep(&t, NULL);
}

int ml_http_wait(const struct ml_http_clock *clock, double seconds, const volatile int *cancel,
                 struct ml_error *err)
{
    if (seconds > 0 && clock->wait) {
        clock->wait(clock->arg, seconds);
    } else if (seconds > 0) { /* in small steps, so that stopping does not take long */
        double end = ml_time() + seconds, left;
        while ((left = end - ml_time()) > 0 && !(cancel && *cancel))
            sleep_seconds(left < 0.1 ? left : 0.1);
    }
    return cancel && *cancel ? ml_fail(err, ML_ERR_CANCELLED, "stopped") : 0;
}

void ml_http_response_clear(struct ml_http_response *response)
{
    if (!response)
        return;
    ml_buffer_clear(&response->body);
    ml_arena_clear(&response->arena);
    *response = (struct ml_http_response){0};
}

#ifndef MALIANG_HAVE_CURL

int ml_http_open(struct ml_http **out, const struct ml_http_options *options, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "fetching from the web needs libcurl, which this build lacks; install the "
                   "package libcurl4-openssl-dev and build again");
}

void ml_http_close(struct ml_http *http)
{
}

int ml_http_get(struct ml_http *http, const struct ml_http_request *request,
                struct ml_http_response *out, struct ml_error *err)
{
    return ml_http_open(NULL, NULL, err);
}

#else

#include <ctype.h>
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/utf8.h"
#include "data/private_address.h"

#define MAX_HEADER_BYTES ((size_t)128 << 10) /* of one answer */
#define MAX_HEADER_VALUE 4096                /* of one that is kept */
#define MAX_OTHER_BODY                                                                             \
    ((size_t)64 << 10)       /* of what is no success: read, so that the connection can            \
                              be used again, and dropped */
#define MAX_RETRY_AFTER 60.0 /* seconds; who asks for more is not asked again */

struct ml_http {
    CURL *curl;
    struct ml_http_options options;
    struct ml_arena arena;
    const char **allowed;     /* as ml_web_url.host spells them */
    struct curl_slist *fixed; /* names, by the options' `resolve` */
    char problem[CURL_ERROR_SIZE];
};

/* One request that goes out, while curl performs it. */
struct exchange {
    struct ml_http *http;
    const struct ml_web_url *url;
    bool host_allowed;
    bool keep_beginning;
    uint64_t max_bytes;
    /* What came. */
    int status;
    size_t header_bytes, other_bytes;
    struct ml_buffer type, etag, last_modified, robots_tag, content_usage, retry_after, location;
    struct ml_buffer body;
    /* Why it was broken off. */
    char refused[ML_ADDRESS_TEXT];
    const char *refused_kind;
    bool too_large, too_many_headers, enough, out_of_memory;
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory fetching from the web");
}

/* ---- the client ---- */

static int copy_allowed(struct ml_http *http, struct ml_error *err)
{
    const struct ml_http_options *o = &http->options;
    int status = 0;
    http->allowed = ml_arena_calloc(&http->arena, o->allowed_count + 1, sizeof *http->allowed);
    if (!http->allowed)
        return fail_memory(err);
    for (size_t i = 0; status == 0 && i < o->allowed_count; i++)
        status = ml_web_url_host(&http->allowed[i], &http->arena, o->allowed_hosts[i],
                                 strlen(o->allowed_hosts[i]), err);
    return status;
}

static void set_defaults(struct ml_http_options *o)
{
    o->agent = o->agent ? o->agent : ML_HTTP_AGENT;
    o->connect_seconds = o->connect_seconds > 0 ? o->connect_seconds : 10;
    o->total_seconds = o->total_seconds > 0 ? o->total_seconds : 120;
    o->stall_seconds = o->stall_seconds > 0 ? o->stall_seconds : 30;
    o->max_bytes = o->max_bytes ? o->max_bytes : (uint64_t)64 << 20;
    o->tries = o->tries > 0 ? o->tries : 3;
    o->backoff_seconds = o->backoff_seconds == 0 ? 1 : fmax(o->backoff_seconds, 0);
}

int ml_http_open(struct ml_http **out, const struct ml_http_options *options, struct ml_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counted, and safe in any thread */
        return ml_fail(err, ML_ERR_UNSUPPORTED, "libcurl cannot be used on this system");
    struct ml_http *http = ml_mem_calloc(1, sizeof *http);
    int status = http ? 0 : fail_memory(err);
    if (status == 0) {
        if (options)
            http->options = *options;
        set_defaults(&http->options);
        ml_arena_init(&http->arena, 0);
        status = copy_allowed(http, err);
    }
    if (status == 0 && http->options.resolve) {
        http->fixed = curl_slist_append(NULL, http->options.resolve);
        status = http->fixed ? 0 : fail_memory(err);
    }
    if (status == 0) {
        http->curl = curl_easy_init();
        status = http->curl ? 0 : fail_memory(err);
    }
    if (status == 0)
        *out = http;
    else if (http)
        ml_http_close(http);
    else
        curl_global_cleanup();
    return status;
}

void ml_http_close(struct ml_http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl); /* accepts NULL, as the next does */
    curl_slist_free_all(http->fixed);
    ml_arena_clear(&http->arena);
    ml_mem_free(http);
    curl_global_cleanup();
}

/* ---- what curl calls ---- */

/* Each connection is opened here, with the address that the name means at this moment. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *x = arg;
    bool proxied = x->http->options.proxy != NULL; /* it is the proxy's, which the user chose */
    const char *kind = proxied || x->host_allowed ? NULL : ml_private_address(&address->addr);
    if (kind) {
        x->refused_kind = kind;
        ml_private_address_text(&address->addr, x->refused);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int check_cancel(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
                        curl_off_t up_now)
{
    const struct exchange *x = arg;
    return x->http->options.cancel && *x->http->options.cancel;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    if (x->status / 100 != 2) {
        x->other_bytes += n;
        x->enough = x->other_bytes > MAX_OTHER_BODY;
        return x->enough ? CURL_WRITEFUNC_ERROR : n;
    }
    uint64_t room = x->max_bytes - x->body.size;
    size_t kept = n <= room ? n : x->keep_beginning ? (size_t)room : 0;
    if (ml_buffer_put(&x->body, bytes, kept, NULL) != 0) {
        x->out_of_memory = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (n <= room)
        return n;
    x->enough = x->keep_beginning;
    x->too_large = !x->keep_beginning;
    return CURL_WRITEFUNC_ERROR;
}

/* A header's value joins those of the same name, if it is one line of text. */
static bool keep_header(struct ml_buffer *out, const char *value, size_t n)
{
    if (n > MAX_HEADER_VALUE || out->size + n > 4 * MAX_HEADER_VALUE || !ml_utf8_valid(value, n))
        return true;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return true;
    return (out->size == 0 || ml_buffer_put(out, "\n", 1, NULL) == 0) &&
           ml_buffer_put(out, value, n, NULL) == 0;
}

static void forget_headers(struct exchange *x)
{
    x->type.size = x->etag.size = x->last_modified.size = x->robots_tag.size = 0;
    x->content_usage.size = x->retry_after.size = x->location.size = 0;
}

/* "HTTP/1.1 200 OK": what came before was an interim answer (100, 103). */
static void take_status_line(struct exchange *x, const char *line, size_t n)
{
    const char *space = memchr(line, ' ', n);
    forget_headers(x);
    x->status = 0;
    for (const char *c = space ? space + 1 : line + n; c < line + n && isdigit((unsigned char)*c);
         c++)
        x->status = x->status < 1000 ? x->status * 10 + (*c - '0') : x->status;
}

static size_t take_header(char *line, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    const struct {
        const char *name;
        struct ml_buffer *out;
    } wanted[] = {
        {"content-type", &x->type},           {"etag", &x->etag},
        {"last-modified", &x->last_modified}, {"x-robots-tag", &x->robots_tag},
        {"content-usage", &x->content_usage}, {"retry-after", &x->retry_after},
        {"location", &x->location},
    };
    x->header_bytes += n;
    x->too_many_headers = x->header_bytes > MAX_HEADER_BYTES;
    if (x->too_many_headers)
        return 0;
    size_t end = n;
    while (end > 0 && isspace((unsigned char)line[end - 1]))
        end--;
    const char *colon = memchr(line, ':', end);
    if (end > 5 && strncasecmp(line, "HTTP/", 5) == 0)
        take_status_line(x, line, end);
    for (size_t i = 0; colon && i < sizeof wanted / sizeof wanted[0]; i++) {
        size_t name = (size_t)(colon - line), value = name + 1;
        if (strlen(wanted[i].name) != name || strncasecmp(wanted[i].name, line, name) != 0)
            continue;
        while (value < end && isspace((unsigned char)line[value]))
            value++;
        if (wanted[i].out == &x->location && x->location.size > 0)
            continue; /* one redirect: the first counts */
        if (!keep_header(wanted[i].out, line + value, end - value)) {
            x->out_of_memory = true;
            return 0;
        }
    }
    return n;
}

/* ---- one request ---- */

static int add_header(struct curl_slist **list, const char *name, const char *value,
                      struct ml_error *err)
{
    char line[1024];
    if (!value || !*value)
        return 0;
    for (const char *c = value; *c; c++) /* a line end would begin another header */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c == 0x7f)
            return ml_fail(err, ML_ERR_ARG, "the value for %s holds control characters", name);
    if ((size_t)snprintf(line, sizeof line, "%s: %s", name, value) >= sizeof line)
        return ml_fail(err, ML_ERR_ARG, "the value for %s is too long", name);
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return fail_memory(err);
    *list = longer;
    return 0;
}

static long milliseconds(double seconds)
{
    return seconds < 1e6 ? (long)ceil(seconds * 1000) : 1000000000L;
}

static CURLcode set_options(struct exchange *x, struct curl_slist *headers)
{
    CURL *c = x->http->curl;
    const struct ml_http_options *o = &x->http->options;
    CURLcode codes[32];
    int n = 0;
    curl_easy_reset(c); /* options only: connections stay */
    codes[n++] = curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->http->problem);
    codes[n++] = curl_easy_setopt(c, CURLOPT_URL, x->url->text);
    codes[n++] = curl_easy_setopt(c, CURLOPT_RESOLVE, x->http->fixed);
    codes[n++] = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    codes[n++] = curl_easy_setopt(c, CURLOPT_USERAGENT, o->agent);
    codes[n++] = curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    codes[n++] = curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, ""); /* all that it can decode */
    codes[n++] = curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    codes[n++] = curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L); /* normalised already */
    codes[n++] = curl_easy_setopt(c, CURLOPT_PROXY, o->proxy ? o->proxy : "");
    codes[n++] = curl_easy_setopt(c, CURLOPT_NOPROXY, "");
    codes[n++] = curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    codes[n++] = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    codes[n++] = curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    codes[n++] = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    codes[n++] = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(o->connect_seconds));
    codes[n++] = curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, milliseconds(o->total_seconds));
    codes[n++] = curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    codes[n++] = curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)ceil(o->stall_seconds));
    codes[n++] = curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    codes[n++] = curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, x);
    codes[n++] = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    codes[n++] = curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    codes[n++] = curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    codes[n++] = curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    codes[n++] = curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    codes[n++] = curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, check_cancel);
    codes[n++] = curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    for (int i = 0; i < n; i++)
        if (codes[i] != CURLE_OK)
            return codes[i];
    return CURLE_OK;
}

/* What curl said of a request that gave no answer. *again: another try may do better. */
static int explain(const struct exchange *x, CURLcode code, bool *again, struct ml_error *err)
{
    const char *url = x->url->text;
    const char *why = x->http->problem[0] ? x->http->problem : curl_easy_strerror(code);
    if (x->out_of_memory || code == CURLE_OUT_OF_MEMORY)
        return fail_memory(err);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return ml_fail(err, ML_ERR_CANCELLED, "%.300s: stopped", url);
    if (x->too_large)
        return ml_fail(err, ML_ERR_LIMIT,
                       "%.300s: larger than %.1f MiB; broken off (raise the limit on size to have "
                       "it)",
                       url, (double)x->max_bytes / (1 << 20));
    if (x->too_many_headers)
        return ml_fail(err, ML_ERR_IO, "%.300s: the server sends more than %zu KiB of headers", url,
                       MAX_HEADER_BYTES >> 10);
    if (code == CURLE_COULDNT_CONNECT && x->refused_kind)
        return ml_fail(err, ML_ERR_ARG,
                       "%.200s: the host %.100s has %s (%s), which is not fetched from; allow the "
                       "host by its name if this is meant",
                       url, x->url->host, x->refused_kind, x->refused);
    *again = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
             code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
             code == CURLE_PARTIAL_FILE || code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM;
    return ml_fail(err, ML_ERR_IO, "%.300s: %.150s", url, why);
}

static void clear_exchange(struct exchange *x)
{
    ml_buffer_clear(&x->type);
    ml_buffer_clear(&x->etag);
    ml_buffer_clear(&x->last_modified);
    ml_buffer_clear(&x->robots_tag);
    ml_buffer_clear(&x->content_usage);
    ml_buffer_clear(&x->retry_after);
    ml_buffer_clear(&x->location);
    ml_buffer_clear(&x->body);
}

static bool is_allowed(const struct ml_http *http, const char *host)
{
    for (size_t i = 0; i < http->options.allowed_count; i++)
        if (strcmp(http->allowed[i], host) == 0)
            return true;
    return false;
}

/* What can be said before anything is looked up, and all that can where a proxy does that. */
static int check_host(const struct ml_http *http, const struct ml_web_url *url,
                      struct ml_error *err)
{
    size_t n = strlen(url->host);
    bool local = strcmp(url->host, "localhost") == 0 ||
                 (n > 10 && strcmp(url->host + n - 10, ".localhost") == 0);
    const char *kind = local ? "a loopback address" : ml_private_address_literal(url->host);
    if (!kind || is_allowed(http, url->host))
        return 0;
    return ml_fail(err, ML_ERR_ARG,
                   "%.200s: the host %.100s has %s, which is not fetched from; allow the host by "
                   "its name if this is meant",
                   url->text, url->host, kind);
}

/* One request and its answer; x is filled in, also with what broke it off. */
static int exchange_once(struct exchange *x, const struct ml_http_request *request, bool *again,
                         struct ml_error *err)
{
    struct curl_slist *headers = NULL;
    int status = add_header(&headers, "Accept", request->accept, err);
    *again = false;
    if (status == 0)
        status = add_header(&headers, "If-None-Match", request->etag, err);
    if (status == 0)
        status = add_header(&headers, "If-Modified-Since", request->last_modified, err);
    if (status == 0) {
        x->http->problem[0] = '\0';
        CURLcode code = set_options(x, headers);
        if (code == CURLE_OK)
            code = curl_easy_perform(x->http->curl);
        curl_easy_reset(x->http->curl); /* it must not keep pointing at x */
        bool answered = x->enough && code == CURLE_WRITE_ERROR;
        if (code != CURLE_OK && !answered)
            status = explain(x, code, again, err);
    }
    curl_slist_free_all(headers);
    return status;
}

/* ---- repetitions ---- */

/* Seconds to wait, from a number or a date; negative: not stated. */
static double retry_after(const struct exchange *x)
{
    const char *text = x->retry_after.size ? x->retry_after.data : "";
    char *end;
    if (!*text)
        return -1;
    if (isdigit((unsigned char)*text)) {
        double seconds = strtod(text, &end);
        return seconds < 1e9 ? seconds : 1e9;
    }
    time_t when = curl_getdate(text, NULL);
    if (when == (time_t)-1)
        return -1;
    return fmax(0, (double)((int64_t)when - ml_http_unix_time(&x->http->options.clock)));
}

/* Whether to ask again after this answer or failure, having waited for it. */
static int may_repeat(struct exchange *x, int attempt, bool broken, bool *repeat,
                      struct ml_error *err)
{
    const struct ml_http_options *o = &x->http->options;
    double pause = o->backoff_seconds * (double)(1 << (attempt < 10 ? attempt : 10));
    *repeat = (broken || x->status == 429 || x->status == 503) && attempt + 1 < o->tries;
    if (*repeat && !broken) {
        double asked = retry_after(x);
        *repeat = asked <= MAX_RETRY_AFTER;
        pause = asked >= 0 ? asked : pause;
    }
    pause = fmin(pause, MAX_RETRY_AFTER);
    return *repeat ? ml_http_wait(&o->clock, pause, o->cancel, err) : 0;
}

/* Asks until there is an answer worth having; x is the last exchange. */
static int ask(struct exchange *x, const struct ml_http_request *request, struct ml_error *err)
{
    const struct exchange fresh = *x;
    for (int attempt = 0;; attempt++) {
        struct ml_error inner = {0};
        bool broken = false, repeat = false;
        int status = check_host(x->http, x->url, err);
        if (status == 0 && request->before)
            status = request->before(request->arg, x->url, err);
        if (status)
            return status;
        status = exchange_once(x, request, &broken, &inner);
        if (status == 0 || broken) {
            int waited = may_repeat(x, attempt, broken, &repeat, err);
            if (waited)
                return waited;
        }
        if (!repeat)
            return status ? ml_fail(err, status, "%s", inner.message) : 0;
        clear_exchange(x);
        *x = fresh;
    }
}

/* ---- answers ---- */

static const char *header_text(struct ml_arena *arena, const struct ml_buffer *value)
{
    return ml_arena_strndup(arena, value->size ? value->data : "", value->size);
}

static bool is_token(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$&-^_.+", c));
}

/* "Text/HTML; charset=\"GBK\"" as type and charset. What is not of this form gives "". */
static bool take_type(struct ml_http_response *out, const struct ml_buffer *header)
{
    char *text = ml_arena_strndup(&out->arena, header->size ? header->data : "", header->size);
    if (!text)
        return false;
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    char *found = strstr(text, "charset=");
    size_t n = 0;
    out->type = out->charset = "";
    if (found) {
        found += 8;
        found += *found == '"' || *found == '\'';
        while (is_token(found[n]))
            n++;
        out->charset = ml_arena_strndup(&out->arena, found, n);
    }
    size_t type = 0, slash = 0;
    while (is_token(text[type]) || (text[type] == '/' && type > 0 && !slash)) {
        slash = text[type] == '/' ? type : slash;
        type++;
    }
    bool whole = slash && slash + 1 < type && strchr("; \t\n", text[type]);
    text[whole ? type : 0] = '\0';
    out->type = text;
    return out->charset != NULL;
}

static int take_response(struct ml_http_response *out, struct exchange *x, struct ml_error *err)
{
    double again = retry_after(x);
    out->status = x->status;
    out->cut = x->enough && x->status / 100 == 2;
    out->retry_after = fmax(again, 0);
    out->time = ml_http_unix_time(&x->http->options.clock);
    out->url = ml_arena_strdup(&out->arena, x->url->text);
    out->etag = header_text(&out->arena, &x->etag);
    out->last_modified = header_text(&out->arena, &x->last_modified);
    out->robots_tag = header_text(&out->arena, &x->robots_tag);
    out->content_usage = header_text(&out->arena, &x->content_usage);
    if (!take_type(out, &x->type) || !out->url || !out->etag || !out->last_modified ||
        !out->robots_tag || !out->content_usage)
        return fail_memory(err);
    out->body = x->body;
    x->body = (struct ml_buffer){0};
    return 0;
}

static bool is_redirect(const struct exchange *x)
{
    bool status = x->status == 301 || x->status == 302 || x->status == 303 || x->status == 307 ||
                  x->status == 308;
    return status && x->location.size > 0;
}

/* Follows redirects by hand, so that each address is looked at like the first. */
static int follow(struct ml_http *http, const struct ml_http_request *request,
                  struct ml_arena *scratch, struct ml_http_response *out, struct ml_error *err)
{
    struct ml_web_url url;
    int status = ml_web_url_parse(&url, scratch, request->url, err);
    for (bool done = false; status == 0 && !done;) {
        struct exchange x = {.http = http,
                             .url = &url,
                             .host_allowed = is_allowed(http, url.host),
                             .keep_beginning = request->keep_beginning,
                             .max_bytes =
                                 request->max_bytes ? request->max_bytes : http->options.max_bytes};
        status = ask(&x, request, err);
        done = status || !is_redirect(&x);
        if (status == 0 && done) {
            status = take_response(out, &x, err);
        } else if (status == 0 && out->redirects == ML_HTTP_REDIRECTS) {
            status = ml_fail(err, ML_ERR_IO, "%.300s: more than %d redirects", request->url,
                             ML_HTTP_REDIRECTS);
        } else if (status == 0) {
            struct ml_web_url next;
            status = ml_web_url_resolve(&next, scratch, &url, x.location.data, err);
            if (status)
                ml_fail_context(err, "%.200s redirects", url.text);
            else
                url = next;
            out->redirects++;
        }
        clear_exchange(&x);
    }
    return status;
}

int ml_http_get(struct ml_http *http, const struct ml_http_request *request,
                struct ml_http_response *out, struct ml_error *err)
{
    struct ml_http_response response = {0};
    struct ml_arena scratch;
    ml_arena_init(&scratch, 0);
    ml_arena_init(&response.arena, 4096);
    int status = follow(http, request, &scratch, &response, err);
    ml_arena_clear(&scratch);
    if (status)
        ml_http_response_clear(&response);
    else
        *out = response;
    return status;
}

#endif
