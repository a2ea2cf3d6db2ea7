#include "generate/text_writer.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/progress.h"
#include "generate/text_stream.h"
#include "tensor/mirror.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

#define CHUNK 64 /* prompt tokens read at a time: enough rows for the matrix kernels */

/* A planned graph that reads T tokens for each of B rows. */
struct reader {
    struct ml_arena arena;
    struct ml_graph graph;
    struct ml_plan *plan;
    struct ml_tensor *logits; /* [B,vocab]; NULL for a prompt reader, which fills the cache only */
    int32_t *tokens, *positions; /* [B,T] */
    struct ml_tensor **cache;    /* 2 * layers leaves: keys, then values */
};

struct ml_text_writer {
    struct ml_text_model *model;
    const struct ml_tokenizer *tokenizer;
    struct ml_device *device;
    int rows, capacity; /* of the memory: samples, tokens (a multiple of CHUNK) */
    void **memory;      /* 2 * layers blocks [rows,capacity,kv_heads,head_dim] */
    int32_t *past;      /* [capacity] tokens whose keys and values stand in row 0 */
    int past_count;
    struct reader prompt, step;
};

/* Keys and values are kept in the type of the weights: half of the memory to read where those are
 * bf16, which do not carry more. */
static enum ml_dtype memory_type(const struct ml_text_writer *w)
{
    return w->model->embedding->dtype == ML_BF16 ? ML_BF16 : ML_F32;
}

/* Of one token in one block. */
static size_t token_bytes(const struct ml_text_writer *w)
{
    return (size_t)w->model->config.kv_heads * (size_t)w->model->config.head_dim *
           ml_dtype_size(memory_type(w));
}

static void close_reader(struct reader *r)
{
    ml_plan_free(r->plan);
    ml_arena_clear(&r->arena);
    memset(r, 0, sizeof *r);
}

static void free_memory(struct ml_text_writer *w)
{
    close_reader(&w->prompt);
    close_reader(&w->step);
    for (int i = 0; w->memory && i < 2 * w->model->config.layers; i++)
        ml_mem_free(w->memory[i]);
    ml_mem_free(w->memory);
    ml_mem_free(w->past);
    w->memory = NULL;
    w->past = NULL;
    w->past_count = w->rows = w->capacity = 0;
}

int ml_text_writer_new(struct ml_text_writer **out, struct ml_text_model *model,
                       const struct ml_tokenizer *tokenizer, struct ml_device *device,
                       struct ml_error *err)
{
    if (ml_tokenizer_size(tokenizer) > model->config.vocab)
        return ml_fail(err, ML_ERR_FORMAT,
                       "the tokenizer has %d tokens, the model knows only %d: they do not belong "
                       "together",
                       ml_tokenizer_size(tokenizer), model->config.vocab);
    struct ml_text_writer *w = ml_mem_calloc(1, sizeof *w);
    if (!w)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a writer");
    w->model = model;
    w->tokenizer = tokenizer;
    w->device = device;
    *out = w;
    return 0;
}

void ml_text_writer_free(struct ml_text_writer *writer)
{
    if (!writer)
        return;
    free_memory(writer);
    ml_mem_free(writer);
}

static int build_reader(struct ml_text_writer *w, struct reader *r, int64_t rows, int64_t tokens,
                        bool logits, struct ml_error *err)
{
    const struct ml_text_config *c = &w->model->config;
    struct ml_graph *g = &r->graph;
    ml_arena_init(&r->arena, 0);
    ml_graph_init(g, &r->arena);
    size_t ids = (size_t)(rows * tokens) * sizeof(int32_t);
    r->tokens = ml_arena_alloc(&r->arena, ids);
    r->positions = ml_arena_alloc(&r->arena, ids);
    r->cache = ml_arena_alloc(&r->arena, 2 * (size_t)c->layers * sizeof *r->cache);
    if (!r->tokens || !r->positions || !r->cache)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a writer");
    int64_t shape[4] = {rows, w->capacity, c->kv_heads, c->head_dim};
    for (int i = 0; i < 2 * c->layers; i++)
        r->cache[i] = ml_leaf(g, "cache", memory_type(w), 4, shape, w->memory[i]);
    struct ml_text_cache cache = {r->cache, r->cache + c->layers};
    struct ml_text_batch batch = {
        .tokens = ml_leaf(g, "tokens", ML_I32, 2, (int64_t[]){rows, tokens}, r->tokens),
        .positions = ml_leaf(g, "positions", ML_I32, 2, (int64_t[]){rows, tokens}, r->positions),
        .cache = &cache,
    };
    struct ml_tensor *hidden = ml_text_hidden(g, w->model, &batch);
    if (logits)
        r->logits = ml_text_logits(g, w->model, hidden);
    return ml_plan_new(&r->plan, g, &r->logits, logits ? 1 : 0, w->device, err);
}

