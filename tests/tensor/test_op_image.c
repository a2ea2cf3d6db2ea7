/* Enlarging pictures against the formula, one number at a time; gradients of both ops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "golden_media.h"
#include "gradcheck.h"
#include "tensor/ops.h"

struct scale {
    enum ml_upsample kind;
    int h, w;
};

static struct ml_tensor *build_upsample(struct ml_graph *g, struct ml_tensor *const *in,
                                        const void *arg)
{
    const struct scale *s = arg;
    return ml_upsample(g, in[0], s->kind, s->h, s->w);
}

/* The gradient in in[0] of sum(upsample(in[0]) * in[1]): a function of in[1] alone. */
static struct ml_tensor *build_gradient(struct ml_graph *g, struct ml_tensor *const *in,
                                        const void *arg)
{
    struct ml_tensor *loss = ml_sum_all(g, ml_mul(g, build_upsample(g, in, arg), in[1])), *grad;
    struct ml_tensor *wrt = in[0];
    ml_grad(g, loss, &wrt, 1, &grad);
    return grad;
}

static struct check_input picture(int64_t n, int64_t c, int64_t h, int64_t w)
{
    return (struct check_input){.name = "x", .ndim = 4, .dim = {n, c, h, w}};
}

static double sample(const float *plane, int64_t h, int64_t w, double y, double x)
{
    y = y < 0 ? 0 : y;
    x = x < 0 ? 0 : x;
    int64_t y0 = (int64_t)y, x0 = (int64_t)x;
    int64_t y1 = y0 + 1 < h ? y0 + 1 : h - 1, x1 = x0 + 1 < w ? x0 + 1 : w - 1;
    double dy = y - (double)y0, dx = x - (double)x0;
    return (1 - dy) * ((1 - dx) * (double)plane[y0 * w + x0] + dx * (double)plane[y0 * w + x1]) +
           dy * ((1 - dx) * (double)plane[y1 * w + x0] + dx * (double)plane[y1 * w + x1]);
}

static void expect(const struct scale *s, int64_t h, int64_t w)
{
    struct check c = {.n = 1, .in = {picture(2, 3, h, w)}, .build = build_upsample, .arg = s};
    float *x = ml_mem_alloc((size_t)(6 * h * w) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < 6 * h * w; i++)
        x[i] = (float)(i * 7919 % 1009) / 504.5f - 1;
    c.in[0].data = x;
    struct check_result r;
    check_run(&c, 2, NULL, &r);
    assert_int_equal(r.count, 6 * h * w * s->h * s->w);
    for (int64_t e = 0; e < r.count; e++) {
        int64_t ox = e % (w * s->w), oy = e / (w * s->w) % (h * s->h);
        const float *plane = x + e / (w * s->w) / (h * s->h) * h * w;
        double want = (double)plane[oy / s->h * w + ox / s->w];
        if (s->kind == ML_UPSAMPLE_BILINEAR)
            want = sample(plane, h, w, ((double)oy + 0.5) / s->h - 0.5,
                          ((double)ox + 0.5) / s->w - 0.5);
        assert_float_equal(r.out[e], want, s->kind == ML_UPSAMPLE_NEAREST ? 0 : 1e-6);
    }
    check_result_clear(&r);
    ml_mem_free(x);
}

static void all_checks(enum ml_upsample kind)
{
    static const int scales[][2] = {{2, 2}, {1, 3}, {4, 1}, {3, 2}, {1, 1}, {5, 8}};
    static const int64_t sizes[][2] = {{3, 4}, {1, 7}, {5, 1}, {1, 1}, {2, 2}};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 5; j++) {
            struct scale s = {kind, scales[i][0], scales[i][1]};
            int64_t h = sizes[j][0], w = sizes[j][1];
            struct check c = {.n = 1,
                              .in = {picture(2, 2, h, w)},
                              .build = build_upsample,
                              .arg = &s,
                              .samples = 16};
            expect(&s, h, w);
            check_all(&c, 1);
            c.n = 2;
            c.in[1] = picture(2, 2, h * s.h, w * s.w);
            c.build = build_gradient;
            check_all(&c, 3);
        }
}

static void nearest(void **state)
{
    (void)state;
    all_checks(ML_UPSAMPLE_NEAREST);
}

static void bilinear(void **state)
{
    (void)state;
    all_checks(ML_UPSAMPLE_BILINEAR);
}

static void large(void **state)
{
    (void)state;
    for (int kind = ML_UPSAMPLE_NEAREST; kind <= ML_UPSAMPLE_BILINEAR; kind++) {
        struct scale s = {(enum ml_upsample)kind, 2, 2};
        struct check c = {
            .n = 1, .in = {picture(2, 8, 33, 65)}, .build = build_upsample, .arg = &s};
        expect(&s, 33, 65);
        check_threads(&c);
        s = (struct scale){(enum ml_upsample)kind, 1, 200}; /* pitch to samples */
        c.in[0] = picture(1, 2, 1, 70);
        expect(&s, 1, 70);
        check_threads(&c);
        check_bf16(&c, 1, 0.03);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    struct scale s = {ML_UPSAMPLE_NEAREST, 2, 0};
    struct check c = {.n = 1, .in = {picture(1, 2, 3, 4)}, .build = build_upsample, .arg = &s};
    check_refused(&c, "upsample: scale 0");
    s.w = 2;
    c.in[0].ndim = 3;
    check_refused(&c, "upsample: [N,C,H,W] is needed (given [1,2,3] f32)");
}

static void as_pytorch(void **state)
{
    (void)state;
    expect_golden("nearest", "x", build_upsample, &(struct scale){ML_UPSAMPLE_NEAREST, 2, 3});
    expect_golden("bilinear", "x", build_upsample, &(struct scale){ML_UPSAMPLE_BILINEAR, 3, 2});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest),    cmocka_unit_test(bilinear),           cmocka_unit_test(large),
        cmocka_unit_test(as_pytorch), cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests_name("op_image", tests, NULL, NULL);
}
