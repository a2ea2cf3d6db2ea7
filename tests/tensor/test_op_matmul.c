/* Products: all transpositions, batches, linear with every activation, casts and views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "gradcheck.h"
#include "tensor/op.h"
#include "tensor/ops.h"

static struct ml_tensor *build_matmul(struct ml_graph *g, struct ml_tensor *const *in,
                                      const void *arg)
{
    struct ml_matmul_attr attr = *(const struct ml_matmul_attr *)arg;
    attr.out = in[0]->dtype;
    return ml_matmul_to(g, in[0], in[1], attr);
}

static void set_dims(struct check_input *in, bool batch, bool transposed, int64_t rows,
                     int64_t cols)
{
    int at = 0;
    if (batch) {
        in->dim[at++] = 3;
        in->dim[at++] = 2;
    }
    in->dim[at++] = transposed ? cols : rows;
    in->dim[at++] = transposed ? rows : cols;
    in->ndim = at;
}

static void every_transposition(void **state)
{
    (void)state;
    for (int which = 0; which < 12; which++) {
        struct ml_matmul_attr attr = {.ta = which & 1, .tb = which >> 1 & 1, .alpha = 0.5f};
        int batch = which >> 2; /* none, both, left only */
        if (batch == 2 && attr.ta)
            continue;
        struct check c = {.n = 2,
                          .in = {{.name = "a"}, {.name = "b"}},
                          .build = build_matmul,
                          .arg = &attr,
                          .seed = (uint64_t)which};
        set_dims(&c.in[0], batch > 0, attr.ta, 5, 7);
        set_dims(&c.in[1], batch == 1, attr.tb, 7, 9);
        check_all(&c, 3);
    }
}

/* Large enough for the blocked kernels, odd enough for their tails; against a double loop. */
static void product_against_double(void **state)
{
    (void)state;
    enum { M = 67, K = 301, N = 45 };
    struct ml_matmul_attr attr = {.tb = true};
    struct check c = {
        .n = 2,
        .in = {{.name = "a", .ndim = 2, .dim = {M, K}}, {.name = "b", .ndim = 2, .dim = {N, K}}},
        .build = build_matmul,
        .arg = &attr};
    float *a = ml_mem_alloc(sizeof(float) * M * K), *b = ml_mem_alloc(sizeof(float) * N * K);
    for (int i = 0; i < M * K; i++)
        a[i] = (float)((i * 7919) % 1000) / 500 - 1;
    for (int i = 0; i < N * K; i++)
        b[i] = (float)((i * 104729) % 1000) / 500 - 1;
    c.in[0].data = a;
    c.in[1].data = b;
    struct check_result r;
    check_run(&c, 2, NULL, &r);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            double want = 0;
            for (int k = 0; k < K; k++)
                want += (double)a[m * K + k] * (double)b[n * K + k];
            assert_float_equal(r.out[m * N + n], want, 1e-4);
        }
    check_result_clear(&r);
    ml_mem_free(a);
    ml_mem_free(b);
}

static void refusals(void **state)
{
    (void)state;
    struct ml_matmul_attr attr = {0};
    struct check c = {
        .n = 2,
        .in = {{.name = "a", .ndim = 2, .dim = {2, 3}}, {.name = "b", .ndim = 2, .dim = {4, 5}}},
        .build = build_matmul,
        .arg = &attr};
    check_refused(&c, "inner dimensions 3 and 4");
    c.in[0] = (struct check_input){.name = "a", .ndim = 3, .dim = {2, 3, 4}};
    c.in[1] = (struct check_input){.name = "b", .ndim = 3, .dim = {3, 4, 5}};
    check_refused(&c, "batch dimension 0");
    c.in[0] = (struct check_input){.name = "a", .ndim = 1, .dim = {4}};
    check_refused(&c, "two dimensions");
}

static struct ml_tensor *build_linear(struct ml_graph *g, struct ml_tensor *const *in,
                                      const void *arg)
{
    return ml_linear(g, in[0], in[1], in[2], *(const enum ml_act *)arg);
}

static struct ml_tensor *build_linear_plain(struct ml_graph *g, struct ml_tensor *const *in,
                                            const void *arg)
{
    (void)arg;
    return ml_linear(g, in[0], in[1], NULL, ML_ACT_NONE);
}

static void linear_with_every_activation(void **state)
{
    (void)state;
    for (int act = 0; act < ML_ACT_COUNT; act++) {
        enum ml_act a = (enum ml_act)act;
        struct check c = {.n = 3,
                          .in = {{.name = "x", .ndim = 3, .dim = {2, 5, 11}},
                                 {.name = "w", .ndim = 2, .dim = {13, 11}, .scale = 0.3f},
                                 {.name = "b", .ndim = 1, .dim = {13}}},
                          .build = build_linear,
                          .arg = &a,
                          .seed = 3};
        if (a == ML_ACT_RELU || a == ML_ACT_RELU2)
            c.step = 1e-3f; /* few differences then straddle the kink */
        check_gradient(&c);
        check_threads(&c);
        check_bf16(&c, 1, 0.04);
    }
    struct check c = {
        .n = 2,
        .in = {{.name = "x", .ndim = 2, .dim = {4, 11}}, {.name = "w", .ndim = 2, .dim = {13, 11}}},
        .build = build_linear_plain};
    check_all(&c, 1);
    c.in[1].dim[1] = 12;
    check_refused(&c, "11 features, the weight takes 12");
}

/* Without gradients the activation is fused: the numbers are those of the two-node form. */
static void fused_activation_equals_two_nodes(void **state)
{
    (void)state;
    for (int act = 1; act < ML_ACT_COUNT; act++) {
        enum ml_act a = (enum ml_act)act;
        struct check c = {.n = 3,
                          .in = {{.name = "x", .ndim = 2, .dim = {70, 65}},
                                 {.name = "w", .ndim = 2, .dim = {40, 65}, .scale = 0.2f},
                                 {.name = "b", .ndim = 1, .dim = {40}}},
                          .build = build_linear,
                          .arg = &a};
        struct check_result fused, split;
        check_run(&c, 2, NULL, &split);
        for (int i = 0; i < 3; i++)
            c.in[i].fixed = true;
        check_run(&c, 2, NULL, &fused);
        assert_true(check_max_difference(fused.out, split.out, fused.count) < 1e-6);
        check_result_clear(&fused);
        check_result_clear(&split);
    }
}

static struct ml_tensor *build_views(struct ml_graph *g, struct ml_tensor *const *in,
                                     const void *arg)
{
    (void)arg;
    struct ml_tensor *x = ml_reshape(g, in[0], 3, (int64_t[]){2, -1, 3});
    return ml_cast(g, ml_cast(g, ml_affine(g, x, 2, 0), ML_F32), in[0]->dtype);
}

static void reshape_and_cast(void **state)
{
    (void)state;
    struct check c = {
        .n = 1, .in = {{.name = "x", .ndim = 2, .dim = {4, 6}}}, .build = build_views};
    check_all(&c, 1);
    c.in[0].dim[1] = 5;
    check_refused(&c, "do not fit the new shape");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transposition),
        cmocka_unit_test(product_against_double),
        cmocka_unit_test(refusals),
        cmocka_unit_test(linear_with_every_activation),
        cmocka_unit_test(fused_activation_equals_two_nodes),
        cmocka_unit_test(reshape_and_cast),
    };
    return cmocka_run_group_tests_name("op_matmul", tests, NULL, NULL);
}
