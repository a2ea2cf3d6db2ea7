/* conv2d_dx with a large stride and few places: the product first, then its sums are spread.
 *
 *     for each task: some channels of the result of one image
 *       for each piece of the source's places, flat
 *         for each part of the source's channels
 *           lay the places side by side (f32: they lie ready)
 *           for each panel: pack weights [source channel][channel, tap]; sums[place, channel, tap]
 *         add each place's taps to the result, a row of the kernel at a time
 *
 * Taking the result's phases apart (op_conv_pull.c) packs each weight by a gather for the places of
 * one phase; here weights lie as the tile wants them and serve all places. The price is one
 * addition for each sum, in rows of the kernel's width: about 30 cycles for 16, which were formed
 * in half as many cycles as there are source channels. */
#include "tensor/op_conv_band.h"

#define PLACES    256         /* at a time */
#define WIDE      4           /* panels that share the places of a part, where they are packed */
#define ROW_BYTES (256 << 10) /* of sums in f32 for a result in bf16 */

struct spread {
    struct ml_run *context;
    const struct ml_kernels *k;
    const struct ml_gemm_kernel *u;
    const struct ml_tensor *t, *source, *w, *bias;
    const struct ml_conv_attr *attr;
    struct ml_conv_sizes z;
    int64_t taps, channels; /* of the kernel; of the result, in one panel */
    int64_t wide, blocks;   /* panels a task; tasks a group and image */
    int64_t part;           /* source channels at a time */
    int64_t all, places;    /* of the source; at a time */
    bool ready;             /* the source's places lie as the tile wants them */
    size_t place_bytes, panel_bytes, sum_bytes, row_bytes, offset_bytes;
};

static void spread_init(struct spread *p, const struct ml_kernels *k, const struct ml_tensor *t,
                        int threads)
{
    memset(p, 0, sizeof *p);
    p->k = k;
    p->t = t;
    p->source = t->src[0];
    p->w = t->src[1];
    p->bias = t->nsrc > 2 ? t->src[2] : NULL;
    p->attr = ml_attr(t, struct ml_conv_attr);
    ml_conv_sizes(&p->z, t);
    bool bf16 = p->source->dtype == ML_BF16 && ml_kernels_have_bf16(k);
    const struct ml_gemm_kernel *u = p->u = bf16 ? &k->gemm_bf16 : &k->gemm_f32;
    p->taps = p->z.kernel[0] * p->z.kernel[1];
    p->channels = u->nr / ml_conv_at_least(p->taps, 1);
    p->part = ml_conv_at_least(u->panel / 8 / ((int64_t)u->element * u->nr) / u->kr, 1) * u->kr;
    p->all = p->z.out[0] * p->z.out[1];
    p->places = ml_conv_at_most(p->all, PLACES);
    p->ready = u->element == 4 && p->source->dtype == ML_F32;
    int64_t panels = ml_conv_ceil_div(p->z.cg, ml_conv_at_least(p->channels, 1));
    int64_t tasks = panels * p->z.groups * p->z.n;
    p->wide = p->ready ? 1 : ml_conv_at_least(ml_conv_at_most(WIDE, tasks / (4 * threads)), 1);
    p->blocks = ml_conv_ceil_div(panels, p->wide);
    size_t numbers = (size_t)(p->part * (p->places + 32));
    p->place_bytes = p->ready ? 0 : ml_conv_align(numbers * u->element);
    p->panel_bytes = ml_conv_align((size_t)(p->part * u->nr) * u->element);
    p->sum_bytes = ml_conv_align((size_t)(p->wide * p->places * u->nr) * sizeof(float));
    int64_t plane = p->z.in[0] * p->z.in[1];
    p->row_bytes = t->dtype == ML_F32
                       ? 0
                       : ml_conv_align((size_t)(p->wide * p->channels * plane) * sizeof(float));
    p->offset_bytes = ml_conv_align((size_t)(p->part / u->kr) * sizeof(int32_t));
}

