/* Files of tokenizers: what we write comes back, and every way a file can lie. */
#include "text_check.h"

/* A whole file with one part replaced. */
struct file_parts {
    const char *added, *pre, *normalizer, *model_extra, *vocab, *merges;
};

static const struct file_parts good = {
    "[{\"id\":4,\"content\":\"<|end|>\",\"special\":true}]",
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}",
    "null",
    "\"type\":\"BPE\"",
    "{\"a\":0,\"b\":1,\"Ġ\":2,\"ab\":3}",
    "[\"a b\"]",
};

static int parse_parts(struct file_parts p, struct ml_tokenizer **out, struct ml_error *err)
{
    struct ml_buffer text = {0};
    struct file_parts d = good;
    assert_int_equal(
        ml_buffer_printf(&text, err,
                         "{\"version\":\"1.0\",\"added_tokens\":%s,\"normalizer\":%s,"
                         "\"pre_tokenizer\":%s,\"model\":{%s,\"vocab\":%s,\"merges\":%s}}",
                         p.added ? p.added : d.added, p.normalizer ? p.normalizer : d.normalizer,
                         p.pre ? p.pre : d.pre, p.model_extra ? p.model_extra : d.model_extra,
                         p.vocab ? p.vocab : d.vocab, p.merges ? p.merges : d.merges),
        0);
    int code = ml_tokenizer_parse(out, text.data, text.size, "made.json", err);
    ml_buffer_clear(&text);
    return code;
}

static void ordinary_files(void **state)
{
    static const struct {
        struct file_parts parts;
        enum ml_pretokenizer which;
    } cases[] = {
        {{0}, ML_PRETOKENIZER_GPT2},
        {{.merges = "[[\"a\",\"b\"]]"}, ML_PRETOKENIZER_GPT2},
        {{.model_extra = "\"dropout\":null,\"continuing_subword_prefix\":\"\",\"unk_token\":null"},
         ML_PRETOKENIZER_GPT2}, /* GPT-2's own file has no type */
        {{.normalizer = "{\"type\":\"NFC\"}"}, ML_PRETOKENIZER_GPT2},
        {{.pre = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
                 "\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                 "\"use_regex\":true}]}"},
         ML_PRETOKENIZER_SMOLLM},
        {{.pre = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
                 "\"Regex\":\"[\\\\s\\\\S]\"},\"behavior\":\"Isolated\",\"invert\":false},{"
                 "\"type\":\"ByteLevel\",\"use_regex\":false}]}"},
         ML_PRETOKENIZER_CHAR},
        {{.vocab = "{\"a\":0,\"b\":1,\"Ġ\":2,\"ab\":3,\"<|end|>\":4}"}, ML_PRETOKENIZER_GPT2},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct ml_error err = {0};
        struct ml_tokenizer *t = NULL;
        struct ml_ids ids = {0};
        if (parse_parts(cases[i].parts, &t, &err) < 0)
            fail_msg("case %d: %s", i, err.message);
        assert_int_equal(ml_tokenizer_pretokenizer(t), cases[i].which);
        assert_int_equal(ml_tokenizer_size(t), 5);
        assert_int_equal(ml_tokenizer_special(t, "<|end|>"), 4);
        assert_int_equal(ml_tokenizer_encode(t, "b a<|end|>", 10, 1, &ids, &err), 0);
        static const int32_t expected[] = {1, 2, 0, 4};
        assert_int_equal(ids.count, 4);
        assert_memory_equal(ids.ids, expected, sizeof expected);
        ml_ids_clear(&ids);
        ml_tokenizer_free(t);
    }
}

