/* The whole round through the public API: collect, train, stop and resume, list, write, export. */
#include "round.h"

static struct round r;

static int setup(void **state)
{
    struct ml_collect_result collected;
    struct ml_train_result trained;
    struct ml_error err = {0};
    round_open(&r, NULL);
    round_ok(round_collect(&r, r.texts, "tales", &collected, &err), err);
    round_ok(round_train(&r, NULL, NULL, NULL, &trained, &err), err);
    return 0;
}

static int teardown(void **state)
{
    round_close(&r);
    return 0;
}

/* ---- material ---- */

static void collecting_again_adds_nothing(void **state)
{
    struct ml_collect_result result;
    struct ml_error err = {0};
    char path[ROUND_PATH];
    round_ok(round_collect(&r, r.texts, "tales", &result, &err), err);
    assert_int_equal(result.files, ROUND_TALES);
    assert_int_equal(result.added, 0);
    assert_int_equal(result.already_there, ROUND_TALES);
    assert_int_equal(result.skipped, 0);
    assert_int_equal(result.dataset_records, ROUND_TALES);
    assert_string_equal(result.dataset, "tales@1");
    assert_int_equal(strlen(result.dataset_hash), 64);
    /* Some of it is of no use: that is told, and no failure. */
    round_ok(ml_dir_make(round_path(&r, "mixed", path), &err), err);
    round_text(round_path(&r, "mixed/good.txt", path), "a text\n");
    round_put(round_path(&r, "mixed/bad.bin", path), "\0\1\2\0\377", 5);
    round_ok(round_collect(&r, round_path(&r, "mixed", path), "mixed", &result, &err), err);
    assert_int_equal(result.added, 1);
    assert_int_equal(result.skipped, 1);
    assert_int_equal(result.skip_count, 1);
    assert_int_equal(result.skips[0].count, 1);
    assert_non_null(strstr(result.skips[0].examples[0], "bad.bin"));
}

/* ---- training ---- */

struct watch {
    volatile int stop;
    int64_t stop_at, last;
    int tokenizer, data, save;
};

static void watch(void *arg, const struct ml_train_progress *p)
{
    struct watch *w = arg;
    w->tokenizer += strcmp(p->stage, "tokenizer") == 0;
    w->data += strcmp(p->stage, "data") == 0;
    w->save += strcmp(p->stage, "save") == 0;
    if (strcmp(p->stage, "train") != 0)
        return;
    w->last = p->step;
    if (w->stop_at && p->step >= w->stop_at)
        w->stop = 1;
}

static int watched(const char *name, int restart, struct watch *w, struct ml_train_result *out,
                   struct ml_error *err)
{
    const struct ml_train_request request = {.workspace = r.workspace,
                                             .recipe = r.recipe,
                                             .name = name,
                                             .restart = restart,
                                             .cancel = &w->stop,
                                             .progress = watch,
                                             .arg = w};
    return ml_engine_train(r.engine, &request, out, err);
}

static void a_run_tells_where_it_is(void **state)
{
    struct watch w = {0};
    struct ml_train_result result;
    struct ml_error err = {0};
    char path[ROUND_PATH];
    round_ok(watched("told", 0, &w, &result, &err), err);
    assert_int_equal(w.last, 6);
    assert_true(w.tokenizer > 0 && w.data > 0 && w.save > 0);
    assert_int_equal(result.steps, 6);
    assert_int_equal(result.resumed_from, 0);
    assert_true(result.parameters > 1000 && result.tokens > 0);
    assert_true(result.train_loss > 0 && result.best_validation_loss > 0);
    assert_true(result.bits_per_character > 0);
    assert_string_equal(result.run, round_path(&r, "workspace/runs/told", path));
    assert_string_equal(result.model, round_path(&r, "workspace/runs/told/model", path));
}

static void same_model(const char *a, const char *b)
{
    static const char *const files[] = {"model.safetensors", "tokenizer.json", "config.json"};
    for (int i = 0; i < 3; i++) {
        char x[ROUND_PATH], y[ROUND_PATH], name[96];
        snprintf(name, sizeof name, "workspace/runs/%s/model/%s", a, files[i]);
        round_path(&r, name, x);
        snprintf(name, sizeof name, "workspace/runs/%s/model/%s", b, files[i]);
        round_same_file(x, round_path(&r, name, y));
    }
}

