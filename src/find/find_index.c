#include "find/find_index.h"

#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/record_fields.h"
#include "find/index_bytes.h"

#define MAGIC     "MLFIND1"
#define FILE_NAME "index/find.mli"

enum { PASSAGE_BYTES = 1200, PASSAGE_LEAST = 600, MAX_TEXT = 16 << 20, SECTIONS = 4 };

/* ---- texts of records ---- */

static int put_captions(struct ml_buffer *out, const char *meta, struct ml_error *err)
{
    json_t *object = NULL, *value;
    const char *key;
    int status = strcmp(meta, "{}") == 0
                     ? 0
                     : ml_json_parse(&object, meta, strlen(meta), "a record's meta", err);
    json_object_foreach(object, key, value)
    {
        if (status == 0 && json_is_string(value) && json_string_length(value) > 0)
            status =
                ml_buffer_printf(out, err, "%s%s", out->size ? "\n" : "", json_string_value(value));
    }
    json_decref(object);
    return status;
}

int ml_find_record_text(struct ml_workspace *ws, struct ml_arena *arena,
                        const struct ml_record *record, struct ml_blob_view *view,
                        const char **text, size_t *n, struct ml_error *err)
{
    struct ml_buffer out = {0};
    struct ml_record_fields fields = {.text = ""};
    const char *bytes;
    size_t size;
    bool good = true;
    int status = ml_buffer_put(&out, record->title, strlen(record->title), err);
    if (status == 0 && strcmp(record->kind, "text") == 0) {
        status = ml_records_read(ws, record, view, &bytes, &size, err);
        if (status == 0)
            status = ml_record_fields_load(&fields, arena, record, bytes, size, &good, err);
        size_t used = fields.size < MAX_TEXT ? fields.size : ml_utf8_ready(fields.text, MAX_TEXT);
        if (status == 0 && good && ml_utf8_valid(fields.text, used)) {
            status = out.size ? ml_buffer_put(&out, "\n", 1, err) : 0;
            if (status == 0)
                status = ml_buffer_put(&out, fields.text, used, err);
        }
    } else if (status == 0) {
        status = put_captions(&out, record->meta, err);
    }
    char *copy = status == 0 ? ml_arena_strndup(arena, out.data ? out.data : "", out.size) : NULL;
    if (status == 0 && !copy)
        status =
            ml_fail(err, ML_ERR_MEMORY, "out of memory reading record %lld", (long long)record->id);
    *text = copy;
    *n = out.size;
    ml_buffer_clear(&out);
    return status;
}

/* Where a passage that begins at `from` ends: after a line or a sentence, if one ends in time. */
static size_t passage_end(const char *text, size_t n, size_t from)
{
    if (n - from <= PASSAGE_BYTES)
        return n;
    size_t most = from + PASSAGE_BYTES, best = 0;
    for (size_t at = from + PASSAGE_LEAST; at < most; at++) {
        bool full_stop = at + 3 <= most && memcmp(text + at, "\xE3\x80\x82", 3) == 0; /* 。 */
        if (text[at] == '\n')
            best = at + 1;
        else if ((text[at] == '.' || text[at] == '!' || text[at] == '?') && text[at + 1] == ' ')
            best = at + 1;
        else if (full_stop)
            best = at + 3;
    }
    for (size_t at = most; !best && at > from + PASSAGE_LEAST; at--)
        if (text[at] == ' ')
            best = at;
    best = best ? best : most;
    while (best < n && ((unsigned char)text[best] & 0xC0) == 0x80)
        best++;
    return best;
}

/* ---- adding ---- */

