#include "data/picture_measure.h"

#include <math.h>

#include "base/arena.h"
#include "base/fail.h"
#include "data/picture_luma.h"

/* Mean, contrast, shares of dark and bright pixels. */
static void measure_levels(struct ml_picture_facts *f, const uint8_t *rgb, size_t n)
{
    uint64_t counts[256] = {0}, dark = 0, bright = 0;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++, rgb += 3)
        counts[(rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16]++;
    for (int v = 0; v < 256; v++) {
        double luma = v / 255.0, count = (double)counts[v];
        sum += count * luma;
        squares += count * luma * luma;
        dark += v < 16 ? counts[v] : 0;
        bright += v > 239 ? counts[v] : 0;
    }
    double pixels = (double)n, variance;
    f->mean = sum / pixels;
    variance = squares / pixels - f->mean * f->mean;
    f->contrast = variance > 0 ? sqrt(variance) : 0;
    f->dark = (double)dark / pixels;
    f->bright = (double)bright / pixels;
}

static double laplacian_variance(const float *luma, int width, int height)
{
    double sum = 0, squares = 0, count = (double)(width - 2) * (height - 2);
    for (int y = 1; y + 1 < height; y++)
        for (int x = 1; x + 1 < width; x++) {
            const float *at = luma + (size_t)y * (size_t)width + (size_t)x;
            double v = (double)at[-1] + at[1] + at[-width] + at[width] - 4.0 * at[0];
            sum += v;
            squares += v * v;
        }
    return squares / count - sum / count * (sum / count);
}

static int measure_sharpness(double *out, const uint8_t *rgb, int width, int height,
                             struct ml_error *err)
{
    int longer = width > height ? width : height;
    double scale = longer > ML_PICTURE_MEASURED ? (double)ML_PICTURE_MEASURED / longer : 1;
    int w = (int)lround(width * scale), h = (int)lround(height * scale);
    *out = 0;
    if (w < 3 || h < 3)
        return 0;
    float *luma = ml_mem_alloc((size_t)w * (size_t)h * sizeof *luma);
    if (!luma)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory measuring a picture");
    int status = ml_luma_scale(luma, w, h, rgb, width, height, err);
    if (status == 0)
        *out = laplacian_variance(luma, w, h);
    ml_mem_free(luma);
    return status;
}

int ml_picture_measure(struct ml_picture_facts *out, const uint8_t *rgb, int width, int height,
                       struct ml_error *err)
{
    struct ml_picture_facts facts = {.width = width, .height = height};
    int status = ml_picture_sides(width, height, err);
    if (status == 0)
        status = measure_sharpness(&facts.sharpness, rgb, width, height, err);
    if (status)
        return status;
    measure_levels(&facts, rgb, (size_t)width * (size_t)height);
    *out = facts;
    return 0;
}
