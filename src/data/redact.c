#include "data/redact.h"

#include <ctype.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"

static const char *const names[ML_PII_COUNT] = {
    [ML_PII_EMAIL] = "email",   [ML_PII_PHONE] = "phone",        [ML_PII_IP] = "ip",
    [ML_PII_IBAN] = "iban",     [ML_PII_CARD] = "card",          [ML_PII_CN_ID] = "cn_id",
    [ML_PII_SECRET] = "secret", [ML_PII_CN_CREDIT] = "cn_credit"};

const char *ml_pii_name(enum ml_pii kind)
{
    return names[kind];
}

/* The text at hand; each finder looks at one place and gives how many bytes it takes, 0: nothing.
 */
struct look {
    const char *text;
    size_t size;
    unsigned kinds;
    size_t free_from; /* what lies before belongs to a span already */
};

static bool is_alnum(const struct look *l, size_t at)
{
    return at < l->size && isalnum((unsigned char)l->text[at]);
}

static bool is_digit(const struct look *l, size_t at)
{
    return at < l->size && isdigit((unsigned char)l->text[at]);
}

static char byte_at(const struct look *l, size_t at)
{
    return at < l->size ? l->text[at] : '\0';
}

static bool wants(const struct look *l, enum ml_pii kind)
{
    return l->kinds >> kind & 1;
}

/* ---- e-mail: found at its @ ---- */

static bool is_local(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("._%+-", c));
}

static bool find_email(const struct look *l, size_t at, struct ml_pii_span *out)
{
    size_t from = at, to = at + 1, dot = 0;
    while (from > l->free_from && is_local(l->text[from - 1]) && at - from < 64)
        from--;
    while (from < at && !isalnum((unsigned char)l->text[from])) /* "...a@b.c" */
        from++;
    for (; to < l->size && to - at < 254; to++) {
        char c = l->text[to];
        if (c == '.' && is_alnum(l, to + 1) && to > at + 1)
            dot = to;
        else if (!isalnum((unsigned char)c) && !(c == '-' && is_alnum(l, to + 1)))
            break;
    }
    size_t letters = 0;
    while (dot && dot + 1 + letters < to && isalpha((unsigned char)l->text[dot + 1 + letters]))
        letters++;
    if (from == at || !dot || letters < 2 || dot + 1 + letters != to)
        return false;
    *out = (struct ml_pii_span){from, to - from, ML_PII_EMAIL};
    return true;
}

/* ---- runs of digits with separators ---- */

/* Digits from `at` with single blanks, dashes (dots, brackets) between them. */
struct run {
    char digits[24];
    size_t count, end; /* end: after the last digit */
    bool separated;
};

static struct run read_run(const struct look *l, size_t at, const char *separators, size_t most)
{
    struct run r = {.end = at};
    while (r.count < most && r.count < sizeof r.digits && at < l->size) {
        if (is_digit(l, at)) {
            r.digits[r.count++] = l->text[at++];
            r.end = at;
        } else if (r.count > 0 && strchr(separators, l->text[at]) && l->text[at] &&
                   (is_digit(l, at + 1) || (l->text[at] == ')' && byte_at(l, at + 1) == ' ') ||
                    (l->text[at] == ' ' && byte_at(l, at + 1) == '('))) {
            r.separated = true;
            at++;
        } else if (r.count > 0 && l->text[at] == '(' && is_digit(l, at + 1)) {
            at++;
        } else {
            break;
        }
    }
    return r;
}

static bool ends_here(const struct look *l, size_t end)
{
    return !is_alnum(l, end) && byte_at(l, end) != '_' &&
           !(byte_at(l, end) == '-' && is_digit(l, end + 1)) &&
           !(byte_at(l, end) == '.' && is_digit(l, end + 1));
}

/* Issuers' ranges: Visa, Mastercard, Amex, Discover, JCB, Diners, UnionPay, Maestro. */
static bool is_issuer(const char *d, size_t n)
{
    int two = (d[0] - '0') * 10 + d[1] - '0', four = two * 100 + (d[2] - '0') * 10 + d[3] - '0';
    if (d[0] == '4')
        return n == 13 || n == 16 || n == 19;
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720))
        return n == 16;
    if (two == 34 || two == 37)
        return n == 15;
    if (two == 36 || two == 38 || (four >= 3000 && four <= 3059))
        return n == 14;
    if (two == 62)
        return n >= 16 && n <= 19;
    return (four == 6011 || two == 65 || two == 35 || (four >= 6440 && four <= 6499)) && n == 16;
}

