/* Labelling through the public API. */
#include <math.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/files.h"
#include "data/label_agreement.h"
#include "data/label_exchange.h"
#include "data/label_learn.h"
#include "store/labels.h"
#include "store/queues.h"

static int open_workspace(struct ml_workspace **out, const char *folder, bool read_only,
                          struct ml_error *err)
{
    if (!folder)
        return ml_fail(err, ML_ERR_ARG, "labelling needs a workspace");
    return ml_workspace_open(out, folder, &(struct ml_workspace_options){.read_only = read_only},
                             err);
}

int ml_labelling_start(const char *folder, const char *queue, const char *dataset,
                       const char *task_path, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_arena arena;
    char *task = NULL;
    size_t n;
    if (!queue || !dataset || !task_path)
        return ml_fail(err, ML_ERR_ARG, "a queue needs a name, a dataset and a task");
    ml_arena_init(&arena, 0);
    int status = ml_file_read(&arena, task_path, ML_LABEL_MAX_TASK, &task, &n, err);
    if (status == 0 && strlen(task) != n)
        status = ml_fail(err, ML_ERR_FORMAT, "%s: not text", task_path);
    if (status == 0)
        status = open_workspace(&workspace, folder, false, err);
    if (status == 0)
        status = ml_label_queue_start(workspace, queue, dataset, task, task_path, err);
    ml_workspace_close(workspace);
    ml_arena_clear(&arena);
    return status;
}

int ml_labelling_learn(const char *folder, const char *queue, ml_cancel *cancel,
                       struct ml_labelling_learnt *out, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_label_learnt learnt;
    int status = open_workspace(&workspace, folder, false, err);
    if (status == 0)
        status = ml_label_queue_learn(workspace, queue, cancel, &learnt, err);
    ml_workspace_close(workspace);
    if (status == 0)
        *out = (struct ml_labelling_learnt){learnt.answers, learnt.proposed, learnt.accuracy,
                                            learnt.by_chance};
    return status;
}

/* ---- status and agreement, as JSON ---- */

/* Values are taken over also when it fails; the first failure is remembered. */
struct maker {
    bool bad;
};

static void set(struct maker *m, json_t *object, const char *name, json_t *value)
{
    m->bad = json_object_set_new(object, name, value) != 0 || m->bad;
}

static void append(struct maker *m, json_t *array, json_t *value)
{
    m->bad = json_array_append_new(array, value) != 0 || m->bad;
}

static json_t *figure(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static int finish(struct maker *m, json_t *root, int status, char **json, struct ml_error *err)
{
    if (status == 0 && m->bad)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory for the answer");
    if (status == 0)
        status = ml_json_text(json, root, JSON_INDENT(2) | JSON_REAL_PRECISION(6), err);
    json_decref(root);
    return status;
}

static int queue_json(struct maker *m, json_t *list, struct ml_workspace *workspace,
                      const char *name, struct ml_arena *arena, struct ml_error *err)
{
    struct ml_label_queue queue;
    struct ml_label_progress progress;
    struct ml_annotator *people;
    size_t count;
    int status = ml_label_queue_open(&queue, workspace, name, arena, err);
    if (status == 0)
        status = ml_labels_progress(workspace, name, queue.dataset.id, queue.task.overlap,
                                    &progress, err);
    if (status == 0)
        status = ml_labels_annotators(workspace, name, arena, &people, &count, err);
    if (status)
        return status;
    json_t *root = json_object(), *annotators = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *person = json_object();
        set(m, person, "name", json_string(people[i].name));
        set(m, person, "labels", json_integer(people[i].labels));
        set(m, person, "skips", json_integer(people[i].skips));
        set(m, person, "seconds", json_real(people[i].seconds));
        append(m, annotators, person);
    }
    set(m, root, "queue", json_string(name));
    set(m, root, "dataset", json_sprintf("%s@%d", queue.dataset.name, queue.dataset.version));
    set(m, root, "kind", json_string(ml_label_kind_name(queue.task.kind)));
    set(m, root, "overlap", json_integer(queue.task.overlap));
    set(m, root, "records", json_integer(progress.records));
    set(m, root, "begun", json_integer(progress.begun));
    set(m, root, "done", json_integer(progress.done));
    set(m, root, "labels", json_integer(progress.labels));
    set(m, root, "skips", json_integer(progress.skips));
    set(m, root, "proposals", json_integer(progress.proposals));
    set(m, root, "annotators", annotators);
    append(m, list, root);
    return 0;
}

