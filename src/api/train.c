/* Training through the public API: recipe, dataset, run, registry. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/files.h"
#include "data/dataset_text.h"
#include "generate/text_pack.h"
#include "store/hash.h"
#include "store/models.h"
#include "store/runs.h"
#include "train/recipe.h"
#include "train/trainer.h"

struct training {
    struct ml_engine *engine;
    const struct ml_train_request *request;
    struct ml_train_result *result;
    struct ml_arena arena;
    struct ml_recipe recipe;
    struct ml_buffer recipe_text;
    struct ml_workspace *workspace;
    struct ml_dataset dataset;
    const char *folder; /* absolute */
    int64_t run;        /* its row, 0: none yet */
    int64_t step;       /* the last one that was told */
};

static int read_recipe(struct ml_recipe *out, struct ml_arena *arena, const char *path,
                       const char *const *overrides, int count, struct ml_error *err)
{
    int status = path ? ml_recipe_open(out, arena, path, err) : ml_recipe_init(out, arena, err);
    for (int i = 0; i < count && status == 0; i++)
        status = ml_recipe_set(out, arena, overrides[i], err);
    return status;
}

int ml_recipe_explain(const char *path, const char *const *overrides, int override_count,
                      char **out, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_recipe recipe;
    struct ml_buffer text = {0};
    ml_arena_init(&arena, 0);
    int status = read_recipe(&recipe, &arena, path, overrides, override_count, err);
    if (status == 0)
        status = ml_recipe_print(&recipe, &text, err);
    ml_arena_clear(&arena);
    if (status != 0) {
        ml_buffer_clear(&text);
        return status;
    }
    *out = text.data;
    return 0;
}

static int check_name(const char *name, struct ml_error *err)
{
    if (!name[0] || name[0] == '.' || strchr(name, '/') || strlen(name) > 100)
        return ml_fail(err, ML_ERR_ARG,
                       "\"%s\" cannot name a run: use up to 100 characters without / and not "
                       "beginning with a dot",
                       name);
    return 0;
}

/* The registry takes a relative path to be inside the workspace; a person means the folder where
 * the program was started. */
static const char *absolute_path(struct ml_arena *arena, const char *path)
{
    char here[PATH_MAX];
    if (path[0] == '/' || !getcwd(here, sizeof here))
        return path;
    return ml_path_join(arena, here, path);
}

/* The words of the synonym file are part of the recipe, wherever the file lies: a run goes on only
 * with the words that it began with, and a model's recipe says which they were. */
static int pin_synonyms(struct training *t, struct ml_error *err)
{
    struct ml_recipe *r = &t->recipe;
    struct ml_file_map map = {0};
    char hash[ML_HASH_HEX];
    if (r->data.augment <= 0 || !*r->data.synonyms)
        return 0;
    int status = ml_file_map_open(&map, r->data.synonyms, err);
    if (status != 0)
        return status;
    ml_hash_text(map.data, map.size, hash);
    ml_file_map_close(&map);
    if (*r->data.synonyms_sha256 && strcmp(r->data.synonyms_sha256, hash) != 0)
        return ml_fail(err, ML_ERR_STATE,
                       "%s does not hold what the recipe was made for: its SHA-256 is %s, and "
                       "data.synonyms_sha256 is %.64s: bring back that file, or empty the key",
                       r->data.synonyms, hash, r->data.synonyms_sha256);
    r->data.synonyms_sha256 = ml_arena_strdup(&t->arena, hash);
    return r->data.synonyms_sha256 ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory");
}

static int prepare(struct training *t, struct ml_error *err)
{
    const struct ml_train_request *r = t->request;
    if (!r->workspace)
        return ml_fail(err, ML_ERR_ARG, "training needs a workspace: none was named");
    int status =
        read_recipe(&t->recipe, &t->arena, r->recipe, r->overrides, r->override_count, err);
    if (status == 0 && r->name)
        t->recipe.name = r->name;
    if (status == 0)
        status = check_name(t->recipe.name, err);
    if (status == 0)
        status = pin_synonyms(t, err);
    if (status == 0)
        status = ml_recipe_print(&t->recipe, &t->recipe_text, err);
    if (status != 0)
        return status;
    status = ml_workspace_open(&t->workspace, r->workspace, NULL, err);
    if (status == ML_ERR_NOT_FOUND)
        ml_fail_context(err, "train needs a workspace (maliang collect makes one)");
    if (status == 0)
        status = ml_datasets_open(t->workspace, t->recipe.data.dataset, &t->dataset, err);
    if (status != 0)
        return status;
    char *inside = ml_arena_printf(&t->arena, "runs/%s", t->recipe.name);
    t->folder = r->out   ? absolute_path(&t->arena, r->out)
                : inside ? ml_workspace_path(t->workspace, &t->arena, inside)
                         : NULL;
    return t->folder ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory");
}

static int add_run(struct training *t, struct ml_error *err)
{
    struct ml_run_entry row = {.name = t->recipe.name,
                               .recipe = t->recipe_text.data,
                               .folder = ml_workspace_relative(t->workspace, &t->arena, t->folder),
                               .best = NAN};
    struct ml_run_entry made;
    memcpy(row.dataset_hash, t->dataset.hash, sizeof row.dataset_hash);
    if (!row.folder)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory");
    int status = ml_runs_add(t->workspace, &row, &t->arena, &made, err);
    if (status == 0)
        t->run = made.id;
    return status;
}

