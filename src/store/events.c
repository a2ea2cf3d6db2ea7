#include "store/events.h"

#include "base/fail.h"
#include "store/store_impl.h"

#define WHICH                                                                                      \
    " WHERE ($1 IS NULL OR subject = $1) AND ($2 IS NULL OR item = $2)"                            \
    " AND ($3 IS NULL OR action = $3) AND ($4 = 0 OR time >= $4) AND ($5 = 0 OR time < $5)"

static const char *or_default(const char *text, const char *instead)
{
    return text && *text ? text : instead;
}

int ml_events_add(struct ml_workspace *ws, const struct ml_event *e, int64_t *id,
                  struct ml_error *err)
{
    struct ml_stmt *stmt;
    int64_t number = 0;
    if (!or_default(e->item, NULL) || !or_default(e->action, NULL))
        return ml_fail(err, ML_ERR_ARG, "an event needs an item and an action");
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status =
        ml_db_prepare(&stmt, ws->db,
                      "INSERT INTO event(time, subject, item, action, propensity, reward, meta)"
                      " VALUES($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                      err);
    if (status == 0) {
        ml_stmt_put_int(stmt, e->time ? e->time : ml_unix_time());
        ml_stmt_put_text(stmt, or_default(e->subject, ""));
        ml_stmt_put_text(stmt, e->item);
        ml_stmt_put_text(stmt, e->action);
        ml_stmt_put_real(stmt, e->propensity);
        ml_stmt_put_real(stmt, e->reward);
        ml_stmt_put_text(stmt, or_default(e->meta, "{}"));
        status = ml_stmt_run_int(stmt, &number, err);
    }
    status = ml_workspace_end(ws, status, err);
    if (status == 0 && id)
        *id = number;
    return status;
}

static void put_filter(struct ml_stmt *stmt, const struct ml_event_filter *f)
{
    ml_stmt_put_text(stmt, f->subject);
    ml_stmt_put_text(stmt, f->item);
    ml_stmt_put_text(stmt, f->action);
    ml_stmt_put_int(stmt, f->from);
    ml_stmt_put_int(stmt, f->to);
}

struct ml_event_cursor {
    struct ml_stmt *stmt;
};

int ml_events_open(struct ml_event_cursor **out, struct ml_workspace *ws,
                   const struct ml_event_filter *filter, struct ml_error *err)
{
    static const struct ml_event_filter everything;
    const struct ml_event_filter *f = filter ? filter : &everything;
    struct ml_event_cursor *cursor = ml_mem_calloc(1, sizeof *cursor);
    if (!cursor)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing events");
    int status = ml_db_prepare(&cursor->stmt, ws->db,
                               "SELECT id, time, subject, item, action, propensity, reward, meta"
                               " FROM event" WHICH " AND id > $6 ORDER BY id LIMIT $7",
                               err);
    if (status) {
        ml_mem_free(cursor);
        return status;
    }
    put_filter(cursor->stmt, f);
    ml_stmt_put_int(cursor->stmt, f->after);
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
    const struct ml_event next = {.id = ml_stmt_int(stmt, 0),
                                  .time = ml_stmt_int(stmt, 1),
                                  .subject = ml_stmt_text(stmt, 2),
                                  .item = ml_stmt_text(stmt, 3),
                                  .action = ml_stmt_text(stmt, 4),
                                  .propensity = ml_stmt_real(stmt, 5),
                                  .reward = ml_stmt_real(stmt, 6),
                                  .meta = ml_stmt_text(stmt, 7)};
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
                    double *sum, struct ml_error *err)
{
    static const struct ml_event_filter everything;
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "SELECT count(*), coalesce(sum(reward), 0.0) FROM event" WHICH, err);
    if (status)
        return status;
    put_filter(stmt, filter ? filter : &everything);
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        *count = ml_stmt_int(stmt, 0);
        if (sum)
            *sum = ml_stmt_real(stmt, 1);
    }
    ml_stmt_end(stmt);
    return got < 0 ? got : 0;
}
