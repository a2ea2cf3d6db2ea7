/* What PostgreSQL alone can do to us: needs the server of with_postgres.sh. */
#include "scratch.h"

#include <math.h>
#include <sys/stat.h>

#include "store/records.h"
#include "store/sql.h"

static char folder[SCRATCH_PATH], url[SCRATCH_PATH];
static struct ml_db *db;

static int set_up(void **state)
{
    struct ml_error err = {0};
    scratch_make(folder);
    snprintf(url, sizeof url, "%s", scratch_database(NULL));
    assert_ok(ml_db_open(&db, url, ML_DB_CREATE, &err), err);
    assert_ok(ml_db_define(db,
                           "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER UNIQUE, y REAL,"
                           " z TEXT, b BLOB)",
                           &err),
              err);
    return 0;
}

static int tear_down(void **state)
{
    ml_db_close(db);
    scratch_remove(folder);
    return 0;
}

static int64_t ask(struct ml_db *which, const char *sql)
{
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    int64_t value = -1;
    assert_ok(ml_db_prepare(&stmt, which, sql, &err), err);
    assert_ok(ml_stmt_run_int(stmt, &value, &err), err);
    return value;
}

static void insert(int64_t x)
{
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    assert_ok(ml_db_prepare(&stmt, db, "INSERT INTO t(id, x) VALUES($1, $2)", &err), err);
    ml_stmt_put_int(stmt, x);
    ml_stmt_put_int(stmt, x);
    assert_ok(ml_stmt_run(stmt, &err), err);
}

static void all_types(void **state)
{
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    size_t n;
    static const char stray[] = "\xb4\xba\xc3\xdf \xe6\x98\xa5 \xf4\x8f\xbe\x80";
    for (int round = 0; round < 2; round++) {
        assert_ok(
            ml_db_prepare(&stmt, db, "INSERT INTO t(id, x, y, z, b) VALUES($1,$2,$3,$4,$5)", &err),
            err);
        ml_stmt_put_int(stmt, round);
        ml_stmt_put_id(stmt, round == 0 ? INT64_MIN : 0);
        ml_stmt_put_real(stmt, round == 0 ? 0.1 : NAN);
        ml_stmt_put_text(stmt, round == 0 ? stray : NULL);
        ml_stmt_put_bytes(stmt, round == 0 ? "\0\1\377" : NULL, round == 0 ? 3 : 0);
        assert_ok(ml_stmt_run(stmt, &err), err);
        assert_int_equal(ml_db_changes(db), 1);
    }
    assert_ok(ml_db_prepare(&stmt, db,
                            "SELECT x, y, z, b, sum(x) OVER (), x IS NULL FROM t"
                            " ORDER BY id",
                            &err),
              err);
    assert_int_equal(ml_stmt_step(stmt, &err), 1);
    assert_true(ml_stmt_int(stmt, 0) == INT64_MIN);
    assert_true(ml_stmt_real(stmt, 1) == 0.1);
    assert_string_equal(ml_stmt_text(stmt, 2), stray);
    assert_string_equal(ml_stmt_text(stmt, 2), stray);
    assert_memory_equal(ml_stmt_bytes(stmt, 3, &n), "\0\1\377", 3);
    assert_int_equal(n, 3);
    assert_true(ml_stmt_int(stmt, 4) == INT64_MIN);
    assert_int_equal(ml_stmt_int(stmt, 5), 0);
    assert_string_equal(ml_stmt_text(stmt, 5), "0");
    assert_int_equal(ml_stmt_step(stmt, &err), 1);
    assert_int_equal(ml_stmt_int(stmt, 0), 0);
    assert_true(isnan(ml_stmt_real(stmt, 1)));
    assert_string_equal(ml_stmt_text(stmt, 2), "");
    assert_null(ml_stmt_bytes(stmt, 3, &n));
    assert_int_equal(n, 0);
    assert_int_equal(ml_stmt_int(stmt, 5), 1);
    assert_ok(ml_stmt_check(stmt, &err), err);
    assert_int_equal(ml_stmt_step(stmt, &err), 0);
    ml_stmt_end(stmt);
    /* A parameter of another type than before: the statement is prepared anew. */
    static const char same[] = "SELECT count(*) FROM t WHERE $1 IS NULL";
    assert_ok(ml_db_prepare(&stmt, db, same, &err), err);
    ml_stmt_put_text(stmt, NULL);
    assert_ok(ml_stmt_run(stmt, &err), err);
    assert_ok(ml_db_prepare(&stmt, db, same, &err), err);
    ml_stmt_put_int(stmt, 1);
    assert_ok(ml_stmt_run_int(stmt, &(int64_t){0}, &err), err);
}

