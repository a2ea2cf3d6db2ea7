#include "data/warc.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/inflate.h"
#include "data/web_consent.h"
#include "data/web_url.h"

#define DEFAULT_OUT     ((uint64_t)4 << 30) /* bytes, unpacked */
#define DEFAULT_MEMBERS 1000000
#define MAX_HEADER      ((size_t)64 << 10)  /* of a record, and of the HTTP answer in it */
#define MAX_RECORD      ((uint64_t)1 << 30) /* held in memory; a larger one is left out */
#define MAX_DAMAGE      1000 /* places to go on behind; more than that is another kind of file */
#define MAX_CODINGS     4    /* of one body */

/* The bytes in order, unpacked where they are packed. */
struct source {
    const char *bytes;
    size_t n;
    size_t at;                    /* plain: the first byte that was not taken */
    struct ml_inflater *inflater; /* packed */
    size_t base;                  /* where in bytes the inflater began */
    struct ml_buffer window;      /* packed: unpacked bytes, taken up to `from` */
    size_t from;
    bool packed, ended;
    struct ml_error damage; /* packed: why it ended; told when what came before is used up */
    uint64_t unpacked, max; /* bytes that came out so far, and may */
};

struct record {
    char type[16];
    const char *uri;          /* "" when it has none */
    const char *content_type; /* as written */
    const char *payload_type; /* what a crawler found it to be */
    uint64_t length;
    bool has_length, cut, segmented;
};

/* The headers of an answer that matter here. */
struct http_head {
    int status;
    const char *type, *transfer, *coding; /* "" when absent */
    struct ml_buffer robots_tag, content_usage;
};

struct reader {
    struct source source;
    const struct ml_reader_input *input;
    const struct ml_reader_sink *sink;
    struct ml_arena arena; /* of one record */
    uint64_t records, members, max_members;
    bool stopped; /* the caller's sink said so */
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a WARC file");
}

/* ---- the bytes ---- */

static int count_out(struct source *s, uint64_t n, struct ml_error *err)
{
    s->unpacked += n;
    if (s->unpacked <= s->max)
        return 0;
    return ml_fail(err, ML_ERR_LIMIT, "more than %llu bytes come out of it",
                   (unsigned long long)s->max);
}

static int start_packed(struct source *s, size_t base, struct ml_error *err)
{
    ml_inflater_close(s->inflater);
    s->inflater = NULL;
    s->base = base;
    s->window.size = s->from = 0;
    s->ended = false;
    s->damage = (struct ml_error){0};
    return ml_inflater_open(&s->inflater, ML_INFLATE_GZIP, s->bytes + base, s->n - base, err);
}

static const char *at_hand(const struct source *s, size_t *n)
{
    *n = s->packed ? s->window.size - s->from : s->n - s->at;
    if (s->packed)
        return s->window.data ? s->window.data + s->from : "";
    return s->bytes + s->at;
}

static void take(struct source *s, size_t n)
{
    if (s->packed)
        s->from += n;
    else
        s->at += n;
}

/* Unpacks some more behind what is in the window. */
static int unpack(struct source *s, size_t room, struct ml_error *err)
{
    size_t left = s->window.size - s->from, got = 0;
    if (s->from > 0) {
        memmove(s->window.data, s->window.data + s->from, left);
        s->window.size = left;
        s->from = 0;
    }
    int status = ml_buffer_reserve(&s->window, left + room, err);
    if (status)
        return status;
    status = ml_inflater_read(s->inflater, s->window.data + left, room, &got, &s->damage);
    if (status && status != ML_ERR_FORMAT)
        return ml_fail(err, status, "%s", s->damage.message);
    s->window.size += got;
    s->ended = got == 0;
    return count_out(s, got, err);
}

/* Tries to have `want` bytes at hand; fewer are when the file ends before. */
static int need(struct source *s, size_t want, struct ml_error *err)
{
    int status = 0;
    while (status == 0 && s->packed && !s->ended && s->window.size - s->from < want) {
        size_t room = want - (s->window.size - s->from);
        room = room < ((size_t)1 << 24) ? room : (size_t)1 << 24; /* a length is only a claim */
        status = unpack(s, room > 65536 ? room : 65536, err);
    }
    return status;
}

