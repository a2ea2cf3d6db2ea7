/* Recipes: what is read, what is refused and how, and that printing reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "train/recipe.h"

static struct ml_arena arena;

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

static struct ml_recipe parse(const char *text)
{
    struct ml_recipe r;
    struct ml_error err = {0};
    if (ml_recipe_parse(&r, &arena, text, strlen(text), "r.yaml", &err) < 0)
        fail_msg("%s", err.message);
    return r;
}

static void refuse(const char *text, const char *message)
{
    struct ml_recipe r, before;
    struct ml_error err = {0};
    memset(&r, 7, sizeof r);
    before = r;
    assert_int_equal(ml_recipe_parse(&r, &arena, text, strlen(text), "r.yaml", &err),
                     ML_ERR_FORMAT);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    assert_null(strchr(err.message, '\n'));
    assert_memory_equal(&r, &before, sizeof r);
}

static void reads_every_type(void **state)
{
    struct ml_recipe r = parse("name: 唐诗\n"
                               "data:\n"
                               "  template: \"《{title}》\\n{text}\"\n"
                               "  require: [title, text]\n"
                               "  packing: documents\n"
                               "  dedup: false\n"
                               "train:\n"
                               "  steps: 2000\n"
                               "  lr: 1e-3\n"
                               "  optimizer: muon\n");
    assert_string_equal(r.name, "唐诗");
    assert_string_equal(r.data.template, "《{title}》\n{text}");
    assert_int_equal(r.data.require.count, 2);
    assert_string_equal(r.data.require.items[1], "text");
    assert_int_equal(r.data.packing, ML_PACK_DOCUMENTS);
    assert_false(r.data.dedup);
    assert_int_equal(r.train.steps, 2000);
    assert_true(r.train.lr == 1e-3);
    assert_int_equal(r.train.optimizer, 1);
    assert_true(r.train.beta2 == 0.95); /* a default */
    assert_string_equal(r.tokenizer.special.items[0], "<|endoftext|>");
}

static void empty_recipe_is_the_defaults(void **state)
{
    struct ml_recipe r = parse(""), d;
    struct ml_error err = {0};
    assert_int_equal(ml_recipe_init(&d, &arena, &err), 0);
    assert_null(ml_recipe_difference(&r, &d));
    r = parse("train:\nname: x\n"); /* an empty section, a key with nothing */
    assert_null(ml_recipe_difference(&r, &d));
}

static void typos_get_the_nearest_key(void **state)
{
    refuse("train:\n  lr: 1\n  lerning_rate: 2\n", "r.yaml:3: unknown key train.lerning_rate");
    refuse("train:\n  wieght_decay: 2\n", "did you mean train.weight_decay?");
    refuse("trian:\n  lr: 1\n", "r.yaml:1: unknown key trian, did you mean train?");
    refuse("lr: 1\n", "unknown key lr, did you mean train.lr?");
    refuse("model:\n  dropuot: 0.1\n", "did you mean model.dropout?");
    refuse("model:\n  vocab: 100\n", "did you mean tokenizer.vocab?");
    refuse("名字: x\n", "docs/recipe.md");
    refuse("train:\n  optimizer: muno\n", "did you mean muon?");
    refuse("train:\n  schedule: exponential\n", "one of: cosine, constant, linear, wsd");
}

static void values_are_checked(void **state)
{
    refuse("train:\n  lr: fast\n", "r.yaml:2: train.lr must be a number, not \"fast\"");
    refuse("train:\n  lr: -1\n", "train.lr is -1, but must be from 0 to 10");
    refuse("train:\n  lr: .nan\n", "must be a number");
    refuse("train:\n  lr: nan\n", "must be a number");
    refuse("train:\n  steps: 1.5\n", "train.steps must be a whole number");
    refuse("train:\n  steps: 99999999999999999999\n", "train.steps");
    refuse("data:\n  validation: 0.9\n", "from 0 to 0.5");
    refuse("data:\n  dedup: perhaps\n", "true or false");
    refuse("data:\n  copies: 0\n", "from 1 to 100");
    refuse("train:\n  steps: [1, 2]\n", "one value");
    refuse("data:\n  require: {a: b}\n", "list");
    refuse("train: 5\n", "section");
    refuse("- a\n- b\n", "map of keys");
    refuse("train:\n  lr: 1\n  lr: 2\n", "r.yaml:3: the key 'lr' stands here again");
}

static void overrides(void **state)
{
    struct ml_error err = {0};
    struct ml_recipe r = parse("");
    assert_int_equal(ml_recipe_set(&r, &arena, "train.lr=0.5", &err), 0);
    assert_int_equal(ml_recipe_set(&r, &arena, "name=故事=x", &err), 0);
    assert_int_equal(ml_recipe_set(&r, &arena, "data.require=title, text", &err), 0);
    assert_true(r.train.lr == 0.5);
    assert_string_equal(r.name, "故事=x");
    assert_int_equal(r.data.require.count, 2);
    assert_string_equal(r.data.require.items[1], "text");
    const char *bad[] = {"train.lr", "=1", "train.lrr=1", "train.lr=x", "lr=1", ""};
    const char *says[] = {"section.key=value", "section.key=value", "did you mean train.lr?",
                          "must be a number",  "train.lr?",         "section.key=value"};
    for (int i = 0; i < 6; i++) {
        memset(&err, 0, sizeof err);
        assert_int_equal(ml_recipe_set(&r, &arena, bad[i], &err), ML_ERR_ARG);
        if (!strstr(err.message, says[i]))
            fail_msg("\"%s\" does not say \"%s\"", err.message, says[i]);
    }
}

