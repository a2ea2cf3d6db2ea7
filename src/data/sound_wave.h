/* Sound as a file: RIFF WAVE with 16 bits a sample. */
#ifndef ML_DATA_SOUND_WAVE_H
#define ML_DATA_SOUND_WAVE_H

#include "base/arena.h"
#include "data/sound_split.h"

#define ML_WAVE_HEAD 44 /* bytes before the samples */

/* Appends the file of one piece of a sound; what is beyond -1..1 is cut off. ML_ERR_LIMIT: 4 GiB
 * and more. */
int ml_wave_put(struct ml_buffer *out, const struct ml_sound_span *sound,
                const struct ml_sound_piece *piece, struct ml_error *err);

#endif