/* When nothing more comes: 0 at the end of the file, or the damage that it ended with. */
static int source_end(const struct source *s, struct ml_error *err)
{
    return s->damage.code ? ml_fail(err, s->damage.code, "%s", s->damage.message) : 0;
}

/* Passes over n bytes without holding them; *whole: they were all there. */
static int drop(struct source *s, uint64_t n, bool *whole, struct ml_error *err)
{
    int status = 0;
    size_t have;
    while (n > 0) {
        status = need(s, n < 65536 ? (size_t)n : 65536, err);
        at_hand(s, &have);
        if (status || have == 0)
            break;
        size_t step = have < n ? have : (size_t)n;
        take(s, step);
        n -= step;
    }
    *whole = n == 0;
    return status;
}

/* After damage: to the next place that looks like the beginning of a record. False: there is none.
 */
static int next_place(struct source *s, bool *found, struct ml_error *err)
{
    static const char record[] = "WARC/1.", member[] = "\x1f\x8b\x08";
    size_t n;
    const char *text = at_hand(s, &n);
    const char *place = n > 0 ? memmem(text + 1, n - 1, record, sizeof record - 1) : NULL;
    *found = place != NULL;
    if (place)
        take(s, (size_t)(place - text));
    if (place || !s->packed)
        return 0;
    size_t from = s->base + ml_inflater_member(s->inflater) + 1;
    if (from < s->n)
        place = memmem(s->bytes + from, s->n - from, member, sizeof member - 1);
    *found = place != NULL;
    return place ? start_packed(s, (size_t)(place - s->bytes), err) : 0;
}

/* ---- headers ---- */

