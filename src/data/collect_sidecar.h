/* Notes beside media: photo.jpg and photo.txt (or .json, .caption) are a picture and its caption,
 * voice.wav and voice.txt (or .lab) a sound and its transcript. */
#ifndef ML_DATA_COLLECT_SIDECAR_H
#define ML_DATA_COLLECT_SIDECAR_H

#include <stdbool.h>

#include "base/json.h"

#define ML_SIDECAR_MAX_BYTES 16384 /* a longer text is a text of its own */

bool ml_sidecar_is_media(const char *uri); /* by its ending */
bool ml_sidecar_is_note(const char *uri);
/* The path up to the last dot is the same. */
bool ml_sidecar_belong(const char *a, const char *b);

/* Adds what the note says of the media file: "caption" or "transcript", and the plain fields of a
 * JSON object. A note that cannot be read adds nothing. */
int ml_sidecar_add(json_t *meta, const char *media, const char *note, const char *bytes, size_t n,
                   struct ml_error *err);

/* Endings of notes, NULL behind the last. */
extern const char *const ml_sidecar_endings[];

#endif
