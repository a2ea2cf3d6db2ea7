#include "data/export_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/jsonl.h"
#include "store/labels.h"

struct ml_export_rows {
    struct ml_workspace *ws;
    const struct ml_export_options *options;
    struct ml_record_cursor *records;
    struct ml_label_cursor *labels;
    struct ml_label label; /* the next one that was not given out yet */
    bool label_waits;
    struct ml_blob_view view;
    struct ml_arena arena; /* of one row */
    json_t *meta, *row_labels;
    char *caption; /* of media, by a label */
    int64_t position, total;
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory exporting a dataset");
}

int ml_export_rows_open(struct ml_export_rows **out, struct ml_workspace *ws,
                        const struct ml_dataset *dataset, const struct ml_export_options *options,
                        struct ml_error *err)
{
    static const struct ml_export_options defaults;
    struct ml_export_rows *rows = ml_mem_calloc(1, sizeof *rows);
    if (!rows)
        return fail_memory(err);
    ml_json_setup();
    *rows = (struct ml_export_rows){.ws = ws,
                                    .options = options ? options : &defaults,
                                    .position = -1,
                                    .total = dataset->records};
    ml_arena_init(&rows->arena, 0);
    const struct ml_record_filter members = {.dataset = dataset->id};
    const struct ml_label_filter labels = {.dataset = dataset->id};
    int status = ml_records_open(&rows->records, ws, &members, err);
    if (status == 0)
        status = ml_labels_open(&rows->labels, ws, &labels, err);
    if (status == 0) {
        int got = ml_labels_next(rows->labels, &rows->label, err);
        status = got < 0 ? got : 0;
        rows->label_waits = got > 0;
    }
    if (status)
        ml_export_rows_close(rows);
    else
        *out = rows;
    return status;
}

/* ---- labels ---- */

static int put_label(struct ml_export_rows *rows, struct ml_error *err)
{
    const struct ml_label *l = &rows->label;
    json_t *value = NULL, *label = NULL;
    int status = ml_json_parse(&value, l->value, strlen(l->value), "a label's value", err);
    if (status)
        return status;
    if (json_is_string(value) && strcmp(l->kind, "text") == 0) { /* the newest stands */
        char *caption =
            ml_arena_strndup(&rows->arena, json_string_value(value), json_string_length(value));
        rows->caption = caption;
        if (!caption)
            status = fail_memory(err);
    }
    label = json_pack("{s:s, s:s, s:s, s:o}", "queue", l->queue, "annotator", l->annotator, "kind",
                      l->kind, "value", value);
    if (!label)
        status = fail_memory(err);
    if (status == 0 && *l->model && json_object_set_new(label, "model", json_string(l->model)))
        status = fail_memory(err);
    if (status == 0 && isfinite(l->confidence) &&
        json_object_set_new(label, "confidence", json_real(l->confidence)))
        status = fail_memory(err);
    if (status == 0 && json_array_append(rows->row_labels, label))
        status = fail_memory(err);
    json_decref(label);
    return status;
}

/* Both cursors go by the position in the dataset, so one pass brings them together. */
static int take_labels(struct ml_export_rows *rows, struct ml_error *err)
{
    int status = 0;
    rows->row_labels = json_array();
    if (!rows->row_labels)
        return fail_memory(err);
    while (status == 0 && rows->label_waits && ml_labels_position(rows->labels) == rows->position) {
        status = put_label(rows, err);
        if (status == 0) {
            int got = ml_labels_next(rows->labels, &rows->label, err);
            rows->label_waits = got > 0;
            status = got < 0 ? got : 0;
        }
    }
    return status;
}

/* ---- the row ---- */

static int take_meta(struct ml_export_rows *rows, const struct ml_record *record,
                     struct ml_error *err)
{
    int status =
        ml_json_parse(&rows->meta, record->meta, strlen(record->meta), "a record's meta", err);
    if (status == 0 && !json_is_object(rows->meta))
        status = ml_fail(err, ML_ERR_FORMAT, "the meta of record %lld is not a JSON object",
                         (long long)record->id);
    return status;
}

