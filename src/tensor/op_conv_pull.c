/* conv2d and conv2d_dx as matrix products: for each tile of places of the result, the source's
 * numbers that the kernel meets become the columns of a matrix (im2col, Chellapilla et al. 2006,
 * one tile at a time), and result[channel, place] = weights[channel, k] columns[k, place].
 * Tiles are tasks; where they would be few, or so narrow that packing the weights for each costs
 * too much, all threads work on one wide tile after the other.
 * Kernels of one number with a stride of 1 multiply the source as it lies. */
#include "tensor/op_conv.h"

#define COLUMN_BYTES (512 << 10) /* of a tile's columns, so that they stay in L2 */
#define WHOLE_BYTES  (4 << 20)   /* of the columns that all threads share: L3 */
#define TASK_MACS    (1 << 18)   /* multiplications that are worth a task */
#define MIN_TASKS    16

struct pull {
    struct ml_run *run;
    const struct ml_tensor *t, *source, *w, *bias;
    const struct ml_conv_attr *attr;
    struct ml_conv_sizes z;
    bool backward;           /* conv2d_dx */
    int64_t from, to;        /* channels of one group of the source and of the result */
    int64_t phases[2];       /* 1 forward, the strides backward */
    int64_t grid[2], places; /* of one phase */
    int64_t result[2];       /* height and width of the result */
    int64_t depth;           /* longest k of all phases */
    int64_t tile, tiles;     /* places at a time */
    bool whole;              /* tiles one after the other, each by all threads; else in parallel */
    bool straight;           /* no columns: the source is the matrix */
    bool direct;             /* the product is written into the result */
    bool turned;             /* the weights are copied into the order [to, from, taps] */
    char *weights;           /* turned; per group: phases one after the other */
    size_t weight_bytes, column_bytes, product_bytes, gemm_bytes;
};

static struct ml_conv_axis axis_of(const struct pull *p, int d, int64_t phase)
{
    return p->backward ? ml_conv_axis_backward(p->attr, &p->z, d, phase)
                       : ml_conv_axis_forward(p->attr, &p->z, d);
}

/* How wide a tile is: by the shape alone. */
static void cut(struct pull *p, int64_t nr)
{
    int64_t size = (int64_t)ml_dtype_size(p->source->dtype), tile = 512;
    int64_t images = p->z.n * p->z.groups, macs = images * p->places * p->to * p->depth;
    int64_t want = macs / TASK_MACS < MIN_TASKS ? macs / TASK_MACS + 1 : MIN_TASKS;
    while (tile > 128 && images * ((p->places + tile - 1) / tile) < want)
        tile /= 2;
    int64_t fits = p->straight ? tile : COLUMN_BYTES / (p->depth * size + 1);
    p->whole = images * ((p->places + tile - 1) / tile) < want || fits < 128;
    if (p->whole)
        tile = p->straight ? p->places : WHOLE_BYTES / (p->depth * size + 1);
    else if (tile > fits)
        tile = fits;
    tile = tile > nr ? tile / nr * nr : nr;
    p->tile = tile < p->places ? tile : p->places;
    p->tiles = p->tile > 0 ? (p->places + p->tile - 1) / p->tile : 0;
}

/* The product of one tile, without its pointers. */
static struct ml_gemm gemm_of(const struct pull *p, int64_t n, int64_t k)
{
    bool across = p->backward && !p->turned; /* one tap: weights [o, c] read the other way */
    return (struct ml_gemm){
        .m = p->to,
        .n = n,
        .k = k,
        .a = {NULL, p->w->dtype, across ? 1 : k, across ? p->to : 1},
        .b = {NULL, p->source->dtype, p->straight ? p->places : n, 1},
        .c_dtype = p->direct ? p->t->dtype : ML_F32,
        .c_row = p->direct ? p->places : p->tile,
        .accumulate = p->direct && p->bias,
        .bf16 = p->source->dtype == ML_BF16,
    };
}

/* The most that any tile's product wants: sizes are not monotone. */
static size_t gemm_scratch(const struct pull *p, const struct ml_kernels *k, int threads)
{
    size_t most = 0;
    int64_t n[2] = {p->tile, p->places - (p->tiles - 1) * p->tile}, before = -1;
    for (int64_t phase = 0; phase < p->phases[0] * p->phases[1]; phase++) {
        int64_t depth = p->from * axis_of(p, 0, phase / p->phases[1]).taps *
                        axis_of(p, 1, phase % p->phases[1]).taps;
        for (int i = 0; i < 2 && depth != before; i++) {
            struct ml_gemm g = gemm_of(p, n[i], depth);
            size_t bytes = ml_gemm_scratch(k, &g, p->whole ? threads : 1);
            most = most > bytes ? most : bytes;
        }
        before = depth;
    }
    return ml_conv_align(most);
}

