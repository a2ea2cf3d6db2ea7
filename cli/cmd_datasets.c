#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/words.h"
#include "commands.h"

static void draw(void *arg, int64_t done, int64_t total)
{
    char detail[96], a[32], b[32];
    snprintf(detail, sizeof detail, "%s of %s records", ml_format_count(a, sizeof a, (double)done),
             ml_format_count(b, sizeof b, (double)total));
    ml_progress_draw(arg, "read", (double)done, (double)(total ? total : 1), detail);
}

/* With a bar unless that is not wanted; the end of the bar is the caller's. */
static struct ml_dataset_work work_of(struct cli *cli, struct ml_progress *progress)
{
    ml_progress_init(progress);
    return (struct ml_dataset_work){
        .cancel = cli->cancel, .progress = cli->quiet ? NULL : draw, .arg = progress};
}

static void end_bar(struct cli *cli, struct ml_progress *progress)
{
    if (!cli->quiet)
        ml_progress_end(progress);
}

static const char *day_of(char buffer[16], int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm parts;
    if (!gmtime_r(&when, &parts) || strftime(buffer, 16, "%Y-%m-%d", &parts) == 0)
        return "?";
    return buffer;
}

static int list(struct cli *cli, struct ml_error *err)
{
    struct ml_dataset_info *all = NULL;
    int count = 0;
    int status = ml_material_datasets(cli->workspace, &all, &count, err);
    if (status)
        return status;
    if (cli->json) {
        ml_json_setup();
        json_t *array = json_array();
        for (int i = 0; i < count; i++)
            json_array_append_new(
                array, json_pack("{s:s, s:s, s:i, s:I, s:I, s:I}", "name", all[i].name, "hash",
                                 all[i].hash, "version", all[i].version, "records",
                                 (json_int_t)all[i].records, "bytes", (json_int_t)all[i].bytes,
                                 "created", (json_int_t)all[i].created));
        status = print_json(array, err);
    } else if (count == 0) {
        printf("%s\n", cli->chinese ? "还没有数据集；收集一些：maliang collect 目录"
                                    : "no datasets yet; collect some: maliang collect FOLDER");
    } else {
        char bytes[32], day[16];
        printf("%-28s %9s %10s  %-10s  %s\n", "name", "records", "size", "made", "hash");
        for (int i = 0; i < count; i++) {
            print_column(all[i].name, 28);
            printf(" %9llu %10s  %-10s  %.12s\n", (unsigned long long)all[i].records,
                   ml_format_bytes(bytes, sizeof bytes, (double)all[i].bytes),
                   day_of(day, all[i].created), all[i].hash);
        }
    }
    ml_material_datasets_free(all);
    return status;
}

/* ---- show ---- */

enum { SHOWN = 8 }; /* rows of a count */

static int64_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

/* "licences      CC-BY-4.0 2, not stated 1": the most frequent. */
static void print_counts(struct cli *cli, const json_t *root, const char *name, const char *title)
{
    const json_t *rows = json_object_get(root, name);
    size_t count = json_array_size(rows);
    if (count == 0)
        return;
    print_column(title, 14);
    for (size_t i = 0; i < count && i < SHOWN; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *what = text(row, "name");
        printf("%s%s %lld", i ? ", " : "",
               *what          ? what
               : cli->chinese ? "未说明"
                              : "not stated",
               (long long)number(row, "records"));
    }
    if (count > SHOWN)
        printf(cli->chinese ? "，另有 %zu 项" : ", and %zu more", count - SHOWN);
    printf("\n");
}

static void print_labels(struct cli *cli, const json_t *root)
{
    size_t i;
    const json_t *rows = json_object_get(root, "labels"), *row;
    json_array_foreach(rows, i, row)
    {
        print_column(i ? "" : cli->chinese ? "标注" : "labels", 14);
        printf(cli->chinese ? "%s（%s）：%lld 个标注，%lld 人，%lld 条记录\n"
                            : "%s (%s): %lld by %lld people on %lld records\n",
               text(row, "queue"), text(row, "kind"), (long long)number(row, "labels"),
               (long long)number(row, "annotators"), (long long)number(row, "records"));
    }
}