static void hostile_files(void **state)
{
    static const struct {
        struct file_parts parts;
        int code;
        const char *part;
    } cases[] = {
        {{.vocab = "[]"}, ML_ERR_FORMAT, "must be an object"},
        {{.vocab = "{}"}, ML_ERR_FORMAT, "must be an object"},
        {{.vocab = "{\"a\":0,\"b\":\"1\"}", .added = "[]"}, ML_ERR_FORMAT, "no whole number"},
        {{.vocab = "{\"a\":0,\"b\":1.5}", .added = "[]"}, ML_ERR_FORMAT, "no whole number"},
        {{.vocab = "{\"a\":0,\"b\":-1}", .added = "[]"}, ML_ERR_FORMAT, "id -1"},
        {{.vocab = "{\"a\":0,\"b\":1000000000000}", .added = "[]"}, ML_ERR_FORMAT, "only 2 tokens"},
        {{.vocab = "{\"a\":0,\"b\":0}", .added = "[]"}, ML_ERR_FORMAT, "same id 0"},
        {{.vocab = "{\"a\":0,\"a\":1}"}, ML_ERR_FORMAT, "not valid JSON"},
        {{.vocab = "{\"a\":0,\"b\":1,\"ab\":2}"}, ML_ERR_FORMAT, "only 4 tokens"},
        {{.vocab = "{\"a\":0,\"b\":1,\"Ġ\":2,\"ab\":3,\"<|end|>\":5}",
          .added = "[{\"id\":5,\"content\":\"<|end|>\",\"special\":true}]"},
         ML_ERR_FORMAT,
         "no token has id 4"},
        {{.vocab = "{\"a\":0,\"b\":1,\"明\":2,\"ab\":3}"}, ML_ERR_FORMAT, "byte-level"},
        {{.vocab = "{\"a\":0,\"b\":1,\"\":2,\"ab\":3}"}, ML_ERR_FORMAT, "byte-level"},
        {{.merges = "{}"}, ML_ERR_FORMAT, "must be a list"},
        {{.merges = "[\"ab\"]"}, ML_ERR_FORMAT, "two tokens and a space"},
        {{.merges = "[\"a b c\"]"}, ML_ERR_FORMAT, "two tokens and a space"},
        {{.merges = "[[\"a\"]]"}, ML_ERR_FORMAT, "not a pair"},
        {{.merges = "[[\"a\",\"b\",\"a\"]]"}, ML_ERR_FORMAT, "not a pair"},
        {{.merges = "[7]"}, ML_ERR_FORMAT, "not a pair"},
        {{.merges = "[\"a z\"]"}, ML_ERR_FORMAT, "\"z\""},
        {{.merges = "[\"b a\"]"}, ML_ERR_FORMAT, "not in the vocabulary"},
        {{.merges = "[\"a b\",\"a b\"]"}, ML_ERR_FORMAT, "are the same"},
        {{.added = "[{\"id\":4}]"}, ML_ERR_FORMAT, "no content"},
        {{.added = "[{\"id\":4,\"content\":\"\"}]"}, ML_ERR_FORMAT, "no content"},
        {{.added = "[7]"}, ML_ERR_FORMAT, "no content"},
        {{.added = "[{\"id\":4,\"content\":\"x\",\"lstrip\":true}]"}, ML_ERR_UNSUPPORTED, "lstrip"},
        {{.added = "[{\"id\":4,\"content\":\"ab\"}]"}, ML_ERR_FORMAT, "same bytes"},
        {{.added = "[{\"id\":3,\"content\":\"ba\"}]"}, ML_ERR_FORMAT, "same id 3"},
        {{.added = "[{\"id\":3,\"content\":\"ab\",\"special\":true}]"},
         ML_ERR_FORMAT,
         "special token 3"},
        {{.normalizer = "{\"type\":\"Lowercase\"}"}, ML_ERR_UNSUPPORTED, "normalizer"},
        {{.model_extra = "\"type\":\"WordPiece\""}, ML_ERR_UNSUPPORTED, "WordPiece"},
        {{.model_extra = "\"byte_fallback\":true"}, ML_ERR_UNSUPPORTED, "byte_fallback"},
        {{.model_extra = "\"end_of_word_suffix\":\"</w>\""}, ML_ERR_UNSUPPORTED, "suffix"},
        {{.pre = "null"}, ML_ERR_UNSUPPORTED, "pre_tokenizer"},
        {{.pre = "{\"type\":\"Whitespace\"}"}, ML_ERR_UNSUPPORTED, "pre_tokenizer"},
        {{.pre = "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}"},
         ML_ERR_UNSUPPORTED,
         "add_prefix_space"},
        {{.pre = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
                 "\"Regex\":\"(a*)*b\"},\"behavior\":\"Isolated\",\"invert\":false},{"
                 "\"type\":\"ByteLevel\",\"use_regex\":false}]}"},
         ML_ERR_UNSUPPORTED,
         "(a*)*b"},
        {{.pre = "{\"type\":\"Sequence\",\"pretokenizers\":[1,2]}"},
         ML_ERR_UNSUPPORTED,
         "pre_tokenizer"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct ml_error err = {0};
        struct ml_tokenizer *t = NULL;
        int code = parse_parts(cases[i].parts, &t, &err);
        if (code != cases[i].code || !strstr(err.message, cases[i].part) ||
            strncmp(err.message, "made.json", 9) != 0)
            fail_msg("case %d: %d %s", i, code, err.message);
        assert_null(t);
    }
}

static void not_a_tokenizer(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "7", "{}", "{\"model\":7}", "\xff\xfe", "{\"model\":{}}"};
    for (int i = 0; i < COUNT(texts); i++) {
        struct ml_error err = {0};
        struct ml_tokenizer *t = NULL;
        int code = ml_tokenizer_parse(&t, texts[i], strlen(texts[i]), "x.json", &err);
        assert_true(code == ML_ERR_FORMAT || code == ML_ERR_UNSUPPORTED);
        assert_int_equal(strncmp(err.message, "x.json", 6), 0);
    }
    /* Deeper than any tokenizer. */
    char deep[8192];
    memset(deep, '[', sizeof deep);
    struct ml_error err = {0};
    struct ml_tokenizer *t = NULL;
    assert_int_equal(ml_tokenizer_parse(&t, deep, sizeof deep, "x.json", &err), ML_ERR_FORMAT);
}

