#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "data/picture_ops.h"

static int limit(int v, int n)
{
    return v < 0 ? 0 : v >= n ? n - 1 : v;
}

/* At (x, y), centres at .5; the border goes on outwards by half a pixel. */
static void sample(uint8_t out[3], const uint8_t *rgb, int width, int height, double x, double y)
{
    double left = floor(x - 0.5), top = floor(y - 0.5);
    double dx = x - 0.5 - left, dy = y - 0.5 - top;
    const size_t x0 = (size_t)limit((int)left, width), x1 = (size_t)limit((int)left + 1, width);
    const size_t y0 = (size_t)limit((int)top, height), y1 = (size_t)limit((int)top + 1, height);
    for (size_t c = 0; c < 3; c++) {
        double a = rgb[(y0 * (size_t)width + x0) * 3 + c],
               b = rgb[(y0 * (size_t)width + x1) * 3 + c];
        double d = rgb[(y1 * (size_t)width + x0) * 3 + c],
               e = rgb[(y1 * (size_t)width + x1) * 3 + c];
        double v = (a + (b - a) * dx) * (1 - dy) + (d + (e - d) * dx) * dy;
        out[c] = (uint8_t)(v + 0.5);
    }
}

int ml_picture_warp(const struct ml_pixels *p, const struct ml_warp *w, const uint8_t fill[3],
                    struct ml_error *err)
{
    size_t size = (size_t)p->width * (size_t)p->height * 3;
    uint8_t *old = ml_mem_alloc(size ? size : 1), *to = p->rgb;
    if (!old)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory changing a picture");
    if (size)
        memcpy(old, p->rgb, size);
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++, to += 3) {
            double fx = w->a * (x + 0.5) + w->b * (y + 0.5) + w->c;
            double fy = w->d * (x + 0.5) + w->e * (y + 0.5) + w->f;
            if (fx >= 0 && fx < p->width && fy >= 0 && fy < p->height)
                sample(to, old, p->width, p->height, fx, fy);
            else
                memcpy(to, fill, 3);
        }
    ml_mem_free(old);
    return 0;
}

struct ml_warp ml_warp_rotate(const struct ml_pixels *p, double degrees)
{
    double angle = -degrees * 3.14159265358979323846 / 180, u = cos(angle), v = sin(angle);
    double x = p->width / 2.0, y = p->height / 2.0;
    return (struct ml_warp){u, v, x - u * x - v * y, -v, u, y + v * x - u * y};
}

/* The mean of what a pixel of the result covers, by samples a pixel apart at most. */
static void average(uint8_t out[3], const struct ml_pixels *from, const struct ml_box *box,
                    int columns, int rows)
{
    double sum[3] = {0, 0, 0};
    for (int j = 0; j < rows; j++)
        for (int i = 0; i < columns; i++) {
            uint8_t one[3];
            sample(one, from->rgb, from->width, from->height,
                   box->x + (i + 0.5) * box->width / columns,
                   box->y + (j + 0.5) * box->height / rows);
            for (int c = 0; c < 3; c++)
                sum[c] += one[c];
        }
    for (int c = 0; c < 3; c++)
        out[c] = (uint8_t)(sum[c] / (columns * rows) + 0.5);
}

void ml_picture_crop(const struct ml_pixels *to, const struct ml_pixels *from,
                     const struct ml_box *box)
{
    struct ml_box one = {.width = box->width / to->width, .height = box->height / to->height};
    int columns = (int)ceil(one.width), rows = (int)ceil(one.height);
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++) {
            one.x = box->x + x * one.width;
            one.y = box->y + y * one.height;
            average(to->rgb + ((size_t)y * (size_t)to->width + (size_t)x) * 3, from, &one,
                    columns < 1 ? 1 : columns, rows < 1 ? 1 : rows);
        }
}
