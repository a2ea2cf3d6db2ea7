#include "store/sql.h"

#include <assert.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"

#define BUSY_MILLISECONDS                                                                          \
    10000 /* readers meet a checkpoint for moments only; writers hold a lock */

struct ml_stmt {
    struct ml_db *db;
    const char *sql;
    sqlite3_stmt *compiled;
    struct ml_stmt *next;
    int parameters; /* bound so far */
    int code;       /* SQLite's: the first failed binding or column since the last step */
    bool busy;
};

struct ml_db {
    sqlite3 *sqlite;
    char *path;
    struct ml_stmt *statements;
};

/* ---- errors ---- */

static int fail_io(struct ml_db *db, struct ml_error *err)
{
    char reason[128] = "input/output error";
    int number = sqlite3_system_errno(db->sqlite);
    const char *text = number ? strerror_r(number, reason, sizeof reason) : reason;
    return ml_fail(err, ML_ERR_IO,
                   "%s: cannot read or write: %s; this step was undone, what was there before is "
                   "unharmed",
                   db->path, text);
}

static int fail_sqlite(struct ml_db *db, int code, struct ml_error *err)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", db->path);
    case SQLITE_FULL:
        return ml_fail(err, ML_ERR_IO,
                       "%s: the disk is full; this step was undone; free some space and try again",
                       db->path);
    case SQLITE_IOERR:
        return fail_io(db, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ml_fail(err, ML_ERR_STATE,
                       "%s: in use by another program; try again when it is done", db->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return ml_fail(err, ML_ERR_IO,
                       "%s: cannot be written here; copy the workspace to a place where you may "
                       "write",
                       db->path);
    case SQLITE_CANTOPEN:
        return ml_fail(err, ML_ERR_IO, "%s: cannot be opened: %s", db->path,
                       sqlite3_errmsg(db->sqlite));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: damaged, or not a database of this program; restore it from a copy",
                       db->path);
    default:
        return ml_fail(err, ML_ERR_STATE, "%s: %s", db->path, sqlite3_errmsg(db->sqlite));
    }
}

/* ---- open and close ---- */

/* A path as a URI: the three characters that mean something there are escaped. */
static char *uri_of(const char *path, const char *query)
{
    size_t room = 3 * strlen(path) + strlen(query) + 6, at = 5;
    char *uri = ml_mem_alloc(room);
    if (!uri)
        return NULL;
    memcpy(uri, "file:", 5);
    for (const char *p = path; *p; p++) {
        if (*p == '?' || *p == '#' || *p == '%')
            at += (size_t)snprintf(uri + at, room - at, "%%%02X", (unsigned)(unsigned char)*p);
        else
            uri[at++] = *p;
    }
    strcpy(uri + at, query);
    return uri;
}

static int configure(struct ml_db *db, enum ml_db_mode mode, struct ml_error *err)
{
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, BUSY_MILLISECONDS);
    /* Checkpoints happen only under the workspace's write lock: SQLite before 3.51.3 may corrupt a
     * WAL that two connections reset at once. */
    sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int status = 0;
    if (mode == ML_DB_CREATE) /* stays with the file; a file system without shared memory says no */
        status = ml_db_exec(db, "PRAGMA journal_mode = wal", err);
    if (status == 0)
        status = ml_db_exec(db,
                            "PRAGMA foreign_keys = on; PRAGMA synchronous = normal;"
                            "PRAGMA cache_size = -16384; PRAGMA trusted_schema = off",
                            err);
    return status;
}