static void no_such_file(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = NULL;
    assert_int_equal(ml_tokenizer_open(&t, "/nonexistent/tokenizer.json", &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent/tokenizer.json"));
}

static void check_same(const struct ml_tokenizer *a, const struct ml_tokenizer *b)
{
    assert_int_equal(ml_tokenizer_size(a), ml_tokenizer_size(b));
    assert_int_equal(ml_tokenizer_merge_count(a), ml_tokenizer_merge_count(b));
    assert_int_equal(ml_tokenizer_pretokenizer(a), ml_tokenizer_pretokenizer(b));
    for (int32_t id = 0; id < ml_tokenizer_size(a); id++) {
        size_t n, m;
        const char *x = ml_tokenizer_bytes(a, id, &n), *y = ml_tokenizer_bytes(b, id, &m);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
        assert_int_equal(ml_tokenizer_kind(a, id), ml_tokenizer_kind(b, id));
    }
    for (int32_t rank = 0; rank < ml_tokenizer_merge_count(a); rank++) {
        struct ml_merge_spec x = ml_tokenizer_merge(a, rank), y = ml_tokenizer_merge(b, rank);
        assert_true(x.left == y.left && x.right == y.right);
    }
}

static void temporary(char path[256], const char *name)
{
    const char *root = getenv("TMPDIR");
    snprintf(path, 256, "%s/maliang-text-%ld-%s", root ? root : "/tmp", (long)getpid(), name);
}

static void saved_and_opened(void **state)
{
    static const char *const specials[] = {"<|end|>", "<|题 \"目\"|>"};
    char path[256];
    temporary(path, "tokenizer.json");
    for (int which = 1; which < ML_PRETOKENIZER_COUNT; which++) {
        struct ml_tokenizer_training options = {.pretokenizer = (enum ml_pretokenizer)which,
                                                .merges = 200,
                                                .specials = specials,
                                                .special_count = 2};
        struct ml_error err = {0};
        struct ml_tokenizer *t = train_on(sample_text, sizeof sample_text - 1, &options);
        struct ml_tokenizer *again = NULL;
        if (ml_tokenizer_save(t, path, &err) < 0 || ml_tokenizer_open(&again, path, &err) < 0)
            fail_msg("%s", err.message);
        check_same(t, again);
        ml_tokenizer_free(again);
        ml_tokenizer_free(t);
    }
    unlink(path);
}

static int open_gpt2(const char *vocab, const char *merges, struct ml_tokenizer **out,
                     struct ml_error *err)
{
    char vocab_path[256], merges_path[256];
    temporary(vocab_path, "vocab.json");
    temporary(merges_path, "merges.txt");
    assert_int_equal(ml_file_write(vocab_path, vocab, strlen(vocab), NULL), 0);
    assert_int_equal(ml_file_write(merges_path, merges, strlen(merges), NULL), 0);
    int code = ml_tokenizer_open_gpt2(out, vocab_path, merges_path, err);
    unlink(vocab_path);
    unlink(merges_path);
    return code;
}

static void gpt2_pair_of_files(void **state)
{
    static const char vocab[] = "{\"a\":0,\"b\":1,\"Ġ\":2,\"#\":3,\"ab\":4,\"Ġab\":5,\"##\":6,"
                                "\"<|endoftext|>\":7,\"<|题|>\":8}";
    struct ml_error err = {0};
    struct ml_tokenizer *t = NULL;
    struct ml_ids ids = {0};
    if (open_gpt2(vocab, "#version: 0.2\na b\r\nĠ ab\n\n# #\n", &t, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(ml_tokenizer_merge_count(t), 3);
    assert_int_equal(ml_tokenizer_kind(t, 5), ML_TOKEN_NORMAL);
    assert_int_equal(ml_tokenizer_special(t, "<|endoftext|>"), 7);
    assert_int_equal(ml_tokenizer_special(t, "<|题|>"), 8);
    assert_int_equal(ml_tokenizer_encode(t, "ab ab##<|endoftext|>", 20, 1, &ids, &err), 0);
    static const int32_t expected[] = {4, 5, 6, 7};
    assert_int_equal(ids.count, 4);
    assert_memory_equal(ids.ids, expected, sizeof expected);
    ml_ids_clear(&ids);
    ml_tokenizer_free(t);
    static const struct {
        const char *vocab, *merges, *part;
    } bad[] = {
        {"{\"a\":0,\"b\":2}", "", "only 2 tokens"},
        {"{\"a\":0,\"b\":0}", "", "same id"},
        {"{\"a\":0,\"b\":1}", "a b\n", "not in the vocabulary"},
        {"{\"a\":0,\"b\":1}", "ab\n", "two tokens"},
        {"[]", "a b\n", "must be an object"},
        {"{\"a\":0,\"b\":1,\"ab\":\"x\"}", "a b\n", "no whole number"},
        {"no json", "", "not valid JSON"},
    };
    for (int i = 0; i < COUNT(bad); i++) {
        err = (struct ml_error){0};
        t = NULL;
        assert_true(open_gpt2(bad[i].vocab, bad[i].merges, &t, &err) < 0);
        assert_null(t);
        if (!strstr(err.message, bad[i].part))
            fail_msg("case %d: %s", i, err.message);
    }
}

static void config_for_transformers(void **state)
{
    static const char *const specials[] = {"<|end|>"};
    struct ml_tokenizer_training options = {.merges = 5, .specials = specials, .special_count = 1};
    struct ml_error err = {0};
    struct ml_tokenizer *t = train_on(sample_text, sizeof sample_text - 1, &options);
    char *text = NULL;
    assert_int_equal(ml_tokenizer_config_json(t, ml_tokenizer_special(t, "<|end|>"), &text, &err),
                     0);
    assert_non_null(strstr(text, "\"eos_token\": \"<|end|>\""));
    ml_mem_free(text);
    assert_int_equal(ml_tokenizer_config_json(t, -1, &text, &err), 0);
    assert_null(strstr(text, "eos_token"));
    ml_mem_free(text);
    ml_tokenizer_free(t);
}

/* What cannot be written is refused, not written wrongly. */
static void unwritable(void **state)
{
    struct ml_token_spec tokens[] = {{" ", 1, ML_TOKEN_NORMAL}, {"\xff\xff", 2, ML_TOKEN_CONTROL}};
    struct ml_tokenizer_spec spec = {.tokens = tokens, .token_count = 2};
    const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {{"\xff\xff", 2, "not UTF-8"}, {"a\0b", 3, "NUL"}, {"Ġ", 2, "spelt like"}};
    for (int i = 0; i < COUNT(cases); i++) {
        struct ml_error err = {0};
        struct ml_tokenizer *t = NULL;
        char *text = NULL;
        tokens[1].bytes = cases[i].bytes;
        tokens[1].size = cases[i].size;
        assert_int_equal(ml_tokenizer_new(&t, &spec, &err), 0);
        assert_int_equal(ml_tokenizer_json(t, &text, &err), ML_ERR_UNSUPPORTED);
        if (!strstr(err.message, cases[i].part))
            fail_msg("case %d: %s", i, err.message);
        ml_tokenizer_free(t);
    }
}

static void allocations_fail(void **state)
{
    struct ml_tokenizer_training options = {.merges = 20};
    struct ml_tokenizer *t = train_on(sample_text, sizeof sample_text - 1, &options);
    struct ml_mem_stats before, after;
    int code = ML_ERR_MEMORY;
    struct ml_error warm = {0};
    char *json = NULL;
    assert_int_equal(ml_tokenizer_json(t, &json, &warm), 0); /* jansson seeds its hash once */
    ml_mem_free(json);
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; code < 0; n++) {
        struct ml_error err = {0};
        struct ml_tokenizer *again = NULL;
        char *text = NULL, *config = NULL;
        ml_mem_fail_at(n);
        code = ml_tokenizer_json(t, &text, &err);
        if (code == 0)
            code = ml_tokenizer_parse(&again, text, strlen(text), "again", &err);
        if (code == 0)
            code = ml_tokenizer_config_json(t, 0, &config, &err);
        ml_mem_fail_at(0);
        if (code == 0)
            assert_true(n > 1000); /* each key and value is one */
        else if (code != ML_ERR_MEMORY || !strstr(err.message, "out of memory"))
            fail_msg("allocation %d: %d %s", (int)n, code, err.message);
        ml_mem_free(text);
        ml_mem_free(config);
        ml_tokenizer_free(again);
        ml_mem_get_stats(&after);
        if (after.live_blocks != before.live_blocks)
            fail_msg("allocation %d leaks", (int)n);
    }
    ml_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_files),          cmocka_unit_test(hostile_files),
        cmocka_unit_test(not_a_tokenizer),         cmocka_unit_test(no_such_file),
        cmocka_unit_test(saved_and_opened),        cmocka_unit_test(gpt2_pair_of_files),
        cmocka_unit_test(config_for_transformers), cmocka_unit_test(unwritable),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("tokenizer_file", tests, NULL, NULL);
}
