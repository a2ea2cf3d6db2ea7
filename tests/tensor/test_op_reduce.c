/* Reductions over every set of axes, against double loops; their gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "golden_media.h"
#include "gradcheck.h"
#include "tensor/ops.h"

struct fold {
    enum { SOME, SUM_ALL, MEAN_ALL, SUM_TO } what;
    enum ml_reduce kind;
    unsigned axes;
};

static struct ml_tensor *build_fold(struct ml_graph *g, struct ml_tensor *const *in,
                                    const void *arg)
{
    const struct fold *f = arg;
    switch (f->what) {
    case SUM_ALL:
        return ml_sum_all(g, in[0]);
    case MEAN_ALL:
        return ml_mean_all(g, in[0]);
    case SUM_TO:
        return ml_sum_to(g, in[0], in[1]);
    default:
        return ml_reduce(g, f->kind, in[0], f->axes);
    }
}

/* Distinct numbers that bf16 holds exactly, so that a maximum is one number in both types. */
static float *distinct(int64_t n)
{
    float *x = ml_mem_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    assert_true(n <= 256);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i * 37 % 257 - 128) / 16;
    return x;
}

static float *normal(int64_t n, uint64_t seed)
{
    float *x = ml_mem_alloc((size_t)n * sizeof *x);
    struct ml_rng rng;
    assert_non_null(x);
    ml_rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = ml_rng_normal(&rng);
    return x;
}

static int64_t out_index(int64_t e, int ndim, const int64_t *dim, unsigned axes)
{
    int64_t at[ML_MAX_DIMS], index = 0;
    for (int i = ndim - 1; i >= 0; i--) {
        at[i] = e % dim[i];
        e /= dim[i];
    }
    for (int i = 0; i < ndim; i++)
        if (!(axes >> i & 1u))
            index = index * dim[i] + at[i];
    return index;
}

/* f on x against a double loop. */
static void expect(const struct fold *f, const float *x, int ndim, const int64_t *dim)
{
    struct check c = {.n = 1, .build = build_fold, .arg = f};
    c.in[0] = (struct check_input){.name = "x", .ndim = ndim, .data = x};
    int64_t total = 1, count = 1;
    for (int i = 0; i < ndim; i++) {
        c.in[0].dim[i] = dim[i];
        total *= dim[i];
        count *= f->axes >> i & 1u ? dim[i] : 1;
    }
    struct check_result r;
    check_run(&c, 2, NULL, &r);
    assert_int_equal(r.count, total / count);
    double *want = ml_mem_calloc((size_t)r.count, sizeof *want);
    for (int64_t o = 0; o < r.count; o++)
        want[o] = f->kind == ML_REDUCE_MAX ? -(double)INFINITY : 0;
    for (int64_t e = 0; e < total; e++) {
        double *w = &want[out_index(e, ndim, dim, f->axes)];
        *w = f->kind == ML_REDUCE_MAX ? fmax(*w, (double)x[e]) : *w + (double)x[e];
    }
    for (int64_t o = 0; o < r.count; o++) {
        double scale = f->kind == ML_REDUCE_MEAN ? 1.0 / (double)count : 1;
        assert_float_equal(r.out[o], want[o] * scale, 2e-6 * sqrt((double)count) + 1e-9);
    }
    ml_mem_free(want);
    check_result_clear(&r);
}

static void every_set_of_axes(void **state)
{
    (void)state;
    const int64_t dim[4] = {3, 4, 2, 5};
    float *x = distinct(120);
    for (unsigned axes = 0; axes < 16; axes++)
        for (int kind = ML_REDUCE_SUM; kind <= ML_REDUCE_MAX; kind++) {
            struct fold f = {.kind = (enum ml_reduce)kind, .axes = axes};
            expect(&f, x, 4, dim);
            struct check c = {
                .n = 1,
                .in = {{.name = "x", .ndim = 4, .dim = {3, 4, 2, 5}, .data = x}},
                .build = build_fold,
                .arg = &f,
                .samples = 20,
            };
            check_all(&c, 1);
        }
    ml_mem_free(x);
}