/* Room for `rows` texts of `length` tokens. What was read before is forgotten when it must grow. */
static int reserve(struct ml_text_writer *w, int rows, int length, struct ml_error *err)
{
    int capacity = (length + CHUNK - 1) / CHUNK * CHUNK;
    if (w->memory && w->rows == rows && w->capacity >= capacity)
        return 0;
    int context = (w->model->config.context + CHUNK - 1) / CHUNK * CHUNK;
    if (capacity < 2 * w->capacity) /* a growing conversation moves seldom */
        capacity = 2 * w->capacity < context ? 2 * w->capacity : context;
    free_memory(w);
    int blocks = 2 * w->model->config.layers;
    size_t bytes = (size_t)rows * (size_t)capacity * token_bytes(w);
    w->rows = rows;
    w->capacity = capacity;
    w->past = ml_mem_calloc((size_t)capacity, sizeof *w->past);
    w->memory = ml_mem_calloc((size_t)blocks, sizeof *w->memory);
    bool ok = w->past && w->memory;
    for (int i = 0; ok && i < blocks; i++)
        ok = (w->memory[i] = ml_mem_calloc(1, bytes)) != NULL;
    int status = ok ? 0
                    : ml_fail(err, ML_ERR_MEMORY,
                              "out of memory for %d texts of %d tokens; ask for fewer samples or "
                              "shorter ones",
                              rows, capacity);
    if (status == 0)
        status = build_reader(w, &w->prompt, 1, CHUNK, false, err);
    if (status == 0)
        status = build_reader(w, &w->step, rows, 1, true, err);
    if (status != 0)
        free_memory(w);
    return status;
}

/* Reads tokens[from .. n-1] into row 0. The last chunk is filled up with repeats of its last token,
 * whose keys are overwritten before anything attends to them. */
static int read_prompt(struct ml_text_writer *w, const int32_t *tokens, int from, int n,
                       ml_cancel *cancel, struct ml_error *err)
{
    w->past_count = from;
    for (int at = from; at < n; at += CHUNK) {
        if (cancel && *cancel)
            return ml_fail(err, ML_ERR_CANCELLED, "stopped while reading the prompt");
        for (int i = 0; i < CHUNK; i++) {
            int source = at + i < n ? at + i : n - 1;
            int position = at + i < w->capacity ? at + i : w->capacity - 1;
            w->prompt.tokens[i] = tokens[source];
            w->prompt.positions[i] = position;
        }
        int status = ml_run(w->prompt.plan, 0, err);
        if (status != 0)
            return status;
    }
    memcpy(w->past, tokens, (size_t)n * sizeof *tokens);
    w->past_count = n;
    return 0;
}

static int copy_rows(struct ml_text_writer *w, int tokens, struct ml_error *err)
{
    size_t row = (size_t)w->capacity * token_bytes(w);
    for (int i = 0; i < 2 * w->model->config.layers && w->rows > 1; i++) {
        int status = ml_mirror_fetch(w->device, w->memory[i], err);
        if (status != 0)
            return status;
        for (int r = 1; r < w->rows; r++)
            memcpy((char *)w->memory[i] + (size_t)r * row, w->memory[i],
                   (size_t)tokens * token_bytes(w));
        ml_mirror_host_changed(w->device, w->memory[i]);
    }
    return 0;
}

/* ---- one job ---- */

struct sample {
    struct ml_text_stream stream;
    int32_t *history; /* prompt and what was written */
    int count, written;
    bool done;
    enum ml_finish finish;
};

struct work {
    struct ml_text_writer *w;
    const struct ml_text_job *job;
    struct ml_sampler *sampler;
    struct sample *samples;
    int sample_count, max_tokens;
};

