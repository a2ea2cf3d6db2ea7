/* Label Studio's tasks (label_exchange.h): a list of {data, annotations, predictions}, whose
 * results are {from_name, to_name, type, value} (labelstud.io/guide/task_format and export). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/export_file.h"
#include "data/label_exchange.h"

/* The type of a result by the kind of the task, and the member of its value that holds the labels.
 */
static const char *const types[ML_LABEL_KINDS] = {
    [ML_LABEL_CHOICE] = "choices", [ML_LABEL_MULTI] = "choices",
    [ML_LABEL_SPAN] = "labels",    [ML_LABEL_RATING] = "rating",
    [ML_LABEL_TEXT] = "textarea",  [ML_LABEL_BOX] = "rectanglelabels"};
static const char *const members[ML_LABEL_KINDS] = {
    [ML_LABEL_CHOICE] = "choices", [ML_LABEL_MULTI] = "choices",
    [ML_LABEL_SPAN] = "labels",    [ML_LABEL_RATING] = "rating",
    [ML_LABEL_TEXT] = "text",      [ML_LABEL_BOX] = "rectanglelabels"};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory exchanging labels");
}

/* ---- out ---- */

/* Values are taken over also when it fails; the first failure is remembered. */
struct maker {
    const struct ml_label_queue *queue;
    const struct ml_exchange_row *row;
    const char *to_name; /* the member of `data` that is labelled */
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

/* A list of one. */
static json_t *alone(struct maker *m, json_t *value)
{
    json_t *list = json_array();
    append(m, list, value);
    return list;
}

static json_t *make_result(struct maker *m, const struct ml_label *label, size_t number,
                           json_t *value)
{
    enum ml_label_kind kind = m->queue->task.kind;
    json_t *result = json_object();
    set(m, result, "id", json_sprintf("l%lld-%zu", (long long)label->id, number));
    set(m, result, "from_name", json_string("label"));
    set(m, result, "to_name", json_string(m->to_name));
    set(m, result, "type", json_string(types[kind]));
    set(m, result, "value", value);
    return result;
}

/* The characters from start to end of the row's text. */
static json_t *slice(const struct maker *m, int64_t start, int64_t end)
{
    const char *text = m->row->text;
    size_t n = m->row->text_size, from = 0, to = 0, at = 0;
    uint32_t c;
    for (int64_t i = 0; at < n && i < end; i++) {
        size_t bytes = ml_utf8_decode(text + at, n - at, &c);
        from = i == start ? at : from;
        at += bytes ? bytes : 1;
        to = at;
    }
    return json_stringn(text ? text + from : "", to - from);
}

static void put_spans(struct maker *m, json_t *results, const struct ml_label *label,
                      const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *span = json_array_get(list, i);
        int64_t start = json_integer_value(json_object_get(span, "start"));
        int64_t end = json_integer_value(json_object_get(span, "end"));
        json_t *value = json_object();
        set(m, value, "start", json_integer(start));
        set(m, value, "end", json_integer(end));
        set(m, value, "text", slice(m, start, end));
        set(m, value, "labels", alone(m, json_incref(json_object_get(span, "label"))));
        append(m, results, make_result(m, label, i, value));
    }
}

/* In hundredths of the picture's sides. */
static void put_boxes(struct maker *m, json_t *results, const struct ml_label *label,
                      const json_t *answer)
{
    static const char *const names[] = {"x", "y", "width", "height"};
    const json_t *list = json_object_get(answer, "boxes");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *box = json_array_get(list, i);
        json_t *value = json_object();
        for (int k = 0; k < 4; k++) {
            double side = json_number_value(json_object_get(answer, names[2 + k % 2]));
            set(m, value, names[k],
                json_real(100 * json_number_value(json_object_get(box, names[k])) / side));
        }
        set(m, value, "rotation", json_integer(0));
        set(m, value, "rectanglelabels", alone(m, json_incref(json_object_get(box, "label"))));
        json_t *result = make_result(m, label, i, value);
        set(m, result, "original_width", json_incref(json_object_get(answer, "width")));
        set(m, result, "original_height", json_incref(json_object_get(answer, "height")));
        append(m, results, result);
    }
}

static json_t *make_results(struct maker *m, const struct ml_label *label, json_t *answer)
{
    enum ml_label_kind kind = m->queue->task.kind;
    json_t *results = json_array(), *value;
    if (kind == ML_LABEL_SPAN) {
        put_spans(m, results, label, answer);
    } else if (kind == ML_LABEL_BOX) {
        put_boxes(m, results, label, answer);
    } else if (kind != ML_LABEL_MULTI || json_array_size(answer) > 0) {
        bool listed = kind == ML_LABEL_CHOICE || kind == ML_LABEL_TEXT;
        value = json_object();
        set(m, value, members[kind], listed ? alone(m, json_incref(answer)) : json_incref(answer));
        append(m, results, make_result(m, label, 0, value));
    }
    return results;
}

