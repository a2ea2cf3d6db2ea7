/* Pictures and sound to plain numbers, by the program ffmpeg (Debian's package ffmpeg) locked up as
 * data/child.h says: it sees the bytes and writes the numbers, and can do nothing else. That costs
 * some hundredths of a second a file, links nothing, and a file that breaks it breaks nothing here.
 */
#ifndef ML_DATA_MEDIA_DECODE_H
#define ML_DATA_MEDIA_DECODE_H

#include <stdbool.h>

#include "base/arena.h"
#include "data/film_measure.h"
#include "data/sound_measure.h"

/* Whether ffmpeg is installed. */
bool ml_media_can_decode(void);

struct ml_decoded_picture {
    struct ml_buffer bytes;   /* what came out */
    const unsigned char *rgb; /* [height, width, 3], in bytes */
    int width, height;
};
/* The first picture that is in it. ML_ERR_FORMAT: damaged or no picture; ML_ERR_LIMIT: too large
 * (256 MiB of RGB) or too slow; ML_ERR_UNSUPPORTED: no ffmpeg, or it cannot be locked up. */
int ml_media_picture(struct ml_decoded_picture *out, const void *bytes, size_t n,
                     struct ml_error *err);
void ml_decoded_picture_clear(struct ml_decoded_picture *picture); /* accepts NULL */

struct ml_decoded_sound {
    float *samples;            /* [frames, channels], owned */
    struct ml_sound_span span; /* borrows samples */
};
/* The first sound that is in it, at its own rate, as 16 bits; errors as above (512 MiB). */
int ml_media_sound(struct ml_decoded_sound *out, const void *bytes, size_t n, struct ml_error *err);
void ml_decoded_sound_clear(struct ml_decoded_sound *sound); /* accepts NULL */

#define ML_MEDIA_FILM_RATE    10  /* frames a second that are looked at */
#define ML_MEDIA_FILM_SECONDS 900 /* from the beginning */
struct ml_decoded_film {
    struct ml_buffer bytes;       /* what came out */
    struct ml_film_frames frames; /* borrows from it; 160 pixels wide */
};
/* The luma of the first film that is in it; errors as above. What lies behind ML_MEDIA_FILM_SECONDS
 * is not looked at. */
int ml_media_film(struct ml_decoded_film *out, const void *bytes, size_t n, struct ml_error *err);
void ml_decoded_film_clear(struct ml_decoded_film *film); /* accepts NULL */

#endif
