#include "scratch.h"

#include "store/records.h"

static char folder[SCRATCH_PATH];
static struct ml_workspace *ws;
static struct ml_arena arena;

static int set_up(void **state)
{
    struct ml_error err = {0};
    const struct ml_workspace_options options = scratch_options();
    scratch_make(folder);
    ml_arena_init(&arena, 0);
    assert_ok(ml_workspace_open(&ws, folder, &options, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    ml_workspace_close(ws);
    ml_arena_clear(&arena);
    scratch_remove(folder);
    return 0;
}

static int64_t add(const char *kind, const char *source, const char *text,
                   enum ml_record_outcome expected)
{
    struct ml_record record = {.kind = kind, .type = "text/plain", .source = source};
    enum ml_record_outcome outcome;
    struct ml_error err = {0};
    int64_t id = 0;
    assert_ok(ml_records_add(ws, &record, text, strlen(text), &id, &outcome, &err), err);
    assert_int_equal(outcome, expected);
    return id;
}

static int64_t count(const struct ml_record_filter *filter)
{
    struct ml_error err = {0};
    int64_t n = -1, bytes = -1, listed = 0;
    struct ml_record_cursor *cursor;
    struct ml_record record;
    assert_ok(ml_records_count(ws, filter, &n, &bytes, &err), err);
    assert_ok(ml_records_open(&cursor, ws, filter, &err), err);
    while (ml_records_next(cursor, &record, &err) == 1)
        listed++;
    assert_int_equal(err.code, 0);
    ml_records_close(cursor);
    assert_int_equal(n, listed); /* both ways of counting agree */
    return n;
}

static void all_fields(void **state)
{
    struct ml_error err = {0};
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    struct ml_record got, record = {.kind = "text",
                                    .type = "text/plain",
                                    .source = "/诗/春晓.txt",
                                    .title = "春晓",
                                    .meta = "{\"author\":\"孟浩然\"}",
                                    .licence = "CC0-1.0",
                                    .consent = "given",
                                    .lineage = "[{\"op\":\"collect\"}]",
                                    .time = 1234567890};
    int64_t id = 0;
    assert_ok(ml_records_add(ws, &record, "春眠不觉晓", 15, &id, NULL, &err), err);
    assert_ok(ml_records_get(ws, id, &arena, &got, &err), err);
    assert_int_equal(got.id, id);
    assert_string_equal(got.kind, "text");
    assert_string_equal(got.type, "text/plain");
    assert_string_equal(got.source, record.source);
    assert_string_equal(got.title, "春晓");
    assert_string_equal(got.meta, record.meta);
    assert_string_equal(got.licence, "CC0-1.0");
    assert_string_equal(got.consent, "given");
    assert_string_equal(got.lineage, record.lineage);
    assert_string_equal(got.hash, got.blob);
    assert_int_equal(got.bytes, 15);
    assert_int_equal(got.time, 1234567890);
    assert_int_equal(got.replaced, 0);
    assert_ok(ml_records_read(ws, &got, &view, &bytes, &n, &err), err);
    assert_int_equal(n, 15);
    assert_memory_equal(bytes, "春眠不觉晓", 15);
    /* Damage on disk is found. */
    assert_ok(ml_file_write(ml_blobs_path(ws, &arena, got.blob), "春眠不觉香", 15, &err), err);
    ml_blob_view_clear(&view);
    assert_fails(ml_records_read(ws, &got, &view, &bytes, &n, &err), ML_ERR_FORMAT, "damaged", err);
    ml_blob_view_clear(&view);
    assert_fails(ml_records_get(ws, 999, &arena, &got, &err), ML_ERR_NOT_FOUND, "999", err);
}

static void adding_again(void **state)
{
    int64_t a = add("text", "/a", "one", ML_RECORD_ADDED);
    assert_int_equal(add("text", "/a", "one", ML_RECORD_PRESENT), a);
    int64_t b = add("text", "/b", "one", ML_RECORD_ADDED); /* same bytes, another source */
    assert_int_not_equal(a, b);
    assert_int_equal(count(NULL), 2);
    /* The source changed: the old record stays, marked, for the datasets that list it. */
    int64_t c = add("text", "/a", "uno", ML_RECORD_ADDED);
    assert_int_equal(count(NULL), 2);
    assert_int_equal(count(&(struct ml_record_filter){.with_replaced = true}), 3);
    struct ml_record got;
    struct ml_error err = {0};
    assert_ok(ml_records_get(ws, a, &arena, &got, &err), err);
    assert_true(got.replaced > 0);
    assert_ok(ml_records_get(ws, c, &arena, &got, &err), err);
    assert_int_equal(got.replaced, 0);
    /* And it changed back. */
    assert_int_equal(add("text", "/a", "one", ML_RECORD_PRESENT), a);
    assert_ok(ml_records_get(ws, a, &arena, &got, &err), err);
    assert_int_equal(got.replaced, 0);
    assert_int_equal(count(NULL), 2);
}

static void filters(void **state)
{
    add("text", "/a/x", "1", ML_RECORD_ADDED);
    add("text", "/a/y", "2", ML_RECORD_ADDED);
    add("image", "/a/z", "3", ML_RECORD_ADDED);
    add("text", "/a-b", "4", ML_RECORD_ADDED);
    add("text", "/a0", "5", ML_RECORD_ADDED);
    int64_t last = add("text", "/a", "6", ML_RECORD_ADDED);
    assert_int_equal(count(NULL), 6);
    assert_int_equal(count(&(struct ml_record_filter){.kind = "image"}), 1);
    assert_int_equal(count(&(struct ml_record_filter){.kind = "video"}), 0);
    assert_int_equal(count(&(struct ml_record_filter){.under = "/a"}), 4);
    assert_int_equal(count(&(struct ml_record_filter){.under = "/a/"}), 4);
    assert_int_equal(count(&(struct ml_record_filter){.under = "/"}), 6);
    assert_int_equal(count(&(struct ml_record_filter){.under = "/a/x"}), 1);
    assert_int_equal(count(&(struct ml_record_filter){.under = "/a", .kind = "text"}), 3);
    struct ml_record_cursor *cursor;
    struct ml_record record;
    struct ml_error err = {0};
    const struct ml_record_filter some = {.after = last - 3, .limit = 2};
    assert_ok(ml_records_open(&cursor, ws, &some, &err), err);
    assert_int_equal(ml_records_next(cursor, &record, &err), 1);
    assert_string_equal(record.source, "/a-b");
    assert_int_equal(ml_records_next(cursor, &record, &err), 1);
    assert_int_equal(ml_records_next(cursor, &record, &err), 0);
    ml_records_close(cursor);
    ml_records_close(NULL);
}

/* Two lines of one file, as a reader of files with many records adds them. */
static enum ml_record_outcome add_part(struct ml_source_pass *pass, const char *text,
                                       uint64_t start, uint64_t length)
{
    struct ml_error err = {0};
    enum ml_record_outcome outcome;
    struct ml_record record = {
        .kind = "text", .type = "text/plain", .start = start, .length = length, .bytes = length};
    ml_hash_text(text + start, length, record.hash);
    assert_ok(ml_records_add_part(ws, pass, &record, NULL, &outcome, &err), err);
    return outcome;
}

static void parts_of_a_file(void **state)
{
    struct ml_error err = {0};
    struct ml_source_pass pass;
    char blob[ML_HASH_HEX];
    int64_t replaced = -1;
    static const char first[] = "aa\nbb\naa\n", second[] = "bb\ncc\n";
    assert_ok(ml_workspace_begin(ws, &err), err);
    assert_ok(ml_blobs_put(ws, first, 9, blob, &err), err);
    assert_ok(ml_sources_begin(ws, "/f", blob, "lines", &pass, &err), err);
    assert_false(pass.unchanged);
    assert_int_equal(add_part(&pass, first, 0, 2), ML_RECORD_ADDED);
    assert_int_equal(add_part(&pass, first, 3, 2), ML_RECORD_ADDED);
    assert_int_equal(add_part(&pass, first, 6, 2), ML_RECORD_REPEATED);
    assert_ok(ml_sources_finish(ws, &pass, &replaced, &err), err);
    assert_int_equal(replaced, 0);
    assert_ok(ml_workspace_end(ws, 0, &err), err);
    /* The same again, through the same reader and another one. */
    assert_ok(ml_workspace_begin(ws, &err), err);
    assert_ok(ml_sources_begin(ws, "/f", blob, "lines", &pass, &err), err);
    assert_true(pass.unchanged);
    assert_int_equal(pass.records, 2);
    assert_ok(ml_sources_begin(ws, "/f", blob, "lines 2", &pass, &err), err);
    assert_false(pass.unchanged);
    /* One line goes, one comes, one stays and lies elsewhere now. */
    assert_ok(ml_blobs_put(ws, second, 6, blob, &err), err);
    assert_ok(ml_sources_begin(ws, "/f", blob, "lines", &pass, &err), err);
    assert_false(pass.unchanged);
    assert_int_equal(add_part(&pass, second, 0, 2), ML_RECORD_PRESENT);
    assert_int_equal(add_part(&pass, second, 3, 2), ML_RECORD_ADDED);
    assert_ok(ml_sources_finish(ws, &pass, &replaced, &err), err);
    assert_int_equal(replaced, 1);
    assert_ok(ml_workspace_end(ws, 0, &err), err);
    struct ml_record_cursor *cursor;
    struct ml_record record;
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    char all[16] = "";
    assert_ok(ml_records_open(&cursor, ws, NULL, &err), err);
    while (ml_records_next(cursor, &record, &err) == 1) {
        assert_ok(ml_records_read(ws, &record, &view, &bytes, &n, &err), err);
        strncat(all, bytes, n);
    }
    ml_records_close(cursor);
    ml_blob_view_clear(&view);
    assert_string_equal(all, "bbcc");
}

static void wrong_records(void **state)
{
    struct ml_error err = {0};
    struct ml_record record = {.kind = "text", .type = "text/plain"};
    struct ml_source_pass pass;
    char unknown[ML_HASH_HEX];
    assert_fails(ml_records_add(ws, &record, "x", 1, NULL, NULL, &err), ML_ERR_ARG, "source", err);
    record.source = "";
    assert_fails(ml_records_add(ws, &record, "x", 1, NULL, NULL, &err), ML_ERR_ARG, "source", err);
    record.source = "/a";
    record.kind = NULL;
    assert_fails(ml_records_add(ws, &record, "x", 1, NULL, NULL, &err), ML_ERR_ARG, "kind", err);
    ml_hash_text("never put", 9, unknown);
    assert_fails(ml_sources_begin(ws, "/a", unknown, "r", &pass, &err), ML_ERR_NOT_FOUND,
                 "not in the store", err);
    assert_fails(ml_sources_begin(ws, "/a", "short", "r", &pass, &err), ML_ERR_ARG, "SHA-256", err);
    /* A range that does not lie in its blob. */
    int64_t id = add("text", "/b", "abc", ML_RECORD_ADDED);
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    assert_ok(ml_records_get(ws, id, &arena, &record, &err), err);
    record.start = 2;
    record.length = UINT64_MAX;
    assert_fails(ml_records_read(ws, &record, &view, &bytes, &n, &err), ML_ERR_FORMAT, "damaged",
                 err);
    record.start = 9;
    record.length = 0;
    assert_fails(ml_records_read(ws, &record, &view, &bytes, &n, &err), ML_ERR_FORMAT, "damaged",
                 err);
    ml_blob_view_clear(&view);
    assert_int_equal(count(NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(adding_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_of_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_records, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