/* The row is for people: that it cannot be written must not hide how training went. */
static void end_run(struct training *t, int status, const struct ml_error *err)
{
    struct ml_error ignored = {0};
    if (!t->run)
        return;
    struct ml_run_update update = {.state = status == 0                  ? ML_RUN_DONE
                                            : status == ML_ERR_CANCELLED ? ML_RUN_STOPPED
                                                                         : ML_RUN_FAILED,
                                   .step = status == 0 ? t->result->steps : t->step,
                                   .best = status == 0 ? t->result->best_validation_loss : NAN,
                                   .message = status == 0 || !err ? "" : err->message};
    ml_runs_update(t->workspace, t->run, &update, &ignored);
}

static int register_model(struct training *t, struct ml_error *err)
{
    const struct ml_train_result *r = t->result;
    char *metrics = ml_arena_printf(&t->arena, "{\"steps\": %lld, \"tokens\": %lld",
                                    (long long)r->steps, (long long)r->tokens);
    if (metrics && isfinite(r->best_validation_loss))
        metrics = ml_arena_printf(&t->arena,
                                  "%s, \"validation_loss\": %.6f, \"bits_per_character\": %.6f",
                                  metrics, r->best_validation_loss, r->bits_per_character);
    metrics = metrics ? ml_arena_printf(&t->arena, "%s}", metrics) : NULL;
    if (!metrics)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory");
    struct ml_model_entry entry = {.name = t->recipe.name,
                                   .path = r->model,
                                   .kind = "text",
                                   .run = t->run,
                                   .parameters = r->parameters,
                                   .metrics = metrics,
                                   .licence = t->recipe.licence};
    /* The recipe that counts is the one with every value filled in, which the model's folder has.
     */
    json_t *about = NULL;
    int status = ml_text_pack_about(&about, r->model, err);
    const char *hash = json_string_value(json_object_get(about, "recipe_hash"));
    snprintf(entry.recipe_hash, sizeof entry.recipe_hash, "%s", hash ? hash : "");
    json_decref(about);
    if (status != 0)
        return status;
    memcpy(entry.dataset_hash, t->dataset.hash, sizeof entry.dataset_hash);
    return ml_models_add(t->workspace, &entry, true, err);
}

static void copy_texts(struct ml_train_text *to, const struct ml_dataset_document *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (struct ml_train_text){from[i].text, from[i].size, from[i].literals,
                                       from[i].literals_bytes};
}

static int open_texts(struct training *t, struct ml_dataset_text *texts, struct ml_error *err)
{
    const struct ml_recipe *r = &t->recipe;
    struct ml_dataset_text_options options = {.template = r->data.template,
                                              .require = r->data.require.items,
                                              .require_count = r->data.require.count,
                                              .validation = r->data.validation,
                                              .dedup = r->data.dedup,
                                              .copies = (int)r->data.copies,
                                              .drop = r->data.drop,
                                              .augment = r->data.augment,
                                              .synonyms = r->data.synonyms,
                                              .seed = (uint64_t)r->train.seed,
                                              .cancel = t->request->cancel};
    return ml_dataset_text_open(texts, t->workspace, &t->dataset, &options, err);
}

static void note_progress(void *arg, const struct ml_train_progress *progress)
{
    struct training *t = arg;
    if (strcmp(progress->stage, "train") == 0)
        t->step = progress->step;
    t->request->progress(t->request->arg, progress);
}

static int run(struct training *t, const struct ml_dataset_text *texts, struct ml_error *err)
{
    struct ml_train_text *train =
        ml_arena_calloc(&t->arena, (size_t)texts->train_count + 1, sizeof *train);
    struct ml_train_text *validation =
        ml_arena_calloc(&t->arena, (size_t)texts->validation_count + 1, sizeof *validation);
    if (!train || !validation)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory");
    copy_texts(train, texts->train, texts->train_count);
    copy_texts(validation, texts->validation, texts->validation_count);
    struct ml_train_job job = {.recipe = &t->recipe,
                               .train = train,
                               .train_count = texts->train_count,
                               .validation = validation,
                               .validation_count = texts->validation_count,
                               .folder = t->folder,
                               .dataset_hash = t->dataset.hash,
                               .device = t->engine->device,
                               .restart = t->request->restart != 0,
                               .cancel = t->request->cancel,
                               .progress = t->request->progress ? note_progress : NULL,
                               .arg = t};
    return ml_train_run(&job, t->result, err);
}

int ml_engine_train(struct ml_engine *engine, const struct ml_train_request *request,
                    struct ml_train_result *out, struct ml_error *err)
{
    struct ml_train_result result = {0};
    struct ml_dataset_text texts = {0};
    struct ml_error mine = {0};
    struct training t = {.engine = engine, .request = request, .result = &result};
    ml_arena_init(&t.arena, 0);
    int status = prepare(&t, &mine);
    if (status == 0)
        status = open_texts(&t, &texts, &mine);
    if (status == 0)
        status = add_run(&t, &mine);
    if (status == 0)
        status = run(&t, &texts, &mine);
    if (status == 0)
        status = register_model(&t, &mine);
    end_run(&t, status, &mine);
    if (status == 0)
        *out = result;
    else
        ml_fail(err, status, "%s", mine.message);
    ml_dataset_text_close(&texts);
    ml_buffer_clear(&t.recipe_text);
    ml_workspace_close(t.workspace);
    ml_arena_clear(&t.arena);
    return status;
}
