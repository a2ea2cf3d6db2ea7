#include <string.h>

#include "base/fail.h"
#include "text/tokenizer_impl.h"

/* All special and added tokens together; more is not a vocabulary but an attack. */
#define MAX_SPECIAL_BYTES (4u << 20)

uint64_t ml_bytes_hash(const char *bytes, size_t size)
{
    uint64_t h = size * 0x9e3779b97f4a7c15u;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t v;
        memcpy(&v, bytes, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    uint64_t v = 0;
    memcpy(&v, bytes, size);
    h = (h ^ v) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

static uint32_t table_mask(uint32_t entries)
{
    uint32_t size = 4;
    while (size < 2 * entries)
        size *= 2;
    return size - 1;
}

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory making a tokenizer");
}

const char *ml_tokenizer_bytes(const struct ml_tokenizer *t, int32_t id, size_t *size)
{
    if (id < 0 || id >= t->size) {
        *size = 0;
        return NULL;
    }
    *size = t->offset[id + 1] - t->offset[id];
    return t->bytes + t->offset[id];
}

/* The slot of by_text that holds these bytes, or the empty one where they belong. */
static uint32_t text_slot(const struct ml_tokenizer *t, const char *bytes, size_t size)
{
    uint32_t at = (uint32_t)ml_bytes_hash(bytes, size) & t->text_mask;
    for (; t->by_text[at] >= 0; at = (at + 1) & t->text_mask) {
        size_t n;
        const char *other = ml_tokenizer_bytes(t, t->by_text[at], &n);
        if (n == size && memcmp(other, bytes, n) == 0)
            break;
    }
    return at;
}

int32_t ml_tokenizer_find(const struct ml_tokenizer *t, const char *bytes, size_t size)
{
    return t->by_text[text_slot(t, bytes, size)];
}

static int copy_tokens(struct ml_tokenizer *t, const struct ml_tokenizer_spec *spec,
                       struct ml_error *err)
{
    if (spec->token_count < 1 || spec->token_count > ML_TOKENIZER_MAX_VOCAB)
        return ml_fail(err, ML_ERR_LIMIT, "a vocabulary of %d tokens; the limit is 1 to %d",
                       spec->token_count, ML_TOKENIZER_MAX_VOCAB);
    size_t total = 0;
    for (int32_t i = 0; i < spec->token_count; i++) {
        const struct ml_token_spec *token = &spec->tokens[i];
        if (token->size < 1 || token->size > ML_TOKENIZER_MAX_TOKEN_BYTES)
            return ml_fail(err, ML_ERR_LIMIT, "token %d has %zu bytes; the limit is 1 to %d", i,
                           token->size, ML_TOKENIZER_MAX_TOKEN_BYTES);
        total += token->size;
    }
    if (total > ML_TOKENIZER_MAX_FILE_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "a vocabulary of %zu bytes; the limit is %d", total,
                       ML_TOKENIZER_MAX_FILE_BYTES);
    uint32_t count = (uint32_t)spec->token_count;
    t->text_mask = table_mask(count);
    t->bytes = ml_arena_alloc(&t->arena, total);
    t->offset = ml_arena_alloc(&t->arena, (count + 1) * sizeof *t->offset);
    t->kind = ml_arena_alloc(&t->arena, count);
    t->by_text = ml_arena_alloc(&t->arena, (t->text_mask + 1) * sizeof *t->by_text);
    if (!t->bytes || !t->offset || !t->kind || !t->by_text)
        return no_memory(err);
    memset(t->by_text, 0xff, (t->text_mask + 1) * sizeof *t->by_text);
    memset(t->byte_id, 0xff, sizeof t->byte_id);
    t->offset[0] = 0;
    for (int32_t i = 0; i < spec->token_count; i++) {
        const struct ml_token_spec *token = &spec->tokens[i];
        uint32_t slot = text_slot(t, token->bytes, token->size);
        if (t->by_text[slot] >= 0)
            return ml_fail(err, ML_ERR_FORMAT, "tokens %d and %d stand for the same bytes",
                           t->by_text[slot], i);
        memcpy(t->bytes + t->offset[i], token->bytes, token->size);
        t->offset[i + 1] = t->offset[i] + (uint32_t)token->size;
        t->kind[i] = (uint8_t)token->kind;
        t->by_text[slot] = i;
        t->size = i + 1;
        if (token->size == 1 && token->kind != ML_TOKEN_CONTROL)
            t->byte_id[(uint8_t)token->bytes[0]] = i;
    }
    return 0;
}

/* The token that a merge makes. */
static int merge_result(const struct ml_tokenizer *t, int32_t rank, struct ml_merge_spec merge,
                        char *scratch, int32_t *out, struct ml_error *err)
{
    if (merge.left < 0 || merge.left >= t->size || merge.right < 0 || merge.right >= t->size)
        return ml_fail(err, ML_ERR_FORMAT, "merge %d joins tokens %d and %d of a vocabulary of %d",
                       rank, merge.left, merge.right, t->size);
    size_t left_size, right_size;
    const char *left = ml_tokenizer_bytes(t, merge.left, &left_size);
    const char *right = ml_tokenizer_bytes(t, merge.right, &right_size);
    int32_t result = -1;
    if (left_size + right_size <= ML_TOKENIZER_MAX_TOKEN_BYTES) {
        memcpy(scratch, left, left_size);
        memcpy(scratch + left_size, right, right_size);
        result = ml_tokenizer_find(t, scratch, left_size + right_size);
    }
    if (result < 0)
        return ml_fail(err, ML_ERR_FORMAT,
                       "merge %d (tokens %d and %d) makes a token that is not in the vocabulary",
                       rank, merge.left, merge.right);
    if (t->kind[result] == ML_TOKEN_CONTROL)
        return ml_fail(err, ML_ERR_FORMAT, "merge %d makes special token %d out of ordinary text",
                       rank, result);
    *out = result;
    return 0;
}

static int copy_merges(struct ml_tokenizer *t, const struct ml_tokenizer_spec *spec,
                       struct ml_error *err)
{
    if (spec->merge_count < 0 || spec->merge_count > ML_TOKENIZER_MAX_VOCAB)
        return ml_fail(err, ML_ERR_LIMIT, "%d merges; the limit is %d", spec->merge_count,
                       ML_TOKENIZER_MAX_VOCAB);
    uint32_t count = (uint32_t)spec->merge_count;
    t->pair_mask = table_mask(count);
    t->merges = ml_arena_alloc(&t->arena, (count + 1) * sizeof *t->merges);
    t->merge_result = ml_arena_alloc(&t->arena, (count + 1) * sizeof *t->merge_result);
    t->by_pair = ml_arena_alloc(&t->arena, (t->pair_mask + 1) * sizeof *t->by_pair);
    char *scratch = ml_mem_alloc(ML_TOKENIZER_MAX_TOKEN_BYTES);
    int code = 0;
    if (!t->merges || !t->merge_result || !t->by_pair || !scratch) {
        code = no_memory(err);
        goto done;
    }
    memset(t->by_pair, 0xff, (t->pair_mask + 1) * sizeof *t->by_pair);
    for (int32_t rank = 0; rank < spec->merge_count; rank++) {
        struct ml_merge_spec merge = spec->merges[rank];
        int32_t result = -1;
        if ((code = merge_result(t, rank, merge, scratch, &result, err)) < 0)
            goto done;
        uint32_t at = ml_pair_hash(merge.left, merge.right) & t->pair_mask;
        for (; t->by_pair[at].left >= 0; at = (at + 1) & t->pair_mask)
            if (t->by_pair[at].left == merge.left && t->by_pair[at].right == merge.right) {
                code = ml_fail(err, ML_ERR_FORMAT, "merges %d and %d are the same",
                               t->by_pair[at].rank, rank);
                goto done;
            }
        t->by_pair[at] = (struct ml_merge_slot){merge.left, merge.right, rank, result};
        t->merges[rank] = merge;
        t->merge_result[rank] = result;
        t->merge_count = rank + 1;
    }
done:
    ml_mem_free(scratch);
    return code;
}

static void add_special(struct ml_tokenizer *t, int32_t id)
{
    size_t size;
    const char *bytes = ml_tokenizer_bytes(t, id, &size);
    uint32_t *link = &t->special_root[(uint8_t)bytes[0]], node = 0;
    for (size_t i = 0; i < size; i++) {
        while (*link && t->specials[*link].byte != (uint8_t)bytes[i])
            link = &t->specials[*link].sibling;
        if (!*link) {
            *link = t->special_count++;
            t->specials[*link] = (struct ml_special_node){.id = -1, .byte = (uint8_t)bytes[i]};
        }
        node = *link;
        link = &t->specials[node].child;
    }
    t->specials[node].id = id;
}

static int collect_specials(struct ml_tokenizer *t, struct ml_error *err)
{
    size_t total = 0;
    for (int32_t id = 0; id < t->size; id++)
        if (t->kind[id] != ML_TOKEN_NORMAL)
            total += t->offset[id + 1] - t->offset[id];
    if (total > MAX_SPECIAL_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "special tokens of %zu bytes together; the limit is %u",
                       total, MAX_SPECIAL_BYTES);
    t->specials = ml_arena_calloc(&t->arena, total + 1, sizeof *t->specials);
    if (!t->specials)
        return no_memory(err);
    t->special_count = 1;
    for (int32_t id = 0; id < t->size; id++)
        if (t->kind[id] != ML_TOKEN_NORMAL)
            add_special(t, id);
    return 0;
}

int32_t ml_special_next(const struct ml_tokenizer *t, const char *text, size_t size, bool control,
                        size_t *begin, size_t *length)
{
    for (size_t at = 0; at < size; at++) {
        uint32_t node = t->special_root[(uint8_t)text[at]];
        int32_t found = -1;
        for (size_t i = at; node && i < size; i++) {
            while (node && t->specials[node].byte != (uint8_t)text[i])
                node = t->specials[node].sibling;
            if (!node)
                break;
            int32_t id = t->specials[node].id;
            if (id >= 0 && (control || t->kind[id] == ML_TOKEN_USER)) {
                found = id;
                *begin = at;
                *length = i + 1 - at;
            }
            node = t->specials[node].child;
        }
        if (found >= 0)
            return found;
    }
    return -1;
}

int ml_tokenizer_new(struct ml_tokenizer **out, const struct ml_tokenizer_spec *spec,
                     struct ml_error *err)
{
    struct ml_tokenizer *t = ml_mem_calloc(1, sizeof *t);
    if (!t)
        return no_memory(err);
    ml_arena_init(&t->arena, 0);
    t->pretokenizer =
        spec->pretokenizer ? spec->pretokenizer : (enum ml_pretokenizer)ML_PRETOKENIZER_QWEN2;
    t->ignore_merges = spec->ignore_merges;
    int code = copy_tokens(t, spec, err);
    if (code == 0)
        code = copy_merges(t, spec, err);
    if (code == 0)
        code = collect_specials(t, err);
    if (code == 0)
        code = ml_word_pattern_new(&t->pattern, t->pretokenizer, err);
    if (code < 0) {
        ml_tokenizer_free(t);
        return code;
    }
    *out = t;
    return 0;
}

void ml_tokenizer_free(struct ml_tokenizer *t)
{
    if (!t)
        return;
    ml_word_pattern_free(t->pattern);
    ml_arena_clear(&t->arena);
    ml_mem_free(t);
}

int32_t ml_tokenizer_size(const struct ml_tokenizer *t)
{
    return t->size;
}

int32_t ml_tokenizer_merge_count(const struct ml_tokenizer *t)
{
    return t->merge_count;
}

enum ml_pretokenizer ml_tokenizer_pretokenizer(const struct ml_tokenizer *t)
{
    return t->pretokenizer;
}

bool ml_tokenizer_ignores_merges(const struct ml_tokenizer *t)
{
    return t->ignore_merges;
}

const char *ml_tokenizer_llama_name(const struct ml_tokenizer *t)
{
    return ml_word_rule(t->pretokenizer)->llama_name;
}

enum ml_token_kind ml_tokenizer_kind(const struct ml_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->size ? (enum ml_token_kind)t->kind[id] : ML_TOKEN_NORMAL;
}

int32_t ml_tokenizer_special(const struct ml_tokenizer *t, const char *name)
{
    int32_t id = ml_tokenizer_find(t, name, strlen(name));
    return id >= 0 && t->kind[id] != ML_TOKEN_NORMAL ? id : -1;
}

struct ml_merge_spec ml_tokenizer_merge(const struct ml_tokenizer *t, int32_t rank)
{
    if (rank < 0 || rank >= t->merge_count)
        return (struct ml_merge_spec){-1, -1};
    return t->merges[rank];
}

int ml_tokenizer_text(const struct ml_tokenizer *t, int32_t id, struct ml_buffer *out,
                      struct ml_error *err)
{
    size_t size, before = out->size;
    const char *bytes = ml_tokenizer_bytes(t, id, &size);
    if (!bytes)
        return ml_fail(err, ML_ERR_ARG, "token %d is not in a vocabulary of %d", id, t->size);
    int code = t->kind[id] == ML_TOKEN_NORMAL ? ml_alphabet_put(out, bytes, size, err)
                                              : ml_buffer_put(out, bytes, size, err);
    if (code < 0)
        out->size = before;
    return code;
}

int ml_tokenizer_merge_text(const struct ml_tokenizer *t, int32_t rank, struct ml_buffer *out,
                            struct ml_error *err)
{
    struct ml_merge_spec merge = ml_tokenizer_merge(t, rank);
    size_t before = out->size;
    int code = ml_tokenizer_text(t, merge.left, out, err);
    if (code == 0)
        code = ml_buffer_put(out, " ", 1, err);
    if (code == 0)
        code = ml_tokenizer_text(t, merge.right, out, err);
    if (code < 0)
        out->size = before;
    return code;
}
