#include "scratch.h"

#include "data/label_task.h"

static struct ml_arena arena;
static struct ml_label_task task;

static int set_up(void **state)
{
    ml_arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    ml_arena_clear(&arena);
    return 0;
}

static void parse(const char *text)
{
    struct ml_error err = {0};
    assert_ok(ml_label_task_parse(&task, &arena, text, strlen(text), "task.yaml", &err), err);
}

static void refuse(const char *text, int code, const char *why)
{
    struct ml_error err = {0};
    assert_fails(ml_label_task_parse(&task, &arena, text, strlen(text), "task.yaml", &err), code,
                 why, err);
}

static void tasks(void **state)
{
    parse("kind: choice\nguideline: |\n  What mood?\nlabels:\n  - {name: 喜, key: x}\n  - sad\n"
          "  - {name: calm, key: '1'}\n  - other\noverlap: 2\n");
    assert_int_equal(task.kind, ML_LABEL_CHOICE);
    assert_string_equal(task.guideline, "What mood?\n");
    assert_int_equal(task.label_count, 4);
    assert_int_equal(task.overlap, 2);
    assert_int_equal(task.labels[0].key, 'x');
    assert_int_equal(task.labels[1].key, '2'); /* 1 is taken further below */
    assert_int_equal(task.labels[2].key, '1');
    assert_int_equal(task.labels[3].key, '3');
    assert_int_equal(ml_label_task_find(&task, "calm"), 2);
    assert_int_equal(ml_label_task_find(&task, "Calm"), -1);
    parse("kind: rating\n");
    assert_int_equal(task.low, 1);
    assert_int_equal(task.high, 5);
    assert_int_equal(task.overlap, 1);
    parse("kind: text\n");
    parse("kind: rating\nlow: 1\nhigh: 10\n");
}

static void mistakes(void **state)
{
    refuse("", ML_ERR_FORMAT, "says no kind");
    refuse("- a\n", ML_ERR_FORMAT, "task.yaml:1");
    refuse("kind: choise\n", ML_ERR_FORMAT, "did you mean choice?");
    refuse("kind: choice\nlabls: [a, b]\n", ML_ERR_FORMAT, "task.yaml:2: unknown key labls, did");
    refuse("kind: choice\nlabels: [a]\n", ML_ERR_FORMAT, "at least two");
    refuse("kind: multi\n", ML_ERR_FORMAT, "needs labels");
    refuse("kind: choice\nlabels: [a, a]\n", ML_ERR_FORMAT, "two labels are called a");
    refuse("kind: choice\nlabels: [a, 'b|c']\n", ML_ERR_FORMAT, "no '|'");
    refuse("kind: choice\nlabels: [a, ' b']\n", ML_ERR_FORMAT, "blanks");
    refuse("kind: choice\nlabels:\n  - {name: a, key: s}\n  - b\n", ML_ERR_FORMAT,
           "task.yaml:3: the key s");
    refuse("kind: choice\nlabels:\n  - {name: a, key: x}\n  - {name: b, key: x}\n", ML_ERR_FORMAT,
           "two labels have the key x");
    refuse("kind: choice\nlabels:\n  - {name: a, key: xy}\n", ML_ERR_FORMAT, "one letter");
    refuse("kind: choice\nlabels:\n  - {key: x}\n", ML_ERR_FORMAT, "without a name");
    refuse("kind: choice\nlabels:\n  - {name: a, colour: x}\n", ML_ERR_FORMAT, "not colour");
    refuse("kind: choice\nlabels: a\n", ML_ERR_FORMAT, "is a list");
    refuse("kind: text\nlabels: [a]\n", ML_ERR_FORMAT, "no labels");
    refuse("kind: rating\nlow: 5\nhigh: 5\n", ML_ERR_FORMAT, "below");
    refuse("kind: rating\nlow: 0\nhigh: 10\n", ML_ERR_FORMAT, "digit keys");
    refuse("kind: rating\nhigh: 11\n", ML_ERR_FORMAT, "from 1 to 10");
    refuse("kind: text\noverlap: many\n", ML_ERR_FORMAT, "task.yaml:2: overlap is \"many\"");
    refuse("kind: [text]\n", ML_ERR_FORMAT, "plain value");
    char many[4096] = "kind: multi\nlabels: [", *at = many + strlen(many);
    for (int i = 0; i < 201; i++)
        at += sprintf(at, "l%d,", i);
    strcpy(at, "x]\n");
    refuse(many, ML_ERR_LIMIT, "200 labels");
}