static void clear_work(struct work *work)
{
    for (int i = 0; work->samples && i < work->sample_count; i++) {
        ml_text_stream_close(&work->samples[i].stream);
        ml_mem_free(work->samples[i].history);
    }
    ml_mem_free(work->samples);
    ml_sampler_free(work->sampler);
}

static int begin_samples(struct work *work, struct ml_error *err)
{
    const struct ml_text_job *job = work->job;
    work->samples = ml_mem_calloc((size_t)work->sample_count, sizeof *work->samples);
    if (!work->samples)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for %d samples", work->sample_count);
    for (int i = 0; i < work->sample_count; i++) {
        struct sample *s = &work->samples[i];
        s->history =
            ml_mem_alloc((size_t)(job->prompt_count + work->max_tokens) * sizeof *s->history);
        if (!s->history)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for %d samples", work->sample_count);
        memcpy(s->history, job->prompt, (size_t)job->prompt_count * sizeof *job->prompt);
        s->count = job->prompt_count;
        s->finish = ML_FINISH_LENGTH;
        int status =
            ml_text_stream_open(&s->stream, work->w->tokenizer, job->stop, job->stop_count, err);
        if (status != 0)
            return status;
    }
    return 0;
}

static void finish_sample(struct sample *s, enum ml_finish why)
{
    s->done = true;
    s->finish = why;
}

static void show(const struct work *work, int index, bool all)
{
    const struct ml_text_job *job = work->job;
    struct sample *s = &work->samples[index];
    size_t size;
    const char *text = ml_text_stream_take(&s->stream, all, &size);
    if (size && job->stream && job->stream(job->arg, index, text, size) != 0 && !s->done)
        finish_sample(s, ML_FINISH_CANCELLED);
}

static bool is_end(const struct ml_text_job *job, int32_t id)
{
    for (int i = 0; i < job->end_count; i++)
        if (job->ends[i] == id)
            return true;
    return false;
}

/* Takes token `id` into sample `index`. */
static int take_token(struct work *work, int index, int32_t id, struct ml_error *err)
{
    struct sample *s = &work->samples[index];
    bool stopped = false;
    int status = 0;
    if (is_end(work->job, id)) {
        finish_sample(s, ML_FINISH_END);
    } else {
        s->history[s->count++] = id;
        s->written++;
        if (ml_tokenizer_kind(work->w->tokenizer, id) == ML_TOKEN_CONTROL)
            status = ml_text_stream_newline(&s->stream, err);
        else
            status = ml_text_stream_push(&s->stream, id, &stopped, err);
        if (stopped)
            finish_sample(s, ML_FINISH_STOP);
    }
    if (s->written == work->max_tokens)
        s->done = true;
    if (status == 0)
        show(work, index, s->done);
    return status;
}

/* One token for every sample that is not done. */
static int step(struct work *work, int number, bool *all_done, struct ml_error *err)
{
    struct ml_text_writer *w = work->w;
    for (int i = 0; i < work->sample_count; i++) {
        const struct sample *s = &work->samples[i];
        w->step.tokens[i] = s->history[s->count - 1];
        w->step.positions[i] = s->count - 1;
    }
    int status = ml_run(w->step.plan, 0, err);
    *all_done = true;
    int vocab = w->model->config.vocab, known = ml_tokenizer_size(w->tokenizer);
    for (int i = 0; i < work->sample_count && status == 0; i++) {
        struct sample *s = &work->samples[i];
        float *logits = (float *)w->step.logits->data + (size_t)i * (size_t)vocab;
        int32_t id;
        if (s->done)
            continue;
        for (int t = known; t < vocab; t++) /* rows that only pad the table */
            logits[t] = -INFINITY;
        status = ml_sampler_pick(work->sampler, logits, s->history, s->count, (uint64_t)i,
                                 (uint64_t)number, &id, err);
        if (status == 0)
            status = take_token(work, i, id, err);
        *all_done &= s->done;
    }
    return status;
}

