/* conv2d_dw as matrix products over places, without a matrix of columns: for each tap,
 * dw[channel of x, channel of y] += band[channel, place + tap] y[place, channel]. The band is a
 * padded copy of a piece of x (op_conv_band.h), a tap an offset into it.
 *
 *     for each task: some channels of x, some of y, a part of all places
 *       for each piece of a picture, STEPS places or so
 *         copy the band                                  channels of x, stays in L2
 *         for each panel of nr channels of y
 *           pack y                                       places x nr, stays in L1
 *           for each tap, each tile of mr channels: sums += band y
 *       turn the sums into weights
 *
 * Floor: the register tile's; packing y costs about half a cycle for a number that is then used for
 * channels of x * taps / 32 cycles. With bf16 tiles, which take several places a step, the gaps
 * between the band's rows meet zeros of y. Where tasks would be few the places are split into
 * parts, by the shape alone, whose sums are added up in order at the end. */
#include "tensor/op_conv_band.h"

#define SUM_BYTES (256 << 10) /* of a task's sums */
#define SHARE     11          /* scratch is at most this part of what im2col would take */
#define TASK_MACS (1 << 18)   /* multiplications that are worth a task */
#define MIN_TASKS 16
#define PARTS     8

struct push {
    const struct ml_run *run;
    const struct ml_kernels *k;
    const struct ml_gemm_kernel *u;
    const struct ml_tensor *t, *x, *y;
    struct ml_conv_sizes z;
    struct ml_conv_axis axis[2];
    int64_t taps;
    /* pieces of pictures */
    int64_t images, size[2];
    int64_t batches, pieces[2];
    struct ml_conv_band layout; /* of one channel of x */
    int64_t walk, steps;        /* places with gaps (0: none are walked over), steps of an image */
    /* tasks */
    int64_t parts, per_part;  /* of all pieces */
    int64_t channels, blocks; /* of x in a task; tasks for one group */
    int64_t wide, strips;     /* panels of y in a task; tasks for one group */
    float *partial;           /* [parts - 1, weights]: part 0 goes to the result */
    size_t partial_bytes, band_bytes, panel_bytes, sum_bytes, spare_bytes, offset_bytes;
};

/* Pieces: whole rows or a stretch of one, whole small pictures. */
static void cut_places(struct push *p)
{
    const struct ml_gemm_kernel *u = p->u;
    /* half of what a product takes at a time: the band wants the other half of L1 */
    int64_t most = ml_conv_at_least(u->panel / 2 / ((int64_t)u->element * u->nr), u->kr);
    int64_t out[2] = {p->z.out[0], p->z.out[1]};
    p->images =
        ml_conv_at_least(ml_conv_at_most(p->z.n, most / ml_conv_at_least(out[0] * out[1], 1)), 1);
    p->size[1] = ml_conv_at_most(out[1], most);
    p->size[0] = ml_conv_at_least(ml_conv_at_most(out[0], most / p->size[1]), 1);
    for (int d = 0; d < 2; d++) {
        p->pieces[d] = ml_conv_ceil_div(out[d], p->size[d]);
        p->size[d] = ml_conv_ceil_div(out[d], p->pieces[d]);
    }
    p->batches = ml_conv_ceil_div(p->z.n, p->images);
    ml_conv_band_init(&p->layout, p->k, u, true, p->x->dtype, p->axis, p->size, 1);
    bool gaps = u->kr > 1 && p->size[0] > 1 && p->layout.pitch > p->size[1];
    p->walk = gaps ? (p->size[0] - 1) * p->layout.pitch + p->size[1] : 0;
    p->steps = ml_conv_ceil_div(gaps ? p->walk : p->size[0] * p->size[1], u->kr);
}

/* Parts of the reduction: by the shape alone. */
static void cut_parts(struct push *p)
{
    int64_t pieces = p->batches * p->pieces[0] * p->pieces[1];
    int64_t macs = p->z.n * p->z.out[0] * p->z.out[1] * ml_count(p->t);
    int64_t tasks =
        p->z.groups * ml_conv_ceil_div(p->z.cg, 16) * ml_conv_ceil_div(p->z.og, p->u->nr);
    int64_t want = ml_conv_at_most(macs / TASK_MACS + 1, MIN_TASKS);
    p->parts = tasks > 0 ? ml_conv_at_most(ml_conv_ceil_div(want, tasks), PARTS) : 1;
    p->parts = ml_conv_at_least(ml_conv_at_most(p->parts, pieces), 1);
    p->per_part = ml_conv_ceil_div(pieces, p->parts);
    p->parts = ml_conv_at_least(ml_conv_ceil_div(pieces, ml_conv_at_least(p->per_part, 1)),
                                1); /* none is empty */
    p->partial_bytes = ml_conv_align((size_t)(p->parts - 1) * ml_bytes(p->t));
}

