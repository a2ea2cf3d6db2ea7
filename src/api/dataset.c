/* Datasets through the public API: list, describe, card, export. */
#include <stdio.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/json.h"
#include "base/words.h"
#include "data/croissant.h"
#include "data/dataset_card.h"
#include "data/export_jsonl.h"
#include "data/export_parquet.h"
#include "data/export_webdataset.h"

static int open_workspace(struct ml_workspace **out, const char *folder, struct ml_error *err)
{
    if (!folder)
        return ml_fail(err, ML_ERR_ARG, "a dataset needs a workspace");
    return ml_workspace_open(out, folder, &(struct ml_workspace_options){.read_only = true}, err);
}

/* ---- list ---- */

int ml_material_datasets(const char *folder, struct ml_dataset_info **out, int *count,
                         struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_arena arena;
    struct ml_dataset *list = NULL;
    struct ml_dataset_info *infos = NULL;
    size_t n = 0;
    int status = open_workspace(&workspace, folder, err);
    if (status)
        return status;
    ml_arena_init(&arena, 0);
    status = ml_datasets_list(workspace, &arena, &list, &n, err);
    if (status == 0) {
        infos = ml_mem_calloc(n + 1, sizeof *infos);
        status = infos ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory listing datasets");
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        struct ml_dataset_info *info = &infos[i];
        snprintf(info->name, sizeof info->name, "%s@%d", list[i].name, list[i].version);
        memcpy(info->hash, list[i].hash, sizeof info->hash);
        info->version = list[i].version;
        info->records = (uint64_t)list[i].records;
        info->bytes = (uint64_t)list[i].bytes;
        info->created = list[i].time;
    }
    ml_arena_clear(&arena);
    ml_workspace_close(workspace);
    if (status)
        return status;
    *out = infos;
    *count = (int)n;
    return 0;
}

void ml_material_datasets_free(struct ml_dataset_info *datasets)
{
    ml_mem_free(datasets);
}

/* ---- describe ---- */

/* Values are taken over also when it fails; the first failure is remembered. */
struct maker {
    bool bad;
};

static void set(struct maker *m, json_t *object, const char *name, json_t *value)
{
    m->bad = json_object_set_new(object, name, value) != 0 || m->bad;
}

static json_t *tally_json(struct maker *m, const struct ml_tally *tally)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tally->count; i++) {
        json_t *row = json_object();
        set(m, row, "name", json_string(tally->rows[i].name));
        set(m, row, "records", json_integer(tally->rows[i].count));
        set(m, row, "bytes", json_integer(tally->rows[i].bytes));
        m->bad = json_array_append_new(list, row) != 0 || m->bad;
    }
    return list;
}

static json_t *operations_json(struct maker *m, const struct ml_tally *tally)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tally->count; i++) {
        json_t *row = json_object();
        set(m, row, "name", json_string(tally->rows[i].name));
        set(m, row, "records", json_integer(tally->rows[i].count));
        set(m, row, "changed", json_integer(tally->rows[i].bytes));
        m->bad = json_array_append_new(list, row) != 0 || m->bad;
    }
    return list;
}

static json_t *queues_json(struct maker *m, const struct ml_dataset_facts *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->queue_count; i++) {
        const struct ml_queue_facts *q = &f->queues[i];
        json_t *row = json_object(), *answers = json_object();
        for (size_t a = 0; a < q->answers.count; a++)
            set(m, answers, q->answers.rows[a].name, json_integer(q->answers.rows[a].count));
        set(m, row, "queue", json_string(q->name));
        set(m, row, "kind", json_string(q->kind));
        set(m, row, "labels", json_integer(q->labels));
        set(m, row, "records", json_integer(q->records));
        set(m, row, "annotators", json_integer(q->annotators));
        set(m, row, "proposals", json_integer(q->proposals));
        set(m, row, "answers", answers);
        m->bad = json_array_append_new(list, row) != 0 || m->bad;
    }
    return list;
}

static json_t *facts_json(struct maker *m, const struct ml_dataset_facts *f)
{
    const struct ml_dataset *d = &f->dataset;
    const struct {
        const char *name;
        const struct ml_tally *tally;
    } tallies[] = {{"kinds", &f->kinds},         {"types", &f->types},
                   {"languages", &f->languages}, {"sources", &f->sources},
                   {"licences", &f->licences},   {"consent", &f->consents},
                   {"splits", &f->splits}};
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"texts", f->texts},
                   {"characters", f->characters},
                   {"shortest", f->shortest},
                   {"median", f->median},
                   {"longest", f->longest},
                   {"captions", f->captions},
                   {"repeated", f->repeated},
                   {"replaced", f->replaced},
                   {"untitled", f->untitled},
                   {"languages_identified", f->found_languages},
                   {"first_added", f->first_time},
                   {"last_added", f->last_time}};
    json_t *root = json_object();
    set(m, root, "name", json_sprintf("%s@%d", d->name, d->version));
    set(m, root, "hash", json_string(d->hash));
    set(m, root, "records", json_integer(d->records));
    set(m, root, "bytes", json_integer(d->bytes));
    set(m, root, "created", json_integer(d->time));
    for (size_t i = 0; i < sizeof tallies / sizeof tallies[0]; i++)
        set(m, root, tallies[i].name, tally_json(m, tallies[i].tally));
    set(m, root, "operations", operations_json(m, &f->operations));
    if (f->curation.id) {
        set(m, root, "curated_from", json_string(f->curated_from));
        set(m, root, "curation_recipe_hash", json_string(f->curation.recipe_hash));
        set(m, root, "dropped", json_integer(f->dropped));
    }
    set(m, root, "labels", queues_json(m, f));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        set(m, root, numbers[i].name, json_integer(numbers[i].value));
    return root;
}

