/* Depthwise convolution: every group has one input channel (and `og` output channels). A product
 * would have one row, so rows of pictures are added, weighted, by row kernels instead. */
#include "tensor/op_conv.h"

#define TASK 32768 /* multiplications a task takes, about */

struct depth {
    const struct ml_run *run;
    const struct ml_tensor *t, *source, *w;
    const float *bias;
    const struct ml_conv_attr *attr;
    struct ml_conv_sizes z;
    bool backward;
    int64_t phases[2], grid[2], result[2];
    int64_t pieces; /* of at most ML_CHUNK places in a row of the grid */
};

/* sum[i] += weight * source[from + i * stride] */
static void add_tap(const struct depth *p, float *sum, int64_t from, int64_t stride, float weight,
                    int64_t n)
{
    float buffer[ML_CHUNK];
    if (stride == 1)
        p->run->k->axpy(n, sum, weight, ml_load(p->run->k, p->source, from, n, buffer));
    else if (p->source->dtype == ML_F32)
        for (int64_t i = 0; i < n; i++)
            sum[i] += weight * ((const float *)p->source->data)[from + i * stride];
    else
        for (int64_t i = 0; i < n; i++)
            sum[i] +=
                weight * ml_bf16_to_f32(((const ml_bf16 *)p->source->data)[from + i * stride]);
}

static float weight_at(const struct depth *p, int64_t at)
{
    float one;
    return *ml_load(p->run->k, p->w, at, 1, &one);
}

/* The sum of all taps of one plane of the source into places [range) of grid row ty. */
static void add_plane(const struct depth *p, float *sum, int64_t plane, int64_t filter,
                      const struct ml_conv_axis axis[2], int64_t ty, const int64_t range[2])
{
    const struct ml_conv_axis *y = &axis[0], *x = &axis[1];
    for (int64_t j = 0; j < x->taps; j++) {
        int64_t lo, hi;
        ml_conv_valid(x, j, range[0], range[1], &lo, &hi);
        if (lo == hi)
            continue;
        for (int64_t i = 0; i < y->taps; i++) {
            int64_t sy = ty * y->stride + y->offset + i * y->step;
            if (sy < 0 || sy >= y->source)
                continue;
            int64_t w = (filter * p->z.kernel[0] + y->tap + i * y->tap_step) * p->z.kernel[1];
            int64_t from = (plane * y->source + sy) * x->source + lo * x->stride + x->offset;
            add_tap(p, sum + lo - range[0], from + j * x->step, x->stride,
                    weight_at(p, w + x->tap + j * x->tap_step), hi - lo);
        }
    }
}

static void store(const struct depth *p, const float *sum, int64_t at, int64_t n)
{
    if (p->phases[1] == 1) {
        float *out = ml_store_begin(p->t, at, (float *)(uintptr_t)sum);
        if (out != sum)
            memcpy(out, sum, (size_t)n * sizeof *out);
        ml_store_end(p->run->k, p->t, at, n, out);
    } else if (p->t->dtype == ML_F32) {
        for (int64_t i = 0; i < n; i++)
            ((float *)p->t->data)[at + i * p->phases[1]] = sum[i];
    } else {
        for (int64_t i = 0; i < n; i++)
            ((ml_bf16 *)p->t->data)[at + i * p->phases[1]] = ml_f32_to_bf16(sum[i]);
    }
}

/* Places [tx, ...) of grid row ty of one plane of the result, one phase. */
static void depth_piece(const struct depth *p, int64_t plane, int64_t ty, int64_t tx,
                        const int64_t phase[2], const struct ml_conv_axis axis[2])
{
    int64_t og = p->z.og, channels = p->t->dim[1];
    int64_t image = plane / channels, channel = plane % channels;
    int64_t y = ty * p->phases[0] + phase[0], x = tx * p->phases[1] + phase[1];
    if (y >= p->result[0] || x >= p->result[1])
        return;
    int64_t last = (p->result[1] - 1 - phase[1]) / p->phases[1] + 1;
    int64_t range[2] = {tx, tx + ML_CHUNK < last ? tx + ML_CHUNK : last};
    float sum[ML_CHUNK];
    p->run->k->fill(range[1] - tx, sum, p->bias ? p->bias[channel] : 0);
    if (p->backward)
        for (int64_t o = channel * og; o < (channel + 1) * og; o++)
            add_plane(p, sum, image * p->z.o + o, o, axis, ty, range);
    else
        add_plane(p, sum, image * p->z.c + channel / og, channel, axis, ty, range);
    store(p, sum, (plane * p->result[0] + y) * p->result[1] + x, range[1] - tx);
}

static void depth_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct depth *p = arg;
    int64_t phase[2];
    struct ml_conv_axis axis[2];
    for (phase[0] = 0; phase[0] < p->phases[0]; phase[0]++)
        for (phase[1] = 0; phase[1] < p->phases[1]; phase[1]++) {
            for (int d = 0; d < 2; d++)
                axis[d] = p->backward ? ml_conv_axis_backward(p->attr, &p->z, d, phase[d])
                                      : ml_conv_axis_forward(p->attr, &p->z, d);
            for (int64_t u = begin; u < end; u++)
                depth_piece(p, u / p->pieces / p->grid[0], u / p->pieces % p->grid[0],
                            u % p->pieces * ML_CHUNK, phase, axis);
        }
}