static size_t task_bytes(const struct push *p)
{
    return p->band_bytes + p->panel_bytes + p->sum_bytes + p->spare_bytes + p->offset_bytes;
}

static void cut_channels(struct push *p, int64_t channels, int64_t wide)
{
    int64_t panels = ml_conv_ceil_div(p->z.og, p->u->nr), nr = p->u->nr;
    struct ml_conv_band layout;
    p->blocks = ml_conv_ceil_div(p->z.cg, channels);
    p->channels = ml_conv_ceil_div(p->z.cg, p->blocks);
    p->blocks = ml_conv_ceil_div(p->z.cg, p->channels);
    p->strips = ml_conv_ceil_div(panels, wide);
    p->wide = ml_conv_ceil_div(panels, p->strips);
    p->strips = ml_conv_ceil_div(panels, p->wide);
    ml_conv_band_init(&layout, p->k, p->u, true, p->x->dtype, p->axis, p->size, p->channels);
    p->band_bytes = ml_conv_band_bytes(&layout, p->images);
    p->sum_bytes = ml_conv_align((size_t)(p->wide * p->channels * p->taps * nr) * sizeof(float));
}

/* Channels of a task: the least time beside multiplying that memory allows (packing y, copying the
 * band), and so that there are enough tasks. */
static void cut(struct push *p, int threads)
{
    double macs = (double)(p->z.n * p->z.out[0] * p->z.out[1]) * (double)ml_count(p->t);
    double columns =
        macs / (double)ml_conv_at_least(p->z.og, 1) * (double)ml_dtype_size(p->x->dtype);
    double room = (columns / SHARE - (double)p->partial_bytes) / threads, least = 1e9;
    int64_t want = ml_conv_at_most(4 * threads, (int64_t)(macs / TASK_MACS) + 1);
    struct push best = *p;
    for (int64_t channels = 256; channels >= 4; channels /= 2)
        for (int64_t wide = 8; wide >= 1; wide /= 2) {
            double taps = (double)p->taps, nr = (double)p->u->nr;
            double cost = 16 / ((double)channels * taps) + 12 / ((double)wide * nr * taps);
            cut_channels(p, channels, wide);
            int64_t tasks = p->z.groups * p->blocks * p->strips * p->parts;
            bool last = channels == 4 && wide == 1 && least == 1e9;
            bool fits = (double)task_bytes(p) <= room && tasks >= want;
            if (last || (fits && cost < least && p->sum_bytes <= SUM_BYTES)) {
                least = cost;
                best = *p;
            }
        }
    *p = best;
}

static void push_init(struct push *p, const struct ml_kernels *k, const struct ml_tensor *t,
                      int threads)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    memset(p, 0, sizeof *p);
    p->k = k;
    p->t = t;
    p->x = t->src[0];
    p->y = t->src[1];
    bool bf16 = p->x->dtype == ML_BF16 && p->y->dtype == ML_BF16 && ml_kernels_have_bf16(k);
    p->u = bf16 ? &k->gemm_bf16 : &k->gemm_f32;
    ml_conv_sizes(&p->z, t);
    for (int d = 0; d < 2; d++)
        p->axis[d] = ml_conv_axis_forward(a, &p->z, d);
    p->taps = p->z.kernel[0] * p->z.kernel[1];
    const struct ml_gemm_kernel *u = p->u;
    cut_places(p);
    cut_parts(p);
    size_t steps = (size_t)(p->images * p->steps);
    p->panel_bytes = ml_conv_align(steps * (size_t)(u->kr * u->nr) * u->element);
    p->offset_bytes = ml_conv_align((steps + (size_t)p->taps) * sizeof(int32_t));
    p->spare_bytes = ml_conv_align((size_t)(u->nr * k->gemm_f32.nr) * sizeof(float));
    size_t gaps = ml_conv_align((size_t)(p->walk * u->nr) * sizeof(ml_bf16));
    p->spare_bytes = p->spare_bytes > gaps ? p->spare_bytes : gaps;
    cut(p, threads);
}

size_t ml_conv_dw_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct push p;
    push_init(&p, k, t, threads);
    return p.partial_bytes + (size_t)threads * task_bytes(&p);
}

