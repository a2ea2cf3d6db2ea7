/* The n-th allocation fails, for every n: one message, no leak, a sound workspace. */
#include "data_material.h"

#include "data/dataset_text.h"

static struct material m;

static int set_up(void **state)
{
    material_make(&m);
    material_text(&m, "a.jsonl",
                  "{\"text\":\"秦川雄帝宅，函谷壯皇居。\",\"author\":\"A\",\"n\":1}\nbad\n");
    material_text(&m, "b.txt", "\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2\r\n");
    material_text(&m, "c", "one\n%\ntwo\n%\n");
    material_put(&m, "d", "\0", 1);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(m.root);
    return 0;
}

static int whole_way(struct ml_workspace *ws, struct ml_error *err)
{
    struct ml_collect_report report;
    struct ml_dataset dataset;
    struct ml_dataset_text text = {0};
    const char *const paths[] = {m.folder};
    const struct ml_dataset_text_options options = {
        .template = "[{author}]{text}", .validation = 0.5, .dedup = true};
    int status = ml_collect(ws, paths, 1, NULL, &report, err);
    if (status == 0)
        status = ml_collect_dataset(ws, "d", paths, 1, &dataset, NULL, err);
    if (status == 0)
        status = ml_dataset_text_open(&text, ws, &dataset, &options, err);
    if (status == 0)
        assert_int_equal(text.train_count + text.validation_count, 4);
    ml_dataset_text_close(&text);
    return status;
}

static void every_allocation(void **state)
{
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_error err = {0}, ignored = {0};
        struct ml_workspace *ws = material_workspace(&m);
        ml_mem_fail_at(n);
        int status = whole_way(ws, &err);
        ml_mem_get_stats(&after);
        done = after.allocations < n;
        ml_mem_fail_at(0);
        if (done) {
            assert_ok(status, err);
        } else if (status) { /* a failed look-up for a hint may be got over */
            assert_int_equal(status, ML_ERR_MEMORY);
            assert_int_equal(err.code, ML_ERR_MEMORY);
            assert_non_null(strstr(err.message, "memory"));
        }
        material_verify(ws);
        ml_workspace_close(ws);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        if (n % 3 == 0 || done) /* from the beginning, and on top of what the last one left */
            assert_ok(ml_dir_remove(m.workspace, &ignored), ignored);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_allocation, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("collect_faults", tests, NULL, NULL);
}
