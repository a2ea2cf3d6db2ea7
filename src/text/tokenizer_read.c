#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/utf8.h"
#include "text/tokenizer_impl.h"

/* A vocabulary while it is read. */
struct reader {
    struct ml_arena arena;
    struct ml_token_spec *tokens; /* [room] by id; bytes NULL: not seen */
    struct ml_merge_spec *merges;
    int32_t room, merge_count;
    json_t *vocab; /* borrowed: spelling -> id */
};

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a tokenizer");
}

static int reader_init(struct reader *r, json_t *vocab, size_t added, struct ml_error *err)
{
    size_t count = json_object_size(vocab);
    if (!json_is_object(vocab) || count == 0)
        return ml_fail(err, ML_ERR_FORMAT,
                       "the vocabulary must be an object of tokens and their ids");
    if (count > ML_TOKENIZER_MAX_VOCAB || added > ML_TOKENIZER_MAX_VOCAB)
        return ml_fail(err, ML_ERR_LIMIT, "%zu tokens and %zu added ones; the limit is %d", count,
                       added, ML_TOKENIZER_MAX_VOCAB);
    r->vocab = vocab;
    r->room = (int32_t)(count + added);
    r->tokens = ml_arena_calloc(&r->arena, (size_t)r->room, sizeof *r->tokens);
    return r->tokens ? 0 : no_memory(err);
}

/* The slot of an id that was not seen yet. */
static int claim(struct reader *r, const char *text, const json_t *id, struct ml_token_spec **out,
                 struct ml_error *err)
{
    if (!json_is_integer(id))
        return ml_fail(err, ML_ERR_FORMAT, "token \"%.60s\" has no whole number as its id", text);
    json_int_t value = json_integer_value(id);
    if (value < 0 || value >= r->room)
        return ml_fail(err, ML_ERR_FORMAT,
                       "token \"%.60s\" has id %lld, but there are only %d tokens", text,
                       (long long)value, r->room);
    if (r->tokens[value].bytes)
        return ml_fail(err, ML_ERR_FORMAT, "tokens \"%.60s\" and \"%.60s\" have the same id %lld",
                       r->tokens[value].bytes, text, (long long)value);
    *out = &r->tokens[value];
    return 0;
}

/* From GPT-2's alphabet to bytes; false when a character is not of the alphabet. */
static bool from_alphabet(const char *text, size_t n, char *out, size_t *size)
{
    size_t written = 0;
    while (n > 0) {
        uint32_t codepoint = 0;
        size_t length = ml_utf8_decode(text, n, &codepoint);
        int byte = length ? ml_alphabet_byte(codepoint) : -1;
        if (byte < 0)
            return false;
        out[written++] = (char)byte;
        text += length;
        n -= length;
    }
    out[written] = 0;
    *size = written;
    return true;
}

static int read_added(struct reader *r, const json_t *added, struct ml_error *err)
{
    size_t i;
    json_t *item;
    json_array_foreach(added, i, item)
    {
        const char *content = json_string_value(json_object_get(item, "content"));
        if (!content || !content[0])
            return ml_fail(err, ML_ERR_FORMAT, "added_tokens[%zu] has no content", i);
        static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
        for (size_t k = 0; k < 3; k++)
            if (json_is_true(json_object_get(item, flags[k])))
                return ml_fail(err, ML_ERR_UNSUPPORTED,
                               "added token \"%.60s\" asks for %s, which is not supported", content,
                               flags[k]);
        struct ml_token_spec *token = NULL;
        int code = claim(r, content, json_object_get(item, "id"), &token, err);
        if (code < 0)
            return code;
        token->bytes = content;
        token->size = strlen(content);
        token->kind =
            json_is_true(json_object_get(item, "special")) ? ML_TOKEN_CONTROL : ML_TOKEN_USER;
    }
    return 0;
}

static int read_vocab(struct reader *r, struct ml_error *err)
{
    const char *text;
    json_t *id;
    json_object_foreach(r->vocab, text, id)
    {
        size_t size = strlen(text);
        json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
        if (value >= 0 && value < r->room && r->tokens[value].bytes &&
            r->tokens[value].kind != ML_TOKEN_NORMAL && strcmp(r->tokens[value].bytes, text) == 0)
            continue; /* listed under added_tokens as well */
        struct ml_token_spec *token = NULL;
        int code = claim(r, text, id, &token, err);
        if (code < 0)
            return code;
        char *bytes = ml_arena_alloc(&r->arena, size + 1);
        if (!bytes)
            return no_memory(err);
        if (size == 0 || !from_alphabet(text, size, bytes, &token->size))
            return ml_fail(
                err, ML_ERR_FORMAT,
                "token \"%.60s\" (id %lld) is not spelt in GPT-2's alphabet of bytes: is "
                "this a byte-level vocabulary?",
                text, (long long)value);
        token->bytes = bytes;
        token->kind = ML_TOKEN_NORMAL;
    }
    return 0;
}

