#include "format/hf_config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"

#define MAX_BYTES ((size_t)1 << 20)

/* The whole numbers, with the limits that keep every product of two of them far from overflow. */
static const struct whole {
    const char *key;
    size_t offset;
    int least, most;
} wholes[] = {
    {"vocab_size", offsetof(struct ml_hf_config, vocab), 1, 1 << 22},
    {"hidden_size", offsetof(struct ml_hf_config, width), 1, 1 << 16},
    {"num_hidden_layers", offsetof(struct ml_hf_config, layers), 1, 512},
    {"num_attention_heads", offsetof(struct ml_hf_config, heads), 1, 1024},
    {"num_key_value_heads", offsetof(struct ml_hf_config, kv_heads), 1, 1024},
    {"head_dim", offsetof(struct ml_hf_config, head_dim), 2, 1024},
    {"intermediate_size", offsetof(struct ml_hf_config, ffn), 1, 1 << 20},
    {"max_position_embeddings", offsetof(struct ml_hf_config, context), 1, 1 << 24},
};
#define WHOLE_COUNT (sizeof wholes / sizeof *wholes)

static const struct token_id {
    const char *key;
    size_t offset;
} token_ids[] = {
    {"bos_token_id", offsetof(struct ml_hf_config, bos)},
    {"eos_token_id", offsetof(struct ml_hf_config, eos)},
    {"pad_token_id", offsetof(struct ml_hf_config, pad)},
};
#define TOKEN_ID_COUNT (sizeof token_ids / sizeof *token_ids)

static int *field(struct ml_hf_config *config, size_t offset)
{
    return (int *)(void *)((char *)config + offset);
}

static int field_value(const struct ml_hf_config *config, size_t offset)
{
    int value;
    memcpy(&value, (const char *)config + offset, sizeof value);
    return value;
}

int ml_hf_config_check(const struct ml_hf_config *config, const char *where, struct ml_error *err)
{
    for (size_t i = 0; i < WHOLE_COUNT; i++) {
        int value = field_value(config, wholes[i].offset);
        if (value < wholes[i].least || value > wholes[i].most)
            return ml_fail(err, ML_ERR_FORMAT, "%s: %s is %d, it must be from %d to %d", where,
                           wholes[i].key, value, wholes[i].least, wholes[i].most);
    }
    if (config->heads % config->kv_heads != 0)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: num_attention_heads (%d) is not a multiple of num_key_value_heads (%d)",
                       where, config->heads, config->kv_heads);
    if (config->head_dim % 2 != 0)
        return ml_fail(err, ML_ERR_FORMAT, "%s: head_dim is %d, RoPE needs an even one", where,
                       config->head_dim);
    if (!(config->rope_theta >= 1 && config->rope_theta <= 1e12f))
        return ml_fail(err, ML_ERR_FORMAT, "%s: rope_theta is %g, it must be from 1 to 1e12", where,
                       (double)config->rope_theta);
    if (!(config->norm_eps > 0 && config->norm_eps <= 0.1f))
        return ml_fail(err, ML_ERR_FORMAT, "%s: rms_norm_eps is %g, it must be above 0, up to 0.1",
                       where, (double)config->norm_eps);
    for (size_t i = 0; i < TOKEN_ID_COUNT; i++) {
        int value = field_value(config, token_ids[i].offset);
        if (value < -1 || value >= config->vocab)
            return ml_fail(err, ML_ERR_FORMAT, "%s: %s is %d, outside the vocabulary of %d", where,
                           token_ids[i].key, value, config->vocab);
    }
    if (config->dtype != ML_F32 && config->dtype != ML_BF16 && config->dtype != ML_F16)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: the weights' type is not float32, bfloat16 or "
                       "float16",
                       where);
    return 0;
}

static const char *dtype_name(enum ml_dtype dtype)
{
    return dtype == ML_F32 ? "float32" : dtype == ML_BF16 ? "bfloat16" : "float16";
}

/* The double that prints as the shortest decimal of the float: 1e-06, not 9.99999997e-07. */
static double shortest(float value)
{
    char text[32];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            return strtod(text, NULL);
    }
    return (double)value;
}

