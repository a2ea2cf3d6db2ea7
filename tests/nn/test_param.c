#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nn/param.h"

static const struct ml_param_spec matrix = {
    .kind = ML_PARAM_MATRIX, .init = ML_INIT_NORMAL, .init_std = 0.5f, .ndim = 2, .dim = {40, 50}};
static const struct ml_param_spec vector = {
    .kind = ML_PARAM_VECTOR, .init = ML_INIT_ONE, .ndim = 1, .dim = {3}};

static void registered_once_by_name(void **state)
{
    struct ml_arena arena;
    struct ml_params params;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    ml_params_init(&params, &arena);
    struct ml_param *a = ml_param_add(&params, &matrix, "layer.%d.weight", 7);
    struct ml_param *b = ml_param_add(&params, &vector, "norm");
    assert_string_equal(a->name, "layer.7.weight");
    assert_ptr_equal(ml_param_find(&params, "norm"), b);
    assert_null(ml_param_find(&params, "layer.8.weight"));
    assert_int_equal(ml_params_count(&params), 2003);
    assert_int_equal(ml_params_allocate(&params, ML_F32, &err), 0);
    ml_param_add(&params, &vector, "norm");
    assert_int_equal(ml_params_allocate(&params, ML_F32, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "norm is registered twice"));
    ml_arena_clear(&arena);
}

static void numbers_depend_on_name_and_seed_alone(void **state)
{
    struct ml_arena arena;
    struct ml_params one, two;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    ml_params_init(&one, &arena);
    ml_params_init(&two, &arena);
    struct ml_param *a = ml_param_add(&one, &matrix, "a");
    ml_param_add(&two, &vector, "before");
    struct ml_param *b = ml_param_add(&two, &matrix, "a");
    struct ml_param *c = ml_param_add(&two, &matrix, "c");
    assert_int_equal(ml_params_allocate(&one, ML_F32, &err), 0);
    assert_int_equal(ml_params_allocate(&two, ML_F32, &err), 0);
    ml_params_randomize(&one, 5);
    ml_params_randomize(&two, 5);
    assert_memory_equal(a->data, b->data, 2000 * sizeof(float));
    assert_memory_not_equal(a->data, c->data, 2000 * sizeof(float));
    double sum = 0, squares = 0;
    for (int i = 0; i < 2000; i++) {
        double x = (double)((float *)a->data)[i];
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / 2000) < 0.05 && fabs(sqrt(squares / 2000) - 0.5) < 0.05);
    assert_true(((float *)two.items[0]->data)[1] == 1.0f);
    ml_params_randomize(&one, 6);
    assert_memory_not_equal(a->data, b->data, 2000 * sizeof(float));
    ml_arena_clear(&arena);
}

static void one_leaf_a_graph(void **state)
{
    struct ml_arena arena;
    struct ml_params params;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    ml_params_init(&params, &arena);
    struct ml_param *a = ml_param_add(&params, &matrix, "a");
    struct ml_param *b = ml_param_add(&params, &vector, "b");
    assert_int_equal(ml_params_allocate(&params, ML_F32, &err), 0);
    struct ml_graph g, h;
    ml_graph_init(&g, &arena);
    ml_graph_init(&h, &arena);
    struct ml_tensor *first = ml_use(&g, a);
    ml_use(&g, b);
    assert_ptr_equal(ml_use(&g, a), first);
    struct ml_tensor *other = ml_use(&h, a);
    assert_ptr_not_equal(other, first);
    assert_ptr_equal(ml_use(&g, a), first); /* back in the first graph */
    assert_ptr_equal(ml_use(&h, a), other);
    ml_graph_init(&h, &arena); /* rebuilt at the same address */
    assert_ptr_not_equal(ml_use(&h, a), other);
    assert_int_equal(h.count, 1);
    ml_arena_clear(&arena);
}

static void bad_shapes_stick(void **state)
{
    struct ml_arena arena;
    struct ml_params params;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    ml_params_init(&params, &arena);
    struct ml_param_spec bad = matrix;
    bad.dim[1] = 0;
    assert_non_null(ml_param_add(&params, &bad, "empty"));
    assert_non_null(ml_param_add(&params, &matrix, "fine"));
    assert_int_equal(ml_params_allocate(&params, ML_F32, &err), ML_ERR_SHAPE);
    assert_non_null(strstr(err.message, "empty"));
    ml_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registered_once_by_name),
        cmocka_unit_test(numbers_depend_on_name_and_seed_alone),
        cmocka_unit_test(one_leaf_a_graph),
        cmocka_unit_test(bad_shapes_stick),
    };
    return cmocka_run_group_tests_name("param", tests, NULL, NULL);
}
