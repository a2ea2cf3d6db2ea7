/* What can be measured of a film by its frames: where it is cut, how much moves, what is black or
 * stands still. Small frames (160 pixels wide, ten a second) are enough.
 *
 * Two frames differ by the mean of two measures: half the L1 distance of their luma histograms (32
 * bins), and four times the mean difference of 8 x 8 block means, at most 1. Between two frames is
 * a cut when they differ by at least 0.25; by twice what the frames right before and right after
 * them do, and three times the median of the four differences before and the four after (a
 * hand-held film, or something that is pulled through the picture, changes over several frames);
 * and when none of the two frames before is like one of the two after: a flash comes back and is no
 * cut, and a fade is none, for no single step of it stands out. */
#ifndef ML_DATA_FILM_MEASURE_H
#define ML_DATA_FILM_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

struct ml_film_frames {
    const uint8_t *luma; /* [count, height, width] */
    size_t count;
    int width, height; /* 8 to 4,096 */
    double rate;       /* frames a second */
};

struct ml_film_facts {
    double seconds;
    size_t cuts;
    size_t first_cut; /* the first frame after the first cut; 0: none */
    double motion;    /* mean difference of pixels of frames that follow each other, 0..1, not over
                         cuts */
    double black;     /* share of frames: mean luma below 0.06 */
    double frozen;    /* share of frames in runs of half a second or more that differ by < 0.001 */
};

int ml_film_measure(struct ml_film_facts *out, const struct ml_film_frames *film,
                    struct ml_error *err);

#endif
