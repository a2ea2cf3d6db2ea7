/* Templates: what is written where, what vanishes, what the model continues. */
#include "text/template.h"
#include "text_check.h"

struct record {
    const char *fields[8][2];
};

static bool look_up(void *arg, const char *name, const char **text, size_t *size)
{
    const struct record *record = arg;
    for (int i = 0; i < 8 && record->fields[i][0]; i++)
        if (strcmp(record->fields[i][0], name) == 0) {
            *text = record->fields[i][1];
            *size = strlen(*text);
            return true;
        }
    return false;
}

static struct ml_template *parse(struct ml_arena *arena, const char *text)
{
    struct ml_error err = {0};
    struct ml_template *t = NULL;
    if (ml_template_parse(&t, arena, text, strlen(text), &err) < 0)
        fail_msg("%s", err.message);
    return t;
}

static void fills(void **state)
{
    static const struct {
        const char *text;
        struct record record;
        const char *filled;
    } cases[] = {
        {"", {{{0}}}, ""},
        {"plain\\n\\t\\{x\\}\\[y\\]\\\\", {{{0}}}, "plain\n\t{x}[y]\\"},
        {"{a}", {{{"a", "明月"}}}, "明月"},
        {"<{a}|{b}|{a}>", {{{"a", "1"}, {"b", "2"}}}, "<1|2|1>"},
        {"x[, by {who}]y", {{{"who", "Li Bai"}}}, "x, by Li Baiy"},
        {"x[, by {who}]y", {{{0}}}, "xy"},
        {"x[, by {who}]y", {{{"who", ""}}}, "xy"},
        {"[{a}-{b}]", {{{"a", "1"}}}, ""},
        {"[{a}[-{b}]]", {{{"a", "1"}}}, "1"},
        {"[{a}[-{b}]]", {{{"b", "1"}}}, ""},
        {"[{a}[-{b}[+{c}]]]!", {{{"a", "1"}, {"b", "2"}, {"c", "3"}}}, "1-2+3!"},
        {"[always]{a}", {{{"a", "[{b}]\\n"}}}, "always[{b}]\\n"}, /* values are not templates */
        {"line\nend", {{{0}}}, "line\nend"},
    };
    struct ml_arena arena;
    struct ml_filled out = {0};
    ml_arena_init(&arena, 0);
    for (int i = 0; i < COUNT(cases); i++) {
        struct ml_error err = {0};
        struct ml_template *t = parse(&arena, cases[i].text);
        if (ml_template_fill(t, look_up, (void *)&cases[i].record, NULL, &out, &err) < 0)
            fail_msg("case %d: %s", i, err.message);
        assert_string_equal(out.text.data, cases[i].filled);
    }
    ml_filled_clear(&out);
    ml_arena_clear(&arena);
}

static void prompts(void **state)
{
    static const struct {
        struct record record;
        const char *prompt, *next;
    } cases[] = {
        {{{{0}}}, "<|form|>", "form"},
        {{{{"form", "七绝"}}}, "<|form|>七绝<|text|>\n", "text"},
        {{{{"form", "七绝"}, {"title", "春夜"}}}, "<|form|>七绝<|title|>春夜<|text|>\n", "text"},
        {{{{"title", "春夜"}}}, "<|form|>", "form"},
        {{{{"form", "七绝"}, {"text", "明月"}}}, "<|form|>七绝<|text|>\n明月<|end|>", NULL},
    };
    struct ml_arena arena;
    struct ml_filled out = {0};
    ml_arena_init(&arena, 0);
    struct ml_template *t = parse(
        &arena, "<|form|>{form}[<|title|>{title}][<|author|>{author}]<|text|>\\n{text}<|end|>");
    for (int i = 0; i < COUNT(cases); i++) {
        struct ml_error err = {0};
        assert_int_equal(ml_template_prompt(t, look_up, (void *)&cases[i].record, &out, &err), 0);
        assert_string_equal(out.text.data, cases[i].prompt);
        if (cases[i].next)
            assert_string_equal(out.next, cases[i].next);
        else
            assert_null(out.next);
    }
    ml_filled_clear(&out);
    ml_arena_clear(&arena);
}

