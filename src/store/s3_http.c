#include "store/s3_http.h"

#include <curl/curl.h>
#include <math.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "store/s3_xml.h"

#define TRIES       5
#define PAUSE       0.2   /* seconds */
#define CONNECT     10L   /* seconds to get through */
#define SLOWEST     1024L /* bytes a second ... */
#define PATIENCE    30L   /* ... for so many seconds: the line is taken for broken */
#define ERROR_BYTES 4096  /* of an answer that says what is wrong */

struct ml_s3 {
    CURL *curl;
    struct ml_arena memory;
    struct ml_s3_address address;
    struct ml_s3_keys keys;
    char *host; /* as it stands in the header Host */
    char *base; /* URL up to where the escaped key begins */
    char *path; /* the part of it that is signed: "/" or "/bucket/" */
    double pause;
};

/* One try. */
struct attempt {
    struct ml_s3 *s3;
    const struct ml_s3_call *call;
    struct ml_arena memory;
    struct curl_slist *headers;
    char *url;
    size_t sent;
    bool begun;
    char said[ERROR_BYTES]; /* of an answer that is no good one */
    size_t said_bytes;
    int status; /* what begin or take returned */
    struct ml_error *err;
};

/* ---- open and close ---- */

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for a request to S3");
}

static int set_places(struct ml_s3 *s3, struct ml_error *err)
{
    const struct ml_s3_address *a = &s3->address;
    const char *server = strstr(a->endpoint, "://") + 3;
    int scheme = (int)(server - a->endpoint);
    s3->host = a->path_style ? ml_arena_strdup(&s3->memory, server)
                             : ml_arena_printf(&s3->memory, "%s.%s", a->bucket, server);
    s3->path = a->path_style ? ml_arena_printf(&s3->memory, "/%s/", a->bucket)
                             : ml_arena_strdup(&s3->memory, "/");
    s3->base = s3->host && s3->path
                   ? ml_arena_printf(&s3->memory, "%.*s%s", scheme, a->endpoint, s3->host)
                   : NULL;
    return s3->base ? 0 : fail_memory(err);
}

int ml_s3_open(struct ml_s3 **out, const char *url, struct ml_error *err)
{
    struct ml_s3 *s3 = ml_mem_calloc(1, sizeof *s3);
    if (!s3)
        return fail_memory(err);
    ml_arena_init(&s3->memory, 2048);
    s3->pause = PAUSE;
    int status = ml_s3_address_parse(&s3->address, &s3->memory, url, err);
    if (status == 0)
        status = ml_s3_keys_find(&s3->keys, &s3->memory, &s3->address, err);
    if (status == 0)
        status = set_places(s3, err);
    if (status == 0) {
        /* Counted by libcurl, and safe from any thread since 7.84. */
        s3->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == 0 ? curl_easy_init() : NULL;
        status = s3->curl ? 0 : fail_memory(err);
    }
    if (status) {
        ml_s3_close(s3);
        return status;
    }
    *out = s3;
    return 0;
}

void ml_s3_close(struct ml_s3 *s3)
{
    if (!s3)
        return;
    if (s3->curl) {
        curl_easy_cleanup(s3->curl);
        curl_global_cleanup();
    }
    if (s3->keys.secret)
        sodium_memzero((char *)(uintptr_t)s3->keys.secret, strlen(s3->keys.secret));
    ml_arena_clear(&s3->memory);
    ml_mem_free(s3);
}

const struct ml_s3_address *ml_s3_address(const struct ml_s3 *s3)
{
    return &s3->address;
}

void ml_s3_set_pause(struct ml_s3 *s3, double seconds)
{
    s3->pause = seconds;
}

/* ---- what libcurl asks for ---- */

