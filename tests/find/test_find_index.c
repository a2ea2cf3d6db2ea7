/* The index of a workspace: made, brought up to date, damaged, asked (find/find_index.h,
 * find_search.h). */
#include "data_material.h"

#include "find/find_search.h"

static struct material m;

static int set_up(void **state)
{
    material_make(&m);
    material_text(&m, "a.jsonl",
                  "{\"title\":\"Grapes\",\"text\":\"A fox saw ripe grapes hanging from a vine.\"}\n"
                  "{\"title\":\"Crow\",\"text\":\"A crow dropped pebbles into a jar of water.\"}\n"
                  "{\"title\":\"春夜喜雨\",\"text\":\"好雨知时节，当春乃发生。\"}\n");
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(m.root);
    return 0;
}

static struct ml_workspace *collected(void)
{
    struct ml_workspace *ws = material_workspace(&m);
    struct ml_error err = {0};
    struct ml_collect_report report;
    const char *const paths[] = {m.folder};
    assert_ok(ml_collect(ws, paths, 1, NULL, &report, &err), err);
    return ws;
}

static int ask(struct ml_find_index *x, const char *text, int64_t dataset, struct ml_find_hit *hits)
{
    const struct ml_find_query query = {.text = text, .size = strlen(text), .dataset = dataset};
    struct ml_error err = {0};
    int n = 0;
    assert_ok(ml_find_search(x, &query, 5, hits, &n, &err), err);
    return n;
}

static void expect_first(struct ml_find_index *x, const char *text, const char *title)
{
    struct ml_find_hit hits[5];
    struct ml_arena arena;
    struct ml_record record;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    assert_true(ask(x, text, 0, hits) >= 1);
    assert_ok(ml_records_get(x->workspace, hits[0].record, &arena, &record, &err), err);
    assert_string_equal(record.title, title);
    ml_arena_clear(&arena);
}

static void test_round(void **state)
{
    struct ml_find_index x;
    struct ml_error err = {0};
    char path[SCRATCH_PATH + 64];
    struct ml_workspace *ws = collected();
    assert_ok(ml_find_index_open(&x, ws, NULL, &err), err);
    assert_int_equal(x.count, 3);
    expect_first(&x, "grape", "Grapes");
    expect_first(&x, "pebbles in jars", "Crow");
    expect_first(&x, "喜雨", "春夜喜雨");
    ml_find_index_close(&x);
    /* more material: only that is added */
    material_text(&m, "b.txt", "The tortoise outran the hare, which slept.");
    ml_workspace_close(ws);
    ws = collected();
    assert_ok(ml_find_index_open(&x, ws, NULL, &err), err);
    assert_int_equal(x.count, 4);
    expect_first(&x, "tortoise", "b");
    ml_find_index_close(&x);
    /* a record that its file lost is not found any more */
    material_text(&m, "b.txt", "Nothing of the kind.");
    ml_workspace_close(ws);
    ws = collected();
    assert_ok(ml_find_index_open(&x, ws, NULL, &err), err);
    struct ml_find_hit hits[5];
    const struct ml_find_query query = {.text = "tortoise", .size = 8, .how = ML_FIND_WORDS};
    int n = -1;
    assert_ok(ml_find_search(&x, &query, 5, hits, &n, &err), err);
    assert_int_equal(n, 0);
    ml_find_index_close(&x);
    /* damage: it is made again */
    snprintf(path, sizeof path, "%s/index/find.mli", m.workspace);
    assert_ok(ml_file_write(path, "MLFIND1 and nonsense", 20, &err), err);
    assert_ok(ml_find_index_open(&x, ws, NULL, &err), err);
    expect_first(&x, "grape", "Grapes");
    ml_find_index_close(&x);
    ml_workspace_close(ws);
}

static void test_dataset_and_nearest(void **state)
{
    struct ml_find_index x;
    struct ml_error err = {0};
    struct ml_dataset dataset;
    struct ml_find_hit hits[5];
    struct ml_find_relative relatives[3];
    char path[SCRATCH_PATH + 64];
    int n = 0;
    material_text(&m, "b.txt", "A fox is no crow.");
    struct ml_workspace *ws = collected();
    snprintf(path, sizeof path, "%s/b.txt", m.folder);
    const char *const paths[] = {path};
    assert_ok(ml_collect_dataset(ws, "b", paths, 1, &dataset, NULL, &err), err);
    assert_ok(ml_find_index_open(&x, ws, NULL, &err), err);
    assert_int_equal(ask(&x, "fox grapes", dataset.id, hits), 1);
    const char *text = "They say a crow dropped pebbles into a jar of water yesterday";
    assert_ok(ml_find_nearest(&x, text, strlen(text), 0, 3, relatives, &n, &err), err);
    assert_true(n >= 1 && relatives[0].overlap > 0.5 && relatives[0].overlap < 0.8);
    ml_find_index_close(&x);
    ml_workspace_close(ws);
}

static void test_snippet(void **state)
{
    const char *text =
        "Long before that, nothing. A fox saw ripe grapes, and the grapes were sour. "
        "Then much else was told that nobody asked about at all.";
    const struct ml_find_query query = {.text = "grape sour", .size = 10};
    struct ml_find_snippet s;
    struct ml_error err = {0};
    assert_ok(ml_find_snippet(&s, &query, text, strlen(text), 60, &err), err);
    assert_int_equal(s.marks, 3);
    assert_memory_equal(text + s.mark[0].start, "grapes", 6);
    assert_memory_equal(text + s.mark[2].start, "sour", 4);
    assert_true(s.bytes <= 60);
    const char *zh = "好雨知时节，当春乃发生。随风潜入夜，润物细无声。";
    const struct ml_find_query ask_zh = {.text = "潜入夜", .size = 9};
    assert_ok(ml_find_snippet(&s, &ask_zh, zh, strlen(zh), 40, &err), err);
    assert_int_equal(s.marks, 1);
    assert_memory_equal(zh + s.mark[0].start, "潜入夜", 9);
}

static void test_out_of_memory(void **state)
{
    struct ml_mem_stats before, after;
    struct ml_workspace *ws = collected();
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_find_index x = {0};
        struct ml_find_hit hits[5];
        struct ml_error err = {0};
        int found;
        const struct ml_find_query query = {.text = "fox", .size = 3};
        ml_mem_fail_at(n);
        int status = ml_find_index_open(&x, ws, NULL, &err);
        if (status == 0)
            status = ml_find_search(&x, &query, 5, hits, &found, &err);
        ml_mem_get_stats(&after);
        done = after.allocations < n;
        ml_mem_fail_at(0);
        ml_find_index_close(&x);
        if (status && status != ML_ERR_MEMORY)
            fail_msg("allocation %d: %s", (int)n, err.message);
        n += n > 60 ? n / 8 : 0;
    }
    ml_mem_get_stats(&after);
    assert_true(after.live_blocks <= before.live_blocks + 40); /* statements that the store keeps */
    ml_workspace_close(ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dataset_and_nearest, set_up, tear_down),
        cmocka_unit_test(test_snippet),
        cmocka_unit_test_setup_teardown(test_out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
