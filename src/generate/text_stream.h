/* One sample's text as it grows: whole characters only, and nothing that may turn out to be the
 * beginning of a stop string. */
#ifndef ML_GENERATE_TEXT_STREAM_H
#define ML_GENERATE_TEXT_STREAM_H

#include <stdbool.h>

#include "base/arena.h"
#include "text/tokenizer.h"

struct ml_text_stream {
    struct ml_token_stream *tokens;
    struct ml_buffer text; /* all whole characters so far */
    size_t shown;          /* bytes of text that were handed out */
    const char *const *stop;
    int stop_count;
};

/* stop is borrowed. Zeroed streams may be closed. */
int ml_text_stream_open(struct ml_text_stream *out, const struct ml_tokenizer *tokenizer,
                        const char *const *stop, int stop_count, struct ml_error *err);
void ml_text_stream_close(struct ml_text_stream *stream);

/* Adds a token; *stopped says that a stop string was met (the text then ends before it). */
int ml_text_stream_push(struct ml_text_stream *stream, int32_t id, bool *stopped,
                        struct ml_error *err);
int ml_text_stream_newline(struct ml_text_stream *stream, struct ml_error *err);
/* What can be shown now and was not yet; `all` at the end, when nothing need be held back. The
 * bytes of a character that was never completed are never shown. */
const char *ml_text_stream_take(struct ml_text_stream *stream, bool all, size_t *size);

#endif
