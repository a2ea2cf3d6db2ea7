/* The matrix product: every variant, both precisions, all layouts and storage types, against sums
 * in double; the same bits for any number of threads. */
#include <stdlib.h>

#include "kernel_check.h"

#include "base/threads.h"
#include "kernel/gemm.h"
#include "kernel/peak.h"

/* One random problem with everything it owns. Inputs are bf16 numbers (exact in f16 too, as sizes
 * lie in [2^-8, 1]) unless `fine`, so that a product is exact whatever the storage and precision,
 * and only sums round. */
struct problem {
    struct ml_gemm g;
    struct guarded a, b, c, bias, start;
    double *want, *bound; /* [m,n] the result, and the sum of sizes behind it */
    int64_t step;         /* rows 0, step, 2 step ... are checked */
};

static float input(struct ml_rng *rng, bool fine)
{
    float size = 0x1p-8f + 0.99f * (float)ml_rng_double(rng);
    float x = ml_rng_below(rng, 2) ? size : -size;
    return fine ? x : ml_bf16_to_f32(ml_f32_to_bf16(x));
}

static void matrix_new(struct guarded *guard, struct ml_matrix *x, int64_t rows, int64_t cols,
                       struct ml_rng *rng, bool fine)
{
    static const enum ml_dtype types[] = {ML_F32, ML_BF16, ML_F16};
    x->dtype = fine ? ML_F32 : types[ml_rng_below(rng, 3)];
    int64_t gap = (int64_t)ml_rng_below(rng, 4), layout = (int64_t)ml_rng_below(rng, 5);
    if (layout < 2) { /* rows adjacent in memory, or columns; rarely neither */
        x->col = 1;
        x->row = cols + gap;
    } else if (layout < 4) {
        x->row = 1;
        x->col = rows + gap;
    } else {
        x->col = 2;
        x->row = 2 * cols + gap;
    }
    int64_t span = rows && cols ? (rows - 1) * x->row + (cols - 1) * x->col + 1 : 0;
    size_t size = ml_dtype_size(x->dtype);
    char *data = guarded_new(guard, (size_t)span * size, size * ml_rng_below(rng, 16));
    for (int64_t i = 0; i < span; i++) {
        float v = input(rng, fine);
        if (x->dtype == ML_F32)
            memcpy(data + 4 * i, &v, 4);
        else {
            uint16_t half = x->dtype == ML_BF16 ? ml_f32_to_bf16(v) : ml_f32_to_f16(v);
            memcpy(data + 2 * i, &half, 2);
        }
    }
    x->data = data;
}

static double at(const struct ml_matrix *x, int64_t row, int64_t col)
{
    int64_t i = row * x->row + col * x->col;
    if (x->dtype == ML_F32)
        return ((const float *)x->data)[i];
    uint16_t half = ((const uint16_t *)x->data)[i];
    return x->dtype == ML_BF16 ? ml_bf16_to_f32(half) : ml_f16_to_f32(half);
}

static double act_of(enum ml_act act, double x)
{
    switch (act) {
    case ML_ACT_RELU:
        return x > 0 ? x : 0;
    case ML_ACT_RELU2:
        return x > 0 ? x * x : 0;
    case ML_ACT_GELU:
        return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case ML_ACT_GELU_ERF:
        return 0.5 * x * erfc(-x * 0.7071067811865476);
    case ML_ACT_SILU:
        return x / (1 + exp(-x));
    case ML_ACT_TANH:
        return tanh(x);
    case ML_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return x;
    }
}

static void solve(struct problem *p)
{
    const struct ml_gemm *g = &p->g;
    const float *bias = g->bias, *start = (const float *)p->start.data;
    double alpha = g->alpha == 0 ? 1 : g->alpha;
    for (int64_t i = 0; i < g->m; i += p->step)
        for (int64_t j = 0; j < g->n; j++) {
            double sum = 0, size = 0;
            for (int64_t q = 0; q < g->k; q++) {
                double term = at(&g->a, i, q) * at(&g->b, q, j);
                sum += term;
                size += fabs(term);
            }
            sum *= alpha;
            size *= fabs(alpha);
            if (bias) {
                sum += bias[j];
                size += fabs((double)bias[j]);
            }
            if (g->accumulate) {
                sum += start[i * g->c_row + j];
                size += fabs((double)start[i * g->c_row + j]);
            }
            p->want[i * g->n + j] = act_of(g->act, sum);
            /* Slopes of all activations but relu^2 are at most 1.13. */
            p->bound[i * g->n + j] = size * (g->act == ML_ACT_RELU2 ? 2 * fabs(sum) + 1 : 1.2);
        }
}

