/* Is a workspace sound? (store/check.h) */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "api_impl.h"
#include "base/fail.h"
#include "store/check.h"

_Static_assert(ML_CHECK_FINDINGS == ML_CHECK_EXAMPLES, "as many findings as the store keeps");

static int progress(void *arg, int64_t done, int64_t total)
{
    const struct ml_check_request *r = arg;
    if (r->progress)
        r->progress(r->arg, (uint64_t)done, (uint64_t)total);
    return r->cancel && *r->cancel;
}

static void fill(struct ml_check_result *out, const struct ml_workspace_check *found)
{
    out->blobs = (uint64_t)found->blobs;
    out->bytes = (uint64_t)found->bytes;
    out->records = (uint64_t)found->records;
    out->database_faults = (uint64_t)found->database;
    out->orphans = (uint64_t)found->orphans;
    out->orphan_bytes = (uint64_t)found->orphan_bytes;
    out->leftovers = (uint64_t)found->leftovers;
    out->strangers = (uint64_t)found->strangers;
    out->missing = (uint64_t)found->missing;
    out->damaged = (uint64_t)found->damaged;
    out->restored = (uint64_t)found->restored;
    out->lost_records = (uint64_t)found->lost_records;
    out->unnamed = (uint64_t)found->unnamed;
    out->unnamed_bytes = (uint64_t)found->unnamed_bytes;
    out->unfinished = (uint64_t)found->unfinished;
    out->stale_runs = (uint64_t)found->stale_runs;
    out->problems = (uint64_t)found->problems;
    out->remaining = (uint64_t)found->remaining;
    out->finding_count = found->example_count;
    for (int i = 0; i < found->example_count; i++)
        snprintf(out->findings[i], sizeof out->findings[i], "%s", found->examples[i]);
}

int ml_engine_check_workspace(struct ml_engine *engine, const struct ml_check_request *request,
                              struct ml_check_result *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_workspace_check found;
    struct ml_check_result result = {.database = ""};
    const struct ml_check_options options = {.repair = request->repair,
                                             .deep = request->deep,
                                             .progress = progress,
                                             .arg = (void *)request};
    (void)engine;
    if (!request->workspace)
        return ml_fail(err, ML_ERR_ARG, "checking needs a workspace");
    const struct ml_workspace_options how = {
        .read_only = !request->repair && access(request->workspace, W_OK) != 0 && errno != ENOENT};
    int status = ml_workspace_open(&workspace, request->workspace, &how, err);
    if (status == 0)
        status = ml_workspace_check(workspace, &options, &found, err);
    if (status == 0) {
        snprintf(result.database, sizeof result.database, "%s", ml_workspace_database(workspace));
        fill(&result, &found);
        *out = result;
    }
    ml_workspace_close(workspace);
    return status;
}
