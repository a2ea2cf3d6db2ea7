#include "data/picture_luma.h"

#include <string.h>

#include "base/arena.h"
#include "base/fail.h"

/* The pixels that one place of the smaller picture covers: whole ones from first + 1 to last - 1,
 * parts of first and last. */
struct share {
    int first, last;
    float of_first, of_last;
};

static void find_shares(struct share *shares, int places, int pixels)
{
    for (int64_t i = 0; i < places; i++) {
        int64_t begin = i * pixels, end = begin + pixels; /* in 1 / places of a pixel */
        struct share *s = &shares[i];
        s->first = (int)(begin / places);
        s->last = (int)((end - 1) / places);
        s->of_first = 1.0f - (float)(begin % places) / (float)places;
        s->of_last = (float)((end - 1) % places + 1) / (float)places;
        if (s->first == s->last)
            s->of_first = (float)pixels / (float)places;
    }
}

static void luma_row(uint8_t *restrict luma, const uint8_t *restrict rgb, int width)
{
    for (int x = 0; x < width; x++, rgb += 3) /* 256ths, rounded */
        luma[x] = (uint8_t)((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8);
}

/* Four counters, since the same luma often follows itself. */
static void count_row(size_t counts[256], const uint8_t *luma, int width)
{
    uint32_t four[4][256] = {0};
    for (int x = 0; x < width; x++)
        four[x & 3][luma[x]]++;
    for (int i = 0; i < 256; i++)
        counts[i] += (size_t)four[0][i] + four[1][i] + four[2][i] + four[3][i];
}

static void narrow_row(float *out, const uint8_t *luma, const struct share *shares, int places)
{
    for (int i = 0; i < places; i++) {
        const struct share *s = &shares[i];
        float sum = s->of_first * luma[s->first];
        if (s->last > s->first) {
            int whole = 0;
            for (int x = s->first + 1; x < s->last; x++)
                whole += luma[x];
            sum += (float)whole + s->of_last * luma[s->last];
        }
        out[i] = sum;
    }
}

static void add_row(float *out, const float *row, float part, int places)
{
    for (int i = 0; i < places; i++)
        out[i] += part * row[i];
}

static int check_picture(const struct ml_picture_span *in, struct ml_error *err)
{
    if (!in->rgb || in->width < 1 || in->height < 1)
        return ml_fail(err, ML_ERR_ARG, "a picture of %d x %d has nothing to measure", in->width,
                       in->height);
    if (in->width > ML_PICTURE_SIDE || in->height > ML_PICTURE_SIDE)
        return ml_fail(err, ML_ERR_LIMIT,
                       "a picture of %d x %d is too large to measure: at most %d a side", in->width,
                       in->height, (int)ML_PICTURE_SIDE);
    return 0;
}

int ml_picture_luma(float *out, int out_width, int out_height, const struct ml_picture_span *in,
                    size_t counts[256], struct ml_error *err)
{
    struct ml_arena arena;
    int status = check_picture(in, err);
    if (status)
        return status;
    ml_arena_init(&arena, 0);
    struct share *columns = ml_arena_alloc(&arena, (size_t)out_width * sizeof *columns);
    struct share *rows = ml_arena_alloc(&arena, (size_t)out_height * sizeof *rows);
    uint8_t *luma = ml_arena_alloc(&arena, (size_t)in->width);
    float *narrow = ml_arena_alloc(&arena, (size_t)out_width * sizeof *narrow);
    if (!columns || !rows || !luma || !narrow) {
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory measuring a picture of %d x %d",
                         in->width, in->height);
        goto done;
    }
    find_shares(columns, out_width, in->width);
    find_shares(rows, out_height, in->height);
    size_t places = (size_t)out_width * (size_t)out_height;
    memset(out, 0, places * sizeof *out);
    if (counts)
        memset(counts, 0, 256 * sizeof *counts);
    for (int y = 0, at = 0; y < in->height; y++) {
        luma_row(luma, in->rgb + (size_t)y * (size_t)in->width * 3, in->width);
        if (counts)
            count_row(counts, luma, in->width);
        narrow_row(narrow, luma, columns, out_width);
        while (rows[at].last < y)
            at++;
        for (int i = at; i < out_height && rows[i].first <= y; i++) {
            float part = y == rows[i].first  ? rows[i].of_first
                         : y == rows[i].last ? rows[i].of_last
                                             : 1;
            add_row(out + (size_t)i * (size_t)out_width, narrow, part, out_width);
        }
    }
    /* pixels that a place covers */
    float area = (float)in->width / (float)out_width * ((float)in->height / (float)out_height);
    for (size_t i = 0; i < places; i++)
        out[i] /= area;
done:
    ml_arena_clear(&arena);
    return status;
}