int ml_db_open(struct ml_db **out, const char *path, enum ml_db_mode mode, struct ml_error *err)
{
    struct ml_db *db = ml_mem_calloc(1, sizeof *db);
    char *copy = ml_mem_strdup(path);
    char *uri = uri_of(path, mode == ML_DB_READ_STILL ? "?immutable=1" : "");
    if (!db || !copy || !uri) {
        ml_mem_free(db);
        ml_mem_free(copy);
        ml_mem_free(uri);
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    }
    db->path = copy;
    int flags = mode == ML_DB_CREATE  ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                : mode == ML_DB_WRITE ? SQLITE_OPEN_READWRITE
                                      : SQLITE_OPEN_READONLY;
    int code =
        sqlite3_open_v2(uri, &db->sqlite, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    int status = code == SQLITE_OK ? 0 : fail_sqlite(db, code, err);
    if (status == 0)
        status = configure(db, mode, err);
    ml_mem_free(uri);
    if (status) {
        ml_db_close(db);
        return status;
    }
    *out = db;
    return 0;
}

void ml_db_close(struct ml_db *db)
{
    if (!db)
        return;
    for (struct ml_stmt *s = db->statements, *next; s; s = next) {
        next = s->next;
        sqlite3_finalize(s->compiled);
        ml_mem_free(s);
    }
    sqlite3_close(db->sqlite);
    ml_mem_free(db->path);
    ml_mem_free(db);
}

/* ---- statements ---- */

int ml_db_exec(struct ml_db *db, const char *sql, struct ml_error *err)
{
    int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : fail_sqlite(db, code, err);
}

bool ml_db_in_transaction(struct ml_db *db)
{
    return !sqlite3_get_autocommit(db->sqlite);
}

int64_t ml_db_changes(struct ml_db *db)
{
    return sqlite3_changes64(db->sqlite);
}

void ml_db_checkpoint(struct ml_db *db)
{
    /* A reader in the way or a full disk leaves the log as it is, which loses nothing. An emptied
     * log lets the folder be read from a medium that cannot be written. */
    sqlite3_busy_timeout(db->sqlite, 0);
    sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(db->sqlite, BUSY_MILLISECONDS);
}

/* SQLite numbers $1, $2 ... in the order in which they appear, PostgreSQL by their names: our
 * statements keep both the same. */
static void check_parameters(sqlite3_stmt *compiled)
{
    char expected[16];
    for (int i = 1; i <= sqlite3_bind_parameter_count(compiled); i++) {
        snprintf(expected, sizeof expected, "$%d", i);
        assert(strcmp(sqlite3_bind_parameter_name(compiled, i), expected) == 0);
    }
}

int ml_db_prepare(struct ml_stmt **out, struct ml_db *db, const char *sql, struct ml_error *err)
{
    struct ml_stmt *stmt = db->statements;
    while (stmt && (stmt->busy || strcmp(stmt->sql, sql) != 0))
        stmt = stmt->next;
    if (!stmt) {
        sqlite3_stmt *compiled = NULL;
        int code =
            sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL);
        if (code != SQLITE_OK)
            return fail_sqlite(db, code, err);
        stmt = ml_mem_calloc(1, sizeof *stmt);
        if (!stmt) {
            sqlite3_finalize(compiled);
            return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", db->path);
        }
        check_parameters(compiled);
        *stmt =
            (struct ml_stmt){.db = db, .sql = sql, .compiled = compiled, .next = db->statements};
        db->statements = stmt;
    }
    stmt->busy = true;
    stmt->parameters = 0;
    stmt->code = SQLITE_OK;
    *out = stmt;
    return 0;
}

static void remember(struct ml_stmt *stmt, int code)
{
    if (stmt->code == SQLITE_OK)
        stmt->code = code;
}

void ml_stmt_put_int(struct ml_stmt *stmt, int64_t value)
{
    remember(stmt, sqlite3_bind_int64(stmt->compiled, ++stmt->parameters, value));
}

void ml_stmt_put_real(struct ml_stmt *stmt, double value)
{
    int code = isnan(value) ? sqlite3_bind_null(stmt->compiled, ++stmt->parameters)
                            : sqlite3_bind_double(stmt->compiled, ++stmt->parameters, value);
    remember(stmt, code);
}

void ml_stmt_put_text(struct ml_stmt *stmt, const char *text)
{
    stmt->parameters++;
    remember(stmt, text ? sqlite3_bind_text64(stmt->compiled, stmt->parameters, text, strlen(text),
                                              SQLITE_TRANSIENT, SQLITE_UTF8)
                        : sqlite3_bind_null(stmt->compiled, stmt->parameters));
}

void ml_stmt_put_bytes(struct ml_stmt *stmt, const void *bytes, size_t n)
{
    remember(stmt, sqlite3_bind_blob64(stmt->compiled, ++stmt->parameters, n ? bytes : "", n,
                                       SQLITE_TRANSIENT));
}

int ml_stmt_step(struct ml_stmt *stmt, struct ml_error *err)
{
    int code = stmt->code;
    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt->compiled);
        if (code == SQLITE_ROW)
            return 1;
        if (code == SQLITE_DONE)
            return 0;
    }
    return fail_sqlite(stmt->db, code, err);
}

int64_t ml_stmt_int(struct ml_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->compiled, column);
}

double ml_stmt_real(struct ml_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt->compiled, column) == SQLITE_NULL)
        return NAN;
    return sqlite3_column_double(stmt->compiled, column);
}

const char *ml_stmt_text(struct ml_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt->compiled, column) == SQLITE_NULL)
        return "";
    const char *text = (const char *)sqlite3_column_text(stmt->compiled, column);
    if (text)
        return text;
    remember(stmt, SQLITE_NOMEM);
    return "";
}

const void *ml_stmt_bytes(struct ml_stmt *stmt, int column, size_t *n)
{
    const void *bytes = sqlite3_column_blob(stmt->compiled, column);
    *n = (size_t)sqlite3_column_bytes(stmt->compiled, column);
    return bytes;
}

int ml_stmt_check(struct ml_stmt *stmt, struct ml_error *err)
{
    return stmt->code == SQLITE_OK ? 0 : fail_sqlite(stmt->db, stmt->code, err);
}

void ml_stmt_end(struct ml_stmt *stmt)
{
    if (!stmt)
        return;
    sqlite3_reset(stmt->compiled); /* its code repeats the last step's, which was reported */
    sqlite3_clear_bindings(stmt->compiled);
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
