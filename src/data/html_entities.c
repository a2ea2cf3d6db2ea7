#include "data/html_entities.h"

#include <stdint.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"

#define LONGEST_NAME  31 /* CounterClockwiseContourIntegral */
#define LONGEST_LOOSE 6  /* that may stand without its semicolon */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_character(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The order of a name and the name at the start of a row. */
static int compare(const char *name, size_t n, const char *row)
{
    for (size_t i = 0; i < n; i++) {
        char c = row[i] == ';' || row[i] == ' ' ? '\0' : row[i];
        if (name[i] != c)
            return name[i] < c ? -1 : 1;
    }
    return row[n] == ';' || row[n] == ' ' ? 0 : -1;
}

/* The row of exactly this name, or NULL. */
static const char *find_name(const char *name, size_t n)
{
    size_t low = 0, high = ML_HTML_ENTITY_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(name, n, ml_html_entity_names[middle]);
        if (order == 0)
            return ml_html_entity_names[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- numbers ---- */

/* Numbers of C1 controls are taken for bytes of windows-1252, since pages mean that. */
static uint32_t meant_by(uint32_t number)
{
    static const uint16_t windows[32] = {
        0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
    if (number >= 0x80 && number < 0xA0)
        return windows[number - 0x80];
    bool sound = number > 0 && number <= 0x10FFFF && (number < 0xD800 || number > 0xDFFF);
    return sound ? number : 0xFFFD;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "&#20013;" or "&#x4e2d;" at text. Returns its length, 0 when there is none. */
static size_t read_number(const char *text, size_t n, char out[4], size_t *written)
{
    bool hex = n > 3 && (text[2] | 0x20) == 'x';
    size_t first = hex ? 3 : 2, i = first;
    uint32_t number = 0;
    for (; i < n; i++) {
        int digit = hex ? hex_digit(text[i]) : is_digit(text[i]) ? text[i] - '0' : -1;
        if (digit < 0)
            break;
        if (number <= 0x10FFFF)
            number = number * (hex ? 16 : 10) + (uint32_t)digit;
    }
    if (i == first)
        return 0;
    *written = ml_utf8_encode(meant_by(number), out);
    return i < n && text[i] == ';' ? i + 1 : i;
}

/* ---- names ---- */

/* "&name;" at text. Returns its length and the row, 0 when there is none. */
static size_t read_name(const char *text, size_t n, bool attribute, const char **row)
{
    size_t length = 0;
    while (length <= LONGEST_NAME && 1 + length < n && is_name_character(text[1 + length]))
        length++;
    if (1 + length < n && text[1 + length] == ';' && (*row = find_name(text + 1, length)))
        return length + 2;
    for (size_t cut = length < LONGEST_LOOSE ? length : LONGEST_LOOSE; cut >= 2; cut--) {
        const char *found = find_name(text + 1, cut);
        if (!found || found[cut] != ' ')
            continue;
        bool goes_on = cut < length || (1 + cut < n && text[1 + cut] == '=');
        *row = found;
        return attribute && goes_on ? 0 : cut + 1;
    }
    return 0;
}

/* One reference at text, which is '&'. Returns its length; 0: none. */
static size_t read_reference(struct ml_html_span text, bool attribute, char *to, size_t *written)
{
    if (text.n < 3)
        return 0;
    if (text.at[1] == '#')
        return read_number(text.at, text.n, to, written);
    const char *row = NULL;
    size_t length = read_name(text.at, text.n, attribute, &row);
    if (length > 0) {
        row += strcspn(row, "; ") + 1;
        *written = strlen(row);
        memcpy(to, row, *written);
    }
    return length;
}

int ml_html_decode_text(struct ml_html_span *out, struct ml_arena *arena, struct ml_html_span text,
                        bool attribute, struct ml_error *err)
{
    const char *next = text.n ? memchr(text.at, '&', text.n) : NULL;
    if (!next) {
        *out = text;
        return 0;
    }
    /* The longest for its name is "&nGt;": five bytes become six. */
    char *to = ml_arena_alloc(arena, text.n + text.n / 4 + 8);
    if (!to)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a page");
    size_t size = 0;
    const char *at = text.at, *end = text.at + text.n;
    for (; next; next = memchr(at, '&', (size_t)(end - at))) {
        memcpy(to + size, at, (size_t)(next - at));
        size += (size_t)(next - at);
        size_t written = 1;
        struct ml_html_span rest = {next, (size_t)(end - next)};
        size_t length = read_reference(rest, attribute, to + size, &written);
        if (length == 0)
            to[size] = '&';
        size += written;
        at = next + (length ? length : 1);
    }
    memcpy(to + size, at, (size_t)(end - at));
    *out = (struct ml_html_span){to, size + (size_t)(end - at)};
    return 0;
}
