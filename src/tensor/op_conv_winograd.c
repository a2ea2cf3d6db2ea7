/* Winograd's form F(2x2, 3x3) of 3x3 kernels with a stride of 1: 16 multiplications for the 36 of a
 * cell of 2 x 2 places.
 *
 *     for each part of the source's channels
 *       for each 8 of them: copy the band, even and odd rows apart       stays in L1
 *         turn each cell's 4 x 4 numbers into their form, 16 planes      L2
 *       for each panel of nr channels, its weights in the same form
 *         for each of the 16: sums += planes weights, by the register tile that walks over places
 *     turn sums into 2 x 2 places; bias, conversion
 *
 * Floor: the tile's for 4/9 of the multiplications. Beside it, for a source channel: 32 additions
 * and 32 loads and stores for a vector of cells, used by all panels of the task; some 100 cycles
 * for a panel's weights, used by all its cells. Only additions and halves: the error is about twice
 * that of the direct form. An infinity makes NaN of the whole cell. */
#include "tensor/op_conv_winograd.h"

#define CHANNELS 16 /* fewer on a side: turning costs more than it saves */
#define PLACES   4  /* fewer in a line: most of a cell would be lost */

#define PART_MIN   16
#define PART_SHARE 44 /* of im2col's size: a tenth, with four such pieces */

bool ml_winograd_fits(const struct ml_conv_axis axis[2], int64_t from, int64_t to)
{
    bool fits = from >= CHANNELS && to >= CHANNELS;
    for (int d = 0; d < 2; d++) {
        const struct ml_conv_axis *a = &axis[d];
        fits = fits && a->taps == 3 && a->stride == 1 && a->grid >= PLACES;
        fits = fits && (a->step == 1 || a->step == -1) && a->tap_step == 1;
    }
    return fits;
}

void ml_winograd_band(const struct ml_pull *p, struct ml_conv_band *band,
                      const struct ml_conv_axis axis[2])
{
    struct ml_conv_axis met[2] = {axis[0], axis[1]};
    for (int d = 0; d < 2; d++) {
        if (met[d].step < 0) { /* from the left; ml_winograd_weights turns the kernel */
            met[d].offset += 2 * met[d].step;
            met[d].step = -met[d].step;
        }
        met[d].taps = 4;
    }
    met[0].stride = 2;
    met[0].grid = p->grid[0];
    met[1].grid = 2 * p->grid[1];
    int64_t channels = ml_conv_at_most(p->part, ML_WINOGRAD_BAND);
    ml_conv_band_init(band, p->k, p->u, false, p->source->dtype, met,
                      (int64_t[]){p->size[0], 2 * p->size[1]}, channels);
    ml_conv_band_widen(band, ml_conv_ceil_div(band->pitch, 2) * 2, channels);
}

/* Small pictures with many channels: so few that a panel's weights and 64 cells in their form are
 * within what scratch may be, on some threads. (Not on the threads at hand: sums must not depend on
 * them.) */
int64_t ml_winograd_part(const struct ml_pull *p, int64_t most)
{
    int64_t cells = p->z.n * p->grid[0] * p->grid[1], columns = 9 * 4 * cells * p->from;
    int64_t each = ML_WINOGRAD_FORM * (p->u->nr + ml_conv_at_most(cells, 64));
    while (most > PART_MIN && most * each > columns / PART_SHARE)
        most /= 2;
    return most;
}

int64_t ml_winograd_walk(const struct ml_conv_band *b, const int64_t size[2])
{
    return (size[0] - 1) * (b->pitch / 2) + size[1];
}

void ml_winograd_weights(const struct ml_pull_work *at, char *panel, int64_t channel,
                         int64_t columns, int64_t c, int64_t channels)
{
    const struct ml_kernels *k = at->p->k;
    int64_t nr = at->p->u->nr;
    float *to = (float *)(void *)panel, *turned = (float *)(void *)at->spare;
    for (int64_t i = 0; i < channels; i += ML_WINOGRAD_BAND) {
        int64_t n = ml_conv_at_most(ML_WINOGRAD_BAND, channels - i);
        ml_pull_turn_weights(at, at->p->u, at->spare, channel, columns, c + i, n);
        for (int64_t h = 0; h < n; h++)
            k->winograd_weights(nr, to + (i + h) * nr, channels * nr, turned + h * 9 * nr,
                                at->p->backward);
    }
}

