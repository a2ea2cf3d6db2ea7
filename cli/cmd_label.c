#include <jansson.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/words.h"
#include "commands.h"
#include "label_view.h"

static int start(struct cli *cli, struct ml_error *err)
{
    const char *queue = cli->arguments[1], *dataset = cli_text(cli, "dataset"),
               *task = cli_text(cli, "task");
    if (!dataset || !task)
        return ml_fail(err, ML_ERR_ARG,
                       "a queue needs a dataset and a task: maliang label start %s --dataset NAME "
                       "--task task.yaml",
                       queue);
    int status = ml_labelling_start(cli->workspace, queue, dataset, task, err);
    if (status)
        return status;
    if (cli->json) {
        ml_json_setup();
        return print_json(
            json_pack("{s:o, s:o}", "queue", json_path(queue), "dataset", json_path(dataset)), err);
    }
    if (!cli->quiet)
        printf(cli->chinese ? "队列 %s 已建立；开始标注：maliang label queue %s\n"
                            : "the queue %s is there; to label: maliang label queue %s\n",
               queue, queue);
    return 0;
}

/* ---- the page with the keys ---- */

static const char *annotator_of(struct cli *cli)
{
    const char *name = cli_text(cli, "annotator");
    const struct passwd *user = name ? NULL : getpwuid(getuid());
    if (!name)
        name = user && user->pw_name && *user->pw_name ? user->pw_name : "me";
    return name;
}

static int go_through(struct label_view *v, struct ml_error *err)
{
    int status = terminal_open(&v->terminal, err);
    if (status)
        return status;
    while (status == 0 && !v->done) {
        int key = 0;
        status = view_draw(v, err);
        int got = status == 0 ? terminal_key(&v->terminal, &key, err) : 0;
        if (got < 0)
            status = got;
        else if (got > 0)
            status = view_key(v, key, err);
    }
    terminal_close(&v->terminal);
    return status;
}

static void sum_up(const struct label_view *v)
{
    struct ml_labelling_counts c;
    ml_labelling_count(v->session, &c);
    int64_t labelled = c.mine - v->before.mine, skipped = c.skipped - v->before.skipped;
    printf(v->cli->chinese ? "%s：本次标注 %lld，跳过 %lld；完成 %lld/%lld，还剩 %lld\n"
                           : "%s: %lld labelled, %lld skipped this time; %lld of %lld done, %lld "
                             "left for you\n",
           v->queue, (long long)(labelled > 0 ? labelled : 0),
           (long long)(skipped > 0 ? skipped : 0), (long long)c.done, (long long)c.records,
           (long long)c.left);
    if (c.left == 0 && c.skipped > 0)
        printf(v->cli->chinese ? "跳过的 %lld 条：maliang label queue %s --skipped\n"
                               : "the %lld that were skipped: maliang label queue %s --skipped\n",
               (long long)c.skipped, v->queue);
}

static int queue(struct cli *cli, struct ml_error *err)
{
    struct label_view *v = ml_mem_calloc(1, sizeof *v);
    if (!v)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory");
    v->cli = cli;
    v->queue = cli->arguments[1];
    v->annotator = annotator_of(cli);
    int status = ml_labelling_open(&v->session, cli->workspace, v->queue, v->annotator,
                                   cli_flag(cli, "skipped"), err);
    if (status == 0) {
        v->task = ml_labelling_get_task(v->session);
        ml_labelling_count(v->session, &v->before);
        if (strcmp(v->task->kind, "box") == 0)
            status = ml_fail(err, ML_ERR_UNSUPPORTED,
                             "boxes are not drawn on a terminal; export the queue for Label Studio "
                             "(maliang label export %s tasks.json), label there, import the result",
                             v->queue);
    }
    if (status == 0)
        status = view_next(v, err);
    if (status == 0 && !v->done)
        status = go_through(v, err);
    if (status == 0)
        sum_up(v);
    view_clear(v);
    ml_labelling_close(v->session);
    ml_mem_free(v);
    return status;
}

/* ---- figures ---- */

static int64_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

