#include "export_fixture.h"

#include "data/export_parquet.h"
#include "data/parquet.h"
#include "maliang_config.h"
#ifdef MALIANG_HAVE_ZSTD
#include <zstd.h>
#endif

static struct export_fixture fixture;
static struct ml_arena arena;

static int set_up(void **state)
{
    export_open(&fixture);
    ml_arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    export_close(&fixture);
    ml_arena_clear(&arena);
    return 0;
}

/* ---- a reader of what is written, by the formats' own texts ---- */

struct reader {
    const unsigned char *at, *end;
};

static unsigned byte(struct reader *r)
{
    assert_true(r->at < r->end);
    return *r->at++;
}

static uint64_t varint(struct reader *r)
{
    uint64_t value = 0;
    unsigned b, shift = 0;
    do {
        b = byte(r);
        value |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    return value;
}

static void say(struct ml_buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct ml_buffer *out, const char *format, ...)
{
    struct ml_error err = {0};
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    assert_ok(ml_buffer_put(out, text, strlen(text), &err), err);
}

/* A struct of Thrift's compact protocol as text: {1:5 4:"name" 2:[0 3]}. */
static void dump_struct(struct reader *r, struct ml_buffer *out);
static void dump_value(struct reader *r, unsigned type, struct ml_buffer *out)
{
    uint64_t n;
    switch (type) {
    case 5:
    case 6:
        n = varint(r);
        say(out, "%lld", (long long)(int64_t)((n >> 1) ^ (0 - (n & 1))));
        break;
    case 8:
        n = varint(r);
        assert_true(n <= (uint64_t)(r->end - r->at));
        say(out, "\"%.*s\"", (int)n, r->at);
        r->at += n;
        break;
    case 9:
        n = byte(r);
        type = n & 15;
        n = n >> 4 == 15 ? varint(r) : n >> 4;
        say(out, "[");
        for (uint64_t i = 0; i < n; i++) {
            say(out, "%s", i ? " " : "");
            dump_value(r, type, out);
        }
        say(out, "]");
        break;
    case 12:
        dump_struct(r, out);
        break;
    default:
        fail_msg("type %u", type);
    }
}

static void dump_struct(struct reader *r, struct ml_buffer *out)
{
    int field = 0;
    say(out, "{");
    for (unsigned head; (head = byte(r)) != 0;) {
        assert_true(head >> 4 > 0);
        say(out, "%s%d:", field ? " " : "", field + (int)(head >> 4));
        field += (int)(head >> 4);
        dump_value(r, head & 15, out);
    }
    say(out, "}");
}

/* The footer as text; the file has the marks at both ends. */
static struct ml_buffer footer_of(const char *file, size_t n)
{
    struct ml_buffer out = {0};
    const unsigned char *end = (const unsigned char *)file + n - 8;
    assert_memory_equal(file, "PAR1", 4);
    assert_memory_equal(file + n - 4, "PAR1", 4);
    size_t length = end[0] | end[1] << 8 | end[2] << 16 | (size_t)end[3] << 24;
    assert_true(length < n - 12);
    struct reader r = {end - length, end};
    dump_struct(&r, &out);
    assert_ptr_equal(r.at, end);
    return out;
}

/* ---- small tables ---- */

enum { T_NAME, T_COUNT, T_SHARE, T_GOOD };
static const struct ml_parquet_column table[] = {[T_NAME] = {"name", ML_PARQUET_TEXT, true},
                                                 [T_COUNT] = {"count", ML_PARQUET_INT, false},
                                                 [T_SHARE] = {"share", ML_PARQUET_REAL, true},
                                                 [T_GOOD] = {"good", ML_PARQUET_BOOL, false}};

static void bytes_of_a_file(void **state)
{
    struct ml_error err = {0};
    struct ml_parquet *p;
    const struct ml_parquet_note note = {"key", "值"};
    const struct ml_parquet_spec spec = {
        .columns = table, .column_count = 4, .notes = &note, .note_count = 1, .group_rows = 3};
    size_t n;
    assert_ok(ml_parquet_open(&p, fixture.out, &spec, &err), err);
    for (int i = 0; i < 4; i++) {
        if (i != 1)
            assert_ok(ml_parquet_put(p, T_NAME, "abc", (size_t)i % 4, &err), err);
        assert_ok(ml_parquet_put_bool(p, T_GOOD, i != 1, &err), err);
        assert_ok(ml_parquet_put_int(p, T_COUNT, -i, &err), err);
        if (i == 3)
            assert_ok(ml_parquet_put_real(p, T_SHARE, 0.5, &err), err);
        assert_ok(ml_parquet_end_row(p, &err), err);
    }
    assert_ok(ml_parquet_commit(p, NULL, &err), err);
    ml_parquet_close(p);
    char *file = export_read(&arena, fixture.out, &n);
    struct ml_buffer footer = footer_of(file, n);
    /* The first column's page: its header, levels 1 0 1, then "" and "ab". */
    static const unsigned char page[] = {
        0x15, 0, 0x15, 40, 0x15, 40, 0x2c, 0x15, 6, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0,   6,  0,
        0,    0, 2,    1,  2,    0,  2,    1,    0, 0,    0, 0,    2, 0,    0, 0, 'a', 'b'};
    assert_memory_equal(file + 4, page, sizeof page);
    assert_string_equal(
        footer.data,
        "{1:1 2:[{4:\"schema\" 5:4} {1:6 3:1 4:\"name\" 6:0 10:{1:{}}} {1:2 3:0 4:\"count\"}"
        " {1:5 3:1 4:\"share\"} {1:0 3:0 4:\"good\"}] 3:4 4:["
        "{1:[{2:0 3:{1:6 2:[0 3] 3:[\"name\"] 4:0 5:3 6:37 7:37 9:4 12:{3:1}}}"
        " {2:0 3:{1:2 2:[0 3] 3:[\"count\"] 4:0 5:3 6:41 7:41 9:41 12:{3:0}}}"
        " {2:0 3:{1:5 2:[0 3] 3:[\"share\"] 4:0 5:3 6:23 7:23 9:82 12:{3:3}}}"
        " {2:0 3:{1:0 2:[0 3] 3:[\"good\"] 4:0 5:3 6:18 7:18 9:105 12:{3:0}}}]"
        " 2:119 3:3 6:119}"
        " {1:[{2:0 3:{1:6 2:[0 3] 3:[\"name\"] 4:0 5:1 6:30 7:30 9:123 12:{3:0}}}"
        " {2:0 3:{1:2 2:[0 3] 3:[\"count\"] 4:0 5:1 6:25 7:25 9:153 12:{3:0}}}"
        " {2:0 3:{1:5 2:[0 3] 3:[\"share\"] 4:0 5:1 6:31 7:31 9:178 12:{3:0}}}"
        " {2:0 3:{1:0 2:[0 3] 3:[\"good\"] 4:0 5:1 6:18 7:18 9:209 12:{3:0}}}]"
        " 2:104 3:1 6:104}]"
        " 5:[{1:\"key\" 2:\"值\"}] 6:\"maliang version " MALIANG_VERSION "\"}");
    /* Booleans of the first group: 1 0 1. */
    assert_int_equal(file[105 + 17], 5);
    ml_buffer_clear(&footer);
}

static void mistakes(void **state)
{
    struct ml_error err = {0};
    struct ml_parquet *p = NULL;
    struct ml_parquet_spec spec = {.columns = table, .column_count = 4};
    assert_ok(ml_parquet_open(&p, fixture.out, &spec, &err), err);
    assert_fails(ml_parquet_end_row(p, &err), ML_ERR_ARG, "count", err);
    assert_ok(ml_parquet_put_int(p, T_COUNT, 1, &err), err);
    assert_fails(ml_parquet_put_int(p, T_COUNT, 1, &err), ML_ERR_ARG, "two values", err);
    assert_fails(ml_parquet_put_int(p, T_NAME, 1, &err), ML_ERR_ARG, "another type", err);
    assert_fails(ml_parquet_put_int(p, 9, 1, &err), ML_ERR_ARG, "does not exist", err);
    assert_fails(ml_parquet_put(p, T_NAME, "", ML_PARQUET_MAX_VALUE + 1, &err), ML_ERR_LIMIT,
                 "too large", err);
    ml_parquet_close(p);
    ml_parquet_close(NULL);
    export_leaves_nothing(&fixture, "none");
    spec.column_count = 0;
    assert_fails(ml_parquet_open(&p, fixture.out, &spec, &err), ML_ERR_ARG, "column", err);
}

/* Pages, groups and long lists: 50,000 rows whose values follow from their numbers. */
static void many_rows(void **state)
{
    struct ml_error err = {0};
    struct ml_parquet *p;
    struct ml_export_sum sum;
    const struct ml_parquet_spec spec = {
        .columns = table, .column_count = 4, .group_rows = 1500, .compress = ml_zstd_present()};
    char hash[ML_HASH_HEX];
    size_t n;
    assert_ok(ml_parquet_open(&p, fixture.out, &spec, &err), err);
    for (int i = 0; i < 50000; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "row %d", i);
        if (i % 3)
            assert_ok(ml_parquet_put(p, T_NAME, name, (size_t)length, &err), err);
        assert_ok(ml_parquet_put_int(p, T_COUNT, i, &err), err);
        assert_ok(ml_parquet_put_bool(p, T_GOOD, i % 5 == 0, &err), err);
        assert_ok(ml_parquet_end_row(p, &err), err);
    }
    assert_ok(ml_parquet_commit(p, &sum, &err), err);
    ml_parquet_close(p);
    char *file = export_read(&arena, fixture.out, &n);
    ml_hash_text(file, n, hash);
    assert_string_equal(hash, sum.hash);
    assert_int_equal(sum.bytes, n);
    struct ml_buffer footer = footer_of(file, n);
    int groups = 0;
    for (const char *at = footer.data; (at = strstr(at, " 3:1500 6:")); at++)
        groups++;
    assert_int_equal(groups, 33);
    assert_non_null(strstr(footer.data, "] 3:50000 4:["));
    assert_non_null(strstr(footer.data, " 3:500 6:"));
    ml_buffer_clear(&footer);
}