/* Stopped after steps 1, 4 and 5 (a checkpoint is due every two), it ends with the same bytes. */
static void a_stopped_run_goes_on(void **state)
{
    static const int64_t stops[] = {1, 4, 5};
    struct ml_train_result result = {.steps = -7};
    struct ml_error err = {0};
    for (int i = 0; i < 3; i++) {
        struct watch w = {.stop_at = stops[i]};
        round_fails(watched("stopped", 0, &w, &result, &err), ML_ERR_CANCELLED, "goes on from here",
                    err);
        assert_int_equal(w.last, stops[i]);
        assert_int_equal(result.steps, -7); /* untouched */
    }
    struct ml_model_info info;
    round_fails(ml_catalog_find(r.workspace, "stopped", &info, &err), ML_ERR_NOT_FOUND, "stopped",
                err);
    struct watch w = {0};
    round_ok(watched("stopped", 0, &w, &result, &err), err);
    assert_int_equal(result.resumed_from, 5);
    same_model("tiny", "stopped");
    /* Once more: nothing is left to do, and nothing changes. */
    round_ok(watched("stopped", 0, &w, &result, &err), err);
    assert_int_equal(result.resumed_from, 6);
    same_model("tiny", "stopped");
    round_ok(watched("stopped", 1, &w, &result, &err), err); /* restarted */
    assert_int_equal(result.resumed_from, 0);
    same_model("tiny", "stopped");
}

static int train_varied(const char *name, const char *synonyms, const char *hash, struct watch *w,
                        struct ml_train_result *out, struct ml_error *err)
{
    char file[ROUND_PATH + 32], sum[128];
    snprintf(file, sizeof file, "data.synonyms=%s", synonyms);
    snprintf(sum, sizeof sum, "data.synonyms_sha256=%s", hash);
    const char *overrides[] = {"data.augment=0.2", "data.copies=3", file, sum};
    const struct ml_train_request request = {.workspace = r.workspace,
                                             .recipe = r.recipe,
                                             .overrides = overrides,
                                             .override_count = 4,
                                             .name = name,
                                             .cancel = &w->stop,
                                             .progress = watch,
                                             .arg = w};
    return ml_engine_train(r.engine, &request, out, err);
}

/* Variants: a stopped run ends with the same bytes, wherever the synonyms lie by then, and does not
 * go on with other synonyms. */
static void a_run_keeps_its_synonyms(void **state)
{
    char words[ROUND_PATH], moved[ROUND_PATH], other[ROUND_PATH];
    struct ml_train_result result = {0};
    struct ml_error err = {0};
    struct watch whole = {0}, some = {.stop_at = 3}, rest = {0};
    round_text(round_path(&r, "words.txt", words), "fox, vixen\nwas, became\nwolf, hound\n");
    round_text(round_path(&r, "moved.txt", moved), "fox, vixen\nwas, became\nwolf, hound\n");
    round_text(round_path(&r, "other.txt", other), "fox, vixen\nwas, became\nwolf, cur\n");
    round_ok(train_varied("varied", words, "", &whole, &result, &err), err);
    round_fails(train_varied("broken", words, "", &some, &result, &err), ML_ERR_CANCELLED,
                "goes on from here", err);
    round_fails(train_varied("broken", other, "", &rest, &result, &err), ML_ERR_STATE,
                "data.synonyms_sha256", err);
    round_ok(train_varied("broken", moved, "", &rest, &result, &err), err);
    assert_int_equal(result.resumed_from, 3);
    same_model("varied", "broken");
    round_fails(train_varied("another", words, "00ff", &rest, &result, &err), ML_ERR_STATE,
                "words.txt does not hold", err);
    round_fails(train_varied("another", "/no/such/words", "", &rest, &result, &err),
                ML_ERR_NOT_FOUND, "/no/such/words", err);
}

/* Another recipe under the same name is refused, not mixed in; --out is where the caller is. */
static void runs_do_not_mix(void **state)
{
    struct ml_train_result result;
    struct ml_model_info info;
    struct ml_error err = {0};
    char here[1024], path[ROUND_PATH];
    round_fails(round_train(&r, "tiny", "train.lr=0.5", NULL, &result, &err), ML_ERR_STATE,
                "train.lr", err);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(r.root), 0);
    const struct ml_train_request request = {
        .workspace = "workspace", .recipe = "recipe.yaml", .name = "beside", .out = "beside"};
    int status = ml_engine_train(r.engine, &request, &result, &err);
    assert_int_equal(chdir(here), 0);
    round_ok(status, err);
    assert_string_equal(result.run, round_path(&r, "beside", path));
    round_ok(ml_catalog_find(r.workspace, "beside", &info, &err), err);
    assert_int_equal(info.layers, 1);
    same_model("tiny", "../../beside");
}

