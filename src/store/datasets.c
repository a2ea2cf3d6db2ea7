#include "store/datasets.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/words.h"
#include "store/store_impl.h"

#define COLUMNS "id, name, version, hash, records, bytes, created"

static void read_row(struct ml_stmt *stmt, struct ml_dataset *out)
{
    *out = (struct ml_dataset){.id = ml_stmt_int(stmt, 0),
                               .version = (int)ml_stmt_int(stmt, 2),
                               .records = ml_stmt_int(stmt, 4),
                               .bytes = ml_stmt_int(stmt, 5),
                               .time = ml_stmt_int(stmt, 6)};
    strncpy(out->name, ml_stmt_text(stmt, 1), ML_NAME_BYTES - 1);
    ml_stmt_hash(stmt, 3, out->hash);
}

/* ---- which records ---- */

struct id_list {
    int64_t *ids;
    size_t count, capacity;
};

static int put_id(struct id_list *list, int64_t id, struct ml_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 1024;
        int64_t *grown = ml_mem_realloc(list->ids, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory listing %zu records", capacity);
        list->ids = grown;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return 0;
}

static int put_matches(struct id_list *list, struct ml_workspace *ws,
                       const struct ml_record_filter *filter, bool with_replaced,
                       struct ml_error *err)
{
    struct ml_record_cursor *cursor;
    struct ml_record record;
    int got, status = ml_records_open(&cursor, ws, filter, err);
    if (status)
        return status;
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) != 0)
        if (got < 0)
            status = got;
        else if (with_replaced || !record.replaced)
            status = put_id(list, record.id, err);
    ml_records_close(cursor);
    return status;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int find_version(struct ml_workspace *ws, const char *name, int64_t version,
                        struct ml_dataset *out, struct ml_error *err);

static int pick(struct id_list *list, struct ml_workspace *ws, const struct ml_dataset_spec *spec,
                const struct ml_dataset *latest, struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < spec->id_count; i++)
        status = put_id(list, spec->ids[i], err);
    if (spec->id_count || status)
        return status;
    for (size_t i = 0; status == 0 && i < spec->filter_count; i++)
        status = put_matches(list, ws, &spec->filters[i], true, err);
    if (status == 0 && spec->extend && latest->id) {
        struct ml_record_filter before = {.dataset = latest->id};
        status = put_matches(list, ws, &before, false, err);
    }
    if (status || list->count == 0)
        return status;
    qsort(list->ids, list->count, sizeof list->ids[0], by_value);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++)
        if (list->ids[i] != list->ids[i - 1])
            list->ids[kept++] = list->ids[i];
    list->count = kept;
    return 0;
}

/* ---- the manifest ---- */

/* A source with a tab, a line end or a backslash in it would break the lines: those are escaped. */
static int put_source(struct ml_buffer *text, const char *source, struct ml_error *err)
{
    int status = 0;
    while (status == 0 && *source) {
        size_t plain = strcspn(source, "\\\t\r\n");
        status = ml_buffer_put(text, source, plain, err);
        source += plain;
        if (status == 0 && *source) {
            const char *escape = *source == '\\'   ? "\\\\"
                                 : *source == '\t' ? "\\t"
                                 : *source == '\r' ? "\\r"
                                                   : "\\n";
            status = ml_buffer_put(text, escape, 2, err);
            source++;
        }
    }
    return status;
}

static int put_line(struct ml_buffer *text, struct ml_workspace *ws, int64_t id, int64_t *bytes,
                    struct ml_error *err)
{
    char hash[ML_HASH_HEX];
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "SELECT r.hash, r.kind, s.uri, r.bytes FROM record r"
                               " JOIN source s ON s.id = r.source WHERE r.id = $1",
                               err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, id);
    int got = ml_stmt_step(stmt, err);
    if (got == 0)
        status = ml_fail(err, ML_ERR_NOT_FOUND, "there is no record %lld", (long long)id);
    else if (got < 0)
        status = got;
    if (status == 0) {
        ml_stmt_hash(stmt, 0, hash);
        status = ml_buffer_printf(text, err, "%s\t%s\t", hash, ml_stmt_text(stmt, 1));
        if (status == 0)
            status = put_source(text, ml_stmt_text(stmt, 2), err);
        if (status == 0)
            status = ml_buffer_put(text, "\n", 1, err);
        *bytes += ml_stmt_int(stmt, 3);
    }
    if (status == 0)
        status = ml_stmt_check(stmt, err);
    ml_stmt_end(stmt);
    return status;
}

/* ---- creating ---- */

static int insert_members(struct ml_workspace *ws, int64_t dataset, const struct id_list *list,
                          struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < list->count; i++) {
        struct ml_stmt *stmt;
        status = ml_db_prepare(
            &stmt, ws->db,
            "INSERT INTO dataset_record(dataset, position, record) VALUES($1, $2, $3)", err);
        if (status)
            return status;
        ml_stmt_put_int(stmt, dataset);
        ml_stmt_put_int(stmt, (int64_t)i);
        ml_stmt_put_int(stmt, list->ids[i]);
        status = ml_stmt_run(stmt, err);
    }
    return status;
}

