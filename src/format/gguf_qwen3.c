#include "format/gguf_qwen3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

#define MAX_PAIRS 40

/* One tensor of the architecture: its names there and here, and its shape in terms of the
 * configuration. NEOX RoPE in both: no rows are permuted. */
enum extent { END, VOCAB, WIDTH, QUERY, KEY, HEAD, FFN };
struct row {
    const char *theirs, *ours;
    enum extent dim[2];
};

static const struct row top_rows[] = {
    {"model.embed_tokens.weight", "token_embd.weight", {VOCAB, WIDTH}},
    {"model.norm.weight", "output_norm.weight", {WIDTH, END}},
    {"lm_head.weight", "output.weight", {VOCAB, WIDTH}}, /* last: left out when tied */
};
static const struct row layer_rows[] = {
    {"input_layernorm.weight", "attn_norm.weight", {WIDTH, END}},
    {"self_attn.q_proj.weight", "attn_q.weight", {QUERY, WIDTH}},
    {"self_attn.k_proj.weight", "attn_k.weight", {KEY, WIDTH}},
    {"self_attn.v_proj.weight", "attn_v.weight", {KEY, WIDTH}},
    {"self_attn.o_proj.weight", "attn_output.weight", {WIDTH, QUERY}},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", {HEAD, END}},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", {HEAD, END}},
    {"post_attention_layernorm.weight", "ffn_norm.weight", {WIDTH, END}},
    {"mlp.gate_proj.weight", "ffn_gate.weight", {FFN, WIDTH}},
    {"mlp.up_proj.weight", "ffn_up.weight", {FFN, WIDTH}},
    {"mlp.down_proj.weight", "ffn_down.weight", {WIDTH, FFN}},
};
#define TOP_ROWS   ((int)(sizeof top_rows / sizeof *top_rows))
#define LAYER_ROWS ((int)(sizeof layer_rows / sizeof *layer_rows))

static int64_t extent(const struct ml_hf_config *c, enum extent which)
{
    switch (which) {
    case VOCAB:
        return c->vocab;
    case WIDTH:
        return c->width;
    case QUERY:
        return (int64_t)c->heads * c->head_dim;
    case KEY:
        return (int64_t)c->kv_heads * c->head_dim;
    case HEAD:
        return c->head_dim;
    case FFN:
        return c->ffn;
    default:
        return 0;
    }
}

/* What one export needs while it is written. */
struct export
{
    const char *path;
    const struct ml_gguf_qwen3 *model;
    struct ml_arena arena;
    const struct ml_saved_tensor **by_name; /* the given tensors, sorted */
    struct ml_saved_tensor *tensors;        /* ours */
    int tensor_count;
    struct ml_gguf_pair pairs[MAX_PAIRS];
    int pair_count;
};

static int out_of_memory(const struct export *x, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", x->path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ml_saved_tensor *const *)a)->name,
                  (*(const struct ml_saved_tensor *const *)b)->name);
}

static int add_tensor(struct export *x, const struct row *row, int layer, struct ml_error *err)
{
    const struct ml_hf_config *c = x->model->config;
    int ndim = row->dim[1] == END ? 1 : 2;
    char name[128];
    if (layer < 0)
        snprintf(name, sizeof name, "%s", row->theirs);
    else
        snprintf(name, sizeof name, "model.layers.%d.%s", layer, row->theirs);
    struct ml_saved_tensor wanted = {.name = name};
    const struct ml_saved_tensor *key = &wanted, **found;
    found = bsearch(&key, x->by_name, (size_t)x->model->tensor_count, sizeof *x->by_name, by_name);
    if (!found)
        return ml_fail(err, ML_ERR_ARG, "%s: the model has no tensor \"%s\", which GGUF needs",
                       x->path, name);
    struct ml_saved_tensor *t = &x->tensors[x->tensor_count++];
    *t = **found;
    if (t->ndim != ndim || t->dim[0] != extent(c, row->dim[0]) ||
        (ndim == 2 && t->dim[1] != extent(c, row->dim[1])))
        return ml_fail(err, ML_ERR_SHAPE,
                       "%s: tensor \"%s\" is not [%lld,%lld] as the configuration asks for",
                       x->path, name, (long long)extent(c, row->dim[0]),
                       (long long)(ndim == 2 ? extent(c, row->dim[1]) : 1));
    t->storage = ndim == 1 ? ML_F32 : c->dtype;
    t->name = layer < 0 ? row->ours : ml_arena_printf(&x->arena, "blk.%d.%s", layer, row->ours);
    return t->name ? 0 : out_of_memory(x, err);
}