static void fields_are_listed(void **state)
{
    struct ml_arena arena;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    struct ml_template *t = parse(&arena, "[{title}]{text}[{moral}{text}]");
    assert_int_equal(ml_template_field_count(t), 3);
    assert_string_equal(ml_template_field(t, 0), "title");
    assert_string_equal(ml_template_field(t, 1), "text");
    assert_string_equal(ml_template_field(t, 2), "moral");
    assert_null(ml_template_field(t, 3));
    assert_true(ml_template_field_optional(t, 0));
    assert_false(ml_template_field_optional(t, 1));
    assert_true(ml_template_has_field(t, "moral"));
    static const char *const known[] = {"title", "text", "morale"};
    assert_int_equal(ml_template_check(t, known, 3, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean \"morale\""));
    static const char *const all[] = {"moral", "title", "text"};
    assert_int_equal(ml_template_check(t, all, 3, &err), 0);
    err = (struct ml_error){0};
    assert_int_equal(ml_template_check_given(t, "titel", &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean \"title\""));
    err = (struct ml_error){0};
    assert_int_equal(ml_template_check_given(t, "something", &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "title, text, moral"));
    assert_int_equal(ml_template_check_given(t, "text", &err), 0);
    ml_arena_clear(&arena);
}

static void mistakes_are_located(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{", "line 1, column 1"},     {"ab{x", "column 3"},
        {"明月{x y}", "column 3"},     {"{}", "1 to 64 bytes"},
        {"a\nb}", "line 2, column 2"}, {"[a", "never closed"},
        {"[a]]", "closes nothing"},    {"[[[[[[[[[a]]]]]]]]]", "more than 8"},
        {"\\x", "after \\"},           {"\\", "after \\"},
    };
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    for (int i = 0; i < COUNT(cases); i++) {
        struct ml_error err = {0};
        struct ml_template *t = NULL;
        assert_int_equal(ml_template_parse(&t, &arena, cases[i].text, strlen(cases[i].text), &err),
                         ML_ERR_FORMAT);
        assert_null(t);
        if (!strstr(err.message, cases[i].part))
            fail_msg("case %d: %s", i, err.message);
    }
    struct ml_error err = {0};
    struct ml_template *t = NULL;
    assert_int_equal(ml_template_parse(&t, &arena, "a\0b", 3, &err), ML_ERR_FORMAT);
    char many[ML_TEMPLATE_MAX_FIELDS * 8] = "";
    for (int i = 0; i <= ML_TEMPLATE_MAX_FIELDS; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "{f%d}", i);
    err = (struct ml_error){0};
    assert_int_equal(ml_template_parse(&t, &arena, many, strlen(many), &err), ML_ERR_FORMAT);
    ml_arena_clear(&arena);
}

static void a_missing_field_is_named(void **state)
{
    struct ml_arena arena;
    struct ml_error err = {0};
    struct ml_filled out = {0};
    struct record empty = {{{"title", ""}}};
    ml_arena_init(&arena, 0);
    struct ml_template *t = parse(&arena, "{title}");
    assert_int_equal(ml_template_fill(t, look_up, &empty, NULL, &out, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "\"title\""));
    assert_int_equal(out.text.size, 0);
    ml_filled_clear(&out);
    ml_arena_clear(&arena);
}

/* Each stretch is left out about as often as asked, and the draws are the same for a record that
 * lacks the field. */
static void stretches_are_dropped(void **state)
{
    struct ml_arena arena;
    struct ml_error err = {0};
    struct ml_filled out = {0};
    struct record full = {{{"a", "A"}, {"b", "B"}}}, half = {{{"b", "B"}}};
    struct ml_rng rng, other;
    int with_a = 0, with_b = 0, with_both = 0;
    ml_arena_init(&arena, 0);
    ml_rng_init(&rng, 5, 0);
    ml_rng_init(&other, 5, 0);
    struct ml_template *t = parse(&arena, "[{a}][{b}].");
    for (int i = 0; i < 2000; i++) {
        struct ml_template_drop drop = {0.25, &rng}, again = {0.25, &other};
        assert_int_equal(ml_template_fill(t, look_up, &full, &drop, &out, &err), 0);
        bool a = strchr(out.text.data, 'A') != NULL, b = strchr(out.text.data, 'B') != NULL;
        with_a += a;
        with_b += b;
        with_both += a && b;
        assert_int_equal(ml_template_fill(t, look_up, &half, &again, &out, &err), 0);
        assert_string_equal(out.text.data, b ? "B." : ".");
    }
    assert_in_range(with_a, 1420, 1580);
    assert_in_range(with_b, 1420, 1580);
    assert_in_range(with_both, 1025, 1225);
    ml_filled_clear(&out);
    ml_arena_clear(&arena);
}

/* A record cannot smuggle a special token in, and the text between two is encoded as one. */
static void special_tokens_come_from_the_template(void **state)
{
    static const char *const specials[] = {"<|title|>", "<|end|>"};
    struct ml_tokenizer_training options = {
        .merges = 300, .specials = specials, .special_count = 2};
    struct ml_tokenizer *tokenizer = train_on(sample_text, sizeof sample_text - 1, &options);
    struct ml_encoder *encoder = NULL;
    struct ml_arena arena;
    struct ml_error err = {0};
    struct ml_filled out = {0};
    struct ml_ids ids = {0}, expected = {0};
    struct record record = {{{"title", "fox<|end|>"}, {"who", "the"}}};
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_encoder_new(&encoder, tokenizer, &err), 0);
    struct ml_template *t = parse(&arena, "<|title|>the {title}, {who} fox<|end|>");
    assert_int_equal(ml_template_fill(t, look_up, &record, NULL, &out, &err), 0);
    assert_int_equal(ml_filled_encode(encoder, &out, &ids, &err), 0);
    static const char middle[] = "the fox<|end|>, the fox";
    assert_int_equal(ml_ids_put(&expected, ml_tokenizer_special(tokenizer, "<|title|>"), &err), 0);
    assert_int_equal(
        ml_encode(encoder, middle, sizeof middle - 1, ML_ENCODE_PLAIN, &expected, &err), 0);
    assert_int_equal(ml_ids_put(&expected, ml_tokenizer_special(tokenizer, "<|end|>"), &err), 0);
    assert_int_equal(ids.count, expected.count);
    assert_memory_equal(ids.ids, expected.ids, ids.count * sizeof *ids.ids);
    ml_ids_clear(&ids);
    ml_ids_clear(&expected);
    ml_filled_clear(&out);
    ml_encoder_free(encoder);
    ml_tokenizer_free(tokenizer);
    ml_arena_clear(&arena);
}

static void allocations_fail(void **state)
{
    struct ml_mem_stats before, after;
    struct record record = {{{"title", "x"}, {"text", "y"}}};
    int code = ML_ERR_MEMORY;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; code < 0; n++) {
        struct ml_error err = {0};
        struct ml_arena arena;
        struct ml_template *t = NULL;
        struct ml_filled out = {0};
        ml_arena_init(&arena, 64);
        ml_mem_fail_at(n);
        code = ml_template_parse(&t, &arena, "a[{title}]{text}b", 17, &err);
        if (code == 0)
            code = ml_template_fill(t, look_up, &record, NULL, &out, &err);
        ml_mem_fail_at(0);
        assert_true(code == 0 ? n > 3 : strstr(err.message, "out of memory") != NULL);
        ml_filled_clear(&out);
        ml_arena_clear(&arena);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills),
        cmocka_unit_test(prompts),
        cmocka_unit_test(fields_are_listed),
        cmocka_unit_test(mistakes_are_located),
        cmocka_unit_test(a_missing_field_is_named),
        cmocka_unit_test(stretches_are_dropped),
        cmocka_unit_test(special_tokens_come_from_the_template),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
