/* Steps that are computed together give what they give one by one. The second way: every node is an
 * output of the plan, so that nothing may be inside another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tensor/fuse.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

enum {
    B = 2,
    T = 20, /* more rows than count as few */
    HEADS = 3,
    D = 8,
    WIDTH = HEADS * D,
    FFN = 75,
    PARAMS = 10
};

/* A block of a transformer without its attention, so that all of it is rules of fuse.c. */
struct block {
    struct ml_arena arena;
    struct ml_graph g;
    struct ml_device *device;
    struct ml_plan *plan;
    struct ml_tensor *param[PARAMS], *out, *outputs[256];
    int count; /* outputs */
    int32_t positions[B * T];
    struct ml_error err;
};

static float *random_numbers(struct block *b, int64_t n, uint64_t seed)
{
    float *x = ml_arena_alloc(&b->arena, (size_t)n * sizeof *x);
    struct ml_rng rng;
    ml_rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = ml_rng_normal(&rng);
    return x;
}

static struct ml_tensor *parameter(struct block *b, int i, int64_t rows, int64_t cols, bool packed)
{
    int64_t n = (rows ? rows : 1) * cols;
    float *data = random_numbers(b, n, 100 + (uint64_t)i);
    for (int64_t j = 0; j < n; j++)
        data[j] = rows ? data[j] / sqrtf((float)cols) : 1 + data[j] / 10;
    int64_t dims[2] = {rows, cols};
    b->param[i] = ml_leaf_param(&b->g, "w", ML_F32, rows ? 2 : 1, rows ? dims : dims + 1, data);
    if (packed && rows) {
        const struct ml_kernels *k = &b->device->kernels;
        void *scratch = ml_arena_alloc(&b->arena, ml_gemm_panels_pack_scratch(k, cols));
        ml_gemm_panels_pack(k, data, ML_F32, rows, cols, scratch);
        b->param[i]->flags |= ML_PANELS;
        b->param[i]->flags &= ~(unsigned)(ML_PARAM | ML_NEEDS_GRAD);
    }
    return b->param[i];
}

static struct ml_tensor *build(struct block *b, struct ml_tensor *h, bool packed)
{
    struct ml_graph *g = &b->g;
    int64_t heads[4] = {B, T, HEADS, D}, flat[3] = {B, T, WIDTH};
    struct ml_rope rope = {0};
    struct ml_tensor *at = ml_leaf(g, "at", ML_I32, 2, (int64_t[]){B, T}, b->positions);
    struct ml_tensor *x = ml_rmsnorm(g, h, parameter(b, 0, 0, WIDTH, packed), 1e-6f);
    struct ml_tensor *q = ml_linear(g, x, parameter(b, 1, WIDTH, WIDTH, packed), NULL, 0);
    struct ml_tensor *k = ml_linear(g, x, parameter(b, 2, WIDTH, WIDTH, packed), NULL, 0);
    struct ml_tensor *v = ml_linear(g, x, parameter(b, 3, WIDTH, WIDTH, packed), NULL, 0);
    q = ml_rmsnorm(g, ml_reshape(g, q, 4, heads), parameter(b, 4, 0, D, packed), 1e-6f);
    q = ml_rope_apply(g, q, at, &rope);
    struct ml_tensor *y = ml_mul(g, ml_reshape(g, q, 3, flat), ml_mul(g, k, v));
    h = ml_add(g, h, ml_linear(g, y, parameter(b, 5, WIDTH, WIDTH, packed), NULL, 0));
    x = ml_rmsnorm(g, h, parameter(b, 6, 0, WIDTH, packed), 1e-6f);
    struct ml_tensor *gate = ml_linear(g, x, parameter(b, 7, FFN, WIDTH, packed), NULL, 0);
    struct ml_tensor *up = ml_linear(g, x, parameter(b, 8, FFN, WIDTH, packed), NULL, 0);
    y = ml_linear(g, ml_swiglu(g, gate, up), parameter(b, 9, WIDTH, FFN, packed), NULL, 0);
    return ml_add(g, h, y);
}

