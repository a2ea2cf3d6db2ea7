/* config.json: what we write reads back, and what we would run wrongly is refused. */
#include "format_check.h"

#include "format/hf_config.h"

static const struct ml_hf_config small = {.vocab = 512,
                                          .width = 64,
                                          .layers = 2,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_dim = 16,
                                          .ffn = 96,
                                          .context = 128,
                                          .rope_theta = 1e6f,
                                          .norm_eps = 1e-6f,
                                          .bos = -1,
                                          .eos = 3,
                                          .pad = -1};

static void round_trip(void **state)
{
    struct ml_error err = {0};
    static const enum ml_dtype dtypes[] = {ML_F32, ML_BF16, ML_F16};
    const char *path = in_folder(state, 0, "config.json");
    for (int i = 0; i < 3; i++) {
        struct ml_hf_config in = small, out = {0};
        in.dtype = dtypes[i];
        in.untied = i == 1;
        in.bos = i == 2 ? 511 : -1;
        assert_int_equal(ml_hf_config_write(path, &in, &err), 0);
        /* Both the file and its folder can be named. */
        if (ml_hf_config_read(&out, i ? path : ((struct folder *)*state)->path, &err) != 0)
            fail_msg("%s", err.message);
        assert_int_equal(out.vocab, 512);
        assert_int_equal(out.width, 64);
        assert_int_equal(out.layers, 2);
        assert_int_equal(out.heads, 4);
        assert_int_equal(out.kv_heads, 2);
        assert_int_equal(out.head_dim, 16);
        assert_int_equal(out.ffn, 96);
        assert_int_equal(out.context, 128);
        assert_true(out.rope_theta == 1e6f && out.norm_eps == 1e-6f);
        assert_int_equal(out.untied, in.untied);
        assert_int_equal(out.bos, in.bos);
        assert_int_equal(out.eos, 3);
        assert_int_equal(out.pad, -1);
        assert_int_equal(out.dtype, in.dtype);
    }
}

/* A configuration with one key changed ("key": value replaces, or is added before the end). */
static char *with(void **state, const char *key, const char *value)
{
    static char text[4096];
    struct ml_arena arena;
    char *whole = NULL, *end;
    size_t n = 0;
    const char *path = in_folder(state, 0, "config.json");
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_hf_config_write(path, &small, NULL), 0);
    assert_int_equal(ml_file_read(&arena, path, 4000, &whole, &n, NULL), 0);
    char *at = strstr(whole, key);
    if (at) {
        end = strchr(at, ',');
        snprintf(text, sizeof text, "%.*s%s%s%s", (int)(at - whole), whole, key, value,
                 end ? end : "\n}");
    } else {
        end = strrchr(whole, '}');
        snprintf(text, sizeof text, "%.*s,%s%s}", (int)(end - whole), whole, key, value);
    }
    ml_arena_clear(&arena);
    return text;
}

