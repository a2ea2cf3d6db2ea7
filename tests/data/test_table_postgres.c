/* Tables and queries of a PostgreSQL server as material (tests/store/with_postgres.sh starts it).
 */
#include "data_material.h"
#include "reader_sink.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "data/table_postgres.h"

static struct sunk s;
static const char *server;

static void run(const char *sql)
{
    PGconn *conn = PQconnectdb(server);
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
}

static int set_up(void **state)
{
    run("SET client_min_messages TO error; DROP SCHEMA IF EXISTS public CASCADE;"
        "DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA public; CREATE SCHEMA other");
    return 0;
}

static int tear_down(void **state)
{
    sunk_clear(&s);
    return 0;
}

static void spell(char uri[600], const char *more)
{
    snprintf(uri, 600, "%s%s", server, more);
}

static int read_with(const char *more, double seconds, struct ml_error *err)
{
    char uri[600];
    spell(uri, more);
    const struct ml_reader_input input = {.uri = uri};
    const struct ml_reader_sink sink = {
        .document = sunk_document, .left_out = sunk_left_out, .arg = &s};
    struct ml_reader_limits limits =
        ml_reader_limits_or_default(&(struct ml_reader_limits){.max_seconds = seconds});
    sunk_clear(&s);
    return ml_reader_postgres.read(&input, &limits, &sink, err);
}

