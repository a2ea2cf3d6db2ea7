#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "text/bpe_train.h"
#include "text/tokenizer_impl.h"

#define DEFAULT_VOCAB           8192
#define DEFAULT_MIN_FREQUENCY   2
#define DEFAULT_MAX_TOKEN_BYTES 256
#define MAX_SPECIAL_BYTES       256
#define PROGRESS_BYTES          (1 << 20)

struct ml_tokenizer_trainer {
    struct ml_tokenizer_training options; /* specials are those of base */
    struct ml_tokenizer *base;            /* the bytes and the special tokens */
    struct ml_word_cursor cursor;
    struct ml_bpe_words words;
    double bytes, reported;
    int32_t special_count;
    bool finished;
};

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory training a tokenizer");
}

static int check_options(const struct ml_tokenizer_training *o, struct ml_error *err)
{
    for (int32_t i = 0; i < o->special_count; i++) {
        size_t size = strlen(o->specials[i]);
        if (size < 2 || size > MAX_SPECIAL_BYTES || !ml_utf8_valid(o->specials[i], size))
            return ml_fail(err, ML_ERR_ARG,
                           "special token %d (\"%.40s\") must be UTF-8 of 2 to %d bytes", i,
                           o->specials[i], MAX_SPECIAL_BYTES);
        for (int32_t k = 0; k < i; k++)
            if (strcmp(o->specials[i], o->specials[k]) == 0)
                return ml_fail(err, ML_ERR_ARG, "special token \"%s\" is listed twice",
                               o->specials[i]);
    }
    int32_t least = 256 + o->special_count;
    if (o->merges == 0 && o->vocab_size != 0 && o->vocab_size < least)
        return ml_fail(err, ML_ERR_ARG,
                       "a vocabulary of %d is too small: 256 bytes and %d special tokens need %d",
                       o->vocab_size, o->special_count, least);
    if (o->merges < -1 || o->vocab_size > ML_TOKENIZER_MAX_VOCAB ||
        o->merges > ML_TOKENIZER_MAX_VOCAB - least)
        return ml_fail(err, ML_ERR_ARG, "a vocabulary is at most %d tokens",
                       ML_TOKENIZER_MAX_VOCAB);
    if (o->min_frequency < 0 || o->max_token_bytes < 0 ||
        o->max_token_bytes > ML_TOKENIZER_MAX_TOKEN_BYTES)
        return ml_fail(err, ML_ERR_ARG,
                       "min_frequency %d, max_token_bytes %d: must not be negative, and a token is "
                       "at most %d bytes",
                       o->min_frequency, o->max_token_bytes, ML_TOKENIZER_MAX_TOKEN_BYTES);
    return 0;
}

static void put_bytes(struct ml_token_spec *tokens, char bytes[256])
{
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)ml_alphabet_order(i);
        tokens[i] = (struct ml_token_spec){&bytes[i], 1, ML_TOKEN_NORMAL};
    }
}

static int make_base(struct ml_tokenizer_trainer *trainer, const struct ml_tokenizer_training *o,
                     struct ml_error *err)
{
    char bytes[256];
    int32_t count = 256 + o->special_count;
    struct ml_token_spec *tokens = ml_mem_calloc((size_t)count, sizeof *tokens);
    if (!tokens)
        return no_memory(err);
    put_bytes(tokens, bytes);
    for (int32_t i = 0; i < o->special_count; i++)
        tokens[256 + i] =
            (struct ml_token_spec){o->specials[i], strlen(o->specials[i]), ML_TOKEN_CONTROL};
    struct ml_tokenizer_spec spec = {
        .pretokenizer = o->pretokenizer, .tokens = tokens, .token_count = count};
    int code = ml_tokenizer_new(&trainer->base, &spec, err);
    ml_mem_free(tokens);
    return code;
}

int ml_tokenizer_trainer_new(struct ml_tokenizer_trainer **out,
                             const struct ml_tokenizer_training *options, struct ml_error *err)
{
    static const struct ml_tokenizer_training defaults;
    if (!options)
        options = &defaults;
    int code = check_options(options, err);
    if (code < 0)
        return code;
    struct ml_tokenizer_trainer *trainer = ml_mem_calloc(1, sizeof *trainer);
    if (!trainer)
        return no_memory(err);
    trainer->options = *options;
    trainer->options.specials = NULL;
    trainer->special_count = options->special_count;
    struct ml_tokenizer_training *o = &trainer->options;
    if (o->merges == 0) {
        int32_t vocab = o->vocab_size ? o->vocab_size : DEFAULT_VOCAB;
        int32_t least = 256 + o->special_count;
        o->merges = vocab > least ? vocab - least : 0;
    } else if (o->merges < 0) {
        o->merges = 0;
    }
    if (o->min_frequency == 0)
        o->min_frequency = DEFAULT_MIN_FREQUENCY;
    if (o->max_token_bytes == 0)
        o->max_token_bytes = DEFAULT_MAX_TOKEN_BYTES;
    if ((code = make_base(trainer, options, err)) < 0 ||
        (code = ml_word_cursor_init(&trainer->cursor, trainer->base->pattern, err)) < 0) {
        ml_tokenizer_trainer_free(trainer);
        return code;
    }
    *out = trainer;
    return 0;
}

void ml_tokenizer_trainer_free(struct ml_tokenizer_trainer *trainer)
{
    if (!trainer)
        return;
    if (trainer->cursor.pattern)
        ml_word_cursor_clear(&trainer->cursor);
    ml_bpe_words_clear(&trainer->words);
    ml_tokenizer_free(trainer->base);
    ml_mem_free(trainer);
}