static int add_tensors(struct export *x, struct ml_error *err)
{
    const struct ml_gguf_qwen3 *m = x->model;
    int top = m->config->untied ? TOP_ROWS : TOP_ROWS - 1;
    int count = top + LAYER_ROWS * m->config->layers;
    int rc = ml_saved_check_all(m->tensors, m->tensor_count, x->path, err);
    if (rc != 0)
        return rc;
    if (m->tensor_count != count)
        return ml_fail(err, ML_ERR_ARG,
                       "%s: the model has %d tensors, the qwen3 architecture has %d with %d layers",
                       x->path, m->tensor_count, count, m->config->layers);
    x->tensors = ml_arena_calloc(&x->arena, (size_t)count, sizeof *x->tensors);
    x->by_name = ml_arena_calloc(&x->arena, (size_t)count, sizeof *x->by_name);
    if (!x->tensors || !x->by_name)
        return out_of_memory(x, err);
    for (int i = 0; i < count; i++)
        x->by_name[i] = &m->tensors[i];
    qsort(x->by_name, (size_t)count, sizeof *x->by_name, by_name);
    for (int i = 0; rc == 0 && i < top; i++)
        rc = add_tensor(x, &top_rows[i], -1, err);
    for (int layer = 0; rc == 0 && layer < m->config->layers; layer++)
        for (int i = 0; rc == 0 && i < LAYER_ROWS; i++)
            rc = add_tensor(x, &layer_rows[i], layer, err);
    return rc;
}

static struct ml_gguf_pair *add(struct export *x, const char *key, enum ml_gguf_type type)
{
    struct ml_gguf_pair *pair = &x->pairs[x->pair_count++];
    pair->key = key;
    pair->type = type;
    return pair;
}

static void add_count(struct export *x, const char *key, int value)
{
    add(x, key, ML_GGUF_U32)->u32 = (uint32_t)value;
}

static void add_text(struct export *x, const char *key, const char *value)
{
    if (value)
        add(x, key, ML_GGUF_STRING)->string = value;
}

/* llama.cpp's numbers for "mostly" this type. */
static int file_type(enum ml_dtype dtype)
{
    return dtype == ML_F32 ? 0 : dtype == ML_F16 ? 1 : 32;
}

