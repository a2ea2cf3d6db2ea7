/* Convolution: shapes, gradients and what models call. The arithmetic is in op_conv_*.c. */
#include "tensor/op_conv.h"

#include "base/fail.h"
#include "tensor/ops.h"

/* ---- geometry ---- */

void ml_conv_sizes(struct ml_conv_sizes *z, const struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    const struct ml_tensor *x = t->src[0], *w = t->src[1], *y = t;
    if (t->op == ML_OP_CONV2D_DX) {
        x = t;
        y = t->src[0];
    } else if (t->op == ML_OP_CONV2D_DW) {
        w = t;
        y = t->src[1];
    }
    z->n = x->dim[0];
    z->c = x->dim[1];
    z->o = y->dim[1];
    z->groups = a->groups;
    z->cg = z->c / z->groups;
    z->og = z->o / z->groups;
    for (int d = 0; d < 2; d++) {
        z->in[d] = x->dim[2 + d];
        z->out[d] = y->dim[2 + d];
        z->kernel[d] = w->dim[2 + d];
    }
}

struct ml_conv_axis ml_conv_axis_forward(const struct ml_conv_attr *a,
                                         const struct ml_conv_sizes *z, int d)
{
    return (struct ml_conv_axis){
        .taps = z->kernel[d],
        .tap_step = 1,
        .offset = -a->padding[d],
        .step = a->dilation[d],
        .stride = a->stride[d],
        .source = z->in[d],
        .grid = z->out[d],
    };
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Tap i brings y's place (h + padding - i * dilation) / stride to x's place h, where that divides.
 * With h = t * stride + phase, the taps that divide are every (stride / gcd)-th. */
struct ml_conv_axis ml_conv_axis_backward(const struct ml_conv_attr *a,
                                          const struct ml_conv_sizes *z, int d, int64_t phase)
{
    int64_t s = a->stride[d], every = s / common_divisor(s, a->dilation[d]);
    struct ml_conv_axis axis = {
        .tap_step = every,
        .step = -(a->dilation[d] * every / s),
        .stride = 1,
        .source = z->out[d],
        .grid = (z->in[d] + s - 1) / s,
    };
    for (int64_t i = 0; i < every && i < z->kernel[d]; i++) {
        int64_t reach = phase + a->padding[d] - i * a->dilation[d];
        if (reach % s != 0)
            continue;
        axis.tap = i;
        axis.offset = reach / s;
        axis.taps = (z->kernel[d] - i + every - 1) / every;
        break;
    }
    return axis;
}

/* ---- shapes ---- */

static bool is_number(enum ml_dtype dtype)
{
    return dtype == ML_F32 || dtype == ML_BF16;
}

/* Sizes as the tensors have them, before anything is known to fit. */
static int check_options(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    for (int d = 0; d < 2; d++)
        if (a->stride[d] < 1 || a->dilation[d] < 1 || a->padding[d] < 0)
            return ml_shape_fail(g, t, "stride %d, dilation %d, padding %d make no sense",
                                 a->stride[d], a->dilation[d], a->padding[d]);
    if (a->groups < 1)
        return ml_shape_fail(g, t, "%d groups", a->groups);
    if (t->src[0]->ndim != 4 || t->src[1]->ndim != 4)
        return ml_shape_fail(g, t, "four dimensions are needed");
    if (!is_number(t->src[0]->dtype))
        return ml_shape_fail(g, t, "numbers are f32 or bf16");
    return 0;
}

/* Numbers of y along axis d for `in` numbers of x; at most 0 when the kernel does not fit. */
static int64_t length_of_y(const struct ml_conv_attr *a, int d, int64_t in, int64_t kernel)
{
    int64_t room = in + 2 * (int64_t)a->padding[d] - a->dilation[d] * (kernel - 1) - 1;
    return room < 0 ? 0 : room / a->stride[d] + 1;
}

/* All sizes are filled in: do they agree? channels: of the input of this op. */
static int check_sizes(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    struct ml_conv_sizes z;
    ml_conv_sizes(&z, t);
    const struct ml_tensor *w = t->op == ML_OP_CONV2D_DW ? t : t->src[1];
    if (z.c % z.groups != 0 || z.o % z.groups != 0)
        return ml_shape_fail(g, t, "%lld and %lld channels do not divide into %lld groups",
                             (long long)z.c, (long long)z.o, (long long)z.groups);
    if (w->dim[0] != z.o || w->dim[1] != z.cg)
        return ml_shape_fail(g, t, "weights of [%lld,%lld,..] do not fit %lld groups of channels",
                             (long long)w->dim[0], (long long)w->dim[1], (long long)z.groups);
    for (int d = 0; d < 2; d++) {
        if (z.kernel[d] < 1 || z.in[d] < 1)
            return ml_shape_fail(g, t, "an empty kernel or picture");
        int64_t want = length_of_y(a, d, z.in[d], z.kernel[d]);
        if (want < 1)
            return ml_shape_fail(g, t,
                                 "a kernel of %lld (dilation %d) is larger than %lld numbers "
                                 "with padding %d",
                                 (long long)z.kernel[d], a->dilation[d], (long long)z.in[d],
                                 a->padding[d]);
        if (want != z.out[d])
            return ml_shape_fail(g, t, "length %lld along axis %d should be %lld",
                                 (long long)z.out[d], 2 + d, (long long)want);
    }
    const struct ml_tensor *bias = t->nsrc > 2 ? t->src[2] : NULL;
    if (bias && (bias->dtype != ML_F32 || bias->ndim != 1 || bias->dim[0] != t->dim[1]))
        return ml_shape_fail(g, t, "the bias must be [%lld] f32", (long long)t->dim[1]);
    return 0;
}

static int check_weights(struct ml_graph *g, struct ml_tensor *t)
{
    return t->src[1]->dtype == ML_I32 ? ml_shape_fail(g, t, "weights cannot be integers") : 0;
}

static int conv2d_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    const struct ml_tensor *x = t->src[0], *w = t->src[1];
    int status = check_options(g, t);
    if (status != 0 || (status = check_weights(g, t)) != 0)
        return status;
    t->dtype = x->dtype;
    t->ndim = 4;
    t->dim[0] = x->dim[0];
    t->dim[1] = w->dim[0];
    for (int d = 0; d < 2; d++)
        t->dim[2 + d] = length_of_y(a, d, x->dim[2 + d], w->dim[2 + d]);
    return check_sizes(g, t);
}

