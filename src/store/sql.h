/* The one way to the database. Everything above speaks SQL that SQLite and PostgreSQL share
 * (parameters $1, $2 ... that first appear in this order; RETURNING; ON CONFLICT); what they do not
 * share is a call here, and stands in a driver (store/sql_driver.h). No error is lost: a statement
 * remembers a failed binding or column and reports it with the next step. */
#ifndef ML_STORE_SQL_H
#define ML_STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

struct ml_db;
struct ml_stmt;

enum ml_db_mode {
    ML_DB_READ,       /* writing is refused */
    ML_DB_READ_STILL, /* a medium that nothing can change: no side files are needed */
    ML_DB_WRITE,      /* must exist */
    ML_DB_CREATE,     /* is made when it does not exist */
};

/* `where` is the path of a file (SQLite) or postgresql://USER@HOST:PORT/DATABASE?schema=NAME, of
 * which everything but the scheme may be left out; schema is "maliang" then. One thread at a time
 * per handle. */
int ml_db_open(struct ml_db **out, const char *where, enum ml_db_mode mode, struct ml_error *err);
void ml_db_close(struct ml_db *db); /* accepts NULL */
/* Whether it is the address of a server, and not a path. */
bool ml_db_is_url(const char *where);
/* Where it is, without the password: for people. */
const char *ml_db_name(const struct ml_db *db);
const char *ml_db_driver_name(const struct ml_db *db); /* "sqlite", "postgresql" */

/* One or more statements without parameters; rows are dropped. */
int ml_db_exec(struct ml_db *db, const char *sql, struct ml_error *err);
/* The same for statements that make or change tables, in SQLite's words (INTEGER PRIMARY KEY
 * AUTOINCREMENT, INTEGER, REAL, TEXT, BLOB, WITHOUT ROWID; words in capitals). */
int ml_db_define(struct ml_db *db, const char *sql, struct ml_error *err);
/* How many tables there are, or (name not NULL) whether there is one of this name. */
int ml_db_tables(struct ml_db *db, const char *name, int64_t *count, struct ml_error *err);

int ml_db_begin(struct ml_db *db, struct ml_error *err); /* to write */
int ml_db_commit(struct ml_db *db, struct ml_error *err);
void ml_db_rollback(struct ml_db *db); /* also when the database has done so by itself */
bool ml_db_in_transaction(struct ml_db *db);
int64_t ml_db_changes(struct ml_db *db); /* rows that the last statement wrote */

/* Keeps writers on other machines out; waits at most so long (0: not at all). A file needs none:
 * its writers share a folder, which has a lock of its own (store/write_lock.h). */
int ml_db_lock(struct ml_db *db, double wait_seconds, bool *taken, struct ml_error *err);
void ml_db_unlock(struct ml_db *db);
/* Who holds it, for people; "" when that is not known. */
void ml_db_lock_owner(struct ml_db *db, char *out, size_t size);

/* Moves what lies beside the database into it, as far as readers allow. */
void ml_db_checkpoint(struct ml_db *db);
/* Reads all of it and appends what is wrong, a line each; nothing: it is sound, or the server has
 * tools of its own for that. */
int ml_db_examine(struct ml_db *db, struct ml_buffer *findings, struct ml_error *err);

/* sql must outlive db (a string literal): compiled statements are kept by its text. A mistake in it
 * may come with the first step only. */
int ml_db_prepare(struct ml_stmt **out, struct ml_db *db, const char *sql, struct ml_error *err);
/* The same for a SELECT that may give more rows than memory should hold: PostgreSQL sends them in
 * portions (and all rows of other statements at once). Other statements may run meanwhile; it sees
 * what was there at its first step, also across commits, and ends with a rollback. */
int ml_db_prepare_many(struct ml_stmt **out, struct ml_db *db, const char *sql,
                       struct ml_error *err);

/* Parameters in order. Text and bytes are copied; NULL is SQL's NULL. A parameter is always put by
 * the same function, since PostgreSQL's have types. */
void ml_stmt_put_int(struct ml_stmt *stmt, int64_t value);
void ml_stmt_put_id(struct ml_stmt *stmt, int64_t id);     /* of a row; 0 is NULL */
void ml_stmt_put_real(struct ml_stmt *stmt, double value); /* NaN is NULL */
void ml_stmt_put_text(struct ml_stmt *stmt, const char *text);
void ml_stmt_put_bytes(struct ml_stmt *stmt, const void *bytes, size_t n);

/* 1: a row can be read. 0: done. Negative: failed. */
int ml_stmt_step(struct ml_stmt *stmt, struct ml_error *err);
int64_t ml_stmt_int(struct ml_stmt *stmt, int column); /* 0 for NULL */
double ml_stmt_real(struct ml_stmt *stmt, int column); /* NaN for NULL */
/* Borrowed until the next step; never NULL ("" for NULL). */
const char *ml_stmt_text(struct ml_stmt *stmt, int column);
const void *ml_stmt_bytes(struct ml_stmt *stmt, int column, size_t *n);
/* 0, or the failure of a column that was read since the last step (out of memory). */
int ml_stmt_check(struct ml_stmt *stmt, struct ml_error *err);

/* Forgets the parameters and makes the statement free for others. Accepts NULL. */
void ml_stmt_end(struct ml_stmt *stmt);
/* Steps to the end and ends: for statements whose rows do not matter. */
int ml_stmt_run(struct ml_stmt *stmt, struct ml_error *err);
/* One row with one integer, then ends; ML_ERR_NOT_FOUND without a message when there is none. */
int ml_stmt_run_int(struct ml_stmt *stmt, int64_t *out, struct ml_error *err);

#endif
