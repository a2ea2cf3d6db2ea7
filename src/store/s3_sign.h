/* AWS Signature Version 4 for S3 (docs.aws.amazon.com/AmazonS3/latest/API, "Authenticating
 * Requests: Using the Authorization Header"): proves who asks, and that nothing was changed on the
 * way. */
#ifndef ML_STORE_S3_SIGN_H
#define ML_STORE_S3_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/arena.h"

#define ML_S3_DATE 17 /* "20130524T000000Z" with the NUL */

struct ml_s3_keys {
    const char *id, *secret, *token; /* token: of a session, or NULL */
};

struct ml_s3_header {
    const char *name, *value; /* name in lower case */
};

struct ml_s3_request {
    const char *method, *region;
    const char *path;  /* as it is sent, escaped: "/key" or "/bucket/key" */
    const char *query; /* as it is sent, escaped, sorted by name: "a=1&b=", or "" */
    const struct ml_s3_header *headers; /* that are signed, by name: host and x-amz-* among them */
    size_t header_count;
    const char *payload_hash; /* SHA-256 of the body, in hexadecimal */
    const char *date;         /* that of the header x-amz-date */
};

void ml_s3_date(char out[ML_S3_DATE], time_t now);
/* The value of the header Authorization; owned by the arena, NULL: out of memory. */
char *ml_s3_sign(struct ml_arena *arena, const struct ml_s3_request *request,
                 const struct ml_s3_keys *keys);
/* Appends text with everything but letters, digits and -_.~ escaped; slashes only if asked. */
int ml_s3_escape(struct ml_buffer *out, const char *text, bool slashes, struct ml_error *err);

#endif