/* How many bytes a header takes with the empty line at its end; 0: that line is not there. */
static size_t header_size(const char *text, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] != '\n')
            continue;
        if (text[i + 1] == '\n')
            return i + 2;
        if (text[i + 1] == '\r' && i + 2 < n && text[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

/* One line of a header, cut at its colon; blanks are taken off. False at the empty line. */
struct field {
    const char *name, *value;
    size_t name_size, size;
};

static bool next_field(const char **text, const char *end, struct field *out)
{
    const char *line = *text;
    const char *stop = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
    if (!stop)
        return false;
    *text = stop + 1;
    while (stop > line && isspace((unsigned char)stop[-1]))
        stop--;
    const char *colon = memchr(line, ':', (size_t)(stop - line));
    *out = (struct field){.name = line, .value = stop};
    if (!colon)
        return stop > line;
    out->name_size = (size_t)(colon - line);
    for (colon++; colon < stop && isspace((unsigned char)*colon);)
        colon++;
    out->value = colon;
    out->size = (size_t)(stop - colon);
    return true;
}

static bool is_field(const struct field *field, const char *name)
{
    return ml_consent_word_is(field->name, field->name_size, name);
}

static int keep(struct reader *r, const char **out, const char *text, size_t n,
                struct ml_error *err)
{
    *out = ml_arena_strndup(&r->arena, text, n);
    return *out ? 0 : fail_memory(err);
}

/* WARC-Target-URI, which 1.0 wrote in angle brackets; spelt so that it is one line of UTF-8. */
static int keep_uri(struct reader *r, const char **out, const char *text, size_t n,
                    struct ml_error *err)
{
    struct ml_buffer spelt = {0};
    bool plain = ml_utf8_valid(text, n);
    if (n >= 2 && text[0] == '<' && text[n - 1] == '>') {
        text++;
        n -= 2;
    }
    for (size_t i = 0; plain && i < n; i++)
        plain = (unsigned char)text[i] > 0x20 && text[i] != 0x7f;
    if (plain)
        return keep(r, out, text, n, err);
    int status = ml_web_url_put(&spelt, text, n, "", err);
    if (status == 0)
        status = keep(r, out, spelt.size ? spelt.data : "", spelt.size, err);
    ml_buffer_clear(&spelt);
    return status;
}

static bool take_length(const struct field *field, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < field->size; i++) {
        if (!isdigit((unsigned char)field->value[i]) || value > UINT64_MAX / 100)
            return false;
        value = value * 10 + (uint64_t)(field->value[i] - '0');
    }
    *out = value;
    return field->size > 0;
}

static int take_record_field(struct reader *r, const struct field *f, struct record *out,
                             struct ml_error *err)
{
    if (is_field(f, "WARC-Type"))
        snprintf(out->type, sizeof out->type, "%.*s", (int)(f->size < 15 ? f->size : 15), f->value);
    else if (is_field(f, "Content-Length"))
        out->has_length = take_length(f, &out->length);
    else if (is_field(f, "WARC-Target-URI"))
        return keep_uri(r, &out->uri, f->value, f->size, err);
    else if (is_field(f, "Content-Type"))
        return keep(r, &out->content_type, f->value, f->size, err);
    else if (is_field(f, "WARC-Identified-Payload-Type"))
        return keep(r, &out->payload_type, f->value, f->size, err);
    else if (is_field(f, "WARC-Truncated"))
        out->cut = true;
    else if (is_field(f, "WARC-Segment-Number"))
        out->segmented = true;
    return 0;
}

/* The header of a record, of which `size` bytes are at hand. */
static int parse_record(struct reader *r, const char *text, size_t size, struct record *out,
                        struct ml_error *err)
{
    struct field field;
    const char *end = text + size;
    *out = (struct record){.uri = "", .content_type = "", .payload_type = ""};
    if (strncmp(text, "WARC/1.0", 8) != 0 && strncmp(text, "WARC/1.1", 8) != 0)
        return ml_fail(err, ML_ERR_FORMAT, "a record does not begin with WARC/1.0 or WARC/1.1");
    int status = next_field(&text, end, &field) ? 0 : ML_ERR_FORMAT;
    while (status == 0 && next_field(&text, end, &field))
        status = take_record_field(r, &field, out, err);
    if (status == 0 && (!out->has_length || !out->type[0]))
        status = ml_fail(err, ML_ERR_FORMAT, "a record has no %s",
                         out->type[0] ? "Content-Length" : "WARC-Type");
    return status;
}

/* Reads the next record's header. 1: it is there; 0: the file ends. */
static int read_header(struct reader *r, struct record *out, struct ml_error *err)
{
    struct source *s = &r->source;
    size_t want = 4096, size = 0, n;
    int status = need(s, want, err);
    const char *text = at_hand(s, &n);
    while (status == 0 && n > 0 && isspace((unsigned char)*text)) { /* between records */
        take(s, 1);
        status = n > 1 ? 0 : need(s, want, err);
        text = at_hand(s, &n);
    }
    while (status == 0 && n > 0 && (size = header_size(text, n < want ? n : want)) == 0) {
        if (want >= MAX_HEADER || n < want)
            return ml_fail(err, ML_ERR_FORMAT, "the header of a record does not end");
        want *= 4;
        status = need(s, want, err);
        text = at_hand(s, &n);
    }
    if (status || n == 0)
        return status ? status : source_end(s, err);
    status = parse_record(r, text, size, out, err);
    if (status)
        return status;
    take(s, size);
    return 1;
}

/* ---- what is in a record ---- */

static void leave_out(struct reader *r, const struct record *record, const char *why)
{
    char number[40];
    snprintf(number, sizeof number, "record %llu", (unsigned long long)r->records);
    if (r->sink->left_out)
        r->sink->left_out(r->sink->arg, record && record->uri[0] ? record->uri : number, why);
}

/* A media type without its parameters, in lower case; NULL when there is none. */
static int plain_type(struct reader *r, const char *text, const char **out, struct ml_error *err)
{
    size_t n = strcspn(text, "; \t,");
    *out = NULL;
    if (n == 0 || !memchr(text, '/', n))
        return 0;
    char *copy = ml_arena_strndup(&r->arena, text, n);
    if (!copy)
        return fail_memory(err);
    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    *out = copy;
    return 0;
}

/* What `charset=` of a Content-Type says, copied; NULL: nothing. */
static int charset_of(struct reader *r, const char *type, const char **out, struct ml_error *err)
{
    const char *at = strcasestr(type, "charset=");
    *out = NULL;
    if (!at)
        return 0;
    at += strlen("charset=");
    at += *at == '"';
    *out = ml_arena_strndup(&r->arena, at, strcspn(at, "\"'; \t,"));
    return *out ? 0 : fail_memory(err);
}

/* `member` has its bytes, and perhaps a verdict. */
static int give(struct reader *r, const struct record *record, const char *type,
                struct ml_member member, struct ml_error *err)
{
    char number[40];
    member.name = record->uri;
    if (member.size == 0) {
        leave_out(r, record, "empty");
        return 0;
    }
    if (++r->members > r->max_members)
        return ml_fail(err, ML_ERR_LIMIT, "more than %llu pages are in it",
                       (unsigned long long)r->max_members);
    if (!record->uri[0]) {
        snprintf(number, sizeof number, "record %llu", (unsigned long long)r->records);
        member.name = number;
    }
    int status = plain_type(r, type[0] ? type : record->payload_type, &member.type, err);
    if (status == 0)
        status = charset_of(r, type, &member.charset, err);
    if (status)
        return status;
    status = r->sink->member(r->sink->arg, &member, err);
    r->stopped = status != 0;
    return status;
}

/* ---- HTTP in a record ---- */

static int join_line(struct ml_buffer *out, const struct field *f, struct ml_error *err)
{
    int status = out->size ? ml_buffer_put(out, "\n", 1, err) : 0;
    return status ? status : ml_buffer_put(out, f->value, f->size, err);
}

static int take_http_field(struct reader *r, const struct field *f, struct http_head *out,
                           struct ml_error *err)
{
    if (is_field(f, "Content-Type"))
        return keep(r, &out->type, f->value, f->size, err);
    if (is_field(f, "Transfer-Encoding"))
        return keep(r, &out->transfer, f->value, f->size, err);
    if (is_field(f, "Content-Encoding"))
        return keep(r, &out->coding, f->value, f->size, err);
    if (is_field(f, "X-Robots-Tag"))
        return join_line(&out->robots_tag, f, err);
    if (is_field(f, "Content-Usage"))
        return join_line(&out->content_usage, f, err);
    return 0;
}

/* The status stays 0 when the text does not begin like an answer. */
static int parse_http(struct reader *r, const char *text, size_t size, struct http_head *out,
                      struct ml_error *err)
{
    const char *end = text + size, *line = text;
    struct field field;
    *out = (struct http_head){.type = "", .transfer = "", .coding = ""};
    const char *space = memchr(text, ' ', size);
    if (size < 12 || strncasecmp(text, "HTTP/", 5) != 0 || !space)
        return 0;
    for (space++; space < end && isdigit((unsigned char)*space) && out->status < 1000; space++)
        out->status = out->status * 10 + (*space - '0');
    int status = 0;
    next_field(&line, end, &field); /* the status line */
    while (status == 0 && next_field(&line, end, &field))
        status = take_http_field(r, &field, out, err);
    return status;
}

/* Undoes Transfer-Encoding: chunked (RFC 9112, 7.1). Many crawlers store bodies that are joined
 * already and leave the header: *chunked is false when the first line is not the size of a chunk.
 */
static int join_chunks(struct ml_buffer *out, const char *bytes, size_t n, bool *chunked,
                       bool *whole, struct ml_error *err)
{
    int status = 0;
    *chunked = *whole = false;
    for (size_t at = 0; status == 0 && at < n;) {
        size_t size = 0, digits = at;
        for (; at < n && isxdigit((unsigned char)bytes[at]) && at - digits < 15; at++) {
            int c = tolower((unsigned char)bytes[at]);
            size = size * 16 + (size_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        const char *line = memchr(bytes + at, '\n', n - at);
        bool extension = at < n && (bytes[at] == ';' || isspace((unsigned char)bytes[at]));
        if (at == digits || !extension || !line)
            break;
        *chunked = true;
        at = (size_t)(line - bytes) + 1;
        *whole = size == 0;
        size_t have = size < n - at ? size : n - at;
        status = ml_buffer_put(out, bytes + at, have, err);
        at += have;
        if (size == 0 || have < size)
            break;
        at += at < n && bytes[at] == '\r';
        at += at < n && bytes[at] == '\n';
    }
    return status;
}

/* The last of the codings that a header lists, which is to be undone first; cuts it off. */
static size_t last_coding(const char **word, const char *list, size_t n)
{
    size_t from = n;
    while (from > 0 && list[from - 1] != ',')
        from--;
    *word = list + from;
    return from;
}

enum coding { CODING_NONE, CODING_GZIP, CODING_DEFLATE, CODING_OTHER };

static enum coding coding_of(const char *word, size_t n)
{
    while (n > 0 && isspace((unsigned char)*word)) {
        word++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)word[n - 1]))
        n--;
    if (n == 0 || ml_consent_word_is(word, n, "identity") || ml_consent_word_is(word, n, "chunked"))
        return CODING_NONE;
    if (ml_consent_word_is(word, n, "gzip") || ml_consent_word_is(word, n, "x-gzip"))
        return CODING_GZIP;
    return ml_consent_word_is(word, n, "deflate") ? CODING_DEFLATE : CODING_OTHER;
}

/* Undoes one coding into `out` in place of what it holds. *why: it cannot be done. */
static int undo(struct reader *r, const struct record *record, enum coding coding,
                struct ml_buffer *out, const char **why, struct ml_error *err)
{
    struct ml_buffer plain = {0};
    struct ml_error inner = {0};
    struct source *s = &r->source;
    if (coding == CODING_OTHER)
        *why = "packed in a way that is not read (Content-Encoding)";
    /* Crawlers unpack bodies and leave the header, too. */
    bool packed = coding == CODING_GZIP ? ml_is_gzip(out->data, out->size) : out->size > 0;
    if (coding == CODING_NONE || coding == CODING_OTHER || !packed)
        return 0;
    int status = ml_inflate(&plain, coding == CODING_GZIP ? ML_INFLATE_GZIP : ML_INFLATE_DEFLATE,
                            out->data, out->size, s->max - s->unpacked, &inner);
    bool usable = status == 0 || (status == ML_ERR_FORMAT && record->cut && plain.size > 0);
    if (usable) {
        ml_buffer_clear(out);
        *out = plain;
        return count_out(s, plain.size, err);
    }
    ml_buffer_clear(&plain);
    if (status != ML_ERR_FORMAT)
        return ml_fail(err, status, "%s", inner.message);
    *why = "its packed body is damaged";
    return 0;
}

/* The body as the page's author meant it. *why: it cannot be had. */
static int decode_body(struct reader *r, const struct record *record, const struct http_head *head,
                       struct ml_buffer *body, const char *bytes, size_t n, const char **why,
                       struct ml_error *err)
{
    bool chunked = strcasestr(head->transfer, "chunked") != NULL, whole = true;
    int status = chunked ? join_chunks(body, bytes, n, &chunked, &whole, err) : 0;
    if (status == 0 && chunked && !whole && !record->cut)
        *why = "its body ends within a chunk";
    if (status == 0 && !chunked)
        status = ml_buffer_put(body, bytes, n, err);
    const char *const lists[] = {head->transfer, head->coding};
    int undone = 0;
    for (size_t i = 0; i < 2; i++) {
        for (size_t left = strlen(lists[i]); status == 0 && !*why && left > 0;) {
            const char *word;
            size_t from = last_coding(&word, lists[i], left);
            if (++undone > MAX_CODINGS)
                *why = "packed too many times";
            else
                status = undo(r, record, coding_of(word, left - from), body, why, err);
            left = from > 0 ? from - 1 : 0;
        }
    }
    return status;
}

static int take_answer(struct reader *r, const struct record *record, const char *bytes, size_t n,
                       struct ml_error *err)
{
    struct http_head head;
    struct ml_buffer body = {0};
    char verdict[ML_CONSENT_BYTES] = "", number[32];
    const char *why = NULL;
    size_t size = header_size(bytes, n < MAX_HEADER ? n : MAX_HEADER);
    int status = parse_http(r, bytes, size, &head, err);
    if (status == 0)
        ml_consent_headers(verdict, head.robots_tag.size ? head.robots_tag.data : NULL,
                           head.content_usage.size ? head.content_usage.data : NULL,
                           ML_WEB_PRODUCT);
    snprintf(number, sizeof number, "HTTP status %d", head.status);
    if (head.status == 0)
        why = "it holds no HTTP answer";
    else if (head.status / 100 != 2)
        why = number;
    if (status == 0 && !why)
        status = decode_body(r, record, &head, &body, bytes + size, n - size, &why, err);
    if (status == 0 && why)
        leave_out(r, record, why);
    else if (status == 0)
        status = give(r, record, head.type,
                      (struct ml_member){.bytes = body.size ? body.data : "",
                                         .size = body.size,
                                         .consent = verdict[0] ? verdict : NULL},
                      err);
    ml_buffer_clear(&head.robots_tag);
    ml_buffer_clear(&head.content_usage);
    ml_buffer_clear(&body);
    return status;
}

/* ---- records ---- */

static bool is_http(const struct record *record)
{
    return strncasecmp(record->content_type, "application/http", 16) == 0;
}

/* Whether a record holds something that people wrote. */
static bool is_wanted(const struct record *record)
{
    bool response = strcasecmp(record->type, "response") == 0;
    bool dns = strncasecmp(record->uri, "dns:", 4) == 0;
    return (response && !dns) || strcasecmp(record->type, "resource") == 0 ||
           strcasecmp(record->type, "conversion") == 0;
}

static int take_content(struct reader *r, const struct record *record, bool *whole,
                        struct ml_error *err)
{
    struct source *s = &r->source;
    size_t n;
    int status = need(s, (size_t)record->length, err);
    const char *bytes = at_hand(s, &n);
    if (status)
        return status;
    *whole = n >= record->length;
    if (!*whole) {
        take(s, n);
        if (!s->damage.code) /* which is told by itself */
            leave_out(r, record, "the file ends within it");
        return 0;
    }
    n = (size_t)record->length;
    status = s->packed ? 0 : count_out(s, n, err);
    bool response = strcasecmp(record->type, "response") == 0;
    if (status == 0)
        status = response && is_http(record)
                     ? take_answer(r, record, bytes, n, err)
                     : give(r, record, record->content_type,
                            (struct ml_member){.bytes = bytes, .size = n}, err);
    take(s, n);
    return status;
}

/* 1: a record was read; 0: the end. */
static int read_record(struct reader *r, struct ml_error *err)
{
    struct record record;
    bool whole = true;
    ml_arena_reset(&r->arena);
    int status = read_header(r, &record, err);
    if (status <= 0)
        return status;
    r->records++;
    bool wanted = is_wanted(&record);
    const char *why = record.segmented             ? "it is one part of several"
                      : record.length > MAX_RECORD ? "it is too large"
                                                   : NULL;
    if (wanted && !why) {
        status = take_content(r, &record, &whole, err);
    } else {
        if (wanted)
            leave_out(r, &record, why);
        status = drop(&r->source, record.length, &whole, err);
    }
    if (status)
        return status;
    return whole ? 1 : source_end(&r->source, err);
}

static int read_records(struct reader *r, struct ml_error *err)
{
    int damaged = 0, status = 1;
    while (status > 0) {
        struct ml_error inner = {0};
        bool found = false;
        status = read_record(r, &inner);
        if (status >= 0 && !r->stopped)
            continue;
        bool damage = status == ML_ERR_FORMAT && !r->stopped;
        if (damage && inner.code == 0)
            ml_fail(&inner, status, "the header of a record is damaged");
        if (!damage || r->records == 0 || ++damaged > MAX_DAMAGE) {
            if (inner.code)
                ml_fail(err, inner.code, "%s", inner.message);
            return status;
        }
        leave_out(r, NULL, inner.message);
        status = next_place(&r->source, &found, err);
        if (status == 0)
            status = found;
    }
    return status;
}

static int read_warc(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                     const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct reader r = {
        .source = {.bytes = input->size ? input->bytes : "",
                   .n = input->size,
                   .packed = ml_is_gzip(input->bytes, input->size),
                   .max = limits->max_out_bytes ? limits->max_out_bytes : DEFAULT_OUT},
        .input = input,
        .sink = sink,
        .max_members = limits->max_members ? limits->max_members : DEFAULT_MEMBERS,
    };
    struct ml_error inner = {0};
    ml_arena_init(&r.arena, 4096);
    int status = r.source.packed ? start_packed(&r.source, 0, &inner) : 0;
    if (status == 0)
        status = read_records(&r, &inner);
    if (status == 0 && r.records == 0)
        status = ml_fail(&inner, ML_ERR_FORMAT, "there is no record in it");
    ml_inflater_close(r.source.inflater);
    ml_buffer_clear(&r.source.window);
    ml_arena_clear(&r.arena);
    if (status && inner.code)
        ml_fail(err, status, "%s", inner.message);
    return status;
}

static const char *const endings[] = {"warc", "warc.gz", "wet", "wet.gz", NULL};
static const char *const types[] = {"application/warc", "application/x-warc", NULL};

const struct ml_reader ml_reader_warc = {
    .name = "warc 1", .endings = endings, .types = types, .read = read_warc};