static int conv2d_dx_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    const struct ml_tensor *y = t->src[0], *w = t->src[1];
    int status = check_options(g, t);
    if (status != 0 || (status = check_weights(g, t)) != 0)
        return status;
    t->dtype = y->dtype;
    t->ndim = 4;
    t->dim[0] = y->dim[0];
    t->dim[1] = w->dim[1] * a->groups;
    t->dim[2] = a->size[0];
    t->dim[3] = a->size[1];
    return check_sizes(g, t);
}

static int conv2d_dw_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    const struct ml_tensor *x = t->src[0], *y = t->src[1];
    int status = check_options(g, t);
    if (status != 0)
        return status;
    if (!is_number(y->dtype) || x->dim[0] != y->dim[0])
        return ml_shape_fail(g, t, "two sides of one convolution are needed");
    t->dtype = ML_F32;
    t->ndim = 4;
    t->dim[0] = y->dim[1];
    t->dim[1] = x->dim[1] / a->groups;
    t->dim[2] = a->size[0];
    t->dim[3] = a->size[1];
    return check_sizes(g, t);
}

/* ---- the rows ---- */

static int64_t conv_flops(const struct ml_tensor *t)
{
    struct ml_conv_sizes z;
    ml_conv_sizes(&z, t);
    return 2 * z.n * z.o * z.out[0] * z.out[1] * z.cg * z.kernel[0] * z.kernel[1];
}

static void pull_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct ml_conv_sizes z;
    ml_conv_sizes(&z, t);
    (ml_conv_is_depthwise(&z) ? ml_conv_depth_pull : ml_conv_pull_forward)(run, t);
}

static size_t pull_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct ml_conv_sizes z;
    ml_conv_sizes(&z, t);
    return (ml_conv_is_depthwise(&z) ? ml_conv_depth_pull_scratch : ml_conv_pull_scratch)(k, t,
                                                                                          threads);
}

static bool spreads(const struct ml_kernels *k, const struct ml_tensor *t)
{
    struct ml_conv_sizes z;
    ml_conv_sizes(&z, t);
    return !ml_conv_is_depthwise(&z) && ml_conv_spread_gains(k, t);
}

