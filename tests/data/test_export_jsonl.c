#include "export_fixture.h"

#include "data/export_jsonl.h"
#include "data/zstd_pack.h"
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

static const char expected[] =
    "{\"text\":\"秦川雄帝宅\\n函谷壮皇居\",\"title\":\"帝京篇\",\"kind\":\"text\","
    "\"type\":\"application/json\",\"source\":\"/home/someone/诗/a|b.jsonl\","
    "\"licence\":\"CC0-1.0\",\"consent\":\"allowed\",\"hash\":\"%s\",\"bytes\":70,"
    "\"labels\":[{\"queue\":\"mood\",\"annotator\":\"bo\",\"kind\":\"choice\",\"value\":\"glad\"},"
    "{\"queue\":\"mood\",\"annotator\":\"anna\",\"kind\":\"choice\",\"value\":\"glad\"}],"
    "\"meta\":{\"author\":\"太宗\",\"year\":626,\"language\":\"zh\"}}\n";

static void lines(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    struct ml_record record;
    char line[1024], hash[ML_HASH_HEX];
    size_t n;
    assert_ok(ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err), err);
    char *text = export_read(&arena, fixture.out, &n), *at = text;
    assert_int_equal(result.records, 5);
    assert_int_equal(result.bytes, n);
    assert_int_equal(result.files, 1);
    ml_hash_text(text, n, hash);
    assert_string_equal(hash, result.hash);
    assert_ok(ml_records_get(fixture.ws, fixture.ids[0], &arena, &record, &err), err);
    snprintf(line, sizeof line, expected, record.hash);
    assert_memory_equal(text, line, strlen(line));
    for (int i = 0; i < 5; i++) {
        json_t *value = NULL;
        size_t length = strcspn(at, "\n");
        assert_ok(ml_json_parse(&value, at, length, "line", &err), err);
        assert_ok(ml_records_get(fixture.ws, fixture.ids[i], &arena, &record, &err), err);
        assert_string_equal(json_string_value(json_object_get(value, "hash")), record.hash);
        assert_string_equal(json_string_value(json_object_get(value, "source")), record.source);
        if (i == 1) { /* skips stay out; a model's proposal says whose it is */
            json_t *label = json_array_get(json_object_get(value, "labels"), 0);
            assert_int_equal(json_array_size(json_object_get(value, "labels")), 1);
            assert_string_equal(json_string_value(json_object_get(label, "model")), "m1");
            assert_true(json_real_value(json_object_get(label, "confidence")) == 0.1);
        }
        if (i == 2)
            assert_string_equal(json_string_value(json_object_get(value, "text")), "a fox");
        json_decref(value);
        at += length + 1;
    }
    assert_int_equal(at - text, n);
    assert_non_null(strstr(text, "\"weight\":0.1}"));
    export_leaves_nothing(&fixture, "out");
}

/* What people say about a picture comes before what its file said. */
static void captions(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    size_t n;
    export_label(&fixture, 2, "anna", "text", "\"一只狐狸\"");
    assert_ok(ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err), err);
    assert_non_null(strstr(export_read(&arena, fixture.out, &n),
                           "{\"text\":\"一只狐狸\",\"title\":\"\","
                           "\"kind\":\"image\""));
}

static void compressed(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result plain, packed, again;
    struct ml_export_options options = {.compress = true};
#ifdef MALIANG_HAVE_ZSTD
    static char unpacked[8192];
    size_t n, packed_n;
    assert_ok(ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, NULL, &plain, &err), err);
    char *text = export_read(&arena, fixture.out, &n);
    assert_ok(ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, &options, &packed, &err),
              err);
    assert_ok(ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, &options, &again, &err),
              err);
    assert_string_equal(packed.hash, again.hash);
    char *frame = export_read(&arena, fixture.out, &packed_n);
    assert_int_equal(packed_n, packed.bytes);
    assert_int_equal(ZSTD_decompress(unpacked, sizeof unpacked, frame, packed_n), n);
    assert_memory_equal(unpacked, text, n);
#else
    (void)plain, (void)again;
    assert_fails(
        ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, &options, &packed, &err),
        ML_ERR_UNSUPPORTED, "libzstd-dev", err);
#endif
}

static volatile int stop;
static void count(void *arg, int64_t done, int64_t total)
{
    assert_int_equal(total, 5);
    *(int64_t *)arg = done;
    stop = done == 2;
}

static void stopping(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result = {.records = -1};
    int64_t done = 0;
    const struct ml_export_options options = {.cancel = &stop, .progress = count, .arg = &done};
    stop = 0;
    assert_fails(
        ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, &options, &result, &err),
        ML_ERR_CANCELLED, "nothing was written", err);
    assert_int_equal(done, 2);
    assert_int_equal(result.records, -1);
    export_leaves_nothing(&fixture, "none");
    assert_ok(ml_file_write(fixture.out, "before", 6, &err), err);
    assert_fails(
        ml_export_jsonl(fixture.ws, &fixture.dataset, "/nonexistent/x", NULL, &result, &err),
        ML_ERR_NOT_FOUND, "/nonexistent/x", err);
}

/* Every allocation fails once: one message, no leak, the old file stays. */
static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    struct ml_mem_stats before, after;
    const struct ml_export_options options = {.compress = ml_zstd_present()};
    size_t n;
    assert_ok(ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, &options, &result, &err),
              err);
    assert_ok(ml_file_write(fixture.out, "before", 6, &err), err);
    export_read(&arena, fixture.out, &n);
    ml_mem_get_stats(&before);
    for (uint64_t at = 1;; at++) {
        ml_mem_fail_at(at);
        int status =
            ml_export_jsonl(fixture.ws, &fixture.dataset, fixture.out, &options, &result, &err);
        ml_mem_get_stats(&after);
        ml_mem_fail_at(0);
        assert_int_equal(before.live_blocks, after.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        ml_arena_reset(&arena);
        assert_string_equal(export_read(&arena, fixture.out, &n), "before");
        err = (struct ml_error){0};
    }
    export_leaves_nothing(&fixture, "out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(captions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compressed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("export_jsonl", tests, NULL, NULL);
}
