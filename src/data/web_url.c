#include "data/web_url.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/utf8.h"

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading an address");
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- names in other scripts ---- */

/* Punycode (RFC 3492, 6.1 and 6.3) of one label. False when it does not fit or is not UTF-8. */
enum { PUNY_BASE = 36, PUNY_LOW = 1, PUNY_HIGH = 26, PUNY_SKEW = 38, PUNY_DAMP = 700 };

static uint32_t puny_adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / PUNY_DAMP : delta / 2;
    delta += delta / points;
    for (; delta > (PUNY_BASE - PUNY_LOW) * PUNY_HIGH / 2; k += PUNY_BASE)
        delta /= PUNY_BASE - PUNY_LOW;
    return k + (PUNY_BASE - PUNY_LOW + 1) * delta / (delta + PUNY_SKEW);
}

/* One number of the sequence, in digits whose weight depends on the bias. */
static bool puny_number(char *to, size_t room, size_t *size, uint32_t value, uint32_t bias)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (uint32_t k = PUNY_BASE;; k += PUNY_BASE) {
        uint32_t t = k <= bias ? PUNY_LOW : k >= bias + PUNY_HIGH ? PUNY_HIGH : k - bias;
        if (*size + 1 >= room)
            return false;
        if (value < t) {
            to[(*size)++] = digits[value];
            return true;
        }
        to[(*size)++] = digits[t + (value - t) % (PUNY_BASE - t)];
        value = (value - t) / (PUNY_BASE - t);
    }
}

static bool puny_label(char *to, size_t room, const uint32_t *points, size_t n)
{
    size_t size = 4, basic = 0;
    uint32_t next = 0x80, bias = 72, delta = 0;
    if (room < n + 6)
        return false;
    memcpy(to, "xn--", 4);
    for (size_t i = 0; i < n; i++)
        if (points[i] < 0x80)
            to[size++] = (char)points[i];
    basic = size - 4;
    if (basic > 0)
        to[size++] = '-';
    for (size_t done = basic; done < n; delta++, next++) {
        uint32_t least = UINT32_MAX;
        for (size_t i = 0; i < n; i++)
            if (points[i] >= next && points[i] < least)
                least = points[i];
        delta += (least - next) * (uint32_t)(done + 1); /* 63 labels of 21 bits: no overflow */
        next = least;
        for (size_t i = 0; i < n; i++) {
            delta += points[i] < next;
            if (points[i] != next)
                continue;
            if (!puny_number(to, room, &size, delta, bias))
                return false;
            bias = puny_adapt(delta, (uint32_t)done + 1, done == basic);
            delta = 0;
            done++;
        }
    }
    to[size] = '\0';
    return true;
}

/* ---- hosts ---- */

/* IDNA takes the full stops of Chinese and Japanese for dots. */
static bool is_dot(uint32_t c)
{
    return c == '.' || c == 0x3002 || c == 0xFF0E || c == 0xFF61;
}

static bool is_host_character(uint32_t c)
{
    return c >= 0x80 || is_alpha((char)c) || is_digit((char)c) || c == '-' || c == '_';
}

/* One label of at most 63 characters; *n is how many bytes of the text it took. */
static bool take_label(char out[64], const char *text, size_t room, size_t *n)
{
    uint32_t points[63];
    size_t count = 0, at = 0;
    bool ascii = true;
    while (at < room) {
        uint32_t c;
        size_t length = ml_utf8_decode(text + at, room - at, &c);
        if (length == 0)
            return false;
        if (is_dot(c))
            break;
        if (count == 63 || !is_host_character(c))
            return false;
        ascii = ascii && c < 0x80;
        points[count++] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        at += length;
    }
    *n = at;
    if (!ascii)
        return puny_label(out, 64, points, count);
    for (size_t i = 0; i < count; i++)
        out[i] = (char)points[i];
    out[count] = '\0';
    return count > 0;
}

static bool take_name(char out[256], const char *text, size_t n)
{
    size_t size = 0;
    for (size_t at = 0; at < n;) {
        char label[64];
        size_t taken;
        if (!take_label(label, text + at, n - at, &taken))
            return false;
        size_t length = strlen(label);
        if (size + length + 2 > 256)
            return false;
        if (size)
            out[size++] = '.';
        memcpy(out + size, label, length);
        size += length;
        at += taken;
        if (at < n) { /* the dot; one at the very end means the same name */
            uint32_t c;
            at += ml_utf8_decode(text + at, n - at, &c);
        }
    }
    out[size] = '\0';
    return size > 0;
}

