#include "base/yaml.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/fail.h"
#include "base/utf8.h"

#define MAX_DEPTH 16
#define MAX_NODES 10000

struct reader {
    yaml_parser_t parser;
    struct ml_arena *arena;
    const char *name;
    int nodes;
    struct ml_error *err;
};

static int fail_at(struct reader *reader, const yaml_mark_t *mark, const char *message)
{
    return ml_fail(reader->err, ML_ERR_FORMAT, "%s:%d: %s", reader->name, (int)mark->line + 1,
                   message);
}

static int fail_memory(struct reader *reader)
{
    return ml_fail(reader->err, ML_ERR_MEMORY, "%s: out of memory reading YAML", reader->name);
}

/* The next event; the caller deletes it. Aliases and tags stop here: a recipe is plain data, and
 * both let a small file stand for something large or strange. */
static int next_event(struct reader *reader, yaml_event_t *event)
{
    const yaml_parser_t *parser = &reader->parser;
    if (!yaml_parser_parse(&reader->parser, event)) {
        if (parser->error == YAML_MEMORY_ERROR)
            return fail_memory(reader);
        const yaml_mark_t *mark = &parser->problem_mark;
        if (parser->error == YAML_READER_ERROR)
            return ml_fail(reader->err, ML_ERR_FORMAT, "%s: not readable as YAML: %s at byte %zu",
                           reader->name, parser->problem, parser->problem_offset);
        return fail_at(reader, mark, parser->problem ? parser->problem : "not valid YAML");
    }
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        anchor = event->data.alias.anchor;
        break;
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    int status = 0;
    if (anchor)
        status = fail_at(reader, &event->start_mark,
                         "anchors and aliases (& and *) are not allowed; write the value out");
    else if (tag)
        status = fail_at(reader, &event->start_mark, "tags (!) are not allowed; write the value");
    if (status)
        yaml_event_delete(event);
    return status;
}

static struct ml_yaml *node_new(struct reader *reader, const yaml_event_t *event, const char *key)
{
    struct ml_yaml *node = ml_arena_calloc(reader->arena, 1, sizeof *node);
    if (!node)
        return NULL;
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    node->key = key;
    return node;
}

/* A scalar's text in the arena. A NUL would cut it short unseen. */
static int scalar_text(struct reader *reader, const yaml_event_t *event, const char **out)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    if (memchr(value, '\0', n))
        return fail_at(reader, &event->start_mark, "a text must not contain the character NUL");
    char *text = ml_arena_strndup(reader->arena, value, n);
    if (!text)
        return fail_memory(reader);
    *out = text;
    return 0;
}

static int read_node(struct reader *reader, const yaml_event_t *event, const char *key, int depth,
                     struct ml_yaml **out);

static int read_list(struct reader *reader, struct ml_yaml *list, int depth)
{
    struct ml_yaml **end = &list->first;
    for (;;) {
        yaml_event_t event;
        int status = next_event(reader, &event);
        if (status)
            return status;
        bool last = event.type == YAML_SEQUENCE_END_EVENT;
        if (!last)
            status = read_node(reader, &event, NULL, depth, end);
        yaml_event_delete(&event);
        if (last || status)
            return status;
        end = &(*end)->next;
    }
}

static int read_key(struct reader *reader, const struct ml_yaml *map, const yaml_event_t *event,
                    const char **out)
{
    const char *key = NULL;
    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(reader, &event->start_mark, "a key must be a word");
    int status = scalar_text(reader, event, &key);
    if (status)
        return status;
    const struct ml_yaml *before = ml_yaml_get(map, key);
    if (before)
        return ml_fail(reader->err, ML_ERR_FORMAT,
                       "%s:%d: the key '%.80s' stands here again; line %d has it first",
                       reader->name, (int)event->start_mark.line + 1, key, before->line);
    *out = key;
    return 0;
}

