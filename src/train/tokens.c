#include "train/tokens.h"

#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "text/template.h"

#define TASK_BYTES (64 << 10) /* text that one task encodes, or one document if that is longer */

/* A run of documents that one task encodes. */
struct part {
    int64_t first, count;
    struct ml_ids ids;
    int64_t *lengths; /* [count] */
    int64_t characters;
    int status;
};

struct encoding {
    const struct ml_train_text *texts;
    struct part *parts;
    struct ml_encoder **encoders; /* one a worker */
    struct ml_error *errors;      /* one a worker */
    const struct ml_tokens_options *options;
};

static int encode_text(struct ml_encoder *encoder, const struct ml_train_text *text,
                       struct ml_ids *out, struct ml_error *err)
{
    if (!text->literals)
        return ml_encode(encoder, text->data, text->size, ML_ENCODE_PLAIN, out, err);
    struct ml_filled filled = {
        /* borrows: never cleared */
        .text = {.data = (char *)text->data, .size = text->size},
        .literals = {.data = (char *)text->literals, .size = text->literals_bytes}};
    return ml_filled_encode(encoder, &filled, out, err);
}

/* Without what the template adds: it says nothing about the text. */
static int64_t count_characters(const struct ml_train_text *text)
{
    const size_t *ends = text->literals;
    int64_t count = (int64_t)ml_utf8_count(text->data, text->size);
    for (size_t i = 0; ends && i < text->literals_bytes / sizeof *ends; i += 2)
        count -= (int64_t)ml_utf8_count(text->data + ends[i], ends[i + 1] - ends[i]);
    return count;
}

static void encode_part(void *arg, int64_t task, int worker)
{
    struct encoding *e = arg;
    struct part *part = &e->parts[task];
    if (e->options->cancel && *e->options->cancel) {
        part->status = ml_fail(&e->errors[worker], ML_ERR_CANCELLED, "stopped while encoding text");
        return;
    }
    for (int64_t i = 0; i < part->count && part->status == 0; i++) {
        const struct ml_train_text *text = &e->texts[part->first + i];
        size_t before = part->ids.count;
        part->status = encode_text(e->encoders[worker], text, &part->ids, &e->errors[worker]);
        part->lengths[i] = (int64_t)(part->ids.count - before);
        part->characters += count_characters(text);
    }
}

/* Cuts the documents into parts; NULL when memory is out. Only depends on the documents. */
static struct part *cut_parts(struct ml_arena *arena, const struct ml_train_text *texts,
                              int64_t count, int64_t *part_count)
{
    struct part *parts = NULL;
    for (int pass = 0; pass < 2; pass++) {
        int64_t n = 0;
        for (int64_t i = 0; i < count; n++) {
            int64_t first = i;
            size_t bytes = 0;
            do
                bytes += texts[i++].size;
            while (i < count && bytes + texts[i].size <= TASK_BYTES);
            if (pass == 1) {
                parts[n] = (struct part){.first = first, .count = i - first};
                parts[n].lengths = ml_arena_calloc(arena, (size_t)parts[n].count, sizeof(int64_t));
                if (!parts[n].lengths)
                    return NULL;
            }
        }
        if (pass == 0) {
            parts = ml_arena_calloc(arena, (size_t)n + 1, sizeof *parts);
            if (!parts)
                return NULL;
        }
        *part_count = n;
    }
    return parts;
}

static int join_parts(struct ml_tokens *out, const struct part *parts, int64_t part_count,
                      int64_t count, struct ml_error *err)
{
    size_t total = 0;
    for (int64_t p = 0; p < part_count; p++)
        total += parts[p].ids.count;
    out->start = ml_mem_calloc((size_t)count + 1, sizeof(int64_t));
    int status = out->start ? ml_ids_reserve(&out->ids, total + 1, err)
                            : ml_fail(err, ML_ERR_MEMORY, "no memory for %zu tokens", total);
    if (status < 0)
        return status;
    for (int64_t p = 0; p < part_count; p++) {
        if (parts[p].ids.count)
            memcpy(out->ids.ids + out->ids.count, parts[p].ids.ids,
                   parts[p].ids.count * sizeof(int32_t));
        out->ids.count += parts[p].ids.count;
        for (int64_t i = 0; i < parts[p].count; i++, out->count++)
            out->start[out->count + 1] = out->start[out->count] + parts[p].lengths[i];
        out->characters += parts[p].characters;
    }
    return 0;
}

