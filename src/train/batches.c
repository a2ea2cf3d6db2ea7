#include "train/batches.h"

#include <string.h>

#include "base/fail.h"
#include "base/rng.h"

/* Streams of random numbers under the recipe's seed: the parameters use hashes of their names. */
#define ORDER_STREAM 0x6f72646572000000u /* + epoch */

static int fail_memory(int64_t tokens, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "no memory for %lld tokens of training text",
                   (long long)tokens);
}

static int join_documents(struct ml_batches *b, const struct ml_token_documents *d,
                          struct ml_error *err)
{
    int64_t tokens = d->start[d->count] - d->start[0];
    int64_t total = tokens + (b->options.end >= 0 ? d->count + 1 : 0);
    b->stream = ml_arena_alloc(&b->arena, (size_t)(total + 1) * sizeof(int32_t));
    b->begins = ml_arena_alloc(&b->arena, (size_t)(d->count + 1) * sizeof(int64_t));
    if (!b->stream || !b->begins)
        return fail_memory(total, err);
    int64_t at = 0;
    for (int64_t i = 0; i < d->count; i++) {
        int64_t length = d->start[i + 1] - d->start[i];
        if (length == 0)
            continue;
        b->begins[b->begin_count++] = at;
        if (b->options.end >= 0)
            b->stream[at++] = b->options.end;
        memcpy(b->stream + at, d->ids + d->start[i], (size_t)length * sizeof(int32_t));
        at += length;
    }
    if (b->options.end >= 0 && b->begin_count)
        b->stream[at++] = b->options.end;
    b->stream_count = at;
    return 0;
}

/* Inputs of document i: all its tokens but the last (which is a target only). */
static int64_t document_inputs(const struct ml_batches *b, int64_t i)
{
    int64_t next = i + 1 < b->begin_count ? b->begins[i + 1] : b->stream_count;
    int64_t length = next - b->begins[i];
    /* The end token after a document is the next one's first token in the stream. */
    bool shared_end = b->options.end >= 0 && i + 1 < b->begin_count;
    return shared_end ? length : length - 1;
}

static int pack_documents(struct ml_batches *b, struct ml_error *err)
{
    int64_t context = b->options.context, count = 0;
    for (int64_t i = 0; i < b->begin_count; i++)
        count += (document_inputs(b, i) + context - 1) / context;
    if (count > INT32_MAX)
        return ml_fail(err, ML_ERR_LIMIT, "%lld documents are more than can be packed",
                       (long long)count);
    b->pieces = ml_arena_alloc(&b->arena, (size_t)(count + 1) * sizeof(struct ml_piece));
    b->window_first = ml_arena_alloc(&b->arena, (size_t)(count + 1) * sizeof(int32_t));
    if (!b->pieces || !b->window_first)
        return fail_memory(b->stream_count, err);
    for (int64_t i = 0; i < b->begin_count; i++)
        for (int64_t at = 0, n = document_inputs(b, i); at < n; at += context) {
            int64_t length = n - at < context ? n - at : context;
            b->pieces[b->piece_count++] = (struct ml_piece){b->begins[i] + at, (int32_t)length, -1};
            b->targets += length;
        }
    int64_t windows = ml_pack_pieces(b->pieces, b->piece_count, (int)context, b->window_first, err);
    if (windows < 0)
        return (int)windows;
    b->windows = windows;
    b->segmented = b->piece_count > windows;
    return 0;
}

static int cut_stream(struct ml_batches *b)
{
    b->targets = b->stream_count > 0 ? b->stream_count - 1 : 0;
    b->windows = (b->targets + b->options.context - 1) / b->options.context;
    b->segmented = b->options.end >= 0 && b->begin_count > 1;
    return 0;
}

int ml_batches_new(struct ml_batches **out, const struct ml_token_documents *documents,
                   const struct ml_batches_options *options, struct ml_error *err)
{
    struct ml_batches *b = ml_mem_calloc(1, sizeof *b);
    if (!b)
        return fail_memory(documents->start[documents->count], err);
    ml_arena_init(&b->arena, 0);
    b->options = *options;
    b->order_epoch = -1;
    int status = join_documents(b, documents, err);
    if (status == 0)
        status = options->documents ? pack_documents(b, err) : cut_stream(b);
    if (status == 0 && (b->windows < 1 || b->windows > UINT32_MAX))
        status =
            ml_fail(err, ML_ERR_ARG,
                    b->windows < 1 ? "there is no text to train on" : "too much text for one run");
    if (status == 0 && !options->sequential) {
        b->order = ml_arena_alloc(&b->arena, (size_t)b->windows * sizeof(uint32_t));
        if (!b->order)
            status = fail_memory(b->stream_count, err);
    }
    if (status < 0) {
        ml_batches_free(b);
        return status;
    }
    *out = b;
    return 0;
}

