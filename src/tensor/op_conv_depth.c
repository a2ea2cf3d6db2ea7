/* Depthwise convolution: every group has one input channel (and `og` output channels). A product
 * would have one row; instead planes slide over each other: a padded copy of a piece of a plane
 * (op_conv_band.h), and for each row of the result all taps at once in registers (the kernel
 * table's `slide`). Floor: a load and a multiply-add a tap for each vector of places, so two taps a
 * cycle at best. */
#include "tensor/op_conv_band.h"

#define PLACES 4096  /* of a piece: band and sums stay in L2 */
#define TASK   32768 /* multiplications a task takes, about */

struct depth {
    const struct ml_run *run;
    const struct ml_tensor *t, *source, *w;
    const float *bias;
    const struct ml_conv_attr *attr;
    struct ml_conv_sizes z;
    bool backward;
    int64_t phases[2], grid[2], result[2];
    int64_t size[2], pieces[2]; /* places of a piece; pieces of a plane */
    size_t band_bytes, plane_bytes, tap_bytes;
};

/* Pieces of a grid: whole rows where they fit. */
static void cut(const int64_t grid[2], int64_t size[2], int64_t pieces[2])
{
    size[1] = ml_conv_at_most(grid[1], PLACES);
    size[0] = ml_conv_at_most(grid[0], PLACES / size[1]);
    for (int d = 0; d < 2; d++)
        pieces[d] = (grid[d] + size[d] - 1) / size[d];
}

static struct ml_conv_axis axis_of(const struct depth *p, int d, int64_t phase)
{
    return p->backward ? ml_conv_axis_backward(p->attr, &p->z, d, phase)
                       : ml_conv_axis_forward(p->attr, &p->z, d);
}

static void depth_init(struct depth *p, const struct ml_kernels *k, const struct ml_tensor *t)
{
    *p = (struct depth){
        .t = t,
        .source = t->src[0],
        .w = t->src[1],
        .bias = t->nsrc > 2 && t->src[2] ? t->src[2]->data : NULL,
        .attr = ml_attr(t, struct ml_conv_attr),
        .backward = t->op == ML_OP_CONV2D_DX,
    };
    ml_conv_sizes(&p->z, t);
    for (int d = 0; d < 2; d++) {
        p->phases[d] = p->backward ? p->attr->stride[d] : 1;
        p->result[d] = p->backward ? p->z.in[d] : p->z.out[d];
        p->grid[d] = (p->result[d] + p->phases[d] - 1) / p->phases[d];
    }
    cut(p->grid, p->size, p->pieces);
    int64_t taps = p->z.kernel[0] * p->z.kernel[1];
    for (int64_t phase = 0; phase < p->phases[0] * p->phases[1]; phase++) {
        struct ml_conv_axis axis[2] = {axis_of(p, 0, phase / p->phases[1]),
                                       axis_of(p, 1, phase % p->phases[1])};
        struct ml_conv_band band;
        if (axis[0].taps * axis[1].taps == 0)
            continue;
        ml_conv_band_init(&band, k, &k->gemm_f32, true, p->source->dtype, axis, p->size, 1);
        size_t bytes = ml_conv_band_bytes(&band, 1);
        p->band_bytes = p->band_bytes > bytes ? p->band_bytes : bytes;
    }
    p->plane_bytes = ml_conv_align((size_t)(p->size[0] * p->size[1]) * sizeof(float));
    p->tap_bytes = ml_conv_align((size_t)taps * (sizeof(int32_t) + sizeof(float)));
}

static size_t task_bytes(const struct depth *p)
{
    return p->band_bytes + p->plane_bytes + p->tap_bytes;
}

/* A piece of one plane of the result, one phase. */
struct work {
    const struct depth *p;
    int64_t image, channel;
    int64_t first[2], size[2], phase[2];
    struct ml_conv_band layout;
    float *band, *sums, *w; /* w: of the phase's taps */
    float *y;               /* where the sums go, rows ldy apart: sums, or the result itself */
    int64_t ldy;
    int32_t *at;
};

/* The weights of filter o that the phase has, as f32. */
static void load_taps(const struct work *at, int64_t o)
{
    const struct depth *p = at->p;
    const struct ml_conv_axis *y = &at->layout.axis[0], *x = &at->layout.axis[1];
    int64_t n = 0;
    for (int64_t i = 0; i < y->taps; i++)
        for (int64_t j = 0; j < x->taps; j++) {
            int64_t row = o * p->z.kernel[0] + y->tap + i * y->tap_step;
            int64_t from = row * p->z.kernel[1] + x->tap + j * x->tap_step;
            float one;
            at->w[n++] = *ml_load(p->run->k, p->w, from, 1, &one);
        }
}

/* sums (+)= plane `source` of the source with filter o. */
static void slide_plane(const struct work *at, int64_t source, int64_t o, float bias, bool add)
{
    const struct depth *p = at->p;
    const struct ml_tensor *s = p->source;
    const struct ml_conv_band *b = &at->layout;
    size_t from = (size_t)(source * s->dim[2] * s->dim[3]) * ml_dtype_size(s->dtype);
    ml_conv_band_fill(b, at->band, (const char *)s->data + from, s->dtype, 1, at->first);
    load_taps(at, o);
    p->run->k->slide(at->size[0], at->size[1], at->y, at->ldy, bias,
                     b->axis[0].taps * b->axis[1].taps, at->at, at->band, b->pitch, at->w, add);
}

