#include "export_fixture.h"

#include "data/croissant.h"

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

static char *file_of(const char *name, size_t *n)
{
    char path[SCRATCH_PATH + 64];
    snprintf(path, sizeof path, "%s/%s", fixture.out, name);
    return export_read(&arena, path, n);
}

static json_t *described(void)
{
    struct ml_error err = {0};
    json_t *root = NULL;
    size_t n;
    char *text = file_of("croissant.json", &n);
    assert_ok(ml_json_parse(&root, text, n, "croissant.json", &err), err);
    return root;
}

static const char *text_at(const json_t *value, const char *name)
{
    const char *text = json_string_value(json_object_get(value, name));
    if (!text)
        fail_msg("there is no text \"%s\"", name);
    return text;
}

/* A FileObject's hash and size are those of the file. */
static void check_file(const json_t *object)
{
    char hash[ML_HASH_HEX], size[32];
    size_t n;
    const char *bytes = file_of(text_at(object, "contentUrl"), &n);
    ml_hash_text(bytes, n, hash);
    snprintf(size, sizeof size, "%zu B", n);
    assert_string_equal(text_at(object, "sha256"), hash);
    assert_string_equal(text_at(object, "contentSize"), size);
}

static void folder(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    size_t n;
    assert_ok(ml_export_croissant(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err),
              err);
    assert_int_equal(result.records, 5);
    assert_int_equal(result.files, 5);
    json_t *root = described(), *files = json_object_get(root, "distribution");
    assert_string_equal(text_at(root, "name"), "诗与画");
    assert_string_equal(text_at(json_object_get(root, "creator"), "name"), "not stated");
    assert_string_equal(text_at(root, "version"), "1.0.0");
    assert_non_null(strstr(text_at(root, "url"), fixture.dataset.hash));
    assert_non_null(strstr(text_at(json_object_get(root, "description"), "zh"), "5 条记录"));
    assert_int_equal(json_array_size(files), 3);
    check_file(json_array_get(files, 0));
    check_file(json_array_get(files, 1));
    assert_string_equal(text_at(json_array_get(files, 2), "@type"), "cr:FileSet");
    json_t *sets = json_object_get(root, "recordSet");
    assert_int_equal(json_array_size(sets), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(sets, 0), "field")), 12);
    assert_non_null(strstr(text_at(root, "rai:dataCollection"), "https://example.org (2)"));
    assert_null(strstr(text_at(root, "rai:dataCollection"), "/home"));
    assert_non_null(strstr(text_at(root, "rai:dataLimitations"), "do not state a licence"));
    assert_non_null(strstr(text_at(root, "rai:personalSensitiveInformation"), "1 of 5 records"));
    assert_string_equal(text_at(root, "rai:annotationsPerItem"), "2");
    json_decref(root);
    assert_non_null(strstr(file_of("records.jsonl", &n), "\"file\":\"00000002-"));
    assert_non_null(strstr(file_of("README.md", &n), "## Known limits"));
    assert_non_null(strstr(file_of("README.zh.md", &n), "## 已知的局限"));
    export_leaves_nothing(&fixture, "out");
}

static void without_media(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    struct ml_dataset texts;
    const struct ml_export_options options = {.creator = "某校", .url = "https://example.org/d"};
    const struct ml_dataset_spec spec = {.name = "texts", .ids = &fixture.ids[3], .id_count = 2};
    assert_ok(ml_datasets_create(fixture.ws, &spec, &texts, NULL, &err), err);
    assert_ok(ml_export_croissant(fixture.ws, &texts, fixture.out, &options, &result, &err), err);
    assert_int_equal(result.files, 4);
    json_t *root = described();
    assert_string_equal(text_at(root, "url"), "https://example.org/d");
    assert_string_equal(text_at(json_object_get(root, "creator"), "name"), "某校");
    assert_int_equal(json_array_size(json_object_get(root, "distribution")), 1);
    assert_int_equal(json_array_size(json_object_get(root, "recordSet")), 1);
    assert_null(json_object_get(root, "rai:dataAnnotationProtocol"));
    assert_non_null(strstr(text_at(root, "rai:personalSensitiveInformation"), "Not searched"));
    json_decref(root);
}

static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    struct ml_mem_stats before, after;
    assert_ok(ml_export_croissant(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err),
              err);
    assert_ok(ml_dir_remove(fixture.out, &err), err);
    ml_mem_get_stats(&before);
    for (uint64_t at = 1;; at++) {
        ml_mem_fail_at(at);
        int status =
            ml_export_croissant(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err);
        ml_mem_fail_at(0);
        ml_mem_get_stats(&after);
        if (after.live_blocks != before.live_blocks)
            fail_msg("allocation %d: %d blocks are left", (int)at,
                     (int)(after.live_blocks - before.live_blocks));
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_false(ml_path_exists(fixture.out));
        err = (struct ml_error){0};
    }
    export_leaves_nothing(&fixture, "out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_media, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("croissant", tests, NULL, NULL);
}