int ml_web_url_host(const char **out, struct ml_arena *arena, const char *text, size_t n,
                    struct ml_error *err)
{
    char name[256];
    bool bracket = n > 1 && text[0] == '[' && text[n - 1] == ']';
    bool bare = memchr(text, ':', n) != NULL;
    struct in6_addr six;
    if (bracket || bare) { /* IPv6, spelt in its one short way */
        char digits[64];
        int length = bracket ? (int)n - 2 : (int)n;
        snprintf(digits, sizeof digits, "%.*s", length < 63 ? length : 63, text + bracket);
        if (inet_pton(AF_INET6, digits, &six) != 1 || !inet_ntop(AF_INET6, &six, name, sizeof name))
            return ml_fail(err, ML_ERR_ARG, "\"%.*s\" is not an IPv6 address",
                           (int)(n < 100 ? n : 100), text);
    } else if (!take_name(name, text, n)) {
        return ml_fail(err, ML_ERR_ARG, "\"%.*s\" is not the name of a host",
                       (int)(n < 100 ? n : 100), text);
    }
    char *copy = ml_arena_strdup(arena, name);
    if (!copy)
        return fail_memory(err);
    *out = copy;
    return 0;
}

/* ---- paths ---- */

static bool is_unreserved(char c)
{
    return is_alpha(c) || is_digit(c) || (c && strchr("-._~", c));
}

