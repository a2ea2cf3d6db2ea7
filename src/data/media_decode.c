#include "data/media_decode.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/child.h"

#define PATH_ROOM   1024
#define MAX_PICTURE ((uint64_t)256 << 20)
#define MAX_SOUND   ((uint64_t)512 << 20) /* and film */
#define SECONDS     120.0

bool ml_media_can_decode(void)
{
    char path[PATH_ROOM];
    return ml_child_find("ffmpeg", path, sizeof path);
}

/* Formats that are one file each: a playlist could name others. */
#define FORMATS                                                                                    \
    "aac,ac3,aiff,amr,ape,apng,asf,au,avi,bmp_pipe,caf,flac,flv,gif,gif_pipe,jpeg_pipe,"           \
    "jpegxl_pipe,matroska,mov,mp3,mpeg,mpegts,ogg,pam_pipe,pbm_pipe,pgm_pipe,png_pipe,ppm_pipe,"   \
    "qoi_pipe,tak,tiff_pipe,tta,w64,wav,webp_pipe,wv,yuv4mpegpipe"

static int run(struct ml_buffer *out, const char *const *last, const void *bytes, size_t n,
               uint64_t most, struct ml_error *err)
{
    static const char *const first[] = {"-v",         "error",
                                        "-nostdin",   "-threads",
                                        "1",          "-filter_threads",
                                        "1",          "-protocol_whitelist",
                                        "file,pipe",  "-format_whitelist",
                                        FORMATS,      "-i",
                                        "/dev/stdin", NULL};
    char path[PATH_ROOM];
    const char *arguments[48] = {path};
    size_t count = 1;
    struct ml_child_end end = {0};
    if (!ml_child_find("ffmpeg", path, sizeof path))
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "pictures and sound are measured by ffmpeg; install the package ffmpeg");
    for (size_t i = 0; first[i]; i++)
        arguments[count++] = first[i];
    for (size_t i = 0; last[i]; i++)
        arguments[count++] = last[i];
    const struct ml_child child = {.arguments = arguments,
                                   .input = bytes,
                                   .input_bytes = n,
                                   .seconds = SECONDS,
                                   .threads = true,
                                   .max_out_bytes = most};
    int status = ml_child_run(&child, out, &end, err);
    if (status)
        return status;
    if (end.late)
        return ml_fail(err, ML_ERR_LIMIT, "decoding it took more than %.0f s", SECONDS);
    if (end.large)
        return ml_fail(err, ML_ERR_LIMIT, "more than %llu MiB come out of it",
                       (unsigned long long)(most >> 20));
    if (end.signal)
        return ml_fail(err, ML_ERR_FORMAT, "decoding it ended with signal %d", end.signal);
    if (end.exit_code != 0 || out->size == 0) {
        /* A library of ffmpeg's says first that it may not lock memory. */
        static const char remark[] = "Warning: using insecure memory! ";
        size_t skip = strncmp(end.said, remark, sizeof remark - 1) == 0 ? sizeof remark - 1 : 0;
        return ml_fail(err, ML_ERR_FORMAT, "it cannot be decoded: %s",
                       end.said[skip] ? end.said + skip : "nothing is in it");
    }
    return 0;
}

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

static bool read_pixmap(struct ml_decoded_picture *p)
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

int ml_media_picture(struct ml_decoded_picture *out, const void *bytes, size_t n,
                     struct ml_error *err)
{
    static const char *const how[] = {"-frames:v", "1",  "-an",        "-pix_fmt", "rgb24", "-c:v",
                                      "ppm",       "-f", "image2pipe", "pipe:1",   NULL};
    struct ml_decoded_picture picture = {.rgb = NULL};
    int status = run(&picture.bytes, how, bytes, n, MAX_PICTURE, err);
    if (status == 0 && !read_pixmap(&picture))
        status = ml_fail(err, ML_ERR_FORMAT, "it cannot be decoded: no whole picture came out");
    if (status)
        ml_decoded_picture_clear(&picture);
    else
        *out = picture;
    return status;
}

void ml_decoded_picture_clear(struct ml_decoded_picture *picture)
{
    if (!picture)
        return;
    ml_buffer_clear(&picture->bytes);
    *picture = (struct ml_decoded_picture){0};
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
static size_t read_wave(const struct ml_buffer *b, int *channels, int *rate)
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

static int to_floats(struct ml_decoded_sound *sound, const struct ml_buffer *b,
                     struct ml_error *err)
{
    int channels, rate = 0;
    size_t at = read_wave(b, &channels, &rate);
    if (at == 0)
        return ml_fail(err, ML_ERR_FORMAT, "it cannot be decoded: no sound came out");
    const unsigned char *from = (const unsigned char *)b->data + at;
    size_t frames = (b->size - at) / 2 / (size_t)channels, n = frames * (size_t)channels;
    sound->samples = ml_mem_alloc((n ? n : 1) * sizeof *sound->samples);
    if (!sound->samples)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory decoding a sound");
    for (size_t i = 0; i < n; i++)
        sound->samples[i] = (float)(int16_t)little(from + 2 * i, 2) / 32768;
    sound->span = (struct ml_sound_span){sound->samples, frames, channels, rate};
    return 0;
}

int ml_media_sound(struct ml_decoded_sound *out, const void *bytes, size_t n, struct ml_error *err)
{
    static const char *const how[] = {"-vn",       "-map", "0:a:0", "-c:a",   "pcm_s16le",
                                      "-bitexact", "-f",   "wav",   "pipe:1", NULL};
    struct ml_buffer wave = {0};
    struct ml_decoded_sound sound = {0};
    int status = run(&wave, how, bytes, n, MAX_SOUND, err);
    if (status == 0)
        status = to_floats(&sound, &wave, err);
    ml_buffer_clear(&wave);
    if (status == 0)
        *out = sound;
    return status;
}

void ml_decoded_sound_clear(struct ml_decoded_sound *sound)
{
    if (!sound)
        return;
    ml_mem_free(sound->samples);
    *sound = (struct ml_decoded_sound){0};
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
static bool read_frames(struct ml_decoded_film *film)
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

#define TEXT(x)  #x
#define VALUE(x) TEXT(x)

int ml_media_film(struct ml_decoded_film *out, const void *bytes, size_t n, struct ml_error *err)
{
    static const char *const how[] = {"-an",
                                      "-map",
                                      "0:V:0",
                                      "-t",
                                      VALUE(ML_MEDIA_FILM_SECONDS),
                                      "-vf",
                                      "fps=" VALUE(ML_MEDIA_FILM_RATE) ",scale=160:-2,format=gray",
                                      "-strict",
                                      "-1",
                                      "-f",
                                      "yuv4mpegpipe",
                                      "pipe:1",
                                      NULL};
    struct ml_decoded_film film = {.frames = {.count = 0}};
    int status = run(&film.bytes, how, bytes, n, MAX_SOUND, err);
    if (status == 0 && !read_frames(&film))
        status = ml_fail(err, ML_ERR_FORMAT, "it cannot be decoded: no film came out");
    if (status)
        ml_decoded_film_clear(&film);
    else
        *out = film;
    return status;
}

void ml_decoded_film_clear(struct ml_decoded_film *film)
{
    if (!film)
        return;
    ml_buffer_clear(&film->bytes);
    *film = (struct ml_decoded_film){0};
}
