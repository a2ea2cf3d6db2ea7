/* Two-operand loops, updates in place and AdamW: every variant against ref. */
#include "kernel_check.h"

#define BUFFERS 6

struct bench_of {
    struct guarded guard[BUFFERS];
    float *p[BUFFERS];
    int64_t n;
};

static void buffers_new(struct bench_of *b, int64_t n, struct ml_rng *rng)
{
    b->n = n;
    for (int i = 0; i < BUFFERS; i++) {
        b->p[i] = guarded_new(&b->guard[i], (size_t)n * 4, 4 * ml_rng_below(rng, 16));
        fill_normal(rng, b->p[i], n, 2.0f);
    }
    if (n > 3) { /* NaN and infinity on either side */
        b->p[0][n - 1] = NAN;
        b->p[1][n - 2] = NAN;
        b->p[0][n - 3] = INFINITY;
        b->p[1][n - 4] = -INFINITY;
    }
}

static void buffers_free(struct bench_of *b)
{
    for (int i = 0; i < BUFFERS; i++)
        guarded_free(&b->guard[i]);
}

static void test_binary(void **state)
{
    static const char *const names[] = {"add", "sub", "mul", "div", "max", "min"};
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 3, 0);
    for (int v = 0; v < t.variants; v++)
        for (int f = 0; f < ML_BINARY_COUNT; f++)
            for (int s = 0; s < TEST_SIZES; s++) {
                struct bench_of b;
                buffers_new(&b, test_size(s), &rng);
                const struct ml_kernels *k = &t.variant[v];
                float scalar = ml_rng_normal(&rng);
                /* One IEEE operation each: the same bits. */
                k->binary[f](b.n, b.p[2], b.p[0], b.p[1]);
                t.ref.binary[f](b.n, b.p[3], b.p[0], b.p[1]);
                assert_close(names[f], b.p[2], b.p[3], b.n, 0, 0);
                k->binary_scalar[f](b.n, b.p[4], b.p[0], scalar);
                t.ref.binary_scalar[f](b.n, b.p[3], b.p[0], scalar);
                assert_close(names[f], b.p[4], b.p[3], b.n, 0, 0);
                k->binary_scalar[f](b.n, b.p[5], b.p[0], NAN);
                for (int64_t i = 0; i < b.n; i++)
                    assert_true(isnan(b.p[5][i]));
                k->binary[f](b.n, b.p[1], b.p[0], b.p[1]); /* in place on the right */
                assert_close(names[f], b.p[1], b.p[2], b.n, 0, 0);
                k->binary_scalar[f](b.n, b.p[0], b.p[0], scalar);
                assert_close(names[f], b.p[0], b.p[4], b.n, 0, 0);
                buffers_free(&b);
            }
}

static void test_updates(void **state)
{
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 4, 0);
    /* One rounding where ref has two: an ulp of the larger term, which is below 100 here. */
    double absolute = 100 * 6e-8;
    for (int v = 0; v < t.variants; v++)
        for (int s = 0; s < TEST_SIZES; s++) {
            struct bench_of b;
            buffers_new(&b, test_size(s), &rng);
            const struct ml_kernels *k = &t.variant[v];
            size_t bytes = (size_t)b.n * 4;
            k->affine(b.n, b.p[2], b.p[0], 1.7f, -0.3f);
            t.ref.affine(b.n, b.p[3], b.p[0], 1.7f, -0.3f);
            assert_close("affine", b.p[2], b.p[3], b.n, 1e-7, absolute);
            memcpy(b.p[2], b.p[4], bytes);
            memcpy(b.p[3], b.p[4], bytes);
            k->axpy(b.n, b.p[2], 0.7f, b.p[0]);
            t.ref.axpy(b.n, b.p[3], 0.7f, b.p[0]);
            assert_close("axpy", b.p[2], b.p[3], b.n, 1e-7, absolute);
            memcpy(b.p[2], b.p[4], bytes);
            memcpy(b.p[3], b.p[4], bytes);
            k->mul_add(b.n, b.p[2], b.p[0], b.p[1]);
            t.ref.mul_add(b.n, b.p[3], b.p[0], b.p[1]);
            assert_close("mul_add", b.p[2], b.p[3], b.n, 1e-7, absolute);
            k->fill(b.n, b.p[2], 3.25f);
            for (int64_t i = 0; i < b.n; i++)
                assert_true(b.p[2][i] == 3.25f);
            buffers_free(&b);
        }
}

static void test_adamw(void **state)
{
    const struct ml_adamw_step step = {.lr = 1e-2f,
                                       .beta1 = 0.9f,
                                       .beta2 = 0.95f,
                                       .eps = 1e-8f,
                                       .weight_decay = 0.1f,
                                       .grad_scale = 0.5f,
                                       .correction1 = 0.271f,
                                       .correction2 = 0.142625f};
    struct tables t;
    struct ml_rng rng;
    tables_init(&t);
    ml_rng_init(&rng, 5, 0);
    for (int v = 0; v < t.variants; v++)
        for (int s = 0; s < TEST_SIZES; s++) {
            int64_t n = test_size(s);
            struct guarded g[7];
            float *p[7]; /* 0..2 w m v, 3..5 the same for ref, 6 gradient */
            for (int i = 0; i < 7; i++) {
                p[i] = guarded_new(&g[i], (size_t)n * 4, 4 * ml_rng_below(&rng, 16));
                fill_normal(&rng, p[i], n, 1.0f);
            }
            for (int64_t i = 0; i < n; i++)
                p[2][i] *= p[2][i];
            if (n > 20)
                p[6][n - 2] = NAN;
            for (int i = 0; i < 3; i++)
                memcpy(p[3 + i], p[i], (size_t)n * 4);
            t.variant[v].adamw(n, p[0], p[1], p[2], p[6], &step);
            t.ref.adamw(n, p[3], p[4], p[5], p[6], &step);
            /* Weights up to 4 that a step may nearly cancel: an ulp of the larger on either side.
             */
            assert_close("adamw w", p[0], p[3], n, 3e-7, 5e-7);
            assert_close("adamw m", p[1], p[4], n, 2e-7, 2e-7);
            assert_close("adamw v", p[2], p[5], n, 2e-7, 2e-7);
            for (int i = 0; i < 7; i++)
                guarded_free(&g[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_adamw),
    };
    return cmocka_run_group_tests_name("elementwise_slots", tests, NULL, NULL);
}
