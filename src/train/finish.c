/* The end of a run: the best weights, measured on all of the validation text as they are stored,
 * and the folder that holds the model. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "format/hf_config.h"
#include "format/safetensors.h"
#include "tensor/mirror.h"
#include "text/template.h"
#include "train/train_impl.h"

struct finish {
    struct trainer *t;
    bool bf16;        /* matrices are stored so */
    double loss;      /* nats a token of the whole validation text, NaN: none */
    double bits;      /* a character */
    double base_bits; /* of a model that knows token frequencies only */
    int64_t targets;
    char recipe_hash[65];
};

/* Without validation the last weights are the result, and so they are when the best ones were lost:
 * better a model than none. */
static int take_best(struct trainer *t, struct ml_error *err)
{
    struct ml_error why = {0};
    if (t->state.best_step < 0)
        return 0;
    int status = checkpoint_load_best(t, &why);
    if (status == ML_ERR_MEMORY)
        return ml_fail(err, status, "%s", why.message);
    if (status < 0) {
        bool found;
        ml_log(t->job->log, ML_LOG_WARN, "the best weights are lost (%s): taking the last ones",
               why.message);
        return checkpoint_load(t, &found, err);
    }
    return 0;
}

static bool stored_bf16(const struct finish *f, const struct ml_param *param)
{
    return f->bf16 && param->kind != ML_PARAM_VECTOR;
}

/* What is measured is what is stored. */
static int round_weights(struct finish *f, struct ml_error *err)
{
    struct ml_device *device = f->t->job->device;
    for (int i = 0; i < f->t->model.params.count; i++) {
        const struct ml_param *param = f->t->model.params.items[i];
        float *data = trainer_measured(f->t, i);
        int64_t n = stored_bf16(f, param) ? ml_param_count(param) : 0;
        int status = ml_mirror_fetch(device, data, err);
        if (status < 0)
            return status;
        for (int64_t k = 0; k < n; k++)
            data[k] = ml_bf16_to_f32(ml_f32_to_bf16(data[k]));
        if (n)
            ml_mirror_host_changed(device, data);
    }
    return 0;
}

/* Nats a token of the validation text under the frequencies of the training text (add one). */
static int unigram_loss(struct trainer *t, double *out, struct ml_error *err)
{
    int64_t vocab = ml_tokenizer_size(t->tokenizer);
    int64_t *counts = ml_mem_calloc((size_t)vocab, sizeof *counts);
    if (!counts)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for %lld counts", (long long)vocab);
    for (int64_t i = 1; i < t->train->stream_count; i++)
        counts[t->train->stream[i]]++;
    double sum = 0, total = (double)(t->train->stream_count - 1 + vocab);
    for (int64_t i = 1; i < t->validation->stream_count; i++)
        sum -= log(((double)counts[t->validation->stream[i]] + 1) / total);
    ml_mem_free(counts);
    *out = sum / (double)(t->validation->stream_count - 1);
    return 0;
}

static int measure_all(struct finish *f, struct ml_error *err)
{
    struct trainer *t = f->t;
    f->loss = f->bits = f->base_bits = NAN;
    if (!t->validation)
        return 0;
    double base = 0;
    int status = trainer_evaluate(t, 0, &f->loss, err);
    if (status == 0)
        status = unigram_loss(t, &base, err);
    f->targets = t->validation->targets;
    double a_character = (double)f->targets / log(2.0) / (double)t->validation_tokens.characters;
    f->bits = f->loss * a_character;
    f->base_bits = base * a_character;
    return status;
}

/* ---- the model's folder ---- */

static int save_weights(struct finish *f, const char *path, struct ml_error *err)
{
    struct trainer *t = f->t;
    int n = t->model.params.count;
    struct ml_saved_tensor *tensors = ml_mem_calloc((size_t)n, sizeof *tensors);
    if (!tensors)
        return ml_fail(err, ML_ERR_MEMORY, "no memory to save the model");
    for (int i = 0; i < n; i++) {
        const struct ml_param *param = t->model.params.items[i];
        tensors[i] = (struct ml_saved_tensor){.name = param->name,
                                              .storage = stored_bf16(f, param) ? ML_BF16 : ML_F32,
                                              .source = ML_F32,
                                              .ndim = param->ndim,
                                              .data = trainer_measured(t, i)};
        memcpy(tensors[i].dim, param->dim, sizeof param->dim);
    }
    struct ml_saved_note note = {"format", "pt"}; /* what transformers looks for */
    struct ml_saved_list list = {tensors, n, &note, 1};
    int status = ml_safetensors_write(path, &list, err);
    ml_mem_free(tensors);
    return status;
}

