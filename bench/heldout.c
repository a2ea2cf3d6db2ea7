#include "heldout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "tensor/ops.h"
#include "text/verse.h"

enum { ROWS = 16, ORDER = 5, CHECKS = 50 };

int heldout_open(struct heldout *out, const char *workspace, const char *recipe,
                 struct ml_error *err)
{
    struct ml_workspace_options options = {.read_only = true};
    *out = (struct heldout){0};
    ml_arena_init(&out->arena, 0);
    struct ml_recipe *r = &out->recipe;
    int status = ml_recipe_open(r, &out->arena, recipe, err);
    if (status == 0)
        status = ml_workspace_open(&out->workspace, workspace, &options, err);
    if (status == 0)
        status = ml_datasets_open(out->workspace, r->data.dataset, &out->dataset, err);
    struct ml_dataset_text_options split = {.template = r->data.template,
                                            .require = r->data.require.items,
                                            .require_count = r->data.require.count,
                                            .validation = r->data.validation,
                                            .dedup = r->data.dedup};
    if (status == 0)
        status = ml_dataset_text_open(&out->texts, out->workspace, &out->dataset, &split, err);
    if (status == 0 && out->texts.validation_count == 0)
        status = ml_fail(err, ML_ERR_ARG, "%s holds nothing out", recipe);
    if (status != 0)
        heldout_close(out);
    return status;
}

void heldout_close(struct heldout *heldout)
{
    ml_dataset_text_close(&heldout->texts);
    ml_workspace_close(heldout->workspace);
    ml_arena_clear(&heldout->arena);
    *heldout = (struct heldout){0};
}

/* ---- documents ---- */

struct stretch {
    size_t begin, end;
};

static struct stretch literal(const struct ml_dataset_document *d, size_t i)
{
    struct stretch s;
    memcpy(&s, (const char *)d->literals + i * sizeof s, sizeof s);
    return s;
}

static size_t literal_count(const struct ml_dataset_document *d)
{
    return d->literals_bytes / sizeof(struct stretch);
}

size_t heldout_body(const struct ml_dataset_document *d)
{
    size_t count = literal_count(d);
    return count ? literal(d, count - 1).end : 0;
}

static bool ends_with(const struct ml_dataset_document *d, struct stretch s, const char *marker)
{
    size_t n = strlen(marker);
    return s.end - s.begin >= n && memcmp(d->text + s.end - n, marker, n) == 0;
}

bool heldout_field(const struct ml_dataset_document *d, const char *marker, const char **text,
                   size_t *size)
{
    size_t count = literal_count(d);
    for (size_t i = 0; i < count; i++) {
        struct stretch s = literal(d, i);
        if (!ends_with(d, s, marker))
            continue;
        *text = d->text + s.end;
        *size = (i + 1 < count ? literal(d, i + 1).begin : d->size) - s.end;
        return true;
    }
    return false;
}

size_t heldout_character(const char *text, size_t n, uint32_t *c)
{
    size_t length = ml_utf8_decode(text, n, c);
    if (length == 0) {
        *c = 0xfffd;
        length = 1;
    }
    return length;
}

bool heldout_ideograph(uint32_t c)
{
    return (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x3ffff) || c == 0x3007;
}

static int64_t count_characters(const char *text, size_t n, bool ideographs)
{
    int64_t count = 0;
    for (size_t at = 0; at < n;) {
        uint32_t c = 0;
        at += heldout_character(text + at, n - at, &c);
        count += !ideographs || heldout_ideograph(c);
    }
    return count;
}

/* ---- the model ---- */

