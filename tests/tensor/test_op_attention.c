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

enum mask { SEGMENTS = 1, LENGTH = 2, POSITIONS = 4 };

struct attention_case {
    int64_t b, t, s, hq, hkv, d;
    bool causal;
    unsigned masks;
    float scale;
};

/* The masks of a case; inputs 3.. of its check in this order. */
struct masks {
    int32_t segments[4096], length[16], positions[4096];
};

static struct ml_tensor *build_attention(struct ml_graph *g, struct ml_tensor *const *in,
                                         const void *arg)
{
    const struct attention_case *c = arg;
    struct ml_attention options = {.causal = c->causal, .scale = c->scale};
    int next = 3;
    if (c->masks & SEGMENTS)
        options.segments = in[next++];
    if (c->masks & LENGTH)
        options.kv_length = in[next++];
    if (c->masks & POSITIONS)
        options.positions = in[next++];
    return ml_attention(g, in[0], in[1], in[2], &options);
}

/* Documents of uneven length, the last of them padding; the second sequence has other cuts. */
static void fill_masks(const struct attention_case *c, struct masks *m)
{
    for (int64_t b = 0; b < c->b; b++) {
        m->length[b] = (int32_t)(b % 3 == 1 ? 0 : c->s - c->s / (3 + b));
        for (int64_t t = 0; t < c->t; t++) {
            int64_t i = b * c->t + t;
            m->segments[i] = t * 10 >= c->t * 9 ? -1 : (int32_t)((t + 3 * b) * 4 / (c->t + 5));
            m->positions[i] = (int32_t)((t * 7 + b) % c->s) - (t == 2 ? (int32_t)c->s : 0);
        }
    }
}

static struct check make_check(const struct attention_case *c, struct masks *m)
{
    struct check check = {.n = 3,
                          .in = {{"q", ML_F32, 4, {c->b, c->t, c->hq, c->d}},
                                 {"k", ML_F32, 4, {c->b, c->s, c->hkv, c->d}},
                                 {"v", ML_F32, 4, {c->b, c->s, c->hkv, c->d}}},
                          .build = build_attention,
                          .arg = c};
    fill_masks(c, m);
    if (c->masks & SEGMENTS)
        check.in[check.n++] =
            (struct check_input){"segments", ML_I32, 2, {c->b, c->t}, .data = m->segments};
    if (c->masks & LENGTH)
        check.in[check.n++] =
            (struct check_input){"kv_length", ML_I32, 1, {c->b}, .data = m->length};
    if (c->masks & POSITIONS)
        check.in[check.n++] =
            (struct check_input){"positions", ML_I32, 2, {c->b, c->t}, .data = m->positions};
    return check;
}

static bool visible(const struct attention_case *c, const struct masks *m, int64_t b, int64_t t,
                    int64_t s)
{
    int64_t position = c->masks & POSITIONS ? m->positions[b * c->t + t] : t + c->s - c->t;
    if (c->causal && s > position)
        return false;
    if ((c->masks & LENGTH) && s >= m->length[b])
        return false;
    return !(c->masks & SEGMENTS) || m->segments[b * c->t + t] == m->segments[b * c->t + s];
}

/* One query of one head in double; also its gradients, added to d*. */
struct plain {
    const float *q, *k, *v, *dt;
    double *out, *dq, *dk, *dv;
};

static void plain_query(const struct attention_case *c, const struct masks *m,
                        const struct plain *p, const int64_t *at, double *weight)
{
    int64_t b = at[0], t = at[1], h = at[2], kv = h / (c->hq / c->hkv), d = c->d;
    int64_t row = ((b * c->t + t) * c->hq + h) * d;
    double sum = 0, along = 0, scale = c->scale > 0 ? (double)c->scale : 1 / sqrt((double)d);
    for (int64_t s = 0; s < c->s; s++) {
        const float *key = p->k + ((b * c->s + s) * c->hkv + kv) * d;
        double z = 0;
        for (int64_t e = 0; e < d; e++)
            z += (double)p->q[row + e] * (double)key[e];
        weight[s] = visible(c, m, b, t, s) ? exp(z * scale) : 0;
        sum += weight[s];
    }
    for (int64_t s = 0; s < c->s && sum > 0; s++) {
        weight[s] /= sum;
        for (int64_t e = 0; e < d; e++)
            p->out[row + e] += weight[s] * (double)p->v[((b * c->s + s) * c->hkv + kv) * d + e];
    }
    for (int64_t e = 0; e < d; e++)
        along += p->out[row + e] * (double)p->dt[row + e];
    for (int64_t s = 0; s < c->s; s++) {
        int64_t other = ((b * c->s + s) * c->hkv + kv) * d;
        double dp = 0;
        for (int64_t e = 0; e < d; e++)
            dp += (double)p->dt[row + e] * (double)p->v[other + e];
        double dz = sum > 0 ? weight[s] * (dp - along) * scale : 0;
        for (int64_t e = 0; e < d && sum > 0; e++) {
            p->dv[other + e] += weight[s] * (double)p->dt[row + e];
            p->dq[row + e] += dz * (double)p->k[other + e];
            p->dk[other + e] += dz * (double)p->q[row + e];
        }
    }
}