static int report(struct ml_tokenizer_trainer *trainer, struct ml_error *err)
{
    struct ml_tokenizer_training *o = &trainer->options;
    if (!o->progress || trainer->bytes - trainer->reported < PROGRESS_BYTES)
        return 0;
    trainer->reported = trainer->bytes;
    if (o->progress(o->arg, "counting words", trainer->bytes, 0))
        return ml_fail(err, ML_ERR_CANCELLED, "counting words was stopped");
    return 0;
}

static int count_words(struct ml_tokenizer_trainer *trainer, const char *text, size_t size,
                       struct ml_error *err)
{
    const char *word;
    size_t length;
    int code;
    ml_word_cursor_start(&trainer->cursor, text, size);
    while ((code = ml_word_cursor_next(&trainer->cursor, &word, &length, err)) == 1) {
        if ((code = ml_bpe_words_add(&trainer->words, word, length, err)) < 0)
            return code;
        trainer->bytes += (double)length;
        if ((code = report(trainer, err)) < 0)
            return code;
    }
    return code;
}

int ml_tokenizer_trainer_add(struct ml_tokenizer_trainer *trainer, const char *text, size_t size,
                             struct ml_error *err)
{
    if (trainer->finished)
        return ml_fail(err, ML_ERR_STATE, "this tokenizer's training is already finished");
    for (size_t at = 0; at < size;) {
        size_t begin = size - at, length = 0;
        ml_special_next(trainer->base, text + at, size - at, true, &begin, &length);
        int code = count_words(trainer, text + at, begin, err);
        if (code < 0)
            return code;
        at += begin + length;
    }
    return 0;
}

/* All tokens' bytes, in the order of ids, in one block. */
static int spell_tokens(const struct ml_tokenizer_trainer *trainer,
                        const struct ml_merge_spec *merges, int32_t merge_count,
                        struct ml_arena *arena, struct ml_token_spec *tokens, struct ml_error *err)
{
    char *bytes = ml_arena_alloc(arena, 256);
    if (!bytes)
        return no_memory(err);
    put_bytes(tokens, bytes);
    for (int32_t i = 0; i < merge_count; i++) {
        const struct ml_token_spec *left = &tokens[merges[i].left];
        const struct ml_token_spec *right = &tokens[merges[i].right];
        char *joined = ml_arena_alloc(arena, left->size + right->size);
        if (!joined)
            return no_memory(err);
        memcpy(joined, left->bytes, left->size);
        memcpy(joined + left->size, right->bytes, right->size);
        tokens[256 + i] = (struct ml_token_spec){joined, left->size + right->size, ML_TOKEN_NORMAL};
    }
    for (int32_t i = 0; i < trainer->special_count; i++) {
        struct ml_token_spec *token = &tokens[256 + merge_count + i];
        token->bytes = ml_tokenizer_bytes(trainer->base, 256 + i, &token->size);
        token->kind = ML_TOKEN_CONTROL;
    }
    return 0;
}

int ml_tokenizer_trainer_finish(struct ml_tokenizer_trainer *trainer, struct ml_tokenizer **out,
                                struct ml_error *err)
{
    if (trainer->finished)
        return ml_fail(err, ML_ERR_STATE, "this tokenizer's training is already finished");
    const struct ml_tokenizer_training *o = &trainer->options;
    struct ml_bpe_options learn = {.merges = o->merges,
                                   .min_frequency = (uint32_t)o->min_frequency,
                                   .max_token_bytes = (uint32_t)o->max_token_bytes,
                                   .progress = o->progress,
                                   .arg = o->arg};
    for (int i = 0; i < 256; i++)
        learn.byte_id[ml_alphabet_order(i)] = i;
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    int32_t merge_count = 0;
    size_t most = 256 + (size_t)o->merges + (size_t)trainer->special_count;
    struct ml_merge_spec *merges = ml_arena_alloc(&arena, ((size_t)o->merges + 1) * sizeof *merges);
    struct ml_token_spec *tokens = ml_arena_alloc(&arena, most * sizeof *tokens);
    int code = merges && tokens ? 0 : no_memory(err);
    if (code == 0)
        code = ml_bpe_learn(&trainer->words, &learn, merges, &merge_count, err);
    if (code == 0)
        code = spell_tokens(trainer, merges, merge_count, &arena, tokens, err);
    if (code == 0) {
        struct ml_tokenizer_spec spec = {
            .pretokenizer = trainer->base->pretokenizer,
            .tokens = tokens,
            .token_count = 256 + merge_count + trainer->special_count,
            .merges = merges,
            .merge_count = merge_count,
        };
        code = ml_tokenizer_new(out, &spec, err);
    }
    if (code == 0) {
        trainer->finished = true;
        ml_bpe_words_clear(&trainer->words);
    }
    ml_arena_clear(&arena);
    return code;
}

int ml_tokenizer_train(struct ml_tokenizer **out, const struct ml_text_piece *documents,
                       size_t count, const struct ml_tokenizer_training *options,
                       struct ml_error *err)
{
    struct ml_tokenizer_trainer *trainer = NULL;
    int code = ml_tokenizer_trainer_new(&trainer, options, err);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = ml_tokenizer_trainer_add(trainer, documents[i].data, documents[i].size, err);
    if (code == 0)
        code = ml_tokenizer_trainer_finish(trainer, out, err);
    ml_tokenizer_trainer_free(trainer);
    return code;
}