static void a_recipe_is_explained(void **state)
{
    const char *const overrides[] = {"train.steps=77"};
    char *text = NULL;
    struct ml_error err = {0};
    round_ok(ml_recipe_explain(r.recipe, overrides, 1, &text, &err), err);
    assert_non_null(strstr(text, "steps: 77"));
    assert_non_null(strstr(text, "context: 48"));
    char path[ROUND_PATH];
    round_text(round_path(&r, "explained.yaml", path), text); /* what it prints, it reads */
    ml_string_free(text);
    char *again = NULL;
    round_ok(ml_recipe_explain(path, NULL, 0, &again, &err), err);
    assert_non_null(strstr(again, "steps: 77"));
    ml_string_free(again);
    round_ok(ml_recipe_explain(NULL, NULL, 0, &again, &err), err);
    ml_string_free(again);
    ml_string_free(NULL);
}

/* ---- the list ---- */

static void models_are_listed(void **state)
{
    struct ml_model_info *models = NULL, info;
    struct ml_error err = {0};
    char path[ROUND_PATH];
    int count = 0, found = 0;
    round_ok(ml_catalog_list(r.workspace, &models, &count, &err), err);
    for (int i = 0; i < count; i++)
        found += strcmp(models[i].name, "tiny") == 0;
    assert_int_equal(found, 1);
    ml_catalog_free(models);
    ml_catalog_free(NULL);
    round_ok(ml_catalog_find(r.workspace, "tiny", &info, &err), err);
    assert_string_equal(info.kind, "text");
    assert_string_equal(info.stage, "candidate");
    assert_string_equal(info.origin, "workspace");
    assert_string_equal(info.path, round_path(&r, "workspace/runs/tiny/model", path));
    assert_int_equal(strlen(info.recipe_hash), 64);
    assert_int_equal(strlen(info.dataset_hash), 64);
    assert_int_equal(info.width, 16);
    assert_int_equal(info.context, 48);
    assert_true(info.bytes > 1000 && info.validation_loss > 0);
    round_ok(ml_catalog_find(NULL, path, &info, &err), err); /* a folder, without a workspace */
    assert_string_equal(info.origin, "folder");
    assert_int_equal(info.width, 16);
}

/* The folder of starters holds a copy of the model: it is listed and found with no workspace. */
static void starters_are_listed(void **state)
{
    struct ml_model_info *models = NULL, info;
    struct ml_error err = {0};
    struct ml_write_request request = {.prompt = "the", .max_tokens = 4};
    char from[ROUND_PATH], to[ROUND_PATH], text[64];
    int count = 0;
    round_path(&r, "workspace/runs/tiny", from);
    round_path(&r, "starters", to);
    assert_int_equal(symlink(from, to), 0); /* starters/model */
    setenv("MALIANG_STARTERS", to, 1);
    round_ok(ml_catalog_list(NULL, &models, &count, &err), err);
    assert_int_equal(count, 1);
    assert_string_equal(models[0].name, "model");
    assert_string_equal(models[0].origin, "starter");
    ml_catalog_free(models);
    round_ok(ml_catalog_find(NULL, "model", &info, &err), err);
    round_ok(round_write(r.engine, NULL, "model", &request, text, sizeof text, &err), err);
    setenv("MALIANG_STARTERS", r.root, 1);
}