static int put_passage(struct ml_find_index *x, const struct ml_passage *passage, const char *text,
                       struct ml_error *err)
{
    float vector[ML_EMBED_WIDTH];
    if (x->count == x->capacity) {
        size_t capacity = x->capacity ? 2 * x->capacity : 1024;
        struct ml_passage *grown = ml_mem_realloc(x->passages, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for the index");
        x->passages = grown;
        x->capacity = capacity;
    }
    int status = ml_embedder_apply(&x->embedder, &x->work, text + passage->start, passage->bytes,
                                   vector, err);
    if (status == 0) /* the words of the text are in the work now */
        status = ml_bm25_add(&x->words, &x->work.words, err);
    if (status == 0)
        status = ml_vector_set_add(&x->vectors, vector, err);
    if (status == 0)
        x->passages[x->count++] = *passage;
    return status;
}

static int add_record(struct ml_find_index *x, const struct ml_record *record, const char *text,
                      size_t n, struct ml_error *err)
{
    int status = 0;
    for (size_t from = 0; status == 0 && from < n;) {
        size_t end = passage_end(text, n, from);
        const struct ml_passage passage = {record->id, (uint32_t)from, (uint32_t)(end - from)};
        status = put_passage(x, &passage, text, err);
        from = end;
    }
    x->last = record->id;
    x->records++;
    x->changed = true;
    return status;
}

/* ---- fitting the embedder ---- */

/* Gives texts for the fit: it asks in ascending order, so one cursor is enough. */
struct sampling {
    struct ml_workspace *workspace;
    struct ml_record_cursor *cursor;
    struct ml_blob_view view;
    struct ml_arena arena;
    size_t next;
};

static int sample_text(void *arg, size_t i, const char **text, size_t *n, struct ml_error *err)
{
    struct sampling *s = arg;
    struct ml_record record;
    int got = 1;
    for (; got > 0 && s->next <= i; s->next++)
        got = ml_records_next(s->cursor, &record, err);
    *text = "";
    *n = 0;
    if (got <= 0)
        return got;
    ml_arena_reset(&s->arena);
    int status = ml_find_record_text(s->workspace, &s->arena, &record, &s->view, text, n, err);
    if (status == 0 && *n > PASSAGE_BYTES * 4)
        *n = ml_utf8_ready(*text, PASSAGE_BYTES * 4);
    return status;
}

static int fit(struct ml_find_index *x, int64_t records, struct ml_error *err)
{
    struct sampling s = {.workspace = x->workspace};
    ml_arena_init(&s.arena, 0);
    int status = ml_records_open(&s.cursor, x->workspace, NULL, err);
    if (status == 0)
        status = ml_embedder_fit(&x->embedder, (size_t)records, sample_text, &s, 1, err);
    ml_records_close(s.cursor);
    ml_blob_view_clear(&s.view);
    ml_arena_clear(&s.arena);
    return status;
}

/* ---- the file ---- */

static int put_head(const struct ml_find_index *x, struct ml_buffer *out, struct ml_error *err)
{
    int status = ml_index_put_u64(out, (uint64_t)x->last, err);
    if (status == 0)
        status = ml_index_put_u64(out, (uint64_t)x->records, err);
    if (status == 0)
        status = ml_index_put_u64(out, x->count, err);
    for (size_t i = 0; status == 0 && i < x->count; i++) {
        status = ml_index_put_varint(out, (uint64_t)x->passages[i].record, err);
        if (status == 0)
            status = ml_index_put_varint(out, x->passages[i].start, err);
        if (status == 0)
            status = ml_index_put_varint(out, x->passages[i].bytes, err);
    }
    return status;
}

static int put_section(const struct ml_find_index *x, int section, struct ml_buffer *out,
                       struct ml_error *err)
{
    switch (section) {
    case 0:
        return put_head(x, out, err);
    case 1:
        return ml_embedder_put(&x->embedder, out, err);
    case 2:
        return ml_vector_set_put(&x->vectors, out, err);
    default:
        return ml_bm25_put(&x->words, out, err);
    }
}

/* Magic, then each section with its length, then a sum over all of it. The graph is a section of
 * its own at the end, empty when there is none. */
static int save(const struct ml_find_index *x, const char *path, struct ml_error *err)
{
    struct ml_buffer out = {0}, part = {0};
    int status = ml_index_put_text(&out, MAGIC, err);
    for (int i = 0; status == 0 && i <= SECTIONS; i++) {
        part.size = 0;
        if (i < SECTIONS)
            status = put_section(x, i, &part, err);
        else if (x->graph.count)
            status = ml_hnsw_put(&x->graph, &part, err);
        if (status == 0)
            status = ml_index_put_u64(&out, part.size, err);
        if (status == 0)
            status = ml_buffer_put(&out, part.data, part.size, err);
    }
    if (status == 0)
        status = ml_index_put_u64(&out, ml_scan_hash(out.data, out.size), err);
    if (status == 0)
        status = ml_file_write(path, out.data, out.size, err);
    ml_buffer_clear(&part);
    ml_buffer_clear(&out);
    return status;
}

static int get_head(struct ml_find_index *x, const uint8_t *bytes, size_t n, const char *name,
                    struct ml_error *err)
{
    struct ml_index_reader r = ml_index_read(bytes, n, name);
    x->last = (int64_t)ml_index_u64(&r);
    x->records = (int64_t)ml_index_u64(&r);
    uint64_t count = ml_index_u64(&r);
    if (r.bad || count > n)
        return ml_index_refuse(&r, err);
    x->passages = ml_mem_calloc((size_t)count + 1, sizeof *x->passages);
    if (!x->passages)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", name);
    x->capacity = (size_t)count + 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t record = ml_index_varint(&r), start = ml_index_varint(&r);
        uint64_t size = ml_index_varint(&r);
        if (record > INT64_MAX || start > MAX_TEXT * 2 || size > MAX_TEXT * 2)
            r.bad = true;
        x->passages[x->count++] =
            (struct ml_passage){(int64_t)record, (uint32_t)start, (uint32_t)size};
    }
    return r.bad || r.at != r.end ? ml_index_refuse(&r, err) : 0;
}

