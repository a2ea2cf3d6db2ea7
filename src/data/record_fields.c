#include "data/record_fields.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/jsonl.h"
#include "text/verse.h"

static int fail_memory(const struct ml_record *record, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading record %lld", (long long)record->id);
}

static int put(struct ml_record_fields *f, struct ml_arena *arena, const char *name,
               const char *text, const struct ml_record *record, struct ml_error *err)
{
    size_t n = strlen(text);
    struct ml_record_field *field = &f->fields[f->count];
    *field = (struct ml_record_field){
        .name = ml_arena_strdup(arena, name), .text = ml_arena_strndup(arena, text, n), .size = n};
    if (!field->name || !field->text)
        return fail_memory(record, err);
    f->count++;
    return 0;
}

/* A field's value as text: strings as they are, reals in 15 digits (which every decimal fraction of
 * 15 digits survives). NULL when it is empty or nothing that has a text. */
static const char *value_text(const json_t *value, char number[32])
{
    if (json_is_string(value))
        return json_string_length(value) ? json_string_value(value) : NULL;
    if (json_is_integer(value))
        snprintf(number, 32, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(number, 32, "%.15g", json_real_value(value));
    else
        return json_is_true(value) ? "true" : json_is_false(value) ? "false" : NULL;
    return number;
}

static int put_meta(struct ml_record_fields *f, struct ml_arena *arena, json_t *meta,
                    const struct ml_record *record, struct ml_error *err)
{
    const char *name;
    json_t *value;
    int status = 0;
    json_object_foreach(meta, name, value)
    {
        char number[32];
        const char *text = status == 0 ? value_text(value, number) : NULL;
        if (text)
            status = put(f, arena, name, text, record, err);
    }
    return status;
}

static int load_fields(struct ml_record_fields *f, struct ml_arena *arena,
                       const struct ml_record *record, struct ml_error *err)
{
    json_t *meta = NULL;
    const char *text;
    size_t size;
    int status = 0;
    if (strcmp(record->meta, "{}") != 0)
        status = ml_json_parse(&meta, record->meta, strlen(record->meta), "a record's meta", err);
    if (status)
        return status;
    f->fields = ml_arena_calloc(arena, json_object_size(meta) + 2, sizeof *f->fields);
    if (!f->fields)
        status = fail_memory(record, err);
    if (status == 0 && *record->title)
        status = put(f, arena, "title", record->title, record, err);
    if (status == 0 && meta)
        status = put_meta(f, arena, meta, record, err);
    json_decref(meta);
    if (status == 0 && !ml_record_fields_find(f, "form", &text, &size)) {
        const struct ml_verse_shape *shape = ml_verse_shape(ml_verse_classify(f->text, f->size));
        if (shape)
            status = put(f, arena, "form", shape->traditional, record, err);
    }
    return status;
}

int ml_record_fields_load(struct ml_record_fields *out, struct ml_arena *arena,
                          const struct ml_record *record, const char *bytes, size_t n, bool *good,
                          struct ml_error *err)
{
    struct ml_record_fields fields = {.text = bytes, .size = n};
    int status = 0;
    if (strcmp(record->type, "application/json") == 0) {
        struct ml_jsonl line;
        status = ml_jsonl_parse(&line, arena, bytes, n, err);
        if (status)
            return status;
        if (!line.good) {
            *good = false;
            return 0;
        }
        fields.text = line.text;
        fields.size = line.size;
    }
    status = load_fields(&fields, arena, record, err);
    if (status == 0) {
        *out = fields;
        *good = true;
    }
    return status;
}

bool ml_record_fields_find(void *arg, const char *name, const char **text, size_t *size)
{
    const struct ml_record_fields *f = arg;
    if (strcmp(name, "text") == 0) {
        *text = f->text;
        *size = f->size;
        return f->size > 0;
    }
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->fields[i].name, name) == 0) {
            *text = f->fields[i].text;
            *size = f->fields[i].size;
            return true;
        }
    return false;
}
