/* conv2d and conv2d_dx as matrix products without a matrix of columns: the source is copied piece
 * by piece with its padding (op_conv_band.h), and the register tile walks over it, a tap being an
 * offset: sums[place, channel] += band[place + tap, k] weights[k, channel].
 *
 *     for each task: some channels of the result at some places
 *       for each part of k: some source channels with all taps
 *         copy the band                                      stays in L2
 *         for each panel of nr channels
 *           pack the weights' part (or once before, for all  KC x nr, stays in L1
 *           the task's places, where memory allows)
 *           for each tile of mr places: sums += band weights  sums stay in L2
 *       turn the sums into planes; bias, conversion
 *
 * 3x3 kernels with a stride of 1 in f32 take the same way in Winograd's form
 * (op_conv_winograd.c), a place being a cell of 2 x 2.
 *
 * So the memory beside the tensors is a band, a panel and the sums, whatever the picture's size.
 * Floor: the register tile's. Copying the band costs a load and a store for numbers that are then
 * used taps x channels times, packing about a cycle for a weight that places / 32 cycles use. Sums
 * are formed part by part of k, which depends on the shape alone, so results are equal for any
 * number of threads and any cut into tasks. */
#include "tensor/op_conv_pull.h"
#include "tensor/op_conv_winograd.h"

#define PLACES     512 /* a task, so that packing the weights pays */
#define PLACES_MIN 64
#define CELLS      256 /* the same in Winograd's form */
#define CELLS_MIN  16
#define SUM_BYTES  (256 << 10) /* of a task's sums */
#define FORM_BYTES (1 << 20)   /* in Winograd's form: each is used for many cycles */
#define STRIP      32          /* places that are turned at a time */
#define SHARE      11          /* scratch is at most this part of what im2col would take */
#define TASK_MACS  (1 << 18)   /* multiplications that are worth a task */

static struct ml_conv_axis axis_of(const struct ml_pull *p, int d, int64_t phase)
{
    return p->backward ? ml_conv_axis_backward(p->attr, &p->z, d, phase)
                       : ml_conv_axis_forward(p->attr, &p->z, d);
}

/* The band's layout for places of these axes. */
static void band_init(const struct ml_pull *p, struct ml_conv_band *band,
                      const struct ml_conv_axis axis[2])
{
    if (p->winograd)
        ml_winograd_band(p, band, axis);
    else
        ml_conv_band_init(band, p->k, p->u, false, p->source->dtype, axis, p->size, p->part);
}

/* Positions of the band that the tile walks over for one image: whole rows with their gaps. */
static int64_t walk(const struct ml_conv_band *b, int64_t rows, int64_t columns)
{
    return (rows - 1) * b->pitch + columns;
}

static size_t task_bytes(const struct ml_pull *p)
{
    int64_t panels = p->resident ? p->wide * ml_conv_ceil_div(p->from, p->part) : 1;
    return p->band_bytes + (size_t)panels * p->panel_bytes + p->sum_bytes + p->turned_bytes +
           p->spare_bytes + p->offset_bytes;
}

/* How much memory a task of this size takes, the most of all phases. */
static void measure(struct ml_pull *p)
{
    const struct ml_gemm_kernel *u = p->u;
    int64_t places = 0;
    p->band_bytes = 0;
    for (int64_t phase = 0; phase < p->phases[0] * p->phases[1]; phase++) {
        struct ml_conv_axis axis[2] = {axis_of(p, 0, phase / p->phases[1]),
                                       axis_of(p, 1, phase % p->phases[1])};
        if (axis[0].taps * axis[1].taps == 0)
            continue;
        struct ml_conv_band band;
        band_init(p, &band, axis);
        size_t bytes = ml_conv_band_bytes(&band, p->winograd ? 1 : p->images);
        p->band_bytes = p->band_bytes > bytes ? p->band_bytes : bytes;
        places = ml_conv_at_least(places, p->winograd ? ml_winograd_walk(&band, p->size)
                                                      : walk(&band, p->size[0], p->size[1]));
    }
    int64_t forms = p->winograd ? ML_WINOGRAD_FORM : 1;
    p->sum_bytes =
        ml_conv_align((size_t)(p->wide * forms * p->images * places * u->nr) * sizeof(float));
    p->turned_bytes =
        p->winograd ? ml_conv_align((size_t)(forms * p->part * p->images * places) * sizeof(float))
                    : 0;
}

