#include "reader_sink.h"

#include <sqlite3.h>

#include "data/table_sqlite.h"

static char folder[SCRATCH_PATH], file[SCRATCH_PATH + 32];
static struct sunk s;

static int set_up(void **state)
{
    scratch_make(folder);
    snprintf(file, sizeof file, "%s/数据 100%%?.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    sunk_clear(&s);
    scratch_remove(folder);
    return 0;
}

static void make(const char *sql)
{
    sqlite3 *db;
    char *why = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

static int read_with(const char *more, double seconds, struct ml_error *err)
{
    char uri[SCRATCH_PATH + 600];
    snprintf(uri, sizeof uri, "sqlite:%s%s", file, more);
    const struct ml_reader_input input = {.uri = uri};
    const struct ml_reader_sink sink = {
        .document = sunk_document, .left_out = sunk_left_out, .arg = &s};
    struct ml_reader_limits limits =
        ml_reader_limits_or_default(&(struct ml_reader_limits){.max_seconds = seconds});
    sunk_clear(&s);
    return ml_reader_sqlite.read(&input, &limits, &sink, err);
}

static void tables(void **state)
{
    struct ml_error err = {0};
    make("CREATE TABLE poems(id INTEGER, title TEXT, content TEXT, weight REAL, picture BLOB);"
         "INSERT INTO poems VALUES(1, '春晓', '春眠不觉晓', 0.5, x'00ff'), (2, NULL, 'b', NULL, 1),"
         "(3, 'T', NULL, 1, NULL), (4, 'U', cast(x'ff41' AS TEXT), 1, NULL);");
    assert_ok(read_with("", 0, &err), err);
    assert_string_equal(
        sunk_text(&s.documents),
        "[春晓] 春眠不觉晓 {\"id\":1,\"weight\":0.5}\n[] b {\"id\":2,\"picture\":1}\n");
    assert_string_equal(sunk_text(&s.left_out),
                        "row 3: its text is empty\nrow 4: its text is not UTF-8\n");
    make("CREATE TABLE \"other \"\"x\"(body TEXT); INSERT INTO \"other \"\"x\" VALUES('y');");
    assert_fails(read_with("", 0, &err), ML_ERR_FORMAT, "?table=NAME: other \"x, poems", err);
    assert_ok(read_with("?table=other \"x", 0, &err), err);
    assert_string_equal(sunk_text(&s.documents), "[] y \n");
    assert_fails(read_with("?table=gone", 0, &err), ML_ERR_FORMAT, "no such table", err);
}

static void queries(void **state)
{
    struct ml_error err = {0};
    make("CREATE TABLE t(a TEXT, n INTEGER); INSERT INTO t VALUES('x?table=', 1), ('y', 2);");
    assert_ok(read_with("?query=SELECT a AS text, n FROM t WHERE a LIKE '%?table=%' ; ", 0, &err),
              err);
    assert_string_equal(sunk_text(&s.documents), "[] x?table= {\"n\":1}\n");
    static const char *const refused[] = {
        "DELETE FROM t",
        "PRAGMA journal_mode",
        "ATTACH '/etc/passwd' AS x",
        "SELECT load_extension('x')",
        "CREATE TEMP TABLE z AS SELECT 1",
        "VACUUM",
        "BEGIN",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char query[200];
        snprintf(query, sizeof query, "?query=%s", refused[i]);
        assert_fails(read_with(query, 0, &err), ML_ERR_FORMAT, "", err);
        assert_int_equal(s.document_count, 0);
    }
    assert_fails(read_with("?query=SELECT 1; SELECT 2", 0, &err), ML_ERR_FORMAT, "one SELECT", err);
    assert_fails(read_with("?query=", 0, &err), ML_ERR_FORMAT, "one SELECT", err);
    assert_fails(read_with("?query=nonsense", 0, &err), ML_ERR_FORMAT, "syntax error", err);
    assert_fails(read_with("?query=WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c)"
                           " SELECT max(x) FROM c",
                           0.05, &err),
                 ML_ERR_LIMIT, "took too long", err);
}

static void bad_files(void **state)
{
    struct ml_error err = {0};
    assert_fails(read_with("", 0, &err), ML_ERR_FORMAT, "unable to open", err);
    assert_ok(ml_file_write(file, "not a database at all, but long enough to look at", 49, &err),
              err);
    assert_fails(read_with("", 0, &err), ML_ERR_FORMAT, "not a database", err);
    assert_ok(ml_file_write(file, "", 0, &err), err);
    assert_fails(read_with("", 0, &err), ML_ERR_FORMAT, "no table", err);
    const char *path, *table, *query;
    size_t n;
    assert_false(ml_table_sqlite_parse("/a/b.db", &path, &n, &table, &query));
    assert_false(ml_table_sqlite_parse("sqlite:", &path, &n, &table, &query));
    assert_true(ml_table_sqlite_parse("sqlite:a?b?query=x?table=y", &path, &n, &table, &query));
    assert_int_equal(n, 3);
    assert_null(table);
    assert_string_equal(query, "x?table=y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_files, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("table_sqlite", tests, NULL, NULL);
}
