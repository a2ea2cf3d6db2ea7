/* Collecting through the public API: into a workspace, then into a dataset. */
#include <stdio.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "data/collect_web.h"

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

/* Paths first, then addresses, each in the order given. */
static size_t sort_paths(const char **out, const struct ml_collect_request *request)
{
    size_t files = 0, at = 0;
    for (int i = 0; i < request->path_count; i++)
        if (!ml_collect_is_url(request->paths[i]))
            out[files++] = request->paths[i];
    at = files;
    for (int i = 0; i < request->path_count; i++)
        if (ml_collect_is_url(request->paths[i]))
            out[at++] = request->paths[i];
    return files;
}

static int collect_web(struct ml_workspace *workspace, const struct ml_collect_request *request,
                       const char *const *urls, size_t count,
                       const struct ml_collect_options *options, struct ml_collect_report *report,
                       struct ml_collect_sources *sources, struct ml_error *err)
{
    const struct ml_collect_web_options web = {.depth = request->depth,
                                               .max_pages = request->max_pages,
                                               .allowed_hosts = request->allowed_hosts,
                                               .allowed_count = (size_t)request->allowed_host_count,
                                               .cancel = request->cancel};
    int status = ml_collect_web(workspace, urls, count, options, &web, report, sources, err);
    if (status == 0 && report->added + report->present + report->repeated == 0)
        status = ml_collect_nothing_of(report, urls, count, err);
    return status;
}

/* Files, then the web, then the dataset of both. */
static int collect_all(struct ml_workspace *workspace, const struct ml_collect_request *request,
                       struct ml_collect_report *report, struct ml_dataset *dataset,
                       struct ml_error *err)
{
    const struct ml_collect_options options = {.max_file_bytes = request->max_file_bytes,
                                               .licence = request->licence,
                                               .allow_denied = request->allow_denied,
                                               .progress = progress,
                                               .arg = (void *)(uintptr_t)request};
    const char *name = request->dataset ? request->dataset : "default";
    struct ml_collect_sources sources = {0};
    struct ml_arena arena;
    size_t count = (size_t)request->path_count;
    int status = 0;
    ml_arena_init(&arena, 0);
    ml_arena_init(&sources.arena, 0);
    const char **sorted = ml_arena_calloc(&arena, count, sizeof *sorted);
    size_t files = sorted ? sort_paths(sorted, request) : 0;
    if (!sorted)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory collecting");
    if (status == 0 && files > 0)
        status = ml_collect(workspace, sorted, files, &options, report, err);
    if (status == 0 && files < count)
        status = collect_web(workspace, request, sorted + files, count - files, &options, report,
                             &sources, err);
    const char **all = status ? NULL : ml_arena_calloc(&arena, files + sources.count, sizeof *all);
    if (status == 0 && !all)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory collecting");
    if (status == 0) {
        memcpy(all, sorted, files * sizeof *all);
        if (sources.count)
            memcpy(all + files, sources.uris, sources.count * sizeof *all);
        status =
            ml_collect_dataset(workspace, name, all, files + sources.count, dataset, NULL, err);
    }
    ml_arena_clear(&sources.arena);
    ml_arena_clear(&arena);
    return status;
}

int ml_engine_collect(struct ml_engine *engine, const struct ml_collect_request *request,
                      struct ml_collect_result *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_workspace_options how = {.create = true};
    struct ml_collect_report report = {0};
    struct ml_dataset dataset;
    struct ml_collect_result result = {0};
    (void)engine;
    if (!request->workspace || request->path_count < 1)
        return ml_fail(err, ML_ERR_ARG, "collecting needs a workspace and at least one path");
    int status = ml_workspace_open(&workspace, request->workspace, &how, err);
    if (status == 0)
        status = collect_all(workspace, request, &report, &dataset, err);
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
