/* What PostgreSQL needs of us and no server: values, addresses, the words of tables. */
#include "scratch.h"

#include <math.h>

#include "store/pg_address.h"
#include "store/pg_values.h"
#include "store/sql_dialect.h"

static void numbers(void **state)
{
    char bytes[8];
    static const int64_t ints[] = {0, 1, -1, INT64_MAX, INT64_MIN, 0x0102030405060708};
    static const double reals[] = {0, -0.0, 1.5, -1e300, 0x1p-1074};
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        ml_pg_put_int(bytes, ints[i]);
        assert_true(ml_pg_int(ML_PG_INT8, bytes, 8) == ints[i]);
    }
    assert_memory_equal(bytes, "\1\2\3\4\5\6\7\10", 8);
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        ml_pg_put_real(bytes, reals[i]);
        double got = ml_pg_real(ML_PG_FLOAT8, bytes, 8);
        assert_memory_equal(&got, &reals[i], sizeof got);
    }
    assert_int_equal(ml_pg_int(ML_PG_INT2, "\xff\xfe", 2), -2);
    assert_int_equal(ml_pg_int(ML_PG_INT4, "\xff\xff\xff\xfd", 4), -3);
    assert_int_equal(ml_pg_int(ML_PG_BOOL, "\1", 1), 1);
    assert_int_equal(ml_pg_int(ML_PG_TEXT, "17", 2), 17);
    assert_float_equal(ml_pg_real(ML_PG_FLOAT4, "\x3f\xc0\0\0", 4), 1.5, 0);
    assert_float_equal(ml_pg_real(ML_PG_INT4, "\0\0\0\7", 4), 7, 0);
    /* Widths that no server sends. */
    assert_int_equal(ml_pg_int(ML_PG_INT8, "\1", 1), 0);
    assert_int_equal(ml_pg_int(ML_PG_NUMERIC, "\0\1", 2), 0);
}

static void numerics(void **state)
{
    /* 1 2345 6789 . 5 = digits 1, 2345, 6789, 5000 from weight 2 */
    static const char value[] = "\0\4\0\2\0\0\0\1\0\1\x09\x29\x1a\x85\x13\x88";
    assert_int_equal(ml_pg_int(ML_PG_NUMERIC, value, 16), 123456789);
    assert_float_equal(ml_pg_real(ML_PG_NUMERIC, value, 16), 123456789.5, 1e-6);
    char negative[16];
    memcpy(negative, value, 16);
    negative[4] = 0x40;
    assert_int_equal(ml_pg_int(ML_PG_NUMERIC, negative, 16), -123456789);
    /* 10000^2 has one digit and weight 2; 10000^9 does not fit. */
    assert_int_equal(ml_pg_int(ML_PG_NUMERIC, "\0\1\0\2\0\0\0\0\0\1", 10), 100000000);
    assert_true(ml_pg_int(ML_PG_NUMERIC, "\0\1\0\11\0\0\0\0\0\1", 10) == INT64_MAX);
    assert_true(isnan(ml_pg_real(ML_PG_NUMERIC, "\0\0\0\0\xc0\0\0\0", 8)));
    /* Fewer digits than announced. */
    assert_int_equal(ml_pg_int(ML_PG_NUMERIC, "\0\377\0\0\0\0\0\0\0\7", 10), 7);
}

static void any_bytes_as_text(void **state)
{
    static const char *const texts[] = {
        "",
        "plain",
        "春眠",
        "\xb4\xba/\xc3\xdf", /* GB18030 */
        "\xff\xfe\x80",
        "\xf4\x8f\xbe\x80",                 /* U+10FF80, which stands for 80 */
        "\xf4\x8f\xbf\xbf\xf4\x8f\xbd\x80", /* U+10FFFF, U+10FF40 */
        "\xf4\x8f",
        "a\xf4\x8f\xbe",
        "\xe6\x98\xa5\xe6\x98",
    };
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t n = strlen(texts[i]);
        char *kept = ml_pg_text_escape(&arena, texts[i], n);
        assert_int_equal(ml_pg_text_is_plain(texts[i], n), i < 3);
        assert_int_equal(ml_pg_text_is_escaped(kept, strlen(kept)), i >= 3);
        assert_string_equal(ml_pg_text_unescape(&arena, kept, strlen(kept)), texts[i]);
    }
    ml_arena_clear(&arena);
}

static void addresses(void **state)
{
    static const struct {
        const char *address, *url, *schema, *name;
    } good[] = {
        {"postgresql:///", "postgresql:///", "maliang", "postgresql:///?schema=maliang"},
        {"postgresql://a:geheim@h:5/d?schema=x&sslmode=require",
         "postgresql://a:geheim@h:5/d?sslmode=require", "x", "postgresql://a@h:5/d?schema=x"},
        {"postgres://h/d?sslmode=require&schema=%E8%AF%97%20y", "postgres://h/d?sslmode=require",
         "诗 y", "postgresql://h/d?schema=诗 y"},
        {"postgresql:///d?host=/tmp&schema=a&password=geheim",
         "postgresql:///d?host=/tmp&password=geheim", "a", "postgresql:///d?schema=a"},
    };
    static const char *const bad[] = {
        "postgresql://u:geheim@h/d?schema=",           "postgresql://u:geheim@h/d?schema=%00",
        "postgresql://u:geheim@h/d?schema=%zz",        "postgresql://u:geheim@h/d?schema=%ff",
        "postgresql://u:geheim@h/d?schema=pg_catalog", "postgresql://u:geheim@[h/d",
        "postgresql://u:geheim@h:port/d?colour=geheim"};
    struct ml_arena arena;
    struct ml_error err = {0};
    struct ml_pg_address a;
    ml_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(ml_pg_address_parse(&a, &arena, good[i].address, &err), err);
        assert_string_equal(a.url, good[i].url);
        assert_string_equal(a.schema, good[i].schema);
        assert_string_equal(a.name, good[i].name);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int status = ml_pg_address_parse(&a, &arena, bad[i], &err);
        if (status != ML_ERR_ARG)
            fail_msg("%s is taken as an address", bad[i]);
        assert_null(strstr(err.message, "geheim"));
        err = (struct ml_error){0};
    }
    ml_arena_clear(&arena);
}

static void tables(void **state)
{
    struct ml_buffer out = {0};
    struct ml_error err = {0};
    assert_ok(ml_sql_to_postgres(&out,
                                 "CREATE TABLE blob(id INTEGER PRIMARY KEY AUTOINCREMENT,"
                                 "x BLOB, y REAL, z TEXT DEFAULT 'a TEXT''s', \"REAL\" TEXT_,"
                                 " PRIMARY KEY(x)) WITHOUT ROWID;",
                                 &err),
              err);
    assert_string_equal(out.data, "CREATE TABLE blob(id BIGINT PRIMARY KEY GENERATED BY DEFAULT AS"
                                  " IDENTITY,x BYTEA, y DOUBLE PRECISION,"
                                  " z TEXT COLLATE \"C\" DEFAULT 'a TEXT''s', \"REAL\" TEXT_,"
                                  " PRIMARY KEY(x))  ;");
    ml_buffer_clear(&out);
    assert_ok(ml_sql_to_postgres(&out, "'open", &err), err);
    assert_string_equal(out.data, "'open");
    ml_buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(numerics),
        cmocka_unit_test(any_bytes_as_text),
        cmocka_unit_test(addresses),
        cmocka_unit_test(tables),
    };
    return cmocka_run_group_tests_name("pg_values", tests, NULL, NULL);
}