static void print_facts(struct cli *cli, const json_t *root)
{
    static const struct {
        const char *name;
        struct words title;
    } counts[] = {{"kinds", {"kinds", "种类"}},           {"types", {"types", "媒体类型"}},
                  {"languages", {"languages", "语言"}},   {"sources", {"sources", "来源"}},
                  {"licences", {"licences", "许可证"}},   {"consent", {"consent", "同意训练"}},
                  {"operations", {"operations", "操作"}}, {"splits", {"splits", "划分"}}};
    char bytes[32], day[16];
    print_column(cli->chinese ? "名字" : "name", 14);
    printf("%s\n", text(root, "name"));
    print_column(cli->chinese ? "大小" : "size", 14);
    printf(cli->chinese ? "%lld 条记录，%s\n" : "%lld records, %s\n",
           (long long)number(root, "records"),
           ml_format_bytes(bytes, sizeof bytes, (double)number(root, "bytes")));
    print_column(cli->chinese ? "制于" : "made", 14);
    printf("%s\n", day_of(day, number(root, "created")));
    print_column(cli->chinese ? "哈希" : "hash", 14);
    printf("%s\n", text(root, "hash"));
    if (number(root, "texts")) {
        print_column(cli->chinese ? "文本" : "texts", 14);
        printf(cli->chinese ? "%lld 篇，%lld 字（最短 %lld，中位 %lld，最长 %lld）\n"
                            : "%lld, %lld characters (shortest %lld, median %lld, longest %lld)\n",
               (long long)number(root, "texts"), (long long)number(root, "characters"),
               (long long)number(root, "shortest"), (long long)number(root, "median"),
               (long long)number(root, "longest"));
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        print_counts(cli, root, counts[i].name, cli_words(cli, counts[i].title));
    print_labels(cli, root);
}

static int show(struct cli *cli, struct ml_error *err)
{
    struct ml_progress progress;
    struct ml_dataset_work work = work_of(cli, &progress);
    char *json = NULL;
    json_t *root = NULL;
    int status = ml_material_describe(cli->workspace, cli->arguments[1], &work, &json, err);
    end_bar(cli, &progress);
    if (status)
        return status;
    if (cli->json) {
        printf("%s\n", json);
    } else {
        status = ml_json_parse(&root, json, strlen(json), "the description", err);
        if (status == 0)
            print_facts(cli, root);
        json_decref(root);
    }
    ml_string_free(json);
    return status;
}

/* ---- card and export ---- */

static int card(struct cli *cli, struct ml_error *err)
{
    struct ml_progress progress;
    struct ml_dataset_work work = work_of(cli, &progress);
    const char *language = cli_text(cli, "language");
    char *markdown = NULL;
    int status = ml_material_card(cli->workspace, cli->arguments[1],
                                  language       ? language
                                  : cli->chinese ? "zh"
                                                 : "en",
                                  &work, &markdown, err);
    end_bar(cli, &progress);
    if (status)
        return status;
    if (cli->json) {
        ml_json_setup();
        status = print_json(json_pack("{s:s, s:s}", "dataset", cli->arguments[1], "card", markdown),
                            err);
    } else {
        fputs(markdown, stdout);
    }
    ml_string_free(markdown);
    return status;
}

static int export_dataset(struct cli *cli, struct ml_error *err)
{
    struct ml_progress progress;
    struct ml_dataset_export_request request = {.workspace = cli->workspace,
                                                .dataset = cli->arguments[1],
                                                .path = cli->arguments[2],
                                                .format = cli_text(cli, "format"),
                                                .creator = cli_text(cli, "creator"),
                                                .url = cli_text(cli, "url"),
                                                .work = work_of(cli, &progress)};
    struct ml_dataset_export_result result;
    int64_t megabytes = 0;
    int status = cli_integer(cli, "shard", 1, 1 << 20, &megabytes, err);
    if (status)
        return status;
    request.shard_bytes = (uint64_t)megabytes << 20;
    status = ml_material_export(&request, &result, err);
    end_bar(cli, &progress);
    if (status)
        return status;
    if (cli->json) {
        ml_json_setup();
        return print_json(json_pack("{s:s, s:s, s:o, s:I, s:I, s:i, s:s}", "dataset",
                                    result.dataset, "format", result.format, "path",
                                    json_path(request.path), "records", (json_int_t)result.records,
                                    "bytes", (json_int_t)result.bytes, "files", result.files,
                                    "hash", result.hash),
                          err);
    }
    char bytes[32];
    printf(cli->chinese ? "%s → %s：%llu 条记录，%d 个文件，%s\n"
                        : "%s -> %s: %llu records, %d file(s), %s\n",
           result.dataset, request.path, (unsigned long long)result.records, result.files,
           ml_format_bytes(bytes, sizeof bytes, (double)result.bytes));
    return 0;
}

int run_datasets(struct cli *cli, struct ml_error *err)
{
    static const struct {
        const char *name, *usage;
        int arguments;
        int (*run)(struct cli *, struct ml_error *);
    } actions[] = {{"list", "list", 1, list},
                   {"show", "show NAME", 2, show},
                   {"card", "card NAME", 2, card},
                   {"export", "export NAME OUT", 3, export_dataset}};
    enum { ACTIONS = sizeof actions / sizeof actions[0] };
    if (cli->argument_count == 0)
        return list(cli, err);
    for (int i = 0; i < ACTIONS; i++) {
        if (strcmp(cli->arguments[0], actions[i].name) != 0)
            continue;
        if (cli->argument_count != actions[i].arguments)
            return ml_fail(err, ML_ERR_ARG, "usage: maliang datasets %s", actions[i].usage);
        return actions[i].run(cli, err);
    }
    const char *nearest = ml_word_nearest(cli->arguments[0], cli->command->actions, ACTIONS);
    return ml_fail(err, ML_ERR_ARG, "datasets cannot \"%s\"%s%s%s", cli->arguments[0],
                   nearest ? "; did you mean " : "; see: maliang datasets --help",
                   nearest ? nearest : "", nearest ? "?" : "");
}
