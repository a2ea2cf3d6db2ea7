#include "data/label_exchange.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "base/words.h"
#include "data/export_file.h"
#include "data/label_match.h"
#include "data/label_text.h"
#include "data/text_decode.h"
#include "store/labels.h"

static const char *const names[] = {"label-studio", "coco", "csv"};
enum { FORMATS = sizeof names / sizeof names[0] };

int ml_exchange_parse(enum ml_exchange *out, const char *name, struct ml_error *err)
{
    for (int i = 0; i < FORMATS; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum ml_exchange)i;
            return 0;
        }
    const char *near = ml_word_nearest(name, names, FORMATS);
    return ml_fail(err, ML_ERR_ARG,
                   "labels are not exchanged as \"%.40s\"%s%s%s; known: label-studio, coco, csv",
                   name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

int ml_exchange_of_path(enum ml_exchange *out, const char *path, struct ml_error *err)
{
    if (!ends_with(path, ".csv") && !ends_with(path, ".json"))
        return ml_fail(err, ML_ERR_ARG,
                       "\"%.200s\" does not end in .json or .csv; say the format: label-studio, "
                       "coco or csv",
                       path);
    *out = ends_with(path, ".csv") ? ML_EXCHANGE_CSV : ML_EXCHANGE_STUDIO;
    return 0;
}

/* ---- out ---- */

struct ml_exchange_source {
    struct ml_workspace *ws;
    struct ml_record_cursor *records;
    struct ml_label_cursor *cursor;
    struct ml_label waiting; /* the next one that was not given out */
    bool waits;
    int64_t position;
    struct ml_arena arena; /* of one row */
    struct ml_blob_view view;
    struct ml_label_text text;
    struct ml_label *labels;
    json_t **values;
    size_t count, capacity;
    struct ml_exchange_written *written;
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory exchanging labels");
}

static int next_waiting(struct ml_exchange_source *s, struct ml_error *err)
{
    int got = ml_labels_next(s->cursor, &s->waiting, err);
    s->waits = got > 0;
    return got < 0 ? got : 0;
}

static int source_open(struct ml_exchange_source *s, const struct ml_label_queue *queue,
                       struct ml_error *err)
{
    const struct ml_record_filter members = {.dataset = queue->dataset.id};
    const struct ml_label_filter labels = {
        .dataset = queue->dataset.id, .queue = queue->name, .with_skips = true};
    ml_json_setup();
    s->position = -1;
    ml_arena_init(&s->arena, 0);
    int status = ml_records_open(&s->records, s->ws, &members, err);
    if (status == 0)
        status = ml_labels_open(&s->cursor, s->ws, &labels, err);
    return status ? status : next_waiting(s, err);
}

static void forget_row(struct ml_exchange_source *s)
{
    for (size_t i = 0; i < s->count; i++)
        json_decref(s->values[i]);
    s->count = 0;
    ml_arena_reset(&s->arena);
}

static void source_close(struct ml_exchange_source *s)
{
    forget_row(s);
    ml_records_close(s->records);
    ml_labels_close(s->cursor);
    ml_blob_view_clear(&s->view);
    ml_arena_clear(&s->arena);
    ml_mem_free(s->labels);
    ml_mem_free(s->values);
}

/* The label that waits, with its texts in the row's arena. */
static int take_label(struct ml_exchange_source *s, struct ml_error *err)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 16;
        struct ml_label *labels = ml_mem_realloc(s->labels, capacity * sizeof *labels);
        s->labels = labels ? labels : s->labels;
        json_t **values = labels ? ml_mem_realloc(s->values, capacity * sizeof *values) : NULL;
        s->values = values ? values : s->values;
        if (!values)
            return fail_memory(err);
        s->capacity = capacity;
    }
    struct ml_label *l = &s->labels[s->count];
    *l = s->waiting;
    const char **texts[] = {&l->queue, &l->annotator, &l->kind, &l->value, &l->model};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!(*texts[i] = ml_arena_strdup(&s->arena, *texts[i])))
            return fail_memory(err);
    int status =
        ml_json_parse(&s->values[s->count], l->value, strlen(l->value), "a label's value", err);
    s->count += status == 0;
    return status ? status : next_waiting(s, err);
}

int ml_exchange_next(struct ml_exchange_source *s, struct ml_exchange_row *row,
                     struct ml_error *err)
{
    struct ml_record record;
    forget_row(s);
    int got = ml_records_next(s->records, &record, err);
    if (got <= 0)
        return got;
    s->position++;
    int status = ml_label_text_load(&s->text, s->ws, record.id, &s->arena, &s->view, err);
    while (status == 0 && s->waits && ml_labels_position(s->cursor) == s->position)
        status = take_label(s, err);
    if (status)
        return status;
    s->written->records++;
    s->written->labels += (int64_t)s->count;
    *row = (struct ml_exchange_row){.record = &s->text.record,
                                    .text = s->text.text,
                                    .text_size = s->text.size,
                                    .labels = s->labels,
                                    .values = s->values,
                                    .label_count = s->count};
    return 1;
}