/* Whole rows where there is room for several of them, whole images where there is room. */
static void cut_places(struct ml_pull *p, int64_t places)
{
    p->images = ml_conv_at_least(
        ml_conv_at_most(p->z.n, places / ml_conv_at_least(p->grid[0] * p->grid[1], 1)), 1);
    p->size[1] = ml_conv_at_most(p->grid[1], places);
    p->size[0] = ml_conv_at_least(ml_conv_at_most(p->grid[0], places / p->size[1]), 1);
    for (int d = 0; d < 2; d++) {
        p->pieces[d] = ml_conv_ceil_div(p->grid[d], p->size[d]);
        p->size[d] = ml_conv_ceil_div(p->grid[d], p->pieces[d]);
    }
    p->batches = ml_conv_ceil_div(p->z.n, p->images);
}

static void cut_channels(struct ml_pull *p, int64_t wide)
{
    int64_t all = ml_conv_ceil_div(p->to, p->u->nr);
    p->strips = ml_conv_ceil_div(all, wide);
    p->wide = ml_conv_ceil_div(all, p->strips);
}

static int64_t all_pieces(const struct ml_pull *p)
{
    return p->batches * p->pieces[0] * p->pieces[1];
}

static int64_t tasks_of(const struct ml_pull *p)
{
    return p->z.groups * p->strips * p->chunks;
}

/* Weights that stay packed pay where a task has many pieces: as many as leave `want` tasks. */
static void cut_run(struct ml_pull *p, bool resident, int64_t want)
{
    int64_t pieces = all_pieces(p);
    p->resident = resident;
    p->run = resident ? ml_conv_at_least(pieces * p->strips * p->z.groups / want, 1) : 1;
    p->chunks = ml_conv_ceil_div(pieces, p->run);
    p->run = ml_conv_ceil_div(pieces, ml_conv_at_least(p->chunks, 1));
    p->chunks = ml_conv_ceil_div(pieces, ml_conv_at_least(p->run, 1));
}

/* What a task of this size spends beside multiplying, as a share of it: packing weights (half a
 * cycle each, used for places / 32 cycles), copying the band (a fifth of a cycle a number, used for
 * taps * channels / 32), loading and storing sums for each part of k. In Winograd's form: some 100
 * cycles for a panel's weights, used for 16 x cells cycles; 4 for a cell of a source channel, used
 * for channels / 2. */
static double overhead(const struct ml_pull *p)
{
    double taps = (double)p->taps, channels = (double)(p->wide * p->u->nr);
    double places = (double)(p->images * p->size[0] * p->size[1] * p->run);
    if (p->winograd)
        return 14 / places + 25 / channels;
    double copy = 6.4 / (taps * channels), sums = 4 / (taps * (double)p->part);
    return 16 / places + copy + sums;
}

/* A task: the least overhead that memory allows, and small enough that there are enough tasks. */
static void cut(struct ml_pull *p, int threads)
{
    int64_t all = p->z.n * p->z.groups * p->phases[0] * p->phases[1] * p->grid[0] * p->grid[1];
    int64_t most = p->winograd ? CELLS : PLACES,
            least_places = p->winograd ? CELLS_MIN : PLACES_MIN;
    all *= p->winograd ? 4 : 1;
    int64_t depth = p->from * p->taps, macs = all * depth * p->to;
    int64_t want = ml_conv_at_most(4 * threads, macs / TASK_MACS + 1);
    double room =
        (double)all * (double)depth * (double)ml_dtype_size(p->source->dtype) / SHARE / threads;
    size_t sums = p->winograd ? FORM_BYTES : SUM_BYTES;
    double least = 1e9;
    struct ml_pull best = {0};
    for (int64_t places = most; places >= least_places; places /= 2)
        for (int64_t wide = 8; wide >= 1; wide /= 2)
            for (int resident = 1; resident >= 0; resident--) {
                cut_places(p, places);
                cut_channels(p, wide);
                cut_run(p, resident, want);
                measure(p);
                double cost = overhead(p);
                bool last = places == least_places && wide == 1 && !resident && least == 1e9;
                bool fits = (double)task_bytes(p) <= room && tasks_of(p) >= want;
                if (last || (fits && cost < least && p->sum_bytes <= sums)) {
                    least = cost;
                    best = *p;
                }
            }
    *p = best;
}