static void begin(struct block *b, enum ml_dtype dtype, bool packed, bool training, bool apart)
{
    memset(b, 0, sizeof *b);
    ml_arena_init(&b->arena, 0);
    ml_graph_init(&b->g, &b->arena);
    b->g.compute = dtype;
    assert_int_equal(ml_device_new(&b->device, 2, ML_ISA_COUNT - 1, &b->err), 0);
    for (int i = 0; i < B * T; i++)
        b->positions[i] = i % T * 3;
    float *numbers = random_numbers(b, B * T * WIDTH, 7);
    struct ml_tensor *h = ml_leaf_param(&b->g, "h", ML_F32, 3, (int64_t[]){B, T, WIDTH}, numbers);
    b->out = ml_cast(&b->g, build(b, ml_cast(&b->g, h, dtype), packed), ML_F32);
    b->outputs[b->count++] = b->out;
    if (training) {
        struct ml_tensor *loss = ml_mean_all(&b->g, ml_mul(&b->g, b->out, b->out));
        ml_grad(&b->g, loss, b->param, PARAMS, b->outputs + b->count);
        b->count += PARAMS;
    }
    int made = b->g.count;
    for (int i = 0; apart && i < made; i++)
        if (!(b->g.nodes[i]->flags & (ML_LEAF | ML_ALIAS)) && b->count < 256)
            b->outputs[b->count++] = b->g.nodes[i];
    if (ml_plan_new(&b->plan, &b->g, b->outputs, b->count, b->device, &b->err) != 0 ||
        ml_run(b->plan, 1, &b->err) != 0)
        fail_msg("%s", b->err.message);
}

static void end(struct block *b)
{
    ml_plan_free(b->plan);
    ml_device_free(b->device);
    ml_arena_clear(&b->arena);
}

static int count_inside(const struct block *b)
{
    int count = 0;
    for (int i = 0; i < b->g.count; i++)
        count += (b->g.nodes[i]->flags & ML_INSIDE) != 0;
    return count;
}

static void compare(const struct ml_tensor *a, const struct ml_tensor *b, double tolerance)
{
    double largest = 0;
    int64_t n = ml_count(a);
    const float *x = a->data, *y = b->data;
    assert_int_equal(n, ml_count(b));
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(y[i]));
    for (int64_t i = 0; i < n; i++)
        assert_float_equal(x[i], y[i], tolerance * largest);
}

static void both_ways(enum ml_dtype dtype, bool packed, bool training, int inside, double tolerance)
{
    struct block together, apart;
    begin(&together, dtype, packed, training, false);
    begin(&apart, dtype, packed, training, true);
    assert_int_equal(count_inside(&together), inside);
    assert_int_equal(count_inside(&apart), 0);
    for (int i = 0; i < 1 + (training ? PARAMS : 0); i++)
        compare(together.outputs[i], apart.outputs[i], tolerance);
    end(&together);
    end(&apart);
}

/* Two products in sums, one norm in rope. */
static void without_packed_weights(void **state)
{
    both_ways(ML_F32, false, false, 3, 1e-6);
    both_ways(ML_BF16, false, false, 3, 0.03);
}

/* With them also both other norms, gate and up. */
static void with_packed_weights(void **state)
{
    both_ways(ML_F32, true, false, 7, 1e-6);
    both_ways(ML_BF16, true, false, 7, 0.03);
}

/* Statistics of the norm are there for its gradient. */
static void with_gradients(void **state)
{
    both_ways(ML_F32, false, true, 3, 1e-5);
    both_ways(ML_BF16, false, true, 3, 0.06);
}

/* What something else reads stays apart: here the product before it is added. */
static void read_twice(void **state)
{
    struct block b;
    memset(&b, 0, sizeof b);
    ml_arena_init(&b.arena, 0);
    ml_graph_init(&b.g, &b.arena);
    assert_int_equal(ml_device_new(&b.device, 1, ML_ISA_COUNT - 1, &b.err), 0);
    float *numbers = random_numbers(&b, B * WIDTH, 3);
    struct ml_tensor *h = ml_leaf(&b.g, "h", ML_F32, 2, (int64_t[]){B, WIDTH}, numbers);
    struct ml_tensor *y = ml_linear(&b.g, h, parameter(&b, 0, WIDTH, WIDTH, false), NULL, 0);
    struct ml_tensor *sum = ml_mul(&b.g, ml_add(&b.g, h, y), y);
    assert_int_equal(ml_plan_new(&b.plan, &b.g, &sum, 1, b.device, &b.err), 0);
    assert_int_equal(ml_run(b.plan, 1, &b.err), 0);
    assert_int_equal(count_inside(&b), 0);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_packed_weights),
        cmocka_unit_test(with_packed_weights),
        cmocka_unit_test(with_gradients),
        cmocka_unit_test(read_twice),
    };
    return cmocka_run_group_tests_name("fuse", tests, NULL, NULL);
}
