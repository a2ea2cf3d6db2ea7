/* Reductions, softmax, norms, rotation and gemv: every variant against ref, which sums in double.
 * A sum of n terms in f32 is off by at most about n/lanes ulp of the sum of sizes; SUM_ULP(n) of
 * that sum is allowed, which is far below what one lost term would make. */
#include "kernel_check.h"

#define SUM_ULP(n) (6e-8 * (4 + (double)(n) / 16))

static double sizes(int64_t n, const float *a, const float *b)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += fabs((double)a[i] * (b ? b[i] : 1.0f));
    return total;
}

#define MAX_BUFFERS 9
struct buffers {
    struct guarded guard[MAX_BUFFERS];
    float *p[MAX_BUFFERS];
};

static void buffers_new(struct buffers *b, int64_t n, struct ml_rng *rng)
{
    for (int i = 0; i < MAX_BUFFERS; i++) {
        b->p[i] = guarded_new(&b->guard[i], (size_t)n * 4, 4 * ml_rng_below(rng, 16));
        fill_normal(rng, b->p[i], n, 1.0f);
    }
}

static void buffers_free(struct buffers *b)
{
    for (int i = 0; i < MAX_BUFFERS; i++)
        guarded_free(&b->guard[i]);
}

typedef void each_fn(const struct ml_kernels *k, const struct ml_kernels *ref, int64_t n, float **p,
                     struct ml_rng *rng);

static void for_each(each_fn *fn, uint64_t seed)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, seed, 0);
    for (int v = 0; v < t.variants; v++)
        for (int s = 0; s < TEST_SIZES; s++) {
            struct buffers b;
            buffers_new(&b, test_size(s), &rng);
            fn(&t.variant[v], &t.ref, test_size(s), b.p, &rng);
            buffers_free(&b);
        }
}

static void one_reduction(const struct ml_kernels *k, const struct ml_kernels *ref, int64_t n,
                          float **p, struct ml_rng *rng)
{
    assert_true(close_to(k->sum(n, p[0]), ref->sum(n, p[0]), 0, SUM_ULP(n) * sizes(n, p[0], NULL)));
    assert_true(close_to(k->dot(n, p[0], p[1]), ref->dot(n, p[0], p[1]), 0,
                         SUM_ULP(n) * sizes(n, p[0], p[1])));
    assert_true(k->max(n, p[0]) == ref->max(n, p[0]));
    if (!n) {
        assert_true(k->max(n, p[0]) == -INFINITY);
        return;
    }
    p[0][ml_rng_below(rng, (uint64_t)n)] = NAN; /* anywhere: it must come out */
    assert_true(isnan(k->max(n, p[0])) && isnan(ref->max(n, p[0])));
    assert_true(isnan(k->sum(n, p[0])) && isnan(k->dot(n, p[1], p[0])));
    for (int64_t i = 0; i < n; i++)
        p[1][i] = -INFINITY;
    assert_true(k->max(n, p[1]) == -INFINITY);
}

static void test_reductions(void **state)
{
    for_each(one_reduction, 11);
}

