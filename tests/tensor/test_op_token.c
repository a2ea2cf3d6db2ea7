#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "golden_op.h"
#include "gradcheck.h"
#include "tensor/ops.h"

static struct ml_tensor *build_embedding(struct ml_graph *g, struct ml_tensor *const *in,
                                         const void *arg)
{
    (void)arg;
    return ml_embedding(g, in[0], in[1]);
}

static struct ml_tensor *build_rope(struct ml_graph *g, struct ml_tensor *const *in,
                                    const void *arg)
{
    return ml_rope_apply(g, in[0], in[1], arg);
}

static void embedding(void **state)
{
    (void)state;
    const int32_t ids[12] = {3, 0, 3, 6, 2, 3, 1, 1, 6, 0, 3, 3};
    struct check c = {.n = 2,
                      .in = {{"ids", ML_I32, 2, {3, 4}, ids}, {"table", ML_F32, 2, {7, 13}}},
                      .build = build_embedding};
    check_all(&c, 0);
    check_all(&c, 2);
    struct check_result r;
    check_run(&c, 3, NULL, &r);
    for (int i = 0; i < 13; i++) {
        assert_true(r.out[i] == r.out[2 * 13 + i]); /* both id 3 */
        assert_true(r.grad[1][4 * 13 + i] == 0);    /* id 4 never occurs */
    }
    check_result_clear(&r);
}

/* Rows wider than a chunk and a table of several blocks. */
static void embedding_large(void **state)
{
    (void)state;
    int32_t ids[600];
    for (int i = 0; i < 600; i++)
        ids[i] = (i * 7919 + i * i) % 301;
    struct check c = {.n = 2,
                      .in = {{"ids", ML_I32, 1, {600}, ids}, {"table", ML_F32, 2, {301, 1030}}},
                      .build = build_embedding,
                      .samples = 4};
    check_all(&c, 2);
}

static void embedding_bad_id(void **state)
{
    (void)state;
    int32_t ids[2] = {3, 7};
    struct check c = {.n = 2,
                      .in = {{"ids", ML_I32, 1, {2}, ids}, {"table", ML_F32, 2, {7, 4}}},
                      .build = build_embedding};
    check_run_fails(&c, ML_ERR_ARG);
    ids[1] = -1;
    check_run_fails(&c, ML_ERR_ARG);
}

struct rope_case {
    int64_t dim[4];
    struct ml_rope rope;
};

static const struct rope_case rope_cases[] = {
    {{2, 3, 2, 8}, {.axes = 1}},
    {{1, 5, 3, 6}, {.interleaved = true}},
    {{3, 4, 1, 10}, {.rotary = 4, .theta = 500}},
    {{2, 2, 2, 9}, {.rotary = 6, .interleaved = true}},
    {{2, 6, 2, 8}, {.axes = 2}},
    {{1, 6, 2, 16}, {.axes = 2, .rotary = 12, .interleaved = true}},
};

/* Positions beyond T, equal ones and large ones. */
static void fill_positions(int32_t *positions, int n)
{
    for (int i = 0; i < n; i++)
        positions[i] = i % 4 == 3 ? 1000 * i + 17 : i % 5;
}

/* The same rotation in double, straight from the paper. */
static void rope_plain(const struct rope_case *c, const float *x, const int32_t *at, double *y)
{
    int64_t heads = c->dim[2], d = c->dim[3];
    int axes = c->rope.axes ? c->rope.axes : 1;
    int64_t rotary = c->rope.rotary ? c->rope.rotary : d, pairs = rotary / 2;
    double theta = c->rope.theta != 0 ? (double)c->rope.theta : 10000.0;
    for (int64_t r = 0; r < c->dim[0] * c->dim[1] * heads; r++) {
        const int32_t *position = at + r / heads * axes;
        for (int64_t i = 0; i < d; i++)
            y[r * d + i] = (double)x[r * d + i];
        for (int64_t i = 0; i < pairs; i++) {
            int64_t per_axis = pairs / axes, axis = i / per_axis, j = i % per_axis;
            double angle = position[axis] * pow(theta, -(double)j / (double)per_axis);
            int64_t a = r * d + (c->rope.interleaved ? 2 * i : i);
            int64_t b = c->rope.interleaved ? a + 1 : a + pairs;
            y[a] = (double)x[a] * cos(angle) - (double)x[b] * sin(angle);
            y[b] = (double)x[a] * sin(angle) + (double)x[b] * cos(angle);
        }
    }
}

