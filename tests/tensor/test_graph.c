/* The engine's frame: sticky errors, planning, in-place, recompute, effects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

struct fixture {
    struct ml_arena arena;
    struct ml_graph g;
    struct ml_device *device;
    struct ml_error err;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    ml_arena_init(&f->arena, 0);
    ml_graph_init(&f->g, &f->arena);
    assert_int_equal(ml_device_new(&f->device, 2, ML_ISA_COUNT - 1, &f->err), 0);
}

static void end(struct fixture *f)
{
    ml_device_free(f->device);
    ml_arena_clear(&f->arena);
}

static struct ml_plan *plan(struct fixture *f, struct ml_tensor **outputs, int n)
{
    struct ml_plan *p = NULL;
    if (ml_plan_new(&p, &f->g, outputs, n, f->device, &f->err) != 0)
        fail_msg("%s", f->err.message);
    return p;
}

static void mistakes_stick(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    float data[12] = {0};
    struct ml_tensor *a = ml_leaf(&f.g, "a", ML_F32, 2, (int64_t[]){3, 4}, data);
    struct ml_tensor *b = ml_leaf(&f.g, "b", ML_F32, 2, (int64_t[]){5, 4}, data);
    struct ml_tensor *bad = ml_matmul(&f.g, a, b, false, false);
    int count = f.g.count;
    struct ml_tensor *later = ml_add(&f.g, bad, a); /* poisoned, reports nothing new */
    assert_ptr_equal(later, bad);
    assert_int_equal(f.g.count, count);
    struct ml_plan *p = NULL;
    assert_int_equal(ml_plan_new(&p, &f.g, &later, 1, f.device, &f.err), ML_ERR_SHAPE);
    assert_null(p);
    assert_non_null(strstr(f.err.message, "matmul"));
    assert_non_null(strstr(f.err.message, "[3,4] f32 and [5,4] f32"));
    end(&f);
}

static void every_row_is_complete(void **state)
{
    (void)state;
    for (int op = 0; op < ML_OP_COUNT; op++) {
        const struct ml_op *row = ml_op_get(op);
        assert_non_null(row);
        assert_non_null(row->name);
        assert_non_null(row->what);
        assert_non_null(row->shape);
        assert_non_null(row->forward);
        assert_true(row->max_src >= row->min_src && row->max_src <= ML_MAX_SRC);
        for (int other = 0; other < op; other++)
            assert_string_not_equal(row->name, ml_op_get(other)->name);
    }
}

/* A long chain lives in a few buffers, and the planned arena meets its lower bound. */
static void memory_is_reused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    float data[1000];
    for (int i = 0; i < 1000; i++)
        data[i] = (float)i / 1000;
    struct ml_tensor *x = ml_leaf(&f.g, "x", ML_F32, 1, (int64_t[]){1000}, data), *y = x;
    for (int i = 0; i < 50; i++)
        y = ml_affine(&f.g, ml_unary(&f.g, ML_UNARY_TANH, y), 1.01f, 0);
    struct ml_plan *p = plan(&f, &y, 1);
    struct ml_plan_stats stats;
    ml_plan_get_stats(p, &stats);
    assert_int_equal(stats.nodes, 100);
    assert_true(stats.arena_bytes <= 2 * 4096);
    assert_int_equal(stats.arena_bytes, stats.live_bytes);
    assert_int_equal(ml_run(p, 0, &f.err), 0);
    float want = data[999];
    for (int i = 0; i < 50; i++)
        want = tanhf(want) * 1.01f;
    assert_float_equal(((float *)y->data)[999], want, 1e-5);
    assert_float_equal(data[999], 0.999f, 0); /* leaves are never overwritten */
    ml_plan_free(p);
    end(&f);
}

/* What nothing reads is not computed; what several read is not overwritten. */
static void dead_nodes_vanish_and_shared_ones_stay(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    float data[4] = {1, 2, 3, 4};
    struct ml_tensor *x = ml_leaf(&f.g, "x", ML_F32, 1, (int64_t[]){4}, data);
    struct ml_tensor *square = ml_mul(&f.g, x, x);
    ml_unary(&f.g, ML_UNARY_EXP, square);
    struct ml_tensor *a = ml_affine(&f.g, square, 2, 0), *b = ml_affine(&f.g, square, 0, 1);
    struct ml_tensor *sum = ml_add(&f.g, ml_add(&f.g, a, b), square);
    struct ml_plan *p = plan(&f, &sum, 1);
    struct ml_plan_stats stats;
    ml_plan_get_stats(p, &stats);
    assert_int_equal(stats.nodes, 5);
    assert_int_equal(ml_run(p, 0, &f.err), 0);
    for (int i = 0; i < 4; i++)
        assert_float_equal(((float *)sum->data)[i], 3 * data[i] * data[i] + 1, 0);
    ml_plan_free(p);
    end(&f);
}

