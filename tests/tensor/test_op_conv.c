/* Convolutions of both directions against plain loops; gradients of all three ops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "golden_media.h"
#include "gradcheck.h"
#include "tensor/op_conv.h"
#include "tensor/ops.h"

/* One convolution from x [n,c,h,w] to y with o channels; transposed ones are told by the same
 * numbers with x and y exchanged. */
struct shape {
    int64_t n, c, h, w, o, kh, kw;
    struct ml_conv options;
};

enum direction { FORWARD, TRANSPOSED, WEIGHTS, LINE, LINE_TRANSPOSED };

struct conv {
    enum direction direction;
    struct shape s;
    bool bias;
};

static int at_least_1(int x)
{
    return x ? x : 1;
}

static int64_t length_of(const struct shape *s, int d, bool transposed)
{
    int64_t in = d ? s->w : s->h, kernel = d ? s->kw : s->kh;
    int stride = at_least_1(s->options.stride[d]), pad = s->options.padding[d];
    int64_t span = at_least_1(s->options.dilation[d]) * (kernel - 1);
    if (transposed)
        return (in - 1) * stride - 2 * pad + span + s->options.output_padding[d] + 1;
    return (in + 2 * pad - span - 1) / stride + 1;
}

static struct ml_tensor *build_conv(struct ml_graph *g, struct ml_tensor *const *in,
                                    const void *arg)
{
    const struct conv *c = arg;
    struct ml_tensor *bias = c->bias ? in[2] : NULL;
    switch (c->direction) {
    case FORWARD:
        return ml_conv2d(g, in[0], in[1], bias, &c->s.options);
    case TRANSPOSED:
        return ml_conv2d_transpose(g, in[0], in[1], bias, &c->s.options);
    case LINE:
        return ml_conv1d(g, in[0], in[1], bias, &c->s.options);
    case LINE_TRANSPOSED:
        return ml_conv1d_transpose(g, in[0], in[1], bias, &c->s.options);
    default:
        break;
    }
    struct ml_conv_attr attr = {.groups = at_least_1(c->s.options.groups),
                                .size = {c->s.kh, c->s.kw}};
    for (int d = 0; d < 2; d++) {
        attr.stride[d] = at_least_1(c->s.options.stride[d]);
        attr.dilation[d] = at_least_1(c->s.options.dilation[d]);
        attr.padding[d] = c->s.options.padding[d];
    }
    return ml_node(g, ML_OP_CONV2D_DW, in, 2, &attr, sizeof attr);
}

static struct check_input input4(const char *name, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (struct check_input){.name = name, .ndim = 4, .dim = {a, b, c, d}};
}

static void setup(struct check *c, const struct conv *conv)
{
    const struct shape *s = &conv->s;
    int64_t groups = at_least_1(s->options.groups);
    bool transposed = conv->direction == TRANSPOSED || conv->direction == LINE_TRANSPOSED;
    memset(c, 0, sizeof *c);
    c->build = build_conv;
    c->arg = conv;
    c->n = conv->bias ? 3 : 2;
    c->samples = 12;
    c->tolerance = 2e-3;
    c->in[0] = input4("x", s->n, s->c, s->h, s->w);
    c->in[1] = transposed ? input4("w", s->c, s->o / groups, s->kh, s->kw)
                          : input4("w", s->o, s->c / groups, s->kh, s->kw);
    if (conv->direction == WEIGHTS)
        c->in[1] = input4("dy", s->n, s->o, length_of(s, 0, false), length_of(s, 1, false));
    c->in[2] = (struct check_input){.name = "b", .ndim = 1, .dim = {s->o}};
    if (conv->direction < LINE)
        return;
    for (int i = 0; i < 2; i++) { /* [.,.,1,l] -> [.,.,l] */
        c->in[i].ndim = 3;
        c->in[i].dim[2] = c->in[i].dim[3];
    }
}

/* Calls add for each product: indices into x, w and y of the forward convolution of these sizes. */
typedef void add_fn(void *arg, int64_t x, int64_t w, int64_t y);

