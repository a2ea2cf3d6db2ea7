#include "store/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static const char *find(const char *at, const char *end, const char *text)
{
    size_t n = strlen(text);
    return at && at < end ? memmem(at, (size_t)(end - at), text, n) : NULL;
}

/* Length of an entity at text, and what it stands for; 0: it is none. */
static size_t entity(const char *text, size_t n, uint32_t *out)
{
    static const struct {
        const char *name;
        uint32_t character;
    } known[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char digits[12] = "";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t length = strlen(known[i].name);
        if (n >= length && memcmp(text, known[i].name, length) == 0) {
            *out = known[i].character;
            return length;
        }
    }
    const char *semicolon = n > 3 && text[1] == '#' ? memchr(text, ';', n < 11 ? n : 11) : NULL;
    if (!semicolon)
        return 0;
    bool sixteen = text[2] == 'x';
    size_t from = sixteen ? 3 : 2, count = (size_t)(semicolon - text) - from;
    memcpy(digits, text + from, count);
    char *stop;
    unsigned long value = strtoul(digits, &stop, sixteen ? 16 : 10);
    if (count == 0 || *stop || digits[0] == '+' || digits[0] == '-' || value == 0 ||
        value > 0x10ffff)
        return 0;
    *out = (uint32_t)value;
    return (size_t)(semicolon - text) + 1;
}

static void resolve(const char *at, const char *end, char *out, size_t size)
{
    size_t n = 0;
    while (at < end && n + 1 < size) {
        uint32_t character;
        char bytes[4];
        size_t length = *at == '&' ? entity(at, (size_t)(end - at), &character) : 0;
        size_t put = length ? ml_utf8_encode(character, bytes) : 0;
        if (put == 0) { /* a plain byte, or an & that stands for itself */
            out[n++] = *at++;
            continue;
        }
        if (n + put >= size)
            break;
        memcpy(out + n, bytes, put);
        n += put;
        at += length;
    }
    out[n] = '\0';
}

const char *ml_s3_element(const char *at, const char *end, const char *name, char *out, size_t size)
{
    char open[64], close[64];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    const char *from = find(at, end, open);
    const char *to = from ? find(from + strlen(open), end, close) : NULL;
    if (!to)
        return NULL;
    resolve(from + strlen(open), to, out, size);
    return to + strlen(close);
}

bool ml_s3_next_object(const char **at, const char *end, struct ml_s3_object *out)
{
    char bytes[32];
    const char *from = find(*at, end, "<Contents>"), *to = find(from, end, "</Contents>");
    if (!to || !ml_s3_element(from, to, "Key", out->key, sizeof out->key) ||
        !ml_s3_element(from, to, "Size", bytes, sizeof bytes))
        return false;
    out->bytes = strtoull(bytes, NULL, 10);
    *at = to + strlen("</Contents>");
    return true;
}