/* A small two-layer net; with recompute the gradients are the same to the bit and less is kept. */
static void net(struct fixture *f, bool blocks, float *w, float *x, struct ml_tensor **grads)
{
    struct ml_graph *g = &f->g;
    g->training = true;
    struct ml_tensor *in = ml_leaf(g, "x", ML_F32, 2, (int64_t[]){32, 16}, x);
    struct ml_tensor *params[4], *h = in;
    for (int layer = 0; layer < 4; layer++) {
        if (blocks)
            ml_block_begin(g);
        params[layer] = ml_leaf_param(g, "w", ML_F32, 2, (int64_t[]){16, 16}, w + 256 * layer);
        struct ml_tensor *y = ml_linear(g, h, params[layer], NULL, ML_ACT_SILU);
        y = ml_unary(g, ML_UNARY_TANH, ml_unary(g, ML_UNARY_SIGMOID, ml_dropout(g, y, 0.25f)));
        h = ml_add(g, h, y);
        if (blocks)
            ml_block_end(g);
    }
    struct ml_tensor *loss = ml_mean_all(g, ml_mul(g, h, h));
    assert_int_equal(ml_grad(g, loss, params, 4, grads), 0);
}

static void recompute_changes_memory_only(void **state)
{
    (void)state;
    float w[1024], x[512], grads[2][1024];
    size_t bytes[2];
    for (int i = 0; i < 1024; i++)
        w[i] = sinf((float)i) * 0.3f;
    for (int i = 0; i < 512; i++)
        x[i] = cosf((float)i);
    for (int blocks = 0; blocks < 2; blocks++) {
        struct fixture f;
        begin(&f);
        struct ml_tensor *g[4];
        net(&f, blocks, w, x, g);
        struct ml_plan *p = plan(&f, g, 4);
        struct ml_plan_stats stats;
        ml_plan_get_stats(p, &stats);
        bytes[blocks] = stats.arena_bytes;
        assert_true((double)stats.arena_bytes <= 1.1 * (double)stats.live_bytes);
        assert_int_equal(ml_run(p, 7, &f.err), 0);
        for (int i = 0; i < 4; i++)
            memcpy(grads[blocks] + 256 * i, g[i]->data, 1024);
        ml_plan_free(p);
        end(&f);
    }
    assert_memory_equal(grads[0], grads[1], sizeof grads[0]);
    assert_true(bytes[1] < bytes[0]);
}

/* A gradient with respect to something that the loss does not depend on is zero. */
static void unused_parameter_gets_zeros(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    float a[3] = {1, 2, 3}, b[2] = {5, 5};
    struct ml_tensor *p[2] = {ml_leaf_param(&f.g, "a", ML_F32, 1, (int64_t[]){3}, a),
                              ml_leaf_param(&f.g, "b", ML_F32, 1, (int64_t[]){2}, b)};
    struct ml_tensor *loss = ml_sum_all(&f.g, ml_mul(&f.g, p[0], p[0])), *g[2];
    assert_int_equal(ml_grad(&f.g, loss, p, 2, g), 0);
    struct ml_plan *plan_ = plan(&f, g, 2);
    assert_int_equal(ml_run(plan_, 0, &f.err), 0);
    for (int i = 0; i < 3; i++)
        assert_float_equal(((float *)g[0]->data)[i], 2 * a[i], 0);
    assert_float_equal(((float *)g[1]->data)[0], 0, 0);
    ml_plan_free(plan_);
    end(&f);
}

/* Every allocation of building, planning and differentiating may fail: one message, nothing left.
 */
static void failed_allocations_are_reported(void **state)
{
    (void)state;
    float w[1024] = {0}, x[512] = {0};
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct fixture f = {0};
        struct ml_tensor *grads[4];
        struct ml_plan *p = NULL;
        ml_mem_fail_at(n);
        ml_arena_init(&f.arena, 0);
        ml_graph_init(&f.g, &f.arena);
        int status = ml_device_new(&f.device, 2, ML_ISA_REF, &f.err);
        if (status == 0) {
            struct ml_tensor *in = ml_leaf(&f.g, "x", ML_F32, 2, (int64_t[]){32, 16}, x);
            struct ml_tensor *params[1] = {
                ml_leaf_param(&f.g, "w", ML_F32, 2, (int64_t[]){16, 16}, w)};
            struct ml_tensor *h = in;
            for (int i = 0; i < 80; i++)
                h = ml_linear(&f.g, h, params[0], NULL, ML_ACT_RELU);
            ml_grad(&f.g, ml_mean_all(&f.g, h), params, 1, grads);
            status = ml_plan_new(&p, &f.g, grads, 1, f.device, &f.err);
        }
        ml_mem_fail_at(0);
        ml_plan_free(p);
        ml_device_free(f.device);
        ml_arena_clear(&f.arena);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        if (status == 0) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_true(f.err.message[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_stick),
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(memory_is_reused),
        cmocka_unit_test(dead_nodes_vanish_and_shared_ones_stay),
        cmocka_unit_test(recompute_changes_memory_only),
        cmocka_unit_test(unused_parameter_gets_zeros),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
