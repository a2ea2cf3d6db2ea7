/* The whole round through the public API: collect, train, write, export; what a person gets wrong;
 * and every allocation of a small train-and-write run failing once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/files.h"
#include "maliang/maliang.h"

static int every; /* --every: no allocation is skipped */
static char folder[64], workspace[96], texts[96], recipe[96];

static const char recipe_text[] = "name: tiny\n"
                                  "data: {dataset: tales, validation: 0.2}\n"
                                  "tokenizer: {vocab: 300, special: [\"<|end|>\"]}\n"
                                  "model: {layers: 1, width: 16, heads: 2, ffn: 32, context: 32}\n"
                                  "train: {steps: 3, batch: 2, eval_every: 3, precision: f32}\n";

static void put(const char *path, const char *text)
{
    struct ml_error err = {0};
    if (ml_file_write(path, text, strlen(text), &err) != 0)
        fail_msg("%s", err.message);
}

static int collect(struct ml_engine *engine, const char *path, struct ml_collect_result *out,
                   struct ml_error *err)
{
    struct ml_collect_request request = {
        .workspace = workspace, .paths = &path, .path_count = 1, .dataset = "tales"};
    return ml_engine_collect(engine, &request, out, err);
}

static int train(struct ml_engine *engine, const char *name, ml_cancel *cancel,
                 struct ml_train_result *out, struct ml_error *err)
{
    struct ml_train_request request = {
        .workspace = workspace, .recipe = recipe, .name = name, .restart = 1, .cancel = cancel};
    return ml_engine_train(engine, &request, out, err);
}

static int write_text(struct ml_engine *engine, const char *model, char *text, size_t size,
                      struct ml_error *err)
{
    struct ml_text_session *session = NULL;
    struct ml_write_request request = {.prompt = "the", .max_tokens = 6, .seed = 3};
    struct ml_write_result result = {0};
    int status = ml_text_session_open(&session, engine, workspace, model, err);
    if (status == 0)
        status = ml_text_session_write(session, &request, &result, err);
    if (status == 0)
        snprintf(text, size, "%s", result.samples[0].text);
    ml_write_result_clear(&result);
    ml_text_session_close(session);
    return status;
}

