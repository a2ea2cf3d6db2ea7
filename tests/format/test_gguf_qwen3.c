/* Export of a text model. `test_gguf_qwen3 --write FOLDER [untied|bf16]` writes the model of these
 * tests as config.json, model.safetensors and model.gguf, for bench/gguf_llamacpp.py to hold
 * llama.cpp against transformers. */
#include "format_check.h"

#include <math.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "format/gguf_qwen3.h"
#include "format/safetensors.h"

enum { VOCAB = 272, BYTES = 256, MERGES = 8, TOKENS = BYTES + MERGES + 2, MAX_TENSORS = 40 };

struct sample {
    struct ml_arena arena;
    struct ml_hf_config config;
    struct ml_saved_tensor tensors[MAX_TENSORS];
    int tensor_count;
    const char *tokens[TOKENS];
    int32_t types[TOKENS];
    const char *merges[MERGES];
    struct ml_gguf_tokenizer tokenizer;
    struct ml_gguf_qwen3 model;
};

static void add(struct sample *s, const char *name, int64_t rows, int64_t columns)
{
    struct ml_rng rng;
    int64_t n = rows * (columns ? columns : 1);
    float *data = ml_arena_alloc(&s->arena, (size_t)n * sizeof *data);
    struct ml_saved_tensor *t = &s->tensors[s->tensor_count];
    ml_rng_init(&rng, 7, (uint64_t)s->tensor_count);
    for (int64_t i = 0; i < n; i++) /* norms near 1, matrices that keep the variance */
        data[i] =
            columns ? ml_rng_normal(&rng) / sqrtf((float)columns) : 1 + 0.1f * ml_rng_normal(&rng);
    *t = (struct ml_saved_tensor){name, s->config.dtype, ML_F32, columns ? 2 : 1, {rows, columns},
                                  data};
    s->tensor_count++;
}