static size_t thread_bytes(const struct spread *p)
{
    return p->place_bytes + p->panel_bytes + p->sum_bytes + p->row_bytes + p->offset_bytes;
}

bool ml_conv_spread_gains(const struct ml_kernels *k, const struct ml_tensor *t)
{
    struct spread p;
    spread_init(&p, k, t, 1); /* the answer must not depend on threads: additions would */
    const struct ml_conv_attr *a = p.attr;
    int64_t phases = a->stride[0] * a->stride[1], together = ml_conv_at_most(p.z.n * p.all, 512);
    bool fits = a->dilation[0] == 1 && a->dilation[1] == 1 && phases > 1 && p.all > 0 &&
                p.part * p.all <= INT32_MAX && p.row_bytes <= ROW_BYTES &&
                4 * p.channels * p.taps >= 3 * p.u->nr; /* most of a panel is used */
    /* cycles beside the product, each as a share of it: packing; adding up */
    return fits && 32 * p.z.kernel[1] * p.z.og > 480 * together;
}

size_t ml_conv_spread_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct spread p;
    spread_init(&p, k, t, threads);
    return (size_t)threads * thread_bytes(&p);
}

/* One task. */
struct work {
    const struct spread *p;
    int64_t image, group, channel, panels; /* channel: of the result, within the group */
    char *places, *panel;
    float *sums; /* [panel][place][nr] */
    float *rows; /* the channels' planes, in f32 */
    int32_t *at;
};

/* Source channels [c, + channels) at places [first, + n); what the tile's steps add to it. */
static const char *lay_places(const struct work *at, int64_t c, int64_t channels, int64_t first,
                              int64_t n)
{
    const struct spread *p = at->p;
    const struct ml_gemm_kernel *u = p->u;
    int64_t channel = at->image * p->source->dim[1] + at->group * p->z.og + c, kr = u->kr;
    const char *from = (const char *)p->source->data +
                       (size_t)(channel * p->all + first) * ml_dtype_size(p->source->dtype);
    int64_t steps = ml_conv_ceil_div(channels, kr), apart = p->ready ? p->all : n * kr;
    for (int64_t s = 0; s < steps; s++)
        at->at[s] = (int32_t)(s * apart);
    for (int64_t s = 0; s < steps && !p->ready; s++)
        u->pack_places(at->places + (size_t)(s * n * kr) * u->element,
                       from + (size_t)(s * kr * p->all) * ml_dtype_size(p->source->dtype),
                       p->source->dtype, 1, p->all, n, ml_conv_at_most(kr, channels - s * kr));
    return p->ready ? from : at->places;
}

/* How many channels of the result panel j has. */
static int64_t channels_of(const struct work *at, int64_t j)
{
    const struct spread *p = at->p;
    return ml_conv_at_most(p->channels, p->z.cg - at->channel - j * p->channels);
}

static void pack_weights(const struct work *at, int64_t j, int64_t c, int64_t channels)
{
    const struct spread *p = at->p;
    int64_t row = p->z.cg * p->taps;
    int64_t start = (at->group * p->z.og + c) * row + (at->channel + j * p->channels) * p->taps;
    p->u->pack_b(at->panel, (const char *)p->w->data + (size_t)start * ml_dtype_size(p->w->dtype),
                 p->w->dtype, 1, row, channels_of(at, j) * p->taps, channels);
}

static void form_sums(const struct work *at, int64_t first, int64_t n)
{
    const struct spread *p = at->p;
    const struct ml_gemm_kernel *u = p->u;
    int64_t rows = ml_conv_ceil_div(n, ml_conv_ceil_div(n, u->mr));
    for (int64_t c = 0; c < p->z.og; c += p->part) {
        int64_t channels = ml_conv_at_most(p->part, p->z.og - c);
        const char *places = lay_places(at, c, channels, first, n);
        for (int64_t j = 0; j < at->panels; j++) {
            float *sums = at->sums + j * p->places * u->nr;
            pack_weights(at, j, c, channels);
            for (int64_t i = 0; i < n; i += rows)
                u->tile_places(ml_conv_at_most(rows, n - i), ml_conv_ceil_div(channels, u->kr),
                               at->at, places + (size_t)(i * u->kr) * u->element, u->kr, at->panel,
                               sums + i * u->nr, u->nr, c > 0);
        }
    }
}