static json_t *make_annotation(struct maker *m, const struct ml_label *label, json_t *answer)
{
    json_t *annotation = json_object();
    bool skip = strcmp(label->kind, ML_LABEL_SKIP) == 0;
    char when[32] = "1970-01-01T00:00:00Z";
    time_t seconds = (time_t)label->created;
    struct tm parts;
    if (gmtime_r(&seconds, &parts))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    set(m, annotation, "id", json_integer(label->id));
    set(m, annotation, "annotator", json_string(label->annotator));
    set(m, annotation, "was_cancelled", json_boolean(skip));
    set(m, annotation, "created_at", json_string(when));
    if (isfinite(label->seconds))
        set(m, annotation, "lead_time", json_real(label->seconds));
    set(m, annotation, "result", skip ? json_array() : make_results(m, label, answer));
    return annotation;
}

static json_t *make_prediction(struct maker *m, const struct ml_label *label, json_t *answer)
{
    json_t *prediction = json_object();
    set(m, prediction, "model_version", json_string(label->model));
    if (isfinite(label->confidence))
        set(m, prediction, "score", json_real(label->confidence));
    set(m, prediction, "result", make_results(m, label, answer));
    return prediction;
}

static json_t *make_task(struct maker *m)
{
    const struct ml_record *r = m->row->record;
    json_t *task = json_object(), *data = json_object(), *annotations = json_array(),
           *predictions = json_array();
    bool text = strcmp(r->kind, "text") == 0 || strncmp(r->type, "text/", 5) == 0;
    m->to_name = text ? "text" : r->kind;
    if (!text)
        set(m, data, r->kind, json_string(r->source));
    if (m->row->text)
        set(m, data, text ? "text" : "caption", json_stringn(m->row->text, m->row->text_size));
    set(m, data, "title", json_string(r->title));
    set(m, data, "source", json_string(r->source));
    set(m, data, "hash", json_string(r->hash));
    for (size_t i = 0; i < m->row->label_count; i++) {
        const struct ml_label *label = &m->row->labels[i];
        if (*label->annotator)
            append(m, annotations, make_annotation(m, label, m->row->values[i]));
        else
            append(m, predictions, make_prediction(m, label, m->row->values[i]));
    }
    set(m, task, "id", json_integer(r->id));
    set(m, task, "data", data);
    set(m, task, "annotations", annotations);
    set(m, task, "predictions", predictions);
    return task;
}

int ml_studio_write(struct ml_exchange_source *source, const struct ml_label_queue *queue,
                    struct ml_export_file *file, struct ml_error *err)
{
    struct ml_exchange_row row;
    const char *before = "[\n";
    int got, status = 0;
    while (status == 0 && (got = ml_exchange_next(source, &row, err)) != 0) {
        struct maker maker = {.queue = queue, .row = &row};
        char *text = NULL;
        if (got < 0)
            return got;
        json_t *task = make_task(&maker);
        status = maker.bad ? fail_memory(err)
                           : ml_json_text(&text, task, JSON_COMPACT | JSON_REAL_PRECISION(15), err);
        json_decref(task);
        if (status == 0)
            status = ml_export_file_put(file, before, strlen(before), err);
        if (status == 0)
            status = ml_export_file_put(file, text, strlen(text), err);
        ml_mem_free(text);
        before = ",\n";
    }
    if (status == 0)
        status = ml_export_file_put(file, *before == '[' ? "[\n]\n" : "\n]\n",
                                    *before == '[' ? 4 : 3, err);
    return status;
}

/* ---- in ---- */

struct reader {
    const struct ml_label_task *task;
    const struct ml_exchange_sink *sink;
    struct ml_exchange_label label; /* what is the same for all of a task */
    bool bad;                       /* memory ran out making a value */
    char name[64];                  /* of the task, for messages */
};

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static double number_at(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_number(number) ? json_number_value(number) : NAN;
}

/* Where a text's UTF-16 unit number `units` is in characters. Label Studio counted units until
 * 2021 and counts characters since. */
static int64_t from_units(const char *text, size_t n, int64_t units)
{
    int64_t characters = 0;
    for (size_t at = 0; at < n && units > 0; characters++) {
        uint32_t c = 0;
        size_t bytes = ml_utf8_decode(text + at, n - at, &c);
        units -= c > 0xffff ? 2 : 1;
        at += bytes ? bytes : 1;
    }
    return characters + (units > 0 ? units : 0);
}