static int build(struct scorer *s, struct ml_error *err)
{
    int64_t dims[2] = {ROWS, s->pack.model.config.context};
    size_t n = (size_t)(dims[0] * dims[1]);
    s->rows = ROWS;
    s->tokens = ml_arena_calloc(&s->arena, n, sizeof(int32_t));
    s->positions = ml_arena_calloc(&s->arena, n, sizeof(int32_t));
    s->targets = ml_arena_calloc(&s->arena, n, sizeof(int32_t));
    if (!s->tokens || !s->positions || !s->targets)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for a batch");
    for (size_t i = 0; i < n; i++)
        s->positions[i] = (int32_t)(i % (size_t)dims[1]);
    struct ml_graph *g = &s->graph;
    ml_graph_init(g, &s->arena);
    g->compute = ML_F32;
    struct ml_text_batch batch = {.tokens = ml_leaf(g, "tokens", ML_I32, 2, dims, s->tokens),
                                  .positions =
                                      ml_leaf(g, "positions", ML_I32, 2, dims, s->positions)};
    struct ml_tensor *targets = ml_leaf(g, "targets", ML_I32, 2, dims, s->targets);
    s->loss =
        ml_text_loss(g, &s->pack.model, ml_text_hidden(g, &s->pack.model, &batch), targets, 0);
    return ml_plan_new(&s->plan, g, &s->loss, 1, s->device, err);
}

int scorer_open(struct scorer *s, const char *folder, struct ml_error *err)
{
    *s = (struct scorer){0};
    ml_arena_init(&s->arena, 0);
    int status = ml_text_pack_open(&s->pack, folder, err);
    if (status == 0)
        status = ml_device_new(&s->device, 0, ML_ISA_COUNT - 1, err);
    if (status == 0)
        status = ml_encoder_new(&s->encoder, s->pack.tokenizer, err);
    if (status == 0)
        status = build(s, err);
    if (status != 0)
        scorer_close(s);
    return status;
}

void scorer_close(struct scorer *s)
{
    ml_plan_free(s->plan);
    ml_encoder_free(s->encoder);
    ml_device_free(s->device);
    ml_text_pack_close(&s->pack);
    ml_arena_clear(&s->arena);
    *s = (struct scorer){0};
}

static int flush(struct scorer *s, struct ml_error *err)
{
    int64_t n = (int64_t)s->rows * s->pack.model.config.context, count = 0;
    for (int64_t i = 0; i < n; i++)
        count += s->targets[i] >= 0;
    int status = count ? ml_run(s->plan, 0, err) : 0;
    if (status == 0 && count) {
        s->nats += (double)count * (double)*(float *)s->loss->data;
        s->measured += count;
    }
    memset(s->tokens, 0, (size_t)n * sizeof *s->tokens);
    memset(s->targets, 0xff, (size_t)n * sizeof *s->targets); /* -1 */
    s->used = 0;
    return status;
}

/* Windows of a document: the first begins with it, each further one has half a window of what came
 * before. targets[i] is what follows ids[i], or -1. */
static int add_windows(struct scorer *s, const int32_t *ids, const int32_t *targets, int64_t n,
                       struct ml_error *err)
{
    int64_t context = s->pack.model.config.context, done = 0;
    int status = 0;
    while (done < n && status == 0) {
        int64_t begin = done ? done - context / 2 : 0;
        int64_t end = begin + context < n ? begin + context : n;
        int32_t *row = s->tokens + s->used * context, *to = s->targets + s->used * context;
        memcpy(row, ids + begin, (size_t)(end - begin) * sizeof *row);
        for (int64_t i = 0; i < context; i++)
            to[i] = begin + i >= done && begin + i < end ? targets[begin + i] : -1;
        done = end;
        if (++s->used == s->rows)
            status = flush(s, err);
    }
    return status;
}

