#include "store/models.h"

#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/words.h"
#include "store/store_impl.h"

#define COLUMNS                                                                                    \
    "name, path, kind, run, recipe_hash, dataset_hash, parameters, metrics, licence, created, "    \
    "stage"

static const char *const stage_names[] = {"candidate", "canary", "production", "archived"};

const char *ml_model_stage_name(enum ml_model_stage stage)
{
    return stage >= 0 && stage < ML_STAGE_COUNT ? stage_names[stage] : "unknown";
}

int ml_model_stage_parse(enum ml_model_stage *out, const char *name, struct ml_error *err)
{
    for (int i = 0; i < ML_STAGE_COUNT; i++)
        if (strcmp(name, stage_names[i]) == 0) {
            *out = (enum ml_model_stage)i;
            return 0;
        }
    const char *near = ml_word_nearest(name, stage_names, ML_STAGE_COUNT);
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "\"%.60s\" is not a stage of a model%s%s%s; choose candidate, canary, "
                   "production or archived",
                   name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* ---- adding ---- */

static int check(const struct ml_model_entry *m, struct ml_error *err)
{
    int status = ml_name_check(m->name ? m->name : "", "model", err);
    if (status)
        return status;
    if (!m->path || !*m->path || !m->kind || !*m->kind)
        return ml_fail(err, ML_ERR_ARG, "model %s: needs a path and a kind", m->name);
    if (m->stage < 0 || m->stage >= ML_STAGE_COUNT)
        return ml_fail(err, ML_ERR_ARG, "model %s: unknown stage %d", m->name, (int)m->stage);
    if (m->metrics && *m->metrics) {
        json_t *metrics = NULL;
        status =
            ml_json_parse(&metrics, m->metrics, strlen(m->metrics), "metrics of the model", err);
        if (status == 0 && !json_is_object(metrics))
            status =
                ml_fail(err, ML_ERR_ARG, "model %s: its metrics are not a JSON object", m->name);
        json_decref(metrics);
    }
    return status;
}

static int upsert(struct ml_workspace *ws, const struct ml_model_entry *m, const char *path,
                  bool replace, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(
        &stmt, ws->db,
        "INSERT INTO model(" COLUMNS ") VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT(name) DO UPDATE SET path = excluded.path, kind = excluded.kind,"
        " run = excluded.run, recipe_hash = excluded.recipe_hash,"
        " dataset_hash = excluded.dataset_hash, parameters = excluded.parameters,"
        " metrics = excluded.metrics, licence = excluded.licence, created = excluded.created,"
        " stage = excluded.stage WHERE $12 <> 0",
        err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, m->name);
    ml_stmt_put_text(stmt, path);
    ml_stmt_put_text(stmt, m->kind);
    ml_stmt_put_id(stmt, m->run);
    bool hashes = ml_stmt_put_hash(stmt, m->recipe_hash) && ml_stmt_put_hash(stmt, m->dataset_hash);
    if (!hashes) {
        ml_stmt_end(stmt);
        return ml_fail(err, ML_ERR_ARG, "model %s: a hash that is not a SHA-256", m->name);
    }
    ml_stmt_put_int(stmt, m->parameters);
    ml_stmt_put_text(stmt, m->metrics && *m->metrics ? m->metrics : "{}");
    ml_stmt_put_text(stmt, m->licence ? m->licence : "");
    ml_stmt_put_int(stmt, m->created ? m->created : ml_unix_time());
    ml_stmt_put_text(stmt, stage_names[m->stage]);
    ml_stmt_put_int(stmt, replace);
    status = ml_stmt_run(stmt, err);
    if (status == 0 && ml_db_changes(ws->db) == 0)
        status = ml_fail(err, ML_ERR_STATE,
                         "there is a model \"%s\" already; choose another name, or remove it first",
                         m->name);
    return status;
}

int ml_models_add(struct ml_workspace *ws, const struct ml_model_entry *model, bool replace,
                  struct ml_error *err)
{
    struct ml_arena arena;
    int status = check(model, err);
    if (status)
        return status;
    ml_arena_init(&arena, 4096);
    char *path = ml_workspace_relative(ws, &arena, model->path);
    if (!path)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory registering model %s", model->name);
    else
        status = ml_workspace_begin(ws, err);
    if (status == 0)
        status = ml_workspace_end(ws, upsert(ws, model, path, replace, err), err);
    ml_arena_clear(&arena);
    return status;
}

/* ---- reading ---- */

static int read_row(struct ml_stmt *stmt, struct ml_arena *arena, struct ml_model_entry *out,
                    struct ml_error *err)
{
    struct ml_model_entry m = {
        .name = ml_arena_strdup(arena, ml_stmt_text(stmt, 0)),
        .path = ml_arena_strdup(arena, ml_stmt_text(stmt, 1)),
        .kind = ml_arena_strdup(arena, ml_stmt_text(stmt, 2)),
        .run = ml_stmt_int(stmt, 3),
        .parameters = ml_stmt_int(stmt, 6),
        .metrics = ml_arena_strdup(arena, ml_stmt_text(stmt, 7)),
        .licence = ml_arena_strdup(arena, ml_stmt_text(stmt, 8)),
        .created = ml_stmt_int(stmt, 9),
    };
    ml_stmt_hash(stmt, 4, m.recipe_hash);
    ml_stmt_hash(stmt, 5, m.dataset_hash);
    if (!m.name || !m.path || !m.kind || !m.metrics || !m.licence)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading the registry of models");
    int status = ml_model_stage_parse(&m.stage, ml_stmt_text(stmt, 10), err);
    if (status == 0)
        status = ml_stmt_check(stmt, err);
    if (status == 0)
        *out = m;
    return status;
}

int ml_models_list(struct ml_workspace *ws, struct ml_arena *arena, struct ml_model_entry **out,
                   size_t *count, struct ml_error *err)
{
    struct ml_stmt *stmt;
    struct ml_model_entry *list = NULL;
    size_t n = 0, capacity = 0;
    int got,
        status = ml_db_prepare(&stmt, ws->db,
                               "SELECT " COLUMNS " FROM model ORDER BY created DESC, id DESC", err);
    if (status)
        return status;
    while (status == 0 && (got = ml_stmt_step(stmt, err)) != 0) {
        if (got < 0) {
            status = got;
        } else if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            struct ml_model_entry *grown = ml_arena_calloc(arena, capacity, sizeof *grown);
            if (!grown)
                status = ml_fail(err, ML_ERR_MEMORY, "out of memory listing models");
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

static int fail_unknown(struct ml_workspace *ws, const char *name, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_model_entry *list;
    size_t count;
    const char **names, *near = NULL;
    ml_arena_init(&arena, 0);
    if (ml_models_list(ws, &arena, &list, &count, NULL) == 0 && count > 0 &&
        (names = ml_arena_calloc(&arena, count, sizeof *names))) {
        for (size_t i = 0; i < count; i++)
            names[i] = list[i].name;
        near = ml_word_nearest(name, names, (int)count);
    }
    int status =
        near ? ml_fail(err, ML_ERR_NOT_FOUND, "there is no model \"%.120s\"; did you mean \"%s\"?",
                       name, near)
             : ml_fail(err, ML_ERR_NOT_FOUND,
                       "there is no model \"%.120s\" in %.200s; `maliang models` lists them", name,
                       ws->folder);
    ml_arena_clear(&arena);
    return status;
}

int ml_models_get(struct ml_workspace *ws, const char *name, struct ml_arena *arena,
                  struct ml_model_entry *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, "SELECT " COLUMNS " FROM model WHERE name = $1", err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, name);
    int got = ml_stmt_step(stmt, err);
    status = got > 0 ? read_row(stmt, arena, out, err) : got;
    ml_stmt_end(stmt);
    return got == 0 ? fail_unknown(ws, name, err) : status;
}

/* ---- changing ---- */

static int change(struct ml_workspace *ws, const char *sql, const char *name, const char *stage,
                  struct ml_error *err)
{
    struct ml_stmt *stmt;
    bool known = true;
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_db_prepare(&stmt, ws->db, sql, err);
    if (status == 0) {
        if (stage)
            ml_stmt_put_text(stmt, stage);
        ml_stmt_put_text(stmt, name);
        status = ml_stmt_run(stmt, err);
        known = ml_db_changes(ws->db) > 0;
    }
    status = ml_workspace_end(ws, status, err);
    return status == 0 && !known ? fail_unknown(ws, name, err) : status;
}

int ml_models_set_stage(struct ml_workspace *ws, const char *name, enum ml_model_stage stage,
                        struct ml_error *err)
{
    if (stage < 0 || stage >= ML_STAGE_COUNT)
        return ml_fail(err, ML_ERR_ARG, "model %.120s: unknown stage %d", name, (int)stage);
    return change(ws, "UPDATE model SET stage = $1 WHERE name = $2", name, stage_names[stage], err);
}

int ml_models_remove(struct ml_workspace *ws, const char *name, struct ml_error *err)
{
    return change(ws, "DELETE FROM model WHERE name = $1", name, NULL, err);
}
