#include "data/picture_ops.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"

static size_t pixel_count(const struct ml_pixels *p)
{
    return (size_t)p->width * (size_t)p->height;
}

static uint8_t clip(float v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)v;
}

/* Luma of ITU-R BT.601 in 16-bit fixed point. */
static int luma(const uint8_t *rgb)
{
    return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

void ml_picture_flip(const struct ml_pixels *p)
{
    for (int y = 0; y < p->height; y++) {
        uint8_t *left = p->rgb + (size_t)y * (size_t)p->width * 3;
        uint8_t *right = left + ((size_t)p->width - 1) * 3;
        for (; left < right; left += 3, right -= 3)
            for (int c = 0; c < 3; c++) {
                uint8_t t = left[c];
                left[c] = right[c];
                right[c] = t;
            }
    }
}

/* ---- by a table for each channel ---- */

static void look_up(const struct ml_pixels *p, uint8_t tables[3][256])
{
    size_t n = 3 * pixel_count(p);
    for (size_t i = 0; i < n; i += 3)
        for (int c = 0; c < 3; c++)
            p->rgb[i + (size_t)c] = tables[c][p->rgb[i + (size_t)c]];
}

static void count(const struct ml_pixels *p, uint32_t counts[3][256])
{
    size_t n = 3 * pixel_count(p);
    memset(counts, 0, 3 * 256 * sizeof counts[0][0]);
    for (size_t i = 0; i < n; i += 3)
        for (int c = 0; c < 3; c++)
            counts[c][p->rgb[i + (size_t)c]]++;
}

void ml_picture_autocontrast(const struct ml_pixels *p)
{
    uint32_t counts[3][256];
    uint8_t tables[3][256];
    count(p, counts);
    for (int c = 0; c < 3; c++) {
        int low = 0, high = 255;
        while (low < 255 && !counts[c][low])
            low++;
        while (high > 0 && !counts[c][high])
            high--;
        double scale = high > low ? 255.0 / (high - low) : 1,
               offset = high > low ? -low * scale : 0;
        for (int i = 0; i < 256; i++) {
            double v = i * scale + offset;
            tables[c][i] = v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)v;
        }
    }
    look_up(p, tables);
}

void ml_picture_equalize(const struct ml_pixels *p)
{
    uint32_t counts[3][256];
    uint8_t tables[3][256];
    count(p, counts);
    for (int c = 0; c < 3; c++) {
        uint64_t total = pixel_count(p);
        int last = 255;
        while (last > 0 && !counts[c][last])
            last--;
        uint64_t step = (total - counts[c][last]) / 255, n = step / 2;
        for (int i = 0; i < 256; i++) {
            uint64_t v = step ? n / step : (uint64_t)i;
            tables[c][i] = v > 255 ? 255 : (uint8_t)v;
            n += counts[c][i];
        }
    }
    look_up(p, tables);
}

static void same_table(const struct ml_pixels *p, const uint8_t table[256])
{
    size_t n = 3 * pixel_count(p);
    for (size_t i = 0; i < n; i++)
        p->rgb[i] = table[p->rgb[i]];
}

void ml_picture_posterize(const struct ml_pixels *p, int bits)
{
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)(i & ~((1 << (8 - bits)) - 1));
    same_table(p, table);
}

void ml_picture_solarize(const struct ml_pixels *p, int threshold)
{
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)(i < threshold ? i : 255 - i);
    same_table(p, table);
}

/* ---- between a picture and a plainer one ---- */

static uint8_t blend(int plain, int v, float factor)
{
    return clip((float)plain + factor * (float)(v - plain));
}

void ml_picture_brightness(const struct ml_pixels *p, float factor)
{
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = blend(0, i, factor);
    same_table(p, table);
}

void ml_picture_colour(const struct ml_pixels *p, float factor)
{
    size_t n = 3 * pixel_count(p);
    for (size_t i = 0; i < n; i += 3) {
        int grey = luma(p->rgb + i);
        for (size_t c = 0; c < 3; c++)
            p->rgb[i + c] = blend(grey, p->rgb[i + c], factor);
    }
}

void ml_picture_contrast(const struct ml_pixels *p, float factor)
{
    uint8_t table[256];
    size_t n = pixel_count(p);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (uint64_t)luma(p->rgb + 3 * i);
    int mean = n ? (int)((double)sum / (double)n + 0.5) : 0;
    for (int i = 0; i < 256; i++)
        table[i] = blend(mean, i, factor);
    same_table(p, table);
}

/* Against a blur of 3x3 with 5 in its middle; the border is not blurred. */
int ml_picture_sharpness(const struct ml_pixels *p, float factor, struct ml_error *err)
{
    size_t row = (size_t)p->width * 3, size = row * (size_t)p->height;
    if (p->width < 3 || p->height < 3)
        return 0;
    uint8_t *old = ml_mem_alloc(size);
    if (!old)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory changing a picture");
    memcpy(old, p->rgb, size);
    for (size_t y = 1; y + 1 < (size_t)p->height; y++)
        for (size_t x = 3; x + 3 < row; x++) {
            const uint8_t *at = old + y * row + x, *up = at - row, *down = at + row;
            int sum =
                up[-3] + up[0] + up[3] + at[-3] + 5 * at[0] + at[3] + down[-3] + down[0] + down[3];
            int blurred = (int)((float)sum / 13 + 0.5f);
            p->rgb[y * row + x] = blend(blurred, at[0], factor);
        }
    ml_mem_free(old);
    return 0;
}

void ml_picture_hue(const struct ml_pixels *p, float turns)
{
    const float angle = turns * 6.28318531f, u = cosf(angle), w = sinf(angle);
    /* RGB to YIQ, turned in the plane of I and Q, and back, as one matrix. */
    const float m[3][3] = {{.299f + .701f * u + .168f * w, .587f - .587f * u + .330f * w,
                            .114f - .114f * u - .497f * w},
                           {.299f - .299f * u - .328f * w, .587f + .413f * u + .035f * w,
                            .114f - .114f * u + .292f * w},
                           {.299f - .300f * u + 1.25f * w, .587f - .588f * u - 1.05f * w,
                            .114f + .886f * u - .203f * w}};
    size_t n = 3 * pixel_count(p);
    for (size_t i = 0; i < n; i += 3) {
        const float r = p->rgb[i], g = p->rgb[i + 1], b = p->rgb[i + 2];
        for (size_t c = 0; c < 3; c++)
            p->rgb[i + c] = clip(m[c][0] * r + m[c][1] * g + m[c][2] * b + 0.5f);
    }
}
