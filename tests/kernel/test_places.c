/* What convolutions stand on: places packed side by side, the register tile that walks over them
 * by offsets, planes that slide over each other. Every variant against the definition, with all
 * numbers of rows, tails and guard bands. */
#include "kernel_check.h"

static void each_table(void (*check)(const struct ml_kernels *k, struct ml_rng *rng))
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 7, 0);
    check(&t.ref, &rng);
    for (int i = 0; i < t.variants; i++)
        check(&t.variant[i], &rng);
}

static float element(const void *data, bool f32, int64_t at)
{
    return f32 ? ((const float *)data)[at] : ml_bf16_to_f32(((const ml_bf16 *)data)[at]);
}

/* Random numbers of a type; what they are as f32. */
static void *numbers(struct guarded *g, float *value, enum ml_dtype type, int64_t n,
                     struct ml_rng *rng)
{
    void *data = guarded_new(g, (size_t)n * ml_dtype_size(type), ml_rng_below(rng, 16) * 4);
    for (int64_t i = 0; i < n; i++) {
        value[i] = ml_rng_normal(rng);
        if (type == ML_F32) {
            ((float *)data)[i] = value[i];
        } else {
            ((ml_bf16 *)data)[i] = ml_f32_to_bf16(value[i]);
            value[i] = ml_bf16_to_f32(((ml_bf16 *)data)[i]);
        }
    }
    return data;
}

static void check_packing(const struct ml_kernels *k, const struct ml_gemm_kernel *u,
                          enum ml_dtype type, int64_t si, int64_t n, int64_t channels,
                          struct ml_rng *rng)
{
    int64_t sp = n * si + 3, count = (channels - 1) * sp + (n - 1) * si + 1;
    float *value = ml_mem_alloc((size_t)count * sizeof *value);
    struct guarded source, packed;
    const void *src = numbers(&source, value, type, count, rng);
    bool f32 = u->element == 4;
    void *to = guarded_new(&packed, (size_t)((n + 32) * u->kr) * u->element, 0);
    u->pack_places(to, src, type, si, sp, n, channels);
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < u->kr; p++) {
            float want = p < channels ? value[i * si + p * sp] : 0,
                  got = element(to, f32, i * u->kr + p);
            if (!f32)
                want = ml_bf16_to_f32(ml_f32_to_bf16(want));
            if (got != want)
                fail_msg("%s: %lld places, stride %lld: place %lld, number %lld: %g, not %g",
                         k->name, (long long)n, (long long)si, (long long)i, (long long)p, got,
                         want);
        }
    guarded_free(&source);
    guarded_free(&packed);
    ml_mem_free(value);
}

static void check_all_packing(const struct ml_kernels *k, struct ml_rng *rng)
{
    const struct ml_gemm_kernel *units[2] = {&k->gemm_f32, &k->gemm_bf16};
    for (int b = 0; b < 2; b++)
        for (int type = 0; type < 2; type++)
            for (int64_t si = 1; si <= 3; si++)
                for (int64_t n = 1; n < 70; n += 1 + n / 20)
                    for (int64_t c = 1; c <= units[b]->kr; c += 1 + c / 3)
                        check_packing(k, units[b], type ? ML_BF16 : ML_F32, si, n, c, rng);
}

static void packing(void **state)
{
    each_table(check_all_packing);
}