static void refused(void **state)
{
    static const struct {
        const char *key, *value;
        int code;
        const char *part;
    } cases[] = {
        {"\"model_type\": ", "\"llama\"", ML_ERR_UNSUPPORTED, "model_type \"llama\""},
        {"\"model_type\": ", "7", ML_ERR_FORMAT, "model_type is missing"},
        {"\"vocab_size\": ", "0", ML_ERR_FORMAT, "vocab_size is 0, it must be from 1 to"},
        {"\"vocab_size\": ", "1e3", ML_ERR_FORMAT, "not a whole number"},
        {"\"vocab_size\": ", "9223372036854775807", ML_ERR_FORMAT, "vocab_size is 922"},
        {"\"hidden_size\": ", "-1", ML_ERR_FORMAT, "hidden_size is -1"},
        {"\"num_hidden_layers\": ", "513", ML_ERR_FORMAT, "from 1 to 512"},
        {"\"num_attention_heads\": ", "null", ML_ERR_FORMAT, "num_attention_heads is missing"},
        {"\"num_key_value_heads\": ", "3", ML_ERR_FORMAT, "not a multiple"},
        {"\"head_dim\": ", "15", ML_ERR_FORMAT, "even"},
        {"\"head_dim\": ", "\"16\"", ML_ERR_FORMAT, "head_dim is missing or not"},
        {"\"intermediate_size\": ", "99999999", ML_ERR_FORMAT, "intermediate_size"},
        {"\"max_position_embeddings\": ", "0", ML_ERR_FORMAT, "max_position_embeddings"},
        {"\"rope_theta\": ", "0", ML_ERR_FORMAT, "rope_theta is 0"},
        {"\"rope_theta\": ", "1e300", ML_ERR_FORMAT, "rope_theta is inf"},
        {"\"rope_theta\": ", "null", ML_ERR_FORMAT, "rope_theta is missing"},
        {"\"rms_norm_eps\": ", "0", ML_ERR_FORMAT, "rms_norm_eps is 0"},
        {"\"rms_norm_eps\": ", "true", ML_ERR_FORMAT, "rms_norm_eps is missing"},
        {"\"eos_token_id\": ", "512", ML_ERR_FORMAT, "eos_token_id is not a token"},
        {"\"bos_token_id\": ", "-1", ML_ERR_FORMAT, "bos_token_id is not a token"},
        {"\"hidden_act\": ", "\"gelu\"", ML_ERR_UNSUPPORTED, "hidden_act"},
        {"\"attention_bias\": ", "true", ML_ERR_UNSUPPORTED, "attention_bias"},
        {"\"use_sliding_window\": ", "true", ML_ERR_UNSUPPORTED, "use_sliding_window"},
        {"\"rope_scaling\": ", "{\"rope_type\": \"yarn\"}", ML_ERR_UNSUPPORTED, "RoPE is scaled"},
        {"\"quantization_config\": ", "{}", ML_ERR_UNSUPPORTED, "quantised"},
        {"\"layer_types\": ", "[\"sliding_attention\"]", ML_ERR_UNSUPPORTED, "layer_types"},
        {"\"torch_dtype\": ", "\"float8\"", ML_ERR_UNSUPPORTED, "torch_dtype"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_hf_config out = {.vocab = -5};
        struct ml_error err = {0};
        const char *text = with(state, cases[i].key, cases[i].value);
        int rc = ml_hf_config_parse(&out, text, strlen(text), "config.json", &err);
        if (rc != cases[i].code)
            fail_msg("%s%s: got %d %s", cases[i].key, cases[i].value, rc, err.message);
        assert_message(&err, cases[i].code, cases[i].part);
        assert_int_equal(out.vocab, -5);
    }
}

static void accepted(void **state)
{
    static const struct {
        const char *key, *value;
    } cases[] = {
        {"\"rope_parameters\": ", "{\"rope_type\": \"default\", \"rope_theta\": 1000000.0}"},
        {"\"dtype\": ", "\"float32\""},
        {"\"eos_token_id\": ", "[3]"},
        {"\"layer_types\": ", "[\"full_attention\", \"full_attention\"]"},
        {"\"a key of the future\": ", "{}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_hf_config out;
        struct ml_error err = {0};
        const char *text = with(state, cases[i].key, cases[i].value);
        if (ml_hf_config_parse(&out, text, strlen(text), "config.json", &err) != 0)
            fail_msg("%s", err.message);
        assert_int_equal(out.eos, 3);
        assert_true(out.rope_theta == 1e6f);
    }
}

static void not_a_config(void **state)
{
    static const char *const texts[] = {"", "[]", "{}", "null", "{\"model_type\":\"qwen3\"}", "{{"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ml_hf_config out;
        struct ml_error err = {0};
        assert_int_equal(ml_hf_config_parse(&out, texts[i], strlen(texts[i]), "c", &err),
                         ML_ERR_FORMAT);
        assert_true(err.message[0] != '\0');
    }
    struct ml_hf_config out, bad = small;
    struct ml_error err = {0};
    assert_int_equal(ml_hf_config_read(&out, in_folder(state, 0, "none"), &err), ML_ERR_NOT_FOUND);
    bad.layers = 0;
    assert_int_equal(ml_hf_config_write(in_folder(state, 0, "never"), &bad, NULL), ML_ERR_FORMAT);
    assert_false(ml_path_exists(in_folder(state, 0, "never")));
}

static int write_one(void *arg, struct ml_error *err)
{
    return ml_hf_config_write(arg, &small, err);
}

static int read_one(void *arg, struct ml_error *err)
{
    struct ml_hf_config out;
    return ml_hf_config_read(&out, arg, err);
}

static void allocations_fail(void **state)
{
    char *path = (char *)(uintptr_t)in_folder(state, 0, "m.json");
    assert_true(each_allocation_fails(write_one, path) > 20);
    assert_true(each_allocation_fails(read_one, path) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),       cmocka_unit_test(refused),
        cmocka_unit_test(accepted),         cmocka_unit_test(not_a_config),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("hf_config", tests, folder_setup, folder_teardown);
}