static void print_queues(struct cli *cli, const json_t *list)
{
    size_t i, a;
    const json_t *q, *person;
    if (json_array_size(list) == 0) {
        printf("%s\n", cli->chinese ? "还没有标注队列；建立：maliang label start"
                                    : "no queues yet; make one: maliang label start");
        return;
    }
    printf("%-20s %-7s %8s %8s %8s %8s  %s\n", "queue", "kind", "records", "done", "labels",
           "proposed", "dataset");
    json_array_foreach(list, i, q)
    {
        print_column(text(q, "queue"), 20);
        printf(" %-7s %8lld %8lld %8lld %8lld  %s\n", text(q, "kind"),
               (long long)number(q, "records"), (long long)number(q, "done"),
               (long long)number(q, "labels"), (long long)number(q, "proposals"),
               text(q, "dataset"));
        json_array_foreach(json_object_get(q, "annotators"), a, person)
        {
            char seconds[32];
            double spent = json_number_value(json_object_get(person, "seconds"));
            printf("  ");
            print_column(text(person, "name"), 24);
            printf(cli->chinese ? " 标注 %lld，跳过 %lld，用时 %s\n"
                                : " %lld labelled, %lld skipped, %s\n",
                   (long long)number(person, "labels"), (long long)number(person, "skips"),
                   ml_format_seconds(seconds, sizeof seconds, spent));
        }
    }
}

/* "0.743", or "-" where the figure has no meaning. */
static const char *figure(char buffer[32], const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_number(value))
        snprintf(buffer, 32, "%.3f", json_number_value(value));
    else
        snprintf(buffer, 32, "-");
    return buffer;
}

static void print_agreement(struct cli *cli, const json_t *root)
{
    char a[32], b[32];
    size_t i;
    const json_t *pair, *value;
    const char *name;
    printf(cli->chinese ? "%s（%s）：%lld 条记录由两人以上标注，共 %lld 个标注\n"
                        : "%s (%s): %lld records labelled by two or more people, %lld labels\n",
           text(root, "queue"), text(root, "kind"), (long long)number(root, "records"),
           (long long)number(root, "labels"));
    printf("alpha (Krippendorff, %s)  %s\n", text(root, "scale"), figure(a, root, "alpha"));
    json_object_foreach(json_object_get((json_t *)root, "by_label"), name, value)
    {
        printf("  ");
        print_column(name, 24);
        printf("  %s\n", figure(a, json_object_get(root, "by_label"), name));
    }
    printf("%-16s %-16s %8s %8s %8s\n", "", "", "records", "kappa", "equal");
    json_array_foreach(json_object_get(root, "pairs"), i, pair)
    {
        print_column(text(pair, "a"), 16);
        printf(" ");
        print_column(text(pair, "b"), 16);
        printf(" %8lld %8s %8s\n", (long long)number(pair, "records"), figure(a, pair, "kappa"),
               figure(b, pair, "equal"));
    }
}

/* The library's JSON as it is, or printed for people. */
static int print_answer(struct cli *cli, char *json,
                        void (*print)(struct cli *cli, const json_t *root), struct ml_error *err)
{
    json_t *root = NULL;
    int status = 0;
    if (cli->json) {
        printf("%s\n", json);
    } else {
        status = ml_json_parse(&root, json, strlen(json), "the answer", err);
        if (status == 0)
            print(cli, root);
        json_decref(root);
    }
    ml_string_free(json);
    return status;
}

static int status_of(struct cli *cli, struct ml_error *err)
{
    char *json = NULL;
    int status = ml_labelling_status(
        cli->workspace, cli->argument_count > 1 ? cli->arguments[1] : NULL, &json, err);
    return status ? status : print_answer(cli, json, print_queues, err);
}

static int agreement(struct cli *cli, struct ml_error *err)
{
    char *json = NULL;
    int status = ml_labelling_agreement(cli->workspace, cli->arguments[1], &json, err);
    return status ? status : print_answer(cli, json, print_agreement, err);
}

static int learn(struct cli *cli, struct ml_error *err)
{
    struct ml_labelling_learnt learnt;
    int status = ml_labelling_learn(cli->workspace, cli->arguments[1], cli->cancel, &learnt, err);
    if (status)
        return status;
    if (cli->json) {
        ml_json_setup();
        return print_json(
            json_pack("{s:I, s:I, s:o, s:f}", "answers", (json_int_t)learnt.answers, "proposed",
                      (json_int_t)learnt.proposed, "accuracy",
                      isnan(learnt.accuracy) ? json_null() : json_real(learnt.accuracy),
                      "by_chance", learnt.by_chance),
            err);
    }
    printf("learnt from %lld answers, proposed %lld\n", (long long)learnt.answers,
           (long long)learnt.proposed);
    if (!isnan(learnt.accuracy))
        printf("right on answers that were held out: %.1f%% (the most frequent answer alone: "
               "%.1f%%)\n",
               100 * learnt.accuracy, 100 * learnt.by_chance);
    return 0;
}

