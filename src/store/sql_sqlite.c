/* The store's database as one file, by SQLite (store/sql_driver.h). */
#include <assert.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "store/sql_driver.h"

#define BUSY_MILLISECONDS                                                                          \
    10000 /* readers meet a checkpoint for moments only; writers hold a lock */

struct sqlite_db {
    struct ml_db base;
    sqlite3 *sqlite;
};

struct sqlite_stmt {
    struct ml_stmt base;
    sqlite3_stmt *compiled;
    int parameters; /* bound so far */
    int code;       /* SQLite's: the first failed binding or column since the last step */
};

static struct sqlite_db *of_db(struct ml_db *db)
{
    return (struct sqlite_db *)db;
}

static struct sqlite_stmt *of_stmt(struct ml_stmt *stmt)
{
    return (struct sqlite_stmt *)stmt;
}

/* ---- errors ---- */

static int fail_io(struct sqlite_db *db, struct ml_error *err)
{
    char reason[128] = "input/output error";
    int number = sqlite3_system_errno(db->sqlite);
    const char *text = number ? strerror_r(number, reason, sizeof reason) : reason;
    return ml_fail(err, ML_ERR_IO,
                   "%s: cannot read or write: %s; this step was undone, what was there before is "
                   "unharmed",
                   db->base.name, text);
}

static const char *broken_rule(int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return "there is such a row already";
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return "a row names another that is not there";
    default:
        return "a row breaks a rule of its table";
    }
}

static int fail_sqlite(struct sqlite_db *db, int code, struct ml_error *err)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", db->base.name);
    case SQLITE_FULL:
        return ml_fail(err, ML_ERR_IO,
                       "%s: the disk is full; this step was undone; free some space and try again",
                       db->base.name);
    case SQLITE_IOERR:
        return fail_io(db, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ml_fail(err, ML_ERR_STATE,
                       "%s: in use by another program; try again when it is done", db->base.name);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return ml_fail(err, ML_ERR_IO,
                       "%s: cannot be written here; copy the workspace to a place where you may "
                       "write",
                       db->base.name);
    case SQLITE_CANTOPEN:
        return ml_fail(err, ML_ERR_IO, "%s: cannot be opened: %s", db->base.name,
                       sqlite3_errmsg(db->sqlite));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: damaged, or not a database of this program; restore it from a copy",
                       db->base.name);
    case SQLITE_CONSTRAINT:
        return ml_fail(err, ML_ERR_STATE, "%s: %s (%s)", db->base.name, broken_rule(code),
                       sqlite3_errmsg(db->sqlite));
    default:
        return ml_fail(err, ML_ERR_STATE, "%s: %s", db->base.name, sqlite3_errmsg(db->sqlite));
    }
}

static int exec(struct sqlite_db *db, const char *sql, struct ml_error *err)
{
    int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : fail_sqlite(db, code, err);
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

static int configure(struct sqlite_db *db, enum ml_db_mode mode, struct ml_error *err)
{
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, BUSY_MILLISECONDS);
    /* Checkpoints happen only under the workspace's write lock: SQLite before 3.51.3 may corrupt a
     * WAL that two connections reset at once. */
    sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int status = 0;
    if (mode == ML_DB_CREATE) /* stays with the file; a file system without shared memory says no */
        status = exec(db, "PRAGMA journal_mode = wal", err);
    if (status == 0)
        status = exec(db,
                      "PRAGMA foreign_keys = on; PRAGMA synchronous = normal;"
                      "PRAGMA cache_size = -16384; PRAGMA trusted_schema = off",
                      err);
    return status;
}

static void sqlite_close(struct ml_db *base)
{
    struct sqlite_db *db = of_db(base);
    sqlite3_close(db->sqlite);
    ml_mem_free(db->base.name);
    ml_mem_free(db);
}

static int sqlite_open(struct ml_db **out, const char *path, enum ml_db_mode mode,
                       struct ml_error *err)
{
    struct sqlite_db *db = ml_mem_calloc(1, sizeof *db);
    char *copy = ml_mem_strdup(path);
    char *uri = uri_of(path, mode == ML_DB_READ_STILL ? "?immutable=1" : "");
    if (!db || !copy || !uri) {
        ml_mem_free(db);
        ml_mem_free(copy);
        ml_mem_free(uri);
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    }
    db->base = (struct ml_db){.driver = &ml_db_sqlite, .name = copy};
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
        sqlite_close(&db->base);
        return status;
    }
    *out = &db->base;
    return 0;
}