void ml_batches_free(struct ml_batches *batches)
{
    if (!batches)
        return;
    ml_arena_clear(&batches->arena);
    ml_mem_free(batches);
}

int64_t ml_batches_count(const struct ml_batches *b)
{
    return (b->windows + b->options.batch - 1) / b->options.batch;
}

double ml_batches_epoch(const struct ml_batches *b, int64_t number)
{
    return (double)number * (double)b->options.batch / (double)b->windows;
}

static void shuffle_epoch(struct ml_batches *b, int64_t epoch)
{
    struct ml_rng rng;
    if (b->order_epoch == epoch)
        return;
    ml_rng_init(&rng, b->options.seed, ORDER_STREAM + (uint64_t)epoch);
    for (int64_t i = 0; i < b->windows; i++)
        b->order[i] = (uint32_t)i;
    ml_rng_shuffle(&rng, b->order, (size_t)b->windows);
    b->phase =
        epoch == 0 || b->options.documents ? 0 : (int64_t)ml_rng_below(&rng, (uint64_t)b->targets);
    b->order_epoch = epoch;
}

/* One row of a batch. */
struct row {
    int32_t *tokens, *positions, *segments, *targets;
};

static void set(const struct row *row, int64_t j, int32_t token, int64_t position, int32_t segment,
                int32_t target)
{
    row->tokens[j] = token;
    row->positions[j] = (int32_t)position;
    if (row->segments)
        row->segments[j] = segment;
    row->targets[j] = target;
}

/* From j on: nothing to learn, in a segment of its own. */
static void fill_rest(const struct ml_batches *b, const struct row *row, int64_t j, int32_t segment)
{
    int32_t token = b->options.end >= 0 ? b->options.end : 0;
    for (int64_t first = j; j < b->options.context; j++)
        set(row, j, token, j - first, segment, -1);
}

/* Index of the first document that begins at or after stream position `at`. */
static int64_t begin_from(const struct ml_batches *b, int64_t at)
{
    int64_t low = 0, high = b->begin_count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (b->begins[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t stream_row(const struct ml_batches *b, int64_t window, int64_t phase,
                          const struct row *row)
{
    int64_t context = b->options.context, first = window * context;
    int64_t count = b->targets - first < context ? b->targets - first : context;
    int64_t at = (first + phase) % b->targets, begin = 0;
    int64_t document = begin_from(b, at);
    int32_t segment = 0;
    for (int64_t j = 0; j < count; j++, at++) {
        if (at == b->targets)
            at = document = 0; /* round the end of the text: the first document begins */
        bool starts = document < b->begin_count && b->begins[document] == at &&
                      (b->options.end >= 0 || at == 0);
        if (document < b->begin_count && b->begins[document] == at)
            document++;
        if (starts && j > 0) {
            segment++;
            begin = j;
        }
        set(row, j, b->stream[at], j - begin, segment, b->stream[at + 1]);
    }
    fill_rest(b, row, count, segment + 1);
    return count;
}

static int64_t document_row(const struct ml_batches *b, int64_t window, const struct row *row)
{
    int64_t j = 0;
    int32_t segment = 0;
    for (int32_t p = b->window_first[window]; p >= 0; p = b->pieces[p].next, segment++) {
        const struct ml_piece *piece = &b->pieces[p];
        for (int64_t i = 0; i < piece->length; i++, j++)
            set(row, j, b->stream[piece->at + i], i, segment, b->stream[piece->at + i + 1]);
    }
    fill_rest(b, row, j, segment);
    return j;
}

int64_t ml_batches_get(struct ml_batches *b, int64_t number, struct ml_batch *out)
{
    int64_t targets = 0, context = b->options.context;
    for (int64_t r = 0; r < b->options.batch; r++) {
        int64_t index = number * b->options.batch + r;
        struct row row = {out->tokens + r * context, out->positions + r * context,
                          out->segments ? out->segments + r * context : NULL,
                          out->targets + r * context};
        if (b->options.once && index >= b->windows) {
            fill_rest(b, &row, 0, 0);
            continue;
        }
        int64_t window = index % b->windows, phase = 0;
        if (!b->options.sequential) {
            shuffle_epoch(b, index / b->windows);
            window = b->order[window];
            phase = b->phase;
        }
        targets += b->options.documents ? document_row(b, window, &row)
                                        : stream_row(b, window, phase, &row);
    }
    return targets;
}