static void add_layer(struct sample *s, int layer)
{
    const struct ml_hf_config *c = &s->config;
    int query = c->heads * c->head_dim, pair = c->kv_heads * c->head_dim;
    const struct {
        const char *name;
        int rows, columns;
    } rows[] = {
        {"input_layernorm", c->width, 0},      {"self_attn.q_proj", query, c->width},
        {"self_attn.k_proj", pair, c->width},  {"self_attn.v_proj", pair, c->width},
        {"self_attn.o_proj", c->width, query}, {"self_attn.q_norm", c->head_dim, 0},
        {"self_attn.k_norm", c->head_dim, 0},  {"post_attention_layernorm", c->width, 0},
        {"mlp.gate_proj", c->ffn, c->width},   {"mlp.up_proj", c->ffn, c->width},
        {"mlp.down_proj", c->width, c->ffn},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add(s, ml_arena_printf(&s->arena, "model.layers.%d.%s.weight", layer, rows[i].name),
            rows[i].rows, rows[i].columns);
}

/* GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 onwards. */
static void add_tokens(struct sample *s)
{
    static const char *const pairs[MERGES][2] = {{"t", "h"}, {"th", "e"}, {"Ġ", "the"},
                                                 {"i", "n"}, {"in", "g"}, {"Ġ", "a"},
                                                 {"æ", "Ī"}, {"n", "d"}};
    int next = 0;
    for (int byte = 0; byte < BYTES; byte++) {
        int plain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
        char text[5] = {0};
        ml_utf8_encode((uint32_t)(plain ? byte : 256 + next++), text);
        s->tokens[byte] = ml_arena_strdup(&s->arena, text);
    }
    for (int i = 0; i < MERGES; i++) {
        s->tokens[BYTES + i] = ml_arena_printf(&s->arena, "%s%s", pairs[i][0], pairs[i][1]);
        s->merges[i] = ml_arena_printf(&s->arena, "%s %s", pairs[i][0], pairs[i][1]);
    }
    s->tokens[TOKENS - 2] = "<|endoftext|>";
    s->tokens[TOKENS - 1] = "<|im_end|>";
    for (int i = 0; i < TOKENS; i++)
        s->types[i] = i < TOKENS - 2 ? ML_GGUF_TOKEN_NORMAL : ML_GGUF_TOKEN_CONTROL;
}

static struct sample *sample_new(bool untied, enum ml_dtype dtype)
{
    struct sample *s = ml_mem_calloc(1, sizeof *s);
    ml_arena_init(&s->arena, 0);
    s->config = (struct ml_hf_config){.vocab = VOCAB,
                                      .width = 48,
                                      .layers = 3,
                                      .heads = 4,
                                      .kv_heads = 2,
                                      .head_dim = 16,
                                      .ffn = 80,
                                      .context = 256,
                                      .rope_theta = 1e6f,
                                      .norm_eps = 1e-6f,
                                      .untied = untied,
                                      .bos = -1,
                                      .eos = TOKENS - 2,
                                      .pad = -1,
                                      .dtype = dtype};
    add(s, "model.embed_tokens.weight", VOCAB, 48);
    for (int i = 0; i < 3; i++)
        add_layer(s, i);
    add(s, "model.norm.weight", 48, 0);
    if (untied)
        add(s, "lm_head.weight", VOCAB, 48);
    add_tokens(s);
    s->tokenizer = (struct ml_gguf_tokenizer){"gpt-2", TOKENS,    s->tokens, s->types,
                                              MERGES,  s->merges, false,     NULL};
    s->model = (struct ml_gguf_qwen3){&s->config, s->tensors,       s->tensor_count, &s->tokenizer,
                                      "sample",   "random weights", "Apache-2.0"};
    return s;
}

static void sample_free(struct sample *s)
{
    ml_arena_clear(&s->arena);
    ml_mem_free(s);
}

static void check_values(const struct ml_gguf *f)
{
    static const struct {
        const char *key;
        double value;
    } wanted[] = {
        {"qwen3.block_count", 3},
        {"qwen3.context_length", 256},
        {"qwen3.embedding_length", 48},
        {"qwen3.feed_forward_length", 80},
        {"qwen3.attention.head_count", 4},
        {"qwen3.attention.head_count_kv", 2},
        {"qwen3.attention.key_length", 16},
        {"qwen3.attention.value_length", 16},
        {"qwen3.vocab_size", VOCAB},
        {"qwen3.rope.freq_base", 1e6},
        {"tokenizer.ggml.eos_token_id", TOKENS - 2},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct ml_gguf_value *v = ml_gguf_get(f, wanted[i].key);
        assert_non_null(v);
        assert_true(ml_gguf_number(v, 0) == wanted[i].value);
    }
    assert_null(ml_gguf_get(f, "tokenizer.ggml.bos_token_id"));
    assert_string_equal(ml_gguf_get(f, "tokenizer.ggml.pre")->string, "gpt-2");
    assert_int_equal(ml_gguf_get(f, "tokenizer.ggml.tokens")->count, VOCAB);
    assert_int_equal(ml_gguf_get(f, "tokenizer.ggml.merges")->count, MERGES);
    const struct ml_gguf_value *types = ml_gguf_get(f, "tokenizer.ggml.token_type");
    assert_true(ml_gguf_number(types, TOKENS - 1) == ML_GGUF_TOKEN_CONTROL);
    assert_true(ml_gguf_number(types, TOKENS) == ML_GGUF_TOKEN_UNUSED);
}

static void every_tensor_by_its_name(void **state)
{
    struct sample *s = sample_new(true, ML_BF16);
    struct ml_error err = {0};
    struct ml_gguf f;
    const char *path = in_folder(state, 0, "m.gguf");
    if (ml_gguf_qwen3_write(path, &s->model, &err) != 0 || ml_gguf_open(&f, path, &err) != 0)
        fail_msg("%s", err.message);
    check_values(&f);
    assert_int_equal(f.tensor_count, s->tensor_count);
    static const char *const names[][2] = {
        {"model.embed_tokens.weight", "token_embd.weight"},
        {"lm_head.weight", "output.weight"},
        {"model.norm.weight", "output_norm.weight"},
        {"model.layers.2.self_attn.o_proj.weight", "blk.2.attn_output.weight"},
        {"model.layers.1.self_attn.k_norm.weight", "blk.1.attn_k_norm.weight"},
        {"model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"},
        {"model.layers.2.mlp.down_proj.weight", "blk.2.ffn_down.weight"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct ml_gguf_tensor *t = ml_gguf_find(&f, names[i][1]);
        int j = 0;
        float *back;
        while (strcmp(s->tensors[j].name, names[i][0]) != 0)
            j++;
        assert_non_null(t);
        assert_string_equal(t->block->name, t->ndim == 1 ? "F32" : "BF16");
        assert_int_equal(t->dim[0], s->tensors[j].dim[0]);
        back = ml_mem_alloc((size_t)t->count * 4);
        assert_int_equal(ml_gguf_load(&f, t, ML_F32, back, NULL), 0);
        for (int64_t k = 0; k < t->count; k++) {
            float given = ((const float *)s->tensors[j].data)[k];
            assert_true(back[k] == (t->ndim == 1 ? given : ml_bf16_to_f32(ml_f32_to_bf16(given))));
        }
        ml_mem_free(back);
    }
    ml_gguf_close(&f);
    sample_free(s);
}

static void tied_has_no_head(void **state)
{
    struct sample *s = sample_new(false, ML_F16);
    struct ml_gguf f;
    assert_int_equal(ml_gguf_qwen3_write(in_folder(state, 0, "t"), &s->model, NULL), 0);
    assert_int_equal(ml_gguf_open(&f, in_folder(state, 0, "t"), NULL), 0);
    assert_null(ml_gguf_find(&f, "output.weight"));
    assert_true(ml_gguf_number(ml_gguf_get(&f, "general.file_type"), 0) == 1);
    ml_gguf_close(&f);
    sample_free(s);
}

static void refuse(void **state, struct sample *s, int code, const char *part)
{
    struct ml_error err = {0};
    uint64_t before = live_blocks();
    assert_int_equal(ml_gguf_qwen3_write(in_folder(state, 0, "refused"), &s->model, &err), code);
    assert_message(&err, code, part);
    assert_int_equal(live_blocks(), before);
    assert_false(ml_path_exists(in_folder(state, 0, "refused")));
}

static void refuses_what_does_not_fit(void **state)
{
    struct sample *s = sample_new(false, ML_F32);
    s->model.tensor_count--;
    refuse(state, s, ML_ERR_ARG, "the model has 34 tensors, the qwen3 architecture has 35");
    s->model.tensor_count++;
    s->tensors[3].name = "model.layers.0.self_attn.q_proj.bias";
    refuse(state, s, ML_ERR_ARG, "no tensor \"model.layers.0.self_attn.k_proj.weight\"");
    s->tensors[3].name = "model.layers.0.self_attn.k_proj.weight";
    s->config.ffn = 81;
    refuse(state, s, ML_ERR_SHAPE, "is not [81,48]");
    s->config.ffn = 80;
    s->config.layers = 0;
    refuse(state, s, ML_ERR_FORMAT, "num_hidden_layers");
    s->config.layers = 3;
    s->tokens[5] = "A";
    refuse(state, s, ML_ERR_ARG, "two tokens are \"A\"");
    s->tokens[5] = "[PAD271]";
    refuse(state, s, ML_ERR_ARG, "two tokens are \"[PAD271]\"");
    s->tokens[5] = NULL;
    refuse(state, s, ML_ERR_ARG, "token 5 has no text");
    s->tokens[5] = "Ą";
    s->types[9] = 7;
    refuse(state, s, ML_ERR_ARG, "token 9 has no text or an unknown type");
    s->types[9] = 1;
    s->merges[1] = "the";
    refuse(state, s, ML_ERR_ARG, "merge 1");
    s->merges[1] = "t h e";
    refuse(state, s, ML_ERR_ARG, "merge 1");
    s->merges[1] = "th e";
    s->tokenizer.token_count = VOCAB + 1;
    refuse(state, s, ML_ERR_ARG, "vocabulary of 272");
    sample_free(s);
}

struct job {
    struct sample *sample;
    const char *path;
};

static int write_one(void *arg, struct ml_error *err)
{
    struct job *job = arg;
    return ml_gguf_qwen3_write(job->path, &job->sample->model, err);
}

static void allocations_fail(void **state)
{
    struct job job = {sample_new(true, ML_BF16), in_folder(state, 0, "f.gguf")};
    assert_true(each_allocation_fails(write_one, &job) > 5);
    sample_free(job.sample);
}

static int write_sample(const char *folder, const char *kind)
{
    char path[512];
    struct ml_error err = {0};
    struct sample *s =
        sample_new(strcmp(kind, "untied") == 0, strcmp(kind, "bf16") == 0 ? ML_BF16 : ML_F32);
    struct ml_saved_note note = {"format", "pt"};
    struct ml_saved_list list = {s->tensors, s->tensor_count, &note, 1};
    int rc = ml_dir_make(folder, &err);
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (rc == 0)
        rc = ml_hf_config_write(path, &s->config, &err);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (rc == 0)
        rc = ml_safetensors_write(path, &list, &err);
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    if (rc == 0)
        rc = ml_gguf_qwen3_write(path, &s->model, &err);
    if (rc != 0)
        fprintf(stderr, "%s\n", err.message);
    sample_free(s);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_by_its_name),
        cmocka_unit_test(tied_has_no_head),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(allocations_fail),
    };
    if (argc >= 3 && strcmp(argv[1], "--write") == 0)
        return write_sample(argv[2], argc > 3 ? argv[3] : "tied");
    return cmocka_run_group_tests_name("gguf_qwen3", tests, folder_setup, folder_teardown);
}