static void pull_init(struct ml_pull *p, const struct ml_kernels *k, const struct ml_tensor *t,
                      int threads)
{
    memset(p, 0, sizeof *p);
    p->k = k;
    p->t = t;
    p->source = t->src[0];
    p->w = t->src[1];
    p->bias = t->nsrc > 2 ? t->src[2] : NULL;
    p->attr = ml_attr(t, struct ml_conv_attr);
    p->backward = t->op == ML_OP_CONV2D_DX;
    ml_conv_sizes(&p->z, t);
    p->from = p->backward ? p->z.og : p->z.cg;
    p->to = p->backward ? p->z.cg : p->z.og;
    int64_t taps[2] = {0, 0};
    struct ml_conv_axis axes[2] = {{0}};
    for (int d = 0; d < 2; d++) {
        p->phases[d] = p->backward ? p->attr->stride[d] : 1;
        p->result[d] = p->backward ? p->z.in[d] : p->z.out[d];
        for (int64_t phase = 0; phase < p->phases[d]; phase++) {
            struct ml_conv_axis axis = axis_of(p, d, phase);
            p->grid[d] = axis.grid;
            axes[d] = axis;
            taps[d] = ml_conv_at_least(taps[d], axis.taps);
        }
    }
    p->taps = taps[0] * taps[1];
    bool bf16 = p->source->dtype == ML_BF16 && ml_kernels_have_bf16(k) &&
                4 * p->from >= k->gemm_bf16.kr; /* else most of kr would be zeros */
    p->u = bf16 ? &k->gemm_bf16 : &k->gemm_f32;
    const struct ml_gemm_kernel *u = p->u;
    p->winograd =
        !bf16 && p->phases[0] * p->phases[1] == 1 && ml_winograd_fits(axes, p->from, p->to);
    for (int d = 0; d < 2 && p->winograd; d++)
        p->grid[d] = ml_conv_ceil_div(p->grid[d], 2);
    /* A quarter of what a product takes at a time: the band wants most of L1. */
    int64_t deep = u->panel / 4 / ((int64_t)u->element * u->nr);
    deep = p->winograd ? ml_winograd_part(p, deep) : deep / ml_conv_at_least(p->taps, 1);
    p->part = ml_conv_at_least(deep / u->kr, 1) * u->kr;
    p->part =
        ml_conv_ceil_div(ml_conv_ceil_div(p->from, ml_conv_ceil_div(p->from, p->part)), u->kr) *
        u->kr;
    int64_t blocks = ml_conv_ceil_div(ml_conv_at_most(p->part, p->from), u->kr);
    int64_t forms = p->winograd ? ML_WINOGRAD_FORM : p->taps;
    size_t weights = (size_t)(blocks * u->kr * u->nr);
    p->panel_bytes = ml_conv_align((size_t)forms * weights * u->element);
    /* weights that are turned in f32 first: so many channels */
    int64_t turned_first = p->winograd ? ML_WINOGRAD_BAND : p->taps > 1 && u->kr > 1 ? u->kr : 0;
    p->spare_bytes = ml_conv_align((size_t)(turned_first * p->taps * u->nr) * sizeof(float));
    size_t turned = (size_t)(u->nr * STRIP) * sizeof(float); /* of store_places() */
    p->spare_bytes = p->spare_bytes > turned ? p->spare_bytes : turned;
    p->offset_bytes = ml_conv_align((size_t)(blocks * p->taps + forms) * sizeof(int32_t));
    cut(p, threads);
}

size_t ml_conv_pull_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct ml_pull p;
    pull_init(&p, k, t, threads);
    return (size_t)threads * task_bytes(&p);
}

/* ---- weights ---- */