/* One call: rows `apart`, at random offsets. */
static void check_tile(const struct ml_kernels *k, const struct ml_gemm_kernel *u, int64_t rows,
                       int64_t steps, int64_t apart, bool add, struct ml_rng *rng)
{
    bool f32 = u->element == 4;
    int64_t reach = 200 * u->kr, count = reach + (rows - 1) * apart + u->kr, deep = steps * u->kr;
    int64_t nr = u->nr, ldc = nr + 5;
    float *value = ml_mem_alloc((size_t)count * sizeof *value);
    float *weight = ml_mem_alloc((size_t)(deep * nr) * sizeof *weight);
    int32_t *at = ml_mem_alloc((size_t)steps * sizeof *at);
    struct guarded ga, gb, gc;
    const void *a = numbers(&ga, value, f32 ? ML_F32 : ML_BF16, count, rng);
    for (int64_t i = 0; i < deep * nr; i++)
        weight[i] = ml_bf16_to_f32(ml_f32_to_bf16(ml_rng_normal(rng)));
    void *panel = guarded_new(&gb, (size_t)(deep * nr) * u->element, 0);
    u->pack_b(panel, weight, ML_F32, 1, nr, nr, deep);
    for (int64_t s = 0; s < steps; s++)
        at[s] = (int32_t)ml_rng_below(rng, (uint32_t)reach);
    float *c = guarded_new(&gc, (size_t)(rows * ldc) * sizeof *c, 0);
    for (int64_t i = 0; i < rows * ldc; i++)
        c[i] = 2;
    u->tile_places(rows, steps, at, a, apart, panel, c, ldc, add);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < ldc; j++) {
            double sum = add || j >= nr ? 2 : 0, size = 1;
            for (int64_t p = 0; j < nr && p < deep; p++) {
                double term =
                    (double)value[at[p / u->kr] + i * apart + p % u->kr] * weight[p * nr + j];
                sum += term;
                size += fabs(term);
            }
            if (fabs(c[i * ldc + j] - sum) > 1e-6 * size)
                fail_msg("%s: %lld rows, %lld steps, %lld apart: [%lld,%lld] is %g, not %g",
                         k->name, (long long)rows, (long long)steps, (long long)apart, (long long)i,
                         (long long)j, c[i * ldc + j], sum);
        }
    guarded_free(&ga);
    guarded_free(&gb);
    guarded_free(&gc);
    ml_mem_free(value);
    ml_mem_free(weight);
    ml_mem_free(at);
}

static void check_all_tiles(const struct ml_kernels *k, struct ml_rng *rng)
{
    const struct ml_gemm_kernel *units[2] = {&k->gemm_f32, &k->gemm_bf16};
    for (int b = 0; b < 2; b++)
        for (int64_t rows = 1; rows <= units[b]->mr; rows++)
            for (int64_t steps = 1; steps < 12; steps += 3)
                for (int far = 0; far < 2; far++)
                    check_tile(k, units[b], rows, steps, far ? 37 * units[b]->kr : units[b]->kr,
                               steps % 2, rng);
}

static void tiles(void **state)
{
    each_table(check_all_tiles);
}

/* A plane of rows x n places and a padded one under it. */
static void check_slide(const struct ml_kernels *k, int64_t rows, int64_t n, int64_t taps, bool add,
                        struct ml_rng *rng)
{
    int64_t ldx = n + 9, ldy = n + 2, most = 3 * ldx;
    int64_t xs = (rows - 1) * ldx + n + most, ys = (rows - 1) * ldy + n;
    struct guarded gx, gy, gw;
    float *x = guarded_new(&gx, (size_t)xs * 4, 4), *y = guarded_new(&gy, (size_t)ys * 4, 8);
    float w[64], *dw = guarded_new(&gw, (size_t)taps * 4, 0);
    int32_t at[64];
    fill_normal(rng, x, xs, 1);
    fill_normal(rng, y, ys, 1);
    fill_normal(rng, w, taps, 1);
    for (int64_t t = 0; t < taps; t++) {
        at[t] = (int32_t)ml_rng_below(rng, (uint32_t)most);
        dw[t] = 1;
    }
    k->slide_dw(rows, n, dw, taps, at, x, ldx, y, ldy);
    for (int64_t t = 0; t < taps; t++) {
        double sum = 1, size = 1;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < n; i++) {
                double term = (double)x[r * ldx + at[t] + i] * y[r * ldy + i];
                sum += term;
                size += fabs(term);
            }
        assert_true(fabs(dw[t] - sum) <= 1e-6 * size);
    }
    float *before = ml_mem_alloc((size_t)ys * 4);
    memcpy(before, y, (size_t)ys * 4);
    k->slide(rows, n, y, ldy, 0.5f, taps, at, x, ldx, w, add);
    for (int64_t i = 0; i < ys; i++) {
        double sum = i % ldy >= n || add ? before[i] : 0.5, size = 1;
        for (int64_t t = 0; i % ldy < n && t < taps; t++) {
            double term = (double)w[t] * x[i / ldy * ldx + at[t] + i % ldy];
            sum += term;
            size += fabs(term);
        }
        if (fabs(y[i] - sum) > 1e-6 * size)
            fail_msg("%s: %lld x %lld places, %lld taps: %lld is %g, not %g", k->name,
                     (long long)rows, (long long)n, (long long)taps, (long long)i, y[i], sum);
    }
    ml_mem_free(before);
    guarded_free(&gx);
    guarded_free(&gy);
    guarded_free(&gw);
}

