#include "generate/text_stream.h"

#include <string.h>

int ml_text_stream_open(struct ml_text_stream *out, const struct ml_tokenizer *tokenizer,
                        const char *const *stop, int stop_count, struct ml_error *err)
{
    struct ml_text_stream stream = {.stop = stop, .stop_count = stop_count};
    int status = ml_token_stream_new(&stream.tokens, tokenizer, ML_DECODE_SKIP_SPECIAL, err);
    if (status == 0)
        status = ml_buffer_reserve(&stream.text, 256, err);
    if (status != 0) {
        ml_text_stream_close(&stream);
        return status;
    }
    *out = stream;
    return 0;
}

void ml_text_stream_close(struct ml_text_stream *stream)
{
    ml_token_stream_free(stream->tokens);
    ml_buffer_clear(&stream->text);
    stream->tokens = NULL;
}

/* Looks for stop strings from `from` on; cuts the text before the first. */
static bool cut_at_stop(struct ml_text_stream *stream, size_t from)
{
    size_t first = stream->text.size;
    for (int i = 0; i < stream->stop_count; i++) {
        size_t length = strlen(stream->stop[i]);
        if (!length)
            continue;
        size_t start = from > length ? from - length : 0;
        const char *hit = start < stream->text.size
                              ? memmem(stream->text.data + start, stream->text.size - start,
                                       stream->stop[i], length)
                              : NULL;
        if (hit && (size_t)(hit - stream->text.data) < first)
            first = (size_t)(hit - stream->text.data);
    }
    bool found = first < stream->text.size;
    if (found) {
        stream->text.size = first;
        stream->text.data[first] = 0;
    }
    return found;
}

int ml_text_stream_push(struct ml_text_stream *stream, int32_t id, bool *stopped,
                        struct ml_error *err)
{
    const char *bytes;
    size_t size, before = stream->text.size;
    *stopped = false;
    int status = ml_token_stream_push(stream->tokens, id, &bytes, &size, err);
    if (status == 0 && size)
        status = ml_buffer_put(&stream->text, bytes, size, err);
    if (status == 0 && size)
        *stopped = cut_at_stop(stream, before);
    return status;
}

int ml_text_stream_newline(struct ml_text_stream *stream, struct ml_error *err)
{
    return ml_buffer_put(&stream->text, "\n", 1, err);
}

/* Bytes at the end of the text that begin a stop string. */
static size_t held_back(const struct ml_text_stream *stream)
{
    size_t held = 0, size = stream->text.size;
    for (int i = 0; i < stream->stop_count; i++) {
        size_t length = strlen(stream->stop[i]);
        for (size_t n = length ? length - 1 : 0; n > held; n--)
            if (n <= size && memcmp(stream->text.data + size - n, stream->stop[i], n) == 0)
                held = n;
    }
    return held;
}

const char *ml_text_stream_take(struct ml_text_stream *stream, bool all, size_t *size)
{
    size_t end = stream->text.size - (all ? 0 : held_back(stream));
    const char *from = stream->text.data + stream->shown;
    *size = end > stream->shown ? end - stream->shown : 0;
    stream->shown += *size;
    return from;
}
