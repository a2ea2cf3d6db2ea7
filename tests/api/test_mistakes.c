/* What people get wrong and what files from elsewhere hold: one clear message each. */
#include <math.h>

#include "round.h"

static struct round r;
static char model[ROUND_PATH], damaged[ROUND_PATH];

static int setup(void **state)
{
    struct ml_collect_result collected;
    struct ml_train_result trained;
    struct ml_error err = {0};
    round_open(&r, NULL);
    round_path(&r, "workspace/runs/tiny/model", model);
    round_path(&r, "damaged", damaged);
    round_ok(round_collect(&r, r.texts, "tales", &collected, &err), err);
    round_ok(round_train(&r, NULL, NULL, NULL, &trained, &err), err);
    return 0;
}

static int teardown(void **state)
{
    round_close(&r);
    return 0;
}

static void an_engine_that_cannot_be(void **state)
{
    struct ml_engine *engine = NULL;
    struct ml_error err = {0};
    const struct ml_engine_options isa = {.isa = "avx215"}, threads = {.threads = -1};
    round_fails(ml_engine_open(&engine, &isa, &err), ML_ERR_ARG, "did you mean avx", err);
    int status = ml_engine_open(&engine, &threads, &err); /* as many as there are, or a refusal */
    assert_true(status == 0 || err.message[0]);
    ml_engine_close(engine);
    ml_engine_close(NULL);
}

static void nothing_to_collect(void **state)
{
    struct ml_collect_result result = {.added = 77};
    struct ml_error err = {0};
    char path[ROUND_PATH];
    struct ml_collect_request request = {.paths = (const char *const[]){path}, .path_count = 1};
    round_ok(ml_dir_make(round_path(&r, "empty", path), &err), err);
    round_fails(round_collect(&r, path, "x", &result, &err), ML_ERR_NOT_FOUND, "empty", err);
    round_fails(ml_engine_collect(r.engine, &request, &result, &err), ML_ERR_ARG, "workspace", err);
    request = (struct ml_collect_request){.workspace = r.workspace};
    round_fails(ml_engine_collect(r.engine, &request, &result, &err), ML_ERR_ARG, "path", err);
    round_ok(ml_dir_make(round_path(&r, "binary", path), &err), err);
    round_put(round_path(&r, "binary/a", path), "\0\1\2\0\377", 5);
    round_put(round_path(&r, "binary/b.txt", path), "\177ELF\2\1\1\0\0\0\0", 11);
    round_path(&r, "binary", path);
    round_fails(round_collect(&r, path, "x", &result, &err), ML_ERR_NOT_FOUND, "binary", err);
    round_path(&r, "nowhere", path);
    round_fails(round_collect(&r, path, "x", &result, &err), ML_ERR_NOT_FOUND, "nowhere", err);
    round_fails(round_collect(&r, r.texts, "a/b", &result, &err), ML_ERR_ARG, "a/b", err);
    struct round other = r; /* a file where the workspace should be */
    memcpy(other.workspace, r.recipe, sizeof r.recipe);
    err = (struct ml_error){0};
    assert_int_not_equal(round_collect(&other, r.texts, "x", &result, &err), 0);
    assert_non_null(strstr(err.message, "recipe.yaml"));
    assert_int_equal(result.added, 77);
}

/* ---- training ---- */

struct mistake {
    const char *recipe;
    int code;
    const char *part;
};

