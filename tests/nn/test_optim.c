/* Optimiser steps against PyTorch (tools/golden/optim.py), and what they must not depend on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "hash_values.h"
#include "nn/ema.h"
#include "nn/grads.h"
#include "nn/optim.h"

#define STEPS 5

static const struct {
    const char *name;
    enum ml_param_kind kind;
    int ndim;
    int64_t dim[2];
} shapes[] = {
    {"wide", ML_PARAM_MATRIX, 2, {6, 10}},
    {"tall", ML_PARAM_MATRIX, 2, {12, 5}},
    {"square", ML_PARAM_MATRIX, 2, {8, 8}},
    {"vector", ML_PARAM_VECTOR, 1, {7}},
};
#define SHAPES 4

struct fixture {
    struct ml_arena arena;
    struct ml_params params;
    struct ml_device *device;
    const float *grads[SHAPES];
    char *golden;
};

static void fill(float *to, int64_t n, uint32_t salt, float scale)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = scale * hash_value((uint32_t)i, salt);
}

static double norm_of(const struct fixture *f)
{
    struct ml_error err = {0};
    double norm;
    assert_int_equal(ml_grads_norm(&norm, &f->params, f->grads, f->device, &err), 0);
    return norm;
}

static void open_fixture(struct fixture *f, int threads)
{
    struct ml_error err = {0};
    memset(f, 0, sizeof *f);
    ml_arena_init(&f->arena, 0);
    ml_params_init(&f->params, &f->arena);
    assert_int_equal(ml_device_new(&f->device, threads, ML_ISA_COUNT - 1, &err), 0);
    for (int k = 0; k < SHAPES; k++) {
        struct ml_param_spec spec = {.kind = shapes[k].kind, .ndim = shapes[k].ndim};
        memcpy(spec.dim, shapes[k].dim, sizeof shapes[k].dim);
        ml_param_add(&f->params, &spec, "%s", shapes[k].name);
    }
    assert_int_equal(ml_params_allocate(&f->params, ML_F32, &err), 0);
    for (int k = 0; k < SHAPES; k++) {
        int64_t n = ml_param_count(f->params.items[k]);
        fill(f->params.items[k]->data, n, (uint32_t)k, 1.0f);
        f->grads[k] = ml_arena_calloc(&f->arena, (size_t)n, sizeof(float));
    }
    size_t size;
    assert_int_equal(
        ml_file_read(&f->arena, GOLDEN_DIR "/optim.txt", 1 << 20, &f->golden, &size, &err), 0);
}

static void close_fixture(struct fixture *f)
{
    ml_device_free(f->device);
    ml_arena_clear(&f->arena);
}

static void set_grads(struct fixture *f, int step)
{
    for (int k = 0; k < SHAPES; k++)
        fill((float *)f->grads[k], ml_param_count(f->params.items[k]),
             (uint32_t)(100 + 10 * step + k), 0.5f);
}

static void expect_golden(const struct fixture *f, const char *name, const float *got, int64_t n)
{
    char key[64];
    snprintf(key, sizeof key, "%s ", name);
    const char *at = f->golden;
    while (at && strncmp(at, key, strlen(key)) != 0) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    assert_non_null(at);
    char *cursor = (char *)at + strlen(key);
    for (int64_t i = 0; i < n; i++) {
        float want = strtof(cursor, &cursor);
        if (!(fabsf(got[i] - want) <= 1e-5f))
            fail_msg("%s[%d] is %.9g, PyTorch has %.9g", name, (int)i, (double)got[i],
                     (double)want);
    }
}

static void run_steps(struct fixture *f, const struct ml_optim_options *options)
{
    struct ml_error err = {0};
    struct ml_optim *optim = NULL;
    assert_int_equal(ml_optim_new(&optim, &f->params, options, f->device, &err), 0);
    struct ml_optim_rates rates = {.lr = 0.02f, .matrix_lr = 0.02f, .grad_scale = 1.0f};
    for (int step = 0; step < STEPS; step++) {
        set_grads(f, step);
        assert_int_equal(ml_optim_step(optim, f->grads, &rates, &err), 0);
    }
    assert_int_equal(optim->steps, STEPS);
    ml_optim_free(optim);
}

static void adamw_matches_pytorch(void **state)
{
    struct fixture f;
    open_fixture(&f, 2);
    run_steps(&f, &(struct ml_optim_options){.weight_decay = 0.1f});
    for (int k = 0; k < SHAPES; k++) {
        char name[32];
        snprintf(name, sizeof name, "adamw.%s", shapes[k].name);
        expect_golden(&f, name, f.params.items[k]->data, ml_param_count(f.params.items[k]));
    }
    close_fixture(&f);
}

static void muon_matches_reference(void **state)
{
    for (int scale = 0; scale < 2; scale++) {
        struct fixture f;
        open_fixture(&f, 2);
        run_steps(&f, &(struct ml_optim_options){.kind = ML_OPTIM_MUON,
                                                 .weight_decay = 0.1f,
                                                 .scale = (enum ml_muon_scale)scale});
        for (int k = 0; k < SHAPES; k++) {
            char name[32];
            if (shapes[k].kind == ML_PARAM_VECTOR)
                snprintf(name, sizeof name, "adamw.%s", shapes[k].name);
            else
                snprintf(name, sizeof name, "muon.%s.%s", scale ? "shape" : "match",
                         shapes[k].name);
            expect_golden(&f, name, f.params.items[k]->data, ml_param_count(f.params.items[k]));
        }
        close_fixture(&f);
    }
}

static void muon_in_bf16_stays_close(void **state)
{
    struct fixture a, b;
    open_fixture(&a, 1);
    open_fixture(&b, 1);
    run_steps(&a, &(struct ml_optim_options){.kind = ML_OPTIM_MUON});
    run_steps(&b, &(struct ml_optim_options){.kind = ML_OPTIM_MUON, .bf16 = true});
    for (int k = 0; k < SHAPES; k++)
        for (int64_t i = 0; i < ml_param_count(a.params.items[k]); i++)
            assert_true(fabsf(((float *)a.params.items[k]->data)[i] -
                              ((float *)b.params.items[k]->data)[i]) < 5e-3f);
    close_fixture(&a);
    close_fixture(&b);
}

/* The same bits from one thread and from three. */
static void threads_change_nothing(void **state)
{
    struct fixture a, b;
    open_fixture(&a, 1);
    open_fixture(&b, 3);
    struct ml_optim_options options = {.kind = ML_OPTIM_MUON, .weight_decay = 0.1f};
    run_steps(&a, &options);
    run_steps(&b, &options);
    for (int k = 0; k < SHAPES; k++)
        assert_memory_equal(a.params.items[k]->data, b.params.items[k]->data,
                            (size_t)ml_param_count(a.params.items[k]) * sizeof(float));
    assert_true(norm_of(&a) == norm_of(&b));
    close_fixture(&a);
    close_fixture(&b);
}