static int gather(struct ml_dataset_facts *out, const char *folder, const char *name,
                  const struct ml_dataset_work *work, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_dataset dataset;
    struct ml_export_options options = {0};
    if (work)
        options = (struct ml_export_options){
            .cancel = work->cancel, .progress = work->progress, .arg = work->arg};
    int status = open_workspace(&workspace, folder, err);
    if (status == 0)
        status = ml_datasets_open(workspace, name, &dataset, err);
    if (status == 0)
        status = ml_dataset_facts_open(out, workspace, &dataset, &options, err);
    ml_workspace_close(workspace);
    return status;
}

int ml_material_describe(const char *workspace, const char *dataset,
                         const struct ml_dataset_work *work, char **json, struct ml_error *err)
{
    struct ml_dataset_facts facts = {0};
    struct maker maker = {0};
    int status = gather(&facts, workspace, dataset, work, err);
    if (status)
        return status;
    json_t *root = facts_json(&maker, &facts);
    status = maker.bad ? ml_fail(err, ML_ERR_MEMORY, "out of memory describing a dataset")
                       : ml_json_text(json, root, JSON_INDENT(2), err);
    json_decref(root);
    ml_dataset_facts_close(&facts);
    return status;
}

int ml_material_card(const char *workspace, const char *dataset, const char *language,
                     const struct ml_dataset_work *work, char **markdown, struct ml_error *err)
{
    struct ml_dataset_facts facts = {0};
    struct ml_buffer text = {0};
    bool chinese = language && strcmp(language, "zh") == 0;
    if (language && !chinese && strcmp(language, "en") != 0)
        return ml_fail(err, ML_ERR_ARG, "cards are written in en or zh, not in \"%.40s\"",
                       language);
    int status = gather(&facts, workspace, dataset, work, err);
    if (status == 0)
        status = ml_dataset_card(&text, &facts, chinese, err);
    ml_dataset_facts_close(&facts);
    if (status)
        ml_buffer_clear(&text);
    else
        *markdown = text.data;
    return status;
}

/* ---- export ---- */

typedef int export_fn(struct ml_workspace *workspace, const struct ml_dataset *dataset,
                      const char *path, const struct ml_export_options *options,
                      struct ml_export_result *out, struct ml_error *err);

struct format {
    const char *name;
    export_fn *export;
    bool compress;
};
/* Parquet is compressed where the build can. */
static const struct format formats[] = {{"jsonl", ml_export_jsonl, false},
                                        {"jsonl.zst", ml_export_jsonl, true},
                                        {"webdataset", ml_export_webdataset, false},
                                        {"parquet", ml_export_parquet, true},
                                        {"croissant", ml_export_croissant, false}};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static const struct format *format_of_path(const char *path)
{
    size_t n = strlen(path);
    for (int i = 0; i < FORMATS; i++) {
        size_t length = strlen(formats[i].name);
        if (n > length + 1 && path[n - length - 1] == '.' &&
            strcmp(path + n - length, formats[i].name) == 0)
            return &formats[i];
    }
    return NULL;
}

static int find_format(const struct format **out, const struct ml_dataset_export_request *r,
                       struct ml_error *err)
{
    const char *names[FORMATS], *near;
    if (!r->format) {
        *out = format_of_path(r->path);
        return *out ? 0
                    : ml_fail(err, ML_ERR_ARG,
                              "\"%.200s\" does not end in .jsonl, .jsonl.zst or .parquet; say the "
                              "format: jsonl, jsonl.zst, webdataset, parquet or croissant",
                              r->path);
    }
    for (int i = 0; i < FORMATS; i++) {
        names[i] = formats[i].name;
        if (strcmp(r->format, names[i]) == 0) {
            *out = &formats[i];
            return 0;
        }
    }
    near = ml_word_nearest(r->format, names, FORMATS);
    return ml_fail(
        err, ML_ERR_ARG,
        "cannot export as \"%.40s\"%s%s%s; known: jsonl, jsonl.zst, webdataset, parquet, "
        "croissant",
        r->format, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

int ml_material_export(const struct ml_dataset_export_request *r,
                       struct ml_dataset_export_result *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_dataset dataset;
    struct ml_export_result result;
    const struct format *format = NULL;
    if (!r->dataset || !r->path)
        return ml_fail(err, ML_ERR_ARG, "an export needs a dataset and a path");
    int status = find_format(&format, r, err);
    if (status)
        return status;
    struct ml_export_options options = {.cancel = r->work.cancel,
                                        .progress = r->work.progress,
                                        .arg = r->work.arg,
                                        .compress = format->compress,
                                        .shard_bytes = r->shard_bytes,
                                        .group_rows = r->group_rows,
                                        .creator = r->creator,
                                        .url = r->url};
    if (format->export == ml_export_parquet)
        options.compress = ml_zstd_present();
    status = open_workspace(&workspace, r->workspace, err);
    if (status == 0)
        status = ml_datasets_open(workspace, r->dataset, &dataset, err);
    if (status == 0)
        status = format->export(workspace, &dataset, r->path, &options, &result, err);
    ml_workspace_close(workspace);
    if (status)
        return status;
    *out = (struct ml_dataset_export_result){
        .records = (uint64_t)result.records, .bytes = result.bytes, .files = result.files};
    snprintf(out->dataset, sizeof out->dataset, "%s@%d", dataset.name, dataset.version);
    snprintf(out->format, sizeof out->format, "%s", format->name);
    memcpy(out->hash, result.hash, sizeof out->hash);
    return 0;
}