/* ---- exchange ---- */

static struct ml_labelling_exchange exchange_of(struct cli *cli)
{
    return (struct ml_labelling_exchange){.workspace = cli->workspace,
                                          .queue = cli->arguments[1],
                                          .path = cli->arguments[2],
                                          .format = cli_text(cli, "format"),
                                          .annotator = cli_text(cli, "annotator")};
}

static int export_labels(struct cli *cli, struct ml_error *err)
{
    const struct ml_labelling_exchange request = exchange_of(cli);
    struct ml_labelling_written written;
    char bytes[32];
    int status = ml_labelling_export(&request, &written, err);
    if (status)
        return status;
    if (cli->json) {
        ml_json_setup();
        return print_json(json_pack("{s:o, s:o, s:I, s:I, s:I}", "queue", json_path(request.queue),
                                    "path", json_path(request.path), "records",
                                    (json_int_t)written.records, "labels",
                                    (json_int_t)written.labels, "bytes", (json_int_t)written.bytes),
                          err);
    }
    printf(cli->chinese ? "%s → %s：%lld 个标注（%lld 条记录），%s\n"
                        : "%s -> %s: %lld labels of %lld records, %s\n",
           request.queue, request.path, (long long)written.labels, (long long)written.records,
           ml_format_bytes(bytes, sizeof bytes, (double)written.bytes));
    return 0;
}

static int import_labels(struct cli *cli, struct ml_error *err)
{
    const struct ml_labelling_exchange request = exchange_of(cli);
    struct ml_labelling_imported in;
    int status = ml_labelling_import(&request, &in, err);
    if (status)
        return status;
    if (cli->json) {
        ml_json_setup();
        json_t *examples = json_array();
        for (int i = 0; i < ML_LABELLING_EXAMPLES && in.examples[i][0]; i++)
            json_array_append_new(examples, json_path(in.examples[i]));
        return print_json(json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "queue",
                                    json_path(request.queue), "labels", (json_int_t)in.labels,
                                    "proposals", (json_int_t)in.proposals, "skips",
                                    (json_int_t)in.skips, "already_there", (json_int_t)in.present,
                                    "left_out", (json_int_t)in.left_out, "examples", examples),
                          err);
    }
    printf(cli->chinese ? "%s：加入 %lld 个标注、%lld 个建议、%lld 个跳过；已有 %lld\n"
                        : "%s: %lld labels, %lld proposals, %lld skips added; %lld were there\n",
           request.queue, (long long)in.labels, (long long)in.proposals, (long long)in.skips,
           (long long)in.present);
    if (in.left_out && !cli->quiet)
        fprintf(stderr, cli->chinese ? "未采用 %lld 个，如 %s\n" : "left out: %lld, such as %s\n",
                (long long)in.left_out, in.examples[0]);
    return 0;
}

int run_label(struct cli *cli, struct ml_error *err)
{
    static const struct {
        const char *name, *usage;
        int low, high; /* arguments, with the action */
        int (*run)(struct cli *, struct ml_error *);
    } actions[] = {{"start", "start QUEUE --dataset NAME --task task.yaml", 2, 2, start},
                   {"queue", "queue QUEUE", 2, 2, queue},
                   {"status", "status [QUEUE]", 1, 2, status_of},
                   {"agreement", "agreement QUEUE", 2, 2, agreement},
                   {"learn", "learn QUEUE", 2, 2, learn},
                   {"export", "export QUEUE FILE", 3, 3, export_labels},
                   {"import", "import QUEUE FILE", 3, 3, import_labels}};
    enum { ACTIONS = sizeof actions / sizeof actions[0] };
    for (int i = 0; cli->argument_count && i < ACTIONS; i++) {
        if (strcmp(cli->arguments[0], actions[i].name) != 0)
            continue;
        if (cli->argument_count < actions[i].low || cli->argument_count > actions[i].high)
            return ml_fail(err, ML_ERR_ARG, "usage: maliang label %s", actions[i].usage);
        return actions[i].run(cli, err);
    }
    if (cli->argument_count == 0)
        return status_of(cli, err);
    const char *nearest = ml_word_nearest(cli->arguments[0], cli->command->actions, ACTIONS);
    return ml_fail(err, ML_ERR_ARG, "label cannot \"%s\"%s%s%s", cli->arguments[0],
                   nearest ? "; did you mean " : "; see: maliang label --help",
                   nearest ? nearest : "", nearest ? "?" : "");
}