/* The document without some of its fields, as training would have rendered it. */
static int fill(const struct ml_dataset_document *d, const struct score_options *o,
                struct ml_filled *out, struct ml_error *err)
{
    size_t count = literal_count(d);
    out->text.size = out->literals.size = 0;
    int status = count ? 0 : ml_buffer_put(&out->text, d->text, d->size, err);
    for (size_t i = 0; i < count && status == 0; i++) {
        struct stretch s = literal(d, i);
        size_t next = i + 1 < count ? literal(d, i + 1).begin : d->size;
        bool skip = false;
        for (int k = 0; k < SCORE_MAX_WITHOUT; k++)
            skip = skip || (o->without[k] && ends_with(d, s, o->without[k]));
        if (skip)
            continue;
        size_t at = out->text.size;
        struct stretch moved = {at, at + s.end - s.begin};
        status = ml_buffer_put(&out->text, d->text + s.begin, next - s.begin, err);
        if (status == 0)
            status = ml_buffer_put(&out->literals, &moved, sizeof moved, err);
    }
    return status;
}

/* Whether a token is a mark or a line end and not part of a Chinese character. */
static bool is_mark(const struct scorer *s, int32_t id)
{
    size_t size;
    uint32_t c;
    const char *bytes = ml_tokenizer_bytes(s->pack.tokenizer, id, &size);
    return bytes && ml_utf8_decode(bytes, size, &c) == size && !heldout_ideograph(c);
}

static int measure_document(struct scorer *s, const struct ml_dataset_document *d,
                            const struct score_options *o, struct ml_filled *filled,
                            struct ml_error *err)
{
    struct ml_ids ids = {0}, targets = {0}, head = {0};
    struct ml_dataset_document made = {0};
    int status = fill(d, o, filled, err);
    int32_t end = s->pack.config.eos;
    if (status == 0 && !o->no_end && end >= 0)
        status = ml_ids_put(&ids, end, err);
    if (status == 0)
        status = ml_filled_encode(s->encoder, filled, &ids, err);
    if (status == 0) { /* how many tokens stand before the body */
        made = (struct ml_dataset_document){.text = filled->text.data,
                                            .size = filled->text.size,
                                            .literals = filled->literals.data,
                                            .literals_bytes = filled->literals.size};
        struct ml_filled before = *filled;
        before.text.size = heldout_body(&made);
        status = before.text.size ? ml_filled_encode(s->encoder, &before, &head, err) : 0;
    }
    size_t first = head.count + (ids.count && !o->no_end && end >= 0 ? 1 : 0);
    for (size_t i = 0; i + 1 < ids.count && status == 0; i++) {
        int32_t next = ids.ids[i + 1];
        bool wanted = i + 1 >= first && !(o->ideographs && is_mark(s, next));
        status = ml_ids_put(&targets, wanted ? next : -1, err);
    }
    if (status == 0 && first == 0)
        status = ml_fail(err, ML_ERR_ARG,
                         "nothing stands before the first token: it cannot be "
                         "predicted");
    if (status == 0)
        status = add_windows(s, ids.ids, targets.ids, (int64_t)targets.count, err);
    ml_ids_clear(&ids);
    ml_ids_clear(&targets);
    ml_ids_clear(&head);
    return status;
}

int scorer_measure(struct scorer *s, const struct ml_dataset_text *texts,
                   const struct score_options *options, struct score *out, struct ml_error *err)
{
    struct ml_filled filled = {0};
    struct score score = {0};
    int status = flush(s, err); /* empties the batch */
    s->nats = 0;
    s->measured = 0;
    for (int64_t i = 0; i < texts->validation_count && status == 0; i++) {
        const struct ml_dataset_document *d = &texts->validation[i];
        size_t body = heldout_body(d);
        status = measure_document(s, d, options, &filled, err);
        score.characters += count_characters(d->text + body, d->size - body, options->ideographs);
    }
    if (status == 0)
        status = flush(s, err);
    ml_filled_clear(&filled);
    if (status != 0)
        return status;
    score.bits = s->nats / log(2.0);
    score.per_character = score.bits / (double)score.characters;
    *out = score;
    return 0;
}

/* ---- the 5-gram ---- */

