#include "scratch.h"

#include "store/migrations.h"

static char folder[SCRATCH_PATH], file[SCRATCH_PATH + 16];
static const char *path;

static int set_up(void **state)
{
    scratch_make(folder);
    snprintf(file, sizeof file, "%s/x.db", folder);
    path = scratch_database(file);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(folder);
    return 0;
}

static const struct ml_migration two[] = {
    {1, "CREATE TABLE a(x INTEGER); INSERT INTO a VALUES(7);"},
    {2, "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 3;"},
};

static int64_t ask(struct ml_db *db, const char *sql)
{
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    int64_t value = -1;
    assert_ok(ml_db_prepare(&stmt, db, sql, &err), err);
    assert_ok(ml_stmt_run_int(stmt, &value, &err), err);
    return value;
}

static void step_by_step(void **state)
{
    struct ml_db *db;
    struct ml_error err = {0};
    int version = -1;
    assert_ok(ml_db_open(&db, path, ML_DB_CREATE, &err), err);
    assert_ok(ml_schema_version(db, "x", &version, &err), err);
    assert_int_equal(version, 0);
    assert_ok(ml_schema_migrate(db, two, 1, "x", &err), err);
    assert_ok(ml_schema_migrate(db, two, 1, "x", &err), err); /* nothing to do */
    ml_db_close(db);
    assert_ok(ml_db_open(&db, path, ML_DB_WRITE, &err), err);
    assert_ok(ml_schema_migrate(db, two, 2, "x", &err), err);
    assert_ok(ml_schema_version(db, "x", &version, &err), err);
    assert_int_equal(version, 2);
    assert_int_equal(ask(db, "SELECT x + y FROM a"), 10);
    ml_db_close(db);
}

static void a_failing_change_is_undone(void **state)
{
    static const struct ml_migration bad[] = {
        {1, "CREATE TABLE a(x INTEGER);"},
        {2, "CREATE TABLE b(x INTEGER); CREATE TABLE a(x INTEGER);"},
    };
    struct ml_db *db;
    struct ml_error err = {0};
    int version = -1;
    assert_ok(ml_db_open(&db, path, ML_DB_CREATE, &err), err);
    assert_fails(ml_schema_migrate(db, bad, 2, "x", &err), ML_ERR_STATE, "already exists", err);
    assert_false(ml_db_in_transaction(db));
    assert_ok(ml_schema_version(db, "x", &version, &err), err);
    assert_int_equal(version, 1);
    int64_t tables = -1;
    assert_ok(ml_db_tables(db, "b", &tables, &err), err);
    assert_int_equal(tables, 0);
    ml_db_close(db);
}

static void newer_and_foreign(void **state)
{
    struct ml_db *db;
    struct ml_error err = {0};
    int version = -1;
    assert_ok(ml_db_open(&db, path, ML_DB_CREATE, &err), err);
    assert_ok(ml_schema_migrate(db, two, 2, "x", &err), err);
    assert_fails(ml_schema_migrate(db, two, 1, "ws", &err), ML_ERR_UNSUPPORTED, "newer version",
                 err);
    assert_ok(ml_db_exec(db, "UPDATE meta SET value = 'what'", &err), err);
    assert_fails(ml_schema_version(db, "ws", &version, &err), ML_ERR_FORMAT, "ws: its version",
                 err);
    assert_ok(ml_db_exec(db, "DROP TABLE meta", &err), err);
    assert_fails(ml_schema_version(db, "ws", &version, &err), ML_ERR_FORMAT,
                 "not one of a workspace", err);
    assert_int_equal(version, -1);
    ml_db_close(db);
}

/* What the statements keep: the error of a bad parameter, of a constraint, of bad SQL. */
static void statements_lose_no_error(void **state)
{
    struct ml_db *db;
    struct ml_stmt *stmt;
    struct ml_error err = {0};
    int64_t value = 5;
    assert_ok(ml_db_open(&db, path, ML_DB_CREATE, &err), err);
    assert_ok(ml_db_define(db, "CREATE TABLE t(x INTEGER UNIQUE NOT NULL)", &err), err);
    if (ml_db_prepare(&stmt, db, "SELECT missing FROM t", &err) == 0) {
        assert_fails(ml_stmt_step(stmt, &err), ML_ERR_STATE, "missing", err);
        ml_stmt_end(stmt);
    }
    assert_non_null(strstr(err.code ? err.message : "missing", "missing"));
    err = (struct ml_error){0};
    assert_ok(ml_db_prepare(&stmt, db, "INSERT INTO t VALUES($1)", &err), err);
    ml_stmt_put_int(stmt, 1);
    ml_stmt_put_int(stmt, 2); /* one too many */
    assert_fails(ml_stmt_run(stmt, &err), ML_ERR_STATE, ml_db_name(db), err);
    for (int i = 0; i < 2; i++) {
        assert_ok(ml_db_prepare(&stmt, db, "INSERT INTO t VALUES($1)", &err), err);
        ml_stmt_put_int(stmt, 1);
        if (i == 0)
            assert_ok(ml_stmt_run(stmt, &err), err);
        else
            assert_fails(ml_stmt_run(stmt, &err), ML_ERR_STATE, "such a row already", err);
    }
    assert_ok(ml_db_prepare(&stmt, db, "SELECT x FROM t WHERE x = 9", &err), err);
    assert_int_equal(ml_stmt_run_int(stmt, &value, &err), ML_ERR_NOT_FOUND);
    assert_int_equal(err.code, 0);
    assert_int_equal(value, 5);
    ml_db_close(db);
    ml_db_close(NULL);
    ml_stmt_end(NULL);
}

/* Two runs of one statement at a time are two compiled statements; afterwards they are reused. */
static void one_statement_twice(void **state)
{
    static const char sql[] = "SELECT x FROM t WHERE x > $1 ORDER BY x";
    struct ml_db *db;
    struct ml_stmt *a, *b, *c;
    struct ml_error err = {0};
    assert_ok(ml_db_open(&db, path, ML_DB_CREATE, &err), err);
    assert_ok(
        ml_db_define(db, "CREATE TABLE t(x INTEGER); INSERT INTO t VALUES(1), (2), (3)", &err),
        err);
    assert_ok(ml_db_prepare(&a, db, sql, &err), err);
    ml_stmt_put_int(a, 0);
    assert_int_equal(ml_stmt_step(a, &err), 1);
    assert_ok(ml_db_prepare(&b, db, sql, &err), err);
    assert_ptr_not_equal(a, b);
    ml_stmt_put_int(b, 2);
    assert_int_equal(ml_stmt_step(b, &err), 1);
    assert_int_equal(ml_stmt_int(b, 0), 3);
    assert_int_equal(ml_stmt_int(a, 0), 1);
    ml_stmt_end(a);
    assert_ok(ml_db_prepare(&c, db, sql, &err), err);
    assert_ptr_equal(a, c);
    ml_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(step_by_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failing_change_is_undone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(newer_and_foreign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(statements_lose_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_statement_twice, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("migrations", tests, NULL, NULL);
}