void ml_pull_turn_weights(const struct ml_pull_work *at, const struct ml_gemm_kernel *f32, char *to,
                          int64_t channel, int64_t columns, int64_t c, int64_t channels)
{
    const struct ml_pull *p = at->p;
    const struct ml_conv_axis *axis = at->axis;
    size_t size = ml_dtype_size(p->w->dtype), row = (size_t)f32->nr * sizeof(float);
    int64_t kernel = p->z.kernel[0] * p->z.kernel[1], taps = axis[0].taps * axis[1].taps;
    /* strides of a channel of the result and of the source */
    int64_t out = p->backward ? kernel : p->from * kernel;
    int64_t in = p->backward ? p->to * kernel : kernel;
    int64_t start = at->group * p->from * p->to * kernel + channel * out + c * in;
    const char *w = (const char *)p->w->data + (size_t)start * size;
    if (kernel == 1 || !p->backward) {
        f32->pack_b(to, w, p->w->dtype, out, kernel == 1 ? in : 1, columns, channels * kernel);
        return;
    }
    int64_t rows = taps == kernel ? 1 : axis[0].taps, each = taps / rows;
    for (int64_t k = 0; k < channels; k++)
        for (int64_t i = 0; i < rows; i++, to += (size_t)each * row) {
            int64_t tap = (axis[0].tap + i * axis[0].tap_step) * p->z.kernel[1] + axis[1].tap;
            f32->pack_b(to, w + (size_t)(k * in + tap) * size, p->w->dtype, out, axis[1].tap_step,
                        columns, each);
        }
}

/* The same as the register tile wants it: [block of kr source channels][tap][kr][column]. */
static void pack_weights(const struct ml_pull_work *at, char *panel, int64_t channel,
                         int64_t columns, int64_t c, int64_t channels)
{
    const struct ml_gemm_kernel *u = at->p->u, *f32 = &at->p->k->gemm_f32;
    int64_t taps = at->axis[0].taps * at->axis[1].taps;
    if (u->kr == 1 || at->p->z.kernel[0] * at->p->z.kernel[1] == 1) {
        ml_pull_turn_weights(at, u, panel, channel, columns, c, channels);
        return;
    }
    for (int64_t k = 0; k < channels; k += u->kr) {
        int64_t n = ml_conv_at_most(u->kr, channels - k);
        ml_pull_turn_weights(at, f32, at->spare, channel, columns, c + k, n);
        for (int64_t tap = 0; tap < taps; tap++, panel += (size_t)(u->kr * u->nr) * u->element)
            u->pack_b(panel, at->spare + (size_t)(tap * f32->nr) * sizeof(float), ML_F32, 1,
                      taps * f32->nr, u->nr, n);
    }
}

/* ---- the product ---- */

const char *ml_pull_source(const struct ml_pull_work *at, int64_t m, int64_t c)
{
    const struct ml_tensor *s = at->p->source;
    int64_t channel = (at->image + m) * s->dim[1] + at->group * at->p->from + c;
    return (const char *)s->data +
           (size_t)(channel * s->dim[2] * s->dim[3]) * ml_dtype_size(s->dtype);
}

/* The band of source channels from c on against a panel of weights. */
static void multiply(const struct ml_pull_work *at, const char *panel, float *sums, int64_t steps,
                     int64_t c)
{
    const struct ml_gemm_kernel *u = at->p->u;
    size_t place = (size_t)u->kr * u->element;
    int64_t tiles = ml_conv_ceil_div(at->places, u->mr), rows = ml_conv_ceil_div(at->places, tiles);
    for (int64_t m = 0; m < at->images; m++, sums += at->places * u->nr) {
        const char *image = at->band + (size_t)(m * at->layout.image) * u->element;
        if (at->layout.ready)
            image = ml_conv_band_in_source(&at->layout, ml_pull_source(at, m, c), at->first);
        for (int64_t i = 0; i < at->places; i += rows)
            u->tile_places(ml_conv_at_most(rows, at->places - i), steps, at->at,
                           image + (size_t)i * place, u->kr, panel, sums + i * u->nr, u->nr, c > 0);
    }
}

