/* What a server said when a URI was fetched last, so that the next request can ask for it only if
 * it changed (RFC 9110, section 13). */
#ifndef ML_STORE_FETCHES_H
#define ML_STORE_FETCHES_H

#include <stdint.h>

#include "store/workspace.h"

struct ml_fetch {
    const char *uri;
    const char *etag;     /* the ETag as it was sent, "" when there was none */
    const char *modified; /* the Last-Modified as it was sent, "" */
    int status;           /* of HTTP, 0: no answer */
    int64_t time;         /* Unix seconds; putting: 0 is now */
};

/* Replaces what was known of the URI. NULL etag and modified are "". */
int ml_fetches_put(struct ml_workspace *workspace, const struct ml_fetch *fetch,
                   struct ml_error *err);
/* Texts are owned by the arena. ML_ERR_NOT_FOUND without a message when it was never fetched. */
int ml_fetches_get(struct ml_workspace *workspace, const char *uri, struct ml_arena *arena,
                   struct ml_fetch *out, struct ml_error *err);

#endif
