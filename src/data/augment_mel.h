/* SpecAugment (Park et al. 2019): variants of spectrograms to train on. */
#ifndef ML_DATA_AUGMENT_MEL_H
#define ML_DATA_AUGMENT_MEL_H

#include <stddef.h>

#include "base/rng.h"
#include "data/augment.h"

/* Zero means default; negative: none of it. */
struct ml_mel_plan {
    int warp;                   /* W: the middle moves by up to so many frames; 80 */
    int bins;                   /* F: a mask hides up to so many bins; 27 */
    int frames;                 /* T: a mask hides up to so many frames; 100 */
    int bin_masks, frame_masks; /* 1 of each */
    double most;                /* p: a mask of frames hides at most this share of them; 1 */
};
struct ml_mel {
    float *values; /* [frames, bins] */
    int frames, bins;
};
/* In place; what is hidden becomes the mean of the whole. ML_ERR_STATE: not the split to train on.
 */
int ml_augment_mel(const struct ml_mel *mel, const struct ml_mel_plan *plan,
                   enum ml_augment_split split, struct ml_rng *rng, struct ml_error *err);

#endif
