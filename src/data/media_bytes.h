/* Numbers out of untrusted bytes: what lies outside is 0, so that a header which is cut off is a
 * header that makes no sense, and no reader needs a check for each field. */
#ifndef ML_DATA_MEDIA_BYTES_H
#define ML_DATA_MEDIA_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ml_span {
    const uint8_t *data;
    size_t n;
};

static inline uint32_t ml_span_u8(struct ml_span s, size_t at)
{
    return at < s.n ? s.data[at] : 0;
}

static inline uint64_t ml_span_be(struct ml_span s, size_t at, int bytes)
{
    uint64_t value = 0;
    if (at > s.n || s.n - at < (size_t)bytes)
        return 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | s.data[at + (size_t)i];
    return value;
}

static inline uint64_t ml_span_le(struct ml_span s, size_t at, int bytes)
{
    uint64_t value = 0;
    if (at > s.n || s.n - at < (size_t)bytes)
        return 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | s.data[at + (size_t)i];
    return value;
}

static inline bool ml_span_is(struct ml_span s, size_t at, const char *word, size_t n)
{
    return at <= s.n && s.n - at >= n && memcmp(s.data + at, word, n) == 0;
}

/* At most n bytes from `at`; empty when that lies outside. */
static inline struct ml_span ml_span_part(struct ml_span s, uint64_t at, uint64_t n)
{
    if (at >= s.n)
        return (struct ml_span){s.data, 0};
    return (struct ml_span){s.data + at, n < s.n - at ? (size_t)n : s.n - (size_t)at};
}

#endif
