#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/yaml.h"

static struct ml_arena arena;

static int setup(void **state)
{
    ml_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    ml_arena_clear(&arena);
    return 0;
}

static struct ml_yaml *parse(const char *text)
{
    struct ml_yaml *root = NULL;
    struct ml_error err = {0};
    if (ml_yaml_parse(&arena, text, strlen(text), "r.yaml", &root, &err) != 0)
        fail_msg("%s", err.message);
    return root;
}

static void refuse(const char *text, int code, const char *message)
{
    struct ml_yaml untouched, *root = &untouched;
    struct ml_error err = {0};
    assert_int_equal(ml_yaml_parse(&arena, text, strlen(text), "r.yaml", &root, &err), code);
    assert_ptr_equal(root, &untouched);
    if (!strstr(err.message, message))
        fail_msg("'%s' does not say '%s'", err.message, message);
}

static void a_tree_with_lines(void **state)
{
    const struct ml_yaml *root = parse("# a recipe\n"
                                       "model:\n"
                                       "  layers: 4\n"
                                       "  name: \"4\"\n"
                                       "data: [a, 'b c', 3]\n"
                                       "text: |\n"
                                       "  one\n"
                                       "  two\n");
    assert_int_equal(root->kind, ML_YAML_MAP);
    const struct ml_yaml *model = ml_yaml_get(root, "model");
    assert_int_equal(model->kind, ML_YAML_MAP);
    assert_int_equal(model->line, 2);
    const struct ml_yaml *layers = ml_yaml_get(model, "layers");
    assert_string_equal(layers->text, "4");
    assert_string_equal(layers->key, "layers");
    assert_int_equal(layers->line, 3);
    assert_int_equal(layers->column, 11);
    assert_false(layers->quoted);
    assert_true(ml_yaml_get(model, "name")->quoted);
    const struct ml_yaml *data = ml_yaml_get(root, "data");
    assert_int_equal(data->kind, ML_YAML_LIST);
    assert_string_equal(data->first->next->text, "b c");
    assert_null(data->first->key);
    assert_null(data->first->next->next->next);
    assert_string_equal(ml_yaml_get(root, "text")->text, "one\ntwo\n");
    assert_null(ml_yaml_get(root, "nothing"));
    assert_null(ml_yaml_get(layers, "not a map"));
    assert_null(ml_yaml_get(NULL, "x"));
}

static void empty_documents_are_empty_maps(void **state)
{
    static const char *const rows[] = {"", "\n\n", "# only a comment\n", "---\n", "---\n...\n"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ml_yaml *root = parse(rows[i]);
        assert_int_equal(root->kind, ML_YAML_MAP);
        assert_null(root->first);
    }
    assert_null(parse("{}")->first);
    assert_string_equal(ml_yaml_get(parse("key:\n"), "key")->text, "");
}

static void the_same_key_twice_names_both_lines(void **state)
{
    refuse("seed: 1\nwidth: 2\nseed: 3\n", ML_ERR_FORMAT,
           "r.yaml:3: the key 'seed' stands here again; line 1 has it first");
}

static void aliases_and_tags_are_refused(void **state)
{
    refuse("a: &x 1\nb: *x\n", ML_ERR_FORMAT, "r.yaml:1: anchors");
    refuse("a: *x\n", ML_ERR_FORMAT, "r.yaml:1: anchors");
    refuse("a: 1\nb: !!int 2\n", ML_ERR_FORMAT, "r.yaml:2: tags");
    refuse("a: !python/object {}\n", ML_ERR_FORMAT, "tags");
    refuse("a: &l [1]\n", ML_ERR_FORMAT, "anchors");
    refuse("!x {a: 1}\n", ML_ERR_FORMAT, "tags");
}

static void broken_yaml_names_its_line(void **state)
{
    refuse("a: 1\nb: [1, 2\nc: 3\n", ML_ERR_FORMAT, "r.yaml:");
    refuse("a: 1\n\tb: 2\n", ML_ERR_FORMAT, "r.yaml:2: ");
    refuse("a: \"open\n", ML_ERR_FORMAT, "r.yaml:");
    refuse("a: \xff\xfe\n", ML_ERR_FORMAT, "not readable as YAML");
    refuse("a: \"x\\0y\"\n", ML_ERR_FORMAT, "NUL");
    refuse("[1, 2]: 3\n", ML_ERR_FORMAT, "a key must be a word");
    refuse("a: 1\n---\nb: 2\n", ML_ERR_FORMAT, "r.yaml:2: a second document");
}

static void limits_of_depth_and_size(void **state)
{
    char deep[64] = "";
    for (int i = 0; i < 16; i++)
        strcat(deep, "[");
    for (int i = 0; i < 16; i++)
        strcat(deep, "]");
    parse(deep);
    strcpy(deep, "");
    for (int i = 0; i < 18; i++)
        strcat(deep, "[");
    refuse(deep, ML_ERR_LIMIT, "nested deeper than 16");
    static char wide[30002];
    for (int i = 0; i < 10000; i++)
        memcpy(wide + 3 * i, "- \n", 3);
    refuse(wide, ML_ERR_LIMIT, "more than 10000 values");
    wide[3 * 9999] = '\0';
    parse(wide);
}

static void every_allocation_may_fail(void **state)
{
    static const char text[] = "a: {b: [1, 2, {c: d}]}\ne: f\n";
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_arena small;
        struct ml_yaml *root = NULL;
        struct ml_error err = {0};
        ml_arena_init(&small, 1); /* each request is an allocation of its own */
        ml_mem_fail_at(n);
        int status = ml_yaml_parse(&small, text, strlen(text), "r.yaml", &root, &err);
        ml_mem_fail_at(0);
        ml_arena_clear(&small);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_non_null(strstr(err.message, "out of memory"));
        assert_null(root);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_with_lines),
        cmocka_unit_test(empty_documents_are_empty_maps),
        cmocka_unit_test(the_same_key_twice_names_both_lines),
        cmocka_unit_test(aliases_and_tags_are_refused),
        cmocka_unit_test(broken_yaml_names_its_line),
        cmocka_unit_test(limits_of_depth_and_size),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("yaml", tests, setup, teardown);
}
