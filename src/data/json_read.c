/* JSON files as documents: a list of objects is a table, one object is a document, and what people
 * train chat models on (messages, instructions) is written out as its turns. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/readers.h"
#include "data/table_rows.h"
#include "data/text_decode.h"

/* A tree in memory is many times its text. */
#define MAX_JSON_BYTES ((size_t)128 << 20)

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading JSON");
}

/* ---- chat ---- */

static const char *string_of(const json_t *object, const char *name, const char *other)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text || !other ? text : json_string_value(json_object_get(object, other));
}

/* The turns as "role: words", a blank line between. Empty when it is no list of turns. */
static int write_turns(struct ml_buffer *out, const json_t *turns, struct ml_error *err)
{
    for (size_t i = 0; i < json_array_size(turns); i++) {
        const json_t *turn = json_array_get(turns, i);
        const char *role = string_of(turn, "role", "from");
        const char *words = string_of(turn, "content", "value");
        if (!role || !words) { /* calls of tools and pictures have no words */
            if (json_is_object(turn))
                continue;
            out->size = 0;
            return 0;
        }
        int status = ml_buffer_printf(out, err, "%s%s: %s", out->size ? "\n\n" : "", role, words);
        if (status)
            return status;
    }
    return 0;
}

static int write_instruction(struct ml_buffer *out, const json_t *row, struct ml_error *err)
{
    const char *parts[] = {string_of(row, "instruction", "prompt"), string_of(row, "input", NULL),
                           string_of(row, "output", "response")};
    if (!parts[0] || !parts[2])
        return 0;
    for (int i = 0; i < 3; i++) {
        if (!parts[i] || !*parts[i])
            continue;
        int status = ml_buffer_printf(out, err, "%s%s", out->size ? "\n\n" : "", parts[i]);
        if (status)
            return status;
    }
    return 0;
}

/* A conversation gets a field "text" that holds all of it; its own fields stay, so that a template
 * can put it together in another way. */
static int add_chat_text(json_t *row, struct ml_error *err)
{
    struct ml_buffer text = {0};
    const json_t *turns = json_object_get(row, "messages");
    if (!turns)
        turns = json_object_get(row, "conversations");
    if (json_object_get(row, "text"))
        return 0;
    int status = turns ? write_turns(&text, turns, err) : write_instruction(&text, row, err);
    if (status == 0 && text.size > 0 &&
        json_object_set_new(row, "text", json_stringn(text.data, text.size)) != 0)
        status = fail_memory(err);
    ml_buffer_clear(&text);
    return status;
}

/* ---- rows ---- */

static int give_object(json_t *row, const char *what, const struct ml_reader_sink *sink,
                       struct ml_error *err)
{
    int status = add_chat_text(row, err);
    if (status)
        return status;
    struct ml_row_keys keys = ml_row_keys(row);
    return ml_row_document(row, &keys, what, sink, err);
}

/* A list's item: an object, or a string that is a text by itself. */
static int give_item(json_t *item, size_t number, const struct ml_reader_sink *sink,
                     struct ml_error *err)
{
    char what[40];
    snprintf(what, sizeof what, "item %zu", number);
    if (json_is_object(item))
        return give_object(item, what, sink, err);
    if (!json_is_string(item)) {
        sink->left_out(sink->arg, what, "it is neither an object nor a string");
        return 0;
    }
    json_t *row = json_object();
    int status = row && json_object_set(row, "text", item) == 0 ? 0 : fail_memory(err);
    if (status == 0)
        status = ml_row_document(row, &(struct ml_row_keys){.text = "text"}, what, sink, err);
    json_decref(row);
    return status;
}

static int give_list(json_t *list, const struct ml_reader_sink *sink, struct ml_error *err)
{
    int status = 0;
    size_t n = json_array_size(list);
    for (size_t i = 0; status == 0 && i < n; i++)
        status = give_item(json_array_get(list, i), i + 1, sink, err);
    return status;
}

/* {"data": [{...}, ...]}: the one list of objects of an object that has no text. */
static json_t *list_within(json_t *object)
{
    const char *name;
    json_t *value, *found = NULL;
    json_object_foreach(object, name, value)
    {
        if (!json_is_object(json_array_get(value, 0)))
            continue;
        if (found)
            return NULL;
        found = value;
    }
    return found;
}

static int give_root(json_t *root, const char *uri, const struct ml_reader_sink *sink,
                     struct ml_error *err)
{
    if (json_is_array(root))
        return give_list(root, sink, err);
    if (!json_is_object(root))
        return ml_fail(err, ML_ERR_FORMAT, "%s: neither a list nor an object", uri);
    int status = add_chat_text(root, err);
    if (status)
        return status;
    struct ml_row_keys keys = ml_row_keys(root);
    json_t *list = keys.text ? NULL : list_within(root);
    if (list)
        return give_list(list, sink, err);
    if (!keys.text)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: no field of it is a text (\"text\", \"content\", \"正文\" ...)", uri);
    return ml_row_document(root, &keys, "the object", sink, err);
}

static int read_json(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                     const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    json_t *root = NULL;
    (void)limits;
    if (input->size > MAX_JSON_BYTES)
        return ml_fail(err, ML_ERR_LIMIT,
                       "%s: JSON above 128 MB; write one object a line, as JSONL", input->uri);
    int status = ml_text_decode(&decoded, input->bytes, input->size, NULL, err);
    if (status)
        return status;
    if (decoded.verdict == ML_TEXT_OK) {
        status = ml_json_parse(&root, decoded.text, decoded.size, input->uri, err);
        if (status == 0)
            status = give_root(root, input->uri, sink, err);
    } else if (decoded.verdict != ML_TEXT_EMPTY) {
        status = ml_fail(err, ML_ERR_FORMAT, "%s: not JSON: it is no text", input->uri);
    }
    json_decref(root);
    ml_decoded_clear(&decoded);
    return status;
}

const struct ml_reader ml_reader_json = {
    .name = "json 1",
    .endings = (const char *const[]){"json", NULL},
    .types = (const char *const[]){"application/json", "text/json", NULL},
    .read = read_json,
};
