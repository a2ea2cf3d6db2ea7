#include "data/html_token.h"

#include <string.h>
#include <strings.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

bool ml_html_span_is(struct ml_html_span span, const char *word)
{
    return strlen(word) == span.n && strncasecmp(span.at, word, span.n) == 0;
}

bool ml_html_starts_tag(const char *text, size_t at, size_t n)
{
    if (n - at < 2)
        return false;
    return is_letter(text[at + 1]) ||
           (text[at + 1] == '/' && n - at > 2 && is_letter(text[at + 2]));
}

/* The place of the '>' that ends a tag, or n. A quote counts where a value may start: after '='. */
static size_t find_close(const char *text, size_t at, size_t n)
{
    bool value = false;
    for (; at < n && text[at] != '>'; at++) {
        char c = text[at];
        if (value && (c == '"' || c == '\'')) {
            const char *quote = memchr(text + at + 1, c, n - at - 1);
            if (!quote)
                return n;
            at = (size_t)(quote - text);
        }
        value = c == '=' || (value && is_space(c));
    }
    return at;
}

void ml_html_read_tag(struct ml_html_tag_token *out, const char *text, size_t at, size_t n)
{
    bool closing = text[at + 1] == '/';
    size_t name = at + 1 + closing, i = name;
    while (i < n && !is_space(text[i]) && text[i] != '/' && text[i] != '>')
        i++;
    size_t close = find_close(text, i, n);
    if (close == n) {
        const char *next = memchr(text + i, '>', n - i);
        close = next ? (size_t)(next - text) : n;
    }
    *out = (struct ml_html_tag_token){.name = {text + name, i - name},
                                      .attributes = {text + i, close - i},
                                      .closing = closing,
                                      .self_closing = close > i && text[close - 1] == '/',
                                      .end = close < n ? close + 1 : n};
}

size_t ml_html_skip_declaration(const char *text, size_t at, size_t n)
{
    const char *end;
    if (n - at >= 4 && memcmp(text + at, "<!--", 4) == 0) {
        if (n - at >= 5 && text[at + 4] == '>') /* as browsers take it */
            return at + 5;
        end = memmem(text + at + 4, n - at - 4, "-->", 3);
        return end ? (size_t)(end - text) + 3 : n;
    }
    if (n - at >= 9 && memcmp(text + at, "<![CDATA[", 9) == 0) {
        end = memmem(text + at, n - at, "]]>", 3);
        if (end)
            return (size_t)(end - text) + 3;
    }
    end = memchr(text + at, '>', n - at);
    return end ? (size_t)(end - text) + 1 : n;
}

size_t ml_html_find_end_tag(const char *text, size_t at, size_t n, struct ml_html_span name)
{
    while (n - at > name.n + 2) {
        const char *found = memmem(text + at, n - at - name.n - 2, "</", 2);
        if (!found)
            break;
        at = (size_t)(found - text);
        char after = found[2 + name.n];
        if (strncasecmp(found + 2, name.at, name.n) == 0 &&
            (is_space(after) || after == '>' || after == '/'))
            return at;
        at += 2;
    }
    return n;
}

bool ml_html_next_attribute(struct ml_html_attribute *out, struct ml_html_span *rest)
{
    if (rest->n == 0) /* then there may be no address at all */
        return false;
    const char *at = rest->at, *end = rest->at + rest->n;
    while (at < end && (is_space(*at) || *at == '/'))
        at++;
    if (at == end)
        return false;
    const char *name = at++; /* '=' may be the first character of a name */
    while (at < end && !is_space(*at) && *at != '/' && *at != '=')
        at++;
    *out = (struct ml_html_attribute){.name = {name, (size_t)(at - name)}};
    while (at < end && is_space(*at))
        at++;
    if (at < end && *at == '=') {
        at++;
        while (at < end && is_space(*at))
            at++;
        const char *value = at;
        if (at < end && (*at == '"' || *at == '\'')) {
            const char *close = memchr(at + 1, *at, (size_t)(end - at) - 1);
            value++;
            at = close ? close : end;
            out->value = (struct ml_html_span){value, (size_t)(at - value)};
            at += close != NULL;
        } else {
            while (at < end && !is_space(*at))
                at++;
            out->value = (struct ml_html_span){value, (size_t)(at - value)};
        }
    }
    *rest = (struct ml_html_span){at, (size_t)(end - at)};
    return true;
}
