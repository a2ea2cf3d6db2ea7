/* What a reader makes of an item: its documents, put together in one blob whose ranges are the
 * records (data/collect_impl.h). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/collect_impl.h"
#include "data/collect_members.h"
#include "data/readers.h"

#define MAX_DEPTH 3 /* an archive in an archive in an archive */

/* One document. Texts are offsets into `names`; 0 is "". */
struct found {
    size_t start, size;
    size_t kind, type, title, meta, consent, licence;
};

struct gathering {
    struct ml_collector *c;
    const struct ml_collect_item *item;
    const char *name; /* of the reader */
    json_t *more;     /* item->meta */
    struct ml_buffer bytes, names;
    bool borrowed; /* the one document is the item itself, not copied */
    struct found *list;
    size_t count, capacity;
    uint64_t limit;
    int failed; /* what a callback of ours returned */
    bool with_members, denied;
    struct ml_members members;
};

static int fail_memory(const struct gathering *g, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting %s", g->item->uri);
}

/* ---- gathering ---- */

static int put_name(struct gathering *g, const char *text, size_t *at, struct ml_error *err)
{
    *at = 0;
    if (!text || !*text)
        return 0;
    *at = g->names.size;
    return ml_buffer_put(&g->names, text, strlen(text) + 1, err);
}

/* Kinds and types hardly change from one document to the next. */
static int put_again(struct gathering *g, const char *text, size_t last, size_t *at,
                     struct ml_error *err)
{
    if (g->count > 0 && strcmp(g->names.data + last, text) == 0) {
        *at = last;
        return 0;
    }
    return put_name(g, text, at, err);
}

/* The document's fields and those that the item brings. */
static int put_meta(struct gathering *g, const char *meta, size_t *at, struct ml_error *err)
{
    json_t *own = NULL;
    char *text = NULL;
    if (!g->more || !meta)
        return put_name(g, meta ? meta : g->item->meta, at, err);
    int status = ml_json_parse(&own, meta, strlen(meta), "a document's fields", err);
    if (status == 0 && json_object_update(own, g->more) != 0)
        status = fail_memory(g, err);
    if (status == 0)
        status = ml_json_text(&text, own, JSON_COMPACT | JSON_REAL_PRECISION(15), err);
    if (status == 0)
        status = put_name(g, text, at, err);
    ml_mem_free(text);
    json_decref(own);
    return status;
}

static bool is_text(const char *kind)
{
    return strcmp(kind, "text") == 0;
}

/* One blank line stands between two texts; other bytes lie one behind the other. */
static int put_gap(struct gathering *g, const char *kind, struct ml_error *err)
{
    const struct ml_buffer *b = &g->bytes;
    if (g->count == 0 || !is_text(kind) || !is_text(g->names.data + g->list[g->count - 1].kind))
        return 0;
    bool ended = b->size > 0 && b->data[b->size - 1] == '\n';
    return ml_buffer_put(&g->bytes, "\n\n", ended ? 1 : 2, err);
}

static int put_bytes(struct gathering *g, const struct ml_document *document, struct found *out,
                     struct ml_error *err)
{
    const struct ml_collect_item *item = g->item;
    int status = 0;
    out->size = document->size;
    if (g->count == 0 && document->bytes == item->bytes && document->size == item->size) {
        g->borrowed = true; /* a film is not held twice */
        out->start = 0;
        return 0;
    }
    if (g->borrowed)
        status = ml_buffer_put(&g->bytes, item->bytes, item->size, err);
    g->borrowed = false;
    if (status == 0)
        status = put_gap(g, document->kind, err);
    out->start = g->bytes.size;
    return status ? status : ml_buffer_put(&g->bytes, document->bytes, document->size, err);
}

static int make_room(struct gathering *g, struct ml_error *err)
{
    if (g->count < g->capacity)
        return 0;
    size_t capacity = g->capacity ? 2 * g->capacity : 16;
    struct found *grown = ml_mem_realloc(g->list, capacity * sizeof *grown);
    if (!grown)
        return fail_memory(g, err);
    g->list = grown;
    g->capacity = capacity;
    return 0;
}