static int get_section(struct ml_find_index *x, int section, const uint8_t *bytes, size_t n,
                       const char *name, struct ml_error *err)
{
    switch (section) {
    case 0:
        return get_head(x, bytes, n, name, err);
    case 1:
        return ml_embedder_get(&x->embedder, bytes, n, name, err);
    case 2:
        return ml_vector_set_get(&x->vectors, bytes, n, name, err);
    case 3:
        return ml_bm25_get(&x->words, bytes, n, name, err);
    default:
        return n ? ml_hnsw_get(&x->graph, &x->vectors, bytes, n, name, err) : 0;
    }
}

static int read_bytes(struct ml_find_index *x, const uint8_t *bytes, size_t n, const char *name,
                      struct ml_error *err)
{
    struct ml_index_reader r = ml_index_read(bytes, n, name), tail = r;
    int status = 0;
    ml_index_expect(&r, MAGIC);
    if (n >= 15)
        tail.at = bytes + n - 8;
    if (r.bad || n < 15 || ml_index_u64(&tail) != ml_scan_hash(bytes, n - 8))
        return ml_index_refuse(&r, err);
    r.end -= 8;
    for (int i = 0; status == 0 && i <= SECTIONS; i++) {
        uint64_t size = ml_index_u64(&r);
        const uint8_t *section = ml_index_bytes(&r, (size_t)size);
        status = section ? get_section(x, i, section, (size_t)size, name, err)
                         : ml_index_refuse(&r, err);
    }
    if (status == 0 && (x->vectors.count != x->count || x->words.count != x->count ||
                        x->vectors.width != ML_EMBED_WIDTH || r.at != r.end))
        status = ml_index_refuse(&r, err);
    return status;
}

/* ---- opening ---- */

static void forget(struct ml_find_index *x)
{
    struct ml_workspace *workspace = x->workspace;
    ml_embedder_clear(&x->embedder);
    ml_hnsw_clear(&x->graph);
    ml_vector_set_clear(&x->vectors);
    ml_bm25_clear(&x->words);
    ml_mem_free(x->passages);
    ml_embed_work_clear(&x->work);
    *x = (struct ml_find_index){.workspace = workspace, .graph = {.top = -1}};
}

