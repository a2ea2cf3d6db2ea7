/* Answers to tasks (label_task.h): what is one, and its one form. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/words.h"
#include "data/label_task.h"

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a label");
}

static int find_label(const struct ml_label_task *task, const json_t *value, int *out,
                      struct ml_error *err)
{
    const char *name = json_string_value(value), *names[ML_LABEL_MAX_LABELS];
    if (!name)
        return ml_fail(err, ML_ERR_ARG, "an answer is not the name of a label");
    *out = ml_label_task_find(task, name);
    if (*out >= 0)
        return 0;
    for (int i = 0; i < task->label_count; i++)
        names[i] = task->labels[i].name;
    const char *near = ml_word_nearest(name, names, task->label_count);
    return ml_fail(err, ML_ERR_ARG, "the task has no label \"%.60s\"%s%s%s", name,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int check_choice(json_t **out, const struct ml_label_task *task, const json_t *value,
                        struct ml_error *err)
{
    int label, status = find_label(task, value, &label, err);
    if (status)
        return status;
    *out = json_string(task->labels[label].name);
    return *out ? 0 : fail_memory(err);
}

static int check_multi(json_t **out, const struct ml_label_task *task, const json_t *value,
                       struct ml_error *err)
{
    bool chosen[ML_LABEL_MAX_LABELS] = {false};
    size_t i;
    json_t *item, *list;
    if (!json_is_array(value))
        return ml_fail(err, ML_ERR_ARG, "an answer of kind multi is a list of labels");
    json_array_foreach((json_t *)value, i, item)
    {
        int label, status = find_label(task, item, &label, err);
        if (status)
            return status;
        chosen[label] = true;
    }
    list = json_array();
    bool bad = !list;
    for (int label = 0; !bad && label < task->label_count; label++)
        if (chosen[label])
            bad = json_array_append_new(list, json_string(task->labels[label].name)) != 0;
    if (bad) {
        json_decref(list);
        return fail_memory(err);
    }
    *out = list;
    return 0;
}

static int check_rating(json_t **out, const struct ml_label_task *task, const json_t *value,
                        struct ml_error *err)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || number != floor(number) || number < task->low ||
        number > task->high)
        return ml_fail(err, ML_ERR_ARG, "a rating is a whole number from %d to %d", task->low,
                       task->high);
    *out = json_integer((json_int_t)number);
    return *out ? 0 : fail_memory(err);
}

static int check_text(json_t **out, const json_t *value, struct ml_error *err)
{
    if (!json_is_string(value))
        return ml_fail(err, ML_ERR_ARG, "an answer of kind text is a string");
    if (json_string_length(value) > ML_LABEL_MAX_TEXT)
        return ml_fail(err, ML_ERR_LIMIT, "an answer is longer than %d bytes", ML_LABEL_MAX_TEXT);
    *out = json_stringn(json_string_value(value), json_string_length(value));
    return *out ? 0 : fail_memory(err);
}

/* ---- spans and boxes ---- */

/* A span or a box: its numbers in the order of their names, and its label. */
struct part {
    double at[4];
    int label;
};
struct shape {
    const char *names[4];
    int count;
};
static const struct shape span = {{"start", "end"}, 2};
static const struct shape box = {{"x", "y", "width", "height"}, 4};
static const struct shape picture = {{"width", "height"}, 2};

static int by_place(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    for (int i = 0; i < 4; i++)
        if (x->at[i] != y->at[i])
            return x->at[i] < y->at[i] ? -1 : 1;
    return x->label - y->label;
}

/* The numbers of one part, by name. */
static int read_numbers(struct part *part, const json_t *item, const struct shape *shape,
                        struct ml_error *err)
{
    for (int i = 0; i < shape->count; i++) {
        const json_t *number = json_object_get(item, shape->names[i]);
        part->at[i] = json_number_value(number);
        if (!json_is_number(number) || !isfinite(part->at[i]))
            return ml_fail(err, ML_ERR_ARG, "a part of an answer has no number \"%s\"",
                           shape->names[i]);
    }
    return 0;
}

static int read_parts(struct part **out, size_t *count, const struct ml_label_task *task,
                      const json_t *list, const struct shape *shape, struct ml_error *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return ml_fail(err, ML_ERR_ARG, "an answer is not a list of parts");
    if (n > ML_LABEL_MAX_PARTS)
        return ml_fail(err, ML_ERR_LIMIT, "an answer has more than %d parts", ML_LABEL_MAX_PARTS);
    struct part *parts = ml_mem_calloc(n + 1, sizeof *parts);
    int status = parts ? 0 : fail_memory(err);
    for (size_t i = 0; status == 0 && i < n; i++) {
        const json_t *item = json_array_get(list, i);
        status = read_numbers(&parts[i], item, shape, err);
        if (status == 0)
            status = find_label(task, json_object_get(item, "label"), &parts[i].label, err);
    }
    if (status) {
        ml_mem_free(parts);
        return status;
    }
    qsort(parts, n, sizeof *parts, by_place);
    *out = parts;
    *count = n;
    return 0;
}

