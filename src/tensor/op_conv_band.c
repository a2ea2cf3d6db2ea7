/* See op_conv_band.h. */
#include "tensor/op_conv_band.h"

#define SLACK_PLACES 64 /* that pack_places may write, or a tile read, behind the last */

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Columns [*begin, *end) of a row of phase f that are numbers of the source, for the rectangle
 * whose first column is `first`; `need` columns are looked at. */
static void real_columns(const struct ml_conv_axis *x, int64_t low, int64_t first, int64_t f,
                         int64_t need, int64_t *begin, int64_t *end)
{
    int64_t at = low + first * x->stride + f; /* column 0 is this number of the source */
    *begin = at < 0 ? clamp(ml_conv_ceil_div(-at, x->stride), 0, need) : 0;
    *end =
        at < x->source ? clamp(ml_conv_ceil_div(x->source - at, x->stride), *begin, need) : *begin;
}

static void init_axis(struct ml_conv_band *b, int d)
{
    const struct ml_conv_axis *a = &b->axis[d];
    int64_t last = a->offset + (a->taps - 1) * a->step;
    b->low[d] = last < a->offset ? last : a->offset;
    b->reach[d] = last < a->offset ? a->offset - last : last - a->offset;
    b->split[d] = a->stride < b->reach[d] + 1 ? a->stride : b->reach[d] + 1;
}

/* Neither padding nor strides nor conversion: the tile can walk over the source itself, if its
 * offsets can reach the last channel. */
static bool lies_ready(const struct ml_conv_band *b, enum ml_dtype dtype, int64_t channels)
{
    bool ready = !b->plain && b->kr == 1 && b->u->element == 4 && dtype == ML_F32;
    ready = ready && channels * b->axis[0].source * b->axis[1].source <= INT32_MAX;
    for (int d = 0; d < 2; d++) {
        const struct ml_conv_axis *a = &b->axis[d];
        ready = ready && a->stride == 1 && b->low[d] >= 0 &&
                b->low[d] + b->reach[d] + a->grid <= a->source;
    }
    return ready;
}

void ml_conv_band_init(struct ml_conv_band *b, const struct ml_kernels *k,
                       const struct ml_gemm_kernel *u, bool plain, enum ml_dtype dtype,
                       const struct ml_conv_axis axis[2], const int64_t size[2], int64_t channels)
{
    const struct ml_conv_axis *x = &axis[1];
    memset(b, 0, sizeof *b);
    b->k = k;
    b->u = u;
    b->plain = plain;
    b->kr = plain ? 1 : u->kr;
    for (int d = 0; d < 2; d++) {
        b->axis[d] = axis[d];
        b->size[d] = size[d];
        init_axis(b, d);
    }
    b->ready = lies_ready(b, dtype, channels);
    if (b->ready) {
        b->rows = axis[0].source;
        b->pitch = x->source;
        b->plane = b->block = b->rows * b->pitch;
        return;
    }
    b->rows = size[0] + b->reach[0] / axis[0].stride;
    int64_t need = size[1] + b->reach[1] / x->stride;
    b->pitch = need;
    if (size[1] == x->grid) { /* whole rows: their zeros can be shared */
        int64_t left = need, right = 0, begin, end;
        for (int64_t f = 0; f < b->split[1]; f++) {
            real_columns(x, b->low[1], 0, f, need, &begin, &end);
            left = begin < left ? begin : left;
            right = end > right ? end : right;
        }
        int64_t least = need - left > size[1] ? need - left : size[1];
        b->pitch = least > right ? least : right;
    }
    ml_conv_band_widen(b, b->pitch, channels);
}

void ml_conv_band_widen(struct ml_conv_band *b, int64_t pitch, int64_t channels)
{
    b->pitch = pitch;
    b->plane = b->rows * pitch * b->kr;
    b->block = b->plane * b->split[0] * b->split[1];
    int64_t line = 64 / (int64_t)b->u->element;
    if (b->plain) /* an odd number of cache lines */
        b->block = (ml_conv_ceil_div(b->block, line) | 1) * line;
    else if (ml_conv_meets(b->block, b->u->element))
        b->block += line;
    b->image = b->block * ml_conv_ceil_div(channels, b->kr);
}

size_t ml_conv_band_bytes(const struct ml_conv_band *b, int64_t images)
{
    if (b->ready)
        return 0;
    int64_t slack = (2 * SLACK_PLACES + b->size[1] + b->reach[1]) * b->kr;
    return ml_conv_align((size_t)(images * b->image + slack) * b->u->element);
}

int64_t ml_conv_band_steps(const struct ml_conv_band *b, int64_t channels)
{
    return ml_conv_ceil_div(channels, b->kr) * b->axis[0].taps * b->axis[1].taps;
}

void ml_conv_band_offsets(const struct ml_conv_band *b, int64_t channels, int32_t *at)
{
    const struct ml_conv_axis *y = &b->axis[0], *x = &b->axis[1];
    for (int64_t block = 0; block < ml_conv_ceil_div(channels, b->kr); block++)
        for (int64_t i = 0; i < y->taps; i++)
            for (int64_t j = 0; j < x->taps; j++) {
                int64_t down = y->offset + i * y->step - b->low[0];
                int64_t right = x->offset + j * x->step - b->low[1];
                int64_t phase = down % y->stride * b->split[1] + right % x->stride;
                int64_t place = down / y->stride * b->pitch + right / x->stride;
                *at++ = (int32_t)(block * b->block + phase * b->plane + place * b->kr);
            }
}