/* The places of the source's channels [c, + channels) in their form. */
static void turn_source(const struct ml_pull_work *at, int64_t c, int64_t channels)
{
    const struct ml_pull *p = at->p;
    const int32_t *rows = at->at + p->part;
    int64_t all = at->images * at->places, first[2] = {at->first[0], 2 * at->first[1]};
    for (int64_t i = 0; i < channels; i += ML_WINOGRAD_BAND) {
        int64_t n = ml_conv_at_most(ML_WINOGRAD_BAND, channels - i);
        for (int64_t m = 0; m < at->images; m++) {
            ml_conv_band_fill(&at->layout, at->band, ml_pull_source(at, m, c + i), p->source->dtype,
                              n, first);
            for (int64_t h = 0; h < n; h++)
                p->k->winograd_source(
                    at->places, at->turned + (i + h) * all + m * at->places, channels * all,
                    (const float *)(const void *)at->band + h * at->layout.block, rows);
        }
    }
}

/* 16 products: planes of source channels [c, + channels) against a panel. */
static void multiply(const struct ml_pull_work *at, const char *panel, float *sums, int64_t c,
                     int64_t channels)
{
    const struct ml_gemm_kernel *u = at->p->u;
    int64_t all = at->images * at->places, tiles = ml_conv_ceil_div(all, u->mr),
            rows = ml_conv_ceil_div(all, tiles);
    const float *plane = at->turned;
    for (int form = 0; form < ML_WINOGRAD_FORM; form++, plane += channels * all)
        for (int64_t i = 0; i < all; i += rows)
            u->tile_places(ml_conv_at_most(rows, all - i), channels, at->at, plane + i, 1,
                           panel + (size_t)(form * channels * u->nr) * u->element,
                           sums + (form * all + i) * u->nr, u->nr, c > 0);
}

static void form_sums(const struct ml_pull_work *at)
{
    const struct ml_pull *p = at->p;
    int64_t all = at->images * at->places, area = ML_WINOGRAD_FORM * all * p->u->nr;
    int32_t taps[ML_WINOGRAD_FORM], *rows = at->at + p->part;
    ml_conv_band_offsets(&at->layout, 1, taps);
    for (int i = 0; i < 4; i++)
        rows[i] = taps[4 * i];
    for (int64_t c = 0; c < p->from; c += p->part) {
        int64_t channels = ml_conv_at_most(p->part, p->from - c);
        for (int64_t i = 0; i < channels; i++)
            at->at[i] = (int32_t)(i * all);
        turn_source(at, c, channels);
        for (int64_t j = 0; j < at->panels; j++)
            multiply(at, ml_pull_weights(at, j, c, !p->resident), at->sums + j * area, c, channels);
    }
}

void ml_winograd_piece(struct ml_pull_work *at)
{
    const struct ml_pull *p = at->p;
    const struct ml_kernels *k = p->k;
    int64_t nr = p->u->nr, pitch = 2 * at->size[1];
    int64_t first[2] = {2 * at->first[0], 2 * at->first[1]}, size[2] = {2 * at->size[0], pitch};
    at->places = ml_winograd_walk(&at->layout, at->size);
    form_sums(at);
    int64_t all = at->images * at->places;
    float *result = at->turned; /* is not needed any more, and larger: 16 x 9 channels or more */
    for (int64_t m = 0; m < at->images; m++)
        for (int64_t j = 0; j < at->panels; j++) {
            const float *sums = at->sums + (j * ML_WINOGRAD_FORM * all + m * at->places) * nr;
            for (int64_t r = 0; r < at->size[0]; r++)
                k->winograd_result(at->size[1], nr, result + 2 * r * pitch * nr, pitch * nr,
                                   sums + r * at->layout.pitch / 2 * nr, all * nr);
            ml_pull_store(at, first, size, pitch, result, at->image + m, at->channel + j * nr);
        }
}