/* Adds a place's taps for one channel to its plane. sums: [kh][kw] */
static void spread_place(const struct spread *p, float *plane, const float *sums, int64_t place)
{
    const struct ml_conv_attr *a = p->attr;
    int64_t kw = p->z.kernel[1], width = p->z.in[1];
    int64_t y = place / p->z.out[1] * a->stride[0] - a->padding[0];
    int64_t x = place % p->z.out[1] * a->stride[1] - a->padding[1];
    int64_t begin = ml_conv_at_least(-x, 0), end = ml_conv_at_most(kw, width - x);
    for (int64_t i = 0; i < p->z.kernel[0] && begin < end; i++) {
        if (y + i < 0 || y + i >= p->z.in[0])
            continue;
        float *row = plane + (y + i) * width + x + begin;
        p->k->binary[ML_BINARY_ADD](end - begin, row, row, sums + i * kw + begin);
    }
}

/* The plane of the task's channel c, where sums are added up. */
static float *plane_of(const struct work *at, int64_t c)
{
    const struct spread *p = at->p;
    int64_t plane = p->z.in[0] * p->z.in[1];
    if (p->t->dtype != ML_F32)
        return at->rows + c * plane;
    return (float *)p->t->data +
           (at->image * p->z.c + at->group * p->z.cg + at->channel + c) * plane;
}

static void spread_sums(const struct work *at, int64_t first, int64_t n)
{
    const struct spread *p = at->p;
    for (int64_t j = 0; j < at->panels; j++)
        for (int64_t c = 0; c < channels_of(at, j); c++) {
            const float *sums = at->sums + j * p->places * p->u->nr + c * p->taps;
            float *plane = plane_of(at, j * p->channels + c);
            for (int64_t i = 0; i < n; i++)
                spread_place(p, plane, sums + i * p->u->nr, first + i);
        }
}

static void spread_task(void *arg, int64_t task, int worker)
{
    const struct spread *p = arg;
    struct work at = {.p = p};
    int64_t plane = p->z.in[0] * p->z.in[1];
    at.places = (char *)p->context->scratch + (size_t)worker * thread_bytes(p);
    at.panel = at.places + p->place_bytes;
    at.sums = (float *)(void *)(at.panel + p->panel_bytes);
    at.rows = (float *)(void *)((char *)at.sums + p->sum_bytes);
    at.at = (int32_t *)(void *)((char *)at.rows + p->row_bytes);
    at.channel = task % p->blocks * p->wide * p->channels;
    at.group = task / p->blocks % p->z.groups;
    at.image = task / p->blocks / p->z.groups;
    at.panels = ml_conv_at_most(p->wide, ml_conv_ceil_div(p->z.cg - at.channel, p->channels));
    int64_t channels = ml_conv_at_most(p->wide * p->channels, p->z.cg - at.channel);
    int64_t o = at.group * p->z.cg + at.channel;
    for (int64_t c = 0; c < channels; c++)
        p->k->fill(plane, plane_of(&at, c), p->bias ? ((const float *)p->bias->data)[o + c] : 0);
    for (int64_t i = 0; i < p->all; i += p->places) {
        int64_t n = ml_conv_at_most(p->places, p->all - i);
        form_sums(&at, i, n);
        spread_sums(&at, i, n);
    }
    for (int64_t c = 0; c < channels && p->t->dtype != ML_F32; c++)
        p->k->f32_to_bf16(plane, (ml_bf16 *)p->t->data + (at.image * p->z.c + o + c) * plane,
                          plane_of(&at, c));
}

void ml_conv_spread_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct spread p;
    spread_init(&p, run->k, t, run->threads);
    p.context = run;
    ml_pool_run(run->pool, p.blocks * p.z.groups * p.z.n, spread_task, &p);
}
