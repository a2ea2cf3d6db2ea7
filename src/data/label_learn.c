#include "data/label_learn.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/label_queue.h"
#include "data/label_text.h"
#include "store/labels.h"
#include "text/classifier.h"

#define MODEL "classifier"

enum { PARTS = 5, BATCH = 500 };

struct learning {
    struct ml_workspace *workspace;
    const char *name;
    struct ml_label_queue queue;
    struct ml_arena arena; /* texts of examples */
    struct ml_classifier_example *examples;
    size_t count, capacity;
    int64_t *answered; /* ascending; the record of each example, and of those without text */
    size_t answered_count, answered_capacity;
    int of_task[ML_LABEL_MAX_LABELS]; /* label of the task to label of the classifier; -1: unused */
    const char *labels[ML_LABEL_MAX_LABELS];
    int label_count;
    const volatile int *cancel;
};

static int stopped(const struct learning *l, struct ml_error *err)
{
    return l->cancel && *l->cancel
               ? ml_fail(err, ML_ERR_CANCELLED, "stopped while learning from labels")
               : 0;
}

/* ---- what people answered ---- */

static int load_text(struct learning *l, int64_t record, struct ml_blob_view *view,
                     const char **text, size_t *n, struct ml_error *err)
{
    struct ml_label_text loaded;
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    *text = NULL;
    int status = ml_label_text_load(&loaded, l->workspace, record, &arena, view, err);
    if (status == 0 && loaded.text && ml_utf8_valid(loaded.text, loaded.size)) {
        *n = loaded.size;
        *text = ml_arena_strndup(&l->arena, loaded.text, loaded.size);
        if (!*text)
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory learning from labels");
    }
    ml_arena_clear(&arena);
    return status;
}

