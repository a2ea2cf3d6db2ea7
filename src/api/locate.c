/* From what a person calls a model to the folder it lies in. */
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/files.h"
#include "maliang_config.h"
#include "store/models.h"

char *ml_locate_starters(struct ml_arena *arena)
{
    const char *places[] = {getenv("MALIANG_STARTERS"), MALIANG_STARTERS_SOURCE,
                            MALIANG_STARTERS_INSTALLED};
    for (int i = 0; i < 3; i++)
        if (places[i] && ml_path_is_dir(places[i]))
            return ml_arena_strdup(arena, places[i]);
    return NULL;
}

static bool is_model_folder(struct ml_arena *arena, const char *folder)
{
    char *config = ml_path_join(arena, folder, "config.json");
    return config && ml_path_exists(config);
}

/* Looks the name up in the workspace's registry; ML_ERR_NOT_FOUND is no message yet. */
static int from_workspace(char **out, struct ml_arena *arena, const char *folder, const char *model,
                          struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_workspace_options options = {.read_only = true};
    struct ml_model_entry entry, *all = NULL;
    size_t count = 0;
    int status = ml_workspace_open(&workspace, folder, &options, err);
    if (status == 0)
        status = ml_models_list(workspace, arena, &all, &count, err);
    bool found = false;
    for (size_t i = 0; status == 0 && i < count && !found; i++) {
        found = model ? strcmp(all[i].name, model) == 0
                      : strcmp(all[i].kind, "text") == 0 && all[i].stage != ML_STAGE_ARCHIVED;
        if (found)
            entry = all[i];
    }
    if (status == 0 && found) {
        *out = ml_workspace_path(workspace, arena, entry.path);
        status = *out ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory");
    } else if (status == 0) {
        status = ML_ERR_NOT_FOUND;
    }
    ml_workspace_close(workspace);
    return status;
}

int ml_locate_model(char **out, struct ml_arena *arena, const char *workspace, const char *model,
                    struct ml_error *err)
{
    if (model && ml_path_is_dir(model) && is_model_folder(arena, model)) {
        *out = ml_arena_strdup(arena, model);
        return *out ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory");
    }
    if (workspace && ml_workspace_is_one(workspace)) {
        int status = from_workspace(out, arena, workspace, model, err);
        if (status != ML_ERR_NOT_FOUND)
            return status;
    }
    char *starters = ml_locate_starters(arena);
    char *folder =
        starters && model && !strchr(model, '/') ? ml_path_join(arena, starters, model) : NULL;
    if (folder && is_model_folder(arena, folder)) {
        *out = folder;
        return 0;
    }
    if (!model)
        return ml_fail(err, ML_ERR_NOT_FOUND,
                       "no model in the workspace %s yet: train one, or take a starter with "
                       "--model verse or --model fables",
                       workspace ? workspace : "(none)");
    return ml_fail(
        err, ML_ERR_NOT_FOUND,
        "there is no model \"%s\": not a folder with a config.json, not in the workspace "
        "%s, not a starter; see: maliang models",
        model, workspace ? workspace : "(none)");
}