static void problem_new(struct problem *p, int64_t m, int64_t n, int64_t k, struct ml_rng *rng)
{
    struct ml_gemm *g = &p->g;
    bool fine = ml_rng_below(rng, 4) == 0;
    *g = (struct ml_gemm){.m = m, .n = n, .k = k};
    matrix_new(&p->a, &g->a, m, k, rng, fine);
    matrix_new(&p->b, &g->b, k, n, rng, fine);
    g->bf16 = !fine && ml_rng_below(rng, 2);
    g->alpha = ml_rng_below(rng, 2) ? 0.0f : -0.75f;
    g->accumulate = ml_rng_below(rng, 3) == 0;
    g->c_dtype = g->accumulate || ml_rng_below(rng, 2) ? ML_F32 : ML_BF16;
    g->c_row = n + (int64_t)ml_rng_below(rng, 5);
    g->act = ml_rng_below(rng, 2) ? ML_ACT_NONE : (enum ml_act)ml_rng_below(rng, ML_ACT_COUNT);
    float *bias = guarded_new(&p->bias, (size_t)n * 4, 4 * ml_rng_below(rng, 16));
    for (int64_t j = 0; j < n; j++)
        bias[j] = input(rng, true);
    g->bias = ml_rng_below(rng, 2) ? bias : NULL;
    size_t bytes = (size_t)(m * g->c_row) * ml_dtype_size(g->c_dtype);
    g->c = guarded_new(&p->c, bytes, 4 * ml_rng_below(rng, 16));
    float *start = guarded_new(&p->start, bytes, 0);
    if (g->c_dtype == ML_F32)
        for (int64_t i = 0; i < m * g->c_row; i++)
            start[i] = input(rng, true);
    p->want = ml_mem_calloc((size_t)(m * n) + 1, sizeof(double));
    p->bound = ml_mem_calloc((size_t)(m * n) + 1, sizeof(double));
    assert_true(p->want && p->bound);
    p->step = m * n * k > 100000000 ? 97 : 1;
    solve(p);
}

static void problem_free(struct problem *p)
{
    guarded_free(&p->a);
    guarded_free(&p->b);
    guarded_free(&p->c);
    guarded_free(&p->bias);
    guarded_free(&p->start);
    ml_mem_free(p->want);
    ml_mem_free(p->bound);
}

static void run(const struct ml_kernels *k, struct problem *p, struct ml_pool *pool)
{
    struct guarded scratch;
    if (p->c.n)
        memcpy(p->c.data, p->start.data, p->c.n);
    void *space = guarded_new(&scratch, ml_gemm_scratch(k, &p->g, ml_pool_threads(pool)), 0);
    ml_gemm_run(k, &p->g, pool, space);
    guarded_free(&scratch);
}

/* k additions in f32 are off by at most k/2 ulp of the sum of sizes; activations by a few ulp more;
 * a bf16 result by half of its own ulp, 2^-8. */