/* ---- the database as a whole ---- */

static int sqlite_tables(struct ml_db *db, const char *name, int64_t *count, struct ml_error *err)
{
    static const char sql[] =
        "SELECT count(*) FROM sqlite_master WHERE $1 IS NULL OR (type = 'table' AND name = $1)";
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, db, sql, err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, name);
    return ml_stmt_run_int(stmt, count, err);
}

static int sqlite_exec(struct ml_db *db, const char *sql, struct ml_error *err)
{
    return exec(of_db(db), sql, err);
}

static int sqlite_begin(struct ml_db *db, struct ml_error *err)
{
    return exec(of_db(db), "BEGIN IMMEDIATE", err);
}

static int sqlite_commit(struct ml_db *db, struct ml_error *err)
{
    return exec(of_db(db), "COMMIT", err);
}

static void sqlite_rollback(struct ml_db *db)
{
    exec(of_db(db), "ROLLBACK", NULL);
}

/* A full disk or a failed read makes SQLite undo a transaction by itself. */
static bool sqlite_in_transaction(struct ml_db *db)
{
    return !sqlite3_get_autocommit(of_db(db)->sqlite);
}

static int64_t sqlite_changes(struct ml_db *db)
{
    return sqlite3_changes64(of_db(db)->sqlite);
}

static int sqlite_lock(struct ml_db *db, double wait_seconds, bool *taken, struct ml_error *err)
{
    *taken = true;
    return 0;
}

static void sqlite_unlock(struct ml_db *db)
{
}

static void sqlite_lock_owner(struct ml_db *db, char *out, size_t size)
{
    out[0] = '\0';
}

static void sqlite_checkpoint(struct ml_db *db)
{
    /* A reader in the way or a full disk leaves the log as it is, which loses nothing. An emptied
     * log lets the folder be read from a medium that cannot be written. */
    sqlite3 *sqlite = of_db(db)->sqlite;
    sqlite3_busy_timeout(sqlite, 0);
    sqlite3_wal_checkpoint_v2(sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(sqlite, BUSY_MILLISECONDS);
}

static int examine_by(struct ml_db *db, const char *sql, struct ml_buffer *findings,
                      struct ml_error *err)
{
    struct ml_stmt *stmt;
    int got, status = ml_db_prepare(&stmt, db, sql, err);
    if (status)
        return status;
    while (status == 0 && (got = ml_stmt_step(stmt, err)) != 0)
        if (got < 0)
            status = got;
        else if (strcmp(ml_stmt_text(stmt, 0), "ok") != 0)
            status = ml_buffer_printf(findings, err, "%s\n", ml_stmt_text(stmt, 0));
    ml_stmt_end(stmt);
    return status;
}

static int sqlite_examine(struct ml_db *db, struct ml_buffer *findings, struct ml_error *err)
{
    int status = examine_by(db, "PRAGMA integrity_check(20)", findings, err);
    return status ? status
                  : examine_by(db,
                               "SELECT 'a row of ' || \"table\" || ' names one of ' || parent ||"
                               " ' that is not there' FROM pragma_foreign_key_check LIMIT 20",
                               findings, err);
}

/* ---- statements ---- */

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

static int sqlite_compile(struct ml_stmt **out, struct ml_db *base, const char *sql,
                          struct ml_error *err)
{
    struct sqlite_db *db = of_db(base);
    sqlite3_stmt *compiled = NULL;
    int code = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL);
    if (code != SQLITE_OK)
        return fail_sqlite(db, code, err);
    struct sqlite_stmt *stmt = ml_mem_calloc(1, sizeof *stmt);
    if (!stmt) {
        sqlite3_finalize(compiled);
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", db->base.name);
    }
    check_parameters(compiled);
    stmt->compiled = compiled;
    *out = &stmt->base;
    return 0;
}

static void sqlite_discard(struct ml_stmt *stmt)
{
    sqlite3_finalize(of_stmt(stmt)->compiled);
    ml_mem_free(stmt);
}

static void sqlite_start(struct ml_stmt *stmt)
{
    of_stmt(stmt)->parameters = 0;
    of_stmt(stmt)->code = SQLITE_OK;
}

