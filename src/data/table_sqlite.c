#include "data/table_sqlite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "data/readers.h"
#include "data/table_rows.h"

#define SCHEME         "sqlite:"
#define MAX_CELL_BYTES (64 << 20)
#define STEPS          10000 /* of SQLite's machine between two looks at the clock */

struct table {
    const char *uri;
    sqlite3 *db;
    sqlite3_stmt *stmt;
    struct ml_arena arena;
    double deadline;
    const char **names;
    struct ml_columns columns;
};

bool ml_table_sqlite_parse(const char *uri, const char **file, size_t *file_n, const char **table,
                           const char **query)
{
    if (strncmp(uri, SCHEME, strlen(SCHEME)) != 0)
        return false;
    *file = uri + strlen(SCHEME);
    const char *t = strstr(*file, "?table="), *q = strstr(*file, "?query=");
    if (t && q && q < t)
        t = NULL; /* within the query */
    *table = t ? t + 7 : NULL;
    *query = !t && q ? q + 7 : NULL;
    const char *end = t ? t : q;
    *file_n = end ? (size_t)(end - *file) : strlen(*file);
    return *file_n > 0;
}

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a table");
}

static int fail_sqlite(const struct table *t, int code, struct ml_error *err)
{
    code &= 0xFF;
    if (code == SQLITE_NOMEM)
        return fail_memory(err);
    if (code == SQLITE_INTERRUPT)
        return ml_fail(err, ML_ERR_LIMIT, "%s: reading it took too long", t->uri);
    if (code == SQLITE_AUTH)
        return ml_fail(err, ML_ERR_FORMAT, "%s: only a SELECT on its own tables is run", t->uri);
    return ml_fail(err, ML_ERR_FORMAT, "%s: %.200s", t->uri, sqlite3_errmsg(t->db));
}

/* ---- what may run ---- */

