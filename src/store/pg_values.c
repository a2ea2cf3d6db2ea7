#include "store/pg_values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* ---- numbers ---- */

static uint64_t read_bits(const char *bytes, size_t n)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits = bits << 8 | (unsigned char)bytes[i];
    return bits;
}

void ml_pg_put_int(char out[8], int64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)((uint64_t)value >> (56 - 8 * i));
}

void ml_pg_put_real(char out[8], double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    ml_pg_put_int(out, bits);
}

/* numeric: number of digits to base 10000, power of the first, sign, digits behind the point, then
 * the digits; 16 bits each (src/backend/utils/adt/numeric.c, numeric_send). */
struct numeric {
    int digits, weight;
    bool negative, number;
    const char *at;
};

static struct numeric read_numeric(const char *bytes, size_t n)
{
    struct numeric v = {0};
    if (n < 8)
        return v;
    unsigned sign = (unsigned)read_bits(bytes + 4, 2);
    v.digits = (int)read_bits(bytes, 2);
    v.weight = (int16_t)read_bits(bytes + 2, 2);
    v.negative = sign == 0x4000;
    v.number = sign == 0 || sign == 0x4000; /* else NaN or infinite */
    v.at = bytes + 8;
    if (n - 8 < (size_t)v.digits * 2)
        v.digits = (int)((n - 8) / 2);
    return v;
}

static int64_t numeric_int(const char *bytes, size_t n)
{
    struct numeric v = read_numeric(bytes, n);
    int64_t sum = 0;
    for (int i = 0; v.number && i <= v.weight; i++) {
        int64_t digit = i < v.digits ? (int64_t)read_bits(v.at + 2 * i, 2) : 0;
        if (__builtin_mul_overflow(sum, (int64_t)10000, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return v.negative ? INT64_MIN : INT64_MAX;
    }
    return v.negative ? -sum : sum;
}

static double numeric_real(const char *bytes, size_t n)
{
    struct numeric v = read_numeric(bytes, n);
    double sum = 0;
    if (!v.number)
        return NAN;
    for (int i = 0; i < v.digits; i++)
        sum += (double)read_bits(v.at + 2 * i, 2) * pow(10000, v.weight - i);
    return v.negative ? -sum : sum;
}

static double read_float(const char *bytes, size_t n)
{
    uint64_t bits = read_bits(bytes, n);
    uint32_t half = (uint32_t)bits;
    float narrow;
    double wide;
    memcpy(&narrow, &half, sizeof narrow);
    memcpy(&wide, &bits, sizeof wide);
    return n == 4 ? (double)narrow : wide;
}

static int64_t nearest_int(double value)
{
    return isnan(value)       ? 0
           : value >= 0x1p63  ? INT64_MAX
           : value <= -0x1p63 ? INT64_MIN
                              : (int64_t)value;
}

/* Widths that do not fit a type come from no server; they read as 0. */
int64_t ml_pg_int(unsigned type, const char *bytes, size_t n)
{
    switch (type) {
    case ML_PG_BOOL:
        return n == 1 && bytes[0];
    case ML_PG_INT2:
        return n == 2 ? (int16_t)read_bits(bytes, 2) : 0;
    case ML_PG_INT4:
        return n == 4 ? (int32_t)read_bits(bytes, 4) : 0;
    case ML_PG_INT8:
        return n == 8 ? (int64_t)read_bits(bytes, 8) : 0;
    case ML_PG_FLOAT4:
    case ML_PG_FLOAT8:
        return n == 4 || n == 8 ? nearest_int(read_float(bytes, n)) : 0;
    case ML_PG_NUMERIC:
        return numeric_int(bytes, n);
    case ML_PG_TEXT:
    case ML_PG_VARCHAR:
        return strtoll(bytes, NULL, 10); /* libpq ends each value with a NUL */
    default:
        return 0;
    }
}

double ml_pg_real(unsigned type, const char *bytes, size_t n)
{
    switch (type) {
    case ML_PG_FLOAT4:
    case ML_PG_FLOAT8:
        return n == 4 || n == 8 ? read_float(bytes, n) : 0;
    case ML_PG_NUMERIC:
        return numeric_real(bytes, n);
    default:
        return (double)ml_pg_int(type, bytes, n);
    }
}

/* ---- text ---- */

/* A stray byte b (128 to 255) as F4 8F, BE or BF, and its lower six bits. */
static bool is_stray_at(const char *text, size_t n)
{
    return n >= 4 && memcmp(text, "\xf4\x8f", 2) == 0 && (text[2] == '\xbe' || text[2] == '\xbf');
}

bool ml_pg_text_is_escaped(const char *text, size_t n)
{
    for (const char *at = text; (at = memchr(at, 0xf4, n - (size_t)(at - text))); at++)
        if (is_stray_at(at, n - (size_t)(at - text)))
            return true;
    return false;
}

bool ml_pg_text_is_plain(const char *text, size_t n)
{
    return ml_utf8_valid(text, n) && !ml_pg_text_is_escaped(text, n);
}

char *ml_pg_text_escape(struct ml_arena *arena, const char *text, size_t n)
{
    char *out = ml_arena_alloc(arena, 4 * n + 1), *to = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < n;) {
        uint32_t codepoint;
        size_t length = ml_utf8_decode(text + i, n - i, &codepoint);
        if (length && !is_stray_at(text + i, n - i)) {
            memcpy(to, text + i, length);
            to += length;
            i += length;
            continue;
        }
        for (size_t left = length ? length : 1; left > 0; left--, i++) {
            unsigned byte = (unsigned char)text[i];
            *to++ = '\xf4';
            *to++ = '\x8f';
            *to++ = (char)(byte & 0x40 ? 0xbf : 0xbe);
            *to++ = (char)(0x80 | (byte & 0x3f));
        }
    }
    *to = '\0';
    return out;
}

char *ml_pg_text_unescape(struct ml_arena *arena, const char *text, size_t n)
{
    char *out = ml_arena_alloc(arena, n + 1), *to = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < n;) {
        if (is_stray_at(text + i, n - i)) {
            *to++ = (char)((text[i + 2] == '\xbf' ? 0xc0 : 0x80) | (text[i + 3] & 0x3f));
            i += 4;
        } else {
            *to++ = text[i++];
        }
    }
    *to = '\0';
    return out;
}
