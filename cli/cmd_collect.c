#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

struct view {
    struct ml_progress progress;
    bool done; /* the last line was drawn */
};

enum { MAX_HOSTS = 32 };
enum { NAME_COLUMNS = 28 }; /* so that the bar and the time left keep their places */

static void show(void *arg, uint64_t files, uint64_t total, const char *path)
{
    struct view *view = arg;
    char detail[256];
    if (files >= total && view->done) /* one last line is enough */
        return;
    view->done = files >= total;
    int n = snprintf(detail, sizeof detail, "%llu of %llu files", (unsigned long long)files,
                     (unsigned long long)total),
        used;
    const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;
    if (name && !view->done) {
        size_t bytes = fit_columns(name, NAME_COLUMNS, &used);
        snprintf(detail + n, sizeof detail - (size_t)n, "  %.*s%s", (int)bytes, name,
                 name[bytes] ? "\xe2\x80\xa6" : "");
    }
    ml_progress_draw(&view->progress, "collect", (double)files, (double)total, detail);
}

static int print_result_json(const struct ml_collect_result *r, struct ml_error *err)
{
    ml_json_setup();
    json_t *skips = json_array();
    for (int i = 0; i < r->skip_count; i++) {
        json_t *examples = json_array();
        for (int e = 0; e < ML_COLLECT_EXAMPLES && r->skips[i].examples[e][0]; e++)
            json_array_append_new(examples, json_path(r->skips[i].examples[e]));
        json_array_append_new(skips,
                              json_pack("{s:s, s:I, s:o}", "reason", r->skips[i].reason, "count",
                                        (json_int_t)r->skips[i].count, "examples", examples));
    }
    return print_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "dataset",
                                r->dataset, "hash", r->dataset_hash, "records",
                                (json_int_t)r->dataset_records, "files", (json_int_t)r->files,
                                "added", (json_int_t)r->added, "already_there",
                                (json_int_t)r->already_there, "skipped", (json_int_t)r->skipped,
                                "bytes", (json_int_t)r->bytes, "skips", skips),
                      err);
}

int run_collect(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct view view = {0};
    struct ml_collect_result result = {0};
    int64_t megabytes = 0, depth = 0, pages = 0;
    const char *hosts[MAX_HOSTS];
    struct ml_collect_request request = {
        .workspace = cli->workspace,
        .paths = cli->arguments,
        .path_count = cli->argument_count,
        .dataset = cli_text(cli, "dataset"),
        .licence = cli_text(cli, "licence"),
        .allowed_hosts = hosts,
        .allowed_host_count = cli_all(cli, "allow-host", hosts, MAX_HOSTS),
        .allow_denied = cli_flag(cli, "allow-denied"),
        .cancel = cli->cancel,
        .progress = cli->quiet ? NULL : show,
        .arg = &view,
    };
    int status = cli_integer(cli, "max-file", 1, 1 << 20, &megabytes, err);
    request.max_file_bytes = (uint64_t)megabytes << 20;
    if (status == 0)
        status = cli_integer(cli, "depth", 0, 100, &depth, err);
    if (status == 0)
        status = cli_integer(cli, "max-pages", 1, 10000000, &pages, err);
    request.depth = (int)depth;
    request.max_pages = (uint64_t)pages;
    if (status == 0)
        status = open_engine(cli, &engine, err);
    ml_progress_init(&view.progress);
    if (status == 0)
        status = ml_engine_collect(engine, &request, &result, err);
    if (!cli->quiet)
        ml_progress_end(&view.progress);
    ml_engine_close(engine);
    if (status != 0)
        return status;
    if (cli->json)
        return print_result_json(&result, err);
    char bytes[32];
    printf("%s: %llu records (%llu new, %llu already there) from %llu files, %s\n", result.dataset,
           (unsigned long long)result.dataset_records, (unsigned long long)result.added,
           (unsigned long long)result.already_there, (unsigned long long)result.files,
           ml_format_bytes(bytes, sizeof bytes, (double)result.bytes));
    for (int i = 0; i < result.skip_count && !cli->quiet; i++)
        fprintf(stderr, "left out: %llu %s, such as %s\n",
                (unsigned long long)result.skips[i].count, result.skips[i].reason,
                result.skips[i].examples[0]);
    return 0;
}
