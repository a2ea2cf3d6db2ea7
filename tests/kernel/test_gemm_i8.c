/* The int8 product: every variant's sums are equal to the definition, bit for bit, with all tails,
 * all extremes, guard bands, and for any number of threads; scales, bias and activation after them.
 */
#include <stdlib.h>

#include "kernel_check.h"

#include "base/threads.h"
#include "kernel/gemm_i8.h"

struct problem {
    int64_t m, n, k, a_row, w_row;
    struct guarded a, w, c, scales, zeros, w_scales, bias, memory, scratch;
    struct ml_i8_weights weights;
    struct ml_gemm_i8 g;
};

/* Bytes: any, or the ends of the range alone. */
static uint8_t byte(struct ml_rng *rng, bool extreme)
{
    return extreme ? (ml_rng_below(rng, 4) ? 0x80 + 0x7f * (int)ml_rng_below(rng, 2) : 0x7f)
                   : (uint8_t)ml_rng_below(rng, 256);
}

static void problem_new(struct problem *p, int64_t m, int64_t n, int64_t k, struct ml_rng *rng)
{
    *p = (struct problem){.m = m, .n = n, .k = k};
    p->a_row = k + (int64_t)ml_rng_below(rng, 5);
    p->w_row = k + (int64_t)ml_rng_below(rng, 5);
    size_t a_bytes = (size_t)((m - 1) * p->a_row + k), w_bytes = (size_t)((n - 1) * p->w_row + k);
    uint8_t *a = guarded_new(&p->a, a_bytes, ml_rng_below(rng, 64));
    uint8_t *w = guarded_new(&p->w, w_bytes, ml_rng_below(rng, 64));
    bool extreme = ml_rng_below(rng, 2);
    for (size_t i = 0; i < a_bytes; i++)
        a[i] = extreme ? (ml_rng_below(rng, 8) ? 255 : 0) : byte(rng, false);
    for (size_t i = 0; i < w_bytes; i++)
        w[i] = byte(rng, extreme);
    float *scale = guarded_new(&p->scales, (size_t)m * 4, 0);
    int32_t *zero = guarded_new(&p->zeros, (size_t)m * 4, 0);
    float *w_scale = guarded_new(&p->w_scales, (size_t)n * 4, 0);
    float *bias = guarded_new(&p->bias, (size_t)n * 4, 4);
    for (int64_t i = 0; i < m; i++) {
        scale[i] = 0.001f + (float)ml_rng_double(rng);
        zero[i] = (int32_t)ml_rng_below(rng, 256);
    }
    for (int64_t j = 0; j < n; j++) {
        w_scale[j] = 0.001f + (float)ml_rng_double(rng);
        bias[j] = ml_rng_normal(rng);
    }
    p->g = (struct ml_gemm_i8){.m = m, .a = {a, p->a_row, scale, zero}, .w = &p->weights};
}

static void problem_free(struct problem *p)
{
    guarded_free(&p->a);
    guarded_free(&p->w);
    guarded_free(&p->scales);
    guarded_free(&p->zeros);
    guarded_free(&p->w_scales);
    guarded_free(&p->bias);
}

/* Runs with one table; C has a gap after each row, which must stay. */
static void *problem_run(struct problem *p, const struct ml_kernels *k, struct ml_pool *pool,
                         enum ml_dtype type)
{
    size_t size = ml_dtype_size(type);
    p->g.c_dtype = type;
    p->g.c_row = p->n + 3;
    p->g.c = guarded_new(&p->c, (size_t)((p->m - 1) * p->g.c_row + p->n) * size, size);
    void *memory = guarded_new(&p->memory, ml_i8_weights_size(k, p->n, p->k), 0);
    ml_i8_weights_pack(k, &p->weights, memory, p->n, p->k, (const int8_t *)p->w.data, p->w_row,
                       (const float *)p->w_scales.data);
    size_t bytes = ml_gemm_i8_scratch(k, &p->g, ml_pool_threads(pool));
    ml_gemm_i8_run(k, &p->g, pool, guarded_new(&p->scratch, bytes, 0));
    return p->g.c;
}

static void run_free(struct problem *p)
{
    for (int64_t i = 0; i + 1 < p->m; i++)
        for (int64_t j = p->n; j < p->g.c_row; j++) {
            size_t size = ml_dtype_size(p->g.c_dtype);
            assert_int_equal(p->c.data[(size_t)(i * p->g.c_row + j) * size], 0xa5);
        }
    guarded_free(&p->c);
    guarded_free(&p->memory);
    guarded_free(&p->scratch);
}