/* The form in which a value is stored, or why it is none. */
static void value(const char *text, int64_t characters, const char *expected)
{
    struct ml_error err = {0};
    json_t *in = NULL, *out = NULL;
    assert_ok(ml_json_parse(&in, text, strlen(text), "value", &err), err);
    int status = ml_label_value_check(&out, &task, in, characters, &err);
    json_decref(in);
    if (status) {
        assert_null(out);
        if (!strstr(err.message, expected))
            fail_msg("%s: \"%s\" does not say \"%s\"", text, err.message, expected);
        return;
    }
    char *stored = NULL;
    assert_ok(ml_json_text(&stored, out, JSON_COMPACT | JSON_REAL_PRECISION(15), &err), err);
    assert_string_equal(stored, expected);
    ml_mem_free(stored);
    json_decref(out);
}

static void values(void **state)
{
    parse("kind: choice\nlabels: [glad, sad]\n");
    value("\"sad\"", -1, "\"sad\"");
    value("\"sda\"", -1, "did you mean sad?");
    value("1", -1, "not the name");
    value("[\"sad\"]", -1, "not the name");
    parse("kind: multi\nlabels: [a, b, c]\n");
    value("[\"c\", \"a\", \"c\"]", -1, "[\"a\",\"c\"]");
    value("[]", -1, "[]");
    value("\"a\"", -1, "is a list");
    parse("kind: rating\n");
    value("4", -1, "4");
    value("4.0", -1, "4");
    value("4.5", -1, "whole number");
    value("0", -1, "from 1 to 5");
    value("\"4\"", -1, "whole number");
    parse("kind: text\n");
    value("\"一只 \\\"fox\\\"\"", -1, "\"一只 \\\"fox\\\"\"");
    value("5", -1, "is a string");
}

static void parts(void **state)
{
    parse("kind: span\nlabels: [PER, LOC]\n");
    value("[]", 5, "[]");
    value("[{\"start\":3,\"end\":5,\"label\":\"LOC\",\"x\":1},{\"start\":0,\"end\":2,"
          "\"label\":\"PER\"}]",
          5,
          "[{\"start\":0,\"end\":2,\"label\":\"PER\"},{\"start\":3,\"end\":5,\"label\":\"LOC\"}]");
    value("[{\"start\":3,\"end\":6,\"label\":\"LOC\"}]", 5, "does not lie");
    value("[{\"start\":3,\"end\":3,\"label\":\"LOC\"}]", 5, "does not lie");
    value("[{\"start\":-1,\"end\":3,\"label\":\"LOC\"}]", -1, "does not lie");
    value("[{\"start\":0.5,\"end\":3,\"label\":\"LOC\"}]", -1, "does not lie");
    value("[{\"start\":0,\"end\":3}]", 5, "not the name");
    value("[{\"start\":0,\"label\":\"LOC\"}]", 5, "\"end\"");
    value("[5]", 5, "\"start\"");
    value("{}", 5, "list of parts");
    parse("kind: box\nlabels: [cat]\n");
    value(
        "{\"width\":100,\"height\":50,\"boxes\":[{\"x\":1.5,\"y\":2,\"width\":10,\"height\":48.25,"
        "\"label\":\"cat\"}]}",
        -1,
        "{\"width\":100,\"height\":50,\"boxes\":[{\"x\":1.5,\"y\":2,\"width\":10,\"height\":48,"
        "\"label\":\"cat\"}]}");
    value("{\"width\":100,\"height\":50,\"boxes\":[{\"x\":91,\"y\":2,\"width\":10,\"height\":4,"
          "\"label\":\"cat\"}]}",
          -1, "does not lie in a picture of 100 x 50");
    value("{\"width\":0,\"height\":50,\"boxes\":[]}", -1, "picture of 0 x 50");
    value("{\"boxes\":[]}", -1, "\"width\"");
    value("{\"width\":9,\"height\":50}", -1, "list of parts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tasks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("label_task", tests, NULL, NULL);
}
