/* Ops that move numbers, against index arithmetic; their gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"
#include "golden_media.h"
#include "gradcheck.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

/* What a build is told: any of the ops of this file. */
struct move {
    enum { PERMUTE, BROADCAST, CONCAT, SLICE, PAD } what;
    int order[ML_MAX_DIMS];
    int axis, ndim, parts;
    int64_t start, length; /* slice; pad: before, after */
    enum ml_pad_mode mode;
    int64_t dim[ML_MAX_DIMS];
};

static struct ml_tensor *build_move(struct ml_graph *g, struct ml_tensor *const *in,
                                    const void *arg)
{
    const struct move *m = arg;
    switch (m->what) {
    case PERMUTE:
        return ml_permute(g, in[0], m->order);
    case BROADCAST:
        return ml_broadcast(g, in[0], m->ndim, m->dim);
    case CONCAT:
        return ml_concat(g, in, m->parts, m->axis);
    case SLICE:
        return ml_slice(g, in[0], m->axis, m->start, m->length);
    default:
        return ml_pad(g, in[0], m->axis, m->start, m->length, m->mode);
    }
}

/* The gradient in in[0] of sum(move(in[0]) * in[1]): a function of in[1] alone. */
static struct ml_tensor *build_gradient(struct ml_graph *g, struct ml_tensor *const *in,
                                        const void *arg)
{
    struct ml_tensor *loss = ml_sum_all(g, ml_mul(g, build_move(g, in, arg), in[1])), *grad;
    struct ml_tensor *wrt = in[0];
    ml_grad(g, loss, &wrt, 1, &grad);
    return grad;
}

static struct check_input input(int ndim, const int64_t *dim)
{
    struct check_input in = {.name = "x", .ndim = ndim};
    for (int i = 0; i < ndim; i++)
        in.dim[i] = dim[i];
    return in;
}

static int64_t count_of(int ndim, const int64_t *dim)
{
    int64_t count = 1;
    for (int i = 0; i < ndim; i++)
        count *= dim[i];
    return count;
}

/* Element `index` of a tensor of these dims, as coordinates. */
static void coordinates(int64_t index, int ndim, const int64_t *dim, int64_t *at)
{
    for (int i = ndim - 1; i >= 0; i--) {
        at[i] = index % dim[i];
        index /= dim[i];
    }
}

static int64_t index_of(const int64_t *at, int ndim, const int64_t *dim)
{
    int64_t index = 0;
    for (int i = 0; i < ndim; i++)
        index = index * dim[i] + at[i];
    return index;
}

/* x = 0, 1, 2, ...: the result names where each number came from. 2^24 numbers at most. */
static float *numbers(int64_t n)
{
    float *x = ml_mem_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i + 1);
    return x;
}

static void expect_permute(int ndim, const int64_t *dim, const int *order)
{
    struct move m = {.what = PERMUTE};
    struct check c = {.n = 1, .in = {input(ndim, dim)}, .build = build_move, .arg = &m};
    int64_t n = count_of(ndim, dim), out_dim[ML_MAX_DIMS], at[ML_MAX_DIMS], from[ML_MAX_DIMS];
    float *x = numbers(n);
    struct check_result r;
    memcpy(m.order, order, (size_t)ndim * sizeof *order);
    c.in[0].data = x;
    check_run(&c, 2, NULL, &r);
    assert_int_equal(r.count, n);
    for (int i = 0; i < ndim; i++)
        out_dim[i] = dim[order[i]];
    for (int64_t e = 0; e < n; e++) {
        coordinates(e, ndim, out_dim, at);
        for (int i = 0; i < ndim; i++)
            from[order[i]] = at[i];
        assert_float_equal(r.out[e], x[index_of(from, ndim, dim)], 0);
    }
    check_result_clear(&r);
    ml_mem_free(x);
}

