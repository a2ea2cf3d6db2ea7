/* The store's database in a PostgreSQL server, by libpq (store/sql_driver.h).
 *
 * A statement is prepared with its first run, when the types of its parameters are known; its rows
 * come all at once, in binary. One of ml_db_prepare_many is a cursor that is read in portions; WITH
 * HOLD makes it outlive the transaction that it was opened in, as one of SQLite does.
 *
 * A connection that was lost while nothing was going on (a firewall, a restarted server) is opened
 * again; within a transaction or under the lock that would hide that both are gone. */
#include <libpq-fe.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/progress.h"
#include "store/hash.h"
#include "store/pg_address.h"
#include "store/pg_values.h"
#include "store/sql_dialect.h"
#include "store/sql_driver.h"

#define CONNECT_SECONDS "10"
#define PORTION         500 /* rows of a cursor that are fetched at a time */

struct postgres_db {
    struct ml_db base;
    PGconn *conn;
    struct ml_arena memory;
    struct ml_pg_address address;
    enum ml_db_mode mode;
    int64_t lock_key;
    int64_t changes;
    unsigned generation;  /* of the connection: another one knows no statements of this one */
    unsigned transaction; /* number of the one that is open, or was last */
    unsigned names;       /* given to statements and cursors */
    bool begun, locked;
};

struct postgres_stmt {
    struct ml_stmt base;
    struct ml_arena memory; /* what lives as long as the statement */
    struct ml_arena values; /* parameters of this run */
    struct ml_arena row;    /* texts of this row that needed work */
    int count, put;         /* parameters that it has, and that were put */
    int code;               /* the first failure since the last step: ML_ERR_... */
    Oid *types, *prepared_types;
    const char **bytes;
    int *lengths, *formats;
    unsigned name;
    unsigned generation;  /* of the connection that knows it; 0: none */
    unsigned transaction; /* that the cursor was opened in; 0: outside */
    bool running, open;   /* has a result; the cursor exists */
    PGresult *result;
    int row_number, rows;
};

static struct postgres_db *of_db(struct ml_db *db)
{
    return (struct postgres_db *)db;
}

static struct postgres_stmt *of_stmt(struct ml_stmt *stmt)
{
    return (struct postgres_stmt *)stmt;
}

/* ---- errors ---- */

/* What the server or libpq says, without the password, should it ever be in it. */
static void quote(struct postgres_db *db, const char *message, char *out, size_t size)
{
    const char *password = db->conn ? PQpass(db->conn) : NULL;
    size_t n = password ? strlen(password) : 0, at = 0;
    while (message && *message && at + 1 < size) {
        if (n > 0 && strncmp(message, password, n) == 0) {
            at += (size_t)snprintf(out + at, size - at, "***");
            message += n;
        } else {
            out[at++] = *message++;
        }
    }
    at = at < size ? at : size - 1;
    while (at > 0 && (out[at - 1] == '\n' || out[at - 1] == ' '))
        at--;
    out[at] = '\0';
}

static int fail_connection(struct postgres_db *db, struct ml_error *err)
{
    char reason[300];
    quote(db, PQerrorMessage(db->conn), reason, sizeof reason);
    return ml_fail(err, ML_ERR_IO, "%s: the database cannot be reached: %s", db->base.name, reason);
}

static const struct {
    const char *state; /* SQLSTATE, or its beginning */
    int code;
    const char *what; /* NULL: the server's words */
} failures[] = {
    {"23505", ML_ERR_STATE, "there is such a row already"},
    {"23503", ML_ERR_STATE, "a row names another that is not there"},
    {"23", ML_ERR_STATE, "a row breaks a rule of its table"},
    {"25006", ML_ERR_IO, "cannot be written here"},
    {"25P02", ML_ERR_STATE, "a step of this batch failed before"},
    {"34000", ML_ERR_STATE, "what was being read was undone"},
    {"42501", ML_ERR_IO, "this user may not do that; ask whoever runs the server"},
    {"53100", ML_ERR_IO, "the server's disk is full"},
    {"53200", ML_ERR_MEMORY, "the server is out of memory"},
    {"53300", ML_ERR_STATE, "too many connections to the server; try again later"},
    {"54", ML_ERR_LIMIT, NULL},
    {"55P03", ML_ERR_STATE, "in use by another program; try again when it is done"},
    {"57P", ML_ERR_IO, "the server ended the connection"},
    {"58", ML_ERR_IO, "the server cannot read or write its files"},
    {"08", ML_ERR_IO, "the connection was lost"},
    {"XX001", ML_ERR_FORMAT, "the database is damaged; restore it from a copy"},
    {"XX002", ML_ERR_FORMAT, "an index of the database is damaged; REINDEX repairs it"},
};

