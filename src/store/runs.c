#include "store/runs.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "store/store_impl.h"

#define COLUMNS                                                                                    \
    "id, name, recipe, recipe_hash, dataset_hash, state, step, best, message, folder, started,"    \
    " updated"

static const char *const state_names[] = {"running", "done", "failed", "stopped"};

const char *ml_run_state_name(enum ml_run_state state)
{
    return state >= 0 && state < ML_RUN_STATE_COUNT ? state_names[state] : "unknown";
}

static int read_row(struct ml_stmt *stmt, struct ml_arena *arena, struct ml_run_entry *out,
                    struct ml_error *err)
{
    struct ml_run_entry r = {
        .id = ml_stmt_int(stmt, 0),
        .name = ml_arena_strdup(arena, ml_stmt_text(stmt, 1)),
        .recipe = ml_arena_strdup(arena, ml_stmt_text(stmt, 2)),
        .state = ML_RUN_STATE_COUNT,
        .step = ml_stmt_int(stmt, 6),
        .best = ml_stmt_real(stmt, 7),
        .message = ml_arena_strdup(arena, ml_stmt_text(stmt, 8)),
        .folder = ml_arena_strdup(arena, ml_stmt_text(stmt, 9)),
        .started = ml_stmt_int(stmt, 10),
        .updated = ml_stmt_int(stmt, 11),
    };
    ml_stmt_hash(stmt, 3, r.recipe_hash);
    ml_stmt_hash(stmt, 4, r.dataset_hash);
    for (int i = 0; i < ML_RUN_STATE_COUNT; i++)
        if (strcmp(ml_stmt_text(stmt, 5), state_names[i]) == 0)
            r.state = (enum ml_run_state)i;
    if (!r.name || !r.recipe || !r.message || !r.folder)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading run %lld", (long long)r.id);
    int status = ml_stmt_check(stmt, err);
    if (status == 0 && r.state == ML_RUN_STATE_COUNT)
        status = ml_fail(err, ML_ERR_FORMAT, "run %lld: unknown state \"%.20s\"", (long long)r.id,
                         ml_stmt_text(stmt, 5));
    if (status == 0)
        *out = r;
    return status;
}

/* ---- adding ---- */

static int insert(struct ml_workspace *ws, const struct ml_run_entry *run, const char *folder,
                  int64_t *id, struct ml_error *err)
{
    struct ml_stmt *stmt;
    char recipe_hash[ML_HASH_HEX];
    int64_t now = ml_unix_time();
    int status = ml_db_prepare(&stmt, ws->db,
                               "INSERT INTO run(name, recipe, recipe_hash, dataset_hash, state,"
                               " step, best, message, folder, started, updated)"
                               " VALUES($1, $2, $3, $4, $5, 0, NULL, '', $6, $7, $8) RETURNING id",
                               err);
    if (status)
        return status;
    ml_hash_text(run->recipe, strlen(run->recipe), recipe_hash);
    ml_stmt_put_text(stmt, run->name);
    ml_stmt_put_text(stmt, run->recipe);
    ml_stmt_put_hash(stmt, recipe_hash);
    if (!ml_stmt_put_hash(stmt, run->dataset_hash)) {
        ml_stmt_end(stmt);
        return ml_fail(err, ML_ERR_ARG, "run %s: its dataset's hash is not a SHA-256", run->name);
    }
    ml_stmt_put_text(stmt, state_names[ML_RUN_RUNNING]);
    ml_stmt_put_text(stmt, folder);
    ml_stmt_put_int(stmt, now);
    ml_stmt_put_int(stmt, now);
    return ml_stmt_run_int(stmt, id, err);
}

static int set_folder(struct ml_workspace *ws, int64_t id, const char *folder, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, "UPDATE run SET folder = $1 WHERE id = $2", err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, folder);
    ml_stmt_put_int(stmt, id);
    return ml_stmt_run(stmt, err);
}

