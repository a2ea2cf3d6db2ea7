#include "store/events.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "store/store_impl.h"

/* Filters that are not set are NULL. The item has a text of its own, or its index would not be
 * used. */
#define COLUMNS "id, time, subject, item, action, propensity, reward, meta"
#define ANY     " FROM event WHERE $1 IS NULL"
#define OF_ITEM " FROM event WHERE item = $1"
#define REST                                                                                       \
    " AND ($2 IS NULL OR subject = $2) AND ($3 IS NULL OR action = $3)"                            \
    " AND time >= $4 AND time < $5 AND id > $6"

static const char list_any[] = "SELECT " COLUMNS ANY REST " ORDER BY id LIMIT $7";
static const char list_item[] = "SELECT " COLUMNS OF_ITEM REST " ORDER BY id LIMIT $7";
static const char count_any[] = "SELECT count(*), avg(reward)" ANY REST;
static const char count_item[] = "SELECT count(*), avg(reward)" OF_ITEM REST;

/* ---- adding ---- */

static int check(const struct ml_event *e, struct ml_error *err)
{
    if (!e->item || !*e->item || !e->action || !*e->action)
        return ml_fail(err, ML_ERR_ARG, "an event needs an item and an action");
    if (!isnan(e->propensity) && !(e->propensity > 0 && e->propensity <= 1))
        return ml_fail(err, ML_ERR_ARG,
                       "event %.60s of %.120s: a propensity of %g; it is above 0 "
                       "and at most 1",
                       e->action, e->item, e->propensity);
    if (isinf(e->reward))
        return ml_fail(err, ML_ERR_NUMERIC, "event %.60s of %.120s: its reward is infinite",
                       e->action, e->item);
    if (!e->meta || !*e->meta)
        return 0;
    json_t *meta = NULL;
    int status = ml_json_parse(&meta, e->meta, strlen(e->meta), "meta of an event", err);
    if (status == 0 && !json_is_object(meta))
        status = ml_fail(err, ML_ERR_ARG, "event %.60s of %.120s: its meta is not a JSON object",
                         e->action, e->item);
    json_decref(meta);
    return status;
}

static int insert(struct ml_workspace *ws, const struct ml_event *e, int64_t *id,
                  struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "INSERT INTO event(time, subject, item, action, propensity, reward,"
                               " meta) VALUES($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                               err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, e->time ? e->time : ml_unix_time());
    ml_stmt_put_text(stmt, e->subject ? e->subject : "");
    ml_stmt_put_text(stmt, e->item);
    ml_stmt_put_text(stmt, e->action);
    ml_stmt_put_real(stmt, e->propensity);
    ml_stmt_put_real(stmt, e->reward);
    ml_stmt_put_text(stmt, e->meta && *e->meta ? e->meta : "{}");
    return ml_stmt_run_int(stmt, id, err);
}

int ml_events_add(struct ml_workspace *ws, const struct ml_event *event, int64_t *id,
                  struct ml_error *err)
{
    int64_t number = 0;
    int status = check(event, err);
    if (status == 0)
        status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_workspace_end(ws, insert(ws, event, &number, err), err);
    if (status == 0 && id)
        *id = number;
    return status;
}

/* ---- reading ---- */

struct ml_event_cursor {
    struct ml_stmt *stmt;
};

static void put_filter(struct ml_stmt *stmt, const struct ml_event_filter *f)
{
    ml_stmt_put_text(stmt, f->item);
    ml_stmt_put_text(stmt, f->subject);
    ml_stmt_put_text(stmt, f->action);
    ml_stmt_put_int(stmt, f->since);
    ml_stmt_put_int(stmt, f->until ? f->until : INT64_MAX);
    ml_stmt_put_int(stmt, f->after);
}

int ml_events_open(struct ml_event_cursor **out, struct ml_workspace *ws,
                   const struct ml_event_filter *filter, struct ml_error *err)
{
    static const struct ml_event_filter everything;
    const struct ml_event_filter *f = filter ? filter : &everything;
    struct ml_event_cursor *cursor = ml_mem_calloc(1, sizeof *cursor);
    if (!cursor)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing events");
    int status = ml_db_prepare_many(&cursor->stmt, ws->db, f->item ? list_item : list_any, err);
    if (status) {
        ml_mem_free(cursor);
        return status;
    }
    put_filter(cursor->stmt, f);
    ml_stmt_put_int(cursor->stmt, f->limit ? f->limit : INT64_MAX);
    *out = cursor;
    return 0;
}

int ml_events_next(struct ml_event_cursor *cursor, struct ml_event *event, struct ml_error *err)
{
    struct ml_stmt *stmt = cursor->stmt;
    int got = ml_stmt_step(stmt, err);
    if (got <= 0)
        return got;
    struct ml_event next = {
        .id = ml_stmt_int(stmt, 0),
        .time = ml_stmt_int(stmt, 1),
        .subject = ml_stmt_text(stmt, 2),
        .item = ml_stmt_text(stmt, 3),
        .action = ml_stmt_text(stmt, 4),
        .propensity = ml_stmt_real(stmt, 5),
        .reward = ml_stmt_real(stmt, 6),
        .meta = ml_stmt_text(stmt, 7),
    };
    int status = ml_stmt_check(stmt, err);
    if (status)
        return status;
    *event = next;
    return 1;
}

void ml_events_close(struct ml_event_cursor *cursor)
{
    if (!cursor)
        return;
    ml_stmt_end(cursor->stmt);
    ml_mem_free(cursor);
}

int ml_events_count(struct ml_workspace *ws, const struct ml_event_filter *filter, int64_t *count,
                    double *mean_reward, struct ml_error *err)
{
    static const struct ml_event_filter everything;
    const struct ml_event_filter *f = filter ? filter : &everything;
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, f->item ? count_item : count_any, err);
    if (status)
        return status;
    put_filter(stmt, f);
    status = ml_stmt_step(stmt, err);
    if (status > 0) {
        if (count)
            *count = ml_stmt_int(stmt, 0);
        if (mean_reward)
            *mean_reward = ml_stmt_real(stmt, 1);
        status = 0;
    }
    ml_stmt_end(stmt);
    return status;
}
