/* The same ids as Hugging Face's `tokenizers` (tools/golden/tokenizer.py). */
#include "text_check.h"

static char *golden_text;
static size_t golden_size;

static int load(void **state)
{
    struct ml_error err = {0};
    static struct ml_arena arena;
    ml_arena_init(&arena, 0);
    *state = &arena;
    return ml_file_read(&arena, GOLDEN_DIR "/tokenizer_ids.txt", 1 << 20, &golden_text,
                        &golden_size, &err);
}

static int unload(void **state)
{
    ml_arena_clear(*state);
    return 0;
}

static struct ml_tokenizer *open_golden(const char *name)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = NULL;
    char path[512];
    snprintf(path, sizeof path, GOLDEN_DIR "/tokenizer_%s.json", name);
    if (ml_tokenizer_open(&t, path, &err) < 0)
        fail_msg("%s", err.message);
    return t;
}

static size_t from_hex(const char *hex, size_t digits, char *out)
{
    for (size_t i = 0; i < digits; i += 2) {
        char two[3] = {hex[i], hex[i + 1], 0};
        out[i / 2] = (char)strtol(two, NULL, 16);
    }
    return digits / 2;
}

/* One line: name, hexadecimal text, ids. */
static void check_line(struct ml_encoder *encoder, const char *hex)
{
    char text[8192];
    struct ml_error err = {0};
    struct ml_ids ids = {0};
    const char *tab = strchr(hex, '\t');
    size_t size = from_hex(hex, (size_t)(tab - hex), text), i = 0;
    assert_int_equal(ml_encode(encoder, text, size, ML_ENCODE_SPECIAL, &ids, &err), 0);
    for (const char *at = tab + 1; *at && *at != '\n'; i++) {
        char *end;
        long id = strtol(at, &end, 10);
        if (i >= ids.count || ids.ids[i] != id)
            fail_msg("\"%.*s\": id %zu is %d, not %ld", (int)size, text, i,
                     i < ids.count ? ids.ids[i] : -1, id);
        at = *end == ' ' ? end + 1 : end;
    }
    assert_int_equal(i, ids.count);
    check_round_trip(ml_encoder_tokenizer(encoder), text, size, ML_ENCODE_SPECIAL);
    check_round_trip(ml_encoder_tokenizer(encoder), text, size, ML_ENCODE_PLAIN);
    ml_ids_clear(&ids);
}

static void check_all(struct ml_tokenizer *t, const char *name)
{
    struct ml_error err = {0};
    struct ml_encoder *encoder = NULL;
    size_t length = strlen(name);
    int lines = 0;
    assert_int_equal(ml_encoder_new(&encoder, t, &err), 0);
    for (const char *line = golden_text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == '\t') {
            check_line(encoder, line + length + 1);
            lines++;
        }
    }
    assert_true(lines > 20);
    ml_encoder_free(encoder);
}

static void ids_equal(const char *name)
{
    struct ml_tokenizer *t = open_golden(name), *again = NULL;
    struct ml_error err = {0};
    char *json = NULL;
    assert_string_equal(ml_pretokenizer_name(ml_tokenizer_pretokenizer(t)), name);
    assert_int_equal(ml_tokenizer_kind(t, ml_tokenizer_special(t, "<|title|>")), ML_TOKEN_CONTROL);
    assert_int_equal(ml_tokenizer_kind(t, ml_tokenizer_special(t, "你好呀")), ML_TOKEN_USER);
    check_all(t, name);
    /* And so does the file that we write of it. */
    assert_int_equal(ml_tokenizer_json(t, &json, &err), 0);
    assert_int_equal(ml_tokenizer_parse(&again, json, strlen(json), "again", &err), 0);
    check_all(again, name);
    ml_mem_free(json);
    ml_tokenizer_free(again);
    ml_tokenizer_free(t);
}

static void qwen2(void **state)
{
    ids_equal("qwen2");
}

static void gpt2(void **state)
{
    ids_equal("gpt2");
}

static void characters(void **state)
{
    ids_equal("char");
}

static void smollm(void **state)
{
    ids_equal("smollm");
}

static void llama3(void **state)
{
    ids_equal("llama3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qwen2),  cmocka_unit_test(gpt2),   cmocka_unit_test(characters),
        cmocka_unit_test(smollm), cmocka_unit_test(llama3),
    };
    return cmocka_run_group_tests_name("tokenizer_golden", tests, load, unload);
}