static int fail_result(struct postgres_db *db, const PGresult *result, struct ml_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE), *what = NULL;
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char words[300];
    int code = ML_ERR_STATE;
    if (!state && PQstatus(db->conn) == CONNECTION_BAD)
        return fail_connection(db, err);
    for (size_t i = 0; state && i < sizeof failures / sizeof failures[0]; i++)
        if (strncmp(state, failures[i].state, strlen(failures[i].state)) == 0) {
            code = failures[i].code;
            what = failures[i].what;
            break;
        }
    quote(db, primary ? primary : PQerrorMessage(db->conn), words, sizeof words);
    return what ? ml_fail(err, code, "%s: %s (%s)", db->base.name, what, words)
                : ml_fail(err, code, "%s: %s", db->base.name, words);
}

static bool succeeded(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* ---- the connection ---- */

static void ignore_notice(void *arg, const PGresult *result)
{
}

static int run(struct postgres_db *db, const char *sql, struct ml_error *err)
{
    PGresult *result = PQexec(db->conn, sql);
    int status = succeeded(result) ? 0 : fail_result(db, result, err);
    PQclear(result);
    return status;
}

/* Asked first: to CREATE IF NOT EXISTS one needs the right to create, also when it exists. */
static bool has_schema(struct postgres_db *db)
{
    const char *const name[] = {db->address.schema};
    PGresult *result =
        PQexecParams(db->conn, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", 1, NULL,
                     name, NULL, NULL, 0);
    bool found = PQntuples(result) > 0;
    PQclear(result);
    return found;
}

/* With every new connection. */
static int configure(struct postgres_db *db, struct ml_error *err)
{
    char sql[512];
    const char *encoding = PQparameterStatus(db->conn, "server_encoding");
    if (encoding && strcmp(encoding, "UTF8") != 0 && strcmp(encoding, "SQL_ASCII") != 0)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: the database is in the encoding %s; make one with CREATE DATABASE ... "
                       "ENCODING 'UTF8' TEMPLATE template0",
                       db->base.name, encoding);
    char *schema = PQescapeIdentifier(db->conn, db->address.schema, strlen(db->address.schema));
    if (!schema)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", db->base.name);
    snprintf(sql, sizeof sql,
             "SET search_path TO %s; SET client_min_messages TO warning;"
             "SET default_transaction_read_only TO %s",
             schema, db->mode == ML_DB_READ || db->mode == ML_DB_READ_STILL ? "on" : "off");
    int status = run(db, sql, err);
    if (status == 0 && db->mode == ML_DB_CREATE && !has_schema(db)) {
        snprintf(sql, sizeof sql, "CREATE SCHEMA %s", schema);
        struct ml_error why = {0};
        status = run(db, sql, &why);
        if (status && has_schema(db)) /* another program was faster */
            status = 0;
        if (status)
            status = ml_fail(err, status, "%s", why.message);
    }
    PQfreemem(schema);
    db->generation++;
    return status;
}

static int open_connection(struct postgres_db *db, struct ml_error *err)
{
    char host[64] = "", application[128];
    gethostname(host, sizeof host - 1);
    snprintf(application, sizeof application, "maliang, process %ld on %s", (long)getpid(), host);
    /* What stands before the address is a default, what stands behind it is certain. */
    static const char *const keywords[] = {"connect_timeout", "dbname", "client_encoding",
                                           "application_name", NULL};
    const char *const values[] = {CONNECT_SECONDS, db->address.url, "UTF8", application, NULL};
    db->conn = PQconnectdbParams(keywords, values, 1);
    if (!db->conn)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", db->base.name);
    if (PQstatus(db->conn) != CONNECTION_OK)
        return fail_connection(db, err);
    PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
    return configure(db, err);
}

/* After a failure: whether the connection was lost, nothing is lost with it, and there is a new
 * one. */
static bool revive(struct postgres_db *db)
{
    if (PQstatus(db->conn) != CONNECTION_BAD || db->begun || db->locked)
        return false;
    PQreset(db->conn);
    return PQstatus(db->conn) == CONNECTION_OK && configure(db, NULL) == 0;
}