char *ml_pull_weights(const struct ml_pull_work *at, int64_t j, int64_t c, bool pack)
{
    const struct ml_pull *p = at->p;
    int64_t channel = at->channel + j * p->u->nr;
    char *panel = at->panel;
    if (p->resident)
        panel += (size_t)(c / p->part * p->wide + j) * p->panel_bytes;
    int64_t columns = ml_conv_at_most(p->u->nr, p->to - channel);
    if (pack)
        (p->winograd ? ml_winograd_weights : pack_weights)(at, panel, channel, columns, c,
                                                           ml_conv_at_most(p->part, p->from - c));
    return panel;
}

static void form_sums(const struct ml_pull_work *at)
{
    const struct ml_pull *p = at->p;
    const struct ml_gemm_kernel *u = p->u;
    int64_t area = at->images * at->places * u->nr;
    for (int64_t c = 0; c < p->from; c += p->part) {
        int64_t channels = ml_conv_at_most(p->part, p->from - c);
        int64_t steps = ml_conv_band_steps(&at->layout, channels);
        for (int64_t m = 0; m < at->images && !at->layout.ready; m++)
            ml_conv_band_fill(&at->layout, at->band + (size_t)(m * at->layout.image) * u->element,
                              ml_pull_source(at, m, c), p->source->dtype, channels, at->first);
        for (int64_t j = 0; j < at->panels; j++) {
            const char *panel = ml_pull_weights(at, j, c, !p->resident);
            multiply(at, panel, at->sums + j * area, steps, c);
        }
    }
}

/* ---- the result ---- */

/* n adjacent sums to places `step` apart. */
static void store_apart(const struct ml_kernels *k, const struct ml_tensor *t, int64_t at,
                        int64_t step, float *sum, int64_t n)
{
    ml_bf16 half[STRIP];
    if (t->dtype == ML_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)t->data)[at + i * step] = sum[i];
    else
        k->f32_to_bf16(n, half, sum);
    for (int64_t i = 0; i < n && t->dtype != ML_F32; i++)
        ((ml_bf16 *)t->data)[at + i * step] = half[i];
}

/* Sums of n places, turned, to places from `start` on of planes [channel, + channels). */
static void store_places(const struct ml_pull_work *at, int64_t start, const float *sums, int64_t n,
                         int64_t channels, const float *bias)
{
    const struct ml_pull *p = at->p;
    const struct ml_kernels *k = p->k;
    int64_t nr = p->u->nr, plane = p->result[0] * p->result[1], step = p->phases[1];
    float *turned = (float *)(void *)at->spare; /* [channel][STRIP] */
    if (p->t->dtype == ML_F32 && step == 1) {
        k->turn_rows(n, channels, (float *)p->t->data + start, plane, sums, nr, bias);
        return;
    }
    for (int64_t i = 0; i < n; i += STRIP, start += STRIP * step) {
        int64_t m = ml_conv_at_most(STRIP, n - i);
        k->turn_rows(m, channels, turned, STRIP, sums + i * nr, nr, bias);
        for (int64_t c = 0; c < channels; c++)
            if (step == 1)
                k->f32_to_bf16(m, (ml_bf16 *)p->t->data + start + c * plane, turned + c * STRIP);
            else
                store_apart(k, p->t, start + c * plane, step, turned + c * STRIP, m);
    }
}

void ml_pull_store(const struct ml_pull_work *at, const int64_t first[2], const int64_t size[2],
                   int64_t pitch, const float *sums, int64_t image, int64_t channel)
{
    const struct ml_pull *p = at->p;
    int64_t channels = ml_conv_at_most(p->u->nr, p->to - channel), o = at->group * p->to + channel;
    int64_t plane = (image * p->t->dim[1] + o) * p->result[0] * p->result[1];
    int64_t step = p->phases[1], x = first[1] * step + at->phase[1];
    if (x >= p->result[1]) /* the last phases have fewer places */
        return;
    int64_t n = ml_conv_at_most(size[1], (p->result[1] - 1 - x) / step + 1);
    for (int64_t r = 0; r < size[0]; r++) {
        int64_t y = (first[0] + r) * p->phases[0] + at->phase[0];
        if (y < p->result[0])
            store_places(at, plane + y * p->result[1] + x, sums + r * pitch * p->u->nr, n, channels,
                         p->bias ? (const float *)p->bias->data + o : NULL);
    }
}

