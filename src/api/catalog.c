/* The catalogue: the workspace's registry and the starters, one view for both; export. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/files.h"
#include "generate/text_pack.h"
#include "store/models.h"

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static double number_of(const json_t *about, const char *key)
{
    const json_t *value = json_object_get(about, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static int64_t add_file_size(const char *folder, const char *name)
{
    char path[1200];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

/* What the folder itself says. A folder that does not (any more) hold a model leaves zeros. */
static int describe_folder(struct ml_model_info *m, struct ml_error *err)
{
    struct ml_hf_config config;
    struct ml_error ignored = {0};
    json_t *about = NULL;
    if (ml_hf_config_read(&config, m->path, &ignored) == 0) {
        m->layers = config.layers;
        m->width = config.width;
        m->context = config.context;
        m->vocab = config.vocab;
    }
    m->bytes =
        add_file_size(m->path, "model.safetensors") + add_file_size(m->path, "tokenizer.json");
    int status = ml_text_pack_about(&about, m->path, err);
    if (status != 0)
        return status;
    copy(m->description, sizeof m->description,
         json_string_value(json_object_get(about, "description")));
    const json_t *metrics = json_object_get(about, "metrics");
    m->validation_loss = number_of(metrics, "validation_loss");
    m->bits_per_character = number_of(metrics, "bits_per_character");
    const char *text = json_string_value(json_object_get(about, "licence"));
    if (!m->licence[0])
        copy(m->licence, sizeof m->licence, text);
    text = json_string_value(json_object_get(about, "created"));
    if (!m->created[0])
        copy(m->created, sizeof m->created, text);
    text = json_string_value(json_object_get(about, "recipe_hash"));
    if (!m->recipe_hash[0])
        copy(m->recipe_hash, sizeof m->recipe_hash, text);
    text = json_string_value(json_object_get(about, "dataset_hash"));
    if (!m->dataset_hash[0])
        copy(m->dataset_hash, sizeof m->dataset_hash, text);
    if (m->parameters == 0)
        m->parameters = (int64_t)json_integer_value(json_object_get(about, "parameters"));
    json_decref(about);
    return 0;
}

/* ---- a growing list ---- */

struct list {
    struct ml_model_info *items;
    int count, capacity;
};

static struct ml_model_info *append(struct list *list, struct ml_error *err)
{
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 16;
        struct ml_model_info *items = ml_mem_realloc(list->items, (size_t)capacity * sizeof *items);
        if (!items) {
            ml_fail(err, ML_ERR_MEMORY, "out of memory for a list of models");
            return NULL;
        }
        list->items = items;
        list->capacity = capacity;
    }
    struct ml_model_info *m = &list->items[list->count++];
    memset(m, 0, sizeof *m);
    m->validation_loss = m->bits_per_character = NAN;
    return m;
}

static int add_entry(struct list *list, struct ml_workspace *workspace, struct ml_arena *arena,
                     const struct ml_model_entry *entry, struct ml_error *err)
{
    struct ml_model_info *m = append(list, err);
    char *path = ml_workspace_path(workspace, arena, entry->path);
    if (!m || !path)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a list of models");
    copy(m->name, sizeof m->name, entry->name);
    copy(m->kind, sizeof m->kind, entry->kind);
    copy(m->stage, sizeof m->stage, ml_model_stage_name(entry->stage));
    copy(m->origin, sizeof m->origin, "workspace");
    copy(m->path, sizeof m->path, path);
    copy(m->licence, sizeof m->licence, entry->licence);
    copy(m->recipe_hash, sizeof m->recipe_hash, entry->recipe_hash);
    copy(m->dataset_hash, sizeof m->dataset_hash, entry->dataset_hash);
    m->parameters = entry->parameters;
    time_t created = (time_t)entry->created;
    struct tm utc;
    if (gmtime_r(&created, &utc))
        strftime(m->created, sizeof m->created, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return describe_folder(m, err);
}

static int add_workspace(struct list *list, const char *folder, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_workspace_options options = {.read_only = true};
    struct ml_model_entry *entries = NULL;
    struct ml_arena arena;
    size_t count = 0;
    if (!folder || !ml_workspace_is_one(folder))
        return 0;
    ml_arena_init(&arena, 0);
    int status = ml_workspace_open(&workspace, folder, &options, err);
    if (status == 0)
        status = ml_models_list(workspace, &arena, &entries, &count, err);
    for (size_t i = 0; i < count && status == 0; i++)
        status = add_entry(list, workspace, &arena, &entries[i], err);
    ml_workspace_close(workspace);
    ml_arena_clear(&arena);
    return status;
}

static int add_starter(struct list *list, const char *folder, const char *name,
                       struct ml_error *err)
{
    struct ml_model_info *m = append(list, err);
    if (!m)
        return ML_ERR_MEMORY;
    copy(m->name, sizeof m->name, name);
    copy(m->kind, sizeof m->kind, "text");
    copy(m->stage, sizeof m->stage, "-");
    copy(m->origin, sizeof m->origin, "starter");
    if (snprintf(m->path, sizeof m->path, "%s/%s", folder, name) >= (int)sizeof m->path) {
        list->count--;
        return 0;
    }
    if (add_file_size(m->path, "config.json") == 0) {
        list->count--;
        return 0;
    }
    return describe_folder(m, err);
}

enum { MAX_STARTERS = 256 };

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_starters(struct list *list, struct ml_error *err)
{
    struct ml_arena arena;
    const char *names[MAX_STARTERS];
    int count = 0, status = 0;
    ml_arena_init(&arena, 0);
    char *folder = ml_locate_starters(&arena);
    DIR *dir = folder ? opendir(folder) : NULL;
    for (struct dirent *e; dir && count < MAX_STARTERS && (e = readdir(dir));)
        if (e->d_name[0] != '.' && (names[count] = ml_arena_strdup(&arena, e->d_name)))
            count++;
    if (dir)
        closedir(dir);
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count && status == 0; i++)
        status = add_starter(list, folder, names[i], err);
    ml_arena_clear(&arena);
    return status;
}