/* BEGIN, the body's characters, END as uint32_t. */
static int symbols_of(const struct ml_dataset_document *d, uint32_t begin, struct ml_buffer *out,
                      struct ml_error *err)
{
    uint32_t c = begin;
    out->size = 0;
    int status = ml_buffer_put(out, &c, sizeof c, err);
    for (size_t at = heldout_body(d); at < d->size && status == 0;) {
        at += heldout_character(d->text + at, d->size - at, &c);
        status = ml_buffer_put(out, &c, sizeof c, err);
    }
    c = NGRAM_END;
    return status == 0 ? ml_buffer_put(out, &c, sizeof c, err) : status;
}

int heldout_ngram(struct ngram **out, const struct ml_dataset_text *texts, ngram_kind *kind,
                  struct ml_error *err)
{
    struct ml_buffer symbols = {0};
    struct ngram *ngram = NULL;
    int status = ngram_new(&ngram, ORDER, err);
    for (int64_t i = 0; i < texts->train_count && status == 0; i++) {
        const struct ml_dataset_document *d = &texts->train[i];
        status = symbols_of(d, kind(d), &symbols, err);
        if (status == 0)
            status = ngram_add(ngram, (uint32_t *)(void *)symbols.data,
                               (int64_t)(symbols.size / sizeof(uint32_t)), err);
    }
    if (status == 0)
        status = ngram_finish(ngram, err);
    ml_buffer_clear(&symbols);
    if (status != 0)
        ngram_free(ngram);
    else
        *out = ngram;
    return status;
}

int heldout_ngram_measure(const struct ngram *ngram, const struct ml_dataset_text *texts,
                          ngram_kind *kind, bool ideographs, struct score *out,
                          struct ml_error *err)
{
    struct ml_buffer buffer = {0};
    struct score score = {0};
    int status = 0;
    for (int64_t i = 0; i < texts->validation_count && status == 0; i++) {
        const struct ml_dataset_document *d = &texts->validation[i];
        status = symbols_of(d, kind(d), &buffer, err);
        const uint32_t *symbols = (uint32_t *)(void *)buffer.data;
        int64_t n = (int64_t)(buffer.size / sizeof *symbols) - 1; /* END is not measured */
        for (int64_t k = 1; k < n && status == 0; k++) {
            if (ideographs && !heldout_ideograph(symbols[k]))
                continue;
            score.bits -= ngram_log2(ngram, symbols, k, symbols[k]);
            score.characters++;
        }
    }
    ml_buffer_clear(&buffer);
    if (status != 0)
        return status;
    score.per_character = score.bits / (double)score.characters;
    *out = score;
    return 0;
}

int heldout_ngram_print(const struct ngram *ngram, const struct ml_dataset_text *texts,
                        uint64_t seed, struct ml_error *err)
{
    struct ml_buffer symbols = {0};
    struct ngram_facts facts;
    struct ml_rng rng;
    ml_rng_init(&rng, seed, 0);
    int status = symbols_of(&texts->validation[0], NGRAM_BEGIN, &symbols, err);
    double off = status == 0
                     ? ngram_check(ngram, (uint32_t *)(void *)symbols.data,
                                   (int64_t)(symbols.size / sizeof(uint32_t)) - 1, CHECKS, &rng)
                     : 0;
    ml_buffer_clear(&symbols);
    if (status != 0)
        return status;
    ngram_get_facts(ngram, &facts);
    printf("5-gram: %lld characters counted, %lld different, %lld 5-grams, discounts %.2f %.2f "
           "%.2f; probabilities sum to 1 within %.1e after n=%d histories\n",
           (long long)facts.symbols, (long long)facts.vocabulary, (long long)facts.grams[ORDER - 1],
           facts.discount[ORDER - 1][0], facts.discount[ORDER - 1][1], facts.discount[ORDER - 1][2],
           off, 2 * CHECKS);
    return off < 1e-9 ? 0
                      : ml_fail(err, ML_ERR_NUMERIC, "the 5-gram's probabilities do not sum to 1");
}