static void every_permutation(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        int order[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
        if ((1 << order[0] | 1 << order[1] | 1 << order[2] | 1 << order[3]) != 15)
            continue;
        int64_t dim[4] = {2, 3, 4, 5};
        expect_permute(4, dim, order);
        struct move m = {.what = PERMUTE};
        memcpy(m.order, order, sizeof order);
        struct check c = {
            .n = 1, .in = {input(4, dim)}, .build = build_move, .arg = &m, .samples = 7};
        check_gradient(&c);
    }
}

/* Beyond one tile, one strip, one task, with tails; with axes of length 1. */
static void large_permutations(void **state)
{
    (void)state;
    expect_permute(2, (int64_t[]){70, 1100}, (int[]){1, 0});
    expect_permute(2, (int64_t[]){2100, 3}, (int[]){1, 0});
    expect_permute(3, (int64_t[]){3, 65, 33}, (int[]){2, 1, 0});
    expect_permute(3, (int64_t[]){3, 65, 33}, (int[]){0, 2, 1});
    expect_permute(4, (int64_t[]){2, 50, 3, 64}, (int[]){0, 2, 1, 3});
    expect_permute(5, (int64_t[]){2, 1, 40, 1, 9}, (int[]){3, 4, 0, 1, 2});
    expect_permute(6, (int64_t[]){2, 3, 2, 3, 2, 3}, (int[]){5, 1, 3, 0, 4, 2});
    struct move m = {.what = PERMUTE, .order = {2, 0, 1}};
    struct check c = {
        .n = 1, .in = {input(3, (int64_t[]){9, 70, 130})}, .build = build_move, .arg = &m};
    check_threads(&c);
    check_bf16(&c, 1, 0.01);
}

static void broadcasts(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        int64_t x[4], out[4];
    } cases[] = {
        {1, 1, {1}, {7}},
        {1, 2, {5}, {3, 5}},
        {2, 2, {3, 1}, {3, 5}},
        {4, 4, {2, 1, 3, 1}, {2, 4, 3, 5}},
        {4, 4, {1, 3, 1, 5}, {2, 3, 4, 5}},
        {3, 4, {3, 1, 1}, {2, 3, 4, 5}},
        {0, 3, {0}, {2, 3, 4}},
        {1, 2, {1}, {2, 50000}},
        {2, 3, {1, 40000}, {2, 3, 40000}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct move m = {.what = BROADCAST, .ndim = cases[i].to};
        memcpy(m.dim, cases[i].out, sizeof cases[i].out);
        struct check c = {
            .n = 1, .in = {input(cases[i].from, cases[i].x)}, .build = build_move, .arg = &m};
        int64_t n = count_of(cases[i].to, cases[i].out), at[ML_MAX_DIMS];
        float *x = numbers(count_of(cases[i].from, cases[i].x));
        struct check_result r;
        c.in[0].data = x;
        check_run(&c, 2, NULL, &r);
        assert_int_equal(r.count, n);
        for (int64_t e = 0; e < n; e++) {
            coordinates(e, cases[i].to, cases[i].out, at);
            int64_t *tail = at + cases[i].to - cases[i].from;
            for (int d = 0; d < cases[i].from; d++)
                tail[d] = cases[i].x[d] == 1 ? 0 : tail[d];
            assert_float_equal(r.out[e], x[index_of(tail, cases[i].from, cases[i].x)], 0);
        }
        check_result_clear(&r);
        ml_mem_free(x);
        c.in[0].data = NULL;
        check_threads(&c);
        if (n < 1000) {
            check_gradient(&c);
            check_bf16(&c, 1, 0.04);
        }
    }
}

