#include "data/picture_luma.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"

int ml_picture_sides(int width, int height, struct ml_error *err)
{
    if (width >= 1 && height >= 1 && width <= ML_PICTURE_SIDE && height <= ML_PICTURE_SIDE)
        return 0;
    return ml_fail(err, ML_ERR_ARG, "a picture of %d x %d pixels: each side has 1 to %d", width,
                   height, ML_PICTURE_SIDE);
}

/* How much of [i, i + 1) lies in [from, to). */
static double cover(double from, double to, int i)
{
    double low = from > i ? from : i, high = to < i + 1 ? to : i + 1;
    return high > low ? high - low : 0;
}

/* One row to out_width means. */
static void scale_row(float *out, int out_width, const uint8_t *rgb, int width)
{
    double step = (double)width / out_width;
    for (int x = 0; x < out_width; x++) {
        double from = x * step, to = (x + 1) * step, sum = 0;
        for (int i = (int)from; i < width && i < to; i++) {
            const uint8_t *p = rgb + 3 * (size_t)i;
            sum += cover(from, to, i) * (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]);
        }
        out[x] = (float)(sum / step);
    }
}

int ml_luma_scale(float *out, int out_width, int out_height, const uint8_t *rgb, int width,
                  int height, struct ml_error *err)
{
    int status = ml_picture_sides(width, height, err);
    if (status == 0)
        status = ml_picture_sides(out_width, out_height, err);
    if (status)
        return status;
    double step = (double)height / out_height;
    float *row = ml_mem_alloc((size_t)out_width * sizeof *row);
    if (!row)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory measuring a picture");
    memset(out, 0, (size_t)out_width * (size_t)out_height * sizeof *out);
    for (int i = 0; i < height; i++) {
        scale_row(row, out_width, rgb + (size_t)i * (size_t)width * 3, width);
        /* The rows of the result that this one is part of. */
        int first = (int)(i / step), last = (int)ceil((i + 1) / step);
        for (int y = first > 0 ? first - 1 : 0; y <= last && y < out_height; y++) {
            float weight = (float)(cover(y * step, (y + 1) * step, i) / step);
            for (int x = 0; weight > 0 && x < out_width; x++)
                out[(size_t)y * (size_t)out_width + (size_t)x] += weight * row[x];
        }
    }
    ml_mem_free(row);
    return 0;
}