static json_t *parts_json(const struct ml_label_task *task, const struct part *parts, size_t count,
                          const struct shape *shape)
{
    json_t *list = json_array();
    bool bad = !list;
    for (size_t i = 0; !bad && i < count; i++) {
        json_t *item = json_object();
        for (int k = 0; !bad && k < shape->count; k++) {
            double v = parts[i].at[k];
            bool is_whole = v == floor(v) && fabs(v) < 1e15;
            bad = json_object_set_new(item, shape->names[k],
                                      is_whole ? json_integer((json_int_t)v) : json_real(v)) != 0;
        }
        bad = bad || json_object_set_new(item, "label",
                                         json_string(task->labels[parts[i].label].name)) != 0;
        bad = json_array_append_new(list, item) != 0 || bad;
    }
    if (!bad)
        return list;
    json_decref(list);
    return NULL;
}

static int check_spans(json_t **out, const struct ml_label_task *task, const json_t *value,
                       int64_t characters, struct ml_error *err)
{
    struct part *parts;
    size_t count;
    int status = read_parts(&parts, &count, task, value, &span, err);
    if (status)
        return status;
    for (size_t i = 0; status == 0 && i < count; i++) {
        const double *at = parts[i].at;
        if (at[0] != floor(at[0]) || at[1] != floor(at[1]) || at[0] < 0 || at[1] <= at[0] ||
            (characters >= 0 ? at[1] > (double)characters : at[1] > 1e12))
            status = ml_fail(err, ML_ERR_ARG,
                             "a span from %g to %g does not lie in a text of %lld characters",
                             at[0], at[1], (long long)characters);
    }
    json_t *list = status == 0 ? parts_json(task, parts, count, &span) : NULL;
    ml_mem_free(parts);
    if (status == 0 && !list)
        status = fail_memory(err);
    if (status == 0)
        *out = list;
    return status;
}

/* Half a pixel of rounding outside of the picture is cut off; more is a mistake. */
static int fit_box(double at[4], double width, double height, struct ml_error *err)
{
    const double slack = 0.5;
    bool good = at[0] >= -slack && at[1] >= -slack && at[2] > 0 && at[3] > 0 &&
                at[0] + at[2] <= width + slack && at[1] + at[3] <= height + slack;
    if (!good)
        return ml_fail(err, ML_ERR_ARG,
                       "a box at %g,%g of %g x %g does not lie in a picture of %g x %g", at[0],
                       at[1], at[2], at[3], width, height);
    for (int i = 0; i < 2; i++) {
        double room = i ? height : width;
        at[i] = at[i] < 0 ? 0 : at[i];
        at[i + 2] = at[i] + at[i + 2] > room ? room - at[i] : at[i + 2];
    }
    return at[2] > 0 && at[3] > 0 ? 0 : ml_fail(err, ML_ERR_ARG, "a box without a size");
}

static int check_boxes(json_t **out, const struct ml_label_task *task, const json_t *value,
                       struct ml_error *err)
{
    struct part *parts, size = {{0}, 0};
    size_t count;
    int status = read_numbers(&size, value, &picture, err);
    if (status == 0 &&
        !(size.at[0] >= 1 && size.at[0] <= 1e6 && size.at[1] >= 1 && size.at[1] <= 1e6))
        status = ml_fail(err, ML_ERR_ARG, "boxes in a picture of %g x %g pixels", size.at[0],
                         size.at[1]);
    if (status == 0)
        status = read_parts(&parts, &count, task, json_object_get(value, "boxes"), &box, err);
    if (status)
        return status;
    for (size_t i = 0; status == 0 && i < count; i++)
        status = fit_box(parts[i].at, size.at[0], size.at[1], err);
    json_t *object = json_object();
    bool bad = json_object_set_new(object, "width", json_integer((json_int_t)size.at[0])) != 0 ||
               json_object_set_new(object, "height", json_integer((json_int_t)size.at[1])) != 0 ||
               json_object_set_new(object, "boxes", parts_json(task, parts, count, &box)) != 0;
    ml_mem_free(parts);
    if (status == 0 && bad)
        status = fail_memory(err);
    if (status)
        json_decref(object);
    else
        *out = object;
    return status;
}

int ml_label_value_check(json_t **out, const struct ml_label_task *task, const json_t *value,
                         int64_t characters, struct ml_error *err)
{
    ml_json_setup();
    switch (task->kind) {
    case ML_LABEL_CHOICE:
        return check_choice(out, task, value, err);
    case ML_LABEL_MULTI:
        return check_multi(out, task, value, err);
    case ML_LABEL_SPAN:
        return check_spans(out, task, value, characters, err);
    case ML_LABEL_RATING:
        return check_rating(out, task, value, err);
    case ML_LABEL_TEXT:
        return check_text(out, value, err);
    default:
        return check_boxes(out, task, value, err);
    }
}