static void copy_apart(ml_bf16 *to, const ml_bf16 *from, int64_t step, int64_t n)
{
    if (step == 1)
        memcpy(to, from, (size_t)n * sizeof *to);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i * step];
}

/* One row of phase f: zeros, numbers of the source (columns [real[0], real[1])), zeros. from: the
 * source's row. */
static void fill_row(const struct ml_conv_band *b, char *to, const char *from, enum ml_dtype dtype,
                     int64_t channels, int64_t first, int64_t f, const int64_t real[2])
{
    const struct ml_gemm_kernel *u = b->u;
    const struct ml_conv_axis *x = &b->axis[1];
    size_t place = (size_t)b->kr * u->element;
    memset(to, 0, (size_t)real[0] * place);
    if (real[1] > real[0]) {
        int64_t at = b->low[1] + (first + real[0]) * x->stride + f, n = real[1] - real[0];
        char *numbers = to + (size_t)real[0] * place;
        from += (size_t)at * ml_dtype_size(dtype);
        if (b->plain && u->element == 2)
            copy_apart((ml_bf16 *)(void *)numbers, (const ml_bf16 *)(const void *)from, x->stride,
                       n);
        else
            u->pack_places(numbers, from, dtype, x->stride, b->axis[0].source * x->source, n,
                           channels);
    }
    memset(to + (size_t)real[1] * place, 0, (size_t)(b->pitch - real[1]) * place);
}

/* Rows [begin, end) of a plane of phase f. from: the source's row for `begin`, others `ld` on. */
static void fill_rows(const struct ml_conv_band *b, char *to, const char *from, enum ml_dtype dtype,
                      int64_t channels, int64_t rows, int64_t first, int64_t f,
                      const int64_t real[2])
{
    const struct ml_conv_axis *x = &b->axis[1];
    int64_t ld = b->axis[0].stride * x->source;
    size_t row = (size_t)(b->pitch * b->kr) * b->u->element;
    if (b->kr == 1 && b->u->element == 4 && dtype == ML_F32) {
        int64_t at = b->low[1] + (first + real[0]) * x->stride + f;
        b->k->pad_rows(rows, (float *)(void *)to, b->pitch, (const float *)(const void *)from + at,
                       ld, x->stride, real[0], real[1] - real[0]);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        fill_row(b, to + (size_t)r * row, from + (size_t)(r * ld) * ml_dtype_size(dtype), dtype,
                 channels, first, f, real);
}

/* A plane of phase (i, j): rows above the source, of it, below it. */
static char *fill_plane(const struct ml_conv_band *b, char *to, const char *plane,
                        enum ml_dtype dtype, int64_t channels, const int64_t first[2], int64_t i,
                        int64_t j, const int64_t real[2])
{
    const struct ml_conv_axis *y = &b->axis[0], *x = &b->axis[1];
    size_t row = (size_t)(b->pitch * b->kr) * b->u->element;
    int64_t top = b->low[0] + first[0] * y->stride + i; /* the source's row for row 0 */
    int64_t begin = clamp(top < 0 ? ml_conv_ceil_div(-top, y->stride) : 0, 0, b->rows);
    int64_t end = top < y->source ? ml_conv_ceil_div(y->source - top, y->stride) : 0;
    end = clamp(end, begin, b->rows);
    memset(to, 0, (size_t)begin * row);
    if (end > begin)
        fill_rows(b, to + (size_t)begin * row,
                  plane + (size_t)((top + begin * y->stride) * x->source) * ml_dtype_size(dtype),
                  dtype, channels, end - begin, first[1], j, real);
    memset(to + (size_t)end * row, 0, (size_t)(b->rows - end) * row);
    return to + (size_t)b->rows * row;
}

void ml_conv_band_fill(const struct ml_conv_band *b, void *to, const void *source,
                       enum ml_dtype dtype, int64_t channels, const int64_t first[2])
{
    const struct ml_conv_axis *y = &b->axis[0], *x = &b->axis[1];
    int64_t kr = b->kr, real[2];
    size_t size = ml_dtype_size(dtype);
    char *end = to;
    real_columns(x, b->low[1], first[1], 0, b->pitch, &real[0], &real[1]);
    for (int64_t c = 0; c < channels; c += kr) {
        char *out = end;
        end += (size_t)b->block * b->u->element;
        const char *plane = (const char *)source + (size_t)(c * y->source * x->source) * size;
        int64_t side = channels - c < kr ? channels - c : kr;
        for (int64_t i = 0; i < b->split[0]; i++)
            for (int64_t j = 0; j < b->split[1]; j++) {
                if (b->split[1] > 1)
                    real_columns(x, b->low[1], first[1], j, b->pitch, &real[0], &real[1]);
                out = fill_plane(b, out, plane, dtype, side, first, i, j, real);
            }
        memset(out, 0, (size_t)(end - out));
    }
    /* what the last row's columns beyond the pitch look at, and a tile's last step */
    memset(end, 0, (size_t)((b->reach[1] + SLACK_PLACES) * kr) * b->u->element);
}

const char *ml_conv_band_in_source(const struct ml_conv_band *b, const void *source,
                                   const int64_t first[2])
{
    return (const char *)((const float *)source + (b->low[0] + first[0]) * b->pitch + b->low[1] +
                          first[1]);
}