static void pull_init(struct pull *p, const struct ml_kernels *k, const struct ml_tensor *t,
                      int threads)
{
    memset(p, 0, sizeof *p);
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
    bool one = true;
    for (int d = 0; d < 2; d++) {
        p->phases[d] = p->backward ? p->attr->stride[d] : 1;
        p->result[d] = p->backward ? p->z.in[d] : p->z.out[d];
        for (int64_t phase = 0; phase < p->phases[d]; phase++) {
            struct ml_conv_axis axis = axis_of(p, d, phase);
            p->grid[d] = axis.grid;
            taps[d] = taps[d] > axis.taps ? taps[d] : axis.taps;
        }
        one = one && p->z.kernel[d] == 1;
        p->straight = (d == 0 || p->straight) && p->z.kernel[d] == 1 && p->attr->stride[d] == 1 &&
                      p->attr->padding[d] == 0;
    }
    p->places = p->grid[0] * p->grid[1];
    p->depth = p->from * taps[0] * taps[1];
    bool single = p->phases[0] * p->phases[1] == 1;
    p->direct = single && (t->dtype == ML_F32 || !p->bias);
    p->turned = p->backward && !one;
    cut(p, p->source->dtype == ML_BF16 ? k->gemm_bf16.nr : k->gemm_f32.nr);
    p->weight_bytes = p->turned ? ml_conv_align(ml_bytes(p->w)) : 0;
    p->column_bytes =
        p->straight ? 0
                    : ml_conv_align((size_t)(p->depth * p->tile) * ml_dtype_size(p->source->dtype));
    p->product_bytes = p->direct ? 0 : ml_conv_align((size_t)(p->to * p->tile) * sizeof(float));
    p->gemm_bytes = gemm_scratch(p, k, threads);
}

size_t ml_conv_pull_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct pull p;
    pull_init(&p, k, t, threads);
    return p.weight_bytes +
           (p.whole ? 1 : (size_t)threads) * (p.column_bytes + p.product_bytes + p.gemm_bytes);
}

/* The taps of one phase out of one kernel `w`. */
static void copy_taps(char *out, const char *w, size_t size, const struct ml_conv_axis *y,
                      const struct ml_conv_axis *x, int64_t width)
{
    for (int64_t i = 0; i < y->taps; i++) {
        const char *row = w + (size_t)((y->tap + i * y->tap_step) * width + x->tap) * size;
        if (x->tap_step == 1)
            memcpy(out, row, (size_t)x->taps * size);
        else if (size == 4)
            for (int64_t j = 0; j < x->taps; j++)
                memcpy(out + 4 * j, row + 4 * j * x->tap_step, 4);
        else
            for (int64_t j = 0; j < x->taps; j++)
                memcpy(out + 2 * j, row + 2 * j * x->tap_step, 2);
        out += (size_t)x->taps * size;
    }
}

/* Some output channels of the transposed weights, all phases. Weights lie [o, c, taps]; wanted is
 * [c, o, taps of the phase] for each phase, phases one after the other. */
static void turn_weights(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct pull *p = arg;
    size_t size = ml_dtype_size(p->w->dtype);
    int64_t kernel = p->z.kernel[0] * p->z.kernel[1], before = 0;
    for (int64_t phase = 0; phase < p->phases[0] * p->phases[1]; phase++) {
        struct ml_conv_axis y = axis_of(p, 0, phase / p->phases[1]);
        struct ml_conv_axis x = axis_of(p, 1, phase % p->phases[1]);
        int64_t taps = y.taps * x.taps;
        for (int64_t o = 0; o < p->from; o++) /* outside: kernels of one o are neighbours */
            for (int64_t u = begin; u < end; u++) {
                int64_t group = u / p->to, c = u % p->to;
                int64_t from = ((group * p->from + o) * p->to + c) * kernel;
                int64_t at = p->from * (p->to * (group * kernel + before) + c * taps) + o * taps;
                copy_taps(p->weights + (size_t)at * size,
                          (const char *)p->w->data + (size_t)from * size, size, &y, &x,
                          p->z.kernel[1]);
            }
        before += taps;
    }
}

/* A tile of the result and the work on it. */
struct tile {
    const struct pull *p;
    int64_t image, group; /* of the batch, of the channels */
    int64_t first, n;     /* grid places */
    int64_t phase[2];
    int64_t weights_at; /* elements into the turned weights */
    struct ml_conv_axis axis[2];
    const char *source;
    char *columns;
    float *product;
};

/* Channels [begin, end) of the source become columns. */
static void columns_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct tile *at = arg;
    const struct pull *p = at->p;
    size_t size = ml_dtype_size(p->source->dtype);
    int64_t plane = p->source->dim[2] * p->source->dim[3];
    int64_t row = at->axis[0].taps * at->axis[1].taps * at->n;
    ml_conv_columns(at->columns + (size_t)(begin * row) * size,
                    at->source + (size_t)(begin * plane) * size, end - begin, size, at->axis,
                    at->first, at->n);
}

/* n adjacent sums to places `step` apart. */
static void store_apart(const struct ml_tensor *t, int64_t at, int64_t step, const float *sum,
                        int64_t n)
{
    if (t->dtype == ML_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)t->data)[at + i * step] = sum[i];
    else
        for (int64_t i = 0; i < n; i++)
            ((ml_bf16 *)t->data)[at + i * step] = ml_f32_to_bf16(sum[i]);
}

