/* Markdown: its text stays Markdown. The front matter (YAML between lines of ---) becomes title
 * and fields; without one the first heading is the title. */
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/yaml.h"
#include "data/readers.h"
#include "data/text_decode.h"

#define MAX_FRONT_BYTES 65536
#define MAX_LIST        64

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading Markdown");
}

static bool is_line(const char *text, size_t n, const char *line)
{
    size_t length = strlen(line);
    return n >= length && memcmp(text, line, length) == 0 && (n == length || text[length] == '\n');
}

/* How many bytes the front matter takes with its marks; 0: there is none. */
static size_t front_matter(const char *text, size_t n, size_t *yaml_end)
{
    if (!is_line(text, n, "---"))
        return 0;
    size_t limit = n < MAX_FRONT_BYTES ? n : MAX_FRONT_BYTES;
    for (size_t at = 4; at < limit;) {
        const char *end = memchr(text + at, '\n', limit - at);
        size_t next = end ? (size_t)(end - text) + 1 : limit;
        if (is_line(text + at, n - at, "---") || is_line(text + at, n - at, "...")) {
            *yaml_end = at;
            return next;
        }
        at = next;
    }
    return 0;
}

static int add_field(json_t *meta, const char *name, const struct ml_yaml *node,
                     struct ml_error *err)
{
    json_t *value = NULL;
    if (node->kind == ML_YAML_SCALAR) {
        value = json_string(node->text);
    } else if (node->kind == ML_YAML_LIST) {
        int count = 0;
        value = json_array();
        for (const struct ml_yaml *item = node->first; value && item; item = item->next)
            if (item->kind == ML_YAML_SCALAR && count++ < MAX_LIST &&
                json_array_append_new(value, json_string(item->text)) != 0) {
                json_decref(value);
                value = NULL;
            }
    } else {
        return 0;
    }
    return json_object_set_new(meta, name, value) == 0 ? 0 : fail_memory(err);
}

/* Fields of the front matter. What cannot be read as YAML is left where it was: *found is false. */
static int take_front(const char *yaml, size_t n, struct ml_arena *arena, json_t *meta, bool *found,
                      struct ml_error *err)
{
    struct ml_yaml *root = NULL;
    struct ml_error inner = {0};
    int status = ml_yaml_parse(arena, yaml, n, "front matter", &root, &inner);
    if (status == ML_ERR_MEMORY)
        return fail_memory(err);
    *found = status == 0 && root->kind == ML_YAML_MAP;
    status = 0;
    for (const struct ml_yaml *node = *found ? root->first : NULL; node && status == 0;
         node = node->next)
        status =
            add_field(meta, strcmp(node->key, "license") == 0 ? "licence" : node->key, node, err);
    return status;
}

/* The first heading of the first level, outside fenced code. */
static const char *first_heading(const char *text, size_t n, size_t *length)
{
    bool fenced = false;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t stop = end ? (size_t)(end - text) : n;
        if (stop - at >= 3 &&
            (memcmp(text + at, "```", 3) == 0 || memcmp(text + at, "~~~", 3) == 0))
            fenced = !fenced;
        if (!fenced && stop - at > 2 && text[at] == '#' && text[at + 1] == ' ') {
            size_t from = at + 2;
            while (stop > from && strchr(" #", text[stop - 1]))
                stop--;
            *length = stop - from;
            return text + from;
        }
        at = stop + 1;
    }
    return NULL;
}

static int give(const struct ml_decoded *decoded, struct ml_arena *arena, json_t *meta,
                const struct ml_reader_sink *sink, struct ml_error *err)
{
    const char *text = decoded->text;
    size_t n = decoded->size, yaml_end = 0, front = front_matter(text, n, &yaml_end), length = 0;
    bool found = false;
    char *fields = NULL;
    int status = front ? take_front(text + 4, yaml_end - 4, arena, meta, &found, err) : 0;
    if (status)
        return status;
    size_t start = found ? front : 0;
    while (found && start < n && text[start] == '\n')
        start++;
    struct ml_document document = {
        .kind = "text", .type = "text/plain", .bytes = text + start, .size = n - start};
    const char *heading = first_heading(document.bytes, document.size, &length);
    const char *named = json_string_value(json_object_get(meta, "title"));
    char *title = named     ? ml_arena_strdup(arena, named)
                  : heading ? ml_arena_strndup(arena, heading, length)
                            : ml_arena_strdup(arena, "");
    if (!title)
        return fail_memory(err);
    for (char *c = title; *c; c++) /* one line, however it was folded */
        *c = *c == '\n' ? ' ' : *c;
    document.title = title;
    json_object_del(meta, "title");
    if (json_object_size(meta) > 0)
        status = ml_json_text(&fields, meta, JSON_COMPACT, err);
    document.meta = fields;
    if (status == 0 && document.size > 0)
        status = sink->document(sink->arg, &document, err);
    ml_mem_free(fields);
    return status;
}

static int read_markdown(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                         const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    struct ml_arena arena;
    (void)limits;
    int status = ml_text_decode(&decoded, input->bytes, input->size, NULL, err);
    if (status)
        return status;
    ml_json_setup();
    ml_arena_init(&arena, 0);
    if (decoded.verdict == ML_TEXT_OK) {
        json_t *meta = json_object();
        status = meta ? give(&decoded, &arena, meta, sink, err) : fail_memory(err);
        json_decref(meta);
    } else if (decoded.verdict != ML_TEXT_EMPTY) {
        status = ml_fail(err, ML_ERR_FORMAT, "%s: not text: %s", input->uri,
                         decoded.verdict == ML_TEXT_BINARY
                             ? "it is binary"
                             : "its encoding is neither UTF-8 nor GB18030");
    }
    ml_arena_clear(&arena);
    ml_decoded_clear(&decoded);
    return status;
}

const struct ml_reader ml_reader_markdown = {
    .name = "markdown 1",
    .endings = (const char *const[]){"md", "markdown", NULL},
    .types = (const char *const[]){"text/markdown", "text/x-markdown", NULL},
    .read = read_markdown,
};
