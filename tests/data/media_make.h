/* Small pictures and sounds, header by header, for tests. */
#ifndef ML_TESTS_MEDIA_MAKE_H
#define ML_TESTS_MEDIA_MAKE_H

#include "scratch.h"

static inline void media_put(struct ml_buffer *out, const void *bytes, size_t n)
{
    struct ml_error err = {0};
    assert_ok(ml_buffer_put(out, bytes, n, &err), err);
}

static inline void media_word(struct ml_buffer *out, const char *word)
{
    media_put(out, word, strlen(word));
}

static inline void media_be(struct ml_buffer *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        uint8_t byte = i < 8 ? (uint8_t)(value >> (8 * i)) : 0;
        media_put(out, &byte, 1);
    }
}

static inline void media_le(struct ml_buffer *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        uint8_t byte = i < 8 ? (uint8_t)(value >> (8 * i)) : 0;
        media_put(out, &byte, 1);
    }
}

/* RGB; `data` bytes of (meaningless) picture; checksums are not looked at. */
static inline void media_png(struct ml_buffer *out, uint32_t width, uint32_t height, size_t data)
{
    media_put(out, "\x89PNG\r\n\x1a\n", 8);
    media_be(out, 13, 4);
    media_word(out, "IHDR");
    media_be(out, width, 4);
    media_be(out, height, 4);
    media_put(out, "\x08\x02\0\0\0", 5);
    media_be(out, 0, 4);
    media_be(out, data, 4);
    media_word(out, "IDAT");
    for (size_t i = 0; i < data; i++)
        media_be(out, i, 1);
    media_be(out, 0, 4);
    media_be(out, 0, 4);
    media_word(out, "IEND");
    media_be(out, 0, 4);
}

static inline void media_wav(struct ml_buffer *out, uint32_t rate, uint32_t samples)
{
    media_word(out, "RIFF");
    media_le(out, 36 + 2 * samples, 4);
    media_word(out, "WAVEfmt ");
    media_le(out, 16, 4);
    media_le(out, 1, 2);
    media_le(out, 1, 2);
    media_le(out, rate, 4);
    media_le(out, 2 * rate, 4);
    media_le(out, 2, 2);
    media_le(out, 16, 2);
    media_word(out, "data");
    media_le(out, 2 * samples, 4);
    for (uint32_t i = 0; i < samples; i++)
        media_le(out, i, 2);
}

#endif
