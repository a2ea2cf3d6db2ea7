/* Unary functions, their derivatives and SwiGLU: every variant against ref, and ref and variants
 * against libm in double. */
#include "kernel_check.h"

static const char *const names[ML_UNARY_COUNT] = {
    "neg",  "abs",     "square", "sqrt",  "exp",        "log",  "sin",      "cos",
    "tanh", "sigmoid", "relu",   "relu2", "leaky relu", "gelu", "gelu erf", "silu",
};

/* Allowed difference of f, of f' per unit of dy: relative to the result, and absolute per 1+|x|.
 * Where a result is a difference or a product of gates, rounding is absolute in units of the terms,
 * which are at most about |x|; elsewhere a few ulp (6e-8 each) of both sides. */
static const struct {
    double relative, absolute, grad_relative, grad_absolute;
} allowed[ML_UNARY_COUNT] = {
    [ML_UNARY_NEG] = {0, 0, 0, 0},
    [ML_UNARY_ABS] = {0, 0, 0, 0},
    [ML_UNARY_SQUARE] = {0, 0, 1e-7, 0},
    [ML_UNARY_SQRT] = {0, 0, 2e-7, 0},
    [ML_UNARY_EXP] = {4e-7, 3e-45, 5e-7, 1e-44},
    [ML_UNARY_LOG] = {4e-7, 0, 1e-7, 0},
    [ML_UNARY_SIN] = {0, 3e-7, 0, 6e-7},
    [ML_UNARY_COS] = {0, 3e-7, 0, 6e-7},
    [ML_UNARY_TANH] = {4e-7, 0, 0, 5e-7},
    [ML_UNARY_SIGMOID] = {4e-7, 3e-45, 8e-7, 1e-44},
    [ML_UNARY_RELU] = {0, 0, 0, 0},
    [ML_UNARY_RELU2] = {0, 0, 1e-7, 0},
    [ML_UNARY_LEAKY_RELU] = {1e-7, 0, 1e-7, 0},
    [ML_UNARY_GELU] = {4e-7, 2e-7, 0, 8e-7},
    [ML_UNARY_GELU_ERF] = {4e-7, 2e-7, 0, 5e-7},
    [ML_UNARY_SILU] = {6e-7, 1e-44, 0, 8e-7},
};

static const float special[] = {
    0.0f,   -0.0f,   1.0f,   -1.0f, NAN,    INFINITY, -INFINITY, 3e38f,  -3e38f,  1e-38f,  -1e-38f,
    1e-41f, -1e-41f, 1e-45f, 88.0f, -88.0f, 88.8f,    -87.4f,    -95.0f, -103.0f, -104.5f, 1e20f,
    -1e20f, 0.625f,  -0.625, 12.0f, -12.5f, 3.14159f, 1e5f,      -1e5f,  15.5f,   -14.9f,
};
#define SPECIALS (int64_t)(sizeof special / sizeof *special)

static void check_one(const struct ml_kernels *k, const struct ml_kernels *ref, int f, int64_t n,
                      struct ml_rng *rng)
{
    struct guarded gx, gd, gy, gz;
    size_t bytes = (size_t)n * sizeof(float);
    float *x = guarded_new(&gx, bytes, 4 * ml_rng_below(rng, 16));
    float *dy = guarded_new(&gd, bytes, 4 * ml_rng_below(rng, 16));
    float *y = guarded_new(&gy, bytes, 4 * ml_rng_below(rng, 16));
    float *want = guarded_new(&gz, bytes, 0);
    static const float scales[] = {0.01f, 1.0f, 8.0f, 60.0f};
    fill_normal(rng, x, n, scales[ml_rng_below(rng, 4)]);
    fill_normal(rng, dy, n, 1.0f);
    if (n >= SPECIALS)
        memcpy(x + n - SPECIALS, special, sizeof special);
    if (n > SPECIALS)
        dy[0] = NAN;
    k->unary[f](n, y, x);
    ref->unary[f](n, want, x);
    for (int64_t i = 0; i < n; i++)
        if (!close_to(y[i], want[i], allowed[f].relative,
                      allowed[f].absolute * (1 + fmin(fabs((double)x[i]), 1e4))))
            fail_msg("%s %s(%.9g): got %.9g, want %.9g", k->name, names[f], (double)x[i],
                     (double)y[i], (double)want[i]);
    k->unary_grad[f](n, y, dy, x);
    ref->unary_grad[f](n, want, dy, x);
    for (int64_t i = 0; i < n; i++)
        if (!close_to(y[i], want[i], allowed[f].grad_relative,
                      allowed[f].grad_absolute * (1 + fmin(fabs((double)x[i]), 1e4)) *
                          fabs((double)dy[i])))
            fail_msg("%s %s'(%.9g) * %.9g: got %.9g, want %.9g", k->name, names[f], (double)x[i],
                     (double)dy[i], (double)y[i], (double)want[i]);
    /* In place over dy, then over x. */
    memcpy(want, dy, bytes);
    k->unary_grad[f](n, want, want, x);
    if (bytes)
        assert_memory_equal(want, y, bytes);
    k->unary[f](n, y, x);
    k->unary[f](n, x, x);
    if (bytes)
        assert_memory_equal(x, y, bytes);
    guarded_free(&gx);
    guarded_free(&gd);
    guarded_free(&gy);
    guarded_free(&gz);
}

