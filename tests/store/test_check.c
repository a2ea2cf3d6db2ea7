/* Looking over a workspace: stray files, unused and damaged blobs, broken-off curations, repair
 * (store/check.h). */
#include "scratch.h"

#include "store/check.h"
#include "store/datasets.h"

static char root[SCRATCH_PATH];

static int set_up(void **state)
{
    scratch_make(root);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(root);
    return 0;
}

static struct ml_workspace *open_one(void)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    char folder[SCRATCH_PATH + 8];
    snprintf(folder, sizeof folder, "%s/ws", root);
    assert_ok(ml_workspace_open(&ws, folder, &(struct ml_workspace_options){.create = true}, &err),
              err);
    return ws;
}

static int64_t add(struct ml_workspace *ws, const char *source, const char *text)
{
    struct ml_error err = {0};
    int64_t id = 0;
    const struct ml_record record = {.kind = "text", .type = "text/plain", .source = source};
    assert_ok(ml_records_add(ws, &record, text, strlen(text), &id, NULL, &err), err);
    return id;
}

static struct ml_workspace_report look(struct ml_workspace *ws, bool deep, bool repair)
{
    struct ml_workspace_report report;
    struct ml_error err = {0};
    const struct ml_workspace_check_options options = {.deep = deep, .repair = repair};
    assert_ok(ml_workspace_check(ws, &options, &report, &err), err);
    return report;
}

static void put_file(const char *name, const char *text)
{
    struct ml_error err = {0};
    char path[SCRATCH_PATH + 128];
    snprintf(path, sizeof path, "%s/ws/blobs/%s", root, name);
    *strrchr(path, '/') = '\0';
    assert_ok(ml_dir_make(path, &err), err);
    path[strlen(path)] = '/';
    assert_ok(ml_file_write(path, text, strlen(text), &err), err);
}

static void test_sound(void **state)
{
    struct ml_workspace *ws = open_one();
    add(ws, "/a", "one");
    add(ws, "/b", "two");
    struct ml_workspace_report r = look(ws, true, false);
    assert_true(r.database_sound);
    assert_int_equal(r.blobs, 2);
    assert_int_equal(r.records, 2);
    assert_int_equal(r.stray_files + r.unused_blobs + r.unfinished + r.missing + r.damaged, 0);
    ml_workspace_close(ws);
}

static void test_stray(void **state)
{
    struct ml_workspace *ws = open_one();
    add(ws, "/a", "one");
    put_file("ab/cdef", "no blob's name");
    put_file("00/00000000000000000000000000000000000000000000000000000000000000", "no row");
    struct ml_workspace_report r = look(ws, false, false);
    assert_int_equal(r.stray_files, 2);
    assert_int_equal(r.stray_bytes, 20);
    r = look(ws, false, true);
    assert_true(r.repaired);
    assert_int_equal(r.stray_files, 2);
    r = look(ws, true, false);
    assert_int_equal(r.stray_files + r.missing + r.damaged, 0);
    ml_workspace_close(ws);
}

static void test_unfinished(void **state)
{
    struct ml_workspace *ws = open_one();
    struct ml_error err = {0};
    struct ml_dataset dataset;
    int64_t kept = add(ws, "curate:x", "kept");
    const struct ml_dataset_spec spec = {.name = "x", .ids = &kept, .id_count = 1};
    assert_ok(ml_datasets_create(ws, &spec, &dataset, NULL, &err), err);
    add(ws, "curate:y", "broken off");
    struct ml_workspace_report r = look(ws, false, true);
    assert_int_equal(r.unfinished, 1);
    r = look(ws, true, false);
    assert_int_equal(r.records, 1);
    assert_int_equal(r.unfinished + r.stray_files + r.missing + r.damaged, 0);
    ml_workspace_close(ws);
}

static void test_lost(void **state)
{
    struct ml_workspace *ws = open_one();
    struct ml_arena arena;
    struct ml_record record;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    assert_ok(ml_records_get(ws, add(ws, "/lost", "lost"), &arena, &record, &err), err);
    char *path = ml_blobs_path(ws, &arena, record.blob);
    assert_int_equal(unlink(path), 0);
    assert_ok(ml_records_get(ws, add(ws, "/changed", "changed"), &arena, &record, &err), err);
    path = ml_blobs_path(ws, &arena, record.blob);
    assert_ok(ml_file_write(path, "CHANGED", 7, &err), err);
    struct ml_workspace_report r = look(ws, false, false);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.damaged, 0); /* its size is right */
    assert_non_null(strstr(r.examples[0], "missing: /lost"));
    r = look(ws, true, true);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.damaged, 1);
    assert_non_null(strstr(r.examples[1], "damaged: /changed"));
    add(ws, "/lost", "lost"); /* collecting again restores it */
    add(ws, "/changed", "changed");
    r = look(ws, true, false);
    assert_int_equal(r.missing + r.damaged, 0);
    ml_arena_clear(&arena);
    ml_workspace_close(ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stray, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unfinished, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
