/* The event log and what servers said of fetched addresses (store/events.h, fetches.h). */
#include "scratch.h"

#include <math.h>

#include "store/events.h"
#include "store/fetches.h"

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

static void test_events(void **state)
{
    struct ml_workspace *ws = open_one();
    struct ml_error err = {0};
    struct ml_event_cursor *cursor = NULL;
    struct ml_event e;
    int64_t id = 0, count = 0;
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        const struct ml_event event = {.time = 100 + i,
                                       .subject = i % 2 ? "liang" : "wu",
                                       .item = i < 4 ? "generation:1" : "generation:2",
                                       .action = "rate",
                                       .propensity = i == 5 ? 0.25 : NAN,
                                       .reward = i == 0 ? NAN : i};
        assert_ok(ml_events_add(ws, &event, &id, &err), err);
    }
    assert_ok(ml_events_count(ws, NULL, &count, &sum, &err), err);
    assert_int_equal(count, 6);
    assert_true(sum == 15);
    const struct ml_event_filter mine = {.subject = "liang", .item = "generation:1"};
    assert_ok(ml_events_count(ws, &mine, &count, NULL, &err), err);
    assert_int_equal(count, 2);
    const struct ml_event_filter late = {.from = 102, .to = 106, .after = 3, .limit = 2};
    assert_ok(ml_events_open(&cursor, ws, &late, &err), err);
    assert_int_equal(ml_events_next(cursor, &e, &err), 1);
    assert_int_equal(e.time, 103);
    assert_string_equal(e.action, "rate");
    assert_string_equal(e.meta, "{}");
    assert_true(isnan(e.propensity) && e.reward == 3);
    assert_int_equal(ml_events_next(cursor, &e, &err), 1);
    assert_int_equal(ml_events_next(cursor, &e, &err), 0);
    ml_events_close(cursor);
    assert_int_equal(ml_events_add(ws, &(struct ml_event){.item = "x"}, &id, &err), ML_ERR_ARG);
    ml_workspace_close(ws);
}

static void test_fetches(void **state)
{
    struct ml_workspace *ws = open_one();
    struct ml_error err = {0};
    struct ml_arena arena;
    struct ml_fetch got;
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_fetches_get(ws, "http://h/", &arena, &got, &err), ML_ERR_NOT_FOUND);
    const struct ml_fetch first = {.uri = "http://h/", .etag = "\"1\"", .status = 200, .time = 5};
    assert_ok(ml_fetches_put(ws, &first, &err), err);
    const struct ml_fetch second = {
        .uri = "http://h/", .modified = "today", .status = 200, .time = 6};
    assert_ok(ml_fetches_put(ws, &second, &err), err);
    assert_ok(ml_fetches_get(ws, "http://h/", &arena, &got, &err), err);
    assert_string_equal(got.etag, "");
    assert_string_equal(got.modified, "today");
    assert_int_equal(got.time, 6);
    ml_arena_clear(&arena);
    ml_workspace_close(ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fetches, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