static void each_product(const struct shape *s, int64_t ho, int64_t wo, add_fn *add, void *arg)
{
    int64_t groups = at_least_1(s->options.groups), cg = s->c / groups, og = s->o / groups;
    int sh = at_least_1(s->options.stride[0]), sw = at_least_1(s->options.stride[1]);
    int dh = at_least_1(s->options.dilation[0]), dw = at_least_1(s->options.dilation[1]);
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t o = 0; o < s->o; o++)
            for (int64_t p = 0; p < ho * wo; p++)
                for (int64_t c = 0; c < cg; c++)
                    for (int64_t k = 0; k < s->kh * s->kw; k++) {
                        int64_t y = p / wo * sh - s->options.padding[0] + k / s->kw * dh;
                        int64_t x = p % wo * sw - s->options.padding[1] + k % s->kw * dw;
                        if (y < 0 || y >= s->h || x < 0 || x >= s->w)
                            continue;
                        int64_t channel = o / og * cg + c;
                        add(arg, ((n * s->c + channel) * s->h + y) * s->w + x,
                            (o * cg + c) * s->kh * s->kw + k, (n * s->o + o) * ho * wo + p);
                    }
}

struct sums {
    const float *a, *b; /* the two inputs of the op */
    double *out;
    enum direction direction;
};

static void add_product(void *arg, int64_t x, int64_t w, int64_t y)
{
    struct sums *s = arg;
    if (s->direction == WEIGHTS)
        s->out[w] += (double)s->a[x] * (double)s->b[y];
    else if (s->direction == TRANSPOSED || s->direction == LINE_TRANSPOSED)
        s->out[x] += (double)s->a[y] * (double)s->b[w];
    else
        s->out[y] += (double)s->a[x] * (double)s->b[w];
}

static float *ramp(const struct check_input *in, int64_t *count)
{
    int64_t n = 1;
    for (int i = 0; i < in->ndim; i++)
        n *= in->dim[i];
    float *x = ml_mem_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((i * 7919 + 13) % 1009) / 504.5f - 1;
    *count = n;
    return x;
}

/* The op's result against the loops above. */
static void expect(const struct conv *conv)
{
    struct check c;
    int64_t counts[3];
    float *data[3];
    setup(&c, conv);
    for (int i = 0; i < c.n; i++)
        c.in[i].data = data[i] = ramp(&c.in[i], &counts[i]);
    struct check_result r;
    check_run(&c, 2, NULL, &r);
    struct shape s = conv->s;
    bool transposed = conv->direction == TRANSPOSED || conv->direction == LINE_TRANSPOSED;
    int64_t ho = length_of(&s, 0, transposed), wo = length_of(&s, 1, transposed);
    int64_t want = conv->direction == WEIGHTS
                       ? s.o * s.c / at_least_1(s.options.groups) * s.kh * s.kw
                       : s.n * s.o * ho * wo;
    assert_int_equal(r.count, want);
    double *out = ml_mem_calloc((size_t)r.count, sizeof *out);
    struct sums sums = {data[0], data[1], out, conv->direction};
    if (transposed) { /* the forward convolution that this is the adjoint of */
        struct shape f = s;
        f.c = s.o;
        f.o = s.c;
        f.h = ho;
        f.w = wo;
        each_product(&f, s.h, s.w, add_product, &sums);
    } else {
        each_product(&s, ho, wo, add_product, &sums);
    }
    double largest = 1;
    for (int64_t i = 0; i < r.count; i++) {
        if (conv->bias)
            out[i] += (double)data[2][i / (ho * wo) % s.o];
        largest = fmax(largest, fabs(out[i]));
    }
    for (int64_t i = 0; i < r.count; i++)
        assert_float_equal(r.out[i], out[i], 1e-5 * largest);
    check_result_clear(&r);
    ml_mem_free(out);
    for (int i = 0; i < c.n; i++)
        ml_mem_free(data[i]);
}

