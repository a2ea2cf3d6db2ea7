/* Long recordings to pieces to train on: cut where nothing is said.
 *
 * 1. Frames of 10 ms are silent or not (sound_measure.h says under which level). Runs of silent
 *    frames of at least least_silence are silences; what lies between is speech.
 * 2. Every silence is a cut in its middle; of one longer than a second each side keeps half a
 *    second and the rest is left out. Silence at both ends of the sound is left out the same way.
 * 3. A piece shorter than `least` is joined to the neighbour across the shorter silence, from the
 *    shortest silence on, if both together are no longer than `most`.
 * 4. A piece longer than `most` is cut at the quietest 50 ms that lie between `least` and `most`
 * from its start and at least `least` from its end (of equals at the last), and so is what is left.
 * 5. What is still shorter than `least` is dropped. */
#ifndef ML_DATA_SOUND_SPLIT_H
#define ML_DATA_SOUND_SPLIT_H

#include <stddef.h>

#include "data/sound_measure.h"

struct ml_sound_split_options {
    double least, most;   /* seconds of a piece; 0: 3 and 30. most must be at least 2 * least */
    double silence_db;    /* below is silence; 0: by the sound itself (ml_sound_silence) */
    double least_silence; /* seconds; 0: 0.3 */
};

struct ml_sound_piece {
    size_t start, end; /* sample frames, end not included */
};

struct ml_sound_pieces {
    struct ml_sound_piece *items;
    size_t count;
};

/* In order, not overlapping. options may be NULL. */
int ml_sound_split(struct ml_sound_pieces *out, const struct ml_sound_span *sound,
                   const struct ml_sound_split_options *options, struct ml_error *err);
void ml_sound_pieces_clear(struct ml_sound_pieces *pieces); /* accepts NULL */

#endif