static void recipes_with_mistakes(void **state)
{
    static const struct mistake rows[] = {
        {"name: x\ntrain: {stpes: 3}\n", ML_ERR_FORMAT, "recipe.yaml:2: unknown key train.stpes"},
        {"name: x\ntrain: {stpes: 3}\n", ML_ERR_FORMAT, "did you mean train.steps"},
        {"name: x\n\n\nmodel:\n  layers: many\n", ML_ERR_FORMAT, "recipe.yaml:5"},
        {"name: x\nmodel: {layers: -1}\n", ML_ERR_FORMAT, "recipe.yaml:2"},
        {"name: x\nmodel: [1, 2\n", ML_ERR_FORMAT, "recipe.yaml"},
        {"name: x\ntrain: {optimizer: muno}\n", ML_ERR_FORMAT, "muon"},
        {"name: x\ndata: {dataset: talse}\n", ML_ERR_NOT_FOUND, "tales"},
        {"name: x\ndata: {dataset: tales@9}\n", ML_ERR_NOT_FOUND, "tales"},
        {"name: a/b\ndata: {dataset: tales}\n", ML_ERR_ARG, "a/b"},
        {"name: .x\ndata: {dataset: tales}\n", ML_ERR_ARG, ".x"},
        {"name: -x\ndata: {dataset: tales}\n", ML_ERR_ARG, "-x"},
        {"name: x\ndata: {dataset: tales, template: \"{titel}{text}\"}\n", ML_ERR_NOT_FOUND,
         "titel"},
        {"name: x\ndata: {dataset: tales, require: [moral]}\n", ML_ERR_NOT_FOUND, "moral"},
        {"name: x\ndata: {dataset: tales, template: \"{text\"}\n", ML_ERR_FORMAT, "template"},
        {"", ML_ERR_NOT_FOUND, "dataset"}, /* all defaults: a dataset of that name is not there */
    };
    struct ml_train_result result = {.steps = 77};
    struct ml_error err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        round_text(r.recipe, rows[i].recipe);
        round_fails(round_train(&r, NULL, NULL, NULL, &result, &err), rows[i].code, rows[i].part,
                    err);
    }
    round_text(r.recipe, round_recipe);
    round_fails(round_train(&r, "y", "train.stpes=4", NULL, &result, &err), ML_ERR_ARG,
                "did you mean train.steps", err);
    round_fails(round_train(&r, "y", "train.steps", NULL, &result, &err), ML_ERR_ARG,
                "section.key=value", err);
    struct round other = r;
    round_path(&r, "nowhere", other.recipe);
    round_fails(round_train(&other, "y", NULL, NULL, &result, &err), ML_ERR_NOT_FOUND, "nowhere",
                err);
    other = r;
    round_path(&r, "nowhere", other.workspace);
    round_fails(round_train(&other, "y", NULL, NULL, &result, &err), ML_ERR_NOT_FOUND, "nowhere",
                err);
    const struct ml_train_request none = {.recipe = r.recipe};
    round_fails(ml_engine_train(r.engine, &none, &result, &err), ML_ERR_ARG, "workspace", err);
    const volatile int stop = 1;
    round_fails(round_train(&r, "y", NULL, &stop, &result, &err), ML_ERR_CANCELLED, "stopped", err);
    assert_int_equal(result.steps, 77);
    char *text = NULL;
    round_text(r.recipe, "train: {stpes: 3}\n");
    round_fails(ml_recipe_explain(r.recipe, NULL, 0, &text, &err), ML_ERR_FORMAT, "recipe.yaml:1",
                err);
    assert_null(text);
    round_text(r.recipe, round_recipe);
}

/* ---- models ---- */

static int try_model(const char *name, struct ml_error *err)
{
    const struct ml_write_request request = {.prompt = "the", .max_tokens = 4};
    char text[64];
    return round_write(r.engine, r.workspace, name, &request, text, sizeof text, err);
}