static void tables(void **state)
{
    struct ml_error err = {0};
    assert_fails(read_with("", 0, &err), ML_ERR_FORMAT, "no table in it", err);
    run("CREATE TABLE poems(id bigint, title text, \"正文\" varchar, weight float8, n numeric,"
        " picture bytea, ok bool, more jsonb);"
        "INSERT INTO poems VALUES(1, '春晓', '春眠不觉晓', 0.5, 12, '\\x00ff', true, '[1]'),"
        "(2, NULL, 'b', 'NaN', NULL, NULL, NULL, NULL), (3, 'T', NULL, 1, 1.5, NULL, false, NULL)");
    assert_ok(read_with("", 0, &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "[春晓] 春眠不觉晓 {\"id\":1,\"weight\":0.5,\"n\":12,\"ok\":true,"
                        "\"more\":[1]}\n[] b {\"id\":2}\n");
    assert_string_equal(sunk_text(&s.left_out), "row 3: its text is empty\n");
    run("CREATE TABLE other.t(body text); INSERT INTO other.t VALUES('there');"
        "CREATE TABLE \"odd \"\"name.x\"(body text); INSERT INTO \"odd \"\"name.x\" VALUES('y');"
        "CREATE TABLE none(body text)");
    assert_fails(read_with("", 0, &err), ML_ERR_FORMAT, "?table=NAME: none, odd \"name.x, poems",
                 err);
    assert_ok(read_with("&table=odd \"name.x", 0, &err), err);
    assert_string_equal(sunk_text(&s.documents), "[] y \n");
    assert_ok(read_with("&table=other.t", 0, &err), err);
    assert_string_equal(sunk_text(&s.documents), "[] there \n");
    assert_ok(read_with("&table=none", 0, &err), err);
    assert_int_equal(s.document_count, 0);
    assert_fails(read_with("&table=gone", 0, &err), ML_ERR_FORMAT, "no such table", err);
}

static void queries(void **state)
{
    struct ml_error err = {0};
    run("CREATE TABLE t(a text, n int); INSERT INTO t SELECT 'text ' || i, i FROM"
        " generate_series(1, 3000) i;"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'");
    assert_ok(read_with("&query=SELECT a AS text, n FROM t WHERE n <= 2500 ORDER BY n", 0, &err),
              err);
    assert_int_equal(s.document_count, 2500);
    static const char *const refused[] = {
        "DELETE FROM t",
        "WITH d AS (DELETE FROM t RETURNING a) SELECT * FROM d",
        "SELECT f()",
        "SELECT 1; DELETE FROM t",
        "SELECT 1 INTO x",
        "SELECT nextval('q')",
        "COMMIT",
        "nonsense",
        "",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char query[200];
        snprintf(query, sizeof query, "&query=%s", refused[i]);
        assert_fails(read_with(query, 0, &err), ML_ERR_FORMAT, "", err);
        assert_int_equal(s.document_count, 0);
    }
    assert_fails(read_with("&query=SELECT 1; SELECT 2", 0, &err), ML_ERR_FORMAT, "one SELECT", err);
    assert_fails(read_with("&query=SELECT f()", 0, &err), ML_ERR_FORMAT, "only reading", err);
    assert_fails(read_with("&query=SELECT pg_sleep(9)", 0.2, &err), ML_ERR_LIMIT, "took too long",
                 err);
    assert_ok(read_with("&query=SELECT count(*)::text AS text FROM t", 0, &err), err);
    assert_string_equal(sunk_text(&s.documents), "[] 3000 \n");
    /* The server goes away in the middle. */
    assert_fails(read_with("&query=SELECT CASE WHEN n = 2000 THEN pg_terminate_backend("
                           "pg_backend_pid())::text ELSE a END AS text FROM t",
                           0, &err),
                 ML_ERR_FORMAT, "terminat", err);
}

static void addresses(void **state)
{
    struct ml_error err = {0};
    static const char *const secret[] = {"postgresql://u:hidden@h/d?table=t",
                                         "postgres://h/d?password=hidden&table=t"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(ml_table_postgres_is(secret[i]));
        assert_fails(ml_table_postgres_check(secret[i], &err), ML_ERR_ARG, "PGPASSWORD", err);
        assert_null(strstr(err.message, "hidden"));
    }
    assert_fails(ml_table_postgres_check("postgresql://h/d?no-such=1&table=t", &err), ML_ERR_ARG,
                 "cannot be understood", err);
    assert_ok(ml_table_postgres_check("postgresql://h/d?query=SELECT 'u:p@x' AS password", &err),
              err);
    assert_false(ml_table_postgres_is("/a/postgresql"));
    const struct ml_reader_input input = {.uri = "postgresql://u@/d?host=/nowhere&table=t"};
    const struct ml_reader_sink sink = {
        .document = sunk_document, .left_out = sunk_left_out, .arg = &s};
    struct ml_reader_limits limits = ml_reader_limits_or_default(&(struct ml_reader_limits){0});
    assert_fails(ml_reader_postgres.read(&input, &limits, &sink, &err), ML_ERR_FORMAT, "/nowhere",
                 err);
}

/* By `collect`: only what changed is added, and one source that fails stops no other. */
static void collected(void **state)
{
    struct ml_error err = {0};
    struct material m;
    struct ml_collect_report report;
    char uri[600], gone[600];
    const char *const paths[] = {gone, uri};
    material_make(&m);
    struct ml_workspace *ws = material_workspace(&m);
    run("CREATE TABLE t(a text, n int); INSERT INTO t VALUES('one', 1), ('two', 2)");
    spell(uri, "&table=t");
    spell(gone, "&table=gone");
    assert_ok(ml_collect(ws, paths, 2, NULL, &report, &err), err);
    assert_int_equal(report.added, 2);
    assert_int_equal(report.skipped[ML_SKIP_DAMAGED].count, 1);
    run("INSERT INTO t VALUES('three', 3)");
    assert_ok(ml_collect(ws, paths, 2, NULL, &report, &err), err);
    assert_int_equal(report.added, 1);
    assert_int_equal(report.present, 2);
    ml_workspace_close(ws);
    scratch_remove(m.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(collected, set_up, tear_down),
    };
    server = getenv("MALIANG_TEST_DATABASE");
    if (!server)
        return 77;
    return cmocka_run_group_tests_name("table_postgres", tests, NULL, NULL);
}
