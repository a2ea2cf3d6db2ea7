/* tokenizer.json from anywhere, up to the first NUL; what follows is encoded with it. Any bytes
 * give a tokenizer or one message, and with a tokenizer any text comes back exactly. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "text/tokenizer.h"

static void require(int truth)
{
    if (!truth)
        abort();
}

static void round_trip(const struct ml_tokenizer *t, const char *text, size_t size, int flags)
{
    struct ml_ids ids = {0};
    struct ml_buffer whole = {0}, streamed = {0};
    struct ml_token_stream *stream = NULL;
    const char *piece;
    size_t n;
    if (ml_tokenizer_encode(t, text, size, flags, &ids, NULL) == 0) {
        require(ml_decode(t, ids.ids, ids.count, ML_DECODE_ALL, &whole, NULL) == 0);
        require(whole.size == size && (size == 0 || memcmp(whole.data, text, size) == 0));
        require(ml_token_stream_new(&stream, t, ML_DECODE_ALL, NULL) == 0);
        for (size_t i = 0; i < ids.count; i++) {
            require(ml_token_stream_push(stream, ids.ids[i], &piece, &n, NULL) == 0);
            require(ml_buffer_put(&streamed, piece, n, NULL) == 0);
        }
        ml_token_stream_flush(stream, &piece, &n);
        require(ml_buffer_put(&streamed, piece, n, NULL) == 0);
        require(streamed.size == size && (size == 0 || memcmp(streamed.data, text, size) == 0));
    }
    ml_token_stream_free(stream);
    ml_buffer_clear(&whole);
    ml_buffer_clear(&streamed);
    ml_ids_clear(&ids);
}

/* What can be written can be read again. */
static void write_and_read(const struct ml_tokenizer *t)
{
    char *json = NULL;
    struct ml_tokenizer *again = NULL;
    if (ml_tokenizer_json(t, &json, NULL) == 0) {
        require(ml_tokenizer_parse(&again, json, strlen(json), "again", NULL) == 0);
        require(ml_tokenizer_size(again) == ml_tokenizer_size(t));
        require(ml_tokenizer_merge_count(again) == ml_tokenizer_merge_count(t));
    }
    ml_tokenizer_free(again);
    ml_mem_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_tokenizer *t = NULL;
    struct ml_error err = {0};
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t json_size = nul ? (size_t)(nul - data) : size;
    const char *text = nul ? (const char *)nul + 1 : (const char *)data;
    size_t text_size = nul ? size - json_size - 1 : size;
    int status = ml_tokenizer_parse(&t, (const char *)data, json_size, "fuzz.json", &err);
    require(status == err.code && (status == 0) == (t != NULL));
    require(ml_utf8_valid(err.message, strlen(err.message)));
    if (t) {
        round_trip(t, text, text_size, ML_ENCODE_PLAIN);
        round_trip(t, text, text_size, ML_ENCODE_SPECIAL);
        write_and_read(t);
    }
    ml_tokenizer_free(t);
    return 0;
}