static void postgres_close(struct ml_db *base)
{
    struct postgres_db *db = of_db(base);
    PQfinish(db->conn);
    ml_arena_clear(&db->memory);
    ml_mem_free(db);
}

/* Workspaces exclude each other's writers by schema; the number space is shared with whatever else
 * uses the database, so it is a hash. */
static int64_t lock_key(const char *schema)
{
    struct ml_hasher hasher;
    uint8_t hash[ML_HASH_BYTES];
    int64_t key;
    ml_hasher_init(&hasher);
    ml_hasher_put(&hasher, "maliang workspace ", 18);
    ml_hasher_put(&hasher, schema, strlen(schema));
    ml_hasher_finish(&hasher, hash);
    memcpy(&key, hash, sizeof key);
    return key;
}

static int postgres_open(struct ml_db **out, const char *where, enum ml_db_mode mode,
                         struct ml_error *err)
{
    struct postgres_db *db = ml_mem_calloc(1, sizeof *db);
    if (!db)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory opening a database");
    db->mode = mode;
    ml_arena_init(&db->memory, 1024);
    int status = ml_pg_address_parse(&db->address, &db->memory, where, err);
    if (status == 0) {
        db->base = (struct ml_db){.driver = &ml_db_postgres, .name = db->address.name};
        db->lock_key = lock_key(db->address.schema);
        status = open_connection(db, err);
    }
    if (status) {
        postgres_close(&db->base);
        return status;
    }
    *out = &db->base;
    return 0;
}

/* ---- the database as a whole ---- */

static int postgres_exec(struct ml_db *base, const char *sql, struct ml_error *err)
{
    struct postgres_db *db = of_db(base);
    PGresult *result = PQexec(db->conn, sql);
    if (!succeeded(result) && revive(db)) {
        PQclear(result);
        result = PQexec(db->conn, sql);
    }
    int status = succeeded(result) ? 0 : fail_result(db, result, err);
    if (status == 0)
        db->changes = strtoll(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return status;
}

static int postgres_define(struct ml_db *db, const char *sql, struct ml_error *err)
{
    struct ml_buffer ours = {0};
    int status = ml_sql_to_postgres(&ours, sql, err);
    if (status == 0 && ours.data)
        status = postgres_exec(db, ours.data, err);
    ml_buffer_clear(&ours);
    return status;
}

static int postgres_tables(struct ml_db *db, const char *name, int64_t *count, struct ml_error *err)
{
    static const char sql[] =
        "SELECT count(*) FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE ($1 IS NULL OR c.relname = $1) AND n.nspname = $2 AND c.relkind IN ('r', 'p', 'v')";
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, db, sql, err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, name);
    ml_stmt_put_text(stmt, of_db(db)->address.schema);
    return ml_stmt_run_int(stmt, count, err);
}

static int postgres_begin(struct ml_db *base, struct ml_error *err)
{
    struct postgres_db *db = of_db(base);
    int status = postgres_exec(base, "BEGIN", err);
    if (status == 0) {
        db->begun = true;
        db->transaction++;
    }
    return status;
}

/* Cursors that were opened in the transaction are gone with it. */
static void forget_cursors(struct postgres_db *db)
{
    for (struct ml_stmt *s = db->base.statements; s; s = s->next)
        if (of_stmt(s)->open && of_stmt(s)->transaction == db->transaction)
            of_stmt(s)->open = false;
}

static int postgres_commit(struct ml_db *base, struct ml_error *err)
{
    struct postgres_db *db = of_db(base);
    PGresult *result = PQexec(db->conn, "COMMIT");
    int status = 0;
    if (PQstatus(db->conn) == CONNECTION_BAD) {
        status = ml_fail(err, ML_ERR_IO,
                         "%s: the connection was lost while this step was being saved, so it may "
                         "or may not be there; do it again to be certain",
                         base->name);
    } else if (!succeeded(result)) {
        status = fail_result(db, result, err);
    } else if (strcmp(PQcmdStatus(result), "COMMIT") != 0) { /* what the server makes of it after
                                                                a failure */
        status = ml_fail(err, ML_ERR_STATE,
                         "%s: a step failed before, so nothing of this batch was kept", base->name);
    }
    PQclear(result);
    db->begun = PQtransactionStatus(db->conn) == PQTRANS_INTRANS ||
                PQtransactionStatus(db->conn) == PQTRANS_INERROR;
    if (status && !db->begun)
        forget_cursors(db);
    return status;
}