/* One task; the piece of pictures at hand. */
struct work {
    const struct push *p;
    int64_t group, part;
    int64_t channel, channels; /* of x, within the group */
    int64_t column, panels;    /* of y */
    int64_t image, images, first[2], size[2];
    int64_t walk; /* as in push, for this piece */
    struct ml_conv_band layout;
    char *band, *panel, *spare;
    float *sums;     /* [panel][channel of x][tap][nr] */
    int32_t *at;     /* [step]: into the band */
    int32_t *tap_at; /* [tap] */
};

static void fill_band(const struct work *at)
{
    const struct push *p = at->p;
    const struct ml_tensor *x = p->x;
    for (int64_t m = 0; m < at->images; m++) {
        int64_t plane = (at->image + m) * x->dim[1] + at->group * p->z.cg + at->channel;
        const char *from = (const char *)x->data +
                           (size_t)(plane * x->dim[2] * x->dim[3]) * ml_dtype_size(x->dtype);
        ml_conv_band_fill(&at->layout, at->band + (size_t)(m * at->layout.image) * p->u->element,
                          from, x->dtype, at->channels, at->first);
    }
}

/* Where the steps' places lie in the band; returns how many steps there are. */
static int64_t find_steps(const struct work *at)
{
    const struct ml_conv_band *b = &at->layout;
    int64_t kr = at->p->u->kr, n = 0;
    for (int64_t m = 0; m < at->images; m++)
        if (kr > 1) {
            int64_t places = at->walk ? at->walk : at->size[0] * at->size[1];
            for (int64_t i = 0; i < places; i += kr)
                at->at[n++] = (int32_t)(m * b->image + i);
        } else {
            for (int64_t r = 0; r < at->size[0]; r++)
                for (int64_t i = 0; i < at->size[1]; i++)
                    at->at[n++] = (int32_t)(m * b->image + r * b->pitch + i);
        }
    return n;
}

/* The piece of y's channels [column, + columns) as a panel: places are the depth. */
static void pack_y(const struct work *at, int64_t column, int64_t columns)
{
    const struct push *p = at->p;
    const struct ml_gemm_kernel *u = p->u;
    const struct ml_tensor *y = p->y;
    size_t size = ml_dtype_size(y->dtype);
    int64_t plane = y->dim[2] * y->dim[3], places = at->size[0] * at->size[1];
    char *to = at->panel;
    for (int64_t m = 0; m < at->images; m++) {
        int64_t channel = (at->image + m) * y->dim[1] + at->group * p->z.og + column;
        int64_t from = channel * plane + at->first[0] * y->dim[3] + at->first[1];
        const char *src = (const char *)y->data + (size_t)from * size;
        int64_t deep = at->walk ? at->walk : places;
        if (at->walk) { /* both are bf16 */
            size_t row = (size_t)at->size[1] * size, pitch = (size_t)at->layout.pitch * size;
            memset(at->spare, 0, (size_t)(columns * at->walk) * size);
            for (int64_t c = 0; c < columns; c++)
                for (int64_t r = 0; r < at->size[0]; r++)
                    memcpy(at->spare + (size_t)(c * at->walk) * size + (size_t)r * pitch,
                           src + (size_t)(c * plane + r * y->dim[3]) * size, row);
            u->pack_b(to, at->spare, y->dtype, at->walk, 1, columns, deep);
        } else {
            u->pack_b(to, src, y->dtype, plane, 1, columns, deep);
        }
        to += (size_t)(ml_conv_ceil_div(deep, u->kr) * u->kr * u->nr) * u->element;
    }
}

/* The piece's part of the sums. */
static void add_piece(const struct work *at, bool add)
{
    const struct push *p = at->p;
    const struct ml_gemm_kernel *u = p->u;
    int64_t steps = find_steps(at), tiles = ml_conv_ceil_div(at->channels, u->mr);
    int64_t rows = ml_conv_ceil_div(at->channels, tiles), block = at->layout.block;
    fill_band(at);
    for (int64_t j = 0; j < at->panels; j++) {
        int64_t column = at->column + j * u->nr;
        pack_y(at, column, ml_conv_at_most(u->nr, p->z.og - column));
        float *sums = at->sums + j * at->channels * p->taps * u->nr;
        for (int64_t c = 0; c < at->channels; c += rows)
            for (int64_t tap = 0; tap < p->taps; tap++)
                u->tile_places(ml_conv_at_most(rows, at->channels - c), steps, at->at,
                               at->band + (size_t)(c * block + at->tap_at[tap]) * u->element, block,
                               at->panel, sums + (c * p->taps + tap) * u->nr, p->taps * u->nr, add);
    }
}