int ml_label_export(struct ml_workspace *ws, const struct ml_label_queue *queue, const char *path,
                    enum ml_exchange format, struct ml_exchange_written *out, struct ml_error *err)
{
    struct ml_exchange_written written = {0};
    struct ml_exchange_source source = {.ws = ws, .written = &written};
    struct ml_export_file file = {0};
    struct ml_export_sum sum;
    enum ml_label_kind kind = queue->task.kind;
    if (format == ML_EXCHANGE_COCO && kind != ML_LABEL_BOX && kind != ML_LABEL_TEXT)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "COCO has boxes and captions, no labels of kind %s; export as label-studio "
                       "or csv",
                       ml_label_kind_name(kind));
    int status = ml_export_file_open(&file, path, false, err);
    if (status)
        return status;
    status = source_open(&source, queue, err);
    if (status == 0 && format == ML_EXCHANGE_STUDIO)
        status = ml_studio_write(&source, queue, &file, err);
    else if (status == 0 && format == ML_EXCHANGE_COCO)
        status = ml_coco_write(&source, queue, &file, err);
    else if (status == 0)
        status = ml_label_csv_write(&source, queue, &file, err);
    source_close(&source);
    if (status == 0)
        status = ml_export_file_commit(&file, &sum, err);
    ml_export_file_abort(&file);
    if (status)
        return status;
    written.bytes = sum.bytes;
    *out = written;
    return 0;
}

/* ---- in ---- */

struct importer {
    struct ml_workspace *ws;
    const struct ml_label_queue *queue;
    const char *annotator;
    struct ml_label_match *match;
    struct ml_exchange_read read;
    struct ml_arena arena;
    struct ml_blob_view view;
};

static void leave_out(void *arg, const char *what, const char *why)
{
    struct importer *m = arg;
    if (m->read.left_out < ML_EXCHANGE_EXAMPLES) {
        char *example = m->read.examples[m->read.left_out];
        size_t n = strnlen(what, 60);
        snprintf(example, ML_EXCHANGE_EXAMPLE, "%.*s: %.130s", (int)ml_utf8_ready(what, n), what,
                 why);
        example[ml_utf8_ready(example, strlen(example))] = '\0';
        for (char *c = example; *c; c++) /* one line, whatever the file holds */
            *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    }
    m->read.left_out++;
}

/* How the label is called in a message. */
static const char *name_of(const struct ml_exchange_label *l)
{
    return *l->source ? l->source : *l->file ? l->file : *l->hash ? l->hash : "a label";
}

/* Whether this very label stands already. */
static int is_present(struct importer *m, const struct ml_label *label, bool *out,
                      struct ml_error *err)
{
    struct ml_label_cursor *cursor;
    struct ml_label there;
    const struct ml_label_filter filter = {.queue = m->queue->name,
                                           .record = label->record,
                                           .annotator = label->annotator,
                                           .with_skips = true};
    int got, status = ml_labels_open(&cursor, m->ws, &filter, err);
    if (status)
        return status;
    *out = false;
    while ((got = ml_labels_next(cursor, &there, err)) > 0)
        *out = *out ||
               (strcmp(there.kind, label->kind) == 0 && strcmp(there.value, label->value) == 0 &&
                (*label->annotator || strcmp(there.model, label->model) == 0));
    ml_labels_close(cursor);
    return got;
}

static int keep(struct importer *m, const struct ml_exchange_label *l, int64_t record,
                const char *value, struct ml_error *err)
{
    const struct ml_label label = {
        .record = record,
        .queue = m->queue->name,
        .annotator = l->proposal     ? ""
                     : *l->annotator ? l->annotator
                                     : m->annotator,
        .kind = l->skip ? ML_LABEL_SKIP : ml_label_kind_name(m->queue->task.kind),
        .value = value,
        .model = *l->model || !l->proposal ? l->model : "imported",
        .confidence = l->confidence >= 0 && l->confidence <= 1 ? l->confidence : NAN,
        .seconds = l->seconds >= 0 ? l->seconds : NAN,
        .created = l->created};
    bool present = false;
    int status = is_present(m, &label, &present, err);
    if (status == 0 && present) {
        m->read.present++;
        return 0;
    }
    if (status == 0)
        status = ml_labels_add(m->ws, &label, NULL, err);
    if (status == 0) {
        m->read.skips += l->skip;
        m->read.proposals += !l->skip && l->proposal;
        m->read.labels += !l->skip && !l->proposal;
    }
    return status;
}