static void postgres_rollback(struct ml_db *base)
{
    struct postgres_db *db = of_db(base);
    PQclear(PQexec(db->conn, "ROLLBACK"));
    db->begun = false;
    forget_cursors(db);
}

static bool postgres_in_transaction(struct ml_db *db)
{
    return of_db(db)->begun;
}

static int64_t postgres_changes(struct ml_db *db)
{
    return of_db(db)->changes;
}

/* ---- the lock ---- */

static int try_lock(struct ml_db *base, bool *taken, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int64_t got = 0;
    int status = ml_db_prepare(&stmt, base, "SELECT pg_try_advisory_lock($1)", err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, of_db(base)->lock_key);
    status = ml_stmt_run_int(stmt, &got, err);
    *taken = got != 0;
    return status;
}

/* The server keeps those who wait in a queue, so that a busy writer lets others in. */
static int wait_lock(struct postgres_db *db, double seconds, bool *taken, struct ml_error *err)
{
    char sql[128];
    double milliseconds = seconds * 1000;
    snprintf(sql, sizeof sql, "SET lock_timeout TO %d",
             milliseconds > INT_MAX ? INT_MAX : (int)ceil(milliseconds));
    int status = run(db, sql, err);
    if (status)
        return status;
    snprintf(sql, sizeof sql, "SELECT pg_advisory_lock(%lld)", (long long)db->lock_key);
    PGresult *result = PQexec(db->conn, sql);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    *taken = succeeded(result);
    if (!*taken && (!state || strcmp(state, "55P03") != 0))
        status = fail_result(db, result, err);
    PQclear(result);
    int reset = run(db, "SET lock_timeout TO 0", status ? NULL : err);
    return status ? status : reset;
}

static int postgres_lock(struct ml_db *base, double wait_seconds, bool *taken, struct ml_error *err)
{
    struct postgres_db *db = of_db(base);
    bool in = false;
    int status = try_lock(base, &in, err);
    if (status == 0 && !in && wait_seconds > 0)
        status = wait_lock(db, wait_seconds, &in, err);
    if (status)
        return status;
    db->locked = in;
    *taken = in;
    return 0;
}

/* Without a statement: it must not fail for want of memory. */
static void postgres_unlock(struct ml_db *base)
{
    struct postgres_db *db = of_db(base);
    char sql[64];
    if (db->locked) {
        snprintf(sql, sizeof sql, "SELECT pg_advisory_unlock(%lld)", (long long)db->lock_key);
        run(db, sql, NULL); /* a lost connection has released it already */
    }
    db->locked = false;
}

static void postgres_lock_owner(struct ml_db *base, char *out, size_t size)
{
    static const char sql[] =
        "SELECT a.application_name FROM pg_catalog.pg_locks l"
        " JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
        " JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = current_database()"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND (CAST(l.classid AS bigint) << 32 | CAST(l.objid AS bigint)) = $1";
    struct ml_stmt *stmt;
    out[0] = '\0';
    if (ml_db_prepare(&stmt, base, sql, NULL))
        return;
    ml_stmt_put_int(stmt, of_db(base)->lock_key);
    if (ml_stmt_step(stmt, NULL) > 0)
        snprintf(out, size, "%s", ml_stmt_text(stmt, 0));
    ml_stmt_end(stmt);
}

static void postgres_checkpoint(struct ml_db *db)
{
}

static int postgres_examine(struct ml_db *db, struct ml_buffer *findings, struct ml_error *err)
{
    return 0;
}

/* ---- statements ---- */

/* The highest $n. Our statements have no $ in their texts. */
static int count_parameters(const char *sql)
{
    long most = 0;
    while ((sql = strchr(sql, '$'))) {
        long number = strtol(++sql, NULL, 10);
        most = number > most ? number : most;
    }
    return (int)most;
}

