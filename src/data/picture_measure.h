/* What can be measured of one picture, to sort and filter by. Plain arrays: nothing is decoded. */
#ifndef ML_DATA_PICTURE_MEASURE_H
#define ML_DATA_PICTURE_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

enum { ML_PICTURE_MEASURED = 512 }; /* pixels: the longer side at which sharpness is measured */

struct ml_picture_facts {
    int width, height;
    /* Variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
     * microscopy", ICPR 2000) of luma 0..255, scaled down by area means until the longer side is at
     * most 512, so that a picture and its enlargement measure alike. Below some 100: blurred or
     * plain. 0 for pictures of less than 3 x 3. */
    double sharpness;
    double mean, contrast; /* of luma 0..1; contrast is the standard deviation */
    double dark, bright;   /* shares of pixels with luma below 16, above 239 of 255 */
};

/* rgb is [height, width, 3], 8 bit, tightly packed. Luma is that of BT.601. */
int ml_picture_measure(struct ml_picture_facts *out, const uint8_t *rgb, int width, int height,
                       struct ml_error *err);

#endif