static int merge_token(const struct reader *r, size_t rank, const char *text, int32_t *out,
                       struct ml_error *err)
{
    const json_t *id = json_object_get(r->vocab, text);
    if (!json_is_integer(id))
        return ml_fail(err, ML_ERR_FORMAT,
                       "merge %zu joins \"%.60s\", which is not in the vocabulary", rank, text);
    *out = (int32_t)json_integer_value(id);
    return 0;
}

/* "left right"; the text is cut in two. */
static int read_merge(struct reader *r, size_t rank, char *text, struct ml_error *err)
{
    char *space = strchr(text, ' ');
    if (!space || strchr(space + 1, ' '))
        return ml_fail(err, ML_ERR_FORMAT, "merge %zu (\"%.60s\") must be two tokens and a space",
                       rank, text);
    *space = 0;
    struct ml_merge_spec *merge = &r->merges[rank];
    int code = merge_token(r, rank, text, &merge->left, err);
    return code < 0 ? code : merge_token(r, rank, space + 1, &merge->right, err);
}

static int reserve_merges(struct reader *r, size_t count, struct ml_error *err)
{
    if (count > ML_TOKENIZER_MAX_VOCAB)
        return ml_fail(err, ML_ERR_LIMIT, "%zu merges; the limit is %d", count,
                       ML_TOKENIZER_MAX_VOCAB);
    r->merges = ml_arena_alloc(&r->arena, (count + 1) * sizeof *r->merges);
    if (!r->merges)
        return no_memory(err);
    r->merge_count = (int32_t)count;
    return 0;
}

static int read_merges(struct reader *r, const json_t *merges, struct ml_error *err)
{
    if (!json_is_array(merges))
        return ml_fail(err, ML_ERR_FORMAT, "model.merges must be a list");
    int code = reserve_merges(r, json_array_size(merges), err);
    size_t rank;
    json_t *item;
    json_array_foreach(merges, rank, item)
    {
        if (code < 0)
            return code;
        struct ml_merge_spec *merge = &r->merges[rank];
        const char *left = json_string_value(json_array_get(item, 0));
        const char *right = json_string_value(json_array_get(item, 1));
        if (json_is_string(item)) {
            char *text = ml_arena_strdup(&r->arena, json_string_value(item));
            code = text ? read_merge(r, rank, text, err) : no_memory(err);
        } else if (left && right && json_array_size(item) == 2) {
            code = merge_token(r, rank, left, &merge->left, err);
            if (code == 0)
                code = merge_token(r, rank, right, &merge->right, err);
        } else {
            code = ml_fail(err, ML_ERR_FORMAT, "merge %zu is not a pair of tokens", rank);
        }
    }
    return code;
}

static int reader_make(struct reader *r, enum ml_pretokenizer which, bool ignore_merges,
                       struct ml_tokenizer **out, struct ml_error *err)
{
    int32_t count = r->room;
    while (count > 0 && !r->tokens[count - 1].bytes)
        count--;
    for (int32_t id = 0; id < count; id++)
        if (!r->tokens[id].bytes)
            return ml_fail(err, ML_ERR_FORMAT, "no token has id %d, but ids go up to %d", id,
                           count - 1);
    struct ml_tokenizer_spec spec = {.pretokenizer = which,
                                     .ignore_merges = ignore_merges,
                                     .tokens = r->tokens,
                                     .token_count = count,
                                     .merges = r->merges,
                                     .merge_count = r->merge_count};
    return ml_tokenizer_new(out, &spec, err);
}

static bool type_is(const json_t *step, const char *name)
{
    const char *type = json_string_value(json_object_get(step, "type"));
    return type && strcmp(type, name) == 0;
}

static int unknown_pre_tokenizer(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "this pre_tokenizer is not supported; those of GPT-2, Qwen2, SmolLM and Llama 3 "
                   "and single characters are");
}

