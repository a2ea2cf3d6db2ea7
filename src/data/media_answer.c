#include "data/media_answer.h"

#include <string.h>

/* ---- pictures: a portable pixmap, "P6 WIDTH HEIGHT 255" and the bytes ---- */

static bool read_number(const struct ml_buffer *b, size_t *at, int *out)
{
    long value = 0;
    while (*at < b->size && strchr(" \n", b->data[*at]))
        ++*at;
    size_t first = *at;
    for (; *at < b->size && b->data[*at] >= '0' && b->data[*at] <= '9' && *at - first < 9; ++*at)
        value = value * 10 + (b->data[*at] - '0');
    *out = (int)value;
    return *at > first;
}

bool ml_answer_pixmap(struct ml_decoded_picture *p)
{
    const struct ml_buffer *b = &p->bytes;
    size_t at = 2;
    int most = 0;
    if (b->size < 3 || memcmp(b->data, "P6", 2) != 0 || !read_number(b, &at, &p->width) ||
        !read_number(b, &at, &p->height) || !read_number(b, &at, &most) || most != 255)
        return false;
    at++; /* one blank */
    p->rgb = (const unsigned char *)b->data + at;
    return p->width > 0 && p->height > 0 && b->size >= at &&
           (b->size - at) / 3 / (size_t)p->width >= (size_t)p->height;
}

/* ---- sound: a RIFF whose last part, "data", goes to the end of the pipe ---- */

static uint32_t little(const unsigned char *b, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)b[i] << 8 * i;
    return value;
}

/* Channels, rate, and where the samples begin; 0: not such a file. */
size_t ml_answer_wave(const struct ml_buffer *b, int *channels, int *rate)
{
    const unsigned char *bytes = (const unsigned char *)b->data;
    *channels = 0;
    if (b->size < 12 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0)
        return 0;
    for (size_t at = 12; at + 8 <= b->size;) {
        uint32_t size = little(bytes + at + 4, 4);
        if (memcmp(bytes + at, "data", 4) == 0)
            return *channels > 0 ? at + 8 : 0;
        if (memcmp(bytes + at, "fmt ", 4) == 0 && size >= 16 && b->size - at >= 24) {
            *channels = (int)little(bytes + at + 10, 2);
            *rate = (int)little(bytes + at + 12, 4);
        }
        if (size > b->size - at - 8)
            return 0;
        at += 8 + (size_t)size + (size & 1);
    }
    return 0;
}

/* ---- films: YUV4MPEG2, luma alone: "YUV4MPEG2 W160 H90 F10:1 ... Cmono", then frames ---- */

#define FRAME "FRAME\n"

static int field_of(const char *line, size_t n, char name)
{
    for (size_t i = 1; i < n; i++)
        if (line[i] == name && line[i - 1] == ' ') {
            int value = 0;
            for (i++; i < n && line[i] >= '0' && line[i] <= '9' && value < 100000; i++)
                value = value * 10 + (line[i] - '0');
            return value;
        }
    return 0;
}

/* Moves the frames together, without what stands between them. */
bool ml_answer_frames(struct ml_decoded_film *film)
{
    struct ml_buffer *b = &film->bytes;
    const char *end = b->size ? memchr(b->data, '\n', b->size) : NULL;
    size_t line = end ? (size_t)(end - b->data) : 0, mark = strlen(FRAME), to = 0;
    int width = field_of(b->data, line, 'W'), height = field_of(b->data, line, 'H');
    if (line < 10 || memcmp(b->data, "YUV4MPEG2", 9) != 0 || width < 1 || height < 1)
        return false;
    size_t frame = (size_t)width * (size_t)height, count = 0;
    for (size_t at = line + 1; b->size - at >= mark + frame; at += mark + frame, count++) {
        if (memcmp(b->data + at, FRAME, mark) != 0)
            return false;
        memmove(b->data + to, b->data + at + mark, frame);
        to += frame;
    }
    film->frames = (struct ml_film_frames){.luma = (const uint8_t *)b->data,
                                           .count = count,
                                           .width = width,
                                           .height = height,
                                           .rate = ML_MEDIA_FILM_RATE};
    return count > 0;
}
