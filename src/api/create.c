/* A new workspace, here or elsewhere. */
#include <stdio.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/files.h"
#include "store/address.h"
#include "store/blobs.h"
#include "store/records.h"

/* After a failure: only the file that says where the rest lies; what lies there is empty. */
static void take_back(const char *folder)
{
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    char *path = ml_path_join(&arena, folder, ML_ADDRESS_FILE);
    if (path)
        remove(path);
    ml_arena_clear(&arena);
}

/* A database that has records already is joined; then their bytes must lie where it was said. */
static int check_joined(struct ml_workspace *workspace, struct ml_error *err)
{
    const struct ml_record_filter one = {.limit = 1, .with_replaced = true};
    struct ml_record_cursor *cursor = NULL;
    struct ml_record record;
    char hash[ML_HASH_HEX] = "";
    int status = ml_records_open(&cursor, workspace, &one, err);
    int got = status == 0 ? ml_records_next(cursor, &record, err) : status;
    if (got > 0)
        snprintf(hash, sizeof hash, "%s", record.blob);
    ml_records_close(cursor);
    if (got <= 0)
        return got;
    status = ml_blobs_verify(workspace, hash, NULL);
    return status != ML_ERR_NOT_FOUND
               ? 0
               : ml_fail(err, ML_ERR_STATE,
                         "%s holds a workspace whose files do not lie there; name the bucket that "
                         "it was made with (--blobs), or another schema",
                         ml_workspace_database(workspace));
}

int ml_engine_create_workspace(struct ml_engine *engine, const struct ml_create_request *request,
                               struct ml_create_result *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_create_result made = {.blobs = ""};
    const struct ml_workspace_options how = {
        .create = true, .database_url = request->database, .blobs_url = request->blobs};
    (void)engine;
    if (!request->workspace)
        return ml_fail(err, ML_ERR_ARG, "name the folder of the workspace");
    if (ml_workspace_is_one(request->workspace))
        return ml_fail(err, ML_ERR_STATE,
                       "%s: there is a workspace already; name a new folder, or use it as it is",
                       request->workspace);
    int status = ml_workspace_open(&workspace, request->workspace, &how, err);
    if (status == 0)
        status = ml_blobs_try(workspace, err);
    if (status == 0)
        status = check_joined(workspace, err);
    if (status == 0) {
        const char *blobs = request->blobs ? request->blobs : "blobs/ in the folder";
        snprintf(made.folder, sizeof made.folder, "%s", ml_workspace_folder(workspace));
        snprintf(made.database, sizeof made.database, "%s", ml_workspace_database(workspace));
        snprintf(made.blobs, sizeof made.blobs, "%.*s", (int)strcspn(blobs, "?"), blobs);
        *out = made;
    }
    ml_workspace_close(workspace);
    if (status && (request->database || request->blobs))
        take_back(request->workspace);
    return status;
}
