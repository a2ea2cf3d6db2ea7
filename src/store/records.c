#include "store/records.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "store/store_impl.h"

#define COLUMNS                                                                                    \
    "r.id, r.kind, r.type, s.uri, r.title, r.meta, r.licence, r.consent, r.lineage, b.hash,"       \
    " r.start, r.length, r.hash, r.bytes, r.created, r.replaced"
#define JOINS " JOIN source s ON s.id = r.source JOIN blob b ON b.id = r.blob"
/* $1 kind, $2 path, $3 path + '/', $4 path + '0' (the byte after '/'): everything below a folder
 * is one range of the index on uri. */
#define WHICH                                                                                      \
    " WHERE ($1 IS NULL OR r.kind = $1)"                                                           \
    " AND ($2 IS NULL OR s.uri = $2 OR (s.uri >= $3 AND s.uri < $4))"

static const char list_all[] =
    "SELECT " COLUMNS " FROM record r" JOINS WHICH " AND ($5 <> 0 OR r.replaced = 0) AND r.id > $6"
    " ORDER BY r.id LIMIT $7";
static const char list_dataset[] =
    "SELECT " COLUMNS " FROM dataset_record d JOIN record r ON r.id = d.record" JOINS WHICH
    " AND d.dataset = $5 AND r.id > $6"
    " ORDER BY d.position LIMIT $7";
static const char count_all[] =
    "SELECT count(*), coalesce(sum(r.bytes), 0) FROM record r JOIN source s ON s.id = "
    "r.source" WHICH " AND ($5 <> 0 OR r.replaced = 0)";
static const char count_dataset[] =
    "SELECT count(*), coalesce(sum(r.bytes), 0) FROM dataset_record d JOIN record r"
    " ON r.id = d.record JOIN source s ON s.id = r.source" WHICH " AND d.dataset = $5";

static int put_filter(struct ml_stmt *stmt, const struct ml_record_filter *f, struct ml_error *err)
{
    if (!f->under) {
        for (int i = 0; i < 4; i++)
            ml_stmt_put_text(stmt, i == 0 ? f->kind : NULL);
    } else {
        size_t n = strlen(f->under);
        while (n > 1 && f->under[n - 1] == '/')
            n--;
        char *path = ml_mem_alloc(n + 2);
        if (!path)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory listing records");
        memcpy(path, f->under, n);
        path[n] = path[n + 1] = '\0';
        ml_stmt_put_text(stmt, f->kind);
        ml_stmt_put_text(stmt, path);
        path[n == 1 && path[0] == '/' ? 0 : n] = '/';
        ml_stmt_put_text(stmt, path);
        path[strlen(path) - 1] = '0';
        ml_stmt_put_text(stmt, path);
        ml_mem_free(path);
    }
    ml_stmt_put_int(stmt, f->dataset ? f->dataset : f->with_replaced);
    return 0;
}

/* ---- listing ---- */

struct ml_record_cursor {
    struct ml_stmt *stmt;
};

int ml_records_open(struct ml_record_cursor **out, struct ml_workspace *ws,
                    const struct ml_record_filter *filter, struct ml_error *err)
{
    static const struct ml_record_filter everything;
    const struct ml_record_filter *f = filter ? filter : &everything;
    struct ml_stmt *stmt = NULL;
    struct ml_record_cursor *cursor = ml_mem_calloc(1, sizeof *cursor);
    if (!cursor)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing records");
    int status = ml_db_prepare_many(&stmt, ws->db, f->dataset ? list_dataset : list_all, err);
    if (status == 0)
        status = put_filter(stmt, f, err);
    if (status) {
        ml_stmt_end(stmt);
        ml_mem_free(cursor);
        return status;
    }
    ml_stmt_put_int(stmt, f->after);
    ml_stmt_put_int(stmt, f->limit ? f->limit : INT64_MAX);
    cursor->stmt = stmt;
    *out = cursor;
    return 0;
}

