#include "generate/text_pack.h"

#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "format/weights.h"

#define MAX_ABOUT_BYTES (1 << 20)

int ml_text_pack_about(json_t **out, const char *folder, struct ml_error *err)
{
    struct ml_arena arena;
    char *text = NULL;
    size_t size = 0;
    int status = 0;
    ml_json_setup();
    ml_arena_init(&arena, 0);
    char *path = ml_path_join(&arena, folder, "maliang.json");
    if (!path) {
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory");
    } else if (!ml_path_exists(path)) {
        *out = json_object();
        status = *out ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory");
    } else {
        json_t *about = NULL;
        status = ml_file_read(&arena, path, MAX_ABOUT_BYTES, &text, &size, err);
        if (status == 0)
            status = ml_json_parse(&about, text, size, path, err);
        if (status == 0 && !json_is_object(about))
            status = ml_fail(err, ML_ERR_FORMAT, "%s: should be a JSON object", path);
        if (status == 0)
            *out = about;
        else
            json_decref(about);
    }
    ml_arena_clear(&arena);
    return status;
}

static struct ml_text_config model_config(const struct ml_hf_config *c)
{
    return (struct ml_text_config){.vocab = c->vocab,
                                   .width = c->width,
                                   .layers = c->layers,
                                   .heads = c->heads,
                                   .kv_heads = c->kv_heads,
                                   .head_dim = c->head_dim,
                                   .ffn = c->ffn,
                                   .context = c->context,
                                   .rope_theta = c->rope_theta,
                                   .norm_eps = c->norm_eps,
                                   .untied = c->untied};
}

static int load_parameter(struct ml_param *param, const struct ml_weights *weights,
                          struct ml_arena *arena, struct ml_error *err)
{
    const struct ml_safetensors_entry *entry = ml_weights_find(weights, param->name, NULL);
    bool bf16 = entry && entry->number == ML_NUMBER_BF16 && param->kind != ML_PARAM_VECTOR;
    param->dtype = bf16 ? ML_BF16 : ML_F32;
    size_t bytes = ml_dtype_size(param->dtype);
    for (int i = 0; i < param->ndim; i++)
        bytes *= (size_t)param->dim[i];
    param->data = ml_arena_alloc(arena, bytes);
    if (!param->data)
        return ml_fail(err, ML_ERR_MEMORY,
                       "out of memory for %s: the model is too large for this "
                       "machine",
                       param->name);
    struct ml_load_target target = {param->dtype, param->ndim, param->dim, param->data};
    return ml_weights_load(weights, param->name, &target, err);
}

static int load_weights(struct ml_text_pack *pack, const char *folder, struct ml_error *err)
{
    struct ml_weights weights = {0};
    int status = ml_weights_open(&weights, folder, err);
    if (status == 0)
        status = ml_weights_check_finite(&weights, err);
    for (int i = 0; i < pack->model.params.count && status == 0; i++)
        status = load_parameter(pack->model.params.items[i], &weights, &pack->arena, err);
    ml_weights_close(&weights);
    return status;
}

/* The configured end and what the usual chat formats end a turn or a text with. */
static void find_ends(struct ml_text_pack *pack)
{
    static const char *const names[] = {"<|end|>",    "<|endoftext|>",   "<|im_end|>",
                                        "<|eot_id|>", "<|end_of_text|>", "</s>"};
    if (pack->config.eos >= 0)
        pack->ends[pack->end_count++] = pack->config.eos;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int32_t id = ml_tokenizer_special(pack->tokenizer, names[i]);
        if (id >= 0 && id != pack->config.eos)
            pack->ends[pack->end_count++] = id;
    }
}

static int open_parts(struct ml_text_pack *pack, const char *folder, struct ml_error *err)
{
    char *tokenizer = ml_path_join(&pack->arena, folder, "tokenizer.json");
    if (!tokenizer)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory");
    int status = ml_hf_config_read(&pack->config, folder, err);
    if (status == 0)
        status = ml_tokenizer_open(&pack->tokenizer, tokenizer, err);
    if (status == 0)
        status = ml_text_pack_about(&pack->about, folder, err);
    struct ml_text_config config = model_config(&pack->config);
    if (status == 0)
        status = ml_text_model_init(&pack->model, &config, &pack->arena, err);
    if (status == ML_ERR_ARG)
        ml_fail_context(err, "%s/config.json", folder);
    if (status == 0)
        status = load_weights(pack, folder, err);
    if (status != 0)
        return status;
    pack->template = json_string_value(json_object_get(pack->about, "template"));
    if (pack->template && !*pack->template)
        pack->template = NULL;
    find_ends(pack);
    return 0;
}

int ml_text_pack_open(struct ml_text_pack *out, const char *folder, struct ml_error *err)
{
    struct ml_text_pack *pack = out;
    memset(pack, 0, sizeof *pack);
    ml_arena_init(&pack->arena, 1 << 20);
    int status = open_parts(pack, folder, err);
    if (status != 0)
        ml_text_pack_close(pack);
    return status;
}

void ml_text_pack_close(struct ml_text_pack *pack)
{
    if (!pack)
        return;
    ml_tokenizer_free(pack->tokenizer);
    json_decref(pack->about);
    ml_arena_clear(&pack->arena);
    memset(pack, 0, sizeof *pack);
}
