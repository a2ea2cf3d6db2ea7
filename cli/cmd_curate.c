#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

static void show(void *arg, int64_t done, int64_t total)
{
    char detail[96], a[32], b[32];
    snprintf(detail, sizeof detail, "%s of %s records", ml_format_count(a, sizeof a, (double)done),
             ml_format_count(b, sizeof b, (double)total));
    ml_progress_draw(arg, "curate", (double)done, (double)(total ? total : 1), detail);
}

static json_t *stage_json(const struct ml_curate_stage *stage)
{
    json_t *causes = json_array();
    for (int i = 0; i < stage->cause_count; i++) {
        const struct ml_curate_cause *c = &stage->causes[i];
        json_t *examples = json_array();
        for (int e = 0; e < ML_CURATE_SHOWN && c->examples[e][0]; e++)
            json_array_append_new(examples, json_path(c->examples[e]));
        json_array_append_new(causes, json_pack("{s:s, s:b, s:I, s:o}", "why", c->why, "changed",
                                                c->changed, "count", (json_int_t)c->count,
                                                "examples", examples));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:o}", "step", stage->name, "in", (json_int_t)stage->in,
                     "dropped", (json_int_t)stage->dropped, "changed", (json_int_t)stage->changed,
                     "causes", causes);
}

static int print_result_json(const struct ml_curate_result *r, bool dry_run, struct ml_error *err)
{
    ml_json_setup();
    json_t *steps = json_array();
    for (int i = 0; i < r->stage_count; i++)
        json_array_append_new(steps, stage_json(&r->stages[i]));
    return print_json(
        json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:f, s:o}", "input",
                  r->input, "dry_run", dry_run, "records", (json_int_t)r->records, "bytes",
                  (json_int_t)r->bytes, "kept", (json_int_t)r->kept, "kept_bytes",
                  (json_int_t)r->kept_bytes, "train", (json_int_t)r->train, "validation",
                  (json_int_t)r->validation, "test", (json_int_t)r->test, "output", r->outputs[0],
                  "validation_output", r->outputs[1], "test_output", r->outputs[2], "seconds",
                  r->seconds, "steps", steps),
        err);
}

/* Reasons below the step that had them, with one example each when asked for. */
static void print_stage(const struct ml_curate_stage *stage, int number, bool examples)
{
    char in[24], dropped[24], changed[24];
    printf("%2d %-18s%10s in", number, stage->name,
           ml_format_count(in, sizeof in, (double)stage->in));
    printf("%10s dropped", ml_format_count(dropped, sizeof dropped, (double)stage->dropped));
    if (stage->changed)
        printf("%10s changed", ml_format_count(changed, sizeof changed, (double)stage->changed));
    printf("\n");
    for (int i = 0; i < stage->cause_count; i++) {
        const struct ml_curate_cause *c = &stage->causes[i];
        printf("     %10lld  %s\n", (long long)c->count, c->why);
        for (int e = 0; examples && e < ML_CURATE_SHOWN && c->examples[e][0]; e++) {
            printf("                 ");
            int used, columns = 62;
            size_t bytes = fit_columns(c->examples[e], columns, &used);
            printf("%.*s%s\n", (int)bytes, c->examples[e],
                   c->examples[e][bytes] ? "\xE2\x80\xA6" : "");
        }
    }
}

static void print_result(const struct ml_curate_result *r, bool dry_run, bool examples)
{
    static const char *const splits[] = {"", "validation", "test"};
    const int64_t counts[] = {r->train, r->validation, r->test};
    char bytes[32];
    printf("%s: %lld records, %s\n", r->input, (long long)r->records,
           ml_format_bytes(bytes, sizeof bytes, (double)r->bytes));
    for (int i = 0; i < r->stage_count; i++)
        print_stage(&r->stages[i], i + 1, examples);
    if (dry_run)
        printf("dry run: %lld records, %s would stay; nothing was written\n", (long long)r->kept,
               ml_format_bytes(bytes, sizeof bytes, (double)r->kept_bytes));
    for (int i = 0; i < 3 && !dry_run; i++)
        if (r->outputs[i][0])
            printf("%s: %lld records%s%s%s\n", r->outputs[i], (long long)counts[i],
                   *splits[i] ? " (" : "", splits[i], *splits[i] ? ")" : "");
}

int run_curate(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_progress progress;
    struct ml_curate_result result = {0};
    const struct ml_curate_request request = {
        .workspace = cli->workspace,
        .recipe = cli->arguments[0],
        .input = cli_text(cli, "input"),
        .output = cli_text(cli, "output"),
        .dry_run = cli_flag(cli, "dry-run"),
        .cancel = cli->cancel,
        .progress = cli->quiet ? NULL : show,
        .arg = &progress,
    };
    int status = open_engine(cli, &engine, err);
    ml_progress_init(&progress);
    if (status == 0)
        status = ml_engine_curate(engine, &request, &result, err);
    if (!cli->quiet)
        ml_progress_end(&progress);
    ml_engine_close(engine);
    if (status != 0)
        return status;
    if (cli->json)
        status = print_result_json(&result, request.dry_run, err);
    else
        print_result(&result, request.dry_run, request.dry_run || cli_flag(cli, "examples"));
    ml_curate_result_clear(&result);
    return status;
}
