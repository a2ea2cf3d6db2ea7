#include "base/utf8.h"

/* How many bytes a first byte announces; 0 when no character starts with it. */
static size_t announced(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2) /* continuation byte, or overlong */
        return 0;
    if (first < 0xe0)
        return 2;
    if (first < 0xf0)
        return 3;
    return first < 0xf5 ? 4 : 0;
}

/* RFC 3629 section 4: only the second byte's range depends on the first (no overlongs, no
 * surrogates, nothing above U+10FFFF). */
static bool second_fits(unsigned char first, unsigned char second)
{
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

/* How many of the first min(n, length) bytes agree with a character of `length` bytes. */
static size_t matched(const unsigned char *at, size_t n, size_t length)
{
    size_t i = 1;
    for (; i < n && i < length; i++)
        if (i == 1 ? !second_fits(at[0], at[1]) : (at[i] & 0xc0) != 0x80)
            break;
    return i;
}

size_t ml_utf8_decode(const char *text, size_t n, uint32_t *out)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t length = n ? announced(at[0]) : 0;
    if (length == 0 || length > n || matched(at, n, length) < length)
        return 0;
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t codepoint = at[0] & masks[length];
    for (size_t i = 1; i < length; i++)
        codepoint = codepoint << 6 | (at[i] & 0x3fu);
    *out = codepoint;
    return length;
}

size_t ml_utf8_encode(uint32_t codepoint, char out[4])
{
    if (codepoint > 0x10ffff || (codepoint >= 0xd800 && codepoint < 0xe000))
        return 0;
    if (codepoint < 0x80) {
        out[0] = (char)codepoint;
        return 1;
    }
    size_t length = codepoint < 0x800 ? 2 : codepoint < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, codepoint >>= 6)
        out[i] = (char)(0x80 | (codepoint & 0x3f));
    out[0] = (char)(marks[length] | codepoint);
    return length;
}

bool ml_utf8_valid(const char *text, size_t n)
{
    uint32_t codepoint;
    for (size_t i = 0, step; i < n; i += step) {
        step = ml_utf8_decode(text + i, n - i, &codepoint);
        if (step == 0)
            return false;
    }
    return true;
}

size_t ml_utf8_count(const char *text, size_t n)
{
    uint32_t codepoint;
    size_t count = 0;
    for (size_t i = 0; i < n; count++) {
        size_t step = ml_utf8_decode(text + i, n - i, &codepoint);
        i += step ? step : 1;
    }
    return count;
}

size_t ml_utf8_ready(const char *text, size_t n)
{
    const unsigned char *at = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        size_t start = n - back, length = announced(at[start]);
        if (length == 0)
            continue; /* perhaps a continuation byte: look further back for its first byte */
        return length > back && matched(at + start, back, length) == back ? start : n;
    }
    return n;
}

size_t ml_utf8_columns(const char *text, size_t n)
{
    size_t columns = 0;
    for (size_t i = 0; i < n;) {
        uint32_t codepoint = 0xfffd;
        size_t step = ml_utf8_decode(text + i, n - i, &codepoint);
        columns += (size_t)ml_utf8_width(codepoint);
        i += step ? step : 1;
    }
    return columns;
}