static int read_map(struct reader *reader, struct ml_yaml *map, int depth)
{
    struct ml_yaml **end = &map->first;
    for (;;) {
        yaml_event_t event;
        const char *key = NULL;
        int status = next_event(reader, &event);
        if (status)
            return status;
        bool last = event.type == YAML_MAPPING_END_EVENT;
        int line = (int)event.start_mark.line + 1;
        if (!last)
            status = read_key(reader, map, &event, &key);
        yaml_event_delete(&event);
        if (last || status)
            return status;
        status = next_event(reader, &event);
        if (status)
            return status;
        status = read_node(reader, &event, key, depth, end);
        yaml_event_delete(&event);
        if (status)
            return status;
        (*end)->line = line; /* a value under its key is shown where the key stands */
        end = &(*end)->next;
    }
}

static int read_node(struct reader *reader, const yaml_event_t *event, const char *key, int depth,
                     struct ml_yaml **out)
{
    if (++reader->nodes > MAX_NODES)
        return ml_fail(reader->err, ML_ERR_LIMIT, "%s:%d: more than %d values", reader->name,
                       (int)event->start_mark.line + 1, MAX_NODES);
    if (depth > MAX_DEPTH)
        return ml_fail(reader->err, ML_ERR_LIMIT, "%s:%d: nested deeper than %d", reader->name,
                       (int)event->start_mark.line + 1, MAX_DEPTH);
    struct ml_yaml *node = node_new(reader, event, key);
    if (!node)
        return fail_memory(reader);
    int status = 0;
    if (event->type == YAML_SCALAR_EVENT) {
        node->kind = ML_YAML_SCALAR;
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        status = scalar_text(reader, event, &node->text);
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        node->kind = ML_YAML_MAP;
        status = read_map(reader, node, depth + 1);
    } else {
        node->kind = ML_YAML_LIST;
        status = read_list(reader, node, depth + 1);
    }
    if (status == 0)
        *out = node;
    return status;
}

/* Steps over the event that must come next here. */
static int skip_event(struct reader *reader, yaml_event_type_t *type)
{
    yaml_event_t event;
    int status = next_event(reader, &event);
    if (status)
        return status;
    *type = event.type;
    yaml_event_delete(&event);
    return 0;
}

static int read_stream(struct reader *reader, struct ml_yaml **out)
{
    yaml_event_type_t type;
    int status = skip_event(reader, &type); /* stream start */
    if (status == 0)
        status = skip_event(reader, &type); /* document start, or the end of an empty stream */
    if (status)
        return status;
    yaml_event_t event = {0};
    if (type != YAML_STREAM_END_EVENT)
        status = next_event(reader, &event);
    if (status)
        return status;
    struct ml_yaml *root = NULL;
    bool empty = event.type == YAML_NO_EVENT ||
                 (event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 &&
                  event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
    if (empty) {
        root = node_new(reader, &event, NULL);
        if (root)
            root->kind = ML_YAML_MAP;
        else
            status = fail_memory(reader);
    } else {
        status = read_node(reader, &event, NULL, 0, &root);
    }
    bool more = status == 0 && event.type != YAML_NO_EVENT;
    yaml_event_delete(&event);
    if (more)
        status = skip_event(reader, &type); /* document end */
    if (more && status == 0)
        status = next_event(reader, &event);
    if (more && status == 0) {
        if (event.type != YAML_STREAM_END_EVENT)
            status = fail_at(reader, &event.start_mark, "a second document begins; one is allowed");
        yaml_event_delete(&event);
    }
    if (status == 0)
        *out = root;
    return status;
}

int ml_yaml_parse(struct ml_arena *arena, const char *text, size_t n, const char *name,
                  struct ml_yaml **out, struct ml_error *err)
{
    struct reader reader = {.arena = arena, .name = name, .err = err};
    if (!yaml_parser_initialize(&reader.parser))
        return fail_memory(&reader);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, n);
    int status = read_stream(&reader, out);
    yaml_parser_delete(&reader.parser);
    return status;
}

const struct ml_yaml *ml_yaml_get(const struct ml_yaml *map, const char *key)
{
    if (!map || map->kind != ML_YAML_MAP)
        return NULL;
    for (const struct ml_yaml *node = map->first; node; node = node->next)
        if (node->key && strcmp(node->key, key) == 0)
            return node;
    return NULL;
}