static bool find_card(const struct look *l, size_t at, struct ml_pii_span *out)
{
    struct run r = read_run(l, at, " -", 20);
    if (r.count < 13 || r.count > 19 || !ends_here(l, r.end) || !is_issuer(r.digits, r.count) ||
        !ml_luhn_valid(r.digits, r.count))
        return false;
    *out = (struct ml_pii_span){at, r.end - at, ML_PII_CARD};
    return true;
}

static bool find_cn_id(const struct look *l, size_t at, struct ml_pii_span *out)
{
    if (l->size - at < 18 || is_alnum(l, at + 18) || !ml_cn_id_valid(l->text + at))
        return false;
    *out = (struct ml_pii_span){at, 18, ML_PII_CN_ID};
    return true;
}

static bool find_cn_credit(const struct look *l, size_t at, struct ml_pii_span *out)
{
    if (l->size - at < 18 || is_alnum(l, at + 18) || !ml_cn_credit_valid(l->text + at))
        return false;
    *out = (struct ml_pii_span){at, 18, ML_PII_CN_CREDIT};
    return true;
}

/* ---- phone numbers ---- */

/* 13812345678, 138-1234-5678, 138 1234 5678 */
static bool is_cn_mobile(const struct run *r)
{
    return r->count == 11 && r->digits[0] == '1' && r->digits[1] >= '3';
}

/* 010-12345678, (0755) 1234567: area code and number apart. */
static bool is_cn_landline(const struct look *l, size_t at, const struct run *r)
{
    size_t area = 0;
    while (is_digit(l, at + area))
        area++;
    return r->separated && r->digits[0] == '0' && r->digits[1] != '0' && (area == 3 || area == 4) &&
           r->count - area >= 7 && r->count - area <= 8;
}

/* 415-555-2671, (415) 555-2671, 415.555.2671 */
static bool is_us(const struct look *l, size_t at, const struct run *r)
{
    size_t area = 0;
    while (is_digit(l, at + area))
        area++;
    size_t middle = at + area + 1 + (byte_at(l, at + area + 1) == ' '), length = 0, last = 0;
    while (is_digit(l, middle + length))
        length++;
    while (is_digit(l, middle + length + 1 + last))
        last++;
    return r->separated && r->count == 10 && area == 3 && length == 3 && last == 4 &&
           r->digits[0] >= '2' && r->digits[3] >= '2';
}

static bool find_phone(const struct look *l, size_t at, struct ml_pii_span *out)
{
    bool plus = at > l->free_from && l->text[at - 1] == '+';
    bool bracket = at > l->free_from && l->text[at - 1] == '(';
    struct run r = read_run(l, at, " -.)", 16);
    if (r.count < 7 || !ends_here(l, r.end))
        return false;
    size_t from = at - (plus || bracket);
    bool international = plus && r.count >= 8 && r.count <= 15 && r.digits[0] != '0';
    if (!international && !is_cn_mobile(&r) && !is_cn_landline(l, at, &r) && !is_us(l, at, &r))
        return false;
    *out = (struct ml_pii_span){from, r.end - from, ML_PII_PHONE};
    return true;
}

/* ---- IP addresses ---- */

static bool find_ipv4(const struct look *l, size_t at, struct ml_pii_span *out)
{
    int octets[4];
    size_t to = at;
    if (at > 0 && (l->text[at - 1] == '.' || l->text[at - 1] == '-'))
        return false;
    for (int i = 0; i < 4; i++) {
        size_t begin = to;
        for (octets[i] = 0; is_digit(l, to) && to - begin < 3; to++)
            octets[i] = octets[i] * 10 + l->text[to] - '0';
        bool padded = to - begin > 1 && l->text[begin] == '0';
        if (to == begin || octets[i] > 255 || padded || (i < 3 && byte_at(l, to++) != '.'))
            return false;
    }
    if (!ends_here(l, to) || octets[0] == 0 || octets[0] == 127 || octets[0] == 255)
        return false;
    /* 3.2.2.5 is a section; the few addresses like 8.8.8.8 are nobody's. */
    if (octets[0] < 10 && octets[1] < 10 && octets[2] < 10 && octets[3] < 10)
        return false;
    /* "version 1.2.3.4", "第 3.1.2.4 节": small numbers after such a word are no address */
    size_t before = at > 12 ? at - 12 : 0;
    for (size_t i = before; i + 3 < at; i++)
        if (strncasecmp(l->text + i, "vers", 4) == 0 || strncasecmp(l->text + i, "sect", 4) == 0)
            return false;
    *out = (struct ml_pii_span){at, to - at, ML_PII_IP};
    return true;
}