static int setup(void **state)
{
    struct ml_engine *engine = NULL;
    struct ml_collect_result result;
    struct ml_error err = {0};
    char path[128];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/maliang-round-%d", (int)getpid());
    snprintf(workspace, sizeof workspace, "%s/w", folder);
    snprintf(texts, sizeof texts, "%s/texts", folder);
    snprintf(recipe, sizeof recipe, "%s/recipe.yaml", folder);
    if (ml_dir_make(texts, &err) != 0)
        fail_msg("%s", err.message);
    put(recipe, recipe_text);
    for (int i = 0; i < 6; i++) {
        char text[512] = "";
        for (int k = 0; k < 12; k++) {
            char line[64];
            snprintf(line, sizeof line, "the %d foxes saw %d moons over river %d\n", i, k,
                     i * k % 7);
            strcat(text, line);
        }
        snprintf(path, sizeof path, "%s/%d.txt", texts, i);
        put(path, text);
    }
    assert_int_equal(ml_engine_open(&engine, NULL, &err), 0);
    if (collect(engine, texts, &result, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(result.added, 6);
    assert_string_equal(result.dataset, "tales@1");
    ml_engine_close(engine);
    return 0;
}

static int teardown(void **state)
{
    struct ml_error err = {0};
    (void)state;
    ml_dir_remove(folder, &err);
    return 0;
}

static void one_line(const struct ml_error *err)
{
    assert_true(err->message[0] != 0);
    assert_null(strchr(err->message, '\n'));
}

static void round_trip(void **state)
{
    struct ml_engine *engine = NULL;
    struct ml_train_result trained;
    struct ml_model_info info;
    struct ml_error err = {0};
    char path[128], first[256], second[256];
    (void)state;
    assert_int_equal(ml_engine_open(&engine, NULL, &err), 0);
    if (train(engine, "tiny", NULL, &trained, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(trained.steps, 3);
    assert_int_equal(ml_catalog_find(workspace, "tiny", &info, &err), 0);
    assert_string_equal(info.stage, "candidate");
    assert_int_equal(strlen(info.recipe_hash), 64);
    assert_int_equal(ml_catalog_set_stage(workspace, "tiny", "production", &err), 0);
    assert_int_equal(write_text(engine, "tiny", first, sizeof first, &err), 0);
    for (int threads = 1; threads <= 4; threads += 3) {
        struct ml_engine *other = NULL;
        struct ml_engine_options options = {.threads = threads};
        assert_int_equal(ml_engine_open(&other, &options, &err), 0);
        assert_int_equal(write_text(other, NULL, second, sizeof second, &err), 0);
        assert_string_equal(first, second);
        ml_engine_close(other);
    }
    snprintf(path, sizeof path, "%s/tiny.gguf", folder);
    assert_int_equal(ml_catalog_export(workspace, "tiny", "gguf", NULL, path, &err), 0);
    assert_true(ml_path_exists(path));
    snprintf(path, sizeof path, "%s/tiny.safetensors", folder);
    assert_int_equal(ml_catalog_export(workspace, "tiny", "safetensors", "f32", path, &err), 0);
    assert_int_equal(ml_catalog_remove(workspace, "tiny", 0, &err), 0);
    assert_int_equal(ml_catalog_find(workspace, "tiny", &info, &err), ML_ERR_NOT_FOUND);
    ml_engine_close(engine);
}

static void mistakes_have_one_message(void **state)
{
    struct ml_engine *engine = NULL;
    struct ml_collect_result collected;
    struct ml_train_result trained;
    struct ml_error err = {0};
    char path[128], text[64];
    (void)state;
    assert_int_equal(ml_engine_open(&engine, NULL, &err), 0);
    snprintf(path, sizeof path, "%s/empty", folder);
    assert_int_equal(ml_dir_make(path, &err), 0);
    assert_int_equal(collect(engine, path, &collected, &err), ML_ERR_NOT_FOUND);
    one_line(&err);
    snprintf(path, sizeof path, "%s/binary", folder);
    memset(&err, 0, sizeof err);
    assert_int_equal(ml_dir_make(path, &err), 0);
    snprintf(path, sizeof path, "%s/binary/a.bin", folder);
    assert_int_equal(ml_file_write(path, "\0\1\2\0\377", 5, &err), 0);
    snprintf(path, sizeof path, "%s/binary", folder);
    assert_int_equal(collect(engine, path, &collected, &err), ML_ERR_NOT_FOUND);
    one_line(&err);
    put(recipe, "train: {stpes: 3}\n");
    memset(&err, 0, sizeof err);
    assert_int_not_equal(train(engine, "typo", NULL, &trained, &err), 0);
    one_line(&err);
    assert_non_null(strstr(err.message, "recipe.yaml:1"));
    assert_non_null(strstr(err.message, "steps"));
    put(recipe, "data: {dataset: talse}\n");
    memset(&err, 0, sizeof err);
    assert_int_equal(train(engine, "typo", NULL, &trained, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "tales"));
    put(recipe, recipe_text);
    memset(&err, 0, sizeof err);
    assert_int_equal(write_text(engine, "nobody", text, sizeof text, &err), ML_ERR_NOT_FOUND);
    one_line(&err);
    const volatile int stop = 1;
    memset(&err, 0, sizeof err);
    assert_int_equal(train(engine, "stopped", &stop, &trained, &err), ML_ERR_CANCELLED);
    one_line(&err);
    ml_engine_close(engine);
}

static int train_and_write(struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_engine_options options = {.threads = 1, .isa = "ref"};
    struct ml_train_result trained;
    char text[256];
    int status = ml_engine_open(&engine, &options, err);
    if (status == 0)
        status = train(engine, "faulty", NULL, &trained, err);
    if (status == 0)
        status = write_text(engine, "faulty", text, sizeof text, err);
    ml_engine_close(engine);
    return status;
}

static void every_failed_allocation_is_one_message(void **state)
{
    struct ml_mem_stats before, after;
    struct ml_error err = {0};
    uint64_t total, failed = 0;
    (void)state;
    assert_int_equal(train_and_write(&err), 0); /* caches of libraries are warm now */
    ml_mem_get_stats(&before);
    ml_mem_fail_at(0);
    assert_int_equal(train_and_write(&err), 0);
    ml_mem_get_stats(&after);
    assert_int_equal(after.live_blocks, before.live_blocks);
    total = after.allocations;
    /* Each run syncs files, so by default about 200 spread over all; trainer, writer and readers
     * have tests of their own that skip none. */
    uint64_t step = every ? 1 : total / 200 + 1, tried = 0;
    for (uint64_t n = 1; n <= total; n += step, tried++) {
        memset(&err, 0, sizeof err);
        ml_mem_fail_at(n);
        int status = train_and_write(&err);
        ml_mem_fail_at(0);
        ml_mem_get_stats(&after);
        if (after.live_blocks != before.live_blocks)
            fail_msg("allocation %d of %d failed and left blocks behind: %s", (int)n, (int)total,
                     err.message);
        if (status != 0) {
            failed++;
            one_line(&err);
        }
    }
    print_message("%d allocations, %d of them end the run when they fail\n", (int)total,
                  (int)failed);
    assert_true(failed > tried / 2);
}

int main(int argc, char **argv)
{
    every = argc > 1 && strcmp(argv[1], "--every") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(mistakes_have_one_message),
        cmocka_unit_test(every_failed_allocation_is_one_message),
    };
    return cmocka_run_group_tests_name("round", tests, setup, teardown);
}
