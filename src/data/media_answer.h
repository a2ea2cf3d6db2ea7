/* What ffmpeg writes when it decodes (data/media_decode.h). It is locked up because a file may take
 * it over; so what it says is not believed either. */
#ifndef ML_DATA_MEDIA_ANSWER_H
#define ML_DATA_MEDIA_ANSWER_H

#include "data/media_decode.h"

/* picture->bytes as a portable pixmap: sets rgb, width and height. false: it is none, or not whole.
 */
bool ml_answer_pixmap(struct ml_decoded_picture *picture);
/* Channels and rate of a RIFF WAVE of 16 bits, and where its samples begin; 0: it is none. */
size_t ml_answer_wave(const struct ml_buffer *bytes, int *channels, int *rate);
/* film->bytes as YUV4MPEG2 of luma alone: moves the frames together and sets film->frames. */
bool ml_answer_frames(struct ml_decoded_film *film);

#endif