static void dx_forward(struct ml_run *run, struct ml_tensor *t)
{
    (spreads(run->k, t) ? ml_conv_spread_forward : pull_forward)(run, t);
}

static size_t dx_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    return (spreads(k, t) ? ml_conv_spread_scratch : pull_scratch)(k, t, threads);
}

static void dw_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct ml_conv_sizes z;
    ml_conv_sizes(&z, t);
    (ml_conv_is_depthwise(&z) ? ml_conv_depth_dw : ml_conv_dw_forward)(run, t);
}

static size_t dw_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct ml_conv_sizes z;
    ml_conv_sizes(&z, t);
    return (ml_conv_is_depthwise(&z) ? ml_conv_depth_dw_scratch : ml_conv_dw_scratch)(k, t,
                                                                                      threads);
}

/* The same convolution as t's, as op `op` on a and b, with the size that dx and dw are told. */
static struct ml_tensor *same_conv(struct ml_graph *g, int op, const struct ml_tensor *t,
                                   struct ml_tensor *a, struct ml_tensor *b, const int64_t *size)
{
    struct ml_conv_attr attr = *ml_attr(t, struct ml_conv_attr);
    attr.size[0] = size ? size[0] : 0;
    attr.size[1] = size ? size[1] : 0;
    return ml_node(g, op, (struct ml_tensor *[]){a, b}, 2, &attr, sizeof attr);
}

static struct ml_tensor *bias_grad(struct ml_graph *g, struct ml_tensor *dt, struct ml_tensor *bias)
{
    struct ml_tensor *like = ml_reshape(g, bias, 3, (int64_t[]){bias->dim[0], 1, 1});
    return ml_reshape(g, ml_sum_to(g, dt, like), 1, bias->dim);
}

static void conv2d_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    struct ml_tensor *x = t->src[0], *w = t->src[1], *bias = t->nsrc > 2 ? t->src[2] : NULL;
    if (ml_wants_grad(x))
        dsrc[0] = same_conv(g, ML_OP_CONV2D_DX, t, dt, w, x->dim + 2);
    if (ml_wants_grad(w))
        dsrc[1] = ml_cast(g, same_conv(g, ML_OP_CONV2D_DW, t, x, dt, w->dim + 2), w->dtype);
    if (ml_wants_grad(bias))
        dsrc[2] = bias_grad(g, dt, bias);
}

static void conv2d_dx_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                               struct ml_tensor **dsrc)
{
    struct ml_tensor *y = t->src[0], *w = t->src[1], *bias = t->nsrc > 2 ? t->src[2] : NULL;
    if (ml_wants_grad(y))
        dsrc[0] = same_conv(g, ML_OP_CONV2D, t, dt, w, NULL);
    if (ml_wants_grad(w))
        dsrc[1] = ml_cast(g, same_conv(g, ML_OP_CONV2D_DW, t, dt, y, w->dim + 2), w->dtype);
    if (ml_wants_grad(bias))
        dsrc[2] = bias_grad(g, dt, bias);
}

static void conv2d_dw_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                               struct ml_tensor **dsrc)
{
    struct ml_tensor *x = t->src[0], *y = t->src[1];
    if (ml_wants_grad(x))
        dsrc[0] = ml_cast(g, same_conv(g, ML_OP_CONV2D_DX, t, y, dt, x->dim + 2), x->dtype);
    if (ml_wants_grad(y))
        dsrc[1] = ml_cast(g, same_conv(g, ML_OP_CONV2D, t, x, dt, NULL), y->dtype);
}

const struct ml_op ml_op_conv2d = {
    .name = "conv2d",
    .what = "convolution (cross-correlation) of pictures, channels first",
    .min_src = 2,
    .max_src = 3,
    .shape = conv2d_shape,
    .forward = pull_forward,
    .backward = conv2d_backward,
    .flops = conv_flops,
    .scratch = pull_scratch,
};

const struct ml_op ml_op_conv2d_dx = {
    .name = "conv2d_dx",
    .what = "transposed convolution, the gradient of conv2d in its input",
    .min_src = 2,
    .max_src = 3,
    .shape = conv2d_dx_shape,
    .forward = dx_forward,
    .backward = conv2d_dx_backward,
    .flops = conv_flops,
    .scratch = dx_scratch,
};