static void test_unary(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 1, 0);
    for (int v = 0; v < t.variants; v++)
        for (int f = 0; f < ML_UNARY_COUNT; f++)
            for (int s = 0; s < TEST_SIZES; s++)
                check_one(&t.variant[v], &t.ref, f, test_size(s), &rng);
}

static double truth(int f, double x)
{
    switch (f) {
    case ML_UNARY_EXP:
        return exp(x);
    case ML_UNARY_LOG:
        return log(x);
    case ML_UNARY_TANH:
        return tanh(x);
    case ML_UNARY_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return 0.5 * x * erfc(-x * 0.70710678118654752);
    }
}

static void check_truth(const struct ml_kernels *k, int f, float from, float to, double limit)
{
    enum { N = 60000 };
    float *x = ml_mem_alloc(2 * N * sizeof(float)), *y = x + N;
    assert_non_null(x);
    for (int i = 0; i < N; i++)
        x[i] = from + (to - from) * ((float)i / (N - 1));
    k->unary[f](N, y, x);
    for (int i = 0; i < N; i++) {
        double want = truth(f, x[i]);
        if (fabs(y[i] - want) > limit * fabs(want) + 1.5e-45)
            fail_msg("%s %s(%.9g): got %.9g, want %.9g, off by %.3g", k->name, names[f],
                     (double)x[i], (double)y[i], want, fabs(y[i] / want - 1));
    }
    ml_mem_free(x);
}

/* 4e-7 is some 3 to 6 ulp; GELU's tails square their argument, and the factor x adds its own. */
static void test_accuracy(void **state)
{
    struct tables t;
    tables_init(&t);
    for (int v = -1; v < t.variants; v++) {
        const struct ml_kernels *k = v < 0 ? &t.ref : &t.variant[v];
        check_truth(k, ML_UNARY_EXP, -87.0f, 88.7f, 4e-7);
        check_truth(k, ML_UNARY_EXP, -1.0f, 1.0f, 2e-7);
        check_truth(k, ML_UNARY_EXP, -104.0f, -87.0f, 4e-7 + 0.5); /* denormals lose bits */
        check_truth(k, ML_UNARY_LOG, 1e-38f, 1e-36f, 3e-7);
        check_truth(k, ML_UNARY_LOG, 1e-42f, 1e-39f, 3e-7);
        check_truth(k, ML_UNARY_LOG, 0.4f, 2.5f, 3e-7);
        check_truth(k, ML_UNARY_LOG, 1.0f, 3e38f, 3e-7);
        check_truth(k, ML_UNARY_TANH, -10.0f, 10.0f, 4e-7);
        check_truth(k, ML_UNARY_TANH, -0.7f, 0.7f, 4e-7);
        check_truth(k, ML_UNARY_SIGMOID, -87.0f, 30.0f, 4e-7);
        if (v >= 0) /* ref's argument of erfc is rounded, which its own test of GELU allows for */
            check_truth(k, ML_UNARY_GELU_ERF, -12.0f, 12.0f, 7e-7);
    }
}

static void test_swiglu(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 2, 0);
    for (int v = 0; v < t.variants; v++)
        for (int s = 0; s < TEST_SIZES; s++) {
            int64_t n = test_size(s);
            struct guarded g[7];
            float *p[7];
            for (int i = 0; i < 7; i++) {
                p[i] = guarded_new(&g[i], (size_t)n * 4, 4 * ml_rng_below(&rng, 16));
                fill_normal(&rng, p[i], n, i == 1 ? 6.0f : 1.0f);
            }
            if (n > 5)
                p[1][n - 1] = NAN;
            const struct ml_kernels *k = &t.variant[v];
            /* 0 dy, 1 gate, 2 up; outputs 3, 4; wanted 5, 6 */
            k->swiglu(n, p[3], p[1], p[2]);
            t.ref.swiglu(n, p[5], p[1], p[2]);
            assert_close("swiglu", p[3], p[5], n, 1e-6, 1e-30);
            k->swiglu_grad(n, p[3], p[4], p[0], p[1], p[2]);
            t.ref.swiglu_grad(n, p[5], p[6], p[0], p[1], p[2]);
            assert_close("swiglu dgate", p[3], p[5], n, 2e-6, 2e-5);
            assert_close("swiglu dup", p[4], p[6], n, 1e-6, 1e-30);
            k->swiglu_grad(n, p[1], p[2], p[0], p[1], p[2]);
            if (n) {
                assert_memory_equal(p[1], p[3], (size_t)n * 4);
                assert_memory_equal(p[2], p[4], (size_t)n * 4);
            }
            for (int i = 0; i < 7; i++)
                guarded_free(&g[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_swiglu),
    };
    return cmocka_run_group_tests_name("functions", tests, NULL, NULL);
}
