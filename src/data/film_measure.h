/* What can be measured of one film, frame by frame: where it is cut, how much moves, what is black
 * or stands still. Plain arrays: nothing is decoded. Small frames (160 pixels wide) are enough.
 *
 * Two frames differ by the mean of two measures: half the L1 distance of their luma histograms (32
 * bins), and four times the mean difference of 8 x 8 block means, at most 1. Between two frames is
 * a cut when they differ by at least 0.15, by three times the median over the four differences
 * before and the four after (so that a hand-held or fast film needs more), and when none of the
 * four frames before is like one of the four after: a flash comes back and is no cut, and a fade is
 * none, for no single step of it stands out. */
#ifndef ML_DATA_FILM_MEASURE_H
#define ML_DATA_FILM_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

enum { ML_FILM_CUTS = 4096 }; /* cuts whose times are kept */
enum { ML_FILM_SIDE = 4096 }; /* pixels: the longest side */

struct ml_film_facts {
    size_t frames;
    double seconds; /* from the first frame to the end of the last, that as long as the others */
    size_t cuts;    /* all; of the first ML_FILM_CUTS the times are kept */
    double *cut_seconds; /* [min(cuts, ML_FILM_CUTS)]: the time of the first frame after the cut */
    double motion;       /* mean difference of pixels of successive frames, 0..1, not over cuts */
    double black;        /* share of frames: mean luma < 0.06, and >= 98% of pixels below 0.1 */
    double frozen; /* share of frames in runs of half a second or more that differ by < 0.001 */
};

/* Zero-initialise, then init, feed every frame, finish, clear. */
struct ml_film_measure {
    struct ml_film_state *state;
};
int ml_film_measure_init(struct ml_film_measure *film, int width, int height, struct ml_error *err);
/* luma is [height, width]; seconds must not go back. */
int ml_film_measure_feed(struct ml_film_measure *film, const uint8_t *luma, double seconds,
                         struct ml_error *err);
/* Once, at the end. */
int ml_film_measure_finish(struct ml_film_measure *film, struct ml_film_facts *out,
                           struct ml_error *err);
void ml_film_measure_clear(struct ml_film_measure *film); /* accepts NULL */
void ml_film_facts_clear(struct ml_film_facts *facts);    /* accepts NULL */

#endif