static int gather(struct gathering *g, const struct ml_document *document, struct ml_error *err)
{
    struct found found = {0}, last = {0};
    if (g->count > 0)
        last = g->list[g->count - 1];
    int status = make_room(g, err);
    if (status == 0)
        status = put_bytes(g, document, &found, err);
    if (status == 0)
        status = put_again(g, document->kind, last.kind, &found.kind, err);
    if (status == 0)
        status = put_again(g, document->type, last.type, &found.type, err);
    if (status == 0)
        status = put_name(g, document->title, &found.title, err);
    if (status == 0)
        status = put_meta(g, document->meta, &found.meta, err);
    if (status == 0)
        status = put_name(g, document->consent, &found.consent, err);
    if (status == 0)
        status = put_name(g, document->licence, &found.licence, err);
    if (status == 0)
        g->list[g->count++] = found;
    return status;
}

static int on_document(void *arg, const struct ml_document *document, struct ml_error *err)
{
    struct gathering *g = arg;
    if (document->size == 0)
        return 0;
    if (ml_collect_is_denied(g->c, document->consent)) {
        ml_collect_skip(g->c->report, ML_SKIP_CONSENT, g->item->uri, 0, document->consent);
        g->denied = true;
        return 0;
    }
    /* Names are counted too: a table can repeat a long column name in every row. */
    if (g->bytes.size + g->names.size + document->size > g->limit)
        return ml_fail(err, ML_ERR_LIMIT, "%s: more than %llu bytes come out of it", g->item->uri,
                       (unsigned long long)g->limit);
    return g->failed = gather(g, document, err);
}

static int on_member(void *arg, const struct ml_member *member, struct ml_error *err)
{
    struct gathering *g = arg;
    g->with_members = true;
    int status = ml_members_put(&g->members, member, err);
    g->failed = status == ML_ERR_LIMIT ? 0 : status; /* a bomb is the archive's fault, not ours */
    return status;
}

static void on_left_out(void *arg, const char *what, const char *why)
{
    struct gathering *g = arg;
    char line[ML_COLLECT_EXAMPLE_BYTES];
    snprintf(line, sizeof line, "%s: %s", what, why);
    ml_collect_skip(g->c->report, ML_SKIP_PART, g->item->uri, 0, line);
}

/* ---- records ---- */

/* Who names the source goes before what the document says of itself. */
static const char *stated(const char *of_item, const char *of_document)
{
    return of_item || !*of_document ? of_item : of_document;
}

static int add_record(struct gathering *g, struct ml_source_pass *pass, const struct found *found,
                      const char *bytes, struct ml_error *err)
{
    struct ml_collector *c = g->c;
    const char *names = g->names.data;
    bool only = g->count == 1;
    ml_arena_reset(&c->scratch);
    struct ml_record record = {.kind = names + found->kind,
                               .type = names + found->type,
                               .title = names + found->title,
                               .meta = names + found->meta,
                               .licence = stated(g->item->licence, names + found->licence),
                               .consent = stated(g->item->consent, names + found->consent),
                               .start = only ? 0 : found->start,
                               .length = only ? 0 : found->size,
                               .bytes = found->size};
    /* A file is called by its name when nothing in it says what it is called; a row is not. */
    if (only && !found->title)
        record.title = ml_collect_title(c, g->item->uri);
    record.lineage =
        ml_arena_printf(&c->scratch, "[{\"op\":\"collect\",\"reader\":\"%s\"}]", g->name);
    if (!record.title || !record.lineage)
        return fail_memory(g, err);
    ml_hash_text(bytes + found->start, found->size, record.hash);
    int status = ml_collect_add_record(c, pass, &record, err);
    return status ? status : ml_collect_next_batch(c, err);
}

/* Fields and titles are not in the blob; their hash is part of what reads, so that a file whose
 * caption changed is gone over again. */
static void name_reader(const struct gathering *g, char *out, size_t room)
{
    char hash[ML_HASH_HEX], name[100];
    ml_hash_text(g->names.data, g->names.size, hash);
    snprintf(name, sizeof name, "%.60s %.12s", g->name, hash);
    ml_collect_reader_text(out, room, name, g->item);
}