static void one_softmax(const struct ml_kernels *k, const struct ml_kernels *ref, int64_t n,
                        float **p, struct ml_rng *rng)
{
    size_t bytes = (size_t)n * 4;
    float scale = ml_rng_below(rng, 2) ? 5.0f : -0.3f;
    for (int64_t i = 0; i < n; i++)
        if (n > 4 && ml_rng_below(rng, 8) == 0)
            p[0][i] = scale > 0 ? -INFINITY : INFINITY;
    float got = k->softmax(n, p[1], p[0], scale), want = ref->softmax(n, p[2], p[0], scale);
    /* exp is off by 3e-7; the argument by an ulp of its size, at most 30 here. */
    assert_true(close_to(got, want, 3e-7, 1e-6));
    assert_close("softmax", p[1], p[2], n, 5e-6, 1e-37);
    k->exp_shift(n, p[3], p[0], scale, want);
    ref->exp_shift(n, p[4], p[0], scale, want);
    assert_close("exp_shift", p[3], p[4], n, 5e-6, 1e-37);
    assert_close("exp_shift of softmax", p[3], p[2], n, 1e-5, 1e-37);
    k->softmax_grad(n, p[5], p[6], p[2]);
    ref->softmax_grad(n, p[7], p[6], p[2]);
    assert_close("softmax_grad", p[5], p[7], n, 1e-6, 1e-5 * SUM_ULP(n) + 1e-6);
    memcpy(p[8], p[6], bytes);
    k->softmax_grad(n, p[8], p[8], p[2]);
    assert_close("softmax_grad in place", p[8], p[5], n, 0, 0);
    memcpy(p[8], p[0], bytes);
    k->softmax(n, p[8], p[8], scale);
    assert_close("softmax in place", p[8], p[1], n, 0, 0);
    if (!n)
        return;
    int64_t bad = (int64_t)ml_rng_below(rng, (uint64_t)n);
    p[0][bad] = NAN;
    assert_true(isnan(k->softmax(n, p[1], p[0], scale)));
    for (int64_t i = 0; i < n; i++)
        assert_true(isnan(p[1][i]));
    for (int64_t i = 0; i < n; i++)
        p[0][i] = -INFINITY;
    assert_true(k->softmax(n, p[1], p[0], 2.0f) == -INFINITY);
    k->exp_shift(n, p[2], p[0], 2.0f, -INFINITY);
    for (int64_t i = 0; i < n; i++)
        assert_true(p[1][i] == 0.0f && p[2][i] == 0.0f);
    p[0][bad] = NAN; /* the only number among -inf */
    assert_true(isnan(k->softmax(n, p[1], p[0], 2.0f)) && isnan(p[1][bad]));
    p[0][bad] = 3.0f;
    assert_true(close_to(k->softmax(n, p[1], p[0], 2.0f), 6.0f, 1e-6, 0) && p[1][bad] == 1.0f);
}

static void test_softmax(void **state)
{
    for_each(one_softmax, 12);
}

static void one_rmsnorm(const struct ml_kernels *k, const struct ml_kernels *ref, int64_t n,
                        float **p, struct ml_rng *rng)
{
    size_t bytes = (size_t)n * 4;
    const float *w = ml_rng_below(rng, 3) ? p[1] : NULL;
    bool want_dw = ml_rng_below(rng, 3) > 0;
    float got = k->rmsnorm(n, p[2], p[0], w, 1e-5f), want = ref->rmsnorm(n, p[3], p[0], w, 1e-5f);
    assert_true(close_to(got, want, SUM_ULP(n), 0));
    assert_close("rmsnorm", p[2], p[3], n, SUM_ULP(n) + 3e-7, 0);
    memcpy(p[4], p[5], bytes); /* dw starts with something */
    k->rmsnorm_grad(n, p[2], want_dw ? p[4] : NULL, p[6], p[0], w, want);
    ref->rmsnorm_grad(n, p[3], want_dw ? p[5] : NULL, p[6], p[0], w, want);
    double most = (SUM_ULP(n) + 1e-6) * 20 * (want + 1) * (want + 1);
    assert_close("rmsnorm dx", p[2], p[3], n, 1e-6, most);
    assert_close("rmsnorm dw", p[4], p[5], n, 1e-6, most);
    memcpy(p[7], p[6], bytes);
    k->rmsnorm_grad(n, p[7], NULL, p[7], p[0], w, want);
    assert_close("rmsnorm dx in place", p[7], p[2], n, 0, 0);
    memcpy(p[8], p[0], bytes);
    k->rmsnorm(n, p[3], p[0], w, 1e-5f);
    k->rmsnorm(n, p[8], p[8], w, 1e-5f);
    assert_close("rmsnorm in place", p[8], p[3], n, 0, 0);
    if (n > 0) {
        p[0][ml_rng_below(rng, (uint64_t)n)] = NAN;
        assert_true(isnan(k->rmsnorm(n, p[2], p[0], w, 1e-5f)) && isnan(p[2][0]));
    }
}

static void test_rmsnorm(void **state)
{
    for_each(one_rmsnorm, 13);
}