static int put_answer(struct learning *l, int64_t record, const int votes[ML_LABEL_MAX_LABELS],
                      struct ml_blob_view *view, struct ml_error *err)
{
    const char *text;
    size_t n;
    int best = 0;
    for (int i = 1; i < l->queue.task.label_count; i++)
        best = votes[i] > votes[best] ? i : best;
    if (l->answered_count == l->answered_capacity) {
        size_t capacity = l->answered_capacity ? 2 * l->answered_capacity : 256;
        int64_t *grown = ml_mem_realloc(l->answered, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory learning from labels");
        l->answered = grown;
        l->answered_capacity = capacity;
    }
    l->answered[l->answered_count++] = record;
    int status = load_text(l, record, view, &text, &n, err);
    if (status || !text)
        return status;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 256;
        struct ml_classifier_example *grown = ml_mem_realloc(l->examples, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory learning from labels");
        l->examples = grown;
        l->capacity = capacity;
    }
    l->examples[l->count++] = (struct ml_classifier_example){text, n, best};
    return 0;
}

/* The label that an answer names, -1: none of the task's. */
static int label_of(const struct learning *l, const char *value)
{
    json_t *parsed = NULL;
    int label = -1;
    if (ml_json_parse(&parsed, value, strlen(value), "an answer", NULL) == 0 &&
        json_is_string(parsed))
        label = ml_label_task_find(&l->queue.task, json_string_value(parsed));
    json_decref(parsed);
    return label;
}

/* Answers come by record, so those about one stand together. */
static int read_answers(struct learning *l, struct ml_error *err)
{
    struct ml_label_cursor *cursor = NULL;
    struct ml_label label;
    struct ml_blob_view view = {0};
    const struct ml_label_filter filter = {.queue = l->name, .people = true};
    int votes[ML_LABEL_MAX_LABELS] = {0};
    int64_t record = 0;
    int got = 0, status = ml_labels_open(&cursor, l->workspace, &filter, err);
    while (status == 0 && (got = ml_labels_next(cursor, &label, err)) > 0) {
        int which = label_of(l, label.value);
        if (record && label.record != record) {
            status = put_answer(l, record, votes, &view, err);
            memset(votes, 0, sizeof votes);
            record = 0;
        }
        if (which >= 0) {
            record = label.record;
            votes[which]++;
        }
    }
    if (status == 0)
        status = got;
    if (status == 0 && record)
        status = put_answer(l, record, votes, &view, err);
    ml_labels_close(cursor);
    ml_blob_view_clear(&view);
    return status;
}

/* The classifier knows only labels that somebody gave. */
static int number_labels(struct learning *l, struct ml_error *err)
{
    for (int i = 0; i < l->queue.task.label_count; i++)
        l->of_task[i] = -1;
    for (size_t i = 0; i < l->count; i++) {
        int *number = &l->of_task[l->examples[i].label];
        if (*number < 0) {
            l->labels[l->label_count] = l->queue.task.labels[l->examples[i].label].name;
            *number = l->label_count++;
        }
        l->examples[i].label = *number;
    }
    if (l->count < ML_LABEL_LEAST || l->label_count < 2)
        return ml_fail(err, ML_ERR_STATE,
                       "queue %s: %zu answers of %d kinds; label at least %d records of two kinds "
                       "before it can learn",
                       l->name, l->count, l->label_count, ML_LABEL_LEAST);
    return 0;
}

/* ---- learning ---- */

static int train(struct learning *l, const struct ml_classifier_example *examples, size_t count,
                 struct ml_classifier **out, struct ml_error *err)
{
    return ml_classifier_train(out, examples, count, l->labels, l->label_count,
                               &(struct ml_classifier_options){.bits = 16}, err);
}

/* Every fifth answer is held out, five times. A part that lacks a label altogether cannot be
 * learnt from; then there is no figure. */
static int hold_out(struct learning *l, double *accuracy, struct ml_error *err)
{
    struct ml_classifier_example *rest = ml_mem_calloc(l->count, sizeof *rest);
    struct ml_classifier_work work = {0};
    float p[ML_CLASSIFIER_MAX_LABELS];
    size_t right = 0, asked = 0;
    int status = rest ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory learning from labels");
    for (size_t part = 0; status == 0 && part < PARTS; part++) {
        struct ml_classifier *c = NULL;
        size_t n = 0;
        for (size_t i = 0; i < l->count; i++)
            if (i % PARTS != part)
                rest[n++] = l->examples[i];
        status = stopped(l, err);
        if (status == 0 && train(l, rest, n, &c, NULL) != 0)
            continue;
        for (size_t i = part; status == 0 && i < l->count; i += PARTS) {
            int best =
                ml_classifier_apply(c, &work, l->examples[i].text, l->examples[i].size, p, err);
            status = best < 0 ? best : 0;
            right += best == l->examples[i].label;
            asked++;
        }
        ml_classifier_free(c);
    }
    ml_classifier_work_clear(&work);
    ml_mem_free(rest);
    *accuracy = asked ? (double)right / (double)asked : NAN;
    return status;
}

static double most_frequent(const struct learning *l)
{
    size_t counts[ML_LABEL_MAX_LABELS] = {0}, most = 0;
    for (size_t i = 0; i < l->count; i++)
        counts[l->examples[i].label]++;
    for (int i = 0; i < l->label_count; i++)
        most = counts[i] > most ? counts[i] : most;
    return (double)most / (double)l->count;
}

/* ---- proposing ---- */

static bool is_answered(const struct learning *l, int64_t record)
{
    size_t low = 0, high = l->answered_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (l->answered[middle] < record)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->answered_count && l->answered[low] == record;
}

static int propose(struct learning *l, const struct ml_classifier *c,
                   struct ml_classifier_work *work, int64_t record, const char *text, size_t n,
                   struct ml_error *err)
{
    float p[ML_CLASSIFIER_MAX_LABELS];
    char *value = NULL;
    int64_t id;
    int best = ml_classifier_apply(c, work, text, n, p, err);
    if (best < 0)
        return best;
    json_t *name = json_string(ml_classifier_label(c, best));
    int status = name ? ml_json_text(&value, name, JSON_ENCODE_ANY, err)
                      : ml_fail(err, ML_ERR_MEMORY, "out of memory proposing labels");
    json_decref(name);
    const struct ml_label label = {.record = record,
                                   .queue = l->name,
                                   .kind = ml_label_kind_name(l->queue.task.kind),
                                   .value = value,
                                   .model = MODEL,
                                   .confidence = (double)p[best],
                                   .seconds = NAN};
    if (status == 0)
        status = ml_labels_add(l->workspace, &label, &id, err);
    ml_mem_free(value);
    return status;
}

/* Records of the dataset, listed first: adding labels meanwhile must not disturb the listing. */
static int list_records(struct learning *l, int64_t **out, size_t *count, struct ml_error *err)
{
    struct ml_record_cursor *cursor = NULL;
    struct ml_record record;
    size_t capacity = 0;
    const struct ml_record_filter filter = {.dataset = l->queue.dataset.id};
    int got = 0, status = ml_records_open(&cursor, l->workspace, &filter, err);
    *out = NULL;
    *count = 0;
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) > 0) {
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            int64_t *grown = ml_mem_realloc(*out, capacity * sizeof *grown);
            if (!grown) {
                status = ml_fail(err, ML_ERR_MEMORY, "out of memory proposing labels");
                break;
            }
            *out = grown;
        }
        if (!is_answered(l, record.id))
            (*out)[(*count)++] = record.id;
    }
    ml_records_close(cursor);
    return status ? status : got;
}