static int postgres_compile(struct ml_stmt **out, struct ml_db *base, const char *sql,
                            struct ml_error *err)
{
    struct postgres_db *db = of_db(base);
    struct postgres_stmt *s = ml_mem_calloc(1, sizeof *s);
    if (!s)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", base->name);
    ml_arena_init(&s->memory, 1024);
    ml_arena_init(&s->values, 1024);
    ml_arena_init(&s->row, 1024);
    s->count = count_parameters(sql);
    size_t n = (size_t)s->count + 1;
    s->types = ml_arena_calloc(&s->memory, n, sizeof *s->types);
    s->prepared_types = ml_arena_calloc(&s->memory, n, sizeof *s->prepared_types);
    s->bytes = ml_arena_calloc(&s->memory, n, sizeof *s->bytes);
    s->lengths = ml_arena_calloc(&s->memory, n, sizeof *s->lengths);
    s->formats = ml_arena_calloc(&s->memory, n, sizeof *s->formats);
    s->name = ++db->names;
    if (!s->types || !s->prepared_types || !s->bytes || !s->lengths || !s->formats) {
        ml_arena_clear(&s->memory);
        ml_mem_free(s);
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", base->name);
    }
    *out = &s->base;
    return 0;
}

static void postgres_start(struct ml_stmt *stmt)
{
    of_stmt(stmt)->put = 0;
    of_stmt(stmt)->code = 0;
}

static void postgres_end(struct ml_stmt *base)
{
    struct postgres_stmt *s = of_stmt(base);
    struct postgres_db *db = of_db(base->db);
    char sql[32];
    if (s->open && s->generation == db->generation &&
        PQtransactionStatus(db->conn) != PQTRANS_INERROR) {
        snprintf(sql, sizeof sql, "CLOSE m%u", s->name);
        PQclear(PQexec(db->conn, sql));
    }
    PQclear(s->result);
    s->result = NULL;
    s->running = s->open = false;
    ml_arena_reset(&s->values);
    ml_arena_reset(&s->row);
}

static void postgres_discard(struct ml_stmt *base)
{
    struct postgres_stmt *s = of_stmt(base);
    PQclear(s->result);
    ml_arena_clear(&s->memory);
    ml_arena_clear(&s->values);
    ml_arena_clear(&s->row);
    ml_mem_free(s);
}

/* ---- parameters ---- */

static void remember(struct postgres_stmt *s, int code)
{
    if (s->code == 0)
        s->code = code;
}

/* Bytes that the arena of values owns already; NULL is SQL's NULL. */
static void put(struct postgres_stmt *s, Oid type, const char *bytes, size_t n)
{
    if (s->put >= s->count || n > INT_MAX) {
        remember(s, n > INT_MAX ? ML_ERR_LIMIT : ML_ERR_STATE);
        return;
    }
    s->types[s->put] = type;
    s->bytes[s->put] = bytes;
    s->lengths[s->put] = (int)n;
    s->formats[s->put] = 1; /* binary */
    s->put++;
}

static void put_number(struct postgres_stmt *s, Oid type, const char number[8])
{
    char *copy = ml_arena_alloc(&s->values, 8);
    if (copy)
        memcpy(copy, number, 8);
    else
        remember(s, ML_ERR_MEMORY);
    put(s, type, copy, 8);
}

static void postgres_put_null(struct ml_stmt *stmt)
{
    put(of_stmt(stmt), ML_PG_INT8, NULL, 0);
}

static void postgres_put_int(struct ml_stmt *stmt, int64_t value)
{
    char number[8];
    ml_pg_put_int(number, value);
    put_number(of_stmt(stmt), ML_PG_INT8, number);
}

static void postgres_put_real(struct ml_stmt *stmt, double value)
{
    char number[8];
    ml_pg_put_real(number, value);
    if (isnan(value))
        put(of_stmt(stmt), ML_PG_FLOAT8, NULL, 0);
    else
        put_number(of_stmt(stmt), ML_PG_FLOAT8, number);
}

static void postgres_put_text(struct ml_stmt *stmt, const char *text)
{
    struct postgres_stmt *s = of_stmt(stmt);
    char *copy = NULL;
    if (text) {
        size_t n = strlen(text);
        copy = ml_pg_text_is_plain(text, n) ? ml_arena_strndup(&s->values, text, n)
                                            : ml_pg_text_escape(&s->values, text, n);
        if (!copy)
            remember(s, ML_ERR_MEMORY);
    }
    put(s, ML_PG_TEXT, copy, copy ? strlen(copy) : 0);
}