static int64_t sum_at(const struct problem *p, int64_t i, int64_t j)
{
    int64_t sum = 0;
    for (int64_t q = 0; q < p->k; q++)
        sum += ((int)p->a.data[i * p->a_row + q] - p->g.a.zero[i]) *
               (int)((const int8_t *)p->w.data)[j * p->w_row + q];
    return sum;
}

static void check_sums(struct problem *p, const struct ml_kernels *k, struct ml_pool *pool)
{
    const int32_t *c = problem_run(p, k, pool, ML_I32);
    int64_t step = 1 + p->m * p->n * p->k / 4000000; /* rows that are checked */
    for (int64_t i = 0; i < p->m; i += step)
        for (int64_t j = 0; j < p->n; j++)
            if (c[i * p->g.c_row + j] != sum_at(p, i, j))
                fail_msg("%s: %lld x %lld x %lld at %lld, %lld: %d, not %lld", k->name,
                         (long long)p->m, (long long)p->n, (long long)p->k, (long long)i,
                         (long long)j, c[i * p->g.c_row + j], (long long)sum_at(p, i, j));
    run_free(p);
}

static void each_table(struct problem *p, const struct tables *t, struct ml_pool *pool)
{
    check_sums(p, &t->ref, NULL);
    for (int v = 0; v < t->variants; v++) {
        check_sums(p, &t->variant[v], NULL);
        check_sums(p, &t->variant[v], pool);
    }
}

/* None under emulation (MALIANG_TEST_EMULATED): qemu's hangs in pools of threads. */
static struct ml_pool *pool_of(int threads)
{
    struct ml_pool *pool = NULL;
    if (!getenv("MALIANG_TEST_EMULATED"))
        assert_int_equal(ml_pool_new(&pool, threads, NULL), 0);
    return pool;
}

static void test_sums(void **state)
{
    static const int64_t shapes[][3] = {
        {1, 1, 1},      {1, 33, 3},     {13, 65, 1025},  {96, 40, 515},   {300, 70, 129},
        {1, 1000, 384}, {16, 129, 768}, {257, 64, 1536}, {700, 33, 2400}, {2000, 17, 801},
    };
    struct tables t;
    struct ml_rng rng;
    struct ml_pool *pool;
    tables_init(&t);
    ml_rng_init(&rng, 71, 0);
    pool = pool_of(3);
    struct problem p;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        problem_new(&p, shapes[i][0], shapes[i][1], shapes[i][2], &rng);
        each_table(&p, &t, pool);
        problem_free(&p);
    }
    for (int i = 0; i < 150; i++) {
        int64_t m = 1 + (int64_t)ml_rng_below(&rng, 40), n = 1 + (int64_t)ml_rng_below(&rng, 80);
        problem_new(&p, m, n, 1 + (int64_t)ml_rng_below(&rng, 70), &rng);
        each_table(&p, &t, pool);
        problem_free(&p);
    }
    ml_pool_free(pool);
}

/* The longest sum of the largest numbers does not overflow; a longer one is refused. */
static void test_longest(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 72, 0);
    struct problem p;
    problem_new(&p, 2, 3, ML_I8_MOST_K, &rng);
    memset(p.a.data, 255, p.a.n);
    memset(p.w.data, 0x80, p.w.n);
    for (int i = 0; i < 2; i++)
        ((int32_t *)p.zeros.data)[i] = 0;
    each_table(&p, &t, NULL);
    problem_free(&p);
    assert_int_equal(ml_i8_weights_size(&t.ref, 1, ML_I8_MOST_K + 1), 0);
}

/* f32 results have the same bits in every variant and with threads; bias, activation, bf16. */
static void test_scaled(void **state)
{
    struct tables t;
    struct ml_rng rng;
    struct ml_pool *pool;
    tables_init(&t);
    ml_rng_init(&rng, 73, 0);
    pool = pool_of(2);
    for (int round = 0; round < 40; round++) {
        struct problem p;
        int64_t m = round % 8 == 7 ? 600 : 1 + (int64_t)ml_rng_below(&rng, 30);
        problem_new(&p, m, 1 + (int64_t)ml_rng_below(&rng, 70),
                    1 + (int64_t)ml_rng_below(&rng, 900), &rng);
        p.g.bias = round & 1 ? (const float *)p.bias.data : NULL;
        p.g.act = round & 2 ? ML_ACT_RELU : ML_ACT_NONE;
        enum ml_dtype type = round & 4 ? ML_BF16 : ML_F32;
        for (int v = -1; v < t.variants; v++) {
            const char *c = problem_run(&p, v < 0 ? &t.ref : &t.variant[v], pool, type);
            for (int64_t i = 0; i < p.m; i++)
                for (int64_t j = 0; j < p.n; j++) {
                    float want = (float)(int32_t)sum_at(&p, i, j) *
                                 (p.g.a.scale[i] * ((const float *)p.w_scales.data)[j]);
                    want += p.g.bias ? p.g.bias[j] : 0;
                    want = p.g.act == ML_ACT_RELU && want < 0 ? 0 : want;
                    size_t at = (size_t)(i * p.g.c_row + j);
                    if (type == ML_F32)
                        assert_true(((const float *)c)[at] == want);
                    else
                        assert_int_equal(((const ml_bf16 *)c)[at], ml_f32_to_bf16(want));
                }
            run_free(&p);
        }
        problem_free(&p);
    }
    ml_pool_free(pool);
}