/* What says in words what a picture or a sound is: a label, else a field of its meta. */
static void take_caption(struct ml_export_rows *rows, struct ml_export_row *row)
{
    static const char *const names[] = {"caption", "transcript", "text"};
    row->text = rows->caption;
    for (size_t i = 0; !row->text && i < sizeof names / sizeof names[0]; i++)
        row->text = json_string_value(json_object_get(rows->meta, names[i]));
    row->text_size = row->text ? strlen(row->text) : 0;
}

static int take_text(struct ml_export_rows *rows, struct ml_export_row *row, const char *bytes,
                     size_t n, struct ml_error *err)
{
    long long id = (long long)row->record.id;
    row->text = bytes;
    row->text_size = n;
    if (strcmp(row->record.type, "application/json") == 0) {
        struct ml_jsonl line;
        int status = ml_jsonl_parse(&line, &rows->arena, bytes, n, err);
        if (status)
            return status;
        if (!line.good)
            return ml_fail(err, ML_ERR_FORMAT, "record %lld of %.150s cannot be exported: %s", id,
                           row->record.source, line.problem);
        row->text = line.text;
        row->text_size = line.size;
    }
    if (!ml_utf8_valid(row->text, row->text_size))
        return ml_fail(err, ML_ERR_FORMAT,
                       "record %lld of %.150s cannot be exported: its text is not UTF-8", id,
                       row->record.source);
    return 0;
}

static void forget_row(struct ml_export_rows *rows)
{
    json_decref(rows->meta);
    json_decref(rows->row_labels);
    rows->meta = rows->row_labels = NULL;
    rows->caption = NULL;
    ml_arena_reset(&rows->arena);
}

static int tell(struct ml_export_rows *rows, struct ml_error *err)
{
    const struct ml_export_options *o = rows->options;
    if (o->cancel && *o->cancel)
        return ml_fail(err, ML_ERR_CANCELLED, "stopped while exporting; nothing was written");
    if (o->progress && rows->position >= 0)
        o->progress(o->arg, rows->position + 1, rows->total);
    return 0;
}

int ml_export_rows_next(struct ml_export_rows *rows, struct ml_export_row *row,
                        struct ml_error *err)
{
    struct ml_export_row next = {0};
    const char *bytes;
    size_t n;
    int status = tell(rows, err);
    if (status)
        return status;
    forget_row(rows);
    int got = ml_records_next(rows->records, &next.record, err);
    if (got <= 0)
        return got;
    rows->position++;
    status = ml_records_read(rows->ws, &next.record, &rows->view, &bytes, &n, err);
    if (status == 0)
        status = take_meta(rows, &next.record, err);
    if (status == 0)
        status = take_labels(rows, err);
    if (status)
        return status;
    next.position = rows->position;
    if (strcmp(next.record.kind, "text") == 0 || strncmp(next.record.type, "text/", 5) == 0) {
        status = take_text(rows, &next, bytes, n, err);
    } else {
        next.bytes = bytes;
        next.size = n;
        take_caption(rows, &next);
    }
    next.meta = rows->meta;
    next.labels = rows->row_labels;
    if (status)
        return status;
    *row = next;
    return 1;
}

void ml_export_rows_close(struct ml_export_rows *rows)
{
    if (!rows)
        return;
    forget_row(rows);
    ml_records_close(rows->records);
    ml_labels_close(rows->labels);
    ml_blob_view_clear(&rows->view);
    ml_arena_clear(&rows->arena);
    ml_mem_free(rows);
}

/* ---- as JSON ---- */

#define JSON_FORM (JSON_COMPACT | JSON_REAL_PRECISION(15))

