#include "store/curations.h"

#include <string.h>

#include "base/fail.h"
#include "store/store_impl.h"

int ml_curations_add(struct ml_workspace *ws, const struct ml_curation *c, int64_t *id,
                     struct ml_error *err)
{
    struct ml_stmt *stmt;
    char hash[ML_HASH_HEX];
    int64_t number = 0;
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_db_prepare(&stmt, ws->db,
                           "INSERT INTO curation(name, recipe, recipe_hash, input, report, created)"
                           " VALUES($1, $2, $3, $4, '{}', $5) RETURNING id",
                           err);
    if (status == 0) {
        ml_hash_text(c->recipe, strlen(c->recipe), hash);
        ml_stmt_put_text(stmt, c->name);
        ml_stmt_put_text(stmt, c->recipe);
        ml_stmt_put_hash(stmt, hash);
        ml_stmt_put_int(stmt, c->input);
        ml_stmt_put_int(stmt, c->time ? c->time : ml_unix_time());
        status = ml_stmt_run_int(stmt, &number, err);
    }
    status = ml_workspace_end(ws, status, err);
    if (status == 0)
        *id = number;
    return status;
}

int ml_curations_finish(struct ml_workspace *ws, int64_t id, int64_t output, const char *report,
                        struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_db_prepare(&stmt, ws->db,
                           "UPDATE curation SET output = $1, report = $2 WHERE id = $3", err);
    if (status == 0) {
        ml_stmt_put_int(stmt, output);
        ml_stmt_put_text(stmt, report);
        ml_stmt_put_int(stmt, id);
        status = ml_stmt_run(stmt, err);
    }
    return ml_workspace_end(ws, status, err);
}

int ml_curations_drop(struct ml_workspace *ws, int64_t id, int64_t record, const char *step,
                      const char *reason, double value, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status =
        ml_db_prepare(&stmt, ws->db,
                      "INSERT INTO curation_verdict(curation, record, step, reason, value)"
                      " VALUES($1, $2, $3, $4, $5) ON CONFLICT(curation, record) DO UPDATE SET"
                      " step = excluded.step, reason = excluded.reason, value = excluded.value",
                      err);
    if (status == 0) {
        ml_stmt_put_int(stmt, id);
        ml_stmt_put_int(stmt, record);
        ml_stmt_put_text(stmt, step);
        ml_stmt_put_text(stmt, reason);
        ml_stmt_put_real(stmt, value);
        status = ml_stmt_run(stmt, err);
    }
    return ml_workspace_end(ws, status, err);
}

int ml_curations_of(struct ml_workspace *ws, int64_t dataset, struct ml_arena *arena,
                    struct ml_curation *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    struct ml_curation found = {0};
    int status = ml_db_prepare(&stmt, ws->db,
                               "SELECT id, name, recipe, recipe_hash, input, report, created FROM"
                               " curation WHERE output = $1 ORDER BY id DESC LIMIT 1",
                               err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, dataset);
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        found = (struct ml_curation){.id = ml_stmt_int(stmt, 0),
                                     .name = ml_arena_strdup(arena, ml_stmt_text(stmt, 1)),
                                     .recipe = ml_arena_strdup(arena, ml_stmt_text(stmt, 2)),
                                     .input = ml_stmt_int(stmt, 4),
                                     .output = dataset,
                                     .report = ml_arena_strdup(arena, ml_stmt_text(stmt, 5)),
                                     .time = ml_stmt_int(stmt, 6)};
        ml_stmt_hash(stmt, 3, found.recipe_hash);
        status = ml_stmt_check(stmt, err);
        if (status == 0 && (!found.name || !found.recipe || !found.report))
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory reading a curation");
    } else {
        status = got < 0 ? got
                         : ml_fail(err, ML_ERR_NOT_FOUND, "no curation made the dataset %lld",
                                   (long long)dataset);
    }
    ml_stmt_end(stmt);
    if (status == 0)
        *out = found;
    return status;
}

int ml_curations_dropped(struct ml_workspace *ws, int64_t id, int64_t *count, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "SELECT count(*) FROM curation_verdict WHERE curation = $1", err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, id);
    return ml_stmt_run_int(stmt, count, err);
}