static void check(const struct ml_kernels *k, const struct problem *p)
{
    const struct ml_gemm *g = &p->g;
    for (int64_t i = 0; i < g->m; i += p->step)
        for (int64_t j = 0; j < g->c_row; j++) {
            int64_t c = i * g->c_row + j;
            if (j >= g->n) { /* between rows nothing is written */
                size_t size = ml_dtype_size(g->c_dtype);
                assert_memory_equal(p->c.data + (size_t)c * size, p->start.data + (size_t)c * size,
                                    size);
                continue;
            }
            double got = g->c_dtype == ML_F32 ? ((const float *)g->c)[c]
                                              : ml_bf16_to_f32(((const ml_bf16 *)g->c)[c]);
            double want = p->want[i * g->n + j];
            double most = 6e-8 * (8 + (double)g->k) * (p->bound[i * g->n + j] + fabs(want)) + 1e-7;
            if (g->c_dtype == ML_BF16)
                most += 0x1.01p-8 * (fabs(want) + most);
            if (!(fabs(got - want) <= most))
                fail_msg("%s m %lld n %lld k %lld, bf16 %d, types %s %s %s, strides %lld %lld, "
                         "%lld %lld, act %d: [%lld,%lld] got %.9g, want %.9g",
                         k->name, (long long)g->m, (long long)g->n, (long long)g->k, g->bf16,
                         ml_dtype_name(g->a.dtype), ml_dtype_name(g->b.dtype),
                         ml_dtype_name(g->c_dtype), (long long)g->a.row, (long long)g->a.col,
                         (long long)g->b.row, (long long)g->b.col, g->act, (long long)i,
                         (long long)j, got, want);
        }
}

static void each_table(void (*fn)(const struct ml_kernels *k, struct ml_rng *rng), uint64_t seed)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    for (int v = -1; v < t.variants; v++) {
        ml_rng_init(&rng, seed, 0);
        fn(v < 0 ? &t.ref : &t.variant[v], &rng);
    }
}

/* Under emulation (MALIANG_TEST_EMULATED) a tenth of the shapes must do. */
static int rounds(int n)
{
    return getenv("MALIANG_TEST_EMULATED") ? (n + 9) / 10 : n;
}

static void one_random(const struct ml_kernels *k, int64_t m, int64_t n, int64_t depth,
                       struct ml_rng *rng)
{
    struct problem p;
    problem_new(&p, m, n, depth, rng);
    run(k, &p, NULL);
    check(k, &p);
    problem_free(&p);
}

static void small_shapes(const struct ml_kernels *k, struct ml_rng *rng)
{
    for (int i = 0; i < rounds(1200); i++)
        one_random(k, (int64_t)ml_rng_below(rng, 40), (int64_t)ml_rng_below(rng, 70),
                   (int64_t)ml_rng_below(rng, 70), rng);
    for (int i = 0; i < rounds(300); i++) /* skinny */
        one_random(k, (int64_t)ml_rng_below(rng, i % 2 ? 10 : 80),
                   (int64_t)ml_rng_below(rng, i % 2 ? 700 : 6), (int64_t)ml_rng_below(rng, 100),
                   rng);
}

static void test_small(void **state)
{
    each_table(small_shapes, 31);
}

/* Several passes of kc, several slices of k, several chunks of the shared operand. */
static void deep_shapes(const struct ml_kernels *k, struct ml_rng *rng)
{
    for (int i = 0; i < rounds(12); i++) {
        one_random(k, 20 + (int64_t)ml_rng_below(rng, 30), 20 + (int64_t)ml_rng_below(rng, 50),
                   500 + (int64_t)ml_rng_below(rng, 1500), rng);
        one_random(k, 9 + (int64_t)ml_rng_below(rng, 12), 9 + (int64_t)ml_rng_below(rng, 12),
                   4000 + (int64_t)ml_rng_below(rng, 14000), rng);
        one_random(k, 150 + (int64_t)ml_rng_below(rng, 150), 10 + (int64_t)ml_rng_below(rng, 300),
                   1 + (int64_t)ml_rng_below(rng, 20), rng);
    }
    for (int i = 0; i < 2 && rounds(2) == 2; i++)
        one_random(k, i ? 590 : 600, i ? 600 : 590, 4096, rng);
}

static void test_deep(void **state)
{
    /* The plain table is slow and has the same driver: the best variant stands for the others. */
    struct ml_kernels best;
    struct ml_rng rng;
    ml_kernels_init(&best, ML_ISA_COUNT - 1);
    ml_rng_init(&rng, 32, 0);
    deep_shapes(&best, &rng);
}