/* All parts, some at a time so that progress shows and a wish to stop is heard. */
static int encode_parts(struct encoding *e, int64_t part_count, int workers, struct ml_error *err)
{
    double total = 0, done = 0;
    for (int64_t p = 0; p < part_count; p++)
        for (int64_t i = 0; i < e->parts[p].count; i++)
            total += (double)e->texts[e->parts[p].first + i].size;
    struct encoding some = *e;
    for (int64_t p = 0; p < part_count; p += 64) {
        int64_t n = part_count - p < 64 ? part_count - p : 64;
        some.parts = e->parts + p;
        ml_pool_run(e->options->pool, n, encode_part, &some);
        for (int64_t k = 0; k < n; k++)
            for (int64_t i = 0; i < some.parts[k].count; i++)
                done += (double)e->texts[some.parts[k].first + i].size;
        for (int w = 0; w < workers; w++)
            if (e->errors[w].code)
                return ml_fail(err, e->errors[w].code, "%s", e->errors[w].message);
        if (e->options->progress)
            e->options->progress(e->options->arg, done, total);
    }
    return 0;
}

static int open_encoders(struct encoding *e, const struct ml_tokenizer *tokenizer, int workers,
                         struct ml_arena *arena, struct ml_error *err)
{
    e->encoders = ml_arena_calloc(arena, (size_t)workers, sizeof *e->encoders);
    e->errors = ml_arena_calloc(arena, (size_t)workers, sizeof *e->errors);
    if (!e->encoders || !e->errors)
        return ml_fail(err, ML_ERR_MEMORY, "no memory to encode text");
    for (int w = 0; w < workers; w++) {
        int status = ml_encoder_new(&e->encoders[w], tokenizer, err);
        if (status < 0)
            return status;
    }
    return 0;
}

int ml_tokens_encode(struct ml_tokens *out, const struct ml_tokenizer *tokenizer,
                     const struct ml_train_text *texts, int64_t count,
                     const struct ml_tokens_options *options, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_tokens tokens = {0};
    struct encoding e = {.texts = texts, .options = options};
    int workers = ml_pool_threads(options->pool);
    int64_t part_count = 0;
    ml_arena_init(&arena, 0);
    e.parts = cut_parts(&arena, texts, count, &part_count);
    int status = e.parts ? open_encoders(&e, tokenizer, workers, &arena, err)
                         : ml_fail(err, ML_ERR_MEMORY, "no memory to encode text");
    if (status == 0)
        status = encode_parts(&e, part_count, workers, err);
    if (status == 0)
        status = join_parts(&tokens, e.parts, part_count, count, err);
    for (int64_t p = 0; e.parts && p < part_count; p++)
        ml_ids_clear(&e.parts[p].ids);
    for (int w = 0; e.encoders && w < workers; w++)
        ml_encoder_free(e.encoders[w]);
    ml_arena_clear(&arena);
    if (status < 0) {
        ml_tokens_clear(&tokens);
        return status;
    }
    for (int64_t i = 0; i < count; i++)
        tokens.bytes += (int64_t)texts[i].size;
    *out = tokens;
    return 0;
}

void ml_tokens_clear(struct ml_tokens *tokens)
{
    if (!tokens)
        return;
    ml_ids_clear(&tokens->ids);
    ml_mem_free(tokens->start);
    memset(tokens, 0, sizeof *tokens);
}

static int learning_progress(void *arg, const char *what, double done, double total)
{
    const struct ml_tokens_learning *options = arg;
    if (options->progress)
        options->progress(options->arg, done, total);
    return options->cancel && *options->cancel;
}

int ml_tokens_learn(struct ml_tokenizer **out, const struct ml_recipe *recipe,
                    const struct ml_train_text *texts, int64_t count,
                    const struct ml_tokens_learning *options, struct ml_error *err)
{
    struct ml_tokens_learning own = *options;
    struct ml_tokenizer_training training = {
        .min_frequency = (int32_t)recipe->tokenizer.min_frequency,
        .specials = recipe->tokenizer.special.items,
        .special_count = recipe->tokenizer.special.count,
        .vocab_size = (int32_t)recipe->tokenizer.vocab,
        .progress = learning_progress,
        .arg = &own,
    };
    const char *const *names = NULL;
    int field_count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&field_count);
    for (int i = 0; i < field_count; i++)
        if (strcmp(fields[i].name, "tokenizer.pretokenizer") == 0)
            names = fields[i].choice;
    int status =
        ml_pretokenizer_parse(&training.pretokenizer, names[recipe->tokenizer.pretokenizer], err);
    if (status < 0)
        return status;
    if (recipe->tokenizer.kind == ML_RECIPE_CHAR) {
        training.pretokenizer = ML_PRETOKENIZER_CHAR;
        if (!training.vocab_size)
            training.vocab_size = 65536; /* every character that is frequent enough */
    }
    struct ml_tokenizer_trainer *trainer = NULL;
    status = ml_tokenizer_trainer_new(&trainer, &training, err);
    for (int64_t i = 0; i < count && status == 0; i++)
        status = ml_tokenizer_trainer_add(trainer, texts[i].data, texts[i].size, err);
    if (status == 0)
        status = ml_tokenizer_trainer_finish(trainer, out, err);
    ml_tokenizer_trainer_free(trainer);
    return status;
}