static int read_split(const json_t *split, enum ml_pretokenizer *out, struct ml_error *err)
{
    const char *regex =
        json_string_value(json_object_get(json_object_get(split, "pattern"), "Regex"));
    const char *behavior = json_string_value(json_object_get(split, "behavior"));
    if (!regex || !behavior || strcmp(behavior, "Isolated") != 0 ||
        json_is_true(json_object_get(split, "invert")))
        return unknown_pre_tokenizer(err);
    for (int i = 1; i < ML_PRETOKENIZER_COUNT; i++) {
        const struct ml_word_rule *rule = ml_word_rule((enum ml_pretokenizer)i);
        if (rule->split && strcmp(rule->split, regex) == 0) {
            *out = (enum ml_pretokenizer)i;
            return 0;
        }
    }
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "the pre_tokenizer's regular expression \"%.100s\" is not one that is known",
                   regex);
}

static int read_pre_tokenizer(const json_t *root, enum ml_pretokenizer *out, struct ml_error *err)
{
    const json_t *pre = json_object_get(root, "pre_tokenizer"), *first = NULL, *level = pre;
    if (type_is(pre, "Sequence")) {
        const json_t *steps = json_object_get(pre, "pretokenizers");
        if (json_array_size(steps) == 2) {
            first = json_array_get(steps, 0);
            level = json_array_get(steps, 1);
        } else {
            level = json_array_size(steps) == 1 ? json_array_get(steps, 0) : NULL;
        }
    }
    if (!type_is(level, "ByteLevel"))
        return unknown_pre_tokenizer(err);
    if (json_is_true(json_object_get(level, "add_prefix_space")))
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "the pre_tokenizer puts a space before the text (add_prefix_space), which "
                       "would not come back exactly");
    bool use_regex = !json_is_false(json_object_get(level, "use_regex"));
    if (!first && use_regex)
        *out = ML_PRETOKENIZER_GPT2;
    else if (type_is(first, "Digits") && use_regex &&
             json_is_true(json_object_get(first, "individual_digits")))
        *out = ML_PRETOKENIZER_SMOLLM;
    else if (type_is(first, "Split") && !use_regex)
        return read_split(first, out, err);
    else
        return unknown_pre_tokenizer(err);
    return 0;
}

static bool empty(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_number(value) && json_number_value(value) == 0);
}

/* What would make other ids than plain byte-level BPE. */
static int check_model(const json_t *root, const json_t *model, struct ml_error *err)
{
    if (!json_is_object(model))
        return ml_fail(err, ML_ERR_FORMAT, "there is no \"model\": is this a tokenizer.json?");
    const char *type = json_string_value(json_object_get(model, "type"));
    if (type && strcmp(type, "BPE") != 0)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "a model of type \"%.40s\"; only byte-level BPE is supported", type);
    static const char *const must_be_empty[] = {"dropout", "continuing_subword_prefix",
                                                "end_of_word_suffix", "byte_fallback"};
    for (size_t i = 0; i < sizeof must_be_empty / sizeof *must_be_empty; i++)
        if (!empty(json_object_get(model, must_be_empty[i])))
            return ml_fail(err, ML_ERR_UNSUPPORTED,
                           "model.%s is set; only byte-level BPE is supported", must_be_empty[i]);
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (!empty(normalizer) && !type_is(normalizer, "NFC"))
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "the tokenizer changes text before it cuts it (normalizer), which is not "
                       "supported");
    return 0;
}

static int read_root(struct reader *r, const json_t *root, struct ml_tokenizer **out,
                     struct ml_error *err)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *added = json_object_get(root, "added_tokens");
    enum ml_pretokenizer which = ML_PRETOKENIZER_DEFAULT;
    int code;
    if ((code = check_model(root, model, err)) < 0 ||
        (code = read_pre_tokenizer(root, &which, err)) < 0 ||
        (code = reader_init(r, json_object_get(model, "vocab"), json_array_size(added), err)) < 0 ||
        (code = read_added(r, added, err)) < 0 || (code = read_vocab(r, err)) < 0 ||
        (code = read_merges(r, json_object_get(model, "merges"), err)) < 0)
        return code;
    bool ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    return reader_make(r, which, ignore_merges, out, err);
}

int ml_tokenizer_parse(struct ml_tokenizer **out, const char *json, size_t size, const char *name,
                       struct ml_error *err)
{
    if (size > ML_TOKENIZER_MAX_FILE_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "%s: %zu bytes; the limit is %d", name, size,
                       ML_TOKENIZER_MAX_FILE_BYTES);
    json_t *root = NULL;
    int code = ml_json_parse(&root, json, size, name, err);
    if (code < 0)
        return code;
    struct reader r = {0};
    ml_arena_init(&r.arena, 0);
    if ((code = read_root(&r, root, out, err)) < 0)
        ml_fail_context(err, "%s", name);
    ml_arena_clear(&r.arena);
    json_decref(root);
    return code;
}

