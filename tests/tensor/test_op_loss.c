#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "golden_op.h"
#include "gradcheck.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

static struct ml_tensor *build_cross_entropy(struct ml_graph *g, struct ml_tensor *const *in,
                                             const void *arg)
{
    return ml_cross_entropy(g, in[0], in[1], in[2], *(const float *)arg);
}

static struct ml_tensor *build_mse(struct ml_graph *g, struct ml_tensor *const *in, const void *arg)
{
    (void)arg;
    return ml_mse(g, in[0], in[1]);
}

/* every: each such target is left out (0: none). */
static void fill_targets(int32_t *targets, int64_t n, int64_t words, int every)
{
    struct ml_rng rng;
    ml_rng_init(&rng, 5, 5);
    for (int64_t i = 0; i < n; i++)
        targets[i] =
            every && i % every == every - 1 ? -100 : (int32_t)ml_rng_below(&rng, (uint64_t)words);
}

/* Cross-entropy and its gradients in double, all logits of a row at a time. */
struct plain {
    double loss, *dh, *dw;
};

static void plain_row(const float *h, const float *w, int32_t target, const int64_t *size, double s,
                      double *z, struct plain *out)
{
    int64_t d = size[1], words = size[2];
    double sum = 0, mean = 0;
    for (int64_t v = 0; v < words; v++) {
        z[v] = 0;
        for (int64_t e = 0; e < d; e++)
            z[v] += (double)h[e] * (double)w[v * d + e];
        sum += exp(z[v]);
        mean += z[v] / (double)words;
    }
    out->loss += log(sum) - (1 - s) * z[target] - s * mean;
    for (int64_t v = 0; v < words; v++) {
        double dz = exp(z[v]) / sum - s / (double)words - (v == target ? 1 - s : 0);
        for (int64_t e = 0; e < d; e++) {
            out->dh[e] += dz * (double)w[v * d + e];
            out->dw[v * d + e] += dz * (double)h[e];
        }
    }
}

static double *zeros(int64_t n)
{
    double *x = ml_mem_calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static float *waves(int64_t n, int64_t period)
{
    float *x = ml_mem_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = sinf((float)(i * i % period));
    return x;
}

static void assert_near(const float *ours, const double *plain, int64_t n, double factor)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(plain[i] * factor));
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs((double)ours[i] - plain[i] * factor) <= 1e-5 * largest);
}

static void check_plain(const struct check *c, const int64_t *size, const int32_t *targets,
                        double smoothing)
{
    int64_t n = size[0], d = size[1], words = size[2], valid = 0;
    float *h = waves(n * d, 1009), *w = waves(words * d, 2003);
    double *z = zeros(words), *dh = zeros(n * d), *dw = zeros(words * d), loss = 0;
    for (int64_t i = 0; i < n; i++) {
        struct plain p = {0, dh + i * d, dw};
        if (targets[i] < 0)
            continue;
        plain_row(h + i * d, w, targets[i], size, smoothing, z, &p);
        loss += p.loss;
        valid++;
    }
    struct check with = *c;
    with.in[0].data = h;
    with.in[1].data = w;
    struct check_result r;
    float dt = 1.5f;
    check_run(&with, 2, &dt, &r);
    loss /= (double)valid;
    assert_true(fabs((double)r.out[0] - loss) <= 1e-6 * (1 + loss));
    assert_near(r.grad[0], dh, n * d, 1.5 / (double)valid);
    assert_near(r.grad[1], dw, words * d, 1.5 / (double)valid);
    check_result_clear(&r);
    ml_mem_free(h);
    ml_mem_free(w);
    ml_mem_free(z);
    ml_mem_free(dh);
    ml_mem_free(dw);
}