/* One row of the sums to places `step` apart. */
static void store_row(const struct work *at, const float *sums, int64_t to, int64_t step, int64_t n)
{
    const struct depth *p = at->p;
    const struct ml_tensor *t = p->t;
    if (t->dtype == ML_F32 && step == 1)
        memcpy((float *)t->data + to, sums, (size_t)n * sizeof *sums);
    else if (t->dtype == ML_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)t->data)[to + i * step] = sums[i];
    else if (step == 1)
        p->run->k->f32_to_bf16(n, (ml_bf16 *)t->data + to, sums);
    else
        for (int64_t i = 0; i < n; i++)
            ((ml_bf16 *)t->data)[to + i * step] = ml_f32_to_bf16(sums[i]);
}

static void store(const struct work *at)
{
    const struct depth *p = at->p;
    int64_t plane = (at->image * p->t->dim[1] + at->channel) * p->result[0] * p->result[1];
    int64_t step = p->phases[1], x = at->first[1] * step + at->phase[1];
    if (x >= p->result[1])
        return;
    int64_t n = ml_conv_at_most(at->size[1], (p->result[1] - 1 - x) / step + 1);
    for (int64_t r = 0; r < at->size[0]; r++) {
        int64_t y = (at->first[0] + r) * p->phases[0] + at->phase[0];
        if (y < p->result[0]) /* the last phases have fewer places */
            store_row(at, at->sums + r * at->size[1], plane + y * p->result[1] + x, step, n);
    }
}

static void depth_piece(struct work *at, bool empty)
{
    const struct depth *p = at->p;
    int64_t og = p->z.og;
    float bias = p->bias ? p->bias[at->channel] : 0;
    bool direct = !empty && p->t->dtype == ML_F32 && p->phases[0] * p->phases[1] == 1;
    at->y = at->sums;
    at->ldy = at->size[1];
    if (direct) {
        int64_t plane = at->image * p->t->dim[1] + at->channel;
        at->ldy = p->result[1];
        at->y =
            (float *)p->t->data + (plane * p->result[0] + at->first[0]) * at->ldy + at->first[1];
    }
    if (empty) /* nothing reaches these places */
        p->run->k->fill(at->size[0] * at->size[1], at->sums, bias);
    else if (p->backward)
        for (int64_t o = at->channel * og; o < (at->channel + 1) * og; o++)
            slide_plane(at, at->image * p->z.o + o, o, bias, o > at->channel * og);
    else
        slide_plane(at, at->image * p->z.c + at->channel / og, at->channel, bias, false);
    if (!direct)
        store(at);
}

/* One phase of pieces [begin, end) of all planes. */
static void depth_phase(struct work *at, int64_t begin, int64_t end)
{
    const struct depth *p = at->p;
    struct ml_conv_axis axis[2] = {axis_of(p, 0, at->phase[0]), axis_of(p, 1, at->phase[1])};
    int64_t each = p->pieces[0] * p->pieces[1];
    bool empty = axis[0].taps * axis[1].taps == 0;
    if (!empty) {
        ml_conv_band_init(&at->layout, p->run->k, &p->run->k->gemm_f32, true, p->source->dtype,
                          axis, p->size, 1);
        ml_conv_band_offsets(&at->layout, 1, at->at);
    }
    for (int64_t u = begin; u < end; u++) {
        int64_t plane = u / each, piece[2] = {u % each / p->pieces[1], u % p->pieces[1]};
        at->image = plane / p->t->dim[1];
        at->channel = plane % p->t->dim[1];
        for (int d = 0; d < 2; d++) {
            at->first[d] = piece[d] * p->size[d];
            at->size[d] = ml_conv_at_most(p->size[d], p->grid[d] - at->first[d]);
        }
        depth_piece(at, empty);
    }
}

static void depth_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct depth *p = arg;
    struct work at = {.p = p};
    int64_t taps = p->z.kernel[0] * p->z.kernel[1];
    char *scratch = (char *)p->run->scratch + (size_t)worker * task_bytes(p);
    at.band = (float *)(void *)scratch;
    at.sums = (float *)(void *)(scratch + p->band_bytes);
    at.w = (float *)(void *)(scratch + p->band_bytes + p->plane_bytes);
    at.at = (int32_t *)(void *)(at.w + taps);
    for (at.phase[0] = 0; at.phase[0] < p->phases[0]; at.phase[0]++)
        for (at.phase[1] = 0; at.phase[1] < p->phases[1]; at.phase[1]++)
            depth_phase(&at, begin, end);
}

size_t ml_conv_depth_pull_scratch(const struct ml_kernels *k, const struct ml_tensor *t,
                                  int threads)
{
    struct depth p;
    if (ml_count(t) == 0)
        return 0;
    depth_init(&p, k, t);
    return (size_t)threads * task_bytes(&p);
}