/* More rows than one portion, with other statements in between and commits under it. */
static void many_rows(void **state)
{
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    enum { ROWS = 1234 };
    assert_ok(ml_db_begin(db, &err), err);
    for (int i = 0; i < ROWS; i++)
        insert(i);
    assert_ok(ml_db_prepare_many(&stmt, db, "SELECT x FROM t WHERE x >= $1 ORDER BY x", &err), err);
    ml_stmt_put_int(stmt, 0);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(ml_stmt_step(stmt, &err), 1);
        assert_int_equal(ml_stmt_int(stmt, 0), i);
        if (i % 100 == 7)
            insert(ROWS + i);
        if (i == 600)
            assert_ok(ml_db_commit(db, &err), err);
        if (i == 700)
            assert_ok(ml_db_begin(db, &err), err);
    }
    assert_int_equal(ml_stmt_step(stmt, &err), 0);
    assert_int_equal(ml_stmt_step(stmt, &err), 0);
    ml_stmt_end(stmt);
    /* Undone with its transaction, and again usable. */
    assert_ok(ml_db_prepare_many(&stmt, db, "SELECT x FROM t WHERE x >= $1 ORDER BY x", &err), err);
    ml_stmt_put_int(stmt, 0);
    for (int i = 0; i < 500; i++)
        assert_int_equal(ml_stmt_step(stmt, &err), 1);
    ml_db_rollback(db);
    assert_fails(ml_stmt_step(stmt, &err), ML_ERR_STATE, "undone", err);
    ml_stmt_end(stmt);
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), ROWS + 7);
    assert_ok(ml_db_prepare_many(&stmt, db, "SELECT missing FROM t", &err), err);
    assert_fails(ml_stmt_step(stmt, &err), ML_ERR_STATE, "missing", err);
    ml_stmt_end(stmt);
}

/* A server undoes a transaction in which something failed, even when it is told to keep it. */
static void a_commit_that_is_none(void **state)
{
    struct ml_error err = {0};
    struct ml_stmt *stmt;
    assert_ok(ml_db_begin(db, &err), err);
    insert(1);
    assert_fails(ml_db_exec(db, "INSERT INTO t(id, x) VALUES(1, 1)", &err), ML_ERR_STATE,
                 "such a row already", err);
    assert_ok(ml_db_prepare(&stmt, db, "SELECT count(*) FROM t", &err), err);
    assert_fails(ml_stmt_step(stmt, &err), ML_ERR_STATE, "failed before", err);
    ml_stmt_end(stmt);
    assert_fails(ml_db_commit(db, &err), ML_ERR_STATE, "failed before", err);
    assert_false(ml_db_in_transaction(db));
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), 0);
}

static void reading_only(void **state)
{
    struct ml_db *reader;
    struct ml_error err = {0};
    assert_ok(ml_db_open(&reader, url, ML_DB_READ, &err), err);
    assert_int_equal(ask(reader, "SELECT count(*) FROM t"), 0);
    assert_fails(ml_db_exec(reader, "INSERT INTO t(id) VALUES(1)", &err), ML_ERR_IO,
                 "cannot be written", err);
    ml_db_close(reader);
}