void ml_conv_depth_pull(struct ml_run *run, struct ml_tensor *t)
{
    struct depth p = {
        .run = run,
        .t = t,
        .source = t->src[0],
        .w = t->src[1],
        .bias = t->nsrc > 2 && t->src[2] ? t->src[2]->data : NULL,
        .attr = ml_attr(t, struct ml_conv_attr),
        .backward = t->op == ML_OP_CONV2D_DX,
    };
    ml_conv_sizes(&p.z, t);
    for (int d = 0; d < 2; d++) {
        p.phases[d] = p.backward ? p.attr->stride[d] : 1;
        p.result[d] = p.backward ? p.z.in[d] : p.z.out[d];
        p.grid[d] = (p.result[d] + p.phases[d] - 1) / p.phases[d];
    }
    p.pieces = (p.grid[1] + ML_CHUNK - 1) / ML_CHUNK;
    int64_t units = t->dim[0] * t->dim[1] * p.grid[0] * p.pieces;
    int64_t macs = p.z.n * p.z.o * p.z.out[0] * p.z.out[1] * p.z.kernel[0] * p.z.kernel[1];
    int64_t work = units > 0 ? macs / units : 0;
    ml_parallel(run, units, work >= TASK ? 1 : TASK / (work + 1) + 1, depth_range, &p);
}

/* ---- the weights' gradient: dw[o, i, j] = sum of dy[o, place] * x[c, place's source] ---- */

struct depth_dw {
    const struct ml_run *run;
    const struct ml_tensor *t, *x, *y;
    struct ml_conv_sizes z;
    struct ml_conv_axis axis[2];
};

/* n of x's numbers, `stride` apart, as adjacent f32. */
static const float *load_apart(const struct depth_dw *p, int64_t from, int64_t stride, int64_t n,
                               float *buffer)
{
    if (stride == 1)
        return ml_load(p->run->k, p->x, from, n, buffer);
    if (p->x->dtype == ML_F32)
        for (int64_t i = 0; i < n; i++)
            buffer[i] = ((const float *)p->x->data)[from + i * stride];
    else
        for (int64_t i = 0; i < n; i++)
            buffer[i] = ml_bf16_to_f32(((const ml_bf16 *)p->x->data)[from + i * stride]);
    return buffer;
}

/* Places [range) of row `ty` of y, whose numbers are dy, against all taps of one plane of x. */
static void dw_row(const struct depth_dw *p, float *dw, const float *dy, int64_t plane, int64_t ty,
                   const int64_t range[2])
{
    const struct ml_conv_axis *y = &p->axis[0], *x = &p->axis[1];
    float buffer[ML_CHUNK];
    for (int64_t j = 0; j < x->taps; j++) {
        int64_t lo, hi;
        ml_conv_valid(x, j, range[0], range[1], &lo, &hi);
        if (lo == hi)
            continue;
        for (int64_t i = 0; i < y->taps; i++) {
            int64_t sy = ty * y->stride + y->offset + i * y->step;
            if (sy < 0 || sy >= y->source)
                continue;
            int64_t from = (plane * y->source + sy) * x->source + lo * x->stride + x->offset;
            const float *source = load_apart(p, from + j * x->step, x->stride, hi - lo, buffer);
            dw[i * x->taps + j] += p->run->k->dot(hi - lo, dy + lo - range[0], source);
        }
    }
}

static void dw_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct depth_dw *p = arg;
    const struct ml_conv_sizes *z = &p->z;
    int64_t taps = z->kernel[0] * z->kernel[1];
    float buffer[ML_CHUNK];
    for (int64_t o = begin; o < end; o++) {
        float *dw = (float *)p->t->data + o * taps;
        memset(dw, 0, (size_t)taps * sizeof *dw);
        for (int64_t image = 0; image < z->n; image++)
            for (int64_t ty = 0; ty < z->out[0]; ty++)
                for (int64_t tx = 0; tx < z->out[1]; tx += ML_CHUNK) {
                    int64_t left = z->out[1] - tx, n = left < ML_CHUNK ? left : ML_CHUNK;
                    int64_t at = ((image * z->o + o) * z->out[0] + ty) * z->out[1] + tx;
                    const float *dy = ml_load(p->run->k, p->y, at, n, buffer);
                    dw_row(p, dw, dy, image * z->c + o / z->og, ty, (int64_t[]){tx, tx + n});
                }
    }
}

void ml_conv_depth_dw(struct ml_run *run, struct ml_tensor *t)
{
    struct depth_dw p = {.run = run, .t = t, .x = t->src[0], .y = t->src[1]};
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    ml_conv_sizes(&p.z, t);
    for (int d = 0; d < 2; d++)
        p.axis[d] = ml_conv_axis_forward(a, &p.z, d);
    int64_t work = p.z.n * p.z.out[0] * p.z.out[1] * p.z.kernel[0] * p.z.kernel[1];
    ml_parallel(run, p.z.o, work >= TASK ? 1 : TASK / (work + 1) + 1, dw_range, &p);
}