static int read_row(struct ml_stmt *stmt, struct ml_record *r, struct ml_error *err)
{
    *r = (struct ml_record){
        .id = ml_stmt_int(stmt, 0),
        .kind = ml_stmt_text(stmt, 1),
        .type = ml_stmt_text(stmt, 2),
        .source = ml_stmt_text(stmt, 3),
        .title = ml_stmt_text(stmt, 4),
        .meta = ml_stmt_text(stmt, 5),
        .licence = ml_stmt_text(stmt, 6),
        .consent = ml_stmt_text(stmt, 7),
        .lineage = ml_stmt_text(stmt, 8),
        .start = (uint64_t)ml_stmt_int(stmt, 10),
        .length = (uint64_t)ml_stmt_int(stmt, 11),
        .bytes = (uint64_t)ml_stmt_int(stmt, 13),
        .time = ml_stmt_int(stmt, 14),
        .replaced = ml_stmt_int(stmt, 15),
    };
    ml_stmt_hash(stmt, 9, r->blob);
    ml_stmt_hash(stmt, 12, r->hash);
    return ml_stmt_check(stmt, err);
}

int ml_records_next(struct ml_record_cursor *cursor, struct ml_record *record, struct ml_error *err)
{
    struct ml_record next;
    int got = ml_stmt_step(cursor->stmt, err);
    if (got <= 0)
        return got;
    int status = read_row(cursor->stmt, &next, err);
    if (status)
        return status;
    *record = next;
    return 1;
}

void ml_records_close(struct ml_record_cursor *cursor)
{
    if (!cursor)
        return;
    ml_stmt_end(cursor->stmt);
    ml_mem_free(cursor);
}

int ml_records_count(struct ml_workspace *ws, const struct ml_record_filter *filter, int64_t *count,
                     int64_t *bytes, struct ml_error *err)
{
    static const struct ml_record_filter everything;
    const struct ml_record_filter *f = filter ? filter : &everything;
    struct ml_stmt *stmt = NULL;
    int status = ml_db_prepare(&stmt, ws->db, f->dataset ? count_dataset : count_all, err);
    if (status == 0)
        status = put_filter(stmt, f, err);
    if (status == 0)
        status = ml_stmt_step(stmt, err);
    if (status > 0) {
        *count = ml_stmt_int(stmt, 0);
        if (bytes)
            *bytes = ml_stmt_int(stmt, 1);
        status = 0;
    }
    ml_stmt_end(stmt);
    return status;
}

/* ---- one record ---- */

/* Replaces borrowed texts by copies; false when memory is out. */
static bool keep(struct ml_record *r, struct ml_arena *arena)
{
    const char **texts[] = {&r->kind, &r->type,    &r->source,  &r->title,
                            &r->meta, &r->licence, &r->consent, &r->lineage};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!(*texts[i] = ml_arena_strdup(arena, *texts[i])))
            return false;
    return true;
}

int ml_records_get(struct ml_workspace *ws, int64_t id, struct ml_arena *arena,
                   struct ml_record *out, struct ml_error *err)
{
    static const char sql[] = "SELECT " COLUMNS " FROM record r" JOINS " WHERE r.id = $1";
    struct ml_stmt *stmt;
    struct ml_record record;
    int status = ml_db_prepare(&stmt, ws->db, sql, err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, id);
    int got = ml_stmt_step(stmt, err);
    if (got < 0)
        status = got;
    else if (got == 0)
        status = ml_fail(err, ML_ERR_NOT_FOUND, "there is no record %lld", (long long)id);
    else
        status = read_row(stmt, &record, err);
    if (status == 0 && !keep(&record, arena))
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory reading record %lld", (long long)id);
    ml_stmt_end(stmt);
    if (status == 0)
        *out = record;
    return status;
}

int ml_records_read(struct ml_workspace *ws, const struct ml_record *record,
                    struct ml_blob_view *view, const char **bytes, size_t *n, struct ml_error *err)
{
    char actual[ML_HASH_HEX];
    int status = ml_blobs_view(ws, view, record->blob, err);
    if (status) {
        ml_fail_context(err, "record %lld", (long long)record->id);
        return status;
    }
    uint64_t size = view->map.size, length = record->length ? record->length : size;
    bool fits = record->start <= size && length <= size - record->start;
    const char *at = size ? (const char *)view->map.data : "";
    if (fits) {
        at += record->start;
        ml_hash_text(at, (size_t)length, actual);
    }
    if (!fits || strcmp(actual, record->hash) != 0)
        return ml_fail(err, ML_ERR_FORMAT,
                       "record %lld: its bytes (blob %.12s) are damaged on disk; collect %s again "
                       "to restore them",
                       (long long)record->id, record->blob, record->source);
    *bytes = at;
    *n = (size_t)length;
    return 0;
}
