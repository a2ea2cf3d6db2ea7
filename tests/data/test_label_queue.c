#include "export_fixture.h"

#include "data/label_queue.h"
#include "store/queues.h"

static struct export_fixture fixture;
static struct ml_arena arena;
static const char mood[] = "kind: choice\nlabels: [glad, sad, calm]\noverlap: 2\n";

static int set_up(void **state)
{
    struct ml_error err = {0};
    export_open(&fixture); /* its labels are of the queue "mood"; ours are others */
    ml_arena_init(&arena, 0);
    assert_ok(ml_label_queue_start(fixture.ws, "q", "诗与画", mood, "task.yaml", &err), err);
    return 0;
}

static int tear_down(void **state)
{
    export_close(&fixture);
    ml_arena_clear(&arena);
    return 0;
}

static struct ml_label_session *open_as(const char *who, bool skipped)
{
    struct ml_error err = {0};
    struct ml_label_session *s = NULL;
    assert_ok(ml_label_session_open(&s, fixture.ws, "q", who, skipped, &err), err);
    return s;
}

/* Index of the fixture's record that is next, -1: none. */
static int next(struct ml_label_session *s, struct ml_label_item *item)
{
    struct ml_error err = {0};
    int got = ml_label_session_next(s, item, &err);
    assert_ok(got < 0 ? got : 0, err);
    for (int i = 0; got && i < 5; i++)
        if (fixture.ids[i] == item->record.id)
            return i;
    assert_int_equal(got, 0);
    return -1;
}

static void answer(struct ml_label_session *s, const char *label)
{
    struct ml_error err = {0};
    json_t *value = json_string(label);
    assert_ok(ml_label_session_answer(s, value, 1.5, &err), err);
    json_decref(value);
}

static void propose(int record, const char *model, const char *value, double confidence)
{
    struct ml_error err = {0};
    const struct ml_label label = {.record = fixture.ids[record],
                                   .queue = "q",
                                   .model = model,
                                   .kind = "choice",
                                   .value = value,
                                   .confidence = confidence,
                                   .seconds = NAN};
    assert_ok(ml_labels_add(fixture.ws, &label, NULL, &err), err);
}

static void going_through(void **state)
{
    struct ml_label_session *s = open_as("anna", false);
    struct ml_label_item item, again;
    struct ml_label_counts counts;
    bool seen[5] = {false};
    char hash[ML_HASH_HEX] = "";
    for (int i = 0; i < 5; i++) {
        int record = next(s, &item);
        assert_int_equal(next(s, &again), record); /* the same until it is answered */
        assert_false(seen[record]);
        seen[record] = true;
        assert_true(strcmp(hash, item.record.hash) <= 0);
        strcpy(hash, item.record.hash);
        if (record == 0) {
            assert_int_equal(item.characters, 11);
            assert_memory_equal(item.text, "秦川", 6);
        }
        if (record == 2)
            assert_string_equal(item.text, "a fox");
        assert_null(item.proposal);
        answer(s, "calm");
    }
    assert_int_equal(next(s, &item), -1);
    ml_label_session_counts(s, &counts);
    assert_int_equal(counts.records, 5);
    assert_int_equal(counts.mine, 5);
    assert_int_equal(counts.done, 0); /* two are wanted */
    assert_int_equal(counts.left, 0);
    ml_label_session_close(s);
    s = open_as("bo", false);
    for (int i = 0; i < 5; i++, answer(s, "glad"))
        assert_true(next(s, &item) >= 0);
    assert_int_equal(next(s, &item), -1);
    ml_label_session_counts(s, &counts);
    assert_int_equal(counts.done, 5);
    ml_label_session_close(s);
    s = open_as("cem", false); /* all have two */
    assert_int_equal(next(s, &item), -1);
    ml_label_session_close(s);
}

/* Two at once: what the other finished meanwhile is passed over. */
static void two_at_once(void **state)
{
    struct ml_label_session *a = open_as("a", false), *b = open_as("b", false),
                            *c = open_as("c", false);
    struct ml_label_item item;
    int first = next(a, &item);
    answer(a, "sad");
    assert_int_equal(next(b, &item), first);
    answer(b, "sad");
    assert_int_not_equal(next(c, &item), first);
    ml_label_session_close(a);
    ml_label_session_close(b);
    ml_label_session_close(c);
}

static void least_sure_first(void **state)
{
    struct ml_label_item item;
    propose(3, "m1", "\"glad\"", 0.9);
    propose(1, "m1", "\"sad\"", 0.4);
    propose(1, "m2", "\"calm\"", 0.8);
    propose(4, "m1", "\"glad\"", NAN);
    propose(0, "m1", "\"no such label\"", 0.95);
    struct ml_label_session *s = open_as("anna", false);
    assert_int_equal(next(s, &item), 1);
    assert_string_equal(json_string_value(item.proposal), "calm"); /* of the surer model */
    assert_string_equal(item.model, "m2");
    assert_true(item.confidence == 0.8);
    answer(s, "calm");
    assert_int_equal(next(s, &item), 3);
    answer(s, "sad");
    assert_int_equal(next(s, &item), 0);
    assert_null(item.proposal);
    answer(s, "sad");
    assert_int_equal(next(s, &item), 4);
    assert_true(isnan(item.confidence));
    answer(s, "sad");
    assert_int_equal(next(s, &item), 2);
    ml_label_session_close(s);
}