static int set_nested(json_t *object, const char *name, json_t *value, bool flat,
                      struct ml_error *err)
{
    char *text = NULL;
    if (!flat)
        return json_object_set(object, name, value) ? fail_memory(err) : 0;
    int status = ml_json_text(&text, value, JSON_FORM, err);
    if (status == 0 && json_object_set_new(object, name, json_string(text)))
        status = fail_memory(err);
    ml_mem_free(text);
    return status;
}

static int set_texts(json_t *object, const struct ml_record *r, struct ml_error *err)
{
    const struct {
        const char *name, *text;
    } fields[] = {{"title", r->title},   {"kind", r->kind},       {"type", r->type},
                  {"source", r->source}, {"licence", r->licence}, {"consent", r->consent},
                  {"hash", r->hash}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!ml_utf8_valid(fields[i].text, strlen(fields[i].text)))
            return ml_fail(err, ML_ERR_FORMAT, "record %lld: its %s is not UTF-8", (long long)r->id,
                           fields[i].name);
        if (json_object_set_new(object, fields[i].name, json_string(fields[i].text)))
            return fail_memory(err);
    }
    return 0;
}

int ml_export_row_json(struct ml_buffer *out, const struct ml_export_row *row,
                       enum ml_export_form form, const char *file, struct ml_error *err)
{
    bool flat = form == ML_EXPORT_FLAT;
    char *text = NULL;
    json_t *object = json_object();
    int status = 0;
    if (form != ML_EXPORT_NO_TEXT && row->text &&
        json_object_set_new(object, "text", json_stringn(row->text, row->text_size)))
        status = fail_memory(err);
    if (status == 0)
        status = set_texts(object, &row->record, err);
    if (status == 0 && file && json_object_set_new(object, "file", json_string(file)))
        status = fail_memory(err);
    if (status == 0 &&
        json_object_set_new(object, "bytes", json_integer((json_int_t)row->record.bytes)))
        status = fail_memory(err);
    if (status == 0)
        status = set_nested(object, "labels", row->labels, flat, err);
    if (status == 0)
        status = set_nested(object, "meta", row->meta, flat, err);
    if (status == 0)
        status = ml_json_text(&text, object, JSON_FORM, err);
    json_decref(object);
    if (status == 0)
        status = ml_buffer_put(out, text, strlen(text), err);
    ml_mem_free(text);
    return status;
}

/* ---- names of files ---- */

static const struct {
    const char *type, *ending;
} endings[] = {
    {"image/jpeg", "jpg"},  {"image/png", "png"},       {"image/webp", "webp"},
    {"image/gif", "gif"},   {"image/avif", "avif"},     {"image/tiff", "tif"},
    {"image/bmp", "bmp"},   {"image/svg+xml", "svg"},   {"audio/mpeg", "mp3"},
    {"audio/wav", "wav"},   {"audio/x-wav", "wav"},     {"audio/vnd.wave", "wav"},
    {"audio/flac", "flac"}, {"audio/ogg", "ogg"},       {"audio/mp4", "m4a"},
    {"video/mp4", "mp4"},   {"video/webm", "webm"},     {"video/x-matroska", "mkv"},
    {"text/csv", "csv"},    {"application/pdf", "pdf"},
};

const char *ml_export_ending(const struct ml_record *record, char ending[16])
{
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (strcmp(record->type, endings[i].type) == 0)
            return endings[i].ending;
    const char *slash = strrchr(record->source, '/'), *name = slash ? slash + 1 : record->source;
    const char *dot = strrchr(name, '.');
    size_t n = dot ? strlen(dot + 1) : 0;
    bool plain = n >= 1 && n <= 8;
    for (size_t i = 0; plain && i < n; i++) {
        char c = dot[1 + i];
        c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        ending[i] = c;
    }
    if (!plain)
        return "bin";
    ending[n] = '\0';
    /* These are the names of a record's other files. */
    return strcmp(ending, "txt") == 0 || strcmp(ending, "json") == 0 ? "bin" : ending;
}