static void cross_entropy(void **state)
{
    (void)state;
    const struct {
        int64_t size[3]; /* N, D, V */
        int every;
        float smoothing;
        bool numeric; /* small enough for differences of one f32 */
    } cases[] = {
        {{8, 5, 7}, 0, 0, true},       {{9, 6, 11}, 3, 0, true},
        {{1, 3, 2}, 0, 0, true},       {{13, 8, 19}, 4, 0.1f, true},
        {{300, 16, 65}, 7, 0, false},  {{70, 12, 2100}, 5, 0.2f, false},
        {{700, 8, 1500}, 2, 0, false}, {{600, 4, 1024}, 0, 0.1f, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t *s = cases[i].size;
        int32_t targets[700];
        float smoothing = cases[i].smoothing;
        fill_targets(targets, s[0], s[2], cases[i].every);
        struct check c = {.n = 3,
                          .in = {{"h", ML_F32, 2, {s[0], s[1]}},
                                 {"w", ML_F32, 2, {s[2], s[1]}},
                                 {"targets", ML_I32, 1, {s[0]}, targets}},
                          .build = build_cross_entropy,
                          .arg = &smoothing,
                          .step = 3e-2f};
        if (cases[i].numeric)
            check_gradient(&c);
        check_threads(&c);
        check_bf16(&c, 1, 0.04);
        check_bf16(&c, 3, 0.04);
        check_plain(&c, s, targets, (double)smoothing);
    }
}

/* Loss and both gradients of one run; `apart`: something reads the loss in between, so that it is
 * not left to the gradient. Sizes: 3 x 700 x 33 numbers at most. */
static void run_loss(const int64_t *size, const int32_t *targets, float smoothing, bool apart,
                     int threads, float *out)
{
    struct ml_arena arena;
    struct ml_graph g;
    struct ml_device *device = NULL;
    struct ml_plan *plan = NULL;
    struct ml_error err = {0};
    int64_t n = size[0], d = size[1], words = size[2];
    float *h = waves(n * d, 1009), *w = waves(words * d, 2003);
    ml_arena_init(&arena, 0);
    ml_graph_init(&g, &arena);
    assert_int_equal(ml_device_new(&device, threads, ML_ISA_COUNT - 1, &err), 0);
    struct ml_tensor *in[2] = {ml_leaf_param(&g, "h", ML_F32, 2, (int64_t[]){n, d}, h),
                               ml_leaf_param(&g, "w", ML_F32, 2, (int64_t[]){words, d}, w)};
    struct ml_tensor *target = ml_leaf(&g, "targets", ML_I32, 1, &n, (void *)(uintptr_t)targets);
    struct ml_tensor *outputs[3], *loss = ml_cross_entropy(&g, in[0], in[1], target, smoothing);
    outputs[0] = apart ? ml_affine(&g, loss, 1, 0) : loss;
    ml_grad(&g, outputs[0], in, 2, outputs + 1);
    assert_int_equal(ml_plan_new(&plan, &g, outputs, 3, device, &err), 0);
    assert_true(!(loss->flags & ML_DEFERRED) == apart);
    assert_int_equal(ml_run(plan, 0, &err), 0);
    out[0] = *(const float *)outputs[0]->data;
    memcpy(out + 1, outputs[1]->data, (size_t)(n * d) * sizeof *out);
    memcpy(out + 1 + n * d, outputs[2]->data, (size_t)(words * d) * sizeof *out);
    ml_plan_free(plan);
    ml_device_free(device);
    ml_arena_clear(&arena);
    ml_mem_free(h);
    ml_mem_free(w);
}

/* The loss that is left to its gradient is the same loss, and so are the gradients; any number of
 * threads gives the same bits. */
static void loss_with_gradient(void **state)
{
    (void)state;
    const struct {
        int64_t size[3];
        int every;
        float smoothing;
    } cases[] = {{{9, 6, 11}, 3, 0},     {{13, 8, 19}, 4, 0.1f},     {{70, 12, 2100}, 5, 0.2f},
                 {{700, 8, 1500}, 2, 0}, {{600, 4, 1024}, 0, 0.1f},  {{5, 4, 3}, 1, 0.1f},
                 {{1, 3, 2}, 0, 0},      {{523, 16, 4099}, 7, 0.05f}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t *s = cases[i].size, count = 1 + (s[0] + s[2]) * s[1];
        int32_t targets[700];
        fill_targets(targets, s[0], s[2], cases[i].every);
        float *plain = waves(3 * count, 7), *one = plain + count, *three = one + count;
        run_loss(s, targets, cases[i].smoothing, true, 1, plain);
        run_loss(s, targets, cases[i].smoothing, false, 1, one);
        run_loss(s, targets, cases[i].smoothing, false, 3, three);
        assert_memory_equal(one, three, (size_t)count * sizeof *one);
        float largest = 0;
        for (int64_t at = 1; at < count; at++)
            largest = fmaxf(largest, fabsf(plain[at]));
        assert_true(fabsf(one[0] - plain[0]) <= 1e-6f * (1 + plain[0]));
        for (int64_t at = 1; at < count; at++)
            assert_true(fabsf(one[at] - plain[at]) <= 1e-5f * largest);
        ml_mem_free(plain);
    }
}

/* Frozen head or frozen input: only the other half is computed. */
static void frozen_parts(void **state)
{
    (void)state;
    int32_t targets[10];
    float smoothing = 0;
    fill_targets(targets, 10, 6, 3);
    struct check c = {.n = 3,
                      .in = {{"h", ML_F32, 2, {10, 4}},
                             {"w", ML_F32, 2, {6, 4}, .fixed = true},
                             {"targets", ML_I32, 1, {10}, targets}},
                      .build = build_cross_entropy,
                      .arg = &smoothing};
    check_gradient(&c);
    c.in[1].fixed = false;
    c.in[0].fixed = true;
    check_gradient(&c);
}

static void no_target(void **state)
{
    (void)state;
    const int32_t targets[3] = {-1, -100, -1};
    float smoothing = 0.1f;
    struct check c = {.n = 3,
                      .in = {{"h", ML_F32, 2, {3, 4}},
                             {"w", ML_F32, 2, {5, 4}},
                             {"targets", ML_I32, 1, {3}, targets}},
                      .build = build_cross_entropy,
                      .arg = &smoothing};
    struct check_result r;
    check_run(&c, 2, NULL, &r);
    assert_true(r.out[0] == 0);
    for (int i = 0; i < 12; i++)
        assert_true(r.grad[0][i] == 0);
    for (int i = 0; i < 20; i++)
        assert_true(r.grad[1][i] == 0);
    check_result_clear(&r);
}

/* dt = 0 gives zeros, not the plain gradient. */
static void no_projection(void **state)
{
    (void)state;
    const int32_t targets[3] = {1, 4, 0};
    float smoothing = 0, zero = 0;
    struct check c = {.n = 3,
                      .in = {{"h", ML_F32, 2, {3, 4}},
                             {"w", ML_F32, 2, {5, 4}},
                             {"targets", ML_I32, 1, {3}, targets}},
                      .build = build_cross_entropy,
                      .arg = &smoothing};
    struct check_result r;
    check_run(&c, 1, &zero, &r);
    for (int i = 0; i < 12; i++)
        assert_true(r.grad[0][i] == 0);
    for (int i = 0; i < 20; i++)
        assert_true(r.grad[1][i] == 0);
    check_result_clear(&r);
}

static void bad_target(void **state)
{
    (void)state;
    const int32_t targets[3] = {1, 5, 0};
    float smoothing = 0;
    struct check c = {.n = 3,
                      .in = {{"h", ML_F32, 2, {3, 4}},
                             {"w", ML_F32, 2, {5, 4}},
                             {"targets", ML_I32, 1, {3}, targets}},
                      .build = build_cross_entropy,
                      .arg = &smoothing};
    check_run_fails(&c, ML_ERR_ARG);
}

/* Logits of some thousand: the loss is their distance, and stays finite. */
static void large_logits(void **state)
{
    (void)state;
    const float h[2] = {3000, 0}, w[6] = {1, 0, -1, 0, 0.5f, 0};
    const int32_t target = 1;
    float smoothing = 0;
    struct check c = {.n = 3,
                      .in = {{"h", ML_F32, 2, {1, 2}, h},
                             {"w", ML_F32, 2, {3, 2}, w},
                             {"targets", ML_I32, 1, {1}, &target}},
                      .build = build_cross_entropy,
                      .arg = &smoothing};
    struct check_result r;
    check_run(&c, 1, NULL, &r);
    assert_true(fabsf(r.out[0] - 6000) < 1e-2f);
    check_result_clear(&r);
}

static void mse(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{3, 5}, {1, 1}, {130, 257}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct check c = {.n = 2,
                          .in = {{"a", ML_F32, 2, {sizes[i][0], sizes[i][1]}},
                                 {"b", ML_F32, 2, {sizes[i][0], sizes[i][1]}}},
                          .build = build_mse,
                          .samples = 8,
                          .step = sizes[i][0] > 100 ? 1.0f : 0.05f};
        check_all(&c, 1);
        check_all(&c, 3);
    }
}