static const struct shape small[] = {
    {2, 3, 5, 6, 4, 3, 3, {.padding = {1, 1}}},
    {1, 2, 7, 5, 3, 3, 2, {.stride = {2, 3}, .padding = {1, 0}}},
    {2, 4, 6, 7, 6, 2, 3, {.dilation = {2, 2}, .padding = {0, 2}, .groups = 2}},
    {2, 3, 4, 5, 5, 1, 1, {.groups = 1}},
    {1, 4, 5, 5, 2, 1, 1, {.stride = {2, 2}}},
    {1, 4, 5, 5, 6, 1, 1, {.padding = {1, 1}, .groups = 2}},
    {2, 3, 8, 9, 3, 3, 3, {.stride = {1, 2}, .padding = {1, 1}, .groups = 3}},
    {1, 2, 9, 8, 6, 3, 2, {.stride = {2, 1}, .padding = {2, 0}, .dilation = {1, 2}, .groups = 2}},
    {1, 1, 1, 40, 3, 1, 7, {.stride = {1, 4}, .padding = {0, 3}}},
    {2, 3, 1, 23, 2, 1, 5, {.stride = {1, 3}, .padding = {0, 4}, .dilation = {1, 2}}},
    {1, 2, 10, 10, 2, 3, 3, {.stride = {4, 6}, .dilation = {2, 3}, .padding = {2, 3}}},
    {1, 5, 3, 3, 7, 3, 3, {.groups = 1}},
    {1, 3, 4, 4, 3, 2, 2, {.stride = {3, 3}, .groups = 3}},
};
enum { SMALL = sizeof small / sizeof *small };

static void all_checks(enum direction direction, bool bias)
{
    for (int i = 0; i < SMALL; i++) {
        struct conv conv = {.direction = direction, .s = small[i], .bias = bias};
        struct check c;
        expect(&conv);
        setup(&c, &conv);
        c.seed = (uint64_t)i;
        check_all(&c, direction == WEIGHTS ? 3 : 1);
        check_bf16(&c, 3, 0.04); /* weights may be bf16 too */
        check_bf16(&c, 2, 0.04);
    }
}

static void forward(void **state)
{
    (void)state;
    all_checks(FORWARD, true);
    all_checks(FORWARD, false);
}

/* `small` read the other way: x is the side with fewer numbers. */
static void transposed(void **state)
{
    (void)state;
    all_checks(TRANSPOSED, true);
    all_checks(TRANSPOSED, false);
    struct conv conv = {
        TRANSPOSED,
        {2, 3, 4, 5, 4, 3, 4, {.stride = {2, 3}, .padding = {1, 1}, .output_padding = {1, 2}}},
        true};
    struct check c;
    expect(&conv);
    setup(&c, &conv);
    check_all(&c, 1);
}

static void weights(void **state)
{
    (void)state;
    all_checks(WEIGHTS, false);
}

/* Vocoder shapes: strides of upsampling, dilated residual blocks, one output channel. */
static const struct shape lines[] = {
    {2, 3, 1, 17, 4, 1, 3, {.padding = {9, 1}, .stride = {5, 1}}}, /* height is not looked at */
    {1, 4, 1, 9, 2, 1, 16, {.stride = {0, 8}, .padding = {0, 4}}},
    {1, 4, 1, 9, 2, 1, 11, {.stride = {0, 5}, .padding = {0, 3}}},
    {1, 2, 1, 50, 2, 1, 7, {.dilation = {0, 5}, .padding = {0, 15}}},
    {2, 6, 1, 31, 1, 1, 7, {.padding = {0, 3}}},
    {2, 4, 1, 33, 4, 1, 5, {.padding = {0, 2}, .groups = 4}},
    {1, 4, 1, 12, 8, 1, 4, {.stride = {0, 2}, .padding = {0, 1}, .groups = 4}},
    {1, 3, 1, 20, 5, 1, 1, {.groups = 1}},
};

static void one_dimension(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (int t = 0; t < 2; t++) {
            struct conv conv = {t ? LINE_TRANSPOSED : LINE, lines[i], i % 2 == 0};
            if (!t && lines[i].w < lines[i].kw)
                continue;
            struct check c;
            setup(&c, &conv);
            c.seed = i;
            check_all(&c, 1);
            conv.s.options.padding[0] = 0; /* for the loops */
            conv.s.options.stride[0] = 0;
            expect(&conv);
        }
}

