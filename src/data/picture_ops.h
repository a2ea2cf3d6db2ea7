/* Operations on pictures in place, RGB in bytes, [height, width, 3] without gaps: those that
 * AutoAugment and RandAugment are made of, with Pillow's meaning (the papers used it). */
#ifndef ML_DATA_PICTURE_OPS_H
#define ML_DATA_PICTURE_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

struct ml_pixels {
    uint8_t *rgb; /* [height, width, 3] */
    int width, height;
};

void ml_picture_flip(const struct ml_pixels *p); /* left becomes right */

/* ---- colours (picture_ops.c) ---- */

/* Each channel is stretched to 0 ... 255. */
void ml_picture_autocontrast(const struct ml_pixels *p);
/* Each channel's histogram is made even. */
void ml_picture_equalize(const struct ml_pixels *p);
/* Only the highest bits stay, 1 ... 8. */
void ml_picture_posterize(const struct ml_pixels *p, int bits);
/* Values from the threshold (0 ... 256) on are inverted. */
void ml_picture_solarize(const struct ml_pixels *p, int threshold);
/* A factor of 1 changes nothing; 0 gives black, grey, one grey, blurred. Above 1 goes the other
 * way. */
void ml_picture_brightness(const struct ml_pixels *p, float factor);
void ml_picture_colour(const struct ml_pixels *p, float factor);
void ml_picture_contrast(const struct ml_pixels *p, float factor);
int ml_picture_sharpness(const struct ml_pixels *p, float factor, struct ml_error *err);
/* Turns the hue by `turns` of the circle, in YIQ's plane of colours. */
void ml_picture_hue(const struct ml_pixels *p, float turns);

/* ---- shapes (picture_warp.c) ---- */

/* Where the pixel at (x, y) of the result comes from: (a x + b y + c, d x + e y + f), in pixels
 * with centres at .5; between pixels bilinear, outside `fill`. */
struct ml_warp {
    double a, b, c, d, e, f;
};
int ml_picture_warp(const struct ml_pixels *p, const struct ml_warp *warp, const uint8_t fill[3],
                    struct ml_error *err);
/* About the centre, by degrees against the clock. */
struct ml_warp ml_warp_rotate(const struct ml_pixels *p, double degrees);
/* A part of `from` (x, y, width, height in pixels) stretched over all of `to`, bilinear with the
 * pixels that it covers averaged when it shrinks. */
struct ml_box {
    double x, y, width, height;
};
void ml_picture_crop(const struct ml_pixels *to, const struct ml_pixels *from,
                     const struct ml_box *box);

#endif