/* Sums [channel of x, tap][channel of y] become weights [channel of y][channel of x, tap]. */
static void store(const struct work *at)
{
    const struct push *p = at->p;
    const struct ml_gemm_kernel *turn = &p->k->gemm_f32;
    int64_t nr = p->u->nr, row = p->z.cg * p->taps, n = at->channels * p->taps;
    float *out = at->part == 0 ? p->t->data : p->partial + (at->part - 1) * ml_count(p->t);
    float *turned = (float *)(void *)at->spare;
    out += (at->group * p->z.og + at->column) * row + at->channel * p->taps;
    for (int64_t j = 0; j < at->panels; j++) {
        int64_t columns = ml_conv_at_most(nr, p->z.og - at->column - j * nr);
        for (int64_t i = 0; i < n; i += turn->nr) {
            int64_t some = ml_conv_at_most(turn->nr, n - i);
            turn->pack_b(turned, at->sums + (j * n + i) * nr, ML_F32, nr, 1, some, columns);
            for (int64_t o = 0; o < columns; o++)
                memcpy(out + (j * nr + o) * row + i, turned + o * turn->nr,
                       (size_t)some * sizeof *out);
        }
    }
}

/* Piece `index` of all. */
static void choose_piece(struct work *at, int64_t index)
{
    const struct push *p = at->p;
    for (int d = 1; d >= 0; d--) {
        at->first[d] = index % p->pieces[d] * p->size[d];
        at->size[d] = ml_conv_at_most(p->size[d], p->z.out[d] - at->first[d]);
        index /= p->pieces[d];
    }
    at->image = index * p->images;
    at->images = ml_conv_at_most(p->images, p->z.n - at->image);
    at->walk = p->walk ? (at->size[0] - 1) * at->layout.pitch + at->size[1] : 0;
}

static void push_task(void *arg, int64_t task, int worker)
{
    const struct push *p = arg;
    const struct ml_conv_sizes *z = &p->z;
    struct work at = {.p = p};
    at.band = (char *)p->run->scratch + p->partial_bytes + (size_t)worker * task_bytes(p);
    at.panel = at.band + p->band_bytes;
    at.sums = (float *)(void *)(at.panel + p->panel_bytes);
    at.spare = (char *)at.sums + p->sum_bytes;
    at.at = (int32_t *)(void *)(at.spare + p->spare_bytes);
    at.tap_at = at.at + p->images * p->steps;
    at.part = task % p->parts;
    task /= p->parts;
    at.column = task % p->strips * p->wide * p->u->nr;
    at.panels = ml_conv_at_most(p->wide, ml_conv_ceil_div(z->og - at.column, p->u->nr));
    task /= p->strips;
    at.channel = task % p->blocks * p->channels;
    at.channels = ml_conv_at_most(p->channels, z->cg - at.channel);
    at.group = task / p->blocks;
    ml_conv_band_init(&at.layout, p->k, p->u, true, p->x->dtype, p->axis, p->size, at.channels);
    ml_conv_band_offsets(&at.layout, 1, at.tap_at);
    int64_t pieces = p->batches * p->pieces[0] * p->pieces[1];
    int64_t begin = at.part * p->per_part, end = ml_conv_at_most(begin + p->per_part, pieces);
    bool add = false;
    for (int64_t i = begin; i < end; i++) {
        choose_piece(&at, i);
        if (at.images <= 0 || at.size[0] <= 0 || at.size[1] <= 0)
            continue; /* pieces of equal size may cover the picture before the last */
        add_piece(&at, add);
        add = true;
    }
    if (!add)
        memset(at.sums, 0, p->sum_bytes);
    store(&at);
}

static void add_parts(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct push *p = arg;
    float *out = p->t->data;
    for (int64_t part = 1; part < p->parts; part++)
        p->run->k->binary[ML_BINARY_ADD](end - begin, out + begin, out + begin,
                                         p->partial + (part - 1) * ml_count(p->t) + begin);
}

void ml_conv_dw_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct push p;
    push_init(&p, run->k, t, run->threads);
    p.run = run;
    p.partial = run->scratch;
    if (p.z.n == 0) { /* an empty batch */
        memset(t->data, 0, ml_bytes(t));
        return;
    }
    ml_pool_run(run->pool, p.z.groups * p.blocks * p.strips * p.parts, push_task, &p);
    if (p.parts > 1)
        ml_parallel(run, ml_count(t), ML_CHUNK, add_parts, &p);
}
