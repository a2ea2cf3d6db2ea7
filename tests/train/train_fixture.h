/* A tiny run for tests: a few short texts, a model of a few thousand numbers, a folder of its own.
 */
#ifndef ML_TESTS_TRAIN_FIXTURE_H
#define ML_TESTS_TRAIN_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "format/safetensors.h"
#include "test_device.h"
#include "train/trainer.h"

struct tiny_run {
    struct ml_arena arena;
    struct ml_recipe recipe;
    struct ml_train_text texts[8], validation[2];
    char folder[64];
    struct ml_device *device;
    struct ml_log log;
    struct ml_train_job job;
    struct ml_train_result result;
    volatile int cancel;
    int64_t cancel_at; /* raises cancel when this step is reported, 0: never */
    int64_t reports;
};

static const char *const tiny_texts[8] = {
    "the cat sat on the mat and the dog sat on the log",
    "a fox saw the grapes and the grapes were sour to the fox",
    "the crow had a cheese and the fox had a song for the crow",
    "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。",
    "the hare ran and slept; the tortoise walked and won",
    "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。",
    "the sun and the wind had a bet about a man and his coat",
    "a town mouse and a country mouse ate, and one of them ate in peace",
};

static const char tiny_recipe[] =
    "name: tiny\n"
    "data: {packing: stream}\n"
    "tokenizer: {vocab: 300}\n"
    "model: {layers: 1, width: 16, heads: 2, kv_heads: 1, ffn: 32, context: 16, save: f32}\n"
    "train: {steps: 12, batch: 4, lr: 0.01, warmup: 2, eval_every: 3, checkpoint_every: 3,\n"
    "        precision: f32}\n";

static inline void tiny_silent(void *arg, enum ml_log_level level, const char *line)
{
}

static inline void tiny_progress(void *arg, const struct ml_train_progress *p)
{
    struct tiny_run *run = arg;
    run->reports++;
    if (run->cancel_at && strcmp(p->stage, "train") == 0 && p->step >= run->cancel_at)
        run->cancel = 1;
}

/* settings: "key=value" overrides, ended by NULL. */
static inline void tiny_open(struct tiny_run *run, const char *const *settings)
{
    struct ml_error err = {0};
    memset(run, 0, sizeof *run);
    ml_arena_init(&run->arena, 0);
    /* In memory where that is possible: these tests wait for the disk most of the time. */
    snprintf(run->folder, sizeof run->folder, "%s/ml-train-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(run->folder) || ml_recipe_parse(&run->recipe, &run->arena, tiny_recipe,
                                                 sizeof tiny_recipe - 1, "tiny.yaml", &err) < 0)
        abort();
    for (; settings && *settings; settings++)
        if (ml_recipe_set(&run->recipe, &run->arena, *settings, &err) < 0) {
            fprintf(stderr, "%s\n", err.message);
            abort();
        }
    for (int i = 0; i < 8; i++)
        run->texts[i] = (struct ml_train_text){tiny_texts[i], strlen(tiny_texts[i]), NULL, 0};
    run->validation[0] = run->texts[0];
    run->validation[1] = run->texts[3];
    if (ml_device_new(&run->device, 2, ML_ISA_COUNT - 1, &err) < 0 ||
        test_device_attach(run->device, &err) < 0)
        abort();
    run->log = (struct ml_log){ML_LOG_ERROR, tiny_silent, NULL};
    run->job = (struct ml_train_job){
        .recipe = &run->recipe,
        .train = run->texts,
        .validation = run->validation,
        .train_count = 8,
        .validation_count = 2,
        .folder = run->folder,
        .device = run->device,
        .log = &run->log,
        .cancel = &run->cancel,
        .progress = tiny_progress,
        .arg = run,
    };
}

static inline void tiny_close(struct tiny_run *run)
{
    ml_device_free(run->device);
    ml_dir_remove(run->folder, NULL);
    ml_arena_clear(&run->arena);
}

static inline char *tiny_path(struct tiny_run *run, const char *name)
{
    char *path = ml_path_join(&run->arena, run->folder, name);
    if (!path)
        abort();
    return path;
}

/* 0 when both files hold the same tensors (names, shapes, bits). */
static inline int tiny_compare(const char *a, const char *b)
{
    struct ml_safetensors x = {0}, y = {0};
    struct ml_error err = {0};
    if (ml_safetensors_open(&x, a, &err) < 0 || ml_safetensors_open(&y, b, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        ml_safetensors_close(&x);
        return -1;
    }
    int differ = x.count != y.count;
    for (int i = 0; i < x.count && !differ; i++)
        differ = strcmp(x.entries[i].name, y.entries[i].name) != 0 ||
                 x.entries[i].bytes != y.entries[i].bytes ||
                 memcmp(x.entries[i].data, y.entries[i].data, x.entries[i].bytes) != 0;
    ml_safetensors_close(&x);
    ml_safetensors_close(&y);
    return differ;
}

#endif
