/* Variants of pictures to train on. Zero in a plan means: not done.
 *
 * Sources: RandAugment (Cubuk et al. 2019), TrivialAugment (Mueller & Hutter 2021), MixUp (Zhang et
 * al. 2017), CutMix (Yun et al. 2019), random erasing (Zhong et al. 2017). */
#ifndef ML_DATA_AUGMENT_PICTURE_H
#define ML_DATA_AUGMENT_PICTURE_H

#include <stdbool.h>

#include "base/rng.h"
#include "data/augment.h"
#include "data/picture_ops.h"

struct ml_picture_plan {
    double flip; /* chance */
    double crop; /* least share of the area that a crop keeps, in (0, 1); its sides are 3:4 to
                    4:3 of the picture's own, and it is stretched to the picture's size */
    double brightness, contrast, colour; /* factors are drawn from 1 - v to 1 + v */
    double hue;                          /* turns of the circle, up to 0.5 either way */
    int operations; /* of RandAugment, drawn with replacement; 2 in the paper */
    int magnitude;  /* of them, 1 to 30; 0: 9 */
    bool trivial;   /* one operation of random strength instead */
    double erase;   /* chance that a box of 2 to 33% of the area is filled with noise */
};

/* In place. ML_ERR_STATE: not the split to train on. ML_ERR_ARG: a plan outside its ranges. */
int ml_augment_picture(const struct ml_pixels *picture, const struct ml_picture_plan *plan,
                       enum ml_augment_split split, struct ml_rng *rng, struct ml_error *err);

/* The names of RandAugment's operations, for messages and tests. */
#define ML_PICTURE_OPERATIONS 14
const char *ml_picture_operation_name(int operation);
/* One of them: strength 0 ... 1 of its range (shear to 0.3, shift to 0.45 of the side, turn to 30
 * degrees, factors to 1 +- 0.9, 8 to 4 bits, threshold 256 to 0), negative where it has two
 * directions. */
int ml_picture_operate(const struct ml_pixels *picture, int operation, double strength,
                       struct ml_error *err);

/* MixUp: into a, `share` of a and the rest of b; both have the same size. The share, drawn from
 * Beta(alpha, alpha), is how much of a's label counts. */
int ml_augment_mixup(const struct ml_pixels *a, const struct ml_pixels *b, double alpha,
                     enum ml_augment_split split, struct ml_rng *rng, double *share,
                     struct ml_error *err);
/* CutMix: a box of b into a. *share is what is left of a. */
int ml_augment_cutmix(const struct ml_pixels *a, const struct ml_pixels *b, double alpha,
                      enum ml_augment_split split, struct ml_rng *rng, double *share,
                      struct ml_error *err);

#endif
