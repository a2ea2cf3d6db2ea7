/* Winograd's F(2x2, 3x3): every variant against ref with all tails and guard bands, and ref against
 * what the form is for: a 3x3 kernel over 4 x 4 numbers. */
#include "kernel_check.h"

enum { FORM = 16 };

/* Equal but for rounding: `size` is that of what is added up. */
static void assert_near(const struct ml_kernels *k, const char *what, const float *got,
                        const float *want, int64_t count, double size)
{
    for (int64_t i = 0; i < count; i++)
        if (fabs(got[i] - want[i]) > 1e-6 * size)
            fail_msg("%s: %s: number %lld is %g, not %g", k->name, what, (long long)i, got[i],
                     want[i]);
}

static void check_source(const struct ml_kernels *ref, const struct ml_kernels *k, int64_t n,
                         struct ml_rng *rng)
{
    int64_t reach = 100, plane = n + 3, count = reach + 2 * n + 34, made = 15 * plane + n;
    struct guarded gx, ga, gb;
    float *x = guarded_new(&gx, (size_t)count * 4, 4);
    float *a = guarded_new(&ga, (size_t)made * 4, 8), *b = guarded_new(&gb, (size_t)made * 4, 0);
    int32_t at[4];
    fill_normal(rng, x, count, 1);
    memset(a, 0, (size_t)made * 4);
    memset(b, 0, (size_t)made * 4); /* and between the planes it stays so */
    for (int r = 0; r < 4; r++)
        at[r] = r == 0 ? (int32_t)reach : (int32_t)ml_rng_below(rng, (uint32_t)reach);
    ref->winograd_source(n, a, plane, x, at);
    k->winograd_source(n, b, plane, x, at);
    assert_near(k, "source", b, a, made, 8);
    guarded_free(&gx);
    guarded_free(&ga);
    guarded_free(&gb);
}

static void check_weights(const struct ml_kernels *ref, const struct ml_kernels *k, bool turned,
                          struct ml_rng *rng)
{
    int64_t n = 2 * k->gemm_f32.nr, plane = n + 5, made = 15 * plane + n;
    struct guarded gw, ga, gb;
    float *w = guarded_new(&gw, (size_t)(9 * n) * 4, 4);
    float *a = guarded_new(&ga, (size_t)made * 4, 8), *b = guarded_new(&gb, (size_t)made * 4, 0);
    fill_normal(rng, w, 9 * n, 1);
    memset(a, 0, (size_t)made * 4);
    memset(b, 0, (size_t)made * 4);
    ref->winograd_weights(n, a, plane, w, turned);
    k->winograd_weights(n, b, plane, w, turned);
    assert_near(k, "weights", b, a, made, 8);
    guarded_free(&gw);
    guarded_free(&ga);
    guarded_free(&gb);
}

static void check_result(const struct ml_kernels *ref, const struct ml_kernels *k, int64_t cells,
                         struct ml_rng *rng)
{
    int64_t n = k->gemm_f32.nr, plane = cells * n + 7, sums = 15 * plane + cells * n;
    int64_t row = 2 * cells * n + 1, made = row + 2 * cells * n;
    struct guarded gm, ga, gb;
    float *m = guarded_new(&gm, (size_t)sums * 4, 4);
    float *a = guarded_new(&ga, (size_t)made * 4, 8), *b = guarded_new(&gb, (size_t)made * 4, 0);
    fill_normal(rng, m, sums, 1);
    memset(a, 0, (size_t)made * 4);
    memset(b, 0, (size_t)made * 4);
    ref->winograd_result(cells, n, a, row, m, plane);
    k->winograd_result(cells, n, b, row, m, plane);
    assert_near(k, "result", b, a, made, 30);
    guarded_free(&gm);
    guarded_free(&ga);
    guarded_free(&gb);
}

static void variants(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 11, 0);
    for (int v = 0; v < t.variants; v++) {
        for (int64_t n = 1; n < 70; n++)
            check_source(&t.ref, &t.variant[v], n, &rng);
        check_weights(&t.ref, &t.variant[v], false, &rng);
        check_weights(&t.ref, &t.variant[v], true, &rng);
        for (int64_t cells = 1; cells < 6; cells++)
            check_result(&t.ref, &t.variant[v], cells, &rng);
    }
}

/* One cell of one channel: the sums of the 3x3 kernel at its four places. */
static void one_cell(void **state)
{
    struct tables t;
    struct ml_rng rng;
    int32_t at[4] = {0, 4, 8, 12};
    float d[FORM], w[9 * 64] = {0}, form[FORM], weight[FORM * 64], sums[FORM * 64], y[4 * 64];
    tables_init(&t);
    ml_rng_init(&rng, 12, 0);
    fill_normal(&rng, d, FORM, 1);
    int nr = t.ref.gemm_f32.nr;
    assert_true(nr <= 64);
    for (int turned = 0; turned < 2; turned++) {
        fill_normal(&rng, w, 9 * nr, 1);
        t.ref.winograd_source(1, form, 1, d, at);
        t.ref.winograd_weights(nr, weight, nr, w, turned);
        for (int i = 0; i < FORM * nr; i++)
            sums[i] = form[i / nr] * weight[i];
        t.ref.winograd_result(1, nr, y, 2 * nr, sums, nr);
        for (int place = 0; place < 4; place++) {
            double want = 0;
            for (int tap = 0; tap < 9; tap++)
                want += (double)d[(place / 2 + tap / 3) * 4 + place % 2 + tap % 3] *
                        w[(turned ? 8 - tap : tap) * nr];
            assert_float_equal(y[place * nr], want, 2e-5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variants),
        cmocka_unit_test(one_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