static void sqlite_end(struct ml_stmt *stmt)
{
    sqlite3_reset(of_stmt(stmt)->compiled); /* its code repeats the last step's, which was told */
    sqlite3_clear_bindings(of_stmt(stmt)->compiled);
}

static void remember(struct sqlite_stmt *stmt, int code)
{
    if (stmt->code == SQLITE_OK)
        stmt->code = code;
}

static void sqlite_put_null(struct ml_stmt *base)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    remember(stmt, sqlite3_bind_null(stmt->compiled, ++stmt->parameters));
}

static void sqlite_put_int(struct ml_stmt *base, int64_t value)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    remember(stmt, sqlite3_bind_int64(stmt->compiled, ++stmt->parameters, value));
}

static void sqlite_put_real(struct ml_stmt *base, double value)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    if (isnan(value))
        sqlite_put_null(base);
    else
        remember(stmt, sqlite3_bind_double(stmt->compiled, ++stmt->parameters, value));
}

static void sqlite_put_text(struct ml_stmt *base, const char *text)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    if (!text)
        sqlite_put_null(base);
    else
        remember(stmt, sqlite3_bind_text64(stmt->compiled, ++stmt->parameters, text, strlen(text),
                                           SQLITE_TRANSIENT, SQLITE_UTF8));
}

static void sqlite_put_bytes(struct ml_stmt *base, const void *bytes, size_t n)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    if (!bytes)
        sqlite_put_null(base);
    else
        remember(stmt, sqlite3_bind_blob64(stmt->compiled, ++stmt->parameters, bytes, n,
                                           SQLITE_TRANSIENT));
}

static int sqlite_step(struct ml_stmt *base, struct ml_error *err)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    int code = stmt->code;
    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt->compiled);
        if (code == SQLITE_ROW)
            return 1;
        if (code == SQLITE_DONE)
            return 0;
    }
    return fail_sqlite(of_db(base->db), code, err);
}

static int64_t sqlite_int(struct ml_stmt *stmt, int column)
{
    return sqlite3_column_int64(of_stmt(stmt)->compiled, column);
}

static double sqlite_real(struct ml_stmt *base, int column)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    if (sqlite3_column_type(stmt->compiled, column) == SQLITE_NULL)
        return NAN;
    return sqlite3_column_double(stmt->compiled, column);
}

static const char *sqlite_text(struct ml_stmt *base, int column)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    if (sqlite3_column_type(stmt->compiled, column) == SQLITE_NULL)
        return "";
    const char *text = (const char *)sqlite3_column_text(stmt->compiled, column);
    if (text)
        return text;
    remember(stmt, SQLITE_NOMEM);
    return "";
}

static const void *sqlite_bytes(struct ml_stmt *base, int column, size_t *n)
{
    struct sqlite_stmt *stmt = of_stmt(base);
    const void *bytes = sqlite3_column_blob(stmt->compiled, column);
    *n = (size_t)sqlite3_column_bytes(stmt->compiled, column);
    return bytes;
}

static int sqlite_check(struct ml_stmt *stmt, struct ml_error *err)
{
    int code = of_stmt(stmt)->code;
    return code == SQLITE_OK ? 0 : fail_sqlite(of_db(stmt->db), code, err);
}

const struct ml_db_driver ml_db_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .exec = sqlite_exec,
    .define = sqlite_exec,
    .tables = sqlite_tables,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .in_transaction = sqlite_in_transaction,
    .changes = sqlite_changes,
    .lock = sqlite_lock,
    .unlock = sqlite_unlock,
    .lock_owner = sqlite_lock_owner,
    .checkpoint = sqlite_checkpoint,
    .examine = sqlite_examine,
    .compile = sqlite_compile,
    .discard = sqlite_discard,
    .start = sqlite_start,
    .end = sqlite_end,
    .put_null = sqlite_put_null,
    .put_int = sqlite_put_int,
    .put_real = sqlite_put_real,
    .put_text = sqlite_put_text,
    .put_bytes = sqlite_put_bytes,
    .step = sqlite_step,
    .get_int = sqlite_int,
    .get_real = sqlite_real,
    .get_text = sqlite_text,
    .get_bytes = sqlite_bytes,
    .check = sqlite_check,
};