static float *random_floats(int64_t n, uint64_t stream)
{
    struct ml_rng rng;
    ml_rng_init(&rng, 3, stream);
    float *x = ml_mem_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = ml_rng_normal(&rng);
    return x;
}

static double *zeros(int64_t n)
{
    double *x = ml_mem_calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static void assert_near(const char *what, const float *ours, const double *plain, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)ours[i] - plain[i]) <= 2e-5 * (1 + fabs(plain[i]))))
            fail_msg("%s[%lld]: %.8g, plain %.8g", what, (long long)i, (double)ours[i], plain[i]);
}

/* Output and gradients against the formula in double. */
static void check_plain(const struct attention_case *c)
{
    struct masks *m = ml_mem_alloc(sizeof *m);
    assert_non_null(m);
    struct check check = make_check(c, m);
    int64_t nq = c->b * c->t * c->hq * c->d, nk = c->b * c->s * c->hkv * c->d;
    float *q = random_floats(nq, 1), *k = random_floats(nk, 2), *v = random_floats(nk, 3);
    float *dt = random_floats(nq, 4);
    check.in[0].data = q;
    check.in[1].data = k;
    check.in[2].data = v;
    struct plain p = {q, k, v, dt, zeros(nq), zeros(nq), zeros(nk), zeros(nk)};
    double *weight = zeros(c->s);
    for (int64_t b = 0; b < c->b; b++)
        for (int64_t t = 0; t < c->t; t++)
            for (int64_t h = 0; h < c->hq; h++)
                plain_query(c, m, &p, (int64_t[]){b, t, h}, weight);
    struct check_result r;
    check_run(&check, 2, dt, &r);
    assert_near("out", r.out, p.out, nq);
    assert_near("dq", r.grad[0], p.dq, nq);
    assert_near("dk", r.grad[1], p.dk, nk);
    assert_near("dv", r.grad[2], p.dv, nk);
    check_result_clear(&r);
    void *blocks[] = {q, k, v, dt, p.out, p.dq, p.dk, p.dv, weight, m};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        ml_mem_free(blocks[i]);
}

static void check_case(const struct attention_case *c, bool numeric)
{
    struct masks *m = ml_mem_alloc(sizeof *m);
    assert_non_null(m);
    struct check check = make_check(c, m);
    check.samples = 12;
    if (numeric)
        check_gradient(&check);
    check_threads(&check);
    check_bf16(&check, 7, 0.04);
    check_bf16(&check, 6, 0.04); /* a bf16 cache under f32 queries */
    ml_mem_free(m);
    check_plain(c);
}

