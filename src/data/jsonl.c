#include "data/jsonl.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a line of JSON");
}

static int refuse(struct ml_jsonl *out, const char *problem)
{
    snprintf(out->problem, sizeof out->problem, "%.199s", problem);
    return 0;
}

/* Appends one string with \n at its line ends. The text never grows. */
static size_t copy_lines(char *to, const char *from, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (from[i] != '\r')
            to[kept++] = from[i];
        else if (i + 1 == n || from[i + 1] != '\n')
            to[kept++] = '\n';
    return kept;
}

static int take_text(struct ml_jsonl *out, struct ml_arena *arena, const json_t *value,
                     struct ml_error *err)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1, total = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *part = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_string(part))
            return refuse(out, "\"text\" is neither a string nor a list of strings");
        total += json_string_length(part) + 1;
    }
    out->text = ml_arena_alloc(arena, total + 1);
    if (!out->text)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *part = json_is_array(value) ? json_array_get(value, i) : value;
        if (i > 0)
            out->text[out->size++] = '\n';
        out->size +=
            copy_lines(out->text + out->size, json_string_value(part), json_string_length(part));
    }
    out->text[out->size] = '\0';
    if (strspn(out->text, " \t\n\f\v") == out->size)
        return refuse(out, "\"text\" is empty");
    out->good = true;
    return 0;
}

/* Everything that can stand in a template: text and title have places of their own. */
static int take_meta(struct ml_jsonl *out, struct ml_arena *arena, json_t *object,
                     struct ml_error *err)
{
    json_t *meta = json_object(), *value;
    const char *key;
    bool full = meta == NULL;
    json_object_foreach(object, key, value)
    {
        bool plain = json_is_string(value) || json_is_number(value) || json_is_boolean(value);
        if (!full && plain && strcmp(key, "text") != 0 &&
            !(strcmp(key, "title") == 0 && json_is_string(value)))
            full = json_object_set(meta, key, value) != 0;
    }
    char *text = NULL;
    int status = full ? fail_memory(err) : 0;
    if (status == 0 && json_object_size(meta) > 0)
        status = ml_json_text(&text, meta, JSON_COMPACT, err);
    if (status == 0) {
        out->meta = text ? ml_arena_strdup(arena, text) : "{}";
        if (!out->meta)
            status = fail_memory(err);
    }
    ml_mem_free(text);
    json_decref(meta);
    return status;
}

int ml_jsonl_parse(struct ml_jsonl *out, struct ml_arena *arena, const char *line, size_t n,
                   struct ml_error *err)
{
    struct ml_jsonl parsed = {.title = "", .meta = "{}"};
    struct ml_error inner = {0};
    json_t *object = NULL;
    int status = ml_json_parse(&object, line, n, "line", &inner);
    if (status == ML_ERR_MEMORY)
        return fail_memory(err);
    if (status) {
        const char *why = strstr(inner.message, "not valid JSON");
        status = refuse(&parsed, why ? why : inner.message);
    } else if (!json_is_object(object)) {
        status = refuse(&parsed, "not a JSON object");
    } else if (!json_object_get(object, "text")) {
        status = refuse(&parsed, "has no field \"text\"");
    } else {
        status = take_text(&parsed, arena, json_object_get(object, "text"), err);
    }
    if (status == 0 && parsed.good) {
        const char *title = json_string_value(json_object_get(object, "title"));
        parsed.title = ml_arena_strdup(arena, title ? title : "");
        status = parsed.title ? take_meta(&parsed, arena, object, err) : fail_memory(err);
    }
    json_decref(object);
    if (status == 0)
        *out = parsed;
    return status;
}