static void models_that_are_not_there(void **state)
{
    struct ml_text_session *session = NULL;
    struct ml_model_info info, *models = NULL;
    struct ml_error err = {0};
    char path[ROUND_PATH];
    int count;
    round_fails(try_model("nobody", &err), ML_ERR_NOT_FOUND, "nobody", err);
    round_fails(try_model("", &err), ML_ERR_NOT_FOUND, "no model \"\"", err);
    round_fails(try_model("../tiny", &err), ML_ERR_NOT_FOUND, "../tiny", err);
    round_fails(ml_text_session_open(&session, r.engine, NULL, NULL, &err), ML_ERR_NOT_FOUND,
                "no model", err);
    round_path(&r, "empty", path);
    round_ok(ml_dir_make(path, &err), err);
    round_fails(try_model(path, &err), ML_ERR_NOT_FOUND, "empty", err);
    round_fails(ml_catalog_find(r.workspace, "nobody", &info, &err), ML_ERR_NOT_FOUND, "nobody",
                err);
    round_fails(ml_catalog_export(r.workspace, "nobody", "gguf", NULL, path, &err),
                ML_ERR_NOT_FOUND, "nobody", err);
    round_fails(ml_catalog_remove(r.workspace, "nobody", 1, &err), ML_ERR_NOT_FOUND, "nobody", err);
    round_fails(ml_catalog_remove(NULL, "tiny", 1, &err), ML_ERR_NOT_FOUND, "workspace", err);
    round_fails(ml_catalog_remove(path, "tiny", 1, &err), ML_ERR_NOT_FOUND, "empty", err);
    round_ok(ml_catalog_list(path, &models, &count, &err), err); /* no workspace yet: no models */
    assert_int_equal(count, 0);
    ml_catalog_free(models);
    assert_null(session);
}

/* A copy of the model with this content in one of its files; NULL: without that file. */
static const char *with(const char *file, const void *bytes, size_t n)
{
    static const char *const files[] = {"model.safetensors", "tokenizer.json", "config.json",
                                        "maliang.json"};
    struct ml_arena arena;
    struct ml_error err = {0};
    char path[2 * ROUND_PATH];
    ml_arena_init(&arena, 0);
    if (ml_path_exists(damaged))
        round_ok(ml_dir_remove(damaged, &err), err);
    round_ok(ml_dir_make(damaged, &err), err);
    for (int i = 0; i < 4; i++) {
        size_t size;
        snprintf(path, sizeof path, "%s/%s", model, files[i]);
        const char *copy = round_read(&arena, path, &size);
        bool other = strcmp(files[i], file) == 0;
        snprintf(path, sizeof path, "%s/%s", damaged, files[i]);
        if (!other || bytes)
            round_put(path, other ? bytes : copy, other ? n : size);
    }
    ml_arena_clear(&arena);
    return damaged;
}

/* It is refused, by a message that names the folder or a file in it. */
static void refused(const char *file, const void *bytes, size_t n)
{
    struct ml_error err = {0};
    int status = try_model(with(file, bytes, n), &err);
    if (status == 0 || status == ML_ERR_MEMORY || err.code != status || !err.message[0] ||
        strchr(err.message, '\n') || !strstr(err.message, "/damaged"))
        fail_msg("%s with %zu bytes \"%.40s\": %d \"%s\"", file, n,
                 bytes ? (const char *)bytes : "", status, err.message);
}

static void refused_text(const char *file, const char *text)
{
    refused(file, text, strlen(text));
}

/* A safetensors file with this header and `data` bytes behind it. */
static void refused_header(const char *header, size_t data)
{
    char bytes[2048] = {0};
    size_t n = strlen(header);
    assert_true(n + 8 + data < sizeof bytes);
    bytes[0] = (char)(n & 255);
    bytes[1] = (char)(n >> 8);
    memcpy(bytes + 8, header, n);
    refused("model.safetensors", bytes, 8 + n + data);
}

static void hostile_weights(void **state)
{
    struct ml_arena arena;
    char path[2 * ROUND_PATH];
    size_t size;
    ml_arena_init(&arena, 0);
    snprintf(path, sizeof path, "%s/model.safetensors", model);
    char *good = round_read(&arena, path, &size);
    refused("model.safetensors", NULL, 0);
    for (size_t n = 0; n < size; n += n < 64 ? 1 : size / 40 + 1)
        refused("model.safetensors", good, n);
    refused("model.safetensors", good, size - 1);
    for (int i = 0; i < 8; i++) { /* the header's length */
        char *bytes = ml_arena_alloc(&arena, size);
        memcpy(bytes, good, size);
        bytes[i] = (char)0xff;
        refused("model.safetensors", bytes, size);
    }
    memset(good + size - 40, 0xff, 40); /* NaN in every type */
    refused("model.safetensors", good, size);
    refused_header("{}", 0);
    refused_header("[]", 0);
    refused_header("{\"a\":1}", 0);
    refused_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16);
    refused_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16);
    refused_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,99999]}}", 16);
    refused_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", 16);
    refused_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],"
                   "\"data_offsets\":[0,16]}}",
                   16);
    refused_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
                   "\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,24]}}",
                   24);
    ml_arena_clear(&arena);
}