static void test_edges(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 33, 0);
    for (int v = -1; v < t.variants; v++)
        for (int i = 0; i < 27 * rounds(8); i++) {
            static const int64_t edge[] = {0, 1, 33};
            one_random(v < 0 ? &t.ref : &t.variant[v], edge[i % 3], edge[i / 3 % 3],
                       edge[i / 9 % 3], &rng);
        }
}

static void same_for_threads(const struct ml_kernels *k, struct ml_rng *rng)
{
    struct ml_error err = {0};
    struct ml_pool *pool[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(ml_pool_new(&pool[i], i + 2, &err), 0);
    for (int round = 0; round < rounds(24); round++) {
        static const int64_t shape[][3] = {
            {70, 300, 64}, {300, 70, 64}, {1, 900, 200},
            {900, 2, 200}, {60, 60, 700}, {128, 96, 80},
        };
        const int64_t *s = shape[round % 6];
        struct problem p;
        problem_new(&p, s[0], s[1], s[2], rng);
        run(k, &p, NULL);
        check(k, &p);
        unsigned char *first = ml_mem_alloc(p.c.n);
        assert_non_null(first);
        memcpy(first, p.c.data, p.c.n);
        for (int i = 0; i < 3; i++) {
            run(k, &p, pool[i]);
            assert_memory_equal(first, p.c.data, p.c.n);
        }
        ml_mem_free(first);
        problem_free(&p);
    }
    for (int i = 0; i < 3; i++)
        ml_pool_free(pool[i]);
}

static void test_threads(void **state)
{
    if (getenv("MALIANG_TEST_EMULATED")) /* qemu's user emulation hangs in pools of threads */
        skip();
    each_table(same_for_threads, 34);
}

/* A NaN in one row of A spoils that row of C and no other. */
static void nan_stays(const struct ml_kernels *k, struct ml_rng *rng)
{
    static const int64_t shape[][3] = {{37, 45, 30}, {5, 45, 30}, {3, 40, 30}, {45, 3, 30}};
    for (int bf16 = 0; bf16 < 2; bf16++)
        for (int s = 0; s < 4; s++) {
            int64_t m = shape[s][0], n = shape[s][1], depth = shape[s][2];
            float *a = ml_mem_alloc((size_t)(m * depth) * 4);
            float *b = ml_mem_alloc((size_t)(n * depth) * 4);
            float *c = ml_mem_alloc((size_t)(m * n) * 4);
            assert_true(a && b && c);
            fill_normal(rng, a, m * depth, 1.0f);
            fill_normal(rng, b, n * depth, 1.0f);
            int64_t bad = (int64_t)ml_rng_below(rng, (uint64_t)m);
            a[bad * depth + 7] = NAN;
            struct ml_gemm g = {.m = m,
                                .n = n,
                                .k = depth,
                                .a = {a, ML_F32, depth, 1},
                                .b = {b, ML_F32, s % 2 ? 1 : n, s % 2 ? depth : 1},
                                .c = c,
                                .c_row = n,
                                .act = ML_ACT_RELU,
                                .bf16 = bf16};
            void *space = ml_mem_alloc(ml_gemm_scratch(k, &g, 1) + 1);
            assert_non_null(space);
            ml_gemm_run(k, &g, NULL, space);
            for (int64_t i = 0; i < m * n; i++)
                assert_int_equal(isnan(c[i]) != 0, i / n == bad);
            ml_mem_free(space);
            ml_mem_free(a);
            ml_mem_free(b);
            ml_mem_free(c);
        }
}

static void test_nan(void **state)
{
    each_table(nan_stays, 35);
}

static void peak_is_a_number(const struct ml_kernels *k, struct ml_rng *rng)
{
    assert_true(ml_peak_flops(k, false, NULL) > 0);
    assert_true(ml_peak_flops(k, true, NULL) > 0);
}

static void test_peak(void **state)
{
    each_table(peak_is_a_number, 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small), cmocka_unit_test(test_deep),    cmocka_unit_test(test_edges),
        cmocka_unit_test(test_nan),   cmocka_unit_test(test_threads), cmocka_unit_test(test_peak),
    };
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
