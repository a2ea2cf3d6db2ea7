/* Collecting through the public API: into a workspace, then into a dataset. */
#include <stdio.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "data/collect.h"

static int progress(void *arg, uint64_t files, uint64_t total, const char *path)
{
    const struct ml_collect_request *r = arg;
    if (r->progress)
        r->progress(r->arg, files, total, path);
    return r->cancel && *r->cancel;
}

static void fill_skips(struct ml_collect_result *out, const struct ml_collect_report *report)
{
    for (int reason = 0; reason < ML_SKIP_COUNT && out->skip_count < ML_COLLECT_REASONS; reason++) {
        if (report->skipped[reason].count == 0)
            continue;
        struct ml_collect_skip *skip = &out->skips[out->skip_count++];
        snprintf(skip->reason, sizeof skip->reason, "%s",
                 ml_collect_reason_name((enum ml_collect_reason)reason));
        skip->count = report->skipped[reason].count;
        out->skipped += skip->count;
        for (int e = 0; e < ML_COLLECT_EXAMPLES && e < ML_COLLECT_MAX_EXAMPLES; e++)
            snprintf(skip->examples[e], sizeof skip->examples[e], "%s",
                     report->skipped[reason].examples[e]);
    }
}

int ml_engine_collect(struct ml_engine *engine, const struct ml_collect_request *request,
                      struct ml_collect_result *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_workspace_options how = {.create = true};
    struct ml_collect_report report = {0};
    struct ml_dataset dataset;
    struct ml_collect_result result = {0};
    struct ml_collect_options options = {.max_file_bytes = request->max_file_bytes,
                                         .licence = request->licence,
                                         .progress = progress,
                                         .arg = (void *)request};
    const char *name = request->dataset ? request->dataset : "default";
    size_t count = (size_t)request->path_count;
    (void)engine;
    if (!request->workspace || request->path_count < 1)
        return ml_fail(err, ML_ERR_ARG, "collecting needs a workspace and at least one path");
    int status = ml_workspace_open(&workspace, request->workspace, &how, err);
    if (status == 0)
        status = ml_collect(workspace, request->paths, count, &options, &report, err);
    if (status == 0)
        status = ml_collect_dataset(workspace, name, request->paths, count, &dataset, NULL, err);
    ml_workspace_close(workspace);
    if (status != 0)
        return status;
    result.files = report.files;
    result.added = report.added;
    result.already_there = report.present + report.repeated;
    result.bytes = report.bytes;
    fill_skips(&result, &report);
    snprintf(result.dataset, sizeof result.dataset, "%s@%d", dataset.name, dataset.version);
    snprintf(result.dataset_hash, sizeof result.dataset_hash, "%s", dataset.hash);
    result.dataset_records = (uint64_t)dataset.records;
    *out = result;
    return 0;
}
