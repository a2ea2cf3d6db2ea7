#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden_op.h"
#include "gradcheck.h"
#include "tensor/ops.h"

static struct ml_tensor *build_rmsnorm(struct ml_graph *g, struct ml_tensor *const *in,
                                       const void *arg)
{
    return ml_rmsnorm(g, in[0], arg ? NULL : in[1], 1e-5f);
}

static struct ml_tensor *build_layernorm(struct ml_graph *g, struct ml_tensor *const *in,
                                         const void *arg)
{
    (void)arg;
    return ml_layernorm(g, in[0], in[1], in[2], 1e-5f);
}

static struct ml_tensor *build_plain_layernorm(struct ml_graph *g, struct ml_tensor *const *in,
                                               const void *arg)
{
    (void)arg;
    return ml_layernorm(g, in[0], NULL, NULL, 1e-5f);
}

static struct ml_tensor *build_groupnorm(struct ml_graph *g, struct ml_tensor *const *in,
                                         const void *arg)
{
    return ml_groupnorm(g, in[0], in[1], in[2], *(const int *)arg, 1e-5f);
}

static struct ml_tensor *build_softmax(struct ml_graph *g, struct ml_tensor *const *in,
                                       const void *arg)
{
    return ml_softmax(g, in[0], *(const float *)arg);
}

static void rmsnorm(void **state)
{
    (void)state;
    const int64_t sizes[][3] = {{2, 3, 8}, {1, 1, 1}, {5, 7, 33}, {3, 100, 17}, {2, 1, 130}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t *s = sizes[i];
        struct check c = {.n = 2,
                          .in = {{"x", ML_F32, 3, {s[0], s[1], s[2]}},
                                 {"w", ML_F32, 1, {s[2]}, .scale = 0.5f, .shift = 1}},
                          .build = build_rmsnorm};
        if (s[2] == 1) { /* x / |x| is flat away from 0: nothing but eps to differentiate */
            check_threads(&c);
            continue;
        }
        check_all(&c, 1);
    }
}

static void rmsnorm_without_weight(void **state)
{
    (void)state;
    struct check c = {.n = 1, .in = {{"x", ML_F32, 2, {9, 21}}}, .build = build_rmsnorm, .arg = &c};
    check_all(&c, 1);
}

static void rmsnorm_frozen_parts(void **state)
{
    (void)state;
    struct check c = {.n = 2,
                      .in = {{"x", ML_F32, 2, {9, 21}}, {"w", ML_F32, 1, {21}, .fixed = true}},
                      .build = build_rmsnorm};
    check_gradient(&c);
    c.in[0].fixed = true;
    c.in[1].fixed = false;
    check_gradient(&c);
}

/* Many rows: partial sums of the weight's gradient are added in order. */
static void norm_long(void **state)
{
    (void)state;
    struct check c = {
        .n = 3,
        .in = {{"x", ML_F32, 2, {2500, 24}}, {"w", ML_F32, 1, {24}}, {"b", ML_F32, 1, {24}}},
        .build = build_layernorm,
        .samples = 12};
    check_all(&c, 1);
    c.build = build_rmsnorm;
    c.n = 2;
    check_all(&c, 1);
}

static void layernorm(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{6, 8}, {5, 33}, {70, 19}, {1, 257}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t *s = sizes[i];
        struct check c = {.n = 3,
                          .in = {{"x", ML_F32, 2, {s[0], s[1]}, .shift = 0.7f},
                                 {"w", ML_F32, 1, {s[1]}},
                                 {"b", ML_F32, 1, {s[1]}}},
                          .build = build_layernorm};
        check_all(&c, 1);
        c.build = build_plain_layernorm;
        c.n = 1;
        check_all(&c, 1);
    }
}