/* Cut into parts and pieces; odd sizes. */
static void large_reductions(void **state)
{
    (void)state;
    static const struct {
        int ndim;
        unsigned axes;
        int64_t dim[4];
    } cases[] = {
        {2, 1, {1501, 301}}, {2, 2, {301, 1501}},      {2, 2, {3, 100003}},
        {2, 1, {100003, 3}}, {2, 3, {411, 503}},       {1, 1, {200001}},
        {2, 1, {9, 20011}},  {4, 13, {5, 7, 61, 103}}, {3, 5, {70, 130, 30}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct check_input in = {.name = "x", .ndim = cases[i].ndim};
        int64_t n = 1;
        for (int d = 0; d < in.ndim; d++)
            n *= in.dim[d] = cases[i].dim[d];
        float *x = normal(n, i);
        for (int kind = ML_REDUCE_SUM; kind <= ML_REDUCE_MAX; kind++) {
            struct fold f = {.kind = (enum ml_reduce)kind, .axes = cases[i].axes};
            expect(&f, x, in.ndim, in.dim);
            in.data = x;
            struct check c = {.n = 1, .in = {in}, .build = build_fold, .arg = &f};
            check_threads(&c);
        }
        ml_mem_free(x);
    }
}

static void to_a_scalar(void **state)
{
    (void)state;
    for (int what = SUM_ALL; what <= MEAN_ALL; what++) {
        struct fold f = {.kind = what == SUM_ALL ? ML_REDUCE_SUM : ML_REDUCE_MEAN, .axes = 7};
        f.what = what == SUM_ALL ? SUM_ALL : MEAN_ALL;
        struct check c = {.n = 1,
                          .in = {{.name = "x", .ndim = 3, .dim = {3, 5, 7}}},
                          .build = build_fold,
                          .arg = &f};
        check_all(&c, 1);
        float *x = normal(105, 3);
        expect(&f, x, 3, (int64_t[]){3, 5, 7});
        ml_mem_free(x);
    }
}

/* 300 ones in bf16 sum to 300: the sum itself is f32, as 257 is not a bf16 number. */
static void scalars_of_bf16_are_f32(void **state)
{
    (void)state;
    struct ml_arena arena;
    struct ml_graph g;
    ml_arena_init(&arena, 0);
    ml_graph_init(&g, &arena);
    struct ml_tensor *x = ml_leaf_param(&g, "x", ML_BF16, 1, (int64_t[]){300}, NULL), *dx;
    struct ml_tensor *sum = ml_sum_all(&g, x), *mean = ml_mean_all(&g, x);
    assert_int_equal(sum->dtype, ML_F32);
    assert_int_equal(mean->dtype, ML_F32);
    assert_int_equal(ml_reduce(&g, ML_REDUCE_SUM, x, 1)->dtype, ML_BF16);
    assert_int_equal(ml_grad(&g, sum, &x, 1, &dx), 0);
    assert_int_equal(dx->dtype, ML_BF16);
    ml_arena_clear(&arena);
}

static void sums_to_a_shape(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        int64_t x[4], like[4];
    } cases[] = {
        {2, 1, {3, 5}, {5}},
        {2, 2, {3, 5}, {3, 1}},
        {4, 3, {2, 3, 4, 5}, {3, 1, 1}},
        {4, 4, {2, 3, 4, 5}, {1, 3, 1, 5}},
        {3, 1, {2, 3, 4}, {1}},
        {3, 0, {2, 3, 4}, {0}},
        {2, 2, {3, 5}, {3, 5}},
        {4, 2, {1, 1, 3, 5}, {3, 5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fold f = {.what = SUM_TO, .kind = ML_REDUCE_SUM};
        struct check c = {.n = 2, .build = build_fold, .arg = &f};
        int64_t n = 1, dim[4];
        c.in[0] = (struct check_input){.name = "x", .ndim = cases[i].from};
        c.in[1] = (struct check_input){.name = "like", .ndim = cases[i].to, .fixed = true};
        for (int d = 0; d < cases[i].from; d++)
            n *= dim[d] = c.in[0].dim[d] = cases[i].x[d];
        for (int d = 0; d < cases[i].to; d++)
            c.in[1].dim[d] = cases[i].like[d];
        for (int d = 0; d < cases[i].from; d++) {
            int to = d - (cases[i].from - cases[i].to);
            if (to < 0 || cases[i].like[to] == 1)
                f.axes |= 1u << d;
        }
        check_all(&c, 1);
        float *x = normal(n, i), *want = ml_mem_calloc((size_t)n, sizeof *want);
        c.in[0].data = x;
        struct check_result r;
        check_run(&c, 2, NULL, &r);
        for (int64_t e = 0; e < n; e++)
            want[out_index(e, cases[i].from, dim, f.axes)] += x[e];
        for (int64_t e = 0; e < r.count; e++)
            assert_float_equal(r.out[e], want[e], 1e-5);
        check_result_clear(&r);
        ml_mem_free(x);
        ml_mem_free(want);
    }
}

static void ties_share_a_maximum(void **state)
{
    (void)state;
    const float x[6] = {1, 3, 3, 2, 3, 0};
    for (unsigned axes = 1; axes <= 3; axes++) {
        struct fold f = {.kind = ML_REDUCE_MAX, .axes = axes};
        struct check c = {.n = 1,
                          .in = {{.name = "x", .ndim = 2, .dim = {2, 3}, .data = x}},
                          .build = build_fold,
                          .arg = &f};
        const float want[3][6] = {
            {0, .5f, 1, 1, .5f, 0}, {0, .5f, .5f, 0, 1, 0}, {0, 1.f / 3, 1.f / 3, 0, 1.f / 3, 0}};
        const float ones[3] = {1, 1, 1};
        struct check_result r;
        check_run(&c, 2, ones, &r);
        for (int i = 0; i < 6; i++)
            assert_float_equal(r.grad[0][i], want[axes - 1][i], 1e-7);
        check_result_clear(&r);
    }
}

static void nan_and_nothing(void **state)
{
    (void)state;
    const float x[6] = {1, NAN, 3, 2, 3, 0};
    for (int kind = ML_REDUCE_SUM; kind <= ML_REDUCE_MAX; kind++)
        for (unsigned axes = 1; axes <= 2; axes++) {
            struct fold f = {.kind = (enum ml_reduce)kind, .axes = axes};
            struct check c = {.n = 1,
                              .in = {{.name = "x", .ndim = 2, .dim = {2, 3}, .data = x}},
                              .build = build_fold,
                              .arg = &f};
            struct check_result r;
            check_run(&c, 1, NULL, &r);
            for (int64_t i = 0; i < r.count; i++)
                assert_int_equal(isnan(r.out[i]) != 0, i == (axes == 1 ? 1 : 0));
            check_result_clear(&r);
        }
    for (unsigned axes = 1; axes <= 2; axes++) { /* no numbers: their sum is 0 */
        struct fold f = {.kind = ML_REDUCE_SUM, .axes = axes};
        struct check c = {
            .n = 1,
            .in = {{.name = "x", .ndim = 2, .dim = {axes == 1 ? 0 : 3, axes == 1 ? 3 : 0}}},
            .build = build_fold,
            .arg = &f};
        struct check_result r;
        check_run(&c, 1, NULL, &r);
        assert_int_equal(r.count, 3);
        for (int i = 0; i < 3; i++)
            assert_float_equal(r.out[i], 0, 0);
        check_result_clear(&r);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    struct fold f = {.kind = ML_REDUCE_SUM, .axes = 8};
    struct check c = {.n = 2,
                      .in = {{.name = "x", .ndim = 3, .dim = {2, 3, 4}},
                             {.name = "like", .ndim = 2, .dim = {2, 4}}},
                      .build = build_fold,
                      .arg = &f};
    check_refused(&c, "reduce: axes 0x8");
    f.what = SUM_TO;
    check_refused(&c, "sum_to: dimension 1 has length 3, wanted is 2");
}

static void as_pytorch(void **state)
{
    (void)state;
    expect_golden("sum", "x", build_fold, &(struct fold){.kind = ML_REDUCE_SUM, .axes = 5});
    expect_golden("mean", "x", build_fold, &(struct fold){.kind = ML_REDUCE_MEAN, .axes = 10});
    expect_golden("max", "x", build_fold, &(struct fold){.kind = ML_REDUCE_MAX, .axes = 6});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_set_of_axes),  cmocka_unit_test(large_reductions),
        cmocka_unit_test(to_a_scalar),        cmocka_unit_test(scalars_of_bf16_are_f32),
        cmocka_unit_test(sums_to_a_shape),    cmocka_unit_test(ties_share_a_maximum),
        cmocka_unit_test(nan_and_nothing),    cmocka_unit_test(as_pytorch),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests_name("op_reduce", tests, NULL, NULL);
}