void ml_conv_depth_pull(struct ml_run *run, struct ml_tensor *t)
{
    struct depth p;
    if (ml_count(t) == 0)
        return;
    depth_init(&p, run->k, t);
    p.run = run;
    int64_t units = t->dim[0] * t->dim[1] * p.pieces[0] * p.pieces[1];
    int64_t macs = p.z.n * p.z.o * p.z.out[0] * p.z.out[1] * p.z.kernel[0] * p.z.kernel[1];
    int64_t work = macs / units;
    ml_parallel(run, units, work >= TASK ? 1 : TASK / (work + 1) + 1, depth_range, &p);
}

/* ---- the weights' gradient: dw[o, tap] = sum over places of dy[o, place] x[c, place + tap] ----
 */

struct depth_dw {
    const struct ml_run *run;
    const struct ml_tensor *t, *x, *y;
    struct ml_conv_sizes z;
    struct ml_conv_axis axis[2];
    int64_t size[2], pieces[2];
    struct ml_conv_band layout;
    size_t band_bytes, plane_bytes, tap_bytes;
};

static void dw_init(struct depth_dw *p, const struct ml_kernels *k, const struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    *p = (struct depth_dw){.t = t, .x = t->src[0], .y = t->src[1]};
    ml_conv_sizes(&p->z, t);
    for (int d = 0; d < 2; d++)
        p->axis[d] = ml_conv_axis_forward(a, &p->z, d);
    cut(p->z.out, p->size, p->pieces);
    ml_conv_band_init(&p->layout, k, &k->gemm_f32, true, p->x->dtype, p->axis, p->size, 1);
    p->band_bytes = ml_conv_band_bytes(&p->layout, 1);
    p->plane_bytes = ml_conv_align((size_t)(p->size[0] * p->size[1]) * sizeof(float));
    p->tap_bytes = ml_conv_align((size_t)(p->z.kernel[0] * p->z.kernel[1]) * sizeof(int32_t));
}

/* Piece (i, j) of plane `o` of image m against x's plane, added to dw. */
static void dw_piece(const struct depth_dw *p, char *scratch, float *dw, int64_t m, int64_t o,
                     const int64_t piece[2])
{
    const struct ml_conv_sizes *z = &p->z;
    const struct ml_kernels *k = p->run->k;
    float *band = (float *)(void *)scratch, *plane = (float *)(void *)(scratch + p->band_bytes);
    const int32_t *at = (const int32_t *)(const void *)(scratch + p->band_bytes + p->plane_bytes);
    int64_t first[2], size[2];
    for (int d = 0; d < 2; d++) {
        first[d] = piece[d] * p->size[d];
        size[d] = ml_conv_at_most(p->size[d], z->out[d] - first[d]);
    }
    int64_t source = (m * z->c + o / z->og) * z->in[0] * z->in[1];
    ml_conv_band_fill(&p->layout, band,
                      (const char *)p->x->data + (size_t)source * ml_dtype_size(p->x->dtype),
                      p->x->dtype, 1, first);
    int64_t from = ((m * z->o + o) * z->out[0] + first[0]) * z->out[1] + first[1];
    int64_t adjacent = size[1] == z->out[1] ? size[0] * size[1] : size[1]; /* else one row */
    const float *dy = ml_load(k, p->y, from, adjacent, plane);
    k->slide_dw(size[0], size[1], dw, z->kernel[0] * z->kernel[1], at, band, p->layout.pitch, dy,
                size[1]);
}

static void dw_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct depth_dw *p = arg;
    int64_t taps = p->z.kernel[0] * p->z.kernel[1];
    char *scratch =
        (char *)p->run->scratch + (size_t)worker * (p->band_bytes + p->plane_bytes + p->tap_bytes);
    ml_conv_band_offsets(&p->layout, 1,
                         (int32_t *)(void *)(scratch + p->band_bytes + p->plane_bytes));
    for (int64_t o = begin; o < end; o++) {
        float *dw = (float *)p->t->data + o * taps;
        memset(dw, 0, (size_t)taps * sizeof *dw);
        for (int64_t m = 0; m < p->z.n; m++)
            for (int64_t i = 0; i < p->pieces[0]; i++)
                for (int64_t j = 0; j < p->pieces[1]; j++)
                    dw_piece(p, scratch, dw, m, o, (int64_t[]){i, j});
    }
}

size_t ml_conv_depth_dw_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct depth_dw p;
    dw_init(&p, k, t);
    return (size_t)threads * (p.band_bytes + p.plane_bytes + p.tap_bytes);
}

void ml_conv_depth_dw(struct ml_run *run, struct ml_tensor *t)
{
    struct depth_dw p;
    dw_init(&p, run->k, t);
    p.run = run;
    int64_t work = p.z.n * p.z.out[0] * p.z.out[1] * p.z.kernel[0] * p.z.kernel[1];
    ml_parallel(run, p.z.o, work >= TASK ? 1 : TASK / (work + 1) + 1, dw_range, &p);
}