static int add_records(struct gathering *g, struct ml_error *err)
{
    const char *bytes = g->borrowed ? g->item->bytes : g->bytes.data;
    size_t n = g->borrowed ? g->item->size : g->bytes.size;
    struct ml_source_pass pass;
    char reader[300];
    name_reader(g, reader, sizeof reader);
    int status = ml_collect_begin_pass(g->c, g->item, bytes, n, reader, &pass, err);
    if (status)
        return status;
    if (pass.unchanged && pass.records > 0) {
        g->c->report->present += (uint64_t)pass.records;
        return ml_collect_next_batch(g->c, err);
    }
    pass.records = 0;
    for (size_t i = 0; status == 0 && i < g->count; i++)
        status = add_record(g, &pass, &g->list[i], bytes, err);
    return status ? status : ml_collect_end_pass(g->c, &pass, err);
}

/* ---- the item ---- */

/* Fills in the report for an input that cannot be read; other failures are the caller's. */
static int note_failure(struct gathering *g, const char *uri, int status,
                        const struct ml_error *inner, struct ml_error *err)
{
    enum ml_collect_reason reason = status == ML_ERR_FORMAT        ? ML_SKIP_DAMAGED
                                    : status == ML_ERR_LIMIT       ? ML_SKIP_TOO_LARGE
                                    : status == ML_ERR_UNSUPPORTED ? ML_SKIP_FORMAT
                                                                   : ML_SKIP_COUNT;
    const char *why = inner->message;
    size_t n = strlen(uri);
    if (g->failed || reason == ML_SKIP_COUNT) {
        ml_fail(err, status, "%s", inner->message);
        return status;
    }
    if (strncmp(why, uri, n) == 0 && why[n] == ':') /* the report names it anyway */
        why += n + 1 + (why[n + 1] == ' ');
    ml_collect_skip(g->c->report, reason, g->item->uri, 0, why);
    return 0;
}

/* A page in a web archive is known by its own address: links in it are relative to that. */
static const char *address_of(const char *uri)
{
    const char *inner = strstr(uri, "!/http://");
    inner = inner ? inner : strstr(uri, "!/https://");
    return inner ? inner + 2 : uri;
}

/* What is given to the reader: of archives within archives all draw on what the outermost one may
 * unpack. */
static struct ml_reader_limits limits_of(struct ml_collector *c)
{
    struct ml_reader_limits limits = ml_reader_limits_or_default(&c->options->limits);
    if (c->depth == 0) {
        c->bytes_left = limits.max_out_bytes;
        c->members_left = limits.max_members;
    }
    return limits;
}

static int read_item(struct gathering *g, const struct ml_reader *reader, struct ml_error *err)
{
    const struct ml_collect_item *item = g->item;
    const struct ml_reader_sink sink = {
        .document = on_document, .member = on_member, .left_out = on_left_out, .arg = g};
    struct ml_reader_limits limits = limits_of(g->c);
    struct ml_error inner = {0};
    const struct ml_reader_input input = {.uri = address_of(item->uri),
                                          .type = item->type,
                                          .bytes = item->bytes,
                                          .size = item->size,
                                          .charset = item->charset};
    g->limit = limits.max_out_bytes;
    int status = reader->read(&input, &limits, &sink, &inner);
    /* What was unpacked before an archive turned out to be damaged is sound. */
    int last = g->failed ? 0 : ml_members_end(&g->members, err);
    if (last)
        return last;
    if (status)
        return note_failure(g, input.uri, status, &inner, err);
    if (g->count > 0)
        return add_records(g, err);
    if (!g->with_members && !g->denied)
        ml_collect_skip(g->c->report, ML_SKIP_EMPTY, item->uri, 0, NULL);
    return 0;
}

int ml_collect_documents(struct ml_collector *c, const struct ml_collect_item *item,
                         const struct ml_reader *reader, struct ml_error *err)
{
    struct gathering g = {
        .c = c, .item = item, .name = reader->name, .members = {.collector = c, .archive = item}};
    if (reader == &ml_reader_archive && c->depth >= MAX_DEPTH) {
        ml_collect_skip(c->report, ML_SKIP_PART, item->uri, 0,
                        "archives lie within archives more than three deep");
        return 0;
    }
    int status = ml_buffer_put(&g.names, "", 1, err);
    if (status == 0 && item->meta)
        status = ml_json_parse(&g.more, item->meta, strlen(item->meta), "an item's fields", err);
    if (status == 0)
        status = read_item(&g, reader, err);
    ml_members_clear(&g.members);
    json_decref(g.more);
    ml_buffer_clear(&g.bytes);
    ml_buffer_clear(&g.names);
    ml_mem_free(g.list);
    return status;
}