int ml_catalog_list(const char *workspace, struct ml_model_info **out, int *count,
                    struct ml_error *err)
{
    struct list list = {0};
    int status = add_workspace(&list, workspace, err);
    if (status == 0)
        status = add_starters(&list, err);
    if (status != 0) {
        ml_mem_free(list.items);
        return status;
    }
    *out = list.items;
    *count = list.count;
    return 0;
}

void ml_catalog_free(struct ml_model_info *models)
{
    ml_mem_free(models);
}

int ml_catalog_find(const char *workspace, const char *model, struct ml_model_info *out,
                    struct ml_error *err)
{
    struct ml_model_info *models = NULL;
    struct ml_arena arena;
    char *folder = NULL;
    int count = 0;
    ml_arena_init(&arena, 0);
    int status = ml_locate_model(&folder, &arena, workspace, model, err);
    if (status == 0)
        status = ml_catalog_list(workspace, &models, &count, err);
    bool found = false;
    for (int i = 0; i < count && !found; i++) {
        found = strcmp(models[i].path, folder) == 0;
        if (found)
            *out = models[i];
    }
    if (status == 0 && !found) { /* a folder that is in no list */
        struct ml_model_info m = {.validation_loss = NAN, .bits_per_character = NAN};
        copy(m.name, sizeof m.name, model ? model : folder);
        copy(m.kind, sizeof m.kind, "text");
        copy(m.stage, sizeof m.stage, "-");
        copy(m.origin, sizeof m.origin, "folder");
        copy(m.path, sizeof m.path, folder);
        status = describe_folder(&m, err);
        if (status == 0)
            *out = m;
    }
    ml_catalog_free(models);
    ml_arena_clear(&arena);
    return status;
}

/* ---- changes ---- */

static int change(const char *folder, int (*what)(struct ml_workspace *, void *, struct ml_error *),
                  void *arg, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    if (!folder || !ml_workspace_is_one(folder))
        return ml_fail(err, ML_ERR_NOT_FOUND, "%s is not a workspace", folder ? folder : "(none)");
    int status = ml_workspace_open(&workspace, folder, NULL, err);
    if (status == 0)
        status = what(workspace, arg, err);
    ml_workspace_close(workspace);
    return status;
}

struct stage_change {
    const char *model;
    enum ml_model_stage stage;
};

static int do_stage(struct ml_workspace *workspace, void *arg, struct ml_error *err)
{
    const struct stage_change *s = arg;
    return ml_models_set_stage(workspace, s->model, s->stage, err);
}

int ml_catalog_set_stage(const char *workspace, const char *model, const char *stage,
                         struct ml_error *err)
{
    struct stage_change s = {.model = model};
    int status = ml_model_stage_parse(&s.stage, stage, err);
    return status == 0 ? change(workspace, do_stage, &s, err) : status;
}

struct removal {
    const char *model;
    int files;
};

static int do_remove(struct ml_workspace *workspace, void *arg, struct ml_error *err)
{
    const struct removal *r = arg;
    struct ml_model_entry entry;
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    int status = ml_models_get(workspace, r->model, &arena, &entry, err);
    char *path = status == 0 ? ml_workspace_path(workspace, &arena, entry.path) : NULL;
    if (status == 0 && !path)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory");
    if (status == 0)
        status = ml_models_remove(workspace, r->model, err);
    if (status == 0 && r->files)
        status = ml_dir_remove(path, err);
    ml_arena_clear(&arena);
    return status;
}

int ml_catalog_remove(const char *workspace, const char *model, int files, struct ml_error *err)
{
    struct removal r = {model, files};
    return change(workspace, do_remove, &r, err);
}