static void stages_and_removal(void **state)
{
    struct ml_model_info info;
    struct ml_train_result trained;
    struct ml_error err = {0};
    struct ml_write_request request = {.prompt = "the", .max_tokens = 4};
    char text[64];
    round_ok(round_train(&r, "brief", NULL, NULL, &trained, &err), err);
    round_ok(ml_catalog_set_stage(r.workspace, "brief", "production", &err), err);
    round_ok(ml_catalog_find(r.workspace, "brief", &info, &err), err);
    assert_string_equal(info.stage, "production");
    round_fails(ml_catalog_set_stage(r.workspace, "brief", "prodution", &err), ML_ERR_NOT_FOUND,
                "did you mean production", err);
    round_fails(ml_catalog_set_stage(r.workspace, "breif", "canary", &err), ML_ERR_NOT_FOUND,
                "brief", err);
    round_ok(ml_catalog_remove(r.workspace, "brief", 0, &err), err);
    round_fails(ml_catalog_find(r.workspace, "brief", &info, &err), ML_ERR_NOT_FOUND, "brief", err);
    assert_true(ml_path_is_dir(trained.model));                          /* its files are kept */
    round_ok(round_train(&r, "brief", NULL, NULL, &trained, &err), err); /* and register again */
    round_ok(ml_catalog_remove(r.workspace, "brief", 1, &err), err);
    assert_false(ml_path_exists(trained.model));
    /* A folder that is gone is listed with what the registry knows, and cannot write. */
    round_ok(round_train(&r, "brief", NULL, NULL, &trained, &err), err);
    round_ok(ml_dir_remove(trained.model, &err), err);
    round_ok(ml_catalog_find(r.workspace, "brief", &info, &err), err);
    assert_int_equal(info.layers, 0);
    assert_true(info.parameters > 0);
    err = (struct ml_error){0};
    assert_int_not_equal(
        round_write(r.engine, r.workspace, "brief", &request, text, sizeof text, &err), 0);
    assert_non_null(strstr(err.message, "brief"));
    err = (struct ml_error){0};
    round_ok(ml_catalog_remove(r.workspace, "brief", 0, &err), err);
}

/* ---- export ---- */

static void exports_hold_the_model(void **state)
{
    static const char *const precisions[] = {"f32", "f16", "bf16", NULL};
    struct ml_error err = {0};
    struct ml_write_request request = {.prompt = "the 3", .max_tokens = 20, .seed = 5};
    struct ml_arena arena;
    char path[ROUND_PATH], folder[ROUND_PATH], copy[ROUND_PATH], first[256], second[256];
    ml_arena_init(&arena, 0);
    round_ok(round_write(r.engine, r.workspace, "tiny", &request, first, sizeof first, &err), err);
    round_ok(ml_dir_make(round_path(&r, "copy", copy), &err), err);
    for (int i = 0; i < 2; i++) {
        size_t size;
        char name[64];
        snprintf(name, sizeof name, "workspace/runs/tiny/model/%s",
                 i ? "tokenizer.json" : "config.json");
        const char *bytes = round_read(&arena, round_path(&r, name, path), &size);
        round_put(round_path(&r, i ? "copy/tokenizer.json" : "copy/config.json", path), bytes,
                  size);
    }
    for (int i = 0; i < 4; i++) {
        size_t size;
        round_path(&r, "out.gguf", path);
        round_ok(ml_catalog_export(r.workspace, "tiny", "gguf", precisions[i], path, &err), err);
        assert_memory_equal(round_read(&arena, path, &size), "GGUF", 4);
        round_path(&r, "copy/model.safetensors", path);
        round_ok(ml_catalog_export(r.workspace, "tiny", "safetensors", precisions[i], path, &err),
                 err);
        round_ok(round_write(r.engine, NULL, copy, &request, second, sizeof second, &err), err);
        if (i != 1) /* the trained weights are bf16 values: nothing is lost but in f16 */
            assert_string_equal(first, second);
    }
    round_path(&r, "workspace/runs/tiny/model", folder);
    round_ok(ml_catalog_export(NULL, folder, "gguf", NULL, path, &err), err);
    round_fails(ml_catalog_export(r.workspace, "tiny", "ggfu", NULL, path, &err), ML_ERR_ARG,
                "gguf, safetensors", err);
    round_fails(ml_catalog_export(r.workspace, "tiny", "gguf", "f8", path, &err), ML_ERR_ARG,
                "f32, f16, bf16", err);
    round_path(&r, "none/out.gguf", path);
    round_fails(ml_catalog_export(r.workspace, "tiny", "gguf", NULL, path, &err), ML_ERR_NOT_FOUND,
                "none/out.gguf", err);
    ml_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collecting_again_adds_nothing),
        cmocka_unit_test(a_run_tells_where_it_is),
        cmocka_unit_test(a_stopped_run_goes_on),
        cmocka_unit_test(a_run_keeps_its_synonyms),
        cmocka_unit_test(runs_do_not_mix),
        cmocka_unit_test(a_recipe_is_explained),
        cmocka_unit_test(models_are_listed),
        cmocka_unit_test(starters_are_listed),
        cmocka_unit_test(stages_and_removal),
        cmocka_unit_test(exports_hold_the_model),
    };
    return cmocka_run_group_tests_name("round", tests, setup, teardown);
}