static bool is_slice(const struct reader *r, int64_t start, int64_t end, const char *expected)
{
    const char *text = r->label.text;
    size_t n = r->label.text_size, at = 0, length = strlen(expected);
    uint32_t c;
    for (int64_t i = 0; i < start && at < n; i++) {
        size_t bytes = ml_utf8_decode(text + at, n - at, &c);
        at += bytes ? bytes : 1;
    }
    return start < end && length <= n - at && memcmp(text + at, expected, length) == 0 &&
           (int64_t)ml_utf8_count(expected, length) == end - start;
}

static void put(struct reader *r, json_t *object, const char *name, json_t *value)
{
    r->bad = json_object_set_new(object, name, value) != 0 || r->bad;
}

/* {"start", "end", "label"} of a result; its own text says how it counts. */
static json_t *read_span(struct reader *r, const json_t *value)
{
    double from = number_at(value, "start"), to = number_at(value, "end");
    bool sane = from >= 0 && to >= 0 && from < 1e12 && to < 1e12;
    int64_t start = sane ? (int64_t)from : -1, end = sane ? (int64_t)to : -1;
    const char *expected = text_at(value, "text");
    if (sane && r->label.text && *expected && !is_slice(r, start, end, expected)) {
        int64_t a = from_units(r->label.text, r->label.text_size, start);
        int64_t b = from_units(r->label.text, r->label.text_size, end);
        if (is_slice(r, a, b, expected)) {
            start = a;
            end = b;
        }
    }
    json_t *span = json_object();
    put(r, span, "start", json_integer(start));
    put(r, span, "end", json_integer(end));
    return span;
}

static json_t *read_box(struct reader *r, const json_t *result, const json_t *value)
{
    static const char *const names[] = {"x", "y", "width", "height"};
    json_t *box = json_object();
    for (int k = 0; k < 4; k++) {
        double side = number_at(result, k % 2 ? "original_height" : "original_width");
        double share = number_at(value, names[k]);
        /* 15 digits: a box that came out of a whole pixel goes back to it. */
        double pixels = isfinite(side) && isfinite(share) ? side * share / 100 : -1;
        double whole = round(pixels);
        put(r, box, names[k],
            json_real(fabs(pixels - whole) < 1e-9 * (1 + whole) ? whole : pixels));
    }
    return box;
}

/* The label of a part: the only one of its list. NULL: there is none, or several. */
static json_t *only_label(const json_t *value, const char *member)
{
    json_t *list = json_object_get(value, member);
    return json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
}

/* Spans and boxes: all results together are one answer. */
static json_t *read_parts(struct reader *r, const json_t *results, const char **why)
{
    enum ml_label_kind kind = r->task->kind;
    const json_t *sized = NULL; /* a result that says how large the picture is */
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        const json_t *value = json_object_get(result, "value");
        double turned = number_at(value, "rotation");
        if (strcmp(text_at(result, "type"), types[kind]) != 0)
            continue;
        json_t *label = only_label(value, members[kind]);
        if (!label)
            *why = "a part of its result has no label, or several";
        if (kind == ML_LABEL_BOX && isfinite(turned) && turned != 0)
            *why = "a box of it is turned, which has no place here";
        json_t *part = kind == ML_LABEL_BOX ? read_box(r, result, value) : read_span(r, value);
        if (label)
            put(r, part, "label", json_incref(label));
        r->bad = json_array_append_new(list, part) != 0 || r->bad;
        sized = result;
    }
    if (kind == ML_LABEL_SPAN)
        return list;
    json_t *answer = json_object();
    json_t *width = json_object_get(sized, "original_width");
    json_t *height = json_object_get(sized, "original_height");
    put(r, answer, "boxes", list);
    if (width && height) {
        put(r, answer, "width", json_incref(width));
        put(r, answer, "height", json_incref(height));
    } else {
        *why = "nothing in it says how large the picture is";
    }
    return answer;
}

/* One result is the answer. */
static json_t *read_single(const struct reader *r, const json_t *results, const char **why)
{
    enum ml_label_kind kind = r->task->kind;
    json_t *answer = NULL;
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        json_t *value = json_object_get(json_object_get(result, "value"), members[kind]);
        if (strcmp(text_at(result, "type"), types[kind]) != 0)
            continue;
        if (answer)
            *why = "it has several results where one is asked for";
        bool listed = json_is_array(value) && kind != ML_LABEL_MULTI;
        if (listed && json_array_size(value) != 1)
            *why = "its result has several values where one is asked for";
        answer = listed ? json_array_get(value, 0) : value;
    }
    if (!answer && kind == ML_LABEL_MULTI && json_array_size(results) == 0)
        return json_array();
    if (!answer && !*why)
        *why = "it has no result of the type that the task asks for";
    return json_incref(answer);
}