/* Non-zero when memory is out: jansson's _new calls accept and release whatever they are given. */
static int fill(json_t *root, const struct ml_hf_config *c)
{
    json_t *names = json_array();
    int bad = json_array_append_new(names, json_string("Qwen3ForCausalLM"));
    bad |= json_object_set_new(root, "architectures", names);
    bad |= json_object_set_new(root, "model_type", json_string("qwen3"));
    bad |= json_object_set_new(root, "torch_dtype", json_string(dtype_name(c->dtype)));
    for (size_t i = 0; i < WHOLE_COUNT; i++)
        bad |= json_object_set_new(root, wholes[i].key,
                                   json_integer(field_value(c, wholes[i].offset)));
    bad |= json_object_set_new(root, "rope_theta", json_real(shortest(c->rope_theta)));
    bad |= json_object_set_new(root, "rms_norm_eps", json_real(shortest(c->norm_eps)));
    bad |= json_object_set_new(root, "tie_word_embeddings", json_boolean(!c->untied));
    for (size_t i = 0; i < TOKEN_ID_COUNT; i++) {
        int id = field_value(c, token_ids[i].offset);
        bad |= json_object_set_new(root, token_ids[i].key, id < 0 ? json_null() : json_integer(id));
    }
    bad |= json_object_set_new(root, "hidden_act", json_string("silu"));
    bad |= json_object_set_new(root, "attention_bias", json_false());
    bad |= json_object_set_new(root, "attention_dropout", json_real(0.0));
    bad |= json_object_set_new(root, "initializer_range", json_real(0.02));
    bad |= json_object_set_new(root, "rope_scaling", json_null());
    bad |= json_object_set_new(root, "use_sliding_window", json_false());
    bad |= json_object_set_new(root, "sliding_window", json_null());
    bad |= json_object_set_new(root, "max_window_layers", json_integer(c->layers));
    bad |= json_object_set_new(root, "use_cache", json_true());
    return bad;
}

int ml_hf_config_write(const char *path, const struct ml_hf_config *config, struct ml_error *err)
{
    struct ml_buffer text = {0};
    json_t *root = NULL;
    char *json = NULL;
    int rc = ml_hf_config_check(config, path, err);
    if (rc != 0)
        return rc;
    ml_json_setup();
    root = json_object();
    if (!root || fill(root, config) != 0)
        rc = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    if (rc == 0)
        rc = ml_json_text(&json, root, JSON_INDENT(2) | JSON_REAL_PRECISION(9), err);
    if (rc == 0)
        rc = ml_buffer_printf(&text, err, "%s\n", json);
    if (rc == 0)
        rc = ml_file_write(path, text.data, text.size, err);
    ml_buffer_clear(&text);
    ml_mem_free(json);
    json_decref(root);
    return rc;
}

/* A key that is absent or null. */
static bool unset(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    return !value || json_is_null(value);
}

static int unsupported(const char *what, const char *key, const char *ours, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED, "%s: %s; only %s runs", what, key, ours);
}

/* What would make the model compute something else than ours does. */
static int check_kind(const json_t *root, const char *what, struct ml_error *err)
{
    const char *type = json_string_value(json_object_get(root, "model_type"));
    const char *act = json_string_value(json_object_get(root, "hidden_act"));
    const json_t *layers = json_object_get(root, "layer_types"), *value;
    size_t i;
    if (!type)
        return ml_fail(err, ML_ERR_FORMAT, "%s: model_type is missing; is this a model's config?",
                       what);
    if (strcmp(type, "qwen3") != 0)
        return ml_fail(err, ML_ERR_UNSUPPORTED, "%s: model_type \"%.64s\"; only \"qwen3\" runs",
                       what, type);
    if (!unset(root, "hidden_act") && (!act || strcmp(act, "silu") != 0))
        return unsupported(what, "hidden_act is not \"silu\"", "SwiGLU with silu", err);
    if (json_is_true(json_object_get(root, "attention_bias")))
        return unsupported(what, "attention_bias is true", "attention without biases", err);
    if (json_is_true(json_object_get(root, "use_sliding_window")))
        return unsupported(what, "use_sliding_window is true", "full attention", err);
    if (!unset(root, "quantization_config"))
        return unsupported(what, "the weights are quantised", "F32, BF16 or F16", err);
    json_array_foreach(layers, i, value)
    {
        const char *kind = json_string_value(value);
        if (!kind || strcmp(kind, "full_attention") != 0)
            return unsupported(what, "layer_types has another kind than full_attention",
                               "full attention", err);
    }
    return 0;
}

static int read_wholes(struct ml_hf_config *c, const json_t *root, const char *what,
                       struct ml_error *err)
{
    for (size_t i = 0; i < WHOLE_COUNT; i++) {
        const json_t *value = json_object_get(root, wholes[i].key);
        json_int_t n = json_integer_value(value);
        if (!json_is_integer(value))
            return ml_fail(err, ML_ERR_FORMAT, "%s: %s is missing or not a whole number", what,
                           wholes[i].key);
        if (n < wholes[i].least || n > wholes[i].most)
            return ml_fail(err, ML_ERR_FORMAT, "%s: %s is %lld, it must be from %d to %d", what,
                           wholes[i].key, (long long)n, wholes[i].least, wholes[i].most);
        *field(c, wholes[i].offset) = (int)n;
    }
    return 0;
}