/* RFC 4291 text with at least three groups, found at its first group. */
static bool find_ipv6(const struct look *l, size_t at, struct ml_pii_span *out)
{
    int groups = 0;
    bool gap = false;
    size_t to = at;
    while (groups < 8) {
        size_t digits = 0;
        while (digits < 5 && isxdigit((unsigned char)byte_at(l, to + digits)))
            digits++;
        if (digits > 4)
            return false;
        to += digits;
        groups += digits > 0;
        if (byte_at(l, to) != ':' || groups == 8)
            break;
        if (byte_at(l, to + 1) == ':') {
            if (gap)
                return false;
            gap = true;
            to += 2;
            if (!isxdigit((unsigned char)byte_at(l, to)))
                break;
        } else if (isxdigit((unsigned char)byte_at(l, to + 1))) {
            to++;
        } else {
            break;
        }
    }
    bool whole = gap ? groups >= 3 && groups < 8 : groups == 8;
    if (!whole || is_alnum(l, to) || byte_at(l, to) == ':')
        return false;
    *out = (struct ml_pii_span){at, to - at, ML_PII_IP};
    return true;
}

/* ---- IBAN: found at its two letters ---- */

static bool find_iban(const struct look *l, size_t at, struct ml_pii_span *out)
{
    char text[34];
    size_t n = 0, to = at, ends[35];
    for (; to < l->size && n < sizeof text; to++) {
        char c = l->text[to];
        if (c == ' ' && n >= 4 && is_alnum(l, to + 1))
            continue;
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            break;
        text[n++] = c;
        ends[n] = to + 1;
    }
    for (; n >= 15; n--) /* a word in capitals may follow */
        if (!is_alnum(l, ends[n]) && ml_iban_valid(text, n)) {
            *out = (struct ml_pii_span){at, ends[n] - at, ML_PII_IBAN};
            return true;
        }
    return false;
}

/* ---- keys and secrets ---- */

struct secret_form {
    const char *prefix;
    const char *more; /* other characters than letters and digits */
    int least, most;  /* of what follows the prefix */
};
static const struct secret_form forms[] = {
    {"AKIA", "", 16, 16},      {"ASIA", "", 16, 16},    {"ghp_", "", 36, 255},
    {"gho_", "", 36, 255},     {"ghs_", "", 36, 255},   {"github_pat_", "_", 50, 255},
    {"glpat-", "_-", 20, 255}, {"sk-", "_-", 20, 255},  {"sk_live_", "", 16, 255},
    {"rk_live_", "", 16, 255}, {"xoxb-", "-", 20, 255}, {"xoxp-", "-", 20, 255},
    {"xoxa-", "-", 20, 255},   {"AIza", "_-", 35, 35},  {"hf_", "", 30, 255},
    {"eyJ", "_-.", 40, 8192},  {"npm_", "", 36, 36},    {"LTAI", "", 12, 30},
    {"SG.", "_-.", 40, 255},   {"AKID", "", 32, 32},
};

/* The first two letters tell nearly every word that it begins none of them. */
static bool may_begin_token(char a, char b)
{
    switch (a) {
    case 'A':
        return b == 'K' || b == 'S' || b == 'I';
    case 'g':
        return b == 'h' || b == 'i' || b == 'l';
    case 's':
    case 'r':
        return b == 'k';
    case 'x':
        return b == 'o';
    case 'e':
        return b == 'y';
    case 'h':
        return b == 'f';
    case 'n':
        return b == 'p';
    case 'L':
        return b == 'T';
    case 'S':
        return b == 'G';
    default:
        return false;
    }
}

static bool may_begin_assignment(char a, char b)
{
    a = (char)(a | 0x20);
    b = (char)(b | 0x20);
    return (a == 'p' && b == 'a') || (a == 's' && b == 'e') ||
           (a == 'a' && (b == 'p' || b == 'c' || b == 'u'));
}

static bool has_digit(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isdigit((unsigned char)text[i]))
            return true;
    return false;
}