static void concats(void **state)
{
    (void)state;
    for (int axis = 0; axis < 3; axis++) {
        struct move m = {.what = CONCAT, .axis = axis, .parts = 3};
        struct check c = {.n = 3, .build = build_move, .arg = &m};
        int64_t dim[3] = {2, 3, 4}, start = 0, at[3];
        float *x[3];
        for (int p = 0; p < 3; p++) {
            c.in[p] = input(3, dim);
            c.in[p].dim[axis] = p + 1;
            x[p] = numbers(count_of(3, c.in[p].dim));
            c.in[p].data = x[p];
        }
        struct check_result r;
        check_run(&c, 2, NULL, &r);
        dim[axis] = 6;
        assert_int_equal(r.count, count_of(3, dim));
        for (int p = 0; p < 3; start += p + 1, p++)
            for (int64_t e = 0; e < count_of(3, c.in[p].dim); e++) {
                coordinates(e, 3, c.in[p].dim, at);
                at[axis] += start;
                assert_float_equal(r.out[index_of(at, 3, dim)], x[p][e], 0);
            }
        check_result_clear(&r);
        for (int p = 0; p < 3; p++) {
            ml_mem_free(x[p]);
            c.in[p].data = NULL;
        }
        check_all(&c, 7);
    }
    struct move m = {.what = CONCAT, .axis = 0, .parts = 2};
    struct check c = {.n = 2, .build = build_move, .arg = &m};
    c.in[0] = input(1, (int64_t[]){100001});
    c.in[1] = input(1, (int64_t[]){40000});
    check_threads(&c);
}

static void slices(void **state)
{
    (void)state;
    int64_t dim[3] = {4, 5, 6}, at[3];
    for (int axis = 0; axis < 3; axis++) {
        struct move m = {.what = SLICE, .axis = axis, .start = 1, .length = 3};
        struct check c = {.n = 1, .in = {input(3, dim)}, .build = build_move, .arg = &m};
        float *x = numbers(count_of(3, dim));
        int64_t out_dim[3] = {4, 5, 6};
        out_dim[axis] = 3;
        struct check_result r;
        c.in[0].data = x;
        check_run(&c, 2, NULL, &r);
        assert_int_equal(r.count, count_of(3, out_dim));
        for (int64_t e = 0; e < r.count; e++) {
            coordinates(e, 3, out_dim, at);
            at[axis] += 1;
            assert_float_equal(r.out[e], x[index_of(at, 3, dim)], 0);
        }
        check_result_clear(&r);
        ml_mem_free(x);
        c.in[0].data = NULL;
        check_all(&c, 1);
        m.start = 2;
        m.length = dim[axis] - 2; /* to the very end */
        check_gradient(&c);
    }
}

static int64_t pad_source(int64_t i, int64_t n, enum ml_pad_mode mode)
{
    if (i >= 0 && i < n)
        return i;
    if (mode == ML_PAD_ZERO)
        return -1;
    if (mode == ML_PAD_REPLICATE)
        return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * n - 2 - i;
}

static void pads(void **state)
{
    (void)state;
    static const int64_t amounts[][2] = {{1, 0}, {0, 2}, {3, 3}, {2, 1}};
    int64_t dim[3] = {4, 5, 6}, at[3];
    for (int which = 0; which < 3 * 3 * 4; which++) {
        struct move m = {.what = PAD,
                         .axis = which % 3,
                         .mode = (enum ml_pad_mode)(which / 3 % 3),
                         .start = amounts[which / 9][0],
                         .length = amounts[which / 9][1]};
        struct check c = {.n = 1, .in = {input(3, dim)}, .build = build_move, .arg = &m};
        float *x = numbers(count_of(3, dim));
        int64_t out_dim[3] = {4, 5, 6};
        out_dim[m.axis] += m.start + m.length;
        struct check_result r;
        c.in[0].data = x;
        check_run(&c, 2, NULL, &r);
        assert_int_equal(r.count, count_of(3, out_dim));
        for (int64_t e = 0; e < r.count; e++) {
            coordinates(e, 3, out_dim, at);
            at[m.axis] = pad_source(at[m.axis] - m.start, dim[m.axis], m.mode);
            float want = at[m.axis] < 0 ? 0 : x[index_of(at, 3, dim)];
            assert_float_equal(r.out[e], want, 0);
        }
        check_result_clear(&r);
        ml_mem_free(x);
        c.in[0].data = NULL;
        check_all(&c, 1);
        c.n = 2; /* the gradient's gradient */
        c.in[1] = input(3, out_dim);
        c.build = build_gradient;
        check_gradient(&c);
    }
}