static int add(struct ml_workspace *ws, const struct ml_run_entry *run, struct ml_arena *arena,
               struct ml_run_entry *out, struct ml_error *err)
{
    bool own = run->folder && *run->folder;
    char *folder = own ? ml_workspace_relative(ws, arena, run->folder) : ml_arena_strdup(arena, "");
    int64_t id = 0;
    if (!folder)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory adding run %s", run->name);
    int status = insert(ws, run, folder, &id, err);
    if (status == 0 && !own) {
        folder = ml_arena_printf(arena, "runs/%06lld-%s", (long long)id, run->name);
        status = folder ? set_folder(ws, id, folder, err)
                        : ml_fail(err, ML_ERR_MEMORY, "out of memory adding run %s", run->name);
    }
    return status ? status : ml_runs_get(ws, id, arena, out, err);
}

int ml_runs_add(struct ml_workspace *ws, const struct ml_run_entry *run, struct ml_arena *arena,
                struct ml_run_entry *out, struct ml_error *err)
{
    struct ml_run_entry added;
    int status = ml_name_check(run->name ? run->name : "", "run", err);
    if (status == 0 && !run->recipe)
        status = ml_fail(err, ML_ERR_ARG, "run %s: needs the text of its recipe", run->name);
    if (status == 0)
        status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_workspace_end(ws, add(ws, run, arena, &added, err), err);
    if (status == 0)
        *out = added;
    return status;
}

int ml_runs_update(struct ml_workspace *ws, int64_t id, const struct ml_run_update *update,
                   struct ml_error *err)
{
    struct ml_stmt *stmt;
    bool known = true;
    if (update->state < 0 || update->state >= ML_RUN_STATE_COUNT)
        return ml_fail(err, ML_ERR_ARG, "run %lld: unknown state %d", (long long)id,
                       (int)update->state);
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_db_prepare(&stmt, ws->db,
                           "UPDATE run SET state = $1, step = $2, best = coalesce($3, best),"
                           " message = coalesce($4, message), updated = $5 WHERE id = $6",
                           err);
    if (status == 0) {
        ml_stmt_put_text(stmt, state_names[update->state]);
        ml_stmt_put_int(stmt, update->step);
        ml_stmt_put_real(stmt, update->best);
        ml_stmt_put_text(stmt, update->message);
        ml_stmt_put_int(stmt, ml_unix_time());
        ml_stmt_put_int(stmt, id);
        status = ml_stmt_run(stmt, err);
        known = ml_db_changes(ws->db) > 0;
    }
    status = ml_workspace_end(ws, status, err);
    if (status == 0 && !known)
        status = ml_fail(err, ML_ERR_NOT_FOUND, "there is no run %lld", (long long)id);
    return status;
}

/* ---- reading ---- */

int ml_runs_get(struct ml_workspace *ws, int64_t id, struct ml_arena *arena,
                struct ml_run_entry *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, "SELECT " COLUMNS " FROM run WHERE id = $1", err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, id);
    int got = ml_stmt_step(stmt, err);
    status = got > 0    ? read_row(stmt, arena, out, err)
             : got == 0 ? ml_fail(err, ML_ERR_NOT_FOUND, "there is no run %lld", (long long)id)
                        : got;
    ml_stmt_end(stmt);
    return status;
}

int ml_runs_list(struct ml_workspace *ws, const char *name, int64_t limit, struct ml_arena *arena,
                 struct ml_run_entry **out, size_t *count, struct ml_error *err)
{
    struct ml_stmt *stmt;
    struct ml_run_entry *list = NULL;
    size_t n = 0, capacity = 0;
    int got, status = ml_db_prepare(&stmt, ws->db,
                                    "SELECT " COLUMNS " FROM run WHERE ($1 IS NULL OR name = $1)"
                                    " ORDER BY id DESC LIMIT $2",
                                    err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, name);
    ml_stmt_put_int(stmt, limit ? limit : INT64_MAX);
    while (status == 0 && (got = ml_stmt_step(stmt, err)) != 0) {
        if (got < 0) {
            status = got;
        } else if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            struct ml_run_entry *grown = ml_arena_calloc(arena, capacity, sizeof *grown);
            if (!grown)
                status = ml_fail(err, ML_ERR_MEMORY, "out of memory listing runs");
            else if (n)
                memcpy(grown, list, n * sizeof *grown);
            list = grown;
        }
        if (status == 0)
            status = read_row(stmt, arena, &list[n++], err);
    }
    ml_stmt_end(stmt);
    if (status)
        return status;
    *out = list;
    *count = n;
    return 0;
}
