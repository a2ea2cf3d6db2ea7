#include "data/table_postgres.h"

#include <string.h>

#include "base/fail.h"
#include "data/readers.h"
#include "maliang_config.h"

bool ml_table_postgres_is(const char *source)
{
    return strncmp(source, "postgresql://", 13) == 0 || strncmp(source, "postgres://", 11) == 0;
}

/* ---- the source ---- */

/* The first option of the address that is ours; *table says which. NULL: none. */
static const char *find_ours(const char *source, bool *table)
{
    for (const char *at = strchr(source, '?'); at; at = strchr(at + 1, '&')) {
        *table = strncmp(at + 1, "table=", 6) == 0;
        if (*table || strncmp(at + 1, "query=", 6) == 0)
            return at;
    }
    return NULL;
}

int ml_table_postgres_parse(struct ml_postgres_source *out, struct ml_arena *arena,
                            const char *source, struct ml_error *err)
{
    bool table = false;
    const char *ours = find_ours(source, &table);
    struct ml_postgres_source parsed = {
        .address = ml_arena_strndup(arena, source, ours ? (size_t)(ours - source) : strlen(source)),
        .table = ours && table ? ours + 7 : NULL,
        .query = ours && !table ? ours + 7 : NULL,
    };
    if (!parsed.address)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a table");
    *out = parsed;
    return 0;
}

#ifndef MALIANG_HAVE_POSTGRES

static int fail_absent(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "this program was built without PostgreSQL; install libpq-dev and build again");
}

int ml_table_postgres_check(const char *source, struct ml_error *err)
{
    (void)source;
    return fail_absent(err);
}

static int read_postgres(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                         const struct ml_reader_sink *sink, struct ml_error *err)
{
    (void)input, (void)limits, (void)sink;
    return fail_absent(err);
}

#else

#include <libpq-fe.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/progress.h"
#include "base/utf8.h"
#include "data/table_rows.h"

#define CONNECT_SECONDS "10"
#define MAX_CELL_BYTES  (64 << 20)

/* Numbers of types in the server's catalogue, which never change (pg_type.dat). */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_NUMERIC = 1700,
    TYPE_JSONB = 3802,
};

struct table {
    const char *uri;
    PGconn *conn;
    struct ml_arena arena;
    double deadline;
    const char **names;
    struct ml_columns columns;
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a table");
}

int ml_table_postgres_check(const char *source, struct ml_error *err)
{
    struct ml_postgres_source parsed;
    struct ml_arena arena;
    char *problem = NULL;
    PQconninfoOption *options = NULL;
    bool secret = false;
    ml_arena_init(&arena, 0);
    int status = ml_table_postgres_parse(&parsed, &arena, source, err);
    if (status == 0) {
        options = PQconninfoParse(parsed.address, &problem);
        PQfreemem(problem); /* it may quote the password */
        if (!options)
            status = ml_fail(err, ML_ERR_ARG,
                             "the address of the database cannot be understood; it looks like "
                             "postgresql://USER@HOST:PORT/DATABASE?table=NAME, with %%XX for "
                             "special characters in its parts");
    }
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        secret = secret || (o->val && strstr(o->keyword, "password"));
    if (status == 0 && secret)
        status = ml_fail(err, ML_ERR_ARG,
                         "the address of the database holds a password, and it would be kept with "
                         "the records; leave it out and set PGPASSWORD or write ~/.pgpass");
    PQconninfoFree(options);
    ml_arena_clear(&arena);
    return status;
}

/* ---- errors ---- */

/* One line of what the server or libpq says. */
static int fail_with(const struct table *t, int code, const char *what, struct ml_error *err)
{
    size_t n = what ? strcspn(what, "\n") : 0;
    return ml_fail(err, code, "%s: %.*s", t->uri, (int)(n < 300 ? n : 300), n ? what : "?");
}

/* What cannot be read is the source's fault, so that other sources go on. */
static int fail_result(const struct table *t, const PGresult *result, struct ml_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!result && PQstatus(t->conn) == CONNECTION_OK)
        return fail_memory(err);
    if (!state) /* libpq's own: the connection was lost */
        return fail_with(t, ML_ERR_FORMAT, PQerrorMessage(t->conn), err);
    if (strcmp(state, "57014") == 0)
        return ml_fail(err, ML_ERR_LIMIT, "%s: reading it took too long", t->uri);
    if (strcmp(state, "25006") == 0)
        return ml_fail(err, ML_ERR_FORMAT, "%s: the query writes; only reading is allowed", t->uri);
    if (strcmp(state, "42601") == 0)
        return ml_fail(err, ML_ERR_FORMAT, "%s: the query must be one SELECT: %.200s", t->uri,
                       words);
    return fail_with(t, ML_ERR_FORMAT, words, err);
}