static bool find_token(const struct look *l, size_t at, struct ml_pii_span *out)
{
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
        size_t prefix = strlen(forms[f].prefix), n = 0;
        const char *text = l->text + at;
        if (l->size - at < prefix || memcmp(text, forms[f].prefix, prefix) != 0)
            continue;
        while (at + prefix + n < l->size && n < (size_t)forms[f].most + 1 &&
               (isalnum((unsigned char)text[prefix + n]) ||
                (text[prefix + n] && strchr(forms[f].more, text[prefix + n]))))
            n++;
        bool jwt = forms[f].prefix[0] == 'e';
        const char *dot = jwt ? memchr(text, '.', prefix + n) : text;
        if (n < (size_t)forms[f].least || n > (size_t)forms[f].most || !dot ||
            !has_digit(text + prefix, n))
            continue;
        *out = (struct ml_pii_span){at, prefix + n, ML_PII_SECRET};
        return true;
    }
    return false;
}

/* -----BEGIN ... PRIVATE KEY----- to its end, or to the end of the text. */
static bool find_private_key(const struct look *l, size_t at, struct ml_pii_span *out)
{
    static const char begin[] = "-----BEGIN ", key[] = "PRIVATE KEY-----", end[] = "-----END ";
    if (l->size - at < 40 || memcmp(l->text + at, begin, sizeof begin - 1) != 0)
        return false;
    size_t head = l->size - at < 80 ? l->size - at : 80;
    const char *named = memmem(l->text + at, head, key, sizeof key - 1);
    if (!named)
        return false;
    const char *close = memmem(named, (size_t)(l->text + l->size - named), end, sizeof end - 1);
    const char *last =
        close ? memmem(close, (size_t)(l->text + l->size - close), key, sizeof key - 1) : NULL;
    size_t to = last ? (size_t)(last - l->text) + sizeof key - 1 : l->size;
    *out = (struct ml_pii_span){at, to - at, ML_PII_SECRET};
    return true;
}

/* password=..., api_key: "...", 密码：... — the value alone is the span. */
static bool find_assignment(const struct look *l, size_t at, struct ml_pii_span *out)
{
    static const char *const words[] = {
        "password", "passwd",       "api_key",    "apikey",     "api-key",
        "secret",   "access_token", "auth_token", "secret_key", "\xE5\xAF\x86\xE7\xA0\x81"};
    size_t to = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0] && !to; i++)
        if (l->size - at > strlen(words[i]) &&
            strncasecmp(l->text + at, words[i], strlen(words[i])) == 0 &&
            !is_alnum(l, at + strlen(words[i])) && byte_at(l, at + strlen(words[i])) != '_')
            to = at + strlen(words[i]);
    if (!to)
        return false;
    while (byte_at(l, to) == '"' || byte_at(l, to) == '\'' || byte_at(l, to) == ' ')
        to++;
    if (byte_at(l, to) == '=' || byte_at(l, to) == ':')
        to++;
    else if (l->size - to >= 3 && memcmp(l->text + to, "\xEF\xBC\x9A", 3) == 0) /* ： */
        to += 3;
    else
        return false;
    while (byte_at(l, to) == '"' || byte_at(l, to) == '\'' || byte_at(l, to) == ' ')
        to++;
    size_t n = 0;
    while (to + n < l->size && n < 256 && (unsigned char)l->text[to + n] > ' ' &&
           (unsigned char)l->text[to + n] < 0x7F && !strchr("\"',;<>", l->text[to + n]))
        n++;
    if (n < 6 || !has_digit(l->text + to, n)) /* "password: required" is no password */
        return false;
    *out = (struct ml_pii_span){to, n, ML_PII_SECRET};
    return true;
}

/* ---- looking ---- */

/* At a digit that begins a run. */
static bool find_at_digit(const struct look *l, size_t at, struct ml_pii_span *out)
{
    return (wants(l, ML_PII_CN_ID) && find_cn_id(l, at, out)) ||
           (wants(l, ML_PII_CN_CREDIT) && find_cn_credit(l, at, out)) ||
           (wants(l, ML_PII_IP) && find_ipv4(l, at, out)) ||
           (wants(l, ML_PII_CARD) && find_card(l, at, out)) ||
           (wants(l, ML_PII_PHONE) && find_phone(l, at, out));
}

