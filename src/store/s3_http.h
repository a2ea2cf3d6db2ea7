/* One request to S3 and its answer, by libcurl: signed, tried again with growing pauses when the
 * server is busy or the line breaks. */
#ifndef ML_STORE_S3_HTTP_H
#define ML_STORE_S3_HTTP_H

#include <stdint.h>

#include "store/hash.h"
#include "store/s3_address.h"

struct ml_s3;

/* Keys are looked for now (ml_s3_keys_find). */
int ml_s3_open(struct ml_s3 **out, const char *url, struct ml_error *err);
void ml_s3_close(struct ml_s3 *s3); /* accepts NULL */
const struct ml_s3_address *ml_s3_address(const struct ml_s3 *s3);
/* Before the first try again; doubled with each. Default 0.2 s, so that five tries wait 3 s. */
void ml_s3_set_pause(struct ml_s3 *s3, double seconds);

struct ml_s3_call {
    const char *method; /* "GET", "HEAD", "PUT", "DELETE" */
    const char *key;    /* without the prefix; NULL: the bucket itself */
    const char *query;  /* escaped and sorted; NULL: none */
    const void *body;   /* of a PUT ... */
    size_t body_bytes;
    const char *body_hash; /* ... and its SHA-256; the server compares it */
    /* The body of a good answer, piece by piece; `begin` before each try, with the length that was
     * announced (-1: none). Both may be NULL; non-zero ends the call with that code. */
    int (*begin)(void *arg, int64_t length, struct ml_error *err);
    int (*take)(void *arg, const void *bytes, size_t n, struct ml_error *err);
    void *arg;
};
/* 0: done, and *length (may be NULL) is that of the object. ML_ERR_NOT_FOUND: there is no such
 * object. */
int ml_s3_call(struct ml_s3 *s3, const struct ml_s3_call *call, int64_t *length,
               struct ml_error *err);

#endif
