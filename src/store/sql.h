/* The one way to the database. Everything above speaks SQL that SQLite and PostgreSQL share
 * (parameters $1, $2 ... that first appear in this order; RETURNING; ON CONFLICT), so that another
 * driver fits behind these calls. No error is lost: a statement remembers a failed binding or
 * column and reports it with the next step. */
#ifndef ML_STORE_SQL_H
#define ML_STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

struct ml_db;
struct ml_stmt;

enum ml_db_mode {
    ML_DB_READ,       /* writing is refused */
    ML_DB_READ_STILL, /* a medium that nothing can change: no side files are needed */
    ML_DB_WRITE,      /* must exist */
    ML_DB_CREATE,     /* is made when it does not exist */
};

/* WAL, foreign keys and a busy time-out are set. One thread at a time per handle. */
int ml_db_open(struct ml_db **out, const char *path, enum ml_db_mode mode, struct ml_error *err);
void ml_db_close(struct ml_db *db);

/* One or more statements without parameters; rows are dropped. */
int ml_db_exec(struct ml_db *db, const char *sql, struct ml_error *err);
bool ml_db_in_transaction(struct ml_db *db);
int64_t ml_db_changes(struct ml_db *db); /* rows that the last statement wrote */
/* Moves the write-ahead log into the database file, as far as readers allow. */
void ml_db_checkpoint(struct ml_db *db);

/* sql must outlive db (a string literal): compiled statements are kept by its text. */
int ml_db_prepare(struct ml_stmt **out, struct ml_db *db, const char *sql, struct ml_error *err);

/* Parameters in order. Text and bytes are copied; NULL text is SQL's NULL. */
void ml_stmt_put_int(struct ml_stmt *stmt, int64_t value);
void ml_stmt_put_real(struct ml_stmt *stmt, double value); /* NaN is stored as NULL */
void ml_stmt_put_text(struct ml_stmt *stmt, const char *text);
void ml_stmt_put_bytes(struct ml_stmt *stmt, const void *bytes, size_t n);

/* 1: a row can be read. 0: done. Negative: failed. */
int ml_stmt_step(struct ml_stmt *stmt, struct ml_error *err);
int64_t ml_stmt_int(struct ml_stmt *stmt, int column);
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