static void check_cases(const struct attention_case *cases, size_t n, bool numeric)
{
    for (size_t i = 0; i < n; i++)
        check_case(&cases[i], numeric);
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void plain(void **state)
{
    (void)state;
    const struct attention_case cases[] = {
        {1, 5, 5, 1, 1, 4, false, 0, 0},    {2, 7, 7, 3, 3, 5, true, 0, 0},
        {1, 6, 11, 2, 1, 8, true, 0, 0.2f}, /* more keys than queries */
        {1, 9, 5, 1, 1, 3, true, 0, 0},     /* more queries than keys: some see nothing */
        {2, 6, 9, 1, 1, 8, false, 0, 0},
    };
    check_cases(cases, COUNT(cases), true);
}

static void grouped(void **state)
{
    (void)state;
    const struct attention_case cases[] = {
        {1, 10, 10, 4, 2, 8, true, 0, 0},
        {2, 7, 7, 6, 2, 6, false, 0, 0},
        {1, 9, 9, 8, 1, 16, true, 0, 0},
        {1, 5, 6, 70, 1, 4, false, 0, 0}, /* a group larger than a tile */
    };
    check_cases(cases, COUNT(cases), true);
}

static void masked(void **state)
{
    (void)state;
    const struct attention_case cases[] = {
        {3, 12, 12, 2, 1, 6, true, SEGMENTS, 0}, {2, 11, 11, 2, 2, 6, false, SEGMENTS, 0},
        {3, 6, 9, 2, 1, 6, false, LENGTH, 0},    {3, 8, 8, 2, 2, 6, true, LENGTH | SEGMENTS, 0},
        {3, 6, 10, 2, 1, 6, true, POSITIONS, 0}, {3, 6, 10, 4, 2, 6, true, POSITIONS | LENGTH, 0},
    };
    check_cases(cases, COUNT(cases), true);
}

/* Several tiles of queries and keys, odd tails, several blocks of the gradient. */
static void tiled(void **state)
{
    (void)state;
    const struct attention_case cases[] = {
        {1, 200, 200, 2, 2, 16, true, 0, 0},        {1, 131, 300, 2, 1, 20, false, 0, 0},
        {2, 330, 330, 2, 1, 7, true, SEGMENTS, 0},  {2, 70, 700, 4, 2, 33, true, LENGTH, 0},
        {2, 65, 1300, 1, 1, 8, true, POSITIONS, 0}, {1, 129, 129, 3, 3, 64, false, SEGMENTS, 0},
    };
    check_cases(cases, COUNT(cases), false);
}

/* Up to four queries go straight over the keys, in several parts. */
static void direct(void **state)
{
    (void)state;
    const struct attention_case cases[] = {
        {1, 1, 1, 1, 1, 4, true, 0, 0},
        {2, 1, 37, 4, 2, 8, true, 0, 0},
        {3, 1, 1100, 4, 1, 16, true, POSITIONS | LENGTH, 0},
        {2, 4, 530, 2, 2, 5, true, POSITIONS, 0},
        {3, 3, 1025, 2, 1, 8, false, LENGTH, 0},
        {1, 4, 4, 2, 2, 8, true, SEGMENTS, 0},
        {2, 1, 513, 8, 8, 64, false, 0, 0},
    };
    check_cases(cases, COUNT(cases), false);
}

/* A query that sees no key gives zeros and moves nothing; what lies beyond kv_length may be NaN. */
static void unseen(void **state)
{
    (void)state;
    for (int64_t t = 2; t <= 6; t += 4) { /* direct and tiled */
        struct attention_case c = {2, t, 9, 2, 1, 4, false, LENGTH, 0};
        struct masks m;
        struct check check = make_check(&c, &m);
        float k[2 * 9 * 4], v[2 * 9 * 4];
        m.length[0] = 5;
        m.length[1] = 0;
        for (int i = 0; i < 2 * 9 * 4; i++)
            k[i] = v[i] = i >= 36 || i % 36 >= 5 * 4 ? NAN : sinf((float)i);
        check.in[1].data = k;
        check.in[2].data = v;
        struct check_result r;
        check_run(&check, 2, NULL, &r);
        for (int64_t i = 0; i < r.count; i++)
            assert_true(i < r.count / 2 ? isfinite(r.out[i]) : r.out[i] == 0);
        for (int64_t i = 0; i < r.grad_count[0]; i++)
            assert_true(i < r.count / 2 ? isfinite(r.grad[0][i]) : r.grad[0][i] == 0);
        for (int64_t i = 20; i < r.grad_count[1]; i++)
            assert_true(r.grad[1][i] == 0 && r.grad[2][i] == 0);
        check_result_clear(&r);
    }
}

/* Half the numbers of a cache in f16: the same result to f16's precision. */
struct half_case {
    struct attention_case c;
    uint16_t *k, *v;
};

static struct ml_tensor *build_half(struct ml_graph *g, struct ml_tensor *const *in,
                                    const void *arg)
{
    const struct half_case *h = arg;
    const int64_t dims[4] = {h->c.b, h->c.s, h->c.hkv, h->c.d};
    struct ml_tensor *k = ml_leaf(g, "k", ML_F16, 4, dims, h->k);
    struct ml_tensor *v = ml_leaf(g, "v", ML_F16, 4, dims, h->v);
    return ml_attention(g, in[0], k, v, &(struct ml_attention){.causal = true});
}

static void half_cache(void **state)
{
    (void)state;
    for (int64_t t = 1; t <= 40; t += 39) {
        struct half_case h = {.c = {1, t, 150, 2, 1, 12, true, 0, 0}};
        struct masks *m = ml_mem_alloc(sizeof *m);
        int64_t n = 150 * 12;
        float *k = random_floats(n, 1), *v = random_floats(n, 2);
        h.k = ml_mem_alloc((size_t)n * 2);
        h.v = ml_mem_alloc((size_t)n * 2);
        assert_true(m && h.k && h.v);
        for (int64_t i = 0; i < n; i++) {
            h.k[i] = ml_f32_to_f16(k[i]);
            h.v[i] = ml_f32_to_f16(v[i]);
        }
        struct check full = make_check(&h.c, m), half = full;
        full.in[1].data = k;
        full.in[2].data = v;
        half.n = 1;
        half.build = build_half;
        half.arg = &h;
        struct check_result a, b;
        check_run(&full, 2, NULL, &a);
        check_run(&half, 2, NULL, &b);
        assert_true(check_max_difference(a.out, b.out, a.count) < 3e-3);
        assert_true(check_max_difference(a.out, b.out, a.count) > 0);
        check_result_clear(&a);
        check_result_clear(&b);
        void *blocks[] = {k, v, h.k, h.v, m};
        for (size_t i = 0; i < 5; i++)
            ml_mem_free(blocks[i]);
    }
}

/* A prompt, then one token at a time through the cache: the same as all at once. */
static void cached_decoding(void **state)
{
    (void)state;
    enum { T = 9, FIRST = 5, S = 16, H = 2, D = 6 };
    float *q = random_floats(T * 2 * H * D, 1), *k = random_floats(T * H * D, 2);
    float *v = random_floats(T * H * D, 3);
    struct attention_case c = {1, T, T, 2 * H, H, D, true, 0, 0};
    struct masks m;
    struct check whole = make_check(&c, &m);
    whole.in[0].data = q;
    whole.in[1].data = k;
    whole.in[2].data = v;
    struct check_result want;
    check_run(&whole, 1, NULL, &want);
    float caches[2][S * H * D];
    for (int i = 0; i < S * H * D; i++) /* what was never written must not matter */
        caches[0][i] = caches[1][i] = NAN;
    struct ml_device *device;
    assert_int_equal(ml_device_new(&device, 2, ML_ISA_COUNT - 1, NULL), 0);
    for (int at = 0; at < T; at += at ? 1 : FIRST) {
        int64_t n = at ? 1 : FIRST, positions[4] = {1, S, H, D};
        int32_t rows[T];
        for (int i = 0; i < n; i++)
            rows[i] = at + i;
        struct ml_arena arena;
        struct ml_graph g;
        ml_arena_init(&arena, 0);
        ml_graph_init(&g, &arena);
        struct ml_tensor *where = ml_leaf(&g, "at", ML_I32, 2, (int64_t[]){1, n}, rows);
        struct ml_tensor *now[2],
            *in[2] = {ml_leaf(&g, "k", ML_F32, 4, (int64_t[]){1, n, H, D}, k + at * H * D),
                      ml_leaf(&g, "v", ML_F32, 4, (int64_t[]){1, n, H, D}, v + at * H * D)};
        for (int i = 0; i < 2; i++) {
            struct ml_tensor *cache = ml_leaf(&g, "cache", ML_F32, 4, positions, caches[i]);
            now[i] = ml_cache_write(&g, cache, in[i], where);
        }
        struct ml_tensor *query =
            ml_leaf(&g, "q", ML_F32, 4, (int64_t[]){1, n, 2 * H, D}, q + at * 2 * H * D);
        struct ml_attention options = {.causal = true, .positions = where};
        struct ml_tensor *out = ml_attention(&g, query, now[0], now[1], &options);
        struct ml_plan *plan;
        struct ml_error err = {0};
        assert_int_equal(ml_plan_new(&plan, &g, &out, 1, device, &err), 0);
        assert_int_equal(ml_run(plan, 0, &err), 0);
        assert_true(check_max_difference(out->data, want.out + at * 2 * H * D, n * 2 * H * D) <
                    1e-6);
        ml_plan_free(plan);
        ml_arena_clear(&arena);
    }
    ml_device_free(device);
    check_result_clear(&want);
    ml_mem_free(q);
    ml_mem_free(k);
    ml_mem_free(v);
}

/* Rows land at their positions, in the cache's own dtype; a position outside it is an error. */
static void cache_write(void **state)
{
    (void)state;
    int32_t at[4] = {2, 0, 1, 1};
    float x[2 * 2 * 3];
    uint16_t cache[2 * 3 * 3] = {0};
    for (int i = 0; i < 12; i++)
        x[i] = (float)i + 0.5f;
    struct ml_arena arena;
    struct ml_graph g;
    struct ml_device *device;
    struct ml_plan *plan;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    ml_graph_init(&g, &arena);
    assert_int_equal(ml_device_new(&device, 2, ML_ISA_COUNT - 1, &err), 0);
    struct ml_tensor *leaf = ml_leaf(&g, "c", ML_F16, 4, (int64_t[]){2, 3, 1, 3}, cache);
    ml_cache_write(&g, leaf, ml_leaf(&g, "x", ML_F32, 4, (int64_t[]){2, 2, 1, 3}, x),
                   ml_leaf(&g, "at", ML_I32, 2, (int64_t[]){2, 2}, at));
    /* Nothing reads the result, and it runs all the same. */
    assert_int_equal(ml_plan_new(&plan, &g, NULL, 0, device, &err), 0);
    assert_int_equal(ml_run(plan, 0, &err), 0);
    const float want[18] = {3.5f, 4.5f, 5.5f, 0,    0,     0,     0.5f, 1.5f, 2.5f,
                            0,    0,    0,    9.5f, 10.5f, 11.5f, 0,    0,    0};
    for (int i = 0; i < 18; i++)
        assert_true(ml_f16_to_f32(cache[i]) == want[i]);
    at[3] = 3;
    assert_int_equal(ml_run(plan, 0, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "position 3"));
    ml_plan_free(plan);
    ml_device_free(device);
    ml_arena_clear(&arena);
}

static void refused(void **state)
{
    (void)state;
    struct attention_case c = {1, 4, 4, 3, 2, 4, true, 0, 0};
    struct masks m;
    struct check check = make_check(&c, &m);
    check_refused(&check, "3 query heads cannot share 2");
    c.hkv = 1;
    check = make_check(&c, &m);
    check.in[2].dim[1] = 5;
    check_refused(&check, "keys and values");
    check = make_check(&c, &m);
    check.in[0].dim[3] = 5;
    check_refused(&check, "features");
    c.masks = LENGTH;
    check = make_check(&c, &m);
    check.in[3].dim[0] = 2;
    check_refused(&check, "kv_length must be [1]");
    c.masks = SEGMENTS;
    c.s = 5;
    check = make_check(&c, &m);
    check_refused(&check, "as many queries as keys");
    c.masks = 0;
    c.scale = -1;
    check = make_check(&c, &m);
    check_refused(&check, "scale");
}

/* Against PyTorch (tools/golden/ops_text.py). */
static void golden(void **state)
{
    (void)state;
    const struct {
        const char *name, *mask;
        struct attention_case c;
    } cases[] = {{"attention", NULL, {.causal = false}},
                 {"attention_causal", NULL, {.causal = true}},
                 {"attention_segments", "segments", {.causal = true, .masks = SEGMENTS}},
                 {"attention_length", "length", {.masks = LENGTH}},
                 {"attention_cached", NULL, {.causal = true}}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct check c = {
            .n = cases[i].mask ? 4 : 3,
            .in = {{"q", ML_F32}, {"k", ML_F32}, {"v", ML_F32}, {cases[i].mask, ML_I32}},
            .build = build_attention,
            .arg = &cases[i].c};
        golden_check_op("ops_text.bin", cases[i].name, &c, 1e-5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),       cmocka_unit_test(grouped),
        cmocka_unit_test(masked),      cmocka_unit_test(tiled),
        cmocka_unit_test(direct),      cmocka_unit_test(unseen),
        cmocka_unit_test(half_cache),  cmocka_unit_test(cached_decoding),
        cmocka_unit_test(cache_write), cmocka_unit_test(refused),
        cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests_name("op_attention", tests, NULL, NULL);
}