/* One statement, by the protocol that takes no more than one. */
static int run(struct table *t, const char *sql, const char *parameter, char **out,
               struct ml_error *err)
{
    const char *const values[] = {parameter};
    PGresult *result = PQexecParams(t->conn, sql, parameter ? 1 : 0, NULL, values, NULL, NULL, 0);
    ExecStatusType got = PQresultStatus(result);
    int status =
        got == PGRES_COMMAND_OK || got == PGRES_TUPLES_OK ? 0 : fail_result(t, result, err);
    if (status == 0 && out) {
        bool there = PQntuples(result) > 0 && !PQgetisnull(result, 0, 0);
        *out = there ? ml_arena_strdup(&t->arena, PQgetvalue(result, 0, 0)) : NULL;
        if (there && !*out)
            status = fail_memory(err);
    }
    PQclear(result);
    return status;
}

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg, (void)result;
}

static int connect_to(struct table *t, const char *address, struct ml_error *err)
{
    /* What stands before the address is a default, what stands behind it is certain. */
    static const char *const keywords[] = {"connect_timeout", "dbname", "client_encoding",
                                           "application_name", NULL};
    const char *const values[] = {CONNECT_SECONDS, address, "UTF8", "maliang collect", NULL};
    char sql[100];
    t->conn = PQconnectdbParams(keywords, values, 1);
    if (!t->conn)
        return fail_memory(err);
    if (PQstatus(t->conn) != CONNECTION_OK)
        return fail_with(t, ML_ERR_FORMAT, PQerrorMessage(t->conn), err);
    PQsetNoticeReceiver(t->conn, ignore_notice, NULL);
    double left = (t->deadline - ml_time()) * 1000;
    int status = run(t, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, NULL, err);
    snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %ld", left < 1 ? 1L : (long)left);
    if (status == 0)
        status = run(t, sql, NULL, NULL, err);
    /* Else a large table may begin in its middle, elsewhere each time. */
    if (status == 0)
        status = run(t, "SET LOCAL synchronize_seqscans = off", NULL, NULL, err);
    return status;
}

/* ---- which rows ---- */

/* Tables that can be seen without naming their schema; *name is spelt as SQL wants it. */
static int find_only(struct table *t, char **name, struct ml_error *err)
{
#define VISIBLE                                                                                    \
    " FROM pg_catalog.pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f')"                         \
    " AND pg_catalog.pg_table_is_visible(oid) AND relnamespace NOT IN"                             \
    " (SELECT oid FROM pg_catalog.pg_namespace"                                                    \
    " WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')"
    char *names = NULL;
    int status =
        run(t, "SELECT min(oid::regclass::text)" VISIBLE " HAVING count(*) = 1", NULL, name, err);
    if (status == 0 && !*name)
        status = run(t,
                     "SELECT left(string_agg(relname, ', ' ORDER BY relname COLLATE \"C\"), "
                     "150)" VISIBLE,
                     NULL, &names, err);
#undef VISIBLE
    if (status || *name)
        return status;
    return names ? ml_fail(err, ML_ERR_FORMAT, "%s: name one of its tables by ?table=NAME: %s",
                           t->uri, names)
                 : ml_fail(err, ML_ERR_FORMAT, "%s: no table in it", t->uri);
}

/* NAME as it is, or SCHEMA.NAME. */
static int find_named(struct table *t, const char *table, char **name, struct ml_error *err)
{
    int status = run(t, "SELECT to_regclass(quote_ident($1))::text", table, name, err);
    if (status == 0 && !*name && strchr(table, '.'))
        status = run(t, "SELECT to_regclass($1)::text", table, name, err);
    if (status == 0 && !*name)
        status = ml_fail(err, ML_ERR_FORMAT, "%s: there is no such table", t->uri);
    return status;
}

/* A cursor takes nothing but a SELECT. */
static int declare(struct table *t, const struct ml_postgres_source *source, struct ml_error *err)
{
    char *name = NULL, *sql;
    int status = source->query   ? 0
                 : source->table ? find_named(t, source->table, &name, err)
                                 : find_only(t, &name, err);
    if (status)
        return status;
    sql =
        source->query
            ? ml_arena_printf(&t->arena, "DECLARE material NO SCROLL CURSOR FOR %s", source->query)
            : ml_arena_printf(&t->arena, "DECLARE material NO SCROLL CURSOR FOR SELECT * FROM %s",
                              name);
    return sql ? run(t, sql, NULL, NULL, err) : fail_memory(err);
}