static void check_row(const float *x, const uint8_t *q, int64_t n, float scale, int32_t zero)
{
    assert_in_range(zero, 0, 255);
    for (int64_t i = 0; i < n; i++)
        assert_true(fabsf(scale * (float)(q[i] - zero) - x[i]) <= scale * 1.0001f);
}

/* Activations: every variant like ref, no further from the number than rounding allows; NaN and
 * infinity spoil their row, and it shows. */
static void test_quantize(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 74, 0);
    for (int round = 0; round < 4 * TEST_SIZES; round++) {
        int64_t n = test_size(round / 4);
        struct guarded gx, gq, gr;
        float *x = guarded_new(&gx, (size_t)n * 4, 4), scale[2];
        int32_t zero[2];
        fill_normal(&rng, x, n, 3);
        for (int64_t i = 0; i < n && round % 4 == 1; i++)
            x[i] = fabsf(x[i]);
        for (int64_t i = 0; i < n && round % 4 == 2; i++)
            x[i] = 0;
        bool bad = round % 4 == 3 && n > 0;
        if (bad)
            x[ml_rng_below(&rng, (uint64_t)n)] = round & 4 ? NAN : -INFINITY;
        uint8_t *want = guarded_new(&gr, (size_t)n, 0), *got = guarded_new(&gq, (size_t)n, 1);
        t.ref.gemm_i8.quantize(n, want, x, &scale[0], &zero[0]);
        assert_int_equal(isnan(scale[0]) != 0, bad);
        if (!bad)
            check_row(x, want, n, scale[0], zero[0]);
        for (int v = 0; v < t.variants; v++) {
            t.variant[v].gemm_i8.quantize(n, got, x, &scale[1], &zero[1]);
            assert_memory_equal(&scale[0], &scale[1], bad ? 0 : 4);
            assert_int_equal(isnan(scale[1]) != 0, bad);
            assert_int_equal(zero[0], zero[1]);
            for (int64_t i = 0; i < n; i++)
                assert_int_equal(got[i], want[i]);
        }
        guarded_free(&gx);
        guarded_free(&gq);
        guarded_free(&gr);
    }
}

/* A layer from real numbers: as near to the f32 product as eight bits allow; a NaN in W or X is in
 * the column or row that it belongs to, and nowhere else. */
static void test_layer(void **state)
{
    enum { M = 9, N = 50, K = 300 };
    static float x[M * K], w[N * K], c[M * N], scale[M];
    static uint8_t q[M * K];
    static int32_t zero[M];
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 75, 0);
    fill_normal(&rng, x, M * K, 1);
    fill_normal(&rng, w, N * K, 0.05f);
    x[4 * K + 7] = NAN;
    w[20 * K + 299] = NAN;
    for (int v = -1; v < t.variants; v++) {
        const struct ml_kernels *k = v < 0 ? &t.ref : &t.variant[v];
        struct ml_i8_weights weights;
        struct ml_matrix matrix = {w, ML_F32, K, 1};
        void *memory = ml_mem_alloc(ml_i8_weights_size(k, N, K));
        ml_i8_weights_quantize(k, &weights, memory, N, K, &matrix);
        struct ml_i8_rows rows = {q, K, scale, zero};
        ml_i8_quantize_rows(k, NULL, M, K, x, K, &rows);
        struct ml_gemm_i8 g = {.m = M, .a = rows, .w = &weights, .c = c, .c_row = N};
        void *scratch = ml_mem_alloc(ml_gemm_i8_scratch(k, &g, 1));
        ml_gemm_i8_run(k, &g, NULL, scratch);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                double want = 0;
                for (int p = 0; p < K; p++)
                    want += (double)x[i * K + p] * w[j * K + p];
                assert_int_equal(isnan(c[i * N + j]) != 0, i == 4 || j == 20);
                if (i != 4 && j != 20) /* sqrt(300) errors of 0.007 * 0.05 and 1 * 0.0004 */
                    assert_true(fabs(c[i * N + j] - want) < 0.06);
            }
        ml_mem_free(scratch);
        ml_mem_free(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),   cmocka_unit_test(test_longest),
        cmocka_unit_test(test_scaled), cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
