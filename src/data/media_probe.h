/* What the headers of pictures, sounds and films say: size, length, rate. Nothing is decoded; the
 * record is the file as it is.
 *
 * Pictures: PNG, JPEG, GIF, WebP, BMP, TIFF. Sounds: WAV, FLAC, MP3, Ogg (Vorbis, Opus, FLAC).
 * Films, or sounds without a picture: MP4 and MOV, Matroska and WebM, Ogg (Theora). */
#ifndef ML_DATA_MEDIA_PROBE_H
#define ML_DATA_MEDIA_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

#define ML_MEDIA_MAX_PIXELS ((uint64_t)1 << 31)

struct ml_media {
    const char *kind;       /* "image", "audio", "video" */
    const char *type;       /* "image/png" ... */
    uint32_t width, height; /* pixels; 0: not a picture, or not told */
    double seconds;         /* 0: not told */
    uint32_t rate;          /* samples a second; 0: not told */
    uint32_t channels;
};
/* ML_ERR_FORMAT: none of these formats, damaged, or a picture of more pixels than its bytes can
 * hold. `uri` is for messages. */
int ml_media_probe(struct ml_media *out, const char *uri, const void *bytes, size_t n,
                   struct ml_error *err);

/* "image", "audio" or "video" by an ending; NULL: none of them. */
const char *ml_media_kind(const char *ending, size_t n);
bool ml_looks_like_media(const char *bytes, size_t n);

#endif
