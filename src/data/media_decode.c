#include "data/media_decode.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/child.h"
#include "data/media_answer.h"

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

/* ---- pictures ---- */

int ml_media_picture(struct ml_decoded_picture *out, const void *bytes, size_t n,
                     struct ml_error *err)
{
    static const char *const how[] = {"-frames:v", "1",  "-an",        "-pix_fmt", "rgb24", "-c:v",
                                      "ppm",       "-f", "image2pipe", "pipe:1",   NULL};
    struct ml_decoded_picture picture = {.rgb = NULL};
    int status = run(&picture.bytes, how, bytes, n, MAX_PICTURE, err);
    if (status == 0 && !ml_answer_pixmap(&picture))
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

/* ---- sound ---- */

static uint32_t little(const unsigned char *b, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)b[i] << 8 * i;
    return value;
}

static int to_floats(struct ml_decoded_sound *sound, const struct ml_buffer *b,
                     struct ml_error *err)
{
    int channels, rate = 0;
    size_t at = ml_answer_wave(b, &channels, &rate);
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

/* ---- films ---- */

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
    if (status == 0 && !ml_answer_frames(&film))
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
