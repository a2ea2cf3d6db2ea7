/* Who holds which memory on an accelerator, and who must say what (tensor/mirror.h), on one that is
 * made of host memory and leaves NaN wherever nobody should read. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tensor/mirror.h"
#include "tensor/ops.h"
#include "tensor/plan.h"
#include "test_device.h"

#define N 6

struct fixture {
    struct ml_arena arena;
    struct ml_graph graph;
    struct ml_device *device;
    struct ml_plan *plan;
    float weight[N], input[N];
    struct ml_tensor *w, *x, *y;
};

/* y = (x * w + x) * 2, of a parameter and an input. */
static void open_fixture(struct fixture *f, bool refuse_all)
{
    struct ml_error err = {0};
    memset(f, 0, sizeof *f);
    ml_arena_init(&f->arena, 0);
    ml_graph_init(&f->graph, &f->arena);
    assert_int_equal(ml_device_new(&f->device, 2, ML_ISA_COUNT - 1, &err), 0);
    assert_int_equal(mirror_attach(f->device, refuse_all, &err), 0);
    for (int i = 0; i < N; i++) {
        f->weight[i] = (float)i;
        f->input[i] = 1.0f + (float)i;
    }
    f->w = ml_leaf_param(&f->graph, "w", ML_F32, 1, (int64_t[]){N}, f->weight);
    f->x = ml_leaf(&f->graph, "x", ML_F32, 1, (int64_t[]){N}, f->input);
    struct ml_tensor *product = ml_mul(&f->graph, f->x, f->w);
    f->y = ml_affine(&f->graph, ml_add(&f->graph, product, f->x), 2, 0);
    f->y = ml_reshape(&f->graph, f->y, 2, (int64_t[]){2, N / 2});
    assert_int_equal(ml_plan_new(&f->plan, &f->graph, &f->y, 1, f->device, &err), 0);
}

static void close_fixture(struct fixture *f)
{
    ml_plan_free(f->plan);
    ml_device_free(f->device);
    ml_arena_clear(&f->arena);
}

static void run(struct fixture *f)
{
    struct ml_error err = {0};
    if (ml_run(f->plan, 1, &err) != 0)
        fail_msg("%s", err.message);
}

static void expect(const struct fixture *f, float weight_step)
{
    const float *y = f->y->data;
    for (int i = 0; i < N; i++) {
        float w = (float)i + weight_step;
        assert_float_equal(y[i], 2 * (f->input[i] * w + f->input[i]), 1e-5);
    }
}

static void inputs_are_new_in_every_run(void **state)
{
    struct fixture f;
    open_fixture(&f, false);
    run(&f);
    expect(&f, 0);
    for (int i = 0; i < N; i++)
        f.input[i] += 3;
    run(&f);
    expect(&f, 0);
    close_fixture(&f);
}

static void parameters_stay_until_somebody_says(void **state)
{
    struct fixture f;
    open_fixture(&f, false);
    run(&f);
    struct mirror_counts before = mirror_count(f.device);
    for (int i = 0; i < N; i++)
        f.weight[i] += 1;
    run(&f);
    expect(&f, 0); /* the device's side is what counts */
    ml_mirror_host_changed(f.device, f.weight);
    run(&f);
    expect(&f, 1);
    assert_true(mirror_count(f.device).uploads > before.uploads);
    close_fixture(&f);
}

static void all_refused_is_the_processor(void **state)
{
    struct fixture f;
    open_fixture(&f, true);
    struct ml_plan_stats stats;
    ml_plan_get_stats(f.plan, &stats);
    assert_int_equal(stats.refused_steps, 3);
    assert_true(stats.refused_bytes > 0);
    run(&f);
    expect(&f, 0);
    assert_int_equal(mirror_count(f.device).runs, 0);
    close_fixture(&f);
}

static void kept_outputs_are_fetched(void **state)
{
    struct fixture f;
    struct ml_error err = {0};
    open_fixture(&f, false);
    ml_plan_keep_outputs(f.plan, true);
    run(&f);
    int downloads = mirror_count(f.device).downloads;
    assert_ptr_not_equal(ml_plan_numbers(f.plan, f.y), f.y->data);
    assert_int_equal(ml_plan_fetch(f.plan, f.y, &err), 0);
    assert_int_equal(mirror_count(f.device).downloads, downloads + 1);
    expect(&f, 0);
    close_fixture(&f);
}