static void add_config(struct export *x)
{
    const struct ml_gguf_qwen3 *m = x->model;
    const struct ml_hf_config *c = m->config;
    add_text(x, "general.architecture", "qwen3");
    add_text(x, "general.type", "model");
    add_text(x, "general.name", m->name);
    add_text(x, "general.description", m->description);
    add_text(x, "general.license", m->license);
    add_count(x, "general.alignment", ML_GGUF_ALIGNMENT);
    add_count(x, "general.file_type", file_type(c->dtype));
    add_count(x, "qwen3.vocab_size", c->vocab);
    add_count(x, "qwen3.context_length", c->context);
    add_count(x, "qwen3.embedding_length", c->width);
    add_count(x, "qwen3.block_count", c->layers);
    add_count(x, "qwen3.feed_forward_length", c->ffn);
    add_count(x, "qwen3.attention.head_count", c->heads);
    add_count(x, "qwen3.attention.head_count_kv", c->kv_heads);
    add_count(x, "qwen3.attention.key_length", c->head_dim);
    add_count(x, "qwen3.attention.value_length", c->head_dim);
    add(x, "qwen3.attention.layer_norm_rms_epsilon", ML_GGUF_F32)->f32 = c->norm_eps;
    add(x, "qwen3.rope.freq_base", ML_GGUF_F32)->f32 = c->rope_theta;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* llama.cpp stops the program when two tokens have the same text. */
static int check_tokens(struct export *x, const char *const *tokens, struct ml_error *err)
{
    int count = x->model->config->vocab;
    const char **sorted = ml_arena_alloc(&x->arena, (size_t)count * sizeof *sorted);
    if (!sorted)
        return out_of_memory(x, err);
    memcpy(sorted, tokens, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, by_text);
    for (int i = 1; i < count; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return ml_fail(err, ML_ERR_ARG, "%s: two tokens are \"%.64s\"; GGUF needs each once",
                           x->path, sorted[i]);
    return 0;
}

static int check_tokenizer(const struct export *x, struct ml_error *err)
{
    const struct ml_gguf_tokenizer *t = x->model->tokenizer;
    int vocab = x->model->config->vocab;
    if (!t->pre || t->token_count < 0 || t->merge_count < 0)
        return ml_fail(err, ML_ERR_ARG,
                       "%s: the tokenizer has no pre-tokenisation or a negative "
                       "count",
                       x->path);
    if (t->token_count > vocab)
        return ml_fail(err, ML_ERR_ARG, "%s: %d tokens, the model has a vocabulary of %d", x->path,
                       t->token_count, vocab);
    for (int i = 0; i < t->token_count; i++)
        if (!t->tokens[i] || t->types[i] < ML_GGUF_TOKEN_NORMAL || t->types[i] > ML_GGUF_TOKEN_BYTE)
            return ml_fail(err, ML_ERR_ARG, "%s: token %d has no text or an unknown type", x->path,
                           i);
    for (int i = 0; i < t->merge_count; i++) {
        const char *space = t->merges[i] ? strchr(t->merges[i], ' ') : NULL;
        if (!space || space == t->merges[i] || !space[1] || strchr(space + 1, ' '))
            return ml_fail(err, ML_ERR_ARG, "%s: merge %d is not two tokens with a space between",
                           x->path, i);
    }
    return 0;
}

static void add_array(struct export *x, const char *key, enum ml_gguf_type type, const void *array,
                      int count)
{
    struct ml_gguf_pair *pair = add(x, key, type);
    pair->array = array;
    pair->count = (uint64_t)count;
}

static int add_tokenizer(struct export *x, struct ml_error *err)
{
    const struct ml_gguf_tokenizer *t = x->model->tokenizer;
    const struct ml_hf_config *c = x->model->config;
    static const char *const none[1];
    int rc = check_tokenizer(x, err);
    if (rc != 0)
        return rc;
    const char **tokens = ml_arena_calloc(&x->arena, (size_t)c->vocab, sizeof *tokens);
    int32_t *types = ml_arena_calloc(&x->arena, (size_t)c->vocab, sizeof *types);
    if (!tokens || !types)
        return out_of_memory(x, err);
    for (int i = 0; i < c->vocab; i++) {
        bool known = i < t->token_count;
        tokens[i] = known ? t->tokens[i] : ml_arena_printf(&x->arena, "[PAD%d]", i);
        types[i] = known ? t->types[i] : ML_GGUF_TOKEN_UNUSED;
        if (!tokens[i])
            return out_of_memory(x, err);
    }
    rc = check_tokens(x, tokens, err);
    if (rc != 0)
        return rc;
    add_text(x, "tokenizer.ggml.model", "gpt2");
    add_text(x, "tokenizer.ggml.pre", t->pre);
    add_array(x, "tokenizer.ggml.tokens", ML_GGUF_STRING, tokens, c->vocab);
    add_array(x, "tokenizer.ggml.token_type", ML_GGUF_I32, types, c->vocab);
    add_array(x, "tokenizer.ggml.merges", ML_GGUF_STRING, t->merges ? t->merges : none,
              t->merge_count);
    if (c->bos >= 0)
        add_count(x, "tokenizer.ggml.bos_token_id", c->bos);
    if (c->eos >= 0)
        add_count(x, "tokenizer.ggml.eos_token_id", c->eos);
    if (c->pad >= 0)
        add_count(x, "tokenizer.ggml.padding_token_id", c->pad);
    add(x, "tokenizer.ggml.add_bos_token", ML_GGUF_BOOL)->boolean = t->add_bos && c->bos >= 0;
    add_text(x, "tokenizer.chat_template", t->chat_template);
    return 0;
}

int ml_gguf_qwen3_write(const char *path, const struct ml_gguf_qwen3 *model, struct ml_error *err)
{
    struct export x = {.path = path, .model = model};
    int rc = ml_hf_config_check(model->config, path, err);
    if (rc != 0)
        return rc;
    ml_arena_init(&x.arena, 0);
    rc = add_tensors(&x, err);
    if (rc == 0) {
        add_config(&x);
        rc = add_tokenizer(&x, err);
    }
    if (rc == 0) {
        struct ml_gguf_content content = {x.pairs, x.pair_count, x.tensors, x.tensor_count};
        rc = ml_gguf_write(path, &content, err);
    }
    ml_arena_clear(&x.arena);
    return rc;
}
