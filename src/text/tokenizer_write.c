#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/utf8.h"
#include "text/tokenizer_impl.h"

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory writing a tokenizer");
}

/* Takes value over, also when it fails. */
static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* {"type": type}, or NULL */
static json_t *typed(const char *type)
{
    json_t *object = json_object();
    if (object && !set(object, "type", json_string(type))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *drop_unless(bool ok, json_t *value)
{
    if (ok)
        return value;
    json_decref(value);
    return NULL;
}

/* The same keys as pre-tokeniser, post-processor and decoder. */
static json_t *byte_level(bool use_regex)
{
    json_t *step = typed("ByteLevel");
    return drop_unless(set(step, "add_prefix_space", json_false()) &&
                           set(step, "trim_offsets", json_false()) &&
                           set(step, "use_regex", json_boolean(use_regex)),
                       step);
}

static json_t *split(const char *regex)
{
    json_t *step = typed("Split"), *pattern = json_object();
    bool ok = set(pattern, "Regex", json_string(regex));
    ok = set(step, "pattern", pattern) && ok;
    return drop_unless(ok && set(step, "behavior", json_string("Isolated")) &&
                           set(step, "invert", json_false()),
                       step);
}

static json_t *digits(void)
{
    json_t *step = typed("Digits");
    return drop_unless(set(step, "individual_digits", json_true()), step);
}

static json_t *pre_tokenizer(enum ml_pretokenizer which)
{
    const struct ml_word_rule *rule = ml_word_rule(which);
    if (!rule->split && which != ML_PRETOKENIZER_SMOLLM)
        return byte_level(true);
    json_t *steps = json_array(), *sequence = typed("Sequence");
    bool ok = json_array_append_new(steps, rule->split ? split(rule->split) : digits()) == 0 &&
              json_array_append_new(steps, byte_level(!rule->split)) == 0;
    ok = set(sequence, "pretokenizers", steps) && ok;
    return drop_unless(ok, sequence);
}

/* The token's spelling as a JSON value's text. */
static int spell(const struct ml_tokenizer *t, int32_t id, struct ml_buffer *text,
                 struct ml_error *err)
{
    text->size = 0;
    return ml_tokenizer_text(t, id, text, err);
}

static int put_added(const struct ml_tokenizer *t, json_t *added, struct ml_error *err)
{
    for (int32_t id = 0; id < t->size; id++) {
        if (t->kind[id] == ML_TOKEN_NORMAL)
            continue;
        size_t size;
        const char *bytes = ml_tokenizer_bytes(t, id, &size);
        if (!ml_utf8_valid(bytes, size))
            return ml_fail(err, ML_ERR_UNSUPPORTED,
                           "special token %d is not UTF-8 and cannot be written as JSON", id);
        json_t *token = json_object();
        bool ok = set(token, "id", json_integer(id)) &&
                  set(token, "content", json_stringn(bytes, size)) &&
                  set(token, "single_word", json_false()) && set(token, "lstrip", json_false()) &&
                  set(token, "rstrip", json_false()) && set(token, "normalized", json_false()) &&
                  set(token, "special", json_boolean(t->kind[id] == ML_TOKEN_CONTROL));
        if (json_array_append_new(added, drop_unless(ok, token)) < 0)
            return no_memory(err);
    }
    return 0;
}

static int put_vocab(const struct ml_tokenizer *t, json_t *vocab, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int code = 0;
    for (int32_t id = 0; code == 0 && id < t->size; id++) {
        if ((code = spell(t, id, &text, err)) < 0)
            break;
        if (memchr(text.data, 0, text.size))
            code = ml_fail(err, ML_ERR_UNSUPPORTED,
                           "special token %d holds a NUL and cannot be written as JSON", id);
        else if (json_object_get(vocab, text.data))
            code =
                ml_fail(err, ML_ERR_UNSUPPORTED,
                        "special token %d is spelt like an ordinary one; it cannot be written", id);
        else if (json_object_set_new(vocab, text.data, json_integer(id)) < 0)
            code = no_memory(err);
    }
    ml_buffer_clear(&text);
    return code;
}

static int put_merges(const struct ml_tokenizer *t, json_t *merges, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int code = 0;
    for (int32_t rank = 0; code == 0 && rank < t->merge_count; rank++) {
        text.size = 0;
        if ((code = ml_tokenizer_merge_text(t, rank, &text, err)) == 0 &&
            json_array_append_new(merges, json_stringn(text.data, text.size)) < 0)
            code = no_memory(err);
    }
    ml_buffer_clear(&text);
    return code;
}

static bool put_model(const struct ml_tokenizer *t, json_t *model)
{
    return set(model, "dropout", json_null()) && set(model, "unk_token", json_null()) &&
           set(model, "continuing_subword_prefix", json_string("")) &&
           set(model, "end_of_word_suffix", json_string("")) &&
           set(model, "fuse_unk", json_false()) && set(model, "byte_fallback", json_false()) &&
           set(model, "ignore_merges", json_boolean(t->ignore_merges));
}

static bool put_root(const struct ml_tokenizer *t, json_t *root, json_t *added, json_t *model)
{
    bool ok = set(root, "version", json_string("1.0")) && set(root, "truncation", json_null()) &&
              set(root, "padding", json_null());
    return ok && json_object_set(root, "added_tokens", added) == 0 &&
           set(root, "normalizer", json_null()) &&
           set(root, "pre_tokenizer", pre_tokenizer(t->pretokenizer)) &&
           set(root, "post_processor", byte_level(false)) &&
           set(root, "decoder", byte_level(false)) && json_object_set(root, "model", model) == 0;
}

int ml_tokenizer_json(const struct ml_tokenizer *t, char **out, struct ml_error *err)
{
    ml_json_setup();
    json_t *root = json_object(), *added = json_array(), *model = typed("BPE");
    json_t *vocab = json_object(), *merges = json_array();
    int code = 0;
    if (!root || !added || !vocab || !merges || !put_model(t, model) ||
        json_object_set(model, "vocab", vocab) < 0 ||
        json_object_set(model, "merges", merges) < 0 || !put_root(t, root, added, model))
        code = no_memory(err);
    if (code == 0)
        code = put_added(t, added, err);
    if (code == 0)
        code = put_vocab(t, vocab, err);
    if (code == 0)
        code = put_merges(t, merges, err);
    if (code == 0)
        code = ml_json_text(out, root, JSON_INDENT(1), err);
    json_decref(root);
    json_decref(added);
    json_decref(model);
    json_decref(vocab);
    json_decref(merges);
    return code;
}

int ml_tokenizer_save(const struct ml_tokenizer *t, const char *path, struct ml_error *err)
{
    char *text = NULL;
    int code = ml_tokenizer_json(t, &text, err);
    if (code == 0)
        code = ml_file_write(path, text, strlen(text), err);
    ml_mem_free(text);
    return code;
}

int ml_tokenizer_config_json(const struct ml_tokenizer *t, int32_t end, char **out,
                             struct ml_error *err)
{
    ml_json_setup();
    size_t size;
    const char *bytes = ml_tokenizer_bytes(t, end, &size);
    json_t *root = json_object();
    bool ok = set(root, "tokenizer_class", json_string("PreTrainedTokenizerFast")) &&
              set(root, "clean_up_tokenization_spaces", json_false()) &&
              set(root, "add_prefix_space", json_false());
    if (bytes)
        ok = ok && set(root, "eos_token", json_stringn(bytes, size)) &&
             set(root, "pad_token", json_stringn(bytes, size));
    int code = ok ? ml_json_text(out, root, JSON_INDENT(1), err) : no_memory(err);
    json_decref(root);
    return code;
}