static void one_layernorm(const struct ml_kernels *k, const struct ml_kernels *ref, int64_t n,
                          float **p, struct ml_rng *rng)
{
    size_t bytes = (size_t)n * 4;
    float got[2], want[2];
    const float *w = ml_rng_below(rng, 3) ? p[1] : NULL, *b = ml_rng_below(rng, 3) ? p[2] : NULL;
    for (int64_t i = 0; i < n; i++)
        p[0][i] += 3.0f;
    /* n = 1 has no spread: 1/sqrt(eps) magnifies whatever is left, so eps is large here. */
    k->layernorm(n, p[3], p[0], w, b, 0.01f, got);
    ref->layernorm(n, p[4], p[0], w, b, 0.01f, want);
    assert_true(close_to(got[0], want[0], 2 * SUM_ULP(n), 1e-6));
    assert_true(close_to(got[1], want[1], 3 * SUM_ULP(n) + 1e-6, 0));
    double most = (SUM_ULP(n) + 1e-6) * 40 * (want[1] + 1);
    assert_close("layernorm", p[3], p[4], n, 1e-5, most);
    memcpy(p[8], p[0], bytes);
    k->layernorm(n, p[8], p[8], w, b, 0.01f, got);
    assert_close("layernorm in place", p[8], p[3], n, 0, 0);
    /* dw, db of the variant in p[5], p[6]; of ref in p[3], p[4]; then dx without them. */
    memcpy(p[3], p[5], bytes);
    memcpy(p[4], p[6], bytes);
    k->layernorm_grad(n, p[8], p[5], p[6], p[7], p[0], w, want);
    ref->layernorm_grad(n, p[2], p[3], p[4], p[7], p[0], w, want);
    assert_close("layernorm dx", p[8], p[2], n, 1e-5, most * (want[1] + 1));
    assert_close("layernorm dw", p[5], p[3], n, 1e-5, most);
    assert_close("layernorm db", p[6], p[4], n, 0, 0);
    k->layernorm_grad(n, p[7], NULL, NULL, p[7], p[0], w, want);
    assert_close("layernorm dx in place", p[7], p[8], n, 0, 0);
    if (n > 0) {
        p[0][ml_rng_below(rng, (uint64_t)n)] = NAN;
        k->layernorm(n, p[3], p[0], NULL, NULL, 0.01f, got);
        assert_true(isnan(got[0]) && isnan(got[1]) && isnan(p[3][n - 1]));
    }
}

static void test_layernorm(void **state)
{
    for_each(one_layernorm, 14);
}

static void one_rotation(const struct ml_kernels *k, const struct ml_kernels *ref, int64_t n,
                         float **p, struct ml_rng *rng)
{
    size_t bytes = (size_t)n * 4;
    k->rotate(n, p[4], p[5], p[0], p[1], p[2], p[3]);
    ref->rotate(n, p[6], p[7], p[0], p[1], p[2], p[3]);
    assert_close("rotate a", p[4], p[6], n, 2e-7, 2e-6);
    assert_close("rotate b", p[5], p[7], n, 2e-7, 2e-6);
    k->rotate(n, p[0], p[1], p[0], p[1], p[2], p[3]);
    assert_close("rotate in place", p[0], p[4], n, 0, 0);
    assert_close("rotate in place", p[1], p[5], n, 0, 0);
    int64_t pairs = n / 2;
    k->rotate_pairs(pairs, p[4], p[1], p[2], p[3]);
    ref->rotate_pairs(pairs, p[5], p[1], p[2], p[3]);
    assert_close("rotate_pairs", p[4], p[5], 2 * pairs, 2e-7, 2e-6);
    memcpy(p[8], p[1], bytes);
    k->rotate_pairs(pairs, p[8], p[8], p[2], p[3]);
    assert_close("rotate_pairs in place", p[8], p[4], 2 * pairs, 0, 0);
}

static void test_rotation(void **state)
{
    for_each(one_rotation, 15);
}

