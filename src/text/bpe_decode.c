#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "text/tokenizer_impl.h"

int ml_decode(const struct ml_tokenizer *t, const int32_t *ids, size_t count, int flags,
              struct ml_buffer *out, struct ml_error *err)
{
    size_t before = out->size;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = ml_tokenizer_bytes(t, ids[i], &size);
        int code = 0;
        if (!bytes)
            code =
                ml_fail(err, ML_ERR_ARG, "token %d is not in a vocabulary of %d", ids[i], t->size);
        else if (!(flags & ML_DECODE_SKIP_SPECIAL) || t->kind[ids[i]] != ML_TOKEN_CONTROL)
            code = ml_buffer_put(out, bytes, size, err);
        if (code < 0) {
            out->size = before;
            if (out->data)
                out->data[before] = 0;
            return code;
        }
    }
    return 0;
}

struct ml_token_stream {
    const struct ml_tokenizer *tokenizer;
    int flags;
    struct ml_buffer waiting; /* shown bytes first, then the start of a character */
    size_t shown;
};

int ml_token_stream_new(struct ml_token_stream **out, const struct ml_tokenizer *tokenizer,
                        int flags, struct ml_error *err)
{
    struct ml_token_stream *stream = ml_mem_calloc(1, sizeof *stream);
    if (!stream)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory making a stream of tokens");
    stream->tokenizer = tokenizer;
    stream->flags = flags;
    *out = stream;
    return 0;
}

/* Forgets what the last call handed out. */
static void drop_shown(struct ml_token_stream *stream)
{
    if (stream->shown == 0)
        return;
    struct ml_buffer *waiting = &stream->waiting;
    memmove(waiting->data, waiting->data + stream->shown, waiting->size - stream->shown);
    waiting->size -= stream->shown;
    stream->shown = 0;
}

int ml_token_stream_push(struct ml_token_stream *stream, int32_t id, const char **text,
                         size_t *size, struct ml_error *err)
{
    drop_shown(stream);
    int code = ml_decode(stream->tokenizer, &id, 1, stream->flags, &stream->waiting, err);
    if (code < 0)
        return code;
    stream->shown = ml_utf8_ready(stream->waiting.data, stream->waiting.size);
    *text = stream->waiting.data ? stream->waiting.data : "";
    *size = stream->shown;
    return 0;
}

void ml_token_stream_flush(struct ml_token_stream *stream, const char **text, size_t *size)
{
    drop_shown(stream);
    stream->shown = stream->waiting.size;
    *text = stream->waiting.data ? stream->waiting.data : "";
    *size = stream->shown;
}

void ml_token_stream_free(struct ml_token_stream *stream)
{
    if (!stream)
        return;
    ml_buffer_clear(&stream->waiting);
    ml_mem_free(stream);
}
