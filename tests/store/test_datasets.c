#include "scratch.h"

#include "store/datasets.h"

static char folder[SCRATCH_PATH];
static struct ml_workspace *ws;
static struct ml_arena arena;

static int64_t add(const char *source, const char *text)
{
    struct ml_record record = {.kind = "text", .type = "text/plain", .source = source};
    struct ml_error err = {0};
    int64_t id = 0;
    assert_ok(ml_records_add(ws, &record, text, strlen(text), &id, NULL, &err), err);
    return id;
}

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

static void versions(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset d, again;
    bool made = false;
    const struct ml_record_filter poems = {.under = "/poems"};
    const struct ml_dataset_spec spec = {.name = "诗", .filters = &poems, .filter_count = 1};
    assert_fails(ml_datasets_create(ws, &spec, &d, &made, &err), ML_ERR_NOT_FOUND, "no record",
                 err);
    add("/poems/a", "one");
    add("/other", "x");
    add("/poems/b", "three");
    assert_ok(ml_datasets_create(ws, &spec, &d, &made, &err), err);
    assert_true(made);
    assert_int_equal(d.version, 1);
    assert_int_equal(d.records, 2);
    assert_int_equal(d.bytes, 8);
    assert_ok(ml_datasets_create(ws, &spec, &again, &made, &err), err);
    assert_false(made);
    assert_int_equal(again.id, d.id);
    add("/poems/c", "four");
    assert_ok(ml_datasets_create(ws, &spec, &again, &made, &err), err);
    assert_true(made);
    assert_int_equal(again.version, 2);
    assert_string_not_equal(again.hash, d.hash);
    assert_ok(ml_datasets_open(ws, "诗", &d, &err), err);
    assert_int_equal(d.version, 2);
    assert_string_equal(d.hash, again.hash);
    assert_ok(ml_datasets_open(ws, "诗@1", &d, &err), err);
    assert_int_equal(d.version, 1);
    assert_int_equal(d.records, 2);
    struct ml_dataset *list;
    size_t count;
    assert_ok(ml_datasets_list(ws, &arena, &list, &count, &err), err);
    assert_int_equal(count, 2);
    assert_string_equal(list[1].name, "诗");
    assert_int_equal(list[1].version, 2);
}

static void manifest_and_order(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset d;
    struct ml_blob_view view = {0};
    const char *text;
    size_t n;
    int64_t a = add("/a", "abc"), b = add("/tab\there\\\n", "");
    const int64_t ids[] = {b, a};
    const struct ml_dataset_spec spec = {.name = "two", .ids = ids, .id_count = 2};
    assert_ok(ml_datasets_create(ws, &spec, &d, NULL, &err), err);
    assert_ok(ml_datasets_manifest(ws, &d, &view, &text, &n, &err), err);
    static const char expected[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\ttext\t/"
        "tab\\there\\\\\\n\n"
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\ttext\t/a\n";
    assert_int_equal(n, sizeof expected - 1);
    assert_memory_equal(text, expected, n);
    char hash[ML_HASH_HEX];
    ml_hash_text(expected, sizeof expected - 1, hash);
    assert_string_equal(hash, d.hash);
    ml_blob_view_clear(&view);
    /* The order given is the order read, also after a source was replaced. */
    add("/a", "changed");
    struct ml_record_cursor *cursor;
    struct ml_record record;
    const struct ml_record_filter members = {.dataset = d.id};
    assert_ok(ml_records_open(&cursor, ws, &members, &err), err);
    assert_int_equal(ml_records_next(cursor, &record, &err), 1);
    assert_int_equal(record.id, b);
    assert_int_equal(ml_records_next(cursor, &record, &err), 1);
    assert_int_equal(record.id, a);
    assert_true(record.replaced > 0);
    assert_int_equal(ml_records_next(cursor, &record, &err), 0);
    ml_records_close(cursor);
    const int64_t unknown[] = {a, 777};
    const struct ml_dataset_spec bad = {.name = "two", .ids = unknown, .id_count = 2};
    assert_fails(ml_datasets_create(ws, &bad, &d, NULL, &err), ML_ERR_NOT_FOUND, "777", err);
}

static void extending(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset d;
    bool made;
    const struct ml_record_filter under_a = {.under = "/a"}, under_b = {.under = "/b"};
    struct ml_dataset_spec spec = {
        .name = "all", .filters = &under_a, .filter_count = 1, .extend = true};
    add("/a", "1");
    add("/b", "2");
    assert_ok(ml_datasets_create(ws, &spec, &d, &made, &err), err);
    assert_int_equal(d.records, 1);
    spec.filters = &under_b;
    assert_ok(ml_datasets_create(ws, &spec, &d, &made, &err), err);
    assert_int_equal(d.records, 2);
    add("/a", "1 changed"); /* replaces the old one in the next version */
    spec.filters = &under_a;
    assert_ok(ml_datasets_create(ws, &spec, &d, &made, &err), err);
    assert_int_equal(d.records, 2);
    assert_int_equal(d.version, 3);
    const struct ml_record_filter both[] = {{.under = "/a"}, {.under = "/"}};
    spec = (struct ml_dataset_spec){.name = "all", .filters = both, .filter_count = 2};
    assert_ok(ml_datasets_create(ws, &spec, &d, &made, &err), err);
    assert_int_equal(d.records, 2); /* each once */
    assert_false(made);
}

static void names(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset d;
    static const char *const bad[] = {"",     "a/b", "a@1", ".hidden", "-x",
                                      "a\nb", " a",  "a ",  "\xff"};
    int64_t id = add("/a", "1");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct ml_dataset_spec spec = {.name = bad[i], .ids = &id, .id_count = 1};
        assert_fails(ml_datasets_create(ws, &spec, &d, NULL, &err), ML_ERR_ARG, "name of a dataset",
                     err);
    }
    const struct ml_dataset_spec spec = {.name = "fables", .ids = &id, .id_count = 1};
    assert_fails(ml_datasets_open(ws, "fables", &d, &err), ML_ERR_NOT_FOUND, "maliang collect",
                 err);
    assert_ok(ml_datasets_create(ws, &spec, &d, NULL, &err), err);
    assert_fails(ml_datasets_open(ws, "fabels", &d, &err), ML_ERR_NOT_FOUND,
                 "did you mean \"fables\"", err);
    assert_fails(ml_datasets_open(ws, "fables@9", &d, &err), ML_ERR_NOT_FOUND, "versions 1 to 1",
                 err);
    assert_fails(ml_datasets_open(ws, "fables@x", &d, &err), ML_ERR_ARG, "number of a version",
                 err);
    assert_fails(ml_datasets_open(ws, "fables@0", &d, &err), ML_ERR_ARG, "number of a version",
                 err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(manifest_and_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(extending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("datasets", tests, NULL, NULL);
}