static void refused(void **state)
{
    (void)state;
    const int32_t targets[3] = {0};
    float smoothing = 0;
    struct check c = {.n = 3,
                      .in = {{"h", ML_F32, 2, {3, 4}},
                             {"w", ML_F32, 2, {5, 3}},
                             {"targets", ML_I32, 1, {3}, targets}},
                      .build = build_cross_entropy,
                      .arg = &smoothing};
    check_refused(&c, "[V,4]");
    c.in[1].dim[1] = 4;
    c.in[2].dim[0] = 2;
    check_refused(&c, "3 targets");
    c.in[2].dim[0] = 3;
    smoothing = 1;
    check_refused(&c, "smoothing");
    struct check m = {
        .n = 2, .in = {{"a", ML_F32, 2, {3, 4}}, {"b", ML_F32, 2, {4, 3}}}, .build = build_mse};
    check_refused(&m, "[4,3]");
}

/* Against PyTorch (tools/golden/ops_text.py). */
static void golden(void **state)
{
    (void)state;
    float smoothing = 0;
    struct check c = {.n = 3,
                      .in = {{"h", ML_F32}, {"w", ML_F32}, {"targets", ML_I32}},
                      .build = build_cross_entropy,
                      .arg = &smoothing};
    golden_check_op("ops_text.bin", "cross_entropy", &c, 1e-5);
    smoothing = 0.1f;
    golden_check_op("ops_text.bin", "cross_entropy_smooth", &c, 1e-5);
    struct check m = {.n = 2, .in = {{"a", ML_F32}, {"b", ML_F32}}, .build = build_mse};
    golden_check_op("ops_text.bin", "mse", &m, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy), cmocka_unit_test(loss_with_gradient),
        cmocka_unit_test(frozen_parts),  cmocka_unit_test(no_target),
        cmocka_unit_test(no_projection), cmocka_unit_test(bad_target),
        cmocka_unit_test(large_logits),  cmocka_unit_test(mse),
        cmocka_unit_test(refused),       cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests_name("op_loss", tests, NULL, NULL);
}
