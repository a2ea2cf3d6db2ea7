/* Luma of RGB pictures, and smaller ones of it: for measures and hashes. */
#ifndef ML_DATA_PICTURE_LUMA_H
#define ML_DATA_PICTURE_LUMA_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

enum { ML_PICTURE_SIDE = 65535 }; /* pixels: the longest side that is looked at */

struct ml_picture_span {
    const uint8_t *rgb; /* [height, width, 3] */
    int width, height;
};

/* out: [out_height, out_width], 0..255, each the mean of luma (BT.601) over its share of the
 * picture, parts of pixels by their area; out may be larger than the picture too. counts: how many
 * pixels have each luma, rounded to 0..255; may be NULL. */
int ml_picture_luma(float *out, int out_width, int out_height, const struct ml_picture_span *in,
                    size_t counts[256], struct ml_error *err);

#endif