/* Channels [begin, end) of the product go to their places: bias added, converted, the phases'
 * number apart. */
static void spread_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct tile *at = arg;
    const struct pull *p = at->p;
    for (int64_t c = begin; c < end; c++) {
        float *row = at->product + c * p->tile;
        int64_t channel = at->group * p->to + c;
        int64_t plane = (at->image * p->t->dim[1] + channel) * p->result[0] * p->result[1];
        if (p->bias)
            p->run->k->affine(at->n, row, row, 1, ((const float *)p->bias->data)[channel]);
        for (int64_t i = 0; i < at->n;) {
            int64_t place = at->first + i, ty = place / p->grid[1], tx = place % p->grid[1];
            int64_t left = p->grid[1] - tx, run = left < at->n - i ? left : at->n - i;
            int64_t y = ty * p->phases[0] + at->phase[0], x = tx * p->phases[1] + at->phase[1];
            if (x < p->result[1] && y < p->result[0]) { /* the last phases have fewer places */
                int64_t room = (p->result[1] - 1 - x) / p->phases[1] + 1;
                store_apart(p->t, plane + y * p->result[1] + x, p->phases[1], row + i,
                            room < run ? room : run);
            }
            i += run;
        }
    }
}

/* One phase of a tile. scratch is the product's own. */
static void pull_phase(struct tile *at, char *scratch)
{
    const struct pull *p = at->p;
    const struct ml_tensor *t = p->t;
    struct ml_run *whole = p->whole ? p->run : NULL;
    at->axis[0] = axis_of(p, 0, at->phase[0]);
    at->axis[1] = axis_of(p, 1, at->phase[1]);
    int64_t depth = p->from * at->axis[0].taps * at->axis[1].taps;
    int64_t channel = at->group * p->to, w_at = channel * depth; /* [to, depth] */
    struct ml_gemm g = gemm_of(p, at->n, depth);
    g.b.data = at->columns;
    g.c = at->product;
    if (p->straight)
        g.b.data = at->source + (size_t)at->first * ml_dtype_size(p->source->dtype);
    else if (whole)
        ml_parallel(whole, p->from, 8, columns_range, at);
    else
        columns_range(at, 0, p->from, 0);
    if (p->turned)
        w_at = at->weights_at;
    else if (p->backward)
        w_at = channel * p->from;
    g.a.data = (p->turned ? p->weights : (const char *)p->w->data) +
               (size_t)w_at * ml_dtype_size(p->w->dtype);
    if (p->direct) {
        int64_t out = (at->image * t->dim[1] + channel) * p->places + at->first;
        g.c = (char *)t->data + (size_t)out * ml_dtype_size(t->dtype);
        for (int64_t c = 0; p->bias && c < p->to; c++)
            p->run->k->fill(at->n, (float *)t->data + out + c * p->places,
                            ((const float *)p->bias->data)[channel + c]);
    }
    ml_gemm_run(p->run->k, &g, whole ? whole->pool : NULL, scratch);
    if (p->direct)
        return;
    if (whole)
        ml_parallel(whole, p->to, 8, spread_range, at);
    else
        spread_range(at, 0, p->to, 0);
}

static void pull_task(void *arg, int64_t task, int worker)
{
    const struct pull *p = arg;
    const struct ml_tensor *s = p->source;
    char *scratch = (char *)p->run->scratch + p->weight_bytes +
                    (size_t)worker * (p->column_bytes + p->product_bytes + p->gemm_bytes);
    struct tile at = {.p = p, .columns = scratch};
    at.product = (float *)(void *)(scratch + p->column_bytes);
    at.group = task / p->tiles % p->z.groups;
    at.image = task / p->tiles / p->z.groups;
    at.first = task % p->tiles * p->tile;
    at.n = p->places - at.first < p->tile ? p->places - at.first : p->tile;
    at.weights_at = at.group * p->from * p->to * p->z.kernel[0] * p->z.kernel[1];
    int64_t plane = (at.image * s->dim[1] + at.group * p->from) * s->dim[2] * s->dim[3];
    at.source = (const char *)s->data + (size_t)plane * ml_dtype_size(s->dtype);
    for (at.phase[0] = 0; at.phase[0] < p->phases[0]; at.phase[0]++)
        for (at.phase[1] = 0; at.phase[1] < p->phases[1]; at.phase[1]++) {
            pull_phase(&at, scratch + p->column_bytes + p->product_bytes);
            at.weights_at += p->from * p->to * at.axis[0].taps * at.axis[1].taps;
        }
}

void ml_conv_pull_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct pull p;
    pull_init(&p, run->k, t, run->threads);
    p.run = run;
    p.weights = run->scratch;
    if (ml_count(t) == 0)
        return;
    if (p.turned)
        ml_parallel(run, p.z.groups * p.to, 16, turn_weights, &p);
    int64_t tasks = p.z.n * p.z.groups * p.tiles;
    if (!p.whole)
        ml_pool_run(run->pool, tasks, pull_task, &p);
    for (int64_t task = 0; p.whole && task < tasks; task++)
        pull_task(&p, task, 0);
}