void ml_find_index_close(struct ml_find_index *x)
{
    if (x && x->workspace)
        forget(x);
}

/* How many of the records that are in it were replaced since; they are passed over, until they are
 * too many. */
static int count_live(struct ml_workspace *ws, int64_t *live, struct ml_error *err)
{
    return ml_records_count(ws, NULL, live, NULL, err);
}

static int add_new(struct ml_find_index *x, int64_t live, const struct ml_find_options *o,
                   struct ml_error *err)
{
    struct ml_record_cursor *cursor = NULL;
    struct ml_blob_view view = {0};
    struct ml_arena arena;
    const struct ml_record_filter filter = {.after = x->last};
    struct ml_record record;
    int64_t done = 0, total = live > x->records ? live - x->records : 0;
    int got = 0, status = ml_records_open(&cursor, x->workspace, &filter, err);
    ml_arena_init(&arena, 0);
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) > 0) {
        const char *text;
        size_t n;
        ml_arena_reset(&arena);
        status = o->cancel && *o->cancel
                     ? ml_fail(err, ML_ERR_CANCELLED, "stopped while indexing")
                     : ml_find_record_text(x->workspace, &arena, &record, &view, &text, &n, err);
        if (status == 0)
            status = add_record(x, &record, text, n, err);
        if (o->progress && ++done % 256 == 0)
            o->progress(o->arg, done, total > done ? total : done);
    }
    if (status == 0)
        status = got;
    if (o->progress && done && status == 0)
        o->progress(o->arg, done, done);
    ml_records_close(cursor);
    ml_blob_view_clear(&view);
    ml_arena_clear(&arena);
    return status;
}

static int bring_up_to_date(struct ml_find_index *x, const struct ml_find_options *o,
                            struct ml_error *err)
{
    int64_t live = 0;
    int status = count_live(x->workspace, &live, err);
    if (status)
        return status;
    bool stale = !x->embedder.idf || live > 2 * (int64_t)x->embedder.texts + 100 ||
                 x->records > live + live / 2 + 100;
    if (stale) {
        forget(x);
        status = ml_vector_set_init(&x->vectors, ML_EMBED_WIDTH, err);
        if (status == 0)
            status = fit(x, live, err);
    }
    if (status == 0)
        status = add_new(x, live, o, err);
    if (status == 0 && x->count > ML_FIND_EXACT_MAX) {
        if (!x->graph.set)
            ml_hnsw_init(&x->graph, &x->vectors, 0, 0, 1);
        status = ml_hnsw_update(&x->graph, o->cancel, err);
    }
    return status;
}

int ml_find_index_open(struct ml_find_index *x, struct ml_workspace *ws,
                       const struct ml_find_options *options, struct ml_error *err)
{
    static const struct ml_find_options defaults;
    const struct ml_find_options *o = options ? options : &defaults;
    struct ml_arena arena;
    struct ml_file_map map = {0};
    ml_arena_init(&arena, 4096);
    *x = (struct ml_find_index){.workspace = ws, .graph = {.top = -1}};
    char *path = ml_workspace_path(ws, &arena, FILE_NAME);
    char *folder = ml_workspace_path(ws, &arena, "index");
    int status = path && folder ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
    if (status == 0 && ml_path_exists(path) && ml_file_map_open(&map, path, NULL) == 0) {
        if (read_bytes(x, map.data, map.size, path, NULL) != 0)
            forget(x); /* made again below */
        ml_file_map_close(&map);
    }
    if (status == 0)
        status = bring_up_to_date(x, o, err);
    if (status == 0 && x->changed && !ml_workspace_is_read_only(ws)) {
        status = ml_dir_make(folder, err);
        if (status == 0)
            status = save(x, path, err);
        x->changed = status != 0;
    }
    if (status)
        ml_find_index_close(x);
    ml_arena_clear(&arena);
    return status;
}
