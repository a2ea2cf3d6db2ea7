/* Zstandard (RFC 8878) by libzstd, as a stream into a file and as one block. Without the library
 * every call is ML_ERR_UNSUPPORTED and names the package. */
#ifndef ML_DATA_ZSTD_PACK_H
#define ML_DATA_ZSTD_PACK_H

#include <stdbool.h>

#include "base/arena.h"

bool ml_zstd_present(void);

/* A frame with a checksum. The same bytes in the same pieces give the same frame. */
struct ml_zstd_stream;
/* put is given what comes out; level 0 is the library's own choice. */
struct ml_zstd_sink {
    int (*put)(void *arg, const void *bytes, size_t n, struct ml_error *err);
    void *arg;
};
int ml_zstd_open(struct ml_zstd_stream **out, int level, const struct ml_zstd_sink *sink,
                 struct ml_error *err);
int ml_zstd_put(struct ml_zstd_stream *stream, const void *bytes, size_t n, struct ml_error *err);
int ml_zstd_finish(struct ml_zstd_stream *stream, struct ml_error *err); /* ends the frame */
void ml_zstd_close(struct ml_zstd_stream *stream);                       /* accepts NULL */

/* Appends the frame of n bytes. */
int ml_zstd_block(struct ml_buffer *out, const void *bytes, size_t n, int level,
                  struct ml_error *err);

#endif