/* A mirrored edge of an edge: amounts as large as they may be, one number repeated, long rows. */
static void pads_at_their_limits(void **state)
{
    (void)state;
    struct move m = {.what = PAD, .axis = 1, .mode = ML_PAD_REFLECT, .start = 3, .length = 3};
    struct check c = {.n = 1, .in = {input(2, (int64_t[]){2, 4})}, .build = build_move, .arg = &m};
    check_all(&c, 1);
    m.mode = ML_PAD_REPLICATE;
    c.in[0] = input(2, (int64_t[]){3, 1});
    check_all(&c, 1);
    m = (struct move){.what = PAD, .axis = 0, .mode = ML_PAD_REFLECT, .start = 2, .length = 1};
    c.in[0] = input(2, (int64_t[]){4, 2500});
    check_threads(&c);
    check_bf16(&c, 1, 0.02);
    m.axis = 1;
    check_threads(&c);
}

/* Any 2 or 4 bytes travel unchanged: token ids, NaN payloads, halves. */
static void run_raw(enum ml_dtype dtype, const void *data, const struct move *m, void *out,
                    size_t bytes)
{
    struct ml_arena arena;
    struct ml_graph g;
    struct ml_device *device = NULL;
    struct ml_plan *plan = NULL;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    ml_graph_init(&g, &arena);
    struct ml_tensor *x[2];
    x[0] = x[1] = ml_leaf(&g, "x", dtype, 2, (int64_t[]){3, 4}, (void *)(uintptr_t)data);
    struct ml_tensor *y = build_move(&g, x, m);
    assert_int_equal(ml_device_new(&device, 2, ML_ISA_COUNT - 1, &err), 0);
    if (ml_plan_new(&plan, &g, &y, 1, device, &err) != 0 || ml_run(plan, 0, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(ml_bytes(y), bytes);
    memcpy(out, y->data, bytes);
    ml_plan_free(plan);
    ml_device_free(device);
    ml_arena_clear(&arena);
}

static void bits_travel_unchanged(void **state)
{
    (void)state;
    uint32_t x[12], y[24];
    for (uint32_t i = 0; i < 12; i++)
        x[i] = 0x7f800001u + i * 0x10000003u; /* signalling NaNs among them */
    run_raw(ML_I32, x, &(struct move){.what = PERMUTE, .order = {1, 0}}, y, 48);
    for (int i = 0; i < 12; i++)
        assert_int_equal(y[i], x[i % 3 * 4 + i / 3]);
    run_raw(ML_F32, x, &(struct move){.what = CONCAT, .axis = 0, .parts = 2}, y, 96);
    assert_memory_equal(y, x, 48);
    assert_memory_equal(y + 12, x, 48);
    run_raw(ML_I32, x, &(struct move){.what = SLICE, .axis = 0, .start = 1, .length = 1}, y, 16);
    assert_memory_equal(y, x + 4, 16);
    struct move pad = {.what = PAD, .axis = 0, .start = 1, .length = 1, .mode = ML_PAD_REPLICATE};
    run_raw(ML_I32, x, &pad, y, 80);
    assert_memory_equal(y, x, 16);
    assert_memory_equal(y + 4, x, 48);
    assert_memory_equal(y + 16, x + 8, 16);
    uint16_t h[24];
    struct move wide = {.what = BROADCAST, .ndim = 3, .dim = {2, 3, 4}};
    run_raw(ML_F16, x, &wide, h, 48);
    assert_memory_equal(h, x, 24);
    assert_memory_equal(h + 12, x, 24);
    run_raw(ML_BF16, x, &(struct move){.what = PERMUTE, .order = {1, 0}}, h, 24);
    for (int i = 0; i < 12; i++)
        assert_int_equal(h[i], ((uint16_t *)x)[i % 3 * 4 + i / 3]);
}

static void refuse(struct move m, int parts, const int64_t *second, const char *why)
{
    struct check c = {.n = parts, .build = build_move, .arg = &m};
    c.in[0] = input(2, (int64_t[]){3, 4});
    c.in[1] = input(2, second);
    m.parts = parts;
    check_refused(&c, why);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    int64_t other[2] = {2, 5};
    refuse((struct move){.what = PERMUTE, .order = {0, 0}}, 1, other, "permute: axis 0");
    refuse((struct move){.what = PERMUTE, .order = {0, 7}}, 1, other, "permute: axis 7");
    refuse((struct move){.what = BROADCAST, .ndim = 2, .dim = {3, 5}}, 1, other,
           "broadcast: dimension 1 has length 4, wanted is 5");
    refuse((struct move){.what = BROADCAST, .ndim = 1, .dim = {4}}, 1, other, "broadcast");
    refuse((struct move){.what = CONCAT, .axis = 0}, 2, other, "[3,4] f32 and [2,5] f32");
    refuse((struct move){.what = CONCAT, .axis = 2}, 2, other, "concat: axis 2");
    refuse((struct move){.what = SLICE, .axis = 1, .start = 2, .length = 3}, 1, other, "slice: 3");
    refuse((struct move){.what = SLICE, .axis = 1, .start = -1, .length = 1}, 1, other, "slice");
    refuse((struct move){.what = SLICE, .axis = -1, .start = 0, .length = 1}, 1, other, "slice");
    refuse((struct move){.what = PAD, .axis = 1, .start = 4, .mode = ML_PAD_REFLECT}, 1, other,
           "too short to mirror 4");
    refuse((struct move){.what = PAD, .axis = 1, .start = -1}, 1, other, "pad");
    refuse((struct move){.what = PAD, .axis = 2, .start = 1}, 1, other, "pad: axis 2");
}

static struct ml_tensor *build_transpose(struct ml_graph *g, struct ml_tensor *const *in,
                                         const void *arg)
{
    const int *axes = arg;
    return ml_transpose(g, in[0], axes[0], axes[1]);
}

static void transposes(void **state)
{
    (void)state;
    int axes[2] = {0, 2};
    struct check c = {
        .n = 1, .in = {input(3, (int64_t[]){3, 4, 5})}, .build = build_transpose, .arg = axes};
    check_all(&c, 1);
    axes[1] = 3;
    check_refused(&c, "permute: axis 3");
    axes[0] = -1;
    check_refused(&c, "permute: axis -1");
}

static void as_pytorch(void **state)
{
    (void)state;
    struct move m = {.what = PERMUTE, .order = {2, 0, 3, 1}};
    expect_golden("permute", "x", build_move, &m);
    m = (struct move){.what = CONCAT, .axis = 1, .parts = 2};
    expect_golden("concat", "xy", build_move, &m);
    m = (struct move){.what = SLICE, .axis = 2, .start = 1, .length = 3};
    expect_golden("slice", "x", build_move, &m);
    m = (struct move){.what = BROADCAST, .ndim = 4, .dim = {2, 3, 5, 4}};
    expect_golden("broadcast", "x", build_move, &m);
    m = (struct move){.what = PAD, .axis = 2, .start = 2, .length = 1};
    expect_golden("pad_zero", "x", build_move, &m);
    m = (struct move){.what = PAD, .axis = 2, .start = 2, .length = 4, .mode = ML_PAD_REFLECT};
    expect_golden("pad_reflect", "x", build_move, &m);
    m = (struct move){.what = PAD, .axis = 2, .start = 3, .length = 2, .mode = ML_PAD_REPLICATE};
    expect_golden("pad_replicate", "x", build_move, &m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_permutation),
        cmocka_unit_test(large_permutations),
        cmocka_unit_test(broadcasts),
        cmocka_unit_test(concats),
        cmocka_unit_test(slices),
        cmocka_unit_test(pads),
        cmocka_unit_test(pads_at_their_limits),
        cmocka_unit_test(bits_travel_unchanged),
        cmocka_unit_test(as_pytorch),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(transposes),
    };
    return cmocka_run_group_tests_name("op_shape", tests, NULL, NULL);
}