static int save_config(struct finish *f, const char *path, struct ml_error *err)
{
    const struct ml_text_config *c = &f->t->model.config;
    struct ml_hf_config config = {.vocab = c->vocab,
                                  .width = c->width,
                                  .layers = c->layers,
                                  .heads = c->heads,
                                  .kv_heads = c->kv_heads,
                                  .head_dim = c->head_dim,
                                  .ffn = c->ffn,
                                  .context = c->context,
                                  .rope_theta = c->rope_theta,
                                  .norm_eps = c->norm_eps,
                                  .untied = c->untied,
                                  .bos = f->t->end,
                                  .eos = f->t->end,
                                  .pad = f->t->end,
                                  .dtype = f->bf16 ? ML_BF16 : ML_F32};
    return ml_hf_config_write(path, &config, err);
}

static int save_tokenizer_config(struct finish *f, const char *path, struct ml_error *err)
{
    char *text = NULL;
    int status = ml_tokenizer_config_json(f->t->tokenizer, f->t->end, &text, err);
    if (status == 0)
        status = ml_file_write(path, text, strlen(text), err);
    ml_mem_free(text);
    return status;
}

/* The template's fields, so that callers know what may be asked for. NULL: out of memory. */
static json_t *template_fields(struct finish *f)
{
    json_t *fields = json_array();
    struct ml_arena arena;
    struct ml_template *template = NULL;
    const char *text = f->t->recipe.data.template;
    int status = 0;
    ml_arena_init(&arena, 0);
    if (*text)
        status = ml_template_parse(&template, &arena, text, strlen(text), NULL);
    for (int i = 0; status == 0 && template && i < ml_template_field_count(template); i++)
        status = json_array_append_new(fields, json_string(ml_template_field(template, i)));
    ml_arena_clear(&arena);
    if (status == 0)
        return fields;
    json_decref(fields);
    return NULL;
}

/* jansson gives NULL when memory is out, and NULL into an object leaves the key out: whoever sets
 * keys counts how many there must be in the end. */
static void set_real(json_t *object, const char *key, double value, size_t *keys)
{
    if (!isfinite(value))
        return;
    json_object_set_new(object, key, json_real(value));
    (*keys)++;
}

/* NULL: out of memory. */
static json_t *metrics_json(const struct finish *f)
{
    const struct train_state *s = &f->t->state;
    json_t *m = json_object();
    size_t keys = 6;
    set_real(m, "validation_loss", f->loss, &keys);
    set_real(m, "bits_per_character", f->bits, &keys);
    set_real(m, "baseline_bits_per_character", f->base_bits, &keys);
    json_object_set_new(m, "validation_tokens", json_integer(f->targets));
    json_object_set_new(m, "validation_characters",
                        json_integer(f->t->validation_tokens.characters));
    set_real(m, "train_loss", s->train_loss, &keys);
    json_object_set_new(m, "steps", json_integer(s->step));
    json_object_set_new(m, "best_step", json_integer(s->best_step));
    json_object_set_new(m, "tokens", json_integer(s->tokens));
    set_real(m, "seconds", s->seconds, &keys);
    json_object_set_new(m, "seed", json_integer(f->t->recipe.train.seed));
    if (json_object_size(m) == keys)
        return m;
    json_decref(m);
    return NULL;
}

static int save_about(struct finish *f, const char *path, struct ml_error *err)
{
    const struct ml_recipe *r = &f->t->recipe;
    json_t *about = json_object();
    char *text = NULL;
    json_object_set_new(about, "format", json_integer(1));
    json_object_set_new(about, "kind", json_string("text"));
    json_object_set_new(about, "name", json_string(r->name));
    json_object_set_new(about, "description", json_string(r->description));
    json_object_set_new(about, "licence", json_string(r->licence));
    json_object_set_new(about, "template", json_string(r->data.template));
    json_object_set_new(about, "fields", template_fields(f));
    json_object_set_new(about, "end",
                        r->tokenizer.special.count ? json_string(r->tokenizer.special.items[0])
                                                   : json_null());
    json_object_set_new(about, "dataset", json_string(r->data.dataset));
    json_object_set_new(about, "dataset_hash",
                        json_string(f->t->job->dataset_hash ? f->t->job->dataset_hash : ""));
    json_object_set_new(about, "recipe_hash", json_string(f->recipe_hash));
    json_object_set_new(about, "parameters", json_integer(ml_params_count(&f->t->model.params)));
    json_object_set_new(about, "metrics", metrics_json(f));
    int status = about && json_object_size(about) == 13
                     ? ml_json_text(&text, about, JSON_INDENT(2), err)
                     : ml_fail(err, ML_ERR_MEMORY, "no memory for %s", path);
    if (status == 0)
        status = ml_file_write(path, text, strlen(text), err);
    ml_mem_free(text);
    json_decref(about);
    return status;
}