/* A user who may work in a schema that somebody else made for it, and not make one. */
static void a_user_with_few_rights(void **state)
{
    struct ml_db *own = NULL;
    struct ml_error err = {0};
    char where[2 * SCRATCH_PATH], sql[256], schema[64];
    snprintf(schema, sizeof schema, "given_%ld", (long)getpid());
    snprintf(sql, sizeof sql,
             "CREATE ROLE guest_%ld LOGIN; CREATE SCHEMA %s AUTHORIZATION guest_%ld",
             (long)getpid(), schema, (long)getpid());
    assert_ok(ml_db_exec(db, sql, &err), err);
    snprintf(where, sizeof where, "%s&user=guest_%ld&schema=%s", scratch_server(), (long)getpid(),
             schema);
    assert_ok(ml_db_open(&own, where, ML_DB_CREATE, &err), err);
    assert_ok(ml_db_define(own, "CREATE TABLE t(x INTEGER)", &err), err);
    ml_db_close(own);
    own = NULL;
    snprintf(where, sizeof where, "%s&user=guest_%ld&schema=another_%ld", scratch_server(),
             (long)getpid(), (long)getpid());
    assert_fails(ml_db_open(&own, where, ML_DB_CREATE, &err), ML_ERR_IO, "may not do that", err);
    assert_null(own);
}

static void locks(void **state)
{
    struct ml_db *other, *elsewhere;
    struct ml_error err = {0};
    char owner[128], process[32];
    bool taken = false;
    assert_ok(ml_db_open(&other, url, ML_DB_WRITE, &err), err);
    assert_ok(ml_db_open(&elsewhere, scratch_database(NULL), ML_DB_CREATE, &err), err);
    assert_ok(ml_db_lock(db, 0, &taken, &err), err);
    assert_true(taken);
    assert_ok(ml_db_lock(other, 0, &taken, &err), err);
    assert_false(taken);
    assert_ok(ml_db_lock(other, 0.02, &taken, &err), err);
    assert_false(taken);
    ml_db_lock_owner(other, owner, sizeof owner);
    snprintf(process, sizeof process, "process %ld", (long)getpid());
    assert_non_null(strstr(owner, process));
    assert_ok(ml_db_lock(elsewhere, 0, &taken, &err), err); /* another schema */
    assert_true(taken);
    ml_db_unlock(db);
    assert_ok(ml_db_lock(other, 5, &taken, &err), err);
    assert_true(taken);
    ml_db_close(other); /* lets go, as a killed process does */
    assert_ok(ml_db_lock(db, 5, &taken, &err), err);
    assert_true(taken);
    ml_db_unlock(db);
    ml_db_lock_owner(db, owner, sizeof owner);
    assert_string_equal(owner, "");
    ml_db_close(elsewhere);
}

/* Ends the connection of `db` from another one. */
static void cut(void)
{
    struct ml_db *other;
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    int64_t pid = ask(db, "SELECT pg_backend_pid()"), left = 1;
    assert_ok(ml_db_open(&other, url, ML_DB_WRITE, &err), err);
    assert_ok(
        ml_db_prepare(&stmt, other, "SELECT pg_terminate_backend(CAST($1 AS int), 5000)", &err),
        err);
    ml_stmt_put_int(stmt, pid);
    assert_ok(ml_stmt_run_int(stmt, &left, &err), err);
    assert_int_equal(left, 1);
    ml_db_close(other);
}

static void lost_connections(void **state)
{
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    bool taken = false;
    insert(1);
    cut(); /* with nothing going on: opened again */
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1);
    cut();
    insert(2);
    cut();
    assert_ok(ml_db_lock(db, 0, &taken, &err), err);
    assert_true(taken);
    assert_ok(ml_db_begin(db, &err), err);
    insert(3);
    cut(); /* within a transaction: told, and undone */
    assert_fails(ml_db_exec(db, "INSERT INTO t(id) VALUES(4)", &err), ML_ERR_IO, "connection", err);
    assert_fails(ml_db_commit(db, &err), ML_ERR_IO, "connection", err);
    ml_db_rollback(db);
    ml_db_unlock(db);
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), 2);
    /* A cursor does not survive it. */
    assert_ok(
        ml_db_exec(db, "INSERT INTO t(id, x) SELECT g, g FROM generate_series(10, 2000) g", &err),
        err);
    assert_ok(ml_db_prepare_many(&stmt, db, "SELECT x FROM t", &err), err);
    for (int i = 0; i < 500; i++)
        assert_int_equal(ml_stmt_step(stmt, &err), 1);
    cut();
    int got = ml_stmt_step(stmt, &err);
    assert_true(got < 0);
    err = (struct ml_error){0};
    ml_stmt_end(stmt);
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1993);
}