/* Reading, and functions that only compute. */
static int authorise(void *arg, int action, const char *first, const char *second, const char *db,
                     const char *inner)
{
    static const char *const refused[] = {"load_extension", "readfile",       "writefile",
                                          "edit",           "fts3_tokenizer", NULL};
    if (action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    if (action != SQLITE_FUNCTION || !second)
        return SQLITE_DENY;
    for (size_t i = 0; refused[i]; i++)
        if (strcasecmp(second, refused[i]) == 0)
            return SQLITE_DENY;
    return SQLITE_OK;
}

static int watch_clock(void *arg)
{
    const struct table *t = arg;
    return ml_time() > t->deadline;
}

/* "file:PATH?immutable=1" with the path's own marks spelt %XX. */
static char *address_of(struct table *t, const char *path, size_t n)
{
    struct ml_buffer out = {0};
    int status = ml_buffer_printf(&out, NULL, "file:");
    for (size_t i = 0; i < n && status == 0; i++)
        status = strchr("?#%", path[i])
                     ? ml_buffer_printf(&out, NULL, "%%%02X", (unsigned)(unsigned char)path[i])
                     : ml_buffer_put(&out, path + i, 1, NULL);
    if (status == 0)
        status = ml_buffer_printf(&out, NULL, "?immutable=1");
    char *address = status == 0 ? ml_arena_strdup(&t->arena, out.data) : NULL;
    ml_buffer_clear(&out);
    return address;
}

static int open_file(struct table *t, const char *path, size_t n, struct ml_error *err)
{
    char *address = address_of(t, path, n);
    if (!address)
        return fail_memory(err);
    int code = sqlite3_open_v2(address, &t->db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    if (!t->db)
        return fail_memory(err);
    if (code != SQLITE_OK)
        return fail_sqlite(t, code, err);
    /* A damaged file's schema must not make SQLite do anything that a sound one's would not. */
    sqlite3_db_config(t->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(t->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(t->db, SQLITE_LIMIT_LENGTH, MAX_CELL_BYTES);
    sqlite3_limit(t->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(t->db, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_progress_handler(t->db, STEPS, watch_clock, t);
    sqlite3_set_authorizer(t->db, authorise, t);
    return 0;
}

/* ---- which rows ---- */

/* The only table; *query asks for all of it. */
static int find_table(struct table *t, char **name, struct ml_error *err)
{
    static const char sql[] = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
                              " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    sqlite3_stmt *stmt = NULL;
    char found[160] = "";
    int count = 0, code = sqlite3_prepare_v2(t->db, sql, -1, &stmt, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(stmt);
        const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        if (!text)
            break;
        size_t at = strlen(found);
        snprintf(found + at, sizeof found - at, "%s%s", count ? ", " : "", text);
        if (count++ == 0 && !(*name = ml_arena_strdup(&t->arena, text)))
            code = SQLITE_NOMEM;
    }
    sqlite3_finalize(stmt);
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        return fail_sqlite(t, code, err);
    if (count == 1)
        return 0;
    found[ml_utf8_ready(found, strlen(found))] = '\0';
    return count == 0 ? ml_fail(err, ML_ERR_FORMAT, "%s: no table in it", t->uri)
                      : ml_fail(err, ML_ERR_FORMAT, "%s: name one of its tables by ?table=NAME: %s",
                                t->uri, found);
}

static int prepare(struct table *t, const char *table, const char *query, struct ml_error *err)
{
    const char *rest = "";
    char *name = (char *)(uintptr_t)table, *sql = NULL;
    int status = table || query ? 0 : find_table(t, &name, err);
    if (status)
        return status;
    if (!query) {
        sql = sqlite3_mprintf("SELECT * FROM \"%w\"", name);
        if (!sql)
            return fail_memory(err);
    }
    int code = sqlite3_prepare_v2(t->db, query ? query : sql, -1, &t->stmt, &rest);
    bool alone = !rest || rest[strspn(rest, "; \t\n")] == '\0';
    sqlite3_free(query ? NULL : sql); /* rest points into it */
    if (code != SQLITE_OK)
        return fail_sqlite(t, code, err);
    if (!t->stmt || !alone || !sqlite3_stmt_readonly(t->stmt))
        return ml_fail(err, ML_ERR_FORMAT, "%s: the query must be one SELECT", t->uri);
    return 0;
}

/* Which column is the text is the same for all rows, whatever is NULL in one of them. */
static int name_columns(struct table *t, struct ml_error *err)
{
    int count = sqlite3_column_count(t->stmt);
    t->names = ml_arena_calloc(&t->arena, (size_t)count + 1, sizeof *t->names);
    bool full = !t->names;
    for (int i = 0; i < count && !full; i++) {
        const char *name = sqlite3_column_name(t->stmt, i);
        t->names[i] = name ? ml_arena_strdup(&t->arena, name) : NULL;
        full = !t->names[i];
    }
    t->columns = (struct ml_columns){.names = t->names, .count = count};
    return full ? fail_memory(err) : ml_row_keys_of(&t->columns.keys, t->names, count, err);
}

/* ---- rows ---- */

/* A cell as JSON. *why is set when the row cannot be used; NULL without it: nothing to keep (NULL,
 * bytes), or out of memory. */
static json_t *value_of(void *arg, int column, const char **why)
{
    sqlite3_stmt *stmt = arg;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(stmt, column));
    case SQLITE_FLOAT:
        return json_real(sqlite3_column_double(stmt, column));
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(stmt, column);
        size_t n = (size_t)sqlite3_column_bytes(stmt, column);
        if (text && (!ml_utf8_valid(text, n) || memchr(text, '\0', n))) {
            *why = "its text is not UTF-8";
            return NULL;
        }
        return text ? json_stringn(text, n) : NULL;
    }
    default:
        return json_null();
    }
}

static int give_rows(struct table *t, const struct ml_reader_sink *sink, struct ml_error *err)
{
    int code, status = 0;
    for (int64_t number = 1; status == 0; number++) {
        code = sqlite3_step(t->stmt);
        if (code == SQLITE_DONE)
            return 0;
        status = code == SQLITE_ROW ? ml_row_give(&t->columns, value_of, t->stmt, number, sink, err)
                                    : fail_sqlite(t, code, err);
    }
    return status;
}

static int read_sqlite(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                       const struct ml_reader_sink *sink, struct ml_error *err)
{
    const char *file, *table, *query;
    size_t n;
    struct table t = {.uri = input->uri, .deadline = ml_time() + limits->max_seconds};
    if (!ml_table_sqlite_parse(input->uri, &file, &n, &table, &query))
        return ml_fail(err, ML_ERR_FORMAT, "%s: not of the form sqlite:FILE?table=NAME",
                       input->uri);
    ml_json_setup();
    ml_arena_init(&t.arena, 0);
    int status = open_file(&t, file, n, err);
    if (status == 0)
        status = prepare(&t, table, query, err);
    if (status == 0)
        status = name_columns(&t, err);
    if (status == 0)
        status = give_rows(&t, sink, err);
    sqlite3_finalize(t.stmt);
    sqlite3_close(t.db);
    ml_arena_clear(&t.arena);
    return status;
}

/* Neither ending nor type: a database is material only when it is asked for. */
const struct ml_reader ml_reader_sqlite = {
    .name = "sqlite 1",
    .endings = (const char *const[]){NULL},
    .types = (const char *const[]){NULL},
    .read = read_sqlite,
};
