/* Luma of RGB pictures, and what is smaller: for measures and hashes. */
#ifndef ML_DATA_PICTURE_LUMA_H
#define ML_DATA_PICTURE_LUMA_H

#include <stdint.h>

#include "maliang/error.h"

enum { ML_PICTURE_SIDE = 65535 }; /* pixels: the longest side that is looked at */

/* BT.601 in 256ths, rounded: 0..255. */
static inline uint8_t ml_luma(const uint8_t rgb[3])
{
    return (uint8_t)((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8);
}

int ml_picture_check(const uint8_t *rgb, int width, int height, struct ml_error *err);
/* out: [out_height, out_width], 0..255, each the mean of luma over its share of the picture, parts
 * of pixels by their area. No side of out may be longer than the picture's, unless the picture is
 * the smaller one: then pixels are repeated by area. counts[256] of luma are added up, if not NULL.
 */
int ml_picture_luma(float *out, int out_width, int out_height, const uint8_t *rgb, int width,
                    int height, struct ml_error *err);

#endif