/* An id, null, or (as generation settings have it) a list whose first is taken. */
static int read_token_ids(struct ml_hf_config *c, const json_t *root, const char *what,
                          struct ml_error *err)
{
    for (size_t i = 0; i < TOKEN_ID_COUNT; i++) {
        const json_t *value = json_object_get(root, token_ids[i].key);
        if (json_is_array(value))
            value = json_array_get(value, 0);
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (value && !json_is_null(value) && (!json_is_integer(value) || id < 0 || id >= c->vocab))
            return ml_fail(err, ML_ERR_FORMAT, "%s: %s is not a token of the vocabulary of %d",
                           what, token_ids[i].key, c->vocab);
        *field(c, token_ids[i].offset) = (int)id;
    }
    return 0;
}

/* rope_theta is a key of its own (transformers 4) or of rope_parameters (transformers 5). */
static int read_rope(struct ml_hf_config *c, const json_t *root, const char *what,
                     struct ml_error *err)
{
    const char *const keys[] = {"rope_scaling", "rope_parameters"};
    const json_t *theta = json_object_get(root, "rope_theta");
    for (int i = 0; i < 2; i++) {
        const json_t *rope = json_object_get(root, keys[i]);
        const json_t *kind = json_object_get(rope, "rope_type");
        if (!kind)
            kind = json_object_get(rope, "type");
        if (kind && (!json_is_string(kind) || strcmp(json_string_value(kind), "default") != 0))
            return unsupported(what, "RoPE is scaled", "plain RoPE", err);
        if (json_object_get(rope, "rope_theta"))
            theta = json_object_get(rope, "rope_theta");
    }
    if (!json_is_number(theta))
        return ml_fail(err, ML_ERR_FORMAT, "%s: rope_theta is missing or not a number", what);
    c->rope_theta = (float)json_number_value(theta);
    return 0;
}

static int read_dtype(struct ml_hf_config *c, const json_t *root, const char *what,
                      struct ml_error *err)
{
    const json_t *value = json_object_get(root, unset(root, "dtype") ? "torch_dtype" : "dtype");
    const char *name = json_string_value(value);
    c->dtype = ML_F32;
    if (!value || json_is_null(value))
        return 0;
    if (name && strcmp(name, "bfloat16") == 0)
        c->dtype = ML_BF16;
    else if (name && strcmp(name, "float16") == 0)
        c->dtype = ML_F16;
    else if (!name || strcmp(name, "float32") != 0)
        return unsupported(what, "torch_dtype is unknown", "float32, bfloat16 or float16", err);
    return 0;
}

static int read_all(struct ml_hf_config *c, const json_t *root, const char *what,
                    struct ml_error *err)
{
    const json_t *eps = json_object_get(root, "rms_norm_eps");
    int rc = check_kind(root, what, err);
    if (rc == 0)
        rc = read_wholes(c, root, what, err);
    if (rc == 0)
        rc = read_token_ids(c, root, what, err);
    if (rc == 0)
        rc = read_rope(c, root, what, err);
    if (rc == 0)
        rc = read_dtype(c, root, what, err);
    if (rc == 0 && !json_is_number(eps))
        rc = ml_fail(err, ML_ERR_FORMAT, "%s: rms_norm_eps is missing or not a number", what);
    if (rc != 0)
        return rc;
    c->norm_eps = (float)json_number_value(eps);
    c->untied = !json_is_true(json_object_get(root, "tie_word_embeddings"));
    return ml_hf_config_check(c, what, err);
}

int ml_hf_config_parse(struct ml_hf_config *out, const char *text, size_t n, const char *what,
                       struct ml_error *err)
{
    struct ml_hf_config config = {0};
    json_t *root = NULL;
    int rc = ml_json_parse(&root, text, n, what, err);
    if (rc == 0 && !json_is_object(root))
        rc = ml_fail(err, ML_ERR_FORMAT, "%s: not a JSON object", what);
    if (rc == 0)
        rc = read_all(&config, root, what, err);
    if (rc == 0)
        *out = config;
    json_decref(root);
    return rc;
}

int ml_hf_config_read(struct ml_hf_config *out, const char *path, struct ml_error *err)
{
    struct ml_arena arena;
    char *text = NULL;
    size_t size = 0;
    int rc = 0;
    ml_arena_init(&arena, 0);
    if (ml_path_is_dir(path))
        path = ml_path_join(&arena, path, "config.json");
    if (!path)
        rc = ml_fail(err, ML_ERR_MEMORY, "config.json: out of memory for its path");
    if (rc == 0)
        rc = ml_file_read(&arena, path, MAX_BYTES, &text, &size, err);
    if (rc == 0)
        rc = ml_hf_config_parse(out, text, size, path, err);
    ml_arena_clear(&arena);
    return rc;
}