int ml_tokenizer_open(struct ml_tokenizer **out, const char *path, struct ml_error *err)
{
    struct ml_file_map map;
    int code = ml_file_map_open(&map, path, err);
    if (code < 0)
        return code;
    code = ml_tokenizer_parse(out, (const char *)map.data, map.size, path, err);
    ml_file_map_close(&map);
    return code;
}

/* GPT-2's vocabulary does not say which entries are special: what is neither a byte nor made by a
 * merge can only be that. All but bytes are taken for special until a merge makes them. */
static int read_plain_vocab(struct reader *r, struct ml_error *err)
{
    const char *text;
    json_t *id;
    json_object_foreach(r->vocab, text, id)
    {
        struct ml_token_spec *token = NULL;
        int code = claim(r, text, id, &token, err);
        if (code < 0)
            return code;
        uint32_t codepoint = 0;
        size_t size = strlen(text), length = ml_utf8_decode(text, size, &codepoint);
        int byte = length > 0 && length == size ? ml_alphabet_byte(codepoint) : -1;
        *token = (struct ml_token_spec){text, size, ML_TOKEN_CONTROL};
        if (byte >= 0) {
            char *copy = ml_arena_alloc(&r->arena, 2);
            if (!copy)
                return no_memory(err);
            copy[0] = (char)byte;
            copy[1] = 0;
            *token = (struct ml_token_spec){copy, 1, ML_TOKEN_NORMAL};
        }
    }
    return 0;
}

/* The token that "left right" makes is an ordinary one. When the vocabulary lacks it, that is
 * found out later. */
static int mark_made(struct reader *r, const char *line, struct ml_error *err)
{
    const char *space = strchr(line, ' ');
    if (!space)
        return 0;
    char *joined = ml_arena_strdup(&r->arena, line);
    char *bytes = ml_arena_alloc(&r->arena, strlen(line) + 1);
    if (!joined || !bytes)
        return no_memory(err);
    memmove(joined + (space - line), space + 1, strlen(space + 1) + 1);
    const json_t *made = json_object_get(r->vocab, joined);
    if (!made)
        return 0;
    struct ml_token_spec *token = &r->tokens[json_integer_value(made)];
    if (from_alphabet(joined, strlen(joined), bytes, &token->size)) {
        token->bytes = bytes;
        token->kind = ML_TOKEN_NORMAL;
    }
    return 0;
}

/* One merge a line; the first line may be "#version: ...". */
static int read_merge_lines(struct reader *r, char *text, struct ml_error *err)
{
    size_t lines = 0;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    int code = reserve_merges(r, lines + 1, err);
    if (code < 0)
        return code;
    if (strncmp(text, "#version", 8) == 0)
        text += strcspn(text, "\n");
    r->merge_count = 0;
    for (char *rest = NULL, *line = strtok_r(text, "\r\n", &rest); line;
         line = strtok_r(NULL, "\r\n", &rest)) {
        if ((code = mark_made(r, line, err)) < 0 ||
            (code = read_merge(r, (size_t)r->merge_count, line, err)) < 0)
            return code;
        r->merge_count++;
    }
    return 0;
}

int ml_tokenizer_open_gpt2(struct ml_tokenizer **out, const char *vocab_path,
                           const char *merges_path, struct ml_error *err)
{
    struct reader r = {0};
    ml_arena_init(&r.arena, 0);
    char *text = NULL;
    size_t size = 0;
    json_t *vocab = NULL;
    int code = ml_file_read(&r.arena, vocab_path, ML_TOKENIZER_MAX_FILE_BYTES, &text, &size, err);
    if (code == 0)
        code = ml_json_parse(&vocab, text, size, vocab_path, err);
    if (code == 0 &&
        ((code = reader_init(&r, vocab, 0, err)) < 0 || (code = read_plain_vocab(&r, err)) < 0))
        ml_fail_context(err, "%s", vocab_path);
    if (code == 0)
        code = ml_file_read(&r.arena, merges_path, ML_TOKENIZER_MAX_FILE_BYTES, &text, &size, err);
    if (code == 0 && (code = read_merge_lines(&r, text, err)) < 0)
        ml_fail_context(err, "%s", merges_path);
    if (code == 0 && (code = reader_make(&r, ML_PRETOKENIZER_GPT2, false, out, err)) < 0)
        ml_fail_context(err, "%s", vocab_path);
    json_decref(vocab);
    ml_arena_clear(&r.arena);
    return code;
}
