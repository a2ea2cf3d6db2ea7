/* The parts of media_probe. Each fills in what its header tells; false: not sound, and why. */
#ifndef ML_DATA_MEDIA_IMPL_H
#define ML_DATA_MEDIA_IMPL_H

#include "data/media_bytes.h"
#include "data/media_probe.h"

typedef bool ml_media_fn(struct ml_span file, struct ml_media *out, const char **why);

ml_media_fn ml_media_png, ml_media_jpeg, ml_media_gif, ml_media_webp, ml_media_bmp, ml_media_tiff;
ml_media_fn ml_media_wav, ml_media_flac, ml_media_mp3, ml_media_ogg;
ml_media_fn ml_media_mp4, ml_media_matroska;

#endif