const struct ml_op ml_op_conv2d_dw = {
    .name = "conv2d_dw",
    .what = "gradient of conv2d in its weights",
    .min_src = 2,
    .max_src = 2,
    .shape = conv2d_dw_shape,
    .forward = dw_forward,
    .backward = conv2d_dw_backward,
    .flops = conv_flops,
    .scratch = dw_scratch,
};

/* ---- what models call ---- */

static struct ml_conv_attr attr_of(const struct ml_conv *options)
{
    struct ml_conv o = {0};
    struct ml_conv_attr a = {0};
    if (options)
        o = *options;
    a.groups = o.groups ? o.groups : 1;
    for (int d = 0; d < 2; d++) {
        a.stride[d] = o.stride[d] ? o.stride[d] : 1;
        a.dilation[d] = o.dilation[d] ? o.dilation[d] : 1;
        a.padding[d] = o.padding[d];
    }
    return a;
}

struct ml_tensor *ml_conv2d(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                            struct ml_tensor *b, const struct ml_conv *options)
{
    struct ml_conv_attr attr = attr_of(options);
    return ml_node(g, ML_OP_CONV2D, (struct ml_tensor *[]){x, w, b}, 3, &attr, sizeof attr);
}

struct ml_tensor *ml_conv2d_transpose(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                                      struct ml_tensor *b, const struct ml_conv *options)
{
    struct ml_conv_attr attr = attr_of(options);
    for (int d = 0; d < 2; d++) {
        int extra = options ? options->output_padding[d] : 0;
        if ((extra < 0 || extra >= attr.stride[d]) && !g->error.code) {
            ml_fail(&g->error, ML_ERR_SHAPE,
                    "conv2d_transpose: output_padding %d must be below the stride %d", extra,
                    attr.stride[d]);
            return &g->poison;
        }
        if (x->ndim == 4 && w->ndim == 4)
            attr.size[d] = (x->dim[2 + d] - 1) * attr.stride[d] - 2 * (int64_t)attr.padding[d] +
                           attr.dilation[d] * (w->dim[2 + d] - 1) + extra + 1;
    }
    return ml_node(g, ML_OP_CONV2D_DX, (struct ml_tensor *[]){x, w, b}, 3, &attr, sizeof attr);
}

typedef struct ml_tensor *conv_fn(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                                  struct ml_tensor *b, const struct ml_conv *options);

/* One dimension is two with a height of 1. */
static struct ml_tensor *conv1d(struct ml_graph *g, conv_fn *conv, struct ml_tensor *x,
                                struct ml_tensor *w, struct ml_tensor *b,
                                const struct ml_conv *options)
{
    struct ml_conv o = {0};
    if (options)
        o = *options;
    o.stride[0] = o.dilation[0] = o.padding[0] = o.output_padding[0] = 0;
    if ((x->ndim != 3 || w->ndim != 3) && !g->error.code) {
        char have[96], weights[96];
        ml_fail(&g->error, ML_ERR_SHAPE,
                "conv1d: [N,C,L] and weights [..,..,k] are needed (given "
                "%s and %s)",
                ml_shape_text(x, have, sizeof have), ml_shape_text(w, weights, sizeof weights));
    }
    if (g->error.code)
        return &g->poison;
    x = ml_reshape(g, x, 4, (int64_t[]){x->dim[0], x->dim[1], 1, x->dim[2]});
    w = ml_reshape(g, w, 4, (int64_t[]){w->dim[0], w->dim[1], 1, w->dim[2]});
    struct ml_tensor *y = conv(g, x, w, b, &o);
    return ml_reshape(g, y, 3, (int64_t[]){y->dim[0], y->dim[1], y->dim[3]});
}

struct ml_tensor *ml_conv1d(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                            struct ml_tensor *b, const struct ml_conv *options)
{
    return conv1d(g, ml_conv2d, x, w, b, options);
}

struct ml_tensor *ml_conv1d_transpose(struct ml_graph *g, struct ml_tensor *x, struct ml_tensor *w,
                                      struct ml_tensor *b, const struct ml_conv *options)
{
    return conv1d(g, ml_conv2d_transpose, x, w, b, options);
}