static int take(void *arg, const struct ml_exchange_label *l, struct ml_error *err)
{
    struct importer *m = arg;
    struct ml_label_text text = {.characters = -1};
    struct ml_error why = {0};
    json_t *checked = NULL;
    char *value = NULL;
    int64_t record = 0;
    const struct ml_label_clue clue = {.hash = l->hash,
                                       .source = l->source,
                                       .file = l->file,
                                       .text = l->text,
                                       .text_size = l->text_size};
    int status = ml_label_match_find(m->match, &clue, &record, err);
    if (status == 0 && record == 0) {
        leave_out(m, name_of(l), "is no record of the queue's dataset, or may be several");
        return 0;
    }
    if (status == 0 && m->queue->task.kind == ML_LABEL_SPAN && !l->skip) {
        status = ml_label_text_load(&text, m->ws, record, &m->arena, &m->view, err);
        ml_arena_reset(&m->arena);
    }
    if (status)
        return status;
    if (!l->skip) {
        status = ml_label_value_check(&checked, &m->queue->task, l->value, text.characters, &why);
        if (status == ML_ERR_MEMORY)
            return fail_memory(err);
        if (status) {
            leave_out(m, name_of(l), why.message);
            return 0;
        }
        status = ml_json_text(&value, checked, JSON_COMPACT | JSON_REAL_PRECISION(15), err);
        json_decref(checked);
    }
    if (status == 0)
        status = keep(m, l, record, l->skip ? "null" : value, err);
    ml_mem_free(value);
    return status;
}

/* An object at the beginning of a file of JSON is COCO, a list Label Studio. */
static enum ml_exchange look(enum ml_exchange format, const char *text, size_t n)
{
    size_t at = 0;
    while (at < n && strchr(" \t\r\n", text[at]))
        at++;
    if (format == ML_EXCHANGE_CSV || at == n)
        return format;
    return text[at] == '{' ? ML_EXCHANGE_COCO : ML_EXCHANGE_STUDIO;
}

static int read_file(struct importer *m, const char *path, enum ml_exchange format,
                     struct ml_error *err)
{
    const struct ml_exchange_sink sink = {.label = take, .left_out = leave_out, .arg = m};
    struct ml_arena arena;
    struct ml_decoded decoded = {0};
    char *bytes;
    size_t n;
    ml_arena_init(&arena, 0);
    int status = ml_file_read(&arena, path, ML_EXCHANGE_MAX_FILE, &bytes, &n, err);
    if (status == 0)
        status = ml_text_decode(&decoded, bytes, n, NULL, err);
    if (status == 0 && decoded.verdict != ML_TEXT_OK)
        status = ml_fail(err, ML_ERR_FORMAT, "it is empty, or not text");
    if (status == 0) {
        int (*const readers[])(const char *, size_t, const struct ml_label_task *,
                               const struct ml_exchange_sink *, struct ml_error *) = {
            ml_studio_read, ml_coco_read, ml_label_csv_read};
        format = look(format, decoded.text, decoded.size);
        status = readers[format](decoded.text, decoded.size, &m->queue->task, &sink, err);
    }
    if (status == ML_ERR_FORMAT)
        ml_fail_context(err, "%s", path);
    ml_decoded_clear(&decoded);
    ml_arena_clear(&arena);
    return status;
}

int ml_label_import(struct ml_workspace *ws, const struct ml_label_queue *queue, const char *path,
                    enum ml_exchange format, const char *annotator, struct ml_exchange_read *out,
                    struct ml_error *err)
{
    struct importer m = {
        .ws = ws, .queue = queue, .annotator = annotator && *annotator ? annotator : "imported"};
    ml_json_setup();
    int status = ml_label_match_open(&m.match, ws, &queue->dataset, err);
    if (status)
        return status;
    ml_arena_init(&m.arena, 0);
    status = ml_workspace_begin(ws, err);
    if (status == 0)
        status = ml_workspace_end(ws, read_file(&m, path, format, err), err);
    ml_label_match_close(m.match);
    ml_blob_view_clear(&m.view);
    ml_arena_clear(&m.arena);
    const struct ml_exchange_read *r = &m.read;
    if (status == 0 && r->labels + r->proposals + r->skips + r->present == 0)
        status = r->left_out
                     ? ml_fail(err, ML_ERR_NOT_FOUND, "%s: no label could be used, such as %s",
                               path, r->examples[0])
                     : ml_fail(err, ML_ERR_NOT_FOUND, "%s: there are no labels in it", path);
    if (status == 0)
        *out = m.read;
    return status;
}
