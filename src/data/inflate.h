/* gzip and deflate by zlib, with a limit on what comes out. A build without zlib says
 * ML_ERR_UNSUPPORTED and names the package. */
#ifndef ML_DATA_INFLATE_H
#define ML_DATA_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

enum ml_inflate_kind {
    ML_INFLATE_GZIP,    /* members one after another are read as one */
    ML_INFLATE_DEFLATE, /* zlib's frame, or the bare stream that some servers send */
};

struct ml_inflater;

/* The bytes are borrowed until it is closed. */
int ml_inflater_open(struct ml_inflater **out, enum ml_inflate_kind kind, const char *bytes,
                     size_t n, struct ml_error *err);
/* The next bytes, at most `room` (not 0); *got 0: the end. ML_ERR_FORMAT: damaged or cut off. */
int ml_inflater_read(struct ml_inflater *inflater, char *to, size_t room, size_t *got,
                     struct ml_error *err);
/* Where in the input the member at hand begins. */
size_t ml_inflater_member(const struct ml_inflater *inflater);
void ml_inflater_close(struct ml_inflater *inflater); /* accepts NULL */

/* Appends all of it to `out`. More than `max` bytes is ML_ERR_LIMIT; what came out before a failure
 * stays in `out`. */
int ml_inflate(struct ml_buffer *out, enum ml_inflate_kind kind, const char *bytes, size_t n,
               uint64_t max, struct ml_error *err);

/* Whether bytes begin like a gzip file. */
bool ml_is_gzip(const char *bytes, size_t n);

#endif