static void postgres_put_bytes(struct ml_stmt *stmt, const void *bytes, size_t n)
{
    struct postgres_stmt *s = of_stmt(stmt);
    char *copy = NULL;
    if (bytes) {
        copy = ml_arena_alloc(&s->values, n + 1);
        if (copy)
            memcpy(copy, bytes, n);
        else
            remember(s, ML_ERR_MEMORY);
    }
    put(s, ML_PG_BYTEA, copy, n);
}

/* ---- rows ---- */

static int fail_statement(struct postgres_stmt *s, struct ml_error *err)
{
    const char *name = s->base.db->name;
    if (s->code == ML_ERR_MEMORY)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", name);
    if (s->code == ML_ERR_LIMIT)
        return ml_fail(err, ML_ERR_LIMIT, "%s: a value of more than 2 GiB", name);
    return ml_fail(err, ML_ERR_STATE, "%s: a statement with %d parameters was given more", name,
                   s->count);
}

/* Makes the connection know it, with the types of this run. NULL, or what went wrong. */
static PGresult *prepare(struct postgres_db *db, struct postgres_stmt *s)
{
    char name[16], drop[32];
    size_t n = (size_t)s->count * sizeof *s->types;
    bool known = s->generation == db->generation;
    if (known && memcmp(s->types, s->prepared_types, n) == 0)
        return NULL;
    snprintf(name, sizeof name, "m%u", s->name);
    if (known) {
        snprintf(drop, sizeof drop, "DEALLOCATE %s", name);
        PQclear(PQexec(db->conn, drop));
        s->generation = 0;
    }
    PGresult *result = PQprepare(db->conn, name, s->base.sql, s->count, s->types);
    if (!succeeded(result))
        return result;
    PQclear(result);
    s->generation = db->generation;
    memcpy(s->prepared_types, s->types, n);
    return NULL;
}

static PGresult *execute(struct postgres_db *db, struct postgres_stmt *s)
{
    char name[16];
    PGresult *failure = prepare(db, s);
    if (failure)
        return failure;
    snprintf(name, sizeof name, "m%u", s->name);
    return PQexecPrepared(db->conn, name, s->count, s->bytes, s->lengths, s->formats, 1);
}

static PGresult *fetch(struct postgres_db *db, struct postgres_stmt *s)
{
    char sql[48];
    snprintf(sql, sizeof sql, "FETCH %d FROM m%u", PORTION, s->name);
    return PQexecParams(db->conn, sql, 0, NULL, NULL, NULL, NULL, 1);
}

static PGresult *open_cursor(struct postgres_db *db, struct postgres_stmt *s, const char *declare)
{
    PGresult *result =
        PQexecParams(db->conn, declare, s->count, s->types, s->bytes, s->lengths, s->formats, 1);
    if (!succeeded(result))
        return result;
    PQclear(result);
    s->generation = db->generation;
    s->transaction = db->begun ? db->transaction : 0;
    s->open = true;
    return fetch(db, s);
}

static PGresult *run_once(struct postgres_db *db, struct postgres_stmt *s, const char *declare)
{
    return declare ? open_cursor(db, s, declare) : execute(db, s);
}

static int take_result(struct postgres_stmt *s, PGresult *result, struct ml_error *err)
{
    struct postgres_db *db = of_db(s->base.db);
    PQclear(s->result);
    s->result = NULL;
    if (!succeeded(result)) {
        int status = fail_result(db, result, err);
        PQclear(result);
        return status;
    }
    s->result = result;
    s->row_number = -1;
    s->rows = PQntuples(result);
    return 0;
}

static int begin_rows(struct postgres_stmt *s, struct ml_error *err)
{
    struct postgres_db *db = of_db(s->base.db);
    char *declare = NULL;
    if (s->put < s->count) /* NULL, as with SQLite */
        for (int i = s->put; i < s->count; i++)
            s->bytes[i] = NULL;
    if (s->base.many) {
        declare = ml_arena_printf(&s->values, "DECLARE m%u NO SCROLL CURSOR WITH HOLD FOR %s",
                                  s->name, s->base.sql);
        if (!declare) {
            remember(s, ML_ERR_MEMORY);
            return fail_statement(s, err);
        }
    }
    PGresult *result = run_once(db, s, declare);
    if (!succeeded(result) && revive(db)) {
        PQclear(result);
        result = run_once(db, s, declare);
    }
    int status = take_result(s, result, err);
    if (status)
        return status;
    s->running = true;
    const char *tag = PQcmdStatus(result);
    if (strncmp(tag, "INSERT", 6) == 0 || strncmp(tag, "UPDATE", 6) == 0 ||
        strncmp(tag, "DELETE", 6) == 0)
        db->changes = strtoll(PQcmdTuples(result), NULL, 10);
    return 0;
}