/* Whether piece `index` exists: pieces of equal size may cover the grid before the last. */
static bool choose_piece(struct ml_pull_work *at, int64_t index)
{
    const struct ml_pull *p = at->p;
    for (int d = 1; d >= 0; d--) {
        at->first[d] = index % p->pieces[d] * p->size[d];
        at->size[d] = ml_conv_at_most(p->size[d], p->grid[d] - at->first[d]);
        index /= p->pieces[d];
    }
    at->image = index * p->images;
    at->images = ml_conv_at_most(p->images, p->z.n - at->image);
    return at->size[0] > 0 && at->size[1] > 0 && at->images > 0;
}

static void pull_piece(struct ml_pull_work *at, bool empty)
{
    const struct ml_pull *p = at->p;
    int64_t nr = p->u->nr;
    if (p->winograd) {
        ml_winograd_piece(at);
        return;
    }
    if (empty) { /* nothing reaches these places */
        at->layout.pitch = at->size[1];
        at->places = at->size[0] * at->size[1];
        memset(at->sums, 0, (size_t)(at->panels * at->images * at->places * nr) * sizeof(float));
    } else {
        at->places = walk(&at->layout, at->size[0], at->size[1]);
        form_sums(at);
    }
    for (int64_t m = 0; m < at->images; m++)
        for (int64_t j = 0; j < at->panels; j++)
            ml_pull_store(at, at->first, at->size, at->layout.pitch,
                          at->sums + (j * at->images + m) * at->places * nr, at->image + m,
                          at->channel + j * nr);
}

/* One phase of all pieces of a task. */
static void pull_phase(struct ml_pull_work *at, int64_t chunk)
{
    const struct ml_pull *p = at->p;
    for (int d = 0; d < 2; d++)
        at->axis[d] = axis_of(p, d, at->phase[d]);
    bool empty = at->axis[0].taps * at->axis[1].taps == 0 || p->from == 0;
    if (!empty) {
        band_init(p, &at->layout, at->axis);
        if (!p->winograd)
            ml_conv_band_offsets(&at->layout, ml_conv_at_most(p->part, p->from), at->at);
        for (int64_t c = 0; p->resident && c < p->from; c += p->part)
            for (int64_t j = 0; j < at->panels; j++)
                ml_pull_weights(at, j, c, true);
    }
    int64_t end = ml_conv_at_most((chunk + 1) * p->run, all_pieces(p));
    for (int64_t i = chunk * p->run; i < end; i++)
        if (choose_piece(at, i))
            pull_piece(at, empty);
}

static void pull_task(void *arg, int64_t task, int worker)
{
    const struct ml_pull *p = arg;
    struct ml_pull_work at = {.p = p};
    size_t bytes = task_bytes(p);
    at.band = (char *)p->context->scratch + (size_t)worker * bytes;
    at.sums = (float *)(void *)(at.band + p->band_bytes);
    at.turned = (float *)(void *)((char *)at.sums + p->sum_bytes);
    at.spare = (char *)at.turned + p->turned_bytes;
    at.at = (int32_t *)(void *)(at.spare + p->spare_bytes);
    at.panel = (char *)at.at + p->offset_bytes;
    int64_t chunk = task % p->chunks;
    task /= p->chunks;
    at.channel = task % p->strips * p->wide * p->u->nr;
    at.panels = ml_conv_at_most(p->wide, ml_conv_ceil_div(p->to - at.channel, p->u->nr));
    at.group = task / p->strips;
    if (at.panels <= 0)
        return;
    for (at.phase[0] = 0; at.phase[0] < p->phases[0]; at.phase[0]++)
        for (at.phase[1] = 0; at.phase[1] < p->phases[1]; at.phase[1]++)
            pull_phase(&at, chunk);
}

void ml_conv_pull_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct ml_pull p;
    pull_init(&p, run->k, t, run->threads);
    p.context = run;
    if (ml_count(t) > 0)
        ml_pool_run(run->pool, tasks_of(&p), pull_task, &p);
}
