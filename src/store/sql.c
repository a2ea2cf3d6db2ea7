/* Chooses the driver, keeps compiled statements by their text, hands the rest on (store/sql.h). */
#include "store/sql.h"

#include <string.h>

#include "base/fail.h"
#include "maliang_config.h"
#include "store/sql_driver.h"

bool ml_db_is_url(const char *where)
{
    return strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
}

int ml_db_open(struct ml_db **out, const char *where, enum ml_db_mode mode, struct ml_error *err)
{
    if (!ml_db_is_url(where))
        return ml_db_sqlite.open(out, where, mode, err);
#ifdef MALIANG_HAVE_POSTGRES
    return ml_db_postgres.open(out, where, mode, err);
#else
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "this workspace lies in PostgreSQL, which this build does not speak; install "
                   "the package libpq-dev and build again");
#endif
}

void ml_db_close(struct ml_db *db)
{
    if (!db)
        return;
    for (struct ml_stmt *s = db->statements, *next; s; s = next) {
        next = s->next;
        db->driver->discard(s);
    }
    db->driver->close(db);
}

const char *ml_db_name(const struct ml_db *db)
{
    return db->name;
}

const char *ml_db_driver_name(const struct ml_db *db)
{
    return db->driver->name;
}

int ml_db_exec(struct ml_db *db, const char *sql, struct ml_error *err)
{
    return db->driver->exec(db, sql, err);
}

int ml_db_define(struct ml_db *db, const char *sql, struct ml_error *err)
{
    return db->driver->define(db, sql, err);
}

int ml_db_tables(struct ml_db *db, const char *name, int64_t *count, struct ml_error *err)
{
    return db->driver->tables(db, name, count, err);
}

int ml_db_begin(struct ml_db *db, struct ml_error *err)
{
    return db->driver->begin(db, err);
}

int ml_db_commit(struct ml_db *db, struct ml_error *err)
{
    return db->driver->commit(db, err);
}

void ml_db_rollback(struct ml_db *db)
{
    if (db->driver->in_transaction(db))
        db->driver->rollback(db);
}

bool ml_db_in_transaction(struct ml_db *db)
{
    return db->driver->in_transaction(db);
}

int64_t ml_db_changes(struct ml_db *db)
{
    return db->driver->changes(db);
}

int ml_db_lock(struct ml_db *db, double wait_seconds, bool *taken, struct ml_error *err)
{
    return db->driver->lock(db, wait_seconds, taken, err);
}

void ml_db_unlock(struct ml_db *db)
{
    db->driver->unlock(db);
}

void ml_db_lock_owner(struct ml_db *db, char *out, size_t size)
{
    db->driver->lock_owner(db, out, size);
}

void ml_db_checkpoint(struct ml_db *db)
{
    db->driver->checkpoint(db);
}

int ml_db_examine(struct ml_db *db, struct ml_buffer *findings, struct ml_error *err)
{
    return db->driver->examine(db, findings, err);
}

/* ---- statements ---- */

static int prepare(struct ml_stmt **out, struct ml_db *db, const char *sql, bool many,
                   struct ml_error *err)
{
    struct ml_stmt *stmt = db->statements;
    while (stmt && (stmt->busy || stmt->many != many || strcmp(stmt->sql, sql) != 0))
        stmt = stmt->next;
    if (!stmt) {
        int status = db->driver->compile(&stmt, db, sql, err);
        if (status)
            return status;
        *stmt = (struct ml_stmt){.db = db, .sql = sql, .next = db->statements, .many = many};
        db->statements = stmt;
    }
    stmt->busy = true;
    db->driver->start(stmt);
    *out = stmt;
    return 0;
}

int ml_db_prepare(struct ml_stmt **out, struct ml_db *db, const char *sql, struct ml_error *err)
{
    return prepare(out, db, sql, false, err);
}

int ml_db_prepare_many(struct ml_stmt **out, struct ml_db *db, const char *sql,
                       struct ml_error *err)
{
    return prepare(out, db, sql, true, err);
}

void ml_stmt_put_int(struct ml_stmt *stmt, int64_t value)
{
    stmt->db->driver->put_int(stmt, value);
}

void ml_stmt_put_id(struct ml_stmt *stmt, int64_t id)
{
    if (id)
        stmt->db->driver->put_int(stmt, id);
    else
        stmt->db->driver->put_null(stmt);
}

void ml_stmt_put_real(struct ml_stmt *stmt, double value)
{
    stmt->db->driver->put_real(stmt, value);
}

void ml_stmt_put_text(struct ml_stmt *stmt, const char *text)
{
    stmt->db->driver->put_text(stmt, text);
}

void ml_stmt_put_bytes(struct ml_stmt *stmt, const void *bytes, size_t n)
{
    stmt->db->driver->put_bytes(stmt, bytes, n);
}

int ml_stmt_step(struct ml_stmt *stmt, struct ml_error *err)
{
    return stmt->db->driver->step(stmt, err);
}

int64_t ml_stmt_int(struct ml_stmt *stmt, int column)
{
    return stmt->db->driver->get_int(stmt, column);
}

double ml_stmt_real(struct ml_stmt *stmt, int column)
{
    return stmt->db->driver->get_real(stmt, column);
}

const char *ml_stmt_text(struct ml_stmt *stmt, int column)
{
    return stmt->db->driver->get_text(stmt, column);
}

const void *ml_stmt_bytes(struct ml_stmt *stmt, int column, size_t *n)
{
    return stmt->db->driver->get_bytes(stmt, column, n);
}

int ml_stmt_check(struct ml_stmt *stmt, struct ml_error *err)
{
    return stmt->db->driver->check(stmt, err);
}

void ml_stmt_end(struct ml_stmt *stmt)
{
    if (!stmt)
        return;
    stmt->db->driver->end(stmt);
    stmt->busy = false;
}

int ml_stmt_run(struct ml_stmt *stmt, struct ml_error *err)
{
    int got;
    do
        got = ml_stmt_step(stmt, err);
    while (got > 0);
    ml_stmt_end(stmt);
    return got;
}

int ml_stmt_run_int(struct ml_stmt *stmt, int64_t *out, struct ml_error *err)
{
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        *out = ml_stmt_int(stmt, 0);
        got = ml_stmt_step(stmt, err); /* RETURNING writes only when it is stepped to the end */
        ml_stmt_end(stmt);
        return got < 0 ? got : 0;
    }
    ml_stmt_end(stmt);
    return got < 0 ? got : ML_ERR_NOT_FOUND;
}