static void written_on_the_device(void **state)
{
    struct fixture f;
    struct ml_error err = {0};
    void *memory = NULL;
    float step[N];
    open_fixture(&f, false);
    assert_int_equal(ml_mirror_hold(f.device, f.weight, sizeof f.weight, &err), 0);
    assert_int_equal(ml_mirror_use(f.device, f.weight, &memory, &err), 0);
    for (int i = 0; i < N; i++)
        step[i] = (float)i + 5;
    memcpy(memory, step, sizeof step); /* the mirror's memory is the host's after all */
    ml_mirror_remote_changed(f.device, f.weight);
    run(&f);
    expect(&f, 5);
    assert_float_equal(f.weight[1], 1, 0);
    assert_int_equal(ml_mirror_fetch(f.device, f.weight, &err), 0);
    assert_float_equal(f.weight[1], 6, 0);
    ml_mirror_drop(f.device, f.weight);
    close_fixture(&f);
}

static void one_address_with_two_sizes(void **state)
{
    struct fixture f;
    struct ml_error err = {0};
    void *memory = NULL;
    open_fixture(&f, false);
    assert_int_equal(ml_mirror_hold(f.device, f.input, 2 * sizeof(float), &err), 0);
    assert_int_equal(ml_mirror_use(f.device, f.input, &memory, &err), 0);
    ((float *)memory)[1] = 9;
    ml_mirror_remote_changed(f.device, f.input);
    assert_int_equal(ml_mirror_hold(f.device, f.input, sizeof f.input, &err), 0);
    assert_int_equal(ml_mirror_use(f.device, f.input, &memory, &err), 0);
    assert_float_equal(((float *)memory)[1], 9, 0); /* what the small one had is kept */
    assert_float_equal(((float *)memory)[4], 5, 0);
    ml_mirror_drop(f.device, f.input);
    ml_mirror_drop(f.device, f.input);
    close_fixture(&f);
}

/* A cache that an op writes to stays on the device, for two plans of different size. */
static void caches_stay(void **state)
{
    struct ml_arena arena;
    struct ml_device *device = NULL;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_device_new(&device, 2, ML_ISA_COUNT - 1, &err), 0);
    assert_int_equal(mirror_attach(device, false, &err), 0);
    float cache[2 * 4 * 1 * 2] = {0}, rows[2 * 2] = {1, 2, 3, 4};
    int32_t positions[2] = {1, 3};
    struct ml_plan *plans[2];
    for (int k = 0; k < 2; k++) {
        struct ml_graph *g = ml_arena_calloc(&arena, 1, sizeof *g);
        ml_graph_init(g, &arena);
        int64_t batch = k + 1;
        struct ml_tensor *c = ml_leaf(g, "c", ML_F32, 4, (int64_t[]){batch, 4, 1, 2}, cache);
        struct ml_tensor *x = ml_leaf(g, "x", ML_F32, 4, (int64_t[]){batch, 1, 1, 2}, rows);
        struct ml_tensor *at = ml_leaf(g, "at", ML_I32, 2, (int64_t[]){batch, 1}, positions);
        struct ml_tensor *y = ml_affine(g, ml_cache_write(g, c, x, at), 1, 0);
        assert_int_equal(ml_plan_new(&plans[k], g, &y, k, device, &err), 0);
    }
    assert_int_equal(ml_run(plans[0], 0, &err), 0);
    rows[0] = 7;
    positions[0] = 0;
    assert_int_equal(ml_run(plans[1], 0, &err), 0);
    assert_int_equal(ml_mirror_fetch(device, cache, &err), 0);
    assert_float_equal(cache[0], 7, 0);
    assert_float_equal(cache[2], 1, 0); /* the first plan's row */
    assert_float_equal(cache[8 + 2 * 3], 3, 0);
    ml_plan_free(plans[0]);
    ml_plan_free(plans[1]);
    ml_device_free(device);
    ml_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_are_new_in_every_run),
        cmocka_unit_test(parameters_stay_until_somebody_says),
        cmocka_unit_test(all_refused_is_the_processor),
        cmocka_unit_test(kept_outputs_are_fetched),
        cmocka_unit_test(written_on_the_device),
        cmocka_unit_test(one_address_with_two_sizes),
        cmocka_unit_test(caches_stay),
    };
    return cmocka_run_group_tests_name("residency", tests, NULL, NULL);
}