static int write_samples(struct work *work, struct ml_error *err)
{
    bool all_done = false;
    int status = 0;
    for (int number = 0; number < work->max_tokens && !all_done && status == 0; number++) {
        if (work->job->cancel && *work->job->cancel) {
            for (int i = 0; i < work->sample_count; i++) {
                if (work->samples[i].done)
                    continue;
                finish_sample(&work->samples[i], ML_FINISH_CANCELLED);
                show(work, i, true);
            }
            break;
        }
        status = step(work, number, &all_done, err);
    }
    /* Row 0 now also holds what sample 0 wrote, but for its last token. */
    struct ml_text_writer *w = work->w;
    const struct sample *s = &work->samples[0];
    if (status == 0 && s->count - 1 > w->past_count) {
        memcpy(w->past, s->history, (size_t)(s->count - 1) * sizeof *w->past);
        w->past_count = s->count - 1;
    }
    return status;
}

/* Hands the samples' texts over to the result. */
static int hand_over(struct work *work, struct ml_write_result *out, struct ml_error *err)
{
    out->samples = ml_mem_calloc((size_t)work->sample_count, sizeof *out->samples);
    if (!out->samples)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for %d samples", work->sample_count);
    out->sample_count = work->sample_count;
    for (int i = 0; i < work->sample_count; i++) {
        struct sample *s = &work->samples[i];
        out->samples[i] = (struct ml_text_sample){.text = s->stream.text.data,
                                                  .bytes = s->stream.text.size,
                                                  .tokens = s->written,
                                                  .finish = s->finish};
        s->stream.text = (struct ml_buffer){0};
    }
    return 0;
}

static int check_job(const struct ml_text_writer *w, const struct ml_text_job *job,
                     struct ml_error *err)
{
    int context = w->model->config.context;
    if (job->prompt_count < 1)
        return ml_fail(err, ML_ERR_ARG, "nothing to continue: the prompt has no tokens");
    if (job->prompt_count >= context)
        return ml_fail(
            err, ML_ERR_LIMIT,
            "the prompt has %d tokens, but this model reads at most %d and needs room to "
            "write: shorten the prompt",
            job->prompt_count, context - 1);
    if (job->samples < 0 || job->samples > 1024)
        return ml_fail(err, ML_ERR_ARG, "%d samples asked for; from 1 to 1024 are possible",
                       job->samples);
    if (job->max_tokens < 0)
        return ml_fail(err, ML_ERR_ARG, "the length must be positive, not %d tokens",
                       job->max_tokens);
    for (int i = 0; i < job->prompt_count; i++)
        if (job->prompt[i] < 0 || job->prompt[i] >= w->model->config.vocab)
            return ml_fail(err, ML_ERR_ARG, "token %d of the prompt is %d, out of range", i,
                           job->prompt[i]);
    return 0;
}

int ml_text_writer_run(struct ml_text_writer *w, const struct ml_text_job *job,
                       struct ml_write_result *out, struct ml_error *err)
{
    int status = check_job(w, job, err);
    if (status != 0)
        return status;
    int room = w->model->config.context - job->prompt_count;
    struct work work = {.w = w, .job = job, .sample_count = job->samples ? job->samples : 1};
    work.max_tokens = job->max_tokens ? job->max_tokens : 256;
    work.max_tokens = work.max_tokens < room ? work.max_tokens : room;
    struct ml_write_result result = {.prompt_tokens = job->prompt_count};
    double start = ml_time();
    status = ml_sampler_new(&work.sampler, &job->sampling, w->model->config.vocab, err);
    if (status == 0)
        status = reserve(w, work.sample_count, job->prompt_count + work.max_tokens, err);
    if (status == 0)
        status = begin_samples(&work, err);
    if (status == 0) {
        int before = job->prompt_count - 1; /* the last one is read by the first step */
        int same = 0;
        while (same < before && same < w->past_count && w->past[same] == job->prompt[same])
            same++;
        result.reused_tokens = same;
        status = read_prompt(w, job->prompt, same, before, job->cancel, err);
    }
    double read = ml_time();
    if (status == 0) {
        status = copy_rows(w, job->prompt_count - 1, err);
        if (status == 0)
            status = write_samples(&work, err);
    }
    result.prompt_seconds = read - start;
    result.seconds = ml_time() - read;
    if (status == 0)
        status = hand_over(&work, &result, err);
    if (status == 0)
        *out = result;
    clear_work(&work);
    return status;
}

void ml_write_result_clear(struct ml_write_result *result)
{
    if (!result)
        return;
    for (int i = 0; i < result->sample_count; i++)
        ml_mem_free(result->samples[i].text);
    ml_mem_free(result->samples);
    memset(result, 0, sizeof *result);
}
