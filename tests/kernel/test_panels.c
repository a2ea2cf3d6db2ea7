/* Products with weights that stay packed: against the same product of the weights as they were, for
 * every number format and tail; a row gives the same bits alone; packed rows can be read back. */
#include "kernel_check.h"

#include "kernel/gemm.h"

static float *product(const struct ml_kernels *k, struct ml_gemm g, struct guarded *c)
{
    struct guarded scratch;
    g.c = guarded_new(c, (size_t)(g.m * g.n) * sizeof(float), 0);
    g.c_row = g.n;
    ml_gemm_run(k, &g, NULL, guarded_new(&scratch, ml_gemm_scratch(k, &g, 1), 0));
    guarded_free(&scratch);
    return g.c;
}

static void check(const struct ml_kernels *k, enum ml_dtype type, int64_t m, int64_t n,
                  int64_t deep, struct ml_rng *rng)
{
    size_t size = ml_dtype_size(type);
    struct guarded ga, gw, gp, gs, plain, packed, alone;
    float *a = guarded_new(&ga, (size_t)(m * deep) * 4, 4);
    char *w = guarded_new(&gw, (size_t)(n * deep) * size, 4);
    char *p = guarded_new(&gp, (size_t)(n * deep) * size, 0), part[64 * 4];
    fill_normal(rng, a, m * deep, 1);
    for (int64_t i = 0; i < n * deep; i++)
        if (type == ML_F32)
            ((float *)(void *)w)[i] = ml_rng_normal(rng);
        else
            ((uint16_t *)(void *)w)[i] = type == ML_BF16 ? ml_f32_to_bf16(ml_rng_normal(rng))
                                                         : ml_f32_to_f16(ml_rng_normal(rng));
    memcpy(p, w, (size_t)(n * deep) * size);
    ml_gemm_panels_pack(k, p, type, n, deep,
                        guarded_new(&gs, ml_gemm_panels_pack_scratch(k, deep), 0));
    guarded_free(&gs);
    struct ml_gemm g = {
        .m = m, .n = n, .k = deep, .a = {a, ML_F32, deep, 1}, .b = {w, type, 1, deep}};
    const float *want = product(k, g, &plain);
    g.b.data = p;
    g.panels = true;
    const float *got = product(k, g, &packed);
    for (int64_t i = 0; i < m * n; i++)
        assert_true(fabs((double)got[i] - want[i]) <= 1e-5 * (1 + (double)deep));
    g.m = 1;
    g.a.data = a + (m - 1) * deep;
    assert_memory_equal(product(k, g, &alone), got + (m - 1) * n, (size_t)n * sizeof(float));
    for (int64_t row = 0; row < n; row++) {
        int64_t count = deep < 64 ? deep : 64, first = deep - count;
        ml_gemm_panels_part(k, part, p, type, n, deep, row, first, count);
        assert_memory_equal(part, w + (size_t)(row * deep + first) * size, (size_t)count * size);
    }
    guarded_free(&ga);
    guarded_free(&gw);
    guarded_free(&gp);
    guarded_free(&plain);
    guarded_free(&packed);
    guarded_free(&alone);
}

static void all(void **state)
{
    static const int64_t ms[] = {1, 2, 3, 6, 7, 12, 13, 64, 70}, ns[] = {1, 31, 32, 33, 100, 200},
                         ks[] = {1, 5, 64, 100};
    static const enum ml_dtype types[] = {ML_F32, ML_BF16, ML_F16};
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 11, 0);
    for (int v = -1; v < t.variants; v++)
        for (int type = 0; type < 3; type++)
            for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
                for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
                    for (size_t q = 0; q < sizeof ks / sizeof *ks; q++)
                        check(v < 0 ? &t.ref : &t.variant[v], types[type], ms[i], ns[j], ks[q],
                              &rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