static void rope(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rope_cases / sizeof *rope_cases; i++) {
        const struct rope_case *rc = &rope_cases[i];
        const int64_t *d = rc->dim;
        int32_t positions[64];
        float x[256];
        double want[256];
        int count = (int)(d[0] * d[1] * d[2] * d[3]), axes = rc->rope.axes ? rc->rope.axes : 1;
        fill_positions(positions, 64);
        for (int e = 0; e < count; e++)
            x[e] = sinf((float)(e * e));
        struct check c = {.n = 2,
                          .in = {{"x", ML_F32, 4, {d[0], d[1], d[2], d[3]}, x},
                                 {"positions", ML_I32, 1 + axes, {d[0], d[1], 2}, positions}},
                          .build = build_rope,
                          .arg = &rc->rope};
        check_all(&c, 1);
        struct check_result r;
        check_run(&c, 2, NULL, &r);
        rope_plain(rc, x, positions, want);
        for (int e = 0; e < count; e++)
            assert_true(fabs((double)r.out[e] - want[e]) < 2e-6);
        check_result_clear(&r);
    }
}

/* An angle of a million radians is as exact as one of a few. */
static void rope_far(void **state)
{
    (void)state;
    const int32_t positions[4] = {1000000, 999999, -3, 131071};
    float x[4 * 32];
    double want[4 * 32];
    for (int i = 0; i < 4 * 32; i++)
        x[i] = cosf((float)i);
    const struct rope_case rc = {{1, 4, 1, 32}, {.theta = 1e6f}};
    struct check c = {
        .n = 2,
        .in = {{"x", ML_F32, 4, {1, 4, 1, 32}, x}, {"positions", ML_I32, 2, {1, 4}, positions}},
        .build = build_rope,
        .arg = &rc.rope};
    struct check_result r;
    check_run(&c, 1, NULL, &r);
    rope_plain(&rc, x, positions, want);
    for (int i = 0; i < 4 * 32; i++)
        assert_true(fabs((double)r.out[i] - want[i]) < 2e-6);
    check_result_clear(&r);
}

static void refused(void **state)
{
    (void)state;
    const int32_t at[8] = {0};
    struct ml_rope options = {.rotary = 3};
    struct check c = {.n = 2,
                      .in = {{"x", ML_F32, 4, {1, 2, 1, 6}}, {"at", ML_I32, 2, {1, 2}, at}},
                      .build = build_rope,
                      .arg = &options};
    check_refused(&c, "3 of 6");
    options = (struct ml_rope){.rotary = 8};
    check_refused(&c, "8 of 6");
    options = (struct ml_rope){.axes = 2};
    check_refused(&c, "[1,2,2]");
    options = (struct ml_rope){.axes = 3};
    check_refused(&c, "axes");
    options = (struct ml_rope){0};
    c.in[1].dim[1] = 3;
    check_refused(&c, "[1,2]");
    struct check e = {.n = 2,
                      .in = {{"ids", ML_F32, 1, {2}}, {"table", ML_F32, 2, {3, 2}}},
                      .build = build_embedding};
    check_refused(&e, "i32");
}

/* Against PyTorch (tools/golden/ops_text.py). */
static void golden(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct ml_rope rope;
    } cases[] = {{"rope", {.theta = 1e6f}},
                 {"rope_interleaved", {.interleaved = true}},
                 {"rope_partial", {.rotary = 4}},
                 {"rope_2d", {.theta = 100, .interleaved = true, .axes = 2}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct check c = {.n = 2,
                          .in = {{"x", ML_F32}, {"at", ML_I32}},
                          .build = build_rope,
                          .arg = &cases[i].rope};
        golden_check_op("ops_text.bin", cases[i].name, &c, 1e-5);
    }
    struct check c = {.n = 2, .in = {{"ids", ML_I32}, {"table", ML_F32}}, .build = build_embedding};
    golden_check_op("ops_text.bin", "embedding", &c, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedding),        cmocka_unit_test(embedding_large),
        cmocka_unit_test(embedding_bad_id), cmocka_unit_test(rope),
        cmocka_unit_test(rope_far),         cmocka_unit_test(refused),
        cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests_name("op_token", tests, NULL, NULL);
}
