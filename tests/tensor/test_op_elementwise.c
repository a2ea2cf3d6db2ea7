/* Elementwise ops: gradients, broadcasting, dropout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "gradcheck.h"
#include "tensor/op.h"
#include "tensor/ops.h"

static struct ml_tensor *build_unary(struct ml_graph *g, struct ml_tensor *const *in,
                                     const void *arg)
{
    return ml_unary(g, *(const enum ml_unary *)arg, in[0]);
}

static void every_unary(void **state)
{
    (void)state;
    for (int kind = 0; kind < ML_UNARY_COUNT; kind++) {
        enum ml_unary k = (enum ml_unary)kind;
        bool positive = k == ML_UNARY_SQRT || k == ML_UNARY_LOG;
        struct check c = {
            .n = 1,
            .in = {{.name = "x",
                    .ndim = 2,
                    .dim = {3, 37},
                    .scale = positive ? 0.2f : 1.5f,
                    .shift = positive ? 2 : 0,
                    .avoid = 0.05f}},
            .build = build_unary,
            .arg = &k,
        };
        check_all(&c, 1);
    }
}

struct binary_case {
    int an, bn;
    int64_t a[4], b[4];
};
static const struct binary_case binary_cases[] = {
    {2, 2, {5, 7}, {5, 7}},
    {2, 1, {5, 7}, {7}},
    {2, 1, {5, 7}, {1}},
    {2, 2, {5, 7}, {5, 1}},
    {1, 2, {7}, {5, 7}},
    {3, 3, {2, 1, 9}, {2, 5, 1}},
    {4, 3, {2, 3, 4, 5}, {3, 1, 5}},
    {4, 4, {2, 3, 1, 5}, {1, 3, 4, 1}},
    {1, 1, {1}, {1300}},
    {2, 2, {1, 1}, {3, 2}},
    {3, 1, {2, 3, 700}, {700}},
};

static struct ml_tensor *build_binary(struct ml_graph *g, struct ml_tensor *const *in,
                                      const void *arg)
{
    switch (*(const int *)arg) {
    case 0:
        return ml_add(g, in[0], in[1]);
    case 1:
        return ml_sub(g, in[0], in[1]);
    case 2:
        return ml_mul(g, in[0], in[1]);
    default:
        return ml_div(g, in[0], in[1]);
    }
}

static void every_binary_broadcast(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof binary_cases / sizeof *binary_cases; i++)
        for (int kind = 0; kind < 4; kind++) {
            const struct binary_case *b = &binary_cases[i];
            struct check c = {.n = 2,
                              .in = {{.name = "a", .ndim = b->an},
                                     {.name = "b",
                                      .ndim = b->bn,
                                      .shift = kind == 3 ? 4 : 0,
                                      .scale = kind == 3 ? 0.3f : 1}},
                              .build = build_binary,
                              .arg = &kind,
                              .seed = i + 1};
            for (int d = 0; d < 4; d++) {
                c.in[0].dim[d] = b->a[d];
                c.in[1].dim[d] = b->b[d];
            }
            check_all(&c, 3);
        }
}

/* Values against plain index arithmetic. */
static void broadcasting_is_numpys(void **state)
{
    (void)state;
    int kind = 1; /* a - b */
    struct check c = {
        .n = 2,
        .in = {{.name = "a", .ndim = 3, .dim = {2, 1, 3}}, {.name = "b", .ndim = 2, .dim = {4, 1}}},
        .build = build_binary,
        .arg = &kind};
    float a[6] = {1, 2, 3, 4, 5, 6}, b[4] = {10, 20, 30, 40};
    c.in[0].data = a;
    c.in[1].data = b;
    struct check_result r;
    check_run(&c, 1, NULL, &r);
    assert_int_equal(r.count, 24);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            for (int k = 0; k < 3; k++)
                assert_float_equal(r.out[(i * 4 + j) * 3 + k], a[i * 3 + k] - b[j], 0);
    check_result_clear(&r);
    c.in[1].ndim = 1;
    c.in[1].dim[0] = 4;
    check_refused(&c, "cannot be broadcast");
}

static struct ml_tensor *build_affine(struct ml_graph *g, struct ml_tensor *const *in,
                                      const void *arg)
{
    (void)arg;
    return ml_affine(g, in[0], -1.5f, 0.25f);
}

static void affine(void **state)
{
    (void)state;
    struct check c = {
        .n = 1, .in = {{.name = "x", .ndim = 1, .dim = {1500}}}, .build = build_affine};
    check_all(&c, 1);
}

static struct ml_tensor *build_swiglu(struct ml_graph *g, struct ml_tensor *const *in,
                                      const void *arg)
{
    (void)arg;
    return ml_swiglu(g, in[0], in[1]);
}

static void swiglu(void **state)
{
    (void)state;
    struct check c = {.n = 2,
                      .in = {{.name = "gate", .ndim = 2, .dim = {3, 19}},
                             {.name = "up", .ndim = 2, .dim = {3, 19}}},
                      .build = build_swiglu};
    check_all(&c, 3);
    c.in[1].dim[1] = 20;
    check_refused(&c, "shapes differ");
}

static struct ml_tensor *build_dropout(struct ml_graph *g, struct ml_tensor *const *in,
                                       const void *arg)
{
    g->training = true;
    return ml_dropout(g, in[0], *(const float *)arg);
}

static void dropout_keeps_the_expected_share(void **state)
{
    (void)state;
    float p = 0.3f;
    struct check c = {.n = 1,
                      .in = {{.name = "x", .ndim = 1, .dim = {40000}, .scale = 1e-9f, .shift = 1}},
                      .build = build_dropout,
                      .arg = &p};
    check_gradient(&c);
    check_threads(&c);
    struct check_result r;
    check_run(&c, 1, NULL, &r);
    double kept = 0;
    for (int64_t i = 0; i < r.count; i++) {
        assert_true(r.out[i] == 0 || fabsf(r.out[i] - 1 / 0.7f) < 1e-5f);
        kept += r.out[i] != 0;
    }
    check_result_clear(&r);
    assert_float_equal(kept / 40000, 0.7, 0.01); /* four standard deviations */
    struct ml_arena arena;
    struct ml_graph g;
    ml_arena_init(&arena, 0);
    ml_graph_init(&g, &arena);
    g.training = true;
    struct ml_tensor *x = ml_leaf(&g, "x", ML_F32, 1, (int64_t[]){4}, NULL);
    assert_ptr_equal(ml_dropout(&g, x, 1.0f), &g.poison);
    assert_int_equal(g.error.code, ML_ERR_ARG);
    ml_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unary),
        cmocka_unit_test(every_binary_broadcast),
        cmocka_unit_test(broadcasting_is_numpys),
        cmocka_unit_test(affine),
        cmocka_unit_test(swiglu),
        cmocka_unit_test(dropout_keeps_the_expected_share),
    };
    return cmocka_run_group_tests_name("op_elementwise", tests, NULL, NULL);
}