static int insert(struct ml_workspace *ws, struct ml_dataset *made, const struct id_list *list,
                  const struct ml_buffer *manifest, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int64_t blob = 0;
    int status = ml_blobs_put(ws, manifest->data, manifest->size, made->hash, err);
    if (status == 0)
        status = ml_blob_row(ws, made->hash, &blob, err);
    if (status == 0)
        status =
            ml_db_prepare(&stmt, ws->db,
                          "INSERT INTO dataset(name, version, hash, blob, records, bytes, created)"
                          " VALUES($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                          err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, made->name);
    ml_stmt_put_int(stmt, made->version);
    ml_stmt_put_hash(stmt, made->hash);
    ml_stmt_put_int(stmt, blob);
    ml_stmt_put_int(stmt, made->records);
    ml_stmt_put_int(stmt, made->bytes);
    ml_stmt_put_int(stmt, made->time);
    status = ml_stmt_run_int(stmt, &made->id, err);
    return status ? status : insert_members(ws, made->id, list, err);
}

/* Within one transaction, so that the latest version stays the latest. */
static int create(struct ml_workspace *ws, const struct ml_dataset_spec *spec,
                  struct ml_dataset *out, bool *made, struct ml_error *err)
{
    struct id_list list = {0};
    struct ml_buffer manifest = {0};
    struct ml_dataset latest = {0}, next = {.time = ml_unix_time()};
    char hash[ML_HASH_HEX];
    int status = find_version(ws, spec->name, 0, &latest, err);
    if (status == ML_ERR_NOT_FOUND)
        status = 0;
    if (status == 0)
        status = pick(&list, ws, spec, &latest, err);
    if (status == 0 && list.count == 0)
        status = ml_fail(err, ML_ERR_NOT_FOUND,
                         "dataset %s: no record in the workspace belongs to it; collect some first",
                         spec->name);
    for (size_t i = 0; status == 0 && i < list.count; i++)
        status = put_line(&manifest, ws, list.ids[i], &next.bytes, err);
    if (status == 0) {
        ml_hash_text(manifest.data, manifest.size, hash);
        *made = strcmp(hash, latest.hash) != 0;
        strcpy(next.name, spec->name);
        next.version = latest.version + 1;
        next.records = (int64_t)list.count;
        *out = *made ? next : latest;
    }
    if (status == 0 && *made)
        status = insert(ws, out, &list, &manifest, err);
    ml_buffer_clear(&manifest);
    ml_mem_free(list.ids);
    return status;
}

int ml_datasets_create(struct ml_workspace *ws, const struct ml_dataset_spec *spec,
                       struct ml_dataset *out, bool *made, struct ml_error *err)
{
    struct ml_dataset result;
    bool is_new = false;
    int status = ml_name_check(spec->name, "dataset", err);
    if (status == 0)
        status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_workspace_end(ws, create(ws, spec, &result, &is_new, err), err);
    if (status)
        return status;
    *out = result;
    if (made)
        *made = is_new;
    return 0;
}

/* ---- opening ---- */

/* version 0: the latest. ML_ERR_NOT_FOUND without a message. */
static int find_version(struct ml_workspace *ws, const char *name, int64_t version,
                        struct ml_dataset *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "SELECT " COLUMNS " FROM dataset WHERE name = $1"
                               " AND ($2 = 0 OR version = $2) ORDER BY version DESC LIMIT 1",
                               err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, name);
    ml_stmt_put_int(stmt, version);
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        struct ml_dataset found;
        read_row(stmt, &found);
        status = ml_stmt_check(stmt, err);
        if (status == 0)
            *out = found;
    } else {
        status = got < 0 ? got : ML_ERR_NOT_FOUND;
    }
    ml_stmt_end(stmt);
    return status;
}

static int fail_unknown(struct ml_workspace *ws, const char *name, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_dataset *list, latest;
    size_t count;
    ml_arena_init(&arena, 0);
    if (find_version(ws, name, 0, &latest, NULL) == 0) {
        ml_arena_clear(&arena);
        return ml_fail(err, ML_ERR_NOT_FOUND,
                       "dataset %s has versions 1 to %d; the one asked for is not among them", name,
                       latest.version);
    }
    const char **names = NULL, *near = NULL;
    if (ml_datasets_list(ws, &arena, &list, &count, NULL) == 0 && count > 0 &&
        (names = ml_arena_calloc(&arena, count, sizeof *names))) {
        for (size_t i = 0; i < count; i++)
            names[i] = list[i].name;
        near = ml_word_nearest(name, names, (int)count);
    }
    int status = near ? ml_fail(err, ML_ERR_NOT_FOUND,
                                "there is no dataset \"%.120s\"; did you mean \"%s\"?", name, near)
                      : ml_fail(err, ML_ERR_NOT_FOUND,
                                "there is no dataset \"%.120s\" in %.200s; `maliang collect` makes "
                                "one",
                                name, ws->folder);
    ml_arena_clear(&arena);
    return status;
}

