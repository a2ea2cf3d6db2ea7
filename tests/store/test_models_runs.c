#include "scratch.h"

#include <math.h>

#include "store/models.h"
#include "store/runs.h"

static char folder[SCRATCH_PATH];
static struct ml_workspace *ws;
static struct ml_arena arena;

static int set_up(void **state)
{
    struct ml_error err = {0};
    const struct ml_workspace_options options = scratch_options();
    scratch_make(folder);
    ml_arena_init(&arena, 0);
    assert_ok(ml_workspace_open(&ws, folder, &options, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    ml_workspace_close(ws);
    ml_arena_clear(&arena);
    scratch_remove(folder);
    return 0;
}

static void runs(void **state)
{
    struct ml_error err = {0};
    struct ml_run_entry added, got, run = {.name = "fables", .recipe = "steps: 10\n"};
    char hash[ML_HASH_HEX];
    ml_hash_text("data", 4, run.dataset_hash);
    assert_ok(ml_runs_add(ws, &run, &arena, &added, &err), err);
    assert_string_equal(added.folder, "runs/000001-fables");
    assert_int_equal(added.state, ML_RUN_RUNNING);
    assert_true(isnan(added.best));
    assert_string_equal(added.dataset_hash, run.dataset_hash);
    ml_hash_text(run.recipe, strlen(run.recipe), hash);
    assert_string_equal(added.recipe_hash, hash);
    assert_true(added.started > 0);
    struct ml_run_update update = {.state = ML_RUN_RUNNING, .step = 7, .best = 1.25};
    assert_ok(ml_runs_update(ws, added.id, &update, &err), err);
    update = (struct ml_run_update){
        .state = ML_RUN_FAILED, .step = 9, .best = NAN, .message = "the disk is full"};
    assert_ok(ml_runs_update(ws, added.id, &update, &err), err);
    update = (struct ml_run_update){.state = ML_RUN_DONE, .step = 10, .best = NAN};
    assert_ok(ml_runs_update(ws, added.id, &update, &err), err);
    assert_ok(ml_runs_get(ws, added.id, &arena, &got, &err), err);
    assert_int_equal(got.step, 10);
    assert_float_equal(got.best, 1.25, 0);
    assert_string_equal(got.message, "the disk is full");
    assert_int_equal(got.state, ML_RUN_DONE);
    assert_string_equal(got.recipe, "steps: 10\n");
    run.folder = "/else/where";
    assert_ok(ml_runs_add(ws, &run, &arena, &added, &err), err);
    assert_string_equal(added.folder, "/else/where");
    run.name = "verse";
    run.folder = ml_workspace_path(ws, &arena, "runs/mine");
    assert_ok(ml_runs_add(ws, &run, &arena, &added, &err), err);
    assert_string_equal(added.folder, "runs/mine");
    struct ml_run_entry *list;
    size_t count;
    assert_ok(ml_runs_list(ws, NULL, 0, &arena, &list, &count, &err), err);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].name, "verse");
    assert_ok(ml_runs_list(ws, "fables", 1, &arena, &list, &count, &err), err);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].id, 2);
    assert_fails(ml_runs_get(ws, 99, &arena, &got, &err), ML_ERR_NOT_FOUND, "run 99", err);
    assert_fails(ml_runs_update(ws, 99, &update, &err), ML_ERR_NOT_FOUND, "run 99", err);
    run.name = "a/b";
    assert_fails(ml_runs_add(ws, &run, &arena, &added, &err), ML_ERR_ARG, "name of a run", err);
    run = (struct ml_run_entry){.name = "x"};
    assert_fails(ml_runs_add(ws, &run, &arena, &added, &err), ML_ERR_ARG, "recipe", err);
    strcpy(run.dataset_hash, "short");
    run.recipe = "";
    assert_fails(ml_runs_add(ws, &run, &arena, &added, &err), ML_ERR_ARG, "SHA-256", err);
    assert_string_equal(ml_run_state_name(ML_RUN_STOPPED), "stopped");
}

