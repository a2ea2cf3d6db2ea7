/* The brightness of a picture, at any size. */
#ifndef ML_DATA_PICTURE_LUMA_H
#define ML_DATA_PICTURE_LUMA_H

#include <stdint.h>

#include "maliang/error.h"

enum { ML_PICTURE_SIDE = 65535 }; /* pixels: the longest side */

/* Luma of ITU-R BT.601, 0 ... 255, of [height, width, 3] bytes, as means over areas: out is
 * [out_height, out_width]. ML_ERR_ARG: a side outside 1 ... ML_PICTURE_SIDE. */
int ml_luma_scale(float *out, int out_width, int out_height, const uint8_t *rgb, int width,
                  int height, struct ml_error *err);
int ml_picture_sides(int width, int height, struct ml_error *err);

#endif