/* ---- rows ---- */

static json_t *number_of(const char *text)
{
    char *end;
    if (!text[strcspn(text, ".eENI")]) { /* digits alone */
        long long value = strtoll(text, &end, 10);
        if (value != LLONG_MAX && value != LLONG_MIN)
            return json_integer(value);
    }
    double value = strtod(text, &end);
    return isfinite(value) ? json_real(value) : json_null();
}

/* A cell as JSON. *why is set when the row cannot be used; NULL without it: out of memory. */
static json_t *value_of(void *arg, int column, const char **why)
{
    const PGresult *row = arg;
    const char *text = PQgetvalue(row, 0, column);
    size_t n = (size_t)PQgetlength(row, 0, column);
    json_t *value = NULL;
    if (PQgetisnull(row, 0, column) || PQftype(row, column) == TYPE_BYTEA)
        return json_null();
    if (n > MAX_CELL_BYTES || !ml_utf8_valid(text, n)) {
        *why = n > MAX_CELL_BYTES ? "a cell has more than 64 MiB" : "its text is not UTF-8";
        return NULL;
    }
    switch (PQftype(row, column)) {
    case TYPE_BOOL:
        return json_boolean(text[0] == 't');
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
        return number_of(text);
    case TYPE_JSON:
    case TYPE_JSONB:
        if (ml_json_parse(&value, text, n, "a cell", NULL) == 0)
            return value;
        return json_stringn(text, n);
    default:
        return json_stringn(text, n);
    }
}

static int name_columns(struct table *t, const PGresult *result, struct ml_error *err)
{
    int count = PQnfields(result);
    t->names = ml_arena_calloc(&t->arena, (size_t)count + 1, sizeof *t->names);
    bool full = !t->names;
    for (int i = 0; i < count && !full; i++) {
        t->names[i] = ml_arena_strdup(&t->arena, PQfname(result, i));
        full = !t->names[i];
    }
    t->columns = (struct ml_columns){.names = t->names, .count = count};
    return full ? fail_memory(err) : ml_row_keys_of(&t->columns.keys, t->names, count, err);
}

/* Single rows, so that a table of any size passes. What comes after a failure is read and dropped,
 * as libpq wants it; the server is asked to stop first. */
static int give_rows(struct table *t, const struct ml_reader_sink *sink, struct ml_error *err)
{
    int status = 0;
    int64_t number = 0;
    if (!PQsendQueryParams(t->conn, "FETCH ALL FROM material", 0, NULL, NULL, NULL, NULL, 0) ||
        !PQsetSingleRowMode(t->conn))
        return fail_with(t, ML_ERR_FORMAT, PQerrorMessage(t->conn), err);
    for (PGresult *result; (result = PQgetResult(t->conn)); PQclear(result)) {
        ExecStatusType got = PQresultStatus(result);
        bool before = status != 0;
        if (before)
            continue;
        if (got != PGRES_SINGLE_TUPLE && got != PGRES_TUPLES_OK)
            status = fail_result(t, result, err);
        else if (!t->names)
            status = name_columns(t, result, err);
        if (status == 0 && got == PGRES_SINGLE_TUPLE)
            status = ml_row_give(&t->columns, value_of, result, ++number, sink, err);
        if (status == 0 && ml_time() > t->deadline)
            status = ml_fail(err, ML_ERR_LIMIT, "%s: reading it took too long", t->uri);
        if (status) {
            char words[256];
            PGcancel *cancel = PQgetCancel(t->conn);
            if (cancel)
                PQcancel(cancel, words, sizeof words);
            PQfreeCancel(cancel);
        }
    }
    return status;
}

static int read_postgres(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                         const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct table t = {.uri = input->uri, .deadline = ml_time() + limits->max_seconds};
    struct ml_postgres_source source;
    int status = ml_table_postgres_check(input->uri, err);
    if (status)
        return status;
    ml_json_setup();
    ml_arena_init(&t.arena, 0);
    status = ml_table_postgres_parse(&source, &t.arena, input->uri, err);
    if (status == 0)
        status = connect_to(&t, source.address, err);
    if (status == 0)
        status = declare(&t, &source, err);
    if (status == 0)
        status = give_rows(&t, sink, err);
    PQfinish(t.conn);
    ml_arena_clear(&t.arena);
    return status;
}

#endif

/* Neither ending nor type: a database is material only when it is asked for. */
const struct ml_reader ml_reader_postgres = {
    .name = "postgresql 1",
    .endings = (const char *const[]){NULL},
    .types = (const char *const[]){NULL},
    .read = read_postgres,
};