static int propose_batch(struct learning *l, const struct ml_classifier *c, const int64_t *records,
                         size_t count, int64_t *proposed, struct ml_error *err)
{
    struct ml_classifier_work work = {0};
    struct ml_blob_view view = {0};
    int status = ml_workspace_begin(l->workspace, err);
    if (status)
        return status;
    ml_arena_reset(&l->arena); /* the examples were learnt */
    for (size_t i = 0; status == 0 && i < count; i++) {
        const char *text;
        size_t n = 0;
        status = load_text(l, records[i], &view, &text, &n, err);
        if (status == 0 && text) {
            status = propose(l, c, &work, records[i], text, n, err);
            *proposed += status == 0;
        }
    }
    ml_blob_view_clear(&view);
    ml_classifier_work_clear(&work);
    return ml_workspace_end(l->workspace, status, err);
}

static int propose_all(struct learning *l, const struct ml_classifier *c, int64_t *proposed,
                       struct ml_error *err)
{
    int64_t *records;
    size_t count;
    int status = list_records(l, &records, &count, err);
    for (size_t i = 0; status == 0 && i < count; i += BATCH) {
        status = stopped(l, err);
        if (status == 0)
            status = propose_batch(l, c, records + i, count - i < BATCH ? count - i : BATCH,
                                   proposed, err);
    }
    ml_mem_free(records);
    return status;
}

static int save(struct learning *l, const struct ml_classifier *c, struct ml_arena *arena,
                struct ml_error *err)
{
    char *name = ml_arena_printf(arena, "models/label-%s.mlc", l->name);
    char *path = name ? ml_workspace_path(l->workspace, arena, name) : NULL;
    return path ? ml_classifier_save(c, path, err)
                : ml_fail(err, ML_ERR_MEMORY, "out of memory learning from labels");
}

int ml_label_queue_learn(struct ml_workspace *ws, const char *queue, const volatile int *cancel,
                         struct ml_label_learnt *out, struct ml_error *err)
{
    struct learning l = {.workspace = ws, .name = queue, .cancel = cancel};
    struct ml_label_learnt learnt = {0};
    struct ml_classifier *c = NULL;
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    ml_arena_init(&l.arena, 0);
    int status = ml_label_queue_open(&l.queue, ws, queue, &arena, err);
    if (status == 0 && l.queue.task.kind != ML_LABEL_CHOICE)
        status = ml_fail(err, ML_ERR_UNSUPPORTED,
                         "queue %s asks for %s; only choice can be learnt by the classifier", queue,
                         ml_label_kind_name(l.queue.task.kind));
    if (status == 0)
        status = read_answers(&l, err);
    if (status == 0)
        status = number_labels(&l, err);
    if (status == 0)
        status = hold_out(&l, &learnt.accuracy, err);
    if (status == 0)
        status = train(&l, l.examples, l.count, &c, err);
    if (status == 0) {
        learnt.answers = (int64_t)l.count;
        learnt.by_chance = most_frequent(&l);
        status = save(&l, c, &arena, err);
    }
    if (status == 0)
        status = propose_all(&l, c, &learnt.proposed, err);
    if (status == 0)
        *out = learnt;
    ml_classifier_free(c);
    ml_mem_free(l.examples);
    ml_mem_free(l.answered);
    ml_arena_clear(&l.arena);
    ml_arena_clear(&arena);
    return status;
}
