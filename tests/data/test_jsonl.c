#include "scratch.h"

#include "data/jsonl.h"

static void good(const char *line, const char *text, const char *title, const char *meta)
{
    struct ml_arena arena;
    struct ml_jsonl parsed;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    assert_ok(ml_jsonl_parse(&parsed, &arena, line, strlen(line), &err), err);
    if (!parsed.good)
        fail_msg("%s: %s", line, parsed.problem);
    assert_string_equal(parsed.text, text);
    assert_int_equal(parsed.size, strlen(text));
    assert_string_equal(parsed.title, title);
    assert_string_equal(parsed.meta, meta);
    ml_arena_clear(&arena);
}

static void bad(const char *line, const char *problem)
{
    struct ml_arena arena;
    struct ml_jsonl parsed;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    assert_ok(ml_jsonl_parse(&parsed, &arena, line, strlen(line), &err), err);
    assert_false(parsed.good);
    if (!strstr(parsed.problem, problem))
        fail_msg("%s: \"%s\" does not say \"%s\"", line, parsed.problem, problem);
    assert_null(strchr(parsed.problem, '\n'));
    ml_arena_clear(&arena);
}

static void records(void **state)
{
    good("{\"text\": \"a\"}", "a", "", "{}");
    good("{\"title\": \"帝京篇\", \"author\": \"太宗\", \"text\": \"秦川\\n函谷\"}", "秦川\n函谷",
         "帝京篇", "{\"author\":\"太宗\"}");
    good("{\"text\": [\"a\", \"b\"], \"year\": 712, \"weight\": 0.5, \"good\": true}", "a\nb", "",
         "{\"year\":712,\"weight\":0.5,\"good\":true}");
    good("{\"text\": \"a\\r\\nb\\rc\", \"moral\": null, \"tags\": [\"x\"]}", "a\nb\nc", "", "{}");
    good("{\"text\": \"a\", \"title\": 5}", "a", "", "{\"title\":5}");
}

static void no_records(void **state)
{
    bad("", "not valid JSON");
    bad("{\"text\": \"a\"", "not valid JSON");
    bad("{\"text\": \"a\"} x", "not valid JSON");
    bad("{\"text\": \"a\", \"text\": \"b\"}", "duplicate");
    bad("{\"text\": \"\\u0000\"}", "not valid JSON");
    bad("[1]", "not a JSON object");
    bad("5", "not a JSON object");
    bad("{\"title\": \"a\"}", "no field \"text\"");
    bad("{\"text\": 5}", "neither a string");
    bad("{\"text\": [\"a\", 5]}", "neither a string");
    bad("{\"text\": []}", "empty");
    bad("{\"text\": \" \\n\"}", "empty");
}

static void deep(void **state)
{
    char line[20000];
    memset(line, '[', sizeof line);
    line[sizeof line - 1] = '\0';
    bad(line, "not valid JSON");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),
        cmocka_unit_test(no_records),
        cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests_name("jsonl", tests, NULL, NULL);
}