static int read_answer(struct reader *r, struct ml_exchange_label *label, const json_t *results,
                       struct ml_error *err)
{
    const char *why = NULL;
    bool parts = r->task->kind == ML_LABEL_SPAN || r->task->kind == ML_LABEL_BOX;
    if (!json_is_array(results)) {
        r->sink->left_out(r->sink->arg, r->name, "it has no list \"result\"");
        return 0;
    }
    json_t *answer = parts ? read_parts(r, results, &why) : read_single(r, results, &why);
    int status = 0;
    label->value = answer;
    if (r->bad || (!answer && !why))
        status = fail_memory(err);
    else if (why)
        r->sink->left_out(r->sink->arg, r->name, why);
    else
        status = r->sink->label(r->sink->arg, label, err);
    json_decref(answer);
    return status;
}

static int64_t time_of(const char *text)
{
    struct tm parts = {0};
    return *text && strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) ? (int64_t)timegm(&parts) : 0;
}

/* Who: our own exports say it in `annotator`, Label Studio by a user's address or number. */
static const char *who(const json_t *annotation, char buffer[32])
{
    const json_t *user = json_object_get(annotation, "completed_by");
    if (*text_at(annotation, "annotator"))
        return text_at(annotation, "annotator");
    if (*text_at(user, "email"))
        return text_at(user, "email");
    if (json_is_integer(json_is_object(user) ? json_object_get(user, "id") : user)) {
        snprintf(buffer, 32, "user %lld",
                 (long long)json_integer_value(json_is_object(user) ? json_object_get(user, "id")
                                                                    : user));
        return buffer;
    }
    return "";
}

static int read_annotation(struct reader *r, const json_t *annotation, struct ml_error *err)
{
    char user[32];
    struct ml_exchange_label label = r->label;
    label.annotator = who(annotation, user);
    label.seconds = number_at(annotation, "lead_time");
    label.created = time_of(text_at(annotation, "created_at"));
    label.skip = json_is_true(json_object_get(annotation, "was_cancelled"));
    if (label.skip)
        return r->sink->label(r->sink->arg, &label, err);
    return read_answer(r, &label, json_object_get(annotation, "result"), err);
}

static int read_prediction(struct reader *r, const json_t *prediction, struct ml_error *err)
{
    struct ml_exchange_label label = r->label;
    label.proposal = true;
    label.model = text_at(prediction, "model_version");
    label.confidence = number_at(prediction, "score");
    return read_answer(r, &label, json_object_get(prediction, "result"), err);
}

/* What is labelled: text, or the file of the first member that is named like a medium. */
static void read_data(struct reader *r, const json_t *data)
{
    static const char *const media[] = {"image", "audio", "video"};
    const json_t *text = json_object_get(data, "text");
    r->label = (struct ml_exchange_label){.hash = text_at(data, "hash"),
                                          .source = text_at(data, "source"),
                                          .file = "",
                                          .annotator = "",
                                          .model = "",
                                          .confidence = NAN,
                                          .seconds = NAN};
    for (int i = 0; i < 3 && !*r->label.file; i++)
        r->label.file = text_at(data, media[i]);
    if (json_is_string(text)) {
        r->label.text = json_string_value(text);
        r->label.text_size = json_string_length(text);
    }
}

static int read_task(struct reader *r, const json_t *task, struct ml_error *err)
{
    const json_t *data = json_object_get(task, "data");
    const json_t *annotations = json_object_get(task, "annotations");
    const json_t *predictions = json_object_get(task, "predictions");
    int status = 0;
    if (!json_is_object(data)) {
        r->sink->left_out(r->sink->arg, r->name, "it has no object \"data\"");
        return 0;
    }
    if (!annotations) /* its name until version 1.0 */
        annotations = json_object_get(task, "completions");
    read_data(r, data);
    for (size_t i = 0; status == 0 && i < json_array_size(annotations); i++)
        status = read_annotation(r, json_array_get(annotations, i), err);
    for (size_t i = 0; status == 0 && i < json_array_size(predictions); i++)
        status = read_prediction(r, json_array_get(predictions, i), err);
    return status;
}

int ml_studio_read(const char *text, size_t n, const struct ml_label_task *task,
                   const struct ml_exchange_sink *sink, struct ml_error *err)
{
    struct reader reader = {.task = task, .sink = sink};
    json_t *root = NULL;
    int status = ml_json_parse(&root, text, n, "tasks of Label Studio", err);
    if (status == 0 && !json_is_array(root))
        status = ml_fail(err, ML_ERR_FORMAT,
                         "not an export of Label Studio: that is a list of tasks in JSON");
    for (size_t i = 0; status == 0 && i < json_array_size(root); i++) {
        snprintf(reader.name, sizeof reader.name, "task %zu", i + 1);
        status = read_task(&reader, json_array_get(root, i), err);
    }
    json_decref(root);
    return status;
}
