#include "data/picture_measure.h"

#include <math.h>

#include "base/arena.h"
#include "base/fail.h"
#include "data/picture_luma.h"

/* Of the Laplacian 0 1 0, 1 -4 1, 0 1 0 where all of it lies in the picture. */
static double laplacian_variance(const float *luma, int width, int height)
{
    double sum = 0, squares = 0;
    if (width < 3 || height < 3)
        return 0;
    for (int y = 1; y < height - 1; y++) {
        const float *row = luma + (size_t)y * (size_t)width;
        float row_sum = 0, row_squares = 0;
        for (int x = 1; x < width - 1; x++) {
            float v = row[x - 1] + row[x + 1] + row[x - width] + row[x + width] - 4 * row[x];
            row_sum += v;
            row_squares += v * v;
        }
        sum += row_sum;
        squares += row_squares;
    }
    double n = (double)(width - 2) * (height - 2);
    double variance = squares / n - sum / n * (sum / n);
    return variance > 0 ? variance : 0;
}

static void measure_counts(struct ml_picture_facts *facts, const size_t counts[256])
{
    double n = 0, sum = 0, squares = 0, dark = 0, bright = 0;
    for (int i = 0; i < 256; i++) {
        double c = (double)counts[i];
        n += c;
        sum += c * i;
        squares += c * i * i;
        dark += i < 16 ? c : 0;
        bright += i > 239 ? c : 0;
    }
    double mean = sum / n, variance = squares / n - mean * mean;
    facts->mean = mean / 255;
    facts->contrast = variance > 0 ? sqrt(variance) / 255 : 0;
    facts->dark = dark / n;
    facts->bright = bright / n;
}

/* The side that belongs to `side` when the longer one becomes ML_PICTURE_MEASURED. */
static int scaled_side(int side, int longer)
{
    if (longer <= ML_PICTURE_MEASURED)
        return side;
    int scaled = (int)(((int64_t)side * ML_PICTURE_MEASURED + longer / 2) / longer);
    return scaled > 0 ? scaled : 1;
}

int ml_picture_measure(struct ml_picture_facts *out, const uint8_t *rgb, int width, int height,
                       struct ml_error *err)
{
    struct ml_picture_span in = {rgb, width, height};
    struct ml_picture_facts facts = {.width = width, .height = height};
    size_t counts[256];
    int longer = width > height ? width : height;
    int w = scaled_side(width > 0 ? width : 1, longer);
    int h = scaled_side(height > 0 ? height : 1, longer);
    float *luma = ml_mem_alloc((size_t)w * (size_t)h * sizeof *luma);
    int status = luma ? ml_picture_luma(luma, w, h, &in, counts, err)
                      : ml_fail(err, ML_ERR_MEMORY, "out of memory measuring a picture");
    if (status == 0) {
        facts.sharpness = laplacian_variance(luma, w, h);
        measure_counts(&facts, counts);
        *out = facts;
    }
    ml_mem_free(luma);
    return status;
}