/* At the first letter or digit after something else. */
static bool find_at_word(const struct look *l, size_t at, struct ml_pii_span *out)
{
    unsigned char c = (unsigned char)l->text[at], second = (unsigned char)byte_at(l, at + 1);
    if (isdigit(c) && find_at_digit(l, at, out))
        return true;
    if (wants(l, ML_PII_SECRET) && may_begin_token((char)c, (char)second) && find_token(l, at, out))
        return true;
    if (wants(l, ML_PII_SECRET) && may_begin_assignment((char)c, (char)second) &&
        find_assignment(l, at, out))
        return true;
    if (wants(l, ML_PII_IBAN) && isupper(c) && isupper(second) && is_digit(l, at + 2) &&
        find_iban(l, at, out))
        return true;
    if (wants(l, ML_PII_CN_CREDIT) && isupper(c) && find_cn_credit(l, at, out))
        return true;
    bool hex = isxdigit(c) && (memchr(l->text + at, ':', l->size - at < 5 ? l->size - at : 5));
    return wants(l, ML_PII_IP) && hex && !(at > 0 && l->text[at - 1] == ':') &&
           find_ipv6(l, at, out);
}

static bool find_here(const struct look *l, size_t at, struct ml_pii_span *out)
{
    unsigned char c = (unsigned char)l->text[at];
    bool begins = at == 0 || !isalnum((unsigned char)l->text[at - 1]);
    if (c == '@')
        return wants(l, ML_PII_EMAIL) && find_email(l, at, out);
    if (c == '-')
        return wants(l, ML_PII_SECRET) && find_private_key(l, at, out);
    if (c == 0xE5)
        return wants(l, ML_PII_SECRET) && find_assignment(l, at, out);
    return begins && (isalnum(c)) && find_at_word(l, at, out);
}

static int put_span(struct ml_pii_spans *out, const struct ml_pii_span *span, struct ml_error *err)
{
    if (out->count == out->capacity) {
        size_t capacity = out->capacity ? 2 * out->capacity : 16;
        struct ml_pii_span *grown = ml_mem_realloc(out->spans, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory redacting a text");
        out->spans = grown;
        out->capacity = capacity;
    }
    out->spans[out->count++] = *span;
    return 0;
}

int ml_redact_find(struct ml_pii_spans *out, const char *text, size_t n, unsigned kinds,
                   struct ml_error *err)
{
    struct look l = {.text = text, .size = n, .kinds = kinds};
    int status = 0;
    out->count = 0;
    for (size_t at = 0; status == 0 && at < n; at++) {
        struct ml_pii_span span;
        if (!find_here(&l, at, &span) || span.start < l.free_from)
            continue;
        status = put_span(out, &span, err);
        l.free_from = span.start + span.bytes;
        at = l.free_from > at ? l.free_from - 1 : at;
    }
    return status;
}

void ml_pii_spans_clear(struct ml_pii_spans *spans)
{
    if (!spans)
        return;
    ml_mem_free(spans->spans);
    *spans = (struct ml_pii_spans){0};
}

/* ---- replacing ---- */

static int put_mark(struct ml_buffer *out, const char *text, const struct ml_pii_span *span,
                    const uint8_t *key, struct ml_error *err)
{
    char name[16];
    uint8_t mark[crypto_auth_hmacsha256_BYTES];
    size_t n = 0;
    for (const char *c = names[span->kind]; *c; c++)
        name[n++] = (char)toupper((unsigned char)*c);
    name[n] = '\0';
    if (!key)
        return ml_buffer_printf(out, err, "[%s]", name);
    crypto_auth_hmacsha256(mark, (const unsigned char *)text + span->start, span->bytes, key);
    return ml_buffer_printf(out, err, "[%s:%02x%02x%02x%02x%02x%02x]", name, mark[0], mark[1],
                            mark[2], mark[3], mark[4], mark[5]);
}

static int put_mask(struct ml_buffer *out, const char *text, const struct ml_pii_span *span,
                    struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < span->bytes; i++) {
        char c = text[span->start + i];
        status = ml_buffer_put(out, isalnum((unsigned char)c) ? "*" : &c, 1, err);
    }
    return status;
}

int ml_redact_apply(struct ml_buffer *out, const char *text, size_t n,
                    const struct ml_pii_spans *spans, enum ml_redact_mode mode,
                    const uint8_t key[32], struct ml_error *err)
{
    size_t at = 0;
    int status = 0;
    for (size_t i = 0; status == 0 && i < spans->count; i++) {
        const struct ml_pii_span *span = &spans->spans[i];
        status = ml_buffer_put(out, text + at, span->start - at, err);
        if (status == 0)
            status = mode == ML_REDACT_MASK
                         ? put_mask(out, text, span, err)
                         : put_mark(out, text, span, mode == ML_REDACT_HASH ? key : NULL, err);
        at = span->start + span->bytes;
    }
    return status ? status : ml_buffer_put(out, text + at, n - at, err);
}