static void check_pad(const struct ml_kernels *k, int64_t rows, int64_t n, int64_t left,
                      int64_t right, int64_t step, struct ml_rng *rng)
{
    int64_t span = (n - 1) * step + 1, ld = span + 3, pitch = left + n + right,
            count = (rows - 1) * ld + span;
    struct guarded gx, gy;
    float *x = guarded_new(&gx, (size_t)count * 4, 4);
    float *y = guarded_new(&gy, (size_t)(rows * pitch) * 4, 8);
    fill_normal(rng, x, count, 1);
    memset(y, 1, (size_t)(rows * pitch) * 4);
    k->pad_rows(rows, y, pitch, x, ld, step, left, n);
    for (int64_t i = 0; i < rows * pitch; i++) {
        int64_t at = i % pitch - left;
        assert_true(y[i] == (at < 0 || at >= n ? 0 : x[i / pitch * ld + at * step]));
    }
    guarded_free(&gx);
    guarded_free(&gy);
}

static void check_turn(const struct ml_kernels *k, int64_t rows, int64_t channels, bool biased,
                       struct ml_rng *rng)
{
    int64_t row = channels + 5, plane = rows + 3;
    int64_t from = (rows - 1) * row + channels, made = (channels - 1) * plane + rows;
    struct guarded gs, gy, gb;
    float *sums = guarded_new(&gs, (size_t)from * 4, 4), *y = guarded_new(&gy, (size_t)made * 4, 8);
    float *bias = guarded_new(&gb, (size_t)channels * 4, 0);
    fill_normal(rng, sums, from, 1);
    fill_normal(rng, bias, channels, 1);
    for (int64_t i = 0; i < made; i++)
        y[i] = 7;
    k->turn_rows(rows, channels, y, plane, sums, row, biased ? bias : NULL);
    for (int64_t i = 0; i < made; i++) {
        int64_t r = i % plane, c = i / plane;
        float want = r < rows ? sums[r * row + c] + (biased ? bias[c] : 0) : 7;
        assert_true(y[i] == want);
    }
    guarded_free(&gs);
    guarded_free(&gy);
    guarded_free(&gb);
}

static void check_all_slides(const struct ml_kernels *k, struct ml_rng *rng)
{
    for (int64_t rows = 1; rows < 8; rows += 2)
        for (int64_t n = 1; n < 100; n += 1 + n / 12)
            for (int64_t taps = 1; taps < 26; taps += 4)
                check_slide(k, rows, n, taps, n % 2, rng);
    for (int64_t n = 1; n < 40; n++)
        for (int64_t c = 1; c < 40; c++)
            check_turn(k, n, c, n % 2, rng);
    for (int64_t n = 1; n < 70; n++)
        for (int64_t left = 0; left < 40; left += 1 + left / 2)
            check_pad(k, 1 + n % 3, n, left, (n * 7 + left) % 20, 1 + (n + left) % 3, rng);
}

static void slides(void **state)
{
    each_table(check_all_slides);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing),
        cmocka_unit_test(tiles),
        cmocka_unit_test(slides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
