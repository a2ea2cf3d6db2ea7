/* Curating through the public API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/files.h"
#include "data/curation.h"

#define MAX_RECIPE ((size_t)1 << 20)

_Static_assert((int)ML_CURATE_REASONS == (int)ML_CURATE_MAX_REASONS, "reasons of a step");
_Static_assert((int)ML_CURATE_SHOWN == (int)ML_CURATE_EXAMPLES, "examples of a reason");

static int progress(void *arg, int64_t done, int64_t total)
{
    const struct ml_curate_request *r = arg;
    if (r->progress)
        r->progress(r->arg, done, total);
    return r->cancel && *r->cancel;
}

static int by_count(const void *a, const void *b)
{
    const struct ml_curate_cause *x = a, *y = b;
    return (x->count < y->count) - (x->count > y->count);
}

static void fill_stage(struct ml_curate_stage *out, const struct ml_curate_step_report *step)
{
    snprintf(out->name, sizeof out->name, "%s", step->name);
    out->in = step->in;
    out->dropped = step->dropped;
    out->changed = step->changed;
    out->cause_count = step->reason_count;
    for (int i = 0; i < step->reason_count; i++) {
        struct ml_curate_cause *cause = &out->causes[i];
        cause->changed = step->reasons[i].changed;
        cause->count = step->reasons[i].count;
        memcpy(cause->why, step->reasons[i].why, sizeof cause->why);
        memcpy(cause->examples, step->reasons[i].examples, sizeof cause->examples);
    }
    qsort(out->causes, (size_t)out->cause_count, sizeof out->causes[0], by_count);
}

static int fill(struct ml_curate_result *out, const struct ml_curate_report *r,
                struct ml_error *err)
{
    const struct ml_dataset *made[] = {&r->output, &r->validation, &r->test};
    struct ml_curate_result result = {.records = r->records,
                                      .bytes = r->bytes,
                                      .kept = r->kept,
                                      .kept_bytes = r->kept_bytes,
                                      .train = r->split[0],
                                      .validation = r->split[1],
                                      .test = r->split[2],
                                      .seconds = r->seconds,
                                      .stage_count = r->step_count};
    result.stages = ml_mem_calloc((size_t)r->step_count + 1, sizeof *result.stages);
    if (!result.stages)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for the report of a curation");
    snprintf(result.input, sizeof result.input, "%s", r->input);
    for (int i = 0; i < 3; i++)
        if (made[i]->id)
            snprintf(result.outputs[i], sizeof result.outputs[i], "%s@%d", made[i]->name,
                     made[i]->version);
    for (int i = 0; i < r->step_count; i++)
        fill_stage(&result.stages[i], &r->steps[i]);
    *out = result;
    return 0;
}

int ml_engine_curate(struct ml_engine *engine, const struct ml_curate_request *request,
                     struct ml_curate_result *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_curate_recipe *recipe = NULL;
    struct ml_curate_report *report = NULL;
    struct ml_arena arena;
    char *text;
    size_t size;
    const struct ml_workspace_options how = {.read_only = request->dry_run};
    const struct ml_curate_options options = {.input = request->input,
                                              .output = request->output,
                                              .dry_run = request->dry_run,
                                              .pool = engine->device->pool,
                                              .progress = progress,
                                              .arg = (void *)(uintptr_t)request};
    if (!request->workspace || !request->recipe)
        return ml_fail(err, ML_ERR_ARG, "curating needs a workspace and a recipe");
    ml_arena_init(&arena, 0);
    int status = ml_file_read(&arena, request->recipe, MAX_RECIPE, &text, &size, err);
    if (status == 0)
        status = ml_curate_recipe_parse(&recipe, &arena, text, size, request->recipe, err);
    if (status == 0 && !(report = ml_mem_calloc(1, sizeof *report)))
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory curating");
    if (status == 0)
        status = ml_workspace_open(&workspace, request->workspace, &how, err);
    if (status == 0)
        status = ml_curate(workspace, recipe, &options, report, err);
    if (status == 0)
        status = fill(out, report, err);
    ml_workspace_close(workspace);
    ml_mem_free(report);
    ml_arena_clear(&arena);
    return status;
}

void ml_curate_result_clear(struct ml_curate_result *result)
{
    if (!result)
        return;
    ml_mem_free(result->stages);
    *result = (struct ml_curate_result){0};
}