static bool is_good(struct attempt *t)
{
    long code = 0;
    curl_easy_getinfo(t->s3->curl, CURLINFO_RESPONSE_CODE, &code);
    return code >= 200 && code < 300;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct attempt *t = arg;
    if (!is_good(t)) {
        size_t room = sizeof t->said - 1 - t->said_bytes, take = n < room ? n : room;
        memcpy(t->said + t->said_bytes, bytes, take);
        t->said_bytes += take;
        return n;
    }
    if (!t->begun && t->call->begin) {
        curl_off_t length = -1;
        curl_easy_getinfo(t->s3->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        t->status = t->call->begin(t->call->arg, length, t->err);
    }
    t->begun = true;
    if (t->status == 0 && t->call->take)
        t->status = t->call->take(t->call->arg, bytes, n, t->err);
    return t->status == 0 ? n : 0;
}

static size_t on_send(char *bytes, size_t one, size_t n, void *arg)
{
    struct attempt *t = arg;
    size_t left = t->call->body_bytes - t->sent, room = one * n, take = left < room ? left : room;
    if (take)
        memcpy(bytes, (const char *)t->call->body + t->sent, take);
    t->sent += take;
    return take;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct attempt *t = arg;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->call->body_bytes)
        return CURL_SEEKFUNC_FAIL;
    t->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- one try ---- */

static bool add_header(struct attempt *t, const char *name, const char *value)
{
    char *line = value ? ml_arena_printf(&t->memory, "%s: %s", name, value) : NULL;
    struct curl_slist *longer = line ? curl_slist_append(t->headers, line) : NULL;
    if (longer)
        t->headers = longer;
    return longer != NULL;
}

static int write_headers(struct attempt *t, const char *path)
{
    char date[ML_S3_DATE], empty[ML_HASH_HEX];
    const struct ml_s3 *s3 = t->s3;
    ml_hash_text("", 0, empty);
    ml_s3_date(date, time(NULL));
    const char *hash = t->call->body_hash ? t->call->body_hash : empty;
    const struct ml_s3_header signed_ones[] = {{"host", s3->host},
                                               {"x-amz-content-sha256", hash},
                                               {"x-amz-date", date},
                                               {"x-amz-security-token", s3->keys.token}};
    const struct ml_s3_request request = {.method = t->call->method,
                                          .region = s3->address.region,
                                          .path = path,
                                          .query = t->call->query ? t->call->query : "",
                                          .headers = signed_ones,
                                          .header_count = s3->keys.token ? 4 : 3,
                                          .payload_hash = hash,
                                          .date = date};
    char *authorization = ml_s3_sign(&t->memory, &request, &s3->keys);
    bool fine = add_header(t, "Authorization", authorization);
    for (size_t i = 0; fine && i < request.header_count; i++)
        fine = add_header(t, signed_ones[i].name, signed_ones[i].value);
    return fine && add_header(t, "Content-Type", "application/octet-stream") ? 0 : ML_ERR_MEMORY;
}

static int write_request(struct attempt *t)
{
    struct ml_buffer path = {0};
    int status = ml_buffer_printf(&path, NULL, "%s", t->s3->path);
    if (status == 0 && t->call->key)
        status = ml_s3_escape(&path, t->s3->address.prefix, false, NULL);
    if (status == 0 && t->call->key)
        status = ml_s3_escape(&path, t->call->key, false, NULL);
    if (status == 0)
        status = write_headers(t, path.data);
    if (status == 0) {
        t->url = ml_arena_printf(&t->memory, "%s%s%s%s", t->s3->base, path.data,
                                 t->call->query ? "?" : "", t->call->query ? t->call->query : "");
        status = t->url ? 0 : ML_ERR_MEMORY;
    }
    ml_buffer_clear(&path);
    return status;
}

static void set_options(struct attempt *t)
{
    CURL *curl = t->s3->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, t->url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "maliang/" MALIANG_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SLOWEST);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, PATIENCE);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    if (strcmp(t->call->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(t->call->method, "PUT") == 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(curl, CURLOPT_READDATA, t);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, t);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->call->body_bytes);
    } else {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, t->call->method);
    }
}

/* ---- what came of it ---- */

