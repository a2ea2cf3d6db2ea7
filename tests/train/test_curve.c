/* 200 steps of a small model against the same in PyTorch f32 (tools/golden/curve.py): the whole
 * path from text over batches, gradients, clipping and schedule to the optimiser. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../nn/hash_values.h"
#include "train/train_impl.h"

#define STEPS 200

static const char recipe_text[] =
    "data: {packing: stream}\n"
    "tokenizer: {vocab: 256, special: []}\n"
    "model: {layers: 2, width: 64, heads: 4, kv_heads: 2, head_dim: 16, ffn: 192, context: 32}\n"
    "train: {steps: 200, batch: 8, lr: 1e-3, warmup: 20, min_lr: 0.1, weight_decay: 0.1, clip: 1,\n"
    "        order: sequential, precision: f32}\n";

/* Matrices uniform in 0.05 [-1, 1), salted with their place in the list; norms 1. */
static void set_weights(struct ml_params *params)
{
    for (int i = 0; i < params->count; i++) {
        struct ml_param *param = params->items[i];
        float *data = param->data;
        for (int64_t k = 0; k < ml_param_count(param); k++)
            data[k] = param->ndim == 1 ? 1.0f : 0.05f * hash_value((uint32_t)k, (uint32_t)i);
    }
}

static void read_golden(struct ml_arena *arena, double *out)
{
    char *text;
    size_t size;
    struct ml_error err = {0};
    if (ml_file_read(arena, GOLDEN_DIR "/curve.txt", 1 << 20, &text, &size, &err) < 0)
        fail_msg("%s", err.message);
    for (int i = 0; i < STEPS; i++)
        out[i] = strtod(text, &text);
}

/* Returns the largest relative difference from PyTorch's losses. */
static double run(const char *override, double *mean)
{
    struct ml_arena arena;
    struct ml_recipe recipe;
    struct ml_error err = {0};
    struct trainer t;
    char folder[] = "/tmp/ml-curve-XXXXXX";
    char *text;
    size_t size;
    static double golden[STEPS];
    ml_arena_init(&arena, 0);
    assert_non_null(mkdtemp(folder));
    read_golden(&arena, golden);
    assert_int_equal(ml_file_read(&arena, SOURCE_ROOT "/LICENSE", 1 << 20, &text, &size, &err), 0);
    assert_int_equal(
        ml_recipe_parse(&recipe, &arena, recipe_text, sizeof recipe_text - 1, "curve.yaml", &err),
        0);
    assert_int_equal(ml_recipe_set(&recipe, &arena, override, &err), 0);
    struct ml_train_text document = {text, size, NULL, 0};
    struct ml_train_job job = {
        .recipe = &recipe, .train = &document, .train_count = 1, .folder = folder};
    assert_int_equal(ml_device_new(&job.device, 0, ML_ISA_COUNT - 1, &err), 0);
    if (trainer_open(&t, &job, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(t.model.config.vocab, 256);
    set_weights(&t.model.params);
    double worst = 0;
    *mean = 0;
    for (int step = 0; step < STEPS; step++) {
        if (trainer_step(&t, &err) < 0)
            fail_msg("%s", err.message);
        double difference = fabs(t.state.train_loss - golden[step]) / golden[step];
        worst = fmax(worst, difference);
        *mean += difference / STEPS;
    }
    trainer_close(&t);
    ml_device_free(job.device);
    ml_dir_remove(folder, NULL);
    ml_arena_clear(&arena);
    return worst;
}

static void f32_follows_pytorch(void **state)
{
    double mean, worst = run("train.precision=f32", &mean);
    print_message("largest difference %.4f%%, mean %.4f%%\n", 100 * worst, 100 * mean);
    assert_true(worst < 0.005);
}

/* Half the memory traffic for a loss that stays on the same curve. */
static void bf16_stays_close(void **state)
{
    double mean, worst = run("train.precision=bf16", &mean);
    print_message("largest difference %.4f%%, mean %.4f%%\n", 100 * worst, 100 * mean);
    assert_true(mean < 0.001);
    assert_true(worst < 0.005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_follows_pytorch),
        cmocka_unit_test(bf16_stays_close),
    };
    return cmocka_run_group_tests_name("curve", tests, NULL, NULL);
}
