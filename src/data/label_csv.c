/* Labels as a table (label_exchange.h): a row a label. A cell that a spreadsheet would take for a
 * formula gets an apostrophe in front, which is taken off again on the way in. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "data/csv.h"
#include "data/export_file.h"
#include "data/label_exchange.h"
#include "store/labels.h"

enum { HASH, SOURCE, ANNOTATOR, KIND, VALUE, MODEL, CONFIDENCE, SECONDS, CREATED, TEXT, COLUMNS };
static const char *const names[COLUMNS] = {
    [HASH] = "hash",       [SOURCE] = "source", [ANNOTATOR] = "annotator",   [KIND] = "kind",
    [VALUE] = "value",     [MODEL] = "model",   [CONFIDENCE] = "confidence", [SECONDS] = "seconds",
    [CREATED] = "created", [TEXT] = "text"};

/* ---- out ---- */

/* =, +, -, @, tab or return, perhaps behind apostrophes (which are guarded, too, so that every cell
 * comes back as it was). */
static bool is_formula(const char *text, size_t n)
{
    size_t at = 0;
    while (at < n && text[at] == '\'')
        at++;
    return at < n && strchr("=+-@\t\r", text[at]) && text[at];
}

static int put_cell(struct ml_buffer *row, int column, const char *text, size_t n,
                    struct ml_error *err)
{
    bool quote = memchr(text, '"', n) || memchr(text, ',', n) || memchr(text, '\n', n) ||
                 memchr(text, '\r', n);
    int status = column ? ml_buffer_put(row, ",", 1, err) : 0;
    if (status == 0 && quote)
        status = ml_buffer_put(row, "\"", 1, err);
    if (status == 0 && is_formula(text, n))
        status = ml_buffer_put(row, "'", 1, err);
    while (status == 0 && n > 0) {
        const char *mark = memchr(text, '"', n);
        size_t part = mark ? (size_t)(mark - text) + 1 : n;
        status = ml_buffer_put(row, text, part, err);
        if (status == 0 && mark)
            status = ml_buffer_put(row, "\"", 1, err);
        text += part;
        n -= part;
    }
    return status || !quote ? status : ml_buffer_put(row, "\"", 1, err);
}

/* A choice, a rating and words as they are; several labels with bars between them; parts as JSON.
 */
static int put_value(struct ml_buffer *row, const struct ml_label_task *task,
                     const struct ml_label *label, const json_t *value, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = 0;
    if (strcmp(label->kind, ML_LABEL_SKIP) == 0)
        return put_cell(row, VALUE, "", 0, err);
    if (json_is_string(value))
        return put_cell(row, VALUE, json_string_value(value), json_string_length(value), err);
    if (task->kind != ML_LABEL_MULTI)
        return put_cell(row, VALUE, label->value, strlen(label->value), err);
    for (size_t i = 0; status == 0 && i < json_array_size(value); i++)
        status = ml_buffer_printf(&text, err, "%s%s", i ? "|" : "",
                                  json_string_value(json_array_get(value, i)));
    if (status == 0)
        status = put_cell(row, VALUE, text.data ? text.data : "", text.size, err);
    ml_buffer_clear(&text);
    return status;
}

static int put_number(struct ml_buffer *row, double value, const char *format, struct ml_error *err)
{
    char text[32] = "";
    if (isfinite(value))
        snprintf(text, sizeof text, strcmp(format, "whole") == 0 ? "%.0f" : "%.15g", value);
    int status = ml_buffer_put(row, ",", 1, err);
    return status ? status : ml_buffer_put(row, text, strlen(text), err);
}

static int put_row(struct ml_buffer *row, const struct ml_label_task *task,
                   const struct ml_exchange_row *r, size_t i, struct ml_error *err)
{
    const struct ml_label *label = &r->labels[i];
    const char *const before[] = {r->record->hash, r->record->source, label->annotator,
                                  label->kind};
    int status = 0;
    row->size = 0;
    for (int k = 0; status == 0 && k < 4; k++)
        status = put_cell(row, k, before[k], strlen(before[k]), err);
    if (status == 0)
        status = put_value(row, task, label, r->values[i], err);
    if (status == 0)
        status = put_cell(row, MODEL, label->model, strlen(label->model), err);
    if (status == 0)
        status = put_number(row, label->confidence, "real", err);
    if (status == 0)
        status = put_number(row, label->seconds, "real", err);
    if (status == 0)
        status = put_number(row, (double)label->created, "whole", err);
    if (status == 0)
        status = put_cell(row, TEXT, r->text ? r->text : "", r->text_size, err);
    return status ? status : ml_buffer_put(row, "\n", 1, err);
}

int ml_label_csv_write(struct ml_exchange_source *source, const struct ml_label_queue *queue,
                       struct ml_export_file *file, struct ml_error *err)
{
    struct ml_exchange_row r;
    struct ml_buffer row = {0};
    int got = 0, status = 0;
    for (int i = 0; status == 0 && i < COLUMNS; i++)
        status = put_cell(&row, i, names[i], strlen(names[i]), err);
    if (status == 0)
        status = ml_buffer_put(&row, "\n", 1, err);
    if (status == 0)
        status = ml_export_file_put(file, row.data, row.size, err);
    while (status == 0 && (got = ml_exchange_next(source, &r, err)) > 0)
        for (size_t i = 0; status == 0 && i < r.label_count; i++) {
            status = put_row(&row, &queue->task, &r, i, err);
            if (status == 0)
                status = ml_export_file_put(file, row.data, row.size, err);
        }
    ml_buffer_clear(&row);
    return status ? status : got;
}

