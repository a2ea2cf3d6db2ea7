#include "export_fixture.h"

#include "data/label_agreement.h"

static struct export_fixture fixture;
static struct ml_arena arena;
static struct ml_label_queue queue;
static struct ml_queue_agreement found;

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

static void start(const char *task)
{
    struct ml_error err = {0};
    assert_ok(ml_label_queue_start(fixture.ws, "q", "诗与画", task, "task", &err), err);
    assert_ok(ml_label_queue_open(&queue, fixture.ws, "q", &arena, &err), err);
}

static void label(int record, const char *who, const char *value)
{
    struct ml_error err = {0};
    const struct ml_label l = {.record = fixture.ids[record],
                               .queue = "q",
                               .annotator = who,
                               .kind = ml_label_kind_name(queue.task.kind),
                               .value = value,
                               .confidence = NAN,
                               .seconds = NAN};
    assert_ok(ml_labels_add(fixture.ws, &l, NULL, &err), err);
}

static void measure(void)
{
    struct ml_error err = {0};
    assert_ok(ml_label_agreement(&found, fixture.ws, &queue, &arena, &err), err);
}

static void near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-9))
        fail_msg("%.9f is not %.9f", value, expected);
}

static void choices(void **state)
{
    struct ml_error err = {0};
    start("kind: choice\nlabels: [a, b]\n");
    label(0, "x", "\"a\"");
    assert_fails(ml_label_agreement(&found, fixture.ws, &queue, &arena, &err), ML_ERR_NOT_FOUND,
                 "two people", err);
    label(0, "y", "\"a\"");
    label(1, "x", "\"a\"");
    label(1, "y", "\"b\"");
    label(2, "x", "\"b\"");
    label(2, "y", "\"b\"");
    label(3, "z", "\"b\""); /* alone */
    label(4, "z", "\"b\"");
    label(4, "x", "\"b\"");
    measure();
    assert_int_equal(found.records, 4);
    assert_int_equal(found.labels, 8);
    /* 3 a and 5 b: expected 2 * 3 * 5 / 7, observed 2 * 1. */
    near(found.alpha, 1 - 2 / (30.0 / 7));
    assert_int_equal(found.pair_count, 2);
    assert_string_equal(found.pairs[0].a, "x");
    assert_string_equal(found.pairs[0].b, "y");
    assert_int_equal(found.pairs[0].records, 3);
    near(found.pairs[0].equal, 2.0 / 3);
    near(found.pairs[0].kappa, 0.4);
    assert_string_equal(found.pairs[1].b, "z");
    assert_true(isnan(found.pairs[1].kappa));
    near(found.pairs[1].equal, 1);
}

static void ratings(void **state)
{
    start("kind: rating\nlow: 0\nhigh: 4\n");
    for (int i = 0; i < 5; i++) {
        char value[8];
        snprintf(value, sizeof value, "%d", i);
        label(i, "x", value);
        snprintf(value, sizeof value, "%d", i < 4 ? i : 3);
        label(i, "y", value);
    }
    measure();
    assert_string_equal(found.scale, "ordinal");
    assert_true(found.alpha > 0.9 && found.alpha < 1);
    assert_true(found.pairs[0].kappa > 0.9 && found.pairs[0].kappa < 1);
    near(found.pairs[0].equal, 0.8);
}

static void several(void **state)
{
    start("kind: multi\nlabels: [a, b]\n");
    label(0, "x", "[\"a\"]");
    label(0, "y", "[\"a\",\"b\"]");
    label(1, "x", "[]");
    label(1, "y", "[\"b\"]");
    measure();
    assert_int_equal(found.by_label_count, 2);
    near(found.by_label[0].alpha, 1);
    assert_true(found.by_label[1].alpha < 0);
    near(found.pairs[0].equal, 0.5);
}

/* Record 1 is "The fox\ncrossed the river.\n", 27 characters. */
static void spans(void **state)
{
    start("kind: span\nlabels: [PER, LOC]\n");
    label(1, "x",
          "[{\"start\":4,\"end\":7,\"label\":\"PER\"},{\"start\":20,\"end\":25,"
          "\"label\":\"LOC\"}]");
    label(1, "y",
          "[{\"start\":4,\"end\":7,\"label\":\"PER\"},{\"start\":16,\"end\":25,"
          "\"label\":\"LOC\"}]");
    measure();
    near(found.pairs[0].equal, 0.5); /* one of two spans is the same */
    /* Characters: PER 3 + 3, LOC 5 + 9, none 19 + 15; four differ. */
    double n = 54, expected = (n * n - 6 * 6 - 14 * 14 - 34 * 34) / (n - 1);
    near(found.alpha, 1 - 8 / expected);
    double chance = (3 * 3 + 5 * 9 + 19 * 15) / (27.0 * 27);
    near(found.pairs[0].kappa, 1 - (4 / 27.0) / (1 - chance));
}

static void texts(void **state)
{
    start("kind: text\n");
    label(0, "x", "\"one\"");
    label(0, "y", "\"one\"");
    label(1, "x", "\"two\"");
    label(1, "y", "\"2\"");
    measure();
    near(found.pairs[0].equal, 0.5);
    assert_true(isnan(found.pairs[0].kappa));
}

static void boxes(void **state)
{
    start("kind: box\nlabels: [cat, dog]\n");
    label(2, "x",
          "{\"width\":100,\"height\":100,\"boxes\":[{\"x\":0,\"y\":0,\"width\":10,"
          "\"height\":10,\"label\":\"cat\"},{\"x\":50,\"y\":0,\"width\":10,\"height\":10,"
          "\"label\":\"dog\"}]}");
    label(2, "y",
          "{\"width\":100,\"height\":100,\"boxes\":[{\"x\":1,\"y\":0,\"width\":10,"
          "\"height\":10,\"label\":\"cat\"},{\"x\":50,\"y\":0,\"width\":10,\"height\":10,"
          "\"label\":\"cat\"}]}");
    measure();
    near(found.pairs[0].equal, 0.5);
    assert_true(isnan(found.alpha));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(choices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ratings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(boxes, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("label_agreement", tests, NULL, NULL);
}