static void what_is_printed_reads_back(void **state)
{
    struct ml_error err = {0};
    struct ml_recipe r =
        parse("name: \"a \\\"quoted\\\" # name\"\n"
              "data: {template: \"line\\nline\\ttab\\\\ 中\", require: [\"a, b\", c]}\n"
              "train: {lr: 0.1, eps: 1.2345678901234567e-9, precision: bf16}\n");
    struct ml_buffer text = {0};
    assert_int_equal(ml_recipe_print(&r, &text, &err), 0);
    struct ml_recipe again = parse(text.data);
    assert_null(ml_recipe_difference(&r, &again));
    assert_string_equal(r.name, again.name);
    char a[65], b[65];
    ml_recipe_hash(&r, false, a);
    ml_recipe_hash(&again, false, b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 64);
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    for (int i = 0; i < count; i++)
        assert_non_null(strstr(text.data, fields[i].what));
    ml_buffer_clear(&text);
}

static void free_fields_do_not_count(void **state)
{
    struct ml_recipe a = parse(""),
                     b = parse("name: other\ntrain: {keep: 5, checkpoint_every: 7}\n");
    char x[65], y[65];
    assert_null(ml_recipe_difference(&a, &b));
    ml_recipe_hash(&a, true, x);
    ml_recipe_hash(&b, true, y);
    assert_string_equal(x, y);
    ml_recipe_hash(&b, false, y);
    assert_string_not_equal(x, y);
    struct ml_recipe c = parse("train: {seed: 2}\n");
    assert_string_equal(ml_recipe_difference(&a, &c)->name, "train.seed");
    ml_recipe_hash(&c, true, y);
    assert_string_not_equal(x, y);
}

static void the_reference_names_every_field(void **state)
{
    struct ml_error err = {0};
    struct ml_buffer text = {0};
    char key[80];
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    assert_int_equal(ml_recipe_document(&text, &err), 0);
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "| `%s` |", fields[i].name);
        assert_non_null(strstr(text.data, key));
    }
    ml_buffer_clear(&text);
}

static void open_values_follow_the_data(void **state)
{
    struct ml_error err = {0};
    struct ml_recipe r = parse("");
    struct ml_recipe_facts facts = {.bytes = 1000000};
    assert_int_equal(ml_recipe_resolve(&r, &facts, &err), 0);
    assert_int_equal(r.tokenizer.vocab, 2048);
    assert_int_equal(r.model.layers, 0);
    facts.tokens = 300000;
    assert_int_equal(ml_recipe_resolve(&r, &facts, &err), 0);
    assert_int_equal(r.model.layers, 4);
    assert_int_equal(r.model.width, 128);
    assert_int_equal(r.model.heads, 4);
    assert_int_equal(r.model.head_dim, 32);
    assert_int_equal(r.model.ffn, 352);
    assert_int_equal(r.train.context, 256);
    assert_int_equal(r.train.batch, 16);
    assert_int_equal(ml_recipe_set_steps(&r, 1172, 0, &err), 0);
    assert_int_equal(r.train.steps, 733);
    assert_int_equal(r.train.warmup, 14);
    struct ml_recipe same = r; /* nothing is left open */
    assert_int_equal(ml_recipe_resolve(&r, &facts, &err), 0);
    assert_int_equal(ml_recipe_set_steps(&r, 5, 0, &err), 0);
    assert_null(ml_recipe_difference(&r, &same));

    r = parse("train: {minutes: 2, batch: 4}\n");
    assert_int_equal(ml_recipe_set_steps(&r, 100, 0, &err), 0);
    assert_int_equal(r.train.steps, 0); /* not known before a step was timed */
    assert_int_equal(ml_recipe_set_steps(&r, 100, 0.5, &err), 0);
    assert_int_equal(r.train.steps, 240);
}

static void impossible_shapes_are_refused(void **state)
{
    const char *bad[] = {"model: {heads: 6, kv_heads: 4}\n", "model: {width: 100, heads: 4}\n",
                         "model: {context: 64}\ntrain: {context: 128}\n"};
    const char *says[] = {"kv_heads", "head_dim is 25", "train.context"};
    struct ml_recipe_facts facts = {.bytes = 1000, .tokens = 1000};
    for (int i = 0; i < 3; i++) {
        struct ml_error err = {0};
        struct ml_recipe r = parse(bad[i]);
        assert_int_equal(ml_recipe_resolve(&r, &facts, &err), ML_ERR_ARG);
        if (!strstr(err.message, says[i]))
            fail_msg("\"%s\" does not say \"%s\"", err.message, says[i]);
    }
}

static void every_failed_allocation_is_reported(void **state)
{
    const char *text = "name: x\ndata: {require: [a, b], template: \"t\"}\ntrain: {lr: 0.1}\n";
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_error err = {0};
        struct ml_recipe r;
        struct ml_arena own;
        ml_arena_init(&own, 64);
        ml_mem_fail_at(n);
        int status = ml_recipe_parse(&r, &own, text, strlen(text), "r.yaml", &err);
        ml_mem_fail_at(0);
        ml_arena_clear(&own);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_true(err.message[0] != 0);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(reads_every_type),
        CASE(empty_recipe_is_the_defaults),
        CASE(typos_get_the_nearest_key),
        CASE(values_are_checked),
        CASE(overrides),
        CASE(what_is_printed_reads_back),
        CASE(free_fields_do_not_count),
        CASE(the_reference_names_every_field),
        CASE(open_values_follow_the_data),
        CASE(impossible_shapes_are_refused),
        CASE(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
