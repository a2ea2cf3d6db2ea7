/* A model out of its folder: GGUF for llama.cpp, safetensors in another precision. */
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/files.h"
#include "format/gguf_qwen3.h"
#include "format/safetensors.h"
#include "generate/text_pack.h"

static int parse_precision(const char *name, enum ml_dtype *out, struct ml_error *err)
{
    const enum ml_dtype known[] = {ML_BF16, ML_F16, ML_F32};
    for (int i = 0; i < 3; i++)
        if (!name || strcmp(name, ml_dtype_name(known[i])) == 0) {
            *out = known[i];
            return 0;
        }
    return ml_fail(err, ML_ERR_ARG, "there is no precision \"%s\"; known: f32, f16, bf16", name);
}

static struct ml_saved_tensor *list_tensors(const struct ml_text_pack *pack, enum ml_dtype storage,
                                            struct ml_arena *arena)
{
    const struct ml_params *params = &pack->model.params;
    struct ml_saved_tensor *list = ml_arena_calloc(arena, (size_t)params->count, sizeof *list);
    for (int i = 0; list && i < params->count; i++) {
        const struct ml_param *p = params->items[i];
        list[i] = (struct ml_saved_tensor){.name = p->name,
                                           .storage = p->kind == ML_PARAM_VECTOR ? ML_F32 : storage,
                                           .source = p->dtype,
                                           .ndim = p->ndim,
                                           .data = p->data};
        memcpy(list[i].dim, p->dim, sizeof p->dim);
    }
    return list;
}

/* The spelled tokens and merges of a tokenizer, owned by the arena. */
static int spell_tokenizer(const struct ml_tokenizer *t, struct ml_gguf_tokenizer *out,
                           struct ml_arena *arena, struct ml_error *err)
{
    int tokens = ml_tokenizer_size(t), merges = ml_tokenizer_merge_count(t), status = 0;
    const char **token = ml_arena_calloc(arena, (size_t)tokens + 1, sizeof *token);
    const char **merge = ml_arena_calloc(arena, (size_t)merges + 1, sizeof *merge);
    int32_t *types = ml_arena_calloc(arena, (size_t)tokens + 1, sizeof *types);
    struct ml_buffer text = {0};
    if (!token || !merge || !types)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory for a tokenizer");
    for (int i = 0; i < tokens + merges && status == 0; i++) {
        text.size = 0;
        status = i < tokens ? ml_tokenizer_text(t, i, &text, err)
                            : ml_tokenizer_merge_text(t, i - tokens, &text, err);
        const char *copy = status == 0 ? ml_arena_strndup(arena, text.data, text.size) : NULL;
        if (status == 0 && !copy)
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory for a tokenizer");
        if (i < tokens) {
            token[i] = copy;
            types[i] = (int32_t)ml_tokenizer_kind(t, i);
        } else {
            merge[i - tokens] = copy;
        }
    }
    ml_buffer_clear(&text);
    *out = (struct ml_gguf_tokenizer){.pre = ml_tokenizer_llama_name(t),
                                      .token_count = tokens,
                                      .tokens = token,
                                      .types = types,
                                      .merge_count = merges,
                                      .merges = merge};
    return status;
}

static int export_gguf(const struct ml_text_pack *pack, enum ml_dtype precision, const char *name,
                       const char *path, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_gguf_tokenizer tokenizer;
    struct ml_hf_config config = pack->config;
    ml_arena_init(&arena, 0);
    config.dtype = precision;
    struct ml_saved_tensor *tensors = list_tensors(pack, precision, &arena);
    int status = tensors ? spell_tokenizer(pack->tokenizer, &tokenizer, &arena, err)
                         : ml_fail(err, ML_ERR_MEMORY, "out of memory");
    struct ml_gguf_qwen3 model = {
        .config = &config,
        .tensors = tensors,
        .tensor_count = pack->model.params.count,
        .tokenizer = &tokenizer,
        .name = name,
        .description = json_string_value(json_object_get(pack->about, "description")),
        .license = json_string_value(json_object_get(pack->about, "licence")),
    };
    if (status == 0)
        status = ml_gguf_qwen3_write(path, &model, err);
    ml_arena_clear(&arena);
    return status;
}

static int export_safetensors(const struct ml_text_pack *pack, enum ml_dtype precision,
                              const char *path, struct ml_error *err)
{
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    struct ml_saved_note note = {"format", "pt"};
    struct ml_saved_list list = {.tensors = list_tensors(pack, precision, &arena),
                                 .count = pack->model.params.count,
                                 .notes = &note,
                                 .note_count = 1};
    int status = list.tensors ? ml_safetensors_write(path, &list, err)
                              : ml_fail(err, ML_ERR_MEMORY, "out of memory");
    ml_arena_clear(&arena);
    return status;
}

int ml_catalog_export(const char *workspace, const char *model, const char *format,
                      const char *precision, const char *path, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_text_pack pack = {0};
    enum ml_dtype dtype = ML_BF16;
    char *folder = NULL;
    bool gguf = strcmp(format, "gguf") == 0;
    if (!gguf && strcmp(format, "safetensors") != 0)
        return ml_fail(err, ML_ERR_ARG, "cannot export as \"%s\"; known: gguf, safetensors",
                       format);
    int status = parse_precision(precision, &dtype, err);
    if (status != 0)
        return status;
    ml_arena_init(&arena, 0);
    status = ml_locate_model(&folder, &arena, workspace, model, err);
    if (status == 0)
        status = ml_text_pack_open(&pack, folder, err);
    if (status == 0)
        status = gguf ? export_gguf(&pack, dtype, model, path, err)
                      : export_safetensors(&pack, dtype, path, err);
    ml_text_pack_close(&pack);
    ml_arena_clear(&arena);
    return status;
}