int ml_web_url_put(struct ml_buffer *out, const char *text, size_t n, const char *also,
                   struct ml_error *err)
{
    int status = ml_buffer_reserve(out, out->size + n, err);
    for (size_t i = 0; status == 0 && i < n; i++) {
        char c = text[i], spelt[4];
        bool escape =
            c == '%' && i + 2 < n && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
        if (escape) {
            c = (char)(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
            escape = !is_unreserved(c);
            i += 2;
        } else {
            escape = (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f ||
                     strchr("%\"<>\\^`{|}", c) || strchr(also, c);
        }
        if (escape)
            snprintf(spelt, sizeof spelt, "%%%02X", (unsigned)(unsigned char)c);
        status = ml_buffer_put(out, escape ? spelt : &c, escape ? 3 : 1, err);
    }
    return status;
}

/* RFC 3986, 5.2.4, in place over the path (which begins with a slash); returns its new size. */
static size_t remove_dot_segments(char *path, size_t n)
{
    size_t kept = 0;
    for (size_t at = 0; at < n;) {
        size_t end = at + 1;
        while (end < n && path[end] != '/')
            end++;
        size_t length = end - at - 1;
        bool one = length == 1 && path[at + 1] == '.';
        bool two = length == 2 && path[at + 1] == '.' && path[at + 2] == '.';
        if (two)
            while (kept > 0 && path[--kept] != '/')
                continue;
        if (!one && !two) {
            memmove(path + kept, path + at, end - at);
            kept += end - at;
        } else if (end == n) { /* what ends in a dot segment is a folder */
            path[kept++] = '/';
        }
        at = end;
    }
    return kept;
}

static int put_path(struct ml_buffer *out, const char *text, size_t n, struct ml_error *err)
{
    const char *query = memchr(text, '?', n);
    size_t path = query ? (size_t)(query - text) : n, start = out->size;
    int status = 0;
    if (path == 0)
        status = ml_buffer_put(out, "/", 1, err);
    if (status == 0)
        status = ml_web_url_put(out, text, path, "", err);
    if (status)
        return status;
    out->size = start + remove_dot_segments(out->data + start, out->size - start);
    return query ? ml_web_url_put(out, query, n - path, "", err) : 0;
}

/* ---- the whole ---- */

static int take_port(int *port, const char *text, size_t n, struct ml_error *err)
{
    int value = 0;
    for (size_t i = 0; i < n; i++)
        value = !is_digit(text[i]) || value > 65535 ? 65536 : value * 10 + (text[i] - '0');
    if (n == 0)
        return 0;
    if (value == 0 || value > 65535)
        return ml_fail(err, ML_ERR_ARG, "\"%.*s\" is not the number of a port",
                       (int)(n < 20 ? n : 20), text);
    *port = value;
    return 0;
}

/* Host and port from what stands between "//" and the path. */
static int take_authority(struct ml_web_url *url, struct ml_arena *arena, const char *text,
                          size_t n, struct ml_error *err)
{
    if (memchr(text, '@', n))
        return ml_fail(err, ML_ERR_ARG,
                       "an address with a name or password in it is not fetched; take out what "
                       "stands before the \"@\"");
    size_t host = n;
    const char *bracket = n && text[0] == '[' ? memchr(text, ']', n) : NULL;
    const char *from = bracket ? bracket : text;
    const char *colon = memchr(from, ':', n - (size_t)(from - text));
    if (colon)
        host = (size_t)(colon - text);
    url->port = url->secure ? 443 : 80;
    int status = 0;
    if (host == 0)
        status = ml_fail(err, ML_ERR_ARG, "the address names no host");
    else if (bracket && bracket + 1 != text + host)
        status = ml_fail(err, ML_ERR_ARG, "something stands between the host and its port");
    if (status == 0)
        status = ml_web_url_host(&url->host, arena, text, host, err);
    if (status == 0 && colon)
        status = take_port(&url->port, colon + 1, n - host - 1, err);
    return status;
}

static int spell(struct ml_web_url *url, struct ml_arena *arena, const char *path, size_t n,
                 struct ml_error *err)
{
    struct ml_buffer text = {0};
    bool six = strchr(url->host, ':') != NULL;
    int status = ml_buffer_printf(&text, err, "http%s://%s%s%s", url->secure ? "s" : "",
                                  six ? "[" : "", url->host, six ? "]" : "");
    if (status == 0 && url->port != (url->secure ? 443 : 80))
        status = ml_buffer_printf(&text, err, ":%d", url->port);
    url->origin = text.size;
    if (status == 0)
        status = put_path(&text, path, n, err);
    if (status == 0 && text.size > ML_WEB_URL_MAX)
        status = ml_fail(err, ML_ERR_ARG, "an address of more than %d bytes", ML_WEB_URL_MAX);
    if (status == 0) {
        char *copy = ml_arena_strndup(arena, text.data, text.size);
        url->text = copy;
        url->path = copy ? copy + url->origin : NULL;
        if (!copy)
            status = fail_memory(err);
    }
    ml_buffer_clear(&text);
    return status;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= 0x20;
}

/* How many bytes "http://" or "https://" takes, 0 when the text begins otherwise. */
static size_t take_scheme(const char *text, size_t n, bool *secure)
{
    *secure = n >= 8 && strncasecmp(text, "https://", 8) == 0;
    return *secure ? 8 : n >= 7 && strncasecmp(text, "http://", 7) == 0 ? 7 : 0;
}

static int parse(struct ml_web_url *out, struct ml_arena *arena, const char *text, size_t n,
                 struct ml_error *err)
{
    struct ml_web_url url = {0};
    if (n > ML_WEB_URL_MAX)
        return ml_fail(err, ML_ERR_ARG, "an address of more than %d bytes", ML_WEB_URL_MAX);
    size_t at = take_scheme(text, n, &url.secure), end = at;
    if (at == 0) /* what stands before an "@" may be a password */
        return ml_fail(err, ML_ERR_ARG,
                       "\"%.*s\" is not an address on the web; it begins with http:// or https://",
                       (int)(n < 100 ? strcspn(text, "@") : 100), text);
    while (end < n && !strchr("/?#", text[end]))
        end++;
    const char *fragment = memchr(text + end, '#', n - end);
    int status = take_authority(&url, arena, text + at, end - at, err);
    if (status == 0)
        status =
            spell(&url, arena, text + end, (fragment ? (size_t)(fragment - text) : n) - end, err);
    if (status == 0)
        *out = url;
    return status;
}

int ml_web_url_parse(struct ml_web_url *out, struct ml_arena *arena, const char *text,
                     struct ml_error *err)
{
    size_t n = strlen(text);
    while (n > 0 && is_blank(text[n - 1]))
        n--;
    while (n > 0 && is_blank(*text)) {
        text++;
        n--;
    }
    char *own = ml_arena_strndup(arena, text, n);
    return own ? parse(out, arena, own, n, err) : fail_memory(err);
}

/* Whether a reference begins with a scheme of its own: letters and then a colon. */
static bool has_scheme(const char *text)
{
    if (!is_alpha(*text))
        return false;
    while (is_alpha(*text) || is_digit(*text) || (*text && strchr("+-.", *text)))
        text++;
    return *text == ':';
}

int ml_web_url_resolve(struct ml_web_url *out, struct ml_arena *arena,
                       const struct ml_web_url *base, const char *reference, struct ml_error *err)
{
    while (*reference && is_blank(*reference))
        reference++;
    if (!base || has_scheme(reference))
        return ml_web_url_parse(out, arena, reference, err);
    if (strlen(reference) > ML_WEB_URL_MAX)
        return ml_fail(err, ML_ERR_ARG, "an address of more than %d bytes", ML_WEB_URL_MAX);
    size_t path = strcspn(base->path, "?"), folder = path;
    while (folder > 0 && base->path[folder - 1] != '/')
        folder--;
    int origin = (int)base->origin;
    size_t kept = *reference == '/' ? 0 : *reference == '?' ? path : folder;
    if (*reference == '\0' || *reference == '#')
        kept = strlen(base->path);
    char *whole = strncmp(reference, "//", 2) == 0
                      ? ml_arena_printf(arena, "http%s:%s", base->secure ? "s" : "", reference)
                      : ml_arena_printf(arena, "%.*s%.*s%s", origin, base->text, (int)kept,
                                        base->path, reference);
    return whole ? ml_web_url_parse(out, arena, whole, err) : fail_memory(err);
}