/* Beyond one tile of places, one block of channels, one part of a weight gradient. */
static void large(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {2, 16, 37, 41, 24, 3, 3, {.padding = {1, 1}}},
        {1, 130, 9, 8, 150, 3, 3, {.padding = {1, 1}}},
        {3, 3, 40, 40, 33, 4, 4, {.stride = {2, 2}, .padding = {1, 1}}},
        {1, 70, 30, 31, 65, 1, 1, {.groups = 1}},
        {2, 32, 30, 30, 32, 3, 3, {.padding = {1, 1}, .groups = 32}},
        {1, 4, 2, 3000, 8, 1, 5, {.padding = {0, 2}, .groups = 4}},
        {1, 24, 1, 2500, 16, 1, 9, {.stride = {1, 3}, .padding = {0, 4}}},
        /* large strides: the other direction spreads its sums */
        {1, 24, 1, 80, 70, 1, 16, {.stride = {1, 8}, .padding = {0, 4}}},
        {2, 30, 1, 61, 140, 1, 8, {.stride = {1, 5}, .padding = {0, 7}, .groups = 2}},
        {1, 12, 13, 17, 96, 4, 4, {.stride = {4, 3}, .padding = {1, 2}}},
        /* in Winograd's form: odd sizes, all paddings, groups, few places, many of all */
        {2, 18, 4, 7, 20, 3, 3, {.padding = {0, 2}}},
        {1, 40, 9, 6, 34, 3, 3, {.padding = {2, 0}, .groups = 2}},
        {3, 19, 5, 5, 16, 3, 3, {.padding = {3, 4}}},
        {1, 66, 33, 70, 70, 3, 3, {.padding = {1, 1}}},
        {1, 16, 8, 8, 16, 3, 3, {.stride = {2, 2}, .dilation = {2, 2}, .padding = {2, 2}}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int direction = FORWARD; direction <= WEIGHTS; direction++) {
            struct conv conv = {(enum direction)direction, shapes[i], direction != WEIGHTS};
            struct check c;
            if (direction == TRANSPOSED) { /* from the smaller side */
                conv.s.h = length_of(&shapes[i], 0, false);
                conv.s.w = length_of(&shapes[i], 1, false);
                conv.s.c = shapes[i].o;
                conv.s.o = shapes[i].c;
            }
            expect(&conv);
            setup(&c, &conv);
            check_threads(&c);
            check_bf16(&c, direction == WEIGHTS ? 3 : 1, 0.03);
        }
}

/* No picture: results are empty, the weights' gradient is zero. */
static void empty_batch(void **state)
{
    (void)state;
    for (int depth = 0; depth < 2; depth++)
        for (int direction = FORWARD; direction <= WEIGHTS; direction++) {
            struct conv conv = {.direction = (enum direction)direction,
                                .s = {0, 2, 4, 4, 2, 3, 3, {.groups = depth + 1}}};
            struct check c;
            struct check_result r;
            setup(&c, &conv);
            check_run(&c, 2, NULL, &r);
            assert_int_equal(r.count, direction == WEIGHTS ? 36 >> depth : 0);
            for (int64_t i = 0; i < r.count; i++)
                assert_float_equal(r.out[i], 0, 0);
            check_result_clear(&r);
        }
}

static struct ml_tensor *build_free(struct ml_graph *g, struct ml_tensor *const *in,
                                    const void *arg)
{
    const struct ml_conv *o = arg;
    return ml_conv2d(g, in[0], in[1], in[2], o);
}

static struct ml_tensor *build_free_transposed(struct ml_graph *g, struct ml_tensor *const *in,
                                               const void *arg)
{
    return ml_conv2d_transpose(g, in[0], in[1], in[2], arg);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    struct ml_conv o = {0};
    struct check c = {.n = 3,
                      .in = {input4("x", 1, 4, 5, 6),
                             input4("w", 6, 4, 3, 3),
                             {.name = "b", .ndim = 1, .dim = {6}}},
                      .build = build_free,
                      .arg = &o};
    o.groups = 3;
    check_refused(&c, "conv2d: 4 and 6 channels do not divide into 3 groups (given [1,4,5,6]");
    o.groups = 2;
    check_refused(&c, "weights of [6,4,..]");
    o.groups = -1;
    check_refused(&c, "-1 groups");
    o = (struct ml_conv){.stride = {0, -1}};
    check_refused(&c, "stride -1");
    o = (struct ml_conv){.dilation = {3, 0}};
    check_refused(&c, "larger than 5 numbers");
    o = (struct ml_conv){0};
    c.in[2].dim[0] = 5;
    check_refused(&c, "bias must be [6] f32");
    c.in[2].dim[0] = 6;
    c.in[0].ndim = 3;
    check_refused(&c, "four dimensions");
    c.in[0].ndim = 4;
    c.in[0].dim[1] = 6;
    c.build = build_free_transposed;
    o = (struct ml_conv){.output_padding = {1, 0}};
    check_refused(&c, "output_padding 1 must be below the stride 1");
    o = (struct ml_conv){.padding = {7, 0}};
    check_refused(&c, "conv2d_dx");
}

