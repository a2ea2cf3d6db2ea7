#include "store/fetches.h"

#include "base/fail.h"
#include "store/store_impl.h"

static int upsert(struct ml_workspace *ws, const struct ml_fetch *f, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "INSERT INTO fetched(uri, etag, modified, status, time)"
                               " VALUES($1, $2, $3, $4, $5) ON CONFLICT(uri) DO UPDATE SET"
                               " etag = excluded.etag, modified = excluded.modified,"
                               " status = excluded.status, time = excluded.time",
                               err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, f->uri);
    ml_stmt_put_text(stmt, f->etag ? f->etag : "");
    ml_stmt_put_text(stmt, f->modified ? f->modified : "");
    ml_stmt_put_int(stmt, f->status);
    ml_stmt_put_int(stmt, f->time ? f->time : ml_unix_time());
    return ml_stmt_run(stmt, err);
}

int ml_fetches_put(struct ml_workspace *ws, const struct ml_fetch *fetch, struct ml_error *err)
{
    if (!fetch->uri || !*fetch->uri)
        return ml_fail(err, ML_ERR_ARG, "what was fetched needs a URI");
    int status = ml_workspace_begin(ws, err);
    return status ? status : ml_workspace_end(ws, upsert(ws, fetch, err), err);
}

int ml_fetches_get(struct ml_workspace *ws, const char *uri, struct ml_arena *arena,
                   struct ml_fetch *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(
        &stmt, ws->db, "SELECT uri, etag, modified, status, time FROM fetched WHERE uri = $1", err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, uri);
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        struct ml_fetch f = {
            .uri = ml_arena_strdup(arena, ml_stmt_text(stmt, 0)),
            .etag = ml_arena_strdup(arena, ml_stmt_text(stmt, 1)),
            .modified = ml_arena_strdup(arena, ml_stmt_text(stmt, 2)),
            .status = (int)ml_stmt_int(stmt, 3),
            .time = ml_stmt_int(stmt, 4),
        };
        status = ml_stmt_check(stmt, err);
        if (status == 0 && (!f.uri || !f.etag || !f.modified))
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory reading what was fetched");
        if (status == 0)
            *out = f;
    } else {
        status = got < 0 ? got : ML_ERR_NOT_FOUND;
    }
    ml_stmt_end(stmt);
    return status;
}