static void models(void **state)
{
    struct ml_error err = {0};
    struct ml_model_entry got, *list,
        model = {.name = "寓言",
                 .kind = "text",
                 .parameters = 12000000,
                 .metrics = "{\"loss\":1.5}",
                 .licence = "CC0-1.0"};
    size_t count;
    model.path = ml_workspace_path(ws, &arena, "models/fables");
    ml_hash_text("r", 1, model.recipe_hash);
    assert_ok(ml_models_add(ws, &model, false, &err), err);
    assert_ok(ml_models_get(ws, "寓言", &arena, &got, &err), err);
    assert_string_equal(got.path, "models/fables");
    assert_string_equal(got.metrics, "{\"loss\":1.5}");
    assert_string_equal(got.recipe_hash, model.recipe_hash);
    assert_string_equal(got.dataset_hash, "");
    assert_int_equal(got.run, 0);
    assert_int_equal(got.parameters, 12000000);
    assert_int_equal(got.stage, ML_STAGE_CANDIDATE);
    assert_true(got.created > 0);
    model.licence = NULL;
    model.metrics = NULL;
    assert_fails(ml_models_add(ws, &model, false, &err), ML_ERR_STATE, "already", err);
    assert_ok(ml_models_add(ws, &model, true, &err), err);
    assert_ok(ml_models_get(ws, "寓言", &arena, &got, &err), err);
    assert_string_equal(got.licence, "");
    assert_string_equal(got.metrics, "{}");
    assert_ok(ml_models_set_stage(ws, "寓言", ML_STAGE_PRODUCTION, &err), err);
    model.name = "verse";
    model.created = 5;
    assert_ok(ml_models_add(ws, &model, false, &err), err);
    assert_ok(ml_models_list(ws, &arena, &list, &count, &err), err);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].stage, ML_STAGE_PRODUCTION); /* the newest first */
    assert_string_equal(list[1].name, "verse");
    assert_fails(ml_models_get(ws, "verze", &arena, &got, &err), ML_ERR_NOT_FOUND, "\"verse\"",
                 err);
    assert_fails(ml_models_set_stage(ws, "nothing", ML_STAGE_CANARY, &err), ML_ERR_NOT_FOUND,
                 "maliang models", err);
    assert_ok(ml_models_remove(ws, "verse", &err), err);
    assert_fails(ml_models_remove(ws, "verse", &err), ML_ERR_NOT_FOUND, "verse", err);
    assert_ok(ml_models_list(ws, &arena, &list, &count, &err), err);
    assert_int_equal(count, 1);
}

static void wrong_models(void **state)
{
    struct ml_error err = {0};
    struct ml_model_entry model = {.name = "m", .path = "models/m", .kind = "text", .run = 42};
    enum ml_model_stage stage = ML_STAGE_CANARY;
    assert_fails(ml_models_add(ws, &model, false, &err), ML_ERR_STATE,
                 "names another that is not there", err);
    model.run = 0;
    model.metrics = "[1]";
    assert_fails(ml_models_add(ws, &model, false, &err), ML_ERR_ARG, "not a JSON object", err);
    model.metrics = "{";
    assert_fails(ml_models_add(ws, &model, false, &err), ML_ERR_FORMAT, "metrics", err);
    model.metrics = NULL;
    strcpy(model.recipe_hash, "x");
    assert_fails(ml_models_add(ws, &model, false, &err), ML_ERR_ARG, "SHA-256", err);
    model.recipe_hash[0] = '\0';
    model.path = NULL;
    assert_fails(ml_models_add(ws, &model, false, &err), ML_ERR_ARG, "path", err);
    assert_fails(ml_model_stage_parse(&stage, "producton", &err), ML_ERR_NOT_FOUND,
                 "did you mean production", err);
    assert_int_equal(stage, ML_STAGE_CANARY);
    assert_ok(ml_model_stage_parse(&stage, "archived", &err), err);
    assert_int_equal(stage, ML_STAGE_ARCHIVED);
    assert_string_equal(ml_model_stage_name(stage), "archived");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(models, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_models, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("models_runs", tests, NULL, NULL);
}