static void servers_that_are_not_there(void **state)
{
    struct ml_db *none = NULL;
    struct ml_error err = {0};
    assert_fails(
        ml_db_open(&none, "postgresql://u:geheim@/d?host=/nowhere/at/all", ML_DB_READ, &err),
        ML_ERR_IO, "cannot be reached", err);
    char wrong[2 * SCRATCH_PATH];
    snprintf(wrong, sizeof wrong, "%s&options=-cgeheim&password=geheim", scratch_server());
    assert_int_equal(ml_db_open(&none, wrong, ML_DB_READ, &err), ML_ERR_IO);
    assert_null(strstr(err.message, "geheim"));
    assert_non_null(strstr(err.message, "***"));
    assert_null(none);
}

/* Two folders, as on two machines, that share a schema; and a schema of something else. */
static void workspaces(void **state)
{
    struct ml_workspace *a = NULL, *b = NULL;
    struct ml_error err = {0};
    char one[SCRATCH_PATH + 16], two[SCRATCH_PATH + 16], file[SCRATCH_PATH + 64];
    struct ml_record_filter below = {.under = "/\xb4\xba"};
    int64_t n = 0;
    struct ml_workspace_options options = scratch_options();
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(two, sizeof two, "%s/two", folder);
    assert_ok(ml_workspace_open(&a, one, &options, &err), err);
    options.wait_seconds = -1;
    assert_ok(ml_workspace_open(&b, two, &options, &err), err);
    assert_ok(ml_workspace_begin(a, &err), err);
    assert_fails(ml_workspace_begin(b, &err), ML_ERR_STATE, "another program (maliang, process",
                 err);
    assert_ok(ml_workspace_end(a, 0, &err), err);
    /* Names of files that are not UTF-8 come back as they are. */
    struct ml_record record = {
        .kind = "text", .type = "text/plain", .source = "/\xb4\xba/\xc3\xdf"};
    assert_ok(ml_records_add(b, &record, "x", 1, NULL, NULL, &err), err);
    record.source = "/\xb4\xbb/y";
    assert_ok(ml_records_add(b, &record, "x", 1, NULL, NULL, &err), err);
    assert_ok(ml_records_count(a, &below, &n, NULL, &err), err);
    assert_int_equal(n, 1);
    struct ml_record_cursor *cursor;
    assert_ok(ml_records_open(&cursor, a, &below, &err), err);
    assert_int_equal(ml_records_next(cursor, &record, &err), 1);
    assert_string_equal(record.source, "/\xb4\xba/\xc3\xdf");
    ml_records_close(cursor);
    ml_workspace_close(a);
    ml_workspace_close(b);
    /* The folder's file holds an address that may hold a password. */
    struct stat info;
    snprintf(file, sizeof file, "%s/maliang.url", one);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    options.database_url = url;
    assert_fails(ml_workspace_open(&a, one, &options, &err), ML_ERR_STATE, "lie elsewhere", err);
    snprintf(two, sizeof two, "%s/three", folder);
    assert_fails(ml_workspace_open(&a, two, &options, &err), ML_ERR_FORMAT,
                 "not one of a workspace", err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_commit_that_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_user_with_few_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(locks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(servers_that_are_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(workspaces, set_up, tear_down),
    };
    if (!scratch_server()) {
        fprintf(stderr, "needs the server of with_postgres.sh\n");
        return 77;
    }
    return cmocka_run_group_tests_name("postgres", tests, NULL, NULL);
}