/* ---- datasets ---- */

static void of_a_dataset(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result plain, packed;
    struct ml_export_options options = {.group_rows = 2};
    size_t n;
    assert_ok(ml_export_parquet(fixture.ws, &fixture.dataset, fixture.out, &options, &plain, &err),
              err);
    assert_int_equal(plain.records, 5);
    char *file = export_read(&arena, fixture.out, &n);
    struct ml_buffer footer = footer_of(file, n);
    assert_non_null(strstr(footer.data, "] 3:5 4:["));
    assert_non_null(strstr(footer.data, "{1:\"maliang.dataset\" 2:\"诗与画@1\"}"));
    assert_non_null(strstr(footer.data, fixture.dataset.hash));
    assert_non_null(memmem(file, n, export_picture, EXPORT_PICTURE_BYTES));
    ml_buffer_clear(&footer);
    options.compress = true;
#ifdef MALIANG_HAVE_ZSTD
    assert_ok(ml_export_parquet(fixture.ws, &fixture.dataset, fixture.out, &options, &packed, &err),
              err);
    file = export_read(&arena, fixture.out, &n);
    footer = footer_of(file, n);
    assert_non_null(strstr(footer.data, "3:[\"text\"] 4:6 "));
    ml_buffer_clear(&footer);
    struct reader r = {(unsigned char *)file + 4, (unsigned char *)file + n};
    struct ml_buffer header = {0};
    char page[256];
    dump_struct(&r, &header);
    assert_non_null(strstr(header.data, "{1:0 2:"));
    size_t stored = strtoul(strstr(header.data, " 3:") + 3, NULL, 10);
    size_t size = ZSTD_decompress(page, sizeof page, r.at, stored);
    assert_int_equal(size, strtoul(strstr(header.data, " 2:") + 3, NULL, 10));
    assert_non_null(memmem(page, size, "秦川雄帝宅\n函谷壮皇居", 31));
    ml_buffer_clear(&header);
#else
    assert_fails(
        ml_export_parquet(fixture.ws, &fixture.dataset, fixture.out, &options, &packed, &err),
        ML_ERR_UNSUPPORTED, "libzstd-dev", err);
#endif
    export_leaves_nothing(&fixture, "out");
}

static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    struct ml_mem_stats before, after;
    const struct ml_export_options options = {.group_rows = 2, .compress = ml_zstd_present()};
    assert_ok(ml_export_parquet(fixture.ws, &fixture.dataset, fixture.out, &options, &result, &err),
              err);
    assert_int_equal(unlink(fixture.out), 0);
    ml_mem_get_stats(&before);
    for (uint64_t at = 1;; at++) {
        ml_mem_fail_at(at);
        int status =
            ml_export_parquet(fixture.ws, &fixture.dataset, fixture.out, &options, &result, &err);
        ml_mem_fail_at(0);
        ml_mem_get_stats(&after);
        assert_int_equal(before.live_blocks, after.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_false(ml_path_exists(fixture.out));
        err = (struct ml_error){0};
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_of_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_a_dataset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("parquet", tests, NULL, NULL);
}