int ml_datasets_open(struct ml_workspace *ws, const char *name, struct ml_dataset *out,
                     struct ml_error *err)
{
    char plain[ML_NAME_BYTES];
    const char *at = strrchr(name, '@');
    size_t n = at ? (size_t)(at - name) : strlen(name);
    long version = 0;
    if (at) {
        char *end;
        version = strtol(at + 1, &end, 10);
        if (end == at + 1 || *end || version < 1)
            return ml_fail(err, ML_ERR_ARG,
                           "\"%.150s\": after '@' comes the number of a version, such as %.*s@1",
                           name, (int)(n < 100 ? n : 100), name);
    }
    if (n >= sizeof plain)
        return ml_fail(err, ML_ERR_NOT_FOUND, "there is no dataset \"%.60s...\"", name);
    memcpy(plain, name, n);
    plain[n] = '\0';
    int status = find_version(ws, plain, version, out, err);
    return status == ML_ERR_NOT_FOUND ? fail_unknown(ws, plain, err) : status;
}

int ml_datasets_list(struct ml_workspace *ws, struct ml_arena *arena, struct ml_dataset **out,
                     size_t *count, struct ml_error *err)
{
    struct ml_stmt *stmt;
    struct ml_dataset *list = NULL;
    size_t n = 0, capacity = 0;
    int got, status = ml_db_prepare(&stmt, ws->db,
                                    "SELECT " COLUMNS " FROM dataset ORDER BY name, version", err);
    if (status)
        return status;
    while ((got = ml_stmt_step(stmt, err)) > 0) {
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            struct ml_dataset *grown = ml_arena_calloc(arena, capacity, sizeof *grown);
            if (!grown) {
                got = ml_fail(err, ML_ERR_MEMORY, "out of memory listing datasets");
                break;
            }
            if (n)
                memcpy(grown, list, n * sizeof *grown);
            list = grown;
        }
        read_row(stmt, &list[n++]);
    }
    ml_stmt_end(stmt);
    if (got < 0)
        return got;
    *out = list;
    *count = n;
    return 0;
}

int ml_datasets_manifest(struct ml_workspace *ws, const struct ml_dataset *dataset,
                         struct ml_blob_view *view, const char **text, size_t *n,
                         struct ml_error *err)
{
    char actual[ML_HASH_HEX];
    int status = ml_blobs_view(ws, view, dataset->hash, err);
    if (status)
        return status;
    ml_hash_text(view->map.data, view->map.size, actual);
    if (strcmp(actual, dataset->hash) != 0)
        return ml_fail(err, ML_ERR_FORMAT, "the manifest of %s@%d is damaged on disk",
                       dataset->name, dataset->version);
    *text = view->map.size ? (const char *)view->map.data : "";
    *n = view->map.size;
    return 0;
}

/* ---- a lost manifest ---- */

static int manifest_of(struct ml_workspace *ws, int64_t dataset, struct ml_buffer *text,
                       struct ml_error *err)
{
    const struct ml_record_filter members = {.dataset = dataset};
    struct id_list list = {0};
    int64_t bytes = 0;
    int status = put_matches(&list, ws, &members, true, err);
    for (size_t i = 0; status == 0 && i < list.count; i++)
        status = put_line(text, ws, list.ids[i], &bytes, err);
    ml_mem_free(list.ids);
    return status;
}

int ml_datasets_restore(struct ml_workspace *ws, int64_t blob, bool *restored, struct ml_error *err)
{
    struct ml_stmt *stmt;
    struct ml_buffer text = {0};
    char hash[ML_HASH_HEX] = "", actual[ML_HASH_HEX];
    int64_t dataset = 0;
    int status = ml_db_prepare(
        &stmt, ws->db, "SELECT id, hash FROM dataset WHERE blob = $1 ORDER BY id LIMIT 1", err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, blob);
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        dataset = ml_stmt_int(stmt, 0);
        ml_stmt_hash(stmt, 1, hash);
    }
    ml_stmt_end(stmt);
    *restored = false;
    if (got <= 0)
        return got;
    status = manifest_of(ws, dataset, &text, err);
    if (status == 0 && text.size > 0) {
        ml_hash_text(text.data, text.size, actual);
        if (strcmp(actual, hash) == 0) {
            status = ml_blobs_put(ws, text.data, text.size, actual, err);
            *restored = status == 0;
        }
    }
    ml_buffer_clear(&text);
    return status;
}