static int card_numbers(struct finish *f, struct ml_buffer *out, struct ml_error *err)
{
    const struct trainer *t = f->t;
    const struct ml_text_config *c = &t->model.config;
    char count[32], tokens[32], time[32];
    ml_format_count(count, sizeof count, (double)ml_params_count(&t->model.params));
    ml_format_count(tokens, sizeof tokens, (double)t->state.tokens);
    ml_format_seconds(time, sizeof time, t->state.seconds);
    int status = ml_buffer_printf(
        out, err,
        "| | |\n|---|---|\n"
        "| Shape | Qwen3: %d layers, %d wide, %d heads, context %d, vocabulary %d |\n"
        "| Parameters | %s |\n"
        "| Dataset | `%s` %s |\n"
        "| Training | %" PRId64 " steps, %s tokens, %s, seed %" PRId64 " |\n"
        "| Recipe | `recipe.yaml`, SHA-256 `%s` |\n",
        c->layers, c->width, c->heads, c->context, c->vocab, count, t->recipe.data.dataset,
        t->job->dataset_hash ? t->job->dataset_hash : "", t->state.step, tokens, time,
        t->recipe.train.seed, f->recipe_hash);
    if (status == 0 && isfinite(f->loss))
        status = ml_buffer_printf(
            out, err,
            "| Held-out loss | %.4f nats a token (n = %" PRId64 " tokens) |\n"
            "| Held-out bits a character | %.3f (token frequencies alone: %.3f) |\n",
            f->loss, f->targets, f->bits, f->base_bits);
    return status;
}

static int save_card(struct finish *f, const char *path, struct ml_error *err)
{
    const struct ml_recipe *r = &f->t->recipe;
    struct ml_buffer out = {0};
    int status = ml_buffer_printf(&out, err, "---\nlicense: %s\nlibrary_name: transformers\n---\n",
                                  *r->licence ? r->licence : "unknown");
    if (status == 0)
        status = ml_buffer_printf(&out, err, "# %s\n\n%s%s", r->name, r->description,
                                  *r->description ? "\n\n" : "");
    if (status == 0)
        status = card_numbers(f, &out, err);
    if (status == 0)
        status = ml_buffer_printf(&out, err,
                                  "\nTrained by Maliang. It writes what its training text makes "
                                  "likely, true or not: have people read what it writes before "
                                  "it is published.\n");
    if (status == 0)
        status = ml_file_write(path, out.data, out.size, err);
    ml_buffer_clear(&out);
    return status;
}

typedef int save_fn(struct finish *f, const char *path, struct ml_error *err);

static int save_tokenizer(struct finish *f, const char *path, struct ml_error *err)
{
    return ml_tokenizer_save(f->t->tokenizer, path, err);
}

static int save_recipe(struct finish *f, const char *path, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = ml_recipe_print(&f->t->recipe, &text, err);
    if (status == 0)
        status = ml_file_write(path, text.data, text.size, err);
    ml_buffer_clear(&text);
    return status;
}

/* config.json comes last: the folder is a model once it is there. */
static int save_model(struct finish *f, struct ml_error *err)
{
    static const struct {
        const char *name;
        save_fn *save;
    } files[] = {
        {"model.safetensors", save_weights},
        {"tokenizer.json", save_tokenizer},
        {"tokenizer_config.json", save_tokenizer_config},
        {"recipe.yaml", save_recipe},
        {"maliang.json", save_about},
        {"README.md", save_card},
        {"config.json", save_config},
    };
    int count = (int)(sizeof files / sizeof *files);
    int status = ml_dir_make(f->t->result, err);
    for (int i = 0; i < count && status == 0; i++) {
        char *path = ml_path_join(&f->t->arena, f->t->result, files[i].name);
        status = path ? files[i].save(f, path, err)
                      : ml_fail(err, ML_ERR_MEMORY, "no memory to save the model");
        trainer_report(f->t, "save", i + 1, count);
    }
    return status;
}

static void fill_result(const struct finish *f, struct ml_train_result *out)
{
    const struct trainer *t = f->t;
    *out = (struct ml_train_result){
        .steps = t->state.step,
        .resumed_from = t->resumed_from > 0 ? t->resumed_from : 0,
        .parameters = ml_params_count(&t->model.params),
        .tokens = t->state.tokens,
        .train_loss = t->state.train_loss,
        .validation_loss = f->loss,
        .best_validation_loss = t->state.best_loss,
        .bits_per_character = f->bits,
        .seconds = t->state.seconds,
        .tokens_per_second = t->state.seconds > 0 ? (double)t->state.tokens / t->state.seconds : 0,
        .stopped_early = t->state.stopped,
    };
    snprintf(out->run, sizeof out->run, "%s", t->job->folder);
    snprintf(out->model, sizeof out->model, "%s", t->result);
}

int trainer_finish(struct trainer *t, struct ml_train_result *out, struct ml_error *err)
{
    struct finish f = {.t = t, .bf16 = t->recipe.model.save == ML_SAVE_BF16};
    ml_json_setup();
    ml_recipe_hash(&t->recipe, false, f.recipe_hash);
    int status = take_best(t, err);
    if (status < 0)
        return status;
    status = round_weights(&f, err);
    if (status == 0)
        status = measure_all(&f, err);
    if (status == 0)
        status = save_model(&f, err);
    if (status == 0)
        status = ml_metrics_draw(&t->metrics, t->recipe.name, 0, err);
    if (status == 0)
        fill_result(&f, out);
    return status;
}
