#include "scratch.h"

#include <math.h>

#include "store/events.h"
#include "store/fetches.h"

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

static int64_t add(const char *subject, const char *item, const char *action, int64_t time,
                   double reward)
{
    struct ml_error err = {0};
    int64_t id = 0;
    const struct ml_event event = {.subject = subject,
                                   .item = item,
                                   .action = action,
                                   .time = time,
                                   .propensity = NAN,
                                   .reward = reward};
    assert_ok(ml_events_add(ws, &event, &id, &err), err);
    assert_true(id > 0);
    return id;
}

static int64_t count(const struct ml_event_filter *filter, double *mean)
{
    struct ml_error err = {0};
    struct ml_event_cursor *cursor;
    struct ml_event event;
    int64_t n = -1, listed = 0, last = 0;
    assert_ok(ml_events_count(ws, filter, &n, mean, &err), err);
    assert_ok(ml_events_open(&cursor, ws, filter, &err), err);
    while (ml_events_next(cursor, &event, &err) == 1) {
        assert_true(event.id > last);
        last = event.id;
        listed++;
    }
    assert_int_equal(err.code, 0);
    ml_events_close(cursor);
    assert_int_equal(n, listed);
    return n;
}

static void all_fields(void **state)
{
    struct ml_error err = {0};
    struct ml_event_cursor *cursor;
    struct ml_event got;
    const struct ml_event event = {.subject = "小明",
                                   .item = "generation:1",
                                   .action = "rate",
                                   .propensity = 0.25,
                                   .reward = -1.5,
                                   .meta = "{\"评\":\"好\"}"};
    assert_ok(ml_events_add(ws, &event, NULL, &err), err);
    add(NULL, "generation:1", "click", 7, NAN);
    assert_ok(ml_events_open(&cursor, ws, NULL, &err), err);
    assert_int_equal(ml_events_next(cursor, &got, &err), 1);
    assert_string_equal(got.subject, "小明");
    assert_string_equal(got.item, "generation:1");
    assert_string_equal(got.action, "rate");
    assert_float_equal(got.propensity, 0.25, 0);
    assert_float_equal(got.reward, -1.5, 0);
    assert_string_equal(got.meta, event.meta);
    assert_true(got.time > 0);
    assert_int_equal(ml_events_next(cursor, &got, &err), 1);
    assert_string_equal(got.subject, "");
    assert_string_equal(got.meta, "{}");
    assert_int_equal(got.time, 7);
    assert_true(isnan(got.propensity) && isnan(got.reward));
    assert_int_equal(ml_events_next(cursor, &got, &err), 0);
    ml_events_close(cursor);
    ml_events_close(NULL);
}

static void filters(void **state)
{
    double mean = 0;
    add("a", "x", "rate", 10, 1);
    int64_t second = add("b", "x", "rate", 20, 0);
    add("a", "y", "click", 30, NAN);
    add("a", "x", "rate", 40, 0.5);
    assert_int_equal(count(NULL, &mean), 4);
    assert_float_equal(mean, 0.5, 1e-12);
    assert_int_equal(count(&(struct ml_event_filter){.item = "x"}, NULL), 3);
    assert_int_equal(count(&(struct ml_event_filter){.subject = "b"}, NULL), 1);
    assert_int_equal(count(&(struct ml_event_filter){.action = "click"}, &mean), 1);
    assert_true(isnan(mean));
    assert_int_equal(count(&(struct ml_event_filter){.item = "x", .since = 20}, NULL), 2);
    assert_int_equal(count(&(struct ml_event_filter){.since = 10, .until = 30}, NULL), 2);
    assert_int_equal(count(&(struct ml_event_filter){.after = second}, NULL), 2);
    assert_int_equal(count(&(struct ml_event_filter){.item = "z"}, NULL), 0);
    struct ml_error err = {0};
    struct ml_event_cursor *cursor;
    struct ml_event event;
    assert_ok(ml_events_open(&cursor, ws, &(struct ml_event_filter){.limit = 1}, &err), err);
    assert_int_equal(ml_events_next(cursor, &event, &err), 1);
    assert_int_equal(ml_events_next(cursor, &event, &err), 0);
    ml_events_close(cursor);
}

static void wrong_events(void **state)
{
    struct ml_error err = {0};
    struct ml_event event = {.item = "x", .propensity = NAN, .reward = NAN};
    assert_fails(ml_events_add(ws, &event, NULL, &err), ML_ERR_ARG, "an action", err);
    event.action = "rate";
    event.propensity = 0;
    assert_fails(ml_events_add(ws, &event, NULL, &err), ML_ERR_ARG, "propensity", err);
    event.propensity = 1.5;
    assert_fails(ml_events_add(ws, &event, NULL, &err), ML_ERR_ARG, "propensity", err);
    event.propensity = 1;
    event.reward = INFINITY;
    assert_fails(ml_events_add(ws, &event, NULL, &err), ML_ERR_NUMERIC, "infinite", err);
    event.reward = 1;
    event.meta = "[]";
    assert_fails(ml_events_add(ws, &event, NULL, &err), ML_ERR_ARG, "JSON object", err);
    event.meta = "{";
    assert_fails(ml_events_add(ws, &event, NULL, &err), ML_ERR_FORMAT, "meta of an event", err);
    assert_int_equal(count(NULL, NULL), 0);
}

static void fetches(void **state)
{
    struct ml_error err = {0};
    struct ml_fetch got, fetch = {.uri = "https://例.example/a", .etag = "W/\"1\"", .status = 200};
    assert_int_equal(ml_fetches_get(ws, fetch.uri, &arena, &got, &err), ML_ERR_NOT_FOUND);
    assert_int_equal(err.code, 0);
    assert_ok(ml_fetches_put(ws, &fetch, &err), err);
    fetch.etag = NULL;
    fetch.modified = "Sat, 01 Aug 2026 00:00:00 GMT";
    fetch.status = 304;
    fetch.time = 99;
    assert_ok(ml_fetches_put(ws, &fetch, &err), err);
    assert_ok(ml_fetches_get(ws, fetch.uri, &arena, &got, &err), err);
    assert_string_equal(got.uri, fetch.uri);
    assert_string_equal(got.etag, "");
    assert_string_equal(got.modified, fetch.modified);
    assert_int_equal(got.status, 304);
    assert_int_equal(got.time, 99);
    fetch.uri = "";
    assert_fails(ml_fetches_put(ws, &fetch, &err), ML_ERR_ARG, "URI", err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fetches, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