static void norm_and_accumulation(void **state)
{
    struct fixture f;
    open_fixture(&f, 2);
    set_grads(&f, 0);
    double sum = 0;
    float *total[SHAPES];
    for (int k = 0; k < SHAPES; k++) {
        int64_t n = ml_param_count(f.params.items[k]);
        for (int64_t i = 0; i < n; i++)
            sum += (double)f.grads[k][i] * (double)f.grads[k][i];
        total[k] = ml_arena_alloc(&f.arena, (size_t)n * sizeof(float));
    }
    struct ml_error err = {0};
    assert_true(fabs(norm_of(&f) - sqrt(sum)) < 1e-6);
    assert_int_equal(ml_grads_accumulate(&f.params, total, f.grads, 2.0f, true, f.device, &err), 0);
    assert_int_equal(ml_grads_accumulate(&f.params, total, f.grads, 3.0f, false, f.device, &err),
                     0);
    for (int k = 0; k < SHAPES; k++)
        for (int64_t i = 0; i < ml_param_count(f.params.items[k]); i++)
            assert_true(fabsf(total[k][i] - 5 * f.grads[k][i]) < 1e-6f);
    ((float *)f.grads[1])[3] = NAN;
    assert_false(isfinite(norm_of(&f)));
    close_fixture(&f);
}

static void average_matches_formula(void **state)
{
    struct fixture f;
    struct ml_error err = {0};
    open_fixture(&f, 2);
    struct ml_ema *ema = NULL;
    assert_int_equal(ml_ema_new(&ema, &f.params, 0.9, f.device, &err), 0);
    for (int step = 0; step < STEPS; step++) {
        float *w = f.params.items[0]->data;
        for (int i = 0; i < 60; i++)
            w[i] += 0.1f * hash_value((uint32_t)i, (uint32_t)(100 + 10 * step));
        assert_int_equal(ml_ema_update(ema, &err), 0);
    }
    expect_golden(&f, "ema", ema->state.items[0].data, 60);
    assert_string_equal(ema->state.items[0].name, "ema.wide");
    ml_ema_free(ema);
    close_fixture(&f);
}

static void every_failed_allocation_is_reported(void **state)
{
    struct fixture f;
    open_fixture(&f, 1);
    struct ml_optim_options options = {.kind = ML_OPTIM_MUON};
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_error err = {0};
        struct ml_optim *optim = NULL;
        ml_mem_fail_at(n);
        int status = ml_optim_new(&optim, &f.params, &options, f.device, &err);
        ml_mem_fail_at(0);
        if (status == 0) {
            ml_optim_free(optim);
            break;
        }
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_null(optim);
        assert_true(err.message[0] != 0);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
    close_fixture(&f);
}

static void untrainable_parameters_are_refused(void **state)
{
    struct ml_error err = {0};
    struct fixture f;
    open_fixture(&f, 1);
    struct ml_param_spec spec = {.kind = ML_PARAM_VECTOR, .ndim = 1, .dim = {3}};
    ml_param_add(&f.params, &spec, "late");
    struct ml_optim *optim = NULL;
    assert_int_equal(ml_optim_new(&optim, &f.params, &(struct ml_optim_options){0}, f.device, &err),
                     ML_ERR_STATE);
    assert_non_null(strstr(err.message, "late"));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_matches_pytorch),
        cmocka_unit_test(muon_matches_reference),
        cmocka_unit_test(muon_in_bf16_stays_close),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(norm_and_accumulation),
        cmocka_unit_test(average_matches_formula),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(untrainable_parameters_are_refused),
    };
    return cmocka_run_group_tests_name("optim", tests, NULL, NULL);
}