static void skipping_and_undoing(void **state)
{
    struct ml_error err = {0};
    struct ml_label_session *s = open_as("anna", false);
    struct ml_label_item item;
    struct ml_label_counts counts;
    assert_fails(ml_label_session_skip(s, &err), ML_ERR_STATE, "no record", err);
    assert_fails(ml_label_session_undo(s, &err), ML_ERR_NOT_FOUND, "anna", err);
    int first = next(s, &item);
    answer(s, "sad");
    int second = next(s, &item);
    assert_ok(ml_label_session_skip(s, &err), err);
    int third = next(s, &item);
    ml_label_session_counts(s, &counts);
    assert_int_equal(counts.skipped, 1);
    assert_int_equal(counts.left, 3);
    assert_ok(ml_label_session_undo(s, &err), err);
    assert_int_equal(next(s, &item), second);
    assert_ok(ml_label_session_undo(s, &err), err);
    assert_int_equal(next(s, &item), first);
    assert_string_equal(json_string_value(item.proposal), "sad"); /* the own answer */
    assert_string_equal(item.model, "");
    answer(s, "calm");
    assert_int_equal(next(s, &item), second);
    assert_ok(ml_label_session_skip(s, &err), err);
    assert_int_equal(next(s, &item), third);
    ml_label_session_close(s);
    s = open_as("anna", false); /* in another session, too, and then again */
    assert_int_equal(next(s, &item), third);
    assert_ok(ml_label_session_undo(s, &err), err);
    assert_int_equal(next(s, &item), second);
    assert_ok(ml_label_session_skip(s, &err), err);
    ml_label_session_close(s);
    s = open_as("anna", true);
    assert_int_equal(next(s, &item), second);
    assert_ok(ml_label_session_skip(s, &err), err);
    assert_int_equal(next(s, &item), -1);
    assert_ok(ml_label_session_undo(s, &err), err);
    assert_int_equal(next(s, &item), second);
    answer(s, "glad");
    assert_int_equal(next(s, &item), -1);
    ml_label_session_close(s);
}

static void mistakes(void **state)
{
    struct ml_error err = {0};
    struct ml_label_session *s = NULL;
    struct ml_label_item item;
    struct ml_queue_entry entry;
    assert_fails(ml_label_queue_start(fixture.ws, "x", "诗与画", "kind: choise\n", "t.yaml", &err),
                 ML_ERR_FORMAT, "t.yaml:1", err);
    assert_fails(ml_label_queue_start(fixture.ws, "x", "none", mood, "t.yaml", &err),
                 ML_ERR_NOT_FOUND, "no dataset", err);
    assert_fails(ml_label_queue_start(fixture.ws, "q", "诗与画", "kind: text\n", "t.yaml", &err),
                 ML_ERR_STATE, "another task", err);
    assert_ok(ml_queues_get(fixture.ws, "q", &arena, &entry, &err), err);
    assert_string_equal(entry.dataset, "诗与画@1");
    assert_fails(ml_label_session_open(&s, fixture.ws, "qq", "a", false, &err), ML_ERR_NOT_FOUND,
                 "label start", err);
    assert_fails(ml_label_session_open(&s, fixture.ws, "q", "", false, &err), ML_ERR_ARG, "name",
                 err);
    s = open_as("anna", false);
    next(s, &item);
    json_t *wrong = json_string("happy");
    assert_fails(ml_label_session_answer(s, wrong, NAN, &err), ML_ERR_ARG, "happy", err);
    json_decref(wrong);
    struct ml_label_item again;
    next(s, &again);
    assert_int_equal(again.record.id, item.record.id);
    ml_label_session_close(s);
    ml_label_session_close(NULL);
}

static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_mem_stats before, after;
    propose(1, "m1", "\"sad\"", 0.4);
    for (int warm = 1; warm >= 0; warm--) { /* the first round compiles the statements */
        ml_mem_get_stats(&before);
        for (uint64_t at = 1;; at++) {
            struct ml_label_session *s = NULL;
            struct ml_label_item item;
            ml_mem_fail_at(warm ? 0 : at);
            int status = ml_label_session_open(&s, fixture.ws, "q", "anna", false, &err);
            int got = status == 0 ? ml_label_session_next(s, &item, &err) : status;
            status = got < 0 ? got : 0;
            if (status == 0)
                status = ml_label_session_answer(s, item.proposal, 1, &err);
            if (status == 0)
                status = ml_label_session_undo(s, &err);
            ml_mem_fail_at(0);
            if (status && s) /* what was answered before it failed does not stay */
                ml_label_session_undo(s, NULL);
            ml_label_session_close(s);
            ml_mem_get_stats(&after);
            if (!warm)
                assert_int_equal(before.live_blocks, after.live_blocks);
            if (status == 0)
                break;
            assert_int_equal(status, ML_ERR_MEMORY);
            err = (struct ml_error){0};
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(going_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(least_sure_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(skipping_and_undoing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("label_queue", tests, NULL, NULL);
}