static bool is_passing(CURLcode code, long answer)
{
    switch (code) {
    case CURLE_OK:
        return answer >= 500 || answer == 429 || answer == 408;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static int explain(const struct attempt *t, CURLcode code, long answer, struct ml_error *err)
{
    const struct ml_s3_address *a = &t->s3->address;
    const char *end = t->said + t->said_bytes;
    char word[64] = "", region[64] = "";
    if (code != CURLE_OK)
        return ml_fail(err, code == CURLE_OUT_OF_MEMORY ? ML_ERR_MEMORY : ML_ERR_IO,
                       "s3://%s: %s cannot be reached: %s", a->bucket, t->s3->host,
                       curl_easy_strerror(code));
    ml_s3_element(t->said, end, "Code", word, sizeof word);
    if (answer == 404 && strcmp(word, "NoSuchBucket") == 0)
        return ml_fail(err, ML_ERR_IO, "s3://%s: there is no such bucket on %s", a->bucket,
                       a->endpoint);
    if (answer == 404)
        return ml_fail(err, ML_ERR_NOT_FOUND, "s3://%s: there is no %s%s", a->bucket, a->prefix,
                       t->call->key ? t->call->key : "");
    if (strcmp(word, "RequestTimeTooSkewed") == 0)
        return ml_fail(err, ML_ERR_IO, "s3://%s: the clock of this machine is wrong; set it",
                       a->bucket);
    ml_s3_element(t->said, end, "Region", region, sizeof region);
    if (answer == 301 || answer == 307 || *region)
        return ml_fail(err, ML_ERR_IO,
                       "s3://%s: the bucket lies in another region%s%s; say region=... in the "
                       "address",
                       a->bucket, *region ? ", " : "", region);
    if (answer == 401 || answer == 403)
        return ml_fail(err, ML_ERR_IO,
                       "s3://%s: the server refuses it (%s); check the keys and "
                       "what they may do",
                       a->bucket, *word ? word : "forbidden");
    return ml_fail(err, ML_ERR_IO, "s3://%s: the server answers %ld%s%s", a->bucket, answer,
                   *word ? " " : "", word);
}

static void wait_before(const struct ml_s3 *s3, int attempt)
{
    double seconds = s3->pause * ldexp(1, attempt);
    struct timespec pause = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&pause, NULL); /* a signal ends the pause early, which does no harm */
}

/* 1: try again. */
static int try_once(struct attempt *t, bool last, int64_t *length, struct ml_error *err)
{
    long answer = 0;
    curl_off_t announced = -1;
    if (write_request(t) != 0)
        return fail_memory(err);
    set_options(t);
    CURLcode code = curl_easy_perform(t->s3->curl);
    curl_easy_getinfo(t->s3->curl, CURLINFO_RESPONSE_CODE, &answer);
    curl_easy_getinfo(t->s3->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (t->status)
        return t->status;
    if (code == CURLE_OK && answer >= 200 && answer < 300) {
        if (!t->begun && t->call->begin) /* an empty object has no pieces */
            t->status = t->call->begin(t->call->arg, 0, err);
        if (length)
            *length = announced;
        return t->status;
    }
    if (!last && is_passing(code, answer))
        return 1;
    return explain(t, code, answer, err);
}

int ml_s3_call(struct ml_s3 *s3, const struct ml_s3_call *call, int64_t *length,
               struct ml_error *err)
{
    int status = 1;
    for (int i = 0; status == 1; i++) {
        struct attempt *t = ml_mem_calloc(1, sizeof *t);
        if (!t)
            return fail_memory(err);
        *t = (struct attempt){.s3 = s3, .call = call, .err = err};
        ml_arena_init(&t->memory, 2048);
        if (i > 0)
            wait_before(s3, i - 1);
        status = try_once(t, i + 1 == TRIES, length, err);
        curl_slist_free_all(t->headers);
        ml_arena_clear(&t->memory);
        ml_mem_free(t);
    }
    return status;
}
