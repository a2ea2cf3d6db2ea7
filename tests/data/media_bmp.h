/* A picture and a sound that decoders take, made by hand. */
#ifndef ML_TESTS_MEDIA_BMP_H
#define ML_TESTS_MEDIA_BMP_H

#include <stdint.h>
#include <string.h>

#include "base/arena.h"

static inline void put_little(unsigned char *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

/* A bitmap of 24 bits; rgb is [height, width, 3], width a multiple of 4. */
static inline void media_bmp(struct ml_buffer *out, const unsigned char *rgb, int width, int height)
{
    unsigned char head[54] = "BM";
    size_t row = (size_t)width * 3;
    put_little(head + 2, (uint32_t)(54 + row * (size_t)height), 4);
    put_little(head + 10, 54, 4);
    put_little(head + 14, 40, 4);
    put_little(head + 18, (uint32_t)width, 4);
    put_little(head + 22, (uint32_t)height, 4);
    put_little(head + 26, 1, 2);
    put_little(head + 28, 24, 2);
    put_little(head + 34, (uint32_t)(row * (size_t)height), 4);
    out->size = 0;
    ml_buffer_put(out, head, sizeof head, NULL);
    for (int y = height - 1; y >= 0; y--) /* from the bottom up, in the order blue, green, red */
        for (int x = 0; x < width; x++) {
            const unsigned char *p = rgb + (size_t)y * row + 3 * (size_t)x;
            const unsigned char bgr[3] = {p[2], p[1], p[0]};
            ml_buffer_put(out, bgr, 3, NULL);
        }
}

/* samples: [frames, channels], 16 bits. */
static inline void media_wave(struct ml_buffer *out, const int16_t *samples, int frames,
                              int channels, int rate)
{
    unsigned char head[44] = "RIFF....WAVEfmt ", two[2];
    uint32_t bytes = (uint32_t)(2 * frames * channels);
    put_little(head + 4, 36 + bytes, 4);
    put_little(head + 16, 16, 4);
    put_little(head + 20, 1, 2);
    put_little(head + 22, (uint32_t)channels, 2);
    put_little(head + 24, (uint32_t)rate, 4);
    put_little(head + 28, (uint32_t)(2 * rate * channels), 4);
    put_little(head + 32, (uint32_t)(2 * channels), 2);
    put_little(head + 34, 16, 2);
    memcpy(head + 36, "data", 4);
    put_little(head + 40, bytes, 4);
    out->size = 0;
    ml_buffer_put(out, head, sizeof head, NULL);
    for (int i = 0; i < frames * channels; i++) {
        put_little(two, (uint16_t)samples[i], 2);
        ml_buffer_put(out, two, 2, NULL);
    }
}

#endif
