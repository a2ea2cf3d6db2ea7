/* Rows of blobs; where their bytes lie is a driver's matter (store/blob_driver.h). */
#include "store/blobs.h"

#include <string.h>

#include "base/fail.h"
#include "store/store_impl.h"

char *ml_blobs_path(const struct ml_workspace *ws, struct ml_arena *arena, const char *hash)
{
    return ml_arena_printf(arena, "%s/blobs/%.2s/%s", ws->folder, hash, hash + 2);
}

int ml_blob_row(struct ml_workspace *ws, const char *hash, int64_t *id, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, "SELECT id FROM blob WHERE hash = $1", err);
    if (status)
        return status;
    if (!ml_stmt_put_hash(stmt, hash)) {
        ml_stmt_end(stmt);
        return ml_fail(err, ML_ERR_ARG, "\"%.70s\" is not a SHA-256", hash);
    }
    return ml_stmt_run_int(stmt, id, err);
}

/* ---- writing ---- */

static int put_row(struct ml_workspace *ws, const char *hash, size_t n, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(
        &stmt, ws->db,
        "INSERT INTO blob(hash, bytes, created) VALUES($1, $2, $3) ON CONFLICT(hash) DO NOTHING",
        err);
    if (status)
        return status;
    ml_stmt_put_hash(stmt, hash);
    ml_stmt_put_int(stmt, (int64_t)n);
    ml_stmt_put_int(stmt, ml_unix_time());
    return ml_stmt_run(stmt, err);
}

int ml_blobs_put(struct ml_workspace *ws, const void *bytes, size_t n, char hash[ML_HASH_HEX],
                 struct ml_error *err)
{
    char text[ML_HASH_HEX];
    ml_hash_text(bytes, n, text);
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    int64_t row;
    int found = ml_blob_row(ws, text, &row, err);
    status = found == ML_ERR_NOT_FOUND ? 0 : found;
    if (status == 0)
        status = ws->blobs->driver->put(ws->blobs, text, bytes, n, found == 0, err);
    if (status == 0 && found != 0)
        status = put_row(ws, text, n, err);
    status = ml_workspace_end(ws, status, err);
    if (status == 0)
        memcpy(hash, text, sizeof text);
    return status;
}

/* ---- reading ---- */

static int view(struct ml_workspace *ws, struct ml_blob_view *view, const char *hash,
                bool at_source, struct ml_error *err)
{
    struct ml_file_map map;
    struct ml_error inner = {0};
    uint8_t binary[ML_HASH_BYTES];
    if (!ml_hash_parse(binary, hash))
        return ml_fail(err, ML_ERR_ARG, "\"%.70s\" is not a SHA-256", hash);
    int status = ws->blobs->driver->view(ws->blobs, hash, at_source, &map, &inner);
    if (status)
        return ml_fail(err, status,
                       "blob %.12s cannot be read (%.200s); collect its source again to restore it",
                       hash, inner.message);
    ml_blob_view_clear(view);
    view->map = map;
    memcpy(view->hash, hash, ML_HASH_HEX);
    return 0;
}

int ml_blobs_view(struct ml_workspace *ws, struct ml_blob_view *open, const char *hash,
                  struct ml_error *err)
{
    if (open->hash[0] && strcmp(open->hash, hash) == 0)
        return 0;
    return view(ws, open, hash, false, err);
}

void ml_blob_view_clear(struct ml_blob_view *view)
{
    if (!view)
        return;
    ml_file_map_close(&view->map);
    *view = (struct ml_blob_view){0};
}

int ml_blobs_try(struct ml_workspace *ws, struct ml_error *err)
{
    static const char text[] = "Maliang was here to see whether bytes can be kept.\n";
    struct ml_blob_store *store = ws->blobs;
    char hash[ML_HASH_HEX];
    ml_hash_text(text, sizeof text - 1, hash);
    int status = store->driver->put(store, hash, text, sizeof text - 1, false, err);
    if (status == 0)
        status = store->driver->sync(store, err);
    if (status == 0)
        status = ml_blobs_verify(ws, hash, err);
    return status ? status : store->driver->remove(store, hash, err);
}

int ml_blobs_verify(struct ml_workspace *ws, const char *hash, struct ml_error *err)
{
    struct ml_blob_view read = {0};
    char actual[ML_HASH_HEX];
    int status = view(ws, &read, hash, true, err);
    if (status)
        return status;
    ml_hash_text(read.map.data, read.map.size, actual);
    if (strcmp(actual, hash) != 0)
        status = ml_fail(err, ML_ERR_FORMAT,
                         "blob %.12s is damaged (its bytes have another SHA-256); collect its "
                         "source again to restore it",
                         hash);
    ml_blob_view_clear(&read);
    return status;
}