static void groupnorm(void **state)
{
    (void)state;
    const struct {
        int ndim;
        int64_t dim[4];
        int groups;
    } sizes[] = {{4, {2, 6, 3, 5}, 3}, {4, {1, 8, 4, 4}, 1}, {3, {3, 4, 17}, 4}, {2, {5, 12}, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t *d = sizes[i].dim;
        struct check c = {.n = 3,
                          .in = {{"x", ML_F32, sizes[i].ndim, {d[0], d[1], d[2], d[3]}},
                                 {"w", ML_F32, 1, {d[1]}},
                                 {"b", ML_F32, 1, {d[1]}}},
                          .build = build_groupnorm,
                          .arg = &sizes[i].groups};
        check_all(&c, 1);
    }
}

static struct ml_tensor *build_groupnorm_silu(struct ml_graph *g, struct ml_tensor *const *in,
                                              const void *arg)
{
    return ml_groupnorm_silu(g, in[0], in[1], in[2], *(const int *)arg, 1e-5f);
}

static struct ml_tensor *build_silu_of_groupnorm(struct ml_graph *g, struct ml_tensor *const *in,
                                                 const void *arg)
{
    return ml_unary(g, ML_UNARY_SILU, build_groupnorm(g, in, arg));
}

/* One node does what two do, to the bit, forwards and backwards. */
static void groupnorm_silu(void **state)
{
    (void)state;
    int groups = 3;
    struct check c = {
        .n = 3,
        .in = {{"x", ML_F32, 4, {2, 6, 3, 5}}, {"w", ML_F32, 1, {6}}, {"b", ML_F32, 1, {6}}},
        .build = build_groupnorm_silu,
        .arg = &groups};
    check_all(&c, 1);
    struct check_result one, two;
    check_run(&c, 2, NULL, &one);
    c.build = build_silu_of_groupnorm;
    check_run(&c, 2, NULL, &two);
    assert_memory_equal(one.out, two.out, (size_t)one.count * sizeof(float));
    for (int i = 0; i < c.n; i++)
        assert_memory_equal(one.grad[i], two.grad[i], (size_t)one.grad_count[i] * sizeof(float));
    check_result_clear(&one);
    check_result_clear(&two);
}

static void softmax(void **state)
{
    (void)state;
    float scale[] = {1.0f, 0.3f};
    for (int i = 0; i < 2; i++) {
        struct check c = {.n = 1,
                          .in = {{"x", ML_F32, 3, {3, 5, i ? 31 : 8}, .scale = 2}},
                          .build = build_softmax,
                          .arg = &scale[i]};
        check_all(&c, 1);
    }
}

/* Rows add up to 1, also where logits are huge; a row of -infinity gives zeros. */
static void softmax_extremes(void **state)
{
    (void)state;
    float x[3][4] = {{1e30f, 1e30f, -1e30f, 0},
                     {-INFINITY, -INFINITY, -INFINITY, -INFINITY},
                     {-INFINITY, 3, 3, -INFINITY}};
    const float want[3][4] = {{0.5f, 0.5f, 0, 0}, {0, 0, 0, 0}, {0, 0.5f, 0.5f, 0}};
    float scale = 1;
    struct check c = {
        .n = 1, .in = {{"x", ML_F32, 2, {3, 4}, x}}, .build = build_softmax, .arg = &scale};
    struct check_result r;
    check_run(&c, 2, NULL, &r);
    assert_true(check_max_difference(r.out, &want[0][0], 12) < 1e-6);
    check_result_clear(&r);
}

static void refused(void **state)
{
    (void)state;
    struct check c = {
        .n = 2, .in = {{"x", ML_F32, 2, {4, 6}}, {"w", ML_F32, 1, {5}}}, .build = build_rmsnorm};
    check_refused(&c, "[6]");
    int groups = 4;
    struct check n = {
        .n = 3,
        .in = {{"x", ML_F32, 3, {4, 6, 2}}, {"w", ML_F32, 1, {6}}, {"b", ML_F32, 1, {6}}},
        .build = build_groupnorm,
        .arg = &groups};
    check_refused(&n, "4 groups");
    groups = 0;
    check_refused(&n, "0 groups");
    groups = 2;
    n.in[2].dim[0] = 7;
    check_refused(&n, "bias");
}

/* Against PyTorch (tools/golden/ops_text.py). */
static void golden(void **state)
{
    (void)state;
    struct check c = {
        .n = 3, .in = {{"x", ML_F32}, {"w", ML_F32}, {"b", ML_F32}}, .build = build_layernorm};
    golden_check_op("ops_text.bin", "layernorm", &c, 1e-5);
    int groups = 3;
    c.build = build_groupnorm;
    c.arg = &groups;
    golden_check_op("ops_text.bin", "groupnorm", &c, 1e-5);
    c.build = build_rmsnorm;
    c.arg = NULL;
    c.n = 2;
    golden_check_op("ops_text.bin", "rmsnorm", &c, 1e-5);
    float half = 0.5f;
    c.build = build_softmax;
    c.arg = &half;
    c.n = 1;
    golden_check_op("ops_text.bin", "softmax", &c, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rmsnorm),
        cmocka_unit_test(rmsnorm_without_weight),
        cmocka_unit_test(rmsnorm_frozen_parts),
        cmocka_unit_test(norm_long),
        cmocka_unit_test(layernorm),
        cmocka_unit_test(groupnorm),
        cmocka_unit_test(groupnorm_silu),
        cmocka_unit_test(softmax),
        cmocka_unit_test(softmax_extremes),
        cmocka_unit_test(refused),
        cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests_name("op_norm", tests, NULL, NULL);
}