int ml_labelling_status(const char *folder, const char *queue, char **json, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_queue_entry *queues;
    struct ml_arena arena;
    struct maker maker = {0};
    size_t count = 0;
    int status = open_workspace(&workspace, folder, true, err);
    if (status)
        return status;
    ml_json_setup();
    ml_arena_init(&arena, 0);
    json_t *list = json_array();
    if (queue)
        status = queue_json(&maker, list, workspace, queue, &arena, err);
    else
        status = ml_queues_list(workspace, &arena, &queues, &count, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = queue_json(&maker, list, workspace, queues[i].name, &arena, err);
    status = finish(&maker, list, status, json, err);
    ml_arena_clear(&arena);
    ml_workspace_close(workspace);
    return status;
}

static json_t *agreement_json(struct maker *m, const struct ml_label_queue *queue,
                              const struct ml_queue_agreement *found)
{
    json_t *root = json_object(), *pairs = json_array(), *labels = json_object();
    set(m, root, "queue", json_string(queue->name));
    set(m, root, "kind", json_string(ml_label_kind_name(queue->task.kind)));
    set(m, root, "records", json_integer(found->records));
    set(m, root, "labels", json_integer(found->labels));
    set(m, root, "scale", json_string(found->scale));
    set(m, root, "alpha", figure(found->alpha));
    for (size_t i = 0; i < found->pair_count; i++) {
        const struct ml_agreement_pair *p = &found->pairs[i];
        json_t *pair = json_object();
        set(m, pair, "a", json_string(p->a));
        set(m, pair, "b", json_string(p->b));
        set(m, pair, "records", json_integer(p->records));
        set(m, pair, "kappa", figure(p->kappa));
        set(m, pair, "equal", figure(p->equal));
        append(m, pairs, pair);
    }
    for (size_t i = 0; i < found->by_label_count; i++)
        set(m, labels, found->by_label[i].name, figure(found->by_label[i].alpha));
    set(m, root, "pairs", pairs);
    set(m, root, "by_label", labels);
    return root;
}

int ml_labelling_agreement(const char *folder, const char *name, char **json, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_label_queue queue;
    struct ml_queue_agreement found;
    struct ml_arena arena;
    struct maker maker = {0};
    int status = open_workspace(&workspace, folder, true, err);
    if (status)
        return status;
    ml_json_setup();
    ml_arena_init(&arena, 0);
    status = ml_label_queue_open(&queue, workspace, name, &arena, err);
    if (status == 0)
        status = ml_label_agreement(&found, workspace, &queue, &arena, err);
    json_t *root = status == 0 ? agreement_json(&maker, &queue, &found) : NULL;
    status = finish(&maker, root, status, json, err);
    ml_arena_clear(&arena);
    ml_workspace_close(workspace);
    return status;
}

/* ---- exchange ---- */

_Static_assert((int)ML_LABELLING_EXAMPLES == (int)ML_EXCHANGE_EXAMPLES, "examples of an import");
_Static_assert(sizeof(((struct ml_labelling_imported *)0)->examples) ==
                   sizeof(((struct ml_exchange_read *)0)->examples),
               "examples of an import");

static int find_format(enum ml_exchange *out, const struct ml_labelling_exchange *r,
                       struct ml_error *err)
{
    if (!r->queue || !r->path)
        return ml_fail(err, ML_ERR_ARG, "exchanging labels needs a queue and a path");
    return r->format ? ml_exchange_parse(out, r->format, err)
                     : ml_exchange_of_path(out, r->path, err);
}

int ml_labelling_export(const struct ml_labelling_exchange *r, struct ml_labelling_written *out,
                        struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_label_queue queue;
    struct ml_exchange_written written;
    struct ml_arena arena;
    enum ml_exchange format;
    int status = find_format(&format, r, err);
    if (status == 0)
        status = open_workspace(&workspace, r->workspace, true, err);
    if (status)
        return status;
    ml_arena_init(&arena, 0);
    status = ml_label_queue_open(&queue, workspace, r->queue, &arena, err);
    if (status == 0)
        status = ml_label_export(workspace, &queue, r->path, format, &written, err);
    ml_arena_clear(&arena);
    ml_workspace_close(workspace);
    if (status == 0)
        *out = (struct ml_labelling_written){
            .records = written.records, .labels = written.labels, .bytes = written.bytes};
    return status;
}

int ml_labelling_import(const struct ml_labelling_exchange *r, struct ml_labelling_imported *out,
                        struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_label_queue queue;
    struct ml_exchange_read read;
    struct ml_arena arena;
    enum ml_exchange format;
    int status = find_format(&format, r, err);
    if (status == 0)
        status = open_workspace(&workspace, r->workspace, false, err);
    if (status)
        return status;
    ml_arena_init(&arena, 0);
    status = ml_label_queue_open(&queue, workspace, r->queue, &arena, err);
    if (status == 0)
        status = ml_label_import(workspace, &queue, r->path, format, r->annotator, &read, err);
    ml_arena_clear(&arena);
    ml_workspace_close(workspace);
    if (status)
        return status;
    *out = (struct ml_labelling_imported){.labels = read.labels,
                                          .proposals = read.proposals,
                                          .skips = read.skips,
                                          .present = read.present,
                                          .left_out = read.left_out};
    memcpy(out->examples, read.examples, sizeof out->examples);
    return 0;
}

/* ---- sessions ---- */

struct ml_labelling {
    struct ml_workspace *workspace;
    struct ml_label_session *session;
    struct ml_arena arena; /* of the session */
    struct ml_arena item;  /* of the item at hand */
    char *proposal;
    struct ml_labelling_task task;
};

/* The task in the public form; its texts stay the session's. */
static int fill_task(struct ml_labelling *l, struct ml_error *err)
{
    const struct ml_label_task *task = ml_label_session_task(l->session);
    struct ml_labelling_label *labels =
        ml_arena_calloc(&l->arena, (size_t)task->label_count + 1, sizeof *labels);
    if (!labels)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory opening a queue");
    for (int i = 0; i < task->label_count; i++)
        labels[i] = (struct ml_labelling_label){task->labels[i].name, task->labels[i].key};
    l->task = (struct ml_labelling_task){.kind = ml_label_kind_name(task->kind),
                                         .guideline = task->guideline,
                                         .labels = labels,
                                         .label_count = task->label_count,
                                         .low = task->low,
                                         .high = task->high,
                                         .overlap = task->overlap};
    return 0;
}

int ml_labelling_open(struct ml_labelling **out, const char *folder, const char *queue,
                      const char *annotator, bool skipped, struct ml_error *err)
{
    struct ml_labelling *l = ml_mem_calloc(1, sizeof *l);
    if (!l)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory opening a queue");
    ml_arena_init(&l->arena, 4096);
    ml_arena_init(&l->item, 4096);
    int status = open_workspace(&l->workspace, folder, false, err);
    if (status == 0)
        status = ml_label_session_open(&l->session, l->workspace, queue, annotator, skipped, err);
    if (status == 0)
        status = fill_task(l, err);
    if (status)
        ml_labelling_close(l);
    else
        *out = l;
    return status;
}

void ml_labelling_close(struct ml_labelling *l)
{
    if (!l)
        return;
    ml_label_session_close(l->session);
    ml_workspace_close(l->workspace);
    ml_mem_free(l->proposal);
    ml_arena_clear(&l->item);
    ml_arena_clear(&l->arena);
    ml_mem_free(l);
}

const struct ml_labelling_task *ml_labelling_get_task(const struct ml_labelling *l)
{
    return &l->task;
}

void ml_labelling_count(const struct ml_labelling *l, struct ml_labelling_counts *out)
{
    struct ml_label_counts c;
    ml_label_session_counts(l->session, &c);
    *out = (struct ml_labelling_counts){
        .records = c.records, .done = c.done, .mine = c.mine, .skipped = c.skipped, .left = c.left};
}

int ml_labelling_next(struct ml_labelling *l, struct ml_labelling_item *item, struct ml_error *err)
{
    struct ml_label_item inner;
    int got = ml_label_session_next(l->session, &inner, err);
    if (got <= 0)
        return got;
    const struct ml_record *r = &inner.record;
    bool media = strcmp(r->kind, "text") != 0 && strncmp(r->type, "text/", 5) != 0;
    int status = 0;
    ml_mem_free(l->proposal);
    l->proposal = NULL;
    ml_arena_reset(&l->item);
    if (inner.proposal)
        status = ml_json_text(&l->proposal, inner.proposal, JSON_COMPACT, err);
    char *file = media ? ml_blobs_path(l->workspace, &l->item, r->blob) : NULL;
    if (status == 0 && media && !file)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory opening a record");
    if (status)
        return status;
    *item = (struct ml_labelling_item){.record = r->id,
                                       .kind = r->kind,
                                       .type = r->type,
                                       .title = r->title,
                                       .source = r->source,
                                       .file = file,
                                       .text = inner.text,
                                       .text_bytes = inner.text_size,
                                       .proposal = l->proposal,
                                       .model = inner.model,
                                       .confidence = inner.confidence};
    return 1;
}

int ml_labelling_answer(struct ml_labelling *l, const char *value, double seconds,
                        struct ml_error *err)
{
    json_t *parsed = NULL;
    int status = ml_json_parse(&parsed, value, strlen(value), "the answer", err);
    if (status == 0)
        status = ml_label_session_answer(l->session, parsed, seconds, err);
    json_decref(parsed);
    return status;
}

int ml_labelling_skip(struct ml_labelling *l, struct ml_error *err)
{
    return ml_label_session_skip(l->session, err);
}

int ml_labelling_undo(struct ml_labelling *l, struct ml_error *err)
{
    return ml_label_session_undo(l->session, err);
}