/* 2 * outputs * products each, for all three ops. */
static void flops_are_counted(void **state)
{
    (void)state;
    struct ml_arena arena;
    struct ml_graph g;
    ml_arena_init(&arena, 0);
    ml_graph_init(&g, &arena);
    struct ml_tensor *x = ml_leaf_param(&g, "x", ML_F32, 4, (int64_t[]){2, 6, 9, 9}, NULL);
    struct ml_tensor *w = ml_leaf_param(&g, "w", ML_F32, 4, (int64_t[]){4, 3, 3, 3}, NULL);
    struct ml_conv o = {.stride = {2, 2}, .padding = {1, 1}, .groups = 2};
    struct ml_tensor *y = ml_conv2d(&g, x, w, NULL, &o), *grads[2];
    const int64_t want = 2 * (2 * 4 * 5 * 5) * (3 * 9);
    assert_int_equal(ml_grad(&g, ml_sum_all(&g, y), (struct ml_tensor *[]){x, w}, 2, grads), 0);
    int seen = 0;
    for (int i = 0; i < g.count; i++)
        if (g.nodes[i]->op >= ML_OP_CONV2D && g.nodes[i]->op <= ML_OP_CONV2D_DW) {
            assert_int_equal(ml_op_get(g.nodes[i]->op)->flops(g.nodes[i]), want);
            seen++;
        }
    assert_int_equal(seen, 3);
    ml_arena_clear(&arena);
}

static void expect_conv(const char *name, enum direction direction, struct ml_conv options)
{
    struct conv conv = {.direction = direction, .s = {.options = options}, .bias = true};
    expect_golden(name, "xwb", build_conv, &conv);
}

/* The gradient in x of sum(conv2d(x, w) * u): a function of w and u. */
static struct ml_tensor *build_second(struct ml_graph *g, struct ml_tensor *const *in,
                                      const void *arg)
{
    struct ml_tensor *y = ml_conv2d(g, in[0], in[1], NULL, arg), *dx, *x = in[0];
    ml_grad(g, ml_sum_all(g, ml_mul(g, y, in[2])), &x, 1, &dx);
    return dx;
}

static void as_pytorch(void **state)
{
    (void)state;
    expect_conv("conv2d", FORWARD, (struct ml_conv){.padding = {1, 1}});
    expect_conv(
        "conv2d_all", FORWARD,
        (struct ml_conv){.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2});
    expect_conv("conv2d_depth", FORWARD,
                (struct ml_conv){.stride = {1, 2}, .padding = {1, 1}, .groups = 4});
    expect_conv("conv2d_one", FORWARD, (struct ml_conv){.groups = 1});
    expect_conv("transposed", TRANSPOSED,
                (struct ml_conv){.stride = {2, 3},
                                 .padding = {1, 0},
                                 .output_padding = {1, 2},
                                 .groups = 2,
                                 .dilation = {1, 2}});
    expect_conv("conv1d", LINE,
                (struct ml_conv){.stride = {0, 2}, .padding = {0, 4}, .dilation = {0, 3}});
    expect_conv("transposed1d", LINE_TRANSPOSED,
                (struct ml_conv){.stride = {0, 8}, .padding = {0, 4}});
    struct ml_conv options = {.stride = {2, 2}, .padding = {1, 1}};
    expect_golden("second", "xwu", build_second, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward),
        cmocka_unit_test(transposed),
        cmocka_unit_test(weights),
        cmocka_unit_test(one_dimension),
        cmocka_unit_test(large),
        cmocka_unit_test(empty_batch),
        cmocka_unit_test(as_pytorch),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(flops_are_counted),
    };
    return cmocka_run_group_tests_name("op_conv", tests, NULL, NULL);
}