/* ---- in ---- */

struct table {
    const struct ml_label_task *task;
    const struct ml_exchange_sink *sink;
    struct ml_csv csv;
    int column[COLUMNS]; /* where each is, -1: nowhere */
};

/* The cell without its guard; "" when the row is short or the column is not there. */
static const char *cell(const struct table *t, int column, size_t *n)
{
    int at = t->column[column];
    *n = 0;
    if (at < 0 || (size_t)at >= t->csv.count)
        return "";
    const char *text = ml_csv_cell(&t->csv, (size_t)at, n);
    if (*n > 0 && *text == '\'' && is_formula(text, *n)) {
        text++;
        --*n;
    }
    return text;
}

static const char *word(const struct table *t, int column)
{
    size_t n;
    return cell(t, column, &n);
}

static double number(const struct table *t, int column)
{
    const char *text = word(t, column);
    char *end;
    double value = strtod(text, &end);
    return end == text || *end ? NAN : value;
}

static int read_header(struct table *t, struct ml_error *err)
{
    int got = ml_csv_next(&t->csv, err);
    if (got < 0)
        return got;
    for (int c = 0; c < COLUMNS; c++) {
        t->column[c] = -1;
        for (size_t i = 0; got && i < t->csv.count; i++) {
            size_t n;
            if (t->column[c] < 0 && strcmp(ml_csv_cell(&t->csv, i, &n), names[c]) == 0)
                t->column[c] = (int)i;
        }
    }
    if (t->column[VALUE] < 0 ||
        (t->column[HASH] < 0 && t->column[SOURCE] < 0 && t->column[TEXT] < 0))
        return ml_fail(err, ML_ERR_FORMAT,
                       "the first line must name the columns: \"value\", and one of \"hash\", "
                       "\"source\", \"text\"");
    return 0;
}

/* Names with bars between them; NULL when memory is out. */
static json_t *split(const char *text)
{
    json_t *list = json_array();
    bool bad = !list;
    while (!bad && *text) {
        size_t n = strcspn(text, "|");
        bad = json_array_append_new(list, json_stringn(text, n)) != 0;
        text += n + (text[n] == '|');
    }
    if (!bad)
        return list;
    json_decref(list);
    return NULL;
}

/* NULL without a message: the cell is no value; memory is told by its own. */
static int read_value(struct table *t, json_t **out, struct ml_error *err)
{
    struct ml_error ignored = {0};
    size_t n;
    const char *text = cell(t, VALUE, &n);
    int status = 0;
    *out = NULL;
    switch (t->task->kind) {
    case ML_LABEL_CHOICE:
    case ML_LABEL_TEXT:
        *out = json_stringn(text, n);
        status = *out ? 0 : ML_ERR_MEMORY; /* what was read is UTF-8 */
        break;
    case ML_LABEL_MULTI:
        *out = split(text);
        status = *out ? 0 : ML_ERR_MEMORY;
        break;
    default:
        status = ml_json_parse(out, text, n, "a value", &ignored);
    }
    return status == ML_ERR_MEMORY ? ml_fail(err, ML_ERR_MEMORY, "out of memory reading labels")
                                   : 0;
}

static int read_row(struct table *t, struct ml_error *err)
{
    char name[64];
    json_t *value = NULL;
    double created = number(t, CREATED);
    struct ml_exchange_label label = {
        .hash = word(t, HASH),
        .source = word(t, SOURCE),
        .file = word(t, SOURCE),
        .annotator = word(t, ANNOTATOR),
        .model = word(t, MODEL),
        .skip = strcmp(word(t, KIND), ML_LABEL_SKIP) == 0,
        .confidence = number(t, CONFIDENCE),
        .seconds = number(t, SECONDS),
        .created = created > 0 && created < 1e12 ? (int64_t)created : 0,
    };
    const char *kind = word(t, KIND);
    snprintf(name, sizeof name, "line %lld", (long long)t->csv.row_line);
    label.proposal = !*label.annotator && *label.model;
    label.text = cell(t, TEXT, &label.text_size);
    if (label.text_size == 0)
        label.text = NULL;
    if (*kind && !label.skip && strcmp(kind, ml_label_kind_name(t->task->kind)) != 0) {
        t->sink->left_out(t->sink->arg, name, "it is of another kind than the task");
        return 0;
    }
    int status = label.skip ? 0 : read_value(t, &value, err);
    label.value = value;
    if (status == 0 && !value && !label.skip)
        t->sink->left_out(t->sink->arg, name, "its value cannot be read");
    else if (status == 0)
        status = t->sink->label(t->sink->arg, &label, err);
    json_decref(value);
    return status;
}

int ml_label_csv_read(const char *text, size_t n, const struct ml_label_task *task,
                      const struct ml_exchange_sink *sink, struct ml_error *err)
{
    struct table t = {.task = task, .sink = sink};
    ml_json_setup();
    ml_csv_open(&t.csv, text, n, 0);
    int got = 0, status = read_header(&t, err);
    while (status == 0 && (got = ml_csv_next(&t.csv, err)) > 0)
        status = read_row(&t, err);
    ml_csv_close(&t.csv);
    return status ? status : got;
}