static int more_rows(struct postgres_stmt *s, struct ml_error *err)
{
    struct postgres_db *db = of_db(s->base.db);
    if (!s->open || s->generation != db->generation)
        return ml_fail(err, ML_ERR_STATE, "%s: what was being read was undone", db->base.name);
    return take_result(s, fetch(db, s), err);
}

static int postgres_step(struct ml_stmt *base, struct ml_error *err)
{
    struct postgres_stmt *s = of_stmt(base);
    int status = s->code ? fail_statement(s, err) : 0;
    ml_arena_reset(&s->row);
    if (status == 0 && !s->running)
        status = begin_rows(s, err);
    else if (status == 0 && s->base.many && s->row_number + 1 >= s->rows && s->rows == PORTION)
        status = more_rows(s, err);
    if (status)
        return status;
    if (s->row_number + 1 >= s->rows)
        return 0;
    s->row_number++;
    return 1;
}

/* The value's bytes, ended by a NUL; NULL for SQL's. */
static char *value(struct postgres_stmt *s, int column, size_t *n, Oid *type)
{
    if (s->row_number < 0 || column >= PQnfields(s->result) ||
        PQgetisnull(s->result, s->row_number, column))
        return NULL;
    *n = (size_t)PQgetlength(s->result, s->row_number, column);
    *type = PQftype(s->result, column);
    return PQgetvalue(s->result, s->row_number, column);
}

static int64_t postgres_int(struct ml_stmt *stmt, int column)
{
    Oid type;
    size_t n;
    const char *bytes = value(of_stmt(stmt), column, &n, &type);
    return bytes ? ml_pg_int(type, bytes, n) : 0;
}

static double postgres_real(struct ml_stmt *stmt, int column)
{
    Oid type;
    size_t n;
    const char *bytes = value(of_stmt(stmt), column, &n, &type);
    return bytes ? ml_pg_real(type, bytes, n) : NAN;
}

static const char *postgres_text(struct ml_stmt *stmt, int column)
{
    struct postgres_stmt *s = of_stmt(stmt);
    Oid type;
    size_t n;
    const char *bytes = value(s, column, &n, &type);
    if (!bytes)
        return "";
    if (type != ML_PG_TEXT && type != ML_PG_VARCHAR && type != ML_PG_NAME)
        bytes = ml_arena_printf(&s->row, "%lld", (long long)ml_pg_int(type, bytes, n));
    else if (ml_pg_text_is_escaped(bytes, n))
        bytes = ml_pg_text_unescape(&s->row, bytes, n);
    if (bytes)
        return bytes;
    remember(s, ML_ERR_MEMORY);
    return "";
}

static const void *postgres_bytes(struct ml_stmt *stmt, int column, size_t *n)
{
    Oid type;
    *n = 0;
    return value(of_stmt(stmt), column, n, &type);
}

static int postgres_check(struct ml_stmt *stmt, struct ml_error *err)
{
    return of_stmt(stmt)->code ? fail_statement(of_stmt(stmt), err) : 0;
}

const struct ml_db_driver ml_db_postgres = {
    .name = "postgresql",
    .open = postgres_open,
    .close = postgres_close,
    .exec = postgres_exec,
    .define = postgres_define,
    .tables = postgres_tables,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .in_transaction = postgres_in_transaction,
    .changes = postgres_changes,
    .lock = postgres_lock,
    .unlock = postgres_unlock,
    .lock_owner = postgres_lock_owner,
    .checkpoint = postgres_checkpoint,
    .examine = postgres_examine,
    .compile = postgres_compile,
    .discard = postgres_discard,
    .start = postgres_start,
    .end = postgres_end,
    .put_null = postgres_put_null,
    .put_int = postgres_put_int,
    .put_real = postgres_put_real,
    .put_text = postgres_put_text,
    .put_bytes = postgres_put_bytes,
    .step = postgres_step,
    .get_int = postgres_int,
    .get_real = postgres_real,
    .get_text = postgres_text,
    .get_bytes = postgres_bytes,
    .check = postgres_check,
};