static void hostile_tokenizers(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":2147483648},\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":{}}}",
        "\xff\xfe\x00",
    };
    struct ml_arena arena;
    char path[2 * ROUND_PATH];
    size_t size;
    refused("tokenizer.json", NULL, 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refused_text("tokenizer.json", texts[i]);
    ml_arena_init(&arena, 0);
    snprintf(path, sizeof path, "%s/tokenizer.json", model);
    const char *good = round_read(&arena, path, &size);
    while (size && (good[size - 1] == '\n' || good[size - 1] == '}'))
        size--;
    for (size_t n = 1; n <= size; n += size / 30 + 1)
        refused("tokenizer.json", good, n);
    ml_arena_clear(&arena);
    char deep[4096];
    memset(deep, '[', sizeof deep);
    refused("tokenizer.json", deep, sizeof deep);
}

/* One value of config.json replaced by another; it is the number behind "key": . */
static void refused_value(const char *good, const char *key, const char *value)
{
    char name[64], text[8192];
    snprintf(name, sizeof name, "\"%s\":", key);
    const char *at = strstr(good, name);
    if (!at)
        fail_msg("config.json has no %s", key);
    at += strlen(name);
    snprintf(text, sizeof text, "%.*s %s%s", (int)(at - good), good, value,
             at + strcspn(at, ",}\n"));
    refused_text("config.json", text);
}

static void hostile_configs(void **state)
{
    static const char *const keys[] = {
        "hidden_size",       "num_hidden_layers", "num_attention_heads", "vocab_size",
        "intermediate_size", "head_dim",          "num_key_value_heads", "max_position_embeddings"};
    static const char *const values[] = {
        "0", "-1", "1e999", "\"16\"", "null", "[]", "2147483648", "9223372036854775808", "1.5"};
    static const char *const texts[] = {"",   "{",     "[]",
                                        "{}", "\"x\"", "{\"model_type\": \"mamba\"}"};
    struct ml_arena arena;
    char path[2 * ROUND_PATH];
    size_t size;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refused_text("config.json", texts[i]);
    ml_arena_init(&arena, 0);
    snprintf(path, sizeof path, "%s/config.json", model);
    const char *good = round_read(&arena, path, &size);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            refused_value(good, keys[k], values[v]);
    for (size_t k = 0; k + 1 < sizeof keys / sizeof *keys; k++)
        refused_value(good, keys[k], "1000000"); /* what the weights do not hold */
    ml_arena_clear(&arena);
}

/* maliang.json is a help, not a need: without it the model writes; when it is broken that is said.
 */
static void other_files_of_a_model(void **state)
{
    struct ml_error err = {0};
    round_ok(try_model(with("maliang.json", NULL, 0), &err), err);
    round_ok(try_model(with("maliang.json", "{}", 2), &err), err);
    round_ok(try_model(with("maliang.json", "{\"metrics\": 3, \"template\": 4}", 29), &err), err);
    refused_text("maliang.json", "{");
    refused_text("maliang.json", "[]");
    refused_text("maliang.json", "{\"template\": \"{text\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_engine_that_cannot_be), cmocka_unit_test(nothing_to_collect),
        cmocka_unit_test(recipes_with_mistakes),    cmocka_unit_test(models_that_are_not_there),
        cmocka_unit_test(hostile_weights),          cmocka_unit_test(hostile_tokenizers),
        cmocka_unit_test(hostile_configs),          cmocka_unit_test(other_files_of_a_model),
    };
    return cmocka_run_group_tests_name("mistakes", tests, setup, teardown);
}