static void test_gemv(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 16, 0);
    for (int v = 0; v < t.variants; v++)
        for (int round = 0; round < 300; round++) {
            int64_t n = (int64_t)ml_rng_below(&rng, 20), k = (int64_t)ml_rng_below(&rng, 150);
            int64_t ldw = k + (int64_t)ml_rng_below(&rng, 3), rows = 1 + round % 9;
            int64_t ldx = k + (int64_t)ml_rng_below(&rng, 3);
            static const enum ml_dtype types[] = {ML_F32, ML_BF16, ML_F16};
            enum ml_dtype type = types[round % 3];
            struct guarded g[5];
            size_t many = (size_t)(n * ldw);
            float *w32 = guarded_new(&g[0], many * 4, 4);
            void *w = guarded_new(&g[1], many * ml_dtype_size(type), 2 * (type != ML_F32));
            float *x = guarded_new(&g[2], (size_t)(rows * ldx) * 4, 12);
            float *y = guarded_new(&g[3], (size_t)(rows * n) * 4, 8);
            float *want = guarded_new(&g[4], (size_t)(rows * n + n) * 4, 0);
            fill_normal(&rng, w32, n * ldw, 1.0f);
            fill_normal(&rng, x, rows * ldx, 1.0f);
            if (type == ML_F32)
                memcpy(w, w32, many * 4);
            else if (type == ML_BF16)
                t.ref.f32_to_bf16(n * ldw, w, w32);
            else
                t.ref.f32_to_f16(n * ldw, w, w32);
            t.variant[v].gemv(rows, n, k, y, n, w, type, ldw, x, ldx);
            t.ref.gemv(rows, n, k, want, n, w, type, ldw, x, ldx);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < n; i++)
                    assert_true(close_to(y[r * n + i], want[r * n + i], 0,
                                         1.1 * SUM_ULP(k) * sizes(k, w32 + i * ldw, x + r * ldx)));
            for (int64_t r = 0; r < rows; r++) { /* alike when alone */
                t.variant[v].gemv(1, n, k, want, n, w, type, ldw, x + r * ldx, ldx);
                assert_memory_equal(want, y + r * n, (size_t)n * 4);
            }
            for (int i = 0; i < 5; i++)
                guarded_free(&g[i]);
        }
}

static void test_mix(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 17, 0);
    for (int v = 0; v < t.variants; v++)
        for (int round = 0; round < 300; round++) {
            int64_t n = (int64_t)ml_rng_below(&rng, 150), k = (int64_t)ml_rng_below(&rng, 20);
            int64_t ldw = n + (int64_t)ml_rng_below(&rng, 3);
            static const enum ml_dtype types[] = {ML_F32, ML_BF16, ML_F16};
            enum ml_dtype type = types[round % 3];
            struct guarded g[5];
            int64_t many = k > 0 ? (k - 1) * ldw + n : 0;
            float *w32 = guarded_new(&g[0], (size_t)many * 4, 4);
            void *w = guarded_new(&g[1], (size_t)many * ml_dtype_size(type), 2 * (type != ML_F32));
            float *x = guarded_new(&g[2], (size_t)k * 4, 12);
            float *y = guarded_new(&g[3], (size_t)n * 4, 8);
            float *want = guarded_new(&g[4], (size_t)n * 4, 0);
            fill_normal(&rng, w32, many, 1.0f);
            fill_normal(&rng, x, k, 1.0f);
            if (type == ML_F32)
                memcpy(w, w32, (size_t)many * 4);
            else if (type == ML_BF16)
                t.ref.f32_to_bf16(many, w, w32);
            else
                t.ref.f32_to_f16(many, w, w32);
            t.variant[v].mix(n, k, y, w, type, ldw, x);
            t.ref.mix(n, k, want, w, type, ldw, x);
            for (int64_t i = 0; i < n; i++)
                assert_float_equal(y[i], want[i], 1e-5);
            for (int i = 0; i < 5; i++)
                guarded_free(&g[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reductions), cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_rmsnorm),    cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_rotation),   cmocka_unit_test(test_gemv),
        cmocka_unit_test(test_mix),
    };
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
