/* Conversions, exhaustively: all 65536 halves, and every upper half of an f32 with the lower halves
 * that decide rounding. */
#include "kernel_check.h"

static void test_dtypes(void **state)
{
    static const size_t bytes[] = {4, 2, 2, 4};
    for (int i = 0; i < ML_DTYPE_COUNT; i++) {
        assert_int_equal(ml_dtype_size((enum ml_dtype)i), bytes[i]);
        assert_non_null(ml_dtype_name((enum ml_dtype)i));
    }
    assert_string_equal(ml_dtype_name(ML_BF16), "bf16");
}

static void test_known_values(void **state)
{
    static const struct {
        float f32;
        uint16_t f16, bf16;
    } known[] = {
        {0.0f, 0x0000, 0x0000},        {-0.0f, 0x8000, 0x8000},       {1.0f, 0x3c00, 0x3f80},
        {-2.0f, 0xc000, 0xc000},       {65504.0f, 0x7bff, 0x4780},    {65520.0f, 0x7c00, 0x4780},
        {65519.9f, 0x7bff, 0x4780},    {0x1p-24f, 0x0001, 0x3380},    {0x1p-25f, 0x0000, 0x3300},
        {0x1.8p-24f, 0x0002, 0x33c0},  {INFINITY, 0x7c00, 0x7f80},    {0x1p-14f, 0x0400, 0x3880},
        {1.00390625f, 0x3c04, 0x3f80}, {1.01171875f, 0x3c0c, 0x3f82}, {3.4e38f, 0x7c00, 0x7f80},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(ml_f32_to_f16(known[i].f32), known[i].f16);
        assert_int_equal(ml_f32_to_bf16(known[i].f32), known[i].bf16);
    }
    assert_true(ml_f16_to_f32(0x0001) == 0x1p-24f && ml_f16_to_f32(0xfbff) == -65504.0f);
    assert_true(isnan(ml_f16_to_f32(0x7c01)) && isinf(ml_f16_to_f32(0xfc00)));
}

enum { ALL = 65536 };

static void test_from_halves(void **state)
{
    struct tables t;
    tables_init(&t);
    uint16_t *x = ml_mem_alloc(ALL * 2);
    float *y = ml_mem_alloc(ALL * 4), *want = ml_mem_alloc(ALL * 4);
    assert_true(x && y && want);
    for (int i = 0; i < ALL; i++)
        x[i] = (uint16_t)i;
    for (int v = 0; v < t.variants; v++) {
        t.variant[v].f16_to_f32(ALL, y, x);
        t.ref.f16_to_f32(ALL, want, x);
        assert_memory_equal(y, want, ALL * 4);
        t.variant[v].bf16_to_f32(ALL, y, x);
        t.ref.bf16_to_f32(ALL, want, x);
        assert_memory_equal(y, want, ALL * 4);
    }
    /* And back: exact, but for NaN, which becomes quiet. */
    for (int i = 0; i < ALL; i++) {
        float f = ml_f16_to_f32((uint16_t)i);
        assert_int_equal(ml_f32_to_f16(f), isnan(f) ? (i | 0x200) : i);
        f = ml_bf16_to_f32((uint16_t)i);
        assert_int_equal(ml_f32_to_bf16(f), isnan(f) ? (i | 0x40) : i);
    }
    ml_mem_free(x);
    ml_mem_free(y);
    ml_mem_free(want);
}

static void test_to_halves(void **state)
{
    static const uint32_t low[] = {0,      1,      0x0fff, 0x1000, 0x1001, 0x2fff,
                                   0x3000, 0x7fff, 0x8000, 0x8001, 0xffff};
    struct tables t;
    tables_init(&t);
    float *x = ml_mem_alloc(ALL * 4);
    uint16_t *y = ml_mem_alloc(ALL * 2), *want = ml_mem_alloc(ALL * 2);
    assert_true(x && y && want);
    for (size_t l = 0; l < sizeof low / sizeof *low; l++) {
        for (uint32_t i = 0; i < ALL; i++) {
            uint32_t bits = i << 16 | low[l];
            memcpy(x + i, &bits, 4);
        }
        for (int v = 0; v < t.variants; v++) {
            t.variant[v].f32_to_bf16(ALL, y, x);
            t.ref.f32_to_bf16(ALL, want, x);
            assert_memory_equal(y, want, ALL * 2);
            t.variant[v].f32_to_f16(ALL, y, x);
            t.ref.f32_to_f16(ALL, want, x);
            assert_memory_equal(y, want, ALL * 2);
        }
    }
    ml_mem_free(x);
    ml_mem_free(y);
    ml_mem_free(want);
}

static void test_tails(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 21, 0);
    for (int v = 0; v < t.variants; v++)
        for (int64_t n = 0; n <= 67; n++) {
            struct guarded g[4];
            float *x = guarded_new(&g[0], (size_t)n * 4, 4 * ml_rng_below(&rng, 16));
            float *back = guarded_new(&g[1], (size_t)n * 4, 4 * ml_rng_below(&rng, 16));
            uint16_t *b = guarded_new(&g[2], (size_t)n * 2, 2 * ml_rng_below(&rng, 32));
            uint16_t *h = guarded_new(&g[3], (size_t)n * 2, 2 * ml_rng_below(&rng, 32));
            fill_normal(&rng, x, n, 10.0f);
            t.variant[v].f32_to_bf16(n, b, x);
            t.variant[v].f32_to_f16(n, h, x);
            for (int64_t i = 0; i < n; i++)
                assert_true(b[i] == ml_f32_to_bf16(x[i]) && h[i] == ml_f32_to_f16(x[i]));
            t.variant[v].bf16_to_f32(n, back, b);
            for (int64_t i = 0; i < n; i++)
                assert_true(back[i] == ml_bf16_to_f32(b[i]));
            t.variant[v].f16_to_f32(n, back, h);
            for (int64_t i = 0; i < n; i++)
                assert_true(back[i] == ml_f16_to_f32(h[i]));
            for (int i = 0; i < 4; i++)
                guarded_free(&g[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),      cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_from_halves), cmocka_unit_test(test_to_halves),
        cmocka_unit_test(test_tails),
    };
    return cmocka_run_group_tests_name("number_formats", tests, NULL, NULL);
}
