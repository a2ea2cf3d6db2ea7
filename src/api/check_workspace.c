/* Looking over a workspace through the public API. */
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "store/check.h"

_Static_assert(sizeof(((struct ml_check_result *)0)->examples) ==
                   sizeof(((struct ml_workspace_report *)0)->examples),
               "examples of a check");

int ml_engine_check(struct ml_engine *engine, const struct ml_check_request *request,
                    struct ml_check_result *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_workspace_report r;
    const struct ml_workspace_check_options options = {
        .deep = request->deep, .repair = request->repair, .cancel = request->cancel};
    (void)engine;
    if (!request->workspace)
        return ml_fail(err, ML_ERR_ARG, "checking needs a workspace");
    int status = ml_workspace_open(&workspace, request->workspace, NULL, err);
    if (status == 0)
        status = ml_workspace_check(workspace, &options, &r, err);
    ml_workspace_close(workspace);
    if (status)
        return status;
    *out = (struct ml_check_result){.records = r.records,
                                    .datasets = r.datasets,
                                    .blobs = r.blobs,
                                    .blob_bytes = r.blob_bytes,
                                    .stray_files = r.stray_files,
                                    .stray_bytes = r.stray_bytes,
                                    .unused_blobs = r.unused_blobs,
                                    .unused_bytes = r.unused_bytes,
                                    .unfinished = r.unfinished,
                                    .missing = r.missing,
                                    .damaged = r.damaged,
                                    .database_sound = r.database_sound,
                                    .repaired = r.repaired};
    memcpy(out->database_problem, r.database_problem, sizeof out->database_problem);
    memcpy(out->examples, r.examples, sizeof out->examples);
    return 0;
}
