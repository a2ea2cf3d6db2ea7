/* Labelling the rest: a classifier learns from a queue's answers and proposes (data/label_learn.h).
 */
#include "data_material.h"

#include <math.h>

#include "data/label_learn.h"
#include "data/label_queue.h"
#include "store/labels.h"

static struct material m;

static int set_up(void **state)
{
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    material_make(&m);
    for (int i = 0; i < 60; i++)
        assert_ok(ml_buffer_printf(&text, &err, "{\"text\":\"%s number %d\"}\n",
                                   i % 2 ? "the goal won the match for the team"
                                         : "the bank raised rates and shares fell",
                                   i),
                  err);
    material_put(&m, "a.jsonl", text.data, text.size);
    ml_buffer_clear(&text);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(m.root);
    return 0;
}

static struct ml_workspace *started(const char *task)
{
    struct ml_workspace *ws = material_workspace(&m);
    struct ml_error err = {0};
    struct ml_collect_report report;
    struct ml_dataset dataset;
    const char *const paths[] = {m.folder};
    assert_ok(ml_collect(ws, paths, 1, NULL, &report, &err), err);
    assert_ok(ml_collect_dataset(ws, "news", paths, 1, &dataset, NULL, &err), err);
    assert_ok(ml_label_queue_start(ws, "topic", "news", task, "task.yaml", &err), err);
    return ws;
}

/* Answers `count` records as they are. */
static void answer(struct ml_workspace *ws, int count)
{
    struct ml_label_session *s = NULL;
    struct ml_label_item item;
    struct ml_error err = {0};
    assert_ok(ml_label_session_open(&s, ws, "topic", "liang", false, &err), err);
    for (int i = 0; i < count; i++) {
        assert_int_equal(ml_label_session_next(s, &item, &err), 1);
        json_t *value =
            json_string(memmem(item.text, item.text_size, "goal", 4) ? "sport" : "money");
        assert_ok(ml_label_session_answer(s, value, NAN, &err), err);
        json_decref(value);
    }
    ml_label_session_close(s);
}

static void test_learns(void **state)
{
    struct ml_workspace *ws = started("kind: choice\nlabels: [sport, money, weather]\n");
    struct ml_label_learnt learnt;
    struct ml_label_cursor *cursor = NULL;
    struct ml_label label;
    struct ml_error err = {0};
    int proposals = 0;
    ml_json_setup();
    answer(ws, 20);
    assert_ok(ml_label_queue_learn(ws, "topic", NULL, &learnt, &err), err);
    assert_int_equal(learnt.answers, 20);
    assert_int_equal(learnt.proposed, 40);
    assert_true(learnt.accuracy > 0.9 && learnt.by_chance < 0.8);
    const struct ml_label_filter filter = {.queue = "topic", .annotator = ""};
    assert_ok(ml_labels_open(&cursor, ws, &filter, &err), err);
    while (ml_labels_next(cursor, &label, &err) > 0) {
        assert_string_equal(label.model, "classifier");
        assert_true(strcmp(label.value, "\"sport\"") == 0 || strcmp(label.value, "\"money\"") == 0);
        assert_true(label.confidence > 0.3 && label.confidence <= 1);
        proposals++;
    }
    ml_labels_close(cursor);
    assert_int_equal(proposals, 40);
    /* again with more answers: its proposals replace the old ones */
    answer(ws, 10);
    assert_ok(ml_label_queue_learn(ws, "topic", NULL, &learnt, &err), err);
    assert_int_equal(learnt.answers, 30);
    assert_int_equal(learnt.proposed, 30);
    ml_workspace_close(ws);
}

static void test_too_few(void **state)
{
    struct ml_workspace *ws = started("kind: choice\nlabels: [sport, money]\n");
    struct ml_label_learnt learnt;
    struct ml_error err = {0};
    ml_json_setup();
    answer(ws, 4);
    assert_int_equal(ml_label_queue_learn(ws, "topic", NULL, &learnt, &err), ML_ERR_STATE);
    assert_non_null(strstr(err.message, "4 answers"));
    err = (struct ml_error){0};
    assert_int_equal(ml_label_queue_learn(ws, "tropic", NULL, &learnt, &err), ML_ERR_NOT_FOUND);
    ml_workspace_close(ws);
}

static void test_other_kind(void **state)
{
    struct ml_workspace *ws = started("kind: rating\nlow: 1\nhigh: 5\n");
    struct ml_label_learnt learnt;
    struct ml_error err = {0};
    assert_int_equal(ml_label_queue_learn(ws, "topic", NULL, &learnt, &err), ML_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "rating"));
    ml_workspace_close(ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_learns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_few, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_kind, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
